"""`tail`: telegrams as they pass a running router, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import islice

import msgspec

from telegram_router.cli import tell
from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.shown import say, say_json
from telegram_router.ops import answers
from telegram_router.telegrams.explain import printable

MARKS = {"in": "->", "out": "<-", "none": "-x"}
STYLES = {"": None, "ok": "green"}


def watch_telegrams(where: Where, terms: Sequence[str], limit: int | None, as_json: bool) -> int:
    """Until Ctrl-C, so many lines, or the router's end. Returns the exit code."""
    try:
        with closing(Client(reach(where)).tail(" ".join(terms))) as lines:
            for line in islice(lines, limit):
                if line.dropped:
                    tell([f"{line.dropped:,} more were dropped here: a filter would show those that matter."])
                if as_json:
                    say_json(msgspec.to_builtins(line), indent=False)
                else:
                    say(shown(line), fg=STYLES.get(line.result, "red"))
    except KeyboardInterrupt:
        pass
    return 0


def shown(line: answers.TailLine) -> str:
    """A line for people; the time is UTC, as in the log."""
    fields = ", ".join(f"{name} {value}" for name, value in line.telegram.items())
    took = f"{line.took_ms:g} ms" if line.took_ms is not None and line.result else ""
    between = " - ".join(each for each in (line.listener, line.service) if each)
    parts = (
        line.time[11:23],
        MARKS[line.direction],
        line.peer,
        between,
        line.message or "?",
        fields,
        line.result,
        line.code,
        line.delivery,
        took,
    )
    return printable("  ".join(part for part in parts if part))
