"""From a byte stream with holes to telegrams: cut by the spec's framing, found again behind a hole."""

# Rules this file keeps, all of them tested:
#
# 1. A telegram that is given was sent as it is: all of its bytes were captured, and it begins where the stream was known to be
#    in step, or where two telegrams in a row could be read.
# 2. Whatever is passed over is counted and told.

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from telegram_router.errors import FramingError
from telegram_router.telegrams import Spec
from telegram_router.telegrams.lengths import Refusal

LARGEST: Final = 1 << 20
AT_ONCE: Final = 1 << 30
SEARCHED_FIRST: Final = 4096  # bytes without a telegram, or two of the largest, after which a stream is taken for another protocol
SEARCHED_LATER: Final = 1 << 20  # where there were telegrams before
JUNK_KEPT: Final = 4096  # bytes that are shown of what is no telegram


class Cut(NamedTuple):
    """A telegram with its framing. Times and packet numbers are those of its first and last byte."""

    frame: bytes
    began: int
    at: int
    first: int
    last: int
    flags: int
    after_gap: bool


class Lost(NamedTuple):
    """Bytes that are missing or were passed over. `size` None: nobody knows how many are missing; 0: none are, they are junk."""

    offset: int
    size: int | None
    passed: int  # bytes passed over until the stream was in step again
    telegrams: int  # that are estimated to be lost
    junk: bytes
    at: int
    first: int
    last: int
    why: str = ""


class Cutter:
    """One direction. `in_step`: whether its first byte begins a telegram."""

    def __init__(self, spec: Spec, *, in_step: bool) -> None:
        self._spec = spec
        self._bounds = spec.framing.bounds(min(spec.header_size, 1), (), LARGEST)
        self._cut = spec.framing.cutter(min(spec.header_size, 1), (), LARGEST)
        self._buffer = b""
        self._offset = 0  # of the buffer in the stream
        self._marks: deque[tuple[int, int, int, int]] = deque()  # (end, at, number, flags) of each piece; bounded by the buffer
        self._in_step = in_step
        self._searched_first = max(SEARCHED_FIRST, 2 * max(message.min_frame for message in spec.messages.values()))
        self._searched = 0  # bytes of the buffer at which no telegram begins
        self._hole: tuple[int, int | None, int] | None = None if in_step else (0, None, 0)  # (offset, size, bytes before it that are lost)
        self._why = ""
        self._after_gap = False
        self._latest = 0
        self.telegrams = 0
        self._octets = 0
        self.foreign = False  # no telegram could be found in what came first: it is not looked at any more

    @property
    def pending(self) -> int:
        """Bytes that are no whole telegram yet."""
        return len(self._buffer) if self._in_step else 0

    def feed(self, payload: bytes, at: int, number: int, flags: int) -> list[Cut | Lost]:
        """The next bytes of the stream."""
        if self.foreign:
            return []
        self._buffer = self._buffer + payload if self._buffer else payload
        self._marks.append((self._offset + len(self._buffer), at, number, flags))
        return self._take(final=False)

    def gap(self, offset: int, size: int) -> list[Cut | Lost]:
        """Bytes are missing here."""
        if self.foreign:
            self._offset = offset + size
            return []
        found = self._take(final=True)
        began, before = offset, len(self._buffer)
        if self._hole is not None:  # a second hole before the stream was in step again
            began, missing, lost = self._hole
            self._hole = (began, None if missing is None else missing + size, lost + before)
        else:
            self._hole = (offset, size, before)
        self._buffer, self._offset, self._searched, self._in_step = b"", offset + size, 0, False
        self._marks.clear()
        return found

    def end(self) -> list[Cut | Lost]:
        """Nothing more comes."""
        if self.foreign:
            return []
        found = self._take(final=True)
        if self._hole is not None or (not self._in_step and self._buffer):
            found.append(self._lost(len(self._buffer)))
        return found

    # --- in step

    def _take(self, *, final: bool) -> list[Cut | Lost]:
        found: list[Cut | Lost] = []
        while True:
            if not self._in_step and not self._search(found, final=final):
                return found
            try:
                frames, stop = self._cut(self._buffer, 0, AT_ONCE)
            except FramingError as error:
                self._in_step, self._searched, self._why = False, 0, error.code
                continue
            start = 0
            for frame in frames:
                found.append(self._made(frame, self._offset + start))
                start += len(frame)
            self._pass(stop)
            if not self._buffer or not frames:
                return found

    def _made(self, frame: bytes, start: int) -> Cut:
        marks = self._marks
        while marks[0][0] <= start:
            marks.popleft()
        end, began, first, flags = marks[0]
        at, last = began, first
        if end < start + len(frame):
            for stop, when, number, more in marks:
                at, last, flags = max(at, when), number, flags | more
                if stop >= start + len(frame):
                    break
        self.telegrams += 1
        self._octets += len(frame)
        at = self._latest = max(at, self._latest)  # what waited behind a hole was of use to nobody before it was filled
        after, self._after_gap = self._after_gap, False
        return Cut(frame, began, at, first, last, flags, after)

    def _pass(self, size: int) -> None:
        self._buffer = self._buffer[size:]
        self._offset += size
        while self._marks and self._marks[0][0] <= self._offset:
            self._marks.popleft()

    # --- out of step

    def _search(self, found: list[Cut | Lost], *, final: bool) -> bool:
        """Look for the next telegram. True once the stream is in step again."""
        while self._searched < len(self._buffer):
            believed = self._believable(self._searched, final=final)
            if believed is None:
                return False
            if believed:
                found.append(self._lost(self._searched))
                self._in_step = True
                return True
            self._searched += 1
            if self._searched >= (SEARCHED_LATER if self.telegrams else self._searched_first):
                self.foreign = not self.telegrams
                found.append(self._lost(self._searched))
                self._hole = None
        return False

    def _lost(self, passed: int) -> Lost:
        """What is lost before the stream is in step at this byte of the buffer."""
        offset, size, before = self._hole or (self._offset, 0, 0)
        junk, marks = self._buffer[:passed], self._marks
        _, at, first, _ = marks[0] if marks else (0, 0, 0, 0)
        last = next((number for end, _, number, _ in marks if end >= self._offset + passed), first)
        missing = before + (size or 0) + passed
        average = self._octets // self.telegrams if self.telegrams else min(m.min_frame for m in self._spec.messages.values())
        self._after_gap = self._hole is not None
        why, self._why = self._why, ""
        self._hole = None
        self._pass(passed)
        self._searched = 0
        return Lost(offset, size, passed, -(-missing // max(average, 1)), junk[:JUNK_KEPT] if size == 0 else b"", at, first, last, why)

    def _believable(self, start: int, *, final: bool) -> bool | None:
        """Whether a telegram begins here, and another behind it; None when that cannot be told before more has come."""
        end = self._ends(start)
        if end is None and not final:
            return None
        if not end:
            return False
        if end == len(self._buffer):
            return True if final else None
        behind = self._ends(end)
        if behind is None:
            return True if final else None
        return bool(behind)

    def _ends(self, start: int) -> int | None:
        """Where the telegram that begins here ends; 0 when none does, None when it is not whole."""
        size = self._spec.framing.length.front(self._buffer, start, self._bounds)
        if isinstance(size, Refusal):
            return 0
        if not isinstance(size, int):
            return None
        end = start + size
        head = self._spec.framing.prefix + self._spec.header_size
        if size < head and end <= len(self._buffer):
            return end if self._spec.is_poll(self._buffer[start:end]) else 0
        if len(self._buffer) - start >= head:
            message = self._spec.message_of(self._buffer[start : start + head])
            if message is None or not message.min_frame <= size <= message.max_frame:
                whole = end <= len(self._buffer)
                return end if whole and self._spec.is_poll(self._buffer[start:end]) else 0
        return end if end <= len(self._buffer) else None
