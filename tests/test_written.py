"""Durations, rates, sizes and addresses as people write them, and what is said of those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click
import pytest

from telegram_router.cli.kinds import ADMIN, DURATION, LISTEN, ROTATION, TARGET
from telegram_router.written import Address, Misread, listening, nanoseconds, octets, per_second, seconds, size_or_age, target

here = partial(listening, host="127.0.0.1")


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (nanoseconds, "1us", 1_000),
        (nanoseconds, "250ms", 250_000_000),
        (nanoseconds, "1.5h", 5_400_000_000_000),
        (nanoseconds, "2d", 172_800_000_000_000),
        (seconds, "0.000001ms", 1e-9),
        (seconds, "300ms", 0.3),
        (seconds, "5m", 300.0),
        (partial(seconds, zero=True), "0s", 0.0),
        (per_second, "200/s", 200.0),
        (per_second, "12000/m", 200.0),
        (per_second, "1.8/h", 0.0005),
        (octets, "512B", 512),
        (octets, "64KiB", 65_536),
        (octets, "64kB", 65_536),
        (octets, "256MB", 256 * 1024 * 1024),
        (octets, "1GiB", 1024**3),
        (size_or_age, "1MiB", (1_048_576, None)),
        (size_or_age, "1h", (None, 3600.0)),
        (listening, "core:0", Address("core", 0)),
        (listening, "[::1]:9001", Address("::1", 9001)),
        (here, ":9001", Address("127.0.0.1", 9001)),
        (target, "core-test.example:65535", Address("core-test.example", 65_535)),
    ],
)
def test_what_is_written_is_read(read: Callable[[str], object], text: str, value: object):
    assert read(text) == value


WHOLE = 'a duration with its unit, such as "500ms", "10s", "5m" or "1h"'


@pytest.mark.parametrize(
    ("read", "text", "what", "expected"),
    [
        (seconds, "", "is not a duration", WHOLE),
        (seconds, "5 s", "is not a duration", WHOLE),
        (seconds, "-5s", "is not a duration", WHOLE),
        (seconds, "٣s", "is not a duration", WHOLE),
        (seconds, "10", "has no unit", WHOLE),
        (seconds, "0s", "is out of range", 'more than "0s"'),
        (partial(seconds, units=("ms", "s")), "5d", "is not a duration", WHOLE),
        (per_second, "fast", "is not a rate", "200/s"),
        (per_second, "5", "names no time", "200/s"),
        (per_second, "0/s", "is out of range", 'more than "0/s"'),
        (octets, "1TB", "is not a size", "64KiB"),
        (octets, "64", "has no unit", "64KiB"),
        (octets, "0B", "is out of range", 'at least "1B"'),
        (partial(octets, units=("B", "KiB")), "1MB", "is not a size", "64KiB"),
        (size_or_age, "often", "is neither a size nor an age", "256MB"),
        (size_or_age, "MB", "is not a size", "64KiB"),
        (listening, "core", "is not an address", "[::1]:9001"),
        (listening, ":9001", "is not an address", "127.0.0.1:9001"),
        (listening, "::1:9001", "is not an address", "[::1]:9001"),
        (listening, "core:65536", "is not an address", "127.0.0.1:9001"),
        (here, "9001", "is not an address", '":9001" for this machine alone'),
        (target, "core:0", "has port 0", "the port that the other side listens on"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_was_expected(read: Callable[[str], object], text: str, what: str, expected: str):
    with pytest.raises(Misread) as told:
        read(text)
    assert told.value.what == what and expected in told.value.expected


def test_an_option_says_what_it_was_given_what_is_wrong_and_what_it_takes():
    option = click.Option(["--duration"])
    with pytest.raises(click.BadParameter) as told:
        DURATION.convert("10", option, None)
    assert told.value.format_message() == f"Invalid value for '--duration': '10' has no unit: expected {WHOLE}"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (LISTEN, ":0", Address("127.0.0.1", 0)),
        (TARGET, ":9001", Address("127.0.0.1", 9001)),
        (ROTATION, "1h", (None, 3600.0)),
        (ADMIN, "core:9090", Address("core", 9090)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_take(kind: click.ParamType, text: str, value: object):
    assert kind.convert(text, None, None) == value


def test_a_router_is_asked_over_its_socket_too():
    assert str(ADMIN.convert("unix:run/admin.sock", None, None)) == "run/admin.sock"
