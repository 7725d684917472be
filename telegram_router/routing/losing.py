"""Peers that are gone: what they had asked, what they were asked, and what of it cannot have left."""

# Rules this file keeps, all of them tested:
#
# 1. What cannot have left goes to another link or is withdrawn; of everything else the end is unknown.
# 2. What a lost session asked and was sent is let finish: only its answers have nobody to go to.
# 3. What is taken out of an outbox never leaves, and what stands behind it moves up.

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from telegram_router.errors import Delivery
from telegram_router.routing.exchange import NOT_YET, Exchange
from telegram_router.routing.limits import give_back
from telegram_router.routing.orders import Call
from telegram_router.routing.pairs import Pair
from telegram_router.routing.peers import Listener, Peer, Service

if TYPE_CHECKING:
    from telegram_router.routing.switch import Switch


class Losses:
    """Settles what lost peers leave behind, for one switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def lose_link(self, link: Peer, now: float) -> None:
        """A link is gone: what cannot have left goes elsewhere, everything else ended unknown."""
        switch = self._switch
        switch.now = now
        switch.retire(link)
        link.closed = True
        service = link.group
        assert isinstance(service, Service)
        service.leaving.pop(link, None)
        service.halves.pop(link, None)
        service.spoiled.pop(link, None)
        unwritten = unwritten_of(link) if service.pipes else {}
        link.outbox.clear()
        self._orphan_requests(link)
        again = self._take_oneway(link, now)
        for exchange in [each for each in service.register.pending.values() if each.answerer is link]:
            if exchange.unsent:
                again.append(exchange)
            elif link.pair is None:
                switch._fail(exchange, "E-BCK-02", Delivery.SENT_UNKNOWN, now)
            # Of a pair the replies come on another connection, and may come yet. Nobody knows more of such a request now than at
            # its time-out, and then as now it ends unknown: to wait can only turn an unknown end into an answer.
        self.put_back(service, again, unwritten, now)
        if link.pair is not None:
            self._tear(link, link.pair, now)
        switch.elect(service, now)

    def _tear(self, link: Peer, pair: Pair, now: float) -> None:
        """A connection of a pair is gone. Without one for replies no request is sent: what has not left goes elsewhere."""
        service, asked = link.group, pair.requests
        assert isinstance(service, Service)
        pair.lose(link)
        if asked is None or asked is link or pair.whole:
            return
        if not asked.retired:
            self._switch._set_aside(asked)
            service.halves[asked] = None
        again, unwritten = self.take_unsent(asked)
        self.put_back(service, list(again), unwritten, now)

    def put_back(self, service: Service, again: list[Exchange], unwritten: dict[int, bytes], now: float) -> None:
        """Requests that were given to a link and cannot have left go to the front of the queue, for another link."""
        switch = self._switch
        denied = []
        for exchange in sorted(again, key=lambda each: each.offset, reverse=True):
            if exchange.offset in unwritten:  # of the request itself perhaps no more is left than its header
                sent = unwritten[exchange.offset]
                exchange.frame = switch._restored(exchange, sent) if service.register.carrier_width else sent
            exchange.answerer, exchange.offset = None, NOT_YET
            if service.pipes and exchange.attempts >= service.policy.max_attempts:  # an idle HTTP connection that has gone is no attempt
                denied.append(exchange)
                continue
            exchange.attempts += 1
            service.retries += 1
            service.waiting.put_back(exchange, now)  # beyond the bound of the queue by what one link may hold
        service.retries_denied += len(denied)
        for exchange in reversed(denied):
            switch._fail(exchange, "E-BCK-01", Delivery.NOT_SENT, now)

    def lose_session(self, session: Peer, now: float) -> None:
        """A session is gone. What it asked and was sent is let finish; what was not sent is withdrawn."""
        switch = self._switch
        switch.now = now
        listener = session.group
        assert isinstance(listener, Listener)
        session.closed = True
        session.outbox.clear()
        listener.sessions.pop(session, None)
        listener.resume(session, now)
        listener.part_with(session)
        if session.awaits is not None:
            switch.awaited.get(session.awaits, {}).pop(session, None)
        self._orphan_requests(session)
        if session.register is None:
            return
        asked = self._take_oneway(session, now)
        asked += [each for each in session.register.pending.values() if each.answerer is session]
        for exchange in asked:
            unsent = exchange.unsent
            switch._fail(exchange, "E-RTE-05" if unsent else "E-BCK-02", Delivery.NOT_SENT if unsent else Delivery.SENT_UNKNOWN, now)

    def _orphan_requests(self, asker: Peer) -> None:
        switch = self._switch
        asker.closed = True
        asked = [exchange for lane in asker.lanes for exchange in lane.open.values()]
        gone = [each for each in asked if each.unsent and not each.settled and switch.elsewhere.taker_of(each) is None]
        withdrawn = self.withdraw_together(gone)
        for exchange in gone:
            give_back(exchange.entry.limits, asker, exchange.frame, exchange.entry, exchange.at)
            if exchange not in withdrawn:
                self.withdraw(exchange)
            switch._end(exchange, None, switch._register_of(exchange), result="withdrawn", delivery=Delivery.NOT_SENT)

    def _take_oneway(self, peer: Peer, now: float) -> list[Exchange]:
        """Settle the one-way telegrams of a lost peer. Those that cannot have left are the caller's."""
        switch = self._switch
        self.note_sent()
        unsent = [each for each in peer.oneway if each.unsent]
        for exchange in [each for each in peer.oneway if not each.unsent]:  # cut in two: nobody knows what the peer made of it
            switch._fail(exchange, "E-BCK-02", Delivery.SENT_UNKNOWN, now)
        peer.oneway.clear()
        switch._oneway.pop(peer, None)
        return unsent

    def note_sent(self) -> None:
        """One-way telegrams that the kernel has taken whole are done, and make room."""
        switch = self._switch
        for peer in list(switch._oneway):
            queue = peer.oneway
            while queue and queue[0].offset + len(queue[0].frame) <= peer.accepted:
                done = queue.popleft()
                done.settled = True
                done.entry.ok += 1
                peer.load -= 1
                switch._record("ok", done, "", "sent")
            if not queue:
                del switch._oneway[peer]
            if isinstance(peer.group, Service) and peer.group.waiting:
                switch._feed(peer.group)

    def take_unsent(self, link: Peer) -> tuple[dict[Exchange, None], dict[int, bytes]]:
        """Take out of a link's outbox the requests of which no byte can have left. Answers to what its host asked still go out."""
        assert link.register is not None
        self.note_sent()
        given = [each for each in link.register.pending.values() if each.answerer is link]
        again = dict.fromkeys(each for each in (*given, *link.oneway) if each.unsent)
        places = {each.offset for each in again}
        unwritten = unwritten_of(link)
        link.outbox[:] = [frame for place, frame in unwritten.items() if place not in places]
        link.queued = link.accepted + sum(map(len, link.outbox))
        link.load -= len(again)
        for exchange in [each for each in link.oneway if each in again]:
            link.oneway.remove(exchange)
        if not link.oneway:
            self._switch._oneway.pop(link, None)
        return again, unwritten

    def withdraw(self, exchange: Exchange) -> None:
        """Take an unsent request out of wherever it waits, so that it never leaves."""
        switch = self._switch
        link = exchange.answerer
        if link is None or exchange.offset == NOT_YET:
            self._unqueue(exchange)
            return
        switch.commands = [order for order in switch.commands if not (isinstance(order, Call) and order.exchange is exchange)]
        self._take_out(link, {exchange.offset})

    def withdraw_together(self, exchanges: Sequence[Exchange]) -> dict[Exchange, None]:
        """Withdraw those that can be all at once, which takes as long for a link as one does. They are still to be ended, each of them.

        That is where a link's fate does not hang on one request: nothing that happens until then looks at what the link was given.
        """
        gone: dict[Peer, list[Exchange]] = {}
        for each in exchanges:
            target, link = each.entry.target, each.answerer
            plain = type(target) is Service and target.pipes and not (target.serial or target.ordered)
            if plain and link is not None and each.offset != NOT_YET and each.unsent and not each.settled:
                gone.setdefault(link, []).append(each)
        for link, some in gone.items():
            self._take_out(link, {each.offset for each in some})
        return dict.fromkeys(each for some in gone.values() for each in some)

    @staticmethod
    def _unqueue(exchange: Exchange) -> None:
        target = exchange.entry.target
        if type(target) is Service:
            target.waiting.discard(exchange)

    @staticmethod
    def _take_out(link: Peer, places: Collection[int]) -> None:
        """Leave frames that stand there, all of them unsent, out of a link's outbox. What stands behind them moves up."""
        assert link.register is not None
        moved: dict[int, int] = {}
        kept: list[bytes] = []
        was = now = link.accepted
        for frame in link.outbox:
            if was not in places:
                moved[was] = now
                kept.append(frame)
                now += len(frame)
            was += len(frame)
        link.outbox[:], link.queued = kept, now
        for other in [*link.register.pending.values(), *link.oneway]:
            if other.answerer is link:
                other.offset = moved.get(other.offset, other.offset)


def unwritten_of(peer: Peer) -> dict[int, bytes]:
    """Whole frames that the kernel has taken nothing of, by where they stand in the peer's outgoing stream."""
    frames, offset = {}, peer.accepted
    for frame in peer.outbox:
        frames[offset] = frame
        offset += len(frame)
    return frames
