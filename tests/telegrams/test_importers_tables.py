"""Layout sheets of all shapes to specs: the right offsets, and every disagreement named with its sheet and row."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from layout_sheets import COMMON, HEADING, TRANSFER, csv_text, firm_banking, numbered, saved, telegram_rows, workbook, xlsx

from telegram_router.telegrams import Spec, load_spec
from telegram_router.telegrams.importers import workbook as workbook_module
from telegram_router.telegrams.importers.model import Import
from telegram_router.telegrams.importers.source import spec_source
from telegram_router.telegrams.importers.tables import import_table_file

ROOT = Path(__file__).parents[2]


def imported(content: bytes | str, name: str = "layout.csv", **options: Any) -> Import:
    return import_table_file(content.encode() if isinstance(content, str) else content, name, **options)


def spec_of(found: Import) -> Spec:
    assert found.spec is not None, [finding.text() for finding in found.findings]
    return load_spec(spec_source(found.spec), "layout.py")


def said(found: Import, level: str = "error") -> list[str]:
    return [finding.text() for finding in found.findings if finding.level == level]


def rows_of(found: Import, level: str = "error") -> list[str]:
    """Where something was found: the part of `where` behind the file."""
    return [finding.where.split(", ", 1)[-1] for finding in found.findings if finding.level == level]


def layout(spec: Spec, message: str) -> list[tuple[str, int, int]]:
    return [(field.name, field.offset, field.length) for field in spec.messages[message].fields]


# --- the published tables ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def firmbanking() -> Spec:
    return load_spec((ROOT / "specs/firmbanking.py").read_text(encoding="utf-8"), "firmbanking.py")


@pytest.mark.parametrize(
    ("sheet", "ours"), [("지급이체", "transfer.response"), ("거래내역통지", "deposit_notice.request"), ("잔액조회", "balance.request")]
)
def test_the_published_tables_give_the_layout_of_the_shipped_spec(firmbanking: Spec, sheet: str, ours: str):
    found = imported(xlsx(firm_banking()), "hecto.xlsx")
    assert not said(found)
    theirs = spec_of(found).messages[sheet].fields
    known = firmbanking.messages[ours].fields
    assert [(f.offset, f.length) for f in theirs] == [(f.offset, f.length) for f in known]
    assert [type(f.kind).__name__ for f in theirs if f.section == "body" and type(f.kind).__name__ in ("Amount", "Date", "Filler")] == [
        type(f.kind).__name__ for f in known if f.section == "body" and type(f.kind).__name__ in ("Amount", "Date", "Filler")
    ]


def test_a_telegram_is_decoded_with_the_imported_spec_as_it_comes(firmbanking: Spec):
    sample = (ROOT / "specs/samples/firmbanking/transfer.request.telegram").read_bytes()
    spec = spec_of(imported(xlsx(firm_banking()), "hecto.xlsx"))
    telegram = spec.decode(sample[4:])
    known = firmbanking.decode(sample)
    assert telegram.message.name == "지급이체"
    assert telegram.body["출금금액"] == known.body["amount"]
    assert telegram.body["적요"] == known.body["memo"]
    assert telegram.header["전문번호"] == known.header["message_number"]


def test_the_same_rows_as_csv_give_the_same_spec():
    rows = [row for each in firm_banking().values() for row in each]
    spec = spec_of(imported(csv_text(rows)))
    assert {message.key for message in spec.messages.values()} == {("2000", "100"), ("4000", "100"), ("7000", "200")}
    assert {message.frame_size for message in spec.messages.values()} == {300}
    assert spec.messages["지급이체"].field("출금금액").offset == 129


# --- sheets of other shapes -------------------------------------------------------------------------------------

TWO_FIELDS = [["NO", "항목명", "타입", "길이"], [1, "계좌번호", "AN", 14], [2, "금액", "N", 13]]


@pytest.mark.parametrize(
    "heading",
    [
        ["NO", "항목명", "타입", "길이"],
        ["순번", "필드명", "속성", "길이(Byte)"],
        ["No.", "한글명", "TYPE", "LEN"],
        ["항번", "항목", "데이터\n타입", "자릿수"],
        ["SEQ", "항 목 명", "형식", "크기(바이트)"],
        ["#", "Field Name", "Type", "Length"],
        ["연번", "항목(한글)", "Data Type", "BYTE"],
        ["번호", "전문항목명", "자료형", "길 이"],
    ],
    ids=lambda heading: " ".join(heading).replace("\n", ""),
)
def test_headings_are_known_by_their_words_in_korean_and_english(heading: list[str]):
    spec = spec_of(imported(csv_text([heading, *TWO_FIELDS[1:]])))
    assert [(field.offset, field.length) for field in next(iter(spec.messages.values())).fields] == [(0, 14), (14, 13)]


@pytest.mark.parametrize(
    ("kind", "length", "wanted", "size"),
    [
        ("X(9)", "", "Text(9)", 9),
        ("9(13)", "", "Digits(13)", 13),
        ("9(12)V9(3)", "15", "Digits(15, scale=3)", 15),
        ("9(12,3)", "15", "Digits(15, scale=3)", 15),
        ("9(15,3)", "15", "Digits(15, scale=3)", 15),
        ("S9(13)", "14", "Amount(13)", 14),
        ("S9(13)", "13", "Zoned(13)", 13),
        ("9(3)V99", "5", "Digits(5, scale=2)", 5),
        ("AN", "20", "Text(20)", 20),
        ("C20", "", "Text(20)", 20),
        ("한글", "20.0", "Text(20)", 20),
        ("K", "20 byte", "Text(20)", 20),
        ("Ｘ（９）", "９", "Text(9)", 9),
        ("문자", "1,000", "Text(1000)", 1000),
        ("X(3*35)", "105", "Text(35)", 105),
        ("X(35)*3", "105", "Text(35)", 105),
        ("X", "3*35", "Text(35)", 105),
        ("S9(5)V99 COMP-3", "4", "Packed(7, scale=2)", 4),
        ("9(9) COMP", "", "Binary(4, digits=9, signed=False)", 4),
    ],
)
def test_types_are_understood_as_analysts_write_them(kind: str, length: str, wanted: str, size: int):
    found = imported(csv_text([["항목명", "타입", "길이", "비고"], ["송금", kind, length, ""], ["끝", "X(1)", "1", ""]]))
    assert found.spec is not None, said(found)
    node = found.spec.messages[0].body[0]
    assert (getattr(node, "kind", "") or node.item.kind, node.size) == (wanted, size)  # type: ignore[union-attr]
    assert next(iter(spec_of(found).messages.values())).frame_size == size + 1


@pytest.mark.parametrize(
    ("name", "kind", "length", "note", "wanted"),
    [
        ("거래일자", "9", 8, "", 'Date(8, blank="zeros")'),
        ("거래일자", "X", 8, "", "Date(8)"),
        ("기준일자", "X", 6, "YYMMDD", 'Date(6, form="YYMMDD")'),
        ("거래시간", "9", 6, "", "Time(6)"),
        ("전송일시", "9", 14, "", 'Time(14, form="YYYYMMDDhhmmss", blank="zeros")'),
        ("전송일시", "X", 14, "YYYYMMDD HH:MM:SS", 'Time(14, form="YYYYMMDDhhmmss")'),
        ("은행코드", "9", 3, "", "Code(3, digits=True)"),
        ("예금주명", "X", 20, "", "Text(20)"),
        ("거래건수", "9", 3, "", "Digits(3)"),
        ("수수료율", "9", 5, "", "Digits(5)"),
        ("예비", "X", 10, "", "Filler(10)"),
        ("FILLER", "X", 10, "", "Filler(10)"),
        ("RESERVED 1", "X", 10, "", "Filler(10)"),
        ("예비군여부", "X", 1, "", "Code(1)"),
        ("처리구분", "X", 2, "11 입금, 21 출금", "Code(2, {codes})"),
        ("처리구분", "9", 2, "11:입금\n21:출금", "Code(2, {codes}, digits=True)"),
        ("처리구분", "X", 2, "11 입금, 그 외 기타", "Code(2)"),
    ],
)
def test_names_and_remarks_decide_between_kinds(name: str, kind: str, length: int, note: str, wanted: str):
    found = imported(csv_text([["항목명", "타입", "길이", "비고"], [name, kind, length, note]]))
    assert found.spec is not None
    assert found.spec.messages[0].body[0].kind == wanted  # type: ignore[union-attr]
    assert next(iter(spec_of(found).messages.values())).frame_size == length


def test_codes_in_a_remark_become_names_and_are_told():
    found = imported(csv_text([["항목명", "타입", "길이", "비고"], ["처리구분", "X", 2, "11 입금, 21 출금"]]))
    field = next(iter(spec_of(found).messages.values())).fields[0]
    assert dict(field.codes) == {"11": "입금", "21": "출금"}
    assert any("11, 21" in text for text in said(found, "note"))


MEDICAL = [
    ["실손시스템 인터페이스 설계서"],
    ["전문종별코드", "0200", None, "업무구분코드", "310"],
    ["구분", "NO", "항목명", "TagName", "타입", "길이", "누적", "업체", "보험사", "비고"],
    ["공통부", "1", "전문종별코드", "msgType", "AN", 4, 4, "●", "●", None],
    ["공통부", "2", "업무구분코드", "bizCode", "AN", 3, 7, "●", "●", None],
    ["공통부", "3", "거래일련번호", "seqNo", "N", 7, 14, "●", "▲", None],
    ["개별부", "1", "환자명", "patientName", "K", 20, 34, "●", None, None],
    ["개별부", "2", "청구건수", "claimCount", "N", 2, 36, "●", None, None],
    ["개별부", "3", "청구목록", "claims", "GROUP", None, None, "●", None, "2회 반복"],
    ["개별부", "3-1", "병원코드", "hospital", "AN", 8, None, "●", None, None],
    ["개별부", "3-2", "진료비", "fee", "GROUP", None, None, "●", None, None],
    ["개별부", "3-2-1", "급여금액", "covered", "N", 10, None, "●", None, None],
    ["개별부", "3-2-2", "비급여금액", "uncovered", "N", 10, None, "▲", None, None],
    ["개별부", "4", "예비", None, "AN", 8, 100, None, None, None],
    [None, "TOTAL LENGTH 100", None, None, None, 100],
]


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_numbers_like_3_1_2_are_groups_in_groups(kind: str):
    found = imported(xlsx({"청구": MEDICAL}), "m.xlsx") if kind == "xlsx" else imported(csv_text(MEDICAL))
    assert not said(found)
    spec = spec_of(found)
    assert spec.header_size == 14
    message = next(iter(spec.messages.values()))
    assert message.key == ("0200", "310")
    line = (
        "0200" + "310" + "0000007" + "홍길동".ljust(17) + "02" + "HOSP0001" + "0000000100" + "0000000020" + "HOSP0002" + "0" * 20 + " " * 8
    )
    telegram = spec.decode(line.encode("cp949"))
    assert [claim["fee"]["covered"] for claim in telegram.body["claims"]] == [100, 0]
    assert telegram.body["patient_name"] == "홍길동"
    assert spec.encode(telegram) == line.encode("cp949")


def test_fx_lines_that_repeat_are_lists():
    rows = [
        ["NO", "항목", "타입", "길이"],
        [1, "송금금액", "9(12,3)", 15],
        [2, "송금인주소", "X(3*35)", 105],
        [3, "수취인주소", "X(4*35)", 140],
    ]
    spec = spec_of(imported(csv_text(rows)))
    body = spec.decode(b"000000012345678" + b"".join(b"LINE %d".ljust(35) % n for n in range(7)).ljust(245)).body
    assert str(body["송금금액"]) == "12345.678"
    assert len(body["송금인주소"]) == 3 and len(body["수취인주소"]) == 4


def test_names_that_are_set_in_belong_to_the_group_above():
    rows = [
        ["항목", "타입", "길이", "반복"],
        ["건수", "N", 2, None],
        ["목록", None, None, 3],
        ["  계좌", "AN", 10, None],
        ["  금액", "N", 8, None],
        ["끝", "AN", 2, None],
    ]
    spec = spec_of(imported(xlsx({"목록": rows}), "l.xlsx"))
    assert next(iter(spec.messages.values())).frame_size == 2 + 3 * 18 + 2


def test_a_group_by_levels_and_a_count_by_another_field():
    rows = [
        ["레벨", "항목", "영문명", "타입", "길이", "반복"],
        [1, "상세건수", "itemCount", "N", 2, None],
        [1, "상세", "items", None, None, "상세건수만큼 (최대 5)"],
        [2, "계좌", "account", "AN", 4, None],
        [1, "끝", "tail", "AN", 1, None],
    ]
    found = imported(csv_text(rows))
    spec = spec_of(found)
    assert any("item_count counts its items" in text for text in said(found, "warning"))
    body = spec.decode(b"02AAAABBBB" + b" " * 12 + b"Z").body
    assert [item["account"] for item in body["items"]] == ["AAAA", "BBBB"]


def test_rows_between_repeat_begin_and_repeat_end_are_a_table():
    rows = [
        ["NO", "항목", "타입", "길이"],
        [1, "건수", "N", 2],
        ["이하 3회 반복"],
        [2, "계좌", "AN", 10],
        [3, "금액", "N", 8],
        ["반복 끝"],
        [4, "끝", "AN", 2],
    ]
    assert next(iter(spec_of(imported(csv_text(rows))).messages.values())).frame_size == 2 + 54 + 2


def test_several_tables_on_one_sheet_are_several_messages_with_one_header():
    rows = [
        row
        for title, *rest in [("지급이체", "2000", "100", TRANSFER), ("수취조회", "2100", "100", TRANSFER)]
        for row in [*telegram_rows(title, *rest), []]
    ]
    found = imported(xlsx({"전문": rows}), "one.xlsx")
    assert not said(found)
    spec = spec_of(found)
    assert {name: message.kind for name, message in spec.messages.items()} == {"지급이체.request": "request", "지급이체.response": "reply"}


def test_a_header_on_a_sheet_of_its_own_is_shared():
    sheets = {
        "표지": [["펌뱅킹 전문 설계서"], ["작성일", "2024-03-01"]],
        "공통부": [HEADING, *numbered(COMMON), ["", "합계", "", 100]],
        "지급이체 2000-100": [["전문구분코드", 2000], ["업무구분코드", 100], HEADING, *numbered(TRANSFER, 100), [None, "합계", None, 200]],
        "거래통지": [["전문구분코드", "4000/4100"], ["업무구분코드", 100], HEADING, *numbered(TRANSFER), [None, "총길이", None, 300]],
    }
    found = imported(xlsx(sheets), "shared.xlsx")
    assert not said(found)
    spec = spec_of(found)
    assert {message.key for message in spec.messages.values()} == {("2000", "100"), ("2100", "100"), ("4000", "100"), ("4100", "100")}
    assert (
        spec.messages["지급이체_2000_100.request" if "지급이체_2000_100.request" in spec.messages else "지급이체.request"]
        .field("출금금액")
        .offset
        == 129
    )
    assert any("표지" in text for text in said(found, "note"))


def test_one_table_of_all_messages_tells_them_apart_by_its_columns():
    rows = [
        ["전문명", "전문구분코드", "NO", "항목명", "타입", "길이", "누적"],
        [None, None, 1, "전문구분코드", "AN", 4, 4],
        [None, None, 2, "전문번호", "N", 6, 10],
        ["이체", "0200", 1, "금액", "N", 13, 23],
        ["이체", "0200", 2, "계좌", "AN", 14, 37],
        ["조회", "0300", 1, "계좌", "AN", 14, 24],
    ]
    found = imported(csv_text(rows))
    assert not said(found)
    assert {name: (message.key, message.frame_size) for name, message in spec_of(found).messages.items()} == {
        "이체": (("0200",), 4 + 37),
        "조회": (("0300",), 4 + 24),
    }
    rows[4][6] = 38
    assert any("row 5" in text and "cumulative length 38" in text for text in said(imported(csv_text(rows))))


def test_replies_are_called_as_their_requests_whichever_stands_first():
    sheets = {
        "이체응답": telegram_rows("지급이체응답", "2100", "100", TRANSFER),
        "이체": telegram_rows("지급이체", "2000", "100", TRANSFER),
        "이체2": telegram_rows("지급이체", "2000", "200", TRANSFER),
        "통지": telegram_rows("통지", "4000/4900", "100", TRANSFER),
    }
    spec = spec_of(imported(xlsx(sheets), "order.xlsx"))
    assert {name: message.key for name, message in spec.messages.items() if name != "지급이체_2.response"} == {
        "지급이체.response": ("2100", "100"),
        "지급이체.request": ("2000", "100"),
        "지급이체_2.request": ("2000", "200"),
        "통지.request": ("4000", "100"),
        "통지.response": ("4900", "100"),
    }
    assert spec.messages["통지.request"].reply.message is spec.messages["통지.response"]
    assert spec.messages["지급이체_2.request"].reply.message is spec.messages["지급이체_2.response"]


def test_codes_may_stand_on_a_list_of_messages_only():
    sheets: dict[str, list[list[Any]]] = {
        "전문목록": [
            ["NO", "전문명", "전문구분코드", "업무구분코드", "비고"],
            [1, "지급이체", 2000, 100, None],
            [2, "잔액조회", "7000", "200", None],
        ],
        "공통부": [HEADING, *numbered(COMMON)],
        "지급이체": [HEADING, *numbered(TRANSFER, 100)],
        "잔액조회": [HEADING, *numbered(TRANSFER, 100)],
    }
    found = imported(xlsx(sheets), "list.xlsx")
    assert not said(found)
    assert {name: message.key for name, message in spec_of(found).messages.items()} == {
        "지급이체": ("2000", "100"),
        "잔액조회": ("7000", "200"),
    }
    assert any("taken from the list of messages" in text for text in said(found, "note"))


def test_fields_that_all_sheets_begin_with_are_the_header_where_none_is_marked():
    common = [("전문구분코드", "X", 4, ""), ("전문번호", "9", 6, "")]
    sheets = {
        "이체": [["전문구분코드", "0200"], HEADING, *numbered([*common, ("금액", "9", 13, "")])],
        "조회": [["전문구분코드", "0300"], HEADING, *numbered([*common, ("계좌", "X", 14, "")])],
    }
    found = imported(xlsx(sheets), "plain.xlsx")
    spec = spec_of(found)
    assert spec.header_size == 10
    assert any("first 2" in text or "same 2 fields" in text for text in said(found, "warning"))


def test_merged_cells_count_once_and_lend_their_text():
    book = workbook(
        {
            "이체": [
                ["구분", "NO", "항목명", "타입", "길이"],
                ["공통부", 1, "전문구분코드", "X", 4],
                [None, 2, "전문번호", "9", 6],
                ["개별부", 3, "금액", "9", 13],
                [None, None, None, None, None, "계속"],
            ]
        }
    )
    sheet = book["이체"]
    sheet.insert_rows(1)
    sheet["A1"], sheet["B1"] = "전문구분코드", "0200"
    sheet.merge_cells("A3:A4")
    sheet.merge_cells("A5:A6")
    sheet.merge_cells("C5:C6")
    sheet.merge_cells("E5:E6")
    spec = spec_of(imported(saved(book), "merged.xlsx"))
    assert (spec.header_size, next(iter(spec.messages.values())).frame_size) == (10, 23)


def test_a_heading_of_two_rows_is_read_as_one():
    book = workbook(
        {"이체": [["NO", "항목명", None, "길이", "타입"], [None, "한글", "영문", None, None], [1, "계좌번호", "account", 14, "AN"]]}
    )
    book["이체"].merge_cells("B1:C1")
    for column in "ADE":
        book["이체"].merge_cells(f"{column}1:{column}2")
    spec = spec_of(imported(saved(book), "two.xlsx"))
    assert [field.name for field in next(iter(spec.messages.values())).fields] == ["account"]


@pytest.mark.parametrize(("encoding", "separator"), [("utf-8", ","), ("utf-8-sig", ";"), ("cp949", "\t"), ("utf-16", "\t"), ("cp949", "|")])
def test_csv_is_read_in_the_code_pages_and_with_the_separators_that_excel_writes(encoding: str, separator: str):
    spec = spec_of(imported(csv_text(TWO_FIELDS, separator).encode(encoding)))
    assert [field.name for field in next(iter(spec.messages.values())).fields] == ["계좌번호", "금액"]


@pytest.mark.parametrize("first", [0, 1])
def test_offsets_may_count_from_0_or_1_and_the_report_says_which(first: int):
    rows = [["항목", "시작위치", "끝위치", "길이"], ["가", first, first + 3, 4], ["나", first + 4, first + 9, 6]]
    found = imported(csv_text(rows))
    assert not said(found)
    assert any(f"count from {first}" in text for text in said(found, "note"))


ABA = """Char Pos,Field size,Field description,Specification
1,1,Record Type 1,Must be '1'
2-8,7,BSB,Bank/State/Branch number with a hyphen
9-17,9,Account number to be credited,Numeric; hyphens allowed
18,1,Indicator,N; W; X; Y
19-20,2,Transaction Code,
21-30,10,Amount,Right justified; zero filled
31-62,32,Title of Account,
63-80,18,Lodgement Reference,
"""


def test_a_published_table_without_types_and_with_ranges_for_offsets():
    found = imported(ABA, "aba.csv")
    spec = spec_of(found)
    assert [(f.offset, f.length) for f in spec.messages["record"].fields] == [
        (0, 1),
        (1, 7),
        (8, 9),
        (17, 1),
        (18, 2),
        (20, 10),
        (30, 32),
        (62, 18),
    ]
    assert any("8 of 8 fields have no type" in text for text in said(found, "note"))
    assert any("offset 63, by the lengths above 62" in text for text in said(imported(ABA.replace("31-62,32", "31-61,31"))))
    assert any("goes from 31 to 61, which is not its 32 bytes" in text for text in said(imported(ABA.replace("31-62,32", "31-61,32"))))


def test_a_last_field_of_any_length_takes_the_rest_and_no_total_is_wrong():
    rows = [["전문길이", 300], ["항목", "타입", "길이"], ["금액", "N", 13], ["데이터", "X", "가변"]]
    found = imported(csv_text(rows))
    assert not said(found)
    assert spec_of(found).decode(b"0018" + b"%013d" % 7 + b"other").body["데이터"] == b"other"


@pytest.mark.parametrize(("named", "encoding"), [("EUC-KR", "cp949"), ("UTF-8", "utf-8"), ("IBM-933", "cp933"), ("Shift_JIS", "cp932")])
def test_a_code_page_that_the_sheet_names_is_the_telegrams(named: str, encoding: str):
    found = imported(csv_text([["문자셋", named], ["항목", "타입", "길이"], ["금액", "N", 13], ["이름", "X", 20]]))
    assert spec_of(found).encoding == encoding
    assert not any("CP949" in text for text in said(found, "note"))


def test_an_ebcdic_layout_is_framed_in_ebcdic():
    found = imported(csv_text([["항목", "타입", "길이"], ["금액", "N", 13], ["데이터", "X", "가변"]]), encoding="cp037")
    frame = "00180000000000007OTHER".encode("cp037")
    assert spec_of(found).decode(frame).body["금액"] == 7


def test_a_length_in_the_header_frames_the_telegram():
    rows = [
        ["전문종별코드", "0200"],
        ["NO", "항목", "타입", "길이"],
        ["공통부"],
        [1, "전문길이", "9", 4],
        [2, "전문종별코드", "AN", 4],
        ["개별부"],
        [3, "금액", "N", 13],
    ]
    spec = spec_of(imported(csv_text(rows)))
    assert spec.framing.length.width == 4  # type: ignore[union-attr]
    assert spec.decode(b"002102000000000000700").body["금액"] == 700


# --- sheets that do not agree with themselves -------------------------------------------------------------------


def changed(change: dict[tuple[int, int], Any]) -> list[list[Any]]:
    """The transfer's table with some cells changed: (row as its author sees it, column from 0)."""
    rows = [list(row) for row in telegram_rows("지급이체", "2000", "100", TRANSFER)]
    for (row, column), value in change.items():
        rows[row - 1][column] = value
    return rows


@pytest.mark.parametrize(
    ("change", "row", "words"),
    [
        ({(23, 2): 133}, 23, ("offset 133", "129", "gap of 4 bytes")),
        ({(23, 2): 127}, 23, ("offset 127", "129", "overlap of 2 bytes")),
        ({(23, 5): 141}, 23, ("cumulative length 141", "142", "1 byte more")),
        ({(23, 3): 12}, 24, ("offset 142", "141", "gap of 1 byte")),
        ({(37, 3): 301}, 37, ("301", "300", "1 byte too few")),
        ({(2, 7): 304}, 2, ("304", "300", "4 bytes too few")),
        ({(23, 4): "9(12)"}, 23, ("9(12) has 12 bytes", "length column 13")),
        ({(23, 4): "Q(13)"}, 23, ("type 'Q(13)' is not known",)),
        ({(23, 3): "열셋"}, 23, ("'열셋' is not a whole number",)),
        ({(23, 3): 12.5}, 23, ("'12.5' is not a whole number",)),
        ({(23, 3): 10_000_000}, 23, ("'10000000' is longer than any telegram",)),
        ({(23, 3): None, (23, 4): None}, 23, ("has no length",)),
        ({(23, 1): None}, 23, ("length of 13", "no name")),
    ],
)
def test_each_disagreement_is_an_error_with_its_sheet_and_row(change: dict[tuple[int, int], Any], row: int, words: tuple[str, ...]):
    found = imported(xlsx({"지급이체": changed(change)}), "hecto.xlsx")
    assert found.spec is None
    errors = [
        finding for finding in found.findings if finding.level == "error" and finding.where == f"hecto.xlsx, sheet 지급이체, row {row}"
    ]
    assert any(all(word in finding.what for word in words) for finding in errors), said(found)


def test_the_unchanged_table_has_no_errors_and_no_spec_is_kept_back():
    found = imported(xlsx({"지급이체": changed({})}), "hecto.xlsx")
    assert not said(found) and found.spec is not None


def test_all_disagreements_are_reported_not_only_the_first():
    wrong = changed({(7, 2): 10, (12, 5): 40, (23, 4): "9(12)", (30, 4): "QQ", (33, 2): 999, (37, 3): 310})
    found = imported(xlsx({"지급이체": wrong}), "hecto.xlsx")
    assert rows_of(found) == [f"sheet 지급이체, row {row}" for row in (7, 12, 37, 23, 30, 33)] or {
        int(where.rsplit(" ", 1)[1]) for where in rows_of(found)
    } == {7, 12, 23, 30, 33, 37}


def test_a_difference_that_lasts_is_told_once_where_it_begins():
    wrong = {(row, 2): offset for row, offset in zip(range(25, 37), range(12), strict=True)}
    rows = changed({})
    for row in range(25, 37):
        rows[row - 1][2] += 4
    found = imported(xlsx({"지급이체": rows}), "hecto.xlsx")
    assert len(wrong) == 12
    assert rows_of(found) == ["sheet 지급이체, row 25"]


def test_with_force_the_lengths_decide():
    found = imported(xlsx({"지급이체": changed({(23, 2): 133})}), "hecto.xlsx", force=True)
    assert len(said(found)) == 1
    assert spec_of(found).messages["지급이체"].field("출금금액").offset == 129


def test_headers_that_differ_between_sheets_are_told_field_by_field():
    sheets = firm_banking()
    sheets["거래내역통지"][6][1] = "업체코드"
    sheets["잔액조회"][13][3] = 7
    found = imported(xlsx(sheets), "hecto.xlsx")
    assert any("sheet 거래내역통지, row 7" in text and "업체코드" in text for text in said(found))
    assert any("sheet 잔액조회, row 14" in text for text in said(found))


def test_the_header_is_checked_on_every_sheet_that_has_it():
    sheets = firm_banking()
    sheets["거래내역통지"][8][5] = 25
    sheets["잔액조회"][9][2] = 29
    errors = said(imported(xlsx(sheets), "hecto.xlsx"))
    assert len(errors) == 2
    assert "sheet 거래내역통지, row 9" in errors[0] and "cumulative length 25" in errors[0]
    assert "sheet 잔액조회, row 10" in errors[1] and "gap of 1 byte" in errors[1]


def test_a_group_whose_length_is_not_its_members():
    rows = [["NO", "항목", "타입", "길이"], ["1", "목록", "GROUP", 30], ["1-1", "가", "AN", 10], ["1-2", "나", "AN", 15]]
    assert any("has 30 bytes, its members 25" in text for text in said(imported(csv_text(rows))))


def test_a_group_whose_length_is_a_multiple_of_its_members_is_repeated_with_a_warning():
    rows = [["NO", "항목", "타입", "길이"], ["1", "목록", "GROUP", 50], ["1-1", "가", "AN", 10], ["1-2", "나", "AN", 15]]
    found = imported(csv_text(rows))
    assert found.spec is not None and found.spec.messages[0].body[0].size == 50
    assert any("taken as 2 times" in text for text in said(found, "warning"))


def test_names_used_twice_are_made_different_and_told():
    found = imported(csv_text([["항목명", "길이", "타입"], ["금액", 13, "N"], ["금액", 13, "N"]]))
    assert [node.name for node in found.spec.messages[0].body] == ["금액", "금액_2"]  # type: ignore[union-attr]
    assert any("used in row 2 already" in text for text in said(found, "warning"))


def test_messages_that_cannot_be_told_apart_are_an_error():
    sheets = {"가": [HEADING, *numbered([("금액", "9", 13, "")])], "나": [HEADING, *numbered([("계좌", "X", 13, "")])]}
    assert any("tells the 2 messages apart" in text for text in said(imported(xlsx(sheets), "x.xlsx")))
    sheets = firm_banking()
    sheets["잔액조회"][1][1] = "2000"
    sheets["잔액조회"][1][4] = "100"
    assert any("2000/100 is described on hecto.xlsx, sheet 지급이체" in text for text in said(imported(xlsx(sheets), "hecto.xlsx")))


def test_a_missing_code_is_an_error_with_its_sheet():
    sheets = firm_banking()
    sheets["잔액조회"][1] = ["전체길이", 300]
    assert any(
        "sheet 잔액조회" in text and "no value for 전문구분코드, 업무구분코드" in text for text in said(imported(xlsx(sheets), "h.xlsx"))
    )


def test_zeros_that_a_spreadsheet_dropped_are_put_back_and_told():
    rows = [
        ["전문구분코드", 200],
        ["NO", "항목", "타입", "길이"],
        ["공통부"],
        [1, "전문구분코드", "X", 4],
        ["개별부"],
        [2, "금액", "N", 13],
    ]
    found = imported(xlsx({"이체": rows}), "z.xlsx")
    assert found.spec is not None and found.spec.messages[0].key == ("0200",)
    assert any("200 is taken as 0200" in text for text in said(found, "note"))


def test_a_number_is_read_as_its_cell_shows_it():
    book = workbook(
        {
            "이체": [
                ["전문구분코드", 200],
                ["NO", "항목", "타입", "길이"],
                ["공통부"],
                [1, "전문구분코드", "X", 4],
                ["개별부"],
                [2, "금액", "N", 13],
            ]
        }
    )
    book["이체"]["B1"].number_format = "0000"
    found = imported(saved(book), "z.xlsx")
    assert found.spec is not None and found.spec.messages[0].key == ("0200",)
    assert not any("is taken as 0200" in text for text in said(found, "note"))


def test_codes_may_stand_in_one_cell_with_their_names():
    rows = [
        ["이체 (전문구분코드: 0200, 업무구분코드: 310)"],
        ["항목", "타입", "길이"],
        ["공통부"],
        ["전문구분코드", "X", 4],
        ["업무구분코드", "X", 3],
        ["개별부"],
        ["금액", "N", 13],
    ]
    found = imported(csv_text(rows))
    assert found.spec is not None and found.spec.messages[0].key == ("0200", "310")


def test_drop_down_lists_in_a_workbook_make_no_noise():
    from openpyxl.worksheet.datavalidation import DataValidation

    book = workbook({"이체": TWO_FIELDS})
    book["이체"].add_data_validation(DataValidation(type="list", formula1='"AN,N"'))
    assert imported(saved(book), "list.xlsx").spec is not None


def test_a_sign_without_a_byte_of_its_own_is_a_warning():
    found = imported(csv_text([["항목명", "타입", "길이"], ["잔액", "S9(13)", 13]]))
    assert any("taken to be in the last digit" in text for text in said(found, "warning"))


def test_what_a_workbook_hides_strikes_out_or_did_not_compute_is_told():
    book = workbook(
        {
            "이체": [["항목명", "길이", "타입", "누적"], ["계좌", 14, "AN", 14], ["금액", 13, "N", "=D2+B3"], ["메모", 10, "AN", None]],
            "옛것": [["항목명", "길이", "타입"], ["가", 1, "X"]],
        }
    )
    from openpyxl.styles import Font

    book["옛것"].sheet_state = "hidden"
    book["이체"].row_dimensions[3].hidden = True
    book["이체"]["A4"].font = Font(strike=True)
    found = imported(saved(book), "w.xlsx")
    told = said(found, "warning")
    assert any("sheet 옛것: the sheet is hidden" in text for text in told)
    assert any("row 3: row 3 is hidden" in text for text in told)
    assert any("row 4: the row is struck through" in text for text in told)
    assert any("cell D3 has a formula whose value the workbook does not hold" in text for text in told)


def test_a_number_that_a_spreadsheet_made_a_date_of_is_a_number_again():
    import datetime

    rows = [
        ["NO", "항목", "타입", "길이"],
        ["3", "목록", "GROUP", None],
        ["3-1", "가", "GROUP", None],
        [datetime.datetime(2003, 1, 2), "나", "AN", 5],
    ]
    found = imported(xlsx({"이체": rows}), "d.xlsx", force=True)
    assert any("made a date of the number" in text and "3-1-2" in text for text in said(found, "warning"))
    assert found.spec is not None and found.spec.messages[0].body[0].members[0].members[0].name == "나"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old.xls", "old Excel"),
        (b"PK\x03\x04 nothing", "cut.xlsx", "cut short"),
        (b"%PDF-1.7\0\xff\xfe\0", "a.pdf", "neither text nor"),
        (b"\xff\xfd\xfb", "x.csv", "neither UTF-8 nor CP949"),
        (b"", "empty.csv", "no table of fields"),
        ("안녕하세요\n표가 없습니다\n".encode(), "memo.csv", "no table of fields"),
        (b'"never closed,1\n' * 3, "quotes.csv", "no table of fields"),
    ],
)
def test_a_file_that_holds_no_table_is_refused_in_words(content: bytes, name: str, words: str):
    found = imported(content, name)
    assert found.spec is None
    assert [finding.level for finding in found.findings].count("error") == 1
    assert words in said(found)[0] and name in said(found)[0]


def test_files_beyond_any_layout_are_refused_before_they_cost_anything(monkeypatch: pytest.MonkeyPatch):
    content = xlsx(firm_banking())
    for bound, words in (("MAX_BYTES", "the file has"), ("_MAX_UNPACKED", "unpacks to"), ("_MAX_CELLS", "cells")):
        with monkeypatch.context() as patch:
            patch.setattr(workbook_module, bound, 100)
            assert words in said(imported(content, "big.xlsx"))[0]


def test_a_zip_that_is_no_workbook_is_named_as_such():
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "no sheet")
    assert "no .xlsx workbook" in said(imported(packed.getvalue(), "a.xlsx"))[0]


def test_a_stray_cell_at_the_end_of_a_sheet_costs_nothing():
    book = workbook({"이체": [*TWO_FIELDS]})
    book["이체"].cell(1_048_576, 16_384).value = " "
    assert imported(saved(book), "far.xlsx").spec is not None


def test_a_name_on_the_sheet_is_never_run_as_source():
    rows = [["항목명", "영문명", "길이", "타입", "비고"], ['") / __import__("os")  #', 'x"); boom(', 3, "X", "a\nboom()"]]
    found = imported(csv_text(rows))
    assert found.spec is not None
    source = spec_source(found.spec)
    tree = __import__("ast").parse(source)
    calls = {ast_call.func.id for ast_call in __import__("ast").walk(tree) if ast_call.__class__.__name__ == "Call"}
    assert calls <= {"Struct", "Text", "Code", "Family", "Framing", "FixedSize", "Message"}


# --- the page about it ------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs/importing.md").read_text(encoding="utf-8")


def test_the_sheet_of_the_documentation_is_imported_with_the_report_it_shows():
    sheet = PAGE.split("```csv\n")[1].split("```")[0]
    found = imported(sheet, "deposit.csv")
    report = PAGE.split("spec import deposit.csv")[1].split("```")[0]
    assert not said(found)
    assert all(finding.what in report and finding.do in report for finding in found.findings)
    assert report.count("E-IMP-") == len(found.findings)
    spec = spec_of(found)
    assert [f"{name}: {message.frame_size} bytes" in report for name, message in spec.messages.items()] == [True, True]


def test_the_disagreement_of_the_documentation_is_told_as_it_shows():
    sheet = PAGE.split("```csv\n")[1].split("```")[0].replace("sentAt,N,14,36", "sentAt,N,14,34")
    errors = [finding for finding in imported(sheet, "deposit.csv").findings if finding.level == "error"]
    assert [finding.where for finding in errors] == ["deposit.csv, row 8"]
    assert errors[0].what in PAGE


# --- a workbook as it comes from a bank -------------------------------------------------------------------------


def interface_workbook() -> bytes:
    """Cover, history and list of messages; merged titles and sections; numbers as floats, zeros dropped, names set in."""
    common = [
        ("전문길이", "TLGM_LEN", "N", 4, "전체길이 (길이필드 포함)"),
        ("업무구분", "JOB_GB", "C", 3, "'VAS' 고정"),
        ("기관코드", "ORG_CD", "AN", 8, None),
        ("전문종별코드", "MSG_TP", "AN", 4, "0200/0210"),
        ("업무구분코드", "TX_CD", "AN", 3, None),
        ("전문일련번호", "MSG_SEQ", "N", 7, None),
        ("전송일시", "SEND_DTM", "N", 14, "YYYYMMDDHHMMSS"),
        ("응답코드", "RES_CD", "AN", 4, "0000:정상, 그외: 오류"),
        ("예비", "FILLER", "C", 13, "SPACE"),
    ]
    body = [
        ("가상계좌번호", "VA_NO", "AN", 16, "필수"),
        ("입금구분", "IN_GB", "AN", 1, "1:현금 2:타행 3:수표"),
        ("거래금액", "TX_AMT", "N", 13, None),
        ("입금자명", "DEP_NM", "K", 20, "한글"),
        ("수표정보", "CHK", None, None, "3회 반복"),
        ("  수표번호", "CHK_NO", "AN", 10, None),
        ("  수표금액", "CHK_AMT", "N", 13, None),
        ("예비", "FILLER", "C", 25, None),
    ]
    book = workbook(
        {
            "표지": [[], ["가상계좌 시스템 인터페이스 설계서"], ["버전", 1.2]],
            "변경이력": [["NO", "일자", "변경내용", "작성자"], [1, "2024-01-02", "최초작성", "홍길동"]],
            "전문목록": [["NO", "전문명", "전문종별코드", "업무구분코드", "비고"], [1, "입금통지", "0200", "310", None]],
        }
    )
    for title, kind in (("입금통지", 200), ("입금통지응답", 210)):
        sheet = book.create_sheet(title)
        sheet["A1"], sheet["A2"], sheet["C2"], sheet["E2"], sheet["G2"] = "■ 인터페이스 정의서", "인터페이스명", title, "전송방식", "Online"
        sheet["A3"], sheet["C3"], sheet["E3"], sheet["G3"] = "전문종별코드", kind, "업무구분코드", 310
        for area in ("A1:J1", "A2:B2", "C2:D2", "E2:F2", "A3:B3", "E3:F3"):
            sheet.merge_cells(area)
        for column, name in enumerate(
            ("구분", "NO", "항목명", "영문명", "데이터\n타입", "길이\n(Byte)", "누적\n길이", "은행", "업체", "비고"), 1
        ):
            sheet.cell(5, column, name)
        row, total = 6, 0
        for section, fields in (("공통부", common), ("개별부", body)):
            first = row
            for number, (name, english, type_, length, note) in enumerate(fields, 1):
                total += 69 if english == "CHK" else 0 if name.startswith(" ") else length or 0
                cells = (
                    number,
                    name,
                    english,
                    type_,
                    float(length) if length else None,
                    None if name.startswith(" ") else total,
                    "●",
                    "▲",
                    note,
                )
                for column, cell in enumerate(cells, 2):
                    sheet.cell(row, column, cell)
                row += 1
            sheet.cell(first, 1, section)
            sheet.merge_cells(start_row=first, start_column=1, end_row=row - 1, end_column=1)
        sheet.cell(row, 1, "TOTAL LENGTH")
        sheet.merge_cells(start_row=row, start_column=1, end_row=row, end_column=5)
        sheet.cell(row, 6, total)
        sheet.cell(row + 2, 1, "※ 금액은 우측정렬, 좌측 0 채움")
    return saved(book)


def test_a_workbook_as_it_comes_from_a_bank_is_imported_as_it_is():
    found = imported(interface_workbook(), "vas.xlsx")
    assert not said(found)
    spec = spec_of(found)
    assert spec.family.key == ("msg_tp", "tx_cd")
    assert spec.family.correlation == ("org_cd", "msg_seq")
    assert {message.name: (message.key, message.kind, message.frame_size) for message in spec.messages.values()} == {
        "입금통지.request": (("0200", "310"), "request", 60 + 16 + 1 + 13 + 20 + 69 + 25),
        "입금통지.response": (("0210", "310"), "reply", 204),
    }
    assert layout(spec, "입금통지.request")[:3] == [("tlgm_len", 0, 4), ("job_gb", 4, 3), ("org_cd", 7, 8)]
    head = b"0204VAS" + b"ORG00001" + b"0200310" + b"0000001" + b"20260301101500" + b"    " + b" " * 13
    body = (
        b"1234567890123456" + b"1" + b"%013d" % 50_000 + "홍길동".encode("cp949").ljust(20) + (b"CHECK00001" + b"%013d" % 7) * 3 + b" " * 25
    )
    telegram = spec.decode(head + body)
    assert telegram.body["dep_nm"] == "홍길동" and telegram.body["chk"][2]["chk_amt"] == 7
    assert spec.encode(telegram) == head + body
