"""HTTP services in the hub: how the pool grows and is used again, and what is never sent twice."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import trio
from hub_kit import SPEC, End, Network, Seen, World, answered, news, not_sent, numbers, reply, request, requests, running, settled, unknown
from trio.testing import MockClock

from telegram_router.routing import Kind, ServicePolicy
from telegram_router.telegrams import to_json
from telegram_router.telegrams.json_mapping import JsonMapping
from telegram_router.wire import http_link
from telegram_router.wire.http_link import HttpPolicy, HttpPool
from telegram_router.wire.links import Backend, Outcomes, Pauses
from telegram_router.wire.memory import MemorySocket
from telegram_router.wire.tls import TlsLayer

MakeWorld = Callable[..., World]
REST = Backend("10.0.0.9", 8080)


class Post(NamedTuple):
    """An HTTP request as the service got it."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def number(self) -> int:
        return int(json.loads(self.body)["header"]["number"])


def posts(stream: bytes) -> list[Post]:
    found = []
    while b"\r\n\r\n" in stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        size = int(headers["content-length"])
        if len(rest) < size:
            break
        found.append(Post(line, headers, rest[:size]))
        stream = rest[size:]
    return found


def http(status: int = 200, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def done(number: int) -> bytes:
    return http(200, to_json(SPEC.decode(reply(number))))


class Rest:
    """A REST service `transfer` on a network in memory."""

    def __init__(self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        self._make_world = make_world
        self._monkeypatch = monkeypatch
        self.backend = REST

    @asynccontextmanager
    async def serving(self, connections: int = 4, definite: frozenset[int] = frozenset(), timeout: float = 10.0) -> AsyncIterator[None]:
        policy = ServicePolicy(timeout=timeout, pending=20, max_links=connections)
        self.world = self._make_world(kinds={"transfer": Kind.HTTP}, policies={"transfer": policy}, clock=trio.current_time)
        self.network = Network(self.world)
        self.network.reachable.add(self.backend.name)
        self._monkeypatch.setattr(http_link, "dial", self.network.dial)
        self.outcomes = Outcomes()
        async with running(self.world) as nursery:
            self.pool = HttpPool(
                self.world.hub,
                self.world.service(),
                self.backend,
                HttpPolicy("/v1/{message}", "rest.example:8080", {"x-tenant": "bank"}, definite),
                JsonMapping(SPEC),
                self.outcomes,
                Pauses(0.1, 5.0, lambda: 1.0),
                nursery,
                self.world.log,
            )
            self.pool.start()
            self.client = self.world.client()
            yield

    async def ask(self, *which: int) -> None:
        self.client.says(requests(*which))
        await settled()

    @property
    def ends(self) -> list[End]:
        return self.network.ends.get(self.backend.name, [])

    def asked(self) -> list[list[int]]:
        """What each connection was asked since the last call."""
        return [[post.number for post in posts(end.plain())] for end in self.ends]


@pytest.fixture
def rest(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> Rest:
    return Rest(make_world, monkeypatch)


# -- the usual way


async def test_a_telegram_becomes_a_post_and_the_json_answer_a_telegram(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        await rest.ask(7)
        [end] = rest.ends
        [post] = posts(end.far.got())
        assert post.line == "POST /v1/work.request HTTP/1.1"
        assert post.headers["host"] == "rest.example:8080"
        assert post.headers["x-tenant"] == "bank"
        assert post.headers["content-type"] == "application/json"
        assert len(post.headers["traceparent"].split("-")) == 4
        assert post.headers["x-request-id"]
        assert 9_000 <= int(post.headers["x-deadline-ms"]) <= 10_000
        assert post.body == to_json(SPEC.decode(request(7)))
        end.far.push(done(7))
        await settled()
        assert rest.client.got() == answered(7)
        assert rest.outcomes == Outcomes(connected=1, failed=0, up=1)
        rest.world.assert_at_rest()


async def test_the_service_is_told_the_trace_that_whoever_records_is_told(rest: Rest, autojump_clock: MockClock) -> None:
    traces: list[bytes] = []
    async with rest.serving():
        rest.world.hub.read_ended(lambda ended, _: traces.extend(each[2].trace for each in ended if each[2] is not None))
        await rest.ask(7)
        [end] = rest.ends
        [post] = posts(end.far.got())
        end.far.push(done(7))
        await settled()
    [trace] = traces
    _, told, span, flags = post.headers["traceparent"].split("-")
    assert (told + span + flags).encode() == trace and post.headers["x-request-id"] == span and flags == "01"


async def test_the_pool_grows_with_what_waits_up_to_its_bound_and_is_used_again(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=3):
        await rest.ask(*range(5))
        assert sorted(rest.asked()) == [[0], [1], [2]]  # one at a time on each
        rest.ends[0].far.push(done(0))
        await settled()
        assert rest.asked() == [[3], [], []]
        for end, number in zip(rest.ends, (3, 1, 2), strict=True):
            end.far.push(done(number))
        await settled()
        again = rest.asked()
        assert sorted(again) == [[], [], [4]]
        rest.ends[again.index([4])].far.push(done(4))
        await settled()
        assert sorted(numbers(rest.client.got())) == list(range(5))
        assert len(rest.ends) == 3
        for number in range(10, 20):
            await rest.ask(number)
            rest.ends[rest.asked().index([number])].far.push(done(number))
            await settled()
        assert len(rest.ends) == 3
        assert rest.client.got() == answered(*range(10, 20))
        rest.world.assert_at_rest()


async def test_an_answer_in_pieces_is_one_answer(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        await rest.ask(1)
        for byte in done(1):
            assert rest.client.got() == []
            rest.ends[0].far.push(bytes([byte]))
            await settled()
        assert rest.client.got() == answered(1)


# -- connections that end


async def test_a_request_goes_on_a_new_connection_when_the_idle_one_was_closed(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        await rest.ask(1)
        rest.ends[0].far.got()
        rest.ends[0].far.push(done(1))
        await settled()
        rest.ends[0].far.close()
        await rest.ask(2)  # the end and the request are ready in the same turn
        assert rest.asked() == [[], [2]]
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(1, 2)
        assert rest.ends[0].far.closed
        rest.world.assert_at_rest()


async def test_an_end_that_the_poller_has_not_seen_yet_is_found_by_looking(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        await rest.ask(1)
        rest.ends[0].far.push(done(1))
        await settled()
        rest.ends[0].far.got()
        world = rest.world

        def late(now: float) -> None:
            rest.ends[0].far.close()
            world.hub.polled_at = now - 1  # it looked long ago
            world.switch.receive(rest.client.peer, [request(2)], now)

        world.hub.enter(late)
        await settled()
        assert rest.asked() == [[], [2]]
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(1, 2)


async def test_a_connection_is_used_again_in_the_turn_of_its_answer_without_another_look(
    rest: Rest, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    receive = MemorySocket.recv

    def recv(sock: MemorySocket, size: int, flags: int = 0, /) -> bytes:
        looks.append(flags)
        return receive(sock, size, flags)

    monkeypatch.setattr(MemorySocket, "recv", recv)
    async with rest.serving(connections=1):
        await rest.ask(1, 2)
        looks.clear()
        rest.ends[0].far.push(done(1))
        await settled()
        assert rest.asked() == [[1, 2]]
        assert looks == [0]
        rest.ends[0].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(1, 2)
        rest.world.assert_at_rest()


async def test_a_connection_that_ended_with_its_answer_is_not_used_again_in_the_same_turn(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1):
        await rest.ask(1, 2)
        rest.asked()
        rest.ends[0].far.push(done(1))
        rest.ends[0].far.fin()
        await settled()
        assert rest.client.got() == answered(1)
        assert rest.asked() == [[], [2]]
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        rest.world.assert_at_rest()


async def test_a_connection_of_which_a_receive_may_have_left_bytes_is_looked_at_before_it_is_used(
    rest: Rest, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rest.serving(connections=1):
        await rest.ask(1, 2)
        rest.asked()
        monkeypatch.setattr(http_link, "RECEIVE", len(done(1)))
        rest.ends[0].far.push(done(1) + b"x")
        await settled()
        assert rest.client.got() == answered(1)
        assert rest.asked() == [[], [2]]
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        rest.world.assert_at_rest()


@pytest.mark.parametrize("stray", [b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n", b"x", done(2)])
async def test_bytes_on_an_idle_connection_close_it_and_pair_with_nothing(rest: Rest, autojump_clock: MockClock, stray: bytes) -> None:
    async with rest.serving():
        await rest.ask(1)
        rest.asked()
        rest.ends[0].far.push(done(1))
        await settled()
        rest.ends[0].far.push(stray)
        await rest.ask(2)
        assert rest.ends[0].far.closed
        assert rest.asked() == [[], [2]]
        assert rest.client.got() == answered(1)
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)


async def test_bytes_behind_an_answer_close_the_connection_and_pair_with_nothing(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1):
        await rest.ask(1, 2)
        rest.asked()
        rest.ends[0].far.push(done(1) + done(2))
        await settled()
        assert rest.client.got() == answered(1)
        assert rest.ends[0].far.closed
        assert rest.asked() == [[], [2]]
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        rest.world.assert_at_rest()


async def test_an_answer_that_closes_the_connection_is_delivered_and_the_next_goes_on_a_new_one(
    rest: Rest, autojump_clock: MockClock
) -> None:
    async with rest.serving(connections=1):
        await rest.ask(1, 2)
        rest.asked()
        rest.ends[0].far.push(http(200, to_json(SPEC.decode(reply(1))), "connection: close"))
        await settled()
        assert rest.client.got() == answered(1)
        assert rest.ends[0].far.closed
        assert rest.asked() == [[], [2]]


async def test_an_answer_before_the_whole_request_is_out_counts_and_its_connection_is_not_used_again(
    rest: Rest, autojump_clock: MockClock
) -> None:
    """The rest of the old request would stand in front of the next one."""
    async with rest.serving(connections=1):
        rest.network.window = 100
        await rest.ask(1, 2)
        rest.ends[0].far.push(done(1))
        await settled()
        assert rest.client.got() == answered(1)
        assert rest.ends[0].far.closed
        rest.network.window = 65_536
        assert len(rest.ends) == 2


async def test_a_timeout_closes_the_connection_and_late_bytes_pair_with_nothing(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1, timeout=2.0):
        await rest.ask(1)
        await trio.sleep(1.9)
        await rest.ask(2)
        await trio.sleep(0.3)
        assert rest.client.got() == unknown("E-BCK-05", 1)
        assert rest.ends[0].far.closed
        with pytest.raises(ConnectionResetError):
            rest.ends[0].far.push(done(1))
        assert rest.asked() == [[1], [2]]
        rest.ends[1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        rest.world.assert_at_rest()


async def test_an_answer_to_another_request_than_the_one_asked_reaches_nobody(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        await rest.ask(1)
        rest.ends[0].far.push(done(2))
        await settled()
        assert [each.kind for each in rest.client.got()] == ["sent_unknown"]
        rest.world.assert_at_rest()


# -- never twice


async def test_a_request_of_which_a_byte_may_have_left_is_never_sent_again(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1):
        for taken in [*range(40), 150, 250]:
            await rest.ask(1000)  # to have a connection that is known to be good
            end = rest.ends[-1]
            rest.asked()
            end.far.push(done(1000))
            await settled()
            assert rest.client.got() == answered(1000)
            connections = len(rest.ends)
            end.far.takes(taken)
            await rest.ask(taken)
            end.far.reset()
            await settled()
            if taken:
                assert rest.client.got() == unknown("E-BCK-02", taken)
                assert len(rest.ends) == connections
            else:
                assert rest.asked()[-1] == [0]
                rest.ends[-1].far.push(done(0))
                await settled()
                assert rest.client.got() == answered(0)
            rest.world.assert_at_rest()


async def test_a_service_that_takes_the_request_and_closes_leaves_it_unknown(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        for ending in ("close", "reset", "fin"):
            await rest.ask(1)
            assert rest.asked()[-1] == [1]
            getattr(rest.ends[-1].far, ending)()
            await settled()
            assert rest.client.got() == unknown("E-BCK-02", 1)
            await trio.sleep(301)  # the number is free again
        assert len(rest.ends) == 3
        rest.world.assert_at_rest()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (http(204), unknown("E-BCK-04", 1)),
        (http(302, b"", "location: /elsewhere"), unknown("E-BCK-04", 1)),
        (http(404, b"{}"), unknown("E-BCK-04", 1)),
        (http(409, b"{}"), not_sent("E-BCK-09", 1)),
        (http(500, b"{}"), unknown("E-BCK-04", 1)),
        (http(503, b"{}"), unknown("E-BCK-04", 1)),
        (http(200, b"not json"), unknown("E-BCK-06", 1)),
        (http(200, b"[]"), unknown("E-BCK-06", 1)),
        (b"SSH-2.0-OpenSSH_9\r\n", unknown("E-BCK-06", 1)),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", unknown("E-BCK-06", 1)),
    ],
    ids=["no content", "redirect", "not found", "definite", "failure", "unavailable", "no json", "no object", "not http", "no length"],
)
async def test_a_status_says_what_became_of_the_request(rest: Rest, autojump_clock: MockClock, told: bytes, expected: list[Seen]) -> None:
    async with rest.serving(definite=frozenset({409})):
        await rest.ask(1)
        assert rest.asked() == [[1]]
        rest.ends[0].far.push(told)
        await settled()
        assert rest.client.got() == expected
        await rest.ask(2)
        assert [2] in rest.asked()
        rest.ends[-1].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        rest.world.assert_at_rest()


# -- bounds


async def test_a_request_that_waits_too_long_for_a_connection_is_refused_as_not_sent(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1):
        await rest.ask(1, 2)
        await trio.sleep(1.3)
        assert rest.client.got() == not_sent("E-LIM-01", 2)
        rest.ends[0].far.push(done(1))
        await settled()
        assert rest.client.got() == answered(1)
        assert rest.asked() == [[1]]
        rest.world.assert_at_rest()


async def test_more_than_may_wait_is_refused_at_once(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1):
        await rest.ask(*range(25))
        refused = rest.client.got()
        assert {(each.kind, each.code) for each in refused} <= {("not_sent", "E-LIM-01"), ("not_sent", "E-BCK-01")}
        assert len(refused) in (4, 5)  # the first may already have a connection


async def test_a_service_that_cannot_be_reached_is_dialled_with_pauses_while_requests_wait(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving():
        rest.network.reachable.clear()
        await rest.ask(1, 2)
        await trio.sleep(1.3)
        assert rest.client.got() == not_sent("E-BCK-01", 1, 2)
        assert len(rest.network.dialled) <= 8
        before = len(rest.network.dialled)
        await trio.sleep(20)
        assert len(rest.network.dialled) <= before + 2  # nobody asks: nobody dials
        rest.network.reachable.add(REST.name)
        await rest.ask(3)
        assert rest.asked() == [[3]]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_door_that_shuts_at_once_is_no_busy_loop(rest: Rest, autojump_clock: MockClock, ending: str) -> None:
    async with rest.serving():
        dial = rest.network.dial

        async def shut(backend: Backend) -> object:
            sock = await dial(backend)
            getattr(rest.ends[-1].far, ending)()
            return sock

        rest._monkeypatch.setattr(http_link, "dial", shut)
        await rest.ask(1)
        await trio.sleep(11)
        assert len(rest.ends) < 40
        [told] = rest.client.got()
        assert told.kind == "not_sent"
        rest.world.assert_at_rest()


async def test_a_one_way_telegram_leaves_its_connection_free_for_the_next(rest: Rest, autojump_clock: MockClock) -> None:
    async with rest.serving(connections=1):
        rest.client.says(news(1))
        await settled()
        assert rest.asked() == [[1]]
        rest.ends[0].far.push(http(200, b"{}"))
        await settled()
        await rest.ask(2)
        assert rest.asked()[-1] == [2] and len(rest.ends) == 1
        rest.ends[0].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        assert not rest.world.bugs
        rest.world.assert_at_rest()


async def test_a_one_way_telegram_that_is_never_answered_does_not_hold_its_connection_for_ever(
    rest: Rest, autojump_clock: MockClock
) -> None:
    async with rest.serving(connections=1, timeout=2.0):
        rest.client.says(news(1))
        await settled()
        await trio.sleep(2.5)
        await rest.ask(2)
        assert rest.asked()[-1] == [2]


# -- faults of ours


class Planted(Exception):
    pass


def plant(*_: object) -> bytes:
    raise Planted("SECRET")


async def test_a_fault_before_a_request_is_made_refuses_it_as_not_sent(
    rest: Rest, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rest.serving(connections=1):
        await rest.ask(1)
        rest.asked()
        rest.ends[0].far.push(done(1))
        await settled()
        assert rest.client.got() == answered(1)
        with monkeypatch.context() as patch:
            patch.setattr(JsonMapping, "request", plant)
            await rest.ask(2)
        assert rest.client.got() == not_sent("E-INT-01", 2)
        await rest.ask(3)
        assert rest.asked() == [[3]]
        rest.ends[0].far.push(done(3))
        await settled()
        assert rest.client.got() == answered(3)
        assert rest.world.hub.containments == 1
        assert "SECRET" not in repr(rest.world.log.lines)
        rest.world.assert_at_rest()


async def test_a_fault_while_an_answer_is_read_leaves_that_request_unknown_and_costs_its_connection(
    rest: Rest, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rest.serving(connections=2):
        await rest.ask(1, 2)
        order = rest.asked()
        with monkeypatch.context() as patch:
            patch.setattr(JsonMapping, "reply_frame", plant)
            rest.ends[order.index([1])].far.push(done(1))
            await settled()
        assert rest.client.got() == unknown("E-BCK-02", 1)
        assert rest.ends[order.index([1])].far.closed
        rest.ends[order.index([2])].far.push(done(2))
        await settled()
        assert rest.client.got() == answered(2)
        rest.world.assert_at_rest()


# -- TLS


async def test_session_tickets_on_an_idle_tls_connection_do_not_taint_it(
    rest: Rest, autojump_clock: MockClock, contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest.backend = Backend("10.0.0.9", 8443, tls=contexts[1], server_name="router")
    monkeypatch.setattr(contexts[0], "num_tickets", 2)
    async with rest.serving(connections=1):
        await rest.ask(1)
        [end] = rest.ends
        end.tls = TlsLayer(contexts[0], "server")
        while not end.tls.ready:
            end.plain()
            end.far.push(end.tls.outgoing())
            await settled()
        for number in (1, 2, 3):
            if number > 1:
                await rest.ask(number)
            [post] = posts(end.plain())
            assert post.number == number
            end.says(done(number))
            await settled()
            assert rest.client.got() == answered(number)
        assert len(rest.ends) == 1
        end.tls.goodbye()
        end.far.push(end.tls.outgoing())
        await settled()
        assert end.far.closed
        rest.world.assert_at_rest()


async def test_a_service_whose_certificate_is_refused_gets_no_request(
    rest: Rest, autojump_clock: MockClock, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    rest.backend = Backend("10.0.0.9", 8443, tls=contexts[1], server_name="another.example")
    async with rest.serving(connections=1):
        await rest.ask(1)
        for _ in range(20):
            for end in rest.ends:
                if not end.far.closed:
                    end.tls = end.tls or TlsLayer(contexts[0], "server")
                    try:
                        end.plain()
                    except Exception:
                        continue
                    if not end.far.closed:
                        end.far.push(end.tls.outgoing())
            await trio.sleep(0.1)
        assert rest.client.got() == not_sent("E-BCK-01", 1)
        assert len(rest.ends) <= 8
        assert rest.outcomes.connected == 0
        rest.world.assert_at_rest()
