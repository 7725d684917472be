"""A customer record as copybooks have them, in EBCDIC: 60 values, COMP-3, COMP and a table. For measuring; the customer is made up."""

from decimal import Decimal
from typing import Any

from telegram_router.telegrams import (
    Binary,
    Code,
    Date,
    Digits,
    Family,
    Filler,
    FixedSize,
    Framing,
    Message,
    Occurs,
    Packed,
    Reply,
    Struct,
    Text,
    Time,
    Zoned,
    compile_family,
)

_YES_NO = ["Y", "N"]

_ACCOUNT = Struct(
    "account" / Code(14, digits=True),
    "product" / Code(2, {"01": "당좌 current", "02": "저축 savings", "11": "대출 loan"}),
    "balance" / Packed(15, 2),
    "rate" / Packed(5, 4),
    "opened" / Date(),
)

_CUSTOMER = Struct(
    "customer" / Code(10, digits=True, required=True),
    "branch" / Code(4, digits=True),
    "person" / Code(1, {"1": "개인 person", "2": "법인 company"}),
    "name" / Text(30),
    "name_latin" / Text(30),
    "street" / Text(35),
    "city" / Text(25),
    "postcode" / Code(10),
    "country" / Code(2),
    "phone" / Code(16),
    "born" / Date(),
    "since" / Date(),
    "changed" / Time(14, "YYYYMMDDhhmmss"),
    "officer" / Code(8),
    "segment" / Code(2, ["AA", "AB", "BA", "BB"]),
    "risk" / Code(1, ["L", "M", "H"]),
    "language" / Code(2),
    "mail" / Code(1, _YES_NO),
    "sms" / Code(1, _YES_NO),
    "staff" / Code(1, _YES_NO),
    "limit" / Packed(13, 2),
    "used" / Packed(13, 2),
    "income" / Packed(11),
    "score" / Packed(3),
    "visits" / Packed(7, signed=False),
    "fees" / Zoned(9, 2),
    "points" / Zoned(9),
    "cards" / Binary(2, 4),
    "logins" / Binary(4, 9),
    "turnover" / Binary(8, 18),
    "household" / Digits(8),
    "income_tax" / Digits(9, 2),
    "agency" / Digits(5),
    "rating" / Digits(3),
    Filler(20),
    "accounts" / Occurs(5, _ACCOUNT),
)

RECORD = compile_family(
    Family(
        name="customer",
        title="고객 customer record",
        version="1",
        encoding="cp037",
        framing=Framing(FixedSize(488)),
        header=Struct("type" / Code(1)),
        key=("type",),
        correlation=("type",),
        messages=[Message("customer", "고객 customer", ("1",), _CUSTOMER, reply=Reply.none())],
    )
).messages["customer"]


def _account(number: int) -> dict[str, Any]:
    return {
        "account": f"{110_123_456_789 + number:014d}",
        "product": ("01", "02", "11")[number % 3],
        "balance": Decimal("-12345678.90") if number % 3 == 2 else Decimal("1234567.89"),
        "rate": Decimal("0.0325"),
        "opened": "20190603",
    }


VALUES: dict[str, Any] = {
    "customer": "0001234567",
    "branch": "0123",
    "person": "1",
    "name": "HONG GIL DONG",
    "name_latin": "Hong Gil-dong",
    "street": "1 Sejong-daero, Jung-gu",
    "city": "Seoul",
    "postcode": "04524",
    "country": "KR",
    "phone": "02-000-0000",
    "born": "19800229",
    "since": "20010302",
    "changed": "20240315101112",
    "officer": "OFF00042",
    "segment": "AB",
    "risk": "L",
    "language": "KO",
    "mail": "Y",
    "sms": "N",
    "staff": "N",
    "limit": Decimal("50000000.00"),
    "used": Decimal("1234567.89"),
    "income": 61_000_000,
    "score": 742,
    "visits": 318,
    "fees": Decimal("1234.50"),
    "points": -250,
    "cards": 3,
    "logins": 4211,
    "turnover": 987_654_321,
    "household": 20_010_042,
    "income_tax": Decimal("10234.56"),
    "agency": 17,
    "rating": 7,
    "accounts": [_account(number) for number in range(5)],
}
