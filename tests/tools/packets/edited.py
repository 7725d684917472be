"""A recording of the loopback as a worse line would have given it: packets late, lost and sent again, doubled, in pieces."""

from __future__ import annotations

import random
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any

ETHERNET = 14


@dataclass
class Packet:
    at: tuple[int, int]
    head: bytes  # of link, IP and TCP
    payload: bytes

    @property
    def ends(self) -> bytes:
        """The two ports, as this packet has them."""
        return self._tcp[:4]

    @property
    def back(self) -> bytes:
        return self.ends[2:] + self.ends[:2]

    @property
    def sequence(self) -> int:
        return int.from_bytes(self._tcp[4:8])

    @property
    def acknowledged(self) -> int:
        return int.from_bytes(self._tcp[8:12])

    @property
    def ends_something(self) -> bool:
        return bool(self._tcp[13] & 7)  # FIN, SYN or RST

    @property
    def _tcp(self) -> bytes:
        return self.head[ETHERNET + 20 :]

    def part(self, start: int, stop: int) -> Packet:
        """The same with some of its bytes."""
        payload = self.payload[start:stop]
        total = struct.pack(">H", len(self.head) - ETHERNET + len(payload))
        head = self.head[: ETHERNET + 2] + total + self.head[ETHERNET + 4 :]
        place = ETHERNET + 24
        return Packet(self.at, head[:place] + struct.pack(">I", (self.sequence + start) % 2**32) + head[place + 4 :], payload)


def parsed(data: bytes) -> tuple[bytes, list[Packet]]:
    """The head of a little-endian pcap of Ethernet, and its TCP packets over IPv4."""
    found, place = [], 24
    while place + 16 <= len(data):
        seconds, fraction, size, _ = struct.unpack_from("<IIII", data, place)
        raw = data[place + 16 : place + 16 + size]
        place += 16 + size
        whole = ETHERNET + int.from_bytes(raw[ETHERNET + 2 : ETHERNET + 4])
        front = ETHERNET + 20 + (raw[ETHERNET + 32] >> 4) * 4
        found.append(Packet((seconds, fraction), raw[:front], raw[front:whole]))
    return data[:24], found


def edited(data: bytes, seed: int) -> tuple[bytes, Counter[str]]:
    """The recording spoilt, and how often in which way. Whatever was sent can still be told from it, without doubt."""
    chance, done = random.Random(seed), Counter[str]()
    head, packets = parsed(data)
    packets = [packet for packet in packets if packet.payload or packet.ends_something or chance.random() < 0.2]  # few acknowledge at once
    placed: list[tuple[float, Packet]] = []
    begun: set[bytes] = set()
    for index, packet in enumerate(packets):
        if not packet.payload or packet.ends not in begun:  # the first of a direction may be all there is to be in step by
            begun |= {packet.ends} if packet.payload else set()
            placed.append((index, packet))
            continue
        room, middle = _room(packets, index), len(packet.payload) // 2
        what = chance.choice(["as it was", "sent again for nothing", "in pieces", "late", "lost and sent again, longer"])
        if room == index and what.startswith(("late", "lost")):
            what = "as it was"
        done[what] += 1
        later = chance.randint(index, room) + 0.5
        if what == "sent again for nothing":
            placed += [(index, packet), (index + chance.randint(0, 20) + 0.5, packet)]
        elif what == "in pieces":
            placed += [(index, packet.part(0, middle)), (index + 0.1, packet.part(middle, len(packet.payload)))]
        elif what == "lost and sent again, longer":
            placed += [(index, packet.part(middle, len(packet.payload))), (later, packet)]
        else:
            placed.append((later if what == "late" else index, packet))
    return head + _written(sorted(placed, key=lambda each: each[0])), done


def _room(packets: list[Packet], index: int) -> int:
    """Up to which packet this one may come late: before the other side says that it has it, and before the end."""
    packet = packets[index]
    for later in range(index + 1, len(packets)):
        other = packets[later]
        if other.ends == packet.back and (other.ends_something or (other.acknowledged - packet.sequence) % 2**32 - 1 < 2**31):
            return later - 1
        if other.ends == packet.ends and other.ends_something:
            return later - 1
    return index


def _written(placed: Any) -> bytes:
    parts, now = [], (0, 0)
    for _, packet in placed:
        now = max(now, packet.at)
        raw = packet.head + packet.payload
        parts.append(struct.pack("<IIII", *now, len(raw), len(raw)) + raw)
    return b"".join(parts)
