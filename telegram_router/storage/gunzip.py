"""The bytes of a stream that may be gzipped, as far as they can be had."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

CHUNK: Final = 256 * 1024
MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 31  # zlib's word for a gzip header and trailer


def unpacked(stream: BinaryIO, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """Chunks of a stream, unpacked if it begins as gzip does. `damaged` is told what is wrong; what stands behind is not read."""
    read = getattr(stream, "read1", stream.read)  # what is there now, of a pipe that goes on
    first = read(CHUNK)
    if not first.startswith(MAGIC):
        while first:
            yield first
            first = read(CHUNK)
        return
    unpack = zlib.decompressobj(_GZIP)
    while first:
        before = unpack.copy()
        try:
            yield unpack.decompress(first, CHUNK * 4)
        except zlib.error:
            yield _salvaged(before, first)
            damaged("the gzipped data are damaged; what stands behind is not read")
            return
        first = unpack.unconsumed_tail or unpack.unused_data or read(CHUNK)
        if unpack.eof and first:
            unpack = zlib.decompressobj(_GZIP)  # one member of several
    yield unpack.flush()


def _salvaged(unpack: zlib._Decompress, data: bytes) -> bytes:
    """What can be unpacked of data that are damaged somewhere."""
    found = []
    try:
        for at in range(len(data)):
            found.append(unpack.decompress(data[at : at + 1]))
    except zlib.error:
        pass
    return b"".join(found)
