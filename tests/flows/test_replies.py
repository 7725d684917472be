"""Requests and their replies: who gets which, and who never gets anything."""

from conversation import answer_to, ask, credit, firm, lab, one_service, reply_to, small, transfer


def test_a_reply_goes_to_who_asked_byte_for_byte():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(number=7), at=0)
    assert host.got() == [transfer(number=7)]
    host.sends(reply_to(transfer(number=7)), at=1)
    assert bank.got() == [reply_to(transfer(number=7))]
    assert talk.leftovers() == {}


def test_replies_come_in_any_order():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(*map(transfer, range(1, 6)))
    for number in (3, 5, 1, 2, 4):
        host.got()
        host.sends(reply_to(transfer(number)))
    assert bank.got() == [reply_to(transfer(number)) for number in (3, 5, 1, 2, 4)]
    assert talk.leftovers() == {}


def test_a_late_reply_is_never_given_to_another_request():
    talk = firm(timeout=30.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(number=7), at=0)
    assert host.got() == [transfer(number=7)]
    talk.tick(at=31)
    assert bank.got() == [reply_to(transfer(number=7), "VTIM")]
    bank.sends(transfer(number=7), at=32)  # same number again: refused while reserved
    assert bank.got() == [reply_to(transfer(number=7), "SB04")]
    host.sends(reply_to(transfer(number=7)), at=33)
    assert bank.got() == [] and talk.service().late == 1
    assert talk.events("late_reply")[0]["code"] == "E-BCK-07"


def test_a_reply_that_is_just_in_time_is_an_ordinary_reply():
    talk = firm(timeout=30.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(), at=0)
    host.got()
    talk.tick(at=29.99)
    host.sends(reply_to(transfer()), at=29.995)
    talk.tick(at=31)
    assert bank.got() == [reply_to(transfer())]
    assert talk.leftovers() == {} and talk.service().late == 0


def test_a_second_answer_is_told_and_given_to_nobody():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    host.got()
    host.sends(reply_to(transfer()), reply_to(transfer(), "E999"))
    assert bank.got() == [reply_to(transfer())]
    assert talk.service().unmatched == 1


def test_an_open_number_is_refused_with_the_state_of_the_original():
    talk = firm(in_flight=1)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1))
    bank.sends(transfer(1))  # not written yet
    host.got()
    bank.sends(transfer(1, count=2))  # a repeat is the same request: the repeat counter is no part of the key
    bank.sends(transfer(2), transfer(2))  # has no link yet
    assert bank.got() == [reply_to(transfer(1), "SB04"), reply_to(transfer(1, count=2), "SB04"), reply_to(transfer(2), "SB04")]
    states = [event["original"] for event in talk.events("refused")]
    assert states == ["waiting to be sent", "sent, not answered yet", "waiting to be sent"]
    assert talk.service().duplicates == 3
    assert host.got() == []


def test_a_reserved_number_is_refused_and_the_event_says_why():
    talk = firm(timeout=1.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(), at=0)
    host.got()
    talk.tick(at=1)
    bank.sends(transfer())
    assert talk.events("refused")[0]["original"] == "reserved after an unknown end"


def test_an_open_number_is_refused_from_every_session_where_numbers_are_shared():
    """The family has no carrier: company, bank, day and number name the same request whoever brings it."""
    talk = firm()
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(transfer())
    second.sends(transfer())
    assert second.got() == [reply_to(transfer(), "SB04")]
    assert host.got() == [transfer()]
    host.sends(reply_to(transfer()))
    assert first.got() == [reply_to(transfer())] and second.got() == []


def test_a_number_that_one_session_left_unknown_is_reserved_for_all():
    talk = firm(timeout=1.0)
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(transfer(1), at=0)
    second.sends(transfer(2))
    host.got()
    host.sends(reply_to(transfer(2)))
    talk.tick(at=1)
    second.got()
    second.sends(transfer(1), transfer(3))
    assert second.got() == [reply_to(transfer(1), "SB04")]
    assert host.got() == [transfer(3)]


def test_another_day_is_another_request():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(day="20240315"), transfer(day="20240318"))
    assert len(host.got()) == 2
    host.sends(reply_to(transfer(day="20240318")))
    assert bank.got() == [reply_to(transfer(day="20240318"))]


def test_a_tombstone_expires_and_frees_its_number():
    talk = firm(timeout=30.0, tombstone=300.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(), at=0)
    host.got()
    talk.tick(at=30)
    talk.tick(at=329)
    bank.sends(transfer())
    assert bank.got() == [reply_to(transfer(), "VTIM"), reply_to(transfer(), "SB04")]
    talk.tick(at=330)
    assert talk.leftovers() == {}
    bank.sends(transfer())
    assert host.got() == [transfer()]
    host.sends(reply_to(transfer()))
    assert bank.got() == [reply_to(transfer())]


def test_at_the_cap_of_tombstones_the_service_refuses_and_does_not_forget():
    talk = firm(timeout=1.0, tombstones=3, tombstone=60.0)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), transfer(3), at=0)
    host.got()
    talk.tick(at=1)
    assert bank.got() == [reply_to(transfer(number), "VTIM") for number in (1, 2, 3)]
    bank.sends(transfer(4), transfer(2))
    assert bank.got() == [reply_to(transfer(4), "SB05"), reply_to(transfer(2), "SB04")]
    host.sends(reply_to(transfer(1)))
    assert bank.got() == [] and talk.service().late == 1
    talk.tick(at=61)
    bank.sends(transfer(4))
    assert host.got() == [transfer(4)]


def test_open_requests_count_against_the_cap_of_tombstones():
    """Else all that are open could end unknown and find no room."""
    talk = firm(tombstones=2)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), transfer(3))
    assert bank.got() == [reply_to(transfer(3), "SB05")]
    assert len(host.got()) == 2


# --- an answer that pairs with nothing ------------------------------------------------------------------------------


def test_a_near_miss_names_the_field_that_differs_and_never_a_value():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(number=7, company="C001"))
    host.got()
    host.sends(reply_to(transfer(number=7, company="C002")))
    host.sends(reply_to(transfer(number=8, day="20240316")))
    first, second = talk.events("unmatched_reply")
    assert first["code"] == "E-BCK-07" and first["nearest_differs_in"] == ["company_number"]
    assert second["nearest_differs_in"] == ["sent_date", "message_number"]
    assert not any(value in repr(talk.switch.events) for value in ("C002", "20240316", "000008"))
    assert bank.got() == [] and talk.service().unmatched == 2


def test_a_near_miss_says_when_all_fields_agree_and_something_else_does_not():
    talk = firm()
    bank, host, other = talk.session(), talk.link(), talk.link()
    bank.sends(transfer(1))
    bank.sends(transfer(2))
    host.got()
    other.got()
    other.sends(reply_to(transfer(1)))
    host.sends(reply_to(credit(1)))
    bank.sends(transfer(3))
    host.sends(reply_to(transfer(3)))  # the kernel has no byte of it: nobody can have answered it
    near = [event["nearest_differs_in"] for event in talk.events("unmatched_reply")]
    assert near == [["(asked on another link)"], ["(another message)"], ["(not sent yet)"]]
    assert bank.got() == []
    assert host.got() == [transfer(3)]


def test_with_nothing_open_a_stray_reply_is_near_to_nothing():
    talk = firm()
    talk.session()
    talk.link().sends(reply_to(transfer()))
    assert talk.events("unmatched_reply")[0]["nearest_differs_in"] is None


def test_a_reply_that_cannot_be_read_ends_its_request_unknown_at_once():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    host.got()
    short = b"0150" + reply_to(transfer())[4:154]
    host.sends(short)
    assert bank.got() == [reply_to(transfer(), "VTIM")]
    assert talk.events("failed")[0]["code"] == "E-BCK-06"
    host.sends(reply_to(transfer()))
    assert bank.got() == [] and talk.service().late == 1
    host.sends(b"0150" + reply_to(transfer(8))[4:154])  # and one that answers nothing
    assert talk.service().unmatched == 1


# --- many sessions on one link -----------------------------------------------------------------------------------------


def lab_telegram(kind: str, code: str, number: int, rest: str) -> bytes:
    body = f"{kind}{code}{number:010}{rest}".encode()
    return b"%04d" % len(body) + body


def test_sessions_that_use_the_same_numbers_share_one_link():
    talk = one_service(lab())
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(lab_telegram("0200", "TR", 1, "from the first"))
    second.sends(lab_telegram("0200", "TR", 1, "from the second"))
    asked = host.got()
    assert [frame[20:] for frame in asked] == [b"from the first", b"from the second"]
    assert asked[0][10:20] != asked[1][10:20]
    for frame in reversed(asked):
        host.sends(frame[:4] + b"0210" + frame[8:])
    assert first.got() == [lab_telegram("0210", "TR", 1, "from the first")]
    assert second.got() == [lab_telegram("0210", "TR", 1, "from the second")]
    assert talk.leftovers() == {}


def test_the_labs_error_telegram_is_no_reply_and_has_the_askers_number():
    talk = one_service(lab(), timeout=2.0)
    client, host = talk.session(), talk.link()
    client.sends(lab_telegram("0200", "TR", 42, "x"), at=0)
    host.got()
    talk.tick(at=2)
    assert client.got() == [lab_telegram("0299", "TR", 42, "UE-BCK-05")]
    client.sends(lab_telegram("0200", "TR", 42, "x"))
    assert client.got() == [lab_telegram("0299", "TR", 42, "NE-DUP-01")]


def test_only_the_carrier_is_rewritten_outward_and_inward():
    talk = one_service(small(width=3))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(777, "hello"))
    (asked,) = host.got()
    assert asked[:8] + b"777" + asked[11:] == ask(777, "hello")
    host.sends(answer_to(asked, b"world", b"0000"))
    assert bank.got() == [answer_to(ask(777, "hello"), b"world", b"0000")]


def test_the_right_carrier_with_another_company_beside_it_pairs_with_nothing():
    talk = one_service(small(width=3))
    bank, host = talk.session(), talk.link()
    for turn in range(3):  # the first is looked up, the others take the short way
        bank.sends(ask(7, company="AA"))
        (asked,) = host.got()
        host.sends(answer_to(asked.replace(b"AA", b"BB")))
        assert bank.got() == []
        assert talk.events("unmatched_reply")[turn]["nearest_differs_in"] == ["company"]
        host.sends(answer_to(asked))
        assert bank.got() == [answer_to(ask(7, company="AA"))]


def test_a_session_may_not_use_an_own_number_twice_though_others_may():
    talk = one_service(small(width=3))
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(ask(7, "a"), ask(7, "b"))
    second.sends(ask(7, "c"))
    assert [frame[17:] for frame in host.got()] == [b"a", b"c"]
    assert first.got() == [answer_to(ask(7, "b"), code=b"DUP ")]
    assert second.got() == []


def test_the_carrier_wraps_around_and_steps_over_open_and_reserved_numbers():
    talk = one_service(small(width=2), timeout=5.0, tombstone=1000.0)
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, "reserved", width=2), at=0)
    host.got()
    talk.tick(at=5)
    bank.sends(ask(2, "open", width=2), at=6)
    (kept,) = host.got()
    seen = []
    for turn in range(250):
        bank.sends(ask(3, f"{turn}", width=2))
        (asked,) = host.got()
        seen.append(int(asked[8:10]))
        host.sends(answer_to(asked, width=2))
    used = [number for number in range(100) if number not in (0, 1)]  # 00 is reserved, 01 is open
    assert seen == (used * 3)[:250]
    host.sends(answer_to(kept, width=2))
    assert bank.got()[-1] == answer_to(ask(2, "open", width=2), width=2)


def test_when_every_carrier_number_is_taken_the_service_refuses():
    talk = one_service(small(width=2), sessions={"open_exchanges": 500})
    first, second, host = talk.session("first"), talk.session("second"), talk.link()
    first.sends(*(ask(number, width=2) for number in range(60)))
    second.sends(*(ask(number, width=2) for number in range(60)))
    asked = host.got()
    assert len(asked) == len({frame[8:10] for frame in asked}) == 99
    assert second.got() == [answer_to(ask(number, width=2), code=b"FULL", width=2) for number in range(39, 60)]


def test_a_carrier_number_of_a_request_that_timed_out_is_not_given_again():
    talk = one_service(small(width=2), timeout=1.0, tombstone=50.0, tombstones=1000)
    bank, host = talk.session(), talk.link()
    bank.sends(*(ask(number, "old", width=2) for number in range(98)), at=0)
    old = host.got()
    talk.tick(at=1)
    bank.got()
    bank.sends(ask(98, "new", width=2))
    (new,) = host.got()
    host.sends(*(answer_to(frame, b"late", width=2) for frame in old))
    assert bank.got() == [] and talk.service().late == 98
    host.sends(answer_to(new, width=2))
    assert bank.got() == [answer_to(ask(98, "new", width=2), width=2)]


def test_telegrams_of_one_turn_are_counted_and_timed():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bank.sends(*map(transfer, range(10)), at=1.0)
    host.got()
    host.sends(*(reply_to(transfer(number)) for number in range(10)), at=1.003)
    assert talk.listener().received["transfer.request"] == 10
    assert talk.service().received["transfer.response"] == 10
    assert talk.listener().routes.routes[0].score.ok == 10
    assert talk.service().latency.counts[12] == 10  # 2**11 to 2**12 microseconds
    assert abs(talk.service().latency.seconds - 0.03) < 1e-9
