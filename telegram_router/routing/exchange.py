"""One request and whatever becomes of it, and the registers that pair a reply with its request."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry
    from telegram_router.telegrams import Telegram

T = TypeVar("T")


NOT_YET = 1 << 62  # beyond any stream: nothing has been put into an outbox


class Exchange:
    """A request from `asker` on its way to `answerer`. It holds no reference cycle with either.

    at        when the request was received (seconds of the hub's clock); its reply timeout counts from here
    key       correlation key in the asker's own numbers
    ref       correlation key as the answerer sees it: the same, or the carrier number that replaced it
    offset    where its first byte stands in the answerer's outgoing stream; meaningful once `answerer` is set
    telegram  the decoded request, where a converter needed it
    reply     the answer's frame while it waits to be released
    """

    __slots__ = ("answerer", "asker", "at", "entry", "frame", "key", "lane", "offset", "ref", "reply", "settled", "telegram")

    def __init__(self, asker: Peer, lane: Lane, key: Hashable, ref: Hashable, entry: Entry, frame: bytes, at: float) -> None:
        self.asker = asker
        self.lane = lane
        self.key = key
        self.ref = ref
        self.entry = entry
        self.frame = frame
        self.at = at
        self.answerer: Peer | None = None
        self.offset = NOT_YET
        self.settled = False
        self.telegram: Telegram | None = None
        self.reply: bytes | None = None

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

    __slots__ = ("answers", "limit", "open", "requests", "reserved")

    def __init__(self, limit: int) -> None:
        self.open: dict[Hashable, Exchange] = {}
        self.reserved: dict[Hashable, Tombstone] = {}  # own numbers whose request ended unknown; bounded by the tombstone cap
        self.limit = limit
        self.requests = Gate()
        self.answers = Gate()


class Tombstone:
    """A key whose request ended unknown: reserved, so that a late reply is never paired with another request."""

    __slots__ = ("asked_at", "expires", "key", "lane")

    def __init__(self, exchange: Exchange, expires: float) -> None:
        self.lane = exchange.lane
        self.key = exchange.key
        self.asked_at = exchange.at
        self.expires = expires


class Register:
    """The open requests of one answering side, by the key their replies will carry.

    `pending` is ordered by age, so it is also the timer queue: every request of a register has the same timeout.
    Where sessions number independently (`renumbers`), a request gets a number of the register: on a telegram link it is
    written into the carrier field, `carrier_width` bytes wide; elsewhere (width 0) it only keeps requests apart.
    """

    __slots__ = ("_cap", "_keep", "answering", "carrier_width", "next_number", "pending", "renumbers", "timeout", "tombstones")

    def __init__(self, timeout: float, keep: float, cap: int, answering: str, *, renumbers: bool = False, carrier_width: int = 0) -> None:
        self.timeout = timeout
        self.renumbers = renumbers
        self._keep = keep
        self._cap = cap
        self.answering = answering  # name of the service or session, for the log
        self.pending: dict[Hashable, Exchange] = {}
        self.tombstones: dict[Hashable, Tombstone] = {}
        self.carrier_width = carrier_width
        self.next_number = 1

    @property
    def full(self) -> bool:
        """At the cap the service refuses; it does not forget."""
        return len(self.tombstones) >= self._cap

    def number(self) -> Hashable:
        """The next free number. It wraps around and steps over numbers that are open or reserved."""
        width = self.carrier_width
        ceiling = 10 ** (width or 18)
        while True:
            number: Hashable = b"%0*d" % (width, self.next_number) if width else self.next_number
            self.next_number = self.next_number + 1 if self.next_number + 1 < ceiling else 1
            if number not in self.pending and number not in self.tombstones:
                return number

    def bury(self, exchange: Exchange, now: float) -> None:
        """Reserve the keys of an exchange that ended unknown."""
        tombstone = Tombstone(exchange, now + self._keep)
        self.tombstones[exchange.ref] = tombstone
        exchange.lane.reserved[exchange.key] = tombstone

    def expired(self, now: float) -> list[Exchange]:
        """Those whose reply timeout has passed, oldest first."""
        latest = now - self.timeout
        out = []
        for exchange in self.pending.values():
            if exchange.at > latest:
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
        due = [exchange.at + self.timeout for exchange in _first(self.pending)]
        due += [tombstone.expires for tombstone in _first(self.tombstones)]
        return min(due, default=None)


def _first(table: dict[Hashable, T]) -> Iterator[T]:
    return islice(table.values(), 1)
