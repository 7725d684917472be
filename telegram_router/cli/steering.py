"""`status`, `exchanges`, `backend` and `failback`: a running router seen and steered from the shell."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import msgspec

from telegram_router.cli import EXIT_CONFIG, EXIT_FAILED, tell
from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.shown import on_terminal, say, say_json, table
from telegram_router.cli.standing import lasting, place, print_status
from telegram_router.errors import ConfigProblem, ConfigWarning
from telegram_router.ops import answers, ordered

LOOKS = 0.2  # seconds between two looks at a backend that is waited for


# --- status


def show_status(where: Where, as_json: bool, every: float | None) -> int:
    """The state of the router, once or again and again."""
    client = Client(reach(where))

    def show() -> None:
        status = client.status()
        if as_json:
            say_json(msgspec.to_builtins(status), indent=every is None)
        else:
            if every is not None and on_terminal():
                click.clear()
            print_status(status, client.quotas())

    return _again(show, every)


def _again(show: Callable[[], None], every: float | None) -> int:
    """Once, or until Ctrl-C, which then is the usual end."""
    show()
    try:
        while every is not None:
            time.sleep(every)
            show()
    except KeyboardInterrupt:
        pass
    return 0


# --- exchanges


EXCHANGE_HEADINGS = ("age", "message", "telegram", "from", "to", "state", "delivery")


def show_exchanges(where: Where, count: int, as_json: bool) -> int:
    """The oldest open exchanges."""
    found = Client(reach(where)).exchanges()
    oldest = found.exchanges[:count]
    if as_json:
        say_json(msgspec.to_builtins(answers.Exchanges(found.total, oldest)))
        return 0
    say(f"{found.total:,} open exchanges" + (f", the oldest {len(oldest):,}:" if found.total > len(oldest) else ""), bold=True)
    if oldest:
        table(EXCHANGE_HEADINGS, [exchange_row(each) for each in oldest])
    return 0


def exchange_row(each: answers.ExchangeSeen) -> list[str]:
    telegram = ", ".join(f"{name} {value}" for name, value in each.telegram.items())
    return [lasting(each.age_s), each.message, telegram, each.asker, each.answerer or f"({each.target})", each.state, each.delivery]


# --- orders


def order_backend(
    where: Where, service: str, backend: str, state: str | None, weight: int | None, wait: float | None, as_json: bool
) -> int:
    """Take a backend out, put it in again or weigh it; `wait` for what is in flight there, so many seconds."""
    if state is None and weight is None:
        raise click.UsageError("What shall become of it? Give ready, drain or maint, or --weight.")
    if wait is not None and state not in ("drain", "maint"):
        raise click.UsageError("--wait goes with drain or maint.")
    client = Client(reach(where))
    wanted: Any = state
    seen = client.order_backend(service, backend, ordered.BackendOrder(wanted, weight))
    if wait is not None:
        seen = _waited(client, service, seen, wait)
    if as_json:
        say_json(msgspec.to_builtins(seen))
    else:
        say(f"{service} {seen.name}: {seen.state}, weight {seen.weight:g}, {seen.in_flight:,} in flight")
    if wait is not None and seen.in_flight:
        tell([f"{seen.in_flight:,} requests are still in flight after {wait:g} s."])
        return EXIT_FAILED
    return 0


def _waited(client: Client, service: str, seen: answers.BackendSeen, patience: float) -> answers.BackendSeen:
    """The backend once nothing is in flight there, or when the time is up."""
    end = time.monotonic() + patience
    while seen.in_flight and time.monotonic() < end:
        time.sleep(LOOKS)
        backends = next((each.backends for each in client.status().services if each.name == service), [])
        seen = next((each for each in backends if each.name == seen.name), seen)
    return seen


def fail_back(where: Where, service: str, as_json: bool) -> int:
    """Return a service to its best priority."""
    returned = Client(reach(where)).failback(service)
    if as_json:
        say_json(msgspec.to_builtins(returned))
    else:
        say(f"{service}: priority {returned.after} is in use again, {returned.before} was")
    return 0


def drain_listener(where: Where, listener: str, over: float, patience: float | None, as_json: bool) -> int:
    """Take a listener's door away and part with its sessions."""
    drained = Client(reach(where)).drain_listener(listener, ordered.ListenerOrder(over, patience))
    if as_json:
        say_json(msgspec.to_builtins(drained))
    else:
        say(
            f"{listener}: accepts no more; {drained.sessions:,} sessions leave within {drained.over_s:g} s, busy ones {drained.patience_s:g} s later"
        )
    return 0


def open_listener(where: Where, listener: str, as_json: bool) -> int:
    """Let clients in again."""
    opened = Client(reach(where)).open_listener(listener)
    if as_json:
        say_json(msgspec.to_builtins(opened))
    else:
        say(f"{listener}: accepts sessions at {opened.address}; {opened.sessions:,} of before stay")
    return 0


def switch_message(where: Where, state: str, message: str, listener: str | None, service: str | None, as_json: bool) -> int:
    """Switch a message off or on."""
    if listener is not None and service is not None:
        raise click.UsageError("--listener and --service: give one of them, or none for everywhere.")
    wanted: Any = state
    switched = Client(reach(where)).switch_message(message, ordered.MessageOrder(wanted, listener, service))
    if as_json:
        say_json(msgspec.to_builtins(switched))
    else:
        say(f"{message}: {switched.state} {place(listener, service)}" + (" already" if switched.before == switched.state else ""))
    return 0


# --- health checks


def ask_condition(where: Where, probe: str) -> int:
    """What the router says of itself; whoever asks needs no token, so that none has to be readable."""
    said = Client(reach(where, with_token=False)).condition(probe)
    say(said.why)
    return 0 if said.ok else EXIT_FAILED


def promote(where: Where, service: str | None, as_json: bool) -> int:
    """Take a router or a service into use that stands by."""
    _tell_standing(Client(reach(where)).promote(service), as_json)
    return 0


def demote(where: Where, service: str | None, wait: float | None, as_json: bool) -> int:
    """Have a router or a service stand by; `wait` so many seconds until it has no link any more."""
    client = Client(reach(where))
    found = client.demote(service)
    end = time.monotonic() + (wait or 0.0)
    left = _circuits(client, service)
    while left and time.monotonic() < end:
        time.sleep(LOOKS)
        left = _circuits(client, service)
    if service is None:
        found.after = client.status().standby
    _tell_standing(found, as_json)
    if left and wait is not None:
        tell([f"{left:,} links are still held after {wait:g} s: do not promote another router yet."])
        return EXIT_FAILED
    return 0


def _circuits(client: Client, service: str | None) -> int:
    """Links that are held, those that are given nothing any more among them."""
    known = {each.name for each in client.status().services if each.kind == "telegram" and service in (None, each.name)}
    return sum(each.service in known for each in client.links().links)


def _tell_standing(found: answers.Promoted, as_json: bool) -> None:
    if as_json:
        say_json(msgspec.to_builtins(found))
    else:
        say(f"{found.service or 'the router'}: {found.after}" + (", as it was" if found.before == found.after else ""))


# --- another configuration


def reload_config(where: Where, dry_run: bool, as_json: bool) -> int:
    """Have the file read anew; tell what is wrong with it, or what is different now."""
    report = Client(reach(where)).reload(ordered.ReloadOrder(dry_run))
    if as_json:
        say_json(msgspec.to_builtins(report))
    else:
        _print_reload(report)
    return EXIT_CONFIG if report.problems else 0


def _print_reload(report: answers.Reloaded) -> None:
    for warning in report.warnings:
        tell([ConfigWarning(warning.file, warning.line, warning.key, warning.what, warning.do).text()])
    for each in report.problems:
        tell([ConfigProblem(each.code, each.file, each.line, each.key, each.what, each.expected, each.do).text()])
    if report.problems:
        tell(["Nothing was changed."])
        return
    lists = {"added": report.added, "removed": report.removed, "changed": report.changed, "only after a restart": report.restart}
    for title, keys in lists.items():
        for key in keys:
            say(f"{title}: {key}")
    different = any(lists.values())
    if report.applied:
        say(f"The router goes on by the file, after {report.seconds * 1000:.0f} ms." if different else "Nothing is different.")
    else:
        say("Nothing was changed: this was a dry run." if different else "Nothing would be different.")
