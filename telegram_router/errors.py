"""Every error of the router: whose fault it is, may money have moved, and a stable code for each.

The table at the end is the only list of codes. The documentation, the error telegrams of a spec and the metrics
are checked against it by tests.
"""

# Rules this file keeps:
#
# 1. A message never contains a field's value; only names, offsets, lengths, types and what was expected.
# 2. A code never changes its meaning. New meaning, new code.
# 3. NOT_SENT is said only when no byte can have left. In doubt it is SENT_UNKNOWN.

from __future__ import annotations

import enum
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

PLACES_TOLD = 20


class Delivery(enum.Enum):
    """May the money have moved?"""

    NOT_SENT = "not_sent"  # safe to try another backend
    SENT_UNKNOWN = "sent_unknown"  # only an inquiry or a reversal may follow
    ANSWERED = "answered"


class RouterError(Exception):
    """Base of everything this project raises on purpose. `str(error)` begins with its code."""

    def __init__(self, code: str, what: str, *, where: str = "", expected: str = "", do: str = "") -> None:
        self.code = code
        self.what = what
        self.where = where
        self.expected = expected
        self.do = do
        super().__init__(self.text())

    def parts(self) -> dict[str, str]:
        """What it says, part by part: for the log, where one long text would be cut and its advice with it."""
        parts = {"what": self.what, "where": self.where, "expected": self.expected, "do": self.do}
        return {name: part for name, part in parts.items() if part}

    def text(self) -> str:
        """One line: CODE: what is wrong; where; what was expected; what to do."""
        parts = [self.what]
        if self.where:
            parts.append(f"at {self.where}")
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.do:
            parts.append(f"to do: {self.do}")
        return f"{self.code}: " + "; ".join(parts)


def places(error: BaseException) -> list[str]:
    """Where an exception went through the code, innermost last: file, line and function, no source text, no values."""
    frames = traceback.extract_tb(error.__traceback__)[-PLACES_TOLD:]
    return [f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} {frame.name}" for frame in frames]


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with one field of one telegram. Offsets count from the telegram's first byte, from 0."""

    code: str
    spec: str
    message: str  # name of the message, "" when it is not known
    path: str  # e.g. "body.amount"
    offset: int
    length: int
    rule: str  # e.g. "9(13)"
    expected: str
    what: str  # what is wrong, without the value
    record: int = 0  # which telegram of a file or batch, from 0

    def text(self) -> str:
        """One line for a person; positions are given as people count, from 1, beside the offset."""
        where = f"{self.spec}" + (f" {self.message}" if self.message else "")
        span = f"bytes {self.offset + 1}-{self.offset + self.length}" if self.length else f"byte {self.offset + 1}"
        return (
            f"{self.code}: {self.what}; at {where} {self.path}, offset {self.offset} ({span}), rule {self.rule}; expected {self.expected}"
        )


@dataclass(frozen=True)
class ConfigProblem:
    """One thing wrong with a file the operator or a spec author wrote."""

    code: str
    file: str
    line: int  # from 1; 0 when the problem has no line
    key: str  # e.g. "services.transfer.timeout"
    what: str
    expected: str = ""
    do: str = ""

    def text(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        tail = "".join(f"; {label} {text}" for label, text in (("expected", self.expected), ("to do:", self.do)) if text)
        return f"{self.code}: {where}: " + (f"{self.key}: " if self.key else "") + self.what + tail


@dataclass(frozen=True)
class ConfigWarning:
    """Something that an operator hardly wants, but may: the router starts with it."""

    file: str
    line: int  # from 1; 0 when it has no line
    key: str
    what: str
    do: str

    def text(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"warning: {where}: {self.key}: {self.what}; to do: {self.do}"


class ConfigError(RouterError):
    """Start-up only: the author of a configuration file must mend it. Holds every problem found, not the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.code, f"{len(self.problems)} problem(s); first: {first.text()}")


class SpecError(ConfigError):
    """Start-up only: the author of a spec must mend it."""


class FramingError(RouterError):
    """The peer broke the byte stream: close that link, and only that."""


class FieldError(RouterError):
    """One telegram is not valid: refuse it, keep the link. Holds every bad field, not the first."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        RouterError.__init__(
            self,
            first.code,
            first.what + more,
            where=f"{first.spec} {first.message} {first.path}, offset {first.offset}, length {first.length}",
            expected=first.expected,
        )


class RefusedError(RouterError):
    """Our policy said no: no route, a duplicate, a bound reached. Nothing was sent."""


class BackendError(RouterError):
    """No usable answer. `delivery` says whether the request may have been executed."""

    def __init__(self, code: str, what: str, delivery: Delivery, *, where: str = "", expected: str = "", do: str = "") -> None:
        self.delivery = delivery
        super().__init__(code, what, where=where, expected=expected, do=do)


@dataclass(frozen=True)
class Code:
    """A row of the table: what a code means and what to do about it."""

    code: str
    title: str
    kind: str  # "start", "line" (the link is closed), "telegram" (the link lives), "internal"
    delivery: Delivery | None  # for telegrams; None where no telegram is concerned
    do: str


def _rows() -> dict[str, Code]:
    start, line, telegram, internal = "start", "line", "telegram", "internal"
    no, unknown = Delivery.NOT_SENT, Delivery.SENT_UNKNOWN
    table: list[tuple[str, str, str, Delivery | None, str]] = [
        # framing: the stream cannot be trusted any more
        ("E-FRM-01", "length field is not a number of the declared kind", line, None, "check the peer's framing against the spec's"),
        ("E-FRM-02", "length is below the header", line, None, "check what the peer's length counts"),
        ("E-FRM-03", "length is above the maximum", line, None, "check the peer, or raise max_frame"),
        ("E-FRM-04", "length counts other bytes than the spec says", line, None, "set `counts` in the spec's framing as the message says"),
        ("E-FRM-05", "connection ended inside a frame", line, None, "look at the peer: it closed or died while sending"),
        ("E-FRM-06", "frame not complete in time", line, None, "look at the peer or the network; frame_timeout sets the limit"),
        ("E-FRM-07", "frame is longer than its message", telegram, no, "check the peer's version of the layout"),
        ("E-FRM-08", "frame is shorter than its message", telegram, no, "check the peer's version of the layout"),
        ("E-FRM-09", "end mark is missing where the frame must end", line, None, "check the peer's framing against the spec's"),
        ("E-FRM-11", "the peer speaks TLS on a plain port", line, None, "use the TLS port, or give this listener a certificate"),
        ("E-FRM-12", "the peer speaks HTTP on a telegram port", line, None, "point the HTTP client elsewhere"),
        ("E-FRM-13", "a banner or PROXY header where none is expected, or none where one is", line, None, "set proxy_protocol as the peer does, or point it elsewhere"),
        ("E-FRM-14", "the length looks like EBCDIC digits", line, None, 'set kind = "ebcdic" in the spec\'s framing, or convert at the peer'),
        # fields
        ("E-FLD-01", "not a number of the declared digits", telegram, no, "send only the digits 0-9, right-aligned and zero-filled"),
        ("E-FLD-02", "number is beyond the limits of the spec", telegram, no, "send a number within them, or change `least` and `most`"),
        ("E-FLD-03", "not a date or time of the calendar", telegram, no, "send an existing date or time in the declared form"),
        ("E-FLD-04", "date is too far from the day it is measured by", telegram, no, "send a date within the window, or change `within`"),
        ("E-FLD-05", "value does not fit into its field", telegram, no, "shorten it; a value is never cut silently"),
        ("E-FLD-06", "required field is blank", telegram, no, "fill the field"),
        ("E-FLD-07", "not one of the declared codes", telegram, no, "send a declared code, or add it to the spec"),
        ("E-FLD-08", "number of items out of the table's bounds, or more than are there", telegram, no, "send a count of the items that follow"),
        ("E-FLD-09", "half an item at the end of a table", telegram, no, "send whole items, and check the peer's version of the layout"),
        ("E-FLD-10", "check digit is wrong", telegram, no, "look for a mistyped digit, or leave `check` out of the spec"),
        ("E-FLD-11", "two fields contradict each other", telegram, no, "make both say the same"),
        ("E-FLD-12", "field is missing, unknown or of the wrong type", telegram, no, "compare with `telegram-router spec show`"),
        ("E-FLD-13", "constant bytes are not as declared", telegram, no, "send the constant that the spec declares"),
        # text
        ("E-ENC-01", "bytes that are no character of the field's encoding", telegram, no, "check the encoding and where the text was cut"),
        ("E-ENC-02", "hangul that is in cp949 but not in KS X 1001", telegram, no, "change it, or drop strict from the spec if the partner has cp949"),
        ("E-ENC-03", "character that the field's encoding does not have", telegram, no, "replace the character; the router never does"),
        ("E-ENC-04", "control character in text", telegram, no, "remove it; text fields hold printable characters only"),
        ("E-ENC-05", "part of a character that composes to none of the encoding", telegram, no, "send whole characters, as NFC has them"),
        # routing and protocol
        ("E-RTE-01", "no route for this telegram", telegram, no, "check its type and business codes, or add a route"),
        ("E-RTE-02", "the telegram names a service that its route does not list", telegram, no, "check the field that names it, or add it to `service_by`"),
        ("E-RTE-04", "this client may not speak for the owner the telegram names", telegram, no, "check `owners` of the listener, or the client"),
        ("E-RTE-05", "nobody is connected for this telegram's owner", telegram, no, "wait for the client to connect, or check the owner field"),
        ("E-RTE-06", "an operator has switched this message off", telegram, no, "send again when it is switched on; nothing was sent"),
        ("E-TXN-01", "a reply came where only requests are expected", telegram, no, "look at the peer: it answers a question nobody asked"),
        ("E-TXN-02", "a request came on a backend link and no route takes it", telegram, no, "add a route from this service, or look at the host"),
        ("E-TXN-03", "the line is not open: before the sign-on, after the sign-off, or outside business hours", telegram, no, "sign on first, or wait for the opening"),
        ("E-DUP-01", "same correlation key as a request that is open or reserved", telegram, no, "use a new number; ask for the result of the first"),
        # limits
        ("E-LIM-01", "overflow: the service takes no more now", telegram, no, "send again later; nothing was sent"),
        ("E-LIM-02", "too many requests of one user are open", telegram, no, "send again when some of them are answered; nothing was sent"),
        ("E-LIM-03", "more than a limit allows", telegram, no, "send again after the time named; nothing was sent"),
        ("E-LIM-04", "the router is stopping", telegram, no, "send again to another router; nothing was sent"),
        ("E-LIM-05", "too many sessions on this listener", line, None, "raise max_sessions, or look for a client that leaks connections"),
        ("E-LIM-06", "the peer does not read what we write", line, None, "look at the peer; write_timeout sets the limit"),
        ("E-LIM-07", "room is kept for more urgent requests", telegram, no, "send again later, or give it a more urgent class; nothing was sent"),
        # what outlives the process
        ("E-STO-01", "the state folder cannot be used", start, None, "check the folder, its owner and its permissions"),
        ("E-STO-02", "another router works with this state folder", start, None, "stop it, or give each its own `state`"),
        ("E-STO-03", "what a quota counts cannot be stored", telegram, no, "make room on the disk; nothing was sent"),
        ("E-LIM-09", "the client has fallen silent", line, None, "look at the client and the network; `heartbeat`, `misses` and `idle` set the limit"),
        # backends
        ("E-BCK-01", "no backend of the service took the telegram", telegram, no, "look at the backends; nothing was sent"),
        ("E-BCK-02", "link lost after the request may have left", telegram, unknown, "ask for the result; never send it again"),
        ("E-BCK-03", "backend's answer is larger than allowed", telegram, unknown, "ask for the result; look at the backend"),
        ("E-BCK-04", "backend's answer is not one this route accepts", telegram, unknown, "ask for the result; look at the backend"),
        ("E-BCK-05", "no answer in time", telegram, unknown, "ask for the result; a timeout is not a failure"),
        ("E-BCK-06", "backend's answer cannot be read", telegram, unknown, "ask for the result; look at the backend"),
        ("E-BCK-07", "an answer that matches no open request", telegram, None, "see the log: it names the nearest open key and what differs"),
        ("E-BCK-08", "handler failed after it was given the request", telegram, unknown, "ask for the result; see the log for the exception"),
        ("E-BCK-09", "backend rejected the request with a definite status", telegram, no, "see the backend's status; it did not execute"),
        ("E-BCK-10", "backend cannot be reached", line, None, "check the address, the host and the network"),
        ("E-BCK-11", "which reply answers what is in doubt on this link", telegram, unknown, "ask for the result; never send it again"),
        ("E-BCK-12", "a connection is none of the service's backends", line, None, "add its address or name to a backend, or see who it is"),
        ("E-BCK-13", "a backend has all the connections it may have", line, None, "raise links, or look for a host that leaks connections"),
        ("E-BCK-15", "backend refused the sign-on, or did not answer it", line, None, "see the log for its answer; check `fields` with the host"),
        ("E-BCK-16", "backend does not answer heartbeats", line, None, "look at the host and the network; `heartbeat` and `misses` set the limit"),
        # TLS
        ("E-TLS-01", "no common TLS version or cipher", line, None, "the peer must speak TLS 1.2 or 1.3 with an AEAD cipher"),
        ("E-TLS-02", "client certificate is missing", line, None, "configure a client certificate at the peer"),
        ("E-TLS-03", "peer certificate has expired or is not valid yet", line, None, "renew the certificate, check the clocks"),
        ("E-TLS-04", "peer certificate is not from a trusted CA", line, None, "check client_ca, or the peer's chain"),
        ("E-TLS-05", "peer certificate is not for this purpose", line, None, "use a certificate with the right extended key usage"),
        ("E-TLS-06", "peer certificate is revoked, or no valid list tells", line, None, "ask the peer for a new certificate, renew the list"),
        ("E-TLS-07", "peer certificate does not hold a name that is expected here", line, None, "name its SAN where the peer is allowed, or see who it is"),
        ("E-TLS-08", "TLS handshake failed or took too long", line, None, "see the message; the peer may not be speaking TLS"),
        ("E-TLS-09", "TLS broke after the handshake", line, None, "look at the peer, or at a device between that changes bytes"),
        ("E-TLS-10", "backend certificate refused", line, None, "check the backend's certificate, server_name and ca"),
        ("E-TLS-11", "client asked for a name not served here", line, None, "set the peer's server name, or add the name to the listener"),
        # configuration and specs: start-up and `check` only
        ("E-CFG-01", "file cannot be read", start, None, "check path and permissions"),
        ("E-CFG-02", "not valid TOML", start, None, "mend the syntax at the line given"),
        ("E-CFG-03", "unknown key", start, None, "remove it, or use the key suggested"),
        ("E-CFG-04", "value is missing, of the wrong type or out of range", start, None, "use a value as described"),
        ("E-CFG-05", "two routes take the same telegrams", start, None, "make them differ, or remove one"),
        ("E-CFG-06", "name refers to nothing", start, None, "define it, or use a name suggested"),
        ("E-CFG-07", "settings contradict each other", start, None, "see the message"),
        ("E-CFG-08", "handler cannot be loaded", start, None, "check module and function; it must be an async def"),
        ("E-CFG-09", "address cannot be bound", start, None, "stop whoever holds it, or choose another"),
        ("E-CFG-11", "certificate and key do not belong together", start, None, "name the key of this certificate"),
        ("E-CFG-12", "own certificate is expired or not valid yet", start, None, "renew it"),
        ("E-CFG-13", "key is encrypted or unreadable", start, None, "give its passphrase in a file, or decrypt it, for the router alone"),
        ("E-CFG-14", "key file may be read by others", start, None, "chmod 600"),
        ("E-CFG-15", "certificate or CA file cannot be loaded", start, None, "give a PEM file"),
        ("E-CFG-16", "revocation list has expired or is of no CA here", start, None, "fetch the CA's new list"),
        ("E-CFG-17", "system lets open fewer files than the configuration needs", start, None, "raise the hard limit, or lower max_sessions"),
        ("E-CFG-20", "spec cannot be loaded", start, None, "mend the file at the line given"),
        ("E-CFG-21", "lengths do not add up", start, None, "mend the layout; the message says by how many bytes"),
        ("E-CFG-22", "field name is used twice or not allowed", start, None, "rename the field"),
        ("E-CFG-23", "construct element that cannot be laid out", start, None, "use the field kinds of telegram_router.telegrams"),
        ("E-CFG-24", "key, correlation or carrier field is not at a fixed place of the header", start, None, "name header fields"),
        ("E-CFG-25", "reply rule is not defined", start, None, "name the reply, or say that there is none"),
        ("E-CFG-26", "not_sent and sent_unknown share a response code", start, None, "give unknown a code of its own"),
        ("E-CFG-27", "framing is not possible", start, None, "mend the framing"),
        ("E-CFG-28", "two messages share a key", start, None, "give each message its own key values"),
        # the admin API and the commands that use it
        ("E-ADM-01", "there is no such thing", "order", None, "see what `telegram-router status` shows"),
        ("E-ADM-02", "request is not one that the admin API takes", "order", None, "compare with GET /openapi.json"),
        ("E-ADM-03", "token is missing or wrong", "order", None, "send the token of token_file as `Authorization: Bearer TOKEN`"),
        ("E-ADM-04", "request was meant for another host, or another site's page has sent it", "order", None, "use the address itself, or localhost"),
        ("E-ADM-05", "order cannot be carried out now", "order", None, "see the message"),
        ("E-ADM-06", "no router answers", "order", None, "start it, or check address, socket and permissions"),
        ("E-ADM-07", "answer is not one of this router's admin API", "order", None, "check the address, and that both are of one version"),
        ("E-ADM-08", "viewer may not give orders", "order", None, "use the token or the certificate of an operator"),
        # importing layouts: `spec import` only
        ("E-IMP-01", "layout cannot be read", start, None, "mend it at the place given"),
        ("E-IMP-02", "copied text is missing", start, None, "put the text that COPY names beside the copybook, or name its folder"),
        ("E-IMP-03", "lengths, offsets or totals of the layout disagree", start, None, "find out which is right, and mend the other"),
        ("E-IMP-04", "part of the layout is not understood", start, None, "check what was made of it in the spec"),
        ("E-IMP-05", "picture, type or length that is not possible", start, None, "mend it at the place given"),
        ("E-IMP-06", "name in the layout refers to nothing", start, None, "name something that stands before it"),
        ("E-IMP-07", "name was changed, since a spec cannot hold it as it is", start, None, "rename the field in the spec if you like"),
        ("E-IMP-08", "layout leaves a choice, which was made", start, None, "see the message for how to choose otherwise"),
        ("E-IMP-09", "a spec cannot say what the layout says", start, None, "check what was written in its place"),
        # captures, and what is done with them
        ("E-CAP-01", "no capture file", start, None, "give a file that `telegram-router capture` wrote"),
        ("E-CAP-02", "capture is empty", start, None, "look whether capturing was on"),
        ("E-CAP-03", "capture is of a newer version of the format", start, None, "use the version of telegram-router that wrote it"),
        ("E-CAP-04", "capture cannot be read", start, None, "check path and permissions"),
        ("E-CAP-05", "capture cannot be written", start, None, "see to room and permissions"),
        ("E-CAP-06", "filter cannot be understood", start, None, "mend it at the place given"),
        ("E-CAP-08", "no packet capture", start, None, "write one with tcpdump -w"),
        ("E-CAP-07", "captures cannot be put together", start, None, "see the message"),
        ("E-CAP-09", "masking cannot be done so", start, None, "mend the key or the policy, or give the spec"),
        # replay and load
        ("E-RPL-01", "nothing to send", start, None, "name a message of the spec, or a capture that has requests"),
        ("E-RPL-02", "no field tells requests apart", start, None, "name one of the fields that pair replies, with --sequence"),
        ("E-RPL-03", "rules, masks or a setting of a replay cannot be understood", start, None, "mend it at the place given"),
        ("E-RPL-04", "target cannot be reached", start, None, "check address, port and TLS, and whether it is running"),
        ("E-RPL-05", "target may be the real one", start, None, "give a test system's address, or say --i-know-this-is"),
        ("E-RPL-06", "telegram cannot be rebuilt", start, None, "mend the rule that the message names"),
        ("E-RPL-07", "replay cannot be resumed", start, None, "give the same capture and the folder of its report"),
        ("E-RPL-08", "report cannot be read or written", start, None, "check path, room and permissions"),
        ("E-RPL-09", "a rule's Python code is not allowed, or fails", start, None, "look at it, then give --allow-code"),
        # simulators
        ("E-SIM-01", "scenario cannot be read", start, None, "mend it at the line given"),
        ("E-SIM-02", "a key of a scenario is unknown, missing or has a value that it cannot have", start, None, "mend it at the line given"),
        ("E-SIM-03", "a scenario names what there is not", start, None, "name what the spec or the scenario has"),
        ("E-SIM-04", "expectation cannot be understood", start, None, "write it in one of the four forms"),
        ("E-SIM-05", "a file that a scenario names cannot be used", start, None, "check the path, from the scenario's folder"),
        ("E-SIM-06", "a scenario's Python code is not allowed, or fails", start, None, "look at it, then give --allow-code"),
        ("E-SIM-07", "a fault is not possible on this system", start, None, "give the capability that the message names, or use another fault"),
        ("E-SIM-08", "a simulator cannot listen or connect", start, None, "check the address"),
        # ours
        ("E-INT-01", "a fault of the router itself", internal, None, "report it with the log lines around it"),
    ]  # fmt: skip
    return {code: Code(code, title, kind, delivery, do) for code, title, kind, delivery, do in table}


CODES: dict[str, Code] = _rows()
