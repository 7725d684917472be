"""`explain`: what each byte of a telegram means, what is wrong with it, and where it goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
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
from telegram_router.telegrams.causes import Cause, causes
from telegram_router.telegrams.dumps import Reading, readings
from telegram_router.telegrams.explain import HEADINGS, Explanation, Row, cells, explain, kinds_of, printable
from telegram_router.telegrams.guess import Guess, guess
from telegram_router.telegrams.ruler import Cell, Stretch, bad_places, padded, ruler

LARGEST: Final = 64 * MAX_FRAME  # more than anybody reads
DOUBTED: Final = 10.0  # bits below which the spec that was given is hardly the right one
LIKELY: Final = 0.5  # from which a guess is gone on with
BYTES: Final = ("offset", "length", "field", "hex", "value", "meaning")  # hex and text side by side
COLOURS: Final = {"offset": "cyan", "bytes": "cyan", "length": "cyan", "value": "bold", "meaning": "green", "hex": "dim"}
NARROW: Final = ("offset", "length", "field", "value", "meaning")
LABEL_FROM: Final = 100  # columns of a terminal that has room for labels too
RULE_FROM: Final = 130  # and for the rule
HEX_FROM: Final = 180  # and for the bytes


@dataclass(frozen=True)
class Explained:
    """One telegram of the input."""

    number: int
    offset: int  # of its frame in the input
    telegram: bytes
    told: Explanation
    causes: tuple[Cause, ...]
    way: Way | None
    lost: FramingError | None  # how the framing was lost here

    @property
    def ok(self) -> bool:
        return self.told.ok and self.lost is None and (self.way is None or self.way.taken)

    def as_object(self) -> dict[str, Any]:
        found: dict[str, Any] = {"number": self.number, "input_offset": self.offset} | self.told.as_object()
        if self.lost is not None:
            found["framing_lost"] = {"code": self.lost.code, "what": self.lost.what, "expected": self.lost.expected, "do": self.lost.do}
        found["causes"] = [cause.as_object() for cause in self.causes]
        return found | ({"route": self.way.as_object()} if self.way is not None else {})


@dataclass(frozen=True)
class Explainer:
    """How telegrams are to be explained."""

    spec: Spec
    unframed: bool
    show: bool
    plan: Plan | None
    origin: Listener | Service | None
    with_bytes: bool = False
    guessed: tuple[Guess, ...] = ()  # the one taken and the next, where the spec was not given

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
            likely = tuple(causes(self.spec, frame, framed=not self.unframed))
            yield Explained(number, offset, telegram, told, likely, self._way(frame, told), lost)
            if only == number:
                return
        if only is not None or not number:
            raise click.ClickException(
                f"the input has {number} telegram{'' if number == 1 else 's'} only" if number else "the input is empty"
            )

    def _cut(self, data: bytes) -> Iterator[tuple[int, bytes, FramingError | None]]:
        if self.unframed:
            for at, telegram in self.guessed[0].cut() if self.guessed else [(0, data)]:
                yield at, telegram, None
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


@dataclass(frozen=True)
class Wanted:
    """What the command was asked for."""

    unframed: bool
    show: bool
    with_bytes: bool
    number: int | None
    as_json: bool


def explain_input(
    spec: Spec,
    plan: Plan | None,
    origin: Listener | Service | None,
    others: Callable[[], Sequence[Spec]],
    source: str,
    as_hex: bool,
    wanted: Wanted,
) -> int:
    """Explain the telegrams of an input, or the one of a number. `others` are all specs known. Returns the exit code."""
    given = _whole(source, as_hex)
    reading = _reading(spec, given, as_hex, wanted)
    if reading.form != "bytes" and not wanted.as_json:
        say(f"the input is {reading.form} of {_counted(len(reading.content), 'byte')}")
    explainer = Explainer(spec, wanted.unframed, wanted.show, plan, origin, wanted.with_bytes)
    code = _explain_all(explainer, reading.content, wanted)
    if code and not wanted.as_json and guess([spec], [reading], unframed=wanted.unframed)[0].bits < DOUBTED:
        found = guess(others(), [reading], unframed=wanted.unframed)
        if found and found[0].sure >= LIKELY and found[0].spec.name != spec.name:
            say()
            say(f"likely: another spec: this looks like {_called(found[0])}, {_percent(found[0].sure)} sure", fg="yellow", bold=True)
            say(f"  to do: give --spec {found[0].spec.name}")
    return code


def _reading(spec: Spec, given: bytes, as_hex: bool, wanted: Wanted) -> Reading:
    """The bytes themselves, unless they are text that gives better telegrams when it is taken for a dump."""
    known = [Reading("bytes", given)] if as_hex else readings(given)
    if len(known) == 1:
        return known[-1]
    found = guess([spec], known, unframed=wanted.unframed)[0]
    return next(each for each in known if each.form == found.form)


def guess_input(specs: Callable[[], Sequence[Spec]], source: str, as_hex: bool, wanted: Wanted) -> int:
    """Explain an input whose spec nobody told; `specs` are all specs known. Returns the exit code."""
    given = _whole(source, as_hex)
    found = guess(specs(), [Reading("hex", given)] if as_hex else readings(given), unframed=wanted.unframed)
    if not found:
        raise click.ClickException("the input is empty")
    if found[0].sure < LIKELY:
        return _not_known(found, len(given), wanted.as_json)
    best = found[0]
    explainer = Explainer(
        best.spec, not best.framed or best.shape is not None, wanted.show, None, None, wanted.with_bytes, tuple(found[:2])
    )
    if not wanted.as_json:
        _say_guess(found)
        say()
    return _explain_all(explainer, best.content, wanted)


def _explain_all(explainer: Explainer, data: bytes, wanted: Wanted) -> int:
    code = 0
    for shown, each in enumerate(explainer.explained(data, wanted.number)):
        if wanted.as_json:
            guessed = {"guess": [each.as_object() for each in explainer.guessed]} if explainer.guessed else {}
            say_json(guessed | each.as_object(), indent=False)
        else:
            _show(explainer, each, first=not shown)
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


# --- guesses ----------------------------------------------------------------------------------------------------


def _say_guess(found: Sequence[Guess]) -> None:
    best = found[0]
    say(f"looks like {_called(best)}: {_percent(best.sure)} sure", bold=True)
    framing = f"{best.framing}" + (", which is not what the spec declares" if best.shape is not None else "")
    size = _counted(len(best.content), "byte")
    say(f"  {size if best.form == 'bytes' else f'{best.form} of {size}'}; framing {framing}")
    for reason in best.reasons:
        say(f"  {reason}")
    if len(found) > 1:
        say(f"next: {_called(found[1])}, {_percent(found[1].sure)}: {'; '.join(found[1].reasons)}")


def _not_known(found: Sequence[Guess], size: int, as_json: bool) -> int:
    if as_json:
        say_json({"guess": None, "nearest": [each.as_object() for each in found[:2]]}, indent=False)
        return EXIT_FAILED
    say(f"not known: no spec proves itself in these {_counted(size, 'byte')}", fg="red", bold=True)
    for each in found[:2]:
        say(f"nearest: {_called(each)}, {_percent(each.sure)}: {'; '.join(each.reasons)}")
    say("To read them as one of these all the same, give --spec; other specs are found with --spec-folder.")
    return EXIT_FAILED


def _called(each: Guess) -> str:
    return " ".join(filter(None, (each.spec.name, each.spec.version)))


def _percent(sure: float) -> str:
    return "more than 99 %" if sure > 0.99 else "less than 1 %" if sure < 0.01 else f"{100 * sure:.0f} %"


# --- for a person -----------------------------------------------------------------------------------------------


def _show(explainer: Explainer, each: Explained, *, first: bool) -> None:
    told = each.told
    if not first:
        say()
    what = " ".join(part for part in (told.spec, told.version, told.message, printable(told.title)) if part)
    say(f"{record(each.number, each.offset)}: {what}, {told.size} bytes", bold=True)
    say(f"framing: {told.framing}")
    if each.lost is not None:
        say(f"framing lost: {each.lost.text()}", fg="red")
        if not told.message:  # bytes that are no telegram: a table of them would mislead
            for cause in each.causes:
                _say_cause(cause)
            return
    _table(told, explainer.with_bytes)
    _problems(each, explainer.spec)
    if each.way is not None:
        say()
        for number, line in enumerate(each.way.lines()):
            say(line, bold=number == 0)


def _table(told: Explanation, with_bytes: bool) -> None:
    columns = shutil.get_terminal_size().columns if on_terminal() else HEX_FROM
    more = ("label",) * (columns >= LABEL_FROM) + ("rule",) * (columns >= RULE_FROM)
    wanted = BYTES if with_bytes else HEADINGS if columns >= HEX_FROM else (*NARROW, *more)
    chosen = [HEADINGS.index(heading) for heading in wanted] if with_bytes else [n for n, h in enumerate(HEADINGS) if h in wanted]
    rows = [
        ["!" if row.problems else "", *((row.hex if HEADINGS[n] == "hex" and with_bytes else cells(row)[n]) for n in chosen)]
        for row in told.rows
    ]
    if not on_terminal():
        say()
    marked = {number: "red" for number, row in enumerate(told.rows) if row.problems}
    quiet = {
        number: "dim"
        for number, row in enumerate(told.rows)
        if (not row.problems and row.masked) or (row.value is None and not row.problems)
    }
    table(["", *(HEADINGS[n] for n in chosen)], rows, styles=quiet | marked, columns=COLOURS)
    if not on_terminal():
        say()


def _problems(each: Explained, spec: Spec) -> None:
    told = each.told
    if told.ok:
        say("no problems", fg="green")
    else:
        say(_counted(len(told.problems), "problem"), fg="red")
    rows = {problem: row for row in told.rows for problem in row.problems}
    for problem in told.problems:
        say()
        say(_text(problem), fg="red")
        if problem in rows and rows[problem].length:
            for line in _ruler(each.telegram, told, rows[problem], spec):
                say("  " + line)
    for cause in each.causes:
        say()
        _say_cause(cause)


def _say_cause(cause: Cause) -> None:
    say(("likely: " if cause.before else "looks odd: ") + cause.what, fg="yellow", bold=True)
    if cause.before:
        say(f"  {cause.trial}, {cause.left()}")
    if cause.do:
        say(f"  to do: {cause.do}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _text(problem: FieldProblem) -> str:
    where = f"{problem.path}, offset {problem.offset}" + (f", length {problem.length}" if problem.length else "")
    return f"{problem.code}: {problem.what}; at {where}, rule {problem.rule}; expected {problem.expected}"


# --- the bytes that are bad -------------------------------------------------------------------------------------


def _ruler(telegram: bytes, told: Explanation, bad: Row, spec: Spec) -> Iterator[str]:
    """The bytes around a bad field: offsets above, hex, text in the fields' own encodings, carets below."""
    kinds = kinds_of(spec, told, telegram)
    stretches = [Stretch(row.offset, row.length, kinds.get(row.path), row.masked) for row in told.rows if row.length]
    part, kind = telegram[bad.offset : bad.offset + bad.length], kinds.get(bad.path)
    whole: range | list[int] = range(len(part))
    places = whole if kind is None or bad.length != kind.length else bad_places(kind, part, len(telegram), bad.problems[0].what)
    marked = frozenset(bad.offset + place for place in places)
    for line in ruler(telegram, stretches, bad.offset, bad.offset + bad.length, marked):
        yield click.style(line.marks, dim=True)
        yield " ".join(_coloured(cell, cell.hex) for cell in line.cells)
        yield "".join(_coloured(cell, padded(cell)) for cell in line.cells[:-1]) + _coloured(line.cells[-1], line.cells[-1].text)
        if line.carets:
            yield click.style(line.carets, fg="red", bold=True)


def _coloured(cell: Cell, text: str) -> str:
    return click.style(text, fg="red", bold=True) if cell.bad else click.style(text, dim=True) if cell.masked else text
