"""A replay at work: one scheduler that sends all that is due, connections that carry it, and answers paired with what was asked."""

# Rules this file keeps:
#
# 1. Nothing is sent twice: a telegram whose connection was lost is not sent again, and what may have left counts as sent.
# 2. What is due is never left out: where there is no room it waits, and counts as held. Latency runs from when it was due.
# 3. An answer is paired by the spec's correlation and by nothing else. Where a family has none, answers pair by their order, and
#    a connection on which one stayed out is given up: its order says nothing any more.
# 4. Every exchange ends in one bucket, whatever ends the run.

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import trio

from telegram_router.errors import FieldError, FramingError
from telegram_router.telegrams import Framer, Spec
from telegram_router.tools.replay.comparing import Comparer, Difference
from telegram_router.tools.replay.pacing import Pace
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Hangup, Step, is_last
from telegram_router.tools.replay.tally import Tally, Told

Dial = Callable[[], Awaitable[trio.abc.Stream]]
Outcome = Literal["answered", "late", "missing", "unparseable", "closed", "not_sent"]

QUEUED_AT_MOST: Final = 20_000  # telegrams that are due and wait for room, on all connections
OPEN_AT_MOST: Final = 100_000  # exchanges
REMEMBERED: Final = 20_000  # keys of exchanges that are over, to know a second answer
CONNECTIONS_AT_MOST: Final = 1_000
RECEIVE: Final = 65_536
MAX_FRAME: Final = 1024 * 1024
WAITING_OUT: Final = 256  # answers to polls that wait to be written
PAUSE: Final = 1.0  # seconds before an address that refused is dialled again
REFUSALS: Final = 3  # one after the other, and the run is over


@dataclass
class Side:
    """One system that requests go to. Its `rewriter` makes them its own."""

    name: str  # target, baseline or noise
    dial: Dial
    rewriter: Rewriter
    lanes: dict[str, Lane] = field(default_factory=dict)
    open: dict[Any, Asked] = field(default_factory=dict)  # by reply and key
    over: OrderedDict[Any, None] = field(default_factory=OrderedDict)  # keys of what has been answered
    refused: int = 0  # one after the other
    refused_at: float = -PAUSE
    why: str = ""
    reached: bool = False


class Asked:
    """One request to one side."""

    __slots__ = (
        "answered_at",
        "answers",
        "due",
        "exchange",
        "frame",
        "key",
        "lane",
        "outcome",
        "overdue",
        "ready_at",
        "sent_at",
        "side",
        "why",
    )

    def __init__(self, exchange: Exchange, side: Side, lane: Lane, due: int | None, ready_at: int) -> None:
        self.exchange = exchange
        self.side = side
        self.lane = lane
        self.due = due
        self.ready_at = ready_at  # when nothing but we stood in its way
        self.frame = b""
        self.key: Any = None
        self.sent_at: int | None = None
        self.answers: list[bytes] = []
        self.answered_at = 0
        self.overdue = False
        self.outcome: Outcome | None = None
        self.why = ""


class Exchange:
    """A step on its way, on all sides."""

    __slots__ = ("asked", "step")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.asked: list[Asked] = []


class Lane:
    """One connection of a side. `held`: what is due and waits for room, in order."""

    def __init__(self, side: Side, name: str) -> None:
        self.side = side
        self.name = name
        self.stream: trio.abc.Stream | None = None
        self.scope = trio.CancelScope()
        self.held: deque[Asked] = deque()  # at most QUEUED_AT_MOST with those of all lanes
        self.outbox: deque[Asked] = deque()  # at most the window
        self.polls: deque[bytes] = deque(maxlen=WAITING_OUT)
        self.flying: dict[Asked, None] = {}  # sent or in the outbox, not timed out
        self.order: deque[Asked] = deque()  # at most OPEN_AT_MOST: of families without a key
        self.wake = trio.Event()
        self.alive = True
        self.hanging_up = False


@dataclass(frozen=True)
class Conduct:
    """How a replay is done. Times in nanoseconds."""

    connections: str = "recorded"  # or a number, or per-key:FIELD
    window: int | None = None
    timeout: int = 5 * SECOND
    grace: int = 2 * SECOND
    compare: Literal["recorded", "baseline", "none"] = "recorded"


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
        self._steps = iter(steps)
        self._comparer = comparer
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
        exchange = Exchange(step)
        self._unsettled[exchange] = None
        now = self.clock()
        for side in self.sides:
            lane = self._lane(side, step)
            exchange.asked.append(Asked(exchange, side, lane, due, now))
        for asked in list(exchange.asked):
            lane = asked.lane
            if lane.stream is not None and not lane.held and self._has_room(lane):
                self._send(asked, due if due is not None else now)
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
        while lane.held and (not lane.alive or (lane.stream is not None and self._has_room(lane))):
            asked = lane.held.popleft()
            self._held -= 1
            if not lane.alive:
                self._end(asked, "not_sent", lane.side.why or "the connection was lost")
            elif asked.outcome is None:
                asked.ready_at = self.clock()
                self._send(asked, None)
        self._room.set()
        if lane.hanging_up and not lane.held and not lane.flying:
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
                self._end(asked, "not_sent", "its correlation key is that of an open exchange")
                return
            side.open[asked.key] = asked
            side.over.pop(asked.key, None)
        elif answer is not None:
            lane.order.append(asked)
        self._mark(step.n)
        if answer is not None:
            lane.flying[asked] = None
        lane.outbox.append(asked)
        lane.wake.set()

    def _lane(self, side: Side, step: Step) -> Lane:
        name = self._lane_name(step)
        lane = side.lanes.get(name)
        if lane is None or not lane.alive or lane.hanging_up:
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
                else str(hash(step.c) % CONNECTIONS_AT_MOST)
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
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, lane, stream)
                    self._fill(lane)
                    lost = await self._read(lane, stream)
                    nursery.cancel_scope.cancel()
        self._lost(lane, lost)

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
        self._fill(lane)

    async def _write(self, lane: Lane, stream: trio.abc.Stream) -> None:
        while True:
            if not lane.outbox and not lane.polls:
                await lane.wake.wait()
                lane.wake = trio.Event()
            batch = [*lane.outbox]
            lane.outbox.clear()
            data = b"".join([*lane.polls, *(asked.frame for asked in batch)])
            lane.polls.clear()
            self._sent(batch)
            gone = False
            try:
                await stream.send_all(data)
                gone = True
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await trio.sleep_forever()  # whoever reads sees the end too, behind what is still to be read
            finally:
                for asked in batch:
                    if asked.exchange.step.message.reply.message is None:
                        self._end(asked, "answered" if gone else "closed", "" if gone else "the connection was lost")

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
        framer = Framer(self.spec.framing, max_frame=MAX_FRAME)
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
        asked, readable = self._whose(lane, frame)
        if asked is None:
            return
        if not readable:
            asked.answers.append(frame)
            self._end(asked, "unparseable", "")
            return
        asked.answers.append(frame)
        if is_last(asked.exchange.step.message, frame):
            self._answered(asked, now)

    def _whose(self, lane: Lane, frame: bytes) -> tuple[Asked | None, bool]:
        """The open request that a frame answers, and whether it can be read; what answers none is counted."""
        spec, side = self.spec, lane.side
        whole = len(frame) >= spec.framing.prefix + spec.header_size
        message = spec.message_of(frame) if whole else None
        first = side is self.sides[0]
        if message is not None and message.kind != "reply":
            self.tally.beside["unexpected"] += first
            return None, True
        if not spec.family.correlation:
            return self._next_in_order(lane, message.name if message else None, first)
        if message is None:
            asked = self._by_key_alone(side, frame) if whole else None
            if asked is None:
                self.tally.beside["unexpected"] += first
            return asked, False
        key = (message.name, spec.correlate(frame))
        asked = side.open.get(key)
        if asked is None or asked.sent_at is None:
            self.tally.beside["duplicate" if key in side.over else "unexpected"] += first
            return None, True
        return asked, spec.check_size(frame, message) is None

    def _by_key_alone(self, side: Side, frame: bytes) -> Asked | None:
        """A frame that is no message of the spec, but has the key of an open request."""
        wanted = self.spec.correlate(frame)
        return next((asked for (_, key), asked in side.open.items() if key == wanted and asked.sent_at is not None), None)

    def _next_in_order(self, lane: Lane, name: str | None, first: bool) -> tuple[Asked | None, bool]:
        if not lane.order or lane.order[0].sent_at is None:
            self.tally.beside["unexpected"] += first
            return None, True
        asked = lane.order[0]
        wanted = asked.exchange.step.message.reply.message
        return asked, wanted is not None and wanted.name == name

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
        if (
            exchange in self._unsettled
            and all(each.outcome is not None for each in exchange.asked)
            and len(exchange.asked) == len(self.sides)
        ):
            del self._unsettled[exchange]
            self._judge(exchange)
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
                    self._end(asked, "missing", "")
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

    def _judge(self, exchange: Exchange) -> None:
        """Put an exchange into its bucket."""
        target, step = exchange.asked[0], exchange.step
        bucket, why, differences, expected = str(target.outcome), target.why, list[Difference](), list[bytes]()
        if target.outcome in ("answered", "late"):
            bucket, expected, differences = self._compared(exchange, target)
            if target.outcome == "late" and bucket != "unparseable":
                bucket = "late"
        elif target.outcome == "unparseable":
            expected = step.answers
        took = target.answered_at - (target.due or 0) if target.answered_at else None
        told = Told(step.n, step.x, step.message.name, bucket, why, tuple(differences), target.frame, tuple(expected), tuple(target.answers), took)  # fmt: skip
        self.tally.ended(told, self.clock())

    def _compared(self, exchange: Exchange, target: Asked) -> tuple[str, list[bytes], list[Difference]]:
        step = exchange.step
        if step.message.reply.message is None:
            self.tally.no_answer_wanted += 1
            return "same", [], []
        by_name = {asked.side.name: asked for asked in exchange.asked}
        expected = step.answers
        if self.conduct.compare == "none":
            return "same", [], []
        if self.conduct.compare == "baseline":
            baseline = by_name["baseline"]
            expected = baseline.answers if baseline.outcome in ("answered", "late") else []
        if not expected:
            return "baseline_missing", [], []
        found = self._differences(step, target, by_name.get("baseline"), expected)
        noise = by_name.get("noise")
        if found and noise is not None:
            found = self._without_noise(step, found, by_name.get("baseline", target), noise)
        if found and any(self._comparer.unreadable(frame) for frame in target.answers):
            return "unparseable", expected, found
        return ("different" if found else "same"), expected, found

    def _differences(self, step: Step, target: Asked, baseline: Asked | None, expected: list[bytes]) -> list[Difference]:
        if baseline is not None and self.conduct.compare == "baseline":
            step = Step(step.n, step.t, step.c, step.x, step.message, baseline.frame, expected, True)
        try:
            return self._comparer.differences(step, target.frame, target.side.rewriter, expected, target.answers)
        except FieldError:  # counts and choices of a telegram that cannot be placed
            name = step.message.reply.message.name if step.message.reply.message else ""
            return [Difference(name, "structure", 0, len(target.answers[0]), None, None, clear=False)]

    def _without_noise(self, step: Step, found: list[Difference], one: Asked, other: Asked) -> list[Difference]:
        """Leave out the fields in which two answers of a system that is known to be good differ."""
        if one.outcome not in ("answered", "late") or other.outcome not in ("answered", "late"):
            return found
        twin = Step(step.n, step.t, step.c, step.x, step.message, one.frame, one.answers, True)
        noisy = {
            (each.message, each.path)
            for each in self._comparer.differences(twin, other.frame, other.side.rewriter, one.answers, other.answers)
        }
        self.tally.noisy.update(f"{each.message} {each.path}" for each in found if (each.message, each.path) in noisy)
        return [each for each in found if (each.message, each.path) not in noisy]
