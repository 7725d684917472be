"""A spec at work: the few slices that routing reads, and each message's reading and writing."""

# Rules this file keeps:
#
# 1. `key_of` and `correlate` are operator.itemgetter over slices: they are called for every telegram, and run in C.
# 2. Slices that the switch gets are slices of the frame; offsets in plans, errors and documents are of the telegram.
# 3. A telegram that may have been executed is never answered with a code that says that it was not.

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

from telegram_router.errors import CODES, Delivery, FieldError, FieldProblem, RouterError
from telegram_router.telegrams.codec import Codec
from telegram_router.telegrams.codegen import generate
from telegram_router.telegrams.declare import OUR_CODE, ErrorReply, Family
from telegram_router.telegrams.draft import Draft, DraftMessage
from telegram_router.telegrams.fields import Fixed, Length
from telegram_router.telegrams.framing import Framing
from telegram_router.telegrams.interpreted import WholeTelegram
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.telegram import Telegram


class ReplyRule(NamedTuple):
    """What answers a message. `current` and `total` are slices of the reply's frame, for `until`."""

    kind: Literal["one", "none", "until"]
    message: MessageLayout | None = None
    current: slice | None = None
    total: slice | None = None


class MessageLayout:
    """One message of a spec, ready to be read and written."""

    def __init__(self, spec: Spec, draft: DraftMessage) -> None:
        declared, framing = draft.message, spec.framing
        self.spec = spec
        self.name = declared.name
        self.title = declared.title
        self.kind = declared.kind
        self.key = declared.key
        self.synthetic = declared.synthetic
        self.fields: tuple[PlannedField, ...] = tuple(draft.fields)
        self.reply = ReplyRule("none")
        self.codec = Codec(spec.name, self.name, self.fields)
        self.decode, self.encode, self.source = generate(self.codec, spec, self)
        self.body_names = frozenset(self.codec.names["body"])
        around = framing.prefix + framing.suffix
        least, most = self.codec.sizes()
        self.min_frame = least + around
        self.max_frame: int = framing.length.largest if most is None else most + around
        self.frame_size = self.min_frame if least == most else None
        self._left_out = {f.name for f in self.fields if isinstance(f.kind, Length)}

    def __repr__(self) -> str:
        return f"<MessageLayout {self.spec.name} {self.name}>"

    def field(self, path: str) -> PlannedField | None:
        """A field by its path, or by its name alone."""
        return next((f for f in self.fields if f.name and path in (f.path, f.name)), None)

    def header_of_reply(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """The header of this message as an answer to a telegram with that header."""
        return {name: value for name, value in header.items() if name not in self._left_out} | self.codec.keys

    @cached_property
    def construct(self) -> WholeTelegram:
        """This message under interpreted construct: `parse` gives `header` and `body`, `build` takes them."""
        return WholeTelegram(self.codec)


class Spec:
    """A compiled family. Made by `load_spec` or `compile_family`; never changed afterwards."""

    def __init__(self, draft: Draft) -> None:
        family = draft.family
        self.family: Family = family
        self.name = family.name
        self.title = family.title
        self.version = family.version
        self.encoding = family.encoding
        self.framing: Framing = family.framing
        self.length = family.length
        self.header_size = draft.header.size
        self.header_fields = {f.name: (f.offset, f.length) for f in draft.header.fields if f.name}
        self.messages = {m.message.name: MessageLayout(self, m) for m in draft.messages}
        for drafted in draft.messages:
            self.messages[drafted.message.name].reply = self._reply_rule(drafted)
        self.key_of: Callable[[bytes], Any] = self._getter(family.key)
        self.by_key = {self.key_of(self._key_frame(m)): m for m in self.messages.values()}
        self.correlate: Callable[[bytes], Any] = self._getter(family.correlation)
        self.correlation_fields = [(name, self.header_slice(name)) for name in family.correlation]
        self.carrier = self.header_slice(family.carrier) if family.carrier else None
        self.carrier_width = self.header_fields[family.carrier][1] if family.carrier else 0
        self.owner = self.header_slice(family.owner) if family.owner else None
        self._refuser = _Refuser(self, family.errors) if family.errors else None

    def __repr__(self) -> str:
        return f"<Spec {self.name} {self.version}>"

    # -- header slices

    def header_slice(self, name: str) -> slice:
        """Where a header field stands in a frame. Raises KeyError for a field that the header does not have."""
        offset, length = self.header_fields[name]
        return slice(self.framing.prefix + offset, self.framing.prefix + offset + length)

    def _getter(self, names: Iterable[str]) -> Callable[[bytes], Any]:
        return operator.itemgetter(*fused(self.header_slice(name) for name in names))

    def _key_frame(self, message: MessageLayout) -> bytes:
        """Front of a frame that is blank but for the key."""
        front = bytearray(b" " * (self.framing.prefix + self.header_size))
        for at, value in self._key_bytes(message):
            front[at] = value
        return bytes(front)

    def _key_bytes(self, message: MessageLayout) -> list[tuple[slice, bytes]]:
        return [
            (self.header_slice(name), value.encode("ascii").ljust(self.header_fields[name][1]))
            for name, value in zip(self.family.key, message.key, strict=True)
        ]

    def _reply_rule(self, drafted: DraftMessage) -> ReplyRule:
        reply = drafted.reply
        if reply is None or reply.kind == "none" or reply.message is None:
            return ReplyRule("none")
        answer = self.messages[reply.message]
        return ReplyRule(reply.kind, answer, self._slice_in(answer, reply.current), self._slice_in(answer, reply.total))

    def _slice_in(self, message: MessageLayout, path: str | None) -> slice | None:
        planned = message.field(path) if path else None
        return None if planned is None else slice(self.framing.prefix + planned.offset, self.framing.prefix + planned.end)

    # -- frames

    def message_of(self, frame: bytes) -> MessageLayout | None:
        """The message a frame's key says it is, None when there is none."""
        return self.by_key.get(self.key_of(frame))

    def check_size(self, frame: bytes, message: MessageLayout) -> RouterError | None:
        """E-FRM-07 or E-FRM-08 when the frame has not the size of its message."""
        problem = message.codec.size_problem(len(frame) - self.framing.prefix - self.framing.suffix)
        return None if problem is None else FieldError([problem])

    def poll_answer(self, frame: bytes) -> bytes | None:
        """The frame that answers a polling frame, None when it is none or wants no answer."""
        return self.framing.poll_answer(frame)

    def is_poll(self, frame: bytes) -> bool:
        """Whether a frame asks or answers a poll: such a frame is never routed."""
        return self.framing.is_poll(frame)

    def error_reply(self, frame: bytes, code: str, delivery: Delivery) -> bytes | None:
        """The frame that refuses a request in the family's words. None when the family has none, for anything that is itself an
        answer or wants none, and for a frame whose header is not complete."""
        return self._refuser.refusal(frame, code, delivery) if self._refuser else None

    def decode(self, frame: bytes) -> Telegram:
        """Every field of a frame, checked. Raises FieldError with all problems."""
        message = self.message_of(frame)
        if message is None:
            raise FieldError([self._no_message()])
        telegram = self.framing.telegram(frame)
        decoded = message.decode(telegram)
        if len(telegram) != len(frame) and self.framing.wrap(telegram) != frame:
            raise FieldError([self._wrong_framing(message)])
        return decoded

    def encode(self, telegram: Telegram) -> bytes:
        """The frame of a telegram. Raises FieldError with all problems."""
        return self.framing.wrap(telegram.message.encode(telegram.header, telegram.body, telegram.residue))

    def _no_message(self) -> FieldProblem:
        places = [self.header_fields[name] for name in self.family.key]
        offset, end = min(at for at, _ in places), max(at + n for at, n in places)
        path = ", ".join(f"header.{name}" for name in self.family.key)
        what = "no message of the spec has this key"
        return FieldProblem("E-RTE-01", self.name, "", path, offset, end - offset, "key", f"one of {len(self.by_key)} declared keys", what)

    def _wrong_framing(self, message: MessageLayout) -> FieldProblem:
        what = "bytes around the telegram are not those of its framing"
        return FieldProblem("E-FRM-04", self.name, message.name, "framing", 0, 0, "framing", self.framing.describe(), what)


def fused(places: Iterable[slice]) -> list[slice]:
    """Slices in the order of their offsets, neighbours joined."""
    joined: list[slice] = []
    for place in sorted(places, key=lambda s: (s.start, s.stop)):
        if joined and joined[-1].stop == place.start:
            joined[-1] = slice(joined[-1].start, place.stop)
        else:
            joined.append(place)
    return joined


class _Patch(NamedTuple):
    """What makes a request into its error telegram."""

    keys: Sequence[tuple[slice, bytes]]  # in the frame
    least: int  # size of the reply's body
    most: int | None
    body: bytes | None  # in place of the request's body
    places: Sequence[tuple[slice, PlannedField]]  # of the response code, in the telegram
    own_codes: Sequence[tuple[slice, PlannedField]]  # of our error code


class _Refuser:
    """Builds error telegrams."""

    def __init__(self, spec: Spec, errors: ErrorReply) -> None:
        self._spec = spec
        self._errors = errors
        self._header = slice(0, spec.framing.prefix + spec.header_size)
        self._of_message = {m.name: self._patch(m) for m in spec.messages.values() if m.kind == "request"}
        self._of_unknown = self._patches_of_unknown()
        rule = spec.family.reply_rule
        self._rule_slice = spec.header_slice(rule.field) if rule else None

    def refusal(self, frame: bytes, code: str, delivery: Delivery) -> bytes | None:
        message = self._spec.message_of(frame)
        patch = self._of_message.get(message.name) if message else self._patch_of_unknown(frame)
        if patch is None or len(frame) < self._header.stop:
            return None
        front = bytearray(frame[self._header])
        for at, value in patch.keys:
            front[at] = value
        telegram = front[self._spec.framing.prefix :] + self._body(frame, patch)
        for at, planned in patch.places:
            telegram[at] = planned.kind.write(self._response_code(code, delivery))
        for at, planned in patch.own_codes:
            telegram[at] = planned.kind.write(code)
        return self._spec.framing.wrap(bytes(telegram))

    def _body(self, frame: bytes, patch: _Patch) -> bytes:
        if patch.body is not None:
            return patch.body
        return frame[self._header.stop : len(frame) - self._spec.framing.suffix][: patch.most].ljust(patch.least)

    def _response_code(self, code: str, delivery: Delivery) -> str:
        """A code of its own only where the error table and the caller agree on whether the request may have been executed."""
        unknown = delivery is not Delivery.NOT_SENT
        row = CODES.get(code)
        if code in self._errors.codes and row is not None and unknown == (row.delivery is Delivery.SENT_UNKNOWN):
            return self._errors.codes[code]
        return self._errors.sent_unknown if unknown else self._errors.not_sent

    def _patch(self, message: MessageLayout) -> _Patch | None:
        if self._errors.message is not None:
            return self._patch_to(self._spec.messages[self._errors.message], own_body=True)
        answer = message.reply.message
        return None if answer is None else self._patch_to(answer, own_body=False)

    def _patch_to(self, answer: MessageLayout, own_body: bool) -> _Patch:
        least, most = answer.codec.sizes()
        header = self._spec.header_size
        body = self._blank_body(answer) if own_body else None
        own = [f for path, value in self._errors.set.items() if value is OUR_CODE and (f := answer.field(path))]
        code = answer.field(self._errors.field)
        places = [code] if code is not None else []
        return _Patch(
            self._spec._key_bytes(answer), least - header, None if most is None else most - header, body, _placed(places), _placed(own)
        )

    def _blank_body(self, answer: MessageLayout) -> bytes:
        """Blank but for constants and what the spec sets."""
        texts = {path: value for path, value in self._errors.set.items() if value is not OUR_CODE}
        parts = []
        for planned in (f for f in answer.fields if f.section == "body" and not f.is_opaque):
            value = texts.get(planned.path, texts.get(planned.name))
            if value is not None or isinstance(planned.kind, Fixed):
                parts.append(planned.kind.write(value))
            else:
                parts.append(b" " * planned.length)
        return b"".join(parts)

    # -- telegrams whose key is no message of the spec

    def _patches_of_unknown(self) -> Mapping[bytes, _Patch]:
        """By the rule field's bytes. Only types that requests of this family have: an unknown answer must never be answered."""
        rule, spec = self._spec.family.reply_rule, self._spec
        if rule is None or self._errors.message is not None:
            return {}
        place, at = spec.family.key.index(rule.field), spec.header_slice(rule.field)
        patches: dict[bytes, _Patch] = {}
        for message in spec.messages.values():
            patch, answer = self._of_message.get(message.name), message.reply.message
            if patch is not None and answer is not None:
                key = [(at, value) for where, value in patch.keys if where == at]
                wire = message.key[place].encode("ascii").ljust(at.stop - at.start)
                patches.setdefault(
                    wire, patch._replace(keys=key, least=0, most=None if spec.length is None else spec.length - spec.header_size)
                )
        return patches

    def _patch_of_unknown(self, frame: bytes) -> _Patch | None:
        if self._spec.is_poll(frame):
            return None
        if self._errors.message is not None:
            return self._patch_to(self._spec.messages[self._errors.message], own_body=True)
        return self._of_unknown.get(frame[self._rule_slice]) if self._rule_slice else None


def _placed(fields: Iterable[PlannedField]) -> list[tuple[slice, PlannedField]]:
    return [(slice(f.offset, f.end), f) for f in fields]
