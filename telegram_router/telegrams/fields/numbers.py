"""Numbers of digits, with or without a sign, exact with any scale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar, Final, Literal

from telegram_router.telegrams.fields.charset import CharKind
from telegram_router.telegrams.fields.kind import FieldFault, Json, Kind, Log, Mistake, Pii, Place, first_bad, is_a, is_number

Blank = Literal["null", "error", "zero", "when zero"]
Null = Literal["blank", "low"]
Limit = int | Decimal | str | None

_LIMIT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_EMPTY_WORDS: Final = {"null": ", or blank", "zero": ", or blank", "when zero": ", or blank for zero"}


class Number(Kind):
    """What all numbers share: digits that are stored, a decimal point that is not, and the limits of the business.

    `scale` counts the digits behind the point. Beyond the stored digits it means zeros behind the point that are not stored
    (COBOL's PIC VP), below 0 zeros before the point that are not stored (PIC 9P).
    """

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "digits": (int,),
        "scale": (int,),
        "least": (int, Decimal, str, NoneType),
        "most": (int, Decimal, str, NoneType),
    }

    def __init__(self, length: int, digits: int, scale: int, least: Limit, most: Limit, *, log: Log, pii: Pii = None, json: Json) -> None:
        super().__init__(length, log=log, pii=pii, json=json)
        self.digits = digits
        self.scale = scale
        self.least = least
        self.most = most
        self.lowest, self.highest = _limit(least), _limit(most)

    signed: bool = False

    @property
    def rule(self) -> str:
        return ("S" if self.signed else "") + picture(self.digits, self.scale)

    @property
    def may_be_json_number(self) -> bool:  # type: ignore[override]
        return self.scale <= 0 and self.digits - self.scale <= 15

    # -- between digits and the number

    def number(self, digits: str, negative: bool = False) -> int | Decimal:
        """The number that these stored digits mean. There is no negative zero."""
        if self.scale <= 0:
            units = int(digits + "0" * -self.scale)
            return -units if negative else units
        digits = digits.rjust(self.scale, "0")
        cut = len(digits) - self.scale
        text = f"{digits[:cut]}.{digits[cut:]}"
        # Decimal(str) is exact whatever the context's precision; arithmetic on it, and the minus before it, would not be.
        return Decimal("-" + text) if negative and digits.strip("0") else Decimal(text)

    def units(self, value: Any) -> int:
        """The number counted in its last stored digit. Raises FieldFault."""
        if is_number(value):
            units = int(value) * int(10**self.scale) if self.scale > 0 else self._without_zeros(int(value))
        elif self.scale > 0 and isinstance(value, Decimal) and value.is_finite():
            units = self._units_of(value)
        else:
            raise self.wrong_type(value, "Decimal or int" if self.scale > 0 else "int")
        self.check_limits(value)
        return units

    def _without_zeros(self, value: int) -> int:
        units, rest = divmod(value, int(10**-self.scale))
        if rest:
            raise self.fault("E-FLD-05", f"number is not a whole multiple of 1{'0' * -self.scale}: these zeros are not stored")
        return units

    def _units_of(self, value: Decimal) -> int:
        # On the digits, not by arithmetic: Decimal's would round, and int's would build numbers of any size a peer names.
        if not value:
            return 0
        if value.adjusted() + 1 + self.scale > self.digits:
            raise self.too_large()
        sign, figures, exponent = value.as_tuple()
        digits, shift = "".join(map(str, figures)), int(exponent) + self.scale
        units, rest = (digits + "0" * shift, "") if shift >= 0 else (digits[:shift], digits[shift:])
        if rest.strip("0"):
            raise self.fault("E-FLD-05", f"number has more than {self.scale} digits behind the decimal point")
        return -int(units) if sign else int(units)

    def spelled(self, units: int) -> bytes:
        """As many digits as are stored. Raises FieldFault."""
        if units >= 10**self.digits:  # compared, not spelled out: Python refuses to spell numbers of thousands of digits
            raise self.too_large()
        return b"%0*d" % (self.digits, units)

    def too_large(self) -> FieldFault:
        return self.fault("E-FLD-05", f"number needs more than the field's {self.digits} digits")

    # -- limits of the business

    def limited(self, value: int | Decimal) -> int | Decimal:
        """The number itself. Raises FieldFault."""
        self.check_limits(value)
        return value

    def check_limits(self, value: int | Decimal) -> None:
        """Raises FieldFault."""
        if self.highest is not None and value > self.highest:
            raise self.fault("E-FLD-02", "number is above the largest that the spec allows")
        if self.lowest is not None and value < self.lowest:
            raise self.fault("E-FLD-02", "number is below the smallest that the spec allows")

    @property
    def within_words(self) -> str:
        least = f", at least {self.least}" if self.least is not None else ""
        return least + (f", at most {self.most}" if self.most is not None else "")

    # -- generated code

    def value_source(self, digits: str, place: Place, negative: bool = False) -> str:
        """Source of the number of the digits that the source `digits` gives; a negative one must not be zero."""
        if self.scale <= 0:
            zeros = f" + {'0' * -self.scale!r}" if self.scale else ""
            return self.limit_source(f"{'-' if negative else ''}int({digits}{zeros})", place)
        sign = "'-' + " if negative else ""
        exponent = repr(f"E-{self.scale}")  # gives the same Decimal as a point between the digits, and costs less
        return self.limit_source(f"{place.use('Decimal', Decimal)}({sign}{digits} + {exponent})", place)

    def limit_source(self, number: str, place: Place) -> str:
        """Source of the number, which hands a number beyond the limits to the slow way."""
        if self.lowest is None and self.highest is None:
            return number
        low = "" if self.lowest is None else f"{place.use('LOWEST', self.lowest)} <= "
        high = "" if self.highest is None else f" <= {place.use('HIGHEST', self.highest)}"
        return f"(y if {low}(y := {number}){high} else {place.slow})"

    def range_source(self, place: Place) -> str:
        """Source of the condition that the number `x` is within the limits, to stand behind others."""
        low = "" if self.lowest is None else f" and x >= {place.use('LOWEST', self.lowest)}"
        return low + ("" if self.highest is None else f" and x <= {place.use('HIGHEST', self.highest)}")

    def digits_source(self, value: str, place: Place) -> tuple[str, str] | None:
        """Of a number that is not negative: source of its stored digits, as ASCII text at least that long, and the condition
        under which it may be used. None where there is no short cut."""
        if self.scale == 0:
            return f"str(x).zfill({self.digits})", f"(x := {value}).__class__ is int and x >= 0{self.range_source(place)}"
        if not 0 < self.scale < self.digits:
            return None
        return (
            f"{self.joined_source}.zfill({self.digits})",
            f"{self.decimal_source(value, place)} and s[0] != '-'{self.range_source(place)}",
        )

    def signed_digits_source(self, value: str, place: Place) -> tuple[str, str, str]:
        """As `digits_source` of any number: source of the digits without the sign, of whether it is a plus, and the condition."""
        if not self.scale:
            return f"str(abs(x)).zfill({self.digits})", "x >= 0", f"(x := {value}).__class__ is int{self.range_source(place)}"
        plain = f"(s[s[0] == '-':-{self.scale + 1}] + s[-{self.scale}:]).zfill({self.digits})"
        return plain, "s[0] != '-'", f"{self.decimal_source(value, place)} and (s[0] != '-' or x){self.range_source(place)}"

    @property
    def joined_source(self) -> str:
        """Source of the digits of the decimal whose text is `s`, without its point."""
        return f"(s[:-{self.scale + 1}] + s[-{self.scale}:])"

    def decimal_source(self, value: str, place: Place) -> str:
        """Source of the condition that `x` is a Decimal of just so many places. Its text `s` has then no exponent."""
        decimal = place.use("Decimal", Decimal)
        return f"(x := {value}).__class__ is {decimal} and (s := str(x))[-{self.scale + 1}:-{self.scale}] == '.'"

    # -- mistakes

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.digits < 1:
            yield "E-CFG-21", f"digits must be a whole number from 1, not {self.digits}"
        if not -40 <= self.scale <= max(self.digits, 40):
            yield "E-CFG-20", f"scale must be a whole number from -40 to 40, not {self.scale}"
        for name, given, limit in (("least", self.least, self.lowest), ("most", self.most, self.highest)):
            if given is not None and limit is None:
                yield "E-CFG-20", f"{name} must be a number, or its digits as text, not {given!r}"
        if self.lowest is not None and self.highest is not None and self.lowest > self.highest:
            yield "E-CFG-20", f"least {self.least} is above most {self.most}"


def _limit(given: object) -> int | Decimal | None:
    if isinstance(given, str):
        return Decimal(given) if _LIMIT.fullmatch(given) else None
    if isinstance(given, Decimal):
        return given if given.is_finite() else None
    return given if is_a(given, (int,)) else None  # type: ignore[return-value]


def picture(digits: int, scale: int) -> str:
    """The digits in COBOL's words: 9(3)V9(2), VP(3)9(5), 9(5)P(3)."""
    if scale > digits:
        return f"VP({scale - digits})9({digits})"
    if scale < 0:
        return f"9({digits})P({-scale})"
    whole = f"9({digits - scale})" if digits > scale else ""
    return f"{whole}V9({scale})" if scale else whole


class Written(Number, CharKind):
    """A number in characters, which may therefore be blank, or low values (0x00), in its stead."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Number.argument_types, "blank": (str,), "null": (str,)}

    def __init__(
        self,
        length: int,
        digits: int,
        scale: int,
        blank: Blank,
        null: Null,
        least: Limit,
        most: Limit,
        *,
        log: Log,
        pii: Pii = None,
        json: Json,
    ) -> None:
        super().__init__(length, digits, scale, least, most, log=log, pii=pii, json=json)
        self.blank: Blank = blank
        self.null: Null = null
        self.binary = null == "low"

    @property
    def or_empty(self) -> str:
        """What may stand in the number's stead, in words."""
        return _EMPTY_WORDS.get(self.blank, "") + (", or low values" if self.null == "low" else "") + self.within_words

    def read(self, raw: bytes) -> int | Decimal | None:
        plain = self.charset.ascii(raw)
        if not plain.strip(b" "):
            return self._when_blank()
        if self.null == "low" and not plain.strip(b"\0"):
            return None
        return self.limited(self.read_digits(plain))

    def read_digits(self, plain: bytes) -> int | Decimal:
        """The number of a field that is not empty, in ASCII. Raises FieldFault."""
        raise NotImplementedError

    def _when_blank(self) -> int | Decimal | None:
        if self.blank == "error":
            raise self.fault("E-FLD-06", "field is blank")
        return None if self.blank == "null" else self.number("0" * self.digits)

    def write(self, value: Any) -> bytes:
        if value is None:
            return self._written_empty()
        units = self.units(value)
        if not units and self.blank == "when zero":
            return self.charset.blank * self.length
        return self.charset.wire(self.write_units(units))

    def write_units(self, units: int) -> bytes:
        """The number in ASCII, or in the bytes that `charset.wire` leaves alone. Raises FieldFault."""
        raise NotImplementedError

    def _written_empty(self) -> bytes:
        if self.null == "low":
            return b"\0" * self.length
        if self.blank != "null":
            raise self.fault("E-FLD-06", "number is missing")
        return self.charset.blank * self.length

    def check_digits(self, plain: bytes) -> str:
        """Digits as text. Raises FieldFault where one is none."""
        if not plain.isdigit():
            raise self.fault("E-FLD-01", f"byte {first_bad(plain, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")
        return plain.decode("ascii")

    # -- generated code

    def empty_read_source(self, place: Place, seen: str) -> str:
        """Source that goes between the usual case and the slow one; `seen` is source of the whole field as ASCII."""
        if self.null == "low":
            return f"None if {seen} == {place.use(f'LOW{self.length}', chr(0) * self.length)} else "
        return f"None if {seen} == {place.use(f'SPACES{self.length}', ' ' * self.length)} else " if self.blank == "null" else ""

    def empty_write_source(self, place: Place) -> str:
        if self.null == "low":
            return f"{place.use(f'LOW_SENT{self.length}', place.constant(bytes(self.length)))} if x is None else "
        return f"{self.blanks(place)} if x is None else " if self.blank == "null" else ""

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.blank not in ("null", "error", "zero", "when zero"):
            yield "E-CFG-20", f'blank must be "null", "error", "zero" or "when zero", not {self.blank!r}'
        if self.null not in ("blank", "low"):
            yield "E-CFG-20", f'null must be "blank" or "low", not {self.null!r}'


class Digits(Written):
    """A number without sign, right-aligned and zero-filled. `scale` digits stand behind an unwritten decimal point."""

    def __init__(
        self,
        length: int,
        scale: int = 0,
        blank: Blank = "null",
        null: Null = "blank",
        *,
        least: Limit = None,
        most: Limit = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        super().__init__(length, length, scale, blank, null, least, most, log=log, pii=pii, json=json)

    @property
    def expected(self) -> str:
        return f"{self.digits} digits 0-9{self.or_empty}"

    def read_digits(self, plain: bytes) -> int | Decimal:
        return self.number(self.check_digits(plain))

    def write_units(self, units: int) -> bytes:
        if units < 0:
            raise self.fault("E-FLD-01", "number is negative")
        return self.spelled(units)

    def source_of_read(self, place: Place) -> str:
        if self.blank == "when zero":
            return place.slow
        seen = self.seen(place)
        return f"{self.value_source('x', place)} if (x := {seen}).isdecimal() else {self.empty_read_source(place, 'x')}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        if self.blank == "when zero":
            return place.slow_write(value)
        short = self.digits_source(value, place)
        if short is None:
            return place.slow_write(value)
        return f"{self.sent(short[0], place)} if {short[1]} else {self.empty_write_source(place)}{place.slow_write('x')}"


class Amount(Written):
    """A sign byte and digits that mean one number. `plus` is the sign written for a number that is not negative.

    `signs` are the signs that are read: all of them but `-` mean that the number is not negative. `negative_zero="error"`
    refuses a minus before nothing but zeros; otherwise it is a zero, whose bytes are kept.
    """

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Written.argument_types,
        "sign": (str,),
        "plus": (str,),
        "signs": (str,),
        "negative_zero": (str,),
    }

    signed = True

    def __init__(
        self,
        digits: int,
        scale: int = 0,
        sign: Literal["leading", "trailing"] = "leading",
        plus: Literal["+", " ", "0"] = "+",
        blank: Blank = "null",
        null: Null = "blank",
        *,
        signs: str = "+- 0",
        negative_zero: Literal["zero", "error"] = "zero",
        least: Limit = None,
        most: Limit = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        length = digits + 1 if is_a(digits, (int,)) else digits
        super().__init__(length, digits, scale, blank, null, least, most, log=log, pii=pii, json=json)
        self.sign = sign
        self.plus = plus
        self.signs = signs
        self.negative_zero = negative_zero

    @property
    def rule(self) -> str:
        return f"{super().rule} sign {self.sign}"

    @property
    def expected(self) -> str:
        return f"a sign ({_sign_words(self.signs)}) and {self.digits} digits 0-9{self.or_empty}"

    def read_digits(self, plain: bytes) -> int | Decimal:
        sign, digits = (plain[:1], plain[1:]) if self.sign == "leading" else (plain[-1:], plain[:-1])
        if sign not in [mark.encode("ascii") for mark in self.signs]:
            raise self.fault("E-FLD-01", f"sign is none of {_sign_words(self.signs)}")
        if not digits.isdigit():
            raise self.fault("E-FLD-01", "field is not all digits beside its sign")
        if self.negative_zero == "error" and sign == b"-" and not digits.strip(b"0"):
            raise self.fault("E-FLD-01", "zero has a minus")
        return self.number(digits.decode("ascii"), sign == b"-")

    def write_units(self, units: int) -> bytes:
        sign = b"-" if units < 0 else self.plus.encode("ascii")
        digits = self.spelled(abs(units))
        return sign + digits if self.sign == "leading" else digits + sign

    def source_of_read(self, place: Place) -> str:
        if self.blank == "when zero":
            return place.slow
        first, last = (1, self.length) if self.sign == "leading" else (0, self.digits)
        at = self.seen(place, 0, 1) if self.sign == "leading" else self.seen(place, self.digits, self.length)
        zeros = place.use(f"ZEROS{self.digits}", "0" * self.digits)
        minus = f"{self.value_source('x', place, True)} if {at} == '-' and x != {zeros} else "
        signed = f"{self.value_source('x', place)} if {at} == {self.plus!r} else {minus}{place.slow}"
        empty = self.empty_read_source(place, self.seen(place))
        return f"({signed}) if (x := {self.seen(place, first, last)}).isdecimal() else {empty}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        if self.blank == "when zero" or not 0 <= self.scale < self.digits:
            return place.slow_write(value)
        digits, sign, condition = self.signed_digits_source(value, place)
        mark = f"({self.plus!r} if {sign} else '-')"
        usual = self.sent(f"{mark} + {digits}" if self.sign == "leading" else f"{digits} + {mark}", place)
        return f"{usual} if {condition} else {self.empty_write_source(place)}{place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if self.sign not in ("leading", "trailing"):
            yield "E-CFG-20", f'sign must be "leading" or "trailing", not {self.sign!r}'
        if self.plus not in ("+", " ", "0"):
            yield "E-CFG-20", f'plus must be "+", " " or "0", not {self.plus!r}'
        if not set(self.signs) <= set("+- 0") or "-" not in self.signs or self.plus not in self.signs:
            yield "E-CFG-20", f'signs must be some of "+- 0", the minus and plus={self.plus!r} among them, not {self.signs!r}'
        if self.negative_zero not in ("zero", "error"):
            yield "E-CFG-20", f'negative_zero must be "zero" or "error", not {self.negative_zero!r}'


def _sign_words(signs: str) -> str:
    words = ["blank" if sign == " " else sign for sign in signs]
    return " ".join(words[:-1]) + " or " + words[-1] if words[1:] else "".join(words)
