"""Durations, rates, sizes and addresses as people write them, in files and on command lines: one reading, one way to refuse each. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container
from types import MappingProxyType
from typing import Final, NamedTuple

SECOND: Final = 1_000_000_000
DURATIONS: Final = MappingProxyType(
    {"us": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
)  # in nanoseconds
SIZES: Final = MappingProxyType(
    {"B": 1}
    | dict.fromkeys(("KiB", "KB", "kB"), 1024)
    | dict.fromkeys(("MiB", "MB"), 1024 * 1024)
    | dict.fromkeys(("GiB", "GB"), 1024 * 1024 * 1024)
)
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(us|ms|s|m|h|d)?", re.ASCII)
_RATE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(?:/(s|m|h))?", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,9})([kKMG]?i?B)?", re.ASCII)
_ADDRESS: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9_.-]+))?:(\d{1,5})", re.ASCII)
_DURATION_FORM: Final = 'a duration with its unit, such as "500ms", "10s", "5m" or "1h"'
_RATE_FORM: Final = 'how many in which time, such as "200/s" or "12000/m"'
_SIZE_FORM: Final = 'a size with its unit, such as "512B", "64KiB" or "1MiB"'
_ADDRESS_FORM: Final = 'an address "host:port", such as "127.0.0.1:9001" or "[::1]:9001"'


class Misread(ValueError):
    """`what` is wrong with a value, and what was `expected` of it, with examples."""

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(f"{what}: expected {expected}")
        self.what, self.expected = what, expected


class Address(NamedTuple):
    """Where to listen or connect. The host is a name or an IP address, without the brackets of IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach it. A name other than localhost is taken as public."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def nanoseconds(text: str, *, units: Container[str] = DURATIONS, zero: bool = False) -> int:
    """Of `250ms`, `5s`, `1.5h`. Raises Misread."""
    found = _DURATION.fullmatch(text)
    if found is None or (found[2] is not None and found[2] not in units):
        raise Misread("is not a duration", _DURATION_FORM)
    if found[2] is None:
        raise Misread("has no unit", _DURATION_FORM)
    amount = round(float(found[1]) * DURATIONS[found[2]])
    if not amount and not zero:
        raise Misread("is out of range", 'more than "0s"')
    return amount


def seconds(text: str, *, units: Container[str] = DURATIONS, zero: bool = False) -> float:
    """The same in seconds."""
    return nanoseconds(text, units=units, zero=zero) / SECOND


def per_second(text: str) -> float:
    """Of `200/s`, `12000/m`. Raises Misread."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise Misread("is not a rate", _RATE_FORM)
    if found[2] is None:
        raise Misread("names no time", _RATE_FORM)
    if not float(found[1]):
        raise Misread("is out of range", 'more than "0/s"')
    return float(found[1]) * SECOND / DURATIONS[found[2]]


def octets(text: str, *, units: Container[str] = SIZES) -> int:
    """Of `64KiB`, `256MB`; kilo, mega and giga are powers of 1024 either way. Raises Misread."""
    found = _SIZE.fullmatch(text)
    if found is None or (found[2] is not None and found[2] not in units):
        raise Misread("is not a size", _SIZE_FORM)
    if found[2] is None:
        raise Misread("has no unit", _SIZE_FORM)
    size = int(found[1]) * SIZES[found[2]]
    if not size:
        raise Misread("is out of range", 'at least "1B"')
    return size


def size_or_age(text: str) -> tuple[int | None, float | None]:
    """Bytes of `256MB`, or seconds of `1h`. Raises Misread."""
    if text.endswith("B"):
        return octets(text), None
    try:
        return None, seconds(text)
    except Misread:
        raise Misread("is neither a size nor an age", 'a size such as "256MB" or an age such as "1h"') from None


def listening(text: str, *, host: str | None = None) -> Address:
    """Of `127.0.0.1:9001`, `[::1]:9001`; with port 0 the system chooses one. `host` is that of `:9001`. Raises Misread."""
    found = _ADDRESS.fullmatch(text)
    name = found and (found[1] or found[2] or host)
    if found is None or not name or int(found[3]) > 65_535:
        own = "" if host is None else ', or ":9001" for this machine alone'
        raise Misread("is not an address", _ADDRESS_FORM + own)
    return Address(name, int(found[3]))


def target(text: str, *, host: str | None = None) -> Address:
    """The same of where to connect, which has a port. Raises Misread."""
    address = listening(text, host=host)
    if address.port == 0:
        raise Misread("has port 0", "the port that the other side listens on")
    return address
