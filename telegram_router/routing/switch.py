"""The heart: frames and the time go in, frames for outboxes and a short list of commands come out. No I/O here."""

# Rules this file keeps, all of them tested:
#
# 1. A request is sent once. Only one of which no byte can have left may be given to another link.
# 2. An answer goes to the peer that asked, or to nobody.
# 3. A telegram is checked and everything is worked out first; state changes last, by steps that cannot fail.
# 4. Every exchange ends in exactly one answer to its asker, or in none because the asker is gone.
# 5. A frame enters an outbox only by `release` and `release_answer`; refusals, polls and all but the last part of an answer
#    in several parts wait for no journal.

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from telegram_router.errors import Delivery, FieldError
from telegram_router.routing.backends import Admin, Backend, Health
from telegram_router.routing.classes import CLASSES, rank_of, sheds
from telegram_router.routing.conduct import Phase
from telegram_router.routing.conducting import Conductor
from telegram_router.routing.elsewhere import Elsewhere, introduce
from telegram_router.routing.ended import ENDED_PER_FLUSH, result_of
from telegram_router.routing.exchange import NOT_YET, Exchange, Register, Tombstone
from telegram_router.routing.limits import AT_ONCE, Grant, check, give_back, take
from telegram_router.routing.losing import Losses
from telegram_router.routing.orders import Call, Close, Grow, Journal, Ready
from telegram_router.routing.pairs import Pair
from telegram_router.routing.peers import OWNERS_PER_SESSION, Audience, Listener, Peer, Service, Target
from telegram_router.routing.refusing import Refusals, texts
from telegram_router.routing.routes import Entry
from telegram_router.routing.spoiling import Spoiling
from telegram_router.routing.telling import Telling
from telegram_router.routing.timing import Timing
from telegram_router.routing.turns import Turns
from telegram_router.routing.waiting import Arranged

POLLS_ANSWERED = 100  # of one peer in a second; who sends more gets no answer to them
BLAMED = frozenset({"E-BCK-02", "E-BCK-03", "E-BCK-04", "E-BCK-05", "E-BCK-06"})  # what speaks against the backend that was asked
LEFT_AND_REJECTED = "E-BCK-09"  # it was not executed, but its backend has had it
NOTHING: dict[Hashable, Exchange] = {}
NOBODY: dict[Exchange, float] = {}


class Switch(Telling):
    """All sessions, links and open exchanges of one router."""

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__()
        self.journal = journal
        self.listeners: dict[str, Listener] = {}
        self.services: dict[str, Service] = {}
        self.parting: list[Service | Listener] = []  # no longer configured; what they have open goes on
        self.draining = False
        self.halted: dict[tuple[str, str], None] = {}  # what an operator has switched off: (place, message)
        self.dirty: list[Peer] = []  # peers whose outbox is no longer empty
        self.resumed: list[Peer] = []  # paused peers that got room
        self.commands: list[Call | Close | Grow | Ready] = []
        self.conductor = Conductor(self)
        self.refusals = Refusals(self)
        self.elsewhere = Elsewhere(self)
        self.losses = Losses(self)
        self.spoiling = Spoiling(self)
        self.timing = Timing(self)
        self._granted = AT_ONCE  # what the limits of the request at hand want of it
        self._until: dict[Exchange, float] = {}  # of requests that wait for their time, from their release on the queue's business
        self._doubted: dict[Service, None] = {}  # services one of whose backends was ejected or returned in this step
        self._oneway: dict[Peer, None] = {}  # peers whose `oneway` is not empty
        self.awaited: dict[Peer, dict[Peer, None]] = {}  # sessions that have answers to take, and who asked for them and is not read

    # --- peers come and go -------------------------------------------------------------------------------------

    def add_session(
        self, listener: Listener, name: str, identity: frozenset[str] = frozenset(), address: str = "", now: float = 0.0
    ) -> Peer:
        """A client has connected, from a host of that address."""
        session = Peer(name, listener, listener.policy.open_exchanges, listener.lane_limits(), identity)
        session.address = address
        listener.sessions[session] = None
        if listener.office is not None:
            self.conductor.greet(session, now)
        if listener.gives:
            introduce(listener, session)
        return session

    def add_link(
        self, service: Service, name: str, backend: str = "", now: float = 0.0, pair: Pair | None = None, first: bytes = b""
    ) -> Peer:
        """A link is there. Requests that wait for one go out once it is usable, if its backend is in use.

        `pair`: it carries requests alone, and is usable while the pair has a connection for the replies. `first`: a frame that goes out
        before any other.
        """
        link = self._new_link(service, name, backend, now, first)
        if link.standing is not None and link.standing.phase is not Phase.OPEN:
            service.joining[link] = None
        elif pair is None:
            self._backend_of(link).links.append(link)
        else:
            if pair.requests is not None:
                self.retire(pair.requests)  # its host has come again before we have seen it go
            link.pair, pair.requests = pair, link
            service.halves[link] = None
            self._complete(service, pair)
        self.elect(service, now)
        return link

    def use(self, link: Peer, now: float) -> None:
        """A link is usable from now on."""
        assert isinstance(link.group, Service)
        self._backend_of(link).links.append(link)
        self.elect(link.group, now)

    def add_reply_link(self, service: Service, name: str, backend: str, pair: Pair, now: float = 0.0) -> Peer:
        """A connection that carries the replies of a pair is there. It is given nothing, but what its own host asks there is answered."""
        link = self._new_link(service, name, backend, now)
        link.pair, pair.replies = pair, link
        service.halves[link] = None
        self._complete(service, pair)
        self.elect(service, now)
        return link

    def _complete(self, service: Service, pair: Pair) -> None:
        """Once both connections are there the one for requests is a link like any other."""
        asked = pair.requests
        if asked is not None and pair.whole and asked in service.halves:
            del service.halves[asked]
            self._backend_of(asked).links.append(asked)

    @staticmethod
    def _backend_of(link: Peer) -> Backend:
        assert link.backend is not None
        return link.backend

    def _new_link(self, service: Service, name: str, backend: str, now: float, first: bytes = b"") -> Peer:
        link = Peer(name, service, service.limit, service.lane_limits())
        link.backend = service.pool.named(backend)
        link.register = service.register
        link.turns = Turns() if service.ordered else None
        if first:
            self._put(link, first)
        if service.office is not None:
            self.conductor.greet(link, now)
        return link

    def probed(self, service: Service, backend: str, health: Health, now: float) -> None:
        """What a series of probes says of a backend."""
        for event in service.pool.probed(service.pool.named(backend), health, now):
            self._tell(event)
        self.elect(service, now)

    def order(self, service: Service, backend: str, admin: Admin, now: float) -> None:
        """An operator takes a backend out, or puts it in again."""
        for event in service.pool.order(service.pool.named(backend), admin, now):
            self._tell(event)
        self.elect(service, now)

    def elect(self, service: Service, now: float) -> None:
        """Decide anew which links are given requests; those that wait go to them."""
        self.now = now
        for event in service.elect(now):
            self._tell(event)
        self._feed(service)

    def retire(self, link: Peer) -> None:
        """Give this link nothing more; what it has been given may still be answered."""
        service = link.group
        if isinstance(service, Service) and (link in service.joining or link in service.halves or link in self._backend_of(link).links):
            self._set_aside(link)
            service.halves.pop(link, None)
            service.joining.pop(link, None)
            service.leaving[link] = None
            link.retired = True

    @staticmethod
    def _set_aside(link: Peer) -> None:
        """It is given no requests."""
        service = link.group
        assert isinstance(service, Service) and link.backend is not None
        link.used = False
        for used in (link.backend.links, service.links, service.free):
            if link in used:
                used.remove(link)

    def lose_link(self, link: Peer, now: float) -> None:
        """A link is gone: what cannot have left goes elsewhere, everything else ended unknown."""
        self.losses.lose_link(link, now)

    def lose_session(self, session: Peer, now: float) -> None:
        """A session is gone. What it asked and was sent is let finish; what was not sent is withdrawn."""
        self.losses.lose_session(session, now)

    # --- telegrams come in --------------------------------------------------------------------------------------

    def receive(self, peer: Peer, frames: Sequence[bytes], now: float) -> None:
        """Whole frames from one peer, oldest first, each at least as long as the spec's smallest frame."""
        if peer.closed:
            return
        self.now = now
        if peer.standing is not None:
            peer.standing.heard_at = now
        if self._oneway:
            self.losses.note_sent()
        if self.journal is None and not self.draining and peer.pair is None:
            self._receive_fast(peer, frames, now)
        else:
            for frame in frames:
                self._receive_one(peer, frame, now)
        if self._doubted:
            self._settle_doubts(now)
        if self.tap is not None:
            self.tap(peer, frames, now)

    def _receive_one(self, peer: Peer, frame: bytes, now: float) -> None:
        """What becomes of a frame, whatever it is. `_receive_fast` is this for the common case, written out."""
        group = peer.group
        if type(group) is Service and group.waiting:
            self._feed(group)  # replies that `_receive_fast` took before this frame may have made room
        entry = group.memo.get(group.head(frame))
        if group.elders:
            entry = self._elder(peer, frame) or entry
        if entry is None:
            entry = self._meet(peer, frame, now)
            if entry is None:
                return
        if not entry.low <= len(frame) <= entry.high:
            self._wrong_size(peer, frame, entry, now)
            return
        entry.count += 1
        if entry.answers:
            self._reply(peer, frame, entry, now)
        elif entry.formality:
            self.conductor.asked(peer, frame, entry, now)
        elif peer.pair is None:
            self._request(peer, frame, entry, now)
        else:  # what a host asks is answered where it reads
            self._request(peer.pair.requests or peer, frame, entry, now)

    def _receive_fast(self, peer: Peer, frames: Sequence[bytes], now: float) -> None:
        # Two thirds of the router's work per telegram happen in this loop, and in Python each call and each attribute
        # shows. It handles a plain request that a link has room for and the one reply that was expected; anything else
        # goes to _receive_one before anything has been changed. A test holds that both ways end in the same state.
        head, known, correlate, owner_place, front, carrier, back, beside, kept = peer.group.reading
        lanes = peer.lanes
        mine = peer.register  # where the requests stand that this peer answers
        answers = mine.pending if mine is not None else NOTHING
        delayed = mine.delayed if mine is not None else NOBODY
        ended = self.ended
        if ended is not None and len(ended) >= ENDED_PER_FLUSH:
            ended = None
        watched = ended is not None or bool(delayed)  # the answer to what is given to a link below cannot be in this batch
        accepted = peer.accepted
        restores = mine is not None and mine.carrier_width != 0
        if not restores:
            beside = None
        met: Entry | None = None
        met_at, many, good = -1.0, 0, 0
        alike: dict[Entry, int] = {}
        dirty = self.dirty
        for frame in frames:
            entry = known(head(frame))
            if entry is None or not entry.low <= len(frame) <= entry.high:
                self._receive_one(peer, frame, now)
                continue
            if entry.answers:
                exchange = answers.get(frame[carrier] if restores else correlate(frame))
                if (
                    exchange is None
                    or exchange.answerer is not peer
                    or exchange.entry.reply is not entry.answer
                    or exchange.offset >= accepted
                    or (beside is not None and beside(frame) != beside(exchange.frame))
                ):
                    self._receive_one(peer, frame, now)
                    continue
                asked, asker, asked_at = exchange.entry, exchange.asker, exchange.at
                if restores:
                    # Where nothing stands beside it, the asker's own number is the whole key.
                    own = exchange.key if beside is None else exchange.frame[carrier]
                    frame = frame[front] + own + frame[back]  # type: ignore[operator]
                if asked is not met or asked_at != met_at:
                    if met is not None:
                        alike[met] = alike.get(met, 0) + many
                        good += many
                        if asked_at != met_at:
                            self._count_alike(alike, now - met_at)
                    met, met_at, many = asked, asked_at, 0
                many += 1
                entry.count += 1
                del answers[exchange.ref]
                del exchange.lane.open[exchange.key]
                exchange.settled = True
                peer.load -= 1
                asked.ok += 1
                if watched:
                    waited = self._count_wait(asked.target, exchange, delayed.pop(exchange), now) if exchange in delayed else 0.0
                    if ended is not None:
                        ended.append(
                            ("client_closed" if asker.closed else "ok", now, exchange, asker, asked, frame, "", "answered", waited)
                        )
                if asker.closed:
                    asked.target.undelivered += 1
                else:
                    outbox = asker.outbox
                    if not outbox:
                        dirty.append(asker)
                    outbox.append(frame)
                    asker.queued += len(frame)
                    if asker.paused:
                        self.resumed.append(asker)
                continue
            service = entry.target
            if not entry.plain:
                if not (entry.calls and self._call(peer, frame, entry, now)):
                    self._receive_one(peer, frame, now)
                continue
            if service.waiting or (owner_place is not None and frame[owner_place] not in peer.owners):
                self._receive_one(peer, frame, now)
                continue
            lane = lanes[entry.lane]
            opened = lane.open
            register = service.register
            pending = register.pending
            links = service.links
            key = correlate(frame)
            alone = len(links) == 1
            link = links[0] if alone else service.choose(frame)
            if (
                key in opened
                or lane.reserved
                or len(opened) >= lane.limit
                or len(pending) + len(register.tombstones) >= register.space
                or link is None
                or link.load >= link.limit
            ):
                self._receive_one(peer, frame, now)
                continue
            if register.renumbers:
                ref = register.number()
                sent = frame[front] + ref + frame[back] if register.carrier_width else frame
            elif key in pending or key in register.tombstones:
                self._receive_one(peer, frame, now)
                continue
            else:
                ref, sent = key, frame
            offset = link.queued
            entry.count += 1
            exchange = Exchange(peer, lane, key, ref, entry, frame[kept], now, link, offset)
            limits = entry.limits
            if limits and not take(limits, peer, frame, entry, now, exchange) and self._over(peer, frame, entry, now, exchange):
                continue
            opened[key] = pending[ref] = exchange
            link.load += 1
            if not alone:  # where there is no choice nobody asks which was used last
                link.had += 1.0 / link.weight
            outbox = link.outbox
            if not outbox:
                dirty.append(link)
            outbox.append(sent)
            link.queued = offset + len(sent)
        if met is not None:
            alike[met] = alike.get(met, 0) + many
            good += many
            self._count_alike(alike, now - met_at)
            if type(met.target) is Service and met.target.waiting:
                self._feed(met.target)
        if good and ended is None and self.ended is not None:
            self.ended_dropped += good
        if good and peer.backend is not None:
            self._credit(peer, good, now)

    def _call(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> bool:
        """Give a usual request to a free link of an HTTP service. False when it is none, and then nothing has been changed."""
        service: Service = entry.target
        spec, lane, register = peer.group.spec, peer.lanes[entry.lane], service.register
        key = spec.correlate(frame)
        opened, pending = lane.open, register.pending
        if (
            not service.free
            or service.waiting
            or key in opened
            or lane.reserved
            or len(opened) >= lane.limit
            or len(pending) + len(register.tombstones) >= register.space
            or (spec.owner is not None and frame[spec.owner] not in peer.owners)
            or (not register.renumbers and (key in pending or key in register.tombstones))
        ):
            return False
        ref = register.number() if register.renumbers else key
        entry.count += 1
        if entry.limits and self._over(peer, frame, entry, now):
            return True
        try:
            telegram = spec.decode(frame)
        except FieldError as error:
            give_back(entry.limits, peer, frame, entry, now)
            self.refusals.invalid(peer, frame, entry, error)
            return True
        link = service.free[-1]
        exchange = Exchange(peer, lane, key, ref, entry, frame, now, link, link.queued, telegram=telegram)
        call = Call(exchange, link)
        # From here on nothing of ours is called, so that it happens as a whole.
        del service.free[-1]
        opened[key] = pending[ref] = exchange
        if entry.limits:
            for slots in self._granted.slots:
                slots.append(exchange)
        link.load += 1
        if len(service.links) > 1:
            link.had += 1.0 / link.weight
        self.commands.append(call)
        return True

    def _credit(self, link: Peer, answers: int, now: float) -> None:
        """A link's backend has given so many good answers."""
        backend, service = link.backend, link.group
        assert backend is not None and isinstance(service, Service)
        backend.answered += answers
        if backend.troubled:
            self._doubted[service] = None
            for event in service.pool.succeeded(backend, answers, now):
                self._tell(event)

    def _blame(self, link: Peer, now: float) -> None:
        """A link's backend has failed a request."""
        backend, service = link.backend, link.group
        if backend is None or not isinstance(service, Service):
            return
        for event in service.pool.failed(backend, now):
            self._doubted[service] = None
            self._tell(event)

    def _settle_doubts(self, now: float) -> None:
        """Who is given requests is decided anew once a step, not in its midst."""
        while self._doubted:
            service, _ = self._doubted.popitem()
            self.elect(service, now)

    @staticmethod
    def _count_wait(target: Target, exchange: Exchange, given: float, now: float) -> float:
        """An answered request had waited until it was given to a link. Returns how long."""
        waited = given - exchange.at
        target.phases.count(waited, now - given, now - exchange.at)
        return waited

    @staticmethod
    def _count_answers(entry: Entry, took: float, many: int = 1, *, trouble: bool = False) -> None:
        entry.target.latency.count(took, many)
        if entry.route is not None:
            score = entry.route.score
            (score.failed_in if trouble else score.answered_in).count(took, many)

    def _count_alike(self, alike: dict[Entry, int], took: float) -> None:
        """Requests that came in one turn took equally long."""
        for entry, many in alike.items():
            self._count_answers(entry, took, many)
        alike.clear()

    def _meet(self, peer: Peer, frame: bytes, now: float) -> Entry | None:
        """The entry of header bytes not seen before; None when the frame has been dealt with."""
        spec = peer.group.spec
        if spec.is_poll(frame):
            peer.group.polls += 1
            answer = spec.poll_answer(frame)
            if answer is not None and not self._floods(peer, now):
                self._put(peer, answer)
            return None
        if len(frame) < peer.group.header_end:
            self.refusals.refuse(peer, frame, "E-FRM-08", "")
            self.spoiling.may_be_a_reply(peer, now)
            return None
        entry = peer.group.classify(frame)
        if entry is None:
            if isinstance(peer.group, Service):
                self.refusals.strange(peer, frame)
                self.spoiling.may_be_a_reply(peer, now)
            else:
                self.refusals.refuse(peer, frame, "E-RTE-01", "")
        return entry

    def _elder(self, peer: Peer, frame: bytes) -> Entry | None:
        """What an answer is to a request that began before its spec was changed: that spec says so, to the end."""
        exchange = self._asked(peer, frame) if len(frame) >= peer.group.header_end else None
        return peer.group.elder_answer(exchange.entry.message, frame) if exchange is not None else None

    def _floods(self, peer: Peer, now: float) -> bool:
        """Whether a peer has asked more often than anybody must to know that we are there. Told once a second."""
        if not now - peer.polls_since < 1.0:
            peer.polls_since, peer.polls = now, 0
        peer.polls += 1
        if peer.polls == POLLS_ANSWERED + 1:
            self._event("poll_flood", peer=peer.name, origin=peer.group.name, answered=POLLS_ANSWERED)
        return peer.polls > POLLS_ANSWERED

    def _wrong_size(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> None:
        entry.count += 1
        if not entry.answers:
            sizes: dict[str, Any] = {"size": len(frame), "least": entry.low, "most": entry.high}
            self.refusals.refuse(peer, frame, "E-FRM-07" if len(frame) > entry.high else "E-FRM-08", entry.message.name, **sizes)
            return
        exchange = self._asked(peer, frame)
        rule = exchange.entry.message.reply if exchange is not None else None
        if exchange is not None and rule is not None and rule.message is entry.message:
            self._unreadable(exchange, now)
        else:
            self.refusals.odd_reply(peer, frame, entry, now)

    def _request(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> None:
        if entry.deep:
            chosen = self._look_inside(peer, frame, entry)
            if chosen is None:
                return
            entry = chosen
        if entry.shares:
            entry = self._share(peer, frame, entry)
        target = entry.target
        group = peer.group
        spec = group.spec
        if target is None or self.draining or entry.halted:
            self.refusals.no_target(peer, frame, entry)
            return
        if (peer.barred and not entry.formality) or target.shut:
            self.refusals.refuse(peer, frame, "E-TXN-03", entry.message.name, why="closed" if group.shut or target.shut else "no sign-on")
            return
        owner = frame[spec.owner] if spec.owner is not None else None
        if owner is not None and not self._speaks_for(peer, owner):
            self.refusals.refuse(peer, frame, "E-RTE-04", entry.message.name, **group.claim(frame), certificate=sorted(peer.identity))
            return
        if owner is not None and not peer.barred:  # a sign-on that is forwarded says nothing until it is accepted
            self._bind(peer, owner)
        if entry.aside and self.elsewhere.nobody_takes(peer, frame, entry, owner):
            return
        answerer: Peer | None = None
        register: Register
        if type(target) is Audience:
            answerer = target.choose(frame[target.listener.spec.owner]) if target.listener.spec.owner else None
            if answerer is None:
                self.refusals.refuse(peer, frame, "E-RTE-05", entry.message.name)
                return
            register = target.listener.register
            answerer.register = register  # from now on what it answers is looked at
        else:
            register = target.register
        lane = peer.lanes[entry.lane]
        # Where a telegram has nothing to be told apart by, nobody can know a duplicate, and every request is one of its own.
        key = spec.correlate(frame) if spec.correlation_fields else register.number()
        if key in lane.open or key in lane.reserved:
            self.refusals.duplicate(peer, frame, entry, lane.open.get(key))
            return
        if lane.full or register.full or (answerer is not None and self._asked_enough(answerer, register)):
            target.overflow += 1
            self.refusals.refuse(peer, frame, "E-LIM-01", entry.message.name)
            return
        ref = register.number() if register.renumbers and spec.correlation_fields else key
        if ref is key and (key in register.pending or key in register.tombstones):
            self.refusals.duplicate(peer, frame, entry, register.pending.get(key))
            return
        if answerer is None and self._crowded(peer, frame, entry):
            return
        if entry.limits and self._over(peer, frame, entry, now):
            return
        telegram = None
        if entry.full:
            try:
                telegram = spec.decode(frame)
            except FieldError as error:
                give_back(entry.limits, peer, frame, entry, now)
                self.refusals.invalid(peer, frame, entry, error)
                return
        exchange = Exchange(peer, lane, key, ref, entry, frame, now, answerer, telegram=telegram)
        if entry.limits and self._granted.until:
            self._until[exchange] = self._granted.until
        if self.journal is None:
            self.release(exchange)
        else:
            lane.requests.enter(exchange)
        # It has been released, or nothing has happened at all: what follows calls nothing of ours and cannot fail.
        if not entry.untracked:
            lane.open[key] = exchange
            register.pending[ref] = exchange
        if entry.limits:
            for slots in self._granted.slots:
                slots.append(exchange)
        if self.journal is not None:
            self.journal.request(exchange)

    @staticmethod
    def _share(peer: Peer, frame: bytes, entry: Entry) -> Entry:
        """The entry at the service whose share a telegram falls into.

        Where its key is open or reserved at one of them it goes there, though the shares be others now: there it is known for a duplicate.
        """
        spec = peer.group.spec
        if spec.correlation_fields:
            key = spec.correlate(frame)
            for each in entry.shares:
                lane, register = peer.lanes[each.lane], each.target.register
                known = key in lane.open or key in lane.reserved
                if known or (not register.renumbers and (key in register.pending or key in register.tombstones)):
                    return each
        assert entry.split is not None
        return entry.shares[entry.split.place(frame)]

    def _look_inside(self, peer: Peer, frame: bytes, entry: Entry) -> Entry | None:
        """What a telegram leads to where its body decides. None when it has been dealt with."""
        group = peer.group
        try:
            chosen = group.look_inside(frame, entry)
        except FieldError as error:
            self.refusals.invalid(peer, frame, entry, error)
            return None
        if chosen is None and isinstance(group, Service):
            self.refusals.strange(peer, frame, entry.message.name)
        elif chosen is None:
            self.refusals.refuse(peer, frame, "E-RTE-02", entry.message.name)
        return chosen

    def _over(self, peer: Peer, frame: bytes, entry: Entry, now: float, exchange: Exchange | None = None) -> bool:
        """Count a request against its limits. True when one of them refuses it, which it has been told then.

        Otherwise its exchange is put into the slots that they want to see it in. Who has none yet does so, as `_granted` says.
        """
        try:
            said = check(entry.limits, peer, frame, entry, now)
        except FieldError as error:  # an amount that cannot be read cannot be counted
            self.refusals.invalid(peer, frame, entry, error)
            return True
        if isinstance(said, Grant):
            self._granted = said
            if exchange is not None:
                for slots in said.slots:
                    slots.append(exchange)
            return False
        after = None if said.retry_after is None else max(1, math.ceil(said.retry_after * 1000 - 1e-6))
        self.refusals.refuse(peer, frame, said.code, entry.message.name, said.result, limit=said.limit, retry_after_ms=after)
        return True

    def _crowded(self, peer: Peer, frame: bytes, entry: Entry) -> bool:
        """True when a request may not wait at its service and there is no room either, which it has been told then."""
        service: Service = entry.target
        waiting, most = service.waiting.ready, service.policy.pending
        if waiting >= most:
            if not waiting and service.choose(frame) is not None:
                return False
            service.overflow += bool(service.links)
            self.refusals.refuse(peer, frame, "E-LIM-01" if service.links else "E-BCK-01", entry.message.name)
            return True
        if 2 * waiting <= most or type(service.waiting) is not Arranged:
            return False
        rank = rank_of(peer, frame, entry)
        if not sheds(rank, waiting, most):
            return False
        service.shed[rank] += 1
        self.refusals.refuse(peer, frame, "E-LIM-07" if service.links else "E-BCK-01", entry.message.name, urgency=CLASSES[rank])
        return True

    def _asked_enough(self, session: Peer, register: Register) -> bool:
        if self.journal is None:
            return session.load >= session.limit
        return max(session.load, sum(each.answerer is session for each in register.pending.values())) >= session.limit

    @staticmethod
    def _asked(peer: Peer, frame: bytes) -> Exchange | None:
        """The open request of which a reply's key says that it answers it, if this peer was the one asked and can know of it."""
        register, group = peer.register, peer.group
        if register is None:
            return None
        if peer.turns is not None:
            return peer.turns.due(peer.accepted)
        spec = group.spec
        rewrites = register.carrier_width != 0
        ref = frame[spec.carrier] if rewrites and spec.carrier is not None else spec.correlate(frame)
        exchange = register.pending.get(ref)
        if exchange is None or not peer.answers_for(exchange.answerer) or exchange.unsent:
            return None
        beside = group.beside_carrier if rewrites else None
        return exchange if beside is None or beside(frame) == beside(exchange.frame) else None

    def _reply(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> None:
        exchange = self._asked(peer, frame)
        if exchange is None:
            self.refusals.odd_reply(peer, frame, entry, now)
            return
        rule = exchange.entry.message.reply
        if rule is None or rule.message is not entry.message or (peer.turns is not None and not peer.turns.takes(frame, rule)):
            self.refusals.odd_reply(peer, frame, entry, now)
            return
        if exchange.entry.full and not self._readable(exchange, frame, now):
            return
        register = self._register_of(exchange)
        shown = self._restored(exchange, frame) if register.carrier_width else frame
        if rule.kind == "one" or self._is_last_part(exchange, frame):
            self._end(exchange, shown, register, took=now - exchange.at, trouble=entry.fails)
            if entry.fails:
                self._blame(peer, now)
            elif peer.backend is not None:
                self._credit(peer, 1, now)
        else:
            self.elsewhere.pass_on(exchange, shown)
            # Each part starts the timeout anew: back to the young end of the queue.
            del register.pending[exchange.ref]
            exchange.at = now
            register.pending[exchange.ref] = exchange

    def _readable(self, exchange: Exchange, frame: bytes, now: float) -> bool:
        """Every field of an answer can be read. If not it is no answer: what came of the request nobody knows."""
        try:
            exchange.entry.message.spec.decode(frame)
        except FieldError as error:
            self._unreadable(exchange, now, problems=texts(error))
            return False
        return True

    def _unreadable(self, exchange: Exchange, now: float, **more: object) -> None:
        """It was answered, and nobody can read how."""
        link, rule = exchange.answerer, exchange.entry.message.reply
        in_parts = link is not None and link.turns is not None and rule is not None and rule.kind == "until"
        if in_parts and link is not None:
            self.retire(link)  # first: further parts of this answer would be taken for the next one's
        self._fail(exchange, "E-BCK-06", Delivery.SENT_UNKNOWN, now, **more)
        if in_parts and link is not None:
            self.spoiling.spoil(link, now, owed=1)

    @staticmethod
    def _is_last_part(exchange: Exchange, frame: bytes) -> bool:
        """Of a reply in several parts."""
        rule = exchange.entry.message.reply
        return rule is not None and rule.current is not None and rule.total is not None and frame[rule.current] == frame[rule.total]

    @staticmethod
    def _restored(exchange: Exchange, frame: bytes) -> bytes:
        """The frame with the asker's own number where the carrier was."""
        place = exchange.asker.group.spec.carrier
        assert place is not None  # only registers of such a family rewrite
        return frame[: place.start] + exchange.frame[place] + frame[place.stop :]

    # --- the two gates ------------------------------------------------------------------------------------------

    def release(self, exchange: Exchange) -> None:
        """Let a request out: to its answerer, to a link with room, or into the queue of its service."""
        if self.journal is None:
            self._forward(exchange)
            return
        for going in exchange.lane.requests.release(exchange):
            if not going.settled:
                self._forward(going)

    def release_answer(self, exchange: Exchange) -> None:
        """Let the answer of a settled exchange out to whoever asked."""
        if self.journal is None:
            self._deliver(exchange)
            return
        for going in exchange.lane.answers.release(exchange):
            self._deliver(going)

    def _forward(self, exchange: Exchange) -> None:
        service = exchange.entry.target
        link = exchange.answerer
        until = self._until.pop(exchange, 0.0) if self._until else 0.0
        if until > self.now:
            service.waiting.hold(exchange, until, self.now)
            return
        if link is None and not service.waiting.stops(exchange):
            link = service.choose(exchange.frame)
        if link is not None and link.closed:
            self._fail(exchange, "E-RTE-05", Delivery.NOT_SENT, exchange.at)
        elif link is not None:
            self._give(link, exchange)
        elif service.waiting.ready >= service.policy.pending:  # it filled while a journal held this one
            self._fail(exchange, "E-LIM-01" if service.links else "E-BCK-01", Delivery.NOT_SENT, exchange.at)
        else:
            wanted = [Grow(service)] if service.exclusive else []
            service.waiting.add(exchange, exchange.at)
            self.commands += wanted

    def _give(self, answerer: Peer, exchange: Exchange) -> None:
        entry, frame, call = exchange.entry, exchange.frame, None
        target = entry.target
        delayed = self._register_of(exchange).delayed if self.now > exchange.at and not entry.untracked else None
        if type(target) is Service and not target.pipes:
            call = Call(exchange, answerer)
        elif exchange.ref is not exchange.key and answerer.turns is None:
            place = exchange.asker.group.spec.carrier
            assert place is not None and isinstance(exchange.ref, bytes)
            frame = frame[: place.start] + exchange.ref + frame[place.stop :]
        # From here on nothing of ours is called, so that it happens as a whole.
        if delayed is not None:
            delayed[exchange] = self.now
        exchange.answerer = answerer
        exchange.offset = answerer.queued
        answerer.load += 1
        if answerer.turns is not None and not entry.untracked:
            answerer.turns.asked[exchange] = None
        if type(target) is Service and len(target.links) > 1:
            answerer.had += 1.0 / answerer.weight
        if call is not None:
            self.commands.append(call)
            if target.exclusive:
                target.free.pop()
            return
        if entry.untracked:
            answerer.oneway.append(exchange)
            self._oneway[answerer] = None
        if not answerer.outbox:
            self.dirty.append(answerer)
        answerer.outbox.append(frame)
        answerer.queued += len(frame)

    def _deliver(self, exchange: Exchange) -> None:
        exchange.lane.open.pop(exchange.key, None)
        asker = exchange.asker
        frame = exchange.reply
        assert frame is not None
        if exchange.entry.aside:
            exchange.entry.target.undelivered += not self.elsewhere.pass_on(exchange, frame)
            if asker.paused:
                self.resumed.append(asker)
            return
        if asker.closed:
            exchange.entry.target.undelivered += 1
            return
        if not asker.outbox:
            self.dirty.append(asker)
        asker.outbox.append(frame)
        asker.queued += len(frame)
        if asker.paused:
            self.resumed.append(asker)

    def _put(self, peer: Peer, frame: bytes) -> None:
        """A frame of our own: a refusal, the answer to a poll."""
        if peer.closed:
            return
        if not peer.outbox:
            self.dirty.append(peer)
        peer.outbox.append(frame)
        peer.queued += len(frame)

    def _feed(self, service: Service) -> None:
        """Give waiting requests to links with room, in their turns."""
        waiting = service.waiting
        while (turn := waiting.turn(self.now)) is not None:
            exchange = turn.exchange
            link = service.choose(exchange.frame)
            if link is None:
                if waiting.released and service.exclusive:
                    self.commands.append(Grow(service))
                waiting.released = False
                return
            self._give(link, exchange)
            # It has been given, or nothing has happened at all: what follows calls nothing of ours and cannot fail.
            del waiting[exchange]
            if turn.line is not waiting:
                del turn.line[exchange]
                waiting.credits = turn.credits

    # --- answers that come by the other entrance ----------------------------------------------------------------

    def answer(self, exchange: Exchange, frame: bytes, now: float) -> None:
        """The whole answer frame of a handler or an HTTP service."""
        self.now = now
        if exchange.settled:
            exchange.entry.target.late += 1
            self._record("late_reply", exchange, "E-BCK-07", "", frame)
            return
        link = exchange.answerer
        trouble = link is not None and bool(link.group.trouble) and link.group.tells_trouble(frame)
        if self.journal is None and exchange.entry.calls and link is not None and link.used and not exchange.asker.closed:
            self._answered(exchange, link, frame, now, trouble=trouble)
        else:
            self._end(exchange, frame, self._register_of(exchange), took=now - exchange.at, trouble=trouble)
        if link is not None and link.backend is not None:
            if trouble:
                self._blame(link, now)
            else:
                self._credit(link, 1, now)
            if self._doubted:
                self._settle_doubts(now)

    def _answered(self, exchange: Exchange, link: Peer, frame: bytes, now: float, *, trouble: bool) -> None:
        """As `_end`, written out for the answer of an HTTP service to an asker that is there."""
        entry, asker = exchange.entry, exchange.asker
        service: Service = entry.target
        # Nothing of ours is called, so that it happens as a whole.
        exchange.settled = True
        exchange.lane.open.pop(exchange.key, None)
        service.register.pending.pop(exchange.ref, None)
        link.load -= 1
        service.free.append(link)
        entry.ok += 1
        if trouble and entry.route is not None:
            entry.route.score.troubled += 1
        if not asker.outbox:
            self.dirty.append(asker)
        asker.outbox.append(frame)
        asker.queued += len(frame)
        if asker.paused:
            self.resumed.append(asker)
        self._count_answers(entry, now - exchange.at, trouble=trouble)
        delayed = service.register.delayed
        waited = self._count_wait(service, exchange, delayed.pop(exchange), now) if delayed and exchange in delayed else 0.0
        self._record("backend_error" if trouble else "ok", exchange, "", "answered", frame, waited)
        if service.waiting:
            self._feed(service)

    def fail(self, exchange: Exchange, code: str, delivery: Delivery, now: float) -> None:
        """There is no usable answer, for the reason the code names."""
        if not exchange.settled:
            self.now = now
            if exchange.unsent:  # wherever it waits: what its asker is told to have failed must never go out
                self.losses.withdraw(exchange)
            self._fail(exchange, code, delivery, now)
            self._settle_doubts(now)

    def _fail(self, exchange: Exchange, code: str, delivery: Delivery, now: float, **more: object) -> None:
        entry = exchange.entry
        register = self._register_of(exchange)
        frame = entry.message.spec.error_reply(exchange.frame, code, delivery)
        unknown = delivery is Delivery.SENT_UNKNOWN
        if delivery is Delivery.NOT_SENT and code != LEFT_AND_REJECTED:
            give_back(entry.limits, exchange.asker, exchange.frame, entry, exchange.at)
        # A number of our own that no telegram carries needs no reserving: nothing can come under it.
        named = not entry.untracked and bool(exchange.asker.group.spec.correlation_fields)
        tombstone = register.tombstone(exchange, now) if unknown and named else None
        self._end(exchange, frame, register, result=code, delivery=delivery, tombstone=tombstone)
        entry.target.unknown += unknown
        if entry.route is not None:
            entry.route.score.unknown += unknown
        self._event("failed", code=code, delivery=delivery.value, service=entry.target.name, asker=exchange.asker.name,
                    telegram=exchange.asker.group.names(exchange.frame), trace=self.trace_of(exchange)[:32].decode("ascii"),
                    answerer=exchange.answerer.name if exchange.answerer else None, message=entry.message.name,
                    after_ms=round((now - exchange.at) * 1000, 1), **more)  # fmt: skip
        if code in BLAMED and exchange.answerer is not None:
            self._blame(exchange.answerer, now)

    def _end(
        self,
        exchange: Exchange,
        frame: bytes | None,
        register: Register,
        *,
        took: float | None = None,
        result: str = "",
        delivery: Delivery = Delivery.ANSWERED,
        trouble: bool = False,
        tombstone: Tombstone | None = None,
    ) -> None:
        """The exchange is over: nothing pairs with it any more, and its answerer has room for another.

        frame      what its asker gets
        took       seconds to its answer
        result     how it ended when it was not answered: a code, or "withdrawn"
        delivery   whether it may have been executed
        trouble    its answer says that the system behind it is in trouble
        tombstone  reserves its keys
        """
        entry, lane = exchange.entry, exchange.lane
        told = frame is not None and entry.message.kind != "oneway"
        exchange.reply = frame
        if told and self.journal is None:
            self.release_answer(exchange)
        elif told:
            lane.answers.enter(exchange)
        gone = exchange.asker.closed if not entry.aside else self.elsewhere.taker_of(exchange) is None
        # Its answer is on its way, or nothing has happened at all: what follows calls nothing of ours and cannot fail.
        if not told and lane.open.get(exchange.key) is exchange:
            del lane.open[exchange.key]
            if exchange.asker.paused:
                self.resumed.append(exchange.asker)
        exchange.settled = True
        if register.pending.get(exchange.ref) is exchange:
            del register.pending[exchange.ref]
        if exchange.offset != NOT_YET and exchange.answerer is not None:
            answerer = exchange.answerer
            answerer.load -= 1
            if answerer.turns is not None:
                answerer.turns.over(exchange)
            if type(entry.target) is Service and entry.target.exclusive and answerer.used:
                entry.target.free.append(answerer)
        if tombstone is not None:
            register.tombstones[exchange.ref] = tombstone
            lane.reserved[exchange.key] = tombstone
        target, route = entry.target, entry.route
        if not result:
            entry.ok += 1
            if trouble and route is not None:
                route.score.troubled += 1
        elif route is not None:
            route.score.failed[result] = route.score.failed.get(result, 0) + 1
        if told and self.journal is not None:
            self.journal.answer(exchange)
        if entry.formality and frame is not None and not result:
            self.conductor.forwarded(exchange, frame, self.now)
        # Whatever is left out from here on makes nothing wrong.
        waited = 0.0
        if took is not None:
            self._count_answers(entry, took, trouble=trouble)
        elif route is not None:
            route.score.failed_in.count(self.now - exchange.at)
        if exchange in register.delayed:
            given = register.delayed.pop(exchange)
            waited = self._count_wait(target, exchange, given, self.now) if took is not None else given - exchange.at
        if self.ended is not None:
            word = "backend_error" if trouble else "client_closed" if not result and gone else result_of(result)
            self._record(word, exchange, "" if result == "withdrawn" else result, delivery.value, frame or b"", waited)
        if type(target) is Service and target.waiting:
            self._feed(target)

    @staticmethod
    def _register_of(exchange: Exchange) -> Register:
        target = exchange.entry.target
        if type(target) is Service:
            return target.register
        assert type(target) is Audience
        return target.listener.register

    # --- time ---------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Let time pass: reply timeouts, requests that waited too long, keys whose reservation ends. True: there is more to do at once."""
        return self.timing.tick(now)

    def parties(self) -> list[Service | Listener]:
        """Everybody who may have something open, those included that are no longer configured."""
        return [*self.services.values(), *self.listeners.values(), *self.parting]

    @property
    def registers(self) -> list[Register]:
        """Each once: a service that replaces another of the same spec goes on with its register."""
        return list({id(party.register): party.register for party in self.parties()}.values())

    def give_up(self, now: float) -> None:
        """The router stops: tell every asker that still waits what is known of its request."""
        self.timing.give_up(now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None when nothing is due ever."""
        return self.timing.next_deadline()

    @property
    def idle(self) -> bool:
        """No exchange is open, and no answer waits for its release."""
        parties = self.parties()
        return not (
            any(party.register.pending for party in parties)
            or any(party.waiting for party in parties if isinstance(party, Service))
            or any(peer.open for party in parties for peer in party.peers)
        )

    def relieve(self) -> None:
        """Read those again whose answers have been taken, or will never be."""
        self.elsewhere.relieve()

    # --- owners -------------------------------------------------------------------------------------------------

    @staticmethod
    def _speaks_for(peer: Peer, owner: bytes) -> bool:
        """Whether this peer may send telegrams of this owner."""
        listener = peer.group
        if owner in peer.owners or not isinstance(listener, Listener):
            return True
        allowed = listener.policy.owners
        if allowed is not None and not peer.identity & allowed.get(owner, frozenset()):
            return False
        return len(peer.owners) < OWNERS_PER_SESSION

    @staticmethod
    def _bind(peer: Peer, owner: bytes) -> None:
        """This session carries telegrams of this owner: a host's telegrams for it may come here."""
        listener = peer.group
        if isinstance(listener, Listener):
            listener.bind(peer, owner)
