"""COBOL's storage rules: what stands where, in the model that all importers share."""

# Rules this file keeps:
#
# 1. A record's size is what the compiler of the dialect gives it; the tests hold it against GnuCOBOL's.
# 2. What a spec cannot say becomes bytes that are kept, and a warning that says so.

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from telegram_router.telegrams.importers.copybook_entries import Entry, Occurs
from telegram_router.telegrams.importers.copybook_fields import Fields, Storage, meanings
from telegram_router.telegrams.importers.copybook_text import Source
from telegram_router.telegrams.importers.model import (
    Imported,
    ImportedField,
    ImportedGroup,
    ImportedTable,
    ImportedViews,
    identifier,
    unique,
)


@dataclass(frozen=True)
class Selection:
    """`--select VIEW=FIELD:VALUE`: the view, or the record, is chosen where the field has the value."""

    view: str
    by: str
    values: tuple[str, ...]


@dataclass
class _Place:
    """Entries that begin at the same byte: the first and what redefines it."""

    entries: list[Entry]

    @property
    def first(self) -> Entry:
        return self.entries[0]


class Layout:
    """Lays out one record."""

    def __init__(self, source: Source, fields: Fields, storage: Storage, selections: Sequence[Selection]) -> None:
        self.source = source
        self.fields = fields
        self.dialect = fields.dialect
        self.storage = storage
        self.selections = selections
        self.names: dict[int, str] = {}  # of entries, by their identity
        self.counters: set[int] = set()
        self.used: set[Selection] = set()
        self._fillers = 0

    def record(self, entry: Entry) -> tuple[Imported, ...]:
        """The members of a record, or the one field of an elementary record."""
        self._name_all(entry)
        self._find_counters(entry)
        self._find_selectors(entry)
        return self._members(entry, 0) if entry.members else (self.fields.field(entry, self.names[id(entry)]),)

    # --- names ----------------------------------------------------------------------------------------------------

    def _name_all(self, record: Entry) -> None:
        self.names[id(record)] = identifier(record.name) if record.name else "record"
        for entry in record.walk():
            if entry.members:
                self._name_members(entry)

    def _name_members(self, group: Entry) -> None:
        """Names within one dict: a group without a name lends its members to the group around it."""
        if group.parent is not None and self._is_flat(group):
            return
        taken: set[str] = set()
        for entry in self._seen_in(group):
            wanted = identifier(entry.name, of_table=entry.occurs is not None) if entry.name else self._filler_name()
            name = unique(wanted, taken.__contains__, identifier(group.name) if group.name else "")
            taken.add(name)
            self.names[id(entry)] = name
            if entry.name and re.sub(r"_(?=.)", "", name) != re.sub(r"[-_]", "", entry.name).lower():
                do = f"in JSON it is {name}"
                self.source.find("note", "E-IMP-07", entry.place, f"{entry.name} cannot be the name of a field as it is", do)

    def _seen_in(self, group: Entry) -> Iterator[Entry]:
        for member in group.members:
            if self._is_flat(member):
                yield from self._seen_in(member)
            elif member.name or self._needs_name(member):
                yield member

    def _is_flat(self, entry: Entry) -> bool:
        return bool(entry.members) and not entry.name and not self._needs_name(entry)

    def _needs_name(self, entry: Entry) -> bool:
        """A FILLER that has to be called something: a group that repeats, or one of several views."""
        redefined = entry.parent is not None and any(
            each.redefines and self._target(entry.parent, each) is entry for each in entry.parent.members
        )
        return bool(entry.redefines) or redefined or bool(entry.members and entry.occurs)

    def _filler_name(self) -> str:
        self._fillers += 1
        return f"filler_{self._fillers}"

    # --- counters -------------------------------------------------------------------------------------------------

    def _find_counters(self, record: Entry) -> None:
        for entry in record.walk():
            if entry.occurs is not None and entry.occurs.depending:
                counter = self._counter(entry, entry.occurs)
                if counter is not None:
                    self.counters.add(id(counter))
        self.fields.counters = self.counters

    def _counter(self, table: Entry, occurs: Occurs) -> Entry | None:
        """The field that counts a table: the last of its name before it."""
        root = table
        while root.parent is not None:
            root = root.parent
        found = None
        for entry in root.walk():
            if entry is table:
                break
            if entry.name.upper() == occurs.depending[0].upper() and self._is_within(entry, occurs.depending[1:]):
                found = entry
        return found

    @staticmethod
    def _is_within(entry: Entry, qualifiers: Sequence[str]) -> bool:
        around = entry.parent
        for qualifier in qualifiers:
            while around is not None and around.name.upper() != qualifier.upper():
                around = around.parent
            if around is None:
                return False
            around = around.parent
        return True

    def _path(self, counter: Entry, table: Entry) -> str | None:
        """How a table names a field before it, None where it cannot: inside another table or view."""
        around: set[int] = set()
        group = table.parent
        while group is not None:
            around.add(id(group))
            group = group.parent
        names = [self.names[id(counter)]]
        group = counter.parent
        while group is not None and id(group) not in around:
            if group.occurs is not None or group.redefines:
                return None
            if id(group) in self.names:
                names.insert(0, self.names[id(group)])
            group = group.parent
        return ".".join(names)

    # --- places ---------------------------------------------------------------------------------------------------

    def _members(self, group: Entry, at: int) -> tuple[Imported, ...]:
        nodes: list[Imported] = []
        for place in self._places(group):
            slack = self._slack(place.first, at)
            if slack:
                nodes.append(_slack_field(slack))
                at += slack
            found = [*self._placed(place, at)]
            nodes += found
            at += sum(node.size for node in found)
        return tuple(nodes)

    def _places(self, group: Entry) -> list[_Place]:
        places: list[_Place] = []
        for entry in group.members:
            target = self._target(group, entry) if entry.redefines else None
            place = next((each for each in places if target in each.entries), None) if target is not None else None
            if entry.redefines and place is None:
                do = "name a field of the same group that stands before it"
                self.source.find("error", "E-IMP-06", entry.place, f"{entry.called} redefines {entry.redefines}, which is not there", do)
            if place is None:
                places.append(_Place([entry]))
                continue
            if place is not places[-1]:
                what = f"{entry.called} redefines {entry.redefines} with other fields between them"
                self.source.find("warning", "E-IMP-03", entry.place, what, "put it behind what it redefines")
            place.entries.append(entry)
        return places

    @staticmethod
    def _target(group: Entry, entry: Entry) -> Entry | None:
        found = None
        for sibling in group.members:
            if sibling is entry:
                break
            if sibling.name.upper() == entry.redefines.upper():
                found = sibling
        return found

    def _placed(self, place: _Place, at: int) -> Iterator[Imported]:
        if len(place.entries) == 1:
            yield from self._nodes(place.first, at)
            return
        views = [self._view(entry, at) for entry in place.entries]
        hoisted = self._hoisted(place, views)
        if hoisted:
            yield from hoisted
            views = [replace(view, members=view.members[len(hoisted) :]) for view in views if isinstance(view, ImportedGroup)]
        first = views[0]
        for entry, view in zip(place.entries[1:], views[1:], strict=True):
            if view.size > first.size:
                what = f"{entry.called} has {view.size} bytes, {view.size - first.size} more than {place.first.called}, which it redefines"
                self.source.find("note", "E-IMP-03", entry.place, what, "the place is as long as its longest view")
        yield self._chosen(place, tuple(views), hoisted[-1].name if hoisted else "")

    def _hoisted(self, place: _Place, views: Sequence[Imported]) -> tuple[ImportedField, ...]:
        """The fields that all views begin with, up to the one that a selection names: they stand before the place, so that it can
        choose the view. Copybooks of several record types repeat the type in each."""
        names = [entry.name.upper() for entry in place.entries]
        wanted = {each.by.upper() for each in self.selections if each.view.upper() in names}
        groups = [view.members for view in views if isinstance(view, ImportedGroup)]
        if not wanted or len(groups) < len(views):
            return ()
        found: list[ImportedField] = []
        for nodes in zip(*groups, strict=False):
            alike = [node for node in nodes if same_bytes(nodes[0], node) and isinstance(node, ImportedField)]
            if len(alike) < len(nodes):
                return ()
            chooser = next((node for node in alike if wanted & {node.name.upper(), cobol_name(node)}), None)
            found.append(alike[0] if chooser is None else replace(alike[0], kind=chooser.kind, codes=chooser.codes))
            if chooser is not None:
                what = f"{', '.join(names)} begin with the same fields: they are put before them, so that {chooser.name} can choose"
                self.source.find("note", "E-IMP-08", place.entries[1].place, what)
                return tuple(found)
        return ()

    def _chosen(self, place: _Place, views: tuple[ImportedField | ImportedGroup | ImportedTable, ...], by: str) -> ImportedViews:
        """`by` is the field that was taken out of the views to choose one of them, "" when none was."""
        names = [self.names[id(entry)] for entry in place.entries]
        known = dict(zip([entry.name.upper() for entry in place.entries], names, strict=True)) | {name.upper(): name for name in names}
        selected = [each for each in self.selections if each.view.upper() in known]
        self.used |= {*selected}
        note = "the same bytes, seen in one of several ways: " + "; ".join(
            f"{entry.called} (line {entry.place.line})" + (f" {entry.text}" if not entry.members else "") for entry in place.entries
        )
        if not selected:
            do = f"choose by a field: --select {place.entries[-1].name or names[-1]}=FIELD:VALUE, or set by= and when= in the spec"
            self.source.find("note", "E-IMP-08", place.entries[1].place, f"{', '.join(names)} are the same bytes: read as {names[0]}", do)
            return ImportedViews(views, note=note, line=place.first.place.line)
        by = by or self._selector(selected[0].by, place.first)
        when = {value: known[each.view.upper()] for each in selected for value in each.values}
        default = "" if names[0] in when.values() else names[0]
        return ImportedViews(views, by, when, default, note=note, line=place.first.place.line)

    def _selector(self, name: str, entry: Entry) -> str:
        """A field by its COBOL name, as the place can name it."""
        found = self._called(name, entry)
        if found is None:
            self.source.find("error", "E-IMP-06", entry.place, f"--select names {name}, which is no field of the record")
            return name
        path = self._path(found, entry)
        if path is None:
            self.source.find("error", "E-IMP-06", entry.place, f"--select names {name}, which is within a table or another view")
        return path or name

    def _called(self, name: str, entry: Entry) -> Entry | None:
        """The first field of that name in the record."""
        root = entry
        while root.parent is not None:
            root = root.parent
        names = (name.upper(), name.lower())
        return next((each for each in root.walk() if each.name.upper() in names or self.names.get(id(each), "") in names), None)

    def _find_selectors(self, record: Entry) -> None:
        """Fields that choose a view are read as codes: the values of --select are texts."""
        wanted = {each.by.upper() for each in self.selections}
        for entry in record.walk():
            if wanted & {entry.name.upper(), self.names.get(id(entry), "").upper()}:
                self.fields.selectors.add(id(entry))

    def _view(self, entry: Entry, at: int) -> ImportedField | ImportedGroup | ImportedTable:
        """A view has a name and is one node."""
        nodes = [*self._nodes(entry, at)]
        node = nodes[0]
        if len(nodes) == 1 and isinstance(node, ImportedField | ImportedGroup | ImportedTable):
            if isinstance(node, ImportedField) and not node.name:
                return replace(node, name=self.names[id(entry)], kind=f"Text({node.length})")
            return node
        return ImportedGroup(self.names[id(entry)], tuple(nodes), _label(entry), line=entry.place.line)

    # --- one entry ------------------------------------------------------------------------------------------------

    def _nodes(self, entry: Entry, at: int) -> Iterator[Imported]:
        if entry.occurs is None:
            yield from self._single(entry, at)
        else:
            yield from self._table(entry, entry.occurs, at)

    def _single(self, entry: Entry, at: int) -> Iterator[Imported]:
        if not entry.members:
            yield self.fields.field(entry, self.names.get(id(entry), ""))
        elif self._is_flat(entry):
            yield from self._members(entry, at)
        else:
            if entry.picture:
                self.source.find("error", "E-IMP-05", entry.picture_place or entry.place, f"{entry.called} has a picture and members")
            yield ImportedGroup(self.names[id(entry)], self._members(entry, at), _label(entry), _group_note(entry), line=entry.place.line)

    def _table(self, entry: Entry, occurs: Occurs, at: int) -> Iterator[Imported]:
        if not entry.name and not entry.members:
            filler = self.fields.field(entry, "")
            yield replace(filler, kind=f"Filler({filler.length * occurs.most})", length=filler.length * occurs.most)
            return
        item = self._item(entry, at)
        most, least, depending = occurs.most, None, ""
        if occurs.depending:
            counter = self._counter(entry, occurs)
            path = self._path(counter, entry) if counter is not None and id(counter) in self.names else None
            if path is None:
                what = f"{' OF '.join(occurs.depending)}, which counts {entry.called}, is not before it in the record"
                do = f"read as always {most} items; declare the counter before the table"
                self.source.find("warning", "E-IMP-06", occurs.place or entry.place, what, do)
            else:
                least, depending = occurs.least, path
        yield ImportedTable(
            self.names[id(entry)], item, most, least, depending, self.storage, _label(entry), _group_note(entry), line=entry.place.line
        )

    def _item(self, entry: Entry, at: int) -> ImportedField | ImportedGroup:
        if not entry.members:
            return self.fields.field(entry, self.names[id(entry)])
        nodes = self._members(entry, at)
        aligned = max((self._alignment(each) for each in entry.walk() if not each.members), default=1)
        over = sum(node.size for node in nodes) % aligned
        slack = (_slack_field(aligned - over),) if over else ()
        return ImportedGroup(self.names[id(entry)], (*nodes, *slack), _label(entry), line=entry.place.line)

    # --- SYNC -----------------------------------------------------------------------------------------------------

    def _slack(self, entry: Entry, at: int) -> int:
        """Bytes before an entry so that it, or in IBM's COBOL the first field within it, is aligned."""
        first = entry
        while first.members and self.dialect == "ibm":
            first = first.members[0]
        return 0 if entry.redefines or first.members else -at % self._alignment(first)

    def _alignment(self, entry: Entry) -> int:
        is_sync = entry.inherited_sync() if self.dialect == "ibm" else entry.is_sync
        return self.fields.alignment(entry) if is_sync else 1


def same_bytes(one: Imported, other: Imported) -> bool:
    """Whether two fields take the same bytes in the same way, whatever the one calls them."""
    if not isinstance(one, ImportedField) or not isinstance(other, ImportedField) or bool(one.name) != bool(other.name):
        return False
    in_characters = all(each.kind.startswith(("Text(", "Code(", "Digits(")) for each in (one, other))
    return one.length == other.length and (one.kind == other.kind or in_characters)


def cobol_name(node: ImportedField) -> str:
    """As the copybook has it: the label's last word."""
    return node.label.split(" ")[-1].upper()


def _label(entry: Entry) -> str:
    return f"{entry.remark} {entry.called}".strip() if entry.remark else entry.called


def _group_note(entry: Entry) -> str:
    return (entry.text + meanings(entry)).removeprefix("; ")


def _slack_field(size: int) -> ImportedField:
    return ImportedField("", f"Filler({size})", size, note="slack bytes: what follows is SYNC")
