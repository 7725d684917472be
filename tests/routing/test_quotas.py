"""Quotas: how much is admitted in a window of the calendar, whatever the clock does, and what is given back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from construct import Struct
from conversation import Talk, credit, firm, firmbanking, one_service, transfer
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import Delivery
from telegram_router.routing import Kind
from telegram_router.routing import quotas as module
from telegram_router.routing.limits import AT_ONCE, Limit, check, part
from telegram_router.routing.quotas import SLICE, Quota, Window, amounts_of, finest_digit, speller
from telegram_router.telegrams import (
    Amount,
    Code,
    Digits,
    Family,
    Framing,
    LengthField,
    Message,
    Reply,
    Spec,
    Telegram,
    compile_family,
)

COMPANY = "header.company_number"
DAY = 86_400


def quota_of(most: int) -> Quota:
    """Counts by whatever stands in the frame."""
    return Quota("q", most, [lambda peer, frame, entry: frame], lambda key: bytes(key).decode())  # type: ignore[call-overload]


def asks(quota: Quota, key: str = "k", now: float = 0.0) -> bool:
    """Whether one more request is let through."""
    return check([quota], None, key.encode(), None, now) is AT_ONCE  # type: ignore[arg-type]


def day(number: int) -> Window:
    return Window(number * DAY, (number + 1) * DAY)


def tell(quota: Quota, wall: float, now: float) -> None:
    """What the keeper of time says, for days of UTC."""
    number = int(wall // DAY)
    quota.keep_time(day(number), day(number + 1), now + day(number).end - wall, now)


# --- windows


def test_each_key_has_its_quota_and_gets_it_again_in_the_next_window():
    quota = quota_of(3)
    tell(quota, wall=10.0, now=0.0)
    assert [asks(quota, "a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert asks(quota, "b")
    assert not asks(quota, "a", now=DAY - 10.5)
    assert asks(quota, "a", now=DAY - 10.0), "the window ends without anybody telling it"
    assert quota.window == day(1)
    assert quota.refused == 3


def test_a_refusal_tells_the_seconds_to_the_next_window():
    quota = quota_of(1)
    tell(quota, wall=DAY - 100.0, now=50.0)
    assert asks(quota, now=50.0)
    refusal = check([quota], None, b"k", None, 60.0)  # type: ignore[arg-type]
    assert refusal is not None
    assert (refusal.limit, refusal.retry_after, refusal.code) == ("q", 90.0, "E-LIM-03")


def test_nobody_who_tells_the_time_for_a_whole_window_is_the_end_of_no_window():
    quota = quota_of(1)
    tell(quota, wall=0.0, now=0.0)
    assert asks(quota)
    assert asks(quota, now=DAY + 1.0)
    assert not asks(quota, now=5.0 * DAY), "what was counted stays counted until the time is known again"
    tell(quota, wall=5.0 * DAY, now=5.0 * DAY)
    assert asks(quota, now=5.0 * DAY)


def test_a_clock_that_is_set_back_over_midnight_gives_no_second_quota_for_either_day():
    quota = quota_of(2)
    tell(quota, wall=DAY - 1.0, now=0.0)
    assert [asks(quota) for _ in range(3)] == [True, True, False]
    tell(quota, wall=DAY + 1.0, now=2.0)
    assert asks(quota, now=2.0)
    tell(quota, wall=DAY - 5.0, now=3.0)
    assert not asks(quota, now=3.0)
    tell(quota, wall=DAY + 1.0, now=9.0)
    assert [asks(quota, now=9.0) for _ in range(2)] == [True, False]


def test_a_window_that_was_forgotten_is_never_begun_anew():
    quota = quota_of(1)
    for number in range(20):
        tell(quota, wall=number * DAY, now=float(number))
        assert asks(quota, now=float(number))
    tell(quota, wall=3.0 * DAY, now=30.0)
    assert not asks(quota, now=30.0)
    assert quota.window == day(3)


def test_a_clock_that_leaps_ahead_again_and_again_never_makes_room_by_forgetting_what_is_to_come():
    quota = quota_of(1)
    for number in range(100, 120):
        tell(quota, wall=number * DAY, now=float(number))
        asks(quota, now=float(number))
    tell(quota, wall=50.0 * DAY, now=200.0)
    assert not asks(quota, now=200.0)
    tell(quota, wall=119.0 * DAY, now=201.0)
    assert not asks(quota, now=201.0)


moves = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from("ab")),
    st.tuples(st.just("ask"), st.sampled_from("ab")),
    st.tuples(st.just("wait"), st.integers(0, 2 * DAY)),
    st.tuples(st.just("set"), st.integers(0, 40 * DAY)),
    st.tuples(st.just("restart")),
)


@given(st.lists(moves, max_size=120), st.integers(1, 3))
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_in_no_window_is_more_admitted_than_the_quota_across_clocks_and_restarts(script: list[Any], most: int):
    quota, wall, now = quota_of(most), 20.0 * DAY, 0.0
    tell(quota, wall, now)
    stored: dict[Window, dict[str, int]] = {}
    admitted: dict[tuple[str, Window], int] = {}
    for step in script:
        if step[0] == "wait":
            wall, now = wall + step[1], now + step[1]
            tell(quota, wall, now)
        elif step[0] == "set":
            wall = float(step[1])
            tell(quota, wall, now)
        elif step[0] == "restart":
            for counted in quota.take_changes():
                stored.setdefault(counted.window, {}).update(counted.used)
            quota = quota_of(most)
            quota.restore(stored)
            tell(quota, wall, now)
        elif asks(quota, step[1], now):
            place = step[1], day(int(wall // DAY))
            admitted[place] = admitted.get(place, 0) + 1
    assert max(admitted.values(), default=0) <= most


def test_memory_is_bounded_and_a_key_too_many_is_refused_rather_than_another_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KEYS", 10)
    quota = quota_of(2)
    assert [asks(quota, f"k{number}") for number in range(15)] == [True] * 10 + [False] * 5
    assert [asks(quota, f"k{number}") for number in range(10)] == [True] * 10
    assert len(quota) == 10


# --- what is stored


def test_what_has_changed_is_told_once_and_everything_whenever_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LINE", 2)
    quota = quota_of(9)
    quota.restore({day(0): {"old": 4}, day(7): {"far": 1}})
    tell(quota, 0.0, 0.0)
    for key in "aabc":
        asks(quota, key)
    told = list(quota.take_changes())
    assert [counted.used for counted in told] == [{"a": 2, "b": 1}, {"c": 1}]
    assert not list(quota.take_changes())
    whole: dict[Window, dict[str, int]] = {}
    for counted in quota.everything():
        whole.setdefault(counted.window, {}).update(counted.used)
    assert whole == {day(0): {"a": 2, "b": 1, "c": 1, "old": 4}, day(7): {"far": 1}}


def test_what_changed_before_midnight_is_told_after_it():
    quota = quota_of(9)
    tell(quota, 0.0, 0.0)
    asks(quota)
    tell(quota, DAY, 1.0)
    asks(quota, now=1.0)
    assert [tuple(counted) for counted in quota.take_changes()] == [(day(0), {"k": 1}), (day(1), {"k": 1})]


def test_the_highest_part_used_is_known_with_what_was_restored_and_given_back():
    quota = quota_of(10)
    quota.restore({day(0): {"old": 5}})
    tell(quota, 0.0, 0.0)
    assert quota.used_ratio == 0.5
    for _ in range(6):
        asks(quota, "k")
    assert quota.used_ratio == 0.6
    assert quota.highest(5) == [("k", 6), ("old", 5)]
    quota.give_back(None, b"k", None, 0.0)  # type: ignore[arg-type]
    quota.give_back(None, b"k", None, 0.0)  # type: ignore[arg-type]
    assert quota.used_ratio == 0.5
    assert asks(quota, "old")
    assert quota.highest(1) == [("old", 6)]


def test_the_highest_of_very_many_keys_are_found_some_at_a_time():
    quota = quota_of(10**9)
    quota.restore({day(0): {f"old-{number}": number * 7_919 % 10_007 for number in range(12_000)}})
    tell(quota, 0.0, 0.0)
    used = {f"key-{number}".encode(): number * 104_729 % 10_007 for number in range(12_000)}
    quota._used.update(used)
    steps = list(quota.find_highest(20))
    assert len(steps) == 1 + 2 * -(-12_000 // SLICE)
    everything = {
        **{key.decode(): value for key, value in used.items()},
        **{f"old-{number}": number * 7_919 % 10_007 for number in range(12_000)},
    }
    assert [value for _, value in steps[-1]] == sorted(everything.values(), reverse=True)[:20]
    assert all(everything[key] == value for key, value in steps[-1])


def test_keys_are_spelled_without_a_value_that_may_not_be_shown():
    spell = speller(["certificate", COMPANY], firmbanking())
    assert spell((frozenset({"b.example", "a.example"}), b"C001".ljust(12))) == "a.example+b.example|C001"
    secret = speller(["header.account"], _with_account())
    assert secret(b"110998877665").startswith("#")
    assert secret(b"110998877665") == secret(b"110998877665") != secret(b"110998877666")
    assert "110998877665" not in secret(b"110998877665")


def _with_account() -> Spec:
    header = Struct("type" / Code(4, log="clear"), "number" / Code(4, log="clear"), "account" / Code(12))
    return _family(header, [Message("ask", key=("0200",), body=Struct("text" / Digits(2)), reply=Reply.one("answer"))])


def _family(header: Struct, requests: list[Message]) -> Spec:
    answer = Message("answer", key=("0210",), body=Struct("text" / Digits(2)), kind="reply")
    framing = Framing(LengthField(), header=10)
    return compile_family(
        Family(name="made", framing=framing, header=header, messages=[*requests, answer], key=("type",), correlation=("number",))
    )


# --- in the switch


def limited(most: int, *keys: str, talk: Talk | None = None, amount: str | None = None, name: str = "daily", **more: Any) -> Talk:
    talk = talk or firm()
    listener = talk.listener()
    spec = listener.spec
    quota = Quota(
        name, most, [part(key, spec) for key in keys], speller(keys, spec), amounts=amounts_of(amount, spec) if amount else None, **more
    )
    quota.keep_time(day(0), day(1), float(DAY), 0.0)
    listener.limits = [*listener.limits, quota]
    return talk


def quota_in(talk: Talk, place: int = 0) -> Quota:
    found = [each for each in talk.listener().limits if isinstance(each, Quota)]
    return found[place]


def used(talk: Talk) -> dict[str, int]:
    return dict(quota_in(talk).highest(10))


def test_what_is_beyond_the_quota_is_answered_as_not_sent_and_told_when_to_come_again():
    talk = limited(2, COMPANY)
    talk.switch.ended = []
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number) for number in range(1, 5)), at=DAY - 60)
    assert host.got() == [transfer(1), transfer(2)]
    (refused,) = talk.events("refused")
    assert (refused["code"], refused["limit"], refused["retry_after_ms"], refused["count"]) == ("E-LIM-03", "daily", 60_000, 2)
    assert [frame[28:32] for frame in bank.got()] == [b"2100", b"2100"]
    assert [each[0] for each in talk.switch.take_ended()[0]] == ["quota_exceeded"] * 2
    bank.sends(transfer(5), at=DAY)
    assert host.got() == [transfer(5)]


def test_a_request_counts_against_limits_and_quotas_together_or_against_none():
    talk = limited(3, "service", name="of the service")
    limited(1, COMPANY, name="of the company", talk=talk)
    listener = talk.listener()
    listener.limits = [Limit("rate", 100, 100, [part("address", listener.spec)], pass_without_key=True), *listener.limits]
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number, "C001") for number in range(1, 9)), at=0)
    bank.sends(transfer(1, "C002"), transfer(1, "C003"), transfer(1, "C004"))
    assert [frame[13:17] for frame in host.got()] == [b"C001", b"C002", b"C003"]
    assert used(talk) == {"transfer": 3}


def test_what_never_left_is_given_back():
    talk = limited(5, COMPANY, talk=firm(pending=2, pending_timeout=1.0))
    bank = talk.session()
    bank.sends(transfer(1), transfer(2), transfer(3), at=0)
    assert used(talk) == {"C001": 2}, "one was refused before it was counted"
    talk.tick(at=1.5)
    assert used(talk) == {"C001": 0}


def test_what_a_client_leaves_behind_unsent_is_given_back_and_what_was_sent_is_not():
    talk = limited(5, COMPANY, talk=firm(in_flight=1))
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), transfer(2), at=0)
    host.got()
    bank.dies()
    assert used(talk) == {"C001": 1}


def test_what_may_have_left_counts_whatever_becomes_of_it():
    talk = limited(5, COMPANY)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    host.got()
    talk.tick(at=60)
    assert [event["delivery"] for event in talk.events("failed")] == ["sent_unknown"]
    assert used(talk) == {"C001": 1}


def test_what_was_counted_in_a_window_that_is_over_is_not_given_back_to_the_next():
    talk = limited(5, COMPANY, talk=firm(pending=5, pending_timeout=10.0))
    bank = talk.session()
    bank.sends(transfer(1), transfer(2), at=DAY - 1)
    bank.sends(transfer(3), at=DAY)
    talk.tick(at=DAY + 9.5)
    assert len(talk.events("failed")) == 2
    assert used(talk) == {"C001": 1}


def test_a_request_with_a_field_that_is_not_valid_is_given_back():
    for kind in (Kind.TELEGRAM, Kind.HTTP):
        talk = limited(5, COMPANY, talk=one_service(firmbanking(), kind=kind, full=True))
        bank = talk.session()
        talk.link()
        place = firmbanking().messages["transfer.request"].field("body.amount")
        assert place is not None
        start = firmbanking().framing.prefix + place.offset
        bad = transfer(1)[:start] + b"x" + transfer(1)[start + 1 :]
        bank.sends(bad, transfer(2), at=0)
        assert used(talk) == {"C001": 1}
        assert [event["code"] for event in talk.events("refused")] == ["E-FLD-01"]


def test_what_a_backend_rejected_for_certain_counts_since_it_has_left():
    talk = limited(5, COMPANY, talk=one_service(firmbanking(), kind=Kind.HTTP, full=True))
    bank = talk.session()
    talk.link()
    bank.sends(transfer(1), at=0)
    (order,) = talk.switch.commands
    talk.switch.fail(order.exchange, "E-BCK-09", Delivery.NOT_SENT, 0.1)  # type: ignore[union-attr]
    assert used(talk) == {"C001": 1}


# --- amounts


def with_amount(number: int, amount: int | bytes, company: str = "C001") -> bytes:
    field = firmbanking().messages["transfer.request"].field("body.amount")
    assert field is not None
    start = firmbanking().framing.prefix + field.offset
    raw = amount if isinstance(amount, bytes) else b"%0*d" % (field.length, amount)
    frame = transfer(number, company)
    return frame[:start] + raw + frame[start + field.length :]


def test_a_daily_amount_is_the_sum_of_a_field():
    talk = limited(1000, COMPANY, amount="body.amount")
    bank, host = talk.session(), talk.link()
    bank.sends(with_amount(1, 600), with_amount(2, 500), with_amount(3, 400), with_amount(4, 1), at=0)
    assert host.got() == [with_amount(1, 600), with_amount(3, 400)]
    assert used(talk) == {"C001": 1000}
    refused = talk.events("refused")
    assert sum(int(str(event["count"])) for event in refused) == 2
    assert refused[0]["code"] == "E-LIM-03"


def test_an_amount_that_alone_is_more_than_the_quota_is_told_no_time_to_come_again():
    talk = limited(1000, COMPANY, amount="body.amount")
    bank = talk.session()
    bank.sends(with_amount(1, 1001), at=0)
    assert [event["retry_after_ms"] for event in talk.events("refused")] == [None]


def test_an_amount_that_cannot_be_read_is_refused_as_a_field_that_is_not_valid():
    talk = limited(1000, COMPANY, amount="body.amount")
    bank, host = talk.session(), talk.link()
    bank.sends(with_amount(1, b"12345678901x3"), with_amount(2, 5), at=0)
    assert host.got() == [with_amount(2, 5)]
    assert [event["code"] for event in talk.events("refused")] == ["E-FLD-01"]
    assert used(talk) == {"C001": 5}


def test_messages_without_the_field_do_not_count_and_go_their_fast_way():
    talk = limited(1000, COMPANY, amount="body.no_such_field")
    bank, host = talk.session(), talk.link()
    bank.sends(with_amount(1, 10**12), at=0)
    assert len(host.got()) == 1
    assert used(talk) == {}


def test_an_amount_is_given_back_whole_though_its_link_was_lost_with_it():
    talk = limited(1000, COMPANY, amount="body.amount", talk=firm(pending_timeout=1.0))
    bank, host = talk.session(), talk.link()
    bank.sends(with_amount(1, 700), at=0)
    host.dies()
    talk.tick(at=2.0)
    assert [event["delivery"] for event in talk.events("failed")] == ["not_sent"]
    assert used(talk) == {"C001": 0}


@given(st.lists(st.integers(0, 10**13 - 1), min_size=1, max_size=20), st.integers(1, 10**14))
@settings(deadline=None)
def test_sums_are_exact_and_never_beyond_the_quota(amounts: list[int], most: int):
    talk = limited(most, COMPANY, amount="body.amount")
    bank, host = talk.session(), talk.link()
    bank.sends(*(with_amount(number, amount) for number, amount in enumerate(amounts, 1)), at=0)
    expected = 0
    for amount in amounts:
        expected += amount if expected + amount <= most else 0
    assert used(talk).get("C001", 0) == expected
    assert len(host.got()) == len(amounts) - sum(int(str(each["count"])) for each in talk.events("refused"))


def test_amounts_of_several_scales_are_summed_in_the_smallest_digit_and_never_lower_what_is_used():
    bodies = {"whole": Struct("amount" / Digits(6)), "cents": Struct("amount" / Amount(6, scale=2)), "none": Struct("other" / Digits(6))}
    requests = [
        Message(name, key=(f"0{number}00",), body=body, reply=Reply.one("answer")) for number, (name, body) in enumerate(bodies.items(), 3)
    ]
    spec = _family(Struct("type" / Code(4, log="clear"), "number" / Code(6, log="clear")), requests)
    read = amounts_of("body.amount", spec)

    class Of:
        def __init__(self, name: str) -> None:
            self.message = spec.messages[name]

    assert finest_digit("body.amount", spec) == 2

    def units(name: str, **body: Any) -> int | None:
        frame = spec.encode(Telegram(spec.name, spec.messages[name], {"number": "000001"}, body))
        return read(frame, Of(name))  # type: ignore[arg-type]

    assert units("whole", amount=7) == 700
    assert units("cents", amount=Decimal("12.34")) == 1234
    assert units("cents", amount=Decimal("-12.34")) == 0
    assert units("none", other=5) is None


# --- the store


def test_while_nothing_can_be_stored_a_closed_quota_refuses_and_an_open_one_counts_on():
    for refuses in (True, False):
        talk = limited(5, COMPANY, refuses=refuses)
        quota_in(talk).unstored = True
        bank, host = talk.session(), talk.link()
        bank.sends(transfer(1), at=0)
        assert len(host.got()) == (0 if refuses else 1)
        assert [event["code"] for event in talk.events("refused")] == (["E-STO-03"] if refuses else [])
        quota_in(talk).unstored = False
        bank.sends(transfer(2))
        assert len(host.got()) == 1


def test_a_quota_of_one_service_leaves_the_others_alone():
    talk = limited(1, COMPANY, services=frozenset({"transfer"}))
    bank, host, other = talk.session(), talk.link(), talk.link("other")
    bank.sends(*(transfer(number) for number in (1, 2, 3)), *(credit(number) for number in (4, 5, 6)), at=0)
    assert (len(host.got()), len(other.got())) == (1, 3)


def test_without_a_key_a_request_is_refused_unless_it_may_pass():
    for passes in (False, True):
        talk = limited(1, "certificate", pass_without_key=passes)
        bank, host = talk.session(), talk.link()
        bank.sends(transfer(1), transfer(2), at=0)
        assert len(host.got()) == (2 if passes else 0)
        assert used(talk) == {}
