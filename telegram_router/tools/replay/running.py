"""A replay at work: one scheduler that sends all that is due, connections that carry it, and answers paired with what was asked."""

# Rules this file keeps:
#
# 1. Nothing is sent twice: a telegram whose connection was lost is not sent again, and what may have left counts as sent.
# 2. What is due is never left out: where there is no room it waits, and counts as held. Latency runs from when it was due.
# 3. An answer is paired by the spec's correlation and by nothing else. Where a family has none, answers pair by their order, and
#    a connection on which one stayed out is given up: its order says nothing any more.
# 4. Every exchange ends in one bucket, whatever ends the run.

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from zlib import crc32

import trio

from telegram_router.errors import FramingError
from telegram_router.telegrams import Framer, Spec
from telegram_router.tools.replay.comparing import Comparer
from telegram_router.tools.replay.exchanges import OPEN_AT_MOST, PAUSE, QUEUED_AT_MOST, Asked, Conduct, Exchange, Lane, Outcome, Side
from telegram_router.tools.replay.judging import Judge
from telegram_router.tools.replay.pacing import Pace
from telegram_router.tools.replay.pairing_answers import Answers
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Hangup, Step, is_last
from telegram_router.tools.replay.tally import Tally

CONNECTIONS_AT_MOST: Final = 1_000
RECEIVE: Final = 65_536
WRITTEN: Final = 65_536  # bytes at once
MAX_FRAME: Final = 1024 * 1024
REMEMBERED: Final = 20_000  # keys of exchanges that are over, to know a second answer
SAME_KEY: Final = ReplayError(
    "E-RPL-06", "its correlation key is that of an open exchange", do="rewrite what pairs answers, or let each wait for the one before"
)
REFUSALS: Final = 3  # one after the other, and the run is over


class Replay:
    """One replay. `now`: nanoseconds since 1970, at the same pace as trio's clock. `mark` is told each record number before it is sent."""

    def __init__(
        self, spec: Spec, steps: Iterable[Step | Hangup], pace: Pace, sides: Sequence[Side], comparer: Comparer, conduct: Conduct,
        *, now: Callable[[], int], t0: int = 0, mark: Callable[[int], None] = lambda n: None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.tally = Tally()
        self.pace = pace
        self.sides = sides
        self.conduct = conduct
        self.unreachable: ReplayError | None = None
        self.interrupted = False
        self.unsent: list[int] = []  # at most OPEN_AT_MOST: numbers of records of which nothing left
        self._answers = Answers(spec, sides[0], self.tally.beside)
        self._judge = Judge(comparer, conduct, self.tally)
        self._steps = iter(steps)
        self._now = now
        self._t0 = t0
        self._mark = mark
        self._began = 0.0
        self._unsettled: dict[Exchange, None] = {}
        self._held = 0
        self._timing: deque[Asked] = deque()  # at most OPEN_AT_MOST: sent, in that order, not timed out yet
        self._graced: deque[Asked] = deque()  # at most OPEN_AT_MOST: timed out, may still be answered
        self._room = trio.Event()
        self._settled = trio.Event()
        self._stop = trio.CancelScope()
        self._nursery: trio.Nursery
        self._turn = 0

    # --- the run

    def clock(self) -> int:
        """Nanoseconds since the start."""
        return round((trio.current_time() - self._began) * SECOND)

    async def run(self) -> Tally:
        """Send everything and wait for what comes back. Ends early, and still counts everything, when `stop` is called."""
        self._began = trio.current_time()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._watch_time)
            with self._stop:
                await self._drive()
                await self._wait_for_the_rest()
            self._give_up_the_rest()
            nursery.cancel_scope.cancel()
        return self.tally

    def stop(self) -> None:
        """Send no more, wait for nothing."""
        self.interrupted = True
        self._stop.cancel()

    async def _drive(self) -> None:
        for item in self._steps:
            if isinstance(item, Hangup):
                self._hang_up(item.c)
                continue
            due = self.pace.due(item.t)
            if due is not None:
                await self._until(due)
            elif (self._turn % 64) == 0:
                await trio.lowlevel.checkpoint()
            self._turn += 1
            while (
                self._held >= QUEUED_AT_MOST or len(self._unsettled) >= OPEN_AT_MOST or (due is None and self._held >= 64 * len(self.sides))
            ):
                self._room = trio.Event()
                await self._room.wait()
            self._begin(item, due)

    async def _until(self, due: int) -> None:
        late = self.clock() - due
        if late < 0:
            await trio.sleep_until(self._began + due / SECOND)
        elif self._turn % 64 == 0:
            await trio.lowlevel.checkpoint()

    async def _wait_for_the_rest(self) -> None:
        while self._unsettled:
            self._settled = trio.Event()
            await self._settled.wait()

    def _give_up_the_rest(self) -> None:
        why = "interrupted" if self.interrupted else self.unreachable.what if self.unreachable else "the run was over"
        for exchange in list(self._unsettled):
            for asked in exchange.asked:
                if asked.outcome is None:
                    self._end(asked, "not_sent" if asked.sent_at is None else "closed", why)

    # --- sending

    def _begin(self, step: Step, due: int | None) -> None:
        self.tally.planned += 1
        exchange = Exchange(step, len(self.sides))
        self._unsettled[exchange] = None
        now = self.clock()
        for side in self.sides:
            lane = self._lane(side, step)
            exchange.asked.append(Asked(exchange, side, lane, due, now))
        for asked in list(exchange.asked):
            lane = asked.lane
            if lane.stream is not None and not lane.held and self._has_room(lane):
                self._send(asked, due if due is not None else now)
                if due is None or not self._written_at_once(lane):
                    lane.wake.set()
                continue
            if lane.stream is not None and due is not None and asked.side is self.sides[0]:
                self.tally.held += 1
            lane.held.append(asked)
            self._held += 1
            if lane.stream is not None or not lane.alive:
                self._fill(lane)

    def _has_room(self, lane: Lane) -> bool:
        return self.conduct.window is None or len(lane.flying) < self.conduct.window

    def _fill(self, lane: Lane) -> None:
        """Send what was held, as far as there is room."""
        if lane.filling:
            return  # one that cannot be rebuilt ends in the middle of this, and asks for the next
        lane.filling = True
        while lane.held and (not lane.alive or (lane.stream is not None and self._has_room(lane))):
            asked = lane.held.popleft()
            self._held -= 1
            if not lane.alive:
                self._end(asked, "not_sent", lane.side.why or "the connection was lost")
            elif asked.outcome is None:
                asked.ready_at = self.clock()
                self._send(asked, None)
        lane.filling = False
        if lane.outbox:
            lane.wake.set()
        self._room.set()
        if lane.hanging_up and not lane.held and not lane.flying and not lane.outbox:
            lane.scope.cancel()

    def _send(self, asked: Asked, ready_at: int | None) -> None:
        """Rebuild it and hand it to its connection."""
        step, side, lane = asked.exchange.step, asked.side, asked.lane
        if ready_at is not None:
            asked.ready_at = ready_at
        try:
            asked.frame = side.rewriter.rebuilt(step, self._now(), self._t0 + step.t)
        except ReplayError as error:
            self._end(asked, "not_sent", error.text())
            return
        answer = step.message.reply.message
        if answer is not None and self.spec.family.correlation:
            asked.key = (answer.name, self.spec.correlate(asked.frame))
            if asked.key in side.open:
                asked.key = None
                self._end(asked, "not_sent", SAME_KEY.text())
                return
            side.open[asked.key] = asked
            side.over.pop(asked.key, None)
        elif answer is not None:
            lane.order.append(asked)
        self._mark(step.n)
        if answer is not None:
            lane.flying[asked] = None
        lane.outbox.append(asked)

    def _lane(self, side: Side, step: Step) -> Lane:
        return self._lane_named(side, self._lane_name(step))

    def _lane_named(self, side: Side, name: str) -> Lane:
        lane = side.lanes.get(name)
        return lane if lane is not None and lane.alive and not lane.hanging_up else self._new_lane(side, name)

    def _new_lane(self, side: Side, name: str) -> Lane:
        lane = side.lanes[name] = Lane(side, name)
        if trio.current_time() - side.refused_at < PAUSE:
            lane.alive = False
        else:
            self._nursery.start_soon(self._carry, lane)
        return lane

    def _lane_name(self, step: Step) -> str:
        how = self.conduct.connections
        if how == "recorded":
            return (
                step.c
                if len(self.sides[0].lanes) < CONNECTIONS_AT_MOST or step.c in self.sides[0].lanes
                else str(crc32(step.c.encode()) % CONNECTIONS_AT_MOST)
            )
        if how.startswith("per-key:"):
            return self._key_value(step, how.removeprefix("per-key:"))
        return str((self._turn - 1) % int(how))

    def _key_value(self, step: Step, name: str) -> str:
        planned = step.message.field(name)
        if planned is None or planned.shifts:
            return ""
        prefix = self.spec.framing.prefix
        value = step.frame[prefix + planned.offset : prefix + planned.end].hex()
        return value if len(self.sides[0].lanes) < CONNECTIONS_AT_MOST or value in self.sides[0].lanes else ""

    def _hang_up(self, c: str) -> None:
        """A recorded connection ended: so does ours, when nothing is open on it."""
        for side in self.sides if self.conduct.connections == "recorded" else ():
            lane = side.lanes.get(c)
            if lane is not None and lane.alive:
                lane.hanging_up = True
                if not lane.held and not lane.flying and not lane.outbox:
                    lane.scope.cancel()

    # --- one connection

    async def _carry(self, lane: Lane) -> None:
        side = lane.side
        try:
            stream = await side.dial()
        except ReplayError as error:
            self._refused(lane, error)
            return
        side.refused, side.reached = 0, True
        lost = "the connection was closed"
        with lane.scope:
            async with stream:
                lane.stream = stream
                lane.number = stream.socket.fileno() if isinstance(stream, trio.SocketStream) else None
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._write, lane, stream)
                        self._fill(lane)
                        lost = await self._read(lane, stream)
                        nursery.cancel_scope.cancel()
                finally:
                    lane.number = None  # before the stream is closed: the kernel gives the number to another connection
        self._lost(lane, lane.why or lost)

    def _refused(self, lane: Lane, error: ReplayError) -> None:
        side = lane.side
        side.refused += 1
        side.refused_at = trio.current_time()
        side.why = error.what
        lane.alive = False
        self._fill(lane)
        if side.refused >= REFUSALS or not side.reached:
            self.unreachable = error
            self._stop.cancel()

    def _lost(self, lane: Lane, why: str) -> None:
        lane.alive, lane.stream = False, None
        waiting = [*lane.outbox]
        lane.outbox.clear()
        for asked in waiting:
            self._end(asked, "not_sent" if asked.sent_at is None else "closed", why)
        for asked in [each for each in (*lane.flying, *lane.order, *self._graced) if each.lane is lane and each.outcome is None]:
            self._end(asked, "missing" if asked.overdue else "closed", why)
        if lane.side.lanes.get(lane.name) is lane:
            del lane.side.lanes[lane.name]
        if lane.held:  # nothing of it has left: another connection may carry it
            other = self._lane_named(lane.side, lane.name)
            for asked in lane.held:
                asked.lane = other
            other.held.extendleft(reversed(lane.held))
            lane.held.clear()
            self._fill(other)
        self._fill(lane)

    async def _write(self, lane: Lane, stream: trio.abc.Stream) -> None:
        while True:
            if not lane.outbox and not lane.polls and not lane.rest:
                await lane.wake.wait()
                lane.wake = trio.Event()
            batch = [*lane.outbox]
            lane.outbox.clear()
            data = b"".join([lane.rest, *lane.polls, *(asked.frame for asked in batch)])
            lane.polls.clear()
            lane.rest = b""
            self._sent(batch)
            gone = False
            lane.writing = True
            try:
                await self._put(lane, stream, data)
                gone = True
                lane.writing = False
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await trio.sleep_forever()  # whoever reads sees the end too, behind what is still to be read
            finally:
                for asked in batch:
                    if asked.exchange.step.message.reply.message is None:
                        self._end(asked, "answered" if gone else "closed", "" if gone else "the connection was lost")

    def _written_at_once(self, lane: Lane) -> bool:
        """Hand what is due to the kernel here and now: the writer's turn would come later, and cost more. What the kernel does not
        take is left to the writer."""
        if lane.number is None or lane.writing or lane.rest or lane.polls or len(lane.outbox) != 1:
            return False
        asked = lane.outbox[0]
        if asked.exchange.step.message.reply.message is None:
            return False  # it is over when it has been written
        try:
            taken = os.write(lane.number, asked.frame)
        except OSError:  # no room, or the connection has ended: the writer finds out
            return False
        lane.outbox.clear()
        self._sent([asked])
        lane.rest = asked.frame[taken:]
        return not lane.rest

    async def _put(self, lane: Lane, stream: trio.abc.Stream, data: bytes) -> None:
        """Write it all. A target that takes nothing for as long as an answer may take is given up: no timeout runs for what waits here."""
        for at in range(0, len(data), WRITTEN):
            with trio.move_on_after((self.conduct.timeout + self.conduct.grace) / SECOND) as patience:
                await stream.send_all(data[at : at + WRITTEN])
            if patience.cancelled_caught:
                lane.why = "the target reads nothing"
                lane.scope.cancel()
                await trio.sleep_forever()

    def _sent(self, batch: Sequence[Asked]) -> None:
        now = self.clock()
        for asked in batch:
            asked.sent_at = now
            if asked.due is None:
                asked.due = asked.ready_at
            if asked.side is self.sides[0]:
                self.tally.began(now, now - asked.ready_at)
            if asked.exchange.step.message.reply.message is not None:
                self._timing.append(asked)

    async def _read(self, lane: Lane, stream: trio.abc.Stream) -> str:
        """Take answers until the connection ends. Returns why it did."""
        framer = lane.framer = Framer(self.spec.framing, max_frame=MAX_FRAME)
        while True:
            try:
                data = await stream.receive_some(RECEIVE)
            except trio.BrokenResourceError:
                return "the target reset the connection"
            now = self.clock()
            try:
                if not data:
                    framer.end()
                    return "the target closed the connection"
                framer.feed(bytes(data))
                while frames := framer.take(256):
                    for frame in frames:
                        self._arrived(lane, frame, now)
            except FramingError as error:
                self.tally.beside["garbage"] += 1
                return f"{error.code}: what the target sent is no telegram of {self.spec.name}"

    # --- answers

    def _arrived(self, lane: Lane, frame: bytes, now: int) -> None:
        answer = self.spec.poll_answer(frame)
        if answer is not None:
            lane.polls.append(answer)
            lane.wake.set()
            return
        if self.spec.is_poll(frame):
            return
        asked, fault = self._answers.whose(lane, frame)
        if asked is None:
            return
        if fault:
            asked.answers.append(frame)
            self._end(asked, "unparseable", fault)
            return
        asked.answers.append(frame)
        if is_last(asked.exchange.step.message, frame):
            self._answered(asked, now)

    def _answered(self, asked: Asked, now: int) -> None:
        asked.answered_at = now
        step = asked.exchange.step
        if asked.side is self.sides[0] and asked.due is not None and asked.sent_at is not None:
            self.tally.answered(step.message.name, now, asked.due, asked.sent_at)
        for then, got in zip(step.answers, asked.answers, strict=False):
            message = self.spec.message_of(then)
            if message is not None and message is self.spec.message_of(got):
                asked.side.rewriter.learn(message, then, got)
        self._end(asked, "late" if asked.overdue else "answered", "")

    # --- ends

    def _end(self, asked: Asked, outcome: Outcome, why: str) -> None:
        if asked.outcome is not None:
            return
        asked.outcome, asked.why = outcome, why
        side, lane = asked.side, asked.lane
        if asked.key is not None and side.open.get(asked.key) is asked:
            del side.open[asked.key]
            if outcome in ("answered", "late", "unparseable"):
                side.over[asked.key] = None
                if len(side.over) > REMEMBERED:
                    side.over.popitem(last=False)
        if lane.order and lane.order[0] is asked:
            lane.order.popleft()
        elif asked.key is None and asked in lane.order:
            lane.order.remove(asked)
        lane.flying.pop(asked, None)
        if lane.alive:
            self._fill(lane)
        exchange = asked.exchange
        exchange.open -= 1
        if not exchange.open:
            del self._unsettled[exchange]
            if (
                asked.outcome == "not_sent"
                and len(self.unsent) < OPEN_AT_MOST
                and all(each.outcome == "not_sent" for each in exchange.asked)
            ):
                self.unsent.append(exchange.step.n)
            self._judge.judge(exchange, self.clock)
            exchange.asked.clear()  # they know each other: the collector would have to find them
            self._room.set()
            if not self._unsettled:
                self._settled.set()

    async def _watch_time(self) -> None:
        """Timeouts and graces. Both queues are in the order of their ends."""
        while True:
            now = self.clock()
            while self._timing and (self._timing[0].outcome is not None or (self._timing[0].sent_at or 0) + self.conduct.timeout <= now):
                asked = self._timing.popleft()
                if asked.outcome is None:
                    asked.overdue = True
                    asked.lane.flying.pop(asked, None)
                    self._graced.append(asked)
                    self._fill(asked.lane)
            while self._graced and (self._graced[0].outcome is not None or self._given_up(self._graced[0]) <= now):
                asked = self._graced.popleft()
                if asked.outcome is None:
                    begun = asked.lane.framer is not None and asked.lane.framer.pending
                    self._end(asked, "missing", "an answer was begun on its connection and never finished" if begun else "")
                    if not self.spec.family.correlation:
                        asked.lane.scope.cancel()  # what comes now could be anybody's
            ends = [*self._ends()]
            await trio.sleep(max(min(ends) - now, 1_000_000) / SECOND)

    def _ends(self) -> Iterator[int]:
        if self._timing:
            yield (self._timing[0].sent_at or 0) + self.conduct.timeout
        if self._graced:
            yield self._given_up(self._graced[0])
        yield self.clock() + min(self.conduct.timeout, SECOND // 2)  # nothing that is sent from now on ends before

    def _given_up(self, asked: Asked) -> int:
        return (asked.sent_at or 0) + self.conduct.timeout + self.conduct.grace
