"""Why a telegram does not fit: the nearest plausible cause, proven by undoing it and reading again."""

# Rules these files keep (causes, repairs, shifts, dialects), all of them tested:
#
# 1. A cause is named only when undoing it takes most of the problems away, and it says how many.
# 2. It names fields, places and counts, never what a field holds.
# 3. The work is bounded: bytes, fields and trials have a limit each.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.dialects import doubts, of_fields
from telegram_router.telegrams.fit import Fit, fit
from telegram_router.telegrams.repairs import Cause, Repair, of_code_pages, of_editors, of_framing, of_messages, of_size, seen
from telegram_router.telegrams.shifts import of_shifts

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import Spec

__all__ = ["Cause", "causes"]

LARGEST: Final = 64 * 1024  # bytes that are tried on; beyond them nobody reads a table either
_SHOWN: Final = 3


def causes(spec: Spec, data: bytes, *, framed: bool = True) -> list[Cause]:
    """The likeliest causes of what is wrong with a frame, or with a telegram without its framing; the best first.

    Nothing when all is well, and nothing when no trial explains it. One byte over and over may be anything.
    """
    if len(data) > LARGEST or len(set(data)) < 2:
        return []
    prefix, suffix = (spec.framing.prefix, spec.framing.suffix) if framed else (0, 0)
    telegram = data[prefix : max(prefix, len(data) - suffix)]
    now = fit(spec, telegram)
    size = spec.framing.length.front(data, 0, spec.framing.bounds(0, max_frame=1 << 24)) if framed else len(data)
    misframed = size != len(data)
    if not now.problems and not misframed:
        return list(doubts(spec, telegram, now))
    found: list[tuple[float, Cause, bytes]] = []
    for number, repair in enumerate(_repairs(spec, data, telegram, now, framed, misframed)):
        then = _tried(spec, repair)
        if _explains(now, then, repair, misframed):
            rank = 10_000 * then.problems - 100 * round(then.proof / 4) + min(number, 99)
            found.append((rank, _cause(repair, now, then, misframed), repair.telegram))
    found.sort(key=lambda each: each[0])
    best = [*_distinct(found)][:_SHOWN]
    if best and not best[0].after:
        return best
    return best + list(of_fields(spec, telegram, now))[: _SHOWN - len(best)]


def _tried(spec: Spec, repair: Repair) -> Fit:
    """What a repair gives. The field that is to blame for a shift may hold anything."""
    then = fit(spec, repair.telegram, repair.message)
    blamed = tuple(planned for planned in then.bad if planned is not repair.blamed)
    return replace(then, bad=blamed) if len(blamed) < len(then.bad) else then


def _distinct(found: Sequence[tuple[float, Cause, bytes]]) -> Iterator[Cause]:
    """Those that leave as few problems as the best and prove about as much; of several that give the same bytes one."""
    seen: set[bytes] = set()
    for rank, cause, telegram in found:
        if rank < found[0][0] + 200 and telegram not in seen:
            seen.add(telegram)
            yield cause


def _cause(repair: Repair, now: Fit, then: Fit, misframed: bool) -> Cause:
    return Cause(repair.what, repair.trial, seen(now) + misframed, seen(then), repair.do)


def _explains(now: Fit, then: Fit, repair: Repair, misframed: bool) -> bool:
    if then.message is None:
        return False
    before = now.problems + misframed
    left = then.problems - (repair.message is not None)  # the key is still wrong
    if before - left < repair.least or then.problems * 3 > before or seen(now) + misframed <= then.problems:
        return False
    return then.proof >= now.proof + repair.gain if now.message is not None else then.proof > 20


def _repairs(spec: Spec, data: bytes, telegram: bytes, now: Fit, framed: bool, misframed: bool) -> Iterator[Repair]:
    """The likeliest first: of two that repair as much, the first one is named."""
    yield from of_editors(spec, data, telegram, framed, misframed)
    yield from of_framing(spec, data, now, framed, misframed)
    if not now.problems:
        return
    yield from of_code_pages(spec, telegram, now)
    yield from of_size(spec, telegram, now)
    yield from of_messages(spec, telegram, now)
    yield from of_shifts(spec, telegram, now)
