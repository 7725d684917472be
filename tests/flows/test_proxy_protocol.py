"""Clients behind a balancer: who they are is in the PROXY header, and nobody else may write one."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from authority import Authority, Pair
from free_ports import free_port
from running_router import Client, Host, answer_to, config, running, spec_named, transfer

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
HERE = "proxy_protocol = { from = ['127.0.0.1'] }"
ELSEWHERE = "proxy_protocol = { from = ['10.0.0.0/8', '2001:db8::/32'] }"


def header(host: str = "192.0.2.7", command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, 0x11]) + (12).to_bytes(2) + socket.inet_aton(host) + bytes(4) + (40_001).to_bytes(2) + bytes(2)


async def test_a_session_has_the_address_that_its_balancer_names() -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        client = await router.connect()
        await client.sends(header() + transfer(1)[:100])
        await client.sends(transfer(1)[100:])
        assert await client.got() == answer_to(transfer(1))
        (accepted,) = router.log.named("session_accepted")
        assert accepted["peer"] == "192.0.2.7:40001" and accepted["through"].startswith("127.0.0.1:")
        [session] = router.switch.listeners["companies"].sessions
        assert session.address == "192.0.2.7"


async def test_limits_by_address_count_the_client_and_not_the_balancer() -> None:
    limit = "[limits.each]\nkey = 'address'\nrate = 1\nper = '1h'\n"
    async with Host() as core, running(config(core, listener=HERE, more=limit)) as router:
        for host in ("192.0.2.7", "192.0.2.8"):
            client = await router.connect()
            await client.sends(header(host))
            assert await client.asks(transfer(1 if host.endswith("7") else 2)) in (answer_to(transfer(1)), answer_to(transfer(2)))
        await client.asks(transfer(3))
        await router.logged("E-LIM-03")


async def test_a_balancer_that_speaks_for_itself_is_taken_by_its_own_address() -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        client = await router.connect()
        await client.sends(header(command=0x20))
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        (accepted,) = router.log.named("session_accepted")
        assert accepted["peer"].startswith("127.0.0.1:")


async def test_a_health_check_that_sends_its_header_and_leaves_is_let_go_without_a_word() -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        for _ in range(3):
            client = await router.connect()
            await client.sends(header(command=0x20))
            await client.hangs_up()
            assert await client.closed() == b""
        client = await router.connect()
        await client.sends(header() + transfer(1))
        assert await client.got() == answer_to(transfer(1))
        assert len(router.log.named("session_accepted")) == router.router.acceptors["companies"].total == 1
        assert router.router.acceptors["companies"].greeted == 0


async def test_an_ipv6_address_is_told_apart_from_its_port() -> None:
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, each) for each in ("2001:db8::7", "2001:db8::1"))
    async with Host() as core, running(config(core, listener=HERE)) as router:
        client = await router.connect()
        await client.sends(SIGNATURE + bytes([0x21, 0x21]) + (36).to_bytes(2) + addresses + (40_001).to_bytes(2) + bytes(2) + transfer(1))
        assert await client.got() == answer_to(transfer(1))
        (accepted,) = router.log.named("session_accepted")
        assert accepted["peer"] == "[2001:db8::7]:40001"


@pytest.mark.parametrize(
    "sent",
    [
        transfer(1),
        b"PROXY TCP4 192.0.2.7 192.0.2.1 40001 9001\r\n" + transfer(1),
        header()[:-1] + b"",
        header(command=0x22),
        b"\x16\x03\x01",
    ],
    ids=["no-header", "version-1", "cut", "unknown-command", "tls"],
)
async def test_what_is_no_header_where_one_is_due_is_closed_and_no_byte_of_it_is_looked_at(sent: bytes) -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        client = await router.connect()
        await client.sends(sent)
        if sent == header()[:-1]:
            await client.hangs_up()
        assert await client.closed() == b""
        (line,) = await router.logged("E-FRM-13")
        assert line["event"] == "connection_refused" and line["listener"] == "companies" and line["do"]
        assert router.router.hub.framing_errors == {("companies", "E-FRM-13"): 1}
        assert router.router.acceptors["companies"].open == 0
    assert core.frames == []


async def test_a_header_of_somebody_who_is_no_balancer_is_worth_nothing() -> None:
    async with Host() as core, running(config(core, listener=ELSEWHERE)) as router:
        client = await router.connect()
        await client.sends(header() + transfer(1))
        assert await client.closed() == b""
        await router.logged("E-FRM-13")
    assert core.frames == []


async def test_a_second_header_behind_the_first_is_a_stranger() -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        client = await router.connect()
        await client.sends(header() + header("198.51.100.1") + transfer(1))
        await client.closed()
        (line,) = await router.logged("E-FRM-13")
        assert line["event"] == "framing_lost" and "PROXY v2" in line["what"]
    assert core.frames == []


async def test_who_never_sends_the_header_is_closed_in_time_and_counts_as_a_session_until_then() -> None:
    async with Host() as core, running(config(core, listener=f"{HERE}\nmax_sessions = 2")) as router:
        slow = [await router.connect() for _ in range(2)]
        await router.until(lambda: router.router.acceptors["companies"].greeted == 2)
        third = await router.connect()
        assert await third.closed() == b""
        await router.logged("E-LIM-05")
        for client in slow:
            assert await client.closed() == b""
        good = await router.connect()
        await good.sends(header())
        assert await good.asks(transfer(1)) == answer_to(transfer(1))


async def test_a_check_that_only_connects_leaves_no_line() -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        for _ in range(3):
            await (await router.connect()).goes()
        client = await router.connect()
        await client.sends(header())
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await router.until(lambda: router.router.acceptors["companies"].greeted == 0)
        assert router.log.codes == []


# --- HAProxy in front -----------------------------------------------------------------------------------------------


@contextmanager
def haproxy(folder: Path, router: tuple[str, int], version: str) -> Iterator[int]:
    """HAProxy, which passes bytes through as they are. Its port."""
    port = free_port()
    file = folder / f"haproxy{version}.cfg"
    file.write_text(f"""
defaults
    mode tcp
    timeout connect 1s
    timeout client 5s
    timeout server 5s
listen router
    bind 127.0.0.1:{port}
    server router {router[0]}:{router[1]} {version}
""")
    command = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert command is not None, "haproxy is missing; .ci/run installs it"
    with subprocess.Popen([command, "-db", "-q", "-f", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


async def through(port: int, tls: ssl.SSLContext | None) -> Client:
    with trio.fail_after(3):
        while True:  # until HAProxy listens
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                break
            except OSError:
                await trio.sleep(0.01)
    if tls is None:
        return Client(stream, spec_named("firmbanking"))
    return Client(trio.SSLStream(stream, tls, server_hostname="router.example", https_compatible=True), spec_named("firmbanking"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Pair, Pair]:
    ours = Authority(tmp_path_factory.mktemp("tls"), "ours")
    return ours.file, ours.issue("router.example"), ours.issue("company.example")


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls-passed-through"])
async def test_haproxy_in_front_tells_whose_connection_it_is(tmp_path: Path, pairs: tuple[str, Pair, Pair], encrypted: bool) -> None:
    ca, router_pair, company = pairs
    table = f'tls = {{ certificate = "{router_pair.certificate}", key = "{router_pair.key}", client_ca = "{ca}" }}' if encrypted else ""
    tls = ssl.create_default_context(cafile=ca) if encrypted else None
    if tls is not None:
        tls.load_cert_chain(company.certificate, company.key)
    async with Host() as core, running(config(core, listener=f"{HERE}\n{table}")) as router:
        with haproxy(tmp_path, router.address(), "send-proxy-v2") as port:
            client = await through(port, tls)
            for number in range(1, 4):
                assert await client.asks(transfer(number)) == answer_to(transfer(number))
            (accepted,) = router.log.named("session_accepted")
            ours = client.stream.transport_stream if encrypted else client.stream
            assert accepted["peer"] == f"127.0.0.1:{ours.socket.getsockname()[1]}" != accepted["through"]
            await client.goes()


async def test_haproxy_that_sends_version_1_or_nothing_is_refused(tmp_path: Path) -> None:
    async with Host() as core, running(config(core, listener=HERE)) as router:
        for version in ("send-proxy", ""):
            with haproxy(tmp_path, router.address(), version) as port:
                client = await through(port, None)
                await client.sends(transfer(1))
                assert await client.closed() == b""
                await client.goes()
        (line, *_) = await router.logged("E-FRM-13")
        assert "PROXY v1" in line["what"]
        assert router.router.acceptors["companies"].forged >= 2
    assert core.frames == []
