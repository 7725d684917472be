"""Which tables of a file are the common header's and which a message's, and whether the headers and totals agree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from telegram_router.telegrams.importers.model import Finding
from telegram_router.telegrams.importers.tables_blocks import Block, Fact, FieldRow, Line, SectionRow, TotalRow, blocks_of
from telegram_router.telegrams.importers.tables_family import BUSINESS_FIELDS, TITLE_FACTS, TOTAL_FACTS, TYPE_FIELDS
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import is_message_column, plain, section_of
from telegram_router.telegrams.importers.tables_items import Item, Items
from telegram_router.telegrams.importers.tables_kinds import is_filler
from telegram_router.telegrams.importers.tables_places import check_places
from telegram_router.telegrams.importers.tables_types import cell_length, whole_number
from telegram_router.telegrams.importers.workbook import Sheet
from telegram_router.telegrams.sheet_words import MESSAGE


@dataclass
class Part:
    """The fields of one telegram that one sheet describes: its header's rows, its body's, or both."""

    block: Block
    header: list[Line] = field(default_factory=list)
    body: list[Line] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    key: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()  # the reply's key, where one table is for both

    @property
    def sheet(self) -> Sheet:
        return self.block.sheet

    @property
    def row(self) -> int:
        return self.block.start or self.block.columns.row


@dataclass(frozen=True)
class Header:
    """The common header, laid out."""

    items: tuple[Item, ...]
    rows: list[FieldRow]
    size: int
    part: Part | None = None
    circles_mean_yes: bool = True


class Sheets:
    """The sheets of one import with the findings about each."""

    def __init__(self, sheets: Sequence[Sheet], are_ours: bool) -> None:
        self.sheets = sheets
        self.are_ours = are_ours
        self.told = {id(sheet): Told(sheet, [*sheet.findings]) for sheet in sheets}
        self.listed: dict[str, list[Fact]] = {}  # codes by the title of a message

    def findings(self) -> list[Finding]:
        """Sheet by sheet, from top to bottom. Of sheets that we wrote no choices are told: there are none."""
        found = [finding for told in self.told.values() for finding in sorted(told.findings, key=_row_of)]
        return [finding for finding in found if finding.level != "note"] if self.are_ours else found

    def told_of(self, part: Part) -> Told:
        return self.told[id(part.sheet)]

    def parts(self) -> tuple[list[Part], list[Part]]:
        """Tables of the common header alone, and tables of messages."""
        headers, parts = list[Part](), list[Part]()
        for sheet in self.sheets:
            told = self.told[id(sheet)]
            blocks = blocks_of(sheet)
            if not blocks and self._listed(sheet):
                continue
            if not blocks:
                told.say("note", "E-IMP-08", None, "no table of fields on this sheet; it is left out")
            before: Part | None = None
            for block in blocks:
                self._say_skipped(told, block)
                part = _part_of(block, "header" if section_of(sheet.name) == "header" else None)
                if before is not None and not part.facts:
                    part.facts, part.titles = before.facts, [*before.titles, *part.titles]
                is_message = bool(part.body) or any(fact.key == MESSAGE for fact in part.facts)
                (parts if is_message else headers).append(part)
                before = None if is_message else part
        for part in parts:
            self._look_up(part)
        return headers, parts

    def _listed(self, sheet: Sheet) -> bool:
        """A list of messages (전문목록) with their codes: kept for those whose own sheets do not give them."""
        for index, row in enumerate(sheet.rows):
            headings = {column: cell.text for column, cell in row.filled() if is_message_column(cell.text)}
            titles = [column for column, text in headings.items() if TITLE_FACTS.fullmatch(plain(text))]
            if not titles or len(headings) < 2:
                continue
            for each in sheet.rows[index + 1 :]:
                title = plain(each.cell(titles[0]).text)
                codes = [(text, each.cell(column)) for column, text in headings.items() if column not in titles]
                if title:
                    self.listed[title] = [Fact(text, cell.text, 0, cell.is_number) for text, cell in codes if cell.text]
            return True
        return False

    def _look_up(self, part: Part) -> None:
        if any(is_message_column(fact.key) and not TITLE_FACTS.fullmatch(plain(fact.key)) for fact in part.facts):
            return
        given = [fact.value for fact in part.facts if TITLE_FACTS.fullmatch(plain(fact.key))]
        for title in (*given, part.sheet.name, *part.titles):
            if plain(title) in self.listed:
                part.facts = [*part.facts, *(replace(fact, row=part.row) for fact in self.listed[plain(title)])]
                self.told_of(part).say("note", "E-IMP-08", part.row, f"the codes of {title} are taken from the list of messages")
                return

    def _say_skipped(self, told: Told, block: Block) -> None:
        silent = []
        for row in block.skipped:
            length = row.cell(block.columns.get("length"))
            if length and cell_length(length.text):
                told.say(
                    "error",
                    "E-IMP-05",
                    row.number,
                    f"the row has a length of {length.text} and no name",
                    "name the field, or empty the row",
                )
            else:
                silent.append(row.number)
        if silent:
            rows = ", ".join(map(str, silent[:10])) + (" ..." if len(silent) > 10 else "")
            told.say("note", "E-IMP-08", None, f"{'rows' if len(silent) > 1 else 'row'} {rows}: taken as remarks, no fields")

    def header(self, headers: list[Part], parts: list[Part]) -> Header:
        """The common header, which must be the same wherever it stands."""
        tables = [*headers, *(part for part in parts if part.header)]
        if not tables:
            return self._inferred_header(parts)
        first = tables[0]
        for other in tables[1:]:
            self._compare(first, other)
            told = self.told_of(other)
            check_places(told, other.block.columns, Items(told, other.block.columns, other.header).top, 0)
        total = [part for part in tables if part is first]
        return self._laid_out_header(first, first.header, total)

    def _compare(self, first: Part, other: Part) -> None:
        told = self.told_of(other)
        ours, theirs = [*rows_of(first.header)], [*rows_of(other.header)]
        for mine, its in zip(ours, theirs, strict=False):
            if signature(mine) != signature(its):
                what = f"{its.label} ({its.length or its.type}) is {mine.label} ({mine.length or mine.type}) in the common header of {first.sheet.where(mine.row)}"
                told.say("error", "E-IMP-03", its.row, what, "make both the same; the first is taken")
        if len(ours) != len(theirs):
            what = f"the common header has {len(theirs)} fields here and {len(ours)} on {first.sheet.where(first.row)}"
            told.say("error", "E-IMP-03", other.row, what, "make both the same; the first is taken")

    def _inferred_header(self, parts: list[Part]) -> Header:
        """Where no sheet says which fields are the header: those with which all messages begin."""
        if len(parts) < 2:
            return Header((), [], 0)
        tables = [[*rows_of(part.body)] for part in parts]
        same = [*takewhile(lambda rows: len({signature(row) for row in rows}) == 1, zip(*tables, strict=False))]
        if not same or not any(TYPE_FIELDS.fullmatch(plain(row.label)) or BUSINESS_FIELDS.fullmatch(plain(row.label)) for row, *_ in same):
            return Header((), [], 0)
        if len(same) == max(map(len, tables)):  # all messages alike: the header ends with its reserved bytes
            same = _until_reserved(same)
        for part, cut in zip(parts, zip(*same, strict=True), strict=True):
            rows = {row.row for row in cut}
            part.header = [line for line in part.body if isinstance(line, FieldRow) and line.row in rows]
            part.body = [line for line in part.body if not (isinstance(line, FieldRow) and line.row in rows)]
        header = self._laid_out_header(parts[0], parts[0].header, [])
        what = f"all sheets begin with the same {len(same)} fields: they are taken as the common header, {header.size} bytes"
        self.told_of(parts[0]).say("warning", "E-IMP-08", parts[0].row, what, "write 공통부 and 개별부 above both if it ends elsewhere")
        return header

    def _laid_out_header(self, part: Part, lines: list[Line], totals: list[Part]) -> Header:
        told = self.told_of(part)
        items = Items(told, part.block.columns, lines)
        check_places(told, part.block.columns, items.top, 0)
        for each in totals:
            self.check_totals(each, each.header, [sum(item.size for item in items.top)], with_facts=not each.body)
        for item in items.top:
            if (item.is_group and item.type.form not in ("overlay", "versions")) or item.times:
                told.say(
                    "error",
                    "E-IMP-09",
                    item.row.row,
                    f"{item.row.label}: a header has no groups and no repetitions",
                    "list its fields one by one",
                )
        return Header(
            tuple(items.top), [item.row for item in items.top], sum(item.size for item in items.top), part, items.circles_mean_yes
        )

    def check_totals(self, part: Part, lines: list[Line], sizes: Sequence[int], with_facts: bool = True) -> None:
        """Totals under and above a table: any of `sizes`, the telegram's first, is right."""
        told = self.told_of(part)
        for line in lines:
            if isinstance(line, TotalRow) and line.value is not None and line.value not in sizes:
                told.say("error", "E-IMP-03", line.row, _total_difference(line.text, line.value, sizes), "mend the total, or a length")
        for fact in part.facts if with_facts and not self.are_ours else ():
            stated = whole_number(fact.value) if TOTAL_FACTS.fullmatch(plain(fact.key)) else None
            if stated is not None and stated not in sizes:
                told.say("error", "E-IMP-03", fact.row, _total_difference(fact.key, stated, sizes), "mend it, or a length")


def _part_of(block: Block, section: str | None) -> Part:
    """A block's rows by the section they stand in; without any word of sections they are the message's own."""
    part = Part(block, facts=block.facts, titles=block.titles)
    current = block.section or section or "body"
    for line in block.lines:
        if isinstance(line, SectionRow):
            current = line.section
        else:
            (part.header if current == "header" else part.body).append(line)
    return part


def _row_of(finding: Finding) -> int:
    """For an author who goes through the sheet from top to bottom."""
    found = re.search(r", row (\d+)$", finding.where)
    return int(found[1]) if found else 0


def rows_of(lines: list[Line]) -> Iterator[FieldRow]:
    return (line for line in lines if isinstance(line, FieldRow))


def signature(row: FieldRow) -> tuple[str, str, str]:
    return plain(row.label), plain(row.type), str(cell_length(row.length))


def _until_reserved(same: list[tuple[FieldRow, ...]]) -> list[tuple[FieldRow, ...]]:
    """Up to the end of the first reserved bytes, which close a header as a rule."""
    reserved = [is_filler(row.label, row.english) for row, *_ in same]
    first = next((n for n, each in enumerate(reserved) if each), len(same) - 1)
    last = next((n for n in range(first, len(same)) if not reserved[n]), len(same))
    return same[: max(last, first + 1)]


def _total_difference(text: str, value: int, sizes: Sequence[int]) -> str:
    what = f"{' '.join(text.split())} is {value}, the lengths sum to {sizes[0]}"
    if len(sizes) > 1 and sizes[0] != sizes[1]:
        what += f" ({sizes[1]} without the common header)"
    nearest = min(sizes, key=lambda size: abs(size - value))
    return f"{what}: {abs(value - nearest)} byte{'' if abs(value - nearest) == 1 else 's'} {'too few' if value > nearest else 'too many'} in the rows"
