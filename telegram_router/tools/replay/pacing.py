"""When each telegram is due: as recorded, at a rate, in a ramp, or as soon as the answer before it has come. Pure."""

# Rules this file keeps:
#
# 1. Open loop: what is due does not depend on what came back. Nothing that is due is ever left out.
# 2. A pace is asked once for each telegram, in their order; it remembers.

from __future__ import annotations

import math
import random
from typing import Final, Protocol

from telegram_router.tools.replay.settings import SECOND, duration, misunderstood, rate

_EXPECTED: Final = "recorded, recorded,maxgap=2s, x10, 200/s, poisson:200/s, 50/s..500/s:60s or max"


class Pace(Protocol):
    """`text`: as it was asked for."""

    text: str

    def due(self, t: int) -> int | None:
        """Nanoseconds since the start at which the telegram recorded at `t` is due; None: whenever there is room."""
        ...


class Recorded:
    """The spacing of the recording, so many times as fast; silences cut to `maxgap`."""

    def __init__(self, text: str, speed: float = 1.0, maxgap: int | None = None) -> None:
        self.text = text
        self._speed, self._maxgap = speed, maxgap
        self._last: int | None = None
        self._at = 0.0
        self.shortened = 0  # silences

    def due(self, t: int) -> int:
        if self._last is not None:
            gap = max(t - self._last, 0) / self._speed
            if self._maxgap is not None and gap > self._maxgap:
                gap = self._maxgap
                self.shortened += 1
            self._at += gap
        self._last = t if self._last is None else max(t, self._last)
        return round(self._at)


class Steady:
    """So many a second, evenly."""

    def __init__(self, text: str, per_second: float) -> None:
        self.text, self.rate = text, per_second
        self._count = 0

    def due(self, t: int) -> int:
        at = self._count * SECOND / self.rate
        self._count += 1
        return round(at)


class Poisson:
    """So many a second as independent callers would send them."""

    def __init__(self, text: str, per_second: float, seed: int) -> None:
        self.text, self.rate = text, per_second
        self._chance = random.Random(seed)
        self._at = 0.0

    def due(self, t: int) -> int:
        at = self._at
        self._at += self._chance.expovariate(self.rate) * SECOND
        return round(at)


class Ramp:
    """From one rate to another in a straight line, then on at the second."""

    def __init__(self, text: str, first: float, last: float, lasting: int) -> None:
        self.text = text
        self._first, self._last, self._seconds = first, last, lasting / SECOND
        self._count = 0
        self._whole = (first + last) / 2 * self._seconds  # telegrams until the second rate is reached

    def due(self, t: int) -> int:
        count = self._count
        self._count += 1
        if count >= self._whole:
            return round((self._seconds + (count - self._whole) / self._last) * SECOND)
        slope = (self._last - self._first) / self._seconds  # count = first * s + slope / 2 * s^2
        if slope == 0:
            return round(count / self._first * SECOND)
        return round((math.sqrt(self._first**2 + 2 * slope * count) - self._first) / slope * SECOND)


class Closed:
    """Closed loop: a telegram goes when an answer makes room for it."""

    def __init__(self, text: str = "max") -> None:
        self.text = text

    def due(self, t: int) -> None:
        return None


def pace_of(text: str, seed: int) -> Pace:
    """Read a pace. Raises ReplayError."""
    words = [word.strip() for word in text.split(",")]
    kind, options = words[0], words[1:]
    if kind == "max" and not options:
        return Closed(text)
    if kind == "recorded" or (kind.startswith("x") and kind[1:].replace(".", "", 1).isdecimal()):
        speed = float(kind[1:]) if kind != "recorded" else 1.0
        if speed > 0 and all(option.startswith("maxgap=") for option in options):
            return Recorded(text, speed, duration(options[0].removeprefix("maxgap="), "maxgap") if options else None)
    elif not options and kind.startswith("poisson:"):
        return Poisson(text, rate(kind.removeprefix("poisson:"), "the pace"), seed)
    elif not options and ".." in kind:
        ends, colon, lasting = kind.partition(":")
        first, _, last = ends.partition("..")
        if colon:
            return Ramp(text, rate(first, "the pace"), rate(last, "the pace"), max(duration(lasting, "the pace"), 1))
    elif not options and "/" in kind:
        return Steady(text, rate(kind, "the pace"))
    raise misunderstood("the pace", text, _EXPECTED)
