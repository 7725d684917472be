"""Sockets that systemd opened: whose they are, and what is said of those that are nobody's."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from telegram_router.app import Router
from telegram_router.config import Address
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.ops.logs import open_log
from telegram_router.plan import read_plan
from telegram_router.wire.inherited import Inherited, inherited, sockets_of


@contextmanager
def passed(host: str = "127.0.0.1", name: str = "") -> Iterator[tuple[Inherited, Address]]:
    """A listening socket as another process would leave it to us, and where it listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as sock:
        address = Address(*sock.getsockname()[:2])
        descriptor = os.dup(sock.fileno())
        os.set_inheritable(descriptor, True)
        yield Inherited(name, descriptor), address
        closed(descriptor)


def closed(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        pass  # the test has closed it as a socket


def told(error: pytest.ExceptionInfo[ConfigError]) -> ConfigProblem:
    [problem] = error.value.problems
    assert problem.file == "bank.toml"
    return problem


def test_only_what_is_meant_for_this_process_is_taken_and_children_hear_nothing_of_it():
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "branches:companies", "HOME": "/"}
    assert inherited(dict(environment), 8) == []
    assert inherited({"LISTEN_PID": "8", "LISTEN_FDS": "many"}, 8) == []
    assert inherited(environment, 7) == [Inherited("branches", 3), Inherited("companies", 4), Inherited("", 5)]
    assert environment == {"HOME": "/"}
    assert inherited(environment, 7) == []


@pytest.mark.parametrize("name", ["branches", "router.socket", ""])
def test_a_socket_goes_to_the_listener_of_its_name_or_of_its_address(name: str):
    with passed(name=name) as (given, address), passed(name="companies") as (second, _):
        listeners = {"others": Address("127.0.0.1", 1), "branches": address, "companies": Address("127.0.0.1", 0)}
        found = sockets_of([given, second], listeners, "bank.toml")
        assert {each: sock.fileno() for each, sock in found.items()} == {"branches": given.descriptor, "companies": second.descriptor}
        for sock in found.values():
            assert not sock.getblocking()
            assert not sock.get_inheritable()
            sock.close()


@pytest.mark.parametrize(
    ("at", "configured"),
    [("0.0.0.0", ""), ("::", "0.0.0.0"), ("::", "10.0.0.1"), ("::1", "0:0:0:0:0:0:0:1")],
    ids=lambda each: each or "empty",
)
def test_a_wildcard_socket_serves_every_address_that_it_covers(at: str, configured: str):
    with passed(at) as (given, address):
        [sock] = sockets_of([given], {"branches": Address(configured, address.port)}, "bank.toml").values()
        sock.close()


@pytest.mark.parametrize(("at", "configured"), [("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1")])
def test_a_socket_that_is_no_listeners_is_told_with_its_address_and_nothing_is_kept(at: str, configured: str):
    with passed(at, "web") as (given, address), pytest.raises(ConfigError) as error:
        sockets_of([given], {"branches": Address(configured, address.port)}, "bank.toml")
    problem = told(error)
    assert problem.code == "E-CFG-06"
    assert str(address) in problem.what and "web" in problem.what
    assert "branches" in problem.expected
    assert "FileDescriptorName=" in problem.do


@pytest.mark.parametrize("name", ["admin", "core", "services.core.listen", "router.socket"])
def test_a_socket_for_a_port_that_the_router_always_opens_itself_is_refused_and_says_so(name: str):
    with passed(name=name) as (given, address), pytest.raises(ConfigError) as error:
        others = {"services.core.listen": address if "core" in name else None, "admin": address, "metrics": None}
        sockets_of([given], {"branches": Address("127.0.0.1", 1)}, "bank.toml", others)
    problem = told(error)
    assert problem.code == "E-CFG-07"
    assert problem.key == ("services.core.listen" if "core" in name else "admin")
    assert "opens its port itself" in problem.what and "listeners only" in problem.do


def test_a_name_that_says_one_address_and_a_file_that_says_another_are_a_contradiction():
    with passed(name="branches") as (given, address), pytest.raises(ConfigError) as error:
        sockets_of([given], {"branches": Address("127.0.0.1", address.port + 1)}, "bank.toml")
    assert told(error).code == "E-CFG-07"
    assert told(error).key == "listeners.branches.address"


def test_two_sockets_for_one_listener_are_refused_and_the_first_is_given_back():
    with (
        passed("127.0.0.1", "branches") as (first, address),
        passed("127.0.0.1", "branches") as (second, _),
        pytest.raises(ConfigError) as error,
    ):
        sockets_of([first, second], {"branches": Address("127.0.0.1", 0)}, "bank.toml")
    assert told(error).code == "E-CFG-07"
    with pytest.raises(OSError):
        os.fstat(first.descriptor)
    assert str(address)


def not_listening() -> int:
    with socket.socket() as sock:
        return os.dup(sock.fileno())


def datagrams() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return os.dup(sock.fileno())


def a_file() -> int:
    return os.open("/dev/null", os.O_RDONLY)


@pytest.mark.parametrize("make", [not_listening, datagrams, a_file])
def test_what_nobody_could_connect_to_is_refused(make):
    descriptor = make()
    with pytest.raises(ConfigError) as error:
        sockets_of([Inherited("branches", descriptor)], {"branches": Address("127.0.0.1", 0)}, "bank.toml")
    assert told(error).code == "E-CFG-07"
    assert "ListenStream=" in told(error).do
    closed(descriptor)


async def test_an_inherited_door_that_was_given_away_can_be_opened_again_though_its_address_is_held(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        file = tmp_path / "router.toml"
        file.write_text(f"""
            [listeners.branches]
            address = "127.0.0.1:{port}"
            spec = "firmbanking"
            [services.s]
            backends = ["127.0.0.1:1"]
            [[routes]]
            listener = "branches"
            service = "s"
            default = true
        """)
        plan = read_plan(file)
        door = held.dup()
        door.setblocking(False)
        router = Router(plan, open_log("error", io.BytesIO()), inherited={"branches": door})
        async with trio.open_nursery() as nursery:
            await nursery.start(router.run)
            acceptor = router.acceptors["branches"]
            acceptor.give_away().close()
            await wait_all_tasks_blocked(0.01)
            router.doors.reopen("branches", plan)
            async with await trio.open_tcp_stream("127.0.0.1", port):
                with trio.fail_after(5):
                    while not acceptor.total:  # noqa: ASYNC110
                        await trio.sleep(0.005)
            router.stop()
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
