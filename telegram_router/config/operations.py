"""Tables for those who run the router: logs, metrics, access records, spans, the admin API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from telegram_router.config.certificates import ServerTls
from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import (
    Count,
    FileSize,
    HeaderName,
    HeaderValue,
    HttpUrl,
    ListenAddress,
    NonEmpty,
    OneOrMore,
    ShareOrNone,
    Table,
)


class Log(Settings):
    level: Literal["debug", "info", "warning", "error"] = optional("info", "The least important lines that are written.")


class Metrics(Settings):
    address: ListenAddress = Field(description="Where Prometheus fetches `/metrics`. Without this table there is no endpoint.")
    insecure_public: bool = optional(False, "Allows an address that other machines can reach; nobody is asked for a password there.")


class Access(Settings):
    """A record of each telegram that ended."""

    file: NonEmpty = Field(description="Where access records go, one JSON line a telegram; `-` is stdout. Seen from this file.")
    sample_ok: ShareOrNone = optional(1.0, "The share of the requests that went well whose records are written; of all others each is.")
    max_size: FileSize = optional("100MiB", "At that size the file is put aside, under the time of its last record.")
    daily: bool = optional(False, "Whether the file is put aside at midnight too (UTC).")
    keep: Count = optional(10, "How many files put aside are kept; the oldest one goes first.")
    key_file: NonEmpty | None = optional(
        None,
        'File with a secret of at least 16 characters, readable by the router\'s user alone: correlation fields that are not log="clear" are '
        "written as a hash keyed by it, so that `find` finds them. Without it they are left out.",
    )


class Tracing(Settings):
    """Spans for OpenTelemetry, and which traces are sampled."""

    endpoint: HttpUrl | None = optional(
        None, "Where spans are sent by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Needs the extra `otel`. Absent: none are."
    )
    sample: ShareOrNone = optional(1.0, "The share of traces begun here that is sampled; a telegram that names its trace says so itself.")
    service_name: NonEmpty = optional("telegram-router", "What the spans call this router.")
    headers: Table[HeaderName, HeaderValue] = optional({}, "Headers added to what is sent to `endpoint`, such as a token.", secret=True)


class Admin(Settings):
    address: ListenAddress | None = optional(
        None, "Where the admin API and its page listen. One other than loopback needs `tls`, and a token or client certificates."
    )
    socket: NonEmpty | None = optional(
        None, "Instead of `address`: path of a Unix socket that the router's own user and root alone may use."
    )
    token_file: NonEmpty | None = optional(
        None, "File with the token of operators, for requests to `address`: at least 16 characters, readable by the router's user alone."
    )
    viewer_token_file: NonEmpty | None = optional(None, "The same for viewers, who see everything and give no orders.")
    tls: ServerTls | None = optional(None, "Certificate and client policy of `address`, which then speaks HTTPS alone.")
    operators: OneOrMore[NonEmpty] = optional(
        (), "DNS or URI name, or list of them, of the client certificates that may give orders. Needs `client_ca` in `tls`."
    )
    viewers: OneOrMore[NonEmpty] = optional((), "The same for those that may look only.")
    plain_http: bool = optional(
        False, "Allow an address other than loopback without `tls`: whoever is on the way reads the token and may use it."
    )
