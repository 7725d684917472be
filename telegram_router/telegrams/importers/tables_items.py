"""The rows of a table as a tree, the size of each known: groups, repetitions, lengths that agree with their types."""

# Rules this file keeps:
#
# 1. Lengths decide; types and groups are held against them.
# 2. Every row is looked at whatever is wrong with the others: all findings at once.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from telegram_router.telegrams.fields.binary import MOST_DIGITS, binary_length
from telegram_router.telegrams.importers.tables_blocks import FieldRow, Line, RepeatRow, TotalRow, times_in
from telegram_router.telegrams.importers.tables_declared import Declared, read_declared
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import Columns, plain
from telegram_router.telegrams.importers.tables_kinds import is_filler
from telegram_router.telegrams.importers.tables_types import CellType, cell_length, cell_type, whole_number

STORAGES: Final[tuple[Literal["max", "shift"], ...]] = ("max", "shift")
GROUPS: Final = ("group", "views", "versions", "overlay")
_VARIABLE: Final = re.compile(r"가변|variable|var\b|~|이하|n\b|\*", re.IGNORECASE)
_REPEATED: Final = re.compile(r"반복|occurs|repeat", re.IGNORECASE)
_AS_COUNTED: Final = re.compile(r"([^\s,;:()'\"]+?)\s*(만큼|개수만큼|에 따라)")
_AT_MOST: Final = re.compile(r"(?:최대|max\.?|최고)\s*(\d{1,4})", re.IGNORECASE)
_RANGE: Final = re.compile(r"(\d{1,4})\s*(?:~|-|–|to|∼)\s*(\d{1,4})")


@dataclass(frozen=True)
class Times:
    """How often something stands in the telegram."""

    most: int
    least: int | None = None
    depending: str = ""  # what the sheet calls the field that counts
    storage: Literal["max", "shift"] | None = None  # None: the sheet does not say


@dataclass
class Item:
    """A row with the rows under it, its size known."""

    row: FieldRow
    type: CellType
    length: int | None = None  # bytes of one; None for a group, which its members decide
    times: Times | None = None
    members: list[Item] = field(default_factory=list)
    declared: Declared | None = None

    @property
    def one(self) -> int:
        if self.type.form in ("views", "versions"):
            return max((member.size for member in self.members), default=0)
        if not self.members or self.type.form == "overlay":
            return self.length or 0
        return sum(member.size for member in self.members)

    @property
    def size(self) -> int:
        return self.one * (self.times.most if self.times else 1)

    @property
    def is_group(self) -> bool:
        return bool(self.members) or self.type.form in GROUPS


class Items:
    """The rows of one section as a tree."""

    def __init__(self, told: Told, columns: Columns, lines: Iterable[Line]) -> None:
        self.told = told
        self.columns = columns
        self.lines = [line for line in lines if isinstance(line, FieldRow | RepeatRow | TotalRow)]
        self.circles_mean_yes = not any(line.required.lower() in ("m", "필수", "y") for line in self._rows())
        self.top: list[Item] = []
        self._build()

    def _rows(self) -> Iterator[FieldRow]:
        return (line for line in self.lines if isinstance(line, FieldRow))

    def _build(self) -> None:
        place = self._placing()
        repeated: Item | None = None
        for line in self.lines:
            if isinstance(line, RepeatRow):
                repeated = self._repeat(line)
            elif isinstance(line, FieldRow):
                declared = read_declared(self.told, line)
                item = Item(line, declared.type if declared else self._type(line), declared=declared)
                group = place(item)
                (group if group is not None else repeated.members if repeated else self.top).append(item)
        for item in self.top:
            self._measure(item)
        self._say_typeless()

    def _say_typeless(self) -> None:
        fields = [item for item in all_items(self.top) if not item.is_group and not item.declared]
        bare = [item for item in fields if not item.row.type and item.type.form == "text" and item.length]
        if bare:
            what = f"{len(bare)} of {len(fields)} fields have no type: they are taken as text"
            self.told.say("note", "E-IMP-08", bare[0].row.row, what, "give them types, or change their kinds in the spec")

    def _repeat(self, line: RepeatRow) -> Item | None:
        if line.times is None:
            return None
        group = Item(FieldRow(line.row, "반복부"), CellType("group"), times=Times(line.times))
        self.top.append(group)
        return group

    def _placing(self) -> Callable[[Item], list[Item] | None]:
        """How this table shows what belongs to what: by levels, by numbers like 3-1, or by setting names in."""
        levels = {line.depth for line in self._rows() if line.depth}
        if len(levels) > 1:
            return _by_level(lambda row: whole_number(row.depth) or 0, lambda item: True)
        if any(len(_parts(line.number)) > 1 for line in self._rows()):
            return _by_number()
        return _by_level(lambda row: row.indent, _may_have_members)

    # -- sizes

    def _type(self, row: FieldRow) -> CellType:
        if not row.type:
            return CellType("filler" if is_filler(row.label, row.english) else "text")
        known = cell_type(row.type)
        if known is None:
            if not _REPEATED.search(row.type):
                what = f"type {row.type!r} is not known"
                self.told.say("error", "E-IMP-05", row.row, f"{shown(row)}: {what}", "write X(n), 9(n), 9(n)V9(m), AN, N or K")
            return CellType("text")
        scale = whole_number(row.scale) if row.scale else None
        return replace(known, scale=scale) if scale else known

    def _measure(self, item: Item) -> None:
        for member in item.members:
            self._measure(member)
        if item.type.form in ("views", "versions", "overlay"):
            self._check_place(item)
        item.times = item.times or self._times(item)
        if item.members and item.type.form != "overlay":
            self._measure_group(item)
        elif item.declared:
            item.length = self._declared_length(item, item.declared)
        else:
            item.length = self._length(item)
            if item.type.form == "group" and item.length:
                self._say_memberless(item)
                item.type = CellType("text")
            if item.row.is_date:
                what = f"the spreadsheet has made a date of the number of {shown(item.row)}; taken as {item.row.number}"
                self.told.say("warning", "E-IMP-08", item.row.row, what, "make the column a text column")

    def _check_place(self, item: Item) -> None:
        """REDEFINES, VERSIONS and OVERLAY are what their members make of them."""
        wrong = ""
        if not item.members:
            wrong = "has no members"
        elif item.type.form == "versions" and not all(member.type.form == "group" and member.members for member in item.members):
            wrong = "has a member that is no GROUP"
        elif item.type.form == "views" and any(member.type.form in ("views", "versions", "overlay") for member in item.members):
            wrong = "has a member that is no field and no GROUP"
        if wrong:
            self.told.say(
                "error", "E-IMP-05", item.row.row, f"{shown(item.row)} is of type {item.row.type} and {wrong}", "see an exported sheet"
            )
            item.type, item.declared, item.members = CellType("filler"), None, []

    def _measure_group(self, item: Item) -> None:
        stated = cell_length(item.row.length)
        if stated is None or stated[1] == 0:
            return
        if item.times is None and stated[1] != item.one and item.one and stated[1] % item.one == 0:
            what = f"{shown(item.row)} has {stated[1]} bytes, its members {item.one}: taken as {stated[1] // item.one} times"
            self.told.say("warning", "E-IMP-03", item.row.row, what, "write how often into a column 반복")
            item.times = Times(stated[1] // item.one)
        elif stated[1] not in (item.one, item.size):
            what = f"{shown(item.row)} has {stated[1]} bytes, its members {item.one}"
            self.told.say("error", "E-IMP-03", item.row.row, what, "mend the group's length or its members'")

    def _declared_length(self, item: Item, declared: Declared) -> int:
        stated = cell_length(item.row.length)
        if stated is not None and declared.form != "rest" and stated[1] != declared.length:
            what = f"{shown(item.row)}: its declaration has {declared.length} bytes, the length column {stated[1]}"
            self.told.say("error", "E-IMP-03", item.row.row, what, "empty the declaration, or make both say the same")
        return declared.length

    def _times(self, item: Item) -> Times | None:
        """How often, by the count column, the type, the length or the remark."""
        row = item.row
        if row.count and row.count not in ("-", "1"):
            return self._counted(row, row.count)
        stated = cell_length(row.length)
        if item.type.times or (stated and stated[0] > 1):
            return Times(item.type.times or stated[0])  # type: ignore[index]
        for text in (row.type, row.note) if item.members or item.type.form == "group" else ():
            if _REPEATED.search(text):
                return self._counted(row, text)
        return None

    def _counted(self, row: FieldRow, text: str) -> Times | None:
        counter = _AS_COUNTED.search(text)
        span, most = _RANGE.search(text), _AT_MOST.search(text)
        limit = int(span[2]) if span else int(most[1]) if most else whole_number(text) or times_in(text)
        inside = re.search(r"\(([^\d\s(),][^\s(),]*)", text)
        name = counter[1] if counter else inside[1] if span and inside else ""
        storage = next((each for each in STORAGES if re.search(rf"\b{each}\b", text)), None)
        if limit is None:
            name = name or (text if any(plain(text) in (plain(each.label), plain(each.english)) for each in self._rows()) else "")
            what = f"{shown(row)} is repeated {f'as often as {name} says' if name else f'{text!r} times'}, and no largest number is given"
            self.told.say("error", "E-IMP-05", row.row, what, "write the largest number, e.g. 최대 10")
            return Times(1)
        return Times(limit, int(span[1]) if span else 0, name, storage) if name else Times(limit)

    def _length(self, item: Item) -> int | None:
        row, kind = item.row, item.type
        by_type = _bytes_of(kind)
        stated = cell_length(row.length)
        if row.length and row.length != "-" and stated is None:
            return self._odd_length(item)
        if stated is None:
            return self._length_without_column(item, by_type)
        if stated[1] == 0:
            self.told.say("error", "E-IMP-05", row.row, f"{shown(row)} has a length of 0", "give its length in bytes, or delete the row")
            return by_type
        length = stated[1]
        if kind.pair:
            return self._pair_length(item, length)
        if by_type is None or by_type == length or (kind.signed and kind.form == "digits" and length == by_type + 1):
            return self._of_one(item, length, by_type)
        if item.times and length == by_type * item.times.most:
            return by_type
        what = f"{shown(row)}: type {row.type} has {by_type} bytes, the length column {length}"
        self.told.say("error", "E-IMP-03", row.row, what, "make both say the same; the length is taken")
        return length

    def _of_one(self, item: Item, length: int, by_type: int | None) -> int:
        """Whether a length is that of one or of all, where a field is repeated and its type does not say."""
        if item.times and by_type is None and (cell_length(item.row.length) or (1, 0))[0] == 1 and length % item.times.most == 0:
            what = f"{shown(item.row)}: {length} bytes are taken as the length of one of {item.times.most}"
            self.told.say("warning", "E-IMP-08", item.row.row, what, f"write {item.times.most}*{length} if so")
        return length

    def _pair_length(self, item: Item, length: int) -> int:
        whole, scale = item.type.pair or (0, 0)
        if length in (whole + scale, whole + scale + 1) or length == whole:
            return length
        what = f"{shown(item.row)}: type {item.row.type} has {whole + scale} digits, or {whole} in all; the length column has {length}"
        self.told.say("error", "E-IMP-03", item.row.row, what, "make both say the same; the length is taken")
        return length

    def _length_without_column(self, item: Item, by_type: int | None) -> int | None:
        row = item.row
        if item.type.pair:
            what = f"{shown(row)}: {row.type} without a length is taken as {item.type.pair[0]} digits before the point and {item.type.pair[1]} behind"
            self.told.say("warning", "E-IMP-08", row.row, what, "write 9(n)V9(m), or give the length")
        if by_type:
            return by_type
        first, last = whole_number(row.offset), whole_number(row.end)
        if first is not None and last is not None and last >= first:
            return last - first + 1
        if item.type.form == "group":
            self._say_memberless(item)
        else:
            self.told.say("error", "E-IMP-05", row.row, f"{shown(row)} has no length", "give its length in bytes")
        return None

    def _say_memberless(self, item: Item) -> None:
        what = f"{shown(item.row)} is a group without members"
        self.told.say("error", "E-IMP-05", item.row.row, what, "give its members numbers like 3-1")

    def _odd_length(self, item: Item) -> int | None:
        row = item.row
        if _VARIABLE.search(row.length):
            last = item is self.top[-1]
            what = f"{shown(row)} has the variable length {row.length!r}"
            if last:
                self.told.say("warning", "E-IMP-08", row.row, f"{what}: it takes the rest of the telegram, as bytes")
                item.type = CellType("rest")
                return 0
            self.told.say("error", "E-IMP-05", row.row, f"{what}, and fields behind it", "give its largest length")
            return _bytes_of(item.type)
        wrong = "is longer than any telegram" if row.length.strip().isdecimal() else "is not a whole number of bytes"
        what = f"{shown(row)}: length {row.length!r} {wrong}"
        self.told.say("error", "E-IMP-05", row.row, what, "write the length in bytes")
        return _bytes_of(item.type)


def all_items(items: Iterable[Item]) -> Iterator[Item]:
    """Rows and the rows under them."""
    for item in items:
        yield item
        yield from all_items(item.members)


def _bytes_of(kind: CellType) -> int | None:
    if kind.form == "binary" and kind.size:
        return binary_length(min(kind.size, MOST_DIGITS))
    return kind.length()


def shown(row: FieldRow) -> str:
    return row.label if not row.english or row.english == row.label else f"{row.label} ({row.english})"


def _parts(number: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[-.]", number) if part) if re.fullmatch(r"[\d.-]+", number) else ()


def _may_have_members(item: Item) -> bool:
    """Whether a row that others are set in under can be their group: it says so, or has no bytes of its own."""
    has_size = cell_length(item.row.length) is not None or item.type.size is not None
    return item.type.form in GROUPS or bool(item.row.count) or not (has_size or item.row.type)


def _by_number() -> Callable[[Item], list[Item] | None]:
    known: dict[tuple[str, ...], Item] = {}

    def place(item: Item) -> list[Item] | None:
        parts = _parts(item.row.number)
        parent = known.get(parts[:-1]) if len(parts) > 1 else None
        if parts:
            known[parts] = item
        return None if parent is None else parent.members

    return place


def _by_level(level: Callable[[FieldRow], int], may_have_members: Callable[[Item], bool]) -> Callable[[Item], list[Item] | None]:
    open_: list[tuple[int, Item]] = []

    def place(item: Item) -> list[Item] | None:
        while open_ and open_[-1][0] >= level(item.row):
            open_.pop()
        parent = next((each for _, each in reversed(open_) if may_have_members(each)), None)
        open_.append((level(item.row), item))
        return None if parent is None else parent.members

    return place
