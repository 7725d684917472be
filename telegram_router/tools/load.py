"""Load on a listener: many connections, each request under a number of its own, every answer held against what was asked."""

# Rules this file keeps, all of them tested:
#
# 1. In an open loop a latency counts from the time at which the request was planned, whatever the sender was busy with.
# 2. Every request ends in one of answered, missing, lost and not sent; their sum is what was planned. What comes twice, late or
#    unasked is counted beside them.
# 3. No timer and no task for a request: one loop over one epoll.

from __future__ import annotations

import errno
import math
import random
import select
import socket
import ssl
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from telegram_router.errors import FramingError
from telegram_router.telegrams import Spec
from telegram_router.tools.latency import Latency
from telegram_router.tools.load_telegrams import Requests

CHUNK: Final = 256 * 1024
AT_ONCE: Final = 1 << 30
UNSENT_AT_MOST: Final = 1 << 20  # bytes of one connection that the kernel did not take; beyond it the next request is held
TICK: Final = 0.05  # seconds between two looks at what is missing
CODES_COUNTED: Final = 1_000
LATE_KNOWN: Final = 100_000  # numbers of requests that were given up, so that a late answer is known as one


@dataclass(frozen=True)
class Plan:
    """How much load. `rate`: requests a second in all, in an open loop; None: as fast as `window` allows."""

    host: str
    port: int
    clients: int = 10
    window: int = 1  # unanswered requests of one connection; in an open loop the most
    rate: float | None = None
    poisson: bool = False
    count: int | None = None
    seconds: float | None = 10.0
    timeout: float = 30.0
    seed: int = 0
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


@dataclass
class Tally:
    """What became of the requests."""

    planned: int = 0
    sent: int = 0
    answered: int = 0
    missing: int = 0  # not answered within the timeout
    lost: int = 0  # their connection ended before the answer
    not_sent: int = 0
    late: int = 0  # answers to requests that had been given up
    duplicates: int = 0
    unexpected: int = 0
    unreadable: int = 0  # connections whose answers could not be cut
    refused: int = 0  # connections that could not be made, or ended
    held: int = 0  # requests that were due and had to wait for room in the window
    codes: dict[str, int] = field(default_factory=dict)  # answers by response code
    latency: Latency = field(default_factory=Latency)  # from the planned time
    service: Latency = field(default_factory=Latency)  # from when it was really sent
    lag: Latency = field(default_factory=Latency)  # from planned to sent
    seconds: float = 0.0

    @property
    def sums(self) -> bool:
        return self.planned == self.answered + self.missing + self.lost + self.not_sent

    @property
    def good(self) -> bool:
        """Every request was answered once and nothing came that was not asked."""
        return self.sums and not (
            self.missing or self.lost or self.not_sent or self.late or self.duplicates or self.unexpected or self.unreadable
        )

    def as_object(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, Latency)}
        rate = self.answered / self.seconds if self.seconds else 0.0
        return plain | {
            "seconds": round(self.seconds, 3), "rate": round(rate, 1), "sums": self.sums,
            "latency": self.latency.as_object(), "service": self.service.as_object(), "lag": self.lag.as_object(),
        }  # fmt: skip


class _Client:
    """One connection."""

    __slots__ = ("answered_late", "buffer", "closed", "incoming", "outgoing", "pending", "secure", "sock", "unsent", "want_write")

    def __init__(self, sock: socket.socket, secure: ssl.SSLObject | None, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.sock = sock
        self.secure = secure
        self.incoming, self.outgoing = incoming, outgoing
        self.buffer = b""
        self.unsent = b""
        self.pending: dict[Hashable, tuple[float, float]] = {}  # key -> (planned, sent), oldest first
        self.answered_late: dict[Hashable, None] = {}  # keys that were given up, at most LATE_KNOWN
        self.closed = False
        self.want_write = False


class Load:
    """One run. `step` is called about twenty times a second, for whoever shows how it goes; it may set `stopping`."""

    def __init__(self, plan: Plan, requests: Requests, step: Callable[[Load], None] = lambda load: None) -> None:
        self.plan, self.requests = plan, requests
        self.tally = Tally()
        self.stopping = False  # send no more, and wait for what is owed
        self.ending = False  # wait for nothing
        self._step = step
        self._spec: Spec = requests.spec
        self._cut = self._spec.framing.cutter(min(self._spec.header_size, 1), (), 1 << 20)
        self._code = _code_place(self._spec)
        self._key = self._spec.correlate
        self._poll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._ring: list[_Client] = []  # the same, in the order in which an open loop takes them
        self._next = 0
        self._due: Iterator[float] = iter(())
        self._waiting: float | None = None  # when the next request of an open loop is due
        self._began = 0.0
        self._chance = random.Random(plan.seed)  # a schedule, no secret
        self._turn = 0

    @property
    def in_flight(self) -> int:
        return sum(len(client.pending) for client in self._clients.values())

    def run(self) -> Tally:
        """Connect, send, wait for what is owed. Raises OSError where no connection can be made."""
        try:
            for _ in range(self.plan.clients):
                client = self._connect()
                self._clients[client.sock.fileno()] = client
                self._ring.append(client)
                self._poll.register(client.sock, select.EPOLLIN)
            self._began = time.perf_counter()
            self._due = self._schedule()
            self._waiting = next(self._due, None)
            self._serve()
            self.tally.seconds = time.perf_counter() - self._began
        finally:
            for client in self._clients.values():
                client.sock.close()
            self._poll.close()
        return self.tally

    # --- when

    def _schedule(self) -> Iterator[float]:
        """Times of an open loop, in seconds from the beginning."""
        rate = self.plan.rate
        if rate is None:
            return
        at, number = 0.0, 0
        while (self.plan.count is None or number < self.plan.count) and (self.plan.seconds is None or at < self.plan.seconds):
            yield at
            number += 1
            at = at - math.log(1.0 - self._chance.random()) / rate if self.plan.poisson else number / rate

    def _more(self, now: float) -> bool:
        """Whether a closed loop sends another."""
        if self.stopping or (self.plan.count is not None and self._next >= self.plan.count):
            return False
        return self.plan.seconds is None or now - self._began < self.plan.seconds

    @property
    def _over(self) -> bool:
        """Whether nothing more is to be sent."""
        if self.plan.rate is None:
            return not self._more(time.perf_counter())
        return self._waiting is None or self.stopping

    # --- the loop

    def _serve(self) -> None:
        closed_loop = self.plan.rate is None
        if closed_loop:
            for client in list(self._clients.values()):
                self._fill(client, time.perf_counter())
        shown = time.perf_counter()
        while True:
            now = time.perf_counter()
            if not closed_loop:
                self._send_due(now)
            if not self._clients or self.ending or (self._over and not self.in_flight):
                break
            for number, event in self._poll.poll(self._patience(now)):
                ready = self._clients.get(number)
                if ready is None:
                    continue
                if event & select.EPOLLOUT:
                    self._flush(ready)
                if event & ~select.EPOLLOUT and not ready.closed:
                    self._receive(ready)
                if closed_loop and not ready.closed:
                    self._fill(ready, time.perf_counter())
            now = time.perf_counter()
            if now - shown >= TICK:
                shown = now
                self._give_up(now)
                if closed_loop:  # who got no answer has room again, and nothing that would wake it
                    for client in [each for each in self._ring if len(each.pending) < self.plan.window]:
                        self._fill(client, now)
                self._step(self)
        self.tally.lost += self.in_flight
        while self._waiting is not None and not closed_loop:  # what was planned and not sent any more
            self.tally.planned += 1
            self.tally.not_sent += 1
            self._waiting = None if self.stopping else next(self._due, None)

    def _patience(self, now: float) -> float:
        if self._waiting is None or self.stopping:
            return TICK
        return min(max(self._began + self._waiting - now, 0.0), TICK)

    def _fill(self, client: _Client, now: float) -> None:
        """Send as many as the window has room for, in one write."""
        room = self.plan.window - len(client.pending)
        if room <= 0 or len(client.unsent) > UNSENT_AT_MOST or not self._more(now):
            return
        if self.plan.count is not None:
            room = min(room, self.plan.count - self._next)
        frames, first = [], self._next
        pending, frame_of, key_of = client.pending, self.requests.frame, self._key
        times = (now, now)
        for number in range(first, first + room):
            frame = frame_of(number)
            frames.append(frame)
            pending[key_of(frame)] = times
        self._next = first + room
        self.tally.planned += room
        self.tally.sent += room
        self._write(client, b"".join(frames))

    def _send_due(self, now: float) -> None:
        """All that is due, spread over the connections that have room. Nothing is skipped: what finds no room is held."""
        outgoing: dict[_Client, list[bytes]] = {}
        while self._waiting is not None and not self.stopping and self._began + self._waiting <= now:
            roomy = self._roomy()
            if roomy is None:
                self.tally.held += 1
                break
            planned = self._began + self._waiting
            frame = self.requests.frame(self._next)
            self._next += 1
            self.tally.planned += 1
            self.tally.sent += 1
            roomy.pending[self._key(frame)] = (planned, now)
            self.tally.lag.add(int((now - planned) * 1e9))
            outgoing.setdefault(roomy, []).append(frame)
            self._waiting = next(self._due, None)
        for chosen, frames in outgoing.items():
            self._write(chosen, b"".join(frames))

    def _roomy(self) -> _Client | None:
        every = self._ring
        for offset in range(len(every)):
            client = every[(self._turn + offset) % len(every)]
            if len(client.pending) < self.plan.window and len(client.unsent) <= UNSENT_AT_MOST:
                self._turn = (self._turn + offset + 1) % len(every)
                return client
        return None

    # --- answers

    def _receive(self, client: _Client) -> None:
        data = self._read(client)
        if not data:
            if data is not None:
                self._lose(client)
            return
        if client.buffer:
            data = client.buffer + data
        try:
            frames, stop = self._cut(data, 0, AT_ONCE)
        except FramingError:
            self.tally.unreadable += 1
            self._lose(client)
            return
        client.buffer = data[stop:]
        now = time.perf_counter()
        pending, key_of, place = client.pending, self._key, self._code
        alike: tuple[float, float] | None = None
        count = 0
        for frame in frames:
            times = pending.pop(key_of(frame), None)
            if times is None:
                self._strange(client, frame)
                continue
            if times is not alike:
                if alike is not None:
                    self._count(alike, now, count)
                alike, count = times, 0
            count += 1
            if place is not None:
                self._code_of(frame[place])
        if alike is not None:
            self._count(alike, now, count)

    def _count(self, times: tuple[float, float], now: float, count: int) -> None:
        planned, sent = times
        self.tally.answered += count
        self.tally.latency.add(int((now - planned) * 1e9), count)
        if self.plan.rate is not None:
            self.tally.service.add(int((now - sent) * 1e9), count)

    def _code_of(self, raw: bytes) -> None:
        codes = self.tally.codes
        code = raw.decode("ascii", "replace")
        if code in codes or len(codes) < CODES_COUNTED:
            codes[code] = codes.get(code, 0) + 1

    def _strange(self, client: _Client, frame: bytes) -> None:
        """An answer that nobody waits for: late, a second one, or to nothing that was asked. Polls are answered."""
        if self._spec.is_poll(frame):
            answer = self._spec.poll_answer(frame)
            if answer is not None:
                self._write(client, answer)
            return
        key = self._key(frame) if len(frame) >= self._spec.framing.prefix + self._spec.header_size else None
        if key in client.answered_late:
            del client.answered_late[key]
            self.tally.late += 1
            return
        number = self.requests.number_of(frame)
        if number is not None and number < self._next % self.requests.numbers:
            self.tally.duplicates += 1
        else:
            self.tally.unexpected += 1

    def _give_up(self, now: float) -> None:
        """Wait no longer for what is older than the timeout; its answer, if it comes, is late."""
        for client in self._clients.values():
            pending = client.pending
            for key, (_, sent) in list(pending.items())[: len(pending)]:
                if now - sent < self.plan.timeout:
                    break
                del pending[key]
                self.tally.missing += 1
                client.answered_late[key] = None
                if len(client.answered_late) > LATE_KNOWN:
                    del client.answered_late[next(iter(client.answered_late))]

    def _lose(self, client: _Client) -> None:
        client.closed = True
        self.tally.refused += 1
        self.tally.lost += len(client.pending)
        del self._clients[client.sock.fileno()]
        self._ring.remove(client)
        self._poll.unregister(client.sock)
        client.sock.close()

    # --- bytes

    def _connect(self) -> _Client:
        sock = socket.create_connection((self.plan.host, self.plan.port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = None
        if self.plan.tls is not None:
            secure = self.plan.tls.wrap_bio(incoming, outgoing, server_hostname=self.plan.server_name or self.plan.host)
            try:
                _handshake(sock, secure, incoming, outgoing)
            except OSError:
                sock.close()
                raise
        sock.setblocking(False)
        return _Client(sock, secure, incoming, outgoing)

    def _read(self, client: _Client) -> bytes | None:
        """Bytes, b"" at the end, None where there are none yet."""
        try:
            data = client.sock.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        if client.secure is None or not data:
            return data
        client.incoming.write(data)
        found = []
        try:
            while piece := client.secure.read(CHUNK):
                found.append(piece)
            return b"".join(found)
        except ssl.SSLWantReadError:
            return b"".join(found) or None
        except ssl.SSLError:
            return b""

    def _write(self, client: _Client, data: bytes) -> None:
        if client.secure is not None:
            client.secure.write(data)
            data = client.outgoing.read()
        client.unsent = client.unsent + data if client.unsent else data
        self._flush(client)

    def _flush(self, client: _Client) -> None:
        try:
            taken = client.sock.send(client.unsent) if client.unsent else 0
        except BlockingIOError:
            taken = 0
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                return  # reading will tell
            raise
        client.unsent = client.unsent[taken:]
        wants = bool(client.unsent)
        if wants != client.want_write:
            client.want_write = wants
            self._poll.modify(client.sock, select.EPOLLIN | (select.EPOLLOUT if wants else 0))


def _handshake(sock: socket.socket, secure: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    while True:
        try:
            secure.do_handshake()
            sock.sendall(outgoing.read())
            return
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            data = sock.recv(CHUNK)
            if not data:
                raise ConnectionError("closed during the TLS handshake") from None
            incoming.write(data)


def _code_place(spec: Spec) -> slice | None:
    """Where an answer says how it went."""
    errors = spec.family.errors
    if errors is None or not errors.field.startswith("header."):
        return None
    return spec.header_slice(errors.field.removeprefix("header."))
