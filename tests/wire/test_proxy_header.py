"""The PROXY header, byte by byte: what is believed, and that everything else is refused."""

from __future__ import annotations

import ipaddress
import socket

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.errors import FramingError
from telegram_router.wire.proxy_header import FIXED, LONGEST, SIGNATURE, address_in, length_of, plain_address, read_header

V4 = bytes([192, 0, 2, 7]) + bytes([198, 51, 100, 1]) + (40_001).to_bytes(2) + (9001).to_bytes(2)
V6 = ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("2001:db8::1").packed + (40_001).to_bytes(2) + (9001).to_bytes(2)
TLVS = b"\x02\x00\x04bank" + b"\x04\x00\x00"


def header(body: bytes = V4, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([command, family]) + (len(body) if length is None else length).to_bytes(2) + body


GOOD = {
    "ipv4": (header(), ("192.0.2.7", 40_001)),
    "ipv6": (header(V6, family=0x21), ("2001:db8::7", 40_001)),
    "ipv4-with-values": (header(V4 + TLVS), ("192.0.2.7", 40_001)),
    "ipv6-with-values": (header(V6 + TLVS, family=0x21), ("2001:db8::7", 40_001)),
    "ipv4-within-ipv6": (header(bytes(10) + b"\xff\xff\xc0\x00\x02\x07" + V6[16:], family=0x21), ("192.0.2.7", 40_001)),
    "local": (header(b"", command=0x20, family=0), None),
    "local-with-an-address": (header(command=0x20), None),
    "local-with-anything": (header(b"\xff" * 9, command=0x20, family=0xFF), None),
}
BAD = {
    "version-1-nibble": header(command=0x11),
    "unknown-command": header(command=0x22),
    "unspecified-family": header(family=0x00),
    "udp": header(family=0x12),
    "unix-socket": header(bytes(216), family=0x31),
    "too-short-for-ipv4": header(V4[:-1]),
    "too-short-for-ipv6": header(V6[:-1], family=0x21),
    "ipv6-family-with-ipv4": header(V4, family=0x21),
    "value-cut-in-its-head": header(V4 + b"\x02\x00"),
    "value-longer-than-the-header": header(V4 + b"\x02\x00\x05bank"),
    "too-long": header(V4 + bytes(LONGEST)),
    "other-signature": b"\r\n\r\n\x00\r\nQUIT\r" + header()[12:],
}


@pytest.mark.parametrize(("sent", "found"), GOOD.values(), ids=GOOD.keys())
def test_a_header_as_it_should_be_gives_the_address_of_the_client(sent: bytes, found: tuple[str, int] | None) -> None:
    assert address_in(sent) == found


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD.keys())
def test_a_header_that_is_not_is_refused(sent: bytes) -> None:
    with pytest.raises(FramingError) as refused:
        address_in(sent)
    assert refused.value.code == "E-FRM-13" and refused.value.do


@pytest.mark.parametrize("sent", [sent for sent, _ in GOOD.values()], ids=GOOD.keys())
def test_a_header_cut_anywhere_is_refused(sent: bytes) -> None:
    for size in range(len(sent)):
        with pytest.raises(FramingError):
            address_in(sent[:size])


@pytest.mark.parametrize(
    ("sent", "named"),
    [(b"PROXY TCP4 192.0.2.1", "PROXY v1"), (b"SSH-2.0-OpenSSH_9", "SSH"), (b"GET / HTTP/1.1\r\n", "HTTP"), (b"\x16\x03\x01\x02\x00" + bytes(20), "TLS")],
    ids=["proxy-v1", "ssh", "http", "tls"],
)  # fmt: skip
def test_what_came_instead_is_named(sent: bytes, named: str) -> None:
    with pytest.raises(FramingError, match=named):
        length_of(sent[:FIXED])


@given(st.binary(max_size=80), st.integers(0, 27), st.integers(0, 255))
def test_whatever_comes_is_an_address_or_a_refusal_and_nothing_else(rest: bytes, at: int, other: int) -> None:
    changed = bytearray(header(V4 + rest))
    changed[at] = other
    for sent in (bytes(changed), rest, SIGNATURE + rest):
        try:
            found = address_in(sent)
        except FramingError as refused:
            assert refused.code == "E-FRM-13"
        else:
            assert found is None or (ipaddress.ip_address(found[0]) and 0 <= found[1] < 65_536)


@given(st.binary(min_size=4, max_size=4), st.integers(0, 65_535), st.lists(st.binary(max_size=20), max_size=4))
def test_any_address_comes_through_whatever_stands_behind_it(host: bytes, port: int, values: list[bytes]) -> None:
    rest = b"".join(b"\xe0" + len(value).to_bytes(2) + value for value in values)
    sent = header(host + bytes(4) + port.to_bytes(2) + bytes(2) + rest)
    assert address_in(sent) == (".".join(map(str, host)), port)


def test_a_host_is_written_as_people_write_it() -> None:
    assert plain_address("::ffff:10.0.0.1") == "10.0.0.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("a name") == "a name"


async def test_nothing_behind_the_header_is_read_and_it_may_come_byte_by_byte() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                for at in range(len(header()) - 1):
                    theirs.send(header()[at : at + 1])
                    await trio.lowlevel.checkpoint()
                theirs.send(header()[-1:] + b"0300what follows")

            nursery.start_soon(send)
            assert await read_header(ours, 2.0) == ("192.0.2.7", 40_001)
        assert ours.recv(100) == b"0300what follows"


async def test_who_sends_nothing_is_refused_in_time_and_who_only_looks_is_not_told_of() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        with pytest.raises(FramingError, match=r"within 0\.02 s"):
            await read_header(ours, 0.02)
        theirs.close()
        with pytest.raises(OSError, match="closed before"):
            await read_header(ours, 2.0)
