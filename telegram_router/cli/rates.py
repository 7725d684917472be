"""What happened between two looks at a router: requests a second, and how long answers took. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from telegram_router.cli.standing import notes, state_of
from telegram_router.ops import answers


class Row(NamedTuple):
    """A service, or one of its backends. Times are upper bounds in seconds, None where nothing was answered."""

    service: str
    backend: str  # "" for the service as a whole
    state: str
    in_use: bool
    answered: float  # a second
    failed: float
    in_flight: int
    pending: int
    median: float | None
    slowest: float | None  # 99 of 100 took no longer
    notes: str = ""


class Rates(NamedTuple):
    received: float  # telegrams a second from sessions
    rows: list[Row]


def rates(before: answers.Status, after: answers.Status) -> Rates:
    """Between two looks at the same router. Of one that was started anew between them there is nothing to tell yet."""
    if (before.pid, before.started_at) != (after.pid, after.started_at):
        before = after
    seconds = max(after.uptime_s - before.uptime_s, 1e-3)
    was = {service.name: service for service in before.services}
    received = sum(each.telegrams_received for each in after.listeners) - sum(each.telegrams_received for each in before.listeners)
    rows = [row for service in after.services for row in _rows(was.get(service.name, service), service, seconds, state_of(service, after))]
    return Rates(max(0.0, received / seconds), rows)


def _rows(before: answers.ServiceSeen, after: answers.ServiceSeen, seconds: float, state: str) -> list[Row]:
    counts = [new - old for old, new in zip(before.latency_counts, after.latency_counts, strict=True)]
    used = [each for each in after.backends if each.in_use]
    whole = Row(
        after.name, "", state, bool(used), (after.answered - before.answered) / seconds,
        (after.failed - before.failed) / seconds, after.in_flight, after.pending, quantile(counts, 0.5), quantile(counts, 0.99),
        ", ".join(f"{rank} {many:,}" for rank, many in after.waiting.items()),
    )  # fmt: skip
    was = {each.name: each for each in before.backends}
    return [whole, *(_backend(after.name, was.get(each.name, each), each, seconds) for each in after.backends)]


def _backend(service: str, before: answers.BackendSeen, after: answers.BackendSeen, seconds: float) -> Row:
    answered, failed = (after.answered - before.answered) / seconds, (after.failed - before.failed) / seconds
    return Row(service, after.name, after.state, after.in_use, answered, failed, after.in_flight, 0, None, None, ", ".join(notes(after)))


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The time that this share of the answers took at most; counts[i] took less than 2**i microseconds."""
    wanted, seen = sum(counts) * share, 0
    for place, count in enumerate(counts):
        seen += count
        if count > 0 and seen >= wanted:
            return float(2**place) / 1e6
    return None


def shortened(rows: Sequence[Row], room: int) -> list[Row]:
    """As many rows as there is room for: services, then backends in trouble, then the busiest ones; in their own order."""
    if len(rows) <= room:
        return list(rows)
    worth = sorted(range(len(rows)), key=lambda at: (bool(rows[at].backend), rows[at].state == "up", -rows[at].answered))
    kept = sorted(worth[: max(0, room)])
    return [rows[at] for at in kept]
