"""Pacing in real time: a fixed rate for ten seconds, ten times the recorded pace, and a target that stalls for a second.

python tests/benchmarks/bench_replay_pacing.py
"""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import trio

sys.path[:0] = [str(Path(__file__).parents[1] / part) for part in ("tools/replay", "benchmarks")]

from replay_kit import SPEC, Sheet, sample, transfers  # noqa: E402

from telegram_router.cli.replay_run import calm_the_collector  # noqa: E402
from telegram_router.storage.capture_records import zone_of  # noqa: E402
from telegram_router.tools.replay.comparing import Comparer  # noqa: E402
from telegram_router.tools.replay.dialling import dialler  # noqa: E402
from telegram_router.tools.replay.exchanges import Conduct, Side  # noqa: E402
from telegram_router.tools.replay.masks import Masks  # noqa: E402
from telegram_router.tools.replay.pacing import pace_of  # noqa: E402
from telegram_router.tools.replay.remembering import Sequences  # noqa: E402
from telegram_router.tools.replay.rewriting import Rewriter  # noqa: E402
from telegram_router.tools.replay.running import Replay  # noqa: E402
from telegram_router.tools.replay.steps import Selection, Steps  # noqa: E402

SIZE = len(sample("transfer.request"))


def host(stall: Callable[[int], float]) -> tuple[int, list[float]]:
    """A host in a process of its own; the pipe tells when each request came. Returns its port and, in the end, those times."""
    listening = socket.create_server(("127.0.0.1", 0))
    reading, writing = os.pipe()
    if os.fork() == 0:
        at, answer = [], sample("transfer.response")
        session, _ = listening.accept()
        session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        held = b""
        while data := session.recv(1 << 18):
            held += data
            while len(held) >= SIZE:
                frame, held = held[:SIZE], held[SIZE:]
                at.append(time.monotonic())
                time.sleep(stall(len(at)))
                session.sendall(answer[:36] + frame[36:56] + answer[56:])
        with os.fdopen(writing, "w") as told:
            told.write("\n".join(map(str, at)))
        os._exit(0)
    os.close(writing)
    times: list[float] = []

    def collect() -> None:
        with os.fdopen(reading) as told:
            times.extend(map(float, told.read().split()))

    collecting[0] = threading.Thread(target=collect)
    collecting[0].start()
    return listening.getsockname()[1], times


collecting: list[threading.Thread] = [threading.Thread()]


def replayed(
    sheet: Sheet, pace: str, *, window: int | None = None, stall: Callable[[int], float] = lambda nth: 0.0
) -> tuple[Replay, list[float]]:
    """A replay on real sockets, and when its requests arrived."""
    port, times = host(stall)
    reader = sheet.reader()
    side = Side("target", dialler("127.0.0.1", port), Rewriter(SPEC, {}, Sequences(), zone_of("+09:00")))
    steps = Steps(reader, reader.head, SPEC, Selection())
    replay = Replay(SPEC, steps, pace_of(pace, 7), [side], Comparer(SPEC, Masks()), Conduct(window=window), now=time.time_ns)
    calm_the_collector()
    trio.run(replay.run)
    collecting[0].join()
    return replay, times


def told(name: str, replay: Replay, times: list[float], *more: str) -> None:
    tally = replay.tally
    lag = tally.lag.as_object()
    spent = times[-1] - times[0]
    shown = f"{name:<28} {tally.sent:,} sent in {spent:.3f} s  lag p50 {lag['p50_ms']} p99 {lag['p99_ms']} max {lag['max_ms']} ms"
    print(shown, *more, f"{ {k: v for k, v in tally.buckets.items() if v} } sums {tally.sums_up}", sep="  ")


def stalled(nth: int) -> float:
    return 1.0 if nth == 4_000 else 0.0


def main() -> None:
    for rate in (1_000, 2_000):
        replay, times = replayed(transfers(10 * rate, every=0.001), f"{rate}/s")
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        told(f"fixed {rate:,}/s", replay, times, f"gaps median {statistics.median(gaps) * 1e3:.3f} ms")
    replay, times = replayed(transfers(2_001, every=0.05), "x10")  # recorded over 100 s
    told("x10 of 100 s", replay, times, f"{(times[-1] - times[0]) / 10 - 1:+.3%} of what it should take")
    replay, times = replayed(transfers(2_000), "max", window=1, stall=lambda nth: 0.001)
    told("max, window 1", replay, times, f"service p50 {replay.tally.service.as_object()['p50_ms']} ms")
    replay, times = replayed(transfers(10_000), "1000/s", window=1, stall=stalled)
    latency, service = replay.tally.latency, replay.tally.service
    affected = latency.above(50_000_000)
    told("1,000/s, a stall of 1 s", replay, times, f"p99 from planned {latency.as_object()['p99_ms']} ms, from sent {service.as_object()['p99_ms']} ms, above 50 ms {affected:,} and {service.above(50_000_000):,}")  # fmt: skip


if __name__ == "__main__":
    main()
