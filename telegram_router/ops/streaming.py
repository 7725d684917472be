"""An answer that never ends by itself: the lines of a tail, for as long as the client reads them."""

# Rules this file keeps, all of them tested:
#
# 1. Whoever leaves is noticed, and costs nothing from then on. Whoever does not read is cut off after the server's PATIENCE.
# 2. Lines are sent together, at most once in a PAUSE; when there are none, an empty line now and then shows that we are there.

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import trio
from starlette.responses import Response

from telegram_router.ops.tail import Tail, Watcher

PAUSE = 0.05
SIGN_OF_LIFE = 2.0

Message = MutableMapping[str, Any]
HEADERS = ((b"content-type", b"application/x-ndjson"), (b"connection", b"close"), (b"cache-control", b"no-store"))


class Lines(Response):
    """Everything that a watcher gets, who has joined and leaves when this ends, as JSON lines."""

    def __init__(self, tail: Tail, watcher: Watcher) -> None:
        super().__init__()
        self._tail = tail
        self._watcher = watcher

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        # Not starlette's own streaming: that one cancels the server's closing of the connection half way.
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": b"\n", "more_body": True})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                await self._send_lines(send, scope["patience"])
                nursery.cancel_scope.cancel()
        finally:
            self._tail.leave(self._watcher)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_lines(self, send: Callable[[Message], Awaitable[None]], patience: Callable[[], None]) -> None:
        """Returns when the tail has been given up."""
        encode = msgspec.json.Encoder().encode_lines
        while self._watcher in self._tail.watchers:
            await self._watcher.wait(SIGN_OF_LIFE)
            await send({"type": "http.response.body", "body": encode(self._watcher.take()) or b"\n", "more_body": True})
            patience()
            await trio.sleep(PAUSE)


async def _until_gone(receive: Callable[[], Awaitable[Message]], scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
