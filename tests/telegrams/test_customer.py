"""The customer record that ships: a copybook's bytes on a Korean mainframe, put together here by hand."""

from decimal import Decimal
from pathlib import Path

import pytest
from shipped import shipped

from telegram_router.errors import FieldError
from telegram_router.telegrams import Telegram, to_object

SAMPLES = Path(__file__).parents[2] / "specs" / "samples" / "customer"
ISSUED = "customer_record.telegram"


def ebcdic(text: str, size: int | None = None) -> bytes:
    return text.ljust(size or len(text)).encode("cp037")


# The hangul as iconv writes it in IBM933, the numbers as IBM's manuals show them.
HONG = bytes.fromhex("0e d1b7 8ba9 95b7 0f")  # 홍길동
SEOYEON = bytes.fromhex("0e b7a1 ace1 b565 0f")  # 이서연
HANBIT = bytes.fromhex("0e d065 a7b9 ac77 ac61 0f")  # 한빛상사


def padded(text: bytes, size: int) -> bytes:
    return text + b"\x40" * (size - len(text))


def account(number: str, kind: str, balance: str, events: int) -> bytes:
    return ebcdic(number, 14) + ebcdic(kind) + bytes.fromhex(balance) + events.to_bytes(2, "big")


def record(
    key: str, kind: str, status: str, view: bytes, opened: str, numbers: bytes, phones: tuple[str, str], accounts: list[bytes]
) -> bytes:
    counted = ebcdic(f"{len(accounts):02}") + b"".join(accounts)
    start = ebcdic(key + kind + status) + view + ebcdic(opened) + numbers
    return padded(start + ebcdic(phones[0], 12) + ebcdic(phones[1], 12) + b"\x40" * 4 + counted, 248)


PERSON = record(
    "0012000012345", "P", "00", padded(HONG, 20) + ebcdic("19800229M123"), "20150302",
    bytes.fromhex("000001234567890c 00989680 03125c") + ebcdic("-000012345") + bytes.fromhex("f0f0f0f1f2f3d4"),
    ("01012345678", ""),
    [account("11012345678901", "11", "000000023456780c", 42), account("21098765432109", "31", "000000500000000d", 7)],
)  # fmt: skip
COMPANY = record(
    "0012000067890", "C", "10", padded(HANBIT, 22) + ebcdic("1234567890"), "20200101",
    bytes.fromhex("000000000000000c 00000000 00000c") + ebcdic("+000000000") + bytes.fromhex("f0f0f0f0f0f0c0"), ("0212345678", "0312345678"), [],
)  # fmt: skip
YOUNG = record(
    "0034000000007", "P", "00", padded(SEOYEON, 20) + ebcdic("20070815F000"), "20240711",
    bytes.fromhex("000000000150000c 00000000 00150c") + ebcdic("+000150000") + bytes.fromhex("f0f0f0f0f0f5c0"),
    ("01098765432", ""), [account("21000000000001", "21", "000000000150000c", 1)],
)  # fmt: skip

VALUES = {
    "cust_key": {"cust_branch": 12, "cust_number": 12345},
    "cust_type": "P",
    "cust_status": "00",
    "cust_person_data": {"person_name": "홍길동", "person_born": 19800229, "person_sex": "M", "person_job": 123},
    "cust_opened": 20150302,
    "cust_balance": Decimal("12345678.90"),
    "cust_credit_limit": 10_000_000,
    "cust_rate": Decimal("0.03125"),
    "cust_last_change": Decimal("-123.45"),
    "cust_points": -1234,
    "cust_phones": ["01012345678", ""],
    "account_count": 2,
    "accounts": [
        {"account_number": "11012345678901", "account_kind": "11", "account_balance": Decimal("234567.80"), "account_events": 42},
        {"account_number": "21098765432109", "account_kind": "31", "account_balance": Decimal("-5000000.00"), "account_events": 7},
    ],
}


def test_the_samples_are_what_is_put_together_here():
    assert (SAMPLES / ISSUED).read_bytes() == PERSON
    assert (SAMPLES / "customers.bin").read_bytes() == PERSON + COMPANY + YOUNG


def test_a_record_is_read_as_its_values_and_written_as_its_bytes():
    spec = shipped("customer")
    (message,) = spec.messages.values()
    assert spec.decode(PERSON).body == VALUES
    assert spec.encode(Telegram(spec, message, {}, VALUES)) == PERSON


@pytest.mark.parametrize("frame", [PERSON, COMPANY, YOUNG])
def test_every_record_is_written_back_as_it_came(frame: bytes):
    spec = shipped("customer")
    assert spec.encode(spec.decode(frame)) == frame
    assert spec.decode(frame).residue is None


def test_the_type_of_customer_chooses_the_view():
    spec = shipped("customer")
    assert spec.decode(COMPANY).body["cust_company_data"] == {"company_name": "한빛상사", "company_number": 1234567890}
    assert "cust_person_data" not in spec.decode(COMPANY).body
    assert to_object(spec.decode(COMPANY))["body"]["accounts"] == []


def test_the_counter_may_be_left_out_since_it_follows_from_the_list():
    spec = shipped("customer")
    (message,) = spec.messages.values()
    without = {name: value for name, value in VALUES.items() if name != "account_count"}
    assert spec.encode(Telegram(spec, message, {}, without)) == PERSON


@pytest.mark.parametrize(
    ("offset", "content", "code"),
    [
        (13, "c4", "E-FLD-07"),  # a type of customer that no level 88 names
        (116, "f0f9", "E-FLD-08"),  # nine accounts, where there is room for five
        (63, "0a", None),  # another plus sign, legal on reading
        (63, "00", "E-FLD-01"),  # a packed number without a sign
        (18, "40", "E-ENC-01"),  # half a character
    ],
)
def test_what_does_not_fit_the_copybook_is_told_with_its_code(offset: int, content: str, code: str | None):
    raw = bytes.fromhex(content)
    frame = PERSON[:offset] + raw + PERSON[offset + len(raw) :]
    spec = shipped("customer")
    if code is None:
        assert spec.encode(spec.decode(frame)) == frame
        return
    with pytest.raises(FieldError) as told:
        spec.decode(frame)
    assert [problem.code for problem in told.value.problems] == [code]
