"""The model of a scenario file: every table and key of it, with what it means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from telegram_router.config.values import Duration, DurationOrZero, ListenAddress, OpenHours
from telegram_router.tools.simulate.forms import Expected, Filter, Listing, OneOrMore, Rate, Speed, Value

Numbers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], OneOrMore]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], OneOrMore]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Rows = Annotated[int, Field(ge=1, le=10_000_000)]
Per = Literal["scenario", "connection"]
RIGHT, WRONG, EXPIRED = "right", "wrong", "expired"  # certificates that a host makes for itself
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]


class Part(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)


class Fields(BaseModel):
    """A table whose further keys are fields of a telegram."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True, arbitrary_types_allowed=True)
    __pydantic_extra__: dict[str, Value]

    set: Mapping[str, Value] = Field(
        default={}, description="Fields whose names are keys here, such as `delay`, and those of tables: `items[0].x`."
    )

    @property
    def values(self) -> dict[str, Value]:
        """Every field that is set, by its name."""
        return {**(self.__pydantic_extra__ or {}), **self.set}


class About(Part):
    spec: str = Field(description="Name of a spec, or path of a spec file (.py), from this file's folder.")
    name: Name = Field(default="simulator", description="What it is called in records and on the terminal; its chance follows from it.")
    role: Literal["host", "client"] = Field(default="host", description="`host` listens, `client` connects.")
    listen: ListenAddress | None = Field(default=None, description="Where a host listens. `--listen` overrides it.")
    standby: ListenAddress | None = Field(
        default=None, description="A second port: it closes what connects, until `ctl set standby on`, when the first does."
    )
    to: ListenAddress | None = Field(default=None, description="Where a client connects. `--to` overrides it.")
    connections: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1, description="How many connections a client makes.")
    again: Duration | None = Field(default=None, description="A client connects again that long after a connection has ended.")
    seed: int | None = Field(
        default=None, ge=0, lt=1 << 64, description="Seed of all chance. `--seed` overrides it; without both a new one is drawn and told."
    )
    clock: str | None = Field(
        default=None, description="Date and time at which it begins, instead of the real one: `2026-11-23T09:00:00+09:00`."
    )
    on_miss: str = Field(
        default="error", description="What a request gets that no rule is for: `error`, `nearest`, `silent`, or `forward:HOST:PORT`."
    )
    order: Literal["fifo", "free"] = Field(
        default="free", description="`fifo`: replies of a connection keep the order of their requests, whatever the delays are."
    )
    polls: bool = Field(default=True, description="Answer the polls of the spec's framing.")
    journal: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000, description="Telegrams that are kept to be looked at; older ones are forgotten."
    )
    max_frame: Annotated[int, Field(ge=1, le=16 * 1024 * 1024)] = Field(default=1024 * 1024, description="The largest frame that is taken.")
    duration: Duration | None = Field(default=None, description="It ends by itself after that long.")


class Tls(Part):
    made: str | None = Field(
        default=None,
        description="Folder in which a host makes certificates for itself at its start, for localhost, instead of all the files below: clients trust ca.pem in it. From where it is started.",
    )
    certificate: str | None = Field(default=None, description="PEM file of its certificate chain.")
    key: str | None = Field(default=None, description="PEM file of the key.")
    ca: str | None = Field(default=None, description="PEM file of those who sign the other side's certificates.")
    server_name: str | None = Field(default=None, description="For a client: the name that the host's certificate must have.")
    wrong_certificate: str | None = Field(default=None, description='For the fault `tls = "wrong"`: another certificate.')
    wrong_key: str | None = Field(default=None, description="And its key.")
    expired_certificate: str | None = Field(default=None, description='For the fault `tls = "expired"`: one whose time is over.')
    expired_key: str | None = Field(default=None, description="And its key.")

    @model_validator(mode="before")
    @classmethod
    def _name_what_is_made(cls, told: object) -> object:
        if not isinstance(told, dict) or not isinstance(told.get("made"), str):
            return told
        folder = Path(told["made"]).absolute()
        pairs = (("", RIGHT), ("wrong_", WRONG), ("expired_", EXPIRED))
        files = {f"{prefix}certificate": str(folder / f"{name}.pem") for prefix, name in pairs}
        return files | {f"{prefix}key": str(folder / f"{name}.key") for prefix, name in pairs} | told


class Store(Part):
    key: Value | None = Field(
        default=None, description="What a telegram's row is: a template of its fields, such as `{withdrawal_account}`."
    )
    keys: Mapping[str, Value] = Field(default={}, description="The same by message, where messages call it differently.")
    of: Name | None = Field(default=None, description="Another store whose rows these are, under another key.")
    init: str | None = Field(
        default=None, description="CSV file of the rows at the beginning: its first column is the key, the others are values."
    )
    rows: Mapping[str, Mapping[str, Value]] = Field(default={}, description="Rows at the beginning, by key.")
    default: Mapping[str, Value] = Field(default={}, description="The row of a key that has none. Without it there is none.")
    ttl: Duration | None = Field(default=None, description="How long a change lasts: then the row is again as at the beginning.")
    most: Rows = Field(default=100_000, description="Rows that may be added; the oldest goes.")


class TableFile(Part):
    file: str = Field(description="CSV file: its first column is the key, the others are values.")
    key: Value = Field(description="What a telegram's row is, such as `{bank_code}`.")


class Counter(Part):
    start: int = Field(default=1, ge=0, description="The first number.")
    step: int = Field(default=1, description="From one to the next.")
    per: Per = Field(default="scenario", description="One for all connections, or one for each.")


class Transition(Part):
    on: Filter = Field(description="A telegram that came.")
    source: str | None = Field(default=None, alias="from", description="The state before; any where it is not given.")
    to: str = Field(description="The state after.")


class Machine(Part):
    start: str = Field(description="The state at the beginning.")
    per: Per = Field(default="connection", description="One for each connection, or one for all.")
    key: Value | None = Field(default=None, description="One for each value of this template instead.")
    ttl: Duration | None = Field(default=None, description="How long a state lasts: then it is the first again.")
    transition: Annotated[tuple[Transition, ...], Listing] = Field(
        default=(), description="`[[machine.NAME.transition]]`; the first that fits is taken, once the telegram has been answered."
    )
    most: Rows = Field(default=100_000, description="Keys that are remembered; the oldest goes.")


class Uniform(Part):
    least: DurationOrZero = Field(alias="min", description="The shortest.")
    most: DurationOrZero = Field(alias="max", description="The longest.")


class Lognormal(Part):
    p50: Duration = Field(description="Half of all are shorter.")
    p99: Duration = Field(description="One in a hundred is longer.")


class Delay(Part):
    fixed: DurationOrZero | None = Field(default=None, description="Always the same.")
    uniform: Uniform | None = Field(default=None, description="Anything between.")
    lognormal: Lognormal | None = Field(default=None, description="As hosts mostly take: many short ones, few long ones.")
    capture: str | None = Field(default=None, description="As in a capture: the times that the same message took there.")


def _delay(value: object) -> object:
    return {"fixed": value} if isinstance(value, str) else value


class Reply(Fields):
    msg: str | None = Field(default=None, description="Its message. Without it the one that the spec names for the request.")
    echo: Annotated[tuple[str, ...], Listing] | None = Field(
        default=None,
        description="Fields of the body that are taken over from the request. Without it all that both have; the header always is.",
    )
    recorded: str | None = Field(
        default=None, description="Capture file whose reply is taken, with the request's header fields that pair them."
    )
    exchange: str | None = Field(default=None, description="Which exchange of that capture, such as `x17`.")
    after: DurationOrZero | None = Field(default=None, description="How long after the rule's delay.")


class Gate(Part):
    """When a rule or a fault takes part; counts are of each connection."""

    rate: Share | None = Field(default=None, description="In which share of cases, by chance.")
    first: Positive | None = Field(default=None, description="Only so many times on a connection.")
    every: Positive | None = Field(default=None, description="Only each N-th time on a connection.")
    skip: Positive | None = Field(default=None, description="Not the first N times on a connection.")
    between: OpenHours | None = Field(default=None, description="Only at this time of the day: `09:00-09:01`.")
    begins: DurationOrZero | None = Field(default=None, description="Only from that long after the start on.")
    lasts: Duration | None = Field(default=None, description="And for that long.")
    repeat: Duration | None = Field(default=None, description="And again each time so much has passed.")
    conn: Numbers | None = Field(default=None, description="Only on these connections, in the order in which they came.")


class Rule(Gate):
    name: str = Field(default="", description="What it is called in notes. Without it its number.")
    match: Filter = Field(description="Which telegrams it answers. The first rule that holds is taken.")
    reply: Annotated[tuple[Reply, ...], OneOrMore] | None = Field(
        default=None, description="The answer, or several. Without it there is none."
    )
    delay: Annotated[Delay | None, BeforeValidator(_delay)] = Field(
        default=None, description='How long the answer takes: `"8ms"`, or a table.'
    )
    update: Mapping[str, Value] = Field(
        default={},
        description='Changes of state: `"state.account.balance" = "-f.amount"` takes away, `+` adds, anything else is the new value.',
    )
    go: Mapping[str, str] = Field(default={}, description="States that machines go to.")
    call: str | None = Field(
        default=None, description="Function of the scenario's Python file that makes the answer's fields; needs --allow-code."
    )
    close: Literal["fin", "rst"] | None = Field(default=None, description="End the connection behind the answer.")


class Push(Fields):
    msg: str = Field(description="The message that is sent without being asked for.")
    name: str = Field(default="", description="What it is called in notes.")
    when: Filter | None = Field(default=None, description="Only while this holds, such as `machine.session=open`.")
    after: DurationOrZero = Field(default=0.0, description="How long after the connection was made. 0s is a greeting.")
    every: Duration | None = Field(default=None, description="And again each time so much has passed.")
    count: Positive | None = Field(default=None, description="So many in all, on each connection.")
    conn: Numbers | None = Field(default=None, description="Only on these connections.")


class Memory(Part):
    key: Value = Field(description="What makes two requests the same, such as `{company_number}{sent_date}{message_number}`.")
    match: Filter | None = Field(default=None, description="Which requests are remembered. Without it all that are answered.")
    again: Literal["same", "silent"] | Reply = Field(
        default="same", description="What the second gets: the `same` bytes, nothing, or a reply of its own."
    )
    lasts: Duration = Field(default=300.0, description="How long it is remembered.")
    most: Rows = Field(default=100_000, description="Requests that are remembered; the oldest goes.")


class Heartbeat(Fields):
    msg: str = Field(description="The request that is sent.")
    every: Duration = Field(description="After so long without a telegram from the other side.")
    missing: Positive = Field(default=3, description="The connection is closed when so many have not been answered.")


class Sessions(Part):
    log_on: Filter | None = Field(default=None, description="A telegram that must come first.")
    log_off: Filter | None = Field(default=None, description="A telegram after which nothing else is taken.")
    refused: Reply | Literal["close", "silent", "error"] = Field(
        default="error", description="What comes before the log-on, or outside hours, gets."
    )
    hours: OpenHours | None = Field(default=None, description="The business day.")
    heartbeat: Heartbeat | None = Field(default=None, description="Sent when the other side is silent.")
    idle: Duration | None = Field(default=None, description="A connection that says nothing for that long is closed.")
    most: Positive | None = Field(default=None, description="Connections at a time.")
    over: Literal["close", "rst"] = Field(default="close", description="What happens to those beyond.")


class Limits(Part):
    rate: Rate = Field(description="How many requests are answered a second.")
    queue: Annotated[int, Field(ge=0, le=1_000_000)] = Field(default=1000, description="How many may wait.")
    full: Literal["silent", "close", "error"] | Reply = Field(default="silent", description="What happens to those beyond.")


class Do(Part):
    """What a fault does."""

    # connecting
    refuse: bool | None = Field(default=None, description="Nobody listens. By schedule alone.")
    never_accept: bool | None = Field(default=None, description="Connections are made and nobody takes them. By schedule alone.")
    accept: Literal["close", "rst"] | None = Field(default=None, description="Take the connection and end it at once.")
    tls: Literal["stall", "wrong", "expired"] | None = Field(
        default=None, description="Never finish the handshake, or show another certificate."
    )
    # the connection
    deaf: bool | None = Field(default=None, description="Read nothing any more, with a small receive buffer, so that the window closes.")
    silent: bool | None = Field(default=None, description="Read on and never send anything any more.")
    half_open: bool | None = Field(default=None, description="Vanish as a host that is rebooted: no FIN, no RST. Needs CAP_NET_ADMIN.")
    half_close: bool | None = Field(default=None, description="Send FIN behind the answer and go on reading.")
    idle_drop: Duration | None = Field(default=None, description="End the connection after that long without a telegram.")
    rst: Literal["before", "mid", "after"] | None = Field(
        default=None, description="Reset the connection before, inside or behind the answer."
    )
    fin: Literal["before", "mid", "after"] | None = Field(default=None, description="End the connection there.")
    send_bytes: Positive | None = Field(default=None, description="So many bytes of the answer, then what `then` says.")
    then: Literal["rst", "fin", "half_close", "silent"] | None = Field(default=None, description="What follows `send_bytes`.")
    # bytes
    slowloris: Duration | None = Field(default=None, description="One byte of the answer at a time, so long between.")
    slice: Sizes | None = Field(default=None, description="Cut the answer at these offsets, with a pause between.")
    pause: Duration | None = Field(default=None, description="The pause between slices; 20ms unless it is given.")
    coalesce: Annotated[int, Field(ge=2, le=10_000)] | None = Field(
        default=None, description="Hold so many answers back and write them at once, after a second at the latest."
    )
    bandwidth: Speed | None = Field(default=None, description="Bytes a second, `10KB/s`.")
    garbage: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="So many bytes of nonsense in front of the answer."
    )
    truncate: Positive | None = Field(default=None, description="Leave out so many bytes at the answer's end.")
    length: Literal["short", "long", "text", "huge"] | None = Field(default=None, description="A wrong length field.")
    flip: Annotated[int, Field(ge=1, le=1000)] | None = Field(default=None, description="Turn so many bits of the telegram over.")
    code_page: str | None = Field(default=None, description="Texts in another code page, such as `utf-8` or `cp037`.")
    spoil: str | None = Field(default=None, description="Turn over the bits of a field, such as a MAC.")
    # telegrams
    late: Duration | None = Field(default=None, description="Answer that much later.")
    never: bool | None = Field(default=None, description="Do what is to be done, and do not answer.")
    lost: bool | None = Field(default=None, description="As if the request had never come: nothing is changed, nothing answered.")
    duplicate: Annotated[int, Field(ge=1, le=1000)] | None = Field(default=None, description="So many more of the same answer.")
    duplicate_after: Duration | None = Field(default=None, description="And so long between.")
    reorder: Duration | None = Field(default=None, description="Behind the next answer of the connection, or after that long.")
    wrong_key: bool | None = Field(default=None, description="A number that nobody asked with.")
    other_connection: bool | None = Field(default=None, description="On another connection, if there is one.")
    unsolicited: bool | None = Field(default=None, description="One more answer, to a request that nobody sent.")
    stale: bool | None = Field(default=None, description="One more, of an earlier request of the connection.")
    set: Mapping[str, Value] = Field(default={}, description="Fields of the answer that get another value.")
    early: bool | None = Field(default=None, description="Answer as soon as the request's header is there.")
    no_heartbeat: bool | None = Field(default=None, description="Neither send heartbeats nor answer polls.")

    @property
    def words(self) -> tuple[str, ...]:
        """The names of what it does."""
        return tuple(name for name in type(self).model_fields if name not in ("then", "pause", "duplicate_after") and getattr(self, name))


class Fault(Gate):
    name: str = Field(default="", description="What it is called in notes. Without it what it does.")
    match: Filter | None = Field(default=None, description="Which telegrams it happens to. Without it all, or the connection itself.")
    do: Do = Field(description="What happens.")


class Verify(Part):
    expect: Expected = Field(description="What must have happened when the simulation ends.")
    name: str = Field(default="", description="What it is called. Without it its number.")


class Scenario(Part):
    """One simulator."""

    scenario: About
    tls: Tls | None = Field(default=None, description="TLS, by files.")
    state: Mapping[Name, Store] = Field(default={}, description="`[state.NAME]`: rows of values by key.")
    table: Mapping[Name, TableFile] = Field(default={}, description="`[table.NAME]`: values from a CSV file.")
    counter: Mapping[Name, Counter] = Field(default={}, description="`[counter.NAME]`; one that is only used begins with 1.")
    machine: Mapping[Name, Machine] = Field(default={}, description="`[machine.NAME]`: named states, such as logged off, open, closed.")
    memory: Memory | None = Field(default=None, description="What happens when the same request comes twice.")
    sessions: Sessions = Field(default=Sessions(), description="Who may connect, when, and what comes first.")
    limits: Limits | None = Field(default=None, description="How much it can do.")
    rule: Annotated[tuple[Rule, ...], Listing] = Field(default=(), description="`[[rule]]`: what is answered.")
    push: Annotated[tuple[Push, ...], Listing] = Field(default=(), description="`[[push]]`: what is sent without being asked for.")
    fault: Annotated[tuple[Fault, ...], Listing] = Field(default=(), description="`[[fault]]`: what goes wrong.")
    verify: Annotated[tuple[Verify, ...], Listing] = Field(default=(), description="`[[verify]]`: what must have happened.")
    python: str | None = Field(default=None, description="Python file with the functions that rules call; needs --allow-code.")
