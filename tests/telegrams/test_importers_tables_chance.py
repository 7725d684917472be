"""Layout sheets by chance: right ones in every style give the layout they were made from, and no sheet at all breaks the importer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from layout_sheets import TRANSFER, csv_text, telegram_rows, xlsx

from telegram_router.telegrams import load_spec
from telegram_router.telegrams.exporters.tables import export_csv
from telegram_router.telegrams.importers.source import spec_source
from telegram_router.telegrams.importers.tables import import_table_file

FIRMBANKING = Path(__file__).parents[2] / "specs/firmbanking.py"

# --- right sheets -----------------------------------------------------------------------------------------------

STEMS = ("계좌번호", "금액", "예금주명", "은행코드", "거래일자", "처리구분", "적요", "건수", "amount", "Acct No")
FIELDS = st.lists(st.tuples(st.sampled_from(STEMS), st.sampled_from("X9"), st.integers(1, 40)), min_size=1, max_size=12)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[list[Any]], list[tuple[int, int]]]:
    """A table as somebody may have written it, and the offset and length of each field."""
    fields = draw(FIELDS)
    first = draw(st.sampled_from([0, 1]))
    with_type_size, with_offset, with_sum, with_number, blank_rows, as_text = draw(st.tuples(*[st.booleans()] * 6))
    named = dict(zip(("NO", "항목명", "위치", "길이", "타입", "누적"), (with_number, True, with_offset, True, True, with_sum), strict=True))
    rows: list[list[Any]] = [["업무", "시험"], [], [name for name, shown in named.items() if shown]]
    at, places = 0, []
    for count, (stem, kind, length) in enumerate(fields, 1):
        places.append((at, length))
        cells = (count, f"{stem}{count}", at + first, float(length), f"{kind}({length})" if with_type_size else kind, at + length)
        rows.append([str(cell) if as_text else cell for cell, shown in zip(cells, named.values(), strict=True) if shown])
        rows += [[]] if blank_rows else []
        at += length
    total = draw(st.sampled_from([None, "합계", "TOTAL LENGTH", "총길이"]))
    if total:
        names = [name for name, shown in named.items() if shown]
        rows.append([total if name == "항목명" else at if name == "길이" else None for name in names])
    return rows, places


@settings(deadline=None, max_examples=40)
@given(layouts(), st.sampled_from(["csv", "tsv", "xlsx"]))
def test_a_right_sheet_in_any_style_gives_its_layout_without_a_complaint(layout: tuple[list[list[Any]], list[tuple[int, int]]], form: str):
    rows, places = layout
    content = xlsx({"전문": rows}) if form == "xlsx" else csv_text(rows, "\t" if form == "tsv" else ",").encode("cp949")
    found = import_table_file(content, f"layout.{form}")
    assert found.spec is not None, [finding.text() for finding in found.findings]
    message = next(iter(load_spec(spec_source(found.spec), "layout.py").messages.values()))
    assert [(field.offset, field.length) for field in message.fields] == places


@settings(deadline=None, max_examples=40)
@given(layouts(), st.data())
def test_one_length_that_is_off_never_passes_where_a_sum_or_an_offset_holds_it(layout: Any, data: st.DataObject):
    rows, places = layout
    heading = rows[2]
    at = data.draw(st.integers(0, len(places) - 1))
    row = [row for row in rows[3:] if row][at]
    column = heading.index("길이")
    row[column] = int(float(row[column])) + data.draw(st.sampled_from([-1, 1, 3]))
    found = import_table_file(csv_text(rows).encode(), "layout.csv")
    held = "누적" in heading or len([each for each in rows[3:] if each]) > len(places) or "(" in str(row[heading.index("타입")])
    held = held or ("위치" in heading and at + 1 < len(places))
    assert (found.spec is None) == (held or row[column] < 1)


# --- any sheets -------------------------------------------------------------------------------------------------

CELLS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "X(9)",
            "9(0)",
            "S9(4)V9(2)",
            "GROUP",
            "REDEFINES",
            "3*35",
            "가변",
            "0",
            "-1",
            "99999999",
            "1-1",
            "1-1-1",
            "공통부",
            "개별부",
            "반복 3회",
            "반복 끝",
            "합계",
            "항목명",
            "길이",
            "=A1",
            "Filler(10)",
            "Digits(5, scale=9)",
            "Redefines(by=1)",
            "Overlay(3)",
            "2회 반복",
            "n~m",
            "필수",
            "0200/0210",
            "\n",
            "  가",
        ]
    ),
    st.text(max_size=8),
    st.integers(-5, 400),
    st.floats(-2, 500, allow_nan=False),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 37), st.integers(0, 8), CELLS), max_size=25))
@example([(19, 4, "GROUP")])
def test_no_change_to_a_sheet_breaks_the_importer_and_what_it_lets_pass_loads(changes: list[tuple[int, int, Any]]):
    rows = [[*row, *[None] * (9 - len(row))] for row in telegram_rows("지급이체", "2000", "100", TRANSFER)]
    rows[3][7:9] = ["반복", "선언"]
    for row, column, cell in changes:
        rows[row % len(rows)][column] = cell
    found = import_table_file(csv_text(rows).encode("utf-8", "replace"), "layout.csv")
    if found.spec is not None:
        load_spec(spec_source(found.spec), "layout.py")


@settings(deadline=None)
@given(st.lists(st.lists(CELLS, max_size=8), max_size=15))
def test_no_cells_at_all_break_the_importer(rows: list[list[Any]]):
    found = import_table_file(csv_text([["NO", "항목명", "타입", "길이", "반복"], *rows]).encode("utf-8", "replace"), "layout.csv")
    if found.spec is not None:
        load_spec(spec_source(found.spec), "layout.py")


@pytest.fixture(scope="module")
def own_sheet() -> list[str]:
    return export_csv(load_spec(FIRMBANKING.read_text("utf-8"), "firmbanking.py")).decode("utf-8-sig").split("\r\n")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 11), CELLS), min_size=1, max_size=6))
@example([(15, 10, "Digits(5, scale=9)")])
def test_no_change_to_a_sheet_of_ours_breaks_the_importer(own_sheet: list[str], changes: list[tuple[int, int, Any]]):
    lines = [*own_sheet[:140]]
    for number, column, cell in changes:
        cells = lines[number].split(",")
        cells[column % len(cells)] = "" if cell is None else str(cell).replace("\n", " ")
        lines[number] = ",".join(cells)
    import_table_file("\r\n".join(lines).encode("utf-8", "replace"), "own.csv")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_at_all_break_the_importer(content: bytes):
    for name in ("a.csv", "a.xlsx"):
        found = import_table_file(content, name)
        assert found.spec is not None or any(finding.level == "error" for finding in found.findings)
