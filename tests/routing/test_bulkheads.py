"""What one user may have open: the count is that of its open exchanges, however they end."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import HeldJournal, ImmediateJournal, Speaker, Talk, answer_to, ask, exactly, listing, service_of, small
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telegram_router.routing import Kind, Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing import bulkheads as module
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.exchange import Exchange
from telegram_router.routing.limits import part

WIDTH = 3
MOST = 3

script = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"), st.integers(0, 9), st.sampled_from(["0200", "0200", "0300", "0400"]), st.sampled_from(["AA", "BB", "CC"])
        ),
        st.tuples(st.just("ask"), st.integers(0, 9), st.just("0200"), st.just("AA")),
        st.tuples(st.just("take"), st.integers(0, 9), st.integers(1, 90)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("tick"), st.sampled_from([0.2, 1.1, 6.0, 30.0])),
        st.tuples(st.just("die"), st.integers(0, 9)),
        st.tuples(st.just("join"), st.booleans()),
        st.tuples(st.just("sweep")),
        st.tuples(st.just("give up")),
    ),
    max_size=40,
)


class Bank:
    """Requests of three companies, each of which may have three open."""

    def __init__(self, journal: Any, carrier: bool) -> None:
        spec = small(WIDTH, carrier=carrier, owner=True)
        self.journal = journal
        self.switch = Switch(journal)
        if isinstance(journal, ImmediateJournal):
            journal.switch = self.switch
        self.service = service_of(self.switch, "transfer", spec, in_flight=2, pending=4, timeout=5.0, tombstone=20.0)
        self.web = service_of(self.switch, "web", spec, Kind.HTTP, in_flight=1, pending=2, timeout=5.0, tombstone=20.0)
        self.listener = self.switch.listeners["branches"] = Listener("branches", spec, ListenerPolicy(open_exchanges=20))
        self.bulkhead = Bulkhead("users", MOST, [part("header.company", spec)])
        self.listener.limits = [self.bulkhead]
        routes = [Route("web", exactly(company="CC"), self.web, full=True), Route("rest", {}, self.service)]
        self.listener.set_routes(RouteTable(spec, routes))
        self.talk = Talk(self.switch)
        self.sessions = [self.talk.session(), self.talk.session()]
        self.links = [self.talk.link("transfer"), self.talk.link("web")]
        self.arrived: dict[Speaker, list[bytes]] = {each: [] for each in self.links}
        self.asked = 0

    def play(self, steps: list[Any]) -> None:
        for step in steps:
            getattr(self, step[0].replace(" ", "_"))(*step[1:])
            self.check()

    def ask(self, who: int, kind: str, company: str) -> None:
        self.asked += 1
        self.sessions[who % len(self.sessions)].sends(ask(self.asked % 1000, "text", company, kind=kind))

    def take(self, who: int, size: int) -> None:
        link = self.links[who % len(self.links)]
        link.accepts(min(size, link.peer.unwritten))
        frames, link.looked = link.cut(link.history, link.looked)
        self.arrived[link] += frames

    def answer(self, who: int, good: bool) -> None:
        for order in [each for each in self.switch.commands if hasattr(each, "exchange")][:1]:
            self.switch.commands.remove(order)
            if order.exchange.settled or order.exchange.answerer is not order.link:
                continue  # its link was lost in this very turn
            self.switch.answer(order.exchange, answer_to(order.exchange.frame), self.talk.now())
        link = self.links[who % len(self.links)]
        for frame in self.arrived[link][:1]:
            self.arrived[link].remove(frame)
            if frame[4:8] == b"0300":
                link.sends(listing(int(frame[8:11]), 1 + good, 2, company=frame[11:13].decode()))
            else:
                link.sends(answer_to(frame) if good else answer_to(frame)[:-1])

    def tick(self, step: float) -> None:
        self.talk.tick(self.talk.clock + step)

    def die(self, who: int) -> None:
        everybody = [*self.sessions, *self.links]
        speaker = everybody[who % len(everybody)]
        if len(self.sessions) > 1 or speaker in self.links:
            (self.sessions if speaker in self.sessions else self.links).remove(speaker)
            speaker.dies()
        if not self.links:
            self.join(False)

    def join(self, session: bool) -> None:
        if session:
            self.sessions.append(self.talk.session())
        else:
            self.links.append(self.talk.link("transfer"))
            self.arrived[self.links[-1]] = []

    def sweep(self) -> None:
        assert len(self.bulkhead) <= 3

    def give_up(self) -> None:
        self.switch.give_up(self.talk.now())

    def check(self) -> None:
        open_: dict[bytes, set[Exchange]] = {}
        for speaker in self.talk.speakers:
            for lane in speaker.peer.lanes:
                for exchange in lane.open.values():
                    if not exchange.settled:
                        open_.setdefault(exchange.frame[11:13], set()).add(exchange)
        for group in self.switch.parties():
            for exchange in [*group.register.pending.values(), *(each for peer in group.peers for each in peer.oneway)]:
                open_.setdefault(exchange.frame[11:13], set()).add(exchange)
        for service in self.switch.services.values():
            for exchange in service.waiting:
                open_.setdefault(exchange.frame[11:13], set()).add(exchange)
        for company in (b"AA", b"BB", b"CC"):
            there = len(open_.get(company, ()))
            assert self.bulkhead.open_of(company) == there <= MOST


@settings(deadline=None)
@given(script, st.booleans(), st.sampled_from([None, None, ImmediateJournal]))
@example([("ask", 0, "0200", "AA")] * 5 + [("take", 0, 90), ("answer", 0, True), ("ask", 0, "0200", "AA")], False, None)
@example([("ask", 0, "0400", "AA"), ("ask", 0, "0400", "AA"), ("die", 2), ("tick", 1.1)], True, None)
@example([("ask", 0, "0200", "CC"), ("ask", 1, "0200", "CC"), ("answer", 0, True), ("give up",)], False, None)
def test_what_is_counted_for_a_user_is_what_it_has_open(steps: list[Any], carrier: bool, journal: Any):
    bank = Bank(journal() if journal else None, carrier)
    bank.play(steps)
    bank.talk.tick(bank.talk.clock + 100.0)
    for link in list(bank.links):
        link.dies()
    bank.talk.tick(bank.talk.clock + 100.0)
    assert bank.bulkhead.open == len(bank.bulkhead) == 0


def test_one_more_than_a_user_may_have_open_is_refused_until_one_of_them_ends():
    bank = Bank(None, False)
    session = bank.sessions[0]
    session.sends(*(ask(number) for number in range(1, 5)))
    assert bank.listener.refused == {"E-LIM-02": 1} and bank.bulkhead.refused == 1
    [told] = bank.talk.events("refused")
    assert (told["limit"], told["retry_after_ms"]) == ("users", None)
    session.sends(ask(9, company="BB"))
    host = bank.links[0]
    host.sends(answer_to(host.got()[0]))
    session.sends(ask(5))
    assert bank.listener.refused == {"E-LIM-02": 1} and bank.bulkhead.open_of(b"AA") == 3


def test_a_request_that_a_journal_holds_is_open():
    bank = Bank(HeldJournal(), False)
    bank.sessions[0].sends(*(ask(number) for number in range(1, 5)))
    assert bank.bulkhead.open_of(b"AA") == 3 and bank.bulkhead.refused == 1


def test_who_is_refused_by_another_limit_is_not_counted():
    bank = Bank(None, False)
    narrow = Bulkhead("narrow", 1, [part("session", bank.listener.spec)])
    bank.listener.limits = [bank.bulkhead, narrow]
    bank.listener.set_routes(bank.listener.routes)
    bank.sessions[0].sends(ask(1), ask(2))
    assert (bank.bulkhead.open, narrow.open, narrow.refused, bank.bulkhead.refused) == (1, 1, 1, 0)


def test_memory_is_bounded_by_what_is_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SWEEP", 8)
    bank = Bank(None, False)
    bank.bulkhead._sweep()
    host = bank.links[0]
    for number in range(1, 200):
        bank.sessions[0].sends(ask(number, company=f"{number % 100:02}"))
        host.sends(*map(answer_to, host.got()))
    assert sum(map(len, bank.bulkhead._held.values())) <= 8
    assert len(bank.bulkhead) == 0


def test_a_bulkhead_that_is_no_longer_configured_holds_on_to_nothing():
    bank = Bank(None, False)
    bank.sessions[0].sends(ask(1))
    bank.bulkhead.forget()
    assert len(bank.bulkhead) == 0
