"""Hosts that connect to us: told who they are, held to their links, and then links like any other."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from authority import Authority
from running_router import Client, Running, answer_to, config, running, spec_named, telegram, transfer

from telegram_router.routing.backends import Admin

SPEC = spec_named("firmbanking")


class DialledHost(Client):
    """A host on a connection that it has made."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream, SPEC)

    async def answers(self) -> bytes:
        """Takes one telegram and answers it."""
        frame = await self.got()
        await self.sends(answer_to(frame))
        return frame

    async def goes(self) -> None:
        await trio.aclose_forcefully(self.stream)


class Calling:
    """A router with a service whose hosts connect to it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.router = running.router
        self.service = running.switch.services["core"]
        self.hosts: list[DialledHost] = []

    @property
    def port(self) -> int:
        return self.router.backend_doors.doors["core"].address[1]

    async def dials(self, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> DialledHost:
        sock = trio.socket.socket()
        await sock.bind((source, 0))
        await sock.connect(("127.0.0.1", self.port))
        stream: Any = trio.SocketStream(sock)
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_hostname="router.example", https_compatible=True)
            await stream.do_handshake()
        host = DialledHost(stream)
        self.hosts.append(host)
        return host

    async def linked(self, backend: str, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> DialledHost:
        """A host that has connected and is known to be this backend."""
        before = len(self.running.log.named("link_up"))
        host = await self.dials(source, tls)
        await self.running.until(lambda: len(self.running.log.named("link_up")) > before)
        assert self.running.log.named("link_up")[-1]["backend"] == backend
        return host

    def links(self, backend: str) -> int:
        return len(self.service.pool.backends[backend].links)


BACKENDS = "backends = [{ name = 'seoul', from = ['127.0.0.1'] }, { name = 'busan', from = ['127.0.0.2', '127.0.1.0/24'] }]"


def text(listen: str = "'127.0.0.1:0'", backends: str = BACKENDS, keys: str = "", more: str = "") -> str:
    service = f"""
        [services.core]
        listen = {listen}
        {backends}
        timeout = "300ms"
        {keys}
        [[routes]]
        listener = "companies"
        service = "core"
        default = true
        {more}
    """
    return config(more=service)


@asynccontextmanager
async def calling(*args: str, folder: Path | None = None, **keys: str) -> AsyncIterator[Calling]:
    async with running(text(*args, **keys), folder) as router:
        made = Calling(router)
        try:
            yield made
        finally:
            for host in made.hosts:
                await host.goes()


async def test_a_host_that_connects_is_signed_on_to_like_one_that_is_dialled() -> None:
    keys = 'conduct = { sign_on = true, sign_off = false, heartbeat = "0s", fields = { company_number = "WE" } }'
    async with calling(keys=keys) as here:
        host = await here.dials()
        hello = await host.got()
        assert SPEC.message_of(hello) is SPEC.messages["open.request"]
        assert here.links("seoul") == 0 and not here.running.log.named("link_up")
        await host.sends(answer_to(hello))
        await here.running.until(lambda: here.links("seoul") == 1 and here.running.log.named("link_up"), "signed on")
        client = await here.running.connect()
        await client.sends(transfer(7))
        assert await host.answers() == transfer(7)
        assert await client.got() == answer_to(transfer(7))


# --- who they are ---------------------------------------------------------------------------------------------------


async def test_hosts_that_connect_are_asked_like_any_other_each_under_its_name() -> None:
    async with calling() as here:
        seoul, busan = await here.linked("seoul"), await here.linked("busan", "127.0.1.7")
        client = await here.running.connect()
        for number, host in enumerate((seoul, busan, seoul, busan), 1):
            await client.sends(transfer(number))
            assert await host.answers() == transfer(number)
            assert await client.got() == answer_to(transfer(number))
        assert {name: each.connected for (_, name), each in here.router.outcomes.items()} == {"seoul": 1, "busan": 1}
        (line, _) = here.running.log.named("link_up")
        assert line["peer"].startswith("127.0.0.1:") and line["connection"].startswith("core#")


async def test_a_connection_that_is_nobodys_is_refused_and_told() -> None:
    async with calling() as here:
        stranger = await here.dials("127.0.0.9")
        await stranger.closed()
        (line,) = await here.running.logged("E-BCK-12")
        assert line["event"] == "backend_refused" and line["peer"].startswith("127.0.0.9:") and line["do"]
        assert not here.service.peers


async def test_a_telegram_of_a_hosts_own_comes_to_the_session_that_speaks_for_its_owner() -> None:
    more = '[[routes]]\nfrom_service = "core"\nmatch = { message_type = "4000" }\nto_listener = "companies"'
    async with calling(more=more) as here:
        host = await here.linked("seoul")
        client = await here.running.connect()
        await client.sends(transfer(1))
        await host.answers()
        await client.got()
        owner = SPEC.owner
        assert owner is not None
        notice = telegram("deposit_notice.request", number=77)
        notice = notice[: owner.start] + transfer(1)[owner] + notice[owner.stop :]
        await host.sends(notice)
        assert await client.got() == notice
        await client.sends(answer_to(notice))
        assert await host.got() == answer_to(notice)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ours = Authority(tmp_path_factory.mktemp("tls"), "ours")
    names = ("seoul.bank.example", "busan.bank.example", "other.bank.example", "*.bank.example")
    pairs = {name: ours.issue(name, file=name.replace("*", "any")) for name in names}
    return {"ca": ours.file, "router": ours.issue("router.example"), **pairs}


def own_tls(pki: dict[str, Any], name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki["ca"])
    context.load_cert_chain(pki[name].certificate, pki[name].key)
    return context


def encrypted(pki: dict[str, Any]) -> tuple[str, str]:
    table = f'certificate = "{pki["router"].certificate}", key = "{pki["router"].key}", client_ca = "{pki["ca"]}"'
    backends = "backends = [{ name = 'seoul', certificate = 'seoul.bank.example' }, { name = 'busan', certificate = 'busan.bank.example' }]"
    return f"{{ address = '127.0.0.1:0', tls = {{ {table} }} }}", backends


async def test_hosts_are_told_by_the_names_in_their_certificates(pki: dict[str, Any]) -> None:
    async with calling(*encrypted(pki)) as here:
        await here.linked("seoul", tls=own_tls(pki, "seoul.bank.example"))
        busan = await here.linked("busan", tls=own_tls(pki, "busan.bank.example"))
        here.running.switch.order(here.service, "seoul", Admin.DRAIN, 0.0)
        client = await here.running.connect()
        await client.sends(transfer(1))
        assert await busan.answers() == transfer(1)
        assert await client.got() == answer_to(transfer(1))


@pytest.mark.parametrize("name", ["other.bank.example", "*.bank.example"], ids=["other", "wildcard"])
async def test_a_good_certificate_of_nobody_in_particular_is_no_backend(pki: dict[str, Any], name: str) -> None:
    """Rows 58 and 59, where the host dials."""
    async with calling(*encrypted(pki)) as here:
        stranger = await here.dials(tls=own_tls(pki, name))
        with suppress(trio.BrokenResourceError):
            await stranger.sends(answer_to(transfer(1)))
        await stranger.closed()
        (line,) = await here.running.logged("E-TLS-07")
        assert line["connection"].startswith("core#")
        assert not here.service.peers


# --- how many -------------------------------------------------------------------------------------------------------


async def test_one_more_than_its_links_takes_the_place_of_the_oldest_which_still_answers_what_it_has() -> None:
    async with calling() as here:
        old = await here.linked("seoul")
        client = await here.running.connect()
        await client.sends(transfer(1))
        assert await old.got() == transfer(1)
        new = await here.linked("seoul")
        (line,) = here.running.log.named("link_replaced")
        assert line["backend"] == "seoul" and line["in_flight"] == 1
        await client.sends(transfer(2))
        assert await new.answers() == transfer(2)
        assert await client.got() == answer_to(transfer(2))
        await old.sends(answer_to(transfer(1)))
        assert await client.got() == answer_to(transfer(1))
        await old.closed()
        assert here.links("seoul") == 1 and here.running.log.codes == []


async def test_a_half_open_link_does_not_lock_its_host_out_and_what_it_had_ends_unknown() -> None:
    async with calling() as here:
        silent = await here.linked("seoul")
        client = await here.running.connect()
        await client.sends(transfer(1))
        assert await silent.got() == transfer(1)
        await here.linked("seoul")
        await client.got()
        assert {each["code"] for each in here.running.log.named("request_failed")} <= {"E-BCK-05"}
        assert here.service.unknown == 1
        await here.running.until(lambda: here.router.backend_doors.doors["core"].open == 1)


async def test_a_host_that_connects_again_and_again_is_bounded_and_never_locked_out() -> None:
    async with calling(keys="links = 2") as here:
        hosts = [await here.linked("seoul") for _ in range(40)]
        assert here.links("seoul") == 2
        client = await here.running.connect()
        await client.sends(transfer(1))
        async with trio.open_nursery() as nursery:
            for host in hosts[-2:]:
                nursery.start_soon(host.answers)
            assert await client.got() == answer_to(transfer(1))
            nursery.cancel_scope.cancel()
        await here.running.until(lambda: here.router.backend_doors.doors["core"].open == 2)


async def test_where_one_more_is_refused_the_first_stays() -> None:
    async with calling("{ address = '127.0.0.1:0', extra = 'refuse' }") as here:
        first = await here.linked("seoul")
        second = await here.dials()
        await second.closed()
        (line,) = await here.running.logged("E-BCK-13")
        assert "seoul has 1 links" in line["what"]
        client = await here.running.connect()
        await client.sends(transfer(1))
        assert await first.answers() == transfer(1)
        assert await client.got() == answer_to(transfer(1))
        await first.goes()
        await here.running.until(lambda: here.links("seoul") == 0)
        await here.linked("seoul")


# --- links like any other -------------------------------------------------------------------------------------------


async def test_without_a_link_requests_are_not_sent_and_with_one_again_they_go_out() -> None:
    async with calling(keys='pending_timeout = "2s"') as here:
        client = await here.running.connect()
        await client.sends(transfer(1))
        await here.running.until(lambda: here.service.waiting)
        host = await here.linked("seoul")
        assert await host.answers() == transfer(1)
        assert await client.got() == answer_to(transfer(1))
        await client.sends(transfer(2))
        assert await host.got() == transfer(2)
        await host.goes()
        await client.got()
        assert here.service.unknown == 1
        assert here.service.pool.backends["seoul"].state == "unreachable"


async def test_a_reload_keeps_links_and_moves_the_door_and_ends_those_who_are_nobody_now(tmp_path: Path) -> None:
    async with calling(folder=tmp_path) as here:
        seoul, busan = await here.linked("seoul"), await here.linked("busan", "127.0.0.2")
        file = tmp_path / "router.toml"
        gone = BACKENDS.replace("'127.0.0.2', ", "")
        file.write_text(text(backends=gone, keys="links = 2"))
        report = await here.router.reload()
        assert report.applied and not report.problems, report
        await busan.closed()
        await here.linked("seoul")
        assert here.links("seoul") == 2 and here.links("busan") == 0
        client = await here.running.connect()
        here.service.pool.backends["seoul"].links[1].load = here.service.pool.backends["seoul"].links[1].limit
        await client.sends(transfer(1))
        assert await seoul.answers() == transfer(1)
        assert await client.got() == answer_to(transfer(1))
        here.service.pool.backends["seoul"].links[1].load = 0
        before = here.port
        file.write_text(text("'127.0.0.2:0'", backends=gone, keys="links = 2"))
        assert (await here.router.reload()).applied
        assert here.router.backend_doors.doors["core"].address[0] == "127.0.0.2" and here.links("seoul") == 2
        assert here.port != before or here.router.backend_doors.doors["core"].address[0] == "127.0.0.2"


async def test_a_service_that_is_removed_ends_its_hosts_links_and_frees_its_address(tmp_path: Path) -> None:
    async with calling(folder=tmp_path) as here:
        host, port = await here.linked("seoul"), here.port
        (tmp_path / "router.toml").write_text(config())
        assert (await here.router.reload()).applied
        await host.closed()
        with pytest.raises(OSError, match="all attempts"):
            await trio.open_tcp_stream("127.0.0.1", port)


async def test_the_survey_and_the_metrics_tell_of_them() -> None:
    async with calling() as here:
        await here.linked("seoul")
        families = {name: dict(samples) for name, samples in here.router.collect() if name in ("links_active", "connects_total")}
        assert families["links_active"] == {("core", "seoul"): 1, ("core", "busan"): 0}
