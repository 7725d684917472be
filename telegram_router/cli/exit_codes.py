"""Exit codes of capture, replay, simulate and load, and which of them counts when several hold."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

EXIT_FAILED = 1  # of commands that compare nothing
EXIT_DIFFERS, EXIT_USAGE, EXIT_THRESHOLD, EXIT_UNREACHABLE, EXIT_DAMAGED, EXIT_BUG = 1, 2, 3, 4, 5, 70
_OF_CAPTURES: Final = MappingProxyType(
    {
        "E-ADM-06": EXIT_UNREACHABLE,
        "E-CAP-01": EXIT_DAMAGED,
        "E-CAP-02": EXIT_DAMAGED,
        "E-CAP-03": EXIT_DAMAGED,
        "E-CAP-05": EXIT_FAILED,
        "E-CAP-08": EXIT_DAMAGED,
    }
)
_PRECEDENCE: Final = (EXIT_BUG, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_DAMAGED, EXIT_DIFFERS, EXIT_THRESHOLD)


def of_capture(code: str) -> int:
    """Of an error that a file gave."""
    return _OF_CAPTURES.get(code, EXIT_USAGE)


def first_of(codes: Iterable[int]) -> int:
    """The one that goes before all others; 0 for none."""
    found = set(codes)
    return next((code for code in _PRECEDENCE if code in found), 0)
