"""EBCDIC code pages of one and two bytes a character: a shift-out byte in front of double-byte characters, a shift-in behind."""

# Rules this file keeps, all of them tested:
#
# 1. Text is written in one way only: a pair of shift bytes around each run of double-byte characters, none around nothing.
# 2. Reading takes what other hosts make besides: empty runs, a shift-in with a shift-out right behind it, and a last run that
#    nobody closed, because a field's end cut its shift-in off. It never takes half a character.
# 3. What is written reads as the same text. The C library's iconv also writes characters that a page does not have, as others
#    that look alike or as SUB; these are refused here.
# 4. A fault's start is the byte or character at fault, counted in all that was given.

from __future__ import annotations

import codecs
import itertools
import re
import sys
from array import array
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.codepages.packed import HOLE, unpacked_double, unpacked_single

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SHIFT_OUT: Final = b"\x0e"
SHIFT_IN: Final = b"\x0f"
_OUT, _IN = SHIFT_OUT[0], SHIFT_IN[0]
_SHIFT: Final = re.compile(rb"[\x0e\x0f]")
_NO_CODE: Final = 0xFFFF


class MixedPage:
    """A code page by its two tables, kept in a module each page, or shared."""

    def __init__(self, name: str, double_of: str | None = None) -> None:
        self.name = name
        self.double_of = double_of or name  # the page whose double-byte characters are these

    # -- tables

    @cached_property
    def single(self) -> str:
        """The character of every code of one byte."""
        return unpacked_single(_table(self.name).SINGLE)

    @cached_property
    def double(self) -> str:
        """The character of every code of two bytes, from 0 to 0xFFFF."""
        return unpacked_double(_table(self.double_of).DOUBLE)

    @cached_property
    def _codes(self) -> array[int]:
        """The code of every character up to U+FFFF; those of one byte are below 0x100."""
        codes = array("H", [_NO_CODE]) * 0x10000
        for table in (self.double, self.single):
            for code, character in enumerate(table):
                if character != HOLE:
                    codes[ord(character)] = code
        return codes

    # -- writing

    def encode(self, text: str, errors: str = "strict") -> tuple[bytes, int]:
        """As Python's codecs do. The shift bytes are among the bytes."""
        codes = self._codes
        try:
            found = [codes[ord(character)] for character in text]
        except IndexError:  # a character beyond U+FFFF
            return self._encode_with(text, errors), len(text)
        if _NO_CODE in found:
            return self._encode_with(text, errors), len(text)
        return _written(found), len(text)

    def _encode_with(self, text: str, errors: str) -> bytes:
        """With each character that the page does not have given to the error handler."""
        answer, done, content = codecs.lookup_error(errors), 0, b""
        kept: list[int] = []
        while done < len(text):
            code = self._code(text[done])
            if code is not None:
                kept.append(code)
                done += 1
                continue
            fault = UnicodeEncodeError(self.name, text, done, done + 1, "the code page does not have this character")
            instead, done = answer(fault)
            if isinstance(instead, bytes):
                content, kept = content + _written(kept) + instead, []
            else:
                kept += (self._code_or_fail(character, fault) for character in instead)
        return content + _written(kept)

    def _code(self, character: str) -> int | None:
        code = self._codes[ord(character)] if character <= "\uffff" else _NO_CODE
        return None if code == _NO_CODE else code

    def _code_or_fail(self, character: str, fault: UnicodeEncodeError) -> int:
        code = self._code(character)
        if code is None:
            raise fault
        return code

    # -- reading

    def decode(self, content: ReadableBuffer, errors: str = "strict") -> tuple[str, int]:
        """As Python's codecs do. A run of double-byte characters may end where the bytes end."""
        return self._decoded(bytes(content), errors), memoryview(content).nbytes

    def _decoded(self, content: bytes, errors: str) -> str:
        text, at, double = "", 0, False
        while at < len(content):
            if content[at] == (_IN if double else _OUT):
                double = not double
                at += 1
                continue
            shift = _SHIFT.search(content, at)
            end = shift.start() if shift else len(content)
            piece = self._read(content[at:end], double)
            text += piece
            at += len(piece) * (2 if double else 1)
            if at < end or (shift and content[at] == (_OUT if double else _IN)):
                instead, at = codecs.lookup_error(errors)(self._fault(content, at, end, double))
                text += str(instead)
        return text

    def _read(self, run: bytes, double: bool) -> str:
        """The characters up to the first that is none."""
        if not double:
            return codecs.charmap_decode(run, "replace", self.single)[0].partition("\ufffd")[0]
        characters = self.double
        return "".join([characters[code] for code in _big_endian(run[: len(run) // 2 * 2])]).partition(HOLE)[0]

    def _fault(self, content: bytes, at: int, end: int, double: bool) -> UnicodeDecodeError:
        if at == end:
            reason = "shift-out inside double-byte text" if double else "shift-in without a shift-out"
            return UnicodeDecodeError(self.name, content, at, at + 1, reason)
        if double and at + 1 == end:
            return UnicodeDecodeError(self.name, content, at, end, "incomplete multibyte sequence")
        return UnicodeDecodeError(self.name, content, at, at + (2 if double else 1), "no character of the code page")

    def codec(self) -> codecs.CodecInfo:
        """What Python wants to know of it."""
        return codecs.CodecInfo(self.encode, self.decode, name=self.name)


def _table(name: str) -> Any:
    return import_module(f"telegram_router.telegrams.codepages.table_{name}")


def _written(codes: list[int]) -> bytes:
    """The bytes of codes, each run of double-byte ones between shift bytes."""
    if max(codes, default=0) < 0x100:
        return bytes(codes)
    if min(codes) > 0xFF:
        return SHIFT_OUT + _big_endian(array("H", codes)).tobytes() + SHIFT_IN
    runs = itertools.groupby(codes, (0xFF).__lt__)
    return b"".join([_written(list(run)) if double else bytes(run) for double, run in runs])


def _big_endian(pairs: bytes | array[int]) -> array[int]:
    numbers = array("H", pairs)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
