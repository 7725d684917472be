"""펌뱅킹 firm banking: telegrams of 300 bytes between a company and its banks, through a VAN.

Layouts from the published Hecto Financial telegram design (실시간펌뱅킹전문설계서, March 2024). Bodies that it does not
give are reserved bytes. Marked synthetic: the credit (여신) telegrams, and the response codes SB01 to SB99 as used here.
"""

from construct import Struct

from telegram_router.telegrams import *

HEADER = Struct(
    "transaction_code" / Fixed("SETTLEBNK", or_blank=True) * "식별코드 transaction code",
    "company_number" / Code(12, required=True, log="clear") * "업체번호 company number",
    "bank_code" / Code(3, digits=True, log="clear") * "은행코드 bank code",
    "message_type" / Code(4, required=True, log="clear") * "전문구분코드 message type",
    "business_code" / Code(3, required=True, log="clear") * "업무구분코드 business code",
    "send_count" / Digits(1, log="clear") * "송신회수 send count",
    "message_number" / Code(6, digits=True, required=True, log="clear") * "전문번호 message number",
    "sent_date" / Date(8, blank="error", log="clear") * "전송일자 date sent",
    "sent_time" / Time(6, log="clear") * "전송시간 time sent",
    "response_code" / Code(4, log="clear") * "응답코드 response code",
    Filler(15) * "예비영역1 reserved 1",
    Filler(11) * "예비영역2 reserved 2",
    Filler(18) * "예비영역3 reserved 3",
)

RESERVED = Struct(Filler(200) * "예비 reserved")


def withdrawal(plus, blank):
    """The first 83 bytes of a transfer and of a collection. A reply signs its balance with `+`, a request leaves the sign blank."""
    return [
        "withdrawal_account" / Code(15, pii="account") * "출금계좌번호 withdrawal account",
        "passbook_password" / Code(8, pii="pin") * "통장비밀번호 passbook password",
        "recovery_code" / Code(6, pii="pin") * "복기부호 recovery code",
        "amount" / Digits(13, blank=blank, log="clear") * "출금금액 withdrawal amount",
        "balance_after" / Amount(13, plus=plus, log="clear") * "출금후잔액 balance after withdrawal, with its sign",
        "deposit_bank_code" / Code(3, digits=True, log="clear") * "입금은행코드 bank paid into",
        "deposit_account" / Code(15, pii="account") * "입금계좌번호 account paid into",
        "fee" / Digits(9, log="clear") * "수수료 fee",
    ]


def transfer(plus, blank):
    return Struct(
        *withdrawal(plus, blank),
        "cms_code" / Code(16, pii="account") * "CMS코드 CMS code",
        "memo" / Text(14, pii="free") * "적요 text in the passbook",
        "deposit_id_number" / Code(13, pii="rrn") * "입금계좌실명번호 payee's registration number",
        "deposit_holder" / Text(12, pii="name") * "입금계좌예금주명 payee's name",
        "original_number" / Code(6, log="clear") * "원거래전문번호 message number of the original",
        "fee_waiver" / Code(1, log="clear") * "수수료면제구분 fee waiver",
        "fund_kind" / Code(2, log="clear") * "자금성격구분 kind of funds",
        Filler(53) * "예비 reserved",
    )


def collection(plus, blank):
    return Struct(
        *withdrawal(plus, blank),
        "memo" / Text(14, pii="free") * "적요 text in the passbook",
        "withdrawal_id_number" / Code(13, pii="rrn") * "출금계좌실명번호 payer's registration number",
        "withdrawal_holder" / Text(12, pii="name") * "출금계좌예금주명 payer's name",
        "cms_code" / Code(16, pii="account") * "CMS코드 CMS code",
        "check_amount" / Digits(13, log="clear") * "자기앞수표출금액 cashier's check amount",
        "payer_number" / Code(20, pii="account") * "납부자번호 payer number",
        "institution_code" / Code(10, log="clear") * "펌뱅킹기관코드 firm banking institution",
        "reseller_area" / Text(18, pii="free") * "재판매기관영역 reseller's area",
        Filler(1) * "예비 reserved",
    )


FAILURE_NOTICE = Struct(
    "original_number" / Code(6, digits=True, log="clear") * "원거래전문번호 message number of the original",
    "withdrawal_account" / Code(15, pii="account") * "출금계좌번호 withdrawal account",
    "deposit_bank_code" / Code(3, digits=True, log="clear") * "입금은행코드 bank paid into",
    "deposit_account" / Code(15, pii="account") * "입금계좌번호 account paid into",
    "requested_amount" / Digits(13, log="clear") * "의뢰금액 amount asked for",
    "processed_amount" / Digits(13, log="clear") * "정상처리금액 amount processed",
    "failed_amount" / Digits(13, log="clear") * "처리불능금액 amount not processed",
    "part_count" / Digits(2, log="clear") * "분할처리건수 number of parts",
    "part_number" / Digits(2, log="clear") * "분할처리번호 part number",
    "other_bank_number" / Code(6, digits=True, log="clear") * "타행전문번호 other bank's message number",
    "failure_amount" / Digits(13, log="clear") * "입금불능통지금액 amount of this notice",
    "error_code" / Code(4, log="clear") * "ERROR CODE",
    "network_number" / Code(13) * "공동망고유거래번호 interbank transaction number",
    Filler(82) * "예비 reserved",
)

DEPOSIT_NOTICE = Struct(
    "account" / Code(15, pii="account") * "거래계좌번호 account",
    "giro_number" / Code(7, log="clear") * "GIRO번호 giro number",
    "direction"
    / Code(
        2,
        {
            "11": "입금 deposit",
            "21": "출금 withdrawal",
            "31": "입금취소 deposit cancelled",
            "32": "출금취소 withdrawal cancelled",
            "99": "기타 other",
        },
        required=True,
        log="clear",
    )
    * "입출취소구분 direction",
    "deal_kind" / Code(2, log="clear") * "거래구분 kind of deal",
    "amount" / Digits(13, blank="error", log="clear") * "거래금액 amount",
    "cash_amount" / Digits(13, log="clear") * "현금성금액 cash part",
    "other_bank_amount" / Digits(13, log="clear") * "타점권금액 other banks' checks",
    "balance_after" / Amount(13, log="clear") * "거래후잔액 balance after it, with its sign",
    "depositor" / Text(12, pii="name") * "입출금자성명 depositor",
    "check_number" / Code(10) * "수표번호 check number",
    "deal_date" / Date(8, log="clear") * "거래일자 date of the deal",
    "deal_time" / Time(6, log="clear") * "거래시간 time of the deal",
    "deal_number" / Code(6, digits=True, log="clear") * "거래일련번호 number of the deal",
    "original_deal_number" / Code(6, digits=True, log="clear") * "취소시원거래일련번호 number of the cancelled deal",
    "original_date" / Date(8, blank="zeros", log="clear") * "원거래일자 date of the cancelled deal",
    "cms_or_id_number" / Code(16, pii="account") * "CMS/실명번호 CMS code or registration number",
    "cashier_check_amount" / Digits(13, log="clear") * "자기앞수표금액 cashier's checks",
    "personal_check_amount" / Digits(13, log="clear") * "가계수표금액 personal checks",
    "holder" / Text(20, pii="name") * "성명 name",
    "amount_kind" / Code(2, log="clear") * "금액구분 kind of amount",
    Filler(1) * "예비 reserved",
)

PAYEE_NAME = Struct(
    "account" / Code(15, pii="account") * "계좌번호 account",
    "id_number" / Code(13, pii="rrn") * "실명번호 registration number",
    "holder" / Text(12, pii="name") * "예금주명1 holder",
    "account_bank_code" / Code(3, log="clear") * "은행코드 bank of the account",
    "amount" / Digits(13, log="clear") * "금액 amount",
    "parent_account" / Code(15, pii="account") * "모계좌번호 parent account",
    "check_kind" / Code(2, log="clear") * "체크구분 kind of check",
    "holder_full" / Text(20, pii="name") * "예금주명2 holder, longer",
    "is_fixed" / Code(1, log="clear") * "고정여부 fixed or not",
    "state" / Code(1, log="clear") * "상태 state",
    "state_date" / Date(8, log="clear") * "상태일자 date of the state",
    "registrar" / Code(2, log="clear") * "등록기관 registrar",
    "product_code" / Code(8, log="clear") * "상품코드 product",
    Filler(87) * "예비 reserved",
)

RESULT = Struct(
    "original_number" / Code(6, digits=True, log="clear") * "원거래전문번호 message number of the original",
    "withdrawal_account" / Code(15, pii="account") * "출금계좌번호 withdrawal account",
    "deposit_bank_code" / Code(3, digits=True, log="clear") * "입금은행코드 bank paid into",
    "deposit_account" / Code(15, pii="account") * "입금계좌번호 account paid into",
    "requested_amount" / Digits(13, log="clear") * "의뢰금액 amount asked for",
    "processed_amount" / Digits(13, log="clear") * "정상처리금액 amount processed",
    "failed_amount" / Digits(13, log="clear") * "처리불능금액 amount not processed",
    "fee" / Digits(9, log="clear") * "수수료 fee",
    "transfer_time" / Time(6, log="clear") * "이체시간 time of the transfer",
    "result" / Code(4, log="clear") * "처리결과 result: 0000, or NREC for none on record",
    "inquiry_kind" / Code(2, digits=True, log="clear") * "조회구분 kind of inquiry",
    Filler(101) * "예비 reserved",
)

BALANCE = Struct(
    "account" / Code(15, pii="account") * "계좌번호 account",
    "credit_limit" / Digits(13, log="clear") * "대월한도 overdraft limit",
    "ledger_balance" / Amount(13, log="clear") * "원장잔액 ledger balance, with its sign",
    "cash" / Digits(13, log="clear") * "현금 cash",
    "cashier_checks" / Digits(13, log="clear") * "보수 cashier's checks",
    "other_checks" / Digits(13, log="clear") * "기타타점 other banks' checks",
    "payable_amount" / Amount(13, log="clear") * "실지급가능금액 amount that can be paid out, with its sign",
    Filler(105) * "예비 reserved",
)

CREDIT = Struct(
    "loan_account" / Code(15, pii="account") * "여신계좌번호 loan account",
    "borrower" / Text(20, pii="name") * "차주성명 borrower",
    "borrower_id_number" / Code(13, pii="rrn") * "실명번호 registration number",
    "product_code" / Code(8, log="clear") * "상품코드 product",
    "action" / Code(2, {"01": "실행 drawdown", "02": "상환 repayment", "03": "조회 inquiry"}, required=True, log="clear") * "업무 action",
    "amount" / Digits(13, blank="error", log="clear") * "금액 amount",
    "interest_rate" / Digits(7, scale=5, log="clear") * "이자율 interest rate in percent",
    "loan_balance" / Amount(13, log="clear") * "대출잔액 loan balance, with its sign",
    "due_date" / Date(8, log="clear") * "만기일자 due date",
    "payout_account" / Code(15, pii="account") * "입금계좌번호 account paid into",
    "memo" / Text(20, pii="free") * "적요 text in the passbook",
    Filler(65) * "예비 reserved",
)

spec = Family(
    name="firmbanking",
    title="펌뱅킹 firm banking, 300 bytes",
    version="2024.03",
    encoding="cp949",
    # The four digits in front do not count themselves: "0300", then 300 bytes.
    framing=Framing(
        LengthField(offset=0, width=4, kind="ascii", counts="payload"), polls=[Poll(b"HDRREQPOLL", b"HDRRESPOLL", echo=10)], header=100
    ),
    header=HEADER,
    length=300,
    key=("message_type", "business_code"),
    # 전문번호 is unique for company, bank and day. 송신회수 is no part of it: a repeat is the same request.
    correlation=("company_number", "bank_code", "sent_date", "message_number"),
    owner="company_number",
    reply_rule=Plus("message_type", 100),
    errors=ErrorReply(
        field="header.response_code",
        not_sent="SB99",
        sent_unknown="VTIM",  # 세션 타임아웃: the result is unknown, ask with 7000/100
        codes={
            "E-RTE-01": "SB01",
            "E-RTE-04": "SB02",
            "E-RTE-05": "SB03",
            "E-TXN-03": "SB09",
            "E-DUP-01": "SB04",
            "E-LIM-01": "SB05",
            "E-LIM-04": "SB06",
            "E-BCK-01": "SB07",
            "E-BCK-09": "SB08",
            "E-FRM-07": "SB11",
            "E-FRM-08": "SB12",
            "E-FLD-01": "SB21",
            "E-FLD-03": "SB23",
            "E-FLD-06": "SB26",
            "E-FLD-07": "SB27",
            "E-ENC-01": "SB31",
            "E-ENC-04": "SB34",
        },
    ),
    # 개시 before work each day, 종료 after it; 0000 is yes.
    conduct=Conduct(
        response="header.response_code",
        accepted=("0000",),
        set={
            "header.send_count": 1,
            "header.message_number": NUMBER,
            "header.sent_date": TODAY,
            "header.sent_time": NOW,
        },
        sign_on=Formality("open.request"),
        sign_off=Formality("close.request"),
        echo=Formality("test.request"),
    ),
    # Of the moment: a telegram that is sent again has others. An inquiry names the number of the transfer that it asks about.
    volatile={
        "sent_date": "clock.date",
        "sent_time": "clock.time",
        "message_number": "sequence",
        "original_number": "ref_of message_number",
        "transfer_time": "clock.time",
    },
    messages=[
        Message("open.request", "업무개시 open for business", ("1000", "100"), RESERVED),
        Message("close.request", "업무종료 close for the day", ("1000", "200"), RESERVED),
        Message("test.request", "회선시험 line test", ("1000", "500"), RESERVED),
        Message("transfer.request", "지급이체 transfer (송금)", ("2000", "100"), transfer(" ", "error")),
        Message("transfer.response", "지급이체 응답 transfer reply", ("2100", "100"), transfer("+", "null"), kind="reply"),
        Message("collection.request", "집금 collection", ("2000", "200"), collection(" ", "error")),
        Message("collection.response", "집금 응답 collection reply", ("2100", "200"), collection("+", "null"), kind="reply"),
        Message("recall.request", "지급이체 회수 recall", ("2000", "161"), RESERVED),
        Message("registration_550.request", "등록 550 registration", ("2000", "550"), RESERVED),
        Message("registration_650.request", "등록 650 registration", ("2000", "650"), RESERVED),
        Message("failure_notice.request", "타행이체 처리불능통지 other bank's failure notice", ("3000", "100"), FAILURE_NOTICE),
        Message("failure_gap.request", "처리불능 결번요구 failure notices missed", ("3000", "200"), RESERVED),
        Message("deposit_notice.request", "거래내역통지 deposit notice (수신)", ("4000", "100"), DEPOSIT_NOTICE),
        Message("deposit_gap.request", "거래내역 결번요구 deposit notices missed", ("4000", "200"), RESERVED),
        Message("fx_notice_300.request", "외화 거래통지 300 foreign currency notice", ("4000", "300"), RESERVED),
        Message("fx_notice_400.request", "외화 거래통지 400 foreign currency notice", ("4000", "400"), RESERVED),
        Message("bill_notice_500.request", "어음 통지 500 bills", ("4000", "500"), RESERVED),
        Message("bill_notice_600.request", "어음 통지 600 bills", ("4000", "600"), RESERVED),
        Message("credit.request", "여신 credit", ("5000", "100"), CREDIT, synthetic=True),
        Message("payee_name.request", "예금주조회 payee's name", ("6000", "100"), PAYEE_NAME),
        Message("result.request", "처리결과조회 result of a transfer", ("7000", "100"), RESULT),
        Message("balance.request", "잔액조회 balance", ("7000", "200"), BALANCE),
        Message("totals_300.request", "집계 300 totals", ("7000", "300"), RESERVED),
        Message("totals_400.request", "집계 400 totals", ("7000", "400"), RESERVED),
        Message("notices_500.request", "통지 500 notices", ("7000", "500"), RESERVED),
    ],
)
