"""Where the hosts of a service connect to us: told who they are, held to their number of links, and from then on links like any other."""

# Rules this file keeps, all of them tested:
#
# 1. Nobody gets a link who has not been told apart: by address before TLS, by certificate at the end of its handshake, by its sign-on
#    where that is demanded; then nothing else is taken before it.
# 2. A backend has at most `links` links that are given requests. By default one more replaces the oldest, because a host that
#    has lost its side of a link knows it before we do, and would be locked out until the kernel gives the old one up.
# 3. A link that was replaced is given nothing more, and closed when what it has is answered, at the latest after the reply timeout:
#    if it was alive after all, no answer is thrown away. As many of them may be left as there are links.

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from telegram_router.errors import CODES, Delivery, RouterError
from telegram_router.routing import Peer, Service
from telegram_router.routing.callers import Callers
from telegram_router.wire.calling import CallingConnection
from telegram_router.wire.connection import Connection, Limits
from telegram_router.wire.door import Door, Proxies
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.links import REMOVED, LinkKeeper, Outcomes
from telegram_router.wire.options import prepare
from telegram_router.wire.parting import part_with_links
from telegram_router.wire.proxy_header import Host
from telegram_router.wire.telegram_connection import Reader, TelegramConnection
from telegram_router.wire.tls import TlsLayer

REPLACED = "replaced by a newer link"
STRANGERS = 16  # connections at a time of whom we do not know yet who they are, beyond those of all backends


@dataclass(frozen=True)
class Terms:
    """By what a door lets backends in. Times in seconds."""

    callers: Callers
    limits: Limits
    links: int
    extra: Literal["replace", "refuse"]
    patience: float  # for what a replaced link still owes
    tls: ssl.SSLContext | None = None
    proxies: Proxies | None = None

    @property
    def most(self) -> int:
        """Connections at a time, those among them that are replaced or strangers."""
        return most_connections(self.links, len(self.callers.backends))

    @property
    def strangers(self) -> int:
        """Connections at a time of whom we do not know yet who they are."""
        return self.links * len(self.callers.backends) + STRANGERS


def most_connections(links: int, backends: int) -> int:
    return 2 * links * backends + STRANGERS


@dataclass
class _Link:
    """A link that has come in here, and by what it was told."""

    connection: TelegramConnection
    peer: Peer
    backend: str
    host: str
    names: frozenset[str]
    sign_on: bytes
    outcomes: Outcomes
    up: bool = False


class BackendDoor(Door):
    """The door of one service."""

    def __init__(
        self, hub: Hub, service: Service, sock: socket.socket, terms: Terms, outcomes: Callable[[str], Outcomes], log: Log
    ) -> None:  # fmt: skip
        super().__init__(hub, service.name, sock, log, terms.proxies)
        self.service = service
        self._terms = terms
        self._outcomes = outcomes
        self._reader = Reader(service.spec, terms.limits.max_frame)
        self._links: list[_Link] = []  # oldest first; at most Terms.most
        self.open = 0
        self.refused = dict.fromkeys(("E-BCK-12", "E-BCK-13", "E-TLS-07", "E-TXN-03"), 0)  # connections, by code

    @property
    def backends(self) -> list[str]:
        return self._terms.callers.backends

    @property
    def peers(self) -> list[Peer]:
        return [each.peer for each in self._links]

    def adopt(self, terms: Terms) -> list[Peer]:
        """By these from now on. Returns the links of hosts that are now told otherwise; they are the caller's to end."""
        before, self._terms, self.proxies = self._terms, terms, terms.proxies
        if terms.limits != before.limits:
            self._reader = Reader(self.service.spec, terms.limits.max_frame)
        if terms.callers == before.callers:
            return []
        return [each.peer for each in self._links if terms.callers.identify(each.host, each.names, each.sign_on) != each.backend]

    def has_room(self) -> bool:
        unknown = self.open + self.greeted - len(self._links)
        return self.open + self.greeted < self._terms.most and unknown < self._terms.strangers

    def turn_away(self, sock: socket.socket) -> None:
        sock.close()
        self._refused(RouterError("E-BCK-13", f"{self.open} connections are open here", do=CODES["E-BCK-13"].do))

    def _refused(self, error: RouterError, **told: str) -> None:
        """Count it and say it."""
        self.refused[error.code] = self.refused.get(error.code, 0) + 1
        self.tell("backend_refused", code=error.code, refused=sum(self.refused.values()), **told, **error.parts())

    def welcome(self, sock: socket.socket, client: Host, told: dict[str, str]) -> None:
        terms = self._terms
        if not terms.callers.expects(client[0]):
            sock.close()
            what = "no backend of the service is expected from this address"
            self._refused(RouterError("E-BCK-12", what, do=CODES["E-BCK-12"].do), **told)
            return
        self.open += 1
        prepare(sock, terms.limits.keepalive, terms.limits.write_timeout)
        tls = TlsLayer(terms.tls, "server") if terms.tls is not None else None
        name = f"{self.service.name}#{next(LinkKeeper.numbers)}"
        kind = CallingConnection if terms.callers.sign_on else TelegramConnection
        link = kind(sock, name, terms.limits, self._reader, is_session=False, tls=tls)
        link.on_open = partial(self._opened, told, client[0])
        link.on_closed = self._closed
        self._hub.enter(lambda now: self._hub.add(link, now))

    def _opened(self, told: dict[str, str], host: str, connection: Connection) -> None:
        assert isinstance(connection, TelegramConnection)
        names = connection.tls.certificate_names() if connection.tls is not None else frozenset()
        if isinstance(connection, CallingConnection) and self._terms.callers.awaits_sign_on(host, names):
            connection.on_first = partial(self._signed_on, told, host, names)
            return
        backend = self._terms.callers.identify(host, names)
        if backend is None:
            code = "E-TLS-07" if connection.tls is not None else "E-BCK-12"
            what = "address and certificate together are none of the service's backends, or could be several"
            self._drop(connection, RouterError(code, what, where=told["peer"], do=CODES[code].do))
        else:
            self.admit(connection, backend, host, names, told)

    def _signed_on(
        self, told: dict[str, str], host: str, names: frozenset[str], connection: TelegramConnection, frame: bytes, now: float
    ) -> None:  # fmt: skip
        """Its first telegram has come."""
        spec = self.service.spec
        message, formalities = spec.message_of(frame), spec.formalities
        backend = self._terms.callers.identify(host, names, frame)
        signs = message is not None and formalities is not None and formalities.role_of(message.name) == "sign_on"
        if formalities is None or message is None or not signs or not message.min_frame <= len(frame) <= message.max_frame:
            self._turn_down(connection, frame, RouterError("E-TXN-03", "its first telegram is no sign-on", do=CODES["E-TXN-03"].do), told)
        elif backend is None:
            what = "its sign-on is that of none of the service's backends, or address or certificate are not"
            self._turn_down(connection, frame, RouterError("E-BCK-12", what, do=CODES["E-BCK-12"].do), told)
        elif self._has_enough(backend):
            what = f"{backend} has as many links as it may"
            self._turn_down(connection, frame, RouterError("E-BCK-13", what, do=CODES["E-BCK-13"].do), told)
        else:
            self.admit(connection, backend, host, names, told, frame, formalities.yes(frame) or b"")
            if connection.peer is not None:
                self._hub.by_peer[connection.peer] = connection

    def _turn_down(self, connection: TelegramConnection, frame: bytes, error: RouterError, told: dict[str, str]) -> None:
        assert isinstance(connection, CallingConnection)
        answer = self.service.spec.error_reply(frame, error.code, Delivery.NOT_SENT)
        if answer is not None:
            connection.say(answer)
        self._refused(error, **told)
        self._hub.drop(connection, error.code)

    def _known(self, backend: str) -> list[_Link]:
        return [each for each in self._links if each.backend == backend and not each.peer.retired]

    def _has_enough(self, backend: str) -> bool:
        return self._terms.extra == "refuse" and len(self._known(backend)) >= self._terms.links

    def admit(
        self,
        connection: TelegramConnection,
        backend: str,
        host: str,
        names: frozenset[str],
        told: dict[str, str],
        sign_on: bytes = b"",
        answer: bytes = b"",
    ) -> None:
        """It is known who this is: from here on it is a link of the service, unless the backend has enough of them."""
        terms = self._terms
        known = self._known(backend)
        if self._has_enough(backend):
            what = f"{backend} has {len(known)} links, as many as it may"
            self._drop(connection, RouterError("E-BCK-13", what, where=told["peer"], do=CODES["E-BCK-13"].do))
            return
        now = self._hub.clock()
        peer = connection.peer = self._hub.switch.add_link(self.service, connection.name, backend, now, first=answer)
        link = _Link(connection, peer, backend, host, names, sign_on[: self.service.header_end], self._outcomes(backend))
        self._links.append(link)
        if peer in self.service.joining:
            self._log.info("link_signing_on", connection=connection.name, service=self.service.name, backend=backend, **told)
            connection.on_ready = partial(self._ready, link, told)
        else:
            self._ready(link, told, connection)
        for old in known[: len(known) + 1 - terms.links]:
            self._replace(old, connection.name, now)

    def _ready(self, link: _Link, told: dict[str, str], _: Connection) -> None:
        if link.up:
            return  # it was closed for the night, and has signed on again
        link.up = True
        link.outcomes.connected += 1
        link.outcomes.up += 1
        self._log.info("link_up", connection=link.connection.name, service=self.service.name, backend=link.backend, **told)

    def _replace(self, old: _Link, by: str, now: float) -> None:
        self._log.warning(
            "link_replaced", connection=old.connection.name, service=self.service.name, backend=old.backend, by=by, in_flight=old.peer.load
        )
        self._hub.switch.retire(old.peer)
        self._hub.switch.elect(self.service, now)
        leaving = [each for each in self._links if each.backend == old.backend and each.peer.retired]
        for each in leaving[: max(0, len(leaving) - self._terms.links)]:
            self._hub.drop(each.connection, REPLACED)
        if self.tasks is None:
            self._hub.drop(old.connection, REPLACED)
        else:
            self.tasks.start_soon(part_with_links, self._hub, [old.peer], self._terms.patience, REPLACED)

    def _drop(self, connection: TelegramConnection, error: RouterError) -> None:
        self.refused[error.code] = self.refused.get(error.code, 0) + 1
        if connection.tls is not None:
            connection.tls.goodbye()
            connection.send_alert()
        self._hub.drop(connection, error.code, error)

    def _closed(self, connection: Connection, reason: str) -> None:
        self.open -= 1
        found = next((each for each in self._links if each.connection is connection), None)
        if found is None:
            if isinstance(connection, CallingConnection) and connection.on_first is not None and reason in self.refused:
                self.refused[reason] += 1  # it never signed on
            return  # nobody knew who it was
        self._links.remove(found)
        found.outcomes.up -= found.up
        found.outcomes.why = reason
        tell = self._log.info if reason in ("stopped", REMOVED, REPLACED) else self._log.warning
        tell("link_lost", connection=connection.name, service=self.service.name, backend=found.backend, reason=reason)
