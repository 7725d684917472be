"""The tasks around one service of the switch: links that are kept, probes, connections or calls. Changed while they run."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import trio

from telegram_router import plan as planning
from telegram_router.assembly import http_policy, probe_policy
from telegram_router.config import HandlerService, HttpService, TelegramService
from telegram_router.plan import Plan
from telegram_router.routing import Pair, Peer, Service
from telegram_router.standby import Standby
from telegram_router.wire.connection import Limits
from telegram_router.wire.handlers import HandlerCaller
from telegram_router.wire.http_link import HttpPool
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.links import Backend, Half, LinkKeeper, Outcomes, Pauses
from telegram_router.wire.probes import Prober

HTTP_PAUSES = (0.1, 5.0)  # between attempts to connect while requests wait, seconds

AnyService = TelegramService | HttpService | HandlerService


@dataclass(frozen=True)
class Surroundings:
    """What all of them work with."""

    hub: Hub
    outcomes: dict[tuple[str, str], Outcomes]
    nursery: trio.Nursery
    log: Log
    standby: Standby

    def start(self, work: Callable[[], Awaitable[None]]) -> trio.CancelScope:
        """Have it run until it is cancelled by the scope that this returns."""
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await work()

        self.nursery.start_soon(run)
        return scope


class Serving:
    """Whatever works for a service. `settings` and `plan` are those of the configuration."""

    def __init__(self, around: Surroundings, service: Service) -> None:
        self.around = around
        self.service = service

    def adopt(self, settings: AnyService, plan: Plan) -> list[Peer]:
        """Work by these from now on. Returns the links that are given up without their backend being so."""
        raise NotImplementedError

    def end(self) -> None:
        """Begin nothing more; what is there may still be used."""

    def close(self, now: float) -> None:
        """Nothing is there any more."""


def work_for(around: Surroundings, service: Service, settings: AnyService, plan: Plan) -> Serving:
    """Begin to work for a service."""
    kinds: dict[type[AnyService], type[Serving]] = {TelegramService: TelegramServing, HttpService: HttpServing, HandlerService: Handling}
    serving = kinds[type(settings)](around, service)
    serving.adopt(settings, plan)
    return serving


class Handling(Serving):
    """Calls a Python function."""

    caller: HandlerCaller | None = None

    def adopt(self, settings: AnyService, plan: Plan) -> list[Peer]:
        if self.caller is None:
            handler = plan.handlers[self.service.name]
            self.caller = HandlerCaller(self.around.hub, self.service, handler, self.around.nursery, self.around.log)
            self.caller.start()
        return []

    def close(self, now: float) -> None:
        if self.caller is not None:
            self.caller.end(now)


class _Probing(Serving):
    """Probes the backends of a service."""

    def __init__(self, around: Surroundings, service: Service) -> None:
        super().__init__(around, service)
        self._probers: dict[str, tuple[Prober, trio.CancelScope]] = {}
        self._probed_by: object = None

    def probe(self, settings: TelegramService | HttpService, backends: dict[str, Backend]) -> None:
        standing_by = self.around.standby.holds(self.service.name)
        policy = probe_policy(settings.health, settings) if settings.health is not None and not standing_by else None
        if policy != self._probed_by:
            self.end_probes(set())
            self._probed_by = policy
        self.end_probes(set(backends))
        for name, backend in backends.items():
            if policy is None:
                self.forget_health(name)
            elif name in self._probers:
                self._probers[name][0].adopt(backend)
            else:
                prober = Prober(self.around.hub, self.service, backend, policy, random.random)
                self._probers[name] = prober, self.around.start(prober.run)

    def forget_health(self, name: str) -> None:
        """Nobody asks any more whether it is there: what was found last says nothing tomorrow."""
        self.service.pool.forget_health(name)

    def end_probes(self, but: set[str]) -> None:
        for name in [each for each in self._probers if each not in but]:
            prober, scope = self._probers.pop(name)
            prober.end()
            scope.cancel()

    def end(self) -> None:
        self.end_probes(set())

    def backends(self, settings: TelegramService | HttpService, plan: Plan) -> dict[str, Backend]:
        """Its addresses, and how each is dialled."""
        tls = plan.client_tls.get(self.service.name)
        server_name = settings.tls.server_name if settings.tls is not None else None
        dialled = partial(Backend, connect_timeout=settings.connect_timeout, tls=tls, server_name=server_name, keepalive=settings.keepalive)
        dialled = partial(dialled, source=settings.source.host if settings.source is not None else None)
        if isinstance(settings, TelegramService):
            dialled = partial(dialled, write_timeout=settings.write_timeout)
        made = [dialled(host, port) for host, port in planning.backends_of(settings)]
        return {backend.name: backend for backend in made}

    def outcomes(self, backend: str) -> Outcomes:
        return self.around.outcomes.setdefault((self.service.name, backend), Outcomes())


class HttpServing(_Probing):
    """Asks an HTTP service."""

    pool: HttpPool | None = None

    def adopt(self, settings: AnyService, plan: Plan) -> list[Peer]:
        assert isinstance(settings, HttpService)
        backends = self.backends(settings, plan)
        self.probe(settings, backends)
        [(name, backend)] = backends.items()
        if self.pool is None:
            pauses = Pauses(*HTTP_PAUSES, random.random)
            mapping = plan.mappings[self.service.name]
            around = self.around
            self.pool = HttpPool(
                around.hub, self.service, backend, http_policy(settings), mapping, self.outcomes(name), pauses, around.nursery, around.log
            )
            self.pool.start()
        else:
            self.pool.adopt(backend)
        return []

    def close(self, now: float) -> None:
        if self.pool is not None:
            self.pool.end()
            self.around.hub.handlers.pop(self.service, None)


Kept = list[tuple[LinkKeeper, trio.CancelScope]]  # what keeps one link: one connection, or the two of a pair


class TelegramServing(_Probing):
    """Keeps links with hosts."""

    def __init__(self, around: Surroundings, service: Service) -> None:
        super().__init__(around, service)
        self._keepers: dict[str, list[Kept]] = {}  # by backend; each of its links
        self._replies: dict[str, str] = {}  # by backend: where its replies come from, if from another connection

    def adopt(self, settings: AnyService, plan: Plan) -> list[Peer]:
        assert isinstance(settings, TelegramService)
        backends = self.backends(settings, plan)
        self.probe(settings, backends)
        wanted = 0 if self.around.standby.holds(self.service.name) else settings.links
        for name in [each for each in self._keepers if each not in backends]:
            self._keep(name, 0)
            del self._keepers[name]
            self.around.outcomes.pop((self.service.name, name), None)
        replies = self._reply_addresses(settings, backends)
        moved = [name for name in backends if self._replies.get(name) != (replies[name].name if name in replies else None)]
        surplus = [link for name in backends for link in self._keep(name, 0 if name in moved else wanted)]
        for gone in set(self._replies.values()) - {each.name for each in replies.values()}:
            self.around.outcomes.pop((self.service.name, gone), None)
        self._replies = {name: each.name for name, each in replies.items()}
        limits = Limits(settings.frame_timeout, settings.write_timeout, settings.connect_timeout, max_frame=settings.max_frame)
        for name, backend in backends.items():
            kept = self._keepers.setdefault(name, [])
            ports = settings.source.ports if settings.source is not None and settings.source.ports else [0] * settings.links
            # The fixed ports are those of the connections that carry requests.
            circuits = [[replace(backend, source_port=port), *([replies[name]] if name in replies else [])] for port in ports]
            for keepers, circuit in zip(kept, circuits, strict=False):
                for (keeper, _), address in zip(keepers, circuit, strict=True):
                    keeper.adopt(address, limits, self._pauses(settings))
            while len(kept) < wanted:
                kept.append(self._begin(name, circuits[len(kept)], limits, settings))
        return surplus

    def _begin(self, name: str, dialled: list[Backend], limits: Limits, settings: TelegramService) -> Kept:
        """Keep one more link with a backend: one connection, or the two of a pair."""
        pair = Pair()
        kept = []
        for place, address in enumerate(dialled):
            half = Half(pair, name, for_replies=place == 1) if len(dialled) > 1 else None
            keeper = LinkKeeper(
                self.around.hub, self.service, address, limits, self._pauses(settings), self.outcomes(address.name), self.around.log, half
            )
            kept.append((keeper, self.around.start(keeper.run)))
        return kept

    @staticmethod
    def _reply_addresses(settings: TelegramService, backends: dict[str, Backend]) -> dict[str, Backend]:
        """Where the second connection of each pair is dialled, by the name of the backend."""
        known = [(str(each.address), each.replies) for each in settings.backends]
        return {name: replace(backends[name], host=other.host, port=other.port) for name, other in known if other is not None}

    @staticmethod
    def _pauses(settings: TelegramService) -> Pauses:
        return Pauses(settings.reconnect_min, settings.reconnect_max, random.random)

    def _keep(self, name: str, count: int) -> list[Peer]:
        """No more than so many links. Returns the connections of those that are too many."""
        kept = self._keepers.get(name, [])
        too_many = [each for keepers in kept[count:] for each in keepers]
        kept[count:] = []
        links = [keeper.end() for keeper, _ in too_many]
        for _, scope in too_many:
            scope.cancel()
        return [link for link in links if link is not None]

    def end(self) -> None:
        super().end()
        for name in self._keepers:
            self._keep(name, 0)
