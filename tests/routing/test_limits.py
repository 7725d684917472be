"""Limits: how many are admitted in a time, by key, and what becomes of the others."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from conversation import Talk, firm, firmbanking, one_service, reply_to, small, transfer
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing import Kind
from telegram_router.routing import limits as module
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.limits import AT_ONCE, ByKey, Grant, Limit, Refusal, check, part, take

COMPANY = "header.company_number"


def limit_of(rate: float, burst: int) -> Limit:
    """Counts by whatever stands in the frame."""
    return Limit("l", rate, burst, [lambda peer, frame, entry: frame])


def admitted(limit: Limit, times: list[float], key: str = "k") -> list[float]:
    """Those of these moments at which a request is let through."""
    return [now for now in times if check([limit], None, key.encode(), None, now) is AT_ONCE]  # type: ignore[arg-type]


@given(
    st.lists(st.floats(0, 2), max_size=120).map(lambda gaps: [sum(gaps[: n + 1]) * 0.1 for n in range(len(gaps))]),
    st.integers(1, 50),
    st.integers(1, 20),
)
@settings(max_examples=200, deadline=None)
def test_over_any_span_no_more_than_burst_and_rate_are_admitted(times: list[float], rate: int, burst: int):
    let = admitted(limit_of(rate, burst), times)
    for first in range(len(let)):
        for last in range(first, len(let)):
            assert last - first + 1 <= burst + (let[last] - let[first]) * rate + 1e-6


@given(st.integers(1, 50), st.integers(1, 20))
def test_after_a_rest_a_whole_burst_is_admitted_and_no_more(rate: int, burst: int):
    limit = limit_of(rate, burst)
    assert len(admitted(limit, [100.0] * (burst + 5))) == burst
    assert len(admitted(limit, [100.0 + burst / rate + 1e-6] * (burst + 5))) == burst


def test_who_keeps_to_the_rate_is_never_refused():
    times = [number / 10 for number in range(1000)]
    assert admitted(limit_of(10, 1), times) == times


def test_memory_is_bounded_and_what_is_over_goes_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KEYS", 100)
    limit = limit_of(1.0, 5)
    for number in range(1000):
        admitted(limit, [number * 0.001], f"k{number}")
        assert len(limit) <= 100
    admitted(limit, [1.0], "k999")
    admitted(limit, [3.0], "new")
    assert len(limit) <= 100


moments = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.1, 1.0]), st.sampled_from(["a", "b", ""]), st.integers(0, 9)), max_size=60)


@given(moments, st.integers(1, 3), st.integers(1, 5), st.integers(1, 4))
def test_counting_a_usual_request_quickly_is_the_same_as_judging_and_admitting_it(script, rate: int, burst: int, most: int):
    """Both ways are asked in turn on one side, as the switch does, and one of them alone on the other."""

    def limits() -> list[ByKey]:
        by = [lambda peer, frame, entry: frame or None]
        return [Limit("l", rate, burst, by), Bulkhead("b", most, by, pass_without_key=True), Limit("m", 2 * rate, burst, by)]

    sides: list[tuple[list[ByKey], dict[int, SimpleNamespace]]] = [(limits(), {}), (limits(), {})]
    now = 0.0
    for number, (gap, key, ends) in enumerate(script):
        now += gap
        said = []
        for quickly, (counted, open_ones) in zip((True, False), sides, strict=True):
            if ends in open_ones:
                open_ones.pop(ends).settled = True
            exchange = SimpleNamespace(settled=False)
            asked: tuple[Any, ...] = (counted, None, key, None, now)
            if quickly and take(*asked, exchange):  # type: ignore[arg-type]
                answer: Any = ""
            else:
                grant = check(*asked)
                answer = "" if isinstance(grant, Grant) else (grant.limit, grant.code, grant.retry_after and round(grant.retry_after, 6))
                for slots in grant.slots if isinstance(grant, Grant) else ():
                    slots.append(exchange)  # type: ignore[arg-type]
            if not answer:
                open_ones[number % 10] = exchange
            said.append((answer, [limit.refused for limit in counted], [len(limit) for limit in counted]))
        assert said[0] == said[1]


# --- in the switch --------------------------------------------------------------------------------------------------


def limited(rate: float, burst: int, *keys: str, talk: Talk | None = None, **more) -> Talk:
    talk = talk or firm()
    listener = talk.listener()
    listener.limits = [
        *listener.limits,
        Limit(more.pop("name", "company"), rate, burst, [part(key, listener.spec) for key in keys], **more),
    ]
    return talk


def answered_codes(frames: list[bytes]) -> Counter[bytes]:
    return Counter(frame[56:60] for frame in frames)


def test_what_is_beyond_the_limit_is_refused_as_not_sent_and_told_when_to_come_again():
    talk = limited(10, 3, COMPANY)
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number) for number in range(1, 6)), at=0)
    assert host.got() == [transfer(1), transfer(2), transfer(3)]
    (refused,) = talk.events("refused")
    assert (refused["code"], refused["limit"], refused["retry_after_ms"], refused["count"]) == ("E-LIM-03", "company", 100, 2)
    assert [frame[28:32] for frame in bank.got()] == [b"2100", b"2100"]
    bank.sends(transfer(4), transfer(5), at=0.1)
    assert host.got() == [transfer(4)]


def test_each_key_counts_for_itself():
    talk = limited(1, 2, COMPANY)
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number, company) for company in ("C001", "C002", "C003") for number in range(1, 5)), at=0)
    assert Counter(frame[13:17] for frame in host.got()) == {b"C001": 2, b"C002": 2, b"C003": 2}


def test_a_request_counts_against_all_its_limits_or_none():
    talk = limited(1, 1, COMPANY, name="company")
    limited(1, 3, "service", name="service", talk=talk)
    bank, host = talk.session(), talk.link()
    bank.sends(*(transfer(number, "C001") for number in range(1, 9)), at=0)  # one is let through; the others must not use up the service's
    bank.sends(transfer(1, "C002"), transfer(1, "C003"), transfer(1, "C004"))
    assert [frame[13:17] for frame in host.got()] == [b"C001", b"C002", b"C003"]


def test_addresses_certificates_sessions_and_messages_are_counted_by():
    for key in ("address", "certificate", "session", "message"):
        talk = limited(1, 1, key)
        one, other, host = talk.session("one", "one.example"), talk.session("other", "other.example"), talk.link()
        one.peer.address, other.peer.address = "10.0.0.1", "10.0.0.2"
        one.sends(transfer(1), transfer(2), at=0)
        other.sends(transfer(3), transfer(4))
        assert len(host.got()) == (1 if key == "message" else 2), key


def test_without_a_key_a_request_is_refused_unless_it_may_pass():
    for passes in (False, True):
        talk = limited(1, 1, "certificate", pass_without_key=passes)
        bank, host = talk.session(), talk.link()
        bank.sends(transfer(1), transfer(2), at=0)
        assert len(host.got()) == (2 if passes else 0)
        assert all(event["retry_after_ms"] is None for event in talk.events("refused"))


def test_a_limit_of_one_service_leaves_the_others_alone():
    from conversation import credit

    talk = limited(1, 1, "session", services=frozenset({"transfer"}))
    bank, host, other = talk.session(), talk.link(), talk.link("other")
    bank.sends(*(transfer(number) for number in (1, 2, 3)), *(credit(number) for number in (4, 5, 6)), at=0)
    assert (len(host.got()), len(other.got())) == (1, 3)


def test_http_services_and_a_rewritten_carrier_are_limited_too():
    talk = limited(1, 2, COMPANY, talk=one_service(firmbanking(), kind=Kind.HTTP, full=True))
    bank = talk.session()
    talk.link()
    bank.sends(*(transfer(number) for number in range(1, 5)), at=0)
    assert talk.open + len(bank.got()) == 4
    assert talk.listener().limits[0].refused == 2

    from conversation import ask

    talk = limited(1, 2, "session", talk=one_service(small()))
    bank, host = talk.session(), talk.link()
    bank.sends(*(ask(number) for number in range(1, 5)), at=0)
    assert len(host.got()) == 2


def test_a_limit_never_stands_in_the_way_of_answers():
    talk = limited(1, 1, COMPANY)
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(1), at=0)
    host.got()
    host.sends(reply_to(transfer(1)))
    assert bank.got() == [reply_to(transfer(1))]


@settings(deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 50), st.integers(1, 5), st.sampled_from([0.3, 2.0]))
def test_what_a_delaying_limit_lets_go_keeps_to_the_rate_as_well(gaps: list[int], rate: int, burst: int, max_delay: float):
    limit = Limit("l", float(rate), burst, [lambda peer, frame, entry: frame], max_delay=max_delay)
    entry = SimpleNamespace(target=SimpleNamespace(may_hold=True))
    now, went = 0.0, []
    for gap in gaps:
        now += gap / 10_000
        said = check([limit], None, b"k", entry, now)  # type: ignore[arg-type]
        if isinstance(said, Refusal):
            assert said.retry_after is not None and said.retry_after > 0
        else:
            assert said.until <= now + max_delay + 1e-6
            went.append(max(now, said.until))
    assert went == sorted(went)
    for first, start in enumerate(went):
        for last in range(first, len(went)):
            assert last - first + 1 <= burst + (went[last] - start) * rate + 1e-3
