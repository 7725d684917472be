"""Rules at their places: which fields of a message they are about, and whether that can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from telegram_router.telegrams import FieldFault, Length, MessageLayout, PlannedField, Spec
from telegram_router.telegrams.fields.numbers import Number
from telegram_router.telegrams.json_values import reader_of
from telegram_router.telegrams.volatile import volatile_fields
from telegram_router.tools.replay.masks import called
from telegram_router.tools.replay.recomputing import checksum
from telegram_router.tools.replay.rules import Rule
from telegram_router.tools.replay.settings import ReplayError

Rules = Mapping[str, Mapping[str, Rule]]  # by message, or `*`, and field


@dataclass(frozen=True)
class Placed:
    """A rule at the field of a message that it is about."""

    planned: PlannedField
    rule: Rule
    name: str  # by which sequences and memory know the field


def placed_rules(message: MessageLayout, spec: Spec, rules: Rules, *, volatile: bool) -> list[Placed]:
    """The rules of a request, the last field's first. Raises ReplayError for one that cannot be."""
    by_path = {placed.planned.path: placed for placed in _declared(message)} if volatile else {}
    for part in ("*", message.name):
        for name, rule in rules.get(part, {}).items():
            for planned in message.fields:
                if called(planned, name):
                    by_path[planned.path] = _checked(message, planned, rule, spec)
    found = [placed for placed in by_path.values() if placed.rule.kind != "keep"]
    return sorted(found, key=lambda placed: -placed.planned.offset)


def _declared(message: MessageLayout) -> Iterator[Placed]:
    rules = {"clock": Rule("now"), "sequence": Rule("seq")}
    for planned, volatile in volatile_fields(message):
        rule = Rule("map", volatile.of) if volatile.role == "ref_of" else rules.get(volatile.role)
        if rule is not None:
            yield Placed(planned, rule, planned.name)


def _checked(message: MessageLayout, planned: PlannedField, rule: Rule, spec: Spec) -> Placed:
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
    return Placed(planned, rule, planned.name)


def _has(spec: Spec, name: str) -> bool:
    return any(called(planned, name) for message in spec.messages.values() for planned in message.fields)


def written_value(planned: PlannedField, value: object) -> bytes:
    """A value in the field's own bytes; numbers may be texts. Raises FieldFault."""
    if planned.is_opaque:
        return str(value).encode("utf-8")
    if isinstance(planned.kind, Number) and isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and planned.kind.scale <= 0 else reader_of(planned.kind)(value)
    return planned.kind.write(value)
