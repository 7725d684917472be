"""The telegrams about the line itself: the router's own sign-on, sign-off and echo, and its answers to those of others."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from telegram_router.errors import Delivery
from telegram_router.telegrams.declare import Conduct, ErrorReply, Filled, Formality
from telegram_router.telegrams.fields import Digits, charset_of
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.refusal import Refuser, blank_telegram

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

_TOKEN = re.compile(r"YYYY|YY|MM|DDD|DD|hh|mm|ss|f+")
_FORMATS = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DDD": "%j", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}


class Formalities:
    """Builds, recognises and answers the formalities of one family."""

    def __init__(self, spec: Spec, conduct: Conduct) -> None:
        self._spec = spec
        self._forms = {role: _Form(spec, conduct, formality) for role, formality in conduct.formalities.items()}
        self._roles = {form.message.name: role for role, form in self._forms.items()}
        # To say yes is to answer as an error telegram does, with a code that is none.
        yes = conduct.accepted[0]
        self._assent = Refuser(spec, ErrorReply(conduct.response, yes, yes, set=conduct.answers))

    @property
    def roles(self) -> tuple[str, ...]:
        """What there is a formality for: of `sign_on`, `sign_off` and `echo`."""
        return tuple(self._forms)

    def role_of(self, message: str) -> str:
        """What a message is for; "" when it is business."""
        return self._roles.get(message, "")

    def most(self, role: str) -> int:
        """The highest running number that fits into a formality; 0 when it has none."""
        return self._forms[role].most

    def telegram(self, role: str, given: Mapping[str, str], today: datetime.date, now: datetime.datetime, number: int) -> bytes:
        """The frame of a formality. `given` are header fields of this very line. Raises FieldFault for one that cannot be held."""
        return self._spec.framing.wrap(self._forms[role].telegram(given, today, now, number))

    def accepts(self, role: str, frame: bytes) -> bool:
        """Whether an answer says yes."""
        answer = self._spec.message_of(frame)
        return answer is not None and self._forms[role].accepts(answer, frame)

    def said(self, role: str, frame: bytes) -> str:
        """The response code of an answer, for the log; "" where it may not be shown or cannot be read."""
        answer = self._spec.message_of(frame)
        return self._forms[role].said(answer, frame) if answer is not None else ""

    def answered(self, frame: bytes) -> str | None:
        """The formality whose answer a frame is by its message; None when it is that of none."""
        answer = self._spec.message_of(frame)
        return next((role for role, form in self._forms.items() if answer is not None and form.reply is answer), None)

    def yes(self, frame: bytes) -> bytes | None:
        """The router's own answer to somebody's formality; None when it wants none."""
        return self._assent.error_telegram(frame, "", Delivery.NOT_SENT)


class _Form:
    """One formality, laid out."""

    def __init__(self, spec: Spec, conduct: Conduct, formality: Formality) -> None:
        self.message: MessageLayout = spec.messages[formality.message]
        self._charset = charset_of(spec.encoding)
        self._values = list(self._named({**conduct.set, **formality.set}))
        self._blank = blank_telegram(self.message)
        reply = self.message.reply.message
        self.reply = reply
        planned = reply.field(conduct.response) if reply is not None else None
        prefix = spec.framing.prefix
        self._outcome = slice(prefix + planned.offset, prefix + planned.end) if planned is not None else slice(0)
        self._shown = planned is not None and planned.log == "clear"
        codes = formality.accepted or conduct.accepted
        self._accepted = frozenset(planned.kind.write(code) for code in codes) if planned is not None else frozenset()
        numbered = [_digits(field) for field, value in self._values if value is Filled.NUMBER]
        self.most: int = 10 ** min(numbered) - 1 if numbered else 0

    def _named(self, values: Mapping[str, object]) -> Iterator[tuple[PlannedField, object]]:
        for path, value in values.items():
            planned = self.message.field(path)
            assert planned is not None  # the lint has seen it
            yield planned, value

    def telegram(self, given: Mapping[str, str], today: datetime.date, now: datetime.datetime, number: int) -> bytes:
        made = bytearray(self._blank)
        for planned, value in (*self._values, *self._named({f"header.{name}": value for name, value in given.items()})):
            made[planned.offset : planned.end] = planned.kind.write(_value(planned, value, today, now, number))
        return bytes(made)

    def said(self, answer: MessageLayout, frame: bytes) -> str:
        raw = frame[self._outcome] if self._shown and answer is self.reply else b""
        return self._charset.text(raw) or ""

    def accepts(self, answer: MessageLayout, frame: bytes) -> bool:
        good = answer is self.reply and answer.min_frame <= len(frame) <= answer.max_frame
        return good and frame[self._outcome] in self._accepted


def _value(planned: PlannedField, value: object, today: datetime.date, now: datetime.datetime, number: int) -> object:
    if value is Filled.NUMBER:
        value = f"{number:0{_digits(planned)}}"
    elif isinstance(value, Filled):
        day = today if value is Filled.TODAY else now.date()
        return written(getattr(planned.kind, "form", ""), datetime.datetime.combine(day, now.time()))
    return int(value) if isinstance(planned.kind, Digits) and isinstance(value, str) and value.isdecimal() else value


def _digits(planned: PlannedField) -> int:
    return planned.kind.digits if isinstance(planned.kind, Digits) else planned.length


def written(form: str, moment: datetime.datetime) -> str:
    """A moment in the form of a date or time field."""
    return _TOKEN.sub(lambda found: moment.strftime(_FORMATS[found[0]]) if found[0] in _FORMATS else "0" * len(found[0]), form)
