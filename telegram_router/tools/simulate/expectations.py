"""What must have happened when a simulation ends: `each msg=transfer.request where fault=late has one msg=result.request within 40s`."""

# The whole grammar; FILTER is the language of every filter, `fault` and `rule` being what was done with a telegram:
#
#   count FILTER = N                       also != < <= > >=
#   no FILTER                              the same as `count FILTER = 0`
#   FILTER before FILTER                   on every connection, none of the second comes before one of the first
#   each FILTER [where FILTER] has one FILTER [within DURATION] [with NAME = NAME [and NAME = NAME ...]]
#                                          `one`, `no`, `some`, or a number; in `with` the left name is of the later telegram
#
# Only telegrams that came are looked at, unless a filter names `sent`: `sent and msg=...` are those that the simulator sent.
# Nothing is kept of a telegram but what is still waited for, so a run of any length can be judged.

from __future__ import annotations

import operator
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from telegram_router.errors import RouterError
from telegram_router.tools.predicate import Lookup, Predicate, as_text, parse
from telegram_router.written import Misread, seconds

WAITED_FOR: Final = 100_000  # telegrams of one `each`; beyond that the expectation fails
TOLD: Final = 10  # failures of one expectation that are told one by one

_COMPARED: Final[Mapping[str, Callable[[int, int], bool]]] = MappingProxyType(
    {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_WORDS: Final = re.compile(r"""("[^"]*"|'[^']*')|\b(where|has|within|with|before)\b""")
_AMOUNT: Final = re.compile(r"\s*(one|no|some|\d{1,9})\s+(.*)", re.DOTALL)
_COUNT: Final = re.compile(r"count\s+(.*\S)\s*(<=|>=|!=|=|<|>)\s*(\d{1,12})\s*", re.DOTALL)
_SAME: Final = re.compile(r"\s*([\w.\[\]]+)\s*=\s*([\w.\[\]]+)\s*")
FORMS: Final = "count FILTER = N, no FILTER, FILTER before FILTER, or each FILTER has one FILTER within 40s with NAME = NAME"


@dataclass(frozen=True)
class Happened:
    """One telegram, as expectations see it."""

    lookup: Lookup
    message: str  # its name, nothing where it has none
    connection: int
    number: int  # on its connection, from 1
    at: float
    sent: bool
    faults: tuple[str, ...] = ()  # what was done with it
    rule: str = ""

    def fits(self, wanted: Predicate) -> bool:
        if self.sent and "sent" not in wanted.names:
            return False
        if "fault" not in wanted.names or not self.faults:
            return wanted.holds(self._find)
        return any(wanted.holds(lambda name, each=each: each if name == "fault" else self._find(name)) for each in self.faults)  # type: ignore[misc]

    def value(self, name: str) -> str | None:
        found = self._find(name)
        if found is None:
            found = self.lookup(f"f.{name}")
        return None if found is None else as_text(found)

    def _find(self, name: str) -> object:
        if name == "rule":
            return self.rule or None
        if name == "fault":
            return None
        if name == "sent":
            return self.sent or None
        return self.lookup(name)

    @property
    def place(self) -> str:
        return f"c{self.connection} message {self.number}"


@dataclass(frozen=True)
class Expectation:
    """One line of the verify section, understood."""

    text: str
    kind: str  # count, before, each
    first: Predicate
    second: Predicate | None = None
    compared: str = "="
    number: int = 0
    some: bool = False  # at least `number`
    within: float | None = None
    same: tuple[tuple[str, str], ...] = ()  # names of the later telegram and of the earlier one

    def begin(self) -> Judge:
        """A judge who has seen nothing yet."""
        return {"count": _Count, "before": _Before, "each": _Each}[self.kind](self)

    @property
    def predicates(self) -> Iterator[Predicate]:
        yield self.first
        if self.second is not None:
            yield self.second


# --- reading ----------------------------------------------------------------------------------------------------


def read_expectation(text: str) -> Expectation:
    """Understand a line. Raises RouterError."""
    stripped = text.strip()
    word = stripped.split(None, 1)[0] if stripped else ""
    if word == "count":
        found = _COUNT.fullmatch(stripped)
        if found is None:
            raise _unclear("has no number to compare with")
        return Expectation(text, "count", parse(found[1]), compared=found[2], number=int(found[3]))
    if word == "no":
        return Expectation(text, "count", parse(stripped[2:]))
    if word == "each":
        return _each(text, _clauses(stripped[4:]))
    clauses = _clauses(stripped)
    if [word for word, _ in clauses] != ["", "before"]:
        raise _unclear("is none of the four forms")
    return Expectation(text, "before", parse(clauses[0][1].strip()), parse(clauses[1][1].strip()))


def _each(text: str, clauses: list[tuple[str, str]]) -> Expectation:
    parts = dict(clauses)
    order = ["", "where", "has", "within", "with"]
    if len(parts) != len(clauses) or [word for word in order if word in parts] != [word for word, _ in clauses] or "has" not in parts:
        raise _unclear("is not of the form each FILTER [where FILTER] has one FILTER [within DURATION] [with NAME = NAME]")
    amount = _AMOUNT.fullmatch(parts["has"])
    if amount is None:
        raise _unclear("says no number behind `has`: one, no, some, or digits")
    first = f"({parts[''].strip()}) and ({parts['where'].strip()})" if "where" in parts else parts[""].strip()
    wanted = {"one": 1, "no": 0, "some": 1}.get(amount[1])
    return Expectation(
        text, "each", parse(first), parse(amount[2].strip()), number=int(amount[1]) if wanted is None else wanted,
        some=amount[1] == "some", within=_duration(parts["within"]) if "within" in parts else None,
        same=tuple(_same(parts["with"])) if "with" in parts else (),
    )  # fmt: skip


def _clauses(text: str) -> list[tuple[str, str]]:
    """The text cut at its own words, none of which stands in quotes."""
    found, word, begin = [], "", 0
    for match in _WORDS.finditer(text):
        if match[2]:
            found.append((word, text[begin : match.start()]))
            word, begin = match[2], match.end()
    return [*found, (word, text[begin:])]


def _duration(text: str) -> float:
    try:
        return seconds(text.strip(), zero=True)
    except Misread as error:
        raise _unclear(f"says behind `within` what {error.what}") from None


def _same(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"\band\b", text):
        found = _SAME.fullmatch(part)
        if found is None:
            raise _unclear("says behind `with` something else than NAME = NAME, joined by and")
        yield found[1], found[2]


def _unclear(what: str) -> RouterError:
    return RouterError("E-SIM-04", f"the expectation {what}", expected=FORMS)


# --- judging ----------------------------------------------------------------------------------------------------


class Judge:
    """Sees every telegram and says at the end what was not as expected."""

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self.failures: list[str] = []  # the first of them
        self.failed = 0

    def see(self, happened: Happened) -> None:
        """A telegram came or was sent."""

    def passed(self, now: float) -> None:
        """Time went on."""

    def end(self, now: float) -> None:
        """No more will come."""

    def blame(self, what: str) -> None:
        self.failed += 1
        if len(self.failures) < TOLD:
            self.failures.append(what)


class _Count(Judge):
    counted = 0

    def see(self, happened: Happened) -> None:
        self.counted += happened.fits(self.expectation.first)

    def end(self, now: float) -> None:
        wanted = self.expectation
        if not _COMPARED[wanted.compared](self.counted, wanted.number):
            self.blame(f"there were {self.counted:,}, expected {wanted.compared} {wanted.number:,}")


class _Before(Judge):
    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._begun: set[int] = set()  # connections; at most as many as there were

    def see(self, happened: Happened) -> None:
        assert self.expectation.second is not None
        if happened.connection in self._begun:
            return
        if happened.fits(self.expectation.first):
            self._begun.add(happened.connection)
        elif happened.fits(self.expectation.second):
            self.blame(f"{happened.place} came before")


@dataclass
class _Waiting:
    place: str
    key: tuple[str | None, ...]
    ends: float | None
    seen: int = 0


class _Each(Judge):
    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()  # in the order in which they came, so of their ends
        self._by_key: dict[tuple[str | None, ...], list[int]] = {}
        self._count = 0

    def see(self, happened: Happened) -> None:
        wanted = self.expectation
        assert wanted.second is not None
        self.passed(happened.at)
        if happened.fits(wanted.second):
            key = tuple(happened.value(later) for later, _ in wanted.same)
            for number in self._by_key.get(key, ()):
                self._waiting[number].seen += 1
        if happened.fits(wanted.first):
            self._wait(happened)

    def _wait(self, happened: Happened) -> None:
        wanted = self.expectation
        key = tuple(happened.value(earlier) for _, earlier in wanted.same)
        if None in key:
            self.blame(f"{happened.place} has none of the fields behind `with`")
            return
        if len(self._waiting) >= WAITED_FOR:
            self.blame(f"more than {WAITED_FOR:,} are waited for at once: give `within`")
            return
        self._count += 1
        self._waiting[self._count] = _Waiting(happened.place, key, None if wanted.within is None else happened.at + wanted.within)
        self._by_key.setdefault(key, []).append(self._count)

    def passed(self, now: float) -> None:
        while self._waiting:
            number, waiting = next(iter(self._waiting.items()))
            if waiting.ends is None or waiting.ends >= now:
                return
            self._settle(number, waiting)

    def end(self, now: float) -> None:
        for number, waiting in [*self._waiting.items()]:
            self._settle(number, waiting)

    def _settle(self, number: int, waiting: _Waiting) -> None:
        del self._waiting[number]
        same = self._by_key[waiting.key]
        same.remove(number)
        if not same:
            del self._by_key[waiting.key]
        wanted = self.expectation
        if waiting.seen < wanted.number or (waiting.seen > wanted.number and not wanted.some):
            self.blame(f"{waiting.place} had {waiting.seen}, expected {'at least ' if wanted.some else ''}{wanted.number}")
