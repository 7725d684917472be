"""What `status` shows of a router, as tables that fit a terminal of 100 columns."""

from __future__ import annotations

from telegram_router.cli.shown import say, table
from telegram_router.ops import answers

STYLES = {"unreachable": "red", "down": "red", "ejected": "yellow", "drain": "cyan", "maint": "cyan"}
NEAR = 0.8  # part of a quota from which on it is shown

Shown = tuple[str, tuple[str, ...], list[list[str]], dict[int, str]]  # title, headings, rows, styles by row
ONLY_WITH_ROWS = ("switched off", "quotas near their limit")


def print_status(status: answers.Status, quotas: answers.Quotas) -> None:
    say(summary(status), bold=True)
    for title, headings, rows, styles in (
        _listeners(status), _services(status), _backends(status), _routes(status), _halted(status), _quotas(quotas),
    ):  # fmt: skip
        if not rows and title in ONLY_WITH_ROWS:
            continue
        say()
        say(title, bold=True)
        table(headings, rows, styles=styles)


def summary(status: answers.Status) -> str:
    """The router in one line."""
    state = "draining" if status.draining else "ready" if status.ready else "starting" if status.standby == "active" else status.standby
    sessions = sum(each.sessions for each in status.listeners)
    off = f", {len(status.halted):,} switched off" if status.halted else ""
    return (
        f"telegram-router {status.version}, {state}, up {lasting(status.uptime_s)}, "
        f"{sessions:,} sessions, {status.open_exchanges:,} open exchanges{off}"
    )


def lasting(seconds: float) -> str:
    """A length of time as people say it, in its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    whole = int(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def _listeners(status: answers.Status) -> Shown:
    headings = ("listener", "address", "spec", "TLS", "sessions", "received", "sent", "refused", "notes")
    rows = [
        [
            each.name, each.address, each.spec, "yes" if each.tls else "no", f"{each.sessions:,} of {each.max_sessions:,}",
            f"{each.telegrams_received:,}", f"{each.telegrams_sent:,}", f"{sum(each.refused.values()):,}", _notes_of_listener(each),
        ]
        for each in status.listeners
    ]  # fmt: skip
    return "listeners", headings, rows, {at: "cyan" for at, each in enumerate(status.listeners) if each.shut}


def _notes_of_listener(listener: answers.ListenerSeen) -> str:
    turned_away = [f"{listener.turned_away:,} turned away"] if listener.turned_away else []
    return ", ".join([*(["closed for the day"] if listener.shut else []), *(f"{each} changed" for each in listener.changed), *turned_away])


def _services(status: answers.Status) -> Shown:
    headings = ("service", "state", "in flight", "pending", "answered", "failed", "unknown", "waiting by class")
    rows = [
        [
            each.name, state_of(each, status), f"{each.in_flight:,}", f"{each.pending:,}", f"{each.answered:,}", f"{each.failed:,}",
            f"{each.delivery_unknown:,}", ", ".join(f"{rank} {many:,}" for rank, many in each.waiting.items()),
        ]
        for each in status.services
    ]  # fmt: skip
    return "services", headings, rows, {at: "cyan" for at, row in enumerate(rows) if row[1] in ("closed", "standby")}


def state_of(service: answers.ServiceSeen, status: answers.Status) -> str:
    """What a service as a whole is fit for."""
    if service.name in status.standing_by or status.standby != "active":
        return "standby"
    used = sum(each.in_use for each in service.backends)
    return "closed" if service.shut else f"{used} of {len(service.backends)} in use"


def _backends(status: answers.Status) -> Shown:
    headings = ("service", "backend", "state", "prio", "weight", "links", "in flight", "answered", "failed", "notes")
    rows: list[list[str]] = []
    styles: dict[int, str] = {}
    for service in status.services:
        for backend in service.backends:
            if backend.state in STYLES:
                styles[len(rows)] = STYLES[backend.state]
            rows.append(
                [
                    service.name, backend.name, backend.state, str(backend.priority), f"{backend.weight:g}", _links(backend),
                    f"{backend.in_flight:,}", f"{backend.answered:,}", f"{backend.failed:,}", ", ".join(notes(backend)),
                ]
            )  # fmt: skip
    return "backends", headings, rows, styles


def _links(backend: answers.BackendSeen) -> str:
    """Those that may carry requests, of those that are wanted."""
    return f"{backend.links} of {backend.links_wanted}" if backend.links_wanted else str(backend.links)


def notes(backend: answers.BackendSeen) -> list[str]:
    """Why it has no requests, and what of its links is not as it should be."""
    spare = ["not used"] if not backend.in_use and backend.state == "up" else []
    return [*spare, *(f"{many} {why}" for why, many in backend.held.items()), *(f"{each} changed" for each in backend.changed)]


def _routes(status: answers.Status) -> Shown:
    headings = ("route", "from", "to", "answered", "otherwise ended")
    rows = [
        [
            each.name,
            each.source,
            each.target if each.share == 1 else f"{each.target} ({each.share:.4g} of it)",
            f"{each.answered:,}",
            ", ".join(f"{code} {count:,}" for code, count in sorted(each.failed.items())),
        ]
        for each in status.routes
    ]
    return "routes", headings, rows, {}


def _halted(status: answers.Status) -> Shown:
    rows = [[each.message, place(each.listener, each.service)] for each in status.halted]
    return "switched off", ("message", "at"), rows, dict.fromkeys(range(len(rows)), "cyan")


def place(listener: str | None, service: str | None) -> str:
    if listener is not None:
        return f"listener {listener}"
    return f"service {service}" if service is not None else "everywhere"


def _quotas(quotas: answers.Quotas) -> Shown:
    near = [each for each in quotas.quotas if each.used_ratio >= NEAR]
    rows = [[each.name, f"{each.used_ratio:.0%}", each.ends_at, f"{each.refused:,}"] for each in near]
    styles = {at: "red" if each.used_ratio >= 1 else "yellow" for at, each in enumerate(near)}
    return "quotas near their limit", ("quota", "highest use", "window ends", "refused"), rows, styles
