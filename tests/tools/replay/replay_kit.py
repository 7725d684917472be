"""Captures made up for tests, and a host in memory that answers as it is told."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio
import trio.testing

from telegram_router.plan import SHIPPED, find_spec, read_spec
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams import Framer, Spec
from telegram_router.tools.replay.comparing import Comparer
from telegram_router.tools.replay.exchanges import Conduct, Side
from telegram_router.tools.replay.masks import Masks
from telegram_router.tools.replay.pacing import Pace, pace_of
from telegram_router.tools.replay.remembering import Sequences
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.rules import Rule, masks_of
from telegram_router.tools.replay.running import Replay
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Selection, Steps

ROOT = Path(__file__).parent.parent.parent.parent
T0 = 1_700_000_000 * SECOND
MS = SECOND // 1000


def firmbanking() -> Spec:
    path = find_spec("firmbanking", SHIPPED)
    assert path is not None
    return read_spec(path)


SPEC = firmbanking()
AS_RECORDED, EVERYTHING = Conduct(), Selection()


def sample(message: str, **values: str) -> bytes:
    """A sample of the spec with other values in some of its fields."""
    frame = bytearray((ROOT / "specs" / "samples" / "firmbanking" / f"{message}.telegram").read_bytes())
    layout = SPEC.messages[message]
    for name, value in values.items():
        planned = layout.field(name)
        assert planned is not None
        raw = planned.kind.write(int(value) if type(planned.kind).__name__ in ("Digits", "Amount") else value)
        frame[4 + planned.offset : 4 + planned.end] = raw
    return bytes(frame)


def part(frame: bytes, name: str) -> str:
    """The text of a field."""
    message = SPEC.message_of(frame)
    assert message is not None
    planned = message.field(name)
    assert planned is not None
    return frame[4 + planned.offset : 4 + planned.end].decode("cp949").strip()


@dataclass
class Sheet:
    """A capture to be written: `ask` adds a request, and its answer if there is one."""

    spec: str = "firmbanking"
    rows: list[records.Record] = field(default_factory=list)
    exchanges: int = 0

    def ask(self, at: float, request: bytes, answer: bytes | None = None, *, c: str = "c1", later: float = 0.02) -> str:
        self.exchanges += 1
        x, t = f"x{self.exchanges}", round(at * SECOND)
        self.rows.append(records.telegram(t, c, ">", request, x=x))
        if answer is not None:
            self.rows.append(records.telegram(t + round(later * SECOND), c, "<", answer, x=x))
        return x

    def written(self, target: Path | io.BytesIO) -> None:
        writer = CaptureWriter(target, records.head(t0=T0, source="proxy", spec=self.spec))
        for c in dict.fromkeys(row["c"] for row in self.rows):
            writer.write(records.opened(0, c, leg="front", peer="10.0.0.1:40000", local="10.0.0.2:9000"))
        for row in sorted(self.rows, key=lambda row: row["t"]):
            writer.write(row)
        writer.close()

    def reader(self) -> CaptureReader:
        stream = io.BytesIO()
        self.written(stream)
        return CaptureReader(io.BytesIO(stream.getvalue()))


def transfers(count: int, *, every: float = 0.1) -> Sheet:
    """Transfers with their answers, evenly spaced."""
    sheet = Sheet()
    for number in range(1, count + 1):
        told = {"message_number": f"{number:06d}"}
        sheet.ask((number - 1) * every, sample("transfer.request", **told), sample("transfer.response", **told))
    return sheet


Answer = Callable[[bytes], Iterable[bytes | float | None]]


def as_recorded(**changes: str) -> Answer:
    """Answers each transfer as the sample does, with the request's own number, date and time."""

    def answer(request: bytes) -> list[bytes | float | None]:
        own = {name: part(request, name) for name in ("message_number", "sent_date", "sent_time")}
        return [sample("transfer.response", **(own | changes))]

    return answer


class Host:
    """Whoever is dialled. `answer` gives what comes back: bytes, pauses in seconds, None to close the connection."""

    def __init__(self, nursery: trio.Nursery, answer: Answer) -> None:
        self.nursery = nursery
        self.answer = answer
        self.got: list[bytes] = []
        self.at: list[float] = []
        self.dialled = 0
        self.refuses = False
        self.deaf = False
        self.narrow = False
        self.writing: dict[trio.abc.Stream, trio.Lock] = {}

    async def dial(self) -> trio.abc.Stream:
        if self.refuses:
            raise ReplayError("E-RPL-04", "the host cannot be reached")
        self.dialled += 1
        if self.narrow:
            return self._narrow()
        if self.deaf:
            ours, self.unread = trio.testing.lockstep_stream_pair()
            return ours
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs)
        return ours

    def _narrow(self) -> trio.SocketStream:
        """A real socket that holds a few telegrams: the kernel takes some of them in part, or not at all."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        streams = [trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in (ours, theirs)]
        self.nursery.start_soon(self._serve, streams[1])
        return streams[0]

    async def _serve(self, stream: trio.abc.Stream) -> None:
        framer = Framer(SPEC.framing, max_frame=100_000)
        async with stream, trio.open_nursery() as nursery:
            try:
                while data := await stream.receive_some(65_536):
                    framer.feed(bytes(data))
                    for frame in framer.take(1000):
                        self.got.append(frame)
                        self.at.append(trio.current_time())
                        await self._answer(stream, frame, nursery)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            nursery.cancel_scope.cancel()

    async def _answer(self, stream: trio.abc.Stream, frame: bytes, nursery: trio.Nursery) -> None:
        later = 0.0
        for each in self.answer(frame):
            if isinstance(each, float):
                later += each
            elif later:
                nursery.start_soon(self._later, stream, each, later)
            else:
                await self._put(stream, each)

    async def _later(self, stream: trio.abc.Stream, data: bytes | None, later: float) -> None:
        await trio.sleep(later)
        try:
            await self._put(stream, data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _put(self, stream: trio.abc.Stream, data: bytes | None) -> None:
        if data is None:
            await stream.aclose()
        else:
            async with self.writing.setdefault(stream, trio.Lock()):
                await stream.send_all(data)


@dataclass
class Done:
    replay: Replay
    hosts: dict[str, Host]
    steps: Steps

    @property
    def buckets(self) -> dict[str, int]:
        return {name: count for name, count in self.replay.tally.buckets.items() if count}


async def replayed(
    sheet: Sheet,
    answer: Answer,
    *,
    pace: Pace | str = "recorded",
    conduct: Conduct = AS_RECORDED,
    rules: dict[str, dict[str, Rule]] | None = None,
    masks: Masks | None = None,
    selection: Selection = EVERYTHING,
    others: dict[str, Answer] | None = None,
    refuses: bool = False,
    deaf: bool = False,
    narrow: bool = False,
    volatile: bool = True,
    wall: int = T0 + 86_400 * SECOND,
    while_running: Callable[[Replay], object] | None = None,
) -> Done:
    """A whole replay on the clock of the test."""
    reader = sheet.reader()
    began = trio.current_time()

    def now() -> int:
        return wall + round((trio.current_time() - began) * SECOND)

    async with trio.open_nursery() as nursery:
        sequences = Sequences()
        hosts = {"target": Host(nursery, answer)} | {name: Host(nursery, other) for name, other in (others or {}).items()}
        hosts["target"].refuses, hosts["target"].deaf, hosts["target"].narrow = refuses, deaf, narrow
        zone = records.zone_of(reader.head["tz"])
        sides = [Side(name, host.dial, Rewriter(SPEC, rules or {}, sequences, zone, volatile=volatile)) for name, host in hosts.items()]
        steps = Steps(reader, reader.head, SPEC, selection)
        paced = pace_of(pace, 7) if isinstance(pace, str) else pace
        replay = Replay(SPEC, steps, paced, sides, Comparer(SPEC, masks or Masks(rewritten=masks_of(rules or {}))), conduct, now=now, t0=T0)
        if while_running is not None:
            while_running(replay)
        await replay.run()
        nursery.cancel_scope.cancel()
    by_message = sum(found.total() for found in replay.tally.messages.values())
    assert replay.tally.sums_up and by_message == replay.tally.planned, "every exchange is in one bucket, whatever happened"
    return Done(replay, hosts, steps)


def fields_of(done: Done) -> Sequence[str]:
    return [path for _, path, _, _ in done.replay.tally.fields]
