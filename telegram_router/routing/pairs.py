"""Two connections with one backend that make one link: requests go out on one, replies come in on the other."""

# Rules this file keeps, with the switch, all of them tested:
#
# 1. Requests are sent only while both connections are there.
# 2. Replies are paired by their key, whichever connection for replies with that backend they come on.
# 3. When either connection is lost nobody knows less than before of what has been sent: the replies may still come, on the other
#    or on the one that returns. So nothing fails at once; what is not answered until its time-out ends as unknown then.
# 4. What was not sent when a connection is lost goes to other links.
#
# Whoever keeps the connections makes the pair, and adds each of the two to the switch when it is usable, in any order and
# whichever side has dialled it.

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegram_router.routing.peers import Peer


class Pair:
    """`requests` and `replies`: the connections that are there."""

    __slots__ = ("replies", "requests")

    def __init__(self) -> None:
        self.requests: Peer | None = None
        self.replies: Peer | None = None

    @property
    def whole(self) -> bool:
        return self.requests is not None and self.replies is not None

    @property
    def peers(self) -> list[Peer]:
        return [each for each in (self.requests, self.replies) if each is not None]

    def lose(self, peer: Peer) -> None:
        """One of the two is gone; perhaps another has come in its place already."""
        if self.requests is peer:
            self.requests = None
        if self.replies is peer:
            self.replies = None
