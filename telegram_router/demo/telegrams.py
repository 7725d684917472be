"""The demo's telegrams: requests of companies, all synthetic, in the shipped firm banking spec."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from telegram_router.plan import find_spec, read_spec, spec_folders
from telegram_router.telegrams import Code, Fixed, MessageLayout, Spec, Telegram, Text

BANK: Final = "088"
FIRST, SECOND, NOBODY = "TESTCO000001", "TESTCO000002", "TESTCO000099"  # companies; the last is not connected
ACCOUNTS: Final = {FIRST: "110123456701", SECOND: "110123456702", NOBODY: "110123456709"}  # as in simulators/accounts.csv
PAYEES: Final = ("홍길동", "김철수", "이영희", "박민수", "최지우", "정다은", "강하늘", "윤서준")
MEMOS: Final = ("급여", "상여", "출장비", "임대료", "물품대금")


def shipped(name: str) -> Spec:
    """A spec that ships with the router."""
    path = find_spec(name, spec_folders(None, Path()))
    assert path is not None
    return read_spec(path)


def made(spec: Spec, message: str, company: str, number: str, **body: Any) -> Telegram:
    """A telegram of the firm banking family; what is not given is blank."""
    layout = spec.messages[message]
    now = datetime.now()
    header = blank(layout, "header") | {
        "transaction_code": "SETTLEBNK",
        "company_number": company,
        "bank_code": BANK,
        "send_count": 1,
        "message_number": number,
        "sent_date": f"{now:%Y%m%d}",
        "sent_time": f"{now:%H%M%S}",
    }
    return Telegram(spec, layout, header, blank(layout, "body") | body)


def blank(layout: MessageLayout, section: str) -> dict[str, Any]:
    """Every field of a section that needs a value, blank."""
    return {
        planned.name: "" if isinstance(planned.kind, Text | Code | Fixed) else None
        for planned in layout.fields
        if planned.section == section and planned.name and planned.key is None
    }


def transfer(spec: Spec, company: str, number: str, amount: int, payee: str, memo: str, paid_into: str | None = None) -> Telegram:
    """2000/100 (송금), to another bank unless an account of this one is given."""
    bank, account = ("004", f"302{number}0781") if paid_into is None else (BANK, paid_into)
    return made(
        spec, "transfer.request", company, number,
        withdrawal_account=ACCOUNTS[company], amount=amount, balance_after=0, deposit_bank_code=bank, deposit_account=account,
        fee=0, memo=memo, deposit_holder=payee,
    )  # fmt: skip


def credit(spec: Spec, company: str, number: str, action: str, amount: int) -> Telegram:
    """5000/100 (여신): a drawdown 01, a repayment 02, an inquiry 03."""
    return made(
        spec, "credit.request", company, number, loan_account=f"900{company[-6:]}789", borrower="가나상사", action=action, amount=amount,
    )  # fmt: skip
