"""The stream of chance: the published numbers, and the same for everybody."""

from __future__ import annotations

import itertools
from collections import Counter

from telegram_router.telegrams.chance import Chance


def test_the_generator_is_splitmix64_as_published():
    """Its first outputs from 1234567, as the author's C program and others print them."""
    stream = Chance()
    stream._state = 1234567
    assert [stream.word() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_seed_is_made_of_its_parts_and_not_of_their_text_alone():
    seeds = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("abc", 0)]
    assert len({Chance(*seed).word() for seed in seeds}) == len(seeds)
    assert Chance("가", 7).word() == Chance("가", "7").word()


def test_numbers_stay_within_their_bounds_and_reach_both():
    stream = Chance("bounds")
    assert {stream.between(-2, 2) for _ in range(200)} == {-2, -1, 0, 1, 2}
    assert all(0 <= stream.below(10**40) < 10**40 for _ in range(50))
    assert max(stream.below(10**40) for _ in range(50)) > 10**38


def test_no_number_is_noticeably_likelier_than_another():
    stream = Chance("even")
    drawn = Counter(stream.below(7) for _ in range(7000))
    assert all(850 < count < 1150 for count in drawn.values())
    pairs = Counter(itertools.pairwise(stream.one_of("ab") for _ in range(4000)))
    assert all(850 < count < 1150 for count in pairs.values())
