"""A file that records are appended to by a thread of its own: whoever puts them never waits for a disk."""

# Rules this file keeps, all of them tested:
#
# 1. `put` takes at most BACKLOG bytes that are not written yet; what is beyond is refused, and the caller counts it.
# 2. The thread does nothing but system calls that release the interpreter, and a few lines of Python between two of them.
# 3. What could not be written is dropped and counted; after it, and after half a line, the next one begins on a line of its own.
# 4. Files are readable by their owner alone.

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

BACKLOG = 8 * 1024 * 1024  # bytes that wait for the disk: a few seconds of the fastest traffic
PATIENCE = 2.0  # seconds for what still waits at the end
REST = 1.0  # after a failure
DAY = 86_400


@dataclass(frozen=True)
class Rotation:
    """When a file is put aside, and how many of those are kept. Sizes in bytes."""

    size: int = 100 * 1024 * 1024
    daily: bool = False  # days of UTC
    keep: int = 10


class Output(Protocol):
    """What the thread writes to."""

    def write(self, data: bytes, /) -> int: ...
    def reopen(self) -> None: ...
    def close(self) -> None: ...


class Stream:
    """A descriptor that is there already, such as stdout or a pipe to another process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


class RotatingFile:
    """A file by its path. It is opened when it is first written to, and put aside when it is full or of yesterday."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self._path = path
        self._rotation = rotation
        self._fd = -1
        self._size = 0
        self._day = 0

    def write(self, data: bytes) -> int:
        if self._fd >= 0 and (self._size >= self._rotation.size or (self._rotation.daily and time.time() // DAY != self._day)):
            self._rotate()
        if self._fd < 0:
            self._open()
        taken = os.write(self._fd, data)
        self._size += taken
        return taken

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.fstat(self._fd)
        self._size = found.st_size
        self._day = int((found.st_mtime if self._size else time.time()) // DAY)

    def _rotate(self) -> None:
        """Put the file aside under the time of its last record. Whoever reads it still can."""
        stamp = datetime.fromtimestamp(os.fstat(self._fd).st_mtime, UTC).strftime("%Y%m%dT%H%M%S")
        self.reopen()
        aside, number = self._path.with_name(f"{self._path.name}.{stamp}"), 0
        while aside.exists():
            number += 1
            aside = self._path.with_name(f"{self._path.name}.{stamp}.{number}")
        self._path.rename(aside)
        former = sorted(self._path.parent.glob(f"{self._path.name}.[0-9]*T[0-9]*"), key=lambda path: path.stat().st_mtime)
        for old in former[: -self._rotation.keep]:
            old.unlink(missing_ok=True)

    def reopen(self) -> None:
        """The next write goes to a file newly opened by that path: somebody else may have moved the old one away."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        self.reopen()


class RecordFile:
    """The bounded way to an output. `dropped` counts lines that were taken and could not be written."""

    def __init__(self, output: Output, name: str) -> None:
        self.dropped = 0
        self.failing = ""  # why nothing can be written at the moment
        self._output = output
        self._waiting: deque[bytes] = deque()  # bounded by BACKLOG
        self._taken = 0  # bytes ever; told by the caller's thread alone
        self._done = 0  # of them; told by our thread alone
        self._reopen = self._ended = False
        self._torn = False
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, lines: bytes) -> bool:
        """Whole lines. False when there is no room for them."""
        if self._ended or self._taken - self._done + len(lines) > BACKLOG:
            return False
        self._taken += len(lines)
        self._waiting.append(lines)
        os.eventfd_write(self._bell, 1)
        return True

    def reopen(self) -> None:
        """The file was moved away: go on in a new one."""
        if not self._ended:
            self._reopen = True
            os.eventfd_write(self._bell, 1)

    def end(self) -> None:
        """Take no more; what waits will still be written."""
        if not self._ended:
            self._ended = True
            os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """As `end`, and waits for it, though no longer than PATIENCE."""
        self.end()
        self._thread.join(PATIENCE)

    # --- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended or self._waiting:
            if not self._waiting:
                os.eventfd_read(self._bell)
            if self._reopen:
                self._reopen = False
                self._output.reopen()
            while self._waiting:
                lines = self._waiting.popleft()
                self._write(lines)
                self._done += len(lines)
        self._output.close()
        os.close(self._bell)

    def _write(self, lines: bytes) -> None:
        data = b"\n" + lines if self._torn else lines
        try:
            while data:
                taken = self._output.write(data)
                self._torn = data[taken - 1 : taken] != b"\n" if taken else self._torn
                data = data[taken:]
        except OSError as error:  # the disk is full, the folder is gone, the reader is gone
            self.dropped += data.lstrip(b"\n").count(b"\n")
            self.failing = error.strerror or "cannot be written"
            self._output.reopen()
            if not self._ended:
                time.sleep(REST)
        else:
            self.failing = ""
