"""What a type cell says: `X(9)`, `9(12)V9(3)`, `S9(13)`, `AN`, `C20`, `X(3*35)`, `GROUP`, 한글."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final, Literal

Form = Literal[
    "text",
    "code",
    "digits",
    "hangul",
    "date",
    "time",
    "binary",
    "packed",
    "filler",
    "group",
    "rest",
    "views",
    "versions",
    "overlay",
    "bytes",
]


@dataclass(frozen=True)
class CellType:
    """A type cell, understood. Sizes are digits or characters, as the cell gives them; None where it gives none."""

    form: Form
    size: int | None = None
    scale: int = 0
    times: int | None = None  # X(3*35)
    signed: bool = False
    pair: tuple[int, int] | None = None  # 9(12,3): 12 digits in all or before the point, which its length must tell

    def length(self) -> int | None:
        """Bytes of one, as far as the type alone says."""
        if self.size is None:
            return sum(self.pair) if self.pair else None
        return self.size // 2 + 1 if self.form == "packed" else None if self.form == "binary" else self.size


_WORDS: Final[dict[str, Form]] = {
    **dict.fromkeys(("X", "AN", "ANS", "NA", "ANX", "C", "CH", "CHAR", "CHARACTER", "VARCHAR", "VARCHAR2", "STR", "STRING", "TEXT"), "text"),
    **dict.fromkeys(("ALPHANUMERIC", "ALPHA-NUMERIC", "ALPHABETIC", "A/N"), "text"),
    **dict.fromkeys(("문자", "문자열", "영숫자", "문자형", "영문숫자", "영숫자한글", "AHN", "ANH", "AH", "ANHS", "혼합", "M"), "text"),
    **dict.fromkeys(("A", "영문", "ALPHA", "영문자"), "text"),
    **dict.fromkeys(("9", "N", "NUM", "NUMBER", "NUMERIC", "INT", "INTEGER", "LONG", "DECIMAL", "숫자", "숫자형", "정수", "NS", "Z"), "digits"),
    **dict.fromkeys(("H", "K", "한글", "HAN", "KOR", "HANGUL", "KOREAN", "전각", "한글형"), "hangul"),
    **dict.fromkeys(("D", "DATE", "일자", "날짜"), "date"),
    **dict.fromkeys(("TIME", "시간", "시각", "DATETIME", "일시"), "time"),
    **dict.fromkeys(("B", "BIN", "BINARY", "COMP", "COMP-4", "COMP-5", "이진"), "binary"),
    **dict.fromkeys(("P", "PACKED", "COMP-3", "PD", "BCD"), "packed"),
    **dict.fromkeys(("FILLER", "공란", "예비", "여백"), "filler"),
    **dict.fromkeys(("GROUP", "GRP", "그룹", "STRUCT", "STRUCTURE", "구조체", "구조", "OBJECT", "LIST", "ARRAY", "배열", "반복부", "묶음"), "group"),
    **dict.fromkeys(("BYTE", "BYTES", "RAW"), "bytes"),
    "REDEFINES": "views",
    "VERSIONS": "versions",
    "OVERLAY": "overlay",
}  # fmt: skip
_SIGNED: Final = {"S9": "digits", "SN": "digits", "9S": "digits", "N(S)": "digits"}
_USAGES: Final[dict[str, Form]] = {"COMP-3": "packed", "PACKED-DECIMAL": "packed", "COMP": "binary", "COMP-4": "binary", "COMP-5": "binary", "BINARY": "binary"}  # fmt: skip


def cell_type(text: str) -> CellType | None:
    """A type cell's meaning, None when it has none that is known. Its text is not empty."""
    shown = " ".join(unicodedata.normalize("NFKC", text).split())
    upper = shown.upper()
    usage = re.fullmatch(r"(.+?)\s+(COMP-3|PACKED-DECIMAL|COMP-4|COMP-5|COMP|BINARY)", upper)
    if usage:
        inner = cell_type(usage[1])
        return None if inner is None else replace(inner, form=_USAGES[usage[2]])
    return _picture(re.sub(r"\s+", "", upper))


def _picture(text: str) -> CellType | None:
    if text in _SIGNED:
        return CellType("digits", signed=True)
    if text in _WORDS:
        return CellType(_WORDS[text])
    array = re.fullmatch(r"(.+?)\*(\d{1,4})|(\d{1,4})\*(.+)", text)
    if array:  # X(35)*3, 3*X(35), GROUP*5
        inner = _picture(array[1] or array[4])
        return None if inner is None or inner.times else replace(inner, times=int(array[2] or array[3]))
    return _with_size(text) or _cobol(text)


def _with_size(text: str) -> CellType | None:
    """A word and a size: AN(20), C20, X(3*35), N(13,2), A5 of a group."""
    found = re.fullmatch(r"(S9|SN|9|[^\W\d]+[\d-]*?)\(([^()]*)\)|([^\W\d]+)(\d{1,5})", text)
    if found is None:
        return None
    word, inside = found[1] or found[3], found[2] or found[4] or ""
    form, signed = (_WORDS[word], False) if word in _WORDS else (_SIGNED.get(word), True)
    if form is None:
        return None
    kind = CellType(form, signed=signed)  # type: ignore[arg-type]  # the values of both tables are forms
    if re.fullmatch(r"\d{1,5}", inside):
        return replace(kind, times=int(inside)) if form == "group" else replace(kind, size=int(inside))
    times = re.fullmatch(r"(\d{1,4})[*X×](\d{1,5})", inside)
    if times:
        first, second = int(times[1]), int(times[2])
        return replace(kind, times=first, size=second)
    pair = re.fullmatch(r"(\d{1,2})[,.](\d{1,2})", inside)
    return replace(kind, pair=(int(pair[1]), int(pair[2]))) if pair and form in ("digits", "packed") else None


def _cobol(text: str) -> CellType | None:
    """A picture of digits or characters: S9(12)V9(3), 9(3)V99, XX, 999."""
    found = re.fullmatch(r"(S?)((?:9(?:\(\d{1,2}\))?)+)(?:V((?:9(?:\(\d{1,2}\))?)+))?|(?:X|A)+", text)
    if found is None:
        return None
    if found[2] is None:
        return CellType("text", size=len(text))
    before, behind = _nines(found[2]), _nines(found[3] or "")
    return CellType("digits", size=before + behind, scale=behind, signed=bool(found[1]))


def _nines(text: str) -> int:
    return sum(int(size) if size else 1 for size in re.findall(r"9(?:\((\d{1,2})\))?", text))


def cell_length(text: str) -> tuple[int, int] | None:
    """How often and how many bytes a length cell says: 13, 13.0, `13 byte`, 3*35. None when it says no whole number."""
    shown = re.sub(r"[\s,]+(?=\d{3}\b)", "", unicodedata.normalize("NFKC", text))
    shown = re.sub(r"\s|bytes?|바이트|자리|\(b\)", "", shown, flags=re.IGNORECASE).strip("()[]")
    whole = re.fullmatch(r"(\d{1,6})(?:\.0+)?b?", shown, re.IGNORECASE)
    if whole:
        return 1, int(whole[1])
    times = re.fullmatch(r"(\d{1,4})[*x×](\d{1,5})", shown, re.IGNORECASE)
    return (int(times[1]), int(times[2])) if times else None


def whole_number(text: str) -> int | None:
    """A count or offset cell, None when it says no whole number."""
    found = cell_length(text)
    return found[1] if found is not None and found[0] == 1 else None
