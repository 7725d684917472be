"""A certification authority for tests, which also issues what a decent one would not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from tls_kit import pem_of, signed

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
        issuer = None if self_signed else (self._certificate, self._key)
        certificate = signed(key, issuer, [name] if name else [], starts, ends, purposes, common_name)
        files = self._folder / f"{file or name}.pem", self._folder / f"{file or name}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].write_bytes(pem_of(key, password))
        files[1].chmod(0o600)
        return Pair(*map(str, files))
