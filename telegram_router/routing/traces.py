"""Trace ids as W3C Trace Context writes them: brought by a telegram, or drawn from chance that comes in as an argument."""

# Rules this file keeps:
#
# 1. Whether a trace is sampled follows from its id alone, so that every part of the router decides alike.
# 2. What a telegram brings is taken only where all of it is as the standard says; else the trace is one of our own.

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# https://www.w3.org/TR/trace-context/ 3.2.2; a field of 32 digits holds the trace id alone
_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})|([0-9a-f]{32})")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_RANDOM_BITS = 56  # of a trace id, its last ones: level 2 of the standard promises no more


class Parent(NamedTuple):
    """What a telegram says of the trace that it belongs to, in hexadecimal digits."""

    trace: bytes
    span: bytes  # b"" where it is not said
    sampled: bool


def parent_of(raw: bytes) -> Parent | None:
    """What a header field says; None for a field that is blank or holds anything else."""
    found = _PARENT.fullmatch(raw.strip())
    if found is None:
        return None
    trace, span, flags, alone = found.groups()
    parent = Parent(alone, b"", True) if alone else Parent(trace, span, bool(int(flags, 16) & 1))
    return None if parent.trace == _NO_TRACE or parent.span == _NO_SPAN else parent


class Traces:
    """Gives each exchange its trace. `digits` are 48 random hexadecimal digits at a time, in lower case."""

    def __init__(self, digits: Iterator[bytes], share: float = 1.0) -> None:
        self._digits = digits
        self._below = 0
        self.share(share)

    def share(self, share: float) -> None:
        """The share of traces that are sampled, from 0 to 1."""
        self._below = int(share * (1 << _RANDOM_BITS))

    def new(self, parent: Parent | None) -> bytes:
        """50 digits: the trace id, the id of the router's own span, and the flags of the trace."""
        drawn = next(self._digits)
        if parent is not None:
            return parent.trace + drawn[32:] + (b"01" if parent.sampled else b"00")
        return drawn + (b"01" if self._samples(drawn[:32]) else b"00")

    def _samples(self, trace: bytes) -> bool:
        return self._below == 1 << _RANDOM_BITS or int(trace[-_RANDOM_BITS // 4 :], 16) < self._below


def numbered() -> Iterator[bytes]:
    """Digits without chance: for a switch that nobody gave any."""
    number = 0
    while True:
        number += 1
        yield b"%032x%016x" % (number, number)
