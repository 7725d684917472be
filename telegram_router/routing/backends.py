"""The backends of a service: which of them are fit, which are in use, and how much each is given."""

# Rules this file keeps, all of them tested:
#
# 1. Requests go only to backends that are ready, not down, not ejected and connected, and among those to the best priority.
# 2. Fail-over is immediate. Fail-back waits, then starts slowly; what is in flight ends where it began.
# 3. The last backend that is fit is never ejected: a host in doubt is better than none.
# 4. Time and chance come in as arguments.

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from telegram_router.routing.orders import Event

if TYPE_CHECKING:
    from telegram_router.routing.peers import Peer

STATES = ("up", "unreachable", "down", "ejected", "drain", "maint")
RAMP_LEAST = 0.1  # share of its weight that a backend starts with when it comes back
RAMP_STEP = 1.0  # seconds between two steps of that ramp


class Admin(enum.Enum):
    """What an operator wants of a backend. `drain` gives it nothing new; `maint` as well, and it is not probed."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class Health(enum.Enum):
    """What probes found."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Ejection:
    """When a backend's own answers speak against it. Times in seconds."""

    consecutive: int = 5  # failures in a row
    rate: float = 0.5  # share of failures among `least` requests or more of one window
    least: int = 20
    window: float = 10.0
    base: float = 30.0  # first ejection; each further one is longer by as much
    longest: float = 300.0
    share: float = 0.5  # of the backends that may be ejected at a time; one always may
    trials: int = 2  # successes, one request at a time, that end an ejection


@dataclass(frozen=True)
class Failover:
    """How a better priority takes over again. Times in seconds."""

    failback: Literal["auto", "manual"] = "auto"
    delay: float = 30.0
    slow_start: float = 30.0
    flaps: int = 3  # fail-overs within `flap_window` after which only an operator returns it
    flap_window: float = 600.0


class Backend:
    """One address of a service, as far as giving it requests goes.

    links     usable connections, in use or not
    answered  requests it answered, whatever the answer said
    failed    requests it failed: no answer in time, lost on the way, or an answer that says that the system is in trouble
    """

    def __init__(self, name: str, weight: float = 1.0, priority: int = 0) -> None:
        self.name = name
        self.weight = weight
        self.priority = priority
        self.links: list[Peer] = []
        self.links_min = 1
        self.admin = Admin.READY
        self.health = Health.UNKNOWN
        self.changed_at = 0.0
        self.answered = 0
        self.failed = 0
        self.checks = {"ok": 0, "failed": 0}
        self.turns = {"up": 0, "down": 0}  # how often its probes have said so anew
        self.streak = 0  # failures in a row
        self.ejections = 0  # how often in a row; one less for each quiet base period
        self.ejected_until: float | None = None
        self.trials = 0  # successes it still owes; not 0 means that it gets one request at a time
        self.ramp_from: float | None = None
        self.seen_fit = False
        self.in_use = False
        self._window = (0.0, 0, 0)  # since when, and what had been answered and failed then

    @property
    def connected(self) -> bool:
        """Whether it has as many links as it must have to be of use."""
        return len(self.links) >= self.links_min

    @property
    def state(self) -> str:
        """In one word, for people."""
        if self.admin is not Admin.READY:
            return str(self.admin.value)
        if self.health is Health.DOWN:
            return "down"
        if self.ejected_until is not None:
            return "ejected"
        return "up" if self.connected else "unreachable"

    @property
    def fit(self) -> bool:
        return self.admin is Admin.READY and self.health is not Health.DOWN and self.ejected_until is None and self.connected

    @property
    def troubled(self) -> bool:
        """Whether a success means anything to it."""
        return self.streak > 0 or self.trials > 0

    def share(self, now: float, slow_start: float) -> float:
        """How much of its weight it has by now, 0.1 to 1."""
        if self.ramp_from is None or slow_start <= 0:
            return 1.0
        return min(1.0, max(RAMP_LEAST, (now - self.ramp_from) / slow_start))

    def failing(self, ejection: Ejection, now: float) -> bool:
        """After another failure: do its failures say that it should be ejected?"""
        since, answered, failed = self._window
        if now - since > ejection.window:
            self._window = (now, self.answered, self.failed - 1)
            since, answered, failed = self._window
        failures = self.failed - failed
        requests = self.answered - answered + failures
        return self.streak >= ejection.consecutive or (requests >= ejection.least and failures >= ejection.rate * requests)


class Pool:
    """The backends of one service. Every method says what there is to tell; `elect` decides anew who is in use."""

    def __init__(self, service: str, ejection: Ejection | None = None, failover: Failover | None = None) -> None:
        self.service = service
        self.ejection = ejection
        self.failover = failover or Failover()
        self.backends: dict[str, Backend] = {}
        self.priority: int | None = None  # the one in use
        self.failovers: deque[float] = deque(maxlen=64)
        self.moves: dict[tuple[str, int, int], int] = {}  # fail-overs and fail-backs, from and to which priority
        self.ejections = self.ejections_suppressed = 0
        self.chance: Callable[[], float] = lambda: 0.0  # 0 to 1, for the jitter of ejections
        self.links_min = 1
        self._fit_since: dict[int, float] = {}
        self._returning = False  # an operator wants the better priority back
        self._next: float | None = None
        self._begun: float | None = None  # when the first backend was fit

    def named(self, name: str) -> Backend:
        """The backend of that name, made when it is not known yet."""
        backend = self.backends.get(name)
        if backend is None:
            backend = self.backends[name] = Backend(name)
            backend.links_min = self.links_min
        return backend

    def require(self, links: int) -> None:
        """From now on a backend is of use only with so many links."""
        self.links_min = links
        for backend in self.backends.values():
            backend.links_min = links

    def declare(self, name: str, weight: float = 1.0, priority: int = 0) -> Backend:
        """A backend of the configuration."""
        backend = self.named(name)
        backend.weight, backend.priority = weight, priority
        return backend

    def arrange(self, declared: Sequence[tuple[str, float, int]]) -> list[Backend]:
        """Have exactly these backends, each with name, weight and priority, in this order. Returns those that are no more.

        Kept ones stay what they are: links, health, ejection, slow start.
        """
        before, self.backends = self.backends, {}
        levels = {name: backend.priority for name, backend in before.items() if backend.in_use}
        for name, weight, priority in declared:
            if name in before:
                self.backends[name] = before[name]
            self.declare(name, weight, priority)
        moved = any(name in self.backends and self.backends[name].priority != level for name, level in levels.items())
        if moved or self.priority not in {backend.priority for backend in self.backends.values()}:
            self.priority = None  # another order of the configuration is no fail-over
        return [backend for name, backend in before.items() if name not in self.backends]

    def forget_health(self, name: str) -> None:
        """Nobody probes it any more."""
        if name in self.backends:
            self.backends[name].health = Health.UNKNOWN

    def adopt(self, ejection: Ejection | None, failover: Failover) -> None:
        """Other policies from now on. Without ejection nobody stays ejected."""
        self.ejection, self.failover = ejection, failover
        if ejection is None:
            for backend in self.backends.values():
                backend.ejected_until, backend.trials = None, 0

    @property
    def used(self) -> list[Backend]:
        return [backend for backend in self.backends.values() if backend.in_use]

    # --- what happens to a backend ------------------------------------------------------------------------------

    def failed(self, backend: Backend, now: float) -> list[Event]:
        """It failed a request, or could not be reached."""
        backend.failed += 1
        backend.streak += 1
        if self.ejection is None or backend.ejected_until is not None:
            return []
        if backend.trials or backend.failing(self.ejection, now):
            return self._eject(backend, self.ejection, now)
        return []

    def succeeded(self, backend: Backend, count: int, now: float) -> list[Event]:
        """It answered so many requests. Ask only when it is `troubled`."""
        backend.streak = 0
        if not backend.trials:
            return []
        backend.trials = max(0, backend.trials - count)
        if backend.trials:
            return []
        backend.changed_at = backend.ramp_from = now
        return [self._event("backend_returned", backend)]

    def probed(self, backend: Backend, health: Health, now: float) -> list[Event]:
        """What a series of probes says. Good news ends an ejection."""
        if backend.health is health:
            return []
        was, backend.health, backend.changed_at = backend.health, health, now
        if health is not Health.UNKNOWN:
            backend.turns["up" if health is Health.UP else "down"] += 1
        if health is Health.UP:
            backend.ejected_until, backend.trials, backend.streak, backend.ejections = None, 0, 0, 0
            return [self._event("backend_up", backend)] if was is Health.DOWN else []
        return [self._event("backend_down", backend)] if health is Health.DOWN else []

    def order(self, backend: Backend, admin: Admin, now: float) -> list[Event]:
        """An operator's word."""
        if backend.admin is admin:
            return []
        backend.admin, backend.changed_at = admin, now
        return [self._event("backend_ordered", backend)]

    def return_now(self) -> None:
        """An operator's word: back to the best priority at the next election, whatever the mode."""
        self._returning = True

    def _eject(self, backend: Backend, ejection: Ejection, now: float) -> list[Event]:
        others = [each for each in self.backends.values() if each is not backend and each.fit]
        ejected = sum(each.ejected_until is not None for each in self.backends.values())
        if not others or (ejected and ejected + 1 > ejection.share * len(self.backends)):
            self.ejections_suppressed += 1
            return []
        self.ejections += 1
        quiet = int((now - backend.changed_at) / ejection.base)
        backend.ejections = max(0, backend.ejections - quiet) + 1
        length = min(ejection.base * backend.ejections, ejection.longest) * (1 + 0.1 * self.chance())
        backend.ejected_until, backend.trials, backend.streak, backend.changed_at = now + length, 0, 0, now
        return [self._event("backend_ejected", backend, seconds=round(length, 1))]

    # --- who is in use ------------------------------------------------------------------------------------------

    def elect(self, now: float) -> list[Event]:
        """Decide which backends are in use from now on."""
        told = self._end_ejections(now)
        fit = [backend for backend in self.backends.values() if backend.fit]
        told += self._choose_priority(fit, now)
        for backend in self.backends.values():
            in_use = backend.fit and backend.priority == self.priority
            if in_use and not backend.in_use and backend.seen_fit and backend.ramp_from is None:
                backend.ramp_from = now
            if backend.fit:
                backend.seen_fit = True
            backend.in_use = in_use
            if backend.ramp_from is not None and (not in_use or now - backend.ramp_from >= self.failover.slow_start):
                backend.ramp_from = None
        self._next = self._next_change(now)
        return told

    def _end_ejections(self, now: float) -> list[Event]:
        told = []
        for backend in self.backends.values():
            if backend.ejected_until is not None and backend.ejected_until <= now:
                assert self.ejection is not None
                backend.ejected_until, backend.trials, backend.changed_at = None, self.ejection.trials, now
                told.append(self._event("backend_on_trial", backend))
        return told

    def _choose_priority(self, fit: list[Backend], now: float) -> list[Event]:
        levels = {backend.priority for backend in fit}
        if fit and self._begun is None:
            self._begun = now
        self._fit_since = {level: self._fit_since.get(level, now) for level in levels}
        if not levels:
            return []  # nobody is fit; whoever comes first is used, or the one that was
        best, was = min(levels), self.priority
        if was is None or was == best:
            self._returning = False
            self.priority = best
            return []
        if was not in levels:
            self.priority = best
            if best < was:  # the worse one is gone as well: there is nothing to wait for
                return [self._moved("failback", was, best)]
            self.failovers.append(now)
            return [self._moved("failover", was, best)]
        if best < was and self._may_return(best, now):
            self.priority, self._returning = best, False
            return [self._moved("failback", was, best)]
        return []

    def _may_return(self, level: int, now: float) -> bool:
        if self._returning or self._is_starting(level, now):
            return True
        if self.failover.failback == "manual" or self._flapping(now):
            return False
        return now - self._fit_since[level] >= self.failover.delay

    def _is_starting(self, level: int, now: float) -> bool:
        """At the start links come in any order: who is first connected later has not failed."""
        first = not any(backend.seen_fit for backend in self.backends.values() if backend.fit and backend.priority == level)
        return first and self._begun is not None and now - self._begun <= self.failover.delay

    def _flapping(self, now: float) -> bool:
        recent = sum(now - at <= self.failover.flap_window for at in self.failovers)
        return recent >= self.failover.flaps

    def due(self, now: float) -> bool:
        return self._next is not None and self._next <= now

    @property
    def next_change(self) -> float | None:
        """When `elect` will decide otherwise by itself; None when nothing is due."""
        return self._next

    def _next_change(self, now: float) -> float | None:
        due = [backend.ejected_until for backend in self.backends.values() if backend.ejected_until is not None]
        due += [now + RAMP_STEP for backend in self.backends.values() if backend.ramp_from is not None]
        if self.priority is not None and self._fit_since and min(self._fit_since) < self.priority:
            if self._flapping(now):
                due.append(min(at for at in self.failovers if now - at <= self.failover.flap_window) + self.failover.flap_window)
            elif self.failover.failback == "auto":
                due.append(self._fit_since[min(self._fit_since)] + self.failover.delay)
        return min((max(at, now) for at in due), default=None)

    # --- for the log --------------------------------------------------------------------------------------------

    def _event(self, name: str, backend: Backend, **more: object) -> Event:
        return Event(name, {"service": self.service, "backend": backend.name, "state": backend.state, **more})

    def _moved(self, name: str, was: int, now: int) -> Event:
        self.moves[name, was, now] = self.moves.get((name, was, now), 0) + 1
        used = [backend.name for backend in self.backends.values() if backend.fit and backend.priority == now]
        return Event(name, {"service": self.service, "from_priority": was, "to_priority": now, "backends": used})
