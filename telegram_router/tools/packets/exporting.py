"""Captures of telegrams as pcapng, for Wireshark: as telegrams for our dissector, or as packets for tools that want packets."""

from __future__ import annotations

import ipaddress
import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from telegram_router.storage.capture_records import Record

SEGMENT: Final = 1_400  # bytes of a telegram in one packet
_EXPORTED_PDU, _ETHERNET = 252, 1
_DISSECTOR, _IPV4_FROM, _IPV4_TO, _IPV6_FROM, _IPV6_TO, _PORT_TYPE, _PORT_FROM, _PORT_TO = 12, 20, 21, 22, 23, 24, 25, 26  # tags
_TCP_PORTS = 2
_SYN, _ACK, _PSH, _FIN, _RST = 2, 16, 8, 1, 4


def exported(head: Record, every: Iterable[Record], dissector: str) -> Iterator[bytes]:
    """One packet a telegram (LINKTYPE 252), which Wireshark gives to the dissector of that name."""
    yield _section() + _interface(_EXPORTED_PDU)
    ends: dict[str, tuple[str, str]] = {}
    for record in every:
        if record["k"] == "open":
            ends[record["c"]] = (record["peer"], record["local"])
        elif record["k"] == "m":
            peer, local = ends.get(record["c"], ("0.0.0.0:0", "0.0.0.0:0"))
            sender, receiver = (peer, local) if record["d"] == ">" else (local, peer)
            yield _packet(head["t0"] + record["t"], _tags(dissector, sender, receiver) + record["raw"])


def packets(head: Record, every: Iterable[Record]) -> Iterator[bytes]:
    """Ethernet, IP and TCP made up around the telegrams: handshake, segments, acknowledgements, end; checksums are right."""
    yield _section() + _interface(_ETHERNET)
    talks: dict[str, _Talk] = {}
    ports = _Ports()
    at = 0
    for record in every:
        kind = record["k"]
        at = head["t0"] + record.get("t", 0)
        if kind == "open" and record["c"] not in talks:
            talks[record["c"]] = talk = _Talk(*ports.of_its_own(_end(record["peer"]), _end(record["local"])))
            yield from talk.begins(head["t0"] + record.get("t1", record["t"]))
        elif kind == "m":
            if record["c"] not in talks:
                talks[record["c"]] = talk = _Talk(*ports.of_its_own(_end("10.0.0.1:40000"), _end("10.0.0.2:9000")))
                yield from talk.begins(at)
            yield from talks[record["c"]].sends(at, 0 if record["d"] == ">" else 1, record["raw"])
        elif kind == "gap" and record["c"] in talks:
            talks[record["c"]].misses(0 if record["d"] == ">" else 1, (record.get("bytes") or 0) + (record.get("resync") or 0))
        elif kind == "close" and record["c"] in talks:
            talk = talks.pop(record["c"])
            ports.free(talk.client, talk.server)
            yield from talk.ends(at, record)


class _Ports:
    """Which pairs of ends are taken. Captures of a router name its listeners and know no ports: each connection needs a pair of its own."""

    def __init__(self) -> None:
        self._taken: set[tuple[tuple[bytes, int], tuple[bytes, int]]] = set()
        self._made_up = itertools.cycle(range(40_000, 65_000))

    def of_its_own(self, client: tuple[bytes, int], server: tuple[bytes, int]) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
        for port in itertools.islice(self._made_up, 25_000) if not client[1] or (client, server) in self._taken else ():
            client = client[0], port
            if (client, server) not in self._taken:
                break
        self._taken.add((client, server))
        return client, server

    def free(self, client: tuple[bytes, int], server: tuple[bytes, int]) -> None:
        self._taken.discard((client, server))


@dataclass
class _Talk:
    """A TCP connection between two ends, with the stream positions of both."""

    client: tuple[bytes, int]
    server: tuple[bytes, int]
    sent: list[int] = field(default_factory=lambda: [1_000, 5_000])  # next sequence numbers

    def begins(self, at: int) -> Iterator[bytes]:
        yield self._segment(at, 0, _SYN)
        self.sent[0] += 1
        yield self._segment(at, 1, _SYN | _ACK)
        self.sent[1] += 1
        yield self._segment(at, 0, _ACK)

    def sends(self, at: int, side: int, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), SEGMENT):
            piece = data[start : start + SEGMENT]
            yield self._segment(at, side, _ACK | _PSH, piece)
            self.sent[side] += len(piece)

    def misses(self, side: int, size: int) -> None:
        self.sent[side] += size

    def ends(self, at: int, record: Record) -> Iterator[bytes]:
        side = 1 if record.get("by") == "<" else 0
        if record.get("how") == "rst":
            yield self._segment(at, side, _RST | _ACK)
        elif record.get("how") == "fin":
            for each in (side, 1 - side):
                yield self._segment(at, each, _FIN | _ACK)
                self.sent[each] += 1
            yield self._segment(at, side, _ACK)

    def _segment(self, at: int, side: int, flags: int, data: bytes = b"") -> bytes:
        (source, port), (target, to) = (self.client, self.server) if side == 0 else (self.server, self.client)
        seen = self.sent[1 - side] if flags & _ACK else 0
        tcp = struct.pack(">HHIIBBHHH", port, to, self.sent[side] & 0xFFFFFFFF, seen & 0xFFFFFFFF, 0x50, flags, 65_535, 0, 0)
        pseudo = (
            source
            + target
            + (struct.pack(">BBH", 0, 6, len(tcp) + len(data)) if len(source) == 4 else struct.pack(">IHBB", len(tcp) + len(data), 0, 0, 6))
        )
        tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp + data)) + tcp[18:]
        if len(source) == 4:
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0x4000, 64, 6, 0, source, target)
            ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
            kind = 0x0800
        else:
            ip, kind = struct.pack(">IHBB", 0x60000000, 20 + len(data), 6, 64) + source + target, 0x86DD
        return _packet(at, b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + struct.pack(">H", kind) + ip + tcp + data)


def _checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _end(text: str) -> tuple[bytes, int]:
    """Address and port; names and what is no address become one of a network for documentation."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]")).packed
    except ValueError:
        address = ipaddress.ip_address("192.0.2.1").packed
    return address, int(port) if port.isdigit() and int(port) < 65_536 else 0


def _tags(dissector: str, sender: str, receiver: str) -> bytes:
    (source, port), (target, to) = _end(sender), _end(receiver)
    by_version = {4: (_IPV4_FROM, _IPV4_TO), 16: (_IPV6_FROM, _IPV6_TO)}
    fields = [
        (_DISSECTOR, dissector.encode()),
        (by_version[len(source)][0], source),
        (by_version[len(target)][1], target),
        (_PORT_TYPE, struct.pack(">I", _TCP_PORTS)),
        (_PORT_FROM, struct.pack(">I", port)),
        (_PORT_TO, struct.pack(">I", to)),
    ]
    padded = ((tag, value + bytes(-len(value) % 4)) for tag, value in fields)
    return b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in padded) + bytes(4)


def _section() -> bytes:
    return _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def _interface(link_type: int) -> bytes:
    return _block(1, struct.pack("<HHI", link_type, 0, 0) + struct.pack("<HHB3x", 9, 1, 9) + bytes(4))  # times in nanoseconds


def _packet(at: int, data: bytes) -> bytes:
    return _block(6, struct.pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(data), len(data)) + data)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
