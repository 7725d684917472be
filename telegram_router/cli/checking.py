"""`check`: every problem of a configuration, or a summary of what it would start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from telegram_router.cli import EXIT_CONFIG, tell
from telegram_router.cli.shown import say, say_json, table
from telegram_router.config import Config, Exact, HttpService, Prefix, Route, Rule, TelegramService
from telegram_router.errors import ConfigError
from telegram_router.offices import in_words
from telegram_router.plan import Plan, read_plan


def check_config(path: Path, as_json: bool) -> int:
    """Say what is wrong with a configuration or what it holds. Returns the exit code."""
    try:
        plan = read_plan(path)
    except ConfigError as error:
        if as_json:
            say_json({"ok": False, "problems": [asdict(problem) for problem in error.problems]})
        else:
            tell(problem.text() for problem in error.problems)
            tell([f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''} in {path}"])
        return EXIT_CONFIG
    if as_json:
        say_json({"ok": True, "problems": [], "warnings": [asdict(warning) for warning in plan.warnings], **_parts(plan)})
    else:
        tell(warning.text() for warning in plan.warnings)
        _summary(plan, path)
    return 0


def _summary(plan: Plan, path: Path) -> None:
    parts = _parts(plan)
    say(f"{path} is good", bold=True)
    for title, rows in parts.items():
        say()
        say(title, bold=True)
        if rows:
            table([*rows[0]], [[*row.values()] for row in rows])
        else:
            say("none")


def _parts(plan: Plan) -> dict[str, list[dict[str, str]]]:
    config = plan.config
    return {"listeners": list(_listeners(plan)), "services": list(_services(plan)), "routes": list(_routes(config))}


def _listeners(plan: Plan) -> Iterator[dict[str, str]]:
    for name, listener in plan.config.listeners.items():
        yield {
            "listener": name,
            "address": str(listener.address),
            "spec": listener.spec,
            "tls": _tls(listener.tls),
            "certificate ends": _day(_end(plan, name)),
            "sessions": str(listener.max_sessions),
            "line": in_words(listener, plan.specs[listener.spec], plan.config.calendars),
        }


def _tls(tls: Any) -> str:
    if tls is None:
        return "no"
    policy = f"client certificate {tls.client_certificate}" if tls.client_ca is not None else "yes, any client"
    return policy + (f"; {len(tls.names)} more by name" if tls.names else "")


def _end(plan: Plan, listener: str) -> float | None:
    """When its own certificate ends."""
    where = f"listeners.{listener}.tls"
    return next((each.ends for each in plan.ends if each.used_by == where and each.kind == "certificate"), None)


def _day(when: float | None) -> str:
    return "" if when is None else datetime.fromtimestamp(when, UTC).date().isoformat()


def _services(plan: Plan) -> Iterator[dict[str, str]]:
    config = plan.config
    for name, service in config.services.items():
        line = ""
        if isinstance(service, TelegramService):
            where = ", ".join(backend.known_as for backend in service.backends)
            line = in_words(service, plan.specs[config.spec_of(name)], config.calendars)
        else:
            where = str(service.url) if isinstance(service, HttpService) else str(service.handler)
        yield {
            "service": name,
            "kind": service.kind,
            "spec": ", ".join(config.specs_of(name)),
            "answered by": where,
            "timeout": f"{service.timeout:g} s",
            "line": line,
        }


def _routes(config: Config) -> Iterator[dict[str, str]]:
    for place, route in enumerate(config.routes):
        yield {
            "route": route.name or f"routes.{place}",
            "from": ", ".join(name if kind == "listener" else f"hosts of {name}" for kind, name in route.sources),
            "match": match_text(route),
            "to": ", ".join(_target(route, kind, name) for kind, name in route.targets)
            + (f" by {route.service_by.field}" if route.service_by is not None else ""),
            "tried": _turn(route),
        }


def _target(route: Route, kind: str, name: str) -> str:
    if route.split:
        return f"{name} ({route.split[name]} of {sum(route.split.values())})"
    return name if kind == "service" else f"sessions of {name}"


def _turn(route: Route) -> str:
    if route.deep:
        return "before all, in file order"
    return "first" if route.exact else "last" if route.default else "in file order"


def match_text(route: Route) -> str:
    """What a route asks of a telegram, in one line."""
    return "; ".join(f"{name} {_rule_text(rule)}" for name, rule in route.match.items()) or "whatever else"


def _rule_text(rule: Rule) -> str:
    if isinstance(rule, Exact):
        return " or ".join(rule.values)
    return f"{rule.prefix}…" if isinstance(rule, Prefix) else f"{rule.min} to {rule.max}"
