"""What a running router counts: pauses, phases, reloads, and a number of series that no telegram changes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio
from conversation import firm, one_service, reply_to, small, transfer
from running_router import Host, answer_to, config, good_neighbour, keeps_silent, put, running
from running_router import transfer as a_transfer

from telegram_router.cardinality import MOST, series
from telegram_router.counts import RESULTS, families
from telegram_router.errors import ConfigError
from telegram_router.ops.metrics import METRICS, Histogram
from telegram_router.plan import read_plan
from telegram_router.routing.ended import RESULTS as ALL_RESULTS


def counted(router: Any) -> dict[str, dict[tuple[str, ...], Any]]:
    return {name: dict(samples) for name, samples in router.router.collect()}


def nonzero(samples: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    return {labels: value for labels, value in samples.items() if value}


async def test_the_number_of_series_does_not_change_under_random_business_codes():
    chance = random.Random(4)
    async with Host() as core, running(config(core=core)) as router, good_neighbour(router):
        before = {name: len(samples) for name, samples in counted(router).items()}
        client = await router.connect()
        for number in range(1, 120):
            codes = {"message_type": f"{chance.randrange(10_000):04}", "business_code": f"{chance.randrange(1000):03}"}
            await client.sends(put(a_transfer(number), **codes))
        assert await client.asks(a_transfer(500)) == answer_to(a_transfer(500))
        await router.until(lambda: counted(router)["telegrams_received_total"]["companies", "_OTHER"] > 50)
        after = counted(router)
    assert {name: len(samples) for name, samples in after.items()} == before
    assert not METRICS.keys() - before.keys() - {"store_up", "store_failures_total", "usage_missed_total"}


async def test_what_becomes_of_lines_is_counted_from_zero_and_by_which_of_both_they_belong_to():
    lines = 'conduct = { sign_on = true, fields = { company_number = "WE", bank_code = "088" } }'
    calling = """
        [services.calling]
        spec = "firmbanking"
        standby = true
        listen = "127.0.0.1:0"
        backends = [{ name = "seoul", from = ["127.0.0.1"] }]
    """
    async with Host() as core, running(config(core, service=lines, more=calling)) as router:
        first = counted(router)
        await router.linked("core")
        told = counted(router)
    assert set(first["sign_ons_total"]) == {("", "core", each) for each in ("accepted", "refused", "late")}
    assert nonzero(told["sign_ons_total"]) == {("", "core", "accepted"): 1}
    assert told["heartbeats_lost_total"] == {("", "core"): 0, ("", "calling"): 0}
    assert told["business_open"] == {("companies", ""): 1, ("", "core"): 1, ("", "calling"): 1}
    assert told["standby"] == {("core",): 0, ("calling",): 1}
    assert told["backends_refused_total"] == {("calling", code): 0 for code in ("E-BCK-12", "E-BCK-13", "E-TLS-07", "E-TXN-03")}


async def test_a_session_that_is_not_read_counts_as_back_pressure_until_it_is_read_again_or_gone():
    async with Host(keeps_silent) as core:
        text = config(core=core, listener="open_exchanges = 4", service='timeout = "900ms"')
        async with running(text) as router:
            fast = await router.connect()
            for number in range(1, 40):
                await fast.sends(a_transfer(number))
            await router.until(lambda: counted(router)["backpressure_seconds_total"]["companies",] > 0)
            first = counted(router)["backpressure_seconds_total"]["companies",]
            await trio.sleep(0.02)
            assert counted(router)["backpressure_seconds_total"]["companies",] > first
            peers = [peer for peer in router.switch.listeners["companies"].sessions if peer.paused]
            assert len(peers) == 1 and peers[0].open <= 4, "what it has sent beyond that waits in the kernel"
            await fast.hangs_up()
            await fast.goes()
            await router.until(lambda: not router.switch.listeners["companies"].paused)
            ended = counted(router)["backpressure_seconds_total"]["companies",]
            assert counted(router)["backpressure_seconds_total"]["companies",] == ended


async def test_reloads_are_counted_and_the_configuration_is_named_by_its_digest(tmp_path: Path):
    async with Host() as core, running(config(core=core), tmp_path) as router:
        first = counted(router)
        path = router.router.plan.path
        path.write_text(path.read_text() + "\n# another one\n")
        assert (await router.router.reload()).applied
        path.write_text("[")
        assert not (await router.router.reload()).sound
        second = counted(router)
    assert first["config_reloads_total"] == {("ok",): 0, ("refused",): 0}
    assert second["config_reloads_total"] == {("ok",): 1, ("refused",): 1}
    assert len(next(iter(first["config_info"]))[0]) == 12 and first["config_info"].keys() != second["config_info"].keys()
    assert 1.6e9 < first["config_last_success_timestamp_seconds"][()] <= second["config_last_success_timestamp_seconds"][()]


def shown(talk: Any) -> dict[str, dict[tuple[str, ...], Any]]:
    class NoHub:
        closed = handshake_failures = framing_errors = {}  # noqa: RUF012
        containments = slow_steps = 0
        turn_times, turn_seconds = (0,), 0.0

        def clock(self) -> float:
            return float(talk.clock)

    return {name: dict(samples) for name, samples in families(talk.switch, NoHub(), {}, {}, (), 0)}  # type: ignore[arg-type]


def test_requests_are_counted_by_route_and_result_and_unknown_ones_by_route():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    host.got()
    host.sends(reply_to(transfer(1)), at=1)
    bank.sends(transfer(2), at=1)
    host.got()
    talk.tick(at=40)
    told = shown(talk)
    of_bank = {key[1:]: value for key, value in nonzero(told["requests_total"]).items() if key[0] == "branches"}
    assert of_bank == {("transfer", "transfer", "ok"): 1, ("transfer", "transfer", "timeout"): 1}
    assert nonzero(told["delivery_unknown_total"]) == {("branches", "transfer", "transfer"): 1}
    took = {key[2]: (sum(each.counts), each.seconds) for key, each in told["request_duration_seconds"].items() if key[0] == "transfer"}
    assert took == {"ok": (1, 1.0), "error": (1, 39.0)}
    assert told["requests_total"]["branches", "transfer", "transfer", "link_lost"] == 0


def test_the_phases_of_a_request_add_up_to_its_duration():
    talk = firm(in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    for at in (3.0, 8.0):
        [frame] = host.got()
        host.sends(reply_to(frame), at=at)
    phases = shown(talk)["request_phase_duration_seconds"]
    queue, answer = phases["transfer", "queue"], phases["transfer", "answer"]
    assert isinstance(queue, Histogram) and isinstance(answer, Histogram)
    assert (queue.seconds, answer.seconds) == (3.0, 8.0)
    assert queue.counts[0] == 1 and queue.counts[int(3e6).bit_length()] == 1
    assert answer.counts[int(3e6).bit_length()] == 1 and answer.counts[int(5e6).bit_length()] == 1 and sum(answer.counts) == 2


def test_an_answer_that_says_trouble_is_no_ok():
    talk = one_service(small(), failure_when={})
    assert nonzero(shown(talk)["requests_total"]) == {}
    route = talk.listener().routes.routes[0]
    route.score.ok, route.score.troubled = 5, 2
    assert nonzero(shown(talk)["requests_total"]) == {
        ("branches", "all", "transfer", "ok"): 3,
        ("branches", "all", "transfer", "backend_error"): 2,
    }


def test_results_that_begin_at_zero_are_of_the_closed_set():
    assert set(RESULTS) <= set(ALL_RESULTS)


def test_a_configuration_with_too_many_series_is_refused(tmp_path: Path):
    names = [f"b{number}" for number in range(30)]
    text = "".join(f'[listeners.{name}]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n' for name in names)
    text += '[services.s]\nbackends = ["127.0.0.1:9"]\n'
    for number in range(30):
        text += f'[[routes]]\nlistener = {names}\nservice = "s"\nmatch = {{ message_type = "2000", business_code = "{number:03}" }}\n'
    path = tmp_path / "r.toml"
    path.write_text('[metrics]\naddress = "127.0.0.1:0"\n' + text)
    with pytest.raises(ConfigError) as caught:
        read_plan(path)
    told = [each for each in caught.value.problems if each.key == "metrics"]
    assert [(each.code, each.line) for each in told] == [("E-CFG-07", 1)] and "requests_total would have 10800 series" in told[0].what
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_plan(path)
    assert not [each for each in caught.value.problems if each.key == "metrics"]


async def test_what_the_check_counts_is_what_is_shown():
    async with Host() as core, Host() as steady, running(config(core=core, steady=steady)) as router:
        told = counted(router)
        foretold = series(router.router.plan.config, router.router.plan.specs)
    for name in ("requests_total", "request_duration_seconds", "telegrams_received_total", "backend_state"):
        assert len(told[name]) == foretold[name] < MOST, name
