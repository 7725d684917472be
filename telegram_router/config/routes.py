"""Tables of routes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import CountOrZero, Exact, Match, Name, NonEmpty, OneOrMore, Rule, Table, Urgency

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

    name: Name | None = optional(None, "What `explain` and the logs call the route. Default: its place in the file.")
    listener: OneOrMore[str] = optional((), "The listener, or list of listeners, whose telegrams this route takes.")
    from_service: str | None = optional(None, "Instead of `listener`: the service whose hosts' own telegrams this route takes.")
    match: Table[NonEmpty, Match] = optional(
        {},
        'Header fields that must all agree, each with `"v"`, `["v", "w"]`, `{ prefix = "v" }` or `{ min = "v", max = "w" }`; fields of the '
        "body likewise, as `body.FIELD`.",
    )
    default: bool = optional(False, "Instead of `match`: takes what no other route of its source takes.")
    service: str | None = optional(None, "The service that answers.")
    urgency: Urgency = optional(
        "normal", "How urgent its requests are where several wait for one service; `[priorities.NAME]` goes before it.", alias="class"
    )
    to_listener: str | None = optional(None, "Instead of `service`: the listener whose session owns the telegram and answers it.")
    service_by: ServiceBy | None = optional(None, "Instead of `service`: the services among which a field of the telegram chooses.")
    split: Table[Name, CountOrZero] = optional(
        {},
        "Instead of `service`: services and their shares, as in `{ old = 90, new = 10 }`. What decides is a hash of the correlation key.",
    )
    split_by: NonEmpty | None = optional(
        None, "Of `split`: the header field whose hash decides instead, so that all telegrams of a customer go to the same service."
    )
    validation: Literal["header", "full"] = optional(
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
