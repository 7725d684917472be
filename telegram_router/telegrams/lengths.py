"""The three ways a frame says where it ends: a length field, a fixed size, an end mark."""

# Rules this file keeps, all of them tested:
#
# 1. Nothing is allocated for a frame before its size is known to lie within the bounds.
# 2. int() only ever sees bytes that bytes.isdigit() accepted: "²", " 12", "1_0" and "+5" are no lengths.
# 3. A length that does not fit its field is refused. It never wraps around.
# 4. Good frames are handed out before the bad one behind them; the bad one is reported by the call that starts at it.

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, TypeAlias

from telegram_router.errors import FramingError

Cut: TypeAlias = Callable[[bytes, int, int], tuple[list[bytes], int]]
Kind: TypeAlias = Literal["ascii", "bcd", "hex", "ebcdic", "u_be", "u_le"]
Counts: TypeAlias = Literal["payload", "self", "all"]

# Sizes seen on the wire are remembered as {length bytes: frame size}. A peer may send 10,000 different lengths, so
# the memory is bounded; it starts afresh when full, lest one odd peer slow all others for good.
REMEMBERED_SIZES = 1024


class Bounds(NamedTuple):
    """Which frame sizes are possible. All in bytes on the wire."""

    least: int
    most: int
    extra: frozenset[int]  # sizes below `least` that are good all the same: polls


class Refusal(NamedTuple):
    """Why the frame at the front cannot be cut."""

    code: str
    what: str
    expected: str
    size: int | None = None  # what the length says, where it could be read

    def error(self) -> FramingError:
        return FramingError(self.code, self.what, expected=self.expected)


# --- kinds of numbers -------------------------------------------------------------------------------------------


def _read_ascii(field: bytes) -> int | None:
    return int(field) if field.isdigit() else None


def _read_bcd(field: bytes) -> int | None:
    return _read_ascii(field.hex().encode())


def _read_hex(field: bytes) -> int | None:
    return int(field, 16) if field and not field.strip(b"0123456789ABCDEFabcdef") else None


def _read_ebcdic(field: bytes) -> int | None:
    return _read_ascii(bytes(byte ^ 0xC0 for byte in field))  # F0-F9 become 30-39, and nothing else does


def _write_ebcdic(number: int, width: int) -> bytes:
    return bytes(byte ^ 0xC0 for byte in b"%0*d" % (width, number))


class _Number(NamedTuple):
    """How one kind of length is read and written, and what a person calls it."""

    name: str  # for messages: "{width} ASCII digits"
    base: int  # numbers per byte: the largest number is base**width - 1
    widest: int
    read: Callable[[bytes], int | None]
    write: Callable[[int, int], bytes]


_KINDS: dict[str, _Number] = {
    "ascii": _Number("ASCII digits", 10, 9, _read_ascii, lambda n, width: b"%0*d" % (width, n)),
    "bcd": _Number("bytes of BCD", 100, 4, _read_bcd, lambda n, width: bytes.fromhex(f"{n:0{2 * width}d}")),
    "hex": _Number("hexadecimal digits", 16, 8, _read_hex, lambda n, width: b"%0*X" % (width, n)),
    "ebcdic": _Number("EBCDIC digits", 10, 9, _read_ebcdic, _write_ebcdic),
    "u_be": _Number("bytes, unsigned, big-endian", 256, 8, lambda b: int.from_bytes(b, "big"), lambda n, width: n.to_bytes(width, "big")),
    "u_le": _Number(
        "bytes, unsigned, little-endian", 256, 8, lambda b: int.from_bytes(b, "little"), lambda n, width: n.to_bytes(width, "little")
    ),
}


@lru_cache(4096)  # frames come in few sizes, and writing a number takes as long as the rest of framing
def _number_field(kind: Kind, width: int, number: int) -> bytes | None:
    """None when the field cannot say so."""
    return _KINDS[kind].write(number, width) if 0 <= number < _KINDS[kind].base ** width else None


_COUNTED = {"payload": "what follows it", "self": "itself and what follows", "all": "the whole frame"}


# --- the three shapes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LengthField:
    """A number at a fixed place says how long the frame is.

    `counts`: "payload" = the bytes behind the length field (and behind `after`), "self" = from the length field's
    first byte on, "all" = the whole frame. `add` is added to the number that was read, e.g. 2 where the peer forgets
    a trailer of two bytes. `before` and `after` are constant bytes around the field, `end` is a constant end mark,
    counted like any other byte.
    """

    offset: int = 0
    width: int = 4
    kind: Kind = "ascii"
    counts: Counts = "payload"
    add: int = 0
    before: bytes = b""
    after: bytes = b""
    end: bytes = b""

    @property
    def head(self) -> int:
        """Bytes needed from the start of a frame before its size is known."""
        return self.offset + self.width + len(self.after)

    @property
    def smallest(self) -> int:
        return self.head + len(self.end)

    @property
    def auto_prefix(self) -> int:
        """A length at the very front that does not count the whole frame is an envelope, not part of the telegram."""
        inside = self.counts == "all" or self.offset != len(self.before)
        return 0 if inside else self.head

    @property
    def suffix(self) -> int:
        return len(self.end)

    @cached_property
    def uncounted(self) -> int:
        """Frame size minus the number in the field."""
        start = {"payload": self.head, "self": self.offset, "all": 0}.get(self.counts, 0)  # another word is told by `problems`
        return start + self.add

    @property
    def largest(self) -> int:
        """Size of the largest frame that the field can tell."""
        return int(_KINDS[self.kind].base ** self.width) - 1 + self.uncounted

    def describe(self) -> str:
        """For messages and documents: what stands where and what it counts."""
        adjusted = f", {self.add:+d}" if self.add else ""
        return f"{self.width} {_KINDS[self.kind].name} at offset {self.offset} counting {_COUNTED[self.counts]}{adjusted}"

    def read(self, field: bytes) -> int | None:
        """Frame size by the bytes of the length field; None when they are no number of this kind."""
        number = _KINDS[self.kind].read(field)
        return None if number is None else number + self.uncounted

    def field_of(self, buffer: bytes, start: int = 0) -> bytes:
        return buffer[start + self.offset : start + self.offset + self.width]

    def write(self, size: int) -> bytes:
        """The length field of a frame of `size` bytes. Raises FramingError when the field cannot say so."""
        field = _number_field(self.kind, self.width, size - self.uncounted)
        if field is None:
            raise FramingError(
                "E-FRM-03", f"a frame of {size} bytes does not fit its length field", expected=f"at most {self.largest} bytes"
            )
        return field

    def wrap(self, telegram: bytes, prefix: int) -> bytes:
        size = prefix + len(telegram) + len(self.end)
        field = self.write(size)
        if prefix:
            return self.before + field + self.after + telegram + self.end
        if len(telegram) < self.head:
            raise FramingError("E-FRM-02", f"a telegram of {len(telegram)} bytes has no room for its length", expected=self.describe())
        return telegram[: self.offset] + field + telegram[self.offset + self.width :] + self.end

    def front(self, buffer: bytes, start: int, bounds: Bounds) -> int | Refusal | None:
        """Size of the frame at `start`; None while its length has not come; a Refusal when it cannot be trusted."""
        if len(buffer) - start < self.head:
            return None
        size = self._size(buffer[start + self.offset - len(self.before) : start + self.head], bounds)
        if self.end and isinstance(size, int) and start + size <= len(buffer) and not buffer.endswith(self.end, start, start + size):
            return Refusal("E-FRM-09", "end mark is missing where the length says that the frame ends", self._marks(), size)
        return size

    def _size(self, head: bytes, bounds: Bounds) -> int | Refusal:
        """`head` is the length field with the constant bytes before and after it."""
        if not head.startswith(self.before) or not head.endswith(self.after):
            return Refusal("E-FRM-09", "constant bytes around the length field are not as declared", self._marks())
        size = self.read(head[len(self.before) : len(self.before) + self.width])
        if size is None:
            return Refusal("E-FRM-01", "length field is not a number", self.describe())
        return refused_size(size, bounds) or size

    def _marks(self) -> str:
        marks = (("before the length", self.before), ("after it", self.after), ("at the end", self.end))
        return " and ".join(f"{mark.hex()} {where}" for where, mark in marks if mark)

    def cutter(self, bounds: Bounds) -> Cut:
        sizes: dict[bytes, int] = {}

        def learn(head: bytes) -> bool:
            size = self._size(head, bounds)
            if isinstance(size, Refusal):
                return False
            if len(sizes) >= REMEMBERED_SIZES:
                sizes.clear()
            sizes[head] = size
            return True

        def fail(buffer: bytes, at: int) -> FramingError:
            refusal = self.front(buffer, at, bounds)
            assert isinstance(refusal, Refusal)
            return refusal.error()

        if self.offset == len(self.before) and not self.end:
            return _cut_by_leading_length(sizes, learn, fail, self.head)
        return _cut_by_length(sizes, learn, fail, self.offset - len(self.before), self.head, self.end)

    def problems(self) -> Iterator[str]:
        kind = _KINDS.get(self.kind)
        if kind is None:
            yield f"framing kind {self.kind!r} is not one of {', '.join(_KINDS)}"
        elif not 1 <= self.width <= kind.widest:
            yield f"framing width {self.width} is not possible: {self.kind} takes 1 to {kind.widest} bytes"
        if self.counts not in _COUNTED:
            yield f"framing counts {self.counts!r} is not one of {', '.join(_COUNTED)}"
        if self.offset < len(self.before):
            yield f"framing offset {self.offset} leaves no room for the {len(self.before)} constant bytes before the length"


@dataclass(frozen=True)
class FixedSize:
    """Every frame has the same size; nothing on the wire says so."""

    size: int

    auto_prefix = 0
    suffix = 0

    @property
    def smallest(self) -> int:
        return self.size

    @property
    def largest(self) -> int:
        return self.size

    def describe(self) -> str:
        return f"{self.size} bytes each, without a length"

    def wrap(self, telegram: bytes, prefix: int) -> bytes:
        if len(telegram) != self.size:
            raise FramingError("E-FRM-03", f"a telegram of {len(telegram)} bytes", expected=self.describe())
        return telegram

    def front(self, buffer: bytes, start: int, bounds: Bounds) -> int | Refusal | None:
        return refused_size(self.size, bounds) or self.size

    def cutter(self, bounds: Bounds) -> Cut:
        size = self.size
        refusal = refused_size(size, bounds)

        def cut(buffer: bytes, start: int, limit: int) -> tuple[list[bytes], int]:
            if refusal is not None:
                raise refusal.error()
            stop = start + size * max(0, min(limit, (len(buffer) - start) // size))
            return [buffer[at : at + size] for at in range(start, stop, size)], stop

        return cut

    def problems(self) -> Iterator[str]:
        if self.size < 1:
            yield f"framing size {self.size} is not possible: a frame has at least one byte"


@dataclass(frozen=True)
class Terminated:
    """A frame ends with a mark that occurs nowhere else in it. `keep` leaves the marks in the telegram."""

    end: bytes = b"\x03"
    start: bytes = b""
    keep: bool = False

    @property
    def auto_prefix(self) -> int:
        return 0 if self.keep else len(self.start)

    @property
    def suffix(self) -> int:
        return 0 if self.keep else len(self.end)

    @property
    def smallest(self) -> int:
        return len(self.start) + len(self.end)

    largest = 1 << 62

    def describe(self) -> str:
        return (f"start mark {self.start.hex()}, " if self.start else "") + f"end mark {self.end.hex()}"

    def wrap(self, telegram: bytes, prefix: int) -> bytes:
        frame = telegram if self.keep else self.start + telegram + self.end
        whole = frame.startswith(self.start) and frame.find(self.end, len(self.start)) == len(frame) - len(self.end)
        if not whole or len(frame) < self.smallest:
            raise FramingError("E-FRM-09", "the telegram holds an end mark inside, or lacks its own", expected=self.describe())
        return frame

    def front(self, buffer: bytes, start: int, bounds: Bounds) -> int | Refusal | None:
        there = len(buffer) - start
        if not buffer.startswith(self.start[:there], start):
            return Refusal("E-FRM-09", "start mark is missing where a frame must begin", self.describe())
        stop = buffer.find(self.end, start + len(self.start), start + bounds.most)
        if stop >= 0:
            size = stop + len(self.end) - start
            return refused_size(size, bounds) or size
        if there >= bounds.most:
            return Refusal("E-FRM-09", f"no end mark within {bounds.most} bytes", self.describe())
        return None

    def cutter(self, bounds: Bounds) -> Cut:
        front = self.front

        def cut(buffer: bytes, start: int, limit: int) -> tuple[list[bytes], int]:
            frames: list[bytes] = []
            at, end = start, len(buffer)
            while at < end and len(frames) < limit:
                size = front(buffer, at, bounds)
                if isinstance(size, Refusal):
                    if frames:
                        break
                    raise size.error()
                if size is None:
                    break
                frames.append(buffer[at : at + size])
                at += size
            return frames, at

        return cut

    def problems(self) -> Iterator[str]:
        if not self.end:
            yield "framing has an empty end mark: no frame would ever end"


Shape: TypeAlias = LengthField | FixedSize | Terminated


def refused_size(size: int, bounds: Bounds) -> Refusal | None:
    """The bounds are checked before anything is allocated. Messages leave the number out: out of step it is content."""
    if bounds.least <= size <= bounds.most or size in bounds.extra:
        return None
    if size < bounds.least:
        return Refusal("E-FRM-02", "length is below the smallest frame", f"at least {bounds.least} bytes on the wire", size)
    return Refusal("E-FRM-03", "length is above the maximum", f"at most {bounds.most} bytes on the wire", size)


# --- the hot loops ----------------------------------------------------------------------------------------------
# One slice for the length, one look-up, one slice for the frame. A plain dict inside `try` costs less than .get()
# or __missing__; learning happens outside `except`, so that no error carries the peer's bytes as its context.


def _cut_by_leading_length(
    sizes: dict[bytes, int], learn: Callable[[bytes], bool], fail: Callable[[bytes, int], FramingError], head: int
) -> Cut:
    def cut(buffer: bytes, start: int, limit: int) -> tuple[list[bytes], int]:
        frames: list[bytes] = []
        at, end = start, len(buffer)
        last = end - head
        while True:
            try:
                while at <= last and limit > 0:
                    stop = at + sizes[buffer[at : at + head]]
                    if stop > end:
                        break
                    frames.append(buffer[at:stop])
                    at = stop
                    limit -= 1
                return frames, at
            except KeyError:
                pass
            if not learn(buffer[at : at + head]):
                if frames:
                    return frames, at
                raise fail(buffer, at)

    return cut


def _cut_by_length(
    sizes: dict[bytes, int], learn: Callable[[bytes], bool], fail: Callable[[bytes, int], FramingError], low: int, high: int, mark: bytes
) -> Cut:
    """The same with the length field anywhere in the frame and an end mark that must be where the length says."""

    def cut(buffer: bytes, start: int, limit: int) -> tuple[list[bytes], int]:
        frames: list[bytes] = []
        at, end = start, len(buffer)
        last = end - high
        while True:
            try:
                while at <= last and limit > 0:
                    stop = at + sizes[buffer[at + low : at + high]]
                    if stop > end:
                        break
                    if mark and not buffer.endswith(mark, at, stop):
                        if frames:
                            break
                        raise fail(buffer, at)
                    frames.append(buffer[at:stop])
                    at = stop
                    limit -= 1
                return frames, at
            except KeyError:
                pass
            if not learn(buffer[at + low : at + high]):
                if frames:
                    return frames, at
                raise fail(buffer, at)

    return cut
