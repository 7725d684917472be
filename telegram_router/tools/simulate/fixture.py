"""A simulator inside a test: callers connect to it, and the test looks at what it got."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from telegram_router.telegrams import Framer, Spec, Telegram
from telegram_router.tools.simulate.core import Simulation
from telegram_router.tools.simulate.driver import Simulator
from telegram_router.tools.simulate.reading import FindSpec, from_capture, parse_fault, parse_scenarios, read_scenarios
from telegram_router.tools.simulate.ready import scenario_file
from telegram_router.tools.simulate.verdict import Judged
from telegram_router.tools.simulate.wires import SocketWire, Wire, memory_pair
from telegram_router.tools.simulate.world import Prepared
from telegram_router.written import Address


class Caller:
    """Who talks with a simulated host: frames out, frames in. `wire` has the bytes."""

    def __init__(self, wire: Wire, spec: Spec) -> None:
        self.wire = wire
        self.spec = spec
        self._framer = Framer(spec.framing)
        self._frames: list[bytes] = []

    async def send(self, *telegrams: Telegram | bytes) -> None:
        """All in one write."""
        await self.wire.send(b"".join(each if isinstance(each, bytes) else self.spec.encode(each) for each in telegrams))

    async def receive(self) -> bytes:
        """The next frame. EOFError when there will be none, ConnectionResetError after a reset."""
        while not self._frames:
            try:
                data = await self.wire.receive()
            except trio.BrokenResourceError:
                raise ConnectionResetError("the simulator reset the connection") from None
            if not data:
                raise EOFError("the simulator ended the connection")
            self._framer.feed(data)
            self._frames = self._framer.take()
        return self._frames.pop(0)

    async def ask(self, telegram: Telegram | bytes) -> Telegram:
        """Send one and read the next that comes."""
        await self.send(telegram)
        return self.spec.decode(await self.receive())

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
        self.wire.end("fin")


class Host:
    """A simulator that runs: what a test asks of it."""

    def __init__(self, simulator: Simulator, sockets: bool, called: trio.MemoryReceiveChannel[Wire]) -> None:
        self._simulator = simulator
        self._sockets = sockets
        self._called = called
        self._callers: list[Caller] = []

    @property
    def simulation(self) -> Simulation:
        return self._simulator.simulation

    @property
    def spec(self) -> Spec:
        return self._simulator.prepared.spec

    @property
    def address(self) -> Address:
        """Where it listens, on real sockets."""
        assert self._simulator.address is not None, "it has no address in memory: simulator(..., sockets=True)"
        return self._simulator.address

    async def connect(self, window: int = 65_536) -> Caller:
        """Another caller."""
        if not self._sockets:
            caller: Wire = self._simulator.connect(window)
            await trio.lowlevel.checkpoint()
        else:
            caller = SocketWire(await trio.open_tcp_stream(self.address.host, self.address.port))
        self._callers.append(Caller(caller, self.spec))
        return self._callers[-1]

    async def accept(self) -> Caller:
        """The next connection that a simulated client makes in memory: the test stands in for its host."""
        self._callers.append(Caller(await self._called.receive(), self.spec))
        return self._callers[-1]

    async def dial(self) -> Wire:
        """A connection in memory, for a simulated client: `simulator(client, to=host)`."""
        await trio.lowlevel.checkpoint()
        return self._simulator.connect()

    @property
    def is_finished(self) -> bool:
        """Whether `finished` would return at once."""
        return self._simulator.over.is_set()

    async def finished(self) -> None:
        """Return when a client has nothing more to do: its capture was sent, or its connections have ended."""
        await self._simulator.over.wait()

    def close_callers(self) -> None:
        """End every connection that the test has made."""
        for caller in self._callers:
            caller.wire.end("fin")

    def received(self, message: str | None = None) -> list[Telegram]:
        """What came, decoded, oldest first; of the last ones that the journal keeps."""
        journal = self.simulation.journal
        return [journal.decoded(entry) for entry in journal.entries(message, sent=False)]

    def sent(self, message: str | None = None) -> list[bytes]:
        """The frames that it sent, faults and all."""
        return [entry.frame for entry in self.simulation.journal.entries(message, sent=True)]

    async def wait_for(self, message: str, count: int = 1, *, sent: bool = False) -> None:
        """Return when so many of a message have come, or have been sent."""
        journal = self.simulation.journal
        while (journal.went if sent else journal.came)[message] < count:
            await self._simulator.something()

    @property
    def notes(self) -> list[str]:
        """Faults, requests that no rule was for, and whatever else is worth a line."""
        return [*self.simulation.journal.notes]

    def state(self, store: str, key: str) -> dict[str, str]:
        """The values of a row, as texts."""
        return dict(self.simulation.world.store(store).row(key, self.simulation.now) or {})

    def set(self, store: str, key: str, **values: object) -> None:
        """Change values of a row."""
        for column, value in values.items():
            self.simulation.world.store(store).set(key, column, str(value), self.simulation.now)

    def fault(self, text: str) -> None:
        """Another fault from now on: `match='msg=a.b', do={late='5s'}`."""
        self._simulator.act(lambda simulation: simulation.add_fault(parse_fault(text, self._simulator.prepared)))

    def clear_faults(self, name: str | None = None) -> None:
        self._simulator.act(lambda simulation: simulation.clear_faults(name))

    def verify(self) -> list[Judged]:
        """The expectations of the scenario, judged now."""
        return self.simulation.judged(self.simulation.now)

    def check(self) -> None:
        """Raises AssertionError with every expectation that is not met, and whatever the scenario could not do."""
        judged = [each for each in self.verify() if not each.met]
        lines = [f"{each.place}: {each.name}: {each.expect}: {'; '.join(each.failures)}" for each in judged]
        lines += self.simulation.verdict.troubles
        assert not lines, "\n".join([*lines, f"seed {self.simulation.seed}", *self.notes[-20:]])


@asynccontextmanager
async def run_simulator(
    scenario: Path | str | Prepared, find_spec: FindSpec, *, seed: int = 42, sockets: bool = False,
    start: datetime.datetime | None = None, record: Path | None = None, allow_code: bool = False, role: str = "host",
    to: Host | Address | None = None, **more: Any,
) -> AsyncIterator[Host]:  # fmt: skip
    """A simulator for as long as the block lasts. A client connects to `to`; in memory without it, to whoever calls `accept`."""
    prepared = scenario if isinstance(scenario, Prepared) else prepared_from(scenario, find_spec, allow_code=allow_code, role=role)
    about = prepared.scenario.scenario
    calls, called = trio.open_memory_channel[Wire](about.connections if prepared.script is None else len(prepared.script.parts))
    dial = _in_memory(calls) if to is None and about.to is None else to.dial if isinstance(to, Host) else None
    simulator = Simulator(prepared, seed, start=start, record=record, to=to if isinstance(to, Address) else None, dial=dial, **more)
    listens = sockets or about.role == "client"
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, simulator, listens)
            host = Host(simulator, sockets, called)
            try:
                yield host
            finally:
                host.close_callers()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _alone(group) from None


def _in_memory(calls: trio.MemorySendChannel[Wire]) -> Callable[[], Awaitable[Wire]]:
    """What makes the connections of a client, and hands their other ends to the test."""

    async def dial() -> Wire:
        theirs, ours = memory_pair(0)
        await calls.send(theirs)
        return ours

    return dial


async def _run(simulator: Simulator, listens: bool, *, task_status: trio.TaskStatus[None]) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(simulator.run, listen=listens))
        task_status.started()
        await simulator.over.wait()
        if simulator.unreachable is not None:
            raise simulator.unreachable


def _alone(error: BaseException) -> BaseException:
    """What a test failed of, without the groups around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def prepared_from(scenario: Path | str, find_spec: FindSpec, *, allow_code: bool = False, role: str = "host") -> Prepared:
    """From a file, a capture, or the text of a scenario. Raises ConfigError, CaptureError; ValueError for several in one file."""
    if isinstance(scenario, str) and "\n" in scenario:
        found = parse_scenarios(scenario, "scenario.toml", Path(), find_spec, allow_code=allow_code)
    elif is_capture(Path(scenario)):
        return from_capture(Path(scenario), find_spec, role=role)
    else:
        found = read_scenarios(scenario_file(Path(scenario)), find_spec, allow_code=allow_code)
    if len(found) != 1:
        raise ValueError(f"{len(found)} simulators are in the file: give one of them")
    return found[0]


def is_capture(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".tgcap.jsonl")
