"""`spec import`: a spec from a COBOL copybook or a layout sheet, and a report of what was found in it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from telegram_router.cli import EXIT_CONFIG, tell
from telegram_router.cli.shown import aligned, say_json
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.telegrams import load_spec
from telegram_router.telegrams.explain import printable
from telegram_router.telegrams.importers.copybook import CopybookOptions, decoded, import_copybook, selection
from telegram_router.telegrams.importers.model import Finding, Import, ImportedSpec, leaves
from telegram_router.telegrams.importers.source import spec_source
from telegram_router.telegrams.importers.tables import import_table_file

_SHEETS: Final = (".csv", ".tsv", ".xlsx", ".xlsm", ".xls")
_COPYBOOKS: Final = ("", ".cpy", ".cbl", ".cob", ".copy", ".cpb", ".inc", ".txt")
_LONGEST: Final = 400  # letters of a finding
_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}
_BINARY_SHEETS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_ENTRY: Final = re.compile(
    r"^.{0,12}?\b\d{1,2}\s+[\w:()-]+.*\b(PIC|PICTURE|OCCURS|REDEFINES|COPY|COMP|USAGE)\b|^.{0,12}?\b0?1\s+[\w:-]+\s*\.", re.I | re.M
)


@dataclass(frozen=True)
class Wanted:
    """What to write, and where."""

    output: Path | None  # None: stdout
    overwrite: bool
    despite_errors: bool
    as_json: bool


def options_of(*, odo: Any, selects: Sequence[str], **given: Any) -> CopybookOptions:
    """The options of the command as the importer takes them."""
    selections = []
    for text in selects:
        found = selection(text)
        if found is None:
            raise click.UsageError(f"--select: {text!r} is not of the form VIEW=FIELD:VALUE.")
        selections.append(found)
    return CopybookOptions(storage=odo, selections=tuple(selections), **given)


def import_layout(path: Path, options: CopybookOptions, folders: Sequence[Path], source_encoding: str | None, wanted: Wanted) -> int:
    """Write the spec and its report. Returns the exit code."""
    if wanted.output is not None and wanted.output.exists() and not wanted.overwrite:
        raise click.UsageError(f"{wanted.output} is there already. Give --force to overwrite it, or another --output.")
    content = _content(path)
    if is_sheet(path.name, content):
        found = import_table_file(content, path.name, name=options.name or "", encoding=options.encoding, force=wanted.despite_errors)
    else:
        found = _copybook(path, content, options, folders, source_encoding, wanted.despite_errors)
    text = None if found.spec is None else spec_source(found.spec)
    problems = [] if text is None else _problems(text, str(wanted.output or f"{path.stem}.py"))
    if text is not None and wanted.output is not None:
        _write(wanted.output, text)
    if wanted.as_json:
        say_json(_as_json(found, text, problems, wanted.output))
    elif text is not None and wanted.output is None:
        click.echo(text, nl=False)
    tell(_report(found, problems, path, wanted))
    return EXIT_CONFIG if problems or any(finding.level == "error" for finding in found.findings) else 0


def is_sheet(name: str, content: bytes) -> bool:
    """Whether a file is a layout sheet rather than a copybook, by its name, else by what stands in it."""
    suffix = Path(name).suffix.lower()
    if suffix in _SHEETS or content.startswith(_BINARY_SHEETS):
        return True
    if suffix in _COPYBOOKS[1:-1]:
        return False
    text, _ = decoded(content)
    return _ENTRY.search(text) is None and any(text.count(mark) > text.count("\n") for mark in ",\t;")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([ConfigProblem("E-CFG-01", str(path), 0, "", error.strerror or "cannot be read")]) from None


def _copybook(
    path: Path, content: bytes, options: CopybookOptions, folders: Sequence[Path], source_encoding: str | None, force: bool
) -> Import:
    text, _ = _decoded(content, source_encoding)
    places = [path.parent, *folders]

    def copied(name: str) -> tuple[str, str] | None:
        file = _find(name, places)
        return None if file is None else (file.name, _decoded(_content(file), source_encoding)[0])

    return import_copybook(text, path.name, options, copied, force=force)


def _decoded(content: bytes, encoding: str | None) -> tuple[str, str]:
    try:
        return decoded(content, encoding)
    except LookupError:
        raise click.UsageError(f"--source-encoding: {encoding} is not known.") from None


def _find(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of a copied text: its name as it stands or with a usual ending, in capitals or not."""
    plain = re.split(r"[/\\]", name)[-1].lower()
    for folder in folders:
        files = {file.name.lower(): file for file in sorted(folder.iterdir()) if file.is_file()} if folder.is_dir() else {}
        for ending in _COPYBOOKS:
            if plain + ending in files:
                return files[plain + ending]
    return None


def _write(output: Path, text: str) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError([ConfigProblem("E-CFG-01", str(output), 0, "", f"cannot be written: {error.strerror}")]) from None


def _problems(text: str, filename: str) -> list[ConfigProblem]:
    """What the loader says to the spec."""
    try:
        load_spec(text, filename)
    except ConfigError as error:
        return list(error.problems)
    return []


# --- the report -------------------------------------------------------------------------------------------------


def _report(found: Import, problems: Sequence[ConfigProblem], path: Path, wanted: Wanted) -> Iterable[str]:
    """Findings, then what was written, then what to type next."""
    yield from _findings(found.findings)
    for problem in problems:
        yield problem.text()
    if found.spec is None:
        count = sum(finding.level == "error" for finding in found.findings)
        yield f"No spec was written: {count} error{'s' if count != 1 else ''} in {path.name}."
        return
    yield from _summary(found.spec)
    if wanted.as_json:
        return
    if wanted.output is None:
        yield f"Next: telegram-router spec import {path} --output specs/{found.spec.name}.py"
    elif problems:
        yield f"Next: mend {wanted.output}, then telegram-router spec show {wanted.output}"
    else:
        yield f"Next: telegram-router decode --spec {wanted.output} FILE"
        yield f"   or: telegram-router explain --spec {wanted.output} FILE"


def _findings(findings: Sequence[Finding]) -> Iterable[str]:
    if not findings:
        return
    shown = [[finding.level, finding.code, printable(finding.where), _readable(finding.what)] for finding in findings]
    coloured = sys.stderr.isatty()
    for finding, line in zip(findings, aligned(shown), strict=True):
        colour = _COLOURS[finding.level]
        yield click.style(finding.level, fg=colour) + line[len(finding.level) :] if coloured else line
        if finding.do:
            yield " " * (max(len(row[0]) for row in shown) + 2) + f"to do: {printable(finding.do)}"


def _readable(what: str) -> str:
    """Not longer than a person reads: a file that is no copybook has words of thousands of letters."""
    return printable(what if len(what) <= _LONGEST else f"{what[:_LONGEST]}…")


def _summary(spec: ImportedSpec) -> Iterable[str]:
    header = sum(node.size for node in spec.header)
    for message in spec.messages:
        size = header + sum(node.size for node in message.body)
        count = sum(1 for leaf in leaves((*spec.header, *message.body)) if leaf.name)
        yield f"{message.name}: {size} bytes, {count} field{'s' if count != 1 else ''}"


def _as_json(found: Import, text: str | None, problems: Sequence[ConfigProblem], output: Path | None) -> dict[str, Any]:
    return {
        "spec": None if found.spec is None else found.spec.name,
        "file": None if output is None or text is None else str(output),
        "source": text if output is None else None,
        "findings": [
            {"level": each.level, "code": each.code, "where": each.where, "what": each.what, "do": each.do} for each in found.findings
        ],
        "problems": [problem.text() for problem in problems],
    }
