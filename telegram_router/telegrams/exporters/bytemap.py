"""A telegram byte by byte, for documents in a fixed-width font: ruler, map of its fields, hex and text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.explain import display_width
from telegram_router.telegrams.exporters.walk import Line, planned_path
from telegram_router.telegrams.fields import CharKind, Filler
from telegram_router.telegrams.ruler import UNSHOWN, characters_in

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout

MARKS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
RESERVED: Final = "."
_MAP_COLUMNS: Final = 32
_RULER_COLUMNS: Final = 60
_HEX_COLUMNS: Final = 16


def marks(lines: Sequence[Line]) -> dict[str, str]:
    """By path: a letter for each field that has a value, a dot for reserved bytes. Beyond 62 fields the letters begin again."""
    made: dict[str, str] = {}
    letters = itertools.cycle(MARKS)
    for line in lines:
        if line.field is not None and line.path not in made:
            made[line.path] = RESERVED if isinstance(line.field.kind, Filler) else next(letters)
    return made


def marked_bytes(message: MessageLayout, telegram: bytes, marked: Mapping[str, str]) -> str:
    """The mark of each byte of a telegram."""
    bytes_of = [RESERVED] * len(telegram)
    for planned in message.fields_of(telegram):
        end = len(telegram) if planned.is_opaque else planned.end
        for at in range(planned.offset, min(end, len(telegram))):
            bytes_of[at] = marked.get(planned_path(planned.path), RESERVED)
    return "".join(bytes_of)


def byte_map(marked: str) -> Iterator[str]:
    """32 bytes to a line: which field each of them belongs to."""
    tens = "".join(str(at // 10) if at % 10 == 0 else " " for at in range(_MAP_COLUMNS)).rstrip()
    yield f"{'':>8}{tens}"
    yield f"{'':>8}{''.join(str(at % 10) for at in range(_MAP_COLUMNS))}"
    for start in range(0, len(marked), _MAP_COLUMNS):
        yield f"{start:>6}  {marked[start : start + _MAP_COLUMNS]}"


def ruler(marked: str, shown: Sequence[str]) -> Iterator[str]:
    """60 bytes to a line, the ruler above and the fields' marks below."""
    yield " " * 8 + "".join(f"{at:<10}" for at in range(0, _RULER_COLUMNS, 10)).rstrip()
    yield " " * 8 + "|........." * (_RULER_COLUMNS // 10)
    for start in range(0, len(marked), _RULER_COLUMNS):
        yield f"{start:>6}  {''.join(shown[start : start + _RULER_COLUMNS])}".rstrip()
        yield f"{'':>8}{marked[start : start + _RULER_COLUMNS]}".rstrip()


def hex_lines(telegram: bytes, shown: Sequence[str]) -> Iterator[str]:
    """16 bytes to a line, as hex and as text."""
    yield f"{'':>8}{' '.join(f'{at:>2}' for at in range(_HEX_COLUMNS))}"
    for start in range(0, len(telegram), _HEX_COLUMNS):
        part = telegram[start : start + _HEX_COLUMNS]
        yield f"{start:>6}  {part.hex(' '):<{3 * _HEX_COLUMNS - 1}}  {''.join(shown[start : start + _HEX_COLUMNS])}".rstrip()


def shown_bytes(message: MessageLayout, telegram: bytes) -> list[str]:
    """What to print for each byte: its character; a two-byte character stands with its first byte, which takes two columns."""
    shown: list[str] = []
    for planned in message.fields_of(telegram):
        part = telegram[planned.offset : None if planned.is_opaque else planned.end]
        is_text = isinstance(planned.kind, CharKind | Filler) or not planned.kind.binary  # packed digits are no characters
        encoding = getattr(planned.kind, "encoding", None) or message.spec.encoding
        double = getattr(planned.kind, "double_byte", False)
        shown += characters(part, encoding, double=double) if is_text else [UNSHOWN] * len(part)
    return shown + characters(telegram[len(shown) :], message.spec.encoding)


def characters(part: bytes, encoding: str, *, double: bool = False) -> list[str]:
    """One text for each byte, of as many columns as the byte has; what is not printable is a middle dot."""
    shown = characters_in(encoding, part, double=double)
    begins = [at for at, text in enumerate(shown) if text]
    for at, end in itertools.pairwise([*begins, len(shown)]):
        shown[at] += " " * (end - at - display_width(shown[at]))
    return shown
