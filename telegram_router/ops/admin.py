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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from telegram_router.config import Address
from telegram_router.errors import CODES
from telegram_router.ops import answers
from telegram_router.ops.access import Access
from telegram_router.ops.bodies import as_json, order_in, refused
from telegram_router.ops.callers import Callers
from telegram_router.ops.captures import Captures
from telegram_router.ops.logs import Log
from telegram_router.ops.operations import LARGEST_BODY, OPERATIONS, Operation
from telegram_router.ops.orders import Orders
from telegram_router.ops.overview import Overviews
from telegram_router.ops.page_files import page_routes
from telegram_router.ops.questions import Questions
from telegram_router.ops.refusal import Refusal
from telegram_router.ops.requests import body_of
from telegram_router.ops.server import Door, admit, listening, listening_at, remove
from telegram_router.ops.survey import Subject
from telegram_router.ops.tail import Tail
from telegram_router.ops.taps import Taps
from telegram_router.wire.tls_errors import TlsError

WRITE_TIMEOUT_MS = 10_000


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
    """The operations of the table: each is a method of its name, of what is asked or of what is ordered."""

    def __init__(self, subject: Subject, access: Callable[[], Access], log: Log, nursery: trio.Nursery, host: str = "") -> None:
        self._log = log
        self._reading = trio.Lock()  # one list at a time: the steps of many would follow each other without a turn of the hub between
        self._callers = Callers(access, host)
        taps, overviews = Taps(subject.hub), Overviews(subject)
        captures = Captures(subject, taps, log, nursery)
        self._questions = Questions(subject, self._callers, Tail(subject.hub, log.bug, taps=taps), captures, overviews)
        self._orders = Orders(subject, self._callers, log, nursery, captures, overviews)

    def application(self) -> Starlette:
        routes = [Route(row.path, partial(self._answer, row), methods=[row.method]) for row in OPERATIONS]
        return Starlette(routes=[*routes, *page_routes()], exception_handlers={HTTPException: _not_routed, Exception: _failed})

    async def _answer(self, row: Operation, request: Request) -> Response:
        try:
            body = await body_of(request, row.largest)
            self._callers.admit(row, request)
            carried_out = await self._carry_out(row, request, body)
        except ClientDisconnect:
            return Response(status_code=400)  # that nobody reads
        except Refusal as refusal:
            self._log.warning("operator_refused", code=refusal.code, who=self._callers.who(request), operation=row.name)
            return refused(refusal)
        if isinstance(carried_out, Response):
            return carried_out
        well = not isinstance(carried_out, answers.Condition) or carried_out.ok
        return as_json(carried_out, 200 if well else 503)

    async def _carry_out(self, row: Operation, request: Request, body: bytes | None) -> Any:
        operation = getattr(self._orders if row.order else self._questions, row.name)
        if row.body is not None:
            return await operation(request, order_in(row, request, body))
        if row.public:
            return await operation(request)
        async with self._reading:
            return await operation(request)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    with contextlib.suppress(ClientDisconnect):
        await body_of(request, LARGEST_BODY)
    if error.status_code == 404:
        return refused(Refusal("E-ADM-01", "there is no such path", do="see GET /openapi.json"))
    return refused(Refusal("E-ADM-02", "the path does not take this method", status=error.status_code))


async def _failed(_: Request, error: Exception) -> Response:
    return as_json(answers.Error("E-INT-01", CODES["E-INT-01"].title, CODES["E-INT-01"].do), 500)
