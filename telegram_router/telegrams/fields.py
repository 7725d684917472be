"""The field kinds a spec is written with: what bytes each accepts, what value they mean, and the way back."""

# Rules this file keeps, all of them tested:
#
# 1. A kind is a construct.Construct, so a Struct of kinds runs under construct alone, just as strictly.
# 2. `read` never calls int() on bytes it has not seen to be the digits 0-9: int() takes "1_0", "+5" and Arabic digits.
# 3. A fault says what is wrong and where in the field, never the bytes or the value itself.
# 4. A value that does not fit is refused. Nothing is cut, replaced or rounded.
# 5. `source_of_read` and `source_of_write` are short cuts of `read` and `write` for the usual case. They may hand any case to
#    them; what they answer themselves must be the same answer, for a canonical field only.

from __future__ import annotations

import codecs
import datetime
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import NoneType
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from construct import Construct, ConstructError, Renamed

if TYPE_CHECKING:
    _Construct: TypeAlias = Construct[Any, Any]
else:
    _Construct = Construct

Log = Literal["clear", "masked"]
Json = Literal["string", "number"]
Mistake = tuple[str, str]  # code of errors.CODES, what is wrong with the declaration

SPEC_MARK: Final = "__telegram_spec__"  # set in the namespace of a spec file, so that a declaration can find its own line

MISSING: Final = object()

# Encodings in which no two byte strings mean the same text and no two texts give the same bytes (tested for all characters).
BIJECTIVE: Final = frozenset({"ascii", "cp949", "utf-8", "iso8859-1"})

CONTROL_BYTES: Final = bytes(range(0x20)) + b"\x7f"

_DAYS_KEPT: Final = 4096  # a peer can send 3.6 million different dates; traffic has a handful


def declared_line() -> int:
    """The line of the spec file that is being executed now, 0 outside of one."""
    frame = sys._getframe(1)
    while frame is not None:
        if SPEC_MARK in frame.f_globals:
            return frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return 0


class FieldFault(ConstructError):
    """One field broke its rule. It is a ConstructError because construct's users catch that."""

    def __init__(self, code: str, what: str, expected: str) -> None:
        self.code = code
        self.what = what
        self.expected = expected
        super().__init__(f"{code}: {what}; expected {expected}")


class Kind(_Construct):
    """A field of a fixed number of bytes. `log` and `json` say how its value leaves the router."""

    is_named: ClassVar[bool] = True  # whether it stands for a value
    default: ClassVar[object] = MISSING  # written when the value is left out

    def __init__(self, length: int, *, log: Log = "masked", json: Json = "string") -> None:
        super().__init__()
        self.length = length
        self.log: Log = log
        self.json: Json = json
        self.line = declared_line()

    # -- what a subclass says

    @property
    def rule(self) -> str:
        """The rule in COBOL's terms, e.g. `9(13)`."""
        raise NotImplementedError

    @property
    def expected(self) -> str:
        """The rule in words."""
        raise NotImplementedError

    def read(self, raw: bytes) -> Any:
        """Value of exactly `length` bytes. Raises FieldFault."""
        raise NotImplementedError

    def write(self, value: Any) -> bytes:
        """The one canonical form of a value, exactly `length` bytes. Raises FieldFault."""
        raise NotImplementedError

    def source_of_read(self, place: Place) -> str:
        """A Python expression for the value."""
        return place.slow

    def source_of_write(self, value: str, place: Place) -> str:
        """A Python expression for the field as latin-1 text, at least `length` long; longer or raising means: take the slow way."""
        return place.slow_write(value)

    # -- what may be wrong with the declaration itself

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {"length": (int,), "log": (str,), "json": (str,)}

    def mistakes(self) -> list[Mistake]:
        """All of them. Contradictions are looked for only among arguments of the right types."""
        wrong = [
            ("E-CFG-21" if name == "length" else "E-CFG-20", f"{name} must be {_in_words(types)}, not {getattr(self, name)!r}")
            for name, types in self.argument_types.items()
            if not _is_a(getattr(self, name), types)
        ]
        return wrong or list(self.contradictions())

    def contradictions(self) -> Iterator[Mistake]:
        """Mistakes beyond wrong types."""
        if self.length < 1:
            yield "E-CFG-21", f"length must be a whole number from 1, not {self.length}"
        if self.log not in ("clear", "masked"):
            yield "E-CFG-20", f'log must be "clear" or "masked", not {self.log!r}'
        if self.json not in ("string", "number"):
            yield "E-CFG-20", f'json must be "string" or "number", not {self.json!r}'
        elif self.json == "number" and not self.may_be_json_number:
            yield "E-CFG-20", 'json="number" is for whole numbers of at most 15 digits: others lose digits in JSON readers'

    # -- what a subclass may leave as it is

    may_be_json_number: bool = False

    def read_in(self, raw: bytes, total: int) -> Any:
        """As `read`, inside a telegram of `total` bytes."""
        return self.read(raw)

    def write_in(self, value: Any, total: int) -> bytes:
        """As `write`, inside a telegram of `total` bytes."""
        return self.write(value)

    def is_canonical(self, raw: bytes, value: Any, total: int) -> bool:
        """Would writing the value give these bytes again?"""
        try:
            return self.write_in(value, total) == raw
        except FieldFault:
            return False

    def with_encoding(self, encoding: str) -> Kind:
        """This kind inside a family of that encoding."""
        return self

    def fault(self, code: str, what: str) -> FieldFault:
        """A fault of this kind, with the rule in words."""
        return FieldFault(code, what, self.expected)

    def wrong_type(self, value: Any, wanted: str) -> FieldFault:
        """A value of a Python type that this kind does not take; the type's name says nothing of the value."""
        return FieldFault("E-FLD-12", f"value is of type {type(value).__name__}", wanted)

    # -- construct's side

    def __rtruediv__(self, name: Any) -> Any:
        """`"name" / kind`. The name's line is kept: one kind may stand under many names."""
        renamed = Renamed(self, newname=name)
        renamed.line = declared_line()  # type: ignore[attr-defined]
        return renamed

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> Any:
        raw = stream.read(self.length)
        if len(raw) != self.length:
            raise _at(path, self.fault("E-FRM-08", f"field needs {self.length} bytes, {len(raw)} left"))
        try:
            return self.read(raw)
        except FieldFault as fault:
            raise _at(path, fault) from None

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        try:
            stream.write(self.write(obj))
        except FieldFault as fault:
            raise _at(path, fault) from None
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        return self.length


class Place:
    """Where the code generator puts a field.

    In the generated code `t` is the telegram as latin-1 text; `tidy` says that no byte of it is a control byte, `clean` that
    it is ASCII as well.
    """

    def __init__(self, start: int, length: int, slow: str, slow_write: Callable[[str], str], use: Callable[[str, object], str]) -> None:
        self.slice = f"t[{start}:{start + length}]"
        self.first = f"t[{start}]"
        self.start = start
        self.length = length
        self.slow = slow
        self.slow_write = slow_write
        self.use = use  # gives a constant a name inside the generated code

    def part(self, start: int, end: int) -> str:
        """A slice of the telegram, relative to the field."""
        return f"t[{self.start + start}:{self.start + end}]"

    def blank(self, length: int | None = None) -> str:
        """Name of the constant of that many blanks."""
        n = self.length if length is None else length
        return self.use(f"BLANK{n}", " " * n)


def _at(path: str, fault: FieldFault) -> FieldFault:
    fault.path = path
    return fault


def _is_a(value: object, types: tuple[type, ...]) -> bool:
    """True is no number."""
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


_WORDS: Final = {
    int: "a whole number",
    str: "a text",
    bytes: "bytes",
    bool: "True or False",
    NoneType: "None",
    Sequence: "a list",
    Mapping: "a table",
}


def _in_words(types: tuple[type, ...]) -> str:
    return " or ".join(_WORDS[kind] for kind in types)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def control_at(text: str) -> int | None:
    """Position of the first control character or line separator, None when there is none."""
    if text.isprintable():
        return None
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Zl", "Zp"):
            return position
    return None


# ------------------------------------------------------------------------------------------------ text


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
        read = f"x if clean or tidy and x.isascii() else {place.slow}"
        return f"({read}) if (x := {place.slice}.{strip}) else {blank}"

    def source_of_write(self, value: str, place: Place) -> str:
        if not _keeps_ascii(self._codec) or self.pad != b" ":
            return place.slow_write(value)
        side = "<" if self.align == "left" else ">"
        filled = "x.isascii() and x.strip(' ')" if self.required else "x.isascii()"
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


# ------------------------------------------------------------------------------------------------ codes


class Code(Kind):
    """A short ASCII code, exactly as it stands; blanks behind it are not part of it. `values` may be a list or `{code: meaning}`."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "values": (Sequence, Mapping, NoneType),
        "digits": (bool,),
        "required": (bool,),
    }

    def __init__(
        self,
        length: int,
        values: Sequence[str] | Mapping[str, str] | None = None,
        digits: bool = False,
        required: bool = False,
        *,
        log: Log = "masked",
        json: Json = "string",
    ) -> None:
        super().__init__(length, log=log, json=json)
        self.values = values
        self.digits = digits
        self.required = required
        self.names: dict[str, str] = dict(values) if isinstance(values, Mapping) else {}
        self._allowed = frozenset(values) if values is not None else None

    @property
    def rule(self) -> str:
        return f"9({self.length})" if self.digits else f"X({self.length})"

    @property
    def expected(self) -> str:
        or_blank = "" if self.required else ", or blank"
        if self.values is not None:
            return f"one of {len(self.values)} declared codes: {', '.join(self.values)}{or_blank}"
        if self.digits:
            return f"{self.length} digits 0-9{or_blank}"
        return f"a {'filled-in ' if self.required else ''}code of at most {self.length} ASCII characters"

    def read(self, raw: bytes) -> str:
        content = raw.rstrip(b" ")
        if not content.isascii():
            raise self.fault("E-ENC-01", f"byte {_first(content, lambda c: c > 0x7F)} of the field is not ASCII")
        return self._checked(content.decode("ascii"))

    def write(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        content = value.rstrip(" ")
        if not content.isascii():
            raise self.fault("E-ENC-03", "character that is not ASCII")
        if len(content) > self.length:
            raise self.fault("E-FLD-05", f"code needs {len(content)} bytes, field holds {self.length}")
        return self._checked(content).encode("ascii").ljust(self.length)

    def _checked(self, text: str) -> str:
        if not text:
            if self.required:
                raise self.fault("E-FLD-06", "required field is blank")
            return text
        control = control_at(text)
        if control is not None:
            raise self.fault("E-ENC-04", f"control character at character {control + 1} of the field")
        if self.digits and not (len(text) == self.length and text.isdecimal()):
            raise self.fault("E-FLD-01", "field is not all digits")
        if self._allowed is not None and text not in self._allowed:
            raise self.fault("E-FLD-07", "not one of the declared codes")
        return text

    def _wire(self) -> dict[str, str]:
        """Each acceptable value as it stands on the wire."""
        blank = () if self.required else ("",)
        return {value: value.ljust(self.length) for value in (*(self._allowed or ()), *blank)}

    def source_of_read(self, place: Place) -> str:
        if self._allowed is not None:
            codes = place.use("CODES", {wire: value for value, wire in self._wire().items()})
            return f"{codes}[x] if (x := {place.slice}) in {codes} else {place.slow}"
        if self.digits:
            blank = "" if self.required else f"'' if x == {place.blank()} else "
            return f"x if (x := {place.slice}).isdecimal() else {blank}{place.slow}"
        blank = place.slow if self.required else "''"
        return f"(x if clean or tidy and x.isascii() else {place.slow}) if (x := {place.slice}.rstrip(' ')) else {blank}"

    def source_of_write(self, value: str, place: Place) -> str:
        if self._allowed is not None:
            return f"{place.use('WIRE', self._wire())}[{value}]"
        if self.digits:
            blank = "" if self.required else f"{place.blank()} if x == '' else "
            return f"x if (x := {value}).__class__ is str and len(x) == {self.length} and x.isdecimal() else {blank}{place.slow_write('x')}"
        filled = "x.isascii() and x.strip(' ')" if self.required else "x.isascii()"
        return f"f'{{x:{self.length}s}}' if (x := {value}).__class__ is str and {filled} else {place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        for value in self.values or ():
            problem = self._bad_value(value)
            if problem:
                yield "E-CFG-20", f"declared code {value!r} {problem}"

    def _bad_value(self, value: object) -> str:
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            return "is not a text of printable ASCII characters"
        if len(value) > self.length:
            return f"is longer than the field's {self.length} bytes"
        if value != value.rstrip(" "):
            return "ends in a blank, which is not part of a code"
        if self.digits and not (value.isdecimal() and len(value) == self.length):
            return f"is not {self.length} digits"
        return ""


def _first(content: bytes, bad: Callable[[int], bool]) -> int:
    """Which byte is the first bad one, counted from 1."""
    return next((i + 1 for i, c in enumerate(content) if bad(c)), 1)


# ------------------------------------------------------------------------------------------------ numbers

Blank = Literal["null", "error", "zero"]


class Digits(Kind):
    """A number without sign, right-aligned and zero-filled. `scale` digits stand behind an unwritten decimal point."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "scale": (int,), "blank": (str,)}

    def __init__(self, length: int, scale: int = 0, blank: Blank = "null", *, log: Log = "masked", json: Json = "string") -> None:
        super().__init__(length, log=log, json=json)
        self.scale = scale
        self.blank: Blank = blank
        self.digits = length

    @property
    def rule(self) -> str:
        return _picture(self.digits, self.scale)

    @property
    def expected(self) -> str:
        return f"{self.digits} digits 0-9" + (", or blank" if self.blank != "error" else "")

    @property
    def may_be_json_number(self) -> bool:  # type: ignore[override]
        return self.scale == 0 and self.digits <= 15

    def read(self, raw: bytes) -> int | Decimal | None:
        if raw.isdigit():
            return self._number(raw.decode("ascii"))
        if not raw.strip(b" "):
            return self._when_blank()
        raise self.fault("E-FLD-01", f"byte {_first(raw, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")

    def _number(self, digits: str) -> int | Decimal:
        # Decimal(str) is exact whatever the context's precision; arithmetic on it would not be.
        return Decimal(f"{digits[: -self.scale]}.{digits[-self.scale :]}") if self.scale else int(digits)

    def _when_blank(self) -> int | Decimal | None:
        if self.blank == "error":
            raise self.fault("E-FLD-06", "field is blank")
        return None if self.blank == "null" else self._number("0" * self.digits)

    def write(self, value: Any) -> bytes:
        if value is None:
            return self._written_blank()
        units = self._units(value)
        if units < 0:
            raise self.fault("E-FLD-01", "number is negative")
        return self._written(units)

    def _written_blank(self) -> bytes:
        if self.blank != "null":
            raise self.fault("E-FLD-06", "number is missing")
        return b" " * self.length

    def _written(self, units: int) -> bytes:
        if units >= 10**self.digits:  # compared, not spelled out: Python refuses to spell numbers of thousands of digits
            raise self.fault("E-FLD-05", f"number needs more than the field's {self.digits} digits")
        return b"%0*d" % (self.digits, units)

    def _units(self, value: Any) -> int:
        """The number counted in its last digit."""
        if _is_number(value):
            return int(value) * int(10**self.scale)
        if self.scale and isinstance(value, Decimal) and value.is_finite():
            return self._units_of(value)
        raise self.wrong_type(value, "Decimal or int" if self.scale else "int")

    def _units_of(self, value: Decimal) -> int:
        # On the digits, not by arithmetic: Decimal's would round, and int's would build numbers of any size a peer names.
        if not value:
            return 0
        if value.adjusted() + 1 + self.scale > self.digits:
            raise self.fault("E-FLD-05", f"number needs more than the field's {self.digits} digits")
        sign, figures, exponent = value.as_tuple()
        digits, shift = "".join(map(str, figures)), int(exponent) + self.scale
        units, rest = (digits + "0" * shift, "") if shift >= 0 else (digits[:shift], digits[shift:])
        if rest.strip("0"):
            raise self.fault("E-FLD-05", f"number has more than {self.scale} digits behind the decimal point")
        return -int(units) if sign else int(units)

    def source_of_read(self, place: Place) -> str:
        blank = f"None if x == {place.blank()} else " if self.blank == "null" else ""
        return f"{_number_source(self.scale, place)} if (x := {place.slice}).isdecimal() else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        if self.scale:
            return place.slow_write(value)
        blank = f"{place.blank()} if x is None else " if self.blank == "null" else ""
        return f"'%0{self.digits}d' % x if (x := {value}).__class__ is int and x >= 0 else {blank}{place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if not 0 <= self.scale <= self.digits:
            yield "E-CFG-20", f"scale must be a whole number from 0 to the field's {self.digits} digits, not {self.scale}"
        if self.blank not in ("null", "error", "zero"):
            yield "E-CFG-20", f'blank must be "null", "error" or "zero", not {self.blank!r}'


def _picture(digits: int, scale: int) -> str:
    return f"9({digits - scale})V9({scale})" if scale else f"9({digits})"


def _number_source(scale: int, place: Place) -> str:
    if not scale:
        return "int(x)"
    return f"{place.use('Decimal', Decimal)}(x[:-{scale}] + '.' + x[-{scale}:])"


class Amount(Digits):
    """A sign byte and digits that mean one number. `plus` is the sign written for a number that is not negative."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Digits.argument_types, "sign": (str,), "plus": (str,)}

    def __init__(
        self,
        digits: int,
        scale: int = 0,
        sign: Literal["leading", "trailing"] = "leading",
        plus: Literal["+", " "] = "+",
        blank: Blank = "null",
        *,
        log: Log = "masked",
        json: Json = "string",
    ) -> None:
        super().__init__(digits, scale, blank, log=log, json=json)
        self.length = digits + 1 if _is_a(digits, (int,)) else digits
        self.sign = sign
        self.plus = plus

    @property
    def rule(self) -> str:
        return f"S{super().rule} sign {self.sign}"

    @property
    def expected(self) -> str:
        return f"a sign (+, - or blank) and {super().expected}"

    def read(self, raw: bytes) -> int | Decimal | None:
        sign, digits = (raw[:1], raw[1:]) if self.sign == "leading" else (raw[-1:], raw[:-1])
        if not raw.strip(b" "):
            return self._when_blank()
        if sign not in (b"+", b"-", b" ", b"0"):
            raise self.fault("E-FLD-01", "sign is none of + - blank 0")
        if not digits.isdigit():
            raise self.fault("E-FLD-01", "field is not all digits beside its sign")
        number = self._number(digits.decode("ascii"))
        return -number if sign == b"-" and number else number

    def write(self, value: Any) -> bytes:
        if value is None:
            return self._written_blank()
        units = self._units(value)
        sign = b"-" if units < 0 else self.plus.encode("ascii")
        digits = self._written(abs(units))
        return sign + digits if self.sign == "leading" else digits + sign

    def source_of_read(self, place: Place) -> str:
        at, digits = (
            (place.part(0, 1), place.part(1, self.length))
            if self.sign == "leading"
            else (place.part(self.digits, self.length), place.part(0, self.digits))
        )
        number = _number_source(self.scale, place)
        zeros = place.use(f"ZEROS{self.digits}", "0" * self.digits)
        signed = f"{number} if {at} == {self.plus!r} else -{number} if {at} == '-' and x != {zeros} else {place.slow}"
        blank = f"None if {place.slice} == {place.blank()} else " if self.blank == "null" else ""
        return f"({signed}) if (x := {digits}).isdecimal() else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        if self.scale or self.sign != "leading":
            return place.slow_write(value)
        blank = f"{place.blank()} if x is None else " if self.blank == "null" else ""
        return f"'%{self.plus}0{self.length}d' % x if (x := {value}).__class__ is int else {blank}{place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.sign not in ("leading", "trailing"):
            yield "E-CFG-20", f'sign must be "leading" or "trailing", not {self.sign!r}'
        if self.plus not in ("+", " "):
            yield "E-CFG-20", f'plus must be "+" or " ", not {self.plus!r}'


# ------------------------------------------------------------------------------------------------ dates and times

MomentBlank = Literal["null", "error", "zeros"]

_MINUTES: Final = frozenset(f"{h:02}{m:02}" for h in range(24) for m in range(60))
_SECONDS: Final = frozenset(f"{s:02}" for s in range(60))
_MONTH_DAYS: Final = frozenset(f"{d:%m%d}" for d in (datetime.date(2000, 1, 1) + datetime.timedelta(n) for n in range(366)))


class _Days:
    """Dates found to exist, bounded: checking one costs more than reading all other fields of a telegram together."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def has(self, text: str) -> bool:
        if text in self.known:
            return True
        try:
            datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            return False
        if len(self.known) >= _DAYS_KEPT:
            self.known.clear()
        self.known.add(text)
        return True


_days = _Days()


def _date_exists(date: str, form: str) -> bool:
    if form == "YYYYMMDD":
        return _days.has(date)
    if form == "MMDD":
        return date in _MONTH_DAYS
    if form == "YYMMDD":
        return _days.has("20" + date)
    return not form


def _time_exists(time: str, form: str) -> bool:
    if form == "hhmmss":
        return time[:4] in _MINUTES and time[4:] in _SECONDS
    if form == "hhmm":
        return time in _MINUTES
    return not form


class _Moment(Kind):
    """A date, a time or both, kept as the text it is and checked against the calendar."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "form": (str,), "blank": (str,)}

    def __init__(self, length: int, form: str, blank: MomentBlank = "null", *, log: Log = "masked", json: Json = "string") -> None:
        super().__init__(length, log=log, json=json)
        self.form = form
        self.blank: MomentBlank = blank
        cut = form.find("h") if isinstance(form, str) else 0
        self._cut = cut if cut >= 0 else len(form)

    @property
    def rule(self) -> str:
        return self.form

    @property
    def expected(self) -> str:
        return f"an existing {self.form}" + {"null": ", or blank", "zeros": ", or zeros or blank"}.get(self.blank, "")

    def read(self, raw: bytes) -> str | None:
        if not raw.strip(b" "):
            self._refuse_absent()
            return None
        if self.blank == "zeros" and not raw.strip(b"0"):
            return None
        if not raw.isdigit():
            raise self.fault("E-FLD-03", f"byte {_first(raw, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")
        return self._checked(raw.decode("ascii"))

    def _refuse_absent(self) -> None:
        if self.blank == "error":
            raise self.fault("E-FLD-06", "field is blank")

    def _checked(self, text: str) -> str:
        if not (_date_exists(text[: self._cut], self.form[: self._cut]) and _time_exists(text[self._cut :], self.form[self._cut :])):
            raise self.fault("E-FLD-03", "no such date or time")
        return text

    def write(self, value: Any) -> bytes:
        if value is None or value == "":
            self._refuse_absent()
            return (b"0" if self.blank == "zeros" else b" ") * self.length
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        if len(value) != self.length or not (value.isascii() and value.isdecimal()):
            raise self.fault("E-FLD-03", "not written in the declared form")
        if self.blank == "zeros" and not value.strip("0"):
            return b"0" * self.length
        return self._checked(value).encode("ascii")

    def _check_source(self, place: Place) -> str | None:
        """A condition on `x`, None when the form has no short cut."""
        date, time = self.form[: self._cut], self.form[self._cut :]
        cut = self._cut
        dates = {"YYYYMMDD": place.use("DAYS", _days.known), "MMDD": place.use("MONTH_DAYS", _MONTH_DAYS), "": ""}
        if date not in dates or time not in ("hhmmss", ""):
            return None
        tests = [f"x{f'[:{cut}]' if time else ''} in {dates[date]}"] if date else []
        if time:
            minutes, seconds = place.use("MINUTES", _MINUTES), place.use("SECONDS", _SECONDS)
            tests += [f"x[{cut}:{cut + 4}] in {minutes}", f"x[{cut + 4}:] in {seconds}"]
        return " and ".join(tests)

    def source_of_read(self, place: Place) -> str:
        check = self._check_source(place)
        if check is None:
            return place.slow
        blank = {"null": f"None if x == {place.blank()} else ", "zeros": f"None if x == {'0' * self.length!r} else "}.get(self.blank, "")
        return f"x if (x := {place.slice}) and {check} else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        check = self._check_source(place)
        if check is None:
            return place.slow_write(value)
        blank = {"null": f"{place.blank()} if x is None else ", "zeros": f"{'0' * self.length!r} if x is None else "}.get(self.blank, "")
        return f"x if (x := {value}).__class__ is str and {check} else {blank}{place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.blank not in ("null", "error", "zeros"):
            yield "E-CFG-20", f'blank must be "null", "error" or "zeros", not {self.blank!r}'
        if self.form not in _FORMS:
            yield "E-CFG-20", f"form must be one of {', '.join(sorted(_FORMS))}, not {self.form!r}"
        elif len(self.form) != self.length:
            yield "E-CFG-21", f"form {self.form} has {len(self.form)} bytes, the field {self.length}"
        elif self.blank == "zeros" and not self._cut:
            yield "E-CFG-20", 'blank="zeros" needs a form with a date: as a time, zeros are midnight'


_FORMS: Final = frozenset({"YYYYMMDD", "YYMMDD", "MMDD", "hhmmss", "hhmm", "YYYYMMDDhhmmss", "YYYYMMDDhhmm", "MMDDhhmmss"})


class Date(_Moment):
    """A date that exists, as text; None when blank. `blank="zeros"` is for partners who write zeros for no date."""

    def __init__(
        self, length: int = 8, form: str = "YYYYMMDD", blank: MomentBlank = "null", *, log: Log = "masked", json: Json = "string"
    ) -> None:
        super().__init__(length, form, blank, log=log, json=json)


class Time(_Moment):
    """A time of day that exists, or a date and time; as text; None when blank."""

    def __init__(
        self, length: int = 6, form: str = "hhmmss", blank: MomentBlank = "null", *, log: Log = "masked", json: Json = "string"
    ) -> None:
        super().__init__(length, form, blank, log=log, json=json)


# ------------------------------------------------------------------------------------------------ bytes without a value of their own


class Filler(Kind):
    """Reserved bytes: blanks when we write them; whatever stood there is kept beside the values, not among them."""

    is_named = False
    default = None

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.flagbuildnone = True

    @property
    def rule(self) -> str:
        return f"X({self.length}) reserved"

    @property
    def expected(self) -> str:
        return f"{self.length} bytes"

    def read(self, raw: bytes) -> None:
        return None

    def write(self, value: Any) -> bytes:
        return b" " * self.length


class Fixed(Kind):
    """A constant. With a name it shows as a value and may be left out on writing; `or_blank` takes blanks in its place."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "or_blank": (bool,)}

    def __init__(self, value: str | bytes, or_blank: bool = False, *, log: Log = "clear") -> None:
        constant = value.encode("ascii", "replace") if isinstance(value, str) else value
        super().__init__(len(constant), log=log)
        self.value = value
        self.constant = constant
        self.or_blank = or_blank
        self.text = constant.decode("latin-1")
        self.default = self.text  # type: ignore[misc]
        self.flagbuildnone = True

    @property
    def rule(self) -> str:
        return f"X({self.length}) constant"

    @property
    def expected(self) -> str:
        return f"the constant {self.constant!r}" + (", or blank" if self.or_blank else "")

    def read(self, raw: bytes) -> str:
        if raw == self.constant:
            return self.text
        if self.or_blank and not raw.strip(b" "):
            return ""
        raise self.fault("E-FLD-13", "constant bytes are not as declared")

    def write(self, value: Any) -> bytes:
        if value is None or value == self.text:
            return self.constant
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        if self.or_blank and not value.strip(" "):
            return b" " * self.length
        raise self.fault("E-FLD-13", "constant is not as declared")

    def source_of_read(self, place: Place) -> str:
        blank = f"'' if x == {place.blank()} else " if self.or_blank else ""
        return f"x if (x := {place.slice}) == {self.text!r} else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        return f"x if (x := {value}) == {self.text!r} else {place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if isinstance(self.value, str) and not self.value.isascii():
            yield "E-CFG-20", "a constant outside ASCII must be given as bytes"


class Length(Kind):
    """The telegram's own length, where the framing counts it inside the telegram: checked on reading, worked out on writing."""

    default = None

    def __init__(self, length: int, *, log: Log = "clear", json: Json = "string") -> None:
        super().__init__(length, log=log, json=json)
        self.adjust = 0  # what the framing adds to the telegram's size; set when the spec is put together
        self.flagbuildnone = True

    @property
    def rule(self) -> str:
        return f"9({self.length}) length"

    @property
    def expected(self) -> str:
        return f"{self.length} digits that count the telegram's bytes"

    @property
    def may_be_json_number(self) -> bool:  # type: ignore[override]
        return self.length <= 15

    def adjusted(self, adjust: int) -> Length:
        """This field in a framing that counts `adjust` bytes more than the telegram has."""
        bound = Length(self.length, log=self.log, json=self.json)
        bound.line, bound.adjust = self.line, adjust
        return bound

    def read_in(self, raw: bytes, total: int) -> int:
        if not raw.isdigit():
            raise self.fault("E-FLD-01", f"byte {_first(raw, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")
        if int(raw) != total + self.adjust:
            raise self.fault("E-FLD-11", "length contradicts the telegram's size")
        return int(raw)

    def write_in(self, value: Any, total: int) -> bytes:
        length = total + self.adjust
        if value is not None and not _is_number(value):
            raise self.wrong_type(value, "int")
        if value is not None and value != length:
            raise self.fault("E-FLD-11", "length contradicts the telegram's size")
        if length >= 10**self.length:
            raise self.fault("E-FLD-05", f"length needs more than the field's {self.length} digits")
        return b"%0*d" % (self.length, length)

    # Under construct the size comes from the whole telegram's context: the stream may hold more.

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> int:
        raw = stream.read(self.length)
        try:
            return self.read_in(raw, context._params["telegram_size"])
        except FieldFault as fault:
            raise _at(path, fault) from None

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        try:
            stream.write(self.write_in(obj, context._params["telegram_size"]))
        except FieldFault as fault:
            raise _at(path, fault) from None
        return obj


class Opaque(Kind):
    """All bytes up to the telegram's end, as they are. Only as the last field of a body."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "min": (int,), "max": (int, NoneType)}

    def __init__(self, min: int = 0, max: int | None = None) -> None:
        super().__init__(0)
        self.min = min
        self.max = max

    @property
    def rule(self) -> str:
        return f"{self.min} or more bytes" if self.max is None else f"{self.min} to {self.max} bytes"

    @property
    def expected(self) -> str:
        return self.rule

    def read(self, raw: bytes) -> bytes:
        self._check(len(raw))
        return raw

    def write(self, value: Any) -> bytes:
        if type(value) is not bytes:
            raise self.wrong_type(value, "bytes")
        self._check(len(value))
        return value

    def _check(self, size: int) -> None:
        if size < self.min:
            raise self.fault("E-FRM-08", f"field needs {self.min} bytes, {size} left")
        if self.max is not None and size > self.max:
            raise self.fault("E-FRM-07", f"{size - self.max} bytes beyond the field's {self.max}")

    def contradictions(self) -> Iterator[Mistake]:
        if self.min < 0 or (self.max is not None and self.max < self.min):
            yield "E-CFG-21", "min and max must be whole numbers from 0, min not above max"

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> bytes:
        try:
            return self.read(stream.read())
        except FieldFault as fault:
            raise _at(path, fault) from None

    def _sizeof(self, context: Any, path: str) -> int:
        raise _at(path, self.fault("E-FRM-08", "field has no fixed size"))
