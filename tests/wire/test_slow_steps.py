"""Slow steps: every one is counted, one line a second names the worst."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from hub_kit import SteppedClock, World

from telegram_router.wire.slow_steps import SlowSteps


def step(watch: SlowSteps, clock: SteppedClock, name: str, seconds: float) -> None:
    task: Any = SimpleNamespace(name=name)
    watch.before_task_step(task)
    clock.cost(seconds)
    watch.after_task_step(task)


def test_only_steps_of_over_twenty_milliseconds_count(world: World) -> None:
    clock = SteppedClock()
    watch = SlowSteps(world.hub, world.log, clock)
    step(watch, clock, "hub", 0.019)
    assert (world.hub.slow_steps, world.log.lines) == (0, [])
    step(watch, clock, "report", 0.021)
    assert world.hub.slow_steps == 1
    assert world.log.lines == [("slow_step", {"task": "report", "took_ms": 21.0, "steps": 1})]


def test_one_line_a_second_names_the_worst_step_and_how_many_there_were(world: World) -> None:
    clock = SteppedClock()
    watch = SlowSteps(world.hub, world.log, clock)
    for name, seconds in [("a", 0.03), ("b", 0.04), ("c", 0.2), ("d", 0.05)]:
        step(watch, clock, name, seconds)
    assert len(world.log.lines) == 1
    clock.cost(1.0)
    step(watch, clock, "e", 0.03)
    assert world.hub.slow_steps == 5
    assert world.log.lines[1] == ("slow_step", {"task": "c", "took_ms": 200.0, "steps": 4})


async def test_a_task_that_computes_is_named(world: World) -> None:
    clock = SteppedClock()
    watch = SlowSteps(world.hub, world.log, clock)

    async def reckon() -> None:
        await trio.lowlevel.checkpoint()
        clock.cost(0.1)
        await trio.lowlevel.checkpoint()

    trio.lowlevel.add_instrument(watch)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reckon, name="the daily report")
    finally:
        trio.lowlevel.remove_instrument(watch)
    [(event, fields)] = world.log.lines
    assert event == "slow_step"
    assert fields["task"] == "the daily report"
    assert fields["took_ms"] == pytest.approx(100)
