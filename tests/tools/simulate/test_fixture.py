"""Simulators in the tests of those who use the router: in memory on a clock that jumps, on real sockets, many in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import pytest
import trio
import trio.testing

from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.telegrams import Spec, Telegram
from telegram_router.testing import read, sample, simulator
from telegram_router.tools.simulate.fixture import Host

Clock = trio.testing.MockClock
CORE = """
[scenario]
spec = "firmbanking"
name = "{name}"
[state.account]
key = "{{withdrawal_account}}"
rows = {{ "111" = {{ balance = "{balance}" }} }}
[[rule]]
match = 'msg=transfer.request'
update = {{ "state.account.balance" = "-f.amount" }}
reply = {{ response_code = "0000", balance_after = "{{state.account.balance}}" }}
[[verify]]
expect = 'count msg=transfer.request = 1'
"""


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


def transfer() -> Telegram:
    telegram = sample(firmbanking(), "transfer.request", 7, 1)
    telegram.body |= {"withdrawal_account": "111", "amount": 1000}
    return telegram


def core(name: str = "core", balance: int = 5000) -> str:
    return CORE.format(name=name, balance=balance)


async def a_transfer_is_booked(host: Host) -> None:
    """What docs/simulating.md shows."""
    caller = await host.connect()
    answer = await caller.ask(transfer())
    assert (answer["response_code"], answer["balance_after"]) == ("0000", 4000)
    assert host.received("transfer.request")[0]["amount"] == 1000
    host.check()
    host.fault("match='msg=transfer.request', do={late='35s'}")
    await caller.send(transfer())
    await host.wait_for("transfer.request", 2)
    assert host.sent("transfer.response") == [firmbanking().encode(answer)]


@pytest.fixture
async def simulated() -> AsyncIterator[Host]:
    async with simulator(core()) as host:
        yield host


async def test_in_memory_on_a_clock_that_jumps(simulated: Host, autojump_clock: Clock):
    await a_transfer_is_booked(simulated)
    before = trio.current_time()
    await simulated.wait_for("transfer.response", 2, sent=True)
    assert trio.current_time() - before == pytest.approx(35, abs=0.1)


async def test_on_real_sockets():
    with trio.fail_after(5):
        async with simulator(core(), sockets=True) as host:
            await a_transfer_is_booked(host)


async def test_many_of_them_in_one_process_know_nothing_of_each_other(autojump_clock: Clock):
    async with AsyncExitStack() as all_of_them:
        hosts = [await all_of_them.enter_async_context(simulator(core(f"core{n}", 2000 + n), seed=n)) for n in range(50)]
        answers = []
        for host in hosts:
            answers.append(await (await host.connect()).ask(transfer()))
        assert [answer["balance_after"] for answer in answers] == [1000 + n for n in range(50)]
        hosts[0].fault("do={never=true}")
        assert [len(host.simulation.faults) for host in hosts] == [1] + [0] * 49
        for host in hosts:
            host.check()


async def test_many_of_them_listen_in_one_process():
    with trio.fail_after(5):
        async with AsyncExitStack() as all_of_them:
            hosts = [await all_of_them.enter_async_context(simulator(core(f"core{n}", 2000 + n), sockets=True)) for n in range(10)]
            assert len({host.address.port for host in hosts}) == 10
            for n, host in enumerate(hosts):
                assert (await (await host.connect()).ask(transfer()))["balance_after"] == 1000 + n


async def test_a_bank_that_a_recording_makes_talks_with_a_host(tmp_path: Path, autojump_clock: Clock):
    day = tmp_path / "day.tgcap.jsonl"
    async with simulator(core(), record=day) as host:
        await (await host.connect()).ask(transfer())
    assert CaptureReader(day).head["source"] == "simulate"
    async with simulator(core()) as host, simulator(day, role="client", to=host) as bank:
        await bank.finished()
        bank.check()
        host.check()
    async with simulator(core(balance=1)) as host, simulator(day, role="client", to=host) as bank:
        await bank.finished()
        with pytest.raises(AssertionError, match=r"answers as recorded.*balance_after"):
            bank.check()


async def test_a_test_stands_in_for_the_host_of_a_simulated_bank(autojump_clock: Clock):
    bank = '[scenario]\nspec = "firmbanking"\nrole = "client"\n[[push]]\nmsg = "transfer.request"\nevery = "1m"\ncount = 2\n'
    async with simulator(bank) as client:
        caller = await client.accept()
        began = trio.current_time()
        for _ in range(2):
            assert firmbanking().decode(await caller.receive()).message.name == "transfer.request"
        assert trio.current_time() - began == 60
