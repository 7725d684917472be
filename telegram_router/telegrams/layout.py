"""The plan of a message: which field stands at which byte, in which group, table or view."""

# Rules this file keeps:
#
# 1. Offsets count from the telegram's first byte, with every table at its maximum. Behind a table that shifts, a telegram with
#    fewer items has its fields earlier: `shifts` says so.
# 2. What is inside a table is planned once, for item 0. `[0]` in a path is the place of an index.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from telegram_router.errors import FieldProblem
from telegram_router.telegrams.fields import FieldFault, Kind, Opaque

MAX_UNROLLED: Final = 64  # items of a table that are listed one by one
_MAX_LISTED: Final = 1024  # fields of a table that are


@dataclass(frozen=True, slots=True)
class PlannedField:
    """One field of one message. Offsets count from the telegram's first byte, from 0."""

    path: str  # "header.amount"; an unnamed one is called by its offset, "body.filler@247"
    name: str  # "" when it has no name
    section: str  # "header" or "body"
    label: str
    offset: int
    length: int  # 0 for a field that takes the rest of the telegram
    kind: Kind
    key: str | None = None  # the value that makes this message, for key fields
    line: int = 0  # of the spec file
    shifts: bool = False  # whether it stands behind a table that shifts
    counts: bool = False  # whether it counts a table's items: then its value follows from the list

    @property
    def rule(self) -> str:
        return self.kind.rule

    @property
    def log(self) -> str:
        return self.kind.log

    @property
    def codes(self) -> Mapping[str, str]:
        """Meaning of each declared code, where the spec gives one."""
        return getattr(self.kind, "names", {})

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def shortest(self) -> int:
        """Fewest bytes."""
        least = self.kind.min if isinstance(self.kind, Opaque) else self.length
        return least if isinstance(least, int) else 0  # the lint has not seen it yet

    @property
    def is_opaque(self) -> bool:
        return isinstance(self.kind, Opaque)

    @property
    def may_be_left_out(self) -> bool:
        """Whether its value follows from the message and need not be given."""
        return self.key is not None or self.counts or self.kind.flagbuildnone

    def problem(self, fault: FieldFault, spec: str, message: str) -> FieldProblem:
        return FieldProblem(fault.code, spec, message, self.path, self.offset, self.length, self.rule, fault.expected, fault.what)


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Fields under one name. A version's fields are a group without one: they stand in the group around it."""

    name: str
    path: str
    label: str
    section: str
    offset: int
    length: int
    shortest: int  # fewest bytes
    members: tuple[Node, ...]
    line: int = 0
    shifts: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Reference:
    """A field whose value decides on the layout, as seen from the place that it decides on."""

    field: PlannedField
    up: int  # groups between; IN_HEADER for a field of the header
    ahead: bool = False  # whether it stands behind the place

    @property
    def path(self) -> str:
        return self.field.path


IN_HEADER: Final = -1


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """The same fields several times over."""

    name: str
    path: str
    label: str
    section: str
    offset: int
    length: int  # with as many items as there may be
    shortest: int  # fewest bytes
    item: Node
    least: int
    most: int
    storage: Literal["max", "shift"] = "max"
    counter: Reference | None = None
    spare: Kind | None = None  # an unused place of a table that always has room for all
    line: int = 0
    shifts: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def stride(self) -> int:
        """Bytes of one item, with the tables in it at their maximum."""
        return self.item.length

    @property
    def depending(self) -> str | None:
        """Path of the field that counts the items."""
        return self.counter.path if self.counter else None


@dataclass(frozen=True, slots=True)
class PlannedViews:
    """Bytes that are read in one of several ways: by the value of a field, or by a date."""

    path: str  # of the group around it: it has no name of its own
    section: str
    offset: int
    length: int
    views: tuple[tuple[str, Node], ...]  # by name; by first day where kind is "date"
    rests: tuple[PlannedField | None, ...]  # what each view leaves over
    when: Mapping[Any, str]  # the view for a value
    kind: Literal["code", "date"] = "code"
    default: str | None = None
    chooser: Reference | None = None
    line: int = 0
    shifts: bool = False

    name = ""
    label = ""

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def shortest(self) -> int:
        return self.length

    @property
    def by(self) -> str | None:
        """Path of the field that chooses."""
        return self.chooser.path if self.chooser else None

    def view(self, name: str) -> tuple[Node, PlannedField | None]:
        """A view, and what it leaves over."""
        place = [known for known, _ in self.views].index(name)
        return self.views[place][1], self.rests[place]


Node: TypeAlias = PlannedField | PlannedGroup | PlannedTable | PlannedViews


def varies(node: Node) -> bool:
    """Whether what stands behind a node has no fixed offset."""
    if isinstance(node, PlannedGroup):
        return any(map(varies, node.members))
    if isinstance(node, PlannedTable):
        return varies(node.item) or (node.storage == "shift" and node.least < node.most)
    return isinstance(node, PlannedField) and node.is_opaque


def rebuilt(node: Node, change: Callable[[Any], Any]) -> Any:
    """A node in which everything was changed, what is inside first."""
    if isinstance(node, PlannedGroup):
        return change(replace(node, members=tuple(rebuilt(member, change) for member in node.members)))
    if isinstance(node, PlannedTable):
        return change(replace(node, item=rebuilt(node.item, change)))
    if isinstance(node, PlannedViews):
        views = tuple((name, rebuilt(view, change)) for name, view in node.views)
        return change(replace(node, views=views, rests=tuple(rest and change(rest) for rest in node.rests)))
    return change(node)


# --- fields -----------------------------------------------------------------------------------------------------


def is_flat(nodes: Iterable[Node]) -> bool:
    return all(isinstance(node, PlannedField) for node in nodes)


def indexed(path: str, indices: Sequence[int]) -> str:
    """A path inside tables with the indices of an item."""
    for index in indices:
        path = path.replace("[0]", f"[\0{index}]", 1)
    return path.replace("\0", "")


def unrolled(nodes: Iterable[Node], indices: tuple[int, ...] = (), moved: int = 0) -> Iterator[PlannedField]:
    """Every field that there may be, with its tables at their maximum. Of a large table only item 0."""
    for node in nodes:
        if isinstance(node, PlannedField):
            yield replace(node, path=indexed(node.path, indices), offset=node.offset + moved) if indices else node
        elif isinstance(node, PlannedGroup):
            yield from unrolled(node.members, indices, moved)
        elif isinstance(node, PlannedTable):
            listed = node.most if node.most <= MAX_UNROLLED and node.most * _count(node.item) <= _MAX_LISTED else min(node.most, 1)
            for index in range(listed):
                yield from unrolled([node.item], (*indices, index), moved + index * node.stride)
        else:
            for (_, view), rest in zip(node.views, node.rests, strict=True):
                yield from unrolled([view, rest] if rest else [view], indices, moved)


def _count(node: Node) -> int:
    """Fields of a node, unrolled."""
    if isinstance(node, PlannedField):
        return 1
    if isinstance(node, PlannedGroup):
        return sum(map(_count, node.members))
    if isinstance(node, PlannedTable):
        return (node.most if node.most <= MAX_UNROLLED else 1) * _count(node.item)
    return sum(_count(view) for _, view in node.views)


def templates(nodes: Iterable[Node]) -> Iterator[PlannedField]:
    """Every field as it is planned, those in tables once."""
    for node in nodes:
        if isinstance(node, PlannedField):
            yield node
        elif isinstance(node, PlannedGroup):
            yield from templates(node.members)
        elif isinstance(node, PlannedTable):
            yield from templates([node.item])
        else:
            for (_, view), rest in zip(node.views, node.rests, strict=True):
                yield from templates([view, rest] if rest else [view])


def fixed_fields(nodes: Iterable[Node]) -> Iterator[PlannedField]:
    """The fields that every telegram of the message has at the same offset."""
    for node in nodes:
        if isinstance(node, PlannedField) and not node.shifts:
            yield node
        elif isinstance(node, PlannedGroup):
            yield from fixed_fields(node.members)


def tables(nodes: Iterable[Node]) -> Iterator[PlannedTable]:
    """The tables of a message, those in other tables too."""
    for node in nodes:
        if isinstance(node, PlannedGroup):
            yield from tables(node.members)
        elif isinstance(node, PlannedTable):
            yield node
            yield from tables([node.item])
        elif isinstance(node, PlannedViews):
            yield from tables(view for _, view in node.views)


def at_offset(nodes: Iterable[Node], offset: int, moved: int = 0) -> Iterator[PlannedField]:
    """The fields, and unused places of tables, that may begin at an offset."""
    for node in nodes:
        if not node.offset + moved <= offset < node.end + moved:
            continue
        if isinstance(node, PlannedField):
            if node.offset + moved == offset:
                yield node
        elif isinstance(node, PlannedGroup):
            yield from at_offset(node.members, offset, moved)
        elif isinstance(node, PlannedTable):
            index, within = divmod(offset - node.offset - moved, node.stride)
            if node.spare and not within:
                yield spare_field(node, index)
            yield from at_offset([node.item], offset, moved + index * node.stride)
        else:
            for (_, view), rest in zip(node.views, node.rests, strict=True):
                yield from at_offset([view, rest] if rest else [view], offset, moved)


def spare_field(table: PlannedTable, index: int) -> PlannedField:
    """An unused place of a table."""
    assert table.spare is not None
    offset = table.offset + index * table.stride
    return PlannedField(f"{table.path}[{index}]", "", table.section, table.label, offset, table.stride, table.spare, line=table.line)


def value_names(nodes: Iterable[Node]) -> Iterator[str]:
    """Names that the values of a group may have."""
    for node in nodes:
        if isinstance(node, PlannedViews):
            for _, view in node.views:
                yield from value_names(view.members if isinstance(view, PlannedGroup) and node.kind == "date" else [view])
        elif node.name:
            yield node.name


# --- while it is being made -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayoutProblem:
    """Something in a construct tree that cannot be laid out. `line` is the line of the declaration, 0 when it has none."""

    code: str
    section: str
    name: str
    line: int
    what: str
    do: str = ""


@dataclass
class Section:
    """Header or body, laid out."""

    nodes: list[Node] = field(default_factory=list)
    problems: list[LayoutProblem] = field(default_factory=list)
    size: int = 0  # with every table at its maximum
    counters: set[str] = field(default_factory=set)  # paths of the fields that count a table's items

    @property
    def fields(self) -> list[PlannedField]:
        return list(unrolled(self.nodes))
