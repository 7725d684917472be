"""A field that is some bytes too long or too short moves all that follows: found by giving it its length back. See causes.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.fields import FieldFault, Kind, Number, Text
from telegram_router.telegrams.fit import FIRST_BAD, MORE_BAD, Fit, fields_at, fit
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.repairs import REACH, Repair, in_bytes, single_byte

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import Spec

MOST_READ: Final = 120_000  # fields read in all trials together: of a telegram with many, fewer are tried as the place of a shift
_ALONE: Final = 9.0  # bits that a shift must prove where a single field is bad: it may just be bad


def of_shifts(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Repair]:
    """A field that is some bytes too long or too short moves all that follows."""
    if now.message is None or not now.problems:
        return
    gain = -1.0 if now.missing or len(now.bad) > 1 else _ALONE
    fields = fields_at(now.message, telegram)
    first = next((number for number, planned in enumerate(fields) if planned in now.bad), len(fields) - 1)
    places = [planned for planned in fields[: first + 1] if not planned.is_opaque][-max(MOST_READ // (2 * REACH * len(fields)), REACH) :]
    for by in sorted(range(-REACH, REACH + 1), key=abs):
        tried = [_Shift(spec, telegram, planned, by) for planned in places] if by else []
        good = [each for each in tried if each.then is not None and each.then.message is now.message]
        if not good:
            continue
        chosen = min(good, key=lambda each: each.rank)
        if chosen.then is None or chosen.then.proof < now.proof + gain:
            continue
        others = [each.planned for each in good if each.rank[:2] == chosen.rank[:2]]
        yield Repair(
            f"{_blame(chosen.planned, others)} {in_bytes(abs(by))} too {'long' if by > 0 else 'short'}"
            f": what follows stands {in_bytes(abs(by))} too {'late' if by > 0 else 'early'}",
            f"with {in_bytes(abs(by))} {'taken out of' if by > 0 else 'put into'} {chosen.planned.path}",
            chosen.changed or b"",
            gain=gain,
            blamed=chosen.planned,
        )
        if not chosen.rank[0]:
            return


def _blame(chosen: PlannedField, others: Sequence[PlannedField]) -> str:
    """The field, or the fields among which nothing decides."""
    if len(others) < 2:
        return f"{chosen.path} is"
    return (
        f"a field from {others[0].path} to {others[-1].path} is"
        if chosen.path in (others[0].path, others[-1].path)
        else (f"{chosen.path}, or another field from {others[0].path} to {others[-1].path}, is")
    )


class _Shift:
    """A trial: one field brought back to its length, and how the rest then fits."""

    def __init__(self, spec: Spec, telegram: bytes, planned: PlannedField, by: int) -> None:
        self.planned = planned
        self.changed = _shifted(spec, telegram, planned, by)
        self.then = None if self.changed is None else fit(spec, self.changed)
        self.rank = self._rank(telegram, by) if self.then is not None else (0, 0, 0, 0)

    def _rank(self, telegram: bytes, by: int) -> tuple[int, int, int, int]:
        """The least is the likeliest: problems left (its own do not count), what the rest proves, how much it looks to blame."""
        assert self.then is not None
        mine = self.planned in self.then.bad  # it may hold anything, and what it holds is not held against it
        proof = self.then.proof + (FIRST_BAD if len(self.then.bad) == 1 else MORE_BAD) * mine
        return self.then.problems - mine, -round(proof / 4), -_overfull(self.planned, telegram, by), -self.planned.offset


def _shifted(spec: Spec, telegram: bytes, planned: PlannedField, by: int) -> bytes | None:
    """The telegram with a field brought back to its length; its end is filled up or cut to the old size where that was right."""
    blank = " ".encode(single_byte(spec.encoding))
    numeric = isinstance(planned.kind, Number) and planned.kind.length == planned.length
    if by > 0:
        at = planned.offset if numeric else planned.end
        changed = telegram[:at] + telegram[at + by :]
    elif -by >= planned.length:
        return None
    else:
        at = planned.offset if numeric else planned.end + by
        changed = telegram[:at] + (_zero(planned.kind) if numeric else blank) * -by + telegram[at:]
    message = spec.message_of(bytes(spec.framing.prefix) + changed)
    if message is None:
        return None
    least, most = message.codec.sizes()
    if least == most and len(telegram) == least:
        changed = changed[:least].ljust(least, blank)
    return changed


def _zero(kind: Kind) -> bytes:
    try:
        return kind.write(0)[:1]
    except FieldFault:
        return b"0"


def _overfull(planned: PlannedField, telegram: bytes, by: int) -> int:
    """How much a field looks like the one to blame: text that fills its field to the brim, or another one that does not end in padding."""
    if by < 0:
        return isinstance(planned.kind, Text)
    part = telegram[planned.offset : planned.end + by]
    if isinstance(planned.kind, Text):
        return 2 if part[-by:].strip(b" \x40\0") and not part.isascii() else 1 if not part.isascii() else 0
    return 0
