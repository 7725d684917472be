"""The processes of the demo: the router itself, and the transfer hosts that can be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import trio


class NotStarted(Exception):
    """A process that should run does not; the text says where to look."""


class Child:
    """A process of ours, which does not outlive the block it is used in."""

    def __init__(self, name: str, process: trio.Process) -> None:
        self.name = name
        self.process = process

    @classmethod
    async def start(cls, name: str, module: str, *arguments: str, **pipes: Any) -> Child:
        """Run `python -m module`, with the stdin, stdout and stderr given."""
        return cls(name, await trio.lowlevel.open_process([sys.executable, "-m", module, *arguments], **pipes))

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.returncode is None:
            self.process.kill()
        with trio.CancelScope(shield=True):
            await self.process.wait()
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream is not None:
                    await stream.aclose()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


async def start_host(name: str, port: int, ledger: Path, complaints: Path) -> tuple[Child, int]:
    """A transfer host and its port; 0 lets the system choose one."""
    with complaints.open("ab") as file:
        child = await Child.start(
            name, "telegram_router.demo.host", name, str(port), str(ledger), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file
        )
    assert child.process.stdout is not None
    line = await child.process.stdout.receive_some(100)
    if not line:
        raise NotStarted(f"{name} did not start; see {complaints}")
    return child, int(line)


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
    return await Child.start("router", "telegram_router", "run", str(config), stderr=subprocess.PIPE)


async def scrape(address: str) -> str:
    """The text of the router's metrics endpoint."""
    host, port = address.rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(f"GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
        return b"".join([piece async for piece in stream]).decode()
