"""How many requests may come in a time, counted by whatever they have in common: user, address, service, message."""

# Rules this file keeps, all of them tested:
#
# 1. Over any span of w seconds no key is admitted more than burst + w * rate times.
# 2. A request counts against all of its limits or against none.
# 3. A request that has to wait for its time is counted at once, and goes at the time at which it would not have had to.
# 4. Memory is bounded. The key longest not met is forgotten first, and one whose time is up before any other.

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections import deque

    from telegram_router.routing.exchange import Exchange
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry
    from telegram_router.telegrams import Spec

KEYS = 100_000

Part = Callable[["Peer", bytes, "Entry"], Hashable]  # None when the telegram does not have it


Admission = tuple[Hashable, float]  # the key, and what counting the request leaves behind or adds
Slots: TypeAlias = "deque[Exchange]"  # where a bulkhead wants to see the exchange that it let in
Wish: TypeAlias = (
    "float | Slots | None"  # what a limit wants of a request that it has counted: that it goes not before a time, or is put there
)


class Grant(msgspec.Struct, frozen=True, gc=False):
    """A request was counted against all its limits. It must not go before a time, and its exchange belongs into these slots."""

    until: float  # 0.0: it may go at once
    slots: tuple[Slots, ...]


AT_ONCE = Grant(0.0, ())


class Refusal(NamedTuple):
    """Which limit said no, and after how many seconds it would say yes; None: never, the telegram lacks what is counted by."""

    limit: str
    retry_after: float | None
    code: str = "E-LIM-03"
    result: str = "throttled"  # as routing.ended names it


class ByKey:
    """What limits and quotas have in common: each request has a key, and each key counts for itself.

    services   names of the services it counts requests to; empty: all
    whole      it looks at more of a telegram than its header
    delays     it may have a request wait for its time
    """

    whole = delays = False
    result = "throttled"

    def __init__(self, name: str, parts: Sequence[Part], services: frozenset[str], pass_without_key: bool) -> None:
        self.name = name
        self.services = services
        self.refused = 0
        self._parts = parts
        self._only = parts[0] if len(parts) == 1 else None
        self._passes = pass_without_key

    def __len__(self) -> int:
        raise NotImplementedError

    def judge(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> Admission | Refusal | None:
        """What it says of a request, without counting it. None: it does not count it. Raises FieldError."""
        raise NotImplementedError

    def admit(self, admission: Admission, now: float) -> Wish:
        """Count a request."""
        raise NotImplementedError

    def take(self, peer: Peer, frame: bytes, entry: Entry, now: float, exchange: Exchange) -> bool:
        """Count a usual request, in a third of the time that `judge` and `admit` take. False, and nothing is counted: ask these."""
        return False

    def untake(self, peer: Peer, frame: bytes, entry: Entry) -> None:
        """Take back what `take` has just counted: another limit did not."""

    def give_back(self, peer: Peer, frame: bytes, entry: Entry, at: float) -> None:
        """A request that was counted at that time has never left."""

    def forget(self) -> None:
        """It is no longer configured: hold on to no exchange."""

    def _key_of(self, peer: Peer, frame: bytes, entry: Entry) -> Hashable:
        only = self._only
        if only is not None:
            return only(peer, frame, entry)
        key = tuple([part(peer, frame, entry) for part in self._parts])
        return None if None in key else key

    def _refuse(self, retry_after: float | None, code: str = "E-LIM-03") -> Refusal:
        self.refused += 1
        return Refusal(self.name, retry_after, code, self.result)


class Limit(ByKey):
    """One limit over many keys, by the generic cell rate algorithm: one number a key, its theoretical arrival time.

    rate       requests in a second
    burst      requests that may come at once
    max_delay  seconds that a request beyond it may wait for its time; 0: it is refused
    """

    def __init__(
        self,
        name: str,
        rate: float,
        burst: int,
        parts: Sequence[Part],
        services: frozenset[str] = frozenset(),
        pass_without_key: bool = False,
        max_delay: float = 0.0,
    ) -> None:
        super().__init__(name, parts, services, pass_without_key)
        self.rate = rate
        self.burst = burst
        self.max_delay = max_delay
        self.delays = max_delay > 0.0
        self.delayed = 0
        self._step = 1.0 / rate
        self._room = burst / rate + 1e-9  # adding up fractions leaves a little
        self._arrivals: dict[Hashable, float] = {}
        self._latest: Hashable = None  # the key counted last: it stands at the young end

    def __len__(self) -> int:
        return len(self._arrivals)

    def adopt(self, other: Limit) -> None:
        """Take over the numbers of a limit that counts by the same. What was counted stays counted."""
        self.rate, self.burst, self.services = other.rate, other.burst, other.services
        self._parts, self._only, self._passes = other._parts, other._only, other._passes
        self._step, self._room = other._step, other._room
        self.max_delay, self.delays = other.max_delay, other.delays

    def judge(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> Admission | Refusal | None:
        only = self._only
        key = only(peer, frame, entry) if only is not None else self._key_of(peer, frame, entry)
        if key is None:
            return None if self._passes else self._refuse(None)
        before = self._arrivals.get(key, now)
        arrival = (before if before > now else now) + self._step
        wait = arrival - now - self._room
        if wait > 0.0 and (wait > self.max_delay or not getattr(entry.target, "may_hold", False)):
            return self._refuse(wait if wait <= self.max_delay else wait - self.max_delay)
        return key, arrival

    def admit(self, admission: Admission, now: float) -> float | None:
        key, arrival = admission
        arrivals = self._arrivals
        arrivals.pop(key, None)  # to the young end
        self._latest = key
        if len(arrivals) >= KEYS:
            self._forget(now)
        arrivals[key] = arrival
        if not self.delays or arrival - self._room <= now:
            return None
        self.delayed += 1
        return arrival - self._room

    def take(self, peer: Peer, frame: bytes, entry: Entry, now: float, exchange: Exchange) -> bool:
        only = self._only
        if only is None:
            return False
        key = only(peer, frame, entry)
        arrivals = self._arrivals
        before = arrivals.get(key)
        if before is None:  # nobody has met it; or there is none to count by
            return False
        arrival = (before if before > now else now) + self._step
        if arrival - now > self._room:
            return False
        if key != self._latest:
            del arrivals[key]  # to the young end
            self._latest = key
        arrivals[key] = arrival
        return True

    def untake(self, peer: Peer, frame: bytes, entry: Entry) -> None:
        self._arrivals[self._latest] -= self._step

    def _forget(self, now: float) -> None:
        """Those whose time is up, or else the oldest tenth: many at a time, so that it is rare."""
        due = [key for key, arrival in self._arrivals.items() if arrival <= now]
        for key in due or list(islice(self._arrivals, max(1, KEYS // 10))):
            del self._arrivals[key]


def check(limits: Sequence[ByKey], peer: Peer, frame: bytes, entry: Entry, now: float) -> Refusal | Grant:
    """Count a request against all its limits and quotas, or say which one refuses it. Raises FieldError."""
    if len(limits) == 1:
        return _check_one(limits[0], peer, frame, entry, now)
    admissions: list[tuple[ByKey, Admission]] = []
    for limit in limits:
        said = limit.judge(peer, frame, entry, now)
        if isinstance(said, Refusal):
            return said
        if said is not None:
            admissions.append((limit, said))
    until = 0.0
    places: tuple[Slots, ...] = ()
    for limit, admission in admissions:
        wish = limit.admit(admission, now)
        if isinstance(wish, float):
            until = max(until, wish)
        elif wish is not None:
            places = (*places, wish)
    return Grant(until, places) if until or places else AT_ONCE


def _check_one(limit: ByKey, peer: Peer, frame: bytes, entry: Entry, now: float) -> Refusal | Grant:
    """The same for the usual case, in half the time."""
    said = limit.judge(peer, frame, entry, now)
    if said is None:
        return AT_ONCE
    if isinstance(said, Refusal):
        return said
    wish = limit.admit(said, now)
    if wish is None:
        return AT_ONCE
    return Grant(wish, ()) if isinstance(wish, float) else Grant(0.0, (wish,))


def take(limits: Sequence[ByKey], peer: Peer, frame: bytes, entry: Entry, now: float, exchange: Exchange) -> bool:
    """Count a usual request against all of its limits. False, and nothing is counted: `check` knows what becomes of it."""
    for index, limit in enumerate(limits):
        if not limit.take(peer, frame, entry, now, exchange):
            for earlier in limits[:index]:
                earlier.untake(peer, frame, entry)
            return False
    return True


def give_back(limits: Sequence[ByKey], peer: Peer, frame: bytes, entry: Entry, at: float) -> None:
    """A request that was counted at that time has never left."""
    for limit in limits:
        limit.give_back(peer, frame, entry, at)


def part(name: str, spec: Spec) -> Part:
    """What to count by: certificate, address, session, service, message, or `header.` and the name of a header field."""
    if name.startswith("header."):
        return _field(spec.header_slice(name.removeprefix("header.")))
    return _PARTS[name]


def _field(place: slice) -> Part:
    def value(peer: Peer, frame: bytes, entry: Entry) -> Hashable:
        raw = frame[place]
        return raw if raw.strip(b" \x00\x40") else None

    return value


def _certificate(peer: Peer, frame: bytes, entry: Entry) -> Hashable:
    return peer.identity or None


def _address(peer: Peer, frame: bytes, entry: Entry) -> Hashable:
    return peer.address or None


def _session(peer: Peer, frame: bytes, entry: Entry) -> Hashable:
    return peer


def _service(peer: Peer, frame: bytes, entry: Entry) -> Hashable:
    return str(entry.target.name)


def _message(peer: Peer, frame: bytes, entry: Entry) -> Hashable:
    return entry.message.name


_PARTS: dict[str, Part] = {
    "certificate": _certificate,
    "address": _address,
    "session": _session,
    "service": _service,
    "message": _message,
}
