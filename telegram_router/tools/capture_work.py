"""What can be done with whole captures: put together, taken apart, counted, checked."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_records import CaptureError, Record
from telegram_router.tools.latency import Latency

OPEN_EXCHANGES: Final = 100_000  # that are remembered until their answer comes
MESSAGES_LISTED: Final = 1_000


# --- together and apart -----------------------------------------------------------------------------------------------


def merged_head(heads: Sequence[Record]) -> Record:
    """The head of captures put together. Raises CaptureError where they do not belong together."""
    first = heads[0]
    for key in ("spec", "payload", "mask"):
        if any(head.get(key) != first.get(key) for head in heads):
            what = {"spec": "they are of different specs", "mask": "they are masked in different ways", "payload": ""}[key]
            if what:
                raise CaptureError("E-CAP-07", what, do="merge what has the same head")
    return first | {"t0": min(head["t0"] for head in heads), "part": None}


def merged(readers: Sequence[CaptureReader]) -> Iterator[Record]:
    """The records of several captures in the order of their times. Connections and exchanges get the number of their file in front."""
    t0 = min(reader.head["t0"] for reader in readers)
    streams = [_renamed(reader, index, reader.head["t0"] - t0) for index, reader in enumerate(readers, 1)]
    return heapq.merge(*streams, key=lambda record: record.get("t", 0))


def _renamed(reader: CaptureReader, index: int, later: int) -> Iterator[Record]:
    for record in reader:
        if record["k"] == "end":
            continue
        changes: Record = {name: f"{index}.{record[name]}" for name in ("c", "x") if isinstance(record.get(name), str)}
        if "t" in record:
            changes["t"] = record["t"] + later
        if "t1" in record:
            changes["t1"] = record["t1"] + later
        yield record | changes


def parts(reader: CaptureReader, by: Callable[[Record], str | None]) -> Iterator[tuple[str, Record]]:
    """Each record with the name of the part that it goes to. Connections are told of in every part that has something of theirs."""
    opens: dict[str, Record] = {}
    told: set[tuple[str, str]] = set()
    for record in reader:
        kind, connection = record["k"], record.get("c", "")
        if kind == "end":
            continue
        if kind == "open":
            opens[connection] = record
            continue
        if kind == "close":
            for part in sorted(part for part, named in told if named == connection):
                yield part, record
            continue
        name = by(record)
        if name is None:
            continue
        if connection in opens and (name, connection) not in told:
            told.add((name, connection))
            yield name, opens[connection]
        yield name, record


# --- counted ----------------------------------------------------------------------------------------------------------


@dataclass
class Statistics:
    """What a capture holds. Times in nanoseconds since t0."""

    telegrams: int = 0
    octets: int = 0
    first: int | None = None
    last: int = 0
    connections: int = 0
    gaps: int = 0
    lost: int = 0
    junk: int = 0
    notes: int = 0
    unfinished: int = 0  # bytes of telegrams that were never finished
    messages: dict[str, int] = field(default_factory=dict)
    answered: dict[str, Latency] = field(default_factory=dict)  # by the request's message
    unanswered: int = 0

    @property
    def seconds(self) -> float:
        return 0.0 if self.first is None else (self.last - self.first) / 1e9

    @property
    def rate(self) -> float | None:
        """Telegrams a second, None where there is no time between them."""
        return self.telegrams / self.seconds if self.seconds > 0 else None

    def as_object(self) -> dict[str, Any]:
        return {
            "telegrams": self.telegrams,
            "bytes": self.octets,
            "seconds": round(self.seconds, 6),
            "rate": None if self.rate is None else round(self.rate, 3),
            "connections": self.connections,
            "gaps": self.gaps,
            "lost_estimated": self.lost,
            "junk": self.junk,
            "notes": self.notes,
            "unfinished_bytes": self.unfinished,
            "messages": dict(sorted(self.messages.items())),
            "answered": sum(each.count for each in self.answered.values()),
            "unanswered": self.unanswered,
            "latency": {name: each.as_object() for name, each in sorted(self.answered.items())},
        }


class Pairs:
    """Requests that wait for their answers, by exchange. The oldest is given up when there are too many."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Record] = OrderedDict()
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._open) + self.given_up

    def pair(self, record: Record) -> Record | None:
        """The request that a telegram answers; None for a request, or when nobody knows."""
        exchange = record.get("x")
        if exchange is None:
            return None
        asked = self._open.get(exchange)
        if asked is None:
            self._open[exchange] = {"t": record["t"], "c": record["c"], "d": record["d"], "msg": record.get("msg")}
            if len(self._open) > OPEN_EXCHANGES:
                self._open.popitem(last=False)
                self.given_up += 1
            return None
        if asked["c"] == record["c"] and asked["d"] != record["d"]:
            del self._open[exchange]
            return asked
        return None


def counted(reader: CaptureReader) -> Statistics:
    """Read a capture to its end."""
    found, pairs = Statistics(), Pairs()
    for record in reader:
        kind = record["k"]
        if kind == "m":
            _count(found, pairs, record)
        elif kind == "open":
            found.connections += not record.get("again", False)
        elif kind == "gap":
            found.gaps += 1
            found.lost += record.get("lost_est") or 0
        elif kind == "junk":
            found.junk += 1
        elif kind == "note":
            found.notes += 1
        elif kind == "close":
            found.unfinished += record.get("pending") or 0
    found.unanswered = len(pairs)
    return found


def _count(found: Statistics, pairs: Pairs, record: Record) -> None:
    found.telegrams += 1
    found.octets += record["len"]
    found.first = record["t"] if found.first is None else min(found.first, record["t"])
    found.last = max(found.last, record["t"])
    message = record.get("msg") or "not known"
    if message in found.messages or len(found.messages) < MESSAGES_LISTED:
        found.messages[message] = found.messages.get(message, 0) + 1
    asked = pairs.pair(record)
    if asked is not None:
        found.answered.setdefault(asked["msg"] or "not known", Latency()).add(record["t"] - asked["t"])
