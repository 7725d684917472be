"""What a certificate says, for a person, and what OpenSSL's strict verification would refuse about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from telegram_router.errors import CODES, ConfigError, ConfigProblem

Extension = TypeVar("Extension", bound=x509.ExtensionType)

_DAY = 86_400.0
_USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}


@dataclass(frozen=True)
class CertificateSeen:
    """One certificate of a file, in words."""

    file: str
    place: int  # in the file, from 1
    subject: str
    names: tuple[str, ...]
    issuer: str
    serial: str
    valid_from: str
    valid_until: str
    days_left: int  # below 0 once it has expired
    key: str
    fingerprint: str  # SHA-256
    ca: bool
    key_usage: tuple[str, ...]
    purposes: tuple[str, ...]
    flaws: tuple[str, ...] = field(default=())  # what `openssl verify -x509_strict` refuses, its dates included


def look_at(path: Path, now: datetime) -> list[CertificateSeen]:
    """Every certificate of a PEM or DER file. Raises ConfigError when it holds none that can be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([_problem("E-CFG-01", path, error.strerror or "cannot be read")]) from None
    try:
        pem = b"-----BEGIN" in content
        found = x509.load_pem_x509_certificates(content) if pem else [x509.load_der_x509_certificate(content)]
    except ValueError:
        raise ConfigError([_problem("E-CFG-15", path, "no certificate in it that can be read")]) from None
    return [_seen(str(path), place, each, now) for place, each in enumerate(found, 1)]


def _problem(code: str, path: Path, what: str) -> ConfigProblem:
    return ConfigProblem(code, str(path), 0, "", what, "", CODES[code].do)


def _seen(file: str, place: int, certificate: x509.Certificate, now: datetime) -> CertificateSeen:
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    return CertificateSeen(
        file,
        place,
        certificate.subject.rfc4514_string(),
        tuple(_names(certificate)),
        certificate.issuer.rfc4514_string(),
        f"{certificate.serial_number:x}",
        f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        int((certificate.not_valid_after_utc - now).total_seconds() // _DAY),
        _key(certificate),
        certificate.fingerprint(hashes.SHA256()).hex(),
        _is_ca(certificate),
        tuple(name for name in _USAGES if usage is not None and getattr(usage.value, name)),
        tuple(_PURPOSES.get(each, each.dotted_string) for each in purposes.value) if purposes is not None else (),
        tuple(flaws(certificate, now)),
    )


def flaws(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    """What OpenSSL refuses with X509_V_FLAG_X509_STRICT (its check_extensions), and dates that do not fit."""
    if certificate.not_valid_after_utc <= now:
        yield "has expired"
    if certificate.not_valid_before_utc > now:
        yield "is not valid yet"
    try:
        certificate.extensions  # noqa: B018
    except ValueError:
        yield "an extension in it cannot be parsed"
        return
    if certificate.subject == certificate.issuer and not _is_ca(certificate):
        return  # RFC 6818: a certificate that stands for itself is trusted as it is, or not at all
    yield from _flaws_of_constraints(certificate)
    yield from _flaws_of_names(certificate)
    yield from _flaws_of_identifiers(certificate)


def _flaws_of_constraints(certificate: x509.Certificate) -> Iterator[str]:
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    signs = usage is not None and usage.value.key_cert_sign
    if basic is not None and basic.value.ca:
        if not basic.critical:
            yield "is a CA, and its basic constraints are not marked critical"
        if usage is None:
            yield "is a CA without key usage"
        elif not signs:
            yield "is a CA, and its key usage does not say that it signs certificates (keyCertSign)"
    elif signs:
        yield "is no CA, and its key usage says that it signs certificates (keyCertSign)"


def _flaws_of_names(certificate: x509.Certificate) -> Iterator[str]:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if not list(certificate.issuer):
        yield "its issuer has no name"
    if not list(certificate.subject):
        if names is None or _is_ca(certificate):
            yield "its subject has no name"
        elif not names.critical:
            yield "its subject has no name, and its subject alternative names are not marked critical"
    if names is not None and not list(names.value):
        yield "its subject alternative names are empty"


def _flaws_of_identifiers(certificate: x509.Certificate) -> Iterator[str]:
    own = _extension(certificate, x509.SubjectKeyIdentifier)
    above = _extension(certificate, x509.AuthorityKeyIdentifier)
    if certificate.version is not x509.Version.v3:
        if list(certificate.extensions):
            yield "has extensions, and is not of version 3"
        return
    if above is None and certificate.subject != certificate.issuer:
        yield "has no authority key identifier"
    if above is not None and above.critical:
        yield "its authority key identifier is marked critical"
    if own is None and _is_ca(certificate):
        yield "is a CA without subject key identifier"
    if own is not None and own.critical:
        yield "its subject key identifier is marked critical"


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> x509.Extension[Extension] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except (x509.ExtensionNotFound, ValueError):
        return None


def _is_ca(certificate: x509.Certificate) -> bool:
    basic = _extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.value.ca


def _names(certificate: x509.Certificate) -> Iterator[str]:
    names = _extension(certificate, x509.SubjectAlternativeName)
    return (str(each.value) for each in names.value) if names is not None else iter(())


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except ValueError:
        return "unknown"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")
