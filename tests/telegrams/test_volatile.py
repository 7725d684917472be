"""Fields of the moment: what a spec may say of them, and what the lint refuses."""

from __future__ import annotations

import pytest

from telegram_router.errors import SpecError
from telegram_router.plan import SHIPPED, find_spec, read_spec
from telegram_router.telegrams import Spec, load_spec
from telegram_router.telegrams.volatile import volatile_fields

TEXT = """
from construct import Struct
from telegram_router.telegrams import *

spec = Family(
    name="small",
    framing=Framing(FixedSize(30)),
    header=Struct("kind" / Code(2, required=True), "number" / Code(6, digits=True), "day" / Date(8), "rest" / Text(14)),
    key=("kind",),
    correlation=("number",),
    messages=[Message("a", key=("01",), reply=Reply.none())],
    volatile=VOLATILE,
)
"""


def made(volatile: object) -> Spec:
    return load_spec(TEXT.replace("VOLATILE", repr(volatile)), "small.py")


@pytest.mark.parametrize(
    ("volatile", "code"),
    [
        ({"nothing": "clock"}, "E-CFG-06"),
        ({"number": "sometimes"}, "E-CFG-20"),
        ({"number": "ref_of"}, "E-CFG-20"),
        ({"number": "ref_of day"}, "E-CFG-24"),
        ({"number": "clock.date"}, "E-CFG-24"),
        ({"rest": "sequence"}, "E-CFG-24"),
        ({"kind": "sequence"}, "E-CFG-24"),
        ("number", "E-CFG-20"),
    ],
)
def test_what_cannot_be_volatile_is_refused_when_the_spec_is_loaded(volatile: object, code: str):
    with pytest.raises(SpecError) as refused:
        made(volatile)
    assert code in {problem.code for problem in refused.value.problems}


def test_volatile_fields_are_found_by_name_and_by_path():
    spec = made({"header.day": "clock.date", "number": "sequence"})
    assert {planned.path: told.role for planned, told in volatile_fields(spec.messages["a"])} == {
        "header.number": "sequence",
        "header.day": "clock",
    }


@pytest.mark.parametrize("name", ["firmbanking", "ksnet", "hmfb"])
def test_the_shipped_specs_say_what_counts_their_telegrams_and_what_refers_to_that(name: str):
    path = find_spec(name, SHIPPED)
    assert path is not None
    spec = read_spec(path)
    roles = [told.role for message in spec.messages.values() for _, told in volatile_fields(message)]
    assert {"clock", "sequence"} <= set(roles) and ("ref_of" in roles) == (name != "hmfb")
