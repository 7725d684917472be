"""What becomes of a recorded request before it is sent again: dates, times, numbers, and whatever rules of a file say."""

# Rules this file keeps:
#
# 1. Bytes that no rule names are those of the recording. The length follows behind all rules but those that recompute: what they make
#    follows last, from what is there.
# 2. One reading of the clock feeds every field of a telegram: midnight cannot stand between its date and its time.
# 3. A field that is blank in the recording stays blank, but for `set` and `recompute`.
# 4. A telegram is rebuilt whole or not at all.

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from telegram_router.telegrams import Digits, FieldFault, MessageLayout, PlannedField, Spec, to_object
from telegram_router.telegrams.formalities import written
from telegram_router.telegrams.mask_policy import PSEUDONYM
from telegram_router.telegrams.masking import CannotMask, masked_field
from telegram_router.telegrams.pseudonyms import Pseudonyms
from telegram_router.telegrams.volatile import volatile_of
from telegram_router.tools.predicate import as_text
from telegram_router.tools.replay.placing import Placed, Rules, plan_for, value_in, written_value
from telegram_router.tools.replay.recomputing import checksum
from telegram_router.tools.replay.remembering import Entry, Memory, Sequences
from telegram_router.tools.replay.rules import Rule
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Step, scope_places

_EMPTY: Final = b" 0\0\x40\xf0"  # what a field without a value is made of
PSEUDONYMS_KEPT: Final = 100_000


class _Occasion(NamedTuple):
    """The telegram that is rebuilt, when it was recorded, and now."""

    step: Step
    now: int
    recorded_at: int


class Rewriter:
    """Rebuilds requests for one target. `unknown` counts values that `map` or `learn` had nothing for, by field."""

    def __init__(
        self, spec: Spec, rules: Rules, sequences: Sequences, zone: datetime.tzinfo, *, volatile: bool = True,
        business_date: datetime.date | None = None, pseudonyms: Pseudonyms | None = None, resumed: Iterable[Entry] = (),
    ) -> None:  # fmt: skip
        self._spec = spec
        self._sequences = sequences
        self._zone = zone
        self._business_date = business_date
        self._pseudonyms = pseudonyms
        self._pseudonym_of: dict[tuple[int, bytes], bytes] = {}
        each_rule = [(name, rule) for fields in rules.values() for name, rule in fields.items()]
        self._learned = {rule.argument for _, rule in each_rule if rule.kind == "learn"}
        self._value_rules = {name.rpartition(".")[2]: rule for name, rule in each_rule if rule.kind in ("lookup", "pseudonym")}
        self.memory = Memory(resumed)
        self.unknown: dict[str, int] = {}
        told = map(volatile_of, spec.family.volatile.values())
        referred = {each.of for each in told if each is not None and each.of}
        referred |= {rule.argument for _, rule in each_rule if rule.kind == "map"}
        self._shift: tuple[datetime.datetime, datetime.datetime] | None = None  # the recorded base, and when it was
        self._scope_places = scope_places(spec)
        self._second = 0
        self._ticks: dict[Placed, bytes] = {}  # what the second is in each field that has nothing but the moment
        self._plans = {  # what cannot be is told before anything is sent
            message.name: plan_for(message, spec, rules, referred, volatile=volatile)
            for message in spec.messages.values()
            if message.kind != "reply"
        }

    def rebuilt(self, step: Step, now: int, recorded_at: int = 0) -> bytes:
        """The frame to send; `now` in nanoseconds since 1970. Raises ReplayError E-RPL-06 for one that cannot be."""
        plan = self._plans[step.message.name]
        if plan is None:
            return step.frame
        if now // SECOND != self._second:
            self._second = now // SECOND
            self._ticks.clear()
        frame, changed, occasion = step.frame, list[tuple[Placed, Any, bytes]](), _Occasion(step, now, recorded_at)
        made = bytearray(frame)
        for each in plan.fields:
            place = each.place
            raw = frame[place]
            if each.ticks:
                if raw.strip(_EMPTY):
                    made[place] = self._ticks.get(each) or self._tick(each, now)
                continue
            old = value_in(each.planned, raw)
            try:
                new = self._new(each, old, raw, occasion)
            except (FieldFault, ReplayError, CannotMask) as fault:
                raise _failed(each, fault) from None
            if new is not None:
                made[place] = new
                if each.referred:
                    changed.append((each, old, new))
        frame = bytes(made)
        if plan.rest is not None:
            frame = self._with_rest(plan.rest, frame)
        for each in plan.recomputed:
            frame = self._recompute(each, frame)
        for each, old, new in changed:
            self._remember(each, step, old, as_text(value_in(each.planned, new)))
        return frame

    def _moment(self, now: int) -> datetime.datetime:
        moment = datetime.datetime.fromtimestamp(now / SECOND, self._zone)
        if self._business_date is not None:
            moment = moment.replace(year=self._business_date.year, month=self._business_date.month, day=self._business_date.day)
        return moment

    def _tick(self, placed: Placed, now: int) -> bytes:
        made = self._ticks[placed] = written_value(placed.planned, written(placed.form, self._moment(now)))
        return made

    def _with_rest(self, placed: Placed, frame: bytes) -> bytes:
        """The frame with something else in the field that takes the rest of the telegram: it may become longer or shorter."""
        made = self._spec.framing.telegram(frame)[: placed.planned.offset] + written_value(placed.planned, placed.rule.argument)
        return self._spec.framing.wrap(made)

    def _recompute(self, placed: Placed, frame: bytes) -> bytes:
        """The frame with a field that follows from all the others."""
        planned, rule, prefix = placed.planned, placed.rule, self._spec.framing.prefix
        telegram = self._spec.framing.telegram(frame)
        try:
            value = checksum(rule.argument, planned, telegram) if rule.call is None else _called(rule, telegram)
            made = bytes(value) if isinstance(value, bytes | bytearray) else written_value(planned, value)
            if len(made) != planned.length:
                raise ReplayError("E-RPL-06", f"{rule.argument} gave {len(made)} bytes where {planned.length} stand")
        except (FieldFault, ReplayError) as fault:
            raise _failed(placed, fault) from None
        return frame[: prefix + planned.offset] + made + frame[prefix + planned.end :]

    # --- one field

    def _new(self, placed: Placed, old: Any, raw: bytes, occasion: _Occasion) -> bytes | None:
        """Its new bytes; None to leave it as it is."""
        rule, planned = placed.rule, placed.planned
        if rule.kind == "set":
            return written_value(planned, rule.argument)
        if old in (None, "", 0) or isinstance(old, bytes) or (rule.kind in ("map", "learn") and not as_text(old).strip("0")):
            return None
        if rule.kind == "pseudonym":
            return self._pseudonym(planned, raw)
        value = self._value_of(placed, old, occasion)
        return None if value is None else written_value(planned, value)

    def _value_of(self, placed: Placed, old: Any, occasion: _Occasion) -> object | None:
        rule, planned = placed.rule, placed.planned
        if rule.kind == "seq":
            digits = planned.kind.digits if isinstance(planned.kind, Digits) else planned.length
            number = self._sequences.take(placed.name, rule, digits, lambda: self._moment(occasion.now))
            return number if isinstance(planned.kind, Digits) else f"{number:0{digits}}"
        if rule.kind == "now":
            return written(placed.form, self._moment(occasion.now))
        if rule.kind == "shift":
            return self._shifted(placed, occasion)
        if rule.kind == "fn":
            return _called(rule, as_text(old), to_object(self._spec.decode(occasion.step.frame)))
        if rule.kind == "lookup":
            new = rule.table.get(as_text(old))
            if new is None:
                raise ReplayError("E-RPL-06", f"{rule.argument} has no line for its value")
            return new
        scope = self._scope(occasion.step) if rule.kind == "map" else ()
        new = self.memory.get(rule.argument, scope, as_text(old))
        if new is None:
            self.unknown[planned.path] = self.unknown.get(planned.path, 0) + 1
        return new

    def _pseudonym(self, planned: PlannedField, raw: bytes) -> bytes:
        """Of equal size, and the same for equal bytes."""
        assert self._pseudonyms is not None
        found = self._pseudonym_of.get((id(planned.kind), raw))
        if found is None:
            found = masked_field(planned.kind, PSEUDONYM, raw, len(raw), self._pseudonyms)
            if len(self._pseudonym_of) >= PSEUDONYMS_KEPT:
                self._pseudonym_of.clear()
            self._pseudonym_of[id(planned.kind), raw] = found
        return found

    def _shifted(self, placed: Placed, occasion: _Occasion) -> str:
        """The recorded moment, as much later as this run is after the recording: spacing and order stay."""
        then = datetime.datetime.fromtimestamp(occasion.recorded_at / SECOND, self._zone)
        if self._shift is None:
            self._shift = then, self._moment(occasion.now)
        base, began = self._shift
        return written(placed.form, began + (then - base))

    def _scope(self, step: Step) -> tuple[bytes, ...]:
        frame = step.frame
        return tuple([frame[place] for place in self._scope_places])

    def _remember(self, placed: Placed, step: Step, old: Any, new: str) -> None:
        if old is None or isinstance(old, bytes):
            return
        scope, text = self._scope(step), as_text(old)
        self.memory.put(placed.name, scope, text, new)
        if len(text) > 8 and len(text) == len(new) and getattr(placed.planned.kind, "form", "").startswith("YYYYMMDD"):
            self.memory.put(placed.name, scope, text[:8], new[:8])  # another field may name the day alone

    # --- answers

    def learn(self, message: MessageLayout, recorded: bytes, got: bytes) -> None:
        """Remember what the target gave for what was given then, of the fields that rules learn from."""
        for name in self._learned:
            planned = message.field(name)
            if planned is None:
                continue
            place = slice(self._spec.framing.prefix + planned.offset, self._spec.framing.prefix + planned.end)
            old, new = value_in(planned, recorded[place]), value_in(planned, got[place])
            if old not in (None, "") and new not in (None, ""):
                self.memory.put(name, (), as_text(old), as_text(new))

    def mapped(self, planned: PlannedField, recorded: Any, raw: bytes, step: Step) -> Any:
        """What a recorded value of an answer has become in this run; None where nobody knows."""
        rule = self._value_rules.get(planned.name)
        if rule is not None and recorded not in (None, "") and not isinstance(recorded, bytes):
            return rule.table.get(as_text(recorded)) if rule.kind == "lookup" else value_in(planned, self._pseudonym(planned, raw))
        told = self._spec.family.volatile.get(planned.path) or self._spec.family.volatile.get(planned.name, "")
        names = [planned.name, told.removeprefix("ref_of ")] if told else [planned.name]
        scope, text = self._scope(step), as_text(recorded)
        return next((new for name in names for by in (scope, ()) if (new := self.memory.get(name, by, text)) is not None), None)


def _called(rule: Rule, *given: object) -> object:
    """What somebody's function makes of it. What it raises is not shown: it may hold values."""
    assert rule.call is not None
    try:
        return rule.call(*given)
    except Exception as error:
        raise ReplayError("E-RPL-06", f"{rule.argument} raised {type(error).__name__}") from None


def _failed(placed: Placed, fault: FieldFault | ReplayError | CannotMask) -> ReplayError:
    """What cannot be, alike for all telegrams: whoever tells of it says which."""
    why = "no pseudonym can be found that it may have" if isinstance(fault, CannotMask) else fault.what
    do = f"see {placed.rule.where}" if placed.rule.where else ""
    return ReplayError("E-RPL-06", f"{placed.planned.path}: {why}", expected=getattr(fault, "expected", ""), do=do)
