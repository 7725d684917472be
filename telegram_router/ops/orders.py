"""What operators order by way of the admin API: each operation that changes something, by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import trio
from starlette.requests import Request

from telegram_router.config import Address
from telegram_router.errors import RouterError
from telegram_router.ops import answers, ordered, survey
from telegram_router.ops.callers import Callers
from telegram_router.ops.captures import Captures
from telegram_router.ops.logs import Log
from telegram_router.ops.overview import Overviews
from telegram_router.ops.refusal import Refusal, use_one_of
from telegram_router.ops.survey import Subject
from telegram_router.routing import Kind, Listener, Service, halting
from telegram_router.routing.backends import Admin, Backend
from telegram_router.wire import parting
from telegram_router.wire.listeners import Acceptor

T = TypeVar("T")


class Orders:
    """Each is carried out inside a turn of the hub, and leaves one line in the log."""

    def __init__(
        self, subject: Subject, callers: Callers, log: Log, nursery: trio.Nursery, captures: Captures, overviews: Overviews
    ) -> None:
        self._subject = subject
        self._callers = callers
        self._log = log
        self._nursery = nursery
        self._captures = captures
        self._overviews = overviews
        self._parting: dict[str, trio.CancelScope] = {}  # listeners whose sessions leave

    async def order_backend(self, request: Request, order: ordered.BackendOrder) -> answers.BackendSeen:
        if order.state is None and order.weight is None:
            raise Refusal("E-ADM-02", "the order says nothing", do='send {"state": "drain"} or {"weight": 2}')
        service = self._service(request)
        backend = _backend(service, request.path_params["backend"])

        def carry_out(now: float) -> tuple[dict[str, Any], dict[str, Any], answers.BackendSeen]:
            before = _standing(backend)
            if order.weight is not None:
                backend.weight = order.weight
            state = backend.admin if order.state is None else Admin(order.state)
            self._subject.switch.order(service, backend.name, state, now)
            return before, _standing(backend), survey.backend_seen(self._subject, service, backend)

        before, after, seen = await self._inside(carry_out)
        self._record(request, "order_backend", before, after, service=service.name, backend=backend.name)
        return seen

    async def failback(self, request: Request, _order: ordered.NoOrder) -> answers.Returned:
        service = self._service(request)
        pool = service.pool

        def carry_out(now: float) -> tuple[int | None, int | None]:
            before = pool.priority
            if before is not None and any(each.fit and each.priority < before for each in pool.backends.values()):
                pool.return_now()
                self._subject.switch.elect(service, now)
            return before, pool.priority

        before, after = await self._inside(carry_out)
        if before == after:
            raise Refusal("E-ADM-05", "no backend of a better priority is fit", do="look at the states of its backends")
        self._record(request, "failback", {"priority": before}, {"priority": after}, service=service.name)
        return answers.Returned(service.name, before, after)

    async def drain_listener(self, request: Request, order: ordered.ListenerOrder) -> answers.ListenerDrained:
        name, door = self._door(request)
        if not door.accepting:
            raise Refusal("E-ADM-05", "the listener is drained already, or the router stops", do="look at its sessions in the status")
        patience = self._subject.config().drain if order.patience_s is None else order.patience_s
        count = len(parting.sessions_of(self._subject.hub, name))
        door.give_away().close()  # who has knocked already is let in, and leaves with the others
        self._parting[name] = trio.CancelScope()
        self._nursery.start_soon(self._part, name, order.over_s, patience, self._parting[name])
        self._record(request, "drain_listener", {"accepting": True}, {"accepting": False}, listener=name)
        return answers.ListenerDrained(name, count, order.over_s, patience)

    async def _part(self, listener: str, over: float, patience: float, scope: trio.CancelScope) -> None:
        with scope:
            await parting.part(self._subject.hub, listener, over, patience)
            self._log.info("listener_drained", listener=listener)

    async def open_listener(self, request: Request, _order: ordered.NoOrder) -> answers.ListenerOpened:
        name, door = self._door(request)
        if not self._subject.ready:
            raise Refusal("E-ADM-05", "the router is starting, stopping or stands by", do="send it again when GET /readyz says so")
        if door.accepting:
            raise Refusal("E-ADM-05", "the listener accepts sessions already", do="see its address in the status")
        try:
            self._subject.reopen(name)
        except RouterError as error:
            raise Refusal("E-ADM-05", error.what, do=error.do) from None
        if name in self._parting:
            self._parting.pop(name).cancel()
        count = len(parting.sessions_of(self._subject.hub, name))
        self._record(request, "open_listener", {"accepting": False}, {"accepting": True}, listener=name)
        host, port = door.address
        return answers.ListenerOpened(name, str(Address(host, port)), count)

    def _door(self, request: Request) -> tuple[str, Acceptor]:
        name = request.path_params["listener"]
        door = self._subject.acceptors().get(name)
        if door is None:
            raise Refusal("E-ADM-01", "there is no listener of this name", do=use_one_of(self._subject.acceptors()))
        return name, door

    async def switch_message(self, request: Request, order: ordered.MessageOrder) -> answers.MessageSwitched:
        message = request.path_params["message"]
        place = self._place(order)
        if order.state == "off" or (place, message) not in self._subject.switch.halted:
            self._check_message(place, message)

        was = await self._inside(lambda _: halting.halt(self._subject.switch, place, message, off=order.state == "off"))
        before: answers.MessageState = "off" if was else "on"
        self._record(request, "switch_message", {"state": before}, {"state": order.state}, message=message, at=place or "everywhere")
        return answers.MessageSwitched(message, order.listener, order.service, order.state, before)

    @staticmethod
    def _place(order: ordered.MessageOrder) -> str:
        if order.listener is not None and order.service is not None:
            raise Refusal("E-ADM-02", "the order names a listener and a service", do="name one of them, or none for everywhere")
        if order.listener is not None:
            return f"listener.{order.listener}"
        return f"service.{order.service}" if order.service is not None else halting.EVERYWHERE

    def _check_message(self, place: str, message: str) -> None:
        """It must be a request of a spec that is spoken at the place."""
        switch = self._subject.switch
        places: dict[str, Listener | Service] = {f"listener.{name}": each for name, each in switch.listeners.items()}
        places |= {f"service.{name}": each for name, each in switch.services.items()}
        if place and place not in places:
            raise Refusal("E-ADM-01", f"there is no {place.replace('.', ' ', 1)}", do=use_one_of(places))
        parties = [places[place]] if place else list(places.values())
        found = [party.spec.messages[message] for party in parties if message in party.spec.messages]
        if not found:
            known = [each.name for each in parties[0].spec.messages.values() if each.kind != "reply"]
            raise Refusal("E-ADM-01", "no spec that is spoken there has a message of this name", do=use_one_of(known))
        if all(each.kind == "reply" for each in found):
            raise Refusal("E-ADM-02", "this is a reply: who asked is waiting for it", do="switch its request off")

    async def promote(self, request: Request, order: ordered.StandbyOrder) -> answers.Promoted:
        return await self._change_standing(request, "promote", self._subject.promote, order.service)

    async def demote(self, request: Request, order: ordered.StandbyOrder) -> answers.Promoted:
        return await self._change_standing(request, "demote", self._subject.demote, order.service)

    async def _change_standing(
        self, request: Request, action: str, change: Callable[[str | None], Awaitable[bool]] | None, service: str | None
    ) -> answers.Promoted:
        known = self._subject.switch.services
        if service is not None and (service not in known or known[service].kind is not Kind.TELEGRAM):
            raise Refusal("E-ADM-01", "there is no telegram service of this name", do=use_one_of(known))
        if change is None or not self._subject.steerable:
            raise Refusal("E-ADM-05", "the router is starting or stopping", do="send it again when GET /startupz says so")
        before, changed = self._standing_of(service), False

        async def carry_out(task_status: trio.TaskStatus[RouterError | None]) -> None:
            nonlocal changed
            error: RouterError | None = None
            try:
                changed = await change(service)
            except RouterError as refused:
                error = refused
            task_status.started(error)

        # Not in the request's own nursery: a client that goes must not leave it half done.
        error = await self._nursery.start(carry_out)
        if error is not None:
            raise Refusal("E-ADM-05", error.what, do=error.do)
        after = self._standing_of(service)
        if changed:
            self._record(request, action, {"standby": before}, {"standby": after}, **({"service": service} if service else {}))
        return answers.Promoted(service, before, after)  # type: ignore[arg-type]

    def _standing_of(self, service: str | None) -> str:
        whole, services = self._subject.standing_by()
        return whole if service is None else "standby" if service in services else "active"

    async def reload(self, request: Request, order: ordered.ReloadOrder) -> answers.Reloaded:
        if not self._subject.steerable:
            raise Refusal("E-ADM-05", "the router is starting or stopping", do="send it again when GET /readyz says so")
        reloaded: list[answers.Reloaded] = []

        async def reload(task_status: trio.TaskStatus[None]) -> None:
            reloaded.append(msgspec.convert(await self._subject.reload(order.dry_run), answers.Reloaded))
            task_status.started()

        # Not in the request's own nursery: a client that goes must not leave it half done.
        await self._nursery.start(reload)
        [report] = reloaded
        if not order.dry_run:
            after = {"applied": report.applied, "problems": [each.code for each in report.problems]}
            self._record(request, "reload", None, after)
        return report

    async def start_capture(self, request: Request, order: ordered.CaptureOrder) -> answers.CaptureSeen:
        seen = await self._captures.start(order)
        self._record(
            request, "start_capture", None, {"file": order.file, "masked": seen.masked, "duration_s": order.duration_s}, spec=seen.spec
        )
        return seen

    async def stop_capture(self, request: Request, _order: ordered.NoOrder) -> answers.CaptureSeen:
        seen = await self._captures.stop()
        self._record(request, "stop_capture", {"running": True}, {"running": False, "files": list(seen.files)})
        return seen

    def _service(self, request: Request) -> Service:
        service = self._subject.switch.services.get(request.path_params["service"])
        if service is None:
            raise Refusal("E-ADM-01", "there is no service of this name", do=use_one_of(self._subject.switch.services))
        return service

    def _record(self, request: Request, action: str, before: object, after: object, **what: str) -> None:
        self._overviews.forget()
        self._log.audit("operator_action", who=self._callers.who(request), action=action, **what, before=before, after=after)

    async def _inside(self, step: Callable[[float], T]) -> T:
        """Carry out a step inside a turn of the hub, whose writes follow at once."""
        done = trio.Event()
        result: list[T] = []

        def run(now: float) -> None:
            try:
                result.append(step(now))
            finally:
                done.set()

        self._subject.hub.enter(run)
        await done.wait()
        if not result:  # the hub has told the bug
            raise RouterError("E-INT-01", "the order failed")
        return result[0]


def _backend(service: Service, name: str) -> Backend:
    backend = service.pool.backends.get(name)
    if backend is None:
        raise Refusal("E-ADM-01", f"the service {service.name} has no backend of this name", do=use_one_of(service.pool.backends))
    return backend


def _standing(backend: Backend) -> dict[str, Any]:
    return {"state": backend.admin.value, "weight": backend.weight}
