"""Dates and times: texts that are checked against the calendar."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.kind import Json, Kind, Log, Mistake, Place, first_bad

_DAYS_KEPT: Final = 4096  # a peer can send 3.6 million different dates; traffic has a handful

MomentBlank = Literal["null", "error", "zeros"]

_MINUTES: Final = frozenset(f"{h:02}{m:02}" for h in range(24) for m in range(60))
_SECONDS: Final = frozenset(f"{s:02}" for s in range(60))
_MONTH_DAYS: Final = frozenset(f"{d:%m%d}" for d in (datetime.date(2000, 1, 1) + datetime.timedelta(n) for n in range(366)))


class _Days:
    """Dates found to exist, bounded: checking one costs more than reading all other fields of a telegram together."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def has(self, text: str) -> bool:
        if text in self.known:
            return True
        try:
            datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            return False
        if len(self.known) >= _DAYS_KEPT:
            self.known.clear()
        self.known.add(text)
        return True


_days = _Days()


def _date_exists(date: str, form: str) -> bool:
    if form == "YYYYMMDD":
        return _days.has(date)
    if form == "MMDD":
        return date in _MONTH_DAYS
    if form == "YYMMDD":
        return _days.has("20" + date)
    return not form


def _time_exists(time: str, form: str) -> bool:
    if form == "hhmmss":
        return time[:4] in _MINUTES and time[4:] in _SECONDS
    if form == "hhmm":
        return time in _MINUTES
    return not form


class _Moment(Kind):
    """A date, a time or both, kept as the text it is and checked against the calendar."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "form": (str,), "blank": (str,)}

    def __init__(self, length: int, form: str, blank: MomentBlank = "null", *, log: Log = "masked", json: Json = "string") -> None:
        super().__init__(length, log=log, json=json)
        self.form = form
        self.blank: MomentBlank = blank
        cut = form.find("h") if isinstance(form, str) else 0
        self._cut = cut if cut >= 0 else len(form)

    @property
    def rule(self) -> str:
        return self.form

    @property
    def expected(self) -> str:
        return f"an existing {self.form}" + {"null": ", or blank", "zeros": ", or zeros or blank"}.get(self.blank, "")

    def read(self, raw: bytes) -> str | None:
        if not raw.strip(b" "):
            self._refuse_absent()
            return None
        if self.blank == "zeros" and not raw.strip(b"0"):
            return None
        if not raw.isdigit():
            raise self.fault("E-FLD-03", f"byte {first_bad(raw, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")
        return self._checked(raw.decode("ascii"))

    def _refuse_absent(self) -> None:
        if self.blank == "error":
            raise self.fault("E-FLD-06", "field is blank")

    def _checked(self, text: str) -> str:
        if not (_date_exists(text[: self._cut], self.form[: self._cut]) and _time_exists(text[self._cut :], self.form[self._cut :])):
            raise self.fault("E-FLD-03", "no such date or time")
        return text

    def write(self, value: Any) -> bytes:
        if value is None or value == "":
            self._refuse_absent()
            return (b"0" if self.blank == "zeros" else b" ") * self.length
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        if len(value) != self.length or not (value.isascii() and value.isdecimal()):
            raise self.fault("E-FLD-03", "not written in the declared form")
        if self.blank == "zeros" and not value.strip("0"):
            return b"0" * self.length
        return self._checked(value).encode("ascii")

    def _check_source(self, place: Place) -> str | None:
        """A condition on `x`, None when the form has no short cut."""
        date, time = self.form[: self._cut], self.form[self._cut :]
        cut = self._cut
        dates = {"YYYYMMDD": place.use("DAYS", _days.known), "MMDD": place.use("MONTH_DAYS", _MONTH_DAYS), "": ""}
        if date not in dates or time not in ("hhmmss", ""):
            return None
        tests = [f"x{f'[:{cut}]' if time else ''} in {dates[date]}"] if date else []
        if time:
            minutes, seconds = place.use("MINUTES", _MINUTES), place.use("SECONDS", _SECONDS)
            tests += [f"x[{cut}:{cut + 4}] in {minutes}", f"x[{cut + 4}:] in {seconds}"]
        return " and ".join(tests)

    def source_of_read(self, place: Place) -> str:
        check = self._check_source(place)
        if check is None:
            return place.slow
        blank = {"null": f"None if x == {place.blank()} else ", "zeros": f"None if x == {'0' * self.length!r} else "}.get(self.blank, "")
        return f"x if (x := {place.slice}) and {check} else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        check = self._check_source(place)
        if check is None:
            return place.slow_write(value)
        blank = {"null": f"{place.blank()} if x is None else ", "zeros": f"{'0' * self.length!r} if x is None else "}.get(self.blank, "")
        return f"x if (x := {value}).__class__ is str and {check} else {blank}{place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.blank not in ("null", "error", "zeros"):
            yield "E-CFG-20", f'blank must be "null", "error" or "zeros", not {self.blank!r}'
        if self.form not in _FORMS:
            yield "E-CFG-20", f"form must be one of {', '.join(sorted(_FORMS))}, not {self.form!r}"
        elif len(self.form) != self.length:
            yield "E-CFG-21", f"form {self.form} has {len(self.form)} bytes, the field {self.length}"
        elif self.blank == "zeros" and not self._cut:
            yield "E-CFG-20", 'blank="zeros" needs a form with a date: as a time, zeros are midnight'


_FORMS: Final = frozenset({"YYYYMMDD", "YYMMDD", "MMDD", "hhmmss", "hhmm", "YYYYMMDDhhmmss", "YYYYMMDDhhmm", "MMDDhhmmss"})


class Date(_Moment):
    """A date that exists, as text; None when blank. `blank="zeros"` is for partners who write zeros for no date."""

    def __init__(
        self, length: int = 8, form: str = "YYYYMMDD", blank: MomentBlank = "null", *, log: Log = "masked", json: Json = "string"
    ) -> None:
        super().__init__(length, form, blank, log=log, json=json)


class Time(_Moment):
    """A time of day that exists, or a date and time; as text; None when blank."""

    def __init__(
        self, length: int = 6, form: str = "hhmmss", blank: MomentBlank = "null", *, log: Log = "masked", json: Json = "string"
    ) -> None:
        super().__init__(length, form, blank, log=log, json=json)
