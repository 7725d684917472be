"""The ruler: every byte's hex above its own character, carets under the bad ones, stars for what is masked."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.telegrams import Amount, Code, Date, Digits, Packed, Text, Zoned
from telegram_router.telegrams.explain import display_width
from telegram_router.telegrams.fields import FieldFault, Kind
from telegram_router.telegrams.ruler import Line, Stretch, bad_places, characters, ruler

KOREAN = Text(8, "cp949")


def lines(telegram: bytes, *stretches: Stretch, bad: set[int]) -> list[Line]:
    return list(ruler(telegram, stretches, min(bad), max(bad) + 1, frozenset(bad)))


def test_hex_text_and_carets_stand_one_below_the_other_though_hangul_is_wide():
    telegram = b"AB" + "홍길동".encode("cp949") + b"\xff 12"
    (line,) = lines(telegram, Stretch(0, 2, Code(2), False), Stretch(2, 8, KOREAN, False), Stretch(10, 2, Digits(2), False), bad={8})
    assert [*line.lines()] == [
        "4                 10",
        "b1 e6 b5 bf ff 20 31 32",
        "길    동    ·     1  2",
        "            ^^",
    ]
    column = line.hex.index("ff")
    assert display_width(line.text[: line.text.index("·")]) == column == line.carets.index("^")


def test_what_is_masked_is_stars_in_hex_and_text():
    (line,) = lines(b"SECRETxx1A", Stretch(0, 8, Text(8), True), Stretch(8, 2, Digits(2), False), bad={9})
    assert "SEC" not in line.text and line.hex == "** ** ** 31 41" and line.text == "*  *  *  1  A"


def test_a_long_stretch_is_shown_only_where_something_is_bad():
    telegram = b"0" * 150 + b"x" + b"0" * 149
    found = list(ruler(telegram, [Stretch(0, 300, None, False)], 0, 300, frozenset([150])))
    assert len(found) == 1 and found[0].marks.startswith("144") and found[0].carets.strip() == "^^"


def test_neighbours_that_are_bad_share_one_line_of_carets():
    (line,) = lines(b"00AB00", Stretch(0, 6, Digits(6), False), bad={2, 3})
    assert line.carets == "      ^^^^^"


def test_text_is_shown_in_the_fields_own_encoding():
    assert characters(Text(4, "cp037"), "AB 1".encode("cp037")) == ["A", "B", " ", "1"]
    assert characters(Text(5, "shift_jis"), "ｶ日本".encode("shift_jis")) == ["ｶ", "日", "", "本", ""]
    assert characters(Text(6, "utf-8"), "가나".encode()) == ["가", "", "", "나", "", ""]
    assert characters(Text(8, "cp933"), "한글A".encode("cp933").ljust(8, b"\x40")) == ["·", "한", "", "글", "", "·", "A", " "]
    assert characters(Text(4, "cp933", double_byte=True), "한글".encode("cp933")[1:-1]) == ["한", "", "글", ""]
    assert characters(Text(4, "cp949", double_byte=True), "한글".encode("cp949")) == ["한", "", "글", ""]
    assert characters(Text(4, "utf-16-be", double_byte=True), "한A".encode("utf-16-be")) == ["한", "", "A", ""]
    assert characters(None, b"A\x1b\xff") == ["A", "·", "·"]
    assert characters(KOREAN, b"\xc8") == ["·"]


def blamed(kind: Kind, part: bytes) -> list[int]:
    try:
        kind.read(part)
    except FieldFault as fault:
        return list(bad_places(kind, part, len(part), fault.what))
    raise AssertionError("the field is good")


def test_the_bytes_to_blame_are_found():
    assert blamed(Digits(6), b"00A000") == [2]
    assert blamed(Digits(6), b"00AB00") == [2, 3]
    assert blamed(Digits(6, blank="error"), b"      ") == [*range(6)]
    assert blamed(Amount(4), b"*0001") == [0]
    assert blamed(Zoned(4, dialect="ascii"), b"000}") == [3]
    assert blamed(Packed(5), bytes.fromhex("12a45c")) == [1]
    assert blamed(Text(8, "cp949"), "홍길".encode("cp949") + b"\xff  \xc8") == [4, 7]
    assert blamed(Text(4), b"A\x00B ") == [1]
    assert blamed(Code(3), b"A\xff ") == [1]
    assert blamed(Date(), b"20240A15") == [5]
    assert blamed(Date(), b"20249999") == [*range(8)]
    assert blamed(Code(2, ["AA", "BB"]), b"zz") == [0, 1]


@settings(max_examples=150, deadline=None)
@given(
    st.binary(min_size=1, max_size=40), st.sampled_from([None, KOREAN, Text(9, "shift_jis"), Text(9, "utf-8"), Text(9, "cp933"), Digits(3)])
)
def test_every_byte_has_its_place_whatever_it_is(part: bytes, kind: Kind | None):
    shown = characters(kind, part)
    assert len(shown) == len(part) and all(text.isprintable() for text in shown)
    for line in ruler(part, [Stretch(0, len(part), kind, False)], 0, len(part), frozenset([0])):
        for above in line.lines():
            assert display_width(above) <= 3 * len(line.cells)
