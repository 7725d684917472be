"""One elementary item as a field kind of ours: picture, usage, sign and level 88, by dialect and encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from telegram_router.telegrams.fields import binary_length
from telegram_router.telegrams.fields.encodings import codec_name, wide_blank_of
from telegram_router.telegrams.importers.copybook_entries import Entry, Named, Value
from telegram_router.telegrams.importers.copybook_pictures import (
    Dialect,
    Picture,
    PictureError,
    alignment,
    fixed_size,
    parse_picture,
)
from telegram_router.telegrams.importers.copybook_text import Source
from telegram_router.telegrams.importers.model import Codes, ImportedField
from telegram_router.telegrams.importers.source import quoted

Storage = Literal["max", "shift"]
Sign = Literal["ascii", "ebcdic"]

_BINARY: Final = frozenset(("COMP", "COMP-5", "COMP-X", "COMP-N", "BINARY-CHAR", "BINARY-SHORT", "BINARY-LONG", "BINARY-DOUBLE"))
_NUMERIC_ONLY: Final = frozenset(("COMP", "COMP-3", "COMP-5", "COMP-6"))
_POINTING: Final = "means something only within the program: its bytes are kept as they are"


@dataclass(frozen=True)
class _Kind:
    """A declaration and its bytes."""

    text: str
    length: int
    codes: Mapping[Codes, str]


class Fields:
    """Makes fields of entries that have no members."""

    def __init__(self, source: Source, dialect: Dialect, encoding: str, sign: Sign | None, low_values: bool, comma: bool) -> None:
        self.source = source
        self.dialect = dialect
        self.encoding = encoding
        self.is_ebcdic = is_ebcdic(encoding)
        self.sign = sign
        self.decimal_comma = comma
        self.null = "low" if low_values else "blank"  # what else than blanks stands for no value
        self.native = "big" if dialect == "ibm" else "little"
        self.native_hex = "little" if dialect == "mf" else "big"  # of COMP-N, which GnuCOBOL 3.1 takes for COMP-X
        self.utf16 = "utf-16-le" if dialect == "mf" else "utf-16-be"  # Micro Focus keeps it as the machine has its numbers
        self.has_double_bytes = wide_blank_of(codec_name(encoding) or "ascii") is not None
        self.counters: set[int] = set()  # entries that count a table: they stay numbers
        self.selectors: set[int] = set()  # entries that choose a view: they are codes
        self.coded: list[str] = []  # fields that take no values but those that levels 88 name
        self.unsaid: list[str] = []  # fields of PIC N of which no USAGE says whether they are UTF-16

    def field(self, entry: Entry, name: str) -> ImportedField:
        """`name` is "" for a FILLER."""
        kind = self._kind(entry)
        if not name:
            kind = self._filler(entry, kind)
        self._misplaced(entry)
        label = f"{entry.remark} {entry.called}".strip()
        note = entry.text + meanings(entry, kind.codes)
        text, line = kind.text, entry.place.line
        if kind.codes and name:
            self.coded.append(name)
        if text.startswith("Filler") and name:  # bytes that mean nothing outside of the program have no name
            return ImportedField("", text, kind.length, label, note, line=line)
        return ImportedField(name, text, kind.length, label, note, kind.codes, line)

    def alignment(self, entry: Entry) -> int:
        """What the offset of the entry is a multiple of when it is SYNC."""
        return alignment(entry.inherited_usage(), self._kind(entry, quiet=True).length, self.dialect)

    # --- what it is

    def _kind(self, entry: Entry, quiet: bool = False) -> _Kind:
        usage = entry.inherited_usage()
        if not entry.picture:
            return self._without_picture(entry, usage, quiet)
        try:
            picture = parse_picture(entry.picture)
        except PictureError as error:
            self._find(quiet, entry, "error", "E-IMP-05", f"the picture {entry.picture} of {entry.called} is not possible: {error}")
            return _Kind("Filler(1)", 1, {})
        if picture.category == "number":
            return self._number(entry, picture, usage, quiet)
        if usage in ("COMP-X", "COMP-N") and picture.category == "text":
            order = "big" if usage == "COMP-X" else self.native_hex
            return _Kind(_call("Binary", picture.size, signed=False, order=order), picture.size, {})
        if usage in _NUMERIC_ONLY:
            self._find(quiet, entry, "error", "E-IMP-05", f"{entry.called} is {usage}, but its picture {picture.text} is no number")
        return self._text(entry, picture, usage, quiet)

    def _without_picture(self, entry: Entry, usage: str, quiet: bool) -> _Kind:
        size = fixed_size(usage, self.dialect)
        if size is None:
            what = f"{entry.called} has neither a picture nor members"
            self._find(quiet, entry, "error", "E-IMP-05", what, "a field needs PIC; a group needs fields of a higher level below it")
            return _Kind("Filler(1)", 1, {})
        if usage in _BINARY:
            return _Kind(_call("Binary", size, signed=not entry.is_unsigned, order=self.native), size, {})
        if usage in ("COMP-1", "COMP-2"):
            form, order = ("ibm", "big") if self.dialect == "ibm" else ("ieee", "little")
            return _Kind(_call("Float", size, form=form, order=order), size, {})
        self._find(quiet, entry, "warning", "E-IMP-09", f"{entry.called} is {usage}, which {_POINTING}")
        return _Kind(f"Filler({size})", size, {})

    def _number(self, entry: Entry, picture: Picture, usage: str, quiet: bool) -> _Kind:
        digits, scale, signed = picture.digits, picture.scale, picture.is_signed
        if usage in ("COMP-3", "COMP-6"):
            nibble = usage == "COMP-3"
            length = digits // 2 + 1 if nibble else (digits + 1) // 2
            if not nibble and signed:
                self._find(quiet, entry, "error", "E-IMP-05", f"{entry.called} is COMP-6, which has no sign, but its picture has one")
            return _Kind(_call("Packed", digits, scale=scale, signed=signed and nibble, nibble_sign=nibble, null=self.null), length, {})
        if usage in _BINARY:
            return self._binary(digits, scale, signed, usage)
        if usage == "NATIONAL":
            self._find(quiet, entry, "warning", "E-IMP-09", f"{entry.called} is a number in UTF-16: its digits are read as text")
            return self._utf16(entry, digits + (signed and "separate" in entry.inherited_sign()))
        if usage not in ("", "DISPLAY"):
            self._find(quiet, entry, "warning", "E-IMP-04", f"{entry.called} is {usage} with a picture of digits: read as DISPLAY")
        return self._displayed(entry, picture, quiet)

    def _binary(self, digits: int, scale: int, signed: bool, usage: str) -> _Kind:
        if usage in ("COMP-X", "COMP-N"):
            length = binary_length(digits, "mf", signed)
        else:
            length = binary_length(digits, self.dialect, signed)
        order = {"COMP-5": self.native, "COMP-N": self.native_hex}.get(usage, "big")
        limit = digits if usage == "COMP" else None
        return _Kind(_call("Binary", length, digits=limit, scale=scale, signed=signed, order=order), length, {})

    def _displayed(self, entry: Entry, picture: Picture, quiet: bool) -> _Kind:
        digits, scale = picture.digits, picture.scale
        is_signed = picture.is_signed
        if not is_signed and "separate" in entry.sign:
            self._find(quiet, entry, "warning", "E-IMP-03", f"{entry.called} has a separate sign, but its picture no S: read with the sign")
            is_signed = True
        if is_signed:
            sign = entry.inherited_sign() or "trailing"
            length = digits + ("separate" in sign)
            return _Kind(_call("Zoned", digits, scale=scale, sign=sign, dialect=self._sign_dialect(sign), null=self.null), length, {})
        if entry.blank_when_zero:
            return _Kind(_call("Digits", digits, scale=scale, blank="when zero", null=self.null), digits, {})
        codes = {} if scale else self._codes(entry, digits, True)
        if codes or id(entry) in self.selectors:
            return _Kind(f"Code({digits}, {{codes}}, digits=True)" if codes else f"Code({digits}, digits=True)", digits, codes)
        return _Kind(_call("Digits", digits, scale=scale, null=self.null), digits, {})

    def _sign_dialect(self, sign: str) -> str | None:
        """How a sign stands in a digit, None where the family's encoding says it."""
        letters = self.dialect == "ibm" if self.sign is None else self.sign == "ebcdic"
        return "ascii-ebcdic-letters" if letters and not self.is_ebcdic and "separate" not in sign else None

    def _text(self, entry: Entry, picture: Picture, usage: str, quiet: bool) -> _Kind:
        size = picture.size
        if usage == "NATIONAL":
            return self._utf16(entry, size)
        if picture.category == "wide" or usage == "DISPLAY-1":
            return self._wide(entry, picture, usage, quiet)
        if picture.category == "edited":
            return _Kind(self._edited(entry, picture.text), size, {})
        if picture.category == "float":
            self._find(quiet, entry, "warning", "E-IMP-09", f"{entry.called} is a number with an exponent: read as text")
        codes = self._codes(entry, size, False) if not entry.is_right else {}
        if codes:
            return _Kind(f"Code({size}, {{codes}})", size, codes)
        return _Kind(_call("Text", size, align="right" if entry.is_right else "left", null=self.null), size, {})

    def _edited(self, entry: Entry, text: str) -> str:
        blank = "when zero" if entry.blank_when_zero else "null"
        comma = self.decimal_comma or ("," in text and "." in text.split(",", 1)[0])  # a point and then a comma: no other reading
        currency = next((each for each in text if each in "£€¥₩"), "$")
        return _call("Edited", quoted(text), blank=blank, currency=currency, comma=comma)

    def _wide(self, entry: Entry, picture: Picture, usage: str, quiet: bool) -> _Kind:
        """Two bytes for each character, those of the page without shift codes. Where PIC N alone says it, it may be UTF-16 as well."""
        if not usage and "N" in picture.text.upper():
            if not quiet:
                self.unsaid.append(entry.called)
            if not self.has_double_bytes:
                return self._utf16(entry, picture.size)
        length = 2 * picture.size
        if not self.has_double_bytes:
            what = f"{entry.called} has characters of two bytes, which {self.encoding} does not have: its bytes are kept as they are"
            self._find(quiet, entry, "warning", "E-IMP-09", what, "give --encoding, cp933 for instance, if they are of a double-byte page")
            return _Kind(f"Filler({length})", length, {})
        return self._double_bytes(entry, length)

    def _utf16(self, entry: Entry, characters: int) -> _Kind:
        return self._double_bytes(entry, 2 * characters, quoted(self.utf16))

    def _double_bytes(self, entry: Entry, length: int, *encoding: str) -> _Kind:
        align = "right" if entry.is_right else "left"
        return _Kind(_call("Text", length, *encoding, align=align, double_byte=True, null=self.null), length, {})

    # --- FILLER

    def _filler(self, entry: Entry, kind: _Kind) -> _Kind:
        """Reserved bytes. Where the copybook gives them a text, it is written, and blanks are let in beside it."""
        value, size = entry.value, kind.length
        if value is None or not value.is_text or value.figure or not value.text or value.prefix:
            return _Kind(f"Filler({size})", size, {})
        text = (value.text * size)[:size] if value.is_all else value.text[:size].ljust(size)
        try:
            content = text.encode(self.encoding)
        except (LookupError, UnicodeEncodeError):
            content = b""
        if len(content) != size or not text.strip():
            return _Kind(f"Filler({size})", size, {})
        constant = quoted(text) if text.isascii() else _bytes(content)
        return _Kind(f"Fixed({constant}, or_blank=True)", size, {})

    # --- level 88

    def _codes(self, entry: Entry, size: int, digits: bool) -> dict[Codes, str]:
        """The values that levels 88 name, where they name more than one: a single name says nothing about the others."""
        if id(entry) in self.counters:
            return {}
        named = [(codes, each) for each in entry.names if (codes := [*_ranges(each, size, digits)])]
        if sum(len(codes) for codes, _ in named) < 2 and not any(low != high for codes, _ in named for low, high in codes):
            return {}
        found: dict[Codes, list[str]] = {}
        for codes, each in named:
            for low, high in codes:
                found.setdefault(low if low == high else (low, high), []).append(each.name)
        told: dict[Codes, str] = {code: ", ".join(names) for code, names in found.items()}
        return dict(sorted(told.items(), key=lambda pair: isinstance(pair[0], str)))  # a single code names better than a range

    # --- what does not go together

    def _misplaced(self, entry: Entry) -> None:
        if entry.value is not None and entry.value.is_text and not entry.value.figure and not entry.value.is_all:
            size = self._kind(entry, quiet=True).length
            if len(entry.value.text) > size and not entry.value.prefix:
                what = f"the VALUE of {entry.called} has {len(entry.value.text)} characters, its picture {size}"
                self.source.find("warning", "E-IMP-03", entry.place, what)

    def _find(self, quiet: bool, entry: Entry, level: Literal["error", "warning"], code: str, what: str, do: str = "") -> None:
        if not quiet:
            self.source.find(level, code, entry.picture_place or entry.place, what, do)


def meanings(entry: Entry, codes: Mapping[Codes, str] = {}) -> str:
    """Levels 88 as a remark, where the declaration does not hold them."""
    held = {name for names in codes.values() for name in names.split(", ")}
    left = [each for each in entry.names if each.name not in held]
    return "".join(f"; 88 {each.name} {', '.join(map(_shown, each.values))}" for each in left)


def is_ebcdic(encoding: str) -> bool:
    """Whether its blank is EBCDIC's."""
    try:
        return " ".encode(encoding) == b"\x40"
    except LookupError:
        return False


def _call(kind: str, *arguments: object, **named: object) -> str:
    """A declaration without what its kind takes for granted."""
    granted: dict[str, object] = {"scale": 0, "order": "big", "sign": "trailing", "dialect": None, "align": "left", "digits": None}
    granted |= {"signed": True, "nibble_sign": True, "blank": "null", "null": "blank", "comma": False, "currency": "$", "form": "ieee"}
    told = {name: value for name, value in named.items() if value != granted.get(name, object())}
    texts = [str(each) for each in arguments]
    texts += [f"{name}={quoted(value) if isinstance(value, str) else value}" for name, value in told.items()]
    return f"{kind}({', '.join(texts)})"


def _bytes(content: bytes) -> str:
    return 'b"' + "".join(f"\\x{each:02x}" for each in content) + '"'


def _ranges(named: Named, size: int, digits: bool) -> Iterator[tuple[str, str]]:
    """The values of a level 88 as a field of that size holds them; without those that no code can be."""
    for low, high in named.values:
        ends = (_code(low, size, digits), _code(high, size, digits))
        if ends[0] and ends[1] and ends[0] <= ends[1]:
            yield ends[0], ends[1]


def _code(value: Value, size: int, digits: bool) -> str:
    """ "" for what is no code: blanks, low and high values, text outside of ASCII."""
    if value.figure == "ZERO":
        return "0" * size
    if value.figure or value.prefix:
        return ""
    text = (value.text * size)[:size] if value.is_all else value.text
    if digits or not value.is_text:
        text = text.lstrip("+").zfill(size)
        return text if text.isascii() and text.isdecimal() and len(text) == size else ""
    text = text.rstrip(" ")
    return text if text.isascii() and text.isprintable() and len(text) <= size else ""


def _shown(ends: tuple[Value, Value]) -> str:
    low, high = (f"'{each.text}'" if each.is_text and not each.figure else each.text for each in ends)
    return low if low == high else f"{low} THRU {high}"
