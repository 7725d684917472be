"""From TCP segments to the byte streams that the peers saw: in order, every byte once, gaps where the capture has holes."""

# Rules this file keeps, all of them tested:
#
# 1. A byte is delivered once. Of two copies that differ the first wins, and that they differed is told.
# 2. What is missing is a gap of its size: never filled, never passed over in silence.
# 3. Time alone never decides that bytes are missing: the peer has acknowledged them, the queue is full, or the stream has ended.
# 4. Sequence numbers wrap; positions in a stream do not.

from __future__ import annotations

from bisect import insort
from collections import OrderedDict, deque
from typing import Final, Literal, Protocol

from telegram_router.tools.packets.segments import ACK, FIN, RST, SYN, Segment

QUEUED_AT_MOST: Final = 4 * 1024 * 1024  # bytes of one direction that wait for a hole to be filled
QUEUED_IN_ALL: Final = 256 * 1024 * 1024
PIECES_AT_MOST: Final = 4096  # that wait in one direction
PATIENCE: Final = 64  # segments of a connection after which an acknowledged hole is taken for one: capturing may swap packets
REMEMBERED: Final = 32  # segments that later copies are compared with
CLOSED_KEPT: Final = 10_000  # connections that late packets may still belong to
RETRANSMITTED, OUT_OF_ORDER, OVERLAP = 1, 2, 4

How = Literal["fin", "rst", "timeout", "eof-of-file"]


class Reader(Protocol):
    """Who is told of connections and their bytes, in the order in which both can be known."""

    def opened(self, connection: Connection, at: int) -> None: ...

    def data(self, stream: Stream, payload: bytes, at: int, number: int, flags: int) -> None: ...

    def gap(self, stream: Stream, offset: int, size: int, at: int) -> None:
        """`offset` is where in the stream the missing bytes begin."""

    def closed(self, connection: Connection, by: Stream | None, how: How, at: int) -> None: ...


class Stream:
    """One direction of a connection."""

    __slots__ = (
        "acknowledged", "base", "connection", "ended_at", "first", "flow", "next", "patience", "queue", "queued", "reader_state", "recent", "since",
    )  # fmt: skip

    def __init__(self, connection: Connection, flow: bytes, first: bool) -> None:
        self.connection = connection
        self.flow = flow
        self.first = first  # whether the first packet seen went this way
        self.base = 0  # sequence number of position 0
        self.next: int | None = None  # position of the next byte; None before the first is known
        self.acknowledged = 0  # position up to which the peer says that it has everything
        self.ended_at: int | None = None  # where a FIN stands
        self.queue: list[tuple[int, int, bytes, int, int]] = []  # (position, number, payload, at, missing), sorted
        self.queued = 0
        self.since = 0  # when the queue was begun
        self.patience = PATIENCE
        self.recent: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)
        self.reader_state: object = None  # whatever the reader keeps of it

    @property
    def other(self) -> Stream:
        one, other = self.connection.streams
        return other if self is one else one

    def position(self, sequence: int) -> int:
        """Where a sequence number stands, near the position that is expected next."""
        expected = self.next or 0
        return expected + ((sequence - self.base - expected + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    @property
    def done(self) -> bool:
        return self.ended_at is not None and self.next is not None and self.next >= self.ended_at


class Connection:
    """Both directions between two ports. `initiator` is known where the SYN was seen."""

    __slots__ = ("closed", "initiator", "number", "streams", "syn", "tale", "told")

    def __init__(self, number: int, flow: bytes) -> None:
        self.number = number
        self.streams = (Stream(self, flow, first=True), Stream(self, reverse(flow), first=False))
        self.initiator: Stream | None = None
        self.syn = False
        self.closed = False
        self.told = False
        self.tale: object = None  # whatever the reader keeps of it


def reverse(flow: bytes) -> bytes:
    """The flow of the other direction."""
    half = (len(flow) - 4) // 2
    return flow[half : 2 * half] + flow[:half] + flow[-2:] + flow[-4:-2]


def ends(flow: bytes) -> tuple[bytes, int, bytes, int]:
    """Sender's address and port, receiver's address and port."""
    half = (len(flow) - 4) // 2
    return flow[:half], int.from_bytes(flow[-4:-2], "big"), flow[half : 2 * half], int.from_bytes(flow[-2:], "big")


class Reassembly:
    """Takes segments in the order of the file, tells the reader what the streams were."""

    def __init__(self, reader: Reader, port: int | None = None) -> None:
        self.retransmitted = self.out_of_order = self.conflicts = self.gaps = 0
        self._reader = reader
        self._port = port.to_bytes(2, "big") if port is not None else None
        self._flows: dict[bytes, Stream] = {}
        self._closed: OrderedDict[Connection, None] = OrderedDict()
        self._connections = 0
        self._queued = 0
        self._now = 0
        self.waiting: dict[Stream, None] = {}  # streams whose queue is not empty

    def feed(self, segment: Segment) -> None:
        flow = segment.flow
        if segment.at is not None:
            self._now = segment.at
        stream = self._flows.get(flow)
        flags = segment.flags
        if stream is None or (flags & SYN and self._begins_anew(stream, segment)):
            if self._port is not None and self._port not in (flow[-4:-2], flow[-2:]):
                return
            if flags & RST or (not flags & SYN and not segment.payload and not segment.missing):
                return
            stream = self._open(flow, segment)
        connection = stream.connection
        if connection.closed:
            return
        if flags & SYN:
            self._syn(stream, segment)
        if flags & ACK:
            self._acknowledge(stream.other, segment.acknowledged)
        if segment.payload or segment.missing:
            self._data(stream, segment)
        if flags & FIN and stream.next is not None:
            end = stream.position(segment.sequence) + len(segment.payload) + segment.missing
            stream.ended_at = end if stream.ended_at is None else min(end, stream.ended_at)
        for each in connection.streams:
            if each.queue:
                self._look_at_hole(each)
        if flags & RST:
            self._close(connection, stream, "rst")
        elif stream.ended_at is not None and connection.streams[0].done and connection.streams[1].done:
            self._close(connection, stream.other, "fin")

    @property
    def oldest(self) -> int:
        """When the first of the bytes that wait behind holes came."""
        return min(stream.since for stream in self.waiting)

    def end(self) -> None:
        """The file has ended."""
        for connection in list(dict.fromkeys(stream.connection for stream in self._flows.values())):
            if not connection.closed:
                ended = next((stream for stream in connection.streams if stream.ended_at is not None), None)
                self._close(connection, ended, "fin" if ended is not None else "eof-of-file")

    # --- connections

    def _begins_anew(self, stream: Stream, segment: Segment) -> bool:
        """A SYN with another first number is another connection on the same ports."""
        if stream.next is None:
            return False
        if stream.connection.closed:
            return True
        if (segment.sequence + 1) & 0xFFFFFFFF == stream.base:
            return False
        self._close(stream.connection, None, "timeout")
        return True

    def _open(self, flow: bytes, segment: Segment) -> Stream:
        self._connections += 1
        connection = Connection(self._connections, flow)
        for stream in connection.streams:
            former = self._flows.get(stream.flow)
            if former is not None:
                self._closed.pop(former.connection, None)
            self._flows[stream.flow] = stream
        if segment.flags & SYN:
            connection.syn = True
            connection.initiator = connection.streams[1 if segment.flags & ACK else 0]
        return connection.streams[0]

    def _syn(self, stream: Stream, segment: Segment) -> None:
        if stream.next is None:
            stream.base, stream.next = (segment.sequence + 1) & 0xFFFFFFFF, 0
        if not stream.connection.told:
            stream.connection.told = True
            self._reader.opened(stream.connection, self._now)

    def _acknowledge(self, stream: Stream, acknowledged: int) -> None:
        if stream.next is not None:
            position = stream.position(acknowledged)
            if position > stream.acknowledged:
                stream.acknowledged = position

    def _close(self, connection: Connection, by: Stream | None, how: How) -> None:
        for stream in connection.streams:
            self._drain(stream)
        connection.closed = True
        if connection.told:
            self._reader.closed(connection, by, how, self._now)
        self._closed[connection] = None
        if len(self._closed) > CLOSED_KEPT:
            old, _ = self._closed.popitem(last=False)
            for stream in old.streams:
                if self._flows.get(stream.flow) is stream:
                    del self._flows[stream.flow]

    # --- bytes

    def _data(self, stream: Stream, segment: Segment) -> None:
        connection = stream.connection
        payload, missing, number = segment.payload, segment.missing, segment.number
        sequence = (segment.sequence + 1) & 0xFFFFFFFF if segment.flags & SYN else segment.sequence
        if stream.next is None:  # its beginning was not seen: it begins here, for us
            stream.base, stream.next = sequence, 0
        if not connection.told:
            connection.told = True
            self._reader.opened(connection, self._now)
        expected = stream.next
        position = stream.position(sequence)
        if position == expected:
            self._deliver(stream, payload, self._now, number, 0, missing)
            if stream.queue:
                self._take_up(stream, OUT_OF_ORDER)
        elif position > expected:
            self.out_of_order += 1
            self._enqueue(stream, position, payload, number, missing)
        else:
            self._again(stream, position, payload, number, missing)

    def _again(self, stream: Stream, position: int, payload: bytes, number: int, missing: int) -> None:
        """Bytes of which some have been delivered before."""
        assert stream.next is not None
        known = stream.next - position
        flags = RETRANSMITTED
        if self._differs(stream, position, payload[:known]):
            self.conflicts += 1
            flags |= OVERLAP
        self.retransmitted += 1
        if len(payload) + missing > known:
            self._deliver(stream, payload[known:], self._now, number, flags, max(missing - max(known - len(payload), 0), 0))
            if stream.queue:
                self._take_up(stream, OUT_OF_ORDER)

    @staticmethod
    def _differs(stream: Stream, position: int, payload: bytes) -> bool:
        """Whether these bytes are others than those that were delivered, as far as they are remembered. A probe's one byte may be any."""
        if len(payload) < 2:
            return False
        for at, old in stream.recent:
            low, high = max(at, position), min(at + len(old), position + len(payload))
            if low < high and old[low - at : high - at] != payload[low - position : high - position]:
                return True
        return False

    def _deliver(self, stream: Stream, payload: bytes, at: int, number: int, flags: int, missing: int) -> None:
        assert stream.next is not None
        position = stream.next
        stream.patience = PATIENCE
        if payload:
            stream.next = position + len(payload)
            stream.recent.append((position, payload))
            self._reader.data(stream, payload, at, number, flags)
        if missing:
            self._skip(stream, missing)

    def _skip(self, stream: Stream, size: int) -> None:
        assert stream.next is not None
        offset = stream.next
        stream.next = offset + size
        stream.patience = PATIENCE
        self.gaps += 1
        self._reader.gap(stream, offset, size, self._now)

    def _enqueue(self, stream: Stream, position: int, payload: bytes, number: int, missing: int) -> None:
        if not payload:
            return
        if not stream.queue:
            stream.since = self._now
            self.waiting[stream] = None
        for start, piece in self._not_there_yet(stream, position, payload):
            whole = start + len(piece) == position + len(payload)
            insort(stream.queue, (start, number, piece, self._now, missing if whole else 0))
            stream.queued += len(piece)
            self._queued += len(piece)
        if stream.queued > QUEUED_AT_MOST or self._queued > QUEUED_IN_ALL or len(stream.queue) > PIECES_AT_MOST:
            self._pass_hole(stream)

    def _not_there_yet(self, stream: Stream, position: int, payload: bytes) -> list[tuple[int, bytes]]:
        """The pieces of a payload that no segment in the queue covers."""
        pieces, end = [], position + len(payload)
        at = position
        for start, _, other, _, _ in stream.queue:
            stop = start + len(other)
            if stop <= at:
                continue
            if start >= end:
                break
            low, high = max(at, start), min(end, stop)
            if other[low - start : high - start] != payload[low - position : high - position]:
                self.conflicts += 1
            if start > at:
                pieces.append((at, payload[at - position : start - position]))
            at = stop
        if at < end:
            pieces.append((at, payload[at - position :]))
        return pieces

    def _take_up(self, stream: Stream, flags: int) -> None:
        """Deliver what the queue has for the next position."""
        queue = stream.queue
        while queue and stream.next is not None and queue[0][0] <= stream.next:
            position, number, payload, at, missing = queue.pop(0)
            stream.queued -= len(payload)
            self._queued -= len(payload)
            known = stream.next - position
            if len(payload) + missing > known:
                self._deliver(stream, payload[known:], at, number, flags, max(missing - max(known - len(payload), 0), 0))
        if not queue:
            self.waiting.pop(stream, None)

    def _look_at_hole(self, stream: Stream) -> None:
        """Bytes that the peer has acknowledged and that do not come any more were not captured."""
        while stream.queue and stream.acknowledged >= stream.queue[0][0]:
            stream.patience -= 1
            if stream.patience > 0:
                return
            self._pass_hole(stream)

    def _pass_hole(self, stream: Stream) -> None:
        assert stream.next is not None
        self._skip(stream, stream.queue[0][0] - stream.next)
        self._take_up(stream, 0)

    def _drain(self, stream: Stream) -> None:
        """Nothing more comes: whatever is missing is missing."""
        while stream.queue:
            self._pass_hole(stream)
        if stream.next is None:
            return
        end = stream.ended_at if stream.ended_at is not None else stream.acknowledged
        if stream.ended_at is None and stream.acknowledged == stream.next + 1:
            end = stream.next  # a FIN that was not captured is acknowledged like a byte
        if end > stream.next:
            self._skip(stream, end - stream.next)
