"""The files of usage in the state folder, one a day: read, and removed when they are too old."""

# Rules this file keeps, all of them tested:
#
# 1. Only files whose names are those of days are looked at or removed.
# 2. A clock that leaps ahead removes nothing on the day on which it does: a day is old by the one before it, too.

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from telegram_router.errors import RouterError
from telegram_router.routing.usage import COUNTS
from telegram_router.storage.lines import Bucket, read_lines

_NAME = re.compile(r"usage-(\d{4}-\d\d-\d\d)\.log")
_TRUSTED = 31  # days that the date may be ahead of the last one that was written


class Row(NamedTuple):
    """What one user asked of one service on one day; "" where it is summed up. `codes` counts requests that were not answered."""

    day: str
    user: str
    service: str
    answered: int
    sent: int
    refused: int
    not_sent: int
    sent_unknown: int
    bytes_in: int
    bytes_out: int
    amount: int
    amount_unknown: int
    codes: dict[str, int]

    @property
    def requests(self) -> int:
        return self.answered + self.sent + self.refused + self.not_sent + self.sent_unknown


def file_of(day: str) -> str:
    return f"usage-{day}.log"


def bucket_of(service: str) -> Bucket:
    return ("usage", service)


def by_service(stored: Mapping[Bucket, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(bucket[1]): users for bucket, users in stored.items() if len(bucket) == 2 and bucket[0] == "usage"}


def days_in(folder: Path) -> list[str]:
    """The days that there are files of, oldest first. Raises RouterError E-STO-01."""
    try:
        names = [each.name for each in folder.iterdir()]
    except OSError as error:
        what = f"the state folder cannot be read: {error.strerror or type(error).__name__}"
        raise RouterError("E-STO-01", what, where=str(folder), do="check the folder, its owner and its permissions") from None
    found = [match[1] for name in names if (match := _NAME.fullmatch(name))]
    return sorted(day for day in found if _is_date(day))


def read_day(folder: Path, day: str) -> Iterator[Row]:
    """The rows of one day, by service and user. Raises RouterError E-STO-01."""
    try:
        stored = read_lines((folder / file_of(day)).read_bytes()).stored
    except OSError as error:
        what = f"a day of usage cannot be read: {error.strerror or type(error).__name__}"
        raise RouterError("E-STO-01", what, where=str(folder / file_of(day)), do="check the file and its permissions") from None
    for service, users in sorted(by_service(stored).items()):
        for user, row in sorted(users.items()):
            yield Row(day, user, service, *row)


def summed(rows: Iterable[Row], by: Iterable[str]) -> list[Row]:
    """Rows that are alike in these of day, user and service added up, in their order."""
    kept = [name in by for name in Row._fields[:3]]
    sums: dict[tuple[str, ...], Row] = {}
    for row in rows:
        day, user, service = key = tuple(value if keep else "" for value, keep in zip(row[:3], kept, strict=True))
        known = sums.get(key)
        sums[key] = row._replace(day=day, user=user, service=service) if known is None else _added(known, row)
    return [sums[key] for key in sorted(sums)]


def _added(one: Row, other: Row) -> Row:
    codes = dict(one.codes)
    for code, count in other.codes.items():
        codes[code] = codes.get(code, 0) + count
    counts = {name: getattr(one, name) + getattr(other, name) for name in COUNTS}
    return one._replace(codes=codes, **counts)


def too_old(days: Iterable[str], today: str, retention: int) -> list[str]:
    """The days that are no longer kept."""
    known = sorted(days)
    before = [date.fromisoformat(day) for day in known if day < today]
    now = date.fromisoformat(today)
    if before:
        now = min(now, before[-1] + timedelta(days=_TRUSTED))
    return [day for day in known if date.fromisoformat(day) < now - timedelta(days=retention)]


def remove(folder: Path, days: Iterable[str]) -> None:
    for day in days:
        (folder / file_of(day)).unlink(missing_ok=True)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
