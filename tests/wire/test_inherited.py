"""Sockets that systemd opened: whose they are, and what is said of those that are nobody's."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
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


@pytest.mark.parametrize("key", ["listeners.branches", "services.core.listen"])
@pytest.mark.parametrize("named", ["by its name", "by its key", "router.socket", ""])
def test_a_socket_goes_to_whoever_has_its_name_or_its_address(key: str, named: str):
    name = {"by its name": key.split(".")[1], "by its key": key}.get(named, named)
    with passed(name=name) as (given, address), passed(name="companies") as (second, _):
        nowhere = Address("127.0.0.1", 0)
        places = {
            "listeners.core": Address("127.0.0.1", 1),
            key: address,
            "listeners.companies": nowhere,
            "services.companies.listen": nowhere,
        }
        found = sockets_of([given, second], places, "bank.toml")
        assert {each: sock.fileno() for each, sock in found.items()} == {key: given.descriptor, "listeners.companies": second.descriptor}
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
        [sock] = sockets_of([given], {"listeners.branches": Address(configured, address.port)}, "bank.toml").values()
        sock.close()


@pytest.mark.parametrize(("at", "configured"), [("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1")])
def test_a_socket_that_is_no_listeners_is_told_with_its_address_and_nothing_is_kept(at: str, configured: str):
    with passed(at, "web") as (given, address), pytest.raises(ConfigError) as error:
        sockets_of([given], {"listeners.branches": Address(configured, address.port)}, "bank.toml")
    problem = told(error)
    assert problem.code == "E-CFG-06"
    assert str(address) in problem.what and "web" in problem.what
    assert "branches" in problem.expected
    assert "FileDescriptorName=" in problem.do


@pytest.mark.parametrize("name", ["admin", "router.socket"])
def test_a_socket_for_a_port_that_the_router_always_opens_itself_is_refused_and_says_so(name: str):
    with passed(name=name) as (given, address), pytest.raises(ConfigError) as error:
        others = {"admin": address, "metrics": None}
        sockets_of([given], {"listeners.branches": Address("127.0.0.1", 1)}, "bank.toml", others)
    problem = told(error)
    assert problem.code == "E-CFG-07"
    assert problem.key == "admin"
    assert "opens its port itself" in problem.what and "of listeners and of services" in problem.do


def test_a_name_that_says_one_address_and_a_file_that_says_another_are_a_contradiction():
    with passed(name="branches") as (given, address), pytest.raises(ConfigError) as error:
        sockets_of([given], {"listeners.branches": Address("127.0.0.1", address.port + 1)}, "bank.toml")
    assert told(error).code == "E-CFG-07"
    assert told(error).key == "listeners.branches.address"


def test_two_sockets_for_one_listener_are_refused_and_the_first_is_given_back():
    with (
        passed("127.0.0.1", "branches") as (first, address),
        passed("127.0.0.1", "branches") as (second, _),
        pytest.raises(ConfigError) as error,
    ):
        sockets_of([first, second], {"listeners.branches": Address("127.0.0.1", 0)}, "bank.toml")
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
        sockets_of([Inherited("branches", descriptor)], {"listeners.branches": Address("127.0.0.1", 0)}, "bank.toml")
    assert told(error).code == "E-CFG-07"
    assert "ListenStream=" in told(error).do
    closed(descriptor)


@asynccontextmanager
async def running(folder: Path, text: str, **sockets: socket.socket) -> AsyncIterator[Router]:
    """A router at sockets that somebody else keeps open, by key with `_` for dots."""
    file = folder / "router.toml"
    file.write_text(f'{text}\n[[routes]]\nlistener = "branches"\nservice = "core"\ndefault = true\n')
    copies = {}
    for key, sock in sockets.items():
        copies[key.replace("_", ".")] = copy = sock.dup()
        copy.setblocking(False)
    router = Router(read_plan(file), open_log("error", io.BytesIO()), inherited=copies)
    async with trio.open_nursery() as nursery:
        await nursery.start(router.run)
        yield router
        router.stop()


async def until(holds: Callable[[], object]) -> None:
    with trio.fail_after(5):
        while not holds():  # noqa: ASYNC110  (nothing announces it)
            await trio.sleep(0.005)


async def test_an_inherited_door_that_was_given_away_can_be_opened_again_though_its_address_is_held(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        listener = f'[listeners.branches]\naddress = "127.0.0.1:{port}"\nspec = "firmbanking"\n'
        async with running(tmp_path, listener + '[services.core]\nbackends = ["127.0.0.1:1"]\n', listeners_branches=held) as router:
            acceptor = router.acceptors["branches"]
            acceptor.give_away().close()
            await wait_all_tasks_blocked(0.01)
            router.doors.reopen("branches", router.plan)
            async with await trio.open_tcp_stream("127.0.0.1", port):
                await until(lambda: acceptor.total)
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


@pytest.mark.parametrize("standby", [False, True], ids=["in use", "stands by"])
async def test_a_backend_that_dials_while_no_router_runs_is_served_by_the_next_one_unless_that_stands_by(standby: bool, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        text = (
            '[listeners.branches]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n'
            f'[services.core]\nlisten = "127.0.0.1:{port}"\nbackends = [{{ name = "seoul", from = ["127.0.0.1"] }}]\n'
            + ("standby = true\n" if standby else "")
        )
        async with await trio.open_tcp_stream("127.0.0.1", port) as early, running(tmp_path, text, services_core_listen=held) as router:
            if not standby:
                await until(lambda: router.switch.services["core"].links)
                assert await router.demote("core")
            with trio.fail_after(5):
                assert await early.receive_some(1) == b""
            async with await trio.open_tcp_stream("127.0.0.1", port) as late:
                with trio.fail_after(5):
                    assert await late.receive_some(1) == b"", "the kernel lets it in, and nobody serves it"
            assert await router.promote("core")
            async with await trio.open_tcp_stream("127.0.0.1", port):
                await until(lambda: router.switch.services["core"].links)
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
