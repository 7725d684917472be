"""One trio task drives one epoll that holds every telegram and HTTP socket of the router."""

# Rules this file keeps:
#
# 1. Per telegram there is no task, lock, timer or await; per turn every destination gets one write.
# 2. A turn ends after TURN seconds; what it did not get to goes first in the next: whoever is ready, or has received more
#    than one step takes, gets one step in each round, and a round takes as many turns as it needs. Turns follow each
#    other without going back to trio while sockets are ready, but no longer than TURN seconds either. After a turn that
#    had work the poller itself is waited on for LINGER seconds: the next telegram is often near, and the way through
#    trio costs as much as routing ten. While a handler is at work every turn goes back to trio, which alone can carry
#    it on.
# 3. A connection's step that fails in a way nobody expected costs that connection, and no other. A fault while
#    something is closed or timed out, which concerns many exchanges, ends the hub instead: half-written books are
#    worse than none.
# 4. Whatever else touches the switch comes in by `enter` and runs inside a turn.

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from telegram_router.errors import Delivery, FramingError, RouterError, places
from telegram_router.routing import Call, Close, Ended, Grow, Listener, Peer, Ready, Service, Switch
from telegram_router.wire.connection import HANDSHAKE_IN_ALL, Connection, Stage
from telegram_router.wire.poller import READ, WRITE, Poller
from telegram_router.wire.telegram_connection import TelegramConnection

TURN = 0.005
TURNS_AT_ONCE = 64
# Frames in a turn, about twenty clients with one telegram each, there and back. After a turn with more the way through
# trio is taken at once: what comes meanwhile makes the next turn's batches larger, which is worth more than that way.
LIGHT = 48
JUST_POLLED = 0.001
LINGER = 0.001  # what epoll can wait at least
READY_AT_ONCE = 1024
HANDSHAKES_PER_TURN = 4
TICK = 0.01
GO_ON = 0  # no event of the poller: the connection has received bytes that were not looked at yet
SWEEP = 0.25
TURN_BUCKETS = 24  # powers of two in microseconds


class Log(Protocol):
    """Where events go: one line each."""

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...

    def error(self, event: str, **fields: object) -> None: ...


ReadEnded = Callable[[list[Ended], int], None]  # what ended in a turn, and how much more did that there was no room for


class Hub:
    """Owns the sockets. Everything it needs from outside, poller, clock and log, comes in as an argument."""

    def __init__(self, switch: Switch, poller: Poller, clock: Callable[[], float], log: Log, wall: Callable[[], float] = time.time) -> None:
        self.switch = switch
        self.poller = poller
        self.clock = clock
        self.wall = wall  # for business hours and dates, never for a deadline
        self.log = log
        self.connections: dict[int, Connection] = {}
        self.by_peer: dict[Peer, Connection] = {}
        self.handlers: dict[Service, Callable[[Call], None]] = {}
        self.tasked: list[Service] = []  # services that are answered by trio tasks: handlers
        self.growers: dict[Service, Callable[[], None]] = {}
        self.tap_out: Callable[[Sequence[Peer], float], None] | None = None  # is shown who will be sent something; never raises
        self._readers: list[ReadEnded] = []  # of what ended in a turn
        self.polled_at = 0.0
        self.frames = 0  # cut so far, from sessions and links
        self.leaving = False  # it will stop: nobody new should come, whoever is there is served as ever
        self.pauses = 0
        self.containments = 0
        self.slow_steps = 0
        self.turn_times = [0] * TURN_BUCKETS
        self.turn_seconds = 0.0
        self.framing_errors: dict[tuple[str, str], int] = {}  # (listener or service, code)
        self.handshake_failures: dict[tuple[str, str], int] = {}
        self.closed: dict[tuple[str, str], int] = {}
        self._again: list[Connection] = []
        self._leftover: list[tuple[int, int]] = []  # at most READY_AT_ONCE and one entry for each of _again
        self._handshakes: deque[Connection] = deque()  # at most one entry a connection
        self._entered: deque[Callable[[float], None]] = deque()  # bounded by tasks and open exchanges
        self._stopping = False
        self._fatal: Exception | None = None
        self.shortest = SWEEP  # no deadline can come up sooner than this after the ticker has looked
        self._next_sweep = 0.0
        self._sweep_every = SWEEP

    # --- connections --------------------------------------------------------------------------------------------

    def add(self, connection: Connection, now: float) -> None:
        """Take over a connected socket. Under TLS it becomes usable after the handshake."""
        self._contain(connection, lambda at: self._take_over(connection, at), now)

    def _take_over(self, connection: Connection, now: float) -> None:
        connection.hub = self
        connection.opened_at = now
        self.connections[connection.fd] = connection
        self.poller.register(connection.fd, connection.events)
        limits = connection.limits
        self._sweep_every = min(self._sweep_every, limits.frame_timeout / 4, limits.write_timeout / 4, limits.handshake_timeout / 4)
        if connection.stage is Stage.OPEN:
            self.opened(connection, now)
        else:
            connection.handshake_due = now + limits.handshake_timeout
            connection.handshake_end = now + limits.handshake_timeout * HANDSHAKE_IN_ALL
            self.queue_handshake(connection, now)

    def opened(self, connection: Connection, now: float) -> None:
        connection.opened_at = now
        if connection.on_open is not None:
            connection.on_open(connection)
        if connection.peer is not None:
            self.by_peer[connection.peer] = connection

    def watch(self, connection: Connection, events: int) -> None:
        """Change what the poller reports of a connection."""
        if events != connection.events and connection.stage is not Stage.CLOSED:
            connection.events = events
            self.poller.modify(connection.fd, events)

    def again(self, connection: Connection) -> None:
        """It has received bytes that this turn did not get to."""
        self._again.append(connection)

    def queue_handshake(self, connection: Connection, now: float) -> None:
        if not connection.shaking:
            connection.shaking = True
            connection.queued_at = now
            self._handshakes.append(connection)

    def drop(self, connection: Connection, reason: str, error: RouterError | None = None) -> None:
        """Close a connection and settle what it leaves open. Safe to call twice."""
        if connection.stage is Stage.CLOSED:
            return
        self._or_end(lambda now: self._close(connection, reason, error, now), self.clock())
        if connection.on_closed is not None:
            try:
                connection.on_closed(connection, reason)
            except Exception as fault:
                self._failed(connection, fault)

    def _close(self, connection: Connection, reason: str, error: RouterError | None, now: float) -> None:
        was = connection.stage
        connection.stage = Stage.CLOSED
        try:
            self.poller.unregister(connection.fd)
        except OSError:
            pass  # it came when the poller was full
        self.connections.pop(connection.fd, None)
        connection.sock.close()
        group = self._group_name(connection)
        self.closed[group, reason] = self.closed.get((group, reason), 0) + 1
        if error is not None:
            if was is Stage.HANDSHAKE:
                self.handshake_failures[group, error.code] = self.handshake_failures.get((group, error.code), 0) + 1
            self.log.warning("connection_failed", code=error.code, connection=connection.name, **error.parts())
        peer = connection.peer
        if peer is not None:
            self.by_peer.pop(peer, None)
            connection.peer = None
            if isinstance(peer.group, Listener):
                self.switch.lose_session(peer, now)
            else:
                self.switch.lose_link(peer, now)

    @staticmethod
    def _group_name(connection: Connection) -> str:
        return connection.peer.group.name if connection.peer is not None else connection.name.split("#")[0]

    def framing_lost(self, connection: Connection, error: FramingError) -> None:
        group = self._group_name(connection)
        self.framing_errors[group, error.code] = self.framing_errors.get((group, error.code), 0) + 1
        self.log.warning("framing_lost", code=error.code, connection=connection.name, **error.parts())

    # --- turns --------------------------------------------------------------------------------------------------

    def enter(self, step: Callable[[float], None]) -> None:
        """Have `step(now)` run inside the next turn; its outboxes are flushed with the turn's."""
        self._entered.append(step)
        self.poller.wake()

    def enter_whole(self, step: Callable[[float], None]) -> None:
        """As `enter`, for a step of which half must not happen: a fault in it ends the hub."""
        self.enter(lambda now: self._or_end(step, now))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop`. Returns with every connection closed."""
        self.look_at_wall(self.clock())
        task_status.started()
        try:
            while not self._stopping:
                if self._again or self._leftover or self._handshakes or self._entered:
                    await trio.lowlevel.checkpoint()
                else:
                    await self.poller.wait()
                end = self.clock() + TURN
                before = self.frames
                busy = self.turn()
                for _ in range(TURNS_AT_ONCE):
                    if not busy or self.frames - before > LIGHT or self.clock() >= end or self._calling():
                        break
                    before = self.frames
                    busy = self.turn(0.0 if self._again or self._leftover or self._handshakes else LINGER)
        except Exception:
            self._last_flush()
            raise
        finally:
            self._close_all()

    def _last_flush(self) -> None:
        """Answers that stand in outboxes still go out before a fault ends the process; the rest is not trusted any more."""
        self.switch.commands.clear()
        self.switch.resumed.clear()
        try:
            self.flush(self.clock())
        except Exception:
            pass  # the first fault is the one to report

    def _close_all(self) -> None:
        while self._entered:  # among them connections that have just been made
            self._contain(None, self._entered.popleft(), self.clock())
        for connection in list(self.connections.values()):
            try:
                self.drop(connection, "stopped")
            except Exception:
                pass  # as above
        self._tell()
        if self.switch.ended:
            self._tell_ended()

    def stop(self) -> None:
        self._stopping = True
        self.poller.wake()

    @property
    def just_polled(self) -> bool:
        """Whatever the kernel knew a moment ago has been dealt with."""
        return not self._leftover and self.clock() - self.polled_at < JUST_POLLED

    def _calling(self) -> bool:
        """Some handler is at work."""
        return any(service.register.pending for service in self.tasked)

    def turn(self, patience: float = 0.0) -> bool:
        """One round: entrances, what was left, what is ready, a few handshakes, then the writes. False when there was nothing."""
        busy = bool(self._entered or self._again or self._handshakes)
        ready = self._leftover
        if not ready:
            ready = self.poller.poll(READY_AT_ONCE, 0.0 if busy else patience)
            if self._again:
                ready += [(waiting.fd, GO_ON) for waiting in self._again]
                self._again = []
        if not (ready or busy):
            return False
        now = self.clock()
        if ready is not self._leftover:
            self.polled_at = now
        end = now + TURN
        for _ in range(len(self._entered)):  # what they enter runs in the next turn
            self._contain(None, self._entered.popleft(), now)
        connections = self.connections
        for index, (fd, events) in enumerate(ready):
            connection = connections.get(fd)
            if connection is None:
                continue
            try:
                if events == READ:
                    connection.read(now)
                elif events == GO_ON:
                    connection.go_on(now)
                else:
                    connection.ready(events, now)
            except Exception as error:
                self._failed(connection, error)
            if index & 7 == 7 and self.clock() > end:
                self._leftover = ready[index + 1 :]
                break
        else:
            self._leftover = []
        self._shake_hands(end, now)
        self.flush(now)
        took = self.clock() - now
        self.turn_times[min(int(took * 1e6).bit_length(), TURN_BUCKETS - 1)] += 1
        self.turn_seconds += took
        return True

    def _shake_hands(self, end: float, now: float) -> None:
        for _ in range(min(HANDSHAKES_PER_TURN, len(self._handshakes))):
            connection = self._handshakes.popleft()
            connection.shaking = False
            if connection.stage is Stage.HANDSHAKE:
                self._contain(connection, connection.shake, now)
            if self.clock() > end:
                return

    def flush(self, now: float) -> None:
        """Carry out the switch's commands and write every outbox that was filled, once."""
        switch = self.switch
        while switch.commands or switch.dirty or switch.resumed or switch.awaited:
            if switch.awaited and not (switch.commands or switch.dirty or switch.resumed):
                switch.relieve()  # the outboxes of those whom others wait for have been tried by now
                if not switch.resumed:
                    break
            commands, switch.commands = switch.commands, []
            for command in commands:
                try:
                    self._obey(command, now)
                except Exception as error:
                    self._failed(None, error)
            resumed, switch.resumed = switch.resumed, []
            for peer in resumed:
                connection = self.by_peer.get(peer)
                if isinstance(connection, TelegramConnection):
                    self._contain(connection, connection.resume, now)
            dirty, switch.dirty = switch.dirty, []
            if self.tap_out is not None:
                self.tap_out(dirty, now)
            for peer in dirty:
                connection = self.by_peer.get(peer)
                if connection is None or connection.events & WRITE:  # the kernel refused before and will say when it has room
                    continue
                try:
                    connection.flush(now)
                except Exception as error:
                    self._failed(connection, error)
        if switch.events:
            self._tell()
        if switch.ended:
            self._tell_ended()

    def read_ended(self, read: ReadEnded, *, first: bool = False) -> None:
        """From now on `read` is called at the end of each turn in which something ended, `first` before all others. It must not wait."""
        self._readers.insert(0 if first else len(self._readers), read)
        if self.switch.ended is None:
            self.switch.ended = []

    def read_ended_no_more(self, read: ReadEnded) -> None:
        """Takes back `read_ended`."""
        self._readers.remove(read)
        if not self._readers:
            self.switch.ended = None

    def _tell_ended(self) -> None:
        ended, dropped = self.switch.take_ended()
        for read in self._readers:
            try:
                read(ended, dropped)
            except Exception as error:
                self._failed(None, error)

    def _obey(self, command: Call | Close | Grow | Ready, now: float) -> None:
        if isinstance(command, Call):
            self._call(command, now)
        elif isinstance(command, Grow):
            grow = self.growers.get(command.service)
            if grow is not None:
                grow()
        else:
            connection = self.by_peer.get(command.peer)
            if connection is None:
                return
            if isinstance(command, Close):
                self.drop(connection, command.code)
            elif connection.on_ready is not None:
                connection.on_ready(connection)

    def _call(self, command: Call, now: float) -> None:
        exchange = command.exchange
        try:
            self.handlers[exchange.entry.target](command)
        except Exception as error:
            self._failed(None, error)
            self.switch.fail(exchange, "E-INT-01", Delivery.NOT_SENT if exchange.unsent else Delivery.SENT_UNKNOWN, now)

    def _tell(self) -> None:
        events, dropped = self.switch.take_events()
        for event in events:
            tell = self.log.info if event.calm else self.log.warning
            tell(event.name, **event.fields)
        if dropped:
            self.log.warning("events_dropped", count=dropped)

    # --- containment --------------------------------------------------------------------------------------------

    def _contain(self, connection: Connection | None, step: Callable[[float], None], now: float) -> None:
        try:
            step(now)
        except Exception as error:
            self._failed(connection, error)

    def _or_end(self, step: Callable[[float], None], now: float) -> None:
        """A step that would leave the books half written if a fault stopped it: such a fault is not contained, it ends the hub."""
        try:
            step(now)
        except Exception as error:
            self._fatal = error
            raise

    def _failed(self, connection: Connection | None, error: Exception) -> None:
        """A fault of ours in one connection's step: that connection pays, the rest goes on."""
        if error is self._fatal:
            raise error
        self.containments += 1
        self.log.error(
            "bug", code="E-INT-01", connection=connection.name if connection else None, type=type(error).__name__, at=places(error)
        )
        if connection is not None:
            self.drop(connection, "E-INT-01")

    # --- time ---------------------------------------------------------------------------------------------------

    async def keep_time(self, shortest: float) -> None:
        """Let the switch's deadlines pass and sweep the connections'. `shortest`: the shortest time the config names."""
        self.shortest = shortest
        while True:
            now = self.clock()
            due = self.switch.next_deadline()
            pause = min(self.shortest, self._sweep_every, due - now if due is not None else self._sweep_every)
            await trio.sleep(max(TICK, pause))
            self.enter(self._tick)

    def look_at_wall(self, now: float) -> None:
        """Let the switch know what clocks on the wall show."""
        self.switch.conductor.wall_is(self.wall() - now, now)

    def _tick(self, now: float) -> None:
        self._or_end(self.look_at_wall, now)
        self._or_end(self._let_time_pass, now)
        if now < self._next_sweep:
            return
        self._next_sweep = now + self._sweep_every
        for connection in list(self.connections.values()):
            overdue = connection.due(now)
            if overdue is not None:
                self.drop(connection, overdue[0], overdue[1])

    def _let_time_pass(self, now: float) -> None:
        if self.switch.tick(now):
            self.enter(self._tick)  # in the next turn: others are served between

    # --- stopping -----------------------------------------------------------------------------------------------

    async def drain(self, patience: float) -> int:
        """Answer what is open, then part with every client. Returns how many exchanges had to be cut."""
        self.switch.draining = True
        with trio.move_on_after(patience):
            while not (self.switch.idle and self._all_written()):  # noqa: ASYNC110 - read off tables, which tell nobody
                await trio.sleep(TICK)
        cut = self.unanswered
        self.enter(self.switch.give_up)
        self.enter(self._part)
        with trio.move_on_after(2.0):
            while self._sessions():  # noqa: ASYNC110
                await trio.sleep(TICK)
        await self._sign_off()
        return cut

    async def _sign_off(self) -> None:
        """Tell hosts that this was all. Each link's wait for the answer has an end of its own."""
        offices = [(each, each.office) for each in self.switch.services.values() if each.office is not None]
        links = [peer for service, office in offices if office.terms.rules.sign_off for peer in service.peers]
        waiting = bool(links)

        def step(now: float) -> None:
            nonlocal waiting
            waiting = any([self.switch.conductor.leave(link, now) for link in links])  # noqa: C419 - every one is to leave

        while waiting:
            self.enter(step)
            await trio.sleep(TICK)

    @property
    def unanswered(self) -> int:
        """Requests that are open, whoever asked."""
        return sum(len(register.pending) for register in self.switch.registers)

    def _sessions(self) -> list[Connection]:
        return [connection for connection in self.connections.values() if self._is_session(connection)]

    def _part(self, now: float) -> None:
        for connection in self._sessions():
            self.part_with(connection, "stopped", now)

    def part_with(self, session: Connection, reason: str, now: float) -> None:
        """Read it no more and close it when its answers are out; one whose handshake is not done has none."""
        if session.stage is Stage.OPEN:
            if session.peer is not None:
                self.switch.conductor.goodbye(session.peer, now)
            session.finish(reason, now)
        elif session.stage is Stage.HANDSHAKE:
            self.drop(session, reason)

    @staticmethod
    def _is_session(connection: Connection) -> bool:
        return isinstance(connection, TelegramConnection) and connection.is_session

    def _all_written(self) -> bool:
        """No outbox holds anything, and every telegram that was received has been looked at."""
        return not any(
            connection.cipher or connection.backlogged or (connection.peer is not None and connection.peer.outbox)
            for connection in self.connections.values()
        )
