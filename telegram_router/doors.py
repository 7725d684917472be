"""The doors of all listeners: bound, opened, moved and taken away while the router runs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

import trio

from telegram_router.assembly import keeps_listener
from telegram_router.config import Address, ProxyProtocol
from telegram_router.config import Listener as Settings
from telegram_router.errors import RouterError
from telegram_router.plan import Plan
from telegram_router.routing import Listener
from telegram_router.wire.connection import Limits
from telegram_router.wire.door import Proxies, bind
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.inherited import Held
from telegram_router.wire.listeners import Acceptor

Bound = dict[str, socket.socket | str]  # by listener: a new socket, or the name of the listener whose door it gets


class Doors:
    """Where clients come in."""

    def __init__(self, hub: Hub, log: Log, held: Held, *, resting: bool = False) -> None:
        """`resting`: addresses are only held."""
        self._resting = resting
        self.acceptors: dict[str, Acceptor] = {}
        self._held = held
        self._hub = hub
        self._log = log
        self._nursery: trio.Nursery | None = None

    def bind(self, plan: Plan, before: Plan | None = None) -> Bound:
        """The sockets that the plan needs and that are not there. Raises RouterError E-CFG-09, and then none is bound."""
        listeners = before.config.listeners if before is not None else {}
        bound: Bound = {}
        try:
            for name, settings in plan.config.listeners.items():
                old = listeners.get(name)
                lost = name in self.acceptors and not keeps_listener(before, plan, name) and not self.acceptors[name].accepting
                if old is None or old.address != settings.address or lost:
                    heir = self._left_behind(settings, plan.config.listeners, listeners)
                    bound[name] = heir or self._bind(name, settings.address)
        except RouterError:
            release(bound)
            raise
        return bound

    def build(self, plan: Plan, listeners: Mapping[str, Listener], bound: Bound) -> list[Acceptor]:
        """Have exactly the plan's doors. Returns the new ones, nobody accepts there yet."""
        free = self._taken_away(plan, listeners, bound)
        new = []
        acceptors = {}
        for name, settings in plan.config.listeners.items():
            got = bound.get(name)
            sock = free.pop(got) if isinstance(got, str) else got
            limits = Limits(
                settings.frame_timeout,
                settings.write_timeout,
                settings.handshake_timeout,
                settings.unread,
                settings.max_frame,
                settings.keepalive,
            )
            tls, proxies = plan.server_tls.get(name), proxies_of(settings.proxy_protocol, settings.handshake_timeout)
            door = self.acceptors.get(name)
            if door is None or door.listener is not listeners[name]:
                sock = sock or free.pop(name)
                door = Acceptor(self._hub, listeners[name], sock, limits, settings.max_sessions, self._log, tls, proxies)
                if name in self.acceptors:
                    door.numbers = self.acceptors[name].numbers  # of sessions; those of before are still there
                new.append(door)
            else:
                door.adopt(limits, settings.max_sessions, tls, proxies)
                if sock is not None:
                    if not door.accepting and got != name:
                        new.append(door)  # taken away by an operator, and another address opens it again
                    free[f"{name} before"] = door.move(sock)
            acceptors[name] = door
        self.acceptors = acceptors
        for sock in free.values():
            sock.close()
        return new

    def _taken_away(self, plan: Plan, listeners: Mapping[str, Listener], bound: Bound) -> dict[str, socket.socket]:
        """The sockets of doors that somebody else gets, or nobody."""
        gone = {name for name, door in self.acceptors.items() if listeners.get(name) is not door.listener}
        wanted = {heir for heir in bound.values() if isinstance(heir, str)}
        return {name: self.acceptors[name].give_away() for name in gone | wanted}

    def _left_behind(self, wanted: Settings, after: Mapping[str, Settings], before: Mapping[str, Settings]) -> str | None:
        """The listener that accepts at this address and will not any more. Port 0 is never the same address."""
        for name, settings in before.items():
            leaves = self.acceptors[name].accepting and (name not in after or after[name].address != settings.address)
            if leaves and settings.address == wanted.address and wanted.address.port:
                return name
        return None

    def open(self, nursery: trio.Nursery) -> None:
        """Let clients in at every door."""
        self._nursery = nursery
        self.open_these(list(self.acceptors.values()))

    def open_these(self, doors: list[Acceptor]) -> None:
        assert self._nursery is not None
        for door in doors:
            door.shut = self._resting
            if not door.rests:
                self._nursery.start_soon(door.run)

    def rest(self) -> None:
        """Who has knocked is let in, who knocks from now on is refused by the kernel; the addresses are held."""
        self._resting = True
        for name, door in self.acceptors.items():
            if door.accepting:
                self._hold(name, door)

    def _hold(self, name: str, door: Acceptor) -> None:
        host, port = door.address
        door.give_away().close()
        with contextlib.suppress(RouterError):  # somebody took it at once: it is a door that was taken away
            door.move(self._bind(name, Address(host, port))).close()
            self.open_these([door])

    def wake(self) -> None:
        """Let clients in at every door whose address is held. Raises RouterError E-CFG-09, and then all rest on."""
        resting = {name: door for name, door in self.acceptors.items() if door.rests}
        try:
            for door in resting.values():
                door.wake()
        except RouterError:
            for name, door in resting.items():
                if not door.rests:
                    self._hold(name, door)
            raise
        self._resting = False
        for door in self.acceptors.values():
            door.shut = False
        self.open_these(list(resting.values()))

    def reopen(self, name: str, plan: Plan) -> None:
        """Let clients in again at a door that was given away. Raises RouterError E-CFG-09 when its address is taken by now."""
        door = self.acceptors[name]
        wanted = plan.config.listeners[name].address
        door.move(self._bind(name, Address(wanted.host, wanted.port or door.address[1]))).close()
        self.open_these([door])

    def close(self) -> None:
        for door in self.acceptors.values():
            door.close()

    def _bind(self, name: str, address: Address) -> socket.socket:
        """A socket of ours."""
        return self._held.at(f"listeners.{name}", address) or bind(address.host, address.port, listening=not self._resting)


def release(bound: Bound) -> None:
    """They are not needed after all."""
    for sock in bound.values():
        if not isinstance(sock, str):
            sock.close()


def proxies_of(settings: ProxyProtocol | None, patience: float) -> Proxies | None:
    """Whose PROXY headers are read at a door."""
    return Proxies(settings.networks, patience) if settings is not None else None
