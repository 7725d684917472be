"""全銀 総合振込: the bulk transfer file of Japanese banks, records of 120 bytes: header, transfers, trailer, end.

Layout from the banks' published guides to the Zengin format. Names are half-width kana, one byte each, a voicing mark is a byte of
its own. Records stand one behind the other; a file whose records end in CR LF has 122 bytes a record: take the line ends off first.
"""

from construct import Struct

from telegram_router.telegrams import *

CODES = {"0": "JIS", "1": "EBCDIC"}
KINDS = {
    "21": "総合振込 bulk transfer",
    "11": "給与振込 payroll",
    "12": "賞与振込 bonus",
    "71": "給与振込 payroll (public bodies)",
    "72": "賞与振込 bonus (public bodies)",
}
ACCOUNTS = {"1": "普通 ordinary", "2": "当座 current", "4": "貯蓄 savings", "9": "その他 other"}

RECORD = Struct("record_type" / Code(1, required=True, log="clear") * "データ区分 kind of record")

HEADER = Struct(
    "kind" / Code(2, KINDS, required=True, log="clear") * "種別コード kind of transfers",
    "code_kind" / Code(1, CODES, log="clear") * "コード区分 character code",
    "client_code" / Code(10, digits=True, required=True, log="clear") * "委託者コード client code",
    "client_name" / Text(40, pii="name") * "委託者名 client's name",
    "transfer_date" / Date(4, form="MMDD", blank="error", log="clear") * "振込指定日 day of the transfers",
    "bank_code" / Code(4, digits=True, required=True, log="clear") * "仕向銀行番号 bank sending",
    "bank_name" / Text(15, log="clear") * "仕向銀行名 its name",
    "branch_code" / Code(3, digits=True, required=True, log="clear") * "仕向支店番号 branch sending",
    "branch_name" / Text(15, log="clear") * "仕向支店名 its name",
    "account_kind" / Code(1, {code: ACCOUNTS[code] for code in "129"}, log="clear") * "預金種目 kind of account",
    "account" / Code(7, digits=True, pii="account") * "口座番号 account",
    Filler(17) * "ダミー reserved",
)

TRANSFER = Struct(
    "bank_code" / Code(4, digits=True, required=True, log="clear") * "被仕向銀行番号 bank receiving",
    "bank_name" / Text(15, log="clear") * "被仕向銀行名 its name",
    "branch_code" / Code(3, digits=True, required=True, log="clear") * "被仕向支店番号 branch receiving",
    "branch_name" / Text(15, log="clear") * "被仕向支店名 its name",
    "clearing_house" / Code(4, log="clear") * "手形交換所番号 clearing house",
    "account_kind" / Code(1, ACCOUNTS, required=True, log="clear") * "預金種目 kind of account",
    "account" / Code(7, digits=True, required=True, pii="account") * "口座番号 account",
    "payee" / Text(30, required=True, pii="name") * "受取人名 payee",
    "amount" / Digits(10, blank="error", log="clear") * "振込金額 amount in yen",
    "new_code" / Code(1, log="clear") * "新規コード first transfer to this payee",
    # Twenty bytes seen in two ways, which a byte behind them decides.
    Redefines(
        by="identification",
        views={
            "customer_codes": Struct(
                "first" / Code(10, log="clear") * "顧客コード1 first customer code",
                "second" / Code(10, log="clear") * "顧客コード2 second customer code",
            )
            * "顧客コード customer codes",
            "edi": Text(20, pii="free") * "EDI情報 EDI information",
        },
        when={"": "customer_codes", "Y": "edi"},
    ),
    "transfer_kind" / Code(1, log="clear") * "振込指定区分 kind of transfer",
    "identification" / Code(1, {"Y": "EDI"}, log="clear") * "識別表示 Y: the twenty bytes above are EDI information",
    Filler(7) * "ダミー reserved",
)

TRAILER = Struct(
    "count" / Digits(6, blank="error", log="clear") * "合計件数 number of transfers",
    "total" / Digits(12, blank="error", log="clear") * "合計金額 sum in yen",
    Filler(101) * "ダミー reserved",
)

spec = Family(
    name="zengin",
    title="全銀 総合振込 bulk transfer, records of 120 bytes",
    version="1",
    encoding="cp932",
    framing=Framing(FixedSize(120), header=120),
    header=RECORD,
    length=120,
    key=("record_type",),
    correlation=(),
    messages=[
        Message("header", "ヘッダー header", ("1",), HEADER, kind="oneway"),
        Message("transfer", "データ transfer", ("2",), TRANSFER, kind="oneway"),
        Message("trailer", "トレーラー trailer", ("8",), TRAILER, kind="oneway"),
        Message("end", "エンド end", ("9",), Struct(Filler(119) * "ダミー reserved"), kind="oneway"),
    ],
)
