"""Frames spoilt on purpose: lengths that lie, bits turned over, texts of another code page, numbers that nobody asked with."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from telegram_router.errors import FramingError
from telegram_router.telegrams import FieldFault, LengthField, Spec
from telegram_router.telegrams.fields import Text

_LARGEST: Final = MappingProxyType({"ascii": b"9", "ebcdic": b"\xf9", "hex": b"F", "bcd": b"\x99", "u_be": b"\xff", "u_le": b"\xff"})
_OFF: Final = 10  # bytes that a wrong length is wrong by


def wrong_length(spec: Spec, frame: bytes, how: str) -> bytes:
    """The frame with another length field. Raises ValueError for a framing without one, or a length that it cannot say."""
    shape = spec.framing.length
    if not isinstance(shape, LengthField):
        raise ValueError("the framing has no length field")
    place = slice(shape.offset, shape.offset + shape.width)
    if how == "huge":
        other = _LARGEST[shape.kind] * shape.width
    elif how == "text":
        other = b"x" * shape.width
    else:
        telegram = spec.framing.telegram(frame)
        try:
            other = spec.framing.wrap(telegram + b" " * _OFF if how == "long" else telegram[:-_OFF])[place]
        except FramingError as error:
            raise ValueError(error.what) from None
    return frame[: place.start] + other + frame[place.stop :]


def flipped(frame: bytes, start: int, chosen: bytes) -> bytes:
    """The frame with one bit over for each two bytes of `chosen`, none before `start`."""
    made = bytearray(frame)
    room = (len(frame) - start) * 8
    for at in range(0, len(chosen) - 3, 4):
        bit = int.from_bytes(chosen[at : at + 4], "big") % room
        made[start + bit // 8] ^= 1 << bit % 8
    return bytes(made)


def in_code_page(spec: Spec, frame: bytes, page: str) -> bytes:
    """The frame with its texts in another code page, cut or filled to their lengths. Raises LookupError for a page there is not."""
    message, prefix = spec.message_of(frame), spec.framing.prefix
    "".encode(page)
    if message is None:
        return frame
    made = bytearray(frame)
    for planned in message.fields_of(spec.framing.telegram(frame)):
        place = slice(prefix + planned.offset, prefix + planned.end)
        if isinstance(planned.kind, Text) and planned.length:
            try:
                text = planned.kind.read_in(bytes(frame[place]), len(frame))
            except FieldFault:
                continue
            other = str(text or "").encode(page, "replace")
            made[place] = other[: planned.length].ljust(planned.length, " ".encode(page))
    return bytes(made)


def spoilt_field(spec: Spec, frame: bytes, name: str) -> bytes:
    """The frame with the bits of a field turned over."""
    message = spec.message_of(frame)
    planned = None if message is None else message.field(f"body.{name}") or message.field(name)
    if planned is None:
        return frame
    place = slice(spec.framing.prefix + planned.offset, spec.framing.prefix + planned.end)
    return frame[: place.start] + bytes(byte ^ 0xFF for byte in frame[place]) + frame[place.stop :]


def other_number(spec: Spec, frame: bytes, word: int) -> bytes:
    """The frame with another number in the last field that pairs replies with requests."""
    if not spec.correlation_fields:
        return frame
    place = spec.correlation_fields[-1][1]
    width = place.stop - place.start
    digits = b"%0*d" % (width, word % 10**width)
    if digits == frame[place]:
        digits = b"%0*d" % (width, (word + 1) % 10**width)
    return frame[: place.start] + digits + frame[place.stop :]
