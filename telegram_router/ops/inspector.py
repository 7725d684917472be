"""The page's telegram inspector: what `explain` says of a telegram that somebody has pasted, asked of a process of its own."""

# Rules this file keeps, all of them tested:
#
# 1. What was pasted goes to the other process by its stdin and comes back to who asked; it is in no log, no argument and no file.
# 2. One at a time, and for so long: explaining takes the processor's time, which telegrams need.

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import trio

LARGEST = 256 * 1024  # characters that may be pasted
LONGEST_ANSWER = 4 * 1024 * 1024
SECONDS = 8.0
MOST = 20  # telegrams of one paste

_turn = trio.Lock()


async def explain(data: bytes, spec: Path | None) -> list[Any] | None:
    """What is known of each telegram; None when it took too long. Without a spec it is guessed."""
    # -P: what lies in the folder that the router was started in is not taken for a module.
    command = [sys.executable, "-P", "-m", "telegram_router", "explain", "--json", "--show-values"]
    if spec is not None:
        command += ["--spec", str(spec)]
    async with _turn:
        with trio.move_on_after(SECONDS):
            done = await trio.run_process(
                command,
                stdin=data,
                capture_stdout=True,
                stderr=subprocess.DEVNULL,
                check=False,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
            lines = done.stdout[:LONGEST_ANSWER].splitlines()
            return [msgspec.json.decode(line) for line in lines[:MOST] if line.startswith(b"{")]
    return None
