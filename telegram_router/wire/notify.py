"""Tells systemd what becomes of this process: ready, reloading, stopping, alive (the protocol of sd_notify)."""

# Rules this file keeps, all of them tested:
#
# 1. Where nobody listens nothing is done, and a message that is not taken is lost: telling never waits and never fails.
# 2. The watchdog is fed from inside a turn of the hub. A hub that is stuck feeds nothing, whatever else still runs.

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

import trio

from telegram_router.wire.hub import Hub

LONGEST_STATUS = 200  # characters
FEEDINGS = 3  # of the watchdog in the time that systemd allows


class Notifier:
    """The way to the service manager. `watchdog` is the time in seconds within which it wants to hear; None: it does not."""

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self.watchdog = watchdog if address is not None else None
        self._address = f"\0{address[1:]}" if address is not None and address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._stopping = False
        if address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Notifier:
        """By the variables that systemd sets. They are taken away: processes that we start are not the service."""
        found = {name: environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
        place = found["NOTIFY_SOCKET"]
        ours = found["WATCHDOG_PID"] in ("", str(os.getpid()))
        usec = found["WATCHDOG_USEC"]
        return cls(place if place[:1] in ("/", "@") else None, int(usec) / 1e6 if ours and usec.isdecimal() and int(usec) else None)

    def ready(self, status: str) -> None:
        """It serves: at its start, and again when a reload is over, whatever came of it."""
        if not self._stopping:
            self._send("READY=1", f"MAINPID={os.getpid()}", _status(status))

    def reloading(self) -> None:
        """A reload begins. systemd waits for `ready` and knows by the time which of its signals this answers."""
        if not self._stopping:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._send("RELOADING=1", f"MONOTONIC_USEC={now}", _status("reloading"))

    def stopping(self, status: str, within: float) -> None:
        """It ends, within so many seconds: systemd is asked not to kill it earlier, whatever the unit says."""
        self._stopping = True
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within * 1e6)}", _status(status))

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass  # who does not read does not hear


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:LONGEST_STATUS]}"


async def keep_alive(notifier: Notifier, hub: Hub) -> None:
    """Feed the watchdog for as long as turns of the hub come to an end. Returns at once where there is none."""
    while notifier.watchdog is not None:
        turned = trio.Event()

        def fed(_: float, turned: trio.Event = turned) -> None:
            notifier.alive()
            turned.set()

        hub.enter(fed)
        await turned.wait()
        await trio.sleep(notifier.watchdog / FEEDINGS)
