"""A few thousand mutated telegrams and values of all shipped specs; tests/benchmarks/mutate.py tries a million."""

from __future__ import annotations

import random

import pytest
from basket_family import SPEC as BASKET
from composed import SAMPLES
from mutations import MUTATIONS, Trials, mutated, same
from shipped import shipped

from telegram_router.telegrams.generate import sample

FAMILIES = sorted(path.stem for path in SAMPLES.parent.glob("*.py"))


@pytest.mark.parametrize("family", [*FAMILIES, "basket"])
def test_what_is_accepted_is_what_was_sent_and_all_else_is_refused_in_our_way(family: str):
    score = Trials([BASKET if family == "basket" else shipped(family)], seed=1).run(700)
    assert score.wrong == []
    assert set(score.tried) == {mutation.__name__ for mutation in MUTATIONS} | {"value"}
    assert 0 < score.accepted.total() < score.tried.total() == 700
    assert score.codes.total() >= 700 - score.accepted.total()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_each_mutation_changes_something(mutation):
    spec = shipped("firmbanking")
    message = spec.messages["transfer.request"]
    raw = spec.framing.telegram(spec.encode(sample(spec, message.name)))
    chance = random.Random(3)
    changed = 0
    for _ in range(20):
        made = bytearray(raw)
        mutation(chance, made, message)
        changed += bytes(made) != raw
    assert changed > 5
    assert mutated(chance, raw, message)[0] in {each.__name__ for each in MUTATIONS}


@pytest.mark.parametrize(
    ("given", "read", "is_same"),
    [
        ("1234.50", "1234.5", True),
        ("가 ", "가", True),
        ("가나", "가", False),
        ("12345", "2345", False),
        ("00012", "12", True),
        (None, "", True),
        ({"a": ["1", "2"]}, {"a": ["1", "2"], "b": None}, True),
        ({"a": ["1", "2"]}, {"a": ["1"]}, False),
        ("A", None, False),
    ],
)
def test_a_loss_would_be_noticed(given: object, read: object, is_same: bool):
    assert same(given, read) is is_same
