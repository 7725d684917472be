"""Codes, account numbers, ids: short ASCII texts that are never numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, ClassVar, Final, Literal, TypeAlias

from telegram_router.telegrams.fields.charset import CharKind
from telegram_router.telegrams.fields.checks import CHECKS
from telegram_router.telegrams.fields.kind import Json, Kind, Log, Mistake, Pii, Place, control_at, first_bad

Value: TypeAlias = str | tuple[str, str]  # a code, or the first and the last of a range

_LISTED: Final = 1000  # codes of a range that are listed one by one, so that finding one is one look into a table


class Code(CharKind):
    """A short ASCII code, exactly as it stands; blanks behind it are not part of it.

    `values` may be a list or `{code: meaning}`; a tuple of two in a code's place is a range, both ends included (COBOL's THRU):
    of the numbers between two numbers of as many digits, else of all between in the order of the bytes on the wire. `check` names the rule of its check digit: "rrn", "business" or "luhn".
    `enum="both"` makes its JSON `{"value": "11", "name": "…"}`.
    """

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "values": (Sequence, Mapping, NoneType),
        "digits": (bool,),
        "required": (bool,),
        "check": (str, NoneType),
        "enum": (str,),
    }

    def __init__(
        self,
        length: int,
        values: Sequence[Value] | Mapping[str, str] | Mapping[tuple[str, str], str] | Mapping[Value, str] | None = None,
        digits: bool = False,
        required: bool = False,
        *,
        check: Literal["rrn", "business", "luhn"] | None = None,
        enum: Literal["code", "both"] = "code",
        log: Log = "masked",
        pii: Pii = None,
        json: Json = "string",
    ) -> None:
        super().__init__(length, log=log, pii=pii, json=json)
        self.values = values
        self.digits = digits
        self.required = required
        self.check = check
        self.enum = enum
        self._is_right: Callable[[str], bool] | None
        self._is_right, self._checked_as = CHECKS.get(check or "", (None, ""))
        self.bound()

    def bound(self) -> None:
        given = self.values if isinstance(self.values, Mapping) else dict.fromkeys(self.values or (), "")
        self.names: dict[str, str] = {}  # of each code that is listed
        self.ranges: tuple[tuple[str, str, str], ...] = ()  # first, last and name of those that are not
        for value, name in given.items():
            if isinstance(value, tuple):
                self._take_range(value, str(name))
            elif isinstance(value, str):
                self.names[value] = str(name)
        self._allowed = frozenset(self.names) if self.values is not None else None
        if not isinstance(self.values, Mapping):
            self.names = {}

    def _take_range(self, ends: tuple[str, ...], name: str) -> None:
        if len(ends) != 2 or not all(isinstance(end, str) and end.isascii() for end in ends):
            return
        listed = _listed(*ends, self.charset.to_wire)
        if listed is None:
            self.ranges += ((*ends, name),)
        else:
            self.names |= dict.fromkeys(listed, name)

    @property
    def has_json_form(self) -> bool:  # type: ignore[override]
        return self.enum == "both"

    @property
    def rule(self) -> str:
        return f"9({self.length})" if self.digits else f"X({self.length})"

    @property
    def expected(self) -> str:
        or_blank = "" if self.required else ", or blank"
        if self.values is not None:
            shown = ["-".join(value) if isinstance(value, tuple) else value for value in self.values]
            return f"one of {len(shown)} declared codes: {', '.join(shown)}{or_blank}"
        checked = f" with the check digit of {self._checked_as}" if self._is_right else ""
        if self.digits:
            return f"{self.length} digits 0-9{checked}{or_blank}"
        return f"a {'filled-in ' if self.required else ''}code of at most {self.length} ASCII characters{checked}"

    def name_of(self, value: str) -> str:
        """What a code means, "" where the spec does not say."""
        return self.names.get(value) or next((name for low, high, name in self.ranges if self._is_between(value, low, high)), "")

    def read(self, raw: bytes) -> str:
        content = self.charset.ascii(raw).rstrip(b" ")
        if not content.isascii():
            encoding = "ASCII" if self.charset.is_ascii else f"an ASCII character in {self.charset.name}"
            raise self.fault("E-ENC-01", f"byte {first_bad(content, lambda c: c > 0x7F)} of the field is not {encoding}")
        return self._checked(content.decode("ascii"))

    def write(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        content = value.rstrip(" ")
        if not content.isascii():
            position = next(at for at, character in enumerate(content, 1) if not character.isascii())
            raise self.fault("E-ENC-03", f"character {position} of the code is not ASCII")
        if len(content) > self.length:
            raise self.fault("E-FLD-05", f"code needs {len(content)} bytes, field holds {self.length}")
        return self.charset.wire(self._checked(content).encode("ascii").ljust(self.length))

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
        if self._allowed is not None and text not in self._allowed and not self._is_in_range(text):
            raise self.fault("E-FLD-07", "not one of the declared codes")
        if self._is_right is not None and not (text.isdecimal() and self._is_right(text)):
            raise self.fault("E-FLD-10", "check digit is wrong")
        return text

    def _is_in_range(self, text: str) -> bool:
        return any(self._is_between(text, low, high) for low, high, _ in self.ranges)

    def _is_between(self, text: str, low: str, high: str) -> bool:
        if _are_numbers(low, high):
            return _are_numbers(low, text) and low <= text <= high
        first, mine, last = (self.charset.wire(end.encode("ascii", "replace").ljust(self.length)) for end in (low, text, high))
        return first <= mine <= last

    # -- JSON

    def as_json(self, value: Any) -> Any:
        return {"value": value, "name": self.name_of(value)} if isinstance(value, str) and value else value

    def of_json(self, value: Any) -> Any:
        """The plain code, or value and name, which must agree."""
        if not isinstance(value, dict):
            return "" if value is None else value
        if not {"value"} <= value.keys() <= {"value", "name"} or not isinstance(value["value"], str):
            raise self.fault("E-FLD-12", "JSON is not an object of value and name")
        if value.get("name") not in (None, self.name_of(value["value"])):
            raise self.fault("E-FLD-11", "the name is not that of the code")
        return value["value"]

    # -- generated code

    def _wire(self, place: Place) -> dict[str, str]:
        """Each acceptable value as the field's text."""
        blank = () if self.required else ("",)
        values = [value for value in self._allowed or () if self._is_right is None or (value.isdecimal() and self._is_right(value))]
        return {value: place.constant(self.charset.wire(value.ljust(self.length).encode("ascii"))) for value in (*values, *blank)}

    def source_of_read(self, place: Place) -> str:
        if self._allowed is not None:
            codes = place.use("CODES", {wire: value for value, wire in self._wire(place).items()})
            return f"{codes}[x] if (x := {place.slice}) in {codes} else {place.slow}"
        if self.digits:
            blank = "" if self.required else f"'' if x == {place.use(f'SPACES{self.length}', ' ' * self.length)} else "
            return f"x if (x := {self.seen(place)}).isdecimal(){self._check_source(place)} else {blank}{place.slow}"
        if self._is_right is not None:
            return place.slow
        blank = place.slow if self.required else "''"
        if self.charset.is_ascii and place.alphabet.is_latin:
            return place.text("rstrip(' ')", blank)
        return f"(x if x.isascii() and x.isprintable() else {place.slow}) if (x := {self.seen_text(place)}.rstrip(' ')) else {blank}"

    def _check_source(self, place: Place) -> str:
        return "" if self._is_right is None else f" and {place.use('IS_RIGHT', self._is_right)}(x)"

    def source_of_write(self, value: str, place: Place) -> str:
        if self._allowed is not None:
            return f"{place.use('WIRE', self._wire(place))}[{value}]"
        if self.digits:
            blank = "" if self.required else f"{self.blanks(place)} if x == '' else "
            usual = f"(x := {value}).__class__ is str and len(x) == {self.length} and x.isascii() and x.isdecimal()"
            return f"{self.sent('x', place)} if {usual}{self._check_source(place)} else {blank}{place.slow_write('x')}"
        if self._is_right is not None:
            return place.slow_write(value)
        plain = place.plain if self.charset.is_ascii else "x.isascii() and x.isprintable()"
        filled = f"{plain} and x.strip(' ')" if self.required else plain
        padded = self.sent_text(f"f'{{x:{self.length}s}}'", place)
        return f"{padded} if (x := {value}).__class__ is str and {filled} else {place.slow_write('x')}"

    # -- mistakes

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        for value in self.values or ():
            yield from self._range_mistakes(value) if isinstance(value, tuple) else self._value_mistakes(value)
        if self.check is not None and self.check not in CHECKS:
            yield "E-CFG-20", f"check must be one of {', '.join(CHECKS)}, not {self.check!r}"
        if self.enum not in ("code", "both"):
            yield "E-CFG-20", f'enum must be "code" or "both", not {self.enum!r}'
        elif self.enum == "both" and not isinstance(self.values, Mapping):
            yield "E-CFG-20", 'enum="both" needs the names of the codes: values={code: name}'

    def _value_mistakes(self, value: object) -> Iterator[Mistake]:
        problem = self._bad_value(value)
        if problem:
            yield "E-CFG-20", f"declared code {value!r} {problem}"

    def _range_mistakes(self, ends: tuple[object, ...]) -> Iterator[Mistake]:
        problems = [problem for end in ends if (problem := self._bad_value(end))]
        if len(ends) != 2:
            yield "E-CFG-20", f"a range of codes has two ends, not {len(ends)}"
        elif problems:
            yield "E-CFG-20", f"the end of a range of codes {problems[0]}"
        elif not self._is_between(str(ends[0]), str(ends[0]), str(ends[1])):
            yield "E-CFG-20", f"range of codes {ends[0]!r} to {ends[1]!r} is empty: it ends before it begins"

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


def _listed(low: str, high: str, to_wire: bytes) -> Iterable[str] | None:
    """All codes of a range of numbers or of single characters; None where these would be too many."""
    if _are_numbers(low, high):
        return [f"{code:0{len(low)}d}" for code in range(int(low), int(high) + 1)] if int(high) - int(low) < _LISTED else None
    if len(low) == len(high) == 1:
        first, last = to_wire[ord(low)], to_wire[ord(high)]
        return [chr(code) for code in range(0x21, 0x7F) if first <= to_wire[code] <= last]
    return None


def _are_numbers(low: str, high: str) -> bool:
    return len(low) == len(high) and low.isdecimal() and high.isdecimal()
