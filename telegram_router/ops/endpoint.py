"""The Prometheus endpoint: GET /metrics, on a port of its own. Imported only where one is configured, for its weight."""

# Rules this file keeps:
#
# 1. A scrape never holds the router up: counters are read at once, and their text is made a few of them at a time.
# 2. A scraper that stops reading is cut off by the kernel, so that it cannot hold up the router's end either.
# 3. A fault of a scrape or of the server is told and answered; it never ends the router.

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import trio
from hypercorn.trio import serve
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from telegram_router.config import Address
from telegram_router.ops.metrics import Collect, RouterCollector
from telegram_router.ops.server import listening, settings

WRITE_TIMEOUT_MS = 10_000
AT_ONCE = 25  # samples of which the text is made at a time: of a histogram each is two dozen lines, together a few milliseconds


async def serve_metrics(
    address: Address,
    collect: Collect,
    on_bug: Callable[[BaseException], None],
    measure: Callable[[], Iterable[None]] = tuple,
    *,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve GET /metrics for ever; started with the address that is really bound. Raises RouterError E-CFG-09.

    `measure` makes, in steps, what would take too long while the counters are read. A failing scrape is answered 500 and told to `on_bug`; so is a fault of the server, which is then started anew.
    """
    with await listening(address, "the metrics address", WRITE_TIMEOUT_MS) as sock:
        task_status.started(Address(*sock.getsockname()[:2]))
        while True:
            try:
                config = settings(on_bug)
                config.bind = [f"fd://{sock.dup().detach()}"]
                await serve(application(collect, measure), config)  # type: ignore[arg-type]
            except Exception as error:  # a fault of the server must not end the router
                on_bug(error)
            await trio.sleep(1)


def application(collect: Collect, measure: Callable[[], Iterable[None]] = tuple) -> Starlette:
    """The ASGI application behind the endpoint."""
    router, process = RouterCollector(collect), ProcessCollector(registry=None)

    async def metrics(_request: Request) -> Response:
        for _ in measure():
            await trio.lowlevel.checkpoint()
        text = await _text(chain(router.pieces(AT_ONCE), ((each, False) for each in process.collect())))
        headers = {"connection": "close"}  # a scraper that pipelines and does not read would fill our buffers
        return Response(text, media_type=CONTENT_TYPE_LATEST, headers=headers)

    return Starlette(routes=[Route("/metrics", metrics, methods=["GET"])])


async def _text(pieces: Iterable[tuple[Metric, bool]]) -> bytes:
    # One body, no StreamingResponse: that one cancels hypercorn's closing of the connection half way.
    parts = []
    for piece, goes_on in pieces:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Ready(piece))
        text = generate_latest(registry)
        parts.append(text.split(b"\n", 2)[2] if goes_on else text)  # HELP and TYPE stand above the first piece
        await trio.lowlevel.checkpoint()  # other work of the event loop goes between
    return b"".join(parts)


class _Ready(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]
