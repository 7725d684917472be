"""One-way pairs: requests go out on one connection, and replies come in on another."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import Speaker, Talk, answer_to, ask, firm, listing, one_service, reply_to, small, transfer

from telegram_router.routing import Close, Mode, Pair
from telegram_router.routing.changing import is_busy

TIMEOUT = 10.0


class Halves:
    """Both connections of a pair with one backend of the service `transfer`. Either may be lost and come back."""

    def __init__(self, talk: Talk, backend: str = "one") -> None:
        self.talk, self.backend, self.pair = talk, backend, Pair()

    def for_requests(self) -> Speaker:
        name = f"requests#{len(self.talk.speakers)}"
        return self.talk._speaker(self.talk.switch.add_link(self.talk.service(), name, self.backend, self.talk.clock, self.pair))

    def for_replies(self) -> Speaker:
        name = f"replies#{len(self.talk.speakers)}"
        return self.talk._speaker(self.talk.switch.add_reply_link(self.talk.service(), name, self.backend, self.pair, self.talk.clock))


def paired(spec: Any = None, **policy: Any) -> tuple[Talk, Speaker, Halves]:
    talk = one_service(spec or small(), **{"timeout": TIMEOUT, "pending_timeout": 60.0, **policy})
    return talk, talk.session(), Halves(talk)


def test_requests_go_out_on_one_connection_and_replies_come_in_on_the_other():
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1), ask(2), ask(3, kind="0300"))
    assert out.got() == [ask(1), ask(2), ask(3, kind="0300")] and back.got() == []
    back.sends(answer_to(ask(2)), listing(3, 1, 2), answer_to(ask(1)), listing(3, 2, 2))
    assert bank.got() == [answer_to(ask(2)), listing(3, 1, 2), answer_to(ask(1)), listing(3, 2, 2)]
    assert out.got() == back.got() == [] and talk.leftovers() == {}
    assert talk.service().pool.backends["one"].answered == 3


def test_a_carrier_is_restored_whichever_connection_the_reply_comes_on():
    _, bank, halves = paired(small(carrier=True))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(7))
    [sent] = out.got()
    assert sent != ask(7)
    back.sends(answer_to(sent))
    assert bank.got() == [answer_to(ask(7))]


@pytest.mark.parametrize("first", ["requests", "replies"])
def test_a_pair_is_used_once_both_connections_are_there(first: str):
    talk, bank, halves = paired(small(carrier=False))
    bank.sends(ask(1))
    one = halves.for_requests() if first == "requests" else halves.for_replies()
    assert one.got() == [] and talk.service().pool.backends["one"].state == "unreachable"
    other = halves.for_replies() if first == "requests" else halves.for_requests()
    out, back = (one, other) if first == "requests" else (other, one)
    assert out.got() == [ask(1)] and back.got() == []


def test_without_its_connection_for_replies_a_pair_is_given_nothing_and_what_it_was_given_waits():
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1), ask(2), at=0)
    out.accepts(len(ask(1)) + 1)  # a byte of the second has left
    bank.sends(ask(3))
    back.dies(at=1)
    assert bank.got() == []  # nothing failed: the replies may still come
    assert out.got() == [ask(1), ask(2)]  # the third has not left, and waits
    again = halves.for_replies()
    assert out.got() == [ask(3)]
    again.sends(*(answer_to(ask(number)) for number in (3, 1, 2)), at=2)
    assert bank.got() == [answer_to(ask(number)) for number in (3, 1, 2)]
    assert talk.leftovers() == {}


def test_what_has_not_left_goes_to_another_backend_when_the_replies_could_not_come():
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1), at=0)
    other = talk.link(backend="two")
    back.dies(at=1)
    assert other.got() == [ask(1)] and out.got() == []


def test_replies_still_come_when_the_connection_for_requests_is_lost():
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1), at=0)
    out.got()
    bank.sends(ask(2))
    out.dies(at=1)
    back.sends(answer_to(ask(1)), at=2)
    assert bank.got() == [answer_to(ask(1))]
    fresh = halves.for_requests()
    assert fresh.got() == [ask(2)]
    back.sends(answer_to(ask(2)))
    assert bank.got() == [answer_to(ask(2))]
    assert talk.leftovers() == {}


@pytest.mark.parametrize("lost", ["requests", "replies", "both"])
def test_what_is_never_answered_ends_unknown_at_its_time_out_and_a_late_reply_goes_to_nobody(lost: str):
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1), at=0)
    out.got()
    if lost != "replies":
        out.dies(at=1)
    if lost != "requests":
        back.dies(at=1)
        back = halves.for_replies()
    talk.tick(at=TIMEOUT)
    assert bank.got() == [answer_to(ask(1), code=b"VTIM")]
    assert [event["code"] for event in talk.events("failed")] == ["E-BCK-05"]
    back.sends(answer_to(ask(1)), at=TIMEOUT + 1)
    assert bank.got() == [] and talk.service().late == 1


def test_a_reply_that_comes_before_its_request_has_left_answers_nothing():
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1))
    back.sends(answer_to(ask(1)))
    assert bank.got() == [] and talk.service().unmatched == 1
    assert out.got() == [ask(1)]


def test_a_backend_may_reply_on_any_of_its_connections_for_replies_and_another_backend_on_none():
    talk, bank, first = paired(small(carrier=False))
    out = first.for_requests()
    first.for_replies()
    second, foreign = Halves(talk), Halves(talk, "two")
    bank.sends(ask(1))
    assert out.got() == [ask(1)]
    _, back = second.for_requests(), second.for_replies()
    _, other = foreign.for_requests(), foreign.for_replies()
    other.sends(answer_to(ask(1)))
    assert bank.got() == []
    assert talk.events("unmatched_reply")[0]["nearest_differs_in"] == ["(asked on another link)"]
    back.sends(answer_to(ask(1)))
    assert bank.got() == [answer_to(ask(1))]


def test_what_the_host_asks_on_either_connection_is_answered_on_the_one_for_requests():
    _talk, bank, halves = paired(small(carrier=False, owner=True))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1))
    out.got()
    back.sends(ask(900))
    assert bank.got() == [ask(900)]
    bank.sends(answer_to(ask(900)))
    assert out.got() == [answer_to(ask(900))] and back.got() == []


def test_in_the_mode_exclusive_a_time_out_closes_both_connections():
    talk, bank, halves = paired(small(carrier=False), mode=Mode.EXCLUSIVE)
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1), ask(2), at=0)
    assert out.got() == [ask(1)]
    talk.tick(at=TIMEOUT)
    assert {order.peer for order in talk.switch.commands if isinstance(order, Close)} == {out.peer, back.peer}
    assert out.got() == []


def test_a_host_that_comes_again_before_it_was_seen_to_go_is_given_requests_on_the_new_connection_only():
    _talk, bank, halves = paired(small(carrier=False))
    old = halves.for_requests()
    back = halves.for_replies()
    bank.sends(ask(1))
    old.got()
    new = halves.for_requests()
    bank.sends(ask(2))
    assert (old.got(), new.got()) == ([], [ask(2)])
    old.dies()
    back.sends(answer_to(ask(1)), answer_to(ask(2)))
    assert bank.got() == [answer_to(ask(1)), answer_to(ask(2))]


def test_a_connection_for_replies_is_not_parted_with_while_a_reply_may_come_on_it():
    talk, bank, halves = paired(small(carrier=False))
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(ask(1))
    out.got()
    talk.switch.retire(out.peer)
    talk.switch.retire(back.peer)
    assert is_busy(out.peer) and is_busy(back.peer)
    back.sends(answer_to(ask(1)))
    assert bank.got() == [answer_to(ask(1))]
    assert not is_busy(out.peer) and not is_busy(back.peer)


def test_ten_requests_in_flight_survive_the_loss_of_either_connection():
    talk = firm()
    bank, halves = talk.session(), Halves(talk)
    out, back = halves.for_requests(), halves.for_replies()
    bank.sends(*map(transfer, range(10)))
    sent = out.got()
    back.dies()
    out.dies()
    halves.for_requests()
    back = halves.for_replies()
    back.sends(*map(reply_to, reversed(sent)))
    assert bank.got() == [reply_to(transfer(number)) for number in reversed(range(10))]
