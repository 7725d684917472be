"""A spec as layout sheets, CSV or XLSX, which the importer reads back to the same layout."""

# Rules this file keeps:
#
# 1. The plain columns say all that an analyst needs; the last one holds each field's declaration, for what they cannot say.
# 2. Offsets count from 0 and from the telegram's first byte, every table at its largest.
# 3. What a sheet cannot carry is listed, on the first sheet too.

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, Final

import construct
from construct import Renamed

from telegram_router.telegrams import sheet_words as words
from telegram_router.telegrams.declare import Family, Message
from telegram_router.telegrams.fields import Filler, Kind, Opaque
from telegram_router.telegrams.groups import Bounds, Occurs, Overlay, Redefines, Versions, bare
from telegram_router.telegrams.spelling import NotADeclaration, spelled

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

Cell = str | int | None

_LONGEST_SHEET_NAME: Final = 31
_WIDTHS: Final = {"label": 28, "english": 24, "type": 16, "codes": 28, "declaration": 48}
_TABLED: Final = ("name", "title", "header", "messages", "line")


@dataclass
class _Page:
    """One sheet: facts above the table, and the table's rows."""

    name: str
    facts: list[tuple[str, Cell]] = field(default_factory=list)
    section: str = ""
    rows: list[dict[str, Cell]] = field(default_factory=list)
    total: int | None = None

    def lines(self) -> Iterator[list[Cell]]:
        for fact in self.facts:
            yield [*fact]
        if not self.section:
            return
        yield [self.section]
        yield [*words.HEADINGS.values()]
        for row in self.rows:
            yield [row.get(role) for role in words.HEADINGS]
        if self.total is not None:
            total: dict[str, Cell] = {"label": words.TOTAL, "length": self.total}
            yield [total.get(role) for role in words.HEADINGS]


def export_csv(spec: Spec, message: MessageLayout | None = None) -> bytes:
    """All messages, or one, as one CSV file: UTF-8 with the mark by which Excel knows it."""
    text = StringIO()
    writer = csv.writer(text)
    for page in _Exporting(spec, message).pages():
        writer.writerows(page.lines())
        writer.writerow([])
    return text.getvalue().encode("utf-8-sig")


def export_xlsx(spec: Spec, message: MessageLayout | None = None) -> bytes:
    """All messages, or one, as a workbook: the family, the common header, a sheet for each message."""
    from openpyxl import Workbook

    book = Workbook()
    if book.active is not None:
        book.remove(book.active)
    for page in _Exporting(spec, message).pages():
        _write(book.create_sheet(page.name), page)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def not_carried(spec: Spec) -> list[str]:
    """What the sheets of a spec do not hold, in words."""
    exporting = _Exporting(spec, None)
    exporting.pages()
    return exporting.lost


class _Exporting:
    def __init__(self, spec: Spec, message: MessageLayout | None) -> None:
        self.spec = spec
        self.family: Family = spec.family
        self.only = None if message is None else message.name
        self.lost: list[str] = []
        self.names: set[str] = set()

    def pages(self) -> list[_Page]:
        self.lost.clear()
        self.names.clear()
        first = _Page(self._sheet_name("spec"))
        pages = [first]
        if self.spec.header_size:
            header = _Page(self._sheet_name(words.HEADER), section=words.HEADER, total=self.spec.header_size)
            header.rows = [*self._rows(self.family.header, 0, "", "header")]
            pages.append(header)
        pages += [self._message_page(message) for message in self._messages()]
        first.facts = [*self._family_facts(), *((words.NOT_CARRIED, what) for what in self.lost)]
        return pages

    def _messages(self) -> Sequence[Message]:
        declared = {message.name for message in self.family.messages}
        if self.only is None or self.only in declared:
            return [message for message in self.family.messages if self.only in (None, message.name)]
        layout = self.spec.messages[self.only]  # a reply that follows from the reply rule: its body is its request's
        asked = next(m for m in self.family.messages if self.spec.messages[m.name].reply.message is layout)
        return [dataclasses.replace(asked, name=layout.name, title=layout.title, key=layout.key, kind="reply", reply=None)]

    # -- what stands above the tables

    def _family_facts(self) -> Iterator[tuple[str, Cell]]:
        family = self.family
        yield words.MARK, family.name
        yield words.TITLE, family.title
        for each in dataclasses.fields(family):
            value = self._of_these_sheets() if each.name == "volatile" else getattr(family, each.name)
            if each.name in _TABLED or value is None or value == each.default or value == {}:
                continue
            if each.name in ("key", "correlation"):
                yield each.name, ", ".join(value)
            elif isinstance(value, str | int):
                yield each.name, str(value)
            elif each.name == "conduct" and self.only is not None:
                self.lost.append("conduct: its telegrams are not on these sheets")
            else:
                yield from self._spelled_fact(each.name, value)

    def _of_these_sheets(self) -> dict[str, str]:
        """What belongs to the moment, of fields that are on the sheets."""
        messages = self.spec.messages.values() if self.only is None else [self.spec.messages[self.only]]
        known = {name for message in messages for planned in message.fields for name in (planned.name, planned.path)}
        return {name: told for name, told in self.family.volatile.items() if name in known}

    def _spelled_fact(self, name: str, value: Any) -> Iterator[tuple[str, Cell]]:
        try:
            yield name, spelled(value)
        except NotADeclaration as error:
            self.lost.append(f"{name}: {error}")

    def _message_page(self, message: Message) -> _Page:
        page = _Page(self._sheet_name(message.name), section=words.BODY)
        page.facts = [(words.MESSAGE, message.name), (words.TITLE, message.title)]
        page.facts += [(f"{words.KEY}{name}", value) for name, value in zip(self.family.key, message.key, strict=True)]
        page.facts.append((words.KIND, message.kind))
        if message.reply is not None:
            page.facts += self._spelled_fact(words.REPLY, message.reply)
        if message.synthetic:
            page.facts.append((words.SYNTHETIC, "Y"))
        start = self.spec.header_size
        if message.body is not None:
            page.rows = [*self._rows(message.body, start, "", message.name)]
            open_end = any(isinstance(bare(member), Opaque) for member in message.body.subcons)
            page.total = None if open_end else start + _size(message.body)
        return page

    def _sheet_name(self, wanted: str) -> str:
        """Excel takes 31 characters, some of them not, and no two that differ only in capitals."""
        base = re.sub(r"[\[\]:*?/\\']", "_", wanted)[:_LONGEST_SHEET_NAME]
        name, number = base, 2
        while name.lower() in self.names:
            name = f"{base[: _LONGEST_SHEET_NAME - len(str(number)) - 1]}_{number}"
            number += 1
        self.names.add(name.lower())
        return name

    # -- rows

    def _rows(self, struct: Any, at: int, number: str, owner: str) -> Iterator[dict[str, Cell]]:
        for count, member in enumerate(struct.subcons, 1):
            name, label = _named(member)
            yield from self._row(bare(member), name, label, at, f"{number}-{count}" if number else str(count), owner)
            at += _size(bare(member))

    def _row(self, inner: Any, name: str, label: str, at: int, number: str, owner: str) -> Iterator[dict[str, Cell]]:
        row: dict[str, Cell] = {"number": number, "label": label, "english": name, "offset": at}
        if isinstance(inner, Occurs):
            row |= {"count": _times(inner.count), "cumulative": at + _size(inner)}
            inner, repeated = inner.item, inner
            if isinstance(inner, Occurs):
                self.lost.append(f"{owner}: {name} is a table of tables; its items stand as bytes")
                inner = Filler(_size(repeated.item))
        if isinstance(inner, Kind):
            yield {"cumulative": at + inner.length} | row | self._kind_cells(inner, owner, name or label)
            return
        length = _size(inner)
        yield {"length": length, "cumulative": at + length} | row | self._group_cells(inner)
        yield from self._inside(inner, at, number, owner)

    def _kind_cells(self, kind: Kind, owner: str, name: str) -> dict[str, Cell]:
        cells: dict[str, Cell] = {
            "length": words.VARIABLE if isinstance(kind, Opaque) else kind.length,
            "type": words.picture(kind),
            "required": words.required_text(kind),
            "codes": words.codes_text(kind),
        }
        try:
            return cells | {"declaration": spelled(kind)}
        except NotADeclaration as error:
            self.lost.append(f"{owner}: {name}: {error}; its type and length only")
            return cells

    def _group_cells(self, inner: Any) -> dict[str, Cell]:
        if isinstance(inner, Redefines):
            given = {"by": inner.by, "when": inner.when or None, "default": inner.default}
            shown = ", ".join(f"{key}={spelled(value)}" for key, value in given.items() if value is not None)
            return {"type": "REDEFINES", "declaration": f"Redefines({shown})"}
        if isinstance(inner, Versions):
            return {"type": "VERSIONS", "declaration": f"Versions({spelled(inner.by)})"}
        if isinstance(inner, Overlay):
            return {"type": "OVERLAY", "declaration": f"Overlay({inner.size})"}
        return {"type": "GROUP"}

    def _inside(self, inner: Any, at: int, number: str, owner: str) -> Iterator[dict[str, Cell]]:
        if isinstance(inner, Redefines):
            for count, (view, declared) in enumerate(inner.views.items(), 1):
                yield from self._row(bare(declared), view, _named(declared)[1], at, f"{number}-{count}", owner)
        elif isinstance(inner, Versions):
            for count, (first, declared) in enumerate(inner.versions.items(), 1):
                yield from self._row(bare(declared), "", first or words.FROM_THE_BEGINNING, at, f"{number}-{count}", owner)
        elif isinstance(inner, Overlay):
            yield from self._rows(bare(inner.fields), at, number, owner)
        elif isinstance(inner, construct.Struct):
            yield from self._rows(inner, at, number, owner)


def _named(member: Any) -> tuple[str, str]:
    """Name and label of a member: `*` wraps a second name around the first."""
    name, label = "", ""
    while isinstance(member, Renamed):
        name, label = name or member.name or "", label or member.docs or ""
        member = member.subcon
    return str(name), str(label)


def _size(inner: Any) -> int:
    """Bytes, with every table at its largest."""
    if isinstance(inner, Kind):
        return inner.length
    if isinstance(inner, Occurs):
        return inner.bounds[1] * _size(bare(inner.item))
    if isinstance(inner, Redefines):
        return max(_size(bare(view)) for view in inner.views.values())
    if isinstance(inner, Versions):
        return max(_size(bare(version)) for version in inner.versions.values())
    if isinstance(inner, Overlay):
        return inner.size
    return sum(_size(bare(member)) for member in inner.subcons)


def _times(count: int | Bounds) -> Cell:
    if isinstance(count, Bounds):
        return f"{count.least}~{count.most} ({count.depending}, {count.storage})"
    return count


def _write(sheet: Any, page: _Page) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    for row, line in enumerate(page.lines(), 1):
        for column, value in enumerate(line, 1):
            if value in (None, ""):
                continue
            cell = sheet.cell(row, column, value)
            if isinstance(value, str):
                cell.data_type = "s"  # never a formula, whatever it begins with
            if line == [*words.HEADINGS.values()]:
                cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="DDE6F0")
            cell.alignment = Alignment(vertical="top", wrap_text=isinstance(value, str) and "\n" in value)
    for column, role in enumerate(words.HEADINGS, 1):
        sheet.column_dimensions[get_column_letter(column)].width = _WIDTHS.get(role, 11)
