"""Codes, account numbers, ids: short ASCII texts that are never numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, ClassVar

from telegram_router.telegrams.fields.kind import Json, Kind, Log, Mistake, Place, control_at, first_bad


class Code(Kind):
    """A short ASCII code, exactly as it stands; blanks behind it are not part of it. `values` may be a list or `{code: meaning}`."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **Kind.argument_types,
        "values": (Sequence, Mapping, NoneType),
        "digits": (bool,),
        "required": (bool,),
    }

    def __init__(
        self,
        length: int,
        values: Sequence[str] | Mapping[str, str] | None = None,
        digits: bool = False,
        required: bool = False,
        *,
        log: Log = "masked",
        json: Json = "string",
    ) -> None:
        super().__init__(length, log=log, json=json)
        self.values = values
        self.digits = digits
        self.required = required
        self.names: dict[str, str] = dict(values) if isinstance(values, Mapping) else {}
        self._allowed = frozenset(values) if values is not None else None

    @property
    def rule(self) -> str:
        return f"9({self.length})" if self.digits else f"X({self.length})"

    @property
    def expected(self) -> str:
        or_blank = "" if self.required else ", or blank"
        if self.values is not None:
            return f"one of {len(self.values)} declared codes: {', '.join(self.values)}{or_blank}"
        if self.digits:
            return f"{self.length} digits 0-9{or_blank}"
        return f"a {'filled-in ' if self.required else ''}code of at most {self.length} ASCII characters"

    def read(self, raw: bytes) -> str:
        content = raw.rstrip(b" ")
        if not content.isascii():
            raise self.fault("E-ENC-01", f"byte {first_bad(content, lambda c: c > 0x7F)} of the field is not ASCII")
        return self._checked(content.decode("ascii"))

    def write(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        content = value.rstrip(" ")
        if not content.isascii():
            raise self.fault("E-ENC-03", "character that is not ASCII")
        if len(content) > self.length:
            raise self.fault("E-FLD-05", f"code needs {len(content)} bytes, field holds {self.length}")
        return self._checked(content).encode("ascii").ljust(self.length)

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
        if self._allowed is not None and text not in self._allowed:
            raise self.fault("E-FLD-07", "not one of the declared codes")
        return text

    def _wire(self) -> dict[str, str]:
        """Each acceptable value as it stands on the wire."""
        blank = () if self.required else ("",)
        return {value: value.ljust(self.length) for value in (*(self._allowed or ()), *blank)}

    def source_of_read(self, place: Place) -> str:
        if self._allowed is not None:
            codes = place.use("CODES", {wire: value for value, wire in self._wire().items()})
            return f"{codes}[x] if (x := {place.slice}) in {codes} else {place.slow}"
        if self.digits:
            blank = "" if self.required else f"'' if x == {place.blank()} else "
            return f"x if (x := {place.slice}).isdecimal() else {blank}{place.slow}"
        blank = place.slow if self.required else "''"
        return place.text("rstrip(' ')", blank)

    def source_of_write(self, value: str, place: Place) -> str:
        if self._allowed is not None:
            return f"{place.use('WIRE', self._wire())}[{value}]"
        if self.digits:
            blank = "" if self.required else f"{place.blank()} if x == '' else "
            return f"x if (x := {value}).__class__ is str and len(x) == {self.length} and x.isdecimal() else {blank}{place.slow_write('x')}"
        filled = f"{place.plain} and x.strip(' ')" if self.required else place.plain
        return f"f'{{x:{self.length}s}}' if (x := {value}).__class__ is str and {filled} else {place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        for value in self.values or ():
            problem = self._bad_value(value)
            if problem:
                yield "E-CFG-20", f"declared code {value!r} {problem}"

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
