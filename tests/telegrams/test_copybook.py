"""Copybooks to specs: reference formats, COPY, clauses, names, what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import FieldError
from telegram_router.telegrams import Telegram, load_spec
from telegram_router.telegrams.fields import binary_length
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.importers.copybook import CopybookOptions, decoded, import_copybook, selection
from telegram_router.telegrams.importers.copybook_pictures import PictureError, parse_picture
from telegram_router.telegrams.importers.model import Import, Imported, ImportedField, ImportedGroup, ImportedTable, ImportedViews, leaves
from telegram_router.telegrams.importers.source import spec_source


def read(*lines: str, copies: dict[str, str] | None = None, force: bool = False, **options: Any) -> Import:
    """A copybook in free form, of whole entries."""

    def copied(name: str) -> tuple[str, str] | None:
        text = (copies or {}).get(name.upper())
        return None if text is None else (f"{name}.cpy", text)

    given = CopybookOptions(**{"form": "free", "dialect": "gnucobol", "encoding": "ascii", **options})
    return import_copybook("\n".join(lines), "book.cpy", given, copied, force=force)


def fixed(*lines: str, **options: Any) -> Import:
    """A copybook in fixed form; lines begin in column 8 unless they begin in column 7 with an indicator."""
    whole = [f"      {line}" if line[:1] in "*-/Dd" and line[:2] != "DE" else f"       {line}" for line in lines]
    return read(*whole, form=None, **options)


def members(found: Import, message: int = 0) -> tuple[Imported, ...]:
    assert found.spec is not None, texts(found)
    return found.spec.messages[message].body


def kinds(found: Import) -> dict[str, str]:
    return {leaf.name: leaf.kind for leaf in leaves(members(found))}


def texts(found: Import, level: str = "") -> list[str]:
    return [finding.text() for finding in found.findings if level in ("", finding.level)]


def sizes(nodes: Sequence[Imported], at: int = 0) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each node of one level."""
    for node in nodes:
        yield getattr(node, "name", ""), at, node.size
        at += node.size


ONE = "01 REC."


# --- pictures and usages


@pytest.mark.parametrize(
    ("clauses", "kind", "length"),
    [
        ("PIC X(10)", "Text(10)", 10),
        ("PIC XX", "Text(2)", 2),
        ("PIC A(4)", "Text(4)", 4),
        ("PICTURE IS X(3)9(2)", "Text(5)", 5),
        ("PIC X(5) JUSTIFIED RIGHT", 'Text(5, align="right")', 5),
        ("PIC 9(5)", "Digits(5)", 5),
        ("PIC 9(5)V99", "Digits(7, scale=2)", 7),
        ("PIC 999V9(3)", "Digits(6, scale=3)", 6),
        ("PIC VPP9(3)", "Digits(3, scale=5)", 3),
        ("PIC PP9(3)", "Digits(3, scale=5)", 3),
        ("PIC 9(3)PP", "Digits(3, scale=-2)", 3),
        ("PIC 9(5) BLANK WHEN ZERO", 'Digits(5, blank="when zero")', 5),
        ("PIC S9(5)", "Zoned(5)", 5),
        ("PIC S9(3)V99 SIGN IS LEADING", 'Zoned(5, scale=2, sign="leading")', 5),
        ("PIC S9(3) TRAILING SEPARATE", 'Zoned(3, sign="trailing separate")', 4),
        ("PIC S9(3) SIGN LEADING SEPARATE CHARACTER", 'Zoned(3, sign="leading separate")', 4),
        ("PIC S9(5) COMP-3", "Packed(5)", 3),
        ("PIC S9(4)V99 PACKED-DECIMAL", "Packed(6, scale=2)", 4),
        ("PIC 9(5) USAGE IS COMP-3", "Packed(5, signed=False)", 3),
        ("PIC 9(5) COMP-6", "Packed(5, signed=False, nibble_sign=False)", 3),
        ("PIC S9(4) COMP", "Binary(2, digits=4)", 2),
        ("PIC 9(9) BINARY", "Binary(4, digits=9, signed=False)", 4),
        ("PIC S9(7)V99 USAGE COMP-4", "Binary(4, digits=9, scale=2)", 4),
        ("PIC S9(9) COMP-5", 'Binary(4, order="little")', 4),
        ("PIC X(3) COMP-X", "Binary(3, signed=False)", 3),
        ("PIC 9(9) COMP-N", "Binary(4, signed=False)", 4),
        ("BINARY-LONG UNSIGNED", 'Binary(4, signed=False, order="little")', 4),
        ("USAGE BINARY-DOUBLE", 'Binary(8, order="little")', 8),
        ("COMP-1", 'Float(4, order="little")', 4),
        ("USAGE COMPUTATIONAL-2", 'Float(8, order="little")', 8),
        ("PIC Z(8)9.99-", 'Edited("Z(8)9.99-")', 13),
        ("PIC Z.ZZ9,99-", 'Edited("Z.ZZ9,99-", comma=True)', 9),
        ("PIC €(5)9.99", 'Edited("€(5)9.99", currency="€")', 9),
        ("PIC $$$,$$9.99CR", 'Edited("$$$,$$9.99CR")', 12),
        ("PIC 99/99/9999", 'Edited("99/99/9999")', 10),
        ("PIC ZZ9 BLANK ZERO", 'Edited("ZZ9", blank="when zero")', 3),
        ("PIC X(2)BX(2)/X", "Text(7)", 7),
    ],
)
def test_a_picture_and_its_usage_become_a_kind(clauses: str, kind: str, length: int):
    (field,) = members(read(ONE, f"05 FIELD {clauses}."))
    assert isinstance(field, ImportedField)
    assert (field.name, field.kind, field.length) == ("field", kind, length)


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("ibm", ['Zoned(3, dialect="ascii-ebcdic-letters")', "Binary(2, digits=2)", "Binary(4)", 'Float(4, form="ibm")']),
        ("gnucobol", ["Zoned(3)", "Binary(1, digits=2)", 'Binary(4, order="little")', 'Float(4, order="little")']),
        ("mf", ["Zoned(3)", "Binary(1, digits=2)", 'Binary(3, order="little")', 'Float(4, order="little")']),
    ],
)
def test_the_dialect_says_sizes_signs_byte_order_and_floating_point(dialect: str, expected: list[str]):
    found = read(ONE, "05 A PIC S9(3).", "05 B PIC S9(2) COMP.", "05 C PIC S9(6) COMP-5.", "05 D COMP-1.", dialect=dialect)
    assert [*kinds(found).values()] == expected


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"dialect": "ibm", "encoding": None}, "Zoned(3)"),
        ({"dialect": "ibm", "encoding": "cp949"}, 'Zoned(3, dialect="ascii-ebcdic-letters")'),
        ({"dialect": "ibm", "encoding": "cp949", "sign": "ascii"}, "Zoned(3)"),
        ({"dialect": "gnucobol", "encoding": None, "sign": "ebcdic"}, 'Zoned(3, dialect="ascii-ebcdic-letters")'),
        ({"dialect": "gnucobol", "encoding": "cp037"}, "Zoned(3)"),
    ],
)
def test_signs_in_ascii_are_letters_where_ebcdic_was_translated(options: dict[str, Any], kind: str):
    assert kinds(read(ONE, "05 A PIC S9(3).", **options)) == {"a": kind}


def test_characters_of_two_bytes_need_a_page_that_has_them():
    found = read(ONE, "05 A PIC N(5).", "05 B PIC G(3) DISPLAY-1.", encoding="cp949")
    assert kinds(found) == {"a": "Text(10, double_byte=True)", "b": "Text(6, double_byte=True)"}
    found = read(ONE, "05 A PIC G(5).", "05 B PIC N(3) DISPLAY-1.", "05 C PIC X.", encoding="cp037")
    assert [*sizes(members(found))] == [("", 0, 10), ("", 10, 6), ("c", 16, 1)]
    assert ["E-IMP-09" in text for text in texts(found, "warning")] == [True, True]


@pytest.mark.parametrize(
    ("clauses", "kind"),
    [
        ("PIC N(5) USAGE NATIONAL", 'Text(10, "utf-16-be", double_byte=True)'),
        ("PIC N(5) NATIONAL JUST RIGHT", 'Text(10, "utf-16-be", align="right", double_byte=True)'),
        ("PIC NNBNN/N NATIONAL", 'Text(14, "utf-16-be", double_byte=True)'),
        ("PIC +9.9 NATIONAL", 'Text(8, "utf-16-be", double_byte=True)'),
        ("PIC 9(4)V99 NATIONAL", 'Text(12, "utf-16-be", double_byte=True)'),
        ("PIC S9(4) SIGN TRAILING SEPARATE NATIONAL", 'Text(10, "utf-16-be", double_byte=True)'),
    ],
)
def test_national_data_is_utf_16_whatever_the_encoding_of_the_rest(clauses: str, kind: str):
    for encoding in ("cp037", "cp933", "cp949"):
        assert kinds(read(ONE, f"05 A {clauses}.", encoding=encoding)) == {"a": kind}
    assert kinds(read(ONE, f"05 A {clauses}.", dialect="mf")) == {"a": kind.replace("utf-16-be", "utf-16-le")}


def test_a_national_group_makes_all_its_members_utf_16():
    found = read(ONE, "05 G GROUP-USAGE NATIONAL.", "10 A PIC N(2).", "10 B PIC 9(3).", "05 C PIC X(2).")
    assert kinds(found) == {
        "a": 'Text(4, "utf-16-be", double_byte=True)',
        "b": 'Text(6, "utf-16-be", double_byte=True)',
        "c": "Text(2)",
    }
    (warning,) = texts(found, "warning")
    assert warning.startswith("warning E-IMP-09: book.cpy:4:10: B is a number in UTF-16")


@pytest.mark.parametrize(
    ("encoding", "kind", "said"),
    [
        ("cp933", "Text(10, double_byte=True)", "PIC N without USAGE is double-byte cp933: A, B"),
        (
            "cp037",
            'Text(10, "utf-16-be", double_byte=True)',
            "PIC N without USAGE is UTF-16, as cp037 has no characters of two bytes: A, B",
        ),
    ],
)
def test_what_pic_n_alone_means_follows_from_the_encoding_and_is_told(encoding: str, kind: str, said: str):
    found = read(ONE, "05 A PIC N(5).", "05 B PIC N(5) OCCURS 2.", "05 C PIC N(5) NATIONAL.", encoding=encoding)
    assert kinds(found) == {"a": kind, "b": kind, "c": 'Text(10, "utf-16-be", double_byte=True)'}
    assert [said in text for text in texts(found)] == [True]


def test_utf_16_among_ebcdic_is_read_and_written():
    """Bytes put together by hand: C1 is A in cp037, and 00 41, D64D AE38 B3D9 are A, 홍길동 in UTF-16."""
    found = read(
        ONE, "05 A PIC X(2).", "05 NAME PIC N(5) NATIONAL.", "05 R PIC N(2) NATIONAL JUST RIGHT.", "05 B PIC 9(2).", encoding="cp037"
    )
    assert found.spec is not None
    spec = load_spec(spec_source(found.spec), "book.py")
    raw = bytes.fromhex("C140 D64D AE38 B3D9 0020 0020 0020 0041 F0F7")
    body = {"a": "A", "name": "홍길동", "r": "A", "b": 7}
    assert spec.decode(raw).body == body
    (message,) = spec.messages.values()
    assert spec.encode(Telegram(spec, message, {}, body)) == raw
    full = bytes.fromhex("C140 AC00 AC01 AC02 AC03 AC04 0020 D7A3 F0F7")
    assert spec.decode(full).body == {"a": "A", "name": "가각갂갃간", "r": "힣", "b": 7}
    with pytest.raises(FieldError, match=r"^E-FLD-05: text needs 12 bytes, field holds 10;"):
        spec.encode(Telegram(spec, message, {}, body | {"name": "홍길동홍길동"}))
    with pytest.raises(FieldError, match=r"^E-ENC-01: byte 3 of the field begins no character of utf-16-be;"):
        spec.decode(raw[:4] + b"\xd8\x00" + raw[6:])  # half of a pair


def test_zero_bytes_have_no_value_where_it_is_asked_for():
    found = read(
        ONE, "05 A PIC X(4).", "05 B PIC 9(3).", "05 C PIC S9(3).", "05 D PIC S9(3) COMP-3.", "05 E PIC S9(4) COMP.", low_values=True
    )
    assert [kind.endswith('null="low")') for kind in kinds(found).values()] == [True, True, True, True, False]
    assert found.spec is not None
    spec = load_spec(spec_source(found.spec), "book.py")
    low = bytes(14)
    assert spec.decode(low).body == {"a": "", "b": None, "c": None, "d": None, "e": 0}
    assert spec.encode(spec.decode(low)) == low


@pytest.mark.parametrize("usage", ["POINTER", "INDEX", "PROCEDURE-POINTER", "FUNCTION-POINTER", "OBJECT REFERENCE Account"])
def test_what_means_something_only_within_the_program_is_filler_and_a_warning(usage: str):
    found = read(ONE, f"05 A USAGE {usage}.", "05 B PIC X.")
    assert [leaf.name for leaf in leaves(members(found))] == ["", "b"]
    assert all("E-IMP-09" in text for text in texts(found))


@pytest.mark.parametrize(
    "picture", ["X(0)", "9(40)", "9V9V9", "PP", "9P9", "S", "XS9", "9(A)", "9(", "QQ", "SX", "X(99999)", "9SP", "A9S", "VV9"]
)
def test_a_picture_that_is_not_possible_is_an_error_at_its_place(picture: str):
    with pytest.raises(PictureError):
        parse_picture(picture)
    found = read(ONE, f"05 FIELD PIC {picture}.")
    assert found.spec is None
    assert any(text.startswith("error E-IMP-05: book.cpy:2:14: ") for text in texts(found))


@given(st.text("9SVPXAZ*+-$,./B0()1E", max_size=12))
def test_any_picture_is_understood_or_refused(text: str):
    try:
        assert parse_picture(text).size >= 1
    except PictureError as error:
        assert str(error)


@pytest.mark.parametrize("dialect", ["ibm", "gnucobol", "mf"])
@given(digits=st.integers(1, 38), signed=st.booleans())
def test_a_binary_field_holds_all_its_digits(dialect: Any, digits: int, signed: bool):
    assert 10**digits - 1 < 1 << (8 * binary_length(digits, dialect, signed) - signed)


# --- levels, groups, tables


def test_groups_give_usage_sign_and_sync_to_their_members():
    found = read(
        ONE, "05 G COMP-3.", "10 A PIC S9(3).", "10 H.", "15 B PIC 9(4).", "05 S SIGN LEADING SEPARATE.", "10 C PIC S9(2).", "10 D PIC X."
    )
    assert kinds(found) == {"a": "Packed(3)", "b": "Packed(4, signed=False)", "c": 'Zoned(2, sign="leading separate")', "d": "Text(1)"}


def test_tables_are_nested_and_their_counters_are_named_by_path():
    found = read(
        ONE,
        "05 HEAD.",
        "10 N PIC 9.",
        "05 ROWS OCCURS 0 TO 4 TIMES DEPENDING ON N OF HEAD INDEXED BY I.",
        "10 M PIC 9.",
        "10 CELLS OCCURS 1 TO 3 DEPENDING ON M PIC X(2).",
        "05 FIXED-ROWS OCCURS 3 PIC 9(2).",
    )
    _, rows, fixed_rows = members(found)
    assert isinstance(rows, ImportedTable)
    assert (rows.least, rows.most, rows.depending, rows.size) == (0, 4, "head.n", 28)
    assert isinstance(rows.item, ImportedGroup)
    cells = rows.item.members[1]
    assert isinstance(cells, ImportedTable)
    assert (cells.least, cells.most, cells.depending) == (1, 3, "m")
    assert isinstance(fixed_rows, ImportedTable)
    assert (fixed_rows.most, fixed_rows.depending, fixed_rows.item.kind) == (3, "", "Digits(2)")


def test_a_counter_with_level_88_stays_a_number():
    found = read(ONE, "05 N PIC 9.", "88 NONE-AT-ALL VALUE 0.", "88 MANY VALUE 2 THRU 9.", "05 T OCCURS 9 DEPENDING ON N PIC X.")
    assert kinds(found)["n"] == "Digits(1)"


def test_a_counter_that_is_not_before_its_table_is_a_warning():
    found = read(ONE, "05 T OCCURS 1 TO 9 DEPENDING ON N PIC X.", "05 N PIC 9.")
    table = members(found)[0]
    assert isinstance(table, ImportedTable)
    assert (table.most, table.depending) == (9, "")
    assert any(text.startswith("warning E-IMP-06: book.cpy:2:6: N, which counts T,") for text in texts(found))


@pytest.mark.parametrize(
    ("options", "storage", "framing"),
    [
        ({}, "max", "Framing(FixedSize(6))"),
        ({"storage": "shift"}, "shift", 'Framing(LengthField(offset=0, width=2, kind="u_be", counts="self", after=b"\\x00\\x00"))'),
        ({"framing": "ascii4"}, "shift", 'Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload"))'),
        ({"framing": "binary2", "storage": "max"}, "max", 'Framing(LengthField(offset=0, width=2, kind="u_be", counts="payload"))'),
    ],
)
def test_tables_have_room_for_all_items_in_telegrams_and_only_for_those_counted_in_files(options: Any, storage: str, framing: str):
    found = read(ONE, "05 N PIC 9.", "05 T OCCURS 1 TO 5 DEPENDING ON N PIC X.", **options)
    table = members(found)[1]
    assert isinstance(table, ImportedTable)
    assert table.storage == storage
    assert found.spec is not None
    assert found.spec.framing == framing


def test_a_fixed_length_does_not_go_with_tables_that_shift():
    found = read(ONE, "05 N PIC 9.", "05 T OCCURS 1 TO 5 DEPENDING ON N PIC X.", framing="fixed", storage="shift")
    assert found.spec is None
    assert any("E-IMP-08" in text for text in texts(found, "error"))


def test_a_level_that_fits_none_is_read_as_a_sibling_and_told():
    found = read(ONE, "05 G.", "10 A PIC X.", "07 B PIC X.", "05 C PIC X.")
    (group, _) = members(found)
    assert isinstance(group, ImportedGroup)
    assert [node.name for node in leaves([group])] == ["a", "b"]
    assert any(text.startswith("warning E-IMP-03: book.cpy:4:1: ") for text in texts(found))


def test_levels_77_and_a_copybook_without_level_01_are_records():
    found = read("77 COUNTER PIC 9(4) COMP.")
    assert kinds(found) == {"counter": "Binary(2, digits=4, signed=False)"}
    found = read("05 A PIC X.", "05 B PIC X(2).")
    assert found.spec is not None
    assert (found.spec.messages[0].name, [*kinds(found)]) == ("book", ["a", "b"])


def test_a_constant_of_level_78_is_a_number_of_items():
    found = read(
        "78 MOST VALUE 7.", ONE, "05 T OCCURS MOST TIMES PIC X.", "01 LIMIT CONSTANT AS 3.", "01 OTHER.", "05 U OCCURS LIMIT PIC X."
    )
    assert members(found)[0].size == 7


def test_level_66_is_told_and_left_out():
    found = read(ONE, "05 A PIC X.", "05 B PIC X.", "66 AB RENAMES A THRU B.")
    assert [*kinds(found)] == ["a", "b"]
    assert "note E-IMP-09: book.cpy:4:1: AB is another name of A THRU B: left out" in texts(found)


# --- level 88


def test_level_88_gives_the_codes_of_a_field_their_names():
    found = read(
        ONE,
        "05 A PIC X(2).",
        "88 OPENED VALUE 'O'.",
        "88 SHUT VALUES ARE 'S' 'X', 'Y1'.",
        "05 B PIC 99.",
        "88 FEW VALUE 1 THRU 9.",
        "88 TEN VALUE 10.",
    )
    a, b = leaves(members(found))
    assert (a.kind, a.codes) == ("Code(2, {codes})", {"O": "OPENED", "S": "SHUT", "X": "SHUT", "Y1": "SHUT"})
    assert (b.kind, b.codes) == ("Code(2, {codes}, digits=True)", {("01", "09"): "FEW", "10": "TEN"})
    assert any("a, b take only the values that levels 88 name" in text for text in texts(found, "note"))


def test_a_single_name_says_nothing_about_other_values_and_stays_a_remark():
    found = read(ONE, "05 EOF-SWITCH PIC X.", "88 AT-END VALUE 'Y'.", "05 B PIC S9(3) COMP-3.", "88 NONE-LEFT VALUE 0.")
    a, b = leaves(members(found))
    assert (a.kind, a.note) == ("Text(1)", "PIC X; 88 AT-END 'Y'")
    assert (b.kind, b.note) == ("Packed(3)", "PIC S9(3) COMP-3; 88 NONE-LEFT 0")


def test_names_for_the_values_of_a_group_are_a_remark():
    group = members(read(ONE, "05 G.", "88 ALL-BLANK VALUE SPACES.", "10 A PIC X."))[0]
    assert group.note == "88 ALL-BLANK SPACES"


def test_values_that_are_no_codes_stay_remarks():
    found = read(ONE, "05 A PIC X.", "88 P VALUE 'P'.", "88 Q VALUE 'Q'.", "88 NOTHING VALUE SPACES LOW-VALUES.")
    (a,) = leaves(members(found))
    assert a.codes == {"P": "P", "Q": "Q"}
    assert a.note.endswith("88 NOTHING SPACES, LOW-VALUES")


# --- REDEFINES


VIEWS = ("05 KIND PIC X.", "05 RAW PIC X(8).", "05 PERSON REDEFINES RAW.", "10 P1 PIC X(6).", "10 P2 PIC 9(2).", "05 FIRM REDEFINES PERSON PIC 9(10).")  # fmt: skip


def test_redefinitions_of_redefinitions_are_one_place_as_long_as_the_longest():
    found = read(ONE, *VIEWS, "05 REST PIC X.")
    assert [*sizes(members(found))] == [("kind", 0, 1), ("", 1, 10), ("rest", 11, 1)]
    views = members(found)[1]
    assert isinstance(views, ImportedViews)
    assert [view.name for view in views.views] == ["raw", "person", "firm"]
    assert any("FIRM has 10 bytes, 2 more than RAW" in text for text in texts(found, "note"))
    assert any("--select FIRM=FIELD:VALUE" in text for text in texts(found, "note"))


def test_a_view_is_selected_by_a_field():
    selections = tuple(each for each in map(selection, ("PERSON=KIND:P", "firm=kind:F,G")) if each)
    views = members(read(ONE, *VIEWS, selections=selections))[1]
    assert isinstance(views, ImportedViews)
    assert (views.by, views.when, views.default) == ("kind", {"P": "person", "F": "firm", "G": "firm"}, "raw")


def test_a_field_that_selects_is_a_code():
    selections = tuple(each for each in [selection("B=N:01")] if each)
    found = read(ONE, "05 N PIC 99.", "05 A PIC X.", "05 B REDEFINES A PIC 9.", selections=selections)
    assert kinds(found)["n"] == "Code(2, digits=True)"


RECORDS = ("05 A.", "10 A-TYPE PIC 9.", "10 A-REST PIC X(4).", "05 B REDEFINES A.", "10 B-TYPE PIC 9.", "10 B-REST PIC 9(4).")


def test_a_type_that_every_view_begins_with_is_put_before_them():
    found = read(ONE, *RECORDS, selections=tuple(each for each in [selection("B=B-TYPE:2")] if each))
    kind, views = members(found)
    assert isinstance(kind, ImportedField)
    assert isinstance(views, ImportedViews)
    assert (kind.name, kind.kind) == ("a_type", "Code(1, digits=True)")
    assert (views.by, views.when, views.default, views.size) == ("a_type", {"2": "b"}, "a", 4)


def test_a_type_that_only_one_view_has_cannot_choose_between_them():
    found = read(
        ONE, *RECORDS[:4], "10 C PIC X(2).", "10 B-TYPE PIC 9.", selections=tuple(each for each in [selection("B=B-TYPE:2")] if each)
    )
    assert "error E-IMP-06: book.cpy:2:1: --select names B-TYPE, which is within a table or another view" in texts(found)


@pytest.mark.parametrize("text", ["", "A", "A=B", "A=B:", "=B:C", "A:B=C"])
def test_a_selection_has_three_parts(text: str):
    assert selection(text) is None


@pytest.mark.parametrize("text", ["NOBODY=KIND:1", "PERSON=NOBODY:1"])
def test_a_selection_that_names_nothing_is_an_error(text: str):
    found = read(ONE, *VIEWS, selections=tuple(each for each in [selection(text)] if each))
    assert found.spec is None
    assert any("E-IMP-06" in each and "NOBODY" in each for each in texts(found, "error"))


def test_what_is_redefined_must_stand_before():
    found = read(ONE, "05 A PIC X.", "05 B REDEFINES C PIC X.")
    assert texts(found, "error") == [
        "error E-IMP-06: book.cpy:3:1: B redefines C, which is not there; to do: name a field of the same group that stands before it"
    ]


# --- SYNC


@pytest.mark.parametrize(("dialect", "group", "size"), [("gnucobol", 1, 17), ("ibm", 4, 20)])
def test_slack_before_a_group_is_within_it_or_in_front_as_the_dialect_has_it(dialect: str, group: int, size: int):
    found = read(ONE, "05 A PIC X.", "05 G OCCURS 2.", "10 B PIC S9(9) COMP SYNC.", "10 C PIC X.", dialect=dialect)
    assert next(at for name, at, _ in sizes(members(found)) if name == "g") == group
    assert sum(node.size for node in members(found)) == size


def test_slack_bytes_of_the_example_in_ibms_language_reference():
    within = read(
        "01 FIELD-A.", "05 FIELD-B PIC X(5).", "05 FIELD-C.", "10 FIELD-D PIC XX.", "10 FIELD-E COMP PIC S9(6) SYNC.", dialect="ibm"
    )
    before = read(
        "01 FIELD-L.", "05 FIELD-M PIC X(5).", "05 FIELD-N PIC XX.", "05 FIELD-O.", "10 FIELD-P COMP PIC S9(6) SYNC.", dialect="ibm"
    )
    assert [*sizes(members(within))] == [("field_b", 0, 5), ("field_c", 5, 7)]
    assert [*sizes(members(before))] == [("field_m", 0, 5), ("field_n", 5, 2), ("", 7, 1), ("field_o", 8, 4)]


# --- FILLER and names


def test_fillers_are_bytes_and_their_texts_are_written():
    found = read(ONE, "05 FILLER PIC X(3).", "05 PIC X(2) VALUE '--'.", "05 FILLER PIC X(4) VALUE ALL '*'.", "05 FILLER PIC 9(2) VALUE 7.", "05 FILLER OCCURS 3 PIC X(2).")  # fmt: skip
    assert [leaf.kind for leaf in leaves(members(found))] == [
        "Filler(3)",
        'Fixed("--", or_blank=True)',
        'Fixed("****", or_blank=True)',
        "Filler(2)",
        "Filler(6)",
    ]


def test_groups_without_a_name_lend_their_fields_to_the_group_around_them():
    found = read(ONE, "05 FILLER.", "10 A PIC X.", "10 B PIC X.", "05 C PIC X.")
    assert [*sizes(members(found))] == [("a", 0, 1), ("b", 1, 1), ("c", 2, 1)]


def test_fillers_that_must_be_called_something_are_numbered():
    found = read(ONE, "05 A PIC X(4).", "05 FILLER REDEFINES A.", "10 B PIC X.", "05 FILLER OCCURS 2.", "10 C PIC X.")
    views, table = members(found)
    assert isinstance(views, ImportedViews)
    assert isinstance(table, ImportedTable)
    assert ([view.name for view in views.views], table.name) == (["a", "filler_1"], "filler_2")


def test_names_become_identifiers_and_changes_are_told():
    found = read(ONE, "05 고객번호 PIC X.", "05 CLASS PIC X.", "05 Cust-Name PIC X.", "05 9LIVES PIC X.")
    assert [*kinds(found)] == ["고객번호", "class_", "cust_name", "field_9lives"]
    assert [text.split(": ")[2].split(" ")[0] for text in texts(found, "note")] == ["CLASS", "9LIVES"]


def test_names_that_meet_in_one_group_are_made_unique():
    found = read(ONE, "05 A PIC X.", "05 FILLER.", "10 A PIC X.", "05 G.", "10 A PIC X.")
    assert [node.name for node in members(found) if not isinstance(node, ImportedViews)] == ["a", "rec_a", "g"]
    assert any(text.startswith("note E-IMP-07: book.cpy:4:1: A cannot") for text in texts(found))


# --- records


def test_records_are_told_apart_by_the_values_of_a_field_they_begin_with():
    found = read(
        "01 HEAD.", "05 H-KIND PIC X VALUE 'H'.", "05 H-DATE PIC 9(8).",
        "01 DETAIL.", "05 D-KIND PIC X VALUE 'D'.", "05 D-NAME PIC X(8).",
    )  # fmt: skip
    assert found.spec is not None
    assert [(message.name, message.key) for message in found.spec.messages] == [("head", ("H",)), ("detail", ("D",))]
    assert [node.name for node in leaves(found.spec.header)] == ["h_kind"]
    assert found.spec.framing == "Framing(FixedSize(9), header=1)"


def test_records_are_told_apart_by_selections():
    selections = tuple(each for each in map(selection, ("HEAD=H-KIND:1", "DETAIL=D-KIND:2")) if each)
    found = read("01 HEAD.", "05 H-KIND PIC 9.", "05 A PIC X.", "01 DETAIL.", "05 D-KIND PIC 9.", "05 B PIC XX.", selections=selections)
    assert found.spec is not None
    assert [message.key for message in found.spec.messages] == [("1",), ("2",)]
    assert "u_be" in found.spec.framing  # records of different lengths have descriptor words


def test_records_of_one_spec_are_decoded_by_their_type():
    text = (
        "01 HEAD.",
        "05 H-KIND PIC X VALUE 'H'.",
        "05 H-DATE PIC 9(4).",
        "01 DETAIL.",
        "05 D-KIND PIC X VALUE 'D'.",
        "05 D-NAME PIC X(4).",
    )
    found = read(*text)
    assert found.spec is not None
    assert (found.spec.key, found.spec.correlation) == (("h_kind",), ())  # what tells records apart pairs none of them
    spec = load_spec(spec_source(found.spec), "book.py")
    assert [spec.decode(frame).body for frame in (b"H1231", b"DABCD")] == [{"h_date": 1231}, {"d_name": "ABCD"}]


def test_a_record_descriptor_word_counts_itself():
    found = read(ONE, "05 N PIC 9.", "05 T OCCURS 1 TO 5 DEPENDING ON N PIC X.", storage="shift")
    assert found.spec is not None
    spec = load_spec(spec_source(found.spec), "book.py")
    assert spec.decode(b"\x00\x08\x00\x003ABC").body == {"n": 3, "t": ["A", "B", "C"]}


def test_of_records_that_nothing_tells_apart_the_first_is_taken_or_the_one_asked_for():
    lines = ("01 A.", "05 X PIC X.", "01 B.", "05 Y PIC X.")
    assert [*kinds(read(*lines))] == ["x"]
    assert any("B left out" in text and "--record" in text for text in texts(read(*lines), "note"))
    assert [*kinds(read(*lines, record="b"))] == ["y"]
    assert any("E-IMP-06" in text for text in texts(read(*lines, record="c"), "error"))


# --- reference formats


def test_fixed_form_ignores_sequence_numbers_the_right_margin_and_remarks():
    found = read(
        "000100* 고객 a remark                                                    ",
        "000200 01  REC.                                                         REC00001",
        "000300/    a new page",
        "000400     05  A                       PIC X(3).                        REC00002",
        "000500D    05  DEBUGGING               PIC X(3).                        REC00003",
        "       EJECT",
        "           SKIP2",
        "       05  B PIC 9(2)\t.",
        form=None,
    )
    assert kinds(found) == {"a": "Text(3)", "b": "Digits(2)"}
    assert any("debugging line" in text for text in texts(found, "note"))


def test_continued_words_and_literals_are_joined():
    first = "       01  REC. 05 FILLER PIC X(70) VALUE 'AAAA"
    found = read(first.ljust(72), "      -    'BBBB'. 05 LONG-NA", "      -    ME PIC X(3).", form=None)
    blanks = " " * (72 - len(first))
    assert next(leaf.kind for leaf in leaves(members(found))) == f'Fixed("{("AAAA" + blanks + "BBBB").ljust(70)}", or_blank=True)'
    assert [*kinds(found)][1] == "long_name"


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        (["       01  REC.", "           05  A PIC X."], "fixed"),
        (["01 REC.", "   05 A PIC X."], "free"),
        (["*> remark", "01 REC.", "05 A PIC X."], "free"),
        (["000100 01  REC.", "000200     05  A PIC X."], "fixed"),
        (['      $SET SOURCEFORMAT"FREE"', "01 REC.", "05 A PIC X."], "free"),
        ([">>SOURCE FORMAT IS FREE", "       01 REC.", "           05 A PIC X."], "free"),
    ],
)
def test_the_reference_format_is_found_out(lines: list[str], form: str):
    from telegram_router.telegrams.importers.copybook_text import form_of

    assert form_of(lines) == form
    assert [*kinds(read(*lines, form=None))] == ["a"]


def test_a_line_that_goes_beyond_the_card_has_no_right_margin():
    line = "           05  A-FIELD-WITH-A-LONG-NAME" + " " * 30 + "PIC X(3) VALUE SPACES."
    assert kinds(read("       01  REC.", line, form=None)) == {"a_field_with_a_long_name": "Text(3)"}


def test_small_letters_tabs_commas_and_semicolons_are_read():
    found = read("01\trec.", "\t05  a,\tpic x(3); value 'x', .", "05 b pic 9(3), comp-3.")
    assert kinds(found)["a"] == "Text(3)"


def test_remarks_are_labels():
    found = read(ONE, "05 A PIC X. *> 고객번호", "*> 잔액", "05 B PIC X.", "*> ------", "05 C PIC X.", "*> ==== amounts", "05 D PIC X.")
    assert [leaf.label for leaf in leaves(members(found))] == ["고객번호 A", "잔액 B", "C", "D"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_the_encoding_of_the_file_is_found_out(encoding: str):
    text = "       01  고객.\n           05  고객번호 PIC X(10).\n"
    assert decoded(text.encode(encoding))[0] == text


@pytest.mark.parametrize("between", ["\n", "\x85", ""])
def test_a_copybook_in_ebcdic_is_read_in_lines_or_cards(between: str):
    lines = ["       01  REC.", "           05  A                   PIC X(10).", "           05  B                   PIC S9(5) COMP-3."]
    content = "".join((line.ljust(80) if not between else line) + between for line in lines).encode("cp037")
    text, encoding = decoded(content)
    assert encoding == "cp037"
    assert [*kinds(read(text, form=None))] == ["a", "b"]


def test_a_program_says_that_the_decimal_point_is_a_comma():
    found = read("IDENTIFICATION DIVISION.", "SPECIAL-NAMES. DECIMAL-POINT IS COMMA.", "DATA DIVISION.", ONE, "05 A PIC Z9,9.")
    assert kinds(found) == {"a": 'Edited("Z9,9", comma=True)'}


def test_a_declaration_of_sql_before_its_record_is_passed_over():
    found = read("EXEC SQL DECLARE T TABLE", "( A CHAR(10) NOT NULL,", "  B DECIMAL(5, 2) ) END-EXEC.", "01 DCLT.", "10 A.", "49 A-LEN PIC S9(4) COMP.", "49 A-TEXT PIC X(10).")  # fmt: skip
    assert texts(found) == []
    assert kinds(found) == {"a_len": "Binary(2, digits=4)", "a_text": "Text(10)"}


def test_a_whole_program_gives_its_data_division():
    found = read(
        "IDENTIFICATION DIVISION.", "PROGRAM-ID. P.", "DATA DIVISION.", "FILE SECTION.", "FD CUSTOMER-FILE RECORDING MODE F.",
        ONE, "05 A PIC X.", "WORKING-STORAGE SECTION.", "PROCEDURE DIVISION.", "MOVE 1 TO A.", "STOP RUN.",
    )  # fmt: skip
    assert [*kinds(found)] == ["a"]
    assert texts(found) == []


# --- COPY


def test_copied_texts_are_read_in_place():
    found = read(ONE, "COPY ADDR.", "05 Z PIC X.", copies={"ADDR": "05 STREET PIC X(5).\nCOPY 'CITY'.\n", "CITY": "05 CITY PIC X(3)."})
    assert [*kinds(found)] == ["street", "city", "z"]


@pytest.mark.parametrize(
    "replacing",
    [
        "==:TAG:== BY ==HOME==",
        "==(TAG)== BY ==HOME==",
        "TAG-STREET BY HOME-STREET",
        "LEADING ==TAG== BY ==HOME==",
        "==TAG-STREET PIC X(5)== BY ==HOME-STREET PIC X(5)==",
    ],
)
def test_replacing_changes_words_and_parts_of_words(replacing: str):
    mark = replacing[2:7] if replacing.startswith("==") and not replacing[2].isalpha() else "TAG"
    found = read(ONE, f"COPY ADDR REPLACING {replacing}.", copies={"ADDR": f"05 {mark}-STREET PIC X(5)."})
    assert kinds(found) == {"home_street": "Text(5)"}


def test_replacing_changes_pictures_literals_and_several_things_at_once():
    copy = "COPY A REPLACING ==X(5)== BY ==X(9)==, 'OLD' BY 'NEW' ==COMP-3== BY ==== TRAILING ==-OLD== BY ==-NEW==."
    found = read(ONE, copy, copies={"A": "05 N-OLD PIC X(5).\n05 FILLER PIC X(3) VALUE 'OLD'.\n05 P PIC 9(3) COMP-3."})
    assert [leaf.kind for leaf in leaves(members(found))] == ["Text(9)", 'Fixed("NEW", or_blank=True)', "Digits(3)"]
    assert next(iter(kinds(found))) == "n_new"


def test_replace_and_other_words_for_copy():
    found = read("REPLACE ==:P:== BY ==CUST==.", ONE, "05 :P:-A PIC X.", "++INCLUDE REST", "EXEC SQL INCLUDE MORE END-EXEC.", copies={"REST": "05 B PIC X.", "MORE": "05 C PIC X."})  # fmt: skip
    assert [*kinds(found)] == ["cust_a", "b", "c"]


def test_a_text_that_is_missing_or_copies_itself_is_an_error_at_its_place():
    found = read(ONE, "05 A PIC X.", "    COPY GONE.")
    assert found.spec is None
    assert texts(found, "error")[0].startswith("error E-IMP-02: book.cpy:3:10: the text GONE is not found")
    found = read(ONE, "COPY A.", copies={"A": "05 X PIC X.\nCOPY B.", "B": "COPY A."})
    assert any("E-IMP-02: B.cpy:1:6: A copies itself" in text for text in texts(found, "error"))


# --- what is wrong


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["05 A PIC X(3)", "05 B PIC X."], "error E-IMP-01: book.cpy:2:10: a period is missing behind X(3); to do: end the entry with a period"),
        (["05 A."], "error E-IMP-05: book.cpy:2:1: A has neither a picture nor members; to do: a field needs PIC; a group needs fields of a higher level below it"),
        (["05 A PIC X.", "10 B PIC X."], "error E-IMP-05: book.cpy:2:10: A has a picture and members"),
        (["05 A PIC X COMP-3."], "error E-IMP-05: book.cpy:2:10: A is COMP-3, but its picture X is no number"),
        (["05 A PIC 9 PIC 9."], "error E-IMP-05: book.cpy:2:16: a second picture for one field"),
        (["05 A PIC."], "error E-IMP-01: book.cpy:2:6: a picture is missing behind PIC"),
        (["50 A PIC X."], "error E-IMP-01: book.cpy:2:1: level 50 does not exist; to do: use 01 to 49, 66, 77, 78 or 88"),
        (["05 A OCCURS MANY TIMES PIC X."], "error E-IMP-05: book.cpy:2:13: OCCURS needs a number, not MANY"),
        (["05 A OCCURS 5 TO 2 DEPENDING ON B PIC X."], "error E-IMP-05: book.cpy:2:6: OCCURS 5 TO 2 is no range"),
        (["05 A PIC X VALUE 'abc."], "error E-IMP-01: book.cpy:2:18: a literal is not closed on its line; to do: close it, or continue it with - in column 7"),
        (["05 A PIC 9(4) COMP-7."], "error E-IMP-05: book.cpy:2:15: the size of COMP-7 is not known; to do: use the usage of your compiler's manual that it stands for"),
        (["05 A PIC S9 COMP-6."], "error E-IMP-05: book.cpy:2:10: A is COMP-6, which has no sign, but its picture has one"),
        (["05 A OCCURS 999999 PIC X(9)."], "error E-IMP-05: book.cpy:1:1: REC has 8,999,991 bytes, more than 1,048,576"),
    ],
)  # fmt: skip
def test_a_broken_copybook_gives_an_error_with_its_place(lines: list[str], expected: str):
    found = read(ONE, *lines)
    assert found.spec is None
    assert expected in texts(found)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["05 A PIC X SPARKLING WATER."], "warning E-IMP-04: book.cpy:2:12: the clause SPARKLING WATER is not known: left out"),
        (["05 A PIC X USAGE IS TELEPATHY."], "warning E-IMP-04: book.cpy:2:21: the usage TELEPATHY is not known: read as DISPLAY"),
        (["GARBAGE HERE.", "05 A PIC X."], "warning E-IMP-04: book.cpy:2:1: GARBAGE begins no data description: left out"),
        (["05 A PIC X VALUE 'TOO LONG'."], "warning E-IMP-03: book.cpy:2:1: the VALUE of A has 8 characters, its picture 1"),
        (["05 A PIC X"], "warning E-IMP-01: book.cpy:2:10: a period is missing behind X, at the end"),
        (
            ["05 A PIC 99 SIGN LEADING SEPARATE."],
            "warning E-IMP-03: book.cpy:2:10: A has a separate sign, but its picture no S: read with the sign",
        ),
        (["05 A:B PIC X."], "warning E-IMP-07: book.cpy:2:4: the name A:B holds :; to do: replace it: COPY … REPLACING"),
    ],
)
def test_what_is_not_understood_is_a_warning_and_the_rest_is_read(lines: list[str], expected: str):
    found = read(ONE, *lines)
    assert expected in texts(found)
    assert found.spec is not None


def test_with_force_there_is_a_spec_in_spite_of_errors():
    found = read(ONE, "05 A PIC Q.", "05 B PIC X.", force=True)
    assert [leaf.name for leaf in leaves(members(found))] == ["", "b"]


@pytest.mark.parametrize("text", ["", "nothing here", "* only a remark", "\x00\x01\x02", "01", "88 X VALUE 1."])
def test_what_is_no_copybook_is_an_error(text: str):
    found = read(text)
    assert found.spec is None
    assert any("E-IMP-01" in each or "E-IMP-05" in each for each in texts(found))


def test_an_encoding_that_does_not_exist_is_an_error():
    assert any("E-IMP-05" in text and "cp99999" in text for text in texts(read(ONE, "05 A PIC X.", encoding="cp99999"), "error"))


WORDS = st.sampled_from("01 05 10 88 66 77 A B-C FILLER . , PIC X(3) S9(4)V99 9 COMP COMP-3 OCCURS 3 TIMES TO 5 DEPENDING ON REDEFINES VALUE 'x' THRU RENAMES SYNC SIGN LEADING SEPARATE COPY REPLACING == BY \" ' *> - \n \n".split(" "))  # fmt: skip  # noqa: SIM905


@given(st.lists(WORDS, max_size=40), st.sampled_from(["free", "fixed", None]))
def test_no_text_makes_the_importer_raise(words: list[str], form: Any):
    found = read(" ".join(words), form=form)
    assert found.spec is not None or texts(found, "error")
    if found.spec is not None:
        compile(spec_source(found.spec), "spec.py", "exec")


@given(st.binary(max_size=200))
def test_no_bytes_make_the_importer_raise(content: bytes):
    text, _ = decoded(content)
    found = read(text, form=None)
    assert found.spec is not None or texts(found, "error")


# --- any copybook that is right

PICTURES = st.sampled_from(
    [
        "X(3)",
        "A(2)",
        "9(4)",
        "9(3)V99",
        "S9(4)",
        "S9(3)V9 COMP-3",
        "9(5) COMP-3",
        "S9(4) COMP",
        "S9(9) COMP SYNC",
        "9(7) COMP-5",
        "9(4) COMP-6",
        "S9(3) SIGN LEADING SEPARATE",
        "S9(2) LEADING",
        "Z(4)9.99-",
        "SPPP9(3)",
        "9(3)PP",
        "X(6) JUST RIGHT",
        "9(3) BLANK WHEN ZERO",
        "N(3)",
    ]
)


@st.composite
def entries(draw: st.DrawFn, level: int = 5, depth: int = 0) -> list[str]:
    """Lines of one group's members: fields, groups, tables and views, with a counter before each table that has one."""
    lines: list[str] = []
    for number in range(draw(st.integers(1, 4))):
        name = f"F{level}-{number}"
        shape = draw(
            st.sampled_from(["field", "field", "filler", "table", "counted", "group", "view"] if depth < 3 else ["field", "filler"])
        )
        picture = draw(PICTURES)
        times = f" OCCURS {draw(st.integers(1, 3))} TIMES"
        if shape == "counted":
            lines.append(f"{level:02} {name}-COUNT PIC 9.")
            times = f" OCCURS 0 TO {draw(st.integers(1, 3))} TIMES DEPENDING ON {name}-COUNT"
        if shape in ("field", "filler"):
            lines.append(f"{level:02} {name if shape == 'field' else 'FILLER'} PIC {picture}.")
        elif shape == "view":
            lines += [f"{level:02} {name} PIC X(4).", f"{level:02} {name}-AGAIN REDEFINES {name}.", *draw(entries(level + 5, 3))]
        else:
            lines += [f"{level:02} {name}{'' if shape == 'group' else times}.", *draw(entries(level + 5, depth + 1))]
    return lines


@settings(deadline=None)
@given(entries(), st.sampled_from(["ibm", "gnucobol", "mf"]), st.sampled_from(["cp933", "cp949"]), st.sampled_from(["max", "shift"]))
def test_any_copybook_becomes_a_spec_that_loads_and_writes_what_it_reads(lines: list[str], dialect: Any, encoding: str, storage: Any):
    found = read(ONE, *lines, dialect=dialect, encoding=encoding, storage=storage)
    assert found.spec is not None, texts(found)
    spec = load_spec(spec_source(found.spec), "book.py")
    (message,) = spec.messages.values()
    size = sum(node.size for node in members(found))
    assert message.frame_size in (size, None)
    for number in range(3):
        frame = spec.encode(sample(spec, number=number))
        assert spec.encode(spec.decode(frame)) == frame
        assert len(spec.framing.telegram(frame)) <= size


COPYBOOKS = [*(Path(__file__).parent / "copybooks").glob("*.cpy"), *(Path(__file__).parents[2] / "specs/samples").rglob("*.cpy")]


@settings(deadline=None)
@given(st.sampled_from(COPYBOOKS), st.data())
def test_a_damaged_copybook_is_read_or_told_never_a_crash(path: Path, data: st.DataObject):
    text = path.read_text("utf-8")
    at, size = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 30))
    damaged = text[:at] + data.draw(st.text("\n .,;'\"=*-:()019XVPSZ", max_size=5)) + text[at + size :]
    found = read(damaged, form=data.draw(st.sampled_from([None, "free"])))
    assert found.spec is not None or texts(found, "error")
    if found.spec is not None:
        compile(spec_source(found.spec), "spec.py", "exec")
