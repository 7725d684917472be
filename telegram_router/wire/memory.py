"""A network in memory: sockets that behave as Linux TCP does, and a poller that behaves as epoll, under any trio clock."""

# Rules this file keeps; tests hold them against real sockets and a real epoll:
#
# 1. Level-triggered: what is ready is reported at every poll until it has been dealt with.
# 2. Bytes that arrived before a reset can still be read after it; bytes on the way are lost.
# 3. Nothing happens by itself or by chance: only a call of the test or of the hub changes anything.
# 4. Windows are exact, which the kernel's are not: so a test can stop a write at any byte.

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Mapping

import trio

from telegram_router.wire.poller import GONE, HANGUP, READ, WRITE

_FIRST_FD = 1_000_000  # far from any real one, so that a mix-up fails at once


class MemoryNet:
    """All sockets of a test and the poller that watches them."""

    def __init__(self) -> None:
        self._sockets: dict[int, MemorySocket] = {}
        self._next_fd = _FIRST_FD
        self.poller = MemoryPoller(self._sockets)

    def pair(self, window: int = 65_536) -> tuple[MemorySocket, Far]:
        """A connection: the hub's end and the test's. `window`: bytes that may lie unread in each direction."""
        sock = MemorySocket(self._next_fd, window, self.poller, self._forget)
        self._sockets[self._next_fd] = sock
        self._next_fd += 1
        return sock, sock.far

    @property
    def open(self) -> int:
        """Sockets that the hub has not closed yet."""
        return len(self._sockets)

    def _forget(self, fd: int) -> None:
        self.poller.forget(fd)
        del self._sockets[fd]


class MemoryPoller:
    """The hub's Poller over MemorySockets."""

    def __init__(self, sockets: Mapping[int, MemorySocket]) -> None:
        self._sockets = sockets
        self._interest: dict[int, int] = {}
        self._woken = False
        self._closed = False
        self._waiting: trio.Event | None = None

    def register(self, fd: int, events: int) -> None:
        self._check(fd)
        if fd in self._interest:
            raise _os_error(errno.EEXIST)
        self._interest[fd] = events
        self.changed(fd)

    def modify(self, fd: int, events: int) -> None:
        self._check(fd, registered=True)
        self._interest[fd] = events
        self.changed(fd)

    def unregister(self, fd: int) -> None:
        self._check(fd, registered=True)
        del self._interest[fd]

    def poll(self, limit: int, patience: float = 0.0) -> list[tuple[int, int]]:
        """At most `limit` ready sockets. Those reported go to the end of the line, so that none starves behind the limit.

        Here patience changes nothing: while this waits no other task could make a socket ready.
        """
        if self._closed:
            raise ValueError("I/O operation on closed poller")
        self._woken = False
        ready: list[tuple[int, int]] = []
        for fd in self._interest:
            if events := self._ready(fd):
                ready.append((fd, events))
                if len(ready) == limit:
                    break
        for fd, _ in ready:
            self._interest[fd] = self._interest.pop(fd)
        return ready

    async def wait(self) -> None:
        """Return when `poll` would report something, or after `wake`. For one task at a time."""
        if self._woken or any(self._ready(fd) for fd in self._interest):
            await trio.lowlevel.checkpoint()
            return
        self._waiting = trio.Event()
        try:
            await self._waiting.wait()
        finally:
            self._waiting = None

    def wake(self) -> None:
        self._woken = True
        if self._waiting is not None:
            self._waiting.set()

    def close(self) -> None:
        self._closed = True
        self._interest.clear()

    def changed(self, fd: int) -> None:
        """A socket may have become ready."""
        if self._waiting is not None and self._ready(fd):
            self._waiting.set()

    def forget(self, fd: int) -> None:
        """A socket was closed; epoll then forgets it too."""
        self._interest.pop(fd, None)

    def _ready(self, fd: int) -> int:
        interest = self._interest.get(fd)
        return 0 if interest is None else self._sockets[fd].readiness() & (interest | GONE)

    def _check(self, fd: int, *, registered: bool = False) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed poller")
        if fd not in self._sockets:
            raise _os_error(errno.EBADF)
        if registered and fd not in self._interest:
            raise _os_error(errno.ENOENT)


class MemorySocket:
    """The hub's end of a connection: a non-blocking TCP socket, as far as the hub uses one."""

    def __init__(self, fd: int, window: int, poller: MemoryPoller, forget: Callable[[int], None]) -> None:
        self.far = Far(self)
        self._fd = fd
        self._window = window
        self._poller = poller
        self._forget = forget
        self._arrived = bytearray()  # in the receive window
        self._on_the_way = bytearray()  # sent by the far end, waiting for room in the window
        self._end_sent = False  # the far end sends no more; seen once all before it has arrived
        self._shut = False  # we send no more
        self._dead = False  # reset, by either side
        self._error = 0  # errno that the next call gets, once
        self.closed = False

    # -- what the hub calls

    def fileno(self) -> int:
        return -1 if self.closed else self._fd

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        self._check_open()
        if self._arrived:
            data = bytes(self._arrived[:size])
            if not flags & socket.MSG_PEEK:
                del self._arrived[:size]
                self._let_in()
            return data
        if self._ended:
            return b""
        self._raise_error()
        if self._dead:
            return b""
        raise _os_error(errno.EAGAIN)

    def send(self, data: bytes, /) -> int:
        self._check_open()
        self._raise_error()
        if self._shut or self._dead:
            raise _os_error(errno.EPIPE)
        size = min(len(data), self._room())
        if data and not size:
            raise _os_error(errno.EAGAIN)
        self.far.receive(data[:size])
        return size

    def shutdown(self, how: int, /) -> None:
        self._check_open()
        if how not in (socket.SHUT_WR, socket.SHUT_RDWR):
            raise NotImplementedError("the hub never shuts the reading side alone")
        if self._dead or (self._shut and self._ended):
            raise _os_error(errno.ENOTCONN)
        self._shut = True
        self._end_sent = self._end_sent or how == socket.SHUT_RDWR
        self.far.changed()
        self._poller.changed(self._fd)

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        self._check_open()

    def close(self) -> None:
        if self.closed:
            return
        # Unread bytes turn the FIN of a close into a reset, as in the kernel.
        self.far.was_reset = bool(self._arrived or self._on_the_way)
        self.closed = True
        self._forget(self._fd)
        self.far.changed()

    # -- what the poller and the far end call

    def readiness(self) -> int:
        """All events, whether asked for or not."""
        events = 0
        ended = self._ended or self._dead
        if ended:
            events |= READ | HANGUP
        if self._arrived:
            events |= READ
        if self._shut or self._dead or self._room():
            events |= WRITE
        if self._dead or (ended and self._shut):
            events |= select.EPOLLHUP
        if self._error:
            events |= select.EPOLLERR
        return events

    def deliver(self, data: bytes) -> None:
        self._on_the_way += data
        self._let_in()
        self._poller.changed(self._fd)

    def deliver_end(self) -> None:
        self._end_sent = True
        self._poller.changed(self._fd)

    def deliver_reset(self) -> None:
        if self._dead or (self._shut and self._ended):
            return  # both sides have said goodbye: there is no connection left to reset
        self._error = errno.EPIPE if self._ended else errno.ECONNRESET
        self._dead = True
        self._on_the_way.clear()
        self._poller.changed(self._fd)

    def window_moved(self) -> None:
        self._poller.changed(self._fd)

    @property
    def shut(self) -> bool:
        return self._shut

    @property
    def unread(self) -> int:
        return len(self._arrived) + len(self._on_the_way)

    @property
    def free(self) -> int:
        """Bytes that still fit into the receive window."""
        return self._window - self.unread

    # -- inside

    @property
    def _ended(self) -> bool:
        return self._end_sent and not self._on_the_way

    def _room(self) -> int:
        return self.far.room(self._window)

    def _let_in(self) -> None:
        room = self._window - len(self._arrived)
        self._arrived += self._on_the_way[:room]
        del self._on_the_way[:room]

    def _raise_error(self) -> None:
        if self._error:
            number, self._error = self._error, 0
            raise _os_error(number)

    def _check_open(self) -> None:
        if self.closed:
            raise _os_error(errno.EBADF)


class Far:
    """The test's end of a connection."""

    def __init__(self, sock: MemorySocket) -> None:
        self._sock = sock
        self._received = bytearray()  # written by the hub, not taken yet: fills the window
        self._kept = b""  # taken by a wait that was cancelled or not satisfied
        self._allowance: int | None = None  # bytes still taken after `takes`; None: no limit but the window
        self._silent = False
        self._gone = False
        self._finished = False
        self._waiting: trio.Event | None = None
        self.was_reset = False  # the hub closed without having read everything

    # -- sending

    def sends(self, data: bytes) -> None:
        """Send what must fit into the hub's receive window; BlockingIOError, and nothing sent, when it does not."""
        if len(data) > self._sock.free:
            raise _os_error(errno.EAGAIN)
        self.push(data)

    def push(self, data: bytes) -> None:
        """Send as much as one likes; what does not fit waits on the way, and arrives as the hub reads."""
        if self._finished or self._gone:
            raise _os_error(errno.EPIPE)
        if self._sock.closed:
            raise _os_error(errno.ECONNRESET)
        self._sock.deliver(data)

    def fin(self) -> None:
        """Send no more; still read (a half-close)."""
        self._finished = True
        self._sock.deliver_end()

    def close(self) -> None:
        """Close as a process does: with unread bytes that is a reset, otherwise a FIN; then the first write is answered by a reset."""
        if self._received:
            self.reset()
            return
        self.fin()
        self._gone = True

    def reset(self) -> None:
        """RST: what has arrived can still be read, what is on the way is lost. What the hub wrote before stays here for `got`."""
        self._gone = True
        self._sock.deliver_reset()

    # -- receiving

    def got(self) -> bytes:
        """Everything the hub wrote since the last call; it makes room in the window."""
        data = self._kept + bytes(self._received)
        self._kept = b""
        self._received.clear()
        self._sock.window_moved()
        return data

    def peek(self) -> bytes:
        """The same, without taking it."""
        return self._kept + bytes(self._received)

    def takes(self, count: int) -> None:
        """From now on accept exactly `count` more bytes, then none."""
        self._allowance = count
        self._sock.window_moved()

    def takes_all(self) -> None:
        """Accept what the window holds, as in the beginning."""
        self._allowance = None
        self._silent = False
        self._sock.window_moved()

    def silent(self) -> None:
        """Whatever the hub writes is accepted and vanishes."""
        self._silent = True
        self._sock.window_moved()

    async def wait_for(self, wanted: int | Callable[[bytes], bool]) -> bytes:
        """Take what the hub writes until there are so many bytes, or until the predicate holds; returns all of it.

        EOFError, with everything still there for `got`, when the hub closes before.
        """
        data = b""
        try:
            while True:
                data += self.got()
                if len(data) >= wanted if isinstance(wanted, int) else wanted(data):
                    result, data = data, b""
                    return result
                if self.ended:
                    raise EOFError(f"the hub closed after {len(data)} bytes")
                await self._change()
        finally:
            self._kept = data

    async def wait_closed(self) -> None:
        """Wait until the hub has closed the connection."""
        while not self.closed:
            await self._change()

    # -- looking

    @property
    def closed(self) -> bool:
        """The hub has closed its socket."""
        return self._sock.closed

    @property
    def ended(self) -> bool:
        """The hub writes no more: it has closed, or shut its side."""
        return self._sock.closed or self._sock.shut

    @property
    def unread(self) -> int:
        """Bytes sent that the hub has not read."""
        return self._sock.unread

    # -- called by the socket

    def room(self, window: int) -> int:
        if self._silent or self._gone:
            return window
        room = window - len(self._received)
        return room if self._allowance is None else min(room, self._allowance)

    def receive(self, data: bytes) -> None:
        if self._gone:
            if data:
                self._sock.deliver_reset()
            return
        if self._silent:
            return
        if self._allowance is not None:
            self._allowance -= len(data)
        self._received += data
        self.changed()

    def changed(self) -> None:
        if self._waiting is not None:
            self._waiting.set()

    async def _change(self) -> None:
        self._waiting = trio.Event()
        try:
            await self._waiting.wait()
        finally:
            self._waiting = None


def _os_error(number: int) -> OSError:
    """As the kernel's: the number chooses the class, e.g. ConnectionResetError."""
    return OSError(number, os.strerror(number))
