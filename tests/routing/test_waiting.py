"""What waits for room: order, shares, ageing, shedding; requests that are held back until their time."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import service_of, small
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telegram_router.routing import Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing.classes import AGE, CLASSES, SHARES, age, sheds
from telegram_router.routing.exchange import Exchange
from telegram_router.routing.peers import Peer
from telegram_router.routing.routes import Entry
from telegram_router.routing.waiting import Arranged, FirstCome

CRITICAL, HIGH, NORMAL, BULK = range(4)


class Crowd:
    """Exchanges of several sessions and classes, numbered as they come."""

    def __init__(self) -> None:
        spec, switch = small(), Switch()
        service = service_of(switch, "transfer", spec)
        listener = Listener("branches", spec, ListenerPolicy(), RouteTable(spec, [Route("all", {}, service)]))
        self.sessions = [Peer(f"bank{number}", listener, 256, [256]) for number in range(3)]
        self.entries = []
        for rank in range(4):
            self.entries.append(Entry(spec.messages["ask.request"], Route("r", {}, service, rank=rank), 0))
        self.made = 0

    def one(self, rank: int = NORMAL, session: int = 0, at: float = 0.0) -> Exchange:
        self.made += 1
        peer = self.sessions[session]
        return Exchange(peer, peer.lanes[0], self.made, self.made, self.entries[rank], b"", at)


def taken(waiting: FirstCome, now: float) -> Exchange | None:
    """Whose turn it is, taken out as the switch does it."""
    turn = waiting.turn(now)
    if turn is None:
        return None
    del waiting[turn.exchange]
    if turn.line is not waiting:
        del turn.line[turn.exchange]
        waiting.credits = turn.credits
    return turn.exchange


def filled(waiting: FirstCome, ranks: list[int], at: float = 0.0) -> Crowd:
    crowd = Crowd()
    for rank in ranks:
        waiting.add(crowd.one(rank), at)
    return crowd


# --- shares -----------------------------------------------------------------------------------------------------------


def test_of_fifteen_requests_eight_are_critical_four_high_two_normal_and_one_is_bulk():
    waiting = Arranged()
    filled(waiting, [BULK, NORMAL, HIGH, CRITICAL] * 40)
    went = [taken(waiting, 0.0).entry.rank for _ in range(45)]  # type: ignore[union-attr]
    assert [went.count(rank) for rank in range(4)] == [24, 12, 6, 3]


@settings(deadline=None)
@given(st.sets(st.sampled_from(range(4)), min_size=1), st.integers(0, 100), st.integers(1, 200))
def test_over_any_window_each_class_that_waits_has_its_share_within_two_requests(ranks: set[int], start: int, length: int):
    waiting = Arranged()
    filled(waiting, sorted(ranks) * 320)
    went = [taken(waiting, 0.0).entry.rank for _ in range(start + length)][start:]  # type: ignore[union-attr]
    whole = sum(SHARES[rank] for rank in ranks)
    for rank in ranks:
        assert abs(went.count(rank) - length * SHARES[rank] / whole) <= 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["come", "come", "go"]), st.integers(0, 3)), max_size=200))
def test_whoever_is_first_of_its_class_goes_within_the_time_that_its_share_promises(script: list[tuple[str, int]]):
    """However the others come and go, bulk beside three busy classes is passed over at most once round."""
    waiting, crowd = Arranged(), Crowd()
    passed: dict[Exchange, int] = {}
    for what, rank in script:
        if what == "come":
            waiting.add(crowd.one(rank), 0.0)
            continue
        went = taken(waiting, 0.0)
        if went is None:
            continue
        passed.pop(went, None)
        for line in waiting._lines:
            for first in list(line)[:1]:
                passed[first] = passed.get(first, 0) + 1
                assert passed[first] <= 2 * sum(SHARES) // SHARES[first.entry.rank]


def test_a_class_that_comes_alone_saves_nothing_for_later():
    waiting = Arranged()
    crowd = filled(waiting, [BULK] * 50)
    for _ in range(40):
        taken(waiting, 0.0)
    for _ in range(20):
        waiting.add(crowd.one(CRITICAL), 0.0)
    went = [taken(waiting, 0.0).entry.rank for _ in range(9)]  # type: ignore[union-attr]
    assert went.count(CRITICAL) == 8


# --- ageing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waited", "counts_as"), [(0.0, BULK), (0.49, BULK), (0.5, NORMAL), (1.0, HIGH), (1.5, CRITICAL), (60.0, CRITICAL)]
)
def test_half_a_second_of_waiting_is_worth_a_class(waited: float, counts_as: int):
    assert age(BULK, waited) == counts_as
    assert age(CRITICAL, waited) == CRITICAL


def test_bulk_that_has_waited_a_second_and_a_half_is_given_as_much_as_critical():
    waiting = Arranged()
    crowd = filled(waiting, [BULK] * 40)
    for _ in range(40):
        waiting.add(crowd.one(CRITICAL), 3 * AGE)
    went = [taken(waiting, 3 * AGE).entry.rank for _ in range(20)]  # type: ignore[union-attr]
    assert went.count(BULK) == 10


@settings(deadline=None)
@given(st.sampled_from([HIGH, NORMAL, BULK]), st.integers(1, 20))
def test_who_has_aged_to_the_top_waits_for_at_most_a_round_of_all_classes(rank: int, others: int):
    waiting = Arranged()
    crowd = filled(waiting, [rank])
    old = next(iter(waiting))
    now = AGE * rank
    for _ in range(others):
        for other in range(4):
            waiting.add(crowd.one(other), now)
    went = [taken(waiting, now) for _ in range(4)]
    assert old in went


# --- order ------------------------------------------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("come"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("hold"), st.integers(0, 3), st.integers(0, 2), st.sampled_from([0.1, 0.4, 2.0])),
        st.tuples(st.just("go")),
        st.tuples(st.just("go")),
        st.tuples(st.just("return")),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("pass"), st.sampled_from([0.05, 0.3, 0.6])),
        st.tuples(st.just("expire")),
    ),
    max_size=60,
)


class Queueing:
    """A queue under a script, beside a list of what should be in it."""

    def __init__(self, waiting: FirstCome) -> None:
        self.waiting = waiting
        self.crowd = Crowd()
        self.now = 0.0
        self.inside: list[Exchange] = []
        self.until: dict[Exchange, float] = {}
        self.gone: list[Exchange] = []
        self.out: list[Exchange] = []  # in the order in which they were given to a link

    def come(self, rank: int, session: int) -> None:
        exchange = self.crowd.one(rank, session, self.now)
        self.inside.append(exchange)
        self.until[exchange] = max(
            (self.until[each] for each in self.inside if each.lane is exchange.lane and each in self.until), default=0
        )
        self.waiting.add(exchange, self.now)

    def hold(self, rank: int, session: int, delay: float) -> None:
        if not isinstance(self.waiting, Arranged):
            return
        exchange = self.crowd.one(rank, session, self.now)
        self.inside.append(exchange)
        self.until[exchange] = self.now + delay
        self.waiting.hold(exchange, self.now + delay, self.now)

    def go(self) -> None:
        exchange = taken(self.waiting, self.now)
        if exchange is None:
            return
        assert exchange in self.inside and exchange not in self.out
        assert self.until.pop(exchange, 0) <= self.now
        self.inside.remove(exchange)
        earlier = [each for each in self.inside if each.asker is exchange.asker and each.entry is exchange.entry]
        assert all(each.key > exchange.key for each in earlier), "overtaken within its session and class"  # type: ignore[operator]
        self.out.append(exchange)

    def leave(self, which: int) -> None:
        if self.inside:
            exchange = self.inside.pop(which % len(self.inside))
            self.waiting.discard(exchange)
            self.gone.append(exchange)

    def expire(self) -> None:
        for exchange in self.waiting.overdue(1.0, self.now):
            self.waiting.discard(exchange)
            self.inside.remove(exchange)
            self.gone.append(exchange)

    def play(self, script: list[Any]) -> None:
        for step in script:
            if step[0] == "pass":
                self.now += step[1]
            elif step[0] == "return":
                if self.out:
                    exchange = self.out.pop()
                    later = [each for each in self.inside if each.asker is exchange.asker and each.entry is exchange.entry]
                    if all(each.key > exchange.key for each in later):  # type: ignore[operator]
                        self.inside.insert(0, exchange)
                        self.waiting.put_back(exchange, self.now)
            else:
                getattr(self, step[0])(*step[1:])
            self.check()

    def check(self) -> None:
        waiting = self.waiting
        assert set(waiting) == set(self.inside) and len(waiting) == len(self.inside)
        assert waiting.ready + waiting.held == len(waiting) and sum(waiting.by_class()) == waiting.ready
        assert {each for each, _ in waiting.in_order()} == set(self.inside)
        due = waiting.next_deadline(1.0)
        assert (due is None) == (not self.inside)
        if due is not None and due > self.now:
            assert not waiting.overdue(1.0, self.now), "nobody would have been told in time"


@settings(deadline=None)
@given(steps, st.booleans())
@example([("hold", 0, 0, 0.1), ("leave", 0), ("come", 3, 0), ("pass", 0.3), ("go",)], True)
@example([("hold", 0, 0, 0.4), ("come", 3, 0), ("come", 2, 1), ("go",), ("pass", 0.6), ("go",), ("go",)], True)
def test_nobody_is_lost_doubled_or_overtaken_within_session_and_class(script: list[Any], arranged: bool):
    queueing = Queueing(Arranged() if arranged else FirstCome())
    queueing.play(script)
    queueing.now += 100.0
    while queueing.waiting:
        queueing.go()
    ended = [*queueing.out, *queueing.gone]
    assert len(ended) == len(set(ended)) == queueing.crowd.made and not queueing.inside


def test_who_is_held_back_holds_back_its_own_session_and_nobody_else():
    waiting, crowd = Arranged(), Crowd()
    held, behind, other = crowd.one(session=0), crowd.one(session=0), crowd.one(session=1)
    waiting.hold(held, 2.0, 0.0)
    assert waiting.stops(behind) and not waiting.stops(other)
    waiting.add(behind, 0.0)
    waiting.add(other, 0.0)
    assert (waiting.ready, waiting.held) == (1, 2)
    assert taken(waiting, 1.9) is other and taken(waiting, 1.9) is None
    assert waiting.next_deadline(1.0) == 2.0
    assert [taken(waiting, 2.0), taken(waiting, 2.0)] == [held, behind]


def test_a_queue_is_arranged_and_first_come_again_without_losing_anybody():
    switch = Switch()
    service = service_of(switch, "transfer", small())
    crowd = Crowd()
    exchanges = [crowd.one(rank) for rank in (BULK, CRITICAL, BULK)]
    for exchange in exchanges:
        service.waiting.add(exchange, 1.0)
    service.arrange(True, 2.0)
    assert service.waiting.by_class() == [1, 0, 0, 2]
    assert taken(service.waiting, 2.0) is exchanges[1]
    service.arrange(False, 2.0)
    assert type(service.waiting) is FirstCome and list(service.waiting.values()) == [1.0, 1.0]
    assert [taken(service.waiting, 2.0), taken(service.waiting, 2.0)] == [exchanges[0], exchanges[2]]


# --- shedding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rank", "full_at"), [(CRITICAL, None), (HIGH, 900), (NORMAL, 847), (BULK, 501)], ids=["critical", "high", "normal", "bulk"]
)
def test_the_least_urgent_are_refused_first_as_the_queue_fills(rank: int, full_at: int | None):
    shed = [waiting for waiting in range(1001) if sheds(rank, waiting, 1000)]
    assert shed == (list(range(full_at, 1001)) if full_at is not None else [])


@settings(deadline=None)
@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_whoever_is_shed_everybody_less_urgent_is_shed_too(most: int, waiting: int):
    said = [sheds(rank, waiting, most) for rank in range(len(CLASSES))]
    assert said == sorted(said)
    assert not any(said) or 2 * waiting > most
