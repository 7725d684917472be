"""Random hexadecimal digits from the kernel, for trace ids."""

from __future__ import annotations

import os
from binascii import hexlify
from collections.abc import Iterator

AT_ONCE = 24 * 256  # bytes that the kernel is asked for


def random_digits() -> Iterator[bytes]:
    """48 digits at a time, in lower case."""
    while True:
        digits = hexlify(os.urandom(AT_ONCE))
        for at in range(0, len(digits), 48):
            yield digits[at : at + 48]
