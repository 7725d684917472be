"""Through the fields of one telegram's bytes: groups entered, counts believed within bounds, views chosen."""

# Rules this file keeps, all of them tested:
#
# 1. Nothing is read by a count that is out of its bounds or beyond the bytes that are there.
# 2. What cannot be placed, since a count is not known, is not looked at: no guess about where it might begin.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from telegram_router.telegrams.fields import FieldFault, Filler, Kind
from telegram_router.telegrams.groups import in_words, version_of, view_for
from telegram_router.telegrams.layout import (
    IN_HEADER,
    Node,
    PlannedField,
    PlannedGroup,
    PlannedTable,
    PlannedViews,
    Reference,
    indexed,
    spare_field,
)

UNREADABLE: Final = object()


class Stretch(Kind):
    """Bytes that a problem is about and that are no one field."""

    @property
    def rule(self) -> str:
        return f"X({self.length})"

    @property
    def expected(self) -> str:
        return f"{self.length} bytes"


class Lost(Exception):
    """From here on no offset is known."""


class Spot(NamedTuple):
    """Where a planned thing really is."""

    moved: int = 0  # to be added to planned offsets: tables before it are shorter, or it is a later item
    kept: int = 0  # to be added for the offset by which residue is kept: every table at its maximum
    indices: tuple[int, ...] = ()


class Seen(NamedTuple):
    """A field that has been read, for what refers to it."""

    value: Any
    planned: PlannedField  # as it stands in this telegram


@dataclass(frozen=True)
class Shifted:
    """A table of which the telegram holds only as many items as are counted."""

    table: PlannedTable
    counted: int
    counter: PlannedField | None


class Walk:
    """Goes through one telegram. Subclasses say what happens at each field."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.shifted: list[Shifted] = []
        self._header: dict[str, Seen] = {}
        self._scopes: list[dict[str, Seen]] = []

    # -- what a subclass says

    def field(self, planned: PlannedField, kept: int) -> Any:
        """One field, planned where it really is; `kept` is the offset for its residue. Gives its value, or UNREADABLE."""
        raise NotImplementedError

    def fault(self, planned: PlannedField, fault: FieldFault) -> None:
        """Something about the structure is wrong, as that field has it."""

    # -- through the telegram

    def telegram(self, header: Sequence[Node], body: Sequence[Node]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values of header and body. Raises Lost."""
        values, _ = self._members(header, Spot(), sum(node.shortest for node in body))
        inside, moved = self._members(body, Spot(), 0)
        self.rest(len(self.raw) - (body[-1].end if body else header[-1].end if header else 0) - moved)
        return values, inside

    def rest(self, size: int) -> None:
        """Bytes behind the last field."""

    def _members(self, nodes: Sequence[Node], spot: Spot, behind: int) -> tuple[dict[str, Any], int]:
        """Values of a group, and how far what follows has moved. `behind` are the fewest bytes that follow it."""
        scope: dict[str, Seen] = {}
        self._scopes.append(scope)
        if len(self._scopes) == 1 and not self._header:
            self._header = scope
        values: dict[str, Any] = {}
        behind += sum(node.shortest for node in nodes)
        for node in nodes:
            behind -= node.shortest
            if isinstance(node, PlannedViews):
                values.update(self._views(node, spot, behind))
            else:
                value, moved = self._node(node, spot, behind)
                spot = spot._replace(moved=moved)
                if node.name:
                    values[node.name] = value
        self._scopes.pop()
        return values, spot.moved

    def _node(self, node: Node, spot: Spot, behind: int) -> tuple[Any, int]:
        if isinstance(node, PlannedField):
            return self._field(node, spot), spot.moved
        if isinstance(node, PlannedGroup):
            return self._members(node.members, spot, behind)
        assert isinstance(node, PlannedTable)
        return self._table(node, spot, behind)

    def _field(self, planned: PlannedField, spot: Spot) -> Any:
        here = placed(planned, spot)
        value = self.field(here, planned.offset + spot.kept)
        if planned.name:
            self._scopes[-1][planned.name] = Seen(value, here)
        return value

    # -- tables

    def _table(self, table: PlannedTable, spot: Spot, behind: int) -> tuple[list[Any], int]:
        counted = self._counted(table, spot, behind)
        if counted is None:
            if table.storage == "shift":
                raise Lost
            return [], spot.moved
        items, at = [], table.offset + spot.moved
        for index in range(counted):
            inside = Spot(at - table.offset, spot.kept + index * table.stride, (*spot.indices, index))
            value, moved = self._node(table.item, inside, behind + (counted - 1 - index) * table.item.shortest)
            items.append(value)
            at = table.item.end + moved
        if table.storage == "max":
            for index in range(counted, table.most):
                spare = replace(spare_field(table, index), path=indexed(f"{table.path}[0]", (*spot.indices, index)))
                self.field(replace(spare, offset=spare.offset + spot.moved), spare.offset + spot.kept)
            at = table.end + spot.moved if table.spare else at
        return items, at - table.end

    def _counted(self, table: PlannedTable, spot: Spot, behind: int) -> int | None:
        """How many items there are, None when nobody can say."""
        if table.counter is None:
            return table.most
        seen = self._seen(table.counter, spot)
        if seen is None or seen.value is UNREADABLE:
            return None
        words = in_words(table.least, table.most)
        if type(seen.value) is not int:
            self.fault(seen.planned, FieldFault("E-FLD-06", "count is missing", words))
            return None
        if not table.least <= seen.value <= table.most:
            self.fault(seen.planned, FieldFault("E-FLD-08", "count is out of the table's bounds", words))
            return None
        if table.storage == "shift":
            self._check_room(table, seen, spot, len(self.raw) - (table.offset + spot.moved) - behind)
            self.shifted.append(Shifted(table, seen.value, seen.planned))
        return seen.value

    def _check_room(self, table: PlannedTable, seen: Seen, spot: Spot, room: int) -> None:
        if seen.value * table.item.shortest <= room:
            return
        whole, cut = divmod(max(room, 0), table.item.shortest)
        if cut and whole == seen.value - 1:
            planned = PlannedField(
                f"{indexed(table.path, spot.indices)}[{whole}]", "", table.section, "", table.offset + spot.moved + whole * table.item.shortest,
                cut, Stretch(table.item.shortest), line=table.line,
            )  # fmt: skip
            what = f"item needs {table.item.shortest} bytes, {cut} left"
            self.fault(planned, FieldFault("E-FLD-09", what, f"{table.item.shortest} bytes for each item"))
        else:
            self.fault(seen.planned, FieldFault("E-FLD-08", "count is beyond the bytes left", f"at most {whole} items in what is left"))
        raise Lost

    def _seen(self, reference: Reference, spot: Spot) -> Seen | None:
        """The field that a reference means, read already or read now."""
        if reference.ahead:
            here = placed(reference.field, spot)
            value = read_quietly(here, self.raw)
            return None if value is UNREADABLE else Seen(value, here)  # what is wrong with it is told where it stands
        scope = self._header if reference.up == IN_HEADER else self._scopes[-1 - reference.up]
        return scope.get(reference.field.name)

    # -- views

    def _views(self, views: PlannedViews, spot: Spot, behind: int) -> dict[str, Any]:
        name = self._chosen(views, spot)
        if name is None:
            self.unknown_view(views, spot)
            return {}
        node, rest = views.view(name)
        value, _ = self._node(node, spot, behind + (rest.length if rest else 0))
        if rest:
            self._field(rest, spot)
        if views.kind == "date":
            return dict(value)
        return {name: value} if node.name else {}

    def unknown_view(self, views: PlannedViews, spot: Spot) -> None:
        """Nobody can say by which view these bytes are to be read."""

    def _chosen(self, views: PlannedViews, spot: Spot) -> str | None:
        if views.chooser is None:
            return views.views[0][0]
        seen = self._seen(views.chooser, spot)
        if seen is None or seen.value is UNREADABLE:
            return None
        name, fault = choice(views, seen.value)
        if fault:
            self.fault(seen.planned, fault)
        return name


def choice(views: PlannedViews, value: Any) -> tuple[str | None, FieldFault | None]:
    """The view for a value, or why there is none."""
    if views.kind == "date":
        if type(value) is str:
            return version_of(value, dict(views.views)), None
        return None, FieldFault("E-FLD-06", "the date that the layout depends on is missing", "a date")
    name = view_for(value, views.when, views.default)
    if name is not None:
        return name, None
    return None, FieldFault("E-FLD-07", "no view of the layout is for this value", f"one of {len(views.when)} declared values")


def placed(planned: PlannedField, spot: Spot) -> PlannedField:
    """A planned field as it really stands."""
    if not spot.moved and not spot.indices:
        return planned
    return replace(planned, path=indexed(planned.path, spot.indices), offset=planned.offset + spot.moved)


def read_quietly(planned: PlannedField, raw: bytes) -> Any:
    """Value of a field, or UNREADABLE."""
    part = raw[planned.offset : None if planned.is_opaque else planned.end]
    if len(part) < planned.length:
        return UNREADABLE
    try:
        return planned.kind.read_in(part, len(raw))
    except FieldFault:
        return UNREADABLE


class Listing(Walk):
    """Lists the fields of a telegram, also of one that is not valid."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.fields: list[PlannedField] = []

    def field(self, planned: PlannedField, kept: int) -> Any:
        self.fields.append(planned)
        return read_quietly(planned, self.raw)

    def unknown_view(self, views: PlannedViews, spot: Spot) -> None:
        path = f"{indexed(views.path, spot.indices)}.view@{views.offset + spot.moved}"
        self.fields.append(
            PlannedField(path, "", views.section, "", views.offset + spot.moved, views.length, Filler(views.length), line=views.line)
        )


def fields_of(raw: bytes, header: Sequence[Node], body: Sequence[Node]) -> Iterator[PlannedField]:
    """The fields of these very bytes in their order, as far as they can be placed."""
    listing = Listing(raw)
    try:
        listing.telegram(header, body)
    except Lost:
        pass
    yield from listing.fields
