"""Groups, tables and views as JSON objects and arrays, and back."""

# Rules this file keeps, all of them tested:
#
# 1. What is wrong is named by its place in the JSON, an RFC 6901 pointer: /body/items/2/amount. All of it at once.
# 2. Which view the values choose is not looked at here: writing the telegram does that, and knows them all.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from telegram_router.errors import FieldProblem
from telegram_router.telegrams.fields import FieldFault
from telegram_router.telegrams.groups import in_words
from telegram_router.telegrams.json_values import form_problem, json_type, nearest, reader_of, writer_of
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews

Problems = list[FieldProblem]


@dataclass(frozen=True)
class Names:
    """Whose problems they are."""

    spec: str
    message: str


class LeafForm:
    """One field."""

    def __init__(self, names: Names, planned: PlannedField) -> None:
        self._names = names
        self.planned = planned
        self._write = writer_of(planned.kind)
        self._read = reader_of(planned.kind)
        self.optional = planned.may_be_left_out

    def write(self, value: Any, pointer: str, problems: Problems) -> Any:
        try:
            return self._write(value) if self._write else value
        except FieldFault as fault:
            problems.append(self._problem(fault, pointer))
            return None

    def read(self, value: Any, pointer: str, problems: Problems) -> Any:
        try:
            return self._read(value)
        except FieldFault as fault:
            problems.append(self._problem(fault, pointer))
            return None

    def masked(self, value: Any) -> Any:
        if self.planned.log != "clear":
            return f"[{self.planned.length} bytes]"
        return self._write(value) if self._write else value

    def missing(self, pointer: str) -> FieldProblem:
        return self._problem(self.planned.kind.fault("E-FLD-12", "field is missing"), pointer)

    def _problem(self, fault: FieldFault, pointer: str) -> FieldProblem:
        return replace(self.planned.problem(fault, self._names.spec, self._names.message), path=pointer)


class GroupForm:
    """An object."""

    optional = False

    def __init__(self, names: Names, nodes: Sequence[Node]) -> None:
        self._names = names
        self._offset = nodes[0].offset if nodes else 0
        self.members: dict[str, NodeForm] = {}
        self._chosen: set[str] = set()  # names that only some values of other fields call for
        for node in nodes:
            self._add(node, chosen=False)

    def _add(self, node: Node, chosen: bool) -> None:
        if isinstance(node, PlannedViews):
            for _, view in node.views:
                for inside in view.members if isinstance(view, PlannedGroup) and node.kind == "date" else [view]:
                    self._add(inside, chosen=True)
        elif node.name:
            self.members.setdefault(node.name, form_of_node(self._names, node))
            if chosen:
                self._chosen.add(node.name)

    def write(self, value: Any, pointer: str, problems: Problems) -> Any:
        if type(value) is not dict and not isinstance(value, Mapping):
            problems.append(self._misfit(value, pointer))
            return None
        members = self.members
        return {
            name: members[name].write(inner, f"{pointer}/{name}", problems) if name in members else inner for name, inner in value.items()
        }

    def read(self, value: Any, pointer: str, problems: Problems) -> Any:
        if type(value) is not dict:
            problems.append(
                form_problem(self._names.spec, self._names.message, pointer, f"value is {json_type(value)}", "an object", self._offset)
            )
            return None
        return self.values(value, pointer, problems)

    def values(self, value: Mapping[str, Any], pointer: str, problems: Problems, whole: bool = True) -> dict[str, Any]:
        """Values of an object. Unless it is to be `whole`, fields may be missing."""
        values = {}
        for name, form in self.members.items():
            if name in value:
                values[name] = form.read(value[name], f"{pointer}/{name}", problems)
            elif whole and self.needs(name):
                problems.append(form.missing(f"{pointer}/{name}"))
        if not value.keys() <= self.members.keys():
            problems += self.unknown(value, pointer)
        return values

    def unknown(self, value: Mapping[str, Any], pointer: str) -> Problems:
        """One problem for each name that nobody knows, by its place: the name itself is not repeated."""
        return [
            form_problem(
                self._names.spec,
                self._names.message,
                pointer,
                f"name {number} of the object is unknown",
                nearest(name, self.members) or "only names of the layout",
                self._offset,
            )
            for number, name in enumerate(value, 1)
            if name not in self.members
        ]

    def masked(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return "[0 bytes]"
        return {name: self.members[name].masked(inner) if name in self.members else "[0 bytes]" for name, inner in value.items()}

    def missing(self, pointer: str) -> FieldProblem:
        return form_problem(self._names.spec, self._names.message, pointer, "value is missing", "an object", self._offset)

    def needs(self, name: str) -> bool:
        """Whether a value must be there whatever the other values are."""
        return not self.members[name].optional and name not in self._chosen

    def _misfit(self, value: Any, pointer: str) -> FieldProblem:
        return form_problem(
            self._names.spec, self._names.message, pointer, f"value is of type {type(value).__name__}", "a dict", self._offset
        )


class TableForm:
    """An array."""

    optional = False

    def __init__(self, names: Names, table: PlannedTable) -> None:
        self._names = names
        self._item = form_of_node(names, table.item)
        self._words = in_words(table.least, table.most)
        self._most = table.most
        self._stride = table.stride
        self._offset = table.offset

    def write(self, value: Any, pointer: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            problems.append(
                form_problem(self._names.spec, self._names.message, pointer, f"value is of type {type(value).__name__}", "a list")
            )
            return None
        return self._each(self._item.write, value, pointer, problems)

    def read(self, value: Any, pointer: str, problems: Problems) -> Any:
        if type(value) is not list:
            what = f"value is {json_type(value)}"
            problems.append(form_problem(self._names.spec, self._names.message, pointer, what, f"an array of {self._words}", self._offset))
            return None
        if len(value) > self._most:
            problem = form_problem(
                self._names.spec, self._names.message, pointer, "more items than the table holds", self._words, self._offset
            )
            problems.append(replace(problem, code="E-FLD-08"))
            return None
        return self._each(self._item.read, value, pointer, problems)

    def _each(self, convert: Callable[[Any, str, Problems], Any], items: list[Any], pointer: str, problems: Problems) -> list[Any]:
        """Every item, and the problems of each at its own offset."""
        made = []
        for number, item in enumerate(items):
            known = len(problems)
            made.append(convert(item, f"{pointer}/{number}", problems))
            problems[known:] = [replace(found, offset=found.offset + number * self._stride) for found in problems[known:]]
        return made

    def masked(self, value: Any) -> Any:
        return [self._item.masked(item) for item in value] if isinstance(value, list) else "[0 bytes]"

    def missing(self, pointer: str) -> FieldProblem:
        return form_problem(self._names.spec, self._names.message, pointer, "value is missing", f"an array of {self._words}", self._offset)


NodeForm: TypeAlias = LeafForm | GroupForm | TableForm


def form_of_node(names: Names, node: Node) -> NodeForm:
    """The form of a field, group or table."""
    if isinstance(node, PlannedField):
        return LeafForm(names, node)
    if isinstance(node, PlannedGroup):
        return GroupForm(names, node.members)
    assert isinstance(node, PlannedTable)
    return TableForm(names, node)
