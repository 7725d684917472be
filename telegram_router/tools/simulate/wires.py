"""Connections of a simulator: of the system's sockets, with or without TLS, or in memory; each can end in every way that TCP has."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import Final, Protocol

import trio

from telegram_router.errors import RouterError
from telegram_router.tools.simulate.actions import How

PIECE: Final = 65_536
DRAINED_FOR: Final = 1.0  # seconds that a connection is read on after our FIN: with unread input its end would be a reset
TCP_REPAIR: Final = 19
SMALL_BUFFER: Final = 2048
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Wire(Protocol):
    """One end of a connection."""

    peer: str
    local: str

    async def receive(self) -> bytes:
        """Bytes, or b"" at the end. Raises trio.BrokenResourceError after a reset."""

    async def send(self, data: bytes) -> None:
        """Raises trio.BrokenResourceError when the other side has gone."""

    def send_now(self, data: bytes) -> int:
        """As many bytes as go out without waiting; none where that cannot be said, or where the other side has gone."""

    async def half_close(self) -> None:
        """Send no more; receive on."""

    def end(self, how: How) -> None:
        """Close at once: `rst`, `vanish`, or whatever the system makes of it."""


class SocketWire:
    """A connected socket, plain or inside TLS."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self._plain = stream if isinstance(stream, trio.SocketStream) else None
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else stream.transport_stream.socket
        self.peer = _name(self._socket.getpeername)
        self.local = _name(self._socket.getsockname)

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some(PIECE))

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    def send_now(self, data: bytes) -> int:
        if self._stream is not self._plain:
            return 0
        try:
            return os.write(self._socket.fileno(), data)
        except OSError:  # full, or over: `send` finds out
            return 0

    async def half_close(self) -> None:
        if isinstance(self._stream, trio.SSLStream):  # TLS has no half of an end: the FIN comes without its goodbye
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        else:
            await self._stream.send_eof()

    def end(self, how: How) -> None:
        with contextlib.suppress(OSError):  # it may have ended by itself
            if how == "rst":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            elif how == "vanish":
                self._socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        self._socket.close()


def _name(ask: object) -> str:
    try:
        host, port = ask()[:2]  # type: ignore[operator]
    except OSError:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_half_open() -> None:
    """Raises RouterError where this process may not let connections vanish."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
        except OSError as error:
            what = f"the fault half_open is not possible here: TCP_REPAIR: {error.strerror}"
            do = "run as root or with CAP_NET_ADMIN, or use the fault silent: it never answers and never closes"
            raise RouterError("E-SIM-07", what, do=do) from None


class MemoryWire:
    """One end of a connection in memory. Both ends have the same class; `window` bytes may lie unread."""

    def __init__(self, peer: str, local: str, window: int) -> None:
        self.peer, self.local = peer, local
        self._window = window
        self._other: MemoryWire
        self._unread = bytearray()
        self._ended = False  # the other end sends no more
        self._reset = False
        self._closed = False
        self._shut = False
        self._vanished = False
        self._changed = trio.Event()

    async def receive(self) -> bytes:
        while True:
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError("this end was closed")
            if self._unread:
                data = bytes(self._unread[:PIECE])
                del self._unread[:PIECE]
                self._other._wake()
                return data
            if self._reset:
                raise trio.BrokenResourceError("reset by peer") from ConnectionResetError(104, "Connection reset by peer")
            if self._ended:
                return b""
            await self._changed.wait()

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        while data:
            if self._closed or self._shut:
                raise trio.ClosedResourceError("this end was closed")
            if self._other._vanished:  # a host that knows nothing of us resets what it gets
                self._get_reset()
            if self._reset or self._other._closed:
                raise trio.BrokenResourceError("broken pipe") from BrokenPipeError(32, "Broken pipe")
            room = self._window - len(self._other._unread)
            if room > 0:
                self._other._unread += data[:room]
                data = data[room:]
                self._other._wake()
            else:
                await self._changed.wait()

    def send_now(self, data: bytes) -> int:
        return 0

    async def half_close(self) -> None:
        await trio.lowlevel.checkpoint()
        self._shut = True
        self._other._ended = True
        self._other._wake()

    def end(self, how: How) -> None:
        if self._closed or self._vanished:
            return
        if how == "vanish":
            self._vanished = True
            self._wake()
            return
        self._closed = True
        if how == "rst" or self._unread:  # unread input makes a reset of any end, as in the kernel
            self._other._get_reset()
        else:
            self._other._ended = True
            self._other._wake()
        self._wake()

    def _get_reset(self) -> None:
        self._reset = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def memory_pair(number: int, window: int = PIECE) -> tuple[MemoryWire, MemoryWire]:
    """A caller's end and a host's."""
    caller, host = MemoryWire("memory:0", f"memory:{number}", window), MemoryWire(f"memory:{number}", "memory:0", window)
    caller._other, host._other = host, caller
    return caller, host
