"""Reading capture files: as far as they are whole, and telling what is not."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from telegram_router.storage.capture_records import KINDS, VERSION, CaptureError, Record, as_read, decode_line
from telegram_router.storage.gunzip import unpacked

LONGEST_LINE: Final = 32 * 1024 * 1024
PROBLEMS_KEPT: Final = 100


@dataclass
class Findings:
    """What a file turned out to be, once it has been read to its end."""

    records: int = 0
    skipped: int = 0  # records of kinds that this version does not know
    closed_cleanly: bool = False
    damaged: int = 0  # lines that cannot be read, and whatever else is broken
    problems: list[str] = field(default_factory=list)  # the first of them, in words

    def blame(self, what: str) -> None:
        self.damaged += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(what)


class CaptureReader:
    """The records of a capture file in their order. Raises CaptureError at once for what is no capture at all.

    Iterate once. `raw` of a record is bytes. `everything` yields kinds that are not known too, and the end, for tools that copy.
    """

    def __init__(self, source: Path | BinaryIO, *, everything: bool = False) -> None:
        self.name = str(source) if isinstance(source, Path) else "the input"
        self.findings = Findings()
        self._everything = everything
        self._stream = _opened(source) if isinstance(source, Path) else source
        if isinstance(source, Path):
            weakref.finalize(self, self._stream.close)  # whoever stops in the middle need not think of it
        self._digest = hashlib.sha256()
        self._line = 0
        self._lines = self._split()
        try:
            self.head = self._read_head()
        except BaseException:
            self.close()
            raise
        self._payload = self.head.get("payload", "base64")

    def __iter__(self) -> Iterator[Record]:
        last = 0
        for line in self._lines:
            record = self._parsed(line)
            if record is None:
                continue
            kind = record.get("k")
            if kind == "end":
                self._check_end(record)
                if self._everything:
                    yield record
                continue
            self._digest.update(line)
            self.findings.records += 1
            if kind not in KINDS:
                self.findings.skipped += 1
                if not self._everything:
                    continue
            if kind == "m":
                if not isinstance(record.get("n"), int) or record["n"] <= last:
                    self._blame("its number is not above that of the telegram before it")
                else:
                    last = record["n"]
                raw = record.get("raw")
                if not isinstance(raw, bytes) or (len(raw) != record.get("len") and (raw or "hmac" not in record)):
                    self._blame("its bytes are not as many as it says")
                    continue
            yield record
        self._stream.close()

    def telegrams(self) -> Iterator[Record]:
        """The telegrams alone."""
        return (record for record in self if record["k"] == "m")

    def close(self) -> None:
        self._stream.close()

    # --- lines

    def _read_head(self) -> Record:
        line = next(self._lines, None)
        if line is None and self.findings.damaged:
            raise CaptureError("E-CAP-01", "the gzipped data are damaged from the start on", where=self.name, do="look for another copy")
        if line is None:
            raise CaptureError("E-CAP-02", "the file is empty", where=self.name, expected="a capture", do="look whether capturing was on")
        try:
            record = decode_line(line)
        except Exception:  # msgspec's own, and whatever a foreign file's bytes make of it
            record = {}
        if record.get("k") != "head" or not isinstance(record.get("v"), int):
            raise CaptureError(
                "E-CAP-01", "this is no capture file", where=self.name, expected="a first line of kind head", do=_advice(line)
            )
        if record["v"] > VERSION:
            what = f"the file is of version {record['v']} of the format, this program reads up to {VERSION}"
            raise CaptureError("E-CAP-03", what, where=self.name, do="use the version of telegram-router that wrote it, or a later one")
        if not isinstance(record.get("t0"), int):
            raise CaptureError("E-CAP-01", "the head has no t0", where=self.name, expected="whole nanoseconds since 1970")
        self._digest.update(line)
        self.findings.records += 1
        return record

    def _parsed(self, line: bytes) -> Record | None:
        if self.findings.closed_cleanly:
            self._blame("it stands behind the end")
            return None
        if not line.endswith(b"\n"):
            self.findings.problems.append(f"{self.name}:{self._line}: the last line is cut off, as after a crash; it is left out")
            return None
        try:
            return as_read(decode_line(line), self._payload)
        except Exception:  # of msgspec, and of what stands under raw
            self._blame("the line cannot be read")
            return None

    def _check_end(self, record: Record) -> None:
        self.findings.closed_cleanly = True
        if record.get("sha256") != self._digest.hexdigest():
            self._blame("the digest is another: lines were changed, added or lost since the file was written")
        elif record.get("records") != self.findings.records:
            self._blame("there are not as many records as it says")

    def _blame(self, what: str) -> None:
        self.findings.blame(f"{self.name}:{self._line}: {what}")

    def _chunks(self) -> Iterator[bytes]:
        try:
            yield from unpacked(self._stream, self._blame)
        except OSError as error:
            raise CaptureError("E-CAP-04", error.strerror or "cannot be read", where=self.name, do="check path and permissions") from None

    def _split(self) -> Iterator[bytes]:
        """Whole lines with their ends, the last one without if it has none."""
        rest = b""
        for chunk in self._chunks():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                self._line += 1
                yield line + b"\n"
            if len(rest) > LONGEST_LINE:
                raise CaptureError("E-CAP-01", "this is no capture file", where=self.name, expected=f"lines below {LONGEST_LINE:,} bytes")
        if rest:
            self._line += 1
            yield rest


def _opened(path: Path) -> BinaryIO:
    part = path.with_name(path.name + ".part")
    try:
        return (part if not path.exists() and part.exists() else path).open("rb")
    except OSError as error:
        raise CaptureError("E-CAP-04", error.strerror or "cannot be read", where=str(path), do="check path and permissions") from None


def _advice(line: bytes) -> str:
    """What a file rather is, by its first bytes."""
    if line[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a"):
        return "it is a packet capture: turn it into one with `telegram-router capture import`"
    return "give a file that `telegram-router capture` wrote"
