"""The demo's telegrams: requests of companies and notices of a bank, all synthetic, in the shipped firm banking spec."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from telegram_router.plan import find_spec, read_spec, spec_folders
from telegram_router.telegrams import Code, Fixed, MessageLayout, Spec, Telegram, Text

BANK: Final = "088"
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


def account(kind: str, company: str) -> str:
    """A made-up account number of a company."""
    return f"{kind}{company[-6:]}789"


def transfer(spec: Spec, company: str, number: str, amount: int, payee: str, memo: str) -> Telegram:
    """2000/100 (송금)."""
    return made(
        spec, "transfer.request", company, number,
        withdrawal_account=account("110", company), amount=amount, balance_after=0, deposit_bank_code="004", deposit_account=f"302{number}0781",
        fee=0, memo=memo, deposit_holder=payee,
    )  # fmt: skip


def credit(spec: Spec, company: str, number: str, action: str, amount: int) -> Telegram:
    """5000/100 (여신): a drawdown 01, a repayment 02, an inquiry 03."""
    return made(
        spec, "credit.request", company, number, loan_account=account("900", company), borrower="가나상사", action=action, amount=amount,
    )  # fmt: skip


def notice(spec: Spec, company: str, number: str, amount: int, depositor: str) -> Telegram:
    """4000/100 (수신): money has come in."""
    now = datetime.now()
    return made(
        spec, "deposit_notice.request", company, number, account=account("110", company), direction="11", amount=amount, cash_amount=amount,
        depositor=depositor, deal_date=f"{now:%Y%m%d}", deal_time=f"{now:%H%M%S}", deal_number=number,
    )  # fmt: skip
