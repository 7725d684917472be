"""Declarations as text and back: the same again, and no text is ever run."""

from __future__ import annotations

import pytest

from telegram_router.telegrams.groups import between
from telegram_router.telegrams.spelling import NotADeclaration, read_call, read_declaration, spelled

DECLARATIONS = [
    'Text(14, pad=b"0", align="right", required=True)',
    'Code(2, {"11": "입금 \'a\'", ("20", "29"): "출금"}, log="clear")',
    'Code(1, ("Y", "N"))',
    'Digits(13, scale=2, blank="error")',
    'Amount(13, plus=" ")',
    'Date(blank="zeros", log="clear")',
    'Date(6, form="YYMMDD")',
    'Time(14, form="YYYYMMDDhhmmss")',
    'Fixed(b"\\x02\\xff", or_blank=True)',
    "Filler(3)",
    "Length(4)",
    "Opaque(max=100)",
    "Packed(7, scale=2, signed=False)",
    'Zoned(5, dialect="ebcdic")',
    'Binary(4, order="little")',
    'Float(8, form="ibm")',
    'Edited("Z(8)9.99-")',
    'Flags(1, {"urgent": 128})',
    "Framing(FixedSize(300), header=300)",
    'Framing(LengthField(counts="all"), polls=(Poll(b"PING", None, echo=6),), max=900)',
    'Framing(Terminated(end=b"\\x0a"))',
    'Plus("message_type", 100)',
    'Table("kind", {"1": "2"})',
    'ErrorReply(field="header.code", not_sent="1", sent_unknown="2", set={"header.text": OUR_CODE})',
    'Reply.one("a.response")',
    "Reply.none()",
    'Reply.until("a.response", current="part", total="parts")',
    'between(0, 5, depending="count", storage="shift")',
]


@pytest.mark.parametrize("text", DECLARATIONS)
def test_what_is_read_is_spelled_as_it_was(text: str):
    assert spelled(read_declaration(text)) == text


def test_what_equals_its_default_is_left_out():
    assert spelled(read_declaration('Date(8, "YYYYMMDD", blank="null", log="masked")')) == "Date()"
    assert spelled(between(0, 3, depending="n")) == 'between(0, 3, depending="n")'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "Text(3); 1",
        "__import__('os')",
        "Text(len('abc'))",
        "(lambda: 1)()",
        "Text.__init__",
        "Text(3).read",
        "Text(**{})",
        "Text(*[3])",
        "[x for x in (1,)]",
        "f'{1}'",
        "-'a'",
        "{**{}}",
        "{[]: 1}",
        "Text()",
        "Reply.__class__()",
        "Kind.mro()",
        "(" * 5000,
        "9" * 40_000,
    ],
)
def test_what_is_no_declaration_is_refused_and_never_run(text: str):
    with pytest.raises(NotADeclaration):
        read_declaration(text)


def test_a_call_may_be_read_whose_name_means_nothing():
    assert read_call('Redefines(by="kind", when={("1", "2"): "a"})') == ("Redefines", [], {"by": "kind", "when": {("1", "2"): "a"}})
    with pytest.raises(NotADeclaration):
        read_call("Redefines")


def test_what_has_no_spelling_says_so():
    with pytest.raises(NotADeclaration):
        spelled(object())
