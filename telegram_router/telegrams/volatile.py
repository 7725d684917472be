"""Fields whose values belong to the moment, as a spec declares them: dates, times, running numbers, and what refers to such numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from telegram_router.telegrams.layout import PlannedField
    from telegram_router.telegrams.spec import MessageLayout

ROLES: Final = ("clock", "clock.date", "clock.time", "sequence", "ref_of FIELD", "issued")


@dataclass(frozen=True)
class Volatile:
    """What a field's value follows from. `of`: the field that a reference refers to."""

    role: Literal["clock", "sequence", "ref_of", "issued"]
    of: str = ""


def volatile_of(text: object) -> Volatile | None:
    """What a declaration says; None for one that means nothing."""
    words = text.split() if isinstance(text, str) else []
    if words in (["clock"], ["clock.date"], ["clock.time"]):
        return Volatile("clock")
    if words == ["sequence"]:
        return Volatile("sequence")
    if words == ["issued"]:
        return Volatile("issued")
    return Volatile("ref_of", words[1]) if len(words) == 2 and words[0] == "ref_of" else None


def volatile_fields(message: MessageLayout) -> Iterator[tuple[PlannedField, Volatile]]:
    """The volatile fields of a message that stand in no table."""
    declared = message.spec.family.volatile
    for planned in message.fields if declared else ():
        told = declared.get(planned.path) or declared.get(planned.name)
        found = volatile_of(told) if told and "[" not in planned.path else None
        if found is not None:
            yield planned, found
