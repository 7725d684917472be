"""How digits, signs, blanks and codes stand on the wire: in ASCII, or in an EBCDIC page where the family is encoded in one."""

from __future__ import annotations

import codecs
import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Self

from telegram_router.telegrams.fields.kind import LATIN, Alphabet, Kind, Place

_NONE: Final = 0xFF  # what a byte without an ASCII character is taken for


@dataclass(frozen=True)
class Charset:
    """One byte for each ASCII character."""

    name: str
    codec: str = ""  # that has its digits, capitals, signs and blank; "" where these are ASCII
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

    def text(self, raw: bytes) -> str | None:
        """A code or a number without its blanks, as a person reads it; None where a byte of it is no printable character."""
        seen = self.ascii(raw)
        return seen.decode("ascii").strip() if seen.isascii() and seen.decode("ascii").isprintable() else None

    def wire(self, text: bytes) -> bytes:
        """ASCII as it stands on the wire."""
        return text if self.is_ascii else text.translate(self.to_wire)


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


@cache
def alphabet_of(encoding: str) -> Alphabet:
    """The alphabet in which telegrams of a family of that encoding are spelled."""
    charset = charset_of(encoding)
    if charset.is_ascii:
        return LATIN
    codec = charset.codec if charset.is_mixed or not _fills_latin(charset.name) else charset.name
    seen = bytes(range(256)).decode(codec).encode("latin-1")
    return Alphabet(codec, seen, bytes(seen.index(code) for code in range(256)))


def _fills_latin(codec: str) -> bool:
    return sorted(bytes(range(256)).decode(codec, "replace")) == [chr(code) for code in range(256)]


# Characters that stand at the same bytes in every EBCDIC page.
_INVARIANT: Final = b" +-.,/:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PRINTABLE: Final = bytes(range(0x20, 0x7F))


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

    def _agrees(self, alphabet: Alphabet, characters: bytes) -> bool:
        """Whether the alphabet has these characters where the charset has them."""
        return self.charset.wire(characters).translate(alphabet.seen) == characters

    def seen(self, place: Place, start: int = 0, end: int | None = None) -> str:
        """Source of a part of the field as text in which digits, capitals, signs and blanks are the ASCII ones."""
        end = self.length if end is None else end
        return (
            place.part(start, end)
            if self._agrees(place.alphabet, _INVARIANT)
            else place.text_in(self.charset.codec or "latin-1", start, end)
        )

    def seen_text(self, place: Place) -> str:
        """As `seen`, of the whole field, for all characters of ASCII. Others are no ASCII there either."""
        if self._agrees(place.alphabet, _PRINTABLE):
            return place.slice
        return f"{place.raw}.translate({place.use('FROM_WIRE', self.charset.from_wire)}).decode('latin-1')"

    def sent(self, source: str, place: Place) -> str:
        """Source that writes ASCII of digits, capitals, signs and blanks."""
        return source if self._agrees(place.alphabet, _INVARIANT) else self._translated(source, place)

    def sent_text(self, source: str, place: Place) -> str:
        """Source that writes any ASCII."""
        return source if self._agrees(place.alphabet, _PRINTABLE) else self._translated(source, place)

    def _translated(self, source: str, place: Place) -> str:
        table = place.use("TO_WIRE", self.charset.to_wire.translate(place.alphabet.seen))
        return f"({source}).encode('latin-1').translate({table}).decode('latin-1')"

    def blanks(self, place: Place) -> str:
        """Name of the constant of a blank field on the wire."""
        return place.use(f"BLANK{self.length}", place.constant(self.charset.blank * self.length))
