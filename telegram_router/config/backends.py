"""Tables of backends: where they are, or where they dial us, how they are probed, left out and returned to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from telegram_router.config.certificates import ServerTls
from telegram_router.config.listeners import ProxyProtocol
from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import (
    CertificateName,
    Count,
    Duration,
    DurationOrZero,
    Few,
    Level,
    Listed,
    ListenAddress,
    Match,
    Name,
    Network,
    NonEmpty,
    OneOrMore,
    Share,
    Table,
    TargetAddress,
    read_target_address,
)


class Backend(Settings):
    """One address that answers."""

    address: TargetAddress | None = optional(None, "Where it answers, as `host:port`. Absent for one that dials us.")
    replies: TargetAddress | None = optional(
        None,
        "For one-way pairs: where the second connection is dialled, on which its replies come. Requests go out on the one to `address`. "
        "See [One-way pairs](#one-way-pairs).",
    )
    weight: Few = optional(1, "Its share of the requests beside others of the same priority; at most 100.")
    in_flight: Count | None = optional(None, "Instead of the service's `backend_in_flight`, for this one.")
    priority: Level = optional(0, "0 is used first; the next one only when no backend of the better ones is fit.")
    name: Name | None = optional(None, "What a backend that dials us is called, in place of an address.")
    networks: Listed[Network] = optional((), "Addresses or networks that it dials us from. Absent: from anywhere.", alias="from")
    certificate: OneOrMore[CertificateName] = optional(
        (), "The DNS or URI name (SAN), or list of names, of which its certificate must hold one. Needs `tls` in `listen`."
    )
    sign_on: Table[NonEmpty, NonEmpty] = optional(
        {},
        "Header fields of the sign-on that it must send first, and what stands in them: then nothing else is taken before it.",
    )

    @property
    def known_as(self) -> str:
        """Its name in orders, logs and metrics."""
        return self.name or str(self.address)


def _backend(value: object) -> object:
    return Backend.model_construct(address=read_target_address(value)) if isinstance(value, str) else value


def listen_address(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


Backends = Listed[Annotated[Backend, BeforeValidator(_backend)]]


class Listen(Settings):
    """Where backends connect to us."""

    address: ListenAddress = Field(description="Where they connect. Port 0 lets the system choose one.")
    tls: ServerTls | None = optional(None, "Certificate and client policy. Without this table the port is plain TCP.")
    proxy_protocol: ProxyProtocol | None = optional(None, "Balancers in front of it that send PROXY headers, as at a listener.")
    handshake_timeout: Duration = optional(
        "5s", "How long a backend may keep the TLS handshake waiting, in all; with our own work it ends after four times that."
    )
    extra: Literal["replace", "refuse"] = optional(
        "replace",
        "What becomes of a connection beyond the `links` of its backend: it takes the place of the oldest one, which is closed once "
        "what it has is answered; or it is closed with E-BCK-13.",
    )


class Health(Settings):
    """How backends are probed, each on a connection of its own."""

    probe: Literal["connect", "tls", "poll", "http"] = optional(
        "connect",
        "`connect`: a TCP connection is accepted; `tls`: and the TLS handshake is done; `poll`: and the spec's polling frame is answered; "
        "`http`: `GET` of `path` is answered with 2xx.",
    )
    path: NonEmpty = optional("/", "What `http` asks for.")
    interval: Duration = optional("2s", "Between two probes of a backend that is up; jittered by a tenth.")
    timeout: Duration = optional("2s", "How long a probe may take.")
    rise: Few = optional(2, "Probes in a row that must go well before a backend that was down is up.")
    fall: Few = optional(3, "Probes in a row that must fail before a backend that was up is down.")
    fast_interval: Duration = optional("1s", "Between two probes while the count towards `rise` or `fall` is on.")
    down_interval: Duration = optional("5s", "Between two probes of a backend that is down.")


class Ejection(Settings):
    """When a backend's own answers count against it. Times, lost links and unreadable answers always count."""

    failure_when: Table[NonEmpty, Match] = optional(
        {},
        "Header fields of answers that say that the system is in trouble, as in a route's `match`; never a refusal for business reasons.",
    )
    consecutive: Count = optional(5, "Failures in a row that eject a backend.")
    rate: Share = optional(0.5, "Share of failures among the requests of one window that ejects it as well.")
    least: Count = optional(20, "Requests that a window must have before `rate` counts.")
    window: Duration = optional("10s", "The window of `rate`.")
    base: Duration = optional("30s", "The first ejection; each further one is longer by as much.")
    longest: Duration = optional("5m", "The longest ejection.")
    share: Share = optional(0.5, "Of the backends that may be ejected at a time. One always may, and the last one that is fit never is.")
    trials: Few = optional(2, "Requests that must go well, one at a time, when an ejection has ended.")


class Failover(Settings):
    """How a better priority takes over again. Fail-over itself is immediate."""

    failback: Literal["auto", "manual"] = optional("auto", "`manual`: only an operator returns it.")
    delay: DurationOrZero = optional("30s", "How long the better priority must have been fit before it is used again.")
    slow_start: DurationOrZero = optional("30s", "How long a backend that comes back beside others takes to get its whole share.")
    flaps: Count = optional(3, "Fail-overs within `flap_window` after which the worse priority is kept.")
    flap_window: Duration = optional("10m", "The window of `flaps`.")
