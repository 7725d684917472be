"""The whole circle: the demo is captured at the router behind its TLS, simulated from the capture, and replayed against that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from test_capture_live import start, stop

from telegram_router.demo import story
from telegram_router.demo.processes import Child, RouterLog
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.testing import read, simulator

CHANGED = """
[scenario]
spec = "firmbanking"
on_miss = "forward:ADDRESS"

[[rule]]
match = 'msg=transfer.request and f.company_number=COMPANY1 and f.message_number=NUMBER1'
reply = { recorded = "live.tgcap.jsonl", exchange = "EXCHANGE1", response_code = "0051" }

[[rule]]
match = 'msg=transfer.request and f.company_number=COMPANY2 and f.message_number=NUMBER2'
reply = { recorded = "live.tgcap.jsonl", exchange = "EXCHANGE2", amount = "1" }
"""


class Captured(story.Story):
    """The demo until all that the kill left open is cleared up, under capture."""

    async def _scenes(self, nursery: trio.Nursery, router: Child, log: RouterLog, first: Child, first_port: int) -> story.Record:
        await log.first("started")
        await start(self._folder)
        return await super()._scenes(nursery, router, log, first, first_port)

    async def _inquire(self, companies: Any, held: Any) -> None:
        await super()._inquire(companies, held)
        self.captured = await stop(self._folder)

    async def _return(self, log: RouterLog, port: int, companies: Any) -> Child:
        first, _ = await self._host("transfer-1", port)
        return first


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(story, "CONFIG", story.CONFIG + '\n[admin]\nsocket = "admin.sock"\n')
        patch.setattr(story, "CALM", 20)
        patch.setattr(story, "NOTICES", 3)
        told = Captured(folder, lambda _: None, lambda _, __: None)
        trio.run(told.run)
    return folder / "live.tgcap.jsonl", told.captured


async def replay(capture: Path, address: object, *more: str) -> tuple[int, dict[str, Any]]:
    """In a process of its own. Nothing is rewritten, so that a simulator knows every request."""
    arguments = [
        "replay",
        str(capture),
        "--to",
        str(address),
        "--pace",
        "max",
        "--window",
        "20",
        "--no-rewrite",
        "--quiet",
        "--json",
        *more,
    ]
    run = partial(trio.run_process, [sys.executable, "-m", "telegram_router", *arguments], check=False, capture_stdout=True)
    with trio.fail_after(30):
        ended: subprocess.CompletedProcess[bytes] = await run()
    return ended.returncode, json.loads(ended.stdout)


def exchanges(capture: Path, leg: str) -> dict[str, list[bytes]]:
    """Frames by exchange, of what was asked by those who connect, or of hosts."""
    kept = list(CaptureReader(capture))
    legs = {record["c"]: record["leg"] for record in kept if record["k"] == "open"}
    found: dict[str, list[bytes]] = {}
    for record in kept:
        if record["k"] == "m" and legs[record["c"]] == leg and record.get("x"):
            found.setdefault(record["x"], []).append(record["raw"])
    return found


def test_all_of_the_demo_is_captured_behind_its_tls(captured: tuple[Path, dict[str, Any]]):
    capture, seen = captured
    assert seen["left_out"] == 0 and seen["why"] == ""
    reader = CaptureReader(capture)
    assert sum(record["k"] == "m" for record in reader) == seen["telegrams"] > 500
    assert reader.findings.closed_cleanly and not reader.findings.damaged


async def test_the_demo_replayed_against_its_simulated_host_differs_in_nothing(captured: tuple[Path, dict[str, Any]]):
    capture, _ = captured
    unanswered = [frames for frames in exchanges(capture, "back").values() if len(frames) == 1]
    async with simulator(capture, sockets=True) as host:
        code, told = await replay(capture, host.address)
        assert (code, told["sums_up"]) == (0, True)
        assert told["buckets"]["same"] == told["planned"] > 200
        code, told = await replay(capture, host.address, "--leg", "back")
        assert (code, told["sums_up"]) == (0, True)
        assert unanswered
        assert told["buckets"] == dict.fromkeys(told["buckets"], 0) | {
            "same": told["planned"] - len(unanswered),
            "baseline_missing": len(unanswered),
        }


async def test_one_other_response_code_and_one_other_amount_are_the_two_differences(captured: tuple[Path, dict[str, Any]]):
    capture, _ = captured
    text = CHANGED
    for place, (exchange, request) in enumerate(done(capture), 1):
        text = text.replace(f"EXCHANGE{place}", exchange).replace(f"COMPANY{place}", request["company_number"])
        text = text.replace(f"NUMBER{place}", request["message_number"])
    async with simulator(capture, sockets=True) as known:
        scenario = capture.with_name("changed.toml")
        scenario.write_text(text.replace("ADDRESS", str(known.address)))
        async with simulator(scenario, sockets=True) as host:
            code, told = await replay(capture, host.address)
    assert code == 1
    assert told["buckets"] == dict.fromkeys(told["buckets"], 0) | {"same": told["planned"] - 2, "different": 2}
    found = {each["exchange"]: [field["field"] for field in each["differences"]] for each in told["exchanges"]}
    (first, _), (second, _) = done(capture)
    assert found == {first: ["header.response_code"], second: ["body.amount"]}


def done(capture: Path) -> Sequence[tuple[str, Any]]:
    """The first two transfers that were answered well, with their exchanges."""
    spec = read("firmbanking")
    found = []
    for exchange, frames in exchanges(capture, "front").items():
        message = spec.message_of(frames[0])
        if message is not None and message.name == "transfer.request" and len(frames) == 2:
            request, answer = (spec.decode(frame) for frame in frames)
            found += [(exchange, request)] if answer["response_code"] == "0000" else []
    return found[:2]
