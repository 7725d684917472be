"""An answer now held against the answer then, field by field and as bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from telegram_router.telegrams import MessageLayout, PlannedField, Spec
from telegram_router.telegrams.layout import is_flat
from telegram_router.tools.predicate import as_text, numbers
from telegram_router.tools.replay.masks import ALWAYS, Mask, Masks, Seen
from telegram_router.tools.replay.placing import value_in
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.steps import Step


@dataclass(frozen=True)
class Difference:
    """One field that is another. Offsets count from the telegram's first byte; values are None where a side lacks the field."""

    message: str
    path: str
    offset: int
    length: int
    expected: str | None
    got: str | None
    clear: bool  # whether the values may be shown
    mask: str = ""  # that did not hold


_ShortCut: TypeAlias = tuple[list[slice], list[tuple[slice, slice]], bool]


def _short_cut(request: MessageLayout, message: MessageLayout, masks: dict[str, Mask]) -> _ShortCut:
    """Places that must be equal, places that are echoed with those of the request, and whether anything else is to be looked at."""
    plain: list[slice] = []
    echoed: list[tuple[slice, slice]] = []
    rest = not is_flat(message.tree)
    at = 0
    for planned in sorted(message.fields, key=lambda each: each.offset):
        mask = masks.get(planned.path)
        if mask is None:
            continue
        if planned.offset > at:
            plain.append(slice(at, planned.offset))
        at = planned.end
        own = request.field(planned.path)
        if mask.kind == "mapped" and own is not None and not own.shifts:
            echoed.append((slice(planned.offset, planned.end), slice(own.offset, own.end)))
        else:
            rest = rest or mask.kind in ALWAYS
            if mask.kind != "ignore" and mask.kind not in ALWAYS:
                plain.append(slice(planned.offset, planned.end))
    plain.append(slice(at, None))
    return plain, echoed, rest


class Comparer:
    """Compares answers. Knows the highest value of what must not decrease."""

    def __init__(self, spec: Spec, masks: Masks) -> None:
        self._spec = spec
        self._masks = masks
        self._highest: dict[tuple[str, str], Any] = {}
        self._always: dict[str, bool] = {}
        self._short: dict[tuple[str, str], _ShortCut] = {}

    def differences(
        self, step: Step, asked: bytes, rewriter: Rewriter, expected: Sequence[bytes], got: Sequence[bytes]
    ) -> list[Difference]:
        """All of them, of every part of an answer."""
        found = [each for then, now in zip(expected, got, strict=False) for each in self._part(step, asked, rewriter, then, now)]
        if len(expected) != len(got):
            name = step.message.reply.message.name if step.message.reply.message else step.message.name
            found.append(Difference(name, "parts", 0, 0, str(len(expected)), str(len(got)), clear=True))
        return found

    def unreadable(self, frame: bytes) -> bool:
        """Whether a field of it cannot be read."""
        message = self._spec.message_of(frame)
        telegram = self._spec.framing.telegram(frame)
        return message is None or any(isinstance(value_in(planned, _raw(telegram, planned)), bytes) for planned in message.fields_of(telegram) if planned.name and not planned.is_opaque)  # fmt: skip

    def _part(self, step: Step, asked: bytes, rewriter: Rewriter, expected: bytes, got: bytes) -> Iterator[Difference]:
        message, other = self._spec.message_of(expected), self._spec.message_of(got)
        if message is None or other is None or message is not other:
            yield Difference("", "message", 0, 0, message.name if message else None, other.name if other else None, clear=True)
            return
        masks = self._masks.of(message)
        always = self._always.get(message.name)
        if always is None:
            always = self._always[message.name] = any(mask.kind in ALWAYS for mask in masks.values())
        if expected == got and not always:
            return
        then, now = self._spec.framing.telegram(expected), self._spec.framing.telegram(got)
        if len(then) == len(now) and message.frame_size is not None and self._fits(step, message, masks, asked, then, now):
            return
        yield from self._fields(message, masks, step, asked, rewriter, then, now)

    def _fits(self, step: Step, message: MessageLayout, masks: dict[str, Mask], asked: bytes, then: bytes, now: bytes) -> bool:
        """The usual case in few steps: all bytes without a mask are equal, and what was echoed then is echoed now."""
        short = self._short.get((step.message.name, message.name))
        if short is None:
            short = self._short[step.message.name, message.name] = _short_cut(step.message, message, masks)
        plain, echoed, rest = short
        if rest or any(then[place] != now[place] for place in plain):
            return False
        before, after = self._spec.framing.telegram(step.frame), self._spec.framing.telegram(asked)
        return all(then[place] == before[own] and now[place] == after[own] for place, own in echoed)

    def _fields(self, message: MessageLayout, masks: dict[str, Mask], step: Step, asked: bytes, rewriter: Rewriter, then: bytes, now: bytes) -> Iterator[Difference]:  # fmt: skip
        fields = message.fields_of(now)
        others = fields if fields is message.fields else message.fields_of(then)
        if fields is not others and [each.path for each in fields] != [each.path for each in others]:
            yield from self._other_shape(message, fields, others, then, now)
            return
        for planned, before in zip(fields, others, strict=True):
            one, other = _raw(then, before), _raw(now, planned)
            mask = masks.get(planned.path) or (masks.get(_any_item(planned.path)) if "[" in planned.path else None)
            if mask is None:
                if one != other:
                    yield _difference(message, planned, one, other)
            elif (one != other or mask.kind in ALWAYS) and not mask.holds(
                self._seen(message, planned, mask, step, asked, rewriter, one, other)
            ):
                yield _difference(message, planned, one, other, mask.text)
        end = max((planned.end if not planned.is_opaque else len(now) for planned in fields), default=0)
        if then[end:] != now[end:]:
            yield Difference(message.name, "tail", end, len(now) - end, then[end:].hex(), now[end:].hex(), clear=False)

    def _seen(self, message: MessageLayout, planned: PlannedField, mask: Mask, step: Step, asked: bytes, rewriter: Rewriter, one: bytes, other: bytes) -> Seen:  # fmt: skip
        recorded, got = value_in(planned, one), value_in(planned, other)
        own = step.message.field(planned.path)
        prefix = self._spec.framing.prefix
        asked_raw = None if own is None else asked[prefix + own.offset : prefix + own.end]
        mapped = None
        if mask.kind == "mapped":
            echoed = own is not None and step.frame[prefix + own.offset : prefix + own.end] == one
            mapped = value_in(planned, asked_raw) if echoed and asked_raw is not None else rewriter.mapped(planned, recorded, one, step)
        place = (message.name, planned.path)
        seen = Seen(recorded, got, one, other, asked_raw, mapped, self._highest.get(place))
        if mask.kind == "nondecreasing" and got is not None:
            highest = self._highest.get(place)
            both = None if highest is None else numbers(highest, got)
            if highest is None or (both[0] < both[1] if both else as_text(highest) < as_text(got)):
                self._highest[place] = got
        return seen

    def _other_shape(self, message: MessageLayout, fields: Sequence[PlannedField], others: Sequence[PlannedField], then: bytes, now: bytes) -> Iterator[Difference]:  # fmt: skip
        """Tables of another number of items, or other views: what both have is compared, what one lacks is told."""
        mine, before = {each.path: each for each in fields}, {each.path: each for each in others}
        for path in [*before, *(each for each in mine if each not in before)]:
            old, new = before.get(path), mine.get(path)
            one, other = (None if old is None else _raw(then, old)), (None if new is None else _raw(now, new))
            planned = new or old
            assert planned is not None
            if one != other:
                yield _difference(message, planned, one, other)


def _raw(telegram: bytes, planned: PlannedField) -> bytes:
    return telegram[planned.offset : None if planned.is_opaque else planned.end]


def _any_item(path: str) -> str:
    return re.sub(r"\[\d+\]", "[0]", path)


def _shown(planned: PlannedField, raw: bytes | None) -> str | None:
    if raw is None:
        return None
    value = value_in(planned, raw) if planned.name or "[" in planned.path else raw
    return f"hex {value.hex()}" if isinstance(value, bytes) else "" if value is None else as_text(value)


def _difference(message: MessageLayout, planned: PlannedField, one: bytes | None, other: bytes | None, mask: str = "") -> Difference:
    then, now = _shown(planned, one), _shown(planned, other)
    if then == now and one is not None and other is not None:  # the same value written in another way
        then, now = f"{then} (hex {one.hex()})", f"{now} (hex {other.hex()})"
    length = planned.length or len(other or one or b"")
    return Difference(message.name, planned.path, planned.offset, length, then, now, planned.log == "clear", mask)
