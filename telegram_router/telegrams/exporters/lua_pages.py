"""Code pages as tables for Lua: Wireshark has no cp949 and few EBCDIC pages."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from telegram_router.telegrams.fields.encodings import codec_of_text

FIRST_TRAIL: Final = 0x40  # no page has a trailing byte below
_NONE: Final = "\ufffd"


@cache
def code_page(encoding: str) -> dict[str, Any]:
    """Characters of an encoding: of single bytes, and of two bytes by the first of them."""
    codec = codec_of_text(encoding, None)
    single = "".join(_character(codec, bytes([byte])) for byte in range(256))
    shifts = _character(codec, b"\x0e\x40\x40\x0f") != _NONE
    rows = {lead: _row(codec, lead, shifts) for lead in range(FIRST_TRAIL if shifts else 0x80, 0xFF)}
    return {"single": single, "first": FIRST_TRAIL, "shifts": shifts, "rows": {lead: row for lead, row in rows.items() if row}}


def _character(codec: str, raw: bytes) -> str:
    try:
        text = raw.decode(codec)
    except UnicodeError:
        return _NONE
    return text if len(text) == 1 else _NONE


def _row(codec: str, lead: int, shifts: bool) -> str:
    frame = b"\x0e%c%c\x0f" if shifts else b"%c%c"
    return "".join(_character(codec, frame % (lead, trail)) for trail in range(FIRST_TRAIL, 0xFF)).rstrip(_NONE)
