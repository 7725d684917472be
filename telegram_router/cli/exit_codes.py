"""Exit codes of capture, replay, simulate and load, and which of them counts when several hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

EXIT_DIFFERS, EXIT_USAGE, EXIT_THRESHOLD, EXIT_UNREACHABLE, EXIT_DAMAGED, EXIT_BUG = 1, 2, 3, 4, 5, 70
_PRECEDENCE: Final = (EXIT_BUG, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_DAMAGED, EXIT_DIFFERS, EXIT_THRESHOLD)


def first_of(codes: Iterable[int]) -> int:
    """The one that goes before all others; 0 for none."""
    found = set(codes)
    return next((code for code in _PRECEDENCE if code in found), 0)
