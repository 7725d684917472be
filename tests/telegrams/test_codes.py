"""Codes with ranges, names and check digits, flags, edited pictures, and what stands between fields, in ASCII and EBCDIC families."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_field import OneField

from telegram_router.errors import CODES, FieldError, SpecError
from telegram_router.telegrams import (
    Code,
    Digits,
    Edited,
    Family,
    FieldFault,
    Filler,
    Fixed,
    Flags,
    Framing,
    Length,
    LengthField,
    Message,
    Packed,
    Reply,
    Struct,
    Text,
    compile_family,
)
from telegram_router.telegrams.fields import charset_of

D = Decimal

# --- codes ----------------------------------------------------------------------------------------------------------

SERVICES = {"00": "none", ("10", "19"): "transfer", ("20", "29"): "deposit", "99": "test"}
GRADES = {("A", "F"): "passed", "X": "absent"}
NAMES = {("AA", "CZ"): "early", ("SA", "SZ"): "late"}


def test_a_range_holds_the_codes_between_its_ends_and_they_share_its_name():
    one = OneField(Code(2, SERVICES))
    assert [one.reads(b"%02d" % code) for code in (0, 10, 15, 19, 29, 99)] == ["00", "10", "15", "19", "29", "99"]
    assert [one.reads(raw) for raw in (b"01", b"30", b"1A", b"1 ", b" 1")] == ["E-FLD-07"] * 5
    assert [one.writes(code) for code in ("15", "30")] == [b"15", "E-FLD-07"]
    assert [one.kind.name_of(code) for code in ("15", "20", "99", "30")] == ["transfer", "deposit", "test", ""]


@pytest.mark.parametrize("encoding", ["ascii", "cp037", "cp933"])
def test_a_range_of_letters_goes_by_the_bytes_on_the_wire(encoding):
    wire = charset_of(encoding).wire
    one = OneField(Code(1, GRADES), encoding)
    assert [one.reads(wire(raw)) for raw in (b"A", b"F", b"X", b" ")] == ["A", "F", "X", ""]
    assert [one.reads(wire(raw)) for raw in (b"G", b"a", b"5")] == ["E-FLD-07"] * 3
    two = OneField(Code(2, NAMES), encoding)
    assert [two.reads(wire(raw)) for raw in (b"AA", b"BQ", b"CZ", b"SQ")] == ["AA", "BQ", "CZ", "SQ"]
    assert two.reads(wire(b"DA")) == "E-FLD-07" and two.kind.name_of("SQ") == "late"


def test_a_digit_stands_between_letters_in_ebcdic_only_where_its_byte_does():
    kind = Code(1, [("A", "9")])
    assert OneField(kind, "cp037").reads(b"\xf5") == "5"  # letters come before digits there
    assert any("ends before it begins" in what for _, what in kind.mistakes())


def test_a_long_range_of_numbers_is_not_listed_and_holds_numbers_only():
    one = OneField(Code(6, {("100000", "899999"): "own", "999999": "foreign"}))
    assert one.reads(b"500000") == "500000" and one.kind.name_of("500000") == "own"
    assert one.reads(b"5AAAAA") == "E-FLD-07" and one.reads(b"900000") == "E-FLD-07" and len(one.kind.names) == 1


def test_json_may_have_code_and_name():
    kind = Code(2, SERVICES, enum="both")
    assert kind.as_json("15") == {"value": "15", "name": "transfer"}
    assert kind.as_json("") == ""
    assert [kind.of_json(each) for each in ({"value": "15", "name": "transfer"}, {"value": "15"}, "15", None)] == ["15", "15", "15", ""]
    with pytest.raises(FieldFault, match="E-FLD-11"):
        kind.of_json({"value": "15", "name": "deposit"})
    for bad in ({"name": "transfer"}, {"value": 15}, {"value": "15", "more": 1}, {}):
        with pytest.raises(FieldFault, match="E-FLD-12"):
            kind.of_json(bad)
    assert [code for code, _ in Code(2, ["15"], enum="both").mistakes()] == ["E-CFG-20"]


# Made up: digits of no person, company or card, with the check digit that their rule gives.
CHECKED = [
    (Code(13, check="rrn"), "0001013000008", "0001013000007"),
    (Code(13, digits=True, check="rrn"), "9912315000000", "9912315000008"),
    (Code(10, check="business"), "1234567891", "1234567890"),
    (Code(16, digits=True, check="luhn"), "4111111111111111", "4111111111111112"),
]


@pytest.mark.parametrize(("kind", "right", "wrong"), CHECKED, ids=["resident", "foreigner", "business", "card"])
def test_a_wrong_check_digit_is_refused_and_never_shown(kind, right, wrong):
    one = OneField(kind)
    assert one.reads(right.encode()) == right and one.writes(right) == right.encode()
    assert one.reads(wrong.encode()) == one.writes(wrong) == "E-FLD-10"  # 41 of the corpus
    assert one.reads(b" " * kind.length) == ""
    with pytest.raises(FieldError) as refused:
        one.message.decode(one.key + wrong.encode())
    assert wrong not in str(refused.value) and wrong[:6] not in refused.value.problems[0].text()


def test_letters_have_no_check_digit():
    assert OneField(Code(10, check="luhn")).reads(b"ABC       ") == "E-FLD-10"
    assert OneField(Code(13, check="rrn")).reads(b"000101300000 ") == "E-FLD-10"


CODE_MISTAKES = [
    (Code(2, [("1", "2", "3")]), "two ends"),
    (Code(2, [("20", "10")]), "ends before it begins"),
    (Code(2, [("1", "200")]), "longer than the field"),
    (Code(2, [("1", 2)]), "printable ASCII"),
    (Code(13, check="isbn"), "check must be"),
    (Code(2, SERVICES, enum="names"), "enum must be"),
]


@pytest.mark.parametrize(("kind", "words"), CODE_MISTAKES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_declaration_of_codes_is_told_at_load(kind, words):
    assert any(words in what and code in CODES for code, what in kind.mistakes())


# --- EBCDIC ---------------------------------------------------------------------------------------------------------

WIRE = [
    (Code(4), "A1b ".encode("cp037"), "A1b"),
    (Code(4), b"\x40" * 4, ""),
    (Code(2, ["A1"]), b"\xc1\xf1", "A1"),
    (Code(2, digits=True), b"\xf1\xf2", "12"),
    (Code(2, digits=True), b"\x40\x40", ""),
    (Code(2), b"A1", "E-ENC-01"),
    (Code(2), b"\xc1\x05", "E-ENC-04"),
    (Code(2, required=True), b"\x40\x40", "E-FLD-06"),
    (Digits(3), b"\xf0\xf1\xf2", 12),
    (Digits(3), b"\x40\x40\x40", None),
    (Digits(3), b"012", "E-FLD-01"),
    (Digits(3), b"   ", "E-FLD-01"),  # 0x20 is no blank there
    (Digits(4, 2), b"\xf0\xf1\xf2\xf3", D("1.23")),
    (Fixed("AB"), b"\xc1\xc2", "AB"),
    (Fixed("AB", or_blank=True), b"\x40\x40", ""),
    (Fixed("AB"), b"AB", "E-FLD-13"),
    (Fixed(b"AB"), b"AB", "AB"),
    (Edited("ZZ9.99-"), "  1.50-".encode("cp037"), D("-1.50")),
]


@pytest.mark.parametrize("encoding", ["cp037", "cp500", "cp1047", "cp933", "cp1364", "cp939"])
@pytest.mark.parametrize(("kind", "raw", "value"), WIRE, ids=lambda v: getattr(v, "rule", None))
def test_an_ebcdic_family_has_ebcdic_bytes(kind, raw, value, encoding):
    one = OneField(kind, encoding)
    assert one.reads(raw) == value
    if not (isinstance(value, str) and value in CODES):
        assert one.writes(value) == raw


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["ascii", "cp037", "cp500", "cp1047", "cp933", "cp930"]), st.lists(st.binary(min_size=4, max_size=4), min_size=5))
def test_any_four_bytes_are_a_code_that_is_written_back_or_a_fault(encoding, all_bytes):
    one = OneField(Code(4), encoding)
    for raw in all_bytes:
        one.reads(raw)
        one.reads(one.kind.charset.wire(bytes(32 + byte % 95 for byte in raw)))


def test_filler_is_blank_in_the_familys_encoding():
    assert Filler(3).with_encoding("cp933").write(None) == b"\x40\x40\x40"
    assert Filler(3).with_encoding("cp949").write(None) == b"   "


def test_a_length_is_counted_in_the_familys_digits():
    kind = Length(4).with_encoding("cp037").adjusted(-4)
    assert kind.write_in(None, 304) == b"\xf0\xf3\xf0\xf0" and kind.read_in(b"\xf0\xf3\xf0\xf0", 304) == 300
    with pytest.raises(FieldFault, match="E-FLD-01"):
        kind.read_in(b"0300", 304)


# --- flags ----------------------------------------------------------------------------------------------------------

BITS = {"urgent": 0x80, "test": 0x01}


def test_flags_are_the_names_of_the_bits_that_are_set():
    one = OneField(Flags(1, BITS))
    assert [one.reads(raw) for raw in (b"\x00", b"\x80", b"\x81")] == [[], ["urgent"], ["urgent", "test"]]
    assert [one.writes(names) for names in ([], ["test"], ["test", "urgent"], ("urgent",))] == [b"\x00", b"\x01", b"\x81", b"\x80"]
    assert [one.writes(names) for names in (["fast"], "test", 1, None, [1])] == ["E-FLD-07", *["E-FLD-12"] * 4]


def test_every_byte_of_flags_comes_back_with_the_bits_that_have_no_name():
    one, strict, wide = OneField(Flags(1, BITS)), OneField(Flags(1, BITS, rest="refuse")), OneField(Flags(2, {"first": 0x8000}))
    for byte in range(256):
        raw = bytes([byte])
        expected = [name for name, mask in BITS.items() if byte & mask]
        assert one.reads(raw) == expected
        assert strict.reads(raw) == (expected if byte & 0x7E == 0 else "E-FLD-07")
        assert wide.reads(raw + b"\x00") == (["first"] if byte & 0x80 else [])


def test_a_list_of_flags_is_the_callers_own():
    message = OneField(Flags(1, BITS)).message
    message.decode(b"1\x81").body["field"].clear()
    assert message.decode(b"1\x81").body["field"] == ["urgent", "test"]


def test_flags_in_json_are_a_list_of_names():
    kind = Flags(1, BITS)
    assert kind.of_json(kind.as_json(["test"])) == ["test"]
    for bad in (None, "test", {"test": True}, [1]):
        with pytest.raises(FieldFault, match="E-FLD-12"):
            kind.of_json(bad)


FLAG_MISTAKES = [
    (Flags(1, {}), "no bit"),
    (Flags(1, {"a": 3}), "one bit"),
    (Flags(1, {"a": 0x100}), "one bit"),
    (Flags(1, {"a": True}), "one bit"),
    (Flags(1, {"a": 1, "b": 1}), "mask of another"),
    (Flags(1, {"a": 1}, rest="drop"), "rest must be"),
    (Flags(1, ["a"]), "bits must be a table"),
]


@pytest.mark.parametrize(("kind", "words"), FLAG_MISTAKES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_declaration_of_flags_is_told_at_load(kind, words):
    assert any(words in what and code in CODES for code, what in kind.mistakes())


# --- edited pictures ------------------------------------------------------------------------------------------------
# What COBOL prints is in test_cobol_numbers.py; here is what a compiler cannot be asked.

NOT_AS_PRINTED = [
    ("ZZ9.99-", b"001.50-"),
    ("ZZ9.99-", b" 1 .50-"),
    ("ZZ9.99-", b"  1,50-"),
    ("ZZ9.99-", b"  0.00-"),
    ("ZZ9.99CR", b"  1.50DB"),
    ("+++9", b"+  9"),
    ("$$,$$9", b"$,   9"),
    ("999", b" 99"),
    ("***", b" *5"),
    ("9B9", b"9X9"),
]


@pytest.mark.parametrize(("picture", "raw"), NOT_AS_PRINTED)
def test_what_the_picture_would_not_print_is_refused(picture, raw):
    assert OneField(Edited(picture)).reads(raw) == "E-FLD-01"


def test_blanks_in_an_edited_field_are_no_value_unless_the_picture_prints_zero_so():
    assert OneField(Edited("ZZ9")).reads(b"   ") is None
    assert OneField(Edited("ZZ9", "error")).reads(b"   ") == "E-FLD-06"
    assert OneField(Edited("ZZZ")).reads(b"   ") == 0
    assert OneField(Edited("ZZZ")).writes(None) == "E-FLD-06"
    assert OneField(Edited("ZZ9", "when zero")).reads(b"   ") == 0
    assert OneField(Edited("ZZ9", "when zero")).writes(0) == b"   "


def test_what_move_would_cut_is_refused():
    one = OneField(Edited("ZZ9.99"))
    assert [one.writes(D(value)) for value in ("1000", "0.001", "-1")] == ["E-FLD-05", "E-FLD-05", "E-FLD-01"]
    assert OneField(Edited("ZZ9", most=500)).writes(501) == OneField(Edited("ZZ9", most=500)).reads(b"501") == "E-FLD-02"


def test_other_points_and_currencies():
    assert Edited("Z.ZZ9,99", comma=True).write(D("1234.5")) == b"1.234,50"
    assert Edited("\\\\,\\\\9", currency="\\").write(12) == b"   \\12"
    assert Edited("#(4)9", currency="#").write(12) == b"  #12"


@settings(deadline=None)
@given(
    st.sampled_from(["Z(8)9.99-", "$$,$$9.99CR", "+(5)9", "----", "**,***.**", "9(3)V99", "ZZ,ZZZ.ZZ", "-9B9/99", "$*,**9.99-"]),
    st.integers(-(10**9), 10**9),
    st.sampled_from(["ascii", "cp037"]),
)
def test_a_number_in_an_edited_picture_is_read_again(picture, units, encoding):
    one = OneField(Edited(picture), encoding)
    units = units % 10**one.kind.digits * (-1 if units < 0 and one.kind.signed else 1)
    value = D(units).scaleb(-one.kind.scale) if one.kind.scale else units
    assert one.reads(one.writes(value)) == value


PICTURE_MISTAKES = [
    ("X(3)", "no symbol"),
    ("", "no place for a digit"),
    ("ZZ*9", "two ways"),
    ("+9-", "two signs"),
    ("9.9.9", "two decimal points"),
    ("9V9.9", "two decimal points"),
    ("9CR9", "before its end"),
    ("9Z", "behind a 9"),
    ("9.ZZ", "behind a 9"),
    ("Z(0)9", "256 bytes"),
    ("9(9999)", "256 bytes"),
]


@pytest.mark.parametrize(("picture", "words"), PICTURE_MISTAKES)
def test_a_picture_that_is_none_is_told_at_load(picture, words):
    assert [code for code, what in Edited(picture).mistakes() if words in what] == ["E-CFG-20"]


def test_a_wrong_currency_is_told_at_load():
    assert any("currency must be" in what for _, what in Edited("999", currency="₩").mistakes())
    assert any("currency must be" in what for _, what in Edited("999", currency="Z").mistakes())


# --- an EBCDIC family as a whole --------------------------------------------------------------------------------------


def ebcdic_family(kind="ebcdic"):
    """A length inside the telegram, a key, a constant and a filler, all in EBCDIC."""
    return Family(
        name="host",
        title="a host's family",
        version="1",
        encoding="cp933",
        framing=Framing(LengthField(offset=0, width=4, kind=kind, counts="all"), header=8),
        header=Struct("size" / Length(4), "type" / Code(4, digits=True)),
        key=("type",),
        correlation=("type",),
        messages=[
            Message("ask", "", ("0200",), Struct("name" / Text(10), Fixed("END"), Filler(2)), reply=Reply.none()),
            Message("tell", "", ("0210",), Struct("amount" / Packed(5)), reply=Reply.none()),
        ],
    )


def test_frames_of_an_ebcdic_family_are_found_by_their_key_and_counted_in_its_digits():
    spec = compile_family(ebcdic_family())
    name = "홍길동".encode("cp933")
    frame = "00230200".encode("cp037") + name.ljust(10, b"\x40") + b"\xc5\xd5\xc4\x40\x40"
    telegram = spec.decode(frame)
    assert telegram.message.name == "ask" and telegram.body == {"name": "홍길동"} and telegram.header == {"size": 23, "type": "0200"}
    assert spec.encode(telegram) == frame and telegram.residue is None
    assert spec.messages["tell"].encode({}, {"amount": -12}) == "00110210".encode("cp037") + b"\x00\x01\x2d"


def test_a_length_in_another_alphabet_than_its_familys_is_told_at_load():
    with pytest.raises(SpecError, match="must be EBCDIC digits"):
        compile_family(ebcdic_family("ascii"))
