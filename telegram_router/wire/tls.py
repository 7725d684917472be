"""TLS between a socket and a framer, without a socket: cipher bytes in, plain bytes out; and the contexts, checked at start."""

# Rules this file keeps, all of them tested:
#
# 1. Certificates are always verified where a CA is named; there is no switch that turns this off.
# 2. Whatever a peer sends, only TlsError leaves a TlsLayer; what it says is about protocols, never about content.
# 3. Bytes decrypted before an error are handed out first. The alert that explains the error stays in `outgoing()`.
# 4. A MemoryBIO never shrinks, so nothing larger than a slice is ever put into one.
# 5. A wrong file is found at start, with every other wrong file, and a password is never asked for.

from __future__ import annotations

import functools
import os
import re
import ssl
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from telegram_router.errors import CODES, ConfigError, ConfigProblem, RouterError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

Side = Literal["server", "client"]
Profile = Literal["intermediate", "modern"]
ClientCertificate = Literal["required", "optional"]

# ECDHE for forward secrecy, AEAD because CBC has a history; with these OpenSSL offers six suites, and TLS 1.3's own three.
_CIPHERS = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20"
_LARGEST_PEM = 1024 * 1024

# A MemoryBIO keeps the largest size it ever had, once per direction: with slices of 16 KiB an idle session costs 66 KiB
# after its first burst, with 4 KiB 36 KiB, and a slice of 13 telegrams is still cheap per telegram.
_SLICE = 4096
_RECORD = 16_384  # the most that one TLS record, and so one SSL_read, can give
_FIRST = 2048  # of the first flight, kept until the handshake is over, to say what the peer speaks and offers


class TlsError(RouterError):
    """The peer cannot be spoken to over TLS, or no longer: flush `outgoing()`, then close this connection, and only this."""


# ---------------------------------------------------------------------------------------------------------------------
# contexts


@dataclass(frozen=True)
class CertificateFacts:
    """What the operator may want to know of an own certificate. Times are seconds since 1970."""

    valid_from: float
    expires_at: float
    names: tuple[str, ...]  # DNS, URI and IP names; the common name is not a name


def server_context(
    certificate: str,
    key: str,
    client_ca: str | None = None,
    client_certificate: ClientCertificate = "required",
    profile: Profile = "intermediate",
    *,
    where: str = "tls",
    now: float | None = None,
) -> ssl.SSLContext:
    """A context for a listener. Raises ConfigError with every problem of every file; `where` is the key of the `tls` table."""
    files = _Files(where, time.time() if now is None else now)
    files.own_pair(certificate, key)
    files.authorities(client_ca, "client_ca")
    files.raise_problems()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, profile)
    files.load_pair(context, certificate, key)
    files.handshake_with_itself(context, certificate)
    if client_ca is not None:
        files.load_authorities(context, client_ca, "client_ca")
        context.verify_mode = ssl.CERT_OPTIONAL if client_certificate == "optional" else ssl.CERT_REQUIRED
        # No TLS 1.3 ticket, so that no resumption outlives a client certificate. OP_NO_TICKET would do the same for
        # TLS 1.2 only in name: OpenSSL then keeps sessions itself, 11.7 KiB for every reconnect, and resumes from those.
        # TLS 1.2 resumption is checked in TlsLayer instead.
        context.num_tickets = 0
    files.raise_problems()
    return context


def client_context(
    ca: str | None = None, certificate: str | None = None, key: str | None = None, *, where: str = "tls", now: float | None = None
) -> ssl.SSLContext:
    """A context for links to backends; without `ca` the system's CAs are trusted. Raises ConfigError as `server_context` does."""
    files = _Files(where, time.time() if now is None else now)
    if (certificate is None) != (key is None):
        missing = "key" if key is None else "certificate"
        files.add("E-CFG-07", "", missing, "certificate and key are given together or not at all")
    if certificate is not None and key is not None:
        files.own_pair(certificate, key)
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
    return CertificateFacts(own.not_valid_before_utc.timestamp(), own.not_valid_after_utc.timestamp(), _names_of(own))


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


class _KeyIsEncrypted(Exception):
    """Raised instead of answering OpenSSL's question for a password."""


def _no_password() -> str:
    raise _KeyIsEncrypted


class _Files:
    """Reads the files of one `tls` table and collects what is wrong with them."""

    def __init__(self, where: str, now: float) -> None:
        self._where = where
        self._now = now
        self._problems: list[ConfigProblem] = []

    def add(self, code: str, file: str, key: str, what: str, expected: str = "", do: str = "") -> None:
        self._problems.append(ConfigProblem(code, file, 0, f"{self._where}.{key}", what, expected, do or CODES[code].do))

    def raise_problems(self) -> None:
        if self._problems:
            raise ConfigError(self._problems)

    # -- looking at files

    def own_pair(self, certificate: str, key: str) -> None:
        chain = self.certificates(certificate, "certificate")
        private = self._private_key(key)
        if chain:
            self._check_dates(chain[0], certificate)
        if chain and private is not None:
            self._check_match(chain, private, key)

    def authorities(self, path: str | None, key: str) -> None:
        if path is not None:
            self.certificates(path, key)

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

    def _private_key(self, path: str) -> PrivateKeyTypes | None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = self._read(path, "key")
        if pem is None:
            return None
        self._check_mode(path)
        try:
            return load_pem_private_key(_key_block(pem), password=None)
        except TypeError:
            self.add("E-CFG-13", path, "key", "the key is encrypted, and nobody is there to type a password")
        except (ValueError, UnsupportedAlgorithm):
            what = "the private key in it cannot be parsed" if b"PRIVATE KEY-----" in pem else "no PEM private key in it"
            self.add("E-CFG-13", path, "key", what, "a file with -----BEGIN PRIVATE KEY-----", "give the key as a PEM file")
        return None

    def _check_mode(self, path: str) -> None:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            self.add("E-CFG-14", path, "key", f"mode is {mode:04o}: others than the owner have access", "mode 0600 or 0400")

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
            context.load_cert_chain(certificate, key, password=_no_password)
        except _KeyIsEncrypted:
            self.add("E-CFG-13", key, "key", "the key is encrypted, and nobody is there to type a password")
        except (ssl.SSLError, OSError) as error:
            self.add("E-CFG-15", certificate, "certificate", f"OpenSSL refuses certificate or key ({_reason(error)})")
        self.raise_problems()

    def load_authorities(self, context: ssl.SSLContext, path: str, key: str) -> None:
        try:
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError) as error:
            self.add("E-CFG-15", path, key, f"OpenSSL refuses the file ({_reason(error)})")

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


# ---------------------------------------------------------------------------------------------------------------------
# one connection


class TlsLayer:
    """One TLS connection between a socket and a framer.

    What came from the socket goes in by `feed`, what `outgoing` returns must go to the socket after every other call.
    Until `handshake` has returned True only those three are used; afterwards `read` and `write`.
    """

    __slots__ = (
        "_clock", "_closed", "_drained", "_error", "_first", "_incoming", "_outgoing", "_server", "_ssl", "_waiting", "ready", "truncated",
    )  # fmt: skip

    def __init__(self, context: ssl.SSLContext, side: Side, server_name: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """`server_name`: for a client, the DNS name or IP address that the backend's certificate must carry."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server = side == "server"
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=self._server, server_hostname=server_name)
        self._clock = clock
        self._waiting: deque[bytes] = deque()  # cipher bytes not yet in the MemoryBIO; at most what was fed and not read
        self._drained: list[bytes] = []
        self._first = b""
        self._error: TlsError | None = None
        self._closed = False
        self.ready = False  # the handshake is over
        self.truncated = False  # the connection ended without close_notify: something between us may have cut it

    # -- from the peer

    def feed(self, cipher: bytes) -> None:
        """Add bytes from the socket. Never raises."""
        if self._error is not None or self._closed:
            return
        if not self.ready and len(self._first) < _FIRST:
            self._first += cipher[: _FIRST - len(self._first)]
        if len(cipher) <= _SLICE:
            self._waiting.append(cipher)
        else:
            self._waiting.extend(cipher[start : start + _SLICE] for start in range(0, len(cipher), _SLICE))

    def handshake(self) -> bool:
        """Go on as far as the bytes fed allow; True when it is over. Raises TlsError, again at every later call."""
        self._raise_again()
        while not self.ready:
            self._fill()
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                if not self._waiting:
                    return False
            except (ssl.SSLError, OSError) as error:
                self._failed(error)
                self._raise_again()
            else:
                self._finish_handshake()
        return True

    def read(self, limit: int) -> bytes:
        """Up to `limit` plain bytes; b"" when there are none (yet). Raises TlsError once all good bytes have been read."""
        self._raise_again()
        if self._closed:
            return b""
        parts: list[bytes] = []
        while limit > 0 and self._more_to_decrypt():
            try:
                part = self._ssl.read(limit if limit < _RECORD else _RECORD)
            except ssl.SSLWantReadError:
                continue  # a record is not complete, or it held no data but a ticket or a new key
            except ssl.SSLZeroReturnError:  # instead of b"" once we have said goodbye ourselves
                part = b""
            except (ssl.SSLError, OSError) as error:
                self._failed(error)
                if not parts:
                    self._raise_again()
                break
            if not part:
                self._close()
                break
            parts.append(part)
            limit -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def end(self) -> None:
        """The socket has reached its end. Raises TlsError when that cut the handshake; later it only sets `truncated`."""
        self._raise_again()
        if not self.ready:
            what = f"the peer closed the connection during the handshake{self._seen()}"
            do = "look at the peer's log: it may not trust our certificate, or only probe the port"
            self._error = TlsError("E-TLS-08", what, do=do)
            self._raise_again()
        self.truncated = not self._closed

    @property
    def closed(self) -> bool:
        """The peer has said that it will send no more (close_notify). It may still read."""
        return self._closed

    @property
    def more(self) -> bool:
        """`read` may return or raise something without another `feed`."""
        return bool(self._error or self._waiting or self._incoming.pending or (self.ready and self._ssl.pending()))

    # -- to the peer

    def write(self, plain: bytes) -> None:
        """Encrypt. From here on the bytes count as sent. Raises TlsError when the connection has failed before."""
        self._raise_again()
        try:
            if len(plain) <= _SLICE:
                if plain:
                    self._ssl.write(plain)
                return
            view = memoryview(plain)
            for start in range(0, len(plain), _SLICE):
                self._ssl.write(view[start : start + _SLICE])
                self._drained.append(self._outgoing.read())
        except (ssl.SSLError, OSError) as error:
            self._failed(error)
            self._raise_again()

    def goodbye(self) -> None:
        """Say close_notify, once; the peer's is not waited for. Never raises."""
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, OSError):
            pass  # wanted: the peer's close_notify is not here yet; or nothing to say in the middle of a handshake

    def outgoing(self) -> bytes:
        """Cipher bytes for the socket, once each; after an error the alert that tells the peer why."""
        if not self._drained:
            return self._outgoing.read() if self._outgoing.pending else b""
        self._drained.append(self._outgoing.read())
        cipher = b"".join(self._drained)
        self._drained.clear()
        return cipher

    # -- about the peer

    def peer_names(self) -> tuple[str, ...]:
        """DNS and URI names of the peer's verified certificate; () when it gave none. The common name is not a name."""
        certificate = self._ssl.getpeercert() if self.ready else None
        names = (certificate or {}).get("subjectAltName", ())
        return tuple(str(entry[1]) for entry in names if entry[0] in ("DNS", "URI"))

    @property
    def version(self) -> str:
        return self._ssl.version() or ""

    @property
    def cipher(self) -> str:
        cipher = self._ssl.cipher()
        return cipher[0] if cipher else ""

    def late(self, seconds: float) -> TlsError:
        """The error for a handshake that was not over in time; the caller holds the clock and closes the connection."""
        return TlsError("E-TLS-08", f"handshake not finished within {seconds:g} s{self._seen()}", do=CODES["E-TLS-08"].do)

    # -- inside

    def _fill(self) -> None:
        if self._waiting:
            self._incoming.write(self._waiting.popleft())

    def _more_to_decrypt(self) -> bool:
        # Asking OpenSSL when it has nothing costs an exception, which is dearer than decrypting a telegram.
        if self._incoming.pending or self._ssl.pending():
            return True
        if not self._waiting:
            return False
        self._fill()
        return True

    def _finish_handshake(self) -> None:
        if self._server and self._ssl.session_reused:
            self._check_resumed()
        self.ready = True
        self._first = b""

    def _check_resumed(self) -> None:
        """A resumed TLS 1.2 session skips verification; its certificate may have expired since."""
        certificate = self._ssl.getpeercert()
        if not certificate:
            return
        ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        if ends <= self._clock():
            self._error = _refusal("E-TLS-03", "the peer resumed a session whose certificate has expired since")
            self._raise_again()

    def _close(self) -> None:
        self._closed = True
        self._waiting.clear()

    def _failed(self, error: Exception) -> None:
        self._error = tls_error(error, "server" if self._server else "client", self._first, after_handshake=self.ready)
        self._waiting.clear()
        self._first = b""

    def _raise_again(self) -> None:
        # A new one each time: a traceback kept here would tie layer and frames into a cycle, and OpenSSL's 28 KiB to it
        # until the garbage collector comes round, which sees them as nothing.
        error = self._error
        if error is not None:
            raise TlsError(error.code, error.what, do=error.do) from None

    def _seen(self) -> str:
        if not self._first:
            return "; it sent nothing"
        return f"; it sent {looks_like(self._first)}"


# ---------------------------------------------------------------------------------------------------------------------
# errors: OpenSSL's words become ours here, and nowhere else

_NO_COMMON = "no common TLS version or cipher"

# What OpenSSL found wrong with the peer's handshake.
_REASONS: dict[str, tuple[str, str]] = {
    "NO_SHARED_CIPHER": ("E-TLS-01", "no common cipher"),
    "UNSUPPORTED_PROTOCOL": ("E-TLS-01", "no common TLS version"),
    "VERSION_TOO_LOW": ("E-TLS-01", "no common TLS version"),
    "UNKNOWN_PROTOCOL": ("E-TLS-01", "no common TLS version"),
    "BAD_PROTOCOL_VERSION_NUMBER": ("E-TLS-01", "no common TLS version"),
    "UNSUPPORTED_SSL_VERSION": ("E-TLS-01", "no common TLS version"),
    "WRONG_SSL_VERSION": ("E-TLS-01", "no common TLS version"),
    "INAPPROPRIATE_FALLBACK": ("E-TLS-01", "the peer fell back to an older TLS version than it could speak"),
    "NO_SUITABLE_KEY_SHARE": ("E-TLS-01", "no common key exchange group"),
    "NO_SHARED_GROUPS": ("E-TLS-01", "no common key exchange group"),
    "NO_SUITABLE_GROUPS": ("E-TLS-01", "no common key exchange group"),
    "NO_SHARED_SIGNATURE_ALGORITHMS": ("E-TLS-01", "no common signature algorithm"),
    "NO_SUITABLE_SIGNATURE_ALGORITHM": ("E-TLS-01", "no common signature algorithm"),
    "WRONG_CIPHER_RETURNED": ("E-TLS-01", _NO_COMMON),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ("E-TLS-02", "the peer sent no client certificate"),
    "HTTP_REQUEST": ("E-TLS-08", "no TLS"),
    "HTTPS_PROXY_REQUEST": ("E-TLS-08", "no TLS"),
    "WRONG_VERSION_NUMBER": ("E-TLS-08", "not a TLS record, or of a TLS version long gone"),
    "UNEXPECTED_EOF_WHILE_READING": ("E-TLS-08", "the peer closed the connection during the handshake"),
}

_COMPARE = "compare versions and ciphers; the peer may also want a client certificate"

# What the peer found wrong with ours: OpenSSL's reason is named after the alert (RFC 8446, section 6.2).
_ALERTS: dict[str, tuple[str, str, str]] = {
    "PROTOCOL_VERSION": ("E-TLS-01", "the peer refuses our TLS versions", ""),
    "INSUFFICIENT_SECURITY": ("E-TLS-01", "the peer wants a stronger cipher", ""),
    "HANDSHAKE_FAILURE": ("E-TLS-01", "the peer found no cipher, group or certificate that it accepts", _COMPARE),
    "CERTIFICATE_REQUIRED": ("E-TLS-02", "the peer requires a client certificate and we have none", "name certificate and key for this service"),
    "NO_CERTIFICATE": ("E-TLS-02", "the peer requires a client certificate and we have none", "name certificate and key for this service"),
    "UNKNOWN_CA": ("E-TLS-08", "the peer does not trust the CA of our certificate", "give the peer our CA, and send the whole chain"),
    "CERTIFICATE_EXPIRED": ("E-TLS-08", "the peer says that our certificate has expired", "renew our certificate, or check the peer's clock"),
    "CERTIFICATE_REVOKED": ("E-TLS-08", "the peer says that our certificate is revoked", "use another certificate"),
    "BAD_CERTIFICATE": ("E-TLS-08", "the peer refuses our certificate (wrong name, chain or signature)", "compare its names with the address the peer uses"),
    "UNSUPPORTED_CERTIFICATE": ("E-TLS-08", "the peer says that our certificate is not for this purpose", "check our certificate's extended key usage"),
    "CERTIFICATE_UNKNOWN": ("E-TLS-08", "the peer does not accept our certificate", "see the peer's log"),
    "ACCESS_DENIED": ("E-TLS-08", "the peer's access rules refuse our certificate", "ask the peer to admit our certificate"),
    "UNRECOGNIZED_NAME": ("E-TLS-08", "the peer does not serve the name we asked for", "check server_name"),
    "NO_APPLICATION_PROTOCOL": ("E-TLS-08", "the peer wants another application protocol", "see the peer's log"),
    "DECRYPT_ERROR": ("E-TLS-08", "the peer could not verify our signature", "check that certificate and key belong together"),
    "INTERNAL_ERROR": ("E-TLS-08", "the peer had an internal error", "see the peer's log"),
    "USER_CANCELLED": ("E-TLS-08", "the peer gave up", "see the peer's log"),
}  # fmt: skip

_ALERT = re.compile("(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(.+)")

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_VERDICTS: dict[int, tuple[str, str]] = {
    9: ("E-TLS-03", "is not valid yet"),
    10: ("E-TLS-03", "has expired"),
    2: ("E-TLS-04", "is from a CA that is not trusted here"),
    7: ("E-TLS-04", "carries a signature that is not its CA's"),
    18: ("E-TLS-04", "is self-signed and not itself trusted here"),
    19: ("E-TLS-04", "ends in a self-signed CA that is not trusted here"),
    20: ("E-TLS-04", "is from a CA that is not trusted here"),
    21: ("E-TLS-04", "is from a CA that is not trusted here"),
    24: ("E-TLS-04", "is signed by a certificate that is no CA"),
    26: ("E-TLS-05", "is not for this purpose (extended key usage)"),
    62: ("E-TLS-10", "does not carry the host name we dialled"),
    64: ("E-TLS-10", "does not carry the IP address we dialled"),
}


def tls_error(error: Exception, side: Side, first: bytes = b"", *, after_handshake: bool = False) -> TlsError:
    """Our error for one of OpenSSL's. `side` is ours; `first` are the first bytes the peer sent, while they still matter."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_refused(error, side)
    reason = _name(error)
    alert = _ALERT.match(reason)
    if alert is not None:
        return _alerted(alert.group(1), "E-TLS-09" if after_handshake else "E-TLS-08")
    if after_handshake:
        return TlsError("E-TLS-09", f"the TLS stream broke after the handshake ({_reason(error)})", do=CODES["E-TLS-09"].do)
    if first and not _is_tls(first):
        return TlsError("E-TLS-08", f"the peer is not speaking TLS: it sent {looks_like(first)}", do=_PLAIN_DO[side])
    return _no_agreement(reason, first, side) or TlsError("E-TLS-08", f"handshake failed ({_reason(error)})", do=CODES["E-TLS-08"].do)


_PLAIN_DO: dict[Side, str] = {
    "server": "point the peer to a plain port, or switch TLS on at the peer",
    "client": "check the backend's port, or switch tls off for this service",
}


def _alerted(name: str, otherwise: str) -> TlsError:
    if name not in _ALERTS:  # those in it speak of the handshake even when TLS 1.3 brings them later
        return TlsError(otherwise, f"the peer sent the alert {_words(name)}", do="see the peer's log")
    code, what, do = _ALERTS[name]
    return TlsError(code, what, do=do or CODES[code].do)


def _no_agreement(reason: str, first: bytes, side: Side) -> TlsError | None:
    if reason not in _REASONS:
        return None
    code, what = _REASONS[reason]
    if reason == "WRONG_VERSION_NUMBER" and _is_tls(first):
        code, what = "E-TLS-01", "no common TLS version"
    if code == "E-TLS-01" and side == "server":
        what += _offer(first)
    return _refusal(code, what)


def _certificate_refused(error: ssl.SSLCertVerificationError, side: Side) -> TlsError:
    verdict = getattr(error, "verify_code", 0)
    code, what = _VERDICTS.get(verdict, ("E-TLS-08", f"is refused ({_reason(error)})"))
    if side == "server":
        return _refusal(code, f"client certificate {what}")
    return _refusal("E-TLS-10", f"backend certificate {what}")


def _refusal(code: str, what: str) -> TlsError:
    return TlsError(code, what, do=CODES[code].do)


def _reason(error: Exception) -> str:
    """OpenSSL's short reason in words; all of them are constants of its source, none holds content."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(getattr(error, "verify_message", "")).split(",", 1)[0].rstrip(".").lower()
    if _name(error):
        return _words(_name(error))
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror
    return type(error).__name__


def _name(error: Exception) -> str:
    """OpenSSL's name of its reason. Python knows only some as `reason`; the text, "[SSL] words (_ssl.c:n)", has all."""
    if not isinstance(error, ssl.SSLError):
        return ""
    if error.reason:
        return error.reason
    words = re.fullmatch(r"\[[^]]*\] (.*) \(_ssl\.c:\d+\)", error.strerror or "")
    return words.group(1).replace(" ", "_").upper() if words else ""


def _words(name: str) -> str:
    return name.replace("_", " ").lower()


# -- what the peer speaks, from its first bytes

_HTTP = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"CONNECT ", b"PRI * HTTP/2", b"HTTP/")
_PROXY = (b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")


def looks_like(first: bytes) -> str:
    """What the first bytes of a connection look like, for a person; the bytes themselves are not repeated."""
    if _is_tls(first):
        return "a TLS handshake"
    if any(first.startswith(word) for word in _HTTP):
        return "plain HTTP"
    if first.startswith(b"SSH-"):
        return "an SSH banner"
    if any(first.startswith(word) for word in _PROXY):
        return "a PROXY protocol header"
    if len(first) >= 4 and first[:4].isdigit():
        return "a telegram without TLS (it begins with ASCII digits)"
    if len(first) >= 4 and all(0xF0 <= byte <= 0xF9 for byte in first[:4]):
        return "a telegram without TLS (it begins with EBCDIC digits)"
    if len(first) > 2 and first[0] & 0x80 and first[2] == 1:
        return "an SSL 2.0 handshake"
    if all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in first):
        return "plain text"
    return "bytes of no protocol known here"


def _is_tls(first: bytes) -> bool:
    """A TLS record begins with its type, 20 to 24, and the major version 3."""
    return len(first) >= 2 and 20 <= first[0] <= 24 and first[1] == 3


_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
_NAMED = 8  # ciphers named in an error; a hello may list a hundred


def _offer(hello: bytes) -> str:
    """What a ClientHello (RFC 8446, section 4.1.2) offers, as text; "" when it cannot be read."""
    try:
        versions, ciphers = _read_hello(hello)
    except IndexError:
        return ""
    names = _cipher_names()
    shown = [names.get(number, f"0x{number:04X}") for number in ciphers[:_NAMED]]
    more = f" and {len(ciphers) - _NAMED} more" if len(ciphers) > _NAMED else ""
    offered = ", ".join(_VERSIONS[number] for number in versions if number in _VERSIONS)
    return f"; the peer offered {offered or 'unknown versions'} with {', '.join(shown) or 'no cipher'}{more}"


def _read_hello(hello: bytes) -> tuple[list[int], list[int]]:
    """Versions and cipher suites of a ClientHello that fits its first record. Raises IndexError when it is cut."""
    if hello[0] != 22 or hello[5] != 1:
        raise IndexError
    at = 43 + 1 + hello[43]  # record 5, handshake 4, version 2, random 32; then the session id
    length = _u16(hello, at)
    ciphers = [number for number in _u16s(hello, at + 2, length) if number & 0x0F0F != 0x0A0A and number not in (0x00FF, 0x5600)]
    at += 2 + length
    at += 1 + hello[at]  # compression methods
    versions = [_u16(hello, 9)]
    if at < 9 + int.from_bytes(hello[6:9]):
        versions = _supported_versions(hello, at + 2, at + 2 + _u16(hello, at)) or versions
    return versions, ciphers


def _supported_versions(hello: bytes, at: int, end: int) -> list[int]:
    while at < end:
        kind, length = _u16(hello, at), _u16(hello, at + 2)
        if kind == 43:
            return sorted(_u16s(hello, at + 5, hello[at + 4]))
        at += 4 + length
    return []


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _u16s(data: bytes, at: int, length: int) -> Iterator[int]:
    return (_u16(data, at + step) for step in range(0, length - 1, 2))


@functools.cache
def _cipher_names() -> dict[int, str]:
    """Names of the suites that this OpenSSL knows, the refused ones too, by their IANA numbers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {int(cipher["id"]) & 0xFFFF: str(cipher["name"]) for cipher in context.get_ciphers()}
