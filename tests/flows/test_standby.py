"""A router that stands by: no link, no open port, until an operator says so; and the way back without a telegram lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from running_router import Host, Line, Running, answer_to, config, running, transfer
from test_admin import steered

from telegram_router.cli import main

STANDBY = "standby = true\n"


async def refuses(address: tuple[str, int]) -> None:
    with trio.socket.socket() as sock, pytest.raises(OSError, match="refused"):
        await sock.connect(address)


@asynccontextmanager
async def standing_by(core: Host, keys: str = "", folder: Path | None = None) -> AsyncIterator[Running]:
    async with running(STANDBY + config(core, service=keys), folder) as router:
        yield router


async def test_who_stands_by_dials_nothing_and_refuses_and_once_promoted_serves() -> None:
    async with Host() as core, standing_by(core, "health = { interval = '10ms' }") as router:
        await refuses(router.address())
        await trio.sleep(0.05)
        assert not core.lines and not router.switch.services["core"].peers
        assert router.router.standing_by() == ("standby", [])
        assert await router.router.promote() and not await router.router.promote()
        await router.linked("core")
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        (line,) = router.log.named("promoted")
        assert line["service"] is None


async def test_the_port_is_held_while_it_stands_by() -> None:
    async with Host() as core, standing_by(core) as router:
        host, port = router.address()
        with trio.socket.socket() as other, pytest.raises(OSError, match="in use"):
            await other.bind((host, port))
        await router.router.promote()
        assert router.address() == (host, port)


async def test_a_port_that_somebody_took_keeps_the_router_standing_by() -> None:
    async with Host() as core, standing_by(core) as router:
        with trio.socket.socket() as other:
            other.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            await other.bind(router.address())
            other.listen(1)
            with pytest.raises(Exception, match="cannot listen"):
                await router.router.promote()
        assert router.router.standing_by()[0] == "standby"
        assert await router.router.promote()
        await router.linked("core")


async def test_a_demoted_router_answers_what_it_has_and_then_holds_no_link() -> None:
    held = trio.Event()

    async def answers_late(line: Line, frame: bytes) -> None:
        await held.wait()
        await line.sends(answer_to(frame))

    async with Host(answers_late) as core, running(config(core, service='timeout = "2s"')) as router:
        await router.linked("core")
        client, idle = await router.connect(), await router.connect()
        await client.sends(transfer(1))
        await core.reached(1)
        assert await router.router.demote() and not await router.router.demote()
        assert router.router.standing_by()[0] == "parting"
        with pytest.raises(Exception, match="still parts"):
            await router.router.promote()
        await refuses(router.address())
        assert await idle.closed() == b""
        held.set()
        assert await client.got() == answer_to(transfer(1))
        assert await client.closed() == b""
        await router.until(lambda: router.router.standing_by()[0] == "standby")
        assert not router.switch.services["core"].peers and router.switch.services["core"].unknown == 0
        dialled = len(core.lines)
        await trio.sleep(0.1)
        assert len(core.lines) == dialled
        assert await router.router.promote()
        await router.linked("core")
        again = await router.connect()
        assert await again.asks(transfer(2)) == answer_to(transfer(2))


async def test_one_service_may_stand_by_while_the_others_serve() -> None:
    async with Host() as core, Host() as steady, running(config(core, steady, service=STANDBY)) as router:
        await router.linked("steady")
        assert router.router.standing_by() == ("active", ["core"])
        assert not core.lines
        assert await router.router.promote("core")
        await router.linked("core")
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        assert await router.router.demote("core")
        await router.until(lambda: not router.switch.services["core"].peers)
        assert router.switch.services["steady"].links and router.router.standing_by() == ("active", ["core"])


async def test_backends_that_dial_a_router_that_stands_by_are_refused_until_it_is_promoted() -> None:
    service = """
        [services.core]
        listen = "127.0.0.1:0"
        backends = [{ name = "seoul", from = ["127.0.0.1"] }]
        [[routes]]
        listener = "companies"
        service = "core"
        default = true
    """
    async with running(STANDBY + config(more=service)) as router:
        door = router.router.backend_doors.doors["core"]
        await refuses(door.address)
        await router.router.promote()
        host = await trio.open_tcp_stream(*door.address)
        await router.until(lambda: router.switch.services["core"].links)
        await router.router.demote()
        assert await host.receive_some(1) == b""
        await host.aclose()
        await router.until(lambda: router.router.standing_by()[0] == "standby")
        await refuses(door.address)
        await router.router.promote()
        host = await trio.open_tcp_stream(*door.address)
        await router.until(lambda: router.switch.services["core"].links)
        await host.aclose()


async def test_a_reload_leaves_standing_by_as_the_operator_left_it(tmp_path: Path) -> None:
    async with Host() as core, standing_by(core, folder=tmp_path) as router:
        (tmp_path / "router.toml").write_text(config(core, service="links = 2"))
        report = await router.router.reload()
        assert report.applied and report.differences.restart == ("standby",)
        await refuses(router.address())
        assert router.router.standing_by()[0] == "standby" and not core.lines
        await router.router.promote()
        await router.until(lambda: len(core.lines) == 2)


async def test_the_admin_api_promotes_and_demotes_and_says_so(tmp_path: Path) -> None:
    async with Host() as core, steered(STANDBY + config(core), tmp_path) as (router, admin):
        ready = await admin.gets("/readyz")
        assert (ready.status, ready.body["why"]) == (503, "it stands by")
        assert (await admin.gets("/livez")).status == (await admin.posts("/reload", {"dry_run": True})).status == 200
        assert (await admin.posts("/promote", {"service": "nobody"})).body["code"] == "E-ADM-01"
        promoted = await admin.posts("/promote", {})
        assert promoted.status == 200 and promoted.body == {"service": None, "before": "standby", "after": "active"}
        assert (await admin.gets("/readyz")).status == 200
        await router.linked("core")
        await admin.posts("/demote", {"service": "core"})
        assert (await admin.gets("/status")).body["standing_by"] == ["core"]
        demoted = await admin.posts("/demote", {})
        assert demoted.body["after"] in ("parting", "standby")
        told = [(line["action"], line.get("service"), line["before"]["standby"]) for line in router.log.named("operator_action")]
        assert told == [("promote", None, "standby"), ("demote", "core", "active"), ("demote", None, "active")]
        await router.until(lambda: router.router.standing_by()[0] == "standby")


async def test_the_commands_promote_and_demote_and_wait_until_no_link_is_held(tmp_path: Path) -> None:
    async with Host() as core, steered(STANDBY + config(core), tmp_path) as (router, _):

        async def run(*words: str) -> Any:
            where = ["--socket", str(tmp_path / "admin.sock")]
            return await trio.to_thread.run_sync(CliRunner().invoke, main, [*words, *where])

        shown = await run("status")
        assert "standby" in shown.output.splitlines()[0]
        promoted = await run("promote")
        assert promoted.exit_code == 0 and "the router: active" in promoted.output
        await router.linked("core")
        demoted = await run("demote", "--wait", "3")
        assert demoted.exit_code == 0 and not router.switch.services["core"].peers, demoted.output
        again = await run("demote", "--json")
        assert '"after"' in again.output and again.exit_code == 0
        assert (await run("promote", "nobody")).exit_code == 1
