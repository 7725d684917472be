"""A bank's night: the whole router on a network in memory and a clock that jumps, from a seed.

Only what a kernel does is played: connecting, the sockets and the bytes of a probe. Whatever left is noted where the kernel takes it,
so that "not sent" and "unknown" are held against the truth and not against the router's own word.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import trio
import trio.testing
from authority import Authority
from night_books import Books, Sums
from night_parties import ANSWERED, BACK, DRAIN, FAULTS, FOURTH, INTERVAL, LOOK, NAMES, TIMEOUT, Bank, Host, Spell, configuration, transfer
from running_router import Lines

from telegram_router.app import Router
from telegram_router.ops.logs import open_log
from telegram_router.plan import read_plan
from telegram_router.routing.backends import Admin
from telegram_router.wire.links import Backend
from telegram_router.wire.memory import MemoryNet, MemorySocket
from telegram_router.wire.probes import Prober

HOURS = 8
HOUR = 3600.0


class Night:
    """One router, its hosts and its clients, through eight hours."""

    def __init__(self, seed: int, folder: Path, *, hours: float = HOURS, pause: float = 40.0) -> None:
        """`pause`: between two batches of one client, in the mean."""
        self.chance = Random(seed)
        self.folder, self.hours, self.pause = folder, hours, pause
        self.sums = Sums(seed)
        self.net = MemoryNet()
        self.lines = Lines()
        self.hosts: dict[str, Host] = {}
        self.banks: list[Bank] = []
        self.number = 0
        self.over = False
        self.authority = Authority(folder, "authority")
        self.trust = ssl.create_default_context(cafile=self.authority.file)
        self.renews()
        self.file = folder / "router.toml"
        self.file.write_text(configuration(NAMES), "utf-8")

    def renews(self) -> None:
        """A new pair of certificate and key, of which the second name tells when it is from."""
        pair = self.authority.issue("router.example")
        for part, path in (("pem", pair.certificate), ("key", pair.key)):
            (self.folder / f"own.{part}").write_bytes(Path(path).read_bytes())
            (self.folder / f"own.{part}").chmod(0o600)

    def run(self) -> Sums:
        with ExitStack() as stack:
            for place, stand_in in self._stand_ins():
                stack.enter_context(patch(place, stand_in))
            trio.run(self._live, clock=trio.testing.MockClock(autojump_threshold=0))
        assert not self.lines.named("bug") and self.router.hub.containments == 0, self.lines.text[-2000:]
        assert self.closed_early == [], "sessions that ended before the clients wished it"
        assert self.books_at_rest, "something is still open"
        Books(self.sums, self.hosts.values(), self.banks, self.ended).judge()
        return self.sums

    def _stand_ins(self) -> Iterator[tuple[str, Any]]:
        async def dial(backend: Backend) -> MemorySocket:
            await trio.lowlevel.checkpoint()
            sock, link = self.hosts[backend.name].connect(self.net)
            self.nursery.start_soon(link.serve)
            return sock

        async def probe(prober: Prober) -> bool:
            return await self.hosts[prober._backend.name].probe()

        async def at_once(work: Callable[..., Any], *args: Any, **_: object) -> Any:
            """The clock would jump while a thread works."""
            await trio.lowlevel.checkpoint()
            return work(*args)

        yield "telegram_router.wire.links.dial", dial
        yield "telegram_router.wire.probes.Prober._try", probe
        yield "telegram_router.serving.random.random", self.chance.random
        yield "telegram_router.wire.hub.SWEEP", LOOK
        for idle in ("app.LOG_TICK", "recording.FLUSH", "watching.LOOK", "wire.parting.LOOK_FOR_OLD"):  # nothing here waits for them
            yield f"telegram_router.{idle}", 60.0
        yield "trio.to_thread.run_sync", at_once
        yield "trio._core._run._r", Random(self.chance.random())
        yield "trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True

    async def _live(self) -> None:
        self.hosts = {name: Host(name, self.chance) for name in (*NAMES, FOURTH)}
        self.hosts[FOURTH].spells.append(Spell("gone", 0, float("inf")))
        self.router = Router(read_plan(self.file), open_log("info", self.lines.stream), self.net.poller)
        self.router.hub.wall = lambda: 1_700_000_000 + trio.current_time()
        self.began = trio.current_time()
        async with trio.open_nursery() as self.nursery:
            await self.nursery.start(self._serve)
            await trio.sleep(INTERVAL)
            for place in range(6):
                await self.comes("lines" if place < 2 else "companies")
            for bank in self.banks:
                self.nursery.start_soon(self.asks, bank)
            await self.pass_on()
            self.over = True
            await trio.sleep(BACK + ANSWERED)
            self.ended = trio.current_time()
            self.closed_early = list(self.lines.named("session_closed"))
            self.books_at_rest = self.router.switch.idle
            self.sums.late = self.core.late
            self.sums.retries = self.core.retries
            self.sums.probes = sum(sum(each.checks.values()) for each in self.core.pool.backends.values())
            self.sums.beats = sum(host.beats for host in self.hosts.values())
            self.router.stop()
            await trio.sleep(DRAIN)
            self.nursery.cancel_scope.cancel()

    async def _serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self.router.run(task_status=task_status)

    @property
    def core(self) -> Any:
        return self.router.switch.services["core"]

    async def comes(self, listener: str) -> Bank:
        """A client connects."""
        sock, far = self.net.pair()
        bank = Bank(sock, far, self.trust if listener == "lines" else None)
        self.router.acceptors[listener].welcome(sock, (f"192.0.2.{len(self.banks)}", 4000), {})  # type: ignore[arg-type]
        self.nursery.start_soon(bank.reads)
        self.banks.append(bank)
        await bank.ready.wait()
        return bank

    async def asks(self, bank: Bank) -> None:
        while not self.over:
            await trio.sleep(self.chance.expovariate(1 / self.pause))
            self.ask(bank, self.chance.choice([1, 1, 2, 4]))

    def ask(self, bank: Bank, count: int) -> None:
        if self.over:
            return
        numbers = range(self.number + 1, self.number + count + 1)
        self.number += count
        bank.asked.update(dict.fromkeys(numbers, trio.current_time()))
        bank.says(b"".join(map(transfer, numbers)))

    # --- what happens in the night

    async def pass_on(self) -> None:
        """Events one after the other, each a while after the last; those of operators at their hours."""
        orders: deque[tuple[float, Callable[[], Awaitable[None]]]] = deque(
            (self.began + self.hours * HOUR * share, order)
            for share, order in [
                (0.2, self.adds_a_host),
                (0.35, self.drains_a_host),
                (0.5, self.renews_the_certificate),
                (0.7, self.removes_it),
            ]
        )
        end = self.began + self.hours * HOUR
        wanted = deque([*self.chance.sample(FAULTS, len(FAULTS)), "all die"])
        while trio.current_time() < end:
            await trio.sleep(self.chance.uniform(60, 420))
            if orders and trio.current_time() >= orders[0][0]:
                await orders.popleft()[1]()
                continue
            kind = wanted.popleft() if wanted else self.chance.choice(FAULTS)
            await (self.all_die() if kind == "all die" else self.trouble(kind))
        assert not orders and not wanted, "the night was too short"

    async def trouble(self, kind: str) -> None:
        """One host has a fault, and often another one too, in the midst of traffic."""
        names = self.chance.sample(NAMES, self.chance.choice([1, 1, 2]))
        async with trio.open_nursery() as nursery:
            for name in names:
                seconds = self.chance.choice([8.0, 40.0, 150.0])
                self.sums.spells[kind] += 1
                self.ask(self.chance.choice(self.banks), 20)
                nursery.start_soon(self.hosts[name].suffers, kind, seconds)
                nursery.start_soon(self.bursts, min(seconds, 30.0))
                kind = self.chance.choice(FAULTS)

    async def bursts(self, seconds: float) -> None:
        for _ in range(10):
            await trio.sleep(seconds / 10)
            self.ask(self.chance.choice(self.banks), self.chance.choice([1, 5, 12]))

    async def all_die(self) -> None:
        async with trio.open_nursery() as nursery:
            for host in self.hosts.values():
                if not host.troubled(trio.current_time(), trio.current_time(), ("gone",)):
                    nursery.start_soon(host.suffers, "dies", 30.0)
            nursery.start_soon(self.bursts, 25.0)
        self.sums.spells["all die"] += 1
        await trio.sleep(BACK)

    async def reloads(self, backends: tuple[str, ...], timeout: float) -> None:
        self.file.write_text(configuration(backends, timeout), "utf-8")
        report = await self.router.reload()
        assert report.applied, report.problems

    async def adds_a_host(self) -> None:
        await self.reloads((*NAMES, FOURTH), TIMEOUT - 0.5)
        self.hosts[FOURTH].spells[0].end = trio.current_time()
        self.sums.spells["reload"] += 1
        await self.bursts(20)

    async def removes_it(self) -> None:
        self.ask(self.banks[0], 20)
        await trio.lowlevel.checkpoint()
        await self.reloads(NAMES, TIMEOUT)
        self.hosts[FOURTH].spells.append(Spell("gone", trio.current_time(), float("inf")))
        self.sums.spells["reload"] += 1
        await self.bursts(20)

    async def drains_a_host(self) -> None:
        host = self.hosts[self.chance.choice(NAMES)]
        self.ask(self.banks[0], 20)
        await trio.sleep(0.001)
        spell = Spell("drained", trio.current_time(), float("inf"))
        host.spells.append(spell)
        self.order(host.name, Admin.DRAIN)
        await self.bursts(120)
        self.order(host.name, Admin.READY)
        spell.end = trio.current_time()
        self.sums.spells["drain"] += 1

    def order(self, name: str, admin: Admin) -> None:
        self.router.hub.enter(lambda now: self.router.switch.order(self.core, name, admin, now))

    async def renews_the_certificate(self) -> None:
        """Whoever comes now is shown the new one; whoever is there notices nothing."""
        before = self.serial(self.banks[0])
        self.renews()
        report = await self.router.reload()
        assert report.applied, report.problems
        newcomer = await self.comes("lines")
        assert self.serial(newcomer) != before == self.serial(self.banks[0])
        self.nursery.start_soon(self.asks, newcomer)
        self.ask(self.banks[0], 5)
        self.sums.spells["renewal"] += 1

    @staticmethod
    def serial(bank: Bank) -> object:
        assert bank.tls is not None
        shown = bank.tls._ssl.getpeercert()
        assert shown is not None
        return shown["serialNumber"]
