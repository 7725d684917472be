"""Which telegrams belong to one exchange, as somebody who watches a connection can tell."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Final

from telegram_router.telegrams import MessageLayout, Spec

WAITING_AT_MOST: Final = 100_000


class Pairing:
    """The open exchanges of one connection, or of all that share their numbers."""

    def __init__(self, spec: Spec, prefix: str = "x") -> None:
        self._spec = spec
        self._prefix = prefix
        self._count = 0
        self._open: OrderedDict[tuple[object, str, Hashable], str] = OrderedDict()  # (connection, reply's name, key) -> exchange
        self._in_order: dict[tuple[object, str], deque[str]] = {}  # of families without a key: replies pair by their order

    def exchange(self, connection: object, message: MessageLayout | None, frame: bytes) -> str | None:
        """The exchange of a telegram: a new one for a request, the request's for its reply; None for what belongs to none."""
        if message is None:
            return None
        if message.kind == "reply":
            return self._answered(connection, message, frame)
        self._count += 1
        name = f"{self._prefix}{self._count}"
        answer = message.reply.message
        if answer is not None:
            self._await(connection, answer, frame, name)
        return name

    def _await(self, connection: object, answer: MessageLayout, frame: bytes, name: str) -> None:
        if not self._spec.family.correlation:
            self._in_order.setdefault((connection, answer.name), deque(maxlen=WAITING_AT_MOST)).append(name)
            return
        self._open[connection, answer.name, self._spec.correlate(frame)] = name
        if len(self._open) > WAITING_AT_MOST:
            self._open.popitem(last=False)

    def _answered(self, connection: object, message: MessageLayout, frame: bytes) -> str | None:
        if not self._spec.family.correlation:
            waiting = self._in_order.get((connection, message.name))
            return waiting.popleft() if waiting else None
        return self._open.get((connection, message.name, self._spec.correlate(frame)))  # it stays: an answer may have several parts

    def forget(self, connection: object) -> None:
        """The connection has ended."""
        for key in [key for key in self._in_order if key[0] is connection]:
            del self._in_order[key]
