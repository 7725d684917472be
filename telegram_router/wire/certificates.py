"""The TLS contexts of listeners and links, made from PEM files that are looked through at start: all that is wrong is told at once."""

# Rules this file keeps, all of them tested:
#
# 1. Certificates are always verified where a CA is named; there is no switch that turns this off.
# 2. A wrong file is found at start, with every other wrong file of its table, and a password is never asked for.
# 3. A key that suits no cipher is found at start too: every own certificate is tried in a handshake with itself.

from __future__ import annotations

import os
import re
import ssl
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from telegram_router.errors import CODES, ConfigError, ConfigProblem
from telegram_router.wire.private_files import exposed
from telegram_router.wire.server_names import ServerContext
from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import TlsError, openssl_reason

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

Profile = Literal["intermediate", "modern"]
ClientCertificate = Literal["required", "optional"]
CrlCheck = Literal["leaf", "chain"]

# ECDHE for forward secrecy, AEAD because CBC has a history; with these OpenSSL offers six suites, and TLS 1.3's own three.
_CIPHERS = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20"
_LARGEST_PEM = 1024 * 1024
_LONGEST_PASSPHRASE = 1023  # bytes; OpenSSL takes no more


@dataclass(frozen=True)
class CertificateFacts:
    """What the operator may want to know of an own certificate. Times are seconds since 1970."""

    valid_from: float
    expires_at: float
    names: tuple[str, ...]  # DNS, URI and IP names; the common name is not a name
    dns_names: tuple[str, ...] = ()


def server_context(
    certificate: str,
    key: str,
    client_ca: str | None = None,
    client_certificate: ClientCertificate = "required",
    profile: Profile = "intermediate",
    *,
    key_passphrase_file: str | None = None,
    crl: Sequence[str] = (),
    crl_check: CrlCheck = "leaf",
    clients: Sequence[str] = (),
    where: str = "tls",
    now: float | None = None,
) -> ServerContext:
    """A context for a listener. Raises ConfigError with every problem of every file; `where` is the key of the `tls` table."""
    files = _Files(where, time.time() if now is None else now)
    files.own_pair(certificate, key, key_passphrase_file)
    trusted = files.authorities(client_ca, "client_ca")
    lists = files.revocation_lists(crl, trusted, crl_check)
    files.raise_problems()

    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, profile)
    files.load_pair(context, certificate, key)
    files.handshake_with_itself(context, certificate)
    if client_ca is not None:
        files.load_authorities(context, client_ca, "client_ca")
        for path in crl:
            files.load_authorities(context, path, "crl")
        if crl:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF if crl_check == "leaf" else ssl.VERIFY_CRL_CHECK_CHAIN
            context.lists_end = min((end for end in map(end_of_list, lists) if end is not None), default=context.lists_end)
        context.verify_mode = ssl.CERT_OPTIONAL if client_certificate == "optional" else ssl.CERT_REQUIRED
        # No TLS 1.3 ticket, so that no resumption outlives a client certificate. OP_NO_TICKET would do the same for
        # TLS 1.2 only in name: OpenSSL then keeps sessions itself, 11.7 KiB for every reconnect, and resumes from those.
        # TLS 1.2 resumption is checked in TlsLayer instead.
        context.num_tickets = 0
        context.clients = frozenset(clients) if clients else None
    files.raise_problems()
    return context


def client_context(
    ca: str | None = None, certificate: str | None = None, key: str | None = None, *, key_passphrase_file: str | None = None,
    where: str = "tls", now: float | None = None,
) -> ssl.SSLContext:  # fmt: skip
    """A context for links to backends; without `ca` the system's CAs are trusted. Raises ConfigError as `server_context` does."""
    files = _Files(where, time.time() if now is None else now)
    if (certificate is None) != (key is None):
        missing = "key" if key is None else "certificate"
        files.add("E-CFG-07", "", missing, "certificate and key are given together or not at all")
    if certificate is not None and key is not None:
        files.own_pair(certificate, key, key_passphrase_file)
    files.authorities(ca, "ca")
    files.raise_problems()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    _harden(context, "intermediate")
    if certificate is not None and key is not None:
        files.load_pair(context, certificate, key)
        files.key_can_sign(certificate, key)
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        files.load_authorities(context, ca, "ca")
    files.raise_problems()
    return context


def certificate_facts(certificate: str, *, where: str = "tls") -> CertificateFacts:
    """When the first certificate of a PEM file begins and ends, and for which names it stands. Raises ConfigError."""
    files = _Files(where, 0.0)
    chain = files.certificates(certificate, "certificate")
    files.raise_problems()
    own = chain[0]
    return CertificateFacts(own.not_valid_before_utc.timestamp(), own.not_valid_after_utc.timestamp(), _names_of(own), _dns_names_of(own))


def first_end(path: str, key: str, *, where: str = "tls") -> float | None:
    """When the first of the certificates or revocation lists in a file ends, as seconds since 1970. Raises ConfigError."""
    files = _Files(where, 0.0)
    if key == "crl":
        found = [end for each in files.lists_of(path) if (end := end_of_list(each)) is not None]
    else:
        found = [each.not_valid_after_utc.timestamp() for each in files.certificates(path, key)]
    files.raise_problems()
    return min(found, default=None)


def _harden(context: ssl.SSLContext, profile: Profile) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if profile == "modern" else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # all are good: let a client without AES hardware choose ChaCha20
    # STRICT: refuse certificates that break RFC 5280. PARTIAL_CHAIN: an issuing CA, or one certificate, may be named as
    # trusted without also trusting everything else below its root.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):  # ValueError: some other extension cannot be parsed
        return ()
    dns: list[str] = names.get_values_for_type(x509.DNSName)
    uris: list[str] = names.get_values_for_type(x509.UniformResourceIdentifier)
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return (*dns, *uris, *addresses)


def _dns_names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def _flaw_of_authority(certificate: x509.Certificate) -> str:
    """Why VERIFY_X509_STRICT refuses all that a CA has signed; "" when it does not, or when this is no CA but one trusted certificate.

    Found in the handshake, it would be told as the fault of a client's good certificate.
    """
    from cryptography import x509

    try:
        known = certificate.extensions
        basic = known.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return ""
    if not basic.value.ca:
        return ""
    kinds = {type(extension.value): extension.value for extension in known}
    usage = kinds.get(x509.KeyUsage)
    if not basic.critical:
        return "its basic constraints are not marked critical"
    if not (isinstance(usage, x509.KeyUsage) and usage.key_cert_sign):
        return "its key usage does not say that it signs certificates (keyCertSign)"
    return "" if x509.SubjectKeyIdentifier in kinds else "it has no subject key identifier"


def end_of_list(revoked: x509.CertificateRevocationList) -> float | None:
    """When a list must have been followed by the next one, in seconds since 1970; None if it does not say."""
    end = revoked.next_update_utc
    return end.timestamp() if end is not None else None


class _KeyIsEncrypted(Exception):
    """Raised instead of answering OpenSSL's question for a password."""


class _Files:
    """Reads the files of one `tls` table and collects what is wrong with them."""

    def __init__(self, where: str, now: float) -> None:
        self._where = where
        self._now = now
        self._problems: list[ConfigProblem] = []
        self._passphrase: bytes | None = None

    def add(self, code: str, file: str, key: str, what: str, expected: str = "", do: str = "") -> None:
        self._problems.append(ConfigProblem(code, file, 0, f"{self._where}.{key}", what, expected, do or CODES[code].do))

    def raise_problems(self) -> None:
        if self._problems:
            raise ConfigError(self._problems)

    # -- looking at files

    def own_pair(self, certificate: str, key: str, passphrase_file: str | None = None) -> None:
        chain = self.certificates(certificate, "certificate")
        if passphrase_file is not None:
            self._read_passphrase(passphrase_file)
        private = self._private_key(key, passphrase_file)
        if chain:
            self._check_dates(chain[0], certificate)
        if chain and private is not None:
            self._check_match(chain, private, key)

    def authorities(self, path: str | None, key: str) -> list[x509.Certificate]:
        found = self.certificates(path, key) if path is not None else []
        flaws = [_flaw_of_authority(each) for each in found]
        if path is not None and flaws and all(flaws):
            do = "make the CA again with basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign"
            self.add("E-CFG-15", path, key, f"no certificate of this CA would be accepted: {flaws[0]}", "a CA as RFC 5280 wants it", do)
        return found

    def revocation_lists(
        self, paths: Sequence[str], trusted: Sequence[x509.Certificate], check: CrlCheck
    ) -> list[x509.CertificateRevocationList]:
        """Every list of the files. Where OpenSSL would turn all clients of a CA away for the sake of a list, that is told now."""
        lists: list[x509.CertificateRevocationList] = []
        for path in paths:
            for each in self.lists_of(path):
                lists.append(each)
                self._check_list(each, trusted, path)
        if paths and not self._problems:
            self._check_covered(lists, trusted, check, paths[0])
        return lists

    def lists_of(self, path: str) -> list[x509.CertificateRevocationList]:
        from cryptography import x509

        pem = self._read(path, "crl")
        if pem is None:
            return []
        blocks = re.findall(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", pem, re.DOTALL)
        if b"CERTIFICATE-----" in pem:  # OpenSSL would trust it as a CA
            self.add("E-CFG-15", path, "crl", "holds a certificate beside the list", "nothing but -----BEGIN X509 CRL-----")
            return []
        try:
            lists = [x509.load_pem_x509_crl(block) for block in blocks]
        except ValueError:
            lists = []
        if not lists:
            what = "the revocation list in it cannot be parsed" if blocks else "no PEM revocation list in it"
            do = "convert it: openssl crl -inform DER -in FILE -out FILE.pem"
            self.add("E-CFG-15", path, "crl", what, "a file with -----BEGIN X509 CRL-----", do)
        return lists

    def _check_list(self, revoked: x509.CertificateRevocationList, trusted: Sequence[x509.Certificate], path: str) -> None:
        end, begin = end_of_list(revoked), revoked.last_update_utc
        if end is not None and end <= self._now:
            what = f"expired at {revoked.next_update_utc:%Y-%m-%dT%H:%M:%SZ}: no client of this CA could be let in"
            self.add("E-CFG-16", path, "crl", what, do="fetch the CA's new list")
        elif begin.timestamp() > self._now:
            self.add("E-CFG-16", path, "crl", f"is not valid before {begin:%Y-%m-%dT%H:%M:%SZ}", do="check the clock, or wait")
        if trusted and not any(_has_signed(each, revoked) for each in trusted):
            do = "name the list of a CA in client_ca, or add its CA there"
            self.add("E-CFG-16", path, "crl", "is signed by no CA of client_ca", do=do)

    def _check_covered(
        self, lists: Sequence[x509.CertificateRevocationList], trusted: Sequence[x509.Certificate], check: CrlCheck, path: str
    ) -> None:
        above = {each.issuer for each in trusted if each.issuer != each.subject} if check == "leaf" else set()
        for each in trusted:
            if each.subject not in above and not any(_has_signed(each, one) for one in lists):
                what = f"there is no list of the CA {each.subject.rfc4514_string()}: no client of it could be let in"
                self.add("E-CFG-16", path, "crl", what, do="add the CA's list, or take the CA out of client_ca")

    def certificates(self, path: str, key: str) -> list[x509.Certificate]:
        """All certificates of a PEM file; an empty list when there is a problem, which then has been noted."""
        from cryptography import x509

        pem = self._read(path, key)
        if pem is None:
            return []
        try:
            return x509.load_pem_x509_certificates(pem)
        except ValueError:
            what = "the certificate in it cannot be parsed" if b"-----BEGIN CERTIFICATE-----" in pem else "no PEM certificate in it"
            self.add("E-CFG-15", path, key, what, "a file with -----BEGIN CERTIFICATE-----")
            return []

    def _read(self, path: str, key: str) -> bytes | None:
        try:
            # A FIFO or a device would block the start for ever, hence the look before the open.
            if not stat.S_ISREG(os.stat(path).st_mode):
                self.add("E-CFG-01", path, key, "is not a regular file")
                return None
            with open(path, "rb") as file:
                pem = file.read(_LARGEST_PEM + 1)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
            self.add("E-CFG-01", path, key, f"cannot be read ({reason})")
            return None
        if len(pem) > _LARGEST_PEM:
            self.add("E-CFG-15", path, key, "is larger than 1 MiB, so it is not a PEM file")
            return None
        return pem

    def _read_passphrase(self, path: str) -> None:
        content = self._read(path, "key_passphrase_file")
        if content is None:
            return
        self._check_mode(path, "key_passphrase_file")
        self._passphrase = content.removesuffix(b"\n").removesuffix(b"\r")
        if not self._passphrase or b"\n" in self._passphrase or len(self._passphrase) > _LONGEST_PASSPHRASE:
            what = "holds no passphrase"
            self.add(
                "E-CFG-13",
                path,
                "key_passphrase_file",
                what,
                f"one line of at most {_LONGEST_PASSPHRASE} bytes",
                "write the passphrase into it",
            )
            self._passphrase = None

    def _private_key(self, path: str, passphrase_file: str | None) -> PrivateKeyTypes | None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = self._read(path, "key")
        if pem is None:
            return None
        self._check_mode(path, "key")
        block = _key_block(pem)
        if passphrase_file is not None and self._passphrase is None:
            return None  # what is wrong with that file has been told
        if passphrase_file is not None and not _is_encrypted(block):
            do = "remove key_passphrase_file, or name the encrypted key"
            self.add("E-CFG-07", path, "key_passphrase_file", "the key is not encrypted", do=do)
            return None
        try:
            return load_pem_private_key(block, password=self._passphrase)
        except TypeError:
            do = "name a file with its passphrase as key_passphrase_file, or decrypt it into a file only the router may read"
            self.add("E-CFG-13", path, "key", "the key is encrypted, and nobody is there to type a password", do=do)
        except (ValueError, UnsupportedAlgorithm):
            if self._passphrase is not None:
                what = f"the passphrase in {passphrase_file} does not open the key"
                self.add("E-CFG-13", path, "key_passphrase_file", what, do="write the passphrase of this key into that file")
                return None
            what = "the private key in it cannot be parsed" if b"PRIVATE KEY-----" in pem else "no PEM private key in it"
            self.add("E-CFG-13", path, "key", what, "a file with -----BEGIN PRIVATE KEY-----", "give the key as a PEM file")
        return None

    def _check_mode(self, path: str, key: str) -> None:
        why = exposed(os.stat(path))
        if why:
            self.add("E-CFG-14", path, key, why, "mode 0600 or 0400; 0640 where the file is root's and the router is not")

    def _check_dates(self, own: x509.Certificate, path: str) -> None:
        if own.not_valid_after_utc.timestamp() <= self._now:
            self.add("E-CFG-12", path, "certificate", f"expired at {own.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
        elif own.not_valid_before_utc.timestamp() > self._now:
            when = f"{own.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
            self.add("E-CFG-12", path, "certificate", f"is not valid before {when}", do="check the clock, or wait")

    def _check_match(self, chain: list[x509.Certificate], private: PrivateKeyTypes, path: str) -> None:
        public = _public_bytes(private)
        matches = [number for number, certificate in enumerate(chain, 1) if _public_bytes(certificate) == public]
        if not matches:
            self.add("E-CFG-11", path, "key", "the key is not the key of the certificate")
        elif matches[0] != 1:
            what = f"the key belongs to certificate {matches[0]} of the file, not to the first"
            self.add("E-CFG-11", path, "key", what, do="put the own certificate first, then its issuers")

    # -- loading them

    def load_pair(self, context: ssl.SSLContext, certificate: str, key: str) -> None:
        try:
            context.load_cert_chain(certificate, key, password=self._password)
        except _KeyIsEncrypted:
            self.add("E-CFG-13", key, "key", "the key is encrypted, and nobody is there to type a password")
        except (ssl.SSLError, OSError) as error:
            self.add("E-CFG-15", certificate, "certificate", f"OpenSSL refuses certificate or key ({openssl_reason(error)})")
        self.raise_problems()

    def _password(self) -> bytes:
        if self._passphrase is None:
            raise _KeyIsEncrypted
        return self._passphrase

    def load_authorities(self, context: ssl.SSLContext, path: str, key: str) -> None:
        try:
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError) as error:
            self.add("E-CFG-15", path, key, f"OpenSSL refuses the file ({openssl_reason(error)})")

    def key_can_sign(self, certificate: str, key: str) -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _harden(server, "intermediate")
        self.load_pair(server, certificate, key)
        self.handshake_with_itself(server, certificate)

    def handshake_with_itself(self, context: ssl.SSLContext, certificate: str) -> None:
        """Some keys load and then suit no cipher suite: find that now, not at the first client."""
        try:
            _shake_hands(context)
        except TlsError as error:
            self.add("E-CFG-15", certificate, "certificate", f"a test handshake with this certificate fails ({error.what})")


def _key_block(pem: bytes) -> bytes:
    """The private key of a PEM file that may hold certificates and EC parameters too."""
    begin = pem.find(b"-----BEGIN ")
    while begin >= 0:
        label_end = pem.find(b"-----", begin + 11)
        label = pem[begin + 11 : label_end]
        if label.endswith(b"PRIVATE KEY"):
            return pem[begin:]
        begin = pem.find(b"-----BEGIN ", begin + 11)
    return pem


def _is_encrypted(block: bytes) -> bool:
    """Of PKCS#8 the label says it, of the older forms a header of the block."""
    end = block.find(b"-----END ")
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in block[:end] or b"Proc-Type: 4,ENCRYPTED" in block[:end]


def _has_signed(authority: x509.Certificate, revoked: x509.CertificateRevocationList) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return authority.subject == revoked.issuer and revoked.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):  # TypeError: a key that signs nothing
        return False


def _public_bytes(owner: x509.Certificate | PrivateKeyTypes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        return owner.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _shake_hands(server: ssl.SSLContext) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE  # this end of the test is ours, and the question is the key, not the trust
    _harden(client, "intermediate")
    asker, answerer = TlsLayer(client, "client"), TlsLayer(server, "server")
    while not (asker.handshake() and answerer.handshake()):
        answerer.feed(asker.outgoing())
        answerer.handshake()
        asker.feed(answerer.outgoing())
