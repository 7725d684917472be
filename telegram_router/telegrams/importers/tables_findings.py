"""Findings about one sheet, each with its row."""

from __future__ import annotations

from dataclasses import dataclass, field

from telegram_router.telegrams.importers.model import Finding, Level
from telegram_router.telegrams.importers.workbook import Sheet


@dataclass
class Told:
    """Findings about one sheet."""

    sheet: Sheet
    findings: list[Finding] = field(default_factory=list)

    def say(self, level: Level, code: str, row: int | None, what: str, do: str = "") -> None:
        self.findings.append(Finding(level, code, self.sheet.where(row), what, do))
