"""One request and whatever becomes of it, and the registers that pair a reply with its request."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry, Target
    from telegram_router.telegrams import Telegram

T = TypeVar("T")


LOW_WIDTH = 3
NOT_YET = 1 << 62  # beyond any stream: nothing has been put into an outbox


class Exchange(msgspec.Struct, eq=False, gc=False):
    """A request from `asker` on its way to `answerer`. It holds no reference cycle with either.

    at        when the request was received (seconds of the hub's clock); its reply timeout counts from here
    key       correlation key in the asker's own numbers
    ref       correlation key as the answerer sees it: the same, or the number that replaced it
    frame     as it came; once it stands in an outbox perhaps no more than its header (Spec.kept)
    offset    where its first byte stands in the answerer's outgoing stream; meaningful once `answerer` is set
    telegram  the decoded request, where a converter needed it
    reply     the answer's frame while it waits to be released
    trace     50 hexadecimal digits (see routing.traces), once somebody has asked for it
    attempts  links that it was given to, or is to be given to next
    """

    # A msgspec.Struct because one is made for every telegram: it is built in C, in a third of the time of a class with
    # slots, and the collector, which would find nothing here, does not look at it.

    asker: Peer
    lane: Lane
    key: Hashable
    ref: Hashable
    entry: Entry
    frame: bytes
    at: float
    answerer: Peer | None = None
    offset: int = NOT_YET
    settled: bool = False
    telegram: Telegram | None = None
    reply: bytes | None = None
    trace: bytes = b""
    attempts: int = 1

    @property
    def unsent(self) -> bool:
        """True only when no byte of the request can have left: the kernel took nothing at or beyond its first byte."""
        return self.answerer is None or self.offset >= self.answerer.accepted


class Gate:
    """Lets exchanges out in the order they came in, whatever the order in which they were released."""

    __slots__ = ("_free", "_order")

    def __init__(self) -> None:
        self._order: deque[Exchange] = deque()  # bounded by the open exchanges of the lane
        self._free: set[Exchange] = set()

    def __len__(self) -> int:
        return len(self._order)

    def enter(self, exchange: Exchange) -> None:
        self._order.append(exchange)

    def release(self, exchange: Exchange) -> list[Exchange]:
        """Those that may go now, oldest first. Releasing one that is not inside (any more) frees nothing twice."""
        if exchange in self._order:
            self._free.add(exchange)
        going = []
        while self._order and self._order[0] in self._free:
            going.append(self._order.popleft())
            self._free.remove(going[-1])
        return going


class Lane:
    """What one peer has open at one target. A lane is how one silent service is kept from starving the others."""

    __slots__ = ("_answers", "_requests", "limit", "open", "reserved", "room", "target")

    def __init__(self, limit: int, target: Target | None = None) -> None:
        self.open: dict[Hashable, Exchange] = {}
        self.reserved: dict[Hashable, Tombstone] = {}  # own numbers whose request ended unknown; bounded by the tombstone cap
        self.limit = self.room = limit  # `limit` is what the switch's inner loop goes by: 0 while its peer is barred
        self.target = target  # None where no route leads anywhere
        self._requests: Gate | None = None
        self._answers: Gate | None = None

    @property
    def full(self) -> bool:
        """Its peer may have no more open here, nor may more wait for their release."""
        return len(self.open) >= self.room or (self._requests is not None and len(self._requests) >= self.room)

    @property
    def requests(self) -> Gate:
        """Requests that wait to be released. Without a journal there never are any."""
        if self._requests is None:
            self._requests = Gate()
        return self._requests

    @property
    def answers(self) -> Gate:
        """Answers that wait to be released."""
        if self._answers is None:
            self._answers = Gate()
        return self._answers


class Tombstone:
    """A key whose request ended unknown: reserved, so that a late reply is never paired with another request."""

    __slots__ = ("asked_at", "expires", "key", "lane")

    def __init__(self, lane: Lane, key: Hashable, asked_at: float, expires: float) -> None:
        self.lane = lane
        self.key = key
        self.asked_at = asked_at
        self.expires = expires


class Register:
    """The open requests of one answering side, by the key their replies will carry.

    `pending` is ordered by age, so it is also the timer queue: every request of a register has the same timeout. The few that were open
    when the timeout changed keep theirs: `_former` holds it as long as they are open, and only then every request is looked at.
    Where sessions number independently (`renumbers`), a request gets a number of the register: on a telegram link it is
    written into the carrier field, `carrier_width` bytes wide; elsewhere (width 0) it only keeps requests apart.
    """

    __slots__ = (
        "_former", "_high", "_high_width", "_keep", "_low", "_lows", "_thousands", "answering", "carrier_width", "delayed", "pending",
        "renumbers", "space", "timeout", "tombstones",
    )  # fmt: skip

    def __init__(self, timeout: float, keep: float, cap: int, answering: str, *, renumbers: bool = False, carrier_width: int = 0) -> None:
        self.timeout = timeout
        self.renumbers = renumbers
        self.answering = answering  # name of the service or listener, for the log
        self.pending: dict[Hashable, Exchange] = {}
        self.tombstones: dict[Hashable, Tombstone] = {}
        self.delayed: dict[Exchange, float] = {}  # when those that had to wait were given to a link; a part of `pending`
        self.carrier_width = carrier_width
        self.space = self._space(cap)  # keys that may be open or reserved at a time
        self._keep = keep
        self._former: dict[Exchange, float] = {}
        low_width = min(carrier_width or LOW_WIDTH, LOW_WIDTH)
        self._lows = tuple(b"%0*d" % (low_width, number) for number in range(10**low_width))
        self._high_width = carrier_width - low_width if carrier_width else 15
        self._thousands = -1
        self._low = len(self._lows)
        self._high = b""

    def _space(self, cap: int) -> int:
        return min(cap, 10**self.carrier_width - 1) if self.carrier_width else cap

    def adopt(self, timeout: float, keep: float, cap: int) -> None:
        """Other numbers from now on. What is open keeps the timeout that it began with, and what is reserved its time."""
        if timeout != self.timeout:
            for exchange in self.pending.values():
                self._former.setdefault(exchange, self.timeout)
        self.timeout = timeout
        self.space = self._space(cap)
        self._keep = keep

    def is_like(self, other: Register) -> bool:
        """Whether keys mean the same in both."""
        return self.renumbers == other.renumbers and self.carrier_width == other.carrier_width

    def timeout_of(self, exchange: Exchange) -> float:
        """How long an open request may take to be answered."""
        return self._former.get(exchange, self.timeout) if self._former else self.timeout

    @property
    def full(self) -> bool:
        """At the cap the service refuses; it does not forget."""
        return len(self.pending) + len(self.tombstones) >= self.space

    def number(self) -> Hashable:
        """The next free number. It wraps around and steps over numbers that are open or reserved."""
        pending, tombstones = self.pending, self.tombstones
        while True:
            low = self._low
            if low == len(self._lows):
                low = self._next_block()
            self._low = low + 1
            number = self._high + self._lows[low]
            if number not in pending and number not in tombstones:
                return number

    def _next_block(self) -> int:
        """Numbers are written in two parts, of which the upper one changes once in a thousand."""
        if self._high_width:
            self._thousands = (self._thousands + 1) % 10**self._high_width
            self._high = b"%0*d" % (self._high_width, self._thousands)
        return 0

    def tombstone(self, exchange: Exchange, now: float) -> Tombstone:
        """What reserves the keys of an exchange that ends unknown now."""
        return Tombstone(exchange.lane, exchange.key, exchange.at, now + self._keep)

    def reserve(self, ref: Hashable, lane: Lane, now: float) -> None:
        """Let no request have a key that a telegram of the router's own has, and know a late answer to it."""
        self.release(ref)  # to the young end
        self.tombstones[ref] = lane.reserved[ref] = Tombstone(lane, ref, now, now + self._keep)

    def release(self, ref: Hashable) -> None:
        """It was answered."""
        stone = self.tombstones.pop(ref, None)
        if stone is not None:
            stone.lane.reserved.pop(stone.key, None)

    def expired(self, now: float, most: int) -> list[Exchange]:
        """Those whose reply timeout has passed, oldest first, and no more than so many."""
        if self._former:
            self._former = {each: timeout for each, timeout in self._former.items() if self.pending.get(each.ref) is each}
            return [each for each in self.pending.values() if each.at + self.timeout_of(each) <= now][:most]
        out: list[Exchange] = []
        for exchange in self.pending.values():
            # The very sum that next_deadline gives: there must be no tick that does nothing.
            if exchange.at + self.timeout > now or len(out) == most:
                break
            out.append(exchange)
        return out

    def forget(self, now: float) -> None:
        """Drop tombstones whose time has come."""
        gone = []
        for ref, tombstone in self.tombstones.items():
            if tombstone.expires > now:
                break
            gone.append(ref)
        for ref in gone:
            tombstone = self.tombstones.pop(ref)
            if tombstone.lane.reserved.get(tombstone.key) is tombstone:
                del tombstone.lane.reserved[tombstone.key]

    def next_deadline(self) -> float | None:
        """When the oldest request or tombstone is due; None when there is neither."""
        asked = self.pending.values() if self._former else _first(self.pending)
        due = [exchange.at + self.timeout_of(exchange) for exchange in asked]
        due += [tombstone.expires for tombstone in _first(self.tombstones)]
        return min(due, default=None)


def _first(table: dict[Hashable, T]) -> Iterator[T]:
    return islice(table.values(), 1)
