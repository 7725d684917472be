"""HTTP services in the hub: pooled keep-alive connections, each a link that carries one request at a time."""

# Rules this file keeps:
#
# 1. A request of which a byte may have left is never sent again.
# 2. A connection is looked at for a waiting end, or stray bytes, just before it is given a request: at most
#    JUST_POLLED seconds ago by the poller, or now. A connection that the poller found readable and not ended has been looked
#    at when a receive has emptied it since.
# 3. Bytes that belong to no request close the connection and pair with nothing.

from __future__ import annotations

import itertools
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

import trio

from telegram_router.errors import BackendError, Delivery, FieldError, RouterError
from telegram_router.routing import Call, Exchange, Peer, Service
from telegram_router.telegrams.json_mapping import JsonMapping
from telegram_router.wire.connection import RECEIVE, Connection, Limits, Socket, Stage
from telegram_router.wire.http import Heads, HttpReply, HttpRequestTemplate, status_error
from telegram_router.wire.hub import Hub, Log
from telegram_router.wire.links import REMOVED, Backend, Outcomes, Pauses, dial
from telegram_router.wire.poller import GONE, HANGUP, READ
from telegram_router.wire.tls import TlsLayer


@dataclass(frozen=True)
class HttpPolicy:
    """How a service is spoken to. `path` may hold {message}."""

    path: str
    host: str
    headers: Mapping[str, str] = field(default_factory=dict)
    definite: frozenset[int] = frozenset()
    max_header: int = 16_384
    max_body: int = 1_048_576
    write_timeout: float = 10.0


class HttpConnection(Connection):
    """One connection with an HTTP service: at most one exchange at a time."""

    __slots__ = ("emptied", "ending", "exchange", "heard_at", "link", "pool", "reply")

    def __init__(self, sock: Socket, name: str, limits: Limits, pool: HttpPool, tls: TlsLayer | None) -> None:
        super().__init__(sock, name, limits, tls)
        self.pool = pool
        self.exchange: Exchange | None = None
        self.link: Peer | None = None  # kept when the connection is closed
        self.events = READ | HANGUP
        self.heard_at = 0.0  # when it was opened, or bytes last came
        self.emptied = False  # the last receive left nothing in the kernel
        self.ending = False  # the poller has said that the other side will send no more than what it has sent
        self.reply = HttpReply(pool.policy.max_header, pool.policy.max_body, pool.heads)

    @property
    def idle_and_sound(self) -> bool:
        """The other side has neither closed nor sent anything since its last answer."""
        if not self.reply.reusable or self.stage is not Stage.OPEN or self.ending:
            return False
        polled_at = self.hub.polled_at
        if (self.heard_at < polled_at or (self.heard_at == polled_at and self.emptied)) and self.hub.just_polled:
            return True  # the poller has looked since, and saw nothing: a system call and an exception are saved
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return self.tls is not None and self.only_tickets()

    def only_tickets(self) -> bool:
        """Under TLS, bytes on an idle connection may be session tickets or a key update; only data would taint it."""
        self.read(self.hub.clock())
        return self.stage is Stage.OPEN and self.reply.reusable

    def ask(self, exchange: Exchange, request: bytes) -> None:
        """Put a request into the outbox. The caller has checked `idle_and_sound`."""
        peer = self.peer
        assert peer is not None
        self.exchange = exchange
        self.reply.expect()
        exchange.offset = peer.queued
        if not peer.outbox:
            self.hub.switch.dirty.append(peer)
        peer.outbox.append(request)
        peer.queued += len(request)

    def ready(self, events: int, now: float) -> None:
        if events & (HANGUP | GONE):
            self.ending = True
        super().ready(events, now)

    def arrived(self, data: bytes, now: float) -> None:
        exchange = self.exchange
        self.heard_at = now
        self.emptied = self.tls is None and len(data) < RECEIVE
        try:
            response = self.reply.feed(data)
        except BackendError as error:
            self.end_with(error, now)
            return
        if response is None:
            if self.reply.tainted:
                self.hub.drop(self, "bytes without a request")
            return
        assert exchange is not None
        self.exchange = None
        if response.keep_alive and not self.unwritten:
            self.pool.answered(exchange, response.status, response.body, now)
            return
        self.retire()
        self.pool.answered(exchange, response.status, response.body, now)
        self.hub.drop(self, "closed after the answer")

    @property
    def unwritten(self) -> bool:
        """The answer came before the request was out: its rest would stand in front of the next one."""
        return bool(self.cipher or (self.peer is not None and self.peer.outbox))

    @property
    def was_of_use(self) -> bool:
        """It has carried at least the first byte of a request."""
        return self.link is not None and self.link.accepted > 0

    def ended(self, now: float) -> None:
        try:
            self.reply.end()
        except BackendError as error:
            self.end_with(error, now)
        else:
            self.hub.drop(self, "closed by the service")

    def end_with(self, error: BackendError, now: float) -> None:
        """No answer will come, and this is why."""
        exchange, self.exchange = self.exchange, None
        self.retire()
        if exchange is not None:
            self.pool.refuse(exchange, error, now)
        self.hub.drop(self, error.code)

    def retire(self) -> None:
        """Before the exchange ends, so that its end does not give this link the next one."""
        if self.peer is not None:
            self.hub.switch.retire(self.peer)


class HttpPool:
    """The connections of one HTTP service. They are dialled when requests wait, up to the policy's number."""

    numbers = itertools.count(1)

    def __init__(
        self, hub: Hub, service: Service, backend: Backend, policy: HttpPolicy, mapping: JsonMapping, outcomes: Outcomes,
        pauses: Pauses, nursery: trio.Nursery, log: Log,
    ) -> None:  # fmt: skip
        self.policy = policy
        self.heads: Heads = {}
        self._hub = hub
        self._service = service
        self._backend = backend
        self._mapping = mapping
        self._outcomes = outcomes
        self._pauses = pauses
        self._nursery = nursery
        self._log = log
        self._dialling = 0
        self._live: set[Connection] = set()
        self._over = False
        self._held_until = 0.0  # no dialling before: the last attempt failed
        self._templates: dict[str, HttpRequestTemplate] = {}
        self._limits = Limits(write_timeout=policy.write_timeout, handshake_timeout=backend.connect_timeout)

    def start(self) -> None:
        """The service takes requests from now on."""
        self._hub.handlers[self._service] = self.call
        self._hub.growers[self._service] = self.grow

    def adopt(self, backend: Backend) -> None:
        """Dial so from now on."""
        self._backend = backend
        self._limits = Limits(write_timeout=self.policy.write_timeout, handshake_timeout=backend.connect_timeout)

    def end(self) -> None:
        """The service is no more: dial no more."""
        self._over = True
        self._hub.growers.pop(self._service, None)

    # --- connections --------------------------------------------------------------------------------------------

    def grow(self) -> None:
        """Requests wait: dial as many more as they need and the policy allows."""
        if self._over or self._hub.clock() < self._held_until:
            return
        wanted = min(self._service.waiting.ready - self._dialling, self._service.policy.max_links - len(self._live) - self._dialling)
        for _ in range(wanted):
            self._dialling += 1
            self._nursery.start_soon(self._dial)

    async def _dial(self) -> None:
        try:
            sock = await dial(self._backend)
        except RouterError as error:
            self._dialling -= 1
            self._outcomes.failed += 1
            self._log.warning("connect_failed", code=error.code, service=self._service.name, **error.parts())
            self._hold()
            return
        connection = HttpConnection(sock, f"{self._service.name}#{next(self.numbers)}", self._limits, self, self._backend.layer())
        connection.on_open, connection.on_closed = self._opened, self._closed
        self._hub.enter(lambda now: self._hub.add(connection, now))

    def _hold(self) -> None:
        """After a failure one attempt at a time, with growing pauses, as long as requests wait."""
        now = self._hub.clock()
        if now >= self._held_until:
            pause = self._pauses.next()
            self._held_until = now + pause
            self._nursery.start_soon(self._grow_after, pause)

    async def _grow_after(self, pause: float) -> None:
        await trio.sleep(pause)
        self._hub.enter(lambda _: self.grow())

    def _opened(self, connection: Connection) -> None:
        assert isinstance(connection, HttpConnection)
        if self._over:
            self._hub.drop(connection, REMOVED)
            return
        self._dialling -= 1
        self._outcomes.connected += 1
        self._outcomes.up += 1
        self._live.add(connection)
        connection.heard_at = connection.opened_at
        connection.peer = connection.link = self._hub.switch.add_link(self._service, connection.name, self._backend.name, self._hub.clock())

    def _closed(self, connection: Connection, reason: str) -> None:
        assert isinstance(connection, HttpConnection)
        connection.reply.close()
        if connection in self._live:
            self._live.remove(connection)
            self._outcomes.up -= 1
        else:
            self._dialling -= 1
            self._outcomes.failed += 1
        if connection.was_of_use:
            self._pauses.reset()
        elif self._service.waiting.ready:  # a handshake that failed, or a door that shuts at once
            self._hold()
        if self._service.waiting.ready:
            self._hub.enter(lambda _: self.grow())

    # --- requests -----------------------------------------------------------------------------------------------

    def call(self, command: Call) -> None:
        """Have an exchange's request written to the link that the switch has chosen."""
        exchange = command.exchange
        if exchange.settled or exchange.answerer is not command.link:
            return  # its link was lost in this very turn, and it waits again
        connection = self._hub.by_peer[command.link]
        assert isinstance(connection, HttpConnection)
        if connection.idle_and_sound:
            connection.ask(exchange, self._request(exchange, self._hub.clock()))
        else:
            self._hub.drop(connection, "closed by the service")  # which puts the exchange, unsent, back into the queue
            self.grow()

    def _request(self, exchange: Exchange, now: float) -> bytes:
        telegram = exchange.telegram
        assert telegram is not None  # HTTP services are always fully validated
        template = self._templates.get(telegram.message.name)
        if template is None:
            path = self.policy.path.replace("{message}", telegram.message.name)
            template = self._templates[telegram.message.name] = HttpRequestTemplate(path, self.policy.host, self.policy.headers)
        left = max(0, int((exchange.at + self._service.register.timeout_of(exchange) - now) * 1000))
        return template.request_bytes(self._mapping.request(telegram), self._hub.switch.trace_of(exchange), left)

    # --- answers ------------------------------------------------------------------------------------------------

    def answered(self, exchange: Exchange, status: int, body: bytes, now: float) -> None:
        """A whole HTTP answer: what its status and its JSON mean."""
        if status != 200:
            error = status_error(status, self.policy.definite)
            if error is not None:
                self.refuse(exchange, error, now)
                return
        assert exchange.telegram is not None
        if exchange.entry.message.reply.message is None:  # one-way: that it was taken is all there is to know
            self._hub.switch.answer(exchange, b"", now)
            return
        try:
            frame = self._mapping.reply_frame(exchange.telegram, body)
        except BackendError as unreadable:
            self.refuse(exchange, unreadable, now)
        except FieldError as unfit:
            self.refuse(exchange, BackendError("E-BCK-06", unfit.text(), Delivery.SENT_UNKNOWN), now)
        else:
            self._hub.switch.answer(exchange, frame, now)

    def refuse(self, exchange: Exchange, error: BackendError, now: float) -> None:
        """There is no answer, and this is why. Asker, answerer and message are those of the line that tells of the exchange's end."""
        self._log.warning(
            "http_answer_refused",
            code=error.code,
            service=self._service.name,
            asker=exchange.asker.name,
            answerer=exchange.answerer and exchange.answerer.name,
            message=exchange.entry.message.name,
            trace=self._hub.switch.trace_of(exchange)[:32].decode("ascii"),
            **error.parts(),
        )
        self._hub.switch.fail(exchange, error.code, error.delivery, now)
