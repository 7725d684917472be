"""Text in a plain encoding, counted in bytes."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, ClassVar, Final, Literal

import telegram_router.telegrams.codepages  # noqa: F401  # makes the names of its pages known
from telegram_router.telegrams.fields.kind import Json, Kind, Log, Mistake, Place, control_at

# Encodings in which no two byte strings mean the same text and no two texts give the same bytes (tested for all characters).
BIJECTIVE: Final = frozenset({"ascii", "cp949", "utf-8", "iso8859-1"})


class Text(Kind):
    """Characters of an encoding, padded; the padding is not part of the value. Its length is bytes, not characters."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "encoding": (str, NoneType),
        "pad": (bytes,),
        "align": (str,),
        "required": (bool,),
    }

    def __init__(
        self,
        length: int,
        encoding: str | None = None,
        pad: bytes = b" ",
        align: Literal["left", "right"] = "left",
        required: bool = False,
        *,
        log: Log = "masked",
        json: Json = "string",
    ) -> None:
        super().__init__(length, log=log, json=json)
        self.encoding = encoding
        self.pad = pad
        self.align = align
        self.required = required
        self._codec = codec_name(encoding or "ascii") or "ascii"
        # Fetched once: bytes.decode(name) spends three times the decoding itself on finding the codec by its name.
        self._decode = codecs.getdecoder(self._codec)
        self._encode = codecs.getencoder(self._codec)

    def with_encoding(self, encoding: str) -> Kind:
        if self.encoding is not None:
            return self
        bound = Text(self.length, encoding, self.pad, self.align, self.required, log=self.log, json=self.json)
        bound.line = self.line
        return bound

    @property
    def rule(self) -> str:
        return f"X({self.length})"

    @property
    def expected(self) -> str:
        return f"{'filled-in ' if self.required else ''}text of at most {self.length} bytes in {self._codec}"

    def read(self, raw: bytes) -> str:
        content = raw.rstrip(self.pad) if self.align == "left" else raw.lstrip(self.pad)
        if not content and self.required:
            raise self.fault("E-FLD-06", "required field is blank")
        text = self._decoded(content)
        control = control_at(text)
        if control is not None:
            raise self.fault("E-ENC-04", f"control character at character {control + 1} of the field")
        return text

    def _decoded(self, content: bytes) -> str:
        # The codec's own exception holds the bytes: it must not become the context of ours, so the fault is raised behind the except.
        try:
            return self._decode(content)[0]
        except UnicodeDecodeError as error:
            start, cut = error.start, error.end >= len(content) and "incomplete" in error.reason
        if cut:
            raise self.fault("E-ENC-01", f"field ends inside a character, at byte {start + 1} of the field")
        raise self.fault("E-ENC-01", f"byte {start + 1} of the field begins no character of {self._codec}")

    def write(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        control = control_at(value)
        if control is not None:
            raise self.fault("E-ENC-04", f"control character at character {control + 1} of the text")
        content = self._encoded(value)
        if len(content) > self.length:
            raise self.fault("E-FLD-05", f"text needs {len(content)} bytes, field holds {self.length}")
        if self.required and not content.strip(self.pad):
            raise self.fault("E-FLD-06", "required field is blank")
        padding = self.pad * (self.length - len(content))
        return content + padding if self.align == "left" else padding + content

    def _encoded(self, value: str) -> bytes:
        """As it is; failing that, its composed form: macOS sends Hangul in parts, which no Korean code page has."""
        content = self._try_encode(value)
        if content is not None:
            return content
        composed = unicodedata.normalize("NFC", value)
        content = self._try_encode(composed)
        if content is not None:
            return content
        position = next((i for i, character in enumerate(composed) if self._try_encode(character) is None), 0)
        named = f" (U+{ord(composed[position]):04X})" if self.log == "clear" else ""
        raise self.fault("E-ENC-03", f"character {position + 1} of the text{named} does not exist in {self._codec}")

    def _try_encode(self, text: str) -> bytes | None:
        try:
            content = self._encode(text)[0]
        except UnicodeEncodeError:
            return None
        # Some codecs answer with other characters (yen sign for backslash) or spell one out in eight bytes (euc_kr).
        if self._codec not in BIJECTIVE and (len(content) > 2 * len(text) or self._decode(content, "replace")[0] != text):
            return None
        return content

    def is_canonical(self, raw: bytes, value: Any, total: int) -> bool:
        return self._codec in BIJECTIVE or super().is_canonical(raw, value, total)

    def source_of_read(self, place: Place) -> str:
        if not _keeps_ascii(self._codec):
            return place.slow
        strip = f"{'rstrip' if self.align == 'left' else 'lstrip'}({self.pad.decode('latin-1')!r})"
        blank = place.slow if self.required else "''"
        return place.text(strip, blank)

    def source_of_write(self, value: str, place: Place) -> str:
        if not _keeps_ascii(self._codec) or self.pad != b" ":
            return place.slow_write(value)
        side = "<" if self.align == "left" else ">"
        filled = f"{place.plain} and x.strip(' ')" if self.required else place.plain
        return f"f'{{x:{side}{self.length}s}}' if (x := {value}).__class__ is str and {filled} else {place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.encoding is not None:
            yield from encoding_mistakes(self.encoding)
        if len(self.pad) != 1 or self.pad >= b"\x41":
            yield "E-CFG-20", "pad must be one byte below 0x41: others can be half of a character"
        if self.align not in ("left", "right"):
            yield "E-CFG-20", f'align must be "left" or "right", not {self.align!r}'


def codec_name(encoding: str) -> str | None:
    """Python's own name of an encoding, None when it has no such codec."""
    try:
        return codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError):
        return None


def encoding_mistakes(encoding: str) -> Iterator[Mistake]:
    """Why an encoding cannot be used in a fixed field."""
    name = codec_name(encoding)
    if name is None:
        yield "E-CFG-20", f"encoding {encoding!r} is not known"
    elif not _is_plain(name):
        yield (
            "E-CFG-20",
            f"encoding {encoding!r} does not keep each character's bytes to itself; use cp949, ascii or another plain code page",
        )


def _is_plain(codec: str) -> bool:
    """No shift states, no byte order mark, a blank of one byte, and a text encoding at all."""
    try:
        return (
            len(" ".encode(codec)) == 1
            and "A A".encode(codec) == "A".encode(codec) + " ".encode(codec) + "A".encode(codec)
            and codec not in _SHIFTING
        )
    except (LookupError, ValueError, TypeError):
        return False


_SHIFTING: Final = frozenset(
    {"hz", "utf-7", "punycode", "idna", "unicode_escape", "raw_unicode_escape"}
    | {f"iso2022_{n}" for n in ("jp", "jp_1", "jp_2", "jp_2004", "jp_3", "jp_ext", "kr")}
)

_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))


def _keeps_ascii(codec: str) -> bool:
    return _PRINTABLE.encode(codec, "replace") == _PRINTABLE.encode("ascii")
