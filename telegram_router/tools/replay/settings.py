"""Values that a replay is told in words: durations, rates, ranges, clock times."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from telegram_router import written
from telegram_router.errors import RouterError

SECOND: Final = written.SECOND
_CLOCK: Final = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?", re.ASCII)


class ReplayError(RouterError):
    """A replay that cannot be made, or cannot go on."""


def misunderstood(what: str, text: str, expected: str) -> ReplayError:
    """A setting that means nothing."""
    return ReplayError("E-RPL-03", f"{what} cannot be understood", where=text[:100], expected=expected)


def text_of(path: Path) -> str:
    """A file of settings. Raises ReplayError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ReplayError("E-RPL-03", "the file is not UTF-8", where=str(path)) from None
    except OSError as error:
        raise ReplayError("E-RPL-03", f"the file cannot be read: {error.strerror}", where=str(path)) from None


def duration(text: str, what: str = "the duration") -> int:
    """Nanoseconds of `250ms`, `5s`, `10m`. Raises ReplayError."""
    try:
        return written.nanoseconds(text.strip(), zero=True)
    except written.Misread as error:
        raise _misread(what, text, error) from None


def rate(text: str, what: str = "the rate") -> float:
    """Telegrams a second of `200/s`, `12000/m`. Raises ReplayError."""
    try:
        return written.per_second(text.strip())
    except written.Misread as error:
        raise _misread(what, text, error) from None


def _misread(what: str, text: str, error: written.Misread) -> ReplayError:
    return ReplayError("E-RPL-03", f"{what} {error.what}", where=text[:100], expected=error.expected)


@dataclass(frozen=True)
class Numbers:
    """A range of whole numbers. Where the first is above the last it goes over the end: 999990..10."""

    first: int
    last: int

    def holds(self, number: int) -> bool:
        if self.first <= self.last:
            return self.first <= number <= self.last
        return number >= self.first or number <= self.last


def numbers(text: str, what: str = "the range") -> Numbers:
    """A range `1000..1999`, or one number. Raises ReplayError."""
    first, dots, last = text.partition("..")
    ends = (first, last if dots else first)
    if not all(end.isascii() and end.isdecimal() for end in ends):
        raise misunderstood(what, text, "two whole numbers: 1000..1999")
    return Numbers(int(ends[0]), int(ends[1]))


@dataclass(frozen=True)
class Moment:
    """A time of day in nanoseconds, of a certain day or of any."""

    of_day: int
    day: datetime.date | None = None


def moment(text: str, what: str) -> Moment:
    """`09:00`, `09:00:30.5`, or one of those behind a date and a T. Raises ReplayError."""
    day, sign, clock = text.rpartition("T")
    found = _CLOCK.fullmatch(clock)
    try:
        date = datetime.date.fromisoformat(day) if sign else None
    except ValueError:
        found = None
    if found is None or int(found[1]) > 24 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        raise misunderstood(what, text, "a time of day: 09:00, 09:00:30, 2026-11-23T09:00")
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
    return Moment(seconds * SECOND + int((found[4] or "0").ljust(9, "0")), date)
