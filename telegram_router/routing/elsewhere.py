"""Clients that ask on one connection and take their answers on another: to whom an answer goes."""

# Rules this file keeps, with the switch, all of them tested:
#
# 1. An answer goes to a session that speaks for the owner its request named, or to nobody. Where the two listeners do not bind owners
#    to certificates, the two sessions must have shown the same certificate, or none.
# 2. A request is taken only while a session is there for its answer. When that session has gone since, the request goes on, and its
#    answer goes to whoever speaks for the owner then; with nobody there it is counted as undelivered, not kept.
# 3. A session whose answers are not taken is read no more: what waits on the other one is bounded by its `unread` and by what is open.
# 4. A refusal goes where the answer would, if its telegram names an owner that its sender may speak for; else back to the sender.

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegram_router.routing.peers import Listener, Peer


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
