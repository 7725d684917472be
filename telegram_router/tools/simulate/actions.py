"""What a simulation wants done: bytes written, connections ended. The driver does it, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

How: TypeAlias = Literal["fin", "rst", "half_close", "vanish"]


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes now, in one call."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """End a connection: whatever was sent before goes out first, unless it is a reset."""

    connection: int
    how: How


@dataclass(frozen=True, slots=True)
class Deafen:
    """Read nothing from it any more."""

    connection: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Ask somebody else: what comes back goes to the connection."""

    connection: int
    frame: bytes


Action: TypeAlias = Send | End | Deafen | Forward
