"""How long a reload of 500 routes and 200 backends takes, and how long the longest pause is that a client feels meanwhile.

    python -m tests.benchmarks.bench_reload [--reloads 10]

A router, a host for all backends and a client that asks one telegram after the other, each a process of its own. Every reload
changes routes, timeouts and backends; the host counts the telegrams, so that a lost or doubled one would show.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()
ROUTES, SERVICES, BACKENDS = 500, 20, 10  # backends of each service


def config(folder: Path, listener: int, host: int, turn: int) -> None:
    """Every turn is different in a tenth of the routes, in half of the timeouts and in one backend of each service."""
    parts = [f'specs = "{ROOT / "specs"}"\n[listeners.companies]\naddress = "127.0.0.1:{listener}"\nspec = "firmbanking"\n']
    for service in range(SERVICES):
        addresses = [f'"127.0.{service + 1}.{backend + 1 + (turn % 2)}:{host}"' for backend in range(BACKENDS)]
        parts.append(
            f'[services.s{service}]\nspec = "firmbanking"\nbackends = [{", ".join(addresses)}]\ntimeout = "{5 + turn % 2 * (service % 2)}s"\n'
        )
    for route in range(ROUTES - 1):
        service = (route + (turn if route % 10 == 0 else 0)) % SERVICES
        parts.append(f'[[routes]]\nlistener = "companies"\nservice = "s{service}"\nmatch = {{ company_number = "C{route:05}" }}\n')
    parts.append('[[routes]]\nlistener = "companies"\nservice = "s0"\ndefault = true\n')
    file = folder / "next.toml"
    file.write_text("".join(parts))
    file.rename(folder / "router.toml")


def serve(sock: socket.socket, count: Synchronized[int]) -> None:
    """Answer every telegram of every connection."""

    def answer(line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = b""
        while data := line.recv(65_536):
            rest += data
            while len(rest) >= len(SAMPLE):
                frame, rest = rest[: len(SAMPLE)], rest[len(SAMPLE) :]
                count.value += 1
                line.sendall(frame[:28] + b"%04d" % (int(frame[28:32]) + 100) + frame[32:])

    while True:
        threading.Thread(target=answer, args=(sock.accept()[0],), daemon=True).start()


def ask(port: int, over: Synchronized[int], told: Synchronized[int], results: multiprocessing.SimpleQueue[list[float]]) -> None:
    """One telegram after the other; tells how long each round trip took."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times: list[float] = []
    while not over.value:
        number = len(times) % 999_999 + 1
        company = b"C%05d" % (number * 7 % ROUTES)
        frame = SAMPLE[:13] + company.ljust(12) + SAMPLE[25:36] + b"%06d" % number + SAMPLE[42:]
        began = time.perf_counter()
        sock.sendall(frame)
        got = b""
        while len(got) < len(frame):
            more = sock.recv(65_536)
            if not more:
                raise SystemExit("the router closed the session")
            got += more
        times.append(time.perf_counter() - began)
        told.value = len(times)
        if got[36:42] != frame[36:42]:
            raise SystemExit("an answer to another telegram")
    results.put(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=10)
    reloads: int = parser.parse_args().reloads
    count, over, told = (multiprocessing.Value("q", 0) for _ in range(3))
    host = socket.create_server(("", 0))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        config(folder, port, host.getsockname()[1], 0)
        hosting = multiprocessing.Process(target=serve, args=(host, count), daemon=True)
        hosting.start()
        with open(folder / "log", "wb") as log:
            router = subprocess.Popen(
                [sys.executable, "-m", "telegram_router", "run", "router.toml"], cwd=folder, stderr=log, env=os.environ
            )
        wait(lambda: lines(folder, "link_up") >= SERVICES * BACKENDS)
        results: multiprocessing.SimpleQueue[list[float]] = multiprocessing.SimpleQueue()
        asking = multiprocessing.Process(target=ask, args=(port, over, told, results), daemon=True)
        asking.start()
        time.sleep(0.3 * reloads)  # as long as the reloads will take: what the machine itself makes of it
        quiet = told.value
        for turn in range(1, reloads + 1):
            config(folder, port, host.getsockname()[1], turn)
            router.send_signal(signal.SIGHUP)
            wait(lambda done=turn: lines(folder, "reloaded") >= done)  # type: ignore[misc]
            time.sleep(0.2)
        over.value = 1
        times = results.get()
        router.send_signal(signal.SIGTERM)
        router.wait(10)
        report(folder, times, quiet, count.value)
        hosting.kill()


def report(folder: Path, times: list[float], quiet: int, reached: int) -> None:
    log = [json.loads(line) for line in (folder / "log").read_bytes().splitlines()]
    took = sorted(line["took_ms"] for line in log if line["event"] == "reloaded")
    steps = sorted(line["step_ms"] for line in log if line["event"] == "reloaded")
    slow = [(line["task"], line["took_ms"]) for line in log if line["event"] == "slow_step"]
    print(f"the hub's step in it: median {steps[len(steps) // 2]:.1f} ms, longest {steps[-1]:.1f} ms; slow steps: {slow}")
    before, during = sorted(times[200:quiet]), sorted(times[quiet:])
    print(f"reloads {len(took)}: median {took[len(took) // 2]:.0f} ms, longest {took[-1]:.0f} ms")
    for name, each in (("before", before), ("with reloads", during)):
        print(f"round trips {name}: {len(each)}, median {each[len(each) // 2] * 1e3:.2f} ms, longest {each[-1] * 1e3:.1f} ms")
    print("longest ten:", " ".join(f"{each * 1e3:.1f}" for each in during[-10:]))
    print(
        f"asked {len(times)}, reached a host {reached}, sessions closed by the router {sum(line['event'] == 'session_closed' for line in log) - 1}"
    )


def lines(folder: Path, event: str) -> int:
    return (folder / "log").read_bytes().count(f'"{event}"'.encode())


def wait(holds: object) -> None:
    end = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        if time.monotonic() > end:
            raise SystemExit("nothing happens; see the log")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
