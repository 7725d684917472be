"""What filters and templates may ask of a telegram that came: its fields, the state, the connection."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from telegram_router.tools.recorded import Recorded
from telegram_router.tools.simulate.templates import NoValue, Template

if TYPE_CHECKING:
    from telegram_router.telegrams import MessageLayout, Spec
    from telegram_router.tools.simulate.world import World


class Seen:
    """One telegram on a connection. As a function it is the look-up of filters."""

    __slots__ = ("_recorded", "at", "connection", "frame", "message", "number", "rule", "world")

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

    def __call__(self, name: str) -> Any:
        head, _, rest = name.partition(".")
        if head in ("f", "request"):
            return self.field(rest)
        if head in ("state", "table"):
            return self.world.value(head, rest, self)
        if head == "machine":
            return self.world.machine_state(rest, self)
        if head == "counter":
            return self.world.counter(rest).peek(self.connection)
        if name in ("conn", "n"):
            return self.connection if name == "conn" else self.number
        if name == "rule":
            return self.rule or None
        return self._recorded(name)

    def field(self, name: str) -> Any:
        return self._recorded.field(name)

    @property
    def name(self) -> str:
        """Of its message."""
        return self.message.name if self.message is not None else "a telegram of no message"

    def filling(self, at: float, purpose: str) -> Callable[[str], Any]:
        """The look-up of templates: names alone are fields, counters go on, `now` is the time of the answer."""

        def find(name: str) -> Any:
            head, _, rest = name.partition(".")
            if name == "now":
                return self.world.wall(at)
            if head == "counter":
                return self.world.counter(rest).next(self.connection)
            if name == "random":
                return self.world.draws.word(self.connection, self.number, f"{purpose} random")
            if name in ("conn", "n") or ("." in name and head in ("f", "request", "state", "table", "machine")):
                return self(name)
            return self.field(name)

        return find

    def key(self, template: Template | None) -> str | None:
        """What a template makes of it; None when it has not all of the fields."""
        if template is None:
            return None
        try:
            return template.filled(self.filling(self.at, "key"))
        except NoValue:
            return None


def wall_clock(start: datetime.datetime, began: float, at: float) -> datetime.datetime:
    """The date and time of a moment."""
    return start + datetime.timedelta(microseconds=round((at - began) * 1_000_000))
