"""The C library's iconv, asked code by code: what the code pages of this package were made from and are checked against.

`python tests/telegrams/iconv_oracle.py cp933` prints the page's table module anew.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator

from telegram_router.telegrams.codepages import MIXED
from telegram_router.telegrams.codepages.packed import HOLE, double_codes, packed

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.iconv_open.restype = ctypes.c_void_p
_LIBC.iconv.argtypes = [ctypes.c_void_p] * 5
_LIBC.iconv.restype = ctypes.c_size_t
_FAILED = ctypes.c_void_p(-1).value
_ROOM = 64

# What the C library calls these pages. Its CP932 is Microsoft's, its SJIS the older one with a yen sign in place of the backslash.
NAMES = {
    "cp037": "IBM037",
    "cp500": "IBM500",
    "cp1047": "IBM1047",
    "cp933": "IBM933",
    "cp1364": "IBM1364",
    "cp930": "IBM930",
    "cp939": "IBM939",
    "cp949": "CP949",
    "cp932": "CP932",
    "sjis": "SJIS",
}
ONE_BYTE = ("cp037", "cp500", "cp1047")
# Every page here keeps to U+FFFF; the rest is asked for by a few.
CHARACTERS = tuple(map(chr, (*range(0xD800), *range(0xE000, 0x10000), 0x1F600, 0x20000, 0x10FFFF)))


class Iconv:
    """One direction of one conversion. `converter(content)` gives None where the C library refuses."""

    def __init__(self, to: str, source: str) -> None:
        self._descriptor = _LIBC.iconv_open(to.encode(), source.encode())
        if self._descriptor == _FAILED:
            raise LookupError(f"the C library's iconv has no conversion from {source} to {to}: install libc-gconv-modules-extra")
        self._room = ctypes.create_string_buffer(_ROOM)

    def __call__(self, content: bytes) -> bytes | None:
        _LIBC.iconv(self._descriptor, None, None, None, None)
        given = ctypes.create_string_buffer(content, len(content))
        given_at, given_left = ctypes.c_void_p(ctypes.addressof(given)), ctypes.c_size_t(len(content))
        room_at, room_left = ctypes.c_void_p(ctypes.addressof(self._room)), ctypes.c_size_t(_ROOM)
        to = ctypes.byref(room_at), ctypes.byref(room_left)
        irreversible = _LIBC.iconv(self._descriptor, ctypes.byref(given_at), ctypes.byref(given_left), *to)
        if irreversible or given_left.value:
            return None
        _LIBC.iconv(self._descriptor, None, None, *to)  # closes a run of double-byte characters
        return self._room.raw[: _ROOM - room_left.value]


def reader(page: str) -> Iterator[tuple[bytes, str | None]]:
    """Each code of a page and its text."""
    converter = Iconv("UTF-32BE", NAMES[page])
    for code in codes_of(page):
        text = converter(code)
        yield code, None if text is None else text.decode("utf-32-be")


def codes_of(page: str) -> Iterator[bytes]:
    """All codes that a page might have: one byte, then two, between shift bytes where the page has these."""
    yield from (bytes([code]) for code in range(0x100))
    if page in ONE_BYTE:
        return
    for code in range(0x10000):
        pair = code.to_bytes(2, "big")
        if page not in MIXED:
            yield pair
        elif pair[0] not in b"\x0e\x0f" and pair[1] not in b"\x0e\x0f":
            yield b"\x0e" + pair + b"\x0f"


def writer(page: str) -> Iterator[tuple[str, bytes | None]]:
    """Each character there is, and its bytes in a page."""
    converter = Iconv(NAMES[page], "UTF-32BE")
    for character in CHARACTERS:
        yield character, converter(character.encode("utf-32-be"))


def table_module(page: str) -> str:
    """Source of the module that keeps a mixed page."""
    texts = dict(reader(page))
    kept = {"SINGLE": [texts[bytes([code])] or HOLE for code in range(0x100)]}
    if MIXED[page].double_of == page:
        kept["DOUBLE"] = [texts[b"\x0e" + code.to_bytes(2, "big") + b"\x0f"] or HOLE for code in double_codes()]
    lines = [f'"""{page}, made from {NAMES[page]} of the GNU C library by tests/telegrams/iconv_oracle.py. See packed.py."""', ""]
    for name, characters in kept.items():
        text = packed(characters)
        lines += [f"{name} = (", *(f'    "{text[at : at + 120]}"' for at in range(0, len(text), 120)), ")"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(table_module(sys.argv[1]), end="")
