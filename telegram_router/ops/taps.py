"""Several who are shown what comes, where the switch shows it to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from telegram_router.routing import Peer
from telegram_router.wire.hub import Hub

Tap: TypeAlias = Callable[[Peer, Sequence[bytes], float], None]


class Taps:
    """None of them may raise. While there is none, nothing is called."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._taps: list[Tap] = []

    def add(self, tap: Tap) -> None:
        self._taps.append(tap)
        self._bind()

    def remove(self, tap: Tap) -> None:
        self._taps.remove(tap)
        self._bind()

    def _bind(self) -> None:
        taps = tuple(self._taps)

        def every(peer: Peer, frames: Sequence[bytes], now: float) -> None:
            for tap in taps:
                tap(peer, frames, now)

        self._hub.switch.tap = None if not taps else taps[0] if len(taps) == 1 else every
