"""Link modes and one-way pairs on real sockets: that they hold between a TOML file and the kernel."""

from __future__ import annotations

import trio
from running_router import Host, Line, Running, answer_to, companies, config, credit, field, keeps_silent, running, transfer

CARDS = """
[listeners.companies]
address = "127.0.0.1:0"
spec = "iso8583"

[services.core]
backends = ["ADDRESS"]
mode = "fifo"
timeout = "150ms"
poison_grace = "100ms"
pending_timeout = "100ms"
reconnect_min = "10ms"
reconnect_max = "20ms"

[[routes]]
listener = "companies"
default = true
service = "core"
"""


def card(text: str, kind: str = "0200") -> bytes:
    telegram = f"ISO0210000{'11'}{kind}B23880410A000000{text}".encode()
    return len(telegram).to_bytes(2, "big") + telegram


def approved(request: bytes) -> bytes:
    return request[:14] + b"0210" + request[18:] if request[14:18] == b"0200" else request[:14] + b"0110" + request[18:]


async def approves(line: Line, frame: bytes) -> None:
    await line.sends(approved(frame))


async def test_card_telegrams_without_a_key_are_answered_in_order_and_a_time_out_costs_one_link():
    async with Host(approves, spec="iso8583") as core, running(CARDS.replace("ADDRESS", core.address)) as router:
        await router.linked("core")
        one, two = await router.connect(), await router.connect()
        await one.sends(card("one") + card("same") + card("same"))
        await two.sends(card("two", "0100"))
        assert [await one.got() for _ in range(3)] == [approved(card("one")), approved(card("same")), approved(card("same"))]
        assert await two.got() == approved(card("two", "0100"))
        core.behave = keeps_silent
        await one.sends(card("lost"))
        await core.reached(5)
        silent = core.line
        await router.until(lambda: router.log.named("link_spoiled"), "the time-out")
        await silent.sends(approved(card("lost")))  # late, and the only one owed: the link is closed at once
        await router.until(lambda: router.switch.services["core"].late == 1, "the late reply")
        await router.until(lambda: len(core.lines) == 2, "the link that is dialled again")
        core.behave = approves
        await router.linked("core")
        assert await two.asks(card("more")) == approved(card("more"))
        await one.got_nothing()  # the family has no way to say that it does not know
        assert [line["code"] for line in router.log.named("failed")] == ["E-BCK-05"]


async def test_an_exclusive_host_never_sees_a_second_request_before_it_has_answered_the_first():
    open_requests = 0

    async def slowly(line: Line, frame: bytes) -> None:
        nonlocal open_requests
        open_requests += 1
        assert open_requests == 1
        await trio.sleep(0.002)
        open_requests -= 1
        await line.sends(answer_to(frame))

    async with companies(slowly, service='mode = "exclusive"\ntimeout = "2s"') as (router, core):
        client = await router.connect()
        await client.sends(b"".join(transfer(number) for number in range(1, 11)))
        assert [await client.got() for _ in range(10)] == [answer_to(transfer(number)) for number in range(1, 11)]
        assert len(core.frames) == 10


class Pairs:
    """A host with one port for requests and one on which it replies."""

    def __init__(self) -> None:
        self.requests, self.replies = Host(self.answer), Host(keeps_silent)

    async def answer(self, _: Line, frame: bytes) -> None:
        await self.replies.line.sends(answer_to(frame))

    def keys(self) -> str:
        pair = f'backends = [{{ address = "{self.requests.address}", replies = "{self.replies.address}" }}]'
        return f'{pair}\ntimeout = "2s"\npending_timeout = "1s"\nreconnect_min = "10ms"\nreconnect_max = "20ms"'


def with_pairs(host: Pairs, more: str = "") -> str:
    text = config(host.requests)
    service = text.index("[services.core]")
    return text[:service] + f"[services.core]\n{host.keys()}\n{more}\n" + text[text.index("[[routes]]") :]


def in_flight(router: Running) -> int:
    return router.switch.services["core"].in_flight


async def test_a_pair_is_dialled_used_and_dialled_again_half_by_half():
    host = Pairs()
    async with host.requests, host.replies, running(with_pairs(host)) as router:
        await router.linked("core")
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        host.requests.behave = keeps_silent
        await client.sends(transfer(2) + credit(3))
        await host.requests.reached(3)
        await host.replies.line.closes()
        await router.until(lambda: len(host.replies.lines) == 2, "the connection for replies again")
        await router.linked("core")
        assert in_flight(router) == 2  # they wait for it
        await host.replies.line.sends(answer_to(credit(3)))
        assert await client.got() == answer_to(credit(3))
        await host.requests.line.closes()
        await router.until(lambda: len(host.requests.lines) == 2, "the connection for requests again")
        await host.replies.line.sends(answer_to(transfer(2)))
        assert await client.got() == answer_to(transfer(2))
        host.requests.behave = host.answer
        await router.linked("core")
        assert await client.asks(transfer(4)) == answer_to(transfer(4))
        assert len(host.requests.frames) == 4 and not host.replies.frames
        roles = [line["role"] for line in router.log.named("link_lost")]
        assert roles[:2] == ["replies", "requests"]


async def test_a_reload_takes_a_pair_away_and_brings_one():
    host, plain = Pairs(), Host()
    async with host.requests, host.replies, plain, running(with_pairs(host)) as router:
        await router.linked("core")
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        file = router.router.plan.path
        one_way = file.read_text()
        file.write_text(one_way.replace(f', replies = "{host.replies.address}"', ""))
        report = await router.router.reload()
        assert report.applied
        await router.until(lambda: len(host.requests.lines) == 2, "a link that carries both")
        host.requests.behave = answers_there
        await router.until(lambda: not router.switch.services["core"].halves, "nothing of the pair is left")
        await router.linked("core")
        answer = await client.asks(transfer(2))
        assert field(answer, "response_code") == "0000"
        file.write_text(one_way)
        await router.router.reload()
        host.requests.behave = host.answer
        await router.until(lambda: len(host.replies.lines) == 2 and router.switch.services["core"].halves, "the pair again")
        await router.until(lambda: not router.switch.services["core"].leaving, "the link before it is gone")
        await router.linked("core")
        assert await client.asks(transfer(3)) == answer_to(transfer(3))


async def answers_there(line: Line, frame: bytes) -> None:
    await line.sends(answer_to(frame))
