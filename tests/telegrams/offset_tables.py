"""The published offset tables, copied by hand: name, offset, length, what is in it. Nothing here knows our field classes.

What is in it:
    k   the constant SETTLEBNK, or blank         x   text in cp949
    c   ASCII code, c! not blank                 n   digits or blank, n! not blank
    9   number or blank, 9! not blank            +   a sign byte, then a number; or blank
    d   YYYYMMDD or blank, d! not blank, d0 or zeros
    t   hhmmss or blank                          m   YYYYMMDDhhmmss or blank, m! not blank
    L   length of the telegram                   f   reserved
    =   a constant, named behind the sign
    %   a number with five decimals, or blank
"""

Row = tuple[str, int, int, str]


def table(text: str) -> list[Row]:
    rows = [line.split() for line in text.strip().splitlines()]
    return [(name, int(offset), int(length), what) for name, offset, length, what in rows]


FIRMBANKING_HEADER = table("""
transaction_code 0 9 k
company_number 9 12 c!
bank_code 21 3 n
message_type 24 4 c!
business_code 28 3 c!
send_count 31 1 9
message_number 32 6 n!
sent_date 38 8 d!
sent_time 46 6 t
response_code 52 4 c
- 56 15 f
- 71 11 f
- 82 18 f
""")

RESERVED_200 = table("- 100 200 f")

TRANSFER = table("""
withdrawal_account 100 15 c
passbook_password 115 8 c
recovery_code 123 6 c
amount 129 13 9!
balance_after 142 14 +
deposit_bank_code 156 3 n
deposit_account 159 15 c
fee 174 9 9
cms_code 183 16 c
memo 199 14 x
deposit_id_number 213 13 c
deposit_holder 226 12 x
original_number 238 6 c
fee_waiver 244 1 c
fund_kind 245 2 c
- 247 53 f
""")

COLLECTION = table("""
withdrawal_account 100 15 c
passbook_password 115 8 c
recovery_code 123 6 c
amount 129 13 9!
balance_after 142 14 +
deposit_bank_code 156 3 n
deposit_account 159 15 c
fee 174 9 9
memo 183 14 x
withdrawal_id_number 197 13 c
withdrawal_holder 210 12 x
cms_code 222 16 c
check_amount 238 13 9
payer_number 251 20 c
institution_code 271 10 c
reseller_area 281 18 x
- 299 1 f
""")

FAILURE_NOTICE = table("""
original_number 100 6 n
withdrawal_account 106 15 c
deposit_bank_code 121 3 n
deposit_account 124 15 c
requested_amount 139 13 9
processed_amount 152 13 9
failed_amount 165 13 9
part_count 178 2 9
part_number 180 2 9
other_bank_number 182 6 n
failure_amount 188 13 9
error_code 201 4 c
network_number 205 13 c
- 218 82 f
""")

DEPOSIT_NOTICE = table("""
account 100 15 c
giro_number 115 7 c
direction 122 2 direction
deal_kind 124 2 c
amount 126 13 9!
cash_amount 139 13 9
other_bank_amount 152 13 9
balance_after 165 14 +
depositor 179 12 x
check_number 191 10 c
deal_date 201 8 d
deal_time 209 6 t
deal_number 215 6 n
original_deal_number 221 6 n
original_date 227 8 d0
cms_or_id_number 235 16 c
cashier_check_amount 251 13 9
personal_check_amount 264 13 9
holder 277 20 x
amount_kind 297 2 c
- 299 1 f
""")

PAYEE_NAME = table("""
account 100 15 c
id_number 115 13 c
holder 128 12 x
account_bank_code 140 3 c
amount 143 13 9
parent_account 156 15 c
check_kind 171 2 c
holder_full 173 20 x
is_fixed 193 1 c
state 194 1 c
state_date 195 8 d
registrar 203 2 c
product_code 205 8 c
- 213 87 f
""")

RESULT = table("""
original_number 100 6 n
withdrawal_account 106 15 c
deposit_bank_code 121 3 n
deposit_account 124 15 c
requested_amount 139 13 9
processed_amount 152 13 9
failed_amount 165 13 9
fee 178 9 9
transfer_time 187 6 t
result 193 4 c
inquiry_kind 197 2 n
- 199 101 f
""")

BALANCE = table("""
account 100 15 c
credit_limit 115 13 9
ledger_balance 128 14 +
cash 142 13 9
cashier_checks 155 13 9
other_checks 168 13 9
payable_amount 181 14 +
- 195 105 f
""")

CREDIT = table("""
loan_account 100 15 c
borrower 115 20 x
borrower_id_number 135 13 c
product_code 148 8 c
action 156 2 action
amount 158 13 9!
interest_rate 171 7 %
loan_balance 178 14 +
due_date 192 8 d
payout_account 200 15 c
memo 215 20 x
- 235 65 f
""")

KSNET_HEADER = table("""
transaction_code 0 9 c
company_number 9 8 c!
bank_code 17 2 c
message_type 19 4 c!
business_code 23 3 n!
send_count 26 1 c
message_number 27 6 n!
sent_at 33 14 m!
ksnet_response 47 4 c
bank_response 51 4 c
inquiry_date 55 8 d
inquiry_number 63 6 n
bank_number 69 15 c
bank_code_3 84 3 c
- 87 13 f
""")

# The published tables of these bodies count from the body's first byte.
KSNET_TRANSFER = table("""
parent_account 0 15 c
password 15 8 c
recovery_code 23 6 c
amount 29 13 9!
balance_after 42 14 +
deposit_bank_code 56 2 c
deposit_account 58 15 c
fee 73 9 9
transfer_time 82 6 t
depositor 88 20 x
cms_code 108 16 c
id_number 124 13 c
automatic_kind 137 2 c
holder 139 20 x
deposit_bank_code_3 159 3 c
is_payroll 162 1 c
- 163 37 f
""")

KSNET_RESULT = table("""
original_number 0 6 n
withdrawal_account 6 15 c
deposit_account 21 15 c
amount 36 13 9
fee 49 9 9
payout_number 58 15 c
transfer_time 73 6 t
result 79 4 c
deposit_bank_code 83 2 c
- 85 2 f
deposit_bank_code_3 87 3 c
- 90 110 f
""")

KSNET_BALANCE = table("""
account 0 15 c
balance 15 14 +
cashier_checks 29 13 9
personal_checks 42 13 9
ordinary_checks 55 13 9
payable_amount 68 13 9
- 81 119 f
""")

KSNET_DEPOSIT_NOTICE = table("""
account 0 15 c
composed_count 15 2 9
deal_kind 17 2 c
deal_bank_code 19 2 c
amount 21 13 9!
balance_after 34 13 9
giro_number 47 6 n
depositor 53 14 x
check_number 67 10 c
cash 77 13 9
other_bank_checks 90 13 9
other 103 13 9
virtual_account 116 16 c
deal_at 132 14 m
deal_number 146 6 n
deal_bank_code_3 152 3 c
branch 155 7 c
- 162 38 f
""")

HMFB_HEADER = table("""
total_length 0 4 L
- 4 6 =DHRTCP
- 10 2 =IN
- 12 8 f
transaction_code 20 9 c
company_number 29 12 c!
bank_code 41 2 n
message_type 43 4 c!
business_code 47 3 c!
send_count 50 1 9
message_number 51 6 n!
sent_date 57 8 d!
sent_time 65 6 t
response_code 71 4 c
- 75 9 f
- 84 15 f
- 99 11 f
- 110 1 f
- 111 9 f
""")

HMFB_TRANSFER = table("""
withdrawal_account 0 15 c
passbook_password 15 8 c
recovery_code 23 6 c
amount 29 13 9!
balance_after 42 14 +
deposit_bank_code 56 2 n
deposit_account 58 15 c
fee 73 9 9
memo 82 14 x
deposit_holder 96 12 x
- 108 92 f
""")

DIRECTIONS = ("11", "21", "31", "32", "99")
ACTIONS = ("01", "02", "03")


def moved(rows: list[Row], by: int) -> list[Row]:
    return [(name, offset + by, length, what) for name, offset, length, what in rows]


def reply(rows: list[Row]) -> list[Row]:
    """The replies to transfer and collection may leave the amount blank."""
    return [(name, offset, length, "9" if name == "amount" else what) for name, offset, length, what in rows]


def tables() -> dict[str, dict[tuple[str, str], list[Row]]]:
    """Rows of every telegram by family and by (type, business code)."""
    firm, ksnet, hmfb = FIRMBANKING_HEADER, KSNET_HEADER, HMFB_HEADER
    reserved, ks, hm = RESERVED_200, 100, 120
    bodies_of_firm = {
        ("1000", "100"): reserved, ("1000", "200"): reserved, ("1000", "500"): reserved,
        ("2000", "100"): TRANSFER, ("2000", "200"): COLLECTION, ("2000", "161"): reserved, ("2000", "550"): reserved, ("2000", "650"): reserved,
        ("3000", "100"): FAILURE_NOTICE, ("3000", "200"): reserved,
        ("4000", "100"): DEPOSIT_NOTICE, **{("4000", code): reserved for code in ("200", "300", "400", "500", "600")},
        ("5000", "100"): CREDIT, ("6000", "100"): PAYEE_NAME,
        ("7000", "100"): RESULT, ("7000", "200"): BALANCE, **{("7000", code): reserved for code in ("300", "400", "500")},
    }  # fmt: skip
    replies_of_firm = {
        (str(int(type_) + 100), code): reply(body) if type_ == "2000" else body for (type_, code), body in bodies_of_firm.items()
    }
    bodies_of_ksnet = {
        ("0100", "100"): moved(KSNET_TRANSFER, ks), ("0100", "200"): moved(KSNET_TRANSFER, ks), ("0200", "300"): moved(KSNET_DEPOSIT_NOTICE, ks),
        ("0400", "100"): reserved, ("0600", "100"): moved(KSNET_RESULT, ks), ("0600", "300"): moved(KSNET_BALANCE, ks),
        ("0700", "100"): reserved, ("0800", "100"): reserved, ("0900", "100"): reserved,
    }  # fmt: skip
    replies_of_ksnet = {
        (f"{int(type_) + 10:04}", code): reply(body) if type_ == "0100" else body for (type_, code), body in bodies_of_ksnet.items()
    }
    in_hmfb = moved(reserved, 20)
    bodies_of_hmfb = {
        ("1000", "100"): in_hmfb,
        ("2000", "100"): moved(HMFB_TRANSFER, hm),
        ("4000", "100"): in_hmfb,
        ("7000", "200"): in_hmfb,
    }
    replies_of_hmfb = {
        (str(int(type_) + 100), code): reply(body) if type_ == "2000" else body for (type_, code), body in bodies_of_hmfb.items()
    }
    return {
        "firmbanking": {key: firm + body for key, body in (bodies_of_firm | replies_of_firm).items()},
        "ksnet": {key: ksnet + body for key, body in (bodies_of_ksnet | replies_of_ksnet).items()},
        "hmfb": {key: hmfb + body for key, body in (bodies_of_hmfb | replies_of_hmfb).items()},
    }


TABLES = tables()
