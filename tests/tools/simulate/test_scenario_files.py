"""Scenario files: what is wrong with them is told all at once, each with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegram_router.errors import ConfigError, RouterError
from telegram_router.telegrams import Spec
from telegram_router.testing import read
from telegram_router.tools.simulate.expectations import read_expectation
from telegram_router.tools.simulate.reading import parse_fault, parse_scenarios, read_scenarios


def find(name: str, folder: Path) -> Spec:
    return read(name)


def problems(text: str, folder: Path = Path(), *, allow_code: bool = False) -> list[tuple[str, int, str]]:
    with pytest.raises(ConfigError) as caught:
        parse_scenarios(text, "core.toml", folder, find, allow_code=allow_code)
    return [(problem.code, problem.line, problem.text()) for problem in caught.value.problems]


HEAD = '[scenario]\nspec = "firmbanking"\n'

WRONG = [
    ("[scenario\n", "E-SIM-01", 1, "Expected"),
    ("", "E-SIM-02", 0, "is missing"),
    ('[scenario]\nspec = "nothing"\n', "E-SIM-03", 2, "no spec is called so"),
    (HEAD + 'nme = "x"\n', "E-SIM-02", 3, "did you mean name?"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request and'\n", "E-SIM-02", 4, "a name was expected"),
    (HEAD + "[[rule]]\nmatch = 'f.amont > 5'\n", "E-SIM-03", 4, "amount, perhaps"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.reqest'\n", "E-SIM-03", 4, "no message of firmbanking fits"),
    (HEAD + "[[rule]]\nmatch = 'f.amount > state.account.balance'\n", "E-SIM-03", 4, "there is no [state.account]"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { respons_code = '0000' }\n", "E-SIM-03", 5, "response_code, perhaps"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { response_code = '00000' }\n", "E-SIM-02", 5, "does not fit"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { memo = '{amunt}' }\n", "E-SIM-03", 5, "amount, perhaps"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { memo = '{now.year}' }\n", "E-SIM-03", 5, "nothing is called now.year"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { memo = '{amount!r}' }\n", "E-SIM-02", 5, "no name"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\ndelay = '5'\n", "E-SIM-02", 5, "has no unit"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.response'\nreply = {}\n", "E-SIM-02", 5, "has no reply in the spec"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\ncall = 'decide'\n", "E-SIM-06", 5, "--allow-code"),
    (HEAD + "[state.account]\nkey = '{withdrawal_account}'\ninit = 'nowhere.csv'\n", "E-SIM-05", 5, "cannot be read"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.*'\n[[rule]]\nmatch = 'msg=transfer.request and f.amount > 5'\n", "E-SIM-02", 6, "never holds: rule 1 (line 3)"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\nreply = { recorded = 'day.tgcap.jsonl', exchange = 'x1' }\n", "E-SIM-05", 5, "day.tgcap.jsonl"),
    (HEAD + "[[rule]]\nmatch = 'msg=transfer.request'\ndelay = { lognormal = { p50 = '9ms', p99 = '8ms' } }\n", "E-SIM-02", 5, "p99 is not above p50"),
    (HEAD + "[[verify]]\nexpect = 'cunt msg=transfer.request = 5'\n", "E-SIM-02", 4, "none of the four forms"),
    (HEAD + "[[fault]]\nmatch = 'msg=transfer.request'\ndo = { lat = '5s' }\n", "E-SIM-02", 5, "did you mean late?"),
    (HEAD + "[[fault]]\ndo = {}\n", "E-SIM-02", 4, "does nothing"),
    (HEAD + "[[fault]]\nmatch = 'msg=transfer.request'\ndo = { refuse = true }\n", "E-SIM-02", 4, "no telegram has come"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "what"), WRONG, ids=[f"{code} {what}" for _, code, _, what in WRONG])
def test_a_mistake_is_told_with_its_line_and_what_to_do(text: str, code: str, line: int, what: str):
    found = problems(text)
    assert len(found) == 1, found
    assert found[0][:2] == (code, line) and what in found[0][2]
    assert "expected" in found[0][2] or "to do" in found[0][2]


def test_all_mistakes_are_told_at_once():
    found = problems(HEAD + "[state.a]\nkey = '{x}'\n[[rule]]\nmatch = 'f.y=1'\n[[push]]\nmsg = 'z'\n")
    assert [line for _, line, _ in found] == [4, 6, 8]


def test_an_expectation_of_no_form_is_refused():
    with pytest.raises(RouterError) as caught:
        read_expectation("each msg=a has msg=b")
    assert caught.value.code == "E-SIM-04"


def test_a_fault_given_at_run_time_is_checked_too():
    (prepared,) = parse_scenarios(HEAD, "core.toml", Path(), find)
    assert parse_fault("match='msg=transfer.request', do={late='5s'}", prepared).do.late == 5.0
    for text in ("do={lat='5s'}", "match='f.amont=5', do={late='5s'}", "do={late='5s'"):
        with pytest.raises(ConfigError):
            parse_fault(text, prepared)


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(ConfigError) as caught:
        read_scenarios(Path("nowhere.toml"), find)
    assert caught.value.problems[0].code == "E-SIM-01"
