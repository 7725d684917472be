"""`explain`: what each byte of a telegram means, what is wrong with it, and where it goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import click

from telegram_router.cli import EXIT_FAILED
from telegram_router.cli.inputs import MAX_FRAME, chunks, frames, record
from telegram_router.cli.shown import on_terminal, say, say_json, table
from telegram_router.cli.why import Way, way_of
from telegram_router.errors import FieldProblem, FramingError
from telegram_router.plan import Plan
from telegram_router.routing import Listener, Service
from telegram_router.telegrams import Spec
from telegram_router.telegrams.explain import HEADINGS, Explanation, Row, cells, explain

LARGEST: Final = 64 * MAX_FRAME  # more than anybody reads
NARROW: Final = ("offset", "length", "field", "label", "value", "meaning")
RULE_FROM: Final = 100  # columns of a terminal that has room for the rule too
HEX_FROM: Final = 180  # and for the bytes
RULER_REACH: Final = 12  # bytes beside a bad field
RULER_FIELD: Final = 60  # bytes of a bad field


@dataclass(frozen=True)
class Explained:
    """One telegram of the input."""

    number: int
    offset: int  # of its frame in the input
    telegram: bytes
    told: Explanation
    way: Way | None
    lost: FramingError | None  # how the framing was lost here

    @property
    def ok(self) -> bool:
        return self.told.ok and self.lost is None and (self.way is None or self.way.taken)

    def as_object(self) -> dict[str, Any]:
        found: dict[str, Any] = {"number": self.number, "input_offset": self.offset} | self.told.as_object()
        if self.lost is not None:
            found["framing_lost"] = {"code": self.lost.code, "what": self.lost.what, "expected": self.lost.expected, "do": self.lost.do}
        return found | ({"route": self.way.as_object()} if self.way is not None else {})


@dataclass(frozen=True)
class Explainer:
    """How telegrams are to be explained."""

    spec: Spec
    unframed: bool
    show: bool
    plan: Plan | None
    origin: Listener | Service | None

    def explained(self, data: bytes, only: int | None = None) -> Iterator[Explained]:
        """Every telegram of an input, or the one of that number; the last one is what is left when the framing is lost.

        Raises click.ClickException when there are fewer.
        """
        number = 0
        for number, (offset, frame, lost) in enumerate(self._cut(data), 1):
            if only not in (None, number):
                continue
            told = explain(self.spec, frame, framed=not self.unframed, show=self.show)
            telegram = frame if self.unframed else self.spec.framing.telegram(frame)
            yield Explained(number, offset, telegram, told, self._way(frame, told), lost)
            if only == number:
                return
        if only is not None or not number:
            raise click.ClickException(
                f"the input has {number} telegram{'' if number == 1 else 's'} only" if number else "the input is empty"
            )

    def _cut(self, data: bytes) -> Iterator[tuple[int, bytes, FramingError | None]]:
        if self.unframed:
            yield 0, data, None
            return
        offset = 0
        try:
            for frame in frames(self.spec.framing, iter([data] if data else [])):
                yield offset, frame, None
                offset += len(frame)
        except FramingError as error:
            yield offset, data[offset : offset + MAX_FRAME], error

    def _way(self, data: bytes, told: Explanation) -> Way | None:
        if self.plan is None or self.origin is None:
            return None
        return way_of(self.plan, self.origin, self.spec, self._framed(data), told, self.show)

    def _framed(self, data: bytes) -> bytes:
        try:
            return self.spec.framing.wrap(data) if self.unframed else data
        except FramingError:
            return b""


def explain_input(explainer: Explainer, source: str, as_hex: bool, number: int | None, as_json: bool) -> int:
    """Explain the telegrams of an input, or the one of that number. Returns the exit code."""
    code = 0
    for shown, each in enumerate(explainer.explained(_whole(source, as_hex), number)):
        if as_json:
            say_json(each.as_object(), indent=False)
        else:
            _show(each, first=not shown)
        code = code if each.ok else EXIT_FAILED
    return code


def _whole(source: str, as_hex: bool) -> bytes:
    found, size = [], 0
    for piece in chunks(source, as_hex):
        found.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise click.ClickException(f"the input is larger than {LARGEST >> 20} MiB: cut out the telegrams in question, or use `decode`")
    return b"".join(found)


# --- for a person -----------------------------------------------------------------------------------------------


def _show(each: Explained, *, first: bool) -> None:
    told = each.told
    if not first:
        say()
    what = " ".join(part for part in (told.spec, told.version, told.message, told.title) if part)
    say(f"{record(each.number, each.offset)}: {what}, {told.size} bytes", bold=True)
    say(f"framing: {told.framing}")
    if each.lost is not None:
        say(f"framing lost: {each.lost.text()}", fg="red")
        if not told.message:
            return  # bytes that are no telegram: a table of them would mislead
    _table(told)
    _problems(each)
    if each.way is not None:
        say()
        for number, line in enumerate(each.way.lines()):
            say(line, bold=number == 0)


def _table(told: Explanation) -> None:
    columns = shutil.get_terminal_size().columns if on_terminal() else HEX_FROM
    wanted = HEADINGS if columns >= HEX_FROM else (*NARROW, "rule") if columns >= RULE_FROM else NARROW
    chosen = [place for place, heading in enumerate(HEADINGS) if heading in wanted]
    rows = [["!" if row.problems else "", *(cells(row)[place] for place in chosen)] for row in told.rows]
    if not on_terminal():
        say()
    table(["", *(HEADINGS[place] for place in chosen)], rows, bad=[number for number, row in enumerate(told.rows) if row.problems])
    if not on_terminal():
        say()


def _problems(each: Explained) -> None:
    told = each.told
    if told.ok:
        say("no problems", fg="green")
        return
    say(f"{len(told.problems)} problem{'s' if len(told.problems) > 1 else ''}", fg="red")
    rows = {problem: row for row in told.rows for problem in row.problems}
    for problem in told.problems:
        if problem in rows and rows[problem].length:
            say()
            for line in ruler(each.telegram, told, rows[problem]):
                say(line)
        say(_text(problem), fg="red")


def _text(problem: FieldProblem) -> str:
    where = f"{problem.path}, offset {problem.offset}" + (f", length {problem.length}" if problem.length else "")
    return f"{problem.code}: {problem.what}; at {where}, rule {problem.rule}; expected {problem.expected}"


def ruler(telegram: bytes, told: Explanation, bad: Row) -> Iterator[str]:
    """The bytes around a bad field with their offsets above and carets below. What is masked is `*`, what is not ASCII is `.`."""
    start = max(0, bad.offset - RULER_REACH)
    end = min(len(telegram), bad.offset + min(bad.length, RULER_FIELD) + RULER_REACH)
    tens = {at for at in range(start, end) if at % 10 == 0 and at - start > 4 and abs(at - bad.offset) > 4}
    marks = sorted({bad.offset} | tens | ({start} if bad.offset - start > 4 else set()))
    above = [" "] * (end - start + 8)
    for at in marks:
        above[at - start : at - start + len(str(at))] = str(at)
    masked = {at for row in told.rows if row.masked for at in range(row.offset, row.offset + row.length)}
    yield "  " + "".join(above).rstrip()
    yield "  " + "".join("|" if at in marks else "." for at in range(start, end))
    yield "  " + "".join("*" if at in masked else _printed(telegram[at]) for at in range(start, end))
    yield "  " + " " * (bad.offset - start) + "^" * min(bad.length, end - bad.offset)


def _printed(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."
