"""What the switch wants of those around it: orders to carry out, events to tell, a journal to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from telegram_router.routing.exchange import Exchange
    from telegram_router.routing.peers import Peer, Service


class Journal(Protocol):
    """What makes an exchange durable before a byte leaves. It calls `release` / `release_answer` when that is done.

    Both methods only note what is to be written, and do not raise: a journal that cannot write ends the process.
    """

    def request(self, exchange: Exchange) -> None: ...

    def answer(self, exchange: Exchange) -> None: ...


class Call(NamedTuple):
    """Have this exchange's request given to the HTTP link or handler that was chosen for it."""

    exchange: Exchange
    link: Peer


class Close(NamedTuple):
    """Close this peer's connection."""

    peer: Peer
    code: str


class Grow(NamedTuple):
    """Requests wait and every link is busy: dial one more if the service's policy allows it."""

    service: Service


class Ready(NamedTuple):
    """This link may be given requests: its sign-on has been accepted."""

    peer: Peer


class Event(NamedTuple):
    """Something a person may want to read in the log. Never a field's value. `calm`: nothing to wake up for."""

    name: str
    fields: dict[str, object]
    calm: bool = False
