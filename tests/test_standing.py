"""What `status`, `top` and `quotas` show beyond rates: lines that are not open, classes that wait, quotas that run out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from click.testing import CliRunner, Result
from conversation import firm
from rich.console import Console
from running_router import Host, answer_to, config, running, transfer

from telegram_router.cli import main
from telegram_router.cli.standing import notes, print_status, state_of, summary
from telegram_router.cli.top import Look, screen
from telegram_router.ops import answers
from telegram_router.ops.survey import _held
from telegram_router.routing import Pair

NO_QUOTAS = answers.Quotas(None, [])


def backend(name: str = "10.0.0.1:9100", *, used: bool = True, **more: object) -> answers.BackendSeen:
    seen = answers.BackendSeen(name, "up", "ready", "up", used, 1, 0, 1, 0, 1_234_567, 23, [], 2)
    return msgspec.structs.replace(seen, **more)  # type: ignore[arg-type]


def service(*backends: answers.BackendSeen, **more: object) -> answers.ServiceSeen:
    seen = answers.ServiceSeen("transfer", "telegram", "s", 0, "auto", 2, 3, 9, 1, 0, 0, 0, 0.0, [0] * 32, [], list(backends))
    return msgspec.structs.replace(seen, **more)  # type: ignore[arg-type]


def status(*services: answers.ServiceSeen, **more: object) -> answers.Status:
    listener = answers.ListenerSeen("branches", "0.0.0.0:9001", "firmbanking", True, True, 2, 9, 2, 3, 1, 1, 1, 1, {}, [], [], shut=True)
    seen = answers.Status("1", 1, "then", 1.0, True, False, 0, 0, 0, 0, [listener], list(services), [], [])
    return msgspec.structs.replace(seen, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        ({"used": False}, ["not used"]),
        ({"used": False, "held": {"signing on": 1, "in doubt": 2}}, ["not used", "1 signing on", "2 in doubt"]),
        ({"changed": ["weight"]}, ["weight changed"]),
    ],
    ids=["all well", "spare", "held", "changed"],
)
def test_notes_say_what_of_a_backend_is_not_as_it_should_be(more: dict[str, object], told: list[str]):
    assert notes(backend(**more)) == told  # type: ignore[arg-type]


def test_a_service_is_closed_stands_by_or_has_backends_in_use():
    seen = service(backend(), backend("b", used=False))
    assert state_of(seen, status()) == "1 of 2 in use"
    assert state_of(service(shut=True), status()) == "closed"
    assert state_of(seen, status(standing_by=["transfer"])) == state_of(seen, status(standby="standby")) == "standby"


def test_switched_off_messages_and_quotas_near_their_limit_are_shown_where_there_are_any(capsys: pytest.CaptureFixture[str]):
    quota = answers.QuotaSeen("daily", [], [], [], None, "day", "Asia/Seoul", "b", "midnight", 10, 1, 0.85, 4, [])
    print_status(status(service(waiting={"high": 3})), answers.Quotas(None, [msgspec.structs.replace(quota, used_ratio=0.5)]))
    calm = capsys.readouterr().out
    assert "quotas near" not in calm and "switched off" not in calm and "high 3" in calm
    assert "3 turned away" in calm and "closed for the day" in calm
    print_status(status(service(), halted=[answers.MessageHalted("m", None, "transfer")]), answers.Quotas(None, [quota]))
    told = capsys.readouterr().out
    assert "1 switched off" in told.splitlines()[0] and "85%" in told and "service transfer" in told
    assert summary(status()).endswith("open exchanges")


def test_top_keeps_its_numbers_at_100_columns_and_cuts_notes_alone():
    seen = status(service(backend(held={"signing on": 1, "in doubt": 2, "half of a pair": 1}), waiting={"high": 3, "bulk": 6}))
    console = Console(width=100, height=30, force_terminal=True, markup=False, color_system=None)
    with console.capture() as captured:
        console.print(screen(Look(seen, answers.Exchanges(0, [])), Look(seen, answers.Exchanges(0, [])), 30))
    drawn = captured.get()
    assert "high 3, bulk 6" in drawn and "1 signing on" in drawn and "99 % in" in drawn
    assert all(len(line) <= 100 for line in drawn.splitlines())


def test_connections_that_are_no_links_are_told_by_why_not():
    talk = firm()
    first, pair = talk.link(backend="one"), Pair()
    talk.switch.add_link(talk.service(), "half", "one", 0.0, pair)
    talk.switch.retire(first.peer)
    [(seen, held)] = _held(talk.service()).items()
    assert (seen.name, held) == ("one", {"half of a pair": 1, "leaving": 1})


async def test_quotas_shows_windows_and_who_has_used_most(tmp_path: Path):
    more = '[quotas.daily]\nkey = ["header.company_number"]\nlimit = 4\nperiod = "day"\n[admin]\nsocket = "admin.sock"\n'

    async def asks(*arguments: str) -> Result:
        return await trio.to_thread.run_sync(
            lambda: CliRunner().invoke(main, ["quotas", "--config", str(tmp_path / "router.toml"), *arguments], prog_name="telegram-router")
        )

    async with Host() as core, running(config(core, more=more), tmp_path) as router:
        await router.linked("core")
        client = await router.connect()
        for number in range(1, 4):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        shown, told, none = await asks(), await asks("--json"), await asks("--count", "0")
    assert shown.exit_code == told.exit_code == none.exit_code == 0, shown.output
    assert "daily" in shown.stdout and "75%" in shown.stdout and "most used" in shown.stdout and "most used" not in none.stdout
    assert msgspec.json.decode(told.stdout, type=answers.Quotas).quotas[0].used_ratio == 0.75
