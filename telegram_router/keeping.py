"""Keeps what quotas and usage count: tells the calendar's time, stores what has changed about once a second, restores it at start."""

# Rules this file keeps, all of them tested:
#
# 1. The hub never waits for the disk: lines are made in slices of its thread, written and synced in another one.
# 2. What a kill loses is what was counted since the last store, a second's worth: it may be used once more, and nothing is lost
#    of anybody's quota that was not used.
# 3. While nothing can be stored the quotas know it, and it is tried again every second with all that has changed since.
# 4. What belongs to no quota of today is kept until its window is over: a quota may come back with the next reload.

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import trio

from telegram_router.assembly import quotas_of
from telegram_router.config import Config, Usage
from telegram_router.errors import RouterError
from telegram_router.metering import Meter, gathered
from telegram_router.ops import answers
from telegram_router.ops.logs import Log
from telegram_router.ops.usage_rows import chosen_days, rows_of
from telegram_router.routing.quotas import WINDOWS, Counted, Quota, Window
from telegram_router.storage.calendars import window_of
from telegram_router.storage.counters import Counters, Disk, StateFolder
from telegram_router.storage.lines import Bucket, Stored, all_lines, line_of
from telegram_router.wire.hub import Hub

EVERY = 1.0  # seconds between two stores
MOMENT = 0.001
LINES = 50  # of a new file in one second
QUOTA = "quota"


class Keeper:
    """The state of one router. It has a folder once there is something to keep."""

    def __init__(
        self,
        folder: Path,
        hub: Hub,
        log: Log,
        *,
        wall: Callable[[], float] = time.time,
        disk: Disk | None = None,
    ) -> None:
        self.path = folder
        self.failure = ""  # why nothing can be stored at the moment
        self.failures = 0
        self._closed = False  # what quotas count cannot be stored
        self._hub = hub
        self._log = log
        self._clock = hub.clock
        self._wall = wall
        self._disk = disk
        self._folder: StateFolder | None = None
        self._counters: Counters | None = None
        self._unowned: Stored = {}  # what was stored of quotas that are not configured
        self._quotas: dict[Quota, tuple[str, ZoneInfo]] = {}  # and the period and zone of each
        self._pending: list[bytes] = []  # what had changed of quotas that are gone
        self._meter: Meter | None = None
        self._former: list[Meter] = []  # those that have something left to be stored
        self._storing = trio.Lock()
        self._retry: list[bytes] = []  # lines of which nobody knows whether they are on the disk
        self._anew: Iterator[bytes] | None = None  # what is still to be written into a new file
        self._changed = trio.Event()

    @property
    def size(self) -> int:
        return self._counters.size if self._counters is not None else 0

    def seen(self) -> answers.StoreSeen | None:
        """As the admin API shows it; None while there is nothing to keep."""
        return answers.StoreSeen(str(self.path), self.size, self.failure, self.failures) if self._counters is not None else None

    @property
    def missed(self) -> int | None:
        """Requests that usage could not count; None while it counts nothing."""
        return self._meter.usage.missed if self._meter is not None else None

    async def usage_seen(self, first: str | None, last: str | None, by: list[str]) -> answers.UsageSeen:
        """Who has asked for how much. Raises ValueError for what cannot be asked, and RouterError."""
        meter = self._meter
        if meter is None:
            raise RouterError("E-ADM-05", "the router counts no usage: its configuration has no [usage] table")
        await self.store()
        today = meter.usage.day.name
        days = await trio.to_thread.run_sync(chosen_days, self.path, first or last or today, last or today)
        rows = await trio.to_thread.run_sync(rows_of, self.path, days, by)
        return answers.UsageSeen(meter.usage.missed, days, rows)

    # --- beginning and adopting

    def open(self, config: Config) -> bool:
        """Take the folder, if there is something to keep in it and it is not taken yet; whether it was.

        Raises RouterError E-STO-01 or E-STO-02.
        """
        if self._counters is not None or not (config.quotas or config.usage):
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
        present = quotas_of(self._hub.switch.listeners.values())
        for gone in [each for each in self._quotas if each not in present]:
            del self._quotas[gone]
            self._pending += [_line(gone, counted) for counted in gone.take_changes()]
            for counted in gone.everything():
                self._unowned.setdefault(_bucket(gone, counted.window), {}).update(counted.used)
            self._anew = None  # it may have told already what belongs to nobody
        for quota in present:
            settings = config.quotas[quota.name]
            if quota not in self._quotas:
                quota.restore(self._restored(quota))
                quota.unstored = self._closed
            self._quotas[quota] = settings.period, ZoneInfo(settings.timezone)
        self._adopt_usage(config.usage)
        self.keep_time()
        self._changed.set()

    def _adopt_usage(self, settings: Usage | None) -> None:
        meter = self._meter
        if meter is not None and (settings is None or not meter.adopt(settings)):
            self._hub.read_ended_no_more(meter.usage.read)
            self._former.append(meter)
            self._meter = meter = None
        if settings is not None and meter is None and self._folder is not None:
            self._meter = Meter(settings, self._folder, self._log, self._wall())
            self._hub.read_ended(self._meter.usage.read)

    def _restored(self, quota: Quota) -> Mapping[Window, dict[str, int]]:
        mine = [bucket for bucket in self._unowned if bucket[:3] == (QUOTA, quota.name, quota.identity)]
        return {Window(*bucket[3:]): self._unowned.pop(bucket) for bucket in mine}  # type: ignore[arg-type]

    # --- time

    def keep_time(self) -> None:
        """Tell every quota which window it is, and usage which day."""
        wall, now = self._wall(), self._clock()
        ahead = wall - now
        if self._meter is not None:
            self._meter.keep_time(wall)
        for quota, (period, zone) in self._quotas.items():
            window = quota.window
            if not window.begin <= wall < window.end:
                window = window_of(wall, period, zone)  # type: ignore[arg-type]
            quota.keep_time(window, window_of(window.end, period, zone), window.end - ahead, now)  # type: ignore[arg-type]

    def _until_next(self) -> float:
        """Seconds until the next look: a window's end is not slept over."""
        wall = self._wall()
        ends = [quota.window.end - wall + MOMENT for quota in self._quotas]
        if self._meter is not None:
            ends.append(self._meter.ends - wall + MOMENT)
        return min([EVERY, *(end for end in ends if end > 0)])

    # --- storing

    async def run(self) -> None:
        """Keep time and store, for ever."""
        stored_at = self._clock()
        while True:
            while not (self._quotas or self._meter or self._former):
                self._changed = trio.Event()
                await self._changed.wait()
            await trio.sleep(self._until_next())
            self.keep_time()
            if self._clock() - stored_at >= EVERY - MOMENT:
                stored_at = self._clock()
                await self.store()

    async def store(self) -> None:
        """Have all that has changed on the disk. Who is cancelled waits for it: half a change taken would be lost."""
        async with self._storing:
            with trio.CancelScope(shield=True):
                if self._counters is not None:
                    closed = await self._store_counters(self._counters)
                    open_ = await self._store_usage()
                    self._tell(closed or open_, closed=bool(closed))

    async def _store_counters(self, counters: Counters) -> str:
        """Those of the quotas. Returns why it failed."""
        if not self._retry:
            self._retry = await gathered(self._changes())
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
            return error.strerror or type(error).__name__
        return ""

    async def _store_usage(self) -> str:
        """Returns why it failed."""
        try:
            while self._former:
                await self._former[0].store()
                self._former.pop(0).close()
            if self._meter is not None:
                await self._meter.store()
        except OSError as error:
            return error.strerror or type(error).__name__
        except RouterError as error:
            return error.what
        return ""

    def _changes(self) -> Iterator[bytes]:
        pending, self._pending = self._pending, []
        yield from pending
        for quota in list(self._quotas):
            for counted in quota.take_changes():
                yield _line(quota, counted)

    async def _write_anew(self, counters: Counters) -> None:
        """A part of the new file; what changes meanwhile is added to both."""
        if self._anew is None:
            await trio.to_thread.run_sync(counters.begin_anew)
            self._forget_the_past()
            self._anew = self._everything()
        source = self._anew
        lines = await gathered(islice(source, LINES))
        await trio.to_thread.run_sync(counters.add_anew, lines)
        if len(lines) < LINES and self._anew is source:
            self._anew = None
            await trio.to_thread.run_sync(counters.take_over)

    def _everything(self) -> Iterator[bytes]:
        yield from all_lines(dict(self._unowned))
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

    def _tell(self, failure: str, *, closed: bool) -> None:
        """Quotas are closed by what happens to their own file alone."""
        self.failures += bool(failure)
        if failure and not self.failure:
            self._log.error("counters_not_stored", code="E-STO-03", folder=str(self.path), what=failure)
        elif self.failure and not failure:
            self._log.info("counters_stored_again", folder=str(self.path))
        self.failure, self._closed = failure, closed
        for quota in self._quotas:
            quota.unstored = closed

    async def close(self) -> None:
        """Store what is left and let go of the folder."""
        with trio.CancelScope(shield=True):
            await self.store()
            await self.store()  # what had to be tried again, and what has changed since
        self.let_go()

    def let_go(self) -> None:
        """Of the folder."""
        for meter in (*self._former, *([self._meter] if self._meter is not None else [])):
            meter.close()
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
