"""A family laid out and its replies filled in, not yet checked: what the lint looks at and a Spec is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from telegram_router.telegrams.declare import Family, Message, Reply
from telegram_router.telegrams.fields import strict_encoding
from telegram_router.telegrams.layout import Node, PlannedField, Section, fixed_fields, unrolled
from telegram_router.telegrams.lengths import LengthField
from telegram_router.telegrams.planner import lay_out, with_count, with_keys, with_length


@dataclass
class DraftMessage:
    """One message with its own copy of the header, in which the key fields hold its key."""

    message: Message
    nodes: list[Node]  # the header's fields and what the body is made of
    body: Section
    reply: Reply | None  # None when there should be a rule and is none

    @property
    def fields(self) -> list[PlannedField]:
        return list(unrolled(self.nodes))

    @property
    def fixed_fields(self) -> list[PlannedField]:
        """Those that every telegram of the message has at the same offset."""
        return list(fixed_fields(self.nodes))

    @property
    def is_open(self) -> bool:
        """Whether its last field takes the rest of the telegram."""
        return any(isinstance(node, PlannedField) and node.is_opaque for node in self.nodes[-1:])

    @property
    def size(self) -> int:
        """With every table at its maximum."""
        return sum(node.length for node in self.nodes)

    @property
    def least_size(self) -> int:
        return sum(node.shortest for node in self.nodes)


@dataclass
class Draft:
    family: Family
    header: Section
    messages: list[DraftMessage] = field(default_factory=list)

    def header_field(self, name: str) -> PlannedField | None:
        return next((f for f in self.header.fields if f.name and f.name == name), None)

    def message(self, name: str) -> DraftMessage | None:
        return next((m for m in self.messages if m.message.name == name), None)

    @property
    def length_adjust(self) -> int:
        """What the framing's own number has more than the telegram has bytes."""
        framing = self.family.framing
        uncounted = framing.length.uncounted if isinstance(framing.length, LengthField) else 0
        return framing.prefix + framing.suffix - uncounted


def draft(family: Family) -> Draft:
    """Lay a family out. Nothing is raised: what is wrong stays visible in the draft."""
    done = Draft(family, lay_out(family.header, "header", 0, strict_encoding(family.encoding, family.strict)))
    declared = [*family.messages, *_derived_replies(family)]
    for message in declared:
        done.messages.append(_draft_message(done, message, declared))
    return done


def _draft_message(done: Draft, message: Message, declared: list[Message]) -> DraftMessage:
    family = done.family
    header = done.header.fields
    encoding = strict_encoding(family.encoding, family.strict)
    body = Section() if message.body is None else lay_out(message.body, "body", done.header.size, encoding, header)
    keys = dict(zip(family.key, message.key, strict=False))
    own = [with_count(planned, body.counters) for planned in with_keys(header, keys)]
    nodes = [with_length(node, done.length_adjust) for node in (*own, *body.nodes)]
    return DraftMessage(message, nodes, body, _reply(family, message, declared))


def reply_key(family: Family, message: Message) -> tuple[str, ...] | None:
    """Key of the reply by the family's rule, None when the rule has none for this message."""
    rule = family.reply_rule
    if rule is None or rule.field not in family.key or len(message.key) != len(family.key):
        return None
    place = family.key.index(rule.field)
    answer = rule.answer(message.key[place])
    return None if answer is None else (*message.key[:place], answer, *message.key[place + 1 :])


def _derived_replies(family: Family) -> Iterable[Message]:
    """The replies that the family's rule calls for and the author left to us: same body as the request."""
    taken = {message.key for message in family.messages}
    for message in family.messages:
        key = reply_key(family, message) if message.kind == "request" and message.reply is None else None
        if key is not None and key not in taken:
            taken.add(key)
            title = f"{message.title} 응답 reply" if message.title else ""
            yield Message(reply_name(message.name), title, key, message.body, kind="reply", synthetic=message.synthetic, line=message.line)


def reply_name(request: str) -> str:
    """`transfer.request` is answered by `transfer.response`."""
    return f"{request.removesuffix('.request')}.response"


def _reply(family: Family, message: Message, declared: list[Message]) -> Reply | None:
    if message.kind != "request":
        return Reply.none()
    if message.reply is not None:
        return message.reply
    key = reply_key(family, message)
    return next((Reply.one(m.name) for m in declared if key is not None and m.key == key), None)
