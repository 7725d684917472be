"""Rules of the file as tests of headers and values."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from telegram_router.config import Exact, Prefix, Rule
from telegram_router.plan.check import Check, Place, did_you_mean
from telegram_router.routing import Among, Between
from telegram_router.routing import Prefix as BeginsWith
from telegram_router.routing.routes import BodyTest, Test
from telegram_router.telegrams import Code, FieldFault, MessageLayout, Spec, Text
from telegram_router.telegrams.single_field import SingleField


def header_test(check: Check, path: tuple[str | int, ...], key: str, rule: Rule, spec: Spec) -> Test | None:
    def wire(value: str) -> bytes:
        return value.encode(spec.encoding, errors="replace")

    known = list(spec.header_fields)
    if key not in known:
        check.report("E-CFG-06", path, "no such header field", f"one of {', '.join(known)}" + did_you_mean(key, known))
        return None
    width = spec.header_fields[key][1]
    longest = max(len(wire(value)) for value in _texts(rule))
    if longest > width:
        check.report("E-CFG-04", path, f"a value of {longest} bytes", f"at most {width}, the size of the field")
        return None
    if isinstance(rule, Exact):
        return Among(frozenset(wire(value).ljust(width) for value in rule.values))
    if isinstance(rule, Prefix):
        return BeginsWith(wire(rule.prefix))
    return Between(wire(rule.min).ljust(width), wire(rule.max).ljust(width))


def body_test(
    check: Check, path: Place, field: str, rule: Rule, messages: Sequence[MessageLayout], named_at: Place | None = None
) -> BodyTest | None:
    """None when no message has the field, or it cannot have what the rule asks for."""
    found = {message.name: planned for message in messages if (planned := message.field(field)) and planned.path == field}
    if not found:
        known = sorted({each.path for message in messages for each in message.fields if each.name})
        what = f"no telegram that this route takes has a field {field}"
        do = f"compare with `telegram-router spec show {messages[0].spec.name}`" if messages else ""
        check.report("E-CFG-06", named_at or path, what + did_you_mean(field, known), do=do)
        return None
    fields = {message.name: SingleField(message, found[message.name]) for message in messages if message.name in found}
    try:
        tests = {name: _value_test(rule, each) for name, each in fields.items()}
    except FieldFault as fault:
        check.report("E-CFG-04", path, f"the field cannot hold it: {fault.what}", fault.expected)
        return None
    return BodyTest(field, fields, tests)


def _value_test(rule: Rule, field: SingleField) -> Test:
    """A rule as a test of the field's values. Raises FieldFault where the field cannot have them."""
    if isinstance(rule, Exact):
        values = [field.value_of(text) for text in rule.values]
        if any(isinstance(value, Hashable) is False for value in values):
            raise FieldFault("E-CFG-04", "its values are lists", "a field with one value")
        return Among(frozenset(values))
    if isinstance(rule, Prefix):
        if not isinstance(field.planned.kind, Text | Code):
            raise FieldFault("E-CFG-04", "only texts and codes begin with something", "a list of values, or a range")
        return BeginsWith(rule.prefix)
    low, high = field.value_of(rule.min), field.value_of(rule.max)
    if low > high:
        raise FieldFault("E-CFG-04", "min is above max", "the smaller value first")
    return Between(low, high)


def taken(match: Mapping[str, Rule], spec: Spec) -> list[str]:
    """The requests and one-way messages whose key values a match allows."""
    ruled = [(place, match[name]) for place, name in enumerate(spec.family.key) if name in match]
    asking = [message for message in spec.messages.values() if message.kind != "reply"]
    return [message.name for message in asking if all(_allows(rule, message.key[place]) for place, rule in ruled)]


def _allows(rule: Rule, value: str) -> bool:
    if isinstance(rule, Exact):
        return value in rule.values
    if isinstance(rule, Prefix):
        return value.startswith(rule.prefix)
    return rule.min <= value <= rule.max


def _texts(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule, Exact):
        return rule.values
    return (rule.prefix,) if isinstance(rule, Prefix) else (rule.min, rule.max)
