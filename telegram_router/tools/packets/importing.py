"""A packet capture as a capture of telegrams."""

from __future__ import annotations

import heapq
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_records import Direction, Record
from telegram_router.telegrams import Spec
from telegram_router.telegrams.diagnosis import foreign_protocol
from telegram_router.tools.packets.cutting import Cut, Cutter, Lost
from telegram_router.tools.packets.files import PacketFile
from telegram_router.tools.packets.segments import Segments
from telegram_router.tools.packets.streams import (
    OUT_OF_ORDER,
    OVERLAP,
    RETRANSMITTED,
    Connection,
    How,
    Reassembly,
    Stream,
    ends,
)
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.recorded import message_of

STRANGERS_TOLD: Final = 20
DOUBTED_AT_MOST: Final = 64  # telegrams in a row that are none of the spec, after which a connection is none of ours
HOSTS_AT_MOST: Final = 10_000  # that are told apart
EPHEMERAL: Final = 32_768  # from here on are the ports that systems give to who connects
OPEN, LOSS, REQUEST, REPLY, CLOSE = range(5)  # of records of equal times, which stands first
FLAGS: Final = ((RETRANSMITTED, "retx"), (OUT_OF_ORDER, "ooo"), (OVERLAP, "overlap"))


@dataclass
class Asked:
    """Somebody whom others connect to."""

    connections: int = 0
    telegrams: int = 0
    known: str = ""  # by what: SYN, the --port, another connection to the same host, a low port, requests


@dataclass
class Imported:
    """What an import found."""

    packets: int = 0
    connections: int = 0  # with telegrams
    telegrams: int = 0
    strange: int = 0  # telegrams that are no message of the spec, or have not its size
    gaps: int = 0
    lost: int = 0  # telegrams, estimated
    junk: int = 0
    retransmitted: int = 0
    out_of_order: int = 0
    conflicts: int = 0
    damaged: int = 0  # packets
    cut: int = 0  # packets that were recorded in part
    other: int = 0  # connections without a telegram
    hosts: dict[str, Asked] = field(default_factory=dict)  # by address
    strangers: list[str] = field(default_factory=list)  # what they were
    stories: list[str] = field(default_factory=list)  # each gap in words
    warnings: list[str] = field(default_factory=list)

    def as_object(self) -> dict[str, Any]:
        return dict(vars(self)) | {"hosts": {address: dict(vars(host)) for address, host in self.hosts.items()}}


class Importer:
    """Reads a packet file in one pass. `write` gets the records in the order of their times, after `head` is known."""

    def __init__(self, file: PacketFile, spec: Spec, write: Callable[[Record], object], port: int | None = None) -> None:
        self.found = Imported()
        self.t0: int | None = None  # nanoseconds since 1970 of the first packet that has a time
        self._file = file
        self._spec = spec
        self._write = write
        self._port = port
        self._pairing = Pairing(spec)
        self._heap: list[tuple[int, int, int, Record]] = []
        self._order = 0
        self._now = 0

    def run(self, begin: Callable[[int], None], most: int | None = None) -> Imported:
        """Import everything, or the first so many packets. `begin` is told t0 before the first record."""
        segments, streams = Segments(), Reassembly(self, self._port)
        segment_of, feed = segments.segment, streams.feed
        for packet in islice(self._file, most):
            if self.t0 is None:
                self.t0 = packet.at or 0
                begin(self.t0)
            segment = segment_of(packet)
            self.found.packets += 1
            if segment is None:
                continue
            if segment.at is not None and segment.at - self.t0 > self._now:
                self._now = segment.at - self.t0
                if self._heap:
                    self._release(self._now if not streams.waiting else min(self._now, streams.oldest - self.t0))
            feed(segment)
        if self.t0 is None:
            begin(0)
        streams.end()
        self._release(None)
        found = self.found
        found.retransmitted, found.out_of_order, found.conflicts = streams.retransmitted, streams.out_of_order, streams.conflicts
        found.damaged, found.cut = segments.damaged, segments.cut
        found.warnings += self._file.warnings
        for kind, count in segments.unknown.items():
            found.warnings.append(f"{count:,} packets are of link type {kind}, which cannot be read")
        return found

    # --- what the streams tell

    def opened(self, connection: Connection, at: int) -> None:
        for stream in connection.streams:
            stream.reader_state = _Side(self._spec, in_step=connection.syn)
        connection.tale = _Tale(at - self._zero)

    def data(self, stream: Stream, payload: bytes, at: int, number: int, flags: int) -> None:
        side = stream.reader_state
        assert isinstance(side, _Side)
        if not side.begin:
            side.begin = payload[:16]
        for each in side.cutter.feed(payload, at - self._zero, number, flags):
            self._tell(stream, each)

    def gap(self, stream: Stream, offset: int, size: int, at: int) -> None:
        side = stream.reader_state
        assert isinstance(side, _Side)
        for each in side.cutter.gap(offset, size):
            self._tell(stream, each)

    def closed(self, connection: Connection, by: Stream | None, how: How, at: int) -> None:
        pending = 0
        for stream in connection.streams:
            side = stream.reader_state
            assert isinstance(side, _Side)
            for each in side.cutter.end():
                self._tell(stream, each)
            pending += side.cutter.pending
        tale = connection.tale
        assert isinstance(tale, _Tale)
        if tale.name is None:
            self._strange(connection)
            return
        ended_by: Any = "us" if by is None else self._direction(by)
        self._put(at - self._zero, CLOSE, records.closed(at - self._zero, tale.name, by=ended_by, how=how, pending=pending))
        self._pairing.forget(connection)

    @property
    def _zero(self) -> int:
        return self.t0 or 0

    # --- records

    def _tell(self, stream: Stream, each: Cut | Lost) -> None:
        tale = stream.connection.tale
        assert isinstance(tale, _Tale)
        if isinstance(each, Lost):
            tale.losses.append((stream, each))
            if tale.name is not None:
                self._losses(tale)
            return
        message = message_of(self._spec, each.frame)
        if tale.name is None and message is None and self._port is None and not self._spec.is_poll(each.frame):
            self._doubt(stream, tale, each)
            return
        if tale.name is None:
            self._begin(stream, tale, each.at, answers=message is not None and message.kind == "reply")
            for earlier_stream, earlier in tale.doubted:
                self._tell(earlier_stream, earlier._replace(at=max(earlier.at, tale.at)))
        self._losses(tale)
        direction = self._direction(stream)
        record = records.telegram(each.at, tale.name or "", direction, each.frame, msg=message.name if message is not None else None)
        exchange = self._pairing.exchange(stream.connection, message, each.frame)
        if exchange is not None:
            record["x"] = exchange
        if each.began != each.at:
            record["t1"] = each.began
        marks = [name for bit, name in FLAGS if each.flags & bit] + (["after_gap"] if each.after_gap else [])
        if marks:
            record["q"] = marks
        record["src"] = {"file": self._file.name, "frames": [each.first, each.last]}
        if message is None and not self._spec.is_poll(each.frame):
            record["err"] = "E-RTE-01"
        elif message is not None and not message.min_frame <= len(each.frame) <= message.max_frame:
            record["err"] = "E-FRM-07" if len(each.frame) > message.max_frame else "E-FRM-08"
        assert tale.host is not None
        tale.host.telegrams += 1
        self.found.strange += "err" in record
        self.found.telegrams += 1
        self._put(each.at, REQUEST if direction == ">" else REPLY, record)

    def _doubt(self, stream: Stream, tale: _Tale, each: Cut) -> None:
        """Any protocol has bytes that could be a telegram's: a connection is ours from its first telegram of the spec on."""
        tale.doubted.append((stream, each))
        if len(tale.doubted) >= DOUBTED_AT_MOST:
            tale.doubted.clear()
            for each_way in stream.connection.streams:
                assert isinstance(each_way.reader_state, _Side)
                each_way.reader_state.cutter.foreign = True

    def _begin(self, stream: Stream, tale: _Tale, first: int, *, answers: bool) -> None:
        """The first telegram of a connection: now it is one of ours, and who asks can be told."""
        connection = stream.connection
        self.found.connections += 1
        tale.name = f"c{self.found.connections}"
        known = "SYN"
        if connection.initiator is None:
            connection.initiator, known = self._asker(stream, answers=answers)
        sender, port, receiver, at_port = ends(connection.initiator.flow)
        at = max(tale.at, first)  # that it is one of ours was not known before
        opened = records.opened(
            at, tale.name, leg="front", peer=_address(sender, port), local=_address(receiver, at_port), syn=connection.syn
        )
        if at != tale.at:
            opened["t1"] = tale.at
        tale.at = at
        address = opened["local"] if len(self.found.hosts) < HOSTS_AT_MOST else "others"
        tale.host = self.found.hosts.setdefault(address, Asked(known=known))
        tale.host.connections += 1
        self._put(at, OPEN, opened)

    def _asker(self, stream: Stream, *, answers: bool) -> tuple[Stream, str]:
        """Who connected, where that was not seen, and by what it is known."""
        streams = stream.connection.streams
        for known, is_host in (
            ("port", lambda address, port: port == self._port),
            ("host", lambda address, port: _address(address, port) in self.found.hosts),
            ("low", lambda address, port: port < EPHEMERAL),
        ):
            asking = [each for each in streams if is_host(*ends(each.flow)[2:])]
            if len(asking) == 1:
                return asking[0], known
        return stream.other if answers else stream, "requests"

    def _losses(self, tale: _Tale) -> None:
        for stream, each in tale.losses:
            name, direction = tale.name or "", self._direction(stream)
            at = max(each.at, tale.at)
            if each.size == 0:
                if each.passed:
                    self.found.junk += 1
                    self._put(at, LOSS, records.junk(at, name, direction, each.junk, err=each.why or "E-FRM-01", len=each.passed))
                continue
            if each.size is None and not each.passed:
                continue  # its beginning was not seen, and it began with a telegram
            self.found.gaps += 1
            self.found.lost += each.telegrams
            record = records.gap(at, name, direction, offset=each.offset, size=each.size, resync=each.passed, lost=each.telegrams)
            self._put(at, LOSS, record)
            self._story(name, direction, each)
        tale.losses.clear()

    def _story(self, name: str, direction: Direction, each: Lost) -> None:
        missing = (
            "bytes before the capture began are missing" if each.size is None else f"{each.size:,} bytes missing at offset {each.offset:,}"
        )
        where = f"in step again at frame {each.last}" if each.last else "nothing came behind them"
        if len(self.found.stories) < STRANGERS_TOLD:
            self.found.stories.append(f"{self._file.name}: {missing} on {name} {direction}; about {each.telegrams} telegrams lost, {where}")

    def _strange(self, connection: Connection) -> None:
        self.found.other += 1
        sides = [stream.reader_state for stream in connection.streams]
        begins = [side.begin for side in sides if isinstance(side, _Side) and side.begin]
        if not begins or len(self.found.strangers) >= STRANGERS_TOLD:
            return
        known = next((name for name in map(foreign_protocol, begins) if name is not None), None)
        sender, port, receiver, at_port = ends((connection.initiator or connection.streams[0]).flow)
        what = known[1] if known is not None else f"no telegrams of {self._spec.name}"
        text = f"{_address(sender, port)} to {_address(receiver, at_port)}: {what}"
        if known is not None and known[1] == "TLS":
            text += ", which cannot be read here: capture at the router, where it is decrypted"
        self.found.strangers.append(text)

    @staticmethod
    def _direction(stream: Stream) -> Direction:
        return ">" if stream is stream.connection.initiator else "<"

    def _put(self, at: int, rank: int, record: Record) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at, rank, self._order, record))

    def _release(self, before: int | None) -> None:
        """Write what is older than anything that can still come."""
        heap = self._heap
        while heap and (before is None or heap[0][0] < before):
            self._write(heapq.heappop(heap)[3])


class _Side:
    """What is known of one direction."""

    __slots__ = ("begin", "cutter")

    def __init__(self, spec: Spec, *, in_step: bool) -> None:
        self.cutter = Cutter(spec, in_step=in_step)
        self.begin = b""  # its first bytes, to tell what it is when it is not ours


class _Tale:
    """What is told of one connection."""

    __slots__ = ("at", "doubted", "host", "losses", "name")

    def __init__(self, at: int) -> None:
        self.at = at
        self.name: str | None = None  # None before its first telegram
        self.host: Asked | None = None
        self.losses: list[tuple[Stream, Lost]] = []
        self.doubted: list[tuple[Stream, Cut]] = []  # DOUBTED_AT_MOST telegrams that are none of the spec, before the first that is


def _address(host: bytes, port: int) -> str:
    address = ipaddress.ip_address(host)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
