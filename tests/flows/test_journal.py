"""A frame leaves only when a journal has let it: at once, later, or in whatever order it is done."""

from conversation import (
    HeldJournal,
    ImmediateJournal,
    Talk,
    answer_to,
    ask,
    credit,
    firm,
    notice,
    one_service,
    opening,
    reply_to,
    small,
    transfer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ORDERS = settings(max_examples=50, deadline=None)


def held() -> tuple[HeldJournal, Talk]:
    journal = HeldJournal()
    return journal, firm(journal)


def test_nothing_leaves_before_the_journal_says_so():
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    assert host.got() == []
    talk.switch.release(journal.requests.pop())
    assert host.got() == [transfer()]
    host.sends(reply_to(transfer()))
    assert bank.got() == [] and not talk.switch.idle
    talk.switch.release_answer(journal.answers.pop())
    assert bank.got() == [reply_to(transfer())]
    assert talk.leftovers() == {} and talk.switch.idle


def test_a_journal_that_is_done_at_once_changes_nothing():
    journal = ImmediateJournal()
    talk = firm(journal)
    journal.switch = talk.switch
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))
    assert host.got() == [transfer(1), transfer(2)]
    host.sends(reply_to(transfer(2)), reply_to(transfer(1)))
    assert bank.got() == [reply_to(transfer(2)), reply_to(transfer(1))]
    assert talk.leftovers() == {}


@given(st.permutations(range(6)))
@ORDERS
def test_requests_leave_in_the_order_they_came_whatever_the_journal_finishes_first(order: list[int]):
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number) for number in range(6)))
    out: list[bytes] = []
    for index in order:
        talk.switch.release(journal.requests[index])
        out += host.got()
        assert out == [transfer(number) for number in range(len(out))]
    assert len(out) == 6


@given(st.permutations(range(6)), st.permutations(range(6)))
@ORDERS
def test_answers_leave_in_the_order_they_came_whatever_the_journal_finishes_first(replies: list[int], order: list[int]):
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number) for number in range(6)))
    for exchange in journal.requests:
        talk.switch.release(exchange)
    host.got()
    host.sends(*(reply_to(transfer(number)) for number in replies))
    out: list[bytes] = []
    for index in order:
        talk.switch.release_answer(journal.answers[index])
        out += bank.got()
        assert out == [reply_to(transfer(number)) for number in replies[: len(out)]]
    assert len(out) == 6 and talk.leftovers() == {}


def test_sessions_and_services_do_not_wait_for_each_other():
    journal, talk = held()
    first, second, host, other = talk.session("first"), talk.session("second"), talk.link("transfer"), talk.link("other")
    first.sends(transfer(1), credit(2))
    second.sends(transfer(3))
    _, second_service, second_session = journal.requests
    talk.switch.release(second_session)
    talk.switch.release(second_service)
    assert host.got() == [transfer(3)] and other.got() == [credit(2)]


def test_a_timeout_before_the_release_is_not_sent_and_never_sends():
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    bank.sends(transfer(2), at=20)
    talk.tick(at=30)
    (late, in_time) = journal.requests
    talk.switch.release_answer(journal.answers.pop())
    assert bank.got() == [reply_to(transfer(1), "SB05")]
    talk.switch.release(in_time)
    talk.switch.release(late)
    assert host.got() == [transfer(2)]


def test_a_journal_that_releases_twice_sends_once():
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    for _ in range(3):
        talk.switch.release(journal.requests[0])
    assert host.got() == [transfer()]
    host.sends(reply_to(transfer()))
    for _ in range(3):
        talk.switch.release_answer(journal.answers[0])
    assert bank.got() == [reply_to(transfer())]


def test_a_number_stays_taken_until_its_answer_is_out():
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    talk.switch.release(journal.requests.pop())
    host.got()
    host.sends(reply_to(transfer()))
    bank.sends(transfer())
    assert talk.events("refused")[0]["original"] == "answered"
    assert bank.got() == [reply_to(transfer(), "SB04")]
    talk.switch.release_answer(journal.answers.pop())
    bank.sends(transfer())
    assert len(journal.requests) == 1


def test_a_session_that_goes_while_the_journal_writes_is_sent_nothing_and_asks_nothing():
    journal, talk = held()
    bank, other, host = talk.session(), talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2))
    other.sends(transfer(3))
    talk.switch.release(journal.requests[0])
    talk.switch.release(journal.requests[2])
    host.accepts(304)
    host.sends(reply_to(transfer(1)))
    bank.dies()
    talk.switch.release(journal.requests[1])
    assert host.got() == [transfer(1), transfer(3)]
    talk.switch.release_answer(journal.answers.pop())
    assert bank.got() == [] and talk.service().undelivered == 1
    assert other.peer.open == host.peer.load == 1


def test_an_asker_that_goes_after_its_request_was_refused_takes_nothing_else_with_it():
    """The refusal waits for the journal when its session dies; what moved up in the outbox in its place must stay."""
    journal, talk = held()
    bank, other, host = talk.session(), talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    other.sends(transfer(2), at=1)
    for exchange in journal.requests:
        talk.switch.release(exchange)
    talk.tick(at=30)  # the first is withdrawn from the outbox
    bank.dies()
    assert host.got() == [transfer(2)]
    assert host.peer.load == 1


def test_what_waits_for_a_slow_journal_is_bounded():
    journal = HeldJournal()
    talk = one_service(small(width=4), journal, sessions={"open_exchanges": 4})
    bank = talk.session()
    bank.sends(*(ask(number, width=4) for number in range(6)), at=0)
    talk.tick(at=30)  # all have timed out, the journal still writes them
    while journal.answers:
        talk.switch.release_answer(journal.answers.pop(0))
    bank.got()
    bank.sends(ask(9, width=4))
    assert bank.got() == [answer_to(ask(9, width=4), code=b"FULL", width=4)]
    assert len(journal.requests) == 4


def test_a_queue_that_filled_meanwhile_refuses_at_the_release():
    journal = HeldJournal()
    talk = firm(journal, pending=1)
    bank = talk.session()
    bank.sends(transfer(1), transfer(2))
    for exchange in journal.requests:
        talk.switch.release(exchange)
    assert len(talk.service().waiting) == 1
    talk.switch.release_answer(journal.answers.pop())
    assert bank.got() == [reply_to(transfer(2), "SB07")]


def test_a_notice_whose_session_goes_before_its_release_is_not_sent():
    journal, talk = held()
    bank, host = talk.session(), talk.link()
    bank.sends(opening())
    host.sends(notice(1))
    bank.dies()
    talk.switch.release(journal.requests[1])
    talk.switch.release_answer(journal.answers.pop())
    assert host.got() == [reply_to(notice(1), "SB03")]


def test_a_letter_whose_session_goes_before_its_release_is_counted():
    journal = HeldJournal()
    talk = one_service(small(owner=True), journal)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0400"))
    host.sends(ask(2, kind="0400"))
    bank.dies()
    talk.switch.release(journal.requests[1])
    assert talk.ended(talk.service()) == {"E-RTE-05": 1}
    assert bank.got() == []


def test_a_session_is_given_no_more_notices_than_it_may_have_open_while_the_journal_writes():
    journal = HeldJournal()
    talk = firm(journal, sessions={"open_exchanges": 2})
    bank, host = talk.session(), talk.link()
    bank.sends(opening())
    host.sends(notice(1), notice(2), notice(3))
    assert host.got() == [reply_to(notice(3), "SB05")]
