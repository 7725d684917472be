"""Who is refused over TLS, with which code and in which words: by certificate, by version and cipher, by what it speaks instead."""

from __future__ import annotations

import ssl
import warnings

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_kit import BOTH_VERSIONS, DAY, TELEGRAM, TLS_1_2, TLS_1_3, Authority, first_bytes, only, talk

from telegram_router.wire import tls_errors
from telegram_router.wire.certificates import ClientCertificate, client_context, server_context
from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import Side, looks_like

# -- certificates of clients


@BOTH_VERSIONS
def test_a_missing_client_certificate_is_named_at_both_ends(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = talk(only(client_context(ours.file), version), server_context(*own, ours.file))
    assert meeting.code("server") == "E-TLS-02"
    # TLS 1.3 lets the client finish first, and its first read fails; TLS 1.2 has no alert that says what is missing.
    assert meeting.client.ready is (version is TLS_1_3)
    assert meeting.code("client") == {TLS_1_3: "E-TLS-02", TLS_1_2: "E-TLS-01"}[version]
    assert "client certificate" in meeting.errors["client"].text()


REFUSED = {
    "expired": ({"starts": -2 * DAY, "ends": -DAY}, "E-TLS-03", "has expired", "our certificate has expired"),
    "not_yet": ({"starts": DAY, "ends": 2 * DAY}, "E-TLS-03", "is not valid yet", "refuses our certificate"),
    "self_signed": ({"self_signed": True}, "E-TLS-04", "is self-signed", "does not trust the CA"),
    "purpose": ({"purposes": [ExtendedKeyUsageOID.SERVER_AUTH]}, "E-TLS-05", "not for this purpose", "not for this purpose"),
}


@BOTH_VERSIONS
@pytest.mark.parametrize("fault", REFUSED)
def test_a_bad_client_certificate_is_refused_with_a_text_of_its_own(
    ours: Authority, own: tuple[str, str], version: ssl.TLSVersion, fault: str
) -> None:
    options, code, what, told = REFUSED[fault]
    files = ours.issue(f"client-{fault}", "bank.example", **options)  # type: ignore[arg-type]
    client = only(client_context(ours.file), version)
    client.load_cert_chain(*files)
    meeting = talk(client, server_context(*own, ours.file))
    assert meeting.code("server") == code
    assert what in meeting.errors["server"].what and "client certificate" in meeting.errors["server"].what
    assert told in meeting.errors["client"].what  # the alert left, although the server had failed
    assert not meeting.server.ready


@BOTH_VERSIONS
@pytest.mark.parametrize("demand", ["required", "optional"])
def test_a_client_certificate_of_another_ca_is_refused(
    ours: Authority, strangers: Authority, own: tuple[str, str], version: ssl.TLSVersion, demand: ClientCertificate
) -> None:
    client = only(client_context(ours.file, *strangers.issue("guest", "bank.example")), version)
    meeting = talk(client, server_context(*own, ours.file, demand))
    assert meeting.code("server") == "E-TLS-04"
    assert "from a CA that is not trusted here" in meeting.errors["server"].what
    assert meeting.code("client") == "E-TLS-08"


# -- certificates of backends


@pytest.mark.parametrize(
    ("fault", "dialled", "what"),
    [
        ("good", "10.0.0.1", "does not carry the IP address"),
        ("good", "other.example", "does not carry the host name"),
        ("good", "only.in.common.name.example", "does not carry the host name"),
        ("expired", "router.example", "has expired"),
        ("not_yet", "router.example", "is not valid yet"),
        ("self_signed", "router.example", "is self-signed"),
        ("stranger", "router.example", "from a CA that is not trusted"),
        ("client_only", "router.example", "is not for this purpose"),
    ],
)
def test_a_bad_backend_certificate_is_refused_with_a_text_of_its_own(
    ours: Authority, strangers: Authority, fault: str, dialled: str, what: str
) -> None:
    options = {"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]} if fault == "client_only" else REFUSED.get(fault, ({},))[0]
    authority = strangers if fault == "stranger" else ours
    files = authority.issue(f"backend-{fault}", "router.example", "127.0.0.1", **options)  # type: ignore[arg-type]
    backend = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    backend.load_cert_chain(*files)
    meeting = talk(client_context(ours.file), backend, dialled)
    assert meeting.code("client") == "E-TLS-10"
    assert meeting.errors["client"].what.startswith("backend certificate") and what in meeting.errors["client"].what
    assert meeting.code("server") == "E-TLS-08"  # and the backend is told by an alert
    assert not meeting.client.ready


# -- old protocols, and no TLS at all


def legacy(version: ssl.TLSVersion, ciphers: str, side: int = ssl.PROTOCOL_TLS_CLIENT) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    if side == ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    return context


OLD = [
    (ssl.TLSVersion.TLSv1, "ALL", "no common TLS version; the peer offered TLS 1.0 with "),
    (ssl.TLSVersion.TLSv1_1, "ALL", "no common TLS version; the peer offered TLS 1.1 with "),
    (TLS_1_2, "AES128-SHA:ECDHE-ECDSA-AES128-SHA", "no common cipher; the peer offered TLS 1.2 with AES128-SHA, ECDHE-ECDSA-AES128-SHA"),
    (TLS_1_2, "AES128-GCM-SHA256", "no common cipher; the peer offered TLS 1.2 with AES128-GCM-SHA256"),
]


@pytest.mark.parametrize(("version", "ciphers", "what"), OLD)
def test_an_old_client_is_told_apart_by_what_it_offers(own: tuple[str, str], version: ssl.TLSVersion, ciphers: str, what: str) -> None:
    meeting = talk(legacy(version, ciphers), server_context(*own))
    assert meeting.code("server") == "E-TLS-01" and meeting.errors["server"].what.startswith(what)
    assert meeting.code("client") == "E-TLS-01"


@pytest.mark.parametrize(("version", "ciphers", "_"), OLD)
def test_an_old_backend_is_refused(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion, ciphers: str, _: str) -> None:
    backend = legacy(version, ciphers, ssl.PROTOCOL_TLS_SERVER)
    backend.load_cert_chain(*own)
    assert talk(client_context(ours.file), backend).code("client") == "E-TLS-01"


def test_an_ssl_3_hello_is_named(own: tuple[str, str]) -> None:
    body = b"\x03\x00" + b"r" * 32 + b"\x00" + b"\x00\x04\x00\x2f\x00\x35" + b"\x01\x00"
    hello = b"\x16\x03\x00" + (len(body) + 4).to_bytes(2) + b"\x01" + len(body).to_bytes(3) + body
    error = first_bytes(server_context(*own), "server", hello)
    assert error is not None and error.code == "E-TLS-01"
    assert error.what == "no common TLS version; the peer offered SSL 3.0 with AES128-SHA, AES256-SHA"


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 400), byte=st.integers(0, 255), length=st.integers(0, 400))
def test_a_damaged_hello_is_an_error_and_never_a_crash(mutual: dict[str, ssl.SSLContext], at: int, byte: int, length: int) -> None:
    layer = TlsLayer(mutual["client"], "client", "router.example")
    layer.handshake()
    hello = bytearray(layer.outgoing())
    hello[at % len(hello)] = byte
    error = first_bytes(mutual["server"], "server", bytes(hello[: length or None]))
    assert error is None or error.code in ("E-TLS-01", "E-TLS-08")
    assert isinstance(tls_errors._offer(bytes(hello[:length])), str)


PLAIN = {
    b"GET / HTTP/1.1\r\n\r\n": "plain HTTP",
    b"POST /transfer HTTP/1.1\r\n\r\n": "plain HTTP",
    b"CONNECT bank:1 HTTP/1.1\r\n\r\n": "plain HTTP",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "plain HTTP",
    b"HTTP/1.1 400 Bad Request\r\n\r\n": "plain HTTP",
    TELEGRAM: "a telegram without TLS (it begins with ASCII digits)",
    b"\xf0\xf2\xf9\xf6" + b"\x40" * 20: "a telegram without TLS (it begins with EBCDIC digits)",
    b"SSH-2.0-OpenSSH_9.2\r\n": "an SSH banner",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n": "a PROXY protocol header",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\x00" * 12: "a PROXY protocol header",
    b"220 mail.example ready\r\n": "plain text",
    b"\x00" * 20: "bytes of no protocol known here",
}


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("data", PLAIN)
def test_a_peer_that_speaks_no_tls_is_told_what_it_seems_to_speak(ours: Authority, own: tuple[str, str], data: bytes, side: Side) -> None:
    error = first_bytes(server_context(*own) if side == "server" else client_context(ours.file), side, data)
    assert error is not None and error.code == "E-TLS-08"
    assert error.what == f"the peer is not speaking TLS: it sent {PLAIN[data]}"
    assert error.do


def test_an_ssl_2_hello_is_recognised() -> None:
    assert looks_like(b"\x80\x2e\x01\x00\x02") == "an SSL 2.0 handshake"


# -- alerts


ALERTS = {
    40: "E-TLS-01", 42: "E-TLS-08", 43: "E-TLS-08", 44: "E-TLS-08", 45: "E-TLS-08", 46: "E-TLS-08", 48: "E-TLS-08", 49: "E-TLS-08",
    51: "E-TLS-08", 70: "E-TLS-01", 71: "E-TLS-01", 80: "E-TLS-08", 112: "E-TLS-08", 116: "E-TLS-02", 120: "E-TLS-08",
}  # fmt: skip


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_of_the_backend_gets_a_text_of_its_own(ours: Authority, alert: int) -> None:
    error = first_bytes(client_context(ours.file), "client", bytes((21, 3, 3, 0, 2, 2, alert)))
    assert error is not None and error.code == ALERTS[alert]
    assert error.what.startswith("the peer") and "alert" not in error.what
    assert error.do


def test_a_backend_that_answers_in_another_tls_version_is_no_plain_peer(ours: Authority) -> None:
    error = first_bytes(client_context(ours.file), "client", bytes((22, 3, 9, 0, 4, 2, 0, 0, 0)))
    assert error is not None and error.code in ("E-TLS-01", "E-TLS-08") and "not speaking TLS" not in error.what


def test_an_alert_without_a_text_of_its_own_is_still_named(ours: Authority) -> None:
    error = first_bytes(client_context(ours.file), "client", bytes((21, 3, 3, 0, 2, 2, 22)))  # record_overflow
    assert error is not None and error.text().startswith("E-TLS-08: the peer sent the alert record overflow")
