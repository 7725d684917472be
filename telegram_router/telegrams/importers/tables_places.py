"""A sheet's own sums against its lengths: offsets, ends, cumulative lengths."""

# Rules this file keeps:
#
# 1. A difference is told where it begins, once, not again for every row behind it.
# 2. From where a sheet counts is found out by most of its rows, not by the first.

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import Columns
from telegram_router.telegrams.importers.tables_items import Item, shown
from telegram_router.telegrams.importers.tables_types import whole_number

_ENOUGH_TO_BELIEVE: Final = 3  # rows that are off by the same number are not all mistakes


def check_places(told: Told, columns: Columns, items: Iterable[Item], start: int) -> None:
    """Offsets, ends and cumulative lengths against the lengths. `start` is where the section begins in the telegram."""
    placed = [*_placed(items, 0)]
    offsets = [(item, at, value) for item, at, _ in placed if (value := whole_number(item.row.offset)) is not None]
    _check_column(told, "offset", offsets, columns.base, start)
    whole = [(item, at, inner) for item, at, inner in placed if not inner or item.row.cumulative]
    sums = [(item, at + item.size, value) for item, at, _ in whole if (value := whole_number(item.row.cumulative)) is not None]
    _check_column(told, "cumulative length", sums, 0, start)
    for item, _, inner in placed:
        first, last = whole_number(item.row.offset), whole_number(item.row.end)
        if first is not None and last is not None and not inner and last - first + 1 != item.size and last - first != item.size:
            what = f"{shown(item.row)} goes from {first} to {last}, which is not its {item.size} bytes"
            told.say("error", "E-IMP-03", item.row.row, what, "mend the end or the length")


def _placed(items: Iterable[Item], at: int, inner: bool = False) -> Iterator[tuple[Item, int, bool]]:
    """Each row with the byte at which it begins; of what is repeated, the first."""
    for item in items:
        yield item, at, inner
        inside = inner or item.times is not None
        if item.type.form in ("views", "versions"):  # each begins where the others do
            for member in item.members:
                yield from _placed([member], at, inside)
        else:
            yield from _placed(item.members, at, inside)
        at += item.size


def _check_column(told: Told, what: str, stated: list[tuple[Item, int, int]], base: int | None, start: int) -> None:
    if not stated:
        return
    deltas = [value - expected for _, expected, value in stated]
    current = _usual(deltas, base, start, counts_from=(0,) if what != "offset" else (0, 1))
    _say_base(told, what, stated[0][0].row.row, current, start)
    for index, (item, expected, value) in enumerate(stated):
        delta = deltas[index]
        if delta == current:
            continue
        told.say("error", "E-IMP-03", item.row.row, _difference(what, item, value, expected + current), "mend that number, or a length")
        alone = index + 1 == len(deltas) or deltas[index + 1] == current
        current = current if alone else delta


def _usual(deltas: list[int], base: int | None, start: int, counts_from: tuple[int, ...]) -> int:
    """What the sheet's numbers have more than ours: they count from 0 or 1, from the telegram's or the section's beginning."""
    plausible = [*counts_from, *(start + each for each in counts_from)]
    if base is not None:
        plausible = [each for each in plausible if each in (base, start + base)] or plausible
    seen = Counter(deltas)
    best = max(plausible, key=lambda each: (seen[each], each == deltas[0], -plausible.index(each)))
    common, times = seen.most_common(1)[0]
    # A first offset depends on no length, so others may have been left out in front. A first sum that is off is a wrong length.
    believed = 1 in counts_from and not seen[best] and times >= _ENOUGH_TO_BELIEVE and common > 0
    return common if believed else best


def _say_base(told: Told, what: str, row: int, current: int, start: int) -> None:
    if what != "offset":
        return
    whence = "the telegram's" if start == 0 or current in (start, start + 1) else "the section's"
    if current in (0, 1, start, start + 1):
        said = f"offsets count from {current - start if current >= start else current}, from {whence} first byte"
        if not any(finding.what == said for finding in told.findings):  # a sheet of header and body says it twice
            told.say("note", "E-IMP-08", row, said)
    else:
        said = f"offsets begin at {current}, where 0 or 1 was to be expected"
        told.say("warning", "E-IMP-03", row, said, "see whether bytes in front, a length prefix perhaps, are missing from the table")


def _difference(what: str, item: Item, value: int, expected: int) -> str:
    name = shown(item.row)
    size = abs(value - expected)
    many = f"{size} byte{'' if size == 1 else 's'}"
    if what == "offset":
        kind = "gap" if value > expected else "overlap"
        return f"{name}: offset {value}, by the lengths above {expected}: {'a' if kind == 'gap' else 'an'} {kind} of {many}"
    return f"{name}: {what} {value}, the lengths up to here make {expected}, {many} {'fewer' if value > expected else 'more'}"
