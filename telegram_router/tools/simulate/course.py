"""What the parts of a simulation share: the time, what is due later, what the driver is to do, what was noted."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any, Final

from telegram_router.storage import capture_records as capture
from telegram_router.tools.simulate.actions import Action, End, How
from telegram_router.tools.simulate.journal import Journal
from telegram_router.tools.simulate.lines import Line
from telegram_router.tools.simulate.mishaps import ENDING
from telegram_router.tools.simulate.verdict import Verdict
from telegram_router.tools.simulate.world import Prepared

WAITING_AT_MOST: Final = 200_000  # answers, pieces and timers that are due later


class Course:
    """One simulation's. `now` never goes back."""

    def __init__(self, prepared: Prepared, now: float, recording: bool) -> None:
        about = prepared.scenario.scenario
        self.began = now
        self.now = now
        self.journal = Journal(prepared.spec, about.journal, recording)
        self.verdict = Verdict(prepared)
        self.came: capture.Direction = ">" if about.role == "host" else "<"  # of captures: `>` is from the side that connected
        self.went: capture.Direction = "<" if about.role == "host" else ">"
        self._actions: list[Action] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # a heap; at most WAITING_AT_MOST
        self._order = itertools.count()

    def take(self) -> list[Action]:
        """What is to be done, once."""
        actions, self._actions = self._actions, []
        return actions

    def do(self, action: Action) -> None:
        self._actions.append(action)

    # --- time

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        return self._due[0][0] if self._due else None

    def reach(self, now: float) -> None:
        """It is that late."""
        self.now = max(self.now, now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self.reach(now)
        while self._due and self._due[0][0] <= now:
            at, _, do = heapq.heappop(self._due)
            self.now = max(self.now, min(at, now))
            do()
        self.now = now

    def later(self, at: float, do: Callable[[], None]) -> None:
        if len(self._due) >= WAITING_AT_MOST:
            self.journal.counts["dropped"] += 1
            return
        heapq.heappush(self._due, (at, next(self._order), do))

    def time_of(self, now: float) -> int:
        """As captures have it: whole nanoseconds since the beginning."""
        return round((now - self.began) * 1_000_000_000)

    # --- ends of connections

    def end(self, line: Line, how: How) -> None:
        if line.ended:
            return
        self.do(End(line.number, how))
        if how == "half_close":
            line.silent = True
        else:
            line.ended = True

    def finish(self, line: Line, how: ENDING) -> None:
        """The end that a fault wants."""
        if how == "silent":
            line.silent = True
        else:
            self.end(line, how)

    # --- what is told

    def keep(self, line: Line, direction: capture.Direction, frame: bytes, **more: Any) -> None:
        """Record a telegram, where there is a recording."""
        if self.journal.recording:
            self.journal.record(capture.telegram(self.time_of(self.now), f"c{line.number}", direction, frame, **more))

    def note(self, text: str, **more: Any) -> None:
        self.journal.note(text)
        self.journal.record(capture.note(self.time_of(self.now), text, **more))

    def trouble(self, text: str) -> None:
        """Something that the scenario wants and that cannot be: whoever wrote it must mend it."""
        self.journal.counts["troubles"] += 1
        self.verdict.trouble(text)
        self.note(text)
