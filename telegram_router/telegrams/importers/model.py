"""What an importer has understood, whatever it came from: records, their fields, and what was found wrong on the way."""

# Rules an importer keeps:
#
# 1. It never raises for what stands in its input: it returns what it understood together with its findings.
# 2. A finding names the place in the input as its author sees it: file:line:column, or sheet and row.
# 3. Names are identifiers already; the name in the input is the label.

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from construct.lib import Container

Level = Literal["error", "warning", "note"]
Codes: TypeAlias = str | tuple[str, str]

MOST_FIELDS: Final = 10_000  # of a message


@dataclass(frozen=True)
class Finding:
    """One thing that the author of a layout, or whoever imports it, should know.

    An error means that no spec was written; a warning that the spec may not be what was meant; a note that a choice was made.
    """

    level: Level
    code: str  # of errors.CODES
    where: str  # "customer.cpy:12:8", "layout.xlsx, sheet 이체, row 7"
    what: str
    do: str = ""

    def text(self) -> str:
        """One line for a person."""
        return f"{self.level} {self.code}: {self.where}: {self.what}" + (f"; to do: {self.do}" if self.do else "")


@dataclass(frozen=True)
class ImportedField:
    """Bytes with one meaning. `kind` is the declaration as it stands in the spec, with `{codes}` where the codes are to stand."""

    name: str  # an identifier; "" for bytes without a name
    kind: str  # e.g. 'Digits(13, scale=2)', 'Code(2, {codes})'
    length: int  # bytes
    label: str = ""
    note: str = ""  # stands behind the declaration as a comment, e.g. its picture
    codes: Mapping[Codes, str] = field(default_factory=dict, hash=False)  # a code, or the ends of a range: what it means
    line: int = field(default=0, compare=False)  # line of the copybook or row of the sheet

    @property
    def size(self) -> int:
        return self.length


@dataclass(frozen=True)
class ImportedGroup:
    """Fields under one name: a dict in JSON."""

    name: str
    members: tuple[Imported, ...]
    label: str = ""
    note: str = ""
    line: int = field(default=0, compare=False)

    @property
    def size(self) -> int:
        return sum(member.size for member in self.members)


@dataclass(frozen=True)
class ImportedTable:
    """The same field or group several times: a list in JSON. The item's own name is not used."""

    name: str
    item: ImportedField | ImportedGroup
    most: int
    least: int | None = None  # None: always `most`
    depending: str = ""  # path of the field that counts the items, "" when their number is fixed
    storage: Literal["max", "shift"] = "max"
    label: str = ""
    note: str = ""
    line: int = field(default=0, compare=False)

    @property
    def size(self) -> int:
        return self.item.size * self.most


@dataclass(frozen=True)
class ImportedViews:
    """The same bytes seen in one of several ways. Each view's name is its node's."""

    views: tuple[ImportedField | ImportedGroup | ImportedTable, ...]
    by: str = ""  # path of the field that says which; "" when the layout does not tell: then the first view is read
    when: Mapping[Any, str] = field(default_factory=dict, hash=False)  # value of that field, or several as a tuple: name of the view
    default: str = ""
    note: str = ""
    line: int = field(default=0, compare=False)
    name: str = ""  # only for comments: the place itself has no name

    @property
    def size(self) -> int:
        return max(view.size for view in self.views)


@dataclass(frozen=True)
class ImportedInline:
    """Bytes whose members stand among those around them: `Versions` by the date in `by`, each with the first day on which it
    holds, or `Overlay`, fields in bytes that were reserved."""

    declaration: Literal["Versions", "Overlay"]
    groups: tuple[tuple[str, ImportedGroup], ...]
    length: int
    by: str = ""
    note: str = ""
    line: int = field(default=0, compare=False)
    name: str = ""  # only for comments, as with views
    label: str = ""

    @property
    def size(self) -> int:
        return self.length


Imported: TypeAlias = ImportedField | ImportedGroup | ImportedTable | ImportedViews | ImportedInline


@dataclass(frozen=True)
class ImportedMessage:
    """One telegram, or one record of a file."""

    name: str  # e.g. "transfer.request"
    body: tuple[Imported, ...]
    title: str = ""
    key: tuple[str, ...] = ()  # its values of the spec's key fields
    kind: Literal["request", "reply", "oneway"] = "oneway"
    reply: str = ""  # an expression, e.g. 'Reply.one("transfer.response")'
    synthetic: bool = False  # not from a published layout
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ImportedSpec:
    """A whole family. `arguments` are further arguments of Family as they stand in the source: {"reply_rule": 'Plus("kind", 100)'}."""

    name: str
    messages: tuple[ImportedMessage, ...]
    framing: str  # an expression, e.g. 'Framing(FixedSize(300))'
    title: str = ""
    version: str = ""
    encoding: str = "ascii"
    header: tuple[Imported, ...] = ()
    key: tuple[str, ...] = ()
    correlation: tuple[str, ...] = ()
    length: int | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    preface: tuple[str, ...] = ()  # lines of the docstring: where it comes from, what to look at


@dataclass(frozen=True)
class Import:
    """What an importer returns. `spec` is None when an error stands among the findings."""

    spec: ImportedSpec | None
    findings: tuple[Finding, ...] = ()


# --- names ------------------------------------------------------------------------------------------------------

_BETWEEN: Final = re.compile(r"\W+")
_TAKEN: Final = frozenset(dir(Container))  # a parsed record is a dict whose keys are attributes too
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def identifier(name: str, otherwise: str = "field", *, of_table: bool = False) -> str:
    """A name as the spec can hold it, in snake case: CUST-NAME and custName are cust_name, 고객명 stays, CLASS is class_.

    A table may be called items, a field may not.
    """
    plain = unicodedata.normalize("NFKC", name)
    text = _BETWEEN.sub("_", plain if plain.isupper() else _HUMP.sub("_", plain)).strip("_").lower()
    if not text:
        return otherwise
    if keyword.iskeyword(text) or (text in _TAKEN and not (of_table and text == "items")):
        text += "_"
    text = text if text[0].isalpha() or text[0] == "_" else f"{otherwise}_{text}"
    return text if text.isidentifier() else otherwise


def unique(name: str, taken: Callable[[str], bool], parent: str = "") -> str:
    """The name, or the name behind its parent's, or a number behind it: the first that is not taken."""
    return next(each for each in _candidates(name, parent) if not taken(each))


def _candidates(name: str, parent: str) -> Iterator[str]:
    yield name
    if parent:
        yield f"{parent}_{name}"
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def too_large(spec: ImportedSpec | None, file: str) -> tuple[Finding, ...]:
    """A finding when a message has more fields than any layout: to compile it would take minutes."""
    for message in spec.messages if spec is not None else ():
        count = sum(1 for _ in leaves(message.body))
        if count > MOST_FIELDS:
            what = f"{message.name} has {count:,} fields, more than {MOST_FIELDS:,}"
            return (Finding("error", "E-IMP-05", file, what, "give the layout of one telegram, with OCCURS or 반복 for what is repeated"),)
    return ()


def leaves(nodes: Iterable[Imported]) -> Iterator[ImportedField]:
    """Every field of some nodes, in order; of a table one item, of views all of them."""
    for node in nodes:
        if isinstance(node, ImportedField):
            yield node
        elif isinstance(node, ImportedGroup):
            yield from leaves(node.members)
        elif isinstance(node, ImportedTable):
            yield from leaves((node.item,))
        elif isinstance(node, ImportedInline):
            yield from leaves(group for _, group in node.groups)
        else:
            yield from leaves(node.views)
