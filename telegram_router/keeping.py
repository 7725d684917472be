"""Keeps what quotas count: tells them the calendar's time, stores what has changed about once a second, restores it at start."""

# Rules this file keeps, all of them tested:
#
# 1. The hub never waits for the disk: lines are made in slices of its thread, written and synced in another one.
# 2. What a kill loses is what was counted since the last store, a second's worth: it may be used once more, and nothing is lost
#    of anybody's quota that was not used.
# 3. While nothing can be stored the quotas know it, and it is tried again every second with all that has changed since.
# 4. What belongs to no quota of today is kept until its window is over: a quota may come back with the next reload.

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import trio

from telegram_router.assembly import quotas_of
from telegram_router.config import Config
from telegram_router.ops import answers
from telegram_router.ops.logs import Log
from telegram_router.routing import Switch
from telegram_router.routing.quotas import WINDOWS, Counted, Quota, Window
from telegram_router.storage.calendars import window_of
from telegram_router.storage.counters import Counters, Disk, StateFolder
from telegram_router.storage.lines import Bucket, Stored, all_lines, line_of

EVERY = 1.0  # seconds between two stores
LEAP = 2.0  # seconds by which the time of day may differ from the clock that only goes on
MOMENT = 0.001
LINES = 50  # of a new file in one second
QUOTA = "quota"


class Keeper:
    """The state of one router. It has a folder once there is something to keep."""

    def __init__(
        self,
        folder: Path,
        switch: Switch,
        log: Log,
        clock: Callable[[], float],
        *,
        wall: Callable[[], float] = time.time,
        disk: Disk | None = None,
    ) -> None:
        self.path = folder
        self.failure = ""  # why nothing can be stored at the moment
        self.failures = 0
        self._switch = switch
        self._log = log
        self._clock = clock
        self._wall = wall
        self._disk = disk
        self._folder: StateFolder | None = None
        self._counters: Counters | None = None
        self._unowned: Stored = {}  # what was stored of quotas that are not configured
        self._quotas: dict[Quota, tuple[str, ZoneInfo]] = {}  # and the period and zone of each
        self._ahead: float | None = None  # the time of day less the clock
        self._retry: list[bytes] = []  # lines of which nobody knows whether they are on the disk
        self._anew: Iterator[bytes] | None = None  # what is still to be written into a new file
        self._changed = trio.Event()

    @property
    def size(self) -> int:
        return self._counters.size if self._counters is not None else 0

    def seen(self) -> answers.StoreSeen | None:
        """As the admin API shows it; None while there is nothing to keep."""
        return answers.StoreSeen(str(self.path), self.size, self.failure, self.failures) if self._counters is not None else None

    # --- beginning and adopting

    def open(self, config: Config) -> bool:
        """Take the folder, if there is something to keep in it and it is not taken yet; whether it was.

        Raises RouterError E-STO-01 or E-STO-02.
        """
        if self._counters is not None or not config.quotas:
            return False
        folder = StateFolder(self.path, self._disk)
        try:
            self._counters = folder.counters()
        except BaseException:
            folder.close()
            raise
        self._folder = folder
        found = self._counters.found
        self._unowned = found.stored
        if found.damaged:
            self._log.error("counters_damaged", folder=str(self.path), lines=found.damaged)
        self._log.info("counters_restored", folder=str(self.path), bytes=found.sound, torn=found.torn)
        return True

    def adopt(self, config: Config) -> None:
        """Keep the quotas that the switch has now. Called in the step of the hub that gave them to it."""
        present = quotas_of(self._switch.listeners.values())
        for gone in [each for each in self._quotas if each not in present]:
            del self._quotas[gone]
            for counted in gone.everything():
                self._unowned.setdefault(_bucket(gone, counted.window), {}).update(counted.used)
        for quota in present:
            settings = config.quotas[quota.name]
            if quota not in self._quotas:
                quota.restore(self._restored(quota))
                quota.unstored = bool(self.failure)
            self._quotas[quota] = settings.period, ZoneInfo(settings.timezone)
        self.keep_time()
        self._changed.set()

    def _restored(self, quota: Quota) -> Mapping[Window, dict[str, int]]:
        mine = [bucket for bucket in self._unowned if bucket[:3] == (QUOTA, quota.name, quota.identity)]
        return {Window(*bucket[3:]): self._unowned.pop(bucket) for bucket in mine}  # type: ignore[arg-type]

    # --- time

    def keep_time(self) -> None:
        """Tell every quota which window it is."""
        wall, now = self._wall(), self._clock()
        ahead = wall - now
        if self._ahead is not None and abs(ahead - self._ahead) > LEAP:
            self._log.warning("clock_stepped", seconds=round(ahead - self._ahead, 3))
        self._ahead = ahead
        for quota, (period, zone) in self._quotas.items():
            window = quota.window
            if not window.begin <= wall < window.end:
                window = window_of(wall, period, zone)  # type: ignore[arg-type]
            quota.keep_time(window, window_of(window.end, period, zone), window.end - ahead, now)  # type: ignore[arg-type]

    def _until_next(self) -> float:
        """Seconds until the next look: a window's end is not slept over."""
        wall = self._wall()
        ends = [quota.window.end - wall + MOMENT for quota in self._quotas]
        return min([EVERY, *(end for end in ends if end > 0)])

    # --- storing

    async def run(self) -> None:
        """Keep time and store, for ever."""
        stored_at = self._clock()
        while True:
            while not self._quotas:
                self._changed = trio.Event()
                await self._changed.wait()
            await trio.sleep(self._until_next())
            self.keep_time()
            if self._clock() - stored_at >= EVERY - MOMENT:
                stored_at = self._clock()
                await self.store()

    async def store(self) -> None:
        """Have all that has changed on the disk."""
        counters = self._counters
        if counters is None:
            return
        if not self._retry:
            self._retry = await self._gathered(self._changes())
        try:
            if self._retry:
                await trio.to_thread.run_sync(counters.add, self._retry)
                self._retry = []
            if counters.large or self._anew is not None:
                await self._write_anew(counters)
        except OSError as error:
            self._anew = None
            with suppress(OSError):
                counters.give_up_anew()
            self._failed(error)
        else:
            self._succeeded()

    async def _gathered(self, lines: Iterable[bytes]) -> list[bytes]:
        """Lines, made in slices: the hub has its turns between them."""
        gathered = []
        for line in lines:
            gathered.append(line)
            await trio.lowlevel.checkpoint()
        return gathered

    def _changes(self) -> Iterator[bytes]:
        for quota in list(self._quotas):
            for counted in quota.take_changes():
                yield _line(quota, counted)

    async def _write_anew(self, counters: Counters) -> None:
        """A part of the new file; what changes meanwhile is added to both."""
        if self._anew is None:
            await trio.to_thread.run_sync(counters.begin_anew)
            self._forget_the_past()
            self._anew = self._everything()
        lines = await self._gathered(islice(self._anew, LINES))
        await trio.to_thread.run_sync(counters.add_anew, lines)
        if len(lines) < LINES:
            self._anew = None
            await trio.to_thread.run_sync(counters.take_over)

    def _everything(self) -> Iterator[bytes]:
        yield from all_lines(self._unowned)
        for quota in list(self._quotas):
            for counted in quota.everything():
                yield _line(quota, counted)

    def _forget_the_past(self) -> None:
        """Of quotas that nobody has, only the latest windows are of use."""
        by_quota: dict[Bucket, list[Bucket]] = {}
        for bucket in self._unowned:
            by_quota.setdefault(bucket[:3], []).append(bucket)
        for buckets in by_quota.values():
            for bucket in sorted(buckets, key=lambda each: each[3])[:-WINDOWS]:
                del self._unowned[bucket]

    def _failed(self, error: OSError) -> None:
        self.failures += 1
        if not self.failure:
            self._log.error("counters_not_stored", code="E-STO-03", folder=str(self.path), what=error.strerror or type(error).__name__)
        self._tell_quotas(error.strerror or type(error).__name__)

    def _succeeded(self) -> None:
        if self.failure:
            self._log.info("counters_stored_again", folder=str(self.path))
            self._tell_quotas("")

    def _tell_quotas(self, failure: str) -> None:
        self.failure = failure
        for quota in self._quotas:
            quota.unstored = bool(failure)

    async def close(self) -> None:
        """Store what is left and let go of the folder."""
        with trio.CancelScope(shield=True):
            await self.store()
            await self.store()  # what had to be tried again, and what has changed since
        self.let_go()

    def let_go(self) -> None:
        """Of the folder."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None
        if self._folder is not None:
            self._folder.close()
            self._folder = None


def _bucket(quota: Quota, window: Window) -> Bucket:
    return QUOTA, quota.name, quota.identity, window.begin, window.end


def _line(quota: Quota, counted: Counted) -> bytes:
    values: dict[str, Any] = counted.used
    return line_of(_bucket(quota, counted.window), values)
