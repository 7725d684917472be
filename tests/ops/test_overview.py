"""The page's look at the router: small, the same for all who look at once, and whole."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from test_survey import large

from telegram_router.ops import answers
from telegram_router.ops.overview import FRESH, Overviews


async def test_rows_stand_in_the_order_of_the_names():
    subject, _ = large(sessions=40, backends=7)
    seen = await Overviews(subject).look(0, "viewer")
    names = seen.names
    assert names is not None
    assert [len(each) for each in (seen.listeners, seen.services, seen.backends, seen.routes)] == [1, 1, 7, 1]
    assert [len(each) for each in (names.listeners, names.services, names.backends, names.routes)] == [1, 1, 7, 1]
    assert names.services == [["core", "telegram", "firmbanking"]] and names.routes == [["all", "listener.branches", "service.core", []]]
    assert [backend[1] for backend in names.backends] == list(subject.switch.services["core"].pool.backends)
    assert "transfer.request" in names.specs["firmbanking"] and "transfer.response" not in names.specs["firmbanking"]
    assert sum(int(backend[6]) for backend in seen.backends) == seen.services[0][0] == 120  # in flight


async def test_names_are_sent_to_who_does_not_have_them_and_again_after_a_change():
    subject, _ = large(sessions=1, backends=3)
    overviews = Overviews(subject)
    first = await overviews.look(0, "operator")
    assert first.names is not None and (await overviews.look(first.shape, "operator")).names is None
    assert (await overviews.look(first.shape + 1, "operator")).names is not None
    subject.switch.add_link(subject.switch.services["core"], "core#9", "10.9.9.9:1")
    overviews.forget()
    changed = await overviews.look(first.shape, "operator")
    assert changed.shape != first.shape and changed.names is not None and len(changed.names.backends) == 4


async def test_who_looks_within_a_moment_gets_what_the_other_got_with_a_role_of_his_own(monkeypatch: pytest.MonkeyPatch):
    subject, _ = large(sessions=1, backends=1)
    now = [100.0]
    subject.hub.clock = lambda: now[0]
    overviews = Overviews(subject)
    one, other = await overviews.look(0, "operator"), await overviews.look(0, "viewer")
    assert (one.seq, one.role, other.seq, other.role) == (1, "operator", 1, "viewer")
    now[0] += FRESH
    assert (await overviews.look(0, "viewer")).seq == 2
    overviews.forget()
    assert (await overviews.look(0, "viewer")).seq == 3


async def test_latency_counts_are_sent_without_their_empty_ends():
    subject, _ = large(sessions=1, backends=1)
    service = subject.switch.services["core"]
    service.latency.counts[10], service.latency.counts[12] = 3, 4
    seen = await Overviews(subject).look(0, "viewer")
    assert seen.services[0][7] == [10, 3, 0, 4] and seen.services[0][2] == 7
    service.latency.counts[10] = service.latency.counts[12] = 0
    assert (await Overviews(subject).look(0, "viewer")).services[0][7] == [32]


async def test_a_look_at_200_backends_is_small_and_takes_less_than_five_milliseconds():
    subject, _ = large(sessions=200, backends=200)
    overviews = Overviews(subject)
    shape = (await overviews.look(0, "viewer")).shape
    took = []
    for _ in range(20):
        overviews.forget()
        began = time.process_time()
        seen = await overviews.look(shape, "viewer")
        text = msgspec.json.encode(seen)
        took.append(time.process_time() - began)
    assert min(took) < 0.005 and len(text) < 24 * 1024
    assert msgspec.convert(json.loads(text), answers.Overview) == seen
