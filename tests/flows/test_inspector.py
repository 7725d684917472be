"""What the page asks for beside numbers: recent errors, and telegrams explained by a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from running_router import Host, betrayed, config, keeps_silent, running, transfer
from test_admin import Door

from telegram_router.ops import inspector

ADMIN = '[admin]\nsocket = "admin.sock"\n'


async def explained(door: Door, **paste: Any) -> Any:
    return (await door.posts("/explain", paste)).body


async def test_recent_errors_are_told_newest_first_with_what_to_do_and_masked(tmp_path: Path):
    async with Host(keeps_silent) as core, running(config(core) + '[log]\nlevel = "error"\n' + ADMIN, tmp_path) as router:
        await router.linked("core")
        door = Door(router.router.admin_place)
        client = await router.connect()
        await client.sends(transfer(1) + transfer(1))
        await client.got()
        await client.got()
        got = await door.gets("/errors")
        overview = (await door.gets("/overview")).body
    newest, oldest = got.body["errors"]
    assert (oldest["code"], oldest["event"], newest["code"], newest["fields"]["delivery"]) == (
        *("E-DUP-01", "refused", "E-BCK-05", "sent_unknown"),
    )
    assert newest["fields"]["telegram"]["message_number"] == "000001" and newest["do"].startswith("ask for the result")
    assert newest["title"] == "no answer in time" and newest["number"] == 2 == got.body["total"] == overview["errors"]
    assert overview["results"] == {"ok": 0, "E-DUP-01": 1, "E-BCK-05": 1}
    assert not betrayed(got.raw.decode())


async def test_a_telegram_is_explained_as_hex_and_as_text_and_is_written_nowhere(tmp_path: Path):
    async with Host() as core, running(config(core) + ADMIN, tmp_path) as router:
        await router.linked("core")
        door = Door(router.router.admin_place)
        (by_hex,) = (await explained(door, text=transfer(7).hex(" "), spec="firmbanking"))["telegrams"]
        (by_text,) = (await explained(door, text=transfer(7).decode("cp949"), spec="firmbanking", raw=True))["telegrams"]
        assert by_hex["fields"] == by_text["fields"] and by_hex["ok"] and by_hex["message"] == "transfer.request"
        assert betrayed(str(by_hex))  # who pastes a telegram sees all of it
        assert (await explained(door, text="00", spec="firmbanking"))["telegrams"][0]["ok"] is False
        assert (await door.posts("/explain", {"text": "00", "spec": "none"})).body["code"] == "E-ADM-01"
        assert (await door.posts("/explain", {"text": "\ud55c\u200b", "spec": "firmbanking", "raw": True})).body["code"] == "E-ADM-02"
        assert (await door.posts("/explain", {"text": ""})).body["code"] == "E-ADM-02"
        assert not router.log.named("operator_action")
    assert not betrayed(router.log.text)


async def test_explaining_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspector, "SECONDS", 0.05)
    async with Host() as core, running(config(core) + ADMIN, tmp_path) as router:
        await router.linked("core")
        with trio.fail_after(5):
            got = await Door(router.router.admin_place).posts("/explain", {"text": transfer(7).hex()})
    assert (got.status, got.body["code"]) == (409, "E-ADM-05")
