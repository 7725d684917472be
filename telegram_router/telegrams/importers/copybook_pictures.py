"""What a PICTURE says: category, digits, places behind the point; and the bytes it takes in each usage and dialect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from telegram_router.telegrams.fields.binary import MOST_DIGITS

Category = Literal["text", "number", "edited", "edited text", "wide", "float"]
Dialect = Literal["ibm", "gnucobol", "mf"]

_REPEATED: Final = re.compile(r"(.)\((\d{1,6})\)", re.DOTALL)


class PictureError(ValueError):
    """A picture that is not possible. Its text says why."""


@dataclass(frozen=True)
class Picture:
    """A picture taken apart. `digits` are those that are stored; `scale` as the field kinds count it."""

    text: str  # in capitals, as it stands
    category: Category
    size: int  # characters when it is displayed, a separate sign not counted
    digits: int = 0
    scale: int = 0
    is_signed: bool = False


def parse_picture(text: str) -> Picture:
    """Raises PictureError."""
    capitals = text.upper()
    symbols = _REPEATED.sub(_repetition, capitals)
    if "(" in symbols or ")" in symbols:
        raise PictureError("a repetition is not a number in parentheses")
    unknown = sorted(set(symbols) - set("AXN9SVPGUBZ*+-CRDE.,/0$£€¥₩"))
    if unknown:
        raise PictureError(f"{', '.join(unknown)} is no symbol of a picture")
    if set(symbols) <= set("9SVP"):
        return _number(capitals, symbols)
    return _other(capitals, symbols)


def _repetition(match: re.Match[str]) -> str:
    count = int(match[2])
    if not 1 <= count <= 32_767:
        raise PictureError(f"a repetition of {count} is not possible")
    return match[1] * count


def _number(text: str, symbols: str) -> Picture:
    found = re.fullmatch(r"(S?)(P*)(9*)(?:(V)(P*)(9*)|(P*)V?)", symbols)
    if found is None:
        raise PictureError("S, V and P do not stand where they can")
    in_front = len(found[2]) + len(found[5] or "")
    behind = len(found[7] or "")
    whole, places = len(found[3]), len(found[6] or "")
    digits = whole + places
    if (found[2] and (found[5] or found[6] or found[7])) or (found[5] and whole):
        raise PictureError("P stands among the digits")
    if not digits:
        raise PictureError("there is no 9")
    if digits > MOST_DIGITS:
        raise PictureError(f"{digits} digits are more than {MOST_DIGITS}")
    scale = digits + in_front if in_front else places - behind
    return Picture(text, "number", digits, digits, scale, bool(found[1]))


def _other(text: str, symbols: str) -> Picture:
    kinds = set(symbols)
    if kinds <= set("AX9"):
        return Picture(text, "text", len(symbols))
    if kinds <= set("NG"):
        return Picture(text, "wide", len(symbols))
    if kinds <= set("AX9B0/"):
        return Picture(text, "edited text" if kinds & set("AX") else "edited", len(symbols))
    if kinds <= set("NGB0/") and kinds & set("NG"):
        return Picture(text, "wide", len(symbols))
    if re.fullmatch(r"[+-]9*[V.]?9*E[+-]99", symbols):
        return Picture(text, "float", len(symbols.replace("V", "")))
    if "E" in kinds or kinds & set("AXNGU") or "S" in kinds:
        raise PictureError("its symbols cannot stand together")
    return Picture(text, "edited", len(symbols.replace("V", "").replace("P", "")))


# --- bytes ------------------------------------------------------------------------------------------------------

_POINTERS: Final = frozenset(("POINTER", "FUNCTION-POINTER", "PROCEDURE-POINTER", "PROGRAM-POINTER"))
_PLAIN_BINARIES: Final = {"BINARY-CHAR": 1, "BINARY-SHORT": 2, "BINARY-LONG": 4, "BINARY-DOUBLE": 8}
_FLOATS: Final = {"COMP-1": 4, "COMP-2": 8}


def fixed_size(usage: str, dialect: Dialect) -> int | None:
    """Bytes of a usage that has no picture, None for those that have one."""
    if usage in _POINTERS:
        return 4 if dialect == "ibm" else 8
    return {**_PLAIN_BINARIES, **_FLOATS, "INDEX": 4}.get(usage)


def alignment(usage: str, size: int, dialect: Dialect) -> int:
    """What the offset of a SYNC field is a multiple of."""
    if usage in ("COMP", "COMP-5", "COMP-N", "COMP-X", *_PLAIN_BINARIES):
        if dialect == "ibm":
            return min(size, 4)
        return size if size in (2, 4, 8) else 1
    if usage == "COMP-2":
        return 8
    if usage in _FLOATS or usage == "INDEX":
        return 4
    return size if usage in _POINTERS else 1
