"""The whole router in few bytes, for who looks once a second: names once, then numbers in their order."""

# Rules this file keeps, all of them tested:
#
# 1. Names are sent when they are not those that the asker has; `shape` says which those are.
# 2. However many look, the router is looked at once in FRESH seconds, in steps that hold nobody up.

from __future__ import annotations

import time
from itertools import dropwhile

import trio

from telegram_router import __version__
from telegram_router.config import Config
from telegram_router.ops import answers
from telegram_router.ops.survey import Subject, configured, halted, in_steps, moment, party
from telegram_router.routing import Service
from telegram_router.routing.backends import Backend
from telegram_router.routing.routes import Route

FRESH = 0.5
Signature = tuple[Config, int, int, int, int]


class Overviews:
    """Makes them, and keeps the last one for the next asker."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._lock = trio.Lock()
        self._last: answers.Overview | None = None
        self._names: answers.Names | None = None
        self._taken = float("-inf")
        self._signature: Signature | None = None
        self._shape = int(subject.began * 1000) % 1_000_000_000  # so that a router started anew has another one
        self._seq = 0

    async def look(self, shape: int, role: answers.Role) -> answers.Overview:
        """As it is now, or was a moment ago; with names unless `shape` is that of the names."""
        async with self._lock:
            if self._last is None or self._subject.hub.clock() - self._taken >= FRESH:
                self._last = await self._look()
                self._taken = self._subject.hub.clock()
            found = answers.Overview(*(getattr(self._last, name) for name in answers.Overview.__struct_fields__))
            found.role = role
            found.names = None if shape == self._shape else self._names
            return found

    def forget(self) -> None:
        """Something has just been ordered: the next asker wants to see it."""
        self._taken = float("-inf")

    async def _look(self) -> answers.Overview:
        subject, switch, hub = self._subject, self._subject.switch, self._subject.hub
        config, acceptors = subject.config(), subject.acceptors()
        listeners = [one for one in switch.listeners.values() if one.name in acceptors]
        services = list(switch.services.values())
        origins = [*listeners, *services]
        for origin in origins:
            origin.add_up()
        routes = [(party(origin), route) for origin in origins for route in origin.routes.routes]
        backends = [(service, backend) for service in services for backend in service.pool.backends.values()]
        signature = (config, len(listeners), len(services), len(backends), len(routes))
        if self._signature is None or any(a is not b and a != b for a, b in zip(signature, self._signature, strict=True)):
            self._signature, self._shape = signature, self._shape + 1
            self._names = await self._name(config, routes)
        results = {"ok": 0}
        for origin in origins:
            for code, count in origin.refused.items():
                results[code] = results.get(code, 0) + count
        for _, route in routes:
            results["ok"] += route.score.ok
            for code, count in route.score.failed.items():
                results[code] = results.get(code, 0) + count
        self._seq += 1
        return answers.Overview(
            seq=self._seq,
            shape=self._shape,
            role="viewer",
            uptime_s=round(time.time() - subject.began, 3),
            ready=subject.ready,
            draining=switch.draining,
            open_exchanges=hub.unanswered,
            log_lines_dropped=subject.log_lines_dropped(),
            errors=subject.errors_told(),
            results=results,
            listeners=[
                [int(subject.ready and acceptors[one.name].accepting), acceptors[one.name].open, sum(one.received.values()) + one.strangers,
                 one.frames_out, sum(one.refused.values()), acceptors[one.name].turned_away] for one in listeners
            ],
            services=await in_steps(services, _service),
            backends=await in_steps(backends, _backend),
            routes=await in_steps(routes, lambda row: [row[1].score.ok, sum(row[1].score.failed.values())]),
            halted=[halted(place, message) for place, message in switch.halted],
            standby=subject.standing_by()[0],  # type: ignore[arg-type]
            standing_by=subject.standing_by()[1],
            names=None,
        )  # fmt: skip

    async def _name(self, config: Config, routes: list[tuple[str, Route]]) -> answers.Names:
        switch, acceptors = self._subject.switch, self._subject.acceptors()
        listeners = [
            [one.name, "{}:{}".format(*acceptors[one.name].address), one.spec.name]
            for one in switch.listeners.values()
            if one.name in acceptors
        ]
        services = list(switch.services.values())
        specs = {one.spec.name: one.spec for one in (*switch.listeners.values(), *services)}
        weights = {service.name: configured(config, service) for service in services}
        return answers.Names(
            version=__version__,
            started_at=moment(self._subject.began),
            listeners=listeners,
            services=[[service.name, service.kind.value, service.spec.name] for service in services],
            backends=[
                [place, backend.name, backend.priority, weights[service.name].get(backend.name, 1)]
                for place, service in enumerate(services)
                for backend in service.pool.backends.values()
            ],
            routes=await in_steps(routes, _route),
            specs={name: [one.name for one in spec.messages.values() if one.kind != "reply"] for name, spec in specs.items()},
        )


def _service(service: Service) -> list[int | list[int] | None]:
    counts = list(service.latency.counts)
    first = len(counts) - len(list(dropwhile(lambda count: not count, counts)))
    while counts and not counts[-1]:
        counts.pop()
    return [
        service.in_flight, len(service.waiting), sum(counts), service.overflow, service.late, service.unknown, service.pool.priority,
        [first, *counts[first:]],
    ]  # fmt: skip


def _backend(row: tuple[Service, Backend]) -> list[str | int | float]:
    _, backend = row
    load = sum(link.load for link in backend.links)
    return [
        backend.state, backend.admin.value, backend.health.value, int(backend.in_use), backend.weight, len(backend.links), load,
        backend.answered, backend.failed,
    ]  # fmt: skip


def _route(row: tuple[str, Route]) -> list[str | list[str]]:
    source, route = row
    kind = "service" if isinstance(route.target, Service) else "listener"
    return [route.name, source, f"{kind}.{route.target.name}", list(route.tests)]
