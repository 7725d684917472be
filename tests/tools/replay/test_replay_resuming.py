"""What a run leaves for another to go on with, however it ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from replay_kit import transfers

from telegram_router.storage.capture_records import Record
from telegram_router.tools.replay import resuming
from telegram_router.tools.replay.remembering import Memory, Sequences
from telegram_router.tools.replay.resuming import Progress, resumed
from telegram_router.tools.replay.settings import ReplayError

HEAD: Record = transfers(1).reader().head


def begun(folder: Path, sequences: Sequences | None = None, **memories: Memory) -> Progress:
    progress = Progress()
    progress.begin(folder, HEAD, sequences or Sequences(), memories)
    return progress


def test_after_a_crash_nothing_that_was_sent_is_sent_again_nor_a_number_used_twice(tmp_path: Path):
    sequences = Sequences()
    crashed = begun(tmp_path, sequences)
    for n, number in ((1, 7), (5, 8), (3, 10_000)):  # the third waited for room
        sequences.next["message_number"] = number
        crashed.mark(n)
    sequences.next["message_number"] = 9
    crashed.mark(6)  # a shorter line than the one before
    again = resumed(tmp_path, HEAD)
    assert (again.sent_up_to, again.again, again.numbers) == (6, frozenset(), {"message_number": 9})


def test_what_was_planned_and_not_sent_is_left_to_the_next_run(tmp_path: Path):
    progress = begun(tmp_path)
    progress.mark(9)
    progress.finish([3, 7, 11])
    again = resumed(tmp_path, HEAD)
    assert (again.sent_up_to, again.again) == (9, {3, 7})
    again.begin(tmp_path, HEAD, Sequences(), {})  # and after a crash of that one they count as sent
    assert resumed(tmp_path, HEAD).again == frozenset()


def test_what_values_have_become_is_kept_by_side_the_latest_last(tmp_path: Path):
    target, baseline = Memory(), Memory()
    crashed = begun(tmp_path, target=target, baseline=baseline)
    target.put("message_number", (b"\xff", b"bank"), "000001", "000501")
    baseline.put("message_number", (), "000001", "000601")
    crashed.flush()
    target.put("message_number", (b"\xff", b"bank"), "000001", "000502")
    crashed.flush()
    found = resumed(tmp_path, HEAD).mapped
    assert Memory(found["target"]).get("message_number", (b"\xff", b"bank"), "000001") == "000502"
    assert Memory(found["baseline"]).get("message_number", (), "000001") == "000601"


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path):
    memory = Memory()
    crashed = begun(tmp_path, target=memory)
    memory.put("number", (), "1", "2")
    crashed.flush()
    (file,) = (tmp_path / "state").glob("mapped.*")
    file.write_bytes(file.read_bytes() + b'[[],"3')
    assert resumed(tmp_path, HEAD).mapped == {"target": [("number", (), "1", "2")]}


def test_files_hold_what_is_remembered_and_no_more_than_twice_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resuming, "REMEMBERED", 10)
    memory = Memory()
    crashed = begun(tmp_path, target=memory)
    for number in range(1, 58):
        memory.put("number", (), str(number), str(number + 100))
        crashed.flush()
        kept = [int(old) for _, _, old, _ in resumed(tmp_path, HEAD).mapped["target"]]
        assert kept[-10:] == [*range(max(1, number - 9), number + 1)] and len(kept) <= 20


def test_another_run_into_the_folder_begins_afresh(tmp_path: Path):
    memory = Memory()
    first = begun(tmp_path, target=memory)
    memory.put("number", (), "1", "2")
    first.mark(5)
    first.finish([])
    begun(tmp_path)
    again = resumed(tmp_path, HEAD)
    assert (again.sent_up_to, again.mapped) == (0, {})


@pytest.mark.parametrize("content", ["", "no", '{"v": 2}', '{"capture": 5, "sent_up_to": "x", "numbers": {}, "again": []}'])
def test_what_is_no_state_or_of_another_capture_is_refused(tmp_path: Path, content: str):
    begun(tmp_path)
    with pytest.raises(ReplayError) as refused:
        resumed(tmp_path, HEAD | {"t0": 5})
    assert refused.value.code == "E-RPL-07" and "another capture" in refused.value.what
    (tmp_path / "state" / "state.json").write_text(content)
    with pytest.raises(ReplayError) as refused:
        resumed(tmp_path, HEAD)
    assert refused.value.code == "E-RPL-07"
