"""What one simulated core-banking host costs a telegram, against a trio task that sends back what it gets, in the same run.

    python tests/benchmarks/bench_simulate.py [--connections 100] [--rate 2000] [--seconds 10]

Transfers at a fixed rate (open loop) over all connections: balances change, a result is remembered for each, answers take 20 ms at the
median. Printed: user and system time a telegram of both servers and their ratio, what was achieved, and the memory at the beginning and the end.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
ECHO = """
import trio
async def serve(stream):
    try:
        async for data in stream:
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass
async def main():
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        print("listens on 127.0.0.1:%d" % listeners[0].socket.getsockname()[1], flush=True)
trio.run(main)
"""


def transfers() -> tuple[bytes, bytes]:
    """A transfer to another bank, before and behind its number."""
    from telegram_router.testing import read, sample

    spec = read("firmbanking")
    telegram = sample(spec, "transfer.request", 1, 1)
    account = (ROOT / "simulators" / "accounts.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    telegram.body |= {"withdrawal_account": account, "deposit_account": "999000111222", "amount": 1}
    frame, place = spec.encode(telegram), spec.header_slice("message_number")
    return frame[: place.start], frame[place.stop :]


@contextmanager
def server(*command: str) -> Iterator[tuple[int, int]]:
    """A process that says where it listens: its id and port."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stdout is not None
        found = None
        while found is None:
            found = re.search(r"listens on 127\.0\.0\.1:(\d+)", process.stdout.readline())
        yield process.pid, int(found[1])
    finally:
        process.kill()
        process.communicate()


def cpu(pid: int) -> float:
    """User and system seconds so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def drive(pid: int, port: int, connections: int, rate: float, seconds: float) -> tuple[float, str]:
    """CPU-us a telegram, and everything in words."""
    front, rear = transfers()
    size = len(front) + 6 + len(rear)
    selector = selectors.DefaultSelector()
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for sock in sockets:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
    sent = got = 0
    before, at_first = cpu(pid), resident(pid)
    began = time.monotonic()
    while (since := time.monotonic() - began) < seconds:
        while sent < since * rate:
            sockets[sent % connections].send(b"%b%06d%b" % (front, sent % 1_000_000, rear))
            sent += 1
        for key, _ in selector.select(0.001):
            got += len(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]
    done = got // size
    used = cpu(pid) - before
    for sock in sockets:
        sock.close()
    cost = 1e6 * used / max(done, 1)
    return cost, f"{cost:7.1f} CPU-us a telegram  {done / seconds:8.1f}/s of {rate:.0f}/s  {at_first:.1f} -> {resident(pid):.1f} MiB"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--connections", type=int, default=100)
    asked.add_argument("--rate", type=float, default=2000)
    asked.add_argument("--seconds", type=float, default=10)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        host = (
            "-m",
            "telegram_router",
            "simulate",
            str(ROOT / "simulators/core-banking.toml"),
            "--listen",
            ":0",
            "--control",
            f"{folder}/c",
        )
        with server("-c", ECHO) as echo, server(*host) as simulated:
            for _ in range(3):
                bare, told = drive(*echo, given.connections, given.rate, given.seconds)
                print("bare echo ", told, flush=True)
                cost, told = drive(*simulated, given.connections, given.rate, given.seconds)
                print("simulated ", told, f" {cost / bare:.1f} times the echo", flush=True)


if __name__ == "__main__":
    main()
