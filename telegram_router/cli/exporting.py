"""`spec export`: a spec as a document, written to stdout, to a file, or into a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from telegram_router.cli import tell
from telegram_router.cli.shown import say
from telegram_router.cli.specs import message_named
from telegram_router.telegrams import MessageLayout, Spec

SAMPLES: Final = "samples"  # folder beside the spec file: one folder for each spec, one file for each message
SUFFIX: Final = ".telegram"
LARGEST_SAMPLE: Final = 1024 * 1024


@dataclass(frozen=True)
class Job:
    """What is to be exported."""

    spec: Spec
    samples: dict[str, bytes]  # frames by message
    message: MessageLayout | None

    @property
    def messages(self) -> list[MessageLayout]:
        return list(self.spec.messages.values()) if self.message is None else [self.message]

    def named(self, suffix: str) -> str:
        """Name of the one file of a format."""
        return f"{self.spec.name}{'' if self.message is None else f'.{self.message.name}'}.{suffix}"


File = tuple[str, bytes]  # name and content


@dataclass(frozen=True)
class Form:
    """One format: as a single document, and as the files of a folder."""

    document: Callable[[Job], bytes]
    files: Callable[[Job], Iterator[File]]
    is_binary: bool = False
    lost: Callable[[Job], list[str]] = lambda job: []  # what the format cannot hold of a spec, in words


def _one(
    suffix: str, document: Callable[[Job], bytes], *, is_binary: bool = False, lost: Callable[[Job], list[str]] = lambda job: []
) -> Form:
    """A format whose folder holds the one document too."""

    def files(job: Job) -> Iterator[File]:
        yield job.named(suffix), document(job)

    return Form(document, files, is_binary, lost)


def _markdown(job: Job) -> bytes:
    from telegram_router.telegrams.exporters import markdown

    whole = job.message is None
    return (markdown.spec_document(job.spec, job.samples) if whole else markdown.message_document(job.messages[0], job.samples)).encode()


def _html(job: Job) -> bytes:
    from telegram_router.telegrams.exporters import page

    whole = job.message is None
    return (page.spec_page(job.spec, job.samples) if whole else page.message_page(job.messages[0], job.samples)).encode()


def _schema(job: Job) -> bytes:
    import json

    from telegram_router.telegrams.exporters import json_schema

    made = json_schema.spec_schema(job.spec) if job.message is None else json_schema.message_schema(job.message)
    return (json.dumps(made, ensure_ascii=False, indent=2) + "\n").encode()


def _schemas(job: Job) -> Iterator[File]:
    for message in job.messages:
        yield f"{job.spec.name}.{message.name}.schema.json", _schema(Job(job.spec, job.samples, message))


def _lua(job: Job) -> bytes:
    from telegram_router.telegrams.exporters import lua

    if job.message is not None:
        raise click.UsageError("A dissector is for all messages of a spec: leave --message out.")
    return lua.dissector(job.spec).encode()


def _diagrams(job: Job) -> bytes:
    from telegram_router.telegrams.exporters import mermaid

    made = mermaid.document(job.spec) if job.message is None else mermaid.packet_diagram(job.message) + "\n"
    return made.encode()


def _diagram_files(job: Job) -> Iterator[File]:
    from telegram_router.telegrams.exporters import mermaid

    for message in job.messages:
        yield f"{job.spec.name}.{message.name}.mmd", (mermaid.packet_diagram(message) + "\n").encode()
    if job.message is None:
        yield f"{job.spec.name}.flow.mmd", (mermaid.sequence_diagram(job.spec) + "\n").encode()


def _csv(job: Job) -> bytes:
    from telegram_router.telegrams.exporters import tables

    return tables.export_csv(job.spec, job.message)


def _xlsx(job: Job) -> bytes:
    from telegram_router.telegrams.exporters import tables

    return tables.export_xlsx(job.spec, job.message)


def _not_in_sheets(job: Job) -> list[str]:
    from telegram_router.telegrams.exporters import tables

    return tables.not_carried(job.spec)


FORMATS: Final[dict[str, Form]] = {
    "markdown": _one("md", _markdown),
    "html": _one("html", _html),
    "json-schema": Form(_schema, _schemas),
    "lua": _one("lua", _lua),
    "mermaid": Form(_diagrams, _diagram_files),
    "csv": _one("csv", _csv, lost=_not_in_sheets),
    "xlsx": _one("xlsx", _xlsx, is_binary=True, lost=_not_in_sheets),
}


def export_spec(spec: Spec, path: Path, form: str, message: str | None, output: str | None) -> int:
    """Write one format of a spec. `path` is the spec file: its samples stand beside it. Returns the exit code."""
    job = Job(spec, samples_of(path), None if message is None else message_named(spec, message))
    made = FORMATS[form]
    tell(f"not in the {form}: {what}" for what in made.lost(job))
    if output is None:
        if made.is_binary and sys.stdout.isatty():
            raise click.UsageError(f"{form} is no text for a terminal: name a file with --output.")
        sys.stdout.buffer.write(made.document(job))
        return 0
    target = Path(output)
    if output.endswith(os.sep) or target.is_dir():
        for name, content in made.files(job):
            _write(target / name, content)
    else:
        _write(target, made.document(job))
    return 0


def samples_of(path: Path) -> dict[str, bytes]:
    """Sample telegrams that stand beside a spec file, by message."""
    folder = path.parent / SAMPLES / path.stem
    try:
        files = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
        return {file.name.removesuffix(SUFFIX): file.read_bytes() for file in files if file.stat().st_size <= LARGEST_SAMPLE}
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    say(str(path))
