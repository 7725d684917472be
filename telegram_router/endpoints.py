"""The router's own HTTP servers, metrics and admin: opened, moved and closed while it runs."""

# Rules this file keeps, all of them tested:
#
# 1. The new server listens before anything is changed. If it cannot, nothing is changed, and the old one never knew.
# 2. The old one is closed a moment later: the order that moved it may have come through it, and is still to be answered.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio

from telegram_router.config import Address
from telegram_router.plan import Plan

MOMENT = 1.0  # seconds

Place = Address | Path
Serve = Callable[..., Any]  # an async function of the place, started with the place where it really listens


@dataclass(frozen=True)
class Server:
    """One that listens."""

    asked: Place  # where the configuration wants it
    place: Place  # where it is
    scope: trio.CancelScope


Prepared = dict[str, Server | None]  # by table: what takes over there; None: nothing


def places_of(plan: Plan) -> dict[str, Place | None]:
    """Where the configuration wants each of them."""
    metrics, admin = plan.config.metrics, plan.config.admin
    return {
        "metrics": metrics.address if metrics is not None else None,
        "admin": (admin.address or plan.folder / (admin.socket or "")) if admin is not None else None,
    }


class Endpoints:
    """Metrics and admin, each where there is a table for it."""

    def __init__(self, serve: dict[str, Serve]) -> None:
        self._serve = serve
        self._servers: dict[str, Server] = {}
        self._nursery: trio.Nursery | None = None

    def place(self, table: str) -> Place | None:
        """Where it really listens."""
        server = self._servers.get(table)
        return server.place if server is not None else None

    async def open(self, plan: Plan, nursery: trio.Nursery) -> None:
        """Have them listen, for as long as the nursery is open. Raises RouterError E-CFG-09."""
        self._nursery = nursery
        self.take_over(await self.prepare(plan))

    async def prepare(self, plan: Plan) -> Prepared:
        """Have those listen that shall be elsewhere. Raises RouterError E-CFG-09, and then none does."""
        prepared: Prepared = {}
        try:
            for table, asked in places_of(plan).items():
                server = self._servers.get(table)
                if asked != (server.asked if server is not None else None):
                    prepared[table] = await self._start(table, asked) if asked is not None else None
        except BaseException:
            self.abandon(prepared)
            raise
        return prepared

    async def _start(self, table: str, asked: Place) -> Server:
        assert self._nursery is not None
        scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[Place]) -> None:
            with scope:
                await self._serve[table](asked, task_status=task_status)

        return Server(asked, await self._nursery.start(run), scope)

    def abandon(self, prepared: Prepared) -> None:
        """They are not needed after all."""
        for server in prepared.values():
            if server is not None:
                server.scope.cancel()

    def take_over(self, prepared: Prepared, turn: trio.Lock | None = None) -> None:
        """Have these instead of those of before. `turn` is held by whoever must not be interrupted by the end of a server."""
        for table, server in prepared.items():
            former = self._servers.pop(table, None)
            if server is not None:
                self._servers[table] = server
            if former is not None and self._nursery is not None:
                self._nursery.start_soon(partial(_close, former, turn or trio.Lock()))


async def _close(server: Server, turn: trio.Lock) -> None:
    await trio.sleep(MOMENT)
    async with turn:
        server.scope.cancel()
