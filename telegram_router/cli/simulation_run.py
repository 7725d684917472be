"""`simulate run`: from files to simulators at work, and to their verdict as an exit code."""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import trio

from telegram_router.cli import tell
from telegram_router.cli.exit_codes import EXIT_BUG, EXIT_DAMAGED, EXIT_DIFFERS, EXIT_UNREACHABLE, EXIT_USAGE, first_of
from telegram_router.cli.options import spec_named
from telegram_router.cli.replaying import names_of
from telegram_router.cli.shown import say, say_json
from telegram_router.cli.simulation_ctl import sockets_folder
from telegram_router.config import Address
from telegram_router.errors import ConfigError, ConfigProblem, RouterError
from telegram_router.ops.logs import leaves
from telegram_router.ops.tokens import read_token
from telegram_router.telegrams import Spec
from telegram_router.tools.replay.guard import check_target
from telegram_router.tools.simulate.control import serve_control
from telegram_router.tools.simulate.driver import Simulator
from telegram_router.tools.simulate.fixture import is_capture
from telegram_router.tools.simulate.forms import forward_to
from telegram_router.tools.simulate.reading import from_capture, read_scenarios
from telegram_router.tools.simulate.ready import scenario_file
from telegram_router.tools.simulate.script import Script
from telegram_router.tools.simulate.verdict import Judged
from telegram_router.tools.simulate.world import Prepared
from telegram_router.written import Misread

NOTES_TOLD = 20


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    listen: Address | None = None
    to: Address | None = None
    role: str | None = None
    seed: int | None = None
    record: Path | None = None
    on_miss: str | None = None
    duration: float | None = None
    spec_name: str | None = None
    folders: Sequence[Path] = ()
    control: Path | None = None
    allow_code: bool = False
    insecure_public: bool = False
    as_json: bool = False
    control_http: Address | None = None
    control_token_file: Path | None = None
    protected: Sequence[str] = ()
    known: Sequence[str] = ()


def run_simulators(files: Sequence[Path], asked: Asked) -> int:
    """Returns the exit code."""
    try:
        prepared = [found for file in files for found in _prepared(file, asked)]
        _check_together(prepared, asked)
        token = read_token(asked.control_token_file, "--control-token-file") if asked.control_token_file is not None else None
        return trio.run(_run, prepared, asked, token)
    except ConfigError as error:
        tell(problem.text() for problem in error.problems)
        return EXIT_USAGE
    except (RouterError, BaseExceptionGroup) as error:
        found = [*leaves(error)]
        if all(isinstance(each, RouterError) for each in found):
            tell(sorted({str(each) for each in found}))
            return first_of(map(_code_of, found))
        raise


def _code_of(error: BaseException) -> int:
    code = error.code if isinstance(error, RouterError) else ""
    if code in ("E-CAP-01", "E-CAP-02", "E-CAP-03"):
        return EXIT_DAMAGED
    if code == "E-SIM-08" and isinstance(error, RouterError) and "listened" not in error.what:
        return EXIT_UNREACHABLE
    return EXIT_USAGE if code.startswith(("E-SIM", "E-CAP", "E-RPL")) else EXIT_BUG


def _prepared(file: Path, asked: Asked) -> Iterator[Prepared]:
    from telegram_router import plan

    def find(name: str, folder: Path) -> Spec:
        places = [*asked.folders, folder, *plan.spec_folders(None, Path())]
        path = folder / name if name.endswith(".py") else plan.find_spec(name, places)
        if path is None:
            raise LookupError(
                f"there are {', '.join(sorted(plan.known_specs(places[: len(asked.folders)] + places[len(asked.folders) + 1 :])))}"
            )
        return plan.read_spec(path)

    if is_capture(file):
        spec = spec_named(asked.spec_name, asked.folders) if asked.spec_name is not None else None
        yield from_capture(file, find, spec=spec, role=asked.role or "host", on_miss=_on_miss(asked.on_miss or "error"))
        return
    changes: dict[str, Any] = {}
    if asked.role is not None:
        changes["role"] = asked.role
    if asked.on_miss is not None:
        changes["on_miss"] = _on_miss(asked.on_miss)
    for prepared in read_scenarios(scenario_file(file), find, allow_code=asked.allow_code):
        yield prepared.with_changes(**changes)


def _on_miss(text: str) -> str:
    try:
        forward_to(text)
    except Misread as error:
        raise click.UsageError(f"--on-miss: {text[:100]!r} {error}.") from None
    return text


def _check_together(prepared: Sequence[Prepared], asked: Asked) -> None:
    names = [each.name for each in prepared]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                [ConfigProblem("E-SIM-02", "", 0, "scenario.name", f"two simulators are called {name}", do="give each its own name")]
            )
    if len(prepared) > 1 and (asked.listen or asked.to or asked.record):
        raise click.UsageError("--listen, --to and --record are for one simulator: with several write them into the scenarios.")
    http = asked.control_http
    if http is not None and not http.loopback and not (asked.insecure_public and asked.control_token_file):
        raise click.UsageError(f"{http} can be reached by other machines: give --control-token-file and --insecure-public.")
    for each in prepared:
        about = each.scenario.scenario
        places = [asked.listen or about.listen, about.standby]
        for place in places:
            if about.role == "host" and place is not None and not place.loopback and not asked.insecure_public:
                raise click.UsageError(f"{place} can be reached by other machines: use 127.0.0.1, or give --insecure-public.")
        if about.role == "client" and about.to is None and asked.to is None:
            raise click.UsageError("A client needs --to HOST:PORT.")
        if each.script is not None:
            _guard(each.script, asked.to or about.to, asked)


def _guard(script: Script, to: Address | None, asked: Asked) -> None:
    """A capture is not sent to those that it was made of. Raises ReplayError E-RPL-05."""
    assert to is not None
    try:
        resolved = [str(found[4][0]) for found in socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)]
    except OSError:
        resolved = []  # nobody will be reached, and that is told then
    check_target((to.host, to.port), resolved, script.addresses, names_of(asked.protected), asked.known)


async def _run(prepared: Sequence[Prepared], asked: Asked, token: str | None) -> int:
    simulators = [_simulator(each, asked) for each in prepared]
    durations = [seconds for each in prepared if (seconds := asked.duration or each.scenario.scenario.duration) is not None]
    received = 0
    with ExitStack() as closing:
        for simulator in simulators:
            closing.callback(simulator.close)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                for simulator in simulators:
                    await nursery.start(_started, simulator)
                    nursery.start_soon(simulator.flush)
                control = asked.control or _own_socket(simulators[0])
                await nursery.start(serve_control, control, simulators)
                http = None
                if asked.control_http is not None:
                    from telegram_router.cli.simulation_http import serve_http  # which brings a web server

                    http = await nursery.start(serve_http, asked.control_http, token, simulators)
                _tell_start(simulators, control, http)
                with trio.move_on_after(max(durations) if durations else float("inf")):
                    received = await _ended(signals, simulators)
                now = trio.current_time()
                verdicts = [(simulator, simulator.simulation.judged(now)) for simulator in simulators]
                nursery.cancel_scope.cancel()
    code = _tell_end(verdicts, asked.as_json)
    unfinished = any(each.simulation.playing is not None and not each.over.is_set() for each in simulators)
    return 128 + received if received and unfinished else code


async def _ended(signals: AsyncIterator[int], simulators: Sequence[Simulator]) -> int:
    """Wait until somebody ends it: the signal's number, or 0 when there were clients and none has anything left to do."""
    received = 0

    async def listen() -> None:
        nonlocal received
        async for number in signals:
            received = number
            either.cancel_scope.cancel()

    async with trio.open_nursery() as either:
        either.start_soon(listen)
        clients = [each for each in simulators if each.about.role == "client"]
        for client in clients:
            await client.over.wait()
        if clients:
            either.cancel_scope.cancel()
    return received


async def _started(simulator: Simulator, *, task_status: trio.TaskStatus[None]) -> None:
    await simulator.run(task_status=task_status)


def _simulator(prepared: Prepared, asked: Asked) -> Simulator:
    seed = asked.seed if asked.seed is not None else prepared.scenario.scenario.seed
    seed = secrets.randbits(32) if seed is None else seed
    return Simulator(prepared, seed, record=asked.record, listen=asked.listen, to=asked.to)


def _own_socket(simulator: Simulator) -> Path:
    folder = sockets_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RouterError("E-SIM-08", f"{folder} cannot be made: {error.strerror}", do="give another --control") from None
    port = simulator.address.port if simulator.address is not None else 0
    return folder / f"{simulator.prepared.name}-{port}.sock"


def _tell_start(simulators: Sequence[Simulator], control: Path, http: Address | None) -> None:
    lines: list[str] = []
    for simulator in simulators:
        where = f"listens on {simulator.address}" if simulator.address is not None else f"connects to {simulator.to}"
        standby = f", standby on {simulator.standby}" if simulator.standby is not None else ""
        lines.append(
            f"{simulator.prepared.name}: {simulator.prepared.spec.name} {simulator.about.role}, {where}{standby}, seed {simulator.seed}"
        )
        lines += simulator.prepared.remarks
    lines.append(f"steer it with: telegram-router simulate ctl state --control {control}")
    if http is not None:
        lines.append(f"or over HTTP: telegram-router simulate ctl state --control http://{http}")
    tell([*lines, "end it with Ctrl-C"])


def _tell_end(verdicts: Sequence[tuple[Simulator, list[Judged]]], as_json: bool) -> int:
    codes = []
    shown = {}
    for simulator, judged in verdicts:
        verdict = simulator.simulation.verdict
        met = all(each.met for each in judged) and not verdict.troubled
        codes += [0 if met else EXIT_DIFFERS, EXIT_DAMAGED if simulator.prepared.damaged else 0]
        codes.append(EXIT_UNREACHABLE if simulator.unreachable is not None or simulator.links_lost else 0)
        if simulator.unreachable is not None:
            tell([f"{simulator.prepared.name}: {simulator.unreachable.text()}"])
        shown[simulator.prepared.name] = simulator.simulation.stats() | {
            "met": met, "expectations": [each.shown() for each in judged], "troubles": verdict.troubles,
            "unreachable": simulator.unreachable.what if simulator.unreachable is not None else None,
        }  # fmt: skip
        if not as_json:
            _say_verdict(simulator, judged)
    if as_json:
        say_json(shown)
    return first_of(codes)


def _say_verdict(simulator: Simulator, judged: list[Judged]) -> None:
    stats, verdict = simulator.simulation.stats(), simulator.simulation.verdict
    came, went = sum(stats["received"].values()), sum(stats["sent"].values())
    counts = "".join(f"  {name.replace('_', ' ')} {count:,}" for name, count in sorted(stats["counts"].items()))
    say(f"{simulator.prepared.name}: {stats['connections']['made']:,} connections  {came:,} received  {went:,} sent{counts}")
    if "requests" in stats:
        say("  requests: " + "  ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in stats["requests"].items() if count))
    for each in judged:
        say(f"  {'met    ' if each.met else 'NOT MET'} {each.name}: {each.expect}")
        for failure in each.failures:
            say(f"          {failure}")
        if each.failed > len(each.failures):
            say(f"          and {each.failed - len(each.failures):,} more")
        if not each.met:
            say(f"          written at {each.place}; repeat with --seed {simulator.seed}")
    for trouble in verdict.troubles:
        say(f"  TROUBLE {trouble}")
    failed = verdict.troubled or not all(each.met for each in judged)
    if failed or stats["counts"].get("missed"):
        for note in [*simulator.simulation.journal.notes][-NOTES_TOLD:]:
            say(f"  note    {note}")
