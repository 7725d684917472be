"""Joins the parts: the one file that knows everybody. From a plan to a running router."""

from __future__ import annotations

import gc
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from telegram_router import __version__, watching
from telegram_router import plan as planning
from telegram_router.assembly import build_switch
from telegram_router.backend_doors import BackendDoors, Sockets
from telegram_router.config import Address, Config, TelegramService
from telegram_router.counts import About, families, measured
from telegram_router.doors import Doors
from telegram_router.endpoints import Endpoints, Place
from telegram_router.keeping import Keeper
from telegram_router.open_files import allow_files, files_needed
from telegram_router.ops import logs
from telegram_router.ops.metrics import Family
from telegram_router.plan import Plan
from telegram_router.promoting import Promoter
from telegram_router.recording import Recording
from telegram_router.reloading import Reloader, Report
from telegram_router.routing import Service
from telegram_router.serving import Serving, Surroundings, work_for
from telegram_router.standby import Standby
from telegram_router.wire.expiry import watch
from telegram_router.wire.hub import Hub
from telegram_router.wire.inherited import Held
from telegram_router.wire.links import Outcomes
from telegram_router.wire.listeners import Acceptor
from telegram_router.wire.notify import Notifier, keep_alive
from telegram_router.wire.parting import part, part_with_old
from telegram_router.wire.poller import EpollPoller, Poller
from telegram_router.wire.slow_steps import SlowSteps

EXIT_OK, EXIT_CUT, EXIT_CANNOT_BIND, EXIT_BUG, EXIT_CONFIG = 0, 1, 69, 70, 78
LOG_TICK = 1.0
LAST = 5.0  # seconds that the end itself may take: the last answers are written, links are closed
HURRIED = 0.2  # of them after a second signal: nobody is waited for, yet who takes it at once is told what is known
GC_THRESHOLD = 50_000  # an exchange holds no cycle, so the collector finds nothing on the hot path


class Router:
    """A router built from a plan. `run` serves until it is told to stop and returns the exit code."""

    def __init__(
        self, plan: Plan, log: logs.Log, poller: Poller | None = None, clock: Callable[[], float] = trio.current_time,
        *, notifier: Notifier | None = None, inherited: Mapping[str, socket.socket] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`inherited`: sockets that are open already, by the keys of those who accept there."""
        self.plan = plan
        self.log = log
        self.switch = build_switch(plan)
        self.hub = Hub(self.switch, poller or EpollPoller(), clock, log)
        self.notifier = notifier or Notifier()
        self.standby = Standby(plan.config)
        self.held = Held(inherited)
        self.doors = Doors(self.hub, log, self.held, resting=self.standby.whole)
        self.wall = wall
        self.keeper = Keeper(plan.folder / plan.config.state, self.hub, log, wall=wall)
        self.recording = Recording(self.hub, log)
        self.backend_doors = BackendDoors(self.standby, self.held)
        self.servings: dict[Service, Serving] = {}
        self.around: Surroundings
        self.outcomes: dict[tuple[str, str], Outcomes] = {}
        self.endpoints = Endpoints({"metrics": self._serve_metrics, "admin": self._serve_admin})
        self.started = trio.Event()
        self._stop = trio.Event()
        self._stop_now = trio.Event()
        self._gently = False
        self._reloader: Reloader | None = None
        self._promoter: Promoter | None = None

    @property
    def acceptors(self) -> dict[str, Acceptor]:
        return self.doors.acceptors

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener really listens; known once `run` has started."""
        return {name: acceptor.address for name, acceptor in self.acceptors.items()}

    @property
    def metrics_address(self) -> Place | None:
        """Where the endpoint really listens, once `run` has started."""
        return self.endpoints.place("metrics")

    @property
    def admin_place(self) -> Place | None:
        """Likewise, of the admin API."""
        return self.endpoints.place("admin")

    def stop(self, *, gently: bool = False) -> None:
        """Drain and end. Called again it ends at once. `gently`: others are given `drain_delay` and `spread` to get used to it first."""
        if self._stop.is_set():
            self._stop_now.set()
        self._gently = gently
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    async def reload(self, source: Path | Plan | None = None, *, dry_run: bool = False) -> Report:
        """Go on by another configuration: a file, by default the one that it runs by, or a checked plan. No session is dropped.

        With a problem everything stays as it is; the report says which. `dry_run` only tells what would change.
        """
        await self.started.wait()
        assert self._reloader is not None
        return await self._reloader.reload(source, dry_run=dry_run)

    async def promote(self, service: str | None = None) -> bool:
        """Take the router, or one service, into use that stands by. False when it is in use."""
        assert self._promoter is not None
        return await self._promoter.promote(service)

    async def demote(self, service: str | None = None) -> bool:
        """Have the router, or one service, stand by. False when it does so."""
        assert self._promoter is not None
        return await self._promoter.demote(service)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
        """Serve. Raises RouterError, before anything else is started: E-CFG-09 when an address cannot be bound, E-STO-01 or
        E-STO-02 when the state folder cannot be used."""
        config = self.plan.config
        try:
            self.keeper.open(config)
            self.keeper.adopt(config)
            self.doors.build(self.plan, self.switch.listeners, self.doors.bind(self.plan))
            cut = await self._serve(config, task_status, self.backend_doors.bind(self.plan))
        finally:
            self.doors.close()
            self.held.close()
            self.recording.close()
            self.backend_doors.close()
            self.hub.poller.close()
            self.notifier.close()
            await self.keeper.close()
        (self.log.warning if cut else self.log.info)("stopped", cut=cut)
        return EXIT_CUT if cut else EXIT_OK

    async def _serve(self, config: Config, task_status: trio.TaskStatus[None], called: Sockets) -> int:
        cut = 0
        async with trio.open_nursery() as nursery:
            self.recording.adopt(self.plan)
            nursery.start_soon(self.recording.run)
            nursery.start_soon(self._keep_log)
            nursery.start_soon(watch, lambda: self.plan.ends, self.log)
            nursery.start_soon(self.keeper.run)
            await self.endpoints.open(self.plan, nursery)
            await nursery.start(self.hub.run)
            nursery.start_soon(self.hub.keep_time, self.shortest_time())
            self.around = Surroundings(self.hub, self.outcomes, nursery, self.log, self.standby)
            for name, settings in config.services.items():
                service = self.switch.services[name]
                self.servings[service] = work_for(self.around, service, settings, self.plan)
            self.backend_doors.build(self.plan, self.switch.services, called, self.around)
            self._reloader = Reloader(self, nursery, self.wall)
            self._promoter = Promoter(self, nursery)
            async with trio.open_nursery() as doors:
                self.doors.open(doors)
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
                self.notifier.ready(self.standing())
                nursery.start_soon(keep_alive, self.notifier, self.hub)
                nursery.start_soon(watching.watch, self)
                nursery.start_soon(part_with_old, self.hub, self._ages, lambda: self.plan.config.drain)
                task_status.started()
                await self._stop.wait()
                await self._let_others_look_elsewhere()
                doors.cancel_scope.cancel()
            self.doors.close()
            self.held.close()
            patience = await self._spread_out()
            self.log.info("draining", patience_s=round(patience, 3))
            cut = await self._drain(patience)
            self.hub.stop()
            nursery.cancel_scope.cancel()
        return cut

    async def _let_others_look_elsewhere(self) -> None:
        """The first part of a stop: doors are open still, and who asks whether clients should come here is told no."""
        config = self.plan.config
        delay, spread = (config.drain_delay, config.spread) if self._gently else (0.0, 0.0)
        self.notifier.stopping("stopping: parts with its clients", delay + spread + config.drain + LAST)
        self.hub.leaving = True
        if delay or spread:
            self.log.info("leaving", delay_s=delay, spread_s=spread)
            await self._unless_hurried(partial(trio.sleep, delay))

    async def _spread_out(self) -> float:
        """The second part: nobody comes in any more, and sessions leave one by one. Returns how long what is open then may take."""
        config = self.plan.config
        if not (self._gently and config.spread):
            return config.drain
        due = self.hub.clock() + config.spread + config.drain
        await self._unless_hurried(partial(self._part_with_all, config.spread, config.drain))
        return max(0.0, due - self.hub.clock())

    async def _part_with_all(self, over: float, patience: float) -> None:
        async with trio.open_nursery() as nursery:
            for listener in self.switch.listeners.values():
                nursery.start_soon(part, self.hub, listener, over, patience, "stopped")

    async def _unless_hurried(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done, or given up when the router is told to stop again."""
        async with trio.open_nursery() as nursery:

            async def hurry() -> None:
                await self._stop_now.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(hurry)
            await work()
            nursery.cancel_scope.cancel()

    def _ages(self) -> dict[str, float]:
        listeners = self.plan.config.listeners.items()
        return {name: each.max_session_age for name, each in listeners if each.max_session_age is not None}

    def standing_by(self) -> tuple[str, list[str]]:
        """Whether the whole router does, and the services that do by themselves."""
        return self.standby.phase, sorted(self.standby.services)

    def standing(self) -> str:
        """In one line, for the service manager."""
        return (
            f"serving: {len(self.switch.listeners)} listeners, {len(self.switch.services)} services, {len(self.plan.config.routes)} routes"
        )

    async def _serve_metrics(self, place: Address, *, task_status: trio.TaskStatus[Place]) -> None:
        from telegram_router.ops.endpoint import serve_metrics  # a web server, 15 MiB: not for those who want none

        await serve_metrics(place, self.collect, self.log.bug, partial(measured, self.switch), task_status=task_status)

    async def _serve_admin(self, place: Place, *, task_status: trio.TaskStatus[Place]) -> None:
        from telegram_router.ops.admin import serve_admin  # as above
        from telegram_router.ops.survey import Subject

        async def reload(dry_run: bool) -> dict[str, Any]:
            return (await self.reload(dry_run=dry_run)).parts()

        subject = Subject(
            self.switch, self.hub, lambda: self.plan.config, lambda: self.acceptors, lambda: self.plan.ends,
            lambda: self.log.dropped, self.started.is_set, reload, lambda name: self.doors.reopen(name, self.plan), self.keeper.seen,
            self.keeper.usage_seen,
            lambda: self.outcomes,
            spec_file=lambda name: planning.find_spec(name, planning.spec_folders(self.plan.config, self.plan.folder)),
            errors=self.log.recent, errors_told=lambda: self.log.errors,
            standing_by=self.standing_by, promote=self.promote, demote=self.demote,
        )  # fmt: skip
        await serve_admin(place, subject, lambda: self.plan.admin_access, self.log, task_status=task_status)

    async def _keep_log(self) -> None:
        """Lines that were dropped are told of, and lines that wait are written, though nothing else happens."""
        while True:
            await trio.sleep(LOG_TICK)
            self.log.tick()

    async def _drain(self, patience: float) -> int:
        cuts: list[int] = []

        async def drain() -> None:
            cuts.append(await self.hub.drain(patience))

        await self._unless_hurried(drain)
        if not cuts:
            with trio.move_on_after(HURRIED):
                cuts.append(self.hub.unanswered)
                await self.hub.drain(0.0)
        return cuts[0]

    def shortest_time(self) -> float:
        """No deadline can come up sooner than this after the ticker has looked."""
        services = self.plan.config.services.values()
        times = [each for service in services for each in (service.timeout, service.pending_timeout)]
        times += [each.poison_grace for each in services if isinstance(each, TelegramService) and each.poison_grace]
        return min([*times, *(listener.timeout for listener in self.plan.config.listeners.values())])

    def collect(self) -> Iterator[Family]:
        """Every counter, read where it is kept."""
        written = self.recording
        about = About(written.written, written.dropped, written.spans, written.spans_dropped, self.plan.digest, missed=self.keeper.missed)
        if self._reloader is not None:
            about = replace(about, taken_at=self._reloader.taken_at, reloads=self._reloader.outcomes)
        refused = {name: door.refused for name, door in self.backend_doors.doors.items()}
        resting = [name for name in self.switch.services if self.standby.holds(name)]
        about = replace(about, refused_backends=refused, standing_by=resting)
        kept = self.keeper.seen()
        return families(self.switch, self.hub, self.acceptors, self.outcomes, self.plan.ends, self.log.dropped, kept, about)


async def serve(
    plan: Plan, log: logs.Log, notifier: Notifier | None = None, inherited: Mapping[str, socket.socket] | None = None
) -> int:  # fmt: skip
    """Run a router until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reloads its file, SIGUSR1
    opens the file of access records anew. Returns the exit code.

    SIGTERM comes from whoever runs services: the clients are parted with gently. SIGINT is a person at the terminal, who waits.
    Raises RouterError E-CFG-17 when the system lets open too few files.
    """
    allow_files(files_needed(plan.config))
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1) as signals:
        router = Router(plan, log, notifier=notifier, inherited=inherited)
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                async for number in signals:
                    log.info("signal", signal=signal.Signals(number).name)
                    if number == signal.SIGHUP:
                        nursery.start_soon(router.reload)
                    elif number == signal.SIGUSR1:
                        router.recording.reopen()
                    else:
                        router.stop(gently=number == signal.SIGTERM)

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


def load(path: str) -> Plan:
    """The checked plan of a configuration file. Raises ConfigError."""
    return planning.read_plan(Path(path))
