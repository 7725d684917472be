"""COBOL copybooks to specs: the face of the importer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from telegram_router.telegrams.fields.encodings import encoding_mistakes
from telegram_router.telegrams.importers.copybook_entries import Entry, read_entries
from telegram_router.telegrams.importers.copybook_fields import Fields, Sign, Storage
from telegram_router.telegrams.importers.copybook_layout import Layout, Selection, cobol_name, same_bytes
from telegram_router.telegrams.importers.copybook_pictures import Dialect
from telegram_router.telegrams.importers.copybook_text import Copied, Form, Source, decoded, no_copies, read_source
from telegram_router.telegrams.importers.model import (
    Finding,
    Import,
    Imported,
    ImportedField,
    ImportedMessage,
    ImportedSpec,
    identifier,
    too_large,
    unique,
)

__all__ = ["FRAMINGS", "MOST_BYTES", "CopybookOptions", "decoded", "import_copybook", "selection"]

Framing = Literal["fixed", "rdw", "rdw-little", "binary2", "binary4", "ascii4", "ebcdic4", "line"]

ENCODINGS: Final = {"ibm": "cp037", "gnucobol": "cp949", "mf": "cp949"}
MOST_BYTES: Final = 1024 * 1024  # of a record: the largest frame that can be configured

# What stands in front of a record, by the name of its framing. A descriptor word counts itself and two bytes of zero.
FRAMINGS: Final = {
    "rdw": 'LengthField(offset=0, width=2, kind="u_be", counts="self", after=b"\\x00\\x00")',
    "rdw-little": 'LengthField(offset=0, width=2, kind="u_le", counts="self", after=b"\\x00\\x00")',
    "binary2": 'LengthField(offset=0, width=2, kind="u_be", counts="payload")',
    "binary4": 'LengthField(offset=0, width=4, kind="u_be", counts="payload")',
    "ascii4": 'LengthField(offset=0, width=4, kind="ascii", counts="payload")',
    "ebcdic4": 'LengthField(offset=0, width=4, kind="ebcdic", counts="payload")',
    "line": 'Terminated(b"\\n")',
}


@dataclass(frozen=True)
class CopybookOptions:
    """What a copybook does not say."""

    dialect: Dialect = "ibm"
    encoding: str | None = None  # None: cp037 for ibm, cp949 for the others
    form: Form | None = None  # None: found out
    storage: Storage | None = None  # of tables that depend on a count; None: max in records of one length, else shift
    framing: Framing | None = None  # None: fixed where all records have one length, else rdw
    sign: Sign | None = None  # in ASCII: None: letters as EBCDIC has them for ibm, else GnuCOBOL's
    low_values: bool = False  # fields of zero bytes have no value
    selections: tuple[Selection, ...] = ()
    record: str | None = None  # one record of several
    name: str | None = None


def selection(text: str) -> Selection | None:
    """`VIEW=FIELD:VALUE` or `VIEW=FIELD:VALUE,VALUE`; None for anything else."""
    found = re.fullmatch(r"([^=:,]+)=([^=:]+):(.+)", text)
    return Selection(found[1].strip(), found[2].strip(), tuple(found[3].split(","))) if found else None


def import_copybook(
    content: str, filename: str, options: CopybookOptions | None = None, copied: Copied = no_copies, *, force: bool = False
) -> Import:
    """Understand a copybook. `copied` gives the file and the text of a name that COPY mentions.

    With `force` there is a spec in spite of errors, as far as it could be understood.
    """
    given = options or CopybookOptions()
    source = read_source(filename, content, given.form, copied)
    importer = _Importer(source, filename, given)
    spec = importer.spec()
    source.findings.extend(large := too_large(spec, importer.file))
    if large:
        return Import(None, tuple(_in_order(source.findings)))
    wrong = any(finding.level == "error" for finding in source.findings)
    return Import(None if wrong and not force else spec, tuple(_in_order(source.findings)))


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Each once, as they stand in their files."""

    def place(finding: Finding) -> tuple[str, int, int]:
        file, line, column = finding.where.rsplit(":", 2) if finding.where.count(":") >= 2 else (finding.where, "0", "0")
        return file, int(line), int(column)

    return sorted(dict.fromkeys(findings), key=place)


@dataclass
class _Record:
    entry: Entry
    members: tuple[Imported, ...]

    @property
    def size(self) -> int:
        return sum(node.size for node in self.members)


class _Importer:
    def __init__(self, source: Source, filename: str, options: CopybookOptions) -> None:
        self.source = source
        self.filename = filename
        self.options = options
        self.encoding = options.encoding or ENCODINGS[options.dialect]
        self.entries = read_entries(source)
        self.file = re.split(r"[/\\]", filename)[-1]
        self.stem = re.sub(r"\.[^.]*$", "", self.file)

    def spec(self) -> ImportedSpec | None:
        entries = self._records() if self._can_be_encoded() else []
        if not entries:
            return None
        shifting = any(entry.occurs and entry.occurs.depending for record in entries for entry in record.walk())
        storage = self._storage(shifting)
        given = self.options
        comma = self.entries.decimal_comma
        fields = Fields(self.source, given.dialect, self.encoding, given.sign, given.low_values, comma)
        layout = Layout(self.source, fields, storage, given.selections)
        records = [_Record(entry, layout.record(entry)) for entry in entries]
        self._leftovers(layout)
        self._check_sizes(records)
        return self._family(records, storage == "shift" and shifting)

    def _can_be_encoded(self) -> bool:
        """Whether fields can be in that encoding."""
        for _, what in encoding_mistakes(self.encoding):
            self._find("error", "E-IMP-05", what, "--encoding cp037, cp933, cp949, ascii or another code page")
            return False
        return True

    # --- records --------------------------------------------------------------------------------------------------

    def _records(self) -> list[Entry]:
        records = self.entries.records
        if not records:
            if not any(finding.level == "error" for finding in self.source.findings):
                self._find(
                    "error", "E-IMP-01", "no data description is in it", "give a copybook: entries like 01 NAME. and 05 NAME PIC X(10)."
                )
            return []
        if records[0].level not in (1, 77):
            records = [self._gathered(records)]
        wanted = self.options.record
        if any(each.level == 1 for each in records):
            for each in (each for each in records if each.level == 77):
                self.source.find("note", "E-IMP-09", each.place, f"{each.called} of level 77 is part of no record: left out")
            records = [each for each in records if each.level == 1]
        if wanted is not None:
            known = [each for each in records if wanted.upper() == each.name.upper()]
            if not known:
                names = ", ".join(each.called for each in records)
                self._find("error", "E-IMP-06", f"no record is called {wanted}", f"one of {names}")
            return known
        return records

    def _gathered(self, entries: list[Entry]) -> Entry:
        """A copybook that begins below level 01: its entries are the members of a record that is named after the file."""
        first = entries[0]
        name = re.sub(r"[^\w-]+", "-", self.stem).strip("-") or "RECORD"
        record = Entry(1, name.upper(), first.place, members=entries)
        for entry in entries:
            entry.parent = record
        self.source.find("note", "E-IMP-08", first.place, f"it begins with level {first.level:02}: read as a record called {record.name}")
        return record

    def _storage(self, shifting: bool) -> Storage:
        framing, storage = self.options.framing, self.options.storage
        if shifting and storage == "shift" and framing == "fixed":
            self._find("error", "E-IMP-08", "tables that shift leave no fixed length", "use --odo max, or --framing rdw")
        if storage is not None:
            return storage
        chosen: Storage = "max" if framing in (None, "fixed") else "shift"
        if shifting:
            kept = (
                "always have room for all items, as in telegrams"
                if chosen == "max"
                else "have only the items that are counted, as in files"
            )
            other = "--odo shift" if chosen == "max" else "--odo max"
            self._find("note", "E-IMP-08", f"tables that depend on a count {kept}", f"{other} reads them the other way")
        return chosen

    def _leftovers(self, layout: Layout) -> None:
        """What of the options and of the copybook came to nothing."""
        records = {entry.name.upper() for entry in self.entries.records}
        for each in self.options.selections:
            if each not in layout.used and each.view.upper() not in records:
                self._find(
                    "error", "E-IMP-06", f"--select names {each.view}, which is no view and no record", "a name that REDEFINES another"
                )
        if layout.fields.coded:
            take = "takes" if len(layout.fields.coded) == 1 else "take"
            what = f"{', '.join(layout.fields.coded)} {take} only the values that levels 88 name"
            self._find("note", "E-IMP-08", what, "add others to the codes in the spec, or take the codes out of it")
        self._say_what_n_is(layout.fields)
        for alias in self.entries.aliases:
            first, last = alias.renames or ("", "")
            span = first if first == last else f"{first} THRU {last}"
            self.source.find("note", "E-IMP-09", alias.place, f"{alias.name} is another name of {span}: left out")

    def _say_what_n_is(self, fields: Fields) -> None:
        if not fields.unsaid:
            return
        names = ", ".join(dict.fromkeys(fields.unsaid))
        if fields.has_double_bytes:
            self._find(
                "note", "E-IMP-08", f"PIC N without USAGE is double-byte {self.encoding}: {names}", "write NATIONAL there if it is UTF-16"
            )
        else:
            what = f"PIC N without USAGE is UTF-16, as {self.encoding} has no characters of two bytes: {names}"
            self._find("note", "E-IMP-08", what, "give --encoding, cp933 for instance, if they are of a double-byte page")

    def _check_sizes(self, records: Sequence[_Record]) -> None:
        for record in records:
            if record.size > MOST_BYTES:
                self.source.find(
                    "error", "E-IMP-05", record.entry.place, f"{record.entry.called} has {record.size:,} bytes, more than {MOST_BYTES:,}"
                )

    # --- the family -----------------------------------------------------------------------------------------------

    def _family(self, records: list[_Record], shifting: bool) -> ImportedSpec:
        keyed = _keyed(records, self.options.selections) if len(records) > 1 else None
        if keyed is None and len(records) > 1:
            names = ", ".join(record.entry.called for record in records[1:])
            do = f"--record NAME takes another; --select {records[1].entry.called}=FIELD:VALUE for each makes them messages of one spec"
            self.source.find("note", "E-IMP-08", records[1].entry.place, f"{names} left out: nothing says which record is which", do)
            records = records[:1]
        sizes = {record.size for record in records}
        name = identifier(self.options.name or self.stem, "record")
        entry = records[0].entry
        title = entry.remark or entry.called
        common, key, values = keyed or ((), "", [()])
        taken: set[str] = set()
        messages = []
        for record, value in zip(records, values, strict=True):
            message = unique(identifier(record.entry.name, "record"), taken.__contains__)
            taken.add(message)
            label = f"{record.entry.remark} {record.entry.called}".strip()
            messages.append(ImportedMessage(message, record.members[len(common) :], label, value, line=record.entry.place.line))
        return ImportedSpec(
            name,
            tuple(messages),
            self._framing(sizes, shifting, sum(node.size for node in common)),
            title,
            encoding=self.encoding,
            header=tuple(common),
            key=(key,) if key else (),
            preface=self._preface(records),
        )

    def _framing(self, sizes: set[int], shifting: bool, header: int) -> str:
        chosen = self.options.framing
        if chosen == "fixed" and len(sizes) > 1:
            self._find(
                "error", "E-IMP-08", f"the records have {', '.join(map(str, sorted(sizes)))} bytes: no fixed length", "use --framing rdw"
            )
        if chosen is None:
            chosen = "fixed" if len(sizes) == 1 and not shifting else "rdw"
            if chosen == "rdw":
                self._find(
                    "note",
                    "E-IMP-08",
                    "records have no one length: each is read behind its record descriptor word",
                    "--framing says otherwise",
                )
        smallest = f", header={header}" if header else ""
        if chosen == "fixed":
            return f"Framing(FixedSize({max(sizes)}){smallest})"
        return f"Framing({FRAMINGS[chosen]}{smallest})"

    def _preface(self, records: Sequence[_Record]) -> tuple[str, ...]:
        names = ", ".join(record.entry.called for record in records)
        compiler = {"ibm": "IBM's COBOL", "gnucobol": "GnuCOBOL", "mf": "Micro Focus COBOL"}[self.options.dialect]
        return (
            f"{names} of the copybook {self.file}, as {compiler} lays it out, with text in {self.encoding}.",
            "",
            "Written by `telegram-router spec import`. Behind each field stand its offset and what the copybook says.",
        )

    def _find(self, level: Literal["error", "warning", "note"], code: str, what: str, do: str = "") -> None:
        self.source.find(level, code, self.filename, what, do)


# --- several records --------------------------------------------------------------------------------------------


def _keyed(
    records: Sequence[_Record], selections: Sequence[Selection]
) -> tuple[tuple[ImportedField, ...], str, list[tuple[str, ...]]] | None:
    """The fields that all records begin with up to the one that says which it is, its name, and its value for each record.

    The values come from --select RECORD=FIELD:VALUE, else from VALUE clauses. None where they do not tell the records apart.
    """
    common = _common(records)
    for number, field in enumerate(common):
        values = [_value(record, number, field, selections) for record in records]
        if all(values) and len({*values}) == len(values):
            return common[: number + 1], field.name, [(value,) for value in values]
    return None


def _common(records: Sequence[_Record]) -> tuple[ImportedField, ...]:
    """Leading fields that are the same in all records."""
    found = []
    for nodes in zip(*(record.members for record in records), strict=False):
        first = nodes[0]
        if not isinstance(first, ImportedField) or not all(same_bytes(first, node) for node in nodes):
            break
        found.append(first)
    return tuple(found)


def _value(record: _Record, number: int, field: ImportedField, selections: Sequence[Selection]) -> str:
    own = record.members[number]
    names = {field.name.upper(), cobol_name(field)}
    if isinstance(own, ImportedField):
        names |= {own.name.upper(), cobol_name(own)}
    for each in selections:
        if each.view.upper() == record.entry.name.upper() and each.by.upper() in names:
            return each.values[0]
    entry = next((member for member in record.entry.members if member.place.line == own.line), None)
    value = entry.value if entry is not None else None
    return value.text.rstrip() if value is not None and not value.figure and field.name else ""
