"""How many requests of one user may be open at a time, so that nobody fills a service or the router for all others."""

# Rules this file keeps, all of them tested:
#
# 1. What is counted for a key is exactly its requests that have not ended, however each of them ends.
# 2. Nobody has to say that a request ended: that is seen on the exchange itself when it matters.
# 3. Memory is bounded by what is open: ended ones are looked for whenever as many have been let in as were open before.

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from telegram_router.routing.limits import Admission, ByKey, Part, Refusal, Slots

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry

SWEEP = 16_384  # requests let in before ended ones are looked for in all keys


class Bulkhead(ByKey):
    """At most so many open requests of each key."""

    def __init__(
        self,
        name: str,
        most: int,
        parts: Sequence[Part],
        services: frozenset[str] = frozenset(),
        pass_without_key: bool = False,
    ) -> None:
        super().__init__(name, parts, services, pass_without_key)
        self.most = most
        self._held: dict[Hashable, deque[Exchange]] = {}
        self._admitted = 0
        self._sweep_at = SWEEP

    def __len__(self) -> int:
        """Keys that have something open."""
        self._sweep()
        return len(self._held)

    @property
    def open(self) -> int:
        """Requests that are open, of all keys together."""
        self._sweep()
        return sum(map(len, self._held.values()))

    def open_of(self, key: Hashable) -> int:
        """Requests of this key that are open."""
        held = self._held.get(key)
        return _pruned(held) if held is not None else 0

    def adopt(self, other: Bulkhead) -> None:
        """Take over the numbers of one that counts by the same. What is open is still counted."""
        self.most, self.services = other.most, other.services
        self._parts, self._only, self._passes = other._parts, other._only, other._passes

    def forget(self) -> None:
        """It is no longer configured: hold on to nothing."""
        self._held.clear()

    def judge(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> Admission | Refusal | None:
        only = self._only
        key = only(peer, frame, entry) if only is not None else self._key_of(peer, frame, entry)
        if key is None:
            return None if self._passes else self._refuse(None)
        held = self._held.get(key)
        if held:
            while held and held[0].settled:  # most end in the order in which they began, and are let go of while they are still at hand
                held.popleft()
            if len(held) >= self.most and _pruned(held) >= self.most:
                return self._refuse(None, "E-LIM-02")
        return key, 0.0

    def admit(self, admission: Admission, now: float) -> Slots:
        self._admitted += 1
        if self._admitted >= self._sweep_at:
            self._sweep()
        held = self._held.get(admission[0])
        if held is None:
            held = self._held[admission[0]] = deque()
        return held

    def take(self, peer: Peer, frame: bytes, entry: Entry, now: float, exchange: Exchange) -> bool:
        only = self._only
        held = self._held.get(only(peer, frame, entry)) if only is not None else None
        if not held or self._admitted >= self._sweep_at:
            return False
        while held and held[0].settled:  # as in `judge`
            held.popleft()
        if len(held) >= self.most:
            return False
        self._admitted += 1
        held.append(exchange)
        return True

    def untake(self, peer: Peer, frame: bytes, entry: Entry) -> None:
        self._admitted -= 1
        self._held[self._key_of(peer, frame, entry)].pop()

    def _sweep(self) -> None:
        for key in [key for key, held in self._held.items() if not _pruned(held)]:
            del self._held[key]
        self._admitted = sum(map(len, self._held.values()))
        self._sweep_at = max(SWEEP, 2 * self._admitted)


def _pruned(held: deque[Exchange]) -> int:
    """How many are open; the others are let go of."""
    live = [exchange for exchange in held if not exchange.settled]
    if len(live) < len(held):
        held.clear()
        held.extend(live)
    return len(live)
