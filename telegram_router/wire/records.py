"""Counts the records of a TLS stream, so that a peer which sends many without any data, or wants another handshake, is found out."""

# OpenSSL answers any number of key updates and renegotiation requests, and passes over empty records; each costs as much as a
# telegram. It does not say that there was one. But a record that held data is one that gave data, all begin with their length, and
# what TLS 1.2 calls a handshake record stands unencrypted before it.

from __future__ import annotations

QUIET_RECORDS = 10  # in a minute; a few tickets and key updates are as it should be
MINUTE = 60.0
_HEADER = 5  # type, version, length
_HANDSHAKE = 22


class Records:
    """The records that came in after the handshake. `with_data` is counted by whoever decrypts them."""

    __slots__ = ("_before", "_front", "_left", "_since", "handshakes", "seen", "with_data")

    def __init__(self) -> None:
        self.seen = 0  # whole ones
        self.with_data = 0
        self.handshakes = 0  # handshake records that began since `begin`
        self._front = b""  # of a header that has not come whole
        self._left = 0  # bytes of the record that is coming
        self._since = 0.0
        self._before = 0  # quiet ones when this minute began

    def add(self, cipher: bytes) -> None:
        """Bytes as they come from the socket."""
        if self._front:
            cipher, self._front = self._front + cipher, b""
        at, end = self._left, len(cipher)
        if at:
            if at > end:
                self._left = at - end
                return
            self.seen += 1
        while at + _HEADER <= end:
            self.handshakes += cipher[at] == _HANDSHAKE
            at += _HEADER + (cipher[at + 3] << 8 | cipher[at + 4])
            self.seen += at <= end
        if at > end:
            self._left = at - end
        else:
            self._left, self._front = 0, cipher[at:]

    @property
    def quiet(self) -> int:
        """Records without data. Right only when all that came has been decrypted."""
        return self.seen - self.with_data

    def begin(self, now: float) -> None:
        """What came so far does not count."""
        self._since, self._before, self.handshakes = now, self.quiet, 0

    def flood(self, now: float) -> bool:
        """Whether too many of them were quiet since a minute ago."""
        if now - self._since >= MINUTE:
            self._since, self._before = now, self.quiet
            return False
        return self.quiet - self._before > QUIET_RECORDS
