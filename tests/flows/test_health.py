"""A router that probes its backends and watches their answers, against real hosts."""

from __future__ import annotations

from collections import Counter

import trio
from running_router import SOON, Client, Host, Line, Running, answer_to, answers, config, field, running, spec_named, transfer

QUICK = 'health = { probe = "poll", interval = "30ms", fast_interval = "10ms", down_interval = "20ms", timeout = "100ms" }'


async def answers_all(line: Line, frame: bytes) -> None:
    """As a host does: polls and telegrams."""
    poll = spec_named("firmbanking").poll_answer(frame)
    await (line.sends(poll) if poll else answers(line, frame))


async def answers_no_poll(line: Line, frame: bytes) -> None:
    if not spec_named("firmbanking").is_poll(frame):
        await answers(line, frame)


async def in_trouble(line: Line, frame: bytes) -> None:
    await line.sends(answer_to(frame, "SSSS"))


def two(one: Host, other: Host, keys: str) -> str:
    text = config(one, service=keys)
    return text.replace(f'backends = ["{one.address}"]', f'backends = ["{one.address}", "{other.address}"]')


def business(host: Host) -> int:
    """Telegrams that reached it, polls not counted."""
    return sum(not spec_named("firmbanking").is_poll(frame) for frame in host.frames)


async def both_linked(router: Running) -> None:
    backends = router.switch.services["core"].pool.backends.values()
    await router.until(lambda: len(backends) == 2 and all(each.links for each in backends), "links with both hosts")


async def told(router: Running, event: str) -> None:
    with trio.fail_after(SOON):
        while not any(line["event"] == event for line in router.log.all()):  # noqa: ASYNC110  (nothing announces it)
            await trio.sleep(0.005)


async def asks(client: Client, numbers: range) -> Counter[str]:
    """What the answers say."""
    codes: Counter[str] = Counter()
    for number in numbers:
        codes[field(await client.asks(transfer(number)), "response_code")] += 1
    return codes


async def test_a_host_that_answers_no_polls_is_left_out_and_comes_back():
    async with Host(answers_all) as one, Host(answers_all) as other, running(two(one, other, QUICK)) as router:
        await both_linked(router)
        client = await router.connect()
        assert await asks(client, range(1, 21)) == {"0000": 20}
        assert min(business(one), business(other)) > 5
        one.behave = answers_no_poll
        await told(router, "backend_down")
        before = business(one)
        assert await asks(client, range(21, 41)) == {"0000": 20}
        assert business(one) == before
        one.behave = answers_all
        await told(router, "backend_up")
        assert await asks(client, range(41, 71)) == {"0000": 30}
        assert business(one) > before  # it starts slowly


async def test_a_host_whose_system_is_in_trouble_is_left_out_after_five_answers():
    keys = 'ejection = { failure_when = { response_code = ["SSSS"] } }'
    async with Host(in_trouble) as one, Host() as other, running(two(one, other, keys)) as router:
        await both_linked(router)
        client = await router.connect()
        codes = await asks(client, range(1, 41))
        assert codes == {"SSSS": 5, "0000": 35}
        assert [line["backend"] for line in router.log.all() if line["event"] == "backend_ejected"] == [one.address]


async def test_with_every_host_down_requests_are_refused_as_not_sent():
    keys = QUICK + '\npending_timeout = "50ms"'
    async with Host(answers_no_poll) as one, running(config(one, service=keys)) as router:
        await told(router, "backend_down")
        client = await router.connect()
        assert await asks(client, range(1, 3)) == {"SB07": 2}
        assert business(one) == 0


async def test_the_backup_takes_over_when_the_primary_dies_and_no_session_notices():
    async with Host() as primary, Host() as backup:
        text = two(primary, backup, "").replace(f'"{backup.address}"]', f'{{ address = "{backup.address}", priority = 1 }}]')
        async with running(text) as router:
            await both_linked(router)
            client = await router.connect()
            assert await asks(client, range(1, 6)) == {"0000": 5}
            assert business(backup) == 0
            await primary.line.closes()
            await told(router, "failover")
            assert await asks(client, range(6, 11)) == {"0000": 5}
            assert business(backup) == 5
