"""The commands on whole captures: stat, verify, merge, split, convert."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from telegram_router import written
from telegram_router.cli.capture_inputs import exit_code, known_fields, reading, spec_for, tell_findings
from telegram_router.cli.capture_view import clear_paths
from telegram_router.cli.shown import say, say_json, table
from telegram_router.storage.capture_reader import CaptureReader, Findings
from telegram_router.storage.capture_records import SUFFIX, CaptureError, Record
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.tools.capture_work import Statistics, counted, merged, merged_head, parts
from telegram_router.tools.packets.exporting import exported, packets
from telegram_router.tools.predicate import parse
from telegram_router.tools.recorded import Recorded
from telegram_router.tools.simulate.derived import scenario_text
from telegram_router.tools.surviving import WORDS, survivors

if TYPE_CHECKING:
    from telegram_router.telegrams import Spec

SURVIVORS_SHOWN: Final = 20
PARTS_AT_MOST: Final = 1_000
EXCHANGES_KEPT: Final = 100_000


# --- stat and verify ----------------------------------------------------------------------------------------------------


def show_statistics(file: Path, as_json: bool) -> int:
    with reading(file) as reader:
        found = counted(reader)
    findings = reader.findings
    if as_json:
        say_json({"file": str(file), "spec": reader.head.get("spec"), "closed_cleanly": findings.closed_cleanly} | found.as_object())
    else:
        _tell_statistics(found, reader)
        tell_findings(findings)
    return exit_code([findings])


def _tell_statistics(found: Statistics, reader: CaptureReader) -> None:
    rate = "" if found.rate is None else f", {found.rate:,.1f} a second"
    say(f"{reader.head.get('spec') or 'no spec'}: {found.telegrams:,} telegrams, {found.octets:,} bytes, {found.seconds:,.3f} s{rate}")
    say(f"{found.connections:,} connections, {found.gaps:,} gaps, {found.junk:,} pieces that are no telegram, {found.notes:,} notes")
    say(f"{sum(each.count for each in found.answered.values()):,} requests answered, {found.unanswered:,} not")
    rows = []
    for message, count in sorted(found.messages.items(), key=lambda item: -item[1]):
        took = found.answered[message].as_object() if message in found.answered else {}
        rows.append([message, f"{count:,}", *(_ms(took.get(name)) for name in ("p50_ms", "p99_ms", "max_ms"))])
    if rows:
        table(("message", "telegrams", "answered in p50", "p99", "max"), rows)


def _ms(value: float | int | None) -> str:
    return "" if value is None else f"{value:,.3f} ms"


def verify_captures(
    files: Sequence[Path], strict: bool, spec_name: str | None, folders: Sequence[Path], as_json: bool, *, pii: bool = False
) -> int:
    found: list[tuple[Path, Findings, _Seen]] = []
    for file in files:
        with reading(file, everything=pii) as reader:
            spec = spec_for(reader, spec_name, folders)
            seen = _look_through(reader, spec, pii=pii)
        found.append((file, reader.findings, seen))
    code = exit_code((findings for _, findings, _ in found), strict=strict, gaps=sum(seen.gaps for _, _, seen in found))
    if not code and any(seen.survived for _, _, seen in found):
        code = 1
    if as_json:
        say_json([_verdict(*each, pii=pii) for each in found])
        return code
    for file, findings, seen in found:
        gaps, odd = seen.gaps, seen.odd
        state = "damaged" if findings.damaged else "whole" if findings.closed_cleanly else "readable"
        say(
            f"{file}: {state}, {findings.records:,} records, {gaps:,} gaps, {odd:,} telegrams that break their spec",
            fg="red" if findings.damaged else None,
        )
        tell_findings(findings)
        for line in seen.survivors:
            click.secho(f"{file}: {line}", fg="red", err=True)
        if seen.survived:
            click.secho(f"{file}: {seen.survived:,} numbers of people are still in it", fg="red", err=True)
    return code


def _verdict(file: Path, findings: Findings, seen: _Seen, *, pii: bool) -> Record:
    told: Record = {"survivors": seen.survived, "where": seen.survivors} if pii else {}
    gaps, odd = seen.gaps, seen.odd
    return {
        "file": str(file), "records": findings.records, "closed_cleanly": findings.closed_cleanly, "damaged": findings.damaged,
        "problems": findings.problems, "gaps": gaps, "skipped": findings.skipped, "against_spec": odd, **told,
    }  # fmt: skip


@dataclass
class _Seen:
    """What was seen in a capture beside what its reader finds."""

    gaps: int = 0
    odd: int = 0  # telegrams that cannot be decoded though they are not marked so
    survived: int = 0
    survivors: list[str] = field(default_factory=list)  # where the first of them are


def _look_through(reader: CaptureReader, spec: Spec | None, *, pii: bool) -> _Seen:
    seen = _Seen()
    for number, record in enumerate(chain([reader.head] if pii else [], reader), not pii):
        seen.gaps += record["k"] == "gap"
        if record["k"] == "m" and spec is not None and not record.get("err"):
            seen.odd += not Recorded(record, spec).fields
        if pii:
            for one in survivors(number, record, spec):
                seen.survived += 1
                if len(seen.survivors) < SURVIVORS_SHOWN:
                    seen.survivors.append(f"line {one.number + 1}: a {WORDS[one.kind]} in {one.place}")
    return seen


# --- merge and split ----------------------------------------------------------------------------------------------------


def merge_captures(files: Sequence[Path], output: Path) -> int:
    with ExitStack() as stack:
        readers = [stack.enter_context(reading(file, everything=True)) for file in files]
        writer = CaptureWriter(_target(output), merged_head([reader.head for reader in readers]))
        count = 0
        for record in merged(readers):
            count += writer.write(record) > 0
        writer.close()
    for reader in readers:
        tell_findings(reader.findings)
    click.echo(f"{count:,} telegrams of {len(readers)} captures in {_named(writer, output)}", err=True)
    return exit_code(reader.findings for reader in readers)


def split_capture(file: Path, by: str, select: str | None, output: Path | None, spec_name: str | None, folders: Sequence[Path]) -> int:
    base = output or file
    if str(base) == "-":
        raise click.UsageError("The parts need a name: give one with --write.")
    with reading(file, everything=True) as reader:
        spec = spec_for(reader, spec_name, folders) if select or by == "message" else None
        choose = _chooser(by, spec)
        chosen = _selecting(choose, select, spec)
        writers: dict[str, CaptureWriter] = {}
        for part, record in parts(reader, chosen):
            if part not in writers:
                if len(writers) >= PARTS_AT_MOST:
                    raise click.ClickException(f"more than {PARTS_AT_MOST:,} parts: split by something that has fewer values")
                writers[part] = CaptureWriter(_part_name(base, part), reader.head)
            writers[part].write(record)
        for writer in writers.values():
            writer.close()
    tell_findings(reader.findings)
    for writer in writers.values():
        say(str(writer.paths[0]))
    return exit_code([reader.findings])


def _chooser(by: str, spec: Spec | None) -> Callable[[Record], str | None]:
    if by == "connection":
        return lambda record: str(record.get("c", "notes"))
    if by == "message":
        return lambda record: (Recorded(record, spec).message or "not-known") if record["k"] == "m" else None
    if by.isascii() and by.isdigit() and int(by):
        return _Together(_Counting(int(by)))
    try:
        span = written.nanoseconds(by)
    except written.Misread:
        raise click.UsageError("--by is none of: connection, message, a time such as 1h, a number of telegrams.") from None
    return _Together(lambda record: str(record.get("t", 0) // span + 1))


class _Counting:
    """The first so many, the next, and so on."""

    def __init__(self, each: int) -> None:
        self.each, self.seen = each, 0

    def __call__(self, record: Record) -> str:
        part = self.seen // self.each + 1
        self.seen += record["k"] == "m"
        return str(part)


class _Together:
    """An answer goes where its request went."""

    def __init__(self, choose: Callable[[Record], str]) -> None:
        self.choose = choose
        self.known: OrderedDict[str, str] = OrderedDict()

    def __call__(self, record: Record) -> str:
        part = self.choose(record)
        exchange = record.get("x")
        if exchange is None:
            return part
        part = self.known.setdefault(exchange, part)
        if len(self.known) > EXCHANGES_KEPT:
            self.known.popitem(last=False)
        return part


def _selecting(choose: Callable[[Record], str | None], select: str | None, spec: Spec | None) -> Callable[[Record], str | None]:
    if select is None:
        return choose
    predicate = parse(select)
    known_fields(predicate, spec)
    chosen: OrderedDict[str, bool] = OrderedDict()

    def by(record: Record) -> str | None:
        if record["k"] != "m":
            return None
        exchange = record.get("x")
        if not chosen.get(exchange or "") and not predicate.holds(Recorded(record, spec)):
            return None
        if exchange is not None:
            chosen[exchange] = True
            if len(chosen) > EXCHANGES_KEPT:
                chosen.popitem(last=False)
        return choose(record)

    return by


# --- convert ------------------------------------------------------------------------------------------------------------


def convert_capture(file: Path, form: str, output: Path, show_values: bool, spec_name: str | None, folders: Sequence[Path]) -> int:
    with reading(file) as reader:
        spec = spec_for(reader, spec_name, folders)
        if form == "csv":
            mark = b"" if str(output) == "-" else codecs.BOM_UTF8  # it tells spreadsheets that it is UTF-8
            pieces: Iterator[bytes] = chain([mark], (line.encode() for line in _csv_lines(reader, spec, show_values)))
        elif form == "scenario":
            if spec is None:
                raise click.UsageError("A scenario needs the spec: name it with --spec.")
            if str(file) == "-":
                raise click.UsageError("A scenario names its capture: give a file, not stdin.")
            capture = os.path.relpath(file, output.parent if str(output) != "-" else ".")
            pieces = (line.encode() for line in scenario_text(spec, reader, capture))
        elif form == "pcapng":
            name = spec.name if spec is not None else str(reader.head.get("spec") or "data")
            pieces = exported(reader.head, reader, f"telegram.{name}")
        else:
            pieces = packets(reader.head, reader)
        if str(output) == "-":
            sys.stdout.buffer.writelines(pieces)
        else:
            with _begun(output) as stream:
                stream.writelines(pieces)
    tell_findings(reader.findings)
    return exit_code([reader.findings])


COLUMNS: Final = ("n", "time", "c", "d", "len", "x", "msg")


def _csv_lines(reader: CaptureReader, spec: Spec | None, show_values: bool) -> Iterator[str]:
    """A line for each telegram: itself, then its fields as `path=value`, since messages have different ones."""
    yield _csv([*COLUMNS, "fields"])
    for record in reader.telegrams():
        seen = Recorded(record, spec)
        clear = clear_paths(spec, seen.message)
        fields = [f"{path}={'' if value is None else value}" for path, value in seen.fields.items() if show_values or path in clear]
        yield _csv(
            [
                record["n"],
                reader.head["t0"] + record["t"],
                record["c"],
                record["d"],
                record["len"],
                record.get("x", ""),
                seen.message or "",
                *fields,
            ]
        )


def _csv(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return out.getvalue()


def _harmless(cell: Any) -> Any:
    """A spreadsheet executes what begins like a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


# --- files --------------------------------------------------------------------------------------------------------------


def _begun(output: Path) -> BinaryIO:
    try:
        return output.open("wb")
    except OSError as error:
        raise CaptureError(
            "E-CAP-05", error.strerror or "it cannot be written", where=str(output), do="see to room and permissions"
        ) from None


def _target(output: Path) -> Any:
    return sys.stdout.buffer if str(output) == "-" else output


def _named(writer: CaptureWriter, output: Path) -> str:
    return str(writer.paths[-1]) if writer.paths else str(output)


def _part_name(base: Path, part: str) -> Path:
    stem, found, rest = base.name.partition(SUFFIX)
    named = re.sub(r"[^\w.-]+", "-", part)
    return base.with_name(f"{stem}.{named}{found or SUFFIX}{rest}")
