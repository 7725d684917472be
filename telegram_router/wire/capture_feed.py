"""What is to be captured, handed to a child process that decodes, masks and writes it: nobody who handles telegrams waits for a disk."""

# Rules this file keeps, all of them tested:
#
# 1. At most HELD bytes wait for the pipe. From a quarter of that on, until it is an eighth, `pressed` says so, and whoever feeds should
#    begin no more exchanges: the rest is for the answers of those that have begun. What does not fit at all is dropped, and counted.
# 2. Nothing here waits, but `close`, and `room` where the user asked to be held up.
# 3. The child ends when the pipe does: also when this process is killed. It takes no notice of Ctrl-C.

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import trio

from telegram_router.errors import RouterError

HELD: Final = 16 * 1024 * 1024
PIPE: Final = 1024 * 1024
BATCH: Final = 256  # items of one message at most
OCTETS: Final = 1024 * 1024  # of telegrams, after which a message is as long as it should be
ROOM: Final = 0.005  # seconds between two looks for room
PATIENCE: Final = 5.0  # seconds in which the child must end when it is told to
CHILD: Final = "telegram_router.tools.capture_child"

# Kinds of items; the first of each says what follows it.
OPENED: Final = 0  # name, leg, peer, local, TLS
CAME: Final = 1  # name, seconds, frames from there
LEFT: Final = 2  # name, seconds, frames to there
CLOSED: Final = 3  # name, seconds, by whom, how
SHED: Final = 4  # telegrams that were left out
JUNK: Final = 5  # name, seconds, bytes, direction, what is wrong

Item = tuple[Any, ...]


class Feed:
    """The pipe to the child. Raises RouterError E-CAP-05 or E-CAP-09 at the start, as the child says it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.telegrams = 0  # that were passed to it
        self.dropped = 0  # telegrams
        self.pressed = False
        self.failed = False  # the child is gone
        self.trouble = ""  # as it was last looked for
        self._told = 0  # of what was dropped
        self._items: list[Item] = []
        self._octets = 0  # of telegrams in the items
        self._waiting = bytearray()  # at most HELD
        self._encode = msgspec.msgpack.Encoder().encode
        command = [sys.executable, "-m", CHILD]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pipe = self._process.stdin.fileno()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE)
        first = self._encode(settings)
        os.write(self._pipe, len(first).to_bytes(4, "little") + first)
        started = msgspec.json.decode(self._process.stdout.readline() or b'{"code": "E-CAP-05", "what": "the capturing process has ended"}')
        if "code" in started:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            raise RouterError(started["code"], started["what"], where=started.get("where", ""))
        os.set_blocking(self._pipe, False)
        os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def put(self, item: Item) -> None:
        self._items.append(item)
        if len(self._items) >= BATCH:
            self.flush()

    def passed(self, kind: int, name: str, now: float, frames: Sequence[bytes]) -> None:
        """Telegrams that came or left."""
        self.telegrams += len(frames)
        self._items.append((kind, name, now, frames))
        self._octets += len(frames) * len(frames[0])  # near enough to bound a message
        if self._octets >= OCTETS or len(self._items) >= BATCH:
            self.flush()

    def look(self) -> str:
        """Why nothing is written, as far as it is known; "" while all is well."""
        assert self._process.stdout is not None
        if said := self._process.stdout.read():
            self.trouble = msgspec.json.decode(said.splitlines()[-1])["why"]
        elif self.failed:
            self.trouble = self.trouble or "the process that writes the capture has ended"
        return self.trouble

    def flush(self) -> None:
        """Hand over what there is, as far as the pipe takes it."""
        items = self._items
        if items or self.dropped != self._told:
            if self.dropped != self._told:
                items.insert(0, (SHED, self.dropped))
                self._told = self.dropped
            message = self._encode(items)
            if self.failed or len(self._waiting) + len(message) > HELD:
                self.dropped += sum(len(item[3]) for item in items if item[0] in (CAME, LEFT))
            else:
                self._waiting += len(message).to_bytes(4, "little")
                self._waiting += message
            self._items = []
            self._octets = 0
        if self._waiting and not self.failed:
            try:
                del self._waiting[: os.write(self._pipe, self._waiting)]
            except BlockingIOError:
                pass
            except OSError:
                self.failed = True
        self.pressed = len(self._waiting) > HELD // (8 if self.pressed else 4)

    async def room(self) -> None:
        """Wait until there is room, however long it takes."""
        while self.pressed and not self.failed:
            await trio.sleep(ROOM)  # many may wait, and only one could wait for the pipe itself
            self.flush()

    def close(self) -> dict[str, Any]:
        """No more comes. Waits until the child has written all, a few seconds at most; gives its last words."""
        self.flush()
        assert self._process.stdin is not None and self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while self._waiting and not self.failed and time.monotonic() < deadline:
            select.select([], [self._pipe], [], 0.1)
            self.flush()
        self._process.stdin.close()  # without a buffer of its own: it cannot fail for what was written
        self._process.stdin = None
        try:
            said = self._process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            said = b""
            self._process.wait()
        self._process.stdout.close()
        return msgspec.json.decode(said.splitlines()[-1]) if said else {"why": "the capturing process did not end as it should"}
