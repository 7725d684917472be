"""Layout tables as analysts keep them, in XLSX or CSV, to the model of a spec and a report of all that does not agree."""

# Rules this file keeps:
#
# 1. What is only suspicious is a warning; what leaves the layout open is an error, and then there is no spec.
# 2. What the sheets do not say, framing and correlation above all, is chosen so that `decode` works, and the choice is told.

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Literal

from telegram_router.telegrams.importers.model import (
    Finding,
    Import,
    Imported,
    ImportedField,
    ImportedInline,
    ImportedMessage,
    ImportedSpec,
    identifier,
    unique,
)
from telegram_router.telegrams.importers.tables_blocks import Block, Fact, FieldRow, Line, SectionRow, TotalRow, blocks_of
from telegram_router.telegrams.importers.tables_family import (
    BUSINESS_FACTS,
    BUSINESS_FIELDS,
    CORRELATION_FIELDS,
    ENCODING_FACTS,
    LENGTH_FIELDS,
    NAME_FACTS,
    NUMBER_FIELDS,
    TITLE_FACTS,
    TOTAL_FACTS,
    TYPE_FACTS,
    TYPE_FIELDS,
    code_page,
    codes_of,
    framing_of,
    reply_step,
)
from telegram_router.telegrams.importers.tables_fields import Declaring, Item, Items, Names, Purpose, check_places
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import outside_brackets, plain, section_of
from telegram_router.telegrams.importers.tables_kinds import is_filler
from telegram_router.telegrams.importers.tables_own import OwnFacts, own_facts, own_key, own_message, own_spec
from telegram_router.telegrams.importers.tables_types import cell_length, whole_number
from telegram_router.telegrams.importers.workbook import Sheet, UnreadableFile, read_sheets
from telegram_router.telegrams.sheet_words import MESSAGE

__all__ = ["Sheet", "import_table_file", "import_tables", "read_sheets"]


def import_table_file(content: bytes, filename: str, *, name: str = "", encoding: str | None = None, force: bool = False) -> Import:
    """An XLSX or CSV file to what can be written as a spec. Never raises for what stands in the file.

    `encoding` is the telegrams', `name` the spec's. With `force` there is a spec in spite of errors, by the lengths.
    """
    try:
        sheets = read_sheets(content, filename)
    except UnreadableFile as error:
        return Import(None, (Finding("error", error.code, filename, error.what, error.do),))
    return import_tables(sheets, name=name, encoding=encoding, force=force)


def import_tables(sheets: Sequence[Sheet], *, name: str = "", encoding: str | None = None, force: bool = False) -> Import:
    """As `import_table_file`, of sheets that are read already."""
    reading = _Reading(sheets, name, encoding)
    spec = reading.spec()
    fatal = any(finding.level == "error" for finding in reading.findings)
    return Import(None if spec is None or (fatal and not force) else spec, tuple(reading.findings))


@dataclass
class _Part:
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
        return self.block.columns.row


class _Reading:
    """One import: what it has understood so far, and its findings."""

    def __init__(self, sheets: Sequence[Sheet], name: str, encoding: str | None) -> None:
        self.sheets = sheets
        self.told = {id(sheet): Told(sheet, [*sheet.findings]) for sheet in sheets}
        self.general: list[Finding] = []
        self.file = sheets[0].file if sheets else ""
        self.name = name
        self.encoding = encoding
        self.own = own_facts(sheets)
        self.key_rows: list[FieldRow] = []
        self.correlation_rows: list[FieldRow] = []

    @property
    def findings(self) -> list[Finding]:
        return [finding for told in self.told.values() for finding in sorted(told.findings, key=_row_of)] + self.general

    def say_in(self, part: _Part) -> Told:
        return self.told[id(part.sheet)]

    # -- the whole

    def spec(self) -> ImportedSpec | None:
        headers, parts = self._parts()
        if not parts:
            what = "no table of fields was found" if not headers else "the tables are all of the common header; no message has fields"
            do = "a layout has a heading row with a name (항목명) and a length (길이) or a type (타입)"
            self.general.append(Finding("error", "E-IMP-01", self.file, what, do))
            return None
        header = self._header(headers, parts)
        if self.own is not None:
            return self._own_family(self.own, parts, header)
        self._find_keys(parts, header)
        return self._family(parts, header)

    def _own_family(self, own: OwnFacts, parts: list[_Part], header: _Header) -> ImportedSpec:
        """Sheets that we wrote: nothing is left to be chosen."""
        told = self.say_in(header.part or parts[0])
        names = Names(told)
        nodes = self._header_nodes(header, names, told, None)
        messages = []
        for part in parts:
            body, _ = self._body(part, header, names)
            key = own_key(part.facts, own.names("key"))
            messages.append(own_message(own, part.sheet.where(part.row), part.facts, key, body, part.row))
        made = own_spec(own, nodes, messages, self.file)
        self.general += own.findings
        return replace(made, name=identifier(self.name)) if self.name else made

    # -- which rows are the header's, which a message's

    def _parts(self) -> tuple[list[_Part], list[_Part]]:
        """Tables of the common header alone, and tables of messages."""
        headers, parts = list[_Part](), list[_Part]()
        for sheet in self.sheets:
            told = self.told[id(sheet)]
            blocks = blocks_of(sheet)
            if not blocks:
                told.say("note", "E-IMP-08", None, "no table of fields on this sheet; it is left out")
            before: _Part | None = None
            for block in blocks:
                self._say_skipped(told, block)
                part = _part_of(block, "header" if section_of(sheet.name) == "header" else None)
                if before is not None and not part.facts:
                    part.facts, part.titles = before.facts, [*before.titles, *part.titles]
                is_message = bool(part.body) or any(fact.key == MESSAGE for fact in part.facts)
                (parts if is_message else headers).append(part)
                before = None if is_message else part
        return headers, parts

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

    def _header(self, headers: list[_Part], parts: list[_Part]) -> _Header:
        """The common header, which must be the same wherever it stands."""
        tables = [*headers, *(part for part in parts if part.header)]
        if not tables:
            return self._inferred_header(parts)
        first = tables[0]
        for other in tables[1:]:
            self._compare(first, other)
        total = [part for part in tables if part is first]
        return self._laid_out_header(first, first.header, total)

    def _compare(self, first: _Part, other: _Part) -> None:
        told = self.say_in(other)
        ours, theirs = [*_rows(first.header)], [*_rows(other.header)]
        for mine, its in zip(ours, theirs, strict=False):
            if _signature(mine) != _signature(its):
                what = f"{its.label} ({its.length or its.type}) is {mine.label} ({mine.length or mine.type}) in the common header of {first.sheet.where(mine.row)}"
                told.say("error", "E-IMP-03", its.row, what, "make both the same; the first is taken")
        if len(ours) != len(theirs):
            what = f"the common header has {len(theirs)} fields here and {len(ours)} on {first.sheet.where(first.row)}"
            told.say("error", "E-IMP-03", other.row, what, "make both the same; the first is taken")

    def _inferred_header(self, parts: list[_Part]) -> _Header:
        """Where no sheet says which fields are the header: those with which all messages begin."""
        if len(parts) < 2:
            return _Header((), [], 0)
        tables = [[*_rows(part.body)] for part in parts]
        same = [*takewhile(lambda rows: len({_signature(row) for row in rows}) == 1, zip(*tables, strict=False))]
        if not same or not any(TYPE_FIELDS.fullmatch(plain(row.label)) or BUSINESS_FIELDS.fullmatch(plain(row.label)) for row, *_ in same):
            return _Header((), [], 0)
        if len(same) == max(map(len, tables)):  # all messages alike: the header ends with its reserved bytes
            same = _until_reserved(same)
        for part, cut in zip(parts, zip(*same, strict=True), strict=True):
            rows = {row.row for row in cut}
            part.header = [line for line in part.body if isinstance(line, FieldRow) and line.row in rows]
            part.body = [line for line in part.body if not (isinstance(line, FieldRow) and line.row in rows)]
        header = self._laid_out_header(parts[0], parts[0].header, [])
        what = f"all sheets begin with the same {len(same)} fields: they are taken as the common header, {header.size} bytes"
        self.say_in(parts[0]).say("warning", "E-IMP-08", parts[0].row, what, "write 공통부 and 개별부 above both if it ends elsewhere")
        return header

    def _laid_out_header(self, part: _Part, lines: list[Line], totals: list[_Part]) -> _Header:
        told = self.say_in(part)
        items = Items(told, part.block.columns, lines)
        check_places(told, part.block.columns, items.top, 0)
        for each in totals:
            self._check_totals(each, each.header, [sum(item.size for item in items.top)], with_facts=not each.body)
        for item in items.top:
            if (item.is_group and item.type.form not in ("overlay", "versions")) or item.times:
                told.say(
                    "error",
                    "E-IMP-09",
                    item.row.row,
                    f"{item.row.label}: a header has no groups and no repetitions",
                    "list its fields one by one",
                )
        return _Header(
            tuple(items.top), [item.row for item in items.top], sum(item.size for item in items.top), part, items.circles_mean_yes
        )

    def _check_totals(self, part: _Part, lines: list[Line], sizes: Sequence[int], with_facts: bool = True) -> None:
        """Totals under and above a table: any of `sizes`, the telegram's first, is right."""
        told = self.say_in(part)
        for line in lines:
            if isinstance(line, TotalRow) and line.value is not None and line.value not in sizes:
                told.say("error", "E-IMP-03", line.row, _total_difference(line.text, line.value, sizes), "mend the total, or a length")
        for fact in part.facts if with_facts and self.own is None else ():
            stated = whole_number(fact.value) if TOTAL_FACTS.fullmatch(plain(fact.key)) else None
            if stated is not None and stated not in sizes:
                told.say("error", "E-IMP-03", fact.row, _total_difference(fact.key, stated, sizes), "mend it, or a length")

    # -- which message is which

    def _find_keys(self, parts: list[_Part], header: _Header) -> None:
        candidates = [row for row in header.rows if _is_key(row, parts)]
        lengths = {item.row.row: item.size for item in header.items}
        values = [[self._values(part, row, lengths[row.row], candidates, lengths) for row in candidates] for part in parts]
        columns = [column for column in range(len(candidates)) if any(row[column] for row in values)]
        self.key_rows = [candidates[column] for column in columns]
        for part, row in zip(parts, values, strict=True):
            missing = [candidates[column].label for column in columns if not row[column]]
            if missing:
                do = f"write {missing[0]} and its value above the table"
                self.say_in(part).say("error", "E-IMP-04", part.row, f"no value for {', '.join(missing)}", do)
            part.key = tuple(row[column][0] if row[column] else "?" for column in columns)
            answer = tuple(row[column][-1] if row[column] else "?" for column in columns)
            part.answer = answer if answer != part.key and all(len(row[column]) <= 2 for column in columns) else ()
        self._distinct(parts)

    def _distinct(self, parts: list[_Part]) -> None:
        if not self.key_rows:
            if len(parts) > 1:
                do = "write 전문구분코드 and its value above each table, and list that field under 공통부"
                self.general.append(Finding("error", "E-IMP-04", self.file, f"nothing tells the {len(parts)} messages apart", do))
            return
        seen: dict[tuple[str, ...], _Part] = {}
        for part in parts:
            for key in filter(None, (part.key, part.answer)):
                if key in seen and "?" not in key:
                    what = f"the message {'/'.join(key)} is described on {seen[key].sheet.where(seen[key].row)} already"
                    self.say_in(part).say("error", "E-IMP-04", part.row, what, "give one of them other codes, or delete it")
                seen.setdefault(key, part)

    def _values(self, part: _Part, row: FieldRow, length: int, candidates: list[FieldRow], lengths: dict[int, int]) -> list[str]:
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
                    self.say_in(part).say("note", "E-IMP-08", fact.row, what)
                return found
        own = next((each for each in _rows(part.header) if _signature(each) == _signature(row)), None)
        for text in (own.constant, own.note) if own is not None else ():
            found = [each for each in re.findall(r"[0-9A-Za-z]+", text) if len(each) == length and any(map(str.isdigit, each))]
            if 1 <= len(set(found)) <= 2:
                return list(dict.fromkeys(found))
        return self._value_in_title(part, candidates.index(row), [lengths[each.row] for each in candidates])

    def _value_in_title(self, part: _Part, place: int, lengths: list[int]) -> list[str]:
        """2000/100 in the name of a sheet or in the line above the table."""
        for text in (part.sheet.name, *part.titles):
            for size in range(len(lengths), place, -1):
                pattern = r"\D{1,2}".join(rf"(\d{{{length}}})" for length in lengths[:size])
                found = re.findall(rf"(?<!\d){pattern}(?!\d)", text)
                if len(found) == 1 and (size > 1 or lengths[0] >= 3):
                    value = found[0][place] if size > 1 else found[0]
                    self.say_in(part).say("note", "E-IMP-08", part.row, f"the code {value} is taken from the title {text!r}")
                    return [value]
        return []

    # -- the family

    def _family(self, parts: list[_Part], header: _Header) -> ImportedSpec:
        record = not self.key_rows
        correlating = [row for row in header.rows if _matches(CORRELATION_FIELDS, row)]
        numbers = [row for row in header.rows if _matches(NUMBER_FIELDS, row)]
        self.correlation_rows = [row for row in header.rows if row in correlating or row in numbers[:1]] if numbers else []
        told = self.say_in(header.part) if header.part else self.say_in(parts[0])
        names = Names(told)
        length_field = self._length_field(header)
        nodes = self._header_nodes(header, names, told, length_field)
        by_row = {node.line: node.name for node in nodes}
        messages, sizes = list[ImportedMessage](), list[int]()
        for part in parts:
            body, size = self._body(part, header, names)
            sizes.append(size)
            messages.append(ImportedMessage("", (*nodes, *body) if record else body, line=part.row))
        if record:
            self._say_record(parts[0], header)
        arguments = dict[str, str]()
        named = self._named(parts, messages, by_row, arguments)
        key = tuple(by_row.get(row.row, "") for row in self.key_rows)
        return ImportedSpec(
            name=self._family_name(),
            title=self._family_title(parts),
            messages=tuple(named),
            framing=self._framing(parts, header, sizes, length_field, any(map(_is_open, named))),
            encoding=self._encoding(parts),
            header=() if record else nodes,
            key=key,
            correlation=() if record else self._correlation(by_row, key),
            length=sizes[0] if len(set(sizes)) == 1 and not any(_is_open(message) for message in named) else None,
            arguments=arguments,
            preface=(
                f"{self._family_title(parts) or self._family_name()}.",
                "",
                f"From {self.file}. The comments give each field's offset, its type and its remark there.",
            ),
        )

    def _header_nodes(
        self, header: _Header, names: Names, told: Told, length_field: Item | None
    ) -> tuple[ImportedField | ImportedInline, ...]:
        routing = {row.row for row in (*self.key_rows, *self.correlation_rows)}
        purpose = Purpose(
            clear=lambda row: row.row in routing or plain(row.label).startswith(("응답코드", "전송", "response")),
            routing=lambda row: row.row in {each.row for each in self.key_rows},
        )
        declaring = Declaring(told, purpose, header.circles_mean_yes)
        made = [_flat(node) for node in declaring.nodes([*header.items], names, frozenset())]
        if length_field is not None:
            at = next(n for n, node in enumerate(made) if node.line == length_field.row.row)
            made[at] = ImportedField(
                made[at].name, f"Length({length_field.size})", length_field.size, made[at].label, made[at].note, {}, made[at].line
            )
        return tuple(made)

    def _body(self, part: _Part, header: _Header, names: Names) -> tuple[tuple[Imported, ...], int]:
        """The declarations of one message's body, and the size of the whole telegram."""
        told = self.say_in(part)
        items = Items(told, part.block.columns, part.body)
        check_places(told, part.block.columns, items.top, header.size)
        size = sum(item.size for item in items.top)
        self._check_totals(part, [*part.body, *(part.header if part is not header.part else [])], [header.size + size, size, header.size])
        counters = frozenset(plain(item.times.depending) for item in _all_items(items.top) if item.times and item.times.depending)
        declaring = Declaring(told, Purpose(), items.circles_mean_yes)
        return declaring.nodes(items.top, Names(told, names.taken), counters), header.size + size

    def _say_record(self, part: _Part, header: _Header) -> None:
        what = "no field of a common header says which message it is: the spec describes a record, which can be decoded but not routed"
        self.say_in(part).say(
            "warning",
            "E-IMP-08",
            part.row,
            what,
            "list the header's fields under 공통부, and write 전문구분코드 with its value above the table",
        )

    def _correlation(self, by_row: dict[int, str], key: tuple[str, ...]) -> tuple[str, ...]:
        chosen = tuple(by_row[row.row] for row in self.correlation_rows if row not in self.key_rows and by_row.get(row.row))
        if chosen:
            what = f"a reply is paired with its request by {', '.join(chosen)}"
            self.general.append(
                Finding("note", "E-IMP-08", self.file, what, "see that the partner sends all of them back unchanged, in `correlation`")
            )
            return chosen
        what = (
            "no field looks like a message number (전문번호); requests are told apart by their keys only, which is too little to route by"
        )
        self.general.append(
            Finding("warning", "E-IMP-08", self.file, what, "name the fields that pair a reply with its request, in `correlation`")
        )
        return key

    def _length_field(self, header: _Header) -> Item | None:
        if not self.key_rows:
            return None
        return next(
            (item for item in header.items if _matches(LENGTH_FIELDS, item.row) and 2 <= item.size <= 8 and item.type.form != "filler"),
            None,
        )

    def _framing(self, parts: list[_Part], header: _Header, sizes: list[int], length_field: Item | None, is_open: bool) -> str:
        if length_field is None:
            one = len(set(sizes)) == 1 and not is_open
            chosen = framing_of(sizes, header.size, None, "" if one else "payload")
            what = (
                f"telegrams of {sizes[0]} bytes with nothing in front"
                if one
                else "four digits in front, which count the telegram without themselves"
            )
            do = 'set `framing` as the line really is, LengthField(offset=0, width=4, kind="ascii", counts="payload") for one'
            self.general.append(Finding("warning", "E-IMP-08", self.file, f"the sheets do not say how telegrams are framed: {what}", do))
            return chosen
        offset = sum(item.size for item in takewhile(lambda item: item is not length_field, header.items))
        counts = self._counts(parts, sizes, offset + length_field.size)
        what = f"{length_field.row.label} at offset {offset} is taken as the length of {'all of the telegram' if counts == 'all' else 'what follows it'}"
        self.general.append(Finding("warning", "E-IMP-08", self.file, what, "set `counts` in the framing if it counts other bytes"))
        return framing_of(sizes, header.size, (offset, length_field.size), counts)

    def _counts(self, parts: list[_Part], sizes: list[int], behind: int) -> str:
        """What a length in the header counts, by the total lengths that the sheets give."""
        for part, size in zip(parts, sizes, strict=True):
            stated = [whole_number(fact.value) for fact in part.facts if TOTAL_FACTS.fullmatch(plain(fact.key))]
            if size - behind in stated and size not in stated:
                return "payload"
        return "all"

    # -- names

    def _named(
        self, parts: list[_Part], messages: list[ImportedMessage], by_row: dict[int, str], arguments: dict[str, str]
    ) -> list[ImportedMessage]:
        place = next((n for n, row in enumerate(self.key_rows) if TYPE_FIELDS.fullmatch(plain(row.label)) or _matches(TYPE_FIELDS, row)), 0)
        keys = {key for part in parts for key in (part.key, part.answer) if key}
        step = reply_step(key[place] for key in keys) if self.key_rows else None
        if step is not None:
            arguments["reply_rule"] = f'Plus("{by_row.get(self.key_rows[place].row, "")}", {step})'
        answers = {key: answer for key in keys if step and (answer := _plus(key, place, step)) in keys}
        named, taken = list[ImportedMessage](), set[str]()
        bases: dict[tuple[str, ...], str] = {}
        for part, message in zip(parts, messages, strict=True):
            asked = next((key for key, answer in answers.items() if answer == part.key), None)
            base = bases.get(asked or ()) or self._base_name(part)
            is_reply = asked is not None
            kind: Literal["request", "reply", "oneway"] = "reply" if is_reply else "request" if step else "oneway"
            name = unique(f"{base}{'.response' if is_reply else '.request' if step else ''}", taken.__contains__)
            bases[part.key] = base
            taken.add(name)
            title = self._title(part)
            reply = ""
            if part.answer and _plus(part.key, place, step) != part.answer:
                kind, reply = "request", f'Reply.one("{base}.response")'
            named.append(ImportedMessage(name, message.body, title, part.key, kind, reply, line=message.line))
            if part.answer:
                name = unique(f"{base}.response", taken.__contains__)
                taken.add(name)
                named.append(ImportedMessage(name, message.body, f"{title} 응답", part.answer, "reply", line=message.line))
        self._say_replies(named, step)
        return named

    def _say_replies(self, named: list[ImportedMessage], step: int | None) -> None:
        if step is not None:
            what = f"replies have the message type of their request plus {step}; where a sheet is missing, with the request's body"
            self.general.append(Finding("note", "E-IMP-08", self.file, what))
        elif self.key_rows and all(message.kind == "oneway" for message in named):
            what = "the sheets have no replies: every message is taken as one that is not answered"
            do = 'make requests of them with reply_rule=Plus("...", 10) or reply=Reply.one("...")'
            self.general.append(Finding("warning", "E-IMP-08", self.file, what, do))

    def _base_name(self, part: _Part) -> str:
        wanted = next((fact.value for fact in part.facts if NAME_FACTS.fullmatch(plain(fact.key))), "") or self._title(part)
        code = "_".join(part.key)
        shown = ".{1,2}".join(map(re.escape, part.key))
        base = re.sub(rf"({shown}|응답|요청|전문)\s*$" if code else r"전문\s*$", "", outside_brackets(wanted).strip()) or wanted
        return identifier(base, identifier(f"message_{code}") if code else "record")

    def _title(self, part: _Part) -> str:
        given = next((fact.value for fact in part.facts if TITLE_FACTS.fullmatch(plain(fact.key)) and not fact.value.isdigit()), "")
        sheet = "" if re.fullmatch(r"(sheet|시트)\s*\d*", part.sheet.name, re.IGNORECASE) else part.sheet.name
        return " ".join((given or sheet or next(iter(part.titles[-1:]), "")).split())

    def _family_name(self) -> str:
        stem = self.name or re.sub(r"\.[A-Za-z]{3,4}$", "", self.file.replace("\\", "/").rsplit("/", 1)[-1])
        return identifier(stem, "layout")

    def _family_title(self, parts: list[_Part]) -> str:
        return self._title(parts[0]) if len(parts) == 1 else ""

    def _encoding(self, parts: list[_Part]) -> str:
        if self.encoding:
            return self.encoding
        for part in parts:
            for fact in part.facts:
                page = code_page(plain(fact.value)) if ENCODING_FACTS.fullmatch(plain(fact.key)) else None
                if page:
                    return page
        korean = any(re.search("[가-힣]", cell.text) for sheet in self.sheets for row in sheet.rows for cell in row.cells)
        if korean:
            self.general.append(
                Finding(
                    "note", "E-IMP-08", self.file, "text is taken to be CP949, which holds all of EUC-KR", "name another with --encoding"
                )
            )
        return "cp949" if korean else "ascii"


@dataclass(frozen=True)
class _Header:
    """The common header, laid out."""

    items: tuple[Item, ...]
    rows: list[FieldRow]
    size: int
    part: _Part | None = None
    circles_mean_yes: bool = True


def _part_of(block: Block, section: str | None) -> _Part:
    """A block's rows by the section they stand in; without any word of sections they are the message's own."""
    part = _Part(block, facts=block.facts, titles=block.titles)
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


def _flat(node: Imported) -> ImportedField | ImportedInline:
    """A header's field; what cannot stand in a header, which is told, as reserved bytes."""
    if isinstance(node, ImportedField | ImportedInline):
        return node
    return ImportedField("", f"Filler({node.size})", node.size, node.name, line=node.line)


def _rows(lines: list[Line]) -> Iterator[FieldRow]:
    return (line for line in lines if isinstance(line, FieldRow))


def _signature(row: FieldRow) -> tuple[str, str, str]:
    return plain(row.label), plain(row.type), str(cell_length(row.length))


def _until_reserved(same: list[tuple[FieldRow, ...]]) -> list[tuple[FieldRow, ...]]:
    """Up to the end of the first reserved bytes, which close a header as a rule."""
    reserved = [is_filler(row.label, row.english) for row, *_ in same]
    first = next((n for n, each in enumerate(reserved) if each), len(same) - 1)
    last = next((n for n in range(first, len(same)) if not reserved[n]), len(same))
    return same[: max(last, first + 1)]


def _matches(pattern: re.Pattern[str], row: FieldRow) -> bool:
    return any(pattern.fullmatch(plain(name)) for name in (outside_brackets(row.label), row.label, row.english) if name)


def _is_key(row: FieldRow, parts: list[_Part]) -> bool:
    if _matches(TYPE_FIELDS, row) or _matches(BUSINESS_FIELDS, row):
        return True
    return all(any(plain(fact.key) in (plain(row.label), plain(row.english)) for fact in part.facts) for part in parts)


def _plus(key: tuple[str, ...], place: int, step: int | None) -> tuple[str, ...]:
    kind = key[place] if key else ""
    if step is None or not kind.isdecimal():
        return ()
    return (*key[:place], str(int(kind) + step).zfill(len(kind)), *key[place + 1 :])


def _total_difference(text: str, value: int, sizes: Sequence[int]) -> str:
    what = f"{' '.join(text.split())} is {value}, the lengths sum to {sizes[0]}"
    if len(sizes) > 1 and sizes[0] != sizes[1]:
        what += f" ({sizes[1]} without the common header)"
    nearest = min(sizes, key=lambda size: abs(size - value))
    return f"{what}: {abs(value - nearest)} byte{'' if abs(value - nearest) == 1 else 's'} {'too few' if value > nearest else 'too many'} in the rows"


def _all_items(items: Sequence[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _all_items(item.members)


def _is_open(message: ImportedMessage) -> bool:
    """Whether its size differs from telegram to telegram."""
    return bool(message.body) and isinstance(message.body[-1], ImportedField) and message.body[-1].kind.startswith("Opaque")
