"""TLS as two layers talking in memory: what passes, in whatever pieces, what stays readable, and how it ends."""

from __future__ import annotations

import ctypes
import gc
import ssl
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_kit import BOTH_VERSIONS, TELEGRAM, TLS_1_2, TLS_1_3, Authority, Talk, first_bytes, one_by_one, only, talk

from telegram_router.errors import CODES
from telegram_router.wire.certificates import ClientCertificate, certificate_facts, client_context, server_context
from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import Side, TlsError

# -- agreeing


@BOTH_VERSIONS
def test_both_ends_agree_and_telegrams_pass_both_ways(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = talk(only(client_context(ours.file), version), server_context(*own))
    meeting.client.write(TELEGRAM)
    meeting.server.write(TELEGRAM[::-1])
    meeting.go_on()
    assert meeting.got == {"server": TELEGRAM, "client": TELEGRAM[::-1]}
    assert meeting.client.version == meeting.server.version == {TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}[version]
    assert "GCM" in meeting.server.cipher or "CHACHA20" in meeting.server.cipher
    assert meeting.client.peer_names() == ("router.example",)
    assert meeting.server.peer_names() == ()


@BOTH_VERSIONS
@pytest.mark.parametrize("demand", ["required", "optional"])
def test_a_client_certificate_is_verified_and_its_names_are_known(
    ours: Authority, own: tuple[str, str], bank: tuple[str, str], version: ssl.TLSVersion, demand: ClientCertificate
) -> None:
    meeting = talk(only(client_context(ours.file, *bank), version), server_context(*own, ours.file, demand))
    assert meeting.server.ready and meeting.errors == {}
    assert meeting.server.peer_names() == ("bank.example", "urn://institution/088")


@BOTH_VERSIONS
def test_a_client_without_certificate_passes_where_it_is_optional(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = talk(only(client_context(ours.file), version), server_context(*own, ours.file, "optional"))
    assert meeting.server.ready and meeting.server.peer_names() == ()


def test_a_backend_is_accepted_by_the_ip_address_of_its_certificate(ours: Authority, own: tuple[str, str]) -> None:
    assert talk(client_context(ours.file), server_context(*own), "127.0.0.1").client.ready


def test_a_resumed_session_is_refused_once_its_certificate_has_expired(
    ours: Authority, own: tuple[str, str], bank: tuple[str, str]
) -> None:
    client, server = only(client_context(ours.file, *bank), TLS_1_2), server_context(*own, ours.file)
    first = talk(client, server)

    def resume(clock: Callable[[], float]) -> Talk:
        layer = TlsLayer(client, "client", "router.example")
        layer._ssl.session = first.client._ssl.session
        return Talk(layer, TlsLayer(server, "server", clock=clock)).go_on()

    ends = certificate_facts(bank[0]).expires_at
    today, later = resume(lambda: ends - 1), resume(lambda: ends)
    assert (
        today.server._ssl.session_reused and today.server.ready and today.server.peer_names() == ("bank.example", "urn://institution/088")
    )
    assert later.code("server") == "E-TLS-03" and not later.server.ready


def test_a_handshake_that_is_late_or_cut_says_what_came(own: tuple[str, str]) -> None:
    silent, half = (TlsLayer(server_context(*own), "server") for _ in range(2))
    half.feed(b"\x16\x03\x01\x00")
    assert not silent.handshake() and not half.handshake()
    assert silent.late(5).text().startswith("E-TLS-08: handshake not finished within 5 s; it sent nothing")
    assert "it sent a TLS handshake" in half.late(0.5).what
    with pytest.raises(TlsError, match="closed the connection during the handshake; it sent nothing"):
        silent.end()
    with pytest.raises(TlsError, match="E-TLS-08"):
        silent.handshake()


# -- bytes


@BOTH_VERSIONS
def test_bytes_may_come_one_at_a_time(ours: Authority, own: tuple[str, str], bank: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = talk(only(client_context(ours.file, *bank), version), server_context(*own, ours.file), cut=one_by_one)
    meeting.client.write(TELEGRAM)
    meeting.server.write(TELEGRAM)
    assert meeting.go_on().got == {"client": TELEGRAM, "server": TELEGRAM}


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6000), min_size=1, max_size=8),
    sent=st.lists(st.binary(max_size=9000), max_size=4),
    version=st.sampled_from([TLS_1_2, TLS_1_3]),
)
def test_chunking_never_changes_what_arrives(
    mutual: dict[str, ssl.SSLContext], sizes: list[int], sent: list[bytes], version: ssl.TLSVersion
) -> None:
    def cut(flight: bytes) -> Iterator[bytes]:
        at, turn = 0, 0
        while at < len(flight):
            size = sizes[turn % len(sizes)]
            yield flight[at : at + size]
            at, turn = at + size, turn + 1

    meeting = talk(only(mutual["client"], version), mutual["server"], cut=cut)
    for part in sent:
        meeting.client.write(part)
        meeting.server.write(part[::-1])
    meeting.go_on()
    assert meeting.got == {"server": b"".join(sent), "client": b"".join(part[::-1] for part in sent)}
    assert meeting.errors == {}


@settings(deadline=None)
@given(data=st.binary(max_size=300), side=st.sampled_from(["server", "client"]), tls_like=st.booleans())
def test_whatever_a_peer_sends_only_a_tls_error_comes_out(
    mutual: dict[str, ssl.SSLContext], data: bytes, side: Side, tls_like: bool
) -> None:
    head = b"\x16\x03\x01" + (len(data)).to_bytes(2) if tls_like else b""
    error = first_bytes(mutual[side], side, head + data)
    assert error is None or error.code in CODES


@BOTH_VERSIONS
def test_large_payloads_pass_and_a_reader_may_set_a_limit(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    payload = bytes(range(256)) * 4096  # 1 MiB
    meeting = talk(only(client_context(ours.file), version), server_context(*own))
    meeting.client.write(payload)
    meeting.server.feed(meeting.client.outgoing())
    parts = []
    while meeting.server.more:
        parts.append(meeting.server.read(1000))
    assert b"".join(parts) == payload and max(map(len, parts)) == 1000
    assert meeting.server.read(1000) == b"" and meeting.client.outgoing() == b""


def test_writing_nothing_sends_nothing(ours: Authority, own: tuple[str, str]) -> None:
    meeting = talk(client_context(ours.file), server_context(*own))
    meeting.client.write(b"")
    assert meeting.client.outgoing() == b""


# -- endings


@BOTH_VERSIONS
def test_after_a_goodbye_reading_ends_and_answers_still_go_out(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = talk(only(client_context(ours.file), version), server_context(*own))
    meeting.client.write(TELEGRAM)
    meeting.client.goodbye()
    meeting.go_on()
    assert meeting.got["server"] == TELEGRAM and meeting.server.closed
    meeting.server.end()
    assert not meeting.server.truncated
    meeting.server.write(TELEGRAM)
    meeting.server.goodbye()
    meeting.server.goodbye()
    meeting.go_on()
    assert meeting.got["client"] == TELEGRAM and meeting.client.closed
    meeting.server.feed(b"anything")
    assert meeting.server.read(100) == b"" and not meeting.server.more


def test_an_end_without_close_notify_is_only_noted(ours: Authority, own: tuple[str, str]) -> None:
    meeting = talk(client_context(ours.file), server_context(*own))
    meeting.client.write(TELEGRAM)
    meeting.go_on()
    meeting.server.end()
    assert meeting.server.truncated and not meeting.server.closed and meeting.got["server"] == TELEGRAM


@BOTH_VERSIONS
def test_telegrams_before_a_broken_record_are_handed_out_and_the_alert_stays(
    ours: Authority, own: tuple[str, str], version: ssl.TLSVersion
) -> None:
    meeting = talk(only(client_context(ours.file), version), server_context(*own))
    meeting.client.write(TELEGRAM)
    good = meeting.client.outgoing()
    meeting.client.write(TELEGRAM)
    broken = bytearray(meeting.client.outgoing())
    broken[-1] ^= 1
    meeting.server.feed(good + bytes(broken))
    assert meeting.server.read(65_536) == TELEGRAM and meeting.server.more
    for _ in range(2):
        with pytest.raises(TlsError, match="E-TLS-09: the TLS stream broke after the handshake"):
            meeting.server.read(65_536)
    with pytest.raises(TlsError):
        meeting.server.write(TELEGRAM)
    with pytest.raises(TlsError):
        meeting.server.end()
    meeting.server.goodbye()
    meeting.client.feed(meeting.server.outgoing())
    with pytest.raises(TlsError, match="E-TLS-09: the peer sent the alert bad record mac"):
        meeting.client.read(65_536)


def test_a_failed_handshake_leaves_no_cycle_behind(mutual: dict[str, ssl.SSLContext]) -> None:
    gc.disable()
    gc.collect()
    gc.collect()  # what finalizers of other tests left
    try:
        for _ in range(3):
            error = first_bytes(mutual["server"], "server", b"GET / HTTP/1.1\r\n\r\n")
            assert error is not None
            del error
        assert gc.collect() == 0
    finally:
        gc.enable()


class Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


@BOTH_VERSIONS
def test_an_idle_session_stays_small_even_after_a_burst(mutual: dict[str, ssl.SSLContext], version: ssl.TLSVersion) -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("counts with glibc's mallinfo2")
    libc.mallinfo2.restype = Mallinfo
    only(mutual["client"], version)

    def sessions(count: int) -> list[TlsLayer]:
        kept = []
        for _ in range(count):
            meeting = talk(mutual["client"], mutual["server"])
            meeting.client.write(bytes(65_536))
            meeting.server.write(bytes(65_536))
            meeting.go_on()
            assert len(meeting.got["server"]) == 65_536
            kept.append(meeting.server)
        return kept

    sessions(2)
    gc.collect()
    before = libc.mallinfo2()
    kept = sessions(40)
    gc.collect()
    after = libc.mallinfo2()
    each = (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / len(kept)
    assert each < 45 * 1024  # of the 55 KiB that a session may cost
