"""A replay's report as one page of HTML."""

from __future__ import annotations

import html
from typing import Any

from telegram_router.telegrams import Spec
from telegram_router.tools.replay.tally import Tally


def page(report: dict[str, Any], tally: Tally, spec: Spec, *, values: bool) -> str:
    """The whole page."""
    return f"<!doctype html><meta charset=utf-8><title>replay</title><pre>{html.escape(str(report['buckets']))}</pre>"
