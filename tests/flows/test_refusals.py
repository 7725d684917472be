"""Telegrams that go nowhere, and in which words that is said."""

import re
from pathlib import Path

import pytest
from conversation import (
    answer_to,
    ask,
    credit,
    exactly,
    firm,
    firmbanking,
    framed,
    listing,
    one_service,
    opening,
    reply_to,
    service_of,
    small,
    tabled,
    telegram,
    transfer,
    transfer_body,
)

from telegram_router.errors import CODES
from telegram_router.routing import Among, Between, Prefix, Route, RouteTable


def test_an_error_telegram_is_the_requests_own_header_and_body_byte_for_byte():
    """Also what no encoder would write: lower case, a blank constant, text in the reserved bytes."""
    talk = firm()
    bank = talk.session()
    odd = bytearray(telegram("2000", "200", 7, company="c-001", body=bytes(range(32, 232))))
    odd[4:13] = b" " * 9
    odd[60:104] = bytes(range(64, 108))
    bank.sends(bytes(odd))
    assert bank.got() == [reply_to(bytes(odd), "SB01")]


def test_a_known_message_without_a_route_and_an_unknown_message():
    talk = firm()
    bank = talk.session()
    bank.sends(telegram("7000", "100", 1), telegram("2000", "999", 2), telegram("9999", "100", 3))
    assert bank.got() == [reply_to(telegram("7000", "100", 1), "SB01"), reply_to(telegram("2000", "999", 2), "SB01")]
    assert talk.listener().refused == {"E-RTE-01": 3}  # the third is of no type of this family: it may be an answer, so none is given
    assert talk.listener().received["result.request"] == 1


@pytest.mark.parametrize(("size", "code", "told"), [(299, "E-FRM-08", "SB12"), (301, "E-FRM-07", "SB11"), (120, "E-FRM-08", "SB12")])
def test_a_telegram_of_the_wrong_size_is_refused_and_the_session_lives(size: int, code: str, told: str):
    talk = firm()
    bank, host = talk.session(), talk.link()
    frame = b"%04d" % size + (transfer()[4:] + b"X" * 10)[:size]
    bank.sends(frame, transfer(8))
    (refusal,) = bank.got()
    expected = reply_to(b"0300" + frame[4:304].ljust(300), told)
    assert refusal == expected
    (event,) = talk.events("refused")
    assert (event["code"], event["size"], event["least"], event["most"]) == (code, size + 4, 304, 304)
    assert talk.listener().received["transfer.request"] == 2
    assert host.got() == [transfer(8)]


def test_a_telegram_shorter_than_the_header_gets_no_answer_for_there_is_none_to_build():
    talk = firm()
    bank = talk.session()
    bank.sends(b"0060" + transfer()[4:64])
    assert bank.got() == [] and talk.listener().refused == {"E-FRM-08": 1}


def test_polls_are_answered_by_the_router_in_both_directions_and_never_routed():
    talk = firm()
    bank, host = talk.session(), talk.link()
    question, answer = b"0020HDRREQPOLL0123456789", b"0020HDRRESPOLL0123456789"
    bank.sends(question, transfer())
    assert bank.got() == [answer]
    host.sends(question, answer)
    assert host.got() == [transfer(), answer]
    assert talk.listener().polls == 1 and talk.service().polls == 2
    assert talk.switch.events == []


# --- every field checked ------------------------------------------------------------------------------------------------


def damaged(at: int, value: bytes, number: int = 7) -> bytes:
    frame = bytearray(transfer(number))
    frame[4 + at : 4 + at + len(value)] = value
    return bytes(frame)


@pytest.mark.parametrize(
    ("frame", "code", "told"),
    [
        (damaged(129, b"00000000A5000"), "E-FLD-01", "SB21"),
        (damaged(38, b"20240230"), "E-FLD-03", "SB23"),
        (damaged(32, b"      "), "E-FLD-06", "SB26"),
        (damaged(208, b"\xb1"), "E-ENC-01", "SB31"),
        (damaged(204, b"\x07"), "E-ENC-04", "SB34"),
        (damaged(129, b" " * 13), "E-FLD-06", "SB26"),
    ],
)
def test_full_validation_refuses_with_the_fields_code_and_never_shows_a_value(frame: bytes, code: str, told: str):
    talk = firm(full=True)
    bank, host = talk.session(), talk.link()
    bank.sends(frame, transfer(8))
    assert bank.got() == [reply_to(frame, told)]
    (event,) = talk.events("refused")
    assert event["code"] == code
    assert all(text.startswith("E-") and "offset" in text for text in event["problems"])
    assert "110123456789" not in repr(event)
    assert host.got() == [transfer(8)]


def test_all_bad_fields_are_named_at_once_and_the_list_is_bounded():
    talk = firm(full=True)
    bank = talk.session()
    bank.sends(telegram("2000", "100", 7, body=b"\x07" * 200))
    problems = talk.events("refused")[0]["problems"]
    assert 5 < len(problems) <= 16 and len(set(problems)) == len(problems)


def test_header_validation_lets_a_bad_body_pass_untouched():
    talk = firm()
    bank, host = talk.session(), talk.link()
    bad = telegram("2000", "100", 7, body=b"\xff" * 200)
    bank.sends(bad)
    assert host.got() == [bad]


def test_an_answer_with_a_bad_field_is_unknown_where_every_field_is_checked():
    talk = firm(full=True)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer())
    host.got()
    bad = bytearray(reply_to(transfer()))
    bad[4 + 129] = ord("A")
    host.sends(bytes(bad))
    assert bank.got() == [reply_to(transfer(), "VTIM")]
    assert talk.events("failed")[0]["code"] == "E-BCK-06"


def test_a_refused_telegram_leaves_its_number_free():
    talk = firm(full=True)
    bank, host = talk.session(), talk.link()
    bank.sends(damaged(32 + 97, b"A"), transfer(7))
    assert host.got() == [transfer(7)]
    assert transfer_body() in transfer(7)


# --- routes ----------------------------------------------------------------------------------------------------------------


def routed(*routes: tuple[str, dict[str, object]]) -> dict[str, str]:
    """Which service each of a few telegrams goes to."""
    talk = firm()
    spec = firmbanking()
    services = {name: service_of(talk.switch, name, spec) for name, _ in routes}
    talk.listener().set_routes(RouteTable(spec, [Route(name, tests, services[name]) for name, tests in routes]))
    bank = talk.session()
    ends = {}
    for label, frame in {
        "transfer": transfer(1, company="C001"),
        "credit": credit(2, company="C001"),
        "opening": opening(3, company="D200"),
        "transfer D": transfer(4, company="D200"),
    }.items():
        bank.sends(frame)
        found = [name for name, service in services.items() if any(each.frame == frame for each in service.waiting)]
        ends[label] = found[0] if found else "refused"
        bank.got()
    return ends


def test_exact_routes_come_before_ordered_ones_and_the_default_comes_last():
    ends = routed(
        ("prefixed", {"company_number": Prefix(b"D")}),
        ("default", {}),
        ("exact", {"message_type": Among(frozenset([b"2000"])), "business_code": Among(frozenset([b"100"]))}),
    )
    assert ends == {"transfer": "exact", "credit": "default", "opening": "prefixed", "transfer D": "exact"}


def test_ordered_routes_are_tried_in_their_order():
    ends = routed(
        ("ranged", {"message_type": Between(b"4000", b"5999")}),
        ("company", {"company_number": Prefix(b"C")}),
        ("both", {"message_type": Prefix(b"2"), "company_number": Among(frozenset([b"D200        "]))}),
    )
    assert ends == {"transfer": "company", "credit": "ranged", "opening": "refused", "transfer D": "both"}


def test_a_range_holds_both_its_ends():
    for low, high, holds in [(b"5000", b"6000", True), (b"4000", b"5000", True), (b"5001", b"9999", False), (b"0000", b"4999", False)]:
        assert (routed(("ranged", {"message_type": Between(low, high)}))["credit"] == "ranged") is holds


def test_a_set_takes_each_of_its_values():
    ends = routed(("set", {"message_type": Among(frozenset([b"5000", b"1000"]))}))
    assert ends == {"transfer": "refused", "credit": "set", "opening": "set", "transfer D": "refused"}


def test_exact_routes_of_different_fields_live_side_by_side():
    ends = routed(("type", exactly(message_type="5000")), ("company", exactly(company_number="D200        ")))
    assert ends == {"transfer": "refused", "credit": "type", "opening": "company", "transfer D": "company"}


def test_the_memory_of_headers_is_bounded_and_forgets_no_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("telegram_router.routing.routes.MEMO_LIMIT", 5)
    talk = firm(in_flight=500, sessions={"open_exchanges": 1000})
    first = talk.listener().routes.routes[0]
    by_company = Route("by company", {"company_number": Prefix(b"C")}, first.target)
    talk.listener().set_routes(RouteTable(firmbanking(), [by_company]))
    bank, host = talk.session(), talk.link()
    frames = [transfer(1, company=f"C{number:03}") for number in range(40)]
    bank.sends(*frames)
    assert len(talk.listener().memo) <= 5
    host.got()
    host.sends(*map(reply_to, frames))
    assert talk.listener().received["transfer.request"] == 40
    assert talk.ended(talk.listener()) == {"ok": 40}


# --- other ways to find the reply -----------------------------------------------------------------------------------------


def test_a_plus_ten_family_pairs_its_replies():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1))
    host.got()
    host.sends(answer_to(ask(1), b"ten more"))
    assert bank.got() == [answer_to(ask(1), b"ten more")]


def test_a_family_with_a_table_of_replies_pairs_them():
    talk = one_service(tabled(), timeout=1.0)
    bank, host = talk.session(), talk.link()
    bank.sends(framed(b"ASK 0001x"), framed(b"BUY 0002y"), at=0)
    host.got()
    host.sends(framed(b"SOLD0002"), framed(b"SOLD0001"), framed(b"ANS 0001"))
    assert bank.got() == [framed(b"SOLD0002"), framed(b"ANS 0001")]
    bank.sends(framed(b"ASK 0003"))
    host.got()
    talk.tick(at=1)
    assert bank.got() == []  # a family without an error reply tells nothing, and the log does
    assert talk.events("failed")[0]["code"] == "E-BCK-05"


def test_a_part_too_short_for_its_body_ends_the_request_unknown():
    talk = one_service(small(carrier=False))
    bank, host = talk.session(), talk.link()
    bank.sends(ask(1, kind="0300"))
    host.got()
    host.sends(framed(listing(1, 1, 1)[4:-2]))
    assert bank.got() == [framed(b"0310001AAVTIM    ")]
    assert talk.events("failed")[0]["code"] == "E-BCK-06"


def test_every_code_that_the_switch_says_is_in_the_table():
    files = sorted((Path(__file__).parents[2] / "telegram_router" / "routing").glob("*.py"))
    said = {code for file in files for code in re.findall(r'"(E-[A-Z]+-\d+)"', file.read_text("utf-8"))}
    assert {"E-RTE-01", "E-BCK-05"} <= said <= CODES.keys()
