"""Who takes part in a night: hosts with their faults, clients whose sessions last, and the configuration that the bounds are worked out from."""

from __future__ import annotations

import ssl
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import trio
from running_router import ROOT, answer_to, sample, spec_named

from telegram_router.errors import RouterError
from telegram_router.wire.memory import Far, MemoryNet, MemorySocket
from telegram_router.wire.tls import TlsLayer

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
INTERVAL, PROBE, FALL, RISE, FAST, DOWN = 10.0, 2.0, 3, 2, 1.0, 10.0
RECONNECT = 8.0
BASE, LONGEST, CONSECUTIVE = 10.0, 60.0, 5
WRITE = 4.0
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
        self.beats = 0  # heartbeats that came on links

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
        self.beats += len(polls)
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
