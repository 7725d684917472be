"""What changed between two specs, and whether telegrams of the old one can still be read by the new one."""

# Rules this file keeps, all of them tested:
#
# 1. A field is the same field when it has the same path; failing that, when it has the same place and the same sort of kind.
# 2. A telegram still decodes when the new spec reads it without a problem and every field that both have means the same value.
#    Reserved bytes are taken to be blank, as they are when we write them.
# 3. What the rules say is held against telegrams of the old spec, which the new one decodes. A telegram that does not do what
#    was said lowers the answer; nothing that was tried ever raises it above what the rules say.

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.compare_kinds import Answer, Judgement, blank_judgement, judge_resized, judge_same_place
from telegram_router.telegrams.exporters.facts import literal
from telegram_router.telegrams.exporters.walk import table_words, views_words
from telegram_router.telegrams.fields import Filler
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, templates
from telegram_router.telegrams.lengths import LengthField
from telegram_router.telegrams.trial import MADE_UP, Trial, try_telegrams

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec


class Severity(enum.Enum):
    BREAKING = "breaking"  # a partner who still sends or expects the old form is not understood
    RISKY = "risky"  # some telegrams are not, or somebody should look at it
    HARMLESS = "harmless"


_SEVERITY: Final = {Answer.NO: Severity.BREAKING, Answer.SOME: Severity.RISKY, Answer.YES: Severity.HARMLESS}


@dataclass(frozen=True)
class Place:
    """Where a field stands, and as what."""

    path: str
    offset: int
    length: int
    rule: str

    @property
    def text(self) -> str:
        """`9(13) at 129-141`, counted from 0; or `rest at 129-`."""
        end = f"{self.offset + self.length - 1}" if self.length else ""
        return f"{self.rule} at {self.offset}" if self.length == 1 else f"{self.rule} at {self.offset}-{end}"


@dataclass(frozen=True)
class Change:
    """One thing that differs. `path` is the field's, or the name of a fact of the family or the message."""

    what: str
    path: str
    text: str
    severity: Severity
    old: Place | None = None
    new: Place | None = None

    def as_object(self) -> dict[str, Any]:
        places = {name: None if place is None else vars(place) for name, place in (("old", self.old), ("new", self.new))}
        return {"what": self.what, "path": self.path, "text": self.text, "severity": self.severity.value} | places


@dataclass(frozen=True)
class MessageComparison:
    """One message of either spec or of both."""

    old: str | None
    new: str | None
    changes: tuple[Change, ...]
    decodes: Answer | None  # None for a message that the old spec does not have
    why: tuple[str, ...] = ()
    trial: Trial = field(default_factory=Trial)

    @property
    def name(self) -> str:
        return f"{self.old} -> {self.new}" if self.old and self.new and self.old != self.new else self.new or self.old or ""

    def as_object(self) -> dict[str, Any]:
        return {
            "old": self.old,
            "new": self.new,
            "changes": [change.as_object() for change in self.changes],
            "decodes": None if self.decodes is None else self.decodes.value,
            "why": list(self.why),
            "tried": self.trial.tried,
            "decoded": self.trial.decoded,
        }


@dataclass(frozen=True)
class Comparison:
    """Two specs compared."""

    old: str
    new: str
    family: tuple[Change, ...]
    messages: tuple[MessageComparison, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return (*self.family, *(change for message in self.messages for change in message.changes))

    @property
    def same(self) -> bool:
        return not self.changes

    @property
    def decodes(self) -> Answer:
        """Whether all telegrams of the old spec still decode, none, or only some."""
        answers = {message.decodes for message in self.messages if message.decodes is not None}
        return answers.pop() if len(answers) == 1 else Answer.SOME if answers else Answer.YES

    def as_object(self) -> dict[str, Any]:
        return {
            "old": self.old,
            "new": self.new,
            "same": self.same,
            "decodes": self.decodes.value,
            "family": [change.as_object() for change in self.family],
            "messages": [message.as_object() for message in self.messages],
        }


def compare(old: Spec, new: Spec, frames: Iterable[bytes] = ()) -> Comparison:
    """Everything that differs. `frames` are telegrams of the old spec to be tried beside those that are made up."""
    family = tuple(_family_changes(old, new))
    by_message: dict[str, list[bytes]] = {}
    for frame in frames:
        message = old.message_of(frame)
        if message is not None:
            by_message.setdefault(message.name, []).append(frame)
    readable = _frames_judgement(old, new)
    messages = [_compare_messages(was, now, readable, by_message.get(was.name, []) if was else []) for was, now in _message_pairs(old, new)]
    return Comparison(_called(old), _called(new), family, tuple(messages))


def _called(spec: Spec) -> str:
    return " ".join(filter(None, (spec.name, spec.version)))


# --- the family ---------------------------------------------------------------------------------------------------


def _family_changes(old: Spec, new: Spec) -> Iterator[Change]:
    was, now = old.family, new.family
    yield from _fact("framing", old.framing.describe(), new.framing.describe(), Severity.BREAKING)
    yield from _fact("framing", _around(old), _around(new), Severity.BREAKING)
    yield from _fact("encoding", old.encoding, new.encoding, Severity.RISKY)
    yield from _fact("length", _length(old), _length(new), Severity.BREAKING)
    yield from _fact("key", ", ".join(was.key), ", ".join(now.key), Severity.BREAKING)
    yield from _fact("correlation", ", ".join(was.correlation), ", ".join(now.correlation), Severity.BREAKING)
    yield from _fact("carrier", was.carrier or "", now.carrier or "", Severity.RISKY)
    yield from _fact("owner", was.owner or "", now.owner or "", Severity.RISKY)
    yield from _fact("trace", was.trace or "", now.trace or "", Severity.RISKY)
    yield from _fact("reply rule", _reply_rule(was.reply_rule), _reply_rule(now.reply_rule), Severity.BREAKING)
    yield from _fact("polls", _polls(old), _polls(new), Severity.RISKY)
    yield from _fact("refusals", _refusals(old), _refusals(new), Severity.RISKY)
    yield from _fact("largest frame", str(old.framing.max or ""), str(new.framing.max or ""), _shrunk(old.framing.max, new.framing.max))
    yield from _fact("version", old.version, new.version, Severity.HARMLESS)
    yield from _fact("title", old.title, new.title, Severity.HARMLESS)
    yield from _fact("name", old.name, new.name, Severity.HARMLESS)


def _fact(name: str, was: str, now: str, severity: Severity) -> Iterator[Change]:
    if was != now:
        yield Change("changed", name, f"{was or 'none'} -> {now or 'none'}", severity)


def _around(spec: Spec) -> str:
    shape = spec.framing.length
    marks = [part.hex() for part in (shape.before, shape.after, shape.end)] if isinstance(shape, LengthField) else []
    named = f", constants {' '.join(mark or '-' for mark in marks)}" if any(marks) else ""
    return f"{spec.framing.prefix} bytes in front, {spec.framing.suffix} behind{named}"


def _length(spec: Spec) -> str:
    return f"{spec.length} bytes" if spec.length else "differs by message"


def _reply_rule(rule: Any) -> str:
    if rule is None:
        return ""
    return f"{rule.field} {rule.step:+d}" if hasattr(rule, "step") else f"{rule.field} by {dict(rule.answers)}"


def _polls(spec: Spec) -> str:
    return ", ".join(
        f"{literal(p.request)}+{p.echo} {literal(p.answer) if p.answer is not None else 'unanswered'}" for p in spec.framing.polls
    )


def _refusals(spec: Spec) -> str:
    errors = spec.family.errors
    if errors is None:
        return ""
    codes = ", ".join(f"{ours} {theirs}" for ours, theirs in errors.codes.items())
    extra = f"; message {errors.message}" if errors.message else ""
    return f"{errors.field}: not sent {errors.not_sent}, unknown {errors.sent_unknown}; {codes}{extra}"


def _shrunk(was: int | None, now: int | None) -> Severity:
    return Severity.RISKY if now is not None and (was is None or now < was) else Severity.HARMLESS


def _frames_judgement(old: Spec, new: Spec) -> Judgement:
    """Whether frames are cut and told apart as they were."""
    if (old.framing.length, old.framing.prefix) != (new.framing.length, new.framing.prefix):
        return Judgement(Answer.NO, "frames are cut in another way")
    if [old.header_fields.get(name) for name in old.family.key] != [new.header_fields.get(name) for name in new.family.key]:
        return Judgement(Answer.NO, "the key stands at another place")
    return Judgement(Answer.YES)


# --- messages -----------------------------------------------------------------------------------------------------


def _message_pairs(old: Spec, new: Spec) -> Iterator[tuple[MessageLayout | None, MessageLayout | None]]:
    """The same message in both specs: by its key, where keys mean the same; else by its name."""
    same_key = old.family.key == new.family.key
    by_key = {message.key: message for message in new.messages.values()} if same_key else {}
    taken = set()
    for was in old.messages.values():
        now = by_key.get(was.key) if same_key else None
        now = now or next((m for m in (new.messages.get(was.name),) if m is not None and (not same_key or m.key not in _keys(old))), None)
        if now is not None:
            taken.add(now.name)
        yield was, now
    for now in new.messages.values():
        if now.name not in taken:
            yield None, now


def _keys(spec: Spec) -> set[tuple[str, ...]]:
    return {message.key for message in spec.messages.values()}


def _compare_messages(was: MessageLayout | None, now: MessageLayout | None, readable: Judgement, frames: list[bytes]) -> MessageComparison:
    if was is None or now is None:
        return _only_one(was, now)
    found = [*_message_changes(was, now)]
    judged = [readable, _key_judgement(was, now), _size_judgement(was, now)]
    for change, judgement in (*_structure_changes(was, now), *_field_changes(was, now)):
        judged.append(judgement)
        found.append(change)
    answer = min((each.answer for each in judged), key=_ORDER.index)
    why = [each.why for each in judged if each.answer is answer and each.why] if answer is not Answer.YES else []
    made_up = MADE_UP if found or answer is not Answer.YES else 0  # nothing can be learned from a message that is the same
    trial = try_telegrams(was, now, _same_fields(was, now), frames, made_up)
    return MessageComparison(was.name, now.name, tuple(found), _settled(answer, trial), tuple(dict.fromkeys(why)), trial)


_ORDER: Final = (Answer.NO, Answer.SOME, Answer.YES)


def _settled(answer: Answer, trial: Trial) -> Answer:
    """The rules' answer, lowered where telegrams that were tried contradict it."""
    if not trial.tried or trial.decoded == trial.tried:
        return answer
    return min(answer, Answer.SOME if trial.decoded else Answer.NO, key=_ORDER.index)


def _only_one(was: MessageLayout | None, now: MessageLayout | None) -> MessageComparison:
    if was is not None:
        gone = Change("vanished", "message", f"{was.name} {' '.join(was.key)} {was.title}".strip(), Severity.BREAKING)
        return MessageComparison(was.name, None, (gone,), Answer.NO, ("no message has its key",))
    assert now is not None
    new = Change("appeared", "message", f"{now.name} {' '.join(now.key)} {now.title}".strip(), Severity.HARMLESS)
    return MessageComparison(None, now.name, (new,), None)


def _message_changes(was: MessageLayout, now: MessageLayout) -> Iterator[Change]:
    if was.name != now.name:
        yield Change("renamed", "message", f"{was.name} -> {now.name}", Severity.RISKY)
    yield from _fact("key", " ".join(was.key), " ".join(now.key), Severity.BREAKING)
    yield from _fact("size", _sizes(was), _sizes(now), _SEVERITY[_size_judgement(was, now).answer])
    yield from _fact("kind", was.kind, now.kind, Severity.RISKY)
    yield from _fact("reply", _reply(was), _reply(now), Severity.BREAKING)
    yield from _fact("title", was.title, now.title, Severity.HARMLESS)


def _sizes(message: MessageLayout) -> str:
    least, most = message.codec.sizes()
    return f"{least} bytes" if least == most else f"{least} to {most} bytes" if most else f"from {least} bytes"


def _reply(message: MessageLayout) -> str:
    reply = message.reply
    return "" if reply.message is None else f"{reply.kind} {' '.join(reply.message.key) or reply.message.name}"


def _key_judgement(was: MessageLayout, now: MessageLayout) -> Judgement:
    return Judgement(Answer.YES) if was.key == now.key else Judgement(Answer.NO, "its key changed")


def _size_judgement(was: MessageLayout, now: MessageLayout) -> Judgement:
    (least, most), (new_least, new_most) = was.codec.sizes(), now.codec.sizes()
    if least >= new_least and (new_most is None or (most is not None and most <= new_most)):
        return Judgement(Answer.YES)
    apart = (most is not None and most < new_least) or (new_most is not None and least > new_most)
    return Judgement(Answer.NO if apart else Answer.SOME, f"its size changed: {_sizes(was)} -> {_sizes(now)}")


# --- tables and views ---------------------------------------------------------------------------------------------


def _structure(nodes: Iterable[Node]) -> Iterator[tuple[str, PlannedGroup | PlannedTable | PlannedViews]]:
    """Groups and tables by path, choices of views by the path of what chooses and the first of them."""
    for node in nodes:
        if isinstance(node, PlannedGroup):
            if node.name:
                yield node.path, node
            yield from _structure(node.members)
        elif isinstance(node, PlannedTable):
            yield node.path, node
            yield from _structure(node.item.members if isinstance(node.item, PlannedGroup) else [node.item])
        elif isinstance(node, PlannedViews):
            yield f"{node.path}.({' | '.join(name or 'the beginning' for name, _ in node.views[:1])} …)", node
            for _, view in node.views:
                yield from _structure([view])


def _structure_changes(was: MessageLayout, now: MessageLayout) -> Iterator[tuple[Change, Judgement]]:
    """What differs in tables, views and the labels of groups; fields that came or went with them are told as fields."""
    old, new = dict(_structure(was.tree)), dict(_structure(now.tree))
    for path, before in old.items():
        after = new.get(path)
        if after is None:
            continue
        if type(before) is not type(after):
            judgement = Judgement(Answer.SOME, f"{path} is laid out in another way")
            yield Change("structure", path, f"{_kind_of(before)} -> {_kind_of(after)}", Severity.RISKY), judgement
        elif isinstance(before, PlannedTable) and isinstance(after, PlannedTable):
            yield from _table_changes(path, before, after)
        elif isinstance(before, PlannedViews) and isinstance(after, PlannedViews):
            yield from _views_changes(path, before, after)
        if before.label != after.label:
            yield Change("label", path, f"{before.label or 'none'} -> {after.label or 'none'}", Severity.HARMLESS), Judgement(Answer.YES)


def _kind_of(node: PlannedGroup | PlannedTable | PlannedViews) -> str:
    return type(node).__name__.removeprefix("Planned").lower()


def _table_changes(path: str, was: PlannedTable, now: PlannedTable) -> Iterator[tuple[Change, Judgement]]:
    if table_words(was) == table_words(now):
        return
    other_bytes = was.stride != now.stride or was.storage != now.storage or (was.most != now.most and was.storage == "max")
    if other_bytes or was.depending != now.depending:
        judgement = Judgement(Answer.NO, f"{path}: its items stand at other bytes, or are counted by something else")
    elif now.most < was.most or now.least > was.least:
        judgement = Judgement(Answer.SOME, f"{path}: some counts are refused now")
    else:
        judgement = Judgement(Answer.YES)
    yield Change("table", path, f"{table_words(was)} -> {table_words(now)}", _SEVERITY[judgement.answer]), judgement


def _views_changes(path: str, was: PlannedViews, now: PlannedViews) -> Iterator[tuple[Change, Judgement]]:
    """Which view is chosen by what. Versions are told by their first days."""
    old, new = _choices(was), _choices(now)
    if (was.by, old, was.default) == (now.by, new, now.default):
        return
    before = {value: old.get(value, was.default) for value in {**old, **new}}
    other = [value for value, view in before.items() if view is not None and view != new.get(value, now.default)]
    if was.by != now.by:
        judgement = Judgement(Answer.NO, f"{path}: another field chooses the view")
    elif other or (was.default is not None and was.default != now.default):
        judgement = Judgement(Answer.SOME, f"{path}: another view for some values")
    else:
        judgement = Judgement(Answer.YES)
    yield Change("views", path, f"{_choices_text(was)} -> {_choices_text(now)}", _SEVERITY[judgement.answer]), judgement


def _choices(views: PlannedViews) -> dict[Any, str]:
    return {name: name for name, _ in views.views} if views.kind == "date" else dict(views.when)


def _choices_text(views: PlannedViews) -> str:
    if views.kind == "date":
        return f"by {views.by}: " + ", ".join(name or "the beginning" for name, _ in views.views)
    return views_words(views)


# --- fields -------------------------------------------------------------------------------------------------------


def _named(message: MessageLayout) -> dict[str, PlannedField]:
    """Fields with a value, those of a table once."""
    return {planned.path: planned for planned in templates(message.tree) if planned.name or planned.path.endswith("[0]")}


def _same_fields(was: MessageLayout, now: MessageLayout) -> dict[str, str]:
    """Paths of fields that both have: the old one's, and the new one's."""
    old, new = _named(was), _named(now)
    same = {path: path for path in old if path in new}
    by_place = {(f.section, f.offset, f.length, type(f.kind)): path for path, f in new.items() if path not in same}
    for path, planned in old.items():
        renamed = by_place.get((planned.section, planned.offset, planned.length, type(planned.kind)))
        if path not in same and renamed is not None:
            same[path] = renamed
    return same


def _field_changes(was: MessageLayout, now: MessageLayout) -> Iterator[tuple[Change, Judgement]]:
    """In the order of the new layout; what vanished stands where it was."""
    old, new, same = _named(was), _named(now), _same_fields(was, now)
    found: list[tuple[int, Change, Judgement]] = []
    for path, planned in old.items():
        if path in same:
            other = new[same[path]]
            found += [(other.offset, change, judgement) for change, judgement in _one_field(planned, other, was, now)]
        else:
            found.append((planned.offset, _vanished(planned, now), Judgement(Answer.YES)))
    for path in new.keys() - same.values():
        change, judgement = _appeared(new[path], was, now)
        found.append((new[path].offset, change, judgement))
    for _, change, judgement in sorted(found, key=lambda each: each[0]):
        yield change, judgement


def _place(planned: PlannedField) -> Place:
    return Place(planned.path, planned.offset, planned.length, planned.rule)


def _one_field(was: PlannedField, now: PlannedField, old: MessageLayout, new: MessageLayout) -> Iterator[tuple[Change, Judgement]]:
    places = _place(was), _place(now)
    path = now.path

    def change(what: str, text: str, judgement: Judgement) -> tuple[Change, Judgement]:
        named = Judgement(judgement.answer, f"{path}: {judgement.why or text}")
        return Change(what, path, text, _SEVERITY[judgement.answer], *places), named

    if was.path != now.path:
        yield change("renamed", f"{was.path} -> {now.path}, same place", Judgement(Answer.YES))[0], Judgement(Answer.YES)
    if was.offset != now.offset or was.length != now.length:
        moved = was.offset != now.offset
        grown = "" if was.length == now.length else "grew" if was.length < now.length else "shrank"
        judgement = Judgement(Answer.NO, "read from other bytes") if moved else judge_resized(was, now, old)
        what = " and ".join(filter(None, ("moved" if moved else "", grown)))
        yield change(what, f"{places[0].text} -> {places[1].text}", judgement)
    for what, text, judgement in judge_same_place(was, now):
        yield change(what, text, judgement)
    yield from _words(was, now, places)


def _words(was: PlannedField, now: PlannedField, places: tuple[Place, Place]) -> Iterator[tuple[Change, Judgement]]:
    """What no byte depends on."""
    if was.log != now.log:
        severity = Severity.RISKY if now.log == "clear" else Severity.HARMLESS
        yield Change("masking", now.path, f"{was.log} -> {now.log} in logs", severity, *places), Judgement(Answer.YES)
    if was.kind.json != now.kind.json:
        yield Change("json", now.path, f"{was.kind.json} -> {now.kind.json} in JSON", Severity.RISKY, *places), Judgement(Answer.YES)
    if was.label != now.label:
        yield (
            Change("label", now.path, f"{was.label or 'none'} -> {now.label or 'none'}", Severity.HARMLESS, *places),
            Judgement(Answer.YES),
        )


def _vanished(planned: PlannedField, now: MessageLayout) -> Change:
    covered = _covering(now, planned.offset, planned.end)
    reserved = bool(covered) and all(isinstance(each.kind, Filler) for each in covered)
    by = ", ".join(each.path for each in covered)
    where = "its bytes are reserved now" if reserved else f"its bytes belong to {by} now" if by else "its bytes are no more"
    return Change("vanished", planned.path, f"{_place(planned).text}: {where}", Severity.RISKY, _place(planned))


def _appeared(planned: PlannedField, was: MessageLayout, now: MessageLayout) -> tuple[Change, Judgement]:
    covered = _covering(was, planned.offset, planned.end)
    judgement = Judgement(Answer.SOME, f"{planned.path}: reads bytes that were something else")
    if not covered:
        where, judgement = "behind the old end", Judgement(Answer.YES)  # the size says already what becomes of it
    elif all(isinstance(each.kind, Filler) for each in covered):
        where, judgement = "in reserved bytes", blank_judgement(planned, now.spec.encoding)
    else:
        where = f"in place of {', '.join(each.path for each in covered)}"
    return Change(
        "appeared", planned.path, f"{_place(planned).text}, {where}", _SEVERITY[judgement.answer], None, _place(planned)
    ), judgement


def _covering(message: MessageLayout, start: int, end: int) -> list[PlannedField]:
    """The fields that have bytes from `start` to `end`."""
    return [each for each in message.fields if (each.end > start or each.is_opaque) and each.offset < max(end, start + 1)]


def summary(comparison: Comparison) -> Mapping[Severity, int]:
    """How many changes there are of each severity."""
    return {severity: sum(change.severity is severity for change in comparison.changes) for severity in Severity}
