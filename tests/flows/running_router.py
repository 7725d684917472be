"""A router that listens on this machine, and whoever talks with it: clients, hosts and HTTP services that do as told.

    async with Host() as core, running(config(core=core)) as router, good_neighbour(router):
        client = await router.connect()
        assert await client.asks(transfer(number=7)) == answer_to(transfer(number=7))

Every router that is run here is looked at when it ends: no fault of ours, no exchange left open, no customer's data in its log.
"""

from __future__ import annotations

import base64
import functools
import gc
import io
import json
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

import pytest
import trio

from telegram_router.app import Router
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.ops.logs import open_log
from telegram_router.plan import read_plan, read_spec
from telegram_router.telegrams import Spec

ROOT = Path(__file__).parents[2]
SOON = 3.0  # an upper bound for what should take milliseconds
QUIET = 0.03  # how long nothing must come

# --- telegrams ------------------------------------------------------------------------------------------------------

# What no line of a log may hold, in any form. Made up, and like nothing that a clock or a counter writes.
ACCOUNT, PAYEE_ACCOUNT, RESIDENT, PASSWORD, NAME = "110998877665", "3020445566778", "8811237654321", "PW7391XQ", "뷁똠방각하"
CANARIES = (ACCOUNT, PAYEE_ACCOUNT, RESIDENT, PASSWORD, NAME)


@functools.cache
def spec_named(name: str) -> Spec:
    """A spec that ships with the router, or one of the tests' own."""
    places = [ROOT / "specs" / f"{name}.py", ROOT / "tests" / "corpus" / "specs" / f"{name}.py"]
    return read_spec(next(place for place in places if place.is_file()))


def place_of(frame: bytes, name: str, spec: str = "firmbanking") -> slice:
    """Where a field stands in a frame."""
    layout = spec_named(spec)
    message = layout.message_of(frame)
    if message is None:
        return layout.header_slice(name)
    planned = message.field(name)
    assert planned is not None, f"{message.name} has no {name}"
    return slice(layout.framing.prefix + planned.offset, layout.framing.prefix + planned.end)


def put(frame: bytes, spec: str = "firmbanking", **fields: str | bytes | int) -> bytes:
    """The frame with other bytes in some fields: a number zero-filled, a text blank-filled, bytes as they are."""
    for name, value in fields.items():
        place = place_of(frame, name, spec)
        width = place.stop - place.start
        if isinstance(value, int):
            raw = b"%0*d" % (width, value)
        else:
            raw = (value.encode("cp949") if isinstance(value, str) else value).ljust(width)
        assert len(raw) == width, f"{name} holds {width} bytes"
        frame = frame[: place.start] + raw + frame[place.stop :]
    return frame


def field(frame: bytes, name: str, spec: str = "firmbanking") -> str:
    """What stands in a field, blanks behind it left out."""
    return frame[place_of(frame, name, spec)].decode("cp949").rstrip()


@functools.cache
def sample(message: str, spec: str = "firmbanking") -> bytes:
    return (ROOT / "specs" / "samples" / spec / f"{message}.telegram").read_bytes()


def telegram(message: str, spec: str = "firmbanking", number: int = 1, **fields: str | bytes | int) -> bytes:
    """A sample with its own message number, and some fields otherwise."""
    return put(sample(message, spec), spec, message_number=number, **fields)


def transfer(number: int = 1, **fields: str | bytes | int) -> bytes:
    """A transfer full of what must never be logged."""
    own = {"withdrawal_account": ACCOUNT, "passbook_password": PASSWORD, "deposit_account": PAYEE_ACCOUNT, "deposit_id_number": RESIDENT}
    return telegram("transfer.request", number=number, **{**own, "deposit_holder": NAME, "memo": NAME[:5], **fields})


def credit(number: int = 1, **fields: str | bytes | int) -> bytes:
    own = {"loan_account": ACCOUNT, "borrower": NAME, "borrower_id_number": RESIDENT, "payout_account": PAYEE_ACCOUNT, "memo": NAME}
    return telegram("credit.request", number=number, **{**own, **fields})


def balance(number: int = 1, **fields: str | bytes | int) -> bytes:
    return telegram("balance.request", number=number, **{"account": ACCOUNT, **fields})


def answer_to(frame: bytes, response_code: str = "0000", spec: str = "firmbanking") -> bytes:
    """What a host answers: the same telegram, its type one step on."""
    step = {"ksnet": 10}.get(spec, 100)
    code = {"ksnet": "ksnet_response"}.get(spec, "response_code")
    layout = spec_named(spec)
    place, answered = layout.header_slice("message_type"), layout.header_slice(code)
    kind = b"%04d" % (int(frame[place]) + step)
    frame = frame[: place.start] + kind + frame[place.stop :]
    return frame[: answered.start] + response_code.encode().ljust(4) + frame[answered.stop :]


def reframed(telegram: bytes, length: int | None = None) -> bytes:
    """A firm banking frame of any telegram bytes, with any length in front."""
    return b"%04d" % (len(telegram) if length is None else length) + telegram


# --- the log --------------------------------------------------------------------------------------------------------


class Lines:
    """What a router has logged so far."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue().decode("ascii")

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, code: str) -> list[dict[str, Any]]:
        """Lines that carry a code."""
        return [line for line in self.all() if line.get("code") == code]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["event"] == event]

    @property
    def codes(self) -> list[str]:
        """Every code in the order of the lines."""
        return [line["code"] for line in self.all() if "code" in line]


def forms(canary: str) -> Iterator[str]:
    """How a text may show up in a log: as it is, as bytes of some encoding, in hex, in base64."""
    yield canary
    yield json.dumps(canary)[1:-1]
    for encoding in ("cp949", "utf-8", "utf-16-be"):
        raw = canary.encode(encoding)
        yield raw.hex()
        yield raw.hex(" ")
        yield repr(raw)[2:-1]
        for shift in range(3):  # base64 looks different at each of three places of a longer text
            yield base64.b64encode(b"x" * shift + raw)[4 if shift else 0 :].decode().rstrip("=")[:-2]


SHOWN = tuple(form for canary in CANARIES for form in forms(canary))


def betrayed(text: str) -> list[str]:
    """The canaries that a text shows."""
    return [form for form in SHOWN if form in text]


# --- the router -----------------------------------------------------------------------------------------------------


class Running:
    """A router at work."""

    def __init__(self, router: Router, lines: Lines) -> None:
        self.router = router
        self.switch = router.switch
        self.log = lines
        self.exit_code: int | None = None
        self.clients: list[Client] = []

    def address(self, listener: str = "companies") -> tuple[str, int]:
        return self.router.addresses[listener]

    async def connect(
        self,
        listener: str = "companies",
        tls: ssl.SSLContext | None = None,
        name: str = "router.example",
        small: bool = False,
        source: str = "",
    ) -> Client:
        """A client; `small`: with the smallest receive buffer there is; `source`: from another address of this machine."""
        sock = trio.socket.socket()
        if source:
            await sock.bind((source, 0))
        if small:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        await sock.connect(self.address(listener))
        sock.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        stream: Any = trio.SocketStream(sock)
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_hostname=name, https_compatible=True)
        spec = self.switch.listeners[listener].spec
        client = Client(stream, spec)
        self.clients.append(client)
        return client

    async def until(self, holds: Callable[[], object], why: str = "") -> None:
        """Wait until something that the router does by itself has happened."""
        with trio.move_on_after(SOON):
            while not holds():  # noqa: ASYNC110  (nothing announces it)
                await trio.sleep(0.002)
            return
        raise AssertionError(f"never came true{why and ': '}{why}; the log:\n{self.log.text}")

    async def logged(self, code: str, times: int = 1) -> list[dict[str, Any]]:
        """The lines with this code, once there are that many."""
        await self.until(lambda: len(self.log.of(code)) >= times, code)
        return self.log.of(code)

    async def reload(self, text: str) -> None:
        """Have another text in the file, by which it goes on."""
        self.router.plan.path.write_text(text, "utf-8")
        report = await self.router.reload()
        assert report.sound, report.problems

    async def linked(self, *services: str) -> None:
        """Wait until services have a link."""
        for service in services:
            await self.until(lambda name=service: self.switch.services[name].links, f"link of {service}")  # type: ignore[misc]

    def look_back(self) -> None:
        """What must hold of every run, whatever came in."""
        assert self.router.hub.containments == 0, self.log.text
        assert not self.log.named("bug"), self.log.text
        assert not betrayed(self.log.text), betrayed(self.log.text)
        assert self.switch.idle
        assert not any(peer.open for listener in self.switch.listeners.values() for peer in listener.sessions)


@contextmanager
def _as_it_was() -> Iterator[None]:
    """A router tunes the collector and looks for handlers beside its configuration: not for the rest of the tests."""
    path, threshold = list(sys.path), gc.get_threshold()
    try:
        with patch.object(gc, "freeze"):
            yield
    finally:
        sys.path[:] = path
        gc.set_threshold(*threshold)


@asynccontextmanager
async def running(config: str, folder: Path | None = None) -> AsyncIterator[Running]:
    """A router for a configuration's text. `folder`: where the file is put, and so where its names are looked for."""
    with tempfile.TemporaryDirectory() as made, _as_it_was():
        file = (folder or Path(made)) / "router.toml"
        file.write_text(config, "utf-8")
        lines = Lines()
        log = open_log("debug", lines.stream)
        running = Running(Router(read_plan(file), log), lines)

        async def serve(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            running.exit_code = await running.router.run(task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            try:
                yield running
            finally:
                with trio.CancelScope(shield=True):
                    for client in running.clients:
                        await client.goes()
                running.router.stop()
        running.look_back()


@asynccontextmanager
async def serving(core: Host, more: str, folder: Path) -> AsyncIterator[tuple[Running, Client]]:
    """A router with its file in `folder` and a client of it. It remembers there, for the next one, what was counted."""
    async with running(config(core, more=more), folder) as router:
        await router.linked("core")
        yield router, await router.connect()


def config(
    core: Host | HostOfBytes | None = None,
    steady: Host | None = None,
    *,
    spec: str = "firmbanking",
    listener: str = "",
    service: str = "",
    route: str = "",
    more: str = "",
) -> str:
    """Companies ask `core` for everything but balances, which `steady` answers; either may be left out.

    `listener`, `service` and `route` are further keys of the listener, of core and of core's route; `more` are further tables.
    """
    text = f"""
        specs = "{ROOT / "tests" / "corpus" / "specs"}"
        drain = "500ms"
        [listeners.companies]
        address = "127.0.0.1:0"
        spec = "{spec}"
        {_unless_given(listener, frame_timeout="150ms", write_timeout="200ms", handshake_timeout="200ms", timeout=_patience(core))}
        {listener}
        {more}
    """
    if core is not None:
        text += _service("core", core, service) + f'[[routes]]\nlistener = "companies"\nservice = "core"\ndefault = true\n{route}\n'
    if steady is not None:
        text += _service("steady", steady) + (
            '[[routes]]\nlistener = "companies"\nservice = "steady"\nmatch = { message_type = "7000", business_code = "200" }\n'
        )
    return text


def _service(name: str, host: Host | HostOfBytes, keys: str = "") -> str:
    usual = _unless_given(
        keys, timeout=_patience(host), reconnect_min="10ms", reconnect_max="50ms", frame_timeout="150ms", write_timeout="200ms"
    )
    return f'[services.{name}]\nbackends = ["{host.address}"]\n{usual}\n{keys}\n'


def _patience(host: Host | HostOfBytes | None) -> str:
    """A host that answers is waited for: where much else runs, it may be slow. For one that does not, nobody should wait for long."""
    return "1s" if isinstance(host, Host) and host.behave is answers else "200ms"


def _unless_given(keys: str, **usual: str) -> str:
    given = {line.partition("=")[0].strip() for line in keys.splitlines()}
    return "\n".join(f'{key} = "{value}"' for key, value in usual.items() if key not in given)


def problems_with(folder: Path, table: str) -> Sequence[ConfigProblem]:
    """What `check` says of a small configuration with this table in it."""
    file = folder / "router.toml"
    file.write_text(
        '[listeners.companies]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n[services.core]\nbackends = ["127.0.0.1:9"]\n'
        f'[[routes]]\nlistener = "companies"\nservice = "core"\ndefault = true\n{table}\n'
    )
    with pytest.raises(ConfigError) as error:
        read_plan(file)
    return error.value.problems


@asynccontextmanager
async def good_neighbour(router: Running, listener: str = "companies", tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A well-behaved session of the same router: it exchanges a telegram before and after, on one and the same connection."""
    if "steady" in router.switch.services:  # or on a busy machine the time to connect is taken from that of the answer
        await router.linked("steady")
    neighbour = await router.connect(listener, tls)
    spec = router.switch.listeners[listener].spec.name
    before, after = (telegram("balance.request", spec, number) for number in (900_001, 900_002))
    assert await neighbour.asks(before) == answer_to(before, spec=spec)
    yield neighbour
    assert await neighbour.asks(after) == answer_to(after, spec=spec)


# --- clients --------------------------------------------------------------------------------------------------------


class Client:
    """One client's connection."""

    def __init__(self, stream: Any, spec: Spec) -> None:
        self.stream = stream
        self._cut = spec.framing.cutter(min(spec.header_size, 1))
        self._buffer = b""

    async def sends(self, data: bytes) -> None:
        """Bytes to the router; it may have closed already."""
        with trio.fail_after(SOON), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(data)

    async def got(self) -> bytes:
        """The next whole frame. AssertionError when the router closes instead."""
        with trio.fail_after(SOON):
            while True:
                frames, stop = self._cut(self._buffer, 0, 1)
                if frames:
                    self._buffer = self._buffer[stop:]
                    return frames[0]
                data = await self._receive()
                assert data, "closed by the router"
                self._buffer += data

    async def _receive(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(65_536))
        except trio.BrokenResourceError:
            return b""

    async def asks(self, frame: bytes) -> bytes:
        await self.sends(frame)
        return await self.got()

    async def closed(self) -> bytes:
        """Whatever still comes until the router closes."""
        with trio.fail_after(SOON):
            while data := await self._receive():
                self._buffer += data
        rest, self._buffer = self._buffer, b""
        return rest

    async def got_nothing(self, seconds: float = QUIET) -> None:
        """The session is open and nothing comes."""
        with trio.move_on_after(seconds):
            data = await self._receive()
            raise AssertionError(f"got {len(data)} bytes" if data else "closed by the router")
        assert not self._buffer

    async def hangs_up(self) -> None:
        """FIN: it sends no more, and still reads."""
        await self.stream.send_eof()

    async def goes(self) -> None:
        await trio.aclose_forcefully(self.stream)


# --- hosts ----------------------------------------------------------------------------------------------------------

Behaviour = Callable[["Line", bytes], Awaitable[None]]


class Line:
    """One connection at a host or an HTTP service."""

    def __init__(self, stream: Any, spec: str) -> None:
        self.stream = stream
        self.spec = spec

    async def sends(self, data: bytes) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(data)

    async def closes(self) -> None:
        await trio.aclose_forcefully(self.stream)


async def answers(line: Line, frame: bytes) -> None:
    await line.sends(answer_to(frame, spec=line.spec))


async def keeps_silent(line: Line, frame: bytes) -> None:
    pass


def says(*parts: bytes, then_close: bool = False) -> Behaviour:
    """Answers everything with these bytes, each part on its own."""

    async def behave(line: Line, _frame: bytes) -> None:
        for part in parts:
            await line.sends(part)
            await trio.sleep(0.001)
        if then_close:
            await line.closes()

    return behave


async def closes(line: Line, _frame: bytes) -> None:
    await line.closes()


class _Server:
    """A TCP server on a port of its own, for as long as the `async with` lasts."""

    def __init__(self, tls: ssl.SSLContext | None = None, spec: str = "") -> None:
        self.tls = tls
        self.spec = spec
        self.lines: list[Line] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def line(self) -> Line:
        """The connection made last."""
        return self.lines[-1]

    async def __aenter__(self) -> Any:
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        self._nursery.start_soon(functools.partial(trio.serve_listeners, self._connected, listeners))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> Any:
        self._nursery.cancel_scope.cancel()
        return await self._nursery_manager.__aexit__(kind, value, trace)

    async def _connected(self, stream: Any) -> None:
        if self.tls is not None:
            stream = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=True)
        line = Line(stream, self.spec)
        try:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                if self.tls is not None:
                    await stream.do_handshake()
                self.lines.append(line)
                await self.serve(line)
        finally:
            await trio.aclose_forcefully(stream)

    async def serve(self, line: Line) -> None:
        raise NotImplementedError


class Host(_Server):
    """A telegram host. `frames` is all that reached it; `behave` is called for each, and may be changed at any time."""

    def __init__(
        self, behave: Behaviour = answers, *, spec: str = "firmbanking", layout: Spec | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """`layout`: instead of a spec that ships with the router."""
        super().__init__(tls, spec)
        self.behave = behave
        self.frames: list[bytes] = []
        layout = layout or spec_named(spec)
        self._cut = layout.framing.cutter(layout.header_size)

    async def reached(self, count: int = 1) -> None:
        """Wait until that many telegrams have come."""
        with trio.fail_after(SOON):
            while len(self.frames) < count:  # noqa: ASYNC110  (nothing announces it)
                await trio.sleep(0.002)

    async def serve(self, line: Line) -> None:
        buffer = b""
        while data := await line.stream.receive_some(65_536):
            frames, stop = self._cut(buffer + data, 0, 1_000_000)
            buffer = (buffer + data)[stop:]
            for frame in frames:
                self.frames.append(frame)
                await self.behave(line, frame)


class HostOfBytes(_Server):
    """A host that reads `size` bytes of each connection, then closes it or, without a size, reads on for ever."""

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.got = b""

    async def serve(self, line: Line) -> None:
        while self.size is None or len(self.got) < self.size:
            data = await line.stream.receive_some(65_536 if self.size is None else self.size - len(self.got))
            if not data:
                return
            self.got += data


class HttpService(_Server):
    """An HTTP service that answers each request with the bytes that it was given, whatever they are.

    `requests` holds (head, body) of all that reached it.
    """

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.behave = behave
        self.requests: list[tuple[bytes, bytes]] = []

    async def serve(self, line: Line) -> None:
        buffer = b""
        while data := await line.stream.receive_some(65_536):
            buffer += data
            while b"\r\n\r\n" in buffer:
                head, _, rest = buffer.partition(b"\r\n\r\n")
                size = next((int(each.split(b":")[1]) for each in head.split(b"\r\n") if each.lower().startswith(b"content-length:")), 0)
                if len(rest) < size:
                    break
                self.requests.append((head, rest[:size]))
                buffer = rest[size:]
                await self.behave(line, head)


def http(body: bytes | Mapping[str, Any], status: str = "200 OK", headers: Sequence[str] = (), kind: str = "application/json") -> bytes:
    """The bytes of an HTTP answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


@asynccontextmanager
async def companies(behave: Behaviour = answers, **keys: str) -> AsyncIterator[tuple[Running, Host]]:
    """A router between companies and the host `core`, with a good neighbour who exchanges telegrams before and after."""
    async with Host(behave) as core, Host() as steady, running(config(core, steady, **keys)) as router, good_neighbour(router):
        await router.linked("core", "steady")
        yield router, core
