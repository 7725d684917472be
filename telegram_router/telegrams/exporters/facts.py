"""What the messages of a spec have in common, and what answers what, in the words of a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec


class Fact(NamedTuple):
    name: str
    text: str


def facts(spec: Spec) -> Iterator[Fact]:
    """Framing, key, correlation, replies and refusals, each in a sentence."""
    family, framing = spec.family, spec.framing
    yield Fact("framing", framing.describe())
    if framing.prefix or framing.suffix:
        yield Fact("around a telegram", _around(framing.prefix, framing.suffix))
    yield Fact("encoding", spec.encoding)
    sizes = {size for message in spec.messages.values() for size in message.codec.sizes()}
    yield Fact("length", f"{sizes.pop()} bytes" if len(sizes) == 1 else "differs by message")
    if spec.header_size:
        yield Fact("header", f"{spec.header_size} bytes")
    if family.key:
        yield Fact("message chosen by", ", ".join(family.key))
    if family.correlation:
        yield Fact("reply paired by", ", ".join(family.correlation))
    if family.carrier:
        yield Fact("carrier", f"{family.carrier}: the router may write a number of its own here, and gives the original back")
    if family.owner:
        yield Fact("owner", family.owner)
    if family.reply_rule is not None:
        yield Fact("reply rule", _reply_rule(family.reply_rule))
    for poll in framing.polls:
        answer = "is not answered" if poll.answer is None else f"is answered by {literal(poll.answer)}"
        echo = f" and {poll.echo} bytes that the answer repeats" if poll.echo else ""
        yield Fact("poll", f"{literal(poll.request)}{echo} {answer}")
    yield from _error_reply(spec)


def _around(prefix: int, suffix: int) -> str:
    parts = [f"{prefix} bytes in front" if prefix else "", f"{suffix} bytes behind" if suffix else ""]
    return " and ".join(filter(None, parts)) + ", not counted in the offsets"


def _reply_rule(rule: object) -> str:
    step = getattr(rule, "step", None)
    field = getattr(rule, "field", "")
    if step is not None:
        return f"{field} of the request {'plus' if step >= 0 else 'minus'} {abs(step)}"
    answers = getattr(rule, "answers", {})
    return f"{field}: " + ", ".join(f"{asked} is answered by {answered}" for asked, answered in answers.items())


def _error_reply(spec: Spec) -> Iterator[Fact]:
    errors = spec.family.errors
    if errors is None:
        return
    form = f"message {errors.message}" if errors.message else "the request's own reply"
    yield Fact("refusal", f"{form}, with a code in {errors.field}")
    yield Fact("refusal, not sent", errors.not_sent)
    yield Fact("refusal, sent but unknown", errors.sent_unknown)
    if errors.codes:
        yield Fact("refusals of their own", ", ".join(f"{ours} {theirs}" for ours, theirs in errors.codes.items()))


def literal(content: bytes) -> str:
    """Bytes as text where that is plain, else as hex."""
    return content.decode("ascii") if content.isascii() and content.decode("ascii").isprintable() else f"hex {content.hex()}"


class Exchange(NamedTuple):
    """A message and what answers it."""

    request: MessageLayout
    reply: MessageLayout | None
    in_parts: bool


def exchanges(spec: Spec) -> Iterator[Exchange]:
    """Every message that is no reply, in the order of the spec."""
    for message in spec.messages.values():
        if message.kind != "reply":
            yield Exchange(message, message.reply.message, message.reply.kind == "until")


def key_text(message: MessageLayout) -> str:
    """`message_type 2000, business_code 100`."""
    return ", ".join(f"{name} {value or '(blank)'}" for name, value in zip(message.spec.family.key, message.key, strict=True))


def requests_of(message: MessageLayout) -> list[MessageLayout]:
    """The messages that this one answers."""
    return [each for each in message.spec.messages.values() if each.reply.message is message]


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", text.replace("\n", " "))
