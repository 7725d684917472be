"""What holds for the whole suite: how many examples a property is tried with, one run of the demo, what need not be compiled or collected again."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import settings
from played_demo import DemoRun, play_once

# `HYPOTHESIS_PROFILE=thorough` looks ten times as long; a property whose claim needs a number of examples names it itself.
settings.register_profile("suite", max_examples=50)
settings.register_profile("thorough", max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Where bytecode may not be kept, each of a hundred processes that tests start would compile the whole package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of collected tests live to the end: a full collection that looks at them takes two seconds each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo, played once for all tests, in whatever process they run."""
    own = tmp_path_factory.getbasetemp()
    return play_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
