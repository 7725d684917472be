"""Certificates good and bad, and two TLS layers talking in memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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

from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import Side, TlsError

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
        ca: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    ) -> tuple[str, str]:
        """Write a certificate and its key; returns both paths. `ca` signs it instead of this authority."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        issuer = None if self_signed else ca or (self._certificate, self._key)
        certificate = signed(key, issuer, names, starts, ends, purposes)
        return self.write(file, certificate.public_bytes(Encoding.PEM), pem_of(key))

    def write(self, file: str, certificate: bytes, key: bytes) -> tuple[str, str]:
        certificate_path, key_path = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        certificate_path.write_bytes(certificate)
        key_path.write_bytes(key)
        key_path.chmod(0o600)
        return str(certificate_path), str(key_path)


def signed(
    key: OwnKey,
    issuer: tuple[x509.Certificate, Any] | None,
    names: Sequence[str],
    starts: dt.timedelta,
    ends: dt.timedelta,
    purposes: Sequence[x509.ObjectIdentifier] = BOTH_ENDS,
    common_name: str = "only.in.common.name.example",
) -> x509.Certificate:
    """A certificate for a key, signed by an issuer with its own, or without one by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signing = key if issuer is None else issuer[1]
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
    return builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def general_name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def pem_of(key: OwnKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


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


def first_bytes(context: ssl.SSLContext, side: Side, data: bytes) -> TlsError | None:
    layer = TlsLayer(context, side, "router.example" if side == "client" else None)
    layer.handshake()
    layer.feed(data)
    try:
        layer.handshake()
    except TlsError as error:
        return error
    return None
