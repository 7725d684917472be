"""What is remembered of a replay, so that another can go on behind it and send nothing twice."""

# Rules this file keeps:
#
# 1. A record number is noted before its telegram is sent, AHEAD numbers in advance: after a crash some may be left out, none is sent twice.
# 2. Whoever resumes must give the same capture.

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from telegram_router.storage.capture_records import Record
from telegram_router.tools.replay.remembering import Sequences
from telegram_router.tools.replay.settings import ReplayError

AHEAD: Final = 5_000  # record numbers
NAME: Final = "state.json"


@dataclass
class Progress:
    """How far a replay has come. Without `begin` nothing is written."""

    sent_up_to: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._path: Path | None = None
        self._noted = self.highest = self.sent_up_to
        self._head = ""
        self._sequences: Sequences | None = None

    def begin(self, folder: Path, head: Record, sequences: Sequences) -> None:
        """Raises ReplayError E-RPL-08 where the folder cannot be written to."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReplayError("E-RPL-08", f"the folder cannot be made: {error.strerror}", where=str(folder)) from None
        self._path, self._head, self._sequences = folder / NAME, digest(head), sequences
        self._write(self._noted)

    def mark(self, n: int) -> None:
        """A telegram is about to be sent."""
        if n > self.highest:
            self.highest = n
            if n > self._noted and self._path is not None:
                self._noted = n + AHEAD
                self._write(self._noted)

    def finish(self) -> None:
        """Note exactly how far it came."""
        if self._path is not None:
            self._write(self.highest)

    def _write(self, up_to: int) -> None:
        assert self._path is not None and self._sequences is not None
        after = AHEAD if up_to > self.highest else 0
        numbers = {name: number + after for name, number in self._sequences.next.items()}
        told = {"v": 1, "capture": self._head, "sent_up_to": up_to, "numbers": numbers}
        part = self._path.with_name(NAME + ".part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(msgspec.json.encode(told))
            part.replace(self._path)
        except OSError as error:
            raise ReplayError("E-RPL-08", f"the state cannot be written: {error.strerror}", where=str(self._path)) from None


def resumed(folder: Path, head: Record) -> Progress:
    """What an earlier run left. Raises ReplayError E-RPL-07 where that is nothing, or of another capture."""
    path = folder / NAME
    try:
        told: Any = msgspec.json.decode(path.read_bytes())
        found = Progress(int(told["sent_up_to"]), {str(name): int(number) for name, number in told["numbers"].items()})
        capture = told["capture"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise ReplayError(
            "E-RPL-07", "there is no state of an earlier run", where=str(path), do="give the folder of its --report"
        ) from None
    if capture != digest(head):
        raise ReplayError("E-RPL-07", "the state is of another capture", where=str(path), do="give the capture that the run began with")
    return found


def digest(head: Record) -> str:
    """What tells captures apart."""
    return hashlib.sha256(msgspec.json.encode(head, order="deterministic")).hexdigest()
