"""Captures written byte by byte, and what tshark makes of them with a dissector of ours."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from telegram_router.telegrams import Spec
from telegram_router.telegrams.exporters.lua import dissector

ASKER, ANSWERER = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"
RAW_IP = 101  # the link type: packets begin with their IP header

Segment = tuple[int, bool, bytes]  # port, from the asker or not, content of one TCP segment


def checksum(header: bytes) -> int:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def capture(segments: Iterable[Segment]) -> bytes:
    """A capture file (libpcap 2.4) of TCP segments without their handshakes, one connection for each port."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)]
    sent: dict[tuple[int, bool], int] = {}
    for number, (port, asks, content) in enumerate(segments):
        ports = (40000, port) if asks else (port, 40000)
        ends = (ASKER, ANSWERER) if asks else (ANSWERER, ASKER)
        at, seen = sent.get((port, asks), 1000), sent.get((port, not asks), 1000)
        tcp = struct.pack(">HHIIBBHHH", *ports, at, seen, 0x50, 0x18, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(content), number & 0xFFFF, 0x4000, 64, 6, 0, *ends)
        packet = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + tcp + content
        out.append(struct.pack("<IIII", 1_700_000_000 + number, 0, len(packet), len(packet)) + packet)
        sent[port, asks] = at + len(content)
    return b"".join(out)


def cut(stream: bytes, sizes: Sequence[int]) -> list[bytes]:
    """A stream in pieces of these sizes, again and again."""
    pieces, at, turn = [], 0, 0
    while at < len(stream):
        pieces.append(stream[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    return pieces


@dataclass
class Dissected:
    """One telegram as tshark shows it."""

    port: int
    info: str  # the packet's Info column
    fields: dict[str, list[str]] = field(default_factory=dict)  # value of each field by its filter name
    shown: list[str] = field(default_factory=list)  # every line of the tree
    experts: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        return self.fields["message"][0]


def dissect(folder: Path, specs: Mapping[int, Spec], file: bytes, *options: str) -> list[Dissected]:
    """Every telegram that tshark finds in a capture, each port in the words of its spec."""
    (folder / "capture.pcap").write_bytes(file)
    names = dict.fromkeys(spec.name for spec in specs.values())
    arguments = [
        "-r",
        str(folder / "capture.pcap"),
        "-T",
        "pdml",
        "-J",
        " ".join(["tcp", *(f"telegram.{name}" for name in names)]),
        *options,
    ]
    for spec in {spec.name: spec for spec in specs.values()}.values():
        script = folder / f"{spec.name}.lua"
        script.write_text(dissector(spec), "utf-8")
        arguments += ["-X", f"lua_script:{script}"]
    for port, spec in specs.items():
        arguments += ["-d", f"tcp.port=={port},telegram.{spec.name}"]
    return [each for packet in ElementTree.fromstring(tshark(*arguments)) for each in _telegrams(packet)]


def tshark(*arguments: str) -> str:
    """What tshark writes. A complaint about a Lua script is an error; that it runs as root is not."""
    done = subprocess.run(["tshark", *arguments], capture_output=True, check=False, timeout=120)
    said = done.stderr.decode()
    assert done.returncode == 0 and "Lua" not in said, said
    written = done.stdout.decode()
    assert "Lua Error" not in written
    return written


def _telegrams(packet: ElementTree.Element) -> Iterable[Dissected]:
    port = min(int(packet.find(f".//field[@name='tcp.{end}port']").get("show")) for end in ("src", "dst"))  # type: ignore[union-attr, arg-type]
    for proto in packet.iter("proto"):
        name = proto.get("name", "")
        if name.startswith("telegram."):
            yield _dissected(proto, name, Dissected(port, ""))


def _dissected(proto: ElementTree.Element, name: str, made: Dissected) -> Dissected:
    made.shown.append(proto.get("showname", ""))
    for each in proto.iter("field"):
        field_name = each.get("name", "")
        if field_name == "_ws.expert.message":
            made.experts.append(each.get("show", ""))
        elif field_name.startswith(f"{name}."):
            made.fields.setdefault(field_name.removeprefix(f"{name}."), []).append(each.get("show", ""))
        made.shown.append(each.get("showname") or each.get("show", ""))
    return made
