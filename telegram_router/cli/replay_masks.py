"""`replay masks`: masks proposed from a report."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from telegram_router.cli.shown import say
from telegram_router.tools.replay.suggesting import suggestions


def suggest_masks(path: Path, least: int) -> int:
    """Returns the exit code: 0, or 2 for what is no report."""
    try:
        report = msgspec.json.decode(path.read_bytes())
        lines = [*suggestions(report, least)]
    except (OSError, msgspec.DecodeError, KeyError, TypeError, AttributeError):
        click.echo(f"E-RPL-08: {path} is no report of `telegram-router replay`", err=True)
        return 2
    for line in lines:
        say(line)
    if not lines:
        click.echo(f"no field differed {least} times or more", err=True)
    return 0
