"""What a replay is made of while it runs: the systems it speaks to, their connections, and the requests that are on their way."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import trio

from telegram_router.telegrams import Framer
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.settings import SECOND
from telegram_router.tools.replay.steps import Step

Dial = Callable[[], Awaitable[trio.abc.Stream]]
Outcome = Literal["answered", "late", "missing", "unparseable", "closed", "not_sent"]

QUEUED_AT_MOST: Final = 20_000  # telegrams that are due and wait for room, on all connections
OPEN_AT_MOST: Final = 100_000  # exchanges
WAITING_OUT: Final = 256  # answers to polls that wait to be written
PAUSE: Final = 1.0  # seconds before an address that refused is dialled again


@dataclass
class Side:
    """One system that requests go to. Its `rewriter` makes them its own."""

    name: str  # target, baseline or noise
    dial: Dial
    rewriter: Rewriter
    lanes: dict[str, Lane] = field(default_factory=dict)
    open: dict[Any, Asked] = field(default_factory=dict)  # by reply and key
    over: OrderedDict[Any, None] = field(default_factory=OrderedDict)  # keys of what has been answered
    refused: int = 0  # one after the other
    refused_at: float = -PAUSE
    why: str = ""
    reached: bool = False


class Asked:
    """One request to one side."""

    __slots__ = (
        "answered_at",
        "answers",
        "due",
        "exchange",
        "frame",
        "key",
        "lane",
        "outcome",
        "overdue",
        "ready_at",
        "sent_at",
        "side",
        "why",
    )

    def __init__(self, exchange: Exchange, side: Side, lane: Lane, due: int | None, ready_at: int) -> None:
        self.exchange = exchange
        self.side = side
        self.lane = lane
        self.due = due
        self.ready_at = ready_at  # when nothing but we stood in its way
        self.frame = b""
        self.key: Any = None
        self.sent_at: int | None = None
        self.answers: list[bytes] = []
        self.answered_at = 0
        self.overdue = False
        self.outcome: Outcome | None = None
        self.why = ""


class Exchange:
    """A step on its way, on all sides."""

    __slots__ = ("asked", "open", "step")

    def __init__(self, step: Step, sides: int) -> None:
        self.step = step
        self.asked: list[Asked] = []
        self.open = sides  # where it is not over yet


class Lane:
    """One connection of a side. `held`: what is due and waits for room, in order."""

    def __init__(self, side: Side, name: str) -> None:
        self.side = side
        self.name = name
        self.stream: trio.abc.Stream | None = None
        self.scope = trio.CancelScope()
        self.held: deque[Asked] = deque()  # at most QUEUED_AT_MOST with those of all lanes
        self.outbox: deque[Asked] = deque()  # at most the window
        self.polls: deque[bytes] = deque(maxlen=WAITING_OUT)
        self.flying: dict[Asked, None] = {}  # sent or in the outbox, not timed out
        self.order: deque[Asked] = deque()  # at most OPEN_AT_MOST: of families without a key
        self.wake = trio.Event()
        self.number: int | None = None  # of its file, where what is due can be written at once
        self.writing = False
        self.rest = b""  # of what was written at once and not taken whole
        self.framer: Framer | None = None  # of what it answers
        self.why = ""  # we gave it up
        self.alive = True
        self.hanging_up = False
        self.filling = False


@dataclass(frozen=True)
class Conduct:
    """How a replay is done. Times in nanoseconds."""

    connections: str = "recorded"  # or a number, or per-key:FIELD
    window: int | None = None
    timeout: int = 5 * SECOND
    grace: int = 2 * SECOND
    compare: Literal["recorded", "baseline", "none"] = "recorded"
