"""The development CA: what it issues is held against openssl, and its files are looked at."""

from __future__ import annotations

import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tls_kit import talk

from telegram_router.wire.authority import Authority, CannotIssue, file_name
from telegram_router.wire.certificates import client_context, server_context


def verified(authority: Authority, certificate: Path, purpose: str) -> str:
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(authority.certificate), str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_what_it_issues_passes_the_strict_verification_of_openssl_for_its_purpose_alone(tmp_path: Path):
    authority = Authority.make(tmp_path)
    server = authority.issue("router", ["router.example", "*.bank.example", "10.0.0.5", "2001:db8::1", "urn:institution:088"], "server")
    client = authority.issue("acme", ["acme.example"], "client")
    assert ": OK" in verified(authority, server.certificate, "sslserver") and "error" in verified(
        authority, server.certificate, "sslclient"
    )
    assert ": OK" in verified(authority, client.certificate, "sslclient") and "error" in verified(
        authority, client.certificate, "sslserver"
    )


def test_a_pair_of_it_serves_a_pair_of_it(tmp_path: Path):
    authority = Authority.make(tmp_path)
    server, client = authority.issue("router", ["router.example"], "server"), authority.issue("acme", ["acme.example"], "client")
    ca = str(authority.certificate)
    meeting = talk(
        client_context(ca, str(client.certificate), str(client.key)), server_context(str(server.certificate), str(server.key), ca)
    )
    assert meeting.server.peer_names() == ("acme.example",) and not meeting.errors


def test_names_are_kept_as_what_they_are(tmp_path: Path):
    pair = Authority.make(tmp_path).issue("router", ["Router.example", "10.0.0.5", "2001:db8::1", "urn:institution:088"], "server")
    names = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    kinds = [type(each).__name__ for each in names.value]
    assert kinds == ["DNSName", "IPAddress", "IPAddress", "UniformResourceIdentifier"]


@pytest.mark.parametrize("name", ["", "a b", "가나.example", "a..b", "-a.example", "*.*.example", "a.*", "x" * 64 + ".example", "a/../b"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str):
    authority = Authority.make(tmp_path)
    with pytest.raises(CannotIssue, match="is no name"):
        authority.issue("router", [name], "server")
    assert not (tmp_path / "router.key").exists()


def test_key_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        authority = Authority.make(tmp_path)
        pair = authority.issue("router", ["router.example"], "server")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (authority.files.key, pair.key)] == [0o600, 0o600]
    assert stat.S_IMODE(pair.certificate.stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem", "router.key", "router.pem"]


def test_what_exists_is_replaced_only_by_force(tmp_path: Path):
    authority = Authority.make(tmp_path)
    pair = authority.issue("router", ["router.example"], "server")
    before = pair.certificate.read_bytes(), pair.key.read_bytes()
    with pytest.raises(CannotIssue, match="exists"):
        authority.issue("router", ["router.example"], "server")
    with pytest.raises(CannotIssue, match="exists"):
        Authority.make(tmp_path)
    assert (pair.certificate.read_bytes(), pair.key.read_bytes()) == before
    authority.issue("router", ["router.example"], "server", force=True)
    assert pair.certificate.read_bytes() != before[0] and pair.key.read_bytes() != before[1]


def test_no_pair_outlives_its_ca(tmp_path: Path):
    pair = Authority.make(tmp_path, days=5).issue("router", ["router.example"], "server", days=30)
    ends = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).not_valid_after_utc
    assert ends <= datetime.now(UTC) + timedelta(days=5)


def test_a_ca_is_taken_up_again(tmp_path: Path):
    made = Authority.make(tmp_path)
    pair = Authority.load(tmp_path).issue("router", ["router.example"], "server", folder=tmp_path / "deep" / "er")
    assert ": OK" in verified(made, pair.certificate, "sslserver") and pair.key.parent == tmp_path / "deep" / "er"


def test_a_folder_that_holds_no_ca_is_named(tmp_path: Path):
    with pytest.raises(CannotIssue, match=r"No such file.*certs ca"):
        Authority.load(tmp_path)
    Authority.make(tmp_path)
    (tmp_path / "ca.key").write_text("no key")
    with pytest.raises(CannotIssue, match="not a CA of ours"):
        Authority.load(tmp_path)
    other = Authority.make(tmp_path / "other")
    (tmp_path / "ca.key").write_bytes(other.files.key.read_bytes())
    with pytest.raises(CannotIssue, match="not the key of"):
        Authority.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("router.example", "router.example"),
        ("*.bank.example", "wildcard.bank.example"),
        ("urn:x/y", "urn_x_y"),
        ("::1", "1"),
        ("::", "certificate"),
    ],
)
def test_files_are_called_by_the_name_without_what_paths_give_a_meaning(name: str, file: str):
    assert file_name(name) == file
