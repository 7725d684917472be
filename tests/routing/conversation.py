"""Conversations with a switch: sessions and links that send, are sent to, and die; and the telegrams they send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from construct import Struct

from telegram_router.routing import (
    Among,
    Audience,
    Event,
    Exchange,
    Kind,
    Listener,
    ListenerPolicy,
    Peer,
    Route,
    RouteTable,
    Service,
    ServicePolicy,
    Switch,
)
from telegram_router.telegrams import (
    Code,
    Digits,
    ErrorReply,
    Family,
    Framing,
    LengthField,
    Message,
    Opaque,
    Plus,
    Reply,
    Spec,
    Table,
    Telegram,
    compile_family,
    load_spec,
)

ROOT = Path(__file__).parents[2]


@cache
def spec_file(path: str) -> Spec:
    return load_spec((ROOT / path).read_text("utf-8"), path)


def firmbanking() -> Spec:
    return spec_file("specs/firmbanking.py")


def lab() -> Spec:
    return spec_file("tests/benchmarks/specs/lab.py")


# --- telegrams of the firm-banking family, written by hand so that the tests do not lean on the encoder ---------------


def header(kind: str, business: str, number: int, company: str, code: str = "", day: str = "20240315", count: int = 1) -> bytes:
    text = f"SETTLEBNK{company:12}088{kind}{business}{count}{number:06}{day}101112{code:4}"
    return text.encode("ascii").ljust(100)


def telegram(kind: str, business: str, number: int, company: str = "C001", body: bytes = b"", **more: Any) -> bytes:
    return b"0300" + header(kind, business, number, company, **more) + body.ljust(200)


def transfer(number: int = 7, company: str = "C001", **more: Any) -> bytes:
    """지급이체, a valid one."""
    return telegram("2000", "100", number, company, transfer_body(), **more)


def credit(number: int = 7, company: str = "C001", **more: Any) -> bytes:
    """여신; its body is blank, which only full validation minds."""
    return telegram("5000", "100", number, company, **more)


def notice(number: int = 900, company: str = "C001", **more: Any) -> bytes:
    """수신 거래내역통지, which a host sends on its own."""
    return telegram("4000", "100", number, company, **more)


def opening(number: int = 1, company: str = "C001", **more: Any) -> bytes:
    """업무개시."""
    return telegram("1000", "100", number, company, **more)


def reply_to(request: bytes, code: str = "0000") -> bytes:
    """The +100 reply, all else as it came. An error telegram is the same with the router's code."""
    kind = b"%04d" % (int(request[28:32]) + 100)
    return request[:28] + kind + request[32:56] + code.encode().ljust(4) + request[60:]


@cache
def transfer_body() -> bytes:
    """The 200 bytes of a transfer with which full validation finds nothing wrong."""
    spec = firmbanking()
    blank = {field.name: "" for field in spec.messages["transfer.request"].fields if field.section == "body" and field.name}
    numbers = {"amount": 15000, "balance_after": None, "fee": None}
    head = {"transaction_code": "SETTLEBNK", "company_number": "C001", "bank_code": "088", "send_count": 1, "message_number": "000007"}
    dated = {"sent_date": "20240315", "sent_time": "101112", "response_code": ""}
    names = {"withdrawal_account": "110123456789", "memo": "급여", "deposit_holder": "홍길동"}
    return spec.encode(Telegram(spec, spec.messages["transfer.request"], head | dated, blank | names | numbers))[104:]


# --- a small family whose connections count for themselves: 4 digits in front, then type, number, company -------------

PART = Struct("part" / Digits(2, log="clear"), "parts" / Digits(2, log="clear"), "rest" / Opaque())


@cache
def small(width: int = 3, *, carrier: bool = True, errors: bool = True, owner: bool = False, refusal: bool = False) -> Spec:
    """`width` digits of number are the carrier, the company stands beside it in the correlation key.

    An error telegram is the reply with a code; with `refusal` it is a message of its own, without the request's body.
    """
    codes = {"E-DUP-01": "DUP", "E-LIM-01": "FULL"}
    told = ErrorReply("code", not_sent="NO", sent_unknown="VTIM", codes=codes, message="refusal" if refusal else None)
    return compile_family(
        Family(
            name="small",
            header=Struct(
                "type" / Code(4, required=True, log="clear"),
                "number" / Code(width, digits=True, required=True),
                "company" / Code(2, log="clear"),
                "code" / Code(4, log="clear"),
            ),
            framing=Framing(LengthField(), header=10 + width),
            key=("type",),
            correlation=("number", "company"),
            carrier="number" if carrier else None,
            owner="company" if owner else None,
            reply_rule=Plus("type", 10),
            errors=told if errors else None,
            messages=[
                Message("ask.request", key=("0200",), body=Struct("text" / Opaque()), reply=Reply.one("ask.response")),
                Message("ask.response", key=("0210",), body=Struct("text" / Opaque()), kind="reply"),
                Message(
                    "list.request",
                    key=("0300",),
                    body=Struct("text" / Opaque()),
                    reply=Reply.until("list.part", current="body.part", total="body.parts"),
                ),
                Message("list.part", key=("0310",), body=PART, kind="reply"),
                Message("letter", key=("0400",), body=Struct("text" / Opaque()), kind="oneway", reply=Reply.none()),
                *([Message("refusal", key=("0900",), kind="reply")] if refusal else []),
            ],
        )
    )


@cache
def tabled() -> Spec:
    """Its replies are found by a table."""
    return compile_family(
        Family(
            name="tabled",
            header=Struct("type" / Code(4, required=True, log="clear"), "number" / Digits(4)),
            framing=Framing(LengthField()),
            key=("type",),
            correlation=("number",),
            reply_rule=Table("type", {"ASK": "ANS", "BUY": "SOLD"}),
            errors=None,
            messages=[
                Message("ask", key=("ASK",), body=Struct("text" / Opaque())),
                Message("buy", key=("BUY",), body=Struct("text" / Opaque())),
            ],
        )
    )


def framed(telegram: bytes) -> bytes:
    return b"%04d" % len(telegram) + telegram


def ask(number: int = 7, text: str = "", company: str = "AA", *, kind: str = "0200", width: int = 3, code: str = "") -> bytes:
    return framed(f"{kind}{number:0{width}}{company}{code:4}{text}".encode())


def answer_to(request: bytes, text: bytes | None = None, code: bytes = b"    ", *, width: int = 3) -> bytes:
    """The +10 reply under the number that the request has where it arrived."""
    kind, end = b"%04d" % (int(request[4:8]) + 10), 10 + width
    return framed(kind + request[8:end] + code + (request[end + 4 :] if text is None else text))


def listing(number: int, part: int, parts: int, text: str = "", company: str = "AA", width: int = 3) -> bytes:
    return framed(f"0310{number:0{width}}{company}    {part:02}{parts:02}{text}".encode())


# --- who talks --------------------------------------------------------------------------------------------------------


class Speaker:
    """One end of a session or a link, with the kernel between it and the switch."""

    def __init__(self, talk: Talk, peer: Peer) -> None:
        self.talk = talk
        self.peer = peer
        self.history = b""  # all that the kernel has taken
        self.looked = 0  # up to where `got` has looked at it

    def sends(self, *frames: bytes, at: float | None = None) -> None:
        """Whole frames arrive, in one receive."""
        self.talk.switch.receive(self.peer, list(frames), self.talk.now(at))

    def accepts(self, size: int) -> None:
        """The kernel takes so many bytes of what waits to be written, and no more."""
        peer = self.peer
        data = b"".join(peer.outbox)
        assert size <= len(data), "the outbox does not hold so much"
        peer.accepted += size
        self.history += data[:size]
        peer.outbox[:] = _dropped_front(peer.outbox, size)

    def got(self) -> list[bytes]:
        """All frames that arrived since the last look; the kernel takes whatever waits."""
        self.accepts(self.peer.unwritten)
        frames, self.looked = self.cut(self.history, self.looked)
        return frames

    def cut(self, stream: bytes, start: int) -> tuple[list[bytes], int]:
        """The whole frames of a stream, and where the next one begins."""
        return self.peer.group.spec.framing.cutter(1)(stream, start, 1 << 30)

    def dies(self, at: float | None = None) -> None:
        now = self.talk.now(at)
        if isinstance(self.peer.group, Listener):
            self.talk.switch.lose_session(self.peer, now)
        else:
            self.talk.switch.lose_link(self.peer, now)


def _dropped_front(outbox: Iterable[bytes], size: int) -> list[bytes]:
    left = []
    for frame in outbox:
        if size < len(frame):
            left.append(frame[size:])
        size = max(0, size - len(frame))
    return left


class Talk:
    """A switch, its speakers and a clock that only goes where it is told to."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.clock = 0.0
        self.speakers: list[Speaker] = []
        self.told: list[Event] = []  # in the turns before this one

    def now(self, at: float | None = None) -> float:
        """The time; whatever asks for it begins a turn."""
        self.told += self.switch.take_events()[0]
        if at is not None:
            assert at >= self.clock, "time does not go back"
            self.clock = at
        return self.clock

    def session(self, name: str = "bank", *certificate: str, listener: str = "branches") -> Speaker:
        peer = self.switch.add_session(self.switch.listeners[listener], name, frozenset(certificate), now=self.clock)
        return self._speaker(peer)

    def link(self, service: str = "transfer", name: str = "", backend: str = "") -> Speaker:
        peer = self.switch.add_link(self.switch.services[service], name or f"{service}#{len(self.speakers)}", backend, self.clock)
        return self._speaker(peer)

    def _speaker(self, peer: Peer) -> Speaker:
        self.speakers.append(Speaker(self, peer))
        return self.speakers[-1]

    def tick(self, at: float | None = None) -> None:
        now = self.now(at)
        while self.switch.tick(now):
            pass

    def events(self, name: str) -> list[dict[str, object]]:
        """What the log was told under this name since the switch began."""
        return [event.fields for event in [*self.told, *self.switch.events] if event.name == name]

    def service(self, name: str = "transfer") -> Service:
        return self.switch.services[name]

    def listener(self, name: str = "branches") -> Listener:
        return self.switch.listeners[name]

    @staticmethod
    def ended(origin: Listener | Service) -> dict[str, int]:
        """How the requests of an origin ended, over all its routes."""
        origin.add_up()
        sums: dict[str, int] = {}
        for score in (route.score for route in origin.routes.routes):
            for result, count in {"ok": score.ok, **score.failed}.items():
                sums[result] = sums.get(result, 0) + count
        return {result: count for result, count in sums.items() if count}

    @property
    def open(self) -> int:
        """Exchanges that somebody still waits for."""
        return sum(speaker.peer.open for speaker in self.speakers)

    def leftovers(self) -> dict[str, int]:
        """Whatever a table still holds. Empty when every request has ended and every reservation has passed."""
        switch = self.switch
        held = {
            "pending": sum(len(each.register.pending) for each in switch.services.values()),
            "tombstones": sum(len(each.register.tombstones) for each in switch.services.values()),
            "waiting": sum(len(each.waiting) for each in switch.services.values()),
            "asked of sessions": sum(len(each.register.pending) + len(each.register.tombstones) for each in switch.listeners.values()),
            "reserved": sum(len(lane.reserved) for speaker in self.speakers for lane in speaker.peer.lanes),
            "open": self.open,
            "load": sum(speaker.peer.load for speaker in self.speakers if not speaker.peer.closed),
            "delayed": sum(len(each.register.delayed) for each in [*switch.services.values(), *switch.listeners.values()]),
            "one-way": len(switch._oneway) + sum(len(speaker.peer.oneway) for speaker in self.speakers),
            "gates": sum(_in_gates(speaker.peer) for speaker in self.speakers),
        }
        return {name: count for name, count in held.items() if count}


def _in_gates(peer: Peer) -> int:
    gates = [gate for lane in peer.lanes for gate in (lane._requests, lane._answers) if gate is not None]
    return sum(len(gate) + len(gate._free) for gate in gates)


class HeldJournal:
    """A journal that makes nothing durable until it is told to."""

    def __init__(self) -> None:
        self.requests: list[Exchange] = []
        self.answers: list[Exchange] = []

    def request(self, exchange: Exchange) -> None:
        self.requests.append(exchange)

    def answer(self, exchange: Exchange) -> None:
        self.answers.append(exchange)


class ImmediateJournal:
    """A journal that has everything on disk at once."""

    def __init__(self) -> None:
        self.switch: Switch | None = None

    def request(self, exchange: Exchange) -> None:
        assert self.switch is not None
        self.switch.release(exchange)

    def answer(self, exchange: Exchange) -> None:
        assert self.switch is not None
        self.switch.release_answer(exchange)


# --- the usual places --------------------------------------------------------------------------------------------------


def exactly(**fields: str | bytes) -> Mapping[str, Among]:
    return {name: Among(frozenset([value.encode() if isinstance(value, str) else value])) for name, value in fields.items()}


def service_of(switch: Switch, name: str, spec: Spec, kind: Kind = Kind.TELEGRAM, **policy: Any) -> Service:
    switch.services[name] = Service(name, kind, spec, ServicePolicy(**policy))
    return switch.services[name]


def firm(
    journal: Any = None, *, full: bool = False, owners: Mapping[bytes, frozenset[str]] | None = None, sessions: Any = None, **policy: Any
) -> Talk:
    """송금 goes to `transfer`, whatever else has a type to `other`; what `transfer` sends on its own goes to the sessions."""
    spec, switch = firmbanking(), Switch(journal)
    first, other = service_of(switch, "transfer", spec, **policy), service_of(switch, "other", spec, **policy)
    listener = Listener("branches", spec, ListenerPolicy(owners=owners, **(sessions or {})))
    switch.listeners["branches"] = listener
    to_first = Route("transfer", exactly(message_type="2000", business_code="100"), first, full)
    to_other = Route("credit", exactly(message_type="5000"), other, full)
    listener.set_routes(RouteTable(spec, [to_first, to_other, Route("opening", exactly(message_type="1000"), other)]))
    first.set_routes(RouteTable(spec, [Route("notices", exactly(message_type="4000", business_code="100"), Audience(listener))]))
    return Talk(switch)


def one_service(
    spec: Spec, journal: Any = None, kind: Kind = Kind.TELEGRAM, *, sessions: Any = None, full: bool = False, **policy: Any
) -> Talk:
    """Everything that comes goes to the one service, and what that sends on its own to the sessions."""
    switch = Switch(journal)
    service = service_of(switch, "transfer", spec, kind, **policy)
    listener = Listener("branches", spec, ListenerPolicy(**(sessions or {})), RouteTable(spec, [Route("all", {}, service, full)]))
    switch.listeners["branches"] = listener
    if spec.owner is not None:
        service.set_routes(RouteTable(spec, [Route("back", {}, Audience(listener))]))
    return Talk(switch)
