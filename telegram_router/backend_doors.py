"""The doors of all services whose backends dial us: bound, opened, moved and taken away while the router runs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from functools import partial

from telegram_router.config import Address, Listen, TelegramService
from telegram_router.doors import proxies_of
from telegram_router.errors import RouterError
from telegram_router.plan import Plan, callers_of
from telegram_router.routing import Peer, Service
from telegram_router.routing.callers import Callers
from telegram_router.serving import Surroundings
from telegram_router.standby import Standby
from telegram_router.wire.backend_door import BackendDoor, Terms
from telegram_router.wire.connection import Limits
from telegram_router.wire.door import bind
from telegram_router.wire.inherited import Held
from telegram_router.wire.links import Outcomes

Sockets = dict[str, socket.socket]  # by service


class BackendDoors:
    """Where backends come in."""

    def __init__(self, standby: Standby, held: Held) -> None:
        self._standby = standby
        self._held = held
        self._around: Surroundings | None = None
        self.doors: dict[str, BackendDoor] = {}
        self._bound: Sockets = {}  # last; perhaps before any door has got it

    def bind(self, plan: Plan, before: Plan | None = None) -> Sockets:
        """The sockets that the plan needs and that are not there. Raises RouterError E-CFG-09, and then none is bound."""
        bound: Sockets = {}
        listening = _listening(before) if before is not None else {}
        try:
            for name, (_, listen) in _listening(plan).items():
                if name not in listening or listening[name][1].address != listen.address:
                    bound[name] = self._bind(name, listen.address, listening=not self._standby.holds(name))
        except RouterError:
            release(bound)
            raise
        self._bound = bound
        return bound

    def build(self, plan: Plan, services: Mapping[str, Service], bound: Sockets, around: Surroundings) -> list[Peer]:
        """Have exactly the plan's doors, open. Returns the links of hosts that are not who they were any more."""
        former, self.doors = self.doors, {}
        known = {(name, backend) for name, door in former.items() for backend in door.backends}
        surplus: list[Peer] = []
        new: list[BackendDoor] = []
        self._around = around
        for name, (settings, listen) in _listening(plan).items():
            door, terms = former.pop(name, None), terms_of(settings, listen, plan, name)
            outcomes = partial(_outcomes, around, name)
            for backend in terms.callers.backends:
                outcomes(backend)  # series begin at zero
            if door is not None and door.service is services[name]:
                surplus += door.adopt(terms)
                if name in bound:
                    door.move(bound[name]).close()
            else:
                sock = bound[name] if name in bound or door is None else door.give_away()
                if name in bound and door is not None:
                    door.give_away().close()
                door = BackendDoor(around.hub, services[name], sock, terms, outcomes, around.log)
                new.append(door)
            self.doors[name] = door
        for door in former.values():
            door.give_away().close()
        for gone in known - {(name, backend) for name, door in self.doors.items() for backend in door.backends}:
            around.outcomes.pop(gone, None)
        for door in new:
            door.shut = self._standby.holds(door.name)
            if not door.rests:
                around.start(door.run)
        return surplus

    def settle(self) -> list[Peer]:
        """Open the doors of services that stand by no more, close those of others. Returns the links of hosts that came in there."""
        links: list[Peer] = []
        for name, door in self.doors.items():
            if self._standby.holds(name):
                links += door.peers
                if door.accepting and not (door.rests or door.shut):
                    self._rest(door)
            else:
                door.shut = False
                if door.rests:
                    self._wake(door)
        return links

    def _rest(self, door: BackendDoor) -> None:
        assert self._around is not None
        door.give_away().close()
        with contextlib.suppress(RouterError):
            door.move(self._bind(door.name, Address(*door.address), listening=False)).close()
            door.shut = True
            self._around.start(door.run)

    def _bind(self, name: str, address: Address, *, listening: bool) -> socket.socket:
        return self._held.at(f"services.{name}.listen", address) or bind(address.host, address.port, listening=listening)

    def _wake(self, door: BackendDoor) -> None:
        assert self._around is not None
        try:
            door.wake()
        except RouterError as error:
            self._around.log.error("door_lost", code=error.code, service=door.name, **error.parts())
        else:
            self._around.start(door.run)

    def close(self) -> None:
        release(self._bound)
        for door in self.doors.values():
            door.close()


def terms_of(settings: TelegramService, listen: Listen, plan: Plan, name: str) -> Terms:
    limits = Limits(
        settings.frame_timeout, settings.write_timeout, listen.handshake_timeout, max_frame=settings.max_frame, keepalive=settings.keepalive
    )
    proxies = proxies_of(listen.proxy_protocol, listen.handshake_timeout)
    return Terms(
        Callers(callers_of(settings, plan.specs[plan.spoken[name]])),
        limits,
        settings.links,
        listen.extra,
        settings.timeout,
        plan.backend_tls.get(name),
        proxies,
    )


def release(bound: Sockets) -> None:
    """They are not needed after all."""
    for sock in bound.values():
        sock.close()


def _outcomes(around: Surroundings, service: str, backend: str) -> Outcomes:
    return around.outcomes.setdefault((service, backend), Outcomes())


def _listening(plan: Plan) -> dict[str, tuple[TelegramService, Listen]]:
    services = plan.config.services.items()
    return {name: (each, each.listen) for name, each in services if isinstance(each, TelegramService) and each.listen is not None}
