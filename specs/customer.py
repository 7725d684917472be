"""CUSTOMER-RECORD of the copybook customer.cpy, as IBM's COBOL lays it out, with text in cp933.

Written by `telegram-router spec import`. Behind each field stand its offset and what the copybook says.
What a field says of people (`pii`) is on no copybook: it was added by hand.
"""

from telegram_router.telegrams import *

CUST_KEY = Struct(
    "cust_branch" / Digits(4) * "관리점번호 branch CUST-BRANCH",  # 0: PIC 9(4)
    "cust_number" / Digits(9, pii="account") * "고객번호 number CUST-NUMBER",  # 4: PIC 9(9)
)

CUST_TYPE_CODES = {"P": "CUST-PERSON", "C": "CUST-COMPANY", "G": "CUST-PUBLIC"}

CUST_STATUS_CODES = {("10", "19"): "CUST-DORMANT", "00": "CUST-ACTIVE", "90": "CUST-CLOSED", "99": "CUST-CLOSED"}

CUST_PERSON_DATA = Struct(
    "person_name" / Text(20, pii="name") * "성명 name PERSON-NAME",  # 16: PIC X(20)
    "person_born" / Digits(8, pii="rrn") * "생년월일 born PERSON-BORN",  # 36: PIC 9(8)
    "person_sex" / Code(1, {"M": "PERSON-MALE", "F": "PERSON-FEMALE"}, pii="free") * "성별 sex PERSON-SEX",  # 44: PIC X
    "person_job" / Digits(3, pii="free") * "직업코드 job PERSON-JOB",  # 45: PIC 9(3)
)

CUST_COMPANY_DATA = Struct(
    "company_name" / Text(22, pii="name") * "상호 name COMPANY-NAME",  # 16: PIC X(22)
    "company_number" / Digits(10, pii="rrn") * "사업자번호 number COMPANY-NUMBER",  # 38: PIC 9(10)
)

CUST_OPENED_PARTS = Struct(
    "opened_year" / Digits(4) * "OPENED-YEAR",  # 48: PIC 9(4)
    "opened_month" / Digits(2) * "OPENED-MONTH",  # 52: PIC 99
    "opened_day" / Digits(2) * "OPENED-DAY",  # 54: PIC 99
)

ACCOUNT_KIND_CODES = {"11": "ACCOUNT-DEMAND", "21": "ACCOUNT-SAVING", "31": "ACCOUNT-LOAN"}

ACCOUNTS = Struct(
    "account_number" / Text(14, pii="account") * "계좌번호 account ACCOUNT-NUMBER",  # 118: PIC X(14)
    "account_kind" / Code(2, ACCOUNT_KIND_CODES) * "과목 kind ACCOUNT-KIND",  # 132: PIC X(2)
    "account_balance" / Packed(15, scale=2) * "잔액 ACCOUNT-BALANCE",  # 134: PIC S9(13)V99 COMP-3
    "account_events" / Binary(2, digits=4, signed=False) * "거래건수 ACCOUNT-EVENTS",  # 142: PIC 9(4) COMP
)

CUSTOMER_RECORD = Struct(
    "cust_key" / CUST_KEY * "CUST-KEY",  # 0
    "cust_type" / Code(1, CUST_TYPE_CODES) * "고객구분 kind CUST-TYPE",  # 13: PIC X
    "cust_status" / Code(2, CUST_STATUS_CODES, digits=True) * "상태코드 status CUST-STATUS",  # 14: PIC 99
    # 16: the same bytes, seen in one of several ways: CUST-PERSON-DATA (line 17); CUST-COMPANY-DATA (line 24)
    Redefines(
        by="cust_type",
        views={
            "cust_person_data": CUST_PERSON_DATA * "개인 person CUST-PERSON-DATA",
            "cust_company_data": CUST_COMPANY_DATA * "CUST-COMPANY-DATA",
        },
        when={"C": "cust_company_data", "G": "cust_company_data"},
        default="cust_person_data",
    ),
    # 48: the same bytes, seen in one of several ways: CUST-OPENED (line 27) PIC 9(8); CUST-OPENED-PARTS (line 28)
    Redefines(
        views={"cust_opened": Digits(8) * "개설일자 opened on CUST-OPENED", "cust_opened_parts": CUST_OPENED_PARTS * "CUST-OPENED-PARTS"},
    ),
    "cust_balance" / Packed(15, scale=2) * "총잔액 CUST-BALANCE",  # 56: PIC S9(13)V99 COMP-3
    "cust_credit_limit" / Binary(4, digits=9) * "한도 CUST-CREDIT-LIMIT",  # 64: PIC S9(9) COMP
    "cust_rate" / Packed(5, scale=5) * "금리 CUST-RATE",  # 68: PIC SV9(5) COMP-3
    "cust_last_change" / Zoned(9, scale=2, sign="leading separate") * "증감 CUST-LAST-CHANGE",  # 71: PIC S9(7)V99 SIGN LEADING SEPARATE
    "cust_points" / Zoned(7) * "포인트 CUST-POINTS",  # 81: PIC S9(7)
    "cust_phones" / Occurs(2, Text(12, pii="phone")) * "전화번호 CUST-PHONES",  # 88: OCCURS 2 TIMES PIC X(12)
    Filler(4) * "FILLER",  # 112: PIC X(4)
    "account_count" / Digits(2) * "계좌수 accounts ACCOUNT-COUNT",  # 116: PIC 9(2)
    # 118: OCCURS 0 TO 5 TIMES DEPENDING ON ACCOUNT-COUNT INDEXED BY ACCOUNT-INDEX
    "accounts" / Occurs(between(0, 5, depending="account_count"), ACCOUNTS) * "ACCOUNTS",
)

spec = Family(
    name="customer",
    title="고객 원장 customer",
    encoding="cp933",
    framing=Framing(FixedSize(248)),
    header=Struct(),
    key=(),
    correlation=(),
    messages=[
        Message("customer_record", "고객 원장 customer CUSTOMER-RECORD", (), CUSTOMER_RECORD, kind="oneway"),
    ],
)
