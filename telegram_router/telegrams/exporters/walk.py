"""A message as the lines of an offset table: what every exporter goes through, structure and fields alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telegram_router.telegrams.fields import FieldFault
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout


@dataclass(frozen=True)
class Line:
    """One line of an offset table. Offsets count from the telegram's first byte, from 0."""

    depth: int
    section: str
    path: str
    name: str  # "" when it has none
    label: str
    offset: int
    length: int | None  # None: the rest of the telegram
    rule: str
    field: PlannedField | None  # None for a group, a table or a choice of views
    required: bool = False
    shifts: bool = False

    @property
    def start(self) -> str:
        """Its offset; the largest that it may have behind a table that shifts."""
        return f"≤{self.offset}" if self.shifts else str(self.offset)

    @property
    def position(self) -> str:
        """As people count: first and last byte, from 1."""
        first, before = self.offset + 1, "≤" if self.shifts else ""
        end = "-" if self.length is None else f"-{first + self.length - 1}" if self.length > 1 else ""
        return f"{before}{first}{end}"

    @property
    def size(self) -> str:
        return "rest" if self.length is None else str(self.length)

    @property
    def key(self) -> str | None:
        """The value that makes this message."""
        return None if self.field is None else self.field.key

    @property
    def codes(self) -> Mapping[str, str]:
        """Codes that the field may hold, with their meanings."""
        return {} if self.field is None or self.field.key is not None else codes_of(self.field)

    @property
    def log(self) -> str:
        return self.field.log if self.field is not None and self.name else ""


def lines(message: MessageLayout) -> Iterator[Line]:
    """Every line of a message, header first; what is in a table once, as its first item has it."""
    for node in message.tree:
        yield from _lines(node, 0, message.spec.encoding)


def _lines(node: Node, depth: int, encoding: str) -> Iterator[Line]:
    if isinstance(node, PlannedField):
        yield _field_line(node, depth, encoding)
    elif isinstance(node, PlannedGroup):
        yield _heading(node, depth, "group")
        for member in node.members:
            yield from _lines(member, depth + 1, encoding)
    elif isinstance(node, PlannedTable):
        yield _heading(node, depth, table_words(node))
        for member in node.item.members if isinstance(node.item, PlannedGroup) else [node.item]:
            yield from _lines(member, depth + 1, encoding)
    else:
        yield _heading(node, depth, views_words(node))
        for (name, view), rest in zip(node.views, node.rests, strict=True):
            yield from _view_lines(node, name, view, depth + 1, encoding)
            if rest:
                yield _field_line(rest, depth + 2, encoding)


def _view_lines(views: PlannedViews, name: str, view: Node, depth: int, encoding: str) -> Iterator[Line]:
    if views.kind == "date" and isinstance(view, PlannedGroup):
        yield _heading(view, depth, f"from {name}" if name else "from the beginning")
        for member in view.members:
            yield from _lines(member, depth + 1, encoding)
    else:
        yield from _lines(view, depth, encoding)


def _heading(node: PlannedGroup | PlannedTable | PlannedViews, depth: int, words: str) -> Line:
    return Line(depth, node.section, node.path, node.name, node.label, node.offset, node.length, words, None, shifts=node.shifts)


def table_words(table: PlannedTable) -> str:
    """How often, how long, and what counts it: `0 to 5 x 23 bytes, as many as item_count says`."""
    often = str(table.most) if table.counter is None else f"{table.least} to {table.most}"
    counted = "" if table.counter is None else f", as many as {table.counter.field.name} says"
    room = ", always with room for all" if table.counter is not None and table.storage == "max" else ""
    return f"{often} x {table.stride} bytes{counted}{room}"


def views_words(views: PlannedViews) -> str:
    """What chooses: `by kind: 1 person, 2 company, else code`."""
    if views.kind == "date":
        return f"by date, {views.by}"
    if views.chooser is None:
        return "several views, read by the first"
    chosen = [f"{value} {view}" for value, view in views.when.items()]
    return f"by {views.chooser.field.name}: " + ", ".join([*chosen, *([f"else {views.default}"] if views.default else [])])


def _field_line(planned: PlannedField, depth: int, encoding: str) -> Line:
    return Line(
        depth,
        planned.section,
        planned.path,
        planned.name,
        planned.label,
        planned.offset,
        None if planned.is_opaque else planned.length,
        planned.rule,
        planned,
        is_required(planned, encoding),
        planned.shifts,
    )


def planned_path(path: str) -> str:
    """The path of a field as it is planned: inside a table that of item 0."""
    return re.sub(r"\[\d+\]", "[0]", path)


def codes_of(planned: PlannedField) -> dict[str, str]:
    """The codes that a field may hold, each with its meaning or an empty text."""
    given = getattr(planned.kind, "values", None) or ()
    names = given if isinstance(given, Mapping) else dict.fromkeys(given, "")
    return {" to ".join(code) if isinstance(code, tuple) else str(code): str(name) for code, name in names.items()}


def is_required(planned: PlannedField, encoding: str) -> bool:
    """Whether the field must hold something: blanks in it are refused, or mean something."""
    if not planned.name or planned.is_opaque or planned.may_be_left_out:
        return False
    try:
        return planned.kind.read(" ".encode(encoding) * planned.length) not in (None, "", 0)
    except FieldFault:
        return True


def sizes(message: MessageLayout) -> tuple[int, int | None]:
    """Smallest and largest telegram of a message, framing not counted; None when there is no largest."""
    return message.codec.sizes()


def size_text(message: MessageLayout) -> str:
    least, most = sizes(message)
    return f"{least}" if least == most else f"from {least}" if most is None else f"{least} to {most}"
