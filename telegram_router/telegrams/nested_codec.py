"""Read and write a message with groups, tables and views. Slow and complete, as codec.py is for messages that are one row of fields."""

# Rules this file keeps, all of them tested:
#
# 1. Residue is kept by the offset that its bytes have when every table is at its maximum. So it stays where it belongs when a
#    table before it grows or shrinks.
# 2. A counter follows from its list. One that is given must say the same.
# 3. Exactly the view that the values choose must be given.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from telegram_router.errors import FieldError, FieldProblem
from telegram_router.telegrams.codec import Codec, Finding, still_means
from telegram_router.telegrams.fields import MISSING, FieldFault
from telegram_router.telegrams.groups import in_words
from telegram_router.telegrams.layout import (
    IN_HEADER,
    Node,
    PlannedField,
    PlannedGroup,
    PlannedTable,
    PlannedViews,
    Reference,
    at_offset,
    indexed,
    spare_field,
    templates,
    unrolled,
    value_names,
    varies,
)
from telegram_router.telegrams.walk import UNREADABLE, Lost, Spot, Stretch, Walk, choice, fields_of, placed, read_quietly

_DICT_RULE: Final = "names of the layout"

Values = dict[str, Any]


class NotAsUsual(Exception):
    """Generated code met something that the complete way must look at."""


class NestedCodec(Codec):
    """A message with groups, tables or views."""

    def __init__(self, spec: str, message: str, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)
        self.header = tuple(node for node in nodes if node.section == "header")
        self.body = tuple(node for node in nodes if node.section == "body")
        super().__init__(spec, message, list(templates(nodes)))
        self.fixed_size = sum(node.length for node in nodes)
        self._steady = next((node.offset for node in nodes if varies(node)), self.fixed_size)  # from here on things may move
        self.names = {"header": set(value_names(self.header)), "body": set(value_names(self.body))}

    def sizes(self) -> tuple[int, int | None]:
        least = sum(node.shortest for node in self.nodes)
        if self.opaque is None:
            return least, self.fixed_size
        most = self.opaque.kind.max  # type: ignore[attr-defined]
        return least, None if most is None else self.fixed_size + most

    def field_at(self, offset: int) -> list[PlannedField]:
        return [planned for planned in at_offset(self.nodes, offset) if not planned.is_opaque]

    def _too_short(self, size: int) -> FieldProblem:
        listed = [planned for planned in unrolled(self.nodes) if not planned.shifts]
        planned = next((f for f in listed if f.end > size), listed[-1])
        what = f"telegram needs {self.sizes()[0] - size} bytes more"
        expected = f"{self.sizes()[0]} bytes in all" if len(set(self.sizes())) == 1 else f"at least {self.sizes()[0]} bytes in all"
        return FieldProblem("E-FRM-08", self.spec, self.message, planned.path, planned.offset, planned.length, planned.rule, expected, what)

    # -- what stands where

    def fields_of(self, raw: bytes) -> tuple[PlannedField, ...]:
        return tuple(fields_of(raw, self.header, self.body))

    def structure_problems(self, raw: bytes) -> tuple[FieldProblem, ...]:
        reading = _Reading(self, raw, fields=False)
        with suppress(Lost):
            reading.telegram(self.header, self.body)
        return tuple(finding for finding in reading.found if isinstance(finding, FieldProblem))

    # -- reading

    def decoded(self, raw: bytes) -> tuple[Values, Values, dict[int, bytes] | None]:
        """Values of header and body, and what they do not carry. Raises FieldError with every problem there is."""
        problem = self.size_problem(len(raw))
        if problem is not None:
            raise FieldError([problem])
        reading = _Reading(self, raw)
        try:
            header, body = reading.telegram(self.header, self.body)
        except Lost:
            header, body = {}, {}
        residue = self.settle(reading.found)
        return header, body, residue or None

    def glance(self, number: int, raw: bytes, found: list[Finding], moved: int = 0, kept: int = 0) -> Any:
        """Value of one field for the generated code. Raises NotAsUsual where there is a problem: then the telegram is read again."""
        planned = self.fields[number]
        part = raw[planned.offset + moved : None if planned.is_opaque else planned.end + moved]
        if len(part) < planned.length:  # a count is beyond the bytes left
            raise NotAsUsual
        try:
            value = planned.kind.read_in(part, len(raw))
        except FieldFault:
            pass
        else:
            if not planned.kind.is_canonical(part, value if planned.name else planned.kind.default, len(raw)):
                found.append((planned.offset + kept, part))
            return value
        raise NotAsUsual

    def spares(self, table: PlannedTable, raw: bytes, found: list[Finding], counted: int, moved: int = 0, kept: int = 0) -> None:
        """Unused places of a table that are not blank, for the generated code."""
        for index in range(counted, table.most):
            planned = spare_field(table, index)
            part = raw[planned.offset + moved : planned.end + moved]
            if not planned.kind.is_canonical(part, None, len(raw)):
                found.append((planned.offset + kept, part))

    # -- writing

    def encode(self, header: Values, body: Values, residue: dict[int, bytes] | None = None) -> bytes:
        return _Writing(self, header, residue or {}).telegram(header, body, self._misplaced(residue))

    def size_of(self, body: Values) -> int:
        return len(_Writing(self, {}, {}).body(body))

    def laid_over(self, raw: bytes, residue: dict[int, bytes]) -> bytes | None:
        """A telegram with its residue put back where it was, None where that depends on more than its offset."""
        if any(offset >= self._steady for offset in residue):
            return None
        restored = bytearray(raw)
        for offset, kept in residue.items():
            restored[offset : offset + len(kept)] = kept
        return bytes(restored) if len(restored) == len(raw) else None

    def _misplaced(self, residue: dict[int, bytes] | None) -> list[FieldProblem]:
        what = "bytes to keep do not fill a field of the layout"
        return [
            FieldProblem("E-FLD-12", self.spec, self.message, "residue", offset, len(kept), _DICT_RULE, "a field's bytes", what)
            for offset, kept in (residue or {}).items()
            if all(planned.length != len(kept) for planned in self.field_at(offset))
        ]


class _Reading(Walk):
    def __init__(self, codec: NestedCodec, raw: bytes, *, fields: bool = True) -> None:
        super().__init__(raw)
        self.codec = codec
        self.found: list[Finding] = []
        self._fields = fields  # whether to say what is wrong with single fields

    def field(self, planned: PlannedField, kept: int) -> Any:
        if not self._fields:
            return read_quietly(planned, self.raw)
        part = self.raw[planned.offset : None if planned.is_opaque else planned.end]
        try:
            if len(part) < planned.length:
                raise planned.kind.fault("E-FRM-08", f"field needs {planned.length} bytes, {len(part)} left")
            value = planned.kind.read_in(part, len(self.raw))
        except FieldFault as fault:
            self.fault(planned, fault)
            return UNREADABLE
        if not planned.kind.is_canonical(part, value if planned.name else planned.kind.default, len(self.raw)):
            self.found.append((kept, part))
        return value

    def fault(self, planned: PlannedField, fault: FieldFault) -> None:
        self.found.append(planned.problem(fault, self.codec.spec, self.codec.message))

    def rest(self, size: int) -> None:
        """A size between the least and the most may still be none that the counts allow."""
        if size <= 0 or self.codec.opaque is not None:
            return
        at = len(self.raw) - size
        end = PlannedField("telegram", "", "body", "", at, size, Stretch(size))
        if len(self.shifted) == 1:
            (shifted,) = self.shifted
            stride = shifted.table.item.length
            if size % stride:
                what = f"{size % stride} bytes behind the last whole item"
                self.fault(end, FieldFault("E-FLD-09", what, f"{stride} bytes for each item"))
                return
            if shifted.counter and shifted.table.least <= shifted.counted + size // stride <= shifted.table.most:
                what = f"count contradicts the telegram's size: {size // stride} items more would fit"
                self.fault(shifted.counter, FieldFault("E-FLD-11", what, "a count of the items that are there"))
                return
        self.fault(end, FieldFault("E-FRM-07", f"{size} bytes beyond the layout", f"{at} bytes with these counts"))


class _Writing:
    """One telegram being written. Everything that is wrong goes into `problems`; the bytes count only when there is nothing."""

    def __init__(self, codec: NestedCodec, header: Any, residue: Mapping[int, bytes]) -> None:
        self.codec = codec
        self.residue = residue
        self.problems: list[FieldProblem] = []
        self.total = 0
        self._scopes: list[Mapping[str, Any]] = []
        self._header: Mapping[str, Any] = self._scope(codec.header, header if isinstance(header, Mapping) else {}, [])

    def telegram(self, header: Any, body: Any, misplaced: Sequence[FieldProblem]) -> bytes:
        # What the header counts stands in the body.
        self._header = self._scope(self.codec.header, header if isinstance(header, Mapping) else {}, [(self.codec.body, body)])
        tail = self.body(body)
        self.total = sum(node.length for node in self.codec.header) + len(tail)
        front, _ = self._members(self.codec.header, header, Spot(), "header", self._header)
        problems = [*misplaced, *self.problems]
        if problems:
            raise FieldError(sorted(problems, key=lambda problem: problem.offset))
        return front + tail

    def body(self, body: Any) -> bytes:
        return self._members(self.codec.body, body, Spot(), "body")[0]

    # -- groups

    def _members(
        self, nodes: Sequence[Node], given: Any, spot: Spot, path: str, scope: Mapping[str, Any] | None = None
    ) -> tuple[bytes, int]:
        """Bytes of a group, and how far what follows has moved."""
        if not isinstance(given, Mapping):
            self._problem(nodes, spot, path, "E-FLD-12", f"value is of type {type(given).__name__}", "a dict")
            return b"", spot.moved
        self._scopes.append(self._scope(nodes, given, [(nodes, given)]) if scope is None else scope)
        names: set[str] = set()
        raw, start = b"", spot
        for node in nodes:
            if isinstance(node, PlannedViews):
                written, used = self._views(node, given, spot)
                names |= used
                raw += written
                continue
            written, moved = self._member(node, given, spot)
            spot = spot._replace(moved=moved)
            raw += written
            names.add(node.name)
        self._scopes.pop()
        self._unknown(given, names, nodes, start, path)
        return raw, spot.moved

    def _unknown(self, given: Mapping[str, Any], names: set[str], nodes: Sequence[Node], spot: Spot, path: str) -> None:
        """The name itself is not repeated: it came from outside and could be anything."""
        names.discard("")
        unknown = sum(name not in names for name in given)
        if unknown:
            what = f"{unknown} name(s) in the {path} that the layout does not have"
            self._problem(nodes, spot, path, "E-FLD-12", what, f"only: {', '.join(sorted(names)) or 'nothing'}")

    def _member(self, node: Node, given: Mapping[str, Any], spot: Spot) -> tuple[bytes, int]:
        if isinstance(node, PlannedField):
            return self._field(node, self._scopes[-1].get(node.name, MISSING) if node.name else node.kind.default, spot), spot.moved
        if node.name not in given:
            self._problem([node], spot, indexed(node.path, spot.indices), "E-FLD-12", "field is missing", "a value")
            return b"", spot.moved
        return self._node(node, given[node.name], spot)

    def _node(self, node: Node, value: Any, spot: Spot) -> tuple[bytes, int]:
        if isinstance(node, PlannedField):
            return self._field(node, value, spot), spot.moved
        if isinstance(node, PlannedGroup):
            return self._members(node.members, value, spot, indexed(node.path, spot.indices))
        assert isinstance(node, PlannedTable)
        return self._table(node, value, spot)

    def _field(self, planned: PlannedField, value: Any, spot: Spot) -> bytes:
        kept = self.residue.get(planned.offset + spot.kept)
        if kept is not None and len(kept) == planned.length and still_means(planned, kept, value, self.total):
            return kept
        try:
            if value is MISSING:
                raise planned.kind.fault("E-FLD-12", "field is missing")
            return planned.kind.write_in(value, self.total)
        except FieldFault as fault:
            self._fault(placed(planned, spot), fault)
            return bytes(planned.length)

    # -- values that follow

    def _scope(self, nodes: Sequence[Node], given: Mapping[str, Any], counted: Sequence[tuple[Sequence[Node], Any]]) -> Mapping[str, Any]:
        """The values of a group's own fields, those that follow from others included."""
        scope: Values = {}
        for node in nodes:
            if not isinstance(node, PlannedField) or not node.name:
                continue
            if node.name in given:
                scope[node.name] = given[node.name]
            elif node.counts:
                lengths = {length for members, values in counted for length in _lengths(node.path, members, values)}
                scope[node.name] = max(lengths) if lengths else MISSING  # of lists that differ, the shorter are told to be wrong
            else:
                scope[node.name] = node.key if node.key is not None else node.kind.default
        return scope

    def _value_of(self, reference: Reference) -> Any:
        scope = self._header if reference.up == IN_HEADER else self._scopes[-1 - reference.up]
        return scope.get(reference.field.name, MISSING)

    # -- tables

    def _table(self, table: PlannedTable, items: Any, spot: Spot) -> tuple[bytes, int]:
        fault = self._misfit(table, items)
        if fault:
            self._problem([table], spot, indexed(table.path, spot.indices), *fault)
            return b"", spot.moved
        raw, at = b"", table.offset + spot.moved
        for index, item in enumerate(items):
            inside = Spot(at - table.offset, spot.kept + index * table.stride, (*spot.indices, index))
            written, moved = self._node(table.item, item, inside)
            raw += written
            at = table.item.end + moved
        if table.spare:
            for index in range(len(items), table.most):
                raw += self._field(replace(spare_field(table, index), path=table.path), None, spot)
            at = table.end + spot.moved
        return raw, at - table.end

    def _misfit(self, table: PlannedTable, items: Any) -> tuple[str, str, str] | None:
        """Code, what is wrong with a list as a whole, and what was expected."""
        words = in_words(table.least, table.most)
        if not isinstance(items, list):
            return "E-FLD-12", f"value is of type {type(items).__name__}", f"a list of {words}"
        if not table.least <= len(items) <= table.most:
            return "E-FLD-08", "number of items is out of the table's bounds", words
        if table.counter is None:
            return None
        count = self._value_of(table.counter)
        if count is not MISSING and (type(count) is not int or count != len(items)):
            return "E-FLD-11", f"number of items contradicts {table.depending}", "both the same, or the count left out"
        return None

    # -- views

    def _views(self, views: PlannedViews, given: Mapping[str, Any], spot: Spot) -> tuple[bytes, set[str]]:
        """Bytes of the chosen view, and the names that it takes from the group around it."""
        name = self._chosen(views, spot)
        if name is None:
            return b"", set(value_names([views]))
        node, rest = views.view(name)
        if views.kind == "date":
            assert isinstance(node, PlannedGroup)
            names = set(value_names(node.members))
            mine = {key: value for key, value in given.items() if key in names}
            return self._members(node.members, mine, spot, indexed(node.path, spot.indices))[0], names
        if isinstance(node, PlannedField):
            raw = self._field(node, given.get(name, MISSING) if node.name else None, spot)
        else:
            raw = self._member(node, given, spot)[0]
        return raw + (self._field(rest, None, spot) if rest else b""), {name} if node.name else set()

    def _chosen(self, views: PlannedViews, spot: Spot) -> str | None:
        if views.chooser is None:
            return views.views[0][0]
        value = self._value_of(views.chooser)
        if value is MISSING:
            return None  # which is told where the field stands
        name, fault = choice(views, value)
        if fault:
            self._fault(placed(views.chooser.field, Spot() if views.chooser.up == IN_HEADER else spot), fault)
        return name

    # -- problems

    def _fault(self, planned: PlannedField, fault: FieldFault) -> None:
        self.problems.append(planned.problem(fault, self.codec.spec, self.codec.message))

    def _problem(self, nodes: Sequence[Node], spot: Spot, path: str, code: str, what: str, expected: str) -> None:
        offset = nodes[0].offset + spot.moved if nodes else 0
        self.problems.append(FieldProblem(code, self.codec.spec, self.codec.message, path, offset, 0, _DICT_RULE, expected, what))


def _lengths(counter: str, nodes: Sequence[Node], given: Any) -> Iterator[int]:
    """How many items each table has that is counted by that field."""
    for node in nodes if isinstance(given, Mapping) else ():
        if isinstance(node, PlannedViews):
            for _, view in node.views:
                inside = view.members if isinstance(view, PlannedGroup) and node.kind == "date" else [view]
                yield from _lengths(counter, inside, given)
        elif node.name in given:
            yield from _lengths_in(counter, node, given[node.name])


def _lengths_in(counter: str, node: Node, value: Any) -> Iterator[int]:
    if isinstance(node, PlannedGroup):
        yield from _lengths(counter, node.members, value)
    elif isinstance(node, PlannedTable) and isinstance(value, list):
        if node.depending == counter:
            yield len(value)
        for item in value:
            yield from _lengths_in(counter, node.item, item)
