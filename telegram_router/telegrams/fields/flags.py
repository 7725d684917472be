"""Bits that say yes or no, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from telegram_router.telegrams.fields.kind import Kind, Log, Mistake, Pii, Place, is_a


class Flags(Kind):
    """Bits by name: `Flags(1, {"urgent": 0x80, "test": 0x01})`. The value is the list of the names that are set, in the order of
    their declaration. Bits without a name are kept as they came; `rest="refuse"` refuses them."""

    binary = True
    argument_types: ClassVar[Mapping[str, tuple[type, ...]]] = {**Kind.argument_types, "bits": (Mapping,), "rest": (str,)}
    has_json_form = True

    def __init__(
        self, length: int, bits: Mapping[str, int], rest: Literal["keep", "refuse"] = "keep", *, log: Log = "masked", pii: Pii = None
    ) -> None:
        super().__init__(length, log=log, pii=pii)
        self.bits = bits
        self.rest = rest
        self._masks = {name: mask for name, mask in bits.items() if is_a(mask, (int,))} if isinstance(bits, Mapping) else {}
        self._known = 0
        for mask in self._masks.values():
            self._known |= mask

    @property
    def rule(self) -> str:
        return f"{self.length} bytes of bits" if self.length > 1 else "1 byte of bits"

    @property
    def expected(self) -> str:
        return f"bits: {', '.join(self.bits)}" + ("" if self.rest == "keep" else ", and no others")

    def read(self, raw: bytes) -> list[str]:
        number = int.from_bytes(raw, "big")
        if self.rest == "refuse" and number & ~self._known:
            raise self.fault("E-FLD-07", "a bit is set that the spec does not declare")
        return [name for name, mask in self._masks.items() if number & mask]

    def write(self, value: Any) -> bytes:
        if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in value):
            raise self.wrong_type(value, "list of names")
        number = 0
        for name in value:
            if name not in self._masks:
                raise self.fault("E-FLD-07", "not one of the declared bits")
            number |= self._masks[name]
        return number.to_bytes(self.length, "big")

    def of_json(self, value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.fault("E-FLD-12", "JSON is not a list of names")
        return value

    def source_of_read(self, place: Place) -> str:
        if self.length > 1:
            return place.slow
        # A list of its own each time: the value is the caller's.
        usual = {bytes([byte]): self.read(bytes([byte])) for byte in range(256) if not byte & ~self._known}
        table = place.use("FLAGS", usual)
        return f"{table}[x][:] if (x := {place.raw}) in {table} else {place.slow}"

    def contradictions(self) -> Iterator[Mistake]:
        yield from super().contradictions()
        if not self.bits:
            yield "E-CFG-20", "no bit has a name"
        if self.rest not in ("keep", "refuse"):
            yield "E-CFG-20", f'rest must be "keep" or "refuse", not {self.rest!r}'
        taken = 0
        for name, mask in self.bits.items():
            if not isinstance(name, str) or not is_a(mask, (int,)) or mask < 1 or mask & (mask - 1) or mask >> (8 * self.length):
                yield "E-CFG-20", f"bit {name!r} must be a text and one bit of {self.length} bytes, like 0x80, not {mask!r}"
            elif taken & mask:
                yield "E-CFG-20", f"bit {name!r} has the mask of another"
            else:
                taken |= mask
