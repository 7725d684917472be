"""A simulated host or client, without a socket: bytes and the time go in, actions come out."""

# Rules this file keeps, all of them tested:
#
# 1. What happens to message 17 of connection 3 follows from the seed and from what came on connection 3 before it: not from the
#    timing, not from other connections, not from rules that do not concern it. Only stores, counters and machines are shared.
# 2. Whatever a peer sends, nothing is raised: it is noted, answered as the scenario says, and costs that connection at most.
# 3. Everything that is kept has a bound; what must be forgotten is counted.

from __future__ import annotations

import datetime
import heapq
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import NormalDist
from typing import Any, Final

from telegram_router.errors import Delivery, FramingError
from telegram_router.storage import capture_records as capture
from telegram_router.telegrams import Framer
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.recorded import message_of
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.actions import Action, Deafen, End, Forward, How, Send
from telegram_router.tools.simulate.answering import CannotAnswer, answer, pushed
from telegram_router.tools.simulate.expectations import Happened
from telegram_router.tools.simulate.gates import Gatekeeper, identity_of, within
from telegram_router.tools.simulate.journal import Entry, Journal
from telegram_router.tools.simulate.lines import Line
from telegram_router.tools.simulate.mishaps import ENDING, Active, Out, Outcome, apply
from telegram_router.tools.simulate.scenario import Fault, Reply, Rule
from telegram_router.tools.simulate.seen import Seen
from telegram_router.tools.simulate.states import Fading
from telegram_router.tools.simulate.templates import NoValue
from telegram_router.tools.simulate.verdict import Verdict
from telegram_router.tools.simulate.world import Prepared, World

WAITING_AT_MOST: Final = 200_000  # answers, pieces and timers that are due later
GATHER_FOR: Final = 1.0  # seconds that answers are held back to be written together
STANDARD_99: Final = 2.3263478740408408  # standard deviations to the 99th percentile

_CONNECTING: Final = frozenset({"refuse", "never_accept", "accept", "tls", "idle_drop"})
_LASTING: Final = frozenset({"deaf", "silent", "half_open", "no_heartbeat"})


class Simulation:
    """One simulator. `now` is any clock's seconds, never going back; `start` is the date and time that it has then."""

    def __init__(self, prepared: Prepared, seed: int, now: float, start: datetime.datetime, *, recording: bool = False) -> None:
        self.prepared = prepared
        self.spec = prepared.spec
        self.seed = seed
        self.world = World(prepared, seed, now, start)
        self.journal = Journal(prepared.spec, prepared.scenario.scenario.journal, recording)
        self.verdict = Verdict(prepared)
        self._scenario = prepared.scenario
        self._about = prepared.scenario.scenario
        self._began = now
        self.now = now
        self._in: capture.Direction = ">" if self._about.role == "host" else "<"  # of captures: `>` is from the side that connected
        self._out: capture.Direction = "<" if self._about.role == "host" else ">"
        self.lines: dict[int, Line] = {}
        self._connections = 0
        self._actions: list[Action] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # a heap; at most WAITING_AT_MOST
        self._order = itertools.count()
        self._pairing = Pairing(prepared.spec)
        taken: set[str] = set()
        self._rules = [
            (rule, rule.name or f"rule {number}", Gatekeeper(rule, identity_of("rule", rule.name, rule, taken), self.world.draws, now))
            for number, rule in enumerate(self._scenario.rule, 1)
        ]
        self._taken = taken
        self._used: dict[int, dict[object, int]] = {}
        self.faults: list[Active] = []
        for fault in self._scenario.fault:
            self.add_fault(fault)
        self._memory: Fading[tuple[bytes, ...]] | None = None
        if self._scenario.memory is not None:
            self._memory = Fading(self._scenario.memory.most, self._scenario.memory.lasts)
        self._busy_until = now
        self.standby_open = False

    # --- what the driver asks -------------------------------------------------------------------------------------

    def take(self) -> list[Action]:
        """What is to be done, once."""
        actions, self._actions = self._actions, []
        return actions

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        return self._due[0][0] if self._due else None

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._at(now)
        while self._due and self._due[0][0] <= now:
            at, _, do = heapq.heappop(self._due)
            self.now = max(self.now, min(at, now))
            do()
        self.now = now

    def door(self, now: float) -> str:
        """Whether to listen at all: `open`, `refuse`, or `never_accept`."""
        wall = self.world.wall(now)
        for active in self.faults:
            if (active.do.refuse or active.do.never_accept) and active.keeper.in_time(now, wall):
                return "refuse" if active.do.refuse else "never_accept"
        return "open"

    def door_changes_at(self, now: float) -> float | None:
        """When it may be another."""
        times = [active.keeper.changes_at(now) for active in self.faults if active.do.refuse or active.do.never_accept]
        return min((at for at in times if at is not None), default=None)

    # --- connections ----------------------------------------------------------------------------------------------

    def connected(self, now: float, peer: str = "", local: str = "", *, standby: bool = False, tls: dict[str, Any] | None = None) -> int:
        """A connection was made; its number, from 1. What is to be done with it comes with the actions."""
        self._at(now)
        self._connections += 1
        number = self._connections
        framer = Framer(self.spec.framing, max_frame=self._about.max_frame)
        line = self.lines[number] = Line(number, framer, now, now, peer, idle=self._scenario.sessions.idle)
        self.journal.record(capture.opened(self.time_of(now), f"c{number}", leg="front", peer=peer, local=local, tls=tls))
        if self._turned_away(line, standby):
            return number
        for active in self.faults:
            if active.fault.match is None and self._concerns_connections(active.do) and self._opens(active, line, 0):
                self._strike(active, line)
        if line.number in self.lines and not line.ended:
            self._start_line(line)
        return number

    def _turned_away(self, line: Line, standby: bool) -> bool:
        sessions = self._scenario.sessions
        if standby and not self.standby_open:
            self._note(f"c{line.number} came to the standby port and was closed")
            self._end(line, "fin")
        elif sessions.most is not None and sum(not each.ended for each in self.lines.values()) > sessions.most:
            self._note(f"c{line.number} was one too many: at most {sessions.most}")
            self._end(line, "fin" if sessions.over == "close" else "rst")
        return line.ended

    def _start_line(self, line: Line) -> None:
        for index, push in enumerate(self._scenario.push):
            if push.conn is None or line.number in push.conn:
                self._later(self.now + push.after, lambda push=push, index=index: self._push(line, push, index, 1))  # type: ignore[misc]
        heartbeat = self._scenario.sessions.heartbeat
        if heartbeat is not None:
            self._later(self.now + heartbeat.every, lambda: self._heartbeat(line, heartbeat))
        if line.idle is not None:
            self._later(self.now + line.idle, lambda: self._look_idle(line))

    def _concerns_connections(self, do: model.Do) -> bool:
        words = set(do.words)
        return bool(words) and words <= _CONNECTING | _LASTING and not words & {"refuse", "never_accept", "tls"}

    def _strike(self, active: Active, line: Line) -> None:
        """A fault that happens to a connection as it is made."""
        do = active.do
        self._tell_fault(active, line, 0, "the connection")
        if do.accept is not None:
            self._end(line, "fin" if do.accept == "close" else "rst")
        elif do.half_open:
            self._end(line, "vanish")
        if do.deaf:
            self._deafen(line)
        line.silent = line.silent or bool(do.silent)
        line.no_heartbeat = line.no_heartbeat or bool(do.no_heartbeat)
        line.idle = do.idle_drop or line.idle

    def handshake(self, number: int, now: float) -> str | None:
        """Before TLS begins on a connection of that number: `stall`, `wrong`, `expired`, or None."""
        wall = self.world.wall(now)
        counts: dict[str, int] = {}
        for active in self.faults:
            if active.do.tls is not None and active.keeper.opens(number, 0, counts, now, wall):
                self._note(f"fault {active.name}: TLS {active.do.tls} on c{number}")
                return active.do.tls
        return None

    @property
    def next_connection(self) -> int:
        """The number that the next connection gets."""
        return self._connections + 1

    def gone(self, number: int, how: str, now: float) -> None:
        """The other side ended a connection, `fin` or `rst`, or it is over altogether: `us`."""
        self._at(now)
        line = self.lines.pop(number, None)
        if line is None:
            return
        by = "us" if how == "us" else self._in
        ended = how if how in ("fin", "rst") else "fin"
        self.journal.record(capture.closed(self.time_of(now), f"c{number}", by=by, how=ended, pending=line.framer.pending))  # type: ignore[arg-type]
        self.world.forget(number)
        self._pairing.forget(line)
        self._used.pop(number, None)

    # --- telegrams that come --------------------------------------------------------------------------------------

    def received(self, number: int, data: bytes, now: float) -> None:
        """Bytes came on a connection."""
        self._at(now)
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
        self._note(f"c{line.number}: {lost.text()}")
        self.journal.record(capture.junk(self.time_of(self.now), f"c{line.number}", self._in, data, err=lost.code))
        self._end(line, "fin")

    def _telegram(self, line: Line, frame: bytes) -> None:
        line.telegrams += 1
        line.heard = self.now
        line.unanswered = 0
        message = message_of(self.spec, frame)
        seen = Seen(self.world, self.spec, message, frame, line.number, line.telegrams, self.now)
        if message is None and self.spec.is_poll(frame):
            self._poll(line, seen)
            return
        answered_early, line.begun = line.begun, False
        is_reply = message is not None and message.kind == "reply"
        happening = [] if is_reply and not self._any_fault_for_replies else self._happening(line, seen)
        lost = any(each.do.lost for each in happening)
        refused = None if is_reply or lost else self._session_refuses(line, seen)
        rule = None if lost or refused is not None else self._rule_for(line, seen)
        seen.rule = rule[1] if rule is not None else ""
        exchange = self._came(line, seen, happening)
        if lost:
            return
        if refused is not None:
            outs = self._special(line, seen, refused, "not open")
        else:
            outs = [] if answered_early else self._answers(line, seen, rule, is_reply)
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
        entry = Entry(self.now, line.number, line.telegrams, False, seen.message.name if seen.message else "", seen.frame, seen.rule, names)
        self.journal.add(entry)
        self.verdict.see(Happened(seen, line.number, line.telegrams, self.now, False, names, seen.rule))
        exchange = self._pairing.exchange(line, seen.message, seen.frame) if self.journal.recording else None
        self.journal.record(
            capture.telegram(self.time_of(self.now), f"c{line.number}", self._in, seen.frame, x=exchange, msg=entry.message or None)
        )
        return exchange

    # --- what is answered -----------------------------------------------------------------------------------------

    def _rule_for(self, line: Line, seen: Seen) -> tuple[Rule, str] | None:
        wall = self.world.wall(self.now)
        for rule, name, keeper in self._rules:
            if rule.match.holds(seen) and keeper.opens(line.number, line.telegrams, line.counts, self.now, wall):
                return rule, name
        return None

    def _answers(self, line: Line, seen: Seen, rule: tuple[Rule, str] | None, is_reply: bool) -> list[Out]:
        due = self._served_at(line, seen, is_reply)
        if due is None:
            assert self._scenario.limits is not None
            return self._special(line, seen, self._scenario.limits.full, "no room")
        key = None if is_reply else self._memory_key(seen)
        if key is not None:
            again = self._again(line, seen, key, due)
            if again is not None:
                return again
        if rule is None:
            return [] if is_reply else self._remember(key, self._missed(line, seen, due))
        return self._remember(key, self._by_rule(line, seen, *rule, due))

    def _by_rule(self, line: Line, seen: Seen, rule: Rule, name: str, due: float) -> list[Out]:
        due += self._delay(rule.delay, seen, name)
        if self._about.order == "fifo":
            due = line.last_due = max(due, line.last_due)
        for path, value in rule.update.items():
            try:
                self.world.update(path, value, seen, self.now)
            except NoValue as missing:
                self._trouble(f"{name}: {path} cannot be changed: nothing is called {missing}")
        outs = []
        for reply in self._replies(rule, seen, name):
            out = self._made(line, seen, reply, name, due + (reply.after or 0.0))
            if out is not None:
                outs.append(out)
        if rule.close is not None:
            if outs:
                outs[-1].then = rule.close
            else:
                self._later(due, lambda: self._end(line, rule.close or "fin"))
        for machine, state in rule.go.items():
            self.world.go(machine, state, seen)
        return outs

    def _replies(self, rule: Rule, seen: Seen, name: str) -> Iterable[Reply]:
        if rule.call is None:
            return rule.reply or ()
        hook = getattr(self.prepared.hooks, rule.call)
        try:
            made = hook(seen, self.world)
            return () if made is None else (Reply.model_validate(made),)
        except Exception as error:  # somebody else's code
            self._trouble(f"{name}: {rule.call} raised {type(error).__name__}")
            return ()

    def _made(self, line: Line, seen: Seen, reply: Reply, name: str, due: float) -> Out | None:
        try:
            frame = answer(reply, seen, self.spec, due, self.prepared.recorded, name)
        except CannotAnswer as why:
            self._trouble(f"{name}: the answer to {seen.name} cannot be made: {why}")
            return None
        made = message_of(self.spec, frame)
        return Out(line.number, due, frame, made.name if made is not None else "", name)

    def _special(self, line: Line, seen: Seen, what: Reply | str, name: str) -> list[Out]:
        """What a request gets that is not served."""
        self.journal.counts[name.replace(" ", "_")] += 1
        if isinstance(what, Reply):
            out = self._made(line, seen, what, name, self.now)
            return [] if out is None else [out]
        if what == "close":
            self._end(line, "fin")
        elif what == "error":
            return self._error(line, seen, "E-TXN-03" if name == "not open" else "E-LIM-01", name, self.now)
        return []

    def _error(self, line: Line, seen: Seen, code: str, name: str, due: float) -> list[Out]:
        frame = self.spec.error_reply(seen.frame, code, Delivery.NOT_SENT)
        if frame is None:
            return []
        made = message_of(self.spec, frame)
        return [Out(line.number, due, frame, made.name if made is not None else "", name)]

    def _session_refuses(self, line: Line, seen: Seen) -> Reply | str | None:
        sessions = self._scenario.sessions
        if sessions.hours is not None and not within(sessions.hours, self.world.wall(self.now)):
            return sessions.refused
        if sessions.log_on is not None:
            if sessions.log_on.holds(seen):
                line.logged_on = True
            elif not line.logged_on:
                return sessions.refused
            if sessions.log_off is not None and sessions.log_off.holds(seen):
                line.logged_on = False
        return None

    def _served_at(self, line: Line, seen: Seen, is_reply: bool) -> float | None:
        """When the host comes to this request; None when too many wait."""
        limits = self._scenario.limits
        if limits is None or is_reply:
            return self.now
        begins = max(self.now, self._busy_until)
        if (begins - self.now) * limits.rate > limits.queue + 1e-9:
            return None
        self._busy_until = begins + 1 / limits.rate
        return begins

    def _memory_key(self, seen: Seen) -> str | None:
        memory = self._scenario.memory
        if memory is None or (memory.match is not None and not memory.match.holds(seen)):
            return None
        return seen.key(memory.key)

    def _again(self, line: Line, seen: Seen, key: str, due: float) -> list[Out] | None:
        assert self._memory is not None and self._scenario.memory is not None
        known = self._memory.get(key, self.now)
        if known is None:
            return None
        self.journal.counts["asked_again"] += 1
        again = self._scenario.memory.again
        if again == "silent":
            return []
        if isinstance(again, Reply):
            out = self._made(line, seen, again, "memory", due)
            return [] if out is None else [out]
        return [Out(line.number, due, frame, self._name_of(frame), "memory") for frame in known]

    def _remember(self, key: str | None, outs: list[Out]) -> list[Out]:
        if key is not None and self._memory is not None and outs:
            self._memory.put(key, tuple(out.frame for out in outs), self.now)
        return outs

    def _name_of(self, frame: bytes) -> str:
        message = message_of(self.spec, frame)
        return message.name if message is not None else ""

    # --- what no rule is for --------------------------------------------------------------------------------------

    def _missed(self, line: Line, seen: Seen, due: float) -> list[Out]:
        learned = self.prepared.learned
        if learned is not None and seen.message is not None:
            found = learned.find(seen.message, seen.frame, self._used.setdefault(line.number, {}))
            if found is not None:
                return [Out(line.number, due, frame := learned.reply(found, seen.frame), self._name_of(frame), "learned")]
        if seen.message is not None and seen.message.reply.kind == "none":
            return []
        self.journal.counts["missed"] += 1
        on_miss = self._about.on_miss
        nearest = self._nearest(seen)
        self._note(f"no rule for {seen.name} (c{line.number} message {seen.number}){nearest[1]}")
        if on_miss.startswith("forward:"):
            self._actions.append(Forward(line.number, seen.frame))
            return []
        if on_miss == "nearest":
            return self._by_nearest(line, seen, nearest[0], due)
        return self._error(line, seen, "E-RTE-01", "miss", due) if on_miss == "error" else []

    def _nearest(self, seen: Seen) -> tuple[Rule | None, str]:
        """The rule that lacks least, and what it lacks, in words without values."""
        best: tuple[float, int] | None = None
        for index, (rule, _, _) in enumerate(self._rules):
            missed = rule.match.missed(seen)
            lacks = len(missed) / max(rule.match.size, 1) + (1 if any(test.startswith("msg") for test in missed) else 0)
            if best is None or lacks < best[0]:
                best = lacks, index
        if best is None:
            return None, self._nearest_learned(seen)
        rule, name, _ = self._rules[best[1]]
        missed = rule.match.missed(seen)
        why = f"does not hold: {', '.join(missed)}" if missed else "holds, but took no part: its rate, count or schedule"
        return rule, f"; nearest is {name!r} ({self.prepared.place('rule', best[1])}): {why}"

    def _nearest_learned(self, seen: Seen) -> str:
        learned = self.prepared.learned
        near = learned.nearest(seen.message, seen.frame) if learned is not None and seen.message is not None else None
        return "" if near is None else f"; the nearest of the capture differs in {', '.join(near[1][:5])}"

    def _by_nearest(self, line: Line, seen: Seen, rule: Rule | None, due: float) -> list[Out]:
        learned = self.prepared.learned
        near = learned.nearest(seen.message, seen.frame) if learned is not None and seen.message is not None else None
        if near is not None and learned is not None:
            return [Out(line.number, due, frame := learned.reply(near[0], seen.frame), self._name_of(frame), "nearest")]
        if rule is None:
            return []
        made = (self._made(line, seen, reply, "nearest", due) for reply in rule.reply or ())
        return [out for out in made if out is not None]

    def _delay(self, delay: model.Delay | None, seen: Seen, name: str) -> float:
        if delay is None:
            return 0.0
        share = self.world.draws.share(seen.connection, seen.number, f"{name} delay")
        if delay.uniform is not None:
            return delay.uniform.least + share * (delay.uniform.most - delay.uniform.least)
        if delay.lognormal is not None:
            spread = math.log(delay.lognormal.p99 / delay.lognormal.p50) / STANDARD_99
            return delay.lognormal.p50 * math.exp(spread * NormalDist().inv_cdf(min(max(share, 1e-9), 1 - 1e-9)))
        if delay.capture is not None:
            taken = self.prepared.taken.get((delay.capture, seen.name), ())
            return taken[int(share * len(taken))] if taken else 0.0
        return delay.fixed or 0.0

    # --- faults ---------------------------------------------------------------------------------------------------

    def add_fault(self, fault: Fault) -> str:
        """Let another fault happen from now on; its name."""
        identity = identity_of("fault", fault.name, fault, self._taken)
        name = fault.name or " ".join(fault.do.words)
        self.faults.append(Active(fault, name, Gatekeeper(fault, identity, self.world.draws, self._began)))
        return name

    def clear_faults(self, name: str | None = None) -> int:
        """Take faults away, all or those of a name; how many they were."""
        kept = [active for active in self.faults if name is not None and active.name != name]
        gone = len(self.faults) - len(kept)
        self.faults = kept
        return gone

    def _opens(self, active: Active, line: Line, message: int) -> bool:
        return active.keeper.opens(line.number, message, line.counts, self.now, self.world.wall(self.now))

    def _tell_fault(self, active: Active, line: Line, number: int, what: str) -> None:
        self.journal.counts["faults"] += 1
        where = f"c{line.number}" + (f" message {number} ({what})" if number else "")
        self._note(f"fault {active.name}: {' '.join(active.do.words)} on {where}", fault=active.name, c=f"c{line.number}")

    def _suffer(self, line: Line, seen: Seen, happening: list[Active], outs: list[Out]) -> None:
        outcome = Outcome(outs)
        others = [each.number for each in self.lines.values() if each.number != line.number and not each.ended] if happening else []
        for active in happening:
            line.no_heartbeat = line.no_heartbeat or bool(active.do.no_heartbeat)
            for out in outcome.outs:
                out.faults = (*out.faults, *active.do.words)
            apply(active, outcome, seen, self.spec, self.world.draws, [*line.earlier], others)
        for note in outcome.notes:
            self._trouble(note)
        if outcome.half_open:
            self._end(line, "vanish")
        elif outcome.ending is not None:
            self._finish(line, outcome.ending)
        if outcome.deaf:
            self._deafen(line)
        if outcome.silent:
            line.silent = True
        for out in outcome.outs:
            line.earlier.append(out.frame)
            self._schedule(out)

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
        seen = Seen(self.world, self.spec, message, whole, line.number, line.telegrams + 1, self.now)
        if (active.fault.match is None or active.fault.match.holds(seen)) and self._opens(active, line, line.telegrams + 1):
            self._tell_fault(active, line, line.telegrams + 1, seen.name)
            line.begun = True
            for out in self._error(line, seen, "E-RTE-01", "early", self.now):
                out.faults = ("early",)
                self._schedule(out)

    def forwarded(self, number: int, frame: bytes, now: float) -> None:
        """Somebody else has answered."""
        self._at(now)
        self._schedule(Out(number, now, frame, self._name_of(frame), "forwarded"))

    def owes(self, number: int) -> int:
        """Answers of a connection that are still to come."""
        line = self.lines.get(number)
        return 0 if line is None else line.owed

    # --- what goes out --------------------------------------------------------------------------------------------

    def _schedule(self, out: Out) -> None:
        if out.due <= self.now:
            self._emit(out)
        else:
            line = self.lines.get(out.connection)
            if line is not None:
                line.owed += 1
            self._later(out.due, lambda: self._emit_later(line, out))

    def _emit_later(self, line: Line | None, out: Out) -> None:
        if line is not None:
            line.owed -= 1
        self._emit(out)

    def _emit(self, out: Out) -> None:
        line = self.lines.get(out.connection)
        if line is None or line.ended:
            self.journal.counts["answers_without_connection"] += 1
            return
        if line.silent:
            self.journal.counts["answers_kept_silent"] += 1
            return
        if out.hold is not None:
            held = replace(out, hold=None)
            line.held.append(held)
            self._later(self.now + out.hold, lambda: self._let_go(line, held))
            return
        if out.gather:
            self._gather(line, out)
            return
        self._write(line, out)
        while line.held:
            self._write(line, line.held.popleft())

    def _let_go(self, line: Line, held: Out) -> None:
        """Nothing came behind which a held answer could go."""
        if held in line.held and not line.ended:
            line.held.remove(held)
            self._write(line, held)

    def _gather(self, line: Line, out: Out) -> None:
        line.gathered.append(replace(out, gather=0))
        if len(line.gathered) >= out.gather:
            self._write_gathered(line)
        elif len(line.gathered) == 1:
            self._later(self.now + GATHER_FOR, lambda: self._write_gathered(line))

    def _write_gathered(self, line: Line) -> None:
        gathered, line.gathered = line.gathered, []
        if gathered and not line.ended:
            for out in gathered:
                self._sent(line, out, out.frame)
            self._send(line, b"".join(out.junk + out.frame for out in gathered))

    def _write(self, line: Line, out: Out) -> None:
        if line.ended:
            return
        frame = out.frame if out.only is None else out.frame[: out.only]
        if out.junk:
            self.journal.record(capture.junk(self.time_of(self.now), f"c{line.number}", self._out, out.junk, err="garbage"))
        self._sent(line, out, frame)
        pieces = [out.junk + frame] if out.pace is None else out.pace.pieces(out.junk + frame)
        begins = max(self.now, line.free_at)
        for index, piece in enumerate(pieces):
            at = begins + index * (out.pace.pause if out.pace is not None else 0.0)
            if at <= self.now:
                self._send(line, piece)
            else:
                self._later(at, lambda piece=piece: None if line.ended else self._send(line, piece))  # type: ignore[misc]
                line.free_at = at
        if out.then is not None:
            then = out.then
            if line.free_at > self.now:
                self._later(line.free_at, lambda: self._finish(line, then))
            else:
                self._finish(line, then)

    def _send(self, line: Line, data: bytes) -> None:
        self._actions.append(Send(line.number, data))

    def _sent(self, line: Line, out: Out, frame: bytes) -> None:
        self.journal.add(Entry(self.now, line.number, line.telegrams, True, out.name, frame, out.rule, out.faults))
        if self.verdict.looks_at_sent:
            seen = Seen(self.world, self.spec, self.spec.messages.get(out.name), frame, line.number, line.telegrams, self.now)
            self.verdict.see(Happened(seen, line.number, line.telegrams, self.now, True, out.faults, out.rule))
        if self.journal.recording:
            more = {"fault": " ".join(out.faults)} if out.faults else {}
            record = capture.telegram(
                self.time_of(self.now), f"c{line.number}", self._out, frame, x=out.exchange, msg=out.name or None, **more
            )
            self.journal.record(record)

    def _finish(self, line: Line, how: ENDING) -> None:
        if how == "silent":
            line.silent = True
        else:
            self._end(line, how)

    def _end(self, line: Line, how: How) -> None:
        if line.ended:
            return
        self._actions.append(End(line.number, how))
        if how == "half_close":
            line.silent = True
        else:
            line.ended = True

    def _deafen(self, line: Line) -> None:
        if not line.deaf:
            line.deaf = True
            self._actions.append(Deafen(line.number))

    # --- by itself ------------------------------------------------------------------------------------------------

    def _poll(self, line: Line, seen: Seen) -> None:
        self.journal.counts["polls"] += 1
        self.journal.record(capture.telegram(self.time_of(self.now), f"c{line.number}", self._in, seen.frame))
        missing = line.no_heartbeat
        for active in self.faults:
            if active.do.no_heartbeat and (active.fault.match is None or active.fault.match.holds(seen)):
                missing = missing or self._opens(active, line, line.telegrams)
        reply = self.spec.poll_answer(seen.frame) if self._about.polls and not missing and not line.silent else None
        if reply is not None:
            self.journal.record(capture.telegram(self.time_of(self.now), f"c{line.number}", self._out, reply))
            self._send(line, reply)

    def _push(self, line: Line, push: model.Push, index: int, times: int) -> None:
        if line.number not in self.lines or line.ended:
            return
        name = push.name or f"push {index + 1}"
        seen = Seen(self.world, self.spec, None, b"", line.number, times, self.now)
        if push.when is None or push.when.holds(seen):
            try:
                frame = pushed(push, seen, self.spec, self.now, self.seed)
            except CannotAnswer as why:
                self._trouble(f"{name}: {push.msg} cannot be made: {why}")
                return
            exchange = self._pairing.exchange(line, self.spec.messages[push.msg], frame) if self.journal.recording else None
            self._schedule(Out(line.number, self.now, frame, push.msg, name, exchange=exchange))
        elif push.every is None:
            self._later(self.now + 0.1, lambda: self._push(line, push, index, times))  # it waits for what it depends on
            return
        else:
            times -= 1  # this one did not take place
        if push.every is not None and times < (push.count or math.inf):
            self._later(self.now + push.every, lambda: self._push(line, push, index, times + 1))

    def _heartbeat(self, line: Line, heartbeat: model.Heartbeat) -> None:
        if line.number not in self.lines or line.ended:
            return
        silent_for = self.now - line.heard
        if silent_for < heartbeat.every and not line.unanswered:
            self._later(line.heard + heartbeat.every, lambda: self._heartbeat(line, heartbeat))
            return
        if line.unanswered >= heartbeat.missing:
            self._note(f"c{line.number}: {line.unanswered} heartbeats were not answered")
            self._end(line, "fin")
            return
        line.unanswered += 1
        if not line.no_heartbeat:
            push = model.Push.model_construct(msg=heartbeat.msg, set=heartbeat.values, name="heartbeat")
            self._push(line, push, -1, line.unanswered)
        self._later(self.now + heartbeat.every, lambda: self._heartbeat(line, heartbeat))

    def _look_idle(self, line: Line) -> None:
        if line.number not in self.lines or line.ended or line.idle is None:
            return
        if self.now - line.heard >= line.idle:
            self._note(f"c{line.number} was silent for {line.idle:g} s and was closed")
            self._end(line, "fin")
        else:
            self._later(line.heard + line.idle, lambda: self._look_idle(line))

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
            "rules": {name: keeper.times for _, name, keeper in self._rules},
            "faults": {active.name: active.keeper.times for active in self.faults},
            "notes": [*journal.notes][-20:],
        }

    def reset(self) -> None:
        """As at the beginning, but for the connections: state, what is remembered, counts and expectations."""
        self.world.reset()
        self.journal.clear()
        self.verdict.reset()
        if self._memory is not None:
            self._memory.clear()

    # --- small things ---------------------------------------------------------------------------------------------

    def time_of(self, now: float) -> int:
        """As captures have it: whole nanoseconds since the beginning."""
        return round((now - self._began) * 1_000_000_000)

    def _at(self, now: float) -> None:
        self.now = max(self.now, now)

    def _later(self, at: float, do: Callable[[], None]) -> None:
        if len(self._due) >= WAITING_AT_MOST:
            self.journal.counts["dropped"] += 1
            return
        heapq.heappush(self._due, (at, next(self._order), do))

    def _note(self, text: str, **more: Any) -> None:
        self.journal.note(text)
        self.journal.record(capture.note(self.time_of(self.now), text, **more))

    def _trouble(self, text: str) -> None:
        """Something that the scenario wants and that cannot be: whoever wrote it must mend it."""
        self.journal.counts["troubles"] += 1
        self.verdict.trouble(text)
        self._note(text)
