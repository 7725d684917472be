"""When a calendar hour, day, week or month of a time zone begins and ends, in seconds since 1970."""

# Rules this file keeps, all of them tested:
#
# 1. Windows follow each other without a gap, and every moment is in exactly one.
# 2. One that the clocks pass through twice, or not at all, when summer time ends or begins, is one window, longer or shorter.

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from telegram_router.routing.quotas import Window

Period = Literal["hour", "day", "week", "month"]


def window_of(moment: float, period: Period, zone: ZoneInfo) -> Window:
    """The window that a moment is in."""
    step = _STEPS[period]
    local = datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)
    begin = _FLOORS[period](local.replace(minute=0, second=0, microsecond=0))
    while _instant(begin, zone) > moment:  # a clock that was turned back shows a time of the window before
        begin = _FLOORS[period](begin - timedelta(hours=1))
    end = step(begin)
    while _instant(end, zone) <= moment:
        begin, end = end, step(end)
    return Window(_instant(begin, zone), _instant(end, zone))


def day_of(moment: float, zone: ZoneInfo) -> str:
    """The date, as 2026-03-31."""
    return date_of(window_of(moment, "day", zone), zone)


def date_of(window: Window, zone: ZoneInfo) -> str:
    """The date on which a window begins. One that begins where the clocks leap has the date behind the leap."""
    return datetime.fromtimestamp(window.begin, zone).date().isoformat()


def shown(moment: float, zone: ZoneInfo | None = None) -> str:
    """A moment as people read it, with its distance from UTC."""
    return datetime.fromtimestamp(moment, zone or UTC).isoformat(timespec="seconds")


def _instant(local: datetime, zone: ZoneInfo) -> int:
    """When the clocks first show that time, or leap over it."""
    return int(local.replace(tzinfo=zone).timestamp())


def _next_month(begin: datetime) -> datetime:
    return (begin + timedelta(days=31)).replace(day=1)


_FLOORS: Mapping[str, Callable[[datetime], datetime]] = MappingProxyType(
    {
        "hour": lambda local: local,
        "day": lambda local: local.replace(hour=0),
        "week": lambda local: local.replace(hour=0) - timedelta(days=local.weekday()),
        "month": lambda local: local.replace(hour=0, day=1),
    }
)
_STEPS: Mapping[str, Callable[[datetime], datetime]] = MappingProxyType(
    {
        "hour": lambda begin: begin + timedelta(hours=1),
        "day": lambda begin: begin + timedelta(days=1),
        "week": lambda begin: begin + timedelta(days=7),
        "month": _next_month,
    }
)
