"""A message as the lines of an offset table: what every exporter goes through, structure and fields alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telegram_router.telegrams.fields import FieldFault
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec


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

    @property
    def position(self) -> str:
        """As people count: first and last byte, from 1."""
        first = self.offset + 1
        return f"{first}-" if self.length is None else f"{first}-{first + self.length - 1}" if self.length > 1 else str(first)

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
    """Every line of a message, header first."""
    for planned in message.fields:
        yield _field_line(planned, 0, message.spec)


def _field_line(planned: PlannedField, depth: int, spec: Spec) -> Line:
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
        is_required(planned, spec.encoding),
    )


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
