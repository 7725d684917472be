"""A real process as systemd runs it: it says what it does, and it serves at sockets that somebody else keeps open."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from test_real_process import ROOT, config, telegram

# As systemd does it: descriptors from 3 on, and the process's own id. The process's first argument is the port's descriptor.
LIKE_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "telegram_router", *sys.argv[2:]])
"""


@contextmanager
def manager(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "notify"))
        sock.settimeout(10)
        yield sock


def heard(sock: socket.socket) -> dict[str, str]:
    """The next state that is told; the watchdog's food is none."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = dict(line.split("=", 1) for line in sock.recv(4096).decode().split("\n"))
        if "WATCHDOG" not in found:
            return found
    raise AssertionError("nothing but that it is alive")


@contextmanager
def router(file: Path, folder: Path, door: socket.socket | None = None, name: str = "lab") -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "3000000"}
    command = [sys.executable, "-m", "telegram_router", "run", str(file)]
    if door is not None:
        environment |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
        command = [sys.executable, "-c", LIKE_SYSTEMD, str(door.fileno()), "run", str(file)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, pass_fds=[door.fileno()] if door is not None else []
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def asks(door: socket.socket, host: socket.socket, number: int) -> bytes:
    """A client's telegram through the router to the host and back."""
    host.settimeout(10)
    link, _ = host.accept()
    with link, socket.create_connection(door.getsockname()[:2], 10) as session:
        session.sendall(telegram("0200", number))
        link.settimeout(10)
        link.sendall(link.recv(100).replace(b"0200TR", b"0210TR"))
        return session.recv(100)


def test_it_says_ready_reloading_ready_again_and_stopping(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as host, manager(tmp_path) as told:
        file = config(tmp_path, host.getsockname()[1])
        with router(file, tmp_path) as process:
            ready = heard(told)
            assert (ready["READY"], ready["MAINPID"]) == ("1", str(process.pid))
            assert ready["STATUS"] == "serving: 1 listeners, 1 services, 1 routes"
            for text, status in (("nonsense", "refused"), (file.read_text(), "1 routes")):
                file.write_text(text)
                process.send_signal(signal.SIGHUP)
                assert heard(told)["RELOADING"] == "1"
                again = heard(told)
                assert again["READY"] == "1"
                assert status in again["STATUS"]
            while b"WATCHDOG=1" not in told.recv(4096):
                pass
            process.send_signal(signal.SIGTERM)
            stopping = heard(told)
            assert stopping["STOPPING"] == "1"
            assert int(stopping["EXTEND_TIMEOUT_USEC"]) >= 30_000_000
            assert process.wait(10) == 0


def test_the_port_stays_open_over_a_restart_and_who_dials_meanwhile_is_served_by_the_next_process(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_server(("127.0.0.1", 0)) as host, manager(tmp_path) as told:
        file = config(tmp_path, host.getsockname()[1])
        port = door.getsockname()[1]
        file.write_text(file.read_text().replace('address = "127.0.0.1:0"', f'address = "127.0.0.1:{port}"'))
        with router(file, tmp_path, door) as first:
            assert heard(told)["READY"] == "1"
            assert asks(door, host, 1) == telegram("0210", 1)
            first.send_signal(signal.SIGTERM)
            assert first.wait(10) == 0
        heard(told)  # that it stops
        with socket.create_connection(("127.0.0.1", port), 10) as waiting:
            waiting.sendall(telegram("0200", 2))
            with router(file, tmp_path, door, "router.socket") as _:  # the unit's own name: found by its address
                assert heard(told)["READY"] == "1"
                link, _ = host.accept()
                with link:
                    link.settimeout(10)
                    link.sendall(link.recv(100).replace(b"0200TR", b"0210TR"))
                    waiting.settimeout(10)
                    assert waiting.recv(100) == telegram("0210", 2)


def test_a_socket_of_no_listener_is_a_mistake_in_a_file_and_no_reason_to_start_again(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as door, manager(tmp_path):
        with router(config(tmp_path, 1), tmp_path, door, "web") as process:
            _, said = process.communicate(timeout=30)
            assert process.returncode == 78
        assert said.startswith(b"E-CFG-06: ")
        assert f"127.0.0.1:{door.getsockname()[1]}".encode() in said
        assert b"Traceback" not in said


def test_sockets_that_were_passed_to_another_process_are_left_alone(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as host, manager(tmp_path) as told:
        file = config(tmp_path, host.getsockname()[1])
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "LISTEN_FDS": "1", "LISTEN_PID": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "telegram_router", "run", str(file)], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        )
        try:
            assert heard(told)["READY"] == "1"
        finally:
            process.kill()
            process.wait()
