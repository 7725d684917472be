"""Which open request a stray reply comes nearest to, and in what it differs: what the engineer at the line asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange, Register
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry

SEARCHED = 256  # the youngest open requests; a search is made for a log line, not for its own sake


def nearest_miss(register: Register, frame: bytes, peer: Peer, entry: Entry) -> list[str] | None:
    """The parts in which the nearest open request differs from this reply; None when none is open.

    Names only: a key may hold what is not clear.
    """
    best: tuple[int, list[str]] | None = None
    for _, exchange in zip(range(SEARCHED), reversed(register.pending.values()), strict=False):
        fields = _fields_that_differ(register, exchange, frame, peer)
        differ = fields + _circumstances(exchange, peer, entry)
        if best is None or (len(fields), len(differ)) < (best[0], len(best[1])):
            best = len(fields), differ
    return best[1] if best is not None else None


def _fields_that_differ(register: Register, exchange: Exchange, frame: bytes, peer: Peer) -> list[str]:
    spec = peer.group.spec
    carried = spec.carrier if register.carrier_width else None
    return [
        name for name, place in spec.correlation_fields if frame[place] != (exchange.ref if place == carried else exchange.frame[place])
    ]


def _circumstances(exchange: Exchange, peer: Peer, entry: Entry) -> list[str]:
    """What besides the key speaks against the pair."""
    found = []
    if not peer.answers_for(exchange.answerer):
        found.append("(asked on another link)")
    elif exchange.unsent:
        found.append("(not sent yet)")
    rule = exchange.entry.message.reply
    if rule is None or rule.message is not entry.message:
        found.append("(another message)")
    return found
