"""`quotas`: how much of each quota has been used in its window, and by whom."""

from __future__ import annotations

import msgspec

from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.shown import say, say_json, table
from telegram_router.ops import answers

HEADINGS = ("quota", "by", "limit", "period", "window ends", "highest use", "keys", "refused")
KEY_HEADINGS = ("quota", "key", "used", "of it")


def show_quotas(where: Where, count: int, as_json: bool) -> int:
    """The quotas, and of each the keys that have used most."""
    seen = Client(reach(where)).quotas()
    if as_json:
        say_json(msgspec.to_builtins(seen))
        return 0
    if not seen.quotas:
        say("The configuration has no quotas.")
        return 0
    table(HEADINGS, [_row(each) for each in seen.quotas], styles=_styles([each.used_ratio for each in seen.quotas]))
    highest = [(quota, key) for quota in seen.quotas for key in quota.highest[:count]]
    if highest:
        say()
        say("most used", bold=True)
        shares = [key.used / quota.limit if quota.limit else 1.0 for quota, key in highest]
        rows = [[quota.name, key.key, f"{key.used:,}", f"{share:.0%}"] for (quota, key), share in zip(highest, shares, strict=True)]
        table(KEY_HEADINGS, rows, styles=_styles(shares))
    if seen.store is not None and seen.store.failure:
        say()
        say(f"Nothing can be stored in {seen.store.folder}: {seen.store.failure}", fg="red")
    return 0


def _row(quota: answers.QuotaSeen) -> list[str]:
    counted = f"{quota.limit:,}" + (f" of {quota.amount}" if quota.amount else "")
    return [
        quota.name, ", ".join(quota.counted_by), counted, quota.period, quota.ends_at, f"{quota.used_ratio:.0%}", f"{quota.keys:,}",
        f"{quota.refused:,}",
    ]  # fmt: skip


def _styles(shares: list[float]) -> dict[int, str]:
    return {at: "red" if share >= 1 else "yellow" for at, share in enumerate(shares) if share >= 0.8}
