"""How requests and replies follow each other on a link: pipelined by their key, one at a time, or by their order alone."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import (
    Speaker,
    Talk,
    answer_to,
    ask,
    exactly,
    firm,
    framed,
    listing,
    one_service,
    reply_to,
    service_of,
    small,
    spec_file,
    transfer,
)

from telegram_router.routing import Close, Kind, Mode, Route, RouteTable

MODES = pytest.mark.parametrize("mode", list(Mode), ids=[mode.value for mode in Mode])
TIMEOUT, GRACE = 10.0, 4.0


def iso8583() -> Any:
    return spec_file("specs/iso8583.py")


def iso(kind: str = "0200", text: str = "") -> bytes:
    telegram = b"ISO" + b"02" + b"10" + b"000" + b"1" + b"1" + kind.encode() + b"B2" * 8 + text.encode()
    return len(telegram).to_bytes(2, "big") + telegram


def iso_reply(request: bytes, text: str | None = None) -> bytes:
    kind = b"%04d" % (int(request[14:18]) + 10)
    telegram = request[2:14] + kind + request[18:34] + (request[34:] if text is None else text.encode())
    return len(telegram).to_bytes(2, "big") + telegram


def by_order(spec: Any = None, **policy: Any) -> tuple[Talk, Speaker, Speaker]:
    """A session, a service whose hosts answer in order, and one link with it."""
    policy = {"mode": Mode.FIFO, "timeout": TIMEOUT, "poison_grace": GRACE, **policy}
    talk = one_service(spec or small(carrier=False), **policy)
    return talk, talk.session(), talk.link()


def unknown_list(number: int) -> bytes:
    """What the asker of a list gets when nobody knows what came of it."""
    return framed(b"0310%03dAAVTIM    " % number)


def closing(talk: Talk) -> list[tuple[str, str]]:
    """The connections that the switch wants closed, and why."""
    return [(order.peer.name, order.code) for order in talk.switch.commands if isinstance(order, Close)]


# --- by order -----------------------------------------------------------------------------------------------------------


def test_replies_without_a_key_answer_the_oldest_request_of_their_link():
    talk, bank, host = by_order()
    other = talk.session("other")
    bank.sends(ask(1, "a"))
    other.sends(ask(1, "b"))  # the same number, in another session
    bank.sends(ask(2, "c"))
    first, second, third = host.got()
    assert [frame[-1:] for frame in (first, second, third)] == [b"a", b"b", b"c"]
    host.sends(answer_to(ask(0, code="")), answer_to(ask(0), b"B"), answer_to(ask(0), b"C"))  # it echoes no number
    assert bank.got() == [answer_to(ask(0)), answer_to(ask(0), b"C")]
    assert other.got() == [answer_to(ask(0), b"B")]
    assert talk.leftovers() == {} and closing(talk) == []


def test_a_reply_that_bears_the_key_of_a_younger_request_answers_neither():
    talk, bank, host = by_order()
    other = talk.session("other")
    bank.sends(ask(1, "a"))
    other.sends(ask(2, "b"))
    host.got()
    host.sends(answer_to(ask(2, "b")))  # the host has dropped the first one, and still sends the key back
    assert bank.got() == [answer_to(ask(1), b"a", b"VTIM")] and other.got() == [answer_to(ask(2), b"b", b"VTIM")]


def test_a_host_that_numbers_its_replies_by_itself_is_paired_by_order_alone():
    talk, bank, host = by_order()
    bank.sends(ask(1), ask(2), ask(3))
    host.got()
    host.sends(answer_to(ask(77)), answer_to(ask(3)), answer_to(ask(2)))
    assert bank.got() == [answer_to(ask(77)), answer_to(ask(3)), answer_to(ask(2))]
    assert talk.leftovers() == {}


def test_a_spec_without_any_key_is_routed_by_order():
    talk, bank, host = by_order(iso8583())
    bank.sends(iso(text="one"), iso(text="two"), iso("0100", "three"))
    assert host.got() == [iso(text="one"), iso(text="two"), iso("0100", "three")]
    host.sends(iso_reply(iso(text="one")), iso_reply(iso(text="two")))
    host.sends(iso_reply(iso("0100", "three")))
    assert bank.got() == [iso_reply(iso(text="one")), iso_reply(iso(text="two")), iso_reply(iso("0100", "three"))]
    assert talk.leftovers() == {}


def test_where_nothing_tells_requests_apart_the_same_bytes_twice_are_two_requests():
    talk, bank, host = by_order(iso8583())
    bank.sends(iso(text="same"), iso(text="same"))
    assert host.got() == [iso(text="same")] * 2
    assert talk.service().duplicates == 0


def test_where_the_spec_has_a_key_a_number_in_use_is_refused_as_ever():
    _talk, bank, host = by_order()
    bank.sends(ask(1), ask(1))
    assert host.got() == [ask(1)]
    assert bank.got() == [answer_to(ask(1), code=b"DUP ")]


def test_a_carrier_is_not_rewritten_for_a_host_that_answers_in_order():
    _, bank, host = by_order(small(carrier=True))
    bank.sends(ask(7))
    assert host.got() == [ask(7)]


def test_orders_of_two_links_are_two_orders():
    talk, bank, one = by_order(in_flight=1)
    two = talk.link()
    bank.sends(ask(1, "a"), ask(2, "b"))
    [to_one], [to_two] = one.got(), two.got()
    two.sends(answer_to(to_two))
    one.sends(answer_to(to_one))
    assert bank.got() == [answer_to(to_two), answer_to(to_one)]


def test_an_answer_in_parts_keeps_its_turn_until_its_last_part():
    talk, bank, host = by_order()
    bank.sends(ask(1, kind="0300"), ask(2))
    host.got()
    host.sends(listing(0, 1, 2), listing(0, 2, 2), answer_to(ask(0)))
    assert bank.got() == [listing(0, 1, 2), listing(0, 2, 2), answer_to(ask(0))]
    assert talk.leftovers() == {}


@pytest.mark.parametrize("stray", [listing(0, 1, 3), listing(0, 2, 2)], ids=["a part again", "of another number of parts"])
def test_a_part_that_does_not_follow_belongs_to_another_answer_and_goes_to_nobody(stray: bytes):
    talk, bank, host = by_order()
    bank.sends(ask(1, kind="0300"), ask(2, kind="0300"))
    host.got()
    host.sends(listing(0, 1, 3), stray)
    assert bank.got() == [listing(0, 1, 3), *map(unknown_list, (1, 2))]
    assert talk.service().unmatched == 1


def test_one_way_telegrams_have_no_turn():
    _talk, bank, host = by_order()
    bank.sends(ask(1, kind="0400"), ask(2), ask(3, kind="0400"))
    assert len(host.got()) == 3
    host.sends(answer_to(ask(2)))
    assert bank.got() == [answer_to(ask(2))]


def test_what_a_host_asks_on_such_a_link_goes_its_own_way():
    talk, bank, host = by_order(small(carrier=False, owner=True))
    bank.sends(ask(1))
    host.got()
    host.sends(ask(900, "news"))
    assert bank.got() == [ask(900, "news")]
    bank.sends(answer_to(ask(900, "news")))
    host.sends(answer_to(ask(1)))
    assert host.got() == [answer_to(ask(900, "news"))]
    assert bank.got() == [answer_to(ask(1))]
    assert talk.leftovers() == {}


# --- an order in doubt --------------------------------------------------------------------------------------------------


def doubts(talk: Talk, host: Speaker, how: str) -> None:
    if how == "a time-out":
        talk.tick(at=TIMEOUT)
    elif how == "another message":
        host.sends(listing(0, 1, 1))
    elif how == "no message of the spec":
        host.sends(ask(kind="0999"))
    else:
        host.sends(b"0004" + b"0210")


HOWS = ["a time-out", "another message", "no message of the spec", "less than a header"]


@pytest.mark.parametrize("how", HOWS)
def test_a_doubt_ends_all_that_is_in_flight_as_unknown_and_sends_the_rest_elsewhere(how: str):
    talk, bank, host = by_order(pending_timeout=60.0)
    other = talk.session("other")
    bank.sends(ask(1), ask(2), ask(3), at=0)
    host.got()
    bank.sends(ask(4), at=5)  # the kernel has taken nothing of it
    doubts(talk, host, how)
    assert bank.got() == [answer_to(ask(number), code=b"VTIM") for number in (1, 2, 3)]
    assert host.got() == []  # nothing more is sent on it
    codes = [event["code"] for event in talk.events("failed")]
    assert codes == (["E-BCK-05", "E-BCK-11", "E-BCK-11"] if how == "a time-out" else ["E-BCK-11"] * 3)
    assert [event["code"] for event in talk.events("link_spoiled")] == ["E-BCK-11"]
    fresh = talk.link()
    assert fresh.got() == [ask(4)]
    other.sends(ask(5))
    assert fresh.got() == [ask(5)] and host.got() == []


def test_late_replies_are_awaited_told_of_and_given_to_nobody():
    talk, bank, host = by_order()
    bank.sends(ask(1), ask(2), at=0)
    host.got()
    talk.tick(at=TIMEOUT)
    fresh = talk.link()
    bank.got()
    bank.sends(ask(3))
    assert fresh.got() == [ask(3)]
    host.sends(answer_to(ask(1)), at=TIMEOUT + 1)
    assert bank.got() == [] and closing(talk) == []
    assert talk.service().late == 1
    talk.tick(at=TIMEOUT + GRACE - 0.1)
    assert closing(talk) == [] and (talk.switch.next_deadline() or 0) <= TIMEOUT + GRACE
    talk.tick(at=TIMEOUT + GRACE)
    assert closing(talk) == [(host.peer.name, "E-BCK-11")]
    host.sends(answer_to(ask(2)))  # in the same turn, before it is closed
    assert bank.got() == [] and talk.service().late == 2
    host.dies()
    fresh.sends(answer_to(ask(3)))
    assert bank.got() == [answer_to(ask(3))]


def test_when_all_that_is_owed_has_come_late_the_link_is_closed_at_once():
    talk, bank, host = by_order()
    bank.sends(ask(1, kind="0300"), ask(2), at=0)
    host.got()
    talk.tick(at=TIMEOUT)
    host.sends(listing(0, 1, 2))
    assert closing(talk) == []
    host.sends(listing(0, 2, 2), answer_to(ask(2)))
    assert closing(talk) == [(host.peer.name, "E-BCK-11")]
    assert talk.service().late == 3


def test_a_second_reply_to_one_request_spoils_the_link():
    """Had another request been in flight, the second reply would have gone to it."""
    talk, bank, host = by_order()
    bank.sends(ask(1))
    host.got()
    host.sends(answer_to(ask(1)), answer_to(ask(1)))
    assert bank.got() == [answer_to(ask(1))]
    assert closing(talk) == [(host.peer.name, "E-BCK-11")]
    assert talk.service().unmatched == 1 and talk.service().pool.backends[""].failed == 1


@pytest.mark.parametrize("taken", [0, 1, len(ask(1)) - 1])
def test_a_reply_cannot_answer_what_the_host_has_not_wholly_read(taken: int):
    talk, bank, host = by_order(pending_timeout=60.0)
    bank.sends(ask(1), at=0)
    host.accepts(taken)
    host.sends(answer_to(ask(1)), at=1)
    assert bank.got() == ([answer_to(ask(1), code=b"VTIM")] if taken else [])
    assert talk.link().got() == ([] if taken else [ask(1)])


def test_the_rest_of_a_telegram_and_answers_to_the_host_still_go_out_on_a_spoiled_link():
    talk, bank, host = by_order(small(carrier=False, owner=True), pending_timeout=60.0)
    bank.sends(ask(1), ask(2), at=0)
    host.sends(ask(900))
    bank.got()
    bank.sends(answer_to(ask(900)))
    host.accepts(5)
    host.sends(ask(kind="0999"), at=1)
    assert host.got() == [ask(1), answer_to(ask(900))]
    assert talk.link().got() == [ask(2)]


def test_a_request_that_times_out_before_it_was_sent_leaves_the_order_as_it_is():
    talk, bank, host = by_order()
    bank.sends(ask(1), at=0)
    talk.tick(at=TIMEOUT)
    assert bank.got() == [answer_to(ask(1), code=b"FULL")]
    bank.sends(ask(2), at=TIMEOUT)
    assert host.got() == [ask(2)]
    host.sends(answer_to(ask(2)))
    assert bank.got() == [answer_to(ask(2))] and closing(talk) == []


def test_an_answer_that_cannot_be_read_has_taken_its_turn():
    talk, bank, host = by_order()
    bank.sends(ask(1, kind="0300"), ask(2, kind="0300"))
    host.got()
    short = framed(b"0310000AA    ")
    host.sends(short)  # the further parts of the first answer would be taken for the second's
    assert bank.got() == [*map(unknown_list, (1, 2))]
    assert [event["code"] for event in talk.events("failed")] == ["E-BCK-06", "E-BCK-11"]


def test_the_answer_for_a_session_that_is_gone_keeps_its_place_in_the_order():
    talk, bank, host = by_order()
    other = talk.session("other")
    bank.sends(ask(1))
    other.sends(ask(2))
    host.got()
    bank.dies()
    host.sends(answer_to(ask(0), b"1"), answer_to(ask(0), b"2"))
    assert other.got() == [answer_to(ask(0), b"2")]
    assert talk.service().undelivered == 1


def test_a_request_whose_asker_went_before_it_was_sent_has_no_turn():
    talk, bank, host = by_order()
    other = talk.session("other")
    bank.sends(ask(1, "a"))
    other.sends(ask(2, "b"))
    bank.dies()
    assert host.got() == [ask(2, "b")]
    host.sends(answer_to(ask(2)))
    assert other.got() == [answer_to(ask(2))]


# --- one at a time ------------------------------------------------------------------------------------------------------


def test_an_exclusive_link_carries_one_request_at_a_time():
    talk = one_service(small(carrier=False), mode=Mode.EXCLUSIVE)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1), ask(2))
    assert host.got() == [ask(1)]
    host.sends(answer_to(ask(1)))
    assert host.got() == [ask(2)]
    assert talk.switch.services["transfer"].limit == 1


def test_an_exclusive_link_still_checks_the_key():
    talk = one_service(small(carrier=False), mode=Mode.EXCLUSIVE)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1))
    host.got()
    host.sends(answer_to(ask(2)))
    assert bank.got() == [] and talk.service().unmatched == 1 and closing(talk) == []
    host.sends(answer_to(ask(1)))
    assert bank.got() == [answer_to(ask(1))]


def test_an_exclusive_link_is_closed_after_a_time_out_and_the_next_request_takes_another():
    talk = one_service(small(carrier=False), mode=Mode.EXCLUSIVE, timeout=TIMEOUT, pending_timeout=60.0)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1), at=0)
    host.got()
    bank.sends(ask(2), at=1)
    talk.tick(at=TIMEOUT)
    assert bank.got() == [answer_to(ask(1), code=b"VTIM")]
    assert host.got() == [] and closing(talk) == [(host.peer.name, "E-BCK-05")]
    host.sends(answer_to(ask(1)))
    assert bank.got() == [] and talk.service().late == 1
    host.dies()
    assert talk.link().got() == [ask(2)]


def test_an_exclusive_link_whose_host_did_not_read_is_not_dirty():
    talk = one_service(small(carrier=False), mode=Mode.EXCLUSIVE, timeout=TIMEOUT)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1), at=0)
    talk.tick(at=TIMEOUT)
    assert bank.got() == [answer_to(ask(1), code=b"FULL")] and closing(talk) == []
    bank.sends(ask(2))
    assert host.got() == [ask(2)]


def test_without_a_key_one_at_a_time_is_an_order_too():
    talk = one_service(iso8583(), mode=Mode.EXCLUSIVE, timeout=TIMEOUT, pending_timeout=60.0)
    bank, host = talk.session(), talk.link()
    bank.sends(iso(text="one"), iso(text="two"), at=0)
    assert host.got() == [iso(text="one")]
    host.sends(iso_reply(iso(text="one")), at=1)
    assert bank.got() == [iso_reply(iso(text="one"))] and host.got() == [iso(text="two")]
    host.sends(iso_reply(iso("0100")))  # no answer to a 0200: closed at once, nothing more is expected of it
    assert bank.got() == [] and closing(talk) == [(host.peer.name, "E-BCK-11")]


@pytest.mark.parametrize("kind", [Kind.HTTP, Kind.HANDLER], ids=["http", "handler"])
def test_a_spec_without_any_key_may_lead_to_services_that_need_none(kind: Kind):
    talk = one_service(iso8583(), kind=kind, full=True)
    bank = talk.session()
    links = [talk.link(), talk.link()]
    bank.sends(iso(text="one"), iso(text="two"))
    calls = [order.exchange for order in talk.switch.commands]
    assert [call.frame for call in calls] == [iso(text="one"), iso(text="two")]
    assert {call.answerer for call in calls} <= {link.peer for link in links}
    for call in reversed(calls):
        talk.switch.answer(call, iso_reply(call.frame), 1.0)
    assert bank.got() == [iso_reply(iso(text="two")), iso_reply(iso(text="one"))]
    assert talk.leftovers() == {}


# --- what holds in every mode -------------------------------------------------------------------------------------------


@MODES
def test_a_backend_that_never_answers_costs_its_own_requests_alone(mode: Mode):
    """The time-out comes at its time, other codes go on, and what comes late goes to nobody."""
    talk = firm(mode=mode, timeout=TIMEOUT, poison_grace=GRACE)
    bank, silent = talk.session(), talk.link()
    steady = service_of(talk.switch, "steady", talk.listener().spec, timeout=TIMEOUT)
    talk.listener().set_routes(
        RouteTable(talk.listener().spec, [*talk.listener().routes.routes[:1], Route("s", exactly(message_type="5000"), steady)])
    )
    other = talk.link("steady")
    bank.sends(transfer(1), at=0)
    [seen] = silent.got()
    for second in range(1, 10):
        request = transfer(second + 100).replace(b"2000100", b"5000100")
        bank.sends(request, at=second)
        other.sends(*map(reply_to, other.got()))
        assert bank.got() == [reply_to(request)]
    assert talk.switch.next_deadline() == TIMEOUT
    talk.tick(at=TIMEOUT)
    assert bank.got() == [reply_to(transfer(1), "VTIM")]
    bank.sends(transfer(2))
    fresh = talk.link()
    if mode is not Mode.PIPELINED:  # there the link is still good
        assert fresh.got() == [transfer(2)]
    silent.sends(reply_to(seen), at=TIMEOUT + 1)
    assert bank.got() == [] and talk.service().late == 1


@MODES
def test_a_killed_link_leaves_what_it_had_unknown_and_the_session_goes_on(mode: Mode):
    talk = firm(mode=mode)
    bank, host = talk.session(), talk.link()
    bank.sends(*map(transfer, range(10)))
    sent = len(host.got())
    assert sent == (1 if mode is Mode.EXCLUSIVE else 10)
    host.dies()
    assert bank.got() == [reply_to(transfer(number), "VTIM") for number in range(sent)]
    fresh = talk.link()
    bank.sends(transfer(20))
    assert fresh.got()[-1:] == [transfer(20)] if mode is not Mode.EXCLUSIVE else fresh.got() == [transfer(1)]


@MODES
def test_what_waits_for_room_too_long_is_answered_and_never_sent(mode: Mode):
    talk = firm(mode=mode, in_flight=1, timeout=TIMEOUT, pending_timeout=3.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    host.got()
    talk.tick(at=3.0)
    assert bank.got() == [reply_to(transfer(2), "SB05")]
    host.sends(reply_to(transfer(1)))
    assert host.got() == []
