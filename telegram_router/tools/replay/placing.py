"""Rules at their places: which fields of a message they are about, and whether that can be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from telegram_router.telegrams import FieldFault, Length, MessageLayout, PlannedField, Spec
from telegram_router.telegrams.fields.numbers import Number
from telegram_router.telegrams.json_values import reader_of
from telegram_router.telegrams.volatile import volatile_fields
from telegram_router.tools.replay.masks import called
from telegram_router.tools.replay.recomputing import checksum
from telegram_router.tools.replay.rules import Rule
from telegram_router.tools.replay.settings import ReplayError

Rules = Mapping[str, Mapping[str, Rule]]  # by message, or `*`, and field


@dataclass(frozen=True, eq=False)
class Placed:
    """A rule at the field of a message that it is about."""

    planned: PlannedField
    rule: Rule
    place: slice  # in a frame
    referred: bool  # others refer to its values: what they have become is remembered

    @property
    def name(self) -> str:
        """By which sequences and memory know the field."""
        return self.planned.name

    @property
    def form(self) -> str:
        """How a date or time is written."""
        return self.rule.argument or getattr(self.planned.kind, "form", "")

    @cached_property
    def ticks(self) -> bool:
        """Whether it has the moment and nothing else, to the second: all that are written within one are alike."""
        return self.rule.kind == "now" and not self.referred and "f" not in self.form


@dataclass(frozen=True)
class Plan:
    """What is done with a request: its fields, then what takes the rest of it, then what follows from all the others."""

    fields: tuple[Placed, ...]
    rest: Placed | None
    recomputed: tuple[Placed, ...]


def plan_for(message: MessageLayout, spec: Spec, rules: Rules, referred: Collection[str], *, volatile: bool) -> Plan | None:
    """The rules of a request at their places; None without any. Raises ReplayError for one that cannot be."""
    by_path = dict(_declared(message)) if volatile else {}
    for part in ("*", message.name):
        for name, rule in rules.get(part, {}).items():
            for planned in message.fields:
                if called(planned, name):
                    _check(message, planned, rule, spec)
                    by_path[planned.path] = planned, rule
    prefix, found = spec.framing.prefix, list[Placed]()
    for planned, rule in by_path.values():
        place = slice(prefix + planned.offset, prefix + planned.end)
        found.append(Placed(planned, rule, place, planned.name in referred and rule.kind not in ("map", "learn")))
    found.sort(key=lambda placed: placed.planned.offset)
    fields = tuple(each for each in found if each.rule.kind not in ("keep", "recompute") and not each.planned.is_opaque)
    rest = next((each for each in found if each.planned.is_opaque and each.rule.kind != "keep"), None)
    recomputed = tuple(each for each in found if each.rule.kind == "recompute")
    return Plan(fields, rest, recomputed) if fields or rest or recomputed else None


def _declared(message: MessageLayout) -> Iterator[tuple[str, tuple[PlannedField, Rule]]]:
    rules = {"clock": Rule("now"), "sequence": Rule("seq")}
    for planned, volatile in volatile_fields(message):
        rule = Rule("map", volatile.of) if volatile.role == "ref_of" else rules.get(volatile.role)
        if rule is not None:
            yield planned.path, (planned, rule)


def _check(message: MessageLayout, planned: PlannedField, rule: Rule, spec: Spec) -> None:
    what = ""
    if planned.key is not None or planned.counts or isinstance(planned.kind, Length):
        what = "it says what the telegram is: another value makes another telegram"
    elif planned.shifts or "[" in planned.path:
        what = "it stands in a table, or behind one that shifts"
    elif rule.kind in ("now", "shift") and not (rule.argument or getattr(planned.kind, "form", "")):
        what = "it is no date or time: say how it is written, as now(YYYYMMDDhhmmss)"
    elif planned.is_opaque and rule.kind != "set":
        what = "it takes the rest of the telegram: only set(VALUE) is possible"
    elif rule.kind in ("set", "recompute") and rule.call is None:
        try:
            written_value(planned, rule.argument if rule.kind == "set" else checksum(rule.argument, planned, b""))
        except FieldFault as fault:
            what = f"{fault.what}; expected {fault.expected}"
    elif rule.kind in ("map", "learn") and not _has(spec, rule.argument):
        what = f"no message has a field {rule.argument}"
    if what:
        raise ReplayError("E-RPL-03", f"{message.name}, {planned.path}: {what}", where=rule.where)


def _has(spec: Spec, name: str) -> bool:
    return any(called(planned, name) for message in spec.messages.values() for planned in message.fields)


def value_in(planned: PlannedField, raw: bytes) -> Any:
    """The value of a field; its bytes where they cannot be read."""
    try:
        return planned.kind.read(raw)
    except FieldFault:
        return raw


def written_value(planned: PlannedField, value: object) -> bytes:
    """A value in the field's own bytes; numbers may be texts. Raises FieldFault."""
    if planned.is_opaque:
        return str(value).encode("utf-8")
    if isinstance(planned.kind, Number) and isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and planned.kind.scale <= 0 else reader_of(planned.kind)(value)
    return planned.kind.write(value)
