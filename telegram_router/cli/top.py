"""`top`: a running router on one screen, redrawn once a second; in a pipe the same once, as plain tables."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.rates import Rates, Row, rates, shortened
from telegram_router.cli.shown import aligned, fitted, on_terminal, say, table
from telegram_router.cli.standing import STYLES, summary
from telegram_router.cli.steering import EXCHANGE_HEADINGS, exchange_row
from telegram_router.errors import RouterError
from telegram_router.ops import answers
from telegram_router.telegrams.explain import display_width, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

HEADINGS = ("service, backend", "state", "ans/s", "fail/s", "open", "waits", "half in", "99 % in", "notes")
NUMBERS = HEADINGS[2:-1]
# What a narrow screen goes without, first of all what says least beside the others.
SPARE = ("half in", "open", "99 % in", "waits", "fail/s", "ans/s", "notes")
SPARE_OF_EXCHANGES = ("state", "from", "to", "delivery", "telegram")
OLDEST = 5
AROUND = 11 + OLDEST  # lines of the screen that are no rows of services
LEAVE = frozenset("qQ\x03")


class Look(NamedTuple):
    """What one look showed."""

    status: answers.Status
    exchanges: answers.Exchanges


def watch(where: Where, every: float) -> int:
    """Until q or Ctrl-C; in a pipe one interval. Returns the exit code."""
    client = Client(reach(where))
    first = _look(client)
    try:
        if on_terminal() and sys.stdin.isatty():
            _watch(client, first, every)
        else:
            time.sleep(every)
            _print(_look(client), first)
    except KeyboardInterrupt:
        pass
    return 0


def _look(client: Client) -> Look:
    return Look(client.status(), client.exchanges())


def _print(look: Look, before: Look) -> None:
    found = rates(before.status, look.status)
    say(_title(look.status, found))
    say()
    table(HEADINGS, [_cells(row) for row in found.rows])
    if look.exchanges.exchanges:
        say()
        table(EXCHANGE_HEADINGS, [exchange_row(each) for each in look.exchanges.exchanges[:OLDEST]])


def _title(status: answers.Status, found: Rates) -> str:
    return f"{summary(status)}, {found.received:,.0f} telegrams/s"


def _cells(row: Row) -> list[str]:
    pending = f"{row.pending:,}" if not row.backend else ""
    return [
        f"  {row.backend}" if row.backend else row.service, row.state, f"{row.answered:,.0f}", f"{row.failed:,.0f}", f"{row.in_flight:,}",
        pending, _at_most(row.median), _at_most(row.slowest), row.notes,
    ]  # fmt: skip


def _at_most(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


# --- on a terminal


def _watch(client: Client, before: Look, every: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(markup=False, emoji=False, highlight=False)
    look: Look | None = before
    lost = ""
    with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            if look is not None:
                live.update(screen(look, before, console.size, lost), refresh=True)
            if _left(keys, every):
                return
            try:
                newer = _look(client)
            except RouterError as error:  # it may be started anew any moment
                lost = error.text()
                continue
            before, look, lost = look or newer, newer, ""


def screen(look: Look, before: Look, size: tuple[int, int], lost: str = "") -> RenderableType:
    """All that is drawn, for a terminal of so many columns and lines."""
    from rich.console import Group
    from rich.text import Text

    width, height = size
    found = rates(before.status, look.status)
    shown = shortened(found.rows, max(1, height - AROUND))
    left_out = len(found.rows) - len(shown)
    styles = ["bold" if not row.backend else STYLES.get(row.state, "green" if row.in_use else "dim") for row in shown]
    parts: list[RenderableType] = [
        Text(lost or _title(look.status, found), style="bold red" if lost else "bold", no_wrap=True, overflow="ellipsis"),
        _drawn(_columns([_cells(row) for row in shown], width), styles),
    ]
    if left_out:
        parts.append(Text(f"and {left_out:,} more", style="dim"))
    oldest = look.exchanges.exchanges[:OLDEST]
    if oldest:
        ages = ["red" if each.age_s >= 10 else "yellow" if each.age_s >= 1 else "" for each in oldest]
        rows = [EXCHANGE_HEADINGS, *(_printable(exchange_row(each)) for each in oldest)]
        parts.append(_drawn(fitted(rows, width, SPARE_OF_EXCHANGES, "telegram", end=True), ages))
    parts.append(Text("q ends", style="dim"))
    return Group(*parts)


def _columns(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Services and backends under their headings, numbers to the right, as much of it as has room."""
    cells = fitted([HEADINGS, *map(_printable, rows)], width, SPARE, "notes")
    for at in [at for at, heading in enumerate(cells[0]) if heading in NUMBERS]:
        widest = max(len(row[at]) for row in cells)
        for row in cells:
            row[at] = row[at].rjust(widest)
    return cells


def _printable(row: Sequence[str]) -> list[str]:
    return [printable(cell) for cell in row]


def _drawn(rows: Sequence[Sequence[str]], styles: Sequence[str]) -> RenderableType:
    """Columns as they are, headings first. A table of rich's, which weighs every cell, takes several times as long."""
    from rich.text import Text

    first, *others = aligned(rows)
    rule = "─" * max(map(display_width, [first, *others]))
    lines = [("\n", ""), (f"{first}\n", "bold"), (f"{rule}\n", "dim")]
    lines += [(f"{line}\n", style) for line, style in zip(others, styles, strict=True)]
    return Text.assemble(*lines, no_wrap=True, overflow="ellipsis")


@contextmanager
def _keys() -> Iterator[int]:
    """The keyboard, key by key and without an echo; as it was when this ends."""
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _left(keyboard: int, seconds: float) -> bool:
    """Wait so long; True as soon as the person wants to leave, or has gone."""
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        if select.select([keyboard], [], [], rest)[0]:
            typed = os.read(keyboard, 64)
            if not typed or LEAVE & set(typed.decode("ascii", "replace")):
                return True
    return False
