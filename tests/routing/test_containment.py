"""A fault at any call inside `receive` leaves no telegram half registered, and nobody else's in doubt."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_GENERATOR
from types import FrameType
from typing import Any

import pytest
from conversation import (
    HeldJournal,
    Speaker,
    Talk,
    answer_to,
    ask,
    credit,
    firm,
    firmbanking,
    framed,
    listing,
    notice,
    one_service,
    opening,
    reply_to,
    small,
    telegram,
    transfer,
)

from telegram_router.routing import Call, Exchange, Kind, Listener, Peer, Switch
from telegram_router.routing.exchange import NOT_YET, Lane
from telegram_router.routing.waiting import Arranged

Act = tuple[Talk, Speaker, list[bytes]]


class Planted(Exception):
    """The fault that the tests plant."""


class Tripwire:
    """Raises at the n-th call of a function of the router; counts them all."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if code.co_flags & CO_GENERATOR:  # its calls are resumptions and its end
            return
        if event == "call" and ("/telegram_router/" in code.co_filename or code is made_in_python.__code__):
            self.calls += 1
            if self.calls == self.at:
                raise Planted


@contextmanager
def tripwire(at: int) -> Iterator[Tripwire]:
    wire = Tripwire(at)
    sys.setprofile(wire)
    try:
        yield wire
    finally:
        sys.setprofile(None)


def made_in_python(*args: Any, **more: Any) -> Exchange:
    return Exchange(*args, **more)


@pytest.fixture(autouse=True)
def every_call_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called in C gives no event."""
    monkeypatch.setattr("telegram_router.routing.switch.Exchange", made_in_python)


# --- what may be said to a switch -----------------------------------------------------------------------------------------


def a_first_request(journal: Any) -> Act:
    talk = firm(journal)
    talk.link()
    return talk, talk.session(), [transfer(1)]


def requests_of_many_kinds(journal: Any) -> Act:
    talk = firm(journal, in_flight=2, pending=2)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(100))
    settle(journal, talk)
    host.got()
    frames = [transfer(1), transfer(1), transfer(2), transfer(3), transfer(4), credit(5), telegram("7000", "100", 6)]
    short = b"0150" + transfer(8)[4:154]
    return talk, bank, [*frames, short, b"0020HDRREQPOLL0123456789", reply_to(transfer(9)), b"0300" + b"?" * 300]


def by_class(act: Callable[[Any], Act]) -> Callable[[Any], Act]:
    """The same where requests wait by class."""

    def acted(journal: Any) -> Act:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("telegram_router.routing.peers.FirstCome", Arranged)
            return act(journal)

    acted.__name__ = f"{act.__name__}_by_class"
    return acted


def replies_and_what_waited_for_them(journal: Any) -> Act:
    talk = firm(journal, in_flight=3)
    bank, other, host = talk.session(), talk.session(), talk.link()
    bank.sends(*map(transfer, range(1, 6)))
    other.sends(transfer(6))
    settle(journal, talk)
    host.got()
    stray, misfit = reply_to(transfer(77)), b"0150" + reply_to(transfer(3))[4:154]
    return talk, host, [reply_to(transfer(2)), stray, reply_to(transfer(1)), misfit, notice(1), reply_to(transfer(2))]


def a_late_reply(journal: Any) -> Act:
    talk = firm(journal)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    settle(journal, talk)
    host.got()
    talk.tick(at=30)
    settle(journal, talk)
    return talk, host, [reply_to(transfer(1))]


def notices_and_their_answers(journal: Any) -> Act:
    talk = firm(journal)
    bank, host = talk.session(), talk.link()
    bank.sends(opening())
    host.sends(notice(1), notice(2))
    settle(journal, talk)
    bank.got()
    return talk, bank, [reply_to(notice(2)), transfer(3), reply_to(notice(1)), opening(9, company="C002")]


def notices_from_the_host(journal: Any) -> Act:
    talk = firm(journal, sessions={"open_exchanges": 2})
    bank, host = talk.session(), talk.link()
    bank.sends(opening())
    return talk, host, [notice(1), notice(1), notice(2), notice(3), notice(4, company="C009"), credit(5)]


def renumbered_requests(journal: Any) -> Act:
    talk = one_service(small(width=2), journal, in_flight=2)
    talk.session(), talk.link(), talk.link()
    talk.session().sends(ask(1, width=2))
    settle(journal, talk)
    return talk, talk.session(), [ask(number, width=2) for number in (1, 2, 2, 3, 4, 5)]


def renumbered_replies(journal: Any) -> Act:
    talk = one_service(small(width=2), journal, in_flight=2)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, width=2), ask(2, width=2), ask(3, width=2))
    settle(journal, talk)
    first, second = host.got()
    return talk, host, [answer_to(second, width=2), answer_to(first.replace(b"AA", b"BB"), width=2), answer_to(first, width=2)]


def letters(journal: Any) -> Act:
    talk = one_service(small(), journal, in_flight=2, pending=1)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0400"))
    settle(journal, talk)
    host.got()
    return talk, bank, [ask(number, kind="0400") for number in (2, 3, 4, 5)]


def parts(journal: Any) -> Act:
    talk = one_service(small(carrier=False), journal)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0300"), ask(2, kind="0300"))
    settle(journal, talk)
    host.got()
    short = framed(listing(2, 1, 1)[4:-2])
    return talk, host, [listing(1, 1, 3), listing(1, 2, 3), listing(1, 3, 3), listing(1, 3, 3), short]


def checked_requests(journal: Any) -> Act:
    talk = one_service(firmbanking(), journal, Kind.HTTP, full=True)
    talk.link(), talk.link()
    return talk, talk.session(), [transfer(1), telegram("2000", "100", 2, body=b"\x07"), transfer(3), transfer(4)]


def checked_replies(journal: Any) -> Act:
    talk = one_service(firmbanking(), journal, full=True)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))
    settle(journal, talk)
    host.got()
    return talk, host, [reply_to(telegram("2000", "100", 1, body=b"\x07")), reply_to(transfer(2))]


def a_router_that_stops(journal: Any) -> Act:
    talk = firm(journal)
    talk.switch.draining = True
    return talk, talk.session(), [transfer(1), telegram("7000", "100", 6)]


SCENES: list[Callable[[Any], Act]] = [
    a_first_request,
    requests_of_many_kinds,
    replies_and_what_waited_for_them,
    by_class(requests_of_many_kinds),
    by_class(replies_and_what_waited_for_them),
    a_late_reply,
    notices_and_their_answers,
    notices_from_the_host,
    renumbered_requests,
    renumbered_replies,
    letters,
    parts,
    checked_requests,
    checked_replies,
    a_router_that_stops,
]


def settle(journal: HeldJournal | None, talk: Talk) -> None:
    """The journal has written all that it was given."""
    while journal is not None and (journal.requests or journal.answers):
        if journal.requests:
            talk.switch.release(journal.requests.pop(0))
        else:
            talk.switch.release_answer(journal.answers.pop(0))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("journal", [type(None), HeldJournal], ids=["no journal", "a journal"])
def test_a_fault_at_any_call_leaves_the_books_right(scene: Callable[[Any], Act], journal: Callable[[], Any]):
    number, tripped = 0, True
    while tripped:
        number += 1
        held = journal()
        talk, speaker, frames = scene(held)
        bystanders = [each for each in talk.speakers if each is not speaker]
        talk.clock += 1.0
        tripped = False
        with tripwire(number):
            try:
                talk.switch.receive(speaker.peer, frames, talk.clock)
            except Planted:
                tripped = True
        assert_books_agree(talk, held)
        speaker.dies()  # what the hub makes of it
        assert_books_agree(talk, held)
        everybody_is_told(talk, held, bystanders)
    assert number > 3, "the wire was never touched"


def everybody_is_told(talk: Talk, journal: HeldJournal | None, bystanders: list[Speaker]) -> None:
    """Life goes on for the others: what they asked ends once, and nothing is left over."""
    waiting = {id(each): each for speaker in bystanders for lane in speaker.peer.lanes for each in lane.open.values()}
    told: list[bytes] = []
    for _ in range(4):
        settle(journal, talk)
        for speaker in bystanders:
            told += [frame for frame in speaker.got() if talk.switch.listeners["branches"].spec.message_of(frame) is not None]
        talk.tick(at=talk.clock + 301.0)
    spec = talk.listener().spec
    answers = [spec.correlate(frame) for frame in told if getattr(spec.message_of(frame), "kind", "") == "reply"]
    for exchange in waiting.values():
        assert answers.count(exchange.key) >= 1 and exchange.settled
    left = {name: count for name, count in talk.leftovers().items() if name != "gates"}
    assert left == {}


# --- what must agree --------------------------------------------------------------------------------------------------------


def assert_books_agree(talk: Talk, journal: HeldJournal | None) -> None:
    switch = talk.switch
    groups: list[Any] = [*switch.services.values(), *switch.listeners.values()]
    pending = [each for group in groups for each in group.register.pending.values()]
    lanes = [lane for speaker in talk.speakers for lane in speaker.peer.lanes]
    for exchange in pending:
        assert not exchange.settled
        assert exchange.lane.open.get(exchange.key) is exchange or exchange.asker.closed
        assert places(switch, exchange) == 1, "it stands in no place, or in two"
    for lane in lanes:
        gated = set(lane.answers._order)
        for exchange in lane.open.values():
            assert exchange in gated if exchange.settled else exchange in pending
    for speaker in talk.speakers:
        assert_peer_agrees(switch, speaker, [each for each in pending if each.answerer is speaker.peer])
    stones = {id(stone) for group in groups for stone in group.register.tombstones.values()}
    assert {id(stone) for lane in lanes for stone in lane.reserved.values()} == stones
    for order in switch.commands:
        assert not isinstance(order, Call) or (order.exchange in pending and order.exchange.answerer is order.link)
    for service in switch.services.values():
        assert all(link.load == 0 and not link.retired for link in service.free)
        assert service.kind is not Kind.HTTP or {id(link) for link in service.links if not link.load} == {id(link) for link in service.free}


def places(switch: Switch, exchange: Exchange) -> int:
    waiting = sum(each is exchange for service in switch.services.values() for each in service.waiting)
    given = exchange.answerer is not None and exchange.offset != NOT_YET
    return waiting + given + in_gate(exchange.lane, exchange)


def in_gate(lane: Lane, exchange: Exchange) -> bool:
    return lane._requests is not None and exchange in lane._requests._order


def assert_peer_agrees(switch: Switch, speaker: Speaker, asked: list[Exchange]) -> None:
    peer = speaker.peer
    if peer.closed:
        assert not asked or isinstance(peer.group, Listener)
        return
    given = [each for each in asked if each.offset != NOT_YET]
    assert peer.load == len(given) + len(peer.oneway)
    assert peer.queued - peer.accepted == sum(map(len, peer.outbox))
    assert not peer.outbox or peer in switch.dirty or peer.accepted
    assert_every_request_in_the_stream_is_known(speaker, given)


def assert_every_request_in_the_stream_is_known(speaker: Speaker, given: list[Exchange]) -> None:
    peer: Peer = speaker.peer
    spec, place = peer.group.spec, peer.accepted
    known = {each.offset for each in [*given, *peer.oneway]}
    for frame in peer.outbox:
        message = spec.message_of(frame)
        if message is not None and message.kind != "reply":
            assert place in known, "a frame in an outbox without its register entry"
        place += len(frame)
