"""Telegrams shared out among services: exact shares, customers that stay, duplicates that are known."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter

from conversation import Talk, answer_to, ask, service_of, small
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing import Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing.changing import reroute
from telegram_router.routing.split import BITS, Split

weights_of_some = st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any)
SPACE = 1 << BITS


@settings(deadline=None)
@given(weights_of_some, st.integers(1, 7))
def test_each_has_exactly_its_share_of_the_space_of_hashes(weights: list[int], fineness: int):
    split = Split(itemgetter(0), weights)
    points = split.whole * fineness
    met = Counter(split.place_of(-(-number * SPACE // points)) for number in range(points))
    assert [met[place] for place in range(len(weights))] == [weight * fineness for weight in weights]


@settings(deadline=None)
@given(weights_of_some, st.integers(0, SPACE - 1))
def test_every_hash_has_a_place_and_never_one_without_a_share(weights: list[int], at: int):
    for point in (at, 0, SPACE - 1):
        assert weights[Split(itemgetter(0), weights).place_of(point)] > 0


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, SPACE - 1))
def test_a_growing_service_only_takes_from_the_other_and_gives_nothing_back(before: int, after: int, at: int):
    first = Split(itemgetter(0), (100 - before, before)).place_of(at)
    second = Split(itemgetter(0), (100 - after, after)).place_of(at)
    assert (first, second) != ((1, 0) if after >= before else (0, 1))


def test_the_same_bytes_go_the_same_way_in_every_process():
    split = Split(itemgetter(slice(0, 4)), (90, 10))
    assert [split.place(b"C%03d" % number) for number in range(12)] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert Counter(split.place(b"%04d" % number) for number in range(10_000))[1] in range(900, 1100)


class Growing:
    """A new service that takes over from an old one."""

    def __init__(self, *, carrier: bool = False, **policy: float) -> None:
        self.spec = small(carrier=carrier)
        self.switch = Switch()
        self.old = service_of(self.switch, "old", self.spec, **policy)
        self.new = service_of(self.switch, "new", self.spec, **policy)
        self.listener = self.switch.listeners["branches"] = Listener("branches", self.spec, ListenerPolicy(open_exchanges=1000))
        self.shares(100, 0)
        self.talk = Talk(self.switch)
        self.bank, self.hosts = self.talk.session(), (self.talk.link("old"), self.talk.link("new"))

    def shares(self, old: int, new: int) -> None:
        split = Split(itemgetter(self.spec.header_slice("company")), (old, new))
        routes = [Route("all", {}, service, split=split) for service in (self.old, self.new)]
        reroute(self.listener, RouteTable(self.spec, routes), set())

    def asked(self, number: int, company: str = "AA") -> str:
        """Who is given the request."""
        self.bank.sends(ask(number, company=company))
        went = [host.got() for host in self.hosts]
        return "old" if went[0] else "new" if went[1] else "nobody"


def test_a_customer_stays_where_it_is_and_both_get_their_share():
    growing = Growing(carrier=True, in_flight=1000)
    growing.shares(70, 30)
    companies = [f"{number:02}" for number in range(100)]
    went = {company: growing.asked(number, company) for number, company in enumerate(companies)}
    assert 15 <= Counter(went.values())["new"] <= 45
    assert {company: growing.asked(100 + number, company) for number, company in enumerate(companies)} == went
    growing.listener.add_up()
    assert growing.listener.received["ask.request"] == 200
    assert [growing.listener.routes.share_of(route) for route in growing.listener.routes.routes] == [0.7, 0.3]


def test_a_request_that_is_open_at_one_service_is_known_for_a_duplicate_when_the_shares_have_changed():
    growing = Growing()
    assert growing.asked(1) == "old"
    growing.shares(0, 100)
    assert growing.asked(1) == "nobody"
    assert growing.listener.refused == {"E-DUP-01": 1}
    assert growing.asked(2) == "new"
    growing.hosts[0].sends(answer_to(ask(1)))
    assert growing.bank.got()[-1] == answer_to(ask(1))
    assert growing.asked(1) == "new"


def test_a_number_that_ended_unknown_at_one_service_is_not_sent_to_another():
    growing = Growing(timeout=5.0, tombstone=60.0)
    assert growing.asked(1) == "old"
    growing.talk.tick(at=6)
    growing.shares(0, 100)
    assert growing.asked(1) == "nobody"
    growing.talk.tick(at=70)
    assert growing.asked(1) == "new"


def test_another_session_with_the_same_number_is_told_that_it_is_open_wherever_that_is():
    growing = Growing()
    assert growing.asked(1) == "old"
    growing.shares(0, 100)
    growing.bank = growing.talk.session()
    assert growing.asked(1) == "nobody"
