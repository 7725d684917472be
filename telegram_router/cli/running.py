"""`run`: from a configuration file to a running router and its exit code."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import trio

from telegram_router import app, plan
from telegram_router.cli import EXIT_BUG, EXIT_CANNOT_BIND, EXIT_CONFIG, EXIT_NO_STATE, tell
from telegram_router.config import Address, Config, TelegramService
from telegram_router.errors import RouterError
from telegram_router.ops import logs
from telegram_router.wire.inherited import inherited, sockets_of
from telegram_router.wire.notify import Notifier


def run_router(config: Path) -> int:
    """Serve until told to stop. Raises ConfigError when the configuration is not sound."""
    passed = inherited(os.environ, os.getpid())
    notifier = Notifier.from_environment(os.environ)
    made = plan.read_plan(config)
    sockets = sockets_of(passed, _places(made.config), str(config), _others(made.config))
    log = logs.open_log(made.config.log.level, sys.stderr)
    logs.adopt_library_lines(log)
    try:
        return trio.run(partial(app.serve, made, log, notifier, sockets))
    except BaseException as error:
        found = list(logs.leaves(error))
        if all(isinstance(each, KeyboardInterrupt) for each in found):  # before the signals were taken over
            raise KeyboardInterrupt from None
        if all(isinstance(each, RouterError) and each.code == "E-CFG-09" for each in found):
            tell(str(each) for each in found)
            return EXIT_CANNOT_BIND
        if all(isinstance(each, RouterError) and each.code == "E-CFG-17" for each in found):
            tell(str(each) for each in found)
            return EXIT_CONFIG
        if all(isinstance(each, RouterError) and each.code in ("E-STO-01", "E-STO-02") for each in found):
            tell(str(each) for each in found)
            return EXIT_NO_STATE
        log.bug(error)
        return EXIT_BUG
    finally:
        log.close()


def _places(config: Config) -> dict[str, Address]:
    """Where clients and backends come in, by key."""
    dialled = {name: each.listen for name, each in config.services.items() if isinstance(each, TelegramService)}
    return {
        **{f"listeners.{name}": each.address for name, each in config.listeners.items()},
        **{f"services.{name}.listen": listen.address for name, listen in dialled.items() if listen is not None},
    }


def _others(config: Config) -> dict[str, Address | None]:
    """Ports that are always opened by the router itself: nobody waits there while it is restarted, and the admin port must be no wider than the
    file says."""
    others: dict[str, Address | None] = {}
    if config.admin is not None:
        others["admin"] = config.admin.address
    if config.metrics is not None:
        others["metrics"] = config.metrics.address
    return others
