"""Telegrams, answers and JSON with random bytes changed: nothing but refusals may come of it, for the one who sent them."""

from __future__ import annotations

import json
import random

import pytest
import trio
from running_router import (
    Host,
    HttpService,
    Line,
    Running,
    answer_to,
    answers,
    balance,
    companies,
    config,
    credit,
    good_neighbour,
    http,
    running,
    transfer,
)

ROUNDS = 12  # of each seed; every one is a connection or a request of its own


def mutated(chance: random.Random, data: bytes) -> bytes:
    """A few changes: bytes flipped, cut out, doubled, put in, or the rest left out."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at, size = chance.randrange(len(changed) + 1), chance.choice((1, 1, 2, 4, 20))
        match chance.randrange(6):
            case 0 | 1:
                changed[at : at + size] = chance.randbytes(size)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size]
            case 4:
                changed[at:at] = bytes(chance.choice(b' 09AZ\x00\xff\r\n{}"') for _ in range(size))
            case _:
                del changed[max(at, 1) :]
    return bytes(changed)


def only_expected(router: Running) -> None:
    """No fault of ours, and nothing closed or refused for a reason that only we could have."""
    assert router.router.hub.containments == 0, router.log.text
    assert not [code for code in router.log.codes if code.startswith(("E-INT", "E-CFG"))]


@pytest.mark.parametrize("seed", range(4))
async def test_no_bytes_of_a_client_do_more_than_have_its_own_session_refused(seed: int):
    chance = random.Random(seed)
    async with companies(route='validate = "full"', listener='frame_timeout = "40ms"') as (router, _):
        for round in range(ROUNDS):
            client = await router.connect()
            stream = b"".join(build(seed * 1000 + round * 3 + n) for n, build in enumerate((transfer, credit, balance)))
            await client.sends(mutated(chance, stream))
            await client.hangs_up()
            await client.closed()
        only_expected(router)


@pytest.mark.parametrize("seed", range(4))
async def test_no_bytes_of_a_host_do_more_than_leave_its_own_requests_unanswered(seed: int):
    chance = random.Random(seed)

    async def answers_oddly(line: Line, frame: bytes) -> None:
        await line.sends(mutated(chance, answer_to(frame)))

    keys = 'timeout = "40ms"\nframe_timeout = "40ms"\nreconnect_min = "2ms"\nreconnect_max = "5ms"'
    async with companies(answers_oddly, service=keys) as (router, core):
        for round in range(ROUNDS):
            client = await router.connect()
            assert len(await client.asks(transfer(round))) == 304
            await client.got_nothing(0.001)
        only_expected(router)
        await router.until(lambda: router.switch.idle)
        core.behave = answers


@pytest.mark.parametrize("seed", range(4))
async def test_no_bytes_of_an_http_service_do_more_than_leave_its_own_requests_unanswered(seed: int):
    chance = random.Random(seed)
    good = http({"message": "credit.response", "header": {"response_code": "0000"}, "body": {"amount": "30000000", "memo": "전세자금"}})

    async def answers_oddly(line: Line, _head: bytes) -> None:
        await line.sends(mutated(chance, good))

    async with HttpService(answers_oddly) as rest, Host() as steady:
        own = f'[services.rest]\nurl = "http://{rest.address}/"\ntimeout = "40ms"\n[[routes]]\nlistener = "companies"\nservice = "rest"\n'
        text = config(None, steady, more=f'{own}match = {{ message_type = "5000", business_code = "100" }}\n')
        async with running(text) as router, good_neighbour(router):
            for round in range(ROUNDS):
                client = await router.connect()
                assert len(await client.asks(credit(round))) == 304
            only_expected(router)
    numbers = [json.loads(body)["header"]["message_number"] for _, body in rest.requests]
    assert len(set(numbers)) == len(numbers)  # none was sent twice


async def test_random_chunks_and_pauses_change_nothing():
    chance = random.Random(7)
    asked = [transfer(number) for number in range(1, 60)]
    stream = b"".join(asked)
    async with companies() as (router, core):
        client = await router.connect()
        while stream:
            size = chance.choice((1, 3, 100, 303, 304, 305, 1000, 5000))
            await client.sends(stream[:size])
            stream = stream[size:]
            if chance.random() < 0.5:
                await trio.lowlevel.checkpoint()
        assert [await client.got() for _ in asked] == [answer_to(frame) for frame in asked]
        assert router.log.codes == []
    assert core.frames == asked
