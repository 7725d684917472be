"""Clients that ask on one connection and take their answers on another."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import (
    HeldJournal,
    Speaker,
    Talk,
    answer_to,
    ask,
    exactly,
    firm,
    firmbanking,
    framed,
    listing,
    opening,
    reply_to,
    service_of,
    small,
    transfer,
)
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.routing import Kind, Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing.changing import Change, carry_out
from telegram_router.routing.conduct import Rules
from telegram_router.routing.conducting import Terms

BOUND = {b"AA": frozenset({"aa.example"}), b"BB": frozenset({"bb.example"})}
SPEC = small(owner=True)


def change(talk: Talk, *, where: str | None = "takers") -> None:
    """What a reload does: answers to what is asked at `askers` go to sessions of that listener, or again to who asked."""
    listeners, services = talk.switch.listeners, talk.switch.services
    tables = {each: RouteTable(SPEC, [Route("all", {}, services["transfer"])]) for each in listeners.values()}
    terms = {name: each.policy for name, each in listeners.items()}
    answers = {listeners["askers"]: listeners[where]} if where is not None else {}
    carry_out(talk.switch, Change(services, listeners, listener_terms=terms, tables=tables, answers=answers), talk.clock)


def apart(owners: Any = None, *, where: str | None = "takers", journal: Any = None, unread: int = 1000, **policy: Any) -> Talk:
    """Requests come at `askers`, answers go to `where`."""
    switch = Switch(journal)
    service_of(switch, "transfer", SPEC, **policy)
    for name in ("askers", "takers"):
        switch.listeners[name] = Listener(name, SPEC, ListenerPolicy(owners=owners, unread=unread))
    talk = Talk(switch)
    change(talk, where=where)
    return talk


def taker(talk: Talk, owner: str = "AA", *certificate: str, listener: str = "takers") -> Speaker:
    """A session that takes answers, known as a sign-on would make it known."""
    found = talk.session(f"takes {owner}", *certificate, listener=listener)
    talk.listener(listener).bind(found.peer, owner.encode())
    return found


def code_of(frame: bytes) -> bytes:
    return frame[13:17]


def test_an_answer_goes_to_the_other_session_of_the_same_owner_in_one_piece_or_in_parts():
    talk = apart()
    asks, takes, other, host = talk.session(listener="askers"), taker(talk), taker(talk, "BB"), talk.link()
    asks.sends(ask(1), ask(2, kind="0300"))
    one, two = host.got()
    host.sends(answer_to(one), listing(int(two[8:11]), 1, 2), listing(int(two[8:11]), 2, 2))
    assert takes.got() == [answer_to(ask(1)), listing(2, 1, 2), listing(2, 2, 2)]
    assert asks.got() == other.got() == [] and talk.leftovers() == {}
    assert talk.ended(talk.listener("askers")) == {"ok": 2}


def test_answers_to_both_kinds_of_sessions_in_one_batch_each_go_their_way():
    talk = apart()
    asks, plain, takes, host = talk.session(listener="askers"), talk.session(listener="takers"), taker(talk), talk.link()
    for number in (1, 2, 3):
        asks.sends(ask(number))
        plain.sends(ask(number + 10))
    host.sends(*map(answer_to, host.got()))
    assert plain.got() == [answer_to(ask(number + 10)) for number in (1, 2, 3)]
    assert takes.got() == [answer_to(ask(number)) for number in (1, 2, 3)] and asks.got() == []
    assert talk.leftovers() == {} and talk.service().undelivered == 0


def test_an_http_service_and_a_handler_answer_to_the_other_session_too():
    for kind in (Kind.HTTP, Kind.HANDLER):
        talk = apart()
        service = service_of(talk.switch, "transfer", SPEC, kind)
        change(talk)
        asks, takes = talk.session(listener="askers"), taker(talk)
        talk.link()
        asks.sends(ask(1))
        [call] = [each for each in talk.switch.commands if hasattr(each, "exchange")]
        talk.switch.answer(call.exchange, answer_to(ask(1)), talk.clock)
        assert takes.got() == [answer_to(ask(1))] and asks.got() == [] and service.undelivered == 0


def test_with_certificates_a_session_that_never_says_a_word_takes_the_answers_of_its_own_owner_alone():
    talk = apart(BOUND)
    right, wrong = talk.session("right", "aa.example", listener="takers"), talk.session("wrong", "bb.example", listener="takers")
    asks, host = talk.session("asks", "aa.example", listener="askers"), talk.link()
    asks.sends(ask(1))
    host.sends(answer_to(host.got()[0]))
    assert right.got() == [answer_to(ask(1))] and wrong.got() == asks.got() == []


def test_where_owners_are_not_bound_the_certificate_must_be_the_same():
    talk = apart()
    taker(talk, "AA", "mallory.example")
    asks, host = talk.session("asks", "aa.example", listener="askers"), talk.link()
    asks.sends(ask(1))
    assert host.got() == [] and code_of(asks.got()[0]).strip() == b"NO"
    own = taker(talk, "AA", "aa.example")
    asks.sends(ask(2))
    host.sends(answer_to(host.got()[0]))
    assert own.got() == [answer_to(ask(2))]


def test_a_request_is_refused_unsent_where_nobody_takes_its_answer():
    talk = apart()
    asks, host = talk.session(listener="askers"), talk.link()
    taker(talk, "BB")
    asks.sends(ask(1))
    [refusal] = asks.got()
    assert code_of(refusal).strip() == b"NO" and host.got() == []
    assert talk.listener("askers").refused == {"E-RTE-05": 1}


def test_an_answer_for_which_nobody_is_there_any_more_is_counted_and_goes_to_nobody():
    talk = apart()
    talk.switch.ended = []
    asks, takes, other, host = talk.session(listener="askers"), taker(talk), taker(talk, "BB"), talk.link()
    asks.sends(ask(1))
    takes.dies()
    host.sends(answer_to(host.got()[0]))
    assert asks.got() == other.got() == []
    assert talk.service().undelivered == 1 and talk.leftovers() == {}
    [(result, _, _, _, _, _, _, delivery, _)] = talk.switch.take_ended()[0]
    assert (result, delivery) == ("client_closed", "answered")


def test_who_returns_before_the_answer_gets_it():
    talk = apart()
    asks, takes, host = talk.session(listener="askers"), taker(talk), talk.link()
    asks.sends(ask(1))
    takes.dies()
    again = taker(talk)
    host.sends(answer_to(host.got()[0]))
    assert again.got() == [answer_to(ask(1))]


def test_the_end_of_the_connection_that_asked_takes_nothing_back():
    talk = apart()
    asks, takes = talk.session(listener="askers"), taker(talk)
    asks.sends(ask(1))  # waits for a link
    asks.dies()
    host = talk.link()
    host.sends(answer_to(host.got()[0]))
    assert takes.got() == [answer_to(ask(1))] and talk.leftovers() == {}


def test_with_nobody_left_for_the_answer_either_what_was_not_sent_is_withdrawn():
    talk = apart()
    asks, takes = talk.session(listener="askers"), taker(talk)
    asks.sends(ask(1))
    takes.dies()
    asks.dies()
    assert talk.link().got() == [] and talk.leftovers() == {}


def test_refusals_time_outs_and_duplicates_are_told_where_the_answers_go():
    talk = apart(timeout=5.0)
    asks, takes, host = talk.session(listener="askers"), taker(talk), talk.link()
    asks.sends(ask(1), ask(1), at=0)
    assert code_of(takes.got()[0]).strip() == b"DUP"
    host.got()
    talk.tick(at=5.0)
    assert code_of(takes.got()[0]).strip() == b"VTIM" and asks.got() == []


def test_a_refusal_never_goes_to_an_owner_for_whom_the_sender_may_not_speak():
    talk = apart(BOUND)
    victim = talk.session("victim", "bb.example", listener="takers")
    mallory = talk.session("mallory", "aa.example", listener="askers")
    mallory.sends(ask(1, company="BB"), framed(b"02"), ask(1, company="BB", kind="9999"))
    assert victim.got() == [] and len(mallory.got()) >= 1


def test_at_one_listener_who_asks_takes_no_answers():
    talk = apart(where="askers")
    first, second = talk.session("first", listener="askers"), talk.session("second", listener="askers")
    takes, host = taker(talk, listener="askers"), talk.link()
    for each, number in ((first, 1), (second, 2), (first, 3)):
        each.sends(ask(number))
    host.sends(*map(answer_to, host.got()))
    assert takes.got() == [answer_to(ask(number)) for number in (1, 2, 3)] and first.got() == second.got() == []


def test_who_asks_is_read_no_more_until_the_answers_are_taken():
    talk = apart(unread=30)
    asks, takes, host = talk.session(listener="askers"), taker(talk), talk.link()
    asks.sends(ask(1), ask(2))
    host.sends(*map(answer_to, host.got()))
    assert asks.peer.awaits is takes.peer and talk.switch.awaited == {takes.peer: {asks.peer: None}}
    asks.peer.paused = True  # as its connection does before it reads on
    talk.switch.resumed.clear()
    talk.switch.relieve()
    assert talk.switch.resumed == []
    takes.got()
    talk.switch.relieve()
    assert talk.switch.resumed == [asks.peer] and asks.peer.awaits is None and talk.switch.awaited == {}


@pytest.mark.parametrize("gone", ["takes", "asks"])
def test_nobody_waits_for_who_has_gone(gone: str):
    talk = apart(unread=10)
    asks, takes, host = talk.session(listener="askers"), taker(talk), talk.link()
    asks.sends(ask(1))
    host.sends(answer_to(host.got()[0]))
    assert asks.peer.awaits is takes.peer
    (takes if gone == "takes" else asks).dies()
    if gone == "asks":
        assert talk.switch.awaited == {takes.peer: {}}
        takes.got()
    talk.switch.relieve()
    assert talk.switch.awaited == {}
    assert gone == "asks" or asks.peer.awaits is None


def test_what_is_open_at_a_reload_is_answered_as_it_began():
    talk = apart()
    asks, takes, host = talk.session(listener="askers"), taker(talk), talk.link()
    asks.sends(ask(1))
    change(talk, where=None)
    asks.sends(ask(2))
    one, two = host.got()
    host.sends(answer_to(two), answer_to(one))
    assert asks.got() == [answer_to(ask(2)), answer_to(ask(1))]  # the listener says no more where else: the one who asked gets it
    change(talk)
    asks.sends(ask(3))
    host.sends(answer_to(host.got()[0]))
    assert takes.got() == [answer_to(ask(3))]


def test_sessions_that_are_there_already_take_answers_after_a_reload():
    talk = apart(BOUND, where=None)
    takes, asks, host = talk.session("t", "aa.example", listener="takers"), talk.session("a", "aa.example", listener="askers"), talk.link()
    change(talk)
    asks.sends(ask(1))
    host.sends(answer_to(host.got()[0]))
    assert takes.got() == [answer_to(ask(1))]


def test_an_answer_that_a_journal_holds_goes_to_who_takes_it_when_it_is_released():
    journal = HeldJournal()
    talk = apart(journal=journal)
    asks, takes, host = talk.session(listener="askers"), taker(talk), talk.link()
    asks.sends(ask(1))
    talk.switch.release(journal.requests[0])
    host.sends(answer_to(host.got()[0]))
    takes.dies()
    again = taker(talk)
    talk.switch.release_answer(journal.answers[0])
    assert again.got() == [answer_to(ask(1))] and asks.got() == []


def test_a_sign_on_that_the_service_has_not_accepted_gives_nobody_answers():
    terms = Terms(Rules(sign_on=True), forward=True, formal={"open.request": "sign_on"})
    talk = firm()
    listeners, service = talk.switch.listeners, talk.service()
    listeners["askers"] = Listener("askers", firmbanking(), ListenerPolicy())
    listeners["askers"].audience = None
    to_other = Route("opening", exactly(message_type="1000"), talk.service("other"))
    tables = {listeners["askers"]: RouteTable(firmbanking(), [Route("all", {}, service)])}
    tables |= {listeners["branches"]: RouteTable(firmbanking(), [to_other])}
    answers, offices = {listeners["askers"]: listeners["branches"]}, {listeners["branches"]: terms}
    carry_out(talk.switch, Change(talk.switch.services, listeners, tables=tables, answers=answers, offices=offices), 0.0)
    talk.switch.conductor.wall_is(0.0, 0.0)
    asks, takes, host, decides = talk.session(listener="askers"), talk.session(), talk.link(), talk.link("other")
    takes.sends(opening())
    [asked] = decides.got()
    asks.sends(transfer(1))
    assert host.got() == [] and len(asks.got()) == 1  # nobody takes the answer yet
    decides.sends(reply_to(asked))
    assert takes.got() == [reply_to(opening())]
    asks.sends(transfer(2))
    host.sends(reply_to(host.got()[0]))
    assert takes.got() == [reply_to(transfer(2))] and asks.got() == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "lose taker", "new taker", "lose asker", "reload"]), st.integers(0, 3)), max_size=40
)


@given(STEPS, st.booleans(), st.sampled_from(["takers", "askers"]))
def test_no_answer_ever_reaches_another_identity(steps: list[tuple[str, int]], bound: bool, where: str):
    """Two clients, AA and BB; whatever happens, a session sees only telegrams of its own owner, and none twice."""
    talk = apart(BOUND if bound else None, where=where, timeout=1e9)
    names = {"AA": "aa.example", "BB": "bb.example"}
    askers = {owner: talk.session(f"asks {owner}", names[owner], listener="askers") for owner in names}
    takers: dict[str, list[Speaker]] = {owner: [taker(talk, owner, names[owner], listener=where)] for owner in names}
    everybody = [(owner, each) for owner in names for each in (askers[owner], *takers[owner])]
    host, asked, number = talk.link(), [], 0
    for step, which in steps:
        owner = ("AA", "BB")[which % 2]
        if step == "ask":
            number += 1
            claimed = owner if which < 2 else ("BB" if owner == "AA" else "AA")
            if bound or claimed == owner:  # where nothing binds owners a client is whoever it says
                askers[owner].sends(ask(number, company=claimed))
        elif step == "answer":
            asked += host.got()
            if asked:
                host.sends(answer_to(asked.pop(which % len(asked))))
        elif step == "lose taker" and takers[owner]:
            takers[owner].pop().dies()
        elif step == "new taker":
            takers[owner].append(taker(talk, owner, names[owner], listener=where))
            everybody.append((owner, takers[owner][-1]))
        elif step == "lose asker":
            askers[owner].dies()
            askers[owner] = talk.session(f"asks {owner}", names[owner], listener="askers")
            everybody.append((owner, askers[owner]))
        elif step == "reload":
            change(talk, where=where)
    asked += host.got()
    host.sends(*map(answer_to, asked))
    seen: set[bytes] = set()
    for owner, each in everybody:
        for frame in each.got() if not each.peer.closed else each.cut(each.history, 0)[0]:
            if code_of(frame).strip() == b"":
                assert frame[11:13] == owner.encode() and frame not in seen
                seen.add(frame)
            else:
                assert frame[11:13] == owner.encode() or each.peer.name.startswith("asks")  # told back to who claimed it
    assert talk.open == 0 and not talk.service().register.pending
