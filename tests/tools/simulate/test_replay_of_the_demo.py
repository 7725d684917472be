"""The whole circle: the demo is captured at the router behind its TLS, simulated from the capture, and replayed against that."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from played_demo import DemoRun

from telegram_router.cli import main
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.testing import read, simulator
from telegram_router.written import Address

CHANGED = """
[scenario]
spec = "firmbanking"
on_miss = "forward:ADDRESS"

[[rule]]
match = 'msg=transfer.request and f.company_number=COMPANY1 and f.message_number=NUMBER1'
reply = { recorded = "CAPTURE", exchange = "EXCHANGE1", response_code = "0051" }

[[rule]]
match = 'msg=transfer.request and f.company_number=COMPANY2 and f.message_number=NUMBER2'
reply = { recorded = "CAPTURE", exchange = "EXCHANGE2", amount = "1" }
"""


@pytest.fixture(scope="module")
def capture(demo_run: DemoRun) -> Path:
    return demo_run.folder / "demo.tgcap.jsonl"


@contextmanager
def simulated(scenario: Path) -> Iterator[Address]:
    """A simulator in a thread of its own, as commands have a trio of their own."""
    there: list[Address] = []
    listens = threading.Event()
    over = trio.Event()

    async def run() -> None:
        async with simulator(scenario, sockets=True) as host:
            there.extend([host.address])
            tokens.append(trio.lowlevel.current_trio_token())
            listens.set()
            await over.wait()

    tokens: list[trio.lowlevel.TrioToken] = []
    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    try:
        assert listens.wait(10)
        yield there[0]
    finally:
        tokens[0].run_sync_soon(over.set)
        thread.join()


def replay(capture: Path, address: Address, *more: str) -> tuple[int, dict[str, Any]]:
    """Nothing is rewritten, so that a simulator knows every request."""
    how = ("--pace", "max", "--window", "20", "--no-rewrite", "--quiet", "--json")
    ended = CliRunner().invoke(main, ["replay", str(capture), "--to", str(address), *how, *more])
    return ended.exit_code, json.loads(ended.stdout)


def exchanges(capture: Path, leg: str) -> dict[str, list[bytes]]:
    """Frames by exchange, of what was asked by those who connect, or of hosts."""
    kept = list(CaptureReader(capture))
    legs = {record["c"]: record["leg"] for record in kept if record["k"] == "open"}
    found: dict[str, list[bytes]] = {}
    for record in kept:
        if record["k"] == "m" and legs[record["c"]] == leg and record.get("x"):
            found.setdefault(record["x"], []).append(record["raw"])
    return found


def test_all_of_the_demo_is_captured_behind_its_tls(capture: Path):
    reader = CaptureReader(capture)
    assert sum(record["k"] == "m" for record in reader) > 2000
    assert reader.findings.closed_cleanly and not reader.findings.damaged
    assert not any(record["k"] == "note" for record in CaptureReader(capture))  # nothing was left out


def test_the_demo_replayed_against_its_simulated_host_differs_in_nothing(capture: Path, demo_run: DemoRun):
    unanswered = [frames for frames in exchanges(capture, "back").values() if len(frames) == 1]
    with simulated(capture) as address:
        code, told = replay(capture, address)
        assert (code, told["sums_up"]) == (0, True)
        assert told["buckets"]["same"] == told["planned"] > 600
        code, told = replay(capture, address, "--leg", "back")
        assert (code, told["sums_up"]) == (0, True)
        assert 0 < len(unanswered) == demo_run.stdout.count("VTIM  sent_unknown")  # in the hands of the host that was killed
        assert told["buckets"] == dict.fromkeys(told["buckets"], 0) | {
            "same": told["planned"] - len(unanswered),
            "baseline_missing": len(unanswered),
        }


def test_one_other_response_code_and_one_other_amount_are_the_two_differences(capture: Path, tmp_path: Path):
    text = CHANGED.replace("CAPTURE", str(capture))
    for place, (exchange, request) in enumerate(done(capture), 1):
        text = text.replace(f"EXCHANGE{place}", exchange).replace(f"COMPANY{place}", request["company_number"])
        text = text.replace(f"NUMBER{place}", request["message_number"])
    with simulated(capture) as known:
        scenario = tmp_path / "changed.toml"
        scenario.write_text(text.replace("ADDRESS", str(known)), "utf-8")
        with simulated(scenario) as address:
            code, told = replay(capture, address)
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
