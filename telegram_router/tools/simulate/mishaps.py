"""What faults make of answers: other bytes, other times, other places; pure, one decision after the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from telegram_router.tools.simulate.answering import CannotAnswer, changed
from telegram_router.tools.simulate.gates import Gatekeeper
from telegram_router.tools.simulate.scenario import Do, Fault
from telegram_router.tools.simulate.spoiling import flipped, in_code_page, other_number, spoilt_field, wrong_length

if TYPE_CHECKING:
    from telegram_router.telegrams import Spec
    from telegram_router.tools.simulate.chance import Draws
    from telegram_router.tools.simulate.seen import Seen

PAUSE = 0.02  # between slices, unless a fault says another
ENDING = Literal["fin", "rst", "half_close", "silent"]


@dataclass(slots=True)
class Active:
    """A fault at work: what it does, under which name, and when."""

    fault: Fault
    name: str
    keeper: Gatekeeper

    @property
    def do(self) -> Do:
        return self.fault.do


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly bytes go out."""

    step: int = 1  # bytes at a time
    pause: float = 0.0
    cuts: tuple[int, ...] = ()

    def pieces(self, data: bytes) -> list[bytes]:
        if self.cuts:
            edges = [0, *(cut for cut in sorted(set(self.cuts)) if cut < len(data)), len(data)]
            return [data[begin:end] for begin, end in itertools.pairwise(edges)]
        return [data[at : at + self.step] for at in range(0, len(data), self.step)]


@dataclass(slots=True)
class Out:
    """One frame on its way out."""

    connection: int
    due: float
    frame: bytes
    name: str  # of its message
    rule: str = ""
    faults: tuple[str, ...] = ()
    junk: bytes = b""  # in front of it
    pace: Pace | None = None
    only: int | None = None  # so many bytes of it
    then: ENDING | None = None
    hold: float | None = None  # behind the next one, or so much later
    gather: int = 0  # with so many others in one write
    exchange: str | None = None


@dataclass(slots=True)
class Outcome:
    """What becomes of the answers to one telegram."""

    outs: list[Out]
    ending: ENDING | None = None  # of the connection, instead of any answer
    silent: bool = False
    deaf: bool = False
    half_open: bool = False
    notes: list[str] = field(default_factory=list)


def apply(active: Active, outcome: Outcome, seen: Seen, spec: Spec, draws: Draws, earlier: list[bytes], others: list[int]) -> None:
    """Let one fault happen to the answers. `earlier`: frames that the connection had before."""
    do = active.do
    _to_line(do, outcome)
    if do.never or do.lost:
        outcome.outs.clear()
    if not outcome.outs:
        return
    purpose = active.name
    _in_time(do, outcome)
    try:
        _to_values(do, outcome, seen, spec, draws, purpose)
    except (CannotAnswer, LookupError, ValueError) as why:
        outcome.notes.append(f"fault {active.name} cannot happen to {seen.name}: {why}")
    _to_bytes(do, outcome, seen, draws, purpose)
    _more(do, outcome, seen, spec, draws, purpose, earlier)
    if do.other_connection and others:
        elsewhere = others[draws.word(seen.connection, seen.number, f"{purpose} other") % len(others)]
        outcome.outs = [replace(out, connection=elsewhere) for out in outcome.outs]


def _to_line(do: Do, outcome: Outcome) -> None:
    outcome.silent = outcome.silent or bool(do.silent)
    outcome.deaf = outcome.deaf or bool(do.deaf)
    outcome.half_open = outcome.half_open or bool(do.half_open)
    for how, when in (("rst", do.rst), ("fin", do.fin)):
        if when == "before":
            outcome.ending = how  # type: ignore[assignment]
            outcome.outs.clear()
        elif when == "after" and outcome.outs:
            outcome.outs[-1].then = how  # type: ignore[assignment]
        elif when == "mid" and outcome.outs:
            outcome.outs[-1].only, outcome.outs[-1].then = len(outcome.outs[-1].frame) // 2, how  # type: ignore[assignment]
    if do.half_close and outcome.outs:
        outcome.outs[-1].then = "half_close"
    if do.send_bytes is not None and outcome.outs:
        outcome.outs[0].only, outcome.outs[0].then = do.send_bytes, do.then or "fin"
        del outcome.outs[1:]


def _in_time(do: Do, outcome: Outcome) -> None:
    for out in outcome.outs:
        out.due += do.late or 0.0
        if do.reorder is not None:
            out.hold = do.reorder
        if do.coalesce is not None:
            out.gather = do.coalesce


def _to_values(do: Do, outcome: Outcome, seen: Seen, spec: Spec, draws: Draws, purpose: str) -> None:
    for out in outcome.outs:
        if do.set:
            out.frame = changed(out.frame, spec, do.set, seen, out.due, purpose)
        if do.wrong_key:
            out.frame = other_number(spec, out.frame, draws.word(seen.connection, seen.number, f"{purpose} key"))
        if do.code_page:
            out.frame = in_code_page(spec, out.frame, do.code_page)
        if do.spoil:
            out.frame = spoilt_field(spec, out.frame, do.spoil)
        if do.length:
            out.frame = wrong_length(spec, out.frame, do.length)


def _to_bytes(do: Do, outcome: Outcome, seen: Seen, draws: Draws, purpose: str) -> None:
    for out in outcome.outs:
        if do.flip:
            start = seen.message.spec.framing.prefix if seen.message is not None else 0
            out.frame = flipped(out.frame, start, draws.octets(4 * do.flip, seen.connection, seen.number, f"{purpose} flip"))
        if do.truncate:
            out.frame = out.frame[: max(len(out.frame) - do.truncate, 1)]
        if do.garbage:
            out.junk = draws.octets(do.garbage, seen.connection, seen.number, f"{purpose} garbage")
        if do.slowloris is not None:
            out.pace = Pace(1, do.slowloris)
        elif do.slice is not None:
            out.pace = Pace(pause=do.pause or PAUSE, cuts=do.slice)
        elif do.bandwidth is not None:
            step = max(int(do.bandwidth / 50), 1)
            out.pace = Pace(step, step / do.bandwidth)


def _more(do: Do, outcome: Outcome, seen: Seen, spec: Spec, draws: Draws, purpose: str, earlier: list[bytes]) -> None:
    first = outcome.outs[0]
    again = [replace(first, due=first.due + number * (do.duplicate_after or 0.0)) for number in range(1, (do.duplicate or 0) + 1)]
    if do.unsolicited:
        again.append(
            replace(first, frame=other_number(spec, first.frame, draws.word(seen.connection, seen.number, f"{purpose} unsolicited")))
        )
    if do.stale and earlier:
        again.append(replace(first, frame=earlier[draws.word(seen.connection, seen.number, f"{purpose} stale") % len(earlier)]))
    outcome.outs += [replace(out, then=None, only=None) for out in again]
    if again and first.then:
        outcome.outs[-1].then, first.then = first.then, None
