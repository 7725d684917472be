"""Telegrams that nothing answers, and replies that come in several parts."""

from conversation import answer_to, ask, framed, listing, one_service, small


def letter(number: int, text: str = "", company: str = "AA") -> bytes:
    return ask(number, text, company, kind="0400")


def test_a_letter_is_sent_and_nothing_waits_for_an_answer():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(letter(1, "hello"))
    assert talk.open == 0
    assert host.got() == [letter(1, "hello")]
    talk.tick(at=100)
    assert bank.got() == [] and talk.leftovers() == {}
    assert talk.listener().received["letter"] == 1
    assert talk.ended(talk.listener()) == {"ok": 1}


def test_an_unsent_letter_goes_to_the_other_link_in_its_order():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(letter(1, "taken"), ask(2, "taken in part"), letter(3, "not taken"), ask(4, "not taken"))
    host.accepts(len(letter(1, "taken")) + 5)
    host.dies()
    assert talk.link().got() == [letter(3, "not taken"), ask(4, "not taken")]
    assert bank.got() == [answer_to(ask(2, "taken in part"), code=b"VTIM")]


def test_a_letter_cut_in_two_is_not_sent_again_and_counted_as_unknown():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(letter(1, "in part"))
    host.accepts(5)
    host.dies()
    assert talk.link().got() == [] and bank.got() == []
    assert talk.listener().routes.routes[0].score.failed == {"E-BCK-02": 1}
    assert talk.service().unknown == 1 and talk.leftovers() == {}


def test_a_letter_waits_for_a_link_no_longer_than_a_request():
    talk = one_service(small(carrier=False))
    bank = talk.session()
    bank.sends(letter(1), at=0)
    talk.tick(at=1)
    assert bank.got() == [] and talk.leftovers() == {}
    assert talk.events("failed")[0]["code"] == "E-BCK-01"
    assert talk.link().got() == []


def test_a_letter_that_ends_leaves_the_open_request_of_the_same_number_alone():
    talk = one_service(small(carrier=False), pending_timeout=1.0)
    bank = talk.session()
    bank.sends(letter(7), at=0)
    bank.sends(ask(7), at=0.5)
    talk.tick(at=1.0)  # the letter has waited too long
    host = talk.link()
    assert host.got() == [ask(7)]
    host.sends(answer_to(ask(7)))
    assert bank.got() == [answer_to(ask(7))] and talk.leftovers() == {}


def test_letters_that_a_stalled_link_does_not_take_are_bounded_like_requests():
    talk = one_service(small(carrier=False), in_flight=3, pending=2)
    bank, host = talk.session(), talk.link()
    bank.sends(*(letter(number) for number in range(10)))
    assert len(host.peer.outbox) == 3 and len(talk.service().waiting) == 2
    assert talk.listener().refused == {"E-LIM-01": 5}
    assert len(host.got()) == 3  # the kernel takes them, which makes room
    talk.tick(at=0.1)
    assert len(host.got()) == 2
    bank.sends(*(letter(number) for number in range(2)))
    assert len(host.got()) == 2


def test_letters_make_room_for_requests_as_soon_as_the_kernel_has_them():
    talk = one_service(small(carrier=False), in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(letter(1))
    host.got()
    bank.sends(ask(2))
    assert host.got() == [ask(2)]


def test_a_letter_of_a_host_reaches_the_company_or_is_counted():
    talk = one_service(small(owner=True))
    bank, host = talk.session(), talk.link()
    host.sends(letter(1))
    assert host.got() == [] and talk.service().refused == {"E-RTE-05": 1}
    bank.sends(letter(1, "I am here"))
    host.sends(letter(2, "taken"), letter(3, "lost"))
    bank.accepts(len(letter(2, "taken")))
    bank.dies()
    assert talk.ended(talk.service()) == {"ok": 1, "E-RTE-05": 1}
    host.got()
    talk.tick(at=1)
    assert talk.leftovers() == {}


def test_a_letter_nobody_routes_gets_no_error_telegram():
    talk = one_service(small(carrier=False))
    bank = talk.session()
    talk.switch.draining = True
    bank.sends(letter(1))
    assert bank.got() == [] and talk.listener().refused == {"E-LIM-04": 1}


# --- until(part n of m) ------------------------------------------------------------------------------------------------


def test_parts_are_passed_on_as_they_come_until_the_last():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(7, kind="0300"))
    host.got()
    for part in (1, 2):
        host.sends(listing(7, part, 3, "some"))
        assert bank.got() == [listing(7, part, 3, "some")]
    assert talk.open == 1
    host.sends(listing(7, 3, 3, "the last"))
    assert bank.got() == [listing(7, 3, 3, "the last")]
    assert talk.leftovers() == {} and talk.ended(talk.listener()) == {"ok": 1}
    host.sends(listing(7, 3, 3, "again"))
    assert bank.got() == [] and talk.service().unmatched == 1


def test_a_reply_in_one_part_is_the_last():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(7, kind="0300"))
    host.got()
    host.sends(listing(7, 1, 1))
    assert bank.got() == [listing(7, 1, 1)] and talk.leftovers() == {}


def test_every_part_has_the_askers_number():
    talk = one_service(small())
    bank, host = talk.session(), talk.link()
    bank.sends(ask(777, kind="0300"))
    (asked,) = host.got()
    number = int(asked[8:11])
    assert number != 777
    host.sends(listing(number, 1, 2), listing(number, 2, 2))
    assert bank.got() == [listing(777, 1, 2), listing(777, 2, 2)]


def test_each_part_starts_the_timeout_anew_and_the_timers_keep_their_order():
    talk = one_service(small(carrier=False), timeout=5.0)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0300"), at=0)
    bank.sends(ask(2), at=1)
    host.got()
    host.sends(listing(1, 1, 2), at=4)
    bank.got()
    talk.tick(at=6)
    assert bank.got() == [answer_to(ask(2), code=b"VTIM")]
    talk.tick(at=8.9)
    assert bank.got() == []
    talk.tick(at=9)
    assert bank.got() == [framed(b"0310001AAVTIM    ")]  # after one part the end is unknown
    host.sends(listing(1, 2, 2))
    assert bank.got() == [] and talk.service().late == 1


def test_a_part_of_something_else_is_no_part():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1), ask(2, kind="0300"))
    host.got()
    host.sends(listing(1, 1, 1), answer_to(ask(2)))
    assert bank.got() == [] and talk.open == 2
    assert [event["nearest_differs_in"] for event in talk.events("unmatched_reply")] == [["(another message)"]] * 2


def test_parts_for_an_asker_that_is_gone_are_taken_and_given_to_nobody():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0300"))
    host.got()
    bank.dies()
    host.sends(listing(1, 1, 2), listing(1, 2, 2))
    assert talk.leftovers() == {} and talk.service().undelivered == 1
