"""Files change under a router that watches them: it waits until they have settled, and never takes half of a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from running_router import ROOT, Host, Running, answer_to, running, transfer

from telegram_router import watching
from telegram_router.watching import Watch

LOOK = 0.03
ONE, OTHER = Path("one"), Path("other")
A, B = (1, 1, 10, 100), (1, 2, 10, 200)


def test_a_change_counts_at_the_second_look_that_finds_it():
    looks = Watch()
    assert [looks.settled({ONE: A}) for _ in range(3)] == [False, True, True]
    looks.dealt_with({ONE: A})
    assert not looks.settled({ONE: A})
    assert [looks.settled(each) for each in ({ONE: B}, {ONE: A}, {ONE: B}, {ONE: B})] == [False, False, False, True]


def test_a_file_that_is_gone_and_one_that_is_looked_at_for_the_first_time_are_changes():
    looks = Watch()
    looks.dealt_with({ONE: A})
    assert [looks.settled({ONE: None}) for _ in range(2)] == [False, True]
    assert [looks.settled({ONE: A, OTHER: B}) for _ in range(2)] == [False, True]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "LOOK", LOOK)


def text(host: Host, timeout: str = "2s", watch: str = "true", specs: str = str(ROOT / "specs")) -> str:
    return f"""
        watch = {watch}
        specs = "{specs}"
        drain = "500ms"
        [listeners.companies]
        address = "127.0.0.1:0"
        spec = "firmbanking"
        [services.core]
        backends = ["{host.address}"]
        timeout = "{timeout}"
        reconnect_min = "10ms"
        [[routes]]
        listener = "companies"
        service = "core"
        default = true
    """


async def some_looks(count: int = 6) -> None:
    await trio.sleep(LOOK * count)


async def reloaded(router: Running, times: int = 1) -> list[list[str]]:
    await router.until(lambda: len(router.log.named("reloaded")) >= times, "a reload")
    return [line["changed"] for line in router.log.named("reloaded")]


@pytest.mark.usefixtures("quick")
async def test_a_changed_configuration_is_taken_over_once_and_sessions_stay():
    async with Host() as core, running(text(core)) as router:
        await router.linked("core")
        client = await router.connect()
        router.router.plan.path.write_text(text(core, "3s"), "utf-8")
        assert await reloaded(router) == [["services.core.timeout"]]
        await some_looks()
        assert len(router.log.named("reloaded")) == 1
        assert [line["files"] for line in router.log.named("files_changed")] == [[str(router.router.plan.path)]]
        assert await client.asks(transfer()) == answer_to(transfer())


@pytest.mark.usefixtures("quick")
async def test_a_file_that_is_touched_or_written_as_it_was_is_no_change():
    async with Host() as core, running(text(core)) as router:
        await some_looks()
        path = router.router.plan.path
        os.utime(path)
        await some_looks()
        path.write_text(text(core), "utf-8")
        await some_looks()
        assert not router.log.named("files_changed")


@pytest.mark.usefixtures("quick")
async def test_a_mistake_is_told_once_and_mending_it_is_enough():
    async with Host() as core, running(text(core)) as router:
        path = router.router.plan.path
        path.write_text("nonsense", "utf-8")
        await router.until(lambda: router.log.named("reload_failed"))
        await some_looks(10)
        assert len(router.log.named("reload_failed")) == 1
        path.write_text(text(core, "4s"), "utf-8")
        assert await reloaded(router) == [["services.core.timeout"]]


@pytest.mark.usefixtures("quick")
async def test_a_file_that_the_refused_configuration_names_is_waited_for(tmp_path: Path):
    async with Host() as core, running(text(core), tmp_path) as router:
        secret = tmp_path / "token"
        admin = '[admin]\naddress = "127.0.0.1:0"\ntoken_file = "token"\n'
        router.router.plan.path.write_text(text(core, "5s") + admin, "utf-8")
        await router.until(lambda: router.log.named("reload_failed"))
        assert router.log.named("reload_failed")[0]["file"] == str(secret)
        secret.touch(0o600)
        secret.write_text("0123456789abcdef0123")
        assert (await reloaded(router))[-1] == ["services.core.timeout"]


@pytest.mark.usefixtures("quick")
async def test_a_folder_that_is_swapped_by_its_link_as_kubernetes_does_it_is_one_change(tmp_path: Path):
    async with Host() as core:
        for name, timeout in (("first", "2s"), ("second", "6s")):
            (tmp_path / name).mkdir()
            (tmp_path / name / "router.toml").write_text(text(core, timeout), "utf-8")
        (tmp_path / "..data").symlink_to("first")
        mounted = tmp_path / "router.toml"
        async with running(text(core), tmp_path) as router:
            await some_looks()
            mounted.unlink()
            mounted.symlink_to("..data/router.toml")
            await some_looks()
            assert not router.log.named("files_changed")
            (tmp_path / "..data_tmp").symlink_to("second")
            (tmp_path / "..data_tmp").rename(tmp_path / "..data")
            assert await reloaded(router) == [["services.core.timeout"]]


@pytest.mark.usefixtures("quick")
async def test_a_spec_that_comes_into_being_in_the_users_own_folder_is_the_spec_from_then_on(tmp_path: Path):
    (tmp_path / "own").mkdir()
    async with Host() as core, running(text(core, specs=str(tmp_path / "own")), tmp_path) as router:
        await some_looks()
        shipped = (ROOT / "specs" / "firmbanking.py").read_text("utf-8")
        (tmp_path / "own" / "firmbanking.py").write_text(shipped + "\n# our own copy\n", "utf-8")
        assert await reloaded(router) == [["specs.firmbanking, its text"]]


@pytest.mark.usefixtures("quick")
async def test_without_watch_nothing_happens_until_a_reload_says_so():
    async with Host() as core, running(text(core, watch="false")) as router:
        router.router.plan.path.write_text(text(core, "3s", watch="false"), "utf-8")
        await some_looks()
        assert not router.log.named("files_changed")
        router.router.plan.path.write_text(text(core, "3s"), "utf-8")
        await router.router.reload()
        router.router.plan.path.write_text(text(core, "4s"), "utf-8")
        assert (await reloaded(router, 2))[-1] == ["services.core.timeout"]
