"""Which encodings a fixed field can be in, and what there is to know of each."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

from telegram_router.telegrams.codepages import BLANK_WIDE, CP932, KSX1001, MIXED, SHIFT_IN, SHIFT_OUT
from telegram_router.telegrams.fields.kind import Mistake

# Encodings in which no two byte strings mean the same text and no two texts give the same bytes (tested for all characters).
BIJECTIVE: Final = frozenset({"ascii", "cp949", KSX1001, "utf-8", "iso8859-1", "cp037", "cp500", "cp1047", "jisx0201"})

# Encodings in which no two texts give the same bytes (tested likewise); of some texts there are several ways to write them.
FAITHFUL: Final = BIJECTIVE | MIXED.keys()

UTF16: Final = frozenset({"utf-16-be", "utf-16-le"})  # only for fields of double-byte characters

# Characters that people and programs take for each other; code pages have the one or the other.
_ALIKE: Final = ("₩￦", "—―", "～〜∼", "·・‧", "−－-", "‖∥", "¢￠", "£￡", "¬￢", "¥￥", "‾￣", "‐\u00ad-", "\u00a0 ", "⊙◉")

_SHIFTING: Final = frozenset(
    {"hz", "utf-7", "punycode", "unicode-escape", "raw-unicode-escape"}
    | {f"iso2022_{n}" for n in ("jp", "jp_1", "jp_2", "jp_2004", "jp_3", "jp_ext", "kr")}
)

_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))


def codec_name(encoding: str) -> str | None:
    """Python's own name of an encoding of text, None when it has no such codec; rot13, zlib and idna are for something else."""
    try:
        name = codecs.lookup(encoding).name
        b" ".decode(name)
    except UnicodeDecodeError:
        return name
    except (LookupError, TypeError, ValueError):
        return None
    return name if name != "idna" else None


def encoding_mistakes(encoding: str) -> Iterator[Mistake]:
    """Why an encoding cannot be used in a fixed field."""
    name = codec_name(encoding)
    if name is None:
        yield "E-CFG-20", f"encoding {encoding!r} is not known"
    elif name in ("euc_kr", "johab"):
        # Python's euc_kr writes a hangul that KS X 1001 lacks in eight bytes, and reads what partners call EUC-KR only in part.
        yield (
            "E-CFG-20",
            f'encoding {encoding!r} is not for fixed fields: write "cp949", with strict="ksx1001" where the partner takes no other hangul',
        )
    elif not _is_plain(name):
        yield (
            "E-CFG-20",
            f"encoding {encoding!r} does not keep each character's bytes to itself; use cp949, ascii or another plain code page",
        )


def codec_of_text(encoding: str | None, strict: str | None) -> str:
    """The codec by which texts of an encoding are read and written; ASCII for one that is not known."""
    codec = codec_name(strict_encoding(encoding or "ascii", strict)) or "ascii"
    return CP932 if codec == "cp932" else codec


def strict_encoding(encoding: str, strict: str | None) -> str:
    """The encoding whose characters may be used."""
    return KSX1001 if strict == "ksx1001" and codec_name(encoding) == "cp949" else encoding


def strictness_mistakes(encoding: str, strict: str | None) -> Iterator[Mistake]:
    """What is wrong with asking for strictness."""
    if strict not in (None, "ksx1001"):
        yield "E-CFG-20", f'strict must be "ksx1001" or None, not {strict!r}'
    elif strict and strict_encoding(encoding, strict) != KSX1001:
        yield "E-CFG-20", f'strict="ksx1001" is for cp949, not for {encoding}'


def _is_plain(codec: str) -> bool:
    """No shift states but the closed ones of mixed pages, no byte order mark, a blank of one byte, and a text encoding at all."""
    try:
        return (
            len(" ".encode(codec)) == 1
            and "A A".encode(codec) == "A".encode(codec) + " ".encode(codec) + "A".encode(codec)
            and codec not in _SHIFTING
        )
    except (LookupError, ValueError, TypeError):
        return False


@cache
def keeps_ascii(codec: str) -> bool:
    """Whether a byte below 0x80 is the character of ASCII."""
    return _PRINTABLE.encode(codec, "replace") == _PRINTABLE.encode("ascii")


@cache
def blank_of(codec: str) -> bytes:
    """The blank of one byte."""
    try:
        blank = " ".encode(codec)
    except (LookupError, ValueError):
        return b" "
    return blank if len(blank) == 1 else b" "


@cache
def wide_blank_of(codec: str) -> bytes | None:
    """The blank of two bytes: U+3000 without shift bytes, but in UTF-16 the common one. None where there is no such blank."""
    try:
        blank = without_shifts((" " if codec in UTF16 else BLANK_WIDE).encode(codec))
    except (LookupError, ValueError):
        return None
    return blank if len(blank) == 2 else None


def is_mixed(codec: str) -> bool:
    """Whether shift bytes stand around its double-byte characters."""
    return codec in MIXED


def without_shifts(content: bytes) -> bytes:
    return content.strip(SHIFT_OUT + SHIFT_IN)


def shifts_in(content: bytes) -> int:
    """How many shift bytes there are among the bytes of a mixed page."""
    return content.count(SHIFT_OUT) + content.count(SHIFT_IN)


def is_shifted_as_written(raw: bytes) -> bool:
    """Whether the shift bytes stand as a mixed page writes them: none around nothing, none between two runs, none left open."""
    return SHIFT_OUT + SHIFT_IN not in raw and SHIFT_IN + SHIFT_OUT not in raw and raw.count(SHIFT_OUT) == raw.count(SHIFT_IN)


def exists_in(character: str, codec: str) -> bool:
    try:
        return character.encode(codec).decode(codec) == character
    except UnicodeError:
        return False


def look_alike(character: str, codec: str, wide: bool = False) -> str | None:
    """The character of a code page that was probably meant. `wide`: one that is as wide as two, for a character of ASCII."""
    if wide and " " <= character <= "~":
        full = BLANK_WIDE if character == " " else chr(ord(character) + 0xFEE0)
        return full if exists_in(full, codec) else None
    alike = next((group for group in _ALIKE if character in group), "")
    return next((other for other in alike if other != character and exists_in(other, codec)), None)


def is_part_of_character(character: str) -> bool:
    """Whether it is a piece that composes with others: a conjoining jamo, a combining mark."""
    return "\u1100" <= character <= "\u11ff" or unicodedata.combining(character) > 0
