"""Which changes of a spec may be taken over while telegrams are on their way, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from construct import Struct

from telegram_router.telegrams import Code, Digits, Family, Framing, LengthField, Message, Poll, Reply, Text, compile_family
from telegram_router.telegrams.succession import obstacle

HEADER = Struct(
    "type" / Code(4, required=True, log="clear"),
    "company" / Code(4, log="clear"),
    "number" / Digits(6, log="clear"),
)
FAMILY = Family(
    name="note",
    version="1",
    encoding="cp949",
    framing=Framing(LengthField(), header=14),
    header=HEADER,
    key=("type",),
    correlation=("company", "number"),
    messages=[
        Message("note.request", "note", ("0200",), Struct("amount" / Digits(6)), reply=Reply.one("note.response")),
        Message("note.response", "noted", ("0210",), Struct("result" / Code(2)), kind="reply"),
    ],
)
FIRST = compile_family(FAMILY)

NEW_BODY = [
    Message("note.request", "note", ("0200",), Struct("amount" / Digits(9), "memo" / Text(20)), reply=Reply.one("note.response")),
    Message("note.response", "noted", ("0210",), Struct("result" / Code(4)), kind="reply"),
    Message("bye", "farewell", ("0300",), Struct("why" / Code(2)), kind="oneway"),
]
TURNED = [
    Message("note.request", "note", ("0210",), Struct("amount" / Digits(6)), reply=Reply.one("note.response")),
    Message("note.response", "noted", ("0200",), Struct("result" / Code(2)), kind="reply"),
]


@pytest.mark.parametrize(
    "family",
    [
        FAMILY,
        replace(FAMILY, version="2", title="another"),
        replace(FAMILY, messages=NEW_BODY),
        replace(FAMILY, framing=Framing(LengthField(), header=14)),
    ],
    ids=["the same", "another version", "other bodies and messages", "the same framing, made anew"],
)
def test_bodies_and_messages_may_be_others(family: Family):
    assert obstacle(FIRST, compile_family(family)) == ""
    assert obstacle(FIRST, FIRST) == ""


@pytest.mark.parametrize(
    ("family", "why"),
    [
        (replace(FAMILY, framing=Framing(LengthField(width=5), header=14)), "framing"),
        (replace(FAMILY, framing=Framing(LengthField(), header=14, polls=[Poll(b"HDR?", b"HDR!")])), "framing"),
        (replace(FAMILY, framing=Framing(LengthField(), header=14, max=500)), "framing"),
        (replace(FAMILY, header=Struct(*HEADER.subcons, "more" / Code(2))), "header"),
        (replace(FAMILY, header=Struct(HEADER.subcons[0], "number" / Digits(6), "company" / Code(4))), "header"),
        (replace(FAMILY, correlation=("number",)), "correlation"),
        (replace(FAMILY, carrier="number"), "carrier"),
        (replace(FAMILY, owner="company"), "owner"),
        (replace(FAMILY, messages=TURNED), "what was the request note.request is a reply now"),
    ],
)
def test_what_cuts_pairs_or_routes_may_not(family: Family, why: str):
    assert why in obstacle(FIRST, compile_family(family))
