"""What is to be sent: the requests of a capture that were chosen, each with its recorded answers, read while they are sent."""

# Rules this file keeps:
#
# 1. A capture is read once while it is replayed, and AHEAD telegrams at most are held of it. An answer that stands further behind
#    its request than that counts as none.
# 2. Steps come in the order of their requests.

from __future__ import annotations

import datetime
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from telegram_router.storage.capture_records import Record, zone_of
from telegram_router.telegrams import MessageLayout, PlannedField, Spec
from telegram_router.telegrams.volatile import volatile_fields
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.predicate import Predicate, as_text
from telegram_router.tools.recorded import Recorded, message_of
from telegram_router.tools.replay.settings import SECOND, Moment, Numbers, ReplayError

AHEAD: Final = 20_000  # telegrams
RELATED_AT_MOST: Final = 1_000_000  # originals that others refer to

DAY: Final = 86_400 * SECOND


@dataclass(slots=True)
class Step:
    """One request and what answered it then."""

    n: int
    t: int
    c: str
    x: str
    message: MessageLayout
    frame: bytes
    answers: list[bytes] = field(default_factory=list)
    complete: bool = False  # nothing more of it can come in the recording


@dataclass(frozen=True)
class Hangup:
    """A recorded connection ended here."""

    c: str


@dataclass(frozen=True)
class Selection:
    """Which requests. Everything named must hold."""

    filter: Predicate | None = None
    first: Moment | None = None
    last: Moment | None = None
    time_field: str | None = None  # whose time counts; None: when it was captured
    sequence: Numbers | None = None
    sequence_field: str | None = None  # None: the spec's own
    record: Numbers | None = None
    only: frozenset[str] = frozenset()  # exchanges
    connections: frozenset[str] = frozenset()
    leg: str = "front"
    skip: int = 0
    limit: int | None = None
    behind: int = 0  # the last number that an earlier run may have sent
    again: frozenset[int] = frozenset()  # numbers up to there that it did not send
    related: bool = False


class Steps:
    """The steps of a capture; iterate once. `left_out` counts what is not sent, by reason."""

    def __init__(
        self, records: Iterable[Record], head: Record, spec: Spec, wanted: Selection, related: frozenset[Any] = frozenset()
    ) -> None:
        self._records = iter(records)
        self._spec = spec
        self._wanted = wanted
        self._chooser = Chooser(spec, head, wanted)
        self._related = related
        self._pairing = Pairing(spec, prefix="y")
        self._legs: dict[str, str] = {}
        self._waiting: deque[Step | Hangup] = deque()  # at most AHEAD
        self._open: OrderedDict[str, Step] = OrderedDict()  # by exchange, of those that wait
        self._read = 0
        self._chosen = 0
        self.left_out: Counter[str] = Counter()
        self.gaps = 0
        self.ended = False  # the whole capture has been read

    def __iter__(self) -> Iterator[Step | Hangup]:
        for record in self._records:
            if self._is_full():
                break
            self._take(record)
            yield from self._ready()
        else:
            self.ended = True
        for step in self._open.values():
            step.complete = True
        yield from self._ready()

    def _is_full(self) -> bool:
        """Enough was chosen, and nothing more of it can come."""
        return self._wanted.limit is not None and self._chosen >= self._wanted.limit and not self._open

    def _ready(self) -> Iterator[Step | Hangup]:
        while self._waiting:
            front = self._waiting[0]
            if isinstance(front, Step) and not front.complete and len(self._waiting) < AHEAD and self._read - front.n < AHEAD:
                return
            self._waiting.popleft()
            if isinstance(front, Step):
                self._open.pop(front.x, None)
            yield front

    def _take(self, record: Record) -> None:
        kind, c = record["k"], record.get("c", "")
        if kind == "open":
            self._legs[c] = record.get("leg", "front")
        elif kind == "gap":
            self.gaps += 1
        elif kind == "close":
            self._pairing.forget(c)
            self._legs.pop(c, None)
            self._waiting.append(Hangup(c))
        elif kind == "m":
            self._read = record["n"]
            self._telegram(record, c)

    def _telegram(self, record: Record, c: str) -> None:
        if self._legs.get(c, self._wanted.leg) != self._wanted.leg:
            self.left_out["of another leg"] += 1
            return
        frame = record["raw"]
        if not frame and "hmac" in record:
            self._masked_away(record)
            return
        message = message_of(self._spec, frame)
        if self._spec.is_poll(frame):
            self.left_out["polls"] += 1
        elif message is None or self._spec.check_size(frame, message) is not None:
            self.left_out["not of the spec"] += 1
        elif message.kind == "reply":
            self._reply(record, message)
        elif record["d"] == "<":
            self.left_out["sent by the target"] += 1
        else:
            self._request(record, message)

    def _masked_away(self, record: Record) -> None:
        """Masking left only the digest of what it could not read. A request cannot be sent; where it was an answer, there is none."""
        step = self._open.get(record.get("x") or "")
        if record["d"] == "<" and step is not None:
            self.left_out["answers that masking has left only the digest of"] += 1
            step.complete = True
            del self._open[step.x]
        else:
            self.left_out["that masking has left only the digest of"] += 1

    def _exchange(self, record: Record, message: MessageLayout) -> str | None:
        told = record.get("x")
        return told if isinstance(told, str) else self._pairing.exchange(record["c"], message, record["raw"])

    def _request(self, record: Record, message: MessageLayout) -> None:
        x = self._exchange(record, message) or f"n{record['n']}"
        if not self._chooser.holds(record, x) and not (self._related and self._chooser.number(record) in self._related):
            self.left_out["not selected"] += 1
            return
        if self._wanted.limit is not None and self._chosen >= self._wanted.limit:
            return
        self._chosen += 1
        if self._chosen <= self._wanted.skip:
            self.left_out["skipped"] += 1
            return
        if record["n"] <= self._wanted.behind and record["n"] not in self._wanted.again:
            self.left_out["sent by the run before"] += 1
            return
        step = Step(record["n"], record["t"], record["c"], x, message, record["raw"], complete=message.reply.message is None)
        self._waiting.append(step)
        if not step.complete:
            self._open[x] = step

    def _reply(self, record: Record, message: MessageLayout) -> None:
        x = self._exchange(record, message)
        step = self._open.get(x) if x is not None else None
        if step is None or step.message.reply.message is not message:
            return
        step.answers.append(record["raw"])
        if is_last(step.message, record["raw"]):
            step.complete = True
            del self._open[step.x]


def is_last(request: MessageLayout, answer: bytes) -> bool:
    """Whether nothing more of an answer can come."""
    rule = request.reply
    if rule.kind != "until" or rule.current is None or rule.total is None:
        return True
    current, total = answer[rule.current].strip(), answer[rule.total].strip()
    return not (current.isdigit() and total.isdigit()) or int(current) >= int(total)


class Chooser:
    """Decides on one request after the other."""

    def __init__(self, spec: Spec, head: Record, wanted: Selection) -> None:
        self._spec, self._wanted = spec, wanted
        self._t0 = head["t0"]
        self._zone = zone_of(head.get("tz") or "")
        self._offset = round(self._zone.utcoffset(None).total_seconds()) * SECOND
        self._sequence = wanted.sequence_field or sequence_of(spec)
        if wanted.sequence is not None and self._sequence is None:
            do = "name the field with --seq-field"
            raise ReplayError("E-RPL-03", f"{spec.name} does not say which field counts its telegrams", do=do)

    def holds(self, record: Record, x: str) -> bool:
        wanted = self._wanted
        if wanted.record is not None and not wanted.record.holds(record["n"]):
            return False
        if (wanted.connections and record["c"] not in wanted.connections) or (wanted.only and x not in wanted.only):
            return False
        seen = Recorded(record, self._spec)
        if (wanted.first or wanted.last) and not self._in_time(record, seen):
            return False
        if wanted.sequence is not None:
            number = as_text(seen.field(self._sequence or ""))
            if not number.isdecimal() or not wanted.sequence.holds(int(number)):
                return False
        return wanted.filter is None or wanted.filter.holds(seen)

    def number(self, record: Record) -> tuple[bytes, ...] | None:
        """What others call a request by: its scope and its number."""
        planned = self._planned(record)
        return None if planned is None else (*scope_of(self._spec, record["raw"]), _part(self._spec, record["raw"], planned).strip())

    def _planned(self, record: Record) -> PlannedField | None:
        message = message_of(self._spec, record["raw"])
        return message.field(self._sequence) if message is not None and self._sequence else None

    def _in_time(self, record: Record, seen: Recorded) -> bool:
        if self._wanted.time_field is not None:
            digits = "".join(each for each in as_text(seen.field(self._wanted.time_field) or "") if each.isdecimal())
            if len(digits) not in (6, 14):
                return False
            clock = digits[-6:]
            of_day = (int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:])) * SECOND
            day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 14 else None
        else:
            days, of_day = divmod(self._t0 + record["t"] + self._offset, DAY)
            day = datetime.date(1970, 1, 1) + datetime.timedelta(days=days)
        return _within(day, of_day, self._wanted.first, self._wanted.last)


def _within(day: datetime.date | None, of_day: int, first: Moment | None, last: Moment | None) -> bool:
    def key(moment: Moment) -> tuple[datetime.date, int]:
        return (moment.day or day or datetime.date.min, moment.of_day)

    here = (day or datetime.date.min, of_day)
    if first and last and first.day is None and last.day is None and first.of_day > last.of_day:  # over midnight
        return of_day >= first.of_day or of_day < last.of_day
    return (first is None or here >= key(first)) and (last is None or here < key(last))


def sequence_of(spec: Spec) -> str | None:
    """The header field that counts the telegrams of a spec."""
    return next((name for name, told in spec.family.volatile.items() if told == "sequence" and name in spec.header_fields), None)


def scope_places(spec: Spec) -> list[slice]:
    """Where a frame says whose numbers it has: the parts of the correlation key that do not belong to the moment."""
    return [place for name, place in spec.correlation_fields if name not in spec.family.volatile]


def scope_of(spec: Spec, frame: bytes) -> tuple[bytes, ...]:
    return tuple(frame[place] for place in scope_places(spec))


def _part(spec: Spec, frame: bytes, planned: PlannedField) -> bytes:
    return frame[spec.framing.prefix + planned.offset : spec.framing.prefix + planned.end]


def referred_to(records: Iterable[Record], head: Record, spec: Spec, wanted: Selection) -> frozenset[Any]:
    """The numbers that the selected requests refer to, by scope: for --with-related."""
    chooser, found, pairing = Chooser(spec, head, wanted), set[Any](), Pairing(spec, prefix="y")
    for record in records:
        if record["k"] != "m" or record["d"] == "<":
            continue
        message = message_of(spec, record["raw"])
        if message is None or message.kind == "reply" or spec.check_size(record["raw"], message) is not None:
            continue
        own = pairing.exchange(record["c"], message, record["raw"])
        if chooser.holds(record, record.get("x") or own or f"n{record['n']}"):
            for planned, volatile in volatile_fields(message):
                number = _part(spec, record["raw"], planned).strip()
                if volatile.role == "ref_of" and number.strip(b"0") and len(found) < RELATED_AT_MOST:
                    found.add((*scope_of(spec, record["raw"]), number))
    return frozenset(found)
