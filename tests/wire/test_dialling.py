"""Dialling from a fixed source: who a host takes us for is where we come from."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from free_ports import free_port

from telegram_router.errors import RouterError
from telegram_router.wire.links import Backend, dial


@pytest.fixture
def host() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def backend(host: socket.socket, source: str, port: int = 0) -> Backend:
    return Backend("127.0.0.1", host.getsockname()[1], 1.0, source=source, source_port=port)


async def test_a_link_comes_from_the_address_that_is_named(host: socket.socket) -> None:
    with await dial(backend(host, "127.0.0.5")) as link:
        accepted, peer = host.accept()
        with accepted:
            assert peer[0] == "127.0.0.5" and peer == link.getsockname()
            assert not link.getblocking()


async def test_a_link_comes_from_the_port_that_is_named_and_others_may_share_it_with_other_hosts(host: socket.socket) -> None:
    port = free_port("127.0.0.5")
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        await dial(backend(host, "127.0.0.5", port)) as one,
        await dial(backend(other, "127.0.0.5", port)) as two,
    ):
        assert one.getsockname() == two.getsockname() == ("127.0.0.5", port)


async def test_a_second_link_from_one_port_to_one_host_says_what_is_in_its_way(host: socket.socket) -> None:
    port = free_port("127.0.0.5")
    with await dial(backend(host, "127.0.0.5", port)), pytest.raises(RouterError, match="had a link there a moment ago") as refused:
        await dial(backend(host, "127.0.0.5", port))
    assert refused.value.code == "E-BCK-10"


async def test_an_address_that_is_not_ours_and_a_port_that_is_taken_are_named(host: socket.socket) -> None:
    with pytest.raises(RouterError, match=r"192\.0\.2\.1 is none of this machine"):
        await dial(backend(host, "192.0.2.1"))
    with socket.create_server(("127.0.0.5", 0)) as taken, pytest.raises(RouterError, match=r"port \d+ of 127\.0\.0\.5 is in use"):
        await dial(backend(host, "127.0.0.5", taken.getsockname()[1]))


async def test_a_host_that_our_address_cannot_reach_is_unreachable(host: socket.socket) -> None:
    with pytest.raises(RouterError) as refused:
        await dial(backend(host, "::1"))
    assert refused.value.code == "E-BCK-10"
    nobody = Backend("127.0.0.1", free_port("127.0.0.1"), 1.0, source="127.0.0.5")
    with pytest.raises(RouterError, match="refused"):
        await dial(nobody)
