"""A telegram as an offset table: every byte in a row, what is wrong beside it, nothing shown that is not clear."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parcel_family import SPEC, order_frame

from telegram_router.telegrams.explain import display_width, explain, printable

FRAME = order_frame()
TELEGRAM = FRAME[4:]
FIELDS = {planned.path: planned for planned in SPEC.messages["order.request"].fields}


def rows(data: bytes = FRAME, **how: bool) -> dict[str, object]:
    return {row.path: row for row in explain(SPEC, data, **how).rows}


def patched(path: str, content: bytes) -> bytes:
    at = 4 + FIELDS[path].offset
    return FRAME[:at] + content + FRAME[at + len(content) :]


def test_a_good_telegram_is_a_table_of_its_fields():
    told = explain(SPEC, FRAME)
    assert told.ok and told.message == "order.request" and told.size == len(TELEGRAM)
    assert [row.path for row in told.rows] == list(FIELDS)
    amount = rows()["body.amount"]
    assert (amount.offset, amount.position, amount.length, amount.rule, amount.label) == (51, "52-64", 13, "9(13)", "금액 amount")
    assert (amount.shown, amount.meaning, amount.hex) == ("1234500", "1,234,500", "30303030303031323334353030")


def test_values_that_are_not_clear_are_shown_only_on_request():
    masked, shown = rows()["body.account"], rows(show=True)["body.account"]
    assert (masked.shown, masked.value, masked.hex, masked.masked) == ("[15 bytes]", None, "", True)
    assert (shown.shown, shown.value, shown.masked) == ("110123456789", "110123456789", False)
    text = "\n".join(explain(SPEC, FRAME).lines()) + json.dumps(explain(SPEC, FRAME).as_object())
    assert "110123456789" not in text and "313130313233" not in text


def test_meanings_of_codes_dates_times_and_amounts():
    told = rows(patched("header.response", b"0000"))
    assert told["header.response"].meaning == "정상 ok"
    assert told["header.sent"].meaning == "2024-03-15"
    assert told["body.at"].meaning == "10:11:12"
    assert told["body.fee"].shown == "-12.30"
    assert rows(order_frame(fee=-1234567))["body.fee"].meaning == "-1,234,567.00"


def test_a_bad_field_is_marked_with_its_rule_and_all_others_are_still_explained():
    told = explain(SPEC, patched("body.amount", b"00000000A0000"))
    assert [(problem.code, problem.path) for problem in told.problems] == [("E-FLD-01", "body.amount")]
    bad = next(row for row in told.rows if row.problems)
    assert bad.path == "body.amount" and bad.hex[16:18] == "41"
    assert next(row for row in told.rows if row.path == "body.memo").shown == "홍길동급여"
    lines = list(told.lines())
    mark = next(number for number, line in enumerate(lines) if line.startswith("^^^"))
    assert "body.amount" in lines[mark - 1] and "E-FLD-01" in lines[mark] and "13 digits" in lines[mark]
    assert lines[-1] == "1 problem"


def test_a_bad_field_that_is_not_clear_shows_no_bytes():
    bad = rows(patched("body.account", b"SECRET\x00"))["body.account"]
    assert bad.problems[0].code == "E-ENC-04"
    assert bad.hex == "" and bad.value is None


def test_all_bad_fields_are_told_at_once():
    frame = bytearray(patched("body.amount", b"x"))
    frame[4 + FIELDS["header.sent"].offset + 4] = 0x39
    assert [problem.path for problem in explain(SPEC, bytes(frame)).problems] == ["header.sent", "body.amount"]


def test_filler_that_is_not_blank_and_fields_written_another_way_are_noted():
    assert rows(patched("header.filler@32", b"AB  "))["header.filler@32"].note == "not blank"
    assert rows(patched("body.fee", b" 000001230"))["body.fee"].note == "not as we would write it"
    assert rows()["body.fee"].note == ""


@pytest.mark.parametrize("missing", [1, 7, 30, 60, 100])
def test_a_telegram_that_is_too_short_still_lists_every_field(missing):
    told = explain(SPEC, TELEGRAM[:-missing], framed=False)
    assert [row.path for row in told.rows] == list(FIELDS)
    assert [problem.code for problem in told.problems] == ["E-FRM-08"]
    assert sum(row.length for row in told.rows) == len(TELEGRAM) - missing


def test_bytes_beyond_the_layout_have_a_row_of_their_own():
    told = explain(SPEC, TELEGRAM + b"zzz", framed=False)
    assert [problem.code for problem in told.problems] == ["E-FRM-07"]
    last = told.rows[-1]
    assert (last.path, last.offset, last.length, last.shown) == ("beyond the layout", len(TELEGRAM), 3, "[3 bytes]")


def test_a_key_that_no_message_has_leaves_the_header():
    told = explain(SPEC, patched("header.type", b"9999"))
    assert (told.message, [problem.code for problem in told.problems]) == ("", ["E-RTE-01"])
    assert [row.path for row in told.rows][-1] == "body"
    assert "header.type" in told.problems[0].path
    assert rows(patched("header.type", b"9999"))["header.type"].shown == "9999"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"12A4" + TELEGRAM, "E-FRM-01"), (FRAME[:-3], "E-FRM-05"), (FRAME + b"xx", "E-FRM-04"), (b"01", "E-FRM-05"), (b"", "E-FRM-05")],
)
def test_what_is_wrong_with_the_framing_is_told_too(data, code):
    assert code in [problem.code for problem in explain(SPEC, data).problems]


def test_a_poll_is_no_message_and_no_problem():
    told = explain(SPEC, b"0011REQPOLL1234")
    assert told.ok and told.title.startswith("poll") and told.message == ""
    assert [row.path for row in told.rows] == ["poll"]


def test_columns_line_up_though_hangul_is_twice_as_wide():
    lines = [line for line in explain(SPEC, FRAME, show=True).lines() if line[:1].isdigit()]
    shown = {display_width(line[: line.index(row.hex[:32])]) for row, line in zip(explain(SPEC, FRAME, show=True).rows, lines, strict=True)}
    assert len(shown) == 1


def test_nothing_that_is_shown_can_steer_a_terminal():
    assert printable("a\x1b[2Jb\u202e") == "a\\u{1b}[2Jb\\u{202e}"
    assert all(line.isprintable() for line in explain(SPEC, patched("body.memo", b"\x1b[2J"), show=True).lines())


def test_the_structured_form_is_json_and_holds_the_same():
    told = explain(SPEC, patched("body.amount", b"x"))
    form = json.loads(json.dumps(told.as_object(), ensure_ascii=False))
    assert form["message"] == "order.request" and form["ok"] is False
    assert [field["path"] for field in form["fields"]] == list(FIELDS)
    assert form["problems"] == form["fields"][list(FIELDS).index("body.amount")]["problems"]


@settings(max_examples=150, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.tuples(st.integers(0, len(FRAME) - 1), st.binary(max_size=40)).map(
            lambda cut: FRAME[: cut[0]] + cut[1] + FRAME[cut[0] + len(cut[1]) :]
        ),
        st.tuples(st.integers(0, len(FRAME)), st.binary(max_size=9)).map(lambda cut: FRAME[: cut[0]] + cut[1]),
    ),
    framed=st.booleans(),
    show=st.booleans(),
)
def test_any_bytes_can_be_explained_and_every_byte_is_in_one_row(data, framed, show):
    told = explain(SPEC, data, framed=framed, show=show)
    telegram = data[4:] if framed else data
    at = 0
    for row in told.rows:
        assert row.offset == at or row.length == 0
        at += row.length
    assert at == told.size == len(telegram)
    assert list(told.lines())
    json.dumps(told.as_object())
    if show and told.message:
        assert b"".join(bytes.fromhex(row.hex) for row in told.rows) == telegram
    if told.ok and framed and not told.title.startswith("poll"):
        assert SPEC.encode(SPEC.decode(data)) == data
