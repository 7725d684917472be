"""Packed decimals: COBOL's COMP-3, two digits in a byte and the sign in the last half byte, and COMP-6, which has no sign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.kind import Json, Log, Mistake, Pii, Place, is_a
from telegram_router.telegrams.fields.numbers import Limit, Number

_PLUS: Final = "acef"  # half bytes that mean plus; f is no sign at all
_MINUS: Final = "bd"


class Packed(Number):
    """A packed number. `nibble_sign=False` is COMP-6: digits only.

    Every legal sign is read; `c` and `d` are written, `f` where `signed=False`. With an even number of digits one half byte is
    over, in front; it should be 0, and is kept where it is not. `null="low"`: bytes of 0x00 stand for no value, which is no
    packed number; `null="blank"`: blanks (0x40 or 0x20) do.
    """

    binary = True
    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Number.argument_types,
        "signed": (bool,),
        "nibble_sign": (bool,),
        "null": (str, NoneType),
    }

    def __init__(
        self,
        digits: int,
        scale: int = 0,
        signed: bool = True,
        nibble_sign: bool = True,
        null: Literal["low", "blank"] | None = None,
        *,
        least: Limit = None,
        most: Limit = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        length = (digits // 2 + 1 if nibble_sign else (digits + 1) // 2) if is_a(digits, (int,)) else digits
        super().__init__(length, digits, scale, least, most, log=log, pii=pii, json=json)
        self.signed = signed if nibble_sign else False
        self.nibble_sign = nibble_sign
        self.null = null
        self._pad = 2 * self.length - digits - bool(nibble_sign) if is_a(digits, (int,)) else 0
        self._plus = "c" if self.signed else "f"

    @property
    def rule(self) -> str:
        return f"{super().rule} {'COMP-3' if self.nibble_sign else 'COMP-6'}"

    @property
    def expected(self) -> str:
        sign = (" and a sign" if self.signed else " and a plus or no sign") if self.nibble_sign else ""
        empty = {"low": ", or low values", "blank": ", or blank"}.get(self.null or "", "")
        return f"{self.digits} packed digits{sign} in {self.length} bytes{empty}{self.within_words}"

    def read(self, raw: bytes) -> int | Decimal | None:
        if self._is_empty(raw):
            return None
        halves = raw.hex()
        digits, sign = (halves[:-1], halves[-1]) if self.nibble_sign else (halves, self._plus)
        if not digits.isdecimal():
            at = next(i for i, half in enumerate(digits) if half > "9")
            raise self.fault("E-FLD-01", f"{'left' if at % 2 == 0 else 'right'} half of byte {at // 2 + 1} of the field is not a digit")
        if sign not in _PLUS and sign not in _MINUS:
            raise self.fault("E-FLD-01", f"right half of byte {self.length} of the field is not a sign")
        if sign in _MINUS and not self.signed:
            raise self.fault("E-FLD-01", "number without sign is negative")
        return self.limited(self.number(digits[self._pad :], sign in _MINUS))

    def _is_empty(self, raw: bytes) -> bool:
        if self.null == "low":
            return not raw.strip(b"\0")
        return self.null == "blank" and (not raw.strip(b"\x40") or not raw.strip(b" "))

    def write(self, value: Any) -> bytes:
        if value is None:
            return self._written_empty()
        units = self.units(value)
        if units < 0 and not self.signed:
            raise self.fault("E-FLD-01", "number is negative")
        sign = ("d" if units < 0 else self._plus) if self.nibble_sign else ""
        return bytes.fromhex("0" * self._pad + self.spelled(abs(units)).decode("ascii") + sign)

    def _written_empty(self) -> bytes:
        if self.null is None:
            raise self.fault("E-FLD-06", "number is missing")
        return (b"\0" if self.null == "low" else b"\x40") * self.length

    # -- generated code

    def source_of_read(self, place: Place) -> str:
        end = 2 * self.length - bool(self.nibble_sign)
        unpadded = f" and {place.halves(0, 1)} == '0'" if self._pad else ""
        usual = f"(x := {place.halves(self._pad, end)}).isdecimal(){unpadded}"
        number = self.value_source("x", place)
        if not self.nibble_sign:
            return f"{number} if {usual} else {place.slow}"
        sign = place.halves(end, end + 1)
        if not self.signed:
            return f"{number} if {usual} and {sign} == 'f' else {place.slow}"
        zeros = place.use(f"ZEROS{self.digits}", "0" * self.digits)
        minus = f"{self.value_source('x', place, True)} if {sign} == 'd' and x != {zeros} else {place.slow}"
        return f"({number} if {sign} == 'c' else {minus}) if {usual} else {place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        if not 0 <= self.scale < self.digits:
            return place.slow_write(value)
        # Too many digits make an odd number of halves, which fromhex refuses, or a piece that is too long. With a half byte
        # over they would go unseen.
        halves, mark = 2 * self.length, f" + {self._plus!r}" if self.nibble_sign else ""
        if self.scale:
            usual = self.decimal_source(value, place) + (f" and len(s) <= {self.digits + 1}" if self._pad else "")
            plus = f"({self.joined_source}{mark}).zfill({halves})"
            minus = f"(s[1:-{self.scale + 1}] + s[-{self.scale}:] + 'd').zfill({halves})"
            is_plus, is_minus = "s[0] != '-'", "x"
        else:
            usual = f"(x := {value}).__class__ is int" + (f" and -{10**self.digits} < x < {10**self.digits}" if self._pad else "")
            plus, minus = f"(str(x){mark}).zfill({halves})", f"(str(-x) + 'd').zfill({halves})"
            is_plus, is_minus = "x >= 0", "True"
        pack = place.use("fromhex", bytes.fromhex)
        slow = place.slow_write("x")
        if self.signed:
            either = f"{plus} if {is_plus} else {minus}"
            zero = f" and ({is_plus} or {is_minus})" if self.scale else ""
            return f"{place.spelled(f'{pack}({either})')} if {usual}{zero}{self.range_source(place)} else {slow}"
        return f"{place.spelled(f'{pack}({plus})')} if {usual} and {is_plus}{self.range_source(place)} else {slow}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.null not in (None, "low", "blank"):
            yield "E-CFG-20", f'null must be None, "low" or "blank", not {self.null!r}'
        if self.null == "low" and not self.nibble_sign:
            yield "E-CFG-20", 'null="low" is for numbers with a sign: without one, 0x00 is zero'
