"""Joins the parts: the one file that knows everybody. From a plan to a running router."""

from __future__ import annotations

import gc
import random
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from telegram_router import __version__
from telegram_router import plan as planning
from telegram_router.assembly import build_switch, http_policy, probe_policy
from telegram_router.config import Address, Admin, Config, HandlerService, HttpService, TelegramService
from telegram_router.counts import families
from telegram_router.errors import RouterError
from telegram_router.ops import logs
from telegram_router.ops.metrics import Family
from telegram_router.plan import Plan
from telegram_router.wire.connection import Limits
from telegram_router.wire.handlers import HandlerCaller
from telegram_router.wire.http_link import HttpPool
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import Backend, LinkKeeper, Outcomes, Pauses
from telegram_router.wire.listeners import Acceptor, bind
from telegram_router.wire.poller import EpollPoller, Poller
from telegram_router.wire.probes import Prober
from telegram_router.wire.slow_steps import SlowSteps

EXIT_OK, EXIT_CUT, EXIT_CANNOT_BIND, EXIT_BUG, EXIT_CONFIG = 0, 1, 69, 70, 78
LOG_TICK = 1.0
HTTP_PAUSES = (0.1, 5.0)  # between attempts to connect while requests wait, seconds
GC_THRESHOLD = 50_000  # an exchange holds no cycle, so the collector finds nothing on the hot path


class Router:
    """A router built from a plan. `run` serves until it is told to stop and returns the exit code."""

    def __init__(self, plan: Plan, log: logs.Log, poller: Poller | None = None, clock: Callable[[], float] = trio.current_time) -> None:
        self.plan = plan
        self.log = log
        self.switch = build_switch(plan)
        self.hub = Hub(self.switch, poller or EpollPoller(), clock, log)
        self.acceptors: dict[str, Acceptor] = {}
        self.outcomes: dict[tuple[str, str], Outcomes] = {}
        self.metrics_address: Address | None = None  # where the endpoint really listens, once `run` has started
        self.admin_place: Address | Path | None = None  # likewise, of the admin API
        self.started = trio.Event()
        self._stop = trio.Event()
        self._stop_now = trio.Event()

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener really listens; known once `run` has started."""
        return {name: acceptor.address for name, acceptor in self.acceptors.items()}

    def stop(self) -> None:
        """Drain and end. Called again it ends at once."""
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
        """Serve. Raises RouterError E-CFG-09 when an address cannot be bound, before anything else is started."""
        config = self.plan.config
        self._bind(config)
        try:
            cut = await self._serve(config, task_status)
        finally:
            self._close_doors()
            self.hub.poller.close()
        (self.log.warning if cut else self.log.info)("stopped", cut=cut)
        return EXIT_CUT if cut else EXIT_OK

    async def _serve(self, config: Config, task_status: trio.TaskStatus[None]) -> int:
        cut = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_log)
            if config.metrics is not None:
                from telegram_router.ops.endpoint import serve_metrics  # a web server, 15 MiB: not for those who want none

                self.metrics_address = await nursery.start(serve_metrics, config.metrics.address, self.collect, self.log.bug)
            if config.admin is not None:
                await self._open_admin(config.admin, nursery)
            await nursery.start(self.hub.run)
            nursery.start_soon(self.hub.keep_time, self._shortest_time())
            for name, service in config.services.items():
                self._start_service(name, service, nursery)
            async with trio.open_nursery() as doors:
                for acceptor in self.acceptors.values():
                    doors.start_soon(acceptor.run)
                for warning in self.plan.warnings:
                    self.log.warning(
                        "config_warning", file=warning.file, line=warning.line, key=warning.key, what=warning.what, do=warning.do
                    )
                self.log.info(
                    "started",
                    listeners={name: f"{host}:{port}" for name, (host, port) in self.addresses.items()},
                    metrics=str(self.metrics_address) if self.metrics_address is not None else None,
                    admin=str(self.admin_place) if self.admin_place is not None else None,
                    version=__version__,
                )
                self.started.set()
                task_status.started()
                await self._stop.wait()
                doors.cancel_scope.cancel()
            self._close_doors()
            self.log.info("draining", patience_s=config.drain)
            cut = await self._drain(config.drain)
            self.hub.stop()
            nursery.cancel_scope.cancel()
        return cut

    async def _open_admin(self, settings: Admin, nursery: trio.Nursery) -> None:
        from telegram_router.ops.admin import serve_admin  # as above
        from telegram_router.ops.survey import Subject

        subject = Subject(
            self.switch, self.hub, lambda: self.plan.config, lambda: self.acceptors, lambda: self.plan.expires,
            lambda: self.log.dropped, self.started.is_set,
        )  # fmt: skip
        place = settings.address or self.plan.folder / (settings.socket or "")
        self.admin_place = await nursery.start(serve_admin, place, subject, lambda: self.plan.admin_token, self.log)

    async def _keep_log(self) -> None:
        """Lines that were dropped are told of, and lines that wait are written, though nothing else happens."""
        while True:
            await trio.sleep(LOG_TICK)
            self.log.tick()

    async def _drain(self, patience: float) -> int:
        cut = -1
        async with trio.open_nursery() as nursery:

            async def hurry() -> None:
                await self._stop_now.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(hurry)
            cut = await self.hub.drain(patience)
            nursery.cancel_scope.cancel()
        return cut if cut >= 0 else self.hub.unanswered

    def _bind(self, config: Config) -> None:
        bound: list[socket.socket] = []
        for name, listener in config.listeners.items():
            try:
                bound.append(bind(listener.address.host, listener.address.port))
            except RouterError:
                for sock in bound:
                    sock.close()
                raise
            limits = Limits(listener.frame_timeout, listener.write_timeout, listener.handshake_timeout, listener.unread, listener.max_frame)
            context = self.plan.server_tls.get(name)
            self.acceptors[name] = Acceptor(
                self.hub, self.switch.listeners[name], bound[-1], limits, listener.max_sessions, self.log,
                None if context is None else lambda current=context: current,  # type: ignore[misc]
            )  # fmt: skip

    def _close_doors(self) -> None:
        for acceptor in self.acceptors.values():
            acceptor.close()

    def _start_service(self, name: str, service: TelegramService | HttpService | HandlerService, nursery: trio.Nursery) -> None:
        target = self.switch.services[name]
        if isinstance(service, HandlerService):
            HandlerCaller(self.hub, target, self.plan.handlers[name], nursery, self.log).start()
            return
        tls = self.plan.client_tls.get(name)
        server_name = service.tls.server_name if service.tls is not None else None
        for host, port in planning.backends_of(service):
            backend = Backend(host, port, service.connect_timeout, tls, server_name)
            outcomes = self.outcomes[name, backend.name] = Outcomes()
            if service.health is not None:
                nursery.start_soon(Prober(self.hub, target, backend, probe_policy(service.health, service), random.random).run)
            if isinstance(service, HttpService):
                pauses = Pauses(HTTP_PAUSES[0], HTTP_PAUSES[1], random.random)
                mapping = self.plan.mappings[name]
                HttpPool(self.hub, target, backend, http_policy(service), mapping, outcomes, pauses, nursery, self.log).start()
                continue
            limits = Limits(service.frame_timeout, service.write_timeout, service.connect_timeout, max_frame=service.max_frame)
            for _ in range(service.links):
                pauses = Pauses(service.reconnect_min, service.reconnect_max, random.random)
                nursery.start_soon(LinkKeeper(self.hub, target, backend, limits, pauses, outcomes, self.log).run)

    def _shortest_time(self) -> float:
        """No deadline can come up sooner than this after the ticker has looked."""
        services = self.plan.config.services.values()
        times = [each for service in services for each in (service.timeout, service.pending_timeout)]
        return min([*times, *(listener.timeout for listener in self.plan.config.listeners.values())])

    def collect(self) -> Iterator[Family]:
        """Every counter, read where it is kept."""
        return families(self.switch, self.hub, self.acceptors, self.outcomes, self.plan.expires, self.log.dropped)


async def serve(plan: Plan, log: logs.Log) -> int:
    """Run a router until SIGTERM or SIGINT; a second signal ends it at once. Returns the exit code."""
    _allow_many_files()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        router = Router(plan, log)
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                async for number in signals:
                    log.info("signal", signal=signal.Signals(number).name)
                    router.stop()

            async def settle() -> None:
                await router.started.wait()
                gc.collect()
                gc.freeze()
                gc.set_threshold(GC_THRESHOLD, 50, 100)
                trio.lowlevel.add_instrument(SlowSteps(router.hub, log))

            nursery.start_soon(listen)
            nursery.start_soon(settle)
            code = await router.run()
            nursery.cancel_scope.cancel()
    return code


def _allow_many_files() -> None:
    """Every connection is a file; the soft limit of 1,024 that shells give is for other programs."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def load(path: str) -> Plan:
    """The checked plan of a configuration file. Raises ConfigError."""
    return planning.read_plan(Path(path))
