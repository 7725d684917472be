"""The table of a listener, and of the balancers in front of it."""

from __future__ import annotations

from pydantic import Field

from telegram_router.config.certificates import ListenerTls
from telegram_router.config.conduct import SessionConduct
from telegram_router.config.tables import KEEPALIVE, KEEPALIVE_MEANS, Settings, optional
from telegram_router.config.values import Count, Duration, DurationOrZero, FrameSize, Listed, ListenAddress, Network, NonEmpty, Size, Table


class ProxyProtocol(Settings):
    """Balancers in front, which say by the PROXY protocol whose connection they pass on."""

    networks: Listed[Network] = Field(
        description="Addresses or networks of the balancers. Only they may connect, and each connection must begin with a PROXY header of "
        "version 2; everything else is refused with E-FRM-13.",
        alias="from",
    )


class Listener(Settings):
    """Where clients connect."""

    address: ListenAddress = Field(description="Where clients connect. Port 0 lets the system choose one.")
    spec: NonEmpty = Field(description="The spec of the telegrams spoken here, by its name.")
    tls: ListenerTls | None = optional(None, "Certificate and client policy. Without this table the port is plain TCP.")
    proxy_protocol: ProxyProtocol | None = optional(
        None,
        "Balancers in front of it that send PROXY headers. A client's address is then the one that the header names. Absent: none may come.",
    )
    max_sessions: Count = optional(1024, "Sessions at a time; one more is closed at once with E-LIM-05.")
    open_exchanges: Count = optional(256, "Unanswered requests of one session; at that number the router stops reading it.")
    unread: Size = optional("256KiB", "Answers one session has not taken yet; at that size the router stops reading it.")
    max_frame: FrameSize = optional("64KiB", "The longest telegram accepted, framing included; at most 1MiB.")
    frame_timeout: Duration = optional("10s", "From the first byte of a telegram to its last; after it the session is closed.")
    write_timeout: Duration = optional("10s", "How long a session may take nothing of what is written to it before it is closed.")
    handshake_timeout: Duration = optional(
        "5s", "How long a client may keep the TLS handshake waiting, in all; with our own work it ends after four times that."
    )
    timeout: Duration = optional("30s", "How long a session may take to answer a telegram that a host sent it.")
    client_timeout: Duration | None = optional(
        None,
        "How long the clients are known to wait for an answer. Nothing is done by it: `check` holds the `timeout` of the services against it.",
    )
    keepalive: DurationOrZero = optional(KEEPALIVE, KEEPALIVE_MEANS)
    calendar: NonEmpty | None = optional(None, "The calendar of its business hours. Absent: always open.")
    conduct: SessionConduct | None = optional(
        None,
        "Sign-on, sign-off and heartbeats of its sessions. `{}` takes every default. Absent: such telegrams are routed like any other.",
    )
    max_session_age: Duration | None = optional(
        None, "Sessions older than this, give or take a tenth, are parted with between two telegrams, as when the router stops."
    )
    answers_to: NonEmpty | None = optional(
        None,
        "For clients with one-way pairs: the listener, this one or another, whose sessions get the answers to what is asked here. See "
        "[One-way pairs of clients](#one-way-pairs-of-clients).",
    )
    owners: Table[NonEmpty, Listed[NonEmpty]] = optional(
        {},
        "Who may speak for an owner value of the spec, such as a company number: the names (SAN) of their client certificates. "
        "A host's own telegrams for that owner go to sessions that have spoken for it. Without this table any client may.",
    )
