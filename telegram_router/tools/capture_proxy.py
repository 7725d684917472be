"""A standing proxy between clients and a host: bytes go through as they are, and a process beside it writes the telegrams among them."""

# Rules this file keeps, all of them tested:
#
# 1. Bytes are passed on first, and looked at then. What is no telegram is passed on all the same, and no fault in looking ends a line.
# 2. When the file cannot be kept up with, requests are left out, and their answers with them. With `block` everybody waits instead.

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

import trio

from telegram_router.errors import FramingError
from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Framer, Spec
from telegram_router.tools.relay import CHUNK, Look, Pair, Relay, Side
from telegram_router.wire.capture_feed import CAME, CLOSED, JUNK, LEFT, OPENED, Feed
from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import TlsError

BEAT: Final = 0.02  # seconds between two looks at the pipe
CONNECT: Final = 10.0  # seconds for a connection with the host, TLS included
CONNECTIONS: Final = 1_000  # at a time; others wait to be accepted
JUNK_KEPT: Final = 4_096  # bytes of what is no telegram


@dataclass(frozen=True)
class Way:
    """From where to where, and with which TLS."""

    listen: tuple[str, int]
    to: tuple[str, int]
    server_tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None


class Proxy:
    """Serves until it is cancelled, and hands what passes to a feed."""

    def __init__(self, ways: Sequence[Way], spec: Spec, feed: Feed, *, block: bool = False, warn: Callable[[str], None]) -> None:
        self.connections = 0
        self._ways = ways
        self._spec = spec
        self._feed = feed
        self._block = block
        self._warn = warn
        self._relay = Relay(self._hold if block else None)
        self._room = trio.CapacityLimiter(CONNECTIONS)

    async def run(self, *, task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED) -> None:
        """Started with the ports that are really bound. Raises OSError where one cannot be."""
        doors = [await trio.open_tcp_listeners(way.listen[1], host=way.listen[0]) for way in self._ways]
        for listener in chain(*doors):
            self._relay.wake_for(listener.socket.fileno())
        task_status.started([listeners[0].socket.getsockname()[1] for listeners in doors])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            nursery.start_soon(self._relay.run)
            for way, listeners in zip(self._ways, doors, strict=True):
                nursery.start_soon(partial(trio.serve_listeners, partial(self._serve, way), listeners))

    async def _beat(self) -> None:
        told = ""
        while True:
            self._feed.flush()
            if (trouble := self._feed.look()) != told:
                told = trouble
                waits = self._block and not self._feed.failed
                fate = "telegrams wait" if waits else "telegrams go through, and are not captured"
                self._warn(f"{trouble}: {fate}" if trouble else "it can be written again")
            await trio.sleep(BEAT)

    async def _hold(self) -> None:
        """With `block`: until there is room for all that a turn may read."""
        self._feed.flush()
        await self._feed.room()

    async def _serve(self, way: Way, raw: trio.SocketStream) -> None:
        async with self._room:
            self.connections += 1
            name = f"c{self.connections}"
            try:
                pair = await self._connected(name, way, raw)
                await self._until_ended(name, pair)
            except (OSError, TlsError, trio.TooSlowError, trio.BrokenResourceError) as error:
                self._warn(f"{name}: {_said(error)}")
            finally:
                await trio.aclose_forcefully(raw)

    async def _connected(self, name: str, way: Way, raw: trio.SocketStream) -> Pair:
        self._relay.connecting += 1
        try:
            with trio.fail_after(CONNECT):
                client_tls = await _agreed(raw, way.server_tls, None)
                host = await trio.open_tcp_stream(*way.to)
                try:
                    host_tls = await _agreed(host, way.client_tls, way.to[0])
                    now = trio.current_time()
                    self._feed.put((OPENED, name, "front", *_names(raw), _tls(client_tls), now))
                    self._feed.put((OPENED, f"{name}.back", "back", *_names(host), _tls(host_tls), now))
                except BaseException:
                    await trio.aclose_forcefully(host)
                    raise
        finally:
            self._relay.connecting -= 1
        return Pair(Side(_socket(raw), client_tls, self._look(name, CAME)), Side(_socket(host), host_tls, self._look(name, LEFT)))

    async def _until_ended(self, name: str, pair: Pair) -> None:
        try:
            self._relay.join(pair)
            await pair.ended.wait()
        finally:
            self._relay.part(pair)
            by = "us" if pair.by is None else ">" if pair.by is pair.sides[0] else "<"
            for each in (name, f"{name}.back"):
                self._feed.put((CLOSED, each, trio.current_time(), by, "fin" if pair.lost is None else "rst"))
        if pair.lost is not None:
            self._warn(f"{name}: {_said(pair.lost)}")

    def _look(self, name: str, kind: int) -> Look:
        return _Watch(self._spec, self._feed, name, kind, self._warn, leaves_out=not self._block).see


class _Watch:
    """Cuts what went one way into telegrams."""

    def __init__(self, spec: Spec, feed: Feed, name: str, kind: int, warn: Callable[[str], None], *, leaves_out: bool) -> None:
        self._framer: Framer | None = Framer(spec.framing)
        self._feed = feed
        self._name = name
        self._kind = kind
        self._warn = warn
        self._leaves_out = leaves_out

    def see(self, data: bytes, now: float) -> None:
        framer = self._framer
        if framer is None:
            return  # once it was no telegram nobody knows where the next one begins
        try:
            framer.feed(data)
            while frames := framer.take():
                self._put(frames, now)
        except FramingError as error:
            self._framer = None
            direction = ">" if self._kind == CAME else "<"
            self._feed.put((JUNK, self._name, now, data[:JUNK_KEPT], direction, error.code))
        except Exception as fault:  # ours: the line is more than its capture
            self._framer = None
            self._warn(f"{self._name}: {type(fault).__name__}: it is passed on, and no longer captured")

    def _put(self, frames: list[bytes], now: float) -> None:
        if self._leaves_out and self._feed.pressed and self._kind == CAME:
            self._feed.dropped += len(frames)
            return
        self._feed.passed(self._kind, self._name, now, frames)


async def _agreed(stream: trio.SocketStream, context: ssl.SSLContext | None, name: str | None) -> TlsLayer | None:
    """TLS over a new connection. Raises TlsError."""
    if context is None:
        return None
    tls = TlsLayer(context, "server" if name is None else "client", name)
    try:
        while not tls.handshake():
            await stream.send_all(tls.outgoing())
            if data := bytes(await stream.receive_some(CHUNK)):
                tls.feed(data)
            else:
                tls.end()
    finally:
        if last := tls.outgoing():  # also the alert that says why not
            await stream.send_all(last)
    return tls


def _socket(stream: trio.SocketStream) -> socket.socket:
    """The bare one, which is ours from here on."""
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    return sock


def _names(stream: trio.SocketStream) -> tuple[str, str]:
    """Of its peer, and of this end."""
    ends = (stream.socket.getpeername(), stream.socket.getsockname())
    peer, local = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port, *_ in ends)
    return peer, local


def _tls(layer: TlsLayer | None) -> Record | None:
    return None if layer is None else {"v": layer.version, "cipher": layer.cipher}


def _said(error: Exception) -> str:
    """What went wrong, without what was sent."""
    if isinstance(error, trio.TooSlowError):
        return f"no connection within {CONNECT:g} s"
    return str(error.__cause__ or error) or type(error).__name__
