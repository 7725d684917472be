"""Quotas of a running router: across restarts, kills, reloads, full disks and clocks that are set."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
import trio
from running_router import ROOT, Client, Host, Running, config, field, problems_with, running, serving, transfer

from telegram_router import plan as planning
from telegram_router.app import Router
from telegram_router.errors import ConfigError, RouterError
from telegram_router.keeping import Keeper
from telegram_router.ops import answers
from telegram_router.routing.quotas import Quota
from telegram_router.storage import counters
from telegram_router.storage.counters import NAME, Disk, StateFolder, read_counters
from telegram_router.storage.lines import line_of

DAILY = '[quotas.daily]\nkey = "header.company_number"\nlimit = 3\n'


async def asked(client: Client, *numbers: int) -> list[str]:
    """The message type of each answer: 2100 for all of them, and the response code tells."""
    return [field(await client.asks(transfer(number)), "response_code") for number in numbers]


def quota(router: Running, name: str = "daily") -> Quota:
    return next(each for each in router.switch.listeners["companies"].limits if isinstance(each, Quota) and each.name == name)


def refused(router: Running, code: str) -> int:
    return sum(line["count"] for line in router.log.named("refused") if line["code"] == code)


async def test_a_stopped_router_forgets_nothing_of_what_was_used(tmp_path: Path):
    async with Host() as core:
        for round_ in range(2):
            async with serving(core, DAILY, tmp_path) as (router, client):
                for number in (1, 2):
                    await client.asks(transfer(10 * round_ + number))
        assert len(core.frames) == 3
        assert refused(router, "E-LIM-03") == 1
        [line] = router.log.of("E-LIM-03")
        assert line["limit"] == "daily"
        assert 0 < line["retry_after_ms"] <= 86_400_000
    [used] = read_counters(tmp_path / "state").stored.values()
    assert list(used.values()) == [3]


async def test_without_quotas_there_is_no_folder_and_nothing_is_shown(tmp_path: Path):
    async with Host() as core, running(config(core), tmp_path) as router:
        assert not (tmp_path / "state").exists()
        assert router.router.keeper.seen() is None
        assert "store_up" not in dict(router.router.collect())
        assert dict(router.router.collect())["quota_used_ratio"] == []


async def test_one_folder_has_one_router(tmp_path: Path):
    async with Host() as core, running(config(core, more=DAILY), tmp_path) as router:
        other = Router(planning.read_plan(router.router.plan.path), router.router.log)
        with pytest.raises(RouterError) as error:
            await other.run()
        assert error.value.code == "E-STO-02"


# --- reloads


async def test_a_reload_keeps_what_was_counted_where_name_key_and_calendar_are_unchanged(tmp_path: Path):
    async with Host() as core, serving(core, DAILY, tmp_path) as (router, client):
        await asked(client, 1, 2)

        async def reload(more: str) -> None:
            await router.reload(config(core, more=more))

        await reload(DAILY.replace("limit = 3", "limit = 4"))
        assert quota(router).highest(1)[0][1] == 2
        await reload("")
        assert not [each for each in router.switch.listeners["companies"].limits if isinstance(each, Quota)]
        await reload(DAILY)
        assert quota(router).highest(1)[0][1] == 2, "a quota that comes back finds what it had counted"
        await reload(DAILY + 'period = "month"\n')
        assert quota(router).highest(1) == []
        await asked(client, 5)
        await reload(DAILY)
        assert quota(router).highest(1)[0][1] == 2


async def test_a_quota_that_comes_with_a_reload_takes_the_folder_and_a_dry_run_lets_it_go(tmp_path: Path):
    async with Host() as core, running(config(core), tmp_path) as router:
        path = router.router.plan.path
        path.write_text(config(core, more=DAILY), "utf-8")
        report = await router.router.reload(dry_run=True)
        assert report.sound
        assert "quotas.daily" in report.differences.added
        held = StateFolder(tmp_path / "state")
        report = await router.router.reload()
        assert [problem.code for problem in report.problems] == ["E-STO-02"]
        held.close()
        assert (await router.router.reload()).applied
        with pytest.raises(RouterError):
            StateFolder(tmp_path / "state")
        await router.linked("core")
        client = await router.connect()
        await asked(client, 1)
        assert quota(router).highest(1)[0][1] == 1


# --- the disk


class Full(Disk):
    full = False

    def write(self, file: int, data: memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(file, data)


@pytest.mark.parametrize("choice", ["closed", "open"])
async def test_a_full_disk_closes_the_quotas_that_say_so_until_there_is_room(tmp_path: Path, choice: str):
    more = DAILY.replace("limit = 3", "limit = 100") + f'on_store_failure = "{choice}"\n'
    async with Host() as core, serving(core, more, tmp_path) as (router, client):
        keeper = router.router.keeper
        disk = Full()
        assert keeper._counters is not None
        keeper._counters._disk = disk
        await asked(client, 1)
        await keeper.store()
        disk.full = True
        await asked(client, 2)
        await keeper.store()
        await keeper.store()
        assert [line["code"] for line in router.log.named("counters_not_stored")] == ["E-STO-03"]
        families = {name: list(samples) for name, samples in router.router.collect()}
        assert families["store_up"] == [((), 0)]
        assert families["store_failures_total"][0][1] >= 2
        await asked(client, 3)
        assert refused(router, "E-STO-03") == (1 if choice == "closed" else 0)
        disk.full = False
        await keeper.store()
        await keeper.store()
        assert len(router.log.named("counters_stored_again")) == 1
        await asked(client, 4)
        sent = 4 if choice == "open" else 3
        assert len(core.frames) == sent
        await keeper.store()
        [used] = read_counters(tmp_path / "state").stored.values()
        assert list(used.values()) == [sent]


async def test_a_file_that_has_grown_is_written_anew_while_the_router_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counters, "SMALL", 500)
    far = ("quota", "gone", "by what is not configured", 0, 86_400)
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / NAME).write_bytes(line_of(far, {"C9": 9}) * 40)
    more = DAILY.replace("limit = 3", "limit = 100")
    async with Host() as core, serving(core, more, tmp_path) as (router, client):
        await asked(client, 1)
        before = (folder / NAME).stat().st_size
        await router.router.keeper.store()
        await asked(client, 2)
        await router.router.keeper.store()
        assert (folder / NAME).stat().st_size < before / 4
    stored = read_counters(folder).stored
    assert stored.pop(far) == {"C9": 9}
    [used] = stored.values()
    assert list(used.values()) == [2]


async def test_lines_that_are_damaged_are_told_and_the_others_hold(tmp_path: Path):
    async with Host() as core:
        async with serving(core, DAILY, tmp_path) as (_, client):
            await asked(client, 1, 2, 3)
        file = tmp_path / "state" / NAME
        file.write_bytes(b"no line of ours\n" + file.read_bytes() + b"torn")
        async with serving(core, DAILY, tmp_path) as (router, client):
            await asked(client, 4)
        assert len(core.frames) == 3
        assert [line["lines"] for line in router.log.named("counters_damaged")] == [1]
        assert [line["torn"] for line in router.log.named("counters_restored")] == [True]


# --- the clock


class Wall:
    """The time of day, which anybody may set."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.seconds = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Seoul")).timestamp()

    def __call__(self) -> float:
        return self.seconds


async def test_the_keeper_tells_midnight_in_seoul_and_a_clock_that_was_set(tmp_path: Path):
    async with Host() as core, serving(core, DAILY, tmp_path) as (router, client):
        keeper: Keeper = router.router.keeper
        wall = Wall("2026-11-22 23:59:58")
        keeper._wall = router.router.hub.wall = wall
        router.router.hub.enter(lambda now: keeper.keep_time())
        await asked(client, 1, 2, 3, 4)
        assert len(core.frames) == 3

        def set_to(text: str) -> None:
            wall.set(text)
            router.router.hub.enter(lambda now: keeper.keep_time())

        set_to("2026-11-23 00:00:00")
        await asked(client, 11, 12, 13, 14)
        assert len(core.frames) == 6
        set_to("2026-11-22 23:59:59")
        await asked(client, 21)
        set_to("2026-11-23 12:00:00")
        await asked(client, 22)
        assert len(core.frames) == 6, "neither day has anything left"
        await router.until(lambda: router.log.named("clock_jumped"))
        assert {each for each in router.log.text.split('"') if each.startswith("clock_")} == {"clock_jumped"}, "one event, whoever counts"


# --- what is seen


async def test_quotas_are_shown_with_their_window_and_who_has_used_most(tmp_path: Path):
    from test_admin import steered

    async with Host() as core, steered(config(core, more=DAILY), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await asked(client, 1, 2)
        seen = msgspec.convert((await door.gets("/quotas")).body, answers.Quotas)
        [shown] = seen.quotas
        assert (shown.name, shown.limit, shown.period, shown.timezone, shown.keys) == ("daily", 3, "day", "Asia/Seoul", 1)
        assert shown.begins_at.endswith("T00:00:00+09:00")
        assert [key.used for key in shown.highest] == [2]
        assert round(shown.used_ratio, 3) == 0.667
        assert seen.store is not None
        assert seen.store.failure == ""
        families = {name: list(samples) for name, samples in router.router.collect()}
        assert [(labels, round(float(value), 3)) for labels, value in families["quota_used_ratio"]] == [(("daily",), 0.667)]  # type: ignore[arg-type]
        assert families["limit_keys"] == [(("companies", "daily"), 1)]
        assert families["rate_limited_total"] == [(("daily",), 0)]


# --- configuration


def test_a_mistake_in_one_place_is_not_told_as_one_of_another(tmp_path: Path):
    """A listener that cannot be read has a spec all the same; a folder of specs that is missing is no folder without specs."""
    file = tmp_path / "router.toml"
    usage = '[usage]\nuser = "header.company_number"\namount = "body.amount"\n'
    other = '[listeners.cards]\naddress = "127.0.0.1:0"\nspec = "iso8583"\n'
    backend = '[services.core]\nbackends = ["127.0.0.1:9"]\nmode = "fifo"\n'
    broken = '[listeners.companies]\naddress = "127.0.0.1:99999"\nspec = "firmbanking"\n'
    route = '[[routes]]\nlistener = "cards"\nservice = "core"\ndefault = true\n'
    file.write_text('specs = "nowhere"\n' + usage + broken + other + backend + route)
    with pytest.raises(ConfigError) as error:
        planning.read_plan(file)
    assert [(each.code, each.key) for each in error.value.problems] == [("E-CFG-01", "specs"), ("E-CFG-04", "listeners.companies.address")]


@pytest.mark.parametrize(
    ("table", "code", "key", "what"),
    [
        ('key = "session"\nlimit = 3', "E-CFG-04", "quotas.daily.key[0]", "ends with its connection"),
        ('key = "header.nothing"\nlimit = 3', "E-CFG-06", "quotas.daily.key", "no such header field"),
        ('key = "certificate"\nlimit = 3', "E-CFG-07", "quotas.daily.key", "asks for none"),
        ('key = "address"\nlimit = 0', "E-CFG-04", "quotas.daily.limit", "out of range"),
        ('key = "address"\nlimit = 3\nperiod = "year"', "E-CFG-04", "quotas.daily.period", "none of the choices"),
        ('key = "address"\nlimit = 3\ntimezone = "Asia/Nowhere"', "E-CFG-04", "quotas.daily.timezone", "no time zone"),
        ('key = "address"\nlimit = 3\ntimezone = "../etc/passwd"', "E-CFG-04", "quotas.daily.timezone", "no time zone"),
        ('key = "address"\nlimit = 3\namount = "body.nothing"', "E-CFG-06", "quotas.daily.amount", "such a field"),
        ('key = "address"\nlimit = 3\namount = "body.memo"', "E-CFG-07", "quotas.daily.amount", "is no number"),
        ('key = "address"\nlimit = 3\nservice = "nowhere"', "E-CFG-06", "quotas.daily.service", "there is no service"),
        ('key = "address"\nlimit = 3\n[limits.daily]\nkey = "address"\nrate = 1', "E-CFG-07", "quotas.daily", "name of a limit"),
    ],
)
def test_what_is_wrong_with_a_quota_is_told_with_its_key(tmp_path: Path, table: str, code: str, key: str, what: str):
    assert {(each.code, each.key) for each in problems_with(tmp_path, f"[quotas.daily]\n{table}") if what in each.what} == {(code, key)}


# --- a real process


def lab(folder: Path, host_port: int) -> Path:
    file = folder / "router.toml"
    file.write_text(f"""
        specs = "{ROOT / "tests" / "benchmarks" / "specs"}"
        [listeners.lab]
        address = "127.0.0.1:0"
        spec = "lab"
        [services.transfer]
        backends = ["127.0.0.1:{host_port}"]
        [quotas.daily]
        key = "address"
        limit = 5
        [[routes]]
        listener = "lab"
        service = "transfer"
        default = true
    """)
    return file


class Process:
    """`telegram-router run` as a process of its own."""

    def __init__(self, file: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "telegram_router", "run", str(file)], cwd=ROOT, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        self.log = (json.loads(line) for line in self.process.stderr)
        started = next(line for line in self.log if line["event"] == "started")
        host, _, port = started["listeners"]["lab"].rpartition(":")
        self.address = host, int(port)

    def ends(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=10)
        return self.process.returncode


def test_a_killed_router_knows_at_its_next_start_what_was_stored_and_a_second_one_does_not_start(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as host:
        file = lab(tmp_path, host.getsockname()[1])
        admitted = []
        for _ in range(2):
            router = Process(file)
            try:
                link, _ = host.accept()
                link.settimeout(0.2)
                with link, socket.create_connection(router.address, 5) as session:
                    session.sendall(b"".join(b"00160200TR%010d" % number for number in range(3)))
                    admitted.append(_received(link))
                    if len(admitted) == 1:
                        second = subprocess.run(
                            [sys.executable, "-m", "telegram_router", "run", str(file)],
                            cwd=ROOT,
                            capture_output=True,
                            timeout=30,
                            check=False,
                        )
                        assert second.returncode == 75
                        assert b"E-STO-02" in second.stderr
                        _until_stored(tmp_path / "state", 3)
                assert router.ends(signal.SIGKILL) == -signal.SIGKILL
            finally:
                router.process.kill()
                router.process.communicate()
    assert admitted == [3, 2]


def _received(link: socket.socket) -> int:
    data = b""
    try:
        while more := link.recv(1000):
            data += more
    except TimeoutError:
        pass
    return len(data) // 20


def _until_stored(folder: Path, count: int) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        stored = read_counters(folder).stored
        if any(count in values.values() for values in stored.values()):
            return
        time.sleep(0.05)
    raise AssertionError("nothing was stored")


async def test_a_store_that_is_cancelled_is_finished_first(tmp_path: Path):
    async with Host() as core, serving(core, DAILY, tmp_path) as (router, client):
        await asked(client, 1, 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(router.router.keeper.store)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await router.router.keeper.store()
        [used] = read_counters(tmp_path / "state").stored.values()
        assert list(used.values()) == [2]
