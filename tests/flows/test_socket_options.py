"""Sessions and links of a running router have the socket options of their tables."""

from __future__ import annotations

import socket

from running_router import answer_to, companies, telegram

from telegram_router.wire.connection import Connection


def told(connection: Connection) -> tuple[int, int]:
    """Seconds of silence before the kernel asks (0: never), and milliseconds without an acknowledgement."""
    sock = connection.sock
    assert isinstance(sock, socket.socket)
    asks = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    silence = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) if asks else 0
    return silence, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


async def test_each_end_has_the_options_of_its_own_table() -> None:
    listener, service = 'keepalive = "7s"\nwrite_timeout = "300ms"', 'keepalive = "0s"\nwrite_timeout = "150ms"'
    async with companies(listener=listener, service=service) as (router, _):
        client = await router.connect()
        assert await client.asks(telegram("balance.request", "firmbanking", 1)) == answer_to(telegram("balance.request", "firmbanking", 1))
        by_name = {connection.name.rpartition("#")[0]: told(connection) for connection in router.router.hub.connections.values()}
        assert (by_name["companies"], by_name["core"]) == ((7, 1_300), (0, 1_150))
