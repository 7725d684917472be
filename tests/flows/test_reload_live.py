"""Reloads of a running router over real sockets: who stays notices nothing, who goes is parted with in good order."""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from free_ports import free_port

from telegram_router.reloading import Report
from telegram_router.routing.backends import Admin, Health
from tests.flows.running_router import (
    ROOT,
    Client,
    Host,
    Line,
    Running,
    answer_to,
    answers,
    balance,
    credit,
    field,
    http,
    keeps_silent,
    running,
    transfer,
)
from tests.flows.running_router import HttpService as Rest

QUICK = 'reconnect_min = "10ms"\nreconnect_max = "50ms"\n'


def listener(name: str = "companies", keys: str = "", port: int = 0) -> str:
    return f'[listeners.{name}]\naddress = "127.0.0.1:{port}"\nspec = "firmbanking"\n{keys}\n'


def service(name: str, *hosts: Host, keys: str = "") -> str:
    addresses = ", ".join(f'"{host.address}"' for host in hosts)
    usual = "" if "timeout" in keys else 'timeout = "2s"\n'
    return f'[services.{name}]\nspec = "firmbanking"\nbackends = [{addresses}]\n{usual}{QUICK}{keys}\n'


def route(target: str, match: str = "", source: str = "companies") -> str:
    return f'[[routes]]\nlistener = "{source}"\nservice = "{target}"\n' + (f"match = {match}\n" if match else "default = true\n")


def text(*parts: str, drain: str = "500ms") -> str:
    return f'specs = "{ROOT / "tests" / "corpus" / "specs"}"\ndrain = "{drain}"\n' + "".join(parts)


async def reload(router: Running, *parts: str, drain: str = "500ms", dry_run: bool = False) -> Report:
    path = router.router.plan.path
    path.write_text(text(*parts, drain=drain), "utf-8")
    return await router.router.reload(dry_run=dry_run)


TRANSFERS = '{ message_type = "2000", business_code = "100" }'


async def says_77(line: Line, frame: bytes) -> None:
    """A host that is told apart from others by its code."""
    await line.sends(answer_to(frame, "0077"))


class Traffic:
    """Sessions that ask one telegram after the other, and what came back."""

    def __init__(self, router: Running) -> None:
        self.router = router
        self.numbers = itertools.count(1)
        self.asked: list[int] = []
        self.codes: list[str] = []
        self.over = False

    async def session(self, client: Client) -> None:
        while not self.over:
            number = next(self.numbers)
            self.asked.append(number)
            answer = await client.asks(transfer(number))
            assert field(answer, "message_number") == f"{number:06}"
            self.codes.append(field(answer, "response_code"))
            await trio.sleep(0.001)


@asynccontextmanager
async def traffic(router: Running, sessions: int):
    """Traffic of so many sessions for as long as this lasts; none of them may be closed."""
    talk = Traffic(router)
    clients = [await router.connect() for _ in range(sessions)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(talk.session, client)
        await router.until(lambda: len(talk.codes) >= sessions, "traffic")
        yield talk
        talk.over = True
    assert not router.log.named("session_closed")


def reached(*hosts: Host) -> list[int]:
    return sorted(int(field(frame, "message_number")) for host in hosts for frame in host.frames)


async def test_routes_change_under_two_hundred_busy_sessions_and_none_of_them_notices():
    async with Host() as one, Host(says_77) as other:
        both = service("core", one), service("other", other)
        async with running(text(listener(), *both, route("core"))) as router:
            await router.linked("core", "other")
            async with traffic(router, 200) as talk:
                report = await reload(router, listener(), *both, route("other", TRANSFERS), route("core"))
                assert report.applied, report
                assert report.differences.added == ("routes.1",)
                begun = len(talk.asked)
                await router.until(lambda: len(talk.codes) >= begun + 200, "traffic after the reload")
            assert talk.codes[-150:] == ["0077"] * 150
            assert reached(one, other) == sorted(talk.asked)
            [line] = router.log.named("reloaded")
            assert line["changed"] == ["routes.0"]


async def test_a_bad_file_changes_nothing_and_all_its_problems_are_told():
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        plan = router.router.plan
        report = await reload(router, listener(keys='timeout = "soon"'), service("core", core, keys="in_flight = 0"), route("core"))
        assert not report.applied
        assert router.router.plan is plan
        lines = router.log.named("reload_failed")
        assert {line["key"] for line in lines} >= {"listeners.companies.timeout", "services.core.in_flight"}
        assert all(line["code"].startswith("E-CFG-") and line["line"] for line in lines)
        assert await client.asks(transfer()) == answer_to(transfer())


@pytest.mark.parametrize(("how", "told"), [("cancelled", "was broken off"), ("fails", "was refused"), ("lost", "was broken off")])
async def test_the_service_manager_hears_of_the_end_of_a_reload_whatever_came_of_it(how: str, told: str, monkeypatch: pytest.MonkeyPatch):
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        heard: list[str] = []
        monkeypatch.setattr(router.router.notifier, "ready", heard.append)
        monkeypatch.setattr(router.router.notifier, "reloading", lambda: heard.append("reloading"))

        async def prepare(plan: Any) -> None:
            if how == "fails":
                raise OSError("no more of anything")
            if how == "lost":
                raise KeyboardInterrupt
            scope.cancel()
            await trio.sleep_forever()

        monkeypatch.setattr(router.router.endpoints, "prepare", prepare)
        with trio.CancelScope() as scope, suppress(KeyboardInterrupt):
            await router.router.reload(router.router.plan)
        assert heard[0] == "reloading" and told in heard[1] and len(heard) == 2
        assert heard[1].startswith("serving: ")
        router.log.stream.truncate(0)  # the bug that was told
        router.log.stream.seek(0)


async def test_a_dry_run_tells_the_same_and_does_nothing():
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        await router.linked("core")
        wanted = (
            listener(),
            listener("branches"),
            service("core", core, keys='timeout = "5s"'),
            route("core"),
            route("core", source="branches"),
        )
        told = await reload(router, *wanted, dry_run=True)
        assert not told.applied
        assert told.sound
        assert set(router.router.addresses) == {"companies"}
        assert router.switch.services["core"].policy.timeout == 2.0
        done = await reload(router, *wanted)
        assert done.differences == told.differences
        assert done.differences.added == ("listeners.branches", "routes.1")
        assert done.differences.changed == ("services.core.timeout",)
        assert router.switch.services["core"].policy.timeout == 5.0
        assert (await reload(router, *wanted)).differences == type(told.differences)()


async def test_what_only_a_restart_can_change_is_told_as_such():
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        report = await reload(router, 'state = "elsewhere"\n', listener(), service("core", core), route("core"))
        assert report.applied
        assert report.differences.restart == ("state",)


async def test_backends_come_and_go_under_traffic_and_no_telegram_is_lost_or_doubled():
    async with Host() as one, Host() as two, Host() as three:
        begin = text(listener(), service("core", one, two), route("core"))
        async with running(begin) as router:
            await router.linked("core")
            async with traffic(router, 20) as talk:
                for hosts in ((one, two, three), (two, three), (three,), (one, three), (one, two)):
                    report = await reload(router, listener(), service("core", *hosts), route("core"))
                    assert report.applied, report
                    begun = len(talk.codes)
                    await router.until(lambda least=begun + 60: len(talk.codes) >= least, "traffic")  # type: ignore[misc]
            assert set(talk.codes) == {"0000"}
            assert reached(one, two, three) == sorted(talk.asked)
            assert one.frames and two.frames and three.frames
            await router.until(lambda: not router.switch.services["core"].leaving, "links that part")
            assert not router.log.named("failed")
            reasons = {line["reason"] for line in router.log.named("link_lost")}
            assert reasons == {"removed"}


async def test_a_kept_backend_keeps_its_link_and_what_is_known_of_it():
    async with Host() as one, Host() as two, running(text(listener(), service("core", one, two), route("core"))) as router:
        pool = router.switch.services["core"].pool
        await router.until(lambda: all(backend.links for backend in pool.backends.values()), "two links")
        kept = pool.backends[one.address]
        [link], kept.answered = kept.links, 41
        await reload(router, listener(), service("core", one, keys="balance = 'first'\nlinks = 2"), route("core"))
        assert pool.backends == {one.address: kept}
        await router.until(lambda: len(kept.links) == 2, "a second link")
        assert kept.links[0] is link
        assert kept.answered == 41
        await reload(router, listener(), service("core", one), route("core"))
        await router.until(lambda: len(one.lines) == 2 and len(kept.links) == 1, "one link")
        assert kept.links == [link]


async def test_a_removed_backend_still_answers_what_it_was_given():
    held: list[tuple[Line, bytes]] = []

    async def holds(line: Line, frame: bytes) -> None:
        held.append((line, frame))

    async with Host(holds) as slow, Host() as other, running(text(listener(), service("core", slow), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1))
        await slow.reached()
        await reload(router, listener(), service("core", other), route("core"))
        await router.linked("core")
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
        [(line, frame)] = held
        await line.sends(answer_to(frame))
        assert await client.got() == answer_to(transfer(1))
        await router.until(lambda: not router.switch.services["core"].leaving, "the link that parts")


async def test_a_removed_backend_that_never_answers_is_cut_when_the_drain_time_is_over():
    async with Host(keeps_silent) as slow, Host() as other, running(text(listener(), service("core", slow), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        await client.sends(transfer(1))
        await slow.reached()
        await reload(router, listener(), service("core", other), route("core"), drain="80ms")
        assert field(await client.got(), "response_code") == "VTIM"
        [failed] = router.log.named("failed")
        assert failed["delivery"] == "sent_unknown"


async def test_services_come_and_go_and_what_is_in_flight_is_answered():
    held: list[tuple[Line, bytes]] = []

    async def holds(line: Line, frame: bytes) -> None:
        held.append((line, frame))

    async with Host() as core, Host(holds) as loans:
        first = text(listener(), service("core", core), service("loans", loans), route("loans", '{ message_type = "5000" }'), route("core"))
        async with running(first) as router:
            await router.linked("core", "loans")
            client = await router.connect()
            await client.sends(credit(1))
            await loans.reached()
            await reload(router, listener(), service("core", core), route("core"))
            assert set(router.switch.services) == {"core"}
            assert await client.asks(credit(2)) == answer_to(credit(2))
            [(line, frame)] = held
            await line.sends(answer_to(frame))
            assert await client.got() == answer_to(credit(1))
            await router.until(lambda: not router.switch.parting, "the service that parts")
            assert reached(core) == [2]
            loans.behave = answers
            await reload(
                router,
                listener(),
                service("core", core),
                service("loans", loans),
                route("loans", '{ message_type = "5000" }'),
                route("core"),
            )
            await router.linked("loans")
            assert await client.asks(credit(3)) == answer_to(credit(3))
            assert reached(loans) == [1, 3]


async def test_a_service_that_becomes_another_kind_is_replaced_under_its_name():
    async def rest(line: Line, _head: bytes) -> None:
        await line.sends(http({}))

    async with Host() as core, Rest(rest) as api, running(text(listener(), service("core", core), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        assert await client.asks(balance(1)) == answer_to(balance(1))
        as_http = f'[services.core]\nurl = "http://{api.address}/x"\nresponse = {{}}\nset = {{ "header.response_code" = "0011" }}\n'
        match = '{ message_type = "7000", business_code = "200" }'
        report = await reload(router, listener(), as_http, route("core", match))
        assert report.applied, report
        assert field(await client.asks(balance(2)), "response_code") == "0011"
        assert len(api.requests) == 1
        await router.until(lambda: not router.switch.parting, "the service that parts")
        await reload(router, listener(), service("core", core), route("core"))
        await router.linked("core")
        assert await client.asks(balance(3)) == answer_to(balance(3))


async def test_an_http_service_that_stays_keeps_its_connections_and_one_with_other_messages_is_replaced():
    async def rest(line: Line, _head: bytes) -> None:
        await line.sends(http({}))

    async with Rest(rest) as api:
        kept = f'[services.api]\nurl = "http://{api.address}/x"\nresponse = {{}}\nset = {{ "header.response_code" = "0011" }}\n'
        only = route("api", '{ message_type = "7000", business_code = "200" }')
        async with running(text(listener(), kept, only)) as router:
            client = await router.connect()
            assert field(await client.asks(balance(1)), "response_code") == "0011"
            before = router.switch.services["api"]
            await reload(router, listener(), kept + 'timeout = "7s"\nconnections = 3\n', only)
            assert router.switch.services["api"] is before
            assert (before.policy.timeout, before.policy.max_links) == (7.0, 3)
            assert field(await client.asks(balance(2)), "response_code") == "0011"
            assert len(api.lines) == 1
            await reload(router, listener(), kept, only, route("api", TRANSFERS))
            assert router.switch.services["api"] is not before
            assert field(await client.asks(transfer(3)), "response_code") == "0011"
            assert len(api.lines) == 2
            await router.until(lambda: not router.switch.parting, "the service that parts")
            assert len(router.router.hub.growers) == len(router.router.hub.handlers) == 1


HANDLERS = """
import trio
begun, go_on = [], trio.Event()

async def slow(telegram):
    begun.append(telegram)
    await go_on.wait()
    return telegram.reply(response_code="0001")

async def quick(telegram):
    return telegram.reply(response_code="0002")
"""


async def test_another_handler_takes_over_while_the_former_one_still_works(tmp_path: Path):
    (tmp_path / "reload_handlers.py").write_text(HANDLERS)
    slow, quick = (f'[services.own]\nhandler = "reload_handlers:{name}"\nspec = "firmbanking"\n' for name in ("slow", "quick"))
    only = route("own", '{ message_type = "7000", business_code = "200" }')
    async with running(text(listener(), slow, only), tmp_path) as router:
        import reload_handlers  # type: ignore[import-not-found]

        client = await router.connect()
        await client.sends(balance(1))
        await router.until(lambda: reload_handlers.begun, "the first call")
        await reload(router, listener(), slow + "concurrency = 5\n", only)
        assert [link.limit for link in router.switch.services["own"].links] == [5]
        await reload(router, listener(), quick, only)
        assert field(await client.asks(balance(2)), "response_code") == "0002"
        reload_handlers.go_on.set()
        assert field(await client.got(), "response_code") == "0001"
        await router.until(lambda: not router.switch.parting, "the service that parts")
        assert len(router.router.hub.tasked) == 1


async def test_what_an_operator_ordered_stays_unless_the_file_says_otherwise():
    def weighing(weight: int) -> str:
        return f'[services.core]\n{QUICK}backends = [{{ address = "{core.address}", weight = {weight} }}]\n'

    async with Host() as core, running(text(listener(), weighing(2), route("core"))) as router:
        await router.linked("core")
        backend = router.switch.services["core"].pool.backends[core.address]
        backend.weight = 7
        router.switch.order(router.switch.services["core"], core.address, Admin.DRAIN, 0.0)
        await reload(router, listener(), weighing(2) + 'timeout = "4s"\n', route("core"))
        assert (backend.weight, backend.admin) == (7, Admin.DRAIN)
        await reload(router, listener(), weighing(3), route("core"))
        assert (backend.weight, backend.admin) == (3, Admin.DRAIN)


async def test_without_probes_nobody_stays_down_for_what_they_found():
    probed = '[services.core.health]\ninterval = "100s"\n'
    async with Host() as core, running(text(listener(), service("core", core), probed, route("core"))) as router:
        await router.linked("core")
        target = router.switch.services["core"]
        router.switch.probed(target, core.address, Health.DOWN, 0.0)
        assert not target.links
        await reload(router, listener(), service("core", core, keys="in_flight = 9"), probed, route("core"))
        assert not target.links
        await reload(router, listener(), service("core", core), route("core"))
        assert len(target.links) == 1
        assert await (await router.connect()).asks(transfer()) == answer_to(transfer())


async def test_limits_of_the_file_go_on_counting_and_new_ones_begin():
    def limit(burst: int) -> str:
        return f'[limits.each]\nkey = "session"\nrate = 2\nburst = {burst}\nper = "100s"\n'

    async with Host() as core, running(text(listener(), service("core", core), limit(2), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        for number in (1, 2):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        await reload(router, listener(), service("core", core), limit(3), route("core"))
        assert await client.asks(transfer(3)) == answer_to(transfer(3))
        await client.asks(transfer(4))
        assert router.switch.listeners["companies"].refused == {"E-LIM-03": 1}
        await reload(router, listener(), service("core", core), route("core"))
        assert await client.asks(transfer(5)) == answer_to(transfer(5))


async def test_many_reloads_leave_nothing_behind():
    async with Host() as one, Host() as two, running(text(listener(), service("core", one), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        counts = []
        for turn in range(12):
            hosts = (one, two)[turn % 2]
            extra = (listener("branches"), route("core", source="branches")) if turn % 2 else ()
            await reload(router, listener(), service("core", hosts), route("core"), *extra)
            assert await client.asks(transfer(turn + 1)) == answer_to(transfer(turn + 1))
            await router.until(lambda: not router.switch.parting and not router.switch.services["core"].leaving, "those that part")
            await router.until(lambda: len(router.router.hub.connections) == 2, "connections that part")
            counts.append((trio.lowlevel.current_statistics().tasks_living, len(router.router.outcomes)))
        assert max(counts[-4:]) <= (max(counts[:4])[0] + 2, 1)  # the hosts' own tasks end when they like
        assert not router.switch.listeners["companies"].former_routes


async def test_listeners_come_and_go_and_the_sessions_of_one_that_goes_end_with_their_answers():
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        await router.linked("core")
        stays = await router.connect()
        two = route("core"), route("core", source="branches")
        await reload(router, listener(), listener("branches"), service("core", core), *two)
        goes = [await router.connect("branches") for _ in range(10)]
        address = router.address("branches")
        for number, client in enumerate(goes, 1):
            await client.sends(transfer(number))
        await reload(router, listener(), service("core", core), route("core"))
        for number, client in enumerate(goes, 1):
            assert await client.got() == answer_to(transfer(number))
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream(*address)
        for client in goes:
            assert await client.closed() == b""
            await client.goes()
        assert await stays.asks(transfer(99)) == answer_to(transfer(99))
        await router.until(lambda: len(router.log.named("session_closed")) == 10, "sessions that part")
        assert {line["reason"] for line in router.log.named("session_closed")} == {"removed"}
        await router.until(lambda: not router.switch.parting, "the listener that parts")


async def test_an_address_that_cannot_be_bound_lets_nothing_of_the_reload_happen():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
            wanted = listener(), listener("branches"), listener("more", port=port), service("core", core, keys='timeout = "9s"')
            report = await reload(router, *wanted, route("core"), route("core", source="branches"), route("core", source="more"))
            assert [problem.code for problem in report.problems] == ["E-CFG-09"]
            assert set(router.router.addresses) == {"companies"}
            assert router.switch.services["core"].policy.timeout == 2.0
            assert router.log.of("E-CFG-09")


async def test_a_listener_that_moves_lets_its_sessions_live():
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        await router.linked("core")
        client = await router.connect()
        before = router.address()
        free = free_port()
        await reload(router, listener(port=free), service("core", core), route("core"))
        assert router.address() == ("127.0.0.1", free)
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        assert await (await router.connect()).asks(transfer(2)) == answer_to(transfer(2))
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream(*before)


async def test_a_listener_with_another_name_takes_over_the_address_without_a_moment_in_which_nobody_listens():
    port = free_port()
    async with Host() as core, running(text(listener(port=port), service("core", core), route("core"))) as router:
        await router.linked("core")
        report = await reload(router, listener("branches", port=port), service("core", core), route("core", source="branches"))
        assert report.applied, report
        client = await router.connect("branches")
        assert router.address("branches") == ("127.0.0.1", port)
        assert await client.asks(transfer(1)) == answer_to(transfer(1))


def certificate(authority: trustme.CA, folder: Path, name: str) -> Mapping[str, bytes]:
    made = authority.issue_cert(name, "router.example")
    return {"cert": b"".join(blob.bytes() for blob in made.cert_chain_pems), "key": made.private_key_pem.bytes()}


async def shown(router: Running, trust: ssl.SSLContext) -> tuple[Client, list[str]]:
    """A session, and the names in the certificate that it was shown."""
    client = await router.connect(tls=trust)
    await client.stream.do_handshake()
    found = client.stream.getpeercert()["subjectAltName"]
    return client, [name for _, name in found]


async def test_a_certificate_is_renewed_only_by_a_pair_that_fits_and_sessions_live_on(tmp_path: Path):
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    cert, key = tmp_path / "router.pem", tmp_path / "router.key"
    old, new = certificate(authority, tmp_path, "old.example"), certificate(authority, tmp_path, "new.example")
    cert.write_bytes(old["cert"])
    key.write_bytes(old["key"])
    key.chmod(0o600)
    tls = f'tls = {{ certificate = "{cert}", key = "{key}" }}'
    parts = listener(keys=tls)
    async with Host() as core, running(text(parts, service("core", core), route("core"))) as router:
        await router.linked("core")
        early, names = await shown(router, trust)
        assert "old.example" in names
        cert.write_bytes(new["cert"])
        report = await reload(router, parts, service("core", core), route("core"))
        assert [problem.code for problem in report.problems] == ["E-CFG-11"]
        assert "old.example" in (await shown(router, trust))[1]
        key.write_bytes(new["key"])
        report = await reload(router, parts, service("core", core), route("core"))
        assert report.differences.changed == ("listeners.companies.tls, its files",)
        late, names = await shown(router, trust)
        assert "new.example" in names
        for number, client in enumerate((early, late)):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))


async def test_a_reload_that_comes_while_the_router_stops_is_refused():
    async with Host() as core, running(text(listener(), service("core", core), route("core"))) as router:
        router.router.stop()
        report = await router.router.reload()
        assert [problem.code for problem in report.problems] == ["E-LIM-04"]
