"""What `status`, `top` and `quotas` show beyond rates: lines that are not open, classes that wait, quotas that run out."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import trio
from click.testing import CliRunner, Result
from conversation import firm
from rich.console import Console
from running_router import Host, answer_to, config, running, transfer

from telegram_router.cli import main
from telegram_router.cli.shown import fitted
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


def drawn(width: int, seen: answers.Status, *exchanges: answers.ExchangeSeen) -> list[str]:
    """The lines of `top` on a screen of so many columns."""
    look = Look(seen, answers.Exchanges(len(exchanges), list(exchanges)))
    console = Console(width=width, height=30, force_terminal=True, markup=False, color_system=None)
    with console.capture() as captured:
        console.print(screen(look, look, (width, 30)))
    return captured.get().splitlines()


@pytest.mark.parametrize(
    ("width", "columns", "exchanges", "note"),
    [
        (140, "ans/s, fail/s, open, waits, half in, 99 % in, notes", "telegram, from, to, state, delivery", "1 half of a pair"),
        (100, "ans/s, fail/s, open, waits, half in, 99 % in, notes", "telegram, from, to, state, delivery", "1 signing on, 2 in d…"),
        (80, "ans/s, fail/s, open, waits, notes", "telegram, from, to, state, delivery", "1 signing on, 2 in…"),
        (60, "open, waits, notes", "telegram, from, to, delivery", "1 signing on…"),  # rates are all 0
        (40, "", "telegram", ""),
    ],
)
def test_top_leaves_out_columns_where_the_screen_is_narrow_and_cuts_no_number(width: int, columns: str, exchanges: str, note: str):
    seen = status(service(backend(held={"signing on": 1, "in doubt": 2, "half of a pair": 1}), waiting={"high": 3, "bulk": 6}))
    named = {"message_type": "2000", "company_number": "C1", "message_number": "000017"}
    lines = drawn(width, seen, answers.ExchangeSeen(12.0, "m.request", named, "r", "l#1", "c#1", "core", "sent", "sent_unknown"))
    assert all(len(line) <= width for line in lines)
    headings = [", ".join(re.split("  +", line)[2:]) for line in lines if line.startswith(("service", "age"))]
    assert headings == [columns, exchanges]
    assert note in "\n".join(lines) and "000017" in lines[-3]


def test_top_leaves_out_first_what_holds_nothing_and_counts_hangul_as_two_columns():
    rows = [["name", "a", "b", "c", "notes"], ["결제", "1", "0", "12345", "가나다라마바사아자차"], ["x", "2", "", "6", ""]]
    assert fitted(rows, 80, ("a", "b"), "notes") == rows
    assert fitted(rows, 31, ("a", "b"), "notes")[:2] == [["name", "a", "c", "notes"], ["결제", "1", "12345", "가나다라마바사…"]]
    assert fitted(rows, 27, ("a", "b"), "notes", end=True)[1] == ["결제", "12345", "…마바사아자차"]


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
