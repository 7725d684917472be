"""The list of rows, and that each has a test here that goes through a listening router or its start."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROWS = frozenset((*range(1, 15), *range(16, 21), *range(23, 46), 47, 48, 50, *range(52, 64)))


def found_tests() -> Iterator[tuple[str, str]]:
    """Every test of this folder with its docstring."""
    for file in sorted(Path(__file__).parent.glob("test_*_rows.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield f"{file.name} {node.name}", ast.get_docstring(node) or ""


def rows_of(docstring: str) -> set[int]:
    head = re.match(r"Rows? ([\d, and]+)[.: ]", docstring)
    return {int(number) for number in re.findall(r"\d+", head[1])} if head else set()


def test_every_row_has_a_test_and_every_test_its_rows():
    found = {name: rows_of(docstring) for name, docstring in found_tests()}
    assert [name for name, rows in found.items() if not rows] == []
    assert ROWS - set().union(*found.values()) == set()
