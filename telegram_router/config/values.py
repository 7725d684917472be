"""Values of the configuration that have a form of their own: durations, sizes, addresses, URLs, matches."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from telegram_router import written
from telegram_router.written import Address, Misread

_K = TypeVar("_K")
_T = TypeVar("_T")
_UNITS_OF_TIME = ("ms", "s", "m", "h")
_UNITS_OF_SIZE = ("B", "KiB", "MiB")
_MIB = 1024 * 1024
_SERVER_NAME = re.compile(r"(?=.{1,253}\Z)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z_]([a-z0-9_-]{0,61}[a-z0-9])?", re.IGNORECASE)
IDENTIFIED_BY = ("certificate", "address")
COUNTED_BY = ("certificate", "address", "session", "service", "message")
_LONGEST_HOURS = 7 * 24
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DOTTED = re.compile(r"[^\s.]+(\.[^\s.]+)*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset(
    (
        *("accept-encoding", "connection", "content-length", "content-type", "expect", "host", "keep-alive", "proxy-connection"),
        *("te", "trailer", "traceparent", "transfer-encoding", "upgrade", "x-deadline-ms", "x-request-id"),
    )
)


class Source(NamedTuple):
    """What to connect from: an IP address of this machine, and a port for each link. No ports: the system chooses."""

    host: str
    ports: range

    def __str__(self) -> str:
        ports = "" if not self.ports else f":{self.ports[0]}" + (f"-{self.ports[-1]}" if len(self.ports) > 1 else "")
        return (f"[{self.host}]" if ":" in self.host and ports else self.host) + ports


@dataclass(frozen=True)
class Url:
    """Where an HTTP service listens. `target` begins with a slash and may hold the placeholder {message}."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        return f"{self.scheme}://{Address(self.host, self.port)}{self.target}"


@dataclass(frozen=True)
class Exact:
    """The header field equals one of these."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Prefix:
    """The header field begins with this."""

    prefix: str


@dataclass(frozen=True)
class Range:
    """The field lies between these two, both included. Those of header fields are of equal length and compared byte by byte."""

    min: str
    max: str


class Hours(NamedTuple):
    """From when to when, in seconds of the day; the end is beyond the day's where they go over midnight."""

    begin: int
    end: int


Rule = Exact | Prefix | Range


def _wrong(what: str, expected: str) -> PydanticCustomError:
    return PydanticCustomError("form", "{what}", {"what": what, "expected": expected})


def _as_written(read: Callable[[str], _T], value: object) -> _T:
    """What `read` makes of a text. A number of TOML is one without its unit."""
    text = value if isinstance(value, str) else "1" if isinstance(value, int | float) else ""
    try:
        return read(text)
    except Misread as error:
        raise _wrong(error.what, error.expected) from None


def _duration(*, zero: bool = False) -> BeforeValidator:
    """Text with a unit to seconds."""

    def read(value: object) -> float:
        seconds = _as_written(partial(written.seconds, units=_UNITS_OF_TIME, zero=zero), value)
        if seconds > _LONGEST_HOURS * 3600:
            raise _wrong("is out of range", f'at most "{_LONGEST_HOURS}h"')
        return seconds

    return BeforeValidator(read)


def _read_days(value: object) -> int:
    parts = re.fullmatch(r"([1-9]\d{0,4})d", value, re.ASCII) if isinstance(value, str) else None
    if parts is None:
        raise _wrong("is no number of days", 'days with their unit, such as "400d"')
    return int(parts[1])


def _size(most_mib: int) -> BeforeValidator:
    """Text with a unit to bytes."""

    def read(value: object) -> int:
        size = _as_written(partial(written.octets, units=_UNITS_OF_SIZE), value)
        if size > most_mib * _MIB:
            raise _wrong("is out of range", f'at least "1B", at most "{most_mib}MiB"')
        return size

    return BeforeValidator(read)


def _read_address(value: object) -> Address:
    return _as_written(written.listening, value)


def read_target_address(value: object) -> Address:
    """The address of a backend. Raises what pydantic reports."""
    return _as_written(written.target, value)


def _read_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        if isinstance(value, str):
            return ipaddress.ip_network(value)
    except ValueError:
        pass
    raise _wrong("is not a network", 'an address or a network, such as "10.0.0.1", "10.0.0.0/24" or "2001:db8::/32", without host bits')


def _read_source(value: object) -> Source:
    if isinstance(value, str):
        parts = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5})(?:-(\d{1,5}))?)?", value, re.ASCII)
        if parts:
            first = int(parts[3] or 0)
            last = int(parts[4] or first)
            with contextlib.suppress(ValueError):
                host = str(ipaddress.ip_address(parts[1] or parts[2]))
                if first <= last <= 65535 and bool(first) == (parts[3] is not None):
                    return Source(host, range(first, last + 1) if first else range(0))
    raise _wrong(
        "is not a source", 'an address of this machine, alone or with a port or ports: "10.0.0.5", "10.0.0.5:40000", "10.0.0.5:40000-40003"'
    )


def _read_certificate_name(value: str) -> str:
    if "://" in value:
        return value
    name = _read_server_name(value)
    if name.startswith("*."):
        raise _wrong("is a wildcard", "the whole name, as it stands in the certificate")
    return name


def _read_url(value: object) -> Url:
    expected = 'a URL "http(s)://host:port/path", whose path may hold {message}'
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        port = parts.port
    except ValueError:
        raise _wrong("is not a URL", expected) from None
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value) or parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong("is not a URL", expected)
    if "@" in parts.netloc:
        raise _wrong("holds a user or a password", expected + "; credentials belong into headers")
    if "#" in value:
        raise _wrong("holds a fragment", expected)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if re.search(r"[{}]", target.replace("{message}", "")):
        raise _wrong("holds another placeholder than {message}", expected)
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Url(scheme, parts.hostname, port or (443 if scheme == "https" else 80), target)


def _read_clock(value: object) -> int:
    """A time of the day to seconds; 24:00 is its end."""
    found = re.fullmatch(r"(\d{2}):(\d{2})", value, re.ASCII) if isinstance(value, str) else None
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 if found else -1
    if found is None or int(found[2]) > 59 or seconds > 86_400:
        raise _wrong("is no time of the day", 'a time "hh:mm" from "00:00" to "24:00"')
    return seconds


def _read_hours(value: object) -> Hours:
    if isinstance(value, Hours):
        return value
    begin, dash, end = value.partition("-") if isinstance(value, str) else ("", "", "")
    if not dash:
        raise _wrong("are no hours", 'hours "hh:mm-hh:mm", such as "09:00-18:00", or "22:00-06:00" over midnight')
    hours = Hours(_read_clock(begin), _read_clock(end))
    if hours.begin == 86_400 or hours.begin == hours.end:
        raise _wrong("are no hours", 'another beginning than the end; the whole day is "00:00-24:00"')
    return hours if hours.end > hours.begin else Hours(hours.begin, hours.end + 86_400)


def _read_date(value: object) -> datetime.date:
    """TOML has dates of its own, and they may be written as text too."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _wrong("is not a date", 'a date, such as 2026-12-25 or "2026-12-25"') from None


def _read_rule(value: object) -> Rule:
    if isinstance(value, Exact | Prefix | Range):
        return value
    if isinstance(value, str):
        return Exact((value,))
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return Exact(tuple(dict.fromkeys(value)))
    if isinstance(value, dict) and all(isinstance(each, str) and each for each in value.values()):
        if value.keys() == {"prefix"}:
            return Prefix(value["prefix"])
        if value.keys() == {"min", "max"}:
            return Range(value["min"], value["max"])
    forms = '"v", ["v", "w"], { prefix = "v" } or { min = "v", max = "w" }, always in quotes, so that codes keep their zeros'
    raise _wrong("is not a match", forms)


def _read_server_name(value: str) -> str:
    if not _SERVER_NAME.fullmatch(value):
        raise _wrong(
            "is not a DNS name", 'a DNS name in ASCII, or "*." and one for every name with one label in front of it; no IP address'
        )
    return value.lower()


def _read_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise _wrong("is not a name", "1 to 64 letters A-Z a-z, digits, _ or -, since it becomes a label of metrics and logs")
    return value


def _read_dotted(value: str) -> str:
    if not _DOTTED.fullmatch(value):
        raise _wrong("is not a path", 'names joined by dots, such as "body.amount"')
    return value


def _read_counted_by(value: str) -> str:
    if value not in COUNTED_BY and not re.fullmatch(r"header\.[^\s.]+", value):
        raise _wrong("is nothing to count by", f"one of {', '.join(COUNTED_BY)}, or header.FIELD")
    return value


def _read_identified_by(value: str) -> str:
    if value not in IDENTIFIED_BY and not re.fullmatch(r"header\.[^\s.]+", value):
        raise _wrong("is nothing to know somebody by", f"one of {', '.join(IDENTIFIED_BY)}, or header.FIELD")
    return value


def _read_lasting(value: str) -> str:
    if value == "session":
        raise _wrong("ends with its connection", "certificate, address or header.FIELD, which the next session has too")
    return _read_counted_by(value)


def _read_handler(value: str) -> str:
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", value):
        raise _wrong("is not a handler", 'a module and a function in it, such as "mybank.handlers:balance"')
    return value


def _read_header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise _wrong("is not a header name", "letters, digits and -")
    if value.lower() in _OWN_HEADERS:
        raise _wrong("is a header that the router sets itself", "another header")
    return value


def _read_header_value(value: str) -> str:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
        raise _wrong("is not a header value", "printable ASCII characters, none of them blank at either end")
    return value


def _as_tuple(value: object) -> object:
    """TOML lists become tuples; strictness would refuse them."""
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else _as_tuple(value)


Duration = Annotated[float, _duration()]
DurationOrZero = Annotated[float, _duration(zero=True)]
Size = Annotated[int, _size(16)]
FrameSize = Annotated[int, _size(1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrZero = Annotated[int, Field(ge=0, le=1_000_000)]
Few = Annotated[int, Field(ge=1, le=100)]
Level = Annotated[int, Field(ge=0, le=9)]
Share = Annotated[float, Field(gt=0, le=1)]
ShareOrNone = Annotated[float, Field(ge=0, le=1)]
FileSize = Annotated[int, _size(1_048_576)]
ListenAddress = Annotated[Address, PlainValidator(_read_address)]
TargetAddress = Annotated[Address, PlainValidator(read_target_address)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(_read_network)]
SourceAddress = Annotated[Source, PlainValidator(_read_source)]
NonEmpty = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(_read_name)]
ServerName = Annotated[str, AfterValidator(_read_server_name)]
CertificateName = Annotated[str, AfterValidator(_read_certificate_name)]
FieldPath = Annotated[str, AfterValidator(_read_dotted)]
JsonPath = Annotated[str, AfterValidator(_read_dotted)]
IdentifiedBy = Annotated[str, AfterValidator(_read_identified_by)]
Urgency = Literal["critical", "high", "normal", "bulk"]
CountedBy = Annotated[str, AfterValidator(_read_counted_by)]
Days = Annotated[int, BeforeValidator(_read_days)]
LastingKey = Annotated[str, AfterValidator(_read_lasting)]
Quantity = Annotated[int, Field(ge=1, le=10**18)]
Handler = Annotated[str, AfterValidator(_read_handler)]
HeaderName = Annotated[str, AfterValidator(_read_header_name)]
HeaderValue = Annotated[str, AfterValidator(_read_header_value)]
HttpUrl = Annotated[Url, PlainValidator(_read_url)]
Clock = Annotated[int, PlainValidator(_read_clock)]
OpenHours = Annotated[Hours, PlainValidator(_read_hours)]
Day = Annotated[datetime.date, PlainValidator(_read_date)]
Match = Annotated[Rule, PlainValidator(_read_rule)]
Listed = Annotated[tuple[_T, ...], BeforeValidator(_as_tuple), Field(min_length=1)]  # its empty default is left unvalidated
OneOrMore = Annotated[tuple[_T, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Table = Annotated[Mapping[_K, _T], AfterValidator(MappingProxyType)]
