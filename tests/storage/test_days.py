"""Days of usage: files by their names, sums, and what is too old."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.errors import RouterError
from telegram_router.storage.days import Row, bucket_of, days_in, file_of, read_day, remove, summed, too_old
from telegram_router.storage.lines import line_of


def row(day: str = "2026-11-22", user: str = "C001", service: str = "transfer", answered: int = 1, **codes: int) -> Row:
    return Row(day, user, service, answered, 0, sum(codes.values()), 0, 0, 10, 20, 30, 40, dict(codes))


def test_rows_are_read_as_they_were_stored_and_only_days_are_looked_at(tmp_path: Path):
    (tmp_path / file_of("2026-11-22")).write_bytes(
        line_of(bucket_of("transfer"), {"b": list(row()[3:]), "a": list(row(answered=1)[3:])})
        + line_of(bucket_of("transfer"), {"a": list(row(answered=9)[3:])})
        + b"torn"
    )
    for name in ("counters.log", "usage-2026-13-45.log", "usage-2026-11-22.log.new", "usage-.log", "notes.txt"):
        (tmp_path / name).write_text("other")
    assert days_in(tmp_path) == ["2026-11-22"]
    assert list(read_day(tmp_path, "2026-11-22")) == [row(user="a", answered=9), row(user="b")]
    with pytest.raises(RouterError) as error:
        list(read_day(tmp_path, "2026-11-23"))
    assert error.value.code == "E-STO-01"
    with pytest.raises(RouterError):
        days_in(tmp_path / "nowhere")


def test_rows_are_summed_by_what_is_asked_for():
    rows = [
        row(answered=1, x=1),
        row(user="C002", answered=2, x=2, y=1),
        row(service="credit", answered=4),
        row(day="2026-11-23", answered=8),
    ]
    assert [(each.day, each.answered) for each in summed(rows, ["day"])] == [("2026-11-22", 7), ("2026-11-23", 8)]
    assert [(each.user, each.service, each.answered) for each in summed(rows, ["user", "service"])] == [
        ("C001", "credit", 4),
        ("C001", "transfer", 9),
        ("C002", "transfer", 2),
    ]
    (whole,) = summed(rows, [])
    assert (whole[:3], whole.answered, whole.requests, whole.codes, whole.bytes_in) == (("", "", ""), 15, 19, {"x": 3, "y": 1}, 40)
    assert summed(rows, ["day", "user", "service"]) == sorted(rows)


def day(number: int) -> str:
    return (date(2026, 1, 1) + timedelta(days=number)).isoformat()


def test_days_beyond_the_retention_are_too_old():
    days = [day(number) for number in range(20)]
    assert too_old(days, day(19), 10) == [day(number) for number in range(9)]
    assert too_old([], day(0), 1) == []


def test_a_clock_that_leaps_ahead_removes_nothing_that_is_near_the_last_day():
    days = [day(number) for number in range(20)]
    assert too_old([*days, day(5000)], day(5000), 100) == []
    assert too_old(days, day(5000), 100) == []


@given(st.sets(st.integers(0, 1000), max_size=30), st.integers(0, 1000), st.integers(1, 500))
def test_no_day_within_the_retention_is_ever_too_old(numbers: set[int], today: int, retention: int):
    old = too_old([day(number) for number in numbers], day(today), retention)
    assert not [number for number in numbers if number >= today - retention and day(number) in old]


def test_what_is_removed_may_be_gone_already(tmp_path: Path):
    (tmp_path / file_of(day(1))).touch()
    remove(tmp_path, [day(1), day(2)])
    assert days_in(tmp_path) == []
