"""Code pages: every code and every character against the C library's iconv, and what shift bytes do to a field."""

from __future__ import annotations

import codecs
import itertools
import json
import unicodedata
from functools import cache

import pytest
from construct import Struct
from hypothesis import given, settings
from hypothesis import strategies as st
from iconv_oracle import codes_of, reader, writer

from telegram_router.errors import CODES, Delivery, FieldError
from telegram_router.telegrams import (
    Code,
    Digits,
    ErrorReply,
    Family,
    FieldFault,
    Filler,
    Framing,
    LengthField,
    Message,
    Plus,
    Text,
    compile_family,
)
from telegram_router.telegrams.codec import Codec
from telegram_router.telegrams.codepages import MIXED, SINGLE
from telegram_router.telegrams.json_form import from_json, to_json
from telegram_router.telegrams.json_mapping import JsonMapping

PAGES = ("cp037", "cp500", "cp1047", *MIXED)


def decoded(page: str, content: bytes) -> str | None:
    try:
        return content.decode(page)
    except UnicodeDecodeError:
        return None


def encoded(page: str, text: str) -> bytes | None:
    try:
        return text.encode(page)
    except UnicodeEncodeError:
        return None


@cache
def iconv_reads(page: str) -> dict[bytes, str | None]:
    return dict(reader(page))


@cache
def iconv_writes(page: str) -> dict[str, bytes | None]:
    return dict(writer(page))


# --- every code ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_code_reads_as_iconv_reads_it(page):
    reads = dict(iconv_reads(page))
    if page in MIXED:
        assert reads.pop(b"\x0f") == ""  # the C library passes over a shift-in that nothing precedes; here it is a fault
        assert decoded(page, b"\x0f") is None
    assert {code: decoded(page, code) for code in reads} == reads


# The C library writes these otherwise than it reads them. Ours refuses a character where iconv would write another one's code,
# since the text would come back changed: SUB (0x3F) for what the page does not have, or a character that looks alike
# (U+2015 for U+2014, new forms of kanji for old ones). Backslash and tilde of the Japanese pages, which iconv writes as yen
# sign and overline, are written by their own codes.
OTHERWISE = {"cp037": 0, "cp500": 0, "cp1047": 0, "cp933": 70, "cp1364": 21, "cp930": 155, "cp939": 156}
BY_ITS_OWN_CODE = {"cp930": {"~": b"\xa0", "\\": b"\xb2"}, "cp939": {"~": b"\xa1", "\\": b"\xe0"}}


@pytest.mark.parametrize("page", PAGES)
def test_every_character_is_written_as_iconv_writes_it_where_it_would_be_read_again(page):
    reads, own = iconv_reads(page), BY_ITS_OWN_CODE.get(page, {})
    writes = iconv_writes(page)
    otherwise = {character for character, code in writes.items() if code is not None and reads.get(code) != character}
    assert len(otherwise) == OTHERWISE[page]
    expected = {character: own.get(character) if character in otherwise else code for character, code in writes.items()}
    assert {character: encoded(page, character) for character in writes} == expected


def test_cp1047_ends_lines_as_the_c_library_has_it():
    """z/OS swaps the two line ends of this page, iconv does not. Both are control characters, which no text field takes."""
    assert b"\x15\x25".decode("cp1047") == "\x85\n"


KOREAN_NAMES = [("홍길동", "0ed1b78ba995b70f"), ("", ""), ("A홍B", "c10ed1b70fc2"), ("홍 길", "0ed1b70f400e8ba90f")]


@pytest.mark.parametrize(("text", "content"), KOREAN_NAMES)
@pytest.mark.parametrize("page", ["cp933", "cp1364"])
def test_korean_stands_between_shift_bytes(page, text, content):
    assert text.encode(page) == bytes.fromhex(content)
    assert bytes.fromhex(content).decode(page) == text


FAULTS = [
    ("0ed1b78b", 3, 4, "incomplete multibyte sequence"),
    ("0ed1b70e", 3, 4, "shift-out inside double-byte text"),
    ("c10f", 1, 2, "shift-in without a shift-out"),
    ("0e00410f", 1, 3, "no character of the code page"),
    ("c141", 1, 2, "no character of the code page"),
    ("0ed1b7fefe0f", 3, 5, "no character of the code page"),
    ("0ed1b7fe0f", 3, 4, "incomplete multibyte sequence"),
]


@pytest.mark.parametrize(("content", "start", "end", "reason"), FAULTS)
def test_a_fault_says_which_byte(content, start, end, reason):
    with pytest.raises(UnicodeDecodeError) as fault:
        bytes.fromhex(content).decode("cp933")
    assert (fault.value.start, fault.value.end, fault.value.reason) == (start, end, reason)
    replaced = bytes.fromhex(content).decode("cp933", "replace")
    assert "\ufffd" in replaced and replaced.count("홍") == content.count("d1b7")


@pytest.mark.parametrize(
    ("content", "text"),
    [("0e0f", ""), ("c10e0fc2", "AB"), ("0ed1b70f0ed1b70f", "홍홍"), ("0ed1b7", "홍"), ("c10e", "A"), ("0e40400f", "\u3000")],
)
def test_other_ways_to_shift_are_read(content, text):
    assert bytes.fromhex(content).decode("cp933") == text


@pytest.mark.parametrize("page", [*SINGLE, *MIXED])
def test_error_handlers_of_python_work(page):
    assert "A\U0001f600B".encode(page, "replace") == "A?B".encode(page)
    assert "A\U0001f600B".encode(page, "ignore") == "AB".encode(page)
    assert "A\u0e01B".encode(page, "xmlcharrefreplace") == "A&#3585;B".encode(page)
    with pytest.raises(UnicodeEncodeError) as fault:
        "AB\u0e01".encode(page)
    assert (fault.value.start, fault.value.end) == (2, 3)


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("IBM-933", "cp933"),
        ("ibm1047", "cp1047"),
        ("CP1364", "cp1364"),
        ("ibm_0939", "cp939"),
        ("JIS_X0201", "jisx0201"),
        ("csibm930", "cp930"),
    ],
)
def test_a_page_answers_to_its_other_names(name, page):
    assert codecs.lookup(name).name == page


def test_jisx0201_is_the_single_bytes_of_older_shift_jis():
    single = dict(itertools.islice(reader("sjis"), 256))
    assert {code: decoded("jisx0201", code) for code in single} == single
    assert sum(text is not None for text in single.values()) == 128 + 63


@cache
def texts(page: str) -> st.SearchStrategy[str]:
    """Texts of a page that a field takes."""
    single, double = (
        [text for code, text in iconv_reads(page).items() if text and text.isprintable() and (len(code) > 1) == wide]
        for wide in (False, True)
    )
    return st.text(st.one_of(st.sampled_from(single), st.sampled_from(double)), max_size=12)


@pytest.mark.parametrize("page", MIXED)
@settings(max_examples=60)
@given(data=st.data())
def test_text_of_a_page_comes_back(page, data):
    text = data.draw(texts(page))
    content = text.encode(page)
    assert content.decode(page) == text
    wide = [len(character.encode(page)) == 4 for character in text]
    runs = sum(here and not before for here, before in zip(wide, [False, *wide], strict=False))
    assert len(content) == len(text) + sum(wide) + 2 * runs
    assert content.count(b"\x0e") == content.count(b"\x0f") == runs


# --- Korean and Japanese pages of ASCII machines ---------------------------------------------------------------------------


@cache
def codes_with_a_character(page: str) -> dict[bytes, str]:
    """Each code that reads as one character."""
    texts = {code: decoded(page, code) for code in codes_of("cp949")}
    return {code: text for code, text in texts.items() if text is not None and len(text) == 1}


def test_cp949_is_the_c_librarys():
    assert {code: decoded("cp949", code) for code in codes_of("cp949")} == iconv_reads("cp949")
    writes = iconv_writes("cp949")
    assert {character: encoded("cp949", character) for character in writes} == writes


def test_all_17176_codes_of_cp949_come_back():
    codes = codes_with_a_character("cp949")
    assert len(codes) == 17_176
    assert all(text.encode("cp949") == code for code, text in codes.items())
    text = Text(2, "cp949")
    for code in codes:
        if code[0] >= 0x20 and code != b"\x7f":
            assert text.write(text.read(code.ljust(2))) == code.ljust(2)


def test_ksx1001_strictness_refuses_8822_hangul_and_nothing_else():
    codes, strict = codes_with_a_character("cp949"), Text(2, "cp949", strict="ksx1001")
    refused = {code: text for code, text in codes.items() if text.isprintable() and refusal(strict.read, code.ljust(2))}
    assert len(refused) == 8_822 == 11_172 - 2_350
    assert all("가" <= text <= "힣" for text in refused.values())
    assert {refusal(strict.read, code) for code in refused} == {refusal(strict.write, text) for text in refused.values()} == {"E-ENC-02"}
    kept = {code: text for code, text in codes.items() if code not in refused}
    assert all(encoded("cp949_ksx1001", text) == code and decoded("cp949_ksx1001", code) == text for code, text in kept.items())


# Python takes five bytes for characters that no Japanese page has there: the C library refuses them.
NO_CHARACTERS = frozenset(b"\x80\xa0\xfd\xfe\xff")
# What iconv writes with another character's code: yen sign and overline as backslash and tilde, an em dash as a horizontal bar.
WRITTEN_AS_OTHERS = {"¥", "‾", "—"}


def test_cp932_is_the_c_librarys_but_for_what_is_named_here():
    reads, writes = iconv_reads("cp932"), iconv_writes("cp932")
    assert {code for code in reads if decoded("cp932_windows", code) != reads[code]} == {
        code for code in reads if decoded("cp932", code) is not None and NO_CHARACTERS & set(code) and reads[code] is None
    }
    differ = {character for character, code in writes.items() if encoded("cp932_windows", character) != code}
    assert differ == WRITTEN_AS_OTHERS | {decoded("cp932", bytes([code])) for code in NO_CHARACTERS}
    # Both write these as their full-width fellows, so that they would come back as others: a text field refuses them.
    folded = {
        character
        for character, code in writes.items()
        if code == encoded("cp932_windows", character) and reads.get(code) != character and code
    }
    assert folded == set("¢£¬‖−〜")
    assert {refusal(Text(4, "cp932").write, character) for character in folded} == {"E-ENC-03"}


def test_ibms_373_additions_to_cp932_have_two_codes_and_are_written_by_ibms():
    """Python writes them by NEC's."""
    writes = iconv_writes("cp932")
    twice = {character for character, code in writes.items() if code and encoded("cp932", character) not in (code, None)}
    assert len(twice) == 373 and {"髙", "﨑"} <= twice
    assert all(encoded("cp932", character)[0] in (0xED, 0xEE) and writes[character][0] in (0xFA, 0xFB, 0xFC) for character in twice)
    assert Text(6, "cp932").write("髙﨑") == bytes.fromhex("fbfcfab12020")
    assert {Text(4, "cp932").read("髙﨑".encode("cp932")), Text(4, "cp932").read(bytes.fromhex("fbfcfab1"))} == {"髙﨑"}
    assert "a髙\u0e01﨑b".encode("cp932_windows", "replace") == bytes.fromhex("61fbfc3ffab162")


def test_cp932_codes_that_are_written_otherwise_are_kept_beside_the_text():
    kind, kept = Text(4, "cp932"), 0
    for code, text in codes_with_a_character("cp932").items():
        if refusal(kind.read, code.ljust(4)) or code == b" ":
            continue
        raw = code.ljust(4)
        if not kind.is_canonical(raw, text, 4):
            kept += 1
        else:
            assert kind.write(text) == raw
    assert kept == 398


@pytest.mark.parametrize("kana", ["ｶﾌﾞｼｷｶﾞｲｼﾔ", "ﾆﾎﾝ ﾀﾛｳ", "｢ｱ｣"])
@pytest.mark.parametrize("page", ["cp932", "shift_jis", "jisx0201"])
def test_half_width_kana_have_one_byte_and_their_sound_marks_one_more(page, kana):
    kind = Text(30, page)
    assert len(kana.encode(page)) == len(kana)
    assert kind.read(kind.write(kana)) == kana


# --- fields ----------------------------------------------------------------------------------------------------------------


def refusal(call, *given) -> str | None:
    """The code with which a call refuses, None when it does not."""
    try:
        call(*given)
    except FieldFault as fault:
        assert fault.code in CODES
        return fault.code
    return None


H, SO, SI, W = bytes.fromhex, b"\x0e", b"\x0f", b"\x40"
HONG, GIL, DONG = H("d1b7"), H("8ba9"), H("95b7")

READS = [
    (Text(8, "cp933"), SO + HONG + GIL + DONG + SI, "홍길동"),
    (Text(12, "cp933"), SO + HONG + GIL + DONG + SI + W * 4, "홍길동"),
    (Text(10, "cp933"), SO + HONG + SI + W + H("c1c2") + W * 3, "홍 AB"),
    (Text(6, "cp933"), W * 6, ""),
    (Text(8, "cp933", align="right"), W * 4 + SO + HONG + SI, "홍"),
    # cut inside SO...SI behind a whole character: closed
    (Text(7, "cp933"), SO + HONG + GIL + DONG, "홍길동"),
    (Text(3, "cp933"), SO + HONG, "홍"),
    (Text(4, "cp933"), W * 3 + SO, ""),
    (Text(4, "cp933"), H("c1c2c3") + SO, "ABC"),
    # blanks of two bytes
    (Text(8, "cp933"), SO + HONG + H("4040") * 2 + SI, "홍　　"),
    (Text(8, "cp933", wide=True), SO + HONG + H("4040") * 2 + SI, "홍"),
    (Text(8, "cp933", wide=True), SO + HONG + H("4040") + SI + W * 2, "홍"),
    (Text(7, "cp933", wide=True), SO + HONG + H("4040") * 2, "홍"),
    (Text(8, "cp949", wide=True), "홍　　 ".encode("cp949") + b" ", "홍"),
    (Text(8, "cp949", wide=True), "　홍　　".encode("cp949"), "　홍"),
    (Text(8, "cp949", wide=True, align="right"), " 　".encode("cp949") + b" " + "홍길".encode("cp949"), "홍길"),
    (Text(6, "cp932", wide=True), "日　　".encode("cp932"), "日"),
    # double-byte characters only
    (Text(6, "cp933", double_byte=True), HONG + GIL + DONG, "홍길동"),
    (Text(8, "cp933", double_byte=True), HONG + H("4040") * 3, "홍"),
    (Text(6, "cp939", double_byte=True), "日本".encode("cp939")[1:-1] + H("4040"), "日本"),
    (Text(8, "cp949", double_byte=True), "홍Ａ　　".encode("cp949"), "홍Ａ"),
    (Text(8, "cp949", double_byte=True), "홍길    ".encode("cp949"), "홍길"),
    (Text(8, "utf-16-be", double_byte=True), "홍A  ".encode("utf-16-be"), "홍A"),
    (Text(6, "utf-16-le", double_byte=True, null="low"), "홍\0\0".encode("utf-16-le"), "홍"),
    # low values
    (Text(5, "cp949", null="low"), b"AB\0\0\0", "AB"),
    (Text(5, "cp949", null="low"), b"AB \0 ", "AB"),
    (Text(5, "cp949", null="low"), b"\0" * 5, ""),
    (Text(5, "cp037", null="low"), H("c1c2000000"), "AB"),
    (Text(8, "cp933", null="low"), SO + HONG + SI + b"\0" * 4, "홍"),
    (Text(6, "cp933", null="low"), SO + HONG + b"\0" * 3, "홍"),
    (Text(6, "cp933", null="low", double_byte=True), HONG + b"\0" * 4, "홍"),
    (Text(4, "cp1047"), H("ad5fbd40"), "[^]"),
    (Text(4, "cp037", align="right"), H("4040c1c2"), "AB"),
]


@pytest.mark.parametrize(("kind", "raw", "text"), READS)
def test_it_reads(kind, raw, text):
    assert not kind.mistakes()
    assert kind.read(raw) == Struct("field" / kind).parse(raw)["field"] == text


REFUSED_BYTES = [
    (Text(4, "cp933"), SO + HONG + H("8b"), "E-ENC-01", "ends inside a character, at byte 4"),
    (Text(4, "cp933"), SO + HONG + W, "E-ENC-01", "ends inside a character, at byte 4"),
    (Text(5, "cp933"), SO + HONG + H("8b") + SI, "E-ENC-01", "half a character in front of a shift-in, at byte 4"),
    (Text(5, "cp933"), SO + HONG + SO + SI, "E-ENC-01", "shift-out inside double-byte text, at byte 4"),
    (Text(3, "cp933"), H("c1") + SI + W, "E-ENC-01", "shift-in without a shift-out, at byte 2"),
    (Text(3, "cp933"), H("c141c1"), "E-ENC-01", "byte 2 of the field begins no character"),
    (Text(6, "cp933"), SO + HONG + H("41ff") + SI, "E-ENC-01", "byte 4 of the field begins no character"),
    (Text(4, "cp933", double_byte=True), HONG + H("8bff"), "E-ENC-01", "byte 3 of the field begins no character"),
    (Text(5, "cp933", double_byte=True), HONG + GIL + H("95"), "E-ENC-01", "ends inside a character, at byte 5"),
    (Text(4, "utf-16-be", double_byte=True), H("d55cd800"), "E-ENC-01", "byte 3 of the field begins no character"),
    (Text(6, "cp949", double_byte=True), "홍AB길".encode("cp949"), "E-ENC-01", "byte 3 of the field begins no double-byte character"),
    (Text(6, "cp949", align="right"), b"  \xb0\xa1\xb0 ", "E-ENC-01", "byte 5 of the field"),
    (Text(4, "cp037"), H("c115c240"), "E-ENC-04", "character 2 of the field"),
    (Text(4, "cp933"), H("c100c240"), "E-ENC-04", "character 2 of the field"),
    (Text(5, "cp949"), b"AB\0\0\0", "E-ENC-04", "character 3 of the field"),
    (Text(5, "cp949", null="low"), b"A\0B\0\0", "E-ENC-04", "character 2 of the field"),
    (Text(4, "cp949", strict="ksx1001"), "가똠".encode("cp949"), "E-ENC-02", "character at byte 3 of the field is not in KS X 1001"),
    (Text(4, "cp949", strict="ksx1001"), "가".encode("cp949") + b"\x80A", "E-ENC-01", "byte 3 of the field begins no character"),
    (Text(3, "cp949", strict="ksx1001"), "가".encode("cp949") + b"\xb0", "E-ENC-01", "ends inside a character, at byte 3"),
    (Text(6, "cp933", wide=True, required=True), SO + H("4040") * 2 + SI, "E-FLD-06", "blank"),
    (Text(3, "jisx0201"), b"A\x80B", "E-ENC-01", "byte 2 of the field"),
]


@pytest.mark.parametrize(("kind", "raw", "code", "what"), REFUSED_BYTES)
def test_it_refuses_bytes_and_says_where(kind, raw, code, what):
    with pytest.raises(FieldFault) as fault:
        kind.read(raw)
    assert fault.value.code == code in CODES
    assert what in fault.value.what


WRITES = [
    (Text(8, "cp933"), "홍길동", SO + HONG + GIL + DONG + SI),
    (Text(10, "cp933"), "홍 A", SO + HONG + SI + W + H("c1") + W * 4),
    (Text(8, "cp933", align="right"), "홍", W * 4 + SO + HONG + SI),
    (Text(9, "cp933", pad="wide"), "홍", SO + HONG + H("4040") * 2 + SI + W),
    (Text(8, "cp933", pad="wide"), "A", H("c1") + SO + H("4040") * 2 + SI + W),
    (Text(4, "cp933", pad="wide"), "ABC", H("c1c2c3") + W),
    (Text(8, "cp933", pad="wide", align="right"), "홍", SO + H("4040") * 2 + HONG + SI),
    (Text(7, "cp949", pad="wide"), "홍", "홍　　 ".encode("cp949")),
    (Text(6, "cp933", double_byte=True), "홍", HONG + H("4040") * 2),
    (Text(6, "cp933", double_byte=True), "", H("4040") * 3),
    (Text(6, "utf-16-be", double_byte=True), "홍A", "홍A ".encode("utf-16-be")),
    (Text(6, "cp932", double_byte=True, align="right"), "日", "　　日".encode("cp932")),
    (Text(4, "cp037"), "AB", H("c1c24040")),
    (Text(4, "cp1047"), "[^]", H("ad5fbd40")),
    (Text(6, "cp933"), "홍길".replace("홍", unicodedata.normalize("NFD", "홍")), SO + HONG + GIL + SI),
    (Text(8, "cp949"), unicodedata.normalize("NFD", "홍길동"), "홍길동  ".encode("cp949")),
    (Text(4, "cp949", replace={"₩": "￦"}), "₩1", "￦1 ".encode("cp949")),
    (Text(4, "cp949", strict="ksx1001", replace={"똠": "돔"}), "똠", "돔  ".encode("cp949")),
    (Text(4, "cp933"), "₩", H("e0") + W * 3),
    # what is too long, where the spec lets it be cut
    (Text(6, "cp949", truncate="char"), "가나다라", "가나다".encode("cp949")),
    (Text(5, "cp949", truncate="char"), "가나다라", "가나 ".encode("cp949")),
    (Text(7, "cp933", truncate="char"), "홍길동", SO + HONG + GIL + SI + W),
    (Text(3, "cp933", truncate="char"), "홍", W * 3),
    (Text(5, "cp933", truncate="char"), "AB홍", H("c1c2") + W * 3),
    (Text(4, "cp933", truncate="char", double_byte=True), "홍길동", HONG + GIL),
    (Text(2, "utf-8", truncate="char"), "é길", "é".encode()),
]


@pytest.mark.parametrize(("kind", "text", "raw"), WRITES)
def test_it_writes(kind, text, raw):
    assert not kind.mistakes()
    assert len(raw) == kind.length
    assert kind.write(text) == raw == Struct("field" / kind).build({"field": text})


REFUSED_TEXTS = [
    (Text(7, "cp933"), "홍길동", "E-FLD-05", "text needs 8 bytes (2 of them shift bytes), field holds 7"),
    (Text(5, "cp949"), "가나다", "E-FLD-05", "text needs 6 bytes, field holds 5"),
    (Text(4, "cp933", double_byte=True), "홍길동", "E-FLD-05", "text needs 6 bytes, field holds 4"),
    (
        Text(9, "cp949", log="clear"),
        "값 ₩1",
        "E-ENC-03",
        "character 3 of the text (U+20A9) does not exist in cp949; U+FFE6 ￦ is probably meant",
    ),
    (Text(9, "cp949"), "값 ₩1", "E-ENC-03", "character 3 of the text does not exist in cp949"),
    (
        Text(9, "cp933", log="clear"),
        "가·나",
        "E-ENC-03",
        "character 2 of the text (U+00B7) does not exist in cp933; U+30FB ・ is probably meant",
    ),
    (Text(9, "cp932", log="clear"), "１〜２", "E-ENC-03", "U+FF5E ～ is probably meant"),
    (Text(9, "cp933", log="clear"), "가😀", "E-ENC-03", "character 2 of the text (U+1F600) does not exist in cp933"),
    (Text(8, "cp933", double_byte=True), "홍A", "E-ENC-03", "character 2 of the text has not two bytes in cp933"),
    (
        Text(8, "cp933", double_byte=True, log="clear"),
        "홍 길",
        "E-ENC-03",
        "as all characters of this field have; U+3000 　 is probably meant",
    ),
    (Text(8, "cp933", double_byte=True, log="clear"), "A", "E-ENC-03", "; U+FF21 Ａ is probably meant"),
    (Text(8, "utf-16-be", double_byte=True), "홍😀", "E-ENC-03", "character 2 of the text has not two bytes"),
    (Text(8, "cp949", double_byte=True), "홍A", "E-ENC-03", "character 2 of the text has not two bytes in cp949"),
    (Text(9, "cp949", strict="ksx1001", log="clear"), "가똠", "E-ENC-02", "character 2 of the text (U+B620) is not in KS X 1001"),
    (Text(9, "cp949", strict="ksx1001"), unicodedata.normalize("NFD", "똠"), "E-ENC-02", "character 1 of the text is not in KS X 1001"),
    (Text(9, "cp949"), "가\u11a8\u1100", "E-ENC-05", "character 2 of the text is a part of a character"),
    (Text(9, "cp949"), "q\u0308", "E-ENC-05", "character 2 of the text is a part of a character"),
    (Text(9, "cp933"), "가\x0e", "E-ENC-04", "control character at character 2"),
    (Text(9, "jisx0201"), "カナ", "E-ENC-03", "character 1 of the text does not exist in jisx0201"),
    (Text(3, "cp933", truncate="char", required=True), "", "E-FLD-06", "blank"),
    (Text(3, "cp933", truncate="char", required=True), "홍", "E-FLD-05", "text needs 4 bytes"),
    (Text(6, "cp933", wide=True, required=True), "　", "E-FLD-06", "blank"),
]


@pytest.mark.parametrize(("kind", "text", "code", "what"), REFUSED_TEXTS)
def test_it_refuses_texts_and_says_why(kind, text, code, what):
    with pytest.raises(FieldFault) as fault:
        kind.write(text)
    assert fault.value.code == code in CODES
    assert what in fault.value.what
    if kind.log == "masked":
        assert "U+" not in fault.value.what


MISTAKES = [
    (Text(4, "euc-kr"), 'write "cp949", with strict="ksx1001"'),
    (Text(4, "ksc5601"), 'write "cp949"'),
    (Text(4, "cp933x"), "is not known"),
    (Text(4, "iso2022_kr"), "plain code page"),
    (Text(4, "cp933", strict="ksx1001"), "is for cp949"),
    (Text(4, "cp949", strict="ksc"), 'strict must be "ksx1001"'),
    (Text(4, "cp949", null="high"), 'null must be "low"'),
    (Text(4, "cp949", truncate="byte"), 'truncate must be "char"'),
    (Text(4, "cp037", wide=True), "double-byte code pages"),
    (Text(4, "utf-8", double_byte=True), "double-byte code pages"),
    (Text(4, "utf-16-be"), "plain code page"),
    (Text(5, "cp949", double_byte=True), "even number of bytes"),
    (Text(4, "cp949", replace={"₩": "€uro😀"}), "does not exist in cp949"),
    (Text(4, "cp949", replace={"ab": "c"}), "a text for each character"),
    (Text(4, "cp932", pad=b"@"), "pad must be one byte"),
    (Text(4, "cp933", pad=SO), "pad must be one byte"),
    (Text(4, "cp949", pad="narrow"), "pad must be bytes"),
]


@pytest.mark.parametrize(("kind", "what"), MISTAKES)
def test_it_refuses_declarations(kind, what):
    assert any(what in text for _, text in kind.mistakes()), kind.mistakes()


# --- properties of fields with shift bytes -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", MIXED)
@settings(max_examples=60)
@given(data=st.data(), length=st.integers(1, 30))
def test_a_text_fits_whole_or_not_at_all(page, data, length):
    text = data.draw(texts(page)).rstrip(" ")
    kind = Text(length, page)
    needs = len(text.encode(page))
    if needs > length:
        assert refusal(kind.write, text) == "E-FLD-05"
    else:
        raw = kind.write(text)
        assert len(raw) == length and kind.read(raw) == text
        assert kind.is_canonical(raw, text, length)


@pytest.mark.parametrize("page", MIXED)
@settings(max_examples=60)
@given(data=st.data(), length=st.integers(1, 30), align=st.sampled_from(["left", "right"]))
def test_a_text_is_cut_between_characters_and_closed(page, data, length, align):
    text = data.draw(texts(page))
    raw = Text(length, page, align=align, truncate="char").write(text)
    assert len(raw) == length and raw.count(SO) == raw.count(SI)
    kept = raw.decode(page).strip(" ")
    assert text.strip(" ").startswith(kept)
    if kept != text.strip(" "):  # one more character would not have fitted
        more = text[: len(text) - len(text.lstrip(" ")) + len(kept) + 1]
        assert len(more.encode(page)) > length or text[len(more) - 1] == " "


@pytest.mark.parametrize("page", MIXED)
@settings(max_examples=40)
@given(data=st.data())
def test_cut_at_every_byte_a_field_reads_as_whole_characters_or_is_refused(page, data):
    text = data.draw(texts(page))
    content = text.encode(page)
    for end in range(1, len(content) + 1):
        cut, kind = content[:end], Text(end, page)
        run = cut[cut.rfind(SO) + 1 :] if cut.count(SO) > cut.count(SI) else b""
        if len(run) % 2:
            assert refusal(kind.read, cut) == "E-ENC-01"
            continue
        value = kind.read(cut)
        assert text.startswith(value)
        assert kind.write(value) == cut if kind.is_canonical(cut, value, end) else refusal(kind.write, value) or kind.write(value) != cut


@pytest.mark.parametrize("page", MIXED)
@settings(max_examples=150)
@given(
    raw=st.lists(st.sampled_from([SO, SI, W, H("c1"), H("4141"), H("41"), H("4040"), HONG, b"\0"]), min_size=1, max_size=12).map(b"".join),
    options=st.fixed_dictionaries(
        {}, optional={"wide": st.just(True), "null": st.just("low"), "pad": st.just("wide"), "align": st.just("right")}
    ),
)
def test_bytes_that_are_read_are_written_back_or_known_not_to_be(page, raw, options):
    kind = Text(len(raw), page, **options)
    try:
        text = kind.read(raw)
    except FieldFault as fault:
        assert fault.code in CODES
        return
    if kind.is_canonical(raw, text, len(raw)):
        assert kind.write(text) == raw


# --- in telegrams ------------------------------------------------------------------------------------------------------------

BODY = Struct(
    "name" / Text(12, log="clear"),
    "right" / Text(6, align="right", log="clear"),
    "must" / Text(4, required=True, log="clear"),
    "wide" / Text(8, "cp933", wide=True, log="clear"),
)


def compiled(encoding: str, **family):
    return compile_family(
        Family(
            name="page",
            header=Struct("type" / Code(2)),
            key=("type",),
            correlation=("type",),
            framing=Framing(LengthField()),
            encoding=encoding,
            messages=[Message("page.request", key=("AB",), body=BODY, kind="oneway")],
            **family,
        )
    ).messages["page.request"]


PLAIN = {"name": "HONG GIL-DONG"[:12], "right": "a1", "must": "x", "wide": "AB"}


@pytest.mark.parametrize("encoding", ["cp037", "cp500", "cp1047", *MIXED, "jisx0201", "cp932", "cp949"])
def test_plain_text_takes_the_quick_way_both_ways(encoding, monkeypatch):
    called = []
    for name in ("slow", "put", "encode"):
        monkeypatch.setattr(Codec, name, lambda *given, name=name: called.append(name))
    message = compiled(encoding)
    if encoding != "jisx0201":  # written by its own codec
        telegram = message.encode({}, PLAIN)
        assert telegram == "".join(("AB", "HONG GIL-DON", "    a1", "x   ")).encode(encoding) + "AB      ".encode("cp933")
    telegram = "".join(("AB", "HONG GIL-DON", "    a1", "x   ")).encode(encoding) + "AB      ".encode("cp933")
    assert message.decode(telegram).body == PLAIN
    assert called == []


@pytest.mark.parametrize("encoding", MIXED)
def test_a_telegram_with_a_run_that_its_fields_end_cut_off_is_written_back_as_it_was(encoding):
    message, one = compiled(encoding), "○".encode(encoding)[1:-1]
    around = "AB".encode(encoding), "    a1x   ".encode(encoding) + SO + HONG + H("4040") * 2 + SI
    cut_behind_a_character = (W + SO + one * 5).join(around)
    read = message.decode(cut_behind_a_character)
    assert (read.body["name"], read.body["wide"]) == (" ○○○○○", "홍")
    assert message.encode(read.header, read.body, read.residue) == cut_behind_a_character
    with pytest.raises(FieldError) as error:
        message.decode((SO + one * 5 + one[:1]).join(around))
    (problem,) = error.value.problems
    assert (problem.code, problem.path, problem.offset) == ("E-ENC-01", "body.name", 2)
    assert "at byte 12 of the field" in problem.text()


def test_a_family_may_be_strict():
    message = compiled("cp949", strict="ksx1001")
    telegram = message.encode({}, PLAIN | {"name": "가나"})
    assert message.decode(telegram).body["name"] == "가나"
    with pytest.raises(FieldError, match="E-ENC-02"):
        message.encode({}, PLAIN | {"name": "똠"})
    with pytest.raises(FieldError, match="E-ENC-02"):
        message.decode(telegram.replace("나".encode("cp949"), "똠".encode("cp949")))
    assert message.spec.encoding == "cp949"


HOST = compile_family(
    Family(
        name="host",
        encoding="cp933",
        header=Struct("type" / Code(4), "number" / Digits(6), "code" / Code(2)),
        key=("type",),
        correlation=("number",),
        framing=Framing(LengthField()),
        reply_rule=Plus("type", 100),
        errors=ErrorReply("header.code", not_sent="98", sent_unknown="99"),
        messages=[
            Message("pay.request", key=("2000",), body=Struct("holder" / Text(12), "note" / Text(6), Filler(8))),
            Message("pay.response", key=("2100",), body=Struct("holder" / Text(12), "note" / Text(6), "why" / Text(12)), kind="reply"),
        ],
    )
)


def host_frame(holder: bytes, note: bytes = W * 6, filler: bytes = W * 8) -> bytes:
    telegram = "2000000007  ".encode("cp933") + holder.ljust(12, W) + note + filler
    return b"%04d" % len(telegram) + telegram


@pytest.mark.parametrize(
    ("frame", "holder", "kept"),
    [
        (host_frame(SO + HONG + GIL + DONG + SI), "홍길동", {}),
        (host_frame(SO + HONG + GIL + DONG + SI, filler=H("c1c2").ljust(8, W)), "홍길동", {"$filler": {"30": "AB"}}),
        (host_frame(W + SO + HONG * 5), " 홍홍홍홍홍", {"$as_sent": {"12": "hex:400e" + "d1b7" * 5}}),
    ],
)
def test_a_telegram_of_a_korean_host_goes_through_json_and_back(frame, holder, kept):
    telegram = HOST.decode(frame)
    shown = json.loads(to_json(telegram))
    assert shown["body"]["holder"] == holder
    assert {name: shown[name] for name in ("$filler", "$as_sent") if name in shown} == kept
    assert HOST.encode(from_json(HOST, to_json(telegram))) == frame


def test_what_json_brings_and_no_page_holds_is_refused_by_its_place():
    given = json.loads(to_json(HOST.decode(host_frame(SO + HONG + SI))))
    for holder, code, what in (
        ("홍길동입니다", "E-FLD-05", "needs 14 bytes (2 of them shift bytes), field holds 12"),
        ("a·b", "E-ENC-03", "character 2 of the text"),
    ):
        given["body"]["holder"] = holder
        with pytest.raises(FieldError) as error:
            HOST.encode(from_json(HOST, json.dumps(given).encode()))
        (problem,) = error.value.problems
        assert (problem.code, problem.path, problem.offset, problem.length) == (code, "body.holder", 12, 12)
        assert what in problem.what and holder not in str(error.value)


def test_a_refusal_is_in_the_families_own_page():
    refused = HOST.error_reply(host_frame(SO + HONG + SI), "E-FLD-01", Delivery.NOT_SENT)
    telegram = HOST.decode(refused)
    assert (telegram.message.name, telegram.header["code"], telegram.body) == (
        "pay.response",
        "98",
        {"holder": "홍", "note": "", "why": ""},
    )


def test_a_value_that_the_configuration_sets_is_written_in_the_fields_own_page():
    made = JsonMapping(HOST, ["pay.request"], literals={"body.why": "길동", "header.code": "00", "body.note": "AB"})
    assert made.problems == ()
    reply = made.response(HOST.decode(host_frame(SO + HONG + SI)), b'{"body": {"holder": "\xea\xb8\xb8"}}')
    assert HOST.encode(reply)[4 + 10 : 4 + 12] == "00".encode("cp933")
    assert (reply.body["why"], reply.body["holder"], reply.body["note"]) == ("길동", "길", "AB")
