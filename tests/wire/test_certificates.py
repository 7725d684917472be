"""Contexts for listeners and links: what they offer and whom they trust, and every bad file named at start."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import NameOID
from tls_kit import DAY, TLS_1_2, Authority, only, pem_of, talk

from telegram_router.errors import CODES, ConfigError
from telegram_router.wire.certificates import certificate_facts, client_context, server_context

# -- contexts


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


def authority_with(usage: bool | None, critical: bool, identified: bool) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A CA. `usage`: whether its key usage says that it signs certificates; None for a CA without key usage."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A CA of the tests")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=critical)
    if usage is not None:
        signs = x509.KeyUsage(not usage, False, False, False, False, usage, usage, False, False)
        builder = builder.add_extension(signs, critical=True)
    if identified:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256()), key


@pytest.mark.parametrize("usage", [True, False, None])
@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("identified", [True, False])
def test_a_ca_is_refused_at_start_exactly_when_openssl_would_refuse_its_certificates(
    tmp_path: Path, ours: Authority, own: tuple[str, str], usage: bool | None, critical: bool, identified: bool
) -> None:
    """`openssl req -x509` makes a CA without key usage, unless it is asked for one."""
    ca, ca_key = authority_with(usage, critical, identified)
    file = tmp_path / "clients.pem"
    file.write_bytes(ca.public_bytes(Encoding.PEM))
    certificate, key = ours.issue("client", "branch.example", ca=(ca, ca_key))
    strict = server_context(*own, ours.file)
    strict.load_verify_locations(file)
    meeting = talk(client_context(ours.file, certificate, key), strict)
    try:
        server_context(*own, str(file))
    except ConfigError as error:
        (problem,) = error.problems
        assert (problem.code, problem.file) == ("E-CFG-15", str(file)) and "keyUsage=critical" in problem.do
        assert meeting.code("server") == "E-TLS-04" and "in a CA above it" in meeting.errors["server"].do
    else:
        assert not meeting.errors and (usage, critical, identified) == (True, True, True)


def test_one_good_ca_in_a_bundle_is_enough(tmp_path: Path, ours: Authority, own: tuple[str, str]) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority_with(None, True, True)[0].public_bytes(Encoding.PEM) + Path(ours.file).read_bytes())
    assert server_context(*own, str(bundle)).verify_mode is ssl.CERT_REQUIRED


def test_without_a_ca_the_systems_are_trusted() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname


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
    script = f"from telegram_router.wire.certificates import server_context; server_context({certificate!r}, {path!r})"
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
