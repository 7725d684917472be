"""The log: what a line may hold, how many there may be, and that nobody ever waits for it."""

from __future__ import annotations

import enum
import fcntl
import io
import json
import logging
import os
import pty
import select
import socket
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import PLACES_TOLD, Delivery, RouterError
from telegram_router.ops import logs
from telegram_router.ops.logs import Descriptor, Log, Outlet, adopt_library_lines, open_log, plain, render


class Memory:
    """A sink that keeps what it takes; `room` limits how much that is."""

    def __init__(self) -> None:
        self.taken = b""
        self.room: int | None = None
        self.error: OSError | None = None

    def write(self, line: bytes) -> int:
        if self.error:
            raise self.error
        if self.room == 0:
            raise BlockingIOError
        part = line if self.room is None else line[: self.room]
        self.room = None if self.room is None else self.room - len(part)
        self.taken += part
        return len(part)

    def close(self) -> None:
        pass

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.taken.splitlines()]


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sink() -> Memory:
    return Memory()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(sink: Memory, clock: Clock) -> Log:
    return Log(Outlet(sink), "info", clock)


# --- what a line holds


def test_a_line_is_one_json_object_with_time_level_and_event_first(log: Log, sink: Memory):
    log.info("session opened", listener="branches", number=3, quick=True, ratio=0.5, nothing=None)
    assert sink.taken == (
        b'{"ts":"2023-11-14T22:13:20.250000Z","level":"info","event":"session opened",'
        b'"listener":"branches","number":3,"quick":true,"ratio":0.5,"nothing":null}\n'
    )


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_left_out(level: str, written: list[str], sink: Memory):
    log = Log(Outlet(sink), level)
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)("event")
    assert [line["level"] for line in sink.lines] == written


class Colour(enum.Enum):
    RED = "red"


class Secretive:
    def __repr__(self) -> str:
        return "account 1234567890"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"0300HDR 1234567890", "[18 bytes]"),
        (bytearray(3), "[3 bytes]"),
        (memoryview(b"abcd"), "[4 bytes]"),
        (Secretive(), "[Secretive]"),
        (Decimal("12.50"), "[Decimal]"),
        (ValueError("account 1234567890"), "ValueError"),
        (RouterError("E-RTE-01", "no route"), "E-RTE-01: no route"),
        (Delivery.SENT_UNKNOWN, "sent_unknown"),
        (Colour.RED, "red"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 253 + "..."),
        (2**63, "[big number]"),
        (-(2**63), -(2**63)),
        ({"offset": 4, b"\xff": 1}, {"offset": 4, "[1 bytes]": 1}),
        ((1, "a", [b"z"]), [1, "a", ["[1 bytes]"]]),
        (list(range(100)), list(range(32))),
        ([[[[["deep"]]]]], [[[["[list]"]]]]),
        (float("nan"), None),
        ("half \udc80 surrogate", "half \\udc80 surrogate"),
    ],
)
def test_values_are_shown_or_only_named(value: object, shown: object, log: Log, sink: Memory):
    log.info("event", field=value)
    assert sink.lines[0]["field"] == shown


def test_fields_cannot_take_the_place_of_time_level_or_event(log: Log, sink: Memory):
    log.info("event", ts="never", level="debug")
    assert sink.lines[0]["level"] == "info"
    assert sink.lines[0]["ts"].startswith("2023-")


@pytest.mark.parametrize("text", ['"},{"level":"error"', "a\r\nb", "\x1b[31mred", "\u2028\u2029\u0085", "\x00\x7f", "송금 😀", "\\u0041"])
def test_no_text_breaks_out_of_its_line(text: str, log: Log, sink: Memory):
    log.info(text, field=text, nested={text: [text]})
    assert sink.taken.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in sink.taken[:-1])
    assert sink.lines[0]["event"] == sink.lines[0]["field"] == sink.lines[0]["nested"][text][0] == text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.binary() | st.integers(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), values))
def test_any_field_becomes_one_bounded_printable_line(fields: dict[str, object]):
    line = render({key: plain(value) for key, value in fields.items()} | {"event": "event"})
    assert len(line) <= 6 * logs.LINE_CAP + 1
    assert line.endswith(b"\n") and all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert json.loads(line)["event"] == "event"


def test_a_line_that_is_too_long_keeps_its_head_and_tells_its_size(log: Log, sink: Memory):
    log.info("event", field=["x" * 256] * 32, other=["y" * 256] * 32, third=["z" * 256] * 32)
    assert sink.lines[0].keys() == {"ts", "level", "event", "too_long"}
    assert sink.lines[0]["too_long"] > 3 * 32 * 256


# --- bugs


def failing(account: str) -> None:
    number = account + "1"
    try:
        {}[number]  # type: ignore[index]
    except KeyError:
        raise ValueError(f"no such account: {number}") from None


def test_a_bug_names_type_and_places_but_no_message_and_no_locals(log: Log, sink: Memory):
    try:
        failing("1234567890")
    except ValueError as error:
        log.bug(error, connection="session 7")
    line = sink.lines[0]
    assert (line["level"], line["event"], line["code"], line["exception"]) == ("error", "bug", "E-INT-01", "ValueError")
    assert (line["connection"], line["after"]) == ("session 7", "KeyError")
    assert line["at"][-1].startswith("tests/ops/test_logs.py:") and line["at"][-1].endswith(" failing")
    assert b"123456" not in sink.taken


def test_a_group_of_exceptions_is_one_line_each(log: Log, sink: Memory):
    log.bug(ExceptionGroup("outer", [ValueError(1), ExceptionGroup("inner", [KeyError("k"), RouterError("E-BCK-10", "x")])]))
    assert [(line["exception"], line["code"]) for line in sink.lines] == [
        ("ValueError", "E-INT-01"),
        ("KeyError", "E-INT-01"),
        ("RouterError", "E-BCK-10"),
    ]


def test_a_deep_recursion_is_cut_to_its_last_places(log: Log, sink: Memory):
    def dig(depth: int) -> None:
        if depth == 0:
            raise OSError
        dig(depth - 1)

    try:
        dig(200)
    except OSError as error:
        log.bug(error)
    assert len(sink.lines[0]["at"]) == PLACES_TOLD


# --- the rate bound


def test_more_than_a_thousand_lines_a_second_are_dropped_and_the_next_second_says_how_many(log: Log, sink: Memory, clock: Clock):
    for number in range(1_250):
        log.info("event", number=number)
    assert len(sink.lines) == 1_000 and log.dropped == 250
    clock.now += 1
    log.info("event", number=-1)
    assert [(line["event"], line.get("dropped")) for line in sink.lines[1_000:]] == [("log lines dropped", 250), ("event", None)]
    assert log.dropped == 250


def test_a_flood_of_lesser_lines_does_not_hide_errors(log: Log, sink: Memory):
    for _ in range(2_000):
        log.info("event")
    for _ in range(200):
        log.error("bad")
    assert [line["event"] for line in sink.lines].count("bad") == 100


def test_who_floods_does_not_hide_what_became_of_others_money(log: Log, sink: Memory, clock: Clock):
    for _ in range(2_000):
        log.warning("refused")
        log.warning("unmatched_reply")
    for _ in range(500):
        log.warning("failed", delivery="sent_unknown")
    events = [line["event"] for line in sink.lines]
    assert (events.count("refused") + events.count("unmatched_reply"), events.count("failed")) == (600, 400)
    clock.now += 1
    log.warning("refused")
    assert sink.lines[-1]["event"] == "refused"


def test_the_count_of_dropped_lines_comes_without_a_further_event_too(log: Log, sink: Memory, clock: Clock):
    for _ in range(1_001):
        log.info("event")
    log.tick()
    assert len(sink.lines) == 1_000
    clock.now += 1
    log.tick()
    log.tick()
    assert [line["event"] for line in sink.lines[1_000:]] == ["log lines dropped"]


def test_filtered_lines_count_nothing(log: Log, sink: Memory):
    for _ in range(2_000):
        log.debug("event")
    assert log.dropped == 0 and sink.taken == b""


# --- readers that do not read


def test_lines_wait_within_a_bound_and_then_are_dropped_and_counted(log: Log, sink: Memory, clock: Clock):
    sink.room = 0
    for number in range(900):
        log.info("event", number=number, text=["x" * 256] * 4)
    assert 0 < log.dropped < 900
    dropped = log.dropped
    sink.room = None
    clock.now += 1
    log.tick()
    numbers = [line["number"] for line in sink.lines if line["event"] == "event"]
    assert numbers == list(range(900 - dropped))
    assert sink.lines[-1]["dropped"] == dropped


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=60))
def test_partial_writes_never_tear_or_reorder_lines(rooms: list[int]):
    sink, clock = Memory(), Clock()
    log = Log(Outlet(sink), "info", clock)
    for number, room in enumerate(rooms):
        sink.room = room
        log.info("event", number=number)
    sink.room = None
    log.close()
    assert [line["number"] for line in sink.lines] == list(range(len(rooms)))


def test_a_reader_that_is_gone_costs_lines_and_no_exception(log: Log, sink: Memory, clock: Clock):
    sink.error = BrokenPipeError()
    log.info("lost")
    log.info("lost")
    assert log.dropped == 2
    sink.error = None
    log.close()
    assert [line["dropped"] for line in sink.lines] == [2]


# --- real descriptors


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        os.close(fd)


def drained(fd: int) -> bytes:
    data = b""
    while select.select([fd], [], [], 0)[0]:
        data += os.read(fd, 65536)
    return data


def blocking(fd: int) -> bool:
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


def flooded(log: Log) -> float:
    """Seconds for a flood of lines."""
    began = time.monotonic()
    for _ in range(1_000):
        log.info("event", text=["x" * 256] * 8)
    return time.monotonic() - began


def test_a_pipe_that_nobody_reads_never_blocks(pipe: tuple[int, int]):
    read, write = pipe
    with os.fdopen(os.dup(write), "wb", buffering=0) as stream:
        log = open_log("info", stream)
        assert flooded(log) < 2
        assert log.dropped > 0
        assert blocking(write)  # it belongs to others as well
        first = drained(read)
        log.tick()
        lines = (first + drained(read)).splitlines()
        assert all(json.loads(line) for line in lines[:-1])
        log.close()


def test_a_pipe_that_cannot_be_opened_anew_never_blocks_either(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    read, write = pipe

    def refused(*_args: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        log = Log(Outlet(Descriptor(write)), "info")
    assert flooded(log) < 2
    assert log.dropped > 0 and blocking(write)
    assert json.loads(drained(read).splitlines()[0])["event"] == "event"
    log.close()


def test_a_socket_that_nobody_reads_never_blocks():
    near, far = socket.socketpair()
    with near, far:
        log = Log(Outlet(Descriptor(near.fileno())), "info")
        assert flooded(log) < 2
        assert log.dropped > 0 and blocking(near.fileno())
        assert json.loads(far.recv(65536).splitlines()[0])["event"] == "event"
        log.close()


def test_a_terminal_that_is_stopped_never_blocks():
    master, slave = pty.openpty()
    try:
        log = Log(Outlet(Descriptor(slave)), "info")
        assert flooded(log) < 2
        assert log.dropped > 0 and blocking(slave)
        log.close()
    finally:
        os.close(master)
        os.close(slave)


def test_a_file_gets_every_line_behind_what_others_wrote_to_it(tmp_path: Any):
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as stream:
        log = open_log("info", stream)
        stream.write(b"by somebody else\n")
        log.info("event")
        stream.write(b"by somebody else\n")
        log.close()
    lines = path.read_bytes().splitlines()
    assert [lines[0], lines[2]] == [b"by somebody else"] * 2 and json.loads(lines[1])["event"] == "event"


def test_a_full_disk_costs_lines_and_no_exception():
    with open("/dev/full", "wb", buffering=0) as stream:
        log = open_log("info", stream)
        log.info("event")
        assert log.dropped == 1
        log.close()


def test_a_stream_without_a_descriptor_is_written_to_and_left_open():
    memory = io.BytesIO()
    log = open_log("info", memory)
    log.info("event")
    log.close()
    assert json.loads(memory.getvalue())["event"] == "event"
    text = io.TextIOWrapper(io.BytesIO())
    log = open_log("info", text)
    log.info("event")
    log.close()
    assert json.loads(text.buffer.getvalue())["event"] == "event"  # type: ignore[attr-defined]


def test_stderr_is_where_lines_go(capfd: pytest.CaptureFixture[str]):
    log = open_log("info", sys.stderr)
    log.info("event")
    log.close()
    assert json.loads(capfd.readouterr().err)["event"] == "event"


# --- libraries


def test_lines_of_libraries_become_ours_without_their_arguments(sink: Memory):
    log = Log(Outlet(sink), "debug")
    handler = adopt_library_lines(log)
    library = logging.getLogger("some.library")
    try:
        library.warning("odd thing about %s", "1234567890")
        library.error("bad thing")
        try:
            raise ValueError("1234567890")
        except ValueError:
            library.exception("worse thing")
    finally:
        logging.getLogger().removeHandler(handler)
    assert [(line["level"], line["event"]) for line in sink.lines] == [("warning", "library"), ("error", "library"), ("error", "bug")]
    assert {line["logger"] for line in sink.lines} == {"some.library"}
    assert sink.lines[0]["what"] == "odd thing about %s"
    assert b"123456" not in sink.taken
