"""Tables of what a line keeps to: business hours, sign-on, sign-off, heartbeats."""

from __future__ import annotations

from typing import Literal

from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import Clock, Count, Day, Duration, DurationOrZero, Few, Listed, NonEmpty, OneOrMore, OpenHours, Table


class Calendar(Settings):
    """Business hours. Outside them requests are refused with E-TXN-03, and nothing is sent."""

    timezone: NonEmpty = optional("Asia/Seoul", "The time zone of all that is said here, by its IANA name.")
    days: OneOrMore[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = optional(
        ["mon", "tue", "wed", "thu", "fri"], "The day, or list of days, on which hours begin."
    )
    hours: OneOrMore[OpenHours] = optional(
        "00:00-24:00",
        "From when to when it is open, one or a list. Hours over midnight, such as `22:00-06:00`, belong to the day on which they begin.",
    )
    holidays: Listed[Day] = optional((), "Days on which no hours begin.")
    cutover: Clock = optional(
        "00:00",
        "When the business date changes and the router's own numbers begin anew: before noon yesterday's date goes on until then, from noon "
        "on tomorrow's begins then.",
    )


class Conduct(Settings):
    """The telegrams about the line itself, as the spec's `conduct` declares them."""

    timeout: Duration = optional("10s", "How long a sign-on may take.")
    heartbeat: DurationOrZero | None = optional(
        None,
        "Silence after which the other side is asked whether it is there. Default: 30s where the spec has a polling frame or an echo telegram. "
        "`0s`: never.",
    )
    misses: Few = optional(3, "Heartbeats in a row after which nothing came, not even their answer: then the connection is closed.")
    beat: Literal["poll", "echo"] | None = optional(
        None, "What is asked: the spec's polling frame or its echo telegram. Default: the frame, where it has one."
    )
    fields: Table[NonEmpty, str] = optional(
        {}, "Header fields of the router's own telegrams, such as its company number, as in the telegram."
    )
    first_number: Count = optional(1, "The first running number of the router's own telegrams on each business date.")


class LinkConduct(Conduct):
    sign_on: bool = optional(
        False, "The router signs on, and a link is given requests only once that was accepted. With a `calendar` at each opening again."
    )
    sign_off: bool = optional(True, "Having signed on, the router signs off before it closes a link, and at the close of business.")


class SessionConduct(Conduct):
    sign_on: Literal["none", "required", "forward"] = optional(
        "none",
        "`required`: what a client asks before its sign-on or after its sign-off is refused with E-TXN-03, and the router answers both; `forward`: "
        "a service answers them, as the routes say, and its answer decides.",
    )
    sign_off: bool = optional(False, "Clients are sent a sign-off before the router closes their sessions.")
    idle: Duration | None = optional(None, "Silence after which a session is closed. Longer than `heartbeat`. Absent: never.")
