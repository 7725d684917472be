"""Which message each table describes: its values of the fields that tell messages apart, wherever the sheet has them."""

from __future__ import annotations

import re

from telegram_router.telegrams.importers.model import Finding
from telegram_router.telegrams.importers.tables_blocks import FieldRow
from telegram_router.telegrams.importers.tables_family import BUSINESS_FACTS, BUSINESS_FIELDS, TYPE_FACTS, TYPE_FIELDS, codes_of, matches
from telegram_router.telegrams.importers.tables_headings import plain
from telegram_router.telegrams.importers.tables_parts import Header, Part, Sheets, rows_of, signature


class Keys:
    """Finds the key fields of a header, and writes each message's values into its part."""

    def __init__(self, sheets: Sheets, file: str) -> None:
        self.sheets = sheets
        self.file = file
        self.rows: list[FieldRow] = []
        self.findings: list[Finding] = []

    def find(self, parts: list[Part], header: Header) -> None:
        candidates = [row for row in header.rows if _is_key(row, parts)]
        lengths = {item.row.row: item.size for item in header.items}
        values = [[self._values(part, row, lengths[row.row], candidates, lengths) for row in candidates] for part in parts]
        columns = [column for column in range(len(candidates)) if any(row[column] for row in values)]
        self.rows = [candidates[column] for column in columns]
        for part, row in zip(parts, values, strict=True):
            missing = [candidates[column].label for column in columns if not row[column]]
            if missing:
                do = f"write {missing[0]} and its value above the table"
                self.sheets.told_of(part).say("error", "E-IMP-04", part.row, f"no value for {', '.join(missing)}", do)
            part.key = tuple(row[column][0] if row[column] else "?" for column in columns)
            answer = tuple(row[column][-1] if row[column] else "?" for column in columns)
            part.answer = answer if answer != part.key and all(len(row[column]) <= 2 for column in columns) else ()
        self._distinct(parts)

    def _distinct(self, parts: list[Part]) -> None:
        if not self.rows:
            if len(parts) > 1:
                do = "write 전문구분코드 and its value above each table, and list that field under 공통부"
                self.findings.append(Finding("error", "E-IMP-04", self.file, f"nothing tells the {len(parts)} messages apart", do))
            return
        seen: dict[tuple[str, ...], Part] = {}
        for part in parts:
            for key in filter(None, (part.key, part.answer)):
                if key in seen and "?" not in key:
                    what = f"the message {'/'.join(key)} is described on {seen[key].sheet.where(seen[key].row)} already"
                    self.sheets.told_of(part).say("error", "E-IMP-04", part.row, what, "give one of them other codes, or delete it")
                seen.setdefault(key, part)

    def _values(self, part: Part, row: FieldRow, length: int, candidates: list[FieldRow], lengths: dict[int, int]) -> list[str]:
        """Values of a key field for one message: above its table, in its own header rows, or in its title."""
        names = {plain(row.label), plain(row.english)} - {""}
        kind = (
            TYPE_FACTS
            if TYPE_FIELDS.fullmatch(plain(row.label))
            else BUSINESS_FACTS
            if BUSINESS_FIELDS.fullmatch(plain(row.label))
            else None
        )
        exact = [fact for fact in part.facts if plain(fact.key) in names]
        others = {plain(name) for each in candidates if each is not row for name in (each.label, each.english)}
        near = [fact for fact in part.facts if kind is not None and kind.fullmatch(plain(fact.key)) and plain(fact.key) not in others]
        for fact in [*exact, *near]:
            found = codes_of(fact.value, length, fact.is_number)
            if found:
                if fact.is_number and len(fact.value) < length:
                    what = f"{fact.key} {fact.value} is taken as {found[0]}, since the field has {length} bytes"
                    self.sheets.told_of(part).say("note", "E-IMP-08", fact.row, what)
                return found
        own = next((each for each in rows_of(part.header) if signature(each) == signature(row)), None)
        for text in (own.constant, own.note) if own is not None else ():
            found = [each for each in re.findall(r"[0-9A-Za-z]+", text) if len(each) == length and any(map(str.isdigit, each))]
            if 1 <= len(set(found)) <= 2:
                return list(dict.fromkeys(found))
        return self._value_in_title(part, candidates.index(row), [lengths[each.row] for each in candidates])

    def _value_in_title(self, part: Part, place: int, lengths: list[int]) -> list[str]:
        """2000/100 in the name of a sheet or in the line above the table."""
        for text in (part.sheet.name, *part.titles):
            for size in range(len(lengths), place, -1):
                pattern = r"\D{1,2}".join(rf"(\d{{{length}}})" for length in lengths[:size])
                found = re.findall(rf"(?<!\d){pattern}(?!\d)", text)
                if len(found) == 1 and (size > 1 or lengths[0] >= 3):
                    value = found[0][place] if size > 1 else found[0]
                    self.sheets.told_of(part).say("note", "E-IMP-08", part.row, f"the code {value} is taken from the title {text!r}")
                    return [value]
        return []


def _is_key(row: FieldRow, parts: list[Part]) -> bool:
    if matches(TYPE_FIELDS, row) or matches(BUSINESS_FIELDS, row):
        return True
    return all(any(plain(fact.key) in (plain(row.label), plain(row.english)) for fact in part.facts) for part in parts)
