"""Text in a code page, counted in bytes."""

# Beyond what all kinds keep (kind.py):
#
# 1. Shift bytes of a mixed EBCDIC page are inside the field's length. A run of double-byte characters that the field's end cut
#    off behind a whole character is read as if it were closed, since hosts that move text into shorter fields lose just that
#    byte; the bytes are kept. Cut inside a character it is E-ENC-01.
# 2. What is written would be read as the same text: never a replacement, except by the spec's own `replace`.
# 3. Only `truncate` lets a text be shortened: by whole characters, its run closed.

from __future__ import annotations

import codecs
import copy
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.codepages import BLANK_WIDE, KSX1001, OUTSIDE, SHIFT_IN, SHIFT_OUT
from telegram_router.telegrams.fields.charset import CharKind, charset_of
from telegram_router.telegrams.fields.encodings import (
    BIJECTIVE,
    FAITHFUL,
    UTF16,
    blank_of,
    codec_name,
    codec_of_text,
    encoding_mistakes,
    exists_in,
    is_mixed,
    is_part_of_character,
    is_shifted_as_written,
    keeps_ascii,
    look_alike,
    shifts_in,
    strictness_mistakes,
    wide_blank_of,
    without_shifts,
)
from telegram_router.telegrams.fields.kind import FieldFault, Json, Kind, Log, Mistake, Pii, Place, control_at

_SECOND_BYTES: Final = 0x40  # from here on a byte may be the second of a character


class Text(CharKind):
    """Characters of an encoding, padded; the padding is not part of the value. Its length is bytes, not characters.

    `wide`: the wide blank U+3000 is padding too. `pad="wide"`: and it is what is written. `double_byte`: all characters have two
    bytes, and no shift bytes stand around them (COBOL's PIC N and G). `strict="ksx1001"`: no hangul that KS X 1001 lacks.
    `null="low"`: zero bytes at the end are padding when read. `truncate="char"`: what is too long is cut behind a character.
    `replace`: characters to write in place of others.
    """

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "encoding": (str, NoneType),
        "pad": (bytes,),
        "align": (str,),
        "required": (bool,),
        "wide": (bool,),
        "double_byte": (bool,),
        "strict": (str, NoneType),
        "null": (str, NoneType),
        "truncate": (str, NoneType),
        "replace": (Mapping, NoneType),
    }

    def __init__(
        self,
        length: int,
        encoding: str | None = None,
        pad: bytes | Literal["wide"] | None = None,
        align: Literal["left", "right"] = "left",
        required: bool = False,
        *,
        wide: bool = False,
        double_byte: bool = False,
        strict: Literal["ksx1001"] | None = None,
        null: Literal["low"] | None = None,
        truncate: Literal["char"] | None = None,
        replace: Mapping[str, str] | None = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        super().__init__(length, log=log, pii=pii, json=json)
        self.encoding = encoding
        self._has_own_encoding = encoding is not None  # the family's is checked with the family
        self.align = align
        self.required = required
        self.fills_wide = pad == "wide"
        self.wide = wide or self.fills_wide
        self.double_byte = double_byte
        self.strict = strict
        self.null = null
        self.truncate = truncate
        self.replace = replace
        self._given_pad = None if self.fills_wide else pad
        self._bind()

    def with_encoding(self, encoding: str) -> Kind:
        if self.encoding is not None:
            return self
        bound = copy.copy(self)
        bound.encoding = encoding
        bound._bind()
        return bound

    def _bind(self) -> None:
        """What follows from the encoding."""
        codec = self._codec = codec_of_text(self.encoding, self.strict)
        self._page = codec.removesuffix("_windows")  # as people call it
        self._mixed = is_mixed(codec)
        # Fetched once: bytes.decode(name) spends three times the decoding itself on finding the codec by its name.
        self._decode = codecs.getdecoder(self._codec)
        self._encode = codecs.getencoder(self._codec)
        self.pad: Any = blank_of(codec) if self._given_pad is None else self._given_pad
        self._padding = self._pad_character() + BLANK_WIDE * (self.wide or self.double_byte) + "\0" * (self.null == "low")
        self._as_is = not (self.wide or self.double_byte or self.null or self.replace)
        self._is_usual = self._as_is and self._codec != "euc_kr"  # which spells some hangul out in eight bytes
        self.charset = charset_of(self._codec)
        self.binary = not self.charset.is_ascii or codec in UTF16

    def _pad_character(self) -> str:
        known = isinstance(self.pad, bytes) and self._codec not in UTF16
        return self._decode(self.pad, "replace")[0] if known else " "

    @property
    def rule(self) -> str:
        return f"N({self.length // 2})" if self.double_byte else f"X({self.length})"

    @property
    def expected(self) -> str:
        filled = "filled-in " if self.required else ""
        if self.double_byte:
            return f"{filled}text of at most {self.length // 2} double-byte characters of {self._page}"
        return f"{filled}text of at most {self.length} bytes in {self._page}{', shift bytes counted' if self._mixed else ''}"

    # -- reading

    def read(self, raw: bytes) -> str:
        text = self._content(raw)
        if not text and self.required:
            raise self.fault("E-FLD-06", "required field is blank")
        control = control_at(text)
        if control is not None:
            raise self.fault("E-ENC-04", f"control character at character {control + 1} of the field")
        return text

    def _content(self, raw: bytes) -> str:
        if self._as_is and not self._mixed:
            if self.align == "left":
                return self._decoded(raw.rstrip(self.pad))
            content = raw.lstrip(self.pad)
            return self._decoded(content, len(raw) - len(content))
        # Padding of two bytes and blanks between shift bytes can be told from halves of characters in the text only.
        if self.null == "low" and self._codec not in UTF16:
            raw = raw.rstrip(b"\0")
        text = self._double(raw) if self.double_byte else self._decoded(raw)
        return text.rstrip(self._padding) if self.align == "left" else text.lstrip(self._padding)

    def _double(self, raw: bytes) -> str:
        if self._mixed:
            return self._decoded(SHIFT_OUT + raw + SHIFT_IN, -1) if len(raw) % 2 == 0 else self._decoded(SHIFT_OUT + raw, -1)
        text = self._decoded(raw)
        kept = text.strip(self._padding)
        single = next((at for at, character in enumerate(kept) if not self._is_double(character)), None)
        if single is not None:
            before = text[: text.index(kept) + single]
            raise self.fault(
                "E-ENC-01", f"byte {len(self._encode(before)[0]) + 1} of the field begins no double-byte character of {self._page}"
            )
        return text

    def _decoded(self, content: bytes, skipped: int = 0) -> str:
        """`skipped` bytes of the field stand in front of the content."""
        # The codec's own exception holds the bytes: it must not become the context of ours, so the fault is raised behind the except.
        try:
            return self._decode(content)[0]
        except UnicodeDecodeError as error:
            at, reason, is_last = error.start + skipped + 1, error.reason, error.end >= len(content)
        if reason == OUTSIDE:
            raise self.fault("E-ENC-02", f"character at byte {at} of the field is {OUTSIDE}, only in cp949")
        if "incomplete" in reason and is_last:
            raise self.fault("E-ENC-01", f"field ends inside a character, at byte {at} of the field")
        if "shift" in reason:
            raise self.fault("E-ENC-01", f"{reason}, at byte {at} of the field")
        if "incomplete" in reason and self._mixed:
            raise self.fault("E-ENC-01", f"half a character in front of a shift-in, at byte {at} of the field")
        raise self.fault("E-ENC-01", f"byte {at} of the field begins no character of {self._page}")

    # -- writing

    def write(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        return self._usual(value) or self._careful(value)

    def _usual(self, value: str) -> bytes | None:
        """A text that is written as it is, None for one that needs a closer look."""
        if not self._is_usual or not value.isprintable() or (self.required and not value.strip(self._padding)):
            return None
        try:
            content = self._encode(value)[0]
        except UnicodeEncodeError:
            return None
        if len(content) > self.length or (self._codec not in FAITHFUL and self._decode(content, "replace")[0] != value):
            return None
        return content.ljust(self.length, self.pad) if self.align == "left" else content.rjust(self.length, self.pad)

    def _careful(self, value: str) -> bytes:
        control = control_at(value)
        if control is not None:
            raise self.fault("E-ENC-04", f"control character at character {control + 1} of the text")
        text = self._writable(value.translate({ord(one): other for one, other in self.replace.items()}) if self.replace else value)
        if self.required and not text.strip(self._padding):
            raise self.fault("E-FLD-06", "required field is blank")
        content = self._bytes(text)
        if len(content) > self.length:
            if self.truncate != "char":
                raise self._too_long(content)
            text = self._cut(text)
            if self.required and not text.strip(self._padding):
                raise self._too_long(content)
            content = self._bytes(text)
        return self._padded(text, content)

    def _padded(self, text: str, content: bytes) -> bytes:
        room = self.length - len(content)
        if self.double_byte:
            padding = (wide_blank_of(self._codec) or b"  ") * (room // 2)
        else:
            if self.fills_wide:
                content = self._filled(text, room)
            padding = self.pad * (self.length - len(content))
        return content + padding if self.align == "left" else padding + content

    def _filled(self, text: str, room: int) -> bytes:
        """With as many wide blanks as there is room for; their run has shift bytes of its own where no other is beside it."""
        for wide in (room // 2, room // 2 - 1, 0):
            blanks = BLANK_WIDE * max(wide, 0)
            content = self._bytes(text + blanks if self.align == "left" else blanks + text)
            if len(content) <= self.length:
                break
        return content

    def _bytes(self, text: str) -> bytes:
        content = self._encode(text)[0]
        return without_shifts(content) if self._mixed and self.double_byte else content

    def _cut(self, text: str) -> str:
        """The longest front that fits. Shift bytes make its length no simple sum, but it never falls with a character more."""
        fits, beyond = 0, len(text)
        while beyond - fits > 1:
            half = (fits + beyond) // 2
            fits, beyond = (half, beyond) if len(self._bytes(text[:half])) <= self.length else (fits, half)
        return text[:fits]

    def _too_long(self, content: bytes) -> FieldFault:
        shifts = shifts_in(content) if self._mixed and not self.double_byte else 0
        of_these = f" ({shifts} of them shift bytes)" if shifts else ""
        return self.fault("E-FLD-05", f"text needs {len(content)} bytes{of_these}, field holds {self.length}")

    def _writable(self, value: str) -> str:
        """As it is; failing that, its composed form: macOS sends Hangul in parts, which no Korean code page has."""
        if self._exists(value):
            return value
        composed = unicodedata.normalize("NFC", value)
        if self._exists(composed):
            return composed
        raise self._unwritable(composed)

    def _exists(self, text: str) -> bool:
        """Whether the encoding has it, and would give it back."""
        try:
            content = self._encode(text)[0]
        except UnicodeEncodeError:
            return False
        if self.double_byte and not all(map(self._is_double, text)):
            return False
        if self._codec in FAITHFUL:
            return True
        # Some codecs answer with other characters: a yen sign for a backslash, a full-width tilde for a wave dash.
        is_spelled_out = self._codec == "euc_kr" and len(content) > 2 * len(text)
        return not is_spelled_out and self._decode(content, "replace")[0] == text

    def _is_double(self, character: str) -> bool:
        return len(without_shifts(self._encode(character, "ignore")[0])) == 2

    def _unwritable(self, text: str) -> FieldFault:
        """The fault of the first character that cannot be written. Which one it is shows only where the field is clear."""
        position = next((i for i, character in enumerate(text) if not self._exists(character)), 0)
        character = text[position]
        clear = self.log == "clear"
        which = f"character {position + 1} of the text" + (f" (U+{ord(character):04X})" if clear else "")
        if self._codec == KSX1001 and exists_in(character, "cp949"):
            return self.fault("E-ENC-02", f"{which} is {OUTSIDE}, only in cp949")
        if is_part_of_character(character):
            return self.fault("E-ENC-05", f"{which} is a part of a character, and the whole does not exist in {self._page}")
        meant = look_alike(character, self._codec, self.double_byte) if clear else None
        hint = f"; U+{ord(meant):04X} {meant} is probably meant" if meant else ""
        if exists_in(character, self._codec):
            return self.fault("E-ENC-03", f"{which} has not two bytes in {self._page}, as all characters of this field have{hint}")
        return self.fault("E-ENC-03", f"{which} does not exist in {self._page}{hint}")

    # -- round trips

    def is_canonical(self, raw: bytes, value: Any, total: int) -> bool:
        if self._as_is and self._codec in BIJECTIVE:
            return True
        if self._as_is and self._mixed:
            return is_shifted_as_written(raw)
        return super().is_canonical(raw, value, total)

    # -- generated code: for texts of ASCII characters, whatever bytes these have

    def at_a_glance(self, raw: bytes) -> str | None:
        """The value of a field whose bytes it would give again, None where that needs a closer look."""
        try:
            text = self._content(raw)
        except FieldFault:
            return None
        return text if text.isprintable() and self.is_canonical(raw, text, len(raw)) else None

    def source_of_read(self, place: Place) -> str:
        if self._is_usual and self._codec not in ("ascii", "cp037", "cp500", "cp1047"):
            glance = place.use(f"GLANCE{place.start}", self.at_a_glance)
            place = replace(place, slow=f"({glance}({place.raw}) or {place.slow})")
        if self.double_byte or self.fills_wide or self.replace:
            return place.slow
        blank = place.slow if self.required else "''"
        strip = f"{'rstrip' if self.align == 'left' else 'lstrip'}({self._pad_character()!r})"
        if keeps_ascii(self._codec):
            return place.text(strip, blank)
        if self._codec not in BIJECTIVE and self.charset.is_ascii:
            return place.slow
        seen = place.text_in(self._codec) if self._codec in BIJECTIVE else self.seen_text(place)
        known = "x.isprintable() and '\\ufffd' not in x" if self._codec in BIJECTIVE else "x.isascii() and x.isprintable()"
        return f"(x if {known} else {place.slow}) if (x := {seen}.{strip}) else {blank}"

    def source_of_write(self, value: str, place: Place) -> str:
        plain = place.plain if keeps_ascii(self._codec) else "x.isascii() and x.isprintable()"
        has_all = keeps_ascii(self._codec) or (not self.charset.is_ascii and self.charset.has_all)
        if not has_all or self.double_byte or self.fills_wide or self.replace or self.pad != self.charset.blank:
            return place.slow_write(value)
        written = self.sent_text(f"f'{{x:{'<' if self.align == 'left' else '>'}{self.length}s}}'", place)
        filled = f"{plain} and x.strip(' ')" if self.required else plain
        return f"{written} if (x := {value}).__class__ is str and {filled} else {place.slow_write('x')}"

    # -- mistakes

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self._has_own_encoding and not (self.double_byte and self._codec in UTF16):
            yield from encoding_mistakes(self.encoding or "")
        if self.encoding is not None and codec_name(self.encoding):
            yield from self._mistakes_of_encoding()
        if not self._pad_fits():
            yield (
                "E-CFG-20",
                'pad must be one byte that is never half of a character, the encoding\'s blank or one below 0x40; or "wide"',
            )
        for name, allowed in (("null", "low"), ("truncate", "char")):
            if getattr(self, name) not in (None, allowed):
                yield "E-CFG-20", f'{name} must be "{allowed}" or None, not {getattr(self, name)!r}'
        if self.align not in ("left", "right"):
            yield "E-CFG-20", f'align must be "left" or "right", not {self.align!r}'
        if self.double_byte and self.length % 2:
            yield "E-CFG-21", f"double_byte needs an even number of bytes, not {self.length}"
        for one, other in (self.replace or {}).items():
            if not (isinstance(one, str) and len(one) == 1 and isinstance(other, str)):
                yield "E-CFG-20", f"replace must give a text for each character, not {other!r} for {one!r}"

    def _pad_fits(self) -> bool:
        fits = len(self.pad) == 1 and (self.pad[0] < _SECOND_BYTES or self.pad == blank_of(self._codec))
        return fits and self.pad not in (SHIFT_OUT, SHIFT_IN)

    def _mistakes_of_encoding(self) -> Iterator[Mistake]:
        yield from strictness_mistakes(self._codec, self.strict)
        if (self.wide or self.double_byte) and wide_blank_of(self._codec) is None:
            yield "E-CFG-20", f"wide and double_byte are for double-byte code pages, not for {self._page}"
        for one, other in (self.replace or {}).items():
            if isinstance(other, str) and not all(exists_in(character, self._codec) for character in other):
                yield "E-CFG-20", f"replace gives {other!r} for {one!r}, which does not exist in {self._page}"
