"""The live tail over real sockets: who watches, who leaves, who does not read, and the command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result
from running_router import Host, Running, answer_to, betrayed, config, running, transfer

from telegram_router.cli import main
from telegram_router.ops import server, streaming, tail


@asynccontextmanager
async def steered(folder: Path) -> AsyncIterator[tuple[Running, Host]]:
    async with Host() as core, running(config(core) + '\n[admin]\nsocket = "admin.sock"\n', folder) as router:
        await router.linked("core")
        yield router, core


class Reader:
    """Reads a tail line by line from a Unix socket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""

    async def lines(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with trio.fail_after(3):
            while len(found) < count:
                while b"\n" not in self.buffer:
                    data = await self.stream.receive_some()
                    assert data, "the tail has ended"
                    self.buffer += data
                line, _, self.buffer = self.buffer.partition(b"\n")
                if line.startswith(b"{"):
                    found.append(json.loads(line))
        return found


@asynccontextmanager
async def watching(folder: Path, terms: str = "") -> AsyncIterator[Reader]:
    async with await trio.open_unix_socket(folder / "admin.sock") as stream:
        await stream.send_all(f"GET /tail?filter={terms} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        reader = Reader(stream)
        with trio.fail_after(3):
            while b"\r\n\r\n" not in reader.buffer:
                reader.buffer += await stream.receive_some()
        yield reader


async def test_telegrams_are_shown_as_they_pass_for_longer_than_any_other_answer_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    monkeypatch.setattr(streaming, "SIGN_OF_LIFE", 0.05)
    async with steered(tmp_path) as (router, _), watching(tmp_path) as reader:
        client = await router.connect()
        for number in (1, 2):
            await trio.sleep(0.25)
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
            lines = await reader.lines(3)
            assert [(each["direction"], each["result"]) for each in lines] == [("in", ""), ("in", ""), ("out", "ok")]
            assert lines[2]["telegram"]["message_number"] == f"{number:06}" and not betrayed(json.dumps(lines))


async def test_who_leaves_is_noticed_and_nothing_is_called_any_more(tmp_path: Path):
    async with steered(tmp_path) as (router, _):
        async with watching(tmp_path), watching(tmp_path):
            await router.until(lambda: router.switch.tap is not None)
        await router.until(lambda: router.switch.tap is None and router.switch.ended is None)


async def test_more_watchers_than_there_is_room_for_and_bad_filters_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tail, "WATCHERS", 1)
    async with steered(tmp_path) as (router, _):
        async with watching(tmp_path) as first, watching(tmp_path) as second:
            assert b" 200 " in first.buffer and b" 409 " in second.buffer
        await router.until(lambda: router.switch.tap is None)
        async with watching(tmp_path, "amount=1") as refused:
            assert b" 400 " in refused.buffer


async def test_who_does_not_read_is_cut_off_and_slows_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    monkeypatch.setattr(tail, "IN_A_WINDOW", 100_000)
    async with steered(tmp_path) as (router, _):
        lazy = socket.socket(socket.AF_UNIX)
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(str(tmp_path / "admin.sock"))
        lazy.sendall(b"GET /tail HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await router.until(lambda: router.switch.tap is not None)
        client = await router.connect()
        number = 0
        with trio.fail_after(5):
            while router.switch.tap is not None:
                number += 1
                assert await client.asks(transfer(number)) == answer_to(transfer(number))
        lazy.close()
    assert number > 100


# --- the command


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["tail", *(str(each) for each in arguments)], prog_name="telegram-router")


@pytest.mark.parametrize(
    "arguments",
    [("--limit", "2", "--service", "core"), ("message_number=000001", "--message", "transfer.*", "--limit", "2", "--json")],
    ids=["for people", "for scripts"],
)
async def test_the_command_shows_lines_and_ends_after_as_many_as_it_was_told(arguments: tuple[str, ...], tmp_path: Path):
    async with steered(tmp_path) as (router, _), trio.open_nursery() as nursery:
        client = await router.connect()

        async def ask() -> None:
            number = 0
            while True:
                number = number % 5 + 1
                await client.asks(transfer(number))
                await trio.sleep(0.02)

        nursery.start_soon(ask)
        with trio.fail_after(10):
            result = await trio.to_thread.run_sync(lambda: call("--socket", tmp_path / "admin.sock", *arguments))
        nursery.cancel_scope.cancel()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 2 and not betrayed(result.stdout)
    if "--json" in arguments:
        assert {json.loads(line)["telegram"]["message_number"] for line in lines} == {"000001"}
    else:
        assert all("  ->  " in line or "  <-  " in line for line in lines) and any("companies - core" in line for line in lines)


async def test_a_bad_filter_is_told_by_the_command(tmp_path: Path):
    async with steered(tmp_path):
        refused = await trio.to_thread.run_sync(call, "amount=1", "--socket", tmp_path / "admin.sock")
    assert (refused.exit_code, refused.stdout) == (1, "") and refused.stderr.startswith("E-ADM-02")


async def test_ctrl_c_ends_the_command_cleanly(tmp_path: Path):
    async with steered(tmp_path) as (router, _):
        command = [sys.executable, "-m", "telegram_router", "tail", "--socket", str(tmp_path / "admin.sock")]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})
        with trio.fail_after(20):
            while router.switch.tap is None:  # noqa: ASYNC110 - nothing announces it
                await trio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            await process.wait()
            assert process.stderr is not None
            assert (process.returncode, await process.stderr.receive_some()) == (0, b"")
        await router.until(lambda: router.switch.tap is None)
