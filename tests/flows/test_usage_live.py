"""Usage of a running router: stored, shown by the API and by the command, restored, kept for its time, and the same as the metrics."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
import trio
from click.testing import CliRunner, Result
from running_router import Host, Running, config, credit, problems_with, running, serving, transfer
from test_admin import steered

from telegram_router.cli import main
from telegram_router.metering import Meter
from telegram_router.ops import answers
from telegram_router.storage.counters import NAME
from telegram_router.storage.days import bucket_of, days_in, file_of, read_day
from telegram_router.storage.lines import line_of

USAGE = '[usage]\nuser = ["header.company_number", "address"]\n'
STATE = "state"


def meter(router: Running) -> Meter:
    found = router.router.keeper._meter
    assert found is not None
    return found


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments])


async def in_a_thread(*arguments: str) -> Result:
    return await trio.to_thread.run_sync(command, *arguments)


def set_clock(router: Running, text: str) -> None:
    """The time of day in Seoul."""
    seconds = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Seoul")).timestamp()
    router.router.keeper._wall = lambda: seconds
    router.router.keeper.keep_time()


async def test_what_was_counted_is_shown_while_the_router_runs_and_when_it_has_stopped(tmp_path: Path):
    file = tmp_path / "router.toml"
    async with Host() as core:
        async with steered(config(core, more=USAGE), tmp_path) as (router, door):
            await router.linked("core")
            client = await router.connect()
            await client.asks(transfer(1))
            await client.asks(credit(2))
            seen = msgspec.convert((await door.gets("/usage")).body, answers.UsageSeen)
            [row] = seen.rows
            assert (row.service, row.requests, row.answered) == ("core", 2, 2)
            assert row.bytes_in == len(transfer(1)) + len(credit(2))
            assert row.user.startswith("C") or row.user
            running_says = json.loads((await in_a_thread("--config", str(file), "--json")).output)
            assert running_says["rows"] == [msgspec.to_builtins(row)]
            assert (await door.gets("/usage?by=planet")).status == 400
            assert (await door.gets("/usage?from=2026-99-99")).status == 400
            assert (await door.gets("/usage?from=2026-03-02&to=2026-03-01")).status == 400
        assert json.loads(command("--config", str(file), "--json").output)["rows"] == running_says["rows"]
        assert json.loads(command("--state", str(tmp_path / STATE), "--json").output)["rows"] == running_says["rows"]


async def test_a_restart_goes_on_counting_and_so_does_a_day_that_the_clock_comes_back_to(tmp_path: Path):
    async with Host() as core:
        for number in (1, 2):
            async with serving(core, USAGE, tmp_path) as (router, client):
                set_clock(router, "2026-11-22 23:59:50")
                await client.asks(transfer(number * 10))
                set_clock(router, "2026-11-23 00:00:00")
                await client.asks(transfer(number * 10 + 1))
                await router.router.keeper.store()
                await router.router.keeper.store()
                assert set(meter(router).usage.days) == {"2026-11-23"}, "a day that is over and stored leaves the memory"
                set_clock(router, "2026-11-22 23:59:55")
                await client.asks(transfer(number * 10 + 2))
    folder = tmp_path / STATE
    assert {day: sum(row.answered for row in read_day(folder, day)) for day in days_in(folder)} == {"2026-11-22": 4, "2026-11-23": 2}
    assert (folder / file_of("2026-11-22")).stat().st_mode & 0o777 == 0o600


async def test_days_are_removed_when_they_are_too_old(tmp_path: Path):
    folder = tmp_path / STATE
    folder.mkdir()
    for day in ("2026-11-10", "2026-11-19", "2026-11-20", "2026-11-21"):
        (folder / file_of(day)).write_bytes(line_of(bucket_of("core"), {"a": [1, 0, 0, 0, 0, 1, 1, 0, 0, {}]}))
    async with Host() as core, running(config(core, more=USAGE + 'retention = "2d"\n'), tmp_path) as router:
        set_clock(router, "2026-11-22 12:00")
        await router.router.keeper.store()
        assert days_in(folder) == ["2026-11-20", "2026-11-21"]
        assert [line["days"] for line in router.log.named("usage_removed")] == [2]


async def test_the_sums_of_a_day_are_those_of_the_metrics(tmp_path: Path):
    more = USAGE + '[limits.few]\nkey = "address"\nrate = 3\nper = "1h"\n'
    async with Host() as core, serving(core, more, tmp_path) as (router, client):
        for number in range(5):
            await client.asks(transfer(number))
        await router.router.keeper.store()
        families = {name: list(samples) for name, samples in router.router.collect()}
        day = meter(router).usage.day.name
        rows = list(read_day(tmp_path / STATE, day))
        results = {labels[2]: value for labels, value in families["requests_total"]}
        assert (
            sum(row.answered for row in rows) == sum(value for labels, value in families["requests_total"] if labels[0] == "companies") == 3
        ), results  # type: ignore[misc]
        refused = {labels[1]: value for labels, value in families["refused_total"] if value}
        assert refused == {"E-LIM-03": 2} == rows[0].codes
        assert sum(row.refused for row in rows) == 2
        assert families["usage_missed_total"] == [((), 0)]


async def test_usage_may_come_change_and_go_with_a_reload(tmp_path: Path):
    async with Host() as core, serving(core, "", tmp_path) as (router, client):

        async def reload(more: str) -> None:
            await router.reload(config(core, more=more))

        await client.asks(transfer(1))
        assert router.switch.ended is None
        await reload(USAGE)
        await client.asks(transfer(2))
        await reload(USAGE + "users = 5\n")
        await client.asks(transfer(3))
        await reload('[usage]\nuser = "address"\n')
        await client.asks(transfer(4))
        await reload("")
        await client.asks(transfer(5))
        await router.router.keeper.store()
        [day] = days_in(tmp_path / STATE)
        assert sorted(row.answered for row in read_day(tmp_path / STATE, day)) == [1, 2]


async def test_nobody_is_refused_because_usage_cannot_be_stored(tmp_path: Path):
    async with Host() as core, serving(core, USAGE, tmp_path) as (router, client):
        blocked = tmp_path / STATE / file_of(meter(router).usage.day.name)
        await router.router.keeper.store()
        blocked.unlink(missing_ok=True)
        blocked.mkdir()
        await client.asks(transfer(1))
        await router.router.keeper.store()
        seen = router.router.keeper.seen()
        assert seen is not None
        assert seen.failure
        await client.asks(transfer(2))
        assert len(core.frames) == 2
        blocked.rmdir()
        await router.router.keeper.store()
        assert [row.answered for row in read_day(tmp_path / STATE, meter(router).usage.day.name)] == [2]
        assert len(router.log.named("counters_stored_again")) == 1


# --- the command


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Two days of a router that has stopped, in its state folder beside its configuration."""
    folder = tmp_path / STATE
    folder.mkdir()
    one = line_of(bucket_of("transfer"), {"C001": [5, 0, 2, 1, 1, 500, 600, 10**13, 7, {"E-LIM-03": 2, "E-BCK-01": 1, "E-BCK-05": 1}]})
    two = line_of(bucket_of("credit"), {"=cmd()": [3, 1, 0, 0, 0, 30, 40, 0, 0, {}]})
    (folder / file_of("2026-11-21")).write_bytes(one + two)
    (folder / file_of("2026-11-22")).write_bytes(one)
    (folder / NAME).touch()
    (tmp_path / "router.toml").write_text('[listeners.a]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n[usage]\nuser = "address"\n')
    return tmp_path


MONTH = ("--from", "2026-11-01", "--to", "2026-11-30")


def test_the_command_sums_up_by_what_is_asked_for(stored: Path):
    shown = command("--config", str(stored / "router.toml"), *MONTH, "--by", "user,service", "--json")
    assert shown.exit_code == 0, shown.output
    rows = json.loads(shown.output)["rows"]
    assert [(row["user"], row["service"], row["requests"], row["answered"]) for row in rows] == [
        ("=cmd()", "credit", 4, 3),
        ("C001", "transfer", 18, 10),
    ]
    assert rows[1]["codes"] == {"E-BCK-01": 2, "E-BCK-05": 2, "E-LIM-03": 4}
    assert "day" not in rows[0]


def test_the_command_prints_csv_that_no_spreadsheet_takes_for_a_formula(stored: Path):
    shown = command("--state", str(stored / STATE), *MONTH, "--csv")
    lines = list(csv.DictReader(io.StringIO(shown.output)))
    assert [(line["day"], line["user"]) for line in lines] == [("2026-11-21", "'=cmd()"), ("2026-11-21", "C001"), ("2026-11-22", "C001")]
    assert lines[1]["amount"] == str(10**13)
    assert lines[1]["codes"] == "E-BCK-01:1 E-BCK-05:1 E-LIM-03:2"


def test_the_command_shows_how_requests_ended_by_day_and_service(stored: Path):
    shown = command("--state", str(stored / STATE), *MONTH, "--states")
    assert [line.split() for line in shown.output.splitlines()] == [
        ["day", "service", "requests", "answered", "sent", "refused", "not", "sent", "sent", "unknown"],
        ["2026-11-21", "credit", "4", "3", "1", "0", "0", "0"],
        ["2026-11-21", "transfer", "9", "5", "0", "2", "1", "1"],
        ["2026-11-22", "transfer", "9", "5", "0", "2", "1", "1"],
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (lambda folder: ["--state", str(folder / STATE), "--from", "yesterday"], 2, "is written as 2026-03-31"),
        (
            lambda folder: ["--state", str(folder / STATE), "--from", "2026-11-02", "--to", "2026-11-01"],
            2,
            "the first day is after the last one",
        ),
        (lambda folder: ["--state", str(folder / STATE), "--by", "planet"], 2, "day, user, service"),
        (lambda folder: ["--state", str(folder / STATE), "--csv", "--json"], 2, "exclude each other"),
        (lambda folder: ["--state", str(folder / "nowhere")], 1, "E-STO-01"),
        (lambda folder: ["--config", str(folder / "nowhere.toml")], 2, "There is no"),
        (lambda folder: ["--socket", str(folder / "nobody.sock")], 1, "E-ADM-06"),
    ],
)
def test_what_the_command_cannot_show_is_told(stored: Path, arguments: Callable[[Path], list[str]], code: int, says: str):
    shown = command(*arguments(stored))
    assert (shown.exit_code, says in shown.output + shown.stderr) == (code, True), shown.output + shown.stderr


def test_a_day_without_anything_is_told(stored: Path):
    shown = command("--state", str(stored / STATE), "--from", "2020-01-01", "--to", "2020-01-02")
    assert (shown.exit_code, shown.output) == (0, "Nothing was counted in these days.\n")


# --- configuration


@pytest.mark.parametrize(
    ("table", "code", "key", "what"),
    [
        ('user = "header.nothing"', "E-CFG-06", "usage.user", "no spec has"),
        ('user = "session"', "E-CFG-04", "usage.user[0]", "nothing to know somebody by"),
        ('user = "address"\nretention = "400"', "E-CFG-04", "usage.retention", "no number of days"),
        ('user = "address"\namount = "body.memo"', "E-CFG-07", "usage.amount", "is no number"),
        ('user = "address"\namount = "body.nothing"', "E-CFG-06", "usage.amount", "such a field"),
        ('user = "address"\ntimezone = "Nowhere/At_All"', "E-CFG-04", "usage.timezone", "no time zone"),
    ],
)
def test_what_is_wrong_with_usage_is_told_with_its_key(tmp_path: Path, table: str, code: str, key: str, what: str):
    assert {(each.code, each.key) for each in problems_with(tmp_path, f"[usage]\n{table}") if what in each.what} == {(code, key)}
