"""A listener is drained by an operator while the router goes on: nobody new, and whoever is there leaves in good order."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import trio
from running_router import SOON, Client, Host, Running, answer_to, config, keeps_silent, running, transfer
from test_admin import Door, steered, until

OTHER = """
[listeners.others]
address = "127.0.0.1:0"
spec = "firmbanking"
[[routes]]
listener = "others"
service = "core"
default = true
"""


async def drains(door: Door, over: float = 0.0, patience: float = 3.0) -> int:
    """Orders it; returns how many sessions are parted with."""
    got = await door.posts("/listeners/companies/drain", {"over_s": over, "patience_s": patience})
    assert got.status == 200, got.body
    return int(got.body["sessions"])


async def is_over(router: Running) -> None:
    await router.until(lambda: router.log.named("listener_drained"))


async def test_idle_sessions_leave_and_nobody_comes_in_while_other_listeners_go_on(tmp_path: Path):
    async with Host() as core, steered(config(core) + OTHER, tmp_path) as (router, door):
        await router.linked("core")
        leaves, stays = await router.connect(), await router.connect("others")
        assert await leaves.asks(transfer(1)) == answer_to(transfer(1))
        assert await drains(door) == 1
        assert await leaves.closed() == b""
        await is_over(router)
        with pytest.raises(OSError):
            await trio.open_tcp_stream(*router.address())
        assert await stays.asks(transfer(2)) == answer_to(transfer(2))
        await leaves.goes()
        await until(lambda: router.log.named("session_closed"))
        drained, other = (await door.gets("/status")).body["listeners"]
        assert (drained["accepting"], drained["sessions"], other["accepting"], other["sessions"]) == (False, 0, True, 1)
        assert (await door.posts("/listeners/companies/drain", {})).body["code"] == "E-ADM-05"
        assert (await door.posts("/listeners/none/drain", {})).body["code"] == "E-ADM-01"
        (action,) = router.log.named("operator_action")
        assert (action["action"], action["listener"], action["after"]) == ("drain_listener", "companies", {"accepting": False})
        assert [line["reason"] for line in router.log.named("session_closed")] == ["drained"]


async def test_a_router_of_which_every_listener_is_drained_is_not_ready_until_one_is_opened_again(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        assert (await door.gets("/readyz")).status == 200
        await drains(door)
        await is_over(router)
        assert (await door.gets("/readyz"))[:2] == (503, {"ok": False, "why": "every listener is drained"})
        assert [(await door.gets(path)).status for path in ("/livez", "/startupz")] == [200, 200]
        await door.posts("/listeners/companies/open", {})
        assert (await door.gets("/readyz")).status == 200


async def test_a_session_that_waits_for_an_answer_gets_it_before_it_leaves(tmp_path: Path):
    async with Host(keeps_silent) as core, steered(config(core, service='timeout = "2s"'), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1))
        await core.reached()
        await drains(door)
        await client.got_nothing(0.15)
        await core.line.sends(answer_to(transfer(1)))
        assert await client.got() == answer_to(transfer(1))
        assert await client.closed() == b""


async def test_half_a_telegram_may_still_become_a_whole_one(tmp_path: Path):
    async with Host() as core, steered(config(core, listener='frame_timeout = "2s"'), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1)[:50])
        await until(lambda: any(each.partial_since is not None for each in router.router.hub.connections.values()))
        await drains(door)
        await client.got_nothing(0.15)
        await client.sends(transfer(1)[50:])
        assert await client.got() == answer_to(transfer(1))
        assert await client.closed() == b""


async def test_one_that_is_busy_for_ever_is_read_no_more_when_its_patience_is_over_and_still_answered(tmp_path: Path):
    async with Host(keeps_silent) as core, steered(config(core, service='timeout = "2s"'), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1))
        await core.reached()
        await drains(door, patience=0.1)
        await is_over(router)
        await client.sends(transfer(2))
        await core.line.sends(answer_to(transfer(1)))
        assert await client.got() == answer_to(transfer(1))
        assert await client.closed() == b""
        assert len(core.frames) == 1  # the second one never left


async def test_sessions_leave_one_after_the_other_over_the_time_given(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        clients = [await router.connect() for _ in range(5)]
        await until(lambda: router.router.acceptors["companies"].open == 5)
        left: list[float] = []

        async def note(client: Client) -> None:
            await client.closed()
            left.append(trio.current_time() - began)

        began = trio.current_time()
        assert await drains(door, over=0.6) == 5
        with trio.fail_after(SOON):
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(note, client)
        assert left[0] < 0.2 and 0.55 < left[-1] < 1.0
        assert max(later - earlier for earlier, later in itertools.pairwise(left)) < 0.35


async def test_traffic_of_many_sessions_ends_without_a_request_unanswered(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        asked = answered = 0

        async def ask(first: int) -> None:
            nonlocal asked, answered
            client = await router.connect()
            for number in range(first, first + 1_000):
                await trio.sleep(0.01)
                if router.router.acceptors["companies"].accepting is False:
                    return  # told by its own operator, and it waits for the end
                asked += 1
                assert await client.asks(transfer(number)) == answer_to(transfer(number))
                answered += 1

        async with trio.open_nursery() as nursery:
            for bank in range(10):
                nursery.start_soon(ask, bank * 1_000)
            await core.reached(50)
            await drains(door, over=0.1)
        await is_over(router)
        assert asked == answered == len(core.frames)


async def test_a_router_that_stops_while_it_parts_with_sessions_ends(tmp_path: Path):
    async with Host() as core, running(config(core) + '\n[admin]\nsocket = "admin.sock"\n', tmp_path) as router:
        await router.linked("core")
        await router.connect()
        await drains(Door(router.router.admin_place), over=60)
    assert router.exit_code == 0
