"""What the kernel is told of connections, on real sockets: nothing else could say whether it was told."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from telegram_router.wire.options import prepare


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    made = socket.socket()
    yield made
    made.close()


def options(sock: socket.socket) -> tuple[int, ...]:
    names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *(sock.getsockopt(socket.IPPROTO_TCP, name) for name in names)


@pytest.mark.parametrize(
    "keepalive,told",
    [(30.0, (1, 30, 10, 3, 11_000)), (0.3, (1, 1, 1, 3, 11_000)), (604_800.0, (1, 32_767, 10_922, 3, 11_000))],
    ids=["usual", "shortest", "longest"],
)
def test_the_kernel_asks_for_a_silent_peer_and_gives_up_what_is_not_acknowledged(
    sock: socket.socket, keepalive: float, told: tuple[int, ...]
) -> None:
    prepare(sock, keepalive, 10.0)
    assert options(sock) == told
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_without_keepalive_the_kernel_never_asks(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # as inherited from a listening socket
    prepare(sock, 0.0, 2.5)
    assert (options(sock)[0], options(sock)[-1]) == (0, 3_500)
