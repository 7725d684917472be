"""The options by which a command finds the router that it asks. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click

from telegram_router.cli.kinds import TARGET
from telegram_router.written import Address

FILE = click.Path(dir_okay=False, path_type=Path)


class Where(NamedTuple):
    """What was said of the router's place."""

    config: Path
    socket: Path | None
    address: Address | None
    token_file: Path | None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


OPTIONS = (
    click.option(
        "--config", metavar="FILE", type=FILE, default=Path("router.toml"), show_default=True, help="The router's configuration, which names its admin API."
    ),
    click.option("--socket", metavar="PATH", type=FILE, help="Instead of --config: the admin API's Unix socket."),
    click.option("--address", metavar="HOST:PORT", type=TARGET, help="Instead of --config: the admin API's address."),
    click.option("--token-file", metavar="FILE", type=FILE, help="File with the token for --address."),
    click.option("--ca", metavar="FILE", type=FILE, help="For an --address that speaks HTTPS: PEM file with the CA of its certificate."),
    click.option("--certificate", metavar="FILE", type=FILE, help="Client certificate (PEM), where the address asks for one."),
    click.option("--key", metavar="FILE", type=FILE, help="Its key (PEM)."),
)  # fmt: skip


def where_of(options: dict[str, Any]) -> Where:
    """The place that a command's options name; takes them out of `options`."""
    where = Where(*(options.pop(name) for name in Where._fields))
    if where.socket is not None and any(each is not None for each in where[2:]):
        raise click.UsageError("--socket goes with neither --address nor --token-file, nor with anything of TLS.")
    if (where.certificate is None) != (where.key is None):
        raise click.UsageError("--certificate and --key go together.")
    return where
