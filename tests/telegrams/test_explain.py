"""A telegram as an offset table: every byte in a row, what is wrong beside it, nothing shown that is not clear."""

from __future__ import annotations

import json

import pytest
from basket_family import SPEC as BASKET
from hypothesis import given, settings
from hypothesis import strategies as st
from parcel_family import SPEC, order_frame

from telegram_router.telegrams import Telegram
from telegram_router.telegrams.causes import causes
from telegram_router.telegrams.explain import display_width, explain, printable
from telegram_router.telegrams.generate import sample

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


@settings(deadline=None)
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


# --- groups, tables and views -----------------------------------------------------------------------------------


def filled() -> Telegram:
    """A basket of a person that is known by a code, with four items and two entries."""
    made = (sample(BASKET, seed="rows", number=number) for number in range(2000))
    return next(
        each
        for each in made
        if each["kind"] == "9" and each["count"] == 4 and len(each["more"]) == 2 and each["more"][0]["k"] == 2 and "bank3" in each.body
    )


BASKET_FRAME = BASKET.encode(filled())


def basket(offset: int, content: bytes) -> bytes:
    return BASKET_FRAME[: 4 + offset] + content + BASKET_FRAME[4 + offset + len(content) :]


def test_the_fields_of_a_table_are_rows_with_their_index_and_views_are_chosen():
    told = explain(BASKET, BASKET_FRAME, show=True)
    assert told.ok
    paths = [row.path for row in told.rows]
    assert [path for path in paths if path.endswith(".amount")] == [f"body.items[{n}].amount" for n in range(4)]
    assert "body.more[0].sub[0]" in paths and "body.bank3" in paths
    assert ("body.code" in paths) and "body.person.name" not in paths
    assert b"".join(bytes.fromhex(row.hex) for row in told.rows) == BASKET_FRAME[4:]


def test_a_count_that_cannot_be_is_told_at_the_counter_and_what_follows_is_not_guessed():
    counter = next(row for row in explain(BASKET, BASKET_FRAME).rows if row.path == "body.entries")
    told = explain(BASKET, basket(counter.offset, b"\x00\x09"))
    assert [(problem.code, problem.path) for problem in told.problems] == [("E-FLD-08", "body.entries")]
    assert next(row for row in told.rows if row.problems).path == "body.entries"
    assert told.rows[-1].path == "not placed" and sum(row.length for row in told.rows) == told.size


def test_a_count_that_contradicts_the_size_is_told():
    counter = next(row for row in explain(BASKET, BASKET_FRAME).rows if row.path == "body.entries")
    told = explain(BASKET, basket(counter.offset, b"\x00\x01"))
    assert told.problems and sum(row.length for row in told.rows) == told.size


@settings(max_examples=25, deadline=None)
@given(
    at=st.integers(4, len(BASKET_FRAME) - 1),
    junk=st.binary(min_size=1, max_size=6),
    cut=st.integers(0, 12),
    framed=st.booleans(),
    show=st.booleans(),
)
def test_every_byte_of_a_telegram_with_tables_is_in_one_row_too(at: int, junk: bytes, cut: int, framed: bool, show: bool):
    data = (BASKET_FRAME[:at] + junk + BASKET_FRAME[at + len(junk) :])[: len(BASKET_FRAME) - cut]
    told = explain(BASKET, data, framed=framed, show=show)
    assert sum(row.length for row in told.rows) == told.size
    assert list(told.lines())
    for cause in causes(BASKET, data, framed=framed):
        assert cause.after < cause.before or not cause.before
