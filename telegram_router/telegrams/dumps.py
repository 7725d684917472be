"""Bytes out of what people paste: hex, hexdump -C, xxd, base64, C arrays, and the text that tcpdump -X prints."""

# Rules this file keeps, all of them tested:
#
# 1. Text is taken for a dump only when all of it has that form; bytes are always also taken for what they are.
# 2. Of a packet only what TCP carries is taken, each direction by itself, in the order of its sequence numbers.

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_LARGEST: Final = 16 * 1024 * 1024  # of text; a dump is for eyes

_FRONT: Final = 8  # a mark of an editor, a second length, both

_HEX_TEXT: Final = re.compile(r"(?:0[xX])?(?:[0-9a-fA-F]{2}[\s:,-]*)+", re.ASCII)
_C_ARRAY: Final = re.compile(r"(?:(?:0[xX]|\\x)[0-9a-fA-F]{2}[\s,\"']*)+", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_HEXDUMP: Final = re.compile(r"([0-9a-fA-F]{6,8}):?[ \t]+((?:[0-9a-fA-F]{2}[ \t]{1,2}){1,16})[ \t]*(?:[|>].*)?", re.ASCII)
_XXD: Final = re.compile(r"([0-9a-fA-F]{6,8}): ((?:[0-9a-fA-F]{2,8} ?){1,16}) ?.*")
_END: Final = re.compile(r"[0-9a-fA-F]{6,8}", re.ASCII)
_OD: Final = re.compile(r"([0-9]{6,8})((?: [0-9a-fA-F]{2}){1,16})[ \t]*(?:>.*)?", re.ASCII)
_TCPDUMP: Final = re.compile(r"\s+0x([0-9a-fA-F]{4}):  ?((?:[0-9a-fA-F]{2,4} ?){1,8})(?: .*)?", re.ASCII)


@dataclass(frozen=True)
class Reading:
    """Bytes, and what they were taken from."""

    form: str
    content: bytes


def readings(given: bytes) -> list[Reading]:
    """All that the bytes may be, the likeliest first; the bytes themselves are always the last of them."""
    found = [] if len(given) > _LARGEST else [*_of_text(given)]
    return [*found, Reading("bytes", given)]


def _of_text(given: bytes) -> Iterator[Reading]:
    try:
        text = given.decode("utf-8-sig").replace("\r\n", "\n").strip("\n \0")
    except UnicodeDecodeError:
        return
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return
    yield from _tcpdump(text.split("\n"))
    for form, pattern, base in (("hexdump -C", _HEXDUMP, 16), ("xxd", _XXD, 16), ("od -t x1", _OD, 8), ("od -A d -t x1", _OD, 10)):
        content = _offset_lines(lines, pattern, base)
        if content is not None:
            yield Reading(form, content)
            return
    yield from _plain(text)


def _plain(text: str) -> Iterator[Reading]:
    if _C_ARRAY.fullmatch(text.strip("{}; \n\"'")):
        yield Reading("hex as in source code", bytes.fromhex("".join(re.findall(r"(?:0[xX]|\\x)([0-9a-fA-F]{2})", text))))
    elif _HEX_TEXT.fullmatch(text):
        digits = re.sub(r"[^0-9a-fA-F]", "", text[2:] if text[:2] in ("0x", "0X") else text)
        if len(digits) % 2 == 0:
            yield Reading("hex", bytes.fromhex(digits))
    joined = "".join(text.split())
    if len(joined) >= 16 and len(joined) % 4 == 0 and _BASE64.fullmatch(joined):
        try:
            yield Reading("base64", base64.b64decode(joined.translate({45: 43, 95: 47}), validate=True))
        except (binascii.Error, ValueError):
            return


def _offset_lines(lines: list[str], pattern: re.Pattern[str], base: int) -> bytes | None:
    """The bytes of lines that begin with their offset, None unless all offsets agree. `*` repeats the line before it."""
    made, repeat = bytearray(), False
    for line in lines:
        if line.strip() == "*":
            repeat = True
            continue
        found = pattern.fullmatch(line.rstrip())
        last = line == lines[-1] and _END.fullmatch(line.strip())
        if found is None and not (last and made):
            return None
        try:
            at = int(found[1] if found else line.strip(), base)
        except ValueError:
            return None
        if repeat and len(made) >= 16 and len(made) < at <= _LARGEST:
            made += bytes(made[-16:]) * ((at - len(made)) // 16)
        repeat = False
        if at != len(made):
            return None
        made += bytes.fromhex("".join(found[2].split())) if found else b""
    return bytes(made)


def damaged(given: bytes) -> Iterator[Reading]:
    """What else bytes may be that are of no known family as they stand: they begin too early, or were EBCDIC."""
    for at in range(1, _FRONT + 1):
        yield Reading(f"bytes, from byte {at} on", given[at:])
    try:
        yield Reading("bytes in EBCDIC (cp037), read as ASCII", given.decode("cp037").encode("ascii", "replace"))
    except (UnicodeError, LookupError):
        return


# --- tcpdump ------------------------------------------------------------------------------------------------------


def _tcpdump(lines: list[str]) -> Iterator[Reading]:
    """What each direction of each connection carried."""
    streams: dict[tuple[bytes, bytes], dict[int, bytes]] = {}
    for packet in _packets(lines):
        segment = _segment(packet)
        if segment is not None:
            way, sequence, content = segment
            pieces = streams.setdefault(way, {})
            pieces[sequence] = max(pieces.get(sequence, b""), content, key=len)
    for (source, target), pieces in streams.items():
        joined = b"".join(_in_order(pieces))
        if joined:
            yield Reading(f"tcpdump -X, from {_party(source)} to {_party(target)}", joined)


def _packets(lines: list[str]) -> Iterator[bytes]:
    made = bytearray()
    for line in lines:
        found = _TCPDUMP.fullmatch(line)
        if found is None or int(found[1], 16) == 0:
            if made:
                yield bytes(made)
            made = bytearray()
        if found is not None and int(found[1], 16) == len(made):
            made += bytes.fromhex("".join(found[2].split()))
    if made:
        yield bytes(made)


def _segment(packet: bytes) -> tuple[tuple[bytes, bytes], int, bytes] | None:
    """(source and target, sequence number, content) of an IPv4 packet with TCP in it, with or without an Ethernet header."""
    for start in (0, 14):
        ip = packet[start:]
        head = (ip[0] & 15) * 4 if ip else 0
        if len(ip) < 40 or ip[0] >> 4 != 4 or ip[9] != 6 or head < 20:
            continue
        tcp = ip[head : int.from_bytes(ip[2:4], "big")]
        if len(tcp) < 20:
            return None
        ends = ip[12:16] + tcp[:2], ip[16:20] + tcp[2:4]
        return ends, int.from_bytes(tcp[4:8], "big"), tcp[(tcp[12] >> 4) * 4 :]
    return None


def _in_order(pieces: dict[int, bytes]) -> Iterator[bytes]:
    """Contents by sequence number, repeated ones once; the number wraps around at 2**32."""
    with_content = {sequence: content for sequence, content in pieces.items() if content}
    first = next(iter(with_content), 0)
    end: int | None = None
    for sequence in sorted(with_content, key=lambda each: (each - first + (1 << 31)) % (1 << 32)):
        content = with_content[sequence]
        skip = 0 if end is None else max((end - sequence + (1 << 31)) % (1 << 32) - (1 << 31), 0)
        yield content[skip:]
        end = (sequence + max(len(content), skip)) % (1 << 32)


def _party(end: bytes) -> str:
    return ".".join(map(str, end[:4])) + f":{int.from_bytes(end[4:], 'big')}"
