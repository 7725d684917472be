"""TLS as two layers talking in memory: who is refused, with which code, and what stays readable."""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import gc
import ipaddress
import os
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import CODES, ConfigError
from telegram_router.wire import tls
from telegram_router.wire.tls import TlsError, TlsLayer, certificate_facts, client_context, looks_like, server_context

TELEGRAM = b"0296" + b"0200TR" + b"x" * 290
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
DAY = dt.timedelta(days=1)
OwnKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
BOTH_VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS1.2", "TLS1.3"])
BOTH_ENDS = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


# -- certificates


class Authority:
    """A CA that also issues what a decent CA would not."""

    def __init__(self, folder: Path, name: str) -> None:
        self._ca = trustme.CA()
        self._folder = folder / name
        self._folder.mkdir()
        self.file = str(self._folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)
        self._certificate = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        self._key = load_pem_private_key(self._ca.private_key_pem.bytes(), password=None)

    def issue(
        self,
        file: str,
        *names: str,
        starts: dt.timedelta = -DAY,
        ends: dt.timedelta = DAY,
        purposes: list[x509.ObjectIdentifier] = BOTH_ENDS,
        self_signed: bool = False,
        key: OwnKey | None = None,
    ) -> tuple[str, str]:
        """Write a certificate and its key; returns both paths."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "only.in.common.name.example")])
        now = dt.datetime.now(dt.UTC)
        issuer_key = key if self_signed else self._key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + starts)
            .not_valid_after(now + ends)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        certificate = builder.sign(issuer_key, algorithm)
        return self.write(file, certificate.public_bytes(Encoding.PEM), pem_of(key))

    def write(self, file: str, certificate: bytes, key: bytes) -> tuple[str, str]:
        certificate_path, key_path = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        certificate_path.write_bytes(certificate)
        key_path.write_bytes(key)
        key_path.chmod(0o600)
        return str(certificate_path), str(key_path)


def general_name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def pem_of(key: OwnKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "strangers")


@pytest.fixture(scope="module")
def own(ours: Authority) -> tuple[str, str]:
    return ours.issue("router", "router.example", "127.0.0.1")


@pytest.fixture(scope="module")
def bank(ours: Authority) -> tuple[str, str]:
    return ours.issue("bank", "bank.example", "urn://institution/088")


# -- conversations


class Talk:
    """Two layers and the bytes between them; `cut` decides how the network chunks each flight."""

    def __init__(self, client: TlsLayer, server: TlsLayer, cut: Callable[[bytes], Iterator[bytes]] | None = None) -> None:
        self.client, self.server = client, server
        self._cut = cut or (lambda flight: iter([flight]))
        self.errors: dict[str, TlsError] = {}
        self.got = {"client": b"", "server": b""}

    def go_on(self) -> Talk:
        while self._carry("client", self.client, self.server) + self._carry("server", self.server, self.client):
            pass
        return self

    def _carry(self, side: str, sender: TlsLayer, receiver: TlsLayer) -> int:
        self._step(side, sender)
        flight = sender.outgoing()
        for chunk in self._cut(flight):
            receiver.feed(chunk)
            self._step("server" if side == "client" else "client", receiver)
        return len(flight)

    def _step(self, side: str, layer: TlsLayer) -> None:
        try:
            if layer.handshake():
                while plain := layer.read(65_536):
                    self.got[side] += plain
        except TlsError as error:
            self.errors.setdefault(side, error)

    def code(self, side: str) -> str:
        return self.errors[side].code


def talk(
    client: ssl.SSLContext, server: ssl.SSLContext, name: str = "router.example", cut: Callable[[bytes], Iterator[bytes]] | None = None
) -> Talk:
    return Talk(TlsLayer(client, "client", name), TlsLayer(server, "server"), cut).go_on()


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.maximum_version = version
    return context


def one_by_one(flight: bytes) -> Iterator[bytes]:
    return (flight[at : at + 1] for at in range(len(flight)))


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
    ours: Authority, own: tuple[str, str], bank: tuple[str, str], version: ssl.TLSVersion, demand: tls.ClientCertificate
) -> None:
    meeting = talk(only(client_context(ours.file, *bank), version), server_context(*own, ours.file, demand))
    assert meeting.server.ready and meeting.errors == {}
    assert meeting.server.peer_names() == ("bank.example", "urn://institution/088")


@BOTH_VERSIONS
def test_a_client_without_certificate_passes_where_it_is_optional(ours: Authority, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = talk(only(client_context(ours.file), version), server_context(*own, ours.file, "optional"))
    assert meeting.server.ready and meeting.server.peer_names() == ()


def test_the_modern_profile_is_tls_1_3_only(ours: Authority, own: tuple[str, str]) -> None:
    assert talk(client_context(ours.file), server_context(*own, profile="modern")).server.version == "TLSv1.3"
    meeting = talk(only(client_context(ours.file), TLS_1_2), server_context(*own, profile="modern"))
    assert meeting.code("server") == "E-TLS-01"
    assert "the peer offered TLS 1.2 with ECDHE-" in meeting.errors["server"].what


def test_a_context_offers_only_forward_secret_aead_and_neither_renegotiation_nor_compression(ours: Authority, own: tuple[str, str]) -> None:
    for context in (server_context(*own, ours.file), client_context(ours.file)):
        names = [cipher["name"] for cipher in context.get_ciphers()]
        assert all(name.startswith(("TLS_", "ECDHE-")) and ("GCM" in name or "CHACHA20" in name) for name in names)
        assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_COMPRESSION
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_line_with_client_certificates_hands_out_no_ticket(ours: Authority, own: tuple[str, str], bank: tuple[str, str]) -> None:
    meeting = talk(client_context(ours.file, *bank), server_context(*own, ours.file))
    assert meeting.client._ssl.session is not None and not meeting.client._ssl.session.has_ticket


def test_an_issuing_ca_may_be_trusted_without_its_root(tmp_path: Path, own: tuple[str, str], ours: Authority) -> None:
    root = trustme.CA()
    issuing = root.create_child_ca()
    leaf = issuing.issue_cert("branch.example")
    anchor = tmp_path / "issuing.pem"
    issuing.cert_pem.write_to_path(str(anchor))
    client = client_context(ours.file)
    leaf.configure_cert(client)
    assert talk(client, server_context(*own, str(anchor))).server.peer_names() == ("branch.example",)


# -- refused: certificates of clients


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
    ours: Authority, strangers: Authority, own: tuple[str, str], version: ssl.TLSVersion, demand: tls.ClientCertificate
) -> None:
    client = only(client_context(ours.file, *strangers.issue("guest", "bank.example")), version)
    meeting = talk(client, server_context(*own, ours.file, demand))
    assert meeting.code("server") == "E-TLS-04"
    assert "from a CA that is not trusted here" in meeting.errors["server"].what
    assert meeting.code("client") == "E-TLS-08"


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


# -- refused: certificates of backends


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


def test_a_backend_is_accepted_by_the_ip_address_of_its_certificate(ours: Authority, own: tuple[str, str]) -> None:
    assert talk(client_context(ours.file), server_context(*own), "127.0.0.1").client.ready


# -- refused: old protocols, and no TLS at all


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


def first_bytes(context: ssl.SSLContext, side: tls.Side, data: bytes) -> TlsError | None:
    layer = TlsLayer(context, side, "router.example" if side == "client" else None)
    layer.handshake()
    layer.feed(data)
    try:
        layer.handshake()
    except TlsError as error:
        return error
    return None


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
def test_a_peer_that_speaks_no_tls_is_told_what_it_seems_to_speak(
    ours: Authority, own: tuple[str, str], data: bytes, side: tls.Side
) -> None:
    error = first_bytes(server_context(*own) if side == "server" else client_context(ours.file), side, data)
    assert error is not None and error.code == "E-TLS-08"
    assert error.what == f"the peer is not speaking TLS: it sent {PLAIN[data]}"
    assert error.do


def test_an_ssl_2_hello_is_recognised() -> None:
    assert looks_like(b"\x80\x2e\x01\x00\x02") == "an SSL 2.0 handshake"


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


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6000), min_size=1, max_size=8),
    sent=st.lists(st.binary(max_size=9000), max_size=4),
    version=st.sampled_from([TLS_1_2, TLS_1_3]),
)
def test_chunking_never_changes_what_arrives(
    contexts: dict[str, ssl.SSLContext], sizes: list[int], sent: list[bytes], version: ssl.TLSVersion
) -> None:
    def cut(flight: bytes) -> Iterator[bytes]:
        at, turn = 0, 0
        while at < len(flight):
            size = sizes[turn % len(sizes)]
            yield flight[at : at + size]
            at, turn = at + size, turn + 1

    meeting = talk(only(contexts["client"], version), contexts["server"], cut=cut)
    for part in sent:
        meeting.client.write(part)
        meeting.server.write(part[::-1])
    meeting.go_on()
    assert meeting.got == {"server": b"".join(sent), "client": b"".join(part[::-1] for part in sent)}
    assert meeting.errors == {}


@pytest.fixture(scope="module")
def contexts(ours: Authority, own: tuple[str, str], bank: tuple[str, str]) -> dict[str, ssl.SSLContext]:
    return {"client": client_context(ours.file, *bank), "server": server_context(*own, ours.file)}


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), side=st.sampled_from(["server", "client"]), tls_like=st.booleans())
def test_whatever_a_peer_sends_only_a_tls_error_comes_out(
    contexts: dict[str, ssl.SSLContext], data: bytes, side: tls.Side, tls_like: bool
) -> None:
    head = b"\x16\x03\x01" + (len(data)).to_bytes(2) if tls_like else b""
    error = first_bytes(contexts[side], side, head + data)
    assert error is None or error.code in CODES


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 400), byte=st.integers(0, 255), length=st.integers(0, 400))
def test_a_damaged_hello_is_an_error_and_never_a_crash(contexts: dict[str, ssl.SSLContext], at: int, byte: int, length: int) -> None:
    layer = TlsLayer(contexts["client"], "client", "router.example")
    layer.handshake()
    hello = bytearray(layer.outgoing())
    hello[at % len(hello)] = byte
    error = first_bytes(contexts["server"], "server", bytes(hello[: length or None]))
    assert error is None or error.code in ("E-TLS-01", "E-TLS-08")
    assert isinstance(tls._offer(bytes(hello[:length])), str)


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


def test_a_failed_handshake_leaves_no_cycle_behind(contexts: dict[str, ssl.SSLContext]) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            error = first_bytes(contexts["server"], "server", b"GET / HTTP/1.1\r\n\r\n")
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
def test_an_idle_session_stays_small_even_after_a_burst(contexts: dict[str, ssl.SSLContext], version: ssl.TLSVersion) -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("counts with glibc's mallinfo2")
    libc.mallinfo2.restype = Mallinfo
    only(contexts["client"], version)

    def sessions(count: int) -> list[TlsLayer]:
        kept = []
        for _ in range(count):
            meeting = talk(contexts["client"], contexts["server"])
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


# -- files


def problems(attempt: Callable[[], object]) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        attempt()
    for problem in caught.value.problems:
        assert problem.code in CODES and problem.do and problem.file
    return [(problem.code, problem.key, problem.what) for problem in caught.value.problems]


def test_facts_of_an_own_certificate(ours: Authority, tmp_path: Path) -> None:
    certificate, _ = ours.issue("facts", "a.example", "urn://b", "192.0.2.7", ends=5 * DAY)
    facts = certificate_facts(certificate)
    assert facts.names == ("a.example", "urn://b", "192.0.2.7")
    assert 5.9 < (facts.expires_at - facts.valid_from) / 86_400 < 6.1
    assert certificate_facts(ours.issue("nameless")[0]).names == ()
    assert problems(lambda: certificate_facts(str(tmp_path / "none.pem")))[0][0] == "E-CFG-01"


def test_every_bad_file_is_reported_at_once(tmp_path: Path, ours: Authority) -> None:
    certificate, _ = ours.issue("late", "router.example", starts=-3 * DAY, ends=-DAY)
    _, key = ours.issue("elsewhere", "router.example")
    os.chmod(key, 0o644)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(b"not pem")
    found = problems(lambda: server_context(certificate, key, str(ca), where="listeners.branches.tls"))
    assert [(code, name) for code, name, _ in found] == [
        ("E-CFG-14", "listeners.branches.tls.key"),
        ("E-CFG-12", "listeners.branches.tls.certificate"),
        ("E-CFG-11", "listeners.branches.tls.key"),
        ("E-CFG-15", "listeners.branches.tls.client_ca"),
    ]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_key_that_others_may_touch_is_refused(ours: Authority, mode: int) -> None:
    certificate, key = ours.issue("open", "router.example")
    os.chmod(key, mode)
    assert problems(lambda: server_context(certificate, key)) == [
        ("E-CFG-14", "tls.key", f"mode is {mode:04o}: others than the owner have access")
    ]
    assert problems(lambda: client_context(ours.file, certificate, key))[0][0] == "E-CFG-14"


def test_an_encrypted_key_is_refused_and_no_password_is_asked_for(ours: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, path = ours.issue("locked", "router.example", key=key)
    Path(path).write_bytes(pem_of(key, password=b"secret"))
    script = f"from telegram_router.wire.tls import server_context; server_context({certificate!r}, {path!r})"
    run = subprocess.run([sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert "E-CFG-13" in run.stderr and "PEM pass phrase" not in run.stderr + run.stdout
    assert problems(lambda: server_context(certificate, path)) == [
        ("E-CFG-13", "tls.key", "the key is encrypted, and nobody is there to type a password")
    ]


def test_an_old_style_encrypted_key_is_refused_too(ours: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, path = ours.issue("locked-old", "router.example", key=key)
    Path(path).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")))
    assert [problem[0] for problem in problems(lambda: server_context(certificate, path))] == ["E-CFG-13"]


FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "cannot be read (No such file or directory)"),
    "empty": (b"", "no PEM"),
    "binary": (b"\x30\x82\x01\x0a" * 10, "no PEM"),
    "torn": (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "cannot be parsed"),
    "huge": (b"x" * (1024 * 1024 + 1), "larger than 1 MiB"),
}


@pytest.mark.parametrize("fault", FILES)
@pytest.mark.parametrize("which", ["certificate", "client_ca", "ca"])
def test_a_certificate_file_that_cannot_be_used_is_named(
    tmp_path: Path, ours: Authority, own: tuple[str, str], fault: str, which: str
) -> None:
    content, what = FILES[fault]
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_bytes(content)
    attempts: dict[str, Callable[[], object]] = {
        "certificate": lambda: server_context(str(path), own[1]),
        "client_ca": lambda: server_context(*own, str(path)),
        "ca": lambda: client_context(str(path)),
    }
    [(code, key, said)] = problems(attempts[which])
    assert (code, key) == ("E-CFG-01" if content is None else "E-CFG-15", f"tls.{which}")
    assert what in said


@pytest.mark.parametrize(
    ("content", "code", "what"),
    [
        (None, "E-CFG-01", "cannot be read"),
        (b"", "E-CFG-13", "no PEM private key"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "E-CFG-13", "no PEM private key"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "E-CFG-13", "cannot be parsed"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_named(tmp_path: Path, own: tuple[str, str], content: bytes | None, code: str, what: str) -> None:
    path = tmp_path / "bad.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    [(said_code, key, said)] = problems(lambda: server_context(own[0], str(path)))
    assert (said_code, key) == (code, "tls.key") and what in said


def test_a_directory_and_a_pipe_are_no_files(tmp_path: Path, own: tuple[str, str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (str(tmp_path), str(pipe), "nul\0byte"):
        assert [problem[:2] for problem in problems(lambda path=path: server_context(path, own[1]))] == [("E-CFG-01", "tls.certificate")]


def test_a_certificate_that_is_not_valid_yet_is_refused_at_start(ours: Authority) -> None:
    files = ours.issue("early", "router.example", starts=DAY, ends=2 * DAY)
    [(code, key, what)] = problems(lambda: server_context(*files))
    assert (code, key) == ("E-CFG-12", "tls.certificate") and what.startswith("is not valid before 20")


def test_dates_are_judged_by_the_time_given(ours: Authority, own: tuple[str, str]) -> None:
    ends = certificate_facts(own[0]).expires_at
    server_context(*own, now=ends - 1)
    assert problems(lambda: server_context(*own, now=ends))[0][0] == "E-CFG-12"
    assert problems(lambda: client_context(ours.file, *own, now=ends))[0][0] == "E-CFG-12"


def test_a_chain_in_the_wrong_order_is_explained(tmp_path: Path, ours: Authority, own: tuple[str, str]) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(Path(ours.file).read_bytes() + Path(own[0]).read_bytes())
    [(code, _, what)] = problems(lambda: server_context(str(chain), own[1]))
    assert code == "E-CFG-11" and what == "the key belongs to certificate 2 of the file, not to the first"


def test_certificate_and_key_may_share_a_file(tmp_path: Path, ours: Authority, own: tuple[str, str]) -> None:
    both = tmp_path / "both.pem"
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    both.write_bytes(Path(own[0]).read_bytes() + parameters + Path(own[1]).read_bytes())
    both.chmod(0o600)
    assert talk(client_context(ours.file), server_context(str(both), str(both))).server.ready


def test_a_key_that_suits_no_cipher_is_found_at_start(ours: Authority) -> None:
    files = ours.issue("odd", "router.example", key=ec.generate_private_key(ec.SECP256K1()))
    for attempt in (lambda: server_context(*files, profile="modern"), lambda: client_context(ours.file, *files)):
        [(code, key, what)] = problems(attempt)
        assert (code, key) == ("E-CFG-15", "tls.certificate") and "test handshake" in what


def test_a_key_too_short_for_openssl_is_found_at_start(ours: Authority) -> None:
    files = ours.issue("short", "router.example", key=rsa.generate_private_key(65537, 1024))
    [(code, key, what)] = problems(lambda: server_context(*files))
    assert (code, key) == ("E-CFG-15", "tls.certificate") and "key too small" in what


def test_an_ed25519_key_serves(ours: Authority) -> None:
    files = ours.issue("edwards", "router.example", key=ed25519.Ed25519PrivateKey.generate())
    assert talk(client_context(ours.file), server_context(*files)).server.ready


def test_a_client_key_without_its_certificate_is_a_contradiction(ours: Authority, own: tuple[str, str]) -> None:
    assert problems_without_file(lambda: client_context(ours.file, key=own[1])) == ("E-CFG-07", "tls.certificate")
    assert problems_without_file(lambda: client_context(ours.file, certificate=own[0])) == ("E-CFG-07", "tls.key")


def problems_without_file(attempt: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        attempt()
    return caught.value.problems[0].code, caught.value.problems[0].key


def test_without_a_ca_the_systems_are_trusted() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
