"""Code pages: every code and every character against the C library's iconv, and what shift bytes do to a field."""

from __future__ import annotations

import codecs
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iconv_oracle import reader, writer

from telegram_router.telegrams.codepages import MIXED, SINGLE

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
    single = {code: text for code, text in iconv_reads("sjis").items() if len(code) == 1}
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
