"""Business hours: whether a line is open for business at a moment, which business date that is, and when either changes next."""

# Seconds since 1970 (UTC) come in, with the offsets of the time zone. Days are counted from 1970-01-01, by the local clock.

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

DAY = 86_400
NOON = DAY // 2
FIRST = datetime.date(1970, 1, 1).toordinal()
MONDAY = 3  # 1970-01-01 was a Thursday

Hours = Sequence[tuple[int, int]]  # seconds of the local day; beyond its end where they go over midnight


class Business(NamedTuple):
    """What holds of a moment: is it open, which business date (in days), and from when until when that holds."""

    open: bool
    day: int
    since: float
    until: float

    def holds(self, wall: float) -> bool:
        return self.since <= wall < self.until

    @property
    def date(self) -> datetime.date:
        return date_of(self.day)


class Calendar:
    """The hours of one kind of business.

    offsets   (from when, seconds east of UTC), the oldest first
    hours     by weekday, Monday is 0; None: always open
    holidays  days on which no hours begin
    cutover   second of the local day at which the business date changes: before noon yesterday's goes on until then, after
              noon tomorrow's begins then
    """

    def __init__(
        self,
        offsets: Sequence[tuple[float, int]],
        hours: Mapping[int, Hours] | None = None,
        holidays: frozenset[int] = frozenset(),
        cutover: int = 0,
    ) -> None:
        self._since = [since for since, _ in offsets]
        self._offsets = [offset for _, offset in offsets]
        self._hours = hours
        self._holidays = holidays
        self._cutover = cutover

    def offset(self, wall: float) -> int:
        """Seconds east of UTC."""
        return self._offsets[max(0, bisect_right(self._since, wall) - 1)]

    def clock(self, wall: float) -> datetime.datetime:
        """What a clock on the wall shows."""
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(wall) + self.offset(wall))

    def look(self, wall: float) -> Business:
        """What holds at a moment. Ask again when it holds no more: at its end, or when the clock was set back."""
        today = int(wall + self.offset(wall)) // DAY
        spans = [(self._wall(begin), self._wall(end)) for day in (today - 1, today, today + 1) for begin, end in self._spans(day)]
        cuts = [self._wall(day * DAY + self._cutover) for day in (today - 1, today, today + 1)]
        edges = sorted({*(edge for span in spans for edge in span), *cuts})
        place = bisect_right(edges, wall)
        shift = 0 if self._cutover < NOON else 1
        return Business(
            self._hours is None or any(begin <= wall < end for begin, end in spans),
            today - 2 + bisect_right(cuts, wall) + shift,
            edges[place - 1],
            edges[place],
        )

    def _spans(self, day: int) -> Iterator[tuple[int, int]]:
        """Hours that begin on a day, in local seconds."""
        if self._hours is not None and day not in self._holidays:
            for begin, end in self._hours.get((day + MONDAY) % 7, ()):
                yield day * DAY + begin, day * DAY + end

    def _wall(self, local: int) -> float:
        """The moment at which the local clock shows that: the first, where it shows it twice."""
        return float(local - self.offset(local - self.offset(local - DAY)))


def day_of(date: datetime.date) -> int:
    return date.toordinal() - FIRST


def date_of(day: int) -> datetime.date:
    return datetime.date.fromordinal(FIRST + day)
