"""The README shows what is: its telegram, its JSON and its configuration are the real ones."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from telegram_router.cli import main
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


SHOWN = [
    block for block in blocks("text") if re.match(r"\$ telegram-router (spec (import|export|diff|sample)|explain) (?!--config)", block)
]


def test_every_tool_for_specs_is_shown_in_at_most_six_lines():
    assert [re.match(r"\$ telegram-router (spec \w+|explain)", block)[1] for block in SHOWN] == [  # type: ignore[index]
        *("spec import", "spec export", "spec diff", "explain", "spec sample")
    ]
    assert all(len(block.splitlines()) <= 6 for block in SHOWN)


@pytest.fixture
def layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the commands name: a copybook, a partner's former layout, and a telegram with blanks in its amount."""
    shutil.copy(ROOT / "specs" / "samples" / "customer" / "customer.cpy", tmp_path)
    former, changes = re.subn(
        r'    "bank_code_3" / Code\(3.*\n', "    Filler(3),\n", (ROOT / "specs" / "ksnet.py").read_text("utf-8"), count=1
    )
    assert changes == 1
    (tmp_path / "ksnet-2023.py").write_text(former, "utf-8")
    (tmp_path / "suspicious.bin").write_bytes(SAMPLE.replace(b"0000001234500", b"000000123450 "))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("layouts")
@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.split("\n")[0][2:])
def test_the_tools_for_specs_say_what_is_shown(block: str):
    command, _, shown = block.partition("\n")
    result = CliRunner().invoke(main, command.split()[2:])
    said = result.stdout + result.stderr
    if command.endswith("--format json"):  # broken into lines for the page
        assert json.loads(shown) == json.loads(said)
        return
    lines = iter(said.splitlines())
    for wanted in shown.splitlines():
        assert wanted == "…" or wanted in lines, wanted  # `in` goes on where it stopped: their order holds too


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
