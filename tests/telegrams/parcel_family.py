"""A small made-up family with one field of every kind, for tests of the converters."""

from construct import Struct

from telegram_router.telegrams import (
    Amount,
    Code,
    Date,
    Digits,
    ErrorReply,
    Family,
    Filler,
    Fixed,
    Framing,
    LengthField,
    Message,
    Opaque,
    Plus,
    Poll,
    Reply,
    Telegram,
    Text,
    Time,
    compile_family,
)

HEADER = Struct(
    "mark" / Fixed("PARCEL", or_blank=True),
    "company" / Code(4, log="clear") * "업체번호 company",
    "type" / Code(4, digits=True, log="clear") * "전문구분코드 type",
    "number" / Code(6, digits=True, log="clear") * "전문번호 number",
    "sent" / Date(log="clear"),
    "response" / Code(4, {"0000": "정상 ok", "VTIM": "unknown"}, log="clear"),
    Filler(4),
)
ORDER = Struct(
    "account" / Text(15) * "계좌 account",
    "amount" / Digits(13, log="clear") * "금액 amount",
    "fee" / Amount(9, scale=2, log="clear") * "수수료 fee",
    "rate" / Digits(7, scale=3),
    "count" / Digits(3, json="number"),
    "balance" / Amount(13, plus=" ", blank="zero"),
    "at" / Time(log="clear"),
    "day" / Date(blank="zeros"),
    "memo" / Text(14, log="clear") * "적요 memo",
    Filler(6),
)
RECEIPT = Struct("account" / Text(15), "amount" / Digits(13, log="clear"), "fee" / Amount(9, scale=2), "note" / Text(10), Filler(3))

FAMILY = Family(
    name="parcel",
    version="1",
    header=HEADER,
    encoding="cp949",
    framing=Framing(LengthField(), polls=[Poll(b"REQPOLL", b"RESPOLL", 4)]),
    key=("type",),
    correlation=("company", "number"),
    reply_rule=Plus("type", 100),
    errors=ErrorReply("response", not_sent="0000", sent_unknown="VTIM"),
    messages=[
        Message("order.request", "주문 order", key=("2000",), body=ORDER),
        Message("order.response", key=("2100",), body=RECEIPT, kind="reply"),
        Message("letter", key=("3000",), body=Struct("text" / Opaque(max=500)), kind="oneway", reply=Reply.none()),
        Message("ask.request", key=("4000",), body=Struct("account" / Text(15)), reply=Reply.one("order.response")),
    ],
)
SPEC = compile_family(FAMILY)

HEADER_VALUES = {"mark": "PARCEL", "company": "C001", "number": "000007", "sent": "20240315", "response": ""}


def order(**values: object) -> Telegram:
    """An order with everything in it."""
    from decimal import Decimal

    body = {
        "account": "110123456789",
        "amount": 1234500,
        "fee": Decimal("-12.30"),
        "rate": Decimal("1.500"),
        "count": 7,
        "balance": 0,
        "at": "101112",
        "day": None,
        "memo": "홍길동급여",
    }
    return Telegram(SPEC, SPEC.messages["order.request"], {**HEADER_VALUES, "type": "2000"}, {**body, **values})


def order_frame(**values: object) -> bytes:
    return SPEC.encode(order(**values))
