"""`simulate ctl`: an order to a running simulator, and its answer for people or scripts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from telegram_router.cli.shown import say, say_json
from telegram_router.tools.simulate.control import ask


def sockets_folder() -> Path:
    """Where simulators of this user have their sockets."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "telegram-simulate" if runtime else Path(tempfile.gettempdir()) / f"telegram-simulate-{os.getuid()}"


def give_order(control: Path | None, order: dict[str, Any], name: str | None, as_json: bool) -> int:
    """Returns the exit code: 1 for a verdict that is not met, or an order that cannot be carried out."""
    path = control or _only_socket()
    try:
        answer = ask(path, order | ({"simulator": name} if name is not None else {}))
    except (OSError, EOFError) as error:
        raise click.ClickException(f"no simulator answers at {path}: {getattr(error, 'strerror', None) or error}") from None
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
