"""The standing proxy: bytes go through as they are, the telegrams among them are captured, and nothing that goes wrong with that matters."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from telegram_router.plan import read_spec
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_records import CaptureError
from telegram_router.tools import capture_child
from telegram_router.tools.capture_child import Settings, Sink
from telegram_router.tools.capture_proxy import Proxy, Way
from telegram_router.wire import capture_feed
from telegram_router.wire.capture_feed import CAME, LEFT, OPENED, Feed

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "firmbanking.py"
SAMPLES = ROOT / "specs" / "samples" / "firmbanking"
REQUEST, REPLY = ((SAMPLES / f"transfer.{name}.telegram").read_bytes() for name in ("request", "response"))


def numbered(frame: bytes, number: int) -> bytes:
    return frame[:36] + b"%06d" % number + frame[42:]


def settings(output: Path, **more: Any) -> dict[str, Any]:
    now = {"t0": time.time_ns(), "began": trio.current_time()}
    return now | {"spec_file": str(SPEC), "spec_sha256": "", "output": str(output), "source": "proxy", **more}


async def host(stream: Any) -> None:
    """Answers every transfer."""
    data = b""
    async with stream:
        async for part in stream:
            data += part
            while len(data) >= len(REQUEST):
                number, data = int(data[36:42]), data[len(REQUEST) :]
                await stream.send_all(numbered(REPLY, number))


async def exactly(stream: Any, size: int) -> bytes:
    data = b""
    with trio.fail_after(3):
        while len(data) < size:
            part = await stream.receive_some(size - len(data))
            assert part, "it was closed"
            data += part
    return data


@asynccontextmanager
async def proxied(
    output: Path, *, answer: Callable[[Any], Any] = host, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None, **more: Any
) -> AsyncIterator[tuple[int, Feed, list[str]]]:
    warned: list[str] = []
    block = more.pop("block", False)
    feed = await trio.to_thread.run_sync(Feed, settings(output, **more))
    try:
        async with trio.open_nursery() as nursery:
            behind = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
            way = Way(("127.0.0.1", 0), ("127.0.0.1", behind[0].socket.getsockname()[1]), tls[0] if tls else None)
            proxy = Proxy(way, read_spec(SPEC), feed, block=block, warn=warned.append)
            yield await nursery.start(proxy.run), feed, warned
            nursery.cancel_scope.cancel()
    finally:
        feed.said = feed.close()  # type: ignore[attr-defined]


async def test_what_goes_through_is_in_the_file_with_both_connections(tmp_path: Path):
    async with proxied(tmp_path / "a.tgcap.jsonl") as (port, _, warned), await trio.open_tcp_stream("127.0.0.1", port) as client:
        await client.send_all(numbered(REQUEST, 1) + numbered(REQUEST, 2)[:100])
        assert await exactly(client, len(REPLY)) == numbered(REPLY, 1)
        await client.send_all(numbered(REQUEST, 2)[100:])
        assert await exactly(client, len(REPLY)) == numbered(REPLY, 2)
        await client.send_eof()
        assert await client.receive_some() == b""
    reader = CaptureReader(tmp_path / "a.tgcap.jsonl")
    kept = list(reader)
    assert reader.findings.closed_cleanly and not warned
    assert [(each["c"], each["leg"], each["syn"]) for each in kept if each["k"] == "open"] == [
        ("c1", "front", True),
        ("c1.back", "back", True),
    ]
    assert [(each["d"], each["x"], each["raw"]) for each in kept if each["k"] == "m"] == [
        (">", "x1", numbered(REQUEST, 1)),
        ("<", "x1", numbered(REPLY, 1)),
        (">", "x2", numbered(REQUEST, 2)),
        ("<", "x2", numbered(REPLY, 2)),
    ]
    assert [(each["c"], each["by"]) for each in kept if each["k"] == "close"] == [("c1", ">"), ("c1.back", ">")]


async def test_what_is_no_telegram_goes_through_too_and_is_a_digest_where_masked(tmp_path: Path):
    async def echo(stream: Any) -> None:
        async with stream:
            async for part in stream:
                await stream.send_all(part)

    async with (
        proxied(tmp_path / "a.tgcap.jsonl", answer=echo, key=b"k" * 16) as (port, _, _),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
    ):
        await client.send_all(b"GET /secret HTTP/1.1\r\n\r\n")
        assert await exactly(client, 24) == b"GET /secret HTTP/1.1\r\n\r\n"
    kept = list(CaptureReader(tmp_path / "a.tgcap.jsonl"))
    assert [each["d"] for each in kept if each["k"] == "junk"] == [">", "<"]
    assert b"secret" not in (tmp_path / "a.tgcap.jsonl").read_bytes() and not any("raw" in each for each in kept)


async def test_tls_is_ended_here(tmp_path: Path):
    ca = trustme.CA()
    server, client_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    ca.issue_cert("localhost").configure_cert(server)
    ca.configure_trust(client_side)
    async with proxied(tmp_path / "a.tgcap.jsonl", tls=(server, client_side)) as (port, _, _):
        raw = await trio.open_tcp_stream("127.0.0.1", port)
        async with trio.SSLStream(raw, client_side, server_hostname="localhost", https_compatible=True) as client:
            await client.send_all(numbered(REQUEST, 1))
            assert await exactly(client, len(REPLY)) == numbered(REPLY, 1)
    kept = list(CaptureReader(tmp_path / "a.tgcap.jsonl"))
    assert kept[0]["tls"]["v"].startswith("TLSv1") and sum(each["k"] == "m" for each in kept) == 2


async def test_a_kill_of_the_process_that_writes_leaves_what_was_written_and_the_line(tmp_path: Path):
    async with proxied(tmp_path / "a.tgcap.jsonl") as (port, feed, warned), await trio.open_tcp_stream("127.0.0.1", port) as client:
        for number in range(1, 40):
            await client.send_all(numbered(REQUEST, number))
            await exactly(client, len(REPLY))
        with trio.fail_after(5):
            while not (tmp_path / "a.tgcap.jsonl.part").read_bytes().count(b'"k":"m"') >= 70:  # noqa: ASYNC110
                await trio.sleep(0.02)
        os.kill(feed.pid, signal.SIGKILL)
        for number in range(40, 80):
            await client.send_all(numbered(REQUEST, number))
            assert await exactly(client, len(REPLY)) == numbered(REPLY, number)
        with trio.fail_after(3):
            while not warned:  # noqa: ASYNC110
                await trio.sleep(0.02)
    reader = CaptureReader(tmp_path / "a.tgcap.jsonl")
    assert sum(each["k"] == "m" for each in reader) >= 70
    assert not reader.findings.closed_cleanly and not reader.findings.damaged


@pytest.mark.parametrize("block", [False, True], ids=["drop", "block"])
async def test_a_disk_that_does_not_keep_up_costs_whole_exchanges_or_makes_clients_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: bool
):
    monkeypatch.setattr(capture_feed, "HELD", 40_000)
    monkeypatch.setattr(capture_feed, "PIPE", 4096)
    async with proxied(tmp_path / "a.tgcap.jsonl", block=block) as (port, feed, _):
        os.kill(feed.pid, signal.SIGSTOP)
        answered = 0
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            with trio.move_on_after(0.8 if block else 10):
                for number in range(1, 151):
                    await client.send_all(numbered(REQUEST, number))
                    await exactly(client, len(REPLY))
                    answered += 1
                    await trio.sleep(0.002)
            os.kill(feed.pid, signal.SIGCONT)
            assert (answered < 150) == block and (feed.dropped > 0) == (not block)
    found: dict[str, int] = {}
    for each in CaptureReader(tmp_path / "a.tgcap.jsonl"):
        if each["k"] == "m":
            found[each["x"]] = found.get(each["x"], 0) + 1
    assert found and sum(count == 2 for count in found.values()) >= len(found) - 1


def test_what_cannot_be_written_is_counted_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sink = Sink(Settings(str(SPEC), "", str(tmp_path / "a.tgcap.jsonl"), "proxy", 0, 0.0))

    def full(_: object) -> int:
        raise CaptureError("E-CAP-05", "No space left on device")

    sink.take((OPENED, "c1", "front", "a:1", "b:2", None, 0.0))
    sink.take((CAME, "c1", 0.1, [REQUEST]))
    monkeypatch.setattr(sink._writer, "write", full)
    sink.take((LEFT, "c1", 0.2, [REPLY]))
    sink.take((CAME, "c1", 0.3, [REQUEST] * 3))
    said = sink.end()
    assert said["why"] == "No space left on device" and said["unwritten"] == 3 and said["telegrams"] == 2
    sink._writer._file.finish()


def test_an_answer_without_its_request_is_left_out_once_requests_were(tmp_path: Path):
    sink = Sink(Settings(str(SPEC), "", str(tmp_path / "a.tgcap.jsonl"), "proxy", 0, 0.0))
    sink.take((capture_feed.SHED, 1))
    sink.take((LEFT, "c1", 0.2, [REPLY]))
    assert sink.end()["left_out"] == 2
    assert [each["k"] for each in CaptureReader(tmp_path / "a.tgcap.jsonl")] == ["note"]


def test_all_copies_of_a_request_and_their_answers_are_one_exchange():
    exchanges = capture_child.Exchanges(read_spec(SPEC))
    message = read_spec(SPEC).message_of(REQUEST)
    first = exchanges.name("bank", message, REQUEST, came=True)
    assert exchanges.name("core", message, REQUEST, came=False) == first
    reply = read_spec(SPEC).message_of(REPLY)
    assert exchanges.name("core", reply, REPLY, came=True) == exchanges.name("bank", reply, REPLY, came=False) == first
    assert exchanges.name("bank", message, REQUEST, came=True) != first
    assert exchanges.name("other", reply, REPLY, came=True) is None


def test_the_command_serves_until_a_signal_and_tells_what_it_did(tmp_path: Path):
    (tmp_path / "mask.key").write_bytes(b"k" * 20)
    command = [
        sys.executable,
        "-m",
        "telegram_router",
        "capture",
        "--listen",
        "127.0.0.1:0",
        "--to",
        "127.0.0.1:9",
        "--spec",
        "firmbanking",
    ]
    command += ["-w", str(tmp_path / "a.tgcap.jsonl"), "--mask-key-file", str(tmp_path / "mask.key")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "capturing firmbanking, masked: 127.0.0.1:" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 143 and said.startswith("0 telegrams captured, 0 left out")
    reader = CaptureReader(tmp_path / "a.tgcap.jsonl")
    reader.close()
    assert reader.head["source"] == "proxy"
