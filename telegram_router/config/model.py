"""What a configuration file may hold: one frozen class for each of its tables."""

# The description of each key is also its row in docs/config.md; a test compares them.

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from telegram_router.config.values import (
    CertificateName,
    Clock,
    Count,
    CountedBy,
    CountOrZero,
    Day,
    Days,
    Duration,
    DurationOrZero,
    Exact,
    Few,
    FieldPath,
    FileSize,
    FrameSize,
    Handler,
    HeaderName,
    HeaderValue,
    HttpUrl,
    IdentifiedBy,
    JsonPath,
    LastingKey,
    Level,
    Listed,
    ListenAddress,
    Match,
    Name,
    Network,
    NonEmpty,
    OneOrMore,
    OpenHours,
    Quantity,
    Rule,
    ServerName,
    Share,
    ShareOrNone,
    Size,
    SourceAddress,
    Table,
    TargetAddress,
    Urgency,
    read_target_address,
)


def _key(default: Any, description: str, alias: str | None = None, *, secret: bool = False) -> Any:
    """A key that may be left out. Its default is written as in the file and read like it, so the two cannot differ."""
    return Field(default, description=description, alias=alias, repr=not secret, validate_default=default != ())


KEEPALIVE = "30s"
KEEPALIVE_MEANS = (
    "Silence after which the kernel asks whether the other side is still there, and a third of it between further questions; "
    'three without an answer close the connection. `"0s"`: it never asks.'
)


class Settings(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class Log(Settings):
    level: Literal["debug", "info", "warning", "error"] = _key("info", "The least important lines that are written.")


class Metrics(Settings):
    address: ListenAddress = Field(description="Where Prometheus fetches `/metrics`. Without this table there is no endpoint.")
    insecure_public: bool = _key(False, "Allows an address that other machines can reach; nobody is asked for a password there.")


class CertificatePolicy(Settings):
    """The router's certificate, and whose it asks for in return."""

    certificate: NonEmpty = Field(description="PEM file with the router's certificate and the chain below the root.")
    key: NonEmpty = Field(description="PEM file with its key, readable by the router's user alone.")
    key_passphrase_file: NonEmpty | None = _key(
        None, "File with the passphrase of the key, if it is encrypted: one line, readable by the router's user alone."
    )
    client_ca: NonEmpty | None = _key(None, "PEM file with the CAs whose client certificates are accepted.")
    client_certificate: Literal["required", "optional"] = _key(
        "required", "Whether clients must show a certificate. Only together with `client_ca`; without it none is asked for."
    )
    crl: OneOrMore[NonEmpty] = _key(
        (), "PEM file, or list of files, with the revocation lists (CRL) of these CAs. One that has expired lets no client in."
    )
    crl_check: Literal["leaf", "chain"] = _key(
        "leaf", "Whether the client's certificate alone is looked up in the lists, or every one of its chain."
    )


class AdminTls(CertificatePolicy):
    profile: Literal["intermediate", "modern"] = _key(
        "intermediate", "`modern` is TLS 1.3 only; `intermediate` adds TLS 1.2 with forward-secret AEAD ciphers."
    )


class Access(Settings):
    """A record of each telegram that ended."""

    file: NonEmpty = Field(description="Where access records go, one JSON line a telegram; `-` is stdout. Seen from this file.")
    sample_ok: ShareOrNone = _key(1.0, "The share of the requests that went well whose records are written; of all others each is.")
    max_size: FileSize = _key("100MiB", "At that size the file is put aside, under the time of its last record.")
    daily: bool = _key(False, "Whether the file is put aside at midnight too (UTC).")
    keep: Count = _key(10, "How many files put aside are kept; the oldest one goes first.")
    key_file: NonEmpty | None = _key(
        None,
        'File with a secret of at least 16 characters, readable by the router\'s user alone: correlation fields that are not log="clear" are '
        "written as a hash keyed by it, so that `find` finds them. Without it they are left out.",
    )


class Tracing(Settings):
    """Spans for OpenTelemetry, and which traces are sampled."""

    endpoint: HttpUrl | None = _key(
        None, "Where spans are sent by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Needs the extra `otel`. Absent: none are."
    )
    sample: ShareOrNone = _key(1.0, "The share of traces begun here that is sampled; a telegram that names its trace says so itself.")
    service_name: NonEmpty = _key("telegram-router", "What the spans call this router.")
    headers: Table[HeaderName, HeaderValue] = _key({}, "Headers added to what is sent to `endpoint`, such as a token.", secret=True)


class Admin(Settings):
    address: ListenAddress | None = _key(
        None, "Where the admin API and its page listen. One other than loopback needs `tls`, and a token or client certificates."
    )
    socket: NonEmpty | None = _key(None, "Instead of `address`: path of a Unix socket that the router's own user and root alone may use.")
    token_file: NonEmpty | None = _key(
        None, "File with the token of operators, for requests to `address`: at least 16 characters, readable by the router's user alone."
    )
    viewer_token_file: NonEmpty | None = _key(None, "The same for viewers, who see everything and give no orders.")
    tls: AdminTls | None = _key(None, "Certificate and client policy of `address`, which then speaks HTTPS alone.")
    operators: OneOrMore[NonEmpty] = _key(
        (), "DNS or URI name, or list of them, of the client certificates that may give orders. Needs `client_ca` in `tls`."
    )
    viewers: OneOrMore[NonEmpty] = _key((), "The same for those that may look only.")
    plain_http: bool = _key(
        False, "Allow an address other than loopback without `tls`: whoever is on the way reads the token and may use it."
    )


class ClientPolicy(CertificatePolicy):
    """A certificate policy of a listener, which may let in some clients of a CA and no other."""

    clients: OneOrMore[CertificateName] = _key(
        (),
        "The DNS or URI name (SAN), or list of names, of which a client's certificate must hold one; any other of the same CA is refused "
        "with E-TLS-07. Wildcards, IP addresses and common names are no names here. Default: every certificate of the CAs.",
    )


class TlsName(ClientPolicy):
    """Another certificate, with a client policy of its own, for clients that ask for one of these names."""

    names: OneOrMore[ServerName] = Field(
        description="The DNS name, or list of names, that clients ask for (SNI). `*.bank.example` is every name with one label in its place."
    )


class ListenerTls(ClientPolicy):
    profile: Literal["intermediate", "modern"] = _key(
        "intermediate", "`modern` is TLS 1.3 only; `intermediate` adds TLS 1.2 with forward-secret AEAD ciphers."
    )
    names: Listed[TlsName] = _key((), "Other certificates, each for names that clients ask for, and each with its own client policy.")
    unknown_name: Literal["default", "refuse"] = _key(
        "default", "Clients that ask for no name or for one that no certificate here has: get this certificate, or are refused."
    )

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients of some name are asked for their certificates."""
        return any(each.client_ca is not None for each in (self, *self.names))


class ProxyProtocol(Settings):
    """Balancers in front, which say by the PROXY protocol whose connection they pass on."""

    networks: Listed[Network] = Field(
        description="Addresses or networks of the balancers. Only they may connect, and each connection must begin with a PROXY header of "
        "version 2; everything else is refused with E-FRM-13.",
        alias="from",
    )


class Calendar(Settings):
    """Business hours. Outside them requests are refused with E-TXN-03, and nothing is sent."""

    timezone: NonEmpty = _key("Asia/Seoul", "The time zone of all that is said here, by its IANA name.")
    days: OneOrMore[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = _key(
        ["mon", "tue", "wed", "thu", "fri"], "The day, or list of days, on which hours begin."
    )
    hours: OneOrMore[OpenHours] = _key(
        "00:00-24:00",
        "From when to when it is open, one or a list. Hours over midnight, such as `22:00-06:00`, belong to the day on which they begin.",
    )
    holidays: Listed[Day] = _key((), "Days on which no hours begin.")
    cutover: Clock = _key(
        "00:00",
        "When the business date changes and the router's own numbers begin anew: before noon yesterday's date goes on until then, from noon "
        "on tomorrow's begins then.",
    )


class Conduct(Settings):
    """The telegrams about the line itself, as the spec's `conduct` declares them."""

    timeout: Duration = _key("10s", "How long a sign-on may take.")
    heartbeat: DurationOrZero | None = _key(
        None,
        "Silence after which the other side is asked whether it is there. Default: 30s where the spec has a polling frame or an echo telegram. "
        "`0s`: never.",
    )
    misses: Few = _key(3, "Heartbeats in a row after which nothing came, not even their answer: then the connection is closed.")
    beat: Literal["poll", "echo"] | None = _key(
        None, "What is asked: the spec's polling frame or its echo telegram. Default: the frame, where it has one."
    )
    fields: Table[NonEmpty, str] = _key({}, "Header fields of the router's own telegrams, such as its company number, as in the telegram.")
    first_number: Count = _key(1, "The first running number of the router's own telegrams on each business date.")


class LinkConduct(Conduct):
    sign_on: bool = _key(
        False, "The router signs on, and a link is given requests only once that was accepted. With a `calendar` at each opening again."
    )
    sign_off: bool = _key(True, "Having signed on, the router signs off before it closes a link, and at the close of business.")


class SessionConduct(Conduct):
    sign_on: Literal["none", "required", "forward"] = _key(
        "none",
        "`required`: what a client asks before its sign-on or after its sign-off is refused with E-TXN-03, and the router answers both; `forward`: "
        "a service answers them, as the routes say, and its answer decides.",
    )
    sign_off: bool = _key(False, "Clients are sent a sign-off before the router closes their sessions.")
    idle: Duration | None = _key(None, "Silence after which a session is closed. Longer than `heartbeat`. Absent: never.")


class Listener(Settings):
    """Where clients connect."""

    address: ListenAddress = Field(description="Where clients connect. Port 0 lets the system choose one.")
    spec: NonEmpty = Field(description="The spec of the telegrams spoken here, by its name.")
    tls: ListenerTls | None = _key(None, "Certificate and client policy. Without this table the port is plain TCP.")
    proxy_protocol: ProxyProtocol | None = _key(
        None,
        "Balancers in front of it that send PROXY headers. A client's address is then the one that the header names. Absent: none may come.",
    )
    max_sessions: Count = _key(1024, "Sessions at a time; one more is closed at once with E-LIM-05.")
    open_exchanges: Count = _key(256, "Unanswered requests of one session; at that number the router stops reading it.")
    unread: Size = _key("256KiB", "Answers one session has not taken yet; at that size the router stops reading it.")
    max_frame: FrameSize = _key("64KiB", "The longest telegram accepted, framing included; at most 1MiB.")
    frame_timeout: Duration = _key("10s", "From the first byte of a telegram to its last; after it the session is closed.")
    write_timeout: Duration = _key("10s", "How long a session may take nothing of what is written to it before it is closed.")
    handshake_timeout: Duration = _key(
        "5s", "How long a client may keep the TLS handshake waiting, in all; with our own work it ends after four times that."
    )
    timeout: Duration = _key("30s", "How long a session may take to answer a telegram that a host sent it.")
    client_timeout: Duration | None = _key(
        None,
        "How long the clients are known to wait for an answer. Nothing is done by it: `check` holds the `timeout` of the services against it.",
    )
    keepalive: DurationOrZero = _key(KEEPALIVE, KEEPALIVE_MEANS)
    calendar: NonEmpty | None = _key(None, "The calendar of its business hours. Absent: always open.")
    conduct: SessionConduct | None = _key(
        None,
        "Sign-on, sign-off and heartbeats of its sessions. `{}` takes every default. Absent: such telegrams are routed like any other.",
    )
    max_session_age: Duration | None = _key(
        None, "Sessions older than this, give or take a tenth, are parted with between two telegrams, as when the router stops."
    )
    answers_to: NonEmpty | None = _key(
        None,
        "For clients with one-way pairs: the listener, this one or another, whose sessions get the answers to what is asked here. See "
        "[One-way pairs of clients](#one-way-pairs-of-clients).",
    )
    owners: Table[NonEmpty, Listed[NonEmpty]] = _key(
        {},
        "Who may speak for an owner value of the spec, such as a company number: the names (SAN) of their client certificates. "
        "A host's own telegrams for that owner go to sessions that have spoken for it. Without this table any client may.",
    )


class ClientTls(Settings):
    ca: NonEmpty | None = _key(None, "PEM file with the CAs that the backend's certificate must come from. Default: the system's.")
    server_name: NonEmpty | None = _key(None, "The name that the backend's certificate must hold. Default: the host of its address.")
    certificate: NonEmpty | None = _key(None, "PEM file with the router's own certificate, when the backend asks for one.")
    key: NonEmpty | None = _key(None, "PEM file with the key of that certificate.")
    key_passphrase_file: NonEmpty | None = _key(
        None, "File with the passphrase of the key, if it is encrypted: one line, readable by the router's user alone."
    )


class Backend(Settings):
    """One address that answers."""

    address: TargetAddress | None = _key(None, "Where it answers, as `host:port`. Absent for one that dials us.")
    replies: TargetAddress | None = _key(
        None,
        "For one-way pairs: where the second connection is dialled, on which its replies come. Requests go out on the one to `address`. "
        "See [One-way pairs](#one-way-pairs).",
    )
    weight: Few = _key(1, "Its share of the requests beside others of the same priority; at most 100.")
    in_flight: Count | None = _key(None, "Instead of the service's `backend_in_flight`, for this one.")
    priority: Level = _key(0, "0 is used first; the next one only when no backend of the better ones is fit.")
    name: Name | None = _key(None, "What a backend that dials us is called, in place of an address.")
    networks: Listed[Network] = _key((), "Addresses or networks that it dials us from. Absent: from anywhere.", alias="from")
    certificate: OneOrMore[CertificateName] = _key(
        (), "The DNS or URI name (SAN), or list of names, of which its certificate must hold one. Needs `tls` in `listen`."
    )
    sign_on: Table[NonEmpty, NonEmpty] = _key(
        {},
        "Header fields of the sign-on that it must send first, and what stands in them: then nothing else is taken before it.",
    )

    @property
    def known_as(self) -> str:
        """Its name in orders, logs and metrics."""
        return self.name or str(self.address)


def _backend(value: object) -> object:
    return Backend.model_construct(address=read_target_address(value)) if isinstance(value, str) else value


def _listen(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


Backends = Listed[Annotated[Backend, BeforeValidator(_backend)]]


class ListenTls(CertificatePolicy):
    profile: Literal["intermediate", "modern"] = _key(
        "intermediate", "`modern` is TLS 1.3 only; `intermediate` adds TLS 1.2 with forward-secret AEAD ciphers."
    )


class Listen(Settings):
    """Where backends connect to us."""

    address: ListenAddress = Field(description="Where they connect. Port 0 lets the system choose one.")
    tls: ListenTls | None = _key(None, "Certificate and client policy. Without this table the port is plain TCP.")
    proxy_protocol: ProxyProtocol | None = _key(None, "Balancers in front of it that send PROXY headers, as at a listener.")
    handshake_timeout: Duration = _key(
        "5s", "How long a backend may keep the TLS handshake waiting, in all; with our own work it ends after four times that."
    )
    extra: Literal["replace", "refuse"] = _key(
        "replace",
        "What becomes of a connection beyond the `links` of its backend: it takes the place of the oldest one, which is closed once "
        "what it has is answered; or it is closed with E-BCK-13.",
    )


class Health(Settings):
    """How backends are probed, each on a connection of its own."""

    probe: Literal["connect", "tls", "poll", "http"] = _key(
        "connect",
        "`connect`: a TCP connection is accepted; `tls`: and the TLS handshake is done; `poll`: and the spec's polling frame is answered; "
        "`http`: `GET` of `path` is answered with 2xx.",
    )
    path: NonEmpty = _key("/", "What `http` asks for.")
    interval: Duration = _key("2s", "Between two probes of a backend that is up; jittered by a tenth.")
    timeout: Duration = _key("2s", "How long a probe may take.")
    rise: Few = _key(2, "Probes in a row that must go well before a backend that was down is up.")
    fall: Few = _key(3, "Probes in a row that must fail before a backend that was up is down.")
    fast_interval: Duration = _key("1s", "Between two probes while the count towards `rise` or `fall` is on.")
    down_interval: Duration = _key("5s", "Between two probes of a backend that is down.")


class Ejection(Settings):
    """When a backend's own answers count against it. Times, lost links and unreadable answers always count."""

    failure_when: Table[NonEmpty, Match] = _key(
        {},
        "Header fields of answers that say that the system is in trouble, as in a route's `match`; never a refusal for business reasons.",
    )
    consecutive: Count = _key(5, "Failures in a row that eject a backend.")
    rate: Share = _key(0.5, "Share of failures among the requests of one window that ejects it as well.")
    least: Count = _key(20, "Requests that a window must have before `rate` counts.")
    window: Duration = _key("10s", "The window of `rate`.")
    base: Duration = _key("30s", "The first ejection; each further one is longer by as much.")
    longest: Duration = _key("5m", "The longest ejection.")
    share: Share = _key(0.5, "Of the backends that may be ejected at a time. One always may, and the last one that is fit never is.")
    trials: Few = _key(2, "Requests that must go well, one at a time, when an ejection has ended.")


class Failover(Settings):
    """How a better priority takes over again. Fail-over itself is immediate."""

    failback: Literal["auto", "manual"] = _key("auto", "`manual`: only an operator returns it.")
    delay: DurationOrZero = _key("30s", "How long the better priority must have been fit before it is used again.")
    slow_start: DurationOrZero = _key("30s", "How long a backend that comes back beside others takes to get its whole share.")
    flaps: Count = _key(3, "Fail-overs within `flap_window` after which the worse priority is kept.")
    flap_window: Duration = _key("10m", "The window of `flaps`.")


class AnyService(Settings):
    """What services of every kind have."""

    kind: ClassVar[Literal["telegram", "http", "handler"]]

    spec: NonEmpty | None = _key(None, "The spec that the service speaks. Default: that of the listeners whose routes lead here.")
    balance: Literal["least_outstanding", "round_robin", "hash", "first"] = _key(
        "least_outstanding",
        "Who gets the next request: the link with the fewest open for its weight; in turns by weight; by the value of `balance_field`, "
        "so that equal values stay together; or the first that has room, in the order of `backends`.",
    )
    balance_field: NonEmpty | None = _key(None, "The header field that `hash` looks at.")
    ejection: Ejection | None = _key(None, "Backends whose answers fail are left out for a time. `{}` takes every default. Absent: never.")
    failover: Failover = _key({}, "How a better priority takes over again.")
    timeout: Duration = _key("30s", "How long the service may take to answer; after it the request is `sent_unknown`.")
    connect_timeout: Duration = _key("5s", "How long connecting to a backend may take, its TLS handshake included.")
    pending: CountOrZero = _key(128, "Requests that wait for room at the service; one more is answered `overflow`. 0: none waits.")
    pending_timeout: Duration = _key("1s", "How long a request may wait for room; after it the answer is `overflow`.")
    tombstone: Duration = _key("5m", "How long the key of a request without an answer stays reserved, so that no other uses it.")
    tombstones: Count = _key(100_000, "Reserved keys at most; beyond that the service refuses requests rather than forget.")
    calendar: NonEmpty | None = _key(None, "The calendar of its business hours. Absent: always open.")


class TelegramService(AnyService):
    """A service whose backends speak telegrams over TCP."""

    kind: ClassVar[Literal["telegram"]] = "telegram"

    protocol: Literal["telegram"] = _key("telegram", "May be left out.")
    backends: Backends = Field(
        description="Who answers: addresses as `host:port`, or tables with `address`, or with who dials us, `weight` and `priority`."
    )
    health: Health | None = _key(
        None, "Backends are probed, and requests go only to those that are up. `{}` takes every default. Absent: no probes."
    )
    links: Annotated[int, Field(ge=1, le=64)] = _key(
        1,
        "Connections held with each backend; at most 64. A host that grants fewer keeps what it grants: see [Fixed circuits](#fixed-circuits).",
    )
    standby: bool = _key(
        False,
        "The service begins without links, and has none until `telegram-router promote SERVICE`. See [Active and standby](#active-and-standby).",
    )
    links_min: Annotated[int, Field(ge=1, le=64)] = _key(1, "Connections without which a backend is given nothing; at most `links`.")
    in_flight: Count = _key(256, "Unanswered requests on one link; further ones wait as `pending`. In the mode `exclusive` it is 1.")
    backend_in_flight: Count | None = _key(
        None,
        "Unanswered requests at one backend over all its links; further ones wait as `pending`. Default: no bound but that of the links. "
        "Slow start begins with a tenth of it.",
    )
    mode: Literal["pipelined", "exclusive", "fifo"] = _key(
        "pipelined",
        "How replies on a link are paired: by the spec's correlation key, many requests at a time; `exclusive`: one request at a time, "
        "the key is still checked; `fifo`: by their order alone. See [Link modes](#link-modes).",
    )
    poison_grace: DurationOrZero | None = _key(
        None, "How long late replies are awaited on a `fifo` link whose order is in doubt, before it is closed. Default: `timeout`."
    )
    listen: Annotated[Listen | None, BeforeValidator(_listen)] = _key(
        None,
        "Where backends without an `address` connect to us: an address, or a table. See [Backends that dial us](#backends-that-dial-us).",
    )
    source: SourceAddress | None = _key(
        None,
        "What links are dialled from: an address of this machine, and with it a port or a range that has one for each of `links`. "
        "Probes use the address alone. Default: the system chooses.",
    )
    max_attempts: Few = _key(
        3,
        "Links that a request may be given to one after the other, each lost before a byte of it can have left; then it is refused as "
        "`not_sent`. What may have left is never sent again.",
    )
    tls: ClientTls | None = _key(None, "TLS towards the backends, always verified. `{}` takes every default. Absent: plain TCP.")
    max_frame: FrameSize = _key("64KiB", "The longest telegram accepted from a backend, framing included; at most 1MiB.")
    frame_timeout: Duration = _key("10s", "From the first byte of a backend's telegram to its last; after it the link is closed.")
    write_timeout: Duration = _key("10s", "How long a backend may take nothing of what is written to it before the link is closed.")
    keepalive: DurationOrZero = _key(KEEPALIVE, KEEPALIVE_MEANS)
    reconnect_min: Duration = _key("500ms", "The pause after a link is lost; doubled at each failure, and jittered.")
    reconnect_max: Duration = _key("30s", "The longest of these pauses.")
    conduct: LinkConduct | None = _key(
        None,
        "Sign-on, sign-off and heartbeats of its links. `{}` takes every default. Absent: heartbeats where its spec has a polling frame with an answer.",
    )


class HttpService(AnyService):
    """A service that answers JSON over HTTP/1.1."""

    kind: ClassVar[Literal["http"]] = "http"

    protocol: Literal["http"] = _key("http", "May be left out: `url` says it.")
    url: HttpUrl = Field(description="Where requests are posted; `{message}` in the path becomes the message's name.")
    connections: Count = _key(64, "Connections at most; each carries one request at a time.")
    source: SourceAddress | None = _key(
        None, "The address of this machine that connections and probes are dialled from, without a port. Default: the system chooses."
    )
    health: Health | None = _key(
        None, "The service is probed, and gets requests only while it is up. `{}` takes every default. Absent: no probes."
    )
    headers: Table[HeaderName, HeaderValue] = _key(
        {}, "Headers added to each request. Those of framing, host and content are the router's own.", secret=True
    )
    definite: Listed[Annotated[int, Field(ge=400, le=599)]] = _key(
        (),
        "Statuses by which the service says for certain that it did not execute; all but these and 2xx are `sent_unknown`.",
    )
    request: Table[JsonPath, FieldPath] = _key(
        {},
        "Shape of the JSON sent: path in the JSON to field of the telegram. Default: `header` and `body` with every field under its own name.",
    )
    response: Table[FieldPath, JsonPath] = _key(
        {},
        "Where the answer's fields come from: field of the telegram to path in the JSON. Default: the message form. `{}`: from the request alone.",
    )
    set: Table[FieldPath, str] = _key({}, "Fields of the answer that get a fixed value, written as in the telegram.")
    keepalive: DurationOrZero = _key(KEEPALIVE, KEEPALIVE_MEANS)
    max_header: Size = _key("16KiB", "The longest response header; beyond it the answer is refused as `sent_unknown`.")
    max_body: Size = _key("1MiB", "The longest response body; beyond it the answer is refused as `sent_unknown`.")
    tls: ClientTls | None = _key(None, "For an https URL: which CA, name and client certificate. The server is always verified.")


class HandlerService(AnyService):
    """A service that is a Python function."""

    kind: ClassVar[Literal["handler"]] = "handler"

    handler: Handler = Field(description="`module:function`, an `async def` that takes a telegram and returns one.")
    concurrency: Count = _key(32, "Calls at a time; further requests wait as `pending`.")


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
_ServiceByKind = Annotated[
    Annotated[TelegramService, Tag("telegram")] | Annotated[HttpService, Tag("http")] | Annotated[HandlerService, Tag("handler")],
    Discriminator(kind_of),
]


Party = tuple[Literal["listener", "service"], str]
IN_BODY = "body."


class ServiceBy(Settings):
    """The services among which a field of the telegram chooses."""

    field: NonEmpty = Field(description="The field that names the service, as `body.FIELD` or `header.FIELD`.")
    services: Table[NonEmpty, Name] = Field(
        description="The service for each value of the field. A telegram with any other value is refused with E-RTE-02."
    )


class Route(Settings):
    """Which telegrams go where."""

    name: Name | None = _key(None, "What `explain` and the logs call the route. Default: its place in the file.")
    listener: OneOrMore[str] = _key((), "The listener, or list of listeners, whose telegrams this route takes.")
    from_service: str | None = _key(None, "Instead of `listener`: the service whose hosts' own telegrams this route takes.")
    match: Table[NonEmpty, Match] = _key(
        {},
        'Header fields that must all agree, each with `"v"`, `["v", "w"]`, `{ prefix = "v" }` or `{ min = "v", max = "w" }`; fields of the '
        "body likewise, as `body.FIELD`.",
    )
    default: bool = _key(False, "Instead of `match`: takes what no other route of its source takes.")
    service: str | None = _key(None, "The service that answers.")
    urgency: Urgency = _key(
        "normal", "How urgent its requests are where several wait for one service; `[priorities.NAME]` goes before it.", alias="class"
    )
    to_listener: str | None = _key(None, "Instead of `service`: the listener whose session owns the telegram and answers it.")
    service_by: ServiceBy | None = _key(None, "Instead of `service`: the services among which a field of the telegram chooses.")
    split: Table[Name, CountOrZero] = _key(
        {},
        "Instead of `service`: services and their shares, as in `{ old = 90, new = 10 }`. What decides is a hash of the correlation key.",
    )
    split_by: NonEmpty | None = _key(
        None, "Of `split`: the header field whose hash decides instead, so that all telegrams of a customer go to the same service."
    )
    validation: Literal["header", "full"] = _key(
        "header",
        "`header` checks framing, key and length; `full` every field, of the request and of its answer. HTTP services and handlers are always `full`.",
        alias="validate",
    )

    @property
    def exact(self) -> bool:
        """True when this route belongs into the table that is tried before the ordered rules."""
        return bool(self.match) and not self.deep and all(isinstance(rule, Exact) for rule in self.match.values())

    @property
    def deep(self) -> bool:
        """True when more than the header decides: such rules are tried first of all."""
        return self.service_by is not None or any(name.startswith(IN_BODY) for name in self.match)

    @property
    def header_match(self) -> dict[str, Rule]:
        """What the header must be like."""
        return {name: rule for name, rule in self.match.items() if not name.startswith(IN_BODY)}

    @property
    def body_match(self) -> dict[str, Rule]:
        """What the body must be like, by the fields' paths."""
        return {name: rule for name, rule in self.match.items() if name.startswith(IN_BODY)}

    @property
    def sources(self) -> tuple[Party, ...]:
        """Where the telegrams come from."""
        if self.from_service is not None:
            return (("service", self.from_service),)
        return tuple(("listener", name) for name in self.listener)

    @property
    def targets(self) -> tuple[Party, ...]:
        """Where the telegrams may go to, each once."""
        if self.split:
            return tuple(("service", name) for name in self.split)
        if self.service_by is not None:
            return tuple(dict.fromkeys(("service", name) for name in self.service_by.services.values()))
        return (("service", self.service) if self.service is not None else ("listener", self.to_listener or ""),)


class Limit(Settings):
    """How many requests may come in a time, and how many may be open."""

    key: OneOrMore[CountedBy] = Field(
        description="What is counted by: `certificate`, `address`, `session`, `service`, `message`, or a header field as `header.FIELD`; several "
        "count by their combination."
    )
    rate: Count | None = _key(None, "Requests in `per` that each key may make. Default: any number.")
    per: Duration = _key("1s", "The time that `rate` counts in.")
    burst: Count | None = _key(None, "Requests that may come at once. Default: as many as `rate`.")
    mode: Literal["reject", "delay"] = _key(
        "reject", "What becomes of requests beyond `rate`: they are refused, or wait until their time has come."
    )
    max_delay: Duration = _key("1s", "How long a request may wait so; one that would have to wait longer is refused.")
    in_flight: Count | None = _key(None, "Requests that each key may have open at a time. Default: any number.")
    listener: OneOrMore[str] = _key((), "The listener, or list of listeners, whose sessions it counts. Default: all.")
    service: OneOrMore[str] = _key((), "The service, or list of services, requests to which it counts. Default: all.")
    on_missing_key: Literal["deny", "pass"] = _key(
        "deny", "What becomes of a request that lacks what is counted by, such as a certificate."
    )


class Priority(Settings):
    """Whose requests are more urgent, or less, than their route says."""

    key: IdentifiedBy = Field(description="What is looked at: `certificate`, `address`, or a header field as `header.FIELD`.")
    values: OneOrMore[NonEmpty] = Field(
        description="The value, or list of values, that it fits: names (SAN) of a certificate, addresses, or contents of the field."
    )
    urgency: Urgency = Field(alias="class", description="`critical`, `high`, `normal` or `bulk`.")
    listener: OneOrMore[str] = _key((), "The listener, or list of listeners, whose requests it looks at. Default: all.")
    service: OneOrMore[str] = _key((), "The service, or list of services, requests to which it looks at. Default: all.")


class Quota(Settings):
    """How much may come in a calendar hour, day, week or month."""

    key: OneOrMore[LastingKey] = Field(
        description="What is counted by: `certificate`, `address`, `service`, `message`, or a header field as `header.FIELD`; several count by "
        "their combination."
    )
    limit: Quantity = Field(description="Requests in a window that each key may make; with `amount` the sum of that field.")
    period: Literal["hour", "day", "week", "month"] = _key("day", "The windows of the calendar; weeks begin on Monday.")
    timezone: NonEmpty = _key("Asia/Seoul", "Whose midnight begins a day, by its name in the IANA time zone database.")
    amount: FieldPath | None = _key(
        None, "A numeric field, as `body.FIELD`, whose sum is counted instead of requests. Messages that do not have it do not count."
    )
    listener: OneOrMore[str] = _key((), "The listener, or list of listeners, whose sessions it counts. Default: all.")
    service: OneOrMore[str] = _key((), "The service, or list of services, requests to which it counts. Default: all.")
    on_missing_key: Literal["deny", "pass"] = _key(
        "deny", "What becomes of a request that lacks what is counted by, such as a certificate."
    )
    on_store_failure: Literal["closed", "open"] = _key(
        "closed", "While what is counted cannot be stored: `closed` refuses requests with E-STO-03, `open` lets them through and counts on."
    )


class Usage(Settings):
    """Who has asked for how much, by day."""

    user: OneOrMore[IdentifiedBy] = Field(
        description="What tells who a user is: `certificate`, `address`, or a header field as `header.FIELD`. Of several the first that a request has."
    )
    amount: FieldPath | None = _key(None, "A numeric field, as `body.FIELD`, whose sum is counted as well.")
    users: Count = _key(1000, "Users of a day that are told apart; the others count together as `_OTHER`.")
    timezone: NonEmpty = _key("Asia/Seoul", "Whose midnight begins a day, by its name in the IANA time zone database.")
    retention: Days = _key("400d", "How long a day is kept.")


class Config(Settings):
    """The whole file."""

    specs: OneOrMore[NonEmpty] = _key((), "Folders of specs, seen from this file; looked into before the specs that ship with the router.")
    drain: DurationOrZero = _key("30s", "How long SIGTERM waits for open exchanges before the router ends.")
    drain_delay: DurationOrZero = _key(
        "0s", "How long the router still accepts clients after SIGTERM, with `/readyz` saying no, so that balancers look elsewhere first."
    )
    spread: DurationOrZero = _key(
        "0s",
        "Then, before `drain`: over what time sessions are parted with, one after the other between two telegrams, so that they do not all "
        "come to the next router at once.",
    )
    watch: bool = _key(False, "Reload by itself when this file, a spec, a certificate, key, revocation list or token has changed.")
    standby: bool = _key(
        False, "The router begins standing by: no links, and its ports refuse, until `telegram-router promote`. Read at start."
    )
    log: Log = _key({}, "What is written to stderr.")
    metrics: Metrics | None = _key(None, "The Prometheus endpoint.")
    access: Access | None = _key(None, "Access records: a line for each telegram that ended.")
    tracing: Tracing | None = _key(None, "Spans for OpenTelemetry.")
    admin: Admin | None = _key(None, "The admin API, which `telegram-router status` and an operator's other commands use.")
    listeners: Table[Name, Listener] = _key({}, "Where clients connect, by name; at least one.")
    services: Table[Name, _ServiceByKind] = _key({}, "Who answers, by name.")
    state: NonEmpty = _key("state", "Folder for what outlives the process; made when something is to be kept, and for one router alone.")
    calendars: Table[Name, Calendar] = _key({}, "Business hours, by name; listeners and services name theirs.")
    limits: Table[Name, Limit] = _key({}, "How many requests may come in a time, by name. A request counts against all that fit it.")
    priorities: Table[Name, Priority] = _key(
        {}, "Whose requests are more urgent than others, by name. The first that fits a request goes before the class of its route."
    )
    quotas: Table[Name, Quota] = _key(
        {}, "How much may come in a calendar hour, day, week or month, by name. A request counts against all that fit it."
    )
    usage: Usage | None = _key(None, "Who has asked for how much, by day. Without this table nothing is counted.")
    routes: Listed[Route] = _key(
        (),
        "Which telegrams go to which service. Exact matches are tried first, then the others in file order, then the default.",
    )

    def spec_of(self, service: str) -> str:
        """The spec that a service speaks: its own, or the one that its routes imply."""
        return self.specs_of(service)[0]

    def specs_of(self, service: str) -> tuple[str, ...]:
        """Every spec that the service's routes imply. In a checked file that is exactly one."""
        return tuple(sorted(specs_by_party(self)["service", service]))


def specs_by_party(config: Config) -> dict[Party, set[str]]:
    """Specs spread along the routes, from those who name one to those who do not."""
    known: dict[Party, set[str]] = {("listener", name): {listener.spec} for name, listener in config.listeners.items()}
    fixed = set(known) | {("service", name) for name, service in config.services.items() if service.spec is not None}
    known.update({("service", name): {service.spec} if service.spec else set() for name, service in config.services.items()})
    joined = [
        (source, target)
        for route in config.routes
        for source, target in product(route.sources, route.targets)
        if source in known and target in known
    ]
    joined = list(dict.fromkeys(joined))
    size = -1
    while size != (size := sum(map(len, known.values()))):
        for one, other in joined:
            for party, neighbour in ((one, other), (other, one)):
                if party not in fixed:
                    known[party] |= known[neighbour]
    return known


TABLES: Mapping[str, type[Settings]] = MappingProxyType(
    {
        "": Config,
        "log": Log,
        "metrics": Metrics,
        "access": Access,
        "tracing": Tracing,
        "admin": Admin,
        "admin.tls": AdminTls,
        "listeners.NAME": Listener,
        "listeners.NAME.tls": ListenerTls,
        "listeners.NAME.tls.names": TlsName,
        "listeners.NAME.proxy_protocol": ProxyProtocol,
        "listeners.NAME.conduct": SessionConduct,
        "services.NAME (telegram)": TelegramService,
        "services.NAME (http)": HttpService,
        "services.NAME (handler)": HandlerService,
        "services.NAME.tls": ClientTls,
        "services.NAME.backends": Backend,
        "services.NAME.listen": Listen,
        "services.NAME.listen.tls": ListenTls,
        "services.NAME.health": Health,
        "services.NAME.ejection": Ejection,
        "services.NAME.failover": Failover,
        "services.NAME.conduct": LinkConduct,
        "calendars.NAME": Calendar,
        "limits.NAME": Limit,
        "priorities.NAME": Priority,
        "quotas.NAME": Quota,
        "usage": Usage,
        "routes": Route,
        "routes.service_by": ServiceBy,
    }
)
