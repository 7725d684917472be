"""From a packet to its TCP segment: link layers, VLAN tags, IPv4 with options and fragments, IPv6 with extension headers."""

# Rules this file keeps:
#
# 1. The length comes from the IP header: what Ethernet pads a short frame with never enters a stream.
# 2. Bytes that the capture cut off (snaplen) are counted as missing, never made up.

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Final, NamedTuple

from telegram_router.tools.packets.files import Packet

FIN, SYN, RST, ACK = 1, 2, 4, 16
ETHERNET, NULL, LOOP, SLL, SLL2 = 1, 0, 108, 113, 276
RAW: Final = frozenset({12, 14, 101, 228, 229})
FRAGMENTED_AT_MOST: Final = 1_000  # datagrams that wait for their other fragments
_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
_tcp = struct.Struct(">IIBB").unpack_from


class Segment(NamedTuple):
    """A TCP segment. `flow` is both addresses and both ports as bytes, the sender's first."""

    number: int
    at: int | None
    flow: bytes
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes
    missing: int  # bytes of the payload that the capture does not have, at its end


class Segments:
    """Takes packets, gives segments. `unknown` counts link types that it cannot read, `other` what is no TCP."""

    def __init__(self) -> None:
        self.unknown: dict[int, int] = {}
        self.other = 0
        self.cut = 0  # packets of which whoever recorded kept only the beginning
        self.damaged = 0
        self._fragments: OrderedDict[bytes, _Fragments] = OrderedDict()

    def segment(self, packet: Packet) -> Segment | None:
        """The TCP segment of a packet; None where it holds none, or not the last part of one."""
        data = packet.data
        try:
            if packet.link_type == ETHERNET and data[12:14] == b"\x08\x00":
                return self._ipv4(packet, data, 14)
            place = self._network(packet.link_type, data)
            if place is None:
                return None
            kind, at = place
            if kind == _IPV4:
                return self._ipv4(packet, data, at)
            return self._ipv6(packet, data, at)
        except (IndexError, struct.error):  # too short for what it says that it is
            self.damaged += 1
            return None

    def _network(self, link_type: int, data: bytes) -> tuple[int, int] | None:
        """Which protocol begins at which byte; None for what is neither IPv4 nor IPv6."""
        if link_type == ETHERNET:
            kind, at = int.from_bytes(data[12:14], "big"), 14
            while kind in _TAGS:
                kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif link_type in RAW:
            kind, at = {4: _IPV4, 6: _IPV6}.get(data[0] >> 4, 0), 0
        elif link_type in (NULL, LOOP):
            kind, at = {4: _IPV4, 6: _IPV6}.get(data[4] >> 4, 0), 4  # the family's number differs between systems, the version does not
        elif link_type == SLL:
            kind, at = int.from_bytes(data[14:16], "big"), 16
            while kind in _TAGS:
                kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif link_type == SLL2:
            kind, at = int.from_bytes(data[0:2], "big"), 20
            while kind in _TAGS:
                kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        else:
            self.unknown[link_type] = self.unknown.get(link_type, 0) + 1
            return None
        if kind in (_IPV4, _IPV6):
            return kind, at
        self.other += 1
        return None

    def _ipv4(self, packet: Packet, data: bytes, at: int) -> Segment | None:
        first = data[at]
        if first >> 4 != 4 or data[at + 9] != 6:
            self.other += 1
            return None
        header = (first & 15) * 4
        # An adapter that cuts segments itself shows the kernel's packet before that, with a length of zero.
        total = (data[at + 2] << 8 | data[at + 3]) or packet.size - at
        fragment = data[at + 6] << 8 | data[at + 7]
        if fragment & 0x3FFF:
            key = data[at + 12 : at + 20] + data[at + 4 : at + 6]
            size = total - header
            part = data[at + header : at + total]
            whole = self._together(key, (fragment & 0x1FFF) * 8, part, size, last=not fragment & 0x2000)
            return None if whole is None else self._tcp(packet, data[at + 12 : at + 20], *whole)
        start = at + header
        return self._tcp(packet, data[at + 12 : at + 20], data[start : at + total], total - header)

    def _ipv6(self, packet: Packet, data: bytes, at: int) -> Segment | None:
        if data[at] >> 4 != 6:
            self.other += 1
            return None
        addresses = data[at + 8 : at + 40]
        size = (data[at + 4] << 8 | data[at + 5]) or packet.size - at - 40
        kind, start = data[at + 6], at + 40
        end = start + size
        while kind != 6:
            if kind in _EXTENSIONS:
                kind, length = data[start], (data[start + 1] + 1) * 8
            elif kind == 51:  # authentication
                kind, length = data[start], (data[start + 1] + 2) * 4
            elif kind == 44 and data[start] == 6:
                offset = data[start + 2] << 8 | data[start + 3]
                key = addresses + data[start + 4 : start + 8]
                part = data[start + 8 : end]
                whole = self._together(key, offset & 0xFFF8, part, end - start - 8, last=not offset & 1)
                return None if whole is None else self._tcp(packet, addresses, *whole)
            else:
                self.other += 1
                return None
            start += length
        return self._tcp(packet, addresses, data[start:end], end - start)

    def _tcp(self, packet: Packet, addresses: bytes, data: bytes, size: int) -> Segment:
        sequence, acknowledged, offset, flags = _tcp(data, 4)
        start = (offset >> 4) * 4
        payload = data[start:]
        missing = max(size - len(data), 0)
        if missing:
            self.cut += 1
        return Segment(packet.number, packet.at, addresses + data[:4], sequence, acknowledged, flags, payload, missing)

    def _together(self, key: bytes, offset: int, part: bytes, size: int, *, last: bool) -> tuple[bytes, int] | None:
        """The datagram, once every fragment of it is there, and its size."""
        found = self._fragments.setdefault(key, _Fragments())
        found.add(offset, part, size, last=last)
        whole = found.whole()
        if whole is not None:
            del self._fragments[key]
        elif len(self._fragments) > FRAGMENTED_AT_MOST:
            self._fragments.popitem(last=False)
        return whole


class _Fragments:
    """The fragments of one datagram. The first that covers a byte wins."""

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}
        self.end: int | None = None
        self.cut = False

    def add(self, offset: int, part: bytes, size: int, *, last: bool) -> None:
        self.cut = self.cut or len(part) < size
        self.parts.setdefault(offset, part)
        if last:
            self.end = offset + size

    def whole(self) -> tuple[bytes, int] | None:
        if self.end is None:
            return None
        data = b""
        for offset in sorted(self.parts):
            if offset > len(data):
                break
            data += self.parts[offset][len(data) - offset :]
        if len(data) >= self.end:
            return data[: self.end], self.end
        return (data, self.end) if self.cut and min(self.parts) == 0 else None
