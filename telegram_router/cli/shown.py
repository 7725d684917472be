"""Tables: drawn to the width of a terminal, row by row where they do not fit, or as aligned text for a pipe, where nothing is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import click
import msgspec

from telegram_router.telegrams.explain import display_width, printable

_NARROW: Final = 6  # columns of a text that must be folded within its words
_ENOUGH: Final = 14  # columns of a text that is cut
_NOTHING: Final = ("", "0")


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def say(line: str = "", **style: Any) -> None:
    """One line on stdout. Styles are left out of pipes."""
    click.secho(line, **style)


def say_json(value: Any, *, indent: bool = True) -> None:
    text = msgspec.json.encode(value)
    click.echo(msgspec.json.format(text, indent=2) if indent else text)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    styles: Mapping[int, str] = MappingProxyType({}),
    columns: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Rows under headings. `styles` are those of rows by their number, `columns` those of columns by their heading."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if on_terminal():
        _drawn(headings, shown, styles, columns)
    else:
        for line in aligned([list(headings), *shown]):
            say(line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two blanks apart; Hangul counts as the two columns that it takes."""
    widths = [max(display_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def fitted(rows: Sequence[Sequence[str]], width: int, spare: Sequence[str], long: str, *, end: bool = False) -> list[list[str]]:
    """The columns of `rows`, headings first, that have room side by side. No number is ever cut.

    spare  headings of columns that may be left out, the first of them first; but before them those in which nothing stands
    long   heading of the column that is cut before any is left out, down to a part that still says something: its beginning, or its end
    """
    columns = {heading: [row[at] for row in rows] for at, heading in enumerate(rows[0])}
    least = {heading: max(map(display_width, cells)) for heading, cells in columns.items()}
    least[long] = min(least[long], _ENOUGH)
    for heading in sorted(spare, key=lambda each: any(cell not in _NOTHING for cell in columns[each][1:])):
        if _side_by_side(least) <= width:
            break
        del columns[heading], least[heading]
    if long in columns:
        room = least[long] + max(0, width - _side_by_side(least))
        columns[long] = [_cut(cell, room, end=end) for cell in columns[long]]
    return [list(row) for row in zip(*columns.values(), strict=True)]


def _side_by_side(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _cut(text: str, width: int, *, end: bool) -> str:
    """No wider than this; what is missing shows as a mark."""
    if display_width(text) <= width:
        return text
    while display_width(text) >= width:
        text = text[1:] if end else text[:-1]
    return f"…{text.lstrip(', ')}" if end else f"{text.rstrip(', ')}…"


def _drawn(headings: Sequence[str], rows: list[list[str]], styles: Mapping[int, str], columns: Mapping[str, str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    drawn = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    room = console.width - 2 * len(headings) - 1  # a blank and the line that is not drawn behind each column, and one in front
    found = widths([headings, *rows], room)
    if found is None:
        for number, row in enumerate(rows):
            for line in in_lines(headings, row, console.width):
                console.print(line, style=styles.get(number, ""), soft_wrap=True)
        return
    for heading, width in zip(headings, found, strict=True):
        drawn.add_column(heading, overflow="fold", width=width, style=columns.get(heading, ""))
    for number, row in enumerate(rows):
        drawn.add_row(*row, style=styles.get(number, ""))
    console.print(drawn)


def in_lines(headings: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """A row of a table that does not fit: its first cell, and below it the others that hold something, each behind its heading."""
    lines = [row[0], " "]
    for heading, cell in zip(headings[1:], row[1:], strict=True):
        part = f"{heading} {cell}"
        if not cell:
            continue
        if lines[-1].strip() and display_width(f"{lines[-1]} · {part}") > width:
            lines.append(" ")
        lines[-1] += f" · {part}" if lines[-1].strip() else f" {part}"
    return [line for line in lines if line.strip()]


def widths(rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """What each column gets of `room`. Where not all fits, texts are folded between words; names and codes only where there is no other way.

    None where words and numbers would have to be broken to pieces.
    """
    columns = list(zip(*rows, strict=True))
    whole = [max(display_width(cell) for cell in column) for column in columns]
    words = [max(display_width(word) for cell in column for word in [*cell.split(), ""]) for column in columns]
    texts = [any(" " in cell for cell in column[1:]) for column in columns]
    below = [max(display_width(cell) for cell in [*column[1:], ""]) for column in columns]  # a heading may be folded
    least = [min(word, _NARROW) if text else min(word, max(name, _NARROW)) for word, text, name in zip(words, texts, below, strict=True)]
    for low, high in ((words, whole), (least, words)):
        if sum(low) <= room:
            return [*_between(low, high, room)]
    return None


def _between(low: Sequence[int], high: Sequence[int], room: int) -> Iterator[int]:
    """Widths from `low` up to `high`, each column's share of the room that is left by what it lacks."""
    lacking, spare = sum(high) - sum(low), room - sum(low)
    for least, most in zip(low, high, strict=True):
        share = (most - least) * spare // lacking if spare < lacking else most - least
        lacking, spare = lacking - (most - least), spare - share
        yield least + share
