"""Rows of usage, read from the state folder and summed up: for the admin API and for the command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from telegram_router.ops import answers
from telegram_router.storage.days import Row, days_in, read_day, summed

KEYS = ("day", "user", "service")
MOST_ROWS = 100_000  # of one answer


def chosen_days(folder: Path, first: str, last: str) -> list[str]:
    """The days from the first to the last of which there is something. Raises ValueError, and RouterError E-STO-01."""
    check_days(first, last)
    return [day for day in days_in(folder) if first <= day <= last]


def check_days(first: str, last: str) -> None:
    """Raises ValueError."""
    for day in (first, last):
        try:
            date.fromisoformat(day)
        except ValueError:
            raise ValueError("a day is written as 2026-03-31") from None
    if first > last:
        raise ValueError("the first day is after the last one")


def checked(by: Iterable[str]) -> list[str]:
    """Raises ValueError."""
    wanted = [each.strip() for each in by]
    unknown = [each for each in wanted if each not in KEYS]
    if unknown:
        raise ValueError(f"rows are told apart by any of {', '.join(KEYS)}")
    return wanted


def rows_of(folder: Path, days: Sequence[str], by: Iterable[str]) -> list[answers.UsageRow]:
    """The rows of these days. Raises ValueError when there are too many, and RouterError E-STO-01."""
    wanted = checked(by)
    sums: list[Row] = []
    for day in days:
        sums = summed([*sums, *read_day(folder, day)], wanted)
        if len(sums) > MOST_ROWS:
            raise ValueError(f"more than {MOST_ROWS:,} rows: ask for fewer days, or for sums")
    return list(_seen(sums))


def _seen(rows: Iterable[Row]) -> Iterator[answers.UsageRow]:
    for row in rows:
        yield answers.UsageRow(row.day, row.user, row.service, row.requests, *row[3:])
