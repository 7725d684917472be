"""A certificate authority for development, tests and the demo: it issues pairs of certificate and key into a folder."""

# Rules this file keeps, all of them tested:
#
# 1. What it makes passes OpenSSL's strict verification.
# 2. A key file is never readable by others, not even for the moment in which it is written.
# 3. A file that exists is replaced only when that was asked for, and then as a whole.

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Purpose = Literal["server", "client"]

CA_DAYS, PAIR_DAYS = 3650, 397
_PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", re.IGNORECASE)
_CLOCKS_DIFFER = timedelta(minutes=5)
_COMMON_NAME = 64  # characters at most (RFC 5280, ub-common-name)


class CannotIssue(Exception):
    """What is wrong with the order or with the folder, and what to do about it, in one sentence each."""


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into a folder: NAME.pem, and NAME.key readable by its owner alone."""

    def __init__(self, own: x509.Certificate, key: ec.EllipticCurvePrivateKey, files: Pair) -> None:
        self._own = own
        self._key = key
        self.files = files

    @property
    def certificate(self) -> Path:
        """The file that others name as the CA they trust."""
        return self.files.certificate

    @classmethod
    def make(cls, folder: Path, name: str = "telegram-router development CA", days: int = CA_DAYS, *, force: bool = False) -> Authority:
        """A new CA in `folder`: ca.pem and ca.key. Raises CannotIssue when there is one and not `force`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME])])
        own = (
            _builder(subject, subject, key, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(own, key, _write_pair(folder, "ca", own, key, force=force))

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """The CA that `make` left in `folder`. Raises CannotIssue."""
        files = Pair(folder / "ca.pem", folder / "ca.key")
        try:
            own = x509.load_pem_x509_certificate(files.certificate.read_bytes())
            key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
        except OSError as error:
            raise _refused(f"{error.filename}: {error.strerror}", "make a CA first: telegram-router certs ca --output FOLDER") from None
        except (ValueError, TypeError):
            raise _refused(
                f"{folder}: ca.pem and ca.key are not a CA of ours", "make one: telegram-router certs ca --output FOLDER"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != own.public_key():
            raise _refused(f"{folder}: ca.key is not the key of ca.pem", "make a CA again, in a folder of its own")
        return cls(own, key, files)

    def issue(
        self, file: str, names: Sequence[str], purpose: Purpose, days: int = PAIR_DAYS, *, folder: Path | None = None, force: bool = False
    ) -> Pair:
        """A certificate for these DNS names, IP addresses and URIs, never valid longer than the CA. Raises CannotIssue."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file[:_COMMON_NAME])])
        certificate = (
            _builder(subject, self._own.subject, key, days, self._own.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName([general_name(each) for each in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_PURPOSES[purpose]]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _write_pair(folder or self.certificate.parent, file, certificate, key, force=force)


def general_name(name: str) -> x509.GeneralName:
    """A name as certificates hold it. Raises CannotIssue when it is neither an IP address, nor a URI, nor a DNS name."""
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    if re.match(r"[a-z][a-z0-9+.-]*:", name, re.IGNORECASE) and name.isascii():
        return x509.UniformResourceIdentifier(name)
    if not _DNS_NAME.fullmatch(name):
        raise _refused(f"{name} is no name for a certificate", "give DNS names, IP addresses or URIs, in ASCII")
    return x509.DNSName(name)


def file_name(name: str) -> str:
    """How the files of a name are called, without their endings."""
    return re.sub(r"[^\w.-]+", "_", name.replace("*", "wildcard"), flags=re.ASCII).strip("._") or "certificate"


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int, latest: datetime | None = None
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(end if latest is None else min(end, latest))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write_pair(folder: Path, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, *, force: bool) -> Pair:
    files = Pair(folder / f"{file}.pem", folder / f"{file}.key")
    there = [path for path in (files.certificate, files.key) if os.path.lexists(path)]
    if there and not force:
        raise _refused(f"{there[0]} exists", "choose another folder, or replace it with --force")
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(files.key, text, 0o600)
        _write(files.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise _refused(f"{error.filename}: {error.strerror}", "choose a folder that can be written to") from None
    return files


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def _refused(what: str, do: str) -> CannotIssue:
    return CannotIssue(f"{what}; {do}")
