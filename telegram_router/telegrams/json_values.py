"""One field's value as JSON and back. What JSON is like is checked here, what the field is like by its kind."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from telegram_router.errors import FieldProblem
from telegram_router.telegrams.fields import Code, FieldFault, Fixed, Kind, Length, Number, Opaque, Text

Convert: TypeAlias = Callable[[Any], Any]

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_LARGEST: Final = 10**40


# --- problems ---------------------------------------------------------------------------------------------------


def form_problem(spec: str, message: str, path: str, what: str, expected: str, offset: int = 0) -> FieldProblem:
    """Something wrong with the JSON itself rather than with one field."""
    return FieldProblem("E-FLD-12", spec, message, path or "/", offset, 0, "JSON", expected, what)


def nearest(name: str, known: Iterable[str]) -> str:
    """A known name close to an unknown one, as an expectation."""
    close = difflib.get_close_matches(name[:64], list(known), 1)
    return f"`{close[0]}`, perhaps" if close else ""


def json_type(value: Any) -> str:
    """What JSON calls it; says nothing of the value."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        int: "a number",
        float: "a number with a fraction",
        bool: "true or false",
    }
    return "null or missing" if value is None else names.get(type(value), "something else")


# --- one value --------------------------------------------------------------------------------------------------


def writer_of(kind: Kind) -> Convert | None:
    """From a field's value to its JSON; None where the value is written as it is."""
    if kind.has_json_form:
        return kind.as_json
    if isinstance(kind, Number | Length):
        scale = max(getattr(kind, "scale", 0), 0)
        return _decimal_writer(kind, scale) if scale else _int_writer(kind)
    if isinstance(kind, Opaque):
        return _base64_writer(kind)
    return None


def _int_writer(kind: Kind) -> Convert:
    as_number = kind.json == "number"

    def write(value: Any) -> Any:
        if type(value) is int and -_LARGEST < value < _LARGEST:
            return value if as_number else str(value)
        if value is None:
            return None
        raise kind.wrong_type(value, kind.expected)

    return write


def _decimal_writer(kind: Kind, scale: int) -> Convert:
    def write(value: Any) -> str | None:
        if value is None:
            return None
        if type(value) is int:
            value = Decimal(value)
        if type(value) is not Decimal or not value.is_finite() or abs(value) >= _LARGEST:
            raise kind.wrong_type(value, kind.expected)
        text = f"{value:.{scale}f}" if value else f"{0:.{scale}f}"
        if Decimal(text) != value:
            raise kind.fault("E-FLD-05", f"number has more than {scale} digits behind the decimal point")
        return text

    return write


def _base64_writer(kind: Kind) -> Convert:
    def write(value: Any) -> str:
        if type(value) is not bytes:
            raise kind.wrong_type(value, "bytes")
        return base64.b64encode(value).decode("ascii")

    return write


def reader_of(kind: Kind) -> Convert:
    """From JSON to a field's value. The function raises FieldFault; it never lets a float or a bool through."""
    if kind.has_json_form:
        return kind.of_json
    if isinstance(kind, Number | Length):
        return _number_reader(kind, max(getattr(kind, "scale", 0), 0))
    if isinstance(kind, Opaque):
        return _base64_reader(kind)
    if isinstance(kind, Text | Code):
        return _text_reader(kind, "")
    if isinstance(kind, Fixed):
        return _text_reader(kind, kind.text)
    return _moment_reader(kind)


def _text_reader(kind: Kind, absent: str) -> Convert:
    def read(value: Any) -> str:
        if type(value) is str:
            return value
        if value is None:
            return absent
        raise kind.fault("E-FLD-12", f"value is {json_type(value)}")

    return read


def _moment_reader(kind: Kind) -> Convert:
    def read(value: Any) -> str | None:
        if type(value) is str:
            return value or None
        if value is None:
            return None
        raise kind.fault("E-FLD-12", f"value is {json_type(value)}")

    return read


def _number_reader(kind: Kind, scale: int) -> Convert:
    def read(value: Any) -> Any:
        if type(value) is int:
            return Decimal(value) if scale else value
        if value is None:
            return None
        if type(value) is not str:
            raise kind.fault("E-FLD-12", f"value is {json_type(value)}")
        form = _NUMBER.fullmatch(value)
        if form is None or (form[1] and not scale):
            raise kind.fault("E-FLD-01", "text is not a number of this form")
        if scale:
            return Decimal(value) or Decimal(0)  # no negative zero
        return int(value)

    return read


def _base64_reader(kind: Kind) -> Convert:
    def read(value: Any) -> bytes:
        if type(value) is not str:
            raise kind.fault("E-FLD-12", f"value is {json_type(value)}")
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
        raise FieldFault("E-FLD-12", "text is not base64", "base64")

    return read
