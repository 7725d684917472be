"""Where two captures differ, record by record: for recordings that should be the same, such as two of one seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from telegram_router.storage.capture_records import Record

OF_TIME: Final = frozenset(["t", "t0"])
PLACES: Final = ("peer", "local")  # an address and its port, which is another in each run


class Difference(NamedTuple):
    """A place at which two captures are not the same. What stands there is not told, since it may be somebody's."""

    number: int  # of the record, from 1; the head is the first
    kinds: tuple[str, str]  # "" where a capture has ended before
    keys: tuple[str, ...]  # those that are not the same
    byte: int | None  # of a telegram: the first byte that is another


def differences(one: Iterable[Record], other: Iterable[Record], *, ignore_time: bool = False) -> Iterator[Difference]:
    """The records that are not the same, in their order. `ignore_time` leaves out times, and the ports that the system gave."""
    for number, (first, second) in enumerate(zip_longest(one, other), 1):
        if first is None or second is None:
            yield Difference(number, (_kind(first), _kind(second)), (), None)
            continue
        if ignore_time:
            first, second = _timeless(first), _timeless(second)
        if first != second:
            keys = [key for key in first | second if first.get(key, KeyError) != second.get(key, KeyError)]
            yield Difference(number, (_kind(first), _kind(second)), tuple(keys), _first_byte(first.get("raw"), second.get("raw")))


def _kind(record: Record | None) -> str:
    return "" if record is None else str(record.get("k", "?"))


def _timeless(record: Record) -> Record:
    left: Record = {key: value for key, value in record.items() if key not in OF_TIME}
    for key in PLACES:
        if isinstance(left.get(key), str):
            left[key] = left[key].rpartition(":")[0]
    return left


def _first_byte(one: Any, other: Any) -> int | None:
    if not isinstance(one, bytes) or not isinstance(other, bytes) or one == other:
        return None
    short = min(len(one), len(other))
    return next((at for at in range(short) if one[at] != other[at]), short)
