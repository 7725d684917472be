"""What a switch tells of what happens: events for the log, a tuple for each telegram that ended, traces."""

# Rules this file keeps, all of them tested:
#
# 1. What nobody takes is bounded: beyond it things are counted, not kept.
# 2. Nothing told holds a body's value: events name telegrams by what their specs leave in the clear.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from telegram_router.errors import CODES
from telegram_router.routing.ended import ENDED_PER_FLUSH, Ended, result_of
from telegram_router.routing.exchange import Exchange
from telegram_router.routing.orders import Event
from telegram_router.routing.peers import Peer
from telegram_router.routing.traces import Traces, numbered, parent_of

EVENTS_PER_FLUSH = 100


class Telling:
    """The part of a switch that whoever listens reads from."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.events_dropped = 0
        self.ended: list[Ended] | None = None  # a list once somebody listens; emptied once a turn by take_ended
        self.ended_dropped = 0
        # Is shown all that came, once it is dealt with; never raises.
        self.tap: Callable[[Peer, Sequence[bytes], float], None] | None = None
        self.traces = Traces(numbered())
        self.now = 0.0  # of the last call that told the time
        self._alike: dict[tuple[Peer, str, str], dict[str, Any]] = {}  # fields of the refusals among the events

    def trace_of(self, exchange: Exchange) -> bytes:
        """Trace id, span id and flags of an exchange, which it gets when they are first asked for."""
        if not exchange.trace:
            place = exchange.asker.group.spec.trace
            exchange.trace = self.traces.new(parent_of(exchange.frame[place]) if place is not None else None)
        return exchange.trace

    def _record(self, result: str, exchange: Exchange, code: str, delivery: str, frame: bytes = b"", waited: float = 0.0) -> None:
        """An exchange is over, or an answer came for one that was."""
        ended = self.ended
        if ended is None:
            return
        if len(ended) < ENDED_PER_FLUSH:
            ended.append((result, self.now, exchange, exchange.asker, exchange.entry, frame, code, delivery, waited))
        else:
            self.ended_dropped += 1

    def _record_frame(self, peer: Peer, frame: bytes, code: str, delivery: str, result: str = "", *, known: bool = True) -> None:
        """A telegram never became an exchange. `known`: its header says which message it is."""
        ended = self.ended
        if ended is None:
            return
        if len(ended) < ENDED_PER_FLUSH:
            entry = peer.group.memo.get(peer.group.head(frame)) if known else None
            ended.append((result or result_of(code), self.now, None, peer, entry, frame, code, delivery, 0.0))
        else:
            self.ended_dropped += 1

    def take_ended(self) -> tuple[list[Ended], int]:
        """What has ended since this was last asked, and how much there was no room for. For whoever has set `ended`."""
        taken = self.ended or [], self.ended_dropped
        self.ended, self.ended_dropped = [], 0
        return taken

    def _event(self, name: str, **fields: object) -> None:
        self._tell(Event(name, fields))

    def _tell(self, event: Event) -> None:
        if len(self.events) < EVENTS_PER_FLUSH:
            self.events.append(event)
        else:
            self.events_dropped += 1

    def take_events(self) -> tuple[list[Event], int]:
        """What has happened since this was last asked, and how many events there was no room for."""
        taken = self.events, self.events_dropped
        self.events, self.events_dropped = [], 0
        self._alike = {}
        return taken

    def _tell_refusal(self, peer: Peer, frame: bytes, code: str, message: str, more: dict[str, object]) -> None:
        """Who floods is refused thousands of times a second: told once a turn, and how often."""
        alike = (peer, code, message)
        told = self._alike.get(alike)
        if told is None:
            group = peer.group
            told = self._alike[alike] = {
                "code": code, "reason": CODES[code].title, "peer": peer.name, "origin": group.name, "message": message,
                "telegram": group.names(frame) if message else None, **more, "count": 0,
            }  # fmt: skip
            self._tell(Event("refused", told))
        told["count"] += 1
