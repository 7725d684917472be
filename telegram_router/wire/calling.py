"""A connection that was dialled to us, and whose first telegram must say whose it is."""

# Rules this file keeps, all of them tested:
#
# 1. Before that telegram nothing reaches the switch, and no more than one telegram and one receive is held.
# 2. It has `handshake_timeout` for it, from the end of the TLS handshake on; bytes that dribble in do not lengthen that.

from __future__ import annotations

from collections.abc import Callable

from telegram_router.errors import FramingError, RouterError
from telegram_router.wire.connection import Limits, Socket, Stage
from telegram_router.wire.telegram_connection import Reader, TelegramConnection
from telegram_router.wire.tls import TlsLayer


class CallingConnection(TelegramConnection):
    """`on_first` is given the first telegram and the time, and makes a link of the connection or drops it."""

    __slots__ = ("on_first",)

    def __init__(self, sock: Socket, name: str, limits: Limits, reader: Reader, *, is_session: bool, tls: TlsLayer | None = None) -> None:
        super().__init__(sock, name, limits, reader, is_session=is_session, tls=tls)
        self.on_first: Callable[[TelegramConnection, bytes, float], None] | None = None

    def more(self, now: float) -> None:
        if self.peer is None and self.on_first is not None and self.stage is Stage.OPEN:
            self._meet(now, self.on_first)
        if self.peer is not None:
            super().more(now)

    def _meet(self, now: float, on_first: Callable[[TelegramConnection, bytes, float], None]) -> None:
        try:
            frames, self.start = self.cut(self.buffer, self.start, 1)
            if frames:
                self.reader.meet(frames[0])
        except FramingError:
            self.lost_framing("bad", now)
            return
        if frames:
            self.on_first = None
            self.frames += 1
            self.previous = frames[0]
            on_first(self, frames[0], now)

    def overdue(self, now: float) -> RouterError | None:
        waiting = self.peer is None and self.stage is Stage.OPEN
        if waiting and now >= self.opened_at + self.limits.handshake_timeout:
            return RouterError("E-TXN-03", "no sign-on came in time", where=self.name)
        return super().overdue(now)

    def say(self, frame: bytes) -> None:
        """A last word to somebody who gets no link, if the kernel takes it at once."""
        if self.tls is not None:
            self.tls.write(frame)
            self.send_alert()
            return
        try:
            self.send(frame)
        except OSError:
            pass
