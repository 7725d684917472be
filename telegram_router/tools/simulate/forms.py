"""Values of a scenario that have a form of their own: filters, templates, rates, delays, schedules."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainValidator
from pydantic_core import PydanticCustomError

from telegram_router.errors import RouterError
from telegram_router.tools.predicate import FilterError, Predicate, parse
from telegram_router.tools.simulate.expectations import Expectation, read_expectation
from telegram_router.tools.simulate.templates import Template, TemplateError
from telegram_router.written import Address, Misread, per_second, target

_SPEED: Final = re.compile(r"(\d{1,9})(B|KB|MB)/s", re.ASCII)
_MISSES: Final = ("error", "nearest", "silent")
_BYTES: Final = {"B": 1, "KB": 1000, "MB": 1_000_000}


def wrong(what: str, expected: str) -> PydanticCustomError:
    return PydanticCustomError("form", "{what}", {"what": what, "expected": expected})


def _read_filter(value: object) -> Predicate:
    if not isinstance(value, str):
        raise wrong("is no filter", "a text such as 'msg=transfer.request and f.amount>1000'")
    try:
        return parse(value)
    except FilterError as error:
        raise wrong(f"{error.what}; at {error.where}", error.do) from None


def _read_template(value: object) -> Template:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise wrong("is no value of a field", 'a text or a whole number; amounts with a fraction in quotes, such as "10.50"')
    try:
        return Template(str(value))
    except TemplateError as error:
        raise wrong(error.what, error.expected) from None


def _read_rate(value: object) -> float:
    """Times a second."""
    try:
        return per_second(str(value))
    except Misread as error:
        raise wrong(error.what, error.expected) from None


def _read_speed(value: object) -> float:
    """Bytes a second."""
    found = _SPEED.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        raise wrong("is no bandwidth", 'bytes a second such as "500B/s" or "10KB/s"')
    return float(int(found[1]) * _BYTES[found[2]])


def forward_to(on_miss: str) -> Address | None:
    """Who answers what no rule is for, where somebody else does. Raises Misread for what is none of the choices."""
    if on_miss in _MISSES:
        return None
    if not on_miss.startswith("forward:"):
        raise Misread("is none of the choices", '"error", "nearest", "silent" or "forward:HOST:PORT"')
    return target(on_miss.removeprefix("forward:"))


def _read_expectation(value: object) -> Expectation:
    if not isinstance(value, str):
        raise wrong("is no expectation", "a text such as 'count msg=transfer.request = 5'")
    try:
        return read_expectation(value)
    except RouterError as error:
        raise wrong(error.what + (f"; at {error.where}" if error.where else ""), error.expected or error.do) from None


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


Filter = Annotated[Predicate, PlainValidator(_read_filter)]
Value = Annotated[Template, PlainValidator(_read_template)]
Rate = Annotated[float, PlainValidator(_read_rate)]
Speed = Annotated[float, PlainValidator(_read_speed)]
Expected = Annotated[Expectation, PlainValidator(_read_expectation)]
Listing = BeforeValidator(_as_tuple)
OneOrMore = BeforeValidator(_one_or_more)
