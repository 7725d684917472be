"""The simulated hosts of the demo, all of them from `simulators/`: a core bank, two lines in front of it, and a credit service."""

from __future__ import annotations

import json
import signal
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from telegram_router.demo.processes import Child, NotStarted, got, started_on_port
from telegram_router.telegrams import Spec
from telegram_router.tools.simulate.control import ask
from telegram_router.tools.simulate.fixture import Host, prepared_from, run_simulator
from telegram_router.tools.simulate.ready import ready_file
from telegram_router.written import Address

CORE, LINE, CREDIT = "core-banking.toml", "line-server.toml", "credit_service.py"
ANY_PORT: Final = Address("127.0.0.1", 0)
SEED: Final = 42
OUTLIVES: Final = 60  # seconds after which a host ends by itself, should the demo be killed
COMPLAINTS: Final = "hosts.log"
# What an ill line does: every second transfer never reaches the core, and no answer comes back.
ILLNESS: Final = (
    "match = 'msg=transfer.request', every = 2, do = { lost = true }",
    "match = 'msg=transfer.request', do = { silent = true }",
)


def recording(folder: Path, name: str) -> Path:
    """Where a host writes down what it gets and sends."""
    return folder / f"{name}.tgcap.jsonl"


def simulated(scenario: str, spec: Spec, record: Path, **changes: Any) -> AbstractAsyncContextManager[Host]:
    """A ready scenario in this process, on a port of its own. Raises NotStarted."""
    prepared = prepared_from(_ready(scenario), lambda _, __: spec).with_changes(**changes)
    return run_simulator(prepared, lambda _, __: spec, seed=SEED, sockets=True, record=record, listen=ANY_PORT)


@dataclass(frozen=True)
class Line:
    """A line server in a process of its own, so that it can be killed like one."""

    child: Child
    address: Address
    record: Path
    control: Path

    @classmethod
    async def start(cls, name: str, core: Address, folder: Path, at: Address = ANY_PORT) -> Line:
        """`telegram-router simulate line-server`. Raises NotStarted."""
        control, record = folder / f"{name}.sock", recording(folder, name)
        what = (
            "simulate",
            str(_ready(LINE)),
            "--on-miss",
            f"forward:{core}",
            "--listen",
            str(at),
            "--seed",
            str(SEED),
            "--duration",
            f"{OUTLIVES}s",
        )
        files = ("--control", str(control), "--record", str(record))
        child, port = await started_on_port(name, ["-m", "telegram_router", *what, *files], signal.SIGTERM, folder / COMPLAINTS)
        return cls(child, Address(at.host, port), record, control)

    async def fall_ill(self) -> None:
        for fault in ILLNESS:
            await trio.to_thread.run_sync(ask, self.control, {"order": "fault_add", "fault": fault})


@dataclass(frozen=True)
class CreditService:
    """여신: knows JSON over HTTP only."""

    child: Child
    port: int

    @classmethod
    async def start(cls, folder: Path) -> CreditService:
        """`python simulators/credit_service.py`. Raises NotStarted."""
        command = [str(_ready(CREDIT)), "--port", "0", "--duration", str(OUTLIVES)]
        return cls(*await started_on_port("credit", command, signal.SIGINT, folder / COMPLAINTS))

    async def requests(self) -> list[dict[str, Any]]:
        """All that it was asked, each with its answer."""
        _, _, body = (await got(f"127.0.0.1:{self.port}", "/requests")).partition("\r\n\r\n")
        found: list[dict[str, Any]] = json.loads(body)
        return found


def _ready(name: str) -> Path:
    path = ready_file(name)
    if path is None:
        raise NotStarted(f"simulators/{name} is missing: install telegram-router whole")
    return path
