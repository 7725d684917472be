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
PURE = frozenset(("telegrams", "routing", "config", "errors", "written"))  # the floors

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


class File:
    """What the rules look at in one file. The tree itself is not kept: the collector would go through all of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.floor = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        text = path.read_text(encoding="utf-8")
        self.lines = text.splitlines()
        tree = ast.parse(text, name_of(path))
        self.promise = ast.get_docstring(tree)
        nodes = list(ast.walk(tree))
        self.imported = {module for node in nodes for module in imports(node)}
        self.calls = [(last_name(node.func), node) for node in nodes if isinstance(node, ast.Call)]
        self.named = [node for node in nodes if isinstance(node, ast.AnnAssign)]


def imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not (node.module == "io" and {alias.name for alias in node.names} <= IN_MEMORY):
        yield node.module or ""


def last_name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


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


def a_pure_file_knows_no_socket_clock_file_or_thread(file: File) -> Iterator[object]:
    if file.floor not in PURE:
        return
    yield from {module.split(".")[0] for module in file.imported} & IMPURE
    yield from (call.lineno for name, call in file.calls if name in CLOCKS)
    yield from (call.lineno for name, call in file.calls if name in ("open", "input") and isinstance(call.func, ast.Name))


def nothing_prints_and_only_the_commands_speak_to_the_terminal(file: File) -> Iterator[object]:
    yield from (call.lineno for name, call in file.calls if name == "print" and isinstance(call.func, ast.Name))
    if file.floor not in ("cli", "demo"):
        yield from {"click", "rich"} & {module.split(".")[0] for module in file.imported}


def nothing_waits_without_a_named_bound(file: File) -> Iterator[object]:
    """A deque has a maxlen, or its line says what bounds it; a channel has a size; other queues are not used."""
    yield from {"queue", "asyncio"} & file.imported
    for name, call in file.calls:
        if name == "open_memory_channel" and any("inf" in ast.unparse(argument) for argument in call.args):
            yield call.lineno
    for node in file.named:
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "deque":
            bounded = any(keyword.arg == "maxlen" for keyword in node.value.keywords)
            if not bounded and not re.search(r"#.*(bounded by|at most)", file.lines[node.lineno - 1]):
                yield node.lineno


def every_file_says_first_what_it_promises(file: File) -> Iterator[object]:
    if not file.promise:
        yield "nothing"


RULES = (
    a_pure_file_knows_no_socket_clock_file_or_thread,
    nothing_prints_and_only_the_commands_speak_to_the_terminal,
    nothing_waits_without_a_named_bound,
    every_file_says_first_what_it_promises,
)


@cache
def broken() -> dict[str, list[str]]:
    """Where each rule is broken, from one look at each file."""
    found: dict[str, list[str]] = {rule.__name__: [] for rule in RULES}
    for path in sorted(PACKAGE.rglob("*.py")):
        file = File(path)
        for rule in RULES:
            found[rule.__name__] += [f"{name_of(path)}: {what}" for what in rule(file)]
    return found


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_every_file_keeps_the_rule(rule: str):
    assert broken()[rule] == []


@pytest.mark.parametrize(
    ("place", "text", "rule"),
    [
        ("routing/x.py", "import time", "a_pure_file_knows_no_socket_clock_file_or_thread"),
        ("routing/x.py", "now = datetime.now()", "a_pure_file_knows_no_socket_clock_file_or_thread"),
        ("errors.py", "open('x')", "a_pure_file_knows_no_socket_clock_file_or_thread"),
        ("cli/x.py", "print(1)", "nothing_prints_and_only_the_commands_speak_to_the_terminal"),
        ("wire/x.py", "from rich.table import Table", "nothing_prints_and_only_the_commands_speak_to_the_terminal"),
        ("wire/x.py", "from queue import Queue", "nothing_waits_without_a_named_bound"),
        ("wire/x.py", "a, b = trio.open_memory_channel(math.inf)", "nothing_waits_without_a_named_bound"),
        ("wire/x.py", "waiting: deque[int] = deque()  # of requests", "nothing_waits_without_a_named_bound"),
        ("wire/x.py", "x = 1", "every_file_says_first_what_it_promises"),
    ],
)
def test_a_rule_that_is_broken_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, text: str, rule: str):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert broken.__wrapped__()[rule][0].startswith(f"{place}: ")


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
