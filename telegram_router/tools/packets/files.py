"""Files of packets: pcap and pcapng, as tcpdump and Wireshark write them, read as a stream and in one pass."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

from telegram_router.storage.capture_records import CaptureError
from telegram_router.storage.gunzip import unpacked

LONGEST: Final = 16 * 1024 * 1024  # bytes of one block or packet
_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_RESOLUTION, _OFFSET = 9, 14  # options of an interface
_PCAP: Final = {  # magic: byte order, nanoseconds of a unit, bytes of a packet's header
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 24),  # the "modified" form of old Linux kernels
    b"\xa1\xb2\xcd\x34": (">", 1_000, 24),
}


class Packet(NamedTuple):
    """One packet. `at` is in nanoseconds since 1970; None where the file does not say."""

    number: int  # from 1, as Wireshark counts
    at: int | None
    link_type: int
    data: bytes
    size: int  # on the wire


class PacketFile:
    """The packets of a file. Raises CaptureError E-CAP-08 at once for what is none. `warnings` grows while it is read."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.warnings: list[str] = []
        self._number = 0
        self._bytes = _Bytes(unpacked(stream, self.warnings.append))
        start = self._bytes.peek(4)
        if start not in _PCAP and start != b"\x0a\x0d\x0d\x0a":
            what = "the file is empty" if not start else "this is no packet capture"
            raise CaptureError("E-CAP-08", what, where=name, expected="pcap or pcapng, perhaps gzipped", do="write one with tcpdump -w")
        self.form = "pcapng" if start not in _PCAP else "pcap"

    def __iter__(self) -> Iterator[Packet]:
        return self._blocks() if self.form == "pcapng" else self._records()

    def _cut_off(self) -> None:
        self.warnings.append(f"{self.name}: the file ends inside packet {self._number + 1}; what is there of it is left out")

    # --- pcap

    def _records(self) -> Iterator[Packet]:
        order, unit, header = _PCAP[self._bytes.take(4) or b""]
        rest = self._bytes.take(20)
        if rest is None:
            self._cut_off()
            return
        link_type = struct.unpack_from(order + "I", rest, 16)[0] & 0xFFFF
        unpack = struct.Struct(order + "IIII").unpack_from
        take = self._bytes.take
        number = 0
        while (fields := take(header)) is not None:
            seconds, fraction, captured, size = unpack(fields)
            if captured > LONGEST:
                self.warnings.append(
                    f"{self.name}: packet {number + 1} is said to have {captured:,} bytes: the file is damaged from there on"
                )
                return
            data = take(captured)
            if data is None:
                break
            self._number = number = number + 1
            yield Packet(number, seconds * 1_000_000_000 + fraction * unit, link_type, data, max(size, captured))
        if self._bytes.rest:
            self._cut_off()

    # --- pcapng

    def _blocks(self) -> Iterator[Packet]:
        order = "<"
        interfaces: list[_Interface] = []
        last: int | None = None
        while True:
            head = self._bytes.take(8)
            if head is None:
                break
            kind = int.from_bytes(head[:4], "little" if order == "<" else "big")
            if head[:4] == b"\x0a\x0d\x0d\x0a":
                mark = self._bytes.peek(4)
                if len(mark) < 4:
                    break
                order = "<" if mark == b"\x4d\x3c\x2b\x1a" else ">"
                interfaces, kind = [], _SECTION
            length = struct.unpack(order + "I", head[4:])[0]
            if length < 12 or length % 4 or length > LONGEST:
                self.warnings.append(
                    f"{self.name}: a block behind packet {self._number} has no possible length: the file is damaged from there on"
                )
                return
            body = self._bytes.take(length - 8)
            if body is None:
                break
            body = body[:-4]
            if kind == _INTERFACE and len(body) >= 8:
                interfaces.append(_interface(order, body))
            elif kind in (_PACKET, _SIMPLE, _ENHANCED):
                packet = self._packet(kind, order, body, interfaces, last)
                if packet is not None:
                    last = packet.at
                    yield packet
        if self._bytes.rest:
            self._cut_off()

    def _packet(self, kind: int, order: str, body: bytes, interfaces: list[_Interface], last: int | None) -> Packet | None:
        self._number += 1
        layout = {_ENHANCED: "IIIII", _PACKET: "HHIIII", _SIMPLE: "I"}[kind]
        start = struct.calcsize(order + layout)
        if len(body) < start:
            self.warnings.append(f"{self.name}: packet {self._number} is too short to be one; it is left out")
            return None
        fields = struct.unpack_from(order + layout, body)
        index = 0 if kind == _SIMPLE else fields[0]
        if index >= len(interfaces):
            self.warnings.append(f"{self.name}: packet {self._number} is of an interface that the file does not describe; it is left out")
            return None
        interface = interfaces[index]
        if kind == _SIMPLE:
            size = fields[0]
            captured = min(size, len(body) - start, interface.snaplen or size)
            return Packet(self._number, last, interface.link_type, body[start : start + captured], size)
        high, low, captured, size = fields[-4:]
        if captured > len(body) - start:
            self.warnings.append(f"{self.name}: packet {self._number} is longer than its block; it is left out")
            return None
        return Packet(
            self._number, interface.at(high << 32 | low), interface.link_type, body[start : start + captured], max(size, captured)
        )


class _Interface(NamedTuple):
    link_type: int
    snaplen: int
    at: Callable[[int], int]  # from its units to nanoseconds


def _interface(order: str, body: bytes) -> _Interface:
    link_type, _, snaplen = struct.unpack_from(order + "HHI", body)
    resolution, offset = 6, 0
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == 0:
            break
        if code == _RESOLUTION and length == 1:
            resolution = value[0]
        elif code == _OFFSET and length == 8:
            offset = struct.unpack(order + "q", value)[0]
        at += 4 + length + -length % 4
    exponent = resolution & 0x7F
    if resolution & 0x80:
        return _Interface(link_type, snaplen, lambda units: (units * 1_000_000_000 >> exponent) + offset * 1_000_000_000)
    if exponent <= 9:
        factor = 10 ** (9 - exponent)
        return _Interface(link_type, snaplen, lambda units: units * factor + offset * 1_000_000_000)
    divisor = 10 ** (exponent - 9)
    return _Interface(link_type, snaplen, lambda units: units // divisor + offset * 1_000_000_000)


class _Bytes:
    """Bytes of a stream, so many at a time."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0

    @property
    def rest(self) -> int:
        """Bytes at the end that were not enough for what was wanted."""
        return len(self._buffer) - self._at

    def take(self, size: int) -> bytes | None:
        """Exactly so many; None where there are fewer."""
        at = self._at
        end = at + size
        if end > len(self._buffer):
            if not self._fill(size):
                return None
            at, end = 0, size
        self._at = end
        return self._buffer[at:end]

    def peek(self, size: int) -> bytes:
        self._fill(size)
        return self._buffer[self._at : self._at + size]

    def _fill(self, size: int) -> bool:
        if len(self._buffer) - self._at >= size:
            self._buffer, self._at = self._buffer[self._at :], 0
            return True
        parts, have = [self._buffer[self._at :]], len(self._buffer) - self._at
        while have < size and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._buffer, self._at = b"".join(parts), 0
        return have >= size
