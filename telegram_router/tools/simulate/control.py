"""A running simulator steered from outside: lines of JSON over a Unix socket that only its owner may use."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from telegram_router.errors import ConfigError, RouterError
from telegram_router.tools.simulate.driver import Simulator
from telegram_router.tools.simulate.reading import parse_fault

LONGEST_LINE: Final = 65_536
encoded = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Answer = dict[str, Any]


async def serve_control(
    path: Path, simulators: Sequence[Simulator], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer orders until cancelled. Raises RouterError E-SIM-08."""
    listener = _listen(path)
    try:
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                sock, _ = await listener.accept()
                nursery.start_soon(_serve, trio.SocketStream(sock), simulators)
    finally:
        listener.close()
        _take_away(path)


def _listen(path: Path) -> trio.socket.SocketType:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if _is_left_over(path):
            path.unlink()
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen(8)
    except OSError as error:
        sock.close()
        raise RouterError("E-SIM-08", f"{path} cannot be listened on: {error.strerror or error}", do="give another --control") from None
    return trio.socket.from_stdlib_socket(sock)


def _take_away(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _is_left_over(path: Path) -> bool:
    """A socket that nobody listens on any more."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return True
    return False


async def _serve(stream: trio.SocketStream, simulators: Sequence[Simulator]) -> None:
    buffer = b""
    try:
        async with stream:
            async for data in stream:
                buffer += data
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    await stream.send_all(encoded(answered(line, simulators)) + b"\n")
                if len(buffer) > LONGEST_LINE:
                    return
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


def answered(line: bytes, simulators: Sequence[Simulator]) -> Answer:
    """What comes of an order, given as JSON: `simulators` and what each did, or `error`."""
    try:
        order = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"error": "the order is no JSON"}
    wanted = order.get("simulator")
    chosen = [each for each in simulators if wanted in (None, each.prepared.name)]
    if not chosen:
        return {"error": f"no simulator is called {wanted}; there are {', '.join(each.prepared.name for each in simulators)}"}
    if len(chosen) > 1 and order.get("order") in ("set", "fault_add"):
        return {"error": f"which one? --name of {', '.join(each.prepared.name for each in chosen)}"}
    try:
        return {"simulators": {each.prepared.name: obey(each, order) for each in chosen}}
    except ConfigError as error:
        return {"error": "\n".join(problem.text() for problem in error.problems)}
    except (RouterError, LookupError, TypeError, ValueError) as error:
        return {"error": str(error)}


def obey(simulator: Simulator, order: Answer) -> Any:
    """Do what is ordered. Raises RouterError, LookupError, TypeError, ValueError for what cannot be done."""
    simulation, now = simulator.simulation, trio.current_time()
    what = order.get("order")
    if what == "state":
        return simulation.world.shown(now) | {"standby": simulation.standby_open}
    if what == "set":
        return _set(simulator, str(order["name"]), str(order["value"]))
    if what == "fault_add":
        fault = parse_fault(str(order["fault"]), simulator.prepared)
        names: list[str] = []
        simulator.act(lambda simulation: names.append(simulation.add_fault(fault)))
        return {"added": names[0]}
    if what == "fault_clear":
        cleared: list[int] = []
        simulator.act(lambda simulation: cleared.append(simulation.clear_faults(order.get("fault"))))
        return {"cleared": cleared[0]}
    if what == "stats":
        return simulation.stats()
    if what == "verify":
        judged = simulation.judged(now)
        return {"met": all(each.met for each in judged), "expectations": [each.shown() for each in judged]}
    if what == "reset":
        simulation.reset()
        return {"reset": True}
    raise ValueError("there are the orders state, set, fault_add, fault_clear, stats, verify, reset")


def _set(simulator: Simulator, name: str, value: str) -> dict[str, str]:
    """`state.account[111].balance`, `counter.approval`, `machine.session[all]`, or `standby`."""
    simulation = simulator.simulation
    if name == "standby":
        simulation.standby_open = value in ("on", "true", "1")
        return {"standby": "on" if simulation.standby_open else "off"}
    head, _, rest = name.partition(".")
    if head == "counter":
        simulation.world.counter(rest).set(int(value))
        return {name: value}
    store, _, behind = rest.partition("[")
    key, _, column = behind.rpartition("]")
    if head == "state" and key and column.startswith("."):
        if store not in simulation.world.stores:
            raise LookupError(f"there is no store {store}")
        simulation.world.store(store).set(key, column[1:], value, trio.current_time())
    elif head == "machine" and key and not column:
        if store not in simulation.world.machines:
            raise LookupError(f"there is no machine {store}")
        per_connection = simulator.prepared.scenario.machine[store].key is None and key.isdigit()
        simulation.world.machines[store].go(int(key) if per_connection else key, value, trio.current_time())
    else:
        raise ValueError("give state.STORE[KEY].COLUMN, counter.NAME, machine.NAME[KEY] or standby")
    return {name: value}


def ask(path: Path, order: Answer) -> Answer:
    """Send one order and wait for what comes of it. Raises OSError, EOFError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10.0)
        sock.connect(str(path))
        sock.sendall(encoded(order) + b"\n")
        buffer = b""
        while not buffer.endswith(b"\n"):
            data = sock.recv(LONGEST_LINE)
            if not data:
                raise EOFError("the simulator ended the connection")
            buffer += data
    return _decode(buffer)
