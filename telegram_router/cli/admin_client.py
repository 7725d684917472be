"""Asks the admin API of a running router, found by its configuration file, by a socket or by an address."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

import click
import msgspec

from telegram_router.config import Address, Admin, draft_config
from telegram_router.errors import CODES, ConfigError, ConfigProblem, RouterError
from telegram_router.ops import answers, ordered
from telegram_router.ops.tokens import read_token
from telegram_router.wire.tls_errors import openssl_reason

if TYPE_CHECKING:
    from telegram_router.cli.admin_options import Where

PATIENCE = 10.0  # seconds; the router itself ends a request after as many
LARGEST = 64 * 1024 * 1024
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}

T = TypeVar("T")


class Reach(NamedTuple):
    """Where the admin API is, with which token, and inside which TLS."""

    place: Address | Path
    token: str | None = None
    tls: ssl.SSLContext | None = None


def reach(where: Where, *, with_token: bool = True) -> Reach:
    """What the options of a command say. Raises click.UsageError, or ConfigError for what is wrong with a file."""
    token = read_token(where.token_file) if where.token_file is not None else None
    if where.socket is not None:
        return Reach(where.socket)
    if where.address is not None:
        return Reach(where.address, token, _tls(where) if where.ca is not None or where.certificate is not None else None)
    admin = _settings(where.config)
    if admin.socket is not None:
        return Reach(where.config.parent / admin.socket)
    assert admin.address is not None
    if admin.address.port == 0:
        raise click.UsageError(f"{where.config} leaves the port of the admin API to the system: give --address, as the log names it.")
    if with_token and token is None and admin.token_file is not None:
        token = read_token(where.config.parent / admin.token_file)
    tls = _tls(where, where.config.parent / admin.tls.certificate) if admin.tls is not None else None
    return Reach(Address(LOOPBACK.get(admin.address.host, admin.address.host), admin.address.port), token, tls)


def _tls(where: Where, own: Path | None = None) -> ssl.SSLContext:
    """What the router's certificate must be. `own`: its file, where the configuration is at hand; then it is that one or none,
    by whatever name it is reached."""
    try:
        trusted = where.ca or own
        context = ssl.create_default_context(cafile=str(trusted) if trusted is not None else None)
        if where.ca is None and own is not None:
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if where.certificate is not None:
            context.load_cert_chain(where.certificate, where.key, password=_no_passphrase)
    except OSError as error:  # ssl.SSLError is one
        raise click.UsageError(f"--ca, --certificate, --key: {error.strerror or 'the files cannot be used'}.") from None
    return context


def _no_passphrase() -> str:
    raise click.UsageError("--key: the key is encrypted; give one that is not.")


def _settings(config: Path) -> Admin:
    """The table of the file, whatever may be wrong with the others."""
    try:
        text = config.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise click.UsageError(f"There is no {config} here: give --config FILE, --socket PATH or --address HOST:PORT.") from None
    except OSError as error:
        raise ConfigError([ConfigProblem("E-CFG-01", str(config), 0, "", error.strerror or str(error), do=CODES["E-CFG-01"].do)]) from None
    except UnicodeDecodeError:
        raise ConfigError([ConfigProblem("E-CFG-01", str(config), 0, "", "is not UTF-8 text", do="save it as UTF-8")]) from None
    draft = draft_config(text, str(config))
    admin = draft.config.admin
    if admin is None or (admin.socket is None) == (admin.address is None):
        draft.raise_if_wrong()
        raise click.UsageError(f"{config} has no [admin] table, so nobody can ask this router.")
    return admin


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


class Client:
    """One request a call. Raises RouterError: E-ADM-06 when no router answers, E-ADM-07, or what the router refuses with."""

    def __init__(self, where: Reach) -> None:
        self._where = where

    def status(self) -> answers.Status:
        return self._ask("GET", "/status", answers.Status)

    def links(self) -> answers.Links:
        return self._ask("GET", "/links", answers.Links)

    def exchanges(self) -> answers.Exchanges:
        return self._ask("GET", "/exchanges", answers.Exchanges)

    def quotas(self) -> answers.Quotas:
        return self._ask("GET", "/quotas", answers.Quotas)

    def usage(self, first: str, last: str, by: str) -> answers.UsageSeen:
        return self._ask("GET", f"/usage?from={quote(first)}&to={quote(last)}&by={quote(by)}", answers.UsageSeen)

    def order_backend(self, service: str, backend: str, order: ordered.BackendOrder) -> answers.BackendSeen:
        path = f"/services/{quote(service, safe='')}/backends/{quote(backend, safe='')}"
        return self._ask("POST", path, answers.BackendSeen, _said(order))

    def failback(self, service: str) -> answers.Returned:
        return self._ask("POST", f"/services/{quote(service, safe='')}/failback", answers.Returned, {})

    def promote(self, service: str | None) -> answers.Promoted:
        return self._ask("POST", "/promote", answers.Promoted, _said(ordered.StandbyOrder(service)))

    def demote(self, service: str | None) -> answers.Promoted:
        return self._ask("POST", "/demote", answers.Promoted, _said(ordered.StandbyOrder(service)))

    def drain_listener(self, listener: str, order: ordered.ListenerOrder) -> answers.ListenerDrained:
        return self._ask("POST", f"/listeners/{quote(listener, safe='')}/drain", answers.ListenerDrained, _said(order))

    def open_listener(self, listener: str) -> answers.ListenerOpened:
        return self._ask("POST", f"/listeners/{quote(listener, safe='')}/open", answers.ListenerOpened, {})

    def switch_message(self, message: str, order: ordered.MessageOrder) -> answers.MessageSwitched:
        return self._ask("POST", f"/messages/{quote(message, safe='')}", answers.MessageSwitched, _said(order))

    def reload(self, order: ordered.ReloadOrder) -> answers.Reloaded:
        return self._ask("POST", "/reload", answers.Reloaded, _said(order))

    def capture(self) -> answers.CaptureSeen:
        return self._ask("GET", "/capture", answers.CaptureSeen)

    def start_capture(self, order: ordered.CaptureOrder) -> answers.CaptureSeen:
        return self._ask("POST", "/capture", answers.CaptureSeen, _said(order))

    def stop_capture(self) -> answers.CaptureSeen:
        return self._ask("POST", "/capture/stop", answers.CaptureSeen, {})

    def condition(self, probe: str) -> answers.Condition:
        return self._ask("GET", f"/{probe}", answers.Condition, well=(200, 503))

    def tail(self, terms: str) -> Generator[answers.TailLine, None, None]:
        """Lines for as long as they are wanted and the router goes on."""
        connection = self._connection()
        try:
            with self._told():
                connection.request("GET", f"/tail?filter={quote(terms, safe='')}", None, self._headers())
                response = connection.getresponse()
                if response.status != 200:
                    raise self._refused(response.status, response.read(LARGEST))
            while True:
                with self._told():
                    raw = response.readline(LARGEST)
                    line = msgspec.json.decode(raw, type=answers.TailLine) if raw.strip() else None
                if not raw:
                    return
                if line is not None:
                    yield line
        finally:
            connection.close()

    def _ask(self, method: str, path: str, kind: type[T], body: dict[str, Any] | None = None, well: tuple[int, ...] = (200,)) -> T:
        with self._told():
            status, raw = self._exchange(method, path, body)
            if status in well:
                return msgspec.json.decode(raw, type=kind)
        raise self._refused(status, raw)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong on the way, as this client tells it."""
        try:
            yield
        except TimeoutError:
            raise self._unanswered(f"there is no answer within {PATIENCE:g} s") from None
        except http.client.HTTPException:
            raise self._not_ours("this is no HTTP") from None
        except ssl.SSLError as error:
            raise self._unanswered(f"TLS ends with: {openssl_reason(error)}") from None
        except OSError as error:
            raise self._unanswered(error.strerror or type(error).__name__) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._not_ours("the answer has another form") from None

    def _refused(self, status: int, raw: bytes) -> RouterError:
        try:
            refused = msgspec.json.decode(raw, type=answers.Error)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._not_ours(f"the answer, of status {status}, has another form")
        return RouterError(refused.code, refused.what, do=refused.do)

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        connection = self._connection()
        headers = self._headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
            response = connection.getresponse()
            return response.status, response.read(LARGEST)
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        token = self._where.token
        return {"Authorization": f"Bearer {token}"} if token is not None else {}

    def _connection(self) -> http.client.HTTPConnection:
        place, _, tls = self._where
        if isinstance(place, Path):
            return _UnixConnection(place)
        if tls is not None:
            return http.client.HTTPSConnection(place.host, place.port, timeout=PATIENCE, context=tls)
        return http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)

    def _unanswered(self, why: str) -> RouterError:
        return RouterError("E-ADM-06", f"no router answers: {why}", where=str(self._where.place), do=CODES["E-ADM-06"].do)

    def _not_ours(self, why: str) -> RouterError:
        return RouterError(
            "E-ADM-07", f"this is not the admin API of this version: {why}", where=str(self._where.place), do=CODES["E-ADM-07"].do
        )


def _said(order: msgspec.Struct) -> dict[str, Any]:
    return {key: value for key, value in msgspec.to_builtins(order).items() if value is not None}
