"""Business hours around midnight, holidays, cutovers and clocks that are changed."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.routing.calendar import Calendar, date_of, day_of

KST = [(0.0, 9 * 3600)]
HOUR = 3600
WEEKDAYS = range(5)


def at(text: str) -> float:
    """A moment by a clock in Seoul."""
    return datetime.datetime.fromisoformat(f"{text}+09:00").timestamp()


def calendar(*hours: tuple[float, float], days: range = WEEKDAYS, holidays: tuple[str, ...] = (), cutover: float = 0) -> Calendar:
    spans = [(int(begin * HOUR), int(end * HOUR)) for begin, end in hours]
    off = frozenset(day_of(datetime.date.fromisoformat(each)) for each in holidays)
    return Calendar(KST, dict.fromkeys(days, spans), off, int(cutover * HOUR))


OFFICE = calendar((9, 18))
NIGHT = calendar((22, 30))  # 22:00 to 06:00
HOLIDAY = calendar((9, 18), (22, 30), holidays=("2026-03-02",))


@pytest.mark.parametrize(
    ("kind", "moment", "is_open", "until"),
    [
        (OFFICE, "2026-03-02 08:59:59", False, "2026-03-02 09:00"),  # a Monday
        (OFFICE, "2026-03-02 09:00", True, "2026-03-02 18:00"),
        (OFFICE, "2026-03-02 17:59:59", True, "2026-03-02 18:00"),
        (OFFICE, "2026-03-02 18:00", False, "2026-03-03 00:00"),
        (OFFICE, "2026-03-07 12:00", False, "2026-03-08 00:00"),  # a Saturday
        (NIGHT, "2026-03-06 23:59:59", True, "2026-03-07 00:00"),  # Friday's hours go on
        (NIGHT, "2026-03-07 05:59:59", True, "2026-03-07 06:00"),
        (NIGHT, "2026-03-07 06:00", False, "2026-03-08 00:00"),
        (NIGHT, "2026-03-02 05:00", False, "2026-03-02 22:00"),  # Sunday has none of its own
        (HOLIDAY, "2026-03-02 12:00", False, "2026-03-03 00:00"),
        (HOLIDAY, "2026-03-03 05:00", False, "2026-03-03 09:00"),  # the holiday's night is closed too
        (HOLIDAY, "2026-03-03 09:00", True, "2026-03-03 18:00"),
        (Calendar(KST), "2026-03-07 12:00", True, "2026-03-08 00:00"),  # always
    ],
)
def test_hours_open_and_close_at_their_minute(kind: Calendar, moment: str, is_open: bool, until: str):
    found = kind.look(at(moment))
    assert found.open is is_open
    assert found.until == at(until)
    assert found.holds(at(moment)) and not found.holds(found.until)


@pytest.mark.parametrize(
    ("cutover", "moment", "date"),
    [
        (0, "2026-03-02 00:00", "2026-03-02"),
        (0, "2026-03-01 23:59:59", "2026-03-01"),
        (23.5, "2026-03-02 23:29:59", "2026-03-02"),
        (23.5, "2026-03-02 23:30", "2026-03-03"),
        (23.5, "2026-03-03 00:30", "2026-03-03"),
        (1, "2026-03-03 00:59:59", "2026-03-02"),
        (1, "2026-03-03 01:00", "2026-03-03"),
        (24, "2026-03-02 23:59:59", "2026-03-02"),
        (24, "2026-03-03 00:00", "2026-03-03"),
    ],
)
def test_the_business_date_changes_at_the_cutover(cutover: float, moment: str, date: str):
    assert calendar((9, 18), cutover=cutover).look(at(moment)).date.isoformat() == date


def test_summer_time_moves_the_hours_with_the_clock():
    summer = datetime.datetime(2026, 3, 29, 1, tzinfo=datetime.UTC).timestamp()
    paris = Calendar([(0.0, HOUR), (summer, 2 * HOUR)], {day: [(9 * HOUR, 18 * HOUR)] for day in range(7)})
    winter = datetime.datetime(2026, 3, 28, 8, tzinfo=datetime.UTC).timestamp()
    assert paris.look(winter).open and not paris.look(winter - 1).open
    warm = datetime.datetime(2026, 3, 29, 7, tzinfo=datetime.UTC).timestamp()
    assert paris.look(warm).open and not paris.look(warm - 1).open
    assert paris.clock(warm) == datetime.datetime(2026, 3, 29, 9)


def test_a_moment_before_all_that_is_known_has_the_first_offset():
    assert Calendar([(1e9, 3600)]).offset(0.0) == 3600


def test_days_and_dates_are_each_others_reverse():
    assert date_of(day_of(datetime.date(2026, 3, 2))) == datetime.date(2026, 3, 2)


@given(st.integers(0, 4_000_000_000), st.sampled_from([OFFICE, NIGHT, HOLIDAY, calendar((9, 18), cutover=23.5), Calendar(KST)]))
def test_what_holds_now_holds_until_its_end_and_no_longer(moment: int, kind: Calendar):
    found = kind.look(float(moment))
    assert found.since <= moment < found.until <= moment + 2 * 86_400
    middle = kind.look((moment + found.until) // 2)
    assert (middle.open, middle.day) == (found.open, found.day)
