"""What becomes of requests when a link is lost, by how many bytes the kernel had taken."""

import pytest
from conversation import answer_to, ask, firm, one_service, reply_to, small, transfer

from telegram_router.errors import Delivery

TELEGRAM = 304


def batch(size: int) -> list[bytes]:
    return [transfer(number) for number in range(1, size + 1)]


@pytest.mark.parametrize("first", [0, 1])
def test_every_byte_of_the_first_three_telegrams_leaves_the_right_delivery_states(first: int):
    """A host takes exactly k bytes of a batch and dies: what it has a byte of is unknown, all else goes to the other link."""
    for taken in range(first, 3 * TELEGRAM + 1, 2):
        size = 200 if taken % TELEGRAM in (0, 1, TELEGRAM - 1) else 8
        talk = firm(sessions={"open_exchanges": 400})
        bank, host = talk.session(), talk.link()
        bank.sends(*batch(size), at=0)
        other = talk.link()
        host.accepts(taken)
        host.dies(at=1)
        touched = -(-taken // TELEGRAM)
        assert other.got() == batch(size)[touched:], f"{taken} bytes taken"
        assert bank.got() == [reply_to(frame, "VTIM") for frame in batch(touched)], f"{taken} bytes taken"
        other.sends(*map(reply_to, batch(size)[touched:]))
        assert bank.got() == [reply_to(frame) for frame in batch(size)[touched:]]
        assert len(talk.service().register.tombstones) == touched


def test_what_is_taken_later_counts_from_the_first_byte_of_the_stream():
    """Offsets are of the link's whole stream, not of what waits at the moment."""
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(*batch(5))
    host.accepts(2 * TELEGRAM + 10)
    host.sends(reply_to(transfer(1)), reply_to(transfer(2)))
    bank.sends(transfer(6))
    bank.got()
    host.accepts(TELEGRAM)
    host.dies()
    assert bank.got() == [reply_to(transfer(3), "VTIM"), reply_to(transfer(4), "VTIM")]
    assert talk.link().got() == [transfer(5), transfer(6)]


def test_a_lost_links_requests_go_before_those_that_were_waiting():
    talk = firm(in_flight=2)
    bank, host = talk.session(), talk.link()
    bank.sends(*batch(5))
    assert len(talk.service().waiting) == 3
    host.dies(at=0.5)
    assert talk.link().got() == batch(2)
    assert talk.link().got() == [transfer(3), transfer(4)]


def test_a_request_that_no_link_takes_over_is_not_sent():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(), at=0)
    host.dies(at=1)
    talk.tick(at=1.9)
    assert bank.got() == []
    talk.tick(at=2)
    assert bank.got() == [reply_to(transfer(), "SB07")]
    assert talk.leftovers() == {}
    assert talk.link().got() == []


def test_a_request_is_given_on_from_link_to_link_as_long_as_nobody_took_a_byte():
    talk = firm(max_attempts=10)
    bank = talk.session()
    bank.sends(transfer(), at=0)
    for _ in range(5):
        talk.link().dies()
    last = talk.link()
    assert last.got() == [transfer()]
    last.dies()
    assert bank.got() == [reply_to(transfer(), "VTIM")]


def test_what_waited_longest_expires_first_though_a_lost_link_gave_back_what_stands_before_it():
    talk = firm(in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    host.dies(at=0.9)
    assert talk.switch.next_deadline() == 1.0
    talk.tick(at=1.0)
    assert bank.got() == [reply_to(transfer(2), "SB07")]
    talk.tick(at=1.9)
    assert bank.got() == [reply_to(transfer(1), "SB07")]


def test_a_reply_that_a_dying_link_still_delivered_counts():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(*batch(3))
    host.got()
    host.sends(reply_to(transfer(2)))
    host.dies()
    assert bank.got() == [reply_to(transfer(2)), reply_to(transfer(1), "VTIM"), reply_to(transfer(3), "VTIM")]


def test_a_rerouted_request_keeps_its_number_and_its_first_timeout():
    talk = one_service(small(), timeout=5.0, pending_timeout=10.0)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(7, "x"), at=0)
    before = bytes(host.peer.outbox[0])
    host.dies(at=4)
    other = talk.link()
    (after,) = other.got()
    assert after == before
    talk.tick(at=5)
    assert bank.got() == [answer_to(ask(7, "x"), code=b"VTIM")]


def test_requests_go_to_the_link_with_the_fewest_open_ones_and_in_turns_when_equal():
    talk = firm()
    bank, links = talk.session(), [talk.link() for _ in range(3)]
    bank.sends(*batch(6))
    assert [link.got() for link in links] == [[transfer(1), transfer(4)], [transfer(2), transfer(5)], [transfer(3), transfer(6)]]
    links[1].sends(reply_to(transfer(2)), reply_to(transfer(5)))
    bank.sends(transfer(7), transfer(8))
    assert links[1].got() == [transfer(7), transfer(8)]


def test_links_with_nothing_to_do_take_turns():
    talk = firm()
    bank, links = talk.session(), [talk.link() for _ in range(3)]
    served = []
    for number in range(1, 7):
        bank.sends(transfer(number))
        (index,) = [index for index, link in enumerate(links) if link.got()]
        links[index].sends(reply_to(transfer(number)))
        served.append(index)
    assert served == [0, 1, 2, 0, 1, 2]


def test_a_retired_link_gets_nothing_more_and_may_still_answer():
    talk = firm()
    bank, old, new = talk.session(), talk.link(), talk.link()
    bank.sends(transfer(1))
    old.got()
    talk.switch.retire(old.peer)
    bank.sends(transfer(2), transfer(3))
    assert old.got() == [] and new.got() == [transfer(2), transfer(3)]
    old.sends(reply_to(transfer(1)))
    assert bank.got() == [reply_to(transfer(1))]
    old.dies()
    assert talk.open == 2


# --- the asker goes ------------------------------------------------------------------------------------------------------


def test_a_session_that_goes_lets_what_was_sent_finish_and_withdraws_the_rest():
    talk = firm(in_flight=3)
    bank, host = talk.session(), talk.link()
    bank.sends(*batch(5))  # three in the outbox, two waiting
    host.accepts(TELEGRAM + 1)
    bank.dies()
    assert host.got() == [transfer(1), transfer(2)]
    host.sends(reply_to(transfer(1)), reply_to(transfer(2)))
    assert talk.leftovers() == {}
    assert talk.service().undelivered == 2
    assert talk.listener().routes.routes[0].score.failed == {"withdrawn": 3}


def test_withdrawing_from_the_middle_keeps_every_later_offset_right():
    talk = firm()
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(transfer(1))
    second.sends(transfer(2), transfer(3))
    first.sends(transfer(4))
    second.sends(transfer(5))
    second.dies()
    host.accepts(TELEGRAM)  # all of the first
    host.dies()
    assert first.got() == [reply_to(transfer(1), "VTIM")]
    assert talk.link().got() == [transfer(4)]


def test_a_withdrawn_number_is_free_again():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    bank.dies()
    again = talk.session("again")
    again.sends(transfer())
    assert host.got() == [transfer()]
    host.sends(reply_to(transfer()))
    assert again.got() == [reply_to(transfer())]


def test_a_gone_askers_request_that_ends_unknown_stays_reserved():
    talk = firm(timeout=30.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(), at=0)
    host.got()
    bank.dies(at=1)
    talk.tick(at=30)
    again = talk.session("again")
    again.sends(transfer())
    assert again.got() == [reply_to(transfer(), "SB04")]
    talk.tick(at=330)
    assert talk.leftovers() == {}


def test_what_comes_from_a_peer_that_is_gone_changes_nothing():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1))
    host.got()
    host.dies()
    host.sends(reply_to(transfer(1)))
    bank.got()
    bank.dies()
    bank.sends(transfer(2))
    assert talk.open == 0 and bank.got() == []


def test_a_request_whose_links_are_lost_one_after_the_other_is_refused_in_the_end_and_nothing_was_sent():
    talk = firm(max_attempts=2)
    bank = talk.session()
    first = talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    first.dies()
    second = talk.link()
    assert talk.service().retries == 2
    second.accepts(1)  # a byte of the first has left
    second.dies()
    assert bank.got() == [reply_to(transfer(1), "VTIM"), reply_to(transfer(2), "SB07")]
    failed = [(event["code"], event["delivery"]) for event in talk.events("failed")]
    assert failed == [("E-BCK-02", "sent_unknown"), ("E-BCK-01", "not_sent")]
    assert (talk.service().retries, talk.service().retries_denied) == (2, 1)
    assert talk.link().got() == []


@pytest.mark.parametrize("linked", [False, True])
def test_what_was_told_to_have_failed_never_goes_out_wherever_it_waited(linked: bool):
    talk = firm()
    bank = talk.session()
    host = talk.link() if linked else None
    bank.sends(transfer(1), transfer(2))
    first = next(iter(talk.service().register.pending.values()))
    talk.switch.fail(first, "E-INT-01", Delivery.NOT_SENT, talk.now())
    assert bank.got() == [reply_to(transfer(1), "SB99")]
    assert (host or talk.link()).got() == [transfer(2)]
    assert not talk.service().waiting
