"""Captures of a running router: what passes is in the file, masked, joined by exchange; and nobody waits for it."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from edited import edited
from running_router import Host, Running, answer_to, betrayed, config, running, spec_named, transfer

from telegram_router.cli import main
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.tools.packets.files import PacketFile
from telegram_router.tools.packets.importing import Importer
from telegram_router.wire import capture_feed

KEY = b"a key of more than sixteen bytes"


@asynccontextmanager
async def steered(folder: Path, **more: Any) -> AsyncIterator[tuple[Running, Host]]:
    async with Host() as core, running(config(core) + '\n[admin]\nsocket = "admin.sock"\n', folder) as router:
        await router.linked("core")
        yield router, core


async def ask(folder: Path, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """One request of the admin API."""
    raw = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(raw)}\r\n"
    async with await trio.open_unix_socket(folder / "admin.sock") as stream:
        await stream.send_all(head.encode() + (b"Content-Type: application/json\r\n" if body is not None else b"") + b"\r\n" + raw)
        data = b""
        with trio.fail_after(5):
            async for part in stream:
                data += part
    front, _, rest = data.partition(b"\r\n\r\n")
    return int(front.split()[1]), json.loads(rest[rest.index(b"{") : rest.rindex(b"}") + 1])


async def start(folder: Path, **order: Any) -> dict[str, Any]:
    code, seen = await ask(folder, "POST", "/capture", {"file": str(folder / "live.tgcap.jsonl"), "duration_s": 60, **order})
    assert code == 200, seen
    return seen


async def stop(folder: Path) -> dict[str, Any]:
    code, seen = await ask(folder, "POST", "/capture/stop", {})
    assert code == 200, seen
    return seen


async def test_what_passes_is_captured_on_both_sides_and_joined(tmp_path: Path):
    async with steered(tmp_path) as (router, _):
        seen = await start(tmp_path)
        assert seen["running"] and not seen["masked"]
        client = await router.connect()
        for number in (1, 2, 3):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        seen = await stop(tmp_path)
        assert (seen["telegrams"], seen["left_out"], seen["why"]) == (12, 0, "")
        assert router.switch.tap is None
        actions = [line["action"] for line in router.log.all() if line["event"] == "operator_action"]
        assert actions == ["start_capture", "stop_capture"]
    reader = CaptureReader(tmp_path / "live.tgcap.jsonl")
    kept = list(reader)
    assert reader.findings.closed_cleanly and not reader.findings.damaged
    legs = {record["c"]: record["leg"] for record in kept if record["k"] == "open"}
    telegrams = [record for record in kept if record["k"] == "m"]
    for number in (1, 2, 3):
        whole = [record for record in telegrams if record["x"] == f"x{number}"]
        assert [(legs[record["c"]], record["d"]) for record in whole] == [("front", ">"), ("back", ">"), ("back", "<"), ("front", "<")]
        assert [record["raw"] for record in whole] == [transfer(number)] * 2 + [answer_to(transfer(number))] * 2


def told(records: Sequence[dict[str, Any]]) -> dict[str, tuple[list[bytes], list[bytes], list[tuple[bytes, ...]]]]:
    """By connection, however it is called: what went either way in its order, and what was one exchange."""
    lines: dict[str, dict[str, Any]] = {}
    for record in records:
        if record["k"] == "m":
            line = lines.setdefault(record["c"], {">": [], "<": [], "x": {}})
            line[record["d"]].append(record["raw"])
            line["x"].setdefault(record["x"], []).append(record["raw"])
    found = [(line[">"], line["<"], sorted(map(tuple, line["x"].values()))) for line in lines.values()]
    return {str(index): line for index, line in enumerate(sorted(found))}


@contextmanager
def recorded(path: Path, *ports: int) -> Iterator[None]:
    """tcpdump at the loopback, until it has written everything that is asked for by then."""
    wanted = " or ".join(f"tcp port {port}" for port in ports)
    command = ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-B", "8192", "-w", str(path), wanted]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recorder:
        try:
            assert recorder.stderr is not None and any("listening" in line for line in recorder.stderr)
            yield
        finally:
            recorder.terminate()


async def test_what_tcpdump_records_of_a_router_is_what_its_own_capture_holds_however_bad_the_line(tmp_path: Path):
    path = tmp_path / "line.pcap"
    async with steered(tmp_path) as (router, core):
        with recorded(path, router.address()[1], core.port):
            await start(tmp_path)
            clients = [await router.connect() for _ in range(3)]
            for number in range(1, 181, 15):
                for later, client in enumerate(clients):
                    for each in range(5):
                        await client.sends(transfer(number + later * 5 + each))
                for client in clients:
                    for _ in range(5):
                        await client.got()
            await stop(tmp_path)
            last = [answer_to(transfer(number)) for number in range(166, 181)]
            await router.until(lambda: all(path.read_bytes().count(frame) >= 2 for frame in last), "tcpdump is a little behind")
    own = told(list(CaptureReader(tmp_path / "live.tgcap.jsonl")))
    assert len(own) == 4
    spoilt = Counter[str]()
    for seed in range(12):
        data, done = edited(path.read_bytes(), seed)
        records: list[dict[str, Any]] = []
        importer = Importer(PacketFile(io.BytesIO(data), "line.pcap"), spec_named("firmbanking"), records.append)
        found = importer.run(lambda t0: None)
        assert told(records) == own, f"seed {seed}: {found.stories}"
        assert not found.gaps and not found.warnings
        spoilt += done
    assert len(spoilt) == 5 and min(spoilt.values()) > 20, spoilt


async def test_nothing_unmasked_is_written_where_masking_is_on(tmp_path: Path):
    (tmp_path / "mask.key").write_bytes(KEY)
    async with steered(tmp_path) as (router, _):
        assert (await start(tmp_path, mask_key_file=str(tmp_path / "mask.key")))["masked"]
        client = await router.connect()
        for number in range(1, 6):
            await client.asks(transfer(number))
        await stop(tmp_path)
    kept = list(CaptureReader(tmp_path / "live.tgcap.jsonl"))
    frames = [record["raw"] for record in kept if record["k"] == "m"]
    assert len(frames) == 20
    text = (tmp_path / "live.tgcap.jsonl").read_text() + "".join(frame.decode("cp949") for frame in frames)
    assert not betrayed(text)
    for frame in frames:
        spec_named("firmbanking").decode(frame)


async def test_it_ends_by_itself_and_only_one_is_made_at_a_time(tmp_path: Path):
    async with steered(tmp_path) as (router, _):
        await start(tmp_path, duration_s=0.3)
        assert (await ask(tmp_path, "POST", "/capture", {"file": str(tmp_path / "b.tgcap.jsonl"), "duration_s": 1}))[0] == 409
        await router.until(lambda: router.switch.tap is None)
    assert list(CaptureReader(tmp_path / "live.tgcap.jsonl")) == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"file": "live.tgcap.jsonl"}, "E-CAP-05"),
        ({"file": "/etc/passwd"}, "E-CAP-05"),
        ({"file": "/nowhere/at/all/live.tgcap.jsonl"}, "E-CAP-05"),
        ({"mask_key_file": "/nowhere/mask.key"}, "E-CAP-09"),
        ({"mask_key_file": "short.key"}, "E-CAP-09"),
    ],
    ids=["relative", "foreign", "folder", "no key", "short key"],
)
async def test_what_cannot_be_captured_is_refused_at_once(tmp_path: Path, order: dict[str, Any], code: str):
    (tmp_path / "short.key").write_bytes(b"short")
    if order.get("mask_key_file") == "short.key":
        order = {"mask_key_file": str(tmp_path / "short.key")}
    async with steered(tmp_path) as (router, _):
        status, said = await ask(tmp_path, "POST", "/capture", {"file": str(tmp_path / "live.tgcap.jsonl"), "duration_s": 1, **order})
        assert status == 400 and code in said["what"]
        assert router.switch.tap is None and not (await ask(tmp_path, "GET", "/capture"))[1]["running"]


async def test_when_the_router_stops_the_file_is_closed(tmp_path: Path):
    async with steered(tmp_path) as (router, _):
        await start(tmp_path)
        client = await router.connect()
        await client.asks(transfer(1))
    reader = CaptureReader(tmp_path / "live.tgcap.jsonl")
    assert sum(record["k"] == "m" for record in reader) == 4
    assert reader.findings.closed_cleanly


async def test_telegrams_go_on_when_the_other_process_dies_or_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capture_feed, "HELD", 65_536)
    monkeypatch.setattr(capture_feed, "PIPE", 4096)
    async with steered(tmp_path) as (router, _):
        seen = await start(tmp_path)
        os.kill(seen["process"], signal.SIGSTOP)
        client = await router.connect()
        for number in range(1, 101):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        assert (await ask(tmp_path, "GET", "/capture"))[1]["left_out"] > 0
        os.kill(seen["process"], signal.SIGCONT)
        seen = await stop(tmp_path)
        assert seen["left_out"] > 0 and not seen["why"]
        counted: dict[str, int] = {}
        for record in CaptureReader(tmp_path / "live.tgcap.jsonl"):
            if record["k"] == "m":
                counted[record["x"]] = counted.get(record["x"], 0) + 1
        assert counted and set(counted.values()) == {4}, "what is there is whole"
        (tmp_path / "live.tgcap.jsonl").unlink()

        seen = await start(tmp_path)
        os.kill(seen["process"], signal.SIGKILL)
        for number in range(201, 301):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        await router.until(lambda: router.switch.tap is None)


async def test_a_full_disk_ends_it_at_once_and_telegrams_go_on(tmp_path: Path):
    async with steered(tmp_path) as (router, _):
        seen = await start(tmp_path)
        resource.prlimit(seen["process"], resource.RLIMIT_FSIZE, (3_000, resource.RLIM_INFINITY))
        client = await router.connect()
        for number in range(1, 11):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        await router.until(lambda: router.switch.tap is None)
        assert await client.asks(transfer(11)) == answer_to(transfer(11))
        await router.until(lambda: router.log.named("capture_ended"))
        seen = (await ask(tmp_path, "GET", "/capture"))[1]
        assert not seen["running"] and seen["why"] == "the capture cannot be written: File too large"
        kept = list(CaptureReader(tmp_path / "live.tgcap.jsonl").telegrams())
        assert seen["telegrams"] == 40 == len(kept) + seen["left_out"] and seen["files"] == [str(tmp_path / "live.tgcap.jsonl.part")]


async def test_the_command_captures_for_as_long_as_it_is_told(tmp_path: Path):
    (tmp_path / "mask.key").write_bytes(KEY)
    arguments = ["capture", "attach", "--admin", f"unix:{tmp_path / 'admin.sock'}", "-w", str(tmp_path / "day.tgcap.jsonl")]
    arguments += ["--duration", "1s", "--mask-key-file", str(tmp_path / "mask.key"), "--json"]
    async with steered(tmp_path) as (router, _), trio.open_nursery() as nursery:

        async def command() -> None:
            done = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, arguments, prog_name="telegram-router"))
            assert done.exit_code == 0, done.output + done.stderr
            assert json.loads(done.stdout)["telegrams"] == 4

        client = await router.connect()
        nursery.start_soon(command)
        with trio.fail_after(15):  # a whole command starts
            while router.switch.tap is None:  # noqa: ASYNC110
                await trio.sleep(0.02)
        await client.asks(transfer(1))
    reader = CaptureReader(tmp_path / "day.tgcap.jsonl")
    assert reader.head["mask"]["policy"] == "default" and len(list(reader)) == 6
