"""Which telegrams go to which target: an exact table first, then ordered rules, then the default."""

# Rules this file keeps:
#
# 1. A route looks at header fields only, as bytes at fixed places of the frame.
# 2. What a header's bytes lead to is worked out once and remembered; the memory is bounded and may be dropped at any time.

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telegram_router.routing.peers import Audience, Service
    from telegram_router.telegrams import MessageLayout, Spec

    Target = Service | Audience

MEMO_LIMIT = 4096


@dataclass(frozen=True)
class Among:
    """The field is one of these values."""

    values: frozenset[bytes]

    def holds(self, value: bytes) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Prefix:
    """The field begins so."""

    prefix: bytes

    def holds(self, value: bytes) -> bool:
        return value.startswith(self.prefix)


@dataclass(frozen=True)
class Between:
    """The field lies between both, ends included, compared byte by byte: right for zero-filled digits."""

    low: bytes
    high: bytes

    def holds(self, value: bytes) -> bool:
        return self.low <= value <= self.high


Test = Among | Prefix | Between


@dataclass(frozen=True)
class Route:
    """One rule. `tests` maps header fields to tests; an empty mapping is the default route."""

    name: str
    tests: Mapping[str, Test]
    target: Target
    full: bool = False  # decode and check every field before anything is sent

    @property
    def exact(self) -> bool:
        return bool(self.tests) and all(isinstance(test, Among) for test in self.tests.values())


class RouteTable:
    """The routes of one listener, or of one service's own telegrams."""

    def __init__(self, spec: Spec, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._default = next((route for route in routes if not route.tests), None)
        self._ordered = [
            (route, [(spec.header_slice(name), test) for name, test in route.tests.items()])
            for route in routes
            if route.tests and not route.exact
        ]
        shapes: dict[tuple[str, ...], dict[Hashable, Route]] = {}
        for route in routes:
            if route.exact:
                shapes.setdefault(tuple(sorted(route.tests)), {}).update(dict.fromkeys(_exact_keys(route), route))
        self._exact = [(itemgetter(*(spec.header_slice(name) for name in names)), table) for names, table in shapes.items()]
        self.fields = sorted({name for route in routes for name in route.tests})
        self.targets: list[Target] = list(dict.fromkeys(route.target for route in routes))

    def find(self, frame: bytes) -> Route | None:
        """The route of a frame that is at least as long as the header."""
        for getter, table in self._exact:
            route = table.get(getter(frame))
            if route is not None:
                return route
        for route, tests in self._ordered:
            if all(test.holds(frame[place]) for place, test in tests):
                return route
        return self._default


def _exact_keys(route: Route) -> list[Hashable]:
    values = [sorted(test.values) for _, test in sorted(route.tests.items()) if isinstance(test, Among)]
    return [combination if len(values) > 1 else combination[0] for combination in product(*values)]


class Tally:
    """How many telegrams of one message came from one origin."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Entry:
    """What the header bytes of a telegram lead to: a message, and for a request its route.

    low, high  the sizes its frame may have
    reply      what a single reply must be; None where the reply rule is not "one", so that the slow path looks closer
    lane       index of the target among its origin's targets
    """

    __slots__ = ("answers", "full", "high", "lane", "low", "message", "reply", "route", "tally", "target")

    def __init__(self, message: MessageLayout, route: Route | None, lane: int, tally: Tally) -> None:
        self.message = message
        self.tally = tally
        self.low = message.min_frame
        self.high = message.max_frame
        self.route = route
        self.lane = lane
        self.answers = message.kind == "reply"
        self.target: Any = route.target if route else None
        self.full = bool(route and route.full)
        self.reply = message.reply.message if message.reply is not None and message.reply.kind == "one" else None


class Origin:
    """Where telegrams come from: a listener (from its sessions) or a service (from its links)."""

    def __init__(self, name: str, spec: Spec, routes: RouteTable) -> None:
        self.name = name
        self.spec = spec
        self.routes = routes
        self.memo: dict[Hashable, Entry] = {}
        self.head = head_of(spec, routes.fields)
        self.tallies = {name: Tally() for name in spec.messages}
        self.refused: dict[str, int] = {}  # code -> telegrams
        self.polls = 0

    def classify(self, frame: bytes) -> Entry | None:
        """The entry of a frame that is at least as long as the header; None when its key is no message of the spec."""
        message = self.spec.message_of(frame)
        if message is None:
            return None
        route = self.routes.find(frame) if message.kind != "reply" else None
        entry = Entry(message, route, self.routes.targets.index(route.target) if route else 0, self.tallies[message.name])
        if len(self.memo) >= MEMO_LIMIT:
            self.memo.clear()
        self.memo[self.head(frame)] = entry
        return entry


def head_of(spec: Spec, fields: Sequence[str]) -> Callable[[bytes], Hashable]:
    """A getter of all header bytes that decide message and route, neighbours read as one slice."""
    places = sorted({(place.start, place.stop) for place in map(spec.header_slice, {*spec.key, *fields})})
    fused: list[tuple[int, int]] = []
    for start, stop in places:
        if fused and start <= fused[-1][1]:
            fused[-1] = (fused[-1][0], max(stop, fused[-1][1]))
        else:
            fused.append((start, stop))
    return itemgetter(*(slice(start, stop) for start, stop in fused))
