"""What is remembered of a replay, so that another can go on behind it and send nothing twice."""

# Rules this file keeps, all of them tested:
#
# 1. A record number is noted before its telegram is sent. After a crash what waited for room may be left out; none is sent twice. After
#    an end of any other kind nothing is left out.
# 2. Old values with their new ones are noted ten times a second, in two files for each field that take turns: what is kept is at least
#    what the run itself remembers, and never more than twice that.
# 3. Whoever resumes must give the same capture. The files may hold values that are shown nowhere: nobody else may read them.

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from telegram_router.storage.capture_records import Record
from telegram_router.tools.replay.remembering import REMEMBERED, Entry, Memory, Sequences
from telegram_router.tools.replay.settings import ReplayError

FOLDER: Final = "state"
VERSION: Final = 2
EVERY: Final = 0.1  # seconds


@dataclass
class Progress:
    """How far a replay has come. Without `begin` nothing is written. `again`: numbers up to there that did not go out after all."""

    sent_up_to: int = 0
    again: frozenset[int] = frozenset()
    numbers: Mapping[str, int] = field(default_factory=dict)
    mapped: Mapping[str, list[Entry]] = field(default_factory=dict)  # by side

    def __post_init__(self) -> None:
        self.highest = self.sent_up_to
        self._folder: Path | None = None
        self._capture = ""
        self._live = -1
        self._sequences = Sequences()
        self._memories: Mapping[str, Memory] = {}
        self._tables: dict[tuple[str, str], _Table] = {}

    def begin(self, folder: Path, head: Record, sequences: Sequences, memories: Mapping[str, Memory]) -> None:
        """From now on note what is sent. Raises ReplayError E-RPL-08 where the folder cannot be written to."""
        self._folder, self._capture, self._sequences, self._memories = folder / FOLDER, digest(head), sequences, memories
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.sent_up_to:
                for path in self._folder.iterdir():
                    path.unlink()
            self._write_state([])
            self._live = os.open(self._folder / "sent.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _cannot(error, self._folder) from None
        for memory in memories.values():
            memory.fresh = []

    def mark(self, n: int) -> None:
        """A telegram is about to be sent."""
        if n > self.highest:
            self.highest = n
        if self._live >= 0:  # one line; what a longer one before it had behind its end does not count
            os.pwrite(self._live, msgspec.json.encode([self.highest, self._sequences.next]) + b"\n", 0)

    async def keep(self) -> None:
        """Note what has been mapped, until cancelled."""
        while True:
            await trio.sleep(EVERY)
            self.flush()

    def flush(self) -> None:
        if self._folder is None:
            return
        try:
            for side, memory in self._memories.items():
                fresh, memory.fresh = memory.fresh or [], []
                for name in dict.fromkeys(entry[0] for entry in fresh):
                    table = self._tables.get((side, name)) or self._tables.setdefault((side, name), _Table(self._folder, side, name))
                    table.add([entry for entry in fresh if entry[0] == name])
        except OSError as error:
            raise _cannot(error, self._folder) from None

    def finish(self, unsent: Sequence[int]) -> None:
        """Note exactly how far it came."""
        if self._folder is None:
            return
        self.flush()
        try:
            self._write_state(unsent)
            os.ftruncate(self._live, 0)
        except OSError as error:
            raise _cannot(error, self._folder) from None
        os.close(self._live)
        self._live = -1

    def _write_state(self, unsent: Sequence[int]) -> None:
        assert self._folder is not None
        told = {
            "v": VERSION, "capture": self._capture, "sent_up_to": self.highest, "again": [n for n in unsent if n <= self.highest],
            "numbers": self._sequences.next,
        }  # fmt: skip
        part = self._folder / "state.json.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.encode(told))
        part.replace(self._folder / "state.json")


class _Table:
    """What the values of one field have become on one side, in two files that take turns."""

    def __init__(self, folder: Path, side: str, name: str) -> None:
        self._files = [folder / f"mapped.{side}.{name}.{turn}.jsonl" for turn in (0, 1)]
        self._turn = _newest(self._files)
        self._lines = sum(1 for _ in _entries(self._files[self._turn]))

    def add(self, entries: Sequence[Entry]) -> None:
        if self._lines >= REMEMBERED:
            self._turn, self._lines = 1 - self._turn, 0
            self._files[self._turn].unlink(missing_ok=True)
        lines = [msgspec.json.encode([[part.hex() for part in scope], old, new]) for _, scope, old, new in entries]
        descriptor = os.open(self._files[self._turn], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b"\n".join(lines) + b"\n")
        self._lines += len(lines)


def _newest(files: Sequence[Path]) -> int:
    times = [path.stat().st_mtime_ns if path.exists() else 0 for path in files]
    return times.index(max(times))


def _entries(path: Path) -> Iterator[Entry]:
    """What stands in a file; a last line that a crash cut off is left out."""
    name = path.name.split(".", 2)[2].rsplit(".", 2)[0]
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines[:-1]:
        scope, old, new = msgspec.json.decode(line)
        yield name, tuple(bytes.fromhex(part) for part in scope), old, new


def _mapped(folder: Path) -> dict[str, list[Entry]]:
    """What was mapped, by side, the oldest first."""
    found: dict[str, list[Entry]] = {}
    for path in sorted(folder.glob("mapped.*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
        found.setdefault(path.name.split(".", 2)[1], []).extend(_entries(path))
    return found


def resumed(report: Path, head: Record) -> Progress:
    """What an earlier run left. Raises ReplayError E-RPL-07 where that is nothing, or of another capture."""
    folder = report / FOLDER
    try:
        told: Any = msgspec.json.decode((folder / "state.json").read_bytes())
        capture, sent, numbers = str(told["capture"]), int(told["sent_up_to"]), told["numbers"]
        live = (folder / "sent.json").read_bytes().partition(b"\n")[0]
        if live:  # it was not ended: a crash
            sent, numbers = msgspec.json.decode(live)
        again = frozenset[int]() if live else frozenset(map(int, told["again"]))
        found = Progress(sent, again, {str(name): int(number) for name, number in numbers.items()}, _mapped(folder))
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise ReplayError(
            "E-RPL-07", "there is no state of an earlier run", where=str(folder), do="give the folder of its --report"
        ) from None
    if capture != digest(head):
        raise ReplayError("E-RPL-07", "the state is of another capture", where=str(folder), do="give the capture that the run began with")
    return found


def _cannot(error: OSError, folder: Path) -> ReplayError:
    return ReplayError("E-RPL-08", f"the state cannot be written: {error.strerror}", where=str(folder))


def digest(head: Record) -> str:
    """What tells captures apart."""
    return hashlib.sha256(msgspec.json.encode(head, order="deterministic")).hexdigest()
