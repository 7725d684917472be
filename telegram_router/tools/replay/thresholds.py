"""What a replay must not exceed: `mismatch>0, missing>0, p99>200ms, lag_p99>20ms`. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from telegram_router.tools.latency import Latency
from telegram_router.tools.replay.settings import ReplayError, duration, rate
from telegram_router.tools.replay.tally import BESIDE, BUCKETS, Tally

DEFAULT: Final = "different>0, missing>0, unparseable>0"
_COUNTS: Final = (*BUCKETS, *BESIDE, "mismatch", "held", "late_start")
_TIMES: Final = re.compile(r"(lag_|service_)?(p50|p90|p99|p99\.9|max|mean)")
_TEST: Final = re.compile(r"\s*([a-z_]+[0-9.]*)\s*(>=|<=|>|<)\s*(\S+)\s*")
_ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
)


@dataclass(frozen=True)
class Threshold:
    """One of them. `behaviour`: it says how the target behaves, not how fast."""

    text: str
    name: str
    op: str
    limit: float

    @property
    def behaviour(self) -> bool:
        return self.name in _COUNTS and self.name not in ("held", "late_start")

    def value(self, tally: Tally) -> float | None:
        """None where there are too few to tell."""
        if self.name == "mismatch":
            return tally.buckets["different"]
        if self.name == "held":
            return tally.held
        if self.name == "late_start":
            return tally.late_starts
        if self.name == "rate":
            return tally.achieved
        if self.name in tally.buckets or self.name in tally.beside:
            return tally.buckets[self.name] + tally.beside[self.name]
        kind = tally.lag if self.name.startswith("lag_") else tally.service if self.name.startswith("service_") else tally.latency
        return _of(kind, self.name.rpartition("_")[2])

    def broken(self, tally: Tally) -> bool:
        value = self.value(tally)
        return value is not None and _ORDER[self.op](value, self.limit)


def _of(kind: Latency, name: str) -> float | None:
    if name == "max":
        return kind.longest if kind.count else None
    return kind.mean if name == "mean" else kind.percentile(float(name[1:]))


def thresholds(text: str) -> list[Threshold]:
    """Read them. Raises ReplayError."""
    return [_threshold(part) for part in text.split(",") if part.strip()]


def _threshold(text: str) -> Threshold:
    found = _TEST.fullmatch(text)
    expected = "tests such as mismatch>0, missing>3, p99>200ms, lag_p99>20ms, rate<190/s"
    if found is None:
        raise ReplayError("E-RPL-03", "--fail-on cannot be understood", where=text.strip()[:60], expected=expected)
    name, op, limit = found.groups()
    if name in _COUNTS and limit.isdecimal():
        return Threshold(text.strip(), name, op, float(limit))
    if name == "rate":
        return Threshold(text.strip(), name, op, rate(limit, "--fail-on"))
    if _TIMES.fullmatch(name):
        return Threshold(text.strip(), name, op, float(duration(limit, "--fail-on")))
    raise ReplayError("E-RPL-03", f"--fail-on: {name} with {limit} means nothing", expected=expected, do=f"name a bucket ({', '.join(BUCKETS)}) or a time (p50, p90, p99, p99.9, max, also behind lag_ and service_)")  # fmt: skip
