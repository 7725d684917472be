"""Source of the function that writes a message with groups, tables and views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from telegram_router.telegrams.fields import Length
from telegram_router.telegrams.layout import IN_HEADER, Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference
from telegram_router.telegrams.nested_parts import Function, Parts, Scope, Spot, is_small


class Encoding:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._header_values: Scope = {}

    def lines(self) -> Iterator[str]:
        if any(isinstance(planned.kind, Length) for planned in self._parts.codec.fields) and len(set(self._parts.codec.sizes())) > 1:
            yield "encode = codec.encode"  # the length depends on what stands behind it
            return
        function = Function(own={"h", "b"})
        self._header_values = {}
        front = self._written(self._parts.codec.header, "h", [], function)
        back = self._written(
            [node for node in self._parts.codec.body if not _is_opaque(node)],
            "b",
            [self._header_values],
            function,
            opaque=self._parts.codec.opaque,
        )
        yield "def encode(h, b, residue=None):"
        yield "    try:"
        yield from (f"        {line}" for line in function.lines)
        sent = "" if self._parts.alphabet.is_latin else f".translate({self._parts.use('SENT', self._parts.alphabet.sent)})"
        yield f"        raw = ''.join(({''.join(f'{piece}, ' for piece in _merged([*front.pieces, *back.pieces]))})).encode('latin-1'){sent}"
        yield f"        size = {front.size + back.size}{''.join(f' + len({text})' for text in (*front.texts, *back.texts))}"
        if self._parts.codec.opaque is not None:
            yield f"        tail = b[{self._parts.codec.opaque.name!r}]"
            yield f"        codec.fields[{len(self._parts.codec.fields) - 1}].kind.write(tail)"
        yield "    except NOT_AS_USUAL:"
        yield "        pass"
        yield "    else:"
        # Both: a text that is too long by as many bytes as it has control characters must not pass.
        controls = " == len(raw.translate(None, CONTROLS))" if self._parts.checked else ""
        yield f"        if len(raw) == size{controls}:"
        yield f"            whole = raw{' + tail' if self._parts.codec.opaque else ''}"
        yield "            return restore(whole, h, b, residue) if residue else whole"
        yield "    return codec.encode(h, b, residue)"

    def _written(
        self, nodes: Sequence[Node], given: str, scopes: list[Scope], function: Function, opaque: PlannedField | None = None
    ) -> _Written:
        """Pieces of a group whose values stand in the variable `given`."""
        scope: Scope = self._header_values if not scopes else {}
        scopes = [*scopes, scope]
        done = _Written()
        names = [f"{sum(1 for node in nodes if node.name) + (opaque is not None)}"]
        for node in nodes:
            if isinstance(node, PlannedField) and node.name:
                self._value(node, nodes, given, scope, function)
                if node.may_be_left_out:
                    names.append(f"- ({node.name!r} not in {given})")
        for node in nodes:
            if isinstance(node, PlannedViews):
                names.append(self._written_views(node, given, scopes, function, done))
            elif isinstance(node, PlannedField):
                done.add(self._piece(node, scope), node.length)
            else:
                self._written_node(node, f"{given}[{node.name!r}]", scopes, function, done)
        function.lines.append(f"if len({given}) != {' '.join(filter(None, names))}:")
        function.lines.append("    raise NotAsUsual")
        return done

    def _value(self, planned: PlannedField, nodes: Sequence[Node], given: str, scope: Scope, function: Function) -> None:
        """Source of a field's value, in a variable where others need it."""
        value = f"{given}[{planned.name!r}]"
        if planned.counts:
            lists = next(
                _lists(
                    planned.path,
                    self._parts.codec.body if planned.section == "header" else nodes,
                    "b" if planned.section == "header" else given,
                ),
                None,
            )
            if lists is not None:
                count = self._parts.assigned("n", f"len({lists})", function)
                value = f"{given}.get({planned.name!r}, {count})"
        elif planned.may_be_left_out:
            usual = planned.key if planned.key is not None else planned.kind.default
            value = f"{given}.get({planned.name!r}, {usual!r})"
        scope[planned.path] = self._parts.assigned("v", value, function) if planned.path in self._parts.used else value

    def _piece(self, planned: PlannedField, scope: Scope) -> str:
        if not planned.name:
            return _Constant(self._parts.constant(planned))
        value = scope[planned.path]
        if isinstance(planned.kind, Length):
            return f"put({self._parts.numbers[id(planned)]}, {value})"
        return planned.kind.source_of_write(value, self._parts.place(planned, Spot()))

    def _written_node(self, node: Node, value: str, scopes: list[Scope], function: Function, done: _Written) -> None:
        """A field of a table, a group or a table, whose value is that source."""
        if isinstance(node, PlannedField):
            done.add(self._piece(node, {node.path: value}), node.length)
        elif isinstance(node, PlannedGroup):
            done.join(self._written(node.members, self._parts.assigned("g", value, function), scopes, function))
        else:
            assert isinstance(node, PlannedTable)
            self._written_table(node, self._parts.assigned("l", value, function), scopes, function, done)

    def _written_table(self, table: PlannedTable, items: str, scopes: list[Scope], function: Function, done: _Written) -> None:
        wrong = [f"{items}.__class__ is not list"]
        if table.counter is None:
            wrong.append(f"len({items}) != {table.most}")
        else:
            count = self._written_variable(table.counter, scopes, function)
            wrong.append(f"{count}.__class__ is not int or len({items}) != {count} or not {table.least} <= {count} <= {table.most}")
        function.lines += [f"if {' or '.join(wrong)}:", "    raise NotAsUsual"]
        if is_small(table):
            for index in range(table.most):
                self._written_node(table.item, f"{items}[{index}]", scopes, function, done)
            return
        text = self._written_loop(table, items, scopes, function)
        done.text(text)
        if table.spare:
            done.text(
                self._parts.assigned(
                    "s", f"{self._parts.blank(table.spare)!r} * (({table.most} - len({items})) * {table.stride})", function
                )
            )

    def _written_loop(self, table: PlannedTable, items: str, scopes: list[Scope], function: Function) -> str:
        item = self._parts.name("g")
        inner = Function(own={item})
        one = _Written()
        self._written_node(table.item, item, scopes, inner, one)
        name = self._parts.name("write_")
        lines = [f"def {name}({', '.join(['items', *inner.free])}):", "    made = []", "    size = 0", f"    for {item} in items:"]
        lines += [f"        {line}" for line in inner.lines]
        lines.append(f"        made += {''.join(f'{piece}, ' for piece in _merged(one.pieces))}")
        lines.append(f"        size += {one.size}{''.join(f' + len({text})' for text in one.texts)}")
        lines += ["    text = ''.join(made)", "    if len(text) != size:", "        raise NotAsUsual", "    return text"]
        self._parts.functions.append(lines)
        return self._parts.assigned("s", f"{name}({', '.join([items, *(function.needs(variable) for variable in inner.free)])})", function)

    def _written_variable(self, reference: Reference, scopes: list[Scope], function: Function) -> str:
        scope = self._header_values if reference.up == IN_HEADER else scopes[-1 - reference.up]
        return function.needs(scope[reference.path])

    def _written_views(self, views: PlannedViews, given: str, scopes: list[Scope], function: Function, done: _Written) -> str:
        """Adds the text of the chosen view; gives the source of how many names that takes from the group around it."""
        if views.chooser is None:
            inner = _Written()
            count = self._written_view(views, 0, given, scopes, function, inner)
            done.join(inner)
            return f"+ {count}"
        value = self._written_variable(views.chooser, scopes, function)
        functions = []
        for number in range(len(views.views)):
            one, text = Function(own={"g"}), _Written()
            count = self._written_view(views, number, "g", scopes, one, text)
            one.lines.append(f"text = ''.join(({''.join(f'{piece}, ' for piece in _merged(text.pieces))}))")
            one.lines += [f"if len(text) != {views.length}:", "    raise NotAsUsual", f"return text, {count}"]
            functions.append(one)
        free = list(dict.fromkeys(variable for one in functions for variable in one.free))
        names = []
        for one in functions:
            names.append(self._parts.name("write_"))
            self._parts.functions.append([f"def {names[-1]}({', '.join(['g', *free])}):", *(f"    {line}" for line in one.lines)])
        text_name, taken = self._parts.name("s"), self._parts.name("k")
        function.own |= {text_name, taken}
        arguments = ", ".join([given, *(function.needs(variable) for variable in free)])
        function.lines.append(f"{text_name}, {taken} = {self._parts.chosen(views, names, value)}({arguments})")
        done.text(text_name)
        return f"+ {taken}"

    def _written_view(self, views: PlannedViews, number: int, given: str, scopes: list[Scope], function: Function, done: _Written) -> str:
        node, rest = views.views[number][1], views.rests[number]
        count = "1" if node.name else "0"
        if views.kind == "date":
            assert isinstance(node, PlannedGroup)
            count = self._written_version(node, given, scopes, function, done)
        elif isinstance(node, PlannedField) and not node.name:
            done.add(_Constant(self._parts.constant(node)), node.length)
        else:
            self._written_node(node, f"{given}[{node.name!r}]", scopes, function, done)
        if rest:
            done.add(_Constant(self._parts.constant(rest)), rest.length)
        return count

    def _written_version(self, version: PlannedGroup, given: str, scopes: list[Scope], function: Function, done: _Written) -> str:
        """A version's members stand in the group around it, whose names are counted there."""
        inner = Function(own=function.own, free=function.free)
        done.join(self._written(version.members, given, scopes, inner))
        *lines, check, _ = inner.lines
        function.lines += lines
        return check.removeprefix(f"if len({given}) != ").removesuffix(":")


@dataclass
class _Written:
    """Source of texts that are joined, and of their size."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0  # of those that have a fixed one
    texts: list[str] = field(default_factory=list)  # variables of the others

    def add(self, piece: str, size: int) -> None:
        self.pieces.append(piece)
        self.size += size

    def text(self, variable: str) -> None:
        self.pieces.append(variable)
        self.texts.append(variable)

    def join(self, other: _Written) -> None:
        self.pieces += other.pieces
        self.size += other.size
        self.texts += other.texts


class _Constant(str):
    """A piece that is this text, not source of it."""


def _merged(pieces: Iterable[str]) -> Iterator[str]:
    """Source of each piece; neighbouring constants become one."""
    run = ""
    for piece in pieces:
        if isinstance(piece, _Constant):
            run += piece
            continue
        if run:
            yield repr(run)
            run = ""
        yield piece
    if run:
        yield repr(run)


def _is_opaque(node: Node) -> bool:
    return isinstance(node, PlannedField) and node.is_opaque


def _lists(counter: str, nodes: Iterable[Node], given: str) -> Iterator[str]:
    """Source of the lists that a counter counts, as far as only names lead to them."""
    for node in nodes:
        inside = f"{given}[{node.name!r}]"
        if isinstance(node, PlannedTable) and node.depending == counter:
            yield inside
        elif isinstance(node, PlannedGroup):
            yield from _lists(counter, node.members, inside)
