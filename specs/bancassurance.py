"""Bancassurance: a header of 160 bytes whose length stands at offset 12 and counts everything; answers may come in several parts.

Header from a published layout. The bodies are not published: they are passed through as they are. Synthetic: the deal codes
(거래구분) and the response codes that the router itself gives. What a bank asks is described here (flag 1, answered with 5);
what an insurer asks (2, answered with 6) pairs by the insurer's number and needs a family of its own.
"""

from construct import Struct

from telegram_router.telegrams import *

HEADER = Struct(
    "transaction_code" / Code(9, log="clear") * "TRX코드 transaction code",
    Fixed("BAS") * "시스템 system",
    "total_length" / Length(5) * "전문길이 length of header and body",
    "is_test" / Code(1, log="clear") * "T/R구분 test or real",
    "insurer_code" / Code(3, required=True, log="clear") * "보험사코드 insurer",
    "kind" / Code(2, log="clear") * "구분 kind",
    "bank_code" / Code(3, required=True, log="clear") * "은행코드 bank",
    "message_type" / Code(4, required=True, log="clear") * "전문종별 message type",
    "deal_code" / Code(6, required=True, log="clear") * "거래구분 deal code",
    "flag" / Code(1, {"1": "은행→보험사", "5": "보험사→은행 응답"}, required=True, log="clear") * "송수신FLAG direction",
    "status" / Code(3, log="clear") * "STATUS status",
    "response_code" / Code(3, log="clear") * "응답코드 response code",
    "sent_date" / Date(8, blank="error", log="clear") * "전송일자 date sent",
    "sent_time" / Time(6, log="clear") * "전송시간 time sent",
    "bank_number" / Code(8, digits=True, required=True, log="clear") * "은행전문번호 the bank's number",
    "insurer_number" / Code(8, log="clear") * "보험사전문번호 the insurer's number",
    "deal_date" / Date(8, log="clear") * "거래일자 date of the deal",
    "parts" / Digits(2, log="clear") * "전체 number of telegrams in all",
    "part" / Digits(2, log="clear") * "현재 number of this telegram",
    "terminal" / Code(15) * "단말번호 terminal",
    Filler(30) * "예비 reserved",
    Filler(30) * "예비 reserved",
)

# Five digits of length are 99,999 bytes at most.
ANY = Struct("content" / Opaque(max=99_839) * "개별부 passed through")

spec = Family(
    name="bancassurance",
    title="방카슈랑스 bancassurance, header of 160 bytes",
    version="1",
    encoding="cp949",
    framing=Framing(LengthField(offset=12, width=5, kind="ascii", counts="all"), header=160),
    header=HEADER,
    key=("message_type", "deal_code", "flag"),
    correlation=("insurer_code", "bank_code", "sent_date", "bank_number"),
    errors=ErrorReply(
        field="header.response_code", not_sent="999", sent_unknown="990", codes={"E-RTE-01": "901", "E-DUP-01": "902", "E-LIM-01": "903"}
    ),
    messages=[
        Message("open.request", "업무개시 open for business", ("0800", "000001", "1"), reply=Reply.one("open.response"), synthetic=True),
        Message("open.response", "업무개시 응답 reply", ("0810", "000001", "5"), kind="reply", synthetic=True),
        Message("quote.request", "보험료조회 quote", ("0200", "000100", "1"), ANY, reply=Reply.one("quote.response"), synthetic=True),
        Message("quote.response", "보험료조회 응답 reply", ("0210", "000100", "5"), ANY, kind="reply", synthetic=True),
        Message(
            "contracts.request",
            "계약조회 list of contracts",
            ("0200", "000200", "1"),
            ANY,
            reply=Reply.until("contracts.response", current="header.part", total="header.parts"),
            synthetic=True,
        ),
        Message("contracts.response", "계약조회 응답 one part of the list", ("0210", "000200", "5"), ANY, kind="reply", synthetic=True),
    ],
)
