"""A simulated host behind a router: an answer that comes too late, the inquiry that must follow, and the verdict on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from running_router import SOON, config, field, running, spec_named, telegram, transfer

from telegram_router.telegrams import Spec
from telegram_router.tools.simulate.fixture import Host, run_simulator

SCENARIO = """
[scenario]
spec = "firmbanking"
[[rule]]
name = "transfer"
match = 'msg=transfer.request'
reply = { response_code = "0000" }
[[rule]]
name = "result"
match = 'msg=result.request'
reply = { response_code = "0000", result = "0000" }
[[fault]]
match = 'msg=transfer.request'
first = 1
do = { late = "400ms" }
[[verify]]
name = "asked after what was late"
expect = 'each msg=transfer.request where fault=late has one msg=result.request within 2s with original_number = message_number'
[[verify]]
name = "answered late all the same"
expect = 'count sent and msg=transfer.response and fault=late = 1'
"""


@asynccontextmanager
async def simulated() -> AsyncIterator[Host]:
    def find(name: str, folder: object) -> Spec:
        return spec_named(name)

    async with run_simulator(SCENARIO, find, sockets=True) as host:
        yield host


async def timed_out_then_asked(host: Host, original: int, more: str = "") -> str:
    """A client sends a transfer, learns that the result is unknown, and asks for it; the response code of that."""
    async with running(config(core=host, more=more)) as router:  # type: ignore[arg-type]
        client = await router.connect()
        assert field(await client.asks(transfer(number=7)), "response_code") == "VTIM"
        answer = await client.asks(telegram("result.request", number=8, original_number=original))
        with trio.fail_after(SOON):
            await host.wait_for("transfer.response", sent=True)
        return field(answer, "response_code")


async def test_a_timeout_is_asked_after_and_the_late_answer_still_comes():
    async with simulated() as host:
        assert await timed_out_then_asked(host, original=7) == "0000"
        host.check()


async def test_an_inquiry_that_names_another_transfer_fails_the_verdict_by_name():
    async with simulated() as host:
        await timed_out_then_asked(host, original=6)
        with pytest.raises(AssertionError, match=r"(?s)asked after what was late.*c1 message 1 had 0, expected 1"):
            host.check()


async def test_an_inquiry_that_the_router_does_not_forward_fails_the_verdict_by_name():
    nowhere = '[services.nowhere]\nbackends = ["127.0.0.1:1"]\n[[routes]]\nlistener = "companies"\nservice = "nowhere"\nmatch = { message_type = "7000" }\n'
    async with simulated() as host:
        assert await timed_out_then_asked(host, original=7, more=nowhere) != "0000"
        with pytest.raises(AssertionError, match="asked after what was late"):
            host.check()
