"""Who takes part: sessions and links as the switch sees them, and the listeners and services they belong to."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telegram_router.routing.backends import Backend, Ejection, Failover, Pool
from telegram_router.routing.balance import Balance, LeastOutstanding
from telegram_router.routing.classes import CLASSES
from telegram_router.routing.durations import Durations
from telegram_router.routing.exchange import Exchange, Lane, Register
from telegram_router.routing.orders import Event
from telegram_router.routing.pairs import Pair
from telegram_router.routing.routes import Origin, RouteTable, Test
from telegram_router.routing.turns import Turns
from telegram_router.routing.waiting import Arranged, FirstCome

if TYPE_CHECKING:
    from telegram_router.routing.conduct import Standing
    from telegram_router.routing.conducting import Office
    from telegram_router.telegrams import Spec

OWNERS_PER_SESSION = 1024


class Kind(enum.Enum):
    """How a service answers."""

    TELEGRAM = "telegram"
    HTTP = "http"
    HANDLER = "handler"


class Mode(enum.Enum):
    """How requests and replies follow each other on a link of telegrams."""

    PIPELINED = "pipelined"  # many at a time, each reply paired by its correlation key
    EXCLUSIVE = "exclusive"  # one at a time
    FIFO = "fifo"  # many at a time, answered in the order in which they were sent


@dataclass(frozen=True)
class ServicePolicy:
    """Numbers of a service; times in seconds."""

    timeout: float = 30.0
    in_flight: int = 256  # open exchanges of one link
    pending: int = 128
    pending_timeout: float = 1.0
    tombstone: float = 300.0
    tombstones: int = 100_000
    max_links: int = 1  # of the whole service; beyond what is dialled at start only an HTTP service grows
    links_min: int = 1  # of one backend, below which it is given nothing
    ejection: Ejection | None = None
    failover: Failover = field(default_factory=Failover)
    failure_when: Mapping[str, Test] = field(default_factory=dict)  # header fields of answers that count against a backend
    mode: Mode = Mode.PIPELINED  # of a telegram service
    backend_in_flight: int | None = None  # open exchanges of one backend over all its links; None: only those have a bound
    bounds: Mapping[str, int] = field(default_factory=dict)  # the same for backends of their own, by name
    max_attempts: int = 3  # links that a request is given to while each is lost before a byte of it can have left
    poison_grace: float = 30.0  # how long late replies are awaited on a link whose order is in doubt


@dataclass(frozen=True)
class ListenerPolicy:
    """Numbers of a listener; times in seconds. `owners` binds owner values to certificate names; None binds nothing."""

    open_exchanges: int = 256
    timeout: float = 30.0  # for answers that sessions owe to a host's own telegrams
    unread: int = 262_144  # bytes of answers that a session has not taken yet
    tombstone: float = 300.0
    tombstones: int = 100_000
    owners: Mapping[bytes, frozenset[str]] | None = None


class Peer:
    """One connection: a session or a link. The switch fills `outbox`, whoever does the I/O empties it.

    queued    bytes ever put into the outbox
    accepted  bytes the kernel has taken (under TLS: bytes that were encrypted)
    load      requests it has been given and not answered yet, one-way ones until the kernel has taken them
    """

    __slots__ = (
        "accepted", "address", "asks", "awaits", "backend", "barred", "closed", "credit", "group", "had", "identity", "lanes", "limit", "load", "name", "oneway",
        "outbox", "owners", "pair", "paused", "polls", "polls_since", "queued", "register", "retired", "standing", "turns", "used", "weight",
    )  # fmt: skip

    def __init__(
        self, name: str, group: Listener | Service, limit: int, lane_limits: Sequence[int], identity: frozenset[str] = frozenset()
    ) -> None:
        self.name = name
        self.group = group
        self.identity = identity
        self.address = ""  # of a session: the host it comes from
        self.outbox: list[bytes] = []
        self.queued = 0
        self.accepted = 0
        self.load = 0
        self.limit = limit
        self.lanes = [Lane(each) for each in lane_limits]
        for lane, target in zip(self.lanes, group.routes.targets, strict=False):
            lane.target = target
        self.register: Register | None = None
        self.owners: set[bytes] = set()
        # One-way telegrams given to it and not known to be taken yet; part of `load`.
        self.oneway: deque[Exchange] = deque()  # bounded by `limit`
        self.paused = False
        self.closed = False
        self.retired = False  # is given nothing more
        self.barred = False  # a session whose line is not open
        self.asks = False  # a session that has asked and takes its answers elsewhere
        self.awaits: Peer | None = None  # the session that must take answers to its requests before more are read
        self.standing: Standing | None = None  # where the telegrams about the line are the router's business
        self.polls, self.polls_since = 0, 0.0  # that it sent lately
        self.backend: Backend | None = None  # of a link
        self.used = False  # a link that is given requests
        self.weight = 1.0  # what the balancing gives a link
        self.credit = 0.0  # of a link in smooth rotation
        self.pair: Pair | None = None  # of a connection that carries requests or replies alone
        self.turns: Turns | None = None  # of a link whose replies are paired by their order
        self.had = 0.0  # requests that a link was given, each counted by its weight; only what is more than others' matters

    def bar(self, *, barred: bool) -> None:
        """What it asks is refused from now on, or no more; what is open goes on."""
        group = self.group
        if barred and not self.barred and isinstance(group, Listener) and not (group.gives and group.shut):
            # At the close of business, answers that are still to come are taken where they would have been.
            group.part_with(self)
            self.owners.clear()  # whoever signs on again says for whom
        self.barred = barred
        for lane in self.lanes:
            lane.limit = 0 if barred else lane.room

    @property
    def backend_name(self) -> str:
        return self.backend.name if self.backend is not None else ""

    def answers_for(self, asked: Peer | None) -> bool:
        """Whether replies to what another peer was given, or this one, may come here."""
        if asked is self or self.pair is None:
            return asked is self
        return asked is not None and asked.pair is not None and asked.backend is self.backend

    @property
    def open(self) -> int:
        """Requests of its own that are open."""
        return sum(len(lane.open) for lane in self.lanes)

    @property
    def unwritten(self) -> int:
        """Bytes that wait to be written."""
        return self.queued - self.accepted


class Phases:
    """How long answered requests that had to wait did so, and then for their answer, beside how long that took together."""

    __slots__ = ("answer", "queue", "together")

    def __init__(self) -> None:
        self.queue = Durations()
        self.answer = Durations()
        self.together = Durations()

    def count(self, queue: float, answer: float, together: float) -> None:
        self.queue.count(queue)
        self.answer.count(answer)
        self.together.count(together)


class Target:
    """What the targets of routes count. `latency`: from a request to its answer."""

    shut = False  # outside business hours

    def __init__(self) -> None:
        self.latency = Durations()
        self.phases = Phases()  # of those that had to wait; most do not
        self.late = self.unmatched = self.duplicates = self.unknown = self.undelivered = 0
        self.overflow = 0  # requests refused because there was no room; those that waited in vain count as failed


class Service(Origin, Target):
    """Who answers one kind of business: its links, what waits for them, and the register of its open requests."""

    def __init__(self, name: str, kind: Kind, spec: Spec, policy: ServicePolicy, routes: RouteTable | None = None) -> None:
        Origin.__init__(self, name, spec, routes or RouteTable(spec, ()), policy.failure_when)
        Target.__init__(self)
        self.kind = kind
        self.pipes = kind is Kind.TELEGRAM  # requests go into a link's outbox as they are
        self.exclusive = kind is Kind.HTTP  # its links carry one request at a time
        self.policy = policy
        keyless = not spec.correlation_fields
        # Its replies are paired by their order. One at a time and no key to check is such an order, too.
        self.ordered = self.pipes and (policy.mode is Mode.FIFO or keyless)
        # A request without an answer leaves what comes next on its link in doubt: that may be its answer.
        self.serial = self.exclusive or (self.pipes and policy.mode is Mode.EXCLUSIVE)
        # A carrier number pairs replies on telegram links only: a handler, a REST service and a host that answers in order see the
        # asker's own number. Where nothing is read of a reply, a number of the register keeps requests apart.
        width = spec.carrier_width if self.pipes and not self.ordered else 0
        renumbers = spec.carrier is not None or self.ordered or keyless
        self.register = Register(policy.timeout, policy.tombstone, policy.tombstones, name, renumbers=renumbers, carrier_width=width)
        self.spoiled: dict[Peer, float] = {}  # links whose order is in doubt, and until when late replies are awaited there
        self.pool = Pool(name, policy.ejection, policy.failover)
        self.pool.require(policy.links_min)
        self.balance: Balance = LeastOutstanding()
        self.links: list[Peer] = []  # in use
        self._bounded: list[tuple[Backend, int, int]] = []  # those of them with a bound: what it may have, and each of its links
        self.office: Office | None = None
        self.joining: dict[Peer, None] = {}  # links whose sign-on has not been accepted yet, or that are closed for the day
        self.leaving: dict[Peer, None] = {}  # links that are given nothing more and are not closed yet
        self.halves: dict[Peer, None] = {}  # connections for replies alone, and those for requests that lack one
        self.free: list[Peer] = []  # HTTP links that carry no request, the last used at the end; at most as many as links
        self.bytes_in = self.bytes_out = self.frames_out = 0
        self.retries = self.retries_denied = 0  # requests that lost links gave back unsent: given to another, or to none
        self.waiting = FirstCome()  # bounded by policy.pending
        self.shed = [0] * len(CLASSES)  # requests refused for more urgent ones, by class

    def arrange(self, wanted: bool, now: float) -> None:
        """Have a queue by class, or one that is first come, first served. Those that wait go on waiting."""
        if wanted is not isinstance(self.waiting, Arranged):
            before, self.waiting = self.waiting, Arranged() if wanted else FirstCome()
            for exchange, since in before.in_order():
                self.waiting.add(exchange, min(since, now))

    @property
    def may_hold(self) -> bool:
        """Whether one more request may wait here for its time."""
        return type(self.waiting) is Arranged and self.waiting.held < self.policy.pending

    @property
    def peers(self) -> list[Peer]:
        """Every link, whether it is given requests or not."""
        return [*(link for backend in self.pool.backends.values() for link in backend.links), *self.halves, *self.joining, *self.leaving]

    def lane_limits(self) -> list[int]:
        """What its hosts may have open at each target of their own telegrams."""
        return [self.policy.in_flight] * max(1, len(self.routes.targets))

    def choose(self, frame: bytes) -> Peer | None:
        """The link that gets the next request. None when none has room."""
        if self.exclusive:  # such links have no request or one; that there may be many of them must cost nothing
            return self.free[-1] if self.free else None
        if self._bounded:
            self._bound()
        return self.balance.choose(self.links, frame)

    def elect(self, now: float) -> list[Event]:
        """Decide anew which links are given requests."""
        told = self.pool.elect(now)
        used = self.pool.used
        self._bounded = []
        least = min((link.had for backend in used for link in backend.links if link.used), default=0.0)
        self.links = (
            [link for backend in used for link in self._links_of(backend, now, least, alone=len(used) == 1)] if not self.shut else []
        )
        chosen = set(self.links)
        for backend in self.pool.backends.values():
            for link in backend.links:
                if link in chosen and not link.used:
                    link.had = least  # it does not catch up with what it was not there for
                link.used = link in chosen
        self._bound()
        if self.exclusive:
            idle = [link for link in self.links if not link.load]
            waited = [link for link in self.free if link.used and not link.load]
            self.free = list(dict.fromkeys([*waited, *idle]))  # in the order in which they became free, new ones behind them
        return told

    def _links_of(self, backend: Backend, now: float, least: float, *, alone: bool) -> list[Peer]:
        """The links that a backend in use is given requests on. `least`: what the link has had that has had least for its weight."""
        if backend.trials:
            backend.links[0].limit = 1
            return backend.links[:1]
        most = self.policy.bounds.get(backend.name, self.policy.backend_in_flight)
        share = 1.0 if alone else backend.share(now, self.policy.failover.slow_start)
        for link in backend.links:
            weight = backend.weight * share / len(backend.links)
            if weight != link.weight:
                # What it had ahead of others is so many requests: while its slow start goes on they become less for its weight. Or one
                # that came at the beginning, when its weight was a tenth, would be ten that others have to be given, however late.
                link.had = least + (link.had - least) * link.weight / weight
                link.weight = weight
            link.limit = max(1, int(self.limit * share))
        if most is not None and not self.exclusive:
            self._bounded.append((backend, max(1, int(most * share)), link.limit))
        return list(backend.links)

    def _bound(self) -> None:
        """Let no link have more than its backend has room for, links included that are given nothing more."""
        for backend, most, limit in self._bounded:
            load = sum(link.load for link in backend.links)
            if self.leaving:
                load += sum(link.load for link in self.leaving if link.backend is backend)
            for link in backend.links:
                link.limit = max(0, min(limit, link.load + most - load))

    @property
    def limit(self) -> int:
        """Open requests of one link."""
        return 1 if self.serial else self.policy.in_flight

    @property
    def in_flight(self) -> int:
        """Requests given to a link and not answered yet."""
        pending = self.register.pending
        return len(pending) - sum(pending.get(exchange.ref) is exchange for exchange in self.waiting)


class Listener(Origin):
    """Where clients connect: its sessions, by the owners whose telegrams they carry."""

    def __init__(self, name: str, spec: Spec, policy: ListenerPolicy, routes: RouteTable | None = None) -> None:
        super().__init__(name, spec, routes or RouteTable(spec, ()))
        self.policy = policy
        # Of what hosts ask the sessions. One for all of them, so that a number which one session left unknown is reserved in the next.
        self.register = Register(
            policy.timeout, policy.tombstone, policy.tombstones, name, renumbers=spec.carrier is not None, carrier_width=spec.carrier_width
        )
        self.office: Office | None = None
        self.audience: Audience | None = None
        self.paused: dict[Peer, float] = {}  # sessions that are not read, and since when
        self.paused_seconds = 0.0  # of pauses that are over
        self.sessions: dict[Peer, None] = {}
        self.bytes_in = self.bytes_out = self.frames_out = 0
        self.by_owner: dict[bytes, dict[Peer, None]] = {}
        self.answers_to: Listener | None = None  # at which the answers to what is asked here are given
        self.gives = False  # sessions here take the answers to what is asked elsewhere

    def bind(self, session: Peer, owner: bytes) -> None:
        """This session carries telegrams of this owner."""
        if owner not in session.owners and len(session.owners) < OWNERS_PER_SESSION:
            session.owners.add(owner)
            self.by_owner.setdefault(owner, {})[session] = None

    @property
    def peers(self) -> list[Peer]:
        return list(self.sessions)

    def pause(self, session: Peer, now: float) -> None:
        """It has no room for more of what it sends: it is read no more."""
        self.paused.setdefault(session, now)

    def resume(self, session: Peer, now: float) -> None:
        """It is read again, or is gone."""
        self.paused_seconds += now - self.paused.pop(session, now)

    def seconds_paused(self, now: float) -> float:
        """How long sessions were not read, those that are not right now included; the sum over all of them."""
        return self.paused_seconds + sum(now - since for since in self.paused.values())

    def part_with(self, session: Peer) -> None:
        """No telegram of a host goes to this session any more: it is gone, or nobody would read its answer."""
        for owner in session.owners:
            sessions = self.by_owner.get(owner, {})
            sessions.pop(session, None)
            if not sessions:
                self.by_owner.pop(owner, None)

    def lane_limits(self) -> list[int]:
        """One service may hold at most half of a session's open exchanges when there are several."""
        targets = max(1, len(self.routes.targets))
        whole = self.policy.open_exchanges
        return [whole if targets == 1 else max(1, whole // 2)] * targets


class Audience(Target):
    """The sessions of a listener as the target of a host's own telegrams. A listener has one, whoever routes to it."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.listener = listener
        self.name = listener.name
        listener.audience = self

    def choose(self, owner: bytes) -> Peer | None:
        """Of the sessions that carry this owner's telegrams the one with the fewest open requests."""
        sessions = [each for each in self.listener.by_owner.get(owner, ()) if not each.barred]
        return min(sessions, key=lambda session: session.load) if sessions else None
