"""What waits for room at a service: first come, first served; or arranged by class, and by the time before which it must not go."""

# Rules this file keeps, all of them tested:
#
# 1. Requests of one session and one class go in the order in which they came.
# 2. While all classes wait, room is given to them by their shares; whoever has waited long counts as more urgent.
# 3. A request that is held back for a limit holds back those of its session to the same service that come after it, and nobody else's.
# 4. Every step takes the same time however many wait, but for those that expire or whose time has come.
# 5. It has no bound of its own: whoever adds to it looks at `ready` and `held` first.

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from telegram_router.routing.classes import CLASSES, NORMAL, SHARES, age, rank_of_exchange
from telegram_router.routing.exchange import Exchange, Lane

Line = OrderedDict[Exchange, float]  # since when each waits; those that a lost link gave back stand in front, the last of them first
Credits = tuple[float, ...]


class Turn(NamedTuple):
    """Who goes next. It leaves by `del waiting[exchange]`, and `del line[exchange]` where that is another; then `credits` are set."""

    exchange: Exchange
    line: Line
    credits: Credits


class FirstCome(Line):
    """Requests that wait, the oldest first, each with the time since when."""

    credits: Credits = ()
    released = False  # whether the time of somebody has come since this was last set to False

    @property
    def ready(self) -> int:
        """Those that only wait for room."""
        return len(self)

    @property
    def held(self) -> int:
        """Those whose time has not come."""
        return 0

    def by_class(self) -> list[int]:
        """How many of each class wait for room."""
        return [len(self) if rank == NORMAL else 0 for rank in range(len(CLASSES))]

    def stops(self, exchange: Exchange) -> bool:
        """Whether a request that comes now has to wait behind others, though there be room."""
        return bool(self)

    def add(self, exchange: Exchange, now: float) -> None:
        self[exchange] = now

    def hold(self, exchange: Exchange, until: float, now: float) -> None:
        """It must not go before that time. Here nobody is held back any more: it is late for a reload."""
        self.add(exchange, now)

    def put_back(self, exchange: Exchange, now: float) -> None:
        """It had its turn, and its link was lost before a byte left: it is the first again."""
        self[exchange] = now
        self.move_to_end(exchange, last=False)

    def discard(self, exchange: Exchange) -> None:
        self.pop(exchange, None)

    def turn(self, now: float) -> Turn | None:
        """Whose turn it is; None when nobody may go."""
        return Turn(next(iter(self)), self, ()) if self else None

    def overdue(self, patience: float, now: float) -> list[Exchange]:
        """Those that have waited for room longer than this."""
        return _overdue(self, patience, now)

    def next_deadline(self, patience: float) -> float | None:
        """When somebody is overdue, or may go."""
        return _oldest(self) + patience if self else None

    def in_order(self) -> Iterator[tuple[Exchange, float]]:
        """All of them and since when they wait, or until when; each class in its order."""
        return iter(list(self.items()))


class Arranged(FirstCome):
    """A queue with classes and with requests that are held back. As a mapping it holds everybody."""

    def __init__(self) -> None:
        super().__init__()
        self.credits: Credits = (0.0,) * len(CLASSES)
        self._lines: tuple[Line, ...] = tuple(OrderedDict() for _ in CLASSES)
        self._held: dict[Exchange, float] = {}  # until when
        self._agenda: list[tuple[float, int, Exchange]] = []  # a heap of them; the withdrawn are left out when their time comes
        self._lanes: dict[Lane, tuple[float, int]] = {}  # of each with held requests: until when, and how many
        self._numbers = count()

    @property
    def ready(self) -> int:
        return len(self) - len(self._held)

    @property
    def held(self) -> int:
        return len(self._held)

    def by_class(self) -> list[int]:
        return [len(line) for line in self._lines]

    def stops(self, exchange: Exchange) -> bool:
        return len(self) > len(self._held) or exchange.lane in self._lanes

    def add(self, exchange: Exchange, now: float) -> None:
        if exchange.lane in self._lanes:
            self.hold(exchange, now, now)
            return
        line = self._lines[rank_of_exchange(exchange)]
        self[exchange] = line[exchange] = now

    def put_back(self, exchange: Exchange, now: float) -> None:
        line = self._lines[rank_of_exchange(exchange)]
        self[exchange] = line[exchange] = now
        line.move_to_end(exchange, last=False)

    def hold(self, exchange: Exchange, until: float, now: float) -> None:
        """It must not go before that time, nor before what its session has had held back for this service."""
        before, many = self._lanes.get(exchange.lane, (until, 0))
        until = max(before, until)
        if len(self._agenda) > 2 * len(self._held) + 16:
            self._agenda = [each for each in self._agenda if each[2] in self._held]
            heapq.heapify(self._agenda)
        self[exchange] = self._held[exchange] = until
        heapq.heappush(self._agenda, (until, next(self._numbers), exchange))
        self._lanes[exchange.lane] = until, many + 1

    def discard(self, exchange: Exchange) -> None:
        self.pop(exchange, None)
        for line in self._lines:
            line.pop(exchange, None)
        if exchange in self._held:
            self._let_go(exchange)

    def _let_go(self, exchange: Exchange) -> None:
        del self._held[exchange]
        until, many = self._lanes[exchange.lane]
        if many == 1:
            del self._lanes[exchange.lane]
        else:
            self._lanes[exchange.lane] = until, many - 1

    def _release(self, now: float) -> None:
        """Those whose time has come wait for room like others, from now on."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= now:
            _, _, exchange = heapq.heappop(agenda)
            if exchange in self._held:
                line = self._lines[rank_of_exchange(exchange)]
                self._let_go(exchange)
                self[exchange] = line[exchange] = now
                self.released = True

    def turn(self, now: float) -> Turn | None:
        if self._held:
            self._release(now)
        weights = [
            SHARES[age(rank, now - next(iter(line.values())))] if line else 0 for rank, line in enumerate(self._lines)
        ]  # of a class by its first: no other of it has waited longer
        whole = sum(weights)
        if not whole:
            return None
        # Smooth weighted rotation. A class of which nobody waits saves nothing for later.
        credits = [credit + weight if weight else 0.0 for credit, weight in zip(self.credits, weights, strict=True)]
        rank = max((each for each, weight in enumerate(weights) if weight), key=credits.__getitem__)
        credits[rank] -= whole
        return Turn(next(iter(self._lines[rank])), self._lines[rank], tuple(credits))

    def overdue(self, patience: float, now: float) -> list[Exchange]:
        return [exchange for line in self._lines for exchange in _overdue(line, patience, now)]

    def next_deadline(self, patience: float) -> float | None:
        agenda = self._agenda
        while agenda and agenda[0][2] not in self._held:
            heapq.heappop(agenda)
        due = [_oldest(line) + patience for line in self._lines if line]
        due += [until for until, _, _ in agenda[:1]]
        return min(due, default=None)

    def in_order(self) -> Iterator[tuple[Exchange, float]]:
        return iter([*(pair for line in self._lines for pair in line.items()), *sorted(self._held.items(), key=lambda pair: pair[1])])


def _oldest(line: Line) -> float:
    """Since when who has waited longest does: from those given back, of whom the last came back first, on to the first of the others."""
    least = math.inf
    for since in line.values():
        if since > least:
            break
        least = since
    return least


def _overdue(line: Line, patience: float, now: float) -> list[Exchange]:
    """Not only those in front: what a lost link gave back stands before what waited longer."""
    if not line or _oldest(line) + patience > now:
        return []
    return [exchange for exchange, since in line.items() if since + patience <= now]
