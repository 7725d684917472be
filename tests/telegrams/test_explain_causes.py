"""Probable causes: each kind of mishap is done to a good telegram, and must be named, with the field, by undoing it."""

from __future__ import annotations

import json
import re

import pytest
from composed import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import shipped

from telegram_router.telegrams import (
    Code,
    Date,
    Digits,
    Family,
    Framing,
    LengthField,
    Message,
    Occurs,
    Packed,
    Reply,
    Spec,
    Struct,
    Text,
    Zoned,
    compile_family,
    shifts,
)
from telegram_router.telegrams.causes import Cause, causes
from telegram_router.telegrams.explain import explain
from telegram_router.telegrams.fit import Fit, fit
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.repairs import REACH

SPEC = shipped("firmbanking")
FRAME = samples()["firmbanking"]["2000", "200"]  # collection: Hangul in three fields
TELEGRAM = FRAME[4:]
FIELDS = {planned.path: planned for planned in SPEC.messages["collection.request"].fields}


def framed(telegram: bytes) -> bytes:
    return b"%04d" % len(telegram) + telegram


def patched(path: str, content: bytes) -> bytes:
    at = FIELDS[path].offset
    return framed(TELEGRAM[:at] + content + TELEGRAM[at + len(content) :])


def longer(path: str, by: int) -> bytes:
    """A sender that makes a field too long, or too short."""
    field = FIELDS[path]
    part = TELEGRAM[field.offset : field.end]
    number = part.strip(b" ").isdigit()
    changed = part + b" " * by if by > 0 else part[:by]
    if number:
        changed = b"0" * by + part if by > 0 else part[-by:]
    return framed(TELEGRAM[: field.offset] + changed + TELEGRAM[field.end :])


def kept(path: str, by: int) -> bytes:
    """As `longer`, by a sender that fills or cuts the end to the right size."""
    return framed(longer(path, by)[4:304].ljust(300))


def first(data: bytes, **how: bool) -> Cause:
    found = causes(SPEC, data, **how)
    assert found, "no cause is named"
    return found[0]


CASES = {
    "converted to UTF-8": (FRAME.decode("cp949").encode(), "the whole telegram is in utf-8, the spec says cp949"),
    "converted to UTF-8, length set anew": (framed(TELEGRAM.decode("cp949").encode()), "the whole telegram is in utf-8"),
    "converted to UTF-16": (framed(TELEGRAM.decode("cp949").encode("utf-16-le")), "the whole telegram is in utf-16-le"),
    "in EBCDIC": (framed(TELEGRAM.decode("cp949").encode("cp037", "replace")), "the whole telegram is in EBCDIC (cp037)"),
    "UTF-8 made of Latin-1": (framed(TELEGRAM.decode("latin-1").encode()), "every byte above 7F was taken for Latin-1"),
    "read as UTF-8, with losses": (framed(TELEGRAM.decode("utf-8", "replace").encode()), "bytes were replaced by EF BF BD"),
    "a text in UTF-8": (patched("body.memo", "관리비".encode().ljust(14)), "body.memo: text in utf-8"),
    "a text in shift-jis": (patched("body.memo", "ｶﾝﾘ".encode("shift_jis").ljust(14)), "body.memo: text in shift_jis"),
    "key of another message": (patched("header.business_code", b"100"), "it looks like collection.request, but its key"),
    "key of no message": (patched("header.message_type", b"9999"), "it looks like collection.request, but its key"),
    "no framing": (TELEGRAM, "these are telegrams without their framing"),
    "a length that counts itself": (b"0304" + TELEGRAM, "the length counts otherwise: itself and what follows"),
    "a length one too small": (b"0299" + TELEGRAM, "the length counts otherwise: what follows it, +1"),
    "two lengths": (b"0304" + FRAME, "8 bytes stand in front of the telegram"),
    "cut": (FRAME[:200], "the last 104 bytes are missing"),
    "blanks at the end taken off": (framed(TELEGRAM.rstrip(b" ")), "the last 11 bytes are missing"),
    "blanks at the end added": (framed(TELEGRAM + b"   "), "3 bytes too many at the end, all of them blank"),
    "a line end behind": (FRAME + b"\n", "a line end (LF) stands behind the telegram"),
    "CR LF behind": (FRAME + b"\r\n", "a line end (CR LF) stands behind the telegram"),
    "wrapped by an editor": (b"\r\n".join(FRAME[at : at + 80] for at in range(0, 304, 80)), "line ends were put inside (6 bytes)"),
    "wrapped, and cut by its length": (
        b"\n".join(FRAME[at : at + 80] for at in range(0, 304, 80))[:304],
        "line ends were put inside (3 bytes)",
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + FRAME, "an editor put a byte order mark (EF BB BF) in front"),
    "NUL for blanks": (FRAME.replace(b" ", b"\0"), "padded with NUL (00) instead of blanks"),
    "a number padded with blanks": (patched("body.amount", b"      1234500"), "body.amount: padded with blanks or NUL"),
    "a decimal point": (patched("body.amount", b"0000012345.00"), "body.amount: written with a decimal point or commas"),
    "a sign in front": (patched("body.amount", b"-000001234500"), "body.amount: a sign stands in front"),
    "overpunched in letters": (patched("body.amount", b"000000123450}"), "body.amount: the sign is in the last digit, by the letters"),
    "overpunched in ASCII": (patched("body.amount", b"000000123450p"), "body.amount: the sign is in the last digit, as ASCII machines"),
    "in EBCDIC, overpunched": (
        patched("body.amount", bytes.fromhex("f0f0f0f0f0f0f1f2f3f4f5f0d0")),
        "body.amount: the sign is in the last digit, as EBCDIC machines",
    ),
    "packed": (patched("body.amount", bytes(10) + bytes.fromhex("12345c")), "body.amount: packed decimals (COMP-3)"),
    "the day first": (patched("header.sent_date", b"15032024"), "header.sent_date: the day stands first"),
    "the month first": (patched("header.sent_date", b"03152024"), "header.sent_date: the month stands first"),
}


@pytest.mark.parametrize(("data", "what"), CASES.values(), ids=CASES)
def test_a_mishap_is_named_by_undoing_it(data: bytes, what: str):
    cause = first(data)
    assert what in cause.what
    assert cause.after < cause.before


@pytest.mark.parametrize("byte", [b" ", b"\0", b"0", b"\n"])
def test_one_byte_over_and_over_has_no_cause(byte: bytes):
    assert causes(SPEC, byte * 304) == []


@pytest.mark.parametrize("by", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("path", ["body.memo", "body.withdrawal_account", "body.amount", "body.fee"])
def test_a_field_that_is_too_long_is_found_where_it_shifts_what_follows(path: str, by: int):
    cause = first(longer(path, by))
    assert f"{by} byte{'s' if by > 1 else ''} too long" in cause.what and "too late" in cause.what
    assert cause.after == 0
    assert path in blamed(cause)


def blamed(cause: Cause) -> list[str]:
    """The fields that a cause names, and those between them."""
    named = [number for number, path in enumerate(FIELDS) if re.search(rf"{re.escape(path)}\b", cause.what)]
    return [*FIELDS][named[0] : named[-1] + 1]


@pytest.mark.parametrize("by", [1, 2, 4])
@pytest.mark.parametrize("path", ["body.memo", "body.amount", "body.deposit_account"])
def test_a_field_that_is_too_short_is_found_too(path: str, by: int):
    cause = first(longer(path, -by))
    assert f"{by} byte{'s' if by > 1 else ''} too short" in cause.what and "too early" in cause.what
    assert cause.after == 0


def test_a_shift_is_found_though_the_sender_cut_the_end_to_the_right_size():
    cause = first(kept("body.deposit_account", 3))
    assert "3 bytes too long" in cause.what and cause.after == 0
    cause = first(kept("body.amount", -1))
    assert "1 byte too short" in cause.what and cause.after == 0


def test_unframed_telegrams_that_still_have_their_framing_are_told():
    cause = first(FRAME, framed=False)
    assert cause.what == "the framing is still around the telegram" and cause.do == "leave --unframed out"


def test_a_good_telegram_has_no_cause_and_neither_has_one_bad_byte():
    assert causes(SPEC, FRAME) == []
    assert causes(SPEC, patched("body.amount", b"0000001A34500")) == []


def test_text_that_reads_without_fault_and_is_yet_hardly_meant_is_doubted():
    utf8 = "급여".encode().ljust(14)
    assert utf8.decode("cp949").strip() == "湲됱뿬"
    doubt = first(patched("body.memo", utf8))
    assert (doubt.before, doubt.after) == (0, 0) and doubt.what.startswith("body.memo: Hangul or kana in UTF-8")
    assert explain(SPEC, patched("body.memo", utf8)).ok


def test_a_cause_names_no_value():
    for data, _ in CASES.values():
        told = json.dumps([cause.as_object() for cause in causes(SPEC, data)], ensure_ascii=False)
        assert "110123456789" not in told and "이영희" not in told and "1234500" not in told


HOST = compile_family(
    Family(
        name="host",
        header=Struct("type" / Code(2, log="clear"), "number" / Code(4, log="clear")),
        framing=Framing(LengthField()),
        key=("type",),
        correlation=("number",),
        encoding="ascii",
        messages=[
            Message(
                "one",
                key=("AA",),
                kind="oneway",
                reply=Reply.none(),
                body=Struct(
                    "paid" / Zoned(7, 2, dialect="ascii"), "rest" / Zoned(5, dialect="ascii"), "left" / Packed(7), "name" / Text(9)
                ),
            )
        ],
    )
)


def test_numbers_of_another_sign_dialect_are_told_together():
    body = b"000123}" + b"0004E" + bytes.fromhex("0000012c") + b"KIM".ljust(9)
    (cause,) = causes(HOST, framed(b"AA0001" + body))
    assert cause.what.startswith("body.paid, body.rest: the sign is in the last digit, by the letters of EBCDIC")
    assert (cause.before, cause.after) == (2, 0) and 'dialect="ascii-ebcdic-letters"' in cause.do


@settings(max_examples=60, deadline=None)
@given(
    data=st.one_of(st.binary(max_size=400), st.binary(max_size=30).map(lambda junk: FRAME[:150] + junk + FRAME[150:])), framed=st.booleans()
)
def test_any_bytes_can_be_looked_at(data: bytes, framed: bool):
    for cause in causes(SPEC, data, framed=framed):
        assert cause.after < cause.before or cause.before == 0


@pytest.mark.parametrize("seed", range(4))
def test_made_up_telegrams_give_no_false_alarm(seed: int):
    for name in SPEC.messages:
        assert causes(SPEC, SPEC.encode(sample(SPEC, name, seed))) == []


def test_the_work_is_bounded_however_many_fields_there_are(monkeypatch: pytest.MonkeyPatch):
    row = Struct("name" / Text(4), "count" / Digits(4, blank="error"), "day" / Date(blank="error"))
    body = Struct("rows" / Occurs(100, row))
    many = compile_family(
        Family(
            name="many",
            header=Struct("type" / Code(2, log="clear"), "number" / Code(4, log="clear")),
            framing=Framing(LengthField(width=5)),
            key=("type",),
            correlation=("number",),
            messages=[Message("one", key=("AA",), body=body, kind="oneway", reply=Reply.none())],
        )
    )
    read = 0

    def counted(spec: Spec, telegram: bytes) -> Fit:
        nonlocal read
        found = fit(spec, telegram)
        read += found.good + len(found.bad)
        return found

    monkeypatch.setattr(shifts, "fit", counted)
    monkeypatch.setattr(shifts, "MOST_READ", 12_000)
    frame = many.encode(sample(many))
    (cause, *_) = causes(many, frame[:750] + b" " + frame[750:-1])
    assert "1 byte too long" in cause.what and "[46]" in cause.what
    # At least as many places are tried as a shift may have bytes, each by so many bytes to both sides.
    assert 12_000 < read <= 2 * REACH * REACH * 302


def test_what_is_too_large_to_try_on_is_left_alone():
    assert causes(SPEC, FRAME * 1000) == []
