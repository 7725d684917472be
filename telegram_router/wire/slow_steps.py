"""Steps of tasks that hold up all others: counted, and named in the log."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from telegram_router.wire.hub import Hub, Log

SLOW = 0.02
BETWEEN_LINES = 1.0


class SlowSteps(trio.abc.Instrument):
    """Counts every step of over SLOW seconds in `hub.slow_steps`, and logs the slowest of each second by its task's name.

    A clock of its own: the steps that matter are too short for one that is read once a turn.
    """

    def __init__(self, hub: Hub, log: Log, clock: Callable[[], float] = time.perf_counter) -> None:
        self._hub = hub
        self._log = log
        self._clock = clock
        self._began = clock()  # it is put to work inside a step
        self._told_at = float("-inf")
        self._untold = 0
        self._worst = (0.0, "")

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = self._clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = self._clock()
        took = now - self._began
        if took > SLOW:
            self._slow(task.name, took, now)

    def _slow(self, name: str, took: float, now: float) -> None:
        self._hub.slow_steps += 1
        self._untold += 1
        self._worst = max(self._worst, (took, name))
        if now - self._told_at < BETWEEN_LINES:
            return
        worst, task = self._worst
        self._log.warning("slow_step", task=task, took_ms=round(worst * 1000, 1), steps=self._untold)
        self._told_at, self._untold, self._worst = now, 0, (0.0, "")
