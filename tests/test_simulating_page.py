"""docs/simulating.md has every key of a scenario, and its scenarios are ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from telegram_router.testing import read
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.reading import parse_scenarios

PAGE = (Path(__file__).parent.parent / "docs" / "simulating.md").read_text(encoding="utf-8")
TABLES: list[tuple[str, type[BaseModel]]] = [
    ("[scenario]", model.About), ("[state.NAME]", model.Store), ("[table.NAME]", model.TableFile), ("[counter.NAME]", model.Counter),
    ("[machine.NAME]", model.Machine), ("[[machine.NAME.transition]]", model.Transition), ("[memory]", model.Memory), ("[sessions]", model.Sessions),
    ("sessions.heartbeat", model.Heartbeat), ("[limits]", model.Limits), ("[[rule]]", model.Rule), ("reply", model.Reply), ("delay", model.Delay),
    ("[[push]]", model.Push), ("[[fault]]", model.Fault), ("do", model.Do), ("[[verify]]", model.Verify), ("[tls]", model.Tls),
]  # fmt: skip


def rows(part: type[BaseModel]) -> str:
    keys = [(each.alias or name, each.description or "") for name, each in part.model_fields.items()]
    return "| key | meaning |\n| --- | --- |\n" + "".join(f"| `{key}` | {text} |\n" for key, text in keys)


@pytest.mark.parametrize(("heading", "part"), TABLES, ids=[heading for heading, _ in TABLES])
def test_every_key_is_on_the_page(heading: str, part: type[BaseModel]):
    assert f"`{heading}`\n\n{rows(part)}" in PAGE


def test_the_scenario_of_the_page_is_one():
    for block in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        assert parse_scenarios(block, "page.toml", Path(), lambda name, folder: read(name))
