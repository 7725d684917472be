"""Usage: every request counts once, by user, service and day, by how it ended."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import Speaker, Talk, ask, credit, firm, firmbanking, one_service, reply_to, small, transfer
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import Delivery
from telegram_router.routing import Kind
from telegram_router.routing import usage as module
from telegram_router.routing.limits import Limit, part
from telegram_router.routing.usage import NOBODY, NOWHERE, OTHER, Usage, whole_messages

DAY = "2026-11-22"


def metered(talk: Talk, *names: str, amount: str | None = None, most: int = 100) -> Usage:
    usage = Usage(names or ("certificate",), amount, most, DAY)
    talk.switch.ended = []
    listener = talk.listener()
    listener.whole = whole_messages(listener.spec, amount)
    listener.set_routes(listener.routes)
    return usage


def counted(talk: Talk, usage: Usage) -> dict[tuple[str, str], dict[str, Any]]:
    """By service and user: what is not zero."""
    usage.read(*talk.switch.take_ended())
    found = {}
    for place, tally in usage.day.tallies.items():
        row = {name: getattr(tally, name) for name in (*module.COUNTS, "codes")}
        found[place] = {name: count for name, count in row.items() if count}
    return found


def states(talk: Talk, usage: Usage) -> dict[tuple[str, str], dict[str, Any]]:
    return {place: {k: v for k, v in row.items() if not k.startswith("bytes")} for place, row in counted(talk, usage).items()}


def test_answers_count_for_who_asked_with_their_bytes():
    talk = firm()
    usage = metered(talk)
    one, other, host = talk.session("one", "one.example"), talk.session("other", "b.example", "a.example"), talk.link()
    one.sends(transfer(1), transfer(2), at=0)
    other.sends(transfer(3))
    assert len(host.got()) == 3
    host.sends(*(reply_to(transfer(number)) for number in (1, 2, 3)), at=1)
    size = len(transfer(1))
    assert counted(talk, usage) == {
        ("transfer", "one.example"): {"answered": 2, "bytes_in": 2 * size, "bytes_out": 2 * len(reply_to(transfer(1)))},
        ("transfer", "a.example+b.example"): {"answered": 1, "bytes_in": size, "bytes_out": len(reply_to(transfer(1)))},
    }


def test_the_first_word_that_a_request_has_names_its_user():
    talk = firm()
    usage = metered(talk, "certificate", "header.company_number", "address")
    known, unknown, host = talk.session("known", "known.example"), talk.session("unknown"), talk.link()
    unknown.peer.address = "10.0.0.7"
    known.sends(transfer(1), at=0)
    unknown.sends(transfer(2, "C001"), transfer(3, "C002"), transfer(4, ""))
    host.sends(*(reply_to(frame) for frame in host.got()))
    assert {place[1]: row["answered"] for place, row in counted(talk, usage).items()} == {
        "known.example": 1,
        "C001": 1,
        "C002": 1,
        "10.0.0.7": 1,
    }
    talk.tick(at=1)
    unknown.peer.address = ""
    unknown.sends(transfer(5, ""))
    host.sends(*(reply_to(frame) for frame in host.got()))
    usage.forget()
    assert ("transfer", NOBODY) in counted(talk, usage)


def test_every_end_of_a_request_has_its_state_and_its_code():
    talk = firm(pending=1, pending_timeout=1.0, in_flight=3, timeout=5.0)
    usage = metered(talk)
    listener = talk.listener()
    listener.limits = [Limit("l", 1, 6, [part("session", listener.spec)])]
    listener.set_routes(listener.routes)
    bank, host = talk.session("bank", "bank.example"), talk.link()
    bank.sends(*(transfer(number) for number in range(1, 9)), at=0)
    assert host.got() == [transfer(1), transfer(2), transfer(3)]
    host.sends(reply_to(transfer(1)), at=0.5)
    talk.tick(at=10)  # the one that waited is in an outbox that nobody has taken anything of
    bank.sends(b"0010" + b"x" * 10, at=11)
    found = states(talk, usage)
    ours = found["transfer", "bank.example"]
    assert (ours["answered"], ours["sent_unknown"], ours["not_sent"], ours["refused"]) == (1, 2, 1, 4)
    assert ours["codes"]["E-BCK-05"] == 2
    assert ours["codes"]["E-LIM-01"] + ours["codes"].get("E-LIM-03", 0) == 5
    assert found[NOWHERE, "bank.example"] == {"refused": 1, "codes": {"E-FRM-08": 1}}


def test_what_is_withdrawn_or_waits_in_vain_is_not_sent():
    talk = firm(pending=5, pending_timeout=1.0)
    usage = metered(talk)
    one, other = talk.session("one", "one.example"), talk.session("other", "other.example")
    one.sends(transfer(1), at=0)
    other.sends(transfer(2))
    other.dies()
    talk.tick(at=2)
    assert states(talk, usage) == {
        ("transfer", "one.example"): {"not_sent": 1, "codes": {"E-BCK-01": 1}},
        ("transfer", "other.example"): {"not_sent": 1, "codes": {"withdrawn": 1}},
    }


def test_hosts_that_ask_and_one_way_telegrams_count_too():
    talk = one_service(small(owner=True))
    usage = metered(talk, "certificate")
    bank, host = talk.session("bank", "bank.example"), talk.link()
    bank.sends(ask(1, kind="0400"), at=0)
    assert len(host.got()) == 1
    talk.tick(at=1)
    host.sends(ask(2), at=1)
    assert len(bank.got()) == 1
    talk.tick(at=60)
    found = states(talk, usage)
    assert found["transfer", "bank.example"] == {"sent": 1}
    assert found["listener branches", "service transfer"]["sent_unknown"] == 1


def test_what_a_backend_rejected_for_certain_is_not_sent_with_its_code():
    talk = one_service(firmbanking(), kind=Kind.HTTP, full=True)
    usage = metered(talk)
    bank = talk.session("bank", "bank.example")
    talk.link()
    bank.sends(transfer(1), at=0)
    (order,) = talk.switch.commands
    talk.switch.fail(order.exchange, "E-BCK-09", Delivery.NOT_SENT, 0.1)  # type: ignore[union-attr]
    assert states(talk, usage) == {("transfer", "bank.example"): {"not_sent": 1, "codes": {"E-BCK-09": 1}}}


def test_amounts_are_summed_by_whether_they_are_known_to_have_been_executed():
    from test_quotas import with_amount

    talk = firm(timeout=5.0)
    usage = metered(talk, amount="body.amount")
    bank, host = talk.session("bank", "bank.example"), talk.link()
    bank.sends(with_amount(1, 700), with_amount(2, 10**13 - 1), with_amount(3, b"x" * 13), at=0)
    assert len(host.got()) == 3
    host.sends(reply_to(transfer(1)), reply_to(transfer(3)), at=1)
    talk.tick(at=10)
    row = counted(talk, usage)["transfer", "bank.example"]
    assert (row["amount"], row["amount_unknown"], row["answered"], row["sent_unknown"]) == (700, 10**13 - 1, 2, 1)


def test_the_size_of_a_request_is_known_though_only_its_header_is_kept():
    talk = one_service(small(refusal=True))
    usage = metered(talk, "address")
    bank, host = talk.session(), talk.link()
    frames = [ask(1, "a"), ask(2, "a longer text")]
    bank.sends(*frames, at=0)
    assert len(host.got()) == 2
    talk.tick(at=60)
    assert counted(talk, usage)["transfer", NOBODY]["bytes_in"] == sum(map(len, frames))


def test_users_are_bounded_by_day_and_the_others_count_together():
    talk = firm()
    usage = metered(talk, "header.company_number", most=2)
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number, f"C{number:03}") for number in range(5)), at=0)
    host.sends(*(reply_to(frame) for frame in host.got()))
    assert {user: row["answered"] for (_, user), row in counted(talk, usage).items()} == {"C000": 1, "C001": 1, OTHER: 3}
    usage.turn("2026-11-23")
    bank.sends(transfer(9, "C004"), at=1)
    host.sends(*(reply_to(frame) for frame in host.got()))
    assert list(counted(talk, usage)) == [("transfer", "C004")]
    assert set(usage.days) == {DAY, "2026-11-23"}


def test_what_is_known_by_heart_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MET", 3)
    talk = firm()
    usage = metered(talk, "header.company_number")
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number, f"C{number:03}") for number in range(10)), at=0)
    host.sends(*(reply_to(frame) for frame in host.got()))
    assert len(counted(talk, usage)) == 10
    assert len(usage._known) <= 3


def test_what_was_stored_is_added_once_and_changes_are_told_once():
    usage = Usage(("address",), None, 10, DAY)
    day = usage.day
    tally = day.tally("transfer", "a", 10)
    tally.answered, tally.changed = 2, True
    day.restore({"transfer": {"a": [5, 0, 0, 0, 0, 10, 20, 0, 0, {}], "b": [1, 0, 1, 0, 0, 1, 1, 0, 0, {"E-LIM-03": 1}]}}, 10)
    told = dict(day.take_changes())
    assert told == {"transfer": {"a": [7, 0, 0, 0, 0, 10, 20, 0, 0, {}], "b": [1, 0, 1, 0, 0, 1, 1, 0, 0, {"E-LIM-03": 1}]}}
    assert not list(day.take_changes())


def test_requests_that_could_not_be_told_of_are_counted_as_missed():
    usage = Usage(("address",), None, 10, DAY)
    usage.read([], 7)
    assert usage.missed == 7


script = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 1), st.integers(1, 30), st.booleans()),
        st.tuples(st.just("answer"), st.integers(1, 30)),
        st.tuples(st.just("tick"), st.sampled_from([0.3, 2.0, 6.0])),
        st.tuples(st.just("die"), st.integers(0, 1)),
    ),
    max_size=60,
)


@given(script)
@settings(deadline=None)
def test_the_sums_of_a_day_are_those_of_the_metrics_whatever_is_said(steps: list[Any]):
    talk = firm(in_flight=3, pending=2, timeout=5.0, tombstone=8.0)
    usage = metered(talk)
    banks: list[Speaker] = [talk.session("one", "one.example"), talk.session("other", "other.example")]
    hosts = {"transfer": talk.link(), "other": talk.link("other")}
    for step in steps:
        if step[0] == "ask":
            banks[step[1]].sends(transfer(step[2]) if step[3] else credit(step[2]))
        elif step[0] == "answer":
            hosts["transfer"].got()
            hosts["transfer"].sends(reply_to(transfer(step[1])))
        elif step[0] == "tick":
            talk.tick(talk.clock + step[1])
        elif not banks[step[1]].peer.closed:
            banks[step[1]].dies()
            banks[step[1]] = talk.session("again", "one.example")
    talk.tick(talk.clock + 60)
    found = states(talk, usage)
    ended = talk.ended(talk.listener())
    sums = {name: sum(row.get(name, 0) for row in found.values()) for name in ("answered", "sent", "not_sent", "sent_unknown", "refused")}
    assert sums["answered"] + sums["sent"] == ended.pop("ok", 0)
    assert sums["not_sent"] + sums["sent_unknown"] == sum(ended.values())
    assert sums["refused"] == sum(talk.listener().refused.values())
    codes: dict[str, int] = {}
    for row in found.values():
        for code, count in row.get("codes", {}).items():
            codes[code] = codes.get(code, 0) + count
    both = dict(talk.listener().refused)
    for code, count in ended.items():
        both[code] = both.get(code, 0) + count
    assert codes == both
