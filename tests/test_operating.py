"""The operator's commands, asked of a router at work, of one that is not there, and of what is no router."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from click.testing import CliRunner, Result
from free_ports import free_port
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from running_router import Host, Running, answer_to, betrayed, config, keeps_silent, running, transfer

from telegram_router.cli import main
from telegram_router.cli.rates import Row, quantile, rates, shortened
from telegram_router.cli.steering import lasting
from telegram_router.cli.top import Look, screen
from telegram_router.ops import answers

TOKEN = "correct-horse-battery-staple"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="telegram-router")


async def calls(*arguments: str | Path) -> Result:
    """A command beside the router, which runs in this thread."""
    return await trio.to_thread.run_sync(call, *arguments)


@asynccontextmanager
async def steered(core: Host, folder: Path, keys: str = "", admin: str = 'socket = "admin.sock"') -> AsyncIterator[Running]:
    async with running(f"{config(core, service=keys)}\n[admin]\n{admin}\n", folder) as router:
        await router.linked("core")
        yield router


# --- what they show


async def test_status_shows_the_router_as_tables_and_as_json(tmp_path: Path):
    async with Host() as core, steered(core, tmp_path):
        shown = await calls("status", "--config", tmp_path / "router.toml")
        told = await calls("status", "--socket", tmp_path / "admin.sock", "--json")
    assert shown.exit_code == told.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("telegram-router ") and ", ready, up " in lines[0]
    assert re.search(rf"^core +{re.escape(core.address)} +up +0 +1 +1 of 1 +0 +0 +0$", shown.stdout, re.MULTILINE)
    assert msgspec.convert(json.loads(told.stdout), answers.Status).services[0].name == "core"


async def test_exchanges_shows_the_oldest_with_their_delivery(tmp_path: Path):
    async with Host(keeps_silent) as core, steered(core, tmp_path, 'timeout = "600ms"') as router:
        client = await router.connect()
        await client.sends(transfer(1) + transfer(2) + transfer(3))
        await core.reached(3)
        shown = await calls("exchanges", "--config", tmp_path / "router.toml", "--count", "2")
        told = await calls("exchanges", "--config", tmp_path / "router.toml", "--count", "1", "--json")
        for _ in range(3):
            await client.got()
    assert "3 open exchanges, the oldest 2:" in shown.stdout and not betrayed(shown.stdout + told.stdout)
    assert len(re.findall(r"message_number 00000[12].* sent +sent_unknown$", shown.stdout, re.MULTILINE)) == 2
    assert json.loads(told.stdout)["total"] == 3 and len(json.loads(told.stdout)["exchanges"]) == 1


async def test_top_in_a_pipe_prints_the_rates_of_one_interval(tmp_path: Path):
    async with Host() as core, steered(core, tmp_path) as router, trio.open_nursery() as nursery:
        client = await router.connect()

        async def ask() -> None:
            number = 0
            while True:
                number += 1
                assert await client.asks(transfer(number)) == answer_to(transfer(number))
                await trio.sleep(0.005)

        nursery.start_soon(ask)
        await core.reached(3)
        shown = await calls("top", "--config", tmp_path / "router.toml", "--every", "0.3")
        nursery.cancel_scope.cancel()
    assert shown.exit_code == 0, shown.output
    (service,) = re.findall(r"^core +1 of 1 in use +(\d+) +0 ", shown.stdout, re.MULTILINE)
    assert 20 < int(service) < 250
    assert re.search(r" telegrams/s$", shown.stdout.splitlines()[0])


# --- what they order


async def test_a_backend_is_drained_waited_for_and_put_in_again(tmp_path: Path):
    async def late(line: object, frame: bytes) -> None:
        await trio.sleep(0.3)
        await line.sends(answer_to(frame))  # type: ignore[attr-defined]

    async with Host(late) as core, steered(core, tmp_path, 'timeout = "3s"') as router:
        client = await router.connect()
        await client.sends(transfer(1))
        await core.reached()
        place = ("--config", tmp_path / "router.toml")
        hasty = await calls("backend", "core", core.address, "drain", "--wait", "0", *place)
        waited = await calls("backend", "core", core.address, "drain", "--wait", "3", *place)
        assert await client.got() == answer_to(transfer(1))
        back = await calls("backend", "core", core.address, "ready", "--weight", "5", "--json", *place)
        orders = router.log.named("operator_action")
    assert (hasty.exit_code, hasty.stdout) == (1, f"core {core.address}: drain, weight 1, 1 in flight\n")
    assert (waited.exit_code, waited.stdout) == (0, f"core {core.address}: drain, weight 1, 0 in flight\n")
    assert (json.loads(back.stdout)["state"], json.loads(back.stdout)["weight"]) == ("up", 5)
    assert [order["after"]["state"] for order in orders] == ["drain", "drain", "ready"]


async def test_what_the_router_refuses_is_told_with_its_code(tmp_path: Path):
    async with Host() as core, steered(core, tmp_path):
        place = ("--socket", tmp_path / "admin.sock")
        results = [
            await calls("backend", "core", "10.0.0.9:1", "drain", *place),
            await calls("backend", "a/../b?c", "10.0.0.9:1", "drain", *place),
            await calls("failback", "core", *place),
        ]
    assert [(result.exit_code, result.stdout, result.stderr[:9]) for result in results] == [
        (1, "", "E-ADM-01:"),
        (1, "", "E-ADM-01:"),
        (1, "", "E-ADM-05:"),
    ]
    assert f"use one of {core.address}" in results[0].stderr


async def test_a_token_is_found_by_the_configuration_and_a_wrong_one_is_told(tmp_path: Path):
    for name, token in (("right", TOKEN), ("wrong", TOKEN[::-1])):
        (tmp_path / name).write_text(token)
        (tmp_path / name).chmod(0o600)
    port = free_port()
    admin = f'address = "127.0.0.1:{port}"\ntoken_file = "right"'
    async with Host() as core, steered(core, tmp_path, admin=admin):
        right = await calls("status", "--config", tmp_path / "router.toml")
        wrong = await calls("status", "--address", f"127.0.0.1:{port}", "--token-file", tmp_path / "wrong")
        none = await calls("status", "--address", f"localhost:{port}")
    assert right.exit_code == 0
    for refused in (wrong, none):
        assert (refused.exit_code, refused.stdout) == (1, "") and refused.stderr.startswith("E-ADM-03: ")


async def test_a_listener_is_drained(tmp_path: Path):
    async with Host() as core, steered(core, tmp_path) as router:
        client = await router.connect()
        await router.until(lambda: router.router.acceptors["companies"].open)
        drained = await calls("drain", "companies", "--over", "0", "--patience", "1", "--socket", tmp_path / "admin.sock")
        assert await client.closed() == b""
    assert drained.exit_code == 0
    assert drained.stdout == "companies: accepts no more; 1 sessions leave within 0 s, busy ones 1 s later\n"


async def test_a_file_is_reloaded_tried_and_refused(tmp_path: Path):
    file = tmp_path / "router.toml"
    async with Host() as core, steered(core, tmp_path) as router:
        client = await router.connect()
        same = await calls("reload", "--config", file)
        file.write_text(file.read_text().replace('timeout = "1s"', 'timeout = "900ms"'))
        tried = await calls("reload", "--dry-run", "--config", file)
        assert router.switch.services["core"].policy.timeout == 1.0
        done = await calls("reload", "--config", file)
        assert router.switch.services["core"].policy.timeout == 0.9
        file.write_text(file.read_text().replace('timeout = "900ms"', "timeout = 900"))
        refused = await calls("reload", "--socket", tmp_path / "admin.sock")
        told = await calls("reload", "--socket", tmp_path / "admin.sock", "--json")
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        actions = router.log.named("operator_action")
    assert (same.exit_code, same.stdout) == (0, "Nothing is different.\n")
    assert tried.exit_code == 0 and "changed: services.core.timeout\n" in tried.stdout and "dry run" in tried.stdout
    assert done.exit_code == 0 and "changed: services.core.timeout\n" in done.stdout and "goes on by the file" in done.stdout
    assert (refused.exit_code, refused.stdout) == (78, "") and refused.stderr.startswith("E-CFG-04: ")
    assert refused.stderr.endswith("Nothing was changed.\n")
    assert told.exit_code == 78 and json.loads(told.stdout)["problems"][0]["code"] == "E-CFG-04"
    assert [(each["action"], each["after"]["applied"]) for each in actions] == [
        ("reload", True),
        ("reload", True),
        ("reload", False),
        ("reload", False),
    ]


async def test_what_an_operator_ordered_outlives_a_reload(tmp_path: Path):
    async with Host() as core, steered(core, tmp_path) as router:
        place = ("--socket", tmp_path / "admin.sock")
        await calls("backend", "core", core.address, "drain", "--weight", "5", *place)
        await router.router.reload()
        told = await calls("status", "--json", *place)
    (backend,) = json.loads(told.stdout)["services"][0]["backends"]
    assert (backend["state"], backend["weight"], backend["changed"]) == ("drain", 5, ["admin", "weight"])


# --- no router there


def test_a_router_that_does_not_run_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "router.toml").write_text('[admin]\nsocket = "admin.sock"\n')
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    for place in (("--config", tmp_path / "router.toml"), ("--socket", tmp_path / "dead.sock"), ("--address", "127.0.0.1:1")):
        for command in (["status"], ["top"], ["exchanges"], ["failback", "core"], ["backend", "core", "x", "ready"]):
            result = call(*command, *place)
            assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1), result.output
            assert result.stderr.startswith("E-ADM-06: no router answers: ")


@contextmanager
def stranger(answer: bytes) -> Iterator[str]:
    """A server that is no router."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            with door.accept()[0] as client:
                client.recv(65_536)
                client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{door.getsockname()[1]}"
        thread.join(3)


@pytest.mark.parametrize(
    "answer",
    [b"0300HDRREQ", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', b"HTTP/1.1 404 No\r\n\r\n<html>"],
    ids=["telegrams", "nothing", "text", "another object", "a web server"],
)  # fmt: skip
def test_whatever_else_answers_is_not_taken_for_a_router(answer: bytes):
    with stranger(answer) as address:
        result = call("status", "--address", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(("E-ADM-07: ", "E-ADM-06: ")) and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["status", "--config", "none.toml"], "There is no none.toml"),
        (["status", "--config", "bare.toml"], "has no [admin] table"),
        (["status", "--config", "any.toml"], "give --address"),
        (["status", "--socket", "a", "--address", "b:1"], "goes with neither"),
        (["status", "--address", "nowhere"], "is not an address: expected"),
        (["status", "--address", "nowhere:99999"], "is not an address: expected"),
        (["backend", "core", "b:1", "--socket", "a"], "What shall become of it?"),
        (["backend", "core", "b:1", "ready", "--wait", "1", "--socket", "a"], "--wait goes with"),
        (["backend", "core", "b:1", "off", "--socket", "a"], "is not one of"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare.toml").write_text('[log]\nlevel = "info"\n[listeners.a]\naddress = "127.0.0.1:1"\nspec = "firmbanking"\n')
    (tmp_path / "any.toml").write_text('[admin]\naddress = "127.0.0.1:0"\n')
    result = call(*arguments)
    assert result.exit_code == 2 and part in result.stderr, result.output


def test_a_broken_configuration_is_told_as_check_tells_it(tmp_path: Path):
    (tmp_path / "router.toml").write_text("[admin]\nsocket = 7\n")
    result = call("status", "--config", tmp_path / "router.toml")
    assert result.exit_code == 78 and "E-CFG-04" in result.stderr


# --- top on a terminal


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str | Path) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 30, 120, 0, 0))
        command = [sys.executable, "-m", "telegram_router", *map(str, arguments)]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
        os.close(slave)
        self.master = master
        self.text = ""

    def shows(self, wanted: str, times: int = 1) -> None:
        end = time.monotonic() + 20
        while self.text.count(wanted) < times:
            assert time.monotonic() < end, self.text
            self.text += os.read(self.master, 65_536).decode("utf-8", "replace")

    def ends(self) -> int:
        try:
            while True:
                self.text += os.read(self.master, 65_536).decode("utf-8", "replace")
        except OSError:
            os.close(self.master)
            return self.process.wait(5)


@pytest.mark.parametrize("way", ["q", "Ctrl-C"])
async def test_top_redraws_the_screen_until_it_is_left(way: str, tmp_path: Path):
    def use() -> tuple[int, str]:
        top = Screen("top", "--config", tmp_path / "router.toml", "--every", "0.1")
        top.shows("telegrams/s", times=3)
        if way == "q":
            os.write(top.master, b"q")
        else:
            top.process.send_signal(signal.SIGINT)
        return top.ends(), top.text

    async with Host() as core, steered(core, tmp_path):
        code, text = await trio.to_thread.run_sync(use)
    assert code == 0, text
    assert core.address in text and "Traceback" not in text
    assert text.endswith("\x1b[?25h\x1b[?1049l"), repr(text[-80:])  # the cursor is back, and what was there before


# --- health checks


async def test_a_probe_is_yes_while_the_router_takes_sessions_and_no_once_it_leaves(tmp_path: Path):
    async with Host() as core, steered(core, tmp_path, admin='address = "127.0.0.1:0"') as router:
        place = ("--address", str(router.router.admin_place))
        for what in ("livez", "readyz", "startupz"):
            said = await calls("probe", what, *place)
            assert (said.exit_code, said.stderr) == (0, ""), said.output
        router.router.hub.leaving = True
        assert (await calls("probe", "readyz", *place)).stdout == "it drains\n"
        assert (await calls("probe", "readyz", *place)).exit_code == 1
        assert (await calls("probe", *place)).exit_code == 0


# --- what top works out


def status(answered: int = 0, received: int = 0, uptime: float = 0.0, pid: int = 1, states: tuple[str, ...] = ("up",)) -> answers.Status:
    listener = answers.ListenerSeen("l", "a:1", "s", False, True, 1, 1, 1, 0, received, 0, 0, 0, {}, [], [])
    backends = [
        answers.BackendSeen(f"b{at}", state, "ready", "up", state == "up", 1, 0, 1, 2, answered, 0, [])  # type: ignore[arg-type]
        for at, state in enumerate(states)
    ]
    counts = [0] * 32
    counts[10] = answered
    service = answers.ServiceSeen("core", "telegram", "s", 0, "auto", 2, 3, answered, answered // 10, 0, 0, 0, 0.0, counts, [], backends)
    return answers.Status("1", pid, "then", uptime, True, False, 0, 0, 0, 0, [listener], [service], [], [])


def test_rates_are_differences_over_the_time_between():
    found = rates(status(100, 50, 10.0), status(300, 90, 12.0))
    whole, backend = found.rows
    assert found.received == 20
    assert (whole.answered, whole.failed, whole.in_flight, whole.pending, whole.median) == (100, 10, 2, 3, 1024 / 1e6)
    assert (backend.backend, backend.answered, backend.median) == ("b0", 100, None)


def test_a_router_that_was_started_anew_has_no_rates_yet():
    found = rates(status(300, 90, 12.0), status(5, 5, 1.0, pid=2))
    assert found.received == 0 and {row.answered for row in found.rows} == {0}


@given(st.lists(st.integers(0, 1000), min_size=32, max_size=32), st.floats(0.01, 1))
def test_a_quantile_is_an_upper_bound_of_that_share(counts: list[int], share: float):
    found = quantile(counts, share)
    if found is None:
        assert sum(counts) == 0
    else:
        within = sum(count for place, count in enumerate(counts) if 2**place / 1e6 <= found)
        below = sum(count for place, count in enumerate(counts) if 2**place / 1e6 < found)
        assert within >= sum(counts) * share and (below < sum(counts) * share or below == 0)


def row(service: str, backend: str, state: str = "up", answered: float = 0.0) -> Row:
    return Row(service, backend, state, True, answered, 0, 0, 0, None, None)


def test_where_not_all_fit_services_come_first_then_trouble_then_the_busiest():
    rows = [row("s", ""), row("s", "idle"), row("s", "busy", answered=9), row("s", "gone", "down"), row("t", "")]
    assert [each.backend or each.service for each in shortened(rows, 4)] == ["s", "busy", "gone", "t"]
    assert shortened(rows, 5) == rows


def test_the_screen_is_no_taller_than_the_terminal_with_200_backends_and_any_number_of_exchanges():
    exchange = answers.ExchangeSeen(
        12.0, "transfer.request", {"message_number": "000001"}, "r", "l#1", "c#1", "core", "sent", "sent_unknown"
    )
    look = Look(status(states=("up",) * 190 + ("down",) * 10), answers.Exchanges(50, [exchange] * 50))
    for height in (24, 30, 60):
        console = Console(width=100, height=height, force_terminal=True, markup=False)
        with console.capture() as captured:
            console.print(screen(look, look, (100, height)))
        drawn = captured.get()
        assert drawn.count("\n") <= height
        assert drawn.count("down") >= min(10, height - 17)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.25, "250 ms"), (1.9, "1 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_lengths_of_time_are_written_as_people_say_them(seconds: float, text: str):
    assert lasting(seconds) == text


@pytest.mark.parametrize("order", [("top", "--every"), ("status", "--watch"), ("drain", "branches", "--over"), ("demote", "--wait")])
def test_an_endless_time_or_none_at_all_is_wrong_usage(order: tuple[str, ...]):
    for seconds in ("nan", "inf"):
        told = call(*order, seconds, "--socket", "router.sock")
        assert told.exit_code == 2 and ("no number of seconds" in told.output or "not in the range" in told.output)
