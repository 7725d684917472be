"""`capture mask`, and what the other commands need to mask: the key, the policy, the masker."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from telegram_router.cli.capture_inputs import exit_code, reading, spec_for, tell_findings
from telegram_router.storage.capture_records import CaptureError
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.tools.masked_records import RecordMasker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telegram_router.telegrams import Spec
    from telegram_router.telegrams.masking import Masker


def masker_for(spec: Spec, key_file: Path, policy_file: Path | None) -> Masker:
    """Raises MaskError for a key or a policy that cannot be used."""
    from telegram_router.telegrams.mask_policy import Policy, policy_of
    from telegram_router.telegrams.masking import Masker

    policy = Policy() if policy_file is None else policy_of(policy_table(policy_file))
    return Masker(spec, key_of(key_file), policy)


def key_of(file: Path) -> bytes:
    """Raises MaskError for a key that cannot be used."""
    from telegram_router.telegrams.masking import checked_key

    return checked_key(_bytes(file).strip())


def policy_table(file: Path) -> dict[str, Any]:
    """A policy's file, read but not looked at."""
    from telegram_router.telegrams.mask_policy import MaskError

    try:
        return tomllib.loads(_bytes(file).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MaskError("E-CAP-09", f"policy is no TOML: {error}", where=str(file)) from None


def _bytes(file: Path) -> bytes:
    from telegram_router.telegrams.mask_policy import MaskError

    try:
        return file.read_bytes()
    except OSError as error:
        raise MaskError("E-CAP-09", error.strerror or "cannot be read", where=str(file), do="check path and permissions") from None


def mask_capture(file: Path, output: Path, key_file: Path, policy_file: Path | None, spec_name: str | None, folders: Sequence[Path]) -> int:
    if str(output) != "-" and output.exists() and str(file) != "-" and os.path.samefile(file, output):
        raise click.UsageError("A capture cannot be masked onto itself: give another name with --write.")
    with reading(file) as reader:
        if reader.head.get("mask"):
            raise CaptureError("E-CAP-09", "it is masked already", where=str(file), do="mask the capture that it was made of")
        spec = spec_for(reader, spec_name, folders)
        if spec is None:
            raise CaptureError("E-CAP-09", "no spec says where values stand", where=str(file), do="name it with --spec")
        masking = RecordMasker(masker_for(spec, key_file, policy_file))
        with written(output, masking.head(reader.head)) as writer:
            for record in reader:
                kept = masking.record(record)
                if kept is not None:
                    writer.write(kept)
    tell_findings(reader.findings)
    unreadable = f", {masking.unreadable:,} that cannot be read left as a length and a digest" if masking.unreadable else ""
    click.echo(f"{masking.masked:,} telegrams masked{unreadable}: {writer.paths[-1] if writer.paths else output}", err=True)
    return exit_code([reader.findings])


@contextmanager
def written(output: Path, head: dict[str, Any]) -> Iterator[CaptureWriter]:
    """A writer, closed at the end however it ends."""
    writer = CaptureWriter(sys.stdout.buffer if str(output) == "-" else output, head)
    try:
        yield writer
    finally:
        writer.close()
