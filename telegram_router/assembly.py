"""The switch that a plan describes: listeners, services, routes and their policies. Nobody is connected yet.

A switch at work becomes what another plan describes by the same way: `prepare` makes the difference, `carry_out` puts it into effect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any, TypeVar

from telegram_router import plan as planning
from telegram_router.config import HandlerService, Health, HttpService, Limit, Priority, Quota, Settings, TelegramService
from telegram_router.config import Listener as ListenerSettings
from telegram_router.config import Route as RouteSettings
from telegram_router.offices import terms_of
from telegram_router.plan import Plan
from telegram_router.routing import Audience, Kind, Listener, ListenerPolicy, Mode, Route, RouteTable, Service, ServicePolicy, Switch
from telegram_router.routing.backends import Ejection, Failover
from telegram_router.routing.balance import Balance, First, HashRing, LeastOutstanding, RoundRobin
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.changing import Change, ServiceTerms, carry_out
from telegram_router.routing.classes import CLASSES, Fits, Precedence, of_addresses, of_certificates, of_field
from telegram_router.routing.conducting import Terms
from telegram_router.routing.limits import ByKey, part
from telegram_router.routing.limits import Limit as Counted
from telegram_router.routing.quotas import Quota as CalendarQuota
from telegram_router.routing.quotas import amounts_of, finest_digit, speller
from telegram_router.routing.routes import BodyTest, Score, Test, place_of
from telegram_router.routing.split import Split
from telegram_router.routing.usage import whole_messages
from telegram_router.telegrams import Spec
from telegram_router.telegrams.succession import obstacle
from telegram_router.wire.http_link import HttpPolicy
from telegram_router.wire.probes import ProbePolicy

AnyService = TelegramService | HttpService | HandlerService
Declared = list[tuple[str, float, int]]  # backends: name, weight, priority

# What may change of a service while it keeps its links. Anything else makes it another service of the same name.
ADJUSTABLE = {
    *("balance", "balance_field", "ejection", "failover", "timeout", "connect_timeout", "pending", "pending_timeout", "tombstone"),
    *("tombstones", "backends", "health", "links", "in_flight", "max_frame", "frame_timeout", "write_timeout", "reconnect_min"),
    *("reconnect_max", "connections", "concurrency", "poison_grace", "keepalive", "source", "backend_in_flight", "max_attempts"),
    *("listen", "links_min", "standby"),
    *("conduct", "calendar"),
    "spec",  # specs are held against each other as they are
}


def build_switch(plan: Plan) -> Switch:
    """The switch with its listeners, services and routes; nobody is connected yet."""
    switch = Switch()
    carry_out(switch, prepare(plan, switch), 0.0)
    return switch


def prepare(plan: Plan, switch: Switch, before: Plan | None = None) -> Change:
    """What makes of a switch that works by the plan `before` one that works by `plan`. Nothing of the switch is changed yet."""
    services, service_terms = _services(plan, switch, before)
    listeners, listener_terms = _listeners(plan, switch, before)
    limits, limit_terms = _all_limits(plan, listeners, before, Counted, _rate)
    bulkheads, bulkhead_terms = _all_limits(plan, listeners, before, Bulkhead, _bulkhead)
    specs = _specs(plan, services, listeners)
    quotas, quota_terms = _all_quotas(plan, listeners, before)
    counted: dict[Listener, list[ByKey]] = {
        each: [*bulkheads.get(each, ()), *limits.get(each, ()), *quotas.get(each, ())] for each in listeners.values()
    }
    tables = _tables(plan, services, listeners, switch, specs)
    precedence = _precedence(plan, listeners)
    changed = {party: spec for party, spec in specs.items() if party.spec is not spec}
    return Change(
        services,
        listeners,
        service_terms,
        listener_terms,
        tables,
        limits=counted,
        precedence=precedence,
        offices=_offices(plan, specs),
        answers={each: listeners[to] for name, each in listeners.items() if (to := plan.config.listeners[name].answers_to) is not None},
        limit_terms=limit_terms,
        bulkhead_terms=bulkhead_terms,
        quota_terms=quota_terms,
        specs=changed,
        whole=_whole(plan, listeners, specs),
    )


def _specs(plan: Plan, services: dict[str, Service], listeners: dict[str, Listener]) -> dict[Service | Listener, Spec]:
    """By which spec each will read its telegrams."""
    found: dict[Service | Listener, Spec] = {each: plan.specs[plan.config.listeners[name].spec] for name, each in listeners.items()}
    return found | {each: _spec(plan, name) for name, each in services.items()}


# --- services and listeners ---------------------------------------------------------------------------------------------


def keeps_service(before: Plan | None, plan: Plan, name: str) -> bool:
    """Whether the service of that name stays, with its links and all it knows."""
    old = before.config.services.get(name) if before is not None else None
    new = plan.config.services.get(name)
    if before is None or old is None or new is None or type(old) is not type(new) or not _keeps_spec(before, plan, name, new):
        return False
    if isinstance(new, HttpService) and before.mappings[name].messages != plan.mappings[name].messages:
        return False
    return _settings(old, ADJUSTABLE) == _settings(new, ADJUSTABLE)


def _keeps_spec(before: Plan, plan: Plan, name: str, settings: AnyService) -> bool:
    """Whether it speaks the same spec. Links go on with the changed text of one; a mapping or a handler was made for the former text."""
    if isinstance(settings, TelegramService):
        return before.spoken[name] == plan.spoken[name]
    return _spec(before, name) is _spec(plan, name)


def keeps_listener(before: Plan | None, plan: Plan, name: str) -> bool:
    """Whether the listener of that name stays, with its sessions."""
    old = before.config.listeners.get(name) if before is not None else None
    new = plan.config.listeners.get(name)
    return old is not None and new is not None and old.spec == new.spec


def _services(plan: Plan, switch: Switch, before: Plan | None) -> tuple[dict[str, Service], dict[str, ServiceTerms]]:
    services, terms = {}, {}
    for name, settings in plan.config.services.items():
        spec = _spec(plan, name)
        policy = _service_policy(settings, plan.trouble.get(name, {}))
        if before is not None and keeps_service(before, plan, name):
            services[name] = switch.services[name]
            old = before.config.services[name]
            rebalanced = _balancing(settings) != _balancing(old)
            backends = _as_ordered(declared(settings), declared(old), services[name])
            terms[name] = ServiceTerms(policy, _balance(settings, spec) if rebalanced else None, backends)
        else:
            services[name] = _service(name, settings, spec, policy, _former(switch, name))
    return services, terms


def _service(name: str, settings: AnyService, spec: Spec, policy: ServicePolicy, former: Service | None) -> Service:
    built = Service(name, Kind(settings.kind), spec, policy)
    built.balance = _balance(settings, spec)
    built.pool.chance = random.random
    built.pool.arrange(declared(settings) or ())
    if former is not None and not obstacle(former.spec, spec) and former.register.is_like(built.register):
        built.register = former.register  # keys stay reserved, numbers go on
    return built


def _former(switch: Switch, name: str) -> Service | None:
    """The service that has that name, or had it and has keys reserved."""
    parting = [each for each in switch.parting if isinstance(each, Service) and each.name == name]
    return switch.services.get(name) or (parting[-1] if parting else None)


def _listeners(plan: Plan, switch: Switch, before: Plan | None) -> tuple[dict[str, Listener], dict[str, ListenerPolicy]]:
    listeners, terms = {}, {}
    for name, settings in plan.config.listeners.items():
        policy = _listener_policy(settings, plan.specs[settings.spec])
        if keeps_listener(before, plan, name):
            listeners[name], terms[name] = switch.listeners[name], policy
        else:
            listeners[name] = Listener(name, plan.specs[settings.spec], policy)
            Audience(listeners[name])
    return listeners, terms


def _offices(plan: Plan, specs: dict[Service | Listener, Spec]) -> dict[Service | Listener, Terms]:
    config = plan.config
    found: dict[Service | Listener, Terms] = {}
    for party, spec in specs.items():
        settings = config.services[party.name] if isinstance(party, Service) else config.listeners[party.name]
        terms = terms_of(settings, spec, config.calendars)
        if terms is not None:
            found[party] = terms
    return found


def _spec(plan: Plan, service: str) -> Spec:
    return plan.specs[plan.spoken[service]]


def declared(service: AnyService) -> Declared | None:
    """The backends of a service that has several; the others know theirs by its links."""
    if not isinstance(service, TelegramService):
        return None
    return [(backend.known_as, backend.weight, backend.priority) for backend in service.backends]


def _as_ordered(new: Declared | None, old: Declared | None, service: Service) -> Declared | None:
    """Where the file says of a backend what it said before, the weight that an operator gave it stays."""
    said = {name: weight for name, weight, _ in old or ()}
    known = service.pool.backends
    if new is None:
        return None
    return [(name, known[name].weight if said.get(name) == weight and name in known else weight, level) for name, weight, level in new]


def _service_policy(service: AnyService, trouble: Mapping[str, Test]) -> ServicePolicy:
    most = 1
    in_flight = 256
    mode, grace = Mode.PIPELINED, service.timeout
    if isinstance(service, TelegramService):
        most, in_flight, mode = service.links * len(service.backends), service.in_flight, Mode(service.mode)
        grace = service.poison_grace if service.poison_grace is not None else service.timeout
    elif isinstance(service, HttpService):
        most = service.connections
    else:
        in_flight = service.concurrency
    return ServicePolicy(
        service.timeout,
        in_flight,
        service.pending,
        service.pending_timeout,
        service.tombstone,
        service.tombstones,
        most,
        links_min=service.links_min if isinstance(service, TelegramService) else 1,
        ejection=Ejection(**_settings(service.ejection, {"failure_when"})) if service.ejection is not None else None,
        failover=Failover(**_settings(service.failover)),
        failure_when=trouble,
        mode=mode,
        backend_in_flight=service.backend_in_flight if isinstance(service, TelegramService) else None,
        bounds=_bounds(service),
        max_attempts=service.max_attempts if isinstance(service, TelegramService) else 3,
        poison_grace=grace,
    )


def _bounds(service: AnyService) -> dict[str, int]:
    """What backends may have open that have a bound of their own."""
    backends = service.backends if isinstance(service, TelegramService) else ()
    return {str(each.address): each.in_flight for each in backends if each.in_flight is not None}


def _listener_policy(listener: ListenerSettings, spec: Spec) -> ListenerPolicy:
    owners = {}
    if spec.owner is not None:
        width = spec.owner.stop - spec.owner.start
        owners = {owner.encode(spec.encoding).ljust(width): frozenset(names) for owner, names in listener.owners.items()}
    return ListenerPolicy(listener.open_exchanges, listener.timeout, listener.unread, owners=owners or None)


# --- routes -------------------------------------------------------------------------------------------------------------


def _tables(
    plan: Plan,
    services: dict[str, Service],
    listeners: dict[str, Listener],
    switch: Switch,
    specs: Mapping[Service | Listener, Spec],
) -> dict[Service | Listener, RouteTable]:
    parties: dict[tuple[str, str], Service | Listener] = {("service", name): each for name, each in services.items()}
    parties |= {("listener", name): each for name, each in listeners.items()}
    former = {("service", name): each for name, each in switch.services.items()} | {
        ("listener", name): each for name, each in switch.listeners.items()
    }
    scores: dict[Service | Listener, dict[tuple[str, tuple[str, str]], Score]] = {}
    routes: dict[Service | Listener, list[Route]] = {}
    for place, route in enumerate(plan.config.routes):
        name = route.name or f"routes.{place}"
        for source in route.sources:
            origin = parties[source]
            if origin not in scores:
                scores[origin] = origin.scores if former.get(source) is origin else {}
            for made in _rules(plan, place, route, name, parties, specs[origin]):
                score = scores[origin].setdefault((name, place_of(made.target)), made.score)
                routes.setdefault(origin, []).append(replace(made, score=score))
    return {origin: RouteTable(specs[origin], built) for origin, built in routes.items()}


def _rules(
    plan: Plan, place: int, route: RouteSettings, name: str, parties: Mapping[tuple[str, str], Service | Listener], spec: Spec
) -> Iterator[Route]:
    """A route of the file as the rules that it stands for: one, or one for each value or share by which the service is chosen."""
    tests, body = plan.tests.get(place, {}), plan.body_tests.get(place, ())

    def rule(party: Service | Listener, more: tuple[BodyTest, ...] = (), *, split: Split | None = None, closed: bool = False) -> Route:
        target = party.audience if isinstance(party, Listener) else party
        assert target is not None
        full = route.validation == "full" or (isinstance(target, Service) and target.kind is not Kind.TELEGRAM)
        return Route(name, tests, target, full, body=(*body, *more), rank=CLASSES.index(route.urgency), split=split, closed=closed)

    if route.split:
        by = itemgetter(spec.header_slice(route.split_by)) if route.split_by is not None else spec.correlate
        split = Split(by, tuple(route.split.values()))
        for service in route.split:
            yield rule(parties["service", service], split=split)
        return

    if route.service_by is None:
        yield rule(parties[route.targets[0]])
        return
    last = list(route.service_by.services)[-1]
    for value, service in route.service_by.services.items():
        yield rule(parties["service", service], (plan.choices[place][value],), closed=value == last)


# --- limits -------------------------------------------------------------------------------------------------------------

B = TypeVar("B", Counted, Bulkhead)
Built = dict[Listener, list[B]]


def _all_limits(
    plan: Plan, listeners: dict[str, Listener], before: Plan | None, kind: type[B], build: Callable[[str, Limit, Spec], B | None]
) -> tuple[Built[B], list[tuple[B, B]]]:
    """The limits of one kind, for each listener. One of the same name, key and spec goes on counting, with other numbers."""
    found: Built[B] = {}
    taken_over: dict[B, B] = {}
    for name, limit in plan.config.limits.items():
        old = before.config.limits.get(name) if before is not None else None
        known = _counting(name, listeners, kind) if old is not None and old.key == limit.key else {}
        made: dict[str, B | None] = {}  # listeners of one spec count together, since keys are bytes of a header
        for listener in limit.listener or plan.config.listeners:
            spec = plan.specs[plan.config.listeners[listener].spec]
            if spec.name not in made:
                fresh = build(name, limit, spec)
                kept = known.get(spec.name) if fresh is not None else None
                if fresh is not None and kept is not None:
                    taken_over[kept] = fresh
                made[spec.name] = kept or fresh
            counted = made[spec.name]
            if counted is not None:
                found.setdefault(listeners[listener], []).append(counted)
    return found, list(taken_over.items())


def _counting(name: str, listeners: dict[str, Listener], kind: type[B]) -> dict[str, B]:
    """The limit of that name and kind that counts now, by spec."""
    found = ((each, limit) for each in listeners.values() for limit in each.limits if isinstance(limit, kind))
    return {each.spec.name: limit for each, limit in found if limit.name == name}


def _rate(name: str, limit: Limit, spec: Spec) -> Counted | None:
    if limit.rate is None:
        return None
    parts = [part(each, spec) for each in limit.key]
    burst = limit.burst if limit.burst is not None else limit.rate
    delay = limit.max_delay if limit.mode == "delay" else 0.0
    return Counted(name, limit.rate / limit.per, burst, parts, frozenset(limit.service), limit.on_missing_key == "pass", delay)


def _bulkhead(name: str, limit: Limit, spec: Spec) -> Bulkhead | None:
    if limit.in_flight is None:
        return None
    parts = [part(each, spec) for each in limit.key]
    return Bulkhead(name, limit.in_flight, parts, frozenset(limit.service), limit.on_missing_key == "pass")


Quotas = dict[Listener, list[CalendarQuota]]


def _all_quotas(
    plan: Plan, listeners: dict[str, Listener], before: Plan | None
) -> tuple[Quotas, list[tuple[CalendarQuota, CalendarQuota]]]:
    """The quotas of each listener. One that counts the same by the same goes on counting, with other numbers."""
    known = {(each.name, each.identity): each for each in quotas_of(listeners.values())} if before is not None else {}
    found: Quotas = {}
    taken_over: dict[CalendarQuota, CalendarQuota] = {}
    for name, settings in plan.config.quotas.items():
        made: dict[str, CalendarQuota] = {}
        for listener in settings.listener or plan.config.listeners:
            spec = plan.specs[plan.config.listeners[listener].spec]
            if spec.name not in made:
                fresh = _quota(name, settings, spec)
                kept = known.get((name, fresh.identity))
                if kept is not None:
                    taken_over[kept] = fresh
                made[spec.name] = kept or fresh
            found.setdefault(listeners[listener], []).append(made[spec.name])
    return found, list(taken_over.items())


def _whole(
    plan: Plan, listeners: Mapping[str, Listener], specs: Mapping[Service | Listener, Spec]
) -> dict[Service | Listener, frozenset[str]]:
    """The messages of which usage looks at more than the header."""
    usage = plan.config.usage
    return {each: whole_messages(specs[each], usage.amount) for each in listeners.values()} if usage is not None else {}


def quotas_of(listeners: Iterable[Listener]) -> list[CalendarQuota]:
    """Each once, though several listeners share it."""
    return list(dict.fromkeys(limit for each in listeners for limit in each.limits if isinstance(limit, CalendarQuota)))


def _quota(name: str, settings: Quota, spec: Spec) -> CalendarQuota:
    amount = settings.amount
    return CalendarQuota(
        name,
        settings.limit if amount is None else settings.limit * 10 ** finest_digit(amount, spec),
        [part(each, spec) for each in settings.key],
        speller(settings.key, spec),
        frozenset(settings.service),
        settings.on_missing_key == "pass",
        amounts=amounts_of(amount, spec) if amount is not None else None,
        refuses=settings.on_store_failure == "closed",
        identity=" ".join([*settings.key, f"by {settings.period} of {settings.timezone}", amount or "requests", spec.name]),
    )


# --- classes ------------------------------------------------------------------------------------------------------------


def _precedence(plan: Plan, listeners: dict[str, Listener]) -> dict[Listener, list[Precedence]]:
    """Whose requests each listener takes for more urgent, or less, than others."""
    return {
        listener: [
            Precedence(
                rule, CLASSES.index(each.urgency), _fits(each, plan.specs[plan.config.listeners[name].spec]), frozenset(each.service)
            )
            for rule, each in plan.config.priorities.items()
            if not each.listener or name in each.listener
        ]
        for name, listener in listeners.items()
    }


def _fits(priority: Priority, spec: Spec) -> Fits:
    if priority.key == "certificate":
        return of_certificates(frozenset(priority.values))
    if priority.key == "address":
        return of_addresses(frozenset(priority.values))
    field = priority.key.removeprefix("header.")
    width = spec.header_fields[field][1]
    return of_field(spec.header_slice(field), frozenset(each.encode(spec.encoding).ljust(width) for each in priority.values))


# --- policies -----------------------------------------------------------------------------------------------------------


def _settings(table: Settings, but: set[str] | None = None) -> dict[str, Any]:
    """The keys of a configuration table whose policy has the same names."""
    return {name: value for name, value in table if name not in (but or ())}


def _balancing(service: AnyService) -> tuple[object, ...]:
    """What its balancing is made of; a ring has weights in it."""
    return service.balance, service.balance_field, declared(service)


def _balance(service: AnyService, spec: Spec) -> Balance:
    if service.balance == "hash":
        return HashRing(spec.header_slice(service.balance_field or ""))
    if service.balance == "round_robin":
        return RoundRobin()
    return First() if service.balance == "first" else LeastOutstanding()


def probe_policy(health: Health, service: TelegramService | HttpService) -> ProbePolicy:
    host = planning.host_header(service) if isinstance(service, HttpService) else ""
    return ProbePolicy(
        health.probe,
        health.interval,
        health.timeout,
        health.rise,
        health.fall,
        health.fast_interval,
        health.down_interval,
        health.path,
        host,
    )


def http_policy(service: HttpService) -> HttpPolicy:
    return HttpPolicy(
        service.url.target,
        planning.host_header(service),
        service.headers,
        frozenset(service.definite),
        service.max_header,
        service.max_body,
    )
