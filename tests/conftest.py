"""What holds for the whole suite: how often properties are tried, one run of the demo, what is not done twice, who runs what."""

from __future__ import annotations

import functools
import gc
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from played_demo import DemoRun, play_once

if TYPE_CHECKING:
    from telegram_router.telegrams import Spec

ROOT = Path(__file__).parents[1]

# `HYPOTHESIS_PROFILE=thorough` looks ten times as long; a property whose claim needs a number of examples names it itself.
settings.register_profile("suite", max_examples=50)
settings.register_profile("thorough", max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Where bytecode may not be kept, each of a hundred processes that tests start would compile the whole package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One worker more than cores, unless the environment says how many: many tests wait for a socket or a process."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else len(os.sched_getaffinity(0)) + 1


def pytest_configure(config: pytest.Config) -> None:
    """A worker begins with tests that stand together, which share what their module made, and at the end takes from others."""
    if config.getoption("dist", "no") == "load":
        config.option.dist = "worksteal"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """Each worker imports the files in an order of its own: which assertions one has rewritten the others find in its bytecode."""
    report = yield
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and isinstance(collector, pytest.Directory):
        random.Random(worker).shuffle(report.result)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For all workers the tests stand in one order."""
    items.sort(key=lambda item: item.path)


def pytest_collection_finish() -> None:
    """Thousands of collected tests live to the end: a full collection that looks at them takes two seconds each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _looked_at_once() -> Iterator[None]:
    """What a module's tests leave behind is collected at its end, and what stays (mostly caches) is not looked at again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo, played once for all tests, in whatever process they run."""
    own = tmp_path_factory.getbasetemp()
    return play_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session", autouse=True)
def _specs_compiled_once() -> Iterator[None]:
    """Those of this repository: compiling one takes longer than most tests that need one. A spec never changes once it is made."""
    from telegram_router.plan import files

    load = files.load_spec
    once = functools.cache(load)

    def remembered(text: str, name: str) -> Spec:
        return (once if Path(name).is_relative_to(ROOT) else load)(text, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "load_spec", remembered)
        yield
