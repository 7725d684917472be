"""Keeps what usage counts: a file for each day, stored about once a second, removed when it is too old."""

# Rules this file keeps, all of them tested:
#
# 1. What was stored of a day is added to what is counted of it before the day is stored again, also when the clock comes back to it.
# 2. Nobody is refused because usage cannot be stored. What could not be stored is tried again, and lost only with the process.
# 3. A day that is over is written anew once, so that its file holds each row once.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from zoneinfo import ZoneInfo

import trio

from telegram_router.config import Usage as Settings
from telegram_router.ops.logs import Log
from telegram_router.routing.usage import Day, Usage
from telegram_router.storage.calendars import date_of, window_of
from telegram_router.storage.counters import Counters, StateFolder
from telegram_router.storage.days import bucket_of, by_service, days_in, file_of, remove, too_old
from telegram_router.storage.lines import line_of

FORGET = 60.0  # seconds after which usage forgets by heart whom it has met


class Meter:
    """Usage and its files."""

    def __init__(self, settings: Settings, folder: StateFolder, log: Log, wall: float) -> None:
        self._folder = folder
        self._log = log
        self._files: dict[str, Counters] = {}  # of the days that are in memory
        self._retry: dict[str, list[bytes]] = {}
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self._window = window_of(wall, "day", self._zone)
        self._forget_at = wall + FORGET
        self._cleaned = ""
        self.usage = Usage(settings.user, settings.amount, settings.users, date_of(self._window, self._zone))

    def adopt(self, settings: Settings) -> bool:
        """Go on by these; False when they count by something else."""
        if (settings.user, settings.amount, settings.timezone) != (self._settings.user, self._settings.amount, self._settings.timezone):
            return False
        self._settings = settings
        self.usage.most = settings.users
        self.usage.forget()
        return True

    @property
    def ends(self) -> float:
        """When this day is over, in seconds since 1970."""
        return self._window.end

    def keep_time(self, wall: float) -> None:
        if not self._window.begin <= wall < self._window.end:
            self._window = window_of(wall, "day", self._zone)
            self.usage.turn(date_of(self._window, self._zone))
        if not self._forget_at - FORGET <= wall < self._forget_at:
            self._forget_at = wall + FORGET
            self.usage.forget()

    async def store(self) -> None:
        """Have all that has changed on the disk. Raises OSError, and RouterError E-STO-01 for a file that cannot be opened."""
        for name, day in list(self.usage.days.items()):
            changed = name in self._retry or any(tally.changed for tally in day.tallies.values())
            if changed:
                await self._store(day)
            elif day is not self.usage.day:
                await self._part_with(day)
        today = self.usage.day.name
        if self._cleaned != today:
            await trio.to_thread.run_sync(self._clean, today)
            self._cleaned = today

    async def _store(self, day: Day) -> None:
        file = self._files.get(day.name)
        if file is None:
            file = self._files[day.name] = await trio.to_thread.run_sync(self._folder.counters, file_of(day.name))
        if not day.restored:
            if file.found.damaged:
                self._log.error("counters_damaged", file=file_of(day.name), lines=file.found.damaged)
            day.restore(by_service(file.found.stored), self._settings.users)
        if day.name not in self._retry:
            self._retry[day.name] = await gathered(_lines(day.take_changes()))
        await trio.to_thread.run_sync(file.add, self._retry[day.name])
        del self._retry[day.name]
        if file.large:
            await self._write_anew(day, file)

    async def _write_anew(self, day: Day, file: Counters) -> None:
        try:
            lines = await gathered(_lines(day.everything()))
            await trio.to_thread.run_sync(file.begin_anew)
            await trio.to_thread.run_sync(file.add_anew, lines)
            await trio.to_thread.run_sync(file.take_over)
        except OSError:
            with suppress(OSError):
                file.give_up_anew()
            for tally in day.tallies.values():
                tally.changed = True
            raise

    async def _part_with(self, day: Day) -> None:
        """A day is over and stored."""
        file = self._files.get(day.name)
        if file is not None:
            await self._write_anew(day, file)
            file.close()
            del self._files[day.name]
        if not any(tally.changed for tally in day.tallies.values()) and day is not self.usage.day:
            del self.usage.days[day.name]

    def _clean(self, today: str) -> None:
        old = too_old(days_in(self._folder.path), today, self._settings.retention)
        remove(self._folder.path, old)
        if old:
            self._log.info("usage_removed", days=len(old), until=old[-1])

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()


async def gathered(lines: Iterable[bytes]) -> list[bytes]:
    """Lines, made in slices: the hub has its turns between them."""
    made = []
    for line in lines:
        made.append(line)
        await trio.lowlevel.checkpoint()
    return made


def _lines(told: Iterator[tuple[str, dict[str, list[object]]]]) -> Iterator[bytes]:
    return (line_of(bucket_of(service), rows) for service, rows in told)
