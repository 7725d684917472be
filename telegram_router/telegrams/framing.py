"""Framing as data: where a frame ends, what of it is the telegram, and which frames the router answers itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from telegram_router.errors import FramingError
from telegram_router.telegrams.lengths import (
    Bounds,
    Counts,
    Cut,
    FixedSize,
    Kind,
    LengthField,
    Refusal,
    Shape,
    Terminated,
)

__all__ = ["DEFAULT_MAX_FRAME", "Bounds", "Counts", "Cut", "FixedSize", "Framing", "Kind", "LengthField", "Poll", "Refusal", "Terminated"]

DEFAULT_MAX_FRAME = 65_536
FRONTS_KEPT = 1024


@dataclass(frozen=True)
class Poll:
    """A frame that asks only whether anybody is there.

    The telegram is `request` followed by `echo` bytes of any content (a timestamp, say); the answer is `answer`
    followed by the same bytes. `answer=None` is a poll that wants no answer.
    """

    request: bytes
    answer: bytes | None
    echo: int = 0

    @property
    def sizes(self) -> set[int]:
        """Telegram sizes of request and answer."""
        return {len(literal) + self.echo for literal in (self.request, self.answer) if literal is not None}


class Framing:
    """How the byte stream of a telegram family is cut into frames, and how a telegram becomes a frame.

    `prefix` bytes at the front and `suffix` bytes at the end of a frame are not part of the telegram. The prefix
    follows from the length field unless it is given. `max` is the family's own largest frame, `header` its smallest
    telegram; both in bytes.
    """

    def __init__(
        self, length: Shape, *, prefix: int | None = None, polls: Sequence[Poll] = (), max: int | None = None, header: int = 0
    ) -> None:
        self.length = length
        self.prefix: int = length.auto_prefix if prefix is None else prefix
        self.suffix: int = length.suffix
        self.polls = tuple(polls)
        self.max = max
        self.header = header
        self._asked, self._answered = self._poll_tables()
        self._end = length.end if isinstance(length, LengthField) else b""
        # Where a length stands before the telegram: what stands there, by the telegram's size. Sizes are few.
        self._fronts: dict[int, bytes] = {}

    def describe(self) -> str:
        return self.length.describe()

    # --- cutting and wrapping ---------------------------------------------------------------------------------

    def bounds(self, min_telegram: int | None = None, extra_sizes: Sequence[int] = (), max_frame: int = DEFAULT_MAX_FRAME) -> Bounds:
        """Frame sizes that are possible. `min_telegram` and `extra_sizes` are telegram sizes; polls are always let in."""
        around = self.prefix + self.suffix
        most = max_frame if self.max is None else min(self.max, max_frame)
        least = self.header if min_telegram is None else min_telegram
        smallest = self.length.smallest
        sizes = {*extra_sizes, *(size for poll in self.polls for size in poll.sizes)}
        extra = frozenset(size + around for size in sizes if smallest <= size + around <= most)
        return Bounds(max(least + around, smallest), most, extra)

    def cutter(self, min_telegram: int | None = None, extra_sizes: Sequence[int] = (), max_frame: int = DEFAULT_MAX_FRAME) -> Cut:
        """A function `cut(buffer, start, limit) -> (frames, next position)`.

        It cuts up to `limit` whole frames. It raises FramingError only when the frame at `start` is bad: good frames
        before a bad one are handed out first. One cutter serves any number of connections.
        """
        return self.length.cutter(self.bounds(min_telegram, extra_sizes, max_frame))

    def wrap(self, telegram: bytes) -> bytes:
        """The frame of a telegram; an in-telegram length is set. Raises FramingError when its length cannot be told."""
        front = self._fronts.get(len(telegram))
        return self._wrap(telegram) if front is None else front + telegram + self._end

    def _wrap(self, telegram: bytes) -> bytes:
        frame = self.length.wrap(telegram, self.prefix)
        if isinstance(self.length, LengthField) and 0 < self.prefix == len(frame) - len(telegram) - self.suffix:
            if len(self._fronts) >= FRONTS_KEPT:
                self._fronts.clear()
            self._fronts[len(telegram)] = frame[: self.prefix]
        return frame

    def telegram(self, frame: bytes) -> bytes:
        """The telegram in a whole frame."""
        return frame[self.prefix : len(frame) - self.suffix]

    def is_wrapped(self, telegram: bytes, frame: bytes) -> bool:
        """Whether the frame is what `wrap` makes of the telegram, which it holds."""
        front = self._fronts.get(len(telegram))
        return self.wrap(telegram) == frame if front is None else frame.startswith(front) and frame.endswith(self._end)

    # --- polls ------------------------------------------------------------------------------------------------

    def _poll_tables(self) -> tuple[dict[int, list[Poll]], dict[int, list[Poll]]]:
        """Polls by the frame size of their requests and of their answers, so that most frames cost one look-up."""
        asked: dict[int, list[Poll]] = {}
        answered: dict[int, list[Poll]] = {}
        around = self.prefix + self.suffix
        for poll in self.polls:
            asked.setdefault(around + len(poll.request) + poll.echo, []).append(poll)
            if poll.answer is not None:
                answered.setdefault(around + len(poll.answer) + poll.echo, []).append(poll)
        return asked, answered

    def poll_answer(self, frame: bytes) -> bytes | None:
        """The frame that answers a poll; None when the frame is no poll or wants no answer."""
        for poll in self._asked.get(len(frame), ()):
            if frame.startswith(poll.request, self.prefix) and poll.answer is not None:
                echo = self.prefix + len(poll.request)
                return self.wrap(poll.answer + frame[echo : echo + poll.echo])
        return None

    def is_poll(self, frame: bytes) -> bool:
        """True for requests and answers of polls: neither is ever routed."""
        size, prefix = len(frame), self.prefix
        if size not in self._asked and size not in self._answered:
            return False
        return any(frame.startswith(poll.request, prefix) for poll in self._asked.get(size, ())) or any(
            frame.startswith(poll.answer or b"", prefix) for poll in self._answered.get(size, ())
        )

    def poll_request(self, echo: bytes = b"") -> bytes | None:
        """The frame of the family's first poll, to ask the other side; None when it has no poll.

        `echo` is filled up with blanks or cut to the bytes that the poll echoes."""
        if not self.polls:
            return None
        poll = self.polls[0]
        return self.wrap(poll.request + echo.ljust(poll.echo)[: poll.echo])

    # --- lint -------------------------------------------------------------------------------------------------

    def problems(self, telegram_sizes: Sequence[int] = ()) -> list[str]:
        """What is impossible about this framing (E-CFG-27), given the sizes of the family's telegrams."""
        found = list(self.length.problems())
        return found or [*self._prefix_problems(), *self._size_problems(telegram_sizes), *self._poll_problems()]

    def _prefix_problems(self) -> Iterator[str]:
        shape = self.length
        if not isinstance(shape, LengthField):
            if self.prefix != shape.auto_prefix:
                yield f"framing prefix {self.prefix} is not possible with {shape.describe()}: it is {shape.auto_prefix}"
        elif self.prefix not in (0, shape.head):
            yield f"framing prefix {self.prefix} cuts the frame beside its length field: it is 0 or {shape.head}"
        elif self.prefix and shape.offset != len(shape.before):
            yield f"framing prefix {self.prefix} has {shape.offset - len(shape.before)} bytes that nothing fills: set `before`"
        elif not self.prefix and (shape.before or shape.after):
            yield "framing `before` and `after` need a prefix: inside the telegram declare Fixed fields"

    def _size_problems(self, telegram_sizes: Sequence[int]) -> Iterator[str]:
        if telegram_sizes and self.header > min(telegram_sizes):
            yield f"framing header {self.header} is above the smallest telegram, which has {min(telegram_sizes)} bytes"
        if self.max is not None and self.max < self.length.smallest:
            yield f"framing max {self.max} is below the smallest frame, {self.length.smallest}"
        for size in sorted({*telegram_sizes, self.header} - {0}):
            frame = size + self.prefix + self.suffix
            if isinstance(self.length, FixedSize) and size in telegram_sizes and frame != self.length.size:
                yield f"a telegram of {size} bytes never fits frames of {self.length.size} bytes"
            elif frame > self.length.largest:
                yield f"a telegram of {size} bytes needs a frame of {frame}; {self.describe()} tells at most {self.length.largest}"
            elif self.max is not None and frame > self.max:
                yield f"a telegram of {size} bytes needs a frame of {frame}, above the framing's max {self.max}"
            elif not self.prefix and size in telegram_sizes and size + self.suffix < self.length.smallest:
                yield f"a telegram of {size} bytes has no room for its length, which ends at {self.length.smallest}"

    def _poll_problems(self) -> Iterator[str]:
        for number, poll in enumerate(self.polls, 1):
            if poll.echo < 0:
                yield f"poll {number} echoes {poll.echo} bytes"
            elif poll.answer == poll.request:
                yield f"poll {number} has an answer equal to its request: two routers would answer each other for ever"
            else:
                yield from self._unwrappable(poll, number)
        requests = [poll.request for poll in self.polls]
        if len(set(requests)) < len(requests):
            yield "two polls have the same request"

    def _unwrappable(self, poll: Poll, number: int) -> Iterator[str]:
        for literal in (poll.request, poll.answer):
            try:
                frame = None if literal is None else self.wrap(literal + b" " * poll.echo)
            except FramingError as error:
                yield f"poll {number} cannot be framed: {error.what}"
            else:
                if frame is not None and self.max is not None and len(frame) > self.max:
                    yield f"poll {number} needs a frame of {len(frame)} bytes, above the framing's max {self.max}"
