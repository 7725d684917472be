"""Tests that are named elsewhere: a table of what proves what must not name one that is not there any more."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parents[1]


@functools.cache
def names_of(file: Path) -> frozenset[str]:
    """Every test in a file, in a class or not."""
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def missing(references: Iterable[str]) -> list[str]:
    """Of references such as `flows/test_replies.py test_replies_come_in_any_order` those that lead nowhere."""
    found = []
    for reference in references:
        path, _, name = reference.partition(" ")
        file = TESTS / path
        if not file.is_file() or name not in names_of(file):
            found.append(reference)
    return found
