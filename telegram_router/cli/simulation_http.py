"""Orders to running simulators over HTTP, opt-in: the same JSON as over their Unix socket, for tests that run elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from telegram_router.cli import tell
from telegram_router.config import Address
from telegram_router.errors import RouterError
from telegram_router.ops.requests import body_of, names_this_host, same_origin
from telegram_router.ops.server import Door, admit, listening
from telegram_router.ops.tokens import is_token
from telegram_router.tools.simulate.control import LONGEST_LINE, answered, encoded
from telegram_router.tools.simulate.driver import Simulator

WRITTEN_WITHIN = 10_000  # milliseconds


async def serve_http(
    place: Address,
    token: str | None,
    simulators: Sequence[Simulator],
    *,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer `POST /orders` until cancelled. Raises RouterError E-SIM-08."""
    try:
        sock = await listening(place, "the control address", WRITTEN_WITHIN)
    except RouterError as error:
        raise RouterError("E-SIM-08", f"{place} cannot be listened on: {error.what}", do="give another --control-http") from None
    with sock:
        sock.setblocking(False)
        task_status.started(Address(place.host, sock.getsockname()[1]))
        await admit(sock, _application(place.host, token, simulators), Door(lambda error: tell([f"the control address: {error!r}"])))


def _application(host: str, token: str | None, simulators: Sequence[Simulator]) -> Starlette:
    async def orders(request: Request) -> Response:
        refused = _refused(request, host, token)
        if refused is not None:
            return _json({"error": refused[1]}, refused[0])
        try:
            body = await body_of(request, LONGEST_LINE)
        except ClientDisconnect:
            return Response(status_code=400)  # that nobody reads
        if body is None:
            return _json({"error": f"the order is longer than {LONGEST_LINE} bytes"}, 413)
        found = answered(body, simulators)
        return _json(found, 400 if "error" in found else 200)

    return Starlette(routes=[Route("/orders", orders, methods=["POST"])])


def _refused(request: Request, host: str, token: str | None) -> tuple[int, str] | None:
    """As the router's admin API has it: a web page that somebody opens on this machine may give no orders."""
    if token is not None and not is_token(token, request.headers.get("authorization", "")):
        return 401, "the token is missing or wrong"
    if not names_this_host(request.headers.get("host", ""), host) or not same_origin(request):
        return 403, "the request comes from a web page of another site"
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "send the header Content-Type: application/json"
    return None


def _json(value: object, status: int) -> Response:
    return Response(encoded(value), status, media_type="application/json")
