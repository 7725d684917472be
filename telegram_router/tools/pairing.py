"""Which telegrams belong to one exchange, as somebody who watches a connection can tell."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Final

from telegram_router.telegrams import MessageLayout, Spec

WAITING_AT_MOST: Final = 100_000


class Pairing:
    """The open exchanges of one connection, or of all that share their numbers.

    A connection on which nobody asks for anything may be one of two that go one way each: what answers there answers what was asked
    elsewhere, where only one has asked by this key.
    """

    def __init__(self, spec: Spec, prefix: str = "x") -> None:
        self._spec = spec
        self._prefix = prefix
        self._count = 0
        self._asking: set[object] = set()  # connections on which something is asked that wants an answer; those that are open
        self._open: OrderedDict[tuple[object, str, Hashable], str] = OrderedDict()  # (connection, reply's name, key) -> exchange
        self._anywhere: OrderedDict[tuple[str, Hashable], tuple[object, str | None]] = OrderedDict()  # None: several have asked
        self._in_order: dict[tuple[object, str], deque[str]] = {}  # of families without a key: replies pair by their order

    def exchange(self, connection: object, message: MessageLayout | None, frame: bytes, known: str | None = None) -> str | None:
        """The exchange of a telegram: a new one for a request, the request's for its reply; None for what belongs to none.

        `known`: of which exchange the request is a copy.
        """
        if message is None:
            return None
        if message.kind == "reply":
            return self._answered(connection, message, frame)
        if known is None:
            self._count += 1
        name = known or f"{self._prefix}{self._count}"
        answer = message.reply.message
        if answer is not None:
            self._asking.add(connection)
            self._await(connection, answer, frame, name)
        return name

    def _await(self, connection: object, answer: MessageLayout, frame: bytes, name: str) -> None:
        if not self._spec.family.correlation:
            self._in_order.setdefault((connection, answer.name), deque(maxlen=WAITING_AT_MOST)).append(name)
            return
        key = self._spec.correlate(frame)
        self._open[connection, answer.name, key] = name
        if len(self._open) > WAITING_AT_MOST:
            self._open.popitem(last=False)
        first, before = self._anywhere.pop((answer.name, key), (connection, name))
        self._anywhere[answer.name, key] = first, name if first == connection or before == name else None
        if len(self._anywhere) > WAITING_AT_MOST:
            self._anywhere.popitem(last=False)

    def _answered(self, connection: object, message: MessageLayout, frame: bytes) -> str | None:
        if not self._spec.family.correlation:
            waiting = self._in_order.get((connection, message.name))
            return waiting.popleft() if waiting else None
        key = self._spec.correlate(frame)
        if connection not in self._asking:
            return self._anywhere.get((message.name, key), (None, None))[1]
        return self._open.get((connection, message.name, key))  # it stays: an answer may have several parts

    def forget(self, connection: object) -> None:
        """The connection has ended."""
        self._asking.discard(connection)
        for key in [key for key in self._in_order if key[0] == connection]:
            del self._in_order[key]
