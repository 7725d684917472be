"""The commands on captures as people meet them: what they print, what they write, how they end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_writer import CaptureWriter

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "specs" / "samples" / "firmbanking"
SECOND = 1_000_000_000


def call(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["capture", *map(str, arguments)], input=given, prog_name="telegram-router")


def sample(message: str) -> bytes:
    return (SAMPLES / f"{message}.telegram").read_bytes()


def numbered(frame: bytes, number: int) -> bytes:
    return frame[:36] + b"%06d" % number + frame[42:]


def day(path: Path, count: int = 3, *, t0: int = 1_700_000_000 * SECOND, close: bool = True, answered: Sequence[int] = (0, 1)) -> Path:
    """Transfers a second apart, answered after 25 ms."""
    writer = CaptureWriter(path, records.head(t0=t0, source="proxy", spec="firmbanking"))
    writer.write(records.opened(0, "c1", leg="front", peer="10.0.0.1:40000", local="10.0.0.2:9000"))
    for number in range(count):
        at = number * SECOND
        for message, d, later in (("transfer.request", ">", 0), ("transfer.response", "<", 25_000_000)):
            if d == ">" or number in answered:
                frame = numbered(sample(message), number + 1)
                writer.write(records.telegram(at + later, "c1", d, frame, x=f"x{number}", msg=message))  # type: ignore[arg-type]
    writer.write(records.closed(count * SECOND, "c1", by=">", how="fin"))
    writer.close()
    if not close:
        path.write_bytes(path.read_bytes()[:-100])
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return day(tmp_path / "day.tgcap.jsonl")


def test_show_lists_telegrams_with_their_key_and_how_long_the_answer_took(capture: Path):
    shown = call("show", capture)
    assert (shown.exit_code, shown.stderr) == (0, "")
    head, *lines = shown.stdout.splitlines()
    assert head.split() == ["number", "time", "from", "message", "key", "bytes", "exchange", "ms"]
    assert len(lines) == 5
    assert lines[1].split() == [
        "2",
        "07:13:20.025000",
        "c1",
        "<",
        "transfer.response",
        "TESTCO000001",
        "088",
        "20240315",
        "000001",
        "304",
        "x0",
        "25.000",
    ]


def test_show_shows_values_that_are_not_clear_only_when_asked(capture: Path):
    masked = call("show", capture, "--fields", "--limit", "1").stdout
    assert "body.amount" in masked and "1234500" in masked and "110123456789" not in masked and "홍길동" not in masked
    assert "110123456789" in call("show", capture, "--fields", "--limit", "1", "--show-values").stdout
    line = json.loads(call("show", capture, "--json", "--fields", "--limit", "1").stdout)
    assert "raw" not in line and line["f"]["body.withdrawal_account"] == "[12 characters]"


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("msg=transfer.request", 3),
        ("x=x1", 2),
        ("f.message_number=3", 1),
        ("f.amount>1000000 and d='>'", 3),
        ("f.amount>9000000", 0),
        ("not c=c1", 0),
    ],
)
def test_a_filter_chooses(capture: Path, wanted: str, count: int):
    assert len(call("show", capture, wanted).stdout.splitlines()) == count + 1


def test_a_filter_that_cannot_be_understood_says_where(capture: Path):
    refused = call("show", capture, "msg=")
    assert refused.exit_code == 2 and refused.stderr.startswith("E-CAP-06: a value was expected here; at msg=»")


def test_stat_counts_and_measures(capture: Path):
    found = json.loads(call("stat", capture, "--json").stdout)
    assert (found["telegrams"], found["answered"], found["unanswered"], found["connections"]) == (5, 2, 1, 1)
    assert found["messages"] == {"transfer.request": 3, "transfer.response": 2}
    assert found["latency"]["transfer.request"]["max_ms"] == 25.0
    assert "2 requests answered, 1 not" in call("stat", capture).stdout


def test_diff_says_whether_two_captures_are_the_same_and_where_not(tmp_path: Path, capture: Path):
    again, later = day(tmp_path / "again.tgcap.jsonl"), day(tmp_path / "later.tgcap.jsonl", t0=1_700_000_009 * SECOND)
    assert call("diff", capture, again).exit_code == 0
    assert call("diff", capture, later).exit_code == 1
    assert call("diff", capture, later, "--ignore-time").output == "the same: 8 records\n"
    other = tmp_path / "other.tgcap.jsonl"
    writer = CaptureWriter(other, CaptureReader(capture).head)
    for record in CaptureReader(capture):
        if record["k"] == "m" and record["n"] == 2:
            record["raw"] = record["raw"][:100] + b"9" + record["raw"][101:]
        if record["k"] != "close":
            writer.write(record)
    writer.close()
    told = call("diff", capture, other, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["differences"] == [
        {"number": 4, "kinds": ["m", "m"], "keys": ["raw"], "byte": 100},
        {"number": 8, "kinds": ["close", ""], "keys": [], "byte": None},
    ]
    shown = call("diff", capture, other)
    assert shown.stdout.splitlines()[0] == "2 records are different" and "100" in shown.stdout
    assert call("diff", capture, tmp_path / "none.tgcap.jsonl").exit_code == 2
    cut = call("diff", capture, day(tmp_path / "cut.tgcap.jsonl", close=False))
    assert cut.exit_code == 0 and "not closed cleanly" in cut.stderr


def test_verify_tells_whole_from_readable_from_damaged(tmp_path: Path, capture: Path):
    assert call("verify", capture).stdout.startswith(f"{capture}: whole, 8 records, 0 gaps, 0 telegrams that break their spec")
    torn = day(tmp_path / "torn.tgcap.jsonl", close=False)
    readable = call("verify", torn)
    assert readable.exit_code == 0 and "readable" in readable.stdout and "not closed cleanly" in readable.stderr
    assert call("verify", torn, "--strict").exit_code == 5
    bad = tmp_path / "bad.tgcap.jsonl"
    bad.write_bytes(capture.read_bytes().replace(b'"t":0', b'"t":1'))
    damaged = call("verify", bad, capture, "--json")
    assert damaged.exit_code == 5 and [each["damaged"] for each in json.loads(damaged.stdout)] == [1, 0]


def test_verify_finds_telegrams_that_break_their_spec(tmp_path: Path):
    path = tmp_path / "odd.tgcap.jsonl"
    writer = CaptureWriter(path, records.head(t0=0, source="proxy", spec="firmbanking"))
    writer.write(records.telegram(0, "c1", ">", sample("transfer.request").replace(b"1234500", b"12345x0", 1)))
    writer.close()
    assert "1 telegrams that break their spec" in call("verify", path).stdout


def test_merge_puts_captures_in_the_order_of_their_times(tmp_path: Path, capture: Path):
    later = day(tmp_path / "later.tgcap.jsonl", t0=1_700_000_000 * SECOND + SECOND // 2)
    out = tmp_path / "both.tgcap.jsonl"
    merged = call("merge", later, capture, "-w", out)
    assert merged.exit_code == 0 and f"10 telegrams of 2 captures in {out}" in merged.stderr
    found = list(CaptureReader(out).telegrams())
    assert [record["t"] for record in found] == sorted(record["t"] for record in found)
    assert [(record["n"], record["c"], record["x"]) for record in found[:4]] == [
        (1, "2.c1", "2.x0"), (2, "2.c1", "2.x0"), (3, "1.c1", "1.x0"), (4, "1.c1", "1.x0"),
    ]  # fmt: skip


def test_captures_of_different_specs_are_not_merged(tmp_path: Path, capture: Path):
    other = tmp_path / "other.tgcap.jsonl"
    CaptureWriter(other, records.head(t0=0, source="proxy", spec="ksnet")).close()
    refused = call("merge", capture, other, "-w", tmp_path / "both.tgcap.jsonl")
    assert refused.exit_code == 2 and "E-CAP-07: they are of different specs" in refused.stderr


@pytest.mark.parametrize(
    ("by", "counts"),
    [("message", {"transfer.request": 3, "transfer.response": 2}), ("2", {"1": 2, "2": 2, "3": 1}), ("1s", {"1": 2, "2": 2, "3": 1})],
)
def test_split_takes_apart_and_loses_nothing(capture: Path, by: str, counts: dict[str, int]):
    split = call("split", capture, "--by", by)
    assert split.exit_code == 0
    names = {str(capture.with_name(f"day.{part}.tgcap.jsonl")): count for part, count in counts.items()}
    assert set(split.stdout.split()) == set(names)
    for name, count in names.items():
        reader = CaptureReader(Path(name))
        found = list(reader)
        assert sum(record["k"] == "m" for record in found) == count
        assert found[0]["k"] == "open" and found[-1]["k"] == "close" and reader.findings.closed_cleanly


def test_split_selects_whole_exchanges(capture: Path):
    split = call("split", capture, "--by", "connection", "--select", "f.message_number=2")
    (path,) = split.stdout.split()
    assert [record["x"] for record in CaptureReader(Path(path)).telegrams()] == ["x1", "x1"]


def test_a_csv_has_a_line_for_each_telegram_and_no_formula(capture: Path, tmp_path: Path):
    out = tmp_path / "day.csv"
    assert call("convert", capture, "--to", "csv", "-w", out).exit_code == 0
    lines = out.read_text("utf-8-sig").splitlines()
    assert len(lines) == 6 and lines[0].startswith("n,time,c,d") and "body.amount=1234500" in lines[1] and "110123456789" not in lines[1]


def test_what_is_no_capture_and_what_does_not_exist_are_told_in_one_line(tmp_path: Path):
    pcap = tmp_path / "day.pcap"
    pcap.write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(30))
    for command in ("show", "stat", "verify"):
        refused = call(command, pcap)
        assert refused.exit_code == 5 and "E-CAP-01" in refused.stderr and "capture import" in refused.stderr
        missing = call(command, tmp_path / "none")
        assert missing.exit_code == 2 and "E-CAP-04" in missing.stderr


def test_a_capture_is_read_from_stdin(capture: Path):
    assert json.loads(call("stat", "-", "--json", given=capture.read_bytes()).stdout)["telegrams"] == 5


def test_what_cannot_be_written_to_is_told(capture: Path):
    refused = call("convert", capture, "--to", "csv", "-w", "/nowhere/day.csv")
    assert refused.exit_code == 1 and "E-CAP-05: No such file or directory; at /nowhere/day.csv" in refused.stderr
    before = Path("/dev/full").stat().st_mode
    full = call("merge", capture, "-w", "/dev/full")
    assert full.exit_code == 1 and "No space left on device" in full.stderr
    assert Path("/dev/full").stat().st_mode == before and not Path("/dev/full-2").exists(), "a device is no file of ours"


@pytest.mark.parametrize("arguments", [("show",), ("split", "--by", "message", "--select")], ids=["show", "split"])
def test_a_filter_for_a_field_that_nothing_has_is_refused(capture: Path, arguments: tuple[str, ...]):
    refused = call(arguments[0], capture, *arguments[1:], "f.amuont>1")
    assert refused.exit_code == 2 and "firmbanking has no field amuont" in refused.stderr


def test_a_capture_read_by_another_spec_than_it_names_is_told(capture: Path):
    assert "the capture is of firmbanking, and read as ksnet" in call("show", capture, "--spec", "ksnet").stderr


def test_attach_ends_with_four_where_no_router_is(tmp_path: Path):
    refused = call("attach", "-w", tmp_path / "a.tgcap.jsonl", "--duration", "1s", "--admin", f"unix:{tmp_path / 'none.sock'}")
    assert refused.exit_code == 4 and "E-ADM-06" in refused.stderr
