"""From a construct tree to a plan. Nothing is raised: what cannot be laid out becomes a problem, and the rest is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import construct
from construct import Construct, Renamed
from construct.lib import Container

from telegram_router.telegrams.fields import CharKind, Code, FieldFault, Filler, Kind, Length, Opaque
from telegram_router.telegrams.groups import Bounds, Inline, Occurs, Overlay, Redefines, Versions, optional
from telegram_router.telegrams.layout import (
    IN_HEADER,
    LayoutProblem,
    Node,
    PlannedField,
    PlannedGroup,
    PlannedTable,
    PlannedViews,
    Reference,
    Section,
    rebuilt,
    varies,
)

# A parsed Struct is a Container, a dict whose keys are attributes too: a field of such a name would hide a method, or be hidden.
_TAKEN: Final = frozenset(name for name in dir(Container) if not name.startswith("__"))
_TABLE_NAMES: Final = frozenset({"items"})  # what layouts call a table; its value is a list and reached by its key
_MOST_ITEMS: Final = 65_535
_DEEPEST: Final = 12  # groups and tables within each other; JSON of 32 levels is all that is read

Scope = dict[str, PlannedField]


def lay_out(struct: Any, section: str, start: int, encoding: str, header: Iterable[PlannedField] = ()) -> Section:
    """Walk a Struct of our kinds. Everything wrong with it is in `problems`; the fields that could be placed are in `nodes`."""
    planner = _Planner(section, encoding, {planned.name: planned for planned in header if planned.name})
    done = Section(problems=planner.problems)
    if isinstance(struct, construct.Struct):
        done.nodes = [_counting(node, planner.counters) for node in planner.members(struct, _Place(section, start))]
        done.size = sum(node.length for node in done.nodes)
        done.counters = planner.counters
    else:
        planner.problem("E-CFG-23", "", 0, f"{section} is a {type(struct).__name__}, not a construct Struct")
    return done


@dataclass(frozen=True)
class _Place:
    """Where something is laid out."""

    path: str
    offset: int
    shifts: bool = False
    scopes: tuple[Scope, ...] = ()  # fields that stand before it, innermost group last
    last: bool = True  # whether nothing stands behind it
    moving: bool = True  # whether a table may shift here

    def at(self, **changes: Any) -> _Place:
        return replace(self, **changes)


@dataclass(frozen=True)
class _Member:
    """One line of a Struct."""

    name: str
    label: str
    inner: Any
    line: int
    place: _Place


@dataclass
class _Planner:
    section: str
    encoding: str
    header: Scope
    problems: list[LayoutProblem] = field(default_factory=list)
    counters: set[str] = field(default_factory=set)  # paths

    def problem(self, code: str, name: str, line: int, what: str, do: str = "") -> None:
        hint = "use the field kinds of telegram_router.telegrams" if code == "E-CFG-23" and not do else do
        self.problems.append(LayoutProblem(code, self.section, name, line, what, hint))

    # -- one Struct

    def members(self, struct: Any, place: _Place, seen: set[str] | None = None) -> list[Node]:
        """The members of a Struct, one behind the other."""
        scope: Scope = {}
        inside = place.at(scopes=(*place.scopes, scope))
        names: set[str] = set() if seen is None else seen
        nodes: list[Node] = []
        subcons = list(self._flattened(struct.subcons))
        for number, subcon in enumerate(subcons):
            at = inside.at(last=place.last and number + 1 == len(subcons))
            for node in self._member(subcon, at, names):
                nodes.append(node)
                if isinstance(node, PlannedField) and node.name:
                    scope[node.name] = node
                inside = inside.at(offset=node.end, shifts=inside.shifts or varies(node))
        return self._looking_ahead(nodes)

    def _flattened(self, subcons: Iterable[Any]) -> Iterator[Any]:
        """An overlay's fields are fields like others, with filler behind them."""
        for subcon in subcons:
            if isinstance(subcon, Overlay):
                yield from self._overlaid(subcon)
            else:
                yield subcon

    def _overlaid(self, overlay: Overlay) -> Iterator[Any]:
        declared = getattr(overlay.fields, "subcons", None)
        if not isinstance(overlay.size, int) or not isinstance(declared, list):
            self.problem("E-CFG-20", "", overlay.line, "Overlay takes a number of bytes and a Struct of fields")
            return
        used = sum(kind.length for member in declared if isinstance(kind := _unwrap(member)[2], Kind) and isinstance(kind.length, int))
        blank = " ".encode(self.encoding, "replace")
        for member in declared:
            name, _, kind, _ = _unwrap(member)
            relaxed = _unwrap(optional(member))[2]
            if not isinstance(kind, Kind):
                self.problem("E-CFG-23", name, overlay.line, "Overlay holds single fields only")
            elif not any(relaxed.mistakes()) and not _reads(relaxed.with_encoding(self.encoding), blank * relaxed.length):
                self.problem("E-CFG-20", name, overlay.line, "blank bytes are no value of this field, so it cannot stand in reserved bytes")
            yield optional(member)
        if used < overlay.size:
            yield Filler(overlay.size - used)
        elif used > overlay.size:
            self.problem("E-CFG-21", "", overlay.line, f"the fields need {used} bytes, {used - overlay.size} more than the Overlay has")

    def _member(self, subcon: Any, place: _Place, names: set[str]) -> Iterator[Node]:
        name, label, inner, hooked = _unwrap(subcon)
        line = getattr(subcon, "line", 0) or getattr(inner, "line", 0)
        member = _Member(name, label, inner, line, place)
        if isinstance(getattr(subcon, "name", None), Construct):  # "a" / Code(1) * "label" "b" / Code(2), to Python one field
            what = "this field and the next are one: a comma is missing between them"
            self.problem("E-CFG-20", _unwrap(subcon.name)[0], line, what, "put a comma behind each field")
            return
        if hooked:
            self.problem("E-CFG-23", name, line, "has a parsed hook, which only interpreted construct would run")
        if isinstance(inner, Inline):
            yield from self._views(member, names)
            return
        self._name_problems(member, names)
        if isinstance(inner, Kind):
            yield self._field(member)
        elif isinstance(inner, construct.Struct | Occurs):
            yield from self._nested(member)
        else:
            self.problem("E-CFG-23", name, line, f"construct element {type(inner).__name__} cannot be laid out")

    def _field(self, member: _Member) -> PlannedField:
        kind, place = member.inner, member.place
        bound = kind.with_encoding(self.encoding)
        for code, what in bound.mistakes():
            self.problem(code, member.name, member.line, what)
        if isinstance(kind, Opaque) and (self.section == "header" or len(place.scopes) > 1 or not place.last):
            self.problem(
                "E-CFG-23", member.name, member.line, "Opaque takes the rest of the telegram: it can only be the last field of a body"
            )
        length = kind.length if type(kind.length) is int else 0
        path = f"{place.path}.{member.name or f'{type(kind).__name__.lower()}@{place.offset}'}"
        return PlannedField(
            path, member.name, self.section, member.label, place.offset, length, bound, line=member.line, shifts=place.shifts
        )

    def _name_problems(self, member: _Member, seen: set[str]) -> None:
        name, kind = member.name, member.inner
        if not name and not (isinstance(kind, Kind) and (not kind.is_named or kind.flagbuildnone)):
            what = f"{_a(kind)} without a name: its value would be lost"
            self.problem("E-CFG-22", name, member.line, what, "rename the field")
        if name and isinstance(kind, Kind) and not kind.is_named:
            self.problem("E-CFG-22", name, member.line, f"{_a(kind)} has no value, so it cannot have a name", "rename the field")
        self._check_name(name, member.line, seen, _TAKEN - _TABLE_NAMES if isinstance(kind, Occurs) else _TAKEN)

    def _check_name(self, name: str, line: int, seen: set[str], taken: frozenset[str] = _TAKEN) -> None:
        if name in seen:
            self.problem("E-CFG-22", name, line, "name is used twice in this Struct", "rename the field")
        if name in taken:
            self.problem("E-CFG-22", name, line, "name is a method of construct's Container", "rename the field")
        elif name and (not name.isidentifier() or name.startswith("_")):
            self.problem("E-CFG-22", name, line, "name is not a plain identifier", "rename the field")
        if name:
            seen.add(name)

    # -- groups and tables

    def _nested(self, member: _Member) -> Iterator[Node]:
        if self.section == "header":
            what = f"{type(member.inner).__name__} in a header: a header is one row of fields, which routing reads at fixed places"
            self.problem("E-CFG-23", member.name, member.line, what, "write its fields one by one")
        elif len(member.place.scopes) > _DEEPEST:
            self.problem("E-CFG-23", member.name, member.line, f"nesting deeper than {_DEEPEST}", "make the layout flatter")
        else:
            yield from self._group(member) if isinstance(member.inner, construct.Struct) else self._table(member)

    def _group(self, member: _Member, path: str | None = None) -> Iterator[PlannedGroup]:
        place = member.place.at(path=path or f"{member.place.path}.{member.name}")
        members = self.members(member.inner, place)
        length = sum(node.length for node in members)
        if not length:
            self.problem("E-CFG-21", member.name, member.line, "a group of no bytes", "give it fields, or remove it")
        shortest = sum(node.shortest for node in members)
        yield PlannedGroup(
            member.name, place.path, member.label, self.section, place.offset, length, shortest, tuple(members), member.line, place.shifts
        )

    def _table(self, member: _Member) -> Iterator[PlannedTable]:
        occurs, place = member.inner, member.place
        mistake = _misdeclared(occurs)
        if mistake:
            self.problem("E-CFG-20", member.name, member.line, mistake)
            return
        bounds = occurs.count if isinstance(occurs.count, Bounds) else None
        counter = self._counter(member, bounds) if bounds else None
        item = next(self._item(member), None)
        if item is None:
            return
        if varies(item):
            item = rebuilt(item, _shifting)
        self._table_problems(member, item, counter)
        least, most = occurs.bounds
        path = f"{place.path}.{member.name}"
        length = most * item.length
        shortest = (least if occurs.shifts else most) * item.shortest
        spare = Filler(item.length).with_encoding(self.encoding) if bounds and bounds.storage == "max" else None
        storage = bounds.storage if bounds else "max"
        yield PlannedTable(
            member.name, path, member.label, self.section, place.offset, length, shortest, item, least, most, storage, counter, spare, member.line, place.shifts
        )  # fmt: skip

    def _item(self, member: _Member) -> Iterator[Node]:
        """What a table repeats, as its item 0."""
        occurs, place = member.inner, member.place
        inner = _unwrap(occurs.item)[2]
        path = f"{place.path}.{member.name}[0]"
        inside = place.at(last=False)
        one = _Member(member.name, member.label, inner, member.line, inside)
        if isinstance(inner, Kind):
            named = replace(self._field(one), path=path)
            yield named if inner.is_named else replace(named, name="")
        elif isinstance(inner, construct.Struct):
            yield from self._group(one, path)
        elif isinstance(inner, Occurs):
            # A table in a table: its name is the outer one's with an index, so the path is made here and not by the name.
            for table in self._table(one):
                yield _renamed(table, f"{place.path}.{member.name}", path)
        else:
            what = f"a table of {type(inner).__name__} cannot be laid out"
            self.problem("E-CFG-23", member.name, member.line, what, "use a field, a Struct or another Occurs")

    def _table_problems(self, member: _Member, item: Node, counter: Reference | None) -> None:
        occurs = member.inner
        if not item.length and not isinstance(item, PlannedField):
            self.problem("E-CFG-21", member.name, member.line, "items of no bytes", "give the item fields")
        if isinstance(item, PlannedField) and not item.length and not item.is_opaque:
            self.problem("E-CFG-21", member.name, member.line, "items of no bytes", "give the item a length")
        if not occurs.shifts and isinstance(occurs.count, Bounds) and varies(item):
            what = "items of a table that always has room for all have one size, but these hold a table that shifts"
            self.problem("E-CFG-23", member.name, member.line, what, 'use storage="shift" for both, or for neither')
        if (varies(item) or _may_shift(occurs)) and not member.place.moving:
            what = "a table that shifts stands inside views of the same bytes, which have one size"
            self.problem("E-CFG-23", member.name, member.line, what, 'use storage="max" there')
        if counter and not _fits(counter.field.kind, occurs.bounds[1]):
            what = f"its counter {counter.field.name} does not hold the maximum of {occurs.bounds[1]}"
            self.problem("E-CFG-21", member.name, member.line, what, "make the counter longer, or the maximum smaller")

    def _counter(self, member: _Member, bounds: Bounds) -> Reference | None:
        found = self._before(bounds.depending, member.place)
        if found is None:
            what = f"{bounds.depending!r}, which counts it, is no field before it in the same body or in the header"
            self.problem("E-CFG-24", member.name, member.line, what, "declare the counter before the table")
        elif getattr(found.field.kind, "scale", None) != 0:
            self.problem("E-CFG-24", member.name, member.line, f"{bounds.depending!r}, which counts it, is not a whole number")
        else:
            self.counters.add(found.path)
        return found

    def _before(self, path: str, place: _Place) -> Reference | None:
        """The field of that name in the nearest group that has it so far."""
        if path.startswith("header."):
            planned = self.header.get(path.removeprefix("header."))
            return Reference(planned, IN_HEADER) if planned else None
        for up, scope in enumerate(reversed(place.scopes)):
            if path in scope:
                return Reference(scope[path], up)
        return None

    # -- views

    def _views(self, member: _Member, names: set[str]) -> Iterator[PlannedViews]:
        if member.name:
            what = f"{type(member.inner).__name__} has no name of its own: its values stand in the group around it"
            self.problem("E-CFG-22", member.name, member.line, what, "leave the name out")
        if self.section == "header":
            what = f"{type(member.inner).__name__} in a header: a header is one row of fields, which routing reads at fixed places"
            self.problem("E-CFG-23", member.name, member.line, what, "put it into the bodies")
        elif isinstance(member.inner, Redefines):
            yield from self._redefined(member, member.inner, names)
        elif isinstance(member.inner, Versions):
            yield from self._versioned(member, member.inner, names)
        else:
            self.problem("E-CFG-23", member.name, member.line, f"{type(member.inner).__name__} cannot be laid out here")

    def _redefined(self, member: _Member, declared: Redefines, names: set[str]) -> Iterator[PlannedViews]:
        mistakes = [*_misdeclared_views(declared)]
        for code, what in mistakes:
            self.problem(code, "", member.line, what)
        if mistakes:
            return
        place = member.place.at(moving=False, last=False)
        views = []
        for name, view in declared.views.items():
            inner = _unwrap(view)[2]
            named = not isinstance(inner, Kind) or inner.is_named
            if named:
                self._check_name(name, member.line, names)
            one = _Member(name if named else "", _unwrap(view)[1], inner, getattr(view, "line", 0) or member.line, place)
            views += [(name, node) for node in self._view(one)]
        if not views:
            return
        chooser = self._before(declared.by, place) if declared.by else None
        length = max(node.length for _, node in views)
        yield PlannedViews(
            place.path,
            self.section,
            place.offset,
            length,
            tuple(views),
            tuple(self._rest(place, node, length) for _, node in views),
            declared.cases,
            "code",
            declared.default,
            chooser or (Reference(_unknown(declared.by), 0, ahead=True) if declared.by else None),
            member.line,
            place.shifts,
        )

    def _view(self, one: _Member) -> Iterator[Node]:
        if isinstance(one.inner, Kind):
            yield self._field(one)
        elif isinstance(one.inner, construct.Struct | Occurs):
            yield from self._nested(one)
        else:
            self.problem(
                "E-CFG-23",
                one.name,
                one.line,
                f"a view of {type(one.inner).__name__} cannot be laid out",
                "use a field, a Struct or an Occurs",
            )

    def _rest(self, place: _Place, view: Node, length: int) -> PlannedField | None:
        at = place.at(offset=place.offset + view.length)
        unused = length - view.length
        return self._field(_Member("", "", Filler(unused), view.line, at)) if unused else None

    def _versioned(self, member: _Member, declared: Versions, names: set[str]) -> Iterator[PlannedViews]:
        mistakes = [*_misdeclared_versions(declared)]
        for code, what in mistakes:
            self.problem(code, "", member.line, what)
        found = self._before(declared.by, member.place) if isinstance(declared.by, str) else None
        if found is None:
            self.problem("E-CFG-24", "", member.line, f"{declared.by!r}, by which versions are chosen, is no field of the header")
        elif "YYYYMMDD" not in str(getattr(found.field.kind, "form", ""))[:8]:
            self.problem("E-CFG-24", "", member.line, f"{declared.by!r}, by which versions are chosen, does not begin with a date YYYYMMDD")
        if mistakes:
            return
        place = member.place.at(moving=False, last=False)
        views: list[tuple[str, Node]] = []
        known: set[str] = set()
        for day, version in sorted(declared.versions.items()):
            mine = set(names)
            members = self.members(version, place, mine)
            known |= mine
            length = sum(node.length for node in members)
            group = PlannedGroup("", place.path, "", self.section, place.offset, length, length, tuple(members), member.line, place.shifts)
            views.append((day, group))
        names |= known
        self._same_meaning([node for _, node in views], member.line)
        sizes = sorted({node.length for _, node in views})
        if len(sizes) > 1:
            self.problem(
                "E-CFG-21",
                "",
                member.line,
                f"versions have different sizes: {', '.join(map(str, sizes))} bytes",
                "fill the shorter with Filler",
            )
        yield PlannedViews(
            place.path, self.section, place.offset, sizes[-1], tuple(views), (None,) * len(views), {}, "date", None, found, member.line, place.shifts
        )  # fmt: skip

    def _same_meaning(self, versions: list[Node], line: int) -> None:
        """A name in two versions must mean the same to whoever reads the JSON without looking at the date."""
        seen: dict[str, object] = {}
        for version in versions:
            for node in version.members if isinstance(version, PlannedGroup) else ():
                if node.name and seen.setdefault(node.name, _meaning(node)) != _meaning(node):
                    self.problem("E-CFG-22", node.name, node.line or line, "means another kind of value in another version", "rename one")

    # -- fields behind the views that they choose

    def _looking_ahead(self, nodes: list[Node]) -> list[Node]:
        return [
            replace(node, chooser=self._checked(node, self._behind(node, nodes[number + 1 :])))
            if isinstance(node, PlannedViews) and node.kind == "code" and node.chooser
            else node
            for number, node in enumerate(nodes)
        ]

    def _behind(self, views: PlannedViews, nodes: list[Node]) -> Reference | None:
        """The field that chooses: known already when it stands before, at a fixed distance when it stands behind."""
        chooser = views.chooser
        if chooser is None or not chooser.ahead:
            return chooser
        for node in nodes:
            if isinstance(node, PlannedField) and node.name == chooser.field.name:
                return Reference(node, 0, ahead=True)
            if varies(node):
                break
        what = f"{chooser.field.name!r}, which chooses the view, is no field before it or at a fixed place behind it in the same group"
        self.problem("E-CFG-24", "", views.line, what, "name a field of the same group, of one around it, or of the header")
        return None

    def _checked(self, views: PlannedViews, chooser: Reference | None) -> Reference | None:
        for value in views.when if chooser and not any(chooser.field.kind.mistakes()) else ():
            if not _fits(chooser.field.kind, value):  # type: ignore[union-attr]
                what = f"{value!r} in `when` is no value of {chooser.field.name}"  # type: ignore[union-attr]
                self.problem("E-CFG-20", "", views.line, what, f"use {chooser.field.kind.expected}")  # type: ignore[union-attr]
        return chooser


# --- declarations -----------------------------------------------------------------------------------------------


def _unwrap(subcon: Any) -> tuple[str, str, Any, bool]:
    """Name, label, innermost construct, and whether a hook hangs on it. `*` wraps a second Renamed around the first."""
    name, label, hooked = "", "", False
    while isinstance(subcon, Renamed):
        name, label = name or subcon.name or "", label or subcon.docs or ""
        hooked = hooked or subcon.parsed is not None
        subcon = subcon.subcon
    return str(name), str(label), subcon, hooked


def _misdeclared(occurs: Occurs) -> str:
    """What is wrong with a table's own numbers, "" when nothing is."""
    count = occurs.count
    if isinstance(count, Bounds):
        if not isinstance(count.depending, str) or count.storage not in ("max", "shift"):
            return 'depending names a field, and storage is "max" or "shift"'
        if type(count.least) is not int or type(count.most) is not int or not 0 <= count.least <= count.most:
            return "between takes the fewest and the most items, whole numbers from 0"
    elif type(count) is not int:
        return "Occurs takes a number of items or between(...), and what is repeated"
    return "" if 1 <= occurs.bounds[1] <= _MOST_ITEMS else f"a table has from 1 to {_MOST_ITEMS} items"


def _misdeclared_views(declared: Redefines) -> Iterator[tuple[str, str]]:
    views, when = declared.views, declared.when
    if not isinstance(views, Mapping) or not views or not all(isinstance(name, str) for name in views):
        yield "E-CFG-20", "views is a table of names and what they stand for"
        return
    if not isinstance(when, Mapping) or not all(isinstance(name, str) for name in when.values()):
        yield "E-CFG-20", "when is a table of values and names of views"
        return
    if not isinstance(declared.default, str | None):
        yield "E-CFG-20", "default is the name of a view"
        return
    if (declared.by is None) != (not when):
        yield "E-CFG-20", "by names the field whose value chooses, and when says which view for which value: both or neither"
    if declared.by is not None and not isinstance(declared.by, str):
        yield "E-CFG-20", "by is the name of a field"
    for name in dict.fromkeys([*when.values(), *([declared.default] if declared.default is not None else [])]):
        if name not in views:
            yield "E-CFG-06", f"{name!r} is none of the views {', '.join(views)}"
    values = [value for key in when for value in (key if isinstance(key, tuple) else (key,))]
    for value in dict.fromkeys(value for value in values if values.count(value) > 1):
        yield "E-CFG-20", f"{value!r} stands for two views"


def _misdeclared_versions(declared: Versions) -> Iterator[tuple[str, str]]:
    versions = declared.versions
    if not isinstance(versions, Mapping) or not all(isinstance(version, construct.Struct) for version in versions.values()):
        yield "E-CFG-20", "versions is a table of first days and Structs"
        return
    if "" not in versions:
        yield "E-CFG-20", 'no version holds from the beginning: one must have the key ""'
    for day in versions:
        if not isinstance(day, str) or (day and not (len(day) == 8 and day.isascii() and day.isdecimal())):
            yield "E-CFG-20", f"{day!r} is no first day of the form YYYYMMDD"


def _meaning(node: Node) -> object:
    """What kind of value a node has, whatever its length."""
    if isinstance(node, PlannedField):
        return type(node.kind), getattr(node.kind, "scale", 0), node.kind.json
    if isinstance(node, PlannedTable):
        return "table", _meaning(node.item)
    nodes = node.members if isinstance(node, PlannedGroup) else [view for _, view in node.views]
    return type(node), tuple((inner.name, _meaning(inner)) for inner in nodes)


def _a(declared: Any) -> str:
    """What it is, with its article."""
    name = type(declared).__name__
    return f"an {name}" if name[0] in "AEIO" else f"a {name}"


def _may_shift(occurs: Occurs) -> bool:
    return occurs.shifts and occurs.bounds[0] < occurs.bounds[1]


def _fits(kind: Kind, value: Any) -> bool:
    """Whether a field can hold a value; where the field itself is wrong, that is told elsewhere."""
    if any(kind.mistakes()):
        return True
    try:
        kind.write(value)
    except FieldFault:
        return False
    return True


def _reads(kind: Kind, raw: bytes) -> bool:
    try:
        kind.read(raw)
    except FieldFault:
        return False
    return True


def _unknown(name: str) -> PlannedField:
    """Stands for a field that is looked for behind the place."""
    return PlannedField(name, name, "body", "", 0, 0, Filler(1))


def _renamed(node: Any, before: str, after: str) -> Any:
    """A node whose path begins otherwise, with all that is in it."""
    return rebuilt(node, lambda inner: replace(inner, path=after + inner.path.removeprefix(before)))


def _shifting(node: Any) -> Any:
    return replace(node, shifts=True)


def _counting(node: Node, counters: set[str]) -> Any:
    """The fields that count tables say so."""
    return rebuilt(node, lambda inner: with_count(inner, counters)) if counters else node


# --- what the family adds ---------------------------------------------------------------------------------------


def with_keys(fields: Iterable[PlannedField], keys: Mapping[str, str]) -> list[PlannedField]:
    """Key fields of the header hold just this message's values."""
    return [_keyed(planned, keys[planned.name]) if planned.section == "header" and planned.name in keys else planned for planned in fields]


def _keyed(planned: PlannedField, value: str) -> PlannedField:
    names = getattr(planned.kind, "names", {})
    kind = Code(planned.length, {value: names[value]} if value in names else (value,), required=bool(value), log=planned.kind.log)
    if isinstance(planned.kind, CharKind):
        kind = kind.in_charset(planned.kind.charset)
    kind.line = planned.kind.line
    return replace(planned, kind=kind, key=value)


def with_count(node: Any, counters: set[str]) -> Any:
    """A field that counts a table's items says so."""
    return replace(node, counts=True) if isinstance(node, PlannedField) and node.name and node.path in counters else node


def with_length(planned: Any, adjust: int) -> Any:
    """A Length field counts as the framing does."""
    if isinstance(planned, PlannedField) and isinstance(planned.kind, Length):
        return replace(planned, kind=planned.kind.adjusted(adjust))
    return planned
