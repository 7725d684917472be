"""A spec's own telegrams about the line: what cannot be is found at load, and what is built can be read."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped import shipped

from telegram_router.errors import SpecError
from telegram_router.telegrams import load_spec
from telegram_router.telegrams.formalities import written

GOOD = """\
from construct import Struct
from telegram_router.telegrams import *

spec = Family(
    name="family",
    header=Struct(
        "type" / Code(4, required=True),
        "number" / Code(6, digits=True, required=True),
        "sent_at" / Time(10, form="MMDDhhmmss"),
        "code" / Code(2),
        "side" / Code(1, {"1": "asks", "2": "answers"}),
    ),
    framing=Framing(LengthField()),
    key=("type",),
    correlation=("number",),
    carrier="number",
    reply_rule=Plus("type", 10),
    conduct=Conduct(
        response="header.code",
        accepted=("00",),
        set={"number": NUMBER, "sent_at": NOW, "side": "1"},
        answers={"side": "2"},
        sign_on=Formality("hello", set={"body.count": 7}, accepted=("00", "01")),
        echo=Formality("echo"),
    ),
    messages=[
        Message("hello", "", ("0800",), Struct("word" / Code(3), "count" / Digits(3))),
        Message("echo", "", ("0820",)),
        Message("news", "", ("0900",), kind="oneway", reply=Reply.none()),
    ],
)
"""
NOON = datetime.datetime(2026, 3, 4, 12, 30, 59)

CASES = {
    "message that is not there": ('Formality("echo")', 'Formality("ecco")', "E-CFG-06", "no message is named 'ecco'"),
    "message without a reply": ('Formality("echo")', 'Formality("news")', "E-CFG-25", "nobody could say yes"),
    "no code means yes": ('accepted=("00",),\n', "accepted=(),\n", "E-CFG-20", "no code means yes"),
    "code that does not fit": ('accepted=("00",),\n', 'accepted=("0000",),\n', "E-CFG-20", "value for header.code"),
    "response code that is not in the header": ('response="header.code"', 'response="body.word"', "E-CFG-24", "no field of the header"),
    "nothing declared": (
        '        sign_on=Formality("hello", set={"body.count": 7}, accepted=("00", "01")),\n        echo=Formality("echo"),\n',
        "",
        "E-CFG-20",
        "declares no formality",
    ),
    "field that is not there": ('"body.count": 7', '"body.count_": 7', "E-CFG-06", "has no field 'body.count_'"),
    "value that does not fit": ('"body.count": 7', '"body.count": 7777', "E-CFG-20", "value for body.count"),
    "number where none can be": ('"body.count": 7', '"header.side": NUMBER', "E-CFG-20", "does not hold any number"),
    "date where none can be": ('"body.count": 7', '"body.word": TODAY', "E-CFG-20", "no date or time"),
    "carrier without a number": ('"number": NUMBER, ', '"number": "000001", ', "E-CFG-07", "is not set to NUMBER"),
    "answer's field that is not there": ('answers={"side": "2"}', 'answers={"sides": "2"}', "E-CFG-06", "'sides' is no field"),
    "answer's value that is none": ('answers={"side": "2"}', 'answers={"side": "3"}', "E-CFG-20", "value for side"),
    "not a Formality": ('echo=Formality("echo")', 'echo="echo"', "E-CFG-20", "is of type str"),
    "not a Conduct": ("conduct=Conduct(", "conduct=dict(", "E-CFG-20", "is of type dict"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_is_found_at_load(name: str):
    before, after, code, words = CASES[name]
    assert before in GOOD
    with pytest.raises(SpecError) as error:
        load_spec(GOOD.replace(before, after, 1), "specs/family.py")
    assert any(each.code == code and words in (each.what + each.key) and each.line for each in error.value.problems)


def test_a_formality_is_blank_but_for_what_is_set():
    spec = load_spec(GOOD, "specs/family.py")
    found = spec.formalities
    assert found is not None and found.roles == ("sign_on", "echo")
    assert found.telegram("sign_on", {}, NOON.date(), NOON, 42) == b"0029" + b"0800" + b"000042" + b"0304123059" + b"  1" + b"   007"
    assert found.telegram("echo", {"code": "X"}, NOON.date(), NOON, 1)[-3:] == b"X 1"
    assert (found.role_of("hello"), found.role_of("echo"), found.role_of("news")) == ("sign_on", "echo", "")
    assert found.most("echo") == 999_999


def test_the_routers_yes_is_one_that_it_takes_itself():
    spec = load_spec(GOOD, "specs/family.py")
    found = spec.formalities
    assert found is not None
    asked = found.telegram("sign_on", {}, NOON.date(), NOON, 42)
    yes = found.yes(asked)
    assert yes == b"0029" + b"0810" + b"000042" + b"0304123059" + b"002" + b"   007"
    assert found.accepts("sign_on", yes) and not found.accepts("echo", yes)
    assert found.accepts("sign_on", yes.replace(b"002", b"012")) and not found.accepts("sign_on", yes.replace(b"002", b"992"))
    assert not found.accepts("sign_on", asked) and not found.accepts("sign_on", yes[:-1])
    assert found.yes(yes) is None  # two routers would answer each other for ever


@pytest.mark.parametrize("name", ["firmbanking", "hmfb", "ksnet", "vas"])
def test_the_shipped_formalities_can_be_read_and_are_answered(name: str):
    spec = shipped(name)
    found = spec.formalities
    assert found is not None
    given = {spec.family.owner: "C001"} if spec.family.owner else {}
    for role in found.roles:
        asked = found.telegram(role, given, NOON.date(), NOON, 17)
        assert found.role_of(spec.decode(asked).message.name) == role
        yes = found.yes(asked)
        assert yes is not None and found.accepts(role, yes) and spec.correlate(yes) == spec.correlate(asked)
        spec.decode(yes)


@given(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2099, 12, 31)))
def test_a_moment_is_written_in_the_form_of_its_field(moment: datetime.datetime):
    assert written("YYYYMMDDhhmmss", moment) == moment.strftime("%Y%m%d%H%M%S")
    assert written("YY-DDD hh:mm:ss.ff", moment) == moment.strftime("%y-%j %H:%M:%S.00")
    assert re.fullmatch(r"\d{6}", written("hhmmss", moment))
