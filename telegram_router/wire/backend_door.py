"""Where the hosts of a service connect to us: told who they are, held to their number of links, and from then on links like any other."""

# Rules this file keeps, all of them tested:
#
# 1. Nobody gets a link who has not been told apart: by address before TLS, by certificate at the end of its handshake.
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

from telegram_router.errors import CODES, RouterError
from telegram_router.routing import Peer, Service
from telegram_router.routing.callers import Callers
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
STRANGERS = 16  # connections at a time of whom we do not know yet who they are


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
        self.refused = 0

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
        return [each.peer for each in self._links if terms.callers.identify(each.host, each.names) != each.backend]

    def has_room(self) -> bool:
        return self.open + self.greeted < self._terms.most

    def turn_away(self, sock: socket.socket) -> None:
        sock.close()
        self.refused += 1
        error = RouterError("E-BCK-13", f"{self.open} connections are open here", do=CODES["E-BCK-13"].do)
        self.tell("backend_refused", code=error.code, refused=self.refused, **error.parts())

    def welcome(self, sock: socket.socket, client: Host, told: dict[str, str]) -> None:
        terms = self._terms
        if not terms.callers.expects(client[0]):
            sock.close()
            self.refused += 1
            error = RouterError("E-BCK-12", "no backend of the service is expected from this address", do=CODES["E-BCK-12"].do)
            self.tell("backend_refused", code=error.code, refused=self.refused, **told, **error.parts())
            return
        self.open += 1
        prepare(sock, terms.limits.keepalive, terms.limits.write_timeout)
        tls = TlsLayer(terms.tls, "server") if terms.tls is not None else None
        name = f"{self.service.name}#{next(LinkKeeper.numbers)}"
        link = TelegramConnection(sock, name, terms.limits, self._reader, is_session=False, tls=tls)
        link.on_open = partial(self._opened, told, client[0])
        link.on_closed = self._closed
        self._hub.enter(lambda now: self._hub.add(link, now))

    def _opened(self, told: dict[str, str], host: str, connection: Connection) -> None:
        assert isinstance(connection, TelegramConnection)
        names = connection.tls.certificate_names() if connection.tls is not None else frozenset()
        backend = self._terms.callers.identify(host, names)
        if backend is None:
            code = "E-TLS-07" if connection.tls is not None else "E-BCK-12"
            what = "address and certificate together are none of the service's backends, or could be several"
            self._drop(connection, RouterError(code, what, where=told["peer"], do=CODES[code].do))
        else:
            self.admit(connection, backend, host, names, told)

    def admit(self, connection: TelegramConnection, backend: str, host: str, names: frozenset[str], told: dict[str, str]) -> None:
        """It is known who this is: from here on it is a link of the service, unless the backend has enough of them."""
        terms = self._terms
        known = [each for each in self._links if each.backend == backend and not each.peer.retired]
        if len(known) >= terms.links and terms.extra == "refuse":
            what = f"{backend} has {len(known)} links, as many as it may"
            self._drop(connection, RouterError("E-BCK-13", what, where=told["peer"], do=CODES["E-BCK-13"].do))
            return
        now = self._hub.clock()
        peer = connection.peer = self._hub.switch.add_link(self.service, connection.name, backend, now)
        link = _Link(connection, peer, backend, host, names, self._outcomes(backend))
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
        self.refused += 1
        if connection.tls is not None:
            connection.tls.goodbye()
            connection.send_alert()
        self._hub.drop(connection, error.code, error)

    def _closed(self, connection: Connection, reason: str) -> None:
        self.open -= 1
        found = next((each for each in self._links if each.connection is connection), None)
        if found is None:
            return  # nobody knew who it was
        self._links.remove(found)
        found.outcomes.up -= found.up
        found.outcomes.why = reason
        tell = self._log.info if reason in ("stopped", REMOVED, REPLACED) else self._log.warning
        tell("link_lost", connection=connection.name, service=self.service.name, backend=found.backend, reason=reason)
