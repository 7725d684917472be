"""Several certificates at one listener: which of them serves the name that a client asks for (SNI), and whom it asks for one."""

# Rules this file keeps, all of them tested:
#
# 1. Each name has a context of its own, so that its CAs, revocation lists and client policy are those that OpenSSL verifies by.
#    Changing the certificate of a connection that has begun would leave the policy of the context that it began with.
# 2. The context is chosen by our reading of the ClientHello, and kept only if OpenSSL read the same name. Whatever we cannot read,
#    or read otherwise, ends in an alert and never in another name's policy.
# 3. Contexts share no ticket keys and no session cache, so no session is resumed under another name.

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Mapping

_MOST_RECORDS = 8  # that a ClientHello is read from; each look begins at the first
_LONGEST_HELLO = 16_384
_SERVER_NAME = 0  # the extension, and the type of name within it (RFC 6066)
_HANDSHAKE, _CLIENT_HELLO = 22, 1


class UnreadableHello(Exception):
    """Why the name that a ClientHello asks for is not read, though it may hold one. OpenSSL is not given such a hello: Python would
    write a name that is not ASCII to stderr, past the log."""


class ServerContext(ssl.SSLContext):
    """A listener's context, and what must be known beside it."""

    names: ServerNames | None = None  # the contexts of other names, where there are some
    clients: frozenset[str] | None = None  # DNS names in lower case and URIs of which a client's certificate must hold one
    lists_end: float = math.inf  # when the first of its revocation lists ends: nobody is let in after it, resumed sessions included


class ServerNames:
    """The context of each name. One that is not known gets the default one, or is refused."""

    def __init__(
        self, default: ServerContext, named: Mapping[str, ServerContext], *, own: Iterable[str] = (), refuse_unknown: bool = False
    ) -> None:
        """`named`: by DNS name, or by `*.` and a name for every name with one label in front of it. `own`: the names of the default."""
        self._default = default
        self._named = {name.lower(): context for name, context in named.items()}
        # A name that is given elsewhere keeps that policy, however the default certificate is called.
        self._named |= {name.lower(): default for name in own if not covers(self._named, name)}
        self._refuse_unknown = refuse_unknown
        for context in {id(each): each for each in (default, *named.values())}.values():
            self._hold(context)
        default.names = self

    def choose(self, name: str | None) -> ServerContext | None:
        """The context for a name that a client asks for, or for one that asks for none; None to refuse it."""
        known = name.lower() if name is not None else ""
        found = self._named.get(known) or self._named.get("*." + known.partition(".")[2])  # as `covers`
        return found or (None if self._refuse_unknown else self._default)

    def begin(self, name: str | None) -> ServerContext:
        """The context to begin a handshake with; where the name is refused, one that refuses it in TLS."""
        return self.choose(name) or self._default

    def _hold(self, context: ServerContext) -> None:
        def check(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> int | None:
            return None if self.choose(name) is context else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        context.sni_callback = check


def covers(names: Iterable[str], name: str) -> bool:
    """Whether a name is one of these, or one of those that a `*.` among them stands for. No wildcard stands for another."""
    known, asked = {each.lower() for each in names}, name.lower()
    return asked in known or (not asked.startswith("*.") and "*." + asked.partition(".")[2] in known)


def asked_name(first: bytes) -> str | int | None:
    """The name that a ClientHello asks for, None when it asks for none or is none; a number: look again at so many bytes.

    Raises UnreadableHello.
    """
    hello = _whole_hello(first)
    if isinstance(hello, int):
        return hello
    try:
        return _name_in(hello) if hello else None
    except IndexError:  # OpenSSL refuses it, too
        return None
    except UnicodeDecodeError:
        raise UnreadableHello("it is not ASCII") from None


def _whole_hello(first: bytes) -> bytes | int:
    """The handshake message in the first records; b"" when it is none that we read."""
    message, at = b"", 0
    for _ in range(_MOST_RECORDS):
        if len(first) < at + 5:
            return b"" if first and first[0] != _HANDSHAKE else at + 5
        length = int.from_bytes(first[at + 3 : at + 5])
        if first[at] != _HANDSHAKE:
            return b""
        if at + length > _LONGEST_HELLO:
            raise UnreadableHello("the ClientHello is longer than 16 KiB")
        if len(first) < at + 5 + length:
            return at + 5 + length
        message += first[at + 5 : at + 5 + length]
        at += 5 + length
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4]):
            return message if message[0] == _CLIENT_HELLO else b""
    raise UnreadableHello(f"the ClientHello is cut into more than {_MOST_RECORDS} records")


def _name_in(hello: bytes) -> str | None:
    """The host name of a ClientHello (RFC 8446, section 4.1.2). Raises IndexError when it is cut."""
    at = 38 + 1 + hello[38]  # handshake 4, version 2, random 32; then the session id
    at += 2 + _u16(hello, at)  # cipher suites
    at += 1 + hello[at]  # compression methods
    end = at + 2 + _u16(hello, at)
    at += 2
    while at < end:
        kind, length = _u16(hello, at), _u16(hello, at + 2)
        if kind == _SERVER_NAME:
            size = _u16(hello, at + 7)  # behind the length of the list and the type of the first name
            return hello[at + 9 : at + 9 + size].decode("ascii") if hello[at + 6] == _SERVER_NAME else None
        at += 4 + length
    return None


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
