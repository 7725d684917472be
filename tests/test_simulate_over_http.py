"""Orders to a simulator over HTTP: the same as over its socket, and none from a web page or without the token."""

from __future__ import annotations

import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from click.testing import CliRunner

from telegram_router.cli import main
from telegram_router.cli.simulation_ctl import give_order
from telegram_router.cli.simulation_http import serve_http
from telegram_router.config import Address
from telegram_router.testing import read
from telegram_router.tools.simulate.control import answered
from telegram_router.tools.simulate.driver import Simulator
from telegram_router.tools.simulate.fixture import prepared_from

SCENARIO = """
[scenario]
spec = "firmbanking"
[state.account]
key = "{withdrawal_account}"
rows = { "111" = { balance = "100000" } }
"""
TOKEN = "a-token-of-24-characters"


@asynccontextmanager
async def served(token: str | None = None) -> AsyncIterator[tuple[Simulator, Address]]:
    simulator = Simulator(prepared_from(SCENARIO, lambda name, folder: read(name)), 42)
    async with trio.open_nursery() as nursery:
        place = await nursery.start(serve_http, Address("127.0.0.1", 0), token, [simulator])
        yield simulator, place
        nursery.cancel_scope.cancel()


async def ordered(place: Address, order: dict[str, Any], **how: Any) -> int:
    return await trio.to_thread.run_sync(partial(give_order, order, control=f"http://{place}", as_json=True, **how))


async def asked(place: Address, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    def ask() -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(place.host, place.port, timeout=5)
        connection.request("POST", "/orders", body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    return await trio.to_thread.run_sync(ask)


async def test_orders_over_http_do_what_those_over_the_socket_do(capsys: pytest.CaptureFixture[str]):
    async with served() as (simulator, place):
        assert await ordered(place, {"order": "set", "name": "state.account[111].balance", "value": "5"}) == 0
        assert await ordered(place, {"order": "fault_add", "fault": "name='odd', match='msg=transfer.request', do={never=true}"}) == 0
        assert [active.name for active in simulator.simulation.faults] == ["odd"]
        capsys.readouterr()
        assert await ordered(place, {"order": "state"}) == 0
        assert json.loads(capsys.readouterr().out)["state"]["account"]["111"]["balance"] == "5"
        with pytest.raises(click.ClickException, match="did you mean late"):
            await ordered(place, {"order": "fault_add", "fault": "do={lat='5s'}"})


async def test_an_order_is_for_all_of_a_process_unless_it_would_change_them_or_names_one():
    several = [
        Simulator(prepared_from(SCENARIO.replace("[state", f'name = "{name}"\n[state', 1), lambda name, folder: read(name)), 42)
        for name in "ab"
    ]
    assert answered(b'{"order": "stats"}', several)["simulators"].keys() == {"a", "b"}
    assert "which one?" in answered(b'{"order": "fault_add", "fault": "do={never=true}"}', several)["error"]
    answered(b'{"order": "fault_add", "fault": "do={never=true}", "simulator": "b"}', several)
    assert [len(each.simulation.faults) for each in several] == [0, 1]
    assert "no simulator is called c" in answered(b'{"order": "stats", "simulator": "c"}', several)["error"]


async def test_orders_need_the_token_where_there_is_one(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(TOKEN, encoding="ascii")
    file.chmod(0o600)
    async with served(TOKEN) as (_, place):
        assert await ordered(place, {"order": "stats"}, token_file=file) == 0
        with pytest.raises(click.ClickException, match="the token is missing or wrong"):
            await ordered(place, {"order": "stats"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 400),
    ],
    ids=["another name", "another origin", "another site", "a form", "no JSON"],
)
async def test_a_web_page_gives_no_orders(headers: dict[str, str], status: int):
    async with served() as (_, place):
        assert (await asked(place, b"reset", **headers))[0] == status


async def test_an_order_that_never_ends_is_cut_short():
    async with served() as (_, place):
        status, answer = await asked(place, b" " * 70_000)
        assert status == 413 and "longer than" in answer["error"]


def test_other_machines_need_a_token(tmp_path: Path):
    scenario = tmp_path / "core.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = CliRunner().invoke(main, ["simulate", str(scenario), "--control-http", "0.0.0.0:0", "--insecure-public"])
    assert done.exit_code == 2 and "--control-token-file" in done.stderr
    open_to_all = tmp_path / "token"
    open_to_all.write_text(TOKEN, encoding="ascii")
    open_to_all.chmod(0o644)
    done = CliRunner().invoke(main, ["simulate", str(scenario), "--control-http", "127.0.0.1:0", "--control-token-file", str(open_to_all)])
    assert done.exit_code == 2 and "E-CFG-14" in done.stderr
