"""The live tail: telegrams as they come and as they end, masked by their specs, for whoever watches."""

# Rules this file keeps, all of them tested:
#
# 1. While nobody watches, nothing of this is called.
# 2. Of a telegram nothing is kept but its message, and its key and correlation fields as far as they are clear.
# 3. A watcher gets so many lines in a time, and so many wait for him; what is beyond is dropped and counted. A fault here is told and
#    costs the tail, never a connection.

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import trio

from telegram_router.ops import answers
from telegram_router.ops.tail_filter import Filter
from telegram_router.ops.taps import Taps
from telegram_router.routing import Ended, Listener, Peer, Service
from telegram_router.routing.routes import Entry
from telegram_router.wire.hub import Hub

WATCHERS = 4
WAITING = 1_000  # lines for one watcher
WINDOW = 0.1  # seconds
SKIPS = 10_000
LOOKS = 1_000  # in a window, at telegrams that may fit a filter: two or three microseconds each
IN_A_WINDOW = 50  # lines for one watcher, each of which takes some ten microseconds of the hub's time

Line = tuple[float, answers.TailLine]  # with the moment, seconds since 1970


class Columns(NamedTuple):
    """What every line has."""

    direction: Literal["in", "out", "none"]
    peer: str
    listener: str | None
    service: str | None
    message: str


class Watcher:
    """One who watches: his filter, and the lines that wait for him."""

    def __init__(self, chosen: Filter) -> None:
        self.filter = chosen
        self.dropped = 0
        self.skips: set[Entry | None] = set()  # entries whose telegrams he does not want to see come; at most SKIPS
        self._lines: deque[Line] = deque(maxlen=WAITING)
        self._news = trio.Event()
        self._window = float("-inf")
        self._left = self._looks = 0

    def wants(self, entry: Entry | None, line: Columns) -> bool:
        """Whether telegrams of an entry may be for him, whoever sent them. If not it is remembered, which makes the next one cheap."""
        wanted = self.filter.takes({name: value for name, value in line._asdict().items() if name != "peer"})
        if not wanted and entry is not None and len(self.skips) < SKIPS:
            self.skips.add(entry)
        return wanted

    def may_look(self, now: float, count: int) -> bool:
        """Whether there is time to look at so many telegrams; if not, they are counted as dropped."""
        if now - self._window >= WINDOW:
            self._window, self._left, self._looks = now, IN_A_WINDOW, LOOKS
        if self._looks <= 0 or (self.filter.all and not self._has_room()):
            self.dropped += count
            return False
        self._looks -= count
        return True

    def _has_room(self) -> bool:
        return self._left > 0 and len(self._lines) < WAITING

    def room(self) -> bool:
        """Take room for a line; when there is none it is counted as dropped."""
        if self._has_room():
            self._left -= 1
            return True
        self.dropped += 1
        return False

    def put(self, line: Line) -> None:
        self._lines.append(line)
        self._news.set()

    def take(self) -> list[answers.TailLine]:
        """The lines that wait, the first of them with how many were dropped before it."""
        found = []
        for at, line in self._lines:
            line.time = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            found.append(line)
        self._lines.clear()
        self._news = trio.Event()
        if found:
            found[0].dropped, self.dropped = self.dropped, 0
        return found

    async def wait(self, seconds: float) -> None:
        """Until a line waits, or so long."""
        with trio.move_on_after(seconds):
            await self._news.wait()


class Tail:
    """Who watches a router's telegrams."""

    def __init__(
        self, hub: Hub, tell: Callable[[BaseException], None], clock: Callable[[], float] = time.time, taps: Taps | None = None
    ) -> None:
        self._hub = hub
        self._taps = taps or Taps(hub)
        self._tell = tell
        self._clock = clock
        self.watchers: list[Watcher] = []

    @property
    def full(self) -> bool:
        return len(self.watchers) >= WATCHERS

    def join(self, watcher: Watcher) -> None:
        """From now on he is shown what fits his filter. Whoever asks for it sees that it is not full, and ends it with `leave`."""
        if not self.watchers:
            self._taps.add(self._came)
            self._hub.read_ended(self._ended)
        self.watchers.append(watcher)

    def leave(self, watcher: Watcher) -> None:
        if watcher not in self.watchers:
            return
        self.watchers.remove(watcher)
        if not self.watchers:
            self._taps.remove(self._came)
            self._hub.read_ended_no_more(self._ended)

    # --- within a turn of the hub

    def _came(self, peer: Peer, frames: Sequence[bytes], now: float) -> None:
        """Frames that one peer has sent."""
        try:
            for watcher in self.watchers:
                if watcher.filter.all or not watcher.filter.ends_only:
                    self._show_came(watcher, peer, frames, now)
        except Exception as fault:
            self._give_up(fault)

    def _show_came(self, watcher: Watcher, peer: Peer, frames: Sequence[bytes], now: float) -> None:
        group, chosen = peer.group, watcher.filter
        if not watcher.may_look(now, len(frames)):
            return
        for frame in frames:
            entry = group.memo.get(group.head(frame))
            if entry in watcher.skips:
                continue
            line = Columns("in", peer.name, *_between(peer, entry))
            if not chosen.all and not (
                watcher.wants(entry, line) and chosen.takes({"peer": peer.name}) and chosen.takes_frame(group, frame)
            ):
                continue
            if watcher.room():
                watcher.put((self._clock(), answers.TailLine("", *line, group.names(frame))))

    def _ended(self, ended: list[Ended], dropped: int) -> None:
        """What has ended in a turn."""
        now = self._hub.clock()
        try:
            for watcher in self.watchers:
                watcher.dropped += dropped
                if watcher.may_look(now, len(ended)):
                    for each in ended:
                        self._show_ended(watcher, each, now)
        except Exception as fault:
            self._give_up(fault)

    def _show_ended(self, watcher: Watcher, ended: Ended, now: float) -> None:
        result, at, exchange, peer, entry, frame, code, delivery, _ = ended
        chosen, group = watcher.filter, peer.group
        if not chosen.takes({"result": result, "code": code}):  # of most that end nothing else is looked at then
            return
        shown = exchange.frame if exchange is not None else frame
        unpaired = exchange is None and entry is not None and entry.answers
        line = Columns("none" if unpaired else "out", peer.name, *_between(peer, entry))
        columns = {**line._asdict(), "result": result, "code": code, "delivery": delivery}
        if (chosen.all or (chosen.takes(columns) and chosen.takes_frame(group, shown))) and watcher.room():
            took = round((at - exchange.at) * 1000, 3) if exchange is not None else None
            watcher.put((self._clock(), answers.TailLine("", *line, group.names(shown), result, code, delivery, took)))

    def _give_up(self, fault: Exception) -> None:
        for watcher in list(self.watchers):
            self.leave(watcher)
        self._tell(fault)


def _between(peer: Peer, entry: Entry | None) -> tuple[str | None, str | None, str]:
    """The listener and the service that a telegram is between, and its message, as far as they are known."""
    group = peer.group
    target = entry.target if entry is not None else None
    message = entry.message.name if entry is not None else ""
    if isinstance(group, Listener):
        return group.name, target.name if isinstance(target, Service) else None, message
    return (target.name if target is not None and not isinstance(target, Service) else None), group.name, message
