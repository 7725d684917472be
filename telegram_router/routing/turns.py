"""The requests of one link whose replies are paired by their order: each reply answers the oldest request that has none yet."""

# Rules this file keeps, all of them tested:
#
# 1. A reply is taken for the answer of the oldest request only, and only when the kernel has taken the whole of that request.
# 2. Once the order is in doubt the link is spoiled, and stays so: what still comes answers nobody.
#
# 3. Where the host sends keys back, a reply that bears the key of a younger request says that the order is broken.
#
# What no router can see is a host whose replies bear no key, that leaves one request unanswered and answers the next with the same message
# in time.
# Where a host may do that, one request at a time (`exclusive`) is the mode that is safe.

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange
    from telegram_router.telegrams import MessageLayout
    from telegram_router.telegrams.spec import ReplyRule


class Turns:
    """Which request is answered next.

    asked    the requests given to the link, oldest first; bounded by what a link may have open
    spoiled  the order is in doubt
    owed     replies that may still come on a spoiled link; they are told of as late
    """

    __slots__ = ("_parts", "_total", "_unnamed", "asked", "owed", "spoiled")

    def __init__(self) -> None:
        self.asked: dict[Exchange, None] = {}
        self.spoiled = False
        self.owed = 0
        self._parts: set[bytes] = set()  # which parts of the oldest one's answer have come; at most as many as it has
        self._total = b""
        self._unnamed = False  # the host sends back no key, or one of its own: its replies cannot be told by it

    def due(self, accepted: int) -> Exchange | None:
        """The request that the next reply answers; None when the host cannot have read one. `accepted`: bytes the kernel has taken."""
        first = next(iter(self.asked), None)
        return first if first is not None and first.offset + len(first.frame) <= accepted else None

    def over(self, exchange: Exchange) -> None:
        """It has been answered, or nobody waits for its answer and it never leaves."""
        if next(iter(self.asked), None) is exchange:
            self._parts, self._total = set(), b""
        self.asked.pop(exchange, None)

    def takes(self, frame: bytes, rule: ReplyRule) -> bool:
        """Whether a reply may answer the oldest request."""
        return not self._names_another(frame) and self._follows(frame, rule)

    def _follows(self, frame: bytes, rule: ReplyRule) -> bool:
        """Whether a part of an answer may belong to the parts that came before it: of as many parts, and none of them again."""
        if rule.current is None or rule.total is None:
            return True
        current, total = frame[rule.current], frame[rule.total]
        if current in self._parts or (self._parts and total != self._total):
            return False
        self._parts.add(current)
        self._total = total
        return True

    def _names_another(self, frame: bytes) -> bool:
        """Whether a reply bears the key of another open request than the oldest, and so far every reply has borne one of theirs."""
        first = next(iter(self.asked), None)
        if first is None or self._unnamed or not first.entry.message.spec.correlation_fields:
            return False
        correlate = first.entry.message.spec.correlate
        key = correlate(frame)
        if key == correlate(first.frame):
            return False
        self._unnamed = all(correlate(each.frame) != key for each in self.asked)
        return not self._unnamed

    def spoil(self, owed: int) -> None:
        """Nothing that comes from now on answers anybody."""
        self.asked.clear()
        self.spoiled, self.owed = True, owed

    def late(self, frame: bytes, message: MessageLayout) -> bool:
        """Whether a reply on a spoiled link is one of those owed."""
        owed = self.owed > 0
        rules = [each.reply for each in message.spec.messages.values() if each.reply.message is message]
        if owed and all(rule.current is None or rule.total is None or frame[rule.current] == frame[rule.total] for rule in rules):
            self.owed -= 1
        return owed
