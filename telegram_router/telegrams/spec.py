"""A spec at work: the few slices that routing reads, and each message's reading and writing."""

# Rules this file keeps:
#
# 1. `key_of` and `correlate` are operator.itemgetter over slices: they are called for every telegram, and run in C.
# 2. Slices that the switch gets are slices of the frame; offsets in plans, errors and documents are of the telegram.

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

from telegram_router.errors import Delivery, FieldError, FieldProblem, RouterError
from telegram_router.telegrams.codec import Codec
from telegram_router.telegrams.codegen import generate
from telegram_router.telegrams.declare import Family
from telegram_router.telegrams.draft import Draft, DraftMessage
from telegram_router.telegrams.fields import Length, charset_of
from telegram_router.telegrams.formalities import Formalities
from telegram_router.telegrams.framing import Framing
from telegram_router.telegrams.interpreted import WholeTelegram
from telegram_router.telegrams.layout import Node, PlannedField, is_flat
from telegram_router.telegrams.nested_codec import NestedCodec
from telegram_router.telegrams.refusal import Refuser
from telegram_router.telegrams.telegram import Telegram
from telegram_router.telegrams.windows import Windows


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
        unanswered = draft.reply is not None and draft.reply.kind == "none"
        self.kind = "oneway" if declared.kind == "request" and unanswered else declared.kind
        self.refusable = declared.kind == "request"  # its asker may get an error telegram, though no answer may be due
        self.key = declared.key
        self.synthetic = declared.synthetic
        self.tree: tuple[Node, ...] = tuple(draft.nodes)
        self.fields: tuple[PlannedField, ...] = tuple(draft.fields)
        self.reply = ReplyRule("none")
        self.codec = Codec(spec.name, self.name, self.fields) if is_flat(self.tree) else NestedCodec(spec.name, self.name, self.tree)
        self.decode, self.encode, self.source = generate(self.codec, spec, self)
        self.windows = Windows(spec.name, self.name, (f for f in self.tree if isinstance(f, PlannedField)))
        if self.windows.all:
            self.decode, self.encode = self.windows.around_decode(self.decode), self.windows.around_encode(self.encode)
        # A counter is not copied into a reply: it follows from the list, which may be another one there.
        self.body_names = frozenset(self.codec.names["body"]) - {f.name for f in self.tree if isinstance(f, PlannedField) and f.counts}
        around = framing.prefix + framing.suffix
        least, most = self.codec.sizes()
        self.min_frame = least + around
        self.max_frame: int = framing.length.largest if most is None else most + around
        self.frame_size = self.min_frame if least == most else None
        self._left_out = {f.name for f in self.fields if f.section == "header" and (isinstance(f.kind, Length) or f.counts)}

    def __repr__(self) -> str:
        return f"<MessageLayout {self.spec.name} {self.name}>"

    def field(self, path: str) -> PlannedField | None:
        """A field by its path, or by its name alone where it stands in no group."""
        return next((f for f in self.fields if f.name and (path == f.path or f"{f.section}.{path}" == f.path)), None)

    def fields_of(self, telegram: bytes) -> tuple[PlannedField, ...]:
        """The fields of these very bytes: views chosen, items counted, as far as they can be placed. The bytes need not be valid."""
        return self.codec.fields_of(telegram)

    def structure_problems(self, telegram: bytes) -> tuple[FieldProblem, ...]:
        """What is wrong with counts and choices in a telegram of a possible size, beyond its single fields."""
        return self.codec.structure_problems(telegram)

    def header_of_reply(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """The header of this message as an answer to a telegram with that header."""
        return {name: value for name, value in header.items() if name not in self._left_out} | self.codec.keys

    @cached_property
    def construct(self) -> WholeTelegram:
        """This message under interpreted construct: `parse` gives `header` and `body`, `build` takes them."""
        return WholeTelegram(self.codec, self.windows)


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
        self.trace = self.header_slice(family.trace) if family.trace else None
        self._refuser = Refuser(self, family.errors) if family.errors else None
        self.formalities = Formalities(self, family.conduct) if family.conduct else None
        # What must be kept of a request that has left: all that pairs, names and refuses it.
        whole = self._refuser is not None and self._refuser.needs_body
        self.kept = slice(None) if whole else slice(self.framing.prefix + self.header_size)

    def __repr__(self) -> str:
        return f"<Spec {self.name} {self.version}>"

    # -- header slices

    def header_slice(self, name: str) -> slice:
        """Where a header field stands in a frame. Raises KeyError for a field that the header does not have."""
        offset, length = self.header_fields[name]
        return slice(self.framing.prefix + offset, self.framing.prefix + offset + length)

    def _getter(self, names: Sequence[str]) -> Callable[[bytes], Any]:
        if not names:
            return _nothing
        return operator.itemgetter(*fused(self.header_slice(name) for name in names))

    def _key_frame(self, message: MessageLayout) -> bytes:
        """Front of a frame that is blank but for the key."""
        charset = charset_of(self.encoding)
        front = bytearray(b" " * (self.framing.prefix + self.header_size))
        for name, value in zip(self.family.key, message.key, strict=True):
            front[self.header_slice(name)] = charset.wire(value.encode("ascii").ljust(self.header_fields[name][1]))
        return bytes(front)

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
        return self._refuser.error_telegram(frame, code, delivery) if self._refuser else None

    def decode(self, frame: bytes) -> Telegram:
        """Every field of a frame, checked. Raises FieldError with all problems."""
        message = self.message_of(frame)
        if message is None:
            raise FieldError([self._no_message()])
        telegram = self.framing.telegram(frame)
        decoded = message.decode(telegram)
        if len(telegram) != len(frame) and not self.framing.is_wrapped(telegram, frame):
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


def _nothing(frame: bytes) -> tuple[()]:
    """The key of a family that needs none: it has one message."""
    return ()


def fused(places: Iterable[slice]) -> list[slice]:
    """Slices in the order of their offsets, neighbours joined."""
    joined: list[slice] = []
    for place in sorted(places, key=lambda s: (s.start, s.stop)):
        if joined and joined[-1].stop == place.start:
            joined[-1] = slice(joined[-1].start, place.stop)
        else:
            joined.append(place)
    return joined
