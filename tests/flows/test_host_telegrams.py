"""What a host sends on its own: to the session that carries the company, and the answer back to the link it came on."""

from dataclasses import replace

from construct import Struct
from conversation import answer_to, ask, credit, firm, notice, one_service, opening, reply_to, small, transfer

from telegram_router.routing import Listener, ListenerPolicy
from telegram_router.telegrams import Code, compile_family


def test_a_deposit_notice_reaches_the_company_and_its_answer_returns_to_that_link():
    talk = firm()
    mine, theirs = talk.session("C001's"), talk.session("C002's")
    host, other = talk.link(), talk.link()
    mine.sends(transfer(1, company="C001"))
    theirs.sends(opening(1, company="C002"))
    host.got()
    host.sends(notice(900, company="C002"), at=1)
    assert theirs.got() == [notice(900, company="C002")] and mine.got() == []
    theirs.sends(reply_to(notice(900, company="C002")), at=1.002)
    assert host.got() == [reply_to(notice(900, company="C002"))] and other.got() == []
    audience = talk.service().routes.targets[0]
    assert sum(audience.latency.counts) == 1 and talk.ended(talk.service()) == {"ok": 1}


def test_requests_and_notices_cross_on_the_same_two_lines():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(7))
    host.sends(notice(7))  # the same number: each side counts for itself
    assert bank.got() == [notice(7)] and host.got() == [transfer(7)]
    bank.sends(reply_to(notice(7)), transfer(8))
    host.sends(reply_to(transfer(7)))
    assert bank.got() == [reply_to(transfer(7))] and host.got() == [reply_to(notice(7)), transfer(8)]
    host.sends(reply_to(transfer(8)))
    bank.got()
    assert talk.leftovers() == {}


def test_with_nobody_connected_for_the_company_the_host_is_told_so():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(opening(company="C001"))
    host.sends(notice(1, company="C009"))
    assert host.got() == [reply_to(notice(1, company="C009"), "SB03")]
    assert talk.events("refused")[0]["code"] == "E-RTE-05"
    bank.dies()
    host.sends(notice(2, company="C001"))
    assert host.got() == [reply_to(notice(2, company="C001"), "SB03")]
    assert talk.listener().by_owner == {}


def test_of_two_sessions_of_a_company_the_one_with_less_to_answer_is_asked():
    talk = firm()
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(opening(1))
    second.sends(opening(2))
    host.sends(notice(1), notice(2), notice(3))
    assert first.got() == [notice(1), notice(3)] and second.got() == [notice(2)]


def test_a_session_may_carry_several_companies():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(opening(1, company="C001"), opening(1, company="C002"))
    host.sends(notice(1, company="C002"), notice(1, company="C001"))
    assert bank.got() == [notice(1, company="C002"), notice(1, company="C001")]


def test_an_owner_may_be_bound_to_certificate_names():
    talk = firm(owners={b"C001        ": frozenset({"bank-a.example"}), b"C002        ": frozenset({"bank-b.example"})})
    a, b, nobody = talk.session("a", "bank-a.example"), talk.session("b", "bank-b.example", "b.example"), talk.session("nobody")
    host = talk.link()
    a.sends(transfer(1, company="C001"), transfer(2, company="C002"), transfer(3, company="C003"))
    b.sends(transfer(4, company="C002"))
    nobody.sends(transfer(5, company="C001"))
    assert host.got() == [transfer(1, company="C001"), transfer(4, company="C002")]
    assert a.got() == [reply_to(transfer(2, company="C002"), "SB02"), reply_to(transfer(3, company="C003"), "SB02")]
    assert nobody.got() == [reply_to(transfer(5, company="C001"), "SB02")]
    assert {event["code"] for event in talk.events("refused")} == {"E-RTE-04"}
    told = [(event["peer"], event["owner_field"], event["owner"], event["certificate"]) for event in talk.events("refused")]
    assert told == [
        ("a", "company_number", "C002", ["bank-a.example"]),
        ("nobody", "company_number", "C001", []),
    ]
    host.sends(notice(1, company="C001"))
    assert a.got() == [notice(1, company="C001")] and nobody.got() == []


def test_an_owner_that_is_not_clear_is_not_told():
    spec = small(owner=True)
    header = Struct("type" / Code(4, required=True), "number" / Code(3, digits=True), "company" / Code(2), "code" / Code(4, log="clear"))
    listener = Listener("branches", compile_family(replace(spec.family, header=header)), ListenerPolicy())
    assert listener.claim(ask(1)) == {"owner_field": "company"}
    assert Listener("branches", spec, ListenerPolicy()).claim(ask(1)) == {"owner_field": "company", "owner": "AA"}


def test_a_session_carries_a_bounded_number_of_owners():
    talk = firm(sessions={"open_exchanges": 4000}, in_flight=4000)
    bank, host = talk.session(), talk.link("other")
    bank.sends(*(opening(1, company=f"C{number:04}") for number in range(1025)))
    assert bank.got() == [reply_to(opening(1, company="C1024"), "SB02")]
    assert len(host.got()) == len(bank.peer.owners) == 1024


def test_a_company_whose_first_telegram_found_no_room_is_still_reached():
    talk = firm(pending=0)
    bank = talk.session()
    bank.sends(transfer())
    assert bank.got() == [reply_to(transfer(), "SB07")]
    talk.link().sends(notice())
    assert bank.got() == [notice()]


def test_a_notice_that_is_not_answered_in_time_ended_unknown_for_the_host():
    talk = firm(sessions={"timeout": 5.0, "tombstone": 60.0})
    bank, host = talk.session(), talk.link()
    other = talk.link("other")
    bank.sends(opening(), at=0)
    other.got()
    other.sends(reply_to(opening()))
    host.sends(notice(1))
    bank.got()
    talk.tick(at=5)
    assert host.got() == [reply_to(notice(1), "VTIM")]
    host.sends(notice(1))  # again while the first is reserved
    assert host.got() == [reply_to(notice(1), "SB04")] and bank.got() == []
    bank.sends(reply_to(notice(1)))
    assert host.got() == [] and talk.service().routes.targets[0].late == 1
    talk.tick(at=65)
    host.sends(notice(1))
    assert bank.got() == [notice(1)]


def test_a_session_that_is_lost_leaves_its_notices_unknown_or_not_sent():
    talk = firm(sessions={"tombstone": 60.0})
    bank, host = talk.session(), talk.link()
    bank.sends(opening(), at=0)
    host.sends(notice(1), notice(2))
    bank.accepts(304)
    bank.dies()
    assert host.got() == [reply_to(notice(1), "VTIM"), reply_to(notice(2), "SB03")]
    again, other = talk.session("again"), talk.link()
    again.sends(opening(2))
    host.sends(notice(1), notice(2))
    other.sends(notice(1))
    assert host.got() == [reply_to(notice(1), "SB04")]  # reserved, though the session is gone
    assert other.got() == [reply_to(notice(1), "SB04")]  # and on every link
    assert again.got() == [notice(2)]
    again.sends(reply_to(notice(2)))
    talk.tick(at=60)
    assert talk.leftovers() == {}


def test_a_link_that_is_lost_lets_its_sent_notice_finish_and_withdraws_the_other():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(opening(), at=0)
    talk.link("other").got()
    host.sends(notice(1), notice(2))
    bank.accepts(1)
    host.dies()
    assert bank.got() == [notice(1)]
    bank.sends(reply_to(notice(1)))
    assert talk.service().routes.targets[0].undelivered == 1
    assert talk.ended(talk.service()) == {"ok": 1, "withdrawn": 1}


def test_a_session_is_given_no_more_notices_than_it_may_have_open():
    talk = firm(sessions={"open_exchanges": 3})
    bank, host = talk.session(), talk.link()
    bank.sends(opening())
    host.sends(*(notice(number) for number in range(5)))
    assert len(bank.got()) == 3
    assert host.got() == [reply_to(notice(3), "SB05"), reply_to(notice(4), "SB05")]


def test_notices_of_links_that_count_alike_are_kept_apart_by_the_carrier():
    talk = one_service(small(owner=True))
    bank, first, second = talk.session(), talk.link(), talk.link()
    bank.sends(ask(1, company="AA", kind="0400"))
    first.sends(ask(5, "first", company="AA"))
    second.sends(ask(5, "second", company="AA"))
    one, two = bank.got()
    assert one[8:11] != two[8:11]
    bank.sends(answer_to(two), answer_to(one))
    assert first.got()[-1] == answer_to(ask(5, "first")) and second.got() == [answer_to(ask(5, "second"))]


def test_an_answer_from_a_session_that_was_asked_nothing_goes_to_nobody():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(reply_to(transfer()))
    assert bank.got() == [] and host.got() == []
    assert [event["code"] for event in talk.events("dead_letter")] == ["E-TXN-01"]
    assert talk.listener().refused == {"E-TXN-01": 1}
    bank.sends(transfer())  # and the session lives
    assert host.got() == [transfer()]


def test_an_answer_from_a_session_that_was_asked_something_else_goes_to_nobody():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(opening())
    host.sends(notice(1))
    bank.got()
    bank.sends(reply_to(notice(2)))
    assert host.got() == []
    assert talk.events("unmatched_reply")[0]["nearest_differs_in"] == ["message_number"]


def test_a_request_on_a_link_that_no_route_takes_is_not_answered():
    talk = firm()
    talk.session()
    host, other = talk.link(), talk.link("other")
    host.sends(credit())
    other.sends(notice())
    other.sends(b"0300" + b"?" * 300)
    assert host.got() == [] and other.got() == []
    assert [event["code"] for event in talk.events("dead_letter")] == ["E-TXN-02"] * 3
    host.sends(notice())  # and the link lives
    assert len(host.got()) == 1
