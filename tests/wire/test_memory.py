"""The network in memory, held against real TCP sockets and a real epoll, and where the kernel is vague, against its own promises."""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable
from typing import Protocol

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from telegram_router.wire.memory import MemoryNet, MemorySocket
from telegram_router.wire.poller import GONE, HANGUP, READ, WRITE, EpollPoller

ALL = READ | WRITE | HANGUP


class World(Protocol):
    """One connection and what a test may do to it."""

    sock: MemorySocket | socket.socket

    def state(self) -> tuple[int, int, int]:
        """Ready events, bytes that the hub's end can read, bytes that the far end can read (0 once it has closed)."""
        ...

    def far(self, action: str, data: bytes = b"") -> bytes | None: ...


def unread(sock: socket.socket) -> int:
    if sock.fileno() < 0:
        return 0
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


class InMemory:
    def __init__(self) -> None:
        self.net = MemoryNet()
        self.sock, self._far = self.net.pair()
        self.poller = self.net.poller
        self.poller.register(self.sock.fileno(), ALL)
        self._far_closed = False

    def state(self) -> tuple[int, int, int]:
        return dict(self.poller.poll(10)).get(self.sock.fileno(), 0), self._far.unread, 0 if self._far_closed else len(self._far.peek())

    def far(self, action: str, data: bytes = b"") -> bytes | None:
        self._far_closed = self._far_closed or action in ("reset", "close")
        if action == "sends":
            self._far.sends(data)
            return None
        if action == "got":
            return self._far.got()
        getattr(self._far, action)()
        return None


class InKernel:
    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._far = socket.create_connection(server.getsockname())
            self.sock, _ = server.accept()
        for sock in (self._far, self.sock):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poller = EpollPoller()
        self.poller.register(self.sock.fileno(), ALL)

    def state(self) -> tuple[int, int, int]:
        return dict(self.poller.poll(10)).get(self.sock.fileno(), 0), unread(self.sock), unread(self._far)

    def far(self, action: str, data: bytes = b"") -> bytes | None:
        if action == "sends":
            self._far.send(data)
        elif action == "got":
            try:
                return self._far.recv(65_536)
            except OSError:
                return b""
        elif action == "fin":
            self._far.shutdown(socket.SHUT_WR)
        elif action == "reset":
            self._far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._far.close()
        elif action == "close":
            self._far.close()
        return None

    def __enter__(self) -> InKernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.poller.close()
        self.sock.close()
        self._far.close()


Step = tuple[str, bytes]


def do(world: World, step: Step) -> object:
    """The outcome of one step, comparable between the two worlds."""
    action, data = step
    try:
        match action:
            case "recv":
                return world.sock.recv(2)
            case "recv all":
                return world.sock.recv(65_536)
            case "peek":
                return world.sock.recv(65_536, socket.MSG_PEEK)
            case "send":
                return world.sock.send(data)
            case "shut":
                return world.sock.shutdown(socket.SHUT_WR)
            case _:
                return world.far(action, data)
    except OSError as error:
        return type(error), error.errno


def compare(script: list[Step]) -> None:
    memory = InMemory()
    with InKernel() as kernel:
        for number, step in enumerate(script):
            expected, seen = do(memory, step), do(kernel, step)
            assert seen == expected, (number, step)
            # The kernel may need a moment to carry a packet over the loopback, so it is asked until it agrees.
            deadline = time.monotonic() + 1
            while (state := kernel.state()) != memory.state() and time.monotonic() < deadline:
                pass
            assert state == memory.state(), (number, step)


SCRIPTS: dict[str, list[str]] = {
    "nothing happens": ["recv", "peek", "got"],
    "bytes both ways": ["sends", "peek", "recv", "recv", "recv", "recv", "send", "send", "got"],
    "a half-close": ["sends", "fin", "recv all", "recv", "recv", "send", "got", "shut", "recv", "send"],
    "we shut first": ["shut", "send", "sends", "recv all", "recv", "fin", "recv", "shut"],
    "a reset": ["reset", "recv", "recv", "send", "shut"],
    "a reset seen by a write": ["reset", "send", "send", "recv"],
    "a reset behind bytes": ["sends", "reset", "recv", "recv", "recv", "recv", "send"],
    "a reset behind a half-close": ["fin", "recv", "reset", "recv", "send", "send", "recv", "shut"],
    "a reset while bytes lie unread and end follows": ["sends", "fin", "reset", "recv all", "recv", "send", "send"],
    "a close, then a write": ["close", "recv", "send", "recv", "send", "send", "recv", "shut"],
    "a close behind bytes, then a write": ["sends", "close", "send", "recv all", "recv", "send"],
    "a close with our bytes unread is a reset": ["send", "close", "recv", "recv", "send"],
    "a close after we shut": ["shut", "close", "recv", "send", "shut"],
    "a reset after both have shut": ["fin", "shut", "reset", "recv", "send"],
    "shut twice": ["shut", "shut", "recv"],
}


def steps(names: list[str]) -> list[Step]:
    return [(name, b"abcde" if name in ("send", "sends") else b"") for name in names]


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_behaves_as_tcp_and_epoll_do(name: str) -> None:
    compare(steps(SCRIPTS[name]))


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """Anything in any order, save what the far end's own program could not do after it has closed."""
    script: list[Step] = []
    far = ["sends", "got", "fin", "reset", "close"]
    for _ in range(draw(st.integers(1, 10))):
        name = draw(st.sampled_from(["recv", "recv all", "peek", "send", "shut", *far]))
        script.append((name, draw(st.binary(min_size=1, max_size=5)) if name in ("send", "sends") else b""))
        if name in ("reset", "close"):
            far = []
        elif name == "fin":
            far = [action for action in far if action not in ("sends", "fin")]
    return script


@settings(deadline=None)
@given(script=scripts())
def test_any_script_ends_as_in_the_kernel(script: list[Step]) -> None:
    compare(script)


# -- the poller


def test_it_refuses_what_epoll_refuses() -> None:
    memory = InMemory()
    with InKernel() as kernel:
        for world in (memory, kernel):
            fd = world.sock.fileno()
            with pytest.raises(FileExistsError):
                world.poller.register(fd, READ)
            world.poller.unregister(fd)
            for change in (
                lambda world=world, fd=fd: world.poller.unregister(fd),
                lambda world=world, fd=fd: world.poller.modify(fd, READ),
            ):
                with pytest.raises(FileNotFoundError):
                    change()
            world.poller.register(fd, READ)
            world.sock.close()
            assert world.sock.fileno() == -1 and world.poller.poll(10) == []
            with pytest.raises(OSError, match="Bad file descriptor"):
                world.poller.unregister(fd)
            for call in (lambda world=world: world.sock.recv(1), lambda world=world: world.sock.send(b"x")):
                with pytest.raises(OSError, match="Bad file descriptor"):
                    call()
            world.sock.close()
    memory.poller.close()
    with pytest.raises(ValueError, match="closed"):
        memory.poller.poll(10)
    with pytest.raises(ValueError, match="closed"):
        memory.poller.register(1, READ)


def test_only_what_was_asked_for_is_reported_and_hangups_always() -> None:
    net = MemoryNet()
    sock, far = net.pair()
    net.poller.register(sock.fileno(), WRITE)
    far.sends(b"x")
    far.fin()
    assert net.poller.poll(10) == [(sock.fileno(), WRITE)]
    net.poller.modify(sock.fileno(), HANGUP)
    assert net.poller.poll(10) == [(sock.fileno(), HANGUP)]
    net.poller.modify(sock.fileno(), 0)
    assert net.poller.poll(10) == []
    far.reset()
    assert net.poller.poll(10) == [(sock.fileno(), GONE)]


def test_a_limit_starves_nobody() -> None:
    net = MemoryNet()
    fds = []
    for _ in range(5):
        sock, far = net.pair()
        far.sends(b"x")
        net.poller.register(sock.fileno(), READ)
        fds.append(sock.fileno())
    seen = [fd for _ in range(5) for fd, _ in net.poller.poll(2)]
    assert {fd: seen.count(fd) for fd in fds} == dict.fromkeys(fds, 2)


async def test_a_wait_ends_when_something_is_ready_or_wakes(autojump_clock: MockClock) -> None:
    net = MemoryNet()
    sock, far = net.pair()
    net.poller.register(sock.fileno(), READ)
    changes: list[Callable[[], object]] = [
        lambda: far.sends(b"x"),
        net.poller.wake,
        lambda: net.poller.modify(sock.fileno(), WRITE),
        far.fin,
        far.reset,
    ]
    for change in changes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.poller.wait)
            await wait_all_tasks_blocked()
            change()
        await net.poller.wait()  # level-triggered, and a wake stays until the next poll
        net.poller.poll(10)
        with contextlib.suppress(OSError):
            sock.recv(10)
        net.poller.modify(sock.fileno(), READ if change is not far.fin else 0)
    assert trio.current_time() < 1


async def test_a_wait_does_not_end_for_what_nobody_asked_for(autojump_clock: MockClock) -> None:
    net = MemoryNet()
    sock, far = net.pair()
    net.poller.register(sock.fileno(), 0)
    with trio.move_on_after(5) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.poller.wait)
            await wait_all_tasks_blocked()
            far.sends(b"x")
            far.fin()
    assert scope.cancelled_caught and trio.current_time() >= 5
    net.poller.wake()
    net.poller.wake()
    assert net.poller.poll(10) == []


# -- windows


def test_a_window_is_exact_in_both_directions() -> None:
    net = MemoryNet()
    sock, far = net.pair(window=10)
    net.poller.register(sock.fileno(), READ | WRITE)
    assert sock.send(b"0123456789ab") == 10
    with pytest.raises(BlockingIOError):
        sock.send(b"ab")
    assert net.poller.poll(1) == []
    assert far.peek() == far.got() == b"0123456789" and net.poller.poll(1) == [(sock.fileno(), WRITE)]

    far.sends(b"0123456")
    with pytest.raises(BlockingIOError):
        far.sends(b"7890")
    far.sends(b"789")
    far.push(b"abcdefghijklm")
    far.fin()
    assert far.unread == 23 and sock.recv(100) == b"0123456789"
    assert sock.recv(4) == b"abcd" and sock.recv(100) == b"efghijklm" and sock.recv(1) == b""


def test_the_end_is_not_seen_before_all_that_precedes_it() -> None:
    net = MemoryNet()
    sock, far = net.pair(window=4)
    net.poller.register(sock.fileno(), HANGUP)
    far.push(b"abcdef")
    far.fin()
    assert net.poller.poll(1) == []
    assert sock.recv(2) == b"ab"
    assert net.poller.poll(1) == [(sock.fileno(), HANGUP)]


def test_bytes_on_the_way_are_lost_by_a_reset_and_those_in_the_window_are_not() -> None:
    sock, far = MemoryNet().pair(window=4)
    far.push(b"abcdef")
    far.reset()
    assert sock.recv(10) == b"abcd"
    with pytest.raises(ConnectionResetError):
        sock.recv(10)


@pytest.mark.parametrize("count", range(8))
def test_exactly_so_many_bytes_are_taken(count: int) -> None:
    net = MemoryNet()
    sock, far = net.pair()
    net.poller.register(sock.fileno(), WRITE)
    assert sock.send(b"before") == 6
    far.takes(count)
    taken = 0
    with pytest.raises(BlockingIOError):
        while True:
            taken += sock.send(b"abcde"[: 5 if taken < 5 else 2])
    assert taken == count and len(far.got()) == 6 + count and net.poller.poll(1) == []
    far.takes_all()
    assert sock.send(b"rest") == 4 and far.got() == b"rest" and net.poller.poll(1) != []


def test_what_was_taken_before_a_reset_can_still_be_looked_at() -> None:
    sock, far = MemoryNet().pair()
    far.takes(3)
    assert sock.send(b"abcdef") == 3
    far.reset()
    assert far.got() == b"abc"


def test_a_silent_peer_takes_everything_and_shows_nothing() -> None:
    sock, far = MemoryNet().pair(window=4)
    far.silent()
    assert [sock.send(b"abcd") for _ in range(3)] == [4, 4, 4] and far.got() == b""
    far.takes_all()
    assert sock.send(b"abcdef") == 4 and far.got() == b"abcd"


# -- what a test sees of the hub's end


def test_closing_with_unread_bytes_is_a_reset() -> None:
    net = MemoryNet()
    for unread in (b"", b"x"):
        sock, far = net.pair()
        if unread:
            far.sends(unread)
        sock.send(b"last words")
        assert not far.closed and not far.ended and net.open == 1
        sock.close()
        sock.close()
        assert far.closed and far.ended and far.was_reset == bool(unread) and net.open == 0
        assert far.got() == b"last words"
        with pytest.raises(ConnectionResetError):
            far.sends(b"too late")


def test_the_far_end_sends_nothing_after_its_own_end() -> None:
    _, far = MemoryNet().pair()
    far.fin()
    with pytest.raises(BrokenPipeError):
        far.sends(b"x")


def test_options_are_accepted_and_odd_shutdowns_are_not() -> None:
    sock, far = MemoryNet().pair()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with pytest.raises(NotImplementedError):
        sock.shutdown(socket.SHUT_RD)
    sock.shutdown(socket.SHUT_RDWR)
    assert far.ended and sock.recv(1) == b""


async def test_a_test_waits_for_bytes_or_for_a_condition(autojump_clock: MockClock) -> None:
    sock, far = MemoryNet().pair(window=4)

    async def write(*parts: bytes) -> None:
        for part in parts:
            await trio.sleep(1)
            sock.send(part)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, b"abc", b"def", b"ghi")
        assert await far.wait_for(5) == b"abcdef"
        assert await far.wait_for(lambda data: data.endswith(b"i")) == b"ghi"
    assert trio.current_time() == pytest.approx(3)


async def test_a_wait_that_is_cancelled_loses_nothing(autojump_clock: MockClock) -> None:
    sock, far = MemoryNet().pair()
    sock.send(b"abc")
    with trio.move_on_after(1):
        await far.wait_for(4)
    assert far.peek() == b"abc"
    sock.send(b"d")
    assert await far.wait_for(4) == b"abcd"
    sock.send(b"e")
    sock.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError, match="after 1 bytes"):
        await far.wait_for(2)
    assert far.got() == b"e"


async def test_a_test_waits_for_the_close(autojump_clock: MockClock) -> None:
    sock, far = MemoryNet().pair()

    async def close() -> None:
        await trio.sleep(3)
        sock.send(b"bye")
        sock.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close)
        await far.wait_closed()
    assert trio.current_time() == pytest.approx(3) and far.got() == b"bye"


def test_events_have_epolls_numbers() -> None:
    assert (READ, WRITE, HANGUP, GONE) == (select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP, select.EPOLLHUP | select.EPOLLERR)
