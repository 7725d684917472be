"""Dates that must lie near another: at most so many days from a date of the header."""

# The clock has no say here: a telegram is judged by what it holds, today as in ten years, when it is replayed.

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telegram_router.errors import FieldError, FieldProblem
from telegram_router.telegrams.fields import Date, FieldFault, Time
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.telegram import Telegram

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Window:
    """A date, and the header's date that it must be near."""

    planned: PlannedField
    around: PlannedField

    def centre(self, header: Values) -> datetime.date | None:
        """The day that it must be near."""
        assert isinstance(self.around.kind, Date | Time)
        return self.around.kind.day(header.get(self.around.name))

    def fault(self, header: Values, body: Values) -> FieldFault | None:
        """What is wrong with values that are valid by themselves. A date that is not there is near enough."""
        kind = self.planned.kind
        assert isinstance(kind, Date | Time) and kind.within is not None
        day = kind.day((header if self.planned.section == "header" else body).get(self.planned.name))
        centre = self.centre(header)
        if day is None or centre is None or abs((day - centre).days) <= kind.within:
            return None
        return kind.fault("E-FLD-04", f"date is more than {kind.within} days from {self.around.path}")


class Windows:
    """All windows of a message."""

    def __init__(self, spec: str, message: str, fields: Iterable[PlannedField]) -> None:
        self.spec = spec
        self.message = message
        self.all = tuple(windows_of(list(fields)))

    def check(self, header: Values, body: Values) -> None:
        """Raises FieldError with every date that is too far off."""
        found: list[FieldProblem] = []
        for window in self.all:
            fault = window.fault(header, body)
            if fault is not None:
                found.append(window.planned.problem(fault, self.spec, self.message))
        if found:
            raise FieldError(found)

    def check_one(self, header: Values, body: Values) -> None:
        """Raises FieldFault with the first of them, as construct does."""
        for window in self.all:
            fault = window.fault(header, body)
            if fault is not None:
                raise fault

    def around_decode(self, decode: Callable[[bytes], Telegram]) -> Callable[[bytes], Telegram]:
        """Reading that looks at the dates when everything else is right."""

        def checked(raw: bytes) -> Telegram:
            telegram = decode(raw)
            self.check(telegram.header, telegram.body)
            return telegram

        return checked

    def around_encode(self, encode: Callable[..., bytes]) -> Callable[..., bytes]:
        """Writing that does."""

        def checked(header: dict[str, Any], body: dict[str, Any], residue: dict[int, bytes] | None = None) -> bytes:
            raw = encode(header, body, residue)
            self.check(header, body)
            return raw

        return checked


def windows_of(fields: list[PlannedField]) -> Iterator[Window]:
    """The windows among the fields of a message whose declarations are right."""
    header = {planned.name: planned for planned in fields if planned.section == "header"}
    for planned in fields:
        if isinstance(planned.kind, Date | Time) and planned.kind.of in header:
            yield Window(planned, header[planned.kind.of])


def misplaced(planned: PlannedField, header: Iterable[PlannedField]) -> str:
    """What is wrong with the place or the centre of a date's window, "" when nothing is."""
    kind = planned.kind
    if not isinstance(kind, Date | Time) or kind.of is None:
        return ""
    around = next((field.kind for field in header if field.name == kind.of), None)
    if not isinstance(around, Date | Time) or not around.knows_day:
        return f"of={kind.of!r} is no date of the header that says day and year"
    if planned.path.count(".") > 1:
        return "within is for dates that stand in no group and no table"
    return ""
