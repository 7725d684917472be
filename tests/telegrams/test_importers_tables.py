"""Layout sheets of all shapes to specs: the right offsets, and every disagreement named with its sheet and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from layout_sheets import csv_text, firm_banking, xlsx

from telegram_router.telegrams import Spec, load_spec
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
