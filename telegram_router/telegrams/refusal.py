"""Error telegrams: a request sent back in its family's own words, saying whether it may have been executed."""

# Rules this file keeps, all of them tested:
#
# 1. A request that may have been executed is never answered with a code that says that it was not.
# 2. What is an answer, wants none, or could be an answer that we do not know, is never answered: two routers would answer each
#    other for ever.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from telegram_router.errors import CODES, Delivery
from telegram_router.telegrams.declare import OUR_CODE, ErrorReply
from telegram_router.telegrams.fields import Fixed, blank_of
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, tables

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

Change = tuple[slice, bytes]  # of the telegram


class _Form(NamedTuple):
    """What becomes of a request."""

    number: int  # its own, for the memory of changes
    keys: Sequence[Change]  # make it that message
    given: Sequence[Change]  # whatever the error
    least: int  # size of the body
    most: int | None
    body: bytes | None  # in place of the request's body
    outcome: PlannedField  # holds the response code
    own_codes: Sequence[PlannedField]  # hold our error code


class Refuser:
    """Builds a family's error telegrams."""

    def __init__(self, spec: Spec, errors: ErrorReply) -> None:
        self._spec = spec
        self._errors = errors
        self._blank = blank_of(spec.encoding)
        self._header_end = spec.framing.prefix + spec.header_size
        self._forms = 0
        self._own = None if errors.message is None else self._form(spec.messages[errors.message])
        self._of_message = {m.name: self._form_for(m) for m in spec.messages.values() if m.refusable}
        self._of_type = {} if self._own else self._forms_of_types()
        rule = spec.family.reply_rule
        self._type = spec.header_slice(rule.field) if rule else slice(0)
        # Refusals come in bursts, when there is least time for them; our codes, and so this memory, are few.
        self._learned: dict[tuple[int, str, Delivery], list[Change]] = {}

    @property
    def needs_body(self) -> bool:
        """Whether error telegrams repeat the request's body."""
        return self._own is None

    def error_telegram(self, frame: bytes, code: str, delivery: Delivery) -> bytes | None:
        """The frame to answer with, None when there must be no answer. Without `needs_body` the frame may end behind its header."""
        message = self._spec.message_of(frame)
        form = self._of_message.get(message.name) if message else self._form_of_stranger(frame)
        if form is None or len(frame) < self._header_end:
            return None
        telegram = bytearray(frame[self._spec.framing.prefix : self._header_end])
        telegram += self._body(frame, form)
        for place, content in self._changes(form, code, delivery):
            telegram[place] = content
        return self._spec.framing.wrap(bytes(telegram))

    def _body(self, frame: bytes, form: _Form) -> bytes:
        if form.body is not None:
            return form.body
        return frame[self._header_end : len(frame) - self._spec.framing.suffix][: form.most].ljust(form.least, self._blank)

    def _changes(self, form: _Form, code: str, delivery: Delivery) -> list[Change]:
        learned = self._learned.get((form.number, code, delivery))
        if learned is None:
            learned = [
                *form.keys,
                *form.given,
                _change(form.outcome, self._response_code(code, delivery)),
                *(_change(f, code) for f in form.own_codes),
            ]
            self._learned[form.number, code, delivery] = learned
        return learned

    def _response_code(self, code: str, delivery: Delivery) -> str:
        """A code of its own only where the error table and the caller agree on whether the request may have been executed."""
        unknown = delivery is not Delivery.NOT_SENT
        row = CODES.get(code)
        if code in self._errors.codes and row is not None and unknown == (row.delivery is Delivery.SENT_UNKNOWN):
            return self._errors.codes[code]
        return self._errors.sent_unknown if unknown else self._errors.not_sent

    # -- forms

    def _form_for(self, message: MessageLayout) -> _Form | None:
        if self._own is not None or message.reply.message is None:
            return self._own
        return self._form(message.reply.message)

    def _form(self, answer: MessageLayout) -> _Form:
        """To that message. Its body is the request's own, unless the spec has a message for errors."""
        least, most = answer.codec.sizes()
        header = self._spec.header_size
        keys = [f for f in answer.fields if f.key is not None]
        named = {path: answer.field(path) for path in (self._errors.field, *self._errors.set)}
        given = [_change(f, value) for path, value in self._errors.set.items() if value is not OUR_CODE and (f := named[path])]
        own_codes = [f for path, value in self._errors.set.items() if value is OUR_CODE and (f := named[path])]
        outcome = named[self._errors.field]
        assert outcome is not None  # the lint has seen it
        self._forms += 1
        return _Form(
            self._forms,
            [_change(f, f.key) for f in keys],
            given,
            least - header,
            None if most is None else most - header,
            _blank_body(answer) if self._errors.message is not None else None,
            outcome,
            own_codes,
        )

    def _forms_of_types(self) -> dict[bytes, _Form]:
        """For telegrams of no message, by their type: only types that requests of this family have (rule 2)."""
        spec, rule = self._spec, self._spec.family.reply_rule
        if rule is None:
            return {}
        size = None if spec.length is None else spec.length - spec.header_size
        forms: dict[bytes, _Form] = {}
        for message in spec.messages.values():
            form, answer = self._of_message.get(message.name), message.reply.message
            asked, answered = message.field(f"header.{rule.field}"), answer.field(f"header.{rule.field}") if answer else None
            if form is not None and asked is not None and answered is not None:
                self._forms += 1
                typed = form._replace(number=self._forms, keys=[_change(answered, answered.key)], least=size or 0, most=size)
                forms.setdefault(asked.kind.write(asked.key), typed)
        return forms

    def _form_of_stranger(self, frame: bytes) -> _Form | None:
        """For a telegram of no message."""
        if self._spec.is_poll(frame):
            return None
        return self._own or self._of_type.get(frame[self._type])


def _change(planned: PlannedField, value: object) -> Change:
    return slice(planned.offset, planned.end), planned.kind.write(value)


def _blank_body(answer: MessageLayout) -> bytes:
    """Blank but for constants, with as few items as its tables may have."""
    return _blank_nodes([node for node in answer.tree if node.section == "body"], blank_of(answer.spec.encoding))


def blank_telegram(message: MessageLayout) -> bytes:
    """A telegram of a message that is blank but for its key and constants, with as few items as its tables may have."""
    return _blank_nodes(message.tree, blank_of(message.spec.encoding))


def _blank_nodes(nodes: Sequence[Node], blank: bytes) -> bytes:
    fewest = {table.depending: table.least for table in tables(nodes)}
    return b"".join(_blank(node, blank, fewest) for node in nodes)


def _blank(node: Node, blank: bytes, fewest: Mapping[str | None, int]) -> bytes:
    if isinstance(node, PlannedField):
        if node.key is not None:
            return node.kind.write(node.key)
        if node.counts or isinstance(node.kind, Fixed):
            return node.kind.write(fewest.get(node.path))
        return blank * node.length
    if isinstance(node, PlannedGroup):
        return b"".join(_blank(member, blank, fewest) for member in node.members)
    if isinstance(node, PlannedTable):
        items = _blank(node.item, blank, fewest) * node.least
        return items.ljust(node.length, blank) if node.storage == "max" else items
    return blank * node.length
