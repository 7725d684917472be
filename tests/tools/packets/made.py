"""Packet captures composed byte by byte: Ethernet, IPv4 and IPv6, TCP; as pcap and pcapng of every form."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from construct import Struct

from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Code, Digits, Family, Framing, LengthField, Message, Plus, Spec, Text, compile_family
from telegram_router.tools.packets.files import PacketFile
from telegram_router.tools.packets.importing import Imported, Importer

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
T0 = 1_700_000_000_000_000_000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


@cache
def small() -> Spec:
    """Telegrams of 64 bytes with their length in front: type, number, text."""
    return compile_family(
        Family(
            name="small",
            title="small telegrams",
            version="1",
            encoding="ascii",
            framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload")),
            header=Struct("type" / Code(4, log="clear"), "number" / Digits(6, log="clear")),
            key=("type",),
            correlation=("number",),
            reply_rule=Plus("type", 10),
            messages=[
                Message("ask", "a request", ("0200",), Struct("text" / Text(50))),
                Message("answer", "its reply", ("0210",), Struct("text" / Text(50)), kind="reply"),
            ],
        )
    )


def ask(number: int, kind: str = "0200") -> bytes:
    return b"0060" + f"{kind}{number:06}".encode() + f"telegram {number}".encode().ljust(50)


def answer(number: int) -> bytes:
    return ask(number, "0210")


def numbers(found: Iterable[Record], kind: str = "0200") -> list[int]:
    """The numbers of the telegrams among records."""
    return [int(record["raw"][8:14]) for record in found if record["k"] == "m" and record["raw"][4:8] == kind.encode()]


# --- packets


def address(text: str) -> bytes:
    import ipaddress

    return ipaddress.ip_address(text).packed


def tcp(ports: tuple[int, int], sequence: int, acknowledged: int, flags: int, payload: bytes, options: bytes = b"") -> bytes:
    offset = (5 + len(options) // 4) << 4
    head = struct.pack(">HHIIBBHHH", *ports, sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, offset, flags, 65_535, 0, 0)
    return head + options + payload


def ipv4(
    ends: tuple[str, str], content: bytes, *, options: bytes = b"", fragment: int = 0, identity: int = 1, total: int | None = None
) -> bytes:
    size = 20 + len(options) + len(content)
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, size if total is None else total, identity, fragment, 64, 6, 0)
    return head + address(ends[0]) + address(ends[1]) + options + content


def ipv6(ends: tuple[str, str], content: bytes, *, extensions: bytes = b"", kind: int = 6) -> bytes:
    head = struct.pack(">IHBB", 0x60000000, len(extensions) + len(content), kind, 64)
    return head + address(ends[0]) + address(ends[1]) + extensions + content


def ethernet(content: bytes, kind: int = 0x0800, tags: bytes = b"") -> bytes:
    return b"\x02" * 6 + b"\x04" * 6 + tags + struct.pack(">H", kind) + content


@dataclass
class Packet:
    """One packet as it is to stand in a file."""

    data: bytes
    at: int = T0
    size: int | None = None  # on the wire, where the capture has less
    interface: int = 0


# --- files


def pcap(packets: Iterable[Packet], *, order: str = "<", nano: bool = False, modified: bool = False, link_type: int = 1) -> bytes:
    magic = 0xA1B2CD34 if modified else 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link_type)]
    for packet in packets:
        fraction = packet.at % 1_000_000_000
        out.append(
            struct.pack(
                order + "IIII",
                packet.at // 1_000_000_000,
                fraction if nano else fraction // 1_000,
                len(packet.data),
                packet.size or len(packet.data),
            )
        )
        out.append((struct.pack(order + "IHBB", 0, 0, 0, 0) if modified else b"") + packet.data)
    return b"".join(out)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", link_type: int = 1, resolution: int | None = None, offset: int | None = None, snaplen: int = 0) -> bytes:
    options = b""
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset is not None:
        options += struct.pack(order + "HHq", 14, 8, offset)
    return block(
        order, 1, struct.pack(order + "HHI", link_type, 0, snaplen) + options + (struct.pack(order + "HH", 0, 0) if options else b"")
    )


def enhanced(packet: Packet, order: str = "<", units: Callable[[int], int] = lambda at: at // 1_000) -> bytes:
    at = units(packet.at)
    padded = packet.data + bytes(-len(packet.data) % 4)
    head = struct.pack(order + "IIIII", packet.interface, at >> 32, at & 0xFFFFFFFF, len(packet.data), packet.size or len(packet.data))
    return block(order, 6, head + padded)


def simple(packet: Packet, order: str = "<") -> bytes:
    return block(order, 3, struct.pack(order + "I", packet.size or len(packet.data)) + packet.data)


def obsolete(packet: Packet, order: str = "<") -> bytes:
    at = packet.at // 1_000
    head = struct.pack(order + "HHIIII", packet.interface, 0, at >> 32, at & 0xFFFFFFFF, len(packet.data), packet.size or len(packet.data))
    return block(order, 2, head + packet.data)


def pcapng(packets: Iterable[Packet], order: str = "<") -> bytes:
    return section(order) + interface(order) + b"".join(enhanced(packet, order) for packet in packets)


FORMS: dict[str, Callable[[Sequence[Packet]], bytes]] = {
    "pcap": pcap,
    "pcap-ns": lambda packets: pcap(packets, nano=True),
    "pcap-big-endian": lambda packets: pcap(packets, order=">"),
    "pcap-modified": lambda packets: pcap(packets, modified=True),
    "pcapng": pcapng,
    "pcapng-big-endian": lambda packets: pcapng(packets, order=">"),
    "pcap-gz": lambda packets: gzip.compress(pcap(packets), mtime=0),
    "pcapng-gz": lambda packets: gzip.compress(pcapng(packets), mtime=0),
}


# --- conversations


@dataclass
class Talk:
    """A TCP connection whose packets are composed as they are asked for. Sequence numbers begin shortly before they wrap."""

    isn: tuple[int, int] = (0xFFFFFFFF - 100, 0xFFFFFFFF - 40)
    ports: tuple[int, int] = (40_000, 9_000)
    hosts: tuple[str, str] = (CLIENT, SERVER)
    at: int = T0
    step: int = 1_000_000
    wrap: Callable[[tuple[str, str], bytes], bytes] = field(default=lambda ends, content: ethernet(ipv4(ends, content)))
    sent: list[int] = field(default_factory=lambda: [0, 0])  # stream positions of client and server

    def packet(
        self, side: int, flags: int, payload: bytes = b"", *, position: int | None = None, acknowledged: int | None = None
    ) -> Packet:
        """One packet of the client (0) or the server (1)."""
        start = self.sent[side] if position is None else position
        seen = self.sent[1 - side] if acknowledged is None else acknowledged
        sequence = self.isn[side] + (0 if flags & SYN else 1 + start)
        ports = self.ports if side == 0 else self.ports[::-1]
        hosts = self.hosts if side == 0 else self.hosts[::-1]
        content = tcp(ports, sequence, self.isn[1 - side] + 1 + seen if flags & ACK else 0, flags, payload)
        self.at += self.step
        return Packet(self.wrap(hosts, content), self.at)

    def handshake(self) -> list[Packet]:
        return [self.packet(0, SYN), self.packet(1, SYN | ACK), self.packet(0, ACK)]

    def sends(self, side: int, payload: bytes, **more: int) -> Packet:
        made = self.packet(side, ACK | PSH, payload, **more)
        if "position" not in more:
            self.sent[side] += len(payload)
        return made

    def finish(self) -> list[Packet]:
        made = [self.packet(0, FIN | ACK)]
        made.append(self.packet(1, FIN | ACK, acknowledged=self.sent[0] + 1))
        return [*made, self.packet(0, ACK, position=self.sent[0] + 1, acknowledged=self.sent[1] + 1)]


def later(packet: Packet, nanos: int) -> Packet:
    return replace(packet, at=packet.at + nanos)


# --- importing


def imported(data: bytes, spec: Spec | None = None, port: int | None = None, name: str = "day.pcap") -> tuple[list[Record], Imported]:
    """The records of a packet capture, and what was said of it."""
    file = PacketFile(io.BytesIO(data), name)
    found: list[Record] = []
    report = Importer(file, spec or small(), found.append, port).run(lambda t0: None)
    return found, report
