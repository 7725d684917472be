"""Records of TLS that hold no data: counted whatever the network made of them, and a flood of them ended."""

from __future__ import annotations

import os
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tls_kit import TLS_1_2, TLS_1_3, Authority, only

from telegram_router.wire.certificates import client_context, server_context
from telegram_router.wire.records import MINUTE, QUIET_RECORDS, Records
from telegram_router.wire.tls import TlsLayer


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2) + os.urandom(size)


@given(st.lists(st.integers(0, 300), max_size=20), st.lists(st.integers(1, 400), max_size=30), st.integers(0, 4))
def test_how_the_network_cut_the_stream_never_changes_the_count(sizes: list[int], cuts: list[int], over: int) -> None:
    stream = b"".join(map(record, sizes)) + record(9)[:over]
    records = Records()
    at = 0
    for cut in [*cuts, len(stream)]:
        records.add(stream[at : at + cut])
        at += cut
    assert records.seen == len(sizes)


def test_more_quiet_records_than_a_minute_may_have_are_a_flood_and_as_many_are_not() -> None:
    records = Records()
    records.seen = 8
    records.begin(100.0)
    records.seen += QUIET_RECORDS
    assert not records.flood(101.0)
    records.seen += 1
    assert records.flood(102.0)
    assert not records.flood(100.0 + MINUTE)  # another minute
    records.seen += QUIET_RECORDS
    assert not records.flood(101.0 + MINUTE)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("records"), "ca")


@pytest.mark.parametrize("size", [1, 100, 4_000, 16_000])
@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS1.2", "TLS1.3"])
def test_telegrams_of_any_size_however_cut_are_no_flood(authority: Authority, size: int, version: ssl.TLSVersion) -> None:
    client = TlsLayer(only(client_context(authority.file), version), "client", "router.example")
    server = TlsLayer(server_context(*authority.issue("router", "router.example")), "server")
    while not (client.ready and server.ready):
        client.handshake()
        server.feed(client.outgoing())
        server.handshake()
        client.feed(server.outgoing())
    got = 0
    for step in range(3 * QUIET_RECORDS):
        client.write(bytes(size))
        cipher = client.outgoing()
        cut = (step * 37) % len(cipher)
        for part in (cipher[:cut], cipher[cut:]):
            server.feed(part)
            while plain := server.read(1 + step * 500):
                got += len(plain)
        server.write(b"answer")
        client.feed(server.outgoing())
        assert client.read(100) == b"answer"
    assert got == 3 * QUIET_RECORDS * size
