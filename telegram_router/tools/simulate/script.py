"""What a client of a capture has to send: the requests of each recorded connection, with their times and what answered them then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Spec
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.recorded import message_of
from telegram_router.tools.replay.steps import Step, is_last

STEPS_AT_MOST: Final = 1_000_000


@dataclass(slots=True)
class Planned:
    """One request. `behind`: the request of the connection whose answer was the last to come before it; that answer is waited for."""

    step: Step
    at: float  # seconds after its connection was made
    behind: int | None


@dataclass(slots=True)
class Part:
    """One recorded connection."""

    opens: float  # seconds after the first of them
    planned: list[Planned] = field(default_factory=list)  # at most STEPS_AT_MOST in all
    lasts: float = 0.0  # until it was closed, or its last telegram


@dataclass
class Script:
    capture: str
    parts: list[Part] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # by reason
    addresses: set[str] = field(default_factory=set)  # of whoever took part, so that nothing is sent to them by mistake

    @property
    def planned(self) -> int:
        return sum(len(part.planned) for part in self.parts)


class _Recorded:
    """One connection while it is read."""

    def __init__(self, began: int) -> None:
        self.began = began
        self.planned: list[Planned] = []
        self.by_exchange: dict[str, int] = {}
        self.answered: int | None = None
        self.last = began

    def part(self, first: int) -> Part:
        return Part((self.began - first) / 1e9, self.planned, (self.last - self.began) / 1e9)


def read_script(capture: str, spec: Spec, records: Iterable[Record]) -> Script:
    """Everything that those who connected asked for, of the front leg."""
    script, pairing = Script(capture), Pairing(spec, prefix="y")
    seen: dict[str, _Recorded] = {}
    ended: list[_Recorded] = []
    backs: set[str] = set()
    count = 0
    for record in records:
        kind, c = record["k"], record.get("c", "")
        if kind == "open":
            script.addresses |= {str(record[name]) for name in ("peer", "local") if record.get(name)}
            if record.get("leg") == "back":
                backs.add(c)
        if kind not in ("open", "m", "close") or c in backs:
            continue
        if kind == "close":
            backs.discard(c)
            pairing.forget(c)
        here = seen.get(c) or seen.setdefault(c, _Recorded(record["t"]))
        here.last = max(here.last, record["t"])
        if kind == "close":
            ended.append(seen.pop(c))
        elif kind == "m" and count < STEPS_AT_MOST:
            count += _take(script, spec, pairing, here, record)
    found = [here for here in (*ended, *seen.values()) if here.planned]
    first = min((here.began for here in found), default=0)
    script.parts = sorted((here.part(first) for here in found), key=lambda part: part.opens)
    return script


def _take(script: Script, spec: Spec, pairing: Pairing, here: _Recorded, record: Record) -> bool:
    """Whether the telegram is one that will be sent."""
    frame = record["raw"]
    message = message_of(spec, frame)
    if message is None or spec.check_size(frame, message) is not None:
        script.left_out["masked beyond use" if "hmac" in record else "polls" if spec.is_poll(frame) else "not of the spec"] += 1
        return False
    own = pairing.exchange(record["c"], message, frame)
    x = record.get("x") or own or f"n{record['n']}"
    if message.kind == "reply":
        index = here.by_exchange.get(x) if record["d"] == "<" else None
        if index is not None:
            step = here.planned[index].step
            step.answers.append(frame)
            here.answered = index
            step.complete = is_last(step.message, frame)
        return False
    if record["d"] == "<":
        return False  # the host asks: what was learned answers it
    step = Step(record["n"], record["t"], record["c"], x, message, frame)
    here.by_exchange[x] = len(here.planned)
    here.planned.append(Planned(step, (record["t"] - here.began) / 1e9, here.answered))
    return True
