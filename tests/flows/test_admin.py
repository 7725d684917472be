"""The admin API over real sockets: what it shows, what it orders, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import msgspec
import pytest
import trio
from running_router import Host, Running, answer_to, answers, betrayed, config, keeps_silent, running, transfer

from telegram_router.errors import RouterError
from telegram_router.ops import answers as shapes
from telegram_router.ops import operations, server, survey
from telegram_router.ops.operations import OPERATIONS
from telegram_router.ops.shown_config import LEFT_OUT

TOKEN = "correct-horse-battery-staple"


class Got(NamedTuple):
    status: int
    body: Any
    raw: bytes = b""


class Door:
    """An outside client of the admin API, over plain sockets."""

    def __init__(self, place: Any) -> None:
        self.place = place

    async def connect(self) -> trio.SocketStream:
        if isinstance(self.place, Path):
            return await trio.open_unix_socket(self.place)
        return await trio.open_tcp_stream(*self.place)

    async def sends(self, request: bytes) -> Got:
        with trio.fail_after(5):
            async with await self.connect() as stream:
                await stream.send_all(request)
                return parsed(b"".join([chunk async for chunk in stream]))

    async def gets(self, path: str, *headers: str, host: str = "localhost") -> Got:
        return await self.sends("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "\r\n"]).encode())

    async def posts(self, path: str, body: Any, *headers: str, kind: str = "application/json") -> Got:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(raw)}", *headers]
        return await self.sends("\r\n".join([*head, "\r\n"]).encode() + raw)


def parsed(answer: bytes) -> Got:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), answer
    return Got(int(head.split(b" ")[1]), json.loads(body), answer)


@asynccontextmanager
async def steered(config_text: str, tmp_path: Path, admin: str = 'socket = "admin.sock"') -> AsyncIterator[tuple[Running, Door]]:
    async with running(f"{config_text}\n[admin]\n{admin}\n", tmp_path) as router:
        yield router, Door(router.router.admin_place)


def two_hosts(one: Host, other: Host, keys: str = "") -> str:
    """A service of two backends, in place of the one of `config`."""
    text = config(one, service=keys)
    return text.replace(f'backends = ["{one.address}"]', f'backends = ["{one.address}", "{other.address}"]')


async def until(holds: Callable[[], object]) -> None:
    with trio.fail_after(3):
        while not holds():  # noqa: ASYNC110  (nothing announces it)
            await trio.sleep(0.002)


# --- what it shows


async def test_the_status_shows_listeners_services_backends_and_routes(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        for number in (1, 2, 3):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        status = msgspec.convert((await door.gets("/status")).body, shapes.Status)
        (listener,), (service,), (route,) = status.listeners, status.services, status.routes
        (backend,) = service.backends
    assert (status.ready, status.draining, status.open_exchanges, status.pid) == (True, False, 0, os.getpid())
    assert (listener.name, listener.sessions, listener.telegrams_received, listener.telegrams_sent) == ("companies", 1, 3, 3)
    assert (service.name, service.kind, service.answered, service.failed, sum(service.latency_counts)) == ("core", "telegram", 3, 0, 3)
    assert (backend.name, backend.state, backend.answered, backend.links, backend.changed) == (core.address, "up", 3, 1, [])
    assert (route.source, route.target, route.answered) == ("listener.companies", "service.core", 3)


async def test_sessions_and_links_are_shown_with_what_they_hold_open(tmp_path: Path):
    async with Host(keeps_silent) as core, steered(config(core, service='timeout = "300ms"'), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1) + transfer(2))
        await core.reached(2)
        sessions = msgspec.convert((await door.gets("/sessions")).body, shapes.Sessions)
        links = msgspec.convert((await door.gets("/links")).body, shapes.Links)
        await client.got()
        await client.got()
    (session,), (link,) = sessions.sessions, links.links
    assert (sessions.total, session.listener, session.state, session.open, session.address) == (1, "companies", "open", 2, "127.0.0.1")
    assert (links.total, link.service, link.backend, link.in_flight, link.in_use) == (1, "core", core.address, 2, True)


async def test_open_exchanges_are_shown_oldest_first_by_their_clear_fields_alone(tmp_path: Path):
    async with Host(keeps_silent) as core, steered(config(core, service='timeout = "300ms"'), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        for number in (41, 42):
            await client.sends(transfer(number))
            await core.reached(number - 40)
        got = await door.gets("/exchanges")
        await client.got()
        await client.got()
        assert (await door.gets("/exchanges")).body == {"total": 0, "exchanges": []}
    assert not betrayed(got.raw.decode())
    exchanges = msgspec.convert(got.body, shapes.Exchanges).exchanges
    assert [each.telegram["message_number"] for each in exchanges] == ["000041", "000042"]
    assert exchanges[0].age_s >= exchanges[1].age_s
    assert {(each.state, each.delivery, each.target, each.message) for each in exchanges} == {
        ("sent", "sent_unknown", "core", "transfer.request")
    }


async def test_a_request_that_waits_for_a_backend_is_shown_as_not_sent(tmp_path: Path):
    async with Host() as core:
        text = config(core, service='pending_timeout = "300ms"')
        async with steered(text, tmp_path) as (router, door):
            await router.linked("core")
            await door.posts(f"/services/core/backends/{core.address}", {"state": "drain"})
            client = await router.connect()
            await client.sends(transfer(1))
            await until(lambda: router.switch.services["core"].waiting)
            (shown,) = (await door.gets("/exchanges")).body["exchanges"]
            assert (shown["state"], shown["delivery"], shown["answerer"]) == ("waiting", "not_sent", None)
            await door.posts(f"/services/core/backends/{core.address}", {"state": "ready"})
            assert await client.got() == answer_to(transfer(1))


async def test_the_configuration_is_shown_without_its_secrets(tmp_path: Path):
    more = """
        [services.rest]
        url = "http://127.0.0.1:9/rest?key=hidden-in-a-query"
        headers = { X-Api-Key = "hidden-in-a-header" }
        [[routes]]
        listener = "companies"
        service = "rest"
        match = { message_type = "7000", business_code = ["200"] }
    """
    async with Host() as core, steered(config(core) + more, tmp_path) as (router, door):
        await router.linked("core")
        got = await door.gets("/config")
    shown = got.body["config"]
    assert b"hidden" not in got.raw
    assert shown["services"]["rest"]["headers"] == {"X-Api-Key": LEFT_OUT}
    assert shown["services"]["rest"]["url"] == f"http://127.0.0.1:9/rest?{LEFT_OUT}"
    assert shown["services"]["core"]["timeout"] == 1.0
    assert shown["routes"][1]["match"] == {"message_type": {"values": ["7000"]}, "business_code": {"values": ["200"]}}


async def test_limits_are_shown_with_what_they_refused(tmp_path: Path):
    limit_table = '[limits.each]\nkey = "address"\nrate = 1\nper = "1h"'
    async with Host() as core, steered(config(core, more=limit_table), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await client.asks(transfer(1))
        await client.asks(transfer(2))
        (limit,) = msgspec.convert((await door.gets("/limits")).body, shapes.Limits).limits
    assert (limit.name, limit.listeners, limit.keys, limit.refused, limit.burst) == ("each", ["companies"], 1, 1, 1)


async def test_health_endpoints_tell_a_router_that_drains_from_one_that_takes_sessions(tmp_path: Path):
    async with Host(keeps_silent) as core, steered(config(core, service='timeout = "300ms"'), tmp_path) as (router, door):
        await router.linked("core")
        assert [(await door.gets(path)).status for path in ("/livez", "/readyz", "/startupz")] == [200, 200, 200]
        client = await router.connect()
        await client.sends(transfer(1))
        await core.reached()
        router.router.stop()
        await until(lambda: router.switch.draining)
        assert (await door.gets("/readyz"))[:2] == (503, {"ok": False, "why": "it drains"})
        assert (await door.gets("/livez")).status == 200
        assert (await door.gets("/status")).body["draining"] is True
        await client.got()


async def test_every_answer_has_the_form_that_the_table_names(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        for row in OPERATIONS:
            if row.method == "GET" and row.answer is not None and not row.lines:
                got = await door.gets(row.path)
                if row.name == "usage":  # nothing is metered here
                    assert got.status != 200 and set(got.body) == {"code", "what", "do"}
                    continue
                assert msgspec.to_builtins(msgspec.convert(got.body, row.answer)) == got.body, row.path  # no key more, none less


# --- what it orders


async def test_a_backend_is_drained_under_traffic_and_not_a_telegram_is_lost(tmp_path: Path):
    async def slowly(line: Any, frame: bytes) -> None:
        await trio.sleep(0.001)
        await answers(line, frame)

    async with Host(slowly) as one, Host(slowly) as other, steered(two_hosts(one, other, 'timeout = "2s"'), tmp_path) as (router, door):
        await until(lambda: len(router.switch.services["core"].links) == 2)
        done = 0
        stopped = False

        async def ask(first: int) -> None:
            nonlocal done
            client = await router.connect()
            for number in range(first, first + 10_000):
                if stopped:
                    return
                assert await client.asks(transfer(number)) == answer_to(transfer(number))
                done += 1

        async with trio.open_nursery() as nursery:
            for bank in range(4):
                nursery.start_soon(ask, 10_000 * (bank + 1))
            await until(lambda: len(one.frames) > 20 and len(other.frames) > 20)
            drained = await door.posts(f"/services/core/backends/{one.address}", {"state": "drain"})
            assert drained.body["state"] == "drain" and drained.body["changed"] == ["admin"]
            (backend, _) = (await door.gets("/status")).body["services"][0]["backends"]
            while backend["in_flight"]:
                (backend, _) = (await door.gets("/status")).body["services"][0]["backends"]
            at_one, at_other = len(one.frames), len(other.frames)
            await until(lambda: len(other.frames) > at_other + 50)
            assert len(one.frames) == at_one
            await door.posts(f"/services/core/backends/{one.address}", {"state": "ready"})
            await until(lambda: len(one.frames) > at_one + 10)
            stopped = True
        assert done == len(one.frames) + len(other.frames) > 100


async def test_weights_change_the_shares_at_once(tmp_path: Path):
    async with Host() as one, Host() as other, steered(two_hosts(one, other, 'balance = "round_robin"'), tmp_path) as (router, door):
        await until(lambda: len(router.switch.services["core"].links) == 2)
        got = await door.posts(f"/services/core/backends/{one.address}", {"weight": 3})
        assert (got.body["weight"], got.body["changed"]) == (3, ["weight"])
        client = await router.connect()
        for number in range(40):
            await client.asks(transfer(number))
        assert (len(one.frames), len(other.frames)) == (30, 10)


async def test_an_operator_returns_a_service_to_its_best_priority(tmp_path: Path):
    async with Host() as one, Host() as other:
        text = two_hosts(one, other, 'failover = { failback = "manual" }').replace(
            f'"{other.address}"]', f'{{ address = "{other.address}", priority = 1 }}]'
        )
        async with steered(text, tmp_path) as (router, door):
            await until(lambda: all(each.links for each in router.switch.services["core"].pool.backends.values()))
            assert (await door.posts("/services/core/failback", {})).body["code"] == "E-ADM-05"
            backend = f"/services/core/backends/{one.address}"
            await door.posts(backend, {"state": "maint"})
            await door.posts(backend, {"state": "ready"})
            assert (await door.gets("/status")).body["services"][0]["priority"] == 1
            assert (await door.posts("/services/core/failback", {})).body == {"service": "core", "before": 1, "after": 0}
            assert (await door.gets("/status")).body["services"][0]["priority"] == 0


async def test_every_order_is_one_line_of_the_log_with_who_what_before_and_after(tmp_path: Path):
    async with Host() as core, steered(config(core) + '[log]\nlevel = "error"\n', tmp_path) as (router, door):
        await router.linked("core")
        await door.posts(f"/services/core/backends/{core.address}", {"state": "maint", "weight": 7})
        await door.posts(f"/services/core/backends/{core.address}", {"state": "ready", "weight": 1})
        first, second = router.log.named("operator_action")
    assert first["who"] == f"uid {os.getuid()} (pid {os.getpid()})"
    assert (first["action"], first["service"], first["backend"]) == ("order_backend", "core", core.address)
    assert first["before"] == second["after"] == {"state": "ready", "weight": 1}
    assert first["after"] == second["before"] == {"state": "maint", "weight": 7}


# --- what it refuses

ORDER = "/services/core/backends/{backend}"


BAD = [
    (ORDER, b"drain", "application/json", 400, "E-ADM-02"),
    (ORDER, b'{"state": "\xff"}', "application/json", 400, "E-ADM-02"),
    (ORDER, b"[" * 10_000, "application/json", 400, "E-ADM-02"),
    (ORDER, b'{"state": "drian"}', "application/json", 400, "E-ADM-02"),
    (ORDER, b'{"state": "drain", "for": "1h"}', "application/json", 400, "E-ADM-02"),
    (ORDER, b'{"weight": 0}', "application/json", 400, "E-ADM-02"),
    (ORDER, b'{"weight": 1e400}', "application/json", 400, "E-ADM-02"),
    (ORDER, b"{}", "application/json", 400, "E-ADM-02"),
    (ORDER, b'{"state": "drain"}', "text/plain", 415, "E-ADM-02"),
    (ORDER, b'{"state": "drain"}' + b" " * 2**20, "application/json", 413, "E-ADM-02"),
    ("/services/core/backends/10.9.9.9:1", b'{"state": "drain"}', "application/json", 404, "E-ADM-01"),
    ("/services/none/backends/10.9.9.9:1", b'{"state": "drain"}', "application/json", 404, "E-ADM-01"),
    ("/services/none/failback", b"{}", "application/json", 404, "E-ADM-01"),
    ("/services", b"{}", "application/json", 404, "E-ADM-01"),
    ("/status", b"{}", "application/json", 405, "E-ADM-02"),
]


async def test_a_bad_order_is_refused_and_changes_nothing(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        for path, body, kind, status, code in BAD:
            got = await door.posts(path.format(backend=core.address), body, kind=kind)
            assert (got.status, got.body["code"]) == (status, code), (path, body[:40])
            assert set(got.body) == {"code", "what", "do"} and got.body["do"]
        (service,) = (await door.gets("/status")).body["services"]
        assert not router.log.named("operator_action")
    assert [(each["name"], each["admin"], each["weight"]) for each in service["backends"]] == [(core.address, "ready", 1)]


@asynccontextmanager
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[Running, Door]]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "token").chmod(0o600)
    async with Host() as core, steered(config(core), tmp_path, 'address = "127.0.0.1:0"\ntoken_file = "token"') as (router, door):
        await router.linked("core")
        yield router, door


async def test_without_the_right_token_nothing_is_told_but_health(tmp_path: Path):
    async with guarded(tmp_path) as (router, door):
        for header in (
            "X: y",
            "Authorization: Bearer wrong",
            f"Authorization: Basic {TOKEN}",
            f"Authorization: Bearer {TOKEN}x",
            "Authorization:",
        ):
            got = await door.gets("/status", header)
            assert (got.status, got.body["code"]) == (401, "E-ADM-03"), header
            assert b"www-authenticate: bearer" in got.raw.lower()
        assert (await door.posts("/services/core/failback", {}, "Authorization: Bearer wrong")).status == 401
        assert (await door.gets("/readyz")).status == 200
        assert (await door.gets("/status", f"Authorization: Bearer {TOKEN}")).status == 200
        assert (await door.posts("/services/core/failback", {}, f"authorization: bearer {TOKEN}")).body["code"] == "E-ADM-05"
        told = router.log.named("operator_refused")
        assert {line["code"] for line in told} == {"E-ADM-03", "E-ADM-05"} and TOKEN not in router.log.text


async def test_a_refusal_reaches_who_is_still_sending(tmp_path: Path):
    async with guarded(tmp_path) as (_, door):
        for path in ("/services/core/failback", "/nothing", "/status"):
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n\r\n"
            with trio.fail_after(5):
                async with await door.connect() as stream:
                    await stream.send_all(head.encode())
                    for _ in range(4):
                        await trio.sleep(0.01)
                        await stream.send_all(b" " * 100_000)
                    got = parsed(b"".join([chunk async for chunk in stream]))
            assert got.status in (401, 404, 405), path


async def test_a_web_page_that_points_its_name_here_is_refused(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path, 'address = "127.0.0.1:0"') as (router, door):
        await router.linked("core")
        assert (await door.gets("/status", host="evil.example:80")).body["code"] == "E-ADM-04"
        assert [(await door.gets("/status", host=name)).status for name in ("localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST:9")] == [
            200
        ] * 4


# --- its bounds


async def test_half_a_request_is_cut_off_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "PATIENCE", 0.2)
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        began = time.monotonic()
        async with await door.connect() as slow, await door.connect() as slower:
            await slow.send_all(
                b"POST /services/core/failback HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            )
            await slower.send_all(b"GET /sta")
            assert (await door.gets("/livez")).status == 200
            with trio.fail_after(3):
                assert await slow.receive_some() == await slower.receive_some() == b""
        assert 0.15 < time.monotonic() - began < 1


HALVES = {
    "half a head": b"GET /sta",
    "half a body": b"POST /services/core/failback HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    "a websocket": b"GET /status HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(64),
    "an upgrade": b"GET /status HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00" + bytes(300),
    "telegrams": transfer(1),
    "three at once": b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
}


async def test_whatever_else_comes_and_goes_is_no_fault_and_frees_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "AT_ONCE", 2)
    monkeypatch.setattr(server, "SILENCE", 0.05)
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        streams = []
        for data in HALVES.values():
            for stays in (True, False):
                stream = await door.connect()
                await stream.send_all(data)
                await trio.sleep(0.01)
                await (stream.send_eof() if stays else stream.aclose())
                streams.append(stream)
        assert (await door.gets("/livez")).status == 200
        assert not router.log.named("bug")
        for stream in streams:
            await stream.aclose()


async def test_more_requests_at_a_time_than_there_are_places_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    most, served, highest = 3, 0, 0
    monkeypatch.setattr(server, "AT_ONCE", most)
    monkeypatch.setattr(server, "SILENCE", 0.5)
    original = server._serve

    async def counted(*arguments: Any) -> None:
        nonlocal served, highest
        served += 1
        highest = max(highest, served)
        try:
            await original(*arguments)
        finally:
            served -= 1

    monkeypatch.setattr(server, "_serve", counted)
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        idle = [await door.connect() for _ in range(most)]
        await until(lambda: served == most)
        waiting = [await door.connect() for _ in range(most)]
        for each in waiting:
            await each.send_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(20):  # of the router's turns: who is not held back has come in by then
            await trio.lowlevel.checkpoint()
        for each in idle:
            await each.aclose()
        for each in waiting:
            assert b" 200 " in await each.receive_some(100)
            await each.aclose()
    assert highest == most


async def test_who_does_not_read_the_answer_does_not_hold_up_the_end(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        for _ in range(300):
            await router.connect()
        await until(lambda: router.router.acceptors["companies"].open == 300)
        lazy = socket.socket(socket.AF_UNIX)
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(str(door.place))
        lazy.sendall(b"GET /sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await trio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    lazy.close()


async def test_a_fault_of_an_operation_is_answered_told_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def broken(_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(survey, "limits", broken)
    async with Host() as core, running(config(core) + '[admin]\nsocket = "admin.sock"\n', tmp_path) as router:
        await router.linked("core")
        door = Door(router.router.admin_place)
        got = await door.gets("/limits")
        assert (got.status, got.body["code"]) == (500, "E-INT-01")
        assert (await door.gets("/livez")).status == 200
        assert [line["exception"] for line in router.log.named("bug")] == ["ValueError"]
        router.log.stream.truncate(0)
        router.log.stream.seek(0)


# --- its socket


async def test_the_socket_is_for_its_owner_alone_and_goes_with_the_router(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (_, door):
        assert door.place.stat().st_mode & 0o777 == 0o600
    assert not door.place.exists()


async def test_a_socket_that_a_killed_router_left_is_replaced(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "admin.sock"))
    async with Host() as core, steered(config(core), tmp_path) as (_, door):
        assert (await door.gets("/livez")).status == 200


@pytest.mark.parametrize("there", ["a router", "a file", "no folder", "too long"])
def test_what_is_no_dead_socket_is_never_replaced(there: str, tmp_path: Path):
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as other:
        if there == "a router":
            other.bind(str(path))
            other.listen()
        elif there == "a file":
            path.write_text("precious")
        else:
            path = tmp_path / ("none/admin.sock" if there == "no folder" else "x" * 120)
        with pytest.raises(RouterError) as caught:
            server.listening_at(path)
        assert caught.value.code == "E-CFG-09" and caught.value.do
    assert there != "a file" or path.read_text() == "precious"
    assert there != "a router" or path.is_socket()


# --- an outside client, and the document


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_reads_and_orders_over_the_unix_socket(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")

        async def curl(path: str, *options: str) -> Any:
            command = ["curl", "-sS", "-m", "3", "--unix-socket", str(door.place), *options, f"http://localhost{path}"]
            return json.loads((await trio.run_process(command, capture_stdout=True)).stdout)

        order = ("-H", "Content-Type: application/json", "-d", '{"state": "drain"}')
        assert (await curl(f"/services/core/backends/{core.address}", *order))["state"] == "drain"
        assert (await curl("/status"))["services"][0]["backends"][0]["admin"] == "drain"
        large = tmp_path / "large.json"
        large.write_bytes(b" " * 2**20)
        assert (await curl("/services/core/failback", *order[:3], f"@{large}"))["code"] == "E-ADM-02"


async def test_the_document_describes_every_path_and_every_object(tmp_path: Path):
    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        document = (await door.gets("/openapi.json")).body
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(row.method, row.path) for row in OPERATIONS}
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"]) and {"Status", "BackendSeen", "Error", "BackendOrder"} <= named
    assert document == json.loads(json.dumps(operations.document()))


async def test_answers_and_refusals_hold_to_the_document_by_another_reader(tmp_path: Path):
    document = json.loads(json.dumps(operations.document()))

    def holds(path: str, method: str, status: str, body: Any) -> None:
        schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
        jsonschema.validate(body, {**schema, "components": document["components"]}, jsonschema.Draft202012Validator)

    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        await router.linked("core")
        client = await router.connect()
        await client.asks(transfer(1))
        for row in OPERATIONS:
            if row.method == "GET" and not row.lines and row.name != "usage":
                holds(row.path, "get", "200", (await door.gets(row.path)).body)
        path = "/services/{service}/backends/{backend}"
        order = path.format(service="core", backend=core.address)
        holds(path, "post", "200", (await door.posts(order, {"weight": 2})).body)
        holds(path, "post", "default", (await door.posts(order, {"weight": 0})).body)
        holds("/reload", "post", "200", (await door.posts("/reload", {"dry_run": True})).body)
        with pytest.raises(jsonschema.ValidationError):
            holds("/status", "get", "200", {"version": 1})


async def test_a_connection_that_begins_with_http_2_carries_one_request_at_a_time_too(tmp_path: Path):
    settings = bytes(3) + b"\x04" + bytes(5)

    def asks(stream: int) -> bytes:
        head = b"\x82\x86\x04\x05/tail\x01\x09localhost"  # GET, http, and then path and authority as they are
        return len(head).to_bytes(3) + b"\x01\x05" + stream.to_bytes(4) + head

    async with Host() as core, steered(config(core), tmp_path) as (router, door):
        got = b""
        async with await trio.open_unix_socket(str(router.router.admin_place)) as stream:
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + asks(1) + asks(3))
            with trio.fail_after(3):
                while piece := await stream.receive_some(65536):
                    got += piece
        assert b"\x07\x00" + bytes(4) in got  # GOAWAY: it is over
        assert (await door.gets("/livez")).status == 200
        assert not router.log.named("bug")
