"""Telegrams as JSON: every value by the rules, every byte back again, and strict about what comes in."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parcel_family import SPEC, order, order_frame

from telegram_router.errors import FieldError
from telegram_router.telegrams import Telegram, from_json, from_object, masked_object, to_json, to_object
from telegram_router.testing import telegrams

quick = settings(deadline=None)


def given_form(**changes: object) -> dict:
    """The order's message form with other values in its body."""
    form = to_object(SPEC.decode(order_frame()))
    form["body"] |= changes
    return form


def refused(form: object) -> list[tuple[str, str]]:
    """(code, path) of everything that is refused, by value and as JSON text."""
    with pytest.raises(FieldError) as caught:
        from_object(SPEC, form)
    with pytest.raises(FieldError) as by_text:
        from_json(SPEC, json.dumps(form).encode(), strict=False)
    assert [problem.path for problem in by_text.value.problems] == [problem.path for problem in caught.value.problems]
    return [(problem.code, problem.path) for problem in caught.value.problems]


def not_read(text: bytes, *, strict: bool = True) -> str:
    with pytest.raises(FieldError) as caught:
        from_json(SPEC, text, strict=strict)
    assert caught.value.__context__ is None
    return str(caught.value)


# --- telegram to JSON -------------------------------------------------------------------------------------------


def test_the_message_form_of_a_telegram():
    assert json.loads(to_json(SPEC.decode(order_frame()))) == {
        "message": "order.request",
        "header": {"mark": "PARCEL", "company": "C001", "type": "2000", "number": "000007", "sent": "20240315", "response": ""},
        "body": {
            "account": "110123456789",
            "amount": "1234500",
            "fee": "-12.30",
            "rate": "1.500",
            "count": 7,
            "balance": "0",
            "at": "101112",
            "day": None,
            "memo": "홍길동급여",
        },
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1"), "1.000"),
        (Decimal("1.5"), "1.500"),
        (2, "2.000"),
        (Decimal("0.001"), "0.001"),
        (Decimal("1E+3"), "1000.000"),
        (None, None),
    ],
)
def test_a_number_with_a_scale_has_exactly_that_many_decimals(value, text):
    assert to_object(order(rate=value))["body"]["rate"] == text


def test_there_is_no_negative_zero():
    assert to_object(order(fee=Decimal("-0.00")))["body"]["fee"] == "0.00"
    assert from_object(SPEC, given_form(fee="-0.00")).body["fee"].as_tuple().sign == 0


@pytest.mark.parametrize("wrong", [1.5, "1", True, Decimal("NaN"), Decimal("0.0001"), Decimal(10) ** 50])
def test_a_value_of_a_handler_that_is_no_number_of_this_kind_is_refused(wrong):
    with pytest.raises(FieldError) as caught:
        to_json(order(rate=wrong))
    assert caught.value.problems[0].path == "body.rate"


@pytest.mark.parametrize("wrong", [1.0, "1", True, Decimal(1), 10**50])
def test_a_whole_number_is_an_int_and_nothing_else(wrong):
    with pytest.raises(FieldError):
        to_json(order(amount=wrong))


def test_opaque_bytes_are_base64():
    letter = Telegram(SPEC, SPEC.messages["letter"], {**order().header, "type": "3000"}, {"text": b"\x00\xff"})
    form = to_object(letter)
    assert form["body"] == {"text": "AP8="}
    assert from_object(SPEC, form).body == {"text": b"\x00\xff"}
    with pytest.raises(FieldError):
        letter.body["text"] = "text"
        to_json(letter)


def test_korean_text_is_not_normalised():
    hanja = "\uf900"  # a compatibility ideograph that NFC would replace
    form = to_object(SPEC.decode(order_frame(memo=hanja)))
    assert form["body"]["memo"] == hanja
    assert SPEC.encode(from_object(SPEC, form)) == order_frame(memo=hanja)


# --- bytes that values do not carry -----------------------------------------------------------------------------


def patched(offset: int, content: bytes) -> bytes:
    """The order's frame with other bytes at an offset of the telegram."""
    frame = bytearray(order_frame())
    frame[4 + offset : 4 + offset + len(content)] = content
    return bytes(frame)


FIELDS = {planned.path: planned.offset for planned in SPEC.messages["order.request"].fields}
ODD = {
    "filler of text": ("header.filler@32", b"AB 1", "$filler", "AB 1"),
    "filler of Korean text": ("header.filler@32", "길".encode("cp949") + b"  ", "$filler", "길"),
    "filler of other bytes": ("header.filler@32", b"\x00\xff\x01\x02", "$filler", "hex:00ff0102"),
    "filler that reads like hex": ("header.filler@32", b"hex:", "$filler", "hex:6865783a"),
    "half a character": ("header.filler@32", b"   \xb1", "$filler", "hex:202020b1"),
    "a blank sign": ("body.fee", b" 000001230", "$as_sent", " 000001230"),
    "a negative zero": ("body.fee", b"-000000000", "$as_sent", "-000000000"),
    "a blank where zeros are written": ("body.day", b" " * 8, "$as_sent", ""),
    "a blank number that means zero": ("body.balance", b" " * 14, "$as_sent", ""),
}


@pytest.mark.parametrize(("path", "content", "group", "text"), ODD.values(), ids=ODD)
def test_bytes_that_values_do_not_carry_travel_beside_them(path, content, group, text):
    frame = patched(FIELDS[path], content)
    form = json.loads(to_json(SPEC.decode(frame)))
    assert form[group] == {str(FIELDS[path]): text}
    assert SPEC.encode(from_object(SPEC, form)) == frame


def test_a_value_that_was_changed_wins_over_its_old_bytes():
    form = to_object(SPEC.decode(patched(FIELDS["body.fee"], b" 000001230")))
    form["body"]["fee"] = "99.00"
    assert SPEC.decode(SPEC.encode(from_object(SPEC, form))).body["fee"] == Decimal("99.00")


@quick
@given(data=st.data())
def test_telegram_json_telegram_gives_the_same_bytes(data):
    frame = bytearray(order_frame())
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(4, len(frame) - 1))
        frame[at] = data.draw(st.sampled_from(b" 0129+-A\x00\xb1\xa1\xff"))
    try:
        telegram = SPEC.decode(bytes(frame))
    except FieldError:
        return
    text = to_json(telegram)
    for again in (from_json(SPEC, text), from_json(SPEC, text, strict=False), from_object(SPEC, json.loads(text))):
        assert SPEC.encode(again) == bytes(frame)


@quick
@given(telegrams(SPEC, "order.request"))
def test_generated_values_come_back(telegram):
    form = json.loads(to_json(telegram))
    assert form["body"]["memo"] == telegram["memo"]
    assert form["body"]["amount"] == (None if telegram["amount"] is None else str(telegram["amount"]))
    assert from_object(SPEC, form).body == telegram.body


# --- JSON to telegram -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "given", "value"),
    [
        ("amount", "0000000000007", 7),
        ("amount", 7, 7),
        ("amount", None, None),
        ("count", "7", 7),
        ("rate", "1.5", Decimal("1.5")),
        ("rate", "2", Decimal(2)),
        ("rate", 2, Decimal(2)),
        ("fee", "-1.00", Decimal("-1.00")),
        ("at", "", None),
        ("memo", None, ""),
        ("account", "007", "007"),
    ],
)
def test_what_a_field_takes(field, given, value):
    assert from_object(SPEC, given_form(**{field: given})).body[field] == value


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("amount", 1.0),
        ("amount", True),
        ("amount", [1]),
        ("amount", {}),
        ("count", 1.5),
        ("account", 7),
        ("account", ["x"]),
        ("at", 101112),
        ("memo", False),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(field, given):
    assert refused(given_form(**{field: given})) == [("E-FLD-12", f"body.{field}")]


@pytest.mark.parametrize("text", ["1.0", "+1", " 1", "1_000", "1e3", "0x1", "٣", "１", "²", "-", "", "NaN", "Infinity", "1,000", "9" * 41])
def test_a_text_that_is_no_number_is_refused(text):
    assert refused(given_form(amount=text)) == [("E-FLD-01", "body.amount")]


@pytest.mark.parametrize("text", ["1.", ".5", "1.2.3", "1e3", "٣.٣"])
def test_a_text_that_is_no_decimal_is_refused(text):
    assert refused(given_form(rate=text)) == [("E-FLD-01", "body.rate")]


def test_everything_that_is_wrong_is_told_at_once():
    form = given_form(amount=1.5, memo=7)
    del form["body"]["account"]
    form["body"]["amout"] = "1"
    form["extra"] = 1
    assert refused(form) == [
        ("E-FLD-12", "/"),
        ("E-FLD-12", "body.account"),
        ("E-FLD-12", "body.amount"),
        ("E-FLD-12", "body.memo"),
        ("E-FLD-12", "/body"),
    ]


def test_an_unknown_name_is_not_repeated_but_a_near_one_is_offered():
    form = given_form()
    form["body"]["amoumt"] = "1"
    with pytest.raises(FieldError) as caught:
        from_object(SPEC, form)
    assert "amoumt" not in caught.value.problems[0].text()
    assert caught.value.problems[0].expected == "`amount`, perhaps"


def test_what_follows_from_the_message_may_be_left_out():
    form = given_form()
    del form["header"]["type"], form["header"]["mark"]
    assert SPEC.encode(from_object(SPEC, form)) == order_frame()


@pytest.mark.parametrize(
    "form", [None, [], "x", 1, {}, {"message": 7}, {"message": "order.requst"}, {"message": "order.request", "header": [], "body": None}]
)
def test_what_is_no_message_form_is_refused(form):
    assert all(code == "E-FLD-12" for code, _ in refused(form))


def test_a_message_name_that_is_nearly_right_gets_a_hint():
    with pytest.raises(FieldError) as caught:
        from_object(SPEC, {"message": "order.requst"})
    assert "order.request" in caught.value.problems[0].expected


@pytest.mark.parametrize(
    ("group", "kept"),
    [
        ("$filler", {"33": "x"}),
        ("$filler", {"x": "x"}),
        ("$filler", {"9" * 30: "x"}),
        ("$filler", {"32": "too long"}),
        ("$filler", {"32": "hex:00"}),
        ("$filler", {"32": "hex:zz"}),
        ("$filler", {"32": 7}),
        ("$filler", {"32": "\U0001f600"}),
        ("$filler", {str(FIELDS["body.fee"]): " 000001230"}),
        ("$as_sent", {"32": "AB 1"}),
        ("$filler", []),
    ],
)
def test_bytes_beside_the_values_must_fit_the_layout(group, kept):
    assert refused(given_form() | {group: kept}) == [("E-FLD-12", f"/{group}")]


def test_bytes_that_belong_to_no_field_cannot_be_written():
    telegram = order()
    telegram.residue = {33: b"x"}
    with pytest.raises(FieldError):
        to_json(telegram)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"{} {}",
        b'{"a": NaN}',
        b'{"a": "\n"}',
        b"[" * 100_000,
        b'{"a":' * 40,
    ],
)
def test_text_that_is_not_json_is_refused(text, strict):
    assert "E-FLD-12" in not_read(text, strict=strict)


def test_a_key_that_comes_twice_is_refused_where_it_is_looked_for():
    form = to_json(SPEC.decode(order_frame())).decode()
    twice = form.replace('"body":{', '"body":{"amount":"1",')
    assert "same key twice" in not_read(twice.encode())


def test_floats_and_giant_numbers_are_refused_by_the_strict_reader_wherever_they_stand():
    assert "fraction" in not_read(b'{"x": 1.0}')
    assert "fraction" in not_read(b'{"x": 1e400}')
    assert "40 digits" in not_read(b'{"x": ' + b"9" * 5000 + b"}")
    not_read(b'{"x": ' + b"9" * 5000 + b"}", strict=False)


def test_brackets_in_strings_are_no_nesting():
    form = given_form(memo='[[[[{{{{"[[\\')
    text = json.dumps(form | {"message": "[" * 50})
    with pytest.raises(FieldError) as caught:
        from_json(SPEC, text.encode())
    assert caught.value.problems[0].path == "/message"
    assert "deeper than 32" in not_read(b"[" * 33 + b"]" * 33)


def test_a_lone_surrogate_is_refused_before_it_is_on_the_wire():
    text = json.dumps(given_form(memo="\ud800")).encode()
    for strict in (True, False):
        with pytest.raises(FieldError):
            SPEC.encode(from_json(SPEC, text, strict=strict))


@quick
@given(
    text=st.one_of(
        st.binary(max_size=60),
        st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=9), st.lists, max_leaves=9).map(
            lambda v: json.dumps(v).encode()
        ),
    )
)
def test_no_text_raises_anything_but_a_field_error(text):
    for strict in (True, False):
        with pytest.raises(FieldError):
            from_json(SPEC, text, strict=strict)


# --- masked -----------------------------------------------------------------------------------------------------


def test_a_log_shows_clear_fields_and_the_size_of_all_others():
    telegram = SPEC.decode(patched(FIELDS["header.filler@32"], b"LEAK"))
    assert masked_object(telegram) == {
        "message": "order.request",
        "header": {"mark": "PARCEL", "company": "C001", "type": "2000", "number": "000007", "sent": "20240315", "response": ""},
        "body": {
            "account": "[15 bytes]",
            "amount": "1234500",
            "fee": "-12.30",
            "rate": "[7 bytes]",
            "count": "[3 bytes]",
            "balance": "[14 bytes]",
            "at": "101112",
            "day": "[8 bytes]",
            "memo": "홍길동급여",
        },
    }


def test_opaque_bytes_are_masked_by_their_size():
    letter = Telegram(SPEC, SPEC.messages["letter"], {**order().header, "type": "3000"}, {"text": b"secret"})
    assert masked_object(letter)["body"] == {"text": "[6 bytes]"}


def test_a_refusal_never_holds_a_value():
    form = given_form(account=12345678901, amount="98765.4", rate="SECRET", memo=["SECRET"])
    with pytest.raises(FieldError) as caught:
        from_object(SPEC, form)
    told = str(caught.value) + "".join(problem.text() for problem in caught.value.problems)
    assert not any(secret in told for secret in ("12345678901", "98765", "SECRET"))
