"""Probes: how they are counted, and what each kind asks of a real port."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from running_router import spec_named

from telegram_router.routing import Kind, Service, ServicePolicy, Switch
from telegram_router.routing.backends import Admin, Health
from telegram_router.wire.links import Backend
from telegram_router.wire.probes import Count, ProbePolicy, Prober


def counted(results: str, **policy: float) -> str:
    """What is thought of a backend after each probe: + went well, - failed; U up, D down."""
    count = Count(ProbePolicy(**policy))  # type: ignore[arg-type]
    return "".join("U" if count.note(each == "+") is Health.UP else "D" for each in results)


@pytest.mark.parametrize(
    ("results", "thought"),
    [
        ("+", "U"),
        ("-", "D"),
        ("+--+--+---", "UUUUUUUUUD"),
        ("-+-+-++", "DDDDDDU"),
        ("+---++---", "UUUDDUUUD"),
    ],
)
def test_three_failures_in_a_row_are_down_and_two_successes_up(results: str, thought: str):
    assert counted(results) == thought


@given(st.text("+-", min_size=1, max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_health_changes_only_by_a_whole_run(results: str, rise: int, fall: int):
    thought = counted(results, rise=rise, fall=fall)
    for place in range(1, len(results)):
        if thought[place] != thought[place - 1]:
            run = rise if thought[place] == "U" else fall
            assert set(results[place - run + 1 : place + 1]) == {"+" if thought[place] == "U" else "-"}


def test_probes_come_sooner_while_a_count_is_on_and_later_when_it_is_down():
    count = Count(ProbePolicy(interval=2, fast_interval=1, down_interval=5, fall=2))
    count.note(True)
    assert count.pause(0.5) == pytest.approx(2.0)
    count.note(False)
    assert count.pause(0.5) == pytest.approx(1.0)
    count.note(False)
    assert count.pause(0.5) == pytest.approx(5.0)
    assert (count.pause(0.0), count.pause(1.0)) == (pytest.approx(4.5), pytest.approx(5.5))


def test_an_outage_is_found_within_the_bound_of_the_configuration():
    """interval + timeout, then twice fast_interval + timeout: 10 s with the defaults."""
    policy = ProbePolicy()
    count, took = Count(policy), 0.0
    count.note(True)
    took += count.pause(0.5) + policy.timeout
    while count.note(False) is Health.UP:
        took += count.pause(0.5) + policy.timeout
    assert took == pytest.approx(10.0)


# --- against real ports -----------------------------------------------------------------------------------------------

Serve = Callable[[trio.abc.Stream], Awaitable[None]]
POLL = b"0020HDRREQPOLL"


async def asked(kind: str, serve: Serve | None, *, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None, path: str = "/up") -> bool:
    """One probe of a port that serves so; None is a port where nobody listens."""
    switch = Switch()
    service = switch.services["core"] = Service("core", Kind.TELEGRAM, spec_named("firmbanking"), ServicePolicy())
    entered: list[object] = []
    hub = type("HubStub", (), {"switch": switch, "enter": lambda _, step: entered.append(step)})()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        if serve is None:
            await listeners[0].aclose()
        else:

            async def guarded(stream: trio.abc.Stream) -> None:
                try:
                    await serve(trio.SSLStream(stream, tls[0], server_side=True) if tls else stream)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass

            await nursery.start(trio.serve_listeners, guarded, listeners)
        backend = Backend("127.0.0.1", port, 0.2, tls[1] if tls else None, "router" if tls else None)
        policy = ProbePolicy(kind, timeout=0.2, path=path, host="rest.example")  # type: ignore[arg-type]
        prober = Prober(hub, service, backend, policy, lambda: 0.5)
        good = await prober.probe()
        assert (prober.good, prober.bad) == (int(good), int(not good))
        assert len(entered) == 1  # the first result decides
        nursery.cancel_scope.cancel()
    return good


async def keeps_silent(stream: trio.abc.Stream) -> None:
    await trio.sleep(5)


def says(answer: bytes) -> Serve:
    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(answer)

    return serve


async def answers_polls(stream: trio.abc.Stream) -> None:
    frame = await stream.receive_some(1000)
    assert frame.startswith(POLL) and frame[14:].isdigit()
    answer = frame.replace(b"REQ", b"RES")
    await stream.send_all(answer[:10])
    await trio.sleep(0.01)
    await stream.send_all(answer[10:])


async def test_connect_asks_only_that_somebody_listens():
    assert await asked("connect", keeps_silent)
    assert not await asked("connect", None)


async def test_poll_wants_the_specs_own_answer():
    assert await asked("poll", answers_polls)
    assert not await asked("poll", keeps_silent)
    assert not await asked("poll", says(b""))
    assert not await asked("poll", says(b"0020HDRRESPOLL0000000000"))


async def test_http_wants_a_status_of_success():
    assert await asked("http", says(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert not await asked("http", says(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"))
    assert not await asked("http", says(b"HTTP/1.1 2"))
    assert not await asked("http", says(b"220 mail ready\r\n"))
    assert not await asked("http", keeps_silent)


async def test_http_asks_for_its_path_by_the_services_host():
    heard = b""

    async def listen(stream: trio.abc.Stream) -> None:
        nonlocal heard
        heard = bytes(await stream.receive_some(1000))
        await stream.send_all(b"HTTP/1.0 200 OK\r\n\r\n")

    assert await asked("http", listen, path="/health?deep=1")
    assert heard.startswith(b"GET /health?deep=1 HTTP/1.1\r\nHost: rest.example\r\n")


async def test_a_backend_in_maintenance_is_not_probed(autojump_clock):
    switch = Switch()
    service = switch.services["core"] = Service("core", Kind.TELEGRAM, spec_named("firmbanking"), ServicePolicy())
    hub = type("HubStub", (), {"switch": switch, "enter": lambda _, step: step(0.0)})()
    prober = Prober(hub, service, Backend("127.0.0.1", 9), ProbePolicy(), lambda: 0.5)
    service.pool.order(service.pool.named("127.0.0.1:9"), Admin.MAINT, 0.0)
    with trio.move_on_after(60):
        await prober.run()
    assert (prober.good, prober.bad) == (0, 0)
