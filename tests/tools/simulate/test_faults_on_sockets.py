"""The faults that are about TCP itself, seen by a plain socket: reset or end or silence, a closed window, a port nobody listens on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
import trio

from telegram_router.telegrams import Spec
from telegram_router.testing import read, sample
from telegram_router.tools.simulate.fixture import Host, run_simulator
from telegram_router.tools.simulate.wires import check_half_open

ECHO = '[scenario]\nspec = "firmbanking"\n[[rule]]\nmatch = "msg=transfer.request"\nreply = { response_code = "0000" }\n'
SOON = 3.0  # an upper bound for what should take milliseconds
QUIET = 0.1


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


@cache
def transfer() -> bytes:
    return firmbanking().encode(sample(firmbanking(), "transfer.request", 7, 1))


@asynccontextmanager
async def simulated(fault: str) -> AsyncIterator[Host]:
    async with run_simulator(ECHO + "[[fault]]\n" + fault, lambda name, folder: firmbanking(), sockets=True) as host:
        yield host


def connected(host: Host) -> socket.socket:
    sock = socket.create_connection(host.address, timeout=SOON)
    sock.setblocking(False)
    return sock


async def outcome(sock: socket.socket, patience: float = SOON) -> tuple[int, str]:
    """How many bytes came, and what came then."""
    found, size = trio.socket.from_stdlib_socket(sock), 0
    with trio.move_on_after(patience):
        try:
            while data := await found.recv(65_536):
                size += len(data)
        except ConnectionResetError:
            return size, "ECONNRESET"
        return size, "EOF"
    return size, "silence"


SIZE = 304
CASES = [
    ("do = { rst = 'before' }", 0, "ECONNRESET"), ("do = { rst = 'after' }", SIZE, "ECONNRESET"), ("do = { rst = 'mid' }", SIZE // 2, "ECONNRESET"),
    ("do = { fin = 'mid' }", SIZE // 2, "EOF"), ("do = { half_close = true }", SIZE, "EOF"), ("do = { never = true }", 0, "silence"),
    ("do = { accept = 'close' }", 0, "EOF"), ("do = { accept = 'rst' }", 0, "ECONNRESET"), ("do = { garbage = 9 }", SIZE + 9, "silence"),
    ("do = { slice = [1, 100], pause = '5ms' }", SIZE, "silence"), ("do = { duplicate = 1 }", 2 * SIZE, "silence"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "size", "ending"), CASES, ids=[fault for fault, _, _ in CASES])
async def test_a_plain_socket_sees(fault: str, size: int, ending: str):
    async with simulated(fault) as host:
        with connected(host) as sock:
            with contextlib.suppress(OSError):  # the connection may have ended already
                sock.send(transfer())
            assert await outcome(sock, QUIET if ending == "silence" else SOON) == (size, ending)


async def test_a_deaf_host_closes_its_window():
    async with simulated("do = { deaf = true }") as host:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        sock.connect(host.address)
        sock.setblocking(False)
        with sock:
            taken, still = 0, 0
            while still < 3:
                try:
                    taken += sock.send(transfer())
                    still = 0
                except BlockingIOError:
                    still += 1
                    await trio.sleep(0.03)
            assert 0 < taken < 64 * 1024


async def test_nobody_listens_for_a_while():
    async with simulated("begins = '0s'\nlasts = '150ms'\ndo = { refuse = true }") as host:
        with pytest.raises(ConnectionRefusedError):
            connected(host)
        with trio.fail_after(SOON):
            while True:
                with contextlib.suppress(ConnectionRefusedError), connected(host) as sock:
                    sock.send(transfer())
                    assert (await outcome(sock, QUIET))[0] == SIZE
                    return
                await trio.sleep(0.02)


async def test_connections_are_made_and_nobody_takes_them():
    async with simulated("do = { never_accept = true }") as host:
        with connected(host) as sock:
            sock.send(transfer())
            assert await outcome(sock, QUIET) == (0, "silence")
            assert host.simulation.stats()["connections"]["made"] == 0


def may_vanish() -> bool:
    try:
        check_half_open()
    except Exception:
        return False
    return True


async def test_a_host_that_vanished_resets_what_it_gets_where_that_is_permitted():
    if not may_vanish():  # then it is refused at the start: test_simulated_banks.py
        return
    async with simulated("match = 'msg=transfer.request'\ndo = { half_open = true }") as host:
        with connected(host) as sock:
            sock.send(transfer())
            assert await outcome(sock, QUIET) == (0, "silence")
            sock.send(transfer())
            assert await outcome(sock) == (0, "ECONNRESET")


async def test_a_fault_can_be_added_and_taken_away_while_it_runs():
    async with run_simulator(ECHO, lambda name, folder: firmbanking(), sockets=True) as host:
        caller = await host.connect()
        assert (await caller.ask(transfer()))["response_code"] == "0000"
        host.fault("match='msg=transfer.request', do={set={response_code='9999'}}")
        assert (await caller.ask(transfer()))["response_code"] == "9999"
        host.clear_faults()
        assert (await caller.ask(transfer()))["response_code"] == "0000"


async def test_a_client_and_a_host_that_are_both_simulated_talk_over_sockets(tmp_path: Path):
    client = """[scenario]
spec = "firmbanking"
role = "client"
name = "bank"
to = "{address}"
[[push]]
msg = "transfer.request"
every = "5ms"
count = 3
message_number = "{counter.number:06d}"
[[verify]]
expect = 'count msg=transfer.response and f.response_code=0000 = 3'
"""
    async with run_simulator(ECHO, lambda name, folder: firmbanking(), sockets=True) as host:
        record = tmp_path / "client.tgcap.jsonl"
        text = client.replace("{address}", str(host.address))
        async with run_simulator(text, lambda name, folder: firmbanking(), record=record) as bank:
            with trio.fail_after(SOON):
                await bank.wait_for("transfer.response", 3)
            bank.check()
        assert [each["message_number"] for each in host.received("transfer.request")] == ["000001", "000002", "000003"]
