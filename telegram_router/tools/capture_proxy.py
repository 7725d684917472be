"""A standing proxy between clients and a host: bytes go through as they are, and a process beside it writes the telegrams among them."""

# Rules this file keeps, all of them tested:
#
# 1. Bytes are passed on first, and looked at then. What is no telegram is passed on all the same.
# 2. A side that ends ends the other: half of a connection by half, where there is no TLS.
# 3. When the file cannot be kept up with, requests are left out, and their answers with them. With `block` the clients wait instead.

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from telegram_router.errors import FramingError
from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Framer, Spec
from telegram_router.wire.capture_feed import CAME, CLOSED, JUNK, LEFT, OPENED, Feed

BEAT: Final = 0.02  # seconds between two looks at the pipe
CHUNK: Final = 65_536
CONNECT: Final = 10.0  # seconds for a connection with the host, TLS included
CONNECTIONS: Final = 1_000  # at a time; others wait to be accepted
JUNK_KEPT: Final = 4_096  # bytes of what is no telegram

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@dataclass(frozen=True)
class Way:
    """From where to where, and with which TLS."""

    listen: tuple[str, int]
    to: tuple[str, int]
    server_tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None
    server_name: str | None = None


class Proxy:
    """Serves until it is cancelled, and hands what passes to a feed."""

    def __init__(self, way: Way, spec: Spec, feed: Feed, *, block: bool = False, warn: Callable[[str], None]) -> None:
        self.connections = 0
        self._way = way
        self._spec = spec
        self._feed = feed
        self._block = block
        self._warn = warn
        self._room = trio.CapacityLimiter(CONNECTIONS)

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Started with the port that is really bound. Raises OSError where it cannot be."""
        host, port = self._way.listen
        listeners = await trio.open_tcp_listeners(port, host=host)
        task_status.started(listeners[0].socket.getsockname()[1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            await trio.serve_listeners(self._serve, listeners, handler_nursery=nursery)

    async def _beat(self) -> None:
        told = False
        while True:
            self._feed.flush()
            if self._feed.failed and not told:
                told = True
                self._warn("the process that writes the capture has ended: telegrams go through, and are not captured")
            await trio.sleep(BEAT)

    async def _serve(self, raw: trio.SocketStream) -> None:
        async with self._room:
            self.connections += 1
            name = f"c{self.connections}"
            try:
                await self._join(name, raw)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, ssl.SSLError) as lost:
                self._warn(f"{name}: {_first(lost)}")
            finally:
                await trio.aclose_forcefully(raw)

    async def _join(self, name: str, raw: trio.SocketStream) -> None:
        way = self._way
        with trio.fail_after(CONNECT):
            client = await _secured(raw, way.server_tls, None, server=True)
            host_raw = await trio.open_tcp_stream(*way.to)
            try:
                host = await _secured(host_raw, way.client_tls, way.server_name or way.to[0], server=False)
            except BaseException:
                await trio.aclose_forcefully(host_raw)
                raise
        now = trio.current_time()
        self._feed.put((OPENED, name, "front", _name(raw, peer=True), _name(raw, peer=False), _tls(client), now))
        self._feed.put((OPENED, f"{name}.back", "back", _name(host_raw, peer=True), _name(host_raw, peer=False), _tls(host), now))
        ended: list[str] = []
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, name, client, host, CAME, ended)
                nursery.start_soon(self._pump, name, host, client, LEFT, ended)
        finally:
            by, how = (ended[0], "fin") if ended else ("us", "rst")
            for each in (name, f"{name}.back"):
                self._feed.put((CLOSED, each, trio.current_time(), by, how))
            await trio.aclose_forcefully(host_raw)

    async def _pump(self, name: str, source: Stream, sink: Stream, kind: int, ended: list[str]) -> None:
        watch = _Watch(self._spec, self._feed, name, kind, leaves_out=not self._block)
        while data := bytes(await source.receive_some(CHUNK)):
            await sink.send_all(data)
            watch.see(data)
            if self._block and self._feed.pressed:
                await self._feed.room()
        ended.append(">" if kind == CAME else "<")
        if isinstance(sink, trio.SocketStream):
            await sink.send_eof()
        else:
            await sink.aclose()


class _Watch:
    """Cuts what went one way into telegrams."""

    def __init__(self, spec: Spec, feed: Feed, name: str, kind: int, *, leaves_out: bool) -> None:
        self._framer: Framer | None = Framer(spec.framing)
        self._feed = feed
        self._name = name
        self._kind = kind
        self._leaves_out = leaves_out

    def see(self, data: bytes) -> None:
        framer = self._framer
        if framer is None:
            return  # once it was no telegram nobody knows where the next one begins
        try:
            framer.feed(data)
            while frames := framer.take():
                self._put(frames)
        except FramingError as error:
            self._framer = None
            direction = ">" if self._kind == CAME else "<"
            self._feed.put((JUNK, self._name, trio.current_time(), data[:JUNK_KEPT], direction, error.code))

    def _put(self, frames: list[bytes]) -> None:
        if self._leaves_out and self._feed.pressed and self._kind == CAME:
            self._feed.dropped += len(frames)
            return
        self._feed.put((self._kind, self._name, trio.current_time(), frames))


async def _secured(raw: trio.SocketStream, context: ssl.SSLContext | None, name: str | None, *, server: bool) -> Stream:
    if context is None:
        return raw
    stream = trio.SSLStream(raw, context, server_hostname=name, server_side=server, https_compatible=True)
    await stream.do_handshake()
    return stream


def _name(stream: trio.SocketStream, *, peer: bool) -> str:
    host, port = (stream.socket.getpeername() if peer else stream.socket.getsockname())[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls(stream: Stream) -> Record | None:
    if isinstance(stream, trio.SocketStream):
        return None
    return {"v": stream.version(), "cipher": stream.cipher()[0]}


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """What went wrong, without what was sent."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error.__cause__ or error) or type(error).__name__
