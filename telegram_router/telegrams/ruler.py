"""Bytes under a ruler: offsets above, hex and text side by side, carets under those that are bad."""

# Rules this file keeps, all of them tested:
#
# 1. What is masked shows as stars, in hex and in text.
# 2. A byte takes three columns, a character as many as its bytes do, so that text stands under its own hex, Hangul too.
# 3. What could steer a terminal is shown as a dot.

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from telegram_router.telegrams.codepages import SHIFT_IN, SHIFT_OUT
from telegram_router.telegrams.fields import FieldFault, Kind, Text
from telegram_router.telegrams.fields.charset import CharKind
from telegram_router.telegrams.fields.encodings import codec_name, is_mixed

ACROSS: Final = 24  # bytes on a line: 72 columns and the indent
UNSHOWN: Final = "·"
_REACH: Final = 4  # bytes shown on either side of what is bad
_MOST: Final = 4 * ACROSS
_NAMED: Final = re.compile(r"byte ([0-9]+) of the field")
_MANY: Final = 3  # culprits from which on the whole field is to blame


@dataclass(frozen=True)
class Stretch:
    """A field's part of the telegram, for showing. `kind` is None where no field is."""

    offset: int
    length: int
    kind: Kind | None
    masked: bool


@dataclass(frozen=True)
class Cell:
    """One byte."""

    hex: str
    text: str  # "" behind the first byte of a character
    width: int  # columns of the text
    bad: bool
    masked: bool


@dataclass(frozen=True)
class Line:
    """One line of bytes."""

    marks: str  # offsets
    cells: tuple[Cell, ...]
    carets: str

    @property
    def hex(self) -> str:
        return " ".join(cell.hex for cell in self.cells)

    @property
    def text(self) -> str:
        return "".join(padded(cell) for cell in self.cells).rstrip()

    def lines(self) -> Iterator[str]:
        yield self.marks
        yield self.hex
        yield self.text
        if self.carets:
            yield self.carets


def padded(cell: Cell) -> str:
    """The text of a cell, as wide as its byte's hex and the blank behind it."""
    return cell.text + " " * (3 - cell.width)


def ruler(telegram: bytes, stretches: Sequence[Stretch], start: int, end: int, bad: frozenset[int]) -> Iterator[Line]:
    """The lines that show the bytes from `start` to `end` with some beside them; of many only those with something bad."""
    begin, stop = max(0, start - _REACH), min(len(telegram), end + _REACH)
    cells = _cells(telegram, stretches, begin, stop, bad)
    borders = {each.offset for each in stretches}
    shown = 0
    for at in range(begin, stop, ACROSS):
        part = cells[at - begin : at - begin + ACROSS]
        if stop - begin > _MOST and not any(cell.bad for cell in part):
            continue
        shown += 1
        if shown > _MOST // ACROSS:
            return
        carets = "".join("^^^" if cell.bad and more.bad else "^^ " if cell.bad else "   " for cell, more in _pairs(part))
        yield Line(_marks(at, len(part), borders), tuple(part), carets.rstrip())


def _pairs(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Cell]]:
    nothing = Cell("", "", 0, False, False)
    return zip(cells, [*cells[1:], nothing], strict=True)


def _marks(at: int, count: int, borders: set[int]) -> str:
    """Offsets above the first byte and where fields begin, as far as there is room."""
    line = ""
    for place in range(at, at + count):
        column = 3 * (place - at)
        if (place == at or place in borders) and len(line) <= column:
            line = line.ljust(column) + f"{place} "
    return line.rstrip()


def _cells(telegram: bytes, stretches: Sequence[Stretch], begin: int, stop: int, bad: frozenset[int]) -> list[Cell]:
    cells: list[Cell] = []
    for each in stretches:
        if each.offset < stop and each.offset + each.length > begin:
            part = telegram[each.offset : each.offset + each.length]
            for number, text in enumerate(characters(each.kind, part)):
                at = each.offset + number
                if begin <= at < stop:
                    cells.append(_cell(part[number], text, at in bad, each.masked))
    return cells


def _cell(byte: int, text: str, bad: bool, masked: bool) -> Cell:
    if masked:
        return Cell("**", "*", 1, bad, True)
    return Cell(f"{byte:02x}", text, sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text), bad, False)


# --- what bytes say -----------------------------------------------------------------------------------------------


def characters(kind: Kind | None, part: bytes) -> list[str]:
    """The text of each byte, in the field's own encoding: "" for the bytes of a character behind its first."""
    codec = kind.encoding or "ascii" if isinstance(kind, Text) else _codec_of(kind)
    return characters_in(codec, part, double=getattr(kind, "double_byte", False))


def characters_in(encoding: str, part: bytes, *, double: bool = False) -> list[str]:
    """The same in an encoding that is known; `double`: without the shift codes that stand around double bytes elsewhere."""
    mixed = is_mixed(codec_name(encoding) or "")
    shifted = mixed and double
    shown: list[str] = []
    while len(shown) < len(part):
        at = len(shown)
        if mixed and part[at : at + 1] in (SHIFT_OUT, SHIFT_IN):
            shifted = part[at : at + 1] == SHIFT_OUT
            shown.append(UNSHOWN)
            continue
        shown += _one(part[at:], encoding, shifted)
    return shown[: len(part)]


def _one(rest: bytes, codec: str, shifted: bool) -> list[str]:
    for count in (2,) if shifted else (1, 2, 3, 4):
        piece = SHIFT_OUT + rest[:count] + SHIFT_IN if shifted else rest[:count]
        try:
            text = piece.decode(codec)
        except (UnicodeError, LookupError):
            continue
        return [text if len(text) == 1 and text.isprintable() else UNSHOWN, *[""] * (count - 1)]
    return [UNSHOWN]


def _codec_of(kind: Kind | None) -> str:
    return kind.charset.codec or "ascii" if isinstance(kind, CharKind) else "ascii"


# --- which bytes are bad ------------------------------------------------------------------------------------------


def bad_places(kind: Kind, part: bytes, total: int, what: str) -> range | list[int]:
    """Which bytes of a field are to blame: those that alone make the difference, or the whole field."""
    if isinstance(kind, Text):
        unreadable = [at for at, text in enumerate(characters(kind, part)) if text == "·"]
        return unreadable or range(len(part))
    culprits = [at for at in range(len(part)) if any(_reads(kind, part[:at] + each + part[at + 1 :], total) for each in _likely(kind))]
    if 0 < len(culprits) <= _MANY:
        return culprits
    named = _NAMED.search(what)
    if named is None or culprits:
        return range(len(part))
    return _strangers(kind, part) or [int(named[1]) - 1]


def _likely(kind: Kind) -> tuple[bytes, ...]:
    charset = kind.charset if isinstance(kind, CharKind) else None
    return (*(charset.wire(each) if charset else each for each in (b"0", b"1", b" ", b"A", b"+")), b"\x0c")


def _strangers(kind: Kind, part: bytes) -> list[int]:
    """Bytes that are no digits, in a field of digits with more than one of them."""
    plain = kind.charset.ascii(part) if isinstance(kind, CharKind) else part
    found = [at for at, byte in enumerate(plain) if not 0x30 <= byte <= 0x39]
    return found if len(found) < len(part) else []


def _reads(kind: Kind, part: bytes, total: int) -> bool:
    try:
        kind.read_in(part, total)
    except FieldFault:
        return False
    return True
