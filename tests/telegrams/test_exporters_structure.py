"""Groups, tables, views and versions, and every kind of field, in JSON Schema and in the Wireshark dissector."""

import json
import random
from functools import cache

import pytest
from captures import capture, cut, dissect
from jsonschema import Draft202012Validator
from structured_family import frame, kinds, order_values, record_frame, record_values, structured, structured_frames, transfer_values

from telegram_router.errors import FieldError
from telegram_router.telegrams import from_json, from_object, to_json, to_object
from telegram_router.telegrams.exporters.json_schema import message_schema, spec_schema
from telegram_router.telegrams.generate import sample

ENCODINGS = ("cp949", "cp037", "cp933")


# --- JSON Schema


@cache
def validator(message="order"):
    schema = message_schema(structured().messages[message])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def accepted(form) -> bool:
    spec = structured()
    try:
        spec.encode(from_json(spec, json.dumps(form, ensure_ascii=False).encode()))
    except FieldError:
        return False
    return True


def order(**changed):
    """A good order as JSON; `changed` replaces members of its body, None takes one away."""
    form = json.loads(to_json(structured().decode(frame(structured(), "order", order_values()))))
    form["body"] = {name: value for name, value in (form["body"] | changed).items() if value is not GONE}
    return form


GONE = object()
PERSON = {"rrn": "8001011234567", "holder": ""}
ITEM = {"name": "a", "amount": "1.50"}


class TestJsonSchema:
    @pytest.mark.parametrize("number", range(len(structured_frames())))
    def test_what_to_json_gives_is_valid(self, number):
        telegram = structured().decode(structured_frames()[number])
        form = json.loads(to_json(telegram))
        validator(telegram.message.name).validate(form)
        Draft202012Validator(spec_schema(structured())).validate(form)

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_every_kind_of_field_is_described(self, encoding):
        spec = kinds(encoding)
        schema = message_schema(spec.messages["record"])
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(json.loads(to_json(spec.decode(record_frame(encoding)))))

    GOOD = (
        {},
        {"item_count": GONE},  # follows from the list
        {"items": [ITEM] * 4, "item_count": "4"},
        {"items": [], "item_count": GONE},
        {"parts": [], "part_count": "00"},
        {"kind": "9", "person": GONE, "code": "X"},
        {"kind": "2", "person": GONE, "company": {"brn": ""}},
    )

    @pytest.mark.parametrize("changed", GOOD)
    def test_forms_that_are_taken_are_valid(self, changed):
        form = order(**changed)
        assert accepted(form)
        assert validator().is_valid(form)

    BAD = (
        {"item_count": None},
        {"lines": ["a", "b"]},
        {"lines": ["a", "b", "c", "d"]},
        {"lines": "abc"},
        {"address": {"city": "서울"}},
        {"address": {"city": "서울", "zip": "04524", "more": 1}},
        {"address": GONE},
        {"items": [ITEM] * 5, "item_count": GONE},
        {"items": [{"name": "a"}], "item_count": GONE},
        {"items": [{"name": "a", "amount": 1.5}], "item_count": GONE},
        {"items": GONE},
        {"parts": [{"part": "0", "mark": "A"}] * 6, "part_count": GONE},
        {"person": GONE},
        {"company": {"brn": "1234567890"}},
        {"kind": "2"},
        {"kind": "9"},
        {"kind": "5"},
        {"person": GONE, "code": "X"},
        {"bank3": "8888"},
        {"bank4": "888"},
    )

    @pytest.mark.parametrize("changed", BAD)
    def test_forms_that_are_refused_are_not_valid(self, changed):
        form = order(**changed)
        assert not accepted(form)
        assert not validator().is_valid(form)

    def test_a_version_has_its_own_fields_and_no_others(self):
        assert validator().is_valid(order())
        without = order(bank3=GONE)
        without["header"]["sent_date"] = "20240101"
        assert accepted(without) and validator().is_valid(without)

    def test_the_view_follows_from_a_field_behind_it_too(self):
        judge = validator("transfer")
        form = to_object(structured().decode(frame(structured(), "transfer", transfer_values("Y"))))
        judge.validate(form)
        form["body"]["mark"] = "N"
        assert not judge.is_valid(form)
        with pytest.raises(FieldError):
            structured().encode(from_object(structured(), form))


# --- the dissector


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """All telegrams of all families in one capture, cut anywhere."""
    specs = {9001: structured()} | {9002 + n: kinds(encoding) for n, encoding in enumerate(ENCODINGS)}
    streams = {9001: b"".join(structured_frames())} | {9002 + n: 2 * record_frame(encoding) for n, encoding in enumerate(ENCODINGS)}
    segments = [(port, True, piece) for port, stream in streams.items() for piece in cut(stream, [100, 7, 1, 300])]
    found = dissect(tmp_path_factory.mktemp("structure"), specs, capture(segments))
    return {port: [each for each in found if each.port == port] for port in specs}


class TestDissector:
    def test_tables_groups_and_views_show_the_values_that_were_given(self, seen):
        first, second, third, fourth, edi, customer = seen[9001]
        assert [each.message for each in seen[9001]] == ["order"] * 4 + ["transfer"] * 2
        assert not [each.experts for each in seen[9001] if each.experts]
        assert first.fields["body.lines"] == ["가나다", "둘째", ""]
        assert first.fields["body.address.city"] == ["서울"]
        assert first.fields["body.items.name"] == ["품목0", "품목1"]
        assert first.fields["body.items.amount"] == ["5", "105"]
        assert first.fields["body.person.holder"] == ["홍길동"]
        assert first.fields["body.bank3"] == ["88"]
        assert first.fields["body.parts.mark"] == ["A", "B", "C"]
        assert second.fields["body.company.brn"] == ["1234567890"] and "body.bank3" not in second.fields
        assert second.fields["body.items.amount"] == ["5", "105", "205", "305"] and "body.parts.mark" not in second.fields
        assert third.fields["body.code"] == ["X-1"] and "body.items.name" not in third.fields
        assert [each.fields["body.tail"] for each in (first, second, third, fourth)] == [["TAIL"]] * 4
        assert edi.fields["body.edi"] == ["EDI-INFO"] and "body.customer.first" not in edi.fields
        assert customer.fields["body.customer.second"] == ["C2"] and "body.edi" not in customer.fields

    def test_headings_say_how_many_items_there_are(self, seen):
        assert "내역 items: 2 of 4" in seen[9001][0].shown
        assert "내역 items [1]" in seen[9001][0].shown
        assert "36 bytes of unused places" in seen[9001][0].shown
        assert "고객구분 kind: 1 (개인 person)" in seen[9001][0].shown

    @pytest.mark.parametrize(("port", "encoding"), list(enumerate(ENCODINGS, 9002)))
    def test_every_kind_of_field_shows_its_value(self, seen, port, encoding):
        telegrams = seen[port]
        assert len(telegrams) == 2
        for each in telegrams:
            assert not each.experts
            for name, value in record_values(encoding).items():
                shown = each.fields[f"body.{name}"][0]
                if name == "printed":
                    assert shown.strip() == "1234.56-"
                elif name == "flags":
                    assert shown == "urgent, signed"
                elif isinstance(value, str):
                    assert shown == value
                else:
                    assert float(shown) == pytest.approx(float(value), rel=1e-6), name
            assert "double: -9223372036854775808" in each.shown
            assert f"large: {2**126 + 1}" in each.shown
            assert "word: -1234567.89" in each.shown
            assert "packed: -12345.67" in each.shown
            assert "scaled: 0.00123" in each.shown
            assert "지점 branch: 0042 (domestic)" in each.shown
            assert "dotted: 2024-03-15" in each.shown
            assert "at: 20240315101112 (2024-03-15 10:11:12)" in each.shown

    def test_counts_and_choices_that_do_not_fit_are_told_and_no_script_error_follows(self, tmp_path):
        good = structured_frames()[0]
        counter, kind, parts = 4 + 14 + 18 + 15, 4 + 14 + 18 + 15 + 1 + 72, 4 + 14 + 18 + 15 + 1 + 72 + 1 + 19 + 6
        assert (good[counter : counter + 1], good[kind : kind + 1], good[parts : parts + 2]) == (b"2", b"1", b"03")
        bad = [
            good[:counter] + b"9" + good[counter + 1 :],
            good[:counter] + b" " + good[counter + 1 :],
            good[:kind] + b"7" + good[kind + 1 :],
            good[:parts] + b"05" + good[parts + 2 :],
            good[:parts] + b"77" + good[parts + 2 :],
            good[:parts] + b"xx" + good[parts + 2 :],
            good[:parts] + b"01" + good[parts + 2 :],
            good[: 4 + 6] + b"        " + good[4 + 14 :],
        ]
        told = [each.experts for each in dissect(tmp_path, {9001: structured()}, capture((9001, True, each) for each in bad))]
        assert told[0] == ["body.items: the count is '9', expected 0 to 4"]
        assert "body.item_count: field is blank" in told[1]
        assert told[2][0] == "body.kind: not one of the declared codes"
        assert told[3] == ["body.parts[0].part: field is not all digits", "body.parts[0].part needs 3 bytes, 0 left"]
        assert told[4] == ["body.parts: the count is '77', expected 0 to 5"]
        assert "body.part_count: field is not all digits" in told[5]
        assert told[6] == ["8 bytes beyond the layout of order"]
        assert "header.sent_date: field is blank" in told[7]

    def test_tables_of_any_length_show_what_we_decode(self, tmp_path):
        spec = structured()
        frames = [spec.encode(sample(spec, "order", "tables", number)) for number in range(20)]
        seen = dissect(tmp_path, {9001: spec}, capture((9001, True, each) for each in frames))
        assert len({len(each) for each in frames}) > 3
        for found, each in zip(seen, frames, strict=True):
            body = to_object(spec.decode(each))["body"]
            assert not found.experts
            assert found.fields["body.lines"] == body["lines"]
            assert found.fields.get("body.items.name", []) == [item["name"] for item in body["items"]]
            assert found.fields.get("body.parts.mark", []) == [part["mark"] for part in body["parts"]]
            assert found.fields["body.tail"] == [body["tail"]]

    def test_mutated_telegrams_are_told_where_we_refuse_them_and_raise_no_script_error(self, tmp_path):
        specs = dict(enumerate([structured(), *map(kinds, ENCODINGS)], 9001))
        frames = {port: mutated(spec) for port, spec in specs.items()}
        found = dissect(tmp_path, specs, capture((port, True, frame) for port, each in frames.items() for frame in each))
        for port, spec in specs.items():
            seen = [each for each in found if each.port == port]
            silent = [problems_of(spec, frame) for each, frame in zip(seen, frames[port], strict=True) if not each.experts]
            assert len(seen) - len(silent) > 10
            assert {problem.path for problems in silent for problem in problems} <= BEYOND_LUA


def mutated(spec):
    """Telegrams with a few bytes changed, none of framing or key."""
    chance = random.Random(spec.name)
    frames = []
    for number in range(50):
        frame = bytearray(spec.encode(sample(spec, next(iter(spec.messages)), "mutated", number)))
        for _ in range(chance.randint(1, 8)):
            frame[chance.randrange(spec.framing.prefix + 2, len(frame))] = chance.randrange(256)
        frames.append(bytes(frame))
    return frames


BEYOND_LUA = {"body.printed"}  # edited pictures are shown as they stand; whether COBOL would print them so, the router says


def problems_of(spec, frame):
    try:
        spec.decode(frame)
    except FieldError as error:
        return error.problems
    return ()
