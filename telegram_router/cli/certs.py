"""`certs`: a CA for development, pairs of certificate and key from it, and a look at the certificates of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from telegram_router.cli.options import example

Command = TypeVar("Command", bound=Callable[..., Any])


def _days(default: int) -> Callable[[Command], Command]:
    told = "How long it is valid, from now."
    return click.option("--days", metavar="N", type=click.IntRange(1, 36_500), default=default, show_default=True, help=told)


_FOLDER = click.Path(file_okay=False, path_type=Path)
_CA = click.option("--ca", "ca", metavar="DIR", type=_FOLDER, required=True, help="Folder of the CA that `certs ca` made.")
_OUTPUT = click.option("--output", metavar="DIR", type=_FOLDER, help="Folder to write to, made if need be. Default: that of the CA.")
_FORCE = click.option("--force", is_flag=True, help="Replace files that exist.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(epilog=example("telegram-router certs ca --output certs", "telegram-router certs server router.example --ca certs"))
def certs() -> None:
    """Make certificates for development and tests, and look at certificates."""


@certs.command(epilog=example("telegram-router certs ca --output certs"))
@click.option("--output", metavar="DIR", type=_FOLDER, required=True, help="Folder to write to, made if need be.")
@click.option("--name", metavar="TEXT", default="telegram-router development CA", show_default=True, help="What the CA is called.")
@_days(3650)
@_FORCE
@_JSON
def ca(output: Path, name: str, days: int, force: bool, as_json: bool) -> int:
    """Make a certificate authority: ca.pem and ca.key.

    It is meant for development: its key lies unencrypted beside it, with mode 0600.
    """
    from telegram_router.wire.authority import Authority

    files = _made(lambda: Authority.make(output, name, days, force=force).files)
    return _tell(files, as_json, [_line("client_ca", files.certificate)], "[listeners.NAME.tls], to accept clients that it certifies")


@certs.command(epilog=example("telegram-router certs server router.example 10.0.0.5 --ca certs"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_CA
@_OUTPUT
@_days(397)
@_FORCE
@_JSON
def server(names: Sequence[str], ca: Path, output: Path | None, days: int, force: bool, as_json: bool) -> int:
    """Make a server's certificate for these NAMEs: DNS names, IP addresses or URIs.

    The files are called by the first of them.
    """
    files = _issue("server", names, ca, output, days, force)
    lines = [_line("certificate", files.certificate), _line("key", files.key)]
    return _tell(files, as_json, lines, "[listeners.NAME.tls]")


@certs.command(epilog=example("telegram-router certs client acme.example --ca certs"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_CA
@_OUTPUT
@_days(397)
@_FORCE
@_JSON
def client(names: Sequence[str], ca: Path, output: Path | None, days: int, force: bool, as_json: bool) -> int:
    """Make a client's certificate for these NAMEs, by which `owners` of a listener know it.

    The files are called by the first of them.
    """
    files = _issue("client", names, ca, output, days, force)
    lines = [_line("ca", ca / "ca.pem"), _line("certificate", files.certificate), _line("key", files.key)]
    return _tell(files, as_json, lines, "[services.NAME.tls], where the router is the client")


@certs.command(epilog=example("telegram-router certs show certs/router.example.pem"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_JSON
def show(files: Sequence[Path], as_json: bool) -> int:
    """Show what is in certificates (PEM or DER): names, issuer, dates, usage, and what strict verification would refuse.

    Exit code 1 if one has expired or would be refused.
    """
    from datetime import UTC, datetime

    from telegram_router.cli.shown import say_json
    from telegram_router.wire.inspection import look_at

    seen = [each for file in files for each in look_at(file, datetime.now(UTC))]
    if as_json:
        say_json({"certificates": seen})
    else:
        for each in seen:
            _print(each)
    return 1 if any(each.flaws for each in seen) else 0


def _line(key: str, path: Path) -> str:
    return f"{key} = {json.dumps(str(path), ensure_ascii=False)}"  # TOML escapes as JSON does


def _issue(purpose: Any, names: Sequence[str], ca: Path, output: Path | None, days: int, force: bool) -> Any:
    from telegram_router.wire.authority import Authority, file_name

    return _made(lambda: Authority.load(ca).issue(file_name(names[0]), names, purpose, days, folder=output, force=force))


def _made(make: Callable[[], Any]) -> Any:
    from telegram_router.wire.authority import CannotIssue

    try:
        return make()
    except CannotIssue as error:
        raise click.ClickException(str(error)) from None


def _tell(files: Any, as_json: bool, lines: Sequence[str], where: str) -> int:
    """What was made, and what to write into the configuration."""
    from datetime import UTC, datetime

    from telegram_router.cli.shown import say, say_json
    from telegram_router.wire.inspection import look_at

    (made,) = look_at(files.certificate, datetime.now(UTC))
    if as_json:
        say_json({"certificate": str(files.certificate), "key": str(files.key), "names": made.names, "valid_until": made.valid_until})
        return 0
    say(f"{files.certificate}  {', '.join(made.names) or made.subject}, until {made.valid_until[:10]}")
    say(f"{files.key}  its key, for the owner of the file alone")
    say()
    say(f"For {where}:", bold=True)
    for line in lines:
        say(line)
    return 0


def _print(seen: Any) -> None:
    from telegram_router.cli.shown import aligned, say
    from telegram_router.telegrams.explain import printable

    left = f"{seen.days_left} days left" if seen.days_left >= 0 else f"{-seen.days_left} days ago"
    rows = [
        ("subject", seen.subject or "none"),
        ("names", ", ".join(seen.names) or "none: the common name is not a name"),
        ("issuer", seen.issuer or "none"),
        ("serial", seen.serial),
        ("valid", f"{seen.valid_from} to {seen.valid_until}, {left}"),
        ("key", seen.key),
        ("sha256", seen.fingerprint),
        ("kind", "CA" if seen.ca else "no CA"),
        ("key usage", ", ".join(seen.key_usage).replace("_", " ") or "none given"),
        ("purposes", ", ".join(seen.purposes) or "any"),
        ("strict", "nothing to refuse" if not seen.flaws else "refused: it " + "; it ".join(seen.flaws)),
    ]
    say(f"{printable(seen.file)}, certificate {seen.place}", bold=True)
    for line in aligned([[name, printable(value)] for name, value in rows]):
        say(f"  {line}")
