"""When certificates, CAs and revocation lists end, and who is told in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import trio

from telegram_router.wire.hub import Log

WARN_DAYS = (0, 1, 7, 14, 30)
DAY = 86_400.0
TICK = 60.0
Kind = Literal["certificate", "ca", "crl"]


@dataclass(frozen=True)
class Expiry:
    """When the first end comes of what is in one file."""

    used_by: str  # the table of the configuration
    kind: Kind
    file: str  # as the configuration names it
    ends: float  # seconds since 1970


class ExpiryWatch:
    """Which ends are near enough to be told of: once at each of 30, 14, 7 and 1 days before, and when they have come."""

    def __init__(self) -> None:
        self._told: dict[Expiry, int] = {}  # at how many days before it was told of last

    def due(self, known: Iterable[Expiry], now: float) -> Iterator[tuple[Expiry, float]]:
        """What must be told of now, with the days that are left. What is no longer known is forgotten."""
        before, self._told = self._told, {}
        for each in known:
            left = (each.ends - now) / DAY
            near = next((days for days in WARN_DAYS if left <= days), None)
            told = before.get(each)
            if near is None:
                continue
            self._told[each] = near
            if told is None or near < told:
                yield each, left


async def watch(known: Callable[[], Iterable[Expiry]], log: Log, clock: Callable[[], float] = time.time) -> None:
    """Log `certificate_expires` in time, for ever."""
    seen = ExpiryWatch()
    while True:
        for each, left in seen.due(known(), clock()):
            say = log.error if left <= 1 else log.warning
            ends = moment(each.ends)
            do = "fetch the new list and reload" if each.kind == "crl" else "renew it and reload"
            say("certificate_expires", used_by=each.used_by, kind=each.kind, file=each.file, ends=ends, days_left=round(left, 1), do=do)
        await trio.sleep(TICK)


def moment(seconds: float) -> str:
    """As logs write it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
