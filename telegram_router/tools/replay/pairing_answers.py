"""Whose answer a frame is: by the spec's correlation and by nothing else, or by order in a family that has none."""

from __future__ import annotations

from collections import Counter

from telegram_router.telegrams import Spec
from telegram_router.tools.replay.exchanges import Asked, Lane, Side


class Answers:
    """Finds the request that a frame answers. What answers none of the target's is counted in `beside`."""

    def __init__(self, spec: Spec, target: Side, beside: Counter[str]) -> None:
        self._spec = spec
        self._target = target
        self._beside = beside
        self._no_message = f"the answer is no message of {spec.name}"

    def whose(self, lane: Lane, frame: bytes) -> tuple[Asked | None, str]:
        """The open request that a frame answers, and why it cannot be read if so; what answers none is counted."""
        spec, side = self._spec, lane.side
        whole = len(frame) >= spec.framing.prefix + spec.header_size
        message = spec.message_of(frame) if whole else None
        first = side is self._target
        if message is not None and message.kind != "reply":
            self._beside["unexpected"] += first
            return None, ""
        if not spec.family.correlation:
            return self._next_in_order(lane, message.name if message else None, first)
        if message is None:
            asked = self._by_key_alone(side, frame) if whole else None
            if asked is None:
                self._beside["unexpected"] += first
            return asked, self._no_message
        key = (message.name, spec.correlate(frame))
        asked = side.open.get(key)
        if asked is None or asked.sent_at is None:
            self._beside["duplicate" if key in side.over else "unexpected"] += first
            return None, ""
        return asked, "" if spec.check_size(frame, message) is None else f"the answer has not the size of a {message.name}"

    def _by_key_alone(self, side: Side, frame: bytes) -> Asked | None:
        """A frame that is no message of the spec, but has the key of an open request."""
        wanted = self._spec.correlate(frame)
        return next((asked for (_, key), asked in side.open.items() if key == wanted and asked.sent_at is not None), None)

    def _next_in_order(self, lane: Lane, name: str | None, first: bool) -> tuple[Asked | None, str]:
        if not lane.order or lane.order[0].sent_at is None:
            self._beside["unexpected"] += first
            return None, ""
        asked = lane.order[0]
        wanted = asked.exchange.step.message.reply.message
        return asked, "" if wanted is not None and wanted.name == name else self._no_message if name is None else f"{name} answered"
