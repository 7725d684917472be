"""A hub on a network in memory: clients and hosts of a small made-up family, and a check that nothing is left behind.

Most tests turn the hub by hand and set the clock: a conversation is then a list of calls. `run` starts the real tasks instead.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import trio
import trio.testing
from construct import Struct

from telegram_router.errors import RouterError
from telegram_router.routing import Among, Audience, Kind, Listener, ListenerPolicy, Peer, Route, RouteTable, Service, ServicePolicy, Switch
from telegram_router.telegrams import (
    OUR_CODE,
    Code,
    ErrorReply,
    Family,
    Framing,
    LengthField,
    Message,
    Opaque,
    Poll,
    Reply,
    Spec,
    compile_family,
)
from telegram_router.wire.connection import Connection, Limits
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import Backend
from telegram_router.wire.memory import Far, MemoryNet, MemorySocket
from telegram_router.wire.telegram_connection import Reader, TelegramConnection
from telegram_router.wire.tls import TlsLayer

ANY = Struct("content" / Opaque())
FAMILY = Family(
    name="line",
    version="1",
    framing=Framing(LengthField(), polls=[Poll(b"HDR REQPOLL", b"HDR RESPOLL")], header=16),
    header=Struct(
        "type" / Code(4, required=True, log="clear"),
        "code" / Code(2, log="clear"),
        "company" / Code(4, log="clear"),
        "number" / Code(6, digits=True, required=True, log="clear"),
    ),
    key=("type",),
    correlation=("company", "number"),
    owner="company",
    errors=ErrorReply(field="body.outcome", not_sent="N", sent_unknown="U", message="refusal", set={"body.error_code": OUR_CODE}),
    messages=[
        Message("work.request", "work", ("0200",), ANY, reply=Reply.one("work.response")),
        Message("work.response", "work done", ("0210",), ANY, kind="reply"),
        Message("news", "one way", ("0300",), ANY, kind="oneway", reply=Reply.none()),
        Message(
            "refusal",
            "not done, or not known to be done",
            ("0299",),
            Struct("outcome" / Code(1, required=True, log="clear"), "error_code" / Code(8, required=True, log="clear")),
            kind="reply",
        ),
    ],
)
SPEC = compile_family(FAMILY)
CARRIER_SPEC = compile_family(replace(FAMILY, name="carried", carrier="number"))  # sessions may number independently

USUAL = Limits()
POLL, POLL_ANSWER = b"0011HDR REQPOLL", b"0011HDR RESPOLL"


def framed(kind: str, number: int, code: str, company: str, body: bytes) -> bytes:
    telegram = f"{kind}{code}{company}{number:06d}".encode() + body
    return b"%04d" % len(telegram) + telegram


def request(number: int, code: str = "TR", company: str = "C001", body: bytes = b"") -> bytes:
    return framed("0200", number, code, company, body)


def reply(number: int, code: str = "TR", company: str = "C001", body: bytes = b"") -> bytes:
    return framed("0210", number, code, company, body)


def news(number: int, code: str = "TR", body: bytes = b"") -> bytes:
    return framed("0300", number, code, "C001", body)


def requests(*numbers: int, **fields: Any) -> bytes:
    return b"".join(request(number, **fields) for number in numbers)


def replies(*numbers: int, **fields: Any) -> bytes:
    return b"".join(reply(number, **fields) for number in numbers)


class Seen(NamedTuple):
    """A telegram as the test's end got it."""

    kind: str  # "request", "reply", "news", or "not_sent" / "sent_unknown" for a refusal
    number: int
    code: str = ""  # our error code, of a refusal
    body: bytes = b""


_KINDS = {b"0200": "request", b"0210": "reply", b"0300": "news"}
_OUTCOMES = {b"N": "not_sent", b"U": "sent_unknown"}


def seen(frame: bytes) -> Seen:
    telegram = frame[4:]
    if telegram == POLL_ANSWER[4:]:
        return Seen("poll", 999_999)
    number, body = int(telegram[10:16]), telegram[16:]
    if telegram[:4] == b"0299":
        return Seen(_OUTCOMES[body[:1]], number, body[1:].decode().strip())
    return Seen(_KINDS[telegram[:4]], number, body=body)


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """Whole frames of a stream, and the rest."""
    frames = []
    while len(stream) >= 4 and len(stream) >= 4 + (size := int(stream[:4])):
        frames.append(stream[: 4 + size])
        stream = stream[4 + size :]
    return frames, stream


def not_sent(code: str, *numbers: int) -> list[Seen]:
    return [Seen("not_sent", number, code) for number in numbers]


def unknown(code: str, *numbers: int) -> list[Seen]:
    return [Seen("sent_unknown", number, code) for number in numbers]


def answered(*numbers: int) -> list[Seen]:
    return [Seen("reply", number) for number in numbers]


def asked(*numbers: int) -> list[Seen]:
    return [Seen("request", number) for number in numbers]


class MemoryLog:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def _put(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    info = warning = error = _put

    def named(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.lines if name == event]


class End:
    """The test's end of one connection, in telegrams. Under TLS it talks TLS."""

    def __init__(self, world: World, sock: MemorySocket, connection: Connection, tls: TlsLayer | None) -> None:
        self.sock = sock
        self.far: Far = sock.far
        self.connection = connection
        self.tls = tls
        self.writes: list[int] = []  # bytes taken by each send of the hub
        self._world = world
        self._rest = b""

    @property
    def peer(self) -> Peer:
        peer = self.connection.peer
        assert peer is not None
        return peer

    def sends(self, *frames: bytes) -> None:
        """Send, and let the hub turn until it has nothing to do."""
        self.says(*frames)
        self._world.settle()

    def says(self, *frames: bytes) -> None:
        """Send only."""
        data = b"".join(frames)
        if self.tls is None:
            self.far.push(data)
        else:
            self.tls.write(data)
            self.far.push(self.tls.outgoing())

    def got(self) -> list[Seen]:
        """The telegrams that came since the last call."""
        return [seen(frame) for frame in self.got_frames()]

    def got_frames(self) -> list[bytes]:
        frames, self._rest = cut(self._rest + self.plain())
        return frames

    def plain(self) -> bytes:
        data = self.far.got()
        if self.tls is None:
            return data
        self.tls.feed(data)
        if not self.tls.ready:
            self.tls.handshake()
            return b""
        parts = []
        while part := self.tls.read(65_536):
            parts.append(part)
        return b"".join(parts)

    @property
    def torn(self) -> bytes:
        """The beginning of a telegram of which the rest has not come."""
        return self._rest


class World:
    """One listener, its services, and everybody at the other ends."""

    def __init__(
        self,
        services: Mapping[str, Sequence[str]] = {"transfer": ["TR"]},
        *,
        spec: Spec = SPEC,
        kinds: Mapping[str, Kind] = {},
        policies: Mapping[str, ServicePolicy] = {},
        open_exchanges: int = 256,
        limits: Limits = USUAL,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.net = MemoryNet()
        self.now = 1000.0
        self.log = MemoryLog()
        self.switch = Switch()
        self.hub = Hub(self.switch, self.net.poller, clock or (lambda: self.now), self.log)
        self.limits = limits
        self.peers: list[Peer] = []
        self.ends: list[End] = []
        self._reader = Reader(spec, limits.max_frame)
        self.listener = Listener("branches", spec, ListenerPolicy(open_exchanges))
        self.switch.listeners["branches"] = self.listener
        routes = []
        for name, codes in services.items():
            policy = policies.get(name, ServicePolicy(timeout=30.0))
            service = Service(name, kinds.get(name, Kind.TELEGRAM), spec, policy)
            service.set_routes(RouteTable(spec, [Route("to the branches", {}, Audience(self.listener))]))
            self.switch.services[name] = service
            full = service.kind is not Kind.TELEGRAM
            routes.append(Route(name, {"code": Among(frozenset(code.encode() for code in codes))}, service, full))
        self.listener.set_routes(RouteTable(spec, routes))
        # Peers are made by the switch; every one is looked at when the test is over.
        make_session, make_link = self.switch.add_session, self.switch.add_link
        self.switch.add_session = lambda *args: self._noted(make_session(*args))  # type: ignore[method-assign]
        self.switch.add_link = lambda *args: self._noted(make_link(*args))  # type: ignore[method-assign]

    def _noted(self, peer: Peer) -> Peer:
        self.peers.append(peer)
        return peer

    # -- who connects

    def client(self, window: int = 65_536, *, tls: ssl.SSLContext | None = None, trusts: ssl.SSLContext | None = None) -> End:
        """A session. With `tls` (the router's context) and `trusts` (the client's) it talks TLS; the handshake is done."""
        server = TlsLayer(tls, "server") if tls is not None else None
        end = self.dialled(window, is_session=True, tls=server, far_tls=TlsLayer(trusts, "client", "router") if trusts else None)
        end.connection.on_open = lambda connection: setattr(
            connection, "peer", self.switch.add_session(self.listener, connection.name, frozenset())
        )
        self.let_in(end)
        return end

    def host(
        self, service: str = "transfer", window: int = 65_536, *, tls: ssl.SSLContext | None = None, trusts: ssl.SSLContext | None = None
    ) -> End:
        """A link of a telegram service. With `trusts` (the router's context) and `tls` (the host's) it talks TLS."""
        client = TlsLayer(trusts, "client", "router") if trusts is not None else None
        end = self.dialled(window, is_session=False, tls=client, far_tls=TlsLayer(tls, "server") if tls else None)
        end.connection.name = f"{service}#{len(self.ends)}"
        end.connection.on_open = lambda connection: setattr(
            connection, "peer", self.switch.add_link(self.switch.services[service], connection.name, "memory:1")
        )
        self.let_in(end)
        return end

    def dialled(self, window: int, *, is_session: bool, tls: TlsLayer | None = None, far_tls: TlsLayer | None = None) -> End:
        """A connection that the hub does not know yet."""
        sock, _ = self.net.pair(window)
        end = End(self, sock, None, far_tls)  # type: ignore[arg-type]
        count_writes(sock, end.writes)
        name = f"branches#{len(self.ends)}"
        end.connection = TelegramConnection(sock, name, self.limits, self._reader, is_session=is_session, tls=tls)
        self.ends.append(end)
        return end

    def let_in(self, end: End) -> None:
        self.hub.enter(lambda now: self.hub.add(end.connection, now))
        self.settle()
        if end.tls is not None:
            self.shake_hands(end)

    def shake_hands(self, end: End) -> None:
        assert end.tls is not None
        for _ in range(10):
            end.plain()
            end.far.push(end.tls.outgoing())
            self.settle()
        assert end.tls.ready, "no handshake"

    # -- time

    def turn(self) -> bool:
        return self.hub.turn()

    def settle(self) -> None:
        """Turn until there is nothing to do."""
        for _ in range(10_000):
            if not self.hub.turn():
                return
        raise AssertionError("the hub never comes to rest")

    def passes(self, seconds: float) -> None:
        """Let time pass; the ticker looks once."""
        self.now += seconds
        self.tick()

    def tick(self) -> None:
        self.hub.enter(self.hub._tick)
        self.settle()

    # -- looking

    def service(self, name: str = "transfer") -> Service:
        return self.switch.services[name]

    @property
    def bugs(self) -> list[dict[str, object]]:
        return self.log.named("bug")

    def assert_at_rest(self) -> None:
        """Nobody waits for anything: all tables but the connections' own are empty."""
        self.assert_books_agree()
        assert self.switch.idle
        for peer in self.peers:
            assert peer.load == 0 or peer.closed, peer.name
            assert peer.open == 0, peer.name
            assert not peer.outbox, peer.name
        assert not (self.switch.dirty or self.switch.resumed or self.switch.commands)

    def assert_books_agree(self) -> None:
        """What is written down in two places is the same in both."""
        pending = [each for service in self.switch.services.values() for each in service.register.pending.values()]
        pending += [each for listener in self.switch.listeners.values() for each in listener.register.pending.values()]
        assert all(not exchange.settled for exchange in pending)
        for peer in self.peers:
            if not peer.closed:
                assert peer.queued - peer.accepted == sum(map(len, peer.outbox)), peer.name
                given = sum(each.answerer is peer for each in pending) + len(peer.oneway)
                assert peer.load == given, peer.name
        lanes = [each for peer in self.peers for lane in peer.lanes for each in lane.open.values()]
        assert sorted(map(id, lanes)) == sorted(map(id, pending))

    def close(self) -> None:
        """Let everybody go, and see that nothing stays behind."""
        self.assert_books_agree()
        hub, switch = self.hub, self.switch
        hub.clock = lambda: self.now  # trio's has ended with the test
        for connection in list(hub.connections.values()):
            hub.drop(connection, "stopped")
        hub._again.clear()
        hub.flush(hub.clock())
        hub.turn()
        assert self.net.open == 0, "a socket was left open"
        assert not (hub.connections or hub.by_peer or hub._leftover or hub._handshakes or hub._entered)
        assert not self.net.poller._interest
        assert not (switch.dirty or switch.resumed or switch.commands or self.listener.register.pending or switch.events)
        assert not (self.listener.sessions or self.listener.by_owner)
        for service in switch.services.values():
            assert service.kind is Kind.HANDLER or not service.links, service.name
            assert all(exchange.settled for exchange in service.waiting), service.name
            if service.kind is not Kind.HANDLER and not service.waiting:
                assert not service.register.pending, service.name
        for peer in self.peers:
            assert all(not lane.open for lane in peer.lanes), peer.name
            assert not (peer.outbox or peer.oneway), peer.name


def count_writes(sock: MemorySocket, writes: list[int]) -> None:
    """Note the size of every send that took something."""
    send = sock.send

    def counting(data: bytes, /) -> int:
        sent = send(data)
        writes.append(sent)
        return sent

    sock.send = counting  # type: ignore[method-assign]


class SteppedClock:
    """Stands still, but for what calls cost: every `cost(seconds)` moves it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def cost(self, seconds: float) -> None:
        self.now += seconds


async def settled() -> None:
    """All tasks wait: what could happen now has happened."""
    await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def running(world: World) -> AsyncIterator[trio.Nursery]:
    """The hub and its ticker at work; what else the test starts ends with them."""
    async with trio.open_nursery() as nursery:
        await nursery.start(world.hub.run)
        nursery.start_soon(world.hub.keep_time, 0.1)
        yield nursery
        world.hub.stop()
        await settled()
        nursery.cancel_scope.cancel()


class Network:
    """Stands in for `dial`: who can be reached, who was dialled when, and the far ends of what was connected."""

    def __init__(self, world: World) -> None:
        self.reachable: set[str] = set()
        self.dialled: list[tuple[float, str]] = []
        self.ends: dict[str, list[End]] = {}
        self.window = 65_536
        self._world = world

    async def dial(self, backend: Backend) -> MemorySocket:
        await trio.lowlevel.checkpoint()
        self.dialled.append((trio.current_time(), backend.name))
        if backend.name not in self.reachable:
            raise RouterError("E-BCK-10", "cannot connect: refused", where=backend.name)
        sock, _ = self._world.net.pair(self.window)
        end = End(self._world, sock, None, None)  # type: ignore[arg-type]
        count_writes(sock, end.writes)
        self.ends.setdefault(backend.name, []).append(end)
        return sock

    def last(self, name: str) -> End:
        return self.ends[name][-1]

    def times(self, name: str) -> list[float]:
        return [at for at, dialled in self.dialled if dialled == name]


def numbers(telegrams: Iterable[Seen]) -> list[int]:
    return [each.number for each in telegrams]
