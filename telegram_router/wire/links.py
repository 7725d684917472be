"""Dial backends, and dial them again: links to telegram hosts for ever, links to HTTP services when they are needed."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from telegram_router.errors import RouterError
from telegram_router.routing import Pair, Peer, Service
from telegram_router.wire.connection import Connection, Limits, Stage
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.options import prepare
from telegram_router.wire.poller import HANGUP, READ
from telegram_router.wire.telegram_connection import Reader, TelegramConnection
from telegram_router.wire.tls import TlsLayer
from telegram_router.written import Address

REMOVED = "removed"  # why a connection is closed whose backend, service or listener is no longer configured
_BIND_ADDRESS_NO_PORT = 24  # of Linux's in.h; Python 3.11 does not name it
SETTLE = 0.5  # how long a link beside others of its backend must stay open before it is used, unless the one before it did
STEADY = 10.0  # a link that was up this long starts the pauses anew


@dataclass(frozen=True)
class Backend:
    """One address of a service. Times in seconds."""

    host: str
    port: int
    connect_timeout: float = 5.0
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    keepalive: float = 30.0
    write_timeout: float = 10.0
    source: str | None = None  # the address of this machine to dial from
    source_port: int = 0  # likewise; 0 lets the system choose

    @property
    def name(self) -> str:
        return str(Address(self.host, self.port))

    def layer(self) -> TlsLayer | None:
        return TlsLayer(self.tls, "client", self.server_name or self.host) if self.tls is not None else None


@dataclass
class Outcomes:
    """What became of the attempts to connect to one backend."""

    connected: int = 0  # links that became usable
    failed: int = 0
    refused: int = 0  # those of them that got as far as the sign-on
    up: int = 0  # usable links right now
    settling: int = 0  # links that are open and not used yet
    # Not what was counted, so two that counted the same are equal:
    attempts: int = field(default=0, compare=False)  # in a row that came to nothing
    next_at: float | None = field(default=None, compare=False)  # the next one, by the hub's clock; None while nothing waits for it
    why: str = field(default="", compare=False)  # why the last link ended or did not come about


class Pauses:
    """How long to wait before dialling again: doubling, with full jitter. Chance comes in as an argument."""

    def __init__(self, shortest: float, longest: float, chance: Callable[[], float]) -> None:
        self._shortest = shortest
        self._longest = longest
        self._chance = chance
        self._ceiling = shortest

    def reset(self) -> None:
        self._ceiling = self._shortest

    def next(self) -> float:
        """Seconds; at least a tenth of the ceiling, so that a refused connection never becomes a busy loop."""
        pause = self._ceiling * max(0.1, self._chance())
        self._ceiling = min(self._ceiling * 2, self._longest)
        return pause


async def dial(backend: Backend) -> socket.socket:
    """A connected, non-blocking socket. Raises RouterError E-BCK-10."""
    try:
        with trio.fail_after(backend.connect_timeout):
            sock = await (_dial(backend) if backend.source is None else _dial_from(backend.source, backend.source_port, backend))
    except trio.TooSlowError:
        raise _unreachable(backend, f"no connection within {backend.connect_timeout:g} s") from None
    except OSError as error:
        raise _unreachable(backend, _reason(error)) from None
    sock.setblocking(False)
    prepare(sock, backend.keepalive, backend.write_timeout)
    return sock


async def _dial(backend: Backend) -> socket.socket:
    stream = await trio.open_tcp_stream(backend.host, backend.port)
    return socket.socket(fileno=stream.socket.detach())


async def _dial_from(source: str, port: int, backend: Backend) -> socket.socket:
    """The first address of the host that can be reached from ours, each in its turn."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    failed = OSError(errno.EADDRNOTAVAIL, f"the host has no address that {source} could reach")
    for _, kind, protocol, _, address in await trio.socket.getaddrinfo(backend.host, backend.port, family, socket.SOCK_STREAM):
        sock = trio.socket.socket(family, kind, protocol)
        try:
            await _bind_source(sock, source, port)
            await sock.connect(address)
        except OSError as error:
            sock.close()
            taken = port and error.errno == errno.EADDRNOTAVAIL
            failed = (
                OSError(errno.EADDRNOTAVAIL, f"{source}:{port} had a link there a moment ago; the system frees it in a minute")
                if taken
                else error
            )
        except BaseException:
            sock.close()
            raise
        else:
            return socket.socket(fileno=sock.detach())
    raise failed


async def _bind_source(sock: trio.socket.SocketType, source: str, port: int) -> None:
    # Links to several backends may share a port, and one that is dialled anew gets its port back from TIME_WAIT where the system allows it.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not port:  # the system chooses one when it knows both ends, so that many more fit
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    try:
        await sock.bind((source, port))
    except OSError as error:
        known = {
            errno.EADDRNOTAVAIL: f"the source address {source} is none of this machine",
            errno.EADDRINUSE: f"the source port {port} of {source} is in use",
            errno.EACCES: f"the source port {port} may be used by root alone",
        }
        raise OSError(errno.EINVAL, known.get(error.errno or 0, f"cannot dial from {source}: {error.strerror}")) from None


def _reason(error: OSError) -> str:
    """What the system says. trio wraps it, since a name may stand for several addresses."""
    cause = error.__cause__ or error
    each = cause.exceptions if isinstance(cause, BaseExceptionGroup) else (cause,)
    return "; ".join(dict.fromkeys(_text(one) for one in each))


def _text(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or type(error).__name__
    number = getattr(error, "errno", None)
    if number and text.startswith("Error connecting to"):  # trio's words around the system's; the address is told already
        return os.strerror(number)
    return text


def _unreachable(backend: Backend, why: str) -> RouterError:
    return RouterError("E-BCK-10", f"cannot connect: {why}", where=backend.name, do="check the address, the host and the network")


@dataclass(frozen=True)
class Half:
    """What a connection is in a one-way pair. `backend`: the name by which the service knows them both."""

    pair: Pair
    backend: str
    for_replies: bool = False

    @property
    def role(self) -> str:
        return "replies" if self.for_replies else "requests"


class LinkKeeper:
    """Keeps one link with one backend of a telegram service: dial, serve, pause, dial again.

    `half`: it is one of the two connections of a one-way pair.
    """

    numbers = itertools.count(1)

    def __init__(
        self, hub: Hub, service: Service, backend: Backend, limits: Limits, pauses: Pauses, outcomes: Outcomes, log: Log,
        half: Half | None = None,
    ) -> None:  # fmt: skip
        self._hub = hub
        self._service = service
        self._backend = backend
        self._limits = limits
        self._pauses = pauses
        self._outcomes = outcomes
        self._log = log
        self._half = half
        self._role = {"role": half.role} if half is not None else {}  # for the log
        self._reader = Reader(service.spec, limits.max_frame)
        self._link: TelegramConnection | None = None
        self._over = False
        self._granted = False  # its last link was up for a while: the host lets us have this one

    def adopt(self, backend: Backend, limits: Limits, pauses: Pauses) -> None:
        """By these from the next link on; the one that is there stays as it is."""
        self._backend, self._pauses = backend, pauses
        if limits != self._limits:
            self._limits, self._reader = limits, Reader(self._service.spec, limits.max_frame)

    def end(self) -> Peer | None:
        """Dial no more; `run` is the caller's to cancel. Returns the link that is still there."""
        self._over = True
        return self._link.peer if self._link is not None else None

    async def run(self) -> None:
        """For ever; every loss is followed by a jittered pause."""
        while True:
            try:
                sock = await dial(self._backend)
            except RouterError as error:
                self._failed(error.what)
                self._log.warning("connect_failed", code=error.code, service=self._service.name, **error.parts())
            else:
                await self._serve(sock)
            pause = self._pauses.next()
            self._outcomes.next_at = self._hub.clock() + pause
            await trio.sleep(pause)
            self._outcomes.next_at = None

    def _failed(self, why: str) -> None:
        self._outcomes.failed += 1
        self._outcomes.attempts += 1
        self._outcomes.why = why

    def _join(self, name: str, now: float) -> Peer:
        switch, half = self._hub.switch, self._half
        if half is None:
            return switch.add_link(self._service, name, self._backend.name, now)
        if half.for_replies:
            return switch.add_reply_link(self._service, name, half.backend, half.pair, now)
        return switch.add_link(self._service, name, half.backend, now, half.pair)

    async def _serve(self, sock: socket.socket) -> None:
        begun, gone = trio.Event(), trio.Event()
        name = f"{self._service.name}#{next(self.numbers)}"
        link = TelegramConnection(sock, name, self._limits, self._reader, is_session=False, tls=self._backend.layer())
        up_at: list[float] = []
        was_open = settling = False
        self._link = link

        def join(connection: Connection, now: float) -> None:
            peer = connection.peer = self._join(name, now)
            if peer in self._service.joining:
                self._log.info("link_signing_on", connection=name, service=self._service.name, backend=self._backend.name)
            else:
                ready(connection)

        def opened(connection: Connection) -> None:
            nonlocal was_open, settling
            was_open = True
            begun.set()
            if self._over:
                self._hub.drop(connection, REMOVED)
                return
            beside = self._outcomes.up or self._outcomes.settling
            if beside and not self._granted and self._half is None:
                # A host that grants fewer links closes the others at once: no request must be on them.
                settling = True
                self._outcomes.settling += 1
                self._hub.watch(connection, (connection.events & ~READ) | HANGUP)
            else:
                join(connection, self._hub.clock())

        def settled(now: float) -> None:
            nonlocal settling
            if link.stage is not Stage.OPEN:
                return
            if self._over:
                self._hub.drop(link, REMOVED)
                return
            self._hub.watch(link, (link.events & ~HANGUP) | READ)
            link.read(now)
            if link.stage is Stage.OPEN:
                settling = False
                self._outcomes.settling -= 1
                join(link, now)
                if link.peer is not None:
                    self._hub.by_peer[link.peer] = link
                link.more(now)

        def ready(_: Connection) -> None:
            if up_at:
                return  # it was closed for the night, and has signed on again
            up_at.append(self._hub.clock())
            self._outcomes.connected += 1
            self._outcomes.up += 1
            self._outcomes.attempts = 0
            self._log.info("link_up", connection=name, service=self._service.name, backend=self._backend.name, **self._role)

        def closed(_: Connection, reason: str) -> None:
            self._link = None
            self._outcomes.settling -= settling
            if up_at:
                self._outcomes.up -= 1
                self._outcomes.why = reason
                tell = self._log.info if reason in ("stopped", REMOVED) else self._log.warning  # nothing to wake up for
                tell("link_lost", connection=name, service=self._service.name, backend=self._backend.name, reason=reason, **self._role)
            elif not self._over:
                self._failed(reason)
                self._outcomes.refused += was_open and not settling
                if settling:
                    told = {"service": self._service.name, "backend": self._backend.name, "granted": self._outcomes.up}
                    self._log.info("link_not_granted", connection=name, **told, reason=reason)
                elif was_open:
                    self._log.warning("link_failed", connection=name, service=self._service.name, backend=self._backend.name, reason=reason)
            begun.set()
            gone.set()

        link.on_open, link.on_ready, link.on_closed = opened, ready, closed
        self._hub.enter(lambda now: self._hub.add(link, now))
        await begun.wait()
        if settling:
            with trio.move_on_after(SETTLE):
                await gone.wait()
            self._hub.enter(settled)
        await gone.wait()
        self._granted = bool(up_at) and self._hub.clock() - up_at[0] >= STEADY
        if self._granted:
            self._pauses.reset()
