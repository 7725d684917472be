"""`telegram-router demo`: the router at work between simulated hosts and companies, and a reconciliation at the end."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from telegram_router.demo.processes import NotStarted

if TYPE_CHECKING:
    from telegram_router.demo.outcome import Record

PREFIX: Final = "telegram-router-demo-"
DEEPEST: Final = 107 - len(f"/{PREFIX}12345678/transfer-1-again.sock")
TIME_LIMIT: Final = 38.0  # seconds; it takes about ten, and this ends it where something hangs


def show(keep: bool) -> int:
    """Run the demo and show it. Returns the exit code: 1 unless all books agree."""
    folder = _new_folder()
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # it cleans up after itself either way
    try:
        return _play(folder, keep)
    finally:
        signal.signal(signal.SIGTERM, before)
        if keep:
            _say_where(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    """Among the temporary files, but not so deep that the name of a Unix socket in it would be longer than the kernel takes."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=usual if len(usual) <= DEEPEST else "/tmp"))


def _play(folder: Path, capture: bool) -> int:
    from telegram_router.cli import EXIT_FAILED, tell
    from telegram_router.demo import screen
    from telegram_router.demo.books import reconcile
    from telegram_router.demo.telegrams import shipped

    screen.show_beginning(str(folder))
    try:
        record = _record(folder, capture)
    except NotStarted as error:
        tell([str(error)])
        return EXIT_FAILED
    if record is None:
        tell([f"the demo did not end within {TIME_LIMIT:g} s; `telegram-router demo --keep` leaves the router's log"])
        return EXIT_FAILED
    checks, spec = reconcile(record.books), shipped("firmbanking")
    screen.show_routed(record)
    screen.show_telegram(spec, record)
    screen.show_refusals(spec, record)
    screen.show_held(record.held)
    screen.show_reconciliation(checks)
    screen.show_end(checks, record)
    return 0 if all(check.agrees for check in checks) else EXIT_FAILED


def _record(folder: Path, capture: bool) -> Record | None:
    """Play the story; None when it takes too long. Raises NotStarted, or KeyboardInterrupt, as it is, out of its groups."""
    import trio

    from telegram_router.demo import screen
    from telegram_router.demo.story import Story
    from telegram_router.ops.logs import leaves

    began = time.monotonic()

    def show_scene(text: str) -> None:
        screen.show_scene(time.monotonic() - began, text)

    async def play() -> Record | None:
        with trio.move_on_after(TIME_LIMIT):
            return await Story(folder, show_scene, screen.show_config, capture=capture).run()
        return None

    try:
        return trio.run(play)
    except BaseExceptionGroup as group:
        for kind in (KeyboardInterrupt, NotStarted):
            for error in leaves(group):
                if isinstance(error, kind):
                    raise error from None
        raise


def _say_where(folder: Path) -> None:
    from telegram_router.cli.shown import say
    from telegram_router.demo.hosts import recording

    say(f"kept: {folder}")
    capture = recording(folder, "demo")
    if capture.exists():
        say("what passed the router is in it. To play it back, in two terminals:")
        say(f"  telegram-router simulate {capture} --listen 127.0.0.1:9100")
        say(f"  telegram-router replay {capture} --to 127.0.0.1:9100 --pace recorded --no-rewrite")
