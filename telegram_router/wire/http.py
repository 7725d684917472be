"""HTTP/1.1 as a client on one connection, without a socket: request bytes out, one answer in, everything counted."""

# Rules this file keeps, all of them tested:
#
# 1. One request, one answer. Bytes before a request or behind its answer pair with nothing, and end the connection.
# 2. An answer whose end is not certain (no length, two lengths, cut off) is no answer: sent_unknown, never a guess.
# 3. Whatever a backend sends, only BackendError leaves `feed`; every one of them means: close this connection.
# 4. Header, body and what surrounds the body are counted here, not by the parser, which has no limits of its own.
# 5. What an answer's head means is decided by the parser and the checks here. It may be remembered for exactly the same bytes.

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NoReturn, TypeAlias

import msgspec
from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from telegram_router import __version__
from telegram_router.errors import CODES, BackendError, Delivery
from telegram_router.wire.tls_errors import looks_like

MAX_HEADER: Final = 16 * 1024  # of one answer, all 1xx before it included
MAX_BODY: Final = 1024 * 1024

Outcome = Literal["answer", "rejected", "unknown"]


# ---------------------------------------------------------------------------------------------------------------------
# requests

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")  # printable ASCII: no CR, no LF, no blank at either end
_VISIBLE = re.compile(r"[!-~]+")

_DEFAULTS = {"user-agent": f"telegram-router/{__version__}", "accept": "application/json"}
_FIXED = {"accept-encoding": "identity", "content-type": "application/json"}
_PER_REQUEST = ("traceparent", "x-request-id", "x-deadline-ms", "content-length")
_OURS = frozenset(
    (
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "expect",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        *_FIXED,
        *_PER_REQUEST,
    )
)


class HttpRequestTemplate:
    """What all requests with one path to one service have in common, put together once."""

    __slots__ = ("_head",)

    def __init__(self, path: str, host: str, headers: Mapping[str, str] | None = None) -> None:
        """`host` as in the URL, with the port unless it is the scheme's own. Raises ValueError, which never holds a header's value."""
        if not path.startswith("/") or not _VISIBLE.fullmatch(path) or "#" in path:
            raise ValueError("the path of a request begins with / and holds visible ASCII characters, without #")
        if not _VISIBLE.fullmatch(host) or "/" in host or "@" in host:
            raise ValueError("the host of a request holds a name or an address, and perhaps a port")
        lines = [f"POST {path} HTTP/1.1", f"host: {host}"]
        own = headers or {}
        given = {name.lower() for name in own}
        lines += (f"{name}: {value}" for name, value in _DEFAULTS.items() if name not in given)
        lines += (f"{name}: {value}" for name, value in _FIXED.items())
        lines += (_header_line(name, value) for name, value in own.items())
        self._head = "\r\n".join((*lines, "traceparent: 00-")).encode("ascii")

    def request_bytes(self, body: bytes, trace: bytes, remaining_ms: int, extra_headers: bytes = b"") -> bytes:
        """One whole request.

        `trace` is 50 hexadecimal digits in lower case: the trace id, the span id, which is the request id as well, and the flags
        (W3C Trace Context, level 1, section 3.2.2); `remaining_ms` is what is left of the request's deadline; `extra_headers` comes from
        `header_lines`.
        """
        return b"%b%b-%b-%b\r\nx-request-id: %b\r\nx-deadline-ms: %d\r\ncontent-length: %d\r\n%b\r\n%b" % (
            self._head,
            trace[:32],
            trace[32:48],
            trace[48:],
            trace[32:48],
            remaining_ms,
            len(body),
            extra_headers,
            body,
        )


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers of one request, checked and ready for `request_bytes`. Raises ValueError."""
    return "".join(f"{_header_line(name, value)}\r\n" for name, value in headers.items()).encode("ascii")


def _header_line(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a header name holds letters, digits and -")
    if name.lower() in _OURS:
        raise ValueError(f"header {name} is set by the router itself")
    if not _VALUE.fullmatch(value):  # the value may be a credential, so it is not repeated
        raise ValueError(f"the value of header {name} holds something else than printable ASCII, or a blank at an end")
    return f"{name}: {value}"


# ---------------------------------------------------------------------------------------------------------------------
# what a status means


def outcome(status: int, definite: frozenset[int]) -> Outcome:
    """2xx with content answers, a definite status rejects for certain; all else may have been executed or not."""
    if 200 <= status < 300:
        return "unknown" if status in (204, 205) else "answer"
    return "rejected" if status in definite else "unknown"


def status_error(status: int, definite: frozenset[int]) -> BackendError | None:
    """The error for an answer that is none, by its status; None for one whose body is the answer."""
    what = outcome(status, definite)
    if what == "answer":
        return None
    code = "E-BCK-09" if what == "rejected" else "E-BCK-04"
    row = CODES[code]
    empty = " (no content)" if status in (204, 205) else ""
    return BackendError(code, f"backend answered with status {status}{empty}", row.delivery or Delivery.SENT_UNKNOWN, do=row.do)


# ---------------------------------------------------------------------------------------------------------------------
# answers


class Response(msgspec.Struct, gc=False):
    """One whole answer. The body is JSON by its content type when the status is 2xx; it has not been parsed."""

    status: int
    body: bytes
    keep_alive: bool  # False: take the answer, then close the connection


# Status and body size of whole answers that kept their connection open, by the bytes of their heads: a service sends few
# different ones, and to look one up takes a quarter of the time of parsing it.
Heads: TypeAlias = dict[bytes, tuple[int, int]]

HEADS_KEPT: Final = 64
_LONGEST_KEPT: Final = 1024
_HEAD_END: Final = b"\r\n\r\n"


class _Stop(Exception):
    """Leaves the parser from inside one of its callbacks."""


_WATCHED = frozenset((b"content-length", b"transfer-encoding", b"content-encoding", b"content-type"))
_USUAL_TYPES = frozenset(
    (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8", b"application/json; charset=UTF-8")
)
_LINE_ENDS = b"\r\n"

# The smallest chunk spends 6 bytes on one of body, so honest chunks stay below this; endless chunk extensions do not.
_WIRE_PER_BODY = 8


class HttpReply:
    """Reads the answers of one connection: `expect` before each request, then `feed` until it returns the answer.

    The methods that begin with `on_` belong to the parser.
    """

    __slots__ = (
        "_body_size", "_done", "_expecting", "_fields", "_first", "_head_over", "_heads", "_keep_alive", "_max_body", "_max_header",
        "_parser", "_parts", "_quiet", "_refused", "_seen", "_status", "tainted",
    )  # fmt: skip

    def __init__(self, max_header: int = MAX_HEADER, max_body: int = MAX_BODY, heads: Heads | None = None) -> None:
        """`heads` may be shared by connections that have the same limits."""
        self._max_header = max_header
        self._max_body = max_body
        self._heads: Heads = {} if heads is None else heads
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._fields: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._refused: BackendError | None = None
        self.tainted = False  # bytes came that belong to no request, or the answer could not be read: close the connection
        self._expecting = False
        self._start()

    @property
    def expecting(self) -> bool:
        """A request is waiting for its answer."""
        return self._expecting

    @property
    def reusable(self) -> bool:
        """The connection may take a request: none waits, no stray bytes came, and the last answer did not close it."""
        return self._parser is not None and not self._expecting and not self.tainted

    def expect(self) -> None:
        """A request is about to be written. RuntimeError when the connection is not `reusable`."""
        if not self.reusable:
            raise RuntimeError("this connection takes no request now")
        self._expecting = True

    def feed(self, data: bytes) -> Response | None:
        """Add bytes from the backend; the answer once it is whole. Raises BackendError (sent_unknown): no answer will come.

        Without a request that waits the bytes only set `tainted`.
        """
        if not data:
            return None
        if self._parser is None or not self._expecting:
            self.tainted = True
            return None
        if not self._seen:
            end = data.find(_HEAD_END) + len(_HEAD_END)
            known = self._heads.get(data[:end])
            if known is not None and len(data) == end + known[1]:
                self._expecting = False
                return Response(known[0], data[end:], True)
        if len(self._first) < 5:
            self._check_first(data)
        if self._head_over or self._seen + len(data) > self._max_header:
            self._feed_counted(self._parser, data)
        else:
            self._seen += len(data)
            self._feed_parser(self._parser, data)
        return self._answer(data) if self._done else None

    def end(self) -> None:
        """The backend closed its side. Raises BackendError when a request still waits for its answer, or for the rest of it."""
        if self._expecting:
            self._give_up()
            what = "connection ended inside the answer" if self._seen else "connection ended before the answer"
            raise _unknown("E-BCK-02", what)

    def close(self) -> None:
        """Let go of the parser, which otherwise holds this object in a cycle."""
        self._give_up()

    # -- inside

    def _start(self) -> None:
        self._status = 0
        self._seen = 0  # bytes from the wire for this answer
        self._body_size = 0
        self._quiet = 0  # bytes since the last byte of body
        self._first = b""
        self._head_over = False
        self._done = False
        self._keep_alive = False
        self._fields.clear()
        self._parts.clear()

    def _answer(self, last: bytes) -> Response:
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        keep_alive = self._keep_alive and not self.tainted
        response = Response(self._status, body, keep_alive)
        if not keep_alive:
            self._parser = None
        elif self._seen == len(last) and b"content-length" in self._fields:
            self._learn(last)
        self._expecting = False
        self._start()
        return response

    def _learn(self, answer: bytes) -> None:
        """Remember the head of an answer that came in one piece: all before its body, and no 1xx in it."""
        end = len(answer) - self._body_size
        if answer.find(_HEAD_END) + len(_HEAD_END) == end <= _LONGEST_KEPT:
            if len(self._heads) >= HEADS_KEPT:
                self._heads.clear()
            self._heads[answer[:end]] = (self._status, self._body_size)

    def _give_up(self) -> None:
        self._expecting = False
        self.tainted = True
        self._parser = None
        self._parts.clear()

    def _check_first(self, data: bytes) -> None:
        # The parser would skip blank lines, and take RTSP for HTTP.
        self._first += data[: 5 - len(self._first)]
        if not b"HTTP/".startswith(self._first):
            self._give_up()
            raise _unknown("E-BCK-06", f"not an HTTP answer: the backend sent {looks_like(data)}")

    def _feed_counted(self, parser: HttpResponseParser, data: bytes) -> None:
        """The careful way, for long answers: nothing beyond a limit reaches the parser, or at most one read of the socket."""
        if not self._head_over:
            head, data = data[: self._max_header - self._seen], data[self._max_header - self._seen :]
            self._seen += len(head)
            if head:
                self._feed_parser(parser, head)
            if not data or self._refuse_long_header():
                return
        self._seen += len(data)
        before = self._body_size
        self._feed_parser(parser, data)
        self._quiet = 0 if self._body_size > before else self._quiet + len(data)
        if not self._done and (self._quiet > self._max_header or self._seen > self._max_header + _WIRE_PER_BODY * self._max_body):
            self._give_up()
            raise _unknown("E-BCK-03", f"the answer has more than {self._max_header} bytes of chunk extensions or trailers")

    def _refuse_long_header(self) -> bool:
        """True when the answer ended exactly at the limit and the rest is not its own."""
        if self._done:
            self.tainted = True
            return True
        if not self._head_over:
            self._give_up()
            raise _unknown("E-BCK-03", f"the answer's header is longer than {self._max_header} bytes, those of 1xx included")
        return False

    def _feed_parser(self, parser: HttpResponseParser, data: bytes) -> None:
        try:
            if data[-1] in _LINE_ENDS and len(data) > 1:
                # The parser silently skips line ends behind an answer. So the last byte goes in alone: when the answer
                # was whole before it, it was one too many.
                parser.feed_data(data[:-1])
                if self._done:
                    self.tainted = True
                    return
                data = data[-1:]
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._explain(error)
        else:
            return
        if self._refused is not None:
            self._give_up()
            raise self._take_refusal()

    def _take_refusal(self) -> BackendError:
        # Not through a local of the frame that raises it: the traceback would close a cycle.
        refused, self._refused = self._refused, None
        assert refused is not None
        return refused

    def _explain(self, error: HttpParserError | HttpParserUpgrade) -> None:
        """Why the parser stopped. No refusal when the answer was whole by then and only what followed it was wrong."""
        if self._refused is not None:
            return
        if self._done:
            self.tainted = True
            return
        if isinstance(error, HttpParserCallbackError):
            raise error.__context__ or error  # a fault in one of our callbacks: not to be taken for the backend's
        # llhttp's reasons are constants of its source; none repeats what it read.
        self._refused = _unknown("E-BCK-06", f"malformed HTTP answer ({str(error) or 'parser error'})")

    # -- called by the parser

    def on_message_begin(self) -> None:
        if self._done:
            self.tainted = True
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_over:
            return  # a trailer changes nothing
        field = name.lower()
        if field in _WATCHED:
            before = self._fields.get(field)
            self._fields[field] = value if before is None else before + b", " + value

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        self._status = status = parser.get_status_code()
        if status < 200:
            self._check_interim(status)
            return
        version = parser.get_http_version()
        if 300 <= status < 400:
            self._refuse("E-BCK-04", f"backend answered with status {status}; redirects are never followed")
        if version not in ("1.1", "1.0"):
            self._refuse("E-BCK-06", f"the answer is HTTP/{version}")
        self._check_fields(status, version)
        self._keep_alive = version == "1.1" and parser.should_keep_alive()
        self._head_over = True

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > self._max_body:
            self._refuse("E-BCK-03", f"the answer's body is longer than {self._max_body} bytes")
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._status >= 200:
            self._done = True

    # -- checks of a header

    def _check_interim(self, status: int) -> None:
        if status == 101:
            self._refuse("E-BCK-04", "backend answered with status 101 and wants to change the protocol")
        if status < 100:
            self._refuse("E-BCK-06", "malformed HTTP answer (status below 100)")
        self._fields.clear()

    def _check_fields(self, status: int, version: str) -> None:
        fields = self._fields
        encoding = fields.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in (b"identity", b""):
            self._refuse("E-BCK-04", "the answer is compressed (content-encoding), which the request did not allow")
        self._check_length(fields, status, version)
        if 200 <= status < 300 and status not in (204, 205):
            kind = fields.get(b"content-type")
            if kind is None:
                self._refuse("E-BCK-06", "the answer has no content type, so it is not known to be JSON")
            if kind not in _USUAL_TYPES and not _is_json(kind):
                self._refuse("E-BCK-06", "the answer is not JSON in UTF-8 by its content type")

    def _check_length(self, fields: dict[bytes, bytes], status: int, version: str) -> None:
        transfer = fields.get(b"transfer-encoding")
        if transfer is not None:
            # The parser has refused content-length beside it.
            if transfer.strip().lower() != b"chunked":
                self._refuse("E-BCK-04", "the answer has a transfer encoding other than chunked")
            if version != "1.1":
                self._refuse("E-BCK-06", "the answer is chunked, which HTTP/1.0 does not have")
            return
        length = fields.get(b"content-length")
        if length is None:
            if status != 204:
                self._refuse("E-BCK-06", "the answer has neither content-length nor chunks, so its end is not certain")
        elif int(length) > self._max_body and status != 204:  # the parser has let only digits through
            self._refuse("E-BCK-03", f"the answer announces a body longer than {self._max_body} bytes")

    def _refuse(self, code: str, what: str) -> NoReturn:
        self._refused = _unknown(code, what)
        raise _Stop


def _is_json(content_type: bytes) -> bool:
    """application/json, or a type that ends in +json (RFC 6839); a charset, which JSON does not need, must be UTF-8."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json") and b"," not in kind):
        return False
    charsets = [
        value.strip(b'" ') for name, _, value in (parameter.partition(b"=") for parameter in parameters) if name.strip() == b"charset"
    ]
    return all(charset in (b"utf-8", b"utf8") for charset in charsets)


def _unknown(code: str, what: str) -> BackendError:
    return BackendError(code, what, Delivery.SENT_UNKNOWN, do=CODES[code].do)
