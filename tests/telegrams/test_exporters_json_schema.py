"""The JSON Schema of a message says what `to_json` gives and `from_json` takes; `jsonschema`, which others wrote, is the judge."""

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from parcel_family import FAMILY
from shipped import ROOT, shipped

from telegram_router.errors import FieldError
from telegram_router.telegrams import (
    Code,
    Digits,
    Family,
    Framing,
    LengthField,
    Message,
    Struct,
    compile_family,
    from_json,
    to_json,
    to_object,
)
from telegram_router.telegrams.exporters.json_schema import field_schema, message_schema, spec_schema
from telegram_router.telegrams.generate import sample

SPECS = (*sorted(file.stem for file in (ROOT / "specs").glob("*.py")), "parcel")


@cache
def spec_of(name):
    return compile_family(FAMILY) if name == "parcel" else shipped(name)


@cache
def validator(spec, message):
    schema = message_schema(spec_of(spec).messages[message])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


MESSAGES = [(name, message) for name in SPECS for message in spec_of(name).messages]


def accepted(spec, form) -> bool:
    """Whether `from_json` takes a form and a telegram comes of it."""
    try:
        spec.encode(from_json(spec, json.dumps(form, ensure_ascii=False).encode()))
    except FieldError:
        return False
    return True


class TestWhatToJsonGivesIsValid:
    @pytest.mark.parametrize(("name", "message"), [each for each in MESSAGES if each[0] != "parcel"])
    def test_of_every_sample(self, name, message):
        frame = (ROOT / "specs" / "samples" / name / f"{message}.telegram").read_bytes()
        validator(name, message).validate(json.loads(to_json(spec_of(name).decode(frame))))

    @pytest.mark.parametrize(("name", "message"), MESSAGES)
    def test_of_telegrams_that_were_made_up(self, name, message):
        for number in range(2):
            validator(name, message).validate(to_object(sample(spec_of(name), message, "schema", number)))

    @settings(deadline=None)
    @given(st.data())
    def test_of_whatever_decodes(self, data):
        """Bytes that values do not carry travel beside them, and are part of the form."""
        spec = spec_of("parcel")
        frame = bytearray(spec.encode(sample(spec, "order.request", data.draw(st.integers(0, 9)))))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(4, len(frame) - 1))
            frame[at] = data.draw(st.sampled_from(b"0 9+-A\x00\xb0\xa1~"))
        try:
            telegram = spec.decode(bytes(frame))
        except FieldError:
            return
        validator("parcel", telegram.message.name).validate(json.loads(to_json(telegram)))


ODD = [
    *(None, True, 1.5, [], {}, ["1"], {"value": "1"}, 0, 7, -1, 10**13, 10**15, 10**41),
    *(
        "",
        " ",
        "0",
        "-0",
        "007",
        "12",
        "12a",
        "-5",
        "1.5",
        "1.2345",
        "1.",
        ".5",
        "+5",
        "1e3",
        "²",
        "٣",
        "0" * 40,
        "9" * 13,
        "9" * 14,
        "9" * 41,
    ),
    *(
        "20240315",
        "20241315",
        "2024031",
        "00000000",
        "101112",
        "246060",
        "홍길동",
        "가" * 30,
        "a" * 15,
        "a" * 16,
        "VTIM",
        "0000",
        "AB",
        "AB \t",
    ),
]


@cache
def judged():
    """A good form with one of its values replaced by each odd one: the field, the value, and whether the form is valid, whether
    `from_json` takes it, and whether a telegram comes of it."""
    found = []
    for name, message in (("parcel", "order.request"), ("firmbanking", "deposit_notice.request")):
        spec = spec_of(name)
        good = to_object(sample(spec, message, "odd"))
        for section in ("header", "body"):
            for field in good[section]:
                planned = spec.messages[message].field(f"{section}.{field}")
                for value in ODD:
                    form = good | {section: good[section] | {field: value}}
                    found.append((planned, value, validator(name, message).is_valid(form), taken(spec, form), accepted(spec, form)))
    return found


def taken(spec, form) -> bool:
    try:
        from_json(spec, json.dumps(form).encode())
    except FieldError:
        return False
    return True


class TestJsonSchemaAgainstFromJson:
    def test_what_from_json_refuses_is_not_valid(self):
        refused = [(planned.path, value, valid) for planned, value, valid, by_form, _ in judged() if not by_form]
        assert len(refused) > 300
        assert not [each for each in refused if each[2]]

    def test_what_is_valid_becomes_a_telegram_but_for_what_the_description_says(self):
        for planned, value, valid, _, encoded in judged():
            if valid and not encoded:
                assert "bytes in cp949" in field_schema(planned)["description"], (planned.path, value)
                assert any(ord(character) > 0x7F for character in value)

    def test_what_becomes_a_telegram_is_valid_but_for_other_ways_to_write_the_same(self):
        odd = {value for _, value, valid, _, encoded in judged() if encoded and not valid}
        assert odd <= {"-0", " "}  # a negative zero, and blanks behind a code: `to_json` gives neither

    def test_names_that_are_unknown_or_missing_are_not_valid(self):
        spec = spec_of("parcel")
        good = to_object(sample(spec, "order.request"))
        judge = validator("parcel", "order.request")
        judge.validate(good)
        assert not judge.is_valid(good | {"more": 1})
        assert not judge.is_valid(good | {"body": good["body"] | {"more": 1}})
        assert not judge.is_valid(good | {"body": {name: value for name, value in good["body"].items() if name != "amount"}})
        assert not judge.is_valid({name: value for name, value in good.items() if name != "message"})
        assert not judge.is_valid(good | {"message": "order.response"})

    def test_what_follows_from_the_message_may_be_left_out_as_from_json_lets_it(self):
        spec = spec_of("parcel")
        good = to_object(sample(spec, "order.request"))
        form = good | {"header": {name: value for name, value in good["header"].items() if name not in ("type", "mark")}}
        assert accepted(spec, form)
        validator("parcel", "order.request").validate(form)

    def test_the_key_of_another_message_is_not_valid(self):
        spec = spec_of("firmbanking")
        form = to_object(sample(spec, "transfer.request"))
        form["header"]["message_type"] = "4000"
        assert not accepted(spec, form)
        assert not validator("firmbanking", "transfer.request").is_valid(form)

    @pytest.mark.parametrize("kept", ["hex:20", "hex:zz", "hex:2020202020", "way too long", "", "A", 5, None])
    def test_bytes_beside_the_values_are_judged_as_from_json_judges_them(self, kept):
        spec = spec_of("parcel")
        good = to_object(sample(spec, "order.request"))
        filler = next(f for f in spec.messages["order.request"].fields if not f.name)
        form = good | {"$filler": {str(filler.offset): kept}}
        assert validator("parcel", "order.request").is_valid(form) is accepted(spec, form)


class TestTheSchemaOfAWholeSpec:
    @pytest.mark.parametrize("name", SPECS)
    def test_every_telegram_fits_exactly_one_message(self, name):
        spec = spec_of(name)
        schema = spec_schema(spec)
        Draft202012Validator.check_schema(schema)
        judge = Draft202012Validator(schema)
        for message in list(spec.messages)[:6]:
            judge.validate(to_object(sample(spec, message)))
        assert not judge.is_valid(to_object(sample(spec, message)) | {"message": "nobody's"})

    def test_it_holds_labels_rules_and_places_for_people(self):
        body = message_schema(spec_of("firmbanking").messages["transfer.request"])["properties"]["body"]["properties"]
        assert body["amount"]["title"] == "출금금액 withdrawal amount"
        assert body["amount"]["description"] == "9(13), offset 129, 13 bytes"
        assert body["memo"]["description"] == "X(14), offset 199, 14 bytes; at most 14 bytes in cp949, which may be fewer characters"
        notice = message_schema(spec_of("firmbanking").messages["deposit_notice.request"])["properties"]["body"]["properties"]
        assert notice["direction"]["enum"] == ["11", "21", "31", "32", "99"]
        assert "11 = 입금 deposit" in notice["direction"]["description"]

    def test_check_digits_are_told_since_no_pattern_can(self):
        header = Struct("type" / Code(2), "number" / Digits(4))
        message = Message("note", "", ("01",), Struct("rrn" / Code(13, digits=True, check="rrn")), kind="oneway")
        spec = compile_family(Family("checked", header, [message], Framing(LengthField()), ("type",), ("number",)))
        schema = field_schema(spec.messages["note"].field("rrn"))
        assert schema["description"].endswith("its check digit must be right")
