"""One socket of the hub: what is read and when, what a torn write leaves behind, and how a connection ends."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from hub_kit import (
    CARRIER_SPEC,
    POLL,
    SPEC,
    End,
    Seen,
    World,
    answered,
    asked,
    not_sent,
    numbers,
    replies,
    reply,
    request,
    requests,
    unknown,
)

from telegram_router.routing import ServicePolicy
from telegram_router.telegrams import Spec
from telegram_router.wire import connection as connection_module
from telegram_router.wire.connection import LINGER, Limits, Stage
from telegram_router.wire.hub import HANDSHAKES_PER_TURN
from telegram_router.wire.poller import HANGUP, READ, WRITE
from telegram_router.wire.tls import TlsLayer

MakeWorld = Callable[..., World]
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


# -- backpressure


def test_a_session_at_its_limit_is_read_no_more_and_goes_on_when_answers_are_delivered(make_world: MakeWorld) -> None:
    world = make_world(open_exchanges=4)
    host, client = world.host(), world.client()
    client.sends(requests(*range(10)))
    assert host.got() == asked(0, 1, 2, 3)
    assert client.connection.events == HANGUP
    assert world.hub.pauses == 1
    client.sends(requests(10, 11))
    assert client.sock.unread == 40  # the kernel keeps them, and in the end the client's
    host.sends(replies(0, 1))
    assert client.got() == answered(0, 1)
    assert host.got() == asked(4, 5)  # what was received goes first
    for _ in range(12):
        host.sends(replies(*open_numbers(client)))
    assert client.connection.events == READ
    assert sorted(numbers(client.got())) == list(range(2, 12))
    world.assert_at_rest()


def open_numbers(client: End) -> list[int]:
    """What a session has open, by the numbers of its requests."""
    return [int(exchange.frame[14:20]) for lane in client.peer.lanes for exchange in lane.open.values()]


def test_a_client_that_does_not_read_its_answers_is_read_no_more(make_world: MakeWorld) -> None:
    world = make_world(limits=Limits(unread=100))
    host, client = world.host(), world.client(window=50)
    client.sends(requests(*range(12)))
    host.sends(replies(*range(12)))
    assert len(client.far.peek()) == 50
    assert client.peer.unwritten == 190
    client.sends(request(20))
    client.sends(request(21))
    assert 21 not in numbers(host.got())
    assert client.connection.events == WRITE | HANGUP
    got: list[Seen] = []
    for _ in range(10):
        got += client.got()
        world.settle()
    assert got == answered(*range(12))
    assert numbers(host.got())[-1] == 21
    host.sends(replies(20, 21))
    assert client.got() == answered(20, 21)
    world.assert_at_rest()


def test_a_paused_session_that_resets_is_noticed_and_its_unsent_requests_are_withdrawn(make_world: MakeWorld) -> None:
    world = make_world(open_exchanges=4)
    host, client = world.host(window=40), world.client()
    client.sends(requests(*range(10)))
    client.far.reset()
    world.settle()
    assert client.far.closed
    assert host.got() == asked(0, 1)  # two fitted into the window; the rest never leaves
    host.sends(replies(0, 1))
    assert world.service().undelivered == 2
    world.assert_at_rest()


def test_a_paused_session_that_sent_fin_keeps_its_answers(make_world: MakeWorld) -> None:
    world = make_world(open_exchanges=4)
    host, client = world.host(), world.client()
    client.sends(requests(*range(10)))
    client.far.fin()
    for _ in range(10):
        world.settle()
        host.sends(replies(*numbers(host.got())))
    assert client.got() == answered(*range(10))
    assert client.far.closed
    assert not client.far.was_reset
    world.assert_at_rest()


def test_a_paused_session_that_sent_fin_and_then_resets_is_noticed(make_world: MakeWorld) -> None:
    world = make_world(open_exchanges=1)
    world.host()
    client = world.client()
    client.sends(requests(1, 2))
    client.far.fin()
    world.settle()
    assert not client.far.closed
    client.far.reset()
    world.settle()
    assert client.far.closed


def test_a_link_is_read_while_its_own_writes_stall(make_world: MakeWorld) -> None:
    """Both sides write into full buffers: whoever stops reading first stops both."""
    world = make_world()
    host, client = world.host(window=60), world.client()
    client.sends(requests(*range(20)))
    host.far.takes(0)
    client.sends(requests(*range(20, 40)))
    assert host.connection.events & WRITE
    assert host.got() == asked(0, 1, 2)
    host.sends(replies(0, 1, 2))
    assert client.got() == answered(0, 1, 2)
    host.far.takes_all()
    world.settle()
    done: list[Seen] = []
    for _ in range(20):
        host.sends(replies(*numbers(host.got())))
        done += client.got()
    assert done == answered(*range(3, 40))
    world.assert_at_rest()


def test_a_link_that_asks_and_never_reads_is_cut_off(make_world: MakeWorld) -> None:
    """A link is never paused, so what it makes us say must be bounded in another way."""
    world = make_world(limits=Limits(unread=1000))
    host = world.host(window=100)
    asked_for = 0
    while not host.far.closed and asked_for < 10_000:
        world.now += 1.0  # no more in a second than are answered
        host.sends(POLL * 64)
        asked_for += 64
    assert 4096 < asked_for < 6000
    assert host.far.closed
    assert world.hub.closed["transfer", "E-LIM-06"] == 1


# -- deadlines


def test_a_peer_that_reads_nothing_is_closed_at_the_write_deadline(world: World) -> None:
    host, client = world.host(), world.client(window=30)
    client.sends(requests(*range(5)))
    host.sends(replies(*range(5)))
    world.passes(9.9)
    assert client.connection.stage is Stage.OPEN
    world.passes(0.3)
    assert client.far.closed
    assert world.hub.closed["branches", "E-LIM-06"] == 1
    world.assert_at_rest()


def test_a_peer_that_reads_a_little_keeps_its_connection(world: World) -> None:
    host, client = world.host(), world.client(window=30)
    client.sends(requests(*range(5)))
    host.sends(replies(*range(5)))
    got: list[Seen] = []
    for _ in range(4):
        world.passes(6)
        got += client.got()
        world.settle()
    assert got == answered(*range(5))
    world.assert_at_rest()


def test_a_request_that_stalls_on_a_deaf_host_is_given_to_another_link_after_the_write_deadline(make_world: MakeWorld) -> None:
    world = make_world(policies={"transfer": ServicePolicy(timeout=60)})
    deaf, client = world.host(window=50), world.client()
    client.sends(requests(1, 2, 3, 4))
    other = world.host()
    world.passes(10.1)
    assert deaf.far.closed
    assert client.got() == unknown("E-BCK-02", 1, 2, 3)  # two and a half had left
    assert other.got() == asked(4)
    other.sends(reply(4))
    assert client.got() == answered(4)
    world.assert_at_rest()


def test_a_frame_that_is_not_complete_ten_seconds_after_its_first_byte_closes_the_session(world: World) -> None:
    client, frame = world.client(), request(1)
    for byte in frame[:10]:
        client.sends(bytes([byte]))
        assert client.connection.stage is Stage.OPEN
        world.passes(1)
    assert client.far.ended
    assert world.hub.framing_errors == {("branches", "E-FRM-06"): 1}
    world.passes(LINGER)
    assert client.far.closed


def test_a_dribbling_peer_that_keeps_completing_frames_lives(make_world: MakeWorld) -> None:
    world = make_world(policies={"transfer": ServicePolicy(timeout=100)})
    host, client = world.host(), world.client()
    stream = requests(*range(8))
    for place in range(0, len(stream), 3):
        client.sends(stream[place : place + 3])
        world.passes(0.9)
    assert numbers(host.got()) == list(range(8))
    host.sends(replies(*range(8)))
    assert client.got() == answered(*range(8))
    world.assert_at_rest()


def test_the_frame_deadline_counts_anew_for_a_session_that_was_paused(make_world: MakeWorld) -> None:
    """While it is not read the peer cannot complete anything."""
    world = make_world(open_exchanges=1, policies={"transfer": ServicePolicy(timeout=60)})
    host, client = world.host(), world.client()
    client.sends(request(1), request(2)[:7])
    world.passes(20)
    assert client.connection.stage is Stage.OPEN
    host.sends(reply(1))
    world.passes(9)
    client.sends(request(2)[7:])
    assert host.got() == asked(1, 2)
    host.sends(reply(2))
    assert client.got() == answered(1, 2)


def test_a_host_that_begins_an_answer_and_never_ends_it_loses_its_link(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(1, 2))
    host.sends(reply(1), reply(2)[:9])
    world.passes(10)
    assert host.far.closed
    assert client.got() == answered(1) + unknown("E-BCK-02", 2)
    world.assert_at_rest()


def test_a_connection_that_lingers_is_closed_when_its_time_is_over(world: World) -> None:
    client = world.client()
    client.sends(b"garbage, and no telegram")
    assert client.far.ended
    assert not client.far.closed
    client.sends(b"still talking")
    world.passes(LINGER / 2)
    assert not client.far.closed
    world.passes(LINGER / 2)
    assert client.far.closed


# -- torn writes


@pytest.mark.parametrize("spec", [SPEC, CARRIER_SPEC], ids=["own numbers", "carrier"])
def test_a_host_that_takes_any_number_of_bytes_and_resets_leaves_every_request_in_the_right_state(spec: Spec) -> None:
    size = len(request(0, body=bytes(20)))
    for taken in range(3 * size + 1):
        world = World(spec=spec)
        torn, client = world.host(), world.client()
        torn.far.takes(taken)
        client.sends(requests(*range(200), body=bytes(20)))
        assert torn.writes == [taken] or not taken
        second = world.host()
        torn.far.reset()
        world.settle()
        gone = -(-taken // size)  # of the last of them only a part
        assert client.got() == unknown("E-BCK-02", *range(gone)), taken
        arrived = second.got_frames()
        assert len(arrived) == 200 - gone
        if spec is SPEC:
            assert arrived == [request(number, body=bytes(20)) for number in range(gone, 200)], taken
        second.sends(*(b"%b0210%b" % (frame[:4], frame[8:]) for frame in arrived))
        assert client.got() == [Seen("reply", number, body=bytes(20)) for number in range(gone, 200)], taken
        world.assert_at_rest()
        world.close()


def test_under_tls_what_was_encrypted_counts_as_sent_whatever_the_kernel_took(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client_context = contexts
    monkeypatch.setattr(connection_module, "ENCRYPT_AHEAD", 50)
    record = 50 + 22
    for taken in range(2 * record + 1):
        world = World()
        torn, client = world.host(tls=server, trusts=client_context), world.client()
        torn.far.takes(taken)
        client.sends(requests(*range(200)))
        second = world.host()
        torn.far.reset()
        world.settle()
        encrypted = 50 * (taken // record + 1)
        gone = -(-encrypted // 20)
        assert client.got() == unknown("E-BCK-02", *range(gone)), taken
        assert second.got() == asked(*range(gone, 200))
        second.sends(replies(*range(gone, 200)))
        assert client.got() == answered(*range(gone, 200))
        world.assert_at_rest()
        world.close()


def test_under_tls_at_most_sixteen_kibibytes_are_encrypted_ahead(world: World, contexts: Contexts) -> None:
    server, client_context = contexts
    torn, client = world.host(tls=server, trusts=client_context), world.client()
    torn.far.takes(0)
    client.sends(requests(*range(200), body=bytes(380)))
    second = world.host()
    torn.far.reset()
    world.settle()
    assert client.got() == unknown("E-BCK-02", *range(41))  # 41 of 400 bytes begin within 16,384
    assert numbers(second.got()) == list(range(41, 200))
    second.sends(replies(*range(41, 200)))
    assert client.got() == answered(*range(41, 200))


def test_with_no_other_link_unsent_requests_wait_for_one_and_are_refused_after_the_pending_time(world: World) -> None:
    torn, client = world.host(), world.client()
    torn.far.takes(20)
    client.sends(requests(1, 2, 3))
    torn.far.reset()
    world.settle()
    assert client.got() == unknown("E-BCK-02", 1)
    world.passes(0.9)
    assert client.got() == []
    world.passes(0.2)
    assert client.got() == not_sent("E-BCK-01", 2, 3)
    world.assert_at_rest()


# -- salvage


@pytest.mark.parametrize("count", [3, 200])
def test_answers_already_received_from_a_link_whose_write_fails_are_still_delivered(world: World, count: int) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(*range(count)))
    host.says(replies(*range(count)))
    host.far.reset()
    world.hub.enter(lambda now: world.switch.receive(client.peer, [request(900)], now))
    # The write is tried before the socket is read.
    monkey_poll = world.net.poller.poll
    world.net.poller.poll = lambda *_: []  # type: ignore[method-assign]
    world.turn()
    world.net.poller.poll = monkey_poll  # type: ignore[method-assign]
    assert host.far.closed
    assert client.got()[:count] == answered(*range(count))
    world.passes(1.1)
    assert client.got() == not_sent("E-BCK-01", 900)
    world.assert_at_rest()


def test_under_tls_too(world: World, contexts: Contexts) -> None:
    server, client_context = contexts
    host, client = world.host(tls=server, trusts=client_context), world.client()
    client.sends(requests(*range(200)))
    host.says(replies(*range(200)))
    host.far.reset()
    world.hub.enter(lambda now: world.switch.receive(client.peer, [request(900)], now))
    kept = world.net.poller.poll
    world.net.poller.poll = lambda *_: []  # type: ignore[method-assign]
    world.turn()
    world.net.poller.poll = kept  # type: ignore[method-assign]
    assert host.far.closed
    assert client.got() == answered(*range(200)) + unknown("E-BCK-02", 900)
    world.assert_at_rest()


def test_answers_that_came_with_a_reset_are_delivered(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(*range(200)))
    host.says(replies(*range(150)))
    host.far.reset()
    world.settle()
    assert client.got() == answered(*range(150)) + unknown("E-BCK-02", *range(150, 200))
    world.assert_at_rest()


# -- ends


def test_a_client_that_half_closes_gets_its_answers_and_then_the_end(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(1, 2))
    client.far.fin()
    world.settle()
    assert not client.far.ended
    host.sends(reply(2))
    assert client.got() == answered(2)
    assert not client.far.ended
    host.sends(reply(1))
    assert client.got() == answered(1)
    assert client.far.closed
    assert not client.far.was_reset
    world.assert_at_rest()


def test_a_half_closed_client_whose_request_times_out_is_told_and_let_go(world: World) -> None:
    world.host()
    client = world.client()
    client.sends(request(1))
    client.far.fin()
    world.passes(30)
    assert client.got() == unknown("E-BCK-05", 1)
    assert client.far.closed


def test_a_half_closed_client_is_let_go_also_when_there_is_nothing_to_tell_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family may have no error telegram: then an exchange ends without a word."""
    monkeypatch.setattr(type(SPEC), "error_reply", lambda *_: None)
    world.host()
    client = world.client()
    client.sends(request(1))
    client.far.fin()
    world.passes(30)
    world.passes(LINGER)
    assert client.far.closed
    world.assert_at_rest()


def test_a_client_that_goes_between_frames_is_let_go_and_one_inside_a_frame_is_counted(world: World) -> None:
    one, two = world.client(), world.client()
    one.far.close()
    two.sends(request(1)[:9])
    two.far.close()
    world.settle()
    assert one.far.closed
    assert two.far.closed
    assert world.hub.framing_errors == {("branches", "E-FRM-05"): 1}
    assert world.service().register.pending == {}


def test_whole_frames_in_front_of_a_torn_one_are_answered_before_the_rest_is_judged(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(*range(150)), request(150)[:5])
    client.far.fin()
    world.settle()
    assert numbers(host.got()) == list(range(150))
    assert world.hub.framing_errors == {("branches", "E-FRM-05"): 1}
    host.sends(replies(*range(150)))
    world.assert_at_rest()


def test_a_client_whose_framing_is_lost_still_gets_what_it_asked_before(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(1, 2), b"no digits here, whatever they are")
    assert not client.far.ended
    host.sends(replies(1, 2))
    assert client.got() == answered(1, 2)
    assert client.far.ended
    client.far.close()
    world.settle()
    assert client.far.closed
    world.assert_at_rest()


def test_a_host_that_closes_leaves_its_sent_requests_unknown(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(requests(1, 2))
    host.got()
    host.far.close()
    world.settle()
    assert client.got() == unknown("E-BCK-02", 1, 2)
    assert host.far.closed
    world.assert_at_rest()


def test_no_reset_overtakes_the_last_answer_of_a_session_that_is_closed_by_us(make_world: MakeWorld) -> None:
    world = make_world(open_exchanges=2)
    host, client = world.host(), world.client()
    client.sends(requests(*range(2)))
    client.sends(requests(*range(2, 9)))  # unread in the kernel
    world.hub.enter(lambda now: client.connection.finish("stopped", now))
    host.sends(replies(0, 1))
    assert client.got() == answered(0, 1)
    assert client.far.ended
    assert not client.far.closed
    client.far.close()
    world.settle()
    assert client.far.closed
    assert not client.far.was_reset


def test_a_session_that_is_parted_with_in_the_turn_in_which_it_sent_more_is_not_cut_off(world: World) -> None:
    host, client = world.host(), world.client()
    client.sends(request(1))
    client.says(request(2))
    world.hub.enter(lambda now: client.connection.finish("stopped", now))
    world.settle()
    assert client.connection.stage is Stage.FINISHING
    host.sends(reply(1))
    assert client.got() == answered(1)
    assert client.far.ended
    assert not client.far.was_reset


# -- TLS


def test_a_client_over_tls_is_served_and_the_end_is_said_both_ways(world: World, contexts: Contexts) -> None:
    server, trusts = contexts
    host, client = world.host(), world.client(tls=server, trusts=trusts)
    client.sends(requests(*range(300), body=bytes(100)))
    host.sends(replies(*range(256)))
    host.sends(replies(*range(256, 300)))
    assert client.got() == answered(*range(300))
    say_goodbye(client)
    world.settle()
    assert client.far.closed
    world.assert_at_rest()


def say_goodbye(client: End) -> None:
    assert client.tls is not None
    client.tls.goodbye()
    client.far.push(client.tls.outgoing())


@pytest.mark.parametrize("open_exchanges", [1000, 10])
def test_a_close_notify_behind_more_frames_than_one_step_takes_costs_none_of_them(
    make_world: MakeWorld, contexts: Contexts, open_exchanges: int
) -> None:
    world = make_world(open_exchanges=open_exchanges)
    host, client = world.host(), world.client(tls=contexts[0], trusts=contexts[1])
    client.says(requests(*range(200)))
    say_goodbye(client)
    client.far.fin()
    for _ in range(30):
        world.settle()
        host.sends(replies(*numbers(host.got())))
    assert client.got() == answered(*range(200))
    assert world.hub.framing_errors == {}
    assert client.far.closed
    world.assert_at_rest()


@pytest.mark.parametrize("open_exchanges", [1000, 10])
def test_a_tls_client_that_is_cut_off_between_frames_still_has_its_requests_done(
    make_world: MakeWorld, contexts: Contexts, open_exchanges: int
) -> None:
    world = make_world(open_exchanges=open_exchanges)
    host, client = world.host(), world.client(tls=contexts[0], trusts=contexts[1])
    client.says(requests(*range(200)))
    client.far.fin()
    for _ in range(30):
        world.settle()
        host.sends(replies(*numbers(host.got())))
    assert client.got() == answered(*range(200))
    assert world.hub.framing_errors == {}
    world.assert_at_rest()


def test_a_tls_client_that_is_cut_off_inside_a_frame_is_counted(world: World, contexts: Contexts) -> None:
    client = world.client(tls=contexts[0], trusts=contexts[1])
    client.sends(request(1)[:9])
    client.far.fin()
    world.settle()
    assert client.far.closed
    assert world.hub.framing_errors == {("branches", "E-FRM-05"): 1}


def test_cipher_bytes_that_were_changed_on_the_way_close_that_connection_with_an_alert(world: World, contexts: Contexts) -> None:
    host, client = world.host(), world.client(tls=contexts[0], trusts=contexts[1])
    client.sends(request(1))
    client.far.push(b"\x17\x03\x03\x00\x20" + bytes(32))
    world.settle()
    assert client.far.closed
    assert world.hub.closed["branches", "E-TLS-09"] == 1
    assert client.far.got()
    host.sends(reply(1))
    world.assert_at_rest()


def test_a_full_kernel_does_not_turn_our_goodbye_into_a_reset(world: World, contexts: Contexts) -> None:
    host, client = world.host(), world.client(tls=contexts[0], trusts=contexts[1])
    client.sends(request(1))
    client.says(request(2)[:5])
    client.far.takes(len(reply(1)) + 22)  # the answer's record to the byte, and nothing behind it
    world.hub.enter(lambda now: client.connection.finish("stopped", now))
    host.sends(reply(1))
    assert client.got() == answered(1)
    assert client.far.ended
    assert not client.far.closed
    client.far.close()
    world.settle()
    assert client.far.closed
    assert not client.far.was_reset


def test_at_most_four_handshake_steps_fit_into_a_turn_and_open_sessions_are_served_between(world: World, contexts: Contexts) -> None:
    server, trusts = contexts
    host, client = world.host(), world.client()
    steps = 0
    newcomers = [
        world.dialled(65_536, is_session=True, tls=TlsLayer(server, "server"), far_tls=TlsLayer(trusts, "client", "router"))
        for _ in range(20)
    ]
    for each in newcomers:
        shake = each.connection.tls.handshake  # type: ignore[union-attr]

        def counted(shake: Callable[[], bool] = shake) -> bool:
            nonlocal steps
            steps += 1
            return shake()

        each.connection.tls = Wrapped(each.connection.tls, counted)  # type: ignore[assignment]
        world.hub.enter(lambda now, each=each: world.hub.add(each.connection, now))  # type: ignore[misc]
        each.plain()
        each.far.push(each.tls.outgoing())  # type: ignore[union-attr]
    for number in range(1, 12):
        client.says(request(number))
        before = steps
        world.turn()
        assert steps - before <= HANDSHAKES_PER_TURN
        assert host.got() == asked(number)
        host.says(reply(number))
    assert steps >= 20
    world.settle()
    for each in newcomers:
        world.shake_hands(each)


class Wrapped:
    """A TLS layer whose handshake is counted."""

    def __init__(self, layer: TlsLayer | None, handshake: Callable[[], bool]) -> None:
        self._layer = layer
        self.handshake = handshake

    def __getattr__(self, name: str) -> object:
        return getattr(self._layer, name)


def test_a_handshake_that_is_begun_and_dribbled_on_is_cut_off_in_time(world: World, contexts: Contexts) -> None:
    server, trusts = contexts
    far = TlsLayer(trusts, "client", "router")
    end = world.dialled(65_536, is_session=True, tls=TlsLayer(server, "server"), far_tls=None)
    world.let_in(end)
    far.handshake()
    for byte in far.outgoing()[:10]:
        end.far.push(bytes([byte]))
        world.settle()
        world.passes(1)
        if end.far.closed:
            break
    assert end.far.closed
    assert world.hub.handshake_failures == {("branches", "E-TLS-08"): 1}
    assert world.now == pytest.approx(1005)


def test_a_handshake_that_fails_is_told_by_an_alert_and_costs_nobody_else(world: World, contexts: Contexts) -> None:
    host, client = world.host(), world.client()
    end = world.dialled(65_536, is_session=True, tls=TlsLayer(contexts[0], "server"))
    world.let_in(end)
    end.far.push(b"GET / HTTP/1.1\r\n\r\n")
    world.settle()
    assert end.far.closed
    client.sends(request(1))
    host.sends(reply(1))
    assert client.got() == answered(1)


# -- what hosts ask


@pytest.mark.parametrize("how", ["fin", "garbage", "drain"])
def test_a_session_that_is_on_its_way_out_is_asked_nothing_by_a_host(world: World, how: str) -> None:
    """Nobody would read its answer; another session of the same owner may be there."""
    host, leaving = world.host(), world.client()
    leaving.sends(request(1))
    if how == "fin":
        leaving.far.fin()
    elif how == "garbage":
        leaving.says(b"no digits here, whatever they are")
    else:
        world.hub.enter(lambda now: leaving.connection.finish("stopped", now))
    world.settle()
    host.got()
    host.sends(request(70))
    assert host.got() == not_sent("E-RTE-05", 70)
    staying = world.client()
    staying.sends(request(2))
    host.sends(request(71))
    assert host.got() == asked(2)
    assert staying.got() == asked(71)
    staying.sends(reply(71))
    assert host.got() == answered(71)
    host.sends(replies(1, 2))
    assert leaving.got() == answered(1)
    assert staying.got() == answered(2)
    world.assert_at_rest()
