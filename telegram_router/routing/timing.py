"""Time in a switch: replies that are late, requests that have waited too long, and when there is something to do next."""

# Rules this file keeps, all of them tested:
#
# 1. A request of which no byte can have left ends as not sent; of any other that gets no reply the end is unknown.
# 2. However many requests end at one moment, a tick ends so many of them and says that there are more: others are served between.
# 3. A link that owes the reply to a request given up is not given another: its next bytes would belong to the first.

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from telegram_router.errors import Delivery
from telegram_router.routing.exchange import Exchange
from telegram_router.routing.orders import Close
from telegram_router.routing.peers import Service

if TYPE_CHECKING:
    from telegram_router.routing.peers import Listener
    from telegram_router.routing.switch import Switch


EXPIRED_AT_ONCE = 512  # about what a turn has time for


class Timing:
    """Lets time pass for one switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def tick(self, now: float) -> bool:
        """Let time pass: reply timeouts, requests that waited too long, keys whose reservation ends. True: there is more to do at once."""
        switch, room = self._switch, EXPIRED_AT_ONCE
        switch.now = now
        switch.losses.note_sent()
        for party in switch.parties():
            room -= self._expire(party, now, room)
            if isinstance(party, Service):
                room -= self._expire_waiting(party, now, room)
                if party.waiting.held:
                    switch._feed(party)  # the time of some may have come
                switch.spoiling.close_spoiled(party, now)
                if party.pool.due(now):
                    switch._doubted[party] = None
        switch._settle_doubts(now)
        switch.conductor.tick(now)
        return not room

    def _expire(self, party: Listener | Service, now: float, most: int) -> int:
        expired = party.register.expired(now, most)
        self._abandon_all(expired, _no_room(party), now)
        party.register.forget(now)
        return len(expired)

    def _expire_waiting(self, service: Service, now: float, most: int) -> int:
        waiting = service.waiting
        overdue = waiting.overdue(service.policy.pending_timeout, now)[:most]
        for exchange in overdue:
            waiting.discard(exchange)
        for exchange in overdue:
            self._switch._fail(exchange, _no_room(service), Delivery.NOT_SENT, now)
        return len(overdue)

    def _abandon_all(self, exchanges: Sequence[Exchange], unsent_code: str, now: float) -> None:
        """Wait for these no longer."""
        withdrawn = self._switch.losses.withdraw_together(exchanges)
        for exchange in exchanges:
            if not exchange.settled:  # the end of one may be that of others behind it
                self._abandon(exchange, unsent_code, now, withdrawn=exchange in withdrawn)

    def _abandon(self, exchange: Exchange, unsent_code: str, now: float, *, withdrawn: bool) -> None:
        """It never left and never will, or nobody knows."""
        switch = self._switch
        unsent, target, link = exchange.unsent, exchange.entry.target, exchange.answerer
        doubtful = type(target) is Service and (target.exclusive or (not unsent and (target.serial or target.ordered)))
        dirty = link if doubtful else None
        if dirty is not None:
            switch.retire(dirty)  # first: its next bytes would belong to the request given up, not to the next one
        if unsent:
            if not withdrawn:
                switch.losses.withdraw(exchange)
            switch._fail(exchange, unsent_code, Delivery.NOT_SENT, now)
        else:
            switch._fail(exchange, "E-BCK-05", Delivery.SENT_UNKNOWN, now)
        if dirty is not None and dirty.turns is not None:
            switch.spoiling.spoil(dirty, now, owed=1)
        elif dirty is not None:
            switch.commands += [Close(each, "E-BCK-05") for each in (dirty.pair.peers if dirty.pair is not None else [dirty])]

    def give_up(self, now: float) -> None:
        """The router stops: tell every asker that still waits what is known of its request."""
        switch = self._switch
        switch.now = now
        open_ = [exchange for register in switch.registers for exchange in register.pending.values()]
        # What has not left first: the end of one that has would make room for it, and it would be sent after all.
        self._abandon_all(sorted(open_, key=lambda each: not each.unsent), "E-LIM-04", now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None when nothing is due ever."""
        switch = self._switch
        due = [switch.conductor.next_deadline(), *(register.next_deadline() for register in switch.registers)]
        for service in switch.parties():
            if isinstance(service, Service):
                due.append(service.pool.next_change)
                due.extend(service.spoiled.values())
                if service.waiting:
                    due.append(service.waiting.next_deadline(service.policy.pending_timeout))
        return min((each for each in due if each is not None), default=None)


def _no_room(party: Listener | Service) -> str:
    """Why a request has waited in vain: without a link there is nobody who could have had room."""
    return "E-BCK-01" if type(party) is Service and not party.links else "E-LIM-01"
