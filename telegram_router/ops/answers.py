"""What the admin API answers: one class for each object, from which the OpenAPI document is made as well."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Role = Literal["viewer", "operator"]
MessageState = Literal["on", "off"]
AdminState = Literal["ready", "drain", "maint"]


class Answer(Struct, gc=False):
    """One object of an answer. Keys never change their meaning; new ones may be added. Times in seconds, sizes in bytes."""


class Error(Answer):
    """Why a request was refused."""

    code: str
    what: str
    do: str


class Condition(Answer):
    """The answer of a health endpoint, beside its status 200 or 503."""

    ok: bool
    why: str


class ListenerSeen(Answer):
    """`changed` names what an order made differ from the configuration file; `halted` are messages switched off here."""

    name: str
    address: str
    spec: str
    tls: bool
    accepting: bool
    sessions: int
    max_sessions: int
    sessions_total: int
    turned_away: int
    telegrams_received: int
    telegrams_sent: int
    bytes_received: int
    bytes_sent: int
    refused: dict[str, int]
    halted: list[str]
    changed: list[str]
    shut: bool = False  # outside its business hours


class BackendSeen(Answer):
    """`changed` names what an order made differ from the configuration file. `attempts` are those to connect that came to nothing, one
    after the other; `next_attempt_s` is the time to the next one, `last_end` says why the last link ended or did not come about."""

    name: str
    state: Literal["up", "unreachable", "down", "ejected", "drain", "maint"]
    admin: AdminState
    health: Literal["unknown", "up", "down"]
    in_use: bool
    weight: float
    priority: int
    links: int
    in_flight: int
    answered: int
    failed: int
    changed: list[str]
    links_wanted: int = 0
    attempts: int = 0
    next_attempt_s: float | None = None
    last_end: str = ""
    held: dict[str, int] = {}  # connections that are given no requests, by why not


class ServiceSeen(Answer):
    """`latency_counts[i]` are answers that took less than 2**i microseconds and no less than half of it; `halted` are messages
    switched off here."""

    name: str
    kind: Literal["telegram", "http", "handler"]
    spec: str
    priority: int | None
    failback: Literal["auto", "manual"]
    in_flight: int
    pending: int
    answered: int
    failed: int
    overflow: int
    late: int
    delivery_unknown: int
    latency_seconds: float
    latency_counts: list[int]
    halted: list[str]
    backends: list[BackendSeen]
    shut: bool = False  # outside its business hours
    waiting: dict[str, int] = {}  # requests that wait for room, by class


class RouteSeen(Answer):
    """`source` and `target` are `listener.NAME` or `service.NAME`; `failed` counts by how requests ended.

    Where a route shares its telegrams out, there is one of these for each service, with the part that it gets; else `share` is 1.
    """

    name: str
    source: str
    target: str
    fields: list[str]
    share: float
    answered: int
    failed: dict[str, int]


class MessageHalted(Answer):
    """A message that an order switched off, which no configuration file does. Without listener and service: everywhere."""

    message: str
    listener: str | None
    service: str | None


class Status(Answer):
    version: str
    pid: int
    started_at: str
    uptime_s: float
    ready: bool
    draining: bool
    open_exchanges: int
    containments: int
    slow_steps: int
    log_lines_dropped: int
    listeners: list[ListenerSeen]
    services: list[ServiceSeen]
    routes: list[RouteSeen]
    halted: list[MessageHalted]
    standby: Literal["active", "parting", "standby"] = "active"
    standing_by: list[str] = []


class SessionSeen(Answer):
    name: str
    listener: str
    state: str
    address: str
    certificate: list[str]
    age_s: float
    telegrams_received: int
    open: int
    in_flight: int
    unwritten: int
    paused: bool
    owners: int
    line: str = "open"  # or "closed" until it signs on


class Sessions(Answer):
    """The oldest ones; `total` counts all."""

    total: int
    sessions: list[SessionSeen]


class LinkSeen(Answer):
    name: str
    service: str
    backend: str
    state: str
    in_use: bool
    age_s: float
    in_flight: int
    limit: int
    unwritten: int
    line: str = "open"  # or "signing on", "signing off", "closed" until business opens, "parting" when it closes


class Links(Answer):
    """The oldest ones; `total` counts all."""

    total: int
    links: list[LinkSeen]


class ExchangeSeen(Answer):
    """`telegram` holds key and correlation fields that the spec marks clear; `delivery` is what could be said if it ended now."""

    age_s: float
    message: str
    telegram: dict[str, str]
    route: str
    asker: str
    answerer: str | None
    target: str
    state: Literal["waiting", "queued", "sent"]
    delivery: Literal["not_sent", "sent_unknown"]


class Exchanges(Answer):
    """The oldest ones; `total` counts all. One-way telegrams, which nobody answers, are not among them."""

    total: int
    exchanges: list[ExchangeSeen]


class LimitSeen(Answer):
    """A rate, or a bound on what is open (`in_flight`). A limit that has both is shown twice."""

    name: str
    listeners: list[str]
    services: list[str]
    rate: float | None
    burst: int | None
    max_delay_s: float
    in_flight: int | None
    keys: int
    refused: int
    delayed: int
    open: int


class Limits(Answer):
    limits: list[LimitSeen]


class QuotaKey(Answer):
    """A key that has used something. Header fields that the spec does not let be shown stand as a digest."""

    key: str
    used: int


class QuotaSeen(Answer):
    """One quota in the window that its requests count in. With `amount`, units are those of the field's last digit."""

    name: str
    listeners: list[str]
    services: list[str]
    counted_by: list[str]
    amount: str | None
    period: str
    timezone: str
    begins_at: str
    ends_at: str
    limit: int
    keys: int
    used_ratio: float
    refused: int
    highest: list[QuotaKey]


class StoreSeen(Answer):
    """The file of counters. `failure` says why nothing can be stored at the moment; empty while all is well."""

    folder: str
    bytes: int
    failure: str
    failures: int


class Quotas(Answer):
    """`store` is null while there is nothing to keep. `highest` are the 20 keys of each that have used most."""

    store: StoreSeen | None
    quotas: list[QuotaSeen]


class UsageRow(Answer):
    """What one user asked of one service on one day, by how it ended; "" where it is summed up. Amounts in units of the field's last digit.

    `sent` are one-way telegrams. `refused` never were taken on; `not_sent` were, and did not leave. `codes` counts what was not answered.
    """

    day: str
    user: str
    service: str
    requests: int
    answered: int
    sent: int
    refused: int
    not_sent: int
    sent_unknown: int
    bytes_in: int
    bytes_out: int
    amount: int
    amount_unknown: int
    codes: dict[str, int]


class UsageSeen(Answer):
    """`missed` are requests since the start of which nothing could be counted; `days` are those that there is something of."""

    missed: int
    days: list[str]
    rows: list[UsageRow]


class Configuration(Answer):
    """The tables of the file with every default filled in; durations in seconds. Secrets are replaced by `(left out)`."""

    config: dict[str, Any]


class CertificateSeen(Answer):
    """The first end in a file. `used_by` is the table that names it, such as `listeners.branches.tls.names[0]`."""

    used_by: str
    kind: Literal["certificate", "ca", "crl"]
    file: str
    expires_at: str
    days_left: float


class Certificates(Answer):
    certificates: list[CertificateSeen]


class Returned(Answer):
    """Priorities in use before and after."""

    service: str
    before: int | None
    after: int | None


class Promoted(Answer):
    """The router, or the service that was named. `parting`: it still lets end what is open; look at the status for when that is over."""

    service: str | None
    before: Literal["active", "parting", "standby"]
    after: Literal["active", "parting", "standby"]


class ListenerDrained(Answer):
    """`sessions` are those that are parted with from now on."""

    name: str
    sessions: int
    over_s: float
    patience_s: float


class ListenerOpened(Answer):
    """`sessions` are those of before that stay."""

    name: str
    address: str
    sessions: int


class MessageSwitched(Answer):
    message: str
    listener: str | None
    service: str | None
    state: MessageState
    before: MessageState


class Problem(Answer):
    """What is wrong with a file, or hardly meant. `line` counts from 1; 0 when there is none."""

    file: str
    line: int
    key: str
    what: str
    do: str
    code: str = ""
    expected: str = ""


class Reloaded(Answer):
    """Keys and tables of the file by name, never a value. `restart`: different too, and only a restart brings it into effect."""

    applied: bool
    dry_run: bool
    added: list[str]
    removed: list[str]
    changed: list[str]
    restart: list[str]
    problems: list[Problem]
    warnings: list[Problem]
    seconds: float
    step_seconds: float


class Names(Answer):
    """What the numbers of an Overview are about, in the same order. A listener is name, address, spec; a service name, kind, spec; a
    backend the place of its service, name, priority, weight of the file; a route name, source, target, fields. `specs`: their requests."""

    version: str
    started_at: str
    listeners: list[list[str]]
    services: list[list[str]]
    backends: list[list[int | float | str]]
    routes: list[list[str | list[str]]]
    specs: dict[str, list[str]]


class Overview(Answer):
    """The router in numbers since its start, row by row. A listener: accepting (1 or 0), sessions, received, sent, refused, turned
    away. A service: in flight, pending, answered, overflow, late, delivery unknown, priority, latency counts (the first one's place,
    then the counts). A backend: state, admin, health, in use, weight, links, in flight, answered, failed. A route: answered, failed.
    `seq` is another for each look; `errors` counts what GET /errors has told of; `role` is that of who asks."""

    seq: int
    shape: int
    role: Role
    uptime_s: float
    ready: bool
    draining: bool
    open_exchanges: int
    log_lines_dropped: int
    errors: int
    results: dict[str, int]
    listeners: list[list[int]]
    services: list[list[int | list[int] | None]]
    backends: list[list[str | int | float]]
    routes: list[list[int]]
    halted: list[MessageHalted]
    standby: Literal["active", "parting", "standby"]
    standing_by: list[str]
    names: Names | None


class ErrorSeen(Answer):
    """A line of the log that tells of an error: what it means, what to do, and its fields as in the log."""

    number: int
    time: str
    level: str
    event: str
    code: str
    title: str
    do: str
    fields: dict[str, Any]


class Errors(Answer):
    """The newest ones first, 200 at most; `total` counts all since the start."""

    total: int
    errors: list[ErrorSeen]


class Explained(Answer):
    """What `telegram-router explain --json` says of each telegram."""

    telegrams: list[dict[str, Any]]


class TailLine(Answer):
    """A telegram that came (`in`), or what it ended with (`out`; `none` for a reply that goes to nobody). `telegram` holds key and
    correlation fields that the spec marks clear; `dropped` are lines before this one for which there was no room."""

    time: str
    direction: Literal["in", "out", "none"]
    peer: str
    listener: str | None
    service: str | None
    message: str
    telegram: dict[str, str] = {}
    result: str = ""
    code: str = ""
    delivery: str = ""
    took_ms: float | None = None
    dropped: int = 0


class CaptureSeen(Struct, frozen=True):
    """The capture that is made, or that was made last."""

    running: bool
    file: str = ""
    spec: str = ""
    masked: bool = False
    remaining_s: float = 0.0
    telegrams: int = 0  # seen; each copy counts
    left_out: int = 0
    process: int = 0
    files: list[str] = []  # once it has ended
    why: str = ""  # it could not be written
