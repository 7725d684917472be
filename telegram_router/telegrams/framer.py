"""Cut a TCP byte stream into frames. No I/O here: bytes in, frames out."""

# Rules this file keeps, all of them tested:
#
# 1. How the network chunked the bytes never changes the frames.
# 2. Nothing a peer sends makes us raise anything but FramingError.
# 3. Once framing is lost it stays lost. A fixed-length protocol has no marker to resynchronise
#    on, so guessing would hand one customer's bytes to another.

from __future__ import annotations

from collections.abc import Sequence

from telegram_router.errors import FramingError
from telegram_router.telegrams.diagnosis import When, diagnose
from telegram_router.telegrams.framing import DEFAULT_MAX_FRAME, Framing


class Framer:
    """One direction of one connection. For tools and tests; the hub calls `Framing.cutter` itself."""

    def __init__(
        self,
        framing: Framing,
        *,
        min_telegram: int | None = None,
        extra_sizes: Sequence[int] = (),
        max_frame: int = DEFAULT_MAX_FRAME,
    ) -> None:
        self._framing = framing
        self._min_telegram = min_telegram
        self._extra_sizes = tuple(extra_sizes)
        self._max_frame = max_frame
        self._cut = framing.cutter(min_telegram, extra_sizes, max_frame)
        self._chunks: list[bytes] = []  # not joined before the frame can be whole: a dribbling peer costs no copies
        self._held = 0  # bytes in the chunks
        self._wanted = 0  # bytes that the front frame needs, 0 when unknown
        self._previous: bytes | None = None
        self._offset = 0  # of the first chunk in the stream
        self._good = 0
        self._lost: FramingError | None = None

    @property
    def lost(self) -> FramingError | None:
        """Why the stream cannot be trusted any more, once that is so."""
        return self._lost

    @property
    def pending(self) -> int:
        """Bytes that are no whole frame yet, or that nobody took."""
        return self._held

    @property
    def front(self) -> bytes:
        """The bytes that are no whole frame yet, or that nobody took."""
        return self._joined()

    def feed(self, data: bytes) -> None:
        """Add bytes from the peer. Raises FramingError once the stream cannot be trusted; it stays that way."""
        self._check()
        if data:
            self._chunks.append(data)
            self._held += len(data)

    def take(self, limit: int = 64) -> list[bytes]:
        """Up to `limit` whole frames, oldest first; the rest waits. Raises FramingError when the next one is bad."""
        self._check()
        if self._held < self._wanted or limit < 1:
            return []
        buffer = self._joined()
        try:
            frames, stop = self._cut(buffer, 0, limit)
        except FramingError:
            raise self._lose("bad") from None
        if frames:
            self._previous = frames[-1]
            self._good += len(frames)
        self._offset += stop
        self._chunks = [buffer[stop:]] if stop < len(buffer) else []
        self._held = len(buffer) - stop
        self._wanted = self._size_at_front()
        return frames

    def end(self) -> None:
        """The peer closed its side. Raises FramingError if that cut a frame in two. Take all frames first."""
        self._check()
        if self._held:
            raise self._lose("eof")

    def timed_out(self, seconds: float | None = None) -> FramingError:
        """The frame at the front was not complete in time: the error to close the connection with."""
        return self._lost or self._lose("timeout", seconds)

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _joined(self) -> bytes:
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def _size_at_front(self) -> int:
        bounds = self._framing.bounds(self._min_telegram, self._extra_sizes, self._max_frame)
        size = self._framing.length.front(self._joined(), 0, bounds)
        return size if isinstance(size, int) else 0

    def _lose(self, at: When, seconds: float | None = None) -> FramingError:
        self._lost = diagnose(
            self._framing,
            self._joined(),
            self._previous,
            at,
            good=self._good,
            min_telegram=self._min_telegram,
            extra_sizes=self._extra_sizes,
            max_frame=self._max_frame,
            offset=self._offset,
            seconds=seconds,
        )
        return self._lost
