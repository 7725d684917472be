"""What a telegram is answered: by a rule, by what is remembered or learned, or as one that nothing is known for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import Final, TypeAlias

from telegram_router.errors import Delivery
from telegram_router.tools.predicate import Lookup
from telegram_router.tools.recorded import message_of
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.actions import Forward
from telegram_router.tools.simulate.answering import CannotAnswer, answer
from telegram_router.tools.simulate.course import Course
from telegram_router.tools.simulate.gates import Gatekeeper, identity_of, within
from telegram_router.tools.simulate.lines import Line
from telegram_router.tools.simulate.mishaps import Out
from telegram_router.tools.simulate.renumbered import Renumbered
from telegram_router.tools.simulate.scenario import Reply, Rule
from telegram_router.tools.simulate.seen import Seen
from telegram_router.tools.simulate.states import Fading
from telegram_router.tools.simulate.templates import NoValue
from telegram_router.tools.simulate.world import Prepared, World

_Kept: TypeAlias = tuple[Rule, str, Gatekeeper]  # a rule, its name, and when it takes part
_Ready: TypeAlias = tuple[Callable[[Lookup], bool], Rule, str, Gatekeeper]
_STANDARD: Final = NormalDist()
STANDARD_99: Final = 2.3263478740408408  # standard deviations to the 99th percentile


class Rulebook:
    """The rules of one scenario, and what was answered by them."""

    def __init__(self, prepared: Prepared, world: World, course: Course, taken: set[str]) -> None:
        self._prepared = prepared
        self._spec = prepared.spec
        self._scenario = prepared.scenario
        self._about = prepared.scenario.scenario
        self._world = world
        self._course = course
        self._by_message: dict[str, list[_Ready]] = {}  # at most as many as the spec has messages
        self._rules: list[_Kept] = [
            (rule, rule.name or f"rule {number}", Gatekeeper(rule, identity_of("rule", rule.name, rule, taken), world.draws, course.now))
            for number, rule in enumerate(self._scenario.rule, 1)
        ]
        self._used: dict[int, dict[object, int]] = {}  # exchanges of a capture, by connection
        self._renumbered = Renumbered(self._spec)
        self._memory: Fading[tuple[bytes, ...]] | None = None
        if self._scenario.memory is not None:
            self._memory = Fading(self._scenario.memory.most, self._scenario.memory.lasts)
        self._busy_until = course.now

    @property
    def times(self) -> dict[str, int]:
        """How often each rule took part."""
        return {name: keeper.times for _, name, keeper in self._rules}

    def forget(self, connection: int) -> None:
        """A connection has ended."""
        self._used.pop(connection, None)

    def reset(self) -> None:
        if self._memory is not None:
            self._memory.clear()

    def rule_for(self, line: Line, seen: Seen) -> tuple[Rule, str] | None:
        for holds, rule, name, keeper in self._rules_for(seen):
            if holds(seen) and keeper.opens(line.number, line.telegrams, line.counts, self._course.now, self._world.wall):
                return rule, name
        return None

    def _rules_for(self, seen: Seen) -> list[_Ready]:
        """The rules that can hold for its message at all, each with what it asks besides."""
        name = seen.message.name if seen.message is not None else ""
        found = self._by_message.get(name)
        if found is None:
            found = self._by_message[name] = []
            for rule, called, keeper in self._rules:
                holds = rule.match.besides(name) if name else rule.match.holds
                if holds is not None:
                    found.append((holds, rule, called, keeper))
        return found

    def answers(self, line: Line, seen: Seen, rule: tuple[Rule, str] | None, is_reply: bool) -> list[Out]:
        due = self._served_at(line, seen, is_reply)
        if due is None:
            assert self._scenario.limits is not None
            return self.instead(line, seen, self._scenario.limits.full, "no room")
        key = None if is_reply else self._memory_key(seen)
        if key is not None:
            again = self._again(line, seen, key, due)
            if again is not None:
                return again
        if rule is None and is_reply:
            return self._pass_on(line, seen) if self._passes_on else []
        if rule is None:
            return self._remember(key, self._missed(line, seen, due))
        return self._remember(key, self._by_rule(line, seen, *rule, due))

    def _by_rule(self, line: Line, seen: Seen, rule: Rule, name: str, due: float) -> list[Out]:
        due += self._delay(rule.delay, seen, name)
        if self._about.order == "fifo":
            due = line.last_due = max(due, line.last_due)
        for path, value in rule.update.items():
            try:
                self._world.update(path, value, seen, self._course.now)
            except NoValue as missing:
                self._course.trouble(f"{name}: {path} cannot be changed: nothing is called {missing}")
        outs = []
        for reply in self._replies(rule, seen, name):
            out = self._made(line, seen, reply, name, due + (reply.after or 0.0))
            if out is not None:
                outs.append(out)
        if rule.close is not None:
            if outs:
                outs[-1].then = rule.close
            else:
                self._course.later(due, lambda: self._course.end(line, rule.close or "fin"))
        for machine, state in rule.go.items():
            self._world.go(machine, state, seen)
        return outs

    def _replies(self, rule: Rule, seen: Seen, name: str) -> Iterable[Reply]:
        if rule.call is None:
            return rule.reply or ()
        hook = getattr(self._prepared.hooks, rule.call)
        try:
            made = hook(seen, self._world)
            return () if made is None else (Reply.model_validate(made),)
        except Exception as error:  # somebody else's code
            self._course.trouble(f"{name}: {rule.call} raised {type(error).__name__}")
            return ()

    def _made(self, line: Line, seen: Seen, reply: Reply, name: str, due: float) -> Out | None:
        try:
            frame = answer(reply, seen, self._spec, due, self._prepared.recorded, name)
        except CannotAnswer as why:
            self._course.trouble(f"{name}: the answer to {seen.name} cannot be made: {why}")
            return None
        made = message_of(self._spec, frame)
        return Out(line.number, due, frame, made.name if made is not None else "", name)

    def instead(self, line: Line, seen: Seen, what: Reply | str, name: str) -> list[Out]:
        """What a request gets that is not served."""
        self._course.journal.counts[name.replace(" ", "_")] += 1
        if isinstance(what, Reply):
            out = self._made(line, seen, what, name, self._course.now)
            return [] if out is None else [out]
        if what == "close":
            self._course.end(line, "fin")
        elif what == "error":
            return self.error(line, seen, "E-TXN-03" if name == "not open" else "E-LIM-01", name, self._course.now)
        return []

    def error(self, line: Line, seen: Seen, code: str, name: str, due: float) -> list[Out]:
        frame = self._spec.error_reply(seen.frame, code, Delivery.NOT_SENT)
        if frame is None:
            return []
        made = message_of(self._spec, frame)
        return [Out(line.number, due, frame, made.name if made is not None else "", name)]

    def refusal(self, line: Line, seen: Seen) -> Reply | str | None:
        sessions = self._scenario.sessions
        if sessions.hours is not None and not within(sessions.hours, self._world.wall(self._course.now)):
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
            return self._course.now
        begins = max(self._course.now, self._busy_until)
        if (begins - self._course.now) * limits.rate > limits.queue + 1e-9:
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
        known = self._memory.get(key, self._course.now)
        if known is None:
            return None
        self._course.journal.counts["asked_again"] += 1
        again = self._scenario.memory.again
        if again == "silent":
            return []
        if isinstance(again, Reply):
            out = self._made(line, seen, again, "memory", due)
            return [] if out is None else [out]
        return [Out(line.number, due, frame, self.name_of(frame), "memory") for frame in known]

    def _remember(self, key: str | None, outs: list[Out]) -> list[Out]:
        if key is not None and self._memory is not None and outs:
            self._memory.put(key, tuple(out.frame for out in outs), self._course.now)
        return outs

    def name_of(self, frame: bytes) -> str:
        message = message_of(self._spec, frame)
        return message.name if message is not None else ""

    # --- what no rule is for --------------------------------------------------------------------------------------

    def _missed(self, line: Line, seen: Seen, due: float) -> list[Out]:
        learned = self._prepared.learned
        if learned is not None and seen.message is not None:
            found = learned.find(seen.message, seen.frame, self._used.setdefault(line.number, {}), self._renumbered)
            if found is not None:
                return [Out(line.number, due, frame := learned.reply(found, seen.frame), self.name_of(frame), "learned")]
        if self._passes_on:
            return self._pass_on(line, seen)
        if seen.message is not None and seen.message.reply.kind == "none":
            return []
        on_miss = self._about.on_miss
        self._course.journal.counts["missed"] += 1
        nearest = self._nearest(seen)
        self._course.note(f"no rule for {seen.name} (c{line.number} message {seen.number}){nearest[1]}")
        if on_miss == "nearest":
            return self._by_nearest(line, seen, nearest[0], due)
        return self.error(line, seen, "E-RTE-01", "miss", due) if on_miss == "error" else []

    @property
    def _passes_on(self) -> bool:
        return self._about.on_miss.startswith("forward:")

    def _pass_on(self, line: Line, seen: Seen) -> list[Out]:
        """Somebody else is asked: what comes back is sent as it comes."""
        self._course.journal.counts["forwarded"] += 1
        self._course.do(Forward(line.number, seen.frame))
        return []

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
        return rule, f"; nearest is {name!r} ({self._prepared.place('rule', best[1])}): {why}"

    def _nearest_learned(self, seen: Seen) -> str:
        learned = self._prepared.learned
        near = learned.nearest(seen.message, seen.frame) if learned is not None and seen.message is not None else None
        return "" if near is None else f"; the nearest of the capture differs in {', '.join(near[1][:5])}"

    def _by_nearest(self, line: Line, seen: Seen, rule: Rule | None, due: float) -> list[Out]:
        learned = self._prepared.learned
        near = learned.nearest(seen.message, seen.frame) if learned is not None and seen.message is not None else None
        if near is not None and learned is not None:
            return [Out(line.number, due, frame := learned.reply(near[0], seen.frame), self.name_of(frame), "nearest")]
        if rule is None:
            return []
        made = (self._made(line, seen, reply, "nearest", due) for reply in rule.reply or ())
        return [out for out in made if out is not None]

    def _delay(self, delay: model.Delay | None, seen: Seen, name: str) -> float:
        if delay is None:
            return 0.0
        share = self._world.draws.share(seen.connection, seen.number, f"{name} delay")
        if delay.uniform is not None:
            return delay.uniform.least + share * (delay.uniform.most - delay.uniform.least)
        if delay.lognormal is not None:
            spread = math.log(delay.lognormal.p99 / delay.lognormal.p50) / STANDARD_99
            return delay.lognormal.p50 * math.exp(spread * _STANDARD.inv_cdf(min(max(share, 1e-9), 1 - 1e-9)))
        if delay.capture is not None:
            taken = self._prepared.taken.get((delay.capture, seen.name), ())
            return taken[int(share * len(taken))] if taken else 0.0
        return delay.fixed or 0.0
