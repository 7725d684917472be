"""Links whose order is in doubt: nobody can say any more which reply there answers what."""

# Rules this file keeps, all of them tested:
#
# 1. Such a link is given nothing more, and what it was asked and may have got ends unknown.
# 2. Late replies are awaited for a time and told of; they go to nobody.

from __future__ import annotations

from typing import TYPE_CHECKING

from telegram_router.errors import Delivery
from telegram_router.routing.orders import Close
from telegram_router.routing.peers import Peer, Service

if TYPE_CHECKING:
    from telegram_router.routing.switch import Switch


class Spoiling:
    """Puts links in doubt aside, for one switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def may_be_a_reply(self, peer: Peer, now: float) -> None:
        """What came is no telegram of the spec. Where replies are paired by their order it may have been one of them."""
        if peer.turns is not None and not peer.turns.spoiled:
            self._switch._blame(peer, now)
            self.spoil(peer, now)

    def spoil(self, link: Peer, now: float, owed: int = 0) -> None:
        """Nobody can say any more which reply on this link answers what: all that it was asked ends unknown, and it is given nothing more.

        What was not sent goes to other links. Late replies are awaited for a time and told of; then the link is closed.
        `owed`: replies that may still come beside those of the requests that end here.
        """
        switch = self._switch
        service, turns = link.group, link.turns
        assert isinstance(service, Service) and turns is not None
        switch.retire(link)
        again, unwritten = switch.losses.take_unsent(link)
        doubtful = [each for each in turns.asked if each not in again]
        turns.spoil(owed + len(doubtful))
        grace = 0.0 if service.serial else service.policy.poison_grace
        service.spoiled[link] = now + grace
        switch._event("link_spoiled", code="E-BCK-11", peer=link.name, service=service.name, open=len(doubtful), seconds=grace)
        for exchange in doubtful:
            switch._fail(exchange, "E-BCK-11", Delivery.SENT_UNKNOWN, now)
        switch.losses.put_back(service, list(again), unwritten, now)
        switch._doubted[service] = None
        self.close_spoiled(service, now)

    def close_spoiled(self, service: Service, now: float) -> None:
        """Those whose time is over, or of which no reply can be expected any more."""
        for link, until in list(service.spoiled.items()):
            if until <= now or (link.turns is not None and not link.turns.owed):
                del service.spoiled[link]
                self._switch.commands.append(Close(link, "E-BCK-11"))
