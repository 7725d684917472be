"""What becomes of a recorded request before it is sent again: dates, times, numbers, and whatever rules of a file say."""

# Rules this file keeps:
#
# 1. Bytes that no rule names are those of the recording. The length follows last, from what is there.
# 2. One reading of the clock feeds every field of a telegram: midnight cannot stand between its date and its time.
# 3. A field that is blank in the recording stays blank, but for `set`.
# 4. A telegram is rebuilt whole or not at all.

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from telegram_router.telegrams import Digits, FieldFault, Length, MessageLayout, PlannedField, Spec
from telegram_router.telegrams.formalities import written
from telegram_router.telegrams.volatile import volatile_fields, volatile_of
from telegram_router.tools.predicate import as_text
from telegram_router.tools.replay.masks import called
from telegram_router.tools.replay.rules import Rule
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Step, scope_of

_EMPTY: Final = b" 0\0\x40\xf0"  # what a field without a value is made of
REMEMBERED: Final = 100_000  # old values with their new ones, of each field


class Sequences:
    """The running numbers of a run: one for each field and width, whoever sends it, so that none is used twice before they wrap."""

    def __init__(self, resumed: Mapping[str, int] | None = None) -> None:
        self.next: dict[str, int] = dict(resumed or {})
        self.first: dict[str, int] = {}

    def take(self, name: str, rule: Rule, digits: int, now: datetime.datetime) -> int:
        step, wrap = rule.options.get("step", 1), min(rule.options.get("wrap", 10**digits - 1), 10**digits - 1)
        number = self.next.get(name)
        if number is None:
            # By the time of day, so that another run on this day does not begin with the same numbers.
            of_day = (now.hour * 3600 + now.minute * 60 + now.second) * 1_000_000 + now.microsecond
            number = rule.options.get("start", 1 + wrap * of_day // 86_400_000_000)
        if number > wrap:
            number = rule.options.get("start", 1)
        self.first.setdefault(name, number)
        self.next[name] = number + step
        return number


class Memory:
    """Old values and what they have become, by field and scope. The oldest is forgotten when there are too many."""

    def __init__(self) -> None:
        self._tables: dict[str, OrderedDict[tuple[Any, ...], str]] = {}

    def put(self, name: str, scope: tuple[bytes, ...], old: str, new: str) -> None:
        table = self._tables.setdefault(name, OrderedDict())
        table[(*scope, old)] = new
        table.move_to_end((*scope, old))
        if len(table) > REMEMBERED:
            table.popitem(last=False)

    def get(self, name: str, scope: tuple[bytes, ...], old: str) -> str | None:
        table = self._tables.get(name)
        return table.get((*scope, old)) if table else None


@dataclass(frozen=True)
class _Placed:
    """A rule at the field of a message that it is about."""

    planned: PlannedField
    rule: Rule
    name: str  # by which sequences and memory know the field


class Rewriter:
    """Rebuilds requests for one target. `unknown` counts values that `map` or `learn` had nothing for, by field."""

    def __init__(self, spec: Spec, rules: Mapping[str, Mapping[str, Rule]], sequences: Sequences, zone: datetime.tzinfo, *, volatile: bool = True, business_date: datetime.date | None = None) -> None:  # fmt: skip
        self._spec = spec
        self._rules = rules
        self._sequences = sequences
        self._zone = zone
        self._volatile = volatile
        self._business_date = business_date
        self._learned = {rule.argument for fields in rules.values() for rule in fields.values() if rule.kind == "learn"}
        self.memory = Memory()
        self.unknown: dict[str, int] = {}
        self._clocks: dict[PlannedField, tuple[datetime.datetime, bytes]] = {}
        told = map(volatile_of, spec.family.volatile.values())
        self._referred = {each.of for each in told if each is not None and each.of}
        self._referred |= {rule.argument for fields in rules.values() for rule in fields.values() if rule.kind == "map"}
        self._placed: dict[str, list[_Placed]] = {}
        self._shift: tuple[datetime.datetime, datetime.datetime] | None = None  # the recorded base, and when it was
        for message in spec.messages.values():  # what cannot be is told before anything is sent
            if message.kind != "reply":
                self._of(message)

    def rebuilt(self, step: Step, now: int, recorded_at: int = 0) -> bytes:
        """The frame to send; `now` in nanoseconds since 1970. Raises ReplayError E-RPL-06 for one that cannot be."""
        placed = self._of(step.message)
        if not placed:
            return step.frame
        moment = datetime.datetime.fromtimestamp(now / SECOND, self._zone)
        if self._business_date is not None:
            moment = moment.replace(year=self._business_date.year, month=self._business_date.month, day=self._business_date.day)
        telegram = self._spec.framing.telegram(step.frame)
        made, scope, changed = bytearray(telegram), scope_of(self._spec, step.frame), []
        for each in placed:  # the last first: an open field may change its size
            planned = each.planned
            end = None if planned.is_opaque else planned.end
            raw = telegram[planned.offset : end]
            if each.rule.kind == "now" and each.name not in self._referred:
                made[planned.offset : end] = self._clock(each, raw, moment)
                continue
            old = self._value(planned, raw)
            try:
                new = self._new(each, old, scope, moment, recorded_at)
                if new is None:
                    continue
                made[planned.offset : end] = _written(planned, new)
            except (FieldFault, ReplayError) as fault:
                raise self._failed(step, planned, each.rule, fault) from None
            changed.append((each, old, as_text(self._value(planned, bytes(made[planned.offset : end])))))
        for each, old, now_is in changed:
            if each.name in self._referred and each.rule.kind in ("now", "shift", "seq", "set", "lookup"):
                self._remember(each, scope, old, now_is)
        return step.frame if bytes(made) == telegram else self._framed(step.frame, telegram, bytes(made))

    def _clock(self, placed: _Placed, raw: bytes, now: datetime.datetime) -> bytes:
        """The moment as the field has it. Within a second it is written once."""
        if not raw.strip(_EMPTY):
            return raw
        kept = self._clocks.get(placed.planned)
        if kept is None or kept[0] != now.replace(microsecond=0):
            form = placed.rule.argument or getattr(placed.planned.kind, "form", "")
            kept = self._clocks[placed.planned] = now.replace(microsecond=0), _written(placed.planned, written(form, now))
        return kept[1]

    def _framed(self, frame: bytes, telegram: bytes, made: bytes) -> bytes:
        if len(made) != len(telegram):
            return self._spec.framing.wrap(made)
        prefix = self._spec.framing.prefix
        return frame[:prefix] + made + frame[prefix + len(telegram) :]

    def _failed(self, step: Step, planned: PlannedField, rule: Rule, fault: FieldFault | ReplayError) -> ReplayError:
        why = fault.what
        return ReplayError("E-RPL-06", f"{planned.path}: {why}", where=f"record {step.n} ({step.x})", expected=getattr(fault, "expected", ""), do=f"see {rule.where}" if rule.where else "")  # fmt: skip

    def _value(self, planned: PlannedField, raw: bytes) -> Any:
        try:
            return planned.kind.read(raw)
        except FieldFault:
            return raw

    # --- one field

    def _new(self, placed: _Placed, old: Any, scope: tuple[bytes, ...], now: datetime.datetime, recorded_at: int) -> object | None:
        """Its new value; None to leave it as it is."""
        rule, planned = placed.rule, placed.planned
        if rule.kind == "set":
            return rule.argument
        if old in (None, "", 0) or isinstance(old, bytes) or (rule.kind in ("map", "learn") and not as_text(old).strip("0")):
            return None
        if rule.kind == "now":
            return written(rule.argument or getattr(planned.kind, "form", ""), now)
        if rule.kind == "shift":
            return self._shifted(planned, as_text(old), now, recorded_at)
        if rule.kind == "seq":
            digits = planned.kind.digits if isinstance(planned.kind, Digits) else planned.length
            number = self._sequences.take(placed.name, rule, digits, now)
            return number if isinstance(planned.kind, Digits) else f"{number:0{digits}}"
        if rule.kind == "lookup":
            new = rule.table.get(as_text(old))
            if new is None:
                raise ReplayError("E-RPL-06", f"{rule.argument} has no line for its value")
            return new
        new = self.memory.get(rule.argument, scope if rule.kind == "map" else (), as_text(old))
        if new is None:
            self.unknown[planned.path] = self.unknown.get(planned.path, 0) + 1
        return new

    def _shifted(self, planned: PlannedField, old: str, now: datetime.datetime, recorded_at: int) -> str:
        """The recorded moment, as much later as this run is after the recording: spacing and order stay."""
        form = getattr(planned.kind, "form", "")
        then = datetime.datetime.fromtimestamp(recorded_at / SECOND, self._zone)
        if self._shift is None:
            self._shift = then, now
        base, began = self._shift
        return written(form, began + (then - base))

    def _remember(self, placed: _Placed, scope: tuple[bytes, ...], old: Any, new: str) -> None:
        if old is None or isinstance(old, bytes):
            return
        text = as_text(old)
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
            old, new = self._value(planned, recorded[place]), self._value(planned, got[place])
            if old not in (None, "") and new not in (None, ""):
                self.memory.put(name, (), as_text(old), as_text(new))

    def mapped(self, planned: PlannedField, recorded: Any, step: Step) -> str | None:
        """What a recorded value of an answer has become in this run."""
        told = self._spec.family.volatile.get(planned.path) or self._spec.family.volatile.get(planned.name, "")
        names = [planned.name, told.removeprefix("ref_of ")] if told else [planned.name]
        scope, text = scope_of(self._spec, step.frame), as_text(recorded)
        return next((new for name in names for by in (scope, ()) if (new := self.memory.get(name, by, text)) is not None), None)

    # --- rules at their places

    def _of(self, message: MessageLayout) -> list[_Placed]:
        found = self._placed.get(message.name)
        if found is None:
            by_path = {placed.planned.path: placed for placed in self._declared(message)}
            for part in ("*", message.name):
                for name, rule in self._rules.get(part, {}).items():
                    for planned in message.fields:
                        if called(planned, name):
                            by_path[planned.path] = self._checked(message, planned, rule)
            found = [placed for placed in by_path.values() if placed.rule.kind != "keep"]
            found.sort(key=lambda placed: -placed.planned.offset)
            self._placed[message.name] = found
        return found

    def _declared(self, message: MessageLayout) -> Iterator[_Placed]:
        rules = {"clock": Rule("now"), "sequence": Rule("seq")}
        for planned, volatile in volatile_fields(message) if self._volatile else ():
            rule = Rule("map", volatile.of) if volatile.role == "ref_of" else rules.get(volatile.role)
            if rule is not None:
                yield _Placed(planned, rule, planned.name)

    def _has(self, name: str) -> bool:
        return any(called(planned, name) for message in self._spec.messages.values() for planned in message.fields)

    def _checked(self, message: MessageLayout, planned: PlannedField, rule: Rule) -> _Placed:
        what = ""
        if planned.key is not None or planned.counts or isinstance(planned.kind, Length):
            what = "it says what the telegram is: another value makes another telegram"
        elif planned.shifts or "[" in planned.path:
            what = "it stands in a table, or behind one that shifts"
        elif rule.kind in ("now", "shift") and not (rule.argument or getattr(planned.kind, "form", "")):
            what = "it is no date or time: say how it is written, as now(YYYYMMDDhhmmss)"
        elif planned.is_opaque and rule.kind != "set":
            what = "it takes the rest of the telegram: only set(VALUE) is possible"
        elif rule.kind == "set":
            try:
                _written(planned, rule.argument)
            except FieldFault as fault:
                what = f"{fault.what}; expected {fault.expected}"
        elif rule.kind in ("map", "learn") and not self._has(rule.argument):
            what = f"no message has a field {rule.argument}"
        if what:
            raise ReplayError("E-RPL-03", f"{message.name}, {planned.path}: {what}", where=rule.where)
        return _Placed(planned, rule, planned.name)


def _written(planned: PlannedField, value: object) -> bytes:
    """A value in the field's own bytes. Raises FieldFault."""
    if planned.is_opaque:
        return str(value).encode("utf-8")
    if isinstance(planned.kind, Digits) and isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    return planned.kind.write(value)
