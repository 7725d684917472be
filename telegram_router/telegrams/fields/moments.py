"""Dates and times: texts that are checked against the calendar."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.calendars import (
    ERA_ARGUMENTS,
    Times,
    cut_of,
    days_of,
    digit_places,
    is_form,
    separators_of,
    times_of,
    zeros_of,
)
from telegram_router.telegrams.fields.charset import CharKind
from telegram_router.telegrams.fields.kind import Json, Kind, Log, Mistake, Pii, Place

MomentBlank = Literal["null", "error", "zeros", "low"]

_EMPTY_WORDS: Final = {"null": ", or blank", "zeros": ", or zeros or blank", "low": ", or low values or blank"}


class Moment(CharKind):
    """A date, a time or both, kept as the text it is and checked against the calendar.

    `form` is made of YYYY or YY, MM, DD, DDD (day of the year), hh, mm, ss, f (digits of a fraction of a second), E (the letter or
    digit of a Japanese era before its year YY), and the separators - . / : T and blank.
    """

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "form": (str,),
        "blank": (str,),
        "century": (int, NoneType),
        "era": (str, NoneType),
        "within": (int, NoneType),
        "of": (str, NoneType),
    }

    def __init__(
        self,
        length: int,
        form: str,
        blank: MomentBlank,
        century: int | None,
        era: str | None,
        within: int | None,
        of: str | None,
        *,
        log: Log,
        pii: Pii = None,
        json: Json,
    ) -> None:
        super().__init__(length, log=log, pii=pii, json=json)
        self.within = within
        self.of = of
        self.form = form
        self.blank: MomentBlank = blank
        self.century = century
        self.era = era
        self.binary = blank == "low"
        good = isinstance(form, str) and is_form(form)
        self._cut = cut_of(form) if good else 0
        self._days = days_of(form[: self._cut], century, era) if good and self._cut else None
        self._times: Times | None = times_of(form[self._cut :]) if good and self._cut < len(form) else None
        self._zeros = zeros_of(form) if good else ""

    @property
    def rule(self) -> str:
        return self.form

    @property
    def expected(self) -> str:
        year = f" of the years {self.century} to {self.century + 99}" if self.century is not None else ""
        era = f" of the era {self.era}" if self.era not in (None, "letter", "digit") else ""
        near = "" if self.within is None else f", at most {self.within} days from {self.of}"
        return f"an existing {self.form}{year}{era}{near}{_EMPTY_WORDS.get(self.blank, '')}"

    @property
    def knows_day(self) -> bool:
        """Whether its values say which day is meant, the year included."""
        return self._days is not None and self._days.knows_day

    def day(self, value: str | None) -> datetime.date | None:
        """The day that a value means; None where there is no value, or where the form leaves the century, the year or the day open."""
        return self._days.day(value[: self._cut]) if value and self._days is not None else None

    def read(self, raw: bytes) -> str | None:
        plain = self.charset.ascii(raw)
        if not plain.strip(b" "):
            self._refuse_absent()
            return None
        if self.blank == "zeros" and plain == self._zeros.encode("ascii"):
            return None
        if self.blank == "low" and not plain.strip(b"\0"):
            return None
        self._check_characters(plain)
        return self._checked(plain.decode("ascii"))

    def _refuse_absent(self) -> None:
        if self.blank == "error":
            raise self.fault("E-FLD-06", "field is blank")

    def _check_characters(self, plain: bytes) -> None:
        for at in digit_places(self.form):
            if not 0x30 <= plain[at] <= 0x39:
                raise self.fault("E-FLD-03", f"byte {at + 1} of the field is not a digit")
        for at, separator in separators_of(self.form):
            if plain[at] != ord(separator):
                raise self.fault("E-FLD-03", f"byte {at + 1} of the field is not the separator of the form")
        if not plain.isascii():
            raise self.fault("E-FLD-03", "not written in the declared form")

    def _checked(self, text: str) -> str:
        if not self._exists(text):
            raise self.fault("E-FLD-03", "no such date or time")
        return text

    def _exists(self, text: str) -> bool:
        if self._days is not None and not self._days.has(text[: self._cut]):
            return False
        return self._times is None or self._times.has(text[self._cut :])

    def write(self, value: Any) -> bytes:
        if value is None or value == "":
            self._refuse_absent()
            return self._empty()
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        if len(value) != self.length or not value.isascii():
            raise self.fault("E-FLD-03", "not written in the declared form")
        if self.blank == "zeros" and value == self._zeros:
            return self._empty()
        self._check_characters(value.encode("ascii"))
        return self.charset.wire(self._checked(value).encode("ascii"))

    def _empty(self) -> bytes:
        """The field without a value."""
        if self.blank == "low":
            return b"\0" * self.length
        return self.charset.wire(self._zeros.encode("ascii") if self.blank == "zeros" else b" " * self.length)

    # -- generated code

    def _check_source(self, place: Place) -> str:
        """A condition on `x`."""
        tests = []
        if self._days is not None:
            cut = f"[:{self._cut}]" if self._times is not None else ""
            tests.append(f"x{cut} in {place.use('DAYS', self._days.known)}")
        if self._times is not None:
            first, second = self._times.sizes
            at = self._cut
            tests.append(f"x[{at}:{at + first}] in {place.use('MINUTES', self._times.minutes)}")
            if second:
                tests.append(f"x[{at + first}:{at + first + second}] in {place.use('SECONDS', self._times.seconds)}")
            if self._times.fraction:
                tests.append(f"len(x) == {self.length} and x[{at + first + second}:].isdecimal()")
        return " and ".join(tests)

    def source_of_read(self, place: Place) -> str:
        nothing = {"null": " " * self.length, "zeros": self._zeros, "low": "\0" * self.length}.get(self.blank)
        blank = f"None if x == {place.use(f'NOTHING{self.length}', nothing)} else " if nothing is not None else ""
        return f"x if (x := {self.seen(place)}) and {self._check_source(place)} else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        empty = "" if self.blank == "error" else f"{place.use(f'EMPTY{self.length}', place.constant(self._empty()))} if x is None else "
        usual = f"(x := {value}).__class__ is str and {self._check_source(place)}"
        return f"{self.sent('x', place)} if {usual} else {empty}{place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.blank not in ("null", "error", "zeros", "low"):
            yield "E-CFG-20", f'blank must be "null", "error", "zeros" or "low", not {self.blank!r}'
        if not is_form(self.form):
            yield "E-CFG-20", f"form must be a date, a time or both, like {', '.join(_EXAMPLES)}, not {self.form!r}"
            return
        if len(self.form) != self.length:
            yield "E-CFG-21", f"form {self.form} has {len(self.form)} bytes, the field {self.length}"
        if self.blank == "zeros" and self._days is None:
            yield "E-CFG-20", 'blank="zeros" needs a form with a date: as a time, zeros are midnight'
        yield from self._year_mistakes()
        if (self.within is None) != (self.of is None):
            yield "E-CFG-20", "within is a number of days, and of the date of the header that they are counted from: give both"
        elif self.within is not None and not (self.within >= 0 and self.knows_day):
            yield "E-CFG-20", "within needs a number of days from 0, and a form that says the day and the year"

    def _year_mistakes(self) -> Iterator[Mistake]:
        short = "YY" in self.form and "YYYY" not in self.form
        if self.century is not None and not (short and self.era is None and "E" not in self.form and 1 <= self.century <= 9900):
            yield "E-CFG-20", "century is the first of the hundred years that a YY without an era means, e.g. 1950"
        if self.era is not None and (self.era not in ERA_ARGUMENTS or not short or (self.era in ("letter", "digit")) != ("E" in self.form)):
            yield "E-CFG-20", f'era must be "letter" or "digit" where the form has an E, else one of {", ".join(ERA_ARGUMENTS[2:])} with YY'


_EXAMPLES: Final = ("YYYYMMDD", "YYMMDD", "MMDD", "YYYYDDD", "YYYY-MM-DD", "EYYMMDD", "hhmmss", "hh:mm", "YYYYMMDDhhmmss", "MMDDhhmmss")


class Date(Moment):
    """A date that exists, as text; None when blank. `blank="zeros"` is for partners who write zeros for no date, "low" for 0x00.

    `century=1950` says that YY means the years 1950 to 2049. `era="R"` says that YY counts the years of that Japanese era (M, T, S,
    H, R); with an E in the form the era stands before them, as its letter, or with `era="digit"` as its digit 1 to 5.
    `within=7, of="sent"` refuses a date more than 7 days from that of the header's field `sent`.
    """

    def __init__(
        self,
        length: int = 8,
        form: str = "YYYYMMDD",
        blank: MomentBlank = "null",
        *,
        century: int | None = None,
        era: str | None = None,
        within: int | None = None,
        of: str | None = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        super().__init__(length, form, blank, century, era, within, of, log=log, pii=pii, json=json)


class Time(Moment):
    """A time of day that exists, or a date and time; as text; None when blank."""

    def __init__(
        self,
        length: int = 6,
        form: str = "hhmmss",
        blank: MomentBlank = "null",
        *,
        century: int | None = None,
        era: str | None = None,
        within: int | None = None,
        of: str | None = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        super().__init__(length, form, blank, century, era, within, of, log=log, pii=pii, json=json)
