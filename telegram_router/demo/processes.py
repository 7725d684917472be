"""The processes of the demo: the router itself, and the hosts that can be killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import trio

PATIENCE: Final = 5.0  # seconds that a process has to end by itself


class NotStarted(Exception):
    """A process that should run does not; the text says where to look."""


class Child:
    """A process of ours, which does not outlive the block it is used in."""

    def __init__(self, name: str, process: trio.Process, ends_with: signal.Signals) -> None:
        self.name = name
        self.process = process
        self._ends_with = ends_with

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str], ends_with: signal.Signals = signal.SIGTERM, **pipes: Any) -> Child:
        """Run Python, with the stdin, stdout and stderr given."""
        return cls(name, await trio.lowlevel.open_process([sys.executable, *arguments], **pipes), ends_with)

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            await self.end()
        self.kill()
        with trio.CancelScope(shield=True):
            await self.process.wait()
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream is not None:
                    await stream.aclose()

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()

    async def end(self) -> int | None:
        """Tell it to end, unless it has already, and wait. Its exit code; None where it takes too long."""
        if self.process.returncode is None:
            self.process.send_signal(self._ends_with)
        with trio.move_on_after(PATIENCE):
            await self.process.wait()
        return self.process.returncode


async def started_on_port(name: str, arguments: Sequence[str], ends_with: signal.Signals, complaints: Path) -> tuple[Child, int]:
    """A host and the port that it says it listens on. Raises NotStarted."""
    with complaints.open("ab") as file:
        child = await Child.start(name, arguments, ends_with, stdout=file, stderr=subprocess.PIPE)
    try:
        return child, await _port_told(child, complaints)
    except BaseException:
        child.kill()
        raise


async def _port_told(child: Child, complaints: Path) -> int:
    assert child.process.stderr is not None
    said = b""
    while (found := re.search(rb"listens on \S*?:(\d+)\b.", said, re.DOTALL)) is None:
        piece = await child.process.stderr.receive_some(1000)
        said += piece
        if not piece:
            with complaints.open("ab") as file:
                file.write(said)
            raise NotStarted(f"{child.name} did not start; see {complaints}")
    return int(found[1])


class RouterLog:
    """The router's log as it comes, kept in a file too."""

    def __init__(self, child: Child, file: Path) -> None:
        self._child = child
        self._file = file
        self.events: list[dict[str, Any]] = []
        self._news = trio.Condition()

    async def keep(self) -> None:
        """Read until the router ends."""
        with self._file.open("wb") as file:
            async for line in self._lines():
                file.write(line + b"\n")
                async with self._news:
                    self.events.append(json.loads(line))
                    self._news.notify_all()
        async with self._news:
            self.events.append({"event": "ended"})
            self._news.notify_all()

    async def first(self, event: str, after: int = 0) -> dict[str, Any]:
        """The first line of that event behind the first `after` lines. Raises NotStarted when the router ends before it."""
        async with self._news:
            while True:
                for each in self.events[after:]:
                    if each["event"] == event:
                        return each
                    if each["event"] == "ended":
                        raise NotStarted(f"the router ended; see {self._file}")
                await self._news.wait()

    async def _lines(self) -> AsyncIterator[bytes]:
        assert self._child.process.stderr is not None
        rest = b""
        while piece := await self._child.process.stderr.receive_some(65536):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line


async def start_router(config: Path) -> Child:
    return await Child.start("router", ["-m", "telegram_router", "run", str(config)], stderr=subprocess.PIPE)


async def got(address: str, path: str) -> str:
    """An answer over HTTP, head and body."""
    host, port = address.rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
        return b"".join([piece async for piece in stream]).decode()
