"""Bytes of the layout rather than of the business: filler, constants, the telegram's own length, and bytes passed through."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import IO, Any, ClassVar

from telegram_router.telegrams.fields.charset import CharKind
from telegram_router.telegrams.fields.kind import FieldFault, Json, Kind, Log, Mistake, Pii, Place, at_path, first_bad, is_number


class Filler(CharKind):
    """Reserved bytes: blanks when we write them; whatever stood there is kept beside the values, not among them."""

    is_named = False
    default = None

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.flagbuildnone = True

    @property
    def rule(self) -> str:
        return f"X({self.length}) reserved"

    @property
    def expected(self) -> str:
        return f"{self.length} bytes"

    def read(self, raw: bytes) -> None:
        return None

    def write(self, value: Any) -> bytes:
        return self.charset.blank * self.length


class Fixed(CharKind):
    """A constant, text in the family's charset or bytes as they are. With a name it shows as a value and may be left out on
    writing; `or_blank` takes blanks in its place."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "or_blank": (bool,)}

    def __init__(self, value: str | bytes, or_blank: bool = False, *, log: Log = "clear", pii: Pii = None) -> None:
        constant = value.encode("ascii", "replace") if isinstance(value, str) else value
        super().__init__(len(constant), log=log, pii=pii)
        self.value = value
        self.constant = constant
        self.or_blank = or_blank
        self.text = constant.decode("latin-1")
        self.default = self.text  # type: ignore[misc]
        self.flagbuildnone = True

    def bound(self) -> None:
        if isinstance(self.value, str):
            self.constant = self.charset.wire(self.text.encode("latin-1"))

    @property
    def rule(self) -> str:
        return f"X({self.length}) constant"

    @property
    def expected(self) -> str:
        return f"the constant {self.value!r}" + (", or blank" if self.or_blank else "")

    def read(self, raw: bytes) -> str:
        if raw == self.constant:
            return self.text
        if self.or_blank and not raw.strip(self.charset.blank):
            return ""
        raise self.fault("E-FLD-13", "constant bytes are not as declared")

    def write(self, value: Any) -> bytes:
        if value is None or value == self.text:
            return self.constant
        if not isinstance(value, str):
            raise self.wrong_type(value, "text")
        if self.or_blank and not value.strip(" "):
            return self.charset.blank * self.length
        raise self.fault("E-FLD-13", "constant is not as declared")

    def source_of_read(self, place: Place) -> str:
        wire = place.constant(self.constant)
        text = "x" if wire == self.text else repr(self.text)
        blank = f"'' if x == {self.blanks(place)} else " if self.or_blank else ""
        return f"{text} if (x := {place.slice}) == {wire!r} else {blank}{place.slow}"

    def source_of_write(self, value: str, place: Place) -> str:
        return f"{place.constant(self.constant)!r} if (x := {value}) == {self.text!r} else {place.slow_write('x')}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if isinstance(self.value, str) and not self.value.isascii():
            yield "E-CFG-20", "a constant outside ASCII must be given as bytes"


class Length(CharKind):
    """The telegram's own length, where the framing counts it inside the telegram: checked on reading, worked out on writing."""

    default = None

    def __init__(self, length: int, *, log: Log = "clear", pii: Pii = None, json: Json = "string") -> None:
        super().__init__(length, log=log, pii=pii, json=json)
        self.adjust = 0  # what the framing adds to the telegram's size; set when the spec is put together
        self.flagbuildnone = True

    @property
    def rule(self) -> str:
        return f"9({self.length}) length"

    @property
    def expected(self) -> str:
        return f"{self.length} digits that count the telegram's bytes"

    @property
    def may_be_json_number(self) -> bool:  # type: ignore[override]
        return self.length <= 15

    def adjusted(self, adjust: int) -> Length:
        """This field in a framing that counts `adjust` bytes more than the telegram has."""
        bound = copy.copy(self)
        bound.adjust = adjust
        return bound

    def read_in(self, raw: bytes, total: int) -> int:
        raw = self.charset.ascii(raw)
        if not raw.isdigit():
            raise self.fault("E-FLD-01", f"byte {first_bad(raw, lambda c: not 0x30 <= c <= 0x39)} of the field is not a digit")
        if int(raw) != total + self.adjust:
            raise self.fault("E-FLD-11", "length contradicts the telegram's size")
        return int(raw)

    def write_in(self, value: Any, total: int) -> bytes:
        length = total + self.adjust
        if value is not None and not is_number(value):
            raise self.wrong_type(value, "int")
        if value is not None and value != length:
            raise self.fault("E-FLD-11", "length contradicts the telegram's size")
        if length >= 10**self.length:
            raise self.fault("E-FLD-05", f"length needs more than the field's {self.length} digits")
        return self.charset.wire(b"%0*d" % (self.length, length))

    # Under construct the size comes from the whole telegram's context: the stream may hold more.

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> int:
        raw = stream.read(self.length)
        try:
            return self.read_in(raw, context._params["telegram_size"])
        except FieldFault as fault:
            raise at_path(path, fault) from None

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        try:
            stream.write(self.write_in(obj, context._params["telegram_size"]))
        except FieldFault as fault:
            raise at_path(path, fault) from None
        return obj


class Opaque(Kind):
    """All bytes up to the telegram's end, as they are. Only as the last field of a body."""

    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "min": (int,), "max": (int, NoneType)}

    def __init__(self, min: int = 0, max: int | None = None, *, pii: Pii = None) -> None:
        super().__init__(0, pii=pii)
        self.min = min
        self.max = max

    @property
    def rule(self) -> str:
        return f"{self.min} or more bytes" if self.max is None else f"{self.min} to {self.max} bytes"

    @property
    def expected(self) -> str:
        return self.rule

    def read(self, raw: bytes) -> bytes:
        self._check(len(raw))
        return raw

    def write(self, value: Any) -> bytes:
        if type(value) is not bytes:
            raise self.wrong_type(value, "bytes")
        self._check(len(value))
        return value

    def _check(self, size: int) -> None:
        if size < self.min:
            raise self.fault("E-FRM-08", f"field needs {self.min} bytes, {size} left")
        if self.max is not None and size > self.max:
            raise self.fault("E-FRM-07", f"{size - self.max} bytes beyond the field's {self.max}")

    def contradictions(self) -> Iterator[Mistake]:
        if self.min < 0 or (self.max is not None and self.max < self.min):
            yield "E-CFG-21", "min and max must be whole numbers from 0, min not above max"

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> bytes:
        try:
            return self.read(stream.read())
        except FieldFault as fault:
            raise at_path(path, fault) from None

    def _sizeof(self, context: Any, path: str) -> int:
        raise at_path(path, self.fault("E-FRM-08", "field has no fixed size"))
