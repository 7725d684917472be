"""The TLS of commands that connect to somebody, made and checked as the router makes that of its links: who answers is always verified."""

from __future__ import annotations

import ssl
from pathlib import Path

import click

from telegram_router.errors import ConfigError


def client_tls(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Without `key` it is in the file of the certificate. Raises click.UsageError with all that is wrong with the files."""
    from telegram_router.wire.certificates import client_context

    try:
        return client_context(*(None if each is None else str(each) for each in (ca, certificate, key or certificate)))
    except ConfigError as error:
        raise click.UsageError("\n".join(problem.text() for problem in error.problems)) from None
