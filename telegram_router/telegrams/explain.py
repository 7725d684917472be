"""A telegram as an offset table: what stands where, what it means, and what is wrong with it. Also for telegrams that do not decode."""

# Rules this file keeps, all of them tested:
#
# 1. Every byte of the telegram is in exactly one row, whatever is wrong with it.
# 2. Value and bytes of a field that is not log="clear" are shown only when the caller asks for it.
# 3. What is shown cannot steer a terminal: what is not printable is escaped.

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from telegram_router.errors import FieldProblem
from telegram_router.telegrams.fields import Code, Date, FieldFault, Filler, Kind, Number, Time
from telegram_router.telegrams.json_values import writer_of
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.lengths import LengthField, Refusal

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

_HEX_SHOWN = 16  # bytes of a field in the text form; the structured form has all


@dataclass(frozen=True)
class Row:
    """One field. Offsets count from the telegram's first byte from 0, positions from 1."""

    path: str
    label: str
    offset: int
    length: int  # bytes that are there
    rule: str
    masked: bool
    value: Any  # as in the JSON form; None when masked, blank or not readable
    meaning: str
    hex: str
    note: str
    problems: tuple[FieldProblem, ...] = ()

    @property
    def position(self) -> str:
        """As people count: first and last byte, from 1."""
        return f"{self.offset + 1}-{self.offset + self.length}" if self.length > 1 else str(self.offset + 1) if self.length else ""

    @property
    def shown(self) -> str:
        """The value for a person."""
        if self.masked:
            return f"[{self.length} byte{'' if self.length == 1 else 's'}]"
        return "" if self.value is None else printable(str(self.value))

    def as_object(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "label": self.label,
            "offset": self.offset,
            "position": self.position,
            "length": self.length,
            "rule": self.rule,
            "masked": self.masked,
            "value": self.value,
            "meaning": self.meaning,
            "hex": self.hex,
            "note": self.note,
            "problems": [_problem_object(problem) for problem in self.problems],
        }


@dataclass(frozen=True)
class Explanation:
    """A whole telegram, explained."""

    spec: str
    version: str
    message: str  # "" when the key is none of the spec's
    title: str
    size: int
    framing: str
    rows: tuple[Row, ...]
    problems: tuple[FieldProblem, ...]  # all of them, those of the rows included

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_object(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "spec": self.spec,
            "version": self.version,
            "message": self.message or None,
            "title": self.title,
            "size": self.size,
            "framing": self.framing,
            "ok": self.ok,
            "fields": [row.as_object() for row in self.rows],
            "problems": [_problem_object(problem) for problem in self.problems],
        }

    def lines(self) -> Iterator[str]:
        """For a terminal of any kind: heading, table, and under each bad field what is wrong with it."""
        unnamed = "" if self.title else "(no message of the spec)"
        named = " ".join(part for part in (self.spec, self.version, self.message or unnamed, self.title) if part)
        yield f"{named}: {self.size} bytes"
        yield f"framing: {self.framing}"
        table = [HEADINGS, *map(cells, self.rows)]
        widths = [max(display_width(row[column]) for row in table) for column in range(len(HEADINGS))]
        yield ""
        yield _aligned(HEADINGS, widths)
        in_rows = set()
        for row in self.rows:
            yield _aligned(cells(row), widths)
            for problem in row.problems:
                in_rows.add(problem)
                yield f"{'^' * max(3, widths[0])}  {problem.code}: {problem.what}; expected {problem.expected}"
        for problem in self.problems:
            if problem not in in_rows:
                yield f"! {problem.text()}"
        yield ""
        yield "no problems" if self.ok else f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"


HEADINGS = ("offset", "bytes", "length", "rule", "field", "label", "value", "meaning", "hex")


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table, a text for each heading."""
    shown = row.hex[: 2 * _HEX_SHOWN] + ("…" if len(row.hex) > 2 * _HEX_SHOWN else "")
    meaning = "; ".join(part for part in (row.meaning, row.note) if part)
    return str(row.offset), row.position, str(row.length), row.rule, row.path, row.label, row.shown, meaning, shown


def explain(spec: Spec, data: bytes, *, framed: bool = True, show: bool = False) -> Explanation:
    """What each byte of a frame means; with `framed=False`, of a telegram without its framing.

    `show` shows values that are not log="clear" too. Never raises for any bytes.
    """
    prefix, suffix = (spec.framing.prefix, spec.framing.suffix) if framed else (0, 0)
    telegram = data[prefix : max(prefix, len(data) - suffix)]
    framing, framing_problems = _framing(spec, data) if framed else ("not part of these bytes", [])
    if framed and not framing_problems and spec.is_poll(data):
        return _poll(spec, telegram, framing)
    message = _message_of(spec, telegram)
    wrong = _of_structure(message, telegram) if message else ()
    rows = tuple(_rows(spec, message, telegram, wrong, show))
    in_rows = [problem for row in rows for problem in row.problems]
    return Explanation(
        spec.name,
        spec.version,
        message.name if message else "",
        message.title if message else "",
        len(telegram),
        framing,
        rows,
        (
            *framing_problems,
            *([] if message else [_no_message(spec)]),
            *in_rows,
            *(problem for problem in wrong if problem not in in_rows),
        ),
    )


def kinds_of(spec: Spec, told: Explanation, telegram: bytes) -> dict[str, Kind]:
    """The kind of each row, by its path."""
    message = spec.messages.get(told.message)
    return {planned.path: planned.kind for planned in (message.fields_of(telegram) if message else _header_fields(spec))}


# --- the whole --------------------------------------------------------------------------------------------------


def _framing(spec: Spec, frame: bytes) -> tuple[str, list[FieldProblem]]:
    """What the framing says of these bytes, and what is wrong with that."""
    shape = spec.framing.length
    declared = spec.framing.describe()
    bounds = spec.framing.bounds(0, max_frame=max(len(frame), 1 << 24))
    size = shape.front(frame, 0, bounds)
    if isinstance(size, Refusal):
        return declared, [_framing_problem(spec, size.code, size.what, size.expected)]
    said = f"{declared}: {size if size is not None else 'unknown'} bytes in all, {len(frame)} are there"
    if size == len(frame):
        return said, []
    if size is None or size > len(frame):
        return said, [_framing_problem(spec, "E-FRM-05", "frame is not whole", declared)]
    code = "E-FRM-04" if isinstance(shape, LengthField) else "E-FRM-07"
    return said, [_framing_problem(spec, code, f"{len(frame) - size} bytes behind the end of the frame", declared)]


def _framing_problem(spec: Spec, code: str, what: str, expected: str) -> FieldProblem:
    return FieldProblem(code, spec.name, "", "framing", 0, 0, "framing", expected, what)


def _message_of(spec: Spec, telegram: bytes) -> MessageLayout | None:
    return spec.message_of(bytes(spec.framing.prefix) + telegram)  # slices of a frame; what the prefix holds is not looked at


def _no_message(spec: Spec) -> FieldProblem:
    path = ", ".join(f"header.{name}" for name in spec.family.key)
    offset = min(spec.header_fields[name][0] for name in spec.family.key)
    return FieldProblem(
        "E-RTE-01", spec.name, "", path, offset, 0, "key", f"one of {len(spec.by_key)} declared keys", "no message of the spec has this key"
    )


def _poll(spec: Spec, telegram: bytes, framing: str) -> Explanation:
    row = Row("poll", "", 0, len(telegram), "", False, printable(telegram.decode("latin-1")), "is anybody there?", telegram.hex(), "")
    return Explanation(spec.name, spec.version, "", "poll, answered by the router itself", len(telegram), framing, (row,), ())


# --- the rows ---------------------------------------------------------------------------------------------------


def _of_structure(message: MessageLayout, telegram: bytes) -> tuple[FieldProblem, ...]:
    """What is wrong with the size, or with counts and views."""
    size_problem = message.codec.size_problem(len(telegram))
    return (size_problem,) if size_problem is not None else message.codec.structure_problems(telegram)


def _rows(spec: Spec, message: MessageLayout | None, telegram: bytes, wrong: Sequence[FieldProblem], show: bool) -> Iterator[Row]:
    name, end = message.name if message else "", 0
    for planned in message.fields_of(telegram) if message else _header_fields(spec):
        if end < planned.offset <= len(telegram):  # items that nobody can count
            yield _rest(telegram[end : planned.offset], end, [], message, show)
        end = min(len(telegram) if planned.is_opaque else planned.end, len(telegram))
        part = telegram[planned.offset : end]
        mine = tuple(problem for problem in wrong if problem.path == planned.path)
        if len(part) < planned.length:
            yield _cut_row(planned, part, mine, show)
        else:
            row = _row(spec.name, name, planned, part, len(telegram), show)
            yield replace(row, problems=(*row.problems, *mine)) if mine else row
    if len(telegram) > end:
        yield _rest(telegram[end:], end, [problem for problem in wrong if problem.offset >= end], message, show)


def _header_fields(spec: Spec) -> list[PlannedField]:
    """The header of a telegram that is no message of the spec: its key fields may hold anything."""
    some = next(iter(spec.messages.values()))
    header = [planned for planned in some.fields if planned.section == "header"]
    return [
        planned if planned.key is None else replace(planned, kind=Code(planned.length, log=planned.kind.log), key=None)
        for planned in header
    ]


def _row(spec: str, message: str, planned: PlannedField, part: bytes, total: int, show: bool) -> Row:
    shows = _shows(planned, part, show)
    try:
        value = planned.kind.read_in(part, total)
    except FieldFault as fault:
        return _made(planned, part, shows, problems=(planned.problem(fault, spec, message),))
    note = (
        ""
        if planned.kind.is_canonical(part, value, total)
        else "not blank"
        if isinstance(planned.kind, Filler)
        else "not as we would write it"
    )
    if not shows:
        return _made(planned, part, shows, note=note)
    write = writer_of(planned.kind)
    return _made(planned, part, shows, value=write(value) if write else value, meaning=meaning_of(planned, value), note=note)


def _made(
    planned: PlannedField,
    part: bytes,
    shows: bool,
    *,
    value: Any = None,
    meaning: str = "",
    note: str = "",
    problems: tuple[FieldProblem, ...] = (),
) -> Row:
    return Row(
        planned.path,
        planned.label,
        planned.offset,
        len(part),
        planned.rule,
        not shows,
        value,
        meaning,
        part.hex() if shows else "",
        note,
        problems,
    )


def _shows(planned: PlannedField, part: bytes, show: bool) -> bool:
    """Blank filler says nothing of anybody."""
    return show or planned.log == "clear" or (isinstance(planned.kind, Filler) and not part.strip(b" "))


def _cut_row(planned: PlannedField, part: bytes, mine: tuple[FieldProblem, ...], show: bool) -> Row:
    return _made(planned, part, _shows(planned, part, show), note=f"{len(part)} of {planned.length} bytes are there", problems=mine)


def _rest(part: bytes, offset: int, mine: Sequence[FieldProblem], message: MessageLayout | None, show: bool) -> Row:
    """What is behind the last field that could be placed."""
    path = "body" if message is None else "beyond the layout" if mine else "not placed"
    return Row(path, "", offset, len(part), "", not show, None, "", part.hex() if show else "", "no field of the layout", tuple(mine))


def meaning_of(planned: PlannedField, value: Any) -> str:
    """What a value means to a person, beyond itself: a code's name, a date with dashes, an amount in groups of three."""
    kind = planned.kind
    if isinstance(kind, Date | Time) and value:
        return _moment(kind, value)
    if isinstance(kind, Number) and value is not None:
        return f"{value:,}" if abs(value) >= 1000 else ""
    return printable(kind.name_of(value)) if isinstance(kind, Code) and isinstance(value, str) else ""


_PLAIN_FORM: Final = re.compile(r"(YYYY|YY)?(MM)?(DD)?(hh)?(mm)?(ss)?")


def _moment(kind: Date | Time, text: str) -> str:
    """20240315 as 2024-03-15, 101112 as 10:11:12, both with a blank between them; of other forms the day that is meant."""
    day = kind.day(text)
    if kind.century is not None or kind.era is not None or not _PLAIN_FORM.fullmatch(kind.form):
        return "" if day is None or day.isoformat() in text else day.isoformat()
    cut = kind.form.find("h") if "h" in kind.form else len(kind.form)
    year = kind.form[:cut].count("Y")
    days = [text[:year], *_pairs(text[year:cut])]
    return " ".join(part for part in ("-".join(filter(None, days)), ":".join(_pairs(text[cut:]))) if part)


def _pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


# --- on a terminal ----------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """The text with everything that could steer a terminal written as its number."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)


def display_width(text: str) -> int:
    """Columns on a terminal: Hangul takes two for each syllable."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text) if not text.isascii() else len(text)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()


def _problem_object(problem: FieldProblem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "path": problem.path,
        "offset": problem.offset,
        "length": problem.length,
        "rule": problem.rule,
        "what": problem.what,
        "expected": problem.expected,
    }
