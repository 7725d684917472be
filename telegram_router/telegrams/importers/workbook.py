"""Rows of text out of an XLSX or CSV file, as people left them there: merged cells, typed numbers, any code page."""

# Rules this file keeps:
#
# 1. A cell's text is what a person sees in it: 13.0 is 13, and what is covered by a merge is known to be covered.
# 2. What a workbook hides, strikes out or has not computed is told, never passed over in silence.
# 3. A file of any shape costs bounded time and memory: only cells that hold something are looked at.

from __future__ import annotations

import csv
import datetime
import re
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Final

from telegram_router.errors import RouterError
from telegram_router.telegrams.importers.model import Finding

MAX_BYTES: Final = 32 * 1024 * 1024
_MAX_UNPACKED: Final = 256 * 1024 * 1024  # a workbook is a zip file: what it unpacks to is bounded too
_MAX_CELLS: Final = 500_000
_SEPARATORS: Final = (",", "\t", ";", "|")
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SAMPLE_LINES: Final = 200


@dataclass(frozen=True)
class Cell:
    """One cell. `text` has no white space around it; what stood in front of it is counted in `indent`."""

    text: str = ""
    indent: int = 0
    is_number: bool = False  # a number in the workbook: zeros in front of it are gone
    is_date: bool = False  # a date in the workbook, which was probably typed as 3-1-2
    covered: bool = False  # within a merged area, not its first cell; its text is the first cell's
    struck: bool = False  # struck through

    def __bool__(self) -> bool:
        return bool(self.text) and not self.covered


EMPTY: Final = Cell()


@dataclass(frozen=True)
class Row:
    """A row of a sheet. `number` is what its author sees beside it."""

    number: int
    cells: tuple[Cell, ...]

    def cell(self, column: int | None) -> Cell:
        return self.cells[column] if column is not None and column < len(self.cells) else EMPTY

    def filled(self) -> list[tuple[int, Cell]]:
        """Cells that hold a text of their own, with their columns."""
        return [(column, cell) for column, cell in enumerate(self.cells) if cell]


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook, or a whole CSV file. Rows that hold nothing are left out."""

    file: str
    name: str  # "" for a CSV file
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()

    def where(self, row: int | None = None) -> str:
        """A place in it, as findings name it."""
        sheet = f", sheet {self.name}" if self.name else ""
        return f"{self.file}{sheet}" + ("" if row is None else f", row {row}")


class UnreadableFile(RouterError):
    """A file that holds no table we can read."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__("E-IMP-01", what, do=do)


def read_sheets(content: bytes, filename: str, encoding: str | None = None) -> list[Sheet]:
    """The sheets of a file, in their order. `encoding` is a CSV file's, found out when it is not given. Raises UnreadableFile."""
    if len(content) > MAX_BYTES:
        raise UnreadableFile(f"the file has {len(content):,} bytes", f"split it into files of at most {MAX_BYTES:,}")
    if content.startswith(_OLD_EXCEL):
        raise UnreadableFile("it is an .xls workbook of old Excel, or a workbook with a password", "save it as .xlsx without a password")
    if content.startswith(b"PK"):
        return _workbook(content, filename)
    return [_text_table(content, filename, encoding)]


# --- XLSX -------------------------------------------------------------------------------------------------------


def _workbook(content: bytes, filename: str) -> list[Sheet]:
    import openpyxl  # heavy: only whoever has a workbook waits for it

    _check_size(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about drop-down lists and the like, which are lost on saving: nothing is saved here
            book = openpyxl.load_workbook(BytesIO(content), data_only=True)
            formulas = openpyxl.load_workbook(BytesIO(content))
    except Exception as error:  # openpyxl raises whatever its parsers do for a broken file
        what = f"the workbook cannot be opened ({type(error).__name__})"
        raise UnreadableFile(what, "open it in Excel or LibreOffice and save it again as .xlsx") from None
    unseen = _uncomputed(formulas, book)
    return [_sheet(sheet, filename, unseen.get(sheet.title, [])) for sheet in book.worksheets]


def _check_size(content: bytes) -> None:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names, size = archive.namelist(), sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise UnreadableFile("it begins like a workbook but is none, or is cut short", "get the file again") from None
    if "xl/workbook.xml" not in names:
        raise UnreadableFile("it is a zip file but no .xlsx workbook", "unpack it, or save the layout as .xlsx")
    if size > _MAX_UNPACKED:
        raise UnreadableFile(f"the workbook unpacks to {size:,} bytes", "copy the layout sheets into a new workbook")


def _uncomputed(formulas: Any, values: Any) -> dict[str, list[str]]:
    """Cells with a formula whose value the workbook does not hold, by sheet."""
    found: dict[str, list[str]] = {}
    for sheet in formulas.worksheets:
        known = values[sheet.title]._cells
        for place, cell in _content_of(sheet).items():
            if cell.data_type == "f" and (place not in known or known[place].value is None):
                found.setdefault(sheet.title, []).append(cell.coordinate)
    return found


def _content_of(sheet: Any) -> dict[tuple[int, int], Any]:
    # Walking rows by their numbers would visit every cell up to the last that has as much as a colour: a million rows.
    cells = {place: cell for place, cell in sheet._cells.items() if cell.value is not None}
    if len(cells) > _MAX_CELLS:
        raise UnreadableFile(f"sheet {sheet.title} has {len(cells):,} cells", "copy the layout into a sheet of its own")
    return cells


def _sheet(sheet: Any, filename: str, unseen: list[str]) -> Sheet:
    cells = {place: _cell(cell) for place, cell in _content_of(sheet).items()}
    for area in sheet.merged_cells.ranges:
        _cover(cells, area)
    rows: dict[int, dict[int, Cell]] = {}
    for (row, column), cell in cells.items():
        rows.setdefault(row, {})[column] = cell
    made = tuple(Row(number, _dense(rows[number])) for number in sorted(rows) if any(cell.text for cell in rows[number].values()))
    told = Sheet(filename, sheet.title, made)
    return replace(told, findings=tuple(_told(told, sheet, unseen)))


def _dense(cells: dict[int, Cell]) -> tuple[Cell, ...]:
    return tuple(cells.get(column, EMPTY) for column in range(1, max(cells) + 1))


def _cover(cells: dict[tuple[int, int], Cell], area: Any) -> None:
    """Every cell of a merged area knows its first cell's text."""
    first = cells.get((area.min_row, area.min_col))
    size = (area.max_row - area.min_row + 1) * (area.max_col - area.min_col + 1)
    if first is None or size > _MAX_CELLS:
        return
    for row in range(area.min_row, area.max_row + 1):
        for column in range(area.min_col, area.max_col + 1):
            if (row, column) != (area.min_row, area.min_col):
                cells[row, column] = replace(first, covered=True)


def _cell(cell: Any) -> Cell:
    value = cell.value
    struck = bool(cell.font and cell.font.strike)
    if isinstance(value, bool):
        return Cell(str(value).upper(), struck=struck)
    if isinstance(value, int | float):
        return Cell(_number_text(value, cell.number_format), is_number=True, struck=struck)
    if isinstance(value, datetime.datetime | datetime.date):
        return Cell(_typed_as(value, cell.number_format), is_date=True, struck=struck)
    indent = int(cell.alignment.indent or 0) if cell.alignment else 0
    return replace(_of_text(str(value), indent), struck=struck)


def _number_text(value: float, form: str) -> str:
    text = str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
    return text.zfill(len(form)) if re.fullmatch("0+", form or "") else text  # 200 in the form 0000 is seen as 0200


def _typed_as(value: datetime.date, form: str) -> str:
    """What was typed before a spreadsheet made a date of it: 3-1-2 or 3-1."""
    year = f"{value.year % 100}-" if "y" in form.lower() else ""
    return f"{year}{value.month}-{value.day}"


def _of_text(text: str, indent: int = 0) -> Cell:
    shown = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\u200b", "").replace("\ufeff", ""))
    stripped = shown.strip()
    front = shown[: len(shown) - len(shown.lstrip())].replace("\n", "")
    return Cell(stripped, indent * 2 + sum(2 if each in "\u3000\t" else 1 for each in front) if stripped else 0)


def _told(told: Sheet, sheet: Any, unseen: list[str]) -> Iterator[Finding]:
    if sheet.sheet_state != "visible":
        yield Finding(
            "warning", "E-IMP-08", told.where(), "the sheet is hidden; it is read like the others", "delete it if it is out of date"
        )
    filled = {row.number for row in told.rows}
    hidden = [number for number, form in sheet.row_dimensions.items() if form.hidden and number in filled]
    if hidden:
        what = f"{_many('row', hidden)} hidden; read like the others"
        yield Finding("warning", "E-IMP-08", told.where(min(hidden)), what, "delete what is out of date")
    columns = [letter for letter, form in sheet.column_dimensions.items() if form.hidden]
    if columns:
        yield Finding("note", "E-IMP-08", told.where(), f"{_many('column', columns)} hidden; read like the others")
    for row in told.rows:
        if any(cell.struck for _, cell in row.filled()):
            what = "the row is struck through; it is read like the others"
            yield Finding("warning", "E-IMP-08", told.where(row.number), what, "delete it if the field is gone")
    if unseen:
        what = f"{_many('cell', unseen)} a formula whose value the workbook does not hold"
        yield Finding("warning", "E-IMP-01", told.where(), what, "open it in Excel or LibreOffice and save it again")


def _many(what: str, each: Iterable[object]) -> str:
    shown = [str(one) for one in each]
    listed = ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
    verb = "has" if what == "cell" else "is"
    plural = "have" if what == "cell" else "are"
    return f"{what} {listed} {verb}" if len(shown) == 1 else f"{what}s {listed} {plural}"


# --- CSV --------------------------------------------------------------------------------------------------------


def _text_table(content: bytes, filename: str, encoding: str | None) -> Sheet:
    text = _decoded(content, encoding)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator = _separator(lines)
    rows, reader = [], csv.reader((f"{line}\n" for line in lines), delimiter=separator)
    try:
        first = 1
        for values in reader:
            cells = tuple(_of_text(value) for value in values)
            if any(cell.text for cell in cells):
                rows.append(Row(first, cells))
            first = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableFile(
            f"line {reader.line_num} is no line of a table ({error})", "close the quotes, or save it again as CSV"
        ) from None
    if sum(len(row.cells) for row in rows) > _MAX_CELLS:
        raise UnreadableFile(f"the table has more than {_MAX_CELLS:,} cells", "split it")
    return Sheet(filename, "", tuple(rows))


def _decoded(content: bytes, encoding: str | None) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    if b"\0" in content and encoding != "utf-16":
        raise UnreadableFile("it is neither text nor an .xlsx workbook", "save the layout as .xlsx or CSV")
    for each in [encoding] if encoding else ["utf-8-sig", "cp949"]:
        try:
            return content.decode(each)
        except (UnicodeDecodeError, LookupError):
            continue
    tried = encoding or "UTF-8 nor CP949"
    raise UnreadableFile(f"its text is {'not' if encoding else 'neither'} {tried}", "save it as UTF-8, or name its encoding")


def _separator(lines: list[str]) -> str:
    """The one that stands outside quotes on most lines."""
    counts: Counter[str] = Counter()
    for line in lines[:_SAMPLE_LINES]:
        bare = "".join(line.split('"')[::2])
        for separator in _SEPARATORS:
            counts[separator] += min(bare.count(separator), 3)
    return max(_SEPARATORS, key=lambda separator: counts[separator])
