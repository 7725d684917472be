"""Viewers and operators of the admin API, over plain HTTP and TLS; and the orders that take effect at once on live sessions."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from authority import Authority, Pair
from click.testing import CliRunner, Result
from running_router import Host, Running, answer_to, answers, config, keeps_silent, running, spec_named, transfer

from telegram_router.cli import main
from telegram_router.errors import ConfigError, Delivery
from telegram_router.ops import server
from telegram_router.plan import read_plan

OPERATOR, VIEWER = "operator-token-1234", "viewer-token-123456"


class Door:
    """An outside client of the admin address."""

    def __init__(self, place: Any, tls: ssl.SSLContext | None = None) -> None:
        self.place = place
        self.tls = tls

    async def asks(self, method: str, path: str, *headers: str, body: Any = None, host: str = "localhost") -> tuple[int, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(raw)}", *headers]
        with trio.fail_after(5):
            stream: Any = await trio.open_tcp_stream(*self.place)
            if self.tls is not None:
                stream = trio.SSLStream(stream, self.tls, server_hostname="localhost", https_compatible=True)
            async with stream:
                await stream.send_all("\r\n".join([*head, "\r\n"]).encode() + raw)
                answer = b"".join([chunk async for chunk in stream])
        return int(answer.split(b" ")[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


def secret(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o600)


@asynccontextmanager
async def steered(folder: Path, admin: str, behave: Any = None) -> AsyncIterator[tuple[Running, Host]]:
    secret(folder, "operator", OPERATOR)
    secret(folder, "viewer", VIEWER)
    async with Host(*([behave] if behave else [])) as core, running(f"{config(core)}\n[admin]\n{admin}\n", folder) as router:
        await router.linked("core")
        yield router, core


BY_TOKEN = 'address = "127.0.0.1:0"\ntoken_file = "operator"\nviewer_token_file = "viewer"'


async def test_a_viewer_sees_everything_and_gives_no_order(tmp_path: Path):
    async with steered(tmp_path, BY_TOKEN) as (router, core):
        door = Door(router.router.admin_place)
        viewer, operator = (f"Authorization: Bearer {token}" for token in (VIEWER, OPERATOR))
        for path in ("/status", "/sessions", "/links", "/exchanges", "/config"):
            assert (await door.asks("GET", path, viewer))[0] == 200
        order = ("POST", f"/services/core/backends/{core.address}")
        refused = await door.asks(*order, viewer, body={"state": "drain"})
        assert (refused[0], refused[1]["code"]) == (403, "E-ADM-08")
        assert (await door.asks("GET", "/status"))[0] == 401
        assert (await door.asks("POST", "/reload", viewer, body={"dry_run": True}))[0] == 403
        assert (await door.asks("POST", "/explain", viewer, body={"text": "00", "spec": "none"}))[1]["code"] == "E-ADM-01"  # no order
        assert (await door.asks(*order, operator, body={"state": "drain"}))[0] == 200
        (done,) = router.log.named("operator_action")
        told = {line["code"]: line["who"] for line in router.log.named("operator_refused")}
        assert done["who"].startswith("operator token from 127.0.0.1:")
        assert told["E-ADM-08"].startswith("viewer token from 127.0.0.1:") and told["E-ADM-03"].startswith("127.0.0.1:")
        assert OPERATOR not in router.log.text and VIEWER not in router.log.text


async def test_an_order_from_the_page_of_another_site_is_refused(tmp_path: Path):
    async with steered(tmp_path, 'address = "127.0.0.1:0"') as (router, core):
        door = Door(router.router.admin_place)
        order = ("POST", f"/services/core/backends/{core.address}")
        for header in ("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"):
            refused = await door.asks(*order, header, body={"weight": 2})
            assert (refused[0], refused[1]["code"]) == (403, "E-ADM-04"), header
            assert (await door.asks("GET", "/tail", header))[0] == 403
            assert (await door.asks("GET", "/livez", header))[0] == 200
        own = ("Origin: http://localhost", "Sec-Fetch-Site: same-origin")
        assert (await door.asks(*order, *own, body={"weight": 2}))[0] == 200


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ca")


def tls_keys(ca: Authority, policy: str = "required") -> str:
    own = ca.issue("localhost")
    return (
        'address = "127.0.0.1:0"\ntoken_file = "operator"\nviewers = "eyes.bank"\noperators = ["ops.bank"]\n[admin.tls]\n'
        f'certificate = "{own.certificate}"\nkey = "{own.key}"\nclient_ca = "{ca.file}"\nclient_certificate = "{policy}"'
    )


def client_tls(ca: Authority, own: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca.file)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


async def test_the_name_in_a_client_certificate_says_who_is_an_operator(tmp_path: Path, ca: Authority):
    async with steered(tmp_path, tls_keys(ca)) as (router, core):
        place = router.router.admin_place
        order = ("POST", f"/services/core/backends/{core.address}")
        operator, viewer, stranger = (Door(place, client_tls(ca, ca.issue(name))) for name in ("ops.bank", "eyes.bank", "else.bank"))
        assert (await operator.asks(*order, body={"weight": 2}, host="router.bank.example"))[0] == 200  # no name can be pointed at TLS
        assert (await viewer.asks("GET", "/status"))[0] == 200
        assert (await viewer.asks(*order, f"Authorization: Bearer {OPERATOR}", body={"weight": 3}))[1]["code"] == "E-ADM-08"
        assert (await stranger.asks("GET", "/status"))[1]["code"] == "E-ADM-03"
        assert (await stranger.asks(*order, f"Authorization: Bearer {OPERATOR}", body={"weight": 4}))[0] == 200
        with pytest.raises((trio.BrokenResourceError, IndexError)):
            await Door(place, client_tls(ca)).asks("GET", "/status")
        with pytest.raises((trio.BrokenResourceError, IndexError)):
            await Door(place).asks("GET", "/status")
        done = [line["who"].rpartition(":")[0] for line in router.log.named("operator_action")]
        assert done == ["certificate ops.bank from 127.0.0.1", "operator token from 127.0.0.1"]
        await router.until(lambda: {line["code"] for line in router.log.named("connection_failed")} == {"E-TLS-02", "E-TLS-08"})


async def test_who_never_ends_its_handshake_is_cut_off(tmp_path: Path, ca: Authority, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "HANDSHAKE", 0.1)
    async with steered(tmp_path, tls_keys(ca, "optional")) as (router, _):
        with trio.fail_after(2):
            stream = await trio.open_tcp_stream(*router.router.admin_place)  # type: ignore[misc, arg-type]
            assert await stream.receive_some() == b""
            await stream.aclose()
        assert (await Door(router.router.admin_place, client_tls(ca)).asks("GET", "/livez"))[0] == 200


async def test_a_renewed_certificate_is_shown_after_a_reload(tmp_path: Path, ca: Authority):
    async with steered(tmp_path, tls_keys(ca, "optional")) as (router, _):

        def shown() -> int:
            with socket.create_connection(router.router.admin_place) as sock, client_tls(ca).wrap_socket(sock, server_hostname="localhost") as inside:  # type: ignore[arg-type]  # fmt: skip
                return int(str((inside.getpeercert() or {})["serialNumber"]), 16)

        before = await trio.to_thread.run_sync(shown)
        ca.issue("localhost")
        report = await router.router.reload()
        assert report.sound and "admin.tls, its files" in report.differences.changed
        assert await trio.to_thread.run_sync(shown) != before


def test_one_token_for_both_roles_is_refused(tmp_path: Path):
    secret(tmp_path, "one", OPERATOR)
    secret(tmp_path, "same", OPERATOR + "\n")
    text = config(more='[admin]\naddress = "127.0.0.1:0"\ntoken_file = "one"\nviewer_token_file = "same"')
    (tmp_path / "router.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_plan(tmp_path / "router.toml")
    assert [(each.code, each.key) for each in caught.value.problems] == [("E-CFG-07", "admin.viewer_token_file")]


# --- the commands


async def calls(*arguments: str | Path) -> Result:
    return await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, [str(each) for each in arguments], prog_name="telegram-router"))


async def test_commands_reach_an_admin_address_with_tls(tmp_path: Path, ca: Authority):
    own = ca.issue("ops.bank")
    pair = ("--certificate", own.certificate, "--key", own.key)
    async with steered(tmp_path, tls_keys(ca, "optional")) as (router, _):
        port = router.router.admin_place[1]  # type: ignore[index]
        before, mark, admin = (tmp_path / "router.toml").read_text().partition("[admin]")
        (tmp_path / "router.toml").write_text(before + mark + admin.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        pinned = await calls("status", "--config", tmp_path / "router.toml")
        named = await calls("status", "--address", f"localhost:{port}", "--ca", ca.file, *pair)
        other_name = await calls("status", "--address", f"127.0.0.1:{port}", "--ca", ca.file, *pair)
        plain = await calls("status", "--address", f"localhost:{port}")
        half = await calls("status", "--address", f"localhost:{port}", "--certificate", own.certificate)
    assert (pinned.exit_code, named.exit_code) == (0, 0), pinned.output + named.output
    assert (other_name.exit_code, half.exit_code) == (1, 2) and "E-ADM-06" in other_name.stderr
    assert plain.exit_code == 1 and plain.stderr.startswith(("E-ADM-06", "E-ADM-07"))


async def test_a_message_is_switched_off_shown_and_switched_on(tmp_path: Path):
    place = ("--socket", tmp_path / "admin.sock")
    async with steered(tmp_path, 'socket = "admin.sock"') as (router, core):
        client = await router.connect()
        off = await calls("message", "off", "transfer.request", "--service", "core", *place)
        again = await calls("message", "off", "transfer.request", "--service", "core", "--json", *place)
        assert await client.asks(transfer(1)) == spec_named("firmbanking").error_reply(transfer(1), "E-RTE-06", Delivery.NOT_SENT)
        await router.router.reload()
        assert await client.asks(transfer(2)) != answer_to(transfer(2)) and not core.frames
        shown = await calls("status", *place)
        on = await calls("message", "on", "transfer.request", "--service", "core", *place)
        assert await client.asks(transfer(3)) == answer_to(transfer(3))
        unknown = await calls("message", "off", "transfr.request", *place)
        nowhere = await calls("message", "off", "transfer.request", "--listener", "none", *place)
        reply = await calls("message", "off", "transfer.response", *place)
        both = await calls("message", "off", "transfer.request", "--listener", "companies", "--service", "core", *place)
        orders = router.log.named("operator_action")
    assert (off.exit_code, off.stdout) == (0, "transfer.request: off service core\n")
    assert json.loads(again.stdout) == {
        "message": "transfer.request", "listener": None, "service": "core", "state": "off", "before": "off",
    }  # fmt: skip
    assert "transfer.request" in shown.stdout and "service core" in shown.stdout
    assert (on.exit_code, on.stdout) == (0, "transfer.request: on service core\n")
    assert [each.stderr[:8] for each in (unknown, nowhere, reply)] == ["E-ADM-01", "E-ADM-01", "E-ADM-02"] and both.exit_code == 2
    assert [(each["message"], each["at"], each["before"], each["after"]) for each in orders] == [
        ("transfer.request", "service.core", {"state": "on"}, {"state": "off"}),
        ("transfer.request", "service.core", {"state": "off"}, {"state": "off"}),
        ("transfer.request", "service.core", {"state": "off"}, {"state": "on"}),
    ]


async def test_a_drained_listener_is_opened_again_and_who_was_to_leave_stays(tmp_path: Path):
    place = ("--socket", tmp_path / "admin.sock")
    async with steered(tmp_path, 'socket = "admin.sock"', keeps_silent) as (router, core):
        busy = await router.connect()
        await router.until(lambda: router.switch.listeners["companies"].sessions)
        early = await calls("open", "companies", *place)
        await busy.sends(transfer(1)[:100])  # half a telegram: it cannot leave yet
        (peer,) = router.switch.listeners["companies"].sessions
        await router.until(lambda: router.router.hub.by_peer[peer].buffer)  # type: ignore[attr-defined]
        address = router.address("companies")
        drained = await calls("drain", "companies", "--over", "0", "--patience", "60", *place)
        shown = await calls("status", "--json", *place)
        with pytest.raises(OSError, match=r"refused|connect"):
            await trio.open_tcp_stream(*address)
        opened = await calls("open", "companies", *place)
        newcomer = await router.connect()
        core.behave = answers
        await busy.sends(transfer(1)[100:])
        assert await busy.got() == answer_to(transfer(1))
        assert await newcomer.asks(transfer(2)) == answer_to(transfer(2))
        await trio.sleep(0.12)  # two looks of who parts with sessions
        assert await busy.asks(transfer(3)) == answer_to(transfer(3))
        actions = [line["action"] for line in router.log.named("operator_action")]
        await calls("drain", "companies", "--over", "0", *place)
        with socket.create_server(address):
            taken = await calls("open", "companies", *place)
    assert early.exit_code == 1 and early.stderr.startswith("E-ADM-05")
    assert drained.exit_code == 0 and json.loads(shown.stdout)["listeners"][0]["changed"] == ["accepting"]
    assert (opened.exit_code, opened.stdout) == (0, f"companies: accepts sessions at 127.0.0.1:{address[1]}; 1 of before stay\n")
    assert actions == ["drain_listener", "open_listener"]
    assert taken.exit_code == 1 and taken.stderr.startswith("E-ADM-05") and "in use" in taken.stderr
