"""Hosts that grant fewer links than are wanted: what is granted is held, what is not is asked for now and then, and carries no request."""

from __future__ import annotations

from typing import Any

import trio
from running_router import Host, Line, answer_to, answers, config, running, transfer

from telegram_router.ops import survey
from telegram_router.wire.links import Outcomes


class Granting(Host):
    """A host that accepts every connection and closes at once those beyond what it grants."""

    def __init__(self, granted: int) -> None:
        super().__init__(answers)
        self.granted = granted
        self.open = 0
        self.accepted = 0

    async def serve(self, line: Line) -> None:
        self.accepted += 1
        if self.open >= self.granted:
            return
        self.open += 1
        try:
            await super().serve(line)
        finally:
            self.open -= 1


def circuits(links: int, keys: str = "") -> str:
    return f'links = {links}\nreconnect_min = "20ms"\nreconnect_max = "100ms"\n{keys}'


async def test_what_a_host_grants_is_held_and_no_request_is_lost_on_what_it_does_not() -> None:
    async with Granting(1) as core, running(config(core, service=circuits(3))) as router:
        await router.linked("core")
        await router.until(lambda: core.accepted >= 6)  # asked for again and again
        client = await router.connect()
        for number in range(1, 101):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
            await trio.sleep(0.002)
        service = router.switch.services["core"]
        assert service.unknown == 0 and len(service.pool.backends[core.address].links) == 1
        assert len(router.log.named("link_up")) <= 2  # at the start any of them may be the one that is granted
        refused = router.log.named("link_not_granted")
        assert refused and refused[-1]["granted"] == 1 and refused[-1]["backend"] == core.address


async def test_a_circuit_that_is_granted_later_is_used_and_the_pauses_between_are_kept() -> None:
    async with Granting(1) as core, running(config(core, service=circuits(2))) as router:
        await router.linked("core")
        await router.until(lambda: core.accepted >= 3)
        tried = core.accepted
        await trio.sleep(0.1)
        assert core.accepted - tried <= 10  # a tenth of the longest pause apart, at least
        core.granted = 2
        links: Any = router.switch.services["core"].pool.backends[core.address].links
        await router.until(lambda: len(links) == 2)


async def test_below_its_least_number_of_links_a_backend_is_not_up() -> None:
    service = circuits(2, 'links_min = 2\npending_timeout = "3s"\ntimeout = "3s"')
    async with Granting(1) as core, running(config(core, service=service)) as router:
        backend = router.switch.services["core"].pool.backends
        await router.until(lambda: router.log.named("link_up"))
        assert backend[core.address].state == "unreachable"
        client = await router.connect()
        await client.sends(transfer(1))
        await client.got_nothing()
        core.granted = 2
        assert await client.got() == answer_to(transfer(1))
        assert backend[core.address].state == "up"


def test_the_status_shows_what_is_granted_of_what_is_wanted() -> None:
    from telegram_router.routing.backends import Backend

    backend = Backend("10.0.0.1:9100")
    seen = survey._backend(backend, {}, 3, lambda _: (Outcomes(), 0.0), {})
    assert (seen.links, seen.links_wanted) == (0, 3)
