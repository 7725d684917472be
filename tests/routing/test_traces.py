"""Trace ids: of the telegram's own where it brings one, else drawn; one for the record, the log and the service asked."""

from __future__ import annotations

import pytest
from construct import Struct
from conversation import Talk, framed, one_service

from telegram_router.routing.traces import Parent, Traces, numbered, parent_of
from telegram_router.telegrams import Code, Digits, Family, Framing, LengthField, Message, Opaque, Plus, Spec, compile_family

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("raw", "parent"),
    [
        (b"00-" + TRACE + b"-" + SPAN + b"-01", Parent(TRACE, SPAN, True)),
        (b"00-" + TRACE + b"-" + SPAN + b"-00", Parent(TRACE, SPAN, False)),
        (b" 00-" + TRACE + b"-" + SPAN + b"-03 ", Parent(TRACE, SPAN, True)),
        (TRACE, Parent(TRACE, b"", True)),
        (b" " * 55, None),
        (b"0" * 32, None),
        (b"00-" + TRACE + b"-" + b"0" * 16 + b"-01", None),
        (b"00-" + TRACE.upper() + b"-" + SPAN + b"-01", None),
        (b"00-" + TRACE + b"-" + SPAN, None),
        (b"\xb0\xa1" * 16, None),
    ],
)
def test_what_a_field_says_of_a_trace(raw: bytes, parent: Parent | None):
    assert parent_of(raw) == parent


def test_a_new_trace_is_drawn_and_one_that_was_brought_goes_on():
    traces = Traces(iter([TRACE + SPAN, b"1" * 48]))
    assert traces.new(None) == TRACE + SPAN + b"01"
    assert traces.new(Parent(TRACE, SPAN, False)) == TRACE + b"1" * 16 + b"00"


def test_the_share_of_traces_that_is_sampled_follows_from_their_ids():
    low, high = b"f" * 18 + b"0" * 14, b"0" * 18 + b"f" * 14
    for share, flags in ((0.0, [b"00", b"00"]), (0.5, [b"01", b"00"]), (1.0, [b"01", b"01"])):
        traces = Traces(iter([low + SPAN, high + SPAN]), share)
        assert [traces.new(None)[48:] for _ in range(2)] == flags


def test_nobody_s_digits_differ_from_each_other():
    digits = numbered()
    drawn = [next(digits) for _ in range(3)]
    assert len(set(drawn)) == 3 and {len(each) for each in drawn} == {48}


def traced() -> Spec:
    return compile_family(
        Family(
            name="traced",
            header=Struct("type" / Code(4, required=True, log="clear"), "number" / Digits(4, log="clear"), "parent" / Code(55)),
            framing=Framing(LengthField()),
            key=("type",),
            correlation=("number",),
            trace="parent",
            reply_rule=Plus("type", 10),
            messages=[Message("ask", key=("0200",), body=Struct("text" / Opaque()))],
        )
    )


def asks(talk: Talk, number: int, parent: bytes) -> bytes:
    bank = talk.session()
    bank.sends(framed(b"0200%04d" % number + parent.ljust(55)))
    [exchange] = bank.peer.lanes[0].open.values()
    return talk.switch.trace_of(exchange)


def test_an_exchange_belongs_to_the_trace_that_its_telegram_names():
    talk = one_service(traced())
    talk.link()
    assert asks(talk, 1, b"00-" + TRACE + b"-" + SPAN + b"-00")[:32] == TRACE
    other = asks(talk, 2, b"")
    assert other[:32] != TRACE and other[48:] == b"01"


def test_a_failure_is_logged_with_its_trace():
    talk = one_service(traced())
    link = talk.link()
    trace = asks(talk, 1, b"00-" + TRACE + b"-" + SPAN + b"-01")
    link.got()
    link.dies()
    assert trace[:32] == TRACE
    assert [event["trace"] for event in talk.events("failed")] == [TRACE.decode()]
