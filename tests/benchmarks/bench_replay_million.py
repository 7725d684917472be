"""A million requests replayed against a cheap host: time, CPU and memory while it goes, and what the report says.

python tests/benchmarks/bench_replay_million.py [REQUESTS] [more options of `replay`, such as --pace 2000/s]
"""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "flows")]

from running_router import answer_to, place_of, transfer  # noqa: E402

from telegram_router.storage import capture_records as records  # noqa: E402
from telegram_router.storage.capture_writer import CaptureWriter  # noqa: E402

CONNECTIONS = 20
EVERY = 500_000  # nanoseconds between two requests of the recording: 2,000 a second
SIZE = len(transfer())
SHOWN = 20  # rows of the table


def write(path: Path, requests: int) -> None:
    """Transfers, each answered a millisecond later, over twenty connections."""
    request, answer = transfer(), answer_to(transfer())
    place = place_of(request, "message_number")
    writer = CaptureWriter(path, records.head(t0=time.time_ns(), source="proxy", spec="firmbanking"))
    for number in range(CONNECTIONS):
        writer.write(records.opened(0, f"c{number}", leg="front", peer=f"10.0.0.1:{40_000 + number}", local="10.0.0.2:9000"))
    for number in range(requests):
        digits, c, at = b"%06d" % (number % 1_000_000), f"c{number % CONNECTIONS}", number * EVERY
        for d, frame, later in ((">", request, 0), ("<", answer, EVERY // 2)):
            told = frame[: place.start] + digits + frame[place.stop :]
            writer.write(records.telegram(at + later, c, d, told, x=f"x{number}"))
    writer.close()


def serve(listening: socket.socket) -> None:
    """Answers transfers, as cheaply as that can be done."""
    kind, code = place_of(transfer(), "message_type"), place_of(transfer(), "response_code")
    poll, sessions, held = select.epoll(), dict[int, socket.socket](), dict[int, bytes]()
    poll.register(listening, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listening.fileno():
                session, _ = listening.accept()
                session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sessions[session.fileno()], held[session.fileno()] = session, b""
                poll.register(session, select.EPOLLIN)
                continue
            data = sessions[number].recv(1 << 18)
            if not data:
                sessions.pop(number).close()
                continue
            data = held[number] + data
            whole = len(data) // SIZE * SIZE
            held[number] = data[whole:]
            frames = [data[at : at + SIZE] for at in range(0, whole, SIZE)]
            answers = [frame[: kind.start] + b"2100" + frame[kind.stop : code.start] + b"0000" + frame[code.stop :] for frame in frames]
            sessions[number].sendall(b"".join(answers))


def used(process: int) -> tuple[float, float]:
    """CPU seconds and resident MiB of a process so far."""
    parts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK"), int(parts[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    options = sys.argv[2:] or ["--pace", "max", "--window", "64"]
    listening = socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS)
    host = multiprocessing.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
    host.start()
    with tempfile.TemporaryDirectory() as made:
        capture = Path(made) / "day.tgcap.jsonl"
        write(capture, requests)
        print(f"{requests:,} requests and their answers, {capture.stat().st_size / 1e6:,.0f} MB, replayed with {' '.join(options)}")
        command = [sys.executable, "-m", "telegram_router", "replay", str(capture), "--to", f"127.0.0.1:{listening.getsockname()[1]}"]
        running = subprocess.Popen([*command, *options, "--report", f"{made}/out"], stdout=subprocess.PIPE, text=True)
        began, seen = time.monotonic(), list[tuple[float, float, float]]()
        while running.poll() is None:
            seen.append((time.monotonic() - began, *used(running.pid)))
            time.sleep(0.2)
        for at, cpu, resident in seen[:: max(1, len(seen) // SHOWN)]:
            print(f"{at:8.1f} s  {cpu:7.1f} s CPU  {resident:6.1f} MiB")
        assert running.stdout is not None
        print(running.stdout.read(), end="")
        report = json.loads((Path(made) / "out" / "report.json").read_text())
        cpu, most = seen[-1][1], max(each[2] for each in seen)
        host_cpu = used(host.pid or 0)[0]
        each = f"{cpu / requests * 1e6:.1f} us CPU a request (the host's: {host_cpu / requests * 1e6:.1f})"
        print(
            f"exit {running.returncode}  {each}  at most {most:.0f} MiB  lag p99 {report['lag']['p99_ms']} ms  sums up: {report['sums_up']}"
        )
    host.kill()


if __name__ == "__main__":
    main()
