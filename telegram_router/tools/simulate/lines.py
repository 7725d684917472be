"""One connection of a simulation: what has come on it, what is on its way out, and what has been done to it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from telegram_router.telegrams import Framer
from telegram_router.tools.simulate.mishaps import Out

EARLIER: Final = 16  # answers that a connection remembers, for stale ones
GATHERED: Final = 10_000


@dataclass(slots=True, eq=False)
class Line:
    number: int  # in the order in which they came, from 1
    framer: Framer
    opened: float
    heard: float  # when the last telegram came
    peer: str = ""
    telegrams: int = 0  # that came
    counts: dict[str, int] = field(default_factory=dict)  # how often each rule and fault could have taken part
    logged_on: bool = False
    silent: bool = False
    deaf: bool = False
    ended: bool = False  # by us
    no_heartbeat: bool = False
    idle: float | None = None
    last_due: float = 0.0  # of the answers, where they keep their order
    free_at: float = 0.0  # when the bytes before have gone out
    begun: bool = False  # the header of the telegram on its way has been answered already
    unanswered: int = 0  # heartbeats
    owed: int = 0  # answers that are due later
    held: deque[Out] = field(default_factory=lambda: deque(maxlen=EARLIER))  # answers behind the next one
    gathered: list[Out] = field(default_factory=list)
    earlier: deque[bytes] = field(default_factory=lambda: deque(maxlen=EARLIER))
