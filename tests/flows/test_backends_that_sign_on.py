"""Hosts that connect to us and are told by their sign-on: nothing else is taken before it, and nobody else gets a link."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel
from running_router import answer_to, field, telegram, transfer
from test_backends_that_dial_us import SPEC, calling

from telegram_router.errors import ConfigError
from telegram_router.wire.backend_door import STRANGERS

BACKENDS = (
    "backends = [{ name = 'seoul', sign_on = { company_number = 'SEOUL' } }, { name = 'busan', sign_on = { company_number = 'BUSAN' } }]"
)
LISTEN = "{ address = '127.0.0.1:0', handshake_timeout = '150ms' }"


def hello(company: str, number: int = 1) -> bytes:
    return telegram("open.request", number=number, company_number=company)


async def test_a_host_is_told_by_its_sign_on_and_answered_before_it_is_given_anything() -> None:
    async with calling(LISTEN, BACKENDS) as here:
        client = await here.running.connect()
        await client.sends(transfer(7))  # waits for a link
        busan = await here.dials()
        await busan.sends(hello("BUSAN"))
        assert await busan.got() == answer_to(hello("BUSAN"))
        assert await busan.answers() == transfer(7)
        assert await client.got() == answer_to(transfer(7))
        assert (here.links("seoul"), here.links("busan")) == (0, 1)
        (line,) = here.running.log.named("link_up")
        assert line["backend"] == "busan"


async def test_what_comes_behind_the_sign_on_in_one_piece_is_the_links() -> None:
    async with calling(LISTEN, BACKENDS) as here:
        seoul = await here.dials()
        await seoul.sends(hello("SEOUL")[:50])
        await seoul.sends(hello("SEOUL")[50:] + b"0103SETTLEBNK")
        assert await seoul.got() == answer_to(hello("SEOUL"))
        assert here.links("seoul") == 1


@pytest.mark.parametrize(
    ("first", "code"),
    [
        pytest.param(hello("DAEGU"), "E-BCK-12", id="nobody's sign-on"),
        pytest.param(transfer(1), "E-TXN-03", id="a request"),
        pytest.param(answer_to(transfer(1)), "E-TXN-03", id="an answer"),
        pytest.param(telegram("close.request", company_number="SEOUL"), "E-TXN-03", id="a sign-off"),
    ],
)
async def test_who_begins_with_anything_else_is_refused_and_told(first: bytes, code: str) -> None:
    async with calling(LISTEN, BACKENDS) as here:
        stranger = await here.dials()
        await stranger.sends(first)
        await stranger.closed()
        (line,) = await here.running.logged(code)
        assert line["event"] == "backend_refused" and line["peer"].startswith("127.0.0.1:") and line["do"]
        assert not here.service.peers and here.router.backend_doors.doors["core"].refused[code] == 1
        assert "DAEGU" not in here.running.log.text


async def test_a_refused_sign_on_is_answered_with_a_code() -> None:
    async with calling(LISTEN, BACKENDS) as here:
        stranger = await here.dials()
        await stranger.sends(hello("DAEGU"))
        refusal = await stranger.got()
        assert SPEC.message_of(refusal) is SPEC.messages["open.response"] and field(refusal, "response_code") not in ("", "0000")
        await stranger.closed()


async def test_who_says_nothing_or_dribbles_is_closed_in_time_and_a_bounded_number_is_let_in() -> None:
    async with calling(LISTEN, BACKENDS) as here:
        many = [await here.dials() for _ in range(2 + STRANGERS + 3)]
        await here.running.logged("E-BCK-13")
        for each in many[: 2 + STRANGERS]:
            await each.sends(hello("SEOUL")[:20])
        for each in many:
            await each.closed()
        door = here.router.backend_doors.doors["core"]
        assert door.refused["E-BCK-13"] == 3 and door.refused["E-TXN-03"] == 2 + STRANGERS and door.open == 0
        seoul = await here.dials()
        await seoul.sends(hello("SEOUL"))
        assert await seoul.got() == answer_to(hello("SEOUL"))


async def test_who_is_told_by_its_address_alone_is_not_waited_for_beside_one_that_is() -> None:
    seoul, busan = (
        "{ name = 'seoul', from = ['127.0.0.1'], sign_on = { company_number = 'SEOUL' } }",
        "{ name = 'busan', from = ['127.0.0.2'] }",
    )
    async with calling(LISTEN, f"backends = [{seoul}, {busan}]") as here:
        await here.linked("busan", "127.0.0.2")
        host = await here.dials()
        await host.sends(hello("SEOUL"))
        assert await host.got() == answer_to(hello("SEOUL"))
        await here.running.until(lambda: here.links("seoul") == 1)


async def test_a_second_sign_on_of_a_backend_that_may_have_no_more_links_is_refused() -> None:
    async with calling("{ address = '127.0.0.1:0', extra = 'refuse' }", BACKENDS) as here:
        first, second = await here.dials(), await here.dials()
        await first.sends(hello("SEOUL"))
        await first.got()
        await second.sends(hello("SEOUL"))
        refusal = await second.got()
        assert field(refusal, "response_code") != "0000"
        await second.closed()
        await here.running.logged("E-BCK-13")
        assert here.links("seoul") == 1


@pytest.mark.parametrize(
    ("backends", "words"),
    [
        ("{ name = 'a', sign_on = { company = 'A' } }", "no such header field"),
        ("{ name = 'a', sign_on = { company_number = 'A12345678901234567890' } }", "cannot hold"),
        ("{ name = 'a', sign_on = { company_number = 'A' } }, { name = 'b', sign_on = { bank_code = '088' } }", "could be both"),
        ("{ name = 'a', sign_on = { company_number = 'A' } }, { name = 'b', from = ['10.0.0.1'] }", "could be both"),
    ],
)
async def test_sign_ons_that_tell_nobody_apart_are_refused_at_start(backends: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        async with calling(LISTEN, f"backends = [{backends}]"):
            await trio.lowlevel.checkpoint()
    assert any(words in each.what for each in error.value.problems)
