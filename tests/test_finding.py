"""`find`: what became of number 17, in files that are written, put aside or compressed."""

from __future__ import annotations

import gzip
import json
import os
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main
from telegram_router.cli.finding import DELIVERIES, MEANINGS, Wanted, files_of, lines_with, meaning, search
from telegram_router.ops.records import hashed
from telegram_router.routing.ended import RESULTS

CONFIG = '[listeners.b]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n'


def record(number: int, result: str = "ok", delivery: str = "answered", ts: str = "2026-03-02T01:00:00.000000Z", **more: Any) -> str:
    key = {"message_number": f"{number:06}", "company_number": "C001"}
    return json.dumps(
        {"ts": ts, "result": result, "delivery": delivery, "message": "transfer.request", "key": key, **more}, separators=(",", ":")
    )


def find(folder: Path, *arguments: str, table: str = '[access]\nfile = "access.jsonl"\n') -> Result:
    (folder / "router.toml").write_text(CONFIG + table, encoding="utf-8")
    return CliRunner().invoke(main, ["find", "--config", str(folder / "router.toml"), *arguments])


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def test_a_failure_is_shown_with_what_it_means_for_the_money(tmp_path: Path):
    write(
        tmp_path / "access.jsonl",
        record(16),
        record(
            17, "timeout", "sent_unknown", code="E-BCK-05", listener="branches", session="branches#3", user="bank-a", address="10.9.9.9",
            route="transfer", service="core", backend="10.0.0.1:9100", link="core#1", answer_ms=30000.0, trace="ab" * 16,
        ),
        record(170),
    )  # fmt: skip
    shown = find(tmp_path, "17")
    assert shown.exit_code == 0, shown.output
    for text in (
        "message_number 000017", "branches#3 at branches (bank-a, 10.9.9.9)", "core, 10.0.0.1:9100, core#1, by the route transfer",
        "timeout, E-BCK-05: no answer in time", "sent_unknown: it may have been carried out or not", "never send it again", "30000.0 ms",
        "ab" * 16, "1 record\n",
    ):  # fmt: skip
        assert text in shown.output, shown.output
    assert "000016" not in shown.output and "000170" not in shown.output


def test_nothing_found_is_exit_code_1_and_says_where_it_was_looked_for(tmp_path: Path):
    write(tmp_path / "access.jsonl", record(17))
    shown = find(tmp_path, "18")
    assert shown.exit_code == 1 and "no record of it in 1 file\n" in shown.output
    sampled = find(tmp_path, "18", table='[access]\nfile = "access.jsonl"\nsample_ok = 0.1\n')
    assert sampled.exit_code == 1 and "does not say that it failed" in sampled.output


def test_files_that_were_put_aside_or_compressed_are_looked_into_oldest_first(tmp_path: Path):
    with gzip.open(tmp_path / "access.jsonl.20260301T000000.gz", "wb") as oldest:
        oldest.write(record(17, trace="first").encode() + b"\n")
    write(tmp_path / "access.jsonl.20260302T000000", record(17, trace="second"))
    write(tmp_path / "access.jsonl", record(17, trace="third"))
    for age, name in ((200, "access.jsonl.20260301T000000.gz"), (100, "access.jsonl.20260302T000000"), (300, "access.jsonl")):
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    shown = find(tmp_path, "17", "--json")
    assert [json.loads(line)["trace"] for line in shown.output.splitlines()] == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("arguments", "traces"),
    [
        (["17"], ["a", "b"]),
        (["000017"], ["a", "b"]),
        (["C001"], ["a", "b", "c"]),
        (["c"], ["c"]),
        (["--field", "header.message_number=17"], ["a", "b"]),
        (["--field", "message_number=17", "--field", "company_number=C001"], ["a", "b"]),
        (["--field", "message_number=17", "--field", "company_number=C002"], []),
        (["17", "--date", "2026-03-03"], ["b"]),
        (["7"], []),
    ],
)
def test_what_may_be_asked_for(tmp_path: Path, arguments: list[str], traces: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    write(tmp_path / "access.jsonl", record(17, trace="a"), record(17, trace="b", ts="2026-03-03T10:00:00.000000Z"), record(18, trace="c"))
    shown = find(tmp_path, "--json", *arguments)
    assert [json.loads(line)["trace"] for line in shown.stdout.splitlines()] == traces
    assert shown.exit_code == (0 if traces else 1)
    monkeypatch.undo()
    time.tzset()


def test_a_day_is_one_of_this_machine_s_time_zone():
    first, last = Wanted("17", {}, date(2026, 3, 2)).span()
    begin = datetime(2026, 3, 2).astimezone(UTC)
    assert first == begin.strftime("%Y-%m-%dT%H:%M:%S") < "2026-03-02T23" and first < last


def test_a_field_that_is_not_clear_is_found_by_its_hash(tmp_path: Path):
    (tmp_path / "secret").write_text("0123456789abcdef")
    (tmp_path / "secret").chmod(0o600)
    line = json.dumps(
        {"ts": "2026-03-02T01", "result": "ok", "key": {"account": hashed("0017", b"0123456789abcdef")}}, separators=(",", ":")
    )
    write(tmp_path / "access.jsonl", line)
    table = '[access]\nfile = "access.jsonl"\nkey_file = "secret"\n'
    assert find(tmp_path, "17", table=table).exit_code == 0
    assert find(tmp_path, "--field", "account=17", table=table).exit_code == 0
    assert find(tmp_path, "18", table=table).exit_code == 1
    assert find(tmp_path, "17").exit_code == 1


def test_damaged_lines_and_files_are_passed_over(tmp_path: Path):
    path = tmp_path / "access.jsonl"
    path.write_bytes(b'{"ts":"2026","key":{"n":"17"}\n[1,"17"]\n"17"\n' + record(17).encode() + b'\n{"ts":"2026-03","key":{"n":"17"')
    whole = gzip.compress(record(17).encode() + b"\n")
    (tmp_path / "access.jsonl.1.gz").write_bytes(whole[:-9])
    (tmp_path / "access.jsonl.2.gz").write_bytes(b"no gzip")
    shown = find(tmp_path, "17")
    assert shown.exit_code == 0 and "Traceback" not in shown.output
    assert "record" in shown.output.splitlines()[-1]


def test_a_given_file_needs_no_configuration(tmp_path: Path):
    write(tmp_path / "other.jsonl", record(17))
    assert CliRunner().invoke(main, ["find", "17", "--file", str(tmp_path / "other.jsonl")]).exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["0"], ["--field", "a"], ["--field", "=1"], ["--field", "a=000"]])
def test_nothing_to_look_for_is_wrong_usage(tmp_path: Path, arguments: list[str]):
    assert find(tmp_path, *arguments).exit_code == 2


def test_a_configuration_without_records_says_so(tmp_path: Path):
    shown = find(tmp_path, "17", table="")
    assert shown.exit_code == 1 and "no [access] table" in shown.output
    assert find(tmp_path, "17", table='[access]\nfile = "-"\n').exit_code == 1


def test_lines_are_found_whole_wherever_the_pieces_of_a_file_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = tmp_path / "a"
    lines = [record(number) for number in range(200)]
    write(path, *lines)
    for size in (1, 7, 100, 1000, 1 << 20):
        monkeypatch.setattr("telegram_router.cli.finding.CHUNK", size)
        with path.open("rb") as stream:
            assert list(lines_with(stream, [b'17"', b'000018"'])) == [lines[17].encode(), lines[18].encode(), lines[117].encode()]


def test_a_file_that_goes_while_it_is_looked_for_is_passed_over(tmp_path: Path):
    write(tmp_path / "b", record(17))
    found = search([tmp_path / "gone", tmp_path / "b"], Wanted("17", {}, None))
    assert len(list(found)) == 1 and files_of(tmp_path / "nothing") == []


def test_every_result_and_delivery_has_a_meaning():
    for result in RESULTS:
        for delivery in DELIVERIES:
            assert meaning({"result": result, "delivery": delivery}), (result, delivery)
        assert "carried out or not" in meaning({"result": result, "delivery": "sent_unknown"})
    assert set(MEANINGS) <= set(RESULTS)
    assert meaning({"result": "late_reply"}) and meaning({"result": "client_closed", "delivery": "not_sent"}) == DELIVERIES["not_sent"]


def test_two_hundred_thousand_lines_take_a_second_at_most(tmp_path: Path):
    path = tmp_path / "access.jsonl"
    block = "".join(record(number, trace="f" * 32, session="branches#12", service="core") + "\n" for number in range(100_000, 110_000))
    with path.open("w") as stream:
        for _ in range(20):
            stream.write(block)
        stream.write(record(17) + "\n")
    began = time.process_time()
    assert len(list(search([path], Wanted("17", {}, None)))) == 1
    assert time.process_time() - began < 1.0
