"""Metrics, admin API and log level change in a running router, by orders that may come through what is changed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio
from running_router import Host, Running, config, running
from test_admin import Door, until

from telegram_router import endpoints

SOCKET = '[admin]\nsocket = "admin.sock"\n'
METRICS = '[metrics]\naddress = "127.0.0.1:0"\n'


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endpoints, "MOMENT", 0.05)


def rewrite(router: Running, text: str) -> None:
    router.router.plan.path.write_text(text, "utf-8")


async def listens(place: object) -> bool:
    try:
        if isinstance(place, Path):
            await (await trio.open_unix_socket(place)).aclose()
        else:
            await (await trio.open_tcp_stream(*place)).aclose()  # type: ignore[misc]
    except OSError:
        return False
    return True


async def test_the_admin_api_moves_by_an_order_that_comes_through_it_and_the_order_is_answered(tmp_path: Path):
    async with Host() as core, running(config(core) + SOCKET, tmp_path) as router:
        former = router.router.admin_place
        rewrite(router, config(core) + '[admin]\nsocket = "other.sock"\n' + METRICS + '[log]\nlevel = "error"\n')
        report = (await Door(former).posts("/reload", {})).body
        assert (report["applied"], report["added"], report["changed"]) == (True, ["metrics"], ["log.level", "admin.socket"])
        assert report["restart"] == []
        there = router.router.admin_place
        assert there == tmp_path / "other.sock"
        assert (await Door(there).gets("/readyz")).status == 200
        assert await listens(router.router.metrics_address)
        await until(lambda: not former.exists())  # type: ignore[union-attr]
        router.router.log.info("nobody wants to know")
        assert not router.log.named("nobody wants to know")
        rewrite(router, config(core))
        metrics = router.router.metrics_address
        assert (await Door(there).posts("/reload", {})).body["removed"] == ["metrics", "admin"]
        await until(lambda: not there.exists())  # type: ignore[union-attr]
        assert router.router.admin_place is None
        with trio.fail_after(3):
            while await listens(metrics):  # noqa: ASYNC110
                await trio.sleep(0.005)
        router.router.log.info("everybody wants to know")
        assert router.log.named("everybody wants to know")


async def test_where_somebody_else_listens_nothing_is_changed_at_all(tmp_path: Path):
    async with Host() as core, running(config(core) + SOCKET, tmp_path) as router:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            rewrite(router, config(core) + METRICS + f'[admin]\naddress = "127.0.0.1:{port}"\n')
            report = (await Door(router.router.admin_place).posts("/reload", {})).body
        assert [problem["code"] for problem in report["problems"]] == ["E-CFG-09"]
        assert router.router.admin_place == tmp_path / "admin.sock"
        assert router.router.metrics_address is None
        assert (await Door(router.router.admin_place).gets("/readyz")).status == 200


async def test_a_dry_run_leaves_nobody_listening(tmp_path: Path):
    async with Host() as core, running(config(core) + SOCKET, tmp_path) as router:
        rewrite(router, config(core) + '[admin]\nsocket = "other.sock"\n')
        report = (await Door(router.router.admin_place).posts("/reload", {"dry_run": True})).body
        assert (report["applied"], report["changed"]) == (False, ["admin.socket"])
        await until(lambda: not (tmp_path / "other.sock").exists())
        assert (await Door(router.router.admin_place).gets("/readyz")).status == 200
