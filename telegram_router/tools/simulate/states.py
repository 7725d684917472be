"""What a simulated host remembers: rows of values, counters, machines with their states, and which requests it has had."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar

from telegram_router.tools.predicate import as_text, numbers

Row: TypeAlias = Mapping[str, str]

V = TypeVar("V")


class Fading(Generic[V]):
    """Values by key, each for a while, at most so many: the oldest goes."""

    def __init__(self, most: int, lasts: float | None = None) -> None:
        self._most = most
        self._lasts = lasts
        self._kept: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self.forgotten = 0  # for want of room

    def get(self, key: Hashable, now: float) -> V | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if self._lasts is not None and now >= found[0] + self._lasts:
            del self._kept[key]
            return None
        return found[1]

    def put(self, key: Hashable, value: V, now: float) -> None:
        self._kept[key] = (now, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
            self.forgotten += 1

    def drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()

    def items(self, now: float) -> dict[Hashable, V]:
        return {key: value for key in [*self._kept] if (value := self.get(key, now)) is not None}

    def __len__(self) -> int:
        return len(self._kept)


class Store:
    """Rows by key. What it begins with never goes; what was changed lasts for its time."""

    def __init__(self, beginning: Mapping[str, Row], default: Row | None, most: int, ttl: float | None) -> None:
        self._beginning = beginning
        self._default = default
        self._changed: Fading[dict[str, str]] = Fading(most, ttl)

    def row(self, key: str, now: float) -> Row | None:
        return self._changed.get(key, now) or self._beginning.get(key) or self._default

    def set(self, key: str, column: str, value: str, now: float) -> None:
        self._changed.put(key, {**(self.row(key, now) or {}), column: value}, now)

    def change(self, key: str, column: str, by: Decimal, now: float) -> None:
        """Add to a number; one that is not there counts as 0."""
        had = (self.row(key, now) or {}).get(column, "0")
        found = numbers(had, "0")
        self.set(key, column, as_text((found[0] if found else Decimal(0)) + by), now)

    def rows(self, now: float) -> dict[str, Row]:
        """All of them."""
        changed: dict[str, Row] = {str(key): row for key, row in self._changed.items(now).items()}
        return {**self._beginning, **changed}

    def reset(self) -> None:
        self._changed.clear()


@dataclass
class Counting:
    """Numbers that are given once each."""

    start: int = 1
    step: int = 1
    per_connection: bool = False
    _next: dict[int, int] = field(default_factory=dict)  # by connection, 0 for all; goes with the connection

    def next(self, connection: int) -> int:
        slot = connection if self.per_connection else 0
        number = self._next.get(slot, self.start)
        self._next[slot] = number + self.step
        return number

    def peek(self, connection: int) -> int:
        """The number that comes next."""
        return self._next.get(connection if self.per_connection else 0, self.start)

    def set(self, number: int) -> None:
        self._next = {0: number}
        self.start = number

    def forget(self, connection: int) -> None:
        if self.per_connection:
            self._next.pop(connection, None)

    def reset(self) -> None:
        self._next.clear()


class Machine:
    """Named states, by connection or by key."""

    def __init__(self, start: str, most: int, ttl: float | None) -> None:
        self._start = start
        self._now_in: Fading[str] = Fading(most, ttl)

    def state(self, key: Hashable, now: float) -> str:
        return self._now_in.get(key, now) or self._start

    def go(self, key: Hashable, state: str, now: float) -> None:
        self._now_in.put(key, state, now)

    def forget(self, key: Hashable) -> None:
        self._now_in.drop(key)

    def states(self, now: float) -> dict[str, str]:
        return {as_text(key): state for key, state in self._now_in.items(now).items()}

    def reset(self) -> None:
        self._now_in.clear()


def plain(values: Mapping[str, Any]) -> dict[str, str]:
    """A row whose values are texts."""
    return {name: as_text(value) for name, value in values.items()}
