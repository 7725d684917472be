"""`simulate ctl`: an order to a running simulator, and its answer for people or scripts."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from telegram_router.cli.shown import say, say_json
from telegram_router.ops.tokens import read_token
from telegram_router.tools.simulate.control import ask


def sockets_folder() -> Path:
    """Where simulators of this user have their sockets."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "telegram-simulate" if runtime else Path(tempfile.gettempdir()) / f"telegram-simulate-{os.getuid()}"


def give_order(
    order: dict[str, Any], *, control: str | None = None, token_file: Path | None = None, name: str | None = None, as_json: bool = False
) -> int:
    """Returns the exit code: 1 for a verdict that is not met, or an order that cannot be carried out."""
    place = control or str(_only_socket())
    whole = order | ({"simulator": name} if name is not None else {})
    try:
        answer = _ask_over_http(place, whole, token_file) if place.startswith("http://") else ask(Path(place), whole)
    except (OSError, EOFError) as error:
        why = getattr(error, "reason", None) or error
        raise click.ClickException(f"no simulator answers at {place}: {getattr(why, 'strerror', None) or why}") from None
    if "error" in answer:
        raise click.ClickException(answer["error"])
    found: dict[str, Any] = answer["simulators"]
    if as_json:
        say_json(found if len(found) > 1 else next(iter(found.values())))
    else:
        for simulator, shown in found.items():
            if len(found) > 1:
                say(f"[{simulator}]")
            _show(shown)
    return 0 if all(each.get("met", True) for each in found.values()) else 1


def _ask_over_http(place: str, order: dict[str, Any], token_file: Path | None) -> dict[str, Any]:
    """Raises OSError, ConfigError."""
    import urllib.error
    import urllib.request

    headers = {"Content-Type": "application/json"}
    if token_file is not None:
        headers["Authorization"] = f"Bearer {read_token(token_file, '--token-file')}"
    request = urllib.request.Request(f"{place.rstrip('/')}/orders", json.dumps(order).encode(), headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as refused:
        try:
            with refused:
                found = json.load(refused)
        except ValueError:
            raise OSError(f"it answers {refused.code}") from None
    return found


def _only_socket() -> Path:
    found = sorted(sockets_folder().glob("*.sock")) if sockets_folder().is_dir() else []
    live = [path for path in found if _answers(path)]
    if len(live) == 1:
        return live[0]
    if not live:
        raise click.UsageError("No simulator runs here: start one with `telegram-router simulate FILE`, or name its --control.")
    raise click.UsageError(f"Several simulators run here. Name one with --control: {', '.join(map(str, live))}")


def _answers(path: Path) -> bool:
    try:
        ask(path, {"order": "stats"})
    except (OSError, EOFError):
        return False
    return True


def _show(shown: dict[str, Any], depth: int = 0) -> None:
    for key, value in shown.items():
        if key == "expectations":
            for each in value:
                say(
                    f"{'met    ' if each['met'] else 'NOT MET'} {each['name']}: {each['expect']}"
                    + "".join(f"\n        {why}" for why in each["failures"])
                )
        elif isinstance(value, dict):
            say("  " * depth + key)
            _show(value, depth + 1)
        elif isinstance(value, list):
            say("  " * depth + key)
            for each in value:
                say("  " * (depth + 1) + str(each))
        else:
            say("  " * depth + f"{key}  {value}")
