"""Which values a field may have: one description of it for everybody who makes values up."""

# Rules this file keeps, all of them tested:
#
# 1. A value of the domain can be written, and reading gives it back; `holds` says so by trial.
# 2. Every kind has a domain, so that generated telegrams and the strategies of telegram_router.testing know the same values.

from __future__ import annotations

import copy
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, singledispatch
from typing import Any, Final, TypeAlias

from telegram_router.telegrams.fields import Binary, Code, Date, FieldFault, Fixed, Flags, Float, Kind, Opaque, Text, Time
from telegram_router.telegrams.fields import Number as Numeric
from telegram_router.telegrams.fields.calendars import ERAS, Era, parts_of

PRINTABLE_ASCII: Final = "".join(map(chr, range(0x21, 0x7F))) + " "
DIGITS: Final = "0123456789"
_PROBE: Final = 12  # bytes: room for any one character of any encoding


@dataclass(frozen=True)
class Choice:
    """One of these, the usual one first."""

    values: Sequence[Any]


@dataclass(frozen=True)
class Number:
    """A number, counted in its last digit."""

    least: int
    most: int
    scale: int = 0  # digits behind the decimal point

    def value(self, units: int) -> int | Decimal:
        """The number as its field reads it."""
        if self.scale <= 0:
            return units * int(10**-self.scale)
        digits = f"{abs(units):0{self.scale + 1}d}"
        return Decimal(f"{'-' if units < 0 else ''}{digits[: -self.scale]}.{digits[-self.scale :]}")


@dataclass(frozen=True)
class Real:
    """A floating-point number that is written with so many digits at most, and a power of ten."""

    digits: int
    power: int  # from minus so many to plus so many

    def value(self, units: int, power: int) -> Decimal:
        return Decimal(units).scaleb(power)


@dataclass(frozen=True)
class Characters:
    """Text of these characters. How many there is room for, the field says: see `fitted`."""

    alphabet: str | None  # None: any printable character
    least: int  # characters
    most: int


@dataclass(frozen=True)
class Moment:
    """A date, a time or both, as text of this form (see fields/calendars.py), of the days from `first` to `last`."""

    form: str
    first: datetime.date
    last: datetime.date
    era: str | None = None

    def text(self, day: datetime.date, microseconds: int) -> str:
        """That day at so many microseconds after midnight."""
        seconds = microseconds // 1_000_000
        words = {"YYYY": f"{day.year:04}", "YY": self._short(day), "MM": f"{day.month:02}", "DD": f"{day.day:02}", "DDD": f"{day:%j}"}
        words |= {"hh": f"{seconds // 3600:02}", "mm": f"{seconds // 60 % 60:02}", "ss": f"{seconds % 60:02}"}
        words["E"] = self._era_of(day).digit if self.era == "digit" else self._era_of(day).letter
        fraction = f"{microseconds % 1_000_000:06}"
        return "".join(fraction[: len(token)] if token[0] == "f" else words.get(token, token) for token, _, _ in parts_of(self.form) or ())

    def _short(self, day: datetime.date) -> str:
        return f"{day.year - self._era_of(day).first.year + 1:02}" if self.era or "E" in self.form else f"{day.year % 100:02}"

    def _era_of(self, day: datetime.date) -> Era:
        """The latest era that has begun; that of the form, where it has only one."""
        named = [era for era in ERAS if era.letter == self.era]
        return named[0] if named else max((era for era in ERAS if era.first <= day), default=ERAS[0], key=lambda era: era.first)


@dataclass(frozen=True)
class Subset:
    """Any of these names, in their order."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Octets:
    """Bytes of any content."""

    least: int
    most: int | None


What: TypeAlias = Choice | Number | Real | Characters | Moment | Subset | Octets


@dataclass(frozen=True)
class Domain:
    """All values of a field: those of `what`, and those that say that there is none."""

    what: What
    absent: tuple[Any, ...] = ()


@singledispatch
def domain_of(kind: Kind) -> Domain:
    """The domain of a kind. Raises TypeError for a kind that has none, such as filler."""
    raise TypeError(f"{type(kind).__name__} has no values")


@domain_of.register
def _(kind: Text) -> Domain:
    return Domain(Characters(alphabet_of(kind), 1, kind.length), () if kind.required else ("",))


@domain_of.register
def _(kind: Code) -> Domain:
    absent = () if kind.required else ("",)
    if kind.values is not None:
        ends = (end for value in kind.values for end in (value if isinstance(value, tuple) else (value,)))
        return Domain(Choice(tuple(dict.fromkeys(end for end in ends if holds(kind, end)))), absent)
    if kind.digits or kind.check is not None:
        return Domain(Characters(DIGITS, kind.length, kind.length), absent)
    return Domain(Characters(PRINTABLE_ASCII, 1, kind.length), absent)


@domain_of.register
def _(kind: Flags) -> Domain:
    return Domain(Subset(tuple(kind.bits)))


@domain_of.register
def _(kind: Numeric) -> Domain:
    most = kind.most_units if isinstance(kind, Binary) else 10**kind.digits - 1
    least = kind.least_units if isinstance(kind, Binary) else -most if kind.signed else 0
    if kind.highest is not None:
        most = min(most, _units(kind.highest, kind.scale, up=False))
    if kind.lowest is not None:
        least = max(least, _units(kind.lowest, kind.scale, up=True))
    return Domain(Number(least, most, kind.scale), (None,) if holds(kind, None) else ())


def _units(limit: int | Decimal, scale: int, up: bool) -> int:
    """A limit in units of the last stored digit, rounded to the side that is allowed."""
    exact = Fraction(limit) * Fraction(10) ** scale
    return -(-exact.numerator // exact.denominator) if up else exact.numerator // exact.denominator


@domain_of.register
def _(kind: Float) -> Domain:
    return Domain(Real(6, 30) if kind.length == 4 else Real(15, 50))


@domain_of.register(Date)
@domain_of.register(Time)
def _(kind: Date | Time) -> Domain:
    first, last = _days_of(kind)
    return Domain(Moment(kind.form, first, last, kind.era), () if kind.blank == "error" else (None,))


def _days_of(kind: Date | Time) -> tuple[datetime.date, datetime.date]:
    """The days that the form can tell from all others."""
    if "YYYY" in kind.form:
        return datetime.date.min, datetime.date.max
    if "YY" not in kind.form:
        return datetime.date(2000, 1, 1), datetime.date(2000, 12, 31)
    eras = [era for era in ERAS if era.letter == kind.era] or list(ERAS)
    if kind.era is not None or "E" in kind.form:
        return eras[0].first, min(eras[-1].last, datetime.date(eras[-1].first.year + 98, 12, 31))
    century = 2000 if kind.century is None else kind.century
    return datetime.date(century, 1, 1), datetime.date(century + 99, 12, 31)


@domain_of.register
def _(kind: Fixed) -> Domain:
    return Domain(Choice((kind.text,)), ("",) if kind.or_blank else ())


@domain_of.register
def _(kind: Opaque) -> Domain:
    return Domain(Octets(kind.min, kind.max))


# --- texts --------------------------------------------------------------------------------------------------------


def holds(kind: Kind, value: Any) -> bool:
    """Can the field be given this value, and does it give it back?"""
    try:
        back = kind.read(kind.write(value))
    except FieldFault:
        return False
    return type(back) is type(value) and bool(back == value)


def fitted(kind: Kind, text: str) -> str | None:
    """The longest beginning of a text that the field holds, None when it does not even hold an empty one.

    Where a check digit is wrong, another one in its place may be right.
    """
    for end in range(len(text), -1, -1):
        for each in (text[:end], *(text[: end - 1] + digit for digit in DIGITS if end == kind.length and getattr(kind, "check", None))):
            if holds(kind, each):
                return each
    return None


def alphabet_of(kind: Text) -> str | None:
    """Every character that the field can hold, if there is room for it; None for Unicode, where that is nearly all."""
    if kind.encoding is not None and kind.encoding.lower().replace("_", "-").startswith("utf"):
        return None
    probe = copy.copy(kind)
    probe.length, probe.required = _PROBE, False
    return _alphabet(_Declared(probe))


class _Declared:
    """A kind that is equal to others of the same declaration, so that what was found out for one holds for all."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._same = (type(kind), *(repr(getattr(kind, name)) for name in sorted({*kind.argument_types} - {"log", "json"})))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Declared) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)


@cache
def _alphabet(declared: _Declared) -> str:
    return "".join(each for each in _encodable(declared.kind) if each == " " or (each.isprintable() and holds(declared.kind, each)))


def _encodable(kind: Kind) -> str:
    """Characters that are worth a try: of the first plane, since the code pages of hosts have hardly anything beyond it."""
    everything = "".join(chr(code) for code in range(0x20, 0x10000) if not 0xD800 <= code <= 0xDFFF)
    encoding = getattr(kind, "encoding", None) or "ascii"
    known = {*everything.encode(encoding, "ignore").decode(encoding, "ignore")}
    return "".join(each for each in everything if each in known)
