"""The example that an engineer starts from is a configuration that `check` has nothing to say about, and that has what it promises."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from authority import Authority, Pair
from click.testing import CliRunner

from telegram_router.cli import main
from telegram_router.config import TelegramService
from telegram_router.plan import read_plan

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "bank.toml"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The example with the files that it names, as an engineer would put them there."""
    (tmp_path / "authority").mkdir()
    ca = Authority(tmp_path / "authority", "ca")
    own: Pair = ca.issue("router.bank.example")
    for folder in ("certs", "secrets", "log"):
        (tmp_path / folder).mkdir()
    shutil.copy(own.certificate, tmp_path / "certs" / "router.pem")
    shutil.copy(own.key, tmp_path / "certs" / "router.key")
    for each in ("companies.pem", "hosts.pem"):
        shutil.copy(ca.file, tmp_path / "certs" / each)
    (tmp_path / "secrets" / "admin.token").write_text("a-token-of-the-example")
    for secret in (tmp_path / "secrets" / "admin.token", tmp_path / "certs" / "router.key"):
        secret.chmod(0o600)
    return Path(shutil.copy(EXAMPLE, tmp_path / "bank.toml"))


def test_check_finds_nothing_wrong_and_nothing_doubtful(installed: Path):
    told = CliRunner().invoke(main, ["check", str(installed), "--json"], prog_name="telegram-router")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["ok"] and found["problems"] == found["warnings"] == []


def test_it_has_what_a_bank_starts_with(installed: Path):
    config = read_plan(installed).config
    transfer, notices = config.services["transfer"], config.services["notices"]
    assert isinstance(transfer, TelegramService) and isinstance(notices, TelegramService)
    assert [each.priority for each in transfer.backends] == [0, 1] and transfer.health is not None
    assert transfer.conduct is not None and transfer.conduct.sign_on and transfer.conduct.heartbeat
    assert notices.listen is not None and notices.listen.tls is not None and notices.backends[0].sign_on
    assert config.listeners["companies"].owners and config.listeners["companies"].conduct is not None
    assert config.calendars and config.limits and config.quotas and config.usage and config.access and config.admin and config.metrics
