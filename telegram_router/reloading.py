"""Another configuration for a running router: nobody's connection is closed unless its listener, service or backend is gone."""

# Rules this file keeps, all of them tested:
#
# 1. A file with a problem, or an address that cannot be bound, changes nothing.
# 2. All that takes time is done beside the hub; what takes effect does so in one step of it.
# 3. One reload at a time. Each is held against what runs when it begins.
# 4. Who parts has `drain` for it: what is in flight is answered, links and sessions end between two telegrams.

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import trio

from telegram_router import backend_doors
from telegram_router import plan as planning
from telegram_router.assembly import prepare
from telegram_router.backend_doors import BackendDoors, Sockets
from telegram_router.differences import Differences, differences
from telegram_router.doors import Bound, Doors, release
from telegram_router.endpoints import Endpoints
from telegram_router.errors import ConfigError, ConfigProblem, ConfigWarning, RouterError
from telegram_router.keeping import Keeper
from telegram_router.open_files import allow_files, files_needed
from telegram_router.ops import logs
from telegram_router.plan import Plan
from telegram_router.recording import Recording
from telegram_router.routing import Listener, Peer, Service, Switch
from telegram_router.routing.changing import Change, carry_out, finished, vanish
from telegram_router.serving import Serving, Surroundings, work_for
from telegram_router.standby import Standby
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import REMOVED
from telegram_router.wire.notify import Notifier
from telegram_router.wire.parting import part, part_with_links

STEP = 0.02  # between two looks at who is parting
REST = 0.25  # the same, once nothing is connected any more and only keys are reserved
SLICE = 0.001  # of a step in which services adopt another plan
SHARE = 0.0002  # how long the checking thread may keep the interpreter from the hub


@dataclass(frozen=True)
class Report:
    """What a reload did, or would do."""

    applied: bool = False
    dry_run: bool = False
    differences: Differences = field(default_factory=Differences)
    problems: tuple[ConfigProblem, ...] = ()  # why nothing was applied
    warnings: tuple[ConfigWarning, ...] = ()
    seconds: float = 0.0  # all of it
    step_seconds: float = 0.0  # the longest of the hub's steps in it

    @property
    def sound(self) -> bool:
        return not self.problems

    def parts(self) -> dict[str, Any]:
        """For the log and for JSON: names of tables and keys, never a value."""
        return {key: value for key, value in asdict(self).items() if key != "differences"} | asdict(self.differences)


class Running(Protocol):
    """What of a running router a reload has to do with."""

    plan: Plan
    log: logs.Log
    switch: Switch
    hub: Hub
    doors: Doors
    backend_doors: BackendDoors
    servings: dict[Service, Serving]
    around: Surroundings
    standby: Standby
    notifier: Notifier
    endpoints: Endpoints
    keeper: Keeper
    recording: Recording

    def standing(self) -> str: ...

    @property
    def stopping(self) -> bool: ...

    def shortest_time(self) -> float: ...


class Reloader:
    """Takes a running router from one plan to the next."""

    def __init__(self, router: Running, nursery: trio.Nursery, wall: Callable[[], float]) -> None:
        self._router = router
        self._nursery = nursery
        self._turn = trio.Lock()
        self.outcomes = {"ok": 0, "refused": 0}
        self.taken_at = wall()  # when what the router works by was taken over
        self._wall = wall

    async def reload(self, source: Path | Plan | None = None, *, dry_run: bool = False) -> Report:
        """Take over a file (the one that the router runs by, unless another is given) or a plan that has been checked."""
        async with self._turn:
            began = self._router.hub.clock()
            if not dry_run:
                self._router.notifier.reloading()
            ended = "was broken off"
            try:
                report = await self._try(source, dry_run)
                ended = "" if report.sound else "was refused, see the log"
            finally:  # systemd waits for it, whatever came of the reload
                if not dry_run:
                    self._router.notifier.ready("; the last reload ".join(filter(None, [self._router.standing(), ended])))
            if not dry_run:
                self.outcomes["ok" if report.sound else "refused"] += 1
            if report.applied:
                self.taken_at = self._wall()
            report = Report(**{**vars(report), "dry_run": dry_run, "seconds": self._router.hub.clock() - began})
        self._tell(report)
        return report

    async def _try(self, source: Path | Plan | None, dry_run: bool) -> Report:
        router = self._router
        before = router.plan
        try:
            with _sharing_the_interpreter():
                after = (
                    source if isinstance(source, Plan) else await trio.to_thread.run_sync(planning.read_plan, source or before.path, before)
                )
                found, change = await trio.to_thread.run_sync(self._compare, before, after)
            if router.stopping:
                raise RouterError("E-LIM-04", "the router stops")
            allow_files(files_needed(after.config))
            servers = await router.endpoints.prepare(after)
            opened = False
            try:
                opened = await trio.to_thread.run_sync(router.keeper.open, after.config)
                bound = router.doors.bind(after, before)
                called = self._bind_called(after, before, bound)
            except BaseException:
                router.endpoints.abandon(servers)
                if opened:
                    router.keeper.let_go()
                raise
        except ConfigError as error:
            return Report(problems=error.problems)
        except RouterError as error:
            return Report(problems=(ConfigProblem(error.code, str(before.path), 0, error.where, error.what, error.expected, error.do),))
        except Exception as fault:  # what runs goes on
            router.log.bug(fault)
            return Report(problems=(ConfigProblem("E-INT-01", str(before.path), 0, "", "the check itself failed"),))
        if dry_run:
            release(bound)
            backend_doors.release(called)
            router.endpoints.abandon(servers)
            if opened:
                router.keeper.let_go()
            return Report(differences=found, warnings=tuple(after.warnings))
        took = await self._apply(after, change, bound, called)
        router.log.adopt(after.config.log.level)
        router.endpoints.take_over(servers, self._turn)
        return Report(True, differences=found, warnings=tuple(after.warnings), step_seconds=took)

    def _bind_called(self, after: Plan, before: Plan, bound: Bound) -> Sockets:
        try:
            return self._router.backend_doors.bind(after, before)
        except RouterError:
            release(bound)
            raise

    def _compare(self, before: Plan, after: Plan) -> tuple[Differences, Change]:
        return differences(before, after), prepare(after, self._router.switch, before)

    async def _apply(self, after: Plan, change: Change, bound: Bound, called: Sockets) -> float:
        before = self._router.plan
        took = await self._whole(partial(self._take_effect, after, change, bound, called))
        left = [name for name in change.service_terms if not _works_the_same(before, after, name)]
        while left:  # with many services and backends all at once would be felt
            took = max(took, await self._whole(partial(self._adopt_some, left, after)))
        return took

    async def _whole(self, step: Callable[[float], None]) -> float:
        """Have it run in a step of the hub, which a fault in it ends; how long it took."""
        done = trio.Event()
        took = 0.0

        def run(now: float) -> None:
            nonlocal took
            began = self._router.hub.clock()
            step(now)
            took = self._router.hub.clock() - began
            done.set()

        self._router.hub.enter_whole(run)
        await done.wait()
        return took

    # --- the step of the hub ------------------------------------------------------------------------------------

    def _take_effect(self, after: Plan, change: Change, bound: Bound, called: Sockets, now: float) -> None:
        router = self._router
        parted = carry_out(router.switch, change, now)
        leaving = {service: router.servings.pop(service) for service in parted.services}
        router.standby.meet(after.config)
        for name, service in router.switch.services.items():
            if service not in router.servings:
                router.servings[service] = work_for(router.around, service, after.config.services[name], after)
        router.plan = after
        router.keeper.adopt(after.config)
        router.recording.adopt(after)
        router.hub.shortest = router.shortest_time()
        router.doors.open_these(router.doors.build(after, change.listeners, bound))
        for link in router.backend_doors.build(after, router.switch.services, called, router.around):
            router.switch.retire(link)
            parted.links.append(link)
        patience = after.config.drain
        for service, serving in leaving.items():
            serving.end()
            self._nursery.start_soon(self._part_with_service, service, serving, patience)
        for listener in parted.listeners:
            self._nursery.start_soon(self._part_with_listener, listener, patience)
        if parted.links:
            self._nursery.start_soon(self._part_with_links, parted.links, patience)

    def _adopt_some(self, names: list[str], after: Plan, now: float) -> None:
        end = self._router.hub.clock() + SLICE
        while names and self._router.hub.clock() < end:
            self._adopt(names.pop(), after, now)

    def _adopt(self, name: str, after: Plan, now: float) -> None:
        """What works around a service that stays works by the new plan."""
        router = self._router
        service = router.switch.services[name]
        surplus = router.servings[service].adopt(after.config.services[name], after)
        for link in surplus:
            router.switch.retire(link)
        if surplus:
            self._nursery.start_soon(self._part_with_links, surplus, after.config.drain)
        router.switch.elect(service, now)

    # --- parting ------------------------------------------------------------------------------------------------

    async def _part_with_links(self, links: list[Peer], patience: float) -> None:
        await part_with_links(self._router.hub, links, patience, REMOVED)

    async def _part_with_service(self, service: Service, serving: Serving, patience: float) -> None:
        """A service has no routes any more. Its links stay until what waits for them has been sent and answered."""
        switch = self._router.switch
        due = self._router.hub.clock() + patience
        while self._router.hub.clock() < due and not finished(switch, service):  # noqa: ASYNC110 - read off tables, which tell nobody
            await trio.sleep(STEP)
        await self._within(lambda _: self._retire(service))
        await self._part_with_links(list(service.leaving), max(0.0, due - self._router.hub.clock()))
        await self._within(serving.close)
        await self._vanish(service)

    def _retire(self, service: Service) -> None:
        for link in service.peers:
            self._router.switch.retire(link)

    async def _part_with_listener(self, listener: Listener, patience: float) -> None:
        """Its sessions end one after the other between two telegrams, so that they do not all come back at once."""
        while listener.sessions:
            await part(self._router.hub, listener, self._router.plan.config.spread or patience, patience, REMOVED)
            await trio.sleep(STEP)
        await self._vanish(listener)

    async def _vanish(self, party: Service | Listener) -> None:
        """Gone for good once nothing is open and no key is reserved there, unless somebody else keeps its register."""
        switch = self._router.switch
        while party.peers or not finished(switch, party) or self._reserves(party):  # noqa: ASYNC110
            await trio.sleep(REST)
        await self._within(lambda _: vanish(switch, party))

    def _reserves(self, party: Service | Listener) -> bool:
        others = [each.register for each in self._router.switch.parties() if each is not party]
        return bool(party.register.tombstones) and not any(each is party.register for each in others)

    async def _within(self, step: Callable[[float], Any]) -> Any:
        """Have it run in a step of the hub; its result."""
        done = trio.Event()
        results: list[Any] = []

        def run(now: float) -> None:
            try:
                results.append(step(now))
            finally:
                done.set()

        self._router.hub.enter(run)
        await done.wait()
        return results[0] if results else None

    # --- telling ------------------------------------------------------------------------------------------------

    def _tell(self, report: Report) -> None:
        log = self._router.log
        for problem in report.problems:
            log.error(
                "reload_failed",
                code=problem.code,
                file=problem.file,
                line=problem.line,
                key=problem.key,
                what=problem.what,
                expected=problem.expected,
                do=problem.do,
            )
        for warning in report.warnings:
            log.warning("config_warning", file=warning.file, line=warning.line, key=warning.key, what=warning.what, do=warning.do)
        if report.sound:
            told = asdict(report.differences)
            times = {"took_ms": round(report.seconds * 1000, 1), "step_ms": round(report.step_seconds * 1000, 1)}
            log.info("reload_tried" if report.dry_run else "reloaded", **told, **times)


def _works_the_same(before: Plan, after: Plan, service: str) -> bool:
    """Whether links, probes and calls of a service that stays have nothing to change."""
    certificates = f"services.{service}.tls"
    same = before.config.services[service] == after.config.services[service]
    return same and before.texts.get(certificates) == after.texts.get(certificates)


@contextmanager
def _sharing_the_interpreter() -> Iterator[None]:
    """A thread that computes gives the interpreter back 25 times as often: the hub asks for it several times a telegram."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SHARE)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
