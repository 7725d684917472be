"""What became of a replay: every exchange in one bucket, the fields that differ with samples, and how long answers took."""

# Rules this file keeps:
#
# 1. Each exchange is counted in exactly one bucket: their sum is the number planned.
# 2. What is kept of single exchanges is bounded: a report does not grow with the capture.

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from telegram_router.tools.latency import Latency
from telegram_router.tools.replay.comparing import Difference
from telegram_router.tools.replay.settings import SECOND

BUCKETS: Final = ("same", "different", "missing", "late", "unparseable", "closed", "not_sent", "baseline_missing")
BESIDE: Final = ("duplicate", "unexpected", "garbage")  # answers, not exchanges
SAMPLES: Final = 5  # of each field
EXCHANGES_KEPT: Final = 1_000
FIELDS_KEPT: Final = 1_000
REASONS_KEPT: Final = 1_000
SLICES: Final = 300  # points of the charts over time


@dataclass(frozen=True)
class Told:
    """One exchange that did not end well, as reports show it."""

    n: int
    x: str
    message: str
    bucket: str
    why: str
    differences: tuple[Difference, ...]
    sent: bytes
    expected: tuple[bytes, ...]
    got: tuple[bytes, ...]
    took: int | None  # ns, from when it was due


@dataclass
class FieldTally:
    count: int = 0
    samples: list[tuple[str, Difference]] = field(default_factory=list)  # with the exchange


@dataclass
class Slice:
    """A stretch of the run."""

    sent: int = 0
    answered: int = 0
    bad: int = 0
    slowest: int = 0
    lag: int = 0


class Timeline:
    """Counts by time. It has SLICES at most: when there are more, each becomes twice as long."""

    def __init__(self) -> None:
        self.width = SECOND
        self.slices: list[Slice] = []

    def at(self, now: int) -> Slice:
        place = now // self.width
        if place < len(self.slices):
            return self.slices[max(place, 0)]
        while now // self.width >= SLICES:
            self._widen()
        place = max(now, 0) // self.width
        while len(self.slices) <= place:
            self.slices.append(Slice())
        return self.slices[place]

    def _widen(self) -> None:
        self.width *= 2
        pairs = [self.slices[index : index + 2] for index in range(0, len(self.slices), 2)]
        self.slices = [_joined(pair) for pair in pairs]


def _joined(pair: Sequence[Slice]) -> Slice:
    return Slice(
        sum(each.sent for each in pair), sum(each.answered for each in pair), sum(each.bad for each in pair),
        max(each.slowest for each in pair), max(each.lag for each in pair),
    )  # fmt: skip


class Tally:
    """Counts while a replay runs."""

    def __init__(self) -> None:
        self.planned = 0
        self.sent = 0
        self.held = 0
        self.beside: Counter[str] = Counter(dict.fromkeys(BESIDE, 0))
        self.buckets: Counter[str] = Counter(dict.fromkeys(BUCKETS, 0))
        self.messages: dict[str, Counter[str]] = {}
        self.fields: dict[tuple[str, str, int, int], FieldTally] = {}
        self.noisy: Counter[str] = Counter()  # fields that differ between two good answers
        self.reasons: Counter[str] = Counter()  # of what was not sent, or lost
        self.told: list[Told] = []
        self.latency = Latency()  # from when it was due
        self.service = Latency()  # from when it was sent
        self.by_message: dict[str, Latency] = {}
        self.lag = Latency()  # of our own
        self.late_starts = 0  # sent more than a millisecond after they were due, by our own fault
        self.timeline = Timeline()
        self.first_sent: int | None = None
        self.last_sent = 0
        self.no_answer_wanted = 0

    def began(self, now: int, lag: int) -> None:
        """A telegram went out, so much later than it could have."""
        self.sent += 1
        if self.first_sent is None:
            self.first_sent = now
        self.last_sent = now
        self.lag.add(lag if lag > 0 else 0)
        self.late_starts += lag > 1_000_000
        here = self.timeline.at(now)
        here.sent += 1
        if lag > here.lag:
            here.lag = lag

    def answered(self, message: str, now: int, due: int, sent: int) -> None:
        self.latency.add(now - due)
        self.service.add(now - sent)
        of_message = self.by_message.get(message)
        if of_message is None:
            of_message = self.by_message[message] = Latency()
        of_message.add(now - due)
        here = self.timeline.at(now)
        here.answered += 1
        if now - due > here.slowest:
            here.slowest = now - due

    def went_well(self, message: str) -> None:
        """An exchange is over, and nothing is to be told of it."""
        self.buckets["same"] += 1
        found = self.messages.get(message)
        if found is None:
            found = self.messages[message] = Counter()
        found["same"] += 1

    def ended(self, told: Told, now: int) -> None:
        """An exchange is over that did not go as well."""
        self.buckets[told.bucket] += 1
        self.messages.setdefault(told.message, Counter())[told.bucket] += 1
        if told.why:
            reason = f"{told.bucket}: {told.why}"
            self.reasons[reason if reason in self.reasons or len(self.reasons) < REASONS_KEPT else f"{told.bucket}: for other reasons"] += 1
        if told.bucket != "baseline_missing":
            self.timeline.at(now).bad += 1
        for difference in told.differences:
            self._differs(told.x, difference)
        if len(self.told) < EXCHANGES_KEPT:
            self.told.append(told)

    def _differs(self, x: str, difference: Difference) -> None:
        place = (difference.message, difference.path, difference.offset, difference.length)
        if place not in self.fields and len(self.fields) >= FIELDS_KEPT:
            place = ("", "other fields", 0, 0)
        found = self.fields.setdefault(place, FieldTally())
        found.count += 1
        if len(found.samples) < SAMPLES:
            found.samples.append((x, difference))

    @property
    def sums_up(self) -> bool:
        """Whether every exchange that was planned is in a bucket, and only one."""
        return sum(self.buckets.values()) == self.planned

    @property
    def achieved(self) -> float | None:
        """Telegrams a second; None for fewer than two."""
        if self.sent < 2 or self.first_sent is None or self.last_sent <= self.first_sent:
            return None
        return (self.sent - 1) * SECOND / (self.last_sent - self.first_sent)


def failing(tally: Tally) -> Iterable[str]:
    """The buckets that say that another system behaves otherwise, with their counts."""
    return [f"{name}={tally.buckets[name]:,}" for name in BUCKETS if name not in ("same", "baseline_missing") and tally.buckets[name]]
