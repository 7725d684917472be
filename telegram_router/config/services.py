"""Tables of services, one for each kind."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from telegram_router.config.backends import Backends, Ejection, Failover, Health, Listen, listen_address
from telegram_router.config.certificates import ClientTls
from telegram_router.config.conduct import LinkConduct
from telegram_router.config.tables import KEEPALIVE, KEEPALIVE_MEANS, Settings, optional
from telegram_router.config.values import (
    Count,
    CountOrZero,
    Duration,
    DurationOrZero,
    Few,
    FieldPath,
    FrameSize,
    Handler,
    HeaderName,
    HeaderValue,
    HttpUrl,
    JsonPath,
    Listed,
    NonEmpty,
    Size,
    SourceAddress,
    Table,
)


class AnyService(Settings):
    """What services of every kind have."""

    kind: ClassVar[Literal["telegram", "http", "handler"]]

    spec: NonEmpty | None = optional(None, "The spec that the service speaks. Default: that of the listeners whose routes lead here.")
    balance: Literal["least_outstanding", "round_robin", "hash", "first"] = optional(
        "least_outstanding",
        "Who gets the next request: the link with the fewest open for its weight; in turns by weight; by the value of `balance_field`, "
        "so that equal values stay together; or the first that has room, in the order of `backends`.",
    )
    balance_field: NonEmpty | None = optional(None, "The header field that `hash` looks at.")
    ejection: Ejection | None = optional(
        None, "Backends whose answers fail are left out for a time. `{}` takes every default. Absent: never."
    )
    failover: Failover = optional({}, "How a better priority takes over again.")
    timeout: Duration = optional("30s", "How long the service may take to answer; after it the request is `sent_unknown`.")
    connect_timeout: Duration = optional("5s", "How long connecting to a backend may take, its TLS handshake included.")
    pending: CountOrZero = optional(128, "Requests that wait for room at the service; one more is answered `overflow`. 0: none waits.")
    pending_timeout: Duration = optional("1s", "How long a request may wait for room; after it the answer is `overflow`.")
    tombstone: Duration = optional("5m", "How long the key of a request without an answer stays reserved, so that no other uses it.")
    tombstones: Count = optional(100_000, "Reserved keys at most; beyond that the service refuses requests rather than forget.")
    calendar: NonEmpty | None = optional(None, "The calendar of its business hours. Absent: always open.")


class TelegramService(AnyService):
    """A service whose backends speak telegrams over TCP."""

    kind: ClassVar[Literal["telegram"]] = "telegram"

    protocol: Literal["telegram"] = optional("telegram", "May be left out.")
    backends: Backends = Field(
        description="Who answers: addresses as `host:port`, or tables with `address`, or with who dials us, `weight` and `priority`."
    )
    health: Health | None = optional(
        None, "Backends are probed, and requests go only to those that are up. `{}` takes every default. Absent: no probes."
    )
    links: Annotated[int, Field(ge=1, le=64)] = optional(
        1,
        "Connections held with each backend; at most 64. A host that grants fewer keeps what it grants: see [Fixed circuits](#fixed-circuits).",
    )
    standby: bool = optional(
        False,
        "The service begins without links, and has none until `telegram-router promote SERVICE`. See [Active and standby](#active-and-standby).",
    )
    links_min: Annotated[int, Field(ge=1, le=64)] = optional(1, "Connections without which a backend is given nothing; at most `links`.")
    in_flight: Count = optional(256, "Unanswered requests on one link; further ones wait as `pending`. In the mode `exclusive` it is 1.")
    backend_in_flight: Count | None = optional(
        None,
        "Unanswered requests at one backend over all its links; further ones wait as `pending`. Default: no bound but that of the links. "
        "Slow start begins with a tenth of it.",
    )
    mode: Literal["pipelined", "exclusive", "fifo"] = optional(
        "pipelined",
        "How replies on a link are paired: by the spec's correlation key, many requests at a time; `exclusive`: one request at a time, "
        "the key is still checked; `fifo`: by their order alone. See [Link modes](#link-modes).",
    )
    poison_grace: DurationOrZero | None = optional(
        None, "How long late replies are awaited on a `fifo` link whose order is in doubt, before it is closed. Default: `timeout`."
    )
    listen: Annotated[Listen | None, BeforeValidator(listen_address)] = optional(
        None,
        "Where backends without an `address` connect to us: an address, or a table. See [Backends that dial us](#backends-that-dial-us).",
    )
    source: SourceAddress | None = optional(
        None,
        "What links are dialled from: an address of this machine, and with it a port or a range that has one for each of `links`. "
        "Probes use the address alone. Default: the system chooses.",
    )
    max_attempts: Few = optional(
        3,
        "Links that a request may be given to one after the other, each lost before a byte of it can have left; then it is refused as "
        "`not_sent`. What may have left is never sent again.",
    )
    tls: ClientTls | None = optional(None, "TLS towards the backends, always verified. `{}` takes every default. Absent: plain TCP.")
    max_frame: FrameSize = optional("64KiB", "The longest telegram accepted from a backend, framing included; at most 1MiB.")
    frame_timeout: Duration = optional("10s", "From the first byte of a backend's telegram to its last; after it the link is closed.")
    write_timeout: Duration = optional("10s", "How long a backend may take nothing of what is written to it before the link is closed.")
    keepalive: DurationOrZero = optional(KEEPALIVE, KEEPALIVE_MEANS)
    reconnect_min: Duration = optional("500ms", "The pause after a link is lost; doubled at each failure, and jittered.")
    reconnect_max: Duration = optional("30s", "The longest of these pauses.")
    conduct: LinkConduct | None = optional(
        None,
        "Sign-on, sign-off and heartbeats of its links. `{}` takes every default. Absent: heartbeats where its spec has a polling frame with an answer.",
    )


class HttpService(AnyService):
    """A service that answers JSON over HTTP/1.1."""

    kind: ClassVar[Literal["http"]] = "http"

    protocol: Literal["http"] = optional("http", "May be left out: `url` says it.")
    url: HttpUrl = Field(description="Where requests are posted; `{message}` in the path becomes the message's name.")
    connections: Count = optional(64, "Connections at most; each carries one request at a time.")
    source: SourceAddress | None = optional(
        None, "The address of this machine that connections and probes are dialled from, without a port. Default: the system chooses."
    )
    health: Health | None = optional(
        None, "The service is probed, and gets requests only while it is up. `{}` takes every default. Absent: no probes."
    )
    headers: Table[HeaderName, HeaderValue] = optional(
        {}, "Headers added to each request. Those of framing, host and content are the router's own.", secret=True
    )
    definite: Listed[Annotated[int, Field(ge=400, le=599)]] = optional(
        (),
        "Statuses by which the service says for certain that it did not execute; all but these and 2xx are `sent_unknown`.",
    )
    request: Table[JsonPath, FieldPath] = optional(
        {},
        "Shape of the JSON sent: path in the JSON to field of the telegram. Default: `header` and `body` with every field under its own name.",
    )
    response: Table[FieldPath, JsonPath] = optional(
        {},
        "Where the answer's fields come from: field of the telegram to path in the JSON. Default: the message form. `{}`: from the request alone.",
    )
    set: Table[FieldPath, str] = optional({}, "Fields of the answer that get a fixed value, written as in the telegram.")
    keepalive: DurationOrZero = optional(KEEPALIVE, KEEPALIVE_MEANS)
    max_header: Size = optional("16KiB", "The longest response header; beyond it the answer is refused as `sent_unknown`.")
    max_body: Size = optional("1MiB", "The longest response body; beyond it the answer is refused as `sent_unknown`.")
    tls: ClientTls | None = optional(None, "For an https URL: which CA, name and client certificate. The server is always verified.")


class HandlerService(AnyService):
    """A service that is a Python function."""

    kind: ClassVar[Literal["handler"]] = "handler"

    handler: Handler = Field(description="`module:function`, an `async def` that takes a telegram and returns one.")
    concurrency: Count = optional(32, "Calls at a time; further requests wait as `pending`.")


KINDS: dict[str, type[AnyService]] = {"backends": TelegramService, "url": HttpService, "handler": HandlerService}


def kind_of(table: object) -> Literal["telegram", "http", "handler"]:
    """The kind of service that a table of the file describes, by its keys."""
    if isinstance(table, AnyService):
        return table.kind
    keys = table if isinstance(table, dict) else {}
    if "handler" in keys:
        return "handler"
    return "http" if "url" in keys or keys.get("protocol") == "http" else "telegram"


Service = TelegramService | HttpService | HandlerService
ServiceByKind = Annotated[
    Annotated[TelegramService, Tag("telegram")] | Annotated[HttpService, Tag("http")] | Annotated[HandlerService, Tag("handler")],
    Discriminator(kind_of),
]
