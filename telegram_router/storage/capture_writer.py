"""Writing capture files: append only, so that what was written survives a crash at any byte."""

# Rules this file keeps, all of them tested:
#
# 1. Whatever has been flushed can be read again, also from a gzipped file, without the rest.
# 2. While it is written a file has ".part" behind its name; the name itself belongs to files that were closed.
# 3. A file that rotation begins can be read by itself: it has a head, and tells of the connections that are open.
# 4. Only the owner may read it.

from __future__ import annotations

import datetime
import hashlib
import os
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

    Not for several threads. Raises CaptureError E-CAP-05 when nothing can be written; what was written before stays.
    """

    def __init__(self, target: Path | BinaryIO, head: Record, rotation: Rotation = Rotation(), *, compress: bool | None = None) -> None:
        self._target = target
        self._head = head
        self._payload = head["payload"]
        self._rotation = rotation
        self._compress = compress if compress is not None else isinstance(target, Path) and target.name.endswith(".gz")
        self._number = 0
        self._part = 0
        self._open: dict[str, Record] = {}  # connections, which the next file has to tell of again
        self.paths: list[Path] = []  # of finished files
        self._file: _File
        self._begin(0)

    def write(self, record: Record) -> int:
        """Append a record, which is given away: a telegram gets its number, which is returned, as 0 is for anything else."""
        kind = record["k"]
        if self._is_full(record.get("t", 0)):
            self._end()
            self._begin(record.get("t", 0))
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

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()

    def close(self) -> None:
        """Write the last line and give the file its name. Called again it does nothing."""
        if not self._file.closed:
            self._end()

    def _is_full(self, t: int) -> bool:
        size, age = self._rotation.size, self._rotation.age
        return (size is not None and self._file.size >= size) or (age is not None and t - self._file.began >= age * 1e9)

    def _begin(self, t: int) -> None:
        self._part += 1
        head = self._head | ({"part": self._part} if self._part > 1 else {})
        if isinstance(self._target, Path):
            self._file = _File(_free(self._name(t)), compress=self._compress, began=t)
        else:
            self._file = _File(self._target, compress=self._compress, began=t)
        self._file.put(head)
        for record in self._open.values():
            self._file.put(record | {"again": True})

    def _end(self) -> None:
        finished = self._file.finish()
        if finished is not None:
            self.paths.append(finished)

    def _name(self, t: int) -> Path:
        assert isinstance(self._target, Path)
        name = self._target.name
        if "%" in name:
            when = datetime.datetime.fromtimestamp((self._head["t0"] + t) // 1_000_000_000, zone_of(self._head["tz"]))
            name = when.strftime(name)
        elif self._part > 1:
            stem, dot, rest = name.partition(".")
            name = f"{stem}-{self._part}{dot}{rest}"
        return self._target.with_name(name)


class _File:
    """One file of a capture."""

    def __init__(self, target: Path | BinaryIO, *, compress: bool, began: int) -> None:
        self.path = target if isinstance(target, Path) else None
        self.began = began
        self.size = 0  # bytes handed to the system
        self.closed = False
        self._stream = _created(_part_of(target)) if isinstance(target, Path) else target
        self._squeeze = zlib.compressobj(6, zlib.DEFLATED, GZIP) if compress else None
        self._buffer: list[bytes] = []
        self._waiting = 0
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
        self._waiting += len(line)
        if self._waiting >= BUFFERED:
            self.flush()

    def flush(self, *, last: bool = False) -> None:
        data = b"".join(self._buffer)
        if self._squeeze is not None:
            data = self._squeeze.compress(data) if data else b""
            data += self._squeeze.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)  # all of it can be read from here
        self._buffer.clear()
        self._waiting = 0
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise _cannot(self.path, error) from None
        self.size += len(data)

    def finish(self) -> Path | None:
        records = sum(self._kinds.values())
        end = {"k": "end", "records": records, "by_kind": self._kinds, "by_msg": self._messages, "sha256": self._digest.hexdigest()}
        self._buffer.append(encode_line(end) + b"\n")
        self.flush(last=True)
        self.closed = True
        if self.path is None:
            return None
        try:
            os.fsync(self._stream.fileno())
            self._stream.close()
            _part_of(self.path).rename(self.path)
        except OSError as error:
            raise _cannot(self.path, error) from None
        return self.path


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _created(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)  # an older file of that name may have had another mode
        return os.fdopen(descriptor, "wb", buffering=0)
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
