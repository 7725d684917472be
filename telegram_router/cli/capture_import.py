"""`capture import`: a packet capture as a capture of telegrams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from telegram_router.cli.capture_inputs import spec_digest
from telegram_router.cli.capture_masking import masker_for
from telegram_router.cli.exit_codes import EXIT_DAMAGED
from telegram_router.cli.options import spec_file
from telegram_router.cli.shown import say_json
from telegram_router.errors import ConfigError
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_records import CaptureError, Record
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams import Spec
from telegram_router.tools.masked_records import RecordMasker
from telegram_router.tools.packets.files import PacketFile
from telegram_router.tools.packets.importing import Imported, Importer
from telegram_router.tools.recorded import Recorded

HOSTS_TOLD = 10
_KNOWN = {  # by what it is known to be the host
    "SYN": "it was connected to",
    "port": "it has the --port",
    "host": "it was connected to",
    "low": "it has the lower port; who connected was not seen: --port names another",
    "requests": "it was asked; who connected was not seen: --port names another",
}
GUESSED_FROM = 20_000  # packets
_BAR_FROM = 16 * 1024 * 1024  # bytes; below that it is done before a bar could be read


def import_packets(
    file: Path,
    output: Path,
    spec_name: str | None,
    folders: Sequence[Path],
    port: int | None,
    *,
    strict: bool,
    as_json: bool,
    mask_key: Path | None = None,
    policy: Path | None = None,
) -> int:
    """Returns the exit code: 0, 1 where there are no telegrams, 5 where the file is damaged, or with `strict` has holes."""
    name = spec_name if spec_name is not None else guessed_spec(file, folders, port)
    path = spec_file(name, folders)
    from telegram_router.plan import read_spec

    spec = read_spec(path)
    head = {"source": "pcap", "spec": spec.name, "spec_sha256": spec_digest(path)}
    masking = None if mask_key is None else RecordMasker(masker_for(spec, mask_key, policy))
    with _packets(file) as stream:
        packets = PacketFile(stream, file.name)
        found, output = _imported(packets, spec, output, head, port, masking)
    if as_json:
        say_json({"file": str(file), "spec": spec.name, "output": str(output)} | found.as_object())
    else:
        _tell(found, output)
    if not found.telegrams:
        click.echo(
            f"no telegrams of {spec.name}: is it the right spec" + (f", and port {port} the right one" if port else "") + "?", err=True
        )
        return 1
    damaged = bool(found.warnings) or (strict and bool(found.gaps or found.conflicts or found.junk))
    return EXIT_DAMAGED if damaged else 0


def _imported(
    packets: PacketFile, spec: Spec, output: Path, head: Record, port: int | None, masking: RecordMasker | None
) -> tuple[Imported, Path]:
    """What was found, and the file that it was written to: no capture is ever written over."""
    writer: CaptureWriter | None = None

    def begin(t0: int) -> None:
        nonlocal writer
        target: Any = sys.stdout.buffer if str(output) == "-" else output
        first = records.head(t0=t0, **head)
        writer = CaptureWriter(target, first if masking is None else masking.head(first))

    def write(record: Record) -> None:
        assert writer is not None
        kept = record if masking is None else masking.record(record)
        if kept is not None:
            writer.write(kept)

    importer = Importer(packets, spec, write, port)
    found = importer.run(begin)
    assert writer is not None
    for text in (*found.stories, *found.strangers, *found.warnings):
        writer.write(records.note(0, text))
    writer.close()
    return found, writer.paths[-1] if writer.paths else output


def _tell(found: Imported, output: Path) -> None:
    say_to = click.echo if str(output) != "-" else lambda text: click.echo(text, err=True)
    say_to(f"{found.packets:,} packets, {found.connections:,} connections, {found.telegrams:,} telegrams in {output}")
    hosts = sorted(found.hosts.items(), key=lambda each: -each[1].telegrams)
    for address, host in hosts[:HOSTS_TOLD]:
        say_to(f"host {address}  connections {host.connections:,}  telegrams {host.telegrams:,}  ({_KNOWN[host.known]})")
    if len(hosts) > HOSTS_TOLD:
        say_to(f"and {len(hosts) - HOSTS_TOLD:,} more hosts with fewer telegrams (--json has all)")
    if found.strange:
        say_to(f"{found.strange:,} telegrams are no message of the spec, or have not its size (err in `capture show`)")
    if found.retransmitted or found.out_of_order:
        say_to(f"{found.retransmitted:,} segments were sent again, {found.out_of_order:,} came out of order: nothing is lost by that")
    for text in found.stories:
        click.secho(text, fg="yellow", err=True)
    if found.cut:
        click.echo(f"{found.cut:,} packets were recorded in part (snaplen): have tcpdump keep them whole with -s 0", err=True)
    if found.gaps:
        click.echo(f"{found.gaps:,} gaps, about {found.lost:,} telegrams lost", err=True)
    if found.conflicts:
        click.echo(f"{found.conflicts:,} copies differ from what came first, which was taken", err=True)
    for text in found.strangers:
        click.echo(f"left out: {text}", err=True)
    for text in found.warnings:
        click.secho(text, fg="red", err=True)


@contextmanager
def _packets(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        size = file.stat().st_size
        stream = file.open("rb")
    except OSError as error:
        raise CaptureError("E-CAP-04", error.strerror or "cannot be read", where=str(file), do="check path and permissions") from None
    with stream:
        if size < _BAR_FROM or not sys.stderr.isatty():
            yield stream
            return
        with click.progressbar(length=size, label="reading", file=sys.stderr) as bar:
            yield _Watched(stream, bar.update)  # type: ignore[misc]


class _Watched:
    """A stream whose reading is told."""

    def __init__(self, stream: BinaryIO, advance: Any) -> None:
        self._stream, self._advance = stream, advance

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._advance(len(data))
        return data


def guessed_spec(file: Path, folders: Sequence[Path], port: int | None) -> str:
    """The one spec of all that can be found of which the file has most telegrams, told on stderr. Refuses where none has any."""
    from telegram_router.plan import known_specs, read_spec, spec_folders

    if str(file) == "-":
        raise click.UsageError("Missing option '--spec': stdin can be read only once.")
    best: tuple[bool, int, int, str] = (False, 0, 0, "")
    for name, path in sorted(known_specs([*folders, *spec_folders(None, Path())]).items()):
        try:
            spec = read_spec(path)
        except ConfigError:
            continue
        sample: list[Record] = []
        with _packets(file) as stream:
            found = Importer(PacketFile(stream, file.name), spec, sample.append, port).run(lambda t0: None, GUESSED_FROM)
        right = sum(bool(Recorded(record, spec).fields) for record in sample if record["k"] == "m")
        best = max(best, (bool(spec.family.key), right, found.telegrams, name) if right else best)  # bytes without a key may be anything
    *_, telegrams, name = best
    if not telegrams:
        raise click.UsageError(
            f"No spec that can be found has telegrams in {os.fspath(file)}: name one with --spec, or its folder with --spec-folder."
        )
    click.echo(f"spec: {name}, of which {telegrams:,} telegrams were found at once (--spec names another)", err=True)
    return name
