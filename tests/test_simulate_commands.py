"""`simulate` as people meet it: a process that says where it listens, takes orders, and ends with a verdict."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_capture_commands import day

from telegram_router.cli import exit_codes, main
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams import Framer, Spec, Telegram
from telegram_router.testing import read

SCENARIO = """
[scenario]
spec = "firmbanking"
name = "core"
seed = 42
[state.account]
key = "{withdrawal_account}"
rows = { "111" = { balance = "100000" } }
[[rule]]
match = 'msg=transfer.request'
update = { "state.account.balance" = "-f.amount" }
reply = { response_code = "0000" }
[[verify]]
name = "two transfers"
expect = 'count msg=transfer.request = 2'
"""
ROOT = Path(__file__).parent.parent
SAMPLE = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)], prog_name="telegram-router")


@contextmanager
def running(folder: Path, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A simulator as a process of its own, once it listens, and its port."""
    command = [sys.executable, "-m", "telegram_router", "simulate", *map(str, arguments), "--control", str(folder / "control")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"listens on 127\.0\.0\.1:(\d+)", first)
        assert found, first + process.stderr.read()
        while "Ctrl-C" not in process.stderr.readline():
            pass
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def ask(port: int, *frames: bytes) -> list[Telegram]:
    framer, found = Framer(firmbanking().framing), []
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        for frame in frames:
            sock.sendall(frame)
            while not (got := framer.take()):
                framer.feed(sock.recv(65_536))
            found += got
    return [firmbanking().decode(frame) for frame in found]


def transfer(account: str = "111") -> bytes:
    telegram = firmbanking().decode(SAMPLE)
    telegram.body |= {"withdrawal_account": account, "amount": 1000}
    return firmbanking().encode(telegram)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    return process.returncode, out


def test_a_simulator_takes_orders_and_ends_with_its_verdict(tmp_path: Path):
    scenario, record = tmp_path / "core.toml", tmp_path / "sim.tgcap.jsonl"
    scenario.write_text(SCENARIO, encoding="utf-8")
    control = ("--control", tmp_path / "control")

    def shown(*order: str | Path) -> Any:
        done = call("ctl", *order, *control, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    with running(tmp_path, scenario, "--listen", ":0", "--record", record) as (process, port):
        assert ask(port, transfer())[0]["response_code"] == "0000"
        assert shown("state")["state"]["account"]["111"]["balance"] == "99000"
        assert shown("set", "state.account[111].balance", "5") == {"state.account[111].balance": "5"}
        assert call("ctl", "verify", *control).exit_code == 1
        assert shown("fault", "add", "name='odd', match='msg=transfer.request', do={set={response_code='9999'}}") == {"added": "odd"}
        assert ask(port, transfer())[0]["response_code"] == "9999"
        assert shown("stats")["faults"] == {"odd": 1}
        assert shown("fault", "clear") == {"cleared": 1}
        assert shown("verify")["met"] is True
        assert call("ctl", "fault", "add", "do={lat='5s'}", *control).exit_code == 1
        assert call("ctl", "set", "nonsense", "5", *control).exit_code == 1
        code, out = ended(process)
        assert code == 0 and "met     two transfers" in out
    reader = CaptureReader(record)
    records = list(reader)
    assert [each["text"] for each in records if each["k"] == "note"] == ["fault odd: set on c2 message 1 (transfer.request)"]
    assert reader.head["seed"] == "42"


def test_a_verdict_that_is_not_met_is_exit_code_1_with_the_seed(tmp_path: Path):
    scenario = tmp_path / "core.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = call(scenario, "--duration", "10ms", "--control", tmp_path / "control")
    assert done.exit_code == 1
    assert "NOT MET two transfers" in done.stdout and "there were 0, expected = 2" in done.stdout and "--seed 42" in done.stdout


def quick(path: Path) -> Path:
    """Three transfers, two of them answered, within some milliseconds."""
    reader = CaptureReader(day(path.with_suffix(".slow")))
    writer = CaptureWriter(path, reader.head)
    for record in reader:
        writer.write(record | {"t": record["t"] // 1000})
    writer.close()
    return path


def sent_by_a_bank(capture: Path, port: int, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and result of a client of a capture."""
    done = call(capture, "--role", "client", "--to", f"127.0.0.1:{port}", "--control", capture.parent / "bank", "--json", *more)
    return done.exit_code, json.loads(done.stdout)["day"] if done.stdout else {"error": done.stderr}


def test_a_capture_alone_makes_a_host_and_a_bank(tmp_path: Path):
    capture = quick(tmp_path / "day.tgcap.jsonl")
    with running(tmp_path, capture, "--on-miss", "nearest") as (process, port):
        code, result = sent_by_a_bank(capture, port)
        assert (code, result["met"]) == (0, True)
        assert [result["requests"][name] for name in ("planned", "sent", "same", "not_compared")] == [3, 3, 2, 1]
        assert call("ctl", "fault", "add", "do={set={response_code='9999'}}", "--control", tmp_path / "control").exit_code == 0
        code, result = sent_by_a_bank(capture, port)
        assert (code, result["requests"]["different"]) == (1, 2)
        assert "header.response_code" in result["expectations"][0]["failures"][0]
        assert call("ctl", "fault", "clear", "--control", tmp_path / "control").exit_code == 0
        requests = [each for each in CaptureReader(capture) if each["k"] == "m" and each["d"] == ">"]
        replies = [each["raw"] for each in CaptureReader(capture) if each["k"] == "m" and each["d"] == "<"]
        first = ask(port, requests[0]["raw"])[0]
        assert firmbanking().encode(first) == replies[0]
        other = firmbanking().decode(requests[0]["raw"])
        other.header["message_number"] = "000777"
        assert ask(port, firmbanking().encode(other))[0]["message_number"] == "000777"
        assert ended(process)[0] == 0


def test_a_bank_that_loses_its_link_is_exit_code_4_and_its_report_adds_up(tmp_path: Path):
    capture = quick(tmp_path / "day.tgcap.jsonl")
    with socket.create_server(("127.0.0.1", 0)) as host:
        port = host.getsockname()[1]

        def answer_nothing_and_go() -> None:
            host.accept()[0].close()

        going = threading.Thread(target=answer_nothing_and_go)
        going.start()
        code, result = sent_by_a_bank(capture, port)
        going.join()
    assert code == 4 and result["counts"]["links_lost"] == 1
    found = result["requests"]
    assert found["planned"] == 3 == sum(count for name, count in found.items() if name not in ("planned", "sent"))


def test_a_bank_that_is_interrupted_is_exit_code_130_and_tells_how_far_it_came(tmp_path: Path):
    capture = quick(tmp_path / "day.tgcap.jsonl")
    with socket.create_server(("127.0.0.1", 0)) as host:

        def take_one_and_interrupt() -> None:
            with host.accept()[0] as sock:
                sock.recv(4)
                signal.raise_signal(signal.SIGINT)
                while sock.recv(65_536):
                    pass

        interrupting = threading.Thread(target=take_one_and_interrupt)
        interrupting.start()
        code, result = sent_by_a_bank(capture, host.getsockname()[1])
        interrupting.join()
    assert code == 130
    found = result["requests"]
    assert found["planned"] == 3 == sum(count for name, count in found.items() if name not in ("planned", "sent"))


def test_a_capture_is_not_sent_to_those_it_was_made_of(tmp_path: Path):
    capture = quick(tmp_path / "day.tgcap.jsonl")
    code, result = sent_by_a_bank(capture, 9000, "--protected", "127.0.0.1")
    assert code == 2 and "E-RPL-05" in result["error"] and "--i-know-this-is" in result["error"]
    done = call(capture, "--role", "client", "--to", "10.0.0.2:9000")
    assert done.exit_code == 2 and "the capture was made of it" in done.stderr


def test_a_damaged_capture_is_told_and_goes_before_a_verdict(tmp_path: Path):
    capture = quick(tmp_path / "day.tgcap.jsonl")
    lines = capture.read_bytes().splitlines(keepends=True)
    capture.write_bytes(b"".join([*lines[:3], b"{damaged\n", *lines[3:]]))
    done = call(capture, "--duration", "10ms", "--control", tmp_path / "control")
    assert done.exit_code == 5 and f"{capture}:4: " in done.stderr
    assert [exit_codes.first_of(codes) for codes in ((1, 3), (5, 1), (4, 5), (2, 4), (70, 2), (0,), ())] == [1, 5, 4, 2, 70, 0, 0]


def test_what_was_masked_beyond_use_is_left_out_and_counted(tmp_path: Path):
    capture = tmp_path / "day.tgcap.jsonl"
    reader = CaptureReader(quick(tmp_path / "whole.tgcap.jsonl"))
    writer = CaptureWriter(capture, reader.head)
    for record in reader:
        writer.write(record | {"raw": b"", "hmac": "00ff"} if record["k"] == "m" and record["n"] == 2 else record)
    writer.close()
    done = call(capture, "--duration", "10ms", "--control", tmp_path / "control")
    assert done.exit_code == 0, done.stderr
    assert f"{capture}: telegrams masked beyond use, left out: 1\n" in done.stderr
    assert f"{capture}: requests without a usable answer: 2\n" in done.stderr


IMPOSSIBLE = {
    "an unknown field": ("response_code", "respons_code", "E-SIM-03", 12, "response_code, perhaps"),
    "a missing file": ('rows = { "111" = { balance = "100000" } }', 'init = "accounts.csv"', "E-SIM-05", 8, "accounts.csv cannot be read"),
    "a rule that never holds": ("msg=transfer.request'", "msg=transfer.reqest'", "E-SIM-03", 10, "transfer.request, perhaps"),
    "a rule behind another": ("[[verify]]", "[[rule]]\nmatch = 'msg=transfer.request'\n[[verify]]", "E-SIM-02", 14, "never holds"),
    "code": ('reply = { response_code = "0000" }', 'call = "decide"', "E-SIM-06", 12, "--allow-code"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_bad_scenario_is_exit_code_2_and_names_line_and_cure(tmp_path: Path, what: str):
    before, after, code, line, cure = IMPOSSIBLE[what]
    scenario = tmp_path / "core.toml"
    assert before in SCENARIO
    scenario.write_text(SCENARIO.replace(before, after, 1), encoding="utf-8")
    done = call(scenario)
    assert done.exit_code == 2
    assert f"{code}: {scenario}:{line}: " in done.stderr and cure in done.stderr


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 5), (b"hello\n", 5), (b"\x1f\x8b\x08\0damaged", 5)], ids=["empty", "foreign", "damaged"]
)
def test_a_capture_that_is_none_is_exit_code_5(tmp_path: Path, content: bytes, code: int):
    capture = tmp_path / "day.tgcap.jsonl"
    capture.write_bytes(content)
    done = call(capture)
    assert done.exit_code == code and "E-CAP-0" in done.stderr


def test_a_client_that_nobody_waits_for_is_exit_code_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from telegram_router.tools.simulate import doors

    monkeypatch.setattr(doors, "TRIES", 1)
    scenario = tmp_path / "bank.toml"
    scenario.write_text('[scenario]\nspec = "firmbanking"\nrole = "client"\n', encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = call(scenario, "--to", f"127.0.0.1:{port}", "--control", tmp_path / "control")
    assert done.exit_code == 4, done.output
    assert "nobody answers" in done.stderr


def test_other_machines_are_not_served_unless_that_is_asked_for(tmp_path: Path):
    scenario = tmp_path / "core.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = call(scenario, "--listen", "0.0.0.0:0")
    assert done.exit_code == 2 and "--insecure-public" in done.stderr


def test_orders_to_nobody_are_told(tmp_path: Path):
    done = call("ctl", "stats", "--control", tmp_path / "nobody")
    assert done.exit_code == 1 and "no simulator answers" in done.stderr


def test_several_simulators_run_in_one_process(tmp_path: Path):
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(SCENARIO.split("[[verify]]")[0], encoding="utf-8")
    parts = "".join(
        f'[[simulators]]\nscenario = {{ spec = "firmbanking", name = "{name}" }}\n[[simulators.rule]]\nmatch = "msg=transfer.request"\nreply = {{}}\n'
        for name in ("van", "flaky")
    )
    two.write_text(parts, encoding="utf-8")
    done = call(one, two, "--duration", "10ms", "--control", tmp_path / "control", "--json")
    assert done.exit_code == 0 and done.stderr.count("listens on 127.0.0.1:") == 3
    assert list(json.loads(done.stdout)) == ["core", "van", "flaky"]
