"""The house rules: which floor may know which, what stays pure, and that nothing waits without a bound."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "telegram_router"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in ("telegrams", "routing", "config", "errors.py", "written.py")]

# What brings in I/O, a clock, chance or threads.
IMPURE = frozenset(
    (
        *("trio", "asyncio", "socket", "ssl", "select", "selectors", "signal", "hypercorn", "httptools", "structlog"),
        *("os", "io", "pathlib", "shutil", "tempfile", "subprocess", "logging"),
        *("time", "random", "secrets", "uuid", "threading", "multiprocessing", "concurrent", "queue"),
    )
)
IN_MEMORY = frozenset(("BytesIO", "StringIO"))  # of io: a workbook is read and written through one, no file is opened
CLOCKS = frozenset(("now", "utcnow", "today"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not (node.module == "io" and {alias.name for alias in node.names} <= IN_MEMORY):
            yield node.module or ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, by the last part of what is called."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = node.func
            yield (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")), node


def test_imports_point_down_only():
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_a_pure_file_knows_no_socket_clock_file_or_thread(path: Path):
    assert not {module.split(".")[0] for module in imported(path)} & IMPURE
    assert not [call for name, call in calls(path) if name in CLOCKS]
    assert not [call for name, call in calls(path) if name in ("open", "input") and isinstance(call.func, ast.Name)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_prints_and_only_the_commands_speak_to_the_terminal(path: Path):
    assert "print" not in [name for name, call in calls(path) if isinstance(call.func, ast.Name)]
    if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in ("cli", "demo"):
        assert not {"click", "rich"} & {module.split(".")[0] for module in imported(path)}


def unbounded_channel(call: ast.Call) -> bool:
    return any("inf" in ast.unparse(argument) for argument in call.args)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_waits_without_a_named_bound(path: Path):
    """A deque has a maxlen, or its line says what bounds it; a channel has a size; other queues are not used."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not {"queue", "asyncio"} & set(imported(path))
    assert not [call.lineno for name, call in calls(path) if name == "open_memory_channel" and unbounded_channel(call)]
    silent = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "deque":
            bounded = any(keyword.arg == "maxlen" for keyword in node.value.keywords)
            if not bounded and not re.search(r"#.*(bounded by|at most)", lines[node.lineno - 1]):
                silent.append(f"{name_of(path)}:{node.lineno}")
    assert not silent


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_file_says_first_what_it_promises(path: Path):
    assert ast.get_docstring(tree_of(path))


def written() -> list[Path]:
    folders = ("telegram_router", "specs", "simulators", "tests", "docs", ".ci")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".toml") or path.name == "run"
    ]
    return [path for path in files if path != Path(__file__)]


def test_no_two_test_files_have_one_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), "pytest takes the second for the first"


def test_nothing_is_left_to_be_done_later():
    left = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert not [name_of(path) for path in written() if left.search(path.read_text(encoding="utf-8"))]


def test_the_readme_begins_with_the_command_that_shows_it_and_the_command_that_tests_it():
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 2
    assert "pytest" in blocks[1]
