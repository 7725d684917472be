"""`capture diff`: whether two captures are the same, and where not."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

from telegram_router.cli.capture_inputs import exit_code, reading, tell_findings
from telegram_router.cli.shown import say, say_json, table
from telegram_router.tools.capture_difference import Difference, differences

SHOWN: Final = 20
EXIT_DIFFERENT: Final = 1


def compare(one: Path, other: Path, ignore_time: bool, as_json: bool) -> int:
    shown: list[Difference] = []
    count = 0
    with reading(one) as first, reading(other) as second:
        for found in differences(chain([first.head], first), chain([second.head], second), ignore_time=ignore_time):
            count += 1
            if len(shown) < SHOWN:
                shown.append(found)
    findings = [first.findings, second.findings]
    if as_json:
        say_json(
            {"records": [each.records for each in findings], "different": count, "differences": [each._asdict() for each in shown],
             "damaged": [each.damaged for each in findings]}
        )  # fmt: skip
    else:
        _tell(shown, count, findings[0].records)
        for each in findings:
            tell_findings(each)
    return exit_code(findings) or (EXIT_DIFFERENT if count else 0)


def _tell(shown: list[Difference], count: int, records: int) -> None:
    if not count:
        say(f"the same: {records:,} records")
        return
    say(f"{count:,} records are different" + (f", of which the first {len(shown)} are" if count > len(shown) else ""))
    rows = [[f"{each.number:,}", *(kind or "none" for kind in each.kinds), ", ".join(each.keys), _place(each)] for each in shown]
    table(("record", "kind", "of the other", "different in", "from byte"), rows)


def _place(each: Difference) -> str:
    return "" if each.byte is None else str(each.byte)
