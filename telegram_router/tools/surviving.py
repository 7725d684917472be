"""Numbers of people that are still in a capture: resident numbers, cards, mobile phones, in every encoding that telegrams have."""

# Rules this file keeps, all of them tested:
#
# 1. A find says where, and what kind of number: never the number.
# 2. In a telegram that can be decoded each field is looked at for itself: digits of neighbours make no number. In any other bytes
#    a number ends where its digits end: as text, in EBCDIC, packed, and written out in hexadecimal or base64.

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Spec
from telegram_router.telegrams.pseudonyms import shape_of
from telegram_router.tools.recorded import Recorded

_NUMBER: Final = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){9,18}(?![0-9])")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{20,}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{14,}={0,2}")
_NOT_LOOKED_AT: Final = frozenset(
    {"k", "n", "t", "t0", "t1", "raw", "c", "x", "sha256", "spec_sha256", "hmac", "key_id", "fingerprint", "len"}
)
_EBCDIC: Final = bytes(
    code - 0xC0 if 0xF0 <= code <= 0xF9 else 0x20 if code == 0x40 else 0x2D if code == 0x60 else 0xFF for code in range(256)
)
WORDS: Final = {"rrn": "resident number", "card": "card number", "phone": "mobile phone number"}


class Survivor(NamedTuple):
    """Something that looks genuine."""

    number: int  # of the record in its file, the head being 0
    kind: str  # rrn, card, phone
    place: str  # path of the field, or the key of the record


def survivors(number: int, record: Record, spec: Spec | None) -> Iterator[Survivor]:
    """What looks genuine in a record."""
    for key, value in record.items():
        if key not in _NOT_LOOKED_AT:
            for kind in _in_any(value):
                yield Survivor(number, kind, key)
    raw = record.get("raw")
    if not isinstance(raw, bytes):
        return
    fields = Recorded(record, spec).fields if record["k"] == "m" else {}
    for path, value in fields.items():
        for kind in _in_any(value):
            yield Survivor(number, kind, path)
    if not fields:
        for kind in in_bytes(raw):
            yield Survivor(number, kind, "raw")


def _in_any(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from in_text(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from in_text(str(value))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _in_any(each)
    elif isinstance(value, list):
        for each in value:
            yield from _in_any(each)


def in_text(text: str) -> Iterator[str]:
    """Kinds of the genuine numbers in a text."""
    for found in _NUMBER.finditer(text):
        shape = shape_of(found[0].replace("-", "").replace(" ", ""))
        if shape is not None and shape[1]:
            yield shape[0]


def _packed(halves: str) -> Iterator[str]:
    """Packed numbers of the sizes that are looked for: they end in a sign at a byte's end, and begin at a byte's beginning."""
    for sign in re.finditer("[cdf]", halves):
        if sign.start() % 2:
            for size in (10, 11, 13, 15, 16):
                start = max(sign.start() - size - (size % 2 == 0), 0)
                digits = halves[start : sign.start()]
                begins = not halves[max(start - 2, 0) : start].isdecimal()  # the byte before is none of its digits
                if begins and digits.isdecimal() and len(digits) >= size and (size % 2 or digits[0] == "0"):
                    yield digits[-size:]


def in_bytes(raw: bytes) -> Iterator[str]:
    """Kinds of the genuine numbers in bytes that nobody can decode."""
    plain = raw.decode("latin-1")
    texts = [plain, raw.translate(_EBCDIC).decode("latin-1"), *_packed(raw.hex())]
    texts += [raw.decode("utf-16-le", "replace"), raw.decode("utf-16-be", "replace")]
    for found in _HEX.finditer(plain):
        texts.append(bytes.fromhex(found[0][: len(found[0]) & ~1]).decode("latin-1"))
    for found in _BASE64.finditer(plain):
        try:
            texts.append(base64.b64decode(found[0] + "=" * (-len(found[0]) % 4)).decode("latin-1"))
        except binascii.Error:
            continue
    for text in texts:
        yield from in_text(text)
