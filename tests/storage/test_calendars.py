"""Windows of the calendar: midnight in Seoul, ends of months, and zones whose clocks leap."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing.quotas import Window
from telegram_router.storage.calendars import date_of, day_of, shown, window_of

SEOUL = ZoneInfo("Asia/Seoul")
ZONES = [
    "Asia/Seoul", "UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Asia/Beirut",
    "Pacific/Apia", "Africa/Cairo", "America/Havana",
]  # fmt: skip
PERIODS = ["hour", "day", "week", "month"]


def at(text: str, zone: ZoneInfo = SEOUL) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("moment", "period", "begin", "end"),
    [
        ("2026-03-31 23:59:59.999", "day", "2026-03-31 00:00", "2026-04-01 00:00"),
        ("2026-04-01 00:00:00", "day", "2026-04-01 00:00", "2026-04-02 00:00"),
        ("2026-04-01 00:00:00", "month", "2026-04-01 00:00", "2026-05-01 00:00"),
        ("2026-03-31 23:59:59.999", "month", "2026-03-01 00:00", "2026-04-01 00:00"),
        ("2024-02-29 12:00", "month", "2024-02-01 00:00", "2024-03-01 00:00"),
        ("2026-12-31 23:59:59", "month", "2026-12-01 00:00", "2027-01-01 00:00"),
        ("2027-01-01 00:00", "week", "2026-12-28 00:00", "2027-01-04 00:00"),
        ("2026-11-22 23:59:59", "week", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("2026-11-22 09:59:59", "hour", "2026-11-22 09:00", "2026-11-22 10:00"),
    ],
)
def test_windows_of_seoul(moment: str, period: str, begin: str, end: str):
    assert window_of(at(moment), period, SEOUL) == Window(int(at(begin)), int(at(end)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("America/New_York", "2026-03-08 12:00", 23),
        ("America/New_York", "2026-11-01 12:00", 25),
        ("Asia/Seoul", "2026-03-08 12:00", 24),
        ("Australia/Lord_Howe", "2026-04-05 12:00", 24.5),
        ("Asia/Beirut", "2021-03-28 12:00", 23),  # whose midnight did not exist
        ("America/Havana", "2025-11-02 12:00", 25),
    ],
)
def test_a_day_on_which_the_clocks_leap_is_one_window(zone: str, moment: str, hours: float):
    window = window_of(at(moment, ZoneInfo(zone)), "day", ZoneInfo(zone))
    assert (window.end - window.begin) / 3600 == hours


def test_an_hour_that_the_clocks_show_twice_is_one_window():
    new_york = ZoneInfo("America/New_York")
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC).timestamp()
    assert window_of(first, "hour", new_york) == window_of(first + 3600, "hour", new_york)
    assert window_of(first + 7200, "hour", new_york).begin == window_of(first, "hour", new_york).end


@given(st.integers(1_000_000_000, 2_000_000_000), st.sampled_from(ZONES), st.sampled_from(PERIODS))
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_every_moment_is_in_one_window_and_windows_follow_each_other_without_a_gap(moment: int, zone: str, period: str):
    there = ZoneInfo(zone)
    window = window_of(moment, period, there)  # type: ignore[arg-type]
    assert window.begin <= moment < window.end
    for inside in (window.begin, window.end - 1, (window.begin + window.end) // 2):
        assert window_of(inside, period, there) == window  # type: ignore[arg-type]
    assert window_of(window.end, period, there).begin == window.end  # type: ignore[arg-type]
    assert window_of(window.begin - 1, period, there).end == window.begin  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ZONES)
def test_around_every_leap_of_ten_years_minutes_are_in_windows_that_follow_each_other(zone: str):
    there = ZoneInfo(zone)
    moment, end = int(at("2018-01-01", there)), int(at("2028-01-01", there))
    offset = None
    while moment < end:
        now = datetime.fromtimestamp(moment, there).utcoffset()
        if offset is not None and now != offset:
            for period in ("hour", "day"):
                before = None
                for minute in range(moment - 90_000, moment + 10_000, 600):
                    window = window_of(minute, period, there)  # type: ignore[arg-type]
                    assert window.begin <= minute < window.end
                    assert before is None or window in (before, window_of(before.end, period, there))  # type: ignore[arg-type]
                    before = window
        offset, moment = now, moment + 43_200


def test_days_are_named_by_their_date():
    assert day_of(at("2026-11-23 00:00"), SEOUL) == "2026-11-23"
    assert day_of(at("2026-11-22 23:59:59.9"), SEOUL) == "2026-11-22"
    beirut = ZoneInfo("Asia/Beirut")
    assert date_of(window_of(at("2021-03-28 12:00", beirut), "day", beirut), beirut) == "2021-03-28"
    assert shown(0) == "1970-01-01T00:00:00+00:00"
    assert shown(at("2026-11-23 00:00"), SEOUL) == "2026-11-23T00:00:00+09:00"
