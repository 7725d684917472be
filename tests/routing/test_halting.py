"""A message that an operator has switched off is refused, where he said so, until he switches it on."""

from __future__ import annotations

import pytest
from conversation import Talk, credit, firm, notice, reply_to, transfer

from telegram_router.errors import Delivery
from telegram_router.routing import Listener, ListenerPolicy, RouteTable
from telegram_router.routing.changing import Change, carry_out
from telegram_router.routing.halting import EVERYWHERE, halt


def refusal(talk: Talk, frame: bytes, code: str = "E-RTE-06") -> bytes:
    reply = talk.listener().spec.error_reply(frame, code, Delivery.NOT_SENT)
    assert reply is not None
    return reply


@pytest.mark.parametrize("known", [False, True], ids=["never seen before", "in the memo of the loop"])
@pytest.mark.parametrize("place", [EVERYWHERE, "listener.branches", "service.transfer"])
def test_a_message_that_is_off_is_refused_as_not_sent_and_no_other_is(place: str, known: bool):
    talk = firm()
    bank, host, lender = talk.session(), talk.link(), talk.link("other")
    if known:
        bank.sends(transfer(1))
        host.sends(*(reply_to(frame) for frame in host.got()))
        bank.got()
    assert halt(talk.switch, place, "transfer.request", off=True) is False
    bank.sends(transfer(2), credit(3))
    assert bank.got() == [refusal(talk, transfer(2))] and host.got() == []
    assert lender.got() == [credit(3)]
    assert talk.listener().refused == {"E-RTE-06": 1}
    assert halt(talk.switch, place, "transfer.request", off=False) is True
    bank.sends(transfer(4))
    assert host.got() == [transfer(4)] and talk.switch.halted == {}


def test_what_is_off_elsewhere_goes_on_here():
    talk = firm()
    bank, host = talk.session(), talk.link()
    talk.link("other")
    halt(talk.switch, "service.other", "transfer.request", off=True)
    halt(talk.switch, "listener.none", "transfer.request", off=True)
    bank.sends(transfer(1))
    assert host.got() == [transfer(1)]


def test_what_had_been_accepted_before_goes_on():
    talk = firm(in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))  # the second one waits
    assert host.got() == [transfer(1)]
    halt(talk.switch, EVERYWHERE, "transfer.request", off=True)
    host.sends(reply_to(transfer(1)))
    assert host.got() == [transfer(2)]
    host.sends(reply_to(transfer(2)))
    assert bank.got() == [reply_to(transfer(1)), reply_to(transfer(2))]


@pytest.mark.parametrize("place", [EVERYWHERE, "listener.branches", "service.transfer"])
def test_a_host_is_refused_what_it_asks_for_as_well(place: str):
    talk = firm()
    bank, host, _ = talk.session(), talk.link(), talk.link("other")
    bank.sends(credit(1))  # so that the session speaks for its owner
    halt(talk.switch, place, "deposit_notice.request", off=True)
    host.sends(notice(900))
    assert host.got() == [refusal(talk, notice(900))] and bank.got() == []


def test_an_order_outlives_a_reload_that_takes_its_listener_away_and_brings_another_of_its_name():
    talk = firm()
    switch, table = talk.switch, talk.listener().routes
    halt(switch, "listener.branches", "transfer.request", off=True)
    services = dict(switch.services)
    carry_out(switch, Change(services, {}), 1.0)
    again = Listener("branches", talk.listener().spec if switch.listeners else services["transfer"].spec, ListenerPolicy())
    carry_out(switch, Change(services, {"branches": again}, tables={again: RouteTable(again.spec, table.routes)}), 2.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1))
    assert bank.got() == [refusal(talk, transfer(1))] and host.got() == []


def test_the_router_that_stops_says_so_rather_than_that_a_message_is_off():
    talk = firm()
    bank, _ = talk.session(), talk.link()
    halt(talk.switch, EVERYWHERE, "transfer.request", off=True)
    talk.switch.draining = True
    bank.sends(transfer(1))
    assert bank.got() == [refusal(talk, transfer(1), "E-LIM-04")]
