"""The file of counters: what was synced is read again, whatever byte a crash, a bad disk or a full one cut it at."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import RouterError
from telegram_router.routing.limits import check
from telegram_router.routing.quotas import Quota, Window
from telegram_router.storage import counters as module
from telegram_router.storage.counters import LOCK, NAME, NEW, Counters, Disk, StateFolder, read_counters
from telegram_router.storage.lines import line_of, read_lines

DAY_ONE, DAY_TWO = ("quota", "daily", "by day", 0, 86_400), ("quota", "daily", "by day", 86_400, 172_800)
LINES = [
    line_of(DAY_ONE, {"C001": 1, "C002": 5}),
    line_of(DAY_ONE, {"C001": 2}),
    line_of(DAY_TWO, {"C001": 10**17, "한글|x": 3}),
    line_of(DAY_ONE, {"C002": 6}),
]
WHOLE = b"".join(LINES)


def state_after(count: int) -> dict[Any, dict[str, Any]]:
    return read_lines(b"".join(LINES[:count])).stored


def test_the_last_value_of_a_key_holds():
    found = read_lines(WHOLE)
    assert found.stored == {DAY_ONE: {"C001": 2, "C002": 6}, DAY_TWO: {"C001": 10**17, "한글|x": 3}}
    assert (found.damaged, found.torn, found.sound) == (0, False, len(WHOLE))
    assert read_lines(b"").stored == {}


def test_a_file_that_was_cut_at_any_byte_gives_the_whole_lines_before_the_cut():
    ends = [sum(map(len, LINES[:count])) for count in range(len(LINES) + 1)]
    for cut in range(len(WHOLE) + 1):
        found = read_lines(WHOLE[:cut])
        whole = max(count for count, end in enumerate(ends) if end <= cut)
        assert found.stored == state_after(whole)
        assert (found.damaged, found.torn, found.sound) == (0, cut not in ends, ends[whole])


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_any_other_byte_anywhere_costs_its_line_at_most_and_is_told(place: int, byte: int):
    bad = WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]
    found = read_lines(bad)
    if bad == WHOLE:
        assert found.damaged == 0
        return
    assert found.damaged or found.torn
    lost = [read_lines(b"".join(LINES[:n] + LINES[n + 1 :])).stored for n in range(len(LINES))]
    joined = [read_lines(b"".join(LINES[:n] + LINES[n + 2 :])).stored for n in range(len(LINES) - 1)]  # a line's end was hit
    assert found.stored in [*lost, *joined]


@given(st.binary(max_size=300))
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_whatever_stands_in_the_file_is_read_without_an_exception(data: bytes):
    assert read_lines(data).sound <= len(data)
    assert read_lines(WHOLE + data).stored.keys() >= {DAY_ONE, DAY_TWO}


# --- the file


def opened(folder: Path, disk: Disk | None = None) -> Counters:
    return Counters(folder, disk or Disk())


def test_what_was_added_is_found_again_and_only_the_user_may_read_it(tmp_path: Path):
    file = opened(tmp_path)
    file.add(LINES[:2])
    file.add(LINES[2:])
    file.close()
    assert opened(tmp_path).found.stored == state_after(4)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert read_counters(tmp_path).stored == state_after(4)


def test_after_a_crash_at_any_byte_the_file_is_gone_on_with(tmp_path: Path):
    for cut in range(len(WHOLE) + 1):
        (tmp_path / NAME).write_bytes(WHOLE[:cut])
        (tmp_path / (NAME + NEW)).write_bytes(b"half of a file that was being written anew")
        file = opened(tmp_path)
        before = file.found.stored
        file.add([line_of(DAY_TWO, {"new": 1})])
        file.close()
        found = read_counters(tmp_path)
        assert (found.damaged, found.torn) == (0, False)
        assert found.stored.pop(DAY_TWO) == {**before.pop(DAY_TWO, {}), "new": 1}
        assert found.stored == before
        assert not (tmp_path / (NAME + NEW)).exists()


class Failing(Disk):
    """Full, or broken, from one of its operations on."""

    def __init__(self, fails_at: int, *, part: int = 0, fault: int = errno.ENOSPC, once: bool = False) -> None:
        self.left = fails_at
        self.part = part
        self.fault = fault
        self.once = once

    def write(self, file: int, data: memoryview) -> int:
        if self._fails():
            if self.part and len(data) > self.part:
                return os.write(file, data[: self.part])  # and the next one fails
            raise OSError(self.fault, os.strerror(self.fault))
        return os.write(file, data)

    def sync(self, file: int) -> None:
        if self._fails():
            raise OSError(self.fault, os.strerror(self.fault))
        os.fsync(file)

    def _fails(self) -> bool:
        self.left -= 1
        return self.left == -1 if self.once else self.left < 0


@pytest.mark.parametrize("part", [0, 7])
@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_whichever_operation_fails_nothing_that_was_added_before_is_lost_and_a_retry_mends_it(
    tmp_path: Path, part: int, once: bool, fault: int
):
    for fails_at in range(12):
        disk = Failing(fails_at, part=part, fault=fault, once=once)
        (tmp_path / NAME).unlink(missing_ok=True)
        file = opened(tmp_path, disk)
        added = 0
        failed: list[bytes] = []
        for line in LINES:
            try:
                file.add([*failed, line])
            except OSError:
                failed.append(line)
            else:
                added += 1 + len(failed)
                failed = []
            on_disk = read_counters(tmp_path)
            assert on_disk.damaged == 0
            assert _holds(on_disk.stored, state_after(added))
        disk.left = 1_000
        if failed:
            file.add(failed)
        file.close()
        found = read_counters(tmp_path)
        assert (found.stored, found.damaged, found.torn) == (state_after(len(LINES)), 0, False)


def _holds(stored: dict[Any, dict[str, Any]], least: dict[Any, dict[str, Any]]) -> bool:
    """Counters only grow here: what is on the disk is as much or more."""
    return all(stored[bucket].get(key, -1) >= value for bucket, values in least.items() for key, value in values.items())


def test_a_file_written_anew_is_taken_over_whole_with_what_was_added_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SMALL", 100)
    file = opened(tmp_path)
    for line in LINES * 5:
        file.add([line])
    assert file.large
    file.begin_anew()
    file.add_anew([line_of(DAY_ONE, {"C001": 2, "C002": 6})])
    file.add([line_of(DAY_ONE, {"C001": 9})])
    file.add_anew([line_of(DAY_TWO, {"C001": 10**17, "한글|x": 3})])
    file.take_over()
    file.add([line_of(DAY_TWO, {"late": 1})])
    file.close()
    found = read_counters(tmp_path)
    assert found.stored == {DAY_ONE: {"C001": 9, "C002": 6}, DAY_TWO: {"C001": 10**17, "한글|x": 3, "late": 1}}
    assert file.size == found.sound == (tmp_path / NAME).stat().st_size
    assert not file.large


def test_whichever_operation_of_writing_anew_fails_one_whole_file_is_there(tmp_path: Path):
    for fails_at in range(8):
        (tmp_path / NAME).unlink(missing_ok=True)
        disk = Failing(1_000)
        file = opened(tmp_path, disk)
        file.add(LINES)
        disk.left = fails_at
        try:
            file.begin_anew()
            file.add_anew(LINES[:2])
            file.add([line_of(DAY_TWO, {"more": 1})])
            file.add_anew(LINES[2:])
            file.take_over()
        except OSError:
            file.give_up_anew()
        found = read_counters(tmp_path)
        assert found.damaged == 0
        assert _holds(found.stored, state_after(4))
        disk.left = 1_000
        file.add([line_of(DAY_TWO, {"more": 2})])
        file.close()
        found = read_counters(tmp_path)
        assert (found.damaged, found.torn) == (0, False)
        assert found.stored[DAY_TWO]["more"] == 2


# --- the folder


def test_a_folder_is_made_for_the_user_alone_and_has_one_router(tmp_path: Path):
    place = tmp_path / "deep" / "state"
    folder = StateFolder(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / LOCK).stat().st_mode) == 0o600
    with pytest.raises(RouterError) as refused:
        StateFolder(place)
    assert refused.value.code == "E-STO-02"
    folder.close()
    StateFolder(place).close()


def test_a_folder_that_cannot_be_used_is_told_with_its_path(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RouterError) as refused:
        StateFolder(tmp_path / "file" / "state")
    assert refused.value.code == "E-STO-01"
    assert str(tmp_path / "file") in refused.value.text()
    with pytest.raises(RouterError) as refused:
        read_counters(tmp_path)
    assert refused.value.code == "E-STO-01"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / NAME).mkdir()
    folder = StateFolder(tmp_path / "state")
    with pytest.raises(RouterError) as refused:
        folder.counters()
    assert refused.value.code == "E-STO-01"
    folder.close()


# --- quotas that are stored in it


@given(
    st.lists(st.one_of(st.sampled_from(["ask", "ask", "ask", "store", "kill", "stop"])), max_size=60),
    st.integers(1, 5),
    st.integers(0, 10**6),
)
@settings(max_examples=200, deadline=None)
def test_over_any_number_of_kills_no_more_is_admitted_than_the_quota_and_what_was_not_stored(steps: list[str], most: int, cut: int):
    """A kill cuts the file somewhere behind what was synced."""
    window, synced, written = Window(0, 86_400), b"", b""
    admitted = lost = unsynced = 0

    def begun() -> Quota:
        quota = Quota("q", most, [lambda peer, frame, entry: frame], lambda key: bytes(key).decode())  # type: ignore[call-overload]
        stored = read_lines(written).stored
        quota.restore({window: stored[DAY_ONE]} if DAY_ONE in stored else {})
        quota.keep_time(window, Window(86_400, 172_800), 1e9, 0.0)
        return quota

    quota = begun()
    for step in steps:
        if step == "ask":
            let = check([quota], None, b"k", None, 0.0) is None  # type: ignore[arg-type]
            admitted, unsynced = admitted + let, unsynced + let
        elif step == "kill":
            pending = b"".join(line_of(DAY_ONE, counted.used) for counted in quota.take_changes())
            written = synced + pending[: cut % (len(pending) + 1)]
            whole = read_lines(written).sound
            lost += unsynced if whole == len(synced) else 0
            written = synced = written[:whole]
            unsynced, quota = 0, begun()
        else:
            written += b"".join(line_of(DAY_ONE, counted.used) for counted in quota.take_changes())
            synced, unsynced = written, 0
            quota = begun() if step == "stop" else quota
    assert admitted <= most + lost
