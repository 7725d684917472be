"""One run of the demo for all tests: it takes seconds, and says and leaves the same each time."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class DemoRun(NamedTuple):
    """What `telegram-router demo --keep` came to, and the folder that it left."""

    returncode: int
    stdout: str
    stderr: str
    folder: Path


def play_once(folder: Path) -> DemoRun:
    """Play it in a folder, unless another process has, or is at it."""
    said = folder / "demo.json"
    with (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            temporary = folder / "demo"
            temporary.mkdir()
            command, environment = [sys.executable, "-m", "telegram_router", "demo", "--keep"], os.environ | {"TMPDIR": str(temporary)}
            played = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
            said.write_text(json.dumps([played.returncode, played.stdout, played.stderr, *map(str, temporary.iterdir())]), "utf-8")
    *ended, kept = json.loads(said.read_text("utf-8"))
    return DemoRun(*ended, Path(kept))
