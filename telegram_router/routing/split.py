"""Telegrams of one route shared out among several services, so that a new one can be given a little at first."""

# Rules this file keeps, all of them tested:
#
# 1. Equal bytes always go to the same service, in every process, as long as the shares are the same.
# 2. The space of hashes is divided exactly by the shares, in their order: whoever changes two neighbours moves only what one of
#    them loses to the other.

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate

from telegram_router.routing.balance import point

BITS = 64  # of a hash


class Split:
    """Which of several routes a telegram takes. `by` gives the bytes of its header that decide."""

    def __init__(self, by: Callable[[bytes], Hashable], weights: Sequence[int]) -> None:
        self.weights = tuple(weights)
        self.whole = sum(weights)
        self._by = by
        self._ends = list(accumulate(weights))

    def place(self, frame: bytes) -> int:
        """The place of the route among those of the split."""
        value = self._by(frame)
        return self.place_of(point(b"".join(value) if isinstance(value, tuple) else value))  # type: ignore[arg-type]

    def place_of(self, at: int) -> int:
        """The place whose part of the space of hashes holds this one."""
        return bisect_right(self._ends, at * self.whole >> BITS)
