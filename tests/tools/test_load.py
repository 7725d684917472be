"""`load` against hosts that answer, do not, answer twice, late, or go: every request is accounted for."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result
from free_ports import free_port
from running_router import answer_to, field, spec_named, telegram, transfer

from telegram_router import plan
from telegram_router.cli import main
from telegram_router.cli.loading import live_lines, spark
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.tools.load import Load, Plan, Tally
from telegram_router.tools.load_telegrams import LoadError, Requests, captured, made_up

read_once = functools.cache(plan.read_spec)


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling the spec takes most of the time of a command."""
    monkeypatch.setattr("telegram_router.plan.read_spec", read_once)


Behaviour = Callable[[socket.socket, bytes, int], None]  # connection, request, how many came before it


def answers(connection: socket.socket, frame: bytes, _count: int) -> None:
    connection.sendall(answer_to(frame))


@contextmanager
def host(behave: Behaviour = answers, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A host on a port of its own, a thread for each connection."""
    lock, seen = threading.Lock(), [0]
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        buffer = b""
        try:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
                connections.append(connection)
            while data := connection.recv(65_536):
                buffer += data
                while len(buffer) >= 304:
                    frame, buffer = buffer[:304], buffer[304:]
                    with lock:
                        number, seen[0] = seen[0], seen[0] + 1
                    behave(connection, frame, number)
        except OSError:
            pass
        finally:
            connection.close()

    def accept(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connections.append(connection)
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    server = socket.create_server(("127.0.0.1", 0))
    waiting = threading.Thread(target=accept, args=(server,), daemon=True)
    waiting.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        waiting.join(2)
        for thread in threads:
            thread.join(2)
        for connection in connections:
            connection.close()


def run(port: int, **plan: object) -> Tally:
    spec = spec_named("firmbanking")
    asked = Plan("127.0.0.1", port, **{"seconds": None, "timeout": 0.2, **plan})  # type: ignore[arg-type]
    return Load(asked, Requests(spec, made_up(spec, ["transfer.request"], "1"))).run()


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["load", *map(str, arguments)], prog_name="telegram-router")


# --- what becomes of requests


@pytest.mark.parametrize(("clients", "window"), [(1, 1), (5, 1), (3, 64)])
def test_every_request_is_answered_once_and_counted(clients: int, window: int):
    with host() as port:
        tally = run(port, clients=clients, window=window, count=500)
    assert (tally.planned, tally.sent, tally.answered, tally.latency.count) == (500, 500, 500, 500)
    assert tally.good and tally.codes == {"0000": 500}


def refuses_some(connection: socket.socket, frame: bytes, count: int) -> None:
    connection.sendall(answer_to(frame, "9210" if count % 10 == 3 else "0000"))


def test_answers_are_counted_by_their_response_code():
    with host(refuses_some) as port:
        assert run(port, clients=2, window=8, count=100).codes == {"0000": 90, "9210": 10}


def test_what_is_missing_doubled_late_or_unasked_is_counted_and_the_sum_holds():
    late: list[bytes] = []

    def behave(connection: socket.socket, frame: bytes, count: int) -> None:
        if count == 5:
            return
        if count == 7:
            late.append(answer_to(frame))
            return
        connection.sendall(answer_to(frame) * (2 if count == 11 else 1))
        if count == 13:
            connection.sendall(answer_to(telegram("transfer.request", number=777_777)))
        if late and count == 60:
            connection.sendall(late.pop())

    with host(behave) as port:
        tally = run(port, clients=1, window=4, count=61, rate=120.0)
    assert (tally.planned, tally.answered, tally.missing) == (61, 59, 2)
    assert (tally.duplicates, tally.unexpected, tally.late) == (1, 1, 1)
    assert tally.sums and not tally.good


def test_requests_of_a_connection_that_ends_are_lost_and_the_others_go_on():
    def behave(connection: socket.socket, frame: bytes, count: int) -> None:
        if count == 50:
            connection.shutdown(socket.SHUT_RDWR)
        answers(connection, frame, count)

    with host(behave) as port:
        tally = run(port, clients=4, window=5, count=400)
    assert tally.refused == 1 and 1 <= tally.lost <= 5
    assert tally.sums and tally.answered + tally.lost == 400


def test_an_answer_that_cannot_be_cut_ends_its_connection_and_is_told():
    with host(lambda connection, frame, count: connection.sendall(b"garbage" * 50)) as port:
        tally = run(port, clients=1, window=1, count=10)
    assert (tally.unreadable, tally.lost, tally.sums) == (1, 1, True) and not tally.good


def test_what_could_not_be_sent_any_more_is_told_as_not_sent():
    with host(lambda connection, frame, count: connection.shutdown(socket.SHUT_RDWR)) as port:
        tally = run(port, clients=1, window=64, rate=200.0, count=40)
    assert tally.lost + tally.not_sent == 40 and tally.not_sent and tally.sums


# --- when


def test_an_open_loop_sends_as_many_as_its_rate_says():
    with host() as port:
        tally = run(port, clients=4, window=64, rate=1_000.0, seconds=0.2)
    assert tally.answered == 200 and tally.good and tally.lag.count == 200


def test_times_of_a_poisson_process_are_those_of_its_seed():
    spec = spec_named("firmbanking")
    requests = Requests(spec, made_up(spec, ["transfer.request"], "1"))
    plans = [Plan("127.0.0.1", 1, rate=1_000.0, poisson=True, seconds=20.0, seed=seed) for seed in (7, 7, 8)]
    one, same, other = (list(Load(plan, requests)._schedule()) for plan in plans)
    assert one == same != other and 19_000 < len(one) < 21_000
    assert list(Load(Plan("127.0.0.1", 1, rate=100.0, seconds=None, count=5), requests)._schedule()) == [0.0, 0.01, 0.02, 0.03, 0.04]


def test_a_host_that_stalls_once_cannot_hide_it():
    """Latency counts from when a request was due: by the time of sending alone only one request would be slow."""

    def behave(connection: socket.socket, frame: bytes, count: int) -> None:
        if count == 50:
            time.sleep(0.2)
        answers(connection, frame, count)

    with host(behave) as port:
        tally = run(port, clients=1, window=1, rate=500.0, seconds=0.3, timeout=2.0)
    assert tally.good and tally.held
    slow = tally.latency.above(50_000_000)
    assert slow >= 25 and tally.service.above(50_000_000) <= 3


# --- what is sent


def test_each_request_has_a_number_of_its_own_and_numbers_wrap_with_their_field():
    spec = spec_named("firmbanking")
    requests = Requests(spec, made_up(spec, ["transfer.request", "balance.request"], "1"), first=999_998)
    frames = [requests.frame(number) for number in range(4)]
    assert [field(frame, "message_number") for frame in frames] == ["999998", "999999", "000000", "000001"]
    assert [requests.number_of(answer_to(frame)) for frame in frames] == [0, 1, 2, 3]
    assert {spec.message_of(frame).name for frame in frames} == {"transfer.request", "balance.request"}  # type: ignore[union-attr]
    for frame in frames:
        spec.decode(frame)


@pytest.mark.parametrize("name", ["ksnet", "hmfb", "vas", "bancassurance"])
def test_the_number_of_every_shipped_spec_is_found(name: str):
    spec = spec_named(name)
    requests = Requests(spec, made_up(spec, [], "1"))
    assert len({spec.correlate(requests.frame(number)) for number in range(300)}) == 300


def test_a_spec_without_a_number_a_wrong_field_and_a_wrong_message_are_told():
    spec = spec_named("firmbanking")
    with pytest.raises(LoadError, match="E-RPL-02"):
        Requests(spec_named("zengin"), [])
    with pytest.raises(LoadError, match="E-RPL-02"):
        Requests(spec, made_up(spec, [], "1"), sequence="response_code")
    with pytest.raises(LoadError, match="E-RPL-01"):
        made_up(spec, ["transfer.response"], "1")
    with pytest.raises(LoadError, match="E-RPL-01"):
        Requests(spec, captured(spec, [{"raw": answer_to(transfer(1))}], []))


# --- the command


def test_the_command_says_how_it_went_and_ends_with_zero():
    with host() as port:
        done = call("--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--message", "transfer.request", "--count", 50, "--window", 5)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("50 planned  50 sent  50 answered in ") and "every request was answered once" in done.stdout
    assert "answers by code: 0000 50" in done.stdout and "n/a" in done.stdout  # p99.9 of fifty


def test_the_command_ends_with_one_where_answers_are_missing_and_writes_json(tmp_path: Path):
    with host(lambda connection, frame, count: None if count == 3 else answers(connection, frame, count)) as port:
        done = call(
            "--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--message", "transfer.request", "--count", 20, "--timeout", "100ms", "--json",
            "--hgrm", tmp_path / "out.hgrm",
        )  # fmt: skip
    found = json.loads(done.stdout)
    assert (done.exit_code, found["missing"], found["answered"], found["sums"], found["sequence"]) == (
        1,
        1,
        19,
        True,
        "header.message_number",
    )
    assert "Total count    =           19" in (tmp_path / "out.hgrm").read_text("utf-8")


def test_the_requests_of_a_capture_are_sent(tmp_path: Path):
    path = tmp_path / "day.tgcap.jsonl"
    writer = CaptureWriter(path, records.head(t0=0, source="proxy", spec="firmbanking"))
    for number, amount in enumerate((10, 20)):
        writer.write(records.telegram(number, "c1", ">", transfer(1, amount=amount)))
        writer.write(records.telegram(number, "c1", "<", answer_to(transfer(1, amount=amount))))
    writer.close()
    seen: list[str] = []

    def behave(connection: socket.socket, frame: bytes, count: int) -> None:
        seen.append(field(frame, "amount"))
        answers(connection, frame, count)

    with host(behave) as port:
        assert call("--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--capture", path, "--count", 4, "--clients", 1).exit_code == 0
    assert seen == ["0000000000010", "0000000000020"] * 2


def test_a_target_that_cannot_be_reached_and_wrong_usage_have_codes_of_their_own(tmp_path: Path):
    port = free_port()
    gone = call("--to", f"127.0.0.1:{port}", "--spec", "firmbanking")
    assert gone.exit_code == 4 and gone.stderr == f"E-RPL-04: 127.0.0.1:{port} cannot be reached: Connection refused\n"
    for wrong in (
        ["--to", "here"],
        ["--to", "h:1", "--rate", "5"],
        ["--to", "h:1", "--duration", "5"],
        ["--to", "h:1", "--poisson"],
        ["--to", "h:1", "--ca", "x"],
    ):
        assert call(*wrong, "--spec", "firmbanking").exit_code == 2
    nothing = call("--to", "h:1", "--spec", "firmbanking", "--tls", "--ca", tmp_path / "none.pem")
    assert nothing.exit_code == 2 and "--ca: cannot be read (No such file or directory)" in nothing.stderr
    (tmp_path / "foreign").write_bytes(b"no capture\n")
    for wrong, code in ((["--message", "nothing"], 2), (["--capture", tmp_path / "none"], 2), (["--capture", tmp_path / "foreign"], 5)):
        assert call("--to", "h:1", "--spec", "firmbanking", *wrong).exit_code == code


def test_it_speaks_tls_and_verifies_the_server(tmp_path: Path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("host.example").configure_cert(context)
    common = ("--spec", "firmbanking", "--message", "transfer.request", "--count", 20, "--window", 4, "--tls", "--ca", tmp_path / "ca.pem")
    with host(tls=context) as port:
        assert call("--to", f"127.0.0.1:{port}", *common, "--server-name", "host.example").exit_code == 0
        refused = call("--to", f"127.0.0.1:{port}", *common, "--server-name", "other.example")
    assert refused.exit_code == 4 and "certificate is refused: Hostname mismatch" in refused.stderr


def test_a_request_that_nobody_answers_holds_its_connection_up_no_longer_than_the_timeout():
    with host(lambda connection, frame, count: None if count == 1 else answers(connection, frame, count)) as port:
        tally = run(port, clients=1, window=1, count=5, timeout=0.05)
    assert (tally.planned, tally.answered, tally.missing) == (5, 4, 1) and tally.sums


@pytest.mark.parametrize(("signals", "code"), [([signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130)])
def test_a_signal_ends_the_sending_and_another_the_waiting(signals: list[signal.Signals], code: int):
    def behave(connection: socket.socket, frame: bytes, count: int) -> None:
        if count == 3:
            for number in signals:
                os.kill(os.getpid(), number)
                time.sleep(0.02)
        if len(signals) == 1 or count < 3:
            answers(connection, frame, count)

    with host(behave) as port:
        done = call("--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--clients", 1, "--json", "--quiet")
    told = json.loads(done.stdout)
    assert done.exit_code == code and told["interrupted"] and told["sums"]
    assert told["lost"] == (0 if len(signals) == 1 else 1)


def test_a_distribution_that_cannot_be_written_is_told_behind_the_report(tmp_path: Path):
    with host() as port:
        done = call("--to", f"127.0.0.1:{port}", "--spec", "firmbanking", "--count", 3, "--hgrm", tmp_path / "no" / "x.hgrm")
    assert done.exit_code == 2 and "3 answered" in done.stdout and "E-RPL-08" in done.stderr


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_the_chart_is_no_wider_than_the_terminal(columns: int):
    lines = live_lines([1_000.0] * 60, [5.0] * 60, ("30 s of 60 s", "640 open  12 wrong"), columns)
    assert max(map(len, lines)) < columns
    assert columns < 60 or lines[1].endswith("12 wrong")


def test_the_chart_shows_the_largest_value_highest():
    assert spark([0.0, 4.0, 8.0]) == " ▄█" and spark([]) == "" and spark([0.0]) == " "
