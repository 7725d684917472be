"""What systemd is told, and that the watchdog is fed by turns of the hub and by nothing else."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
import trio
from hub_kit import World, running
from trio.testing import MockClock

from telegram_router.wire.notify import Notifier, keep_alive


class Manager:
    """The other end: what it hears, as systemd would."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        found = []
        while True:
            try:
                lines = self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in lines))

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path):
    with Manager(f"@telegram-router-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")) as made:
        yield made


def test_each_state_is_told_with_what_systemd_needs_to_know_of_it(manager: Manager):
    environment = {"NOTIFY_SOCKET": manager.address, "HOME": "/"}
    notifier = Notifier.from_environment(environment)
    assert environment == {"HOME": "/"}
    notifier.ready("serving: 2 listeners\nREADY=0")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    notifier.stopping("stopping", 35.0)
    ready, reloading, stopping = manager.heard()
    assert ready == {"READY": "1", "MAINPID": str(os.getpid()), "STATUS": "serving: 2 listeners READY=0"}
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= before + 1_000_000
    assert stopping == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "35000000", "STATUS": "stopping"}
    notifier.reloading()
    notifier.ready("a reload that was refused, since it stops")
    assert not manager.heard()
    notifier.close()
    notifier.alive()
    assert not manager.heard()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_where_nobody_listens_telling_does_nothing(environment: dict[str, str]):
    notifier = Notifier.from_environment({**environment, "WATCHDOG_USEC": "1000"})
    notifier.ready("serving")
    notifier.alive()
    notifier.close()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("2000000", "", 2.0), ("2000000", str(os.getpid()), 2.0), ("2000000", "1", None), ("", "", None), ("0", "", None), ("-1", "", None)],
    ids=["no pid", "this process", "another process", "none", "zero", "no number"],
)
def test_the_watchdog_is_fed_where_systemd_wants_it_from_this_process(usec: str, pid: str, seconds: float | None):
    made = Notifier.from_environment({"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid})
    assert made.watchdog == seconds
    made.close()


async def test_a_hub_that_turns_feeds_the_watchdog_three_times_in_its_time(manager: Manager, world: World, autojump_clock: MockClock):
    notifier = Notifier(manager.address, watchdog=3.0)
    async with running(world) as nursery:
        nursery.start_soon(keep_alive, notifier, world.hub)
        await trio.sleep(10.5)
        assert manager.heard() == [{"WATCHDOG": "1"}] * 11
    notifier.close()


async def test_a_hub_that_is_stuck_feeds_nothing_though_everything_else_goes_on(manager: Manager, world: World, autojump_clock: MockClock):
    notifier = Notifier(manager.address, watchdog=3.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_alive, notifier, world.hub)
        await trio.sleep(60)
        assert not manager.heard()
        world.turn()
        await trio.sleep(60)
        assert manager.heard() == [{"WATCHDOG": "1"}]
        nursery.cancel_scope.cancel()
    notifier.close()
