"""What the commands on captures share: opening them, finding their spec, telling what was wrong with them."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import click

from telegram_router.cli.exit_codes import EXIT_DAMAGED
from telegram_router.cli.options import spec_named
from telegram_router.storage.capture_reader import CaptureReader, Findings
from telegram_router.telegrams import Spec
from telegram_router.telegrams.json_form import form_of
from telegram_router.tools.predicate import Predicate

POLL: Final = 0.2  # seconds between two looks at a file that grows


@contextmanager
def reading(file: Path, *, everything: bool = False, follow: bool = False) -> Iterator[CaptureReader]:
    """A capture's reader; `-` is stdin. With `follow` it waits for more where the file ends."""
    if str(file) == "-":
        yield CaptureReader(sys.stdin.buffer, everything=everything)
        return
    reader = CaptureReader(cast("BinaryIO", _Growing(file)) if follow else file, everything=everything)
    try:
        yield reader
    finally:
        reader.close()


class _Growing:
    """A file that somebody is writing: reading waits at its end, until the capture's own end has come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._stream = (self._part if self._part.exists() else path).open("rb")

    def read(self, size: int) -> bytes:
        while True:
            data = self._stream.read(size)
            if data or not self._part.exists():  # it gets its name when it is closed
                return data or self._stream.read(size)
            time.sleep(POLL)

    def close(self) -> None:
        self._stream.close()


def spec_for(reader: CaptureReader, name: str | None, folders: Sequence[Path]) -> Spec | None:
    """The spec that was named, or the one that the capture names; None where it names none or it cannot be found."""
    from telegram_router.plan import find_spec, read_spec, spec_folders

    told = reader.head.get("spec")
    if name is not None:
        spec = spec_named(name, folders)
        if told and told != spec.name:
            click.echo(f"the capture is of {told}, and read as {spec.name}", err=True)
        return spec
    file = find_spec(told, [*folders, *spec_folders(None, Path())]) if isinstance(told, str) else None
    if file is None or not file.is_file():
        if told:
            click.echo(
                f"the spec {told} cannot be found: fields are not shown; name it with --spec, or its folder with --spec-folder", err=True
            )
        return None
    digest = reader.head.get("spec_sha256")
    if digest and digest != spec_digest(file):
        click.echo(f"the spec {told} has changed since the capture was made", err=True)
    return read_spec(file)


def known_fields(predicate: Predicate, spec: Spec | None) -> None:
    """Refuses a filter for fields that no telegram can have."""
    asked = {name[2:] for name in predicate.names if name.startswith("f.")}
    if asked and spec is None:
        raise click.UsageError("The filter asks for fields: name the spec with --spec.")
    if spec is None or not all(form_of(message).is_flat for message in spec.messages.values()):
        return  # of tables and views the names depend on the telegram
    known = {name for message in spec.messages.values() for planned in message.fields for name in (planned.name, planned.path)}
    for name in sorted(asked - known):
        raise click.UsageError(f"{spec.name} has no field {name}.")


def spec_digest(file: Path) -> str:
    """What a capture's head says of its spec's text."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tell_findings(findings: Findings) -> None:
    """Say on stderr what was wrong with a capture that has been read."""
    for problem in findings.problems:
        click.echo(problem, err=True)
    if not findings.closed_cleanly:
        click.echo("the capture was not closed cleanly: what came last may be missing", err=True)
    if findings.skipped:
        click.echo(f"{findings.skipped:,} records of kinds that this version does not know were skipped", err=True)


def exit_code(found: Iterable[Findings], *, strict: bool = False, gaps: int = 0) -> int:
    """0, or 5 where a capture is damaged; with `strict` also where one was not closed or has gaps."""
    every = list(found)
    bad = any(each.damaged for each in every) or (strict and (gaps > 0 or not all(each.closed_cleanly for each in every)))
    return EXIT_DAMAGED if bad else 0
