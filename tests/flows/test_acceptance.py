"""What a gateway between banks is accepted by: thirteen promises, and the tests that hold each.

A promise that tests of another file prove as a whole is only named here.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing
from conversation import Speaker, Talk, firm
from conversation import transfer as pure_transfer
from hub_kit import World, request, seen
from hub_kit import reply as reply_of
from hub_kit import running as turning
from hypothesis import given, settings
from hypothesis import strategies as st
from references import missing
from running_router import (
    SOON,
    Host,
    Line,
    answer_to,
    balance,
    config,
    credit,
    keeps_silent,
    running,
    transfer,
)
from test_failover import Site

from telegram_router.routing import Mode, ServicePolicy
from telegram_router.routing.backends import Health
from telegram_router.routing.limits import Limit, part

HERE = "flows/test_acceptance.py"
PROMISES = {
    "1. one link, three codes, 64 in flight, replies in any order: each pairs": [
        f"{HERE} test_three_codes_interleaved_on_one_session_and_answered_in_any_order_all_pair",
    ],
    "2. a killed backend costs what it had, as unknown, and nothing more": [
        f"{HERE} test_a_killed_backend_leaves_its_ten_unknown_and_the_next_is_served_elsewhere",
        "flows/test_link_modes.py test_a_killed_link_leaves_what_it_had_unknown_and_the_session_goes_on",
    ],
    "3. a backend that never answers: time-out in time, other codes unaffected, the late reply goes to nobody, in all modes": [
        f"{HERE} test_a_silent_backend_is_timed_out_within_50_ms_and_other_codes_do_not_notice",
        "flows/test_link_modes.py test_a_backend_that_never_answers_costs_its_own_requests_alone",
    ],
    "4. a telegram with a bad body is refused, and the next one served on the same link": [
        "flows/test_refusals.py test_full_validation_refuses_with_the_fields_code_and_never_shows_a_value",
        "flows/test_mutations.py test_no_bytes_of_a_client_do_more_than_have_its_own_session_refused",
    ],
    "5. whatever a dying backend took, the backends see each request at most once": [
        "wire/test_hub_weather.py test_whatever_happens_every_request_ends_once_and_with_the_truth",
        "flows/test_lost_links.py test_every_byte_of_the_first_three_telegrams_leaves_the_right_delivery_states",
        "flows/test_night.py test_three_hours_of_failing_hosts_reloads_a_renewal_and_a_drain_cost_no_session_and_no_truth",
    ],
    "6. one of two that answers system errors is ejected after five, the last one never; nothing goes to the dead": [
        "flows/test_failover.py test_a_host_that_answers_system_errors_is_left_out_after_five_in_a_row",
        "flows/test_health.py test_a_host_whose_system_is_in_trouble_is_left_out_after_five_answers",
        "flows/test_failover.py test_the_last_fit_host_is_never_ejected",
        f"{HERE} test_with_two_of_three_down_nothing_goes_to_the_dead",
    ],
    "7. a reload under a thousand open links closes none, and a bad file changes nothing": [
        f"{HERE} test_a_thousand_sessions_live_through_a_reload_and_follow_the_new_table",
        "flows/test_reload_live.py test_a_bad_file_changes_nothing_and_all_its_problems_are_told",
    ],
    "8. a renewal with a key that does not fit keeps the old pair; with the right one new handshakes show it and old links live": [
        "flows/test_renewal.py test_under_load_a_key_that_does_not_fit_keeps_the_old_pair_and_one_that_fits_is_shown_to_whom_comes_next",
    ],
    "9. a strict server name gives no byte of service without a client certificate": [
        "flows/test_server_names_live.py test_a_strict_name_gives_no_byte_of_service_without_a_certificate_of_its_own_ca",
        "flows/test_server_names_live.py test_a_session_of_the_open_name_is_not_resumed_under_a_strict_one",
    ],
    "11. over any window no more than burst and rate are admitted, by user and by service": [
        "routing/test_limits.py test_over_any_span_no_more_than_burst_and_rate_are_admitted",
        f"{HERE} test_limits_by_user_and_by_service_both_hold_over_any_window",
    ],
    "12. fail-back waits, then follows its ramp; by hand it never comes by itself": [
        "flows/test_failover.py test_fail_back_waits_and_then_starts_slowly",
        "flows/test_failover.py test_who_comes_back_gets_its_weight_within_a_tenth_of_the_ramp",
        "flows/test_failover.py test_by_hand_it_never_returns_by_itself",
    ],
    "13. a fast client of a slow backend is read no more, and holds no memory": [
        f"{HERE} test_a_fast_client_of_a_slow_backend_is_read_no_more_than_its_bounds_allow",
        "flows/test_metrics_of_a_router.py test_a_session_that_is_not_read_counts_as_back_pressure_until_it_is_read_again_or_gone",
    ],
    "14. the number of series is constant under random codes": [
        "flows/test_metrics_of_a_router.py test_the_number_of_series_does_not_change_under_random_business_codes",
    ],
}  # fmt: skip


def test_every_promise_names_tests_that_are_there():
    assert len(PROMISES) == 13  # there are no tokens yet, which were the tenth
    assert missing(reference for references in PROMISES.values() for reference in references) == []


# --- 1 and 2 --------------------------------------------------------------------------------------------------------


class Backwards:
    """Answers nothing until all have come, then the last first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting: list[bytes] = []

    async def __call__(self, line: Line, frame: bytes) -> None:
        self.waiting.append(frame)
        if len(self.waiting) == self.count:
            for each in reversed(self.waiting):
                await line.sends(answer_to(each))


async def test_three_codes_interleaved_on_one_session_and_answered_in_any_order_all_pair():
    asked = [(transfer, credit, balance)[number % 3](number) for number in range(1, 65)]
    hosts = [Host(Backwards(sum(number % 3 == place for number in range(1, 65)))) for place in range(3)]
    async with hosts[0] as transfers, hosts[1] as credits, hosts[2] as balances:
        more = f'[services.credit]\nbackends = ["{credits.address}"]\n'
        route = '[[routes]]\nlistener = "companies"\nservice = "credit"\nmatch = { message_type = "5000", business_code = "100" }\n'
        text = config(transfers, balances, service='timeout = "2s"', more=more, route=route).replace('timeout = "1s"', 'timeout = "2s"')
        async with running(text) as router:
            await router.linked("core", "credit", "steady")
            client = await router.connect()
            await client.sends(b"".join(asked))
            got = [await client.got() for _ in asked]
            assert Counter(got) == Counter(map(answer_to, asked))
            assert got != list(map(answer_to, asked)), "nothing was out of order, so nothing was tried"
            assert [len(host.lines) for host in hosts] == [1, 1, 1] and len(router.switch.listeners["companies"].sessions) == 1
        for place, host in enumerate(hosts):
            assert host.frames == [frame for number, frame in enumerate(asked, 1) if number % 3 == place], "not in the order asked"


async def test_a_killed_backend_leaves_its_ten_unknown_and_the_next_is_served_elsewhere():
    async with Host(keeps_silent) as first, Host() as second:
        text = config(first, service='timeout = "2s"')
        text = text.replace(f'"{first.address}"]', f'"{first.address}", {{ address = "{second.address}", priority = 1 }}]')
        async with running(text) as router:
            await router.until(lambda: sum(len(each.links) for each in router.switch.services["core"].pool.backends.values()) == 2, "links")
            client = await router.connect()
            asked = [transfer(number) for number in range(10)]
            await client.sends(b"".join(asked))
            await first.reached(10)
            await first.line.closes()
            assert [await client.got() for _ in asked] == [answer_to(frame, "VTIM") for frame in asked]
            assert {(line["code"], line["delivery"]) for line in router.log.named("failed")} == {("E-BCK-02", "sent_unknown")}
            assert await client.asks(transfer(11)) == answer_to(transfer(11))
            assert first.frames == asked and second.frames == [transfer(11)]


# --- 3 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
async def test_a_silent_backend_is_timed_out_within_50_ms_and_other_codes_do_not_notice(mode: Mode, autojump_clock: trio.testing.MockClock):
    policy = ServicePolicy(timeout=15.0, mode=mode, poison_grace=15.0)
    services = {"silent": ["SI"], "steady": ["ST"]}
    world = World(services, policies=dict.fromkeys(services, policy), clock=trio.current_time)
    bank, silent, steady = world.client(), world.host("silent"), world.host("steady")
    async with turning(world):
        asked_at = trio.current_time()
        bank.says(request(1, code="SI"))
        frame = await silent.far.wait_for(bool)
        for number in range(2, 30):  # every half second, to the very end
            bank.says(request(number, code="ST"))
            await steady.far.wait_for(bool)
            steady.says(reply_of(number, code="ST"))
            assert [seen(each).number for each in [await bank.far.wait_for(bool)]] == [number]
            await trio.sleep(0.5)
        told = seen(await bank.far.wait_for(bool))
        assert (told.kind, told.number, told.code) == ("sent_unknown", 1, "E-BCK-05")
        assert 15.0 <= trio.current_time() - asked_at <= 15.05
        if mode is Mode.EXCLUSIVE:
            await silent.far.wait_closed()
        else:
            assert len(frame) == len(request(1))
            silent.says(reply_of(1, code="SI"))
            await trio.sleep(1)
            assert bank.got() == [] and world.switch.services["silent"].late == 1
    world.close()


# --- 6 and 7 --------------------------------------------------------------------------------------------------------


def test_with_two_of_three_down_nothing_goes_to_the_dead():
    site = Site(0, 0, 0)
    site.probe("a", Health.DOWN, at=1)
    site.probe("c", Health.DOWN, at=1)
    assert site.served(50, at=2) == "b" * 50
    site.dies("b", at=3)
    assert site.ask(at=3) == ""  # rather not sent than given to a host that is known to be dead
    site.talk.tick(at=4.5)
    assert [frame[56:60] for frame in site.bank.got()][-1:] == [b"SB07"]


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def says_77(line: Line, frame: bytes) -> None:
    await line.sends(answer_to(frame, "0077"))


async def test_a_thousand_sessions_live_through_a_reload_and_follow_the_new_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("telegram_router.wire.hub.LINGER", 0.0)  # the clients share its thread: it would wait for them in vain
    with many_files():
        async with Host() as one, Host(says_77) as other:
            more = f'[services.other]\nspec = "firmbanking"\nbackends = ["{other.address}"]\n'
            before = config(one, more=more, service='timeout = "5s"\nspec = "firmbanking"')
            async with running(before) as router:
                await router.linked("core", "other")
                clients = [await router.connect() for _ in range(1000)]
                for number, client in enumerate(clients):
                    await client.sends(transfer(number))
                assert [await client.got() for client in clients] == [answer_to(transfer(number)) for number in range(1000)]
                path = router.router.plan.path
                path.write_text(before.replace('service = "core"', 'service = "other"'), "utf-8")
                report = await router.router.reload()
                assert report.applied, report.problems
                for number, client in enumerate(clients, 1000):
                    await client.sends(transfer(number))
                told = [await client.got() for client in clients]
                assert told == [answer_to(transfer(number), "0077") for number in range(1000, 2000)]
                path.write_text(before.replace('service = "core"', 'service = "nobody"'), "utf-8")
                assert not (await router.router.reload()).applied
                assert await clients[-1].asks(transfer(3000)) == answer_to(transfer(3000), "0077")
                assert not router.log.named("session_closed")
            assert len(one.frames) == 1000 and len(other.frames) == 1001


# --- 11 -------------------------------------------------------------------------------------------------------------

USERS = ("C001", "C002")


def limited(rate: int, burst: int) -> tuple[Talk, Speaker]:
    """Each user may do so much, and all of them twice that at the service."""
    talk = firm(in_flight=10_000, sessions={"open_exchanges": 10_000})
    listener = talk.listener()
    listener.limits = [
        Limit("user", rate, burst, [part("header.company_number", listener.spec)]),
        Limit("all", 2 * rate, burst + 1, [], frozenset({talk.service().name})),
    ]
    return talk, talk.session()


@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from(USERS)), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_limits_by_user_and_by_service_both_hold_over_any_window(steps: list[tuple[float, str]], rate: int, burst: int):
    talk, bank = limited(rate, burst)
    host = talk.link()
    now = 0.0
    let: list[tuple[float, str]] = []
    for number, (gap, user) in enumerate(steps, 1):
        now += gap
        bank.sends(pure_transfer(number, company=user), at=now)
        let += [(now, user) for _ in host.got()]
    for chosen, most, often in [(set(USERS), burst + 1, 2 * rate), *(({user}, burst, rate) for user in USERS)]:
        times = [at for at, user in let if user in chosen]
        for first in range(len(times)):
            for last in range(first, len(times)):
                assert last - first + 1 <= most + (times[last] - times[first]) * often + 1e-6


# --- 13 -------------------------------------------------------------------------------------------------------------


async def test_a_fast_client_of_a_slow_backend_is_read_no_more_than_its_bounds_allow():
    size, open_most, receive = 60_000, 8, 65_536

    def framed(number: int) -> bytes:
        telegram = b"2000%06d    " % number + bytes(size)
        return len(telegram).to_bytes(4, "big") + telegram

    async with Host(keeps_silent, spec="binary") as core:
        text = config(core, spec="binary", listener=f"open_exchanges = {open_most}", service='timeout = "1s"')
        async with running(text) as router:
            await router.linked("core")
            client = await router.connect()
            over = trio.CancelScope()

            async def sends_on() -> None:
                with over:
                    for number in range(1, 1000):
                        await client.stream.send_all(framed(number))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(sends_on)
                listener = router.switch.listeners["companies"]
                await router.until(lambda: listener.paused, "the session to be paused")
                read = listener.bytes_in
                with trio.move_on_after(0.1):  # it goes on sending, and nobody reads it
                    await trio.sleep(SOON)
                assert listener.bytes_in == read <= (open_most + 1) * (size + 20) + 2 * receive
                assert listener.seconds_paused(router.router.hub.clock()) > 0.05
                over.cancel()
            await client.goes()
            await router.until(lambda: not router.switch.listeners["companies"].sessions, "the session to end")
