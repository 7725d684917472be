"""Python functions as services: how many at a time, and what their failures look like to the one who asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from hub_kit import SPEC, World, answered, news, numbers, reply, request, requests, running, settled, unknown
from trio.testing import MockClock

from telegram_router.routing import Kind, ServicePolicy
from telegram_router.telegrams import Telegram
from telegram_router.wire.handlers import Handler, HandlerCaller, is_handler

MakeWorld = Callable[..., World]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(
        kinds={"transfer": Kind.HANDLER},
        policies={"transfer": ServicePolicy(timeout=5.0, in_flight=3, pending=10, pending_timeout=20.0)},
        clock=trio.current_time,
    )


def serve(world: World, nursery: trio.Nursery, handler: Handler) -> None:
    HandlerCaller(world.hub, world.service(), handler, nursery, world.log).start()


async def echo(telegram: Telegram) -> Telegram:
    return telegram.reply()


def test_only_a_coroutine_function_is_a_handler() -> None:
    assert is_handler(echo)
    assert not is_handler(lambda telegram: telegram)
    assert not is_handler(None)


async def test_a_handler_answers_in_the_turn_that_follows(world: World, autojump_clock: MockClock) -> None:
    async with running(world) as nursery:
        serve(world, nursery, echo)
        client = world.client()
        client.says(requests(1, 2))
        await settled()
        assert sorted(client.got()) == answered(1, 2)
        world.assert_at_rest()


async def test_no_more_calls_run_at_a_time_than_the_service_allows_and_the_rest_waits_in_order(
    world: World, autojump_clock: MockClock
) -> None:
    began: list[int] = []
    running_now = most = 0

    async def slow(telegram: Telegram) -> Telegram:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        began.append(int(telegram["number"]))
        await trio.sleep(1)
        running_now -= 1
        return telegram.reply()

    async with running(world) as nursery:
        serve(world, nursery, slow)
        client = world.client()
        client.says(requests(*range(9)))
        await trio.sleep(3.5)
        assert most == 3
        assert sorted(began) == list(range(9))
        assert [sorted(began[at : at + 3]) for at in (0, 3, 6)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
        assert sorted(numbers(client.got())) == list(range(9))
        world.assert_at_rest()


async def broken(telegram: Telegram) -> Telegram:
    raise ValueError("SECRET 8001011234567")


async def leaving(telegram: Telegram) -> Telegram:
    raise SystemExit(1)


async def wrong_type(telegram: Telegram) -> Telegram:
    return {"response": "0000"}  # type: ignore[return-value]


async def nothing(telegram: Telegram) -> Telegram:
    return None  # type: ignore[return-value]


async def the_request_itself(telegram: Telegram) -> Telegram:
    return telegram


async def another_number(telegram: Telegram) -> Telegram:
    return telegram.reply(number="999999")


async def two_faults(telegram: Telegram) -> Telegram:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broken, telegram)
        nursery.start_soon(broken, telegram)
    return telegram.reply()


@pytest.mark.parametrize(
    "handler", [broken, leaving, wrong_type, nothing, the_request_itself, another_number, two_faults], ids=lambda each: each.__name__
)
async def test_a_handler_that_fails_is_answered_as_unknown_and_the_next_call_works(
    world: World, handler: Handler, autojump_clock: MockClock
) -> None:
    calls: list[int] = []

    async def first_time(telegram: Telegram) -> Telegram:
        calls.append(1)
        return await (handler if len(calls) == 1 else echo)(telegram)

    async with running(world) as nursery:
        serve(world, nursery, first_time)
        client = world.client()
        client.says(request(1, body=b"SECRET"))
        await settled()
        assert client.got() == unknown("E-BCK-08", 1)
        client.says(request(2))
        await settled()
        assert client.got() == answered(2)
        assert "SECRET" not in repr(world.log.lines)
        assert len(world.log.named("handler_failed")) == 1
        world.assert_at_rest()


async def test_an_answer_whose_fields_do_not_fit_names_the_fields_and_is_unknown(world: World, autojump_clock: MockClock) -> None:
    async def unfit(telegram: Telegram) -> Telegram:
        return telegram.reply(code="SECRET TOO LONG")

    async with running(world) as nursery:
        serve(world, nursery, unfit)
        client = world.client()
        client.says(request(1))
        await settled()
        assert client.got() == unknown("E-BCK-06", 1)
        [line] = world.log.named("handler_answer_invalid")
        assert "header.code" in str(line["problems"])
        assert "SECRET" not in repr(world.log.lines)
        world.assert_at_rest()


async def test_a_handler_that_takes_too_long_is_cancelled_and_the_asker_told_that_nobody_knows(
    world: World, autojump_clock: MockClock
) -> None:
    cancelled: list[float] = []

    async def endless(telegram: Telegram) -> Telegram:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(trio.current_time())
        return telegram

    async with running(world) as nursery:
        serve(world, nursery, endless)
        client = world.client()
        client.says(request(1))
        await trio.sleep(5.5)
        assert client.got() == unknown("E-BCK-05", 1)
        assert cancelled == [pytest.approx(5.0, abs=0.01)]
        world.assert_at_rest()


async def test_the_time_a_request_waited_for_its_call_counts(world: World, autojump_clock: MockClock) -> None:
    async def nearly(telegram: Telegram) -> Telegram:
        await trio.sleep(3)
        return telegram.reply()

    async with running(world) as nursery:
        serve(world, nursery, nearly)
        client = world.client()
        client.says(requests(*range(6)))
        await trio.sleep(3.5)
        assert sorted(numbers(client.got())) == [0, 1, 2]
        await trio.sleep(2.0)
        assert sorted(client.got()) == unknown("E-BCK-05", 3, 4, 5)
        world.assert_at_rest()


async def test_an_answer_that_comes_after_the_timeout_goes_to_nobody(world: World, autojump_clock: MockClock) -> None:
    async def stubborn(telegram: Telegram) -> Telegram:
        with trio.CancelScope(shield=True):
            await trio.sleep(6)
        return telegram.reply()

    async with running(world) as nursery:
        serve(world, nursery, stubborn)
        client = world.client()
        client.says(request(1))
        await trio.sleep(7)
        assert client.got() == unknown("E-BCK-05", 1)
        assert world.service().late == 1
        world.assert_at_rest()


async def test_a_client_that_left_while_its_handler_worked_costs_nothing(world: World, autojump_clock: MockClock) -> None:
    async def slow(telegram: Telegram) -> Telegram:
        await trio.sleep(1)
        return telegram.reply()

    async with running(world) as nursery:
        serve(world, nursery, slow)
        client = world.client()
        client.says(request(1))
        await trio.sleep(0.5)
        client.far.reset()
        await trio.sleep(1)
        assert world.service().undelivered == 1
        world.assert_at_rest()


async def test_handlers_and_sockets_do_not_wait_for_each_other(world: World, autojump_clock: MockClock) -> None:
    """A call at work does not hold up polls, and the hub at work does not hold up a call."""

    async def slow(telegram: Telegram) -> Telegram:
        await trio.sleep(2)
        return telegram.reply()

    async with running(world) as nursery:
        serve(world, nursery, slow)
        client, other = world.client(), world.client()
        client.says(request(1))
        await settled()
        other.says(b"0011HDR REQPOLL")
        await settled()
        assert other.far.got() == b"0011HDR RESPOLL"
        await trio.sleep(2.1)
        assert client.got() == answered(1)


@pytest.mark.parametrize("function", [nothing, wrong_type, the_request_itself])
async def test_what_a_handler_returns_of_a_one_way_telegram_is_not_looked_at(
    world: World, autojump_clock: MockClock, function: Handler
) -> None:
    async with running(world) as nursery:
        serve(world, nursery, function)
        client = world.client()
        client.says(news(1))
        await settled()
        assert client.far.got() == b"" and not world.log.named("handler_failed")
        assert world.service().undelivered == 0
        world.assert_at_rest()


def test_the_test_family_answers_as_its_kit_says() -> None:
    assert SPEC.encode(SPEC.decode(request(1)).reply()) == reply(1)
