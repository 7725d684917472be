"""`simulate`: hosts and clients that are not there, from scenarios or captures, and the orders to those that run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from telegram_router.cli.kinds import DURATION, LISTEN, TARGET
from telegram_router.cli.options import SPEC_FOLDER, RunUnlessNamed, example

_FILE = click.Path(dir_okay=False, path_type=Path)


def _steering(command: Callable[..., int]) -> Callable[..., int]:
    """What every order says: to which simulator, and how its answer is printed."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--name", metavar="SIMULATOR", help="Which simulator, where one process has several."),
        click.option("--token-file", metavar="FILE", type=_FILE, help="File with the token, for one that is asked over HTTP."),
        click.option(
            "--control",
            metavar="SOCKET",
            help="Its Unix socket or its http:// address, as told at its start. Default: the only one there is.",
        ),
    )
    for option in options:
        command = option(command)
    return command


@click.group(cls=RunUnlessNamed, epilog=example("telegram-router simulate core.toml --listen 127.0.0.1:9000 --seed 42"))
def simulate() -> None:
    """Stand in for a host or a client that is not there. `simulate FILE` is short for `simulate run FILE`.

    Exit codes: 0 as expected, 1 an expectation was not met, or an answer was not as in the capture, 2 wrong usage or a bad scenario,
    4 a client found nobody or lost its connection, 5 the capture is damaged, 130 or 143 a client was interrupted before its capture had
    been sent. When several hold, 2 goes before 4, 4 before 5, and 5 before 1.
    """


@simulate.command(
    epilog=example(
        "telegram-router simulate run core.toml --listen 127.0.0.1:9000 --seed 42 --record sim.tgcap.jsonl",
        "telegram-router simulate day.tgcap.jsonl --listen 127.0.0.1:9000 --on-miss nearest",
        "telegram-router simulate bank.toml --role client --to 127.0.0.1:9000",
        "telegram-router simulate day.tgcap.jsonl --role client --to 127.0.0.1:9000",
    )
)
@click.argument("files", metavar="FILE...", type=_FILE, nargs=-1, required=True)
@click.option(
    "--listen",
    metavar="ADDRESS",
    type=LISTEN,
    help="Where a host listens, as 127.0.0.1:9000, or :9000 for this machine alone. Default: the scenario's, or any free port.",
)
@click.option("--to", metavar="ADDRESS", type=TARGET, help="Where a client connects.")
@click.option("--role", type=click.Choice(["host", "client"]), help="Instead of the scenario's.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, (1 << 64) - 1),
    help="Seed of all chance. Default: the scenario's, or a new one, which is told.",
)
@click.option("--record", metavar="CAPTURE", type=_FILE, help="Write a capture of everything, with a note for each fault.")
@click.option(
    "--on-miss", metavar="WHAT", help="What a request gets that nothing is known for: error, nearest, silent, or forward:HOST:PORT."
)
@click.option("--duration", metavar="TIME", type=DURATION, help="End by itself after that long, as 90s or 10m.")
@click.option("--spec", "spec_name", metavar="SPEC", help="For a capture that names no spec: name, or path of a spec file (.py).")
@SPEC_FOLDER
@click.option("--control", metavar="SOCKET", type=_FILE, help="Unix socket for `simulate ctl`. Default: one of its own, which is told.")
@click.option(
    "--control-http",
    metavar="ADDRESS",
    type=LISTEN,
    help="Take orders over HTTP too, as 127.0.0.1:9100. One that other machines can reach needs a token and --insecure-public.",
)
@click.option(
    "--control-token-file", metavar="FILE", type=_FILE, help="File with the token that orders over HTTP need, readable by its owner alone."
)
@click.option("--allow-code", is_flag=True, help="Run the Python code that a scenario names.")
@click.option(
    "--protected",
    metavar="HOST[:PORT]",
    multiple=True,
    envvar="TELEGRAM_ROUTER_PROTECTED",
    help="A client of a capture never sends there. Also from the variable TELEGRAM_ROUTER_PROTECTED, blanks between.",
)
@click.option(
    "--i-know-this-is", "known", metavar="HOST", multiple=True, help="Send a capture there although it was made of it, or it is protected."
)
@click.option("--insecure-public", is_flag=True, help="Allow an address that other machines can reach.")
@click.option("--json", "as_json", is_flag=True, help="Print the result at the end as JSON.")
def run(files: Sequence[Path], **options: Any) -> int:
    """Run simulators, from scenarios (*.toml) or captures (*.tgcap.jsonl), until Ctrl-C.

    core-banking, line-server, van, ksnet, flaky and flaky-tls are the names of those that come with the router.

    At the end the expectations of each scenario are judged, and the exit code says what came of it. A client ends by itself when a
    capture has been sent, or when its connections have ended. Any number of files, and of simulators in a file, run in one process.
    """
    from telegram_router.cli.simulation_run import Asked, run_simulators

    return run_simulators(files, Asked(**options))


@simulate.group(epilog=example("telegram-router simulate ctl fault add \"match='msg=transfer.request', do={never=true}\""))
def ctl() -> None:
    """Steer a simulator that runs."""


@ctl.command(epilog=example("telegram-router simulate ctl state --json"))
@_steering
def state(**how: Any) -> int:
    """Show the rows of its stores, its machines and counters."""
    return _order({"order": "state"}, **how)


@ctl.command("set", epilog=example("telegram-router simulate ctl set 'state.account[110998877665].balance' 5000000"))
@click.argument("what")
@click.argument("value")
@_steering
def set_(what: str, value: str, **how: Any) -> int:
    """Change one value: state.STORE[KEY].COLUMN, counter.NAME, machine.NAME[KEY], or standby (on, off)."""
    return _order({"order": "set", "name": what, "value": value}, **how)


@ctl.group(epilog=example("telegram-router simulate ctl fault clear"))
def fault() -> None:
    """Add faults, and take them away."""


@fault.command(epilog=example("telegram-router simulate ctl fault add \"match='msg=transfer.request', rate=0.1, do={late='35s'}\""))
@click.argument("table", metavar="FAULT")
@_steering
def add(table: str, **how: Any) -> int:
    """Let another fault happen from now on: FAULT is what stands under [[fault]] in a scenario, keys joined by commas."""
    return _order({"order": "fault_add", "fault": table}, **how)


@fault.command(epilog=example("telegram-router simulate ctl fault clear"))
@click.argument("fault_name", metavar="[FAULT]", required=False)
@_steering
def clear(fault_name: str | None, **how: Any) -> int:
    """Take all faults away, or those of a name."""
    return _order({"order": "fault_clear", "fault": fault_name}, **how)


@ctl.command(epilog=example("telegram-router simulate ctl stats"))
@_steering
def stats(**how: Any) -> int:
    """Count what came, what was sent, which rules and faults took part, and show the last notes."""
    return _order({"order": "stats"}, **how)


@ctl.command(epilog=example("telegram-router simulate ctl verify"))
@_steering
def verify(**how: Any) -> int:
    """Judge the expectations now. Exit code 1 if one is not met."""
    return _order({"order": "verify"}, **how)


@ctl.command(epilog=example("telegram-router simulate ctl reset"))
@_steering
def reset(**how: Any) -> int:
    """Begin again with the state of the scenario, and with nothing counted. Connections stay."""
    return _order({"order": "reset"}, **how)


def _order(order: dict[str, Any], **how: Any) -> int:
    from telegram_router.cli.simulation_ctl import give_order

    return give_order(order, **how)
