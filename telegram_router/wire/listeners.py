"""Accept clients and hand them to the hub."""

from __future__ import annotations

import itertools
import socket
import ssl
from functools import partial

from telegram_router.routing import Listener
from telegram_router.wire.connection import Connection, Limits
from telegram_router.wire.door import Door, Proxies
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.options import prepare
from telegram_router.wire.proxy_header import Host
from telegram_router.wire.telegram_connection import Reader, TelegramConnection
from telegram_router.wire.tls import TlsLayer


class Acceptor(Door):
    """One listener's door: who comes in, and who is turned away."""

    def __init__(
        self, hub: Hub, listener: Listener, sock: socket.socket, limits: Limits, max_sessions: int, log: Log,
        tls: ssl.SSLContext | None = None, proxies: Proxies | None = None,
    ) -> None:  # fmt: skip
        super().__init__(hub, listener.name, sock, log, proxies)
        self.listener = listener
        self._limits = limits
        self._max = max_sessions
        self._tls = tls
        self._reader = Reader(listener.spec, limits.max_frame)
        self.numbers = itertools.count(1)
        self.open = 0
        self.total = 0
        self.turned_away = 0

    def adopt(self, limits: Limits, max_sessions: int, tls: ssl.SSLContext | None, proxies: Proxies | None = None) -> None:
        """By these for sessions that come from now on; those that are there stay as they are."""
        self._max, self._tls, self.proxies = max_sessions, tls, proxies
        if limits != self._limits:
            self._limits, self._reader = limits, Reader(self.listener.spec, limits.max_frame)

    def has_room(self) -> bool:
        return self.open + self.greeted < self._max

    def turn_away(self, sock: socket.socket) -> None:
        sock.close()
        self.turned_away += 1
        self.tell("session_refused", code="E-LIM-05", open=self.open, refused=self.turned_away)

    def welcome(self, sock: socket.socket, client: Host, told: dict[str, str]) -> None:
        self.open += 1
        self.total += 1
        prepare(sock, self._limits.keepalive, self._limits.write_timeout)
        tls = TlsLayer(self._tls, "server") if self._tls is not None else None
        name = f"{self.name}#{next(self.numbers)}"
        session = TelegramConnection(sock, name, self._limits, self._reader, is_session=True, tls=tls)
        told = {"connection": name, **told}
        session.on_open = partial(self._opened, told, client[0])
        session.on_closed = partial(self._closed, told)
        self._hub.enter(lambda now: self._hub.add(session, now))

    def _opened(self, told: dict[str, str], address: str, connection: Connection) -> None:
        names = connection.tls.peer_names() if connection.tls is not None else ()
        connection.peer = self._hub.switch.add_session(self.listener, connection.name, frozenset(names), address, self._hub.clock())
        self._log.info("session_accepted", **told, **({"certificate": names} if names else {}))

    def _closed(self, told: dict[str, str], connection: Connection, reason: str) -> None:
        self.open -= 1
        self._log.info("session_closed", **told, reason=reason)
