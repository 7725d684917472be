"""Read and write one message field by field. Slow and complete: it finds every problem and every odd form.

The generated code (codegen.py) answers the usual case by itself and hands everything else to these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from telegram_router.errors import FieldError, FieldProblem
from telegram_router.telegrams.fields import MISSING, FieldFault
from telegram_router.telegrams.layout import PlannedField

Finding = FieldProblem | tuple[int, bytes]  # a problem, or bytes that their value would not give again

_DICT_RULE: Final = "names of the layout"


class Codec:
    """The fields of one message in their order."""

    def __init__(self, spec: str, message: str, fields: Sequence[PlannedField]) -> None:
        self.spec = spec
        self.message = message
        self.fields = tuple(fields)
        self.opaque = next((f for f in self.fields if f.is_opaque), None)
        self.fixed_size = sum(f.length for f in self.fields)
        self.keys = {f.name: f.key for f in self.fields if f.key is not None}
        self._places = [(slice(f.offset, None if f.is_opaque else f.end), f.kind, bool(f.name)) for f in self.fields]
        self._at = {f.offset: f for f in self.fields}
        self.names = {section: {f.name for f in self.fields if f.section == section and f.name} for section in ("header", "body")}

    # -- sizes

    def size_problem(self, size: int) -> FieldProblem | None:
        """E-FRM-07 or E-FRM-08 for a telegram of that many bytes, None when it has the right size."""
        least, most = self.sizes()
        if size < least:
            return self._too_short(size)
        if most is not None and size > most:
            what = f"{size - most} bytes beyond the layout"
            return FieldProblem("E-FRM-07", self.spec, self.message, "telegram", most, size - most, f"X({most})", f"{most} bytes", what)
        return None

    def sizes(self) -> tuple[int, int | None]:
        """Smallest and largest telegram; None when there is no largest."""
        if self.opaque is None:
            return self.fixed_size, self.fixed_size
        least, most = self.opaque.kind.min, self.opaque.kind.max  # type: ignore[attr-defined]
        return self.fixed_size + least, None if most is None else self.fixed_size + most

    def _too_short(self, size: int) -> FieldProblem:
        planned = next((f for f in self.fields if f.end > size), self.opaque or self.fields[-1])
        needs = planned.length or planned.kind.min  # type: ignore[attr-defined]
        what = f"field needs {needs} bytes, {max(size - planned.offset, 0)} left"
        expected = f"{self.sizes()[0]} bytes in all"
        return FieldProblem("E-FRM-08", self.spec, self.message, planned.path, planned.offset, planned.length, planned.rule, expected, what)

    # -- what stands where

    def fields_of(self, raw: bytes) -> tuple[PlannedField, ...]:
        """The fields of these very bytes."""
        return self.fields

    def structure_problems(self, raw: bytes) -> tuple[FieldProblem, ...]:
        """Problems of these bytes that are not of a single field."""
        return ()

    def field_at(self, offset: int) -> list[PlannedField]:
        """The fields that may begin at an offset."""
        planned = self._at.get(offset)
        return [] if planned is None else [planned]

    # -- reading

    def slow(self, number: int, raw: bytes, found: list[Finding]) -> Any:
        """Value of one field; what is to be said about it goes into `found`."""
        place, kind, named = self._places[number]
        part = raw[place]
        try:
            value = kind.read_in(part, len(raw))
        except FieldFault as fault:
            found.append(self.fields[number].problem(fault, self.spec, self.message))
            return None
        if not kind.is_canonical(part, value if named else kind.default, len(raw)):
            found.append((place.start, part))
        return value

    def settle(self, found: list[Finding]) -> dict[int, bytes]:
        """The residue of a telegram. Raises FieldError when there are problems, with all of them."""
        problems = [finding for finding in found if isinstance(finding, FieldProblem)]
        if problems:
            raise FieldError(sorted(problems, key=lambda problem: problem.offset))
        return dict(finding for finding in found if isinstance(finding, tuple))

    # -- writing

    def put(self, number: int, value: Any) -> bytes:
        """One field. Raises FieldFault."""
        return self.fields[number].kind.write_in(value, self.fixed_size)

    def encode(self, header: dict[str, Any], body: dict[str, Any], residue: dict[int, bytes] | None = None) -> bytes:
        """The telegram's bytes. Raises FieldError with every problem there is."""
        given = {"header": header, "body": body}
        problems = [*self._unknown_names(given), *self._misplaced(residue)]
        total = self.size_of(body)
        parts = []
        for planned in self.fields:
            try:
                parts.append(self._written(planned, given[planned.section], residue or {}, total))
            except FieldFault as fault:
                problems.append(planned.problem(fault, self.spec, self.message))
        if problems:
            raise FieldError(sorted(problems, key=lambda problem: problem.offset))
        return b"".join(parts)

    def size_of(self, body: dict[str, Any]) -> int:
        """Size of the telegram that these values make."""
        value = body.get(self.opaque.name) if self.opaque else None
        return self.fixed_size + (len(value) if isinstance(value, bytes) else 0)

    def _written(self, planned: PlannedField, given: dict[str, Any], residue: dict[int, bytes], total: int) -> bytes:
        value = self._value(planned, given)
        kept = residue.get(planned.offset)
        if kept is not None and still_means(planned, kept, value, total):
            return kept
        return planned.kind.write_in(value, total)

    def _value(self, planned: PlannedField, given: dict[str, Any]) -> Any:
        if planned.name in given:
            return given[planned.name]
        if planned.key is not None:
            return planned.key
        if not planned.name or planned.kind.default is not MISSING:
            return planned.kind.default
        raise planned.kind.fault("E-FLD-12", "field is missing")

    def _unknown_names(self, given: dict[str, dict[str, Any]]) -> list[FieldProblem]:
        """The name itself is not repeated: it came from outside and could be anything."""
        found = []
        for section, values in given.items():
            unknown = [name for name in values if name not in self.names[section]]
            if unknown:
                what = f"{len(unknown)} name(s) in the {section} that the layout does not have"
                expected = f"only: {', '.join(sorted(self.names[section])) or 'nothing'}"
                found.append(FieldProblem("E-FLD-12", self.spec, self.message, section, 0, 0, _DICT_RULE, expected, what))
        return found

    def _misplaced(self, residue: dict[int, bytes] | None) -> list[FieldProblem]:
        found = []
        for offset, kept in (residue or {}).items():
            planned = self._at.get(offset)
            if planned is None or planned.is_opaque or len(kept) != planned.length:
                what = "bytes to keep do not fill a field of the layout"
                found.append(
                    FieldProblem("E-FLD-12", self.spec, self.message, "residue", offset, len(kept), _DICT_RULE, "a field's bytes", what)
                )
        return found

    def restore(self, raw: bytes, header: dict[str, Any], body: dict[str, Any], residue: dict[int, bytes]) -> bytes:
        """Put the residue back into a telegram that was written canonically."""
        if self._misplaced(residue):
            return self.encode(header, body, residue)  # which says what is wrong
        restored = bytearray(raw)
        for offset, kept in residue.items():
            planned = self._at[offset]
            value = self._value(planned, header if planned.section == "header" else body)
            if still_means(planned, kept, value, len(raw)):
                restored[offset : planned.end] = kept
        return bytes(restored)


def still_means(planned: PlannedField, kept: bytes, value: Any, total: int) -> bool:
    """Whether kept bytes still stand for the value: it may have been changed since they were read."""
    try:
        meaning = planned.kind.read_in(kept, total)
    except FieldFault:
        return False
    return not planned.name or (type(meaning) is type(value) and bool(meaning == value))
