"""What is wrong with a file: each with its line, its key, what was expected and what to do; none twice."""

from __future__ import annotations

from telegram_router.config.lines import KeyLines, Path, dotted
from telegram_router.errors import ConfigProblem


class Problems:
    """Those of one file, in the order in which they were found."""

    def __init__(self, filename: str, lines: KeyLines) -> None:
        self.found: list[ConfigProblem] = []
        self.filename = filename
        self.lines = lines

    def line(self, path: Path) -> int:
        return self.lines.of(path)

    def report(self, code: str, path: Path, what: str, expected: str = "", do: str = "") -> None:
        self.add(ConfigProblem(code, self.filename, self.line(path), dotted(path), what, expected, do))

    def add(self, problem: ConfigProblem) -> None:
        if problem not in self.found:
            self.found.append(problem)
