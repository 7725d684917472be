"""The admin API: what the running router is doing, and orders of an operator, as JSON over HTTP."""

# Rules this file keeps, all of them tested:
#
# 1. Every answer is JSON; a refusal has `code`, `what` and `do`, and has changed nothing.
# 2. Orders are carried out inside a turn of the hub, and each leaves one line in the log: who, what, before, after.
# 3. Another site's page in an operator's browser cannot give orders, nor ask anything: it would have to send JSON, to the address by its
#    number, and without the browser saying where it comes from.

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from telegram_router.config import Address
from telegram_router.errors import CODES, RouterError
from telegram_router.ops import answers, inspector, operations, survey
from telegram_router.ops.access import Access, Known
from telegram_router.ops.capturing import BEAT, Capturing, settings_for
from telegram_router.ops.logs import Log
from telegram_router.ops.operations import LARGEST_BODY, OPERATIONS, Operation
from telegram_router.ops.overview import Overviews
from telegram_router.ops.page_files import page_routes
from telegram_router.ops.requests import body_of, names_this_host, same_origin
from telegram_router.ops.server import Caller, Door, admit, listening, listening_at, remove
from telegram_router.ops.shown_config import shown
from telegram_router.ops.streaming import Lines
from telegram_router.ops.survey import Subject
from telegram_router.ops.tail import Tail, Watcher
from telegram_router.ops.tail_filter import BadFilter, Filter, clear_fields
from telegram_router.ops.taps import Taps
from telegram_router.routing import Kind, Listener, Service, halting
from telegram_router.routing.backends import Admin, Backend
from telegram_router.wire import parting
from telegram_router.wire.capture_feed import Feed
from telegram_router.wire.listeners import Acceptor
from telegram_router.wire.tls_errors import TlsError

WRITE_TIMEOUT_MS = 10_000
STATUS = {"E-ADM-01": 404, "E-ADM-02": 400, "E-ADM-03": 401, "E-ADM-04": 403, "E-ADM-05": 409, "E-ADM-08": 403}

T = TypeVar("T")


class Refusal(RouterError):
    """A request that is not carried out."""

    def __init__(self, code: str, what: str, *, do: str = "", status: int = 0) -> None:
        super().__init__(code, what, do=do or CODES[code].do)
        self.status = status or STATUS[code]


async def serve_admin(
    place: Address | Path,
    subject: Subject,
    access: Callable[[], Access],
    log: Log,
    *,
    task_status: trio.TaskStatus[Address | Path] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the admin API for ever; started with the address that is really bound, or the path. Raises RouterError E-CFG-09."""
    if isinstance(place, Address):
        with await listening(place, "the admin address", WRITE_TIMEOUT_MS) as sock:
            task_status.started(Address(*sock.getsockname()[:2]))
            await _serve(sock, subject, access, log, place.host)
    else:
        with listening_at(place) as sock:
            inode = os.stat(place).st_ino
            try:
                task_status.started(place)
                await _serve(sock, subject, access, log, "")
            finally:
                remove(place, inode)


async def _serve(sock: socket.socket, subject: Subject, access: Callable[[], Access], log: Log, host: str) -> None:
    def failed(caller: str, error: TlsError) -> None:
        log.warning("connection_failed", code=error.code, connection="admin", peer=caller, **error.parts())

    async with trio.open_nursery() as nursery:  # of orders that take their time
        door = Door(log.bug, lambda: access().tls, failed)
        await admit(sock, Api(subject, access, log, nursery, host).application(), door)


class Api:
    """The operations of the table, each as a method of its name."""

    def __init__(self, subject: Subject, access: Callable[[], Access], log: Log, nursery: trio.Nursery, host: str = "") -> None:
        self._subject = subject
        self._access = access
        self._log = log
        self._nursery = nursery
        self._reading = trio.Lock()  # one list at a time: the steps of many would follow each other without a turn of the hub between
        self._host = host
        self._overviews = Overviews(subject)
        self._taps = Taps(subject.hub)
        self._tail = Tail(subject.hub, log.bug, taps=self._taps)
        self._capture: Capturing | None = None
        self._captured = answers.CaptureSeen(False)
        self._parting: dict[str, trio.CancelScope] = {}  # listeners whose sessions leave

    def application(self) -> Starlette:
        routes = [Route(row.path, partial(self._answer, row), methods=[row.method]) for row in OPERATIONS]
        return Starlette(routes=[*routes, *page_routes()], exception_handlers={HTTPException: _not_routed, Exception: _failed})

    async def _answer(self, row: Operation, request: Request) -> Response:
        try:
            body = await body_of(request, row.largest)
            self._admit(row, request)
            carried_out = await self._carry_out(row, request, body)
        except ClientDisconnect:
            return Response(status_code=400)  # that nobody reads
        except Refusal as refusal:
            self._log.warning("operator_refused", code=refusal.code, who=self._who(request), operation=row.name)
            return _refusal(refusal)
        if isinstance(carried_out, Response):
            return carried_out
        well = not isinstance(carried_out, answers.Condition) or carried_out.ok
        return _json(carried_out, 200 if well else 503)

    async def _carry_out(self, row: Operation, request: Request, body: bytes | None) -> Any:
        operation = getattr(self, row.name)
        if row.body is not None:
            return await operation(request, _order(row, request, body))
        if row.public:
            return await operation(request)
        async with self._reading:
            return await operation(request)

    def _admit(self, row: Operation, request: Request) -> None:
        caller: Caller = request.scope["caller"]
        if row.public:
            return
        if not caller.local and not caller.tls and not names_this_host(request.headers.get("host", ""), self._host):
            raise Refusal("E-ADM-04", "the request names another host, as that of a web page would")
        if not same_origin(request):
            raise Refusal("E-ADM-04", "the request comes from the page of another site")
        known = self._known(request)
        if known is None:
            raise Refusal("E-ADM-03", "the token is missing or wrong")
        if row.order and known.role != "operator":
            raise Refusal("E-ADM-08", f"{known.who} may look, and give no orders")

    def _known(self, request: Request) -> Known | None:
        caller: Caller = request.scope["caller"]
        if caller.local:
            return Known("operator", caller.name)
        return self._access().known(caller.name, caller.certificate, request.headers.get("authorization", ""))

    def _who(self, request: Request) -> str:
        known = self._known(request)
        return known.who if known is not None else request.scope["caller"].name

    # --- what is asked

    async def status(self, _: Request) -> answers.Status:
        return await survey.status(self._subject)

    async def sessions(self, _: Request) -> answers.Sessions:
        return await survey.sessions(self._subject)

    async def links(self, _: Request) -> answers.Links:
        return await survey.links(self._subject)

    async def exchanges(self, _: Request) -> answers.Exchanges:
        return await survey.exchanges(self._subject)

    async def limits(self, _: Request) -> answers.Limits:
        return await survey.limits(self._subject)

    async def usage(self, request: Request) -> answers.UsageSeen:
        given = request.query_params
        try:
            return await self._subject.usage(given.get("from"), given.get("to"), given.get("by", "user,service,day").split(","))
        except ValueError as error:
            raise Refusal("E-ADM-02", str(error)) from None
        except RouterError as error:
            raise Refusal("E-ADM-05", error.what) from None

    async def quotas(self, _: Request) -> answers.Quotas:
        return await survey.quotas(self._subject)

    async def certificates(self, _: Request) -> answers.Certificates:
        return await survey.certificates(self._subject)

    async def overview(self, request: Request) -> answers.Overview:
        shape = request.query_params.get("shape", "")
        known = self._known(request)
        return await self._overviews.look(int(shape) if shape.isdecimal() else 0, known.role if known is not None else "viewer")

    async def errors(self, _: Request) -> answers.Errors:
        seen = [
            answers.ErrorSeen(
                line["number"], line["ts"], line["level"], line["event"], code := str(line["fields"]["code"]),
                CODES[code].title if code in CODES else "", CODES[code].do if code in CODES else "", line["fields"],
            )
            for line in reversed(self._subject.errors())
        ]  # fmt: skip
        return answers.Errors(self._subject.errors_told(), seen)

    async def explain(self, _request: Request, paste: answers.Paste) -> answers.Explained:
        specs = {each.spec.name: each.spec for each in (*self._subject.switch.listeners.values(), *self._subject.switch.services.values())}
        if paste.spec is not None and paste.spec not in specs:
            raise Refusal("E-ADM-01", "no spec of this name is spoken here", do=_known(specs))
        try:
            data = paste.text.encode(specs[paste.spec].encoding if paste.raw and paste.spec is not None else "utf-8")
        except UnicodeEncodeError:
            raise Refusal("E-ADM-02", "the spec's encoding does not have all of these characters", do="paste hex") from None
        found = await inspector.explain(data, self._subject.spec_file(paste.spec) if paste.spec is not None else None)
        if found is None:
            raise Refusal("E-ADM-05", "explaining takes too long", do="use `telegram-router explain`")
        return answers.Explained(found)

    async def tail(self, request: Request) -> Response:
        switch = self._subject.switch
        parties = [*switch.listeners.values(), *switch.services.values()]
        try:
            chosen = Filter(request.query_params.get("filter", ""), {name for each in parties for name in clear_fields(each)})
        except BadFilter as bad:
            raise Refusal("E-ADM-02", str(bad), do="give terms such as message=transfer.* code=E-BCK-05") from None
        if self._tail.full:
            raise Refusal("E-ADM-05", f"{len(self._tail.watchers)} watch already, and no more may", do="end another tail")
        watcher = Watcher(chosen)
        self._tail.join(watcher)
        return Lines(self._tail, watcher)

    async def config(self, _: Request) -> answers.Configuration:
        return answers.Configuration(shown(self._subject.config()))

    async def openapi(self, _: Request) -> dict[str, Any]:
        return operations.document()

    async def livez(self, _: Request) -> answers.Condition:
        return answers.Condition(True, "it runs")

    async def startupz(self, _: Request) -> answers.Condition:
        started = self._subject.started()
        return answers.Condition(started, "it has started" if started else "it is starting")

    async def readyz(self, _: Request) -> answers.Condition:
        if self._subject.switch.draining or self._subject.hub.leaving:
            return answers.Condition(False, "it drains")
        if not self._subject.started():
            return answers.Condition(False, "it is starting")
        if not self._subject.ready:
            return answers.Condition(False, "it stands by")
        accepting = any(each.accepting for each in self._subject.acceptors().values())
        return answers.Condition(accepting, "it takes sessions" if accepting else "every listener is drained")

    # --- what is ordered

    async def order_backend(self, request: Request, order: answers.BackendOrder) -> answers.BackendSeen:
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

    async def failback(self, request: Request, _order: answers.NoOrder) -> answers.Returned:
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

    async def drain_listener(self, request: Request, order: answers.ListenerOrder) -> answers.ListenerDrained:
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

    async def open_listener(self, request: Request, _order: answers.NoOrder) -> answers.ListenerOpened:
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
            raise Refusal("E-ADM-01", "there is no listener of this name", do=_known(self._subject.acceptors()))
        return name, door

    async def switch_message(self, request: Request, order: answers.MessageOrder) -> answers.MessageSwitched:
        message = request.path_params["message"]
        place = self._place(order)
        if order.state == "off" or (place, message) not in self._subject.switch.halted:
            self._check_message(place, message)

        was = await self._inside(lambda _: halting.halt(self._subject.switch, place, message, off=order.state == "off"))
        before: answers.MessageState = "off" if was else "on"
        self._record(request, "switch_message", {"state": before}, {"state": order.state}, message=message, at=place or "everywhere")
        return answers.MessageSwitched(message, order.listener, order.service, order.state, before)

    @staticmethod
    def _place(order: answers.MessageOrder) -> str:
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
            raise Refusal("E-ADM-01", f"there is no {place.replace('.', ' ', 1)}", do=_known(places))
        parties = [places[place]] if place else list(places.values())
        found = [party.spec.messages[message] for party in parties if message in party.spec.messages]
        if not found:
            known = [each.name for each in parties[0].spec.messages.values() if each.kind != "reply"]
            raise Refusal("E-ADM-01", "no spec that is spoken there has a message of this name", do=_known(known))
        if all(each.kind == "reply" for each in found):
            raise Refusal("E-ADM-02", "this is a reply: who asked is waiting for it", do="switch its request off")

    async def promote(self, request: Request, order: answers.StandbyOrder) -> answers.Promoted:
        return await self._change_standing(request, "promote", self._subject.promote, order.service)

    async def demote(self, request: Request, order: answers.StandbyOrder) -> answers.Promoted:
        return await self._change_standing(request, "demote", self._subject.demote, order.service)

    async def _change_standing(
        self, request: Request, action: str, change: Callable[[str | None], Awaitable[bool]] | None, service: str | None
    ) -> answers.Promoted:
        known = self._subject.switch.services
        if service is not None and (service not in known or known[service].kind is not Kind.TELEGRAM):
            raise Refusal("E-ADM-01", "there is no telegram service of this name", do=_known(known))
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

    async def reload(self, request: Request, order: answers.ReloadOrder) -> answers.Reloaded:
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

    async def capture(self, _: Request) -> answers.CaptureSeen:
        return self._capture_seen()

    def _capture_seen(self) -> answers.CaptureSeen:
        made = self._capture
        if made is None:
            return self._captured
        left = max(0.0, round(made.until - self._subject.hub.clock(), 1))
        return msgspec.structs.replace(self._captured, running=True, remaining_s=left, telegrams=made.telegrams, left_out=made.left_out)

    async def start_capture(self, request: Request, order: answers.CaptureOrder) -> answers.CaptureSeen:
        if self._capture is not None or self._captured.running:
            raise Refusal("E-ADM-05", "a capture is made already", do="end it with POST /capture/stop")
        hub = self._subject.hub
        spec = self._captured_spec(order.spec)
        file = self._subject.spec_file(spec)
        if file is None:
            raise Refusal("E-ADM-05", "the spec has no file any more", do="reload")
        self._captured = answers.CaptureSeen(True)  # taken, while the other process is started
        try:
            feed = await trio.to_thread.run_sync(Feed, settings_for(order, file, hub.clock()))
        except RouterError as error:
            self._captured = answers.CaptureSeen(False)
            raise Refusal(
                "E-ADM-02", f"{error.code}: {error.what}", do=error.do or error.expected or "see to the file and the key"
            ) from None
        masked = order.mask_key_file is not None
        self._captured = answers.CaptureSeen(False, order.file, spec, masked, process=feed.pid)
        self._capture = Capturing(hub, self._taps, feed, spec, hub.clock() + order.duration_s, self._log.bug)
        self._nursery.start_soon(self._go_on_capturing, self._capture)
        self._record(request, "start_capture", None, {"file": order.file, "masked": masked, "duration_s": order.duration_s}, spec=spec)
        return self._capture_seen()

    def _captured_spec(self, name: str | None) -> str:
        switch = self._subject.switch
        known = {each.spec.name: None for each in switch.listeners.values()}
        if name is None and len(known) == 1:
            return next(iter(known))
        if name not in known:
            raise Refusal("E-ADM-02" if name is None else "E-ADM-01", "say of which spec the telegrams are", do=_known(known))
        return name

    async def _go_on_capturing(self, capture: Capturing) -> None:
        try:
            while capture.beat(self._subject.hub.clock()):
                with trio.move_on_after(BEAT):
                    await capture.stopped.wait()
        finally:
            capture.detach()
            with trio.CancelScope(shield=True):
                said = await trio.to_thread.run_sync(capture.close)
            self._captured = msgspec.structs.replace(
                self._captured, telegrams=capture.telegrams, left_out=max(capture.left_out, said.get("left_out", 0) + said.get("unwritten", 0)),
                files=list(said.get("files", ())), why=said.get("why", ""),
            )  # fmt: skip
            self._capture = None
            capture.written.set()
            self._log.info("capture_ended", file=self._captured.file, telegrams=capture.telegrams, left_out=self._captured.left_out)

    async def stop_capture(self, request: Request, _order: answers.NoOrder) -> answers.CaptureSeen:
        capture = self._capture
        if capture is None:
            raise Refusal("E-ADM-05", "no capture is made", do="see the last one in GET /capture")
        capture.until = float("-inf")
        capture.stopped.set()
        await capture.written.wait()
        self._record(request, "stop_capture", {"running": True}, {"running": False, "files": list(self._captured.files)})
        return self._captured

    def _service(self, request: Request) -> Service:
        service = self._subject.switch.services.get(request.path_params["service"])
        if service is None:
            raise Refusal("E-ADM-01", "there is no service of this name", do=_known(self._subject.switch.services))
        return service

    def _record(self, request: Request, action: str, before: object, after: object, **what: str) -> None:
        self._overviews.forget()
        self._log.audit("operator_action", who=self._who(request), action=action, **what, before=before, after=after)

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
        raise Refusal("E-ADM-01", f"the service {service.name} has no backend of this name", do=_known(service.pool.backends))
    return backend


def _known(names: Any) -> str:
    return f"use one of {', '.join(list(names)[:20])}"


def _standing(backend: Backend) -> dict[str, Any]:
    return {"state": backend.admin.value, "weight": backend.weight}


def _order(row: Operation, request: Request, body: bytes | None) -> Any:
    """What the body orders."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("E-ADM-02", "the body is not marked as JSON", do="send the header Content-Type: application/json", status=415)
    if body is None:
        raise Refusal("E-ADM-02", f"the body is larger than {row.largest:,} bytes", status=413)
    try:
        return msgspec.json.decode(body or b"{}", type=row.body)
    except msgspec.ValidationError as error:
        raise Refusal("E-ADM-02", f"the order cannot be understood: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal("E-ADM-02", "the body is not JSON") from None


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    own = {
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    return Response(msgspec.json.encode(value), status, {**own, **(headers or {})}, media_type="application/json")


def _refusal(refusal: Refusal) -> Response:
    headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else {}
    return _json(answers.Error(refusal.code, refusal.what, refusal.do), refusal.status, headers)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    with contextlib.suppress(ClientDisconnect):
        await body_of(request, LARGEST_BODY)
    if error.status_code == 404:
        return _refusal(Refusal("E-ADM-01", "there is no such path", do="see GET /openapi.json"))
    return _refusal(Refusal("E-ADM-02", "the path does not take this method", status=error.status_code))


async def _failed(_: Request, error: Exception) -> Response:
    return _json(answers.Error("E-INT-01", CODES["E-INT-01"].title, CODES["E-INT-01"].do), 500)
