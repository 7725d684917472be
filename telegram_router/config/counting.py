"""Tables of what is counted: limits, quotas, priorities, usage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import (
    Count,
    CountedBy,
    Days,
    Duration,
    FieldPath,
    IdentifiedBy,
    LastingKey,
    NonEmpty,
    OneOrMore,
    Quantity,
    Urgency,
)


class Limit(Settings):
    """How many requests may come in a time, and how many may be open."""

    key: OneOrMore[CountedBy] = Field(
        description="What is counted by: `certificate`, `address`, `session`, `service`, `message`, or a header field as `header.FIELD`; several "
        "count by their combination."
    )
    rate: Count | None = optional(None, "Requests in `per` that each key may make. Default: any number.")
    per: Duration = optional("1s", "The time that `rate` counts in.")
    burst: Count | None = optional(None, "Requests that may come at once. Default: as many as `rate`.")
    mode: Literal["reject", "delay"] = optional(
        "reject", "What becomes of requests beyond `rate`: they are refused, or wait until their time has come."
    )
    max_delay: Duration = optional("1s", "How long a request may wait so; one that would have to wait longer is refused.")
    in_flight: Count | None = optional(None, "Requests that each key may have open at a time. Default: any number.")
    listener: OneOrMore[str] = optional((), "The listener, or list of listeners, whose sessions it counts. Default: all.")
    service: OneOrMore[str] = optional((), "The service, or list of services, requests to which it counts. Default: all.")
    on_missing_key: Literal["deny", "pass"] = optional(
        "deny", "What becomes of a request that lacks what is counted by, such as a certificate."
    )


class Priority(Settings):
    """Whose requests are more urgent, or less, than their route says."""

    key: IdentifiedBy = Field(description="What is looked at: `certificate`, `address`, or a header field as `header.FIELD`.")
    values: OneOrMore[NonEmpty] = Field(
        description="The value, or list of values, that it fits: names (SAN) of a certificate, addresses, or contents of the field."
    )
    urgency: Urgency = Field(alias="class", description="`critical`, `high`, `normal` or `bulk`.")
    listener: OneOrMore[str] = optional((), "The listener, or list of listeners, whose requests it looks at. Default: all.")
    service: OneOrMore[str] = optional((), "The service, or list of services, requests to which it looks at. Default: all.")


class Quota(Settings):
    """How much may come in a calendar hour, day, week or month."""

    key: OneOrMore[LastingKey] = Field(
        description="What is counted by: `certificate`, `address`, `service`, `message`, or a header field as `header.FIELD`; several count by "
        "their combination."
    )
    limit: Quantity = Field(description="Requests in a window that each key may make; with `amount` the sum of that field.")
    period: Literal["hour", "day", "week", "month"] = optional("day", "The windows of the calendar; weeks begin on Monday.")
    timezone: NonEmpty = optional("Asia/Seoul", "Whose midnight begins a day, by its name in the IANA time zone database.")
    amount: FieldPath | None = optional(
        None, "A numeric field, as `body.FIELD`, whose sum is counted instead of requests. Messages that do not have it do not count."
    )
    listener: OneOrMore[str] = optional((), "The listener, or list of listeners, whose sessions it counts. Default: all.")
    service: OneOrMore[str] = optional((), "The service, or list of services, requests to which it counts. Default: all.")
    on_missing_key: Literal["deny", "pass"] = optional(
        "deny", "What becomes of a request that lacks what is counted by, such as a certificate."
    )
    on_store_failure: Literal["closed", "open"] = optional(
        "closed", "While what is counted cannot be stored: `closed` refuses requests with E-STO-03, `open` lets them through and counts on."
    )


class Usage(Settings):
    """Who has asked for how much, by day."""

    user: OneOrMore[IdentifiedBy] = Field(
        description="What tells who a user is: `certificate`, `address`, or a header field as `header.FIELD`. Of several the first that a request has."
    )
    amount: FieldPath | None = optional(None, "A numeric field, as `body.FIELD`, whose sum is counted as well.")
    users: Count = optional(1000, "Users of a day that are told apart; the others count together as `_OTHER`.")
    timezone: NonEmpty = optional("Asia/Seoul", "Whose midnight begins a day, by its name in the IANA time zone database.")
    retention: Days = optional("400d", "How long a day is kept.")
