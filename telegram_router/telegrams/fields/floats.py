"""Floating point: COBOL's COMP-1 and COMP-2, in IEEE 754 or in IBM's hexadecimal form, as exact decimals."""

# A pattern of bits is shown as the shortest decimal that gives this pattern again: 0.1, not 0.100000001490116119384765625.
# What may be written is such a decimal or the exact value of a pattern; anything else would be rounded, and is refused.
# So reading what was written gives the same number, and writing what was read the same bytes, but for the forms that are
# not unique: a negative zero, and IBM numbers with zeros in front. Their bytes are kept beside the value.

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.kind import FieldFault, Kind, Log, Mistake, Pii, is_number

_EXACT: Final = Context(prec=800)  # digits of the exact value of any double, and more than any of IBM's
_DIGITS: Final = {("ieee", 4): 9, ("ieee", 8): 17, ("ibm", 4): 9, ("ibm", 8): 18}  # that tell all patterns apart
_LONGEST: Final = 800  # digits of a number that is given; none of these forms keeps more
_FURTHEST: Final = 400  # places from its first digit to the point
_LARGEST: Final = 10**100
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


class Float(Kind):
    """A floating-point number of 4 (COMP-1) or 8 bytes (COMP-2); its value is a Decimal. NaN and infinities are refused."""

    binary = True
    has_json_form = True
    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "form": (str,), "order": (str,)}

    def __init__(
        self,
        length: Literal[4, 8],
        form: Literal["ieee", "ibm"] = "ieee",
        order: Literal["big", "little"] = "big",
        *,
        log: Log = "masked",
        pii: Pii = None,
    ) -> None:
        super().__init__(length, log=log, pii=pii)
        self.form = form
        self.order = order

    @property
    def rule(self) -> str:
        return "COMP-1" if self.length == 4 else "COMP-2"

    @property
    def expected(self) -> str:
        form = "IEEE 754" if self.form == "ieee" else "IBM hexadecimal"
        return f"a finite floating-point number in {form}, {self.length} bytes"

    def read(self, raw: bytes) -> Decimal:
        pattern = raw if self.order == "big" else raw[::-1]
        exact = self._exact(pattern)
        return self._shortest(exact) if exact else Decimal(0)

    def write(self, value: Any) -> bytes:
        value = self._decimal(value)
        pattern = self._pattern(Fraction(value))
        exact = self._exact(pattern)
        if exact != Fraction(value) and self._shortest(exact) != value:
            raise self.fault("E-FLD-05", "number has more digits than the field keeps")
        return pattern if self.order == "big" else pattern[::-1]

    def _decimal(self, value: Any) -> Decimal:
        """A given number, of which it is certain that it can be worked with. Raises FieldFault."""
        if type(value) is float:
            value = Decimal(repr(value))
        if is_number(value):
            value = Decimal(value) if abs(value) < _LARGEST else Decimal("Infinity")
        if not isinstance(value, Decimal):
            raise self.wrong_type(value, "Decimal, int or float")
        if not value.is_finite() or (value and (len(value.as_tuple().digits) > _LONGEST or abs(value.adjusted()) > _FURTHEST)):
            raise self.fault("E-FLD-05", "number is not finite, or out of the field's range")
        return value or Decimal(0)

    # -- JSON: a decimal as text, with an exponent only where the number would be long without

    def as_json(self, value: Any) -> str:
        number = self._decimal(value)
        if number and not -7 <= number.adjusted() < 21:
            return f"{number.normalize(_EXACT):E}"
        return f"{number.normalize(_EXACT):f}" if number else "0"

    def of_json(self, value: Any) -> Decimal:
        if is_number(value):
            return self._decimal(value)
        if not isinstance(value, str):
            raise self.fault("E-FLD-12", "JSON is not a text")
        if _NUMBER.fullmatch(value) is None:
            raise self.fault("E-FLD-01", "text is not a number of this form")
        return Decimal(value)

    # -- patterns of bits and exact values

    def _exact(self, pattern: bytes) -> Fraction:
        if self.form == "ieee":
            number = struct.unpack(">f" if self.length == 4 else ">d", pattern)[0]
            if not math.isfinite(number):
                raise self.fault("E-FLD-01", "number is infinite or no number (NaN)")
            return Fraction(number)
        fraction = int.from_bytes(pattern[1:], "big")
        value = Fraction(fraction) * Fraction(16) ** ((pattern[0] & 0x7F) - 64 - 2 * (self.length - 1))
        return -value if pattern[0] & 0x80 else value

    def _pattern(self, value: Fraction) -> bytes:
        """The nearest pattern. Raises FieldFault."""
        try:
            if self.form == "ieee":
                return struct.pack(">f" if self.length == 4 else ">d", float(value))
            return self._ibm(value)
        except OverflowError:
            pass
        raise self.fault("E-FLD-05", "number is out of the field's range")

    def _ibm(self, value: Fraction) -> bytes:
        digits = 2 * (self.length - 1)
        size, exponent = abs(value), 0
        while size >= Fraction(16) ** (exponent - 64):
            exponent += 1
            if exponent > 127:
                raise OverflowError
        fraction = round(size * Fraction(16) ** (digits + 64 - exponent))
        if fraction == 16**digits:  # rounded up to the next power
            fraction, exponent = fraction // 16, exponent + 1
        if exponent > 127:
            raise OverflowError
        if not fraction:
            return b"\0" * self.length
        return bytes([exponent | (0x80 if value < 0 else 0)]) + fraction.to_bytes(self.length - 1, "big")

    def _shortest(self, exact: Fraction) -> Decimal:
        """The shortest decimal whose nearest pattern is that of the exact value."""
        if self.form == "ieee" and self.length == 8:
            return _plain(Decimal(repr(float(exact))))
        whole = _EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))
        for digits in range(1, _DIGITS[self.form, self.length] + 1):
            candidate = whole.normalize(Context(prec=digits))
            if self._gives(candidate, exact):
                return _plain(candidate)
        return _plain(whole.normalize(_EXACT))

    def _gives(self, candidate: Decimal, exact: Fraction) -> bool:
        try:
            return self._exact(self._pattern(Fraction(candidate))) == exact
        except FieldFault:  # rounded up beyond the largest
            return False

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.length not in (4, 8):
            yield "E-CFG-21", f"a floating-point number has 4 or 8 bytes, not {self.length}"
        if self.form not in ("ieee", "ibm"):
            yield "E-CFG-20", f'form must be "ieee" or "ibm", not {self.form!r}'
        if self.order not in ("big", "little"):
            yield "E-CFG-20", f'order must be "big" or "little", not {self.order!r}'


def _plain(number: Decimal) -> Decimal:
    """100 rather than 1E+2, and no zeros behind the point."""
    number = number.normalize(_EXACT)
    return Decimal(f"{number:f}") if 0 <= number.adjusted() < 18 else number
