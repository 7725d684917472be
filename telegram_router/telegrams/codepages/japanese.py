"""cp932 as Windows and the C library write it: IBM's additions, 髙 and 﨑 among them, by IBM's codes and not by NEC's.

Both codes read as the same character. Python writes NEC's, which many hosts do not have.
"""

from __future__ import annotations

import codecs
import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CP932: Final = "cp932_windows"


class WindowsPage:
    """The code page under its name `cp932_windows`."""

    name = CP932

    @cached_property
    def _codes(self) -> dict[str, bytes]:
        """IBM's codes of the characters that Python writes by NEC's."""
        codes = (bytes((first, second)) for first in range(0xFA, 0xFD) for second in range(0x40, 0xFD))
        known = ((code.decode("cp932", "ignore"), code) for code in codes)
        return {text: code for text, code in known if text and text.encode("cp932")[0] in (0xED, 0xEE)}

    @cached_property
    def _split(self) -> re.Pattern[str]:
        return re.compile(f"([{''.join(self._codes)}])")

    def encode(self, text: str, errors: str = "strict") -> tuple[bytes, int]:
        """As Python's codecs do."""
        content, length = text.encode("cp932", errors), len(text)
        if 0xED not in content and 0xEE not in content:
            return content, length
        pieces = self._split.split(text)
        return b"".join([self._codes.get(piece) or piece.encode("cp932", errors) for piece in pieces]), length

    def decode(self, content: ReadableBuffer, errors: str = "strict") -> tuple[str, int]:
        """As Python's codecs do."""
        return codecs.decode(content, "cp932", errors), memoryview(content).nbytes

    def codec(self) -> codecs.CodecInfo:
        """What Python wants to know of it."""
        return codecs.CodecInfo(self.encode, self.decode, name=self.name)
