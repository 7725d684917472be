"""What a live tail shows: terms such as `message=transfer.* bank_code=088`, all of which must hold. Pure."""

# Rules this file keeps, all of them tested:
#
# 1. A term is about a line's own columns or about a header field that some spec marks clear, never about another field.
# 2. Nothing that was sent is looked at before it is known that a term asks for it.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from telegram_router.routing.routes import Origin
from telegram_router.telegrams.fields import charset_of

COLUMNS = ("message", "listener", "service", "peer", "code", "result", "delivery", "direction")
ABOUT_ENDS = frozenset(("code", "result", "delivery"))  # what a telegram that has just come cannot have
MOST_TERMS = 16
LONGEST = 512  # characters of all terms together

Matches = Callable[[str], object]


class BadFilter(ValueError):
    """What is wrong with a filter, in words."""


class Filter:
    """The terms of one watcher."""

    def __init__(self, text: str, clear: Iterable[str]) -> None:
        """`clear`: header fields that may be shown. Raises BadFilter."""
        if len(text) > LONGEST:
            raise BadFilter(f"the filter is longer than {LONGEST} characters")
        terms = [_term(each) for each in text.split()]
        if len(terms) > MOST_TERMS:
            raise BadFilter(f"the filter has more than {MOST_TERMS} terms")
        allowed = set(clear)
        self.columns: dict[str, list[Matches]] = {}
        self._fields: dict[str, list[Matches]] = {}
        for name, matches in terms:
            if name in COLUMNS:
                self.columns.setdefault(name, []).append(matches)
            elif name in allowed:
                self._fields.setdefault(name, []).append(matches)
            else:
                known = ", ".join([*COLUMNS, *sorted(allowed)])
                raise BadFilter(f"there is no {name}, or it is no header field that may be shown; there are: {known}")
        self._places: dict[Origin, list[tuple[slice, list[Matches]]] | None] = {}  # at most one for each party, a watcher's life long
        self.ends_only = not ABOUT_ENDS.isdisjoint(self.columns)
        self.all = not terms

    def takes(self, line: Mapping[str, str | None]) -> bool:
        """Whether the columns that are given fit. What is None is empty, and what is not given is not asked for yet."""
        for name, terms in self.columns.items():
            if name in line:
                value = line[name] or ""
                for matches in terms:
                    if not matches(value):
                        return False
        return True

    def takes_frame(self, origin: Origin, frame: bytes) -> bool:
        """Whether the header's clear fields fit. A spec that does not have one of them does not."""
        if not self._fields:
            return True
        if origin not in self._places:
            self._places[origin] = self._places_in(origin)
        places = self._places[origin]
        if places is None:
            return False
        charset = charset_of(origin.spec.encoding)
        for place, terms in places:
            value = charset.ascii(frame[place]).decode("ascii", "replace").strip()
            if not all(matches(value) for matches in terms):
                return False
        return True

    def _places_in(self, origin: Origin) -> list[tuple[slice, list[Matches]]] | None:
        clear = clear_fields(origin)
        if not self._fields.keys() <= clear:
            return None
        return [(origin.spec.header_slice(name), terms) for name, terms in self._fields.items()]


def clear_fields(origin: Origin) -> set[str]:
    """Header fields of a party's spec that every one of its messages marks clear."""
    shown: dict[str, bool] = {}
    for message in origin.spec.messages.values():
        for field in message.fields:
            if field.section == "header" and field.name:
                shown[field.name] = shown.get(field.name, True) and field.log == "clear"
    return {name for name, clear in shown.items() if clear and name in origin.spec.header_fields}


def _term(text: str) -> tuple[str, Matches]:
    """`name=value`; a value alone is a message. `*` stands for any characters."""
    name, mark, value = text.partition("=")
    if not mark:
        name, value = "message", text
    if not value:
        raise BadFilter(f"{name}= lacks a value")
    pattern = ".*".join(re.escape(part) for part in value.split("*"))
    return name, re.compile(pattern, re.DOTALL).fullmatch if "*" in value else value.__eq__
