"""A million telegrams through a capturing proxy, and a million as packets, imported, counted, verified and written again: time and
memory of each step.

python tests/benchmarks/bench_million.py [TELEGRAMS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / part) for part in ("tools/packets", "flows", "benchmarks")]

from bench_proxy import answers, children, cpu, proxy, started  # noqa: E402
from made import Packet, Talk, pcap  # noqa: E402
from running_router import answer_to, transfer  # noqa: E402

CONNECTIONS = 20


def packets(telegrams: int) -> Iterator[Packet]:
    """Transfers and their answers over twenty connections, an acknowledgement between."""
    talks = [Talk(ports=(40_000 + number, 9_000), step=20_000) for number in range(CONNECTIONS)]
    now = talks[0].at
    for talk in talks:
        yield from talk.handshake()
    for number in range(telegrams // 2):
        talk = talks[number % CONNECTIONS]
        talk.at = now = max(now + 20_000, talk.at)
        frame = transfer(number % 1_000_000)
        yield talk.sends(0, frame)
        yield talk.packet(1, 16)
        yield talk.sends(1, answer_to(frame))
        now = talk.at
    for talk in talks:
        talk.at = now
        yield from talk.finish()
        now = talk.at


def write(path: Path, telegrams: int) -> int:
    count = 0
    with path.open("wb") as stream:
        stream.write(pcap([]))
        batch: list[Packet] = []
        for packet in packets(telegrams):
            batch.append(packet)
            count += 1
            if len(batch) == 10_000:
                stream.write(pcap(batch)[24:])
                batch.clear()
        stream.write(pcap(batch)[24:])
    return count


def step(name: str, *arguments: str | Path) -> None:
    """Run a command; print what it took."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "telegram_router", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = usage.ru_utime + usage.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    print(
        f"{name:<10} {time.monotonic() - began:7.1f} s  {took:7.1f} s CPU  {usage.ru_maxrss / 1024:7,.0f} MiB  exit {process.returncode}  {said.splitlines()[0] if said else ''}"
    )


def memory(pid: int) -> float:
    """MiB at most so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def through_a_proxy(telegrams: int, folder: Path) -> None:
    """Requests and answers in ten parts, and after each what proxy and writer have needed at most: that it grows no more is the point."""
    host, _ = started(answers)
    port, process = proxy(host, folder, "--on-full", "block")
    writer, began, most = children(process.pid)[0], time.monotonic(), []
    command = [sys.executable, "-m", "telegram_router", "load", "--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--quiet"]
    command += ["--message", "transfer.request", "--window", "64", "--count", str(telegrams // 20)]
    for _ in range(10):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        most.append((memory(process.pid), memory(writer)))
    took = time.monotonic() - began
    spent = cpu(process.pid), cpu(writer)
    process.terminate()
    said = process.communicate()[0].partition(": ")[0].strip()
    print(f"{'proxy':<10} {took:7.1f} s  {spent[0]:7.1f} s CPU  {most[-1][0]:7,.0f} MiB  exit {process.returncode}  {said}")
    print(f"{'its writer':<10} {'':9}  {spent[1]:7.1f} s CPU  {most[-1][1]:7,.0f} MiB")
    for name, place in (("proxy", 0), ("writer", 1)):
        print(f"{'':10} MiB of the {name} after each tenth: {', '.join(f'{each[place]:.0f}' for each in most)}")


def main() -> None:
    telegrams = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file, capture, again = folder / "day.pcap", folder / "day.tgcap.jsonl", folder / "again.pcapng"
        through_a_proxy(telegrams, folder)
        step("verify", "capture", "verify", folder / "lines.tgcap.jsonl")
        count = write(file, telegrams)
        print(f"{count:,} packets, {telegrams:,} telegrams, {file.stat().st_size / 1e6:,.0f} MB")
        step("import", "capture", "import", file, "--spec", "firmbanking", "-w", capture)
        print(f"{'':10} {capture.stat().st_size / 1e6:,.0f} MB of capture")
        step("stat", "capture", "stat", capture)
        step("verify", "capture", "verify", capture)
        step("convert", "capture", "convert", capture, "--to", "pcapng-tcp", "-w", again)


if __name__ == "__main__":
    main()
