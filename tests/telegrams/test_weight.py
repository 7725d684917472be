"""What a compiled spec weighs in memory, with all that JSON needs of it."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from telegram_router.telegrams import load_spec
from telegram_router.telegrams.json_form import form_of

SPECS = Path(__file__).parents[2] / "specs"
MOST = 2 * 2**20  # bytes


@pytest.mark.parametrize("name", ["firmbanking", "customer"])
def test_the_largest_spec_and_a_record_with_tables_and_views_stay_below_two_mebibytes(name: str):
    """`bench_memory.py` weighs all of them."""
    file = SPECS / f"{name}.py"
    source = file.read_text("utf-8")
    load_spec(source, str(file))  # what is made once for all specs is not this one's
    gc.collect()
    tracemalloc.start()
    try:
        spec = load_spec(source, str(file))
        forms = [form_of(message) for message in spec.messages.values()]
        gc.collect()
        weight, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(forms) == len(spec.messages)
    assert MOST / 100 < weight < MOST
