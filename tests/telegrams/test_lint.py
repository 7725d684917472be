"""Every mistake a spec's author can make is found at load, with its code, file and line, all of them at once."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import CODES, SpecError
from telegram_router.telegrams import Spec, load_spec

GOOD = """\
from construct import Struct
from telegram_router.telegrams import *

ACCOUNT = Code(10)
HEADER = Struct(
    "message_type" / Code(4, required=True),
    "code" / Code(2),
    "number" / Digits(6),
    "owner" / Code(6),
    "answer" / Code(4),
)
BODY = Struct(
    "account" / ACCOUNT,
    "amount" / Digits(8),
    Filler(2),
)
spec = Family(
    name="family",
    encoding="cp949",
    header=HEADER,
    length=42,
    framing=Framing(LengthField()),
    key=("message_type", "code"),
    correlation=("number",),
    carrier="number",
    owner="owner",
    reply_rule=Plus("message_type", 10),
    errors=ErrorReply(
        field="header.answer",
        not_sent="E001",
        sent_unknown="E002",
        codes={"E-RTE-01": "E003"},
    ),
    messages=[
        Message("ask.request", "", ("0100", "AA"), BODY),
        Message("tell.request", "", ("0200", "AA"), BODY),
    ],
)
"""


def problems(source: str):
    with pytest.raises(SpecError) as error:
        load_spec(source, "specs/family.py")
    return error.value.problems


def test_the_good_spec_is_good():
    assert isinstance(load_spec(GOOD, "specs/family.py"), Spec)


# Each case: what is replaced by what, the code, the text that stands on the reported line, and words of the message.
CASES = {
    "unknown encoding": ('"cp949"', '"cp9494"', "E-CFG-20", 'encoding="cp9494"', "not known"),
    "encoding with shift states": ('"cp949"', '"iso2022_kr"', "E-CFG-20", "iso2022_kr", "each character's bytes"),
    "encoding of two bytes a blank": ('"cp949"', '"utf-16"', "E-CFG-20", "utf-16", "each character's bytes"),
    "encoding that is none of text": ('"cp949"', '"rot13"', "E-CFG-20", "rot13", "not known"),
    "encoding that makes bytes of bytes": ('"cp949"', '"zlib"', "E-CFG-20", "zlib", "not known"),
    "encoding that raises at everything": ('"cp949"', '"undefined"', "E-CFG-20", "undefined", "not known"),
    "encoding of the names of hosts": ('"cp949"', '"idna"', "E-CFG-20", "idna", "not known"),
    "encoding of Python's sources": ('"cp949"', '"unicode_escape"', "E-CFG-20", "unicode_escape", "each character's bytes"),
    "an encoding that Python writes otherwise than partners do": ('"cp949"', '"euc-kr"', "E-CFG-20", "euc-kr", 'write "cp949", with strict='),
    "strictness that is none": ('encoding="cp949",', 'encoding="cp949", strict="ksc5601",', "E-CFG-20", "ksc5601", 'strict must be "ksx1001"'),
    "strictness of a page that has none": ('encoding="cp949",', 'encoding="cp933", strict="ksx1001",', "E-CFG-20", "ksx1001", "is for cp949, not for cp933"),
    "a wide blank in a family whose page has none": (
        'Filler(2),\n)\nspec = Family(\n    name="family",\n    encoding="cp949"',
        '"memo" / Text(2, wide=True),\n)\nspec = Family(\n    name="family",\n    encoding="cp037"',
        "E-CFG-20", "wide=True", "double-byte code pages, not for cp037",
    ),
    "a field's own encoding": ('"amount" / Digits(8)', '"amount" / Text(8, "nonsense")', "E-CFG-20", "Text(8", "'nonsense' is not known"),
    "a size that stands in no Framing": ("Framing(LengthField())", "FixedSize(42)", "E-CFG-20", "spec = Family", "like Framing(FixedSize(300))"),
    "lengths one short": ("Filler(2)", "Filler(1)", "E-CFG-21", '"ask.request"', "header 22 + body 19 = 41 bytes, 1 fewer than 42"),
    "lengths too long": ("Filler(2)", "Filler(9)", "E-CFG-21", '"tell.request"', "7 more than 42"),
    "a message without its body": ('("0200", "AA"), BODY', '("0200", "AA")', "E-CFG-21", '"tell.request"', "20 fewer than 42"),
    "length of zero": ("Filler(2)", "Filler(0)", "E-CFG-21", "Filler(0)", "length must be a whole number from 1"),
    "length that is no number": ("Filler(2)", 'Filler("2")', "E-CFG-21", 'Filler("2")', "length must be a whole number"),
    "length that is True": ("Filler(2)", "Filler(True)", "E-CFG-21", "Filler(True)", "length must be a whole number"),
    "open end in a fixed family": ("Filler(2)", '"rest" / Opaque()', "E-CFG-21", '"ask.request"', "declares 42 bytes for all"),
    "date form of another length": ('"amount" / Digits(8)', '"amount" / Date(8, "YYMMDD")', "E-CFG-21", "Date(8", "6 bytes, the field 8"),
    "date form that is none": ('"amount" / Digits(8)', '"amount" / Date(8, "DDDDYYYY")', "E-CFG-20", "Date(8", "form must be a date, a time or both"),
    "a time form that is none": ("Filler(2)", '"at" / Time(2, "hh", "zeros")', "E-CFG-20", "Time(2", "form must be a date, a time or both"),
    "midnight for no time": ('"amount" / Digits(8)', '"at" / Time(blank="zeros")', "E-CFG-20", "Time(blank", "midnight"),
    "a name twice": ('"amount" / ', '"account" / ', "E-CFG-22", '"account" / Digits', "used twice"),
    "a name in header and body": ('"amount" / ', '"number" / ', "E-CFG-22", '"number" / Digits(8)', "could mean either"),
    "a name that is a method: items": ('"amount" / ', '"items" / ', "E-CFG-22", '"items"', "method of construct's Container"),
    "a name that is a method: keys": ('"amount" / ', '"keys" / ', "E-CFG-22", '"keys"', "method of construct's Container"),
    "a name that is a method: update": ('"amount" / ', '"update" / ', "E-CFG-22", '"update"', "method of construct's Container"),
    "a name in construct's own space": ('"amount" / ', '"_io" / ', "E-CFG-22", '"_io"', "plain identifier"),
    "a name with a blank": ('"amount" / ', '"the amount" / ', "E-CFG-22", '"the amount"', "plain identifier"),
    "a value without a name": ('"amount" / ', "", "E-CFG-22", "    Digits(8)", "value would be lost"),
    "a named filler": ("Filler(2)", '"gap" / Filler(2)', "E-CFG-22", '"gap"', "has no value"),
    "a lambda": ("ACCOUNT = Code(10)", "ACCOUNT = (lambda: Code(10))()", "E-CFG-23", "lambda", "lambda"),
    "construct's own Bytes": ('"amount" / Digits(8)', '"amount" / __import__("construct").Bytes(8)', "E-CFG-23", "Bytes", "element Bytes"),
    "a greedy range": ("Filler(2)", '"rest" / __import__("construct").GreedyRange(Code(1))', "E-CFG-23", "GreedyRange", "element GreedyRange"),
    "an array": ("Filler(2)", '"parts" / Code(1)[2]', "E-CFG-23", "Code(1)[2]", "element Array"),
    "a parsed hook": ('"amount" / Digits(8)', '"amount" / Digits(8) * print', "E-CFG-23", "* print", "parsed hook"),
    "an open end that is not the end": ('"account" / ACCOUNT', '"account" / Opaque()', "E-CFG-23", "Opaque", "last field of a body"),
    "an open end in the header": ('"answer" / Code(4)', '"answer" / Opaque()', "E-CFG-23", "Opaque", "last field of a body"),
    "a body that is no Struct": ('("0200", "AA"), BODY', '("0200", "AA"), Code(20)', "E-CFG-23", "Code(20)", "not a construct Struct"),
    "a header that is no Struct": ("header=HEADER", "header=7", "E-CFG-23", "spec = Family", "not a construct Struct"),
    "an unknown key field": ('("message_type", "code")', '("message_typ", "code")', "E-CFG-24", "message_typ", "'message_typ' is not a field of the header"),
    "a key field of the body": ('key=("message_type", "code")', 'key=("message_type", "amount")', "E-CFG-24", 'key=("message_type", "amount")', "'amount' is not a field"),
    "an unknown correlation field": ('correlation=("number",)', 'correlation=("numbr",)', "E-CFG-24", "numbr", "one of number"),
    "no key for two messages": ('key=("message_type", "code")', "key=()", "E-CFG-24", "spec = Family", "names no field"),
    "correlation as a bare text": ('correlation=("number",)', 'correlation="number"', "E-CFG-20", "spec = Family", "a tuple of texts"),
    "a field twice in the correlation": ('correlation=("number",)', 'correlation=("number", "number")', "E-CFG-24", "spec = Family", "twice"),
    "a carrier in EBCDIC": ('encoding="cp949"', 'encoding="cp037"', "E-CFG-24", 'correlation=("number",)', "is EBCDIC"),
    "an unknown carrier": ('carrier="number"', 'carrier="nmber"', "E-CFG-24", "nmber", "'nmber' is not a field"),
    "an unknown owner": ('owner="owner"', 'owner="amount"', "E-CFG-24", 'owner="amount"', "'amount' is not a field"),
    "an unknown trace": ('owner="owner"', 'owner="owner", trace="span"', "E-CFG-24", 'owner="owner", trace="span"', "'span' is not a field"),
    "a carrier that pairs nothing": ('correlation=("number",)', 'correlation=("owner",)', "E-CFG-24", 'carrier="number"', "not among the correlation"),
    "a carrier that holds letters": ('correlation=("number",),\n    carrier="number"', 'correlation=("owner",),\n    carrier="owner"', "E-CFG-24", 'correlation=("owner"', "does not hold any number"),
    "a carrier in the key": ('correlation=("number",),\n    carrier="number"', 'correlation=("code",),\n    carrier="code"', "E-CFG-24", '"code")', "another message"),
    "too few key values": ('("0200", "AA")', '("0200",)', "E-CFG-24", '"tell.request"', "one value for each key field"),
    "a key as a bare text": ('("0200", "AA")', '"02"', "E-CFG-20", '"tell.request"', "a tuple of texts"),
    "a key value that does not fit": ('("0200", "AA")', '("0200", "AAA")', "E-CFG-20", '"tell.request"', "key value of code"),
    "a key value that is blank where it must not be": ('("0200", "AA")', '("", "AA")', "E-CFG-20", '"tell.request"', "key value of message_type"),
    "a reply rule on another field": ('Plus("message_type", 10)', 'Plus("number", 10)', "E-CFG-24", "Plus", "not a key field"),
    "no reply rule": ('    reply_rule=Plus("message_type", 10),\n', "", "E-CFG-25", '"ask.request"', "has no reply rule"),
    "a reply rule without an answer": ('("0200", "AA")', '("9995", "AA")', "E-CFG-25", '"tell.request"', "gives no reply"),
    "a reply that is a request": ('("0200", "AA")', '("0110", "AA")', "E-CFG-25", '"tell.request"', 'not declared kind="reply"'),
    "a reply that does not exist": ('("0200", "AA"), BODY', '("0200", "AA"), BODY, Reply.one("tel.response")', "E-CFG-06", '"tell.request"', "no message is named 'tel.response'"),
    "until fields that do not exist": (
        '("0200", "AA"), BODY', '("0200", "AA"), BODY, Reply.until("ask.response", current="part", total="amount")', "E-CFG-06", '"tell.request"', "no field 'part'"
    ),
    "until fields that are no numbers": (
        '("0200", "AA"), BODY', '("0200", "AA"), BODY, Reply.until("ask.response", current="account", total="amount")', "E-CFG-25", '"tell.request"', "'account' is not a number"
    ),
    "one response code for not sent and for unknown": ('sent_unknown="E002"', 'sent_unknown="E001"', "E-CFG-26", 'not_sent="E001"', "may have moved"),
    "a code's response code that also means unknown": ('{"E-RTE-01": "E003"}', '{"E-RTE-01": "E002"}', "E-CFG-26", 'sent_unknown="E002"', "E-RTE-01"),
    "an unknown code's response code that also means not sent": ('{"E-RTE-01": "E003"}', '{"E-BCK-05": "E001"}', "E-CFG-26", 'not_sent="E001"', "not_sent"),
    "an error code that is none": ('"E-RTE-01": "E003"', '"E-RTE-77": "E003"', "E-CFG-06", "E-RTE-77", "not an error code of the router"),
    "a response code that does not fit": ('"E-RTE-01": "E003"', '"E-RTE-01": "E0033"', "E-CFG-20", "E0033", "code needs 5 bytes, field holds 4"),
    "a response code field that does not exist": ('field="header.answer"', 'field="header.anser"', "E-CFG-06", "header.anser", "has no field 'header.anser'"),
    "a response code field in the body": ('field="header.answer"', 'field="body.account"', "E-CFG-24", 'field="body.account"', "in the body"),
    "an error message that does not exist": ("not_sent=", 'message="refusal", not_sent=', "E-CFG-06", '"refusal"', "no message is named 'refusal'"),
    "a set correlation field": ("not_sent=", 'set={"header.number": 7}, not_sent=', "E-CFG-07", "header.number", "says which request"),
    "framing that is impossible": ("LengthField()", "LengthField(width=0)", "E-CFG-27", "spec = Family", "width 0"),
    "a count that is none": ("LengthField()", 'LengthField(counts="paylod")', "E-CFG-27", "spec = Family", "'paylod' is not one of payload, self, all"),
    "a smallest telegram that no message has": ("Framing(LengthField())", "Framing(LengthField(), header=43)", "E-CFG-27", "spec = Family", "header 43 is above the smallest telegram, which has 42"),
    "a comma left out behind a label": ('"account" / ACCOUNT,', '"account" / ACCOUNT * "label"', "E-CFG-20", '"account"', "body.account: this field and the next are one: a comma is missing"),
    "frames that the length cannot tell": ("LengthField()", "LengthField(width=1)", "E-CFG-27", "spec = Family", "at most 10"),
    "a fixed frame of another size": ("LengthField()", "FixedSize(43)", "E-CFG-27", "spec = Family", "42 bytes never fits frames of 43"),
    "a length field that the framing does not have": ("Filler(2)", '"size" / Length(2)', "E-CFG-27", "Length(2)", "no length inside the telegram"),
    "a framing length that no field holds": ("LengthField()", 'LengthField(counts="all")', "E-CFG-27", "spec = Family", "no Length(4) at offset 0"),
    "two messages with one key": ('("0200", "AA")', '("0100", "AA")', "E-CFG-28", '"tell.request"', "same key as ask.request"),
    "two messages with one name": ('"tell.request"', '"ask.request"', "E-CFG-22", '("0200", "AA")', "two messages have this name"),
    "a kind of message that is none": ('("0200", "AA"), BODY', '("0200", "AA"), BODY, kind="ask"', "E-CFG-20", 'kind="ask"', "request, reply or oneway"),
    "no messages": (
        GOOD[GOOD.index("    messages=["):], "    messages=[],\n)\n", "E-CFG-20", "spec = Family", "no messages"
    ),
    "a name that is no word": ('name="family"', 'name="a family"', "E-CFG-20", "spec = Family", "plain word"),
    "a code value that is too long": ("ACCOUNT = Code(10)", 'ACCOUNT = Code(10, ["12345678901"])', "E-CFG-20", '"account" / ACCOUNT', "longer than the field's 10"),
    "a code value with a blank behind it": ("ACCOUNT = Code(10)", 'ACCOUNT = Code(10, ["1 "])', "E-CFG-20", '"account" / ACCOUNT', "ends in a blank"),
    "a code value that is no digits": ("ACCOUNT = Code(10)", 'ACCOUNT = Code(10, ["12"], digits=True)', "E-CFG-20", '"account" / ACCOUNT', "not 10 digits"),
    "a code value that is no ASCII": ("ACCOUNT = Code(10)", 'ACCOUNT = Code(10, ["가"])', "E-CFG-20", '"account" / ACCOUNT', "printable ASCII"),
    "a scale out of reach": ("Digits(8)", "Digits(8, scale=41)", "E-CFG-20", "scale=41", "scale must be"),
    "a blank rule that is none": ("Digits(8)", 'Digits(8, blank="nil")', "E-CFG-20", "nil", "blank must be"),
    "a sign that is none": ("Digits(8)", 'Amount(7, sign="both")', "E-CFG-20", "both", "sign must be"),
    "a plus that is none": ("Digits(8)", 'Amount(7, plus="C")', "E-CFG-20", "plus=", "plus must be"),
    "a date's blank rule that is none": ("Digits(8)", 'Date(blank="zero")', "E-CFG-20", "zero", "blank must be"),
    "a pad of two bytes": ("Digits(8)", 'Text(8, pad=b"  ")', "E-CFG-20", "pad=", "pad must be one byte"),
    "a pad that may be half of a character": ("Digits(8)", 'Text(8, pad=b"A")', "E-CFG-20", "pad=", "pad must be one byte"),
    "an alignment that is none": ("Digits(8)", 'Text(8, align="middle")', "E-CFG-20", "middle", "align must be"),
    "a log setting that is none": ("Digits(8)", 'Digits(8, log="yes")', "E-CFG-20", "yes", "log must be"),
    "a json setting that is none": ("Digits(8)", 'Digits(8, json="int")', "E-CFG-20", "int", "json must be"),
    "a json number of many digits": ("Digits(8)", 'Digits(16, json="number")', "E-CFG-20", "Digits(16", "at most 15 digits"),
    "a json number with a scale": ("Digits(8)", 'Digits(8, 2, json="number")', "E-CFG-20", "Digits(8, 2", "at most 15 digits"),
    "a json number of text": ("Digits(8)", 'Text(8, json="number")', "E-CFG-20", "Text(8", "whole numbers"),
    "a constant outside ASCII": ("Filler(2)", 'Fixed("가")', "E-CFG-20", "Fixed(", "must be given as bytes"),
    "bounds of the rest that contradict": ("Filler(2)", '"rest" / Opaque(5, 2)', "E-CFG-21", "Opaque(5, 2)", "min not above max"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_finds(case):
    old, new, code, on_line, words = CASES[case]
    assert old in GOOD
    source = GOOD.replace(old, new)
    found = problems(source)
    lines = source.splitlines()
    matching = [p for p in found if p.code == code and words in p.text()]
    assert matching, [p.text() for p in found]
    assert matching[0].file == "specs/family.py"
    assert any(on_line in lines[p.line - 1] for p in matching), [(p.line, p.text()) for p in matching]
    assert matching[0].text().startswith(f"{code}: specs/family.py:{matching[0].line}: ")
    assert code in CODES


def test_all_problems_come_at_once_in_the_order_of_their_lines():
    source = (
        GOOD.replace('"cp949"', '"cp9494"')
        .replace('"amount" / ', '"items" / ')
        .replace('carrier="number"', 'carrier="nmber"')
        .replace("Filler(2)", "Filler(0)")
    )
    found = problems(source)
    assert [(p.code, p.line) for p in found] == [("E-CFG-22", 14), ("E-CFG-21", 15), ("E-CFG-20", 19), ("E-CFG-24", 25)]


def test_a_problem_of_a_shared_body_is_told_once():
    found = problems(GOOD.replace('"amount" / ', '"items" / '))
    assert len(found) == 1


def test_one_kind_under_two_names_has_the_line_of_each_name():
    source = GOOD.replace('"amount" / Digits(8)', '"amount" / Digits(6),\n    "get" / SHORT,\n    "pop" / SHORT').replace(
        "ACCOUNT =", "SHORT = Code(1)\nACCOUNT ="
    )
    lines = source.splitlines()
    assert [lines[p.line - 1].strip() for p in problems(source)] == ['"get" / SHORT,', '"pop" / SHORT,']


def test_an_error_message_of_its_own_is_checked_like_any_other():
    refusal = '        Message("refusal", "", ("0299", "AA"), Struct("outcome" / Code(1, ["N", "U"]), "why" / Code(6), Filler(13)), kind="reply"),\n    ],'
    good = GOOD.replace("    ],", refusal).replace(
        'field="header.answer",', 'field="body.outcome", message="refusal", set={"body.why": "no"},'
    )
    good = good.replace('"E001"', '"N"').replace('"E002"', '"U"').replace('"E003"', '"N"')
    assert load_spec(good, "f.py").error_reply(b"0042" + b"0100AA" + b" " * 36, "E-RTE-01", _not_sent())[-20:] == b"Nno" + b" " * 17
    (problem,) = problems(good.replace('"U",', '"V",'))
    assert (problem.code, problem.what) == ("E-CFG-20", "value for body.outcome: not one of the declared codes")
    (problem,) = problems(good.replace('{"body.why": "no"}', '{"body.why": OUR_CODE}'))
    assert (problem.code, problem.what) == ("E-CFG-20", "value for body.why: code needs 8 bytes, field holds 6")
    (problem,) = problems(good.replace('{"body.why": "no"}', '{"body.wy": "no"}'))
    assert problem.code == "E-CFG-06" and "body.why" in problem.expected


def test_an_error_telegram_sets_fields_of_the_header_but_leaves_what_pairs_it_with_its_request():
    def setting(**fields: str) -> str:
        given = ", ".join(f'"{path.replace("__", ".")}": "{value}"' for path, value in fields.items())
        return GOOD.replace('field="header.answer",', f'field="header.answer", set={{{given}}},')

    assert (
        load_spec(setting(header__owner="ROUTER"), "f.py")
        .error_reply(b"0042" + b"0100AA000001BANK01    " + b" " * 20, "E-RTE-01", _not_sent())
        .startswith(b"0042" + b"0110AA000001ROUTERE003")
    )
    (problem,) = problems(setting(body__account="x"))
    assert problem.code == "E-CFG-24" and "in the body" in problem.what
    (problem,) = problems(setting(header__owner="TOO LONG"))
    assert (problem.code, problem.key) == ("E-CFG-20", "errors.set")
    (problem,) = problems(GOOD.replace('field="header.answer",', 'field="header.answer", set={"header.number": 7},'))
    assert problem.code == "E-CFG-07" and "header.number" in problem.what


def _not_sent():
    from telegram_router.errors import Delivery

    return Delivery.NOT_SENT


# ------------------------------------------------------------------------------------------------ things of another type

TOKENS = [
    m.span()
    for m in re.finditer(
        r'"[^"]*"|\b\d+\b|\b(?:HEADER|BODY|ACCOUNT|True)\b|\b(?:Code|Digits|Plus|ErrorReply|Framing|LengthField|Message)\([^()]*\)', GOOD
    )
]
ODD = [
    "None",
    "7",
    "-1",
    "0",
    '"x"',
    '""',
    '"가"',
    'b"x"',
    "()",
    "[]",
    "{}",
    '("a",)',
    "True",
    "1.5",
    "Digits(3)",
    "Opaque()",
    "Framing(FixedSize(42))",
    "int",
    "LengthField(3)",
    "BODY if 'BODY' in dir() else 1",
]


@settings(deadline=None)
@given(st.sampled_from(TOKENS), st.sampled_from(ODD))
def test_whatever_stands_in_place_of_a_value_the_spec_loads_or_is_refused_with_its_line(token, odd):
    source = GOOD[: token[0]] + odd + GOOD[token[1] :]
    try:
        load_spec(source, "specs/family.py")
    except SpecError as error:
        assert all(p.code in CODES and p.file == "specs/family.py" for p in error.problems)
        assert error.problems[0].line or "spec" in error.problems[0].key


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('key=("message_type", "code")', "key=7", "Family.key: is of type int"),
        ("framing=Framing(LengthField())", "framing=None", "Family.framing: is of type NoneType"),
        ("framing=Framing(LengthField())", 'framing=Framing(LengthField(), header="4")', "Framing.header: is of type str"),
        ('Plus("message_type", 10)', 'Plus("message_type", "10")', "Plus.step: is of type str"),
        ('codes={"E-RTE-01": "E003"}', "codes=[1]", "ErrorReply.codes: is of type list"),
        ('("0200", "AA"), BODY', '("0200", 2), BODY', "Message.key: is of type tuple"),
        ("length=42", "length=True", "Family.length: is of type bool"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_what_it_should_be(old, new, words):
    source = GOOD.replace(old, new)
    (problem,) = problems(source)
    assert problem.code == "E-CFG-20" and words in problem.text() and problem.line >= 17


@pytest.mark.parametrize("declared", ["Code(lambda this: 10)", "Code(10, check=lambda: 1)", "Occurs(lambda this: 2, Text(5))"])
def test_a_lambda_is_one_problem_with_the_path_of_its_field(declared):
    source = GOOD.replace('"account" / ACCOUNT', f'"account" / {declared}')
    assert source != GOOD
    (problem,) = [each for each in problems(source) if each.line == source[: source.index("lambda")].count("\n") + 1]
    assert (problem.code, problem.what) == ("E-CFG-23", "a lambda cannot be laid out")
    assert problem.key.endswith(".account") and "depending=" in problem.do


def test_types_and_lambdas_are_told_together():
    found = problems(GOOD.replace("ACCOUNT = Code(10)", "ACCOUNT = (lambda: Code(10))()").replace("length=42", 'length="42"'))
    assert [p.code for p in found] == ["E-CFG-23", "E-CFG-20"]


# ------------------------------------------------------------------------------------------------ files that are no spec


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = (", 1, "not valid Python"),
        ("a = 1\nb = 2 3\n", 2, "not valid Python"),
        ("a = 1\0", 0, "not valid Python"),
        ("", 0, "no Family is assigned to `spec`"),
        ("spec = 7", 0, "no Family is assigned to `spec`"),
        ("a = 1\nb = missing\n", 2, "NameError"),
        ("from telegram_router.telegrams import *\na = Txt(20)\n", 2, "did you mean Text?"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit"),
        ("import nonsense_that_is_not_there", 1, "ModuleNotFoundError"),
        ("from telegram_router.telegrams import *\n\nspec = Family(name='x')\n", 3, "TypeError"),
        ("from telegram_router.telegrams import *\ndef f():\n    return 1 / 0\nf()\n", 3, "ZeroDivisionError"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_with_its_line(source, line, words):
    (problem,) = problems(source)
    assert (problem.code, problem.file, problem.line) == ("E-CFG-20", "specs/family.py", line)
    assert words in problem.text()


def test_a_family_under_another_name_is_named_in_the_advice():
    (problem,) = problems(GOOD.replace("spec = Family", "family = Family"))
    assert "rename family" in problem.do


def test_a_lambda_is_told_even_when_the_file_fails_behind_it():
    found = problems("key = lambda: 1\nspec = missing\n")
    assert [(p.code, p.line) for p in found] == [("E-CFG-23", 1), ("E-CFG-20", 2)]


@settings(deadline=None)
@given(st.data())
def test_a_field_declared_with_any_arguments_says_what_is_wrong_with_it(data):
    kind = data.draw(st.sampled_from(["Text", "Code", "Digits", "Amount", "Date", "Time", "Filler", "Fixed", "Length", "Opaque"]))
    arguments = ["8", '"8"', "None", "0", "-1", "True", "1.5", '"cp949"', 'b" "', '"left"', "[]", '["1"]', "{1: 2}", '"null"', '"number"']
    names = {"Text": ["encoding", "pad", "align"], "Code": ["values", "digits"], "Digits": ["scale", "blank"], "Date": ["form", "blank"]}
    first = data.draw(st.sampled_from(arguments))
    named = [f", {name}={data.draw(st.sampled_from(arguments))}" for name in [*names.get(kind, []), *(["json"] if kind in names else [])]]
    try:
        load_spec(GOOD.replace("Digits(8)", f"{kind}({first}{''.join(named)})"), "specs/family.py")
    except SpecError as error:
        assert error.problems[0].line
