"""What only real sockets and a real process can show: file descriptors, exit codes, the log of a fault."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import trio

from telegram_router.app import Router
from telegram_router.ops.logs import open_log
from telegram_router.plan import read_plan

ROOT = Path(__file__).parents[2]
FAULTY = """
import sys, time
from telegram_router.routing import Switch
ticks = []
def tick(switch, now):
    ticks.append(now)
    if len(ticks) == 1:
        time.sleep(0.05)
    if len(ticks) == 3:
        raise ValueError("SECRET 8001011234567")
Switch.tick = tick
from telegram_router.cli import main
main()
"""


def config(folder: Path, host_port: int, timeout: str = "200ms") -> Path:
    file = folder / "router.toml"
    file.write_text(f"""
        specs = "{ROOT / "tests" / "benchmarks" / "specs"}"
        [listeners.lab]
        address = "127.0.0.1:0"
        spec = "lab"
        [services.transfer]
        backends = ["127.0.0.1:{host_port}"]
        timeout = "{timeout}"
        [[routes]]
        listener = "lab"
        service = "transfer"
        default = true
    """)
    return file


def telegram(kind: str, number: int) -> bytes:
    return f"0016{kind}TR{number:010d}".encode()


def test_a_fault_that_ends_the_hub_ends_the_process_with_70_and_a_log_without_values(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as host:
        file = config(tmp_path, host.getsockname()[1])
        router = subprocess.run([sys.executable, "-c", FAULTY, "run", str(file)], cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert router.returncode == 70
    assert b"SECRET" not in router.stderr
    assert b"Traceback" not in router.stderr
    lines = [json.loads(line) for line in router.stderr.splitlines()]
    [bug] = [line for line in lines if line["event"] == "bug"]
    assert bug["level"] == "error"
    assert "tick" in str(bug)
    slow = [line for line in lines if line["event"] == "slow_step"]  # on a busy machine starting may be slow, too
    assert any("Hub.run" in line["task"] and line["took_ms"] >= 50 for line in slow)
    assert lines[-1] is bug or lines[-1]["event"] != "started"


def test_a_hangup_signal_reloads_the_file_and_the_session_that_is_there_stays(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as host:
        file = config(tmp_path, host.getsockname()[1])
        router = subprocess.Popen([sys.executable, "-m", "telegram_router", "run", str(file)], cwd=ROOT, stderr=subprocess.PIPE)
        try:
            assert router.stderr is not None
            log = (json.loads(line) for line in router.stderr)
            started = next(line for line in log if line["event"] == "started")
            link, _ = host.accept()
            name, _, port = started["listeners"]["lab"].rpartition(":")
            with link, socket.create_connection((name, int(port)), 5) as session:
                file.write_text("nonsense")
                router.send_signal(signal.SIGHUP)
                assert next(line for line in log if line["event"] == "reload_failed")["code"] == "E-CFG-02"
                config(tmp_path, host.getsockname()[1], timeout="300ms")
                router.send_signal(signal.SIGHUP)
                assert next(line for line in log if line["event"] == "reloaded")["changed"] == ["services.transfer.timeout"]
                session.sendall(telegram("0200", 7))
                link.settimeout(5)
                link.sendall(link.recv(100).replace(b"0200TR", b"0210TR"))
                session.settimeout(5)
                assert session.recv(100) == telegram("0210", 7)
            router.send_signal(signal.SIGTERM)
            assert router.wait(10) == 0
        finally:
            router.kill()
            router.communicate()


async def test_a_router_that_has_stopped_leaves_no_file_descriptor_and_no_open_exchange(tmp_path: Path) -> None:
    before = descriptors()
    async with trio.open_nursery() as nursery:
        host = await nursery.start(serve_host)
        log = open_log("error", io.BytesIO())
        router = Router(read_plan(config(tmp_path, host)), log)
        await nursery.start(router.run)
        address = router.addresses["lab"]
        async with trio.open_nursery() as clients:
            for number in range(30):
                clients.start_soon(ask, address, number)
        switch = router.switch
        assert switch.idle
        assert not any(lane.open for session in switch.listeners["lab"].sessions for lane in session.lanes)
        router.stop()
        with trio.fail_after(5):
            while router.hub.connections:  # noqa: ASYNC110
                await trio.sleep(0.005)
        assert not router.hub.by_peer
        assert not switch.listeners["lab"].sessions
        nursery.cancel_scope.cancel()
    log.close()
    assert descriptors() == before


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def serve_host(task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send_all(bytes(data).replace(b"0200TR", b"0210TR"))

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listener.socket.getsockname()[1])
    await trio.serve_listeners(answer, [listener])


async def ask(address: tuple[str, int], number: int) -> None:
    """A third of the clients goes well, a third resets with an answer on its way, a third stays until it is parted with."""
    stream = await trio.open_tcp_stream(*address)
    await stream.send_all(telegram("0200", number))
    if number % 3 == 1:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.socket.close()
        return
    got = b""
    with trio.fail_after(5):
        while len(got) < 20:
            got += await stream.receive_some()
    assert got == telegram("0210", number)
    await stream.aclose()
