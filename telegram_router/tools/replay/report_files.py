"""The files of a replay's report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from telegram_router.telegrams import Spec
from telegram_router.tools.replay.report import junit
from telegram_router.tools.replay.report_page import page
from telegram_router.tools.replay.settings import ReplayError
from telegram_router.tools.replay.tally import Tally
from telegram_router.tools.replay.thresholds import Threshold


def write_reports(folder: Path, report: dict[str, Any], tally: Tally, broken: Sequence[Threshold], spec: Spec, *, values: bool) -> None:
    """Raises ReplayError E-RPL-08. What was there before is kept, under the next free number."""
    made = {
        "report.json": msgspec.json.format(msgspec.json.encode(report), indent=2).decode("utf-8") + "\n",
        "junit.xml": junit(tally, broken, values=values),
        "latency.hgrm": tally.latency.hgrm(),
        "report.html": page(report, tally, spec, values=values),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            path = folder / name
            if path.exists():
                path.rename(_free(path))
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReplayError("E-RPL-08", f"the report cannot be written: {error.strerror}", where=str(folder)) from None


def _free(path: Path) -> Path:
    number = 1
    while (found := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    return found
