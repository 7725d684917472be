"""What every field kind has: a length, a rule, strict reading and writing, construct's interface, and its part of generated code."""

# Rules all kinds keep, all of them tested:
#
# 1. A kind is a construct.Construct, so a Struct of kinds runs under construct alone, just as strictly.
# 2. `read` never calls int() on bytes it has not seen to be the digits 0-9: int() takes "1_0", "+5" and Arabic digits.
# 3. A fault says what is wrong and where in the field, never the bytes or the value itself.
# 4. A value that does not fit is refused. Nothing is cut, replaced or rounded, but a Text whose spec asks for it.
# 5. `source_of_read` and `source_of_write` are short cuts of `read` and `write` for the usual case. They may hand any case to
#    them; what they answer themselves must be the same answer, for a canonical field only.

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
Pii = Literal["account", "name", "rrn", "phone", "pin", "free"] | None
PII: Final = ("account", "name", "rrn", "phone", "pin", "free")
Mistake = tuple[str, str]  # code of errors.CODES, what is wrong with the declaration

SPEC_MARK: Final = "__telegram_spec__"  # set in the namespace of a spec file, so that a declaration can find its own line

MISSING: Final = object()


CONTROL_BYTES: Final = bytes(range(0x20)) + b"\x7f"


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
    binary: bool = False  # whether bytes below 0x20 and 0x7F are nothing unusual in it: packed, binary, EBCDIC

    def __init__(self, length: int, *, log: Log = "masked", pii: Pii = None, json: Json = "string") -> None:
        super().__init__()
        self.length = length
        self.log: Log = log
        self.pii: Pii = pii
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
        """A Python expression for the field as text of the alphabet, at least `length` long; longer or raising means: take the slow way."""
        return place.slow_write(value)

    # -- what may be wrong with the declaration itself

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {"length": (int,), "log": (str,), "json": (str,), "pii": (str, NoneType)}

    def mistakes(self) -> list[Mistake]:
        """All of them. Contradictions are looked for only among arguments of the right types."""
        wrong = [
            ("E-CFG-21" if name == "length" else "E-CFG-20", f"{name} must be {_in_words(types)}, not {_shown(getattr(self, name))}")
            for name, types in self.argument_types.items()
            if not is_a(getattr(self, name), types)
        ]
        return wrong or list(self.contradictions())

    def contradictions(self) -> Iterator[Mistake]:
        """Mistakes beyond wrong types."""
        if self.length < 1:
            yield "E-CFG-21", f"length must be a whole number from 1, not {self.length}"
        if self.log not in ("clear", "masked"):
            yield "E-CFG-20", f'log must be "clear" or "masked", not {self.log!r}'
        if self.pii is not None and self.pii not in PII:
            yield "E-CFG-20", f"pii must be one of {', '.join(PII)}, not {self.pii!r}"
        elif self.pii is not None and self.log == "clear":
            yield "E-CFG-20", f'pii="{self.pii}" is for values that no log shows: leave log="clear" out'
        if self.json not in ("string", "number"):
            yield "E-CFG-20", f'json must be "string" or "number", not {self.json!r}'
        elif self.json == "number" and not self.may_be_json_number:
            yield "E-CFG-20", 'json="number" is for whole numbers of at most 15 digits: others lose digits in JSON readers'

    # -- what a subclass may leave as it is

    has_json_form: bool = False  # whether its JSON is what `as_json` and `of_json` say, rather than what all of its type have

    def as_json(self, value: Any) -> Any:
        """A value as JSON. Raises FieldFault."""
        return value

    def of_json(self, value: Any) -> Any:
        """The value that JSON stands for, to be checked by `write`. Raises FieldFault."""
        return value

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
            raise at_path(path, self.fault("E-FRM-08", f"field needs {self.length} bytes, {len(raw)} left"))
        try:
            return self.read(raw)
        except FieldFault as fault:
            raise at_path(path, fault) from None

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        try:
            stream.write(self.write(obj))
        except FieldFault as fault:
            raise at_path(path, fault) from None
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        return self.length


@dataclass(frozen=True)
class Alphabet:
    """One character below U+0100 for each byte: how generated code spells a telegram. It is latin-1, unless the family is
    EBCDIC: then another, in which its letters and digits are those of ASCII too, so that kinds need no source of their own."""

    codec: str = "latin-1"
    seen: bytes = bytes(range(256))  # the character of each byte
    sent: bytes = bytes(range(256))  # the byte of each character

    @property
    def is_latin(self) -> bool:
        return self.codec == "latin-1"

    def spelled(self, raw: bytes) -> str:
        return raw.translate(self.seen).decode("latin-1")


LATIN: Final = Alphabet()


@dataclass(frozen=True)
class Place:
    """Where the code generator puts a field. Kinds name bytes of the telegram by what this gives, never by `start` themselves.

    In the generated code `b` is the telegram and `t` the same as text in its alphabet. Ways to look at the field's bytes,
    all of them cheap:

    - `slice` and `part(start, end)`: of `t`: `t[12:20]`.
    - `raw` and `raw_part(start, end)`: of `b`, for what is no text: `b[12:20]`, to be had by `int.from_bytes`, `.hex()`, a table.
    - `text_in("cp037")`, with `start` and `end` for a part: of the whole telegram decoded once by a codec of one byte per
      character: `t_1[12:20]`. The decoder gets the line that decodes it only when a field asks. A byte that the codec
      does not have reads as U+FFFD. `halves(0, 15)`: the same of its hexadecimal text.

    Writing gives text of the alphabet whatever the field is, one character for each byte: `spelled(source)` of source that gives
    bytes, `constant(raw)` of bytes that are known.

    `tidy` says in the generated code that no byte of the telegram is a control byte, `clean` that it is ASCII as well. Where a
    message has a field whose kind is `binary`, control bytes are nothing unusual and neither name says anything: `checked` is
    false then, and `text` and `plain` give source that looks at the field's own text instead. Whoever writes source of its
    own that relies on `tidy` or `clean` asks `checked` first.
    """

    start: int
    length: int
    slow: str  # source that reads the field by `Kind.read`
    slow_write: Callable[[str], str]  # source that writes a value by `Kind.write`
    use: Callable[[str, object], str]  # gives a constant a name inside the generated code
    decoded: Callable[[str], str]  # the name of the whole telegram as that codec decodes it
    checked: bool = True  # whether the whole telegram is searched for control bytes
    alphabet: Alphabet = LATIN
    base: str = ""  # a variable of the generated code to be added to `start`, for what does not stand at a fixed offset

    @property
    def slice(self) -> str:
        return self.part(0, self.length)

    def part(self, start: int, end: int) -> str:
        """A slice of the telegram as text, relative to the field."""
        return f"t{self._span(start, end)}"

    @property
    def raw(self) -> str:
        return self.raw_part(0, self.length)

    def raw_part(self, start: int, end: int) -> str:
        """A slice of the telegram's bytes, relative to the field."""
        return f"b{self._span(start, end)}"

    def text_in(self, codec: str, start: int = 0, end: int | None = None) -> str:
        """A slice of the telegram as a codec of one byte per character decodes it, relative to the field."""
        if codec == self.alphabet.codec:
            return self.part(start, self.length if end is None else end)
        return f"{self.decoded(codec)}{self._span(start, self.length if end is None else end)}"

    def halves(self, start: int, end: int) -> str:
        """A slice of the telegram as hexadecimal text, of which a byte has two characters, relative to the field and in halves."""
        before = f"2*{self.base}+" if self.base else ""
        at = 2 * self.start
        return f"{self.decoded('hex')}[{before}{at + start}:{before}{at + end}]"

    def _span(self, start: int, end: int) -> str:
        before = f"{self.base}+" if self.base else ""
        return f"[{before}{self.start + start}:{before}{self.start + end}]"

    def spelled(self, source: str) -> str:
        """Source of text from source of bytes."""
        if self.alphabet.is_latin:
            return f"{source}.decode('latin-1')"
        return f"{source}.translate({self.use('SEEN', self.alphabet.seen)}).decode('latin-1')"

    def constant(self, raw: bytes) -> str:
        """Text of known bytes."""
        return self.alphabet.spelled(raw)

    @property
    def plain(self) -> str:
        """Source of the test that a text `x` to be written is ASCII that needs no more checking here."""
        return "x.isascii()" if self.checked else "x.isascii() and x.isprintable()"

    def text(self, strip: str, blank: str) -> str:
        """Source that reads padded ASCII: `strip` is the call that takes the padding off, `blank` what an empty field gives."""
        if not self.alphabet.is_latin:
            return self.slow
        if not self.checked:
            return f"(x if x.isascii() and x.isprintable() else {self.slow}) if (x := {self.slice}.{strip}) else {blank}"
        if strip == "rstrip(' ')" and blank == "''":
            # In a clean telegram a blank is the only white space there is, and stripping any white space takes half the time.
            careful = f"(x if tidy and x.isascii() else {self.slow}) if (x := {self.slice}.{strip}) else {blank}"
            return f"{self.slice}.rstrip() if clean else {careful}"
        return f"(x if clean or tidy and x.isascii() else {self.slow}) if (x := {self.slice}.{strip}) else {blank}"


def at_path(path: str, fault: FieldFault) -> FieldFault:
    fault.path = path
    return fault


def is_a(value: object, types: tuple[type, ...]) -> bool:
    """True is no number."""
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


_WORDS: Final = {
    int: "a whole number",
    Decimal: "a decimal number",
    str: "a text",
    bytes: "bytes",
    bool: "True or False",
    NoneType: "None",
    Sequence: "a list",
    Mapping: "a table",
}


def _shown(value: object) -> str:
    """A value as its author wrote it; of what has no such form, a lambda say, its type."""
    return repr(value) if isinstance(value, int | float | str | bytes | None) else f"a {type(value).__name__}"


def _in_words(types: tuple[type, ...]) -> str:
    return " or ".join(_WORDS[kind] for kind in types)


def is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def control_at(text: str) -> int | None:
    """Position of the first control character or line separator, None when there is none."""
    if text.isprintable():
        return None
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Zl", "Zp"):
            return position
    return None


def first_bad(content: bytes, bad: Callable[[int], bool]) -> int:
    """Which byte is the first bad one, counted from 1."""
    return next((i + 1 for i, c in enumerate(content) if bad(c)), 1)
