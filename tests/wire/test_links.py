"""Dialling a backend: what the log says when nobody is there."""

from __future__ import annotations

import socket

import pytest

from telegram_router.errors import RouterError
from telegram_router.wire.links import Backend, dial


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_a_refused_connection_is_told_in_the_systems_words():
    with pytest.raises(RouterError) as caught:
        await dial(Backend("127.0.0.1", closed_port(), 5))
    assert caught.value.code == "E-BCK-10" and "Connection refused" in caught.value.what


async def test_a_connection_is_handed_over_ready_for_the_hub():
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = await dial(Backend("127.0.0.1", server.getsockname()[1], 5))
        assert not sock.getblocking() and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()
