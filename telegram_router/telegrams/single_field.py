"""One field of a message read by itself, without the rest of the telegram: what rules on bodies look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telegram_router.errors import FieldError
from telegram_router.telegrams.fields import FieldFault
from telegram_router.telegrams.json_values import reader_of
from telegram_router.telegrams.layout import PlannedField, fixed_fields

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout


class SingleField:
    """A field of one message. Call it with a frame of a possible size for the value; None where the telegram has no such item.

    Raises FieldError where the bytes break the field's rule: what cannot be read is no value of any kind.
    """

    def __init__(self, message: MessageLayout, planned: PlannedField) -> None:
        self.message = message
        self.planned = planned
        around = message.spec.framing.prefix
        stays = any(each.path == planned.path for each in fixed_fields(message.tree))
        self._place = slice(around + planned.offset, around + planned.end) if stays and planned.length else None

    def __call__(self, frame: bytes) -> Any:
        if self._place is None:
            return self._wherever_it_stands(frame)
        return self._read(self.planned, frame[self._place])

    def value_of(self, text: str) -> Any:
        """The value that a text stands for, as in the JSON form: digits of an amount, a date. Raises FieldFault."""
        value = reader_of(self.planned.kind)(text)
        return self.planned.kind.read(self.planned.kind.write(value))  # what a telegram with it would read as

    def _wherever_it_stands(self, frame: bytes) -> Any:
        """In a table, a view, or behind something of variable length: the whole telegram says where, so all of it must be right."""
        self.message.spec.decode(frame)
        telegram = frame[self.message.spec.framing.prefix : len(frame) - self.message.spec.framing.suffix]
        found = next((each for each in self.message.fields_of(telegram) if each.path == self.planned.path), None)
        if found is None:
            return None
        return self._read(found, telegram[found.offset : found.end] if found.length else telegram[found.offset :])

    def _read(self, planned: PlannedField, raw: bytes) -> Any:
        try:
            return planned.kind.read(raw)
        except FieldFault as fault:
            raise FieldError([planned.problem(fault, self.message.spec.name, self.message.name)]) from None
