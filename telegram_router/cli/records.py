"""The command that looks telegrams up in access records."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from telegram_router.cli.options import example

EXAMPLES = (
    "telegram-router find 17 --config bank.toml",
    "telegram-router find --field header.message_number=17 --date 2026-03-02 --json",
)


@click.command(epilog=example(*EXAMPLES))
@click.argument("key", required=False)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("router.toml"),
    show_default=True,
    help="The router's configuration, which names its access records.",
)
@click.option(
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look into this file alone, `.gz` too, instead of those of the configuration. May be given several times.",
)
@click.option(
    "--field", "fields", metavar="NAME=VALUE", multiple=True, help="A correlation field and its value, such as header.message_number=17."
)
@click.option(
    "--date", "day", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="Only this day, in the time zone of this machine."
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as they are: one JSON object a line.")
def find(key: str | None, config: Path, files: tuple[Path, ...], fields: tuple[str, ...], day: datetime | None, as_json: bool) -> int:
    """Say what became of a telegram, by its access records.

    KEY is the value of any correlation field, zeros in front or not, or a trace id. Each record is shown with what its delivery
    means for the money. Files that were put aside are looked into too, and a router that runs is not disturbed. Exit code 1
    if there is no record.
    """
    from telegram_router.cli.finding import Wanted, files_of, find_records
    from telegram_router.config import parse_config
    from telegram_router.ops.tokens import read_token
    from telegram_router.plan import read_text

    named = dict(_field(each) for each in fields)
    if not (key and key.strip("0 ")) and not any(each.strip("0 ") for each in named.values()):
        raise click.UsageError("name a KEY or a --field to look for; a value of zeros alone is in too many records")
    paths, secret, sampled = list(files), b"", 1.0
    if not files:
        access = parse_config(read_text(config), str(config)).access
        if access is None or access.file == "-":
            raise click.ClickException(f"{config} has no [access] table that names a file; give --file")
        paths, sampled = files_of(config.parent / access.file), access.sample_ok
        if access.key_file is not None:
            secret = read_token(config.parent / access.key_file, "access.key_file").encode()[:64]
    return find_records(paths, Wanted(key, named, day.date() if day is not None else None, secret), as_json, sampled)


def _field(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not (name and mark and value):
        raise click.UsageError(f"--field {text!r} is not NAME=VALUE")
    return name.removeprefix("header."), value
