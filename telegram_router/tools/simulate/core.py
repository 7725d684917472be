"""A simulated host or client, without a socket: bytes and the time go in, actions come out."""

# Rules this file keeps, all of them tested:
#
# 1. What happens to message 17 of connection 3 follows from the seed and from what came on connection 3 before it: not from the
#    timing, not from other connections, not from rules that do not concern it. Only stores, counters and machines are shared.
# 2. Whatever a peer sends, nothing is raised: it is noted, answered as the scenario says, and costs that connection at most.
# 3. Everything that is kept has a bound; what must be forgotten is counted.

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from telegram_router.errors import FramingError
from telegram_router.storage import capture_records as capture
from telegram_router.telegrams import Framer
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.recorded import message_of
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.actions import Action, Deafen
from telegram_router.tools.simulate.answering import CannotAnswer, pushed
from telegram_router.tools.simulate.course import Course
from telegram_router.tools.simulate.expectations import Happened
from telegram_router.tools.simulate.gates import Gatekeeper, identity_of
from telegram_router.tools.simulate.journal import Entry
from telegram_router.tools.simulate.lines import Line
from telegram_router.tools.simulate.mishaps import Active, Out, Outcome, apply
from telegram_router.tools.simulate.outgoing import Outgoing
from telegram_router.tools.simulate.rulebook import Rulebook
from telegram_router.tools.simulate.scenario import Fault
from telegram_router.tools.simulate.seen import Seen
from telegram_router.tools.simulate.verdict import Judged
from telegram_router.tools.simulate.world import Prepared, World

if TYPE_CHECKING:
    from telegram_router.tools.simulate.playing import Playing

_CONNECTING: Final = frozenset({"refuse", "never_accept", "accept", "tls", "idle_drop"})
_LASTING: Final = frozenset({"deaf", "silent", "half_open", "no_heartbeat"})


class Simulation:
    """One simulator. `now` is any clock's seconds, never going back; `start` is the date and time that it has then."""

    def __init__(self, prepared: Prepared, seed: int, now: float, start: datetime.datetime, *, recording: bool = False) -> None:
        self.prepared = prepared
        self.spec = prepared.spec
        self.seed = seed
        self.world = World(prepared, seed, now, start)
        self._course = Course(prepared, now, recording)
        self.journal = self._course.journal
        self.verdict = self._course.verdict
        self._scenario = prepared.scenario
        self._about = prepared.scenario.scenario
        self.lines: dict[int, Line] = {}
        self._connections = 0
        self._pairing = Pairing(prepared.spec)
        self._taken: set[str] = set()
        self._rulebook = Rulebook(prepared, self.world, self._course, self._taken)
        self._outgoing = Outgoing(prepared.spec, self.world, self._course, self.lines)
        self.faults: list[Active] = []
        for fault in self._scenario.fault:
            self.add_fault(fault)
        self.standby_open = False
        self.playing: Playing | None = None
        if prepared.script is not None:
            from telegram_router.tools.simulate.playing import Playing  # which brings all that compares answers

            self.playing = Playing(prepared.script, self.spec, self._course, self._pairing, self._outgoing.schedule)

    # --- what the driver asks -------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The latest time that it was told."""
        return self._course.now

    def take(self) -> list[Action]:
        """What is to be done, once."""
        return self._course.take()

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        return self._course.next_at

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._course.tick(now)

    def door(self, now: float) -> str:
        """Whether to listen at all: `open`, `refuse`, or `never_accept`."""
        for active in self.faults:
            if (active.do.refuse or active.do.never_accept) and active.keeper.in_time(now, self.world.wall):
                return "refuse" if active.do.refuse else "never_accept"
        return "open"

    def door_changes_at(self, now: float) -> float | None:
        """When it may be another."""
        times = [active.keeper.changes_at(now) for active in self.faults if active.do.refuse or active.do.never_accept]
        return min((at for at in times if at is not None), default=None)

    # --- connections ----------------------------------------------------------------------------------------------

    def connected(
        self,
        now: float,
        peer: str = "",
        local: str = "",
        *,
        standby: bool = False,
        tls: dict[str, Any] | None = None,
        part: int | None = None,
        number: int | None = None,
    ) -> int:
        """A connection was made; its number, from 1. What is to be done with it comes with the actions.

        `number`: the one that it was given when it began. `part`: the recorded connection that it stands for, where a client sends
        what a capture has.
        """
        self._course.reach(now)
        number = self.number_connection() if number is None else number
        framer = Framer(self.spec.framing, max_frame=self._about.max_frame)
        line = self.lines[number] = Line(number, framer, now, now, peer, idle=self._scenario.sessions.idle)
        self.journal.record(capture.opened(self._course.time_of(now), f"c{number}", leg="front", peer=peer, local=local, tls=tls))
        if self._turned_away(line, standby):
            return number
        for active in self.faults:
            if active.fault.match is None and self._concerns_connections(active.do) and self._opens(active, line, 0):
                self._strike(active, line)
        if line.number in self.lines and not line.ended:
            self._start_line(line)
            if self.playing is not None and part is not None:
                self.playing.begin(line, part)
        return number

    def _turned_away(self, line: Line, standby: bool) -> bool:
        sessions = self._scenario.sessions
        if standby and not self.standby_open:
            self._course.note(f"c{line.number} came to the standby port and was closed")
            self._course.end(line, "fin")
        elif sessions.most is not None and sum(not each.ended for each in self.lines.values()) > sessions.most:
            self._course.note(f"c{line.number} was one too many: at most {sessions.most}")
            self._course.end(line, "fin" if sessions.over == "close" else "rst")
        return line.ended

    def _start_line(self, line: Line) -> None:
        for index, push in enumerate(self._scenario.push):
            if push.conn is None or line.number in push.conn:
                self._course.later(self._course.now + push.after, lambda push=push, index=index: self._push(line, push, index, 1))  # type: ignore[misc]
        heartbeat = self._scenario.sessions.heartbeat
        if heartbeat is not None:
            self._course.later(self._course.now + heartbeat.every, lambda: self._heartbeat(line, heartbeat))
        if line.idle is not None:
            self._course.later(self._course.now + line.idle, lambda: self._look_idle(line))

    def _concerns_connections(self, do: model.Do) -> bool:
        words = set(do.words)
        return bool(words) and words <= _CONNECTING | _LASTING and not words & {"refuse", "never_accept", "tls"}

    def _strike(self, active: Active, line: Line) -> None:
        """A fault that happens to a connection as it is made."""
        do = active.do
        self._tell_fault(active, line, 0, "the connection")
        if do.accept is not None:
            self._course.end(line, "fin" if do.accept == "close" else "rst")
        elif do.half_open:
            self._course.end(line, "vanish")
        if do.deaf:
            self._deafen(line)
        line.silent = line.silent or bool(do.silent)
        line.no_heartbeat = line.no_heartbeat or bool(do.no_heartbeat)
        line.idle = do.idle_drop or line.idle

    def handshake(self, number: int, now: float) -> str | None:
        """Before TLS begins on a connection of that number: `stall`, `wrong`, `expired`, or None."""
        counts: dict[str, int] = {}
        for active in self.faults:
            if active.do.tls is not None and active.keeper.opens(number, 0, counts, now, self.world.wall):
                self._course.note(f"fault {active.name}: TLS {active.do.tls} on c{number}")
                return active.do.tls
        return None

    def number_connection(self) -> int:
        """The number of a connection that is being made, from 1. It stays taken when nothing comes of it."""
        self._connections += 1
        return self._connections

    def gone(self, number: int, how: str, now: float) -> None:
        """The other side ended a connection, `fin` or `rst`, or it is over altogether: `us`."""
        self._course.reach(now)
        line = self.lines.pop(number, None)
        if line is None:
            return
        by = "us" if how == "us" else self._course.came
        ended = how if how in ("fin", "rst") else "fin"
        self.journal.record(capture.closed(self._course.time_of(now), f"c{number}", by=by, how=ended, pending=line.framer.pending))  # type: ignore[arg-type]
        done = self.playing is None or self.playing.gone(number)
        if self._about.role == "client" and how != "us" and not line.ended and self._about.again is None and not (self.playing and done):
            self.journal.counts["links_lost"] += 1
            self._course.note(f"c{number}: the link was lost ({'reset' if how == 'rst' else 'ended'} by the other side)")
        self.world.forget(number)
        self._pairing.forget(line)
        self._rulebook.forget(number)

    # --- telegrams that come --------------------------------------------------------------------------------------

    def received(self, number: int, data: bytes, now: float) -> None:
        """Bytes came on a connection."""
        self._course.reach(now)
        line = self.lines.get(number)
        if line is None or line.ended or line.deaf:
            return
        try:
            line.framer.feed(data)
            while not line.ended and not line.deaf and (frames := line.framer.take()):
                for frame in frames:
                    if not line.ended:
                        self._telegram(line, frame)
        except FramingError as lost:
            self._lost(line, lost, data)
            return
        if line.framer.pending and not line.ended:
            self._answer_early(line, data)

    def _lost(self, line: Line, lost: FramingError, data: bytes) -> None:
        self.journal.counts["framing_lost"] += 1
        if self._about.role == "client" and self._about.again is None:
            self.journal.counts["links_lost"] += 1
        self._course.note(f"c{line.number}: {lost.text()}")
        self.journal.record(capture.junk(self._course.time_of(self._course.now), f"c{line.number}", self._course.came, data, err=lost.code))
        self._course.end(line, "fin")

    def _telegram(self, line: Line, frame: bytes) -> None:
        line.telegrams += 1
        line.heard = self._course.now
        line.unanswered = 0
        message = message_of(self.spec, frame)
        seen = Seen(self.world, self.spec, message, frame, line.number, line.telegrams, self._course.now)
        if message is None and self.spec.is_poll(frame):
            self._poll(line, seen)
            return
        answered_early, line.begun = line.begun, False
        is_reply = message is not None and message.kind == "reply"
        happening = [] if is_reply and not self._any_fault_for_replies else self._happening(line, seen)
        lost = any(each.do.lost for each in happening)
        refused = None if is_reply or lost else self._rulebook.refusal(line, seen)
        rule = None if lost or refused is not None else self._rulebook.rule_for(line, seen)
        seen.rule = rule[1] if rule is not None else ""
        exchange = self._came(line, seen, happening)
        if lost:
            return
        if refused is not None:
            outs = self._rulebook.instead(line, seen, refused, "not open")
        else:
            outs = [] if answered_early else self._rulebook.answers(line, seen, rule, is_reply)
        for out in outs:
            out.exchange = exchange
        self._suffer(line, seen, happening, outs)
        if refused is None:
            self.world.move_on(seen)

    @property
    def _any_fault_for_replies(self) -> bool:
        return any(active.fault.match is not None for active in self.faults)

    def _happening(self, line: Line, seen: Seen) -> list[Active]:
        """The faults that this telegram meets."""
        found = []
        for active in self.faults:
            if active.fault.match is None and (
                self._concerns_connections(active.do) or active.do.refuse or active.do.never_accept or active.do.tls
            ):
                continue
            if active.do.early and line.begun:
                continue
            if (active.fault.match is None or active.fault.match.holds(seen)) and self._opens(active, line, line.telegrams):
                self._tell_fault(active, line, line.telegrams, seen.name)
                found.append(active)
        return found

    def _came(self, line: Line, seen: Seen, happening: Iterable[Active]) -> str | None:
        names = tuple(word for active in happening for word in (*active.do.words, *((active.fault.name,) if active.fault.name else ())))
        entry = Entry(
            self._course.now, line.number, line.telegrams, False, seen.message.name if seen.message else "", seen.frame, seen.rule, names
        )
        self.journal.add(entry)
        self.verdict.see(Happened(seen, entry.message, line.number, line.telegrams, self._course.now, False, names, seen.rule))
        exchange = self._pairing.exchange(line, seen.message, seen.frame) if self.journal.recording or self.playing is not None else None
        self._course.keep(line, self._course.came, seen.frame, x=exchange, msg=entry.message or None)
        if self.playing is not None and seen.message is not None and seen.message.kind == "reply":
            self.playing.answered(line, exchange, seen.frame)
        return exchange

    # --- faults ---------------------------------------------------------------------------------------------------

    def add_fault(self, fault: Fault) -> str:
        """Let another fault happen from now on; its name."""
        identity = identity_of("fault", fault.name, fault, self._taken)
        name = fault.name or " ".join(fault.do.words)
        self.faults.append(Active(fault, name, Gatekeeper(fault, identity, self.world.draws, self._course.began)))
        return name

    def clear_faults(self, name: str | None = None) -> int:
        """Take faults away, all or those of a name; how many they were."""
        kept = [active for active in self.faults if name is not None and active.name != name]
        gone = len(self.faults) - len(kept)
        self.faults = kept
        return gone

    def _opens(self, active: Active, line: Line, message: int) -> bool:
        return active.keeper.opens(line.number, message, line.counts, self._course.now, self.world.wall)

    def _tell_fault(self, active: Active, line: Line, number: int, what: str) -> None:
        self.journal.counts["faults"] += 1
        where = f"c{line.number}" + (f" message {number} ({what})" if number else "")
        self._course.note(f"fault {active.name}: {' '.join(active.do.words)} on {where}", fault=active.name, c=f"c{line.number}")

    def _suffer(self, line: Line, seen: Seen, happening: list[Active], outs: list[Out]) -> None:
        outcome = Outcome(outs)
        others = [each.number for each in self.lines.values() if each.number != line.number and not each.ended] if happening else []
        for active in happening:
            line.no_heartbeat = line.no_heartbeat or bool(active.do.no_heartbeat)
            for out in outcome.outs:
                out.faults = (*out.faults, *active.do.words)
            apply(active, outcome, seen, self.spec, self.world.draws, [*line.earlier], others)
        for note in outcome.notes:
            self._course.trouble(note)
        if outcome.half_open:
            self._course.end(line, "vanish")
        elif outcome.ending is not None:
            self._course.finish(line, outcome.ending)
        if outcome.deaf:
            self._deafen(line)
        if outcome.silent:
            line.silent = True
        for out in outcome.outs:
            line.earlier.append(out.frame)
            self._outgoing.schedule(out)

    def _answer_early(self, line: Line, data: bytes) -> None:
        """The fault `early`: the header of a telegram is there, and the rest is not."""
        active = next((each for each in self.faults if each.do.early), None)
        front = line.framer.front if active is not None and not line.begun else b""
        if active is None or len(front) < self.spec.framing.prefix + self.spec.header_size:
            return
        message = self.spec.message_of(front)
        if message is None or message.reply.message is None or message.frame_size is None:
            return
        whole = front + b" " * (message.frame_size - len(front) - self.spec.framing.suffix)
        seen = Seen(self.world, self.spec, message, whole, line.number, line.telegrams + 1, self._course.now)
        if (active.fault.match is None or active.fault.match.holds(seen)) and self._opens(active, line, line.telegrams + 1):
            self._tell_fault(active, line, line.telegrams + 1, seen.name)
            line.begun = True
            for out in self._rulebook.error(line, seen, "E-RTE-01", "early", self._course.now):
                out.faults = ("early",)
                self._outgoing.schedule(out)

    def forwarded(self, number: int, frame: bytes, now: float) -> None:
        """Somebody else has answered, or asks."""
        self._course.reach(now)
        line, message = self.lines.get(number), message_of(self.spec, frame)
        exchange = self._pairing.exchange(line, message, frame) if line is not None and self.journal.recording else None
        name = message.name if message is not None else ""
        self._outgoing.schedule(Out(number, now, frame, name, "forwarded", exchange=exchange))

    def owes(self, number: int) -> int:
        """Answers of a connection that are still to come."""
        line = self.lines.get(number)
        return 0 if line is None else line.owed

    def _deafen(self, line: Line) -> None:
        if not line.deaf:
            line.deaf = True
            self._course.do(Deafen(line.number))

    # --- by itself ------------------------------------------------------------------------------------------------

    def _poll(self, line: Line, seen: Seen) -> None:
        self.journal.counts["polls"] += 1
        self._course.keep(line, self._course.came, seen.frame)
        missing = line.no_heartbeat
        for active in self.faults:
            if active.do.no_heartbeat and (active.fault.match is None or active.fault.match.holds(seen)):
                missing = missing or self._opens(active, line, line.telegrams)
        reply = self.spec.poll_answer(seen.frame) if self._about.polls and not missing and not line.silent else None
        if reply is not None:
            self._course.keep(line, self._course.went, reply)
            self._outgoing.send(line, reply)

    def _push(self, line: Line, push: model.Push, index: int, times: int) -> None:
        if line.number not in self.lines or line.ended:
            return
        name = push.name or f"push {index + 1}"
        seen = Seen(self.world, self.spec, None, b"", line.number, times, self._course.now)
        if push.when is None or push.when.holds(seen):
            try:
                frame = pushed(push, seen, self.spec, self._course.now, self.seed)
            except CannotAnswer as why:
                self._course.trouble(f"{name}: {push.msg} cannot be made: {why}")
                return
            exchange = self._pairing.exchange(line, self.spec.messages[push.msg], frame) if self.journal.recording else None
            self._outgoing.schedule(Out(line.number, self._course.now, frame, push.msg, name, exchange=exchange))
        elif push.every is None:
            self._course.later(self._course.now + 0.1, lambda: self._push(line, push, index, times))  # it waits for what it depends on
            return
        else:
            times -= 1  # this one did not take place
        if push.every is not None and times < (push.count or math.inf):
            self._course.later(self._course.now + push.every, lambda: self._push(line, push, index, times + 1))

    def _heartbeat(self, line: Line, heartbeat: model.Heartbeat) -> None:
        if line.number not in self.lines or line.ended:
            return
        silent_for = self._course.now - line.heard
        if silent_for < heartbeat.every and not line.unanswered:
            self._course.later(line.heard + heartbeat.every, lambda: self._heartbeat(line, heartbeat))
            return
        if line.unanswered >= heartbeat.missing:
            self._course.note(f"c{line.number}: {line.unanswered} heartbeats were not answered")
            self._course.end(line, "fin")
            return
        line.unanswered += 1
        if not line.no_heartbeat:
            push = model.Push.model_construct(msg=heartbeat.msg, set=heartbeat.values, name="heartbeat")
            self._push(line, push, -1, line.unanswered)
        self._course.later(self._course.now + heartbeat.every, lambda: self._heartbeat(line, heartbeat))

    def _look_idle(self, line: Line) -> None:
        if line.number not in self.lines or line.ended or line.idle is None:
            return
        if self._course.now - line.heard >= line.idle:
            self._course.note(f"c{line.number} was silent for {line.idle:g} s and was closed")
            self._course.end(line, "fin")
        else:
            self._course.later(line.heard + line.idle, lambda: self._look_idle(line))

    # --- from outside ---------------------------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Counts, for people and scripts."""
        journal = self.journal
        return {
            "seed": self.seed,
            "connections": {"made": self._connections, "open": sum(not line.ended for line in self.lines.values())},
            "received": dict(journal.came),
            "sent": dict(journal.went),
            "counts": dict(journal.counts),
            "rules": self._rulebook.times,
            "faults": {active.name: active.keeper.times for active in self.faults},
            "notes": [*journal.notes][-20:],
        } | ({"requests": self.playing.shown()} if self.playing is not None else {})

    def judged(self, now: float) -> list[Judged]:
        """Every expectation, as of now."""
        return self.verdict.end(now) + ([self.playing.judged()] if self.playing is not None else [])

    def reset(self) -> None:
        """As at the beginning, but for the connections: state, what is remembered, counts and expectations."""
        self.world.reset()
        self.journal.clear()
        self.verdict.reset()
        self._rulebook.reset()
