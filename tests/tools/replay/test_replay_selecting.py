"""Which requests of a capture are sent, and with which recorded answers."""

from __future__ import annotations

import pytest
from replay_kit import SPEC, T0, Sheet, sample, transfers

from telegram_router.tools.predicate import parse
from telegram_router.tools.replay import steps as steps_file
from telegram_router.tools.replay.settings import Numbers, duration, moment, numbers, rate
from telegram_router.tools.replay.steps import Selection, Step, Steps, referred_to


def chosen(sheet: Sheet, **wanted: object) -> list[Step]:
    reader = sheet.reader()
    return [each for each in Steps(reader, reader.head, SPEC, Selection(**wanted)) if isinstance(each, Step)]  # type: ignore[arg-type]


def test_each_request_comes_with_its_recorded_answer():
    found = chosen(transfers(3))
    assert [(step.x, len(step.answers)) for step in found] == [("x1", 1), ("x2", 1), ("x3", 1)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"sequence": Numbers(3, 5)}, ["x3", "x4", "x5"]),
        ({"sequence": Numbers(9, 2)}, ["x1", "x2", "x9", "x10"]),
        ({"record": Numbers(3, 5)}, ["x2", "x3"]),
        ({"only": frozenset({"x7"})}, ["x7"]),
        ({"connections": frozenset({"c2"})}, []),
        ({"skip": 8}, ["x9", "x10"]),
        ({"limit": 2}, ["x1", "x2"]),
        ({"skip": 1, "limit": 2}, ["x2"]),
        ({"filter": parse("f.message_number=000004")}, ["x4"]),
        ({"first": moment("07:13:22", ""), "last": moment("07:13:24", "")}, ["x3", "x4"]),
        ({"first": moment("2023-11-15T07:13:28", "")}, ["x9", "x10"]),
        ({"first": moment("2023-11-16T00:00", "")}, []),
        ({"first": moment("10:00", ""), "time_field": "sent_time"}, [f"x{n}" for n in range(1, 11)]),
        ({"last": moment("10:00", ""), "time_field": "sent_time"}, []),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_selection_by(wanted: dict[str, object], expected: list[str]):
    assert T0 % 60_000_000_000 == 20_000_000_000  # the capture begins at 07:13:20 in its own zone
    assert [step.x for step in chosen(transfers(10, every=1.0), **wanted)] == expected


def test_related_originals_come_with_what_refers_to_them():
    sheet = transfers(5)
    sheet.ask(2.0, sample("result.request", message_number="000006", original_number="000003"), sample("result.response"))
    wanted = Selection(filter=parse("msg=result.request"), related=True)
    first = sheet.reader()
    related = referred_to(first, first.head, SPEC, wanted)
    again = sheet.reader()
    found = [each.x for each in Steps(again, again.head, SPEC, wanted, related) if isinstance(each, Step)]
    assert found == ["x3", "x6"]


def test_what_is_no_request_of_ours_is_left_out_and_counted():
    sheet = transfers(2)
    notice = sample("deposit_notice.request")
    sheet.rows.append({"k": "m", "n": 0, "t": 5, "c": "c1", "d": "<", "len": len(notice), "raw": notice, "x": "y1", "msg": None})
    sheet.rows.append({"k": "m", "n": 0, "t": 6, "c": "c1", "d": ">", "len": 4, "raw": b"junk", "msg": None})
    poll = SPEC.framing.poll_request()
    assert poll is not None
    sheet.rows.append({"k": "m", "n": 0, "t": 7, "c": "c1", "d": ">", "len": len(poll), "raw": poll, "msg": None})
    reader = sheet.reader()
    steps = Steps(reader, reader.head, SPEC, Selection())
    assert sum(isinstance(each, Step) for each in steps) == 2
    assert steps.left_out == {"sent by the target": 1, "not of the spec": 1, "polls": 1}


def test_what_masking_left_only_the_digest_of_is_not_sent_and_counted():
    sheet = transfers(3)
    for row in (sheet.rows[2], sheet.rows[5]):  # a request and another's answer
        row.update(raw=b"", hmac="0f" * 16, err="not a telegram of the spec")
    reader = sheet.reader()
    steps = Steps(reader, reader.head, SPEC, Selection())
    found = [each for each in steps if isinstance(each, Step)]
    assert [(step.x, len(step.answers)) for step in found] == [("x1", 1), ("x3", 0)]
    assert steps.left_out == {"that masking has left only the digest of": 1, "answers that masking has left only the digest of": 1}


def test_a_request_that_nobody_answered_holds_back_no_more_than_the_telegrams_ahead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(steps_file, "AHEAD", 10)
    sheet = Sheet()
    sheet.ask(0, sample("transfer.request", message_number="999999"))
    for number in range(1, 101):
        told = {"message_number": f"{number:06d}"}
        sheet.ask(number, sample("transfer.request", **told), sample("transfer.response", **told))
    reader = sheet.reader()
    steps = Steps(reader, reader.head, SPEC, Selection())
    held = 0
    for _ in steps:
        held = max(held, len(steps._waiting))
    assert held <= 11


def test_settings_have_units():
    assert (duration("250ms"), duration("5s"), duration("10m")) == (250_000_000, 5_000_000_000, 600_000_000_000)
    assert (rate("200/s"), rate("12000/m")) == (200, 200)
    assert numbers("999990..10").holds(5) and not numbers("999990..10").holds(11)
