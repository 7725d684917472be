"""Random trees of groups, tables, views and versions: every way to read and to write them says the same."""

from __future__ import annotations

from typing import Any

from construct import ConstructError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_specs import Sample, samples

from telegram_router.errors import FieldError
from telegram_router.telegrams import MessageLayout, Telegram, from_json, to_json

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def plain(value: Any) -> Any:
    """Values without construct's own containers."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if name != "_io"}
    return [plain(item) for item in value] if isinstance(value, list) else value


def generated(message: MessageLayout, raw: bytes) -> Any:
    try:
        telegram = message.decode(raw)
    except FieldError:
        return None
    return telegram.header, telegram.body, telegram.residue


def complete(message: MessageLayout, raw: bytes) -> Any:
    try:
        return message.codec.decoded(raw)  # type: ignore[attr-defined]
    except FieldError:
        return None


def interpreted(message: MessageLayout, raw: bytes) -> Any:
    try:
        parsed = plain(message.construct.parse(raw))
    except ConstructError:
        return None
    return parsed["header"], parsed["body"]


@SLOW
@given(samples(), st.data())
def test_what_is_written_is_read_again_in_every_way(sample: Sample, data: Any) -> None:
    (message,) = sample.spec.messages.values()
    header, body = sample.values(data.draw)
    raw = message.encode(header, body)
    assert raw == type(message.codec).encode(message.codec, header, body) == message.construct.build({"header": header, "body": body})
    telegram = message.decode(raw)
    assert (telegram.header, telegram.body, telegram.residue) == (header, body, None)
    assert complete(message, raw) == (header, body, None)
    assert interpreted(message, raw) == (header, body)
    least, most = message.codec.sizes()
    assert most is not None and least <= len(raw) <= most


@SLOW
@given(samples(), st.data())
def test_counters_follow_from_their_lists(sample: Sample, data: Any) -> None:
    (message,) = sample.spec.messages.values()
    header, body = sample.values(data.draw)
    raw = message.encode(header, body)

    def without(values: Any) -> Any:
        if isinstance(values, dict):
            return {name: without(value) for name, value in values.items() if not name.startswith("n") or name == "number"}
        return [without(value) for value in values] if isinstance(values, list) else values

    assert message.encode(header, without(body)) == raw
    assert message.construct.build({"header": header, "body": without(body)}) == raw


@SLOW
@given(samples(), st.data())
def test_mutated_bytes_are_judged_alike_and_written_back_as_they_came(sample: Sample, data: Any) -> None:
    (message,) = sample.spec.messages.values()
    raw = bytearray(message.encode(*sample.values(data.draw)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b"0123456789 AB\x00\x0c\x40\xf0\xf1\xf5\xb0\xa1"))
    cut = data.draw(st.sampled_from([0, 0, 0, 1, 2, 7]))
    changed = bytes(raw[: len(raw) - cut]) + data.draw(st.sampled_from([b"", b"", b"", b"0", b"     "]))
    found = generated(message, changed)
    assert found == complete(message, changed)
    assert interpreted(message, changed) == (found[:2] if found else None)
    if found is None:
        return
    header, body, residue = found
    assert message.encode(header, body, residue) == changed
    telegram = Telegram(sample.spec, message, header, body, residue)
    again = from_json(sample.spec, to_json(telegram))
    assert message.encode(again.header, again.body, again.residue) == changed
    end = 0
    for planned in message.fields_of(changed):
        assert planned.offset == end
        end = planned.end
    assert end == len(changed)


@SLOW
@given(samples(), st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_field_error(sample: Sample, raw: bytes) -> None:
    (message,) = sample.spec.messages.values()
    assert (generated(message, raw) is None) == (interpreted(message, raw) is None)
    list(message.fields_of(raw))
    message.structure_problems(raw)


@SLOW
@given(samples(), st.data())
def test_values_of_any_shape_are_written_or_refused(sample: Sample, data: Any) -> None:
    (message,) = sample.spec.messages.values()
    header, body = sample.values(data.draw)
    odd = st.sampled_from([None, [], {}, 0, "", True, [1], {"x": 1}, 99, "zz", 10**30])
    for values in (header, body):
        for name in list(values):
            if data.draw(st.integers(0, 4)) == 0:
                values[name] = data.draw(odd)
    try:
        raw = message.encode(header, body)
    except FieldError:
        return
    assert raw == type(message.codec).encode(message.codec, header, body)
    telegram = message.decode(raw)
    assert message.encode(telegram.header, telegram.body) == raw
