"""Commands on specs: list, show, import, sample, export, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from telegram_router.cli.options import SPEC_FOLDER, example, spec_file, spec_named


@click.group()
def spec() -> None:
    """List the specs of telegrams, or show one."""


@spec.command("list", epilog=example("telegram-router spec list"))
@SPEC_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def spec_list(folders: tuple[Path, ...], as_json: bool) -> int:
    """List the specs that can be found by name."""
    from telegram_router.cli.specs import list_specs

    return list_specs(folders, as_json)


@spec.command("show", epilog=example("telegram-router spec show firmbanking", "telegram-router spec show firmbanking transfer.request"))
@click.argument("name")
@click.argument("message", required=False)
@SPEC_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def spec_show(name: str, message: str | None, folders: tuple[Path, ...], as_json: bool) -> int:
    """Show a spec and its messages, or the offset table of one MESSAGE.

    NAME is the name of a spec or the path of a spec file (.py).
    """
    from telegram_router.cli.specs import show_message, show_spec

    found = spec_named(name, folders)
    return show_spec(found, as_json) if message is None else show_message(found, message, as_json)


@spec.command(
    "import",
    epilog=example(
        "telegram-router spec import customer.cpy --output specs/customer.py",
        "telegram-router spec import layout.xlsx --output specs/partner.py",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="File to write. Without it: stdout.")
@click.option("--force", is_flag=True, help="Overwrite the output file.")
@click.option("--despite-errors", is_flag=True, help="Write what could be understood, although the report has errors.")
@click.option("--name", metavar="NAME", help="Name of the spec; without it, the file's.")
@click.option("--encoding", metavar="ENCODING", help="Encoding of the telegrams: cp037, cp933, cp949, ascii or another code page.")
@click.option(
    "--dialect",
    type=click.Choice(["ibm", "gnucobol", "mf"]),
    default="ibm",
    show_default=True,
    help="Copybooks: whose COBOL wrote the data; sizes, signs, byte order and floating point follow from it.",
)
@click.option(
    "--odo", type=click.Choice(["max", "shift"]), help="Copybooks: OCCURS DEPENDING ON has room for all items, or only for those counted."
)
@click.option(
    "--framing",
    type=click.Choice(["fixed", "rdw", "rdw-little", "binary2", "binary4", "ascii4", "ebcdic4", "line"]),
    help="Copybooks: what parts one record from the next. Without it: fixed where all have one length, else rdw.",
)
@click.option(
    "--sign",
    type=click.Choice(["ascii", "ebcdic"]),
    help="Copybooks: the letters of signs in ASCII data, where they are not the dialect's.",
)
@click.option("--low-values", is_flag=True, help="Copybooks: fields of zero bytes have no value, as in records that nobody has filled.")
@click.option(
    "--select",
    "selects",
    metavar="VIEW=FIELD:VALUE",
    multiple=True,
    help="Copybooks: read this REDEFINES, or this record, where the field has the value.",
)
@click.option("--record", metavar="NAME", help="Copybooks: only this record of several.")
@click.option(
    "--format", "form", type=click.Choice(["fixed", "free", "variable"]), help="Copybooks: reference format; without it, found out."
)
@click.option("--source-encoding", metavar="ENCODING", help="Copybooks: encoding of the file itself; without it, found out.")
@click.option(
    "--copy-folder",
    "folders",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copybooks: folder to look for texts of COPY in, after the copybook's own. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object; without --output with the spec's source.")
def spec_import(
    file: Path,
    output: Path | None,
    force: bool,
    despite_errors: bool,
    name: str | None,
    encoding: str | None,
    selects: tuple[str, ...],
    source_encoding: str | None,
    folders: tuple[Path, ...],
    as_json: bool,
    **copybook: Any,
) -> int:
    """Write a spec from a COBOL copybook, or from a layout sheet (XLSX, CSV).

    The report of all that was found goes to stderr: errors, after which no spec is written, warnings, and choices that were made.
    Exit code 78 if it has errors.
    """
    from telegram_router.cli.importing import Wanted, import_layout, options_of

    options = options_of(name=name, encoding=encoding, selects=selects, **copybook)
    return import_layout(file, options, folders, source_encoding, Wanted(output, force, despite_errors, as_json))


@spec.command(
    "sample",
    epilog=example(
        "telegram-router spec sample firmbanking transfer.request --seed 7 --count 3",
        "telegram-router spec sample ksnet --format raw | telegram-router decode --spec ksnet",
    ),
)
@click.argument("name")
@click.argument("message", required=False)
@SPEC_FOLDER
@click.option("--seed", default="0", show_default=True, help="Any text. The same seed gives the same telegrams, everywhere and always.")
@click.option("--count", metavar="N", type=click.IntRange(1), help="How many; without it one, or without MESSAGE one of each message.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["hex", "raw", "json"]),
    default="hex",
    show_default=True,
    help="Lines of hex, the bytes themselves, or JSON lines as `encode` reads them.",
)
@click.option("--unframed", is_flag=True, help="Write telegrams without their framing.")
def spec_sample(name: str, message: str | None, folders: tuple[Path, ...], seed: str, count: int | None, form: str, unframed: bool) -> int:
    """Make up valid telegrams of a MESSAGE, or of all messages of a spec in turn.

    NAME is the name of a spec or the path of a spec file (.py). All data is invented: names, accounts and amounts belong to nobody.
    """
    from telegram_router.cli.sampling import sample_spec

    return sample_spec(spec_named(name, folders), message, seed, count, form, unframed)


@spec.command(
    "export",
    epilog=example(
        "telegram-router spec export firmbanking --format markdown --output firmbanking.md",
        "telegram-router spec export firmbanking --format json-schema --output schemas/",
    ),
)
@click.argument("name")
@SPEC_FOLDER
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["markdown", "html", "json-schema", "lua", "mermaid", "csv", "xlsx"]),
    help="What to write: a document for people, JSON Schema, a Wireshark dissector in Lua, Mermaid diagrams, or layout sheets.",
)
@click.option("--message", metavar="MESSAGE", help="Only this message.")
@click.option("--output", metavar="FILE", help="File to write, or folder: one that exists, or a name that ends in /. Without it: stdout.")
def spec_export(name: str, folders: tuple[Path, ...], form: str, message: str | None, output: str | None) -> int:
    """Write a spec as a document, for people or for other programs.

    NAME is the name of a spec or the path of a spec file (.py). Samples are taken from the folder samples/NAME beside the file; messages
    without one get a telegram that is made up.
    """
    from telegram_router.cli.exporting import export_spec
    from telegram_router.plan import read_spec

    file = spec_file(name, folders)
    return export_spec(read_spec(file), file, form, message, output)


@spec.command(
    "diff",
    epilog=example(
        "telegram-router spec diff bank-2024.py bank-2025.py",
        "telegram-router spec diff <(git show main:specs/bank.py) specs/bank.py --compatible",
    ),
)
@click.argument("old")
@click.argument("new")
@SPEC_FOLDER
@click.option("--compatible", is_flag=True, help="Exit code 1 only if some telegram of OLD can no longer be decoded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def spec_diff(old: str, new: str, folders: tuple[Path, ...], compatible: bool, as_json: bool) -> int:
    """Say what differs between two specs, and whether telegrams of OLD can still be decoded with NEW.

    Each is the name of a spec or a spec file. Exit code 0 if they are the same, 1 if they differ.
    """
    from telegram_router.cli.diffing import diff_specs
    from telegram_router.cli.exporting import samples_of
    from telegram_router.plan import read_spec

    files = [Path(name) if Path(name).exists() else spec_file(name, folders) for name in (old, new)]
    specs = [read_spec(file) for file in files]
    return diff_specs(specs[0], specs[1], samples_of(files[0]).values(), as_json, compatible)
