"""Every fault there is, seen from the other end of the connection: which bytes come, when, and how it ends."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import test_faults_on_sockets
import test_simulated_sessions
import trio
import trio.testing

from telegram_router.telegrams import Framer, Spec
from telegram_router.testing import read, sample
from telegram_router.tools.simulate.actions import Send
from telegram_router.tools.simulate.core import Simulation
from telegram_router.tools.simulate.fixture import Caller, Host, prepared_from, run_simulator
from telegram_router.tools.simulate.scenario import Do

Clock = trio.testing.MockClock
ECHO = '[scenario]\nspec = "firmbanking"\nclock = "2026-11-23T09:00:00+09:00"\n[[rule]]\nmatch = "msg=transfer.request"\nreply = { response_code = "0000" }\n'
PATIENCE = 100.0


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


def find(name: str, folder: Path) -> Spec:
    return firmbanking()


@cache
def transfer(number: int) -> bytes:
    telegram = sample(firmbanking(), "transfer.request", 7, 1)
    telegram.header["message_number"] = f"{number:06d}"
    telegram.body["payee_holder" if "payee_holder" in telegram.body else "memo"] = "김하늘"
    return firmbanking().encode(telegram)


@cache
def good() -> bytes:
    """The answer without a fault."""
    start = datetime.datetime(2026, 11, 23, 9, tzinfo=datetime.UTC)
    simulation = Simulation(prepared_from(ECHO, find), 42, 0.0, start)
    simulation.received(simulation.connected(0.0), transfer(1), 0.0)
    (sent,) = simulation.take()
    assert isinstance(sent, Send)
    return sent.data


REPLY = len(transfer(1))


@dataclass
class Trace:
    """What a caller saw."""

    pieces: list[tuple[float, bytes]] = field(default_factory=list)  # with the seconds since it asked
    ending: str = "silence"

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)


async def watched(caller: Caller, patience: float = PATIENCE) -> Trace:
    trace, began = Trace(), trio.current_time()
    with trio.move_on_after(patience):
        try:
            while piece := await caller.wire.receive():
                trace.pieces.append((round(trio.current_time() - began, 3), piece))
            trace.ending = "end"
        except trio.BrokenResourceError:
            trace.ending = "reset"
    return trace


# --- what is looked at


def size(trace: Trace) -> int:
    return len(trace.data)


def sizes(trace: Trace) -> list[int]:
    return [len(piece) for _, piece in trace.pieces]


def times(trace: Trace) -> list[float]:
    return [at for at, _ in trace.pieces]


def pace(trace: Trace) -> tuple[set[int], int, float]:
    """Sizes of all pieces but the last, how many there are, and when the last one came."""
    return set(sizes(trace)[:-1]), len(trace.pieces), times(trace)[-1]


def numbers(trace: Trace) -> list[int]:
    framer = Framer(firmbanking().framing)
    framer.feed(trace.data)
    return [int(firmbanking().decode(frame)["message_number"]) for frame in framer.take()]


def own(trace: Trace) -> list[bool]:
    """Which of the numbers is the one that was asked with."""
    return [number == 1 for number in numbers(trace)]


def code(trace: Trace) -> str:
    return str(firmbanking().decode(trace.data)["response_code"])


def length_field(trace: Trace) -> bytes:
    assert trace.data[4:] == good()[4:]
    return trace.data[:4]


def behind_junk(trace: Trace) -> tuple[int, bool]:
    return size(trace) - REPLY, trace.data.endswith(good())


def bits(trace: Trace) -> int:
    assert trace.data[:4] == good()[:4]
    return sum((one ^ other).bit_count() for one, other in zip(trace.data, good(), strict=True))


def changed_fields(trace: Trace) -> set[str]:
    fields = firmbanking().messages["transfer.response"].fields
    differing = {at - 4 for at, (one, other) in enumerate(zip(trace.data, good(), strict=True)) if one != other}
    return {planned.path for planned in fields if differing & {*range(planned.offset, planned.end)}}


def only_texts(trace: Trace) -> bool:
    kinds = {planned.path: type(planned.kind).__name__ for planned in firmbanking().messages["transfer.response"].fields}
    return bool(changed_fields(trace)) and {kinds[path] for path in changed_fields(trace)} == {"Text"}


Row = tuple[
    str, str, int, str, Callable[[Trace], object], object
]  # what happens, to whom, requests, the end, what is looked at, what it is
ROWS: Sequence[Row] = [
    ("rst = 'before'", "", 1, "reset", size, 0), ("rst = 'mid'", "", 1, "reset", size, REPLY // 2), ("rst = 'after'", "", 1, "reset", size, REPLY),
    ("fin = 'before'", "", 1, "end", size, 0), ("fin = 'mid'", "", 1, "end", size, REPLY // 2), ("fin = 'after'", "", 1, "end", size, REPLY),
    ("half_close = true", "", 1, "end", size, REPLY), ("never = true", "", 1, "silence", size, 0), ("lost = true", "", 1, "silence", size, 0),
    ("silent = true", "", 1, "silence", size, 0), ("half_open = true", "", 1, "silence", size, 0),
    ("send_bytes = 120, then = 'rst'", "", 1, "reset", size, 120), ("send_bytes = 120", "", 1, "end", size, 120),
    ("send_bytes = 120, then = 'half_close'", "", 1, "end", size, 120), ("send_bytes = 120, then = 'silent'", "", 2, "silence", size, 120),
    ("slowloris = '10ms'", "", 1, "silence", pace, ({1}, REPLY, round((REPLY - 1) * 0.01, 3))),
    ("bandwidth = '1KB/s'", "", 1, "silence", pace, ({20}, 16, 0.3)), ("slice = [1, 50]", "", 1, "silence", sizes, [1, 49, REPLY - 50]),
    ("slice = [1, 50], pause = '2s'", "", 1, "silence", times, [0.0, 2.0, 4.0]), ("coalesce = 3", "", 3, "silence", sizes, [3 * REPLY]),
    ("coalesce = 3", "", 2, "silence", times, [1.0]), ("garbage = 16", "", 1, "silence", behind_junk, (16, True)),
    ("truncate = 20", "", 1, "silence", size, REPLY - 20), ("length = 'short'", "", 1, "silence", length_field, b"0290"),
    ("length = 'long'", "", 1, "silence", length_field, b"0310"), ("length = 'text'", "", 1, "silence", length_field, b"xxxx"),
    ("length = 'huge'", "", 1, "silence", length_field, b"9999"), ("flip = 3", "", 1, "silence", bits, 3),
    ("code_page = 'cp037'", "", 1, "silence", only_texts, True), ("spoil = 'amount'", "", 1, "silence", changed_fields, {"body.amount"}),
    ("late = '35s'", "", 1, "silence", times, [35.0]), ("late = '35s'", "every = 2\n", 3, "silence", numbers, [1, 3, 2]),
    ("duplicate = 2", "", 1, "silence", own, [True, True, True]), ("duplicate = 2, duplicate_after = '5s'", "", 1, "silence", times, [0.0, 5.0, 10.0]),
    ("reorder = '5s'", "first = 1\n", 2, "silence", numbers, [2, 1]), ("reorder = '5s'", "", 1, "silence", times, [5.0]),
    ("wrong_key = true", "", 1, "silence", own, [False]), ("unsolicited = true", "", 1, "silence", own, [True, False]),
    ("stale = true", "skip = 1\n", 2, "silence", numbers, [1, 2, 1]), ("set = { response_code = '9999' }", "", 1, "silence", code, "9999"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("do", "more", "asked", "ending", "look", "seen"),
    ROWS,
    ids=[" ".join((do, more.strip(), look.__name__)) for do, more, _, _, look, _ in ROWS],
)
async def test_the_caller_sees_it(
    do: str, more: str, asked: int, ending: str, look: Callable[[Trace], object], seen: object, autojump_clock: Clock
):
    async with faulty(do, more) as host:
        caller = await host.connect()
        for number in range(1, asked + 1):
            await caller.send(transfer(number))
        trace = await watched(caller)
        assert (look(trace), trace.ending) == (seen, ending)
        assert host.notes[0].startswith("fault ")


def faulty(do: str, more: str = "", *, match: str = "match = 'msg=transfer.request'\n") -> Any:
    return run_simulator(ECHO + f"[[fault]]\n{match}{more}do = {{ {do} }}\n", find)


# --- those that take more than a request and its answer


async def test_a_connection_is_ended_as_it_is_made(autojump_clock: Clock):
    for do, ending in (("accept = 'close'", "end"), ("accept = 'rst'", "reset"), ("silent = true", "silence")):
        async with faulty(do, "conn = 2\n", match="") as host:
            first, second = await host.connect(), await host.connect()
            assert (await watched(second)).ending == ending
            await first.send(transfer(1))
            assert own(await watched(first, 1.0)) == [True]


async def test_a_connection_that_says_nothing_is_dropped(autojump_clock: Clock):
    async with faulty("idle_drop = '3s'", match="") as host:
        began = trio.current_time()
        assert (await watched(await host.connect())).ending == "end" and trio.current_time() - began == 3.0


async def test_a_deaf_host_hears_nothing_more(autojump_clock: Clock):
    async with faulty("deaf = true", "first = 1\n") as host:
        caller = await host.connect()
        for answers in ([True], []):
            await caller.send(transfer(1))
            assert own(await watched(caller, 1.0)) == answers


async def test_an_answer_goes_to_somebody_else(autojump_clock: Clock):
    async with faulty("other_connection = true", "conn = 1\n") as host:
        asker, other = await host.connect(), await host.connect()
        await asker.send(transfer(5))
        assert numbers(await watched(other, 1.0)) == [5] and size(await watched(asker, 1.0)) == 0


async def test_an_answer_comes_before_its_request_is_complete(autojump_clock: Clock):
    async with faulty("early = true") as host:
        caller = await host.connect()
        await caller.wire.send(transfer(5)[:120])
        assert numbers(await watched(caller, 1.0)) == [5]
        await caller.wire.send(transfer(5)[120:])
        assert size(await watched(caller, 1.0)) == 0


POLL = b"0020HDRREQPOLL0123456789"
HEARTBEAT = "[sessions]\nheartbeat = { msg = 'test.request', every = '2s' }\n"


async def test_heartbeats_are_neither_sent_nor_answered(autojump_clock: Clock):
    async def heard(text: str) -> tuple[bool, bool]:
        async with run_simulator(text, find) as host:
            return await polled(host), size(await watched(await host.connect(), 3.0)) > 0

    async def polled(host: Host) -> bool:
        caller = await host.connect()
        await caller.wire.send(POLL)
        return size(await watched(caller, 1.0)) > 0

    assert await heard(ECHO + HEARTBEAT) == (True, True)
    assert await heard(ECHO + HEARTBEAT + "[[fault]]\ndo = { no_heartbeat = true }\n") == (False, False)


def test_no_fault_is_without_a_test():
    elsewhere = {
        "accept": test_a_connection_is_ended_as_it_is_made,
        "idle_drop": test_a_connection_that_says_nothing_is_dropped,
        "deaf": test_a_deaf_host_hears_nothing_more,
        "other_connection": test_an_answer_goes_to_somebody_else,
        "early": test_an_answer_comes_before_its_request_is_complete,
        "no_heartbeat": test_heartbeats_are_neither_sent_nor_answered,
        "refuse": test_faults_on_sockets.test_nobody_listens_for_a_while,
        "never_accept": test_faults_on_sockets.test_connections_are_made_and_nobody_takes_them,
        "tls": test_simulated_sessions.test_tls_goes_wrong_as_it_is_asked_to,
    }
    in_rows = {word for do, *_ in ROWS for word in Do.model_fields if f"{word} =" in do}
    assert in_rows | elsewhere.keys() == Do.model_fields.keys()
