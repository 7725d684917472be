"""A bank's night: the whole router on a network in memory and a clock that jumps, from a seed, and the books that it is held against.

Only what a kernel does is played: connecting, the sockets and the bytes of a probe. Whatever left is noted where the kernel takes it,
so that "not sent" and "unknown" are held against the truth and not against the router's own word.
"""

# What is checked when it is over (and `Night.judge` says where it fails):
#
# 1. No session was ended by us; every request got one answer, on the session that asked.
# 2. An answer is that of its own request, byte for byte, and its host has had the request.
# 3. No request left twice. What is "not sent" has not left, what is "unknown" has left, and to a host that had a fault meanwhile.
# 4. A request is unsent only where no host was to be had; a host in trouble is found out, and left alone, within its bound.
# 5. A host that is drained is given nothing; one that is well again is used again, within the bound.

from __future__ import annotations

import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import trio
import trio.testing
from authority import Authority
from running_router import ROOT, Lines, answer_to, put, sample, spec_named
from running_router import field as field_of

from telegram_router.app import Router
from telegram_router.errors import RouterError
from telegram_router.ops.logs import open_log
from telegram_router.plan import read_plan
from telegram_router.routing.backends import Admin
from telegram_router.wire.links import Backend
from telegram_router.wire.memory import Far, MemoryNet, MemorySocket
from telegram_router.wire.probes import Prober
from telegram_router.wire.tls import TlsLayer

HOURS = 8
HOUR = 3600.0
LOOK = 1.0  # how often the hub looks at its deadlines here: more often costs real time and proves nothing more
SPEC = spec_named("firmbanking")
CUT = SPEC.framing.cutter(SPEC.header_size)
NUMBER = SPEC.header_slice("message_number")
TEMPLATE = sample("transfer.request")
NAMES = ("10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100")
FOURTH = "10.0.0.4:9100"
FAULTS = ("dies", "flaps", "hangs", "resets", "stalls")

# Times of the configuration, in seconds; the bounds below are worked out from them.
TIMEOUT, PENDING, DRAIN = 5.0, 1.0, 8.0
INTERVAL, PROBE, FALL, RISE, FAST, DOWN = 5.0, 2.0, 3, 2, 1.0, 10.0
RECONNECT = 8.0
BASE, LONGEST, CONSECUTIVE = 10.0, 60.0, 5
WRITE = 2.0
JITTER = 1.1

DETECTED = JITTER * INTERVAL + PROBE + (FALL - 1) * (JITTER * FAST + PROBE) + LOOK  # until a silent host is given nothing more
BACK = max(JITTER * DOWN + (RISE - 1) * JITTER * FAST + RISE * PROBE, RECONNECT) + LONGEST + LOOK  # until one that is well is used again
ANSWERED = TIMEOUT + PENDING + 2 * LOOK  # until whoever asks is told something


def configuration(backends: tuple[str, ...], timeout: float = TIMEOUT) -> str:
    addresses = ", ".join(f'"{each}"' for each in backends)
    return f"""
specs = "{ROOT / "specs"}"
drain = "{DRAIN:g}s"
[listeners.companies]
address = "127.0.0.1:0"
spec = "firmbanking"
conduct = {{ heartbeat = "60s" }}
[listeners.lines]
address = "127.0.0.1:0"
spec = "firmbanking"
[listeners.lines.tls]
certificate = "own.pem"
key = "own.key"
[services.core]
backends = [{addresses}]
timeout = "{timeout:g}s"
pending_timeout = "{PENDING:g}s"
write_timeout = "{WRITE:g}s"
reconnect_min = "500ms"
reconnect_max = "{RECONNECT:g}s"
conduct = {{ heartbeat = "30s", misses = 2 }}
[services.core.health]
probe = "poll"
interval = "{INTERVAL:g}s"
timeout = "{PROBE:g}s"
rise = {RISE}
fall = {FALL}
fast_interval = "{FAST:g}s"
down_interval = "{DOWN:g}s"
[services.core.ejection]
consecutive = {CONSECUTIVE}
base = "{BASE:g}s"
longest = "{LONGEST:g}s"
[[routes]]
listener = ["companies", "lines"]
service = "core"
default = true
"""


def transfer(number: int) -> bytes:
    return TEMPLATE[: NUMBER.start] + b"%06d" % number + TEMPLATE[NUMBER.stop :]


def number_of(frame: bytes) -> int:
    return int(frame[NUMBER])


class Frames:
    """Cuts a stream."""

    def __init__(self) -> None:
        self.rest = b""

    def of(self, data: bytes) -> list[bytes]:
        frames, stop = CUT(self.rest + data, 0, 1_000_000)
        self.rest = (self.rest + data)[stop:]
        return frames


@dataclass
class Spell:
    """A time in which a host is not what it should be, or is given nothing by order."""

    kind: str
    begin: float
    end: float


class Link:
    """The host's end of one connection. What the router's kernel took is noted as it is taken."""

    def __init__(self, host: Host, far: Far) -> None:
        self.host, self.far = host, far
        self.left = Frames()
        receive = far.receive

        def noting(data: bytes) -> None:
            for frame in self.left.of(data):
                if not SPEC.is_poll(frame):
                    host.left.append((number_of(frame), trio.current_time()))
            receive(data)

        far.receive = noting  # type: ignore[method-assign]

    @property
    def torn(self) -> int | None:
        """The number of the telegram of which only the beginning left, where that much did; -1 where it did not."""
        rest = self.left.rest
        if not rest:
            return None
        return number_of(rest) if len(rest) >= NUMBER.stop else -1

    async def serve(self) -> None:
        frames = Frames()
        with suppress(EOFError):
            while True:
                data = await self.far.wait_for(bool)
                await self.host.works(self, frames.of(data))


class Host:
    """One backend. `left` is all that was sent to it, `had` what it has carried out."""

    def __init__(self, name: str, chance: Random) -> None:
        self.name, self.chance = name, chance
        self.kind = ""  # of the fault that it has
        self.down = False  # nobody can connect
        self.better = trio.Event()
        self.links: list[Link] = []
        self.left: list[tuple[int, float]] = []
        self.had: Counter[int] = Counter()
        self.spells: list[Spell] = []
        self.resets: list[float] = []

    def connect(self, net: MemoryNet) -> tuple[MemorySocket, Link]:
        if self.down:
            raise RouterError("E-BCK-10", "cannot connect: refused", where=self.name)
        sock, far = net.pair()
        link = Link(self, far)
        if self.kind == "stalls":
            far.takes(self.chance.randrange(700))
        self.links = [each for each in self.links if not each.far.closed or each.left.rest]
        self.links.append(link)
        return sock, link

    async def works(self, link: Link, frames: list[bytes]) -> None:
        polls = [frame for frame in frames if SPEC.is_poll(frame)]
        asked = [frame for frame in frames if not SPEC.is_poll(frame)]
        if self.kind == "hangs":
            await self.better.wait()
        self.say(link, *(SPEC.poll_answer(frame) or b"" for frame in polls))
        if not asked:
            return
        if self.kind == "resets":
            self.had.update(map(number_of, asked))
            self.say(link, answer_to(asked[0])[: self.chance.randrange(300)])
            self.resets.append(trio.current_time())
            link.far.reset()
            return
        self.had.update(map(number_of, asked))
        await trio.sleep(self.chance.choice([0.004, 0.02, 0.02, 0.3]))
        if self.kind == "hangs":
            await self.better.wait()
        self.chance.shuffle(asked)
        self.say(link, *map(answer_to, asked))

    def say(self, link: Link, *frames: bytes) -> None:
        data = b"".join(frames)
        if data:
            with suppress(OSError):  # it has been closed
                link.far.push(data)

    async def probe(self) -> bool:
        if self.down:
            return False
        if self.kind in ("hangs", "stalls"):
            await trio.sleep_forever()
        return True

    # --- faults

    def ends(self, spell: Spell) -> None:
        self.kind, self.down = "", False
        spell.end = trio.current_time()
        self.better.set()
        self.better = trio.Event()
        for link in self.open:
            link.far.takes_all()

    @property
    def open(self) -> list[Link]:
        return [each for each in self.links if not each.far.closed]

    def hangs_up(self) -> None:
        self.down = True
        for link in self.open:
            how = self.chance.choice([link.far.reset, link.far.close])
            with suppress(OSError):
                how()

    async def suffers(self, kind: str, seconds: float) -> None:
        """A fault, from its beginning to its end."""
        spell = Spell(kind, trio.current_time(), float("inf"))
        self.spells.append(spell)
        self.kind = kind
        if kind == "dies":
            self.hangs_up()
        elif kind == "stalls":
            for link in self.open:
                link.far.takes(self.chance.randrange(700))
        end = trio.current_time() + seconds
        while kind == "flaps" and trio.current_time() < end:
            self.hangs_up()
            await trio.sleep(self.chance.uniform(0.5, 3))
            self.down = False
            await trio.sleep(self.chance.uniform(0.5, 6))
        await trio.sleep(max(0.0, end - trio.current_time()))
        self.ends(spell)

    def troubled(self, begin: float, end: float, kinds: tuple[str, ...] = (*FAULTS, "drained", "gone")) -> bool:
        return any(each.begin <= end and each.end >= begin for each in self.spells if each.kind in kinds)


class Bank:
    """One client. Its session begins with the night and is to last as long."""

    def __init__(self, sock: MemorySocket, far: Far, tls: ssl.SSLContext | None) -> None:
        self.sock, self.far = sock, far
        self.tls = TlsLayer(tls, "client", "router.example") if tls is not None else None
        self.ready = trio.Event()
        self.asked: dict[int, float] = {}
        self.told: list[tuple[bytes, float]] = []

    async def reads(self) -> None:
        frames = Frames()
        if self.tls is not None:
            self.tls.handshake()
            self.far.push(self.tls.outgoing())
        else:
            self.ready.set()
        with suppress(EOFError):
            while True:
                data = await self.far.wait_for(bool)
                for frame in frames.of(data if self.tls is None else self.plain(self.tls, data)):
                    if SPEC.is_poll(frame):
                        self.says(SPEC.poll_answer(frame) or b"")
                    else:
                        self.told.append((frame, trio.current_time()))

    def plain(self, tls: TlsLayer, data: bytes) -> bytes:
        tls.feed(data)
        if not tls.ready:
            tls.handshake()
            self.far.push(tls.outgoing())
            if not tls.ready:
                return b""
            self.ready.set()
        parts = []
        while part := tls.read(65_536):
            parts.append(part)
        return b"".join(parts)

    def says(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
            data = self.tls.outgoing()
        self.far.push(data)


@dataclass
class Sums:
    """What a night came to, for whoever runs many."""

    seed: int
    asked: int = 0
    answered: int = 0
    not_sent: int = 0
    unknown: int = 0
    late: int = 0
    retries: int = 0
    spells: Counter[str] = field(default_factory=Counter)
    slowest_detection: float = 0.0
    slowest_return: float = 0.0


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
        self.judge()
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
        await self.reloads((*NAMES, FOURTH), TIMEOUT - 1)
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

    # --- the books

    def judge(self) -> None:
        assert not self.lines.named("bug") and self.router.hub.containments == 0, self.lines.text[-2000:]
        assert self.closed_early == [], "sessions that ended before the clients wished it"
        assert self.books_at_rest, "something is still open"
        self.left = self.all_that_left()
        self.begun = 0  # those unknown of which less left than their number
        self.torn = [number for host in self.hosts.values() for link in host.links if (number := link.torn) is not None]
        for bank in self.banks:
            self.judge_bank(bank)
        for host in self.hosts.values():
            self.judge_host(host)
        assert self.sums.asked == self.sums.answered + self.sums.not_sent + self.sums.unknown

    def all_that_left(self) -> dict[int, tuple[Host, float]]:
        left: dict[int, tuple[Host, float]] = {}
        for host in self.hosts.values():
            for number, at in host.left:
                assert number not in left, f"{number} left twice"
                left[number] = host, at
            assert all(count == 1 for count in host.had.values())
            assert {number for number, _ in host.left} >= set(host.had)
        return left

    def judge_bank(self, bank: Bank) -> None:
        answers: dict[int, tuple[bytes, float]] = {}
        for frame, at in bank.told:
            number = number_of(frame)
            assert number in bank.asked and number not in answers, f"{number} was not asked here, or answered twice"
            answers[number] = frame, at
        assert answers.keys() == bank.asked.keys(), "requests without an answer"
        self.sums.asked += len(bank.asked)
        for number, (frame, told_at) in answers.items():
            asked_at = bank.asked[number]
            assert told_at - asked_at <= ANSWERED, f"{number} waited {told_at - asked_at:.1f} s"
            code = field_of(frame, "response_code")
            if code == "0000":
                self.sums.answered += 1
                assert frame == answer_to(transfer(number)), "not the answer to this request"
                assert self.left[number][0].had[number] == 1
            elif code == "VTIM":
                self.sums.unknown += 1
                assert frame == put(transfer(number), message_type=2100, response_code="VTIM")
                self.judge_unknown(number, asked_at, told_at)
            else:
                self.sums.not_sent += 1
                assert code in ("SB07", "SB05"), code
                assert number not in self.left and number not in self.torn, f"{number} is said not to be sent, and was"
                self.judge_unsent(number, code, asked_at, told_at)

    def judge_unknown(self, number: int, asked_at: float, told_at: float) -> None:
        if number not in self.left:
            self.begun += number not in self.torn
            assert self.begun <= self.torn.count(-1), f"{number} is said to be unknown, and never left"
            return
        host, sent_at = self.left[number]
        if sent_at - asked_at > PENDING and any(each.troubled(asked_at, sent_at, ("stalls",)) for each in self.hosts.values()):
            return  # a host that read no more had held it up until little of its time was left
        assert host.troubled(sent_at, told_at, FAULTS), f"{number} is unknown though {host.name} was well"

    def judge_unsent(self, number: int, code: str, asked_at: float, told_at: float) -> None:
        if code == "SB05" and any(host.troubled(asked_at, told_at, ("stalls",)) for host in self.hosts.values()):
            return  # its link had taken it before the host read no more, and its time was up before the link was
        well = [host.name for host in self.hosts.values() if not host.troubled(asked_at - BACK, told_at)]
        assert not well, f"{number} was not sent though {well} could be had"

    def judge_host(self, host: Host) -> None:
        for spell in host.spells:
            within = [at for _, at in host.left if spell.begin < at < spell.end]
            if spell.kind in ("drained", "gone"):
                assert within == [], f"{host.name} was given something though it was {spell.kind}"
            elif spell.kind == "dies":
                assert within == [], f"{host.name} was given something though nobody could connect"
            elif spell.kind in ("hangs", "stalls"):
                latest = max((at - spell.begin for at in within), default=0.0)
                self.sums.slowest_detection = max(self.sums.slowest_detection, latest)
                assert latest <= DETECTED, f"{host.name} {spell.kind}, and was given something {latest:.1f} s later"
            elif spell.kind == "resets":
                others = [each for each in self.hosts.values() if each is not host]
                resets = [at for at in host.resets if spell.begin <= at <= spell.end]
                # Half of three may be ejected, which is one: this one surely when no other was in trouble.
                if not any(each.troubled(spell.begin - BACK, spell.end, FAULTS) for each in others):
                    assert len(resets) <= CONSECUTIVE + 1 + (spell.end - spell.begin) / BASE, f"{host.name} was not ejected"
            again = [at - spell.end for _, at in host.left if at > spell.end]
            undisturbed = not host.troubled(spell.end + 0.001, spell.end + BACK + 60)
            if undisturbed and spell.end + BACK + 60 < self.ended - BACK - ANSWERED:
                assert again, f"{host.name} was never used again"
                self.sums.slowest_return = max(self.sums.slowest_return, min(again))
                assert min(again) <= BACK + 60, f"{host.name} was used again only after {min(again):.1f} s"
