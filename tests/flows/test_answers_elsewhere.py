"""One-way pairs of clients on real sockets: requests on one connection, answers on another of the same identity."""

from __future__ import annotations

import socket

import trio
from running_router import Host, Running, answer_to, config, field, running, telegram, transfer

TAKES = """
[listeners.answers]
address = "127.0.0.1:0"
spec = "firmbanking"
unread = "4KiB"
write_timeout = "2s"
conduct = { sign_on = "required", heartbeat = "0s" }
"""


def aside(core: Host, more: str = "", service: str = "") -> str:
    return config(core, listener='answers_to = "answers"\nopen_exchanges = 64', more=TAKES + more, service=service)


def hello(company: str) -> bytes:
    return telegram("open.request", company_number=company)


async def signs_on(router: Running, company: str, *, small: bool = False):
    client = await router.connect("answers", small=small)
    assert await client.asks(hello(company)) == answer_to(hello(company))
    return client


async def test_answers_and_refusals_go_to_the_connection_that_has_signed_on_for_the_same_owner():
    async with Host() as core, running(aside(core)) as router:
        await router.linked("core")
        mine, other = await signs_on(router, "C001"), await signs_on(router, "C002")
        asks = await router.connect()
        first, second = transfer(1, company_number="C001"), transfer(2, company_number="C001")
        await asks.sends(first)
        assert await mine.got() == answer_to(first)
        await asks.sends(second + telegram("balance.response", number=3, company_number="C001"))
        assert await mine.got() == answer_to(second)
        for quiet in (asks, other):
            await quiet.got_nothing()


async def test_while_nobody_takes_them_requests_are_refused_where_they_came_from():
    async with Host() as core, running(aside(core)) as router:
        await router.linked("core")
        await signs_on(router, "C002")
        asks = await router.connect()
        refusal = await asks.asks(transfer(1, company_number="C001"))
        assert field(refusal, "message_number") == "000001" and refusal != answer_to(transfer(1, company_number="C001"))
        assert core.frames == []
        mine = await signs_on(router, "C001")
        await asks.sends(transfer(2, company_number="C001"))
        assert await mine.got() == answer_to(transfer(2, company_number="C001"))


async def test_who_takes_no_answers_has_the_asking_connection_wait_and_loses_none():
    many = 1500
    async with Host() as core, running(aside(core, service='timeout = "5s"')) as router:
        await router.linked("core")
        mine = await signs_on(router, "C001", small=True)
        asks = await router.connect()
        [takes] = router.switch.listeners["answers"].sessions
        router.router.hub.by_peer[takes].sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # type: ignore[attr-defined]
        async with trio.open_nursery() as nursery:
            flood = b"".join(transfer(number, company_number="C001") for number in range(1, many + 1))
            nursery.start_soon(asks.stream.send_all, flood)
            await router.until(lambda: router.switch.awaited, "the asking session waits")
            assert takes.unwritten <= 4096 + 3 * 64 * 304
            got = [field(await mine.got(), "message_number") for _ in range(many)]
        assert sorted(map(int, got)) == list(range(1, many + 1))
        assert router.switch.awaited == {}
