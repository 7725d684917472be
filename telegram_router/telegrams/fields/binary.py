"""Binary numbers: COBOL's COMP, COMP-4, COMP-5 and BINARY, of any width and either byte order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.kind import FieldFault, Json, Log, Mistake, Pii, Place, is_a
from telegram_router.telegrams.fields.numbers import Limit, Number, picture

_WIDEST: Final = 16


def _stepped(*steps: tuple[int, int]) -> Callable[[int, bool], int]:
    return lambda digits, signed: next(length for most, length in steps if digits <= most)


def _smallest(digits: int, signed: bool) -> int:
    """The fewest bytes that hold the largest number of so many digits."""
    return (int(10**digits - 1).bit_length() + signed + 7) // 8


MOST_DIGITS: Final = 38

_LENGTHS: Final[Mapping[str, Callable[[int, bool], int]]] = {
    "ibm": _stepped((4, 2), (9, 4), (18, 8), (MOST_DIGITS, 16)),
    "gnucobol": _stepped((2, 1), (4, 2), (9, 4), (18, 8), (MOST_DIGITS, 16)),
    "mf": _smallest,
}


def binary_length(digits: int, dialect: str = "ibm", signed: bool = True) -> int:
    """Bytes of a COMP item of so many digits, 1 to 38: `ibm` 2, 4 or 8, `gnucobol` 1, 2, 4 or 8, `mf` (Micro Focus) as few as hold it.

    Beyond 18 digits the first two take 16 bytes. The sizes are those that GnuCOBOL uses under -std=ibm, by default and under -std=mf.
    """
    if not 1 <= digits <= MOST_DIGITS:
        raise ValueError(f"a binary item has 1 to {MOST_DIGITS} digits, not {digits}")
    return _LENGTHS[dialect](digits, signed)


class Binary(Number):
    """A binary number of `length` bytes. `digits` limits it to so many decimal digits, as COMP does; None lets it have every
    value that the bytes can have, as COMP-5 does."""

    binary = True
    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Number.argument_types,
        "signed": (bool,),
        "order": (str,),
    }

    def __init__(
        self,
        length: int,
        digits: int | None = None,
        scale: int = 0,
        signed: bool = True,
        order: Literal["big", "little"] = "big",
        *,
        least: Limit = None,
        most: Limit = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        self.given_digits = digits
        bits = 8 * length if is_a(length, (int,)) and 0 < length <= _WIDEST else 8
        top = 1 << (bits - (signed is True))
        self.least_units, self.most_units = (-top if signed is True else 0), top - 1
        if is_a(digits, (int,)) and digits is not None and 0 < digits <= 40:
            self.most_units = min(self.most_units, 10**digits - 1)
            self.least_units = max(self.least_units, -(10**digits - 1))
        super().__init__(length, len(str(self.most_units)) if digits is None else digits, scale, least, most, log=log, pii=pii, json=json)
        self.signed = signed
        self.order = order

    @property
    def rule(self) -> str:
        sign = "S" if self.signed else ""
        if self.given_digits is None:
            full = {1: 2, 2: 4, 4: 9, 8: 18}.get(self.length)
            return f"{sign}{picture(full, self.scale)} COMP-5" if full else f"{sign}{self.length} bytes COMP-5"
        return f"{sign}{picture(self.digits, self.scale)} COMP"

    @property
    def expected(self) -> str:
        end = "most" if self.order == "big" else "least"
        digits = "" if self.given_digits is None else f", at most {self.digits} digits"
        sign = "signed " if self.signed else ""
        return f"a {sign}binary number of {self.length} bytes, {end} significant byte first{digits}{self.within_words}"

    def read(self, raw: bytes) -> int | Decimal:
        units = int.from_bytes(raw, self.order, signed=self.signed)
        if not self.least_units <= units <= self.most_units:
            raise self.fault("E-FLD-01", f"number has more than {self.digits} digits")
        return self.limited(self.number(str(abs(units)), units < 0))

    def write(self, value: Any) -> bytes:
        units = self.units(value)
        if units < 0 and not self.signed:
            raise self.fault("E-FLD-01", "number is negative")
        if not self.least_units <= units <= self.most_units:
            raise self.too_large()
        return units.to_bytes(self.length, self.order, signed=self.signed)

    def too_large(self) -> FieldFault:
        what = f"its {self.length} bytes" if self.given_digits is None else f"its {self.digits} digits"
        return self.fault("E-FLD-05", f"number does not fit into {what}")

    # -- generated code

    def source_of_read(self, place: Place) -> str:
        if self.scale > 0:
            return place.slow
        signed = ", signed=True" if self.signed else ""
        number = f"{place.use('from_bytes', int.from_bytes)}({place.raw}, {self.order!r}{signed})"
        zeros = f" * {10**-self.scale}" if self.scale else ""
        if self.given_digits is None:
            return self.limit_source(f"{number}{zeros}", place)
        fits = f"(x := {number}) <= {self.most_units}"
        if self.signed:
            fits = f"{self.least_units} <= {fits}"
        return f"{self.limit_source('x' + zeros, place)} if {fits} else {place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        if self.scale:
            return place.slow_write(value)
        signed = ", signed=True" if self.signed else ""
        fits = f" and {self.least_units} <= x <= {self.most_units}"
        written = place.spelled(f"x.to_bytes({self.length}, {self.order!r}{signed})")
        return f"{written} if (x := {value}).__class__ is int{fits}{self.range_source(place)} else {place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.length > _WIDEST:
            yield "E-CFG-21", f"a binary number has at most {_WIDEST} bytes, not {self.length}"
        if self.order not in ("big", "little"):
            yield "E-CFG-20", f'order must be "big" or "little", not {self.order!r}'
        if self.given_digits is not None and 0 < self.length <= _WIDEST and 10 ** (self.given_digits - 1) > (1 << (8 * self.length)):
            yield "E-CFG-21", f"{self.length} bytes hold no number of {self.given_digits} digits"
