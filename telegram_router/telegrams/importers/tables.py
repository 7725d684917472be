"""Layout tables as analysts keep them, in XLSX or CSV, to the model of a spec and a report of all that does not agree."""

# Rules this file keeps:
#
# 1. What is only suspicious is a warning; what leaves the layout open is an error, and then there is no spec.
# 2. What the sheets do not say, framing and correlation above all, is chosen so that `decode` works, and the choice is told.

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

from telegram_router.telegrams.fields.encodings import encoding_mistakes
from telegram_router.telegrams.importers.model import (
    Finding,
    Import,
    Imported,
    ImportedField,
    ImportedInline,
    ImportedMessage,
    ImportedSpec,
    identifier,
    too_large,
    unique,
)
from telegram_router.telegrams.importers.source import quoted
from telegram_router.telegrams.importers.tables_blocks import FieldRow
from telegram_router.telegrams.importers.tables_family import (
    CORRELATION_FIELDS,
    ENCODING_FACTS,
    LENGTH_FIELDS,
    NAME_FACTS,
    NUMBER_FIELDS,
    TITLE_FACTS,
    TOTAL_FACTS,
    TYPE_FIELDS,
    code_page,
    framing_of,
    matches,
    reply_step,
)
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import outside_brackets, plain
from telegram_router.telegrams.importers.tables_items import Item, Items, all_items
from telegram_router.telegrams.importers.tables_keys import Keys
from telegram_router.telegrams.importers.tables_nodes import Declaring, Names, Purpose
from telegram_router.telegrams.importers.tables_own import OwnFacts, own_facts, own_key, own_message, own_spec
from telegram_router.telegrams.importers.tables_parts import Header, Part, Sheets
from telegram_router.telegrams.importers.tables_places import check_places
from telegram_router.telegrams.importers.tables_types import whole_number
from telegram_router.telegrams.importers.workbook import Sheet, UnreadableFile, read_sheets

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
    for _, what in encoding_mistakes(encoding) if encoding else ():
        file = sheets[0].file if sheets else ""
        return Import(None, (Finding("error", "E-IMP-05", file, what, "--encoding cp949, ascii or another code page"),))
    reading = _Reading(sheets, name, encoding)
    spec = reading.spec()
    if large := too_large(spec, reading.file):
        return Import(None, (*reading.findings, *large))
    fatal = any(finding.level == "error" for finding in reading.findings)
    return Import(None if spec is None or (fatal and not force) else spec, tuple(reading.findings))


_KOREAN: Final = "cp949"


class _Reading:
    """One import: what it has understood so far, and its findings."""

    def __init__(self, sheets: Sequence[Sheet], name: str, encoding: str | None) -> None:
        self.own = own_facts(sheets)
        self.sheets = Sheets(sheets, are_ours=self.own is not None)
        self.general: list[Finding] = []
        self.file = sheets[0].file if sheets else ""
        self.name = name
        self.encoding = encoding
        self.key_rows: list[FieldRow] = []
        self.correlation_rows: list[FieldRow] = []

    @property
    def findings(self) -> list[Finding]:
        return [*self.sheets.findings(), *self.general]

    # -- the whole

    def spec(self) -> ImportedSpec | None:
        headers, parts = self.sheets.parts()
        if not parts:
            what = "no table of fields was found" if not headers else "the tables are all of the common header; no message has fields"
            do = "a layout has a heading row with a name (항목명) and a length (길이) or a type (타입)"
            self.general.append(Finding("error", "E-IMP-01", self.file, what, do))
            return None
        header = self.sheets.header(headers, parts)
        if self.own is not None:
            return self._own_family(self.own, parts, header)
        keys = Keys(self.sheets, self.file)
        keys.find(parts, header)
        self.key_rows = keys.rows
        self.general += keys.findings
        return self._family(parts, header)

    def _own_family(self, own: OwnFacts, parts: list[Part], header: Header) -> ImportedSpec:
        """Sheets that we wrote: nothing is left to be chosen."""
        told = self.sheets.told_of(header.part or parts[0])
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

    # -- the family

    def _family(self, parts: list[Part], header: Header) -> ImportedSpec:
        record = not self.key_rows
        correlating = [row for row in header.rows if matches(CORRELATION_FIELDS, row)]
        numbers = [row for row in header.rows if matches(NUMBER_FIELDS, row)]
        self.correlation_rows = [row for row in header.rows if row in correlating or row in numbers[:1]] if numbers else []
        told = self.sheets.told_of(header.part) if header.part else self.sheets.told_of(parts[0])
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
            encoding=self._encoding_told(parts),
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
        self, header: Header, names: Names, told: Told, length_field: Item | None
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

    def _body(self, part: Part, header: Header, names: Names) -> tuple[tuple[Imported, ...], int]:
        """The declarations of one message's body, and the size of the whole telegram."""
        told = self.sheets.told_of(part)
        items = Items(told, part.block.columns, part.body)
        check_places(told, part.block.columns, items.top, header.size)
        size = sum(item.size for item in items.top)
        lines = [*part.body, *(part.header if part is not header.part else [])]
        if not any(item.type.form == "rest" for item in items.top):  # a telegram of any size has no total that could be wrong
            self.sheets.check_totals(part, lines, [header.size + size, size, header.size])
        counters = frozenset(plain(item.times.depending) for item in all_items(items.top) if item.times and item.times.depending)
        declaring = Declaring(told, Purpose(), items.circles_mean_yes)
        return declaring.nodes(items.top, Names(told, names.taken), counters), header.size + size

    def _say_record(self, part: Part, header: Header) -> None:
        what = "no field of a common header says which message it is: the spec describes a record, which can be decoded but not routed"
        self.sheets.told_of(part).say(
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

    def _length_field(self, header: Header) -> Item | None:
        if not self.key_rows:
            return None
        return next(
            (item for item in header.items if matches(LENGTH_FIELDS, item.row) and 2 <= item.size <= 8 and item.type.form != "filler"),
            None,
        )

    def _framing(self, parts: list[Part], header: Header, sizes: list[int], length_field: Item | None, is_open: bool) -> str:
        if length_field is None:
            one = len(set(sizes)) == 1 and not is_open
            chosen = framing_of(sizes, header.size, None, "" if one else "payload", self._encoding(parts))
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
        return framing_of(sizes, header.size, (offset, length_field.size), counts, self._encoding(parts))

    def _counts(self, parts: list[Part], sizes: list[int], behind: int) -> str:
        """What a length in the header counts, by the total lengths that the sheets give."""
        for part, size in zip(parts, sizes, strict=True):
            stated = [whole_number(fact.value) for fact in part.facts if TOTAL_FACTS.fullmatch(plain(fact.key))]
            if size - behind in stated and size not in stated:
                return "payload"
        return "all"

    # -- names

    def _named(
        self, parts: list[Part], messages: list[ImportedMessage], by_row: dict[int, str], arguments: dict[str, str]
    ) -> list[ImportedMessage]:
        place = next((n for n, row in enumerate(self.key_rows) if TYPE_FIELDS.fullmatch(plain(row.label)) or matches(TYPE_FIELDS, row)), 0)
        keys = {key for part in parts for key in (part.key, part.answer) if key}
        step = reply_step(key[place] for key in keys) if self.key_rows else None
        if step is not None:
            arguments["reply_rule"] = f'Plus("{by_row.get(self.key_rows[place].row, "")}", {step})'
        asked_by = {answer: key for key in keys if step and (answer := _plus(key, place, step)) in keys}
        bases = self._bases(parts, asked_by)
        named = list[ImportedMessage]()
        for part, message in zip(parts, messages, strict=True):
            named += _messages(part, message, bases[id(part)], self._title(part), step, part.key in asked_by, _plus(part.key, place, step))
        self._say_replies(named, step)
        return named

    def _bases(self, parts: list[Part], asked_by: dict[tuple[str, ...], tuple[str, ...]]) -> dict[int, str]:
        """What each message is called, without .request and .response: a reply as its request, no two others alike."""
        found: dict[int, str] = {}
        for part in parts:
            if part.key not in asked_by:
                found[id(part)] = unique(self._base_name(part), [*found.values()].__contains__)
        by_key = {part.key: found[id(part)] for part in parts if id(part) in found}
        for part in parts:
            if part.key in asked_by:
                found[id(part)] = by_key.get(asked_by[part.key]) or unique(self._base_name(part), [*found.values()].__contains__)
        return found

    def _say_replies(self, named: list[ImportedMessage], step: int | None) -> None:
        if step is not None:
            what = f"replies have the message type of their request plus {step}; where a sheet is missing, with the request's body"
            self.general.append(Finding("note", "E-IMP-08", self.file, what))
        elif self.key_rows and all(message.kind == "oneway" for message in named):
            what = "the sheets have no replies: every message is taken as one that is not answered"
            do = 'make requests of them with reply_rule=Plus("...", 10) or reply=Reply.one("...")'
            self.general.append(Finding("warning", "E-IMP-08", self.file, what, do))

    def _base_name(self, part: Part) -> str:
        wanted = next((fact.value for fact in part.facts if NAME_FACTS.fullmatch(plain(fact.key))), "") or self._title(part)
        code = "_".join(part.key)
        shown = ".{1,2}".join(map(re.escape, part.key))
        base = re.sub(rf"({shown}|응답|요청|전문)\s*$" if code else r"전문\s*$", "", outside_brackets(wanted).strip()) or wanted
        return identifier(base, identifier(f"message_{code}") if code else "record")

    def _title(self, part: Part) -> str:
        given = next((fact.value for fact in part.facts if TITLE_FACTS.fullmatch(plain(fact.key)) and not fact.value.isdigit()), "")
        sheet = "" if re.fullmatch(r"(sheet|시트)\s*\d*", part.sheet.name, re.IGNORECASE) else part.sheet.name
        return " ".join((given or sheet or next(iter(part.titles[-1:]), "")).split())

    def _family_name(self) -> str:
        stem = self.name or re.sub(r"\.[A-Za-z]{3,4}$", "", self.file.replace("\\", "/").rsplit("/", 1)[-1])
        return identifier(stem, "layout")

    def _family_title(self, parts: list[Part]) -> str:
        return self._title(parts[0]) if len(parts) == 1 else ""

    def _encoding_told(self, parts: list[Part]) -> str:
        chosen = self._encoding(parts)
        if chosen == _KOREAN and not self.encoding and not _named_encoding(parts):
            what = "text is taken to be CP949, which holds all of EUC-KR"
            self.general.append(Finding("note", "E-IMP-08", self.file, what, "name another with --encoding"))
        return chosen

    def _encoding(self, parts: list[Part]) -> str:
        korean = (re.search("[가-힣]", cell.text) for sheet in self.sheets.sheets for row in sheet.rows for cell in row.cells)
        return self.encoding or _named_encoding(parts) or (_KOREAN if any(korean) else "ascii")


def _messages(
    part: Part, message: ImportedMessage, base: str, title: str, step: int | None, is_reply: bool, by_rule: tuple[str, ...]
) -> Iterator[ImportedMessage]:
    """The message of a table, and its reply where the table is for both. `by_rule` is the reply's key by the family's rule."""
    if is_reply:
        yield replace(message, name=f"{base}.response", title=title, key=part.key, kind="reply")
        return
    reply = f"Reply.one({quoted(f'{base}.response')})" if part.answer and by_rule != part.answer else ""
    asks = bool(step or reply)
    yield replace(
        message, name=f"{base}.request" if asks else base, title=title, key=part.key, kind="request" if asks else "oneway", reply=reply
    )
    if part.answer:
        yield replace(message, name=f"{base}.response", title=f"{title} 응답", key=part.answer, kind="reply")


def _named_encoding(parts: list[Part]) -> str:
    """The code page that a sheet names, "" when none does."""
    facts = (fact for part in parts for fact in part.facts if ENCODING_FACTS.fullmatch(plain(fact.key)))
    return next((page for fact in facts if (page := code_page(plain(fact.value)))), "")


def _flat(node: Imported) -> ImportedField | ImportedInline:
    """A header's field; what cannot stand in a header, which is told, as reserved bytes."""
    if isinstance(node, ImportedField | ImportedInline):
        return node
    return ImportedField("", f"Filler({node.size})", node.size, node.name, line=node.line)


def _plus(key: tuple[str, ...], place: int, step: int | None) -> tuple[str, ...]:
    kind = key[place] if key else ""
    if step is None or not kind.isdecimal():
        return ()
    return (*key[:place], str(int(kind) + step).zfill(len(kind)), *key[place + 1 :])


def _is_open(message: ImportedMessage) -> bool:
    """Whether its size differs from telegram to telegram."""
    return bool(message.body) and isinstance(message.body[-1], ImportedField) and message.body[-1].kind.startswith("Opaque")
