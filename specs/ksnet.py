"""KSNET firm banking: 300 bytes with nothing in front, ISO-like message types, and two response codes (VAN's and bank's).

Header and bodies from published bean classes of a client. Bodies that those do not give are reserved bytes. Synthetic: the
response codes that the router itself gives.
"""

from construct import Struct

from telegram_router.telegrams import *

HEADER = Struct(
    "transaction_code" / Code(9, log="clear") * "식별코드 transaction code",
    "company_number" / Code(8, required=True, log="clear") * "업체번호 company number",
    "bank_code" / Code(2, log="clear") * "은행코드 bank code, superseded by bank_code_3",
    "message_type" / Code(4, required=True, log="clear") * "전문코드 message type",
    "business_code" / Code(3, digits=True, required=True, log="clear") * "업무구분 business code",
    "send_count" / Code(1, log="clear") * "송신횟수 send count: 1, or Y for a repeat",
    "message_number" / Code(6, digits=True, required=True, log="clear") * "전문번호 message number",
    "sent_at" / Time(14, form="YYYYMMDDhhmmss", blank="error", log="clear") * "전송일시 date and time sent",
    "ksnet_response" / Code(4, log="clear") * "KSNET응답코드 response code of the VAN",
    "bank_response" / Code(4, log="clear") * "은행응답코드 response code of the bank",
    "inquiry_date" / Date(8, log="clear") * "조회일자 date asked about",
    "inquiry_number" / Code(6, digits=True, log="clear") * "조회번호 message number asked about",
    "bank_number" / Code(15, log="clear") * "은행전문번호 the bank's own number",
    "bank_code_3" / Code(3, log="clear") * "은행코드3 bank code of three digits, in what was filler once",
    Filler(13) * "예비 reserved",
)

RESERVED = Struct(Filler(200) * "예비 reserved")


def transfer(plus, blank):
    """A reply signs its balance with `+`, a request leaves the sign blank."""
    return Struct(
        "parent_account" / Code(15, pii="account") * "모계좌번호 parent account",
        "password" / Code(8, pii="pin") * "비밀번호 password",
        "recovery_code" / Code(6, pii="pin") * "복기부호 recovery code",
        "amount" / Digits(13, blank=blank, log="clear") * "금액 amount",
        "balance_after" / Amount(13, plus=plus, log="clear") * "잔액 balance after it, with its sign",
        "deposit_bank_code" / Code(2, log="clear") * "입금은행 bank paid into",
        "deposit_account" / Code(15, pii="account") * "입금계좌 account paid into",
        "fee" / Digits(9, log="clear") * "수수료 fee",
        "transfer_time" / Time(6, log="clear") * "이체시각 time of the transfer",
        "depositor" / Text(20, pii="name") * "입금인성명 depositor",
        "cms_code" / Code(16, pii="account") * "CMS코드 CMS code",
        "id_number" / Code(13, pii="rrn") * "실명번호 registration number",
        "automatic_kind" / Code(2, log="clear") * "자동이체구분 kind of automatic transfer",
        "holder" / Text(20, pii="name") * "예금주 holder",
        "deposit_bank_code_3" / Code(3, log="clear") * "입금은행3 bank paid into, three digits",
        "is_payroll" / Code(1, log="clear") * "급여구분 payroll",
        Filler(37) * "예비 reserved",
    )


RESULT = Struct(
    "original_number" / Code(6, digits=True, log="clear") * "원전문번호 message number of the original",
    "withdrawal_account" / Code(15, pii="account") * "출금계좌 withdrawal account",
    "deposit_account" / Code(15, pii="account") * "입금계좌 account paid into",
    "amount" / Digits(13, log="clear") * "금액 amount",
    "fee" / Digits(9, log="clear") * "수수료 fee",
    "payout_number" / Code(15, log="clear") * "지급번호 payout number",
    "transfer_time" / Time(6, log="clear") * "이체시각 time of the transfer",
    "result" / Code(4, log="clear") * "처리결과 result",
    "deposit_bank_code" / Code(2, log="clear") * "은행 bank paid into",
    Filler(2) * "예비 reserved",
    "deposit_bank_code_3" / Code(3, log="clear") * "은행3 bank paid into, three digits",
    Filler(110) * "예비 reserved",
)

BALANCE = Struct(
    "account" / Code(15, pii="account") * "계좌번호 account",
    "balance" / Amount(13, log="clear") * "현재잔액 balance, with its sign",
    "cashier_checks" / Digits(13, log="clear") * "자기앞수표 cashier's checks",
    "personal_checks" / Digits(13, log="clear") * "가계수표 personal checks",
    "ordinary_checks" / Digits(13, log="clear") * "일반수표 ordinary checks",
    "payable_amount" / Digits(13, log="clear") * "지급가능금액 amount that can be paid out",
    Filler(119) * "예비 reserved",
)

DEPOSIT_NOTICE = Struct(
    "account" / Code(15, pii="account") * "계좌번호 account",
    "composed_count" / Digits(2, log="clear") * "조립건수 number of deals in this telegram",
    "deal_kind" / Code(2, log="clear") * "거래구분 kind of deal",
    "deal_bank_code" / Code(2, log="clear") * "은행 bank",
    "amount" / Digits(13, blank="error", log="clear") * "금액 amount",
    "balance_after" / Digits(13, log="clear") * "잔액 balance after it",
    "giro_number" / Code(6, digits=True, log="clear") * "지로번호 giro number",
    "depositor" / Text(14, pii="name") * "성명 name",
    "check_number" / Code(10) * "수표번호 check number",
    "cash" / Digits(13, log="clear") * "현금 cash",
    "other_bank_checks" / Digits(13, log="clear") * "타행수표 other banks' checks",
    "other" / Digits(13, log="clear") * "기타 other",
    "virtual_account" / Code(16, pii="account") * "가상계좌 virtual account",
    "deal_at" / Time(14, form="YYYYMMDDhhmmss", log="clear") * "거래일시 date and time of the deal",
    "deal_number" / Code(6, digits=True, log="clear") * "일련번호 number of the deal",
    "deal_bank_code_3" / Code(3, log="clear") * "은행3 bank, three digits",
    "branch" / Code(7, log="clear") * "지점 branch",
    Filler(38) * "예비 reserved",
)

spec = Family(
    name="ksnet",
    title="KSNET 펌뱅킹 firm banking, 300 bytes",
    version="1",
    encoding="cp949",
    framing=Framing(FixedSize(300), header=300),
    header=HEADER,
    length=300,
    key=("message_type", "business_code"),
    correlation=("company_number", "bank_code", "sent_at", "message_number"),
    owner="company_number",
    reply_rule=Plus("message_type", 10),
    errors=ErrorReply(
        field="header.ksnet_response",  # the router stands where the VAN stands; the bank's own code stays blank
        not_sent="K999",
        sent_unknown="K900",
        codes={
            "E-RTE-01": "K101",
            "E-RTE-05": "K102",
            "E-TXN-03": "K107",
            "E-DUP-01": "K103",
            "E-LIM-01": "K104",
            "E-LIM-04": "K105",
            "E-BCK-01": "K106",
            "E-BCK-05": "K905",
        },
    ),
    # The published classes open for business and do nothing else about the line. 0000 is yes, as in the VAN's sister families.
    conduct=Conduct(
        response="header.ksnet_response",
        accepted=("0000",),
        set={"header.send_count": "1", "header.message_number": NUMBER, "header.sent_at": NOW},
        sign_on=Formality("open.request"),
    ),
    # Of the moment: a telegram that is sent again has others. `inquiry_date` and `inquiry_number` name an earlier one.
    volatile={
        "sent_at": "clock",
        "message_number": "sequence",
        "inquiry_date": "ref_of sent_at",
        "inquiry_number": "ref_of message_number",
        "original_number": "ref_of message_number",
        "bank_number": "issued",
        "transfer_time": "clock.time",
    },
    messages=[
        Message("transfer.request", "이체 transfer (송금)", ("0100", "100"), transfer(" ", "error")),
        Message("transfer.response", "이체 응답 transfer reply", ("0110", "100"), transfer("+", "null"), kind="reply"),
        Message("other_bank_transfer.request", "타행이체 transfer to another bank", ("0100", "200"), transfer(" ", "error")),
        Message("other_bank_transfer.response", "타행이체 응답 reply", ("0110", "200"), transfer("+", "null"), kind="reply"),
        Message("deposit_notice.request", "거래내역통지 deposit notice (수신)", ("0200", "300"), DEPOSIT_NOTICE),
        Message("failure_notice.request", "처리불능통지 failure notice", ("0400", "100"), RESERVED),
        Message("result.request", "처리결과조회 result of a transfer", ("0600", "100"), RESULT),
        Message("balance.request", "잔액조회 balance", ("0600", "300"), BALANCE),
        Message("totals.request", "집계 totals", ("0700", "100"), RESERVED),
        Message("open.request", "업무개시 open for business", ("0800", "100"), RESERVED),
        Message("virtual_account.request", "가상계좌등록 virtual account", ("0900", "100"), RESERVED),
    ],
)
