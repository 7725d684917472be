"""Which link gets the next request, by each policy."""

from __future__ import annotations

from collections import Counter

import pytest
from conversation import firmbanking
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing import Kind, Peer, Service, ServicePolicy
from telegram_router.routing.backends import Backend
from telegram_router.routing.balance import BOUND, First, HashRing, LeastOutstanding, RoundRobin

KEY = slice(0, 8)


def links(*weights: float, limit: int = 1000) -> list[Peer]:
    """One link with each backend a, b, c ..."""
    group = Service("core", Kind.TELEGRAM, firmbanking(), ServicePolicy())
    made = []
    for index, weight in enumerate(weights):
        link = Peer(f"core#{index}", group, limit, [limit])
        link.backend, link.weight = Backend("abcdefghij"[index], weight), weight
        made.append(link)
    return made


def given_out(policy, some: list[Peer], frames: list[bytes]) -> list[str]:
    """To whom each of these requests went; nobody answers."""
    order = []
    for frame in frames:
        link = policy.choose(some, frame)
        if link is None:
            order.append("-")
            continue
        link.load += 1
        link.had += 1 / link.weight
        order.append(link.backend_name)
    return order


def test_least_outstanding_gives_each_its_share_by_weight():
    assert Counter(given_out(LeastOutstanding(), links(3, 1), [b""] * 40)) == {"a": 30, "b": 10}


def test_least_outstanding_takes_equals_in_turns():
    assert given_out(LeastOutstanding(), links(1, 1, 1), [b""] * 6) == list("abcabc")


def test_least_outstanding_gives_by_weight_though_nothing_is_ever_open():
    some, order = links(3, 1), Counter()
    for _ in range(40):
        order.update(given_out(LeastOutstanding(), some, [b""]))
        for link in some:
            link.load = 0
    assert order == {"a": 30, "b": 10}


def test_least_outstanding_prefers_who_has_answered():
    some = links(1, 1)
    given_out(LeastOutstanding(), some, [b""] * 4)
    some[1].load = 0
    assert given_out(LeastOutstanding(), some, [b""] * 2) == ["b", "b"]


def test_round_robin_is_smooth():
    assert "".join(given_out(RoundRobin(), links(5, 1, 1), [b""] * 7)) == "aabacaa"


def test_first_overflows_to_the_next():
    assert given_out(First(), links(1, 1, limit=2), [b""] * 5) == ["a", "a", "b", "b", "-"]


@pytest.mark.parametrize("policy", [LeastOutstanding(), RoundRobin(), First(), HashRing(KEY)], ids=lambda each: type(each).__name__)
def test_nobody_is_chosen_who_has_no_room(policy):
    some = links(1, 2, 3, limit=3)
    order = given_out(policy, some, [b"%08d" % number for number in range(12)])
    assert Counter(order) == {"a": 3, "b": 3, "c": 3, "-": 3}
    assert policy.choose([], b"12345678") is None


def settled(ring: HashRing, some: list[Peer], keys: list[bytes]) -> dict[bytes, str]:
    """Where each key goes while nothing is open."""
    return {key: chosen.backend_name for key in keys if (chosen := ring.choose(some, key))}


def test_a_key_stays_with_its_backend_and_only_the_keys_of_a_lost_one_move():
    keys = [b"%08d" % number for number in range(2000)]
    some = links(1, 1, 1, 1)
    before = settled(HashRing(KEY), some, keys)
    after = settled(HashRing(KEY), some[:3], keys)
    assert all(after[key] == where for key, where in before.items() if where != "d")
    assert settled(HashRing(KEY), links(1, 1, 1, 1), keys) == before  # the same in another process
    shares = Counter(before.values())
    assert all(300 < shares[name] < 750 for name in "abcd"), shares


def test_the_ring_gives_by_weight():
    shares = Counter(settled(HashRing(KEY), links(3, 1), [b"%08d" % number for number in range(4000)]).values())
    assert 2.2 < shares["a"] / shares["b"] < 4.2, shares


@given(st.lists(st.sampled_from([b"%08d" % n for n in range(3)]), max_size=60), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_one_hot_key_loads_no_backend_beyond_the_bound(keys: list[bytes], count: int):
    some = links(*[1.0] * count)
    ring = HashRing(KEY)
    for sent, key in enumerate(keys, 1):
        link = ring.choose(some, key)
        assert link is not None
        link.load += 1
        assert link.load <= BOUND * sent / count + 1
