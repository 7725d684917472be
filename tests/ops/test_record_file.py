"""The file of records: written by a thread, put aside when it is full, and never a reason to wait."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from telegram_router.ops import record_file
from telegram_router.ops.record_file import BACKLOG, RecordFile, RotatingFile, Rotation, Stream

ONE = b'{"n":1}\n'


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "REST", 0.001)


def test_lines_are_written_in_order_and_nobody_else_may_read_them(tmp_path: Path):
    file = RecordFile(RotatingFile(tmp_path / "a.jsonl", Rotation()), "records")
    assert all(file.put(b"%d\n" % number) for number in range(1000))
    file.close()
    assert (tmp_path / "a.jsonl").read_bytes() == b"".join(b"%d\n" % number for number in range(1000))
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600 and file.dropped == 0
    assert not file.put(ONE)
    file.close()


def test_a_full_file_is_put_aside_and_only_so_many_are_kept(tmp_path: Path):
    output = RotatingFile(tmp_path / "a.jsonl", Rotation(size=20, keep=2))
    for number in range(12):
        output.write(b"%010d\n" % number)
    output.close()
    aside = sorted(tmp_path.glob("a.jsonl.*"), key=lambda path: path.read_bytes())
    assert len(aside) == 2
    assert [line for path in [*aside, tmp_path / "a.jsonl"] for line in path.read_bytes().split()] == [b"%010d" % n for n in range(6, 12)]


def test_a_file_of_yesterday_is_put_aside_before_the_next_line(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(ONE)
    os.utime(path, (time.time() - 90_000,) * 2)
    output = RotatingFile(path, Rotation(daily=True))
    output.write(ONE)
    output.write(ONE)
    output.close()
    assert path.read_bytes() == ONE
    [aside] = tmp_path.glob("a.jsonl.*")
    assert aside.read_bytes() == ONE * 2, "the first line opened it; the second found it to be of another day"


def test_a_file_that_was_moved_away_is_opened_anew_when_that_is_said(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    file = RecordFile(RotatingFile(path, Rotation()), "records")
    file.put(b"1\n")
    until(lambda: path.exists() and path.read_bytes() == b"1\n")
    path.rename(tmp_path / "b.jsonl")
    file.reopen()
    file.put(b"2\n")
    file.close()
    assert (path.read_bytes(), (tmp_path / "b.jsonl").read_bytes()) == (b"2\n", b"1\n")


def until(holds: object) -> None:
    end = time.monotonic() + 3
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.001)


class Disk:
    """Takes what it is told to take."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.held.set()
        self.takes: Iterator[int | OSError] = iter(())
        self.got = b""
        self.opened = 0

    def write(self, data: bytes) -> int:
        self.held.wait()
        size = next(self.takes, len(data))
        if isinstance(size, OSError):
            raise size
        self.got += data[:size]
        return min(size, len(data))

    def reopen(self) -> None:
        self.opened += 1

    def close(self) -> None:
        pass


def test_a_slow_disk_costs_lines_and_never_time():
    disk = Disk()
    disk.held.clear()
    file = RecordFile(disk, "records")
    megabyte = b"x" * (2**20 - 1) + b"\n"
    began = time.monotonic()
    taken = [file.put(megabyte) for _ in range(BACKLOG // 2**20 + 3)]
    assert taken.count(True) == BACKLOG // 2**20 and time.monotonic() - began < 1
    disk.held.set()
    until(lambda: file.put(megabyte))
    file.close()
    assert len(disk.got) == BACKLOG + 2**20


def test_a_full_disk_costs_counted_lines_and_what_comes_later_begins_a_line():
    disk = Disk()
    disk.takes = iter([4, OSError(errno.ENOSPC, "No space left on device"), OSError(errno.ENOSPC, "No space left on device")])
    file = RecordFile(disk, "records")
    file.put(ONE + ONE)
    until(lambda: file.dropped == 2)
    assert file.failing == "No space left on device"
    file.put(ONE)
    until(lambda: file.dropped == 3)
    file.put(ONE)
    file.close()
    assert disk.got == b'{"n"\n' + ONE and file.failing == "" and disk.opened == 2


def test_a_folder_that_is_gone_costs_lines_until_it_is_back(tmp_path: Path):
    folder = tmp_path / "records"
    file = RecordFile(RotatingFile(folder / "a.jsonl", Rotation()), "records")
    file.put(ONE)
    until(lambda: file.dropped == 1)
    folder.mkdir()
    file.put(ONE)
    file.close()
    assert (folder / "a.jsonl").read_bytes() == ONE


def test_a_stream_is_written_to_and_left_open():
    reads, writes = os.pipe()
    file = RecordFile(Stream(writes), "records")
    file.put(ONE)
    file.reopen()
    file.close()
    assert os.read(reads, 100) == ONE
    os.close(writes)
    os.close(reads)
