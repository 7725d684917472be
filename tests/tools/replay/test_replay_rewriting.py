"""What becomes of a request before it is sent: only what a rule names, whole or not at all."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_kit import SPEC, part, sample

from telegram_router.telegrams.masking import Masker
from telegram_router.telegrams.pseudonyms import Pseudonyms
from telegram_router.tools.replay.remembering import Memory, Sequences
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.rules import Beside, Rule, read_rules, rule_of
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Step

KST = datetime.timezone(datetime.timedelta(hours=9))


def at(*moment: int) -> int:
    return round(datetime.datetime(*moment[:6], moment[6] if len(moment) > 6 else 0, tzinfo=KST).timestamp() * 1000) * (SECOND // 1000)  # type: ignore[misc, arg-type]


def step(message: str, n: int = 1, **values: str) -> Step:
    return Step(n, 0, "c1", f"x{n}", SPEC.messages[message], sample(message, **values))


@dataclass(frozen=True)
class Files(Beside):
    """What stands beside the rules, without a disk."""

    content: str = "old,new\n"
    functions: Callable[[str], Callable[..., Any]] | None = None

    def text(self, name: str) -> str:
        return self.content

    def function(self, name: str, where: str) -> Callable[..., Any]:
        return super().function(name, where) if self.functions is None else self.functions(name)


def rules(text: str, beside: Beside) -> dict[str, dict[str, Rule]]:
    return read_rules(text, "rules.toml", SPEC, beside)


def rewriter(text: str = "", beside: Beside = Files(), **more: object) -> Rewriter:
    return Rewriter(SPEC, rules(text, beside), Sequences(), KST, **more)  # type: ignore[arg-type]


def calling(text: str, function: Callable[..., Any]) -> Rewriter:
    return rewriter(text, Files(functions=lambda name: function))


NOON = at(2026, 11, 23, 12, 0, 0)


def test_only_what_the_spec_says_is_volatile_changes_by_default():
    asked = step("transfer.request")
    made = rewriter().rebuilt(asked, NOON)
    changed = {index for index, (one, other) in enumerate(zip(asked.frame, made, strict=True)) if one != other}
    assert changed <= set(range(36, 56)) and len(made) == len(asked.frame)
    assert (part(made, "sent_date"), part(made, "sent_time")) == ("20261123", "120000")


@given(st.sampled_from(sorted(name for name, message in SPEC.messages.items() if message.kind == "request")), st.integers(1, 999_999))
def test_bytes_that_no_rule_names_are_those_of_the_recording(name: str, number: int):
    asked = step(name, message_number=f"{number:06d}")
    ours = rewriter('["*"]\nsend_count = "set(2)"\n', volatile=False).rebuilt(asked, NOON)
    assert ours[:35] + asked.frame[35:36] + ours[36:] == asked.frame and ours[35:36] == b"2"


def test_date_and_time_never_stand_on_two_sides_of_midnight():
    ours = rewriter()
    before = ours.rebuilt(step("transfer.request"), at(2026, 11, 23, 23, 59, 59, 999_000))
    after = ours.rebuilt(step("transfer.request"), at(2026, 11, 24, 0, 0, 0))
    assert [(part(frame, "sent_date"), part(frame, "sent_time")) for frame in (before, after)] == [
        ("20261123", "235959"),
        ("20261124", "000000"),
    ]


def test_numbers_are_unique_and_wrap_where_they_should():
    ours = rewriter('["*"]\nmessage_number = "seq(start=999997, wrap=999999)"\n')
    made = [part(ours.rebuilt(step("transfer.request", n), NOON), "message_number") for n in range(1, 4)]
    assert made == ["999997", "999998", "999999"]
    wrapping = rewriter('["*"]\nmessage_number = "seq(start=5, step=2, wrap=9)"\n')
    made = [part(wrapping.rebuilt(step("transfer.request", n), NOON), "message_number") for n in range(1, 5)]
    assert made == ["000005", "000007", "000009", "000005"]
    narrow = rewriter('["*"]\nmessage_number = "seq(start=99, width=2)"\n')
    assert [part(narrow.rebuilt(step("transfer.request", n), NOON), "message_number") for n in (1, 2)] == ["000099", "000099"]


def test_two_rewriters_of_a_run_never_use_the_same_number():
    shared = Sequences()
    both = [Rewriter(SPEC, {}, shared, KST) for _ in range(2)]
    made = [part(ours.rebuilt(step("transfer.request"), NOON), "message_number") for ours in both * 50]
    assert len(set(made)) == 100


def test_an_inquiry_keeps_pointing_at_the_transfer_that_it_asked_about():
    ours = rewriter()
    transfer = ours.rebuilt(step("transfer.request", message_number="000123"), NOON)
    other = ours.rebuilt(step("transfer.request", message_number="000124"), NOON)
    inquiry = ours.rebuilt(step("result.request", message_number="000125", original_number="000123"), NOON)
    assert part(inquiry, "original_number") == part(transfer, "message_number") != part(other, "message_number")
    assert ours.unknown == {}


def test_a_number_is_found_however_wide_it_is_written():
    memory = Memory()
    memory.put("number", (), "000123", "77")
    assert (memory.get("number", (), "123"), memory.get("number", (), "000123"), memory.get("number", (), "9")) == ("077", "000077", None)


def test_a_reference_to_what_was_not_sent_stays_and_is_counted():
    ours = rewriter()
    inquiry = ours.rebuilt(step("result.request", original_number="000999"), NOON)
    assert part(inquiry, "original_number") == "000999" and ours.unknown == {"body.original_number": 1}


def test_numbers_of_another_company_are_not_taken_for_ones_own():
    ours = rewriter()
    ours.rebuilt(step("transfer.request", message_number="000123", company_number="OTHERCO00001"), NOON)
    inquiry = ours.rebuilt(step("result.request", original_number="000123"), NOON)
    assert part(inquiry, "original_number") == "000123"


def test_what_the_target_gave_is_used_where_the_recording_used_what_it_gave_then():
    ours = rewriter('["balance.request"]\naccount = "learn(reply.withdrawal_account)"\n')
    ours.learn(SPEC.messages["transfer.response"], sample("transfer.response", withdrawal_account="111"), sample("transfer.response", withdrawal_account="222"))  # fmt: skip
    assert part(ours.rebuilt(step("balance.request", account="111"), NOON), "account") == "222"


def test_values_are_set_and_looked_up():
    text = '["transfer.request"]\nbank_code = "set(004)"\nwithdrawal_account = "lookup(accounts.csv)"\n'
    ours = rewriter(text, Files(content=f"old,new\n{part(sample('transfer.request'), 'withdrawal_account')},555\n"))
    made = ours.rebuilt(step("transfer.request"), NOON)
    assert (part(made, "bank_code"), part(made, "withdrawal_account")) == ("004", "555")


def test_what_cannot_be_rebuilt_is_refused_whole():
    ours = rewriter('["transfer.request"]\nwithdrawal_account = "lookup(accounts.csv)"\n')
    with pytest.raises(ReplayError) as refused:
        ours.rebuilt(step("transfer.request"), NOON)
    assert refused.value.code == "E-RPL-06" and "body.withdrawal_account" in refused.value.what
    assert part(sample("transfer.request"), "withdrawal_account") not in refused.value.text()


def test_a_shift_keeps_the_recorded_spacing():
    ours = rewriter('["*"]\nsent_date = "shift"\nsent_time = "shift"\n')
    recorded = at(2024, 3, 15, 9, 0, 0)
    made = [
        ours.rebuilt(step("transfer.request"), NOON + later * SECOND, recorded + spacing * SECOND) for later, spacing in ((0, 0), (1, 90))
    ]
    assert [part(frame, "sent_time") for frame in made] == ["120000", "120130"]


def test_a_business_date_stands_for_today():
    made = rewriter(business_date=datetime.date(2030, 1, 2)).rebuilt(step("transfer.request"), NOON)
    assert (part(made, "sent_date"), part(made, "sent_time")) == ("20300102", "120000")


def test_a_field_that_was_blank_stays_blank_and_keep_leaves_a_volatile_one():
    asked = step("transfer.request")
    blank = Step(1, 0, "c1", "x1", asked.message, asked.frame[:50] + b" " * 6 + asked.frame[56:])
    assert part(rewriter().rebuilt(blank, NOON), "sent_time") == ""
    assert part(rewriter('["*"]\nsent_date = "keep"\n').rebuilt(asked, NOON), "sent_date") == part(asked.frame, "sent_date")


KEY = b"a key of sixteen bytes or more"


def test_a_pseudonym_is_that_of_a_capture_masked_with_the_same_key():
    text = '["*"]\nwithdrawal_account = "pseudonym"\ndeposit_account = "pseudonym"\n'
    asked = step("transfer.request")
    made = rewriter(text, pseudonyms=Pseudonyms(KEY), volatile=False).rebuilt(asked, NOON)
    masked = Masker(SPEC, KEY).mask(asked.frame).frame
    assert masked is not None
    for name in ("withdrawal_account", "deposit_account"):
        assert part(made, name) == part(masked, name) != part(asked.frame, name)
    assert len(made) == len(asked.frame) and part(made, "memo") == part(asked.frame, "memo")


def test_a_function_makes_a_value_of_the_old_one_and_the_telegram():
    def branch(old: str, telegram: dict[str, Any]) -> str | None:
        return None if old == "keep" else f"{telegram['header']['bank_code']}{old[:3]}"

    ours = calling('["transfer.request"]\nwithdrawal_account = "fn(hooks.py:branch)"\n', branch)
    made = ours.rebuilt(step("transfer.request", withdrawal_account="999123", bank_code="004"), NOON)
    assert part(made, "withdrawal_account") == "004999"
    assert part(ours.rebuilt(step("transfer.request", withdrawal_account="keep"), NOON), "withdrawal_account") == "keep"


def test_a_function_that_fails_is_told_without_what_it_said():
    def broken(old: str, telegram: object) -> str:
        raise ValueError(old)

    ours = calling('["transfer.request"]\nwithdrawal_account = "fn: hooks.py:broken"\n', broken)
    with pytest.raises(ReplayError) as refused:
        ours.rebuilt(step("transfer.request", withdrawal_account="4711"), NOON)
    assert refused.value.code == "E-RPL-06" and "hooks.py:broken raised ValueError" in refused.value.what
    assert "4711" not in refused.value.text()


def test_functions_run_only_where_code_is_allowed(tmp_path: Path):
    (tmp_path / "hooks.py").write_text("def up(old, telegram):\n    return old.upper()\n")
    text = '["transfer.request"]\nmemo = "fn(hooks.py:up)"\n'
    with pytest.raises(ReplayError) as refused:
        rules(text, Beside(tmp_path))
    assert refused.value.code == "E-RPL-09" and "--allow-code" in refused.value.do
    made = rewriter(text, Beside(tmp_path, allow_code=True)).rebuilt(step("transfer.request", memo="memo"), NOON)
    assert part(made, "memo") == "MEMO"
    for name in ("hooks.py:down", "missing.py:up", "no.such.module:up"):
        with pytest.raises(ReplayError) as refused:
            rules(text.replace("hooks.py:up", name), Beside(tmp_path, allow_code=True))
        assert refused.value.code == "E-RPL-09"


@pytest.mark.parametrize(("name", "field", "expected"), [("crc32", "memo", "{:08X}"), ("sum", "fee", "{:d}"), ("xor8", "memo", "{:014X}")])
def test_a_checksum_is_that_of_what_is_sent_and_comes_last(name: str, field: str, expected: str):
    of = {"crc32": crc32, "sum": sum, "xor8": lambda data: __import__("functools").reduce(lambda a, b: a ^ b, data)}[name]
    made = rewriter(f'["transfer.request"]\n{field} = "recompute({name})"\n').rebuilt(step("transfer.request"), NOON)
    planned = SPEC.messages["transfer.request"].field(field)
    assert planned is not None and part(made, "sent_time") == "120000"
    value = expected.format(of(made[4 : 4 + planned.offset])).zfill(planned.length)
    assert part(made, field) == value[-planned.length :]


def test_a_function_recomputes_from_the_telegram_as_it_will_be_sent():
    def mac(telegram: bytes) -> bytes:
        return b"%014d" % (telegram[46:52] == b"120000")

    made = calling('["transfer.request"]\nmemo = "recompute(hooks.py:mac)"\n', mac).rebuilt(step("transfer.request"), NOON)
    assert part(made, "memo") == f"{1:014d}"
    with pytest.raises(ReplayError) as refused:
        calling('["transfer.request"]\nmemo = "recompute(hooks.py:mac)"\n', lambda telegram: b"short").rebuilt(
            step("transfer.request"), NOON
        )
    assert refused.value.code == "E-RPL-06" and "5 bytes where 14 stand" in refused.value.what


def test_rules_for_an_answer_are_refused():
    with pytest.raises(ReplayError) as refused:
        rewriter('["transfer.response"]\nfee = "set(1)"\n')
    assert refused.value.code == "E-RPL-03" and "an answer" in refused.value.what


@pytest.mark.parametrize(
    "text", ["seq(begin=1)", "seq(start=x)", "seq(step=0)", "set", "map", "fn", 5, "now(", "lookup(a.csv)", "recompute(md5)", "recompute"]
)
def test_a_rule_that_means_nothing_is_refused(text: object):
    with pytest.raises(ReplayError) as refused:
        rule_of(text, "rules.toml", Files(content="one,two,three\n"))
    assert refused.value.code == "E-RPL-03"
