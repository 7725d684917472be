"""Takes a standing-by router, or one of its services, into use by an operator's word, and out of it again."""

# Rules this file keeps, all of them tested:
#
# 1. Who stands by has no link, dials nothing, not even for a probe, and its ports refuse connections as those of a machine that is off:
#    clients and balancers find the router that is in use by themselves. The ports are held all the same, so that taking over cannot fail
#    for want of one.
# 2. Who leaves use parts with its sessions first and with its links after that: what was asked is answered on the way.
# 3. That no two routers are in use at once is not known here, and cannot be.

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from telegram_router.backend_doors import BackendDoors
from telegram_router.doors import Doors
from telegram_router.errors import RouterError
from telegram_router.plan import Plan
from telegram_router.routing import Peer, Service, Switch
from telegram_router.serving import Serving
from telegram_router.standby import Standby
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.parting import part, part_with_links

REASON = "demoted"


class Running(Protocol):
    """What of a running router this has to do with."""

    plan: Plan
    switch: Switch
    hub: Hub
    doors: Doors
    backend_doors: BackendDoors
    servings: dict[Service, Serving]
    standby: Standby

    @property
    def log(self) -> Log: ...


class Promoter:
    """Carries out `promote` and `demote`."""

    def __init__(self, router: Running, nursery: trio.Nursery) -> None:
        self._router = router
        self._nursery = nursery

    async def promote(self, service: str | None) -> bool:
        """Into use. False when it is so already. Raises RouterError E-CFG-09 when a port cannot be opened: then nothing has changed."""
        standby = self._router.standby
        if standby.parting:
            raise RouterError(
                "E-ADM-05", "the router still parts with its clients and links", do="send it again when the status says standby"
            )
        if not (standby.whole if service is None else service in standby.services):
            return False
        if service is None:
            self._router.doors.wake()
            standby.whole = False
        else:
            standby.services.discard(service)
        await self._step(self._settle)
        self._router.log.info("promoted", service=service)
        return True

    async def demote(self, service: str | None) -> bool:
        """Out of use; what is in flight is let finish meanwhile. False when it is so already."""
        standby = self._router.standby
        if standby.whole if service is None else service in standby.services:
            return False
        if service is None:
            standby.whole = standby.parting = True
            self._router.doors.rest()
            self._nursery.start_soon(self._leave)
        else:
            standby.services.add(service)
            self._nursery.start_soon(self._part_with_circuits)
        return True

    async def _leave(self) -> None:
        router = self._router
        patience = router.plan.config.drain
        async with trio.open_nursery() as nursery:
            for listener in router.switch.listeners.values():
                nursery.start_soon(part, router.hub, listener, 0.0, patience, REASON)
        await self._part_with_circuits()
        router.standby.parting = False
        router.log.info("demoted")

    async def _part_with_circuits(self) -> None:
        links: list[Peer] = []

        def retire(now: float) -> None:
            links.extend(self._settle(now))

        await self._step(retire)
        await part_with_links(self._router.hub, links, self._router.plan.config.drain, REASON)

    def _settle(self, now: float) -> list[Peer]:
        """Every service has the circuits that it is to have now. Returns the links that are given nothing any more."""
        router = self._router
        given_up: list[Peer] = []
        for service, serving in router.servings.items():
            settings = router.plan.config.services.get(service.name)
            if settings is not None and router.switch.services.get(service.name) is service:
                given_up += serving.adopt(settings, router.plan)
        given_up += router.backend_doors.settle()
        for link in given_up:
            router.switch.retire(link)
        for service in router.switch.services.values():
            router.switch.elect(service, now)
        return given_up

    async def _step(self, step: Callable[[float], object]) -> None:
        done = trio.Event()

        def run(now: float) -> None:
            step(now)
            done.set()

        self._router.hub.enter_whole(run)
        await done.wait()
