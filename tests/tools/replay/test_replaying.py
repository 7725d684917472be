"""Replays on a virtual clock against hosts in memory: pacing, pairing, buckets."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random

import pytest
import trio
from replay_kit import SPEC, Answer, Sheet, as_recorded, fields_of, part, replayed, sample, transfers
from trio.testing import MockClock

from telegram_router.tools.replay.exchanges import Conduct
from telegram_router.tools.replay.rules import Rule
from telegram_router.tools.replay.settings import SECOND

MS = SECOND // 1000
Frames = list[bytes | float | None]


def changing(nth: int, **changes: str) -> Answer:
    """As recorded, but for the n-th answer."""
    count = 0

    def answer(request: bytes) -> Frames:
        nonlocal count
        count += 1
        return [*as_recorded(**(changes if count == nth else {}))(request)]

    return answer


async def test_a_healthy_target_differs_in_nothing_without_any_mask(autojump_clock: MockClock):
    done = await replayed(transfers(20), as_recorded())
    assert done.buckets == {"same": 20}
    assert len({part(frame, "message_number") for frame in done.hosts["target"].got}) == 20
    assert {part(frame, "sent_date") for frame in done.hosts["target"].got} == {"20231116"}


async def test_a_changed_field_is_one_difference_with_its_place_and_both_values(autojump_clock: MockClock):
    done = await replayed(transfers(5), changing(3, response_code="9210"))
    assert done.buckets == {"same": 4, "different": 1}
    ((place, found),) = done.replay.tally.fields.items()
    assert place == ("transfer.response", "header.response_code", 52, 4)
    ((x, difference),) = found.samples
    assert (x, difference.expected, difference.got) == ("x3", part(sample("transfer.response"), "response_code"), "9210")


async def test_an_answer_that_repeats_what_a_rule_put_in_is_no_difference(autojump_clock: MockClock):
    rules = {"transfer.request": {"withdrawal_account": Rule("set", "777"), "fee": Rule("set", "5")}}

    def answer(request: bytes) -> Frames:
        echoed = {name: part(request, name) for name in ("withdrawal_account", "fee")}
        return [*as_recorded(**echoed | ({"fee": "9"} if len(asked) == 2 else {}))(asked.append(request) or request)]

    asked: list[bytes] = []
    done = await replayed(transfers(3), answer, rules=rules)
    assert part(done.hosts["target"].got[0], "withdrawal_account") == "777"
    assert done.buckets == {"same": 2, "different": 1} and fields_of(done) == ["body.fee"]


async def test_a_fixed_rate_sends_each_telegram_at_its_time_and_none_less(autojump_clock: MockClock):
    done = await replayed(transfers(300), as_recorded(), pace="1000/s")
    at = done.hosts["target"].at
    assert len(at) == 300 and 0.298 <= at[-1] - at[0] <= 0.300
    assert done.replay.tally.lag.longest < 5 * MS


async def test_the_recorded_pace_can_be_faster_and_its_silences_shorter(autojump_clock: MockClock):
    sheet = transfers(3, every=10)
    for pace, lasting in (("recorded", 20), ("x10", 2), ("recorded,maxgap=1s", 2)):
        done = await replayed(sheet, as_recorded(), pace=pace)
        at = done.hosts["target"].at
        assert at[-1] - at[0] == pytest.approx(lasting, abs=0.01)
    assert done.replay.pace.shortened == 2  # type: ignore[attr-defined]


async def test_max_is_a_closed_loop_of_one_telegram_at_a_time(autojump_clock: MockClock):
    def slow(request: bytes) -> Frames:
        return [0.5, *as_recorded()(request)]

    done = await replayed(transfers(4), slow, pace="max", conduct=Conduct(window=1))
    at = done.hosts["target"].at
    assert [round(later - at[0], 2) for later in at] == [0, 0.5, 1.0, 1.5]
    assert done.replay.tally.latency.longest == pytest.approx(0.5 * SECOND, rel=0.02)


async def test_what_a_window_holds_back_is_sent_late_and_its_latency_counts_from_when_it_was_due(autojump_clock: MockClock):
    def slow(request: bytes) -> Frames:
        return [1.0, *as_recorded()(request)]

    done = await replayed(transfers(3, every=0.1), slow, conduct=Conduct(window=1))
    tally = done.replay.tally
    assert done.buckets == {"same": 3} and tally.held == 2
    assert tally.latency.longest == pytest.approx(2.8 * SECOND, rel=0.02) and tally.service.longest == pytest.approx(SECOND, rel=0.02)
    assert tally.lag.longest < 5 * MS  # the window is not our own lag


async def test_a_stall_of_the_target_shows_in_the_latency_from_the_planned_time(autojump_clock: MockClock):
    """Coordinated omission: the window would hide it from whoever measures from the actual send."""
    stalled = [False]

    def answer(request: bytes) -> Frames:
        if trio.current_time() - began > 2 and not stalled[0]:
            stalled[0] = True
            return [1.0, *as_recorded()(request)]
        return [*as_recorded()(request)]

    began = trio.current_time()
    done = await replayed(transfers(500, every=0.01), answer, conduct=Conduct(window=1))
    tally = done.replay.tally
    assert done.buckets == {"same": 500}
    assert (tally.latency.percentile(99) or 0) >= 800 * MS
    assert 90 <= tally.latency.above(15 * MS) <= 210
    assert (tally.service.percentile(99) or 0) <= 5 * MS


async def test_late_missing_duplicate_and_unexpected_answers_are_told_apart(autojump_clock: MockClock):
    def answer(request: bytes) -> Frames:
        (right,) = as_recorded()(request)
        number = len(seen)
        seen.append(request)
        assert isinstance(right, bytes)
        stranger = right[:36] + b"999999" + right[42:]
        return [[6.0, right], [], [right, right], [right, stranger], [right], [sample("deposit_notice.request"), right]][number]

    seen: list[bytes] = []
    done = await replayed(transfers(6), answer)
    assert done.buckets == {"same": 4, "late": 1, "missing": 1}
    assert done.replay.tally.beside == {"duplicate": 1, "unexpected": 2, "garbage": 0}


async def test_an_answer_that_cannot_be_read_is_unparseable_and_the_others_go_on(autojump_clock: MockClock):
    def answer(request: bytes) -> Frames:
        (right,) = as_recorded()(request)
        assert isinstance(right, bytes)
        seen.append(request)
        return [right[:4] + right[4:104] + b"x" * 200 if len(seen) == 2 else right]

    seen: list[bytes] = []
    done = await replayed(transfers(3), answer)
    assert done.buckets == {"same": 2, "unparseable": 1}
    (told,) = done.replay.tally.told
    assert told.differences and not any(each.clear for each in told.differences)  # of what stands where nobody knows nothing is shown


async def test_why_an_answer_cannot_be_read_is_told(autojump_clock: MockClock):
    def answer(request: bytes) -> Frames:
        (right,) = as_recorded()(request)
        assert isinstance(right, bytes)
        seen.append(request)
        return [right[:28] + b"2100400" + right[35:] if len(seen) == 1 else b"0200" + right[4:204]]

    seen: list[bytes] = []
    done = await replayed(transfers(2), answer)
    assert done.buckets == {"unparseable": 2}
    assert set(done.replay.tally.reasons) == {
        "unparseable: the answer is no message of firmbanking",
        "unparseable: the answer has not the size of a transfer.response",
    }


async def test_an_answer_that_is_never_finished_is_told_of_what_is_missing(autojump_clock: MockClock):
    done = await replayed(transfers(3), lambda request: [b"9999" + b"x" * 50])
    assert done.buckets == {"missing": 3}
    assert done.replay.tally.reasons == {"missing: an answer was begun on its connection and never finished": 3}


@pytest.mark.parametrize("window", [None, 1])
async def test_a_target_that_reads_nothing_is_given_up_and_the_run_ends(autojump_clock: MockClock, window: int | None):
    began = trio.current_time()
    done = await replayed(transfers(5), as_recorded(), deaf=True, conduct=Conduct(window=window))
    assert trio.current_time() - began < 50 and done.replay.tally.sums_up and done.replay.tally.planned == 5
    assert done.hosts["target"].got == [] and "the target reads nothing" in str(done.replay.tally.reasons)


async def test_garbage_ends_the_connection_and_the_next_telegram_gets_another(autojump_clock: MockClock):
    def answer(request: bytes) -> Frames:
        seen.append(request)
        return [b"garbage!" * 4] if len(seen) == 2 else [*as_recorded()(request)]

    seen: list[bytes] = []
    done = await replayed(transfers(4, every=1), answer)
    assert done.buckets == {"same": 3, "closed": 1}
    assert done.replay.tally.beside["garbage"] == 1 and done.hosts["target"].dialled == 2


async def test_a_lost_connection_leaves_what_may_have_arrived_closed_and_nothing_is_sent_again(autojump_clock: MockClock):
    def answer(request: bytes) -> Frames:
        seen.append(request)
        return [None] if len(seen) == 2 else [*as_recorded()(request)]

    seen: list[bytes] = []
    done = await replayed(transfers(4, every=1), answer)
    assert done.buckets == {"same": 3, "closed": 1}
    assert len(done.hosts["target"].got) == 4


async def test_what_the_kernel_does_not_take_whole_goes_out_whole_and_in_order(monkeypatch: pytest.MonkeyPatch):
    write, sizes, written = os.write, itertools.cycle([1, 100, 1_000]), list[int]()

    def narrow(number: int, data: bytes) -> int:
        written.append(write(number, data[: next(sizes)]))
        return written[-1]

    monkeypatch.setattr("telegram_router.tools.replay.running.os.write", narrow)
    done = await replayed(transfers(60, every=0.001), as_recorded(), narrow=True)
    numbers = [int(part(frame, "message_number")) for frame in done.hosts["target"].got]
    assert done.buckets == {"same": 60} and numbers == [*range(numbers[0], numbers[0] + 60)]
    assert len({*written}) == 3 or len(written) < 3  # on a machine that is behind all of it may be the writer's


async def test_what_waited_for_a_connection_that_was_lost_goes_out_on_another(autojump_clock: MockClock):
    def answer(request: bytes) -> Frames:
        seen.append(request)
        return [None] if len(seen) == 3 else [0.5, *as_recorded()(request)]

    seen: list[bytes] = []
    done = await replayed(transfers(10), answer, conduct=Conduct(window=2))
    assert done.buckets == {"same": 8, "closed": 2} or done.buckets == {"same": 9, "closed": 1}
    assert done.hosts["target"].dialled == 2 and len(done.hosts["target"].got) == 10


async def test_thousands_that_cannot_be_rebuilt_end_one_after_the_other(autojump_clock: MockClock):
    rules = {"transfer.request": {"withdrawal_account": Rule("lookup", "accounts.csv")}}
    done = await replayed(transfers(1, every=0.0), as_recorded(), rules=rules)
    assert done.buckets == {"not_sent": 1}
    sheet = Sheet()
    for _ in range(2_000):
        sheet.ask(0.0, sample("transfer.request"))
    assert (await replayed(sheet, as_recorded(), rules=rules)).buckets == {"not_sent": 2_000}


async def test_a_target_that_cannot_be_reached_ends_the_run_with_everything_counted(autojump_clock: MockClock):
    done = await replayed(transfers(5), as_recorded(), refuses=True)
    assert done.replay.unreachable is not None and done.replay.unreachable.code == "E-RPL-04"
    assert done.replay.tally.sums_up and done.buckets == {"not_sent": done.replay.tally.planned}
    assert done.hosts["target"].got == []


async def test_requests_that_nobody_answered_then_have_nothing_to_be_compared_with(autojump_clock: MockClock):
    sheet = transfers(2)
    sheet.ask(1.0, sample("transfer.request", message_number="000777"))
    assert (await replayed(sheet, as_recorded())).buckets == {"same": 2, "baseline_missing": 1}


async def test_stopping_ends_at_once_with_everything_counted(autojump_clock: MockClock):
    async def stop(replay) -> None:  # type: ignore[no-untyped-def]
        await trio.sleep(0.55)
        replay.stop()

    async with trio.open_nursery() as nursery:
        done = await replayed(transfers(50), lambda request: [], while_running=lambda replay: nursery.start_soon(stop, replay))
    assert done.replay.interrupted and done.replay.tally.sums_up
    assert done.buckets == {"closed": 6} and len(done.hosts["target"].got) == 6


@pytest.mark.parametrize("seed", range(10))
async def test_the_buckets_add_up_whatever_a_target_does(autojump_clock: MockClock, seed: int):
    chance = random.Random(seed)

    def answer(request: bytes) -> Frames:
        (right,) = as_recorded()(request)
        assert isinstance(right, bytes)
        what = chance.choice(["well", "well", "well", "slow", "late", "never", "twice", "stranger", "wrong", "garbage", "gone", "short"])
        return {
            "well": [right], "slow": [chance.random(), right], "late": [5.5, right], "never": [], "twice": [right, 0.2, right],
            "stranger": [sample("transfer.response", message_number="999999"), right], "wrong": [*as_recorded(response_code="9999")(request)],
            "garbage": [b"????", right], "gone": [None], "short": [b"0110" + right[4:114]],
        }[what]  # fmt: skip

    conduct = Conduct(connections=chance.choice(["recorded", "3", "per-key:bank_code"]), window=chance.choice([None, 1, 4]))
    sheet = Sheet()
    for number in range(1, 61):
        told = {"message_number": f"{number:06d}"}
        sheet.ask(number * 0.05, sample("transfer.request", **told), sample("transfer.response", **told), c=f"c{number % 4}")
    done = await replayed(
        sheet, answer, pace=chance.choice(["recorded", "200/s", "poisson:50/s", "10/s..200/s:2s", "max"]), conduct=conduct
    )
    assert done.replay.tally.planned == 60
    sent = [part(frame, "message_number") for frame in done.hosts["target"].got]
    assert len(sent) == len(set(sent)) <= 60


async def test_a_baseline_gets_every_request_too_and_its_answers_are_what_is_expected(autojump_clock: MockClock):
    fee = as_recorded(fee="500")
    done = await replayed(transfers(3), as_recorded(fee="700"), others={"baseline": fee}, conduct=Conduct(compare="baseline"))
    assert done.buckets == {"different": 3} and fields_of(done) == ["body.fee"]
    assert (await replayed(transfers(3), fee, others={"baseline": fee}, conduct=Conduct(compare="baseline"))).buckets == {"same": 3}
    silent = await replayed(transfers(3), fee, others={"baseline": lambda request: []}, conduct=Conduct(compare="baseline"))
    assert silent.buckets == {"baseline_missing": 3}


async def test_noise_leaves_out_what_two_good_answers_disagree_about(autojump_clock: MockClock):
    def random_fee(request: bytes) -> Frames:
        count.append(1)
        return [*as_recorded(fee=str(len(count)))(request)]

    count: list[int] = []
    conduct = Conduct(compare="baseline")
    done = await replayed(transfers(3), as_recorded(fee="900"), others={"baseline": random_fee, "noise": random_fee}, conduct=conduct)
    assert done.buckets == {"same": 3} and done.replay.tally.noisy == {"transfer.response body.fee": 3}
    wrong = as_recorded(fee="900", response_code="9999")
    done = await replayed(transfers(3), wrong, others={"baseline": random_fee, "noise": random_fee}, conduct=conduct)
    assert done.buckets == {"different": 3} and fields_of(done) == ["header.response_code"]


async def test_families_without_a_key_pair_by_order_and_give_a_connection_up_when_an_answer_stays_out(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SPEC, "family", dataclasses.replace(SPEC.family, correlation=()))
    count = 0

    def answer(request: bytes) -> Frames:
        nonlocal count
        count += 1
        return [] if count == 3 else [*as_recorded()(request)]

    done = await replayed(transfers(6, every=10), answer)
    assert done.buckets == {"same": 5, "missing": 1} and done.hosts["target"].dialled == 2
