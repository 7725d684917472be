"""A client that sends what a capture has, at its times, and holds each answer against the one of then."""

# Rules this file keeps:
#
# 1. A request goes out at its recorded time, on its connection, in its order; one that followed an answer waits for that answer, or
#    until it is given up.
# 2. Each planned request ends in exactly one bucket. They add up to the number planned at any moment.

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from telegram_router.telegrams import Spec
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.replay.comparing import Comparer, Difference
from telegram_router.tools.replay.masks import Masks
from telegram_router.tools.replay.remembering import Sequences
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.steps import Step, is_last
from telegram_router.tools.simulate.course import Course
from telegram_router.tools.simulate.lines import Line
from telegram_router.tools.simulate.mishaps import Out
from telegram_router.tools.simulate.script import Part, Script
from telegram_router.tools.simulate.verdict import Judged

ANSWERED_WITHIN: Final = 30.0  # seconds, as everywhere unless somebody says otherwise
TOLD: Final = 10  # failures that are told one by one
BUCKETS: Final = ("same", "different", "missing", "closed", "not_sent", "not_compared", "waiting")


@dataclass(slots=True)
class _Played:
    """One connection at work."""

    line: Line
    part: Part
    next: int = 0  # to be sent
    timed: int = -1  # the one that a timer was set for
    open: dict[str, int] = field(default_factory=dict)  # sent and not settled, by exchange; at most as many as the part has
    got: dict[int, list[bytes]] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)  # what an answer counts as that is not waited for, by exchange
    settled: set[int] = field(default_factory=set)

    gone: bool = False  # the connection, though timers may still come for it

    @property
    def is_over(self) -> bool:
        """Nothing can be sent or waited for any more."""
        return self.gone or self.line.ended

    @property
    def is_done(self) -> bool:
        return len(self.settled) == len(self.part.planned)


class Playing:
    """A script at work. `schedule` lets a frame out."""

    def __init__(self, script: Script, spec: Spec, course: Course, pairing: Pairing, schedule: Callable[[Out], None]) -> None:
        self._script = script
        self._course = course
        self._pairing = pairing
        self._schedule = schedule
        self._comparer = Comparer(spec, Masks())
        self._unchanged = Rewriter(spec, {}, Sequences(), datetime.UTC, volatile=False)  # what is sent is what was recorded
        self._played: dict[int, _Played] = {}
        self.buckets: Counter[str] = Counter()
        self.beside: Counter[str] = Counter()  # answers that belong to no bucket: late, unexpected, answered_now
        self._failures: list[str] = []  # the first of them
        self._sent = 0

    # --- sending

    def begin(self, line: Line, index: int) -> None:
        """A connection was made for one part of the script."""
        played = self._played[line.number] = _Played(line, self._script.parts[index])
        self._go_on(played)

    def _go_on(self, played: _Played) -> None:
        """Send what is due and does not wait for an answer; come again for the rest."""
        line, planned = played.line, played.part.planned
        while not played.is_over and played.next < len(planned):
            here = planned[played.next]
            due = line.opened + here.at
            if due > self._course.now:
                if played.timed < played.next:
                    played.timed = played.next
                    self._course.later(due, lambda: self._go_on(played))
                return
            if here.behind is not None and here.behind not in played.settled:
                return  # whoever settles that one goes on
            played.next += 1
            self._send(played, played.next - 1, here.step)
        self._end_when_done(played)

    def _send(self, played: _Played, index: int, step: Step) -> None:
        line = played.line
        self._sent += 1
        exchange = self._pairing.exchange(line, step.message, step.frame)
        self._schedule(Out(line.number, self._course.now, step.frame, step.message.name, "recorded", exchange=exchange))
        if not step.answers or exchange is None:
            self._settle(played, index, "not_compared")
            played.beside[exchange or ""] = "answered_now"
            return
        played.open[exchange] = index
        self._course.later(self._course.now + ANSWERED_WITHIN, lambda: self._give_up(played, exchange))

    def _end_when_done(self, played: _Played) -> None:
        line = played.line
        if not played.is_done or played.is_over:
            return
        ends = line.opened + played.part.lasts
        if ends > self._course.now:
            self._course.later(ends, lambda: self._end_when_done(played))
        else:
            self._course.end(line, "fin")

    # --- what comes back

    def answered(self, line: Line, exchange: str | None, frame: bytes) -> None:
        """An answer came."""
        played = self._played.get(line.number)
        if played is None:
            return
        index = played.open.get(exchange or "")
        if index is None or exchange is None:
            self.beside[played.beside.get(exchange or "", "unexpected")] += 1
            return
        step = played.part.planned[index].step
        got = played.got.setdefault(index, [])
        got.append(frame)
        if not is_last(step.message, frame):
            return
        del played.open[exchange], played.got[index]
        differences = self._comparer.differences(step, step.frame, self._unchanged, step.answers, got)
        if differences:
            self._blame(f"{step.x} {step.message.name}: {', '.join(map(_shown, differences[:3]))}")
        self._settle(played, index, "different" if differences else "same")
        self._go_on(played)

    def _give_up(self, played: _Played, exchange: str) -> None:
        if exchange not in played.open or played.is_over:
            return
        index = played.open.pop(exchange)
        step = played.part.planned[index].step
        played.beside[exchange] = "late"
        self._blame(f"{step.x} {step.message.name}: no answer within {ANSWERED_WITHIN:g} s")
        self._settle(played, index, "missing")
        self._go_on(played)

    def gone(self, number: int) -> bool:
        """The connection has ended; whether all of it had been done."""
        played = self._played.pop(number, None)
        if played is None:
            return True
        played.gone = True
        if played.is_done:
            return True
        for index in played.open.values():
            step = played.part.planned[index].step
            self._blame(f"{step.x} {step.message.name}: the connection ended before the answer")
        self.buckets["closed"] += len(played.open)
        return False

    def _settle(self, played: _Played, index: int, bucket: str) -> None:
        played.settled.add(index)
        self.buckets[bucket] += 1

    def _blame(self, what: str) -> None:
        if len(self._failures) < TOLD:
            self._failures.append(what)

    # --- the end

    def shown(self) -> dict[str, int]:
        """How many were planned, and what became of them; the buckets add up."""
        counted = {name: self.buckets[name] for name in BUCKETS}
        counted["waiting"] = sum(len(played.open) for played in self._played.values())
        counted["not_sent"] = self._script.planned - self._sent
        return {"planned": self._script.planned, "sent": self._sent, **counted, **self.beside}

    @property
    def is_complete(self) -> bool:
        """Everything was sent, and whatever is answered has been, or was given up."""
        counted = self.shown()
        return not (counted["waiting"] or counted["not_sent"] or counted["closed"])

    def judged(self) -> Judged:
        counted = self.shown()
        failed = sum(counted[name] for name in ("different", "missing", "closed", "not_sent", "waiting"))
        expect = f"each of {counted['planned']:,} requests is answered as in {self._script.capture}"
        return Judged("answers as recorded", expect, self._script.capture, not failed, tuple(self._failures), failed)


def _shown(difference: Difference) -> str:
    """A field that is another, with its values where they may be shown."""
    place = f"{difference.path} [{difference.offset}..{difference.offset + difference.length}]"
    return f"{place} expected {difference.expected!r}, got {difference.got!r}" if difference.clear else f"{place} differs"
