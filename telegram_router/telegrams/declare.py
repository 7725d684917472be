"""What a spec file is written with, beside field kinds: the family, its messages, their replies, its error reply."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from telegram_router.telegrams.fields import declared_line
from telegram_router.telegrams.framing import Framing


class _OurCode:
    """Stands in an error reply for the router's own error code, e.g. `E-RTE-01`."""

    def __repr__(self) -> str:
        return "OUR_CODE"


OUR_CODE: Final = _OurCode()


class Filled(enum.Enum):
    """What the router fills in when it sends a telegram of its own."""

    TODAY = "the business date"
    NOW = "date and time of the clock"
    NUMBER = "a running number"


TODAY: Final = Filled.TODAY
NOW: Final = Filled.NOW
NUMBER: Final = Filled.NUMBER


@dataclass(frozen=True)
class Reply:
    """What answers a message: one telegram, none, or telegrams until `current` of `total` is reached."""

    kind: Literal["one", "none", "until"]
    message: str | None = None
    current: str | None = None
    total: str | None = None
    line: int = dataclasses.field(default_factory=declared_line, compare=False)

    @classmethod
    def one(cls, message: str) -> Reply:
        return cls("one", message)

    @classmethod
    def none(cls) -> Reply:
        return cls("none")

    @classmethod
    def until(cls, message: str, *, current: str, total: str) -> Reply:
        return cls("until", message, current, total)


@dataclass(frozen=True)
class Plus:
    """The reply's key is the request's with `step` added to one of its fields: 2000 is answered by 2100."""

    field: str
    step: int
    line: int = dataclasses.field(default_factory=declared_line, compare=False)

    def answer(self, value: str) -> str | None:
        """The reply's value of that field, None when there is none."""
        if not (value.isascii() and value.isdecimal()):
            return None
        answer = str(int(value) + self.step).zfill(len(value))
        return answer if len(answer) == len(value) else None


@dataclass(frozen=True)
class Table:
    """The reply's value of one key field, looked up by the request's."""

    field: str
    answers: Mapping[str, str]
    line: int = dataclasses.field(default_factory=declared_line, compare=False)

    def answer(self, value: str) -> str | None:
        """The reply's value of that field, None when there is none."""
        return self.answers.get(value)


@dataclass(frozen=True)
class Message:
    """One telegram of the family: `key` are its values of the family's key fields, in their order."""

    name: str
    title: str = ""
    key: tuple[str, ...] = ()
    body: Any = None  # a construct Struct; None for a message that is its header
    reply: Reply | None = None  # None: the family's reply rule says
    kind: Literal["request", "reply", "oneway"] = "request"
    synthetic: bool = False  # not from a published layout
    line: int = dataclasses.field(default_factory=declared_line, compare=False)


@dataclass(frozen=True)
class ErrorReply:
    """How the router refuses a telegram in the family's own words.

    The error telegram is the request's header with the reply's key, and in `field` the code that `codes` gives for our
    error code, or else `not_sent` or `sent_unknown`. Its body is the request's, cut or filled with blanks to the reply's
    size. With `message` it is that message instead, its body blank but for `field` and `set`. `set` may name other header
    fields too, such as a flag that tells answers from requests.
    """

    field: str
    not_sent: str
    sent_unknown: str
    codes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    message: str | None = None
    set: Mapping[str, object] = dataclasses.field(default_factory=dict)  # other fields: a text, or OUR_CODE
    line: int = dataclasses.field(default_factory=declared_line, compare=False)


@dataclass(frozen=True)
class Formality:
    """A telegram about the line itself that the router sends: a request of the family.

    `set` names fields and their values: a text as in the telegram, a number, or TODAY, NOW or NUMBER. Fields named by nobody are
    blank. `accepted` are the response codes that mean yes, where they are not those of the family's other formalities.
    """

    message: str
    set: Mapping[str, object] = dataclasses.field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    line: int = dataclasses.field(default_factory=declared_line, compare=False)


@dataclass(frozen=True)
class Conduct:
    """How two sides open a line, see that it is alive, and close it.

    `response` is the header field of answers that holds the response code, `accepted` are the codes that mean yes; the first of
    them is what the router answers with. `set` holds for every formality, `answers` are fields that the router's own answers
    have otherwise than the request.
    """

    response: str
    accepted: tuple[str, ...]
    sign_on: Formality | None = None
    sign_off: Formality | None = None
    echo: Formality | None = None
    set: Mapping[str, object] = dataclasses.field(default_factory=dict)
    answers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    line: int = dataclasses.field(default_factory=declared_line, compare=False)

    @property
    def formalities(self) -> dict[str, Formality]:
        """Those it has, by what they are for."""
        known = {"sign_on": self.sign_on, "sign_off": self.sign_off, "echo": self.echo}
        return {role: each for role, each in known.items() if each is not None}


@dataclass(frozen=True)
class Family:
    """Everything about a telegram family. A spec file assigns one to `spec`."""

    name: str
    header: Any  # a construct Struct
    messages: Sequence[Message]
    framing: Framing
    key: tuple[str, ...]
    correlation: tuple[str, ...]
    title: str = ""
    version: str = ""
    encoding: str = "ascii"
    length: int | None = None  # bytes of every telegram, framing not counted; None when messages differ
    reply_rule: Plus | Table | None = None
    errors: ErrorReply | None = None
    conduct: Conduct | None = None
    carrier: str | None = None
    owner: str | None = None
    trace: str | None = None  # a header field with a W3C traceparent, or with its 32 digits of trace id
    # What belongs to the moment and is another value when a telegram is sent again: names or paths of fields, each with "clock",
    # "clock.date", "clock.time", "sequence", "ref_of FIELD" or "issued" (given anew by whoever answers).
    volatile: Mapping[str, str] = dataclasses.field(default_factory=dict)
    strict: str | None = None  # "ksx1001": texts have no hangul that KS X 1001 lacks
    line: int = dataclasses.field(default_factory=declared_line, compare=False)
