"""Numbers of digits, with or without a sign, exact with any scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from telegram_router.telegrams.fields.kind import Json, Kind, Log, Mistake, Place, first_bad, is_a, is_number

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
        raise self.fault("E-FLD-01", f"byte {first_bad(raw, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")

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
        if is_number(value):
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
        self.length = digits + 1 if is_a(digits, (int,)) else digits
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
