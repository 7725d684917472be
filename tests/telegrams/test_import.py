"""What `import telegram_router.telegrams` brings along, and what it leaves for those who ask for it."""

from __future__ import annotations

import subprocess
import sys

import telegram_router.telegrams

HEAVY = frozenset(
    (
        *("openpyxl", "hypothesis", "trio", "pydantic", "click", "rich", "structlog", "httptools", "h11", "hypercorn", "msgspec"),
        *("asyncio", "ssl", "socket", "multiprocessing", "xml", "email", "http", "urllib.request", "zipfile", "sqlite3", "numpy", "pytest"),
    )
)
OURS = frozenset(
    f"telegram_router.{name}"
    for name in (
        *("cli", "app", "testing", "ops", "wire", "routing", "config"),
        *("telegrams.importers", "telegrams.exporters", "telegrams.explain", "telegrams.compare", "telegrams.guess", "telegrams.generate"),
        *("telegrams.json_form", "telegrams.json_mapping"),
    )
)
# On a machine with nothing else to do it is below 80 ms of work; this is what no slow machine should ever need.
MOST_SECONDS = 0.6


def in_a_process_of_its_own(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_it_imports_nothing_that_is_heavy_or_that_only_some_need():
    loaded = set(in_a_process_of_its_own("import sys, telegram_router.telegrams; print(*sys.modules)").split())
    assert "construct" in loaded
    assert not loaded & (HEAVY | OURS)


def test_it_takes_little_work():
    measured = "import time; start = time.process_time(); import telegram_router.telegrams; print(time.process_time() - start)"
    assert min(float(in_a_process_of_its_own(measured)) for _ in range(3)) < MOST_SECONDS


def test_json_comes_when_it_is_asked_for():
    code = "import sys; from telegram_router.telegrams import to_json, JsonMapping; print('msgspec' in sys.modules, to_json.__module__)"
    assert in_a_process_of_its_own(code) == "True telegram_router.telegrams.json_form"


def test_every_name_of_the_package_is_there_and_no_other():
    assert [name for name in telegram_router.telegrams.__all__ if not hasattr(telegram_router.telegrams, name)] == []
    assert not hasattr(telegram_router.telegrams, "to_xml")
