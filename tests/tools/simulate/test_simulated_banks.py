"""A simulated host in memory, on a clock that jumps: what it answers, what it remembers, what goes wrong as asked."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from telegram_router.errors import RouterError
from telegram_router.telegrams import Telegram
from telegram_router.testing import read, sample, simulator
from telegram_router.tools.simulate import wires

HEAD = '[scenario]\nspec = "firmbanking"\nclock = "2026-11-23T09:00:00+09:00"\n'
BANK = (
    HEAD
    + """
[state.account]
key = "{withdrawal_account}"
keys = { "balance.request" = "{account}" }
rows = { "111" = { balance = "100000" } }

[[rule]]
name = "short of funds"
match = 'msg=transfer.request and f.amount > state.account.balance'
reply = { response_code = "0051", balance_after = "{state.account.balance}", fee = "0" }

[[rule]]
name = "transfer"
match = 'msg=transfer.request and state.account'
update = { "state.account.balance" = "-f.amount" }
reply = { response_code = "0000", balance_after = "{state.account.balance}", fee = "500", sent_time = "{now:%H%M%S}" }

[[rule]]
match = 'msg=balance.request'
reply = { response_code = "0000", ledger_balance = "{state.account.balance}" }
"""
)


def transfer(number: int = 1, **values: Any) -> Telegram:
    telegram = sample(read("firmbanking"), "transfer.request", 7, number)
    telegram.header["message_number"] = f"{number:06d}"
    telegram.body |= {"withdrawal_account": "111", "amount": 40_000, **values}
    return telegram


def balance(number: int = 1) -> Telegram:
    telegram = sample(read("firmbanking"), "balance.request", 7, number)
    telegram.body["account"] = "111"
    return telegram


async def test_money_is_moved_until_there_is_none(autojump_clock: trio.testing.MockClock):
    async with simulator(BANK) as host:
        caller = await host.connect()
        answers = [await caller.ask(transfer(number)) for number in (1, 2, 3)]
        assert [(each["response_code"], each["balance_after"]) for each in answers] == [
            ("0000", 60_000),
            ("0000", 20_000),
            ("0051", 20_000),
        ]
        assert answers[0]["sent_time"] == "090000"
        assert (await caller.ask(balance()))["ledger_balance"] == 20_000
        assert [each["amount"] for each in host.received("transfer.request")] == [40_000] * 3


async def test_a_request_that_no_rule_is_for_names_the_closest_rule_and_what_failed(autojump_clock: trio.testing.MockClock):
    async with simulator(BANK) as host:
        caller = await host.connect()
        refused = await caller.ask(transfer(withdrawal_account="222"))
        assert refused["response_code"] == "SB01"
        assert host.notes == [
            "no rule for transfer.request (c1 message 1); nearest is 'short of funds' (scenario.toml:10): "
            "does not hold: f.amount > state.account.balance"
        ]


async def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = HEAD + f'listen = "127.0.0.1:{taken.getsockname()[1]}"\n'
        with pytest.raises(RouterError, match="E-SIM-08"):
            async with simulator(text, sockets=True):
                pass


async def test_vanishing_is_refused_where_it_is_not_possible(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wires, "TCP_REPAIR", 250)  # an option that there is not
    with pytest.raises(RouterError, match=r"E-SIM-07.*fault silent"):
        async with simulator(HEAD + "[[fault]]\ndo = { half_open = true }\n", sockets=True):
            pass
