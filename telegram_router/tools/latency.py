"""A histogram of times: log-linear, at most 1 % wrong from a microsecond to an hour, mergeable, a few kilobytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SUBBUCKETS: Final = 64  # of each power of two: the width of one is at most 1/64 of what lies in it, its middle at most 1/128 away
_SHIFT: Final = 6
_LEAST: Final = 1_000  # ns
_MOST: Final = 3_600 * 1_000_000_000
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)


class Latency:
    """Times in whole nanoseconds. What is below a microsecond counts as one, what is above an hour as an hour."""

    __slots__ = ("_counts", "count", "longest", "shortest", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.longest = 0
        self.shortest = _MOST

    def add(self, took: int, times: int = 1) -> None:
        """Count a time in nanoseconds."""
        bucket = _bucket(took if _LEAST <= took <= _MOST else min(max(took, _LEAST), _MOST))
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + times
        self.count += times
        self.total += took * times
        if took > self.longest:
            self.longest = took
        if took < self.shortest:
            self.shortest = took

    def merge(self, other: Latency) -> None:
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)
        self.shortest = min(self.shortest, other.shortest)

    @property
    def mean(self) -> float | None:
        """Nanoseconds; None without any."""
        return self.total / self.count if self.count else None

    def percentile(self, percent: float) -> int | None:
        """Nanoseconds that so many percent do not exceed. None where there are too few to tell: p99.9 needs a thousand."""
        if self.count * (100 - percent) < 100 - 1e-9 and percent != 100:
            return None
        wanted = max(1, -(-int(percent * 1_000_000) * self.count // 100_000_000))  # rounded up, in whole numbers
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return max(min(_middle(bucket), self.longest), self.shortest)
        return None

    def above(self, limit: int) -> int:
        """How many took longer than so many nanoseconds, as well as the buckets tell."""
        edge = _bucket(max(limit, _LEAST))
        return sum(count for bucket, count in self._counts.items() if bucket > edge)

    def buckets(self) -> Iterator[tuple[int, int]]:
        """(nanoseconds, count) of what is not empty, the shortest first."""
        return ((_middle(bucket), self._counts[bucket]) for bucket in sorted(self._counts))

    def as_object(self) -> dict[str, float | int | None]:
        """Milliseconds by name, as reports show them; None for what cannot be told."""
        found: dict[str, float | int | None] = {"count": self.count}
        for percent in PERCENTILES:
            found[f"p{percent:g}_ms"] = _ms(self.percentile(percent))
        found["max_ms"] = _ms(self.longest if self.count else None)
        found["mean_ms"] = _ms(self.mean)
        return found

    def hgrm(self) -> str:
        """The percentile distribution in the text form that plotters of HdrHistogram read, in milliseconds."""
        lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
        seen = 0
        for took, count in self.buckets():
            seen += count
            share = seen / self.count
            inverse = f"{1 / (1 - share):>14.2f}" if seen < self.count else f"{'inf':>14}"
            lines.append(f"{took / 1e6:>12.3f} {share:>14.12f} {seen:>10} {inverse}")
        mean = (self.mean or 0.0) / 1e6
        lines += [
            f"#[Mean    = {mean:>12.3f}, StdDeviation   = {self._deviation():>12.3f}]",
            f"#[Max     = {self.longest / 1e6:>12.3f}, Total count    = {self.count:>12}]",
            f"#[Buckets = {len(self._counts):>12}, SubBuckets     = {SUBBUCKETS:>12}]",
        ]
        return "\n".join(lines) + "\n"

    def _deviation(self) -> float:
        mean = self.mean
        if mean is None:
            return 0.0
        return float((sum(count * (took - mean) ** 2 for took, count in self.buckets()) / self.count) ** 0.5 / 1e6)


def _bucket(nanos: int) -> int:
    """Which bucket a number lies in: 64 for each power of two."""
    shift = nanos.bit_length() - _SHIFT - 1  # never negative: nothing is below a microsecond
    return (shift << _SHIFT) + (nanos >> shift)


def _middle(bucket: int) -> int:
    """The middle of a bucket, in nanoseconds."""
    shift = (bucket >> _SHIFT) - 1
    low = (bucket - (shift << _SHIFT)) << shift
    return low + (1 << shift) // 2


def _ms(nanos: float | None) -> float | None:
    return None if nanos is None else round(nanos / 1e6, 3)
