"""What filters and templates may ask of a telegram that came: its fields, the state, the connection."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from telegram_router.tools.recorded import Recorded
from telegram_router.tools.simulate.templates import NoValue, Template

if TYPE_CHECKING:
    from telegram_router.telegrams import MessageLayout, Spec, Telegram
    from telegram_router.tools.simulate.world import World


class Seen:
    """One telegram on a connection. As a function it is the look-up of filters."""

    __slots__ = ("_recorded", "_rows", "at", "connection", "frame", "message", "number", "rule", "world")

    def __init__(
        self, world: World, spec: Spec, message: MessageLayout | None, frame: bytes, connection: int, number: int, at: float
    ) -> None:
        self.world = world
        self.message = message
        self.frame = frame
        self.connection = connection
        self.number = number  # on its connection, from 1
        self.at = at
        self.rule = ""
        record = {"raw": frame, "msg": message.name if message is not None else None, "len": len(frame), "c": f"c{connection}"}
        self._recorded = Recorded(record, spec)
        self._rows: dict[int, str | None] = {}  # keys of rows by their template, of which a scenario has some

    def __call__(self, name: str) -> Any:
        return _reading(name)(self)

    def field(self, name: str) -> Any:
        return self._recorded.field(name)

    @property
    def telegram(self) -> Telegram | None:
        """It decoded, None where it cannot be. Nobody may change it."""
        return self._recorded.telegram

    @property
    def name(self) -> str:
        """Of its message."""
        return self.message.name if self.message is not None else "a telegram of no message"

    def filling(self, at: float, purpose: str) -> Callable[[str], Any]:
        """The look-up of templates: names alone are fields, counters go on, `now` is the time of the answer."""
        return lambda name: _filling(name)(self, at, purpose)

    def key(self, template: Template | None) -> str | None:
        """What a template makes of it; None when it has not all of the fields."""
        if template is None:
            return None
        if id(template) in self._rows:
            return self._rows[id(template)]
        try:
            key = template.filled(self.filling(self.at, "key"))
        except NoValue:
            key = None
        if template.is_of_fields:
            self._rows[id(template)] = key
        return key


# A scenario asks for the same few names with every telegram: what each means is worked out once.


@lru_cache(maxsize=4096)
def _reading(name: str) -> Callable[[Seen], Any]:
    """What a name of a filter stands for."""
    head, _, rest = name.partition(".")
    if head in ("f", "request"):
        return lambda seen: seen.field(rest)
    if head in ("state", "table"):
        table, _, column = rest.partition(".")
        return lambda seen: seen.world.value(head, table, column, seen)
    if head == "machine":
        return lambda seen: seen.world.machine_state(rest, seen)
    if head == "counter":
        return lambda seen: seen.world.counter(rest).peek(seen.connection)
    if name == "msg":
        return lambda seen: seen.message.name if seen.message is not None else None
    if name in ("conn", "n"):
        return lambda seen: seen.connection if name == "conn" else seen.number
    if name == "rule":
        return lambda seen: seen.rule or None
    return lambda seen: seen._recorded(name)


@lru_cache(maxsize=4096)
def _filling(name: str) -> Callable[[Seen, float, str], Any]:
    """What a name of a template stands for."""
    head, _, rest = name.partition(".")
    if name == "now":
        return lambda seen, at, purpose: seen.world.wall(at)
    if head == "counter":
        return lambda seen, at, purpose: seen.world.counter(rest).next(seen.connection)
    if name == "random":
        return lambda seen, at, purpose: seen.world.draws.word(seen.connection, seen.number, f"{purpose} random")
    if name in ("conn", "n") or ("." in name and head in ("f", "request", "state", "table", "machine")):
        read = _reading(name)
        return lambda seen, at, purpose: read(seen)
    return lambda seen, at, purpose: seen.field(name)


def wall_clock(start: datetime.datetime, began: float, at: float) -> datetime.datetime:
    """The date and time of a moment."""
    return start + datetime.timedelta(microseconds=round((at - began) * 1_000_000))
