"""Accept clients and hand them to the hub."""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
import ssl
from functools import partial

import trio

from telegram_router.errors import RouterError
from telegram_router.routing import Listener
from telegram_router.wire.connection import Connection, Limits
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.options import prepare
from telegram_router.wire.telegram_connection import Reader, TelegramConnection
from telegram_router.wire.tls import TlsLayer

BACKLOG = 1024
ACCEPT_AT_ONCE = 16  # a new TLS session costs a tenth of a millisecond, and the others wait for it
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_WHEN_OUT_OF_FILES = 0.1
REFUSALS_BETWEEN_LINES = 1.0
IPV4_IN_IPV6 = "::ffff:"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises RouterError E-CFG-09 when the address cannot be had."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_bind(host, port, error) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _cannot_bind(host, port, error) from None
    sock.setblocking(False)
    return sock


def _cannot_bind(host: str, port: int, error: OSError) -> RouterError:
    why = "the address is in use" if error.errno == errno.EADDRINUSE else error.strerror or "unknown reason"
    return RouterError("E-CFG-09", f"cannot listen on {host}:{port}: {why}", do="stop whoever holds it, or choose another address")


class Acceptor:
    """One listener's door: who comes in, and who is turned away."""

    def __init__(
        self, hub: Hub, listener: Listener, sock: socket.socket, limits: Limits, max_sessions: int, log: Log,
        tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._hub = hub
        self.listener = listener
        self._sock = sock
        name = sock.getsockname()
        self.address: tuple[str, int] = (name[0], name[1])  # known when the door has been taken away, too
        self._limits = limits
        self._max = max_sessions
        self._log = log
        self._tls = tls
        self._reader = Reader(listener.spec, limits.max_frame)
        self.numbers = itertools.count(1)
        self._told_at = float("-inf")
        self._at_door = trio.CancelScope()
        self.open = 0
        self.total = 0
        self.turned_away = 0

    def adopt(self, limits: Limits, max_sessions: int, tls: ssl.SSLContext | None) -> None:
        """By these for sessions that come from now on; those that are there stay as they are."""
        self._max, self._tls = max_sessions, tls
        if limits != self._limits:
            self._limits, self._reader = limits, Reader(self.listener.spec, limits.max_frame)

    async def run(self) -> None:
        """Accept until the door is given away. A full table of files pauses accepting; it never ends it."""
        while self.accepting:
            with trio.CancelScope() as self._at_door:
                await self._accept(self._sock)

    def move(self, sock: socket.socket) -> socket.socket:
        """Accept at this socket from now on. Returns the one before, with nobody waiting at it."""
        before, self._sock = self.give_away(), sock
        name = sock.getsockname()
        self.address = name[0], name[1]
        return before

    def give_away(self) -> socket.socket:
        """Let in who has knocked already and accept no more: the socket is the caller's."""
        sock, self._sock = self._sock, socket.socket()
        self._sock.close()
        self._at_door.cancel()
        with contextlib.suppress(OSError):
            for _ in range(BACKLOG):
                self._admit(*sock.accept())
        return sock

    async def _accept(self, sock: socket.socket) -> None:
        while True:
            try:
                await trio.lowlevel.wait_readable(sock)
            except trio.ClosedResourceError:
                return
            try:
                # Many at a time: under load this task gets its turn only every few milliseconds.
                for _ in range(ACCEPT_AT_ONCE):
                    self._admit(*sock.accept())
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in OUT_OF_FILES:
                    continue  # that one connection died in the queue
                self._log.error("accept_paused", listener=self.listener.name, reason=errno.errorcode.get(error.errno, "?"))
                await trio.sleep(PAUSE_WHEN_OUT_OF_FILES)

    def _admit(self, sock: socket.socket, address: tuple[str, int]) -> None:
        if self.open >= self._max:
            self._turn_away(sock)
        else:
            self._let_in(sock, address)

    def close(self) -> None:
        """Take the door away: clients that dial now are refused by the kernel."""
        if self.accepting:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    @property
    def accepting(self) -> bool:
        """Whether the door is there."""
        return self._sock.fileno() >= 0

    def _turn_away(self, sock: socket.socket) -> None:
        sock.close()
        self.turned_away += 1
        now = self._hub.clock()
        if now - self._told_at >= REFUSALS_BETWEEN_LINES:
            self._told_at = now
            self._log.warning("session_refused", code="E-LIM-05", listener=self.listener.name, open=self.open, refused=self.turned_away)

    def _let_in(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.open += 1
        self.total += 1
        sock.setblocking(False)
        prepare(sock, self._limits.keepalive, self._limits.write_timeout)
        tls = TlsLayer(self._tls, "server") if self._tls is not None else None
        name = f"{self.listener.name}#{next(self.numbers)}"
        session = TelegramConnection(sock, name, self._limits, self._reader, is_session=True, tls=tls)
        host = address[0].removeprefix(IPV4_IN_IPV6)  # a door of both kinds, as systemd opens it: who comes is the same
        told = {"connection": name, "peer": f"{host}:{address[1]}"}
        session.on_open = partial(self._opened, told, host)
        session.on_closed = partial(self._closed, told)
        self._hub.enter(lambda now: self._hub.add(session, now))

    def _opened(self, told: dict[str, str], address: str, connection: Connection) -> None:
        names = connection.tls.peer_names() if connection.tls is not None else ()
        connection.peer = self._hub.switch.add_session(self.listener, connection.name, frozenset(names), address)
        self._log.info("session_accepted", **told, **({"certificate": names} if names else {}))

    def _closed(self, told: dict[str, str], connection: Connection, reason: str) -> None:
        self.open -= 1
        self._log.info("session_closed", **told, reason=reason)
