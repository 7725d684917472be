"""Where the answers of a listener's clients may go: what of it `check` refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegram_router.errors import ConfigError
from telegram_router.plan import Plan, read_plan

SIGNS_ON = 'conduct = { sign_on = "required" }'


def plan(folder: Path, *, to: str = "takers", spec: str = "firmbanking", other: str = "firmbanking", keys: str = SIGNS_ON) -> Plan:
    file = folder / "router.toml"
    file.write_text(
        f'[listeners.askers]\naddress = "127.0.0.1:0"\nspec = "{spec}"\nanswers_to = "{to}"\n'
        f'[listeners.takers]\naddress = "127.0.0.1:0"\nspec = "{other}"\n{keys}\n'
        f'[services.core]\nbackends = ["127.0.0.1:9"]\n'
        f'[[routes]]\nlistener = "askers"\nservice = "core"\ndefault = true\n'
    )
    return read_plan(file)


def test_a_listener_that_only_takes_answers_needs_no_route(tmp_path: Path):
    assert not [each for each in plan(tmp_path).warnings if "no route" in each.what]


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"to": "nobody"}, "E-CFG-06", "nobody"),
        ({"other": "ksnet", "keys": ""}, "E-CFG-07", "another spec"),
        ({"keys": ""}, "E-CFG-07", "nothing tells for whom"),
        ({"keys": 'conduct = { heartbeat = "0s" }'}, "E-CFG-07", "nothing tells for whom"),
        ({"spec": "zengin", "other": "zengin"}, "E-CFG-07", "names no owner field"),
    ],
    ids=["no such listener", "another spec", "unknown takers", "no sign-on", "no owner"],
)
def test_what_cannot_be_is_told_with_its_key(wrong: dict[str, str], code: str, words: str, tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, **wrong)
    [found] = [each for each in error.value.problems if each.code == code and words in each.what]
    assert found.line and "answers_to" in found.key
