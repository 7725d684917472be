"""Ask backends again and again whether they are there, each time on a connection of its own."""

# A probe is rare and none of a telegram's business, so this is plain trio: a task for each backend, streams, timeouts.

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import trio

from telegram_router.errors import RouterError
from telegram_router.routing import Service
from telegram_router.routing.backends import Admin, Health
from telegram_router.routing.backends import Backend as Fitness
from telegram_router.telegrams import Spec
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import Backend, dial

ANSWER_AT_MOST = 16_384
_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)[ \r]")


@dataclass(frozen=True)
class ProbePolicy:
    """How a backend is probed. Times in seconds."""

    kind: Literal["connect", "tls", "poll", "http"] = "connect"
    interval: float = 2.0
    timeout: float = 2.0
    rise: int = 2
    fall: int = 3
    fast_interval: float = 1.0
    down_interval: float = 5.0
    path: str = "/"
    host: str = ""  # the Host header of `http`


class Count:
    """Probes in a row, and what they say. The first one decides at once."""

    def __init__(self, policy: ProbePolicy, health: Health = Health.UNKNOWN) -> None:
        self._policy = policy
        self.health = health
        self._run = 0  # results in a row that speak against `health`

    def note(self, good: bool) -> Health:
        """After another probe."""
        said = Health.UP if good else Health.DOWN
        if self.health is Health.UNKNOWN:
            self.health = said
        elif said is self.health:
            self._run = 0
        else:
            self._run += 1
            if self._run >= (self._policy.rise if good else self._policy.fall):
                self.health, self._run = said, 0
        return self.health

    def pause(self, chance: float) -> float:
        """Seconds to the next probe; `chance` from 0 to 1 jitters it by a tenth."""
        policy = self._policy
        if self._run:
            pause = policy.fast_interval
        else:
            pause = policy.down_interval if self.health is Health.DOWN else policy.interval
        return pause * (0.9 + 0.2 * chance)


class Prober:
    """Probes one backend of a service for ever."""

    def __init__(self, hub: Hub, service: Service, backend: Backend, policy: ProbePolicy, chance: Callable[[], float]) -> None:
        self._hub = hub
        self._service = service
        self._backend = backend
        self._policy = policy
        self._chance = chance
        self._count = Count(policy, self._fitness.health)
        self._over = False
        self.good = self.bad = 0

    def adopt(self, backend: Backend) -> None:
        """Ask it so from the next time on."""
        self._backend = backend

    def end(self) -> None:
        """What was found last is told to nobody; `run` is the caller's to cancel."""
        self._over = True

    async def run(self) -> None:
        """The first probe comes at some time of the first interval: backends of one service are not all asked at once."""
        await trio.sleep(self._policy.interval * self._chance() * 0.5)
        while True:
            if self._fitness.admin is not Admin.MAINT:
                await self.probe()
            await trio.sleep(self._count.pause(self._chance()))

    @property
    def _fitness(self) -> Fitness:
        return self._service.pool.named(self._backend.name)

    async def probe(self) -> bool:
        """One probe, and what it means for the backend."""
        good = await self._asks()
        self.good += good
        self.bad += not good
        self._fitness.checks["ok" if good else "failed"] += 1
        before = self._fitness.health
        health = self._count.note(good)
        if health is not before:
            self._hub.enter(lambda now: self._tell(health, now))
        return good

    def _tell(self, health: Health, now: float) -> None:
        if not self._over:
            self._hub.switch.probed(self._service, self._backend.name, health, now)

    async def _asks(self) -> bool:
        try:
            with trio.fail_after(self._policy.timeout):
                return await self._try()
        except (RouterError, trio.TooSlowError, trio.BrokenResourceError, OSError):  # the errors of ssl are OSErrors
            return False

    async def _try(self) -> bool:
        sock = await dial(self._backend)
        stream: trio.abc.Stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        try:
            if self._backend.tls is not None:
                stream = trio.SSLStream(stream, self._backend.tls, server_hostname=self._backend.server_name or self._backend.host)
                await stream.do_handshake()
            if self._policy.kind == "poll":
                return await self._poll(stream, self._service.spec)
            if self._policy.kind == "http":
                return await self._get(stream)
            return True
        finally:
            await trio.aclose_forcefully(stream)

    @staticmethod
    async def _poll(stream: trio.abc.Stream, spec: Spec) -> bool:
        asked = spec.framing.poll_request(datetime.now().strftime("%m%d%H%M%S").encode())
        if asked is None:
            return False
        wanted = spec.poll_answer(asked)
        await stream.send_all(asked)
        got = b""
        while wanted is not None and len(got) < len(wanted):
            more = await stream.receive_some(ANSWER_AT_MOST)
            if not more:
                return False
            got += more
        return wanted is None or got.startswith(wanted)

    async def _get(self, stream: trio.abc.Stream) -> bool:
        policy = self._policy
        await stream.send_all(f"GET {policy.path} HTTP/1.1\r\nHost: {policy.host}\r\nConnection: close\r\n\r\n".encode("ascii"))
        got = b""
        while b"\n" not in got and len(got) < ANSWER_AT_MOST:
            more = await stream.receive_some(ANSWER_AT_MOST)
            if not more:
                return False
            got += more
        status = _STATUS.match(got)
        return status is not None and status[1][:1] == b"2"
