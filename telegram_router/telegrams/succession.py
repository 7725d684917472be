"""Whether a changed spec may take over while telegrams of the former one are on their way."""

# What a telegram is paired, routed, numbered and counted by stands in its header, and a stream is cut by its framing. Where both stay as
# they are, telegrams of both specs can be told apart and paired on the same connection; each exchange then ends by the spec it began with.

from __future__ import annotations

from telegram_router.telegrams.framing import Framing
from telegram_router.telegrams.spec import Spec

ROLES = ("key", "correlation", "carrier", "owner")


def obstacle(former: Spec, next_one: Spec) -> str:
    """What stands against it, "" when nothing does."""
    if former is next_one:
        return ""
    if _cut(former.framing) != _cut(next_one.framing):
        return "its framing is another"
    if former.header_fields != next_one.header_fields or former.header_size != next_one.header_size or former.encoding != next_one.encoding:
        return "its header is another"
    for role in ROLES:
        if getattr(former.family, role) != getattr(next_one.family, role):
            return f"its {role} is another"
    kinds = {message.key: message.kind for message in next_one.messages.values()}
    turned = [each.name for each in former.messages.values() if kinds.get(each.key, each.kind) != each.kind]
    return f"what was the {former.messages[turned[0]].kind} {turned[0]} is a {kinds[former.messages[turned[0]].key]} now" if turned else ""


def _cut(framing: Framing) -> tuple[object, ...]:
    """All that decides where a telegram begins and ends, and what a poll is."""
    return framing.length, framing.prefix, framing.suffix, framing.max, framing.header, framing.polls
