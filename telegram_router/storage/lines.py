"""Lines of a file that may end anywhere: each is written with its checksum, and read whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

Bucket = tuple[str | int, ...]  # what the values belong to: a quota and its window, a day of usage
Values = Mapping[str, Any]
Stored = dict[Bucket, dict[str, Any]]

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[tuple[str | int, ...], dict[str, Any]])
_MARK = 9  # eight digits of the checksum, and a blank


class Found(NamedTuple):
    """What a file held, and what of it could not be read."""

    stored: Stored
    damaged: int  # lines that are not what was written
    torn: bool  # the last line was cut off, as a crash does
    sound: int  # bytes up to the end of the last whole line


def line_of(bucket: Bucket, values: Values) -> bytes:
    """Values of a bucket that hold from now on; those of other keys stay."""
    body = _ENCODER.encode((bucket, values))
    return b"%08x %b\n" % (crc32(body), body)


def read_lines(data: bytes) -> Found:
    """What the lines come to, a later one holding against an earlier one."""
    stored: Stored = {}
    damaged = 0
    whole, end, rest = data.rpartition(b"\n")
    for line in whole.split(b"\n") if end else ():
        read = _read(line)
        if read is None:
            damaged += 1
        else:
            stored.setdefault(read[0], {}).update(read[1])
    return Found(stored, damaged, bool(rest), len(whole) + len(end))


def all_lines(stored: Mapping[Bucket, Values]) -> Iterable[bytes]:
    return (line_of(bucket, values) for bucket, values in stored.items())


def _read(line: bytes) -> tuple[Bucket, dict[str, Any]] | None:
    mark, body = line[:_MARK], line[_MARK:]
    if mark != b"%08x " % crc32(body):
        return None
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:
        return None
