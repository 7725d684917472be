"""`run`: from a configuration file to a running router and its exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from telegram_router import app, plan
from telegram_router.cli import EXIT_BUG, EXIT_CANNOT_BIND, tell
from telegram_router.errors import RouterError
from telegram_router.ops import logs


def run_router(config: Path) -> int:
    """Serve until told to stop. Raises ConfigError when the configuration is not sound."""
    made = plan.read_plan(config)
    log = logs.open_log(made.config.log.level, sys.stderr)
    logs.adopt_library_lines(log)
    try:
        return trio.run(app.serve, made, log)
    except BaseException as error:
        found = list(logs.leaves(error))
        if all(isinstance(each, KeyboardInterrupt) for each in found):  # before the signals were taken over
            raise KeyboardInterrupt from None
        if all(isinstance(each, RouterError) and each.code == "E-CFG-09" for each in found):
            tell(str(each) for each in found)
            return EXIT_CANNOT_BIND
        log.bug(error)
        return EXIT_BUG
    finally:
        log.close()
