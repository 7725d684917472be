"""Code pages of one byte a character: each is another one but for a few places, so none needs a table."""

from __future__ import annotations

import codecs
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HOLE: Final = "\ufffe"  # stands in a table where the page has no character, as Python's own code pages have it


def _cp1047() -> str:
    """The Latin-1 page of z/OS UNIX."""
    return _but(bytes(range(256)).decode("cp037"), {0x5F: "^", 0xAD: "[", 0xB0: "¬", 0xBA: "Ý", 0xBB: "¨", 0xBD: "]"})


def _jisx0201() -> str:
    """JIS X 0201 in eight bits: ASCII with a yen sign and an overline, and the half-width kana."""
    kana = {byte: chr(0xFF61 + byte - 0xA1) for byte in range(0xA1, 0xE0)}
    return _but(bytes(range(128)).decode("ascii") + HOLE * 128, {0x5C: "¥", 0x7E: "‾", **kana})


def _but(table: str, other: dict[int, str]) -> str:
    return "".join(other.get(byte, character) for byte, character in enumerate(table))


_TABLES: Final = {"cp1047": _cp1047, "jisx0201": _jisx0201}


class SinglePage:
    """A code page by its table of 256 characters."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def table(self) -> str:
        """The characters in the order of their bytes."""
        return _TABLES[self.name]()

    @cached_property
    def _bytes(self) -> dict[int, int]:
        return {ord(character): byte for byte, character in enumerate(self.table) if character != HOLE}

    def encode(self, text: str, errors: str = "strict") -> tuple[bytes, int]:
        """As Python's codecs do."""
        return codecs.charmap_encode(text, errors, self._bytes)

    def decode(self, content: ReadableBuffer, errors: str = "strict") -> tuple[str, int]:
        """As Python's codecs do."""
        return codecs.charmap_decode(content, errors, self.table)

    def codec(self) -> codecs.CodecInfo:
        """What Python wants to know of it."""
        return codecs.CodecInfo(self.encode, self.decode, name=self.name)
