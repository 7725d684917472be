"""What the switch tells of everything that ends: one tuple each, and the closed set of results that it may name."""

# Rules this file keeps:
#
# 1. A result is one word of RESULTS. Who needs to know more looks at the code beside it.
# 2. What an ended telegram refers to (peers, entry, exchange) is read in the turn in which it ended: a reload changes tables.

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry

# A plain tuple: one is made for every telegram, in the loop that handles it.
#
# 0 result    a word of RESULTS
# 1 ended_at  seconds of the hub's clock
# 2 exchange  None for what never became one: a refusal, an answer that pairs with nothing
# 3 peer      who asked; of an answer that pairs with nothing who sent it
# 4 entry     message and route; None where the header says neither
# 5 frame     the answer that the asker got; of a refusal the telegram refused, of an unpaired answer itself; b"" where there is none
# 6 code      a code of the table of errors, "" where all went well
# 7 delivery  "answered", "not_sent", "sent_unknown"; of a one-way telegram "sent"; "" of what is no request
# 8 waited    seconds that it waited for a link before it was given to one
Ended: TypeAlias = "tuple[str, float, Exchange | None, Peer, Entry | None, bytes, str, str, float]"

ENDED_PER_FLUSH = 65_536  # a turn ends hundreds; this many when a service that holds as many is given up

RESULTS = (
    "ok",
    "backend_error",  # answered, and the answer says that the system behind it is in trouble
    "backend_rejected",  # a definite refusal by the backend: it did not execute
    "timeout",
    "link_lost",
    "backend_protocol_error",  # answered, and nobody can read or accept how
    "no_backend",
    "overflow",
    "throttled",
    "quota_exceeded",
    "shed",
    "no_route",
    "nobody_connected",
    "forbidden",
    "invalid_telegram",
    "duplicate",
    "line_closed",
    "client_closed",
    "draining",
    "late_reply",
    "unmatched_reply",
    "internal_error",
)

RESULT_OF_CODE = {
    "": "ok",
    "withdrawn": "client_closed",
    "E-RTE-01": "no_route",
    "E-RTE-02": "no_route",
    "E-RTE-04": "forbidden",
    "E-RTE-05": "nobody_connected",
    "E-RTE-06": "line_closed",
    "E-TXN-01": "unmatched_reply",
    "E-TXN-02": "no_route",
    "E-TXN-03": "line_closed",
    "E-DUP-01": "duplicate",
    "E-LIM-01": "overflow",
    "E-LIM-02": "throttled",
    "E-LIM-03": "throttled",
    "E-LIM-04": "draining",
    "E-LIM-07": "shed",
    "E-STO-03": "quota_exceeded",
    "E-BCK-01": "no_backend",
    "E-BCK-02": "link_lost",
    "E-BCK-03": "backend_protocol_error",
    "E-BCK-04": "backend_protocol_error",
    "E-BCK-05": "timeout",
    "E-BCK-06": "backend_protocol_error",
    "E-BCK-07": "unmatched_reply",
    "E-BCK-08": "backend_error",
    "E-BCK-09": "backend_rejected",
    "E-BCK-11": "link_lost",
    "E-INT-01": "internal_error",
}
INVALID = ("E-FRM", "E-FLD", "E-ENC")


def result_of(code: str) -> str:
    """The result that a code stands for."""
    found = RESULT_OF_CODE.get(code)
    if found is not None:
        return found
    return "invalid_telegram" if code.startswith(INVALID) else "internal_error"
