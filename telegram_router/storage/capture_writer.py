"""Writing capture files: append only, so that what was written survives a crash at any byte."""

# Rules this file keeps, all of them tested:
#
# 1. Whatever has been flushed can be read again, also from a gzipped file, without the rest.
# 2. While it is written a file has ".part" behind its name; the name itself belongs to files that were closed.
# 3. A file that rotation begins can be read by itself: it has a head, and tells of the connections that are open.
# 4. Only the owner may read it.
# 5. What could not be written stays, and is tried again by whoever calls again: where room comes back nothing is lost or doubled.

from __future__ import annotations

import datetime
import hashlib
import os
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from telegram_router.storage.capture_records import CaptureError, Record, as_written, encode_line, zone_of

BUFFERED: Final = 128 * 1024
GZIP: Final = 31  # zlib's word for a gzip header and trailer


@dataclass(frozen=True)
class Rotation:
    """When the next file begins: bytes as they stand in the file, seconds of the records' own time."""

    size: int | None = None
    age: float | None = None


class CaptureWriter:
    """One capture, in one file or one after the other. `target` is a path, in which `%` of strftime is filled in, or a stream.

    Not for several threads. Raises CaptureError E-CAP-05 when nothing can be written; what was written before stays, and what was to be
    done can be asked for again: a record has not been taken then.
    """

    def __init__(self, target: Path | BinaryIO, head: Record, rotation: Rotation = Rotation(), *, compress: bool | None = None) -> None:
        self._target = _device(target) if isinstance(target, Path) else target
        if self._target is not target:
            weakref.finalize(self, self._target.close)  # type: ignore[union-attr]
        self._head = head
        self._payload = head["payload"]
        self._rotation = rotation
        self._compress = compress if compress is not None else isinstance(target, Path) and target.name.endswith(".gz")
        self._number = 0
        self._part = 0
        self._earlier = 0  # telegrams in finished files
        self._open: dict[str, Record] = {}  # connections, which the next file has to tell of again
        self.paths: list[Path] = []  # of finished files
        self._file: _File
        self._begin(0)

    def write(self, record: Record) -> int:
        """Append a record, which is given away: a telegram gets its number, which is returned, as 0 is for anything else."""
        kind = record["k"]
        if self._file.closed or self._is_full(record.get("t", 0)):
            self._end()
            self._begin(record.get("t", 0))
        elif self._file.waiting >= BUFFERED:
            self._file.flush()
        number = 0
        if kind == "m":
            self._number = number = self._number + 1
            record["n"] = number
        elif kind == "open":
            self._open[record["c"]] = record
        elif kind == "close":
            self._open.pop(record["c"], None)
        self._file.put(as_written(record, self._payload))
        return number

    @property
    def written(self) -> int:
        """Telegrams that the system has, in whole lines."""
        return self._earlier + self._file.written

    @property
    def unfinished(self) -> Path | None:
        """The file that was begun and has not got its name."""
        return None if self._file.closed or self._file.path is None else _part_of(self._file.path)

    def flush(self) -> None:
        """Hand everything to the system."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Write the last line and give the file its name. Called again it does nothing."""
        self._end()

    def _is_full(self, t: int) -> bool:
        size, age = self._rotation.size, self._rotation.age
        return (size is not None and self._file.size + self._file.waiting >= size) or (
            age is not None and t - self._file.began >= age * 1e9
        )

    def _begin(self, t: int) -> None:
        part = self._part + 1
        target = _free(self._name(t, part)) if isinstance(self._target, Path) else self._target
        self._file = _File(target, compress=self._compress, began=t)
        self._part = part
        self._file.put(self._head | ({"part": part} if part > 1 else {}))
        for record in self._open.values():
            self._file.put(record | {"again": True})

    def _end(self) -> None:
        if self._file.closed:
            return
        finished = self._file.finish()
        self._earlier += self._file.written
        self._file.written = 0
        if finished is not None:
            self.paths.append(finished)

    def _name(self, t: int, part: int) -> Path:
        assert isinstance(self._target, Path)
        name = self._target.name
        if "%" in name:
            when = datetime.datetime.fromtimestamp((self._head["t0"] + t) // 1_000_000_000, zone_of(self._head["tz"]))
            name = when.strftime(name)
        elif part > 1:
            stem, dot, rest = name.partition(".")
            name = f"{stem}-{part}{dot}{rest}"
        return self._target.with_name(name)


class _File:
    """One file of a capture."""

    def __init__(self, target: Path | BinaryIO, *, compress: bool, began: int) -> None:
        self.path = target if isinstance(target, Path) else None
        self.began = began
        self.size = 0  # bytes handed to the system
        self.written = 0  # telegrams in them, as far as their lines are whole
        self.closed = False
        self.waiting = 0  # bytes in the buffer
        self._stream = _created(_part_of(target)) if isinstance(target, Path) else target
        self._squeeze = zlib.compressobj(6, zlib.DEFLATED, GZIP) if compress else None
        self._buffer: list[bytes] = []
        self._leaving = b""  # what was taken from the buffer, until the system has it
        self._gone = 0  # bytes of it that the system has
        self._taken = 0  # telegrams that were ever taken from the buffer
        self._safe = 0  # of them those before what is leaving
        self._ended = False
        self._digest = hashlib.sha256()
        self._kinds: dict[str, int] = {}
        self._messages: dict[str, int] = {}

    def put(self, record: Record) -> None:
        line = encode_line(record) + b"\n"
        kind = record["k"]
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if kind == "m":
            message = record.get("msg") or ""
            self._messages[message] = self._messages.get(message, 0) + 1
        self._digest.update(line)
        self._buffer.append(line)
        self.waiting += len(line)

    def flush(self) -> None:
        self._hand_over()  # what was left the last time
        lines = b"".join(self._buffer)
        self._buffer.clear()
        self.waiting = 0
        self._taken = self._kinds.get("m", 0)
        self._leaving = self._packed(lines)
        self._hand_over()

    def finish(self) -> Path | None:
        if not self._ended:
            self._ended = True
            records = sum(self._kinds.values())
            end = {"k": "end", "records": records, "by_kind": self._kinds, "by_msg": self._messages, "sha256": self._digest.hexdigest()}
            self._buffer.append(encode_line(end) + b"\n")
        self.flush()
        if self.path is None:
            self.closed = True
            return None
        try:
            os.fsync(self._stream.fileno())
            _part_of(self.path).rename(self.path)
        except OSError as error:
            raise _cannot(self.path, error) from None
        self.closed = True
        self._stream.close()
        return self.path

    def _packed(self, lines: bytes) -> bytes:
        """All of it can be read from here on; nothing comes behind the end."""
        if self._squeeze is None or not lines:
            return lines
        return self._squeeze.compress(lines) + self._squeeze.flush(zlib.Z_FINISH if self._ended else zlib.Z_SYNC_FLUSH)

    def _hand_over(self) -> None:
        """A full disk may take a part: then the rest waits for another time."""
        try:
            while self._gone < len(self._leaving):
                taken = self._stream.write(memoryview(self._leaving)[self._gone :])
                self._gone += taken
                self.size += taken
            self._stream.flush()
        except (OSError, ValueError) as error:
            if self._squeeze is None:
                self.written = self._safe + _telegrams(self._leaving[: self._gone])
            raise _cannot(self.path, error) from None
        self._safe = self.written = self._taken
        self._leaving, self._gone = b"", 0


def _telegrams(lines: bytes) -> int:
    return sum(line.startswith(b'{"k":"m"') for line in lines.split(b"\n")[:-1])


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _created(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)  # an older file of that name may have had another mode
        return os.fdopen(descriptor, "wb", buffering=0)
    except OSError as error:
        raise _cannot(path, error) from None


def _device(path: Path) -> Path | BinaryIO:
    """The path of a file; a pipe or a device opened, for it cannot be given a name or a mode of its own."""
    if path.is_file() or not path.exists():
        return path
    try:
        return path.open("wb", buffering=0)
    except OSError as error:
        raise _cannot(path, error) from None


def _free(path: Path) -> Path:
    """A name that no finished file has: a capture never replaces another."""
    stem, dot, rest = path.name.partition(".")
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{stem}-{number}{dot}{rest}")
    return found


def _cannot(path: Path | None, error: Exception) -> CaptureError:
    what = getattr(error, "strerror", None) or "the stream is closed"
    return CaptureError(
        "E-CAP-05", f"the capture cannot be written: {what}", where=str(path or "the output"), do="see to room and permissions"
    )
