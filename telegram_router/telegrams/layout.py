"""From a construct tree to a plan: which field stands at which byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from construct import Construct, Renamed, Struct
from construct.lib import Container

from telegram_router.errors import FieldProblem
from telegram_router.telegrams.fields import CharKind, Code, FieldFault, Kind, Length, Opaque

# A parsed Struct is a Container, a dict whose keys are attributes too: a field of such a name would hide a method, or be hidden.
_TAKEN: Final = frozenset(name for name in dir(Container) if not name.startswith("__"))


@dataclass(frozen=True)
class PlannedField:
    """One field of one message. Offsets count from the telegram's first byte, from 0."""

    path: str  # "header.amount"; an unnamed one is called by its offset, "body.filler@247"
    name: str  # "" when it has no name
    section: str  # "header" or "body"
    label: str
    offset: int
    length: int  # 0 for a field that takes the rest of the telegram
    kind: Kind
    key: str | None = None  # the value that makes this message, for key fields
    line: int = 0  # of the spec file

    @property
    def rule(self) -> str:
        return self.kind.rule

    @property
    def log(self) -> str:
        return self.kind.log

    @property
    def codes(self) -> Mapping[str, str]:
        """Meaning of each declared code, where the spec gives one."""
        return getattr(self.kind, "names", {})

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def is_opaque(self) -> bool:
        return isinstance(self.kind, Opaque)

    @property
    def may_be_left_out(self) -> bool:
        """Whether its value follows from the message and need not be given."""
        return self.key is not None or self.kind.flagbuildnone

    def problem(self, fault: FieldFault, spec: str, message: str) -> FieldProblem:
        return FieldProblem(fault.code, spec, message, self.path, self.offset, self.length, self.rule, fault.expected, fault.what)


@dataclass(frozen=True)
class LayoutProblem:
    """Something in a construct tree that cannot be laid out. `line` is the line of the declaration, 0 when it has none."""

    code: str
    section: str
    name: str
    line: int
    what: str
    do: str = ""


@dataclass
class Section:
    """Header or body, laid out."""

    fields: list[PlannedField] = field(default_factory=list)
    problems: list[LayoutProblem] = field(default_factory=list)
    size: int = 0


def lay_out(struct: Any, section: str, start: int, encoding: str) -> Section:
    """Walk a Struct of our kinds. Everything wrong with it is in `problems`; the fields that could be placed are in `fields`."""
    done = Section()
    seen: set[str] = set()
    for number, subcon in enumerate(_members(struct, section, done)):
        name, label, inner, hooked = _unwrap(subcon)
        line = getattr(subcon, "line", 0)
        if isinstance(getattr(subcon, "name", None), Construct):  # "a" / Code(1) * "label" "b" / Code(2), to Python one field
            before = _unwrap(subcon.name)[0]
            what = "this field and the next are one: a comma is missing between them"
            done.problems.append(LayoutProblem("E-CFG-20", section, before, line, what, "put a comma behind each field"))
            continue
        if hooked:
            done.problems.append(_cannot(section, name, line, "has a parsed hook, which only interpreted construct would run"))
        if not isinstance(inner, Kind):
            done.problems.append(_cannot(section, name, line, f"construct element {type(inner).__name__} cannot be laid out"))
            continue
        bound = inner.with_encoding(encoding)
        done.problems += _name_problems(section, name, inner, line, seen)
        done.problems += [LayoutProblem(code, section, name, line, what) for code, what in bound.mistakes()]
        if isinstance(inner, Opaque) and (section == "header" or number + 1 < len(struct.subcons)):
            done.problems.append(
                _cannot(section, name, line, "Opaque takes the rest of the telegram: it can only be the last field of a body")
            )
        at = start + done.size
        length = inner.length if type(inner.length) is int else 0
        path = f"{section}.{name or f'{type(inner).__name__.lower()}@{at}'}"
        done.fields.append(PlannedField(path, name, section, label, at, length, bound, line=line))
        done.size += length
    return done


def _members(struct: Any, section: str, done: Section) -> Iterable[Any]:
    if isinstance(struct, Struct):
        return list(struct.subcons)
    done.problems.append(_cannot(section, "", 0, f"{section} is a {type(struct).__name__}, not a construct Struct"))
    return []


def _unwrap(subcon: Any) -> tuple[str, str, Any, bool]:
    """Name, label, innermost construct, and whether a hook hangs on it. `*` wraps a second Renamed around the first."""
    name, label, hooked = "", "", False
    while isinstance(subcon, Renamed):
        name, label = name or subcon.name or "", label or subcon.docs or ""
        hooked = hooked or subcon.parsed is not None
        subcon = subcon.subcon
    return str(name), str(label), subcon, hooked


def _cannot(section: str, name: str, line: int, what: str) -> LayoutProblem:
    return LayoutProblem("E-CFG-23", section, name, line, what, "use the field kinds of telegram_router.telegrams")


def _name_problems(section: str, name: str, kind: Kind, line: int, seen: set[str]) -> list[LayoutProblem]:
    found = []
    if not name and kind.is_named and not kind.flagbuildnone:
        found.append(f"a {type(kind).__name__} without a name: its value would be lost")
    if name and not kind.is_named:
        found.append(f"a {type(kind).__name__} has no value, so it cannot have a name")
    if name in seen:
        found.append("name is used twice in this Struct")
    if name in _TAKEN:
        found.append("name is a method of construct's Container")
    elif name and (not name.isidentifier() or name.startswith("_")):
        found.append("name is not a plain identifier")
    if name:
        seen.add(name)
    return [LayoutProblem("E-CFG-22", section, name, line, what, "rename the field") for what in found]


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


def with_length(fields: Iterable[PlannedField], adjust: int) -> list[PlannedField]:
    """Length fields count as the framing does."""
    return [replace(planned, kind=planned.kind.adjusted(adjust)) if isinstance(planned.kind, Length) else planned for planned in fields]
