"""What only a kernel does: half-closed connections, full buffers, signals, no more file descriptors."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from running_router import (
    ROOT,
    SOON,
    Client,
    Host,
    HostOfBytes,
    Line,
    answer_to,
    answers,
    balance,
    betrayed,
    companies,
    config,
    field,
    good_neighbour,
    keeps_silent,
    put,
    running,
    spec_named,
    transfer,
)


async def answers_late(line: Line, frame: bytes) -> None:
    await trio.sleep(0.05)
    await answers(line, frame)


async def echo_work(line: Line, frame: bytes) -> None:
    await line.sends(frame.replace(b"2000", b"2100", 1))


async def test_a_client_that_half_closes_still_gets_its_answers():
    asked = [transfer(number) for number in range(1, 6)]
    async with companies(answers_late, service='timeout = "2s"') as (router, _):
        client = await router.connect()
        await client.sends(b"".join(asked))
        await client.hangs_up()
        assert [await client.got() for _ in asked] == [answer_to(frame) for frame in asked]
        assert await client.closed() == b""
        assert router.log.codes == []


async def test_a_client_that_resets_costs_its_own_session_and_its_request_is_let_finish():
    async with companies(answers_late) as (router, core):
        client = await router.connect()
        await client.sends(transfer(1))
        await router.until(lambda: core.frames)
        client.stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
        await client.goes()
        await router.until(lambda: router.switch.services["core"].undelivered == 1)
        assert router.log.codes == []  # the answer came; only its asker was gone


async def test_a_session_too_many_is_closed_and_the_others_never_notice():
    async with companies(listener="max_sessions = 2") as (router, _):
        second = await router.connect()
        assert await second.asks(transfer(1)) == answer_to(transfer(1))
        third = await router.connect()
        assert await third.closed() == b""
        (line,) = await router.logged("E-LIM-05")
        assert (line["listener"], line["open"]) == ("companies", 2)
        assert await second.asks(transfer(2)) == answer_to(transfer(2))
        await second.goes()
        await router.until(lambda: router.router.acceptors["companies"].open == 1)
        fourth = await router.connect()
        assert await fourth.asks(transfer(3)) == answer_to(transfer(3))


def framed(number: int, size: int) -> bytes:
    telegram = b"2000%06d    " % number + bytes(size)
    return len(telegram).to_bytes(4, "big") + telegram


async def test_a_client_that_never_reads_is_closed_in_time_and_holds_nobody_up():
    async with Host(echo_work, spec="binary") as core, running(config(core, spec="binary", service='timeout = "2s"')) as router:
        deaf, neighbour = await router.connect(small=True), await router.connect()
        async with trio.open_nursery() as nursery:

            async def asks_on() -> None:
                for number in range(300):  # 18 MiB of answers: more than the kernel takes
                    await deaf.sends(framed(number, 60_000))

            nursery.start_soon(asks_on)
            for number in range(900_000, 900_020):
                assert (await neighbour.asks(framed(number, 10)))[4:8] == b"2100"
            (line,) = await router.logged("E-LIM-06")
            assert line["connection"] == "companies#1"
            nursery.cancel_scope.cancel()
        assert (await neighbour.asks(framed(900_100, 10)))[4:8] == b"2100"
        assert router.log.codes == ["E-LIM-06"]


class Deaf(HostOfBytes):
    """Reads nothing until it is told to; then all that the kernel kept for it, of every connection in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = trio.Event()
        self.streams: list[bytes] = []

    async def serve(self, line: Line) -> None:
        await self.reads.wait()
        self.streams.append(b"")
        place = len(self.streams) - 1
        with suppress(trio.BrokenResourceError):
            while data := await line.stream.receive_some(1_000_000):
                self.streams[place] += data

    def began(self) -> set[int]:
        """The numbers of all telegrams of which at least the number has come."""
        size = len(framed(0, 60_000))
        return {int(stream[at + 8 : at + 14]) for stream in self.streams for at in range(0, len(stream) - 14, size)}


async def asks_a_deaf_host(client: Client, numbers: range) -> dict[str, set[int]]:
    """Sends them all; what each was answered: "N999" for not sent, "U999" for unknown."""
    told: dict[str, set[int]] = {"U999": set(), "N999": set()}
    async with trio.open_nursery() as nursery:

        async def asks_on() -> None:
            for number in numbers:
                await client.sends(framed(number, 60_000))

        nursery.start_soon(asks_on)
        for _ in numbers:
            answer = await client.got()
            told[field(answer, "response_code", "binary")].add(int(answer[8:14]))
    assert told["U999"] | told["N999"] == set(numbers)
    return told


async def test_a_host_that_never_reads_is_given_up_in_time_and_what_it_may_have_is_unknown_and_nothing_else():
    async with Deaf() as core:
        text = config(core, spec="binary", service='timeout = "2s"\npending = 1000', listener="open_exchanges = 2000")
        async with running(text) as router:
            told = await asks_a_deaf_host(await router.connect(), range(100, 300))
            await router.logged("E-LIM-06")
            core.reads.set()
            await router.until(lambda: core.began() >= told["U999"])
            assert told["U999"] == core.began(), "it has what is unknown, and has nothing of the rest"
            assert {line["code"] for line in router.log.named("failed") if line["delivery"] == "not_sent"} <= {"E-BCK-01", "E-LIM-01"}


async def test_what_has_not_left_when_its_time_is_up_is_told_so_at_once_and_never_leaves_though_the_host_reads_again():
    """The link is kept: its host has time to read until `write_timeout`."""
    async with Deaf() as core:
        text = config(core, spec="binary", service='timeout = "150ms"\nwrite_timeout = "3s"', listener="open_exchanges = 2000")
        async with running(text) as router:
            client = await router.connect()
            told = await asks_a_deaf_host(client, range(100, 300))
            assert told["N999"], "the kernel took them all"
            failed = router.log.named("failed")
            assert {line["code"] for line in failed if line["delivery"] == "not_sent"} == {"E-LIM-01"}
            assert max(line["after_ms"] for line in failed) < 2000
            core.reads.set()
            await client.sends(framed(900, 60_000))
            await router.until(lambda: 900 in core.began())
            assert core.began() == told["U999"] | {900}
            assert len(core.streams) == 1
            assert not router.log.of("E-LIM-06")
            assert field(await client.got(), "response_code", "binary") == "U999"  # it reads, and answers nothing


# --- a process of its own -------------------------------------------------------------------------------------------


class Process:
    """A router that was started as an operator starts it."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._rest = b""

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
            self.lines += map(json.loads, lines)

    async def logged(self, event: str) -> dict[str, Any]:
        with trio.fail_after(20):  # a loaded machine takes its time to start an interpreter
            while not any(line["event"] == event for line in self.lines):  # noqa: ASYNC110  (read_log fills it)
                await trio.sleep(0.005)
        return next(line for line in self.lines if line["event"] == event)

    async def connect(self, port: int) -> Client:
        return Client(await trio.open_tcp_stream("127.0.0.1", port), spec_named("firmbanking"))

    async def ended(self) -> int:
        with trio.fail_after(SOON):
            return await self.process.wait()


@asynccontextmanager
async def started(text: str, folder: Path, before: Sequence[str] = ()) -> AsyncIterator[tuple[Process, int]]:
    """A router's process and the port of its listener."""
    file = folder / "router.toml"
    file.write_text(text, "utf-8")
    command = [*before, sys.executable, "-m", "telegram_router", "run", str(file)]
    async with trio.open_nursery() as nursery:
        process = Process(await trio.lowlevel.open_process(command, cwd=ROOT, stderr=-1))
        nursery.start_soon(process.read_log)
        try:
            listeners = (await process.logged("started"))["listeners"]
            await process.logged("link_up")
            yield process, int(listeners["companies"].rpartition(":")[2])
        finally:
            process.process.kill()
            with trio.CancelScope(shield=True):
                await process.process.wait()
        nursery.cancel_scope.cancel()
    assert not betrayed(json.dumps(process.lines))
    assert not [line for line in process.lines if line["event"] == "bug"]


async def test_sigterm_lets_what_is_open_be_answered_takes_nothing_new_and_ends_with_0(tmp_path: Path):
    async def answers_when_told(line: Line, frame: bytes) -> None:
        await process.logged("draining")
        await trio.sleep(0.1)
        await answers(line, frame)

    async with Host(answers_when_told) as core:
        text = config(core, service='timeout = "10s"').replace('drain = "500ms"', 'drain = "10s"')
        async with started(text, tmp_path) as (process, port):
            client, other = await process.connect(port), await process.connect(port)
            await client.sends(transfer(1))
            await core.reached()
            process.process.send_signal(signal.SIGTERM)
            await process.logged("draining")
            assert await other.asks(transfer(2)) == answer_to(transfer(2), "SB06")  # E-LIM-04: not sent
            with pytest.raises(OSError):
                await process.connect(port)
            assert await client.got() == answer_to(transfer(1))
            assert await client.closed() == b"" and await other.closed() == b""
            assert await process.ended() == 0
            for each in (client, other):
                await each.goes()
    assert core.frames == [transfer(1)]


async def test_a_second_sigterm_ends_at_once_and_says_what_was_cut(tmp_path: Path):
    async with Host(keeps_silent) as core:
        text = config(core, service='timeout = "30s"').replace('drain = "500ms"', 'drain = "30s"')
        async with started(text, tmp_path) as (process, port):
            client = await process.connect(port)
            await client.sends(transfer(1))
            await core.reached()
            process.process.send_signal(signal.SIGTERM)
            await process.logged("draining")
            process.process.send_signal(signal.SIGTERM)
            assert await process.ended() == 1
            assert (await process.logged("stopped"))["cut"] == 1
            assert await client.closed() == answer_to(transfer(1), "VTIM")  # sent_unknown
            await client.goes()


async def test_without_file_descriptors_accepting_pauses_and_goes_on(tmp_path: Path):
    async with Host() as core, started(config(core), tmp_path) as (process, port):
        resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, (40, 40))  # at its start it would have refused so few
        served = await process.connect(port)
        assert await served.asks(transfer(1)) == answer_to(transfer(1))
        crowd = [await process.connect(port) for _ in range(40)]
        assert (await process.logged("accept_paused"))["reason"] == "EMFILE"
        assert await served.asks(transfer(2)) == answer_to(transfer(2))
        last = crowd.pop()
        await last.sends(transfer(3))
        await last.got_nothing()
        for client in crowd:
            await client.goes()
        assert await last.got() == answer_to(transfer(3))
        assert await served.asks(transfer(4)) == answer_to(transfer(4))
        for each in (served, last):
            await each.goes()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_fetches_the_metrics_and_its_numbers_are_those_of_the_router():
    async with Host() as core, running(config(core) + '[metrics]\naddress = "127.0.0.1:0"\n') as router, good_neighbour(router):
        client = await router.connect()
        for number in range(1, 4):
            await client.asks(transfer(number))
        address = router.router.metrics_address
        curl = await trio.run_process(["curl", "-sS", "-m", "3", f"http://{address}/metrics"], capture_stdout=True)
        text = curl.stdout.decode()
        assert 'sessions_active{listener="companies"} 2.0' in text
        assert not betrayed(text)


async def test_links_that_end_with_the_router_are_nothing_to_wake_up_for():
    async with Host() as steady, running(config(steady=steady)) as router:
        await router.linked("steady")
        log = router.log
    (lost,) = log.named("link_lost")
    assert (lost["reason"], lost["level"]) == ("stopped", "info")


async def test_the_metrics_count_each_telegram_and_each_session_once():
    async with Host() as steady, running(config(steady=steady)) as router:
        client = await router.connect()
        await client.asks(balance(1))
        await client.asks(transfer(2))  # a message that no route takes
        await client.sends(put(transfer(3), message_type="9999"))  # no message at all
        await client.asks(balance(4))
        await client.hangs_up()
        await router.until(lambda: not router.router.acceptors["companies"].open)
        counted = {name: dict(samples) for name, samples in router.router.collect()}
    received = {message: count for (_, message), count in counted["telegrams_received_total"].items() if count}
    assert received == {"balance.request": 2, "transfer.request": 1, "_OTHER": 1}
    refused = counted["refused_total"]
    assert {code: count for (_, code), count in refused.items() if count} == {"E-RTE-01": 2}
    # What the spec has a response code for is there before it happens.
    assert refused["companies", "E-DUP-01"] == counted["invalid_telegrams_total"]["companies", "E-FRM-07"] == 0
    requests = counted["requests_total"]
    assert {key: count for key, count in requests.items() if count} == {("companies", "routes.0", "steady", "ok"): 2}
    assert requests["companies", "routes.0", "steady", "timeout"] == 0  # before it happens
    assert counted["sessions_closed_total"] == {("companies", "peer"): 1, ("companies", "drain"): 0, ("companies", "E-LIM-05"): 0}
