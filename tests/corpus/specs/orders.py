"""A made-up family with a table that shifts: a collective transfer of up to 40 payees, as many as the telegram counts."""

from telegram_router.telegrams import *

PAYEE = Struct(
    "account" / Code(14, digits=True, required=True) * "계좌번호 account",
    "amount" / Digits(9, blank="error", log="clear") * "금액 amount",
    "memo" / Text(10) * "적요 memo",
)

TRANSFERS = Struct(
    "total" / Digits(11, blank="error", log="clear") * "합계 total",
    "payee_count" / Digits(5, blank="error", log="clear") * "건수 number of payees",
    "payees" / Occurs(between(0, 40, depending="payee_count", storage="shift"), PAYEE) * "입금내역 payees",
    "sender" / Text(12) * "의뢰인 sender",
)

spec = Family(
    name="orders",
    title="일괄이체 collective transfers",
    version="1",
    encoding="cp949",
    framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload"), header=14),
    header=Struct(
        "message_type" / Code(4, required=True, log="clear"),
        "number" / Code(6, digits=True, required=True, log="clear"),
        "code" / Code(4, log="clear"),
    ),
    key=("message_type",),
    correlation=("number",),
    reply_rule=Plus("message_type", 100),
    errors=ErrorReply(
        field="header.code",
        not_sent="S999",
        sent_unknown="VTIM",
        codes={"E-FLD-08": "SB08", "E-FLD-09": "SB09", "E-FLD-11": "SB11", "E-FLD-01": "SB01", "E-FRM-08": "SF08", "E-FRM-07": "SF07"},
    ),
    messages=[Message("transfers.request", "일괄이체 collective transfer", ("2600",), TRANSFERS)],
)
