"""How urgent requests are beside each other: four classes, told by their route or by whose they are."""

# Rules this file keeps, all of them tested:
#
# 1. A request's class is asked for only when it has to wait: where there is room for all nobody is more urgent.
# 2. The rules of the configuration go before the route, and the first of them that fits decides.
# 3. No class starves another: each has its share, and who waits long counts as more urgent.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry

CLASSES = ("critical", "high", "normal", "bulk")
NORMAL = CLASSES.index("normal")
SHARES = (8, 4, 2, 1)  # of the room that becomes free, while all four wait
AGE = 0.5  # seconds of waiting after which a request counts as one class more urgent
RESERVE = 0.1  # of a queue, for the most urgent class alone: what cleans up after others must not stand behind them


Fits = Callable[["Peer", bytes, "Entry"], bool]


@dataclass(frozen=True)
class Precedence:
    """A rule of the configuration: requests that it fits are of this class, whatever their route says."""

    name: str
    rank: int
    fits: Fits
    services: frozenset[str] = frozenset()  # requests to which it looks at; empty: all


def of_certificates(names: frozenset[str]) -> Fits:
    """Requests of sessions that have shown a certificate with one of these names."""
    return lambda peer, frame, entry: not peer.identity.isdisjoint(names)


def of_addresses(addresses: frozenset[str]) -> Fits:
    """Requests of sessions that come from one of these hosts."""
    return lambda peer, frame, entry: peer.address in addresses


def of_field(place: slice, values: frozenset[bytes]) -> Fits:
    """Requests that have one of these values there."""
    return lambda peer, frame, entry: frame[place] in values


def rank_of(peer: Peer, frame: bytes, entry: Entry) -> int:
    """The class of a request, as its place among CLASSES."""
    for rule in entry.precedence:
        if rule.fits(peer, frame, entry):
            return rule.rank
    return entry.rank


def rank_of_exchange(exchange: Exchange) -> int:
    """The same of a request that is on its way."""
    return rank_of(exchange.asker, exchange.frame, exchange.entry)


def age(rank: int, waited: float) -> int:
    """What a request of this class counts as after so many seconds in the queue."""
    return max(0, rank - int(waited / AGE))


def sheds(rank: int, waiting: int, most: int) -> bool:
    """Whether a request is refused because the queue is needed for more urgent ones: from half full on, the least urgent first.

    Of the urgency from 100 (most) to 0 (least) that a request must have, x being how far the second half is full, 100 * x**3 is left
    out (Netflix Zuul's cubic curve); the last tenth is for the most urgent class alone.
    """
    if rank == 0 or 2 * waiting <= most:
        return False
    overload = 2 * waiting / most - 1
    return rank / (len(CLASSES) - 1) > 1 - overload**3 or waiting >= most * (1 - RESERVE)
