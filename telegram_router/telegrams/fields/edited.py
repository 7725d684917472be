"""Edited pictures: numbers as COBOL prints them, `Z(8)9.99-` or `$$,$$9.99CR`."""

# A picture is worked through once, when it is declared, into one symbol for each byte. Writing gives what COBOL's MOVE gives
# (ISO 1989, 13.18.40.6, and IBM's language reference); a number that MOVE would cut is refused. Reading takes the digits from
# their places and accepts the field only if writing that number gives the same bytes: so nothing is read that COBOL would
# not have written, and no form needs to be kept.

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, NamedTuple

from telegram_router.telegrams.fields.kind import Json, Log, Mistake, Pii, Place
from telegram_router.telegrams.fields.numbers import Blank, Limit, Written

_SYMBOL: Final = re.compile(r"(CR|DB|.)(?:\(([0-9]{1,4})\))?", re.DOTALL)
_MOST: Final = 256  # bytes of an edited field; COBOL allows 249
_INSERTED: Final = "B0/,"
_NO_CURRENCY: Final = frozenset("0123456789ABCDEGNPRSVXZabcdegnprsvxz *+-,.;()/='\"")


class Symbol(NamedTuple):
    """What one byte of the field, two for CR and DB, is for."""

    role: Literal["digit", "zero", "float", "first", "sign", "currency", "credit", "insert", "point", "virtual"]
    text: str  # the picture's symbol; for "zero" and "float" what stands there instead of a leading zero


class Picture:
    """A picture, understood. Raises ValueError with what is wrong with it."""

    def __init__(self, text: str, currency: str, comma: bool) -> None:
        self.point = "," if comma else "."
        marks = _spelled(text, currency)
        self.symbols = _roles(marks, currency, self.point)
        self._check()
        self.length = sum(2 if symbol.role == "credit" else symbol.role != "virtual" for symbol in self.symbols)
        places = [symbol.role in ("point", "virtual") for symbol in self.symbols]
        cut = places.index(True) if True in places else len(places)
        self.scale = sum(symbol.role in _DIGITS for symbol in self.symbols[cut:])
        self.digits = sum(symbol.role in _DIGITS for symbol in self.symbols)
        if not self.digits:
            raise ValueError("has no place for a digit")
        self.signed = any(s.role in ("sign", "credit") or (s.role in ("float", "first") and s.text in "+-") for s in self.symbols)
        self.hides_zero = not any(symbol.role == "digit" for symbol in self.symbols)

    def _check(self) -> None:
        roles = [symbol.role for symbol in self.symbols]
        fills = {symbol.text for symbol in self.symbols if symbol.role in ("zero", "float")}
        signs = [s for s in self.symbols if s.role in ("sign", "credit") or (s.role == "first" and s.text in "+-")]
        first_digit = roles.index("digit") if "digit" in roles else len(roles)
        point = next((at for at, role in enumerate(roles) if role in ("point", "virtual")), len(roles))
        if len(fills) > 1:
            raise ValueError("suppresses zeros in two ways")
        if len(signs) > 1:
            raise ValueError("has two signs")
        if roles.count("point") + roles.count("virtual") > 1:
            raise ValueError("has two decimal points")
        if "credit" in roles[:-1]:
            raise ValueError("has CR or DB before its end")
        if any(role in ("zero", "float") for role in roles[first_digit:]):
            raise ValueError("suppresses zeros behind a 9")
        if any(role in ("zero", "float") for role in roles[point:]) and "digit" in roles:
            raise ValueError("suppresses zeros behind the point, but not all before it")

    # -- writing

    def edited(self, digits: str, negative: bool) -> str:
        """The field for these digits, as many as there are places."""
        if self.hides_zero and not digits.strip("0"):
            return self._hidden()
        out: list[str] = []
        figures = iter(digits)
        significant, fill, last = False, "", -1
        for role, text in self.symbols:
            if role in ("zero", "float", "first"):
                fill = fill or (text if role == "zero" else " ")
                figure = "0" if role == "first" else next(figures)
                significant = significant or figure != "0"
                if not significant:
                    last = len(out)
                out.append(figure if significant else fill)
            elif role == "digit":
                significant = True
                out.append(next(figures))
            elif role == "insert":
                suppressed = bool(fill) and not significant
                if suppressed:
                    last = len(out)
                out.append(fill if suppressed else " " if text == "B" else text)
            elif role in ("point", "virtual"):
                significant = True
                out.append(text)
            else:
                out.append(_mark(role, text, negative))
        floating = next((symbol.text for symbol in self.symbols if symbol.role == "first"), "")
        if floating:
            out[last] = _mark("sign", floating, negative) if floating in "+-" else floating
        return "".join(out)

    def _hidden(self) -> str:
        """A zero of which no digit is shown: stars, but for the point, or blanks."""
        if any(symbol == ("zero", "*") for symbol in self.symbols):
            return "".join(
                text if role == "point" else "" if role == "virtual" else "*" * (1 + (role == "credit")) for role, text in self.symbols
            )
        return " " * self.length

    # -- reading

    def digits_in(self, text: str) -> str:
        """The digits in their places; a place without one is a zero."""
        digits, at = [], 0
        for role, _ in self.symbols:
            if role in _DIGITS:
                digits.append(text[at] if text[at] in "0123456789" else "0")
            at += 2 if role == "credit" else role != "virtual"
        return "".join(digits)

    def is_negative(self, text: str) -> bool:
        """Whether a sign says so."""
        return self.signed and ("-" in text or text.endswith(("CR", "DB")))


_DIGITS: Final = ("digit", "zero", "float")


def _mark(role: str, text: str, negative: bool) -> str:
    if role == "sign":
        return "-" if negative else "+" if text == "+" else " "
    if role == "credit":
        return text if negative else "  "
    return text


def _spelled(text: str, currency: str) -> list[str]:
    """One symbol after the other, repetitions written out."""
    marks: list[str] = []
    for found in _SYMBOL.finditer(text if currency.islower() else text.upper()):
        mark, times = found[1], int(found[2] or 1)
        if mark not in ("CR", "DB", "V", *"9Z*+-.", currency, *_INSERTED):
            raise ValueError(f"has {mark!r}, which is no symbol of a number's picture")
        marks += [mark] * times
        if not times or len(marks) > _MOST:
            raise ValueError(f"is not 1 to {_MOST} bytes long")
    return marks


def _roles(marks: list[str], currency: str, point: str) -> list[Symbol]:
    floating = _floating(marks, currency)
    symbols: list[Symbol] = []
    seen = False
    for mark in marks:
        if mark == floating and not (seen and symbols[-1].role == "digit"):
            symbols.append(Symbol("float" if seen else "first", mark))
            seen = True
        elif mark == "9":
            symbols.append(Symbol("digit", mark))
        elif mark in "Z*":
            symbols.append(Symbol("zero", " " if mark == "Z" else "*"))
        elif mark in ("+", "-"):
            symbols.append(Symbol("sign", mark))
        elif mark in ("CR", "DB"):
            symbols.append(Symbol("credit", mark))
        elif mark == currency:
            symbols.append(Symbol("currency", mark))
        elif mark == "V":
            symbols.append(Symbol("virtual", ""))
        elif mark == point:
            symbols.append(Symbol("point", mark))
        else:
            symbols.append(Symbol("insert", mark))
    return symbols


def _floating(marks: list[str], currency: str) -> str:
    """The symbol that floats: a sign or the currency, twice or more before all other digits."""
    end = next((at for at, mark in enumerate(marks) if mark in "9Z*"), len(marks))
    return next((mark for mark in ("+", "-", currency) if marks[:end].count(mark) > 1), "")


class Edited(Written):
    """A number in an edited picture. `currency` is the symbol that stands for itself in it; `comma=True` is COBOL's DECIMAL-POINT
    IS COMMA; `blank="when zero"` its BLANK WHEN ZERO."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Written.argument_types,
        "picture": (str,),
        "currency": (str,),
        "comma": (bool,),
    }

    def __init__(
        self,
        picture: str,
        blank: Blank = "null",
        *,
        currency: str = "$",
        comma: bool = False,
        least: Limit = None,
        most: Limit = None,
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        self.problem = ""
        try:
            self._picture = Picture(picture, currency, comma)
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            self.problem = str(error)
            self._picture = Picture("9", "$", False)
        length, digits, scale = self._picture.length, self._picture.digits, self._picture.scale
        super().__init__(length, digits, scale, blank, "blank", least, most, log=log, pii=pii, json=json)
        self.picture = picture
        self.currency = currency
        self.comma = comma
        self.signed = self._picture.signed

    @property
    def rule(self) -> str:
        return self.picture

    @property
    def expected(self) -> str:
        return f"a number as {self.picture} prints it{self.or_empty}"

    def read(self, raw: bytes) -> int | Decimal | None:
        if self._picture.hides_zero and not self.charset.ascii(raw).strip(b" "):
            return self.limited(self.number("0" * self.digits))
        return super().read(raw)

    def read_digits(self, plain: bytes) -> int | Decimal:
        text = plain.decode("latin-1")
        digits, negative = self._picture.digits_in(text), self._picture.is_negative(text)
        edited = self._picture.edited(digits, negative and digits.strip("0") != "")
        if edited != text:
            at = next(at for at, (is_, should) in enumerate(zip(text, edited, strict=True)) if is_ != should)
            raise self.fault("E-FLD-01", f"byte {at + 1} of the field is not what its picture has there")
        return self.number(digits, negative)

    def write(self, value: Any) -> bytes:
        if value is None and self._picture.hides_zero:
            raise self.fault("E-FLD-06", "number is missing; blanks are zero in this picture")
        return super().write(value)

    def write_units(self, units: int) -> bytes:
        if units < 0 and not self.signed:
            raise self.fault("E-FLD-01", "number is negative")
        return self._picture.edited(self.spelled(abs(units)).decode("ascii"), units < 0).encode("latin-1")

    def is_canonical(self, raw: bytes, value: Any, total: int) -> bool:
        # Reading has compared it with what writing gives, unless blanks stand for the number.
        return bool(self.charset.ascii(raw).strip(b" ")) or super().is_canonical(raw, value, total)

    def source_of_read(self, place: Place) -> str:
        return place.slow

    def contradictions(self) -> Iterator[Mistake]:
        if self.problem:
            yield "E-CFG-20", f"picture {self.picture!r} {self.problem}"
            return
        yield from super().contradictions()
        if len(self.currency) != 1 or not self.currency.isascii() or not self.currency.isprintable() or self.currency in _NO_CURRENCY:
            yield "E-CFG-20", f"currency must be one ASCII character that means nothing else in a picture, not {self.currency!r}"
