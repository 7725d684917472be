"""Links to telegram hosts: dialled for ever with growing pauses, and what becomes of requests when one is lost."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import trio
from hub_kit import FAMILY, Network, World, answered, asked, not_sent, numbers, replies, reply, request, requests, running, settled, unknown
from trio.testing import MockClock

from telegram_router.routing import ServicePolicy
from telegram_router.routing.conduct import Rules
from telegram_router.routing.conducting import Terms
from telegram_router.telegrams import NUMBER, Conduct, Formality, compile_family
from telegram_router.wire import links
from telegram_router.wire.connection import Limits
from telegram_router.wire.links import Backend, LinkKeeper, Outcomes, Pauses, _reason

MakeWorld = Callable[..., World]
SIGNING = compile_family(
    replace(FAMILY, conduct=Conduct("code", ("OK",), sign_on=Formality("work.request"), set={"header.number": NUMBER, "company": "WE"}))
)
ONE, TWO = Backend("10.0.0.1", 9100), Backend("10.0.0.2", 9100)


class Keepers:
    """Link keepers of the service `transfer` on a network in memory. Chance always gives the longest pause."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, chance: float = 1.0) -> None:
        self.world = world
        self.network = Network(world)
        self.outcomes: dict[str, Outcomes] = {}
        self._chance = chance
        monkeypatch.setattr(links, "dial", self.network.dial)

    def start(self, nursery: trio.Nursery, *backends: Backend) -> None:
        for backend in backends:
            outcomes = self.outcomes.setdefault(backend.name, Outcomes())
            pauses = Pauses(0.5, 30.0, lambda: self._chance)
            keeper = LinkKeeper(self.world.hub, self.world.service(), backend, Limits(), pauses, outcomes, self.world.log)
            nursery.start_soon(keeper.run)


@pytest.fixture
def keepers(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> Keepers:
    return Keepers(make_world(clock=trio.current_time), monkeypatch)


# -- pauses


def test_pauses_double_up_to_the_longest_and_start_anew_after_a_reset() -> None:
    pauses = Pauses(0.5, 30.0, lambda: 1.0)
    assert [pauses.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    pauses.reset()
    assert pauses.next() == 0.5


def test_a_pause_is_never_shorter_than_a_tenth_so_that_no_refusal_becomes_a_busy_loop() -> None:
    chances = iter([0.0, 0.05, 0.5])
    pauses = Pauses(0.5, 30.0, lambda: next(chances))
    assert [pauses.next() for _ in range(3)] == [0.05, 0.1, 1.0]


# -- dialling


def test_what_the_system_says_is_told_without_the_words_that_trio_puts_around_it() -> None:
    wrapped = OSError("all attempts to connect to 127.0.0.1:9 failed")
    refused = OSError(errno.ECONNREFUSED, "Error connecting to ('127.0.0.1', 9): Connection refused")
    wrapped.__cause__ = ExceptionGroup("several", [refused, refused, OSError(errno.EINVAL, "the source port 1 may be used by root alone")])
    assert _reason(wrapped) == "Connection refused; the source port 1 may be used by root alone"


async def test_a_host_that_cannot_be_reached_is_dialled_again_with_doubling_pauses(keepers: Keepers, autojump_clock: MockClock) -> None:
    async with running(keepers.world) as nursery:
        keepers.start(nursery, ONE)
        await trio.sleep(95)
    assert keepers.network.times(ONE.name) == pytest.approx([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5], abs=0.001)
    assert keepers.outcomes[ONE.name] == Outcomes(connected=0, failed=9, up=0)
    assert {line["code"] for line in keepers.world.log.named("connect_failed")} == {"E-BCK-10"}


async def test_pauses_start_anew_only_after_a_link_that_was_up_for_ten_seconds(keepers: Keepers, autojump_clock: MockClock) -> None:
    network = keepers.network
    network.reachable.add(ONE.name)
    async with running(keepers.world) as nursery:
        keepers.start(nursery, ONE)
        for up in (1, 1, 11, 1):
            await settled()
            await trio.sleep(up)
            connected = len(network.ends[ONE.name])
            network.last(ONE.name).far.close()
            while len(network.ends[ONE.name]) == connected:  # noqa: ASYNC110 - on a virtual clock
                await trio.sleep(0.01)
    times = network.times(ONE.name)
    assert [after - before for before, after in pairwise(times)] == pytest.approx([1.5, 2, 11.5, 2], abs=0.02)
    assert keepers.outcomes[ONE.name] == Outcomes(connected=5, failed=0, up=0)


async def test_a_link_that_is_up_is_counted_and_one_that_is_lost_is_named(keepers: Keepers, autojump_clock: MockClock) -> None:
    keepers.network.reachable.add(ONE.name)
    async with running(keepers.world) as nursery:
        keepers.start(nursery, ONE)
        await settled()
        assert keepers.outcomes[ONE.name].up == 1
        keepers.network.last(ONE.name).far.reset()
        await settled()
        assert keepers.outcomes[ONE.name].up == 0
    [lost] = keepers.world.log.named("link_lost")
    assert lost["backend"] == ONE.name
    assert lost["reason"] == "reset by the peer"


async def test_a_host_whose_handshake_fails_is_dialled_again_and_never_gets_a_request(
    keepers: Keepers, contexts: tuple[ssl.SSLContext, ssl.SSLContext], autojump_clock: MockClock
) -> None:
    backend = Backend("10.0.0.1", 9100, tls=contexts[1], server_name="another")
    keepers.network.reachable.add(backend.name)
    async with running(keepers.world) as nursery:
        keepers.start(nursery, backend)
        await settled()
        end = keepers.network.last(backend.name)
        assert end.far.got().startswith(b"\x16\x03")
        end.far.push(b"not TLS at all, whatever it is\r\n")
        await trio.sleep(1)
        assert end.far.closed
        assert len(keepers.network.times(backend.name)) == 2
    assert keepers.outcomes[backend.name].connected == 0
    assert keepers.outcomes[backend.name].failed == 2
    assert not keepers.world.service().links


# -- requests


async def test_what_a_dead_backend_was_not_sent_goes_to_the_other_and_what_it_was_sent_is_unknown(
    keepers: Keepers, autojump_clock: MockClock
) -> None:
    network, world = keepers.network, keepers.world
    network.window = 50
    network.reachable |= {ONE.name, TWO.name}
    async with running(world) as nursery:
        keepers.start(nursery, ONE, TWO)
        await settled()
        one, two = network.last(ONE.name), network.last(TWO.name)
        client = world.client()
        client.says(requests(*range(10)))  # five to each; two and a half fit
        await settled()
        one.far.reset()
        network.reachable.clear()
        await settled()
        mine, others = numbers(one.got()), []
        for _ in range(10):
            others += numbers(two.got())
            await settled()
        assert len(mine) == 2  # and a half
        lost = [each.number for each in client.got()]
        assert len(lost) == 3
        assert set(mine) < set(lost)
        assert sorted(others + lost) == list(range(10))
        for number in others:
            two.says(reply(number))
            await settled()
        assert sorted(numbers(client.got())) == sorted(others)
        world.assert_at_rest()


async def test_with_all_links_down_a_request_waits_one_second_and_is_then_refused_as_not_sent(
    keepers: Keepers, autojump_clock: MockClock
) -> None:
    world = keepers.world
    async with running(world) as nursery:
        keepers.start(nursery, ONE, TWO)
        client = world.client()
        client.says(request(1))
        await trio.sleep(0.9)
        assert client.got() == []
        await trio.sleep(0.4)
        assert client.got() == not_sent("E-BCK-01", 1)
        world.assert_at_rest()


async def test_a_request_that_waits_goes_out_as_soon_as_a_link_is_up(keepers: Keepers, autojump_clock: MockClock) -> None:
    world, network = keepers.world, keepers.network
    async with running(world) as nursery:
        keepers.start(nursery, ONE)
        client = world.client()
        await trio.sleep(0.4)
        client.says(requests(1, 2))
        network.reachable.add(ONE.name)
        await trio.sleep(0.2)
        host = network.last(ONE.name)
        assert host.got() == asked(1, 2)
        assert host.writes == [40]
        host.says(replies(2, 1))
        await settled()
        assert client.got() == answered(2, 1)
        world.assert_at_rest()


async def test_too_many_waiting_requests_are_refused_at_once(make_world: MakeWorld, autojump_clock: MockClock) -> None:
    world = make_world(policies={"transfer": ServicePolicy(pending=3)}, clock=trio.current_time)
    async with running(world):
        client = world.client()
        client.says(requests(*range(5)))
        await settled()
        assert client.got() == not_sent("E-BCK-01", 3, 4)
        await trio.sleep(1.3)
        assert client.got() == not_sent("E-BCK-01", 0, 1, 2)


def test_the_link_with_the_fewest_open_requests_is_chosen(world: World) -> None:
    one, two, client = world.host(), world.host(), world.client()
    client.sends(requests(0, 1, 2, 3))
    assert (len(one.got()), len(two.got())) == (2, 2)
    two.sends(replies(1, 3))
    client.sends(requests(4, 5))
    assert (len(one.got()), len(two.got())) == (0, 2)
    client.sends(requests(6, 7))
    assert (len(one.got()), len(two.got())) == (1, 1)


async def test_a_lost_link_racing_a_timeout_answers_once(keepers: Keepers, autojump_clock: MockClock) -> None:
    world, network = keepers.world, keepers.network
    network.reachable.add(ONE.name)
    async with running(world) as nursery:
        keepers.start(nursery, ONE)
        await settled()
        client = world.client()
        client.says(request(1))
        await settled()
        end = network.last(ONE.name)
        end.got()
        world.hub.enter(lambda now: world.switch.tick(now + 30))
        end.far.reset()
        await settled()
        assert client.got() == unknown("E-BCK-05", 1)
        world.assert_at_rest()


async def test_a_stop_while_a_link_is_being_made_leaves_no_socket(keepers: Keepers, autojump_clock: MockClock) -> None:
    keepers.network.reachable.add(ONE.name)
    async with running(keepers.world) as nursery:
        keepers.start(nursery, ONE)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
    assert keepers.world.net.open == 0


# -- sign-on


def conducted(keepers: Keepers, **rules: Any) -> None:
    keepers.world.switch.conductor.adopt(keepers.world.service(), Terms(Rules(**rules)), 0.0)


async def test_a_link_that_is_never_signed_on_does_not_start_the_pauses_anew(keepers: Keepers, autojump_clock: MockClock) -> None:
    keepers.world.service().spec = SIGNING
    conducted(keepers, sign_on=True, timeout=15.0)
    keepers.network.reachable.add(ONE.name)
    async with running(keepers.world) as nursery:
        keepers.start(nursery, ONE)
        await trio.sleep(70)
        outcomes = keepers.outcomes[ONE.name]
        assert (outcomes.connected, outcomes.up, outcomes.why) == (0, 0, "E-BCK-15")
        assert outcomes.attempts == outcomes.refused == outcomes.failed == 4
    dialled = keepers.network.times(ONE.name)
    assert [after - before for before, after in pairwise(dialled)] == pytest.approx([15.5, 16, 17, 19], abs=0.1)
    assert keepers.world.service().peers == []
