"""What the capturing proxy adds to a round trip: direct, through a bare relay and through the proxy, by turns in one run.

    python tests/benchmarks/bench_proxy.py [--rate 1000] [--connections 10] [--seconds 3] [--rounds 5] [--masked]

An open loop: requests leave at their planned times, whatever became of those before. Latency counts from the moment of sending, since
it is the way that is measured, not the client. The relays are as short as a relay in Python can be, and neither cut nor capture.
CPU is of the process that relays, and of the one beside it that writes.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "specs" / "samples" / "firmbanking"
REQUEST = (SAMPLES / "transfer.request.telegram").read_bytes()
TICK = os.sysconf("SC_CLK_TCK")


def numbered(number: int) -> bytes:
    return REQUEST[:36] + b"%06d" % (number % 1_000_000) + REQUEST[42:]


# --- the host, and relays to compare with -----------------------------------------------------------------------------


def answers(door: socket.socket) -> None:
    """Answer every transfer at once: the same, its message type one step on."""
    poll, lines = select.epoll(), {}
    poll.register(door, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == door.fileno():
                line, _ = door.accept()
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                lines[line.fileno()] = [line, b""]
                poll.register(line, select.EPOLLIN)
                continue
            line, rest = lines[fd]
            data = line.recv(65_536)
            if not data:
                poll.unregister(fd)
                lines.pop(fd)[0].close()
                continue
            rest += data
            whole = len(rest) // len(REQUEST)
            asked = (rest[index * len(REQUEST) : (index + 1) * len(REQUEST)] for index in range(whole))
            lines[fd][1] = rest[whole * len(REQUEST) :]
            line.sendall(b"".join(frame[:28] + b"%04d" % (int(frame[28:32]) + 100) + frame[32:] for frame in asked))


def trio_relay(door: socket.socket, to: int) -> None:
    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        async for data in source:
            await sink.send_all(data)
        await sink.send_eof()

    async def serve(client: trio.SocketStream) -> None:
        async with client, await trio.open_tcp_stream("127.0.0.1", to) as host, trio.open_nursery() as nursery:
            nursery.start_soon(pump, client, host)
            nursery.start_soon(pump, host, client)

    listener = trio.SocketListener(trio.socket.from_stdlib_socket(door))
    trio.run(trio.serve_listeners, serve, [listener])


class _Relay(asyncio.Protocol):
    """asyncio at its shortest: what comes is written to the other side in the same callback."""

    def __init__(self, to: int | None = None) -> None:
        self.to = to
        self.early: list[bytes] = []
        self.other: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        if self.to is not None:
            asyncio.get_running_loop().create_task(self.dial(self.to))

    async def dial(self, to: int) -> None:
        _, behind = await asyncio.get_running_loop().create_connection(_Relay, "127.0.0.1", to)
        behind.other, self.other = self.transport, behind.transport
        for data in self.early:
            self.other.write(data)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early.append(data)
        else:
            self.other.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None:
            self.other.close()


def asyncio_relay(door: socket.socket, to: int) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Relay(to), sock=door)
        await server.serve_forever()

    asyncio.run(serve())


def started(run: Callable[..., None], *more: int) -> tuple[int, int]:
    """A process of its own behind a new port. Gives port and process."""
    door = socket.create_server(("127.0.0.1", 0), backlog=256)
    door.setblocking(False)
    process = multiprocessing.get_context("fork").Process(target=run, args=(door, *more), daemon=True)
    process.start()
    assert process.pid is not None
    port = door.getsockname()[1]
    door.close()
    return port, process.pid


# --- the proxy ----------------------------------------------------------------------------------------------------------


def proxy(to: int, folder: Path, *more: str, masked: bool = False) -> tuple[int, subprocess.Popen[str]]:
    command = [sys.executable, "-m", "telegram_router", "capture", "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{to}"]
    command += ["--spec", "firmbanking", "-w", str(folder / "lines.tgcap.jsonl"), *more]
    if masked:
        (folder / "mask.key").write_bytes(b"k" * 32)
        command += ["--mask-key-file", str(folder / "mask.key")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    said = process.stderr.readline()
    return int(said.split(" -> ")[0].rpartition(":")[2]), process


def cpu(pid: int) -> float:
    """Seconds of user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- the client ---------------------------------------------------------------------------------------------------------


def asked(port: int, rate: float, connections: int, seconds: float) -> list[float]:
    """Round trips in milliseconds, in the order of the answers."""
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    poll, by_fd, rest = select.epoll(), {}, {}
    for line in lines:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setblocking(False)
        poll.register(line, select.EPOLLIN)
        by_fd[line.fileno()], rest[line.fileno()] = line, b""
    total, sent, took = int(rate * seconds), 0, []
    left: dict[int, float] = {}
    began = time.perf_counter()
    while len(took) < total:
        due = began + sent / rate
        now = time.perf_counter()
        while sent < total and due <= now:
            left[sent] = time.perf_counter()
            lines[sent % connections].send(numbered(sent))
            sent += 1
            due = began + sent / rate
        ready = poll.poll(max(0.0, due - time.perf_counter()) if sent < total else 5.0)
        if not ready and sent == total:
            raise SystemExit(f"{total - len(took)} answers never came")
        for fd, _ in ready:
            data = rest[fd] + by_fd[fd].recv(65_536)
            now = time.perf_counter()
            while len(data) >= len(REQUEST):
                took.append((now - left.pop(int(data[36:42]))) * 1000)
                data = data[len(REQUEST) :]
            rest[fd] = data
    for line in lines:
        line.close()
    return took


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rate", type=float, default=1_000, help="requests a second over all connections")
    options.add_argument("--connections", type=int, default=10)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--masked", action="store_true")
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as made:
        host, _ = started(answers)
        trio_port, trio_pid = started(trio_relay, host)
        asyncio_port, asyncio_pid = started(asyncio_relay, host)
        port, process = proxy(host, Path(made), masked=wanted.masked)
        ways = {"direct": (host, None), "trio relay": (trio_port, trio_pid), "asyncio relay": (asyncio_port, asyncio_pid)}
        ways["proxy"] = (port, process.pid)
        writer = children(process.pid)[0]
        took: dict[str, list[list[float]]] = {name: [] for name in ways}
        spent = dict.fromkeys((*ways, "its writer"), 0.0)
        for turn in range(-1, wanted.rounds):
            for name, (where, pid) in ways.items():
                before, before_writer = cpu(pid) if pid else 0.0, cpu(writer)
                round_trips = asked(where, wanted.rate, wanted.connections, wanted.seconds if turn >= 0 else 0.5)
                time.sleep(0.3)  # what is written of the last ones belongs to this turn
                if turn >= 0:
                    took[name].append(round_trips)
                    spent[name] += cpu(pid) - before if pid else 0.0
                    spent["its writer"] += cpu(writer) - before_writer
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0].partition(": ")[0].strip()
    print(
        f"{wanted.rate:,.0f} requests/s over {wanted.connections} connections, {wanted.rounds} x {wanted.seconds:g} s each; medians of the rounds"
    )
    print(f"{'':14} {'p50':>8} {'p99':>8} {'p99.9':>8} {'max':>8}   {'adds p50':>8} {'adds p99':>8}   CPU-us a round trip")
    base = [statistics.median(percentile(each, share) for each in took["direct"]) for share in (0.5, 0.99)]
    each_round = wanted.rate * wanted.seconds * wanted.rounds
    for name in ways:
        p50, p99, p999 = (statistics.median(percentile(each, share) for each in took[name]) for share in (0.5, 0.99, 0.999))
        most = max(max(each) for each in took[name])
        cost = "" if name == "direct" else f"{spent[name] / each_round * 1e6:6.1f}"
        print(f"{name:14} {p50:8.3f} {p99:8.3f} {p999:8.3f} {most:8.3f}   {p50 - base[0]:8.3f} {p99 - base[1]:8.3f}   {cost}")
    print(f"{'its writer':14} {'':51}     {spent['its writer'] / each_round * 1e6:6.1f}")
    print(f"p99 of the proxy in each round, ms: {', '.join(f'{percentile(each, 0.99):.3f}' for each in took['proxy'])}; {said}")


if __name__ == "__main__":
    main()
