"""The commands of an operator: what a running router does, and orders to it. Each asks the admin API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from telegram_router.cli.admin_options import OPTIONS, where_of
from telegram_router.cli.kinds import Seconds
from telegram_router.cli.options import example

Command = TypeVar("Command", bound=Callable[..., Any])

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def _asks(command: Command) -> Command:
    """With the options that say which router."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=example("telegram-router status --config bank.toml", "telegram-router status --socket router.sock --json | jq .services")
)
@_asks
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --watch one on each line.")
@click.option("--watch", "every", metavar="SECONDS", type=Seconds(0.1), help="Show it again and again, until Ctrl-C.")
def status(as_json: bool, every: float | None, **options: Any) -> int:
    """Show what a running router does: listeners, services with their backends, routes, and what they count.

    The router is found by the [admin] table of its configuration. Exit code 1 if it does not answer, or refuses.
    """
    from telegram_router.cli.steering import show_status

    return show_status(where_of(options), as_json, every)


@click.command(epilog=example("telegram-router top --config bank.toml"))
@_asks
@click.option("--every", metavar="SECONDS", type=Seconds(0.1), default=1.0, show_default=True, help="Time between two looks.")
def top(every: float, **options: Any) -> int:
    """Watch a running router: rates, times, backends by state, the oldest exchanges; q or Ctrl-C ends it.

    In a pipe it prints the rates of one interval, as plain tables, and ends.
    """
    from telegram_router.cli.top import watch

    return watch(where_of(options), every)


@click.command(epilog=example("telegram-router exchanges --config bank.toml --count 5"))
@_asks
@click.option(
    "--count", metavar="N", type=click.IntRange(1), default=20, show_default=True, help="How many at most; the router tells of 1,000."
)
@AS_JSON
def exchanges(count: int, as_json: bool, **options: Any) -> int:
    """Show the open exchanges of a running router, oldest first, each with what could be said of its delivery now.

    Telegrams are named by their key and correlation fields, as far as the spec marks them log="clear".
    """
    from telegram_router.cli.steering import show_exchanges

    return show_exchanges(where_of(options), count, as_json)


@click.command(
    epilog=example(
        "telegram-router backend transfer 10.0.0.1:9100 drain --wait 30",
        "telegram-router backend transfer 10.0.0.1:9100 ready --weight 2",
    )
)
@click.argument("service")
@click.argument("backend")
@click.argument("state", required=False, type=click.Choice(["ready", "drain", "maint"]))
@_asks
@click.option("--weight", metavar="N", type=click.IntRange(1, 100), help="Its share beside others of the same priority, 1 to 100.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=Seconds(0),
    help="Wait so long until nothing is in flight there; exit code 1 if something still is.",
)
@AS_JSON
def backend(service: str, backend: str, state: str | None, weight: int | None, wait: float | None, as_json: bool, **options: Any) -> int:
    """Take a BACKEND of a SERVICE out of use, put it in again, or change its weight.

    drain gives it nothing new, and what is in flight there is let finish; maint does not probe it either; ready undoes both. The order
    holds until the router ends, and is in its log with who gave it.
    """
    from telegram_router.cli.steering import order_backend

    return order_backend(where_of(options), service, backend, state, weight, wait, as_json)


@click.command(epilog=example("telegram-router drain branches --over 120"))
@click.argument("listener")
@_asks
@click.option(
    "--over",
    metavar="SECONDS",
    type=Seconds(0, 86_400),
    default=60.0,
    show_default=True,
    help="Spread the sessions' ends over this time.",
)
@click.option(
    "--patience",
    metavar="SECONDS",
    type=Seconds(0, 86_400),
    help="How long each may still be busy then. Default: `drain` of the configuration.",
)
@AS_JSON
def drain(listener: str, over: float, patience: float | None, as_json: bool, **options: Any) -> int:
    """Accept no more sessions at a LISTENER, and part with those that are open, each when nothing of it is open.

    Its address is free at once; other listeners and all links go on. `telegram-router open` lets clients in again.
    """
    from telegram_router.cli.steering import drain_listener

    return drain_listener(where_of(options), listener, over, patience, as_json)


@click.command(
    epilog=example(
        "telegram-router tail 'message=transfer.* code=E-BCK-05'", "telegram-router tail --service transfer --json | jq .took_ms"
    )
)
@click.argument("terms", metavar="[FILTER]...", nargs=-1)
@_asks
@click.option("--listener", metavar="NAME", help="Only what comes from this listener's sessions, or goes to them.")
@click.option("--service", metavar="NAME", help="Only what goes to this service, or comes from its hosts.")
@click.option("--message", metavar="MESSAGE", help="Only this message; * stands for any characters.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="End after so many lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def tail(
    terms: tuple[str, ...], listener: str | None, service: str | None, message: str | None, limit: int | None, as_json: bool, **options: Any
) -> int:
    """Watch telegrams as they come and end, masked by their specs, until Ctrl-C.

    FILTER are terms such as code=E-BCK-05 or bank_code=088, all of which must hold: message, listener, service, peer, code, result,
    delivery, direction, or a header field that the spec marks log="clear"; * stands for any characters.
    """
    from telegram_router.cli.tailing import watch_telegrams

    named = {"listener": listener, "service": service, "message": message}
    return watch_telegrams(where_of(options), [*terms, *(f"{name}={each}" for name, each in named.items() if each)], limit, as_json)


@click.command("open", epilog=example("telegram-router open branches"))
@click.argument("listener")
@_asks
@AS_JSON
def open_(listener: str, as_json: bool, **options: Any) -> int:
    """Accept sessions again at a LISTENER that was drained. Sessions that were to leave and are still there stay.

    Exit code 1 if it accepts already, or if somebody else has its address by now.
    """
    from telegram_router.cli.steering import open_listener

    return open_listener(where_of(options), listener, as_json)


@click.command(
    epilog=example(
        "telegram-router message off transfer.request --service transfer",
        "telegram-router message on transfer.request --service transfer",
    )
)
@click.argument("state", type=click.Choice(["off", "on"]))
@click.argument("message")
@_asks
@click.option("--listener", metavar="NAME", help="Only what comes from this listener's sessions, or would go to them.")
@click.option("--service", metavar="NAME", help="Only what would go to this service, or comes from its hosts.")
@AS_JSON
def message(state: str, message: str, listener: str | None, service: str | None, as_json: bool, **options: Any) -> int:
    """Switch a MESSAGE off, so that its requests are refused with E-RTE-06 and not sent, or on again.

    Without --listener and --service: everywhere. It stays off until it is switched on or the router ends, over reloads too.
    """
    from telegram_router.cli.steering import switch_message

    return switch_message(where_of(options), state, message, listener, service, as_json)


@click.command(epilog=example("telegram-router failback transfer"))
@click.argument("service")
@_asks
@AS_JSON
def failback(service: str, as_json: bool, **options: Any) -> int:
    """Return a SERVICE to its best priority now, without waiting, whatever its failback mode.

    Exit code 1 if no backend of a better priority is fit.
    """
    from telegram_router.cli.steering import fail_back

    return fail_back(where_of(options), service, as_json)


@click.command(epilog=example("telegram-router promote --config bank.toml", "telegram-router promote transfer"))
@click.argument("service", required=False)
@_asks
@AS_JSON
def promote(service: str | None, as_json: bool, **options: Any) -> int:
    """Take a router that stands by, or one SERVICE of it, into use: its ports are opened and its links are dialled.

    See first that the other router is demoted or off: that both are never in use at once is for the operator to know.
    """
    from telegram_router.cli.steering import promote

    return promote(where_of(options), service, as_json)


@click.command(epilog=example("telegram-router demote --config bank.toml --wait 60"))
@click.argument("service", required=False)
@_asks
@click.option("--wait", metavar="SECONDS", type=Seconds(0), help="Wait so long until no link is held; exit code 1 if one still is.")
@AS_JSON
def demote(service: str | None, wait: float | None, as_json: bool, **options: Any) -> int:
    """Have a router, or one SERVICE of it, stand by: its ports refuse, sessions and then links end when what they have is answered.

    Promote the other router only after that: with --wait this command ends when no link is held.
    """
    from telegram_router.cli.steering import demote

    return demote(where_of(options), service, wait, as_json)


@click.command(epilog=example("telegram-router reload --config bank.toml --dry-run"))
@_asks
@click.option("--dry-run", is_flag=True, help="Only tell what is wrong, or what would change.")
@AS_JSON
def reload(dry_run: bool, as_json: bool, **options: Any) -> int:
    """Have a running router read its configuration file anew and go on by it; no session is dropped.

    What is wrong with the file is told as `check` tells it, with exit code 78, and then nothing is changed. The router reads the file that it
    was started with.
    """
    from telegram_router.cli.steering import reload_config

    return reload_config(where_of(options), dry_run, as_json)


@click.command(epilog=example("telegram-router probe readyz --config bank.toml"))
@click.argument("what", default="livez", metavar="[livez|readyz|startupz]", type=click.Choice(["livez", "readyz", "startupz"]))
@_asks
def probe(what: str, **options: Any) -> int:
    """Ask a router whether it runs (livez), takes sessions (readyz) or has started (startupz); exit code 1 if it says no, or nothing.

    For the health checks of containers and service managers. No token is needed.
    """
    from telegram_router.cli.steering import ask_condition

    return ask_condition(where_of(options), what)


@click.command(
    epilog=example(
        "telegram-router usage --config bank.toml",
        "telegram-router usage --from 2026-03-01 --to 2026-03-31 --by user,service --csv > march.csv",
        "telegram-router usage --state /var/lib/router/state --states --json",
    )
)
@_asks
@click.option(
    "--state", "folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path), help="Read this state folder; ask no router."
)
@click.option("--from", "first", metavar="DAY", help="The first day, as 2026-03-31. Default: the day of --to.")
@click.option("--to", "last", metavar="DAY", help="The last day. Default: today.")
@click.option("--by", metavar="KEYS", help="What rows are told apart by: any of user, service, day, joined by commas. Default: all.")
@click.option("--states", is_flag=True, help="Only how requests ended, by day and service unless --by says otherwise.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a line of headings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def usage(
    folder: Path | None,
    first: str | None,
    last: str | None,
    by: str | None,
    states: bool,
    as_csv: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Show who has asked for how much: requests by how they ended, bytes and amounts, by user, service and day.

    A running router is asked. If none answers, the state folder that the configuration names is read: what a stopped router has
    left there, or a killed one up to its last second.
    """
    from telegram_router.cli.usage import show_usage

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    by = by or ("day,service" if states else "user,service,day")
    form = "csv" if as_csv else "json" if as_json else "table"
    return show_usage(where_of(options), folder, first, last, by, states=states, form=form)


@click.command(
    epilog=example("telegram-router quotas --config bank.toml", "telegram-router quotas --count 1 --json | jq '.quotas[].used_ratio'")
)
@_asks
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Keys of each that are shown; the router tells of 20.",
)
@AS_JSON
def quotas(count: int, as_json: bool, **options: Any) -> int:
    """Show the quotas of a running router: their windows, what has been used of them, and the keys that have used most.

    Header fields that the spec does not let be shown stand as a digest. --json prints what GET /quotas answers.
    """
    from telegram_router.cli.quotas import show_quotas

    return show_quotas(where_of(options), count, as_json)


COMMANDS = (status, top, exchanges, tail, backend, failback, drain, open_, message, promote, demote, reload, usage, quotas, probe)
