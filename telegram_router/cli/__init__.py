"""The command `telegram-router`: reads arguments, calls the part that does the work, turns its end into an exit code."""

# Rules this package keeps, all of them tested:
#
# 1. What is heavy is imported by the command that needs it, so that --help answers at once.
# 2. What was asked for goes to stdout, what is wrong goes to stderr, and no traceback reaches either.
# 3. A terminal gets tables; a pipe gets the same as aligned text, nothing cut.

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import click

from telegram_router import __version__
from telegram_router.cli.capturing import capture
from telegram_router.cli.certs import certs
from telegram_router.cli.operating import COMMANDS
from telegram_router.cli.options import CONFIG, example
from telegram_router.cli.records import find
from telegram_router.cli.replaying import replay
from telegram_router.cli.simulating import simulate
from telegram_router.cli.spec_commands import spec
from telegram_router.cli.telegram_commands import decode, encode, explain, load
from telegram_router.errors import ConfigError, RouterError

EXIT_FAILED, EXIT_CANNOT_BIND, EXIT_BUG, EXIT_NO_STATE, EXIT_CONFIG = 1, 69, 70, 75, 78
EXIT_INTERRUPTED, EXIT_PIPE = 128 + 2, 128 + 13  # what a shell shows for SIGINT and SIGPIPE
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # to a file or terminal


class CommandLine(click.Group):
    """Every way a command can end, as one message and one exit code."""

    def invoke(self, ctx: click.Context) -> NoReturn:
        _have_streams()
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit):
            raise
        except ConfigError as error:
            tell(problem.text() for problem in error.problems)
            code = EXIT_CONFIG
        except RouterError as error:
            tell([error.text()])
            code = EXIT_FAILED
        except (KeyboardInterrupt, click.Abort):
            code = EXIT_INTERRUPTED
        except (Exception, BaseExceptionGroup) as error:
            code = _failed(error)
        ctx.exit(code or 0)


def tell(lines: Iterable[str]) -> None:
    """Say on stderr what is wrong."""
    for line in lines:
        click.echo(line, err=True)


def _have_streams() -> None:
    """A shell or a service manager may start a program with its output closed. Then nobody wants to read it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it stays open


def _failed(error: BaseException) -> int:
    """The exit code of an exception that no command expected, told on stderr unless nobody is to blame."""
    from telegram_router.ops.logs import leaves

    found = list(leaves(error))
    if any(isinstance(each, BrokenPipeError) for each in found):  # whoever reads has gone
        _let_go_of_stdout()
        return EXIT_PIPE
    full = next((each for each in found if isinstance(each, OSError) and each.errno in CANNOT_WRITE), None)
    if full is not None:
        _let_go_of_stdout()
        tell([f"Error: the output cannot be written: {full.strerror}"])
        return EXIT_FAILED
    tell(_faults(error))
    return EXIT_BUG


def _faults(error: BaseException) -> Iterable[str]:
    """Exceptions that nobody expected: where they came from, without their messages, which may hold what a telegram held."""
    from telegram_router.errors import places
    from telegram_router.ops.logs import leaves

    for leaf in leaves(error):
        where = (places(leaf) or ["an unknown place"])[-1]
        yield f"E-INT-01: a fault of the router itself: {type(leaf).__name__} at {where}; please report it"


def _let_go_of_stdout() -> None:
    """Nobody reads any more: the interpreter must not try to write the rest when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no descriptor behind it
        pass


def _linux_only() -> None:
    if sys.platform != "linux":
        raise click.ClickException(f"the router runs on Linux only (it waits with epoll); this is {sys.platform}")


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]}, epilog=example("telegram-router demo"))
@click.version_option(__version__, prog_name="telegram-router")
def main() -> None:
    """Route fixed-byte TCP telegrams (전문) to TCP hosts, HTTP/JSON services and Python handlers.

    Exit codes: 0 well, 1 something failed or a telegram was bad, 2 wrong usage, 69 an address cannot be bound, 70 a fault of the
    router itself, 75 the state folder cannot be used, 78 a bad configuration or spec, 130 interrupted.
    """


# --- the router -------------------------------------------------------------------------------------------------


@main.command(epilog=example("telegram-router run bank.toml"))
@click.argument("config", type=CONFIG)
def run(config: Path) -> int:
    """Run the router that CONFIG describes.

    Logs are JSON lines on stderr. SIGTERM and Ctrl-C drain: no new telegrams, open ones are answered, then it ends; a second
    one ends it at once. SIGHUP reloads the configuration. Exit code 1 means that something was still open when it ended.
    """
    _linux_only()
    from telegram_router.cli.running import run_router

    return run_router(config)


@main.command(epilog=example("telegram-router check bank.toml"))
@click.argument("config", type=CONFIG)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def check(config: Path, as_json: bool) -> int:
    """Check a configuration with all that it names.

    Specs, certificates, handlers and routes are checked as `run` would, and nothing is started. All problems are shown at once.
    """
    from telegram_router.cli.checking import check_config

    return check_config(config, as_json)


@main.command(epilog=example("telegram-router demo"))
@click.option(
    "--keep",
    is_flag=True,
    help="Leave the demo's folder in place: configuration, certificates, the router's log, and captures of what passed.",
)
def demo(keep: bool) -> int:
    """Show the router at work, on this machine alone.

    Simulated hosts, a router with TLS and two companies; one host is killed on the way. It ends by itself in well under a minute,
    and with exit code 1 unless every telegram is accounted for.
    """
    _linux_only()
    from telegram_router.demo import show

    return show(keep)


for command in (*COMMANDS, find, certs, decode, encode, explain, spec, capture, replay, simulate, load):
    main.add_command(command)
