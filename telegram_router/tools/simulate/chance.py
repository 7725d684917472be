"""Chance that belongs to one decision: it follows from the seed and from what is decided, never from what was drawn before."""

# One stream for all would give message 17 another fate as soon as another connection spoke first, or another rule drew once more.
# So each decision has a number of its own: BLAKE2b (RFC 7693), keyed by the seed, of the scenario, the connection, the message on
# it and the purpose.

from __future__ import annotations

import hashlib
from typing import Final

_WHOLE: Final = 1 << 64


class Draws:
    """All decisions of one scenario under one seed."""

    def __init__(self, seed: int, scenario: str) -> None:
        self.seed = seed
        self._keyed = hashlib.blake2b(key=str(seed).encode("ascii")[:64], digest_size=8)
        self._keyed.update(scenario.encode("utf-8") + b"\0")

    def word(self, connection: int, message: int, purpose: str) -> int:
        """64 bits."""
        keyed = self._keyed.copy()
        keyed.update(f"{connection}\0{message}\0{purpose}".encode())
        return int.from_bytes(keyed.digest(), "big")

    def share(self, connection: int, message: int, purpose: str) -> float:
        """From 0, below 1."""
        return self.word(connection, message, purpose) / _WHOLE

    def octets(self, size: int, connection: int, message: int, purpose: str) -> bytes:
        """So many bytes of no meaning."""
        keyed = self._keyed.copy()
        keyed.update(f"{connection}\0{message}\0{purpose}".encode())
        return hashlib.shake_128(keyed.digest()).digest(size)
