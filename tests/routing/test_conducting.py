"""Conversations about the line itself: sign-on, sign-off, heartbeats, business hours, as the switch has them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pytest
from conversation import (
    Speaker,
    Talk,
    answer_to,
    ask,
    credit,
    firm,
    firmbanking,
    notice,
    one_service,
    opening,
    reply_to,
    service_of,
    small,
    telegram,
    transfer,
)

from telegram_router.errors import Delivery
from telegram_router.routing import Call, Close, Kind, Listener, ListenerPolicy, Mode, Ready, Route, RouteTable, Switch
from telegram_router.routing.calendar import Calendar
from telegram_router.routing.changing import Change, ServiceTerms, carry_out
from telegram_router.routing.conduct import Phase, Rules
from telegram_router.routing.conducting import Terms
from telegram_router.telegrams import NUMBER, Conduct, Formality, Spec
from telegram_router.telegrams.loading import compile_family

HOUR = 3600
MONDAY = datetime.datetime(2026, 3, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=9))).timestamp()  # midnight in Seoul
KST = [(0.0, 9 * HOUR)]
OFFICE = Calendar(KST, {day: [(9 * HOUR, 18 * HOUR)] for day in range(5)})
US: Mapping[str, str] = {"company_number": "WE", "bank_code": "088"}
POLL, POLLED = b"0020HDRREQPOLL0302090000", b"0020HDRRESPOLL0302090000"
ROLES = {"open.request": "sign_on", "close.request": "sign_off", "test.request": "echo"}


def terms(*, forward: bool = False, calendar: Calendar | None = None, beat: str = "", first: int = 1, **rules: Any) -> Terms:
    return Terms(Rules(**rules), calendar or Calendar(KST), US, forward, first, beat, ROLES)


def bank(service: Terms | None = None, listener: Terms | None = None, hour: float = 9.0, **policy: Any) -> Talk:
    """A firm talk with terms, on a Monday; its clock begins at 0."""
    talk = firm(**policy)
    for party, each in ((talk.service(), service), (talk.listener(), listener)):
        talk.switch.conductor.adopt(party, each, 0.0)
        party.set_routes(party.routes)
    wall(talk, hour)
    return talk


def wall(talk: Talk, hour: float) -> None:
    """What the clock on the wall shows now."""
    talk.switch.conductor.wall_is(MONDAY + hour * HOUR - talk.clock, talk.clock)


def sign_on(number: int = 1, day: str = "20260302", time: str = "090000") -> bytes:
    """What the router says."""
    return line_telegram("100", number, day, time)


def line_telegram(business: str, number: int, day: str = "20260302", time: str = "090000") -> bytes:
    return b"0300" + f"{'SETTLEBNK'}{'WE':12}0881000{business}1{number:06}{day}{time}".encode().ljust(300)


def refused(frame: bytes, code: bytes = b"SB09") -> bytes:
    return reply_to(frame, code.decode())


def closed(talk: Talk) -> list[tuple[str, str]]:
    return [(each.peer.name, each.code) for each in talk.switch.commands if isinstance(each, Close)]


def signed_on(talk: Talk, link: Speaker) -> Speaker:
    link.sends(*(reply_to(frame) for frame in link.got()))
    return link


# -- towards backends


def test_a_link_gets_no_request_until_its_sign_on_is_accepted():
    talk = bank(terms(sign_on=True))
    branch, host = talk.session(), talk.link()
    assert host.got() == [sign_on()]
    branch.sends(transfer(7))
    assert host.got() == [] and talk.service().links == []
    host.sends(reply_to(sign_on()))
    assert [type(each) for each in talk.switch.commands] == [Ready]
    assert host.got() == [transfer(7)]  # it had waited
    host.sends(reply_to(transfer(7)))
    assert branch.got() == [reply_to(transfer(7))]
    assert talk.leftovers() == {}


@pytest.mark.parametrize("answer", [reply_to(sign_on(), "0101"), reply_to(sign_on())[:-1]], ids=["no", "cut short"])
def test_a_refused_sign_on_closes_the_link(answer: bytes):
    talk = bank(terms(sign_on=True))
    host = talk.link()
    host.got()
    host.sends(answer)
    assert closed(talk) == [("transfer#0", "E-BCK-15")]
    assert talk.service().links == []
    (told,) = talk.events("sign_on_failed")
    assert (told["answered"], told["response"]) == (True, "0101" if answer == reply_to(sign_on(), "0101") else "0000")
    host.dies()
    assert talk.leftovers() == {}


def test_an_unanswered_sign_on_closes_the_link_and_its_late_answer_goes_to_nobody():
    talk = bank(terms(sign_on=True, timeout=10.0))
    host = talk.link()
    host.got()
    assert talk.switch.next_deadline() == 10.0
    talk.tick(at=10.0)
    assert closed(talk) == [("transfer#0", "E-BCK-15")]
    again = talk.link()
    assert again.got() == [sign_on(2, time="090010")]
    again.sends(reply_to(sign_on(1)))
    assert talk.service().links == []
    again.sends(reply_to(sign_on(2, time="090010")))
    assert talk.service().links == [again.peer]
    talk.tick(at=1000.0)
    assert talk.leftovers() == {}


def test_no_client_may_have_the_number_that_the_router_asks_with():
    talk = bank(terms(sign_on=True))
    branch, host, other = talk.session(), talk.link(), talk.link()
    assert host.got() == [sign_on(1)] and other.got() == [sign_on(2)]
    host.sends(reply_to(sign_on(1)))
    same = telegram("2000", "100", 2, "WE", day="20260302")
    branch.sends(same)
    assert branch.got() == [reply_to(same, "SB04")]  # E-DUP-01
    other.sends(reply_to(sign_on(2)))
    branch.sends(same)
    assert host.got() + other.got() == [same]  # the number is free again, and the router does not take it while it is open
    third = talk.link()
    assert third.got() == [sign_on(3)]


def test_the_router_steps_over_numbers_that_clients_have_open():
    talk = bank(terms(sign_on=True))
    branch, host = talk.session(), signed_on(talk, talk.link())
    branch.sends(telegram("2000", "100", 2, "WE", day="20260302"))
    assert len(host.got()) == 1
    assert talk.link().got() == [sign_on(3)]


def test_where_clients_hold_every_number_nothing_is_asked_and_that_is_told():
    talk = bank(terms(sign_on=True, first=999_999))
    branch, host = talk.session(), signed_on(talk, talk.link())
    branch.sends(telegram("2000", "100", 999_999, "WE", day="20260302"))
    assert len(host.got()) == 1
    assert talk.link().got() == []
    assert [each["asks"] for each in talk.events("no_free_number")] == ["sign_on"]


def test_numbers_begin_anew_with_the_business_date():
    talk = bank(terms(sign_on=True, first=900), hour=23.5)
    assert talk.link().got() == [sign_on(900, time="233000")]
    assert talk.link().got() == [sign_on(901, time="233000")]
    talk.tick(at=HOUR)
    assert talk.link().got() == [sign_on(900, "20260303", "003000")]


def test_a_link_signs_off_before_it_is_closed():
    talk = bank(terms(sign_on=True, sign_off=True))
    host = signed_on(talk, talk.link())
    conductor = talk.switch.conductor
    assert conductor.leave(host.peer, 0.0)
    assert host.got() == [line_telegram("200", 2)]
    assert conductor.leave(host.peer, 0.0)
    host.sends(reply_to(line_telegram("200", 2)))
    assert not conductor.leave(host.peer, 0.0)


def test_who_does_not_answer_the_sign_off_is_not_waited_for():
    talk = bank(terms(sign_on=True, sign_off=True))
    host = signed_on(talk, talk.link())
    talk.switch.conductor.leave(host.peer, 0.0)
    talk.tick(at=2.0)
    assert not talk.switch.conductor.leave(host.peer, 2.0)
    assert not talk.switch.conductor.leave(talk.session().peer, 2.0)


def test_a_link_that_dies_while_it_signs_on_leaves_nothing():
    talk = bank(terms(sign_on=True))
    host = talk.link()
    host.got()
    host.dies(at=1.0)
    talk.tick(at=400.0)
    assert talk.service().peers == [] and talk.leftovers() == {} and closed(talk) == []


# -- heartbeats


def test_beats_that_nothing_follows_end_a_link_and_what_was_in_flight_ends_unknown():
    talk = bank(terms(heartbeat=30.0, misses=3, beat="poll"), timeout=500.0)
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7))
    host.got()
    branch.sends(transfer(8))  # the kernel takes nothing of it
    for beat in (30, 60, 90):
        talk.tick(at=float(beat))
    assert closed(talk) == []
    talk.tick(at=120.0)
    assert closed(talk) == [("transfer#1", "E-BCK-16")]
    host.dies()
    assert branch.got() == [reply_to(transfer(7), "VTIM")]
    spare = talk.link()
    assert spare.got() == [transfer(8)]


def test_a_poll_that_is_answered_keeps_the_link():
    talk = bank(terms(heartbeat=30.0, beat="poll"))
    host = talk.link()
    for round in range(1, 10):
        talk.tick(at=30.0 * round)
        asked = host.got()
        assert [frame[:14] for frame in asked] == [b"0020HDRREQPOLL"]
        assert asked[0][14:] == f"0302{9 + 30 * round // HOUR:02}{30 * round // 60 % 60:02}{30 * round % 60:02}".encode()
        host.sends(asked[0].replace(b"REQ", b"RES"))
    assert closed(talk) == []


def test_an_echo_telegram_is_asked_where_the_line_is_open_and_its_answer_is_the_routers():
    talk = bank(terms(heartbeat=30.0, beat="echo"))
    host = talk.link()
    talk.tick(at=30.0)
    assert host.got() == [line_telegram("500", 1, time="090030")]
    host.sends(reply_to(line_telegram("500", 1, time="090030")))
    assert talk.service().unmatched == 0 and talk.leftovers() == {}
    talk.tick(at=60.0)
    assert host.got() == [line_telegram("500", 2, time="090100")]


def test_before_the_sign_on_nobody_has_to_answer_an_echo():
    talk = bank(terms(sign_on=True, heartbeat=30.0, beat="echo", calendar=OFFICE), hour=3.0)
    host = talk.link()
    for beat in range(1, 9):
        talk.tick(at=30.0 * beat)
    assert host.got() == [] and closed(talk) == []


def test_echo_telegrams_of_others_are_answered_and_never_routed():
    talk = bank(terms(), terms())
    branch, host = talk.session(), talk.link()
    test = telegram("1000", "500", 5)
    branch.sends(test)
    host.sends(test)
    assert branch.got() == [reply_to(test)] and host.got() == [reply_to(test)]


def test_ten_thousand_polls_harm_nobody():
    talk = bank(terms(), terms())
    branch, other, host = talk.session(), talk.session("other"), talk.link()
    for _ in range(100):
        branch.sends(*[POLL] * 100, at=1.0)
    assert branch.got() == [POLLED] * 100
    assert [each["answered"] for each in talk.events("poll_flood")] == [100]
    other.sends(POLL, transfer(7))
    assert other.got() == [POLLED] and host.got() == [transfer(7)]
    branch.sends(POLL, transfer(8), at=2.0)
    assert branch.got() == [POLLED] and host.got() == [transfer(8)]


def test_a_session_that_is_silent_for_too_long_is_closed():
    talk = bank(None, terms(idle=100.0))
    branch = talk.session()
    branch.sends(POLL, at=50.0)
    talk.tick(at=120.0)
    assert closed(talk) == []
    talk.tick(at=150.0)
    assert closed(talk) == [("bank", "E-LIM-09")]


# -- sign-on demanded of clients


def test_what_a_client_asks_before_its_sign_on_and_after_its_sign_off_is_refused():
    talk = bank(None, terms(sign_on=True))
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7))
    assert branch.got() == [refused(transfer(7))]
    branch.sends(opening(1), transfer(8))
    assert branch.got() == [reply_to(opening(1))] and host.got() == [transfer(8)]
    closing = telegram("1000", "200", 2)
    branch.sends(transfer(9), closing, transfer(10), transfer(11))  # all in one batch
    assert host.got() == [transfer(9)]
    assert branch.got() == [reply_to(closing), refused(transfer(10)), refused(transfer(11))]
    host.sends(reply_to(transfer(8)), reply_to(transfer(9)))
    assert branch.got() == [reply_to(transfer(8)), reply_to(transfer(9))]  # what was sent is answered
    assert {each["code"] for each in talk.events("refused")} == {"E-TXN-03"}


def test_a_client_that_never_signs_on_is_closed():
    talk = bank(None, terms(sign_on=True, timeout=10.0))
    talk.session()
    talk.tick(at=10.0)
    assert closed(talk) == [("bank", "E-TXN-03")]


def test_a_host_reaches_only_clients_that_have_signed_on():
    talk = bank(None, terms(sign_on=True))
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7))
    host.sends(notice(900))
    assert host.got() == [reply_to(notice(900), "SB03")]  # E-RTE-05
    branch.sends(opening(1))
    branch.got()
    host.sends(notice(901))
    assert branch.got() == [notice(901)]
    branch.sends(telegram("1000", "200", 2))
    host.sends(notice(902))
    assert host.got() == [reply_to(notice(902), "SB03")]


def test_nobody_signs_on_for_an_owner_that_is_not_his():
    talk = bank(None, terms(sign_on=True), owners={b"C001        ": frozenset(["c1.example"])})
    stranger, branch = talk.session("stranger"), talk.session("bank", "c1.example")
    stranger.sends(opening(1))
    branch.sends(opening(2))
    assert stranger.got() == [refused(opening(1), b"SB02")]
    assert branch.got() == [reply_to(opening(2))]


def test_a_service_may_decide_who_signs_on():
    talk = bank(None, terms(sign_on=True, forward=True))
    branch, host, other = talk.session(), talk.link(), talk.link("other")
    branch.sends(transfer(7), opening(1), transfer(8))
    assert branch.got() == [refused(transfer(7)), refused(transfer(8))]
    assert other.got() == [opening(1)]
    other.sends(reply_to(opening(1), "0101"))
    branch.sends(transfer(9))
    assert branch.got() == [reply_to(opening(1), "0101"), refused(transfer(9))]
    branch.sends(opening(2))
    other.sends(*(reply_to(frame) for frame in other.got()))
    branch.sends(transfer(10))
    assert branch.got() == [reply_to(opening(2))] and host.got() == [transfer(10)]


def test_the_router_says_goodbye_to_clients_where_that_is_wanted():
    talk = bank(None, terms(sign_off=True))
    branch = talk.session()
    talk.switch.conductor.goodbye(branch.peer, 0.0)
    talk.switch.conductor.goodbye(branch.peer, 0.0)
    assert branch.got() == [line_telegram("200", 1)]
    quiet = bank(None, terms())
    branch = quiet.session()
    quiet.switch.conductor.goodbye(branch.peer, 0.0)
    assert branch.got() == []


# -- business hours


def test_at_the_close_of_business_waiting_requests_end_and_open_ones_are_answered():
    talk = bank(terms(calendar=OFFICE), hour=17.0, in_flight=1)
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7), transfer(8), at=3599.5)
    assert host.got() == [transfer(7)]
    assert talk.switch.next_deadline() == 3600.0
    talk.tick(at=3600.0)
    assert branch.got() == [refused(transfer(8))]
    branch.sends(transfer(9))
    assert branch.got() == [refused(transfer(9))] and host.got() == []
    host.sends(reply_to(transfer(7)))
    assert branch.got() == [reply_to(transfer(7))]
    branch.sends(transfer(10))
    assert branch.got() == [refused(transfer(10))]
    talk.tick(at=16.0 * HOUR)  # 09:00 on Tuesday
    branch.sends(transfer(11))
    assert host.got() == [transfer(11)]
    assert [each["party"] for each in talk.events("business_closed") + talk.events("business_opened")] == ["transfer", "transfer"]


def test_a_listener_that_is_closed_refuses_at_once():
    talk = bank(None, terms(calendar=OFFICE), hour=17.5)
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7))
    host.sends(*(reply_to(frame) for frame in host.got()))
    assert branch.got() == [reply_to(transfer(7))]
    talk.tick(at=0.5 * HOUR)
    late = talk.session("late")
    branch.sends(transfer(8))
    late.sends(credit(9))
    assert branch.got() == [refused(transfer(8))] and late.got() == [refused(credit(9))]
    talk.tick(at=15.5 * HOUR)
    branch.sends(transfer(10))
    assert host.got() == [transfer(10)]


def test_a_link_signs_off_at_the_close_and_on_at_the_opening():
    talk = bank(terms(sign_on=True, sign_off=True, calendar=OFFICE), hour=17.0)
    branch, host = talk.session(), signed_on(talk, talk.link())
    branch.sends(transfer(7), at=3599.0)
    host.got()
    talk.tick(at=3600.0)
    talk.tick(at=3600.2)
    assert host.got() == []  # one request is open
    host.sends(reply_to(transfer(7)))
    talk.tick(at=3600.5)
    [goodbye] = host.got()
    assert goodbye[28:35] == b"1000200"
    host.sends(reply_to(goodbye))
    assert host.peer.standing is not None and host.peer.standing.phase is Phase.CLOSED
    talk.tick(at=16.0 * HOUR)
    [hello] = host.got()
    assert hello == sign_on(1, "20260303", "090000")
    host.sends(reply_to(hello))
    branch.sends(transfer(8))
    assert host.got() == [transfer(8)]


def test_clients_sign_on_again_each_day():
    talk = bank(None, terms(sign_on=True, calendar=OFFICE), hour=17.0)
    branch, host = talk.session(), talk.link()
    branch.sends(opening(1))
    talk.tick(at=1.0 * HOUR)
    branch.sends(opening(2))
    assert branch.got() == [reply_to(opening(1)), refused(opening(2))]
    talk.tick(at=16.0 * HOUR)
    branch.sends(transfer(7), opening(3), transfer(8))
    assert branch.got() == [refused(transfer(7)), reply_to(opening(3))] and host.got() == [transfer(8)]


def test_a_clock_that_is_set_moves_business_and_no_deadline():
    talk = bank(terms(calendar=OFFICE), hour=17.0, timeout=30.0)
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7))
    host.got()
    wall(talk, 20.0)
    assert [each["seconds"] for each in talk.events("clock_jumped")] == [3.0 * HOUR]
    branch.sends(transfer(8), at=1.0)
    assert branch.got() == [refused(transfer(8))]
    talk.tick(at=29.9)
    assert branch.got() == []
    wall(talk, 12.0)
    talk.tick(at=30.0)
    assert branch.got() == [reply_to(transfer(7), "VTIM")]
    branch.sends(transfer(9), at=30.5)
    assert host.got() == [transfer(9)]


def test_a_small_correction_of_the_clock_is_not_told():
    talk = bank(terms(calendar=OFFICE))
    talk.switch.conductor.wall_is(MONDAY + 9 * HOUR + 1.5, 0.0)
    assert talk.events("clock_jumped") == []


def test_an_http_service_that_is_closed_gets_no_call_and_goes_on_at_the_opening():
    talk = one_service(small(), kind=Kind.HTTP, full=True)
    talk.switch.conductor.adopt(talk.service(), terms(calendar=OFFICE), 0.0)
    wall(talk, 17.0)
    branch = talk.session()
    talk.link()
    branch.sends(ask(1), at=3599.5)
    [call] = talk.switch.commands
    talk.tick(at=3600.0)
    branch.sends(ask(2))
    assert branch.got() == [answer_to(ask(2), code=b"NO  ")]
    assert isinstance(call, Call)
    talk.switch.answer(call.exchange, answer_to(ask(1)), 3601.0)
    assert branch.got() == [answer_to(ask(1))]
    branch.sends(ask(3))
    assert branch.got() == [answer_to(ask(3), code=b"NO  ")]
    talk.tick(at=16.0 * HOUR)
    branch.sends(ask(4))
    assert [type(each) for each in talk.switch.commands] == [Call, Call] and talk.open == 1


def test_connections_that_are_gone_are_not_remembered():
    talk = bank(None, terms(idle=86_400.0))
    for number in range(5_000):
        talk.session(f"bank{number}").dies()
    held = len(talk.switch.conductor._watched)
    assert held <= 1024
    stays = talk.session("stays")
    talk.tick(at=86_400.0)
    assert closed(talk) == [("stays", "E-LIM-09")] and stays.peer.standing is not None


# -- other terms while it runs


def change(talk: Talk, **offices: Terms) -> None:
    switch = talk.switch
    parties: dict[str, Any] = {**switch.services, **switch.listeners}
    tables = {party: party.routes for party in parties.values()}
    kept = {name: ServiceTerms(service.policy) for name, service in switch.services.items()}
    wanted = {parties[name]: each for name, each in offices.items()}
    listeners = {name: listener.policy for name, listener in switch.listeners.items()}
    carry_out(switch, Change(dict(switch.services), dict(switch.listeners), kept, listeners, tables, offices=wanted), talk.clock)


def test_terms_that_are_dropped_let_everybody_through():
    talk = bank(terms(sign_on=True), terms(sign_on=True))
    branch, host = talk.session(), talk.link()
    host.got()
    branch.sends(transfer(7))
    assert branch.got() == [refused(transfer(7))]
    change(talk)
    branch.sends(transfer(8))
    assert host.got() == [transfer(8)]
    talk.tick(at=100.0)
    assert closed(talk) == []


def test_terms_that_are_new_ask_nobody_who_is_there_to_sign_on():
    talk = bank()
    branch, host = talk.session(), talk.link()
    change(talk, transfer=terms(sign_on=True, heartbeat=30.0, beat="poll"), branches=terms(sign_on=True))
    branch.sends(transfer(7))
    assert host.got() == [transfer(7)]
    talk.tick(at=30.0)
    assert [frame[:14] for frame in host.got()] == [b"0020HDRREQPOLL"]
    late = talk.session("late")
    late.sends(transfer(8))
    assert late.got() == [refused(transfer(8))]


def test_a_bar_outlives_other_routes():
    talk = bank(None, terms(sign_on=True))
    branch, host = talk.session(), talk.link()
    change(talk, branches=terms(sign_on=True))
    branch.sends(transfer(7), transfer(8))
    assert branch.got() == [refused(transfer(7)), refused(transfer(8))] and host.got() == []


# -- a family whose numbers are rewritten


def carried() -> Spec:
    from dataclasses import replace

    return compile_family(
        replace(
            small().family,
            conduct=Conduct("code", ("OK",), sign_on=Formality("ask.request"), set={"header.number": NUMBER, "company": "WE"}),
        )
    )


def test_the_routers_own_number_is_one_of_the_carriers():
    spec, switch = carried(), Switch()
    service = service_of(switch, "transfer", spec)
    listener = switch.listeners["branches"] = Listener("branches", spec, ListenerPolicy())
    listener.set_routes(RouteTable(spec, [Route("all", {}, service)]))
    switch.conductor.adopt(service, Terms(Rules(sign_on=True)), 0.0)
    talk = Talk(switch)
    branch, host = talk.session(), talk.link()
    [asked] = host.got()
    assert asked[4:8] == b"0200" and asked[11:13] == b"WE"
    host.sends(answer_to(asked, code=b"OK  "))
    assert service.links == [host.peer]
    assert talk.leftovers() == {}
    assert branch.got() == []


def test_what_ends_by_the_close_is_not_sent_for_certain():
    talk = bank(terms(calendar=OFFICE), hour=17.0, in_flight=1)
    branch, host = talk.session(), talk.link()
    branch.sends(transfer(7), transfer(8), at=3599.5)
    host.got()
    talk.tick(at=3600.0)
    assert [(each["code"], each["delivery"]) for each in talk.events("failed")] == [("E-TXN-03", Delivery.NOT_SENT.value)]
    assert firmbanking().error_reply(transfer(8), "E-TXN-03", Delivery.NOT_SENT) == refused(transfer(8))


# -- where no key pairs an answer


def test_a_host_that_answers_in_order_and_echoes_no_number_is_signed_on_and_kept():
    talk = bank(terms(sign_on=True, heartbeat=5.0, beat="echo"), mode=Mode.FIFO, timeout=60.0)
    branch, host = talk.session(), talk.link()
    [asked] = host.got()
    host.sends(reply_to(line_telegram("100", 0)))
    assert asked == sign_on() and talk.service().links == [host.peer]
    branch.sends(transfer(1), transfer(2))
    host.got()
    talk.tick(at=5.0)
    assert [frame[28:35] for frame in host.got()] == [b"1000500"]
    host.sends(reply_to(transfer(0)), reply_to(line_telegram("500", 0)), reply_to(transfer(0)))
    assert len(branch.got()) == 2 and talk.service().links == [host.peer]
    assert talk.service().unmatched == 0 and talk.leftovers() == {}


def test_an_echo_that_comes_late_says_nothing_of_the_order_of_replies():
    talk = bank(terms(heartbeat=5.0, beat="echo"), mode=Mode.FIFO, timeout=60.0)
    branch, host = talk.session(), talk.link()
    talk.tick(at=5.0)
    talk.tick(at=10.0)
    assert len(host.got()) == 2
    branch.sends(transfer(1))
    host.got()
    host.sends(*[reply_to(line_telegram("500", 0))] * 2)
    assert talk.service().late == 1 and closed(talk) == []
    host.sends(reply_to(transfer(0)))
    assert branch.got() == [reply_to(transfer(0))]


def test_sign_ons_and_lost_heartbeats_are_counted():
    talk = bank(terms(sign_on=True, timeout=10.0, heartbeat=30.0, misses=2, beat="poll"), terms(sign_on=True, timeout=10.0))
    office, other = talk.service().office, talk.listener().office
    assert office is not None and other is not None
    talk.session()
    talk.session().sends(opening(1))
    for answer in (reply_to(sign_on(), "0101"), reply_to(sign_on(2)), None):
        host = talk.link()
        host.got()
        if answer is not None:
            host.sends(answer)
    assert (office.sign_ons, other.sign_ons) == ({"accepted": 1, "refused": 1, "late": 0}, {"accepted": 1, "refused": 0, "late": 0})
    talk.tick(at=10.0)
    assert office.sign_ons["late"] == other.sign_ons["late"] == 1
    for at, lost in ((30.0, 0), (60.0, 1), (90.0, 2)):
        talk.tick(at=at)
        assert office.beats_lost == lost
