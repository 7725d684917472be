"""What a configuration file may hold as a whole: one frozen class for each of its tables, and which table is which."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

from telegram_router.config.backends import Backend, Ejection, Failover, Health, Listen
from telegram_router.config.certificates import ClientTls, ListenerTls, ServerTls, TlsName
from telegram_router.config.conduct import Calendar, LinkConduct, SessionConduct
from telegram_router.config.counting import Limit, Priority, Quota, Usage
from telegram_router.config.listeners import Listener, ProxyProtocol
from telegram_router.config.operations import Access, Admin, Log, Metrics, Tracing
from telegram_router.config.routes import Party, Route, ServiceBy
from telegram_router.config.services import HandlerService, HttpService, ServiceByKind, TelegramService
from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import DurationOrZero, Listed, Name, NonEmpty, OneOrMore, Table


class Config(Settings):
    """The whole file."""

    specs: OneOrMore[NonEmpty] = optional(
        (), "Folders of specs, seen from this file; looked into before the specs that ship with the router."
    )
    drain: DurationOrZero = optional("30s", "How long SIGTERM waits for open exchanges before the router ends.")
    drain_delay: DurationOrZero = optional(
        "0s", "How long the router still accepts clients after SIGTERM, with `/readyz` saying no, so that balancers look elsewhere first."
    )
    spread: DurationOrZero = optional(
        "0s",
        "Then, before `drain`: over what time sessions are parted with, one after the other between two telegrams, so that they do not all "
        "come to the next router at once.",
    )
    watch: bool = optional(False, "Reload by itself when this file, a spec, a certificate, key, revocation list or token has changed.")
    standby: bool = optional(
        False, "The router begins standing by: no links, and its ports refuse, until `telegram-router promote`. Read at start."
    )
    log: Log = optional({}, "What is written to stderr.")
    metrics: Metrics | None = optional(None, "The Prometheus endpoint.")
    access: Access | None = optional(None, "Access records: a line for each telegram that ended.")
    tracing: Tracing | None = optional(None, "Spans for OpenTelemetry.")
    admin: Admin | None = optional(None, "The admin API, which `telegram-router status` and an operator's other commands use.")
    listeners: Table[Name, Listener] = optional({}, "Where clients connect, by name; at least one.")
    services: Table[Name, ServiceByKind] = optional({}, "Who answers, by name.")
    state: NonEmpty = optional(
        "state", "Folder for what outlives the process; made when something is to be kept, and for one router alone."
    )
    calendars: Table[Name, Calendar] = optional({}, "Business hours, by name; listeners and services name theirs.")
    limits: Table[Name, Limit] = optional({}, "How many requests may come in a time, by name. A request counts against all that fit it.")
    priorities: Table[Name, Priority] = optional(
        {}, "Whose requests are more urgent than others, by name. The first that fits a request goes before the class of its route."
    )
    quotas: Table[Name, Quota] = optional(
        {}, "How much may come in a calendar hour, day, week or month, by name. A request counts against all that fit it."
    )
    usage: Usage | None = optional(None, "Who has asked for how much, by day. Without this table nothing is counted.")
    routes: Listed[Route] = optional(
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
        "admin.tls": ServerTls,
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
        "services.NAME.listen.tls": ServerTls,
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
