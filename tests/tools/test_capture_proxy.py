"""The standing proxy: bytes go through as they are, the telegrams among them are captured, and nothing that goes wrong with that matters."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trustme

from telegram_router.plan import read_spec
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.tools import capture_child, capture_proxy, relay
from telegram_router.tools.capture_child import Settings, Sink
from telegram_router.tools.capture_proxy import Proxy, Way
from telegram_router.wire import capture_feed
from telegram_router.wire.capture_feed import CAME, LEFT, OPENED, Feed

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "firmbanking.py"
SAMPLES = ROOT / "specs" / "samples" / "firmbanking"
REQUEST, REPLY = ((SAMPLES / f"transfer.{name}.telegram").read_bytes() for name in ("request", "response"))


@pytest.fixture(autouse=True)
def _everybody_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and host run where the relay would linger."""
    monkeypatch.setattr(relay, "LINGER", 0.0)


def numbered(frame: bytes, number: int) -> bytes:
    return frame[:36] + b"%06d" % number + frame[42:]


def settings(output: Path, **more: Any) -> dict[str, Any]:
    now = {"t0": time.time_ns(), "began": trio.current_time()}
    return now | {"spec_file": str(SPEC), "spec_sha256": "", "output": str(output), "source": "proxy", **more}


class Beside(Feed):
    """What the other process does, in this one: most of what is tested here has nothing to do with processes, which take their time."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.telegrams, self.dropped, self.pressed, self.failed, self.trouble = 0, 0, False, False, ""
        self._items: list[Any] = []
        self._octets = 0
        self._sink = Sink(msgspec.convert(wanted, Settings))

    def look(self) -> str:
        return self._sink.why

    def flush(self) -> None:
        items, self._items, self._octets = self._items, [], 0
        for item in items:
            self._sink.take(item)

    def close(self) -> dict[str, Any]:
        self.flush()
        return self._sink.end()


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
    block, ways, to = more.pop("block", False), more.pop("ways", 1), more.pop("to", None)
    if more.pop("process", False):
        feed = await trio.to_thread.run_sync(Feed, settings(output, **more))
    else:
        feed = Beside(settings(output, **more))
    try:
        async with trio.open_nursery() as nursery:
            behind = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
            way = Way(("127.0.0.1", 0), ("127.0.0.1", to or behind[0].socket.getsockname()[1]), *(tls or (None, None)))
            proxy = Proxy([way] * ways, read_spec(SPEC), feed, block=block, warn=warned.append)
            feed.ports = await nursery.start(proxy.run)  # type: ignore[attr-defined]
            yield feed.ports[0], feed, warned  # type: ignore[attr-defined]
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


async def test_what_the_host_asks_for_is_captured_with_its_answer(tmp_path: Path):
    async def asks(stream: Any) -> None:
        async with stream:
            await stream.send_all(numbered(REQUEST, 7))
            await exactly(stream, len(REPLY))

    async with (
        proxied(tmp_path / "a.tgcap.jsonl", answer=asks) as (port, _, _),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
    ):
        assert await exactly(client, len(REQUEST)) == numbered(REQUEST, 7)
        await client.send_all(numbered(REPLY, 7))
        assert await client.receive_some() == b""
    telegrams = list(CaptureReader(tmp_path / "a.tgcap.jsonl").telegrams())
    assert [(each["c"], each["d"], each["x"]) for each in telegrams] == [("c1", "<", "x1"), ("c1", ">", "x1")]


async def test_the_two_lines_of_a_pair_that_goes_one_way_each_are_one_capture(tmp_path: Path):
    async def hears(stream: Any) -> None:
        async with stream:
            async for _ in stream:
                pass

    async with proxied(tmp_path / "a.tgcap.jsonl", answer=hears, ways=2) as (port, feed, _):
        asking = await trio.open_tcp_stream("127.0.0.1", port)
        answering = await trio.open_tcp_stream("127.0.0.1", feed.ports[1])  # type: ignore[attr-defined]
        async with asking, answering:
            await asking.send_all(numbered(REQUEST, 1))
            await trio.sleep(0.02)
            await answering.send_all(numbered(REPLY, 1))
            await trio.sleep(0.02)
    telegrams = list(CaptureReader(tmp_path / "a.tgcap.jsonl").telegrams())
    assert [(each["c"], each["d"], each["x"]) for each in telegrams] == [("c1", ">", "x1"), ("c2", ">", "x1")]


async def test_a_side_that_does_not_read_holds_up_the_other_and_nothing_is_lost(tmp_path: Path):
    got = bytearray()
    read = trio.Event()

    async def slow(stream: Any) -> None:
        async with stream:
            await read.wait()
            async for part in stream:
                got.extend(part)
            await stream.send_all(numbered(REPLY, 1))

    everything = random.Random(1).randbytes(1_000_000) * 9  # no telegrams: as many would take their time to be written
    async with (
        proxied(tmp_path / "a.tgcap.jsonl", answer=slow) as (port, _, warned),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            await client.send_all(everything)
            await client.send_eof()

        nursery.start_soon(send)
        with trio.move_on_after(0.15):
            await exactly(client, 1)
        assert not got
        read.set()
        assert await exactly(client, len(REPLY)) == numbered(REPLY, 1), "the other half lives on"
        assert await client.receive_some() == b"" and bytes(got) == everything and not warned
    assert [each["k"] for each in CaptureReader(tmp_path / "a.tgcap.jsonl")] == ["open", "open", "junk", "m", "close", "close"]


async def test_a_host_that_breaks_off_is_told_and_costs_its_own_client_alone(tmp_path: Path):
    async def breaks(stream: Any) -> None:
        data = await stream.receive_some()
        if data[36:42] == b"000002":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await trio.aclose_forcefully(stream)
        else:
            await stream.send_all(numbered(REPLY, 1))
            await trio.sleep_forever()

    async with (
        proxied(tmp_path / "a.tgcap.jsonl", answer=breaks) as (port, _, warned),
        await trio.open_tcp_stream("127.0.0.1", port) as first,
        await trio.open_tcp_stream("127.0.0.1", port) as second,
    ):
        await second.send_all(numbered(REQUEST, 2))
        assert await second.receive_some() == b""
        await first.send_all(numbered(REQUEST, 1))
        assert await exactly(first, len(REPLY)) == numbered(REPLY, 1)
        assert len(warned) == 1 and "reset by peer" in warned[0]
    closes = {each["c"]: (each["by"], each["how"]) for each in CaptureReader(tmp_path / "a.tgcap.jsonl") if each["k"] == "close"}
    assert sorted(closes.values()) == [("<", "rst")] * 2 + [(">", "fin")] * 2


async def test_a_host_that_cannot_be_reached_is_told(tmp_path: Path):
    async with proxied(tmp_path / "a.tgcap.jsonl", to=1) as (port, _, warned):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            assert await client.receive_some() == b""
        assert len(warned) == 1 and warned[0].startswith("c1: ")


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


async def test_tls_is_ended_here_and_begun_again_towards_the_host(tmp_path: Path):
    ca = trustme.CA()
    server, client_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    ca.configure_trust(client_side)

    async def secret(stream: Any) -> None:
        await host(trio.SSLStream(stream, server, server_side=True, https_compatible=True))

    async with proxied(tmp_path / "a.tgcap.jsonl", answer=secret, tls=(server, client_side)) as (port, _, warned):
        raw = await trio.open_tcp_stream("127.0.0.1", port)
        async with trio.SSLStream(raw, client_side, server_hostname="localhost", https_compatible=True) as client:
            requests = b"".join(numbered(REQUEST, number) for number in range(1, 401))
            await client.send_all(requests)
            replies = await exactly(client, 400 * len(REPLY))
            assert replies == b"".join(numbered(REPLY, number) for number in range(1, 401))
        async with await trio.open_tcp_stream("127.0.0.1", port) as plain:
            await plain.send_all(numbered(REQUEST, 1))
            await plain.receive_some()
        with trio.fail_after(3):
            while not warned:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert len(warned) == 1 and warned[0].startswith("c2: ") and "TLS" in warned[0]
    kept = list(CaptureReader(tmp_path / "a.tgcap.jsonl"))
    assert all(each["tls"]["v"].startswith("TLSv1") for each in kept if each["k"] == "open")
    assert sum(each["k"] == "m" for each in kept) == 800
    assert [each["how"] for each in kept if each["k"] == "close"] == ["fin", "fin"]


async def test_rotation_under_traffic_loses_and_doubles_nothing(tmp_path: Path):
    async with (
        proxied(tmp_path / "a.tgcap.jsonl", rotate_size=20_000) as (port, feed, _),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
    ):
        for first in range(1, 301, 10):
            await client.send_all(b"".join(numbered(REQUEST, number) for number in range(first, first + 10)))
            await exactly(client, 10 * len(REPLY))
    files = [Path(name) for name in feed.said["files"]]  # type: ignore[attr-defined]
    assert len(files) > 3 and files[1].name == "a-2.tgcap.jsonl"
    kept: list[tuple[str, bytes]] = []
    for file in files:
        reader = CaptureReader(file)
        records = list(reader)
        assert reader.findings.closed_cleanly and not reader.findings.damaged
        assert [each["c"] for each in records[:2]] == ["c1", "c1.back"], "each can be read by itself"
        kept += [(each["d"], each["raw"]) for each in records if each["k"] == "m"]
    for d, frame in ((">", REQUEST), ("<", REPLY)):
        assert [raw for direction, raw in kept if direction == d] == [numbered(frame, number) for number in range(1, 301)]


async def test_a_kill_of_the_process_that_writes_leaves_what_was_written_and_the_line(tmp_path: Path):
    async with (
        proxied(tmp_path / "a.tgcap.jsonl", process=True) as (port, feed, warned),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
    ):
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
    async with proxied(tmp_path / "a.tgcap.jsonl", block=block, process=True) as (port, feed, _):
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


@pytest.mark.parametrize("block", [False, True], ids=["drop", "block"])
async def test_a_full_disk_costs_the_capture_or_makes_clients_wait_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: bool
):
    if block:
        monkeypatch.setattr(capture_feed, "HELD", 40_000)
        monkeypatch.setattr(capture_feed, "PIPE", 4096)
    more = {"on_full": "block"} if block else {}
    answered = 0
    async with (
        proxied(tmp_path / "a.tgcap.jsonl", block=block, process=True, **more) as (port, feed, warned),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
    ):
        resource.prlimit(feed.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

        async def ask() -> None:
            nonlocal answered
            while answered < 300:
                await client.send_all(numbered(REQUEST, answered + 1))
                await exactly(client, len(REPLY))
                answered += 1
                await trio.lowlevel.checkpoint()

        with trio.move_on_after(3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                while not warned:  # noqa: ASYNC110
                    await trio.sleep(0.02)
                if block:
                    await trio.sleep(0.1)
                    assert answered < 300
                    resource.prlimit(feed.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert answered == 300
    fate = "telegrams wait" if block else "telegrams go through, and are not captured"
    assert warned[0] == f"the capture cannot be written: File too large: {fate}"
    assert warned[1:] == (["it can be written again"] if block else [])
    said = feed.said  # type: ignore[attr-defined]
    reader = CaptureReader(tmp_path / "a.tgcap.jsonl")  # finds what was not closed too
    kept = [(each["d"], each["raw"]) for each in reader.telegrams()]
    assert len(kept) == said["telegrams"] == (600 if block else 600 - said["unwritten"] - said["left_out"]) and not reader.findings.damaged
    assert kept == [(d, numbered(raw, number)) for number in range(1, 301) for d, raw in ((">", REQUEST), ("<", REPLY))][: len(kept)]
    assert reader.findings.closed_cleanly == block and bool(said["why"]) == (not block)


def test_a_kill_of_the_proxy_leaves_a_file_that_can_be_read_and_closes_every_line(tmp_path: Path):
    door = socket.create_server(("127.0.0.1", 0))
    ports, told = os.pipe()
    proxy = os.fork()
    if not proxy:
        os.close(ports)
        door.listen()

        async def serve() -> None:
            feed = Feed(settings(tmp_path / "a.tgcap.jsonl"))
            run = Proxy([Way(("127.0.0.1", 0), door.getsockname())], read_spec(SPEC), feed, warn=lambda text: None).run
            async with trio.open_nursery() as nursery:
                os.write(told, b"%d" % (await nursery.start(run))[0])

        try:
            trio.run(serve)
        finally:
            os._exit(1)
    os.close(told)
    client = socket.create_connection(("127.0.0.1", int(os.read(ports, 10))))
    behind, _ = door.accept()
    with client, behind, door:
        for number in range(1, 101):
            client.sendall(numbered(REQUEST, number))
            assert behind.recv(len(REQUEST), socket.MSG_WAITALL) == numbered(REQUEST, number)
            behind.sendall(numbered(REPLY, number))
            assert client.recv(len(REPLY), socket.MSG_WAITALL) == numbered(REPLY, number)
        time.sleep(2 * capture_proxy.BEAT)  # what came in the last moments may be lost
        client.sendall(numbered(REQUEST, 101)[:100])
        os.kill(proxy, signal.SIGKILL)
        os.waitpid(proxy, 0)
        for line in (client, behind):
            line.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                while line.recv(4096):
                    pass
    os.close(ports)
    latest = time.monotonic() + 5
    while not (tmp_path / "a.tgcap.jsonl").exists() and time.monotonic() < latest:
        time.sleep(0.01)
    reader = CaptureReader(tmp_path / "a.tgcap.jsonl")
    assert len(list(reader.telegrams())) == 200 and not reader.findings.damaged


def test_what_cannot_be_written_is_counted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sink = Sink(Settings(str(SPEC), "", str(tmp_path / "a.tgcap.jsonl"), "proxy", 0, 0.0))
    sink.take((OPENED, "c1", "front", "a:1", "b:2", None, 0.0))
    sink.take((CAME, "c1", 0.1, [REQUEST]))
    sink.flush()
    with sink._writer._file._stream, open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sink._writer._file, "_stream", full)
        sink.take((LEFT, "c1", 0.2, [REPLY]))
        sink.flush()
        sink.take((CAME, "c1", 0.3, [REQUEST] * 3))
        said = sink.end()
    assert said["why"] == "the capture cannot be written: No space left on device"
    assert (said["telegrams"], said["unwritten"], said["files"]) == (1, 4, [str(tmp_path / "a.tgcap.jsonl.part")])


def test_with_block_writing_is_tried_until_there_is_room_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def wait(why: str) -> bool:
        asked.append(why)
        if len(asked) == 2:
            monkeypatch.setattr(sink._writer._file, "_stream", disk)
        return bool(why)

    sink = Sink(Settings(str(SPEC), "", str(tmp_path / "a.tgcap.jsonl"), "proxy", 0, 0.0), wait)
    sink.take((CAME, "c1", 0.1, [REQUEST]))
    disk = sink._writer._file._stream
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sink._writer._file, "_stream", full)
        sink.flush()
    sink.take((LEFT, "c1", 0.2, [REPLY]))
    said = sink.end()
    assert asked == ["the capture cannot be written: No space left on device"] * 2 + [""]
    assert (said["telegrams"], said["unwritten"], said["why"]) == (2, 0, "")
    reader = CaptureReader(tmp_path / "a.tgcap.jsonl")
    assert [each["raw"] for each in reader.telegrams()] == [REQUEST, REPLY] and not reader.findings.damaged


def test_an_answer_without_its_request_is_left_out_once_requests_were(tmp_path: Path):
    sink = Sink(Settings(str(SPEC), "", str(tmp_path / "a.tgcap.jsonl"), "proxy", 0, 0.0))
    sink.take((capture_feed.SHED, 1))
    sink.take((LEFT, "c1", 0.2, [REPLY]))
    assert sink.end()["left_out"] == 2
    assert [each["k"] for each in CaptureReader(tmp_path / "a.tgcap.jsonl")] == ["note"]


def test_all_copies_of_a_request_and_their_answers_are_one_exchange():
    exchanges = capture_child.Exchanges(read_spec(SPEC), copies=True)
    message = read_spec(SPEC).message_of(REQUEST)
    first = exchanges.name("bank", message, REQUEST, came=True)
    assert exchanges.name("core", message, REQUEST, came=False) == first
    reply = read_spec(SPEC).message_of(REPLY)
    assert exchanges.name("core", reply, REPLY, came=True) == exchanges.name("bank", reply, REPLY, came=False) == first
    assert exchanges.name("bank", message, REQUEST, came=True) != first
    assert exchanges.name("core", reply, numbered(REPLY, 9), came=True) is None


def test_before_a_proxy_nothing_is_a_copy_so_the_same_bytes_again_are_another_exchange():
    exchanges = capture_child.Exchanges(read_spec(SPEC), copies=False)
    message = read_spec(SPEC).message_of(REQUEST)
    assert [exchanges.name("c1", message, REQUEST, came=False) for _ in range(2)] == ["x1", "x2"]


def test_an_answer_on_a_connection_that_never_asks_belongs_to_what_was_asked_on_another():
    exchanges = capture_child.Exchanges(read_spec(SPEC), copies=False)
    request, reply = (read_spec(SPEC).message_of(frame) for frame in (REQUEST, REPLY))
    for number, connection in ((1, "there"), (2, "there"), (2, "beside")):
        exchanges.name(connection, request, numbered(REQUEST, number), came=True)
    assert exchanges.name("back", reply, numbered(REPLY, 1), came=True) == "x1"
    assert exchanges.name("back", reply, numbered(REPLY, 2), came=True) is None, "two have asked by this number"
    assert exchanges.name("beside", reply, numbered(REPLY, 1), came=True) is None, "it has its own"


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
