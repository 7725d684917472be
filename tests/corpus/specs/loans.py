"""A made-up family in which nearly every field has a limit: loan payouts to up to three accounts, for a partner of KS X 1001 alone."""

from telegram_router.telegrams import *

PAYOUT = Struct(
    "account" / Code(12, digits=True, required=True) * "계좌번호 account",
    "amount" / Digits(9, blank="error", log="clear") * "금액 amount",
)

LOAN = Struct(
    "amount" / Digits(13, blank="error", most=5_000_000_000) * "대출금액 amount",
    "value_date" / Date(8, within=7, of="sent_date", log="clear") * "기산일 value date",
    "id_number" / Code(13, digits=True, check="rrn") * "실명번호 identity number",
    "memo" / Text(14) * "적요 memo",
    "remark" / Text(10, log="clear") * "비고 remark",
    "payout_count" / Digits(2, blank="error", log="clear") * "건수 number of payouts",
    "payouts" / Occurs(between(0, 3, depending="payout_count"), PAYOUT) * "지급내역 payouts",
)

spec = Family(
    name="loans",
    title="여신 loans",
    version="1",
    encoding="cp949",
    strict="ksx1001",
    framing=Framing(LengthField(offset=10, width=5, kind="ascii", counts="all"), header=27),
    header=Struct(
        "message_type" / Code(4, required=True, log="clear"),
        "number" / Code(6, digits=True, required=True, log="clear"),
        "length" / Length(5),
        "sent_date" / Date(8, log="clear"),
        "code" / Code(4, log="clear"),
    ),
    key=("message_type",),
    correlation=("number",),
    reply_rule=Plus("message_type", 100),
    errors=ErrorReply(
        field="header.code",
        not_sent="S999",
        sent_unknown="VTIM",
        codes={
            "E-FLD-01": "SF01",
            "E-FLD-02": "SF02",
            "E-FLD-04": "SF04",
            "E-FLD-08": "SF08",
            "E-FLD-10": "SF10",
            "E-FLD-11": "SF11",
            "E-ENC-01": "SE01",
            "E-ENC-02": "SE02",
            "E-ENC-04": "SE04",
        },
    ),
    messages=[Message("loan.request", "대출실행 payout of a loan", ("5600",), LOAN)],
)
