"""A stream of chance that is the same on every machine and with every Python: whoever has the seed has the same telegrams."""

# The stream is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). Its state begins as
# the first eight bytes, big-endian, of the SHA-256 of the seed's parts as UTF-8, each followed by a zero byte.

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_WORD: Final = (1 << 64) - 1


class Chance:
    """Numbers that look random and follow from the seed alone. Not for secrets."""

    def __init__(self, *seed: object) -> None:
        parts = b"".join(str(part).encode("utf-8") + b"\0" for part in seed)
        self._state = int.from_bytes(hashlib.sha256(parts).digest()[:8], "big")

    def word(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        return mixed ^ (mixed >> 31)

    def below(self, end: int) -> int:
        """A number from 0, below `end`. 64 bits more than needed are drawn, so that no number is noticeably likelier."""
        drawn = self.word()
        for _ in range((end.bit_length() + 63) // 64):
            drawn = drawn << 64 | self.word()
        return drawn % end

    def between(self, least: int, most: int) -> int:
        """A number from `least` to `most`, both included."""
        return least + self.below(most - least + 1)

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def once_in(self, times: int) -> bool:
        """True once in so many times."""
        return self.below(times) == 0
