"""Log-ons, heartbeats, hours, capacity, memory, machines, TLS, somebody else's answers and one's own Python."""

from __future__ import annotations

import datetime
import ssl
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from telegram_router.errors import ConfigError
from telegram_router.telegrams import Spec
from telegram_router.testing import read, sample
from telegram_router.tools.simulate.fixture import Host, run_simulator

Clock = trio.testing.MockClock
HEAD = '[scenario]\nspec = "firmbanking"\nclock = "2026-11-23T09:00:00+09:00"\n'
ANY = "[[rule]]\nmatch = 'msg=*.request'\nreply = { response_code = '0000' }\n"


@cache
def firmbanking() -> Spec:
    return read("firmbanking")


def simulator(text: str, **more: Any) -> AbstractAsyncContextManager[Host]:
    return run_simulator(text, lambda name, folder: firmbanking(), **more)


def frame(message: str, number: int = 1) -> bytes:
    telegram = sample(firmbanking(), message, 7, 1)
    telegram.header["message_number"] = f"{number:06d}"
    return firmbanking().encode(telegram)


async def code(host: Host, message: str, number: int = 1) -> str:
    caller = await host.connect()
    return str((await caller.ask(frame(message, number)))["response_code"])


async def test_nothing_is_served_before_the_log_on(autojump_clock: Clock):
    sessions = "[sessions]\nlog_on = 'msg=open.request'\nlog_off = 'msg=close.request'\nrefused = { response_code = 'SB09' }\n"
    async with simulator(HEAD + sessions + ANY) as host:
        caller = await host.connect()
        messages = ["transfer.request", "open.request", "transfer.request", "close.request", "transfer.request"]
        codes = [(await caller.ask(frame(each)))["response_code"] for each in messages]
        assert codes == ["SB09", "0000", "0000", "0000", "SB09"]
        assert host.simulation.stats()["rules"] == {"rule 1": 3}


async def test_nothing_is_served_outside_the_hours(autojump_clock: Clock):
    async with simulator(HEAD + "[sessions]\nhours = '08:00-09:01'\nrefused = { response_code = 'SB09' }\n" + ANY) as host:
        assert await code(host, "transfer.request") == "0000"
        await trio.sleep(61)
        assert await code(host, "transfer.request") == "SB09"


async def test_a_caller_that_answers_no_heartbeat_is_let_go(autojump_clock: Clock):
    text = HEAD + "[sessions]\nheartbeat = { msg = 'test.request', every = '10s', missing = 2 }\n" + ANY
    async with simulator(text) as host:
        caller = await host.connect()
        with pytest.raises(EOFError):
            while True:
                assert host.spec.decode(await caller.receive()).message.name == "test.request"
        assert len(host.sent("test.request")) == 2 and trio.current_time() >= 30


async def test_one_connection_too_many_is_closed(autojump_clock: Clock):
    async with simulator(HEAD + "[sessions]\nmost = 1\n" + ANY) as host:
        first, second = await host.connect(), await host.connect()
        with pytest.raises(EOFError):
            await second.receive()
        assert (await first.ask(frame("transfer.request")))["response_code"] == "0000"


async def test_a_host_that_can_do_no_more_refuses_what_is_beyond_its_queue(autojump_clock: Clock):
    async with simulator(HEAD + "[limits]\nrate = '10/s'\nqueue = 2\nfull = { response_code = 'SB05' }\n" + ANY) as host:
        caller = await host.connect()
        began = trio.current_time()
        await caller.send(*[frame("transfer.request", number) for number in range(5)])
        codes = [host.spec.decode(await caller.receive())["response_code"] for _ in range(5)]
        assert codes == ["SB05", "SB05", "0000", "0000", "0000"] or sorted(codes) == ["0000", "0000", "0000", "SB05", "SB05"]
        assert round(trio.current_time() - began, 3) == 0.2


async def test_the_same_request_gets_the_same_answer_and_moves_nothing_twice(autojump_clock: Clock):
    memory = "[memory]\nkey = '{message_number}'\nlasts = '1m'\n"
    counting = "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { response_code = '{counter.done:04d}' }\n"
    async with simulator(HEAD + memory + counting) as host:
        assert [await code(host, "transfer.request", number) for number in (1, 1, 2)] == ["0001", "0001", "0002"]
        await trio.sleep(61)
        assert await code(host, "transfer.request", 1) == "0003"


async def test_a_machine_moves_on_and_falls_back(autojump_clock: Clock):
    machine = (
        "[machine.day]\nstart = 'closed'\nper = 'scenario'\nttl = '1m'\n[[machine.day.transition]]\non = 'msg=open.request'\nto = 'open'\n"
        "[[rule]]\nmatch = 'msg=transfer.request and machine.day=open'\nreply = { response_code = '0000' }\n"
        "[[rule]]\nmatch = 'msg=*.request'\nreply = { response_code = 'SB09' }\n"
    )
    async with simulator(HEAD + machine) as host:
        codes = [await code(host, message) for message in ("transfer.request", "open.request", "transfer.request")]
        await trio.sleep(61)
        assert [*codes, await code(host, "transfer.request")] == ["SB09", "SB09", "0000", "SB09"]


async def test_what_nobody_asked_for_is_sent_at_its_times(autojump_clock: Clock):
    push = "[[push]]\nmsg = 'deposit_notice.request'\nafter = '1s'\nevery = '2s'\ncount = 2\namount = '777'\n"
    async with simulator(HEAD + push) as host:
        caller = await host.connect()
        seen = [(host.spec.decode(await caller.receive())["amount"], round(trio.current_time())) for _ in range(2)]
        assert seen == [(777, 1), (777, 3)]


async def test_python_runs_only_when_it_is_allowed(tmp_path: Path, autojump_clock: Clock):
    (tmp_path / "hooks.py").write_text(
        "def decide(seen, world):\n    return {'response_code': '77' + seen.field('message_number')[-2:]}\n", encoding="utf-8"
    )
    scenario = tmp_path / "core.toml"
    scenario.write_text('python = "hooks.py"\n' + HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\ncall = 'decide'\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="E-SIM-06"):
        async with run_simulator(scenario, lambda name, folder: firmbanking()):
            pass
    async with run_simulator(scenario, lambda name, folder: firmbanking(), allow_code=True) as host:
        assert await code(host, "transfer.request", 42) == "7742"


async def test_somebody_else_is_asked_for_what_no_rule_is_for():
    async with simulator(HEAD + ANY, sockets=True) as other, passing_on(other) as host:
        with trio.fail_after(3):
            assert await code(host, "transfer.request") == "0000"
        assert len(other.received("transfer.request")) == 1


NOTICE = """
[[rule]]
match = 'msg=transfer.request'
[[rule.reply]]
response_code = "0000"
[[rule.reply]]
msg = "deposit_notice.request"
message_number = "000777"
account = "{withdrawal_account}"
direction = "21"
amount = 1
cash_amount = 1
balance_after = 1
deal_date = "20261123"
deal_time = "090000"
deal_number = "000001"
original_deal_number = "000000"
"""


async def test_what_somebody_else_asks_is_passed_on_too_and_so_is_its_answer():
    async with simulator(HEAD + NOTICE, sockets=True) as other, passing_on(other) as host:
        with trio.fail_after(3):
            caller = await host.connect()
            await caller.send(frame("transfer.request"))
            notice = [host.spec.decode(await caller.receive()) for _ in range(2)][1]
            await caller.send(notice.reply(response_code="0000"))
            await other.wait_for("deposit_notice.response")
            assert host.simulation.stats()["counts"] == {"forwarded": 2} and not host.notes
            await caller.close()
            while other.simulation.lines:  # noqa: ASYNC110  # what was opened for a caller ends with it
                await trio.sleep(0.002)


def passing_on(other: Host) -> AbstractAsyncContextManager[Host]:
    return simulator(HEAD + f'on_miss = "forward:{other.address}"\n', sockets=True)


async def test_tables_and_rows_come_from_files(tmp_path: Path, autojump_clock: Clock):
    (tmp_path / "codes.csv").write_text("bank,code\n", encoding="utf-8")
    bank = firmbanking().decode(frame("transfer.request"))["bank_code"]
    (tmp_path / "codes.csv").write_text(f"bank,code\n{bank},0042\n", encoding="utf-8")
    scenario = tmp_path / "core.toml"
    table = "[table.banks]\nfile = 'codes.csv'\nkey = '{bank_code}'\n[[rule]]\nmatch = 'table.banks'\nreply = { response_code = '{table.banks.code}' }\n"
    scenario.write_text(HEAD + table, encoding="utf-8")
    async with run_simulator(scenario, lambda name, folder: firmbanking()) as host:
        assert await code(host, "transfer.request") == "0042"


async def test_tls_goes_wrong_as_it_is_asked_to(tmp_path: Path):
    import trustme

    authority, stranger = trustme.CA(), trustme.CA()
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    expired = authority.issue_cert("127.0.0.1", not_before=long_ago, not_after=long_ago + datetime.timedelta(days=1))
    for name, made in (("right", authority.issue_cert("127.0.0.1")), ("wrong", stranger.issue_cert("127.0.0.1")), ("expired", expired)):
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    tls = "[tls]\ncertificate = 'right.pem'\nkey = 'right.key'\n" + "".join(
        f"{name}_certificate = '{name}.pem'\n{name}_key = '{name}.key'\n" for name in ("wrong", "expired")
    )
    faults = "".join(f"[[fault]]\nconn = {conn}\ndo = {{ tls = '{how}' }}\n" for conn, how in ((2, "wrong"), (3, "expired"), (4, "stall")))
    scenario = tmp_path / "core.toml"
    scenario.write_text(HEAD + tls + ANY + faults, encoding="utf-8")

    async def handshake(host: Host, patience: float) -> str:
        plain = await trio.open_tcp_stream(host.address.host, host.address.port)
        stream = trio.SSLStream(plain, trusting, server_hostname="127.0.0.1", https_compatible=True)
        try:
            with trio.fail_after(patience):
                await stream.send_all(frame("transfer.request"))
                return (await stream.receive_some(4)).decode()
        except trio.BrokenResourceError as error:
            return getattr(error.__cause__, "verify_message", "")
        except trio.TooSlowError:
            return "stalled"
        finally:
            await trio.aclose_forcefully(stream)

    async with run_simulator(scenario, lambda name, folder: firmbanking(), sockets=True) as host:
        seen = [await handshake(host, patience) for patience in (5, 5, 5, 0.1)]
    assert seen == ["0300", "unable to get local issuer certificate", "certificate has expired", "stalled"]
