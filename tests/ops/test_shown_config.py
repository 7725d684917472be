"""A configuration as the admin API shows it: whatever kinds of values stand in it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from telegram_router.config import parse_config
from telegram_router.ops.shown_config import shown

DOCS = Path(__file__).parents[2] / "docs"
BANK = (DOCS / "examples/bank.toml").read_text("utf-8")


def seen(text: str) -> dict[str, object]:
    return msgspec.json.decode(msgspec.json.encode(shown(parse_config(text, "bank.toml"))), type=dict)


def test_addresses_and_networks_are_shown_as_they_are_written():
    text = BANK.replace('# source = "10.1.0.10:40000-40001"', 'source = "10.1.0.10:40000-40001"')
    services = msgspec.convert(seen(text)["services"], dict[str, dict[str, object]])
    assert services["transfer"]["source"] == "10.1.0.10:40000-40001"
    assert msgspec.convert(services["notices"]["backends"], list[dict[str, object]])[0]["from"] == ["10.1.3.0/24"]


def test_every_fragment_of_the_configuration_page_can_be_shown():
    whole = '[listeners.branches]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n[services.transfer]\nbackends = ["127.0.0.1:9"]\nspec = "firmbanking"\n'
    _, *fragments = re.findall(r"^```toml\n(.*?)^```$", (DOCS / "config.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert all(seen(whole + fragment) for fragment in fragments)
