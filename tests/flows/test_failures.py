"""The table of failures: what may break between a client and a host, and which test holds what the router then does.

Left out are the rows that need a journal (what a restart finds, stored answers, reversals, idempotent routes) and those of REST clients.
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
import trio
from authority import Authority
from references import missing
from running_router import (
    QUIET,
    Host,
    Line,
    answer_to,
    companies,
    config,
    keeps_silent,
    running,
    transfer,
)

HERE = "flows/test_failures.py"
LOST, REAL, NIGHT = "flows/test_lost_links.py", "flows/test_real_sockets.py", "flows/test_night.py"
FAILURES = {
    "F01 a client dies in the midst of a telegram": [
        "corpus/test_framing_rows.py test_one_and_a_half_telegrams_then_the_end_forwards_the_whole_one_only",
        "corpus/test_framing_rows.py test_a_client_that_ends_inside_a_telegram_is_told_apart_from_one_that_ends_behind_it",
    ],
    "F03 a client dies before its request was sent": [
        f"{LOST} test_a_session_that_goes_lets_what_was_sent_finish_and_withdraws_the_rest",
    ],
    "F04 a client dies while its host works": [
        f"{REAL} test_a_client_that_resets_costs_its_own_session_and_its_request_is_let_finish",
        f"{LOST} test_a_gone_askers_request_that_ends_unknown_stays_reserved",
    ],
    "F06 a client sends FIN and waits": [f"{REAL} test_a_client_that_half_closes_still_gets_its_answers"],
    "F07 no backend is healthy": ["flows/test_health.py test_with_every_host_down_requests_are_refused_as_not_sent"],
    "F08 no backend can be reached": [
        "corpus/test_backend_rows.py test_what_nobody_could_be_reached_for_was_not_sent",
        "flows/test_failover.py test_fail_over_is_immediate_and_takes_along_what_was_not_sent",
    ],
    "F09 a backend dies before the first byte": [
        f"{LOST} test_a_request_is_given_on_from_link_to_link_as_long_as_nobody_took_a_byte",
        f"{LOST} test_a_request_whose_links_are_lost_one_after_the_other_is_refused_in_the_end_and_nothing_was_sent",
        "wire/test_http_link.py test_a_request_goes_on_a_new_connection_when_the_idle_one_was_closed",
    ],
    "F10 a write fails after it has begun": [
        "wire/test_connection.py test_a_host_that_takes_any_number_of_bytes_and_resets_leaves_every_request_in_the_right_state",
        f"{REAL} test_a_host_that_never_reads_is_given_up_in_time_and_what_it_may_have_is_unknown_and_nothing_else",
    ],
    "F11 a backend dies before it has answered": [
        "corpus/test_backend_rows.py test_of_what_a_host_has_read_before_it_died_nobody_says_that_it_was_not_sent",
    ],
    "F12 a backend dies in the midst of its answer": [f"{HERE} test_half_an_answer_is_no_answer_and_goes_to_nobody"],
    "F13 an answer cannot be read, or belongs to nobody": [
        "corpus/test_backend_rows.py test_a_host_that_answers_badly_leaves_its_asker_with_unknown_and_its_link_as_it_must",
        "corpus/test_routing_rows.py test_an_answer_with_another_number_goes_to_nobody_and_the_log_says_what_differs",
    ],
    "F15 no answer in time": ["corpus/test_routing_rows.py test_a_late_answer_goes_to_nobody_and_its_number_stays_reserved"],
    "F16 an answer just in time": ["flows/test_replies.py test_a_reply_that_is_just_in_time_is_an_ordinary_reply"],
    "F17 an answer too late": ["flows/test_replies.py test_a_late_reply_is_never_given_to_another_request"],
    "F18 an answer that nobody knows": ["corpus/test_routing_rows.py test_an_answer_when_nothing_is_open_goes_to_nobody"],
    "F19 the same number while it is open": [
        "flows/test_replies.py test_an_open_number_is_refused_with_the_state_of_the_original",
        "corpus/test_routing_rows.py test_the_same_number_of_two_clients_at_once_is_asked_once",
    ],
    "F42 a client wants to renegotiate": [
        "corpus/test_tls_rows.py test_openssl_that_wants_to_renegotiate_is_refused",
        "wire/test_certificates.py test_a_context_offers_only_forward_secret_aead_and_neither_renegotiation_nor_compression",
    ],
    "F43 key updates": ["corpus/test_tls_rows.py test_openssl_that_floods_with_key_updates_is_cut_off"],
    "F44 TLS ends without close_notify": [
        f"{HERE} test_a_tls_client_that_is_cut_off_between_two_telegrams_has_lost_nothing_and_inside_one_only_that",
        "wire/test_connection.py test_a_tls_client_that_is_cut_off_inside_a_frame_is_counted",
    ],
    "F45 a reload in mid flight": [
        "flows/test_reload.py test_the_next_telegram_follows_the_new_table_and_the_open_one_is_answered_where_it_went",
        "flows/test_reload.py test_every_exchange_keeps_the_reply_timeout_that_it_began_with",
        "flows/test_reload_live.py test_a_removed_backend_still_answers_what_it_was_given",
        "flows/test_reload_live.py test_a_removed_backend_that_never_answers_is_cut_when_the_drain_time_is_over",
    ],
    "F46 a reload of a bad file": ["flows/test_reload_live.py test_a_bad_file_changes_nothing_and_all_its_problems_are_told"],
    "F47 a reload of a bad pair": [
        "flows/test_renewal.py test_under_load_a_key_that_does_not_fit_keeps_the_old_pair_and_one_that_fits_is_shown_to_whom_comes_next",
    ],
    "F48 the clock on the wall jumps": [
        f"{HERE} test_a_clock_that_jumps_is_told_and_moves_no_deadline",
        "routing/test_conducting.py test_a_clock_that_is_set_moves_business_and_no_deadline",
    ],
    "F49 the business date changes": [
        f"{HERE} test_over_the_change_of_date_the_same_number_of_both_days_is_two_requests",
        "routing/test_calendar.py test_the_business_date_changes_at_the_cutover",
        "routing/test_conducting.py test_numbers_begin_anew_with_the_business_date",
    ],
    "F50 SIGTERM": [
        f"{REAL} test_sigterm_lets_what_is_open_be_answered_takes_nothing_new_and_ends_with_0",
        f"{REAL} test_a_second_sigterm_ends_at_once_and_says_what_was_cut",
    ],
    "F51 a backend answers twice": ["corpus/test_routing_rows.py test_the_second_of_two_answers_goes_to_nobody"],
    "F52 a client reads too slowly": [
        f"{REAL} test_a_client_that_never_reads_is_closed_in_time_and_holds_nobody_up",
        f"{HERE} test_what_a_client_that_never_reads_was_owed_is_counted_as_undelivered_and_was_carried_out_once",
    ],
    "F53 overload": [
        "flows/test_quality_of_service.py test_from_half_a_queue_on_the_least_urgent_are_refused_and_the_last_tenth_is_for_recalls",
        "corpus/test_routing_rows.py test_one_silent_service_never_holds_more_than_half_of_a_clients_window",
    ],
    "F54 fail-over in mid flight": [
        "flows/test_health.py test_the_backup_takes_over_when_the_primary_dies_and_no_session_notices",
        "flows/test_acceptance.py test_a_killed_backend_leaves_its_ten_unknown_and_the_next_is_served_elsewhere",
        f"{NIGHT} test_three_hours_of_failing_hosts_reloads_a_renewal_and_a_drain_cost_no_session_and_no_truth",
    ],
    "F56 an HTTP service answers badly": [
        "corpus/test_backend_rows.py test_an_http_service_that_answers_badly_leaves_its_asker_with_unknown",
        "corpus/test_backend_rows.py test_a_definite_status_says_that_nothing_was_done",
    ],
}  # fmt: skip


def test_every_failure_names_tests_that_are_there():
    assert missing(reference for references in FAILURES.values() for reference in references) == []


@pytest.mark.parametrize("size", [1, 4, 104, 303])
async def test_half_an_answer_is_no_answer_and_goes_to_nobody(size: int):
    async def answers_in_part(line: Line, frame: bytes) -> None:
        if frame == transfer(1):
            await line.sends(answer_to(frame)[:size])
            await line.closes()
        else:
            await line.sends(answer_to(frame))

    async with companies(answers_in_part, service='timeout = "2s"') as (router, core):
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1), "VTIM")  # at once, without waiting for its time
        await router.until(lambda: len(core.lines) == 2, "another link")
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
        assert core.frames == [transfer(1), transfer(2)]
        assert {line["code"] for line in router.log.named("failed")} == {"E-BCK-02"}


@pytest.mark.parametrize("size", [0, 1, 5, 303], ids="and-{}-bytes".format)
async def test_a_tls_client_that_is_cut_off_between_two_telegrams_has_lost_nothing_and_inside_one_only_that(tmp_path: Path, size: int):
    ours = Authority(tmp_path, "ours")
    pair = ours.issue("router.example", ends=dt.timedelta(days=30))
    tls = f"[listeners.companies.tls]\ncertificate = '{pair.certificate}'\nkey = '{pair.key}'\n"
    async with Host() as core, running(config(core, more=tls)) as router:
        await router.linked("core")
        client = await router.connect(tls=ssl.create_default_context(cafile=ours.file))
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await client.sends(transfer(2) + transfer(3)[:size])
        assert await client.got() == answer_to(transfer(2))
        await client.goes()  # without a word
        await router.until(lambda: router.log.named("session_closed"), "the end of the session")
        [line] = router.log.named("session_closed")
        assert core.frames == [transfer(1), transfer(2)]
        assert (line["reason"] == "E-FRM-05") == bool(size), line


@pytest.mark.parametrize("leap", [-86_400.0, -3.0, 3.0, 86_400.0])
async def test_a_clock_that_jumps_is_told_and_moves_no_deadline(leap: float):
    async with companies(keeps_silent, service='timeout = "200ms"') as (router, core):
        hub = router.router.hub
        await trio.sleep(0.02)  # it has seen the clock as it was
        client, wall = await router.connect(), hub.wall
        began = trio.current_time()
        await client.sends(transfer(1))
        await core.reached(1)
        hub.wall = lambda: wall() + leap
        await client.got_nothing(QUIET)
        assert await client.got() == answer_to(transfer(1), "VTIM")
        assert trio.current_time() - began >= 0.2
        [line] = router.log.named("clock_jumped")
        assert abs(line["seconds"] - leap) < 1


async def test_over_the_change_of_date_the_same_number_of_both_days_is_two_requests():
    waiting: list[tuple[Line, bytes]] = []

    async def collects(line: Line, frame: bytes) -> None:
        waiting.append((line, frame))

    yesterday, today = (transfer(7, sent_date=date) for date in ("20240315", "20240316"))
    async with companies(collects, service='timeout = "2s"') as (router, core):
        client = await router.connect()
        await client.sends(yesterday)
        await core.reached(1)
        wall = router.router.hub.wall
        router.router.hub.wall = lambda: wall() + 86_400.0  # the date is that of the telegram, whatever the clock says
        await client.sends(today)
        await core.reached(2)
        for line, frame in reversed(waiting):
            await line.sends(answer_to(frame))
        assert [await client.got(), await client.got()] == [answer_to(today), answer_to(yesterday)]


def framed(number: int, size: int) -> bytes:
    telegram = b"2000%06d    " % number + bytes(size)
    return len(telegram).to_bytes(4, "big") + telegram


async def test_what_a_client_that_never_reads_was_owed_is_counted_as_undelivered_and_was_carried_out_once():
    held: list[tuple[Line, bytes]] = []

    async def holds_the_first(line: Line, frame: bytes) -> None:
        if not held:
            held.append((line, frame))
        else:
            await line.sends(frame.replace(b"2000", b"2100", 1))

    async with (
        Host(holds_the_first, spec="binary") as core,
        running(config(core, spec="binary", service='timeout = "5s"\nwrite_timeout = "4s"')) as router,
    ):
        await router.linked("core")
        deaf = await router.connect(small=True)
        async with trio.open_nursery() as nursery:

            async def asks_on() -> None:
                for number in range(300):  # 18 MiB of answers: more than the kernel takes
                    await deaf.sends(framed(number, 60_000))

            nursery.start_soon(asks_on)
            await router.logged("E-LIM-06")
            nursery.cancel_scope.cancel()
        [(line, frame)] = held
        await line.sends(frame.replace(b"2000", b"2100", 1))
        await router.until(lambda: router.switch.services["core"].undelivered >= 1, "an answer for somebody who is gone")
        await router.until(lambda: router.switch.idle)
        assert len(core.frames) == len(set(core.frames)) > 1
        assert {line["delivery"] for line in router.log.named("failed")} <= {"not_sent"}  # of those that it carried out none is unknown
