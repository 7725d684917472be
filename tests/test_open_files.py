"""How many files a configuration needs, and a system that does not let so many be open."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from telegram_router import open_files
from telegram_router.config import parse_config
from telegram_router.errors import RouterError
from telegram_router.open_files import RESERVE, ROOMY, allow_files, files_needed
from telegram_router.wire.backend_door import most_connections

CONFIG = """
    [listeners.branches]
    address = "127.0.0.1:9001"
    spec = "firmbanking"
    max_sessions = {sessions}
    [services.transfer]
    backends = ["10.0.0.1:9100", "10.0.0.2:9100"]
    links = 3
    health = {{}}
    [services.credit]
    url = "http://10.0.0.9:8080/credit"
    connections = 20
    [[routes]]
    listener = "branches"
    default = true
    service = "transfer"
    [[routes]]
    listener = "branches"
    match = {{ message_type = "6000" }}
    service = "credit"
"""


class Limits:
    """What the system allows, and what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
        self.now = soft, hard
        monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: self.now)
        monkeypatch.setattr(open_files.resource, "setrlimit", lambda _, wanted: setattr(self, "now", wanted))


def test_every_connection_that_there_can_be_is_counted() -> None:
    assert files_needed(parse_config(CONFIG.format(sessions=500), "router.toml")) == RESERVE + 500 + 1 + 3 * 2 + 2 + 20


def test_pairs_are_two_connections_and_hosts_that_dial_us_are_counted_with_those_they_replace() -> None:
    pair = '[{ address = "10.0.0.1:9100", replies = "10.0.0.1:9101" }, "10.0.0.2:9100"]'
    called = '[{ name = "seoul", from = ["10.0.0.1"] }]\nlisten = "0.0.0.0:9201"'
    usual = CONFIG.format(sessions=500)
    plain, backends = files_needed(parse_config(usual, "router.toml")), '["10.0.0.1:9100", "10.0.0.2:9100"]'
    assert files_needed(parse_config(usual.replace(backends, pair), "router.toml")) == plain + 3
    text = usual.replace(backends, called).replace("    health = {}\n", "")
    assert files_needed(parse_config(text, "router.toml")) == plain - 3 * 2 - 2 + most_connections(3, 1) + 1


@pytest.mark.parametrize(
    ("soft", "hard", "needed", "after"),
    [
        pytest.param(1024, 4096, 2000, 4096, id="as-far-as-the-hard-limit"),
        pytest.param(1024, 1_000_000, 2000, ROOMY, id="no-further-than-is-of-use"),
        pytest.param(1024, 1_000_000, 200_000, 200_000, id="as-far-as-needed"),
        pytest.param(500_000, 1_000_000, 2000, 500_000, id="never-lowered"),
        pytest.param(1024, resource.RLIM_INFINITY, 200_000, 200_000, id="no-hard-limit"),
        pytest.param(4096, 4096, 4096, 4096, id="just-enough"),
    ],
)
def test_the_soft_limit_is_raised(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, needed: int, after: int) -> None:
    limits = Limits(monkeypatch, soft, hard)
    allow_files(needed)
    assert limits.now == (after, hard)


def test_a_hard_limit_that_is_too_low_is_refused_with_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(monkeypatch, 1024, 4096)
    with pytest.raises(RouterError, match=r"4,097.*4,096") as refused:
        allow_files(4097)
    assert refused.value.code == "E-CFG-17" and limits.now == (1024, 4096)


def test_a_process_that_may_open_too_few_says_so_and_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(CONFIG.format(sessions=2000).replace("9001", "0"))
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (500, 1000)); sys.argv[1:] = ['run', {str(file)!r}]"
    code = f"{limited}; from telegram_router.cli import main; main()"
    router = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, capture_output=True, timeout=30, check=False)
    assert router.returncode == 78
    assert b"E-CFG-17" in router.stderr and b"LimitNOFILE" in router.stderr and b"Traceback" not in router.stderr
