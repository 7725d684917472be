"""The bank's ledger: one file that its hosts share, as they would share a database. A killed host leaves it whole."""

# Each line is written by one system call under a lock that the kernel takes back from a process that dies.

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from telegram_router.demo.books import Entry, Key

OPENING_BALANCE: Final = 100_000_000


def entries(path: Path) -> list[Entry]:
    """The whole ledger, oldest first."""
    return [_entry(line) for line in path.read_text("utf-8").splitlines()]


def _entry(line: str) -> Entry:
    fields = json.loads(line)
    company, number = fields.pop("key")
    return Entry(key=(company, number), **fields)


class Ledger:
    """One host's view of the ledger."""

    def __init__(self, path: Path, host: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._host = host
        self._read = 0  # bytes of it that are known here
        self._balances: dict[str, int] = {}
        self._executed: dict[Key, int] = {}

    def close(self) -> None:
        os.close(self._fd)

    def note(self, event: str, key: Key, amount: int = 0, balance: int = 0) -> None:
        """One more line."""
        entry = asdict(Entry(time.monotonic(), self._host, event, key, amount, balance))
        os.write(self._fd, json.dumps(entry).encode("utf-8") + b"\n")

    def book(self, key: Key, amount: int) -> tuple[bool, int]:
        """Take an amount from the company's account if it is there. Whether it was, and the balance."""
        with self._locked():
            balance = self._balances.get(key[0], OPENING_BALANCE)
            if amount > balance:
                self.note("refused", key, amount, balance)
                return False, balance
            self.note("executed", key, amount, balance - amount)
            return True, balance - amount

    def executed(self, key: Key) -> int | None:
        """The amount of what was executed under that key; None when nothing was."""
        with self._locked():
            return self._executed.get(key)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            self._catch_up()
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """What the other hosts have booked since."""
        size = os.fstat(self._fd).st_size
        text = os.pread(self._fd, size - self._read, self._read)
        whole = text.rfind(b"\n") + 1
        self._read += whole
        for line in text[:whole].decode("utf-8").splitlines():
            entry = _entry(line)
            if entry.event == "executed":
                self._balances[entry.key[0]] = entry.balance
                self._executed[entry.key] = entry.amount
