"""Lines that are opened, kept alive and closed by telegrams of their own, against real hosts and clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trio
from running_router import (
    Host,
    Line,
    Running,
    answer_to,
    answers,
    config,
    field,
    keeps_silent,
    running,
    spec_named,
    telegram,
    transfer,
)

from telegram_router.written import Address

SIGNS_ON = 'conduct = { sign_on = true, timeout = "150ms", heartbeat = "0s", fields = { company_number = "WE", bank_code = "088" } }'
BEATS = 'conduct = { heartbeat = "40ms", misses = 2 }\ntimeout = "5s"'


def kinds(host: Host) -> list[str]:
    """What reached a host, by message."""
    spec = spec_named("firmbanking")
    found = (spec.message_of(frame) for frame in host.frames if not spec.is_poll(frame))
    return [message.name for message in found if message is not None]


async def refuses_to_sign_on(line: Line, frame: bytes) -> None:
    await line.sends(answer_to(frame, "0101"))


async def answers_polls_alone(line: Line, frame: bytes) -> None:
    poll = spec_named("firmbanking").poll_answer(frame)
    if poll is not None:
        await line.sends(poll)


def backend(router: Running, host: Host) -> dict[str, object]:
    """What became of dialling it."""
    outcomes = router.router.outcomes["core", host.address]
    return {"up": outcomes.up, "attempts": outcomes.attempts, "why": outcomes.why}


async def test_a_link_is_signed_on_before_its_first_request_and_off_after_its_last():
    async with Host() as core:
        async with running(config(core, service=SIGNS_ON)) as router:
            await router.linked("core")
            client = await router.connect()
            assert await client.asks(transfer(7)) == answer_to(transfer(7))
        assert kinds(core) == ["open.request", "transfer.request", "close.request"]
        hello = core.frames[0]
        assert field(hello, "company_number") == "WE" and field(hello, "bank_code") == "088"
        assert [int(field(each, "message_number")) for each in (core.frames[0], core.frames[2])] == [1, 2]
        assert router.exit_code == 0


async def test_a_host_that_refuses_the_sign_on_gets_no_request_and_is_asked_again():
    keys = SIGNS_ON + '\npending_timeout = "50ms"'
    async with Host(refuses_to_sign_on) as core, running(config(core, service=keys)) as router:
        [first, *_] = await router.logged("E-BCK-15", 2)
        assert first["answered"] is True and first["backend"] == core.address
        client = await router.connect()
        assert field(await client.asks(transfer(7)), "response_code") == "SB07"  # E-BCK-01, not sent
        seen = backend(router, core)
        assert seen["up"] == 0 and seen["why"] == "E-BCK-15" and isinstance(seen["attempts"], int) and seen["attempts"] >= 2
        assert set(kinds(core)) == {"open.request"}
        core.behave = answers
        await router.linked("core")
        assert await client.asks(transfer(8)) == answer_to(transfer(8))
        assert backend(router, core)["attempts"] == 0


async def test_a_host_that_does_not_answer_the_sign_on_is_dialled_again():
    async with Host(keeps_silent) as core, running(config(core, service=SIGNS_ON)) as router:
        lines = await router.logged("E-BCK-15", 2)
        assert [each["answered"] for each in lines] == [False, False]


async def test_a_host_that_answers_no_heartbeat_loses_its_link_and_what_was_in_flight_ends_unknown():
    async with Host(answers_polls_alone) as core, running(config(core, service=BEATS)) as router:
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(7))
        await core.reached(4)  # and polls go on
        assert router.switch.services["core"].links
        core.behave = keeps_silent
        assert field(await client.got(), "response_code") == "VTIM"
        await router.logged("E-BCK-16")
        assert kinds(core) == ["transfer.request"]


async def test_outside_business_hours_a_service_refuses_and_others_go_on():
    never = '[calendars.never]\nhours = "09:00-18:00"\ndays = ["mon"]\nholidays = [2000-01-01]\n'
    async with Host() as core, Host() as steady, running(config(core, steady, service='calendar = "never"', more=never)) as router:
        await router.linked("steady")
        # A Sunday at noon, whatever day it is.
        router.router.hub.wall = lambda: 1_772_334_000.0
        await router.until(lambda: router.switch.services["core"].shut, "closed")
        client = await router.connect()
        assert field(await client.asks(transfer(1)), "response_code") == "SB09"
        ask = telegram("balance.request", number=2)
        assert await client.asks(ask) == answer_to(ask)
        router.router.hub.wall = lambda: 1_772_334_000.0 + 86_400  # Monday
        await router.linked("core")
        assert await client.asks(transfer(3)) == answer_to(transfer(3))
        assert core.frames == [transfer(3)]
        assert router.log.named("clock_jumped")


async def test_a_flood_of_polls_keeps_nobody_waiting():
    async with Host() as core, running(config(core)) as router:
        await router.linked("core")
        flood, client = await router.connect(), await router.connect()
        poll = b"0020HDRREQPOLL0315101112"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood.sends, poll * 3_000)
            assert await client.asks(transfer(7)) == answer_to(transfer(7))
        await router.until(lambda: router.switch.listeners["companies"].polls == 3_000, "all polls read")
        assert router.log.named("poll_flood")


async def test_a_backend_that_a_reload_takes_away_is_signed_off_when_its_last_answer_is_there(tmp_path: Path):
    async with Host() as core, Host() as other:
        text = config(core, service=SIGNS_ON)
        both = text.replace(f'"{core.address}"', f'"{core.address}", "{other.address}"')
        async with running(both, tmp_path) as router:
            await router.until(lambda: len(router.switch.services["core"].links) == 2, "both links")
            (tmp_path / "router.toml").write_text(text, "utf-8")
            assert (await router.router.reload()).applied
            await router.until(lambda: kinds(other) == ["open.request", "close.request"], "signed off")
            assert kinds(core) == ["open.request"]
            client = await router.connect()
            assert await client.asks(transfer(7)) == answer_to(transfer(7))


async def test_clients_are_told_goodbye_when_the_router_stops():
    goodbye = 'conduct = { sign_off = true, heartbeat = "0s", fields = { company_number = "WE" } }'
    async with Host() as core, running(config(core, listener=goodbye)) as router:
        await router.linked("core")
        client = await router.connect()
        assert await client.asks(transfer(7)) == answer_to(transfer(7))
        router.router.stop()
        said = await client.got()
        assert field(said, "message_type") == "1000" and field(said, "business_code") == "200"


async def test_the_admin_api_says_how_lines_stand():
    keys = SIGNS_ON.replace("150ms", "5s")
    admin = '[admin]\naddress = "127.0.0.1:0"\n'
    demanded = 'conduct = { sign_on = "required", heartbeat = "0s" }'
    async with Host(keeps_silent) as core, running(config(core, listener=demanded, service=keys, more=admin)) as router:
        await core.reached()
        client = await router.connect()
        await router.until(lambda: router.switch.listeners["companies"].sessions, "a session")
        assert await seen(router, "links") == ["signing on"] and await seen(router, "sessions") == ["closed"]
        hello = telegram("open.request")
        await client.asks(hello)
        assert await seen(router, "sessions") == ["open"]
        await core.line.closes()
        [service] = (await asked(router, "status"))["services"]
        [backend] = service["backends"]
        assert backend["links"] == 0 and service["shut"] is False


async def asked(router: Running, what: str) -> Any:
    """What the admin API answers."""
    place = router.router.admin_place
    assert isinstance(place, Address)
    stream = await trio.open_tcp_stream(place.host, place.port)
    async with stream:
        await stream.send_all(f"GET /{what} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode())
        data = b"".join([part async for part in stream])
    return json.loads(data.partition(b"\r\n\r\n")[2])


async def seen(router: Running, what: str) -> list[str]:
    return [each["line"] for each in (await asked(router, what))[what]]
