"""Access records of a running router: each telegram once, nothing of a customer, and files that may be moved away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from running_router import CANARIES, Host, answer_to, config, good_neighbour, keeps_silent, running, transfer

ACCESS = '[access]\nfile = "access.jsonl"\n'


def lines(folder: Path, name: str = "access.jsonl") -> list[dict[str, Any]]:
    path = folder / name
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


async def test_each_telegram_has_one_record_and_none_holds_what_a_customer_sent(tmp_path: Path):
    async with Host() as core, running(config(core=core, more=ACCESS), tmp_path) as router, good_neighbour(router):
        client = await router.connect()
        for number in range(1, 6):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        await client.sends(transfer(1)[:28] + b"9999" + transfer(1)[32:])
        await router.until(lambda: len(lines(tmp_path)) >= 6)
    found = lines(tmp_path)
    asked = [
        each for each in found if each.get("key", {}).get("message_number") in {f"00000{n}" for n in range(1, 6)} and each["result"] == "ok"
    ]
    assert {each["key"]["message_number"] for each in asked} == {f"00000{n}" for n in range(1, 6)}
    assert [each["code"] for each in found if each["result"] == "no_route"] == ["E-RTE-01"]
    assert {each["service"] for each in asked} == {"core"} and all(each["address"] == "127.0.0.1" for each in found)
    assert len({each["trace"] for each in asked}) == len(asked)
    text = (tmp_path / "access.jsonl").read_text("utf-8")
    assert not [canary for canary in CANARIES if canary in text]
    assert (tmp_path / "access.jsonl").stat().st_mode & 0o777 == 0o600


async def test_what_stays_open_to_the_end_is_in_the_file_when_the_router_has_ended(tmp_path: Path):
    async with (
        Host(keeps_silent) as core,
        running(config(core=core, more=ACCESS, service='timeout = "5s"').replace('drain = "500ms"', 'drain = "50ms"'), tmp_path) as router,
    ):
        client = await router.connect()
        await client.sends(transfer(17))
        await core.reached()
        router.router.stop()
        await client.got()
    assert [(each["result"], each["delivery"], each["key"]["message_number"]) for each in lines(tmp_path)] == [
        ("timeout", "sent_unknown", "000017")
    ]


async def test_a_reload_opens_the_file_anew_takes_another_one_and_none(tmp_path: Path):
    async with Host() as core:
        text = config(core=core, more=ACCESS)
        async with running(text, tmp_path) as router:
            client = await router.connect()
            await client.asks(transfer(1))
            await router.until(lambda: lines(tmp_path))
            (tmp_path / "access.jsonl").rename(tmp_path / "access.jsonl.1")
            router.router.recording.reopen()
            await client.asks(transfer(2))
            await router.until(lambda: lines(tmp_path))
            path = router.router.plan.path
            path.write_text(text.replace("access.jsonl", "other.jsonl"), encoding="utf-8")
            assert "access.file" in (await router.router.reload()).differences.changed
            await client.asks(transfer(3))
            await router.until(lambda: lines(tmp_path, "other.jsonl"))
            path.write_text(text.replace(ACCESS, ""), encoding="utf-8")
            assert "access" in (await router.router.reload()).differences.removed
            assert router.router.switch.ended is None
            await client.asks(transfer(4))
            assert (router.router.recording.written, router.router.recording.dropped) == (3, 0)
    numbers = [
        each["key"]["message_number"] for name in ("access.jsonl.1", "access.jsonl", "other.jsonl") for each in lines(tmp_path, name)
    ]
    assert numbers == ["000001", "000002", "000003"]


async def test_records_that_cannot_be_written_are_counted_and_told_and_cost_nothing_else(tmp_path: Path):
    folder = tmp_path / "records"
    folder.mkdir()
    more = '[access]\nfile = "records/access.jsonl"\n'
    async with Host() as core, running(config(core=core, more=more), tmp_path) as router:
        folder.rmdir()
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await router.until(lambda: router.log.named("access_records_dropped"))
        shown = dict(router.router.collect())
        assert list(shown["access_records_dropped_total"]) == [((), 1)]
        folder.mkdir()
    assert router.log.named("access_records_dropped")[0]["why"] == "No such file or directory"
