"""Worlds for the tests of the hub, each looked through for leaks when its test is over; and certificates for those of TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from hub_kit import World
from tls_kit import Authority

from telegram_router.wire.certificates import client_context, server_context


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*args: Any, **options: Any) -> World:
        made.append(World(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One listener, one telegram service."""
    return make_world()


@pytest.fixture(scope="session")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context that trust each other; the server is called `router`."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("router", key_type=trustme.KeyType.ECDSA).configure_cert(server)
    authority.configure_trust(client)
    server.num_tickets = 0
    return server, client


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "strangers")


@pytest.fixture(scope="module")
def own(ours: Authority) -> tuple[str, str]:
    return ours.issue("router", "router.example", "127.0.0.1")


@pytest.fixture(scope="module")
def bank(ours: Authority) -> tuple[str, str]:
    return ours.issue("bank", "bank.example", "urn://institution/088")


@pytest.fixture(scope="module")
def mutual(ours: Authority, own: tuple[str, str], bank: tuple[str, str]) -> dict[str, ssl.SSLContext]:
    """Our contexts for both ends; each shows the other its certificate."""
    return {"client": client_context(ours.file, *bank), "server": server_context(*own, ours.file)}
