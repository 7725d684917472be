"""Groups, tables, views, versions and overlays one by one, in bytes that are written out here."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import construct
import pytest
from construct import ConstructError

from telegram_router.errors import BackendError, Delivery, FieldError, FieldProblem, SpecError
from telegram_router.telegrams import (
    Code,
    Date,
    Digits,
    Edited,
    ErrorReply,
    Family,
    FieldFault,
    Filler,
    Fixed,
    FixedSize,
    Flags,
    Float,
    Framing,
    JsonMapping,
    Kind,
    Length,
    LengthField,
    Message,
    MessageLayout,
    Occurs,
    Opaque,
    Overlay,
    Packed,
    Redefines,
    Reply,
    Spec,
    Struct,
    Telegram,
    Text,
    Time,
    Versions,
    Zoned,
    between,
    compile_family,
    from_json,
    load_spec,
    masked_object,
    to_json,
    to_object,
)
from telegram_router.telegrams.explain import explain
from telegram_router.telegrams.layout import PlannedField, PlannedGroup, PlannedTable, PlannedViews, templates

HEADER = Struct("kind" / Code(2, log="clear"), "number" / Code(4), "day" / Date(8, log="clear"), "count" / Digits(2, log="clear"))
FRONT = b"AA0001" + b"20250401" + b"00"
START = len(FRONT)


def compiled(*members: Any, header: Any = HEADER, encoding: str = "cp949", counts: str = "payload") -> MessageLayout:
    family = Family(
        name="built",
        header=header,
        key=("kind",),
        correlation=("number",),
        encoding=encoding,
        framing=Framing(LengthField(offset=0, width=4, counts=counts)),
        messages=[Message("message", "", ("AA",), Struct(*members), reply=Reply.none())],
    )
    (message,) = compile_family(family).messages.values()
    return message


def body_of(message: MessageLayout, raw: bytes, front: bytes = FRONT) -> dict[str, Any]:
    """Values of a body, and that every way to read and write agrees on them."""
    telegram = message.decode(front + raw)
    parsed = message.construct.parse(front + raw)
    assert telegram.body == parsed["body"] and telegram.header == parsed["header"]
    assert message.encode(telegram.header, telegram.body, telegram.residue) == front + raw
    listed = [planned for planned in message.fields_of(front + raw) if not planned.is_opaque]
    assert message.codec.opaque or sum(planned.length for planned in listed) == len(front + raw)
    again = from_json(message.spec, to_json(telegram))
    assert message.encode(again.header, again.body, again.residue) == front + raw
    return telegram.body


def problems(message: MessageLayout, raw: bytes, front: bytes = FRONT) -> list[tuple[str, str, int]]:
    """Code, path and offset of all that is wrong with a telegram."""
    with pytest.raises(FieldError) as error:
        message.decode(front + raw)
    with pytest.raises(ConstructError):
        message.construct.parse(front + raw)
    return [(p.code, p.path, p.offset) for p in error.value.problems]


def not_written(message: MessageLayout, body: Any, **header: Any) -> list[FieldProblem]:
    given = {"number": "0001", "day": "20250401", "count": 0} | header
    with pytest.raises(FieldError) as error:
        message.encode(given, body)
    return list(error.value.problems)


# --- groups -----------------------------------------------------------------------------------------------------


def test_a_group_is_a_dict_within_the_dict():
    message = compiled("address" / Struct("city" / Text(4), "zip" / Struct("code" / Digits(3), Filler(1))), "end" / Code(1))
    assert body_of(message, b"BUSA123 Z") == {"address": {"city": "BUSA", "zip": {"code": 123}}, "end": "Z"}
    assert body_of(message, b"BUSA123xZ")["address"]["zip"] == {"code": 123}
    assert message.field("body.address.zip.code").offset == START + 4
    assert message.field("code") is None  # the name alone is only for what stands in no group


def test_problems_inside_a_group_come_all_at_once_with_path_and_offset():
    message = compiled("address" / Struct("city" / Code(2, ["AA"]), "zip" / Struct("code" / Digits(3))), "end" / Digits(1))
    assert problems(message, b"zz12xy") == [
        ("E-FLD-07", "body.address.city", START),
        ("E-FLD-01", "body.address.zip.code", START + 2),
        ("E-FLD-01", "body.end", START + 5),
    ]


@pytest.mark.parametrize(
    ("body", "path", "what"),
    [
        ({}, "body.address", "field is missing"),
        ({"address": None}, "body.address", "value is of type NoneType"),
        ({"address": {"city": "A", "town": "B"}}, "body.address", "1 name(s) in the body.address that the layout does not have"),
        ({"address": {}}, "body.address.city", "field is missing"),
        ({"address": {"city": 5}}, "body.address.city", "value is of type int"),
    ],
)
def test_a_group_is_written_only_as_it_is(body: Any, path: str, what: str):
    message = compiled("address" / Struct("city" / Text(4)))
    assert [(p.code, p.path, p.what) for p in not_written(message, body)] == [("E-FLD-12", path, what)]
    with pytest.raises(ConstructError):
        message.construct.build({"header": {"number": "0001", "day": None, "count": 0}, "body": body})


# --- tables -----------------------------------------------------------------------------------------------------


def test_a_fixed_table_is_a_list():
    message = compiled("lines" / Occurs(3, Text(2)), "grid" / Occurs(2, Occurs(3, Digits(1))), "last" / Code(1))
    assert body_of(message, b"a b   123456Z") == {"lines": ["a", "b", ""], "grid": [[1, 2, 3], [4, 5, 6]], "last": "Z"}
    assert [f.path for f in message.fields[4:8]] == ["body.lines[0]", "body.lines[1]", "body.lines[2]", "body.grid[0][0]"]
    assert problems(message, b"a b   12345xZ") == [("E-FLD-01", "body.grid[1][2]", START + 11)]


def test_a_large_table_is_planned_once_and_read_whole():
    message = compiled("rows" / Occurs(100, Struct("a" / Digits(2), "b" / Code(1))))
    assert [f.path for f in message.fields if f.section == "body"] == ["body.rows[0].a", "body.rows[0].b"]
    raw = b"".join(b"%02dx" % n for n in range(100))
    assert body_of(message, raw)["rows"][99] == {"a": 99, "b": "x"}
    assert problems(message, raw[:150] + b"z" + raw[151:]) == [("E-FLD-01", "body.rows[50].a", START + 150)]
    assert message.fields_of(FRONT + raw)[-1].path == "body.rows[99].b"


MAX = ("n" / Digits(2), "items" / Occurs(between(0, 3, depending="n"), Struct("a" / Digits(2), "t" / Text(2))), "end" / Code(1))


def test_a_table_with_room_for_all_keeps_what_stands_behind_the_count():
    message = compiled(*MAX)
    assert message.frame_size == 4 + START + 15
    assert body_of(message, b"0201aa02b     Z") == {"n": 2, "items": [{"a": 1, "t": "aa"}, {"a": 2, "t": "b"}], "end": "Z"}
    left = message.decode(FRONT + b"0101aaxxxx    Z")
    assert left.residue == {START + 6: b"xxxx"}
    assert body_of(message, b"0101aaxxxx    Z")["items"] == [{"a": 1, "t": "aa"}]
    # Where the list has grown, the value has the place; the places still unused keep their bytes.
    grown = {**left.body, "n": 2, "items": [*left.body["items"], {"a": 7, "t": "zz"}]}
    assert message.encode(left.header, grown, left.residue) == FRONT + b"0201aa07zz    Z"


SHIFT = (
    "n" / Digits(2),
    "items" / Occurs(between(0, 3, depending="n", storage="shift"), Struct("a" / Digits(2), Filler(2))),
    Filler(2),
    "end" / Code(1),
)


def test_a_table_that_shifts_moves_what_follows():
    message = compiled(*SHIFT)
    assert (message.codec.sizes(), message.frame_size) == ((START + 5, START + 17), None)
    assert (message.min_frame, message.max_frame) == (START + 9, START + 21)
    assert body_of(message, b"00  Z") == {"n": 0, "items": [], "end": "Z"}
    assert body_of(message, b"0201  02xx  Z") == {"n": 2, "items": [{"a": 1}, {"a": 2}], "end": "Z"}
    assert [(f.path, f.offset) for f in message.fields_of(FRONT + b"0101    Z")][-2:] == [
        (f"body.filler@{START + 14}", START + 6),
        ("body.end", START + 8),
    ]
    assert message.field("end").shifts and not message.field("n").shifts


def test_kept_bytes_stay_with_their_field_when_a_table_before_it_grows():
    message = compiled(*SHIFT)
    telegram = message.decode(FRONT + b"0101  !!Z")
    assert telegram.residue == {START + 14: b"!!"}
    more = {**telegram.body, "n": 3, "items": [{"a": 1}, {"a": 2}, {"a": 3}]}
    assert message.encode(telegram.header, more, telegram.residue) == FRONT + b"0301  02  03  !!Z"
    assert b'"$filler":{"30":"!!"}' in to_json(telegram)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"04" + b"01  " * 3 + b"  Z", [("E-FLD-08", "body.n", START)]),  # above the maximum
        (b"99  Z", [("E-FLD-08", "body.n", START)]),
        (b"03  Z", [("E-FLD-08", "body.n", START)]),  # beyond the bytes left
        (b"02" + b"01  02" + b"  Z", [("E-FLD-09", "body.items[1]", START + 6)]),  # the last item is cut
        (b"01" + b"01  02" + b"  Z", [("E-FLD-09", "telegram", START + 9)]),  # half an item that nobody counts
        (b"01" + b"01  02  " + b"  Z", [("E-FLD-11", "body.n", START)]),  # an item more than counted
        (b"    Z", [("E-FLD-06", "body.n", START)]),
        (b"0x  Z", [("E-FLD-01", "body.n", START)]),
    ],
)
def test_a_count_is_not_believed(raw: bytes, expected: list[tuple[str, str, int]]):
    assert problems(compiled(*SHIFT), raw) == expected


def test_a_count_of_65535_reads_nothing():
    message = compiled("n" / Digits(5), "items" / Occurs(between(0, 9, depending="n", storage="shift"), Code(1)))
    assert problems(message, b"65535") == [("E-FLD-08", "body.n", START)]


def test_a_count_out_of_bounds_hides_no_other_problem_where_nothing_moves():
    found = problems(compiled(*MAX), b"09" + b"01aa" * 3 + b"\x01")
    assert found == [("E-FLD-08", "body.n", START), ("E-ENC-04", "body.end", START + 14)]


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"items": [{"a": 1}], "n": 2}, "E-FLD-11", "body.items"),
        ({"items": [{"a": 1}], "n": True}, "E-FLD-11", "body.items"),
        ({"items": [{"a": 1}] * 4}, "E-FLD-08", "body.items"),
        ({"items": {"a": 1}}, "E-FLD-12", "body.items"),
        ({"n": 0}, "E-FLD-12", "body.items"),
        ({"items": [{"a": 1}, {"a": -2}]}, "E-FLD-01", "body.items[1].a"),
        ({"items": [{"a": 1}, 5]}, "E-FLD-12", "body.items[1]"),
        ({"items": [{"a": 1}, {"a": 2, "b": 3}]}, "E-FLD-12", "body.items[1]"),
    ],
)
def test_a_list_that_does_not_fit_its_table_is_not_written(body: Any, code: str, path: str):
    for members in (SHIFT, MAX):
        item = {"t": ""} if members is MAX else {}
        items = body.get("items")
        whole = [{**each, **item} if isinstance(each, dict) else each for each in items] if isinstance(items, list) else items
        given = {**body, "end": "Z"} | ({"items": whole} if items is not None else {})
        found = not_written(compiled(*members), given)
        assert (code, path) in [(p.code, p.path) for p in found]


def test_the_counter_may_be_left_out_and_several_tables_may_share_it():
    message = compiled(
        "n" / Digits(1),
        "a" / Occurs(between(0, 3, depending="n"), Code(1)),
        "g" / Struct("b" / Occurs(between(0, 3, depending="n"), Code(1))),
    )
    header = {"number": "0001", "day": "20250401", "count": 0}
    assert message.encode(header, {"a": ["x", "y"], "g": {"b": ["1", "2"]}}) == FRONT + b"2xy 12 "
    found = not_written(message, {"a": ["x", "y"], "g": {"b": ["1"]}})
    assert [(p.code, p.path) for p in found] == [("E-FLD-11", "body.g.b")]
    form = to_object(message.decode(FRONT + b"2xy 12 "))
    del form["body"]["n"]
    assert message.spec.encode(from_json(message.spec, to_json_bytes(form)))[4:] == FRONT + b"2xy 12 "


def test_a_counter_may_stand_in_the_header_and_around_the_table():
    message = compiled(
        "rows"
        / Occurs(
            between(0, 4, depending="header.count", storage="shift"),
            Struct("n" / Digits(1), "x" / Occurs(between(0, 2, depending="n", storage="shift"), Code(1))),
        )
    )
    front = FRONT[:-2] + b"02"
    assert body_of(message, b"2ab0", front) == {"rows": [{"n": 2, "x": ["a", "b"]}, {"n": 0, "x": []}]}
    assert message.encode({"number": "0001", "day": "20250401"}, {"rows": [{"x": ["a", "b"]}, {"x": []}]}) == front + b"2ab0"
    assert problems(message, b"2ab", front) == [("E-FLD-08", "body.rows[0].n", START)]
    assert [f.path for f in message.fields_of(front + b"2ab0")][4:] == [
        "body.rows[0].n",
        "body.rows[0].x[0]",
        "body.rows[0].x[1]",
        "body.rows[1].n",
    ]


def test_a_table_of_an_ebcdic_family_has_ebcdic_blanks():
    message = compiled(
        "n" / Digits(1), "items" / Occurs(between(0, 2, depending="n"), Packed(3)), Overlay(2, Struct("f" / Code(1))), encoding="cp037"
    )
    front = "AA00012025040100".encode("cp037")
    raw = b"\xf1\x12\x3c\x40\x40\x40\x40"
    assert body_of(message, raw, front) == {"n": 1, "items": [123], "f": ""}
    assert (
        message.construct.build({"header": {"number": "0001", "day": "20250401", "count": 0}, "body": {"items": [123], "f": ""}})
        == front + raw
    )


def test_a_table_before_opaque_bytes():
    message = compiled(
        "n" / Digits(1), "items" / Occurs(between(0, 3, depending="n", storage="shift"), Code(2)), "rest" / Opaque(min=1, max=5)
    )
    assert message.codec.sizes() == (START + 2, START + 12)
    assert body_of(message, b"2aabb\x00\x01") == {"n": 2, "items": ["aa", "bb"], "rest": b"\x00\x01"}
    assert problems(message, b"2aab") == [("E-FLD-08", "body.n", START)]
    assert problems(message, b"0" + b"x" * 6) == [("E-FRM-07", "body.rest", START + 1)]


def test_a_length_inside_the_telegram_counts_the_items_that_are_there():
    header = Struct("size" / Length(4), *HEADER.subcons)
    message = compiled(*SHIFT, header=header, counts="all")
    raw = b"0029" + FRONT + b"0101  !!Z"
    telegram = message.decode(raw)
    assert telegram.header["size"] == 29
    assert message.encode({k: v for k, v in telegram.header.items() if k != "size"}, telegram.body, telegram.residue) == raw
    with pytest.raises(FieldError, match="E-FLD-11"):
        message.decode(b"0028" + raw[4:])


# --- views ------------------------------------------------------------------------------------------------------

PERSON = Struct("name" / Text(4), "age" / Digits(2))
VIEWS = {"person": PERSON, "company": Struct("number" / Code(3)), "code": Text(2)}
WHEN: dict[Any, str] = {"1": "person", ("2", "3"): "company", "4": "code"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"1Kim 30", {"kind_of": "1", "person": {"name": "Kim", "age": 30}}),
        (b"2ABC   ", {"kind_of": "2", "company": {"number": "ABC"}}),
        (b"3ABCxyz", {"kind_of": "3", "company": {"number": "ABC"}}),
        (b"4XY????", {"kind_of": "4", "code": "XY"}),
    ],
)
def test_a_field_before_the_place_chooses_the_view(raw: bytes, expected: Any):
    message = compiled("kind_of" / Code(1), Redefines(by="kind_of", views=VIEWS, when=WHEN))
    assert body_of(message, raw) == expected


def test_a_field_behind_the_place_chooses_the_view():
    message = compiled(Redefines(by="mark", views=VIEWS, when=WHEN, default="code"), "n" / Digits(1), "mark" / Code(1))
    assert body_of(message, b"Kim 3051") == {"person": {"name": "Kim", "age": 30}, "n": 5, "mark": "1"}
    assert list(body_of(message, b"XY    5 ")) == ["code", "n", "mark"]
    assert problems(message, b"Kim 3x51") == [("E-FLD-01", "body.person.age", START + 4)]


def test_a_value_that_no_view_is_for_is_named_where_it_stands():
    message = compiled(Redefines(by="mark", views=VIEWS, when=WHEN), "mark" / Code(1), "n" / Digits(1))
    assert problems(message, b"Kim 309x") == [("E-FLD-07", "body.mark", START + 6), ("E-FLD-01", "body.n", START + 7)]
    for mark in ("9", ([],), {}):
        found = not_written(message, {"mark": mark, "person": {"name": "", "age": 1}, "n": 1})
        assert ("E-FLD-07", "body.mark") in [(p.code, p.path) for p in found]
    (listed,) = [f for f in message.fields_of(FRONT + b"Kim 3091") if "view@" in f.path]
    assert (listed.offset, listed.length) == (START, 6)


def test_exactly_the_chosen_view_is_written():
    message = compiled("kind_of" / Code(1), Redefines(by="kind_of", views=VIEWS, when=WHEN))
    person = {"name": "Kim", "age": 30}
    both = not_written(message, {"kind_of": "1", "person": person, "code": "XY"})
    assert [(p.code, p.path, p.what) for p in both] == [("E-FLD-12", "body", "1 name(s) in the body that the layout does not have")]
    other = not_written(message, {"kind_of": "2", "person": person})
    assert {(p.code, p.path) for p in other} == {("E-FLD-12", "body"), ("E-FLD-12", "body.company")}


def test_without_a_choice_the_first_view_is_read():
    message = compiled(Redefines(views={"whole": Digits(8), "parts": Struct("year" / Digits(4), "day" / Digits(4))}))
    assert body_of(message, b"20250401") == {"whole": 20250401}


def test_views_stand_in_views_and_in_tables():
    inner = Redefines(by="k", views={"a": Code(2), "b": Digits(2)}, when={"a": "a", "b": "b"})
    message = compiled("rows" / Occurs(2, Struct("k" / Code(1), Redefines(views={"v": Struct(inner, "x" / Code(1)), "raw": Text(3)}))))
    assert body_of(message, b"aXXzb07y") == {"rows": [{"k": "a", "v": {"a": "XX", "x": "z"}}, {"k": "b", "v": {"b": 7, "x": "y"}}]}
    assert problems(message, b"aXXzc07y") == [("E-FLD-07", "body.rows[1].k", START + 4)]


def test_a_header_field_may_choose_and_a_number_too():
    message = compiled(Redefines(by="header.count", views={"a": Code(2), "b": Digits(2)}, when={0: "a", (1, 2): "b"}))
    assert body_of(message, b"XX") == {"a": "XX"}
    assert body_of(message, b"07", FRONT[:-1] + b"2") == {"b": 7}


# --- versions and overlays --------------------------------------------------------------------------------------


def test_a_version_holds_from_its_first_day_on():
    message = compiled(
        "a" / Code(1),
        Versions(
            "day",
            {"20250301": Struct("bank" / Digits(3), Filler(2)), "": Struct(Filler(5)), "20260101": Struct("bank" / Digits(4), Filler(1))},
        ),
        "z" / Code(1),
    )
    old, new, newest = (b"AA0001" + day + b"00" for day in (b"20250228", b"20250301", b"20270101"))
    assert body_of(message, b"A12345Z", old) == {"a": "A", "z": "Z"}
    assert body_of(message, b"A088  Z", new) == {"a": "A", "bank": 88, "z": "Z"}
    assert body_of(message, b"A0088 Z", newest) == {"a": "A", "bank": 88, "z": "Z"}
    assert problems(message, b"A088  Z", b"AA0001" + b"        " + b"00") == [("E-FLD-06", "header.day", 6)]
    found = not_written(message, {"a": "", "bank": 1, "z": ""}, day="20240101")
    assert [(p.code, p.what) for p in found] == [("E-FLD-12", "1 name(s) in the body that the layout does not have")]


def test_an_overlay_is_blank_until_it_is_used():
    message = compiled(Overlay(6, Struct("bank" / Digits(3, blank="error"), "mark" / Code(1, required=True))), "z" / Code(1))
    assert body_of(message, b"      Z") == {"bank": None, "mark": "", "z": "Z"}
    assert body_of(message, b"088x??Z") == {"bank": 88, "mark": "x", "z": "Z"}


# --- a family without a key -------------------------------------------------------------------------------------


def test_one_record_needs_no_key():
    family = Family(
        name="record", header=Struct(), key=(), correlation=(), framing=Framing(FixedSize(4)),
        messages=[Message("record", "", (), Struct("a" / Digits(3), Filler(1)), kind="oneway")],
    )  # fmt: skip
    spec = compile_family(family)
    telegram = spec.decode(b"007!")
    assert telegram.body == {"a": 7} and spec.encode(telegram) == b"007!"
    assert spec.encode(from_json(spec, to_json(telegram))) == b"007!"
    assert spec.check_size(b"007", spec.messages["record"]).code == "E-FRM-08"
    two = [*family.messages, Message("other", "", (), Struct("b" / Code(4)), kind="oneway")]
    with pytest.raises(SpecError, match="names no field"):
        compile_family(Family(name="records", header=Struct(), key=(), correlation=(), framing=Framing(FixedSize(4)), messages=two))


# --- JSON -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rich() -> MessageLayout:
    return compiled(
        "who" / Struct("name" / Text(6), "id" / Code(3, log="clear")),
        "k" / Code(1, log="clear"),
        Redefines(by="k", views={"p": Struct("x" / Digits(2)), "c": Code(3)}, when={"p": "p", "c": "c"}),
        *SHIFT,
    )


def sample(rich: MessageLayout) -> Telegram:
    return rich.decode(FRONT + "김수 ".encode("cp949") + b" IDXp07 0101  !!Z")


def test_json_is_nested_as_the_values_are(rich: MessageLayout):
    assert to_object(sample(rich))["body"] == {
        "who": {"name": "김수", "id": "IDX"}, "k": "p", "p": {"x": "7"}, "n": "1", "items": [{"a": "1"}], "end": "Z",
    }  # fmt: skip


def test_logs_show_clear_fields_of_groups_and_the_size_of_others(rich: MessageLayout):
    assert masked_object(sample(rich))["body"] == {
        "who": {"name": "[6 bytes]", "id": "IDX"}, "k": "p", "p": {"x": "[2 bytes]"}, "n": "[2 bytes]", "items": [{"a": "[2 bytes]"}], "end": "[1 bytes]",
    }  # fmt: skip


def test_problems_of_json_are_named_by_pointers_all_at_once(rich: MessageLayout):
    form = to_object(sample(rich))
    form["body"] |= {"who": {"name": 5, "nme": ""}, "p": [], "items": [{"a": "1"}, {"a": "x"}, None], "end": None}
    with pytest.raises(FieldError) as error:
        from_json(rich.spec, to_json_bytes(form))
    assert [p.offset - START for p in error.value.problems] == [0, 6, 0, 10, 19, 23]
    assert [(p.code, p.path) for p in error.value.problems] == [
        ("E-FLD-12", "/body/who/name"),
        ("E-FLD-12", "/body/who/id"),
        ("E-FLD-12", "/body/who"),
        ("E-FLD-12", "/body/p"),
        ("E-FLD-01", "/body/items/1/a"),
        ("E-FLD-12", "/body/items/2"),
    ]
    assert "name`, perhaps" in error.value.problems[2].expected


def to_json_bytes(form: Any) -> bytes:
    return json.dumps(form).encode()


def test_a_list_in_json_is_bounded_before_it_is_read(rich: MessageLayout):
    form = to_object(sample(rich))
    form["body"]["items"] = [{"a": "1"}] * 4
    with pytest.raises(FieldError, match="E-FLD-08"):
        from_json(rich.spec, to_json_bytes(form))


def test_values_of_wrong_types_are_not_put_into_json(rich: MessageLayout):
    telegram = sample(rich)
    telegram.body["items"] = [{"a": "no number"}, 7]
    with pytest.raises(FieldError) as error:
        to_json(telegram)
    assert [p.path for p in error.value.problems] == ["/body/items/0/a", "/body/items/1"]


def test_explain_shows_every_byte_once_whatever_is_wrong(rich: MessageLayout):
    raw = FRONT + b"Kim   IDXp07 0301  !!Z"
    told = explain(rich.spec, b"%04d" % len(raw) + raw)
    assert [p.code for p in told.problems] == ["E-FLD-08"]
    assert sum(row.length for row in told.rows) == len(raw)


# --- the plan ---------------------------------------------------------------------------------------------------


def test_the_tree_says_what_stands_in_what(rich: MessageLayout):
    shapes = [type(node) for node in rich.tree if node.section == "body"]
    assert shapes == [PlannedGroup, PlannedField, PlannedViews, PlannedField, PlannedTable, PlannedField, PlannedField]
    table = next(node for node in rich.tree if isinstance(node, PlannedTable))
    assert (table.depending, table.storage, table.stride, table.least, table.most) == ("body.n", "shift", 4, 0, 3)
    views = next(node for node in rich.tree if isinstance(node, PlannedViews))
    assert (views.by, dict(views.when), [name for name, _ in views.views]) == ("body.k", {"p": "p", "c": "c"}, ["p", "c"])
    assert [f.path for f in templates([table])] == ["body.items[0].a", f"body.items[0].filler@{table.offset + 2}"]


def test_flat_messages_are_written_as_they_were():
    assert "codec.decoded" not in (flat := compiled("a" / Text(3)).source) and "glance" not in flat


# --- what cannot be laid out ------------------------------------------------------------------------------------

SPEC = """from telegram_router.telegrams import *

BODY = Struct(
    "k" / Code(1),
    "n" / Digits(1),
    {line}
    "end" / Code(1),
)
spec = Family(
    name="broken", framing=Framing(LengthField()), key=("kind",), correlation=("number",),
    header=Struct("kind" / Code(2), "number" / Digits(4), "day" / Date(8), {header}),
    messages=[Message("one", "", ("AA",), BODY, kind="oneway")],
)
"""

BROKEN = {
    "a counter that is not there": ('"t" / Occurs(between(0, 3, depending="m"), Code(1)),', "E-CFG-24", "'m', which counts it, is no field before it"),
    "a counter behind its table": ('"t" / Occurs(between(0, 3, depending="end"), Code(1)),', "E-CFG-24", "'end', which counts it"),
    "a counter that is no number": ('"t" / Occurs(between(0, 3, depending="k"), Code(1)),', "E-CFG-24", "is not a whole number"),
    "a counter too short": ('"t" / Occurs(between(0, 10, depending="n"), Code(1)),', "E-CFG-21", "does not hold the maximum of 10"),
    "bounds the wrong way": ('"t" / Occurs(between(3, 2, depending="n"), Code(1)),', "E-CFG-20", "the fewest and the most items"),
    "no items": ('"t" / Occurs(0, Code(1)),', "E-CFG-20", "from 1 to 65535 items"),
    "a number that is none": ('"t" / Occurs("3", Code(1)),', "E-CFG-20", "a number of items"),
    "a storage that is none": ('"t" / Occurs(between(0, 3, depending="n", storage="tight"), Code(1)),', "E-CFG-20", 'storage is "max" or "shift"'),
    "a table without a name": ("Occurs(3, Code(1)),", "E-CFG-22", "an Occurs without a name"),
    "a group without a name": ('Struct("a" / Code(1)),', "E-CFG-22", "a Struct without a name"),
    "an empty group": ('"g" / Struct(),', "E-CFG-21", "a group of no bytes"),
    "a name twice in a group": ('"g" / Struct("a" / Code(1), "a" / Code(1)),', "E-CFG-22", "used twice"),
    "a name that is a method": ('"items" / Code(1),', "E-CFG-22", "method of construct's Container"),
    "a construct element in a group": ('"g" / Struct("a" / __import__("construct").Byte),', "E-CFG-23", "cannot be laid out"),
    "a shifting table within one of fixed room": (
        '"t" / Occurs(between(0, 3, depending="n"), Struct("m" / Digits(1), "u" / Occurs(between(0, 2, depending="m", storage="shift"), Code(1)))),',
        "E-CFG-23", "items of a table that always has room for all have one size",
    ),
    "a shifting table in a view": (
        'Redefines(views={"v": Struct("u" / Occurs(between(0, 2, depending="n", storage="shift"), Code(1)))}),',
        "E-CFG-23", "stands inside views of the same bytes",
    ),
    "bytes without an end in a group": ('"g" / Struct("a" / Opaque()),', "E-CFG-23", "it can only be the last field of a body"),
    "a view that is not there": ('Redefines(by="k", views={"v": Code(1)}, when={"1": "w"}),', "E-CFG-06", "'w' is none of the views v"),
    "a default that is not there": ('Redefines(by="k", views={"v": Code(1)}, when={"1": "v"}, default="w"),', "E-CFG-06", "'w' is none of"),
    "a choice without values": ('Redefines(by="k", views={"v": Code(1)}),', "E-CFG-20", "both or neither"),
    "a value for two views": ('Redefines(by="k", views={"v": Code(1), "w": Code(1)}, when={"1": "v", ("1", "2"): "w"}),', "E-CFG-20", "'1' stands for two views"),
    "a value that the field cannot have": ('Redefines(by="k", views={"v": Code(1)}, when={"12": "v"}),', "E-CFG-20", "'12' in `when` is no value of k"),
    "a chooser that is not there": ('Redefines(by="q", views={"v": Code(1)}, when={"1": "v"}),', "E-CFG-24", "'q', which chooses the view"),
    "a chooser behind a table that shifts": (
        'Redefines(by="end", views={"v": Code(1)}, when={"1": "v"}), "t" / Occurs(between(0, 3, depending="n", storage="shift"), Code(1)),',
        "E-CFG-24", "or at a fixed place behind it",
    ),
    "a view with a name taken": ('Redefines(views={"n": Code(1)}),', "E-CFG-22", "used twice"),
    "a name for views": ('"v" / Redefines(views={"w": Code(1)}),', "E-CFG-22", "has no name of its own"),
    "no views": ("Redefines(views={}),", "E-CFG-20", "views is a table"),
    "versions of different sizes": ('Versions("day", {"": Struct(Filler(2)), "20250101": Struct("w" / Code(3))}),', "E-CFG-21", "different sizes: 2, 3 bytes"),
    "no version from the beginning": ('Versions("day", {"20250101": Struct("w" / Code(3))}),', "E-CFG-20", "no version holds from the beginning"),
    "a day that is none": ('Versions("day", {"": Struct(Filler(3)), "2025": Struct("w" / Code(3))}),', "E-CFG-20", "'2025' is no first day"),
    "versions by what is no date": ('Versions("number", {"": Struct(Filler(3))}),', "E-CFG-24", "does not begin with a date"),
    "versions by a field of the body": ('Versions("k", {"": Struct(Filler(3))}),', "E-CFG-24", "is no field of the header"),
    "a name of two meanings": (
        'Versions("day", {"": Struct("w" / Code(3)), "20250101": Struct("w" / Digits(3))}),', "E-CFG-22", "means another kind of value in another version",
    ),
    "an overlay too small": ('Overlay(2, Struct("w" / Code(3))),', "E-CFG-21", "1 more than the Overlay has"),
    "an overlay of groups": ('Overlay(5, Struct("w" / Struct("x" / Code(3)))),', "E-CFG-23", "single fields only"),
    "an overlay of what cannot be blank": ('Overlay(5, Struct("w" / Fixed("ABC"))),', "E-CFG-20", "blank bytes are no value"),
    "a header's name in the body": ('"day" / Code(1),', "E-CFG-22", "name is used in the header and in the body"),
    "a view with a header's name": ('Redefines(views={"day": Code(1)}),', "E-CFG-22", "name is used in the header and in the body"),
    "a lambda": ('"t" / Occurs(lambda: 3, Code(1)),', "E-CFG-23", "a lambda cannot be laid out"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_layout_that_cannot_be_is_refused_with_its_line(case: str):
    line, code, what = BROKEN[case]
    with pytest.raises(SpecError) as error:
        load_spec(SPEC.format(line=line, header=""), "broken.py")
    found = [p for p in error.value.problems if p.code == code and what in p.what]
    assert found, [p.text() for p in error.value.problems]
    assert found[0].file == "broken.py" and found[0].line == 6, found[0].text()


ODD: list[Any] = [None, 0, -1, "x", "n", b"x", (), [], {}, 1.5, Text(3), Struct(), Occurs(2, Code(1)), object(), {"a": None}, {1: Code(1)}]


@pytest.mark.parametrize("one", ODD, ids=lambda one: type(one).__name__)
def test_declarations_of_any_arguments_are_refused_as_spec_errors(one: Any):
    for two in ODD:
        for declared in (
            "t" / Occurs(one, two),
            "t" / Occurs(between(one, two, depending="n"), Code(1)),
            "t" / Occurs(between(0, 1, depending=one, storage=two), Code(1)),
            Overlay(one, two),
            Versions(one, two),
            Versions("day", {"": one, "20250101": two}),
            Redefines(views=one, by=two),
            Redefines(views={"a": one, "b": two}),
            Redefines(views={"a": Code(1)}, by=one, when=two, default=one),
        ):
            with suppress(SpecError):
                compiled("n" / Digits(1), declared)


@pytest.mark.parametrize(
    "declared",
    [
        '"g" / Struct("a" / Code(1))',
        '"t" / Occurs(2, Code(1))',
        'Redefines(views={"v": Code(1)})',
        "Versions('day', {'': Struct(Filler(1))})",
    ],
)
def test_a_header_is_one_row_of_fields(declared: str):
    with pytest.raises(SpecError) as error:
        load_spec(SPEC.format(line="", header=declared), "broken.py")
    assert any("in a header" in p.what and p.line == 11 for p in error.value.problems)


def test_a_family_of_one_size_has_no_table_that_shifts():
    with pytest.raises(SpecError, match=r"has from 21 to 33 bytes, but the family declares 33 for all"):
        compile_family(
            Family(
                name="sized", header=HEADER, key=("kind",), correlation=("number",), length=33, framing=Framing(LengthField()),
                messages=[Message("m", "", ("AA",), Struct(*SHIFT), kind="oneway")],
            )
        )  # fmt: skip


# --- under construct alone --------------------------------------------------------------------------------------

ALONE = Struct(
    "k" / Code(1),
    "n" / Digits(1),
    "t" / Occurs(between(0, 3, depending="n", storage="shift"), Struct("a" / Digits(2))),
    Redefines(by="k", views={"p": Struct("x" / Digits(2)), "c": Code(3)}, when={"p": "p", "c": "c"}),
    Overlay(3, Struct("o" / Digits(2, blank="error"))),
)


def test_structure_runs_under_construct_alone():
    parsed = ALONE.parse(b"p2010277    ")
    assert parsed == {"k": "p", "n": 2, "t": [{"a": 1}, {"a": 2}], "p": {"x": 77}, "o": None}
    assert ALONE.build({"k": "p", "t": [{"a": 1}, {"a": 2}], "p": {"x": 77}, "o": None}) == b"p2010277    "


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"p4" + b"01" * 4 + b"77    ", "E-FLD-08"),
        (b"p 77    ", "E-FLD-06"),
        (b"q077    ", "E-FLD-07"),
        (b"p20102", "E-FRM-08"),
        (b"p0x7    ", "E-FLD-01"),
    ],
)
def test_construct_alone_is_as_strict(raw: bytes, code: str):
    with pytest.raises(FieldFault) as fault:
        ALONE.parse(raw)
    assert fault.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"n": 1}, "E-FLD-11"), ({"t": []}, None), ({"t": [{}]}, "E-FLD-12"), ({"t": {}}, "E-FLD-12"), ({"t": [{"a": 1}] * 4}, "E-FLD-08"),
        ({"c": "x"}, "E-FLD-12"), ({"k": "c"}, "E-FLD-12"), ({"k": "z"}, "E-FLD-07"), ({"extra": 1}, "E-FLD-12"), ({"p": 5}, "E-FLD-12"),
    ],
)  # fmt: skip
def test_construct_alone_writes_only_what_fits(change: dict[str, Any], code: str | None):
    values = {"k": "p", "t": [{"a": 1}, {"a": 2}], "p": {"x": 77}, "o": 5} | change
    if code is None:
        assert ALONE.build(values) == b"p077 05 "
        return
    with pytest.raises(FieldFault) as fault:
        ALONE.build(values)
    assert fault.value.code == code


@pytest.mark.parametrize("last", [Redefines(views={"a": Code(1), "b": Code(3)}), "t" / Occurs(between(0, 2, depending="n"), Code(1))])
def test_construct_alone_misses_bytes_that_stand_for_nothing(last: Any):
    struct = Struct("n" / Digits(1), last)
    assert len(struct.build({"n": 0, "a": "x"} if isinstance(last, Redefines) else {"t": []})) == struct.sizeof()
    for size in range(1, struct.sizeof()):
        with pytest.raises(FieldFault):
            struct.parse(b"0xx"[:size])


def test_views_inside_construct_s_own_struct_say_what_they_need():
    own = construct.Struct(Redefines(views={"a": Code(1)}))
    with pytest.raises(ConstructError, match=r"telegram_router\.telegrams\.Struct"):
        own.parse(b"x")
    assert compiled(*own.subcons).decode(FRONT + b"x").body == {"a": "x"}


def test_a_size_that_depends_on_the_values_is_not_told():
    with pytest.raises(construct.SizeofError):
        ALONE.sizeof()
    assert Struct("t" / Occurs(between(0, 3, depending="n"), Code(2))).sizeof() == 6


# --- refusals ---------------------------------------------------------------------------------------------------


def test_an_error_message_with_tables_is_one_that_can_be_read():
    failed = Struct(
        "code" / Code(4), "n" / Digits(2), "items" / Occurs(between(1, 3, depending="n", storage="shift"), Code(2)), Fixed("END")
    )
    family = Family(
        name="failing", header=HEADER, key=("kind",), correlation=("number",), framing=Framing(LengthField()),
        errors=ErrorReply(field="body.code", not_sent="NOT1", sent_unknown="UNK1", message="failed"),
        messages=[
            Message("ask", "", ("AA",), Struct(*SHIFT), reply=Reply.one("answer")),
            Message("answer", "", ("AB",), Struct(*SHIFT), kind="reply"),
            Message("failed", "", ("AE",), failed, kind="reply"),
        ],
    )  # fmt: skip
    spec = compile_family(family)
    request = spec.framing.wrap(FRONT + b"0201  02    Z")
    refused = spec.error_reply(request, "E-RTE-01", Delivery.NOT_SENT)
    assert refused is not None
    assert spec.decode(refused).body == {"code": "NOT1", "n": 1, "items": [""]}


def test_a_reply_copies_lists_and_not_what_counts_them():
    family = Family(
        name="asking", header=HEADER, key=("kind",), correlation=("number",), framing=Framing(LengthField()),
        messages=[
            Message("ask", "", ("AA",), Struct(*SHIFT), reply=Reply.one("answer")),
            Message("answer", "", ("AB",), Struct(*SHIFT), kind="reply"),
        ],
    )  # fmt: skip
    spec = compile_family(family)
    request = spec.decode(spec.framing.wrap(FRONT + b"0201  02    Z"))
    assert spec.encode(request.reply())[4:] == b"AB" + FRONT[2:] + b"0201  02    Z"
    assert spec.encode(request.reply({"items": [{"a": 9}]}))[4:] == b"AB" + FRONT[2:] + b"0109    Z"


# --- a service's own JSON ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mapped() -> Spec:
    ask = Struct("who" / Struct("name" / Text(6), "code" / Code(3)), "wanted" / Digits(1))
    answer = Struct("who" / Struct("name" / Text(6), "code" / Code(3)), *SHIFT)
    family = Family(
        name="mapped", header=HEADER, key=("kind",), correlation=("number",), encoding="cp949", framing=Framing(LengthField()),
        messages=[
            Message("ask", "", ("AA",), ask, reply=Reply.one("answer")),
            Message("answer", "", ("AB",), answer, kind="reply"),
        ],
    )  # fmt: skip
    return compile_family(family)


def asked(mapped: Spec) -> Telegram:
    return mapped.decode(mapped.framing.wrap(FRONT + "김수  ".encode("cp949") + b"IDX3"))


def test_a_mapping_reaches_into_groups_and_takes_tables_whole(mapped: Spec):
    mapping = JsonMapping(
        mapped,
        request={"customer.name": "body.who.name", "who": "body.who", "max": "body.wanted"},
        response={"body.items": "data.rows", "body.who.code": "data.id", "body.who.name": "data.name"},
        literals={"body.end": "Z"},
    )
    assert mapping.problems == ()
    request = asked(mapped)
    assert json.loads(mapping.request(request)) == {"customer": {"name": "김수"}, "who": {"name": "김수", "code": "IDX"}, "max": "3"}
    text = json.dumps({"data": {"rows": [{"a": "1"}, {"a": 2}], "id": "X", "name": "이"}}).encode()
    frame = mapping.reply_frame(request, text)
    assert frame[4:] == b"AB" + FRONT[2:] + "이    ".encode("cp949") + b"X  " + b"0201  02    Z"


@pytest.mark.parametrize(
    ("rows", "where"), [([{"a": "x"}], "/data/0/a"), ([{"a": "1"}, {"b": 1}], "/data/1/a"), ({}, "/data"), ([{"a": "1"}] * 4, "/data")]
)
def test_rows_of_a_service_are_checked_one_by_one(mapped: Spec, rows: Any, where: str):
    mapping = JsonMapping(mapped, response={"body.items": "data"}, literals={"body.end": "Z"})
    assert mapping.problems == ()
    with pytest.raises(BackendError) as error:
        mapping.response(asked(mapped), json.dumps({"data": rows}).encode())
    assert (error.value.code, error.value.where) == ("E-BCK-06", where)


@pytest.mark.parametrize(
    ("tables", "key", "what"),
    [
        ({"response": {"body.items[0].a": "x"}}, ("response", "body.items[0].a"), "no message of the service has the field"),
        ({"response": {"body.who.nme": "x"}}, ("response", "body.who.nme"), "no message of the service has the field"),
        ({"response": {"body.end": "x"}, "literals": {"body.items": "x"}}, ("set", "body.items"), "is no single field"),
        (
            {"response": {"body.items": "x", "body.end": "y", "body.who.name": "z"}},
            ("response",),
            "answer has fields that come from nowhere: body.who.code",
        ),
        ({"response": {"body.end": "x"}}, ("response",), "answer has fields that come from nowhere: body.items"),
    ],
)
def test_a_mapping_into_structure_that_cannot_be_is_told_before_it_is_used(mapped: Spec, tables: Any, key: tuple[str, ...], what: str):
    found = [problem for problem in JsonMapping(mapped, **tables).problems if problem.key == key]
    assert found and what in found[0].what, JsonMapping(mapped, **tables).problems


CUT_KINDS = [Date(8), Time(6), Digits(4), Code(4, digits=True), Packed(5), Zoned(4), Float(4), Flags(1, {"urgent": 0x80}), Edited("Z9.99")]


@pytest.mark.parametrize("kind", CUT_KINDS, ids=lambda kind: type(kind).__name__)
def test_a_telegram_that_ends_in_the_midst_of_an_item_is_refused_whatever_the_item_is(kind: Kind):
    table = Occurs(between(0, 9, depending="n", storage="shift"), Struct("value" / kind))
    family = Family(
        name="cut", header=Struct(), framing=Framing(LengthField()), key=(), correlation=(),
        messages=[Message("cut", key=(), body=Struct("n" / Digits(1), "items" / table), kind="oneway")],
    )  # fmt: skip
    message = compile_family(family).messages["cut"]
    for size in range(3 * kind.length):
        with pytest.raises(FieldError) as error:
            message.decode(b"3" + (b"20240101" * 9)[:size])
        assert {problem.code for problem in error.value.problems} & {"E-FLD-08", "E-FLD-09"}, size
