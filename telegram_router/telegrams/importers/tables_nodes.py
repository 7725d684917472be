"""Rows whose sizes are known as declarations of the neutral model: names, kinds, tables, views."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from telegram_router.telegrams.importers.model import (
    Imported,
    ImportedField,
    ImportedGroup,
    ImportedInline,
    ImportedTable,
    ImportedViews,
    identifier,
    unique,
)
from telegram_router.telegrams.importers.tables_blocks import FieldRow
from telegram_router.telegrams.importers.tables_declared import Declared
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import outside_brackets, plain
from telegram_router.telegrams.importers.tables_items import Item, shown
from telegram_router.telegrams.importers.tables_kinds import Codes, Wanted, codes_in, is_filler, meaning
from telegram_router.telegrams.importers.tables_types import CellType

_YES: Final = frozenset(("y", "yes", "m", "필수", "●", "mandatory", "required", "true", "1", "◎", "◉"))
_CIRCLES: Final = frozenset(("o", "○", "◯", "〇"))
_USUAL_MARKS: Final = frozenset("●◎◉○◯〇Oo")
_ALWAYS: Final = re.compile(r"""\s*['"“‘]([^'"]+)['"”’]\s*(?:으?로\s*)?(?:고정값?|fixed|constant)\s*""", re.IGNORECASE)
_SIGN: Final = re.compile(r"(.*?)(의)?(부호|sign)(구분)?")


class Names:
    """Identifiers for the fields of one telegram or group, each used once."""

    def __init__(self, told: Told, taken: Iterable[str] = ()) -> None:
        self.told = told
        self.taken: dict[str, int] = dict.fromkeys(taken, 0)

    def name(self, row: FieldRow, *, of_table: bool = False) -> str:
        if row.declaration and row.english.isidentifier() and row.english not in self.taken:  # one of our own sheets: as it stands
            self.taken[row.english] = row.row
            return row.english
        # Korean names are identifiers to Python and keys to JSON: a transliteration would help nobody who reads 출금계좌번호.
        source = row.english or outside_brackets(row.label) or row.label
        wanted = identifier(
            source if plain(source) else row.label, "항목" if re.search("[가-힣]", row.label) else "field", of_table=of_table
        )
        name = unique(wanted, self.taken.__contains__, identifier(row.outer[-1]) if row.outer else "")
        if name != wanted:
            first = self.taken.get(wanted)
            before = f" in row {first}" if first else " in the header" if first == 0 else ""
            what = f"{shown(row)} has the name {wanted} that is used{before} already; it is called {name}"
            self.told.say("warning", "E-IMP-07", row.row, what, "give the fields different English names")
        self.taken[name] = row.row
        return name


@dataclass(frozen=True)
class Purpose:
    """What the router does with some fields of a section."""

    clear: Callable[[FieldRow], bool] = lambda row: False
    routing: Callable[[FieldRow], bool] = lambda row: False


class Declaring:
    """Items to nodes of the neutral model."""

    def __init__(self, told: Told, purpose: Purpose, circles_mean_yes: bool) -> None:
        self.told = told
        self.purpose = purpose
        self.circles_mean_yes = circles_mean_yes
        self.known: list[tuple[FieldRow, str]] = []  # every field so far with its name

    def nodes(self, items: list[Item], names: Names, counters: frozenset[str]) -> tuple[Imported, ...]:
        made = list[Imported]()
        signed: Item | None = None
        for item, following in zip(items, [*items[1:], None][: len(items)], strict=True):
            if signed is None and following is not None and self._is_sign_of(item, following):
                signed = item
                continue
            made.append(self._node(item, names, counters, signed))
            signed = None
        return tuple(made)

    def _is_sign_of(self, item: Item, following: Item) -> bool:
        """잔액부호 X(1) in front of 잔액 9(13): one signed number."""
        found = _SIGN.fullmatch(plain(item.row.label))
        lone = not any(each.is_group or each.times or each.declared for each in (item, following))
        if not found or not lone or item.length != 1 or following.type.form != "digits" or following.type.signed or not following.length:
            return False
        amount = plain(following.row.label)
        plus_and_minus = not item.row.note or re.search(r"[+\-]", item.row.note) is not None
        return plus_and_minus and (not found[1] or amount.startswith(found[1]) or found[1].startswith(amount) or amount.endswith(found[1]))

    def _node(self, item: Item, names: Names, counters: frozenset[str], sign: Item | None) -> Imported:
        row = item.row
        if item.type.form in ("views", "versions", "overlay"):
            return self._inline(item, names, counters)
        if item.is_group:
            name = names.name(row, of_table=item.times is not None)
            inner = Names(self.told)
            group = ImportedGroup(name, self.nodes(item.members, inner, counters), _label(row), _note(row), row.row)
            return self._repeated(item, group)
        made = self._field(item, names, plain(row.label) in counters or plain(row.english) in counters, sign)
        return self._repeated(item, made)

    def _inline(self, item: Item, names: Names, counters: frozenset[str]) -> Imported:
        """Bytes seen in several ways, in versions, or taken over by fields: the place has no name of its own."""
        given = item.declared.arguments if item.declared else {}
        line = item.row.row
        if item.type.form == "overlay":
            members = self.nodes(item.members, names, counters)
            return ImportedInline("Overlay", (("", ImportedGroup("overlay", members, line=line)),), item.one, line=line)
        if item.type.form == "versions":
            groups = [(_first_day(each.row.label), each) for each in item.members]
            # Versions have fields of the same names, and those of only one of them stand beside the others' all the same.
            made = [
                (first, ImportedGroup(f"from_{first or 'the_beginning'}", self.nodes(each.members, Names(self.told), counters)))
                for first, each in groups
            ]
            return ImportedInline("Versions", tuple(made), item.one, str(given.get("by", "")).removeprefix("header."), line=line)
        views = tuple(
            node for each in item.members if not isinstance(node := self._node(each, names, counters, None), ImportedViews | ImportedInline)
        )
        if item.declared is None:
            what = f"{shown(item.row)}: nothing says which view is the right one; the first is read"
            self.told.say("warning", "E-IMP-08", line, what, 'write by="..." and when={...} into the spec')
        return ImportedViews(views, given.get("by") or "", given.get("when") or {}, given.get("default") or "", line=line)

    def _repeated(self, item: Item, node: ImportedField | ImportedGroup) -> Imported:
        if item.times is None or not node.name:
            return replace(node, length=item.size, kind=f"Filler({item.size})") if item.times and isinstance(node, ImportedField) else node
        counter = self._counter(item) if item.times.depending else ""
        if counter and item.times.storage is None:
            what = f"{shown(item.row)}: {counter} counts its items; all {item.times.most} places are taken to be sent always"
            self.told.say("warning", "E-IMP-08", item.row.row, what, 'write storage="shift" if only as many as counted are sent')
        least = item.times.least if counter else None
        return ImportedTable(node.name, replace(node, label="", note=""), item.times.most, least, counter, item.times.storage or "max", node.label, node.note, item.row.row)  # fmt: skip

    def _counter(self, item: Item) -> str:
        wanted = plain(item.times.depending) if item.times else ""
        for row, name in self.known:
            if wanted and wanted in (plain(row.label), plain(row.english), plain(name)):
                return name
        if item.times and "." in item.times.depending:  # a path, as the spec has it
            return item.times.depending
        what = f"{shown(item.row)} is repeated as often as {item.times.depending if item.times else ''} says, which no field before it is called"
        self.told.say("error", "E-IMP-06", item.row.row, what, "use the name of the field that counts")
        return ""

    def _field(self, item: Item, names: Names, counts: bool, sign: Item | None) -> ImportedField:
        row, length = item.row, item.length or 0
        if item.declared:
            return self._declared(item, item.declared, names)
        if item.type.form == "rest":
            return ImportedField(names.name(row), "Opaque()", 0, _label(row), _note(row), {}, row.row)
        if item.type.form != "filler" and is_filler(row.label, row.english) and not item.type.signed:
            item.type = CellType("filler")
        codes = self._codes(row, length) if item.type.form in ("text", "digits") and sign is None else {}
        wanted = Wanted(
            names=f"{row.label} {row.english}",
            type=_typed(item),
            length=length,
            note=row.note,
            codes=codes,
            required=self._required(row),
            clear=self.purpose.clear(row),
            routing=self.purpose.routing(row),
            constant="" if self.purpose.routing(row) else _constant(row, length),
        )
        if counts:
            wanted = replace(wanted, names="건수", codes={}, routing=False)
        if sign is not None:
            what = f"{shown(sign.row)} and {shown(row)} in row {row.row} are one number with a sign"
            self.told.say("note", "E-IMP-08", sign.row.row, what)
            wanted = replace(wanted, type=replace(wanted.type, signed=True, size=length), length=length + 1)
        said = meaning(wanted)
        if said.kind.startswith("Zoned"):
            what = f"{shown(row)}: its sign is taken to be in the last digit, since {row.type} has no byte of its own for it"
            self.told.say("warning", "E-IMP-08", row.row, what, f"write {length + 1} bytes, or Amount({length}), if there is one")
        name = "" if said.kind.startswith("Filler") else names.name(row)
        if name:
            self.known.append((row, name))
        return ImportedField(name, said.kind, said.length, _label(row), _note(row), said.codes, row.row)

    def _declared(self, item: Item, declared: Declared, names: Names) -> ImportedField:
        row = item.row
        unnamed = not row.english and (not declared.kind.is_named or declared.kind.flagbuildnone) if declared.kind else False
        name = "" if unnamed else names.name(row)
        if name:
            self.known.append((row, name))
        return ImportedField(name, declared.text, declared.length, _label(row), _note(row), declared.codes, row.row)

    def _codes(self, row: FieldRow, length: int) -> Codes:
        if row.codes:
            codes = codes_in(row.codes, length, certain=True)
            if not codes:
                what = f"{shown(row)}: its column of codes cannot be read as codes of at most {length} characters; any value is taken"
                self.told.say("warning", "E-IMP-04", row.row, what, "write them as 01:정상, 02:오류")
            return codes
        codes = codes_in(row.note, length, certain=False) if row.note and length <= 8 else {}
        if codes:
            what = f"{shown(row)}: the remark lists its codes, {', '.join(map(str, codes))}: others will be refused"
            self.told.say("note", "E-IMP-08", row.row, what, "take the codes out of the spec if there are more")
        return codes

    def _required(self, row: FieldRow) -> bool:
        mark = row.required.strip().lower()
        return mark in _YES or (mark in _CIRCLES and self.circles_mean_yes)


def _constant(row: FieldRow, length: int) -> str:
    """A constant that fills its field, from its column or from a remark like 'VAS' 고정; what is shorter may be a default as well."""
    said = _ALWAYS.fullmatch(row.note)
    text = row.constant.strip("'\"“”") or (said[1] if said else "")
    return text if len(text) == length and text.isascii() and text.isprintable() else ""


def _typed(item: Item) -> CellType:
    """9(12,3) of twelve bytes has twelve digits in all."""
    pair = item.type.pair
    if pair and item.length in (pair[0], pair[0] + 1) and item.length not in (sum(pair), sum(pair) + 1):
        return replace(item.type, pair=None, size=pair[0], scale=pair[1])
    return item.type


def _first_day(label: str) -> str:
    return label if re.fullmatch(r"\d{8}", label) else ""


def _label(row: FieldRow) -> str:
    return " ".join((*row.outer, row.label if row.has_label or not row.declaration else "")).strip()


def _note(row: FieldRow) -> str:
    marks = " ".join(f"{heading} {mark}" for heading, mark in row.marks if mark not in _USUAL_MARKS)
    return "; ".join(filter(None, (row.type if not row.declaration else "", marks, row.note)))
