"""Fields inside fields: groups, tables, several views of the same bytes, versions. They run under construct alone, just as strictly."""

# Rules this file keeps, all of them tested:
#
# 1. Each is a construct.Construct. Inside this module's Struct it needs nothing else of ours to read and to write.
# 2. Where a value decides on the layout, it is a field named by its path, never a function.
# 3. A count is believed only within its declared bounds, and before anything is read by it.

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias

import construct
from construct import Construct, Renamed, SizeofError
from construct.lib import Container

from telegram_router.telegrams.fields import FieldFault, Filler, Kind, declared_line

if TYPE_CHECKING:
    _Construct: TypeAlias = Construct[Any, Any]
    _Struct: TypeAlias = construct.Struct
else:
    _Construct = Construct
    _Struct = construct.Struct

Storage = Literal["max", "shift"]

_HEADER: Final = "header."
_NAMES: Final = "names of the layout"


@dataclass(frozen=True)
class Bounds:
    """How many items a table has: as many as the field `depending` says."""

    least: int
    most: int
    depending: str
    storage: Storage = "max"


def between(least: int, most: int, *, depending: str, storage: Storage = "max") -> Bounds:
    """From `least` to `most` items. `depending` names the number field before the table that counts them, in the same
    group, one around it, or the header (`header.count`).

    With `storage="max"` the telegram always has room for `most` items, and those behind the count are blank. With
    `storage="shift"` it holds only as many as are counted, and what follows moves.
    """
    return Bounds(least, most, depending, storage)


class _Declared(_Construct):
    """Knows its line in the spec file."""

    def __init__(self) -> None:
        super().__init__()
        self.line = declared_line()

    def __rtruediv__(self, name: Any) -> Any:
        return _named(self, name)


def _named(declared: Any, name: Any) -> Any:
    renamed = Renamed(declared, newname=name)
    renamed.line = declared_line()  # type: ignore[attr-defined]
    return renamed


class Struct(_Struct):
    """A group of fields: construct's Struct, but a name too many or too few is an error, and a view's or version's values stand
    among those of the group."""

    def __init__(self, *members: Any) -> None:
        super().__init__(*members)
        self.line = declared_line()

    def __rtruediv__(self, name: Any) -> Any:
        return _named(self, name)

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> Any:
        made: Any = Container()
        scope = _scope(context)
        for number, member in enumerate(self.subcons):
            if isinstance(member, Inline):
                found = member.values_in(stream, scope, path, self.subcons[number + 1 :])
            else:
                value = member._parsereport(stream, scope, path)
                found = {member.name: value} if member.name else {}
            made.update(found)
            scope.update(found)
        return made

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        given = _dict_of({} if obj is None else obj, path)
        scope = _scope(context)
        scope.update(given)
        scope.update(_counts(self.subcons, given))
        names: set[str] = set()
        for member in self.subcons:
            if isinstance(member, Inline):
                names |= member.build_from(given, stream, scope, path)
                continue
            value = scope.get(member.name) if member.name else None
            if member.name and member.name not in scope and not member.flagbuildnone:
                raise _fault(path, "E-FLD-12", "field is missing", _NAMES)
            member._build(value, stream, scope, path)
            names.add(member.name or "")
        if not given.keys() <= names:
            raise _fault(path, "E-FLD-12", "name that the layout does not have", f"only {_NAMES}")
        return scope


class Occurs(_Declared):
    """A table: the same fields several times over, a fixed number or `between(...)` two. Its value is a list."""

    def __init__(self, count: int | Bounds, item: Any) -> None:
        super().__init__()
        self.count = count
        self.item = item
        self.blank = b" "  # what an unused place is filled with; an EBCDIC family has another

    @property
    def bounds(self) -> tuple[int, int]:
        """Fewest and most items."""
        return (self.count.least, self.count.most) if isinstance(self.count, Bounds) else (self.count, self.count)

    @property
    def shifts(self) -> bool:
        return isinstance(self.count, Bounds) and self.count.storage == "shift"

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> Any:
        counted = self._counted(context, path)
        items = [self.item._parsereport(stream, context, f"{path}[{number}]") for number in range(counted)]
        if counted < self.bounds[1] and not self.shifts:
            _skip(stream, (self.bounds[1] - counted) * self.item._sizeof(context, path), path)
        return items

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        least, most = self.bounds
        if not isinstance(obj, list):
            raise _fault(path, "E-FLD-12", f"value is of type {type(obj).__name__}", "a list")
        if not least <= len(obj) <= most:
            raise _fault(path, "E-FLD-08", "number of items is out of bounds", in_words(least, most))
        if self._counted(context, path) != len(obj):
            raise _fault(path, "E-FLD-11", "count contradicts the number of items", "both the same")
        for number, item in enumerate(obj):
            self.item._build(item, stream, context, f"{path}[{number}]")
        if not self.shifts and len(obj) < most:
            stream.write(self.blank * int(self.item._sizeof(context, path)) * (most - len(obj)))
        return obj

    def _counted(self, context: Any, path: str) -> int:
        least, most = self.bounds
        if not isinstance(self.count, Bounds):
            return most
        count = _value_of(self.count.depending, context, path)
        if type(count) is not int:
            raise _fault(path, "E-FLD-06", "count is missing", in_words(least, most))
        if not least <= count <= most:
            raise _fault(path, "E-FLD-08", "count is out of the table's bounds", in_words(least, most))
        return count

    def _sizeof(self, context: Any, path: str) -> int:
        if self.shifts:
            raise SizeofError("the table's size depends on its count", path=path)
        return int(self.bounds[1] * self.item._sizeof(context, path))


class Inline(_Declared):
    """Has no name of its own: its values stand among those of the group around it. Only inside this module's Struct."""

    def __init__(self) -> None:
        super().__init__()
        self.flagbuildnone = True

    def values_in(self, stream: IO[bytes], scope: Any, path: str, behind: list[Any]) -> dict[str, Any]:
        """What these bytes mean. `behind` are the members that follow."""
        raise NotImplementedError

    def build_from(self, given: Mapping[str, Any], stream: IO[bytes], scope: Any, path: str) -> set[str]:
        """Write these bytes; the names that were written."""
        raise NotImplementedError

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> Any:
        raise _fault(path, "E-CFG-23", f"{type(self).__name__} stands outside of telegram_router.telegrams.Struct", "that Struct around it")

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        return self._parse(stream, context, path)


class Redefines(Inline):
    """The same bytes seen in one of several ways: the value of the field `by` chooses the view by `when`, or else it is `default`.

    The place is as long as its longest view; what a shorter one leaves is filler. The value appears in the group around it,
    under the chosen view's name. `by` stands in the same group, before the place or at a fixed offset behind it, in a group
    around it, or in the header (`header.kind`). Without `by` the bytes are always read by the first view.
    """

    def __init__(
        self, *, views: Mapping[str, Any], by: str | None = None, when: Mapping[Any, str] | None = None, default: str | None = None
    ) -> None:
        super().__init__()
        self.by = by
        self.views = views
        self.when = when or {}
        self.default = default
        self.blank = b" "  # what a shorter view is filled up with; an EBCDIC family has another

    @property
    def cases(self) -> dict[Any, str]:
        """The view for each value of `by`; a tuple stands for each of its values."""
        return {value: view for key, view in self.when.items() for value in (key if isinstance(key, tuple) else (key,))}

    def values_in(self, stream: IO[bytes], scope: Any, path: str, behind: list[Any]) -> dict[str, Any]:
        start, size = stream.tell(), self._sizeof(scope, path)
        name = self._chosen(self._value_behind(stream, scope, path, behind), path)
        view = self.views[name]
        value = view._parsereport(stream, scope, f"{path} -> {name}")
        _skip(stream, start + size - stream.tell(), path)
        return {name: value} if has_value(view) else {}

    def build_from(self, given: Mapping[str, Any], stream: IO[bytes], scope: Any, path: str) -> set[str]:
        start, size = stream.tell(), self._sizeof(scope, path)
        name = self._chosen(self._value(scope, path), path)
        view = self.views[name]
        if has_value(view) and name not in given:
            raise _fault(path, "E-FLD-12", "the chosen view is missing", name)
        view._build(given.get(name), stream, scope, f"{path} -> {name}")
        stream.write(self.blank * (start + size - stream.tell()))
        return {name}

    def _value(self, scope: Any, path: str) -> Any:
        return None if self.by is None else _value_of(self.by, scope, path)

    def _value_behind(self, stream: IO[bytes], scope: Any, path: str, behind: list[Any]) -> Any:
        """As `_value`, also of a field that has not been read yet."""
        names = [member.name for member in behind]
        if self.by is None or self.by not in names or self.by in scope:
            return self._value(scope, path)
        here, place = stream.tell(), names.index(self.by)
        stream.seek(self._sizeof(scope, path) + sum(int(member._sizeof(scope, path)) for member in behind[:place]), 1)
        value = behind[place]._parsereport(stream, scope, path)
        stream.seek(here)
        return value

    def _chosen(self, value: Any, path: str) -> str:
        if self.by is None:
            return next(iter(self.views))
        name = view_for(value, self.cases, self.default)
        if name is None:
            raise _fault(path, "E-FLD-07", "no view of the layout is for this value", f"one of {len(self.cases)} declared values")
        return name

    def _sizeof(self, context: Any, path: str) -> int:
        return max(int(view._sizeof(context, path)) for view in self.views.values())


class Versions(Inline):
    """The layout of some bytes by date: key is the first day, YYYYMMDD, on which a version holds, "" for from the beginning.

    `by` is the header field that holds the telegram's date. The members of the version stand in the group around it. All
    versions have the same size.
    """

    def __init__(self, by: str, versions: Mapping[str, Any]) -> None:
        super().__init__()
        self.by = _HEADER + by if isinstance(by, str) and "." not in by else by
        self.versions = versions

    def values_in(self, stream: IO[bytes], scope: Any, path: str, behind: list[Any]) -> dict[str, Any]:
        values: dict[str, Any] = self._chosen(scope, path)._parsereport(stream, scope, path)
        return values

    def build_from(self, given: Mapping[str, Any], stream: IO[bytes], scope: Any, path: str) -> set[str]:
        return _build_members(self._chosen(scope, path), given, stream, scope, path)

    def _chosen(self, scope: Any, path: str) -> Struct:
        day = _value_of(self.by, scope, path)
        if type(day) is not str:
            raise _fault(path, "E-FLD-06", "the date that the layout depends on is missing", f"a date in {self.by}")
        return Struct(*self.versions[version_of(day, self.versions)].subcons)

    def _sizeof(self, context: Any, path: str) -> int:
        return max(int(version._sizeof(context, path)) for version in self.versions.values())


class Overlay(Inline):
    """Reserved bytes that now begin with fields. Blank means not used yet; what is left of the `size` bytes stays filler."""

    def __init__(self, size: int, fields: Any) -> None:
        super().__init__()
        self.size = size
        self.fields = fields

    @property
    def members(self) -> list[Any]:
        """The fields, none of them required, and the filler behind them. Fewer than declared where the declaration is wrong."""
        known = [optional(member) for member in getattr(self.fields, "subcons", ())]
        used = sum(int(member.sizeof()) for member in known)
        return [*known, Filler(self.size - used)] if used < self.size else known

    def values_in(self, stream: IO[bytes], scope: Any, path: str, behind: list[Any]) -> dict[str, Any]:
        values: dict[str, Any] = Struct(*self.members)._parsereport(stream, scope, path)
        return values

    def build_from(self, given: Mapping[str, Any], stream: IO[bytes], scope: Any, path: str) -> set[str]:
        return _build_members(Struct(*self.members), given, stream, scope, path)

    def _sizeof(self, context: Any, path: str) -> int:
        return self.size


def has_value(view: Any) -> bool:
    """Whether a view stands for a value."""
    kind = bare(view)
    return not isinstance(kind, Kind) or kind.is_named


def view_for(value: Any, cases: Mapping[Any, str], default: str | None) -> str | None:
    """The view for a value; a value of any type may have been given."""
    try:
        return cases.get(value, default)
    except TypeError:  # it cannot be looked up, so it is no case
        return default


def version_of(day: str, versions: Mapping[str, Any]) -> str:
    """Key of the version that holds on a day, given as YYYYMMDD and perhaps a time behind it."""
    return max(first for first in versions if first <= day[:8])


def in_words(least: int, most: int) -> str:
    return f"{most} items" if least == most else f"{least} to {most} items"


def optional(member: Any) -> Any:
    """A field as it is in reserved bytes that it has taken over: blank means not used yet."""
    if isinstance(member, Renamed):
        renamed = copy.copy(member)
        renamed.subcon = optional(member.subcon)
        return renamed
    if not isinstance(member, Kind):
        return member
    relaxed = copy.copy(member)
    if getattr(member, "blank", "") == "error":
        relaxed.blank = "null"  # type: ignore[attr-defined]
    if getattr(member, "required", False):
        relaxed.required = False  # type: ignore[attr-defined]
    return relaxed


# --- inside construct -------------------------------------------------------------------------------------------


def counted_by(name: str, members: Iterable[Any], given: Any) -> Iterator[int]:
    """How many items the given values have in each table that depends on a counter of that name."""
    for member in members if isinstance(given, Mapping) else ():
        inner = bare(member)
        value = given.get(member.name)
        if isinstance(inner, Occurs) and isinstance(value, list):
            if isinstance(inner.count, Bounds) and inner.count.depending == name:
                yield len(value)
            for item in value:
                yield from _counted_inside(name, inner.item, item)
        elif isinstance(inner, construct.Struct):
            yield from _counted_inside(name, inner, value)
        elif isinstance(inner, Redefines):
            for view, declared in inner.views.items():
                yield from counted_by(name, [Renamed(declared, newname=view)], given)
        elif isinstance(inner, Versions):
            for version in inner.versions.values():
                yield from counted_by(name, version.subcons, given)


def _counted_inside(name: str, struct: Any, given: Any) -> Iterator[int]:
    """A group with a field of that name counts its own tables by it."""
    if isinstance(struct, construct.Struct) and all(member.name != name for member in struct.subcons):
        yield from counted_by(name, struct.subcons, given)


def bare(member: Any) -> Any:
    """A member without its name and label."""
    while isinstance(member, Renamed):
        member = member.subcon
    return member


def _counts(members: Iterable[Any], given: Mapping[str, Any]) -> dict[str, int]:
    """The counters that were left out and follow from the lists."""
    members = list(members)
    left_out = {member.name for member in members if member.name} - given.keys()
    found = {name: set(counted_by(name, members, given)) for name in left_out}
    return {name: lengths.pop() for name, lengths in found.items() if len(lengths) == 1}


def _build_members(struct: Any, given: Mapping[str, Any], stream: IO[bytes], scope: Any, path: str) -> set[str]:
    names = {member.name for member in struct.subcons if member.name}
    struct._build({name: value for name, value in given.items() if name in names}, stream, scope, path)
    return names


def _scope(context: Any) -> Any:
    """Where the members of a group see each other, and what is around it."""
    return Container(
        _=context,
        _params=context._params,
        _root=context.get("_root") or context,
        _parsing=context._parsing,
        _building=context._building,
        _sizing=context._sizing,
        _subcons=Container(),
        _io=None,
        _index=context.get("_index"),
    )


def _value_of(path: str, scope: Any, where: str) -> Any:
    """Value of a field in the nearest group that has it."""
    first, _, rest = path.partition(".")
    while scope is not None and first not in scope:
        scope = scope.get("_")
    if scope is None:
        raise _fault(where, "E-FLD-12", "a field that the layout depends on is missing", path)
    return _value_of(rest, scope[first], where) if rest else scope[first]


def _skip(stream: IO[bytes], size: int, path: str) -> None:
    """Bytes that must be there, whatever they are."""
    left = len(stream.read(size))
    if left != size:
        raise _fault(path, "E-FRM-08", f"{size} bytes are needed, {left} left", f"{size} bytes")


def _dict_of(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _fault(path, "E-FLD-12", f"value is of type {type(value).__name__}", "a dict")
    return value


def _fault(path: str, code: str, what: str, expected: str) -> FieldFault:
    fault = FieldFault(code, what, expected)
    fault.path = path
    return fault
