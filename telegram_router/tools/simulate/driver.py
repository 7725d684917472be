"""A simulation on real sockets or in memory: one trio driver around the pure core."""

# Rules this file keeps:
#
# 1. Each connection has its own boundary: what its peer does ends that connection and no other.
# 2. What waits to be written is bounded: a peer that does not read is not read from any more, and cut off in the end.

from __future__ import annotations

import datetime
import math
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from telegram_router.errors import FramingError, RouterError
from telegram_router.storage.capture_records import head
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams import Framer
from telegram_router.tools.simulate.actions import Deafen, End, Forward, Send
from telegram_router.tools.simulate.core import Simulation
from telegram_router.tools.simulate.doors import LISTEN_BACKLOG, called, contexts, dialled, hold, listening
from telegram_router.tools.simulate.forms import forward_to
from telegram_router.tools.simulate.wires import DRAINED_FOR, MemoryWire, SocketWire, Wire, check_half_open, memory_pair
from telegram_router.tools.simulate.world import Prepared
from telegram_router.written import Address

PAUSED_AT: Final = 256 * 1024  # bytes waiting to be written: nothing more is read from that connection
CUT_OFF_AT: Final = 16 * 1024 * 1024
FLUSHED_EVERY: Final = 0.1  # seconds: so much of the recording is lost when the process is killed
FORWARDED_AT_MOST: Final = 1000  # requests that wait for somebody else's connection


@dataclass(slots=True)
class _Connection:
    number: int
    wire: Wire
    scope: trio.CancelScope
    waiting: deque[Send | End] = field(default_factory=deque)  # bounded by CUT_OFF_AT bytes
    size: int = 0
    changed: trio.Event = field(default_factory=trio.Event)
    forward: trio.MemorySendChannel[bytes] | None = None
    deaf: bool = False
    broken: bool = False  # found when writing

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class Simulator:
    """One simulator at work. `run` serves until it is cancelled; `connect` is a caller in memory."""

    def __init__(
        self, prepared: Prepared, seed: int, *, start: datetime.datetime | None = None, record: Path | None = None,
        listen: Address | None = None, to: Address | None = None, dial: Callable[[], Awaitable[Wire]] | None = None,
    ) -> None:  # fmt: skip
        """`dial` makes a client's connections, instead of the system's sockets."""
        self.prepared = prepared
        self.about = prepared.scenario.scenario
        self.seed = seed
        clock = datetime.datetime.fromisoformat(self.about.clock) if self.about.clock else start
        self._start = clock or datetime.datetime.now(datetime.UTC).astimezone()
        self.simulation = Simulation(prepared, seed, trio.current_time(), self._start, recording=record is not None)
        self.address: Address | None = None  # where it really listens
        self.standby: Address | None = None
        self._listen, self._to = listen or self.about.listen, to or self.about.to
        self._connections: dict[int, _Connection] = {}
        self._timer = trio.CancelScope()
        self._draining: list[_Connection] = []  # whose other side sends no more; at most all connections
        self._ticks_at: float | None = None
        self._watched: trio.Event | None = None
        self._writer = CaptureWriter(record, self._head()) if record is not None else None
        self._nursery: trio.Nursery | None = None
        self._door_scopes: list[trio.CancelScope] = []  # at most two
        self._served = contexts(prepared)
        self._dial = dial or partial(dialled, self._to, prepared.scenario.tls, self._served.get("right"))
        self.unreachable: RouterError | None = None  # why a client found nobody
        self.over = trio.Event()  # a client has nothing more to do
        self._calls = 0

    @property
    def to(self) -> Address | None:
        """Where a client connects."""
        return self._to

    @property
    def links_lost(self) -> int:
        """Connections of a client that the other side ended before all was done."""
        return self.simulation.journal.counts["links_lost"]

    def _head(self) -> dict[str, object]:
        offset = self._start.strftime("%z") or "+0000"
        prepared = self.prepared
        return head(
            t0=round(self._start.timestamp() * 1_000_000) * 1000, source="simulate", spec=prepared.spec.name,
            spec_sha256=prepared.spec_sha256, tz=f"{offset[:3]}:{offset[3:5]}", seed=str(self.seed),
        )  # fmt: skip

    # --- running

    async def run(self, *, listen: bool = True, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. It is started once it listens. Raises RouterError E-SIM-07, E-SIM-08."""
        if any(active.do.half_open for active in self.simulation.faults) and listen:
            check_half_open()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._tick)
                if listen:
                    await self._open(nursery)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self.close()

    def close(self) -> None:
        """Write what is to be recorded. Called again it does nothing."""
        for number in sorted(self.simulation.lines):
            self.simulation.gone(number, "us", trio.current_time())
        if self._writer is not None:
            self._write_records()
            self._writer.close()
            self._writer = None

    async def _open(self, nursery: trio.Nursery) -> None:
        if self.about.role == "client":
            script = self.prepared.script
            parts: list[int | None] = [None] * self.about.connections if script is None else [*range(len(script.parts))]
            self._calls = len(parts)
            for part in parts:
                nursery.start_soon(self._call, part)
            return
        self.address = await nursery.start(self._door, self._listen or Address("127.0.0.1", 0), False)
        if self.about.standby is not None:
            self.standby = await nursery.start(self._door, self.about.standby, True)

    async def _door(self, place: Address, standby: bool, *, task_status: trio.TaskStatus[Address]) -> None:
        """Listen as the faults have it: openly, not at all, or without taking anybody."""
        listener = listening(place, small=self._needs_small_buffers, backlog=LISTEN_BACKLOG)  # also to know that it is possible
        place = Address(place.host, listener.getsockname()[1])
        was = "open"
        told = False
        try:
            while True:
                now = trio.current_time()
                state, until = self.simulation.door(now), self.simulation.door_changes_at(now)
                if state != was:  # else it goes on listening: who is about to be taken must not be lost
                    listener.close()
                    if state != "refuse":
                        backlog = 0 if state == "never_accept" else LISTEN_BACKLOG
                        listener = listening(place, small=self._needs_small_buffers, backlog=backlog)
                    was = state
                if not told:
                    told = True
                    task_status.started(place)
                with trio.move_on_at(until if until is not None else float("inf")) as scope:
                    self._door_scopes.append(scope)
                    try:
                        await self._accept(listener if state == "open" else None, standby)
                    finally:
                        self._door_scopes.remove(scope)
        finally:
            listener.close()

    async def _accept(self, listener: trio.socket.SocketType | None, standby: bool) -> None:
        assert self._nursery is not None
        if listener is None:
            await trio.sleep_forever()
            return
        while True:
            try:
                sock, _ = await listener.accept()
            except OSError:  # no descriptor left, or the caller has gone already
                await trio.sleep(0.1)
                continue
            self._nursery.start_soon(self._serve_socket, sock, standby)

    @property
    def _needs_small_buffers(self) -> bool:
        return any(active.do.deaf for active in self.simulation.faults)

    def doors_changed(self) -> None:
        """A fault of the port has been added or taken away."""
        for scope in self._door_scopes:
            scope.cancel()

    async def _serve_socket(self, sock: trio.socket.SocketType, standby: bool) -> None:
        plain = trio.SocketStream(sock)
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = plain
        number = self.simulation.number_connection()
        if self._served:
            how = self.simulation.handshake(number, trio.current_time())
            if how == "stall":
                await hold(plain)
                return
            stream = trio.SSLStream(plain, self._served[how or "right"], server_side=True, https_compatible=True)
            try:
                with trio.fail_after(10):
                    await stream.do_handshake()
            except (trio.BrokenResourceError, trio.TooSlowError, ssl.SSLError):
                self.simulation.journal.note("a TLS handshake failed")
                await trio.aclose_forcefully(stream)
                return
        await self.serve(SocketWire(stream), standby, number=number)

    async def _call(self, part: int | None) -> None:
        """A client's connection, made again where the scenario says so. `part`: of the script, that it stands for."""
        if part is not None and self.prepared.script is not None:
            await trio.sleep(self.prepared.script.parts[part].opens)
        while (wire := await self._connected()) is not None:
            await self.serve(wire, False, part)
            if self.about.again is None:
                break
            await trio.sleep(self.about.again)
        self._calls -= 1
        if not self._calls:
            self.over.set()

    async def _connected(self) -> Wire | None:
        """None when nobody is there, after some patience: `unreachable` says why."""
        try:
            return await called(self._dial, self._to, self.about.again)
        except RouterError as error:
            self.unreachable = error
            return None

    # --- one connection

    def connect(self, window: int = 65_536) -> MemoryWire:
        """A caller in memory."""
        assert self._nursery is not None
        number = self.simulation.number_connection()
        caller, ours = memory_pair(number, window)
        self._nursery.start_soon(self.serve, ours, False, None, number)
        return caller

    async def serve(self, wire: Wire, standby: bool, part: int | None = None, number: int | None = None) -> None:
        """One connection, until it ends."""
        now = trio.current_time()
        number = self.simulation.number_connection() if number is None else number
        connection = _Connection(number, wire, trio.CancelScope())
        self._connections[connection.number] = connection
        self.simulation.connected(now, wire.peer, wire.local, standby=standby, part=part, number=number)
        self._do()
        how = "us"
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, connection, nursery)
                with connection.scope:
                    how = await self._read(connection)
                if connection.deaf:
                    await trio.sleep_forever()
                if how != "rst":
                    await self._drained(connection)
                nursery.cancel_scope.cancel()
            self.simulation.gone(connection.number, "rst" if connection.broken else how, trio.current_time())
        finally:  # when all end at once, `close` tells of it in the order of their numbers
            del self._connections[connection.number]
            if connection.forward is not None:
                connection.forward.close()
            wire.end("fin")
            self._do()

    async def _read(self, connection: _Connection) -> str:
        while True:
            while connection.size > PAUSED_AT:
                await connection.changed.wait()
            try:
                data = await connection.wire.receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return "rst"
            if not data:
                return "fin"
            self.simulation.received(connection.number, data, trio.current_time())
            self._do()

    async def _drained(self, connection: _Connection) -> None:
        """The other side sends no more; what is to be written still is, and so are answers that are late."""
        line = self.simulation.lines.get(connection.number)
        self._draining.append(connection)
        try:
            while connection.waiting or (line is not None and not line.ended and self.simulation.owes(connection.number)):
                await connection.changed.wait()
        finally:
            self._draining.remove(connection)

    async def _write(self, connection: _Connection, nursery: trio.Nursery) -> None:
        while True:
            while not connection.waiting:
                await connection.changed.wait()
            action = connection.waiting[0]
            if isinstance(action, End):
                await self._end(connection, action)
                if action.how != "half_close":
                    nursery.cancel_scope.cancel()
                    return
            else:
                try:
                    await connection.wire.send(action.data)
                except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    connection.broken = isinstance(error, trio.BrokenResourceError)
                    nursery.cancel_scope.cancel()
                    return
                connection.size -= len(action.data)
            connection.waiting.popleft()
            connection.wake()

    async def _end(self, connection: _Connection, action: End) -> None:
        if action.how in ("half_close", "fin"):
            try:
                await connection.wire.half_close()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
        if action.how == "fin":
            with trio.move_on_after(DRAINED_FOR):
                connection.scope.cancel()
                await _read_out(connection.wire)
        if action.how in ("fin", "rst", "vanish"):
            connection.wire.end(action.how)

    # --- actions

    def _do(self) -> None:
        for action in self.simulation.take():
            connection = self._connections.get(action.connection)
            if connection is None:
                continue
            if isinstance(action, Deafen):
                connection.deaf = True
                connection.scope.cancel()
            elif isinstance(action, Forward):
                self._forward(connection, action.frame)
            else:
                left = self._at_once(connection, action)
                if left is None:
                    continue
                connection.waiting.append(left)
                connection.size += len(left.data) if isinstance(left, Send) else 0
                if connection.size > CUT_OFF_AT:
                    self.simulation.journal.note(f"c{connection.number} reads nothing and was cut off")
                    connection.waiting.clear()
                    connection.waiting.append(End(connection.number, "rst"))
                    connection.size = 0
                connection.wake()
        if self.simulation.next_at != self._ticks_at:
            self._set_tick()
        if self._watched is not None:
            self._watched.set()
            self._watched = None
        if self._writer is not None:
            self._write_records()

    def _at_once(self, connection: _Connection, action: Send | End) -> Send | End | None:
        """Write what goes out without waiting, which is nearly always all; what is left of it."""
        if connection.waiting or not isinstance(action, Send):
            return action
        gone = connection.wire.send_now(action.data)
        if not gone:
            return action
        return Send(action.connection, action.data[gone:]) if gone < len(action.data) else None

    async def something(self) -> None:
        """Return once anything has come, or has become due."""
        if self._watched is None:
            self._watched = trio.Event()
        await self._watched.wait()

    def act(self, change: Callable[[Simulation], object]) -> None:
        """Let somebody change the simulation from outside."""
        change(self.simulation)
        self.doors_changed()
        self._do()

    async def _tick(self) -> None:
        while True:
            with trio.CancelScope() as self._timer:
                self._set_tick()
                await trio.sleep_forever()
            self.simulation.tick(trio.current_time())
            self._do()
            for connection in self._draining:
                connection.wake()

    def _set_tick(self) -> None:
        """Another time at which something is due: the timer is moved, nobody is woken for it."""
        self._ticks_at = self.simulation.next_at
        self._timer.deadline = self._ticks_at if self._ticks_at is not None else math.inf

    def _write_records(self) -> None:
        assert self._writer is not None
        records = self.simulation.journal.records
        while records:
            self._writer.write(records.popleft())

    async def flush(self) -> None:
        """Hand the recording to the system from time to time."""
        while self._writer is not None:
            self._writer.flush()
            await trio.sleep(FLUSHED_EVERY)

    # --- somebody else answers

    def _forward(self, connection: _Connection, frame: bytes) -> None:
        assert self._nursery is not None
        if connection.forward is None:
            connection.forward, asked = trio.open_memory_channel[bytes](FORWARDED_AT_MOST)
            self._nursery.start_soon(self._ask_another, connection, asked)
        try:
            connection.forward.send_nowait(frame)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self.simulation.journal.counts["not_forwarded"] += 1

    async def _ask_another(self, connection: _Connection, asked: trio.MemoryReceiveChannel[bytes]) -> None:
        where = forward_to(self.about.on_miss)
        assert where is not None
        async with asked:
            try:
                stream = await trio.open_tcp_stream(*where)
            except OSError as error:
                self.simulation.journal.note(f"{where} cannot be reached: {error.strerror or error}")
                return
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._hand_back, connection, stream, nursery)
                async for frame in asked:  # until the connection ends
                    await stream.send_all(frame)
                nursery.cancel_scope.cancel()

    async def _hand_back(self, connection: _Connection, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        framer = Framer(self.prepared.spec.framing, max_frame=self.about.max_frame)
        try:
            async for data in stream:
                framer.feed(bytes(data))
                while frames := framer.take():
                    for frame in frames:
                        self.simulation.forwarded(connection.number, frame, trio.current_time())
                self._do()
        except (trio.BrokenResourceError, FramingError) as error:
            self.simulation.journal.note(f"c{connection.number}: who was asked instead is lost: {type(error).__name__}")
        nursery.cancel_scope.cancel()


async def _read_out(wire: Wire) -> None:
    try:
        while await wire.receive():
            pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
