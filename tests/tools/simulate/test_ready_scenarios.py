"""The ready scenarios: each loads, answers every sample of its family, does what its table says, and its expectations hold."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import ssl
import stat
import subprocess
import sys
import threading
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from running_router import Client, Running, running, telegram

from telegram_router.cli import main
from telegram_router.errors import RouterError
from telegram_router.plan import SHIPPED
from telegram_router.testing import simulator
from telegram_router.tools.simulate import ready
from telegram_router.tools.simulate.made_certificates import make_certificates
from telegram_router.tools.simulate.scenario import Do
from telegram_router.written import Address

ROOT = Path(__file__).parents[3]
SIMULATORS = ROOT / "simulators"
TABLE = [
    line.split(" | ")[1].strip("` |")
    for line in (SIMULATORS / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and ("`telegram-router " in line or "`python " in line)
]
FAMILIES = {"core-banking": "firmbanking", "van": "firmbanking", "ksnet": "ksnet", "flaky": "firmbanking"}
START = {"sent_date": "20261123"}


def transfer(number: int = 1, **fields: Any) -> bytes:
    return telegram(
        "transfer.request",
        number=number,
        **({"withdrawal_account": "110123456701", "deposit_account": "999", "amount": 1000} | START | fields),
    )


def inquiry(number: int, of: int, **fields: Any) -> bytes:
    return telegram("result.request", number=number, original_number=f"{of:06d}", **(START | fields))


def test_the_table_names_every_scenario_that_there_is():
    named = sorted(command.split()[-1] for command in TABLE)
    assert named == sorted(
        [*(path.stem for path in SIMULATORS.glob("*.toml")), *(f"simulators/{path.name}" for path in SIMULATORS.glob("*.py"))]
    )


def test_they_come_with_a_wheel_as_specs_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    built = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [(ROOT / built[name]) for name in ("specs", "simulators")] == [SHIPPED[0], ready.FOLDERS[0]]
    assert ready.scenario_file(Path("van")) == SIMULATORS / "van.toml"
    monkeypatch.chdir(tmp_path)
    Path("van").touch()  # a file of that name is meant first
    assert [ready.scenario_file(Path(name)) for name in ("van", "./van", "vat", "van.toml")] == list(
        map(Path, ("van", "./van", "vat", "van.toml"))
    )


@pytest.mark.parametrize("command", [each for each in TABLE if each.startswith("telegram-router")])
def test_the_command_of_the_table_runs_it(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    more = ["--listen", "127.0.0.1:0", "--duration", "50ms", "--control", str(tmp_path / "control")]
    result = CliRunner().invoke(main, [*command.split()[1:], *more])
    assert result.exit_code == 0, result.output
    assert "NOT MET" not in result.stdout and "met" in result.stdout


@pytest.mark.parametrize("name", FAMILIES)
async def test_it_answers_every_sample_of_its_family(name: str, autojump_clock: trio.testing.MockClock):
    samples = sorted((ROOT / "specs" / "samples" / FAMILIES[name]).glob("*.request.telegram"))
    async with simulator(SIMULATORS / f"{name}.toml") as host:
        caller = await host.connect()
        for path in samples:
            answer = await caller.ask(path.read_bytes())
            while answer.message.kind != "reply":  # a notice
                answer = host.spec.decode(await caller.receive())
            assert answer.message.name == path.name.replace(".request.telegram", ".response")
            if name == "van":
                await trio.sleep(1)
                if path.name.startswith("transfer"):
                    await caller.send(host.spec.encode(host.spec.decode(await caller.receive()).reply(response_code="0000")))
                    await trio.sleep(1)
        assert len(samples) > 8
        host.check()


async def test_money_moves_within_the_bank_and_the_payees_company_is_told(autojump_clock: trio.testing.MockClock):
    async with simulator(SIMULATORS / "core-banking.toml") as host:
        caller = await host.connect()
        paid = await caller.ask(transfer(deposit_account="110123456702", company_number="TESTCO000001"))
        assert (paid["response_code"], paid["balance_after"]) == ("0000", 49_999_000)
        notice = host.spec.decode(await caller.receive())
        assert (notice.message.name, notice["company_number"], notice["amount"]) == ("deposit_notice.request", "TESTCO000002", 1000)
        assert (notice["balance_after"], notice["depositor"]) == (30_001_000, "가나상사")
        late = [each for each in host.verify() if not each.met]
        assert [each.name for each in late] == ["notices are acknowledged"]
        await caller.send(notice.reply(response_code="0000"))
        await trio.sleep(1)
        host.check()
        asked = await caller.ask(telegram("balance.request", number=2, account="110123456702"))
        assert asked["ledger_balance"] == 30_001_000


@pytest.mark.parametrize(
    ("account", "amount", "code"),
    [("110123456704", 80_001, "0051"), ("110123456706", 1, "0013"), ("110000000000", 1, "0012"), ("110123456707", 1, "VTIM")],
)
async def test_a_transfer_that_is_not_done_says_why(account: str, amount: int, code: str, autojump_clock: trio.testing.MockClock):
    async with simulator(SIMULATORS / "core-banking.toml") as host:
        caller = await host.connect()
        answer = await caller.ask(transfer(withdrawal_account=account, amount=amount))
        assert answer["response_code"] == code


@pytest.mark.parametrize("account", ["110123456707", "110123456708"])
async def test_what_became_of_an_unknown_end_is_asked_and_a_repeat_books_nothing(account: str, autojump_clock: trio.testing.MockClock):
    async with simulator(SIMULATORS / "core-banking.toml") as host:
        caller = await host.connect()
        await caller.send(transfer(withdrawal_account=account, amount=700))
        await trio.sleep(1)
        with pytest.raises(AssertionError, match="unknown ends are asked about"):
            host.check()
        answers = []
        await caller.send(inquiry(2, of=1), transfer(withdrawal_account=account, amount=700, send_count=2), inquiry(3, of=9))
        while len(answers) < 3:
            answer = host.spec.decode(await caller.receive())
            answers += [answer] if answer["response_code"] != "VTIM" else []
        assert [each["result"] for each in answers if each.message.name == "result.response"] == ["0000", "NREC"]
        assert [each["response_code"] for each in answers] == ["0000"] * 3
        assert host.state("account", account)["balance"] == "8999300"
        host.check()


async def test_the_van_answers_and_notifies_on_the_other_connection(autojump_clock: trio.testing.MockClock):
    async with simulator(SIMULATORS / "van.toml") as host:
        requests, replies = await host.connect(), await host.connect()
        await requests.send(transfer())
        came = [host.spec.decode(await replies.receive()) for _ in range(2)]
        assert [each.message.name for each in came] == ["transfer.response", "deposit_notice.request"]
        await requests.send(came[1].reply(response_code="0000"))
        await trio.sleep(1)
        host.check()


ILL = re.findall(r'name = "([\w-]+)"\nmatch = .msg=transfer.request and f.amount = (\d+)', (SIMULATORS / "flaky.toml").read_text("utf-8"))


def test_the_amounts_of_ills_have_no_gap():
    assert [int(amount) for _, amount in ILL] == [*range(9001, 9001 + len(ILL))] and len(ILL) == 35


def test_the_flaky_hosts_have_every_fault_that_needs_no_capability():
    faults = [
        fault for name in ("flaky", "flaky-tls") for fault in tomllib.loads((SIMULATORS / f"{name}.toml").read_text("utf-8"))["fault"]
    ]
    assert set(Do.model_fields) - {word for fault in faults for word in fault["do"]} == {"half_open"}


async def test_the_handshakes_go_wrong_with_certificates_that_the_host_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    async def handshake(address: Address) -> str:
        plain = await trio.open_tcp_stream(address.host, address.port)
        stream = trio.SSLStream(plain, trusting, server_hostname="localhost", https_compatible=True)
        try:
            with trio.fail_after(0.1):
                await stream.do_handshake()
        except trio.TooSlowError:
            return "stalls"
        except trio.BrokenResourceError as error:
            return getattr(error.__cause__, "verify_message", "")
        finally:
            await trio.aclose_forcefully(stream)
        return "well"

    for _ in range(2):  # the CA stays
        async with simulator("flaky-tls", sockets=True, listen=Address("127.0.0.1", 0)) as host:
            trusting = ssl.create_default_context(cafile="flaky-certs/ca.pem")
            seen = [await handshake(host.address) for _ in range(4)]
        assert seen[0] == "stalls" and "local issuer" in seen[1] and "expired" in seen[2] and seen[3] == "well"
    assert modes(tmp_path / "flaky-certs") == {0o600}


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.key")}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "taken").touch()
    with pytest.raises(RouterError, match="E-SIM-05"):
        make_certificates(tmp_path / "taken" / "certs")


async def test_every_ill_happens_and_each_unknown_end_must_be_asked_about(autojump_clock: trio.testing.MockClock):
    async with simulator(SIMULATORS / "flaky.toml") as host:
        for _ in range(24):
            caller = await host.connect()
            await trio.sleep(0.01)
        told = [note.split(":")[0] for note in host.notes]
        assert told == ["fault closed at once", "fault reset at once", "fault idle", "fault no heartbeat"]
        for number, (name, amount) in enumerate(ILL, 1):
            frame = transfer(number, amount=int(amount))
            caller = await host.connect()
            await caller.send(frame[:250])  # `early` is there only for a telegram that has not come whole
            await trio.sleep(0.01)
            await caller.send(frame[250:])
            await trio.sleep(0.01)
            assert any(note.startswith(f"fault {name}:") for note in host.notes), name
        await trio.sleep(60)
        with pytest.raises(AssertionError, match="unknown ends are asked about"):
            host.check()
        async with trio.open_nursery() as nursery:
            for number in range(1, len(ILL) + 1):
                nursery.start_soon(_asks, host, number)
        host.check()


async def _asks(host: Any, number: int) -> None:
    caller = await host.connect()
    try:
        answer = await caller.ask(inquiry(100 + number, of=number))
        assert answer["result"] in ("0000", "NREC")
    except (EOFError, ConnectionResetError):
        pass


BANK = """
[listeners.companies]
address = "127.0.0.1:0"
spec = "firmbanking"

[services.bank]
spec = "firmbanking"
backends = [BACKEND]
timeout = "2s"

[[routes]]
listener = "companies"
default = true
service = "bank"

[[routes]]
from_service = "bank"
match = { message_type = "4000" }
to_listener = "companies"
"""


def behind(backend: str) -> str:
    return BANK.replace("BACKEND", backend)


async def notified(client: Client, host: Any) -> Any:
    notice = host.spec.decode(await client.got())
    assert notice.message.name == "deposit_notice.request"
    await client.sends(host.spec.encode(notice.reply(response_code="0000")))
    return notice


async def judged(router: Running, host: Any) -> None:
    """Acknowledgements are on their way."""
    await router.until(lambda: all(each.met for each in host.verify()))
    host.check()


async def test_behind_the_router_a_transfer_brings_its_notice_to_the_payees_session():
    async with simulator(SIMULATORS / "core-banking.toml", sockets=True) as host, running(behind(f'"{host.address}"')) as router:
        payer, payee = await router.connect(), await router.connect()
        opening = telegram("open.request", company_number="TESTCO000002", **START)
        assert host.spec.decode(await payee.asks(opening))["response_code"] == "0000"
        answer = host.spec.decode(await payer.asks(transfer(deposit_account="110123456702", company_number="TESTCO000001")))
        assert (answer["response_code"], answer["balance_after"]) == ("0000", 49_999_000)
        assert (await notified(payee, host))["balance_after"] == 30_001_000
        await judged(router, host)


async def test_the_router_asks_the_van_on_one_connection_and_hears_it_on_the_other():
    async with simulator(SIMULATORS / "van.toml", sockets=True) as host:
        pair = f'{{ address = "{host.address}", replies = "localhost:{host.address.port}" }}'
        async with running(behind(pair)) as router:
            company = await router.connect()
            assert host.spec.decode(await company.asks(transfer()))["response_code"] == "0000"
            assert (await notified(company, host))["direction"] == "21"
            await judged(router, host)
            assert len(host.simulation.lines) == 2


def credit_module() -> Any:
    found = importlib.util.spec_from_file_location("credit_service", SIMULATORS / "credit_service.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_credit_service_keeps_loans_and_tells_a_repeat():
    service = credit_module().Service(("127.0.0.1", 0))
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        assert [_credit(service.server_port, number, action, amount) for number, action, amount in CREDITS] == [
            (200, {"code": "0000", "balance": "6000000"}),
            (422, {"reason": "repays more than is owed"}),
            (200, {"code": "0000", "balance": "6000000"}),
            (422, {"reason": "no such customer or action"}),
        ]
        assert [met for _, met in service.loans.verify()] == [True, True]
        _credit(service.server_port, *CREDITS[0])
        assert [met for _, met in service.loans.verify()] == [False, True]
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


def test_the_credit_service_ends_with_ctrl_c_and_its_verdict():
    command = [sys.executable, str(SIMULATORS / "credit_service.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "listens on http://127.0.0.1:" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=10)
    assert (process.returncode, complained) == (0, "")
    assert said == "credit: 0 requests\n  met     nothing is sent twice\n  met     loans add up\n"


def test_the_credit_service_ends_by_itself_where_it_is_told_when(capsys: pytest.CaptureFixture[str]):
    module = credit_module()
    assert module.main(["--port", "0", "--duration", "0.01"]) == 0
    assert "met     loans add up" in capsys.readouterr().out


CREDITS = [("000001", "01", 1_000_000), ("000002", "02", 7_000_000), ("000003", "03", 0), ("000004", "09", 1)]


def _credit(port: int, number: str, action: str, amount: int) -> tuple[int, Any]:
    body = json.dumps({"customer": "TESTCO000002", "number": number, "action": action, "amount": str(amount)}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/credit", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
