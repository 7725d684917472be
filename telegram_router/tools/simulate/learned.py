"""Answers learned from a capture: a request gets the reply that the same request got there."""

# "The same" is meant without what differs every time: what pairs a reply with its request, and dates and times of the header.
# A request that is the same to the last byte comes first; else the replies of all that are the same are given in their order,
# the last one again and again. What the recorded reply had from its request it has from the new one. A request that refers to another
# means the one that was taken for it, under whatever number that came now.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from telegram_router.errors import FieldError
from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import MessageLayout, Spec, Telegram
from telegram_router.telegrams.fields.moments import Moment
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.volatile import volatile_fields
from telegram_router.tools.simulate.renumbered import Renumbered

Values: TypeAlias = tuple[tuple[str, Any], ...]

LEARNED_AT_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Answered:
    """One exchange of the capture."""

    request: bytes
    reply: bytes
    seconds: float


@dataclass
class Learned:
    """The exchanges of a capture."""

    spec: Spec
    exact: dict[bytes, list[Answered]] = field(default_factory=dict)
    alike: dict[tuple[str, Values], list[Answered]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)  # that each message took
    unanswered: int = 0
    masked: int = 0  # telegrams of which masking has left nothing
    exchanges: int = 0

    def add(self, request: bytes, reply: bytes, seconds: float) -> None:
        message = self.spec.message_of(request)
        if message is None:
            return
        answered = Answered(request, reply, seconds)
        self.exact.setdefault(request, []).append(answered)
        self.alike.setdefault((message.name, lasting(self.spec, message, request)), []).append(answered)
        self.seconds.setdefault(message.name, []).append(seconds)
        self.exchanges += 1

    def find(self, message: MessageLayout, frame: bytes, used: dict[object, int], renumbered: Renumbered) -> Answered | None:
        """The exchange to answer from. `used` counts how often each was, by whoever asks."""
        if frame in self.exact:
            return _in_turn(self.exact[frame], frame, used)
        key = message.name, lasting(self.spec, message, renumbered.as_recorded(message, frame))
        found = _in_turn(self.alike[key], key, used) if key in self.alike else None
        if found is not None:
            renumbered.note(message, found.request, frame)
        return found

    def nearest(self, message: MessageLayout, frame: bytes) -> tuple[Answered, list[str]] | None:
        """The exchange of that message with the fewest other values, and the names of those."""
        mine = dict(lasting(self.spec, message, frame))
        best: tuple[Answered, list[str]] | None = None
        for (name, values), answered in self.alike.items():
            if name == message.name:
                theirs = dict(values)
                differ = sorted(path for path in {*mine, *theirs} if mine.get(path) != theirs.get(path))
                if best is None or len(differ) < len(best[1]):
                    best = answered[0], differ
        return best

    def reply(self, answered: Answered, frame: bytes) -> bytes:
        """The recorded reply as an answer to a new request."""
        if frame == answered.request:
            return answered.reply
        return fitted(self.spec, answered.request, answered.reply, frame)


def _in_turn(answers: list[Answered], key: object, used: dict[object, int]) -> Answered:
    turn = used.get(key, 0)
    used[key] = turn + 1
    return answers[min(turn, len(answers) - 1)]


@lru_cache(maxsize=16)
def volatile_header(spec: Spec) -> frozenset[str]:
    """Names of header fields that differ with every telegram."""
    family = spec.family
    named = {*family.correlation, *filter(None, (family.carrier, family.trace))}
    moments = {
        planned.name
        for message in spec.messages.values()
        for planned in message.fields
        if planned.section == "header" and isinstance(planned.kind, Moment)
    }
    return frozenset(named | moments)


@lru_cache(maxsize=1024)
def volatile_paths(message: MessageLayout) -> frozenset[str]:
    """Paths of the fields that belong to the moment. What refers to other telegrams lasts: it says which."""
    return frozenset(planned.path for planned, volatile in volatile_fields(message) if volatile.role != "ref_of")


def lasting(spec: Spec, message: MessageLayout, frame: bytes) -> Values:
    """What makes a request the same as another: all but what differs every time."""
    prefix, volatile, moments = spec.framing.prefix, volatile_header(spec), volatile_paths(message)
    if frame and not message.codec.opaque and len(frame) == message.frame_size:
        return tuple(
            (planned.path, frame[prefix + planned.offset : prefix + planned.end])
            for planned in message.fields
            if planned.name and not (planned.section == "header" and planned.name in volatile) and planned.path not in moments
        )
    return (("body", frame[prefix + spec.header_size :]),)


def fitted(spec: Spec, request: bytes, reply: bytes, frame: bytes) -> bytes:
    """A recorded reply for another request: header fields that were those of its request become those of the new one, and so do
    volatile ones behind the header."""
    made = bytearray(reply)
    for name in spec.header_fields:
        place = spec.header_slice(name)
        if name not in spec.family.key and reply[place] == request[place]:
            made[place] = frame[place]
    message = spec.message_of(bytes(made))
    if message is None:
        return bytes(made)
    asked = spec.message_of(request)
    for planned, _ in volatile_fields(message) if asked is not None else ():
        own = asked.field(planned.path) if asked is not None else None
        if own is None or own.shifts or planned.shifts or own.length != planned.length:
            continue
        was, place = _place(spec, own), _place(spec, planned)
        if reply[place] == request[was]:
            made[place] = frame[was]
    whole = bytes(made)
    try:
        telegram = spec.decode(whole)
        return spec.encode(Telegram(spec, telegram.message, telegram.header, telegram.body, telegram.residue))
    except FieldError:
        return whole  # as it was recorded, faults and all


def _place(spec: Spec, planned: PlannedField) -> slice:
    return slice(spec.framing.prefix + planned.offset, spec.framing.prefix + planned.end)


def learn(spec: Spec, records: Iterable[Record], role: str = "host") -> Learned:
    """From the telegrams of a capture. A host learns what was answered to those who connected, a client the reverse."""
    learned = Learned(spec)
    asked: dict[str, tuple[bytes, int]] = {}
    wanted = ">" if role == "host" else "<"
    for record in records:
        exchange = record.get("x")
        if record["k"] != "m" or exchange is None or record.get("leg") == "back" or learned.exchanges >= LEARNED_AT_MOST:
            continue
        if "hmac" in record and not record["raw"]:
            learned.masked += 1
        elif record["d"] == wanted:
            message = spec.message_of(record["raw"]) if len(record["raw"]) >= spec.framing.prefix + spec.header_size else None
            if message is not None and message.reply.kind != "none":
                asked[exchange] = record["raw"], record["t"]
        elif exchange in asked:
            request, at = asked.pop(exchange)
            learned.add(request, record["raw"], max(record["t"] - at, 0) / 1e9)
    learned.unanswered = len(asked)
    return learned


def times_by_message(learned: Learned) -> Mapping[str, tuple[float, ...]]:
    """How long each message took, sorted."""
    return {name: tuple(sorted(seconds)) for name, seconds in learned.seconds.items()}
