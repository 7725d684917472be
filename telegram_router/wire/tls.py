"""TLS between a socket and a framer, without a socket: cipher bytes in, plain bytes out."""

# Rules this file keeps, all of them tested:
#
# 1. Whatever a peer sends, only TlsError leaves a TlsLayer.
# 2. Bytes decrypted before an error are handed out first. The alert that explains the error stays in `outgoing()`.
# 3. A MemoryBIO never shrinks, so nothing larger than a slice is ever put into one.

from __future__ import annotations

import math
import ssl
import time
from collections import deque
from collections.abc import Callable

from telegram_router.errors import CODES
from telegram_router.wire.records import QUIET_RECORDS, Records
from telegram_router.wire.server_names import ServerContext, ServerNames, UnreadableHello, asked_name
from telegram_router.wire.tls_errors import Side, TlsError, looks_like, refusal, tls_error

# A MemoryBIO keeps the largest size it ever had, once per direction: with slices of 16 KiB an idle session costs 66 KiB
# after its first burst, with 4 KiB 36 KiB, and a slice of 13 telegrams is still cheap per telegram.
_SLICE = 4096
_RECORD = 16_384  # the most that one TLS record, and so one SSL_read, can give
_FIRST = 2048  # of the first flight, kept until the handshake is over, to say what the peer speaks and offers


class TlsLayer:
    """One TLS connection between a socket and a framer.

    What came from the socket goes in by `feed`, what `outgoing` returns must go to the socket after every other call.
    Until `handshake` has returned True only those three are used; afterwards `read` and `write`.
    """

    __slots__ = (
        "_clients", "_clock", "_closed", "_drained", "_error", "_first", "_hello", "_hello_at", "_incoming", "_lists_end", "_names", "_outgoing",
        "_records", "_server", "_ssl", "_waiting", "ready", "truncated",
    )  # fmt: skip

    def __init__(self, context: ssl.SSLContext, side: Side, server_name: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """`server_name`: for a client, the DNS name or IP address that the backend's certificate must carry."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server = side == "server"
        self._names: ServerNames | None = context.names if self._server and isinstance(context, ServerContext) else None
        self._hello = bytearray()  # with several names: what came before one of them was chosen
        self._hello_at = 0  # the size at which it is worth another look
        self._lists_end = context.lists_end if isinstance(context, ServerContext) else math.inf
        self._clients = context.clients if isinstance(context, ServerContext) else None
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=self._server, server_hostname=server_name)
        self._clock = clock
        self._records = Records()
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
        if self._names is not None:
            self._choose_name(self._names, cipher)
            return
        self._records.add(cipher)
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
            if not self._ssl.pending():
                self._records.with_data += 1
        if self._records.quiet and not self.more:
            self._look_at_records()
            if not parts:
                self._raise_again()
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

    def certificate_names(self) -> frozenset[str]:
        """The same to compare by: DNS names in lower case, and URIs; neither can be taken for the other."""
        entries: tuple[tuple[str, str], ...] = (self._ssl.getpeercert() or {}).get("subjectAltName", ())  # type: ignore[assignment]
        dns = {value.lower() for kind, value in entries if kind == "DNS" and "://" not in value}
        return frozenset(dns | {value for kind, value in entries if kind == "URI" and "://" in value})

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

    def _choose_name(self, names: ServerNames, cipher: bytes) -> None:
        """Hold what comes until the name is known that the client asks for; then begin with the context of that name."""
        self._hello += cipher
        if len(self._hello) < self._hello_at:
            return
        try:
            found = asked_name(bytes(self._hello))
        except UnreadableHello as error:
            self._error = refusal("E-TLS-11", f"the name that the peer asks for cannot be read: {error}")
            return
        if isinstance(found, int):
            self._hello_at = found
            return
        context = names.begin(found)
        self._lists_end, self._clients = context.lists_end, context.clients
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._names = None
        held, self._hello = bytes(self._hello), bytearray()
        self.feed(held)

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
        if self._clients is not None:
            self._check_client(self._clients)
        self._records.begin(self._clock())
        self.ready = True
        self._first = b""

    def _look_at_records(self) -> None:
        """OpenSSL refuses another handshake and answers key updates, and lets the peer go on with both."""
        if self._records.handshakes:
            self._error = refusal("E-TLS-09", "the peer asked for another handshake on a connection that has had its own")
        elif self._records.flood(self._clock()):
            what = f"the peer sent more than {QUIET_RECORDS} records without data in a minute: key updates, or empty ones"
            self._error = refusal("E-TLS-09", what)

    def _check_client(self, expected: frozenset[str]) -> None:
        """The CA says who somebody is, not that he belongs here. Names are compared whole: no wildcard stands for another name."""
        if not self.certificate_names() & expected:
            entries: tuple[tuple[str, str], ...] = (self._ssl.getpeercert() or {}).get("subjectAltName", ())  # type: ignore[assignment]
            kinds = ", ".join(sorted({kind for kind, _ in entries})) or "none at all"
            self._error = refusal(
                "E-TLS-07", f"the client's certificate holds none of the names in `clients`; its own are of the kind {kinds}"
            )
            self._raise_again()

    def _check_resumed(self) -> None:
        """A resumed TLS 1.2 session skips verification; its certificate may have expired since."""
        certificate = self._ssl.getpeercert()
        if not certificate:
            return
        ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        if ends <= self._clock():
            self._error = refusal("E-TLS-03", "the peer resumed a session whose certificate has expired since")
        elif self._lists_end <= self._clock():
            self._error = refusal("E-TLS-06", "the peer resumed a session, and the revocation list has expired since")
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
