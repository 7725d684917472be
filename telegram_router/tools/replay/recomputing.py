"""Fields that follow from the rest of their telegram: checksums, and what somebody's function makes of it. Pure."""

# A checksum is of all bytes of the telegram before its field; what frames it is not part of it. In a field of digits it stands as a
# decimal number, its last digits where it does not fit; in a binary one as that; in a text as hexadecimal digits, capitals.

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor
from types import MappingProxyType
from typing import Any, Final

from telegram_router.telegrams import PlannedField
from telegram_router.telegrams.fields.binary import Binary
from telegram_router.telegrams.fields.numbers import Number

CHECKSUMS: Final[Mapping[str, Callable[[bytes], int]]] = MappingProxyType(
    {
        "xor8": lambda data: reduce(xor, data, 0),
        "sum8": lambda data: sum(data) & 0xFF,
        "sum16": lambda data: sum(data) & 0xFFFF,
        "sum": sum,
        "crc16": lambda data: binascii.crc_hqx(data, 0xFFFF),  # CCITT, from all ones
        "crc32": zlib.crc32,
    }
)


def checksum(name: str, planned: PlannedField, telegram: bytes) -> Any:
    """The value of a field that holds a checksum of what stands before it."""
    number = CHECKSUMS[name](telegram[: planned.offset])
    kind = planned.kind
    if isinstance(kind, Binary):
        return number % (kind.most_units + 1)
    if isinstance(kind, Number):
        return number % 10**kind.digits
    return f"{number:0{planned.length}X}"[-planned.length :]
