"""Classes, shedding, bulkheads and delays between a TOML file and the kernel: what two users of one slow host feel of each other."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from running_router import Client, Host, Line, Running, answer_to, config, credit, field, running, transfer

from telegram_router.routing import classes

ONE_AT_A_TIME = 'timeout = "60s"\npending_timeout = "50s"\nbackend_in_flight = 1\n'
CLASSES = """
[priorities.recalls]
key = "header.company_number"
values = "RECALL"
class = "critical"
[priorities.salaries]
key = "header.company_number"
values = "SALARY"
class = "bulk"
[[routes]]
listener = "companies"
match = { message_type = "2000" }
service = "core"
class = "high"
"""


class Busy(Host):
    """Answers what it has when it is told to, the oldest first."""

    def __init__(self) -> None:
        super().__init__(self.keep)
        self.kept: list[tuple[Line, bytes]] = []
        self.came_at: list[float] = []

    async def keep(self, line: Line, frame: bytes) -> None:
        self.kept.append((line, frame))
        self.came_at.append(trio.current_time())

    async def answers(self, count: int) -> None:
        """So many, each as soon as it has come."""
        for _ in range(count):
            await self.reached(len(self.frames) - len(self.kept) + 1)
            line, frame = self.kept.pop(0)
            await line.sends(answer_to(frame))


def kind(frame: bytes) -> str:
    company = field(frame, "company_number")
    return {"RECALL": "critical", "SALARY": "bulk"}.get(company) or ("high" if field(frame, "message_type") == "2000" else "normal")


async def told(client: Client, count: int) -> Counter[str]:
    """The response codes of so many answers."""
    return Counter([field(await client.got(), "response_code") for _ in range(count)])


def refused(router: Running) -> dict[str, int]:
    return {code: count for code, count in router.switch.listeners["companies"].refused.items() if count}


async def waits(router: Running, count: int) -> None:
    """Until so many requests wait for room at the host."""
    await router.until(lambda: router.switch.services["core"].waiting.ready == count, f"{count} wait")


async def test_two_users_whose_requests_wait_for_one_host_share_it_by_their_classes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classes, "AGE", 3600.0)  # on a machine that takes its time nobody is to become more urgent by it
    async with Busy() as core, running(config(core, service=ONE_AT_A_TIME + "pending = 1000", more=CLASSES)) as router:
        await router.linked("core")
        one, other = await router.connect(), await router.connect()
        await one.sends(transfer(99))
        await core.reached(1)
        await one.sends(b"".join(transfer(number) for number in range(16)))
        await one.sends(b"".join(transfer(number, company_number="SALARY") for number in range(16)))
        await other.sends(b"".join(credit(number) for number in range(100, 116)))
        await other.sends(b"".join(transfer(number, company_number="RECALL") for number in range(16)))
        await waits(router, 64)
        await core.answers(65)
        assert await told(one, 33) == await told(other, 32) + Counter({"0000": 1})
        served = core.frames[1:]
        assert Counter(map(kind, served[:15])) == {"critical": 8, "high": 4, "normal": 2, "bulk": 1}
        assert Counter(map(kind, served[:30])) == {"critical": 16, "high": 8, "normal": 4, "bulk": 2}
        # Nobody recalls anything any more: the other three share what that leaves.
        assert Counter(map(kind, served[30:44])) == {"high": 8, "normal": 4, "bulk": 2}
        for each in classes.CLASSES:
            numbers = [field(frame, "message_number") for frame in served if kind(frame) == each]
            assert numbers == sorted(numbers), "a class keeps the order of its session"


async def test_when_the_queue_fills_the_least_urgent_are_refused_first_and_what_was_refused_never_reaches_the_host():
    async with Busy() as core, running(config(core, service=ONE_AT_A_TIME + "pending = 20", more=CLASSES)) as router:
        await router.linked("core")
        payroll, bank = await router.connect(), await router.connect()
        await bank.sends(transfer(99))
        await core.reached(1)
        await payroll.sends(b"".join(transfer(number, company_number="SALARY") for number in range(20)))
        shed = await told(payroll, 9)  # beyond half of the queue
        assert refused(router) == {"E-LIM-07": 9}
        await bank.sends(b"".join(transfer(number, company_number="RECALL") for number in range(11)))
        assert await told(bank, 2) == {field(await bank.asks(transfer(98)), "response_code"): 2}  # the queue is full, for anybody
        assert refused(router) == {"E-LIM-07": 9, "E-LIM-01": 3}
        await core.answers(21)
        assert await told(payroll, 11) == {"0000": 11}
        assert await told(bank, 10) == {"0000": 10}
        assert Counter(map(kind, core.frames)) == {"high": 1, "critical": 9, "bulk": 11}
        assert len(core.frames) == 21 and "0000" not in shed
        assert {line["urgency"] for line in router.log.of("E-LIM-07")} == {"bulk"}


async def test_a_user_with_all_that_it_may_have_open_is_refused_more_and_the_others_notice_nothing():
    bulkhead = '[limits.each]\nkey = "address"\nin_flight = 2\n'
    async with Busy() as core, running(config(core, service='timeout = "60s"', more=bulkhead)) as router:
        await router.linked("core")
        greedy, again, neighbour = await router.connect(), await router.connect(), await router.connect(source="127.0.0.2")
        await greedy.sends(transfer(1) + transfer(2) + transfer(3))
        await again.sends(transfer(4))  # of the same house
        await neighbour.sends(transfer(5) + transfer(6))
        assert await told(greedy, 1) == await told(again, 1)
        assert refused(router) == {"E-LIM-02": 2}
        await core.reached(4)
        assert sorted(field(frame, "message_number") for frame in core.frames) == ["000001", "000002", "000005", "000006"]
        await core.answers(4)
        assert await told(greedy, 2) == await told(neighbour, 2) == {"0000": 2}
        await again.sends(transfer(7))
        await core.answers(1)
        assert await told(again, 1) == {"0000": 1}


async def test_a_request_beyond_the_rate_goes_when_its_time_has_come_and_one_that_would_wait_too_long_is_refused_at_once():
    delay = '[limits.each]\nkey = "header.company_number"\nrate = 20\nburst = 1\nmode = "delay"\nmax_delay = "100ms"\n'
    async with Busy() as core, running(config(core, service='timeout = "60s"', more=delay)) as router:
        await router.linked("core")
        hasty, neighbour = await router.connect(), await router.connect()
        begun = trio.current_time()
        await hasty.sends(b"".join(transfer(number) for number in range(1, 5)))
        await neighbour.sends(transfer(9, company_number="OTHER"))
        assert "0000" not in await told(hasty, 1)
        await core.reached(4)
        came = {int(field(frame, "message_number")): at - begun for frame, at in zip(core.frames, core.came_at, strict=True)}
        assert [number for number in came if number != 9] == [1, 2, 3]
        assert came[2] >= 0.05 and came[3] >= 0.1
        await core.answers(4)
        assert await told(hasty, 3) == {"0000": 3}
        assert await told(neighbour, 1) == {"0000": 1}
        assert refused(router) == {"E-LIM-03": 1}
