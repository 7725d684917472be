"""cp949 for partners who know KS X 1001 only: without the 8,822 hangul that cp949 has beside its 2,350.

Python's euc_kr is not that: it writes such a hangul in eight bytes.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

KSX1001: Final = "cp949_ksx1001"
OUTSIDE: Final = "not in KS X 1001"  # the reason of a fault

# All codes of KS X 1001 have both bytes from A1; what cp949 adds has one below.
_INSIDE: Final = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xfe]{2})*")


class KsX1001Page:
    """The code page under its name `cp949_ksx1001`."""

    name = KSX1001

    def encode(self, text: str, errors: str = "strict") -> tuple[bytes, int]:
        """As Python's codecs do."""
        content, done = b"", 0
        outside = next((at for at, character in enumerate(text) if _is_outside(character)), None)
        while outside is not None:
            fault = UnicodeEncodeError(self.name, text, outside, outside + 1, OUTSIDE)
            content += text[done:outside].encode("cp949", errors)
            instead, done = codecs.lookup_error(errors)(fault)
            content += instead if isinstance(instead, bytes) else instead.encode("cp949")
            outside = next((at for at in range(done, len(text)) if _is_outside(text[at])), None)
        return content + text[done:].encode("cp949", errors), len(text)

    def decode(self, content: ReadableBuffer, errors: str = "strict") -> tuple[str, int]:
        """As Python's codecs do."""
        return self._decoded(bytes(content), errors), memoryview(content).nbytes

    def _decoded(self, content: bytes, errors: str) -> str:
        text, at = "", 0
        while (end := inside(content, at)) < len(content):
            text += content[at:end].decode("cp949", errors)
            instead, at = codecs.lookup_error(errors)(self._fault(content, end))
            text += str(instead)
        return text + content[at:].decode("cp949", errors)

    def _fault(self, content: bytes, at: int) -> UnicodeDecodeError:
        try:
            content[at : at + 2].decode("cp949")
        except UnicodeDecodeError as error:
            return UnicodeDecodeError(self.name, content, at, at + error.end - error.start, error.reason)
        return UnicodeDecodeError(self.name, content, at, at + 2, OUTSIDE)

    def codec(self) -> codecs.CodecInfo:
        """What Python wants to know of it."""
        return codecs.CodecInfo(self.encode, self.decode, name=self.name)


def inside(content: bytes, start: int = 0) -> int:
    """Up to where cp949 text keeps to the codes of KS X 1001."""
    found = _INSIDE.match(content, start)
    return found.end() if found else start


def _is_outside(character: str) -> bool:
    return "가" <= character <= "힣" and min(character.encode("cp949")) < 0xA1
