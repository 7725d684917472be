"""How digits, signs, blanks and codes stand on the wire: in ASCII, or in an EBCDIC page where the family is encoded in one."""

from __future__ import annotations

import codecs
import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Self

from telegram_router.telegrams.fields.kind import Kind, Place

_NONE: Final = 0xFF  # what a byte without an ASCII character is taken for


@dataclass(frozen=True)
class Charset:
    """One byte for each ASCII character. `codec` decodes the digits, the signs and the blank of a telegram, all that numbers need."""

    name: str
    codec: str = ""  # "" where the telegram's own bytes are ASCII
    is_mixed: bool = False  # whether some characters of the encoding take two bytes
    to_wire: bytes = field(default=bytes(range(256)), repr=False)
    from_wire: bytes = field(default=bytes(range(256)), repr=False)

    @property
    def is_ascii(self) -> bool:
        return not self.codec

    @property
    def blank(self) -> bytes:
        return self.wire(b" ")

    @property
    def has_all(self) -> bool:
        """Whether it has every printable character of ASCII."""
        return _NONE not in self.to_wire[0x20:0x7F]

    def ascii(self, raw: bytes) -> bytes:
        """The same in ASCII; a byte that is none of its characters becomes 0xFF."""
        return raw if self.is_ascii else raw.translate(self.from_wire)

    def wire(self, text: bytes) -> bytes:
        """ASCII as it stands on the wire."""
        return text if self.is_ascii else text.translate(self.to_wire)

    def constant(self, text: str) -> str:
        """ASCII text as latin-1 text of its bytes on the wire."""
        return self.wire(text.encode("latin-1")).decode("latin-1")


ASCII: Final = Charset("ascii")


@cache
def charset_of(encoding: str) -> Charset:
    """The charset of codes and numbers in a family of that encoding: EBCDIC where its digits are F0 to F9, ASCII else."""
    try:
        codec = codecs.lookup(encoding).name
        if "0123456789 ".encode(codec) != b"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\x40":
            return ASCII
    except (LookupError, UnicodeError, TypeError, ValueError):
        return ASCII
    to_wire, from_wire = bytearray([_NONE]) * 256, bytearray([_NONE]) * 256
    for code in range(0x80):
        try:
            wire = chr(code).encode(codec)
        except UnicodeError:
            continue
        if len(wire) == 1:
            to_wire[code], from_wire[wire[0]] = wire[0], code
    return Charset(codec, "cp037", _is_mixed(codec), bytes(to_wire), bytes(from_wire))


def _is_mixed(codec: str) -> bool:
    return len(bytes(range(256)).decode(codec, "replace")) != 256


class CharKind(Kind):
    """A kind whose bytes are characters of the family's charset."""

    charset: Charset = ASCII

    def with_encoding(self, encoding: str) -> Kind:
        return self.in_charset(charset_of(encoding))

    def in_charset(self, charset: Charset) -> Self:
        """This kind on the wire of that charset."""
        if charset is self.charset:
            return self
        bound = copy.copy(self)
        bound.charset = charset
        bound.binary = bound.binary or not charset.is_ascii
        bound.bound()
        return bound

    def bound(self) -> None:
        """Called once the charset is known."""

    # -- generated code

    def seen(self, place: Place, start: int = 0, end: int | None = None) -> str:
        """Source of a part of the field as text in which digits, signs and blanks are the ASCII ones."""
        end = self.length if end is None else end
        return place.part(start, end) if self.charset.is_ascii else place.text_in(self.charset.codec, start, end)

    def seen_text(self, place: Place) -> str:
        """As `seen`, of the whole field, for all characters of ASCII. Others are no ASCII there either."""
        if self.charset.is_ascii:
            return place.slice
        if not self.charset.is_mixed:
            return place.text_in(self.charset.name)
        return f"{place.raw}.translate({place.use('FROM_WIRE', self.charset.from_wire)}).decode('latin-1')"

    def sent(self, source: str, place: Place) -> str:
        """Source of ASCII text as latin-1 text of its bytes on the wire."""
        if self.charset.is_ascii:
            return source
        return f"({source}).encode('latin-1').translate({place.use('TO_WIRE', self.charset.to_wire)}).decode('latin-1')"

    def blanks(self, place: Place) -> str:
        """Name of the constant of a blank field on the wire."""
        return place.use(f"BLANK{self.length}", self.charset.constant(" " * self.length))
