"""The collector's text, and the endpoint asked over real HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from telegram_router.config import Address
from telegram_router.errors import RouterError
from telegram_router.ops.endpoint import AT_ONCE, serve_metrics
from telegram_router.ops.metrics import METRICS, PREFIX, Collect, Family, Histogram, Kind, RouterCollector

LOCAL = Address("127.0.0.1", 0)


def exposed(*families: Family) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry()
    registry.register(RouterCollector(lambda: families))
    text = generate_latest(registry).decode()
    return {
        (sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_and_gauges_are_exposed_with_their_labels():
    shown = exposed(
        ("sessions_active", [(("branches",), 3)]),
        ("requests_total", [(("branches", "transfers", "transfer", "ok"), 7), (("branches", "transfers", "transfer", "timeout"), 1)]),
        ("slow_steps_total", [((), 2)]),
    )
    assert shown["sessions_active", (("listener", "branches"),)] == 3
    assert shown["requests_total", (("listener", "branches"), ("result", "ok"), ("route", "transfers"), ("service", "transfer"))] == 7
    assert shown["slow_steps_total", ()] == 2


def test_a_histogram_counts_what_is_below_each_power_of_two_of_microseconds():
    counts = [0] * 32
    for microseconds in (3, 63, 64, 900, 5_000_000, 2**30):
        counts[microseconds.bit_length()] += 1
    shown = exposed(("request_duration_seconds", [(("transfers", "transfer", "ok"), Histogram(counts, 1078.0))]))
    bounds = {labels: value for (name, labels), value in shown.items() if name == "request_duration_seconds_bucket"}
    at = {dict(labels)["le"]: value for labels, value in bounds.items()}
    assert at["6.4e-05"] == 2
    assert at["0.000128"] == 3
    assert at["0.001024"] == 4
    assert at["8.388608"] == 5
    assert at["67.108864"] == 5
    assert at["+Inf"] == 6
    labels = (("result_class", "ok"), ("route", "transfers"), ("service", "transfer"))
    assert shown["request_duration_seconds_count", labels] == 6
    assert shown["request_duration_seconds_sum", labels] == 1078.0


def test_a_histogram_with_few_buckets_is_exposed_too():
    assert exposed(("turn_seconds", [((), Histogram([1, 2], 0.5))]))["turn_seconds_bucket", (("le", "67.108864"),)] == 3


def test_names_that_nobody_told_are_described_and_empty():
    registry = CollectorRegistry()
    registry.register(RouterCollector(lambda: ()))
    text = generate_latest(registry).decode()
    for name, described in METRICS.items():
        assert f"# TYPE {PREFIX}{name} {described.kind.value}\n" in text
        assert f"# HELP {PREFIX}{name} {described.help}\n" in text


@pytest.mark.parametrize(
    "family",
    [
        ("sessions_open", [((), 1)]),
        ("sessions_active", [((), 1)]),
        ("sessions_active", [(("a", "b"), 1)]),
        ("sessions_active", [(("a",), Histogram([1], 1.0))]),
        ("turn_seconds", [((), 1)]),
    ],
    ids=["unknown name", "label missing", "label too many", "histogram as gauge", "gauge as histogram"],
)
def test_a_sample_that_is_not_in_the_table_is_a_bug(family: Family):
    with pytest.raises(RouterError) as caught:
        exposed(family)
    assert caught.value.code == "E-INT-01"


def test_the_table_follows_the_conventions_of_prometheus():
    for name, described in METRICS.items():
        assert name.endswith("_total") == (described.kind is Kind.COUNTER), name
        assert described.help.endswith("."), name
        assert not {"le", "quantile"} & set(described.labels), name


# --- the endpoint


@asynccontextmanager
async def endpoint(collect: Collect, on_bug: Callable[[BaseException], None] = lambda error: None) -> AsyncIterator[Address]:
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Address]) -> None:
            await serve_metrics(LOCAL, collect, on_bug, task_status=task_status)

        yield await nursery.start(run)
        nursery.cancel_scope.cancel()


async def got(address: Address, request: bytes) -> tuple[bytes, bytes]:
    """Status line and everything after it."""
    with trio.fail_after(5):
        async with await trio.open_tcp_stream(*address) as stream:
            await stream.send_all(request)
            answer = b"".join([chunk async for chunk in stream])
    status, _, rest = answer.partition(b"\r\n")
    return status, rest


GET = b"GET /metrics HTTP/1.1\r\nHost: router\r\n\r\n"


async def test_a_scrape_gets_the_counters_as_they_are_now(capfd: pytest.CaptureFixture[str]):
    count = 0

    def collect() -> list[Family]:
        return [("slow_steps_total", [((), count)]), ("sessions_active", [(("지점",), 1)])]

    async with endpoint(collect) as address:
        assert address.port != 0
        for count in (1, 2):
            status, rest = await got(address, GET)
            assert status == b"HTTP/1.1 200 "
            assert b"content-type: text/plain; version=" in rest.lower()
            assert b"telegram_router_slow_steps_total %d.0\n" % count in rest
            assert 'telegram_router_sessions_active{listener="지점"} 1.0\n'.encode() in rest
            assert b"process_resident_memory_bytes" in rest
    assert capfd.readouterr() == ("", "")


async def test_other_paths_and_methods_are_refused():
    async with endpoint(lambda: ()) as address:
        assert (await got(address, b"GET / HTTP/1.1\r\nHost: router\r\nConnection: close\r\n\r\n"))[0] == b"HTTP/1.1 404 "
        assert (await got(address, b"POST /metrics HTTP/1.1\r\nHost: router\r\nConnection: close\r\n\r\n"))[0] == b"HTTP/1.1 405 "


async def test_a_failing_scrape_is_answered_500_and_told_and_the_next_one_works(capfd: pytest.CaptureFixture[str]):
    bugs: list[BaseException] = []
    families: list[Family] = [("no_such_name", [])]
    async with endpoint(lambda: families, bugs.append) as address:
        status, _ = await got(address, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert status == b"HTTP/1.1 500 "
        assert [str(bug) for bug in bugs] == ["E-INT-01: metrics that are not in the table: no_such_name"]
        families.clear()
        assert (await got(address, GET))[0] == b"HTTP/1.1 200 "
    assert capfd.readouterr() == ("", "")


async def test_garbage_on_the_port_disturbs_nobody():
    bugs: list[BaseException] = []
    async with endpoint(lambda: (), bugs.append) as address:
        for garbage in (b"\x16\x03\x01" + bytes(64), b"0300HDR\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
            await got(address, garbage)
        assert (await got(address, GET))[0] == b"HTTP/1.1 200 "
    assert bugs == []


async def test_a_fault_of_the_server_is_told_and_the_server_starts_anew(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
):
    bugs: list[BaseException] = []
    served = trio.Event()

    async def broken(*_args: object) -> None:
        if bugs:
            served.set()
            await trio.sleep_forever()
        raise ValueError("broken")

    monkeypatch.setattr("telegram_router.ops.endpoint.serve", broken)
    async with endpoint(lambda: (), bugs.append):
        await served.wait()
    assert [type(bug) for bug in bugs] == [ValueError]


async def test_a_family_of_many_samples_is_one_text_with_one_head():
    counts = [1] * 32
    samples = [((f"route{number}", "service", "ok"), Histogram(counts, 1.0)) for number in range(3 * AT_ONCE + 1)]
    async with endpoint(lambda: [("request_duration_seconds", samples)]) as address:
        _, text = await got(address, GET)
    registry = CollectorRegistry()
    registry.register(RouterCollector(lambda: [("request_duration_seconds", samples)]))
    [ours] = [part for part in generate_latest(registry).split(b"# HELP ") if part.startswith(b"telegram_router_request_duration_seconds ")]
    assert text.partition(b"# HELP telegram_router_request_duration_seconds ")[2].startswith(
        ours.removeprefix(b"telegram_router_request_duration_seconds ")
    )


async def test_an_address_in_use_is_refused_with_a_clear_message():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = Address(*holder.getsockname())
        with pytest.raises(RouterError) as caught:
            await serve_metrics(taken, lambda: (), lambda error: None)
    assert caught.value.code == "E-CFG-09"
    assert str(taken) in str(caught.value)


async def test_a_scraper_that_never_reads_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("telegram_router.ops.endpoint.WRITE_TIMEOUT_MS", 300)
    samples = [((f"service{number}",), Histogram([number] * 32, 1.0)) for number in range(2_000)]
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        began = time.monotonic()
        async with endpoint(lambda: [("request_duration_seconds", samples)]) as address:
            lazy.connect(address)
            lazy.sendall(GET)
            await trio.sleep(0.2)
        assert time.monotonic() - began < 5
