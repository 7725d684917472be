"""A port where connections come in: bound, opened, moved and given away while the router runs."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import trio

from telegram_router.errors import FramingError, RouterError
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.proxy_header import Host, comes_to_stay, plain_address, read_header
from telegram_router.written import Address

BACKLOG = 1024
ACCEPT_AT_ONCE = 16  # a new TLS session costs a tenth of a millisecond, and the others wait for it
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_WHEN_OUT_OF_FILES = 0.1
REFUSALS_BETWEEN_LINES = 1.0
TO_DO = {errno.EACCES: "choose a port from 1024 on, or allow this one to the router's user"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def bind(host: str, port: int, *, listening: bool = True) -> socket.socket:
    """A socket that listens, or that only holds the address. Raises RouterError E-CFG-09 when the address cannot be had."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_bind(host, port, error) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        if listening:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _cannot_bind(host, port, error) from None
    sock.setblocking(False)
    return sock


def _cannot_bind(host: str, port: int, error: OSError) -> RouterError:
    taken = error.errno == errno.EADDRINUSE
    why = "the address is in use" if taken else error.strerror or "unknown reason"
    do = "stop whoever holds it, or choose another address" if taken else TO_DO.get(error.errno or 0, "name an address of this machine")
    return RouterError("E-CFG-09", f"cannot listen on {Address(host, port)}: {why}", do=do)


@dataclass(frozen=True)
class Proxies:
    """Whose PROXY headers are believed. Everybody else is refused at this door."""

    networks: tuple[Network, ...]
    patience: float  # seconds that a header may take


def within(host: str, networks: Iterable[Network]) -> bool:
    """Whether an address belongs to one of these networks."""
    address = ipaddress.ip_address(host)
    return any(address in each for each in networks)


class Door:
    """Lets connections in, with the address of whoever is at their other end. What becomes of them is for those who inherit."""

    def __init__(self, hub: Hub, name: str, sock: socket.socket, log: Log, proxies: Proxies | None = None) -> None:
        self._hub = hub
        self.name = name
        self._sock = sock
        found = sock.getsockname()
        self.address: tuple[str, int] = (found[0], found[1])  # known when the door has been taken away, too
        self._log = log
        self.proxies = proxies
        self.shut = False  # whoever comes is closed at once: where the socket is not ours to close, the kernel lets them in
        self.greeted = 0  # connections whose PROXY header is being read
        self.forged = 0  # connections that were refused for their PROXY header, or for the lack of one
        self._told_at = float("-inf")
        self._at_door = trio.CancelScope()
        self._open = False  # somebody accepts
        self.tasks: trio.Nursery | None = None  # of this door, while it is open

    def welcome(self, sock: socket.socket, client: Host, told: dict[str, str]) -> None:
        """Take this connection over. `told`: who it is, for the log."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Whether one more may come in."""
        raise NotImplementedError

    def turn_away(self, sock: socket.socket) -> None:
        """There is no room for it."""
        raise NotImplementedError

    @property
    def rests(self) -> bool:
        """It holds its address, and the kernel refuses whoever dials it."""
        return self.accepting and not self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    def wake(self) -> None:
        """Listen at the address that was only held. Raises RouterError E-CFG-09 when somebody else has begun to."""
        try:
            self._sock.listen(BACKLOG)
        except OSError as error:
            raise _cannot_bind(*self.address, error) from None

    async def run(self) -> None:
        """Accept until the door is given away or rests. A full table of files pauses accepting; it never ends it."""
        if self._open:
            return  # who accepts already goes on by himself, at another socket
        self._open = True
        tasks = None
        try:
            async with trio.open_nursery() as tasks:
                self.tasks = tasks
                try:
                    while self.accepting and not self.rests:
                        with trio.CancelScope() as self._at_door:
                            await self._accept(self._sock)
                finally:
                    self._open = False
        finally:
            if self.tasks is tasks:
                self.tasks = None

    def move(self, sock: socket.socket) -> socket.socket:
        """Accept at this socket from now on. Returns the one before, with nobody waiting at it."""
        before, self._sock = self.give_away(), sock
        found = sock.getsockname()
        self.address = found[0], found[1]
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

    def close(self) -> None:
        """Take the door away: who dials now is refused by the kernel."""
        if self.accepting:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    @property
    def accepting(self) -> bool:
        """Whether the door is there."""
        return self._sock.fileno() >= 0

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
                self._log.error("accept_paused", listener=self.name, reason=errno.errorcode.get(error.errno, "?"))
                await trio.sleep(PAUSE_WHEN_OUT_OF_FILES)

    def _admit(self, sock: socket.socket, address: tuple[str, int]) -> None:
        if self.shut:
            sock.close()
            return
        if not self.has_room():
            self.turn_away(sock)
            return
        sock.setblocking(False)
        near = plain_address(address[0]), address[1]
        if self.proxies is None:
            self.welcome(sock, near, {"peer": str(Address(*near))})
        elif self.tasks is not None:
            self.greeted += 1
            self.tasks.start_soon(self._greet, sock, near, self.proxies)
        else:
            sock.close()

    async def _greet(self, sock: socket.socket, near: Host, proxies: Proxies) -> None:
        """Read the PROXY header, so that whoever comes next knows the client."""
        kept = False
        try:
            if not within(near[0], proxies.networks):
                raise FramingError("E-FRM-13", "only balancers may connect here, with a PROXY header, and this address is none of theirs")
            client = await read_header(sock, proxies.patience)
            kept = client is not None or await comes_to_stay(sock, proxies.patience)
        except FramingError as error:
            self._refuse(error, near)
        except OSError:
            pass  # a health check, or a client that left while its balancer dialled
        finally:
            self.greeted -= 1
            if not kept:
                sock.close()
        if kept:
            far = client or near
            self.welcome(sock, far, {"peer": str(Address(*far)), "through": str(Address(*near))})

    def _refuse(self, error: FramingError, near: Host) -> None:
        self.forged += 1
        key = self.name, error.code
        self._hub.framing_errors[key] = self._hub.framing_errors.get(key, 0) + 1
        self.tell("connection_refused", code=error.code, peer=str(Address(*near)), **error.parts(), refused=self.forged)

    def tell(self, event: str, **fields: object) -> None:
        """Log a refusal, one a second at most: whoever dials must not fill the log."""
        now = self._hub.clock()
        if now - self._told_at >= REFUSALS_BETWEEN_LINES:
            self._told_at = now
            self._log.warning(event, listener=self.name, **fields)
