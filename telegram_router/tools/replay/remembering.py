"""What a run remembers of its requests: the running numbers that it used, and what recorded values have become."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from telegram_router.tools.replay.rules import Rule

REMEMBERED: Final = 100_000  # old values with their new ones, of each field

Entry: TypeAlias = tuple[str, tuple[bytes, ...], str, str]  # field, scope, old value, new one


class Sequences:
    """The running numbers of a run: one for each field and width, whoever sends it, so that none is used twice before they wrap."""

    def __init__(self, resumed: Mapping[str, int] | None = None) -> None:
        self.next: dict[str, int] = dict(resumed or {})
        self.first: dict[str, int] = {}

    def take(self, name: str, rule: Rule, digits: int, moment: Callable[[], datetime.datetime]) -> int:
        step, wrap = rule.options.get("step", 1), min(rule.options.get("wrap", 10**digits - 1), 10**digits - 1)
        number = self.next.get(name)
        if number is None:
            # By the time of day, so that another run on this day does not begin with the same numbers.
            now = moment()
            of_day = (now.hour * 3600 + now.minute * 60 + now.second) * 1_000_000 + now.microsecond
            number = rule.options.get("start", 1 + wrap * of_day // 86_400_000_000)
        if number > wrap:
            number = rule.options.get("start", 1)
        self.first.setdefault(name, number)
        self.next[name] = number + step
        return number


class Memory:
    """Old values and what they have become, by field and scope. The oldest is forgotten when there are too many."""

    def __init__(self, resumed: Iterable[Entry] = ()) -> None:
        self._tables: dict[str, OrderedDict[tuple[Any, ...], str]] = {}
        self.fresh: list[Entry] | None = None  # what was put since somebody took it last; None: nobody does
        for entry in resumed:
            self.put(*entry)

    def put(self, name: str, scope: tuple[bytes, ...], old: str, new: str) -> None:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = OrderedDict()
        key = (*scope, _bare(old))
        if key in table:
            table.move_to_end(key)
        table[key] = new
        if len(table) > REMEMBERED:
            table.popitem(last=False)
        if self.fresh is not None:
            self.fresh.append((name, scope, old, new))

    def get(self, name: str, scope: tuple[bytes, ...], old: str) -> str | None:
        """As wide as the old value: one field may hold as a text what is a number in another."""
        table = self._tables.get(name)
        new = table.get((*scope, _bare(old))) if table else None
        return new.zfill(len(old)) if new is not None and new.isdecimal() else new


def _bare(value: str) -> str:
    return value.lstrip("0") if value.isdecimal() else value
