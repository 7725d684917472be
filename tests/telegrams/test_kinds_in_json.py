"""What the values of each kind look like in JSON, and that they come back from it with their bytes."""

import json
from decimal import Decimal

import pytest
from one_field import OneField

from telegram_router.errors import FieldError
from telegram_router.telegrams import (
    Amount,
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    Flags,
    Float,
    Packed,
    Zoned,
    from_json,
    to_json,
)

D = Decimal
BOTH = Code(2, {"11": "입금 deposit", ("20", "29"): "출금"}, enum="both", log="clear")

FORMS = [
    (Digits(5, scale=8), D("0.00012345"), "0.00012345"),
    (Digits(5, scale=-3), 12000, "12000"),
    (Digits(5, scale=-3, json="number"), 12000, 12000),
    (Zoned(7, 2), D("-123.45"), "-123.45"),
    (Packed(7, 2), D("0.00"), "0.00"),
    (Packed(15, json="number"), -123456789012345, -123456789012345),
    (Packed(3, null="low"), None, None),
    (Binary(8), -(2**63), "-9223372036854775808"),
    (Binary(16, signed=False), 2**128 - 1, str(2**128 - 1)),
    (Amount(3, 1), D("-4.2"), "-4.2"),
    (Edited("ZZ9.99-"), D("-1.50"), "-1.50"),
    (Float(4), D("0.1"), "0.1"),
    (Float(8), D("-100"), "-100"),
    (Float(8), D("6.02214076E+23"), "6.02214076E+23"),
    (Float(8), D("5E-324"), "5E-324"),
    (Float(8, "ibm"), D("0.00001"), "0.00001"),
    (Flags(1, {"urgent": 0x80, "test": 0x01}), ["urgent"], ["urgent"]),
    (BOTH, "11", {"value": "11", "name": "입금 deposit"}),
    (BOTH, "25", {"value": "25", "name": "출금"}),
    (BOTH, "", ""),
    (Date(7, "EYYMMDD"), "R060229", "R060229"),
]


@pytest.mark.parametrize("encoding", ["ascii", "cp037"])
@pytest.mark.parametrize(("kind", "value", "form"), FORMS, ids=lambda v: getattr(v, "rule", None))
def test_a_value_has_one_form_and_comes_back_from_it(kind, value, form, encoding):
    message = OneField(kind, encoding).message
    telegram = message.decode(message.encode({}, {"field": value}))
    text = to_json(telegram)
    assert json.loads(text)["body"]["field"] == form
    back = from_json(message.spec, text)
    assert back.body == telegram.body and type(back.body["field"]) is type(telegram.body["field"])
    assert message.encode(back.header, back.body, back.residue) == telegram.raw


KEPT = [
    (Packed(3), b"\x00\x0d", 0),  # a negative zero
    (Packed(4), b"\x90\x12\x3f", 123),  # a half byte over, and no sign
    (Zoned(2, dialect="ebcdic"), b"\xf1\xf2", 12),
    (Float(4, "ibm"), b"\x42\x01\x00\x00", D(1)),
    (Flags(1, {"urgent": 0x80}), b"\xff", ["urgent"]),
    (Digits(2, blank="when zero"), b"00", 0),
]


@pytest.mark.parametrize(("kind", "raw", "value"), KEPT, ids=lambda v: getattr(v, "rule", None))
def test_bytes_that_a_value_does_not_give_travel_beside_it(kind, raw, value):
    one = OneField(kind)
    telegram = one.message.decode(one.key + raw)
    text = to_json(telegram)
    assert telegram.body["field"] == value and "1" in json.loads(text)["$as_sent"]
    back = from_json(one.message.spec, text)
    assert one.message.encode(back.header, back.body, back.residue) == one.key + raw


WRONG_JSON = [
    (Float(8), '"NaN"', "E-FLD-01"),
    (Float(8), "[]", "E-FLD-12"),
    (Float(8), '"1e9999"', "E-FLD-01"),
    (Flags(1, {"urgent": 0x80}), '"urgent"', "E-FLD-12"),
    (BOTH, '{"value": "11", "name": "출금"}', "E-FLD-11"),
    (BOTH, '{"name": "출금"}', "E-FLD-12"),
    (Packed(3), '"1.5"', "E-FLD-01"),
    (Packed(3, 1), "true", "E-FLD-12"),
]


@pytest.mark.parametrize(("kind", "text", "code"), WRONG_JSON, ids=lambda v: getattr(v, "rule", None))
def test_json_of_another_form_is_refused(kind, text, code):
    message = OneField(kind).message
    with pytest.raises(FieldError) as refused:
        from_json(message.spec, f'{{"message": "m", "header": {{}}, "body": {{"field": {text}}}}}'.encode())
    assert [problem.code for problem in refused.value.problems] == [code]
