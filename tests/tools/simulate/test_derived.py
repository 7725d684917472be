"""A scenario derived from a capture answers as the capture did, in its shares, and shows no values."""

from __future__ import annotations

import tomllib
from pathlib import Path

from click.testing import CliRunner
from running_router import answer_to, betrayed, spec_named, telegram, transfer

from telegram_router.cli import main
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.testing import simulator
from telegram_router.tools.simulate.derived import scenario_text


def day(path: Path) -> Path:
    """Twenty transfers: fourteen done, four refused with a code, two never answered; a router's copies among them. One balance."""
    writer = CaptureWriter(path, records.head(t0=0, source="router", spec="firmbanking"))
    writer.write(records.opened(0, "bank", leg="front", peer="10.0.0.1:40000", local="companies"))
    writer.write(records.opened(0, "core", leg="back", peer="10.0.0.2:9000", local="core"))
    for number in range(20):
        frame = transfer(number + 1)
        passed = [(frame, ">"), (answer_to(frame, "0000" if number < 14 else "VTIM"), "<")][: 2 if number < 18 else 1]
        for raw, d in passed:
            for connection in ("bank", "core") if d == ">" else ("core", "bank"):
                writer.write(records.telegram(number, connection, d, raw, x=f"x{number}"))  # type: ignore[arg-type]
    writer.write(records.telegram(30, "bank", ">", telegram("balance.request", number=99), x="x99"))
    writer.close()
    return path


def test_the_shares_of_answers_become_rates_and_no_value_is_in_the_text(tmp_path: Path):
    text = "".join(scenario_text(spec_named("firmbanking"), CaptureReader(day(tmp_path / "day.tgcap.jsonl")), "day.tgcap.jsonl"))
    rules = tomllib.loads(text)["rule"]
    assert [(rule["name"], rule.get("rate"), "reply" in rule) for rule in rules] == [
        ("balance.request: no answer", None, False),
        ("transfer.request: no answer", 0.1, False),
        ("transfer.request: response_code VTIM", 0.222222, True),
        ("transfer.request: response_code 0000", None, True),
    ]
    assert (rules[2]["reply"]["exchange"], rules[3]["reply"]["exchange"]) == ("x14", "x0")
    assert not betrayed(text)


async def test_it_answers_with_the_values_of_the_new_request(tmp_path: Path):
    day(tmp_path / "day.tgcap.jsonl")
    out = tmp_path / "core.toml"
    made = CliRunner().invoke(main, ["capture", "convert", str(tmp_path / "day.tgcap.jsonl"), "--to", "scenario", "-w", str(out)])
    assert made.exit_code == 0, made.output
    out.write_text(out.read_text().replace("rate = 0.100000", "rate = 0.0").replace("rate = 0.222222", "rate = 0.0"))
    async with simulator(out) as host:
        caller = await host.connect()
        asked = transfer(777, amount=4_321)
        await caller.send(asked)
        answer = await caller.receive()
    assert answer == answer_to(asked)


def test_it_needs_a_file_and_a_spec(tmp_path: Path):
    CaptureWriter(tmp_path / "a.tgcap.jsonl", records.head(t0=0, source="proxy")).close()
    for file in (str(tmp_path / "a.tgcap.jsonl"), "-"):
        given = (tmp_path / "a.tgcap.jsonl").read_bytes() if file == "-" else None
        refused = CliRunner().invoke(main, ["capture", "convert", file, "--to", "scenario"], input=given)
        assert refused.exit_code == 2 and "A scenario n" in refused.stderr
