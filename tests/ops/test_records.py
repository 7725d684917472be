"""What an access record tells, what it must not, and that the quick way of making one is the whole way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from conversation import Talk, answer_to, ask, firm, notice, one_service, reply_to, small, transfer
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.ops import records
from telegram_router.ops.records import SLICE, WAITING, AccessLog, Makes, RecordMaker, hashed
from telegram_router.routing import Ended, Kind
from telegram_router.routing.traces import numbered

NOW = 1_700_000_000.0


class Kept:
    """A file that keeps what it is given, as long as it has room."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.text = b""
        self.dropped = 0
        self.failing = ""
        self.ended = False

    def put(self, lines: bytes) -> bool:
        if len(lines) > self.room:
            return False
        self.text += lines
        return True

    def end(self) -> None:
        self.ended = True

    close = reopen = end

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def maker(talk: Talk, secret: bytes = b"") -> RecordMaker:
    return RecordMaker(lambda: talk.clock, lambda: NOW + talk.clock, numbered(), secret)


def lines_of(made: Makes, ended: Sequence[Ended]) -> list[str]:
    out: list[bytes] = []
    many = made.write(ended, out)
    lines = b"".join(out).decode().splitlines(keepends=True)
    assert len(lines) == many
    return lines


def told(talk: Talk, secret: bytes = b"") -> list[dict[str, Any]]:
    """The records of what has ended since the last look."""
    return [json.loads(line) for line in lines_of(maker(talk, secret), talk.switch.take_ended()[0])]


def listened(talk: Talk) -> Talk:
    talk.switch.ended = []
    return talk


def test_a_record_of_a_request_that_went_well():
    talk = listened(firm())
    bank, host = talk.session("branches#1", "bank-a"), talk.link("transfer", "transfer#1", "10.0.0.1:9100")
    bank.peer.address = "10.9.9.9"
    bank.sends(transfer(17), at=1)
    host.got()
    host.sends(reply_to(transfer(17)), at=1.25)
    [record] = told(talk)
    assert record.pop("trace") == "0" * 31 + "1"
    assert record == {
        "ts": "2023-11-14T22:13:21.250000Z",
        "result": "ok",
        "delivery": "answered",
        "message": "transfer.request",
        "listener": "branches",
        "session": "branches#1",
        "user": "bank-a",
        "address": "10.9.9.9",
        "route": "transfer",
        "service": "transfer",
        "backend": "10.0.0.1:9100",
        "link": "transfer#1",
        "key": record["key"],
        "answer_ms": 250.0,
        "bytes_in": 304,
        "bytes_out": 304,
    }
    assert record["key"]["message_number"] == "000017"


def test_a_record_of_a_failure_names_code_delivery_and_trace_of_the_log_line():
    talk = listened(firm(in_flight=1))
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    host.got()
    talk.tick(at=30)
    unknown, waited = told(talk)
    assert [unknown[name] for name in ("result", "code", "delivery", "answer_ms")] == ["timeout", "E-BCK-05", "sent_unknown", 30000.0]
    assert [waited[name] for name in ("result", "code", "delivery", "queue_ms")] == ["overflow", "E-LIM-01", "not_sent", 30000.0]
    assert unknown["trace"] == talk.events("failed")[0]["trace"] and len(unknown["span"]) == 16
    assert "answer_ms" not in waited and waited["service"] == "transfer"


def test_records_of_refusals_and_of_answers_that_pair_with_nothing():
    talk = listened(firm())
    bank, host = talk.session("s"), talk.link("transfer", "l")
    bank.sends(transfer(1), transfer(1), b"0300" + b"?" * 300)
    host.got()
    host.sends(reply_to(transfer(99)))
    duplicate, stranger, unmatched = told(talk)
    assert (duplicate["result"], duplicate["session"], duplicate["route"], duplicate["service"]) == (
        "duplicate",
        "s",
        "transfer",
        "transfer",
    )
    assert duplicate["key"]["message_number"] == "000001" and duplicate["delivery"] == "not_sent"
    assert stranger == {**stranger, "result": "no_route", "code": "E-RTE-01", "bytes_in": 304} and "key" not in stranger
    assert (unmatched["result"], unmatched["asked_by"], unmatched["link"]) == ("unmatched_reply", "link", "l")
    assert unmatched["key"]["message_number"] == "000099" and "delivery" not in unmatched


def test_what_a_host_asks_names_the_session_that_answered():
    talk = listened(firm())
    bank, host = talk.session("s"), talk.link("transfer", "l")
    bank.sends(transfer(1))
    host.got()
    host.sends(notice(5))
    [asked] = [frame for frame in bank.got() if frame[28:32] == b"4000"]
    bank.sends(reply_to(asked))
    [record] = told(talk)
    assert (record["asked_by"], record["session"], record["link"], record["listener"], record["service"]) == (
        "link",
        "s",
        "l",
        "branches",
        "transfer",
    )


def test_a_correlation_field_that_is_not_clear_is_left_out_or_hashed():
    talk = listened(one_service(small()))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(7))
    host.sends(*map(answer_to, host.got()))
    ended = talk.switch.take_ended()[0]
    [without] = map(json.loads, lines_of(maker(talk), ended))
    [with_key] = map(json.loads, lines_of(maker(talk, b"secret"), ended))
    assert without["key"] == {"company": "AA"}
    assert with_key["key"] == {"number": hashed("7", b"secret"), "company": "AA"}
    assert hashed("007 ", b"secret") == hashed("7", b"secret") != hashed("7", b"another") and with_key["key"]["number"] != "7"


def test_the_size_of_a_telegram_of_which_only_the_header_was_kept_is_that_of_its_length_field():
    talk = listened(one_service(small()))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(7, "a text of its own length"))
    [sent] = host.got()
    host.sends(answer_to(sent, b"short"))
    [record] = told(talk)
    assert record["bytes_in"] == len(sent) and record["bytes_out"] == len(answer_to(sent, b"short"))


def test_no_field_of_a_body_and_no_unclear_field_is_ever_in_a_record():
    talk = listened(firm())
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(1))
    host.got()
    host.sends(reply_to(transfer(1)))
    text = "".join(lines_of(maker(talk), talk.switch.take_ended()[0]))
    assert "110123456789" not in text and "홍길동" not in text and "급여" not in text


asked = st.lists(
    st.tuples(st.sampled_from([" 17", "017", 'a"b', "\\x1", "A A", "000"]), st.sampled_from(["AA", 'B"', "C "])), min_size=1, max_size=4
)


@given(asked, st.booleans(), st.floats(0, 3), st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_quick_way_writes_what_the_whole_way_writes(numbers: list[tuple[str, str]], one_by_one: bool, first: float, second: float):
    """Whatever the correlation fields hold, and whether answers come together or not."""
    talk = listened(firm())
    bank, host = talk.session("s"), talk.link("transfer", "l")
    for at, (number, company) in enumerate(numbers):
        frame = transfer(at, company="C001")
        frame = frame[:13] + company.encode().ljust(12) + frame[25:]
        bank.sends(frame[:36] + number.encode().ljust(6)[:6] + frame[42:], at=talk.clock + first * one_by_one)
    for frame in host.got():
        host.sends(reply_to(frame), at=talk.clock + second * one_by_one)
    ended = talk.switch.take_ended()[0]
    whole = RecordMaker(lambda: talk.clock, lambda: NOW + talk.clock, numbered())
    expected = []
    for each in ended:
        expected.append(whole._whole(each).decode())
    assert lines_of(maker(talk), ended) == expected


# --- the log of records


def answered(count: int, *, host_dies: bool = False) -> tuple[Talk, list[Ended]]:
    talk = listened(one_service(small(4), in_flight=5000, sessions={"open_exchanges": 5000}))
    bank, host = talk.session(), talk.link()
    bank.sends(*(ask(number, width=4) for number in range(count)))
    frames = host.got()
    if host_dies:
        host.dies()
    else:
        host.sends(*(answer_to(frame, width=4) for frame in frames))
    return talk, talk.switch.take_ended()[0]


def access(talk: Talk, file: Kept, **more: Any) -> AccessLog:
    return AccessLog(maker(talk), file, lambda: 0.5, **more)  # type: ignore[arg-type]


def test_a_full_batch_is_handed_over_at_once_and_the_rest_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    talk, ended = answered(300)
    monkeypatch.setattr(records, "BATCH", 128)
    file = Kept()
    log = access(talk, file)
    log.read(ended[:200], 0)
    assert len(file.lines) == 200
    log.read(ended[200:], 0)
    assert len(file.lines) == 200
    log.flush()
    assert (len(file.lines), log.written, log.dropped) == (300, 300, 0)


def test_a_turn_makes_only_so_many_and_wakes_itself_for_the_rest(monkeypatch: pytest.MonkeyPatch):
    talk, ended = answered(SLICE + 500)
    file, woken = Kept(), []
    log = access(talk, file, wake=lambda: woken.append(len(file.lines)))
    monkeypatch.setattr(records, "BATCH", SLICE)
    log.read(ended, 0)
    assert woken == [SLICE]
    log.go_on()
    log.close()
    assert woken == [SLICE] and len(file.lines) == SLICE + 500 and file.ended


def test_what_waits_is_bounded_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch):
    talk, ended = answered(1)
    log = access(talk, Kept())
    log.read(ended * (WAITING + 10), 5)
    assert log.dropped == 15
    log.read(ended * (2 * SLICE), 0)
    assert log.dropped == 15 + 2 * SLICE - SLICE
    full = access(talk, Kept(room=10))
    full.read(ended, 0)
    full.flush()
    assert (full.written, full.dropped) == (0, 1)
    monkeypatch.setattr(records, "SLICE", 1 << 30)
    log.end()


@pytest.mark.parametrize(("share", "kept"), [(1.0, 4), (0.6, 4), (0.4, 0), (0.0, 0)])
def test_only_what_went_well_is_sampled(share: float, kept: int):
    talk, good = answered(4)
    _, bad = answered(3, host_dies=True)
    file = Kept()
    log = access(talk, file, share=share)
    log.read(good + bad, 0)
    log.close()
    results = [line["result"] for line in file.lines]
    assert (results.count("ok"), results.count("link_lost")) == (kept, 3)


def test_tables_of_what_is_ready_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, "WAYS", 2)
    monkeypatch.setattr(records, "ORIGINS", 1)
    monkeypatch.setattr(records, "SIZES", 2)
    talk = listened(one_service(small(), kind=Kind.TELEGRAM))
    host = talk.link()
    made = maker(talk)
    for number in range(5):
        bank = talk.session(f"s{number}")
        bank.sends(ask(number, "x" * number))
        host.sends(*map(answer_to, host.got()))
        [line] = lines_of(made, talk.switch.take_ended()[0])
        assert json.loads(line)["session"] == f"s{number}"
    assert len(made._ways) <= 2 and len(made._telegrams) <= 1
