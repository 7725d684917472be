"""Layout sheets as banks keep them, for tests: the published firm banking tables, typed in as the document has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

from openpyxl import Workbook

Field = tuple[str, str, int, str]  # 항목, 타입, 길이, 비고

COMMON: list[Field] = [
    ("식별코드", "X", 9, "SETTLEBNK 또는 공란"),
    ("업체번호", "X", 12, ""),
    ("은행코드", "9", 3, ""),
    ("전문구분코드", "X", 4, ""),
    ("업무구분코드", "X", 3, ""),
    ("송신회수", "9", 1, "1"),
    ("전문번호", "9", 6, ""),
    ("전송일자", "9", 8, "YYYYMMDD"),
    ("전송시간", "9", 6, "hhmmss"),
    ("응답코드", "X", 4, "정상: 0000"),
    ("예비영역1", "X", 15, ""),
    ("예비영역2", "X", 11, ""),
    ("예비영역3", "X", 18, ""),
]
TRANSFER: list[Field] = [
    ("출금계좌번호", "X", 15, ""),
    ("통장비밀번호", "X", 8, ""),
    ("복기부호", "X", 6, ""),
    ("출금금액", "9", 13, ""),
    ("출금후잔액부호", "X", 1, "+, -"),
    ("출금후잔액", "9", 13, ""),
    ("입금은행코드", "9", 3, ""),
    ("입금계좌번호", "X", 15, ""),
    ("수수료", "9", 9, ""),
    ("CMS코드", "X", 16, ""),
    ("적요", "X", 14, ""),
    ("입금계좌실명번호", "X", 13, ""),
    ("입금계좌예금주명", "X", 12, ""),
    ("원거래전문번호", "X", 6, ""),
    ("수수료면제구분", "X", 1, ""),
    ("자금성격구분", "X", 2, ""),
    ("예비", "X", 53, ""),
]
DEPOSIT: list[Field] = [
    ("거래계좌번호", "X", 15, ""),
    ("GIRO번호", "X", 7, ""),
    ("입/출금/취소구분", "X", 2, "11 입금, 21 출금, 31 입금취소, 32 출금취소, 99 기타"),
    ("거래구분", "X", 2, ""),
    ("거래금액", "9", 13, ""),
    ("현금성", "9", 13, ""),
    ("타점권", "9", 13, ""),
    ("잔액부호", "X", 1, ""),
    ("잔액", "9", 13, ""),
    ("입출금자성명", "X", 12, ""),
    ("수표번호", "X", 10, ""),
    ("거래일자", "9", 8, ""),
    ("거래시간", "9", 6, ""),
    ("거래일련번호", "9", 6, ""),
    ("취소시원거래일련번호", "9", 6, ""),
    ("원거래일자", "9", 8, ""),
    ("CMS/실명번호", "X", 16, ""),
    ("자기앞수표", "9", 13, ""),
    ("가계수표", "9", 13, ""),
    ("성명", "X", 20, ""),
    ("금액구분", "X", 2, ""),
    ("예비", "X", 1, ""),
]
BALANCE: list[Field] = [
    ("계좌", "X", 15, ""),
    ("대월한도", "9", 13, ""),
    ("부호", "X", 1, ""),
    ("원장잔액", "9", 13, ""),
    ("현금", "9", 13, ""),
    ("보수", "9", 13, ""),
    ("기타타점", "9", 13, ""),
    ("부호", "X", 1, ""),
    ("실지급가능", "9", 13, ""),
    ("예비", "X", 105, ""),
]
MESSAGES = [("지급이체", "2000", "100", TRANSFER), ("거래내역통지", "4000", "100", DEPOSIT), ("잔액조회", "7000", "200", BALANCE)]
HEADING = ["NO", "항목", "위치", "길이\n(Byte)", "타입", "누적", "비고"]


def numbered(fields: Iterable[Field], at: int = 0) -> list[list[Any]]:
    """Rows under HEADING, each number as a spreadsheet keeps it."""
    rows = []
    for number, (name, kind, length, note) in enumerate(fields, 1):
        rows.append([number, name, at, float(length), f"{kind}({length})", at + length, note or None])
        at += length
    return rows


def telegram_rows(title: str, kind: str, business: str, fields: Sequence[Field]) -> list[list[Any]]:
    """One message as the document shows it: what it is, 공통부, 개별부, the total."""
    header = sum(length for _, _, length, _ in COMMON)
    total = header + sum(length for _, _, length, _ in fields)
    return [
        ["인터페이스명", title, None, "전송방식", "Online"],
        ["전문구분코드", kind, None, "업무구분코드", business, None, "전체길이", total],
        [],
        HEADING,
        ["공통부"],
        *numbered(COMMON),
        ["개별부"],
        *numbered(fields, header),
        [None, "TOTAL LENGTH", None, total],
    ]


def firm_banking() -> dict[str, list[list[Any]]]:
    return {title: telegram_rows(title, *rest) for title, *rest in MESSAGES}


def workbook(sheets: dict[str, list[list[Any]]]) -> Workbook:
    book = Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def saved(book: Workbook) -> bytes:
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def xlsx(sheets: dict[str, list[list[Any]]]) -> bytes:
    return saved(workbook(sheets))


def csv_text(rows: list[list[Any]], separator: str = ",") -> str:
    def shown(value: Any) -> str:
        text = "" if value is None else str(value)
        return f'"{text}"' if any(each in text for each in (separator, "\n", '"')) else text

    return "\r\n".join(separator.join(map(shown, row)) for row in rows) + "\r\n"
