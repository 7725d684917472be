"""A captured telegram as filters and reports see it: `msg`, `c`, `d`, `len`, and its fields as `f.NAME`."""

from __future__ import annotations

from typing import Any

from telegram_router.errors import FieldError
from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Spec, Telegram, to_object
from telegram_router.telegrams.json_form import MessageForm, form_of

ITSELF = ("n", "t", "c", "d", "len", "x", "msg", "err", "q", "leg")


class Recorded:
    """One record of kind `m`, decoded only when somebody asks for a field. Without a spec it has no fields."""

    __slots__ = ("_decoded", "_fields", "_form", "_telegram", "record", "spec")

    def __init__(self, record: Record, spec: Spec | None) -> None:
        self.record = record
        self.spec = spec
        self._fields: dict[str, Any] | None = None
        self._decoded = False
        self._telegram: Telegram | None = None
        self._form: MessageForm | None = None  # of one whose values can be read one by one

    @property
    def message(self) -> str | None:
        """Name of its message; None where the spec has none for it."""
        told = self.record.get("msg")
        if told is None and self.spec is not None:
            found = message_of(self.spec, self.record["raw"])
            told = found.name if found is not None else None
        return told

    @property
    def telegram(self) -> Telegram | None:
        """It decoded, as it was the first time; None where it cannot be. Nobody may change it."""
        if not self._decoded:
            self._decoded = True
            if self.spec is not None:
                try:
                    self._telegram = self.spec.decode(self.record["raw"])
                except FieldError:
                    return None
                form = form_of(self._telegram.message)
                self._form = form if form.is_flat else None
        return self._telegram

    @property
    def fields(self) -> dict[str, Any]:
        """Every value by its path, `header.x` and `body.x`, in the JSON form; none where it cannot be decoded."""
        if self._fields is None:
            self._fields = {}
            try:
                made = to_object(self.telegram) if self.telegram is not None else {}
            except FieldError:
                made = {}
            for section in ("header", "body"):
                _flatten(made.get(section, {}), section, self._fields)
        return self._fields

    def __call__(self, name: str) -> Any:
        """The value under a name of a filter."""
        if name == "msg":
            return self.message
        if name.startswith("f."):
            return self.field(name[2:])
        return self.record.get(name)

    def field(self, name: str) -> Any:
        """A value by its path, or by its name alone: the body's, or else the header's."""
        telegram = self._telegram if self._decoded else self.telegram
        if telegram is None:
            return None
        if self._form is not None:
            return self._form.value(telegram, name)
        fields = self.fields
        return next((fields[path] for path in (name, f"body.{name}", f"header.{name}") if path in fields), None)


def message_of(spec: Spec, frame: bytes) -> Any:
    """The message of a frame of any size."""
    return spec.message_of(frame) if len(frame) >= spec.framing.prefix + spec.header_size else None


def _flatten(values: Any, path: str, into: dict[str, Any]) -> None:
    if isinstance(values, dict):
        for name, value in values.items():
            _flatten(value, f"{path}.{name}", into)
    elif isinstance(values, list):
        for index, value in enumerate(values):
            _flatten(value, f"{path}[{index}]", into)
    else:
        into[path] = values
