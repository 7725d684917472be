"""The telegrams that the router itself sends and answers on its connections: sign-on, sign-off, heartbeats, business hours."""

# Rules this file keeps, all of them tested:
#
# 1. A number of the router's own that waits for its answer is reserved in the register, so no client's request can have it; what
#    answers it is given to nobody.
# 2. Nothing here happens for each telegram: a connection is looked at when its time has come, business hours when they change.
# 3. Deadlines are of the clock that never jumps. The clock on the wall decides on business hours and dates alone.

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from telegram_router.errors import Delivery
from telegram_router.routing.calendar import Business, Calendar
from telegram_router.routing.conduct import Act, Phase, Rules, Standing
from telegram_router.routing.elsewhere import introduce
from telegram_router.routing.exchange import Exchange, Lane
from telegram_router.routing.orders import Close, Event, Ready
from telegram_router.routing.peers import Listener, Peer, Service
from telegram_router.routing.routes import Entry

if TYPE_CHECKING:
    from telegram_router.routing.switch import Switch

SWEEP_AT = 1024  # entries
NUMBERS_TRIED = 100  # before it is given up: the wait for its answer ends as if none had come
JUMP = 2.0  # seconds by which the wall clock may be corrected without a word
SIGN_ONS = ("accepted", "refused", "late")  # how they end; late: not answered in time, or none came from the client
BEAT_FORM = "%m%d%H%M%S"  # what a poll echoes: MMDDhhmmss

ALWAYS = Calendar([(0.0, 0)])  # open, by UTC

Party = Service | Listener


@dataclass(frozen=True)
class Terms:
    """What a listener or a service wants of its connections.

    given    header fields of the router's own telegrams there, such as the company's number
    forward  clients' sign-ons and sign-offs go to a service, and its answer decides
    first    the first running number of a business date
    formal   messages that the router answers instead of routing them, and what they are for
    """

    rules: Rules = field(default_factory=Rules)
    calendar: Calendar = ALWAYS
    given: Mapping[str, str] = field(default_factory=dict)
    forward: bool = False
    first: int = 1
    beat: str = ""  # "poll", or "echo" for the family's message
    formal: Mapping[str, str] = field(default_factory=dict)


class Office:
    """A listener's or service's terms, whether it is open, and its running numbers."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.business = Business(True, 0, math.inf, -math.inf)  # holds at no moment: it has not been looked at yet
        self.lane = Lane(0)
        self.sign_ons = dict.fromkeys(SIGN_ONS, 0)
        self.beats_lost = 0  # that nothing followed
        self._number = terms.first - 1
        self._numbered = 0  # the business date of that number

    def adopt(self, terms: Terms) -> None:
        """By these from now on; numbers go on, and hours are looked at anew."""
        self.terms = terms
        self.business = self.business._replace(since=math.inf, until=-math.inf)

    def number(self, most: int) -> int:
        """The next one of today."""
        if self._numbered != self.business.day or self._number >= most:
            self._numbered, self._number = self.business.day, self.terms.first - 1
        self._number += 1
        return self._number


class Conductor:
    """Sees to it that every connection of a switch stands as its terms want."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._ahead = 0.0  # of the wall clock before the switch's
        self._told = False  # whether anybody ever said so
        self._kept: list[Party] | None = None  # who has an office; None: to be looked up again
        self._watched: list[tuple[float, int, Peer]] = []  # a heap; entries of those that are gone are swept out
        self._sweep_at = SWEEP_AT
        self._order = itertools.count()
        self._acts: dict[Act, Callable[[Peer, float], None]] = {
            Act.SIGN_ON: lambda peer, now: self._ask(peer, "sign_on", now),
            Act.SIGN_OFF: lambda peer, now: self._ask(peer, "sign_off", now),
            Act.BEAT: self._beat,
            Act.OPENED: self._opened,
            Act.SHUT: self._shut,
            Act.REFUSED: lambda peer, now: self._late(peer, "E-BCK-15", "sign_on_failed", answered=False),
            Act.LATE: lambda peer, now: self._late(peer, "E-TXN-03", "sign_on_missing"),
            Act.SILENT: self._silent,
        }

    def adopt(self, party: Party, terms: Terms | None, now: float) -> None:
        """Other terms from now on. Who is connected is not asked to sign on again; routes are to be set after this."""
        party.formal = terms.formal if terms is not None else {}
        self._kept = None
        if terms is None:
            if party.office is not None:
                self._let_be(party, now)
            return
        if party.office is None:
            party.office = Office(terms)
        else:
            party.office.adopt(terms)
        for peer in party.peers:
            peer.standing = peer.standing or Standing(is_link=isinstance(party, Service), now=now)
            self._watch(peer)

    def _let_be(self, party: Party, now: float) -> None:
        """Nothing is wanted any more."""
        party.office, party.shut = None, False
        for peer in party.peers:
            peer.standing = None
            self._opened(peer, now)

    # --- connections come and go --------------------------------------------------------------------------------

    def greet(self, peer: Peer, now: float) -> None:
        """A connection of a party with an office. It is barred, or not used, until it stands as it should."""
        office = peer.group.office
        assert office is not None
        peer.standing = Standing(is_link=isinstance(peer.group, Service), now=now)
        act = peer.standing.begin(office.terms.rules, now, business=office.business.open)
        self._update_bar(peer)
        self._do(peer, act, now)

    def leave(self, peer: Peer, now: float) -> bool:
        """A link is to be closed. True as long as its sign-off has not been answered; ask again."""
        standing, office = peer.standing, peer.group.office
        if peer.closed or standing is None or office is None:
            return False
        self._do(peer, standing.leave(office.terms.rules, now), now)
        return standing.phase is Phase.SIGNING_OFF

    def goodbye(self, session: Peer, now: float) -> None:
        """A session is to be closed: say so, if that was asked for."""
        office, standing = session.group.office, session.standing
        if office is not None and standing is not None and office.terms.rules.sign_off and not standing.leaving and not session.barred:
            standing.leaving = True
            self._ask(session, "sign_off", now)

    # --- telegrams about the line -------------------------------------------------------------------------------

    def asked(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> None:
        """Somebody's own sign-on, sign-off or echo."""
        switch, group, standing = self._switch, peer.group, peer.standing
        office, spec = group.office, group.spec
        assert office is not None
        if entry.formality == "echo" or standing is None:
            self._answer(peer, frame)
            return
        owner = frame[spec.owner] if spec.owner is not None else None
        if owner is not None and not switch._speaks_for(peer, owner):
            _count(peer, entry.formality, "refused")
            switch.refusals.refuse(peer, frame, "E-RTE-04", entry.message.name, **group.claim(frame), certificate=sorted(peer.identity))
        elif not office.business.open:
            _count(peer, entry.formality, "refused")
            switch.refusals.refuse(peer, frame, "E-TXN-03", entry.message.name, why="closed")
        elif office.terms.forward:
            standing.until = math.inf  # it has done its part in time; the service's timeout is the one that counts now
            switch._request(peer, frame, entry, now)
        else:
            self._answer(peer, frame)
            _count(peer, entry.formality, "accepted")
            self._do(peer, standing.signed(entry.formality), now)
            if owner is not None and not peer.barred:
                switch._bind(peer, owner)

    def forwarded(self, exchange: Exchange, frame: bytes, now: float) -> None:
        """A client's formality was answered by the service that it was given to."""
        peer, role = exchange.asker, exchange.entry.formality
        formalities = peer.group.spec.formalities
        yes = formalities is not None and formalities.accepts(role, frame)
        _count(peer, role, "accepted" if yes else "refused")
        if yes and peer.standing is not None and not peer.closed:
            self._do(peer, peer.standing.signed(role), now)
            place = peer.group.spec.owner
            if place is not None and not peer.barred:
                self._switch._bind(peer, exchange.frame[place])

    def answered(self, peer: Peer, frame: bytes) -> bool:
        """Whether an answer that pairs with no request is one to us; then it has been dealt with."""
        standing, register, spec = peer.standing, peer.group.register, peer.group.spec
        if standing is None or spec.formalities is None:
            return False
        if _by_message(peer):
            ref: Hashable = spec.formalities.answered(frame)
            if ref is None:
                return False
            if ref not in standing.asked:  # late: it answers no request, so it says nothing of their order
                stats = peer.group if isinstance(peer.group, Service) else peer.group.audience
                if stats is not None:
                    stats.late += 1
                return True
        else:
            ref = frame[spec.carrier] if register.carrier_width and spec.carrier is not None else spec.correlate(frame)
        role = standing.asked.pop(ref, None)
        if role is None:
            return False
        register.release(ref)
        yes = spec.formalities.accepts(role, frame)
        _count(peer, role, "accepted" if yes else "refused")
        act, now = standing.answered(role, yes=yes), standing.heard_at
        if act is Act.REFUSED:
            code = spec.formalities.said(role, frame)
            self._close(peer, "E-BCK-15", "sign_on_failed", answered=True, response=code, telegram=peer.group.names(frame))
        else:
            self._do(peer, act, now)
        return True

    def _answer(self, peer: Peer, frame: bytes) -> None:
        formalities = peer.group.spec.formalities
        answer = formalities.yes(frame) if formalities is not None else None
        if answer is not None:
            self._switch._put(peer, answer)

    # --- time ---------------------------------------------------------------------------------------------------

    def wall_is(self, ahead: float, now: float) -> None:
        """How far the clock on the wall is ahead of the switch's. A jump is told; deadlines do not notice it."""
        jumped, first = ahead - self._ahead, not self._told
        self._ahead, self._told = ahead, True
        if abs(jumped) > JUMP and not first:
            self._switch._tell(Event("clock_jumped", {"seconds": round(jumped, 3)}))
        if first or abs(jumped) > JUMP:
            self.keep_hours(now)

    def tick(self, now: float) -> None:
        """Whatever is due by now."""
        self.keep_hours(now)
        while self._watched and self._watched[0][0] <= now:
            at, _, peer = heapq.heappop(self._watched)
            standing, office = peer.standing, peer.group.office
            if standing is None or office is None or peer.closed or standing.scheduled != at:
                continue  # it has gone, or will be looked at another time
            standing.scheduled = math.inf
            self._do(peer, standing.due(office.terms.rules, now, busy=bool(peer.load)), now)

    def next_deadline(self) -> float | None:
        due = [self._watched[0][0]] if self._watched else []
        due += [party.office.business.until - self._ahead for party in self._offices() if party.office is not None and self._told]
        return min(due, default=None)

    def keep_hours(self, now: float) -> None:
        """Open and close business where its hour has come."""
        for party in self._offices():
            self._look(party, now)

    def _offices(self) -> list[Party]:
        if self._kept is None:
            switch = self._switch
            parties: list[Party] = [*switch.services.values(), *switch.listeners.values()]
            self._kept = [party for party in parties if party.office is not None]
        return self._kept

    def _look(self, party: Party, now: float) -> None:
        office = party.office
        assert office is not None
        wall = now + self._ahead
        if office.business.holds(wall) or not self._told:
            return
        was = office.business.open
        office.business = office.terms.calendar.look(wall)
        if office.business.open != was:
            self._turn(party, now, business=office.business.open)

    def _turn(self, party: Party, now: float, *, business: bool) -> None:
        """Business opens or closes."""
        switch = self._switch
        party.shut = not business
        switch._tell(Event("business_opened" if business else "business_closed", {"party": party.name}, calm=True))
        if isinstance(party, Service):
            switch.elect(party, now)
            if not business:
                self._refuse_waiting(party, now)
        assert party.office is not None
        for peer in party.peers:
            if peer.standing is not None:
                self._do(peer, peer.standing.turn(party.office.terms.rules, now, business=business), now)
            self._update_bar(peer)

    def _refuse_waiting(self, service: Service, now: float) -> None:
        waiting = [exchange for exchange, _ in service.waiting.in_order()]
        for exchange in waiting:
            service.waiting.discard(exchange)
        for exchange in waiting:
            self._switch._fail(exchange, "E-TXN-03", Delivery.NOT_SENT, now)

    # --- what is to be done -------------------------------------------------------------------------------------

    def _do(self, peer: Peer, act: Act | None, now: float) -> None:
        if act is not None:
            self._acts[act](peer, now)
        self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        standing, office = peer.standing, peer.group.office
        if standing is None or office is None or peer.closed:
            return
        at = standing.next_at(office.terms.rules)
        if at < standing.scheduled:
            standing.scheduled = at
            heapq.heappush(self._watched, (at, next(self._order), peer))
            if len(self._watched) >= self._sweep_at:
                self._sweep()

    def _sweep(self) -> None:
        """Who has gone is not kept until its time would have come. Half of the room is free after it."""
        left = [each for each in self._watched if not each[2].closed and each[2].standing and each[2].standing.scheduled == each[0]]
        heapq.heapify(left)
        self._watched, self._sweep_at = left, max(SWEEP_AT, 2 * len(left))

    def _ask(self, peer: Peer, role: str, now: float) -> None:
        """Send a formality of ours."""
        office, spec, register = peer.group.office, peer.group.spec, peer.group.register
        assert office is not None and peer.standing is not None and spec.formalities is not None
        standing = peer.standing
        for ref in [ref for ref, open_ in standing.asked.items() if open_ == role]:
            del standing.asked[ref]  # its number stays reserved
        clock = office.terms.calendar.clock(now + self._ahead)
        for _ in range(NUMBERS_TRIED if register.carrier_width or spec.formalities.most(role) else 1):
            frame = spec.formalities.telegram(role, office.terms.given, office.business.date, clock, self._number(peer, role))
            if _by_message(peer):
                standing.asked[role] = role
                self._switch._put(peer, frame)
                return
            ref = frame[spec.carrier] if register.carrier_width and spec.carrier is not None else spec.correlate(frame)
            taken = register.tombstones.get(ref)
            if ref not in register.pending and (taken is None or taken.lane is office.lane):
                standing.asked[ref] = role
                register.reserve(ref, office.lane, now)
                self._switch._put(peer, frame)
                return
        self._switch._tell(Event("no_free_number", {"peer": peer.name, "origin": peer.group.name, "asks": role}))

    def _number(self, peer: Peer, role: str) -> int:
        office, formalities, register = peer.group.office, peer.group.spec.formalities, peer.group.register
        assert office is not None and formalities is not None
        if register.carrier_width:
            return int(cast("bytes", register.number()))
        return office.number(formalities.most(role))

    def _beat(self, peer: Peer, now: float) -> None:
        office, spec = peer.group.office, peer.group.spec
        assert office is not None and peer.standing is not None
        office.beats_lost += peer.standing.misses > 1  # the one before this
        if office.terms.beat == "echo":
            if peer.standing.phase is Phase.OPEN:
                self._ask(peer, "echo", now)
            else:
                peer.standing.misses = 0  # before the sign-on nobody has to answer it
            return
        clock = office.terms.calendar.clock(now + self._ahead)
        poll = spec.framing.poll_request(clock.strftime(BEAT_FORM).encode("ascii"))
        if poll is not None:
            self._switch._put(peer, poll)

    def _opened(self, peer: Peer, now: float) -> None:
        self._update_bar(peer)
        service = peer.group
        if isinstance(service, Service) and peer in service.joining:
            del service.joining[peer]
            self._switch.use(peer, now)
            self._switch.commands.append(Ready(peer))

    def _shut(self, peer: Peer, now: float) -> None:
        """The link stays and is given nothing; the session is refused what it asks."""
        self._update_bar(peer)
        service = peer.group
        if isinstance(service, Service) and peer.backend is not None and peer in peer.backend.links:
            self._switch.retire(peer)
            service.leaving.pop(peer, None)
            peer.retired = False
            service.joining[peer] = None
            self._switch.elect(service, now)

    def _update_bar(self, peer: Peer) -> None:
        listener = peer.group
        if isinstance(listener, Listener):
            signed_on = peer.standing is None or peer.standing.phase is Phase.OPEN
            peer.bar(barred=listener.shut or not signed_on)
            if listener.gives:
                introduce(listener, peer)

    def _late(self, peer: Peer, code: str, event: str, **more: object) -> None:
        _count(peer, "sign_on", "late")
        self._close(peer, code, event, **more)

    def _silent(self, peer: Peer, now: float) -> None:
        office, standing = peer.group.office, peer.standing
        if office is not None and standing is not None:
            office.beats_lost += standing.misses >= office.terms.rules.misses
        self._close(peer, "E-BCK-16" if isinstance(peer.group, Service) else "E-LIM-09", "silent")

    def _close(self, peer: Peer, code: str, event: str, **more: object) -> None:
        self._switch._tell(Event(event, {"code": code, "peer": peer.name, "origin": peer.group.name, "backend": peer.backend_name, **more}))
        self._switch.commands.append(Close(peer, code))


def _count(peer: Peer, role: str, result: str) -> None:
    """A sign-on has ended."""
    office = peer.group.office
    if role == "sign_on" and office is not None:
        office.sign_ons[result] += 1


def _by_message(peer: Peer) -> bool:
    """Where no key can be counted on, an answer to the router's own telegram is known by its message: one of a kind is open at a time."""
    return peer.turns is not None or not peer.group.spec.correlation_fields
