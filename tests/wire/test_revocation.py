"""Revocation lists and encrypted keys: what openssl made of them, and every bad file named at start."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tls_kit import BOTH_VERSIONS, DAY, TELEGRAM, TLS_1_2, Talk, only, talk

from telegram_router.errors import ConfigError
from telegram_router.wire.authority import Authority
from telegram_router.wire.certificates import client_context, server_context
from telegram_router.wire.tls import TlsLayer

OPENSSL_CA = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
crlnumber = {folder}/crlnumber
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_crl_days = 30
crl_extensions = crl
[crl]
authorityKeyIdentifier = keyid:always
"""


class Bank:
    """A CA of ours with a router and two clients, and `openssl ca`, which revokes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.make(folder)
        self.ca = str(self.authority.certificate)
        self.router, self.good, self.lost = (self.pair(each) for each in ("router", "good", "lost"))
        (folder / "openssl.cnf").write_text(OPENSSL_CA.format(folder=folder))
        (folder / "index.txt").touch()
        (folder / "crlnumber").write_text("01\n")
        self.openssl("-revoke", self.lost[0])
        self.crl = str(folder / "crl.pem")
        self.openssl("-gencrl", "-out", self.crl)

    def pair(self, name: str) -> tuple[str, str]:
        made = self.authority.issue(name, [f"{name}.example"], "server" if name == "router" else "client")
        return str(made.certificate), str(made.key)

    def openssl(self, *options: str) -> None:
        subprocess.run(["openssl", "ca", "-config", str(self.folder / "openssl.cnf"), *options], check=True, capture_output=True)

    def list(self, file: str, starts: dt.timedelta = -DAY, ends: dt.timedelta = DAY) -> str:
        """A list that openssl would not make."""
        now, other = dt.datetime.now(dt.UTC), Authority.load(self.folder)
        builder = x509.CertificateRevocationListBuilder().issuer_name(other._own.subject).last_update(now + starts).next_update(now + ends)
        path = self.folder / file
        path.write_bytes(builder.sign(other._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return str(path)

    def server(self, crl: Sequence[str] = (), **more: str) -> ssl.SSLContext:
        return server_context(*self.router, self.ca, crl=crl or [self.crl], **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank(tmp_path_factory.mktemp("bank"))


def problem(attempt: Callable[[], object]) -> tuple[str, str, str, str]:
    with pytest.raises(ConfigError) as caught:
        attempt()
    (found,) = caught.value.problems
    return found.code, found.key, found.file, found.what


# -- clients


@BOTH_VERSIONS
@pytest.mark.parametrize("check", ["leaf", "chain"])
def test_a_client_that_openssl_has_revoked_is_refused_and_another_is_served(bank: Bank, version: ssl.TLSVersion, check: str) -> None:
    server = bank.server(crl_check=check)
    refused = talk(only(client_context(bank.ca, *bank.lost), version), server)
    assert refused.code("server") == "E-TLS-06" and "has been revoked" in refused.errors["server"].what and not refused.server.ready
    served = talk(only(client_context(bank.ca, *bank.good), version), server)
    served.client.write(TELEGRAM)
    assert served.go_on().got["server"] == TELEGRAM


def test_a_client_whose_ca_has_no_list_is_refused(bank: Bank, tmp_path: Path) -> None:
    """A bundle may hold a CA for the sake of those below it; who comes with a certificate of its own is not let in unseen."""
    server = bank.server()
    stranger = Authority.make(tmp_path)
    server.load_verify_locations(str(stranger.certificate))
    pair = stranger.issue("stranger", ["stranger.example"], "client")
    meeting = talk(client_context(bank.ca, str(pair.certificate), str(pair.key)), server)
    assert meeting.code("server") == "E-TLS-06" and "no revocation list" in meeting.errors["server"].what


def test_a_list_that_expires_while_the_router_runs_lets_nobody_in_and_no_session_be_resumed(bank: Bank) -> None:
    server, client = bank.server([bank.list("soon.pem")]), only(client_context(bank.ca, *bank.good), TLS_1_2)
    first = talk(client, server)
    ends = server.lists_end  # type: ignore[attr-defined]

    def resume(clock: Callable[[], float]) -> Talk:
        layer = TlsLayer(client, "client", "router.example")
        layer._ssl.session = first.client._ssl.session
        return Talk(layer, TlsLayer(server, "server", clock=clock)).go_on()

    assert resume(lambda: ends - 1).server.ready
    late = resume(lambda: ends)
    assert late.code("server") == "E-TLS-06" and "list has expired" in late.errors["server"].what


def test_openssl_itself_refuses_by_a_list_that_has_expired(bank: Bank) -> None:
    server = server_context(*bank.router, bank.ca)
    server.load_verify_locations(bank.list("old.pem", -2 * DAY, -DAY))
    server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    meeting = talk(client_context(bank.ca, *bank.good), server)
    assert meeting.code("server") == "E-TLS-06" and "list has expired" in meeting.errors["server"].what


# -- lists


def test_a_list_that_has_expired_is_refused_at_start(bank: Bank) -> None:
    old = bank.list("old.pem", -2 * DAY, -DAY)
    code, key, file, what = problem(lambda: bank.server([old]))
    assert (code, key, file) == ("E-CFG-16", "tls.crl", old) and what.startswith("expired at 2") and "no client of this CA" in what


def test_a_list_of_tomorrow_is_refused_at_start(bank: Bank) -> None:
    code, key, _, what = problem(lambda: bank.server([bank.list("early.pem", DAY, 2 * DAY)]))
    assert (code, key) == ("E-CFG-16", "tls.crl") and "is not valid before" in what


def test_a_list_of_another_ca_is_refused_at_start_though_it_is_called_the_same(bank: Bank, tmp_path: Path) -> None:
    other = Bank(tmp_path)
    code, _, file, what = problem(lambda: bank.server([other.crl]))
    assert (code, file, what) == ("E-CFG-16", other.crl, "is signed by no CA of client_ca")


def test_a_ca_without_a_list_is_named_at_start(bank: Bank, tmp_path: Path) -> None:
    other, bundle = Authority.make(tmp_path / "other", "The other CA"), tmp_path / "bundle.pem"
    bundle.write_bytes(Path(bank.ca).read_bytes() + other.certificate.read_bytes())
    code, _, _, what = problem(lambda: server_context(*bank.router, str(bundle), crl=[bank.crl]))
    assert code == "E-CFG-16" and "there is no list of the CA CN=The other CA" in what


def test_a_root_above_the_issuing_ca_needs_a_list_only_where_the_whole_chain_is_looked_up(bank: Bank, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.load_pem_x509_certificate(Path(bank.ca).read_bytes())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    usage = own.extensions.get_extension_for_class(x509.KeyUsage).value

    def ca(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> bytes:
        builder = x509.CertificateBuilder(name, subject, public, x509.random_serial_number(), now - DAY, now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        return (
            builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    bundle = tmp_path / "bundle.pem"
    public = own.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    bundle.write_bytes(ca(own.subject, public) + ca(name, key.public_key()))
    server = server_context(*bank.router, str(bundle), crl=[bank.crl])
    assert talk(client_context(bank.ca, *bank.good), server).server.ready
    assert talk(client_context(bank.ca, *bank.lost), server).code("server") == "E-TLS-06"
    code, _, _, what = problem(lambda: server_context(*bank.router, str(bundle), crl=[bank.crl], crl_check="chain"))
    assert code == "E-CFG-16" and "CN=root" in what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no PEM revocation list in it"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "the revocation list in it cannot be parsed"),
    ],
)
def test_a_file_without_a_list_is_named(bank: Bank, tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "crl.pem"
    file.write_bytes(content)
    assert problem(lambda: bank.server([str(file)])) == ("E-CFG-15", "tls.crl", str(file), what)


def test_a_certificate_in_the_file_of_a_list_is_not_trusted_by_the_way(bank: Bank, tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_bytes(Path(bank.crl).read_bytes() + Path(bank.ca).read_bytes())
    assert problem(lambda: bank.server([str(file)]))[3] == "holds a certificate beside the list"


def test_a_list_that_is_missing_is_named(bank: Bank, tmp_path: Path) -> None:
    assert problem(lambda: bank.server([str(tmp_path / "none.pem")]))[:2] == ("E-CFG-01", "tls.crl")


# -- encrypted keys


@pytest.fixture(params=["pkcs8", "traditional"])
def encrypted(request: pytest.FixtureRequest, bank: Bank, tmp_path: Path) -> tuple[str, str]:
    """The router's key as openssl encrypts it."""
    file = tmp_path / "router.key"
    form = ["pkcs8", "-topk8"] if request.param == "pkcs8" else ["ec", "-aes256"]
    command = ["openssl", *form, "-in", bank.router[1], "-out", str(file), "-passout", "pass:open sesame 열려라"]
    subprocess.run(command, check=True, capture_output=True)
    file.chmod(0o600)
    return bank.router[0], str(file)


def passphrase(folder: Path, content: str, mode: int = 0o600) -> str:
    file = folder / "passphrase"
    file.write_text(content, "utf-8")
    file.chmod(mode)
    return str(file)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_key_that_openssl_encrypted_is_opened_by_the_passphrase_in_a_file(
    bank: Bank, encrypted: tuple[str, str], tmp_path: Path, end: str
) -> None:
    file = passphrase(tmp_path, "open sesame 열려라" + end)
    server = server_context(*encrypted, key_passphrase_file=file)
    assert talk(client_context(bank.ca), server).server.ready


def test_the_routers_own_key_towards_a_backend_may_be_encrypted(bank: Bank, tmp_path: Path) -> None:
    file = tmp_path / "good.key"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", bank.good[1], "-out", str(file), "-passout", "pass:x"], check=True)
    file.chmod(0o600)
    client = client_context(bank.ca, bank.good[0], str(file), key_passphrase_file=passphrase(tmp_path, "x"))
    assert talk(client, bank.server()).server.peer_names() == ("good.example",)


def test_a_wrong_passphrase_is_said_without_showing_it(bank: Bank, encrypted: tuple[str, str], tmp_path: Path) -> None:
    file = passphrase(tmp_path, "close sesame")
    code, key, where, what = problem(lambda: server_context(*encrypted, key_passphrase_file=file))
    assert (code, key, where) == ("E-CFG-13", "tls.key_passphrase_file", encrypted[1])
    assert what == f"the passphrase in {file} does not open the key"


def test_without_a_passphrase_an_encrypted_key_is_refused_and_the_way_out_told(encrypted: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        server_context(*encrypted)
    (found,) = caught.value.problems
    assert (found.code, found.key) == ("E-CFG-13", "tls.key") and "key_passphrase_file" in found.do


@pytest.mark.parametrize(
    ("content", "mode", "code", "what"),
    [
        ("open sesame 열려라", 0o640, "E-CFG-14", "mode is 0640"),
        ("", 0o600, "E-CFG-13", "holds no passphrase"),
        ("two\nlines", 0o600, "E-CFG-13", "holds no passphrase"),
        ("x" * 1024, 0o600, "E-CFG-13", "holds no passphrase"),
    ],
)
def test_a_bad_file_of_a_passphrase_is_named(
    encrypted: tuple[str, str], tmp_path: Path, content: str, mode: int, code: str, what: str
) -> None:
    file = passphrase(tmp_path, content, mode)
    found = problem(lambda: server_context(*encrypted, key_passphrase_file=file))
    assert found[:3] == (code, "tls.key_passphrase_file", file) and what in found[3]


def test_a_passphrase_for_a_key_that_needs_none_is_a_contradiction(bank: Bank, tmp_path: Path) -> None:
    code, key, _, what = problem(lambda: server_context(*bank.router, key_passphrase_file=passphrase(tmp_path, "x")))
    assert (code, key, what) == ("E-CFG-07", "tls.key_passphrase_file", "the key is not encrypted")
