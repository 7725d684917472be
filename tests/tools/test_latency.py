"""The histogram of times against the sorted list of them."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.tools.latency import Latency

times = st.lists(st.one_of(st.integers(1_000, 10**7), st.integers(1_000, 3_600 * 10**9)), min_size=1, max_size=300)


def of(every: list[int]) -> Latency:
    made = Latency()
    for each in every:
        made.add(each)
    return made


@settings(max_examples=2 * settings.default.max_examples)
@given(times, st.sampled_from([1.0, 50.0, 90.0, 99.0]))
def test_a_percentile_is_at_most_one_percent_from_the_true_one(every: list[int], percent: float):
    found = of(every).percentile(percent)
    if len(every) * (100 - percent) < 100:
        assert found is None
        return
    true = sorted(every)[math.ceil(round(percent * len(every) / 100, 9)) - 1]
    assert found is not None and abs(found - true) <= true * 0.01


@given(times, times)
def test_two_together_are_what_one_of_all_would_be(one: list[int], other: list[int]):
    joined = of(one)
    joined.merge(of(other))
    assert joined.as_object() == of(one + other).as_object() and joined.hgrm() == of(one + other).hgrm()


def test_a_percentile_that_the_sample_cannot_support_is_not_told():
    assert of([5_000] * 999).percentile(99.9) is None
    assert of([5_000] * 1_000).percentile(99.9) == 5_000
    assert Latency().percentile(50) is None and Latency().as_object()["max_ms"] is None


def test_what_is_shorter_than_a_microsecond_or_longer_than_an_hour_counts_at_the_end():
    made = of([1, 4_000 * 10**9])
    assert next(took for took, _ in made.buckets()) < 1_010 and made.longest == 4_000 * 10**9


def test_the_text_form_ends_with_all_of_them():
    lines = of([1_000_000, 2_000_000, 4_000_000]).hgrm().splitlines()
    took, *rest = lines[4].split()
    assert abs(float(took) - 4.0) < 0.04 and rest == ["1.000000000000", "3", "inf"]
    assert "Total count    =            3" in lines[-2]


def test_it_counts_what_took_longer():
    assert of([1_000_000] * 5 + [900_000_000] * 3).above(800_000_000) == 3
