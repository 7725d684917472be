"""The sample telegrams of specs/samples, put together byte by byte from the offset tables.

    python tests/telegrams/composed.py        writes the files anew

All data in them is made up: companies, accounts, names, numbers.
"""

from pathlib import Path

from offset_tables import TABLES

SAMPLES = Path(__file__).parents[2] / "specs" / "samples"

# The published sample of a transfer, piece by piece, with its length in front.
FIRST_SAMPLE = b"".join(
    [
        b"0300", b"SETTLEBNK", b"TESTCO000001", b"088", b"2000", b"100", b"1", b"000001", b"20240315", b"101112", b" " * 4, b" " * 44,
        b"110123456789" + b" " * 3, b" " * 8, b" " * 6, b"0000001234500", b" ", b"0000000000000", b"004", b"3020123456781" + b" " * 2,
        b"000000000", b" " * 16, "홍길동급여".encode("cp949") + b" " * 4, b" " * 13, b" " * 12, b" " * 6, b" ", b" " * 2, b" " * 53,
    ]
)  # fmt: skip

HEADERS: dict[str, dict[str, object]] = {
    "firmbanking": {
        "transaction_code": "SETTLEBNK", "company_number": "TESTCO000001", "bank_code": "088", "send_count": 1, "sent_date": "20240315",
        "sent_time": "101112",
    },
    "ksnet": {
        "transaction_code": "KSBPAY", "company_number": "TESTCO01", "bank_code": "88", "send_count": "1", "sent_at": "20240315101112",
        "inquiry_number": "000000", "bank_code_3": "088",
    },
    "hmfb": {
        "total_length": 320, "transaction_code": "HMFB", "company_number": "TESTCO000002", "bank_code": "88", "send_count": 1,
        "sent_date": "20240315", "sent_time": "101112",
    },
}  # fmt: skip

DEPOSIT = {
    "account": "110123456789", "giro_number": "1234567", "direction": "11", "deal_kind": "01", "amount": 550000, "cash_amount": 550000,
    "other_bank_amount": 0, "balance_after": "+0000098765432", "depositor": "김철수무역", "deal_date": "20240315", "deal_time": "093015",
    "deal_number": "000123", "original_deal_number": "000000", "original_date": "00000000", "cms_or_id_number": "CMS0000000000042",
    "cashier_check_amount": 0, "personal_check_amount": 0, "holder": "주식회사 가나다", "amount_kind": "00",
}  # fmt: skip

TRANSFER = {
    "withdrawal_account": "110123456789", "amount": 1234500, "balance_after": " 0000000000000", "deposit_bank_code": "004",
    "deposit_account": "3020123456781", "fee": 0, "memo": "홍길동급여",
}  # fmt: skip

FAILURE = {
    "original_number": "000001", "withdrawal_account": "110123456789", "deposit_bank_code": "004", "deposit_account": "3020123456781",
    "requested_amount": 1234500, "processed_amount": 0, "failed_amount": 1234500,
}  # fmt: skip

BODIES: dict[str, dict[tuple[str, str], dict[str, object]]] = {
    "firmbanking": {
        ("2000", "100"): TRANSFER,
        ("2000", "200"): {
            **TRANSFER, "memo": "관리비 3월", "withdrawal_id_number": "9001011000000", "withdrawal_holder": "이영희", "cms_code": "CMS0000000000007",
            "check_amount": 0, "payer_number": "PAYER00000000000042", "institution_code": "9912345678", "reseller_area": "재판매점",
        },
        ("3000", "100"): {
            **FAILURE, "part_count": 1, "part_number": 1, "other_bank_number": "000456", "failure_amount": 1234500, "error_code": "0101",
            "network_number": "0040000000123",
        },
        ("4000", "100"): DEPOSIT,
        ("5000", "100"): {
            "loan_account": "770000000001", "borrower": "박대출", "borrower_id_number": "8001012000000", "product_code": "LOAN0001", "action": "01",
            "amount": 30000000, "interest_rate": "0452500", "loan_balance": "+0000030000000", "due_date": "20270315",
            "payout_account": "110123456789", "memo": "전세자금대출",
        },
        ("6000", "100"): {
            "account": "3020123456781", "id_number": "9001011000000", "holder": "홍길동", "account_bank_code": "004", "amount": 0, "check_kind": "01",
            "holder_full": "홍길동", "state_date": "20240315",
        },
        ("7000", "100"): {**FAILURE, "processed_amount": 1234500, "failed_amount": 0, "fee": 500, "transfer_time": "101113", "result": "0000", "inquiry_kind": "01"},
        ("7000", "200"): {
            "account": "110123456789", "credit_limit": 5000000, "ledger_balance": "-0000000123000", "cash": 0, "cashier_checks": 0, "other_checks": 0,
            "payable_amount": "+0000004877000",
        },
    },
    "ksnet": {
        ("0100", "100"): {
            "parent_account": "110123456789", "amount": 250000, "balance_after": " 0000000000000", "deposit_bank_code": "04",
            "deposit_account": "3020123456781", "fee": 0, "transfer_time": "101112", "depositor": "한글입금인", "holder": "최예금주",
            "deposit_bank_code_3": "004", "is_payroll": "N",
        },
        ("0100", "200"): {
            "parent_account": "110123456789", "amount": 99000, "balance_after": " 0000000000000", "deposit_bank_code": "11",
            "deposit_account": "3520000000001", "fee": 500, "depositor": "타행이체", "deposit_bank_code_3": "011",
        },
        ("0200", "300"): {
            "account": "110123456789", "composed_count": 1, "deal_kind": "20", "deal_bank_code": "88", "amount": 770000, "balance_after": 1770000,
            "giro_number": "000000", "depositor": "정송금", "cash": 770000, "other_bank_checks": 0, "other": 0, "virtual_account": "5620000000000001",
            "deal_at": "20240315093015", "deal_number": "000009", "deal_bank_code_3": "088", "branch": "0880001",
        },
        ("0600", "100"): {
            "original_number": "000001", "withdrawal_account": "110123456789", "deposit_account": "3020123456781", "amount": 250000, "fee": 0,
            "transfer_time": "101113", "result": "0000", "deposit_bank_code": "04", "deposit_bank_code_3": "004",
        },
        ("0600", "300"): {
            "account": "110123456789", "balance": "+0000001770000", "cashier_checks": 0, "personal_checks": 0, "ordinary_checks": 0,
            "payable_amount": 1770000,
        },
    },
    "hmfb": {
        ("2000", "100"): {
            "withdrawal_account": "110123456789", "amount": 43000, "balance_after": " 0000000000000", "deposit_bank_code": "04",
            "deposit_account": "3020123456781", "fee": 0, "memo": "회비 입금", "deposit_holder": "강동호",
        },
    },
}  # fmt: skip

STEP = {"firmbanking": 100, "ksnet": 10, "hmfb": 100}
RESPONSE = {
    "firmbanking": {"response_code": "0000"},
    "ksnet": {"ksnet_response": "0000", "bank_response": "0000"},
    "hmfb": {"response_code": "0000"},
}


def telegram(family: str, key: tuple[str, str], values: dict[str, object]) -> bytes:
    """Blanks, and each value put at its offset: numbers right-aligned with zeros, all else left-aligned."""
    rows = TABLES[family][key]
    made = bytearray(b" " * (rows[-1][1] + rows[-1][2]))
    left = dict(values)
    for name, offset, length, what in rows:
        if what[0] == "=":
            made[offset : offset + length] = what[1:].encode()
        elif name in left:
            value = left.pop(name)
            wire = f"{value:0{length}d}".encode() if isinstance(value, int) else str(value).encode("cp949").ljust(length)
            assert len(wire) == length, name
            made[offset : offset + length] = wire
    assert not left, left
    return bytes(made)


def framed(family: str, made: bytes) -> bytes:
    return b"0300" + made if family == "firmbanking" else made


def sample(family: str, key: tuple[str, str], number: int) -> bytes:
    """A whole frame; replies are recognised by their type being a request's plus the family's step."""
    request = f"{int(key[0]) - STEP[family]:04}", key[1]
    is_reply = request in TABLES[family]
    body = BODIES[family].get(request if is_reply else key, {})
    header = {**HEADERS[family], "message_type": key[0], "business_code": key[1], "message_number": f"{number:06}"}
    if is_reply:
        header |= RESPONSE[family]
        if str(body.get("balance_after")).startswith(" "):
            body = {**body, "balance_after": "+0000000500000"}
    return framed(family, telegram(family, key, {**header, **body}))


def samples() -> dict[str, dict[tuple[str, str], bytes]]:
    """Whole frames by family and key. A reply has its request's number."""
    made: dict[str, dict[tuple[str, str], bytes]] = {}
    for family, keys in TABLES.items():
        step = STEP[family]
        requests = sorted(key for key in keys if (f"{int(key[0]) - step:04}", key[1]) not in keys)
        requests.sort(key=lambda key: key != ("2000", "100"))
        numbers = {key: i for i, key in enumerate(requests, 1)}
        made[family] = {key: sample(family, key, numbers.get(key) or numbers[(f"{int(key[0]) - step:04}", key[1])]) for key in keys}
    return made


def main() -> None:
    from telegram_router.telegrams import load_spec

    for family, frames in samples().items():
        file = SAMPLES.parent / f"{family}.py"
        names = {message.key: message.name for message in load_spec(file.read_text("utf-8"), str(file)).messages.values()}
        folder = SAMPLES / family
        folder.mkdir(parents=True, exist_ok=True)
        for key, frame in frames.items():
            (folder / f"{names[key]}.telegram").write_bytes(frame)


if __name__ == "__main__":
    main()
