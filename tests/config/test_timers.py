"""Times that do not go together: found at `check`, with both keys, both values and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegram_router.config import parse_config
from telegram_router.config.timers import Finding, findings, text
from telegram_router.errors import ConfigError
from telegram_router.plan import read_plan

TEXT = """
TOP
[listeners.branches]
address = "127.0.0.1:0"
spec = "firmbanking"
LISTENER

[services.transfer]
backends = ["10.0.0.1:9100"]
SERVICE

[services.balance]
url = "http://10.0.0.9:8080/balance"
timeout = "5s"

[[routes]]
listener = "branches"
match = { message_type = "2000" }
service = "transfer"

[[routes]]
listener = "branches"
default = true
service = "balance"
"""


def written(*, top: str = "", listener: str = "", service: str = "") -> str:
    return TEXT.replace("TOP", top).replace("LISTENER", listener).replace("SERVICE", service)


def found(**keys: str) -> list[Finding]:
    return list(findings(parse_config(written(**keys), "router.toml")))


WRONG = {
    "late window": ({"service": 'timeout = "20s"\ntombstone = "20s"'}, "services.transfer.tombstone", "timeout = 20s", False),
    "write timeout": ({"service": 'timeout = "20s"\nwrite_timeout = "20s"'}, "services.transfer.write_timeout", "timeout = 20s", True),
    "waiting": ({"service": 'timeout = "2s"\npending_timeout = "2s"'}, "services.transfer.pending_timeout", "timeout = 2s", True),
    "probes": (
        {"service": 'health = { interval = "500ms", timeout = "1s" }'},
        "services.transfer.health.timeout",
        "interval = 500ms",
        True,
    ),
    "clients": (
        {"listener": 'client_timeout = "30s"'},
        "services.transfer.timeout",
        "client_timeout = 30s of listeners.branches",
        False,
    ),
    "clients and another service": (
        {"listener": 'client_timeout = "5s"', "service": 'timeout = "4s"'},
        "services.balance.timeout",
        "client_timeout = 5s",
        False,
    ),
    "grace": (
        {"service": 'mode = "fifo"\ntombstone = "40s"\npoison_grace = "41s"'},
        "services.transfer.poison_grace",
        "tombstone = 40s",
        True,
    ),
    "drain": ({"top": 'drain = "29s"'}, "drain", "timeout = 30s of services.transfer", True),
}


@pytest.mark.parametrize("keys,key,other,works", WRONG.values(), ids=WRONG)
def test_two_times_that_do_not_go_together_are_named_with_both_values(keys: dict[str, str], key: str, other: str, works: bool) -> None:
    [finding] = found(**keys)
    assert ".".join(map(str, finding.path)) == key
    assert other in finding.what and finding.what.startswith("is ") and finding.do
    assert finding.works is works


RIGHT = {
    "nothing said": {},
    "just right": {"service": 'timeout = "20s"\ntombstone = "21s"\nwrite_timeout = "19s"\npending_timeout = "19s"'},
    "a default is nobody's mistake": {"service": 'timeout = "500ms"'},
    "clients that wait long": {"listener": 'client_timeout = "31s"'},
    "probes as long as their interval": {"service": 'health = { interval = "1s", timeout = "1s" }'},
    "a long drain": {"top": 'drain = "30s"'},
}


@pytest.mark.parametrize("keys", RIGHT.values(), ids=RIGHT)
def test_times_that_go_together_are_passed_over(keys: dict[str, str]) -> None:
    assert found(**keys) == []


def test_what_cannot_work_is_a_problem_with_its_line_and_what_is_unwise_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(written(service='timeout = "20s"\ntombstone = "20s"\nwrite_timeout = "25s"'))
    with pytest.raises(ConfigError) as caught:
        read_plan(file)
    lines = file.read_text().splitlines()
    [problem] = caught.value.problems
    assert (problem.code, problem.key, lines[problem.line - 1]) == ("E-CFG-07", "services.transfer.tombstone", 'tombstone = "20s"')
    file.write_text(file.read_text().replace('tombstone = "20s"\n', ""))
    [warning] = read_plan(file).warnings
    lines = file.read_text().splitlines()
    assert (warning.key, lines[warning.line - 1]) == ("services.transfer.write_timeout", 'write_timeout = "25s"')


@pytest.mark.parametrize("seconds,words", [(0.0, "0s"), (0.5, "500ms"), (1.5, "1.5s"), (90.0, "90s")])
def test_a_duration_is_written_as_people_write_it(seconds: float, words: str) -> None:
    assert text(seconds) == words
