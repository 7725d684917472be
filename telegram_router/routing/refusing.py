"""Telegrams that cannot go on: who is told so and how, and what is only counted."""

# Rules this file keeps, all of them tested:
#
# 1. A request that is refused is answered by its family's error telegram, as not sent; without one it is counted and told of.
# 2. An answer is never answered, and a host's own telegram is refused only where a route takes it.
# 3. An answer that pairs with nothing goes to nobody.

from __future__ import annotations

from typing import TYPE_CHECKING

from telegram_router.errors import Delivery, FieldError
from telegram_router.routing.exchange import Exchange
from telegram_router.routing.near_miss import nearest_miss
from telegram_router.routing.peers import Peer, Service
from telegram_router.routing.routes import Entry
from telegram_router.routing.telling import EVENTS_PER_FLUSH

if TYPE_CHECKING:
    from telegram_router.routing.switch import Switch

PROBLEMS_TOLD = 16


class Refusals:
    """Refuses for one switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def refuse(self, peer: Peer, frame: bytes, code: str, message: str, result: str = "", **more: object) -> None:
        switch = self._switch
        group = peer.group
        answer = group.spec.error_reply(frame, code, Delivery.NOT_SENT)
        if answer is not None and not group.aside:
            switch._put(peer, answer)
        elif answer is not None:
            to = switch.elsewhere.refusal_to(peer, frame)
            switch._put(to, answer)
            switch.elsewhere.hold_back(peer, to)
        group.refused[code] = group.refused.get(code, 0) + 1
        switch._record_frame(peer, frame, code, "not_sent", result, known=bool(message))
        switch._tell_refusal(peer, frame, code, message, more)

    def no_target(self, peer: Peer, frame: bytes, entry: Entry) -> None:
        if entry.target is None and isinstance(peer.group, Service):
            self.strange(peer, frame, entry.message.name)
        elif entry.target is None:
            self.refuse(peer, frame, "E-RTE-01", entry.message.name)
        else:
            self.refuse(peer, frame, "E-LIM-04" if self._switch.draining else "E-RTE-06", entry.message.name)

    def strange(self, peer: Peer, frame: bytes, message: str = "") -> None:
        """A host asks and no route takes it. It is not answered: a line that expects only answers might misread ours."""
        switch = self._switch
        group = peer.group
        group.refused["E-TXN-02"] = group.refused.get("E-TXN-02", 0) + 1
        switch._record_frame(peer, frame, "E-TXN-02", "not_sent", known=bool(message))
        switch._event("dead_letter", code="E-TXN-02", peer=peer.name, origin=group.name, message=message, size=len(frame))

    def unasked(self, peer: Peer, entry: Entry) -> None:
        """A session answers though it was asked nothing. Never answer an answer: two routers would do it for ever."""
        group = peer.group
        group.refused["E-TXN-01"] = group.refused.get("E-TXN-01", 0) + 1
        self._switch._event("dead_letter", code="E-TXN-01", peer=peer.name, origin=group.name, message=entry.message.name)

    def duplicate(self, peer: Peer, frame: bytes, entry: Entry, original: Exchange | None) -> None:
        entry.target.duplicates += 1
        if original is None:
            state = "reserved after an unknown end"
        elif original.settled:
            state = "answered"
        else:
            state = "waiting to be sent" if original.unsent else "sent, not answered yet"
        self.refuse(peer, frame, "E-DUP-01", entry.message.name, original=state)

    def invalid(self, peer: Peer, frame: bytes, entry: Entry, error: FieldError) -> None:
        self.refuse(peer, frame, error.code, entry.message.name, problems=texts(error))

    def odd_reply(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> None:
        """A reply that pairs with nothing, or with a request that expects another message. It goes to nobody, or it is to us."""
        switch = self._switch
        if peer.standing is not None and switch.conductor.answered(peer, frame):
            return
        register, spec, turns = peer.register, peer.group.spec, peer.turns
        if register is None:
            self.unasked(peer, entry)
            switch._record_frame(peer, frame, "E-TXN-01", "")
            return
        group = peer.group
        stats = group if isinstance(group, Service) else group.audience
        assert stats is not None
        if turns is not None:
            late = turns.spoiled and turns.late(frame, entry.message)
        else:
            ref = frame[spec.carrier] if register.carrier_width and spec.carrier is not None else spec.correlate(frame)
            late = ref in register.tombstones
        switch._record_frame(peer, frame, "E-BCK-07", "", "late_reply" if late else "unmatched_reply")
        if late:
            stats.late += 1
            switch._event(
                "late_reply",
                code="E-BCK-07",
                peer=peer.name,
                service=register.answering,
                message=entry.message.name,
                telegram=group.names(frame),
            )
            if turns is not None and isinstance(group, Service):
                switch.spoiling.close_spoiled(group, now)
            return
        stats.unmatched += 1
        if turns is not None:
            switch._event("unmatched_reply", code="E-BCK-07", peer=peer.name, service=register.answering, message=entry.message.name)
            switch.spoiling.may_be_a_reply(peer, now)
        elif len(switch.events) < EVENTS_PER_FLUSH:  # the search is only worth it when somebody will read it
            near = nearest_miss(register, frame, peer, entry)
            switch._event(
                "unmatched_reply",
                code="E-BCK-07",
                peer=peer.name,
                service=register.answering,
                message=entry.message.name,
                nearest_differs_in=near,
            )
        else:
            switch.events_dropped += 1


def texts(error: FieldError) -> list[str]:
    """The first of its problems, in words."""
    return [problem.text() for problem in error.problems[:PROBLEMS_TOLD]]
