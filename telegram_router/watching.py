"""Reloads by itself when a file has changed: the configuration, a spec, a certificate, a key, a revocation list or a token."""

# Rules this file keeps, all of them tested:
#
# 1. A change counts once two looks have found the same: a file that is being written, or one of a pair that is renewed, is waited for.
# 2. It is what files hold that counts, not their times. A link to another folder, as Kubernetes swaps it, is a change of what they hold.
# 3. What was tried and refused is not tried again before something changes: neither the files nor those that the refusal names.
# 4. Looking is done beside the hub. A file system that hangs holds up nothing but the next look.

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import trio

from telegram_router.ops.logs import Log
from telegram_router.plan import Plan, digest_of
from telegram_router.reloading import Report

LOOK = 1.0  # seconds between two looks

Marks = dict[Path, tuple[int, int, int, int] | None]  # what the file system says of a file; None: it is not there
Digests = dict[Path, bytes]


class Watched(Protocol):
    """What of a running router is watched."""

    plan: Plan
    log: Log

    async def reload(self) -> Report: ...


class Watch:
    """Which looks at the files mean that they have changed for good."""

    def __init__(self) -> None:
        self._seen: Marks = {}
        self._settled: Marks = {}

    def settled(self, marks: Marks) -> bool:
        """Whether these are other marks than those dealt with last, and the same as at the look before."""
        steady, self._seen = marks == self._seen, marks
        return steady and marks != self._settled

    def dealt_with(self, marks: Marks) -> None:
        self._settled = marks


async def watch(router: Watched) -> None:
    """For ever, while the configuration says `watch`."""
    looks, tried, named = Watch(), dict[Path, bytes](), set[Path]()
    while True:
        await trio.sleep(LOOK)
        if not router.plan.config.watch:
            continue
        files = {*router.plan.files, *named}
        marks = await _look(files)
        if not looks.settled(marks):
            continue
        looks.dealt_with(marks)
        digests = await trio.to_thread.run_sync(_digests, files, abandon_on_cancel=True)
        changed = sorted(str(path) for path, known in router.plan.files.items() if digests.get(path, known) != known)
        if digests == tried or not (changed or named):
            continue
        router.log.info("files_changed", files=changed)
        report = await router.reload()
        tried = digests
        named = {Path(problem.file) for problem in report.problems if problem.file}


async def _look(files: Iterable[Path]) -> Marks:
    return await trio.to_thread.run_sync(lambda: {path: _mark(path) for path in files}, abandon_on_cancel=True)


def _mark(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _digests(files: Iterable[Path]) -> Digests:
    return {path: digest_of(path) for path in files}
