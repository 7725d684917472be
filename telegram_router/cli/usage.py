"""`usage`: who has asked for how much, from a running router or from the state folder of a stopped one."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.shown import say, say_json, table
from telegram_router.config import Config, draft_config
from telegram_router.errors import RouterError
from telegram_router.ops import answers
from telegram_router.ops.usage_rows import check_days, checked, chosen_days, rows_of
from telegram_router.storage.calendars import day_of

STATES = ("answered", "sent", "refused", "not_sent", "sent_unknown")
COUNTS = ("requests", *STATES, "bytes_in", "bytes_out", "amount", "amount_unknown")
SOME_DAY = "2026-01-01"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one


def show_usage(where: Where, folder: Path | None, first: str | None, last: str | None, by: str, *, states: bool, form: str) -> int:
    """Print it. Raises click.UsageError for what cannot be asked, RouterError when it cannot be read."""
    try:
        keys = checked(by.split(","))
        check_days(first or last or SOME_DAY, last or first or SOME_DAY)
        seen = _seen(where, folder, first, last, keys)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    columns = [key for key in ("day", "user", "service") if key in keys] + list(("requests", *STATES) if states else COUNTS)
    if not states and form != "json":
        columns.append("codes")
    if form == "json":
        say_json({"days": seen.days, "missed": seen.missed, "rows": [_picked(row, columns, states) for row in seen.rows]})
    elif form == "csv":
        _write_csv(seen.rows, columns)
    elif seen.rows:
        table([name.replace("_", " ") for name in columns], [_cells(row, columns) for row in seen.rows])
    else:
        say("Nothing was counted in these days.")
    return 0


def _seen(where: Where, folder: Path | None, first: str | None, last: str | None, keys: list[str]) -> answers.UsageSeen:
    if folder is not None:
        return _read(folder, first, last, keys, None)
    asked = where.socket is not None or where.address is not None
    config = None if asked else _config(where.config)
    zone = ZoneInfo(config.usage.timezone) if config is not None and config.usage is not None else None
    if config is not None and config.admin is None:
        return _read(where.config.parent / config.state, first, last, keys, zone)
    try:
        return Client(reach(where)).usage(first or "", last or "", ",".join(keys))
    except RouterError as error:
        if error.code != "E-ADM-06" or config is None:
            raise
    return _read(where.config.parent / config.state, first, last, keys, zone)


def _config(path: Path) -> Config | None:
    """As far as it can be read; who asks the router is told what is wrong with it."""
    try:
        return draft_config(path.read_text(encoding="utf-8-sig"), str(path)).config
    except (OSError, UnicodeDecodeError):
        return None


def _read(folder: Path, first: str | None, last: str | None, keys: list[str], zone: ZoneInfo | None) -> answers.UsageSeen:
    today = day_of(time.time(), zone or ZoneInfo("Asia/Seoul"))
    days = chosen_days(folder, first or last or today, last or today)
    return answers.UsageSeen(0, days, rows_of(folder, days, keys))


def _picked(row: answers.UsageRow, columns: list[str], states: bool) -> dict[str, object]:
    whole = msgspec.to_builtins(row)
    return {name: whole[name] for name in (columns if states else [*columns, "codes"])}


def _cells(row: answers.UsageRow, columns: list[str]) -> list[str]:
    return [_cell(getattr(row, name), ",") for name in columns]


def _cell(value: object, thousands: str) -> str:
    if isinstance(value, dict):
        return " ".join(f"{code}:{count}" for code, count in sorted(value.items()))
    return f"{value:{thousands}}" if isinstance(value, int) else str(value)


def _write_csv(rows: list[answers.UsageRow], columns: list[str]) -> None:
    out = csv.writer(sys.stdout)
    out.writerow(columns)
    for row in rows:
        out.writerow([_safe(_cell(getattr(row, name), "")) for name in columns])


def _safe(text: str) -> str:
    """A user's name comes from a telegram or a certificate: no spreadsheet must take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
