"""Bytes passed on between pairs of sockets as soon as they come: one task and one epoll for all of them."""

# Rules this file keeps, all of them tested:
#
# 1. What has come is written to the other side before anybody looks at it, for all sockets of a turn.
# 2. A side is not read while the other has not taken what it was sent last: at most CHUNK bytes, and their TLS records, wait for it.
# 3. A side that ends ends the other: half of a connection by half, where there is no TLS on the other.
# 4. Whatever goes wrong with a pair ends this pair alone.
# 5. While telegrams come one after the other the epoll itself is waited on: the way through trio and back costs more than a telegram.
#    Whoever else runs here waits for LINGER seconds at most, and who makes connections not at all.

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from telegram_router.wire.poller import GONE, READ, WRITE, EpollPoller
from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import TlsError

CHUNK: Final = 65_536
LINGER: Final = 0.005
READY_AT_ONCE: Final = 32  # a turn reads 2 MiB at most: so much must fit where it is looked at

Look = Callable[[bytes, float], None]  # gets bytes, decrypted, and when they came


class Side:
    """One of the two sockets of a pair."""

    __slots__ = ("fd", "look", "other", "over", "pair", "shut", "sock", "tls", "waiting", "watched")

    def __init__(self, sock: socket.socket, tls: TlsLayer | None, look: Look) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.tls = tls
        self.look = look  # at what comes from here
        self.waiting = b""  # until this socket takes it
        self.over = False  # nothing more comes from here
        self.shut = False  # nothing more goes there
        self.watched = 0  # what the epoll is asked for
        self.other: Side
        self.pair: Pair


class Pair:
    """A connection with a client and the one with its host. `by` ended it first, and `lost` is why, where it was not closed."""

    def __init__(self, client: Side, host: Side) -> None:
        self.sides = client, host
        self.ended = trio.Event()
        self.by: Side | None = None
        self.lost: Exception | None = None
        client.other, host.other = host, client
        client.pair = host.pair = self


class Relay:
    """Passes on until it is cancelled. `hold` is awaited before each turn: it may keep everybody waiting."""

    def __init__(self, hold: Callable[[], Awaitable[None]] | None = None) -> None:
        self._hold = hold
        self.connecting = 0  # others who are at work, who are not to be kept waiting
        self._poller = EpollPoller()
        self._sides: dict[int, Side] = {}

    def wake_for(self, fd: int) -> None:
        """Connections wait there to be accepted, by others."""
        self._poller.register(fd, READ)

    def join(self, pair: Pair) -> None:
        """Pass on what these two send each other, TLS being agreed upon, until one of them ends it or `part` does."""
        for side in pair.sides:
            self._sides[side.fd] = side
            self._watch(side)
        early = [(side, READ) for side in pair.sides if side.tls is not None and side.tls.more]  # it came with the handshake
        self._steps(early, trio.current_time())

    def part(self, pair: Pair) -> None:
        """Close both connections, as far as they are open."""
        for side in pair.sides:
            if self._sides.pop(side.fd, None) is not None:
                if side.watched:
                    self._poller.unregister(side.fd)
                side.sock.close()
        pair.ended.set()

    async def run(self) -> None:
        try:
            while True:
                await self._poller.wait()
                now = trio.current_time()
                latest = now + LINGER
                while True:
                    if self._hold is not None:
                        await self._hold()
                    ready = self._poller.poll(READY_AT_ONCE, 0.0 if self.connecting else max(0.0, latest - now))
                    now = trio.current_time()
                    ours = [(self._sides[fd], events) for fd, events in ready if fd in self._sides]
                    self._steps(ours, now)
                    if now >= latest or self.connecting or len(ours) < len(ready):
                        break
        finally:
            for side in list(self._sides.values()):
                self.part(side.pair)
            self._poller.close()

    def _steps(self, ready: list[tuple[Side, int]], now: float) -> None:
        seen: list[tuple[Look, bytes]] = []
        for side, events in ready:
            if side.pair.ended.is_set():
                continue  # in this very turn
            try:
                if events & (WRITE | GONE) and side.waiting:
                    self._send(side, b"")
                if events & (READ | GONE) and side.watched & READ and (data := self._read(side)):
                    seen.append((side.look, data))
            except Exception as error:
                side.pair.by, side.pair.lost = side.pair.by or side, error
                self.part(side.pair)
        for look, data in seen:
            look(data, now)

    def _read(self, side: Side) -> bytes:
        """What has come, which has been passed on; b"" for nothing."""
        try:
            data = side.sock.recv(CHUNK)
        except BlockingIOError:
            data = None
        ended = data == b""
        if side.tls is not None:
            data, ended = self._decrypted(side, side.tls, data)
        other = side.other
        if data:
            if other.tls is None:
                self._send(other, data)
            else:
                other.tls.write(data)
                self._send(other, other.tls.outgoing())
        if ended:
            side.over = True
            side.pair.by = side.pair.by or side
            self._watch(side)
            self._pass_end(other)
        return data or b""

    def _decrypted(self, side: Side, tls: TlsLayer, data: bytes | None) -> tuple[bytes, bool]:
        if data:
            tls.feed(data)
        elif data is not None:
            tls.end()
        parts: list[bytes] = []
        try:
            while tls.more and (part := tls.read(CHUNK)):
                parts.append(part)
        except TlsError as error:
            if not parts:
                raise
            side.pair.lost = error  # what was good before goes on
            return b"".join(parts), True
        if own := tls.outgoing():  # keys that are to be renewed
            self._send(side, own)
        return b"".join(parts), tls.closed or data == b""

    def _send(self, side: Side, data: bytes) -> None:
        """To that socket, as far as it takes it; the rest waits, and so does the other side."""
        if side.waiting:
            data = side.waiting + data
        try:
            sent = side.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            if not side.waiting:
                return
            side.waiting = b""
        else:
            side.waiting = data[sent:]
        self._watch(side)
        self._watch(side.other)
        self._pass_end(side)

    def _pass_end(self, side: Side) -> None:
        """Nothing more goes to that socket, once the other is over and its last bytes are sent."""
        other = side.other
        if side.shut or side.waiting or not other.over:
            return
        side.shut = True
        if side.tls is not None:
            side.tls.goodbye()
            with contextlib.suppress(OSError):
                side.sock.send(side.tls.outgoing())
            side.over = True  # what would come now could not be told from an attack
            self._watch(side)
            self._pass_end(other)
        elif not side.over:
            side.sock.shutdown(socket.SHUT_WR)
        if side.shut and other.shut:
            self.part(side.pair)

    def _watch(self, side: Side) -> None:
        wanted = (0 if side.over or side.other.waiting else READ) | (WRITE if side.waiting else 0)
        if wanted == side.watched or side.fd not in self._sides:
            return
        if not side.watched:
            self._poller.register(side.fd, wanted)
        elif wanted:
            self._poller.modify(side.fd, wanted)
        else:
            self._poller.unregister(side.fd)  # a connection that is gone would be reported for ever
        side.watched = wanted
