"""Forms of dates and times, and which of the texts of a form exist: in our calendar, by Japan's eras, by the day of the year."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

_KEPT: Final = 4096  # a peer can send 3.6 million different dates; traffic has a handful

_TOKEN: Final = re.compile(r"YYYY|YY|MM|DDD|DD|hh|mm|ss|f{1,6}|E|[-./: T]")
_SEPARATORS: Final = frozenset("-./: T")
_DATES: Final = tuple(
    map(
        frozenset,
        (
            ("YYYY", "MM", "DD"),
            ("YY", "MM", "DD"),
            ("E", "YY", "MM", "DD"),
            ("MM", "DD"),
            ("YYYY", "DDD"),
            ("YY", "DDD"),
            ("YYYY", "MM"),
            ("YY", "MM"),
        ),
    )
)
_TIMES: Final = (("hh", "mm"), ("hh", "mm", "ss"), ("hh", "mm", "ss", "f"))


class Era(NamedTuple):
    """One of Japan's eras. Its first year is 1."""

    letter: str
    digit: str
    name: str
    first: datetime.date
    last: datetime.date


# The day on which Meiji and Taisho ended was also the first of the next era.
ERAS: Final = (
    Era("M", "1", "明治", datetime.date(1868, 1, 25), datetime.date(1912, 7, 30)),
    Era("T", "2", "大正", datetime.date(1912, 7, 30), datetime.date(1926, 12, 25)),
    Era("S", "3", "昭和", datetime.date(1926, 12, 25), datetime.date(1989, 1, 7)),
    Era("H", "4", "平成", datetime.date(1989, 1, 8), datetime.date(2019, 4, 30)),
    Era("R", "5", "令和", datetime.date(2019, 5, 1), datetime.date.max),
)
_BY_LETTER: Final[Mapping[str, Era]] = {era.letter: era for era in ERAS}
_BY_DIGIT: Final[Mapping[str, Era]] = {era.digit: era for era in ERAS}
ERA_ARGUMENTS: Final = ("letter", "digit", *_BY_LETTER)


class Part(NamedTuple):
    """Characters of a form with one meaning."""

    token: str
    start: int
    end: int


def parts_of(form: str) -> list[Part] | None:
    """The parts of a form in their order, None when it is none."""
    parts, at = [], 0
    while at < len(form):
        found = _TOKEN.match(form, at)
        if found is None:
            return None
        parts.append(Part(found[0], at, found.end()))
        at = found.end()
    return parts


def is_form(form: str) -> bool:
    """Whether it is a date, a time, or a date and a time behind it."""
    parts = parts_of(form)
    if parts is None:
        return False
    tokens = ["f" if part.token[0] == "f" else part.token for part in parts if part.token not in _SEPARATORS]
    days = [token for token in tokens if token[0] in "YMDE"]
    times = tuple(tokens[len(days) :])
    return (
        len(set(days)) == len(days)
        and (not days or frozenset(days) in _DATES)
        and (not times or times in _TIMES)
        and tokens[: len(days)] == days
        and bool(tokens)
    )


def cut_of(form: str) -> int:
    """Where the time begins, with the separator before it; the form's length when it has none."""
    at = form.find("h")
    if at < 0:
        return len(form)
    return at - 1 if at > 0 and form[at - 1] in _SEPARATORS else at


@dataclass(frozen=True)
class Times:
    """The times of a form, in pieces of which there are few: hour and minute, second, and how many digits of a fraction."""

    minutes: frozenset[str]
    seconds: frozenset[str]
    fraction: int
    sizes: tuple[int, int]  # characters of the first two pieces

    def has(self, text: str) -> bool:
        first, second = self.sizes
        rest = text[first + second :]
        return (
            text[:first] in self.minutes
            and text[first : first + second] in self.seconds
            and len(rest) == self.fraction
            and (not rest or (rest.isascii() and rest.isdecimal()))
        )


@cache
def times_of(form: str) -> Times:
    """The times of a form that begins with an hour or the separator before it."""
    end = form.index("mm") + 2
    minutes = frozenset(
        form[:end].replace("hh", f"{hour:02}").replace("mm", f"{minute:02}") for hour, minute in itertools.product(range(24), range(60))
    )
    rest = form[end:].rstrip("f")
    seconds = frozenset(rest.replace("ss", f"{second:02}") for second in range(60))
    return Times(minutes, seconds, form.count("f"), (end, len(rest)))


class Days:
    """The dates of a form. Those found to exist are remembered, within a bound: checking one costs more than reading all other
    fields of a telegram together."""

    def __init__(self, form: str, century: int | None, era: str | None) -> None:
        self.known: set[str] = set()
        self._parts = parts_of(form) or []
        self._length = len(form)
        self._form = form
        self._century = century
        self._era = era

    def has(self, text: str) -> bool:
        if text in self.known:
            return True
        if not self._exists(text):
            return False
        if len(self.known) >= _KEPT:
            self.known.clear()
        self.known.add(text)
        return True

    def day(self, text: str) -> datetime.date | None:
        """The day that an existing text means; None where the form does not say the year, or the day."""
        found = self._read(text) if self.knows_day else None
        return None if found is None else self._date(found)

    @property
    def knows_day(self) -> bool:
        """Whether the form says the day, and the year with its century."""
        tokens = {part.token for part in self._parts}
        says_year = "YYYY" in tokens or ("YY" in tokens and ("E" in tokens or self._century is not None or self._era is not None))
        return says_year and bool(tokens & {"DD", "DDD"})

    def _exists(self, text: str) -> bool:
        found = self._read(text)
        return found is not None and self._date(found) is not None

    def _read(self, text: str) -> dict[str, str] | None:
        """What stands in the place of each token; None where a digit or a separator is missing."""
        if len(text) != self._length or not text.isascii():
            return None
        found = {}
        for token, start, end in self._parts:
            piece = text[start:end]
            if token in _SEPARATORS:
                if piece != token:
                    return None
            elif token == "E":
                found[token] = piece
            elif not piece.isdecimal():
                return None
            else:
                found[token] = piece
        return found

    def _date(self, found: Mapping[str, str]) -> datetime.date | None:
        year = self._year(found)
        if year is None:
            return None
        try:
            if "DDD" in found:
                day = datetime.date(year, 1, 1) + datetime.timedelta(int(found["DDD"]) - 1)
                return day if day.year == year and found["DDD"] != "000" else None
            day = datetime.date(year, int(found["MM"]), int(found.get("DD", "01")))
        except (ValueError, OverflowError):
            return None
        era = self._era_of(found)
        return None if era is not None and not era.first <= day <= era.last else day

    def _year(self, found: Mapping[str, str]) -> int | None:
        if "YYYY" in found:
            return int(found["YYYY"])
        if "YY" not in found:
            return 2000  # a leap year: 0229 may exist
        short = int(found["YY"])
        if "E" in found or self._era is not None:
            era = self._era_of(found)
            return era.first.year + short - 1 if era is not None and short else None
        if self._century is not None:
            return self._century + (short - self._century) % 100
        return 2000 + short

    def _era_of(self, found: Mapping[str, str]) -> Era | None:
        if "E" in found:
            return (_BY_DIGIT if self._era == "digit" else _BY_LETTER).get(found["E"])
        return _BY_LETTER.get(self._era or "")


@cache
def days_of(form: str, century: int | None = None, era: str | None = None) -> Days:
    """The dates of a form, shared by all fields that have it."""
    return Days(form, century, era)


def zeros_of(form: str) -> str:
    """A text of the form with zeros in all digits' places."""
    return "".join(token if token in _SEPARATORS else "0" * len(token) for token, _, _ in parts_of(form) or ())


def digit_places(form: str) -> Iterator[int]:
    """Where the form has digits."""
    for token, start, end in parts_of(form) or ():
        if token not in _SEPARATORS and token != "E":
            yield from range(start, end)


def separators_of(form: str) -> Sequence[tuple[int, str]]:
    """Where the form has which separator."""
    return [(start, token) for token, start, _ in parts_of(form) or () if token in _SEPARATORS]
