"""The demo ends by itself with books that agree, and would say so if they did not."""

from __future__ import annotations

import copy
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click import unstyle
from played_demo import DemoRun
from trio.testing import MockClock

from telegram_router import demo
from telegram_router.cli import shown
from telegram_router.cli.shown import display_width
from telegram_router.demo import books as bookkeeping
from telegram_router.demo import screen
from telegram_router.demo.books import OK, Asked, Books, Check, CompanyBook, Entry, Notice, reconcile
from telegram_router.demo.processes import NotStarted
from telegram_router.demo.recordings import core_book, credit_book, line_book, notices_told
from telegram_router.demo.telegrams import ACCOUNTS, credit, shipped, transfer
from telegram_router.telegrams import Spec
from telegram_router.testing import simulator

COMMAND = [sys.executable, "-m", "telegram_router", "demo"]


@pytest.fixture
def folder(demo_run: DemoRun) -> Path:
    assert f"kept: {demo_run.folder}" in demo_run.stdout
    return demo_run.folder


def section(text: str, heading: str) -> list[str]:
    found = re.search(rf"^== {heading}\n\n(.*?)(?=^== |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1].splitlines()


def test_the_demo_ends_well_and_says_that_all_books_agree(demo_run: DemoRun):
    assert demo_run.returncode == 0, demo_run.stdout + demo_run.stderr
    assert demo_run.stderr == ""
    rows = section(demo_run.stdout, "reconciliation of everybody's books")
    verdicts = [line.split()[-1] for line in rows[1 : rows.index("")]]
    assert len(verdicts) >= 20 and set(verdicts) == {"yes"}
    assert "All books agree" in demo_run.stdout


def test_a_killed_host_leaves_unknown_ends_which_an_inquiry_clears_up(demo_run: DemoRun):
    text = "\n".join(section(demo_run.stdout, "what became of the transfers that were open when transfer-1 was killed"))
    assert text.count("VTIM  sent_unknown") >= 8
    assert "0000, executed" in text and "NREC, not on record" in text
    assert re.search(r"^\d+ waiting in the router, not sent yet: answered by transfer-2$", text, re.MULTILINE)


def test_every_kind_of_service_takes_part(demo_run: DemoRun):
    routed = "\n".join(section(demo_run.stdout, "what was routed where"))
    for party in ("transfer-1", "transfer-2", "HTTP/JSON service", "delivered to 가나상사", "delivered to 다라물산", "opening"):
        assert party in routed
    refused = "\n".join(section(demo_run.stdout, "what was refused, with its response code"))
    for code in ("0051", "SB08", "SB02", "SB01", "SB23", "SB03", "SB05"):
        assert re.search(rf"  {code}  ", refused), code


def test_a_telegram_is_shown_as_bytes_and_as_json(demo_run: DemoRun):
    text = "\n".join(section(demo_run.stdout, "one telegram and its JSON"))
    assert text.startswith("0000  30 33 30 30 53 45 54 54 4c 45 42 4e 4b") and '"message": "transfer.request"' in text


def test_keys_are_readable_by_their_owner_alone(folder: Path):
    keys = list(folder.glob("*.key"))
    assert len(keys) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*keys, *folder.glob("*.tgcap.jsonl*"))} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_routers_log_holds_no_value_that_is_not_clear(folder: Path):
    log = (folder / "router.log").read_text("utf-8")
    assert '"event":"link_lost"' in log and '"event":"bug"' not in log
    for value in ("3020000", "1101234567", "급여", "홍길동", "\\ud64d"):  # seven digits: a line's time has six together
        assert value not in log


def test_nothing_of_the_demo_outlives_it(folder: Path):
    def arguments(process: Path) -> bytes:
        try:
            return (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            return b""

    assert not [process for process in Path("/proc").glob("[0-9]*") if str(folder).encode() in arguments(process)]


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is short enough for sockets in it."""
    return tmp_path_factory.mktemp("demo")


def test_a_signal_ends_it_with_130_and_leaves_nothing(temporary: Path):
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(temporary)}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "what happens" in line:  # the hosts are there, and the router is about to be
                break
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (130, "")
    assert list(temporary.iterdir()) == []


def test_whoever_reads_half_of_it_gets_no_complaint(temporary: Path):
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(temporary)}
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141
    assert list(temporary.iterdir()) == []


# --- the books, falsified one by one


def company(name: str, number: str) -> CompanyBook:
    book = CompanyBook(name, number)

    def asked(number_: str, kind: str, code: str, **more: object) -> None:
        key = (number, number_)
        book.asked[key] = Asked(key, kind, 1000, 1.0, replies=[(2.0, code)], **more)  # type: ignore[arg-type]

    asked("000001", "transfer", OK)
    asked("000002", "transfer", bookkeeping.UNKNOWN)
    asked("000003", "transfer", bookkeeping.UNKNOWN)
    asked("000004", "transfer", bookkeeping.SHORT_OF_FUNDS)
    asked("000005", "transfer", "SB05")
    asked("000006", "credit", OK)
    asked("000007", "inquiry", OK, about=(number, "000002"), result=OK)
    asked("000008", "inquiry", OK, about=(number, "000003"), result=bookkeeping.NOT_ON_RECORD)
    book.notices.append((number, "900001"))
    return book


def lines(event: str, host: str, *numbers: str) -> list[Entry]:
    return [Entry(1.0, host, event, (owner, number), 1000) for owner in ("A", "B") for number in numbers]


def books() -> Books:
    """Two companies, one transfer each of every outcome; two ended unknown, of which the host had executed one."""
    ledger = [
        *lines("received", "transfer-1", "000001", "000002", "000003", "000004"),
        *lines("executed", "transfer-1", "000001", "000002"),
        *lines("refused", "transfer-1", "000004"),
    ]
    notices = {(owner, "900001"): Notice((owner, "900001"), 5000, [OK]) for owner in ("A", "B")}
    nobody = {("C", "900002"): Notice(("C", "900002"), 5000, ["SB03"])}
    credit_book = [*lines("received", "credit", "000006"), *lines("executed", "credit", "000006")]
    return Books([company("가", "A"), company("나", "B")], ledger, credit_book, notices | nobody, frozenset({"C"}), 4)


def wrong(found: Books) -> set[str]:
    return {check.claim for check in reconcile(found) if not check.agrees}


def test_books_that_agree_agree_in_every_line():
    assert wrong(books()) == set()


Falsify = Callable[[Books], object]


def ask(found: Books, number: str) -> Asked:
    return found.companies[0].asked["A", number]


def add(found: Books, event: str, number: str, amount: int = 1000) -> None:
    found.ledger.append(Entry(3.0, "transfer-2", event, ("A", number), amount))  # type: ignore[attr-defined]


FALSIFIED: dict[str, tuple[Falsify, str]] = {
    "an answer is missing": (lambda b: ask(b, "000001").replies.clear(), "가: one answer to each telegram"),
    "an answer comes twice": (lambda b: ask(b, "000001").replies.append((3.0, OK)), "가: one answer to each telegram"),
    "an answer goes astray": (lambda b: setattr(b.companies[1], "strays", 1), "no answer goes astray"),
    "done, and no host has it": (lambda b: ask(b, "000005").replies.__setitem__(0, (2.0, OK)), "transfer: hosts got what they should"),
    "not_sent, and a host has it": (lambda b: add(b, "received", "000005"), "transfer: `not_sent` is true"),
    "sent twice": (lambda b: add(b, "received", "000001"), "transfer: nothing is received twice"),
    "executed twice": (lambda b: add(b, "executed", "000001"), "transfer: nothing is executed twice"),
    "executed though refused": (lambda b: add(b, "executed", "000004"), "transfer: nothing is done unknown to them"),
    "another amount": (lambda b: setattr(ask(b, "000001"), "amount", 999), "transfer: the money agrees"),
    "an unknown is left": (lambda b: b.companies[0].asked.pop(("A", "000007")), "unknown: an inquiry clears up each"),
    "an inquiry is wrong": (lambda b: setattr(ask(b, "000008"), "result", OK), "unknown: the ledger says the same"),
    "a notice is lost": (lambda b: b.companies[0].notices.clear(), "notice: each comes to its company"),
    "a notice comes twice": (lambda b: b.companies[0].notices.append(("A", "900001")), "notice: none comes twice or elsewhere"),
    "a notice comes to another": (lambda b: b.companies[0].notices.append(("B", "900001")), "notice: none comes twice or elsewhere"),
    "a notice is not answered": (lambda b: b.notices["A", "900001"].codes.clear(), "notice: the bank has each answer"),
    "the credit service has one more": (lambda b: b.credit.append(Entry(3.0, "credit", "executed", ("A", "000099"), 1)), "credit: the money agrees"),  # type: ignore[attr-defined]
}  # fmt: skip


@pytest.mark.parametrize("name", FALSIFIED)
def test_a_falsified_book_is_found(name: str):
    falsify, claim = FALSIFIED[name]
    found = copy.deepcopy(books())
    falsify(found)
    assert claim in wrong(found)


def test_the_routers_own_count_and_end_are_held_against_the_books():
    found = books()
    assert wrong(Books(found.companies, found.ledger, found.credit, found.notices, found.nobody, 3)) == {
        "unknown: the router counts as many"
    }


def test_the_accounts_of_the_bank_and_what_hosts_expect_are_held_against_the_books_too():
    found = books()
    assert wrong(replace(found, paid_out=4000)) == set()
    assert wrong(replace(found, paid_out=3999, not_met=1)) == {"bank: its accounts agree", "hosts: what they expect is met"}
    ask(found, "000001").within = True  # which leaves the bank with what it had
    assert wrong(replace(found, paid_out=4000)) == {"bank: its accounts agree"}
    assert wrong(replace(found, paid_out=3000)) == set()


def record() -> screen.Record:
    spec = shipped("firmbanking")
    request = transfer(spec, "TESTCO000001", "000001", 1000, "홍길동", "급여")
    frames = spec.encode(request), spec.encode(request.reply({"balance_after": 1}, response_code=OK))
    return screen.Record(books(), [], 0, frames, ({}, {}), 1.0)


def test_books_that_do_not_agree_are_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    found = record()
    monkeypatch.setattr(demo, "_record", lambda folder, capture: found)
    assert demo.show(keep=False) == 0
    add(found.books, "executed", "000001")
    assert demo.show(keep=False) == 1
    text = capsys.readouterr().out
    assert "The books do not agree" in text
    assert re.search(r"transfer: nothing is executed twice +executed +5 +different +4 +NO", text)


@pytest.mark.parametrize(
    ("ended", "says"), [(None, "did not end within"), (NotStarted("the router ended; see router.log"), "see router.log")]
)
def test_a_demo_that_cannot_be_played_is_exit_code_1(
    ended: NotStarted | None, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def play(folder: Path, capture: bool) -> None:
        if ended is not None:
            raise ended

    monkeypatch.setattr(demo, "_record", play)
    assert demo.show(keep=False) == 1
    assert says in capsys.readouterr().err


def test_a_check_agrees_only_when_both_counts_are_equal():
    assert Check("x", "a", 1, "b", 1).agrees and not Check("x", "a", 1, "b", 2).agrees


# --- the parties


@pytest.fixture(scope="module")
def spec() -> Spec:
    return shipped("firmbanking")


def test_the_telegrams_of_the_demo_are_whole_telegrams_of_the_spec(spec: Spec):
    for telegram in (
        transfer(spec, "TESTCO000001", "000001", 1000, "홍길동", "물품대금"),
        credit(spec, "TESTCO000002", "000002", "01", 5000),
        transfer(spec, "TESTCO000001", "000003", 7000, "김철수", "급여", "110123456702"),
    ):
        frame = spec.encode(telegram)
        assert len(frame) == 304 and spec.encode(spec.decode(frame)) == frame


async def test_the_books_of_hosts_are_read_from_what_they_recorded(tmp_path: Path, spec: Spec, autojump_clock: MockClock):
    recording = tmp_path / "core.tgcap.jsonl"
    paid = transfer(spec, "TESTCO000001", "000001", 1000, "홍길동", "급여", ACCOUNTS["TESTCO000002"])
    too_much = transfer(spec, "TESTCO000001", "000002", 900_000_000, "홍길동", "급여")
    async with simulator("core-banking", record=recording) as host:
        caller = await host.connect()
        await caller.send(paid, paid, too_much)
        came = [host.spec.decode(await caller.receive()) for _ in range(4)]
        (told,) = (each for each in came if each.message.kind == "request")
        await caller.send(told.reply(response_code=OK))
        await host.wait_for("deposit_notice.response")
        results = host.simulation.world.store("transfer").rows(host.simulation.now)
    once, other = ("TESTCO000001", "000001"), ("TESTCO000001", "000002")
    booked = [(entry.key, entry.event, entry.amount) for entry in core_book(spec, recording, results, "core")]
    assert booked == [(once, "executed", 1000), (once, "executed", 1000), (other, "refused", 900_000_000)]
    passed = [(entry.key, entry.event) for entry in line_book(spec, recording, "line")]
    assert sorted(passed) == sorted((key, event) for key in (once, once, other) for event in ("received", "answered"))
    assert [(notice.key[0], notice.amount, notice.codes) for notice in notices_told(spec, recording).values()] == [
        ("TESTCO000002", 1000, [OK])
    ]


def test_the_book_of_the_credit_service_is_its_list_of_requests():
    asked = {"customer": "A", "number": "000001", "action": "01", "amount": "5"}
    book = credit_book([{"asked": asked, "status": 200}, {"asked": asked | {"number": "000002"}, "status": 422}], "credit")
    assert [(entry.key[1], entry.event, entry.amount) for entry in book] == [
        ("000001", "received", 5), ("000001", "executed", 5), ("000002", "received", 5), ("000002", "refused", 5),
    ]  # fmt: skip


def test_hex_lines_show_every_byte_once():
    made = list(screen.hex_lines(bytes(range(48, 91))))
    assert [line[:4] for line in made] == ["0000", "0016", "0032"]
    assert "".join(line[6:53].replace(" ", "") for line in made) == bytes(range(48, 91)).hex()


def test_on_a_terminal_the_tables_fit_into_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "100")
    for module in (screen, shown):
        monkeypatch.setattr(module, "on_terminal", lambda: True)
    found = record()
    held = [screen.Held(asked, "가나상사", "transfer-1", True) for asked in found.books.companies[0].asked.values()]
    monkeypatch.setattr(demo, "_record", lambda folder, capture: replace(found, held=held))
    assert demo.show(keep=False) == 0
    tables = [line for line in unstyle(capsys.readouterr().out).splitlines() if line.startswith((" ", "│", "╭"))]
    assert len(tables) > 60 and max(map(display_width, tables)) <= 100
