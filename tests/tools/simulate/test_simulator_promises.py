"""What was promised of simulators: split and pipelined input, every fault, decisions that follow from the seed, bounded memory."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from construct import Struct

from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.telegrams import Code, Digits, Family, Framing, LengthField, Message, Plus, Spec, Telegram, compile_family
from telegram_router.testing import read, sample
from telegram_router.tools.capture_difference import differences
from telegram_router.tools.simulate.fixture import Caller, Host, run_simulator

HEAD = '[scenario]\nspec = "firmbanking"\nclock = "2026-11-23T09:00:00+09:00"\n'
ECHO = HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { response_code = '0000' }\n"

Clock = trio.testing.MockClock


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


@cache
def transfer(number: int = 1) -> bytes:
    telegram = sample(firmbanking(), "transfer.request", 7, 1)
    telegram.header["message_number"] = f"{number:06d}"
    return firmbanking().encode(telegram)


def simulator(text: str, **more: Any) -> AbstractAsyncContextManager[Host]:
    return run_simulator(text, lambda name, folder: firmbanking(), **more)


def numbers(telegrams: list[Telegram]) -> list[int]:
    return [int(each["message_number"]) for each in telegrams]


# --- D1


def short_spec() -> Spec:
    """Telegrams of 24 bytes in all."""
    return compile_family(
        Family(
            name="short", title="short", version="1", encoding="ascii",
            framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload"), header=12), header=Struct(
                "message_type" / Code(4, required=True, log="clear") * "type", "number" / Digits(8, log="clear") * "number"),
            length=20, key=("message_type",), correlation=("number",), reply_rule=Plus("message_type", 10),
            messages=[Message("ask.request", "ask", ("0200",), Struct("amount" / Digits(8, log="clear") * "amount"))],
        )
    )  # fmt: skip


SHORT = '[scenario]\nspec = "short"\nclock = "2026-11-23T09:00:00+09:00"\n[[rule]]\nmatch = "msg=ask.request"\nreply = {}\n'


@pytest.mark.parametrize("writes", [(72,), (36, 36), (1,) * 72, (24, 47, 1)], ids=["all at once", "one and a half", "bytes", "cut late"])
async def test_pipelined_and_split_input_gets_a_reply_for_each_telegram(writes: tuple[int, ...], tmp_path: Path, autojump_clock: Clock):
    spec, record = short_spec(), tmp_path / "sim.tgcap.jsonl"
    frames = b"".join(b"00200200%08d%08d" % (number, number) for number in (1, 2, 3))
    async with run_simulator(SHORT, lambda name, folder: spec, record=record) as host:
        caller = await host.connect()
        at = 0
        for size in writes:
            await caller.wire.send(frames[at : at + size])
            at += size
        assert [spec.decode(await caller.receive())["number"] for _ in range(3)] == [1, 2, 3]
    telegrams = [each for each in CaptureReader(record) if each["k"] == "m"]
    assert [each["len"] for each in telegrams] == [24] * 6
    assert sorted(each["d"] for each in telegrams) == ["<"] * 3 + [">"] * 3


# --- D2: a full buffer; every fault is in test_every_fault.py, and on sockets in test_faults_on_sockets.py


def with_fault(do: str, more: str = "") -> str:
    return ECHO + f"[[fault]]\nmatch = 'msg=transfer.request'\n{more}do = {{ {do} }}\n"


async def got(caller: Caller, patience: float = 100.0) -> tuple[bytes, str]:
    """Everything that comes, and how it ends."""
    data = b""
    with trio.move_on_after(patience):
        try:
            while piece := await caller.wire.receive():
                data += piece
        except trio.BrokenResourceError:
            return data, "reset"
        return data, "end"
    return data, "silence"


REPLY = len(transfer())


async def test_a_deaf_host_blocks_a_caller_whose_buffer_is_full(autojump_clock: Clock):
    async with simulator(with_fault("deaf = true")) as host:
        caller = await host.connect(window=2048)
        taken = 0
        with trio.move_on_after(5):
            for number in range(1000):
                await caller.send(transfer(number))
                taken += REPLY
        assert taken < 64 * 1024


# --- D3, D4


CHANCE = ECHO + "[[fault]]\nname = 'wrong'\nmatch = 'msg=transfer.request'\nrate = 0.02\ndo = { set = { response_code = '9210' } }\n"


async def decisions(text: str, connections: int, messages: int, seed: int = 42) -> dict[int, list[int]]:
    """Which messages of each connection got the fault."""
    async with simulator(text, seed=seed) as host:
        callers = [await host.connect() for _ in range(connections)]
        for number in range(1, messages + 1):
            for caller in callers:
                await caller.send(transfer(number))
                await caller.receive()
        found: dict[int, list[int]] = {}
        for entry in host.simulation.journal.entries(sent=True):
            if "set" in entry.faults:
                found.setdefault(entry.connection, []).append(entry.number)
        return found


async def test_the_same_seed_decides_the_same_and_others_do_not_disturb(autojump_clock: Clock):
    text = CHANCE.replace("0.02", "0.2")
    few = await decisions(text, 3, 40)
    assert few == await decisions(text, 3, 40)
    assert few != await decisions(text, 3, 40, seed=43)
    assert few[3] == (await decisions(text, 12, 40))[3]
    unrelated = "[[fault]]\nmatch = 'msg=transfer.request'\nrate = 0.3\ndo = { duplicate_after = '1ms', garbage = 0 }\n"
    unrelated = unrelated.replace("duplicate_after = '1ms', garbage = 0", "late = '1ms'")
    head, fault = text.split("[[fault]]")
    assert few == await decisions(head + unrelated + "[[fault]]" + fault, 3, 40)


def implied(seed: int, messages: int) -> int:
    """How many faults of rate 2 % a seed implies, without running anything."""
    from telegram_router.tools.simulate.chance import Draws

    draws = Draws(seed, "simulator")
    return sum(draws.share(1, number, "fault wrong") < 0.02 for number in range(1, messages + 1))


async def test_the_number_of_faults_is_the_one_that_the_seed_implies(autojump_clock: Clock):
    async with simulator(CHANCE) as host:
        caller = await host.connect()
        for _ in range(50):
            await caller.send(*[transfer(number) for number in range(100)])
            for _ in range(100):
                await caller.receive()
        assert host.simulation.faults[0].keeper.times == implied(42, 5000)


def test_over_many_seeds_the_share_is_the_rate():
    mean = sum(implied(seed, 5000) for seed in range(100)) / 100 / 5000
    assert abs(mean - 0.02) < 0.001


MANY = "".join(
    f"[[fault]]\nmatch = 'msg=transfer.request'\nrate = 0.15\ndo = {{ {do} }}\n"
    for do in ("never = true", "duplicate = 1", "garbage = 7", "flip = 2", "wrong_key = true", "stale = true", "unsolicited = true")
)


async def recorded(path: Path, text: str, count: int, **more: Any) -> bytes:
    """What a simulator records of so many requests on two connections, each sent when the one before has been dealt with."""
    async with simulator(text, record=path, **more) as host:
        callers = [await host.connect(), await host.connect()]
        for number in range(1, count + 1):
            await callers[number % 2].send(transfer(number))
            await host.wait_for("transfer.request", number)
    return await trio.Path(path).read_bytes()


async def test_the_same_seed_writes_the_same_recording_to_the_byte(tmp_path: Path, autojump_clock: Clock):
    late = ECHO.replace("reply =", "delay = { lognormal = { p50 = '5ms', p99 = '80ms' } }\nreply =")
    one, two = [await recorded(tmp_path / f"{name}.tgcap.jsonl", late + MANY, 60) for name in ("one", "two")]
    assert one == two and one.count(b'"note"') > 30
    assert one != await recorded(tmp_path / "three.tgcap.jsonl", late + MANY, 60, seed=43)


async def test_the_same_seed_writes_the_same_recording_on_sockets_but_for_times_and_ports(tmp_path: Path):
    files = [tmp_path / f"{name}.tgcap.jsonl" for name in ("one", "two")]
    with trio.fail_after(10):
        one, two = [await recorded(file, ECHO + MANY, 60, sockets=True) for file in files]
    assert one != two and one.count(b"\n") > 150
    readers = [CaptureReader(file) for file in files]
    assert [*differences(*(chain([reader.head], reader) for reader in readers), ignore_time=True)] == []


# --- D7, D8 and what is bounded


async def test_the_journal_forgets_and_the_counts_do_not(autojump_clock: Clock):
    async with simulator(ECHO.replace("[[rule]]", "journal = 50\n[[rule]]")) as host:
        caller = await host.connect()
        for _ in range(10):
            await caller.send(*[transfer(number) for number in range(20)])
            for _ in range(20):
                await caller.receive()
        assert len(host.received()) + len(host.sent()) == 50
        assert host.simulation.stats()["received"] == {"transfer.request": 200}


async def test_garbage_costs_its_connection_and_no_other(autojump_clock: Clock):
    async with simulator(ECHO) as host:
        bad, good = await host.connect(), await host.connect()
        await bad.wire.send(b"GET / HTTP/1.1\r\n\r\n" + bytes(100))
        assert (await got(bad, 5)) == (b"", "end")
        assert numbers([await good.ask(transfer(3))]) == [3]
        assert any("E-FRM" in note for note in host.notes)


async def test_a_check_fails_with_the_closest_rule_and_the_seed(autojump_clock: Clock):
    text = ECHO + "[[verify]]\nname = 'all of them'\nexpect = 'count msg=transfer.request = 2'\n"
    async with simulator(text) as host:
        caller = await host.connect()
        await caller.ask(sample(host.spec, "balance.request", 7, 1))
        with pytest.raises(
            AssertionError, match=r"(?s)scenario.toml:7: all of them.*there were 0.*seed 42.*nearest is 'rule 1'.*msg = transfer.request"
        ):
            host.check()
