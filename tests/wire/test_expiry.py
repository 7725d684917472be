"""Warnings before something ends: in time, once each, and of everything."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.wire.expiry import DAY, TICK, WARN_DAYS, Expiry, ExpiryWatch, watch

OWN = Expiry("listeners.companies.tls", "certificate", "router.pem", 100 * DAY)
LIST = Expiry("listeners.companies.tls", "crl", "crl.pem", 40 * DAY)


def told(days: list[float], *known: Expiry) -> list[tuple[float, str]]:
    seen = ExpiryWatch()
    return [(day, each.file) for day in days for each, _ in seen.due(known, day * DAY)]


def test_an_end_is_told_of_once_at_each_of_30_14_7_and_1_days_and_when_it_comes():
    hours = [69 + hour / 24 for hour in range(24 * 35)]
    assert [day for day, _ in told(hours, OWN)] == [70, 86, 93, 99, 100]


def test_who_starts_late_is_told_once_of_the_nearest():
    assert told([94, 94.1, 98.9, 99], OWN) == [(94, "router.pem"), (99, "router.pem")]


def test_each_file_is_told_of_by_itself():
    assert told([10, 70], OWN, LIST) == [(10, "crl.pem"), (70, "router.pem"), (70, "crl.pem")]


def test_what_is_renewed_is_told_of_no_more_and_anew_at_its_new_end():
    seen, renewed = ExpiryWatch(), Expiry(OWN.used_by, OWN.kind, OWN.file, 200 * DAY)
    assert len(list(seen.due([OWN], 99 * DAY))) == 1
    assert list(seen.due([renewed], 99 * DAY)) == []
    assert [left for _, left in seen.due([renewed], 195 * DAY)] == [5]


@given(st.lists(st.floats(-50, 150), max_size=40), st.floats(0, 100))
def test_no_end_is_told_of_more_often_than_there_are_warnings_nor_too_early(days: list[float], end: float):
    known = [Expiry("listeners.a.tls", "ca", "ca.pem", end * DAY)]
    seen = ExpiryWatch()
    found = [left for day in sorted(days) for _, left in seen.due(known, day * DAY)]
    assert len(found) <= len(WARN_DAYS) and all(left <= max(WARN_DAYS) for left in found)
    assert bool(found) == any((known[0].ends - day * DAY) / DAY <= max(WARN_DAYS) for day in days)


class Lines:
    def __init__(self) -> None:
        self.all: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.all.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.all.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.all.append(("error", event, fields))


async def test_the_log_says_what_ends_where_it_is_used_and_what_to_do(autojump_clock: trio.testing.MockClock):
    log, known = Lines(), [OWN]
    with trio.move_on_after(20 * DAY):
        await watch(lambda: known, log, lambda: 80 * DAY + trio.current_time())
    kinds = [(level, event, fields["days_left"]) for level, event, fields in log.all]
    assert kinds == [("warning", "certificate_expires", 20.0), ("warning", "certificate_expires", 14.0), ("warning", "certificate_expires", 7.0),
                     ("error", "certificate_expires", 1.0)]  # fmt: skip
    first = log.all[0][2]
    assert (first["used_by"], first["kind"], first["file"], first["ends"]) == (
        OWN.used_by,
        "certificate",
        "router.pem",
        "1970-04-11T00:00:00Z",
    )
    assert TICK < DAY
