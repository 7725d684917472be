"""How long things took, in buckets that double: cheap to count, and enough for any percentile within a factor of two."""

from __future__ import annotations

BUCKETS = 32  # powers of two in microseconds, up to an hour


class Durations:
    """`counts[i]` took less than 2**i microseconds and no less than half of it; `seconds` is what all took together."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.seconds = 0.0

    def count(self, took: float, many: int = 1) -> None:
        """So many took so many seconds each."""
        self.counts[min(int(took * 1e6).bit_length(), BUCKETS - 1)] += many
        self.seconds += took * many

    def add(self, other: Durations) -> None:
        """Count what the other has counted, too."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds
