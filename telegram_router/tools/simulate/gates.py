"""When a rule or a fault takes part: counts on its connection, chance, times of the day, a schedule."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable

from telegram_router.config.values import Hours
from telegram_router.tools.simulate.chance import Draws
from telegram_router.tools.simulate.scenario import Gate

_DAY = 86_400


class Gatekeeper:
    """One rule's or fault's. `identity` is what its chance follows from: what it says, not where it stands among the others."""

    def __init__(self, gate: Gate, identity: str, draws: Draws, began: float) -> None:
        self._gate = gate
        self._always = all(getattr(gate, name) is None for name in Gate.model_fields)
        self._identity = identity
        self._draws = draws
        self._began = began
        self.times = 0  # that it took part

    def opens(self, connection: int, message: int, counts: dict[str, int], now: float, wall: Callable[[float], datetime.datetime]) -> bool:
        """Whether it takes part. `counts` are the connection's own: how often it could have. `wall` tells the date and time."""
        gate = self._gate
        if self._always:
            self.times += 1
            return True
        if gate.conn is not None and connection not in gate.conn:
            return False
        if not self.in_time(now, wall):
            return False
        count = counts[self._identity] = counts.get(self._identity, 0) + 1
        count -= gate.skip or 0
        if count < 1 or (gate.first is not None and count > gate.first) or (gate.every is not None and count % gate.every):
            return False
        if gate.rate is not None and self._draws.share(connection, message, self._identity) >= gate.rate:
            return False
        self.times += 1
        return True

    def in_time(self, now: float, wall: Callable[[float], datetime.datetime]) -> bool:
        """Whether its schedule and its hours are those of now."""
        gate = self._gate
        if gate.between is not None and not within(gate.between, wall(now)):
            return False
        since = now - self._began - (gate.begins or 0.0)
        if since < 0:
            return False
        if gate.repeat is not None:
            since %= gate.repeat
        return gate.lasts is None or since < gate.lasts

    def changes_at(self, now: float) -> float | None:
        """When its schedule may next say something else."""
        gate = self._gate
        begins = self._began + (gate.begins or 0.0)
        if gate.between is not None:
            return now + 1.0
        if now < begins:
            return begins
        if gate.lasts is None:
            return None
        since = now - begins
        round_ = 0.0 if gate.repeat is None else since - since % gate.repeat
        ends = begins + round_ + gate.lasts
        if now < ends:
            return ends
        return None if gate.repeat is None else begins + round_ + gate.repeat


def identity_of(kind: str, name: str, part: object, taken: set[str]) -> str:
    """What chance and counts of a rule follow from: its name, or what it says."""
    base = f"{kind} {name}" if name else f"{kind} {hashlib.blake2b(repr(part).encode(), digest_size=8).hexdigest()}"
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base} {number}"
    taken.add(found)
    return found


def within(hours: Hours, wall: datetime.datetime) -> bool:
    """Whether a time of the day lies in these hours, which may go over midnight."""
    second = wall.hour * 3600 + wall.minute * 60 + wall.second
    return hours.begin <= second < hours.end or hours.begin <= second + _DAY < hours.end
