"""Messages that an operator has switched off: their requests are refused, at one listener or service or everywhere. Pure."""

# Rules this file keeps, all of them tested:
#
# 1. An order concerns the requests of a message that come from a place or go there; what has been accepted before goes on.
# 2. It holds until it is taken back: over reloads too, even those that take its place away and bring it again.
# 3. What is not switched off costs a telegram nothing: an entry that is takes the general way.

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegram_router.routing.peers import Listener, Service
    from telegram_router.routing.switch import Switch

EVERYWHERE = ""


def halt(switch: Switch, place: str, message: str, *, off: bool) -> bool:
    """Switch a message off or on at `listener.NAME`, `service.NAME` or EVERYWHERE. Returns whether it was off there before."""
    was = (place, message) in switch.halted
    if off:
        switch.halted[place, message] = None  # at most one for each message of each place: the caller checks that there are such
    else:
        switch.halted.pop((place, message), None)
    spread(switch)
    return was


def spread(switch: Switch) -> None:
    """Have every party, and every entry that it has made, know what is switched off."""
    places: list[tuple[str, Listener | Service]] = [
        *((f"listener.{name}", each) for name, each in switch.listeners.items()),
        *((f"service.{name}", each) for name, each in switch.services.items()),
    ]
    for place, party in places:
        party.halted = frozenset(message for at, message in switch.halted if at in (EVERYWHERE, place))
    for _, party in places:
        party.tell_entries()
