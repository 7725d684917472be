"""Capture files: what was flushed is read again, whatever happened to the file behind it."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_records import CaptureError, Record
from telegram_router.storage.capture_writer import CaptureWriter, Rotation

HEAD = records.head(t0=1_790_000_000_123_456_789, source="proxy", spec="firmbanking", seed="7")


def some_records(count: int = 3, size: int = 20) -> Iterator[Record]:
    yield records.opened(0, "c1", leg="front", peer="10.0.0.1:40000", local="10.0.0.2:9000", tls={"v": "1.3", "sni": "core"})
    for number in range(count):
        yield records.telegram(number * 1_000_003, "c1", ">", bytes([number % 256]) * size, x=f"x{number}", msg="transfer.request")
    yield records.gap(count * 1_000_003, "c1", ">", offset=64, size=None, lost=1)
    yield records.junk(count * 1_000_003, "c1", "<", b"\x00\xff", err="E-FRM-01")
    yield records.note(count * 1_000_003, "점심 시간")
    yield records.closed(count * 1_000_003 + 1, "c1", by=">", how="fin")


def written(target: Path | io.BytesIO, every: list[Record], *, close: bool = True, **more: object) -> CaptureWriter:
    writer = CaptureWriter(target, HEAD, **more)  # type: ignore[arg-type]
    for record in every:
        writer.write(record)
    writer.flush()
    if close:
        writer.close()
    return writer


def read(source: Path | bytes) -> tuple[list[Record], CaptureReader]:
    reader = CaptureReader(source if isinstance(source, Path) else io.BytesIO(source))
    return list(reader), reader


def without_numbers(every: list[Record]) -> list[Record]:
    return [{key: value for key, value in record.items() if key != "n"} for record in every]


@pytest.mark.parametrize("payload", ["base64", "hex"])
@pytest.mark.parametrize("name", ["a.tgcap.jsonl", "a.tgcap.jsonl.gz"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str, payload: records.Payload):
    every = list(some_records())
    writer = CaptureWriter(tmp_path / name, HEAD | {"payload": payload})
    assert [writer.write(record) for record in every] == [0, 1, 2, 3, 0, 0, 0, 0]
    writer.close()
    found, reader = read(tmp_path / name)
    assert without_numbers(found) == without_numbers(every)
    assert [record["n"] for record in found if record["k"] == "m"] == [1, 2, 3]
    assert reader.findings.closed_cleanly and not reader.findings.damaged and reader.head["t0"] == HEAD["t0"]
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_the_file_is_what_the_specification_shows(tmp_path: Path):
    written(tmp_path / "a.tgcap.jsonl", list(some_records(1)))
    head, opened, telegram, gap, _, note, closed, end = map(json.loads, (tmp_path / "a.tgcap.jsonl").read_text("utf-8").splitlines())
    assert (head["k"], head["v"], head["t0"]) == ("head", 1, 1_790_000_000_123_456_789)
    assert (opened["leg"], opened["tls"]["v"], opened["syn"]) == ("front", "1.3", True)
    assert telegram == {
        "k": "m", "n": 1, "t": 0, "c": "c1", "d": ">", "len": 20, "raw": "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "x": "x0", "msg": "transfer.request",
    }  # fmt: skip
    assert (gap["bytes"], note["text"], closed["how"]) == (None, "점심 시간", "fin")
    assert (end["records"], end["by_msg"]) == (7, {"transfer.request": 1}) and len(end["sha256"]) == 64


@pytest.fixture(scope="module")
def whole() -> bytes:
    out = io.BytesIO()
    written(out, list(some_records(6)))
    return out.getvalue()


def test_a_file_cut_at_any_byte_gives_every_line_that_is_whole(whole: bytes):
    expected = read(whole)[0]
    head = whole.index(b"\n") + 1
    for cut in range(head, len(whole)):
        found, reader = read(whole[:cut])
        lines = whole[:cut].count(b"\n") - 1
        assert found == expected[:lines]
        assert not reader.findings.closed_cleanly and not reader.findings.damaged


def test_a_gzipped_file_cut_at_any_byte_gives_what_was_flushed():
    out = io.BytesIO()
    writer = CaptureWriter(out, HEAD, compress=True)
    flushed: list[tuple[int, int]] = []
    for number, record in enumerate(some_records(6), 1):
        writer.write(record)
        writer.flush()
        flushed.append((len(out.getvalue()), number))
    writer.close()
    data = out.getvalue()
    expected = read(gzip.decompress(data))[0]
    for cut in range(flushed[0][0], len(data)):
        safe = max(number for size, number in flushed if size <= cut)
        found, reader = read(data[:cut])
        assert found == expected[: len(found)] and len(found) >= safe
        assert not reader.findings.damaged


def test_gzipped_data_that_are_damaged_are_read_up_to_there_and_told(whole: bytes):
    data = bytearray(gzip.compress(whole, mtime=0))
    data[len(data) * 2 // 3] ^= 0x55
    found, reader = read(bytes(data))
    assert reader.findings.damaged and found and found == read(whole)[0][: len(found)]
    with pytest.raises(CaptureError) as caught:
        read(bytes(data[:10]) + b"\x07" * 60)
    assert caught.value.code == "E-CAP-01" and "damaged" in caught.value.what


def test_a_changed_a_lost_and_an_added_line_are_noticed(whole: bytes):
    lines = whole.splitlines(keepends=True)
    for damaged in (
        [*lines[:3], lines[3].replace(b'"t":', b'"t":1'), *lines[4:]],
        [*lines[:3], *lines[4:]],
        [*lines[:3], lines[2], *lines[3:]],
        [*lines, lines[3]],
    ):
        assert read(b"".join(damaged))[1].findings.damaged


def test_a_line_that_is_no_json_is_left_out_and_the_rest_is_read(whole: bytes):
    lines = whole.splitlines(keepends=True)
    found, reader = read(b"".join([*lines[:3], b'{"k":"m","raw":\n', *lines[3:]]))
    assert found == read(whole)[0]
    assert reader.findings.damaged and ":4: the line cannot be read" in reader.findings.problems[0]


def test_unknown_kinds_are_skipped_and_counted_and_unknown_keys_are_kept(whole: bytes):
    head, *rest = whole.splitlines(keepends=True)
    more = [head, b'{"k":"weather","sky":"blue"}\n', rest[0].replace(b"{", b'{"colour":"red",', 1)]
    found, reader = read(b"".join(more))
    assert reader.findings.skipped == 1 and found[0]["colour"] == "red"
    assert [each["k"] for each in CaptureReader(io.BytesIO(b"".join(more)), everything=True)] == ["weather", "open"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "E-CAP-02"),
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(40), "E-CAP-01"),
        (b"PK\x03\x04", "E-CAP-01"),
        (b'{"k":"m"}\n', "E-CAP-01"),
        (b'{"k":"head","v":2,"t0":1}\n', "E-CAP-03"),
        (b'{"k":"head","v":1}\n', "E-CAP-01"),
        (b"[1]\n", "E-CAP-01"),
        (gzip.compress(b""), "E-CAP-02"),
    ],
    ids=["empty", "pcap", "zip", "no head", "newer", "no t0", "array", "empty gzip"],
)
def test_what_is_no_capture_is_refused_at_once_with_advice(data: bytes, code: str):
    with pytest.raises(CaptureError) as caught:
        CaptureReader(io.BytesIO(data))
    assert caught.value.code == code
    assert "pcap" not in str(caught.value) and (data[:1] != b"\xd4" or "capture import" in str(caught.value))


def test_every_file_of_a_rotation_can_be_read_alone_and_numbers_go_on(tmp_path: Path):
    writer = written(tmp_path / "a.tgcap.jsonl", list(some_records(400, 600)), rotation=Rotation(size=200_000))
    assert [path.name for path in writer.paths] == ["a.tgcap.jsonl", "a-2.tgcap.jsonl"]
    numbers: list[int] = []
    for path in writer.paths:
        found, reader = read(path)
        assert found[0]["k"] == "open" and reader.findings.closed_cleanly and not reader.findings.damaged
        numbers += [record["n"] for record in found if record["k"] == "m"]
    assert numbers == list(range(1, 401))


def test_files_are_named_after_the_time_that_they_begin_at(tmp_path: Path):
    every = [records.telegram(minute * 60_000_000_000, "c1", ">", b"x") for minute in (0, 30, 61, 62, 130)]
    writer = written(tmp_path / "day-%H%M.tgcap.jsonl", every, rotation=Rotation(age=3600.0))
    assert [path.name for path in writer.paths] == ["day-2313.tgcap.jsonl", "day-0014.tgcap.jsonl", "day-0123.tgcap.jsonl"]


def test_a_finished_capture_is_never_replaced(tmp_path: Path):
    path = tmp_path / "a.tgcap.jsonl"
    assert [written(path, list(some_records(count))).paths[0].name for count in (1, 2, 3)] == [
        "a.tgcap.jsonl", "a-2.tgcap.jsonl", "a-3.tgcap.jsonl",
    ]  # fmt: skip
    assert len(read(path)[0]) == 6


def test_a_killed_writer_leaves_a_file_that_opens(tmp_path: Path):
    path = tmp_path / "a.tgcap.jsonl"
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from telegram_router.storage import capture_records as r; from telegram_router.storage.capture_writer import CaptureWriter\n"
        "w = CaptureWriter(Path(sys.argv[1]), r.head(t0=1, source='proxy'))\n"
        "for n in range(5000): w.write(r.telegram(n, 'c1', '>', b'x' * 300))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert not path.exists()
    found, reader = read(path)  # it is found by the name that it would have got
    assert [record["n"] for record in found] == list(range(1, len(found) + 1)) and len(found) > 4000
    assert not reader.findings.closed_cleanly and not reader.findings.damaged


def test_a_folder_that_nobody_may_write_to_is_told_at_once(tmp_path: Path):
    with pytest.raises(CaptureError) as caught:
        CaptureWriter(tmp_path / "nowhere" / "a.tgcap.jsonl", HEAD)
    assert caught.value.code == "E-CAP-05" and "nowhere" in str(caught.value)


def test_a_full_disk_is_told_and_what_was_written_stays():
    with open("/dev/full", "wb", buffering=0) as full:
        writer = CaptureWriter(full, HEAD)
        writer.write(records.note(0, "x"))
        with pytest.raises(CaptureError) as caught:
            writer.flush()
    assert caught.value.code == "E-CAP-05" and os.strerror(28) in str(caught.value)


frames = st.binary(max_size=64)
times = st.integers(0, 2**62)


@given(st.lists(st.tuples(times, frames, st.sampled_from("<>"))))
def test_any_telegrams_come_back_byte_for_byte_and_to_the_nanosecond(every: list[tuple[int, bytes, records.Direction]]):
    out = io.BytesIO()
    written(out, [records.telegram(t, "c1", d, frame) for t, frame, d in every])
    found, reader = read(out.getvalue())
    assert [(record["t"], record["raw"], record["d"]) for record in found] == every and reader.findings.closed_cleanly
