"""Virtual accounts of a regional bank: 4 digits in front that count what follows, then a header of 100 bytes and no body.

The header's widths and the management telegrams are from a published class of such a client. Its meaning is not published for
every field: those are reserved here, and keep whatever the partner writes into them. Synthetic: the response codes that the
router itself gives.
"""

from construct import Struct

from telegram_router.telegrams import *

HEADER = Struct(
    "transaction_code" / Code(9, log="clear") * "식별코드 transaction code",
    Fixed("VAS") * "시스템 system",
    Filler(3) * "예비 not published",
    Filler(2) * "예비 not published",
    "management_number" / Code(10, required=True, log="clear") * "관리번호 management number",
    "message_type" / Code(4, required=True, log="clear") * "전문종별 message type",
    "business_code" / Code(3, digits=True, required=True, log="clear") * "업무구분 business code",
    "flag" / Code(1, log="clear") * "송수신FLAG direction",
    "response_code" / Code(3, log="clear") * "응답코드 response code",
    "sent_date" / Date(8, blank="error", log="clear") * "전송일자 date sent",
    "sent_time" / Time(6, log="clear") * "전송시간 time sent",
    Filler(10) * "예비 not published",
    Filler(8) * "예비 not published",
    Filler(30) * "예비 reserved",
)

spec = Family(
    name="vas",
    title="가상계좌 virtual accounts, header of 100 bytes",
    version="1",
    encoding="cp949",
    framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload"), header=100),
    header=HEADER,
    length=100,
    key=("message_type", "business_code"),
    correlation=("business_code", "management_number", "sent_date"),
    reply_rule=Plus("message_type", 10),
    errors=ErrorReply(
        field="header.response_code",
        not_sent="999",
        sent_unknown="990",
        codes={"E-RTE-01": "901", "E-DUP-01": "902", "E-LIM-01": "903", "E-TXN-03": "904"},
        set={"header.flag": "2"},  # as answers have it
    ),
    # 101 opens, 102 closes. That 000 is yes is synthetic.
    conduct=Conduct(
        response="header.response_code",
        accepted=("000",),
        set={"header.management_number": NUMBER, "header.flag": "1", "header.sent_date": TODAY, "header.sent_time": NOW},
        answers={"header.flag": "2"},
        sign_on=Formality("open.request"),
        sign_off=Formality("close.request"),
    ),
    messages=[
        Message("open.request", "업무개시 open for business", ("0800", "101")),
        Message("close.request", "업무종료 close of business", ("0800", "102")),
        Message("fault.request", "장애통보 fault", ("0800", "103")),
        Message("recovery.request", "장애복구 recovery", ("0800", "104")),
    ],
)
