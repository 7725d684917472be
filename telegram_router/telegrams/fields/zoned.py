"""Zoned decimals: COBOL's USAGE DISPLAY with a sign, in the digit itself (overpunched) or in a byte of its own."""

# Digits of the byte that carries the sign, in the three ways that are met:
#
#   dialect                  +0 to +9        -0 to -9        read as well
#   ebcdic                   C0-C9 {A-I      D0-D9 }J-R      F, A and E as plus, B as minus
#   ascii                    30-39 0-9       70-79 p-y
#   ascii-ebcdic-letters     7B 41-49 {A-I   7D 4A-52 }J-R   30-39 as plus
#
# The second is what GnuCOBOL and Micro Focus write, the third GnuCOBOL with -fsign=EBCDIC and EBCDIC files that were
# translated to ASCII. Which one a partner uses cannot be seen in the positive numbers of the second.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.charset import Charset, charset_of
from telegram_router.telegrams.fields.kind import Json, Log, Mistake, Pii, Place, is_a
from telegram_router.telegrams.fields.numbers import Blank, Limit, Null, Written, picture

Dialect = Literal["ebcdic", "ascii", "ascii-ebcdic-letters"]
Sign = Literal["trailing", "leading", "trailing separate", "leading separate"]

_PLACES: Final = ("trailing", "leading", "trailing separate", "leading separate")
_EBCDIC: Final = charset_of("cp037")


def _marks(plus: bytes, minus: bytes) -> dict[int, tuple[int, bool]]:
    return {byte: (digit, negative) for negative, row in ((False, plus), (True, minus)) for digit, byte in enumerate(row)}


def _zone(high: int) -> bytes:
    return bytes(high + digit for digit in range(10))


# What a byte that carries a sign means: its digit, and whether the number is negative. The canonical ones come last.
_MEANING: Final[Mapping[str, dict[int, tuple[int, bool]]]] = {
    "ebcdic": _marks(_zone(0xA0), _zone(0xB0)) | _marks(_zone(0xE0), b"") | _marks(_zone(0xF0), b"") | _marks(_zone(0xC0), _zone(0xD0)),
    "ascii": _marks(b"0123456789", b"pqrstuvwxy"),
    "ascii-ebcdic-letters": _marks(b"0123456789", b"") | _marks(b"{ABCDEFGHI", b"}JKLMNOPQR"),
}
_CANONICAL: Final = {dialect: {meaning: bytes([byte]) for byte, meaning in meanings.items()} for dialect, meanings in _MEANING.items()}


class Zoned(Written):
    """A number of digits, one in each byte; `sign` says where its sign is, None that it has none.

    `dialect` says how a sign stands in a digit. Without it EBCDIC families use EBCDIC, all others ASCII.
    """

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Written.argument_types,
        "sign": (str, NoneType),
        "dialect": (str, NoneType),
    }

    def __init__(
        self,
        digits: int,
        scale: int = 0,
        sign: Sign | None = "trailing",
        dialect: Dialect | None = None,
        blank: Blank = "null",
        null: Null = "blank",
        *,
        least: Limit = None,
        most: Limit = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        self.separate = isinstance(sign, str) and sign.endswith("separate")
        self.leading = isinstance(sign, str) and sign.startswith("leading")
        length = digits + self.separate if is_a(digits, (int,)) else digits
        super().__init__(length, digits, scale, blank, null, least, most, log=log, pii=pii, json=json)
        self.sign = sign
        self.signed = sign is not None
        self.dialect = dialect
        if dialect == "ebcdic":
            self.charset = _EBCDIC
            self.binary = True
        self.bound()

    def in_charset(self, charset: Charset) -> Zoned:
        return self if self.dialect is not None else super().in_charset(charset)

    def bound(self) -> None:
        self.marks = self.dialect or ("ascii" if self.charset.is_ascii else "ebcdic")
        self._meaning = _MEANING.get(self.marks, {})
        self._canonical = _CANONICAL.get(self.marks, {})

    @property
    def rule(self) -> str:
        clause = "" if self.sign in (None, "trailing") else f" SIGN {str(self.sign).upper()}"
        return ("S" if self.signed else "") + picture(self.digits, self.scale) + clause

    @property
    def expected(self) -> str:
        if self.sign is None:
            return f"{self.digits} digits 0-9{self.or_empty}"
        where = "first" if self.leading else "last"
        if self.separate:
            return f"a sign (+ or -) as the {where} byte and {self.digits} digits 0-9{self.or_empty}"
        return f"{self.digits} digits 0-9, the {where} with a sign in it ({self.marks}){self.or_empty}"

    def read(self, raw: bytes) -> int | Decimal | None:
        if self.sign is None or self.separate or self.charset.is_ascii:
            return super().read(raw)
        plain = self.charset.ascii(raw)  # the sign's byte is looked at as it came
        if not plain.strip(b" ") or (self.null == "low" and not raw.strip(b"\0")):
            return super().read(raw)
        return self.limited(self._overpunched(plain, raw))

    def read_digits(self, plain: bytes) -> int | Decimal:
        if self.sign is None:
            return self.number(self.check_digits(plain))
        if self.separate:
            mark, digits = (plain[:1], plain[1:]) if self.leading else (plain[-1:], plain[:-1])
            if mark not in (b"+", b"-"):
                raise self.fault("E-FLD-01", "sign is neither + nor -")
            return self.number(self.check_digits(digits), mark == b"-")
        return self._overpunched(plain, plain)

    def _overpunched(self, plain: bytes, raw: bytes) -> int | Decimal:
        at = 0 if self.leading else self.digits - 1
        meaning = self._meaning.get(raw[at])
        if meaning is None:
            raise self.fault("E-FLD-01", f"byte {at + 1} of the field is no digit with a sign in it ({self.marks})")
        digit, negative = meaning
        return self.number(self.check_digits(b"%s%d%s" % (plain[:at], digit, plain[at + 1 :])), negative)

    def write(self, value: Any) -> bytes:
        raw = super().write(value)
        if self.sign is None or self.separate or value is None or (not value and self.blank == "when zero"):
            return raw
        at = 0 if self.leading else self.digits - 1
        digit = self.charset.ascii(raw[at : at + 1])[0] - 0x30
        return raw[:at] + self._canonical[digit, value < 0] + raw[at + 1 :]

    def write_units(self, units: int) -> bytes:
        if self.sign is None and units < 0:
            raise self.fault("E-FLD-01", "number is negative")
        digits = self.spelled(abs(units))
        if not self.separate:
            return digits
        mark = b"-" if units < 0 else b"+"
        return mark + digits if self.leading else digits + mark

    # -- generated code

    def source_of_read(self, place: Place) -> str:
        if self.blank == "when zero":
            return place.slow
        if self.sign is None:
            usual = f"{self.value_source('x', place)} if (x := {self.seen(place)}).isdecimal() else "
            return f"{usual}{self.empty_read_source(place, 'x')}{place.slow}"
        empty = self.empty_read_source(place, self.seen(place))
        return f"{self._separate_source(place) if self.separate else self._overpunched_source(place)} else {empty}{place.slow}"

    def _separate_source(self, place: Place) -> str:
        digits = self.seen(place, 1, self.length) if self.leading else self.seen(place, 0, self.digits)
        mark = self.seen(place, 0, 1) if self.leading else self.seen(place, self.digits, self.length)
        return self._signed_source(digits, f"{mark} == '+'", f"{mark} == '-'", place)

    def _signed_source(self, digits: str, plus: str, minus: str, place: Place) -> str:
        zeros = place.use(f"ZEROS{self.digits}", "0" * self.digits)
        negative = f"{self.value_source('x', place, True)} if {minus} and x != {zeros} else {place.slow}"
        return f"({self.value_source('x', place)} if {plus} else {negative}) if (x := {digits}).isdecimal()"

    def _overpunched_source(self, place: Place) -> str:
        # One look into a table tells a sign's byte: its digit as text, behind it the other digits decide.
        plus, minus = ({place.constant(b): str(d) for (d, n), b in self._canonical.items() if n is negative} for negative in (False, True))
        pluses, minuses = place.use(f"PLUS_{self._word}", plus), place.use(f"MINUS_{self._word}", minus)
        at, rest = (0, (1, self.digits)) if self.leading else (self.digits - 1, (0, self.digits - 1))
        byte, others = place.part(at, at + 1), self.seen(place, *rest)
        joined = f"{{sign}}[z] + {others}" if self.leading else f"{others} + {{sign}}[z]"
        zeros = place.use(f"ZEROS{self.digits}", "0" * self.digits)
        positive = f"{self.value_source('x', place)} if (z := {byte}) in {pluses} and (x := {joined.format(sign=pluses)}).isdecimal()"
        negative = (
            f"{self.value_source('x', place, True)} if z in {minuses} and (x := {joined.format(sign=minuses)}).isdecimal() and x != {zeros}"
        )
        return f"{positive} else {negative}"

    @property
    def _word(self) -> str:
        return self.marks.replace("-", "_")

    def source_of_write(self, value: str, place: Place) -> str:
        short = None if self.blank == "when zero" else self.digits_source(value, place)
        if short is None:
            return place.slow_write(value)
        digits, condition = short
        usual = self.sent(digits, place)
        if self.sign is not None:
            digits, sign, condition = self.signed_digits_source(value, place)
            usual = self._marked(digits, sign, place)
        return f"{usual} if {condition} else {self.empty_write_source(place)}{place.slow_write('x')}"

    def _marked(self, digits: str, sign: str, place: Place) -> str:
        """Source of the digits with the sign where it belongs."""
        if self.separate:
            mark = f"('+' if {sign} else '-')"
            return self.sent(f"{mark} + {digits}" if self.leading else f"{digits} + {mark}", place)
        plus, minus = (
            {str(digit): place.constant(byte) for (digit, is_minus), byte in self._canonical.items() if is_minus is negative}
            for negative in (False, True)
        )
        both = f"({place.use(f'PLUSES_{self._word}', plus)} if {sign} else {place.use(f'MINUSES_{self._word}', minus)})"
        if self.leading:
            return f"{both}[(y := {digits})[0]] + {self.sent('y[1:]', place)}"
        return f"{self.sent(f'(y := {digits})[:-1]', place)} + {both}[y[-1]]"

    # -- mistakes

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.sign is not None and self.sign not in _PLACES:
            yield "E-CFG-20", f"sign must be None, {', '.join(map(repr, _PLACES))}, not {self.sign!r}"
        if self.dialect is not None and self.dialect not in _MEANING:
            yield "E-CFG-20", f"dialect must be None, {', '.join(map(repr, _MEANING))}, not {self.dialect!r}"
