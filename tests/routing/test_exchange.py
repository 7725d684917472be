"""Registers, their numbers and timers, and the gates."""

from itertools import pairwise
from typing import Any

import pytest
from conversation import Talk, ask, one_service, small
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing.exchange import Exchange, Gate, Register


def exchange(at: float = 0.0) -> Exchange:
    """One that some session has asked at this time."""
    talk: Talk = one_service(small(), timeout=1000.0)
    talk.session().sends(ask(1), at=at)
    return next(iter(talk.service().register.pending.values()))


def register(**more: Any) -> Register:
    return Register(10.0, 100.0, more.pop("cap", 1_000_000), "somebody", renumbers=True, **more)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_numbers_have_their_width_and_do_not_repeat_before_they_wrap(width: int):
    numbers = register(carrier_width=width)
    first = [numbers.number() for _ in range(10**width)]
    assert first == [b"%0*d" % (width, number) for number in range(10**width)]
    assert numbers.number() == first[0]


def test_numbers_step_over_what_is_open_or_reserved_even_across_a_block():
    numbers = register(carrier_width=4)
    for number in range(998, 2001):
        (numbers.pending if number % 2 else numbers.tombstones)[b"%04d" % number] = exchange()
    seen = [numbers.number() for _ in range(1000)]
    assert seen[:999] == [b"%04d" % number for number in [*range(998), 2001]]


def test_a_register_leaves_one_number_free_so_that_the_search_for_one_ends():
    assert register(carrier_width=2).space == 99
    assert register(carrier_width=9, cap=500).space == 500
    assert register(cap=500).space == 500


def test_numbers_that_never_travel_have_no_end():
    numbers = register()
    assert len({numbers.number() for _ in range(5000)}) == 5000


@given(st.lists(st.floats(0, 50), min_size=1, max_size=20), st.floats(0, 80))
@settings(deadline=None)
def test_the_expired_are_the_oldest_and_the_deadline_is_when_the_first_expires(times: list[float], now: float):
    timed = register()
    for at in sorted(times):
        one = exchange()
        one.at = at
        timed.pending[object()] = one
    due = timed.next_deadline()
    assert due == min(times) + 10.0
    late = timed.expired(now, 100)
    assert [each.at for each in late] == [at for at in sorted(times) if at + 10.0 <= now]
    assert all(earlier.at <= later.at for earlier, later in pairwise(late))
    assert timed.expired(due, 1)  # a tick at the deadline has something to do


def test_tombstones_go_in_the_order_they_came_and_only_then():
    talk = one_service(small(), timeout=1.0, tombstone=10.0)
    bank, host = talk.session(), talk.link()
    for number in (1, 2, 3):
        bank.sends(ask(number), at=number)
        host.got()
        talk.tick(at=number + 1.0)
    held = talk.service().register
    assert held.next_deadline() == 12.0
    for now, left in [(11.9, 3), (12.0, 2), (13.9, 1), (14.0, 0)]:
        talk.tick(at=now)
        assert len(held.tombstones) == len(bank.peer.lanes[0].reserved) == left


@given(st.permutations(range(8)))
@settings(deadline=None)
def test_a_gate_lets_out_in_order_whatever_is_released_first(order: list[int]):
    gate, inside, out = Gate(), [exchange() for _ in range(8)], []
    for each in inside:
        gate.enter(each)
    for index in order:
        out += gate.release(inside[index])
        assert gate.release(inside[index]) == []
        assert len(gate) == 8 - len(out)
    assert out == inside and not gate._free


def test_a_gate_does_not_know_what_never_entered():
    gate = Gate()
    assert gate.release(exchange()) == [] and len(gate) == 0
