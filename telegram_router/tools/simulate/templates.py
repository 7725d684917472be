"""Texts with places to fill in: `{now:%H%M%S}`, `{counter.approval:08d}`, `{state.account.balance}`, `{f.amount}`, `{amount}`."""

# Nothing in a template is executed: a name is looked up, a format is one of a short list. Python's own formatting reaches attributes.

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeAlias

from telegram_router.tools.predicate import as_text

Find: TypeAlias = Callable[[str], Any]  # the value under a name; None when there is none

_NAME: Final = re.compile(r"[^\W\d][\w\-]*(?:(?:\.[\w\-]+)|(?:\[\d+\]))*")
_NUMBER: Final = re.compile(r"(0?)([1-9]\d?)d")
_PADDED: Final = re.compile(r"([<>])([1-9]\d{0,3})")
_TIME: Final = re.compile(r"(?:%[YmdHMSjyf]|[^%{}])+")
_WHOLE: Final = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_PREFIXES: Final = frozenset({"f", "request", "state", "table", "counter", "machine"})
LONGEST: Final = 4096


class TemplateError(Exception):
    """A template that cannot be understood."""

    def __init__(self, what: str, expected: str) -> None:
        self.what = what
        self.expected = expected
        super().__init__(what)


class NoValue(Exception):
    """A place that nothing fills: its name is the argument."""


@dataclass(frozen=True)
class Place:
    name: str
    form: str

    def filled(self, find: Find) -> str:
        value = find(self.name)
        if value is None:
            raise NoValue(self.name)
        if isinstance(value, datetime.datetime):
            return value.strftime(self.form or "%Y%m%d%H%M%S")
        text = as_text(value)
        if not self.form:
            return text
        if found := _NUMBER.fullmatch(self.form):
            if not _WHOLE.fullmatch(text):
                raise NoValue(f"{self.name} is no number")
            width, number = int(found[2]), int(Decimal(text))
            if self.name.startswith(("counter.", "random")):
                number %= 10**width
            return f"{number:0{width}d}" if found[1] else f"{number:{width}d}"
        if found := _PADDED.fullmatch(self.form):
            return text.ljust(int(found[2])) if found[1] == "<" else text.rjust(int(found[2]))
        return text


@dataclass(frozen=True)
class Template:
    """A text, taken apart once. Raises TemplateError."""

    text: str

    def __post_init__(self) -> None:
        assert self._parts is not None  # a template that cannot be understood is told now

    @cached_property
    def _parts(self) -> tuple[str | Place, ...]:
        return tuple(_parts(self.text))

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that it asks for."""
        return frozenset(part.name for part in self._parts if isinstance(part, Place))

    @cached_property
    def is_plain(self) -> bool:
        """Always the same text."""
        return not self.names

    @cached_property
    def is_of_fields(self) -> bool:
        """The same text for the same telegram, whenever it is asked."""
        return all("." not in name or name.startswith(("f.", "request.")) for name in self.names) and not self.names & {"now", "random"}

    @cached_property
    def _plain(self) -> str:
        return "".join(part for part in self._parts if isinstance(part, str))

    def filled(self, find: Find) -> str:
        """The text. Raises NoValue."""
        if self.is_plain:
            return self._plain
        return "".join([part if isinstance(part, str) else part.filled(find) for part in self._parts])

    def __str__(self) -> str:
        return self.text


def _parts(text: str) -> Iterator[str | Place]:
    if len(text) > LONGEST:
        raise TemplateError(f"is longer than {LONGEST} characters", "a shorter text")
    at = 0
    while at < len(text):
        opening = text.find("{", at)
        closing = text.find("}", at, opening if opening >= 0 else len(text))
        if closing >= 0 and text[closing : closing + 2] != "}}":
            raise TemplateError("has a } that closes nothing", "}} for a brace of the text itself")
        if opening < 0:
            yield text[at:].replace("}}", "}")
            return
        if text[opening : opening + 2] == "{{":
            yield text[at:opening].replace("}}", "}") + "{"
            at = opening + 2
            continue
        if opening > at:
            yield text[at:opening].replace("}}", "}")
        end = text.find("}", opening)
        if end < 0:
            raise TemplateError("has a { that nothing closes", "{{ for a brace of the text itself")
        yield _place(text[opening + 1 : end])
        at = end + 1


def _place(inside: str) -> Place:
    name, _, form = inside.partition(":")
    if not _NAME.fullmatch(name):
        raise TemplateError(
            "asks for something that is no name", "a field as {amount} or {f.amount}, {now:%H%M%S}, {state.account.balance}"
        )
    if name == "now":
        good = not form or _TIME.fullmatch(form)
        expected = "%Y %y %m %d %j %H %M %S %f and what stands between them"
    else:
        good = not form or _NUMBER.fullmatch(form) or _PADDED.fullmatch(form)
        expected = "08d for eight digits with zeros in front, <20 or >20 for blanks behind or in front"
    if not good:
        raise TemplateError(f"has a form for {name} that there is not", expected)
    prefix = name.split(".", 1)[0]
    if "." not in name and prefix in _PREFIXES:
        raise TemplateError(f"asks for {name} and nothing in it", f"{{{name}.NAME}}")
    return Place(name, form)
