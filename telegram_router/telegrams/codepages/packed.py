"""How the tables of double-byte code pages are kept in this package: as text in a module, since the layer reads no files."""

# A table module holds what `packed` makes of a page: the steps from each code's character to the next code's, all high bytes
# in front of all low bytes, compressed by zlib and written in base 85. A step of 0 is a code without a character; no two
# neighbours have the same one. Codes go in their order: SINGLE from 0x00 to 0xFF, DOUBLE 0x4040 (the wide blank) and then
# second bytes 0x41 to 0xFE of first bytes 0x41 to 0xFE.

from __future__ import annotations

import base64
import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

HOLE: Final = "\ufffe"  # stands in a table where the page has no character


def double_codes() -> Iterator[int]:
    """The codes of two bytes that a page may have."""
    yield 0x4040
    yield from (first << 8 | second for first in range(0x41, 0xFF) for second in range(0x41, 0xFF))


def packed(characters: Sequence[str]) -> str:
    """The text to keep for characters in the order of their codes; HOLE for a code that has none."""
    steps, last = [], _BEFORE
    for character in characters:
        steps.append((ord(character) - last) % 0x10000 if character != HOLE else 0)
        last = ord(character) if character != HOLE else last
    halves = bytes(step >> 8 for step in steps) + bytes(step & 0xFF for step in steps)
    return base64.b85encode(zlib.compress(halves, 9)).decode("ascii")


def unpacked_single(kept: str) -> str:
    """The character of every code of one byte."""
    return "".join(_characters(kept))


def unpacked_double(kept: str) -> str:
    """The character of every code of two bytes, from 0 to 0xFFFF."""
    table = [HOLE] * 0x10000
    for code, character in zip(double_codes(), _characters(kept), strict=True):
        table[code] = character
    return "".join(table)


_BEFORE: Final = 0xFFFF  # the first step counts from here, so that U+0000 is a step too


def _characters(kept: str) -> Iterator[str]:
    halves = zlib.decompress(base64.b85decode(kept))
    steps = [high << 8 | low for high, low in zip(halves[: len(halves) // 2], halves[len(halves) // 2 :], strict=True)]
    ends = itertools.accumulate(steps, lambda last, step: (last + step) % 0x10000, initial=_BEFORE)
    next(ends)
    return (chr(end) if step else HOLE for step, end in zip(steps, ends, strict=True))
