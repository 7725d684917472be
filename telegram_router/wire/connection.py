"""One socket of the hub: bytes in, through TLS where it is spoken, and one write for all that a turn left in its outbox."""

# Rules this file keeps:
#
# 1. `peer.accepted` grows by what the kernel has taken; under TLS by what has been encrypted, so at most
#    ENCRYPT_AHEAD bytes are encrypted before the kernel has taken what was encrypted before.
# 2. Bytes that wait are bounded: one receive of RECEIVE bytes that were not looked at yet, and the outbox by the switch.
# 3. A connection's stage only goes forward. What is closed is touched by nobody again.

from __future__ import annotations

import enum
import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from telegram_router.errors import RouterError
from telegram_router.routing import Listener
from telegram_router.wire.poller import GONE, HANGUP, READ, WRITE

if TYPE_CHECKING:
    from telegram_router.routing import Peer
    from telegram_router.wire.hub import Hub
    from telegram_router.wire.tls import TlsLayer

RECEIVE = 65_536
ENCRYPT_AHEAD = 16_384
WRITE_AT_ONCE = 262_144
SALVAGE_READS = 16
LINGER = 1.0
HANDSHAKE_IN_ALL = 4  # times handshake_timeout: the end of a handshake however long it waited for us


class Socket(Protocol):
    """What the hub needs of a non-blocking socket."""

    def fileno(self) -> int: ...

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...

    def send(self, data: bytes, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Stage(enum.Enum):
    """A connection goes down this list and never back."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    FINISHING = "finishing"  # reads no more; answers still go out
    LINGERING = "lingering"  # all is written and our side shut; what still comes is thrown away
    CLOSED = "closed"


@dataclass(frozen=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    frame_timeout: float = 10.0
    write_timeout: float = 10.0
    handshake_timeout: float = 5.0
    unread: int = 262_144  # unwritten answers at which a session is read no more
    max_frame: int = 65_536
    keepalive: float = 30.0  # silence after which the kernel asks for the other side; 0: never


class Connection:
    """What sessions, telegram links and HTTP links have in common: TLS, writing, deadlines, closing.

    `on_open` is called once the connection is there (after the handshake), `on_ready` when a link's sign-on has been accepted,
    `on_closed` once with the reason.
    """

    __slots__ = (
        "backlogged", "cipher", "events", "fd", "finish_code", "handshake_due", "handshake_end", "hub", "limits", "linger_until", "name", "on_closed", "on_open", "on_ready",
        "opened_at", "peer", "queued_at", "recv", "send", "shaking", "sock", "stage", "stalled_since", "tls",
    )  # fmt: skip

    def __init__(self, sock: Socket, name: str, limits: Limits, tls: TlsLayer | None = None) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.recv = sock.recv
        self.send = sock.send
        self.name = name
        self.limits = limits
        self.tls = tls
        self.stage = Stage.HANDSHAKE if tls is not None else Stage.OPEN
        self.events = READ
        self.cipher = b""  # encrypted, not yet taken by the kernel
        self.backlogged = False  # holds received bytes that may make whole frames; they go first
        self.shaking = False  # waits in the hub for its next handshake step
        self.stalled_since: float | None = None
        self.handshake_due = 0.0  # the peer has used up its time, our own delays not counted
        self.handshake_end = 0.0
        self.queued_at = 0.0  # since when it waits for its next handshake step
        self.linger_until = 0.0
        self.opened_at = 0.0
        self.finish_code = ""
        self.peer: Peer | None = None
        self.hub: Hub = None  # type: ignore[assignment]  # set by Hub.add before anything else can happen
        self.on_open: Callable[[Connection], None] | None = None
        self.on_ready: Callable[[Connection], None] | None = None
        self.on_closed: Callable[[Connection, str], None] | None = None

    # --- what the kinds of connection add ---------------------------------------------------------------------

    def arrived(self, data: bytes, now: float) -> None:
        """Plain bytes from the peer."""
        raise NotImplementedError

    def ended(self, now: float) -> None:
        """The peer will send no more."""
        raise NotImplementedError

    def more(self, now: float) -> None:
        """Go on with what was received and not looked at yet."""

    def overdue(self, now: float) -> RouterError | None:
        """A deadline of this kind of connection that has passed."""
        return None

    # --- reading ------------------------------------------------------------------------------------------------

    def ready(self, events: int, now: float) -> None:
        """One step of a turn: at most one receive, at most one write."""
        if events & WRITE:
            if self.hub.tap_out is not None and self.peer is not None:
                self.hub.tap_out([self.peer], now)  # an earlier step of this turn may have put something into its outbox
            self.flush(now)
        if self.stage is Stage.CLOSED:
            return
        if self.events & READ:
            self.read(now)
        else:  # paused or finishing: only the end of the peer was waited for
            self.hung_up(events)

    def read(self, now: float) -> None:
        if self.events & READ == 0:  # it was ready when this turn began, and has been paused or finished since
            return
        if self.shaking:  # what came before waits for its handshake step; the kernel keeps the rest
            return
        try:
            data = self.recv(RECEIVE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.hub.drop(self, reason_of(error))
            return
        if self.stage is Stage.LINGERING:
            if not data:
                self.hub.drop(self, self.finish_code)
        elif self.tls is not None:
            self.unwrap(data, now)
        elif data:
            self.arrived(data, now)
        else:
            self.ended(now)

    def hung_up(self, events: int) -> None:
        """The end of the peer while nothing is read. A half-closed peer may still want its answers; a reset one may not."""
        if events & GONE:
            self.hub.drop(self, self.finish_code or "reset by the peer")
        elif events & HANGUP:
            self.hub.watch(self, self.events & ~HANGUP)

    def unwrap(self, data: bytes, now: float) -> None:
        """Cipher bytes from the kernel, through TLS, to `arrived`."""
        tls = self.tls
        assert tls is not None
        try:
            tls.feed(data) if data else tls.end()
        except RouterError as error:
            self.hub.drop(self, error.code, error)
            return
        if self.stage is Stage.HANDSHAKE:
            self.hub.queue_handshake(self, now)
            return
        self.decrypt(now)
        if not data and self.reads_on and not tls.more:
            self.ended(now)

    @property
    def reads_on(self) -> bool:
        """All that was plain has been handed on, and there is room for more."""
        return self.stage is Stage.OPEN and not self.backlogged and self.events & READ != 0

    def decrypt(self, now: float) -> None:
        tls = self.tls
        assert tls is not None
        try:
            plain = tls.read(RECEIVE)
        except RouterError as error:
            self.send_alert()
            self.hub.drop(self, error.code, error)
            return
        if plain:
            self.arrived(plain, now)
        if not self.reads_on:  # then `go_on` comes here again
            return
        if tls.more:
            self.hub.again(self)
        elif tls.closed:
            self.ended(now)

    def go_on(self, now: float) -> None:
        """The next step with bytes that were received earlier: first what is plain already."""
        self.more(now)
        if self.tls is not None and self.reads_on:
            self.decrypt(now)

    def shake(self, now: float) -> None:
        """One step of the TLS handshake."""
        tls = self.tls
        assert tls is not None
        try:
            done = tls.handshake()
        except RouterError as error:
            self.send_alert()
            self.hub.drop(self, error.code, error)
            return
        self.handshake_due = min(self.handshake_due + now - self.queued_at, self.handshake_end)
        self.flush(now)
        if done and self.stage is Stage.HANDSHAKE:
            self.stage = Stage.OPEN
            self.hub.opened(self, now)
            self.decrypt(now)

    def send_alert(self) -> None:
        """Tell the peer why, or that this is the end, if the kernel takes it at once."""
        assert self.tls is not None
        try:
            self.send(self.cipher + self.tls.outgoing())
        except OSError:
            pass

    # --- writing ------------------------------------------------------------------------------------------------

    def flush(self, now: float) -> None:
        """Write what the outbox holds, as far as the kernel takes it."""
        if self.tls is not None:
            self.flush_tls(now)
            return
        peer = self.peer
        if peer is None or not peer.outbox:
            self.written(now)
            return
        outbox = peer.outbox
        data = outbox[0] if len(outbox) == 1 else b"".join(outbox)
        if len(data) > WRITE_AT_ONCE:
            data = data[:WRITE_AT_ONCE]
        try:
            sent = self.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.write_failed(error, now)
            return
        peer.accepted += sent
        peer.group.bytes_out += sent
        if peer.accepted == peer.queued:
            peer.group.frames_out += len(outbox)
            outbox.clear()
            if self.events & WRITE or self.stalled_since is not None or self.stage is not Stage.OPEN or peer.paused:
                self.written(now)
        else:
            peer.group.frames_out += cut_front(outbox, sent)
            self.stalled(now, progress=sent > 0)

    def flush_tls(self, now: float) -> None:
        tls = self.tls
        assert tls is not None
        peer = self.peer
        while True:
            cipher = self.cipher + tls.outgoing()
            if not cipher and peer is not None and peer.outbox and self.stage is not Stage.HANDSHAKE:
                before = len(peer.outbox)
                plain = take_front(peer.outbox, ENCRYPT_AHEAD)
                peer.group.bytes_out += len(plain)
                peer.group.frames_out += before - len(peer.outbox)
                peer.accepted += len(plain)  # from here on nobody can say that it was not sent
                tls.write(plain)
                cipher = tls.outgoing()
            if not cipher:
                self.cipher = b""
                self.written(now)
                return
            try:
                sent = self.send(cipher)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self.write_failed(error, now)
                return
            self.cipher = cipher[sent:]
            if self.cipher:
                self.stalled(now, progress=sent > 0)
                return

    def stalled(self, now: float, *, progress: bool) -> None:
        if progress or self.stalled_since is None:
            self.stalled_since = now
        if not self.events & WRITE:
            self.hub.watch(self, self.events | WRITE)

    def written(self, now: float) -> None:
        """Everything is out."""
        self.stalled_since = None
        if self.events & WRITE:
            self.hub.watch(self, self.events & ~WRITE)
        if self.stage is Stage.FINISHING:
            self.close_when_done(now)
        elif self.peer is not None and self.peer.paused:
            self.hub.switch.resumed.append(self.peer)

    def write_failed(self, error: OSError, now: float) -> None:
        """The peer is gone, but what it sent before may hold answers: read that first."""
        self.stalled_since = now
        for _ in range(SALVAGE_READS):
            if self.stage is not Stage.OPEN or self.events & READ == 0:
                break
            try:
                data = self.recv(RECEIVE)
            except OSError:
                break
            if not data:
                break
            if self.tls is None:
                self.arrived(data, now)
            else:
                self.unwrap(data, now)
            while self.backlogged or (self.tls is not None and self.tls.more and self.reads_on):
                self.go_on(now)
        if self.stage is not Stage.CLOSED:
            self.hub.drop(self, reason_of(error))

    # --- ending -------------------------------------------------------------------------------------------------

    def finish(self, code: str, now: float) -> None:
        """Read no more; close when what is open has been answered and written."""
        if self.stage is not Stage.OPEN:
            return
        self.read_no_more(code)
        self.close_when_done(now)

    def read_no_more(self, code: str) -> None:
        """Answers still go out; what hosts ask goes to other sessions."""
        self.stage = Stage.FINISHING
        self.finish_code = code
        self.hub.watch(self, self.events & WRITE)
        if self.peer is not None and isinstance(self.peer.group, Listener):
            self.peer.group.part_with(self.peer)

    def close_when_done(self, now: float) -> None:
        peer = self.peer
        if peer is not None and (peer.outbox or peer.open or self.cipher):
            return
        # Closing with unread bytes in the kernel sends RST, which can overtake our last answers: shut, then drain.
        if self.tls is not None:
            self.tls.goodbye()
            self.send_alert()
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.hub.drop(self, self.finish_code)
            return
        self.stage = Stage.LINGERING
        self.linger_until = now + LINGER
        self.hub.watch(self, READ)

    def due(self, now: float) -> tuple[str, RouterError | None] | None:
        """Why this connection must be closed now, if it must."""
        limits = self.limits
        if self.stage is Stage.FINISHING:  # what was open may have ended without a word to write
            self.close_when_done(now)
        if self.stage is Stage.HANDSHAKE and now >= (self.handshake_end if self.shaking else self.handshake_due):
            assert self.tls is not None
            return "E-TLS-08", self.tls.late(limits.handshake_timeout)
        if self.stage is Stage.LINGERING and now >= self.linger_until:
            return self.finish_code, None
        if self.stalled_since is not None and now >= self.stalled_since + limits.write_timeout:
            return "E-LIM-06", RouterError("E-LIM-06", "nothing could be written in time", where=self.name)
        error = self.overdue(now)
        return (error.code, error) if error is not None else None


def cut_front(outbox: list[bytes], sent: int) -> int:
    """Drop the first `sent` bytes of the frames in an outbox; returns how many frames went whole."""
    index = 0
    while index < len(outbox) and sent >= len(outbox[index]):
        sent -= len(outbox[index])
        index += 1
    del outbox[:index]
    if sent:
        outbox[0] = outbox[0][sent:]
    return index


def take_front(outbox: list[bytes], size: int) -> bytes:
    """Take up to `size` bytes off the front of an outbox."""
    if len(outbox) == 1 and len(outbox[0]) <= size:
        return outbox.pop()
    index = total = 0
    while index < len(outbox) and total < size:
        total += len(outbox[index])
        index += 1
    data = b"".join(outbox[:index])[:size]
    cut_front(outbox, len(data))
    return data


def reason_of(error: OSError) -> str:
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return "reset by the peer"
    if error.errno == errno.ETIMEDOUT:
        return "no sign of the peer"
    return errno.errorcode.get(error.errno or 0, "lost")
