"""The hub's turns: who is served when, how writes are gathered, what an unexpected exception costs, and how it all ends."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest
import trio
from hub_kit import (
    POLL,
    POLL_ANSWER,
    Seen,
    SteppedClock,
    World,
    answered,
    asked,
    not_sent,
    numbers,
    replies,
    reply,
    request,
    requests,
    running,
    settled,
    unknown,
)

from telegram_router.routing import ServicePolicy
from telegram_router.routing.timing import EXPIRED_AT_ONCE
from telegram_router.wire import hub as hub_module
from telegram_router.wire.connection import Limits, Stage
from telegram_router.wire.hub import TURN
from telegram_router.wire.telegram_connection import FRAMES_OF_A_FLOOD, FRAMES_PER_STEP, TelegramConnection

MakeWorld = Callable[..., World]


# -- one turn


def test_a_request_goes_to_the_host_and_its_answer_to_the_client_that_asked(world: World) -> None:
    host, first, second = world.host(), world.client(), world.client()
    first.sends(request(1, company="C001"))
    second.sends(request(1, company="C002", body=b"second"))
    assert host.got() == [Seen("request", 1), Seen("request", 1, body=b"second")]
    host.sends(reply(1, company="C002", body=b"for the second"), reply(1, company="C001"))
    assert first.got() == answered(1)
    assert second.got() == [Seen("reply", 1, body=b"for the second")]
    world.assert_at_rest()


def test_whoever_looks_at_what_leaves_is_shown_all_of_it_before_it_has_left_also_when_a_link_is_behind(world: World) -> None:
    shown: dict[object, int] = {}

    def show(peers: Sequence[Any], now: float) -> None:
        for peer in peers:
            assert shown.get(peer, 0) >= peer.accepted, "something has left that nobody was shown"
            shown[peer] = peer.queued

    world.hub.tap_out = show
    first, second, host = world.client(), world.client(), world.host(window=70)
    got: list[Seen] = []
    for number in range(1, 70, 7):
        first.sends(requests(*range(number, number + 5)))  # more than the host has room for
        second.says(requests(number + 5, number + 6))
        got += host.got()  # and room again in the turn in which these come
        world.settle()
        got += host.got()
        world.settle()
    assert got == asked(*range(1, 71)) and shown[host.peer] == host.peer.accepted


def test_a_poll_is_answered_by_the_router(world: World) -> None:
    client = world.client()
    client.sends(POLL)
    assert client.far.got() == POLL_ANSWER


def test_one_socket_gets_at_most_sixty_four_frames_into_a_turn_and_the_others_are_served_between(world: World) -> None:
    host, busy, other = world.host(), world.client(), world.client()
    busy.says(requests(*range(200)))
    other.says(request(900, company="C002"))
    world.turn()
    assert numbers(host.got()) == [*range(FRAMES_PER_STEP), 900]
    other.says(request(901, company="C002"))
    world.turn()
    served = numbers(host.got())
    so_far = FRAMES_PER_STEP + FRAMES_OF_A_FLOOD  # who sends more than a step takes is served in smaller ones
    assert sorted(served) == [*range(FRAMES_PER_STEP, so_far), 901]
    world.settle()
    assert numbers(host.got()) == list(range(so_far, 200))
    host.sends(replies(*range(200)), reply(900, company="C002"), reply(901, company="C002"))
    assert busy.got() == answered(*range(200))
    world.assert_at_rest()


def test_answers_that_one_receive_of_a_link_holds_reach_each_client_in_one_write(world: World) -> None:
    host, first, second = world.host(), world.client(), world.client()
    first.sends(requests(*range(60)))
    second.sends(*(request(number, company="C002") for number in range(60)))
    host.says(*(reply(number, company=company) for number in range(60) for company in ("C001", "C002")))
    world.turn()
    assert first.got() == second.got() == answered(*range(60))
    world.assert_at_rest()


def costly(make_world: MakeWorld, seconds: float) -> World:
    """A world in which every step that brings frames takes so long."""
    clock = SteppedClock()
    world = make_world(clock=clock)
    receive = world.switch.receive

    def slow(*args: Any) -> None:
        clock.cost(seconds)
        receive(*args)

    world.switch.receive = slow  # type: ignore[method-assign]
    return world


def test_a_turn_ends_after_five_milliseconds_and_what_it_did_not_get_to_goes_first(make_world: MakeWorld) -> None:
    world = costly(make_world, 0.001)
    host, clients = world.host(), [world.client() for _ in range(21)]
    for number, client in enumerate(clients[:20]):
        client.says(request(number))
    world.turn()
    assert numbers(host.got()) == list(range(8))  # the clock is looked at every eight sockets
    clients[20].says(request(20))
    clients[0].says(request(21))
    world.turn()
    world.turn()
    assert numbers(host.got()) == list(range(8, 20))
    world.settle()
    assert sorted(numbers(host.got())) == [20, 21]
    host.sends(replies(*range(22)))
    world.assert_at_rest()


def test_clients_that_never_stop_sending_do_not_shut_out_another(make_world: MakeWorld) -> None:
    world = costly(make_world, 0.001)
    world.host()
    quiet = world.client()
    greedy = [world.client() for _ in range(30)]
    for number, client in enumerate(greedy):
        client.says(requests(*range(256), company=f"G{number:03}"))
    world.turn()
    quiet.says(request(1, company="QUIT"))
    turns = 0
    while not quiet.got():  # the service has no room for it, which is told at once
        began = world.hub.clock()
        world.turn()
        turns += 1
        assert world.hub.clock() - began <= TURN + 0.009
        assert turns <= 31 // 8 + 2  # the rest of the round that was under way; in its own it comes before who has had a step


def test_every_destination_gets_one_write_a_turn_whoever_sent_to_it(world: World) -> None:
    host, clients = world.host(), [world.client() for _ in range(20)]
    for number, client in enumerate(clients):
        client.says(requests(3 * number, 3 * number + 1, 3 * number + 2))
    world.turn()
    assert host.writes == [60 * 20]
    host.says(replies(*range(60)))
    world.turn()
    assert [client.writes for client in clients] == [[60]] * 20
    world.assert_at_rest()


def test_an_outbox_larger_than_one_write_goes_out_in_several_as_the_kernel_takes_it(make_world: MakeWorld) -> None:
    world = make_world(policies={"transfer": ServicePolicy(in_flight=1000)}, open_exchanges=1000)
    host, client = world.host(window=1_000_000), world.client()
    world.switch.receive(client.peer, [request(number, body=bytes(1000)) for number in range(400)], world.now)
    world.settle()
    world.tick()
    assert numbers(host.got()) == list(range(400))
    assert host.writes[0] == 262_144
    host.sends(replies(*range(400)))
    world.assert_at_rest()


@pytest.mark.parametrize("host_is_there", [True, False], ids=["unanswered", "waiting"])
def test_when_many_requests_end_at_one_moment_others_are_served_between(make_world: MakeWorld, host_is_there: bool) -> None:
    many = 2 * EXPIRED_AT_ONCE + 10
    policy = ServicePolicy(in_flight=2000, pending=2000, timeout=10.0, pending_timeout=5.0)
    services = {"transfer": ["TR"], "quick": ["QU"]}
    world = make_world(services=services, policies={"transfer": policy, "quick": policy}, open_exchanges=2000)
    quick = world.host("quick")
    client, other = world.client(), world.client()
    if host_is_there:
        world.host()
    world.switch.receive(client.peer, [request(number) for number in range(many)], world.now)
    world.settle()
    service = world.service()
    open_then = len(service.register.pending)  # those that wait are among them
    assert open_then > EXPIRED_AT_ONCE
    world.now += 10.0
    world.hub.enter(world.hub._tick)
    other.says(request(1, company="C002", code="QU"))
    world.turn()
    assert quick.got() == [Seen("request", 1)]
    assert len(service.register.pending) == open_then - EXPIRED_AT_ONCE
    world.settle()
    assert len(client.got()) == many and not service.register.pending and not service.waiting


def test_a_quiet_turn_costs_nothing_and_says_so(world: World) -> None:
    world.client()
    turns = sum(world.hub.turn_times)
    assert world.turn() is False
    assert sum(world.hub.turn_times) == turns


# -- entrances


def test_what_enters_runs_in_the_next_turn_and_its_outboxes_are_flushed_with_it(world: World) -> None:
    client, ran = world.client(), []

    def step(now: float) -> None:
        ran.append(now)
        world.switch.receive(client.peer, [POLL], now)

    world.hub.enter(step)
    assert not ran
    world.turn()
    assert ran == [world.now]
    assert client.far.got() == POLL_ANSWER


async def test_entering_wakes_a_hub_that_sleeps(make_world: MakeWorld, autojump_clock: trio.testing.MockClock) -> None:
    world = make_world(clock=trio.current_time)
    ran = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.hub.run)
        await trio.sleep(100)
        turns = sum(world.hub.turn_times)
        assert turns == 0  # nothing to do: no turn
        world.hub.enter(lambda now: ran.set())
        with trio.fail_after(0.001):
            await ran.wait()
        world.hub.stop()


async def test_the_ticker_answers_a_timeout_within_its_rounding(make_world: MakeWorld, autojump_clock: trio.testing.MockClock) -> None:
    world = make_world(policies={"transfer": ServicePolicy(timeout=2.0)}, clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.hub.run)
        nursery.start_soon(world.hub.keep_time, 2.0)
        host, client = world.host(), world.client()
        await trio.sleep(1.234)
        client.says(request(1))
        asked_at = trio.current_time()
        await host.far.wait_for(20)
        told = await client.far.wait_for(10)
        assert 2.0 <= trio.current_time() - asked_at <= 2.0 + hub_module.SWEEP + hub_module.TICK
        assert b"E-BCK-05" in told
        world.hub.stop()
        nursery.cancel_scope.cancel()


# -- containment


class Planted(Exception):
    """A fault nobody expected. Its text holds what must never be logged."""

    def __init__(self) -> None:
        super().__init__("SECRET 8001011234567")


def plant(*_: object, **__: object) -> Any:
    raise Planted


def assert_contained(world: World, victim: TelegramConnection) -> None:
    assert victim.stage is Stage.CLOSED
    assert world.hub.containments == len(world.bugs) == 1
    [bug] = world.bugs
    assert bug["code"] == "E-INT-01"
    assert bug["connection"] == victim.name
    assert bug["type"] == "Planted"
    assert bug["at"]
    assert "SECRET" not in repr(world.log.lines)


@pytest.mark.parametrize("place", ["recv", "cut", "switch.receive", "arrived", "ended", "read"])
def test_a_fault_while_reading_a_session_costs_that_session_only(world: World, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host, victim, other = world.host(), world.client(), world.client()
    victim.sends(request(1), request(2))
    other.sends(request(3, company="C002"))
    assert numbers(host.got()) == [1, 2, 3]
    match place:
        case "recv" | "cut":
            monkeypatch.setattr(victim.connection, place, plant)
        case "switch.receive":
            monkeypatch.setattr(world.switch, "receive", plant)
        case _:
            monkeypatch.setattr(TelegramConnection, place, plant)
    if place == "arrived":
        world.hub._contain(victim.connection, lambda now: victim.connection.arrived(b"x", now), world.now)
    elif place == "ended":
        victim.far.fin()
        world.turn()
    else:
        victim.says(request(4, body=b"SECRET"))
        world.turn()
    monkeypatch.undo()
    assert_contained(world, victim.connection)
    other.sends(request(5, company="C002"))
    host.sends(replies(1, 2), replies(3, 5, company="C002"))
    assert other.got() == answered(3, 5)
    assert world.service().undelivered == 2
    world.assert_at_rest()


@pytest.mark.parametrize("accepted", [False, True])
def test_a_fault_while_writing_a_link_settles_each_request_by_what_had_left(world: World, accepted: bool) -> None:
    first, client = world.host(), world.client()
    first.far.takes(30 if accepted else 0)
    client.sends(requests(1, 2, 3))
    second = world.host()
    first.connection.send = plant
    first.far.takes_all()
    world.settle()
    assert_contained(world, first.connection)
    if accepted:  # 30 bytes: the first whole, the second torn
        assert client.got() == unknown("E-BCK-02", 1, 2)
        assert second.got() == asked(3)
        second.sends(reply(3))
    else:
        assert second.got() == asked(1, 2, 3)
        second.sends(replies(1, 2, 3))
    assert numbers(client.got()) == ([3] if accepted else [1, 2, 3])
    world.assert_at_rest()


def test_a_fault_when_a_connection_opens_costs_that_connection_and_leaves_no_socket(world: World) -> None:
    end = world.dialled(100, is_session=True)
    end.connection.on_open = plant
    world.let_in(end)
    assert_contained(world, end.connection)
    assert end.far.closed


def test_a_poller_that_takes_no_more_costs_the_connection_that_came_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """epoll has a limit per user (max_user_watches)."""
    end = world.dialled(100, is_session=True)

    def full(fd: int, events: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.net.poller, "register", full)
    world.let_in(end)
    monkeypatch.undo()
    assert end.far.closed
    assert not world.hub.connections
    host, client = world.host(), world.client()
    client.sends(request(1))
    assert host.got() == asked(1)
    host.sends(reply(1))
    assert client.got() == answered(1)


def test_a_fault_in_whoever_is_told_of_a_closed_connection_disturbs_nobody(world: World) -> None:
    host, victim, other = world.host(), world.client(), world.client()
    victim.connection.on_closed = plant
    victim.far.close()
    world.settle()
    assert_contained(world, victim.connection)
    other.sends(request(1))
    host.sends(reply(1))
    assert other.got() == answered(1)


def test_a_fault_in_an_entrance_is_counted_and_the_turn_goes_on(world: World) -> None:
    client = world.client()
    client.says(POLL)
    world.hub.enter(plant)
    world.turn()
    assert client.far.got() == POLL_ANSWER
    assert world.hub.containments == 1
    assert "SECRET" not in repr(world.log.lines)


@pytest.mark.parametrize("place", ["lose_session", "tick"])
async def test_a_fault_that_may_leave_the_books_half_written_ends_the_hub_after_one_flush(
    place: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(clock=trio.current_time)
    with pytest.RaisesGroup(Planted):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.hub.run)
            host, victim, other = world.host(), world.client(), world.client()
            other.says(request(1))
            await host.far.wait_for(20)
            setattr(world.switch, place, plant)
            world.hub.enter(lambda now: world.switch.receive(host.peer, [reply(1)], now))
            if place == "tick":
                world.hub.enter(world.hub._tick)
            else:
                victim.far.close()
            await trio.sleep(1)
    assert other.got() == answered(1)
    assert world.net.open == 0
    assert "SECRET" not in repr(world.log.lines)


# -- a fault at every call


STEPS = ("ready", "read", "flush", "go_on", "resume")


class Fault:
    """Raises at the n-th Python call made inside steps of connections."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0
        self.victim: TelegramConnection | None = None
        self.in_drop = False
        self._step: TelegramConnection | None = None

    def around(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in STEPS:
            monkeypatch.setattr(TelegramConnection, name, self._watched(getattr(TelegramConnection, name)))

    def _watched(self, step: Callable[..., None]) -> Callable[..., None]:
        def watched(connection: TelegramConnection, *args: Any) -> None:
            outermost = self._step is None
            if outermost:
                self._step = connection
                gc.disable()  # the generators of earlier worlds are closed by calls, and a fault in there reaches nobody
                sys.setprofile(self._profile)
            try:
                step(connection, *args)
            finally:
                if outermost:
                    sys.setprofile(None)
                    gc.enable()
                    self._step = None

        return watched

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        caller = frame.f_back.f_code.co_filename if frame.f_back is not None else ""
        if event != "call" or frame.f_code.co_name == "watched" or caller.endswith(("memory.py", "hub_kit.py")):
            return  # a kernel does not fail after it has taken bytes
        self.calls += 1
        if self.calls == self.number:
            self.victim = self._step
            names = []
            place: FrameType | None = frame
            while place is not None:
                names.append(place.f_code.co_name)
                place = place.f_back
            self.in_drop = "drop" in names
            raise Planted


def conversation(world: World, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two clients, two hosts, batches, a refused telegram, a stall, a pause, a half-close."""
    hosts, clients = [world.host(), world.host(window=200)], [world.client(window=100), world.client()]
    asked_numbers: list[list[int]] = [[], []]
    got: list[list[Seen]] = [[], []]
    taken: list[list[int]] = [[], []]
    fault.around(monkeypatch)

    def ask(client: int, *wanted: int) -> None:
        if clients[client].connection.stage is Stage.OPEN and not clients[client].far.closed:
            asked_numbers[client] += wanted
            clients[client].sends(requests(*wanted, company=f"C00{client}"))

    def collect() -> None:
        for index, end in enumerate(clients):
            got[index] += end.got()
        for index, end in enumerate(hosts):
            taken[index] += numbers(end.got())
        world.settle()

    def answer() -> None:
        collect()
        for index, end in enumerate(hosts):
            open_now = [number for number in taken[index] if number not in answers]
            answers.update(open_now)
            if not end.far.closed:
                end.sends(*(reply(number, company=f"C00{number // 100}") for number in open_now))
        collect()

    answers: set[int] = set()
    try:
        ask(0, *range(1, 4))
        ask(1, *range(101, 112))
        answer()
        ask(0, *range(10, 20))
        ask(1, 140, 140)  # a duplicate
        if not clients[1].far.closed:
            clients[1].sends(request(150, code="XX", company="C001"))  # no route
        answer()
        if not clients[0].far.closed:
            clients[0].far.fin()
        for _ in range(6):
            answer()
    finally:
        sys.setprofile(None)
    return {"asked": asked_numbers, "got": got, "taken": taken, "clients": clients, "hosts": hosts}


def test_a_fault_at_any_call_inside_a_step_costs_one_connection_and_every_request_ends_as_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    fatal = 0
    for _ in range(2):  # the first run fills what specs remember
        total = Fault(0)
        with monkeypatch.context() as patch:
            conversation(small_world(), total, patch)
    assert total.calls > 150
    for number in range(1, total.calls + 1):
        fault, world = Fault(number), small_world()
        with monkeypatch.context() as patch:
            try:
                end = conversation(world, fault, patch)
            except Planted:
                assert fault.in_drop, number  # half-written books: the process ends
                fatal += 1
                continue
        assert fault.victim is not None
        assert fault.victim.stage is Stage.CLOSED, number
        assert world.hub.containments == 1, number
        for seconds in (31, 0, 0, 301):
            world.passes(seconds)
            for index, client in enumerate(end["clients"]):
                end["got"][index] += client.got()
        check_outcomes(world, fault, end, number)
        world.assert_at_rest()
        world.close()
    assert fatal < total.calls / 4


def small_world() -> World:
    return World(policies={"transfer": ServicePolicy(in_flight=4)}, open_exchanges=8, limits=Limits(unread=60))


def check_outcomes(world: World, fault: Fault, end: dict[str, Any], number: int) -> None:
    both = end["taken"][0] + end["taken"][1]
    assert len(both) == len(set(both)), (number, "a host got a request twice")
    for index, client in enumerate(end["clients"]):
        if client.connection is fault.victim:
            continue
        outcomes = {each.number: each.kind for each in end["got"][index] if each.code not in ("E-DUP-01", "E-RTE-01")}
        for wanted in end["asked"][index]:
            assert wanted in outcomes, (number, wanted, "no answer")
            if outcomes[wanted] == "not_sent":
                assert wanted not in both, (number, wanted, "was sent")
        told = [each.number for each in end["got"][index] if each.code not in ("E-DUP-01", "E-RTE-01")]
        assert len(told) == len(set(told)), (number, "answered twice")


# -- stopping


async def test_a_drain_answers_what_is_open_refuses_what_is_new_and_then_parts(
    make_world: MakeWorld, autojump_clock: trio.testing.MockClock
) -> None:
    world = make_world(clock=trio.current_time)
    async with running(world) as nursery:
        host, client, idle = world.host(), world.client(), world.client()
        client.says(requests(1, 2))
        await settled()
        left: list[int] = []

        async def drain() -> None:
            left.append(await world.hub.drain(30))

        nursery.start_soon(drain)
        await trio.sleep(1)
        client.says(request(3))
        idle.says(request(4, company="C002"))
        idle.says(POLL)
        await settled()
        assert client.got() == not_sent("E-LIM-04", 3)
        assert idle.got_frames()[0][4:8] == b"0299"
        assert not idle.far.ended
        host.says(replies(2, 1))
        await trio.sleep(0.1)
        assert client.got() == answered(2, 1)
        assert client.far.ended
        assert idle.far.ended
        assert not client.far.closed  # our FIN first, then the client's
        client.far.close()
        idle.far.close()
        await trio.sleep(0.1)
        assert left == [0]
        assert not client.far.was_reset
        assert not host.far.closed  # links go last
        world.assert_at_rest()


async def test_a_drain_looks_at_every_telegram_that_was_received(make_world: MakeWorld, autojump_clock: trio.testing.MockClock) -> None:
    world = make_world(clock=trio.current_time, open_exchanges=10)
    async with running(world) as nursery:
        host, client = world.host(), world.client()
        client.says(requests(*range(300)))
        await settled()
        assert numbers(host.got()) == list(range(10))
        nursery.start_soon(world.hub.drain, 30)
        await trio.sleep(1)
        host.says(replies(*range(10)))
        await trio.sleep(0.1)
        assert sorted(client.got()) == sorted(answered(*range(10)) + not_sent("E-LIM-04", *range(10, 300)))
        assert client.far.ended
        world.assert_at_rest()


async def test_a_drain_that_loses_its_patience_tells_every_asker_that_nobody_knows_and_says_how_many_were_cut(
    make_world: MakeWorld, autojump_clock: trio.testing.MockClock
) -> None:
    world = make_world(clock=trio.current_time)
    async with running(world):
        host, client = world.host(), world.client()
        client.says(requests(1, 2))
        await settled()
        host.says(request(7))  # the other way round: the host asks, the session owes the answer
        await settled()
        assert client.got() == asked(7)
        began = trio.current_time()
        assert await world.hub.drain(3) == 3
        assert trio.current_time() - began == pytest.approx(4, abs=0.1)
        assert client.got() == unknown("E-BCK-05", 1, 2)
        assert client.far.ended  # parted with in good order, after the last answer
        assert unknown("E-BCK-05", 7)[0] in host.got()


async def test_a_drain_does_not_wait_for_a_client_that_never_closes(make_world: MakeWorld, autojump_clock: trio.testing.MockClock) -> None:
    world = make_world(clock=trio.current_time)
    async with running(world):
        client = world.client()
        began = trio.current_time()
        assert await world.hub.drain(30) == 0
        assert trio.current_time() - began <= 1.5
        assert client.far.closed


# -- whoever reads what has ended


def test_what_ended_in_a_turn_is_read_once_at_its_end(world: World) -> None:
    heard: list[tuple[list[str], int]] = []
    read = lambda ended, dropped: heard.append(([each[0] for each in ended], dropped))  # noqa: E731
    world.hub.read_ended(read)
    host, client = world.host(), world.client()
    client.sends(requests(1, 2))
    host.got()
    assert heard == []
    host.sends(replies(1, 2))
    assert heard == [(["ok", "ok"], 0)] and world.hub.switch.ended == []
    world.hub.read_ended_no_more(read)
    assert world.hub.switch.ended is None
    client.sends(requests(3))
    host.sends(replies(3))
    assert len(heard) == 1


def test_a_reader_that_fails_costs_neither_the_others_nor_a_connection(world: World) -> None:
    heard: list[int] = []

    def fails(_ended: object, _dropped: int) -> None:
        raise ValueError("a bug")

    world.hub.read_ended(fails)
    world.hub.read_ended(lambda ended, dropped: heard.append(len(ended)))
    host, client = world.host(), world.client()
    client.sends(requests(1))
    host.got()
    host.sends(replies(1))
    assert heard == [1] and client.got() == answered(1) and world.hub.containments == 1
    assert [each["type"] for each in world.bugs] == ["ValueError"]
