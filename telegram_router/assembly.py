"""The switch that a plan describes: listeners, services, routes and their policies. Nobody is connected yet."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from telegram_router import plan as planning
from telegram_router.config import HandlerService, Health, HttpService, Limit, Settings, TelegramService
from telegram_router.plan import Plan
from telegram_router.routing import Audience, Kind, Listener, ListenerPolicy, Route, RouteTable, Service, ServicePolicy, Switch
from telegram_router.routing.backends import Ejection, Failover
from telegram_router.routing.balance import Balance, First, HashRing, LeastOutstanding, RoundRobin
from telegram_router.routing.limits import Limit as Counted
from telegram_router.routing.limits import part
from telegram_router.routing.routes import Test
from telegram_router.telegrams import Spec
from telegram_router.wire.http_link import HttpPolicy
from telegram_router.wire.probes import ProbePolicy


def build_switch(plan: Plan) -> Switch:
    """The switch with its listeners, services and routes; nobody is connected yet."""
    config = plan.config
    switch = Switch()
    targets: dict[tuple[str, str], Service | Audience] = {}
    for name, service in config.services.items():
        spec = plan.specs[config.spec_of(name)]
        built = Service(name, Kind(service.kind), spec, _service_policy(service, plan.trouble.get(name, {})))
        built.balance = _balance(service, spec)
        built.pool.chance = random.random
        if isinstance(service, TelegramService):
            for backend in service.backends:
                built.pool.declare(str(backend.address), backend.weight, backend.priority)
        switch.services[name] = targets["service", name] = built
    for name, listener in config.listeners.items():
        spec = plan.specs[listener.spec]
        owners = (
            {
                owner.encode(spec.encoding).ljust(spec.owner.stop - spec.owner.start): frozenset(names)
                for owner, names in listener.owners.items()
            }
            if spec.owner
            else {}
        )
        policy = ListenerPolicy(listener.open_exchanges, listener.timeout, owners=owners or None)
        switch.listeners[name] = Listener(name, spec, policy)
        targets["listener", name] = Audience(switch.listeners[name])
    routes: dict[tuple[str, str], list[Route]] = {}
    for place, route in enumerate(config.routes):
        target = targets[route.target]
        full = route.validation == "full" or (isinstance(target, Service) and target.kind is not Kind.TELEGRAM)
        for source in route.sources:
            each = Route(route.name or f"routes.{place}", plan.tests.get(place, {}), target, full)
            routes.setdefault(source, []).append(each)
    limits = [_limits(name, limit, plan) for name, limit in config.limits.items()]
    for name, counting in switch.listeners.items():
        counting.limits = [counted[name] for counted in limits if name in counted]
    for (kind, name), built_routes in routes.items():
        origin = switch.listeners[name] if kind == "listener" else switch.services[name]
        origin.set_routes(RouteTable(origin.spec, built_routes))
    return switch


def _service_policy(service: TelegramService | HttpService | HandlerService, trouble: Mapping[str, Test]) -> ServicePolicy:
    most = 1
    in_flight = 256
    if isinstance(service, TelegramService):
        most, in_flight = service.links * len(service.backends), service.in_flight
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
        ejection=Ejection(**_settings(service.ejection, but="failure_when")) if service.ejection is not None else None,
        failover=Failover(**_settings(service.failover)),
        failure_when=trouble,
    )


def _limits(name: str, limit: Limit, plan: Plan) -> dict[str, Counted]:
    """The limit as each of its listeners counts it: listeners of one spec together, since keys are bytes of a header."""
    by_spec: dict[str, Counted] = {}
    found = {}
    for listener, settings in plan.config.listeners.items():
        if not limit.listener or listener in limit.listener:
            spec = plan.specs[settings.spec]
            if spec.name not in by_spec:
                parts = [part(each, spec) for each in limit.key]
                burst = limit.burst if limit.burst is not None else limit.rate
                passes = limit.on_missing_key == "pass"
                by_spec[spec.name] = Counted(name, limit.rate / limit.per, burst, parts, frozenset(limit.service), passes)
            found[listener] = by_spec[spec.name]
    return found


def _settings(table: Settings, but: str = "") -> dict[str, Any]:
    """The keys of a configuration table whose policy has the same names."""
    return {name: value for name, value in table if name != but}


def _balance(service: TelegramService | HttpService | HandlerService, spec: Spec) -> Balance:
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
