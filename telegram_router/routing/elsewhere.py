"""Clients that ask on one connection and take their answers on another: to whom an answer goes."""

# Rules this file keeps, all of them tested:
#
# 1. An answer goes to a session that speaks for the owner its request named, or to nobody. Where the two listeners do not bind owners
#    to certificates, the two sessions must have shown the same certificate, or none.
# 2. A request is taken only while a session is there for its answer. When that session has gone since, the request goes on, and its
#    answer goes to whoever speaks for the owner then; with nobody there it is counted as undelivered, not kept.
# 3. A session whose answers are not taken is read no more: what waits on the other one is bounded by its `unread` and by what is open.
# 4. A refusal goes where the answer would, if its telegram names an owner that its sender may speak for; else back to the sender.

from __future__ import annotations

from typing import TYPE_CHECKING

from telegram_router.routing.conduct import Phase
from telegram_router.routing.peers import Listener, Peer

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange
    from telegram_router.routing.routes import Entry
    from telegram_router.routing.switch import Switch


class Elsewhere:
    """Finds who takes answers, for one switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    @staticmethod
    def taker_of(exchange: Exchange) -> Peer | None:
        """Who gets the answer to this request; None when nobody is there for it."""
        asker, place = exchange.asker, exchange.asker.group.spec.owner
        to = asker.group.answers_to if exchange.entry.aside and isinstance(asker.group, Listener) else None
        if to is None or place is None:  # that was taken out of the configuration since
            return None if asker.closed else asker
        return taker(asker, to, exchange.frame[place])

    def pass_on(self, exchange: Exchange, frame: bytes) -> bool:
        """An answer, or a part of one, to whoever takes it. False when nobody is there for it."""
        to = self.taker_of(exchange)
        if to is None:
            return False
        self._switch._put(to, frame)
        self.hold_back(exchange.asker, to)
        return True

    def hold_back(self, asker: Peer, to: Peer) -> None:
        """Read an asker no more while the session that gets its answers does not take them."""
        if to is not asker and isinstance(to.group, Listener) and to.unwritten > to.group.policy.unread and not asker.closed:
            if asker.awaits is not None and asker.awaits is not to:
                self._switch.awaited.get(asker.awaits, {}).pop(asker, None)
            asker.awaits = to
            self._switch.awaited.setdefault(to, {})[asker] = None

    def relieve(self) -> None:
        """Read those again whose answers have been taken, or will never be."""
        for to in [each for each in self._switch.awaited if each.closed or not each.unwritten]:
            for asker in self._switch.awaited.pop(to):
                asker.awaits = None
                if asker.paused:
                    self._switch.resumed.append(asker)

    def nobody_takes(self, peer: Peer, frame: bytes, entry: Entry, owner: bytes | None) -> bool:
        """True when nobody is there for the answer to a request, which its sender has been told then."""
        peer.asks = True
        listener = peer.group
        to = listener.answers_to if isinstance(listener, Listener) else None
        if to is None or owner is None or taker(peer, to, owner) is not None:
            return False
        self._switch.refusals.refuse(peer, frame, "E-RTE-05", entry.message.name, why=f"nobody takes its answer at {to.name}")
        return True

    def refusal_to(self, peer: Peer, frame: bytes) -> Peer:
        """Who is told that a telegram is refused."""
        listener = peer.group
        place, to = listener.spec.owner, listener.answers_to if isinstance(listener, Listener) else None
        known = peer.standing is None or peer.standing.phase is Phase.OPEN
        if to is None or place is None or not known or len(frame) < listener.header_end or not self._switch._speaks_for(peer, frame[place]):
            return peer
        return taker(peer, to, frame[place]) or peer


def taker(asker: Peer, listener: Listener, owner: bytes) -> Peer | None:
    """The session of `listener` that gets the answers to this asker's telegrams of this owner; of several the one with the least to take."""
    found = None
    for each in listener.by_owner.get(owner, ()):
        if fits(asker, each) and (found is None or each.unwritten < found.unwritten):
            found = each
    return found


def fits(asker: Peer, other: Peer) -> bool:
    """Whether another session that speaks for the same owner may take the answers of this one."""
    if other is asker or (other.asks and other.group is asker.group):
        return False  # at one listener, who asks takes no answers
    bound = all(getattr(each.group.policy, "owners", None) is not None for each in (asker, other))
    return bound or asker.identity == other.identity


def introduce(listener: Listener, session: Peer) -> None:
    """Who only takes answers may never say for whom: where owners are bound to certificates, the certificate says it."""
    if session.barred:
        return  # its sign-on will say it
    for owner, names in (listener.policy.owners or {}).items():
        if names & session.identity:
            listener.bind(session, owner)
