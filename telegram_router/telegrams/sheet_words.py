"""What our own layout sheets say and where: written by the exporter, read back by the importer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from telegram_router.telegrams.fields import Date, Kind, Opaque, Time

# The first sheet, or the head of a CSV file, begins with this cell: then what stands below is to be taken word for word.
MARK: Final = "telegram-router spec"

HEADINGS: Final = {
    "number": "NO",
    "label": "항목명",
    "english": "영문명",
    "offset": "위치(0부터)",
    "length": "길이(Byte)",
    "cumulative": "누적",
    "type": "타입",
    "required": "필수",
    "count": "반복",
    "codes": "코드값",
    "declaration": "선언 declaration",
}
HEADER: Final = "공통부"
BODY: Final = "개별부"
TOTAL: Final = "TOTAL LENGTH"
FROM_THE_BEGINNING: Final = "처음부터"
VARIABLE: Final = "가변"

MESSAGE, TITLE, KIND, REPLY, SYNTHETIC, KEY = "전문 message", "제목 title", "종류 kind", "응답 reply", "가상 synthetic", "키 "
NOT_CARRIED: Final = "담지 못한 것 not carried"

_PICTURE: Final = re.compile(r"S?9\(\d+\)(?:V9\(\d+\))?|X\(\d+\)")


def picture(kind: Kind) -> str:
    """A kind in the type column. What a type cannot say stands in the declaration."""
    if isinstance(kind, Date | Time):
        return f"9({kind.length})"
    if isinstance(kind, Opaque):
        return "X"
    found = _PICTURE.match(kind.rule)
    return found[0] if found is not None and not re.search(r"COMP|P\(", kind.rule) else kind.rule


def codes_text(kind: Kind) -> str:
    """Codes and their meanings in the column of codes, each on its line."""
    values = getattr(kind, "values", None)
    if not values:
        return ""
    named = values if isinstance(values, Mapping) else dict.fromkeys(values, "")
    return "\n".join(f"{_code(code)}: {meaning}" if meaning else _code(code) for code, meaning in named.items())


def _code(code: object) -> str:
    return "~".join(map(str, code)) if isinstance(code, tuple) else str(code)


def required_text(kind: Kind) -> str:
    """Whether the column of required fields has a Y."""
    return "Y" if getattr(kind, "required", False) or getattr(kind, "blank", "") == "error" else ""
