"""How one connection stands: signing on, open for business, closed for the day, signing off. A state machine without bytes."""

# Rules this file keeps, all of them tested:
#
# 1. Every wait has an end: `next_at` says when `due` must be asked again.
# 2. A beat is answered by any byte that comes after it; only so many in a row that nothing follows end a connection.

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

SIGN_OFF_PATIENCE = 2.0  # at most, for the answer to a sign-off: who stops does not wait long for being let go
LOOK_AGAIN = 0.1  # while requests are open at the close of business


class Phase(enum.Enum):
    """What a connection may be used for."""

    CLOSED = "closed"  # a link: until business opens; a session: until its client signs on
    SIGNING_ON = "signing on"
    OPEN = "open"
    PARTING = "parting"  # business has closed; what is open is let finish
    SIGNING_OFF = "signing off"
    DONE = "done"  # signed off for good, or given up


class Act(enum.Enum):
    """What is to be done."""

    SIGN_ON = "sign_on"
    SIGN_OFF = "sign_off"
    BEAT = "beat"
    OPENED = "opened"
    SHUT = "shut"
    REFUSED = "refused"  # the sign-on, or it was not answered
    LATE = "late"  # the client has not signed on in time
    SILENT = "silent"


@dataclass(frozen=True)
class Rules:
    """What is demanded of a connection; times in seconds.

    sign_on    a link: the router signs on; a session: its client has to
    sign_off   the router signs off before it closes
    timeout    for the answer to a sign-on, and for a client's sign-on after it connected
    heartbeat  silence after which the router asks whether anybody is there
    misses     beats in a row that nothing follows
    idle       silence that ends a session whatever else
    """

    sign_on: bool = False
    sign_off: bool = False
    timeout: float = 10.0
    heartbeat: float | None = None
    misses: int = 3
    idle: float | None = None


class Standing:
    """One connection. `heard_at` is set by whoever receives its bytes, once for all that came together."""

    __slots__ = ("asked", "beat_at", "business", "heard_at", "is_link", "leaving", "misses", "phase", "scheduled", "until")

    def __init__(self, *, is_link: bool, now: float) -> None:
        self.is_link = is_link
        self.phase = Phase.OPEN
        self.business = True
        self.leaving = False  # it is to be closed; what follows is a sign-off
        self.heard_at = now
        self.beat_at = -math.inf  # when the last beat was sent
        self.misses = 0
        self.until = math.inf  # the end of the phase
        self.scheduled = math.inf  # when it will be looked at
        self.asked: dict[object, str] = {}  # correlation key of each formality that waits for its answer; at most one of a kind

    # --- what happens -------------------------------------------------------------------------------------------

    def begin(self, rules: Rules, now: float, *, business: bool) -> Act | None:
        """It has just been connected."""
        self.business = business
        if rules.sign_on and self.is_link:
            self.phase = Phase.CLOSED
            return self._sign_on(rules, now) if business else None
        if rules.sign_on:
            self._enter(Phase.CLOSED, now + rules.timeout if business else math.inf)
        return None

    def answered(self, role: str, *, yes: bool) -> Act | None:
        """A formality of ours was answered."""
        if role == "sign_on" and self.phase is Phase.SIGNING_ON:
            if not yes:
                return self._give_up(Act.REFUSED)
            self._enter(Phase.OPEN)
            return Act.OPENED
        if role == "sign_off" and self.phase is Phase.SIGNING_OFF:
            self._signed_off()
        return None

    def signed(self, role: str) -> Act | None:
        """The client signed on or off, and that was accepted."""
        if role == "sign_on" and self.phase is Phase.CLOSED:
            self._enter(Phase.OPEN)
            return Act.OPENED
        if role == "sign_off" and self.phase is Phase.OPEN:
            self._enter(Phase.CLOSED)
            return Act.SHUT
        return None

    def turn(self, rules: Rules, now: float, *, business: bool) -> Act | None:
        """Business opens or closes."""
        self.business = business
        if not rules.sign_on:
            return None
        if not self.is_link:
            return None if business else self.signed("sign_off")
        if not business:
            return self._part(now)
        if self.phase is Phase.PARTING:
            self._enter(Phase.OPEN)
            return Act.OPENED
        return self._sign_on(rules, now) if self.phase is Phase.CLOSED else None

    def leave(self, rules: Rules, now: float) -> Act | None:
        """The router is about to close a link: nothing more is asked there."""
        if self.leaving:
            return None
        self.leaving = True
        if self.phase in (Phase.OPEN, Phase.PARTING) and rules.sign_on and rules.sign_off:
            return self._sign_off(rules, now)
        if self.phase is not Phase.SIGNING_OFF:
            self._enter(Phase.DONE)
        return None

    # --- time ---------------------------------------------------------------------------------------------------

    def due(self, rules: Rules, now: float, *, busy: bool) -> Act | None:
        """What has to be done by now; ask until there is nothing. `busy`: requests are open there."""
        if self.phase is Phase.OPEN and not self.business and rules.sign_on and self.is_link:
            return self._part(now)  # it closed while the sign-on was on its way
        if now >= self.until:
            return self._phase_over(rules, now, busy=busy)
        if self._may_idle(rules) and now >= self.heard_at + (rules.idle or 0.0):
            return self._give_up(Act.SILENT)
        return self._beat(rules, now)

    def _phase_over(self, rules: Rules, now: float, *, busy: bool) -> Act | None:
        phase = self.phase
        if phase is Phase.PARTING and busy:
            self.until = now + LOOK_AGAIN  # its requests have a timeout of their own
        elif phase is Phase.PARTING and rules.sign_off:
            return self._sign_off(rules, now)
        elif phase in (Phase.PARTING, Phase.SIGNING_OFF):
            self._signed_off()
        elif phase is Phase.CLOSED and self.is_link:
            return self._sign_on(rules, now)
        else:
            return self._give_up(Act.REFUSED if phase is Phase.SIGNING_ON else Act.LATE)
        return None

    def _beat(self, rules: Rules, now: float) -> Act | None:
        if rules.heartbeat is None or self.phase in (Phase.SIGNING_ON, Phase.SIGNING_OFF, Phase.DONE):
            return None
        if self.heard_at >= self.beat_at:
            self.misses = 0
        if now < max(self.heard_at, self.beat_at) + rules.heartbeat:
            return None
        if self.misses >= rules.misses:
            return self._give_up(Act.SILENT)
        self.misses += 1
        self.beat_at = now
        return Act.BEAT

    def next_at(self, rules: Rules) -> float:
        """When `due` has something to say, if nothing is heard until then."""
        at = self.until
        if rules.heartbeat is not None and self.phase not in (Phase.SIGNING_ON, Phase.SIGNING_OFF, Phase.DONE):
            at = min(at, max(self.heard_at, self.beat_at) + rules.heartbeat)
        if self._may_idle(rules):
            at = min(at, self.heard_at + (rules.idle or 0.0))
        return at

    def _may_idle(self, rules: Rules) -> bool:
        """Whether its silence ends it whatever else."""
        return rules.idle is not None and not self.is_link and self.phase is not Phase.DONE

    # --- steps --------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase, until: float = math.inf) -> None:
        self.phase, self.until = phase, until

    def _give_up(self, act: Act) -> Act:
        """It is to be closed for this."""
        self._enter(Phase.DONE)
        return act

    def _sign_on(self, rules: Rules, now: float) -> Act:
        self._enter(Phase.SIGNING_ON, now + rules.timeout)
        return Act.SIGN_ON

    def _part(self, now: float) -> Act | None:
        if self.phase is not Phase.OPEN:
            return None
        self._enter(Phase.PARTING, now)
        return Act.SHUT

    def _sign_off(self, rules: Rules, now: float) -> Act:
        self._enter(Phase.SIGNING_OFF, now + min(rules.timeout, SIGN_OFF_PATIENCE))
        return Act.SIGN_OFF

    def _signed_off(self) -> None:
        if self.leaving:
            self._enter(Phase.DONE)
        else:  # at once, where business has opened again meanwhile
            self._enter(Phase.CLOSED, -math.inf if self.business and self.is_link else math.inf)
