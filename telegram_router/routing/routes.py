"""Which telegrams go to which target: an exact table first, then ordered rules, then the default."""

# Rules this file keeps:
#
# 1. A route looks at header fields, as bytes at fixed places of the frame; at fields of the body, as values, only where the
#    header leaves such a rule possible. A body that cannot be read fits no rule and is not given to the next: it is refused.
# 2. What a header's bytes lead to is worked out once and remembered; the memory is bounded and may be dropped at any time.
# 3. What stands in a telegram only ever selects one of the targets that the configuration names.

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from telegram_router.routing.classes import NORMAL, Precedence
from telegram_router.routing.durations import Durations
from telegram_router.routing.limits import ByKey
from telegram_router.routing.split import Split
from telegram_router.telegrams.fields import charset_of
from telegram_router.telegrams.spec import fused

if TYPE_CHECKING:
    from telegram_router.routing.peers import Audience, Service
    from telegram_router.telegrams import MessageLayout, Spec

    Target: TypeAlias = Service | Audience

MEMO_LIMIT = 4096
LOOK_CLOSER = object()  # equal to no message, and not to None either


@dataclass(frozen=True)
class Among:
    """The field is one of these values: bytes of a header field, values of one in the body."""

    values: frozenset[Any]

    def holds(self, value: Any) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Prefix:
    """The field begins so."""

    prefix: Any

    def holds(self, value: Any) -> bool:
        return bool(value.startswith(self.prefix))


@dataclass(frozen=True)
class Between:
    """The field lies between both, ends included. Header fields are compared byte by byte: right for zero-filled digits."""

    low: Any
    high: Any

    def holds(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


Test = Among | Prefix | Between


@dataclass(frozen=True)
class BodyTest:
    """A test of a field by its value. Each message has the field at its own place and in its own form, or has none."""

    path: str
    readers: Mapping[str, Callable[[bytes], Any]]  # by message; they raise FieldError
    tests: Mapping[str, Test]  # by message

    def holds(self, frame: bytes, message: str) -> bool:
        value = self.readers[message](frame)
        return value is not None and self.tests[message].holds(value)


class Score:
    """How the exchanges of one route ended, and after what time."""

    __slots__ = ("answered_in", "failed", "failed_in", "ok", "troubled", "unknown")

    def __init__(self) -> None:
        self.ok = 0
        self.troubled = 0  # of these: answered that the system behind is in trouble
        self.unknown = 0  # ended `sent_unknown`; among the failed
        self.failed: dict[str, int] = {}  # code -> exchanges
        self.answered_in = Durations()  # those without trouble
        self.failed_in = Durations()  # the troubled and the failed

    def add(self, other: Score) -> None:
        self.ok += other.ok
        self.troubled += other.troubled
        self.unknown += other.unknown
        for code, count in other.failed.items():
            self.failed[code] = self.failed.get(code, 0) + count
        self.answered_in.add(other.answered_in)
        self.failed_in.add(other.failed_in)


@dataclass(frozen=True)
class Route:
    """One rule of one origin. `tests` maps header fields to tests; one without any test is the default route."""

    name: str
    tests: Mapping[str, Test]
    target: Target
    full: bool = False  # decode and check every field before anything is sent
    score: Score = field(default_factory=Score, compare=False)
    body: tuple[BodyTest, ...] = ()
    rank: int = NORMAL  # the class of its requests
    split: Split | None = None  # the same for all routes among which it shares telegrams out
    closed: bool = False  # whether a telegram that only the last test keeps away is refused rather than given to the next rule

    @property
    def exact(self) -> bool:
        return bool(self.tests) and not self.body and all(isinstance(test, Among) for test in self.tests.values())

    def may_take(self, message: MessageLayout) -> bool:
        """Whether the message has every field that the rule looks at."""
        return all(message.name in test.readers for test in self.body)

    def takes(self, frame: bytes, message: MessageLayout) -> bool:
        """Whether the body is as the rule asks. Raises FieldError where it cannot be read."""
        return all(test.holds(frame, message.name) for test in self.body)

    def refuses(self, frame: bytes, message: MessageLayout) -> bool:
        """Whether a telegram that it does not take is nobody else's either. Raises FieldError."""
        return self.closed and all(test.holds(frame, message.name) for test in self.body[:-1])


class RouteTable:
    """The routes of one listener, or of one service's own telegrams."""

    def __init__(self, spec: Spec, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._default = next((route for route in routes if not route.tests and not route.body), None)
        placed = [(route, [(spec.header_slice(name), test) for name, test in route.tests.items()]) for route in routes]
        self._ordered = [(route, tests) for route, tests in placed if tests and not route.exact and not route.body]
        self._deep = [(route, tests) for route, tests in placed if route.body]
        shapes: dict[tuple[str, ...], dict[Hashable, Route]] = {}
        for route in routes:
            if route.exact:
                shapes.setdefault(tuple(sorted(route.tests)), {}).update(dict.fromkeys(_exact_keys(route), route))
        self._exact = [(itemgetter(*(spec.header_slice(name) for name in names)), table) for names, table in shapes.items()]
        self.fields = sorted({name for route in routes for name in route.tests})
        self._shares: dict[Split, list[Route]] = {}
        for route in routes:
            if route.split is not None:
                self._shares.setdefault(route.split, []).append(route)
        self.targets: list[Target] = list(dict.fromkeys(route.target for route in routes))

    def shares(self, route: Route) -> list[Route]:
        """The routes among which this one shares its telegrams out, in the order of its split; none when it takes all of them."""
        return self._shares.get(route.split, []) if route.split is not None else []

    def share_of(self, route: Route) -> float:
        """How much of what it takes goes to its own target."""
        siblings = self.shares(route)
        if route.split is None or not siblings:
            return 1.0
        return next(route.split.weights[place] for place, each in enumerate(siblings) if each is route) / route.split.whole

    @property
    def counted(self) -> list[Route]:
        """One route for each score: several rules may be one route of the configuration."""
        return list({id(route.score): route for route in self.routes}.values())

    def deep(self, frame: bytes, message: MessageLayout) -> tuple[Route, ...]:
        """The rules on bodies that this header leaves possible, in their order. They are tried before all others."""
        return tuple(
            route for route, tests in self._deep if route.may_take(message) and all(test.holds(frame[place]) for place, test in tests)
        )

    def order_as(self, former: Sequence[tuple[str, str]]) -> None:
        """Number the targets as in a table before, which called them so; new ones come behind. Lanes of peers then stay where they are."""
        places = {place: index for index, place in enumerate(former)}
        self.targets.sort(key=lambda target: places.get(place_of(target), len(places)))

    def find(self, frame: bytes) -> Route | None:
        """The route of a frame that is at least as long as the header, where no rule on bodies takes it."""
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


class Entry:
    """What the header bytes of a telegram lead to: a message, and for a request its route.

    low, high  the sizes its frame may have
    reply      what a single reply must be; None where the rule is not "one", where its fields are checked, where no key pairs it or
               where it goes aside: the slow path looks closer
    lane       index of the target among its origin's targets
    keyed      a reply to it is paired by its correlation key
    plain      a request that only needs to be passed to a telegram link and answered once
    calls      a request to a service whose links carry one at a time, of which every field is checked
    aside      its answers go to another session than the one that asked
    answer     the message, for an answer that needs no closer look
    fails      an answer that says that the system behind it is in trouble
    limits     what its requests are counted against
    whole      its requests are kept whole: of a plain one no more than the header is
    rank       the class of its requests, unless a rule of `precedence` fits one
    untracked  a one-way telegram to another telegram peer: no register knows it, nothing will answer it
    shares     entries among which `split` chooses the one that a telegram really has
    deep       rules on bodies that come before its route: which entry it really has, its body says (`Origin.look_inside`)
    halted     an operator has switched the message off: its requests are refused
    formality  what a telegram about the line itself is for; "" for business
    count, ok  telegrams met and exchanges answered since the origin last added them up
    """

    __slots__ = (
        "answer",
        "answers",
        "aside",
        "calls",
        "count",
        "deep",
        "fails",
        "formality",
        "full",
        "halted",
        "high",
        "keyed",
        "lane",
        "limits",
        "low",
        "message",
        "ok",
        "plain",
        "precedence",
        "rank",
        "reply",
        "route",
        "shares",
        "split",
        "target",
        "untracked",
        "whole",
    )

    def __init__(
        self,
        message: MessageLayout,
        route: Route | None,
        lane: int,
        *,
        fails: bool = False,
        deep: tuple[Route, ...] = (),
        formality: str = "",
        aside: bool = False,
    ) -> None:
        self.message = message
        self.aside = aside and not formality and message.kind == "request"
        self.formality = formality
        self.fails = fails
        self.deep = deep
        self.answer: object = LOOK_CLOSER if fails else message
        self.low = message.min_frame
        self.high = message.max_frame
        self.route = route
        self.lane = lane
        self.answers = message.kind == "reply"
        self.target: Any = route.target if route else None
        self.full = bool(route and route.full)
        self.keyed = bool(message.spec.correlation_fields) and not getattr(self.target, "ordered", False)
        single = message.reply is not None and message.reply.kind == "one" and not (self.full or formality or self.aside) and self.keyed
        self.reply = message.reply.message if single else None
        self.limits: Sequence[ByKey] = ()
        self.shares: Sequence[Entry] = ()
        self.split: Split | None = None
        self.whole = False
        self.halt(off=False)
        self.untracked = message.kind == "oneway" and getattr(self.target, "pipes", True)
        self.rank = route.rank if route else NORMAL
        self.precedence: Sequence[Precedence] = ()
        self.count = 0
        self.ok = 0

    def halt(self, *, off: bool) -> None:
        """Whether the message is switched off; if it is, its requests take the general way, which refuses them."""
        asks = self.message.kind == "request" and not (self.deep or self.formality or self.aside or off)
        self.halted = off
        asks = asks and not self.shares and not any(each.delays for each in self.limits)
        headed = asks and not self.whole
        self.plain = headed and self.reply is not None and getattr(self.target, "pipes", False)
        self.calls = asks and self.full and self.keyed and getattr(self.target, "exclusive", False)


Reading: TypeAlias = tuple[
    Callable[[bytes], Hashable],  # the header bytes that decide
    Callable[[Hashable], Entry | None],  # the entry they were found to lead to
    Callable[[bytes], Hashable],  # the correlation key
    slice | None,  # the owner
    slice,  # before the carrier
    slice,  # the carrier
    slice,  # behind the carrier
    Callable[[bytes], Hashable] | None,  # the parts of the correlation key beside the carrier
    slice,  # what is kept of a request
]


class Origin:
    """Where telegrams come from: a listener (from its sessions) or a service (from its links)."""

    def __init__(self, name: str, spec: Spec, routes: RouteTable, trouble: Mapping[str, Test] | None = None) -> None:
        self.name = name
        self.spec = spec
        self.limits: Sequence[ByKey] = ()  # set before the routes
        self.whole: frozenset[str] = frozenset()  # messages of which more than the header is looked at later; set before the routes
        self.halted: frozenset[str] = frozenset()  # messages that are switched off here
        self.precedence: Sequence[Precedence] = ()  # set before the routes
        self.formal: Mapping[str, str] = {}  # messages that are the router's own business, and what they are for; set before the routes
        self.shut = False  # outside business hours
        self.aside = False  # answers to what is asked here are given elsewhere; set before the routes
        self.trouble = trouble or {}  # header fields of answers whose values count against a backend
        self.header_end = spec.framing.prefix + spec.header_size  # a shorter frame has no whole header
        self.routes = routes
        self.former_routes: list[Route] = []  # whose counts go on counting; those that nothing refers to as one for each target
        self._former: list[Entry] = []  # of tables before this one, which open exchanges refer to
        self._entries: dict[Hashable, Entry] = {}  # by message and routes; what the memo's many headers lead to
        self._received = dict.fromkeys(spec.messages, 0)
        self.elders = False  # whether answers may come to requests of a spec before this one
        self.set_routes(routes)
        self._name_fields()
        self.refused: dict[str, int] = {}  # code -> telegrams
        self.strangers = 0  # telegrams that are no message of the spec
        self.polls = 0

    def _name_fields(self) -> None:
        spec, clear = self.spec, clear_names(self.spec)
        self._names = [
            (name, spec.header_slice(name)) for name in dict.fromkeys((*spec.family.key, *spec.family.correlation)) if name in clear
        ]
        self._clear_owner = [("owner", spec.owner)] if spec.owner is not None and spec.family.owner in clear else []

    def follow(self, spec: Spec) -> None:
        """Read telegrams by another spec from now on, whose framing and header are the same; `set_routes` must come next.

        Requests that are open keep theirs: their answers are looked at by `elder_answer`.
        """
        self.add_up()
        self.spec, self.elders = spec, True
        self._received = dict.fromkeys(spec.messages, 0) | self._received
        self._name_fields()

    def elder_answer(self, message: MessageLayout, frame: bytes) -> Entry | None:
        """What a frame is as the answer to an open request of a spec before this one; None when it is another message of that spec."""
        expected = message.reply.message
        if message.spec is self.spec or expected is None or message.spec.message_of(frame) is not expected:
            return None
        fails = self.tells_trouble(frame)
        entry = self._entries.get((expected, fails))
        if entry is None:
            entry = self._entries[expected, fails] = Entry(expected, None, 0, fails=fails)
        return entry

    def names(self, frame: bytes) -> dict[str, str]:
        """By what a person finds this telegram again: its key and correlation fields, as far as they are clear and readable."""
        return _readable(self.spec, self._names, frame)

    def claim(self, frame: bytes) -> dict[str, Any]:
        """Whom a telegram speaks for: the field that says so, and its value where that is clear and readable."""
        return {"owner_field": self.spec.family.owner, **_readable(self.spec, self._clear_owner, frame)}

    def set_routes(self, routes: RouteTable, referred: Container[Entry] = frozenset()) -> None:
        """Route by these from now on. `referred`: the entries of open exchanges, which will still be counted there.

        With peers connected, `changing.reroute` is what to call: their lanes are numbered by the targets.
        """
        self.add_up()
        self._former = [entry for entry in (*self._former, *self._entries.values()) if entry in referred]
        self._keep_scores(routes)
        self.routes = routes
        self.memo: dict[Hashable, Entry] = {}
        self._entries = {}
        self.head = head_of(self.spec, (*routes.fields, *self.trouble))
        self.beside_carrier = beside_carrier(self.spec)
        self.reading = self._reading()

    @property
    def scores(self) -> dict[tuple[str, tuple[str, str]], Score]:
        """What its routes have counted, by name and target: a route of the same name to the same target goes on counting."""
        return {(route.name, place_of(route.target)): route.score for route in (*self.former_routes, *self.routes.routes)}

    def _keep_scores(self, routes: RouteTable) -> None:
        going_on = {id(route.score) for route in routes.routes}
        referred = {id(entry.route.score) for entry in self._former if entry.route is not None}
        left = [route for route in (*self.former_routes, *self.routes.counted) if id(route.score) not in going_on]
        together: dict[tuple[str, str], Route] = {}
        for route in left:
            if id(route.score) not in referred:
                together.setdefault(place_of(route.target), Route("", {}, route.target)).score.add(route.score)
        self.former_routes = [*together.values(), *(route for route in left if id(route.score) in referred)]

    def forget(self, target: tuple[str, str]) -> None:
        """A target is no more: nobody asks what was counted for it."""
        self.former_routes = [route for route in self.former_routes if place_of(route.target) != target]

    def _reading(self) -> Reading:
        """All that the switch's inner loop needs of an origin, fetched with one look."""
        spec = self.spec
        place = spec.carrier or slice(0, 0)  # never used in a family without one
        front, back = slice(0, place.start), slice(place.stop, None)
        return self.head, self.memo.get, spec.correlate, spec.owner, front, place, back, self.beside_carrier, spec.kept

    def classify(self, frame: bytes) -> Entry | None:
        """The entry of a frame that is at least as long as the header; None when its key is no message of the spec."""
        message = self.spec.message_of(frame)
        if message is None:
            self.strangers += 1
            return None
        if message.kind == "reply":
            entry = self._entry(message, None, fails=self.tells_trouble(frame))
        else:
            entry = self._entry(message, self.routes.find(frame), deep=self.routes.deep(frame, message))
        head = self.head(frame)
        if len(self.memo) >= MEMO_LIMIT:
            self.memo.clear()
        self.memo[head] = entry
        return entry

    def look_inside(self, frame: bytes, entry: Entry) -> Entry | None:
        """The entry of a telegram that a rule on bodies may take; None when its body names nobody whom the rule lists.

        Raises FieldError where a field that a rule looks at cannot be read.
        """
        for route in entry.deep:
            if route.takes(frame, entry.message):
                return self._entry(entry.message, route)
            if route.refuses(frame, entry.message):
                return None
        return self._entry(entry.message, entry.route)

    def _entry(
        self, message: MessageLayout, route: Route | None, *, fails: bool = False, deep: tuple[Route, ...] = (), chosen: bool = False
    ) -> Entry:
        """`chosen`: among the routes of its split."""
        key = (message.name, id(route), fails, chosen, *map(id, deep))
        entry = self._entries.get(key)
        if entry is None:
            entry = Entry(message, route, self.routes.targets.index(route.target) if route else 0, fails=fails, deep=deep,
                          formality=self.formal.get(message.name, ""), aside=self.aside)  # fmt: skip
            if route is not None and not chosen:
                entry.split = route.split
                entry.shares = tuple(self._entry(message, each, chosen=True) for each in self.routes.shares(route))
            if route is not None:
                entry.limits = tuple(each for each in self.limits if not each.services or route.target.name in each.services)
                entry.whole = message.name in self.whole or any(each.whole for each in entry.limits)
                entry.halt(off=self._halts(entry))
                entry.precedence = tuple(each for each in self.precedence if not each.services or route.target.name in each.services)
            self._entries[key] = entry
        return entry

    def _halts(self, entry: Entry) -> bool:
        """Whether the message of an entry is switched off where it comes from or where it goes."""
        there: Origin = getattr(entry.target, "listener", entry.target)
        return entry.message.name in self.halted or entry.message.name in there.halted

    def tell_entries(self) -> None:
        """What is switched off has changed."""
        for entry in self._entries.values():
            if entry.route is not None:
                entry.halt(off=self._halts(entry))

    def tells_trouble(self, frame: bytes) -> bool:
        """Whether an answer says that the system behind it is in trouble; a refusal for business reasons is none."""
        return any(test.holds(frame[self.spec.header_slice(name)]) for name, test in self.trouble.items())

    def add_up(self) -> None:
        """Move what entries have counted to where it is kept."""
        for entry in (*self._entries.values(), *self._former):
            self._received[entry.message.name] += entry.count
            entry.count = 0
            if entry.route is not None:
                entry.route.score.ok += entry.ok
                entry.ok = 0

    @property
    def received(self) -> dict[str, int]:
        """Telegrams that came, by message."""
        self.add_up()
        return self._received


def place_of(target: Target) -> tuple[str, str]:
    """What a target is called, whatever object it is: a service that was replaced is the same target."""
    return type(target).__name__, target.name


def clear_names(spec: Spec) -> set[str]:
    """Header fields that may be logged."""
    return {
        field.name for message in spec.messages.values() for field in message.fields if field.section == "header" and field.log == "clear"
    }


def _readable(spec: Spec, places: Sequence[tuple[str, slice]], frame: bytes) -> dict[str, str]:
    charset = charset_of(spec.encoding)
    found = ((name, charset.text(frame[place])) for name, place in places)
    return {name: text for name, text in found if text is not None}


def head_of(spec: Spec, fields: Sequence[str]) -> Callable[[bytes], Hashable]:
    """A getter of all header bytes that decide message and route, neighbours read as one slice."""
    return itemgetter(*fused(spec.header_slice(name) for name in {*spec.family.key, *fields}))


def beside_carrier(spec: Spec) -> Callable[[bytes], Hashable] | None:
    """A getter of the parts of the correlation key that stay as they are when the carrier is rewritten; None when there are none."""
    names = [name for name in spec.family.correlation if name != spec.family.carrier]
    return itemgetter(*fused(spec.header_slice(name) for name in names)) if spec.carrier is not None and names else None
