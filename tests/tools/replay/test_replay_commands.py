"""`replay` as people meet it: real sockets on loopback, exit codes, reports."""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import socket
import ssl
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result
from free_ports import free_port
from replay_kit import SPEC, Sheet, as_recorded, part, sample, transfers

from telegram_router.cli import main

Reply = Callable[[bytes], bytes]


def right(request: bytes) -> bytes:
    (answer,) = as_recorded()(request)
    assert isinstance(answer, bytes)
    return answer


class Target(threading.Thread):
    """A host on a port of its own."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(daemon=True)
        self.reply = reply
        self.got: list[bytes] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def run(self) -> None:
        while True:
            try:
                session, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(session,), daemon=True).start()

    def serve(self, session: socket.socket) -> None:
        held = b""
        with session, suppress(ConnectionError):  # who gave up may reset
            while data := session.recv(65_536):
                held += data
                while len(held) >= 304:
                    request, held = held[:304], held[304:]
                    self.got.append(request)
                    answer = self.reply(request)
                    if answer == b"close":
                        return
                    session.sendall(answer)


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting the garbage of all tests takes most of the time of a command."""
    monkeypatch.setattr("telegram_router.cli.replay_run.calm_the_collector", lambda: None)


@pytest.fixture
def target() -> Iterator[Target]:
    host = Target(right)
    host.start()
    yield host
    host.listening.close()


@functools.cache
def written(count: int, every: float) -> bytes:
    stream = io.BytesIO()
    transfers(count, every=every).written(stream)
    return stream.getvalue()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "day.tgcap.jsonl"
    path.write_bytes(written(5, 0.002))
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)], prog_name="telegram-router")


def test_a_target_that_answers_as_then_is_exit_0_and_no_word_on_stderr(capture: Path, target: Target):
    done = call(capture, "--to", target.address)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("5 planned  5 sent  same 5  different 0  missing 0\n")


def test_one_changed_reply_field_is_exactly_one_difference_and_exit_1(capture: Path, target: Target, tmp_path: Path):
    target.reply = lambda request: right(request) if len(target.got) != 3 else sample("transfer.response", message_number=part(request, "message_number"), sent_date=part(request, "sent_date"), response_code="9210")  # fmt: skip
    done = call(capture, "--to", target.address, "--report", tmp_path / "out")
    assert done.exit_code == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (field,) = report["fields"]
    assert (field["field"], field["offset"], field["length"], field["count"]) == ("header.response_code", 52, 4, 1)
    assert (field["samples"][0]["expected"], field["samples"][0]["got"]) == ("0000", "9210")
    assert "header.response_code  [52..55]" in done.stdout and 'expected "0000"  got "9210"' in done.stdout
    assert "FAIL different>0" in done.stdout and "--only x3" in done.stdout
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert suite.get("failures") == "2" and "9210" in (suite.findtext("testcase/failure") or "")
    assert "#[Max" in (tmp_path / "out" / "latency.hgrm").read_text()


def test_values_that_are_not_clear_are_in_no_report_unless_asked_for(capture: Path, target: Target, tmp_path: Path):
    target.reply = lambda request: sample("transfer.response", message_number=part(request, "message_number"), sent_date=part(request, "sent_date"), withdrawal_account="998877665544")  # fmt: skip
    done = call(capture, "--to", target.address, "--report", tmp_path / "out")
    texts = [done.stdout, *(path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir() if path.is_file())]
    assert done.exit_code == 1 and "body.withdrawal_account" in done.stdout
    for secret in ("998877665544", part(sample("transfer.request"), "withdrawal_account")):
        assert not any(secret in text or secret.encode().hex() in text for text in texts)
    assert "998877665544" in call(capture, "--to", target.address, "--show-values").stdout


def test_a_broken_threshold_of_time_is_exit_3_and_behaviour_goes_before_it(capture: Path, target: Target):
    assert call(capture, "--to", target.address, "--fail-on", "max>1us").exit_code == 3
    target.reply = lambda request: sample("transfer.response", message_number=part(request, "message_number"), sent_date=part(request, "sent_date"), response_code="9210")  # fmt: skip
    assert call(capture, "--to", target.address, "--fail-on", "max>1us, mismatch>0").exit_code == 1


def test_a_target_that_cannot_be_reached_is_exit_4_and_the_report_still_sums(capture: Path, tmp_path: Path):
    done = call(capture, "--to", f"127.0.0.1:{free_port()}", "--report", tmp_path / "out")
    assert done.exit_code == 4 and "E-RPL-04" in done.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["sums_up"] is True


def test_a_connection_that_is_lost_is_exit_4_even_where_answers_differ(capture: Path, target: Target):
    target.reply = lambda request: b"close" if len(target.got) == 2 else sample("transfer.response", message_number=part(request, "message_number"), sent_date=part(request, "sent_date"), response_code="9210")  # fmt: skip
    done = call(capture, "--to", target.address, "--pace", "max")
    assert done.exit_code == 4 and "closed 1" in done.stdout


def test_a_host_that_answers_garbage_or_never_is_told(capture: Path, target: Target):
    target.reply = lambda request: b"HTTP/1.1 400 Bad Request\r\n\r\n"
    done = call(capture, "--to", target.address)
    assert done.exit_code == 4 and "what the target sent is no telegram of firmbanking" in done.stdout
    target.reply = lambda request: b""
    done = call(capture, "--to", target.address, "--timeout", "100ms", "--grace", "50ms")
    assert done.exit_code == 1 and "missing 5" in done.stdout


def test_an_address_of_the_capture_is_refused_until_it_is_named(tmp_path: Path, target: Target):
    path = tmp_path / "day.tgcap.jsonl"
    path.write_bytes(written(2, 0.002).replace(b"10.0.0.2:9000", target.address.encode()))
    done = call(path, "--to", f"localhost:{target.port}")
    assert done.exit_code == 2 and "E-RPL-05" in done.stderr and target.got == []
    assert call(path, "--to", target.address, "--i-know-this-is", "127.0.0.1", "--fail-on", "mismatch>0").exit_code in (0, 5)


def test_a_protected_host_is_refused(capture: Path, target: Target, tmp_path: Path):
    done = call(capture, "--to", target.address, "--protected", "127.0.0.1")
    assert done.exit_code == 2 and "E-RPL-05" in done.stderr and target.got == []
    rules = tmp_path / "rules.toml"
    rules.write_text(f'protected = ["{target.address}"]\n')
    assert call(capture, "--to", target.address, "--rewrite", rules).exit_code == 2


def test_a_damaged_capture_is_exit_5_and_what_can_be_read_is_sent(capture: Path, target: Target):
    lines = capture.read_text().splitlines(keepends=True)
    capture.write_text("".join([*lines[:4], "{damaged\n", *lines[5:]]))
    assert call(capture, "--to", target.address).exit_code == 5
    assert len(target.got) >= 4


def test_strict_refuses_a_capture_that_was_not_closed(capture: Path, target: Target):
    capture.write_bytes(capture.read_bytes()[:-100])
    assert call(capture, "--to", target.address).exit_code == 0
    assert call(capture, "--to", target.address, "--strict").exit_code == 5


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 5), (b"hello\n", 5), (b"\x1f\x8b\x08\x00damaged", 5), (b"\xd4\xc3\xb2\xa1" + b"\0" * 20, 5)]
)
def test_what_is_no_capture_is_told(tmp_path: Path, content: bytes, code: int):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    done = call(path, "--to", "127.0.0.1:9")
    assert done.exit_code == code and done.stderr.startswith("E-CAP-0")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pace", "fast"], ["--pace", "0/s"], ["--seq", "a..b"], ["--from", "25h"], ["--fail-on", "mismatch"], ["--timeout", "5"],
        ["--select", "msg="], ["--connections", "many"], ["--compare", "yesterday"], ["--seq-field", "nothing", "--seq", "1..2"],
        ["--learn", "amount"], ["--business-date", "tomorrow"], ["--record", "x"], ["--to", "nowhere"],
    ],
    ids=lambda given: "-".join(given).replace("--", ""),
)  # fmt: skip
def test_a_setting_that_means_nothing_is_exit_2_before_anything_is_sent(capture: Path, target: Target, arguments: list[str]):
    done = call(capture, "--to", target.address, *arguments)
    assert done.exit_code == 2 and done.stderr and "Traceback" not in done.stderr and target.got == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["transfer.request"]\nnothing = "now"', "has no field nothing"),
        ('["transfer.reqest"]\namount = "set(1)"', "no message transfer.reqest"),
        ('["transfer.request"]\namount = "double"', "the rule cannot be understood"),
        ('["transfer.request"]\namount = "set(much)"', "body.amount"),
        ('["transfer.request"]\nmessage_type = "set(2100)"', "another value makes another telegram"),
        ('["transfer.request"]\namount = "now"', "it is no date or time"),
        ('["transfer.request"]\noriginal_number = "map(nothing)"', "no message has a field nothing"),
        ('["transfer.request"]\namount = "lookup(missing.csv)"', "cannot be read"),
        ("[transfer", "no TOML"),
    ],
)
def test_rules_that_cannot_be_are_told_with_their_place(capture: Path, target: Target, tmp_path: Path, text: str, said: str):
    rules = tmp_path / "rules.toml"
    rules.write_text(text)
    done = call(capture, "--to", target.address, "--rewrite", rules)
    assert done.exit_code == 2 and done.stderr.startswith("E-RPL-03") and said in done.stderr and target.got == []


def test_masks_that_cannot_be_are_told_with_their_place(capture: Path, target: Target, tmp_path: Path):
    masks = tmp_path / "masks.toml"
    masks.write_text('["transfer.response"]\nfee = "numbr +-5"\n')
    done = call(capture, "--to", target.address, "--mask", masks)
    assert done.exit_code == 2 and "[transfer.response] fee" in done.stderr


def test_a_telegram_that_cannot_be_rebuilt_is_told_and_not_sent(capture: Path, target: Target, tmp_path: Path):
    (tmp_path / "accounts.csv").write_text("old,new\n999,111\n")
    rules = tmp_path / "rules.toml"
    rules.write_text('["transfer.request"]\nwithdrawal_account = "lookup(accounts.csv)"\n')
    done = call(capture, "--to", target.address, "--rewrite", rules)
    assert done.exit_code == 1 and "  5 not_sent: E-RPL-06: body.withdrawal_account" in done.stdout and target.got == []


def test_two_of_one_key_are_not_open_at_once_and_that_is_no_lost_connection(target: Target, tmp_path: Path):
    sheet = Sheet()
    for at in (0.0, 0.001):
        sheet.ask(at, sample("transfer.request"))
    path = tmp_path / "day.tgcap.jsonl"
    sheet.written(path)
    target.reply = lambda request: b""
    done = call(path, "--to", target.address, "--no-rewrite", "--timeout", "50ms", "--grace", "1ms")
    assert done.exit_code == 1 and "not_sent 1" in done.stdout and "E-RPL-06" in done.stdout and "INCOMPLETE" not in done.stdout


def test_a_selection_of_nothing_is_told_with_what_was_left_out(capture: Path, target: Target):
    done = call(capture, "--to", target.address, "--select", "msg=credit.*")
    assert done.exit_code == 2 and "E-RPL-01" in done.stderr and "5 not selected" in done.stderr


def test_a_dry_run_sends_nothing_and_shows_what_would_change(capture: Path, tmp_path: Path):
    done = call(capture, "--dry-run")
    assert done.exit_code == 0
    assert done.stdout.startswith("5 would be sent") and "header.message_number [32..37]  000001 -> " in done.stdout
    shown = json.loads(call(capture, "--dry-run", "--json", "--limit", "2").stdout)
    assert shown["planned"] == 2 and {field["field"] for field in shown["samples"][0]["fields"]} == {"header.message_number", "header.sent_date", "header.sent_time"}  # fmt: skip


def test_resume_sends_nothing_twice(capture: Path, target: Target, tmp_path: Path):
    out = tmp_path / "out"
    assert call(capture, "--to", target.address, "--limit", "2", "--report", out).exit_code == 0
    assert call(capture, "--to", target.address, "--resume", out).exit_code == 0
    numbers = [part(request, "message_number") for request in target.got]
    assert len(numbers) == 5 == len(set(numbers))
    assert call(capture, "--to", target.address, "--resume", out).exit_code == 2  # there is no more
    assert len(target.got) == 5


def test_what_a_resumed_run_refers_to_is_what_the_run_before_sent(target: Target, tmp_path: Path):
    sheet = transfers(3, every=0.002)
    sheet.ask(0.01, sample("result.request", message_number="000004", original_number="000002"))
    path, out = tmp_path / "day.tgcap.jsonl", tmp_path / "out"
    sheet.written(path)
    target.reply = lambda request: right(request) if part(request, "message_type") == "2000" else b""
    assert call(path, "--to", target.address, "--limit", "3", "--report", out).exit_code == 0
    call(path, "--to", target.address, "--resume", out, "--timeout", "1ms", "--grace", "1ms")
    assert part(target.got[3], "original_number") == part(target.got[1], "message_number")
    assert (out / "state").stat().st_mode & 0o077 == 0


def test_what_waited_for_a_window_when_a_run_was_ended_is_sent_by_the_next(capture: Path, target: Target, tmp_path: Path):
    target.reply = lambda request: b"" if len(target.got) > 1 else interrupting(request)
    first = call(capture, "--to", target.address, "--window", "1", "--report", tmp_path / "out")
    sent = len(target.got)
    target.reply = right
    assert first.exit_code == 130 and sent < 5
    call(capture, "--to", target.address, "--resume", tmp_path / "out")
    assert len(target.got) == 5 and len({part(request, "message_number") for request in target.got}) == 5


def test_resume_wants_the_same_capture_and_a_state(capture: Path, target: Target, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    done = call(capture, "--to", target.address, "--resume", tmp_path / "empty")
    assert done.exit_code == 2 and "E-RPL-07" in done.stderr


def interrupting(request: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGINT)
    return right(request)


def test_masks_are_proposed_with_their_evidence(capture: Path, target: Target, tmp_path: Path):
    target.reply = lambda request: sample("transfer.response", message_number=part(request, "message_number"), sent_date=part(request, "sent_date"), fee=str(len(target.got)))  # fmt: skip
    assert call(capture, "--to", target.address, "--report", tmp_path / "out").exit_code == 1
    proposed = call("masks", "--suggest", tmp_path / "out" / "report.json")
    assert proposed.exit_code == 0 and '["transfer.response"]\n"body.fee" = "' in proposed.stdout
    masks = tmp_path / "masks.toml"
    masks.write_text(proposed.stdout)
    assert call(capture, "--to", target.address, "--mask", masks, "--fail-on", "mismatch>5").exit_code == 0


def test_masks_need_a_report(capture: Path):
    done = call("masks", "--suggest", capture)
    assert done.exit_code == 2 and "E-RPL-08" in done.stderr


def test_ctrl_c_ends_with_the_report_of_what_there_is(tmp_path: Path, target: Target):
    path, out = tmp_path / "long.tgcap.jsonl", tmp_path / "out"
    path.write_bytes(written(200, 0.05))
    target.reply = lambda request: interrupting(request) if len(target.got) == 3 else right(request)
    done = call(path, "--to", target.address, "--report", out)
    report = json.loads((out / "report.json").read_text())
    assert done.exit_code == 130 and report["interrupted"] and report["sums_up"] and 3 <= report["planned"] < 199
    assert "INCOMPLETE interrupted" in done.stdout and "Traceback" not in done.stderr


def test_the_spec_must_be_known(tmp_path: Path, target: Target):
    sheet = transfers(1)
    sheet.spec = "nobody"
    path = tmp_path / "day.tgcap.jsonl"
    sheet.written(path)
    assert call(path, "--to", target.address).exit_code == 2
    assert call(path, "--to", target.address, "--spec", SPEC.name).exit_code == 0


def test_the_page_needs_nothing_from_outside_and_has_charts_and_both_telegrams(capture: Path, target: Target, tmp_path: Path):
    target.reply = lambda request: sample("transfer.response", message_number=part(request, "message_number"), sent_date=part(request, "sent_date"), response_code="9210")  # fmt: skip
    call(capture, "--to", target.address, "--report", tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http-equiv", "") and "<script" not in text and "src=" not in text and "@import" not in text
    assert text.count("<svg") == 4 and "재생 결과" in text and "불일치" in text
    assert "<mark>39</mark> <mark>32</mark> <mark>31</mark>" in text  # 921 in the answer of now


def test_of_an_answer_that_cannot_be_read_the_page_shows_no_byte(capture: Path, target: Target, tmp_path: Path):
    target.reply = lambda request: right(request)[:104] + (b"4711" * 50)
    done = call(capture, "--to", target.address, "--report", tmp_path / "out")
    texts = [done.stdout, *(path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir() if path.is_file())]
    assert done.exit_code == 1 and "unparseable 5" in done.stdout
    assert not any("4711" in text or "34 37 31 31" in text for text in texts)


def test_a_target_is_spoken_to_through_tls_and_must_be_who_it_says(capture: Path, tmp_path: Path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    host = Target(right)
    host.listening = context.wrap_socket(host.listening, server_side=True)
    host.start()
    try:
        done = call(capture, "--to", host.address, "--tls-ca", tmp_path / "ca.pem", "--pace", "max")
        assert (done.exit_code, done.stderr) == (0, "") and len(host.got) == 5
        stranger = call(capture, "--to", host.address, "--tls")
        assert stranger.exit_code == 4 and "TLS" in stranger.stderr and len(host.got) == 5
    finally:
        host.listening.close()
