"""Another configuration for a switch at work: in one step, without a session or a link that notices."""

# Rules this file keeps, all of them tested:
#
# 1. Everything that can fail has been made before: `carry_out` only puts prepared things into their places.
# 2. An exchange that is open keeps its route, its target, its place among its asker's open requests and its reply timeout.
# 3. Who is still configured stays the same object, with links, health, reserved keys and counts.
# 4. An exchange ends by the spec that it began with, whichever its peers are read by since.
# 5. Who is no longer configured is given nothing new; what it has open goes on, and it is told of to whoever ends its connections.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from telegram_router.routing.balance import Balance
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.classes import NORMAL, Precedence
from telegram_router.routing.conducting import Terms
from telegram_router.routing.elsewhere import introduce
from telegram_router.routing.exchange import Lane
from telegram_router.routing.halting import spread
from telegram_router.routing.limits import ByKey, Limit
from telegram_router.routing.peers import Audience, Listener, ListenerPolicy, Peer, Service, ServicePolicy
from telegram_router.routing.quotas import Quota
from telegram_router.routing.routes import Entry, RouteTable, place_of
from telegram_router.routing.switch import Switch
from telegram_router.telegrams import Spec

Party = Service | Listener
Target = Service | Audience


@dataclass(frozen=True)
class ServiceTerms:
    """What is new for a service that stays. `balance` None: as it was; `backends` None: it declares none."""

    policy: ServicePolicy
    balance: Balance | None = None
    backends: Sequence[tuple[str, float, int]] | None = None


@dataclass(frozen=True)
class Change:
    """All that will be, in the order of the configuration. Who stays is the object that is there now, and has terms."""

    services: Mapping[str, Service]
    listeners: Mapping[str, Listener]
    service_terms: Mapping[str, ServiceTerms] = field(default_factory=dict)
    listener_terms: Mapping[str, ListenerPolicy] = field(default_factory=dict)
    tables: Mapping[Party, RouteTable] = field(default_factory=dict)  # parties without one route nothing
    limits: Mapping[Listener, Sequence[ByKey]] = field(default_factory=dict)
    precedence: Mapping[Listener, Sequence[Precedence]] = field(default_factory=dict)
    answers: Mapping[Listener, Listener] = field(default_factory=dict)  # where what is asked at the first is answered, if not there
    offices: Mapping[Party, Terms] = field(default_factory=dict)  # parties without one want nothing of their connections
    limit_terms: Sequence[tuple[Limit, Limit]] = ()  # a limit that stays, and the one whose numbers it takes over
    bulkhead_terms: Sequence[tuple[Bulkhead, Bulkhead]] = ()
    quota_terms: Sequence[tuple[Quota, Quota]] = ()  # likewise
    specs: Mapping[Party, Spec] = field(default_factory=dict)  # of parties that stay and read their telegrams by another one
    whole: Mapping[Party, frozenset[str]] = field(default_factory=dict)  # messages that are kept whole


@dataclass
class Parted:
    """Whose connections have to be ended, now that the switch gives them nothing more."""

    services: list[Service] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    links: list[Peer] = field(default_factory=list)  # of services that stay


def carry_out(switch: Switch, change: Change, now: float) -> Parted:
    """Be as the change says, from this step on."""
    parted = Parted()
    parted.services = [each for name, each in switch.services.items() if change.services.get(name) is not each]
    parted.listeners = [each for name, each in switch.listeners.items() if change.listeners.get(name) is not each]
    switch.parting += [*parted.services, *parted.listeners]
    switch.services, switch.listeners = dict(change.services), dict(change.listeners)
    for kept, other in change.limit_terms:
        kept.adopt(other)
    for bulkhead, wider in change.bulkhead_terms:
        bulkhead.adopt(wider)
    for quota, numbers in change.quota_terms:
        quota.adopt(numbers)
    for name, terms in change.service_terms.items():
        parted.links += _adopt_service(switch, switch.services[name], terms)
    for service in switch.services.values():
        service.register.adopt(service.policy.timeout, service.policy.tombstone, service.policy.tombstones)
    for name, policy in change.listener_terms.items():
        _adopt_listener(switch.listeners[name], policy)
    parties: list[Party] = [*switch.listeners.values(), *switch.services.values()]
    for party in parties:
        switch.conductor.adopt(party, change.offices.get(party), now)
    referred = open_entries(switch)
    counted = {limit for listener in [*switch.listeners.values(), *parted.listeners] for limit in listener.limits}
    for listener in switch.listeners.values():
        listener.limits = change.limits.get(listener, ())
        listener.precedence = change.precedence.get(listener, ())
        listener.answers_to = change.answers.get(listener)
        listener.aside = listener.answers_to is not None
        listener.gives = listener in change.answers.values()
        for session in listener.sessions if listener.gives else ():
            introduce(listener, session)
    for party, spec in change.specs.items():
        party.follow(spec)
    for party in parties:
        party.whole = change.whole.get(party, frozenset())
        reroute(party, change.tables.get(party) or RouteTable(party.spec, ()), referred)
    for limit in counted.difference(*(listener.limits for listener in switch.listeners.values())):
        limit.forget()
    spread(switch)
    for service in switch.services.values():
        service.arrange(any(_arranges(party, service) for party in parties), now)
    for name in change.service_terms:
        switch.elect(switch.services[name], now)
    switch.conductor.keep_hours(now)
    return parted


def reroute(party: Party, table: RouteTable, referred: set[Entry]) -> None:
    """Route by this table from now on, though peers are connected and have requests open."""
    former, places = list(party.routes.targets), _Places()
    table.order_as([places[target] for target in former])
    party.set_routes(table, referred)
    limits = party.lane_limits()
    same = [places[target] for target in former] == [places[target] for target in table.targets]
    replaced = any(one is not other for one, other in zip(former, table.targets, strict=False))
    for peer in party.peers:  # there may be thousands, and the step that this is part of is felt by all of them
        if not same or len(peer.lanes) != len(limits) or peer.lanes[0].room != limits[0]:
            peer.lanes = lanes(peer, table, limits, places)
        if replaced or not same:
            for lane, target in zip(peer.lanes, table.targets, strict=False):
                lane.target = target
        if peer.barred:
            peer.bar(barred=True)


class _Places(dict[Target, tuple[str, str]]):
    """What targets are called, worked out once for each."""

    def __missing__(self, target: Target) -> tuple[str, str]:
        self[target] = place_of(target)
        return self[target]


def _arranges(party: Party, service: Service) -> bool:
    """Whether what leads from there to the service is not all of one class, or may have to wait for its time."""
    routes = [route for route in party.routes.routes if route.target is service]
    rules = [rule for rule in party.precedence if not rule.services or service.name in rule.services]
    delaying = [limit for limit in party.limits if limit.delays and (not limit.services or service.name in limit.services)]
    return any(route.rank != NORMAL for route in routes) or bool(routes and (rules or delaying))


def lanes(peer: Peer, table: RouteTable, limits: Sequence[int], places: Mapping[Target, tuple[str, str]]) -> list[Lane]:
    """The peer's lanes by this table's targets, and behind them those of other targets as long as something is open there."""
    known = {places[lane.target]: lane for lane in peer.lanes if lane.target is not None}
    out = []
    for index, limit in enumerate(limits):
        target = table.targets[index] if table.targets else None
        lane = known.pop(places[target], None) if target is not None else None
        if lane is None:
            lane = Lane(limit, target)
        lane.limit = lane.room = limit
        out.append(lane)
    nowhere = [lane for lane in peer.lanes if lane.target is None]
    return [*out, *(lane for lane in (*known.values(), *nowhere) if lane.open or lane.reserved)]


def open_entries(switch: Switch) -> set[Entry]:
    """What open exchanges were found to lead to."""
    found = {exchange.entry for register in switch.registers for exchange in register.pending.values()}
    for party in switch.parties():
        found |= {exchange.entry for peer in party.peers for exchange in peer.oneway}
        if isinstance(party, Service):
            found |= {exchange.entry for exchange in party.waiting}
    return found


def vanish(switch: Switch, party: Party) -> None:
    """Nothing is connected with it and nothing is open there any more."""
    switch.parting.remove(party)
    again = switch.services.get(party.name) if isinstance(party, Service) else switch.listeners.get(party.name)
    if again is None:
        target = place_of(party) if isinstance(party, Service) else ("Audience", party.name)
        for origin in switch.parties():
            origin.forget(target)


def finished(switch: Switch, party: Party) -> bool:
    """Nobody waits for this party any more, neither for an answer nor in its queue."""
    if isinstance(party, Service) and (party.waiting or any(link.load or link.open or link.outbox for link in party.peers)):
        return False
    return not any(_concerns(exchange.entry, party) for exchange in party.register.pending.values())


def is_busy(link: Peer) -> bool:
    """Whether closing this link would lose something: an answer that it owes or is owed, or what is not written yet."""
    if link.load or link.open or link.outbox:
        return True
    asked = link.register.pending.values() if link.register is not None and link.pair is not None else ()
    return any(link.answers_for(exchange.answerer) for exchange in asked)


def _concerns(entry: Entry, party: Party) -> bool:
    return entry.target is party or getattr(entry.target, "listener", None) is party


def _adopt_service(switch: Switch, service: Service, terms: ServiceTerms) -> list[Peer]:
    policy = terms.policy
    service.policy = policy
    service.trouble = policy.failure_when
    service.pool.adopt(policy.ejection, policy.failover)
    service.pool.require(policy.links_min)
    if terms.balance is not None:
        service.balance = terms.balance
    gone = service.pool.arrange(terms.backends) if terms.backends is not None else []
    links = [link for backend in gone for link in list(backend.links)]
    links += [half for half in service.halves if half.backend in gone]
    for link in links:
        switch.retire(link)
    return links


def _adopt_listener(listener: Listener, policy: ListenerPolicy) -> None:
    listener.policy = policy
    listener.register.adopt(policy.timeout, policy.tombstone, policy.tombstones)
    for session in listener.sessions:
        session.limit = policy.open_exchanges
        _unbind(listener, session)


def _unbind(listener: Listener, session: Peer) -> None:
    """Who may no longer speak for an owner does not, though it did before."""
    allowed = listener.policy.owners
    for owner in list(session.owners):
        if allowed is not None and not session.identity & allowed.get(owner, frozenset()):
            session.owners.discard(owner)
            sessions = listener.by_owner.get(owner, {})
            sessions.pop(session, None)
            if not sessions:
                listener.by_owner.pop(owner, None)
