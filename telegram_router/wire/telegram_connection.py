"""A session or a telegram link: cuts what it receives into frames and hands them to the switch."""

# Rules this file keeps:
#
# 1. Once framing is lost no byte of this connection is looked at again.
# 2. A step takes so many frames; what was received beyond that waits, at most one receive of it, and goes first. A link
#    may have more taken in a step than a session: answers that come a few at a time reach their sessions a few at a time,
#    the next requests come so too, and every batch from then on is small.
# 3. A session is read no further than its own room for open exchanges and unread answers goes. A link is always read.

from __future__ import annotations

from typing import TYPE_CHECKING

from telegram_router.errors import FramingError, RouterError
from telegram_router.routing import Listener
from telegram_router.telegrams.diagnosis import diagnose, foreign_protocol
from telegram_router.wire.connection import RECEIVE, Connection, Limits, Socket, Stage, reason_of
from telegram_router.wire.poller import HANGUP, READ

if TYPE_CHECKING:
    from telegram_router.routing import Peer
    from telegram_router.telegrams import Spec
    from telegram_router.telegrams.diagnosis import When
    from telegram_router.telegrams.lengths import Cut
    from telegram_router.wire.tls import TlsLayer

FRAMES_PER_STEP = 64
FRAMES_PER_STEP_OF_A_LINK = 256  # about what one receive holds of telegrams of 300 bytes
FRAMES_OF_A_FLOOD = 8  # for a session that sends more than a step takes: short turns are what the others feel of it
UNREAD_WORDS = 4096  # frames of our own that may wait on a link; a link is never paused, both sides might wait for each other


class Reader:
    """How telegrams of one spec are cut out of a stream, and how a stream that cannot be cut is explained."""

    def __init__(self, spec: Spec, max_frame: int) -> None:
        self.framing = spec.framing
        self._message_of = spec.message_of
        self._least = spec.header_size
        self._most = max_frame
        self.cut: Cut = spec.framing.cutter(self._least, max_frame=max_frame)

    def meet(self, first: bytes) -> None:
        """Look at the first frame of a connection: where any bytes can be cut, it may be of another protocol. Raises FramingError."""
        if foreign_protocol(first) is not None and self._message_of(first) is None:
            raise self.diagnose(first, None, "bad", 0, 0.0)

    def diagnose(self, rest: bytes, previous: bytes | None, when: When, good: int, seconds: float) -> FramingError:
        return diagnose(self.framing, rest, previous, at=when, good=good, seconds=seconds, min_telegram=self._least, max_frame=self._most)


class TelegramConnection(Connection):
    """A session or a telegram link: cuts frames for the switch."""

    __slots__ = ("buffer", "cut", "frames", "is_session", "partial_since", "previous", "reader", "start")

    def __init__(self, sock: Socket, name: str, limits: Limits, reader: Reader, *, is_session: bool, tls: TlsLayer | None = None) -> None:
        super().__init__(sock, name, limits, tls)
        self.reader = reader
        self.cut = reader.cut
        self.is_session = is_session
        self.buffer = b""
        self.start = 0
        self.previous: bytes | None = None
        self.frames = 0
        self.partial_since: float | None = None

    def arrived(self, data: bytes, now: float) -> None:
        self.buffer = self.buffer[self.start :] + data if self.start < len(self.buffer) else data
        self.start = 0
        if self.peer is not None:
            self.peer.group.bytes_in += len(data)
        if not self.backlogged:
            self.more(now)

    def read(self, now: float) -> None:
        if self.backlogged:  # what was received goes first; the kernel keeps the rest
            return
        peer = self.peer
        if self.tls is not None or peer is None or self.stage is not Stage.OPEN or not self.events & READ:
            super().read(now)
            return
        # The usual case of `Connection.read` and `arrived`, in one piece: at one telegram a read, calls show.
        try:
            data = self.recv(RECEIVE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.hub.drop(self, reason_of(error))
            return
        if not data:
            self.ended(now)
            return
        peer.group.bytes_in += len(data)
        self.buffer = self.buffer[self.start :] + data if self.start < len(self.buffer) else data
        self.start = 0
        self.more(now)

    def more(self, now: float) -> None:
        """Cut what is whole and hand it to the switch, as much as one step may and the session has room for."""
        if self.is_session:
            limit = FRAMES_OF_A_FLOOD if self.backlogged else FRAMES_PER_STEP
        else:
            limit = FRAMES_PER_STEP_OF_A_LINK
        self.backlogged = False
        peer = self.peer
        if self.stage is not Stage.OPEN or peer is None:
            return
        if self.is_session:
            room = peer.limit
            for lane in peer.lanes:
                room -= len(lane.open)
            if room < limit:
                limit = room
            if limit <= 0 or peer.queued - peer.accepted > self.limits.unread or peer.awaits is not None:
                self.pause(now)
                return
        elif peer.queued - peer.accepted > self.limits.unread and self.is_deaf(peer):
            self.hub.drop(self, "E-LIM-06", RouterError("E-LIM-06", "it asks and does not read the answers", where=self.name))
            return
        try:
            frames, stop = self.cut(self.buffer, self.start, limit)
            if frames:
                if not self.frames:
                    self.reader.meet(frames[0])
                self.start = stop
                self.frames += len(frames)
                self.hub.frames += len(frames)
                self.previous = frames[-1]
                self.hub.switch.receive(peer, frames, now)
            left = len(self.buffer) - self.start
            if left and len(frames) == limit:
                self.backlogged = True
                self.hub.again(self)
            elif left and frames:
                self.cut(self.buffer, self.start, 1)  # raises at once if what comes next is no frame
        except FramingError:
            self.lost_framing("bad", now)
            return
        if left == 0:
            self.buffer = b""
            self.start = 0
            self.partial_since = None
        elif frames or self.partial_since is None:
            self.partial_since = now

    @staticmethod
    def is_deaf(peer: Peer) -> bool:
        """More waits to be written to this link than its requests and the answers it asked for: refusals and answers to polls."""
        return len(peer.outbox) > peer.limit + sum(lane.limit for lane in peer.lanes) + UNREAD_WORDS

    def pause(self, now: float) -> None:
        """This session has no room: stop reading it, notice only that it hangs up."""
        assert self.peer is not None
        self.peer.paused = True
        if isinstance(self.peer.group, Listener):
            self.peer.group.pause(self.peer, now)
        self.partial_since = None
        if self.events & READ:
            self.hub.watch(self, (self.events & ~READ) | HANGUP)
            self.hub.pauses += 1

    def resume(self, now: float) -> None:
        """There is room again: first what was received, then the socket."""
        peer = self.peer
        if peer is None or not peer.paused or self.stage is not Stage.OPEN:
            return
        peer.paused = False
        if isinstance(peer.group, Listener):
            peer.group.resume(peer, now)
        self.more(now)
        if not peer.paused and self.stage is Stage.OPEN:
            self.hub.watch(self, (self.events & ~HANGUP) | READ)
            if self.tls is not None:
                self.hub.again(self)

    def ended(self, now: float) -> None:
        if self.start < len(self.buffer):
            self.lost_framing("eof", now)
        elif self.is_session:
            self.half_closed(now)
        else:
            self.hub.drop(self, "closed by the host")

    def half_closed(self, now: float) -> None:
        """FIN after the last frame: the answers still go out."""
        peer = self.peer
        if peer is not None and (peer.open or peer.outbox or self.cipher):
            self.read_no_more("closed by the client")
        else:
            self.hub.drop(self, "closed by the client")

    def lost_framing(self, moment: When, now: float) -> None:
        told = self.reader.diagnose(self.buffer[self.start :], self.previous, moment, self.frames, self.limits.frame_timeout)
        self.buffer, self.start, self.partial_since = b"", 0, None
        self.hub.framing_lost(self, told)
        if self.is_session and moment != "eof":
            self.finish(told.code, now)
        else:
            self.hub.drop(self, told.code)

    def overdue(self, now: float) -> RouterError | None:
        if self.partial_since is not None and now >= self.partial_since + self.limits.frame_timeout and self.stage is Stage.OPEN:
            self.lost_framing("timeout", now)
        return None
