"""The TLS of commands that connect to somebody, made and checked as the router makes that of its links: who answers is always verified."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from telegram_router.errors import ConfigError


def client_tls(
    ca: Path | None,
    certificate: Path | None = None,
    key: Path | None = None,
    *,
    options: Sequence[str] = ("--ca", "--certificate", "--key"),
) -> ssl.SSLContext:
    """Without `key` it is in the file of the certificate. Raises click.UsageError with all that is wrong with the files, by `options`."""
    from telegram_router.wire.certificates import client_context

    try:
        return client_context(*(None if each is None else str(each) for each in (ca, certificate, key or certificate)))
    except ConfigError as error:
        named = dict(zip(("tls.ca", "tls.certificate", "tls.key"), options, strict=False))
        problems = [replace(problem, key=named.get(problem.key, problem.key)) for problem in error.problems]
        raise click.UsageError("\n".join(problem.text() for problem in problems)) from None
