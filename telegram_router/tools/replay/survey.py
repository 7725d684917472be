"""A first look at a capture, before anything is sent: its addresses, and how many telegrams it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from telegram_router.storage.capture_records import decode_line
from telegram_router.storage.gunzip import unpacked

ADDRESSES_KEPT: Final = 100_000


@dataclass
class Survey:
    telegrams: int = 0
    addresses: set[str] = field(default_factory=set)


def survey(path: Path) -> Survey:
    """Read the lines of a capture as fast as that can be done: only those of connections are understood."""
    found, rest = Survey(), b""
    with path.open("rb") as stream:
        for chunk in unpacked(stream, lambda problem: None):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            _look(lines, found)
    _look([rest], found)
    return found


def _look(lines: Iterable[bytes], found: Survey) -> None:
    for line in lines:
        if b'"open"' in line:
            _address(line, found)
        elif b'"raw"' in line and b'"m"' in line:
            found.telegrams += 1


def _address(line: bytes, found: Survey) -> None:
    try:
        record = decode_line(line)
    except Exception:  # of msgspec, and what foreign bytes make of it; whoever reads the capture tells of damage
        return
    if record.get("k") == "open" and len(found.addresses) < ADDRESSES_KEPT:
        found.addresses |= {str(record[name]) for name in ("peer", "local") if record.get(name)}
