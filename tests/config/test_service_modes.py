"""Modes of telegram services: which keys belong to which, and what they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegram_router.assembly import build_switch
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.plan import read_plan
from telegram_router.routing import Mode

TEXT = """
[listeners.branches]
address = "127.0.0.1:0"
spec = "firmbanking"

[services.transfer]
backends = ["10.0.0.1:9100"]
timeout = "8s"
KEYS

[[routes]]
listener = "branches"
default = true
service = "transfer"
"""

NOTICES = """
[services.cards]
backends = ["10.0.0.1:9100"]
mode = "fifo"
spec = "iso8583"

[listeners.cards]
address = "127.0.0.1:0"
spec = "iso8583"

[[routes]]
listener = "cards"
default = true
service = "cards"

[[routes]]
from_service = "cards"
match = { message_type = "0200" }
to_listener = "cards"
"""


def problems(folder: Path, text: str) -> list[ConfigProblem]:
    file = folder / "router.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_plan(file)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("keys", "mode", "limit", "grace"),
    [
        ("", Mode.PIPELINED, 256, 8.0),
        ('mode = "exclusive"', Mode.EXCLUSIVE, 1, 8.0),
        ('mode = "fifo"\nin_flight = 9', Mode.FIFO, 9, 8.0),
        ('mode = "fifo"\npoison_grace = "0s"', Mode.FIFO, 256, 0.0),
    ],
    ids=["none", "exclusive", "fifo", "fifo without grace"],
)
def test_a_mode_becomes_a_policy(tmp_path: Path, keys: str, mode: Mode, limit: int, grace: float) -> None:
    file = tmp_path / "router.toml"
    file.write_text(TEXT.replace("KEYS", keys))
    service = build_switch(read_plan(file)).services["transfer"]
    assert (service.policy.mode, service.limit, service.policy.poison_grace) == (mode, limit, grace)


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ('mode = "exclusive"\nin_flight = 2', "services.transfer.in_flight"),
        ('mode = "exclusive"\npoison_grace = "2s"', "services.transfer.poison_grace"),
        ('poison_grace = "2s"', "services.transfer.poison_grace"),
    ],
    ids=["in_flight", "grace of exclusive", "grace of pipelined"],
)
def test_keys_of_another_mode_are_refused(tmp_path: Path, keys: str, key: str) -> None:
    assert [(each.code, each.key) for each in problems(tmp_path, TEXT.replace("KEYS", keys))] == [("E-CFG-07", key)]


PAIR = '[{ address = "10.0.0.1:9100", replies = "10.0.0.1:REPLIES" }]'


@pytest.mark.parametrize(
    ("replies", "keys", "what"),
    [
        ("9101", 'mode = "fifo"', "this service is fifo"),
        ("9100", "", "one connection carries both"),
    ],
    ids=["fifo", "the same address"],
)
def test_a_pair_needs_a_key_and_two_addresses(tmp_path: Path, replies: str, keys: str, what: str) -> None:
    text = TEXT.replace('["10.0.0.1:9100"]', PAIR.replace("REPLIES", replies)).replace("KEYS", keys)
    [problem] = problems(tmp_path, text)
    assert (problem.code, problem.key) == ("E-CFG-07", "services.transfer.backends[0].replies")
    assert what in problem.what


def test_a_pair_of_a_spec_without_a_key_pairs_nothing(tmp_path: Path) -> None:
    text = TEXT.replace('["10.0.0.1:9100"]', PAIR.replace("REPLIES", "9101")).replace("KEYS", 'mode = "exclusive"')
    [problem] = problems(tmp_path, text.replace("firmbanking", "iso8583"))
    assert problem.key == "services.transfer.backends" and "no correlation" in problem.what


def test_a_session_can_be_asked_nothing_that_its_answer_could_not_be_paired_with(tmp_path: Path) -> None:
    found = [each for each in problems(tmp_path, NOTICES) if "correlation" in each.what]
    assert [(each.code, each.key) for each in found] == [("E-CFG-07", "routes[1].to_listener")]
