"""A spec's source text from what an importer has understood: readable, formatted as ruff formats, ready to be loaded."""

# Rules this file keeps:
#
# 1. Inner groups come first, each a constant of its own: no declaration is nested deeper than one can read.
# 2. What stood in the input stays visible: its names as labels, its pictures and offsets as comments.
# 3. Two messages of the same body share it.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from telegram_router.telegrams.explain import display_width
from telegram_router.telegrams.importers.model import (
    Codes,
    Imported,
    ImportedField,
    ImportedGroup,
    ImportedInline,
    ImportedMessage,
    ImportedSpec,
    ImportedTable,
    ImportedViews,
    unique,
)

_WIDTH: Final = 140  # columns, as ruff is told
_CODES_INLINE: Final = 60  # columns of a table of codes that may stand within a declaration
_INDENT: Final = "    "


def spec_source(spec: ImportedSpec) -> str:
    """The text of a spec file."""
    return _Writer(spec).text()


def quoted(text: str) -> str:
    """A text as Python writes it, in the quotes that ruff prefers."""
    mark = "'" if '"' in text and "'" not in text else '"'
    shown = (each if each.isprintable() and each not in ("\\", mark) else _escaped(each) for each in text)
    return mark + "".join(shown) + mark


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\\"'" else character.encode("unicode_escape").decode("ascii")


def laid_out(opening: str, items: Iterable[str], closing: str, indent: str = "", room: int = _WIDTH) -> str:
    """Items between brackets on one line where that fits, else one to a line."""
    items = [*items]
    line = f"{opening}{', '.join(items)}{closing}"
    if not items or ("\n" not in line and display_width(indent + line) <= room):
        return line
    inner = indent + _INDENT
    return f"{opening}\n" + "".join(f"{inner}{item},\n" for item in items) + f"{indent}{closing}"


def _comment(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


class _Writer:
    def __init__(self, spec: ImportedSpec) -> None:
        self.spec = spec
        self.blocks: list[str] = []  # the declarations of constants, in their order
        self.constants: set[str] = set()
        self.groups: dict[tuple[int, bool, tuple[Imported, ...]], str] = {}
        self.tables: dict[tuple[tuple[Codes, str], ...], str] = {}

    def text(self) -> str:
        header = self._header()
        start = sum(node.size for node in self.spec.header)
        messages = [self._message(message, start) for message in self.spec.messages]
        family = self._family(header, messages)
        imports = ["from telegram_router.telegrams import *\n"]
        return "\n".join([self._docstring(), *imports, *self.blocks, family])

    def _docstring(self) -> str:
        spec = self.spec
        lines = [_comment(line) for line in (spec.preface or (f"{spec.title or spec.name}.",))]
        safe = [line.replace("\\", "/").replace('"""', "'''") for line in lines]
        if len(safe) == 1 and not safe[0].endswith('"'):
            return f'"""{safe[0]}"""\n'
        return '"""' + "\n".join(safe) + '\n"""\n'

    # --- the family -----------------------------------------------------------------------------------------------

    def _header(self) -> str:
        return self._struct("HEADER", self.spec.header, 0, False) if self.spec.header else "Struct()"

    def _message(self, message: ImportedMessage, start: int) -> str:
        arguments = [quoted(message.name), quoted(message.title)]
        arguments.append(f"({', '.join(map(quoted, message.key))}{',' if len(message.key) == 1 else ''})")
        if message.body:
            arguments.append(self._struct(_upper(message.name), message.body, start, False))
        if message.kind != "request":
            arguments.append(f'kind="{message.kind}"')
        if message.reply:
            arguments.append(f"reply={message.reply}")
        if message.synthetic:
            arguments.append("synthetic=True")
        return laid_out("Message(", arguments, ")", _INDENT * 2, _WIDTH - 1)

    def _family(self, header: str, messages: Sequence[str]) -> str:
        spec = self.spec
        given = {
            "name": quoted(spec.name),
            "title": quoted(spec.title) if spec.title else "",
            "version": quoted(spec.version) if spec.version else "",
            "encoding": quoted(spec.encoding),
            "framing": spec.framing,
            "header": header,
            "length": "" if spec.length is None else str(spec.length),
            "key": _tuple(spec.key),
            "correlation": _tuple(spec.correlation),
            **spec.arguments,
            "messages": "[\n" + "".join(f"{_INDENT * 2}{message},\n" for message in messages) + f"{_INDENT}]",
        }
        return "spec = " + laid_out("Family(", (f"{name}={value}" for name, value in given.items() if value), ")") + "\n"

    # --- constants ------------------------------------------------------------------------------------------------

    def _constant(self, wanted: str) -> str:
        name = unique(wanted, self.constants.__contains__)
        self.constants.add(name)
        return name

    def _struct(self, wanted: str, members: tuple[Imported, ...], start: int, moves: bool) -> str:
        """The name of the constant that holds these members, declared now unless it is already."""
        known = (start, moves, members)
        if known not in self.groups:
            lines = [*self._members(members, start, moves)]
            name = self.groups[known] = self._constant(wanted)
            self.blocks.append(f"{name} = Struct(\n" + "".join(f"{_INDENT}{line}\n" for line in lines) + ")\n")
        return self.groups[known]

    def _codes(self, owner: str, codes: Mapping[Codes, str]) -> str:
        pairs = [f"{_code(code)}: {quoted(meaning)}" for code, meaning in codes.items()]
        inline = f"{{{', '.join(pairs)}}}"
        if display_width(inline) <= _CODES_INLINE:
            return inline
        known = tuple(codes.items())
        if known not in self.tables:
            name = self.tables[known] = self._constant(f"{_upper(owner) or 'FIELD'}_CODES")
            self.blocks.append(f"{name} = {laid_out('{', pairs, '}')}\n")
        return self.tables[known]

    # --- declarations ---------------------------------------------------------------------------------------------

    def _members(self, members: Iterable[Imported], start: int, moves: bool) -> Iterator[str]:
        at = start
        for node in members:
            yield from self._member(node, at, moves)
            moves = moves or _shifts(node)
            at += node.size

    def _member(self, node: Imported, at: int, moves: bool) -> Iterator[str]:
        """The lines of one declaration; its offset and its note behind it, or above where they have no room."""
        declared = self._declaration(node, at, moves)
        place = f"from {at}" if moves else str(at)
        note = _comment(f"{place}: {node.note}" if node.note else place)
        whole = self._labelled(node, declared)
        if "\n" not in whole and display_width(f"{_INDENT}{whole},  # {note}") <= _WIDTH:
            yield f"{whole},  # {note}"
            return
        yield from _above(note)
        if "\n" not in whole and display_width(f"{_INDENT}{whole},") > _WIDTH and not isinstance(node, ImportedViews | ImportedInline):
            yield from _above(node.label)
            whole = self._labelled(node, declared, label="")
        yield f"{whole},"

    def _labelled(self, node: Imported, declared: str, label: str | None = None) -> str:
        if isinstance(node, ImportedViews | ImportedInline):
            return declared
        label = _comment(node.label if label is None else label)
        return _with_label(f"{quoted(node.name)} / {declared}" if node.name else declared, label)

    def _declaration(self, node: Imported, at: int, moves: bool) -> str:
        if isinstance(node, ImportedField):
            return node.kind.replace("{codes}", self._codes(node.name, node.codes)) if "{codes}" in node.kind else node.kind
        if isinstance(node, ImportedGroup):
            return self._struct(_upper(node.name), node.members, at, moves)
        if isinstance(node, ImportedTable):
            return f"Occurs({_times(node)}, {self._declaration(node.item, at, moves)})"
        if isinstance(node, ImportedInline):
            return self._inline(node, at, moves)
        return self._views(node, at, moves)

    def _inline(self, node: ImportedInline, at: int, moves: bool) -> str:
        if node.declaration == "Overlay":
            return f"Overlay({node.length}, {self._declaration(node.groups[0][1], at, moves)})"
        versions = [f"{quoted(first)}: {self._declaration(group, at, moves)}" for first, group in node.groups]
        return laid_out("Versions(", [quoted(node.by), laid_out("{", versions, "}", _INDENT * 2, _WIDTH - 1)], ")", _INDENT, _WIDTH - 1)

    def _views(self, node: ImportedViews, at: int, moves: bool) -> str:
        views = [f"{quoted(view.name)}: {_with_label(self._declaration(view, at, moves), view.label)}" for view in node.views]
        when = [f"{_case(value)}: {quoted(view)}" for value, view in node.when.items()]
        deeper = _INDENT * 2
        arguments = [f"by={quoted(node.by)}"] if node.by else []
        arguments.append(laid_out("views={", views, "}", deeper, _WIDTH - 1))
        if when:
            arguments.append(laid_out("when={", when, "}", deeper, _WIDTH - 1))
        if node.default:
            arguments.append(f"default={quoted(node.default)}")
        return laid_out("Redefines(", arguments, ")", _INDENT, _WIDTH - 1)


def _with_label(declared: str, label: str) -> str:
    return f"{declared} * {quoted(_comment(label))}" if label else declared


def _above(text: str) -> Iterator[str]:
    """A comment above a declaration, folded to the width."""
    line = "#"
    for word in _comment(text).split():
        if display_width(f"{_INDENT}{line} {word}") > _WIDTH and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    if line != "#":
        yield line


def _code(code: Codes) -> str:
    return quoted(code) if isinstance(code, str) else f"({quoted(code[0])}, {quoted(code[1])})"


def _case(value: Any) -> str:
    """A value that chooses a view, or several: a text, or the number that the field holds."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_case, value))}{',' if len(value) == 1 else ''})"
    return quoted(value) if isinstance(value, str) else repr(value)


def _tuple(texts: Sequence[str]) -> str:
    return f"({', '.join(map(quoted, texts))}{',' if len(texts) == 1 else ''})"


def _times(table: ImportedTable) -> str:
    if not table.depending:
        return str(table.most)
    least = table.most if table.least is None else table.least
    storage = f", storage={quoted(table.storage)}" if table.storage != "max" else ""
    return f"between({least}, {table.most}, depending={quoted(table.depending)}{storage})"


def _shifts(node: Imported) -> bool:
    """Whether what stands behind it moves."""
    if isinstance(node, ImportedTable):
        return (node.storage == "shift" and bool(node.depending)) or _shifts(node.item)
    if isinstance(node, ImportedGroup):
        return any(map(_shifts, node.members))
    if isinstance(node, ImportedInline):
        return any(_shifts(group) for _, group in node.groups)
    return any(map(_shifts, node.views)) if isinstance(node, ImportedViews) else False


def _upper(name: str) -> str:
    return name.upper().replace(".", "_").replace("-", "_")
