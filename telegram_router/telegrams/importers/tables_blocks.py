"""A sheet cut into its tables: what stands above each, its heading, and its rows by what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from telegram_router.telegrams.importers.tables_headings import Columns, columns_of, is_total, section_of
from telegram_router.telegrams.importers.tables_types import cell_length, cell_type
from telegram_router.telegrams.importers.workbook import Cell, Row, Sheet
from telegram_router.telegrams.sheet_words import MESSAGE

Section = Literal["header", "body"]


@dataclass(frozen=True)
class Fact:
    """A key and its value in the cells above a table: 전문구분코드 | 2000."""

    key: str
    value: str
    row: int
    is_number: bool = False


@dataclass(frozen=True)
class FieldRow:
    """A row that describes a field or a group, as its cells say."""

    row: int
    label: str  # the English name where there is no other
    outer: tuple[str, ...] = ()  # names in columns before its own, merged over several rows
    number: str = ""
    english: str = ""
    type: str = ""
    length: str = ""
    offset: str = ""
    end: str = ""
    cumulative: str = ""
    scale: str = ""
    count: str = ""
    depth: str = ""
    required: str = ""
    constant: str = ""
    codes: str = ""
    declaration: str = ""
    note: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    indent: int = 0
    is_date: bool = False  # a spreadsheet made a date of its number
    has_label: bool = True


@dataclass(frozen=True)
class SectionRow:
    """공통부 or 개별부 begins."""

    row: int
    section: Section


@dataclass(frozen=True)
class TotalRow:
    """The sum of what stands above it, as the sheet has it."""

    row: int
    text: str
    value: int | None
    is_part: bool  # of one section, not of the whole telegram


@dataclass(frozen=True)
class RepeatRow:
    """`이하 10회 반복` and `반복 끝`."""

    row: int
    times: int | None  # None: it ends
    text: str = ""


Line = FieldRow | SectionRow | TotalRow | RepeatRow


@dataclass
class Block:
    """One table of a sheet."""

    sheet: Sheet
    columns: Columns
    facts: list[Fact] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)  # lone texts above it
    section: Section | None = None  # what stands above it says which part of a telegram it is
    lines: list[Line] = field(default_factory=list)
    skipped: list[Row] = field(default_factory=list)  # rows in its midst that say nothing about a field
    start: int = 0  # row where it begins; 0: its heading

    def fields(self) -> Iterator[FieldRow]:
        return (line for line in self.lines if isinstance(line, FieldRow))


_PAIR: Final = re.compile(r"\s*([^:：]{1,30}?)\s*[:：]\s*(\S.*)", re.DOTALL)
_REPEAT_END: Final = re.compile(r"반복\s*(부|구간|영역)?\s*(끝|종료|end)|end\s*(of)?\s*repeat", re.IGNORECASE)
_REPEAT: Final = re.compile(r"반복|repeat|occurs", re.IGNORECASE)
_TIMES: Final = re.compile(
    r"(\d{1,4})\s*(?:회|번|건|times|개)|(?:반복|repeat|occurs)\D{0,8}?(\d{1,4})|(?:^|\s)[x×*]\s*(\d{1,4})", re.IGNORECASE
)


def blocks_of(sheet: Sheet) -> list[Block]:
    """The tables of a sheet, in their order."""
    headings = [*_headings(sheet.rows)]
    found: list[Block] = []
    above: list[Row] = [*sheet.rows[: headings[0][0]]] if headings else []
    for (index, columns, size), (following, _, _) in pairwise([*headings, (len(sheet.rows), None, 0)]):
        rows = sheet.rows[index + size : following]
        kinds = [_line(row, columns) for row in rows]  # type: ignore[arg-type]  # only the last, which is no heading, has none
        last = max((n for n, kind in enumerate(kinds) if isinstance(kind, FieldRow | TotalRow)), default=-1)
        block = Block(sheet, columns)  # type: ignore[arg-type]
        _read_above(block, above)
        owners = _take(block, [*zip(rows[: last + 1], kinds[: last + 1], strict=True)])
        above = [*rows[last + 1 :]]
        if block.columns.facts:
            found += _by_message(block, owners)
            continue
        if found and _goes_on(found[-1], block):
            found[-1].lines += block.lines
            found[-1].skipped += block.skipped
        elif any(block.fields()) or any(fact.key == MESSAGE for fact in block.facts):
            found.append(block)
    if found:
        found[-1].skipped += [row for row in above if row.filled()]
    return found


def _take(block: Block, rows: list[tuple[Row, Line | None]]) -> list[tuple[str, ...]]:
    """The rows of a table, and beside each line what its message columns say.

    A column that says 공통부 or 개별부 beside each row makes the same of them as a row between."""
    column = block.columns.get("section")
    current: str | None = None
    owners: list[tuple[str, ...]] = []
    for index, (row, line) in enumerate(rows):
        section = section_of(row.cell(column).text)
        if isinstance(line, FieldRow) and section not in (None, current):
            current = section
            block.lines.append(SectionRow(row.number, "header" if section == "header" else "body"))
        if line is None:
            line = _group_above(row, rows[index + 1 : index + 2], block.columns)
        if line is None:
            block.skipped.append(row)
        else:
            block.lines.append(line)
        said = tuple(row.cell(place).text for place in block.columns.facts)
        owners += [said] * (len(block.lines) - len(owners))
    return owners


def _by_message(block: Block, owners: list[tuple[str, ...]]) -> list[Block]:
    """One table of many messages: a block for each, those rows that name no message before them all, as a header has it."""
    headings = [*block.columns.facts.values()]
    made: dict[tuple[str, ...], Block] = {}
    current: tuple[str, ...] = ()
    for line, owner in zip(block.lines, owners, strict=True):
        current = owner if any(owner) else current
        if current not in made:
            facts = [Fact(heading, said, line.row) for heading, said in zip(headings, current, strict=False) if said]
            section: Section | None = block.section if any(current) else "header"
            made[current] = Block(block.sheet, block.columns, [*block.facts, *facts], block.titles, section, start=line.row)
        made[current].lines.append(line)
    if made:
        next(iter(made.values())).skipped = block.skipped
    return [each for each in made.values() if any(each.fields())]


def _group_above(row: Row, below: list[tuple[Row, Line | None]], columns: Columns) -> Line | None:
    """A row with no more than a name is a group if the next one's name is set in behind it."""
    following = below[0][1] if below else None
    made = _field(row, columns, indented_below=True)
    return made if made is not None and isinstance(following, FieldRow) and following.indent > made.indent else None


def _headings(rows: tuple[Row, ...]) -> Iterator[tuple[int, Columns, int]]:
    busy = 0
    for index, row in enumerate(rows):
        found = columns_of(row, rows[index + 1] if index + 1 < len(rows) else None) if index >= busy else None
        if found is not None:
            yield index, *found
            busy = index + found[1]


def _goes_on(before: Block, block: Block) -> bool:
    """A heading that is only repeated, as at the top of a page."""
    same = before.columns.places == block.columns.places and before.columns.labels == block.columns.labels
    closed = any(isinstance(line, TotalRow) and not line.is_part for line in before.lines)
    return same and not closed and not (block.facts or block.titles or block.section)


# --- above a table ----------------------------------------------------------------------------------------------


def _read_above(block: Block, rows: Iterable[Row]) -> None:
    for row in rows:
        cells = [cell for _, cell in row.filled()]
        if len(cells) == 1 and not _PAIR.fullmatch(cells[0].text):
            section = section_of(_unmarked(cells[0].text))
            if section is not None:
                block.section = "header" if section == "header" else "body"
            else:
                block.titles.append(cells[0].text)
        block.facts += _facts(row, cells)


def _unmarked(text: str) -> str:
    """A title without what stands in front of it: ■, ※, 1., [ ]."""
    return re.sub(r"^\s*([\d.]+\s|[^\w(\[{]+)+", "", text).strip("[]<>()【】 ") or text


def _facts(row: Row, cells: list[Cell]) -> Iterator[Fact]:
    for cell in cells:
        for piece in re.split(r"[,;|()\[\]\n]| / |\s{2,}", cell.text):  # 전문종별코드: 0200, 업무구분코드: 310
            pair = _PAIR.fullmatch(piece)
            if pair:
                yield Fact(pair[1], pair[2].strip(), row.number)
    for cell, value in pairwise(cells):
        yield Fact(cell.text.rstrip(":： "), value.text, row.number, value.is_number)


# --- rows of a table --------------------------------------------------------------------------------------------


def _line(row: Row, columns: Columns) -> Line | None:
    cells = row.filled()
    texts = list(dict.fromkeys(cell.text for _, cell in cells))
    if not texts:
        return None
    if len(texts) == 1:
        section = section_of(_unmarked(texts[0]))
        if section is not None:
            return SectionRow(row.number, "header" if section == "header" else "body")
        repeat = _repeat(row, texts[0])
        if repeat is not None:
            return repeat
    return _total(row, columns, cells) or _field(row, columns)


def _repeat(row: Row, text: str) -> RepeatRow | None:
    if _REPEAT_END.search(text):
        return RepeatRow(row.number, None, text)
    times = times_in(text) if _REPEAT.search(text) else None
    return RepeatRow(row.number, times, text) if times else None


def times_in(text: str) -> int | None:
    """How often a note says that something is repeated."""
    found = _TIMES.search(text)
    return int(found[1] or found[2] or found[3]) if found else None


def _total(row: Row, columns: Columns, cells: list[tuple[int, Cell]]) -> TotalRow | None:
    named = next(((column, cell) for column, cell in cells if not cell.text.replace(".", "").isdigit()), None)
    if named is None or not is_total(named[1].text) or row.cell(columns.get("type")) or row.cell(columns.get("declaration")):
        return None
    number = row.cell(columns.get("number"))
    if number and number is not named[1]:
        return None
    value = next((size[1] for role in ("length", "cumulative") if (size := cell_length(row.cell(columns.get(role)).text))), None)
    if value is None:
        rest = [cell.text for column, cell in cells if column > named[0]]
        value = next((size[1] for text in rest if (size := cell_length(text))), None)
    if value is None:
        inside = re.search(r"\d+", named[1].text)
        value = int(inside[0]) if inside else None
    return TotalRow(row.number, named[1].text, value, bool(re.search(r"소계|개별|공통|sub", named[1].text, re.IGNORECASE)))


def _field(row: Row, columns: Columns, indented_below: bool = False) -> FieldRow | None:
    def own(role: str) -> str:
        cell = row.cell(columns.get(role))
        return cell.text if cell else ""

    label, outer, indent = _names(row, columns)
    cells = {role: own(role) for role in _OWN}
    span = _SPAN.fullmatch(cells["offset"])
    if span and not cells["end"]:  # 10~21
        cells |= {"offset": span[1], "end": span[2]}
    made = FieldRow(
        row.number,
        label or own("english"),
        outer,
        **cells,
        note=" ".join(dict.fromkeys(row.cell(column).text for column in columns.notes if row.cell(column))),
        marks=tuple((heading, row.cell(column).text) for column, heading in columns.marks.items() if row.cell(column)),
        indent=indent,
        is_date=row.cell(columns.get("number")).is_date,
        has_label=bool(label),
    )
    return made if _describes(made) or (indented_below and made.label) else None


_SPAN: Final = re.compile(r"(\d{1,6})\s*[~\-–∼]\s*(\d{1,6})")
_OWN: Final = (
    *("number", "english", "type", "length", "offset", "end", "cumulative", "scale", "count", "depth"),
    *("required", "constant", "codes", "declaration"),
)


def _names(row: Row, columns: Columns) -> tuple[str, tuple[str, ...], int]:
    """A row's own name, the merged names it stands under, and how far it is set in."""
    cells = [(column, row.cell(column)) for column in columns.labels if row.cell(column).text]
    own = [(column, cell) for column, cell in cells if cell]
    if not own:
        return "", tuple(cell.text for _, cell in cells), 0
    column, cell = own[-1]
    outer = dict.fromkeys(each.text for at, each in cells if at < column and each.text != cell.text)
    return " ".join(cell.text.split()), tuple(outer), cell.indent


def _describes(made: FieldRow) -> bool:
    """Whether a row says enough to be a field: a name, and something about its bytes or its place."""
    if made.declaration:
        return True
    if not made.label:
        return False
    if cell_length(made.length) or (made.type and cell_type(made.type)):
        return True
    return is_numbered(made.number) or is_numbered(made.depth) or bool(made.count)


def is_numbered(number: str) -> bool:
    """Whether a NO cell holds a number of a field: 3, 3-1, 3.1, 3-1-2."""
    return bool(re.fullmatch(r"\d{1,4}([-.]\d{1,4})*\.?", number))
