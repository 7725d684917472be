"""A certification authority for tests, which also issues what a decent one would not."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = dt.timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: str
    key: str


class Authority:
    """Writes its own certificate to `file`, and those it issues beside it."""

    def __init__(self, folder: Path, name: str) -> None:
        ca = trustme.CA()
        self._folder = folder / name
        self._folder.mkdir()
        self.file = str(self._folder / "ca.pem")
        ca.cert_pem.write_to_path(self.file)
        self._certificate = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
        self._key = load_pem_private_key(ca.private_key_pem.bytes(), password=None)

    def issue(
        self,
        name: str,
        *,
        file: str = "",
        starts: dt.timedelta = -DAY,
        ends: dt.timedelta = DAY,
        purposes: Sequence[x509.ObjectIdentifier] = (SERVER, CLIENT),
        self_signed: bool = False,
        password: bytes | None = None,
        common_name: str = "no name",
    ) -> Pair:
        """A certificate for one DNS name, IP address or URI; without a name, for its common name alone."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        signing = key if self_signed else self._key
        now = dt.datetime.now(dt.UTC)
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
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)  # type: ignore[arg-type]
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if name:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        certificate = builder.sign(signing, hashes.SHA256())  # type: ignore[arg-type]
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        files = self._folder / f"{file or name}.pem", self._folder / f"{file or name}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        files[1].chmod(0o600)
        return Pair(*map(str, files))


def _general_name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
