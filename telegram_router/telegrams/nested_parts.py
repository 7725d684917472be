"""What source of a message with groups, tables and views is written with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.fields import Alphabet, Length, Place
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference, templates, varies

if TYPE_CHECKING:
    from telegram_router.telegrams.nested_codec import NestedCodec


_UNROLLED: Final = 8  # items of a table that are written out one by one
_UNROLLED_FIELDS: Final = 48

Scope = dict[str, str]  # the variable that holds a field's value, by the field's path


@dataclass
class Function:
    """One function that is being written: its variables, and those of functions around it that it needs."""

    own: set[str] = field(default_factory=set)
    free: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def needs(self, variable: str) -> str:
        if variable not in self.own and variable not in self.free:
            self.free.append(variable)
        return variable


@dataclass(frozen=True)
class Spot:
    """Where something stands, as source: what is to be added to planned offsets, and to the offsets of residue."""

    static: int = 0
    moved: str = ""
    kept: str = ""

    @property
    def arguments(self) -> str:
        """For a function that takes both."""
        moved, kept = (" + ".join(filter(None, [name, str(self.static) if self.static else ""])) or "0" for name in (self.moved, self.kept))
        return f"{moved}, {kept}"


class Parts:
    """What both functions of a message are written with: names, constants, and the functions beside them."""

    def __init__(self, codec: NestedCodec, alphabet: Alphabet, checked: bool) -> None:
        self.codec = codec
        self.alphabet = alphabet
        self.checked = checked and codec.opaque is None
        self.constants: dict[str, object] = {}
        self.codecs: dict[str, str] = {}
        self.numbers = {id(planned): number for number, planned in enumerate(codec.fields)}
        self.used = {reference.path for reference in _references(codec.nodes)}
        self.functions: list[list[str]] = []
        self._names = 0

    def name(self, letter: str) -> str:
        self._names += 1
        return f"{letter}{self._names}"

    def use(self, name: str, value: object) -> str:
        """A name for a constant, the same name for the same constant."""
        while self.constants.setdefault(name, value) is not value and self.constants[name] != value:
            name += "_"
        return name

    def decoded(self, codec: str) -> str:
        return self.codecs.setdefault(codec, f"t_{len(self.codecs) + 1}")

    @property
    def arguments(self) -> str:
        return ", ".join(["b", "t", "found", *(["tidy", "clean"] if self.checked else []), *self.codecs.values()])

    def place(self, planned: PlannedField, spot: Spot) -> Place:
        number = self.numbers[id(planned)]
        moved = f", {spot.arguments}" if spot.moved or spot.static else ""
        return Place(
            planned.offset + spot.static,
            planned.length,
            f"glance({number}, b, found{moved})",
            lambda value: f"put({number}, {value})",
            self.use,
            self.decoded,
            self.checked,
            self.alphabet,
            spot.moved,
        )

    def constant(self, planned: PlannedField) -> str:
        raw = planned.kind.write_in(None, self.codec.fixed_size) if isinstance(planned.kind, Length) else planned.kind.write(None)
        return self.alphabet.spelled(raw)

    def put(self, number: int, value: Any) -> str:
        """One field as text of the alphabet. Raises FieldFault."""
        return self.alphabet.spelled(self.codec.put(number, value))

    def blank(self, kind: Any) -> str:
        return self.alphabet.spelled(kind.write(None)[:1])

    def assigned(self, letter: str, source: str, function: Function) -> str:
        variable = self.name(letter)
        function.own.add(variable)
        function.lines.append(f"{variable} = {source}")
        return variable

    def chosen(self, views: PlannedViews, names: Sequence[str], value: str) -> str:
        """Source of the function for a value."""
        if views.kind == "date":
            chosen = names[0]
            for (day, _), name in zip(views.views[1:], names[1:], strict=True):
                chosen = f"({name} if {value}[:8] >= {day!r} else {chosen})"
            return chosen if len(names) > 1 else f"({chosen} if {value}.__class__ is str else None)"
        by_name = {view: name for (view, _), name in zip(views.views, names, strict=True)}
        table = self.name("VIEWS_")
        pairs = ", ".join(f"{self.use('CASE', case)}: {by_name[view]}" for case, view in views.when.items())
        self.functions.append([f"{table} = {{{pairs}}}"])
        return f"{table}[{value}]" if views.default is None else f"{table}.get({value}, {by_name[views.default]})"


def is_small(table: PlannedTable) -> bool:
    """Whether its items are written out one by one."""
    fields = sum(1 for _ in templates([table.item]))
    return table.counter is None and not varies(table.item) and table.most <= _UNROLLED and table.most * fields <= _UNROLLED_FIELDS


def _references(nodes: Iterable[Node]) -> Iterator[Reference]:
    for node in nodes:
        if isinstance(node, PlannedGroup):
            yield from _references(node.members)
        elif isinstance(node, PlannedTable):
            if node.counter:
                yield node.counter
            yield from _references([node.item])
        elif isinstance(node, PlannedViews):
            if node.chooser:
                yield node.chooser
            yield from _references(view for _, view in node.views)


def looking(front: str, codec: str) -> str:
    """Source of all that stands in `front` as a codec decodes it."""
    return f"{front}.hex()" if codec == "hex" else f"{front}.decode({codec!r}, 'replace')"
