"""The straight way through a mapping gives what the general way gives, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from construct import Struct
from hypothesis import given, settings
from hypothesis import strategies as st
from parcel_family import SPEC, order, order_frame

from telegram_router.errors import RouterError
from telegram_router.telegrams import (
    Code,
    Date,
    Digits,
    Family,
    Filler,
    Fixed,
    Framing,
    JsonMapping,
    Length,
    LengthField,
    Message,
    Opaque,
    Reply,
    Spec,
    Telegram,
    Text,
    compile_family,
    json_mapping,
    to_json,
)

REQUEST = {
    "customer.account": "body.account",
    "customer.name": "body.memo",
    "order.amount": "body.amount",
    "order.rate": "body.rate",
    "order.count": "body.count",
    "order.fee": "body.fee",
    "id": "header.number",
    "sent": "header.sent",
}
RESPONSE = {"header.response": "code", "body.note": "result.note", "body.fee": "result.fee"}
MAPPINGS: list[dict[str, Mapping[str, str]]] = [
    {"request": REQUEST, "response": RESPONSE},
    {"request": REQUEST, "response": {"body.note": "note"}, "literals": {"header.response": "0000"}},
    {
        "request": {"a": "body.day"},
        "response": {"body.account": "a", "body.amount": "b", "body.note": "c"},
        "literals": {"body.fee": "+000000100"},
    },
    {
        "request": {"a": "body.at", "b": "body.balance"},
        "response": {"header.mark": "m", "header.sent": "s"},
        "literals": {"body.note": "끝"},
    },
]

ECHO = compile_family(
    Family(
        name="echo",
        version="1",
        framing=Framing(LengthField(counts="all"), header=14),
        header=Struct("length" / Length(4), "mark" / Fixed("E"), "type" / Code(4), "number" / Code(4, digits=True), Filler(1)),
        key=("type",),
        correlation=("number",),
        messages=[
            Message(
                "say.request",
                "say",
                ("0100",),
                Struct("c" / Code(2), "a" / Text(4), Filler(2), "d" / Date()),
                reply=Reply.one("say.response"),
            ),
            Message(
                "say.response",
                "said",
                ("0110",),
                Struct("d" / Date(), "c" / Code(2), "a" / Text(6), Filler(3), "n" / Digits(2)),
                kind="reply",
            ),
        ],
    )
)
PIPE = compile_family(
    Family(
        name="pipe",
        version="1",
        framing=Framing(LengthField(), header=8),
        header=Struct("type" / Code(4), "number" / Code(4, digits=True)),
        key=("type",),
        correlation=("number",),
        messages=[
            Message("put.request", "put", ("0100",), Struct("x" / Text(2), "rest" / Opaque(max=9)), reply=Reply.one("put.response")),
            Message("put.response", "done", ("0110",), Struct("x" / Text(2), "rest" / Opaque(max=9)), kind="reply"),
        ],
    )
)


def made(spec: Spec, **tables: Any) -> JsonMapping:
    mapping = JsonMapping(spec, [next(iter(spec.messages))], **tables)
    assert mapping.problems == ()
    return mapping


def came_of(step: Callable[[], bytes]) -> bytes | str:
    try:
        return step()
    except RouterError as error:
        return f"{error.code} {error.text()}"


def assert_same(mapping: JsonMapping, spec: Spec, telegram: Telegram, answer: bytes) -> bytes | str:
    """What comes of an answer, which is the same by both ways."""
    general = came_of(lambda: spec.encode(mapping.response(telegram, answer)))
    assert came_of(lambda: mapping.reply_frame(telegram, answer)) == general
    return general


VALUES = st.one_of(
    st.sampled_from(
        ["0000", "VTIM", "", "20240229", "20230229", "143000", "-1.50", "12", "+5", "끝", "가나다라마바", "PARCEL", "x\n", "a" * 11]
    ),
    st.text(max_size=12),
    st.integers(-(10**14), 10**14),
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.lists(st.text(max_size=2), max_size=2),
)
NAMES = ["code", "note", "a", "b", "c", "m", "s", "more"]
RESULT = st.fixed_dictionaries({"note": VALUES, "fee": VALUES})
ANSWERS = st.one_of(
    st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES) | {"result": RESULT}),
    st.dictionaries(st.sampled_from([*NAMES, "result"]), VALUES),
    VALUES,
).map(lambda answer: json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(
    tables=st.sampled_from(MAPPINGS),
    answer=ANSWERS | st.binary(max_size=20),
    changes=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(b" 0159A+-\x00\xb0\xa1")), max_size=3),
)
def test_a_reply_is_the_same_by_both_ways(tables: dict[str, Mapping[str, str]], answer: bytes, changes: list[tuple[int, int]]) -> None:
    frame = bytearray(order_frame())
    for at, byte in changes:
        frame[4 + at % (len(frame) - 4)] = byte
    try:
        telegram = SPEC.decode(bytes(frame))
    except RouterError:
        return
    if telegram.message.name == "order.request":
        assert_same(made(SPEC, **tables), SPEC, telegram, answer)


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(tables=st.sampled_from(MAPPINGS), values=st.fixed_dictionaries({}, optional={
    "amount": st.integers(0, 10**13 - 1) | st.none() | st.just("7"),
    "fee": st.decimals(-9999, 9999, places=2) | st.integers(-5, 5),
    "rate": st.decimals(0, 9999, places=3) | st.just(Decimal("1.23456")),
    "memo": st.text(max_size=9) | st.just(5),
    "count": st.integers(0, 999) | st.booleans(),
    "at": st.sampled_from(["143000", None, ""]),
}))  # fmt: skip
def test_the_json_of_a_request_is_the_same_by_both_ways(tables: dict[str, Mapping[str, str]], values: dict[str, Any]) -> None:
    telegram = order(**values)
    straight, general = made(SPEC, **tables), made(SPEC, **tables)
    for plan in general._plans.values():
        plan.straight_request = None
    assert came_of(lambda: straight.request(telegram)) == came_of(lambda: general.request(telegram))


def test_the_straight_way_is_the_one_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = made(SPEC, **MAPPINGS[0])
    telegram = SPEC.decode(order_frame())
    answer = b'{"code": "VTIM", "result": {"note": "x", "fee": "1.00"}}'
    expected = assert_same(mapping, SPEC, telegram, answer), mapping.request(telegram)
    monkeypatch.setattr(JsonMapping, "response", None)
    monkeypatch.setattr(json_mapping, "_built", None)
    assert (mapping.reply_frame(telegram, answer), mapping.request(telegram)) == expected


def test_what_a_request_holds_beside_its_values_comes_back_in_the_reply() -> None:
    frame = bytearray(order_frame())
    header_filler = SPEC.framing.prefix + SPEC.header_size - 4
    frame[header_filler : header_filler + 4] = b"*ab*"
    frame = bytearray(SPEC.framing.wrap(bytes(frame[4:])))
    reply = assert_same(made(SPEC, **MAPPINGS[1]), SPEC, SPEC.decode(bytes(frame)), b'{"note": "n"}')
    assert isinstance(reply, bytes) and reply[header_filler : header_filler + 4] == b"*ab*"


def test_a_length_inside_the_telegram_and_fields_that_moved_or_grew_are_written_anew() -> None:
    mapping = made(ECHO, request={"a": "body.a"}, response={"body.n": "n"})
    telegram = ECHO.decode(b"0030E01000007 " + b"ccab    20240101")
    assert assert_same(mapping, ECHO, telegram, b'{"n": 5}') == b"0035E01100007 " + b"20240101ccab       05"
    assert str(assert_same(mapping, ECHO, telegram, b'{"n": 500}')).startswith("E-FLD")


@pytest.mark.parametrize("rest", [b"", b"\x00\x01", b"123456789"])
def test_opaque_bytes_go_through(rest: bytes) -> None:
    telegram = PIPE.decode(PIPE.framing.wrap(b"01000007ab" + rest))
    mapping = made(PIPE, request={"rest": "body.rest"}, response={})
    assert assert_same(mapping, PIPE, telegram, b"{}") == PIPE.framing.wrap(b"01100007ab" + rest)
    assert "nesting" in str(assert_same(mapping, PIPE, telegram, b"[" * 40 + b"]" * 40))
    mapping = made(PIPE, request={"rest": "body.rest", "x": "body.x"}, response={"body.rest": "r", "body.x": "x"})
    assert assert_same(mapping, PIPE, telegram, b'{"r": "AAE=", "x": "z"}') == PIPE.framing.wrap(b"01100007z \x00\x01")
    for bad in (b'{"r": "AAEAAAAAAAAAAAAA", "x": ""}', b'{"r": "?", "x": ""}', b'{"x": ""}', b"[]", b"{"):
        assert not isinstance(assert_same(mapping, PIPE, telegram, bad), bytes)
    assert json.loads(mapping.request(telegram))["x"] == "ab"


# --- the message form -------------------------------------------------------------------------------------------------

WHOLE = json.loads(to_json(SPEC.decode(order_frame()).reply({"note": "끝"}, response="0000")))
PLACES = [(section, name) for section in ("header", "body") for name in WHOLE[section]]
FORM_CHANGES = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(PLACES), VALUES),
    st.tuples(st.just("drop"), st.sampled_from(PLACES)),
    st.tuples(st.just("drop all"), st.sampled_from(["header", "body", "message"])),
    st.tuples(st.just("add"), st.sampled_from(["header", "body"])),
    st.tuples(st.just("swap"), st.sampled_from(["header", "body", "message", "$filler", "$as_sent", "more"]), VALUES),
)


def changed(change: tuple[Any, ...]) -> bytes:
    form = deepcopy(WHOLE)
    match change:
        case "set", (section, name), value:
            form[section][name] = value
        case "drop", (section, name):
            del form[section][name]
        case "drop all", name:
            del form[name]
        case "add", section:
            form[section]["more"] = 1
        case "swap", name, value:
            form[name] = value
    return json.dumps(form, ensure_ascii=False).encode("utf-8", "replace")


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(change=FORM_CHANGES)
def test_a_reply_in_the_message_form_is_the_same_by_both_ways(change: tuple[Any, ...]) -> None:
    assert_same(made(SPEC), SPEC, SPEC.decode(order_frame()), changed(change))


@pytest.mark.parametrize("change", [("none",), ("drop all", "header"), ("drop all", "message"), ("set", ("body", "note"), "다른")])
def test_a_whole_reply_in_the_message_form_goes_the_straight_way(change: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    mapping, telegram = made(SPEC), SPEC.decode(order_frame())
    expected = assert_same(mapping, SPEC, telegram, changed(change))
    monkeypatch.setattr(JsonMapping, "response", None)
    assert mapping.reply_frame(telegram, changed(change)) == expected


@pytest.mark.parametrize(("name", "value"), [("number", "000008"), ("company", "C002"), ("type", "2000")])
def test_a_reply_in_the_message_form_to_another_request_is_refused(name: str, value: str) -> None:
    refused = assert_same(made(SPEC), SPEC, SPEC.decode(order_frame()), changed(("set", ("header", name), value)))
    assert str(refused).startswith("E-BCK-06")
