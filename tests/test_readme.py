"""The README shows what is: its telegram, its JSON and its configuration are the real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

from telegram_router.config import parse_config
from telegram_router.plan import read_spec
from telegram_router.telegrams import to_object

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SAMPLE = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_telegram_that_goes_in_is_the_sample():
    shown = blocks("text")[0].replace("\n", "").replace("·", " ")
    assert shown.encode("cp949") == SAMPLE


def test_the_json_that_comes_out_is_that_of_the_sample():
    command, _, shown = blocks("text")[1].partition("\n")
    assert command.endswith(" specs/samples/firmbanking/transfer.request.telegram")
    assert json.loads(shown) == to_object(read_spec(ROOT / "specs" / "firmbanking.py").decode(SAMPLE))


def test_its_configuration_is_valid():
    (text,) = blocks("toml")
    assert len(parse_config(text, "README.md").routes) == 3


def test_its_two_commands_start_from_a_bare_clone():
    demo, tests = blocks("sh")
    assert demo == "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/telegram-router demo\n"
    assert tests.startswith("python3 -m venv .venv && ") and len(tests.splitlines()) == 1


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
