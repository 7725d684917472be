"""The PROXY protocol, version 2: who is really at the other end of a connection that a balancer made. Bytes in, an address out."""

# Rules this file keeps, all of them tested:
#
# 1. Nothing is read beyond the header: what stands behind it is TLS's or the framer's.
# 2. A header that is not wholly as the specification says is refused (E-FRM-13): an address that is believed decides who somebody is.
# 3. Only version 2 and only TCP are taken. Version 1 is text without a length, which can be cut anywhere.

from __future__ import annotations

import errno
import ipaddress
import socket

import trio

from telegram_router.errors import CODES, FramingError
from telegram_router.telegrams.diagnosis import foreign_protocol

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED = 16  # signature, version and command, family, length
LONGEST = 2048  # behind that: two IPv6 addresses take 36, the rest are TLVs of the balancer's
_LOCAL, _PROXY = 0x20, 0x21
_TCP = {0x11: (4, 12), 0x21: (16, 36)}  # family and transport: the size of one address, and of both with their ports

Host = tuple[str, int]


def length_of(fixed: bytes) -> int:
    """How many bytes follow the first FIXED ones. Raises FramingError E-FRM-13."""
    if not _begins_well(fixed):
        known = foreign_protocol(fixed)
        raise _refused(f"the first bytes are no PROXY v2 header; they look like {known[1]}" if known else "there is no PROXY v2 header")
    if len(fixed) < FIXED:
        raise _refused(f"the connection ended inside the PROXY header, after {len(fixed)} bytes")
    length = int.from_bytes(fixed[14:16])
    if length > LONGEST:
        raise _refused(f"the PROXY header is {length:,} bytes long, and {LONGEST:,} are taken")
    return length


def address_in(header: bytes) -> Host | None:
    """The client's address and port in a whole header; None where the balancer speaks for itself. Raises FramingError E-FRM-13."""
    length = length_of(header[:FIXED])
    command, family, body = header[12], header[13], header[FIXED:]
    if len(body) != length:
        raise _refused(f"the PROXY header is cut: {len(body)} of {length} bytes")
    if command == _LOCAL:  # a health check of the balancer's: whatever stands there is to be passed over
        return None
    if command != _PROXY:
        raise _refused("the PROXY header has another version than 2, or another command than LOCAL and PROXY")
    if family not in _TCP:
        raise _refused("the PROXY header names neither IPv4 nor IPv6 over TCP")
    size, both = _TCP[family]
    if length < both:
        raise _refused(f"the PROXY header has {length} bytes for addresses that take {both}")
    _check_values(body[both:])
    return plain_address(str(ipaddress.ip_address(body[:size]))), int.from_bytes(body[2 * size : 2 * size + 2])


def _check_values(rest: bytes) -> None:
    """What stands behind the addresses is passed over, but it must be what it claims: type, length, value, to the last byte."""
    at = 0
    while at < len(rest):
        if len(rest) < at + 3:
            raise _refused("the PROXY header ends inside a value behind the addresses")
        at += 3 + int.from_bytes(rest[at + 1 : at + 3])
    if at != len(rest):
        raise _refused("a value behind the addresses of the PROXY header is longer than the header")


def plain_address(host: str) -> str:
    """An address as people write it: IPv4 stays IPv4 though it came in through an IPv6 socket."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


async def read_header(sock: socket.socket, seconds: float) -> Host | None:
    """Read the header off a new, non-blocking connection. What `address_in` returns. Raises FramingError E-FRM-13, or OSError."""
    with trio.move_on_after(seconds):
        fixed = await _exactly(sock, FIXED)
        if not fixed:
            raise ConnectionResetError(errno.ECONNRESET, "closed before the PROXY header")  # somebody looked whether the port is there
        return address_in(fixed + await _exactly(sock, length_of(fixed)))
    raise _refused(f"there was no whole PROXY header within {seconds:g} s")


async def comes_to_stay(sock: socket.socket, seconds: float) -> bool:
    """Whether a connection that is the balancer's own is more than a health check, which ends without having said anything."""
    with trio.move_on_after(seconds):
        while True:
            await trio.lowlevel.wait_readable(sock)
            try:
                return bool(sock.recv(1, socket.MSG_PEEK))
            except (BlockingIOError, InterruptedError):
                continue
    return True


async def _exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer where the peer ends before."""
    got = b""
    while len(got) < size:
        await trio.lowlevel.wait_readable(sock)
        try:
            more = sock.recv(size - len(got))
        except (BlockingIOError, InterruptedError):
            continue
        if not more:
            break
        got += more
        if size == FIXED and not _begins_well(got):
            break  # it can become no header any more, and whoever sent a shorter word waits for our answer
    return got


def _begins_well(got: bytes) -> bool:
    """Whether this is the signature, or the beginning of it."""
    return got[: len(SIGNATURE)] == SIGNATURE[: len(got)]


def _refused(what: str) -> FramingError:
    return FramingError("E-FRM-13", what, expected="a PROXY v2 header of a balancer in `from`", do=CODES["E-FRM-13"].do)
