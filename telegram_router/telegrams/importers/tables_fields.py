"""The rows of a table as fields: their sizes, groups, repetitions and names; and whether the sheet's own sums agree."""

# Rules this file keeps:
#
# 1. Lengths decide. Offsets, cumulative lengths and totals are checks: where one disagrees it is told, with its row.
# 2. A difference is told where it begins, once, not again for every row behind it.
# 3. Every row is looked at whatever is wrong with the others: all findings at once.

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

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
from telegram_router.telegrams.importers.tables_blocks import FieldRow, Line, RepeatRow, TotalRow, times_in
from telegram_router.telegrams.importers.tables_declared import Declared, read_declared
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_headings import Columns, outside_brackets, plain
from telegram_router.telegrams.importers.tables_kinds import Codes, Wanted, binary_length, codes_in, is_filler, meaning
from telegram_router.telegrams.importers.tables_types import CellType, cell_length, cell_type, whole_number

STORAGES: Final[tuple[Literal["max", "shift"], ...]] = ("max", "shift")
_ENOUGH_TO_BELIEVE: Final = 3  # rows that are off by the same number are not all mistakes
_VARIABLE: Final = re.compile(r"가변|variable|var\b|~|이하|n\b|\*", re.IGNORECASE)
_REPEATED: Final = re.compile(r"반복|occurs|repeat", re.IGNORECASE)
_AS_COUNTED: Final = re.compile(r"([^\s,;:()'\"]+?)\s*(만큼|개수만큼|에 따라)")
_AT_MOST: Final = re.compile(r"(?:최대|max\.?|최고)\s*(\d{1,4})", re.IGNORECASE)
_RANGE: Final = re.compile(r"(\d{1,4})\s*(?:~|-|–|to|∼)\s*(\d{1,4})")
_YES: Final = frozenset(("y", "yes", "m", "필수", "●", "mandatory", "required", "true", "1", "◎", "◉"))
_CIRCLES: Final = frozenset(("o", "○", "◯", "〇", "0"))
_USUAL_MARKS: Final = frozenset("●◎◉○◯〇Oo")
_ALWAYS: Final = re.compile(r"""\s*['"“‘]([^'"]+)['"”’]\s*(?:으?로\s*)?(?:고정값?|fixed|constant)\s*""", re.IGNORECASE)
_SIGN: Final = re.compile(r"(.*?)(의)?(부호|sign)(구분)?")


@dataclass(frozen=True)
class Times:
    """How often something stands in the telegram."""

    most: int
    least: int | None = None
    depending: str = ""  # what the sheet calls the field that counts
    storage: Literal["max", "shift"] | None = None  # None: the sheet does not say


GROUPS: Final = ("group", "views", "versions", "overlay")


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


# --- rows to items ----------------------------------------------------------------------------------------------


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
                self.told.say("error", "E-IMP-05", row.row, f"{_shown(row)}: {what}", "write X(n), 9(n), 9(n)V9(m), AN, N or K")
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
            if item.row.is_date:
                what = f"the spreadsheet has made a date of the number of {_shown(item.row)}; taken as {item.row.number}"
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
                "error", "E-IMP-05", item.row.row, f"{_shown(item.row)} is of type {item.row.type} and {wrong}", "see an exported sheet"
            )
            item.type, item.declared, item.members = CellType("filler"), None, []

    def _measure_group(self, item: Item) -> None:
        stated = cell_length(item.row.length)
        if stated is None or stated[1] == 0:
            return
        if item.times is None and stated[1] != item.one and item.one and stated[1] % item.one == 0:
            what = f"{_shown(item.row)} has {stated[1]} bytes, its members {item.one}: taken as {stated[1] // item.one} times"
            self.told.say("warning", "E-IMP-03", item.row.row, what, "write how often into a column 반복")
            item.times = Times(stated[1] // item.one)
        elif stated[1] not in (item.one, item.size):
            what = f"{_shown(item.row)} has {stated[1]} bytes, its members {item.one}"
            self.told.say("error", "E-IMP-03", item.row.row, what, "mend the group's length or its members'")

    def _declared_length(self, item: Item, declared: Declared) -> int:
        stated = cell_length(item.row.length)
        if stated is not None and declared.form != "rest" and stated[1] != declared.length:
            what = f"{_shown(item.row)}: its declaration has {declared.length} bytes, the length column {stated[1]}"
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
            what = f"{_shown(row)} is repeated {f'as often as {name} says' if name else f'{text!r} times'}, and no largest number is given"
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
            self.told.say("error", "E-IMP-05", row.row, f"{_shown(row)} has a length of 0", "give its length in bytes, or delete the row")
            return by_type
        length = stated[1]
        if kind.pair:
            return self._pair_length(item, length)
        if by_type is None or by_type == length or (kind.signed and kind.form == "digits" and length == by_type + 1):
            return self._of_one(item, length, by_type)
        if item.times and length == by_type * item.times.most:
            return by_type
        what = f"{_shown(row)}: type {row.type} has {by_type} bytes, the length column {length}"
        self.told.say("error", "E-IMP-03", row.row, what, "make both say the same; the length is taken")
        return length

    def _of_one(self, item: Item, length: int, by_type: int | None) -> int:
        """Whether a length is that of one or of all, where a field is repeated and its type does not say."""
        if item.times and by_type is None and (cell_length(item.row.length) or (1, 0))[0] == 1 and length % item.times.most == 0:
            what = f"{_shown(item.row)}: {length} bytes are taken as the length of one of {item.times.most}"
            self.told.say("warning", "E-IMP-08", item.row.row, what, f"write {item.times.most}*{length} if so")
        return length

    def _pair_length(self, item: Item, length: int) -> int:
        whole, scale = item.type.pair or (0, 0)
        if length in (whole + scale, whole + scale + 1) or length == whole:
            return length
        what = f"{_shown(item.row)}: type {item.row.type} has {whole + scale} digits, or {whole} in all; the length column has {length}"
        self.told.say("error", "E-IMP-03", item.row.row, what, "make both say the same; the length is taken")
        return length

    def _length_without_column(self, item: Item, by_type: int | None) -> int | None:
        row = item.row
        if item.type.pair:
            what = f"{_shown(row)}: {row.type} without a length is taken as {item.type.pair[0]} digits before the point and {item.type.pair[1]} behind"
            self.told.say("warning", "E-IMP-08", row.row, what, "write 9(n)V9(m), or give the length")
        if by_type:
            return by_type
        first, last = whole_number(row.offset), whole_number(row.end)
        if first is not None and last is not None and last >= first:
            return last - first + 1
        if item.type.form == "group":
            self.told.say("error", "E-IMP-05", row.row, f"{_shown(row)} is a group without members", "give its members numbers like 3-1")
        else:
            self.told.say("error", "E-IMP-05", row.row, f"{_shown(row)} has no length", "give its length in bytes")
        return None

    def _odd_length(self, item: Item) -> int | None:
        row = item.row
        if _VARIABLE.search(row.length):
            last = item is self.top[-1]
            what = f"{_shown(row)} has the variable length {row.length!r}"
            if last:
                self.told.say("warning", "E-IMP-08", row.row, f"{what}: it takes the rest of the telegram, as bytes")
                item.type = CellType("rest")
                return 0
            self.told.say("error", "E-IMP-05", row.row, f"{what}, and fields behind it", "give its largest length")
            return _bytes_of(item.type)
        what = f"{_shown(row)}: length {row.length!r} is not a whole number of bytes"
        self.told.say("error", "E-IMP-05", row.row, what, "write the length in bytes")
        return _bytes_of(item.type)


def _bytes_of(kind: CellType) -> int | None:
    if kind.form == "binary" and kind.size:
        return binary_length(kind.size)
    return kind.length()


def _shown(row: FieldRow) -> str:
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


# --- the sheet's own sums ---------------------------------------------------------------------------------------


def check_places(told: Told, columns: Columns, items: Iterable[Item], start: int) -> None:
    """Offsets, ends and cumulative lengths against the lengths. `start` is where the section begins in the telegram."""
    placed = [*_placed(items, 0)]
    offsets = [(item, at, value) for item, at, _ in placed if (value := whole_number(item.row.offset)) is not None]
    _check_column(told, "offset", offsets, columns.base, start)
    whole = [(item, at, inner) for item, at, inner in placed if not inner or item.row.cumulative]
    sums = [(item, at + item.size, value) for item, at, _ in whole if (value := whole_number(item.row.cumulative)) is not None]
    _check_column(told, "cumulative length", sums, 0, start)
    for item, _, inner in placed:
        first, last = whole_number(item.row.offset), whole_number(item.row.end)
        if first is not None and last is not None and not inner and last - first + 1 != item.size and last - first != item.size:
            what = f"{_shown(item.row)} goes from {first} to {last}, which is not its {item.size} bytes"
            told.say("error", "E-IMP-03", item.row.row, what, "mend the end or the length")


def _placed(items: Iterable[Item], at: int, inner: bool = False) -> Iterator[tuple[Item, int, bool]]:
    """Each row with the byte at which it begins; of what is repeated, the first."""
    for item in items:
        yield item, at, inner
        inside = inner or item.times is not None
        if item.type.form in ("views", "versions"):  # each begins where the others do
            for member in item.members:
                yield from _placed([member], at, inside)
        else:
            yield from _placed(item.members, at, inside)
        at += item.size


def _check_column(told: Told, what: str, stated: list[tuple[Item, int, int]], base: int | None, start: int) -> None:
    if not stated:
        return
    deltas = [value - expected for _, expected, value in stated]
    current = _usual(deltas, base, start, counts_from=(0,) if what != "offset" else (0, 1))
    _say_base(told, what, stated[0][0].row.row, current, start)
    for index, (item, expected, value) in enumerate(stated):
        delta = deltas[index]
        if delta == current:
            continue
        told.say("error", "E-IMP-03", item.row.row, _difference(what, item, value, expected + current), "mend that number, or a length")
        alone = index + 1 == len(deltas) or deltas[index + 1] == current
        current = current if alone else delta


def _usual(deltas: list[int], base: int | None, start: int, counts_from: tuple[int, ...]) -> int:
    """What the sheet's numbers have more than ours: they count from 0 or 1, from the telegram's or the section's beginning."""
    plausible = [*counts_from, *(start + each for each in counts_from)]
    if base is not None:
        plausible = [each for each in plausible if each in (base, start + base)] or plausible
    seen = Counter(deltas)
    best = max(plausible, key=lambda each: (seen[each], each == deltas[0], -plausible.index(each)))
    common, times = seen.most_common(1)[0]
    # A first offset depends on no length, so others may have been left out in front. A first sum that is off is a wrong length.
    believed = 1 in counts_from and not seen[best] and times >= _ENOUGH_TO_BELIEVE and common > 0
    return common if believed else best


def _say_base(told: Told, what: str, row: int, current: int, start: int) -> None:
    if what != "offset":
        return
    whence = "the telegram's" if start == 0 or current in (start, start + 1) else "the section's"
    if current in (0, 1, start, start + 1):
        said = f"offsets count from {current - start if current >= start else current}, from {whence} first byte"
        if not any(finding.what == said for finding in told.findings):  # a sheet of header and body says it twice
            told.say("note", "E-IMP-08", row, said)
    else:
        said = f"offsets begin at {current}, where 0 or 1 was to be expected"
        told.say("warning", "E-IMP-03", row, said, "see whether bytes in front, a length prefix perhaps, are missing from the table")


def _difference(what: str, item: Item, value: int, expected: int) -> str:
    name = _shown(item.row)
    size = abs(value - expected)
    many = f"{size} byte{'' if size == 1 else 's'}"
    if what == "offset":
        kind = "gap" if value > expected else "overlap"
        return f"{name}: offset {value}, by the lengths above {expected}: {'a' if kind == 'gap' else 'an'} {kind} of {many}"
    return f"{name}: {what} {value}, the lengths up to here make {expected}, {many} {'fewer' if value > expected else 'more'}"


# --- items to declarations --------------------------------------------------------------------------------------


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
            what = f"{_shown(row)} has the name {wanted} that is used{before} already; it is called {name}"
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
        if not given:
            what = f"{_shown(item.row)}: nothing says which view is the right one; the first is read"
            self.told.say("warning", "E-IMP-08", line, what, 'write by="..." and when={...} into the spec')
        return ImportedViews(views, given.get("by") or "", given.get("when") or {}, given.get("default") or "", line=line)

    def _repeated(self, item: Item, node: ImportedField | ImportedGroup) -> Imported:
        if item.times is None or not node.name:
            return replace(node, length=item.size, kind=f"Filler({item.size})") if item.times and isinstance(node, ImportedField) else node
        counter = self._counter(item) if item.times.depending else ""
        if counter and item.times.storage is None:
            what = f"{_shown(item.row)}: {counter} counts its items; all {item.times.most} places are taken to be sent always"
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
        what = f"{_shown(item.row)} is repeated as often as {item.times.depending if item.times else ''} says, which no field before it is called"
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
            what = f"{_shown(sign.row)} and {_shown(row)} in row {row.row} are one number with a sign"
            self.told.say("note", "E-IMP-08", sign.row.row, what)
            wanted = replace(wanted, type=replace(wanted.type, signed=True, size=length), length=length + 1)
        said = meaning(wanted)
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
                what = f"{_shown(row)}: its column of codes cannot be read as codes of at most {length} characters; any value is taken"
                self.told.say("warning", "E-IMP-04", row.row, what, "write them as 01:정상, 02:오류")
            return codes
        codes = codes_in(row.note, length, certain=False) if row.note and length <= 8 else {}
        if codes:
            what = f"{_shown(row)}: the remark lists its codes, {', '.join(map(str, codes))}: others will be refused"
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
