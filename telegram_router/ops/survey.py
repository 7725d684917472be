"""Reads the running router for the admin API: plain objects, taken in steps that hold nobody up."""

# Rules this file keeps, all of them tested:
#
# 1. Nothing is changed, except that counters are added up, as a scrape of the metrics does.
# 2. A step looks at most at STEP things, then other tasks get their turn; an answer has a bounded length.
# 3. Of telegrams nothing is shown but their clear key and correlation fields.

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import trio

from telegram_router import __version__
from telegram_router.config import Config, TelegramService
from telegram_router.config import Quota as QuotaSettings
from telegram_router.ops import answers
from telegram_router.routing import Listener, Peer, Service, Switch
from telegram_router.routing.backends import Backend
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.classes import CLASSES
from telegram_router.routing.exchange import Exchange, Register
from telegram_router.routing.limits import Limit
from telegram_router.routing.quotas import Quota
from telegram_router.routing.routes import Origin, Route
from telegram_router.storage.calendars import shown
from telegram_router.wire.connection import Connection, Stage
from telegram_router.wire.expiry import Expiry
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import Outcomes
from telegram_router.wire.listeners import Acceptor
from telegram_router.wire.telegram_connection import TelegramConnection

STEP = 200
LISTED = 2_000  # sessions or links of one answer
OLDEST = 1_000  # exchanges of one answer
MOST_USED = 20  # keys of one quota
DAY = 86_400

T = TypeVar("T")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Subject:
    """The router as the admin API sees it. What a reload replaces is asked for anew each time."""

    switch: Switch
    hub: Hub
    config: Callable[[], Config]
    acceptors: Callable[[], Mapping[str, Acceptor]]
    ends: Callable[[], Iterable[Expiry]]  # of certificates, CAs and revocation lists
    log_lines_dropped: Callable[[], int]
    started: Callable[[], bool]
    reload: Callable[[bool], Awaitable[Mapping[str, Any]]]  # a dry run? Returns what an answers.Reloaded holds
    reopen: Callable[[str], None]  # have a drained listener accept again. Raises RouterError E-CFG-09
    store: Callable[[], answers.StoreSeen | None]
    usage: Callable[[str | None, str | None, list[str]], Awaitable[answers.UsageSeen]]  # first and last day, and by what
    outcomes: Callable[[], Mapping[tuple[str, str], Outcomes]]  # of dialling, by service and backend
    spec_file: Callable[[str], Path | None]  # the file of a spec, by its name
    errors: Callable[[], Sequence[Mapping[str, Any]]]  # lines of the log with a code, the newest last
    errors_told: Callable[[], int]  # how many there were in all
    standing_by: Callable[[], tuple[str, list[str]]] = lambda: ("active", [])  # the whole router, and services on their own
    promote: Callable[[str | None], Awaitable[bool]] | None = None
    demote: Callable[[str | None], Awaitable[bool]] | None = None
    began: float = field(default_factory=time.time)

    @property
    def ready(self) -> bool:
        return self.steerable and self.standing_by()[0] == "active"

    @property
    def steerable(self) -> bool:
        return self.started() and not (self.switch.draining or self.hub.leaving)


async def in_steps(things: Sequence[T], make: Callable[[T], Made | None]) -> list[Made]:
    """What `make` makes of each, in steps. None is left out: a thing may have ended since it was listed."""
    made: list[Made] = []
    for start in range(0, len(things), STEP):
        if start:
            await trio.lowlevel.checkpoint()
        made += [one for one in map(make, things[start : start + STEP]) if one is not None]
    return made


# --- the whole


async def status(subject: Subject) -> answers.Status:
    switch, hub, config = subject.switch, subject.hub, subject.config()
    origins: list[Origin] = [*switch.listeners.values(), *switch.services.values()]
    for origin in origins:
        origin.add_up()
    sources = {id(origin): party(origin) for origin in origins}
    rows = [(sources[id(origin)], route, origin.routes.share_of(route)) for origin in origins for route in origin.routes.counted]
    routes = await in_steps(rows, _route)
    failed: dict[str, int] = {}
    for route in routes:
        failed[route.target] = failed.get(route.target, 0) + sum(route.failed.values())
    listeners = [_listener(listener, subject, config) for listener in switch.listeners.values() if listener.name in subject.acceptors()]
    services = []
    for service in list(switch.services.values()):
        dialled = partial(_dialled, subject, service)
        seen = partial(_backend, weights=configured(config, service), wanted=_wanted(config, service), dialled=dialled, held=_held(service))
        backends = await in_steps([*service.pool.backends.values()], seen)
        services.append(_service(service, backends, failed.get(f"service.{service.name}", 0)))
    return answers.Status(
        version=__version__,
        pid=os.getpid(),
        started_at=moment(subject.began),
        uptime_s=round(time.time() - subject.began, 3),
        ready=subject.ready,
        draining=switch.draining or subject.hub.leaving,
        open_exchanges=hub.unanswered,
        containments=hub.containments,
        slow_steps=hub.slow_steps,
        log_lines_dropped=subject.log_lines_dropped(),
        listeners=listeners,
        services=services,
        routes=routes,
        halted=[halted(place, message) for place, message in switch.halted],
        standby=subject.standing_by()[0],  # type: ignore[arg-type]
        standing_by=subject.standing_by()[1],
    )


def halted(place: str, message: str) -> answers.MessageHalted:
    """A message that is switched off at a place, as `routing.halting` names it."""
    kind, _, name = place.partition(".")
    return answers.MessageHalted(message, name if kind == "listener" else None, name if kind == "service" else None)


def party(origin: Origin) -> str:
    return f"{'service' if isinstance(origin, Service) else 'listener'}.{origin.name}"


def _listener(listener: Listener, subject: Subject, config: Config) -> answers.ListenerSeen:
    acceptor = subject.acceptors()[listener.name]
    settings = config.listeners.get(listener.name)
    host, port = acceptor.address
    return answers.ListenerSeen(
        name=listener.name,
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        spec=listener.spec.name,
        tls=settings is not None and settings.tls is not None,
        accepting=subject.ready and acceptor.accepting,
        sessions=acceptor.open,
        max_sessions=settings.max_sessions if settings is not None else 0,
        sessions_total=acceptor.total,
        turned_away=acceptor.turned_away,
        telegrams_received=sum(listener.received.values()) + listener.strangers,
        telegrams_sent=listener.frames_out,
        bytes_received=listener.bytes_in,
        bytes_sent=listener.bytes_out,
        refused=dict(listener.refused),
        halted=sorted(listener.halted),
        changed=["accepting"] if subject.ready and not acceptor.accepting else [],
        shut=listener.shut,
    )


def configured(config: Config, service: Service) -> dict[str, float]:
    """Weights as the file has them."""
    settings = config.services.get(service.name)
    backends = settings.backends if isinstance(settings, TelegramService) else ()
    return {each.known_as: each.weight for each in backends}


def _dialled(subject: Subject, service: Service, backend: Backend) -> tuple[Outcomes, float]:
    """What became of dialling it, and the time."""
    return subject.outcomes().get((service.name, backend.name)) or Outcomes(), subject.hub.clock()


def _backend(
    backend: Backend,
    weights: Mapping[str, float],
    wanted: int,
    dialled: Callable[[Backend], tuple[Outcomes, float]],
    held: Mapping[Backend, Mapping[str, int]],
) -> answers.BackendSeen:
    outcomes, now = dialled(backend)
    changed = ["admin"] if backend.admin.value != "ready" else []
    if backend.weight != weights.get(backend.name, 1):
        changed.append("weight")
    return answers.BackendSeen(
        name=backend.name,
        state=backend.state,  # type: ignore[arg-type]
        admin=backend.admin.value,
        health=backend.health.value,
        in_use=backend.in_use,
        weight=backend.weight,
        priority=backend.priority,
        links=len(backend.links),
        in_flight=sum(link.load for link in backend.links),
        answered=backend.answered,
        failed=backend.failed,
        changed=changed,
        links_wanted=wanted,
        attempts=outcomes.attempts,
        next_attempt_s=None if outcomes.next_at is None else round(max(0.0, outcomes.next_at - now), 3),
        last_end=outcomes.why,
        held=dict(held.get(backend, {})),
    )


def _held(service: Service) -> dict[Backend, Counter[str]]:
    """The connections of each backend that are given no requests, by why not."""
    found: dict[Backend, Counter[str]] = {}
    whys = [(link, _line(link)) for link in service.joining] + [(link, "half of a pair") for link in service.halves]
    whys += [(link, "in doubt" if link in service.spoiled else "leaving") for link in service.leaving]
    for link, why in whys:
        if link.backend is not None:
            found.setdefault(link.backend, Counter())[why] += 1
    return found


def _wanted(config: Config, service: Service) -> int:
    """Links that each of its backends should have; an HTTP service dials as it needs them."""
    settings = config.services.get(service.name)
    return settings.links if isinstance(settings, TelegramService) else 0


def backend_seen(subject: Subject, service: Service, backend: Backend) -> answers.BackendSeen:
    """One backend, after an order."""
    config = subject.config()
    return _backend(backend, configured(config, service), _wanted(config, service), partial(_dialled, subject, service), _held(service))


def _service(service: Service, backends: list[answers.BackendSeen], failed: int) -> answers.ServiceSeen:
    return answers.ServiceSeen(
        name=service.name,
        kind=service.kind.value,
        spec=service.spec.name,
        priority=service.pool.priority,
        failback=service.pool.failover.failback,
        in_flight=service.in_flight,
        pending=service.waiting.ready,
        answered=sum(service.latency.counts),
        failed=failed,
        overflow=service.overflow,
        late=service.late,
        delivery_unknown=service.unknown,
        latency_seconds=service.latency.seconds,
        latency_counts=list(service.latency.counts),
        halted=sorted(service.halted),
        backends=backends,
        shut=service.shut,
        waiting={rank: many for rank, many in zip(CLASSES, service.waiting.by_class(), strict=True) if many},
    )


def _route(row: tuple[str, Route, float]) -> answers.RouteSeen:
    source, route, share = row
    target = f"service.{route.target.name}" if isinstance(route.target, Service) else f"listener.{route.target.name}"
    return answers.RouteSeen(
        route.name, source, target, [*route.tests, *(test.path for test in route.body)], share, route.score.ok, dict(route.score.failed)
    )


# --- connections


async def sessions(subject: Subject) -> answers.Sessions:
    found = [each for each in subject.hub.connections.values() if isinstance(each, TelegramConnection) and each.is_session]
    now = subject.hub.clock()
    return answers.Sessions(len(found), await in_steps(found[:LISTED], lambda connection: _session(connection, now)))


def _session(connection: TelegramConnection, now: float) -> answers.SessionSeen | None:
    if connection.stage is Stage.CLOSED:
        return None
    peer = connection.peer
    return answers.SessionSeen(
        name=connection.name,
        listener=connection.name.rpartition("#")[0],
        state=connection.stage.name.lower(),
        address=peer.address if peer else "",
        certificate=sorted(peer.identity) if peer else [],
        age_s=round(now - connection.opened_at, 3),
        telegrams_received=connection.frames,
        open=peer.open if peer else 0,
        in_flight=peer.load if peer else 0,
        unwritten=peer.unwritten if peer else 0,
        paused=peer.paused if peer else False,
        owners=len(peer.owners) if peer else 0,
        line=_line(peer),
    )


async def links(subject: Subject) -> answers.Links:
    found = [each for each in subject.hub.connections.values() if not (isinstance(each, TelegramConnection) and each.is_session)]
    now = subject.hub.clock()
    return answers.Links(len(found), await in_steps(found[:LISTED], lambda connection: _link(connection, now)))


def _link(connection: Connection, now: float) -> answers.LinkSeen | None:
    if connection.stage is Stage.CLOSED:
        return None
    peer = connection.peer
    return answers.LinkSeen(
        name=connection.name,
        service=peer.group.name if peer else connection.name.rpartition("#")[0],
        backend=peer.backend_name if peer else "",
        state=connection.stage.name.lower(),
        in_use=peer.used if peer else False,
        age_s=round(now - connection.opened_at, 3),
        in_flight=peer.load if peer else 0,
        limit=peer.limit if peer else 0,
        unwritten=peer.unwritten if peer else 0,
        line=_line(peer),
    )


def _line(peer: Peer | None) -> str:
    """What the connection may be used for."""
    return "open" if peer is None or peer.standing is None else peer.standing.phase.value


# --- exchanges and limits


async def exchanges(subject: Subject) -> answers.Exchanges:
    switch = subject.switch
    registers = [*(each.register for each in switch.services.values()), *(each.register for each in switch.listeners.values())]
    total = sum(len(register.pending) for register in registers)
    found = oldest(registers, OLDEST)
    now = subject.hub.clock()
    return answers.Exchanges(total, await in_steps(found, lambda exchange: _exchange(exchange, now)))


def oldest(registers: Iterable[Register], count: int) -> list[Exchange]:
    """The oldest open exchanges of all registers, each of which has its own in order."""
    return list(islice(heapq.merge(*(register.pending.values() for register in registers), key=lambda each: each.at), count))


def _exchange(exchange: Exchange, now: float) -> answers.ExchangeSeen | None:
    if exchange.settled:
        return None
    entry, unsent = exchange.entry, exchange.unsent
    return answers.ExchangeSeen(
        age_s=round(now - exchange.at, 3),
        message=entry.message.name,
        telegram=exchange.asker.group.names(exchange.frame),
        route=entry.route.name if entry.route is not None else "",
        asker=exchange.asker.name,
        answerer=exchange.answerer.name if exchange.answerer is not None else None,
        target=entry.target.name,
        state="waiting" if exchange.answerer is None else "queued" if unsent else "sent",
        delivery="not_sent" if unsent else "sent_unknown",
    )


async def limits(subject: Subject) -> answers.Limits:
    """A limit that several listeners share is one; one that counts each spec by itself is shown once for each."""
    shared: dict[int, tuple[Limit | Bulkhead, list[str]]] = {}
    for name, listener in subject.switch.listeners.items():
        for limit in (each for each in listener.limits if isinstance(each, Limit | Bulkhead)):
            shared.setdefault(id(limit), (limit, []))[1].append(name)
    return answers.Limits([_limit(limit, names) for limit, names in shared.values()])


def _limit(limit: Limit | Bulkhead, listeners: list[str]) -> answers.LimitSeen:
    rate = limit if isinstance(limit, Limit) else None
    bulkhead = limit if isinstance(limit, Bulkhead) else None
    return answers.LimitSeen(
        name=limit.name,
        listeners=listeners,
        services=sorted(limit.services),
        rate=rate.rate if rate else None,
        burst=rate.burst if rate else None,
        max_delay_s=rate.max_delay if rate else 0.0,
        in_flight=bulkhead.most if bulkhead else None,
        keys=len(limit),
        refused=limit.refused,
        delayed=rate.delayed if rate else 0,
        open=bulkhead.open if bulkhead else 0,
    )


async def quotas(subject: Subject) -> answers.Quotas:
    """As limits: one that several listeners share is one."""
    shared: dict[Quota, list[str]] = {}
    for name, listener in subject.switch.listeners.items():
        for quota in (each for each in listener.limits if isinstance(each, Quota)):
            shared.setdefault(quota, []).append(name)
    settings = subject.config().quotas
    seen = []
    for quota, names in shared.items():
        if quota.name in settings:
            highest: list[tuple[str, int]] = []
            for found in quota.find_highest(MOST_USED):
                highest = found
                await trio.lowlevel.checkpoint()
            seen.append(_quota(quota, names, settings[quota.name], highest))
            await trio.lowlevel.checkpoint()
    return answers.Quotas(subject.store(), seen)


def _quota(quota: Quota, listeners: list[str], settings: QuotaSettings, highest: list[tuple[str, int]]) -> answers.QuotaSeen:
    zone = ZoneInfo(settings.timezone)
    return answers.QuotaSeen(
        name=quota.name,
        listeners=listeners,
        services=sorted(quota.services),
        counted_by=list(settings.key),
        amount=settings.amount,
        period=settings.period,
        timezone=settings.timezone,
        begins_at=shown(quota.window.begin, zone),
        ends_at=shown(quota.window.end, zone),
        limit=quota.most,
        keys=len(quota),
        used_ratio=round(quota.used_ratio, 6),
        refused=quota.refused,
        highest=[answers.QuotaKey(key, used) for key, used in highest],
    )


async def certificates(subject: Subject) -> answers.Certificates:
    """Everything that ends: of listeners and their names, of doors and links of backends, of the admin port; what ends first comes first."""
    now = time.time()
    known = sorted(subject.ends(), key=lambda each: each.ends)
    return answers.Certificates(
        [
            answers.CertificateSeen(each.used_by, each.kind, each.file, moment(each.ends), round((each.ends - now) / DAY, 2))
            for each in known
        ]
    )


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
