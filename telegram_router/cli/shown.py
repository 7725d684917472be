"""Tables: drawn to the width of a terminal, or as aligned text for a pipe, where nothing is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

from telegram_router.telegrams.explain import display_width, printable


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def say(line: str = "", **style: Any) -> None:
    """One line on stdout. Styles are left out of pipes."""
    click.secho(line, **style)


def say_json(value: Any, *, indent: bool = True) -> None:
    text = msgspec.json.encode(value)
    click.echo(msgspec.json.format(text, indent=2) if indent else text)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, bad: Iterable[int] = ()) -> None:
    """Rows under headings; `bad` are the numbers of the rows to mark."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if on_terminal():
        _drawn(headings, shown, frozenset(bad))
    else:
        for line in aligned([list(headings), *shown]):
            say(line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two blanks apart; Hangul counts as the two columns that it takes."""
    widths = [max(display_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _drawn(headings: Sequence[str], rows: list[list[str]], bad: frozenset[int]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for number, row in enumerate(rows):
        drawn.add_row(*row, style="red" if number in bad else "")
    Console(markup=False, emoji=False, highlight=False).print(drawn)
