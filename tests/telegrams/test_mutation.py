"""A few thousand mutated telegrams and values of all shipped specs; tests/benchmarks/mutate.py tries a million."""

from __future__ import annotations

import random

import pytest
from basket_family import SPEC as BASKET
from composed import SAMPLES
from construct import Struct
from mutations import MUTATIONS, Trials, mutated, same
from shipped import shipped

from telegram_router.telegrams import Code, Family, Framing, LengthField, Message, Reply, Text, compile_family
from telegram_router.telegrams.generate import sample

FAMILIES = sorted(path.stem for path in SAMPLES.parent.glob("*.py"))


@pytest.mark.parametrize("family", [*FAMILIES, "basket"])
def test_what_is_accepted_is_what_was_sent_and_all_else_is_refused_in_our_way(family: str):
    score = Trials([BASKET if family == "basket" else shipped(family)], seed=1).run(700)
    assert score.wrong == []
    assert set(score.tried) == {mutation.__name__ for mutation in MUTATIONS} | {"value"}
    assert 0 < score.accepted.total() < score.tried.total() == 700
    assert score.codes.total() >= 700 - score.accepted.total()


def one_text(kind):
    return compile_family(
        Family(
            name="one",
            header=Struct("type" / Code(2, log="clear"), "number" / Code(4, log="clear")),
            framing=Framing(LengthField()),
            key=("type",),
            correlation=("number",),
            encoding="cp949",
            messages=[Message("one", key=("AA",), body=Struct("memo" / kind), kind="oneway", reply=Reply.none())],
        )
    )


class Sloppy(Text):
    """A text that drops what its code page does not have."""

    def read(self, raw: bytes) -> str:
        return raw.decode("cp949", "ignore").rstrip()

    def source_of_read(self, place):
        return place.slow

    def is_canonical(self, raw: bytes, value: object, total: int) -> bool:
        return True


def test_the_trials_notice_a_value_that_was_cut_and_bytes_that_were_dropped():
    assert Trials([one_text(Text(20, log="clear"))], seed=1).run(400).wrong == []
    cut = Trials([one_text(Text(20, truncate="char", log="clear"))], seed=1).run(400).wrong
    assert cut and all("value: ('body', 'memo')" in each for each in cut)
    dropped = Trials([one_text(Sloppy(20, log="clear"))], seed=1).run(400).wrong
    assert any("other bytes are written than were read" in each for each in dropped)


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
