"""The "hmfb" gateway: a TCP header of 20 bytes inside the telegram, whose length counts itself (flag `IN`), then 100 + 200 bytes.

TCP header and the widths of the common header from published classes of that gateway. The body's layout is not published: the
transfer here is synthetic, after firm banking's. Synthetic too: the response codes that the router itself gives.
"""

from construct import Struct

from telegram_router.telegrams import *

HEADER = Struct(
    "total_length" / Length(4) * "총길이 total length, its own four bytes included",
    Fixed("DHRTCP") * "업무 system",
    Fixed("IN") * "길이구분 what the length counts: IN means the TCP header too",
    Filler(8) * "공란 blank",
    "transaction_code" / Code(9, log="clear") * "식별코드 transaction code",
    "company_number" / Code(12, required=True, log="clear") * "업체번호 company number",
    "bank_code" / Code(2, digits=True, log="clear") * "은행코드 bank code, two digits",
    "message_type" / Code(4, required=True, log="clear") * "전문구분코드 message type",
    "business_code" / Code(3, required=True, log="clear") * "업무구분코드 business code",
    "send_count" / Digits(1, log="clear") * "송신회수 send count",
    "message_number" / Code(6, digits=True, required=True, log="clear") * "전문번호 message number",
    "sent_date" / Date(8, blank="error", log="clear") * "전송일자 date sent",
    "sent_time" / Time(6, log="clear") * "전송시간 time sent",
    "response_code" / Code(4, log="clear") * "응답코드 response code",
    # The last five widths are published, their meaning is not.
    Filler(9) * "예비 reserved",
    Filler(15) * "예비 reserved",
    Filler(11) * "예비 reserved",
    Filler(1) * "예비 reserved",
    Filler(9) * "예비 reserved",
)

RESERVED = Struct(Filler(200) * "예비 reserved")


def transfer(plus, blank):
    """A reply signs its balance with `+`, a request leaves the sign blank."""
    return Struct(
        "withdrawal_account" / Code(15, pii="account") * "출금계좌번호 withdrawal account",
        "passbook_password" / Code(8, pii="pin") * "통장비밀번호 passbook password",
        "recovery_code" / Code(6, pii="pin") * "복기부호 recovery code",
        "amount" / Digits(13, blank=blank, log="clear") * "출금금액 withdrawal amount",
        "balance_after" / Amount(13, plus=plus, log="clear") * "출금후잔액 balance after withdrawal, with its sign",
        "deposit_bank_code" / Code(2, digits=True, log="clear") * "입금은행코드 bank paid into",
        "deposit_account" / Code(15, pii="account") * "입금계좌번호 account paid into",
        "fee" / Digits(9, log="clear") * "수수료 fee",
        "memo" / Text(14, pii="free") * "적요 text in the passbook",
        "deposit_holder" / Text(12, pii="name") * "입금계좌예금주명 payee's name",
        Filler(92) * "예비 reserved",
    )


spec = Family(
    name="hmfb",
    title="펌뱅킹 firm banking behind a TCP header of 20 bytes",
    version="2023",
    encoding="cp949",
    framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="all"), header=120),
    header=HEADER,
    length=320,
    key=("message_type", "business_code"),
    correlation=("company_number", "bank_code", "sent_date", "message_number"),
    owner="company_number",
    reply_rule=Plus("message_type", 100),
    errors=ErrorReply(
        field="header.response_code",
        not_sent="H999",
        sent_unknown="H900",
        codes={
            "E-RTE-01": "H101",
            "E-RTE-05": "H102",
            "E-TXN-03": "H107",
            "E-DUP-01": "H103",
            "E-LIM-01": "H104",
            "E-LIM-04": "H105",
            "E-BCK-01": "H106",
        },
    ),
    # Business is opened as in firm banking. How it is closed is not published, nor what an answer that says yes holds:
    # 0000 is synthetic, in the manner of the other lines.
    conduct=Conduct(
        response="header.response_code",
        accepted=("0000",),
        set={"header.send_count": 1, "header.message_number": NUMBER, "header.sent_date": TODAY, "header.sent_time": NOW},
        sign_on=Formality("open.request"),
    ),
    # Of the moment: a telegram that is sent again has others.
    volatile={"sent_date": "clock.date", "sent_time": "clock.time", "message_number": "sequence"},
    messages=[
        Message("open.request", "업무개시 open for business", ("1000", "100"), RESERVED),
        Message("transfer.request", "지급이체 transfer (송금)", ("2000", "100"), transfer(" ", "error"), synthetic=True),
        Message("transfer.response", "지급이체 응답 transfer reply", ("2100", "100"), transfer("+", "null"), kind="reply", synthetic=True),
        Message("deposit_notice.request", "거래내역통지 deposit notice (수신)", ("4000", "100"), RESERVED),
        Message("balance.request", "잔액조회 balance", ("7000", "200"), RESERVED),
    ],
)
