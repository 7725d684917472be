"""Timeouts, full queues, and how much of the router one session or service may take."""

from collections import Counter

import pytest
from conversation import (
    answer_to,
    ask,
    credit,
    exactly,
    firm,
    firmbanking,
    lab,
    one_service,
    opening,
    reply_to,
    service_of,
    small,
    transfer,
)

from telegram_router.errors import Delivery
from telegram_router.routing import Close, Grow, Kind, Route, RouteTable


def test_each_service_has_its_own_reply_timeout():
    talk = firm(timeout=10.0)
    slow = service_of(talk.switch, "slow", firmbanking(), timeout=20.0)
    first = talk.listener().routes.routes[0]
    talk.listener().set_routes(RouteTable(firmbanking(), [first, Route("slow", exactly(message_type="5000"), slow)]))
    bank, host, other = talk.session(), talk.link("transfer"), talk.link("slow")
    bank.sends(transfer(1), credit(2), at=0)
    host.got()
    other.got()
    assert talk.switch.next_deadline() == 10.0
    talk.tick(at=9.99)
    assert bank.got() == []
    talk.tick(at=10)
    assert bank.got() == [reply_to(transfer(1), "VTIM")]
    assert talk.switch.next_deadline() == 20.0
    talk.tick(at=20)
    assert bank.got() == [reply_to(credit(2), "VTIM")]
    codes = [(event["code"], event["delivery"], event["after_ms"]) for event in talk.events("failed")]
    assert codes == [("E-BCK-05", "sent_unknown", 10000.0), ("E-BCK-05", "sent_unknown", 20000.0)]


def test_a_request_that_expires_in_the_outbox_is_withdrawn_and_never_sent():
    talk = firm(timeout=10.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    host.accepts(304 + 1)  # the kernel has a byte of the second
    bank.sends(transfer(3), at=0)
    bank.sends(transfer(4), at=5)
    talk.tick(at=10)
    assert bank.got() == [reply_to(transfer(1), "VTIM"), reply_to(transfer(2), "VTIM"), reply_to(transfer(3), "SB05")]
    host.accepts(303)  # the rest of the second
    host.dies()  # and not a byte of the fourth, whose offset moved up
    assert bank.got() == []
    assert talk.link().got() == [transfer(4)]


@pytest.mark.parametrize("way", ["their time is up", "their asker goes", "the router stops"])
def test_what_is_withdrawn_together_leaves_all_else_that_waits_on_its_link_as_it_was(way: str):
    """Cut in two, asked by others, the router's own words: each goes out once, in its order and in one piece."""
    talk = firm(timeout=10.0, in_flight=40)
    bank, other, host = talk.session(), talk.session(), talk.link()
    poll = b"0020HDRREQPOLL1234567890"
    bank.sends(transfer(1), transfer(2), at=0)
    host.accepts(304 + 100)  # the second is cut in two
    bank.sends(*(transfer(number) for number in range(3, 20)), at=0)
    host.sends(poll)
    other.sends(*(transfer(number, "C002") for number in range(30, 34)), at=5)
    bank.sends(*(transfer(number) for number in range(20, 29)), at=5)
    if way == "their time is up":
        talk.tick(at=10)
        assert [frame[56:60] for frame in bank.got()] == [b"VTIM"] * 2 + [b"SB05"] * 17
        late = [transfer(number) for number in range(20, 29)]
    elif way == "their asker goes":
        bank.dies()
        late = []
    else:
        talk.switch.give_up(talk.now())
        assert Counter(frame[56:60] for frame in (*bank.got(), *other.got())) == {b"VTIM": 2, b"SB06": 30}
        assert host.got() == [transfer(1), transfer(2), poll.replace(b"REQ", b"RES")]
        return
    assert host.got() == [
        transfer(1),
        transfer(2),
        poll.replace(b"REQ", b"RES"),
        *(transfer(number, "C002") for number in range(30, 34)),
        *late,
    ]
    assert talk.switch.services["transfer"].links[0].load == 4 + len(late) + (2 if way == "their asker goes" else 0)
    host.dies()
    assert talk.link().got() == [], "the router still knows where each stood: what has left is not sent again"


def test_an_expired_unsent_number_may_be_used_again_at_once():
    talk = firm(timeout=1.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(), at=0)
    talk.tick(at=1)
    assert bank.got() == [reply_to(transfer(), "SB05")]
    bank.sends(transfer())
    assert host.got() == [transfer()]


def test_with_no_link_at_all_a_request_waits_one_second_and_is_not_sent():
    talk = firm()
    bank = talk.session()
    bank.sends(transfer(), at=0)
    assert talk.switch.next_deadline() == 1.0
    talk.tick(at=0.99)
    assert bank.got() == []
    talk.tick(at=1.0)
    assert bank.got() == [reply_to(transfer(), "SB07")]
    assert talk.events("failed")[0]["code"] == "E-BCK-01"
    assert talk.leftovers() == {}


def test_a_link_that_comes_in_time_gets_what_waited_in_the_order_it_came():
    talk = firm()
    bank = talk.session()
    bank.sends(transfer(1), transfer(2), at=0)
    bank.sends(transfer(3), at=0.5)
    talk.tick(at=0.9)
    assert talk.link().got() == [transfer(1), transfer(2), transfer(3)]


def test_a_full_queue_refuses_at_once():
    talk = firm(in_flight=1, pending=2)
    bank, host = talk.session(), talk.link()
    bank.sends(*map(transfer, range(1, 6)))
    assert bank.got() == [reply_to(transfer(4), "SB05"), reply_to(transfer(5), "SB05")]
    assert [(event["code"], event["count"]) for event in talk.events("refused")] == [("E-LIM-01", 2)]
    host.got()
    host.sends(reply_to(transfer(1)))
    assert host.got() == [transfer(2)]
    bank.sends(transfer(4))
    assert bank.got() == [reply_to(transfer(1))]


def test_a_full_queue_with_no_link_says_that_there_is_none():
    talk = firm(pending=1)
    bank = talk.session()
    bank.sends(transfer(1), transfer(2))
    assert bank.got() == [reply_to(transfer(2), "SB07")]


@pytest.mark.parametrize("timeout", [0.8, 1.0, 10.0])
def test_what_has_waited_for_a_link_in_vain_is_told_that_there_is_none_whichever_time_is_over_first(timeout: float):
    talk = one_service(lab(), timeout=timeout)  # the other time is a second
    client = talk.session()
    client.sends(b"00160200TR0000000001", at=0)
    talk.tick(at=1.0)
    assert [frame[20:] for frame in client.got()] == [b"NE-BCK-01"]


def test_what_waits_behind_a_busy_link_for_a_second_is_refused():
    talk = firm(in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    host.got()
    bank.sends(transfer(3), at=0.5)
    talk.tick(at=1.0)
    assert bank.got() == [reply_to(transfer(2), "SB05")]
    host.sends(reply_to(transfer(1)), at=1.2)
    assert host.got() == [transfer(3)]


def test_a_request_whose_asker_went_makes_room_in_the_queue():
    talk = firm(in_flight=1, pending=1)
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(transfer(1))
    host.got()
    second.sends(transfer(2))
    second.dies()
    first.sends(transfer(3))
    assert first.got() == []
    host.sends(reply_to(transfer(1)))
    assert host.got() == [transfer(3)]


def test_one_service_may_hold_half_of_a_sessions_open_exchanges_when_there_are_several():
    talk = firm(sessions={"open_exchanges": 6})
    bank, host, other = talk.session(), talk.link("transfer"), talk.link("other")
    bank.sends(*map(transfer, range(1, 6)))
    assert len(host.got()) == 3
    assert bank.got() == [reply_to(transfer(4), "SB05"), reply_to(transfer(5), "SB05")]
    bank.sends(credit(6), opening(7))  # the silent service does not starve the other
    assert len(other.got()) == 2
    host.sends(reply_to(transfer(2)))
    bank.sends(transfer(4))
    assert host.got() == [transfer(4)]


def test_the_only_service_may_hold_all_of_them():
    talk = one_service(lab(), sessions={"open_exchanges": 6})
    client, host = talk.session(), talk.link()
    frames = [b"00160200TR%010d" % number for number in range(8)]
    client.sends(*frames)
    assert len(host.got()) == 6
    assert [frame[20:] for frame in client.got()] == [b"NE-LIM-01", b"NE-LIM-01"]


def test_a_paused_session_hears_of_room_even_when_nothing_can_be_answered():
    """A family without an error telegram tells the asker nothing; the session must be read again all the same."""
    talk = one_service(small(errors=False), timeout=1.0)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1), ask(2), at=0)
    host.got()
    bank.peer.paused = True
    talk.tick(at=1)
    assert bank.got() == [] and talk.switch.resumed == [bank.peer, bank.peer]
    assert talk.open == 0


def test_a_paused_session_hears_of_room_when_it_is_answered():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    host.got()
    bank.peer.paused = True
    host.sends(reply_to(transfer()))
    assert talk.switch.resumed == [bank.peer]


def test_a_stopping_router_takes_nothing_new_and_finishes_what_is_open():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1))
    host.got()
    talk.switch.draining = True
    bank.sends(transfer(2))
    assert bank.got() == [reply_to(transfer(2), "SB06")]
    assert talk.events("refused")[0]["code"] == "E-LIM-04"
    assert not talk.switch.idle
    host.sends(reply_to(transfer(1)))
    assert bank.got() == [reply_to(transfer(1))]
    assert talk.switch.idle


def test_an_event_storm_is_cut_and_counted():
    talk = firm()
    link = talk.link()
    link.sends(*(reply_to(transfer(number)) for number in range(150)))  # nobody has asked
    events, dropped = talk.switch.take_events()
    assert (len(events), dropped) == (100, 50)
    assert talk.switch.take_events() == ([], 0)


def test_refusals_of_one_kind_are_told_once_a_turn_with_their_number():
    talk = firm()
    bank = talk.session()
    bank.sends(*(b"0300" + b"X" * 300 for _ in range(150)), transfer(1), transfer(1))
    told = [(event["code"], event["count"]) for event in talk.events("refused")]
    assert told == [("E-RTE-01", 150), ("E-DUP-01", 1)]
    bank.sends(b"0300" + b"X" * 300)
    assert [event["count"] for event in talk.events("refused")] == [150, 1, 1]


# --- services that are called instead of written to ---------------------------------------------------------------------


def test_an_http_service_is_asked_for_more_links_and_each_carries_one_request():
    talk = one_service(firmbanking(), kind=Kind.HTTP, full=True, max_links=2)
    bank = talk.session()
    bank.sends(transfer(1), transfer(2))
    assert talk.switch.commands == [Grow(talk.service()), Grow(talk.service())]
    talk.switch.commands.clear()
    link = talk.link()
    (call,) = talk.switch.commands
    assert call.link is link.peer and call.exchange.telegram["amount"] == 15000
    talk.switch.commands.clear()
    talk.switch.answer(call.exchange, reply_to(transfer(1)), 0.1)
    assert bank.got() == [reply_to(transfer(1))]
    (following,) = talk.switch.commands
    assert following.exchange.frame == transfer(2)


def test_an_http_link_whose_request_timed_out_is_closed():
    talk = one_service(firmbanking(), kind=Kind.HTTP, full=True, timeout=5.0)
    bank, link = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    (call,) = talk.switch.commands
    link.peer.queued = link.peer.accepted = 1  # its connection wrote the request
    call.exchange.offset = 0
    talk.tick(at=5)
    assert bank.got() == [reply_to(transfer(1), "VTIM")]
    assert talk.switch.commands[-1] == Close(link.peer, "E-BCK-05")
    talk.switch.answer(call.exchange, reply_to(transfer(1)), 6.0)
    assert bank.got() == [] and talk.service().late == 1
    bank.sends(transfer(2))
    assert talk.service().waiting  # the closed link gets nothing more


def test_a_failed_call_is_answered_in_the_familys_words_once():
    talk = one_service(firmbanking(), kind=Kind.HANDLER, full=True)
    bank = talk.session()
    talk.link()
    bank.sends(transfer(1), transfer(2))
    first, second = (command.exchange for command in talk.switch.commands)
    talk.switch.fail(first, "E-BCK-08", Delivery.SENT_UNKNOWN, 1.0)
    talk.switch.fail(first, "E-BCK-08", Delivery.SENT_UNKNOWN, 1.0)
    talk.switch.fail(second, "E-BCK-09", Delivery.NOT_SENT, 1.0)
    assert bank.got() == [reply_to(transfer(1), "VTIM"), reply_to(transfer(2), "SB08")]
    bank.sends(transfer(1), transfer(2))
    assert bank.got() == [reply_to(transfer(1), "SB04")]  # the rejected one may be tried again


def test_a_call_that_was_not_made_yet_is_not_made_for_an_asker_that_is_gone():
    talk = one_service(firmbanking(), kind=Kind.HANDLER, full=True)
    bank = talk.session()
    talk.link()
    bank.sends(transfer(1))
    bank.dies()
    assert talk.switch.commands == [] and talk.leftovers() == {}


def test_a_rest_service_of_a_carrier_family_sees_the_askers_own_numbers():
    talk = one_service(small(), kind=Kind.HANDLER)
    first, second = talk.session("first"), talk.session("second")
    talk.link()
    first.sends(ask(7, "a"))
    second.sends(ask(7, "b"))
    exchanges = [command.exchange for command in talk.switch.commands]
    assert [exchange.frame for exchange in exchanges] == [ask(7, "a"), ask(7, "b")]
    for exchange in reversed(exchanges):
        talk.switch.answer(exchange, answer_to(exchange.frame), 1.0)
    assert first.got() == [answer_to(ask(7, "a"))] and second.got() == [answer_to(ask(7, "b"))]


def test_a_one_way_telegram_to_a_called_service_holds_its_link_until_the_call_is_over():
    talk = one_service(small(), kind=Kind.HTTP)
    bank, link = talk.session(), talk.link()
    bank.sends(ask(1, "first", kind="0400"), ask(2, "second", kind="0400"))
    (call,) = [command for command in talk.switch.commands if not isinstance(command, Grow)]
    assert link.peer.load == 1
    talk.switch.commands.clear()
    talk.switch.answer(call.exchange, b"", 0.1)
    (call,) = talk.switch.commands
    talk.switch.fail(call.exchange, "E-BCK-04", Delivery.SENT_UNKNOWN, 0.2)
    assert bank.got() == [] and link.peer.load == 0
    talk.tick(at=301)
    assert talk.leftovers() == {}


def test_a_router_that_stops_tells_every_asker_what_is_known_of_its_request():
    talk = firm(in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))
    assert host.got() == [transfer(1)]  # the other waits for room
    talk.switch.give_up(talk.now())
    assert bank.got() == [reply_to(transfer(2), "SB06"), reply_to(transfer(1), "VTIM")]
    assert host.got() == [] and talk.switch.idle


def test_the_log_names_the_telegram_that_failed_by_its_clear_fields():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(7))
    host.got()
    talk.tick(at=31)
    (failed,) = talk.events("failed")
    assert failed["telegram"] == {
        "message_type": "2000", "business_code": "100", "company_number": "C001", "bank_code": "088", "sent_date": "20240315",
        "message_number": "000007",
    }  # fmt: skip
    bank.sends(transfer(7))
    assert talk.events("refused")[0]["telegram"] == failed["telegram"]


def test_what_is_refused_for_want_of_room_is_counted_at_its_service():
    talk = firm(in_flight=1, pending=2)
    bank, _ = talk.session(), talk.link()
    bank.sends(*map(transfer, range(1, 6)))
    assert talk.service().overflow == 2
