"""Everything that ends is told of once: what, how, with which delivery, and how long it waited."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import Talk, answer_to, ask, credit, firm, notice, one_service, opening, reply_to, small, transfer

from telegram_router.errors import CODES, Delivery
from telegram_router.routing import Ended, Kind, Switch
from telegram_router.routing.ended import ENDED_PER_FLUSH, RESULT_OF_CODE, RESULTS, result_of


def listened(talk: Talk) -> Talk:
    talk.switch.ended = []
    return talk


def told(talk: Talk) -> list[tuple[str, str, str]]:
    """Result, code and delivery of what ended since the last look."""
    return [(result, code, delivery) for result, _, _, _, _, _, code, delivery, _ in talk.switch.take_ended()[0]]


def one(talk: Talk) -> Ended:
    [ended] = talk.switch.take_ended()[0]
    return ended


def test_nobody_listens_and_nothing_is_kept():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), b"0300" + b"?" * 300)
    host.sends(*map(reply_to, host.got()))
    assert talk.switch.ended is None


def test_an_answer_is_told_with_whoever_asked_and_answered():
    talk = listened(firm())
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=1)
    host.got()
    host.sends(reply_to(transfer(1)), at=3)
    result, at, exchange, peer, entry, frame, code, delivery, waited = one(talk)
    assert (result, at, code, delivery, waited) == ("ok", 3, "", "answered", 0.0)
    assert exchange is not None and entry is not None and entry.route is not None
    assert (peer, exchange.answerer, exchange.at, exchange.attempts) == (bank.peer, host.peer, 1, 1)
    assert (entry.route.name, frame) == ("transfer", reply_to(transfer(1)))


def test_a_request_that_waited_says_how_long_and_its_phases_are_counted():
    talk = listened(firm(in_flight=1))
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=1)
    host.got()
    host.sends(reply_to(transfer(1)), at=3)
    assert one(talk)[8] == 0.0
    host.got()
    host.sends(reply_to(transfer(2)), at=7)
    assert one(talk)[8] == 2.0
    phases = talk.service().phases
    assert phases.queue.seconds == 2.0 and [sum(each.counts) for each in (phases.queue, phases.answer, phases.together)] == [1, 1, 1]
    assert phases.answer.counts.index(1) == int(4e6).bit_length() and not talk.service().register.delayed


def test_a_timeout_is_unknown_and_its_late_answer_is_told_of_too():
    talk = listened(firm())
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    host.got()
    talk.tick(at=30)
    assert told(talk) == [("timeout", "E-BCK-05", "sent_unknown")]
    host.sends(reply_to(transfer(1)))
    late = one(talk)
    assert (late[0], late[2], late[3], late[6]) == ("late_reply", None, host.peer, "E-BCK-07")
    assert late[4] is not None and late[4].message.name == "transfer.response"


def test_what_a_lost_link_took_is_unknown_and_what_it_did_not_goes_on_as_another_attempt():
    talk = listened(firm())
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1))
    host.got()
    bank.sends(transfer(2))
    host.dies()
    assert told(talk) == [("link_lost", "E-BCK-02", "sent_unknown")]
    second = talk.link()
    second.sends(*map(reply_to, second.got()))
    ended = one(talk)
    assert ended[0] == "ok" and ended[2] is not None and ended[2].attempts == 2


def test_refusals_are_told_with_their_message_and_route_where_they_have_one():
    talk = listened(firm())
    bank = talk.session()
    talk.link("transfer")
    talk.link("other")
    bank.sends(transfer(1), transfer(1), b"0300" + b"?" * 300, credit(1)[:4] + notice(1)[4:])
    found = talk.switch.take_ended()[0]
    assert [(each[0], each[6], each[7]) for each in found] == [
        ("duplicate", "E-DUP-01", "not_sent"),
        ("no_route", "E-RTE-01", "not_sent"),
        ("no_route", "E-RTE-01", "not_sent"),
    ]
    assert [each[4] and (each[4].message.name, each[4].route and each[4].route.name) for each in found] == [
        ("transfer.request", "transfer"),
        None,
        ("deposit_notice.request", None),
    ]
    assert next(each[5] for each in found) == transfer(1)


def test_an_answer_that_nobody_waits_for_any_more_is_told_as_client_closed():
    talk = listened(firm())
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))
    host.got()
    host.sends(reply_to(transfer(2)))
    told(talk)
    bank.dies()
    host.sends(reply_to(transfer(1)))
    assert told(talk) == [("client_closed", "", "answered")]


def test_a_request_withdrawn_before_it_left_is_not_sent():
    talk = listened(firm())
    bank = talk.session()
    talk.link()
    bank.sends(transfer(1))
    bank.dies()
    assert told(talk) == [("client_closed", "", "not_sent")]


@pytest.mark.parametrize("journal", [False, True], ids=["at once", "by the general way"])
def test_a_one_way_telegram_is_told_of_when_the_kernel_has_taken_it(journal: bool):
    talk = listened(one_service(small(), None))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0400"))
    assert told(talk) == []
    host.got()
    if journal:
        talk.tick()
    else:
        bank.sends(ask(2, kind="0400"))
    assert told(talk) == [("ok", "", "sent")]


def test_an_http_service_that_answers_twice_or_late_is_told_of():
    talk = listened(one_service(small(), None, Kind.HTTP, full=True))
    bank = talk.session()
    talk.link()
    bank.sends(ask(1))
    bank.sends(ask(2))
    [command] = talk.switch.commands[:1]
    exchange: Any = getattr(command, "exchange")  # noqa: B009 - of three kinds of command only this one has it
    talk.switch.answer(exchange, answer_to(ask(1)), 1.0)
    talk.switch.answer(exchange, answer_to(ask(1)), 2.0)
    assert told(talk) == [("ok", "", "answered"), ("late_reply", "E-BCK-07", "")]


def test_what_there_is_no_room_for_is_counted():
    talk = listened(firm())
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))
    host.got()
    host.sends(reply_to(transfer(1)))
    filler = one(talk)
    talk.switch.ended = [filler] * ENDED_PER_FLUSH
    host.sends(reply_to(transfer(2)))
    bank.sends(b"0300" + b"?" * 300, opening(1))
    ended, dropped = talk.switch.take_ended()
    assert (len(ended), dropped) == (ENDED_PER_FLUSH, 3 - talk.open)
    assert talk.switch.take_ended() == ([], 0)


def test_every_code_of_a_telegram_has_a_result_of_the_closed_set():
    assert set(RESULT_OF_CODE.values()) <= set(RESULTS) and len(set(RESULTS)) == len(RESULTS)
    assert {result_of(code) for code in CODES} <= set(RESULTS)
    telegrams = [code for code, row in CODES.items() if row.kind == "telegram"]
    assert [code for code in telegrams if result_of(code) == "internal_error"] == []


def test_a_failure_of_unknown_delivery_never_counts_as_ok():
    unknown = [code for code, row in CODES.items() if row.delivery is Delivery.SENT_UNKNOWN]
    assert unknown and not {result_of(code) for code in unknown} & {"ok", "backend_rejected", "duplicate"}
    assert isinstance(Switch().ended, type(None))
