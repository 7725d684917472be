"""The file of counters in the state folder: added to, and written anew when most of it is out of date."""

# Rules this file keeps, all of them tested:
#
# 1. Whatever happens at whatever byte, what was synced before is read again.
# 2. What could not be written whole is taken back before anything else is written.
# 3. A folder has one router. What a crash left of a file that was being written anew is not looked at.

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from telegram_router.errors import RouterError
from telegram_router.storage.lines import Found, read_lines

NAME, NEW, LOCK = "counters.log", ".new", "lock"
SMALL = 4 * 1024 * 1024  # a file is not written anew for less
GROWTH = 3  # times its size after it was last written anew


class Disk:
    """What a file is written with. Tests have one that is full."""

    def write(self, file: int, data: memoryview) -> int:
        return os.write(file, data)

    def sync(self, file: int) -> None:
        os.fsync(file)


class StateFolder:
    """The folder, held by this process alone."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        """Raises RouterError: E-STO-01 when it cannot be used, E-STO-02 when another router works with it."""
        self.path = path
        self._disk = disk or Disk()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise RouterError(
                "E-STO-02", "another router works with this state folder", where=str(path), do="stop it, or give each its own `state`"
            ) from None

    def counters(self, name: str = NAME) -> Counters:
        """Its counters, or another such file, what a crash left half written cut off. Raises RouterError E-STO-01."""
        try:
            return Counters(self.path, self._disk, name)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def close(self) -> None:
        os.close(self._lock)


def read_counters(path: Path) -> Found:
    """What the counters of a folder are, whether a router works with it or not. Raises RouterError E-STO-01."""
    try:
        return read_lines((path / NAME).read_bytes())
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError) -> RouterError:
    what = f"the state folder cannot be used: {error.strerror or type(error).__name__}"
    return RouterError("E-STO-01", what, where=error.filename or str(path), do="check the folder, its owner and its permissions")


class Counters:
    """The file. Its methods wait for the disk, so they are called in threads, one at a time. All raise OSError."""

    def __init__(self, folder: Path, disk: Disk, name: str = NAME) -> None:
        self._folder = folder
        self._disk = disk
        self._path, self._new_path = folder / name, folder / f"{name}{NEW}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._new_path)
        self._file = _open(self._path)
        self.found = read_lines(self._path.read_bytes())
        self.size = self.found.sound
        os.ftruncate(self._file, self.size)
        self._doubtful = False  # what stands behind `size` is to be cut off
        self._base = 0
        self._new: int | None = None
        self._new_size = 0

    @property
    def large(self) -> bool:
        """Whether it is worth writing it anew."""
        return self.size > max(SMALL, GROWTH * self._base)

    def add(self, lines: Iterable[bytes]) -> None:
        """Write lines and wait until they are on the disk. Of a file that is being written anew the new one gets them too."""
        data = b"".join(lines)
        if self._doubtful:
            os.ftruncate(self._file, self.size)
        self._doubtful = True
        self._write(self._file, data)
        self._disk.sync(self._file)
        self._doubtful = False
        self.size += len(data)
        if self._new is not None:
            self._write(self._new, data)
            self._new_size += len(data)

    def begin_anew(self) -> None:
        self.give_up_anew()
        self._new = _open(self._new_path)
        os.ftruncate(self._new, 0)
        self._new_size = 0

    def add_anew(self, lines: Iterable[bytes]) -> None:
        """Lines for the new file alone."""
        assert self._new is not None
        data = b"".join(lines)
        self._write(self._new, data)
        self._new_size += len(data)

    def take_over(self) -> None:
        """From now on the new file is the one."""
        assert self._new is not None
        self._disk.sync(self._new)
        os.rename(self._new_path, self._path)
        os.close(self._file)
        self._file, self._new = self._new, None
        self.size = self._base = self._new_size
        self._doubtful = False
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._disk.sync(folder)
        finally:
            os.close(folder)

    def give_up_anew(self) -> None:
        """The old file goes on."""
        if self._new is not None:
            os.close(self._new)
            self._new = None

    def close(self) -> None:
        self.give_up_anew()
        os.close(self._file)

    def _write(self, file: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._disk.write(file, rest) :]


def _open(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.fchmod(file, 0o600)
    return file
