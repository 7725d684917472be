"""What a capture costs a running router: CPU of the router with and without one, by turns in one run, and CPU of the process that writes.

    python tests/benchmarks/bench_capture.py [--clients 50] [--windows 1 64] [--seconds 3] [--rounds 5] [--rate N] [--masked]

A router, a host that answers at once and `telegram-router load`, each a process of its own; the router has the last CPU for itself
and the others share the rest. Of each exchange four telegrams are captured: from the client, to the host, and both ways back. Where the
writer cannot keep up exchanges are left out, whole, which is told: what is there is counted at the end of each turn.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from bench_proxy import ROOT, answers, cpu, started

from telegram_router.storage.capture_reader import CaptureReader

CONFIG = """
specs = "{specs}"
[log]
level = "error"
[listeners.lab]
address = "127.0.0.1:0"
spec = "firmbanking"
open_exchanges = 512
[services.core]
backends = ["127.0.0.1:{host}"]
timeout = "10s"
in_flight = 16384
pending = 16384
[[routes]]
listener = "lab"
service = "core"
default = true
[admin]
socket = "admin.sock"
"""


class _Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def ask(folder: Path, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    line = _Local(folder / "admin.sock")
    line.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
    answer = line.getresponse()
    said = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"{path}: {said}")
    return said


def loaded(port: int, clients: int, window: int, seconds: float, rate: str = "") -> dict[str, Any]:
    command = [sys.executable, "-m", "telegram_router", "load", "--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--quiet", "--json"]
    command += ["--message", "transfer.request", "--clients", str(clients), "--window", str(window), "--duration", f"{seconds:g}s"]
    command += ["--rate", rate] if rate else []
    return dict(json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout))


def whole(file: Path) -> tuple[int, int]:
    """Exchanges of a capture, and those that have not all of their telegrams. One file is read at a time: they are large."""
    parts = Counter(record.get("x", "none") for record in CaptureReader(file).telegrams())
    return len(parts), sum(count != 4 for count in parts.values())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--windows", type=int, nargs="+", default=[1, 64])
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--rate", default="", help="requests a second; else as many as go")
    options.add_argument("--masked", action="store_true")
    wanted = options.parse_args()
    last = max(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "mask.key").write_bytes(b"k" * 32)
        others = os.sched_getaffinity(0) - {last} or {last}
        os.sched_setaffinity(0, others)
        host, _ = started(answers)
        (folder / "router.toml").write_text(CONFIG.format(specs=ROOT / "specs", host=host))
        router = subprocess.Popen(
            [sys.executable, "-m", "telegram_router", "run", str(folder / "router.toml")], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        os.sched_setaffinity(router.pid, {last})
        try:
            while not (folder / "admin.sock").exists():
                time.sleep(0.05)
            time.sleep(1)
            port = int(ask(folder, "GET", "/status")["listeners"][0]["address"].rpartition(":")[2])
            for window in wanted.windows:
                rows = measured(folder, router.pid, port, wanted, window, others)
                shown(wanted.clients, window, rows)
        finally:
            router.send_signal(signal.SIGTERM)
            router.wait(10)


def measured(folder: Path, pid: int, port: int, wanted: argparse.Namespace, window: int, others: set[int]) -> list[dict[str, float]]:
    loaded(port, wanted.clients, window, 0.5)
    rows = []
    for turn in range(wanted.rounds):
        row: dict[str, float] = {}
        for on in (False, True) if turn % 2 else (True, False):
            file, seen = folder / f"{window}-{turn}.tgcap.jsonl", None
            if on:
                order = {"file": str(file), "duration_s": 600} | ({"mask_key_file": str(folder / "mask.key")} if wanted.masked else {})
                seen = ask(folder, "POST", "/capture", order)
                os.sched_setaffinity(seen["process"], others)
            before, writer = cpu(pid), cpu(seen["process"]) if seen else 0.0
            result = loaded(port, wanted.clients, window, wanted.seconds, wanted.rate)
            row["on" if on else "off"] = (cpu(pid) - before) / result["answered"] * 1e6
            if seen:
                row["exchanges"] = result["answered"]
                spent = cpu(seen["process"]) - writer
                end = ask(folder, "POST", "/capture/stop", {})
                row["captured"], row["torn"] = whole(file)
                row["left out"] = end["left_out"]
                row["writer"] = spent / max(1, row["captured"] * 4) * 1e6
                file.unlink()
        rows.append(row)
    return rows


def shown(clients: int, window: int, rows: list[dict[str, float]]) -> None:
    print(f"\n{clients} clients x window {window}: CPU-us of the router an exchange")
    print("  without  with one    more  more a telegram   writer a telegram   exchanges   captured   torn   telegrams left out")
    for row in rows:
        more = row["on"] - row["off"]
        print(
            f"  {row['off']:7.2f}  {row['on']:8.2f}  {more:6.2f}  {more / 4:15.2f}   {row['writer']:17.2f}   {row['exchanges']:9,.0f}"
            f"  {row['captured']:9,.0f}  {row['torn']:5,.0f}  {row['left out']:9,.0f}"
        )
    each = statistics.median(row["on"] - row["off"] for row in rows)
    print(f"  median: {each:.2f} more an exchange, {each / 4:.2f} a telegram captured")


if __name__ == "__main__":
    main()
