"""Why TLS failed, in our words: OpenSSL's errors and a peer's first bytes in, a TlsError that a person can act on out."""

# Rules this file keeps, all of them tested:
#
# 1. What an error says is about protocols, versions, ciphers and certificates, never about content.
# 2. A hello is only read to explain a refusal. One that cannot be read is left out, and is never an error of its own.

from __future__ import annotations

import functools
import re
import ssl
from collections.abc import Iterator
from typing import Literal

from telegram_router.errors import CODES, RouterError

Side = Literal["server", "client"]


class TlsError(RouterError):
    """The peer cannot be spoken to over TLS, or no longer: flush `outgoing()`, then close this connection, and only this."""


# -- OpenSSL's words become ours here, and nowhere else

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
    "CALLBACK_FAILED": ("E-TLS-11", "the peer asked for a name that is not served here, or for none"),
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
    23: ("E-TLS-06", "has been revoked"),
    3: ("E-TLS-06", "cannot be looked up: there is no revocation list of its CA"),
    8: ("E-TLS-06", "cannot be looked up: the revocation list carries a signature that is not its CA's"),
    11: ("E-TLS-06", "cannot be looked up: the revocation list is not valid yet"),
    12: ("E-TLS-06", "cannot be looked up: the revocation list has expired"),
    35: ("E-TLS-06", "cannot be looked up: its CA may not sign revocation lists (cRLSign)"),
    44: ("E-TLS-06", "cannot be looked up: the revocation list is for other certificates"),
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
        return TlsError("E-TLS-09", f"the TLS stream broke after the handshake ({openssl_reason(error)})", do=CODES["E-TLS-09"].do)
    if first and not _is_tls(first):
        return TlsError("E-TLS-08", f"the peer is not speaking TLS: it sent {looks_like(first)}", do=_PLAIN_DO[side])
    return _no_agreement(reason, first, side) or TlsError(
        "E-TLS-08", f"handshake failed ({openssl_reason(error)})", do=CODES["E-TLS-08"].do
    )


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
    return refusal(code, what)


def _certificate_refused(error: ssl.SSLCertVerificationError, side: Side) -> TlsError:
    verdict = getattr(error, "verify_code", 0)
    code, what = _VERDICTS.get(verdict, ("", f"is refused ({openssl_reason(error)})"))
    if side == "server" and not code:  # most of them are flaws that only a strict look finds
        return TlsError("E-TLS-04", f"client certificate {what}", do="mend what is named, in the peer's certificate or in a CA above it")
    if side == "server":
        return refusal(code, f"client certificate {what}")
    return refusal("E-TLS-10", f"backend certificate {what}")


def refusal(code: str, what: str) -> TlsError:
    return TlsError(code, what, do=CODES[code].do)


def openssl_reason(error: Exception) -> str:
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
