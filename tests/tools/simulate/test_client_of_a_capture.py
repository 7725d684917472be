"""A bank from a capture alone: it sends what was sent then, when it was sent, and tells which answers are others now."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from telegram_router.config.values import Address
from telegram_router.errors import Delivery, RouterError
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams import Spec, Telegram
from telegram_router.testing import read, sample
from telegram_router.tools.simulate.fixture import Host, run_simulator
from telegram_router.tools.simulate.script import read_script

Clock = trio.testing.MockClock
SECOND = 1_000_000_000
ECHO = '[scenario]\nspec = "firmbanking"\nclock = "2026-11-23T09:00:00+09:00"\n[[rule]]\nmatch = "msg=*.request"\nreply = { response_code = "0000" }\n'


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


def find(name: str, folder: Path) -> Spec:
    return firmbanking()


def request(message: str, number: int) -> bytes:
    telegram = sample(firmbanking(), message, 7, 1)
    telegram.header["message_number"] = f"{number:06d}"
    return firmbanking().encode(telegram)


def reply(asked: bytes, code: str = "0000") -> bytes:
    spec = firmbanking()
    telegram = spec.decode(asked)
    made = spec.decode(spec.error_reply(asked, "E-RTE-01", Delivery.NOT_SENT) or b"")
    body = {name: value for name, value in telegram.body.items() if name in made.message.body_names}
    return spec.encode(Telegram(spec, made.message, made.header | {"response_code": code}, body))


Sent = tuple[float, str, str, bytes]  # seconds, connection, direction, frame


def capture(path: Path, telegrams: Sequence[Sent], *, closes: float = 100.0) -> Path:
    writer = CaptureWriter(path, records.head(t0=1_700_000_000 * SECOND, source="proxy", spec="firmbanking"))
    names = list(dict.fromkeys(c for _, c, _, _ in telegrams))
    for c in names:
        first = min(at for at, each, _, _ in telegrams if each == c)
        writer.write(records.opened(round(first * SECOND), c, leg="front", peer="10.0.0.1:40000", local="10.0.0.2:9000"))
    exchanges: dict[tuple[str, bytes], str] = {}
    for at, c, d, frame in telegrams:
        x = exchanges.setdefault((c, frame[36:42]), f"x{len(exchanges) + 1}")
        writer.write(records.telegram(round(at * SECOND), c, d, frame, x=x))  # type: ignore[arg-type]
    for c in names:
        writer.write(records.closed(round(closes * SECOND), c, by=">", how="fin"))
    writer.close()
    return path


@asynccontextmanager
async def bank(path: Path, **more: Any) -> AsyncIterator[Host]:
    async with run_simulator(path, find, role="client", **more) as host:
        yield host


def one_day() -> list[Sent]:
    first, second, third = (request("transfer.request", number) for number in (1, 2, 3))
    return [(0.0, "c1", ">", first), (0.5, "c1", "<", reply(first)), (2.0, "c1", ">", second), (2.1, "c1", ">", third),
            (2.5, "c1", "<", reply(third)), (2.6, "c1", "<", reply(second))]  # fmt: skip


async def test_what_was_sent_is_sent_again_at_its_times_and_in_its_order(tmp_path: Path, autojump_clock: Clock):
    day = capture(tmp_path / "day.tgcap.jsonl", one_day(), closes=5.0)
    began = trio.current_time()
    async with run_simulator(ECHO, find) as core, bank(day, to=core) as client:
        await client.finished()
        client.check()
        frames = core.simulation.journal.entries(sent=False)
        assert [(entry.frame, round(entry.at - began, 3)) for entry in frames] == [(frame, at) for at, _, d, frame in one_day() if d == ">"]
        assert round(trio.current_time() - began, 3) == 5.0
        shown = client.simulation.stats()["requests"]
        assert shown == {"planned": 3, "sent": 3, "same": 3, "different": 0, "missing": 0, "closed": 0, "not_sent": 0, "not_compared": 0, "waiting": 0}  # fmt: skip


async def test_an_answer_that_is_another_is_told_with_its_field(tmp_path: Path, autojump_clock: Clock):
    day = capture(tmp_path / "day.tgcap.jsonl", one_day())
    other = ECHO.replace("[[rule]]", '[[rule]]\nmatch = "f.message_number = 2"\nreply = { response_code = "0051" }\n[[rule]]', 1)
    async with run_simulator(other, find) as core, bank(day, to=core) as client:
        await client.finished()
        (judged,) = client.verify()
        assert not judged.met and judged.failed == 1
        assert judged.failures[0].startswith("x2 transfer.request: header.response_code [")
        assert client.simulation.stats()["requests"]["same"] == 2


async def test_a_request_that_followed_an_answer_waits_for_it(tmp_path: Path, autojump_clock: Clock):
    day = capture(tmp_path / "day.tgcap.jsonl", one_day())
    slow = ECHO.replace("reply =", 'delay = "10s"\nreply =')
    async with run_simulator(slow, find) as core, bank(day, to=core) as client:
        began = trio.current_time()
        await client.finished()
        assert [round(entry.at - began, 3) for entry in core.simulation.journal.entries(sent=False)] == [0.0, 10.0, 10.0]
        client.check()


async def test_what_is_not_answered_is_given_up_and_the_rest_goes_on(tmp_path: Path, autojump_clock: Clock):
    day = capture(tmp_path / "day.tgcap.jsonl", one_day())
    async with run_simulator(ECHO + "[[fault]]\nfirst = 1\ndo = { late = '40s' }\n", find) as core, bank(day, to=core) as client:
        await client.finished()
        shown = client.simulation.stats()["requests"]
        assert (shown["missing"], shown["same"], shown["late"]) == (1, 2, 1)
        assert client.verify()[0].failures == ("x1 transfer.request: no answer within 30 s",)


async def test_a_lost_link_leaves_buckets_that_add_up(tmp_path: Path, autojump_clock: Clock):
    day = capture(tmp_path / "day.tgcap.jsonl", one_day())
    async with run_simulator(ECHO + "[[fault]]\nskip = 1\ndo = { rst = 'before' }\n", find) as core, bank(day, to=core) as client:
        await client.finished()
        shown = client.simulation.stats()["requests"]
        assert shown["planned"] == 3 == sum(count for name, count in shown.items() if name not in ("planned", "sent"))
        assert shown["same"] == 1 and shown["closed"] + shown["not_sent"] == 2
        assert client.simulation.stats()["counts"]["links_lost"] == 1


async def test_a_host_that_answers_garbage_costs_the_link_and_the_buckets_add_up(tmp_path: Path, autojump_clock: Clock):
    async with bank(capture(tmp_path / "day.tgcap.jsonl", one_day())) as client:
        host = await client.accept()
        await host.receive()
        await host.wire.send(b"GET / HTTP/1.1\r\n\r\n" + bytes(100))
        await client.finished()
        shown = client.simulation.stats()["requests"]
        assert shown["planned"] == 3 == sum(count for name, count in shown.items() if name not in ("planned", "sent"))
        assert client.simulation.stats()["counts"]["links_lost"] == 1 and not client.verify()[0].met


ILL = "".join(
    f"[[fault]]\nrate = {rate}\ndo = {{ {do} }}\n"
    for rate, do in (
        (0.02, "rst = 'mid'"), (0.02, "fin = 'after'"), (0.1, "late = '40s'"), (0.1, "never = true"), (0.1, "duplicate = 2"),
        (0.03, "garbage = 30"), (0.05, "wrong_key = true"), (0.05, "flip = 3"), (0.05, "reorder = '1s'"), (0.02, "truncate = 5"),
    )
)  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_the_host_does_the_buckets_add_up_at_any_moment(seed: int, tmp_path: Path, autojump_clock: Clock):
    telegrams: list[Sent] = []
    for number in range(1, 61):
        asked = request("transfer.request", number)
        telegrams += [(number * 0.5, f"c{number % 3}", ">", asked), (number * 0.5 + 0.2, f"c{number % 3}", "<", reply(asked))]
    day = capture(tmp_path / "day.tgcap.jsonl", telegrams)

    def check(client: Host) -> None:
        shown = client.simulation.stats()["requests"]
        buckets = [shown[name] for name in ("same", "different", "missing", "closed", "not_sent", "not_compared", "waiting")]
        assert sum(buckets) == shown["planned"] == 60 and shown["sent"] == 60 - shown["not_sent"]

    async with run_simulator(ECHO + ILL, find, seed=seed) as core, bank(day, to=core) as client:
        while not client.is_finished:
            check(client)
            await trio.sleep(1.7)
        check(client)
        assert client.simulation.stats()["requests"]["waiting"] == 0 and not client.verify()[0].met


async def test_each_recorded_connection_is_made_at_its_time(tmp_path: Path, autojump_clock: Clock):
    first, second = request("transfer.request", 1), request("transfer.request", 2)
    telegrams = [(0.0, "c1", ">", first), (0.1, "c1", "<", reply(first)), (3.0, "c2", ">", second), (3.1, "c2", "<", reply(second))]
    day = capture(tmp_path / "day.tgcap.jsonl", telegrams, closes=4.0)
    async with run_simulator(ECHO, find) as core, bank(day, to=core) as client:
        began = trio.current_time()
        await client.finished()
        seen = [(entry.connection, round(entry.at - began, 3)) for entry in core.simulation.journal.entries(sent=False)]
        assert seen == [(1, 0.0), (2, 3.0)]


async def test_the_bank_answers_what_the_host_asks_as_it_did(tmp_path: Path, autojump_clock: Clock):
    asked, notice = request("transfer.request", 1), request("deposit_notice.request", 9)
    telegrams = [(0.0, "c1", ">", asked), (0.1, "c1", "<", reply(asked)), (1.0, "c1", "<", notice), (1.1, "c1", ">", reply(notice, "0007"))]
    day = capture(tmp_path / "day.tgcap.jsonl", telegrams)
    async with bank(day) as client:
        host = await client.accept()
        assert (await host.receive()) == asked
        answer = await host.ask(request("deposit_notice.request", 10))
        assert (answer["message_number"], answer["response_code"]) == ("000010", "0007")
        assert client.simulation.stats()["requests"]["waiting"] == 1  # ours is still open


async def test_nobody_to_connect_to_is_told(tmp_path: Path, autojump_clock: Clock):
    day = capture(tmp_path / "day.tgcap.jsonl", one_day())
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(RouterError, match=r"E-SIM-08.*nobody answers"):
            async with bank(day, to=Address(*nobody.getsockname())):
                await trio.sleep_forever()


def test_masked_telegrams_and_those_of_other_specs_are_left_out_and_counted():
    asked = request("transfer.request", 1)
    found = [
        records.opened(0, "c1", leg="front", peer="10.0.0.1:1", local="10.0.0.2:2"),
        records.telegram(1, "c1", ">", asked, x="x1") | {"n": 1},
        records.telegram(2, "c1", "<", b"", x="x1", hmac="00ff") | {"n": 2, "len": 304},
        records.telegram(3, "c1", ">", b"", x="x2", hmac="00fe") | {"n": 3, "len": 304},
        records.telegram(4, "c1", ">", b"0020HDRREQPOLL0123456789") | {"n": 4},
        records.telegram(5, "c1", ">", b"something else") | {"n": 5},
    ]
    script = read_script("day", firmbanking(), found)
    assert script.planned == 1 and script.parts[0].planned[0].step.answers == []
    assert script.left_out == {"masked beyond use": 2, "polls": 1, "not of the spec": 1}
