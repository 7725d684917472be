"""What is said of a certificate, held against `openssl verify -x509_strict`."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tls_kit import DAY

from telegram_router.errors import ConfigError
from telegram_router.wire.authority import Authority
from telegram_router.wire.inspection import flaws, look_at

NOW = dt.datetime.now(dt.UTC)
NAMED = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
ROOT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
SIGNS = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
SIGNS_NOT = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
NAMES = x509.SubjectAlternativeName([x509.DNSName("leaf.example")])


@pytest.fixture(scope="module")
def root() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(ROOT, ROOT, key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False).sign(key, hashes.SHA256()), key


LEAVES: dict[str, dict[str, Any]] = {
    "good": {},
    "expired": {"ends": -DAY / 2},
    "not valid yet": {"starts": DAY / 2},
    "no authority key identifier": {"above": None},
    "critical authority key identifier": {"above": True},
    "critical subject key identifier": {"own": True},
    "no subject key identifier": {"own": None},
    "signs without being a CA": {"usage": SIGNS},
    "no key usage": {"usage": None},
    "no subject": {"subject": x509.Name([])},
    "no subject, critical names": {"subject": x509.Name([]), "names": True},
    "no subject, no names": {"subject": x509.Name([]), "names": None},
    "CA": {"basic": (True, True), "usage": SIGNS},
    "CA, constraints not critical": {"basic": (True, False), "usage": SIGNS},
    "CA without key usage": {"basic": (True, True), "usage": None},
    "CA without subject key identifier": {"basic": (True, True), "usage": SIGNS, "own": None},
    "no constraints": {"basic": None},
}


def leaf(
    root: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], subject: x509.Name = NAMED, starts: dt.timedelta = -DAY, ends: dt.timedelta = DAY,
    basic: tuple[bool, bool] | None = (False, True), usage: x509.KeyUsage | None = SIGNS_NOT, names: bool | None = False, own: bool | None = False,
    above: bool | None = False,
) -> x509.Certificate:  # fmt: skip
    """Booleans say whether an extension is critical, None leaves it out."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(ROOT, subject, key.public_key(), x509.random_serial_number(), NOW + starts, NOW + ends)
    if basic is not None:
        builder = builder.add_extension(x509.BasicConstraints(basic[0], None), critical=basic[1])
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    if names is not None:
        builder = builder.add_extension(NAMES, critical=names)
    if own is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=own)
    if above is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root[1].public_key()), critical=above)
    return builder.sign(root[1], hashes.SHA256())


@pytest.mark.parametrize("how", LEAVES)
def test_it_finds_flaws_exactly_where_openssl_refuses(root: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], tmp_path: Path, how: str):
    certificate = leaf(root, **LEAVES[how])
    (tmp_path / "root.pem").write_bytes(root[0].public_bytes(Encoding.PEM))
    (tmp_path / "leaf.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "root.pem"), str(tmp_path / "leaf.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (list(flaws(certificate, NOW)) == []) == (done.returncode == 0), done.stderr


def test_a_ca_that_may_not_sign_is_told_though_openssl_tells_it_of_what_it_signed(
    root: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
):
    (flaw,) = flaws(leaf(root, basic=(True, True), usage=SIGNS_NOT), NOW)
    assert "keyCertSign" in flaw


def test_a_certificate_is_told_in_words(tmp_path: Path):
    pair = Authority.make(tmp_path).issue("router", ["router.example", "10.0.0.5"], "server", days=30)
    (seen,) = look_at(pair.certificate, dt.datetime.now(dt.UTC))
    assert (seen.subject, seen.names, seen.issuer) == ("CN=router", ("router.example", "10.0.0.5"), "CN=telegram-router development CA")
    assert (seen.days_left, seen.key, seen.ca, seen.key_usage, seen.purposes) == (
        29,
        "EC secp256r1",
        False,
        ("digital_signature",),
        ("server",),
    )
    assert seen.flaws == ()


def test_every_certificate_of_a_chain_is_told_and_der_too(tmp_path: Path):
    authority = Authority.make(tmp_path)
    pair = authority.issue("router", ["router.example"], "server")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pair.certificate.read_bytes() + authority.certificate.read_bytes())
    der = tmp_path / "router.der"
    der.write_bytes(x509.load_pem_x509_certificate(pair.certificate.read_bytes()).public_bytes(Encoding.DER))
    assert [(each.place, each.ca) for each in look_at(chain, NOW)] == [(1, False), (2, True)]
    assert look_at(der, NOW)[0].fingerprint == look_at(pair.certificate, NOW)[0].fingerprint


@pytest.mark.parametrize(("content", "code"), [(None, "E-CFG-01"), (b"", "E-CFG-15"), (b"-----BEGIN CERTIFICATE-----\n", "E-CFG-15")])
def test_a_file_without_a_certificate_is_named(tmp_path: Path, content: bytes | None, code: str):
    file = tmp_path / "some.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        look_at(file, NOW)
    assert [(each.code, each.file) for each in caught.value.problems] == [(code, str(file))]
