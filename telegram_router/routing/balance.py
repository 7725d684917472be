"""Which link of a service gets the next request. Each policy looks only at links that are in use and have room."""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from telegram_router.routing.peers import Peer

POINTS = 100  # on the ring, for a backend of weight 1
BOUND = 1.25  # no backend carries more than its fair share times this


class Balance(Protocol):
    """A policy. `frame` is the request, at least its header."""

    def choose(self, links: Sequence[Peer], frame: bytes) -> Peer | None:
        """One of the links, None when none has room."""


class LeastOutstanding:
    """The link with the fewest open requests for its weight; of equals the one that has had least for it so far."""

    def choose(self, links: Sequence[Peer], frame: bytes) -> Peer | None:
        best: Peer | None = None
        least = math.inf
        for link in links:
            if link.load < link.limit:
                burden = link.load / link.weight
                if burden < least or (burden == least and best is not None and link.had < best.had):
                    best, least = link, burden
        return best


class RoundRobin:
    """In turns, smoothly by weight: of weights 3 and 1 come a a b a, not a a a b."""

    def choose(self, links: Sequence[Peer], frame: bytes) -> Peer | None:
        best: Peer | None = None
        total = 0.0
        for link in links:
            if link.load < link.limit:
                total += link.weight
                link.credit += link.weight
                if best is None or link.credit > best.credit:
                    best = link
        if best is not None:
            best.credit -= total
        return best


class First:
    """The first link that has room, in the order of the configuration: the others are there for its overflow."""

    def choose(self, links: Sequence[Peer], frame: bytes) -> Peer | None:
        return next((link for link in links if link.load < link.limit), None)


class HashRing:
    """Equal values of a field go to the same backend; when backends come and go only theirs move. Loads are kept within bounds."""

    def __init__(self, place: slice) -> None:
        self._place = place
        self._seen: Sequence[Peer] = ()
        self._known: list[Peer] = []
        self._counts: dict[str, int] = {}
        self._made: dict[str, list[int]] = {}
        self._points: list[int] = []
        self._owners: list[str] = []

    def choose(self, links: Sequence[Peer], frame: bytes) -> Peer | None:
        if not links:
            return None
        if self._seen is not links or self._known != links:
            self._look(links)
        loads: dict[str, int] = {}
        for link in links:
            loads[link.backend_name] = loads.get(link.backend_name, 0) + link.load
        most = math.ceil(BOUND * (sum(loads.values()) + 1) / len(loads))
        start = bisect.bisect(self._points, point(frame[self._place]))
        tried: set[str] = set()
        for step in range(len(self._points)):
            owner = self._owners[(start + step) % len(self._points)]
            if owner in tried:
                continue
            tried.add(owner)
            link = _idlest([each for each in links if each.backend_name == owner])
            if link is not None and loads[owner] < most:
                return link
            if len(tried) == len(loads):
                break
        return _idlest(links)  # all are at their bound: whoever has room

    def _look(self, links: Sequence[Peer]) -> None:
        """Other links, or a new election among the same, which may have given them other weights."""
        self._seen, self._known = links, list(links)
        weights: dict[str, float] = {}
        for link in links:
            weights[link.backend_name] = weights.get(link.backend_name, 0.0) + link.weight
        counts = {name: max(1, round(POINTS * weight)) for name, weight in weights.items()}
        if counts != self._counts:
            self._counts = counts
            self._made = {name: places for name, places in self._made.items() if name in counts}
            ring = sorted((place, name) for name, count in counts.items() for place in self._places(name, count))
            self._points = [place for place, _ in ring]
            self._owners = [name for _, name in ring]

    def _places(self, name: str, count: int) -> list[int]:
        """Worked out once: the part of a host that starts slowly grows once a second."""
        places = self._made.setdefault(name, [])
        places += [point(f"{name}#{number}".encode()) for number in range(len(places), count)]
        return places[:count]


def point(value: bytes) -> int:
    """A place on the ring, the same in every process."""
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "big")


def _idlest(links: Sequence[Peer]) -> Peer | None:
    free = [link for link in links if link.load < link.limit]
    return min(free, key=lambda link: link.load, default=None)
