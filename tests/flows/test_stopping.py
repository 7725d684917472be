"""The router is stopped gently, as by SIGTERM: others look elsewhere first, then sessions leave one by one, and what is open is answered."""

from __future__ import annotations

from pathlib import Path

import trio
from running_router import Host, answer_to, config, field, keeps_silent, running, transfer
from test_admin import steered


def gentle(core: Host, *, delay: str = "0s", spread: str = "0s", listener: str = "", service: str = "") -> str:
    return f'drain_delay = "{delay}"\nspread = "{spread}"\n' + config(core, listener=listener, service=service)


async def test_it_is_not_ready_any_more_and_still_lets_clients_in_until_the_delay_is_over(tmp_path: Path):
    async with Host() as core, steered(gentle(core, delay="300ms"), tmp_path) as (router, door):
        await router.linked("core")
        early = await router.connect()
        router.router.stop(gently=True)
        await router.until(lambda: router.log.named("leaving"))
        assert (await door.gets("/readyz")).status == 503
        assert (await door.gets("/livez")).status == 200
        assert (await door.posts("/reload", {})).body["code"] == "E-ADM-05"
        late = await router.connect()
        assert await late.asks(transfer(1)) == answer_to(transfer(1))
        assert await early.asks(transfer(2)) == answer_to(transfer(2))
        assert await early.closed() == b""
        assert await late.closed() == b""
    assert router.exit_code == 0
    assert [line["reason"] for line in router.log.named("session_closed")] == ["stopped"] * 2


async def test_sessions_leave_one_after_the_other_and_those_that_are_still_there_are_served():
    async with Host() as core, running(gentle(core, spread="200ms")) as router:
        await router.linked("core")
        clients = [await router.connect() for _ in range(5)]
        for client in clients:
            assert await client.asks(transfer(1)) == answer_to(transfer(1))
        ends: list[float] = []

        async def leaves(place: int) -> None:
            assert await clients[place].closed() == b""
            ends.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for place in range(4):
                nursery.start_soon(leaves, place)
            began = trio.current_time()
            router.router.stop(gently=True)
            await router.until(lambda: len(ends) >= 2)
            assert await clients[4].asks(transfer(2)) == answer_to(transfer(2))
        assert ends[0] - began < 0.15
        assert ends[3] - ends[0] >= 0.1
        assert await clients[4].closed() == b""
        assert trio.current_time() - began >= 0.2
    assert router.exit_code == 0


async def test_one_that_waits_for_its_answer_gets_it_before_it_leaves():
    async with Host(keeps_silent) as core, running(gentle(core, spread="50ms", service='timeout = "2s"')) as router:
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1))
        await core.reached()
        router.router.stop(gently=True)
        await router.until(lambda: router.router.hub.leaving)
        await client.got_nothing(0.1)
        await core.line.sends(answer_to(core.frames[0]))
        assert await client.closed() == answer_to(transfer(1))


async def test_an_answer_that_never_comes_holds_the_end_up_for_spread_and_drain_and_is_told_as_unknown():
    async with Host(keeps_silent) as core, running(gentle(core, spread="50ms", service='timeout = "20s"')) as router:
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1))
        await core.reached()
        began = trio.current_time()
        router.router.stop(gently=True)
        frame = await client.got()
        assert 0.4 < trio.current_time() - began < 1.5
        assert field(frame, "response_code") == "VTIM"
    [failed] = router.log.named("failed")
    assert failed["delivery"] == "sent_unknown"


async def test_told_again_it_waits_for_nobody():
    async with Host() as core, running(gentle(core, delay="60s", spread="60s")) as router:
        await router.linked("core")
        client = await router.connect()
        router.router.stop(gently=True)
        await router.until(lambda: router.log.named("leaving"))
        router.router.stop()
        assert await client.closed() == b""
    assert router.exit_code == 0


async def test_a_person_at_the_terminal_waits_for_no_delay():
    async with Host() as core, running(gentle(core, delay="60s", spread="60s")) as router:
        await router.linked("core")
        client = await router.connect()
        router.router.stop()
        assert await client.closed() == b""
    assert not router.log.named("leaving")


async def test_sessions_that_have_become_too_old_leave_between_two_telegrams():
    async with Host(keeps_silent) as core, running(gentle(core, listener='max_session_age = "500ms"', service='timeout = "5s"')) as router:
        await router.linked("core")
        busy, idle = await router.connect(), await router.connect()
        await busy.sends(transfer(1))
        await core.reached()
        assert await idle.closed() == b""
        assert [line["reason"] for line in router.log.named("session_closed")] in ([], ["max_session_age"])
        assert len(router.switch.listeners["companies"].sessions) >= 1
        await core.line.sends(answer_to(core.frames[0]))
        assert await busy.closed() == answer_to(transfer(1))
