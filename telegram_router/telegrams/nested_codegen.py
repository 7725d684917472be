"""Python for one message with groups, tables and views: straight on where all is static, one function for each larger table."""

# Rules this file keeps, as codegen.py does for messages that are one row of fields:
#
# 1. What is not recognised at a glance is left to NestedCodec: the generated code raises nothing of its own but NotAsUsual,
#    which never leaves it, and accepts nothing that NestedCodec would not.
# 2. Counts are held against their bounds before they are used, and the telegram's size against what they make, before any
#    value is handed out.
# 3. Behind a table that shifts, offsets count from a variable: how far what is planned has moved.
# 4. Only names that a spec's author chose and numbers get into the source, names always through repr().

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.fields import Alphabet, Length, Place
from telegram_router.telegrams.layout import (
    IN_HEADER,
    Node,
    PlannedField,
    PlannedGroup,
    PlannedTable,
    PlannedViews,
    Reference,
    templates,
    varies,
)

if TYPE_CHECKING:
    from telegram_router.telegrams.nested_codec import NestedCodec

_UNROLLED: Final = 8  # items of a table that are written out one by one
_UNROLLED_FIELDS: Final = 48


@dataclass
class _Function:
    """One function that is being written: its variables, and those of functions around it that it needs."""

    own: set[str] = field(default_factory=set)
    free: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def needs(self, variable: str) -> str:
        if variable not in self.own and variable not in self.free:
            self.free.append(variable)
        return variable


@dataclass(frozen=True)
class _Spot:
    """Where something stands, as source: what is to be added to planned offsets, and to the offsets of residue."""

    static: int = 0
    moved: str = ""
    kept: str = ""

    @property
    def arguments(self) -> str:
        """For a function that takes both."""
        moved, kept = (" + ".join(filter(None, [name, str(self.static) if self.static else ""])) or "0" for name in (self.moved, self.kept))
        return f"{moved}, {kept}"


Scope = dict[str, str]  # the variable that holds a field's value, by the field's path


class NestedWriter:
    """Writes the source of `decode` and `encode`."""

    def __init__(self, codec: NestedCodec, alphabet: Alphabet, checked: bool) -> None:
        self.codec = codec
        self.alphabet = alphabet
        self.checked = checked and codec.opaque is None
        self.constants: dict[str, object] = {}
        self.codecs: dict[str, str] = {}
        self._numbers = {id(planned): number for number, planned in enumerate(codec.fields)}
        self._used = {reference.path for reference in _references(codec.nodes)}
        self._names = 0
        self._functions: list[list[str]] = []

    def source(self) -> str:
        """All functions. The first pass finds out which codecs fields ask for: every function gets the texts."""
        list(self._decoder())
        self._functions.clear()
        decoder = [*self._decoder()]
        encoder = [*self._encoder()]
        return "\n".join(line for function in (*self._functions, decoder, encoder) for line in (*function, ""))

    # -- common

    def _name(self, letter: str) -> str:
        self._names += 1
        return f"{letter}{self._names}"

    def _use(self, name: str, value: object) -> str:
        """A name for a constant, the same name for the same constant."""
        while self.constants.setdefault(name, value) is not value and self.constants[name] != value:
            name += "_"
        return name

    def _decoded(self, codec: str) -> str:
        return self.codecs.setdefault(codec, f"t_{len(self.codecs) + 1}")

    @property
    def _arguments(self) -> str:
        return ", ".join(["b", "t", "found", *(["tidy", "clean"] if self.checked else []), *self.codecs.values()])

    def _place(self, planned: PlannedField, spot: _Spot) -> Place:
        number = self._numbers[id(planned)]
        moved = f", {spot.arguments}" if spot.moved or spot.static else ""
        return Place(
            planned.offset + spot.static,
            planned.length,
            f"glance({number}, b, found{moved})",
            lambda value: f"put({number}, {value})",
            self._use,
            self._decoded,
            self.checked,
            self.alphabet,
            spot.moved,
        )

    def _constant(self, planned: PlannedField) -> str:
        raw = planned.kind.write_in(None, self.codec.fixed_size) if isinstance(planned.kind, Length) else planned.kind.write(None)
        return self.alphabet.spelled(raw)

    def put(self, number: int, value: Any) -> str:
        """One field as text of the alphabet. Raises FieldFault."""
        return self.alphabet.spelled(self.codec.put(number, value))

    def _blank(self, kind: Any) -> str:
        return self.alphabet.spelled(kind.write(None)[:1])

    # -- reading

    def _decoder(self) -> Iterator[str]:
        least, most = self.codec.sizes()
        function = _Function()
        header, spot = self._members(self.codec.header, _Spot(), [], function)
        scope: list[Scope] = [self._header_scope]
        body, spot = self._members(self.codec.body, spot, scope, function)
        yield "def decode(b):"
        wrong = f"len(b) != {least}" if least == most else f"not {least} <= len(b)" + (f" <= {most}" if most is not None else "")
        yield f"    if {wrong}:"
        yield "        raise FieldError([codec.size_problem(len(b))])"
        yield from (f"    {line}" for line in self._texts())
        yield "    found = []"
        yield "    try:"
        yield from (f"        {line}" for line in function.lines)
        if spot.moved or self.codec.opaque:
            compared = "<" if self.codec.opaque else "!="
            yield f"        if len(b) {compared} {self.codec.fixed_size}{f' + {spot.moved}' if spot.moved else ''}:"
            yield "            raise NotAsUsual"
        yield f"        telegram = Telegram(spec, message, {{{', '.join(header)}}}, {{{', '.join(body)}}}, None, b)"
        yield "        if found:"
        yield "            telegram.residue = dict(found)"
        yield "        return telegram"
        yield "    except NOT_AS_USUAL:"
        yield "        pass  # and not from here: what was raised may hold values"
        yield "    return complete(b)"

    def _texts(self) -> Iterator[str]:
        spelled = "" if self.alphabet.is_latin else f".translate({self._use('SEEN', self.alphabet.seen)})"
        yield f"t = b{spelled}.decode('latin-1')"
        yield from (f"{name} = {looking('b', codec)}" for codec, name in self.codecs.items())
        if self.checked:
            yield "tidy = len(b.translate(None, CONTROLS)) == len(b)"
            yield "clean = tidy and t.isascii()"

    def _members(self, nodes: Sequence[Node], spot: _Spot, scopes: list[Scope], function: _Function) -> tuple[list[str], _Spot]:
        """Entries of the dict of a group, and where what follows it stands. What must be known before goes into the function's lines."""
        scope: Scope = {}
        if not scopes:
            self._header_scope = scope
        scopes = [*scopes, scope]
        entries: list[str] = []
        unnamed: list[PlannedField] = []
        for number, node in enumerate(nodes):
            if isinstance(node, PlannedField) and not node.name:
                unnamed.append(node)
                continue
            self._check_unnamed(unnamed, spot, function)
            if isinstance(node, PlannedField):
                entries.append(f"{node.name!r}: {self._field(node, spot, scope, function)}")
            elif isinstance(node, PlannedGroup):
                inside, spot = self._members(node.members, spot, scopes, function)
                entries.append(f"{node.name!r}: {{{', '.join(inside)}}}")
            elif isinstance(node, PlannedTable):
                value, spot = self._table(node, spot, scopes, function)
                entries.append(f"{node.name!r}: {value}")
            else:
                entries += self._views(node, nodes[number + 1 :], spot, scopes, function)
        self._check_unnamed(unnamed, spot, function)
        return entries, spot

    def _field(self, planned: PlannedField, spot: _Spot, scope: Scope, function: _Function) -> str:
        if planned.path in scope:
            return scope[planned.path]
        place = self._place(planned, spot)
        source = place.slow if planned.is_opaque or isinstance(planned.kind, Length) else planned.kind.source_of_read(place)
        if planned.path not in self._used:
            return source
        variable = scope[planned.path] = self._name("v")
        function.own.add(variable)
        function.lines.append(f"{variable} = {source}")
        return variable

    def _check_unnamed(self, run: list[PlannedField], spot: _Spot, function: _Function) -> None:
        """Neighbours are compared in one go: they are as expected nearly always."""
        if not run:
            return
        usual = "".join("" if isinstance(planned.kind, Length) else self._constant(planned) for planned in run)
        seen = f"t{self._span(run[0].offset + spot.static, run[-1].end + spot.static, spot.moved)}"
        function.lines.append(f"if {seen} != {self._use(f'UNNAMED{run[0].offset}', usual)}:")
        function.lines += [f"    {self._place(planned, spot).slow}" for planned in run]
        run.clear()

    @staticmethod
    def _span(start: int, end: int, moved: str) -> str:
        before = f"{moved}+" if moved else ""
        return f"[{before}{start}:{before}{end}]"

    def _variable(self, reference: Reference, scopes: list[Scope], function: _Function) -> str:
        scope = self._header_scope if reference.up == IN_HEADER else scopes[-1 - reference.up]
        return function.needs(scope[reference.path])

    # tables

    def _table(self, table: PlannedTable, spot: _Spot, scopes: list[Scope], function: _Function) -> tuple[str, _Spot]:
        count = self._count(table, scopes, function)
        if _is_small(table):
            items = [
                self._item(table, replace(spot, static=spot.static + index * table.stride), scopes, function)[0]
                for index in range(table.most)
            ]
            return f"[{', '.join(items)}]", spot
        made, moved = self._loop(table, spot, scopes, function, count)
        if table.storage == "max":
            if table.spare:
                self._check_spare(table, spot, count, function)
            return made, spot if not varies(table) else replace(
                spot, moved=self._after(f"{moved} - {table.length + spot.static}", function)
            )
        shifted = (
            f"{moved} - {table.length + spot.static}"
            if varies(table.item)
            else _sum(spot.moved, f"({count} - {table.most}) * {table.stride}")
        )
        return made, replace(spot, moved=self._after(shifted, function))

    def _after(self, source: str, function: _Function) -> str:
        variable = self._name("m")
        function.own.add(variable)
        function.lines.append(f"{variable} = {source}")
        return variable

    def _count(self, table: PlannedTable, scopes: list[Scope], function: _Function) -> str:
        if table.counter is None:
            return str(table.most)
        count = self._variable(table.counter, scopes, function)
        function.lines.append(f"if {count}.__class__ is not int or not {table.least} <= {count} <= {table.most}:")
        function.lines.append("    raise NotAsUsual")
        return count

    def _item(self, table: PlannedTable, spot: _Spot, scopes: list[Scope], function: _Function) -> tuple[str, _Spot]:
        item = table.item
        if isinstance(item, PlannedField):
            if not item.name:
                self._check_unnamed([item], spot, function)
                return "None", spot
            return self._field(item, spot, {}, function), spot
        if isinstance(item, PlannedGroup):
            entries, spot = self._members(item.members, spot, scopes, function)
            return f"{{{', '.join(entries)}}}", spot
        assert isinstance(item, PlannedTable)
        return self._table(item, spot, scopes, function)

    def _loop(self, table: PlannedTable, spot: _Spot, scopes: list[Scope], function: _Function, count: str) -> tuple[str, str]:
        """Variables of the list, and of where the item behind the last one would stand."""
        # Where nothing shifts, a later item has moved as far as its residue.
        moved = self._name("o")
        kept = moved if spot.moved == spot.kept and not varies(table.item) else self._name("p")
        inner = _Function(own={moved, kept, "n"})
        item, end = self._item(table, _Spot(0, moved, kept), scopes, inner)
        name = self._name("items_")
        parameters = ", ".join([self._arguments, "n", *dict.fromkeys((moved, kept)), *inner.free])
        lines = [f"def {name}({parameters}):", "    made = []", "    for _ in range(n):"]
        lines += [f"        {line}" for line in inner.lines]
        lines.append(f"        made.append({item})")
        lines.append(f"        {moved} = {end.moved} + {table.stride}")
        if kept != moved:
            lines.append(f"        {kept} += {table.stride}")
        lines.append(f"    return made, {moved}")
        self._functions.append(lines)
        made, after = self._name("l"), self._name("o")
        function.own |= {made, after}
        starts = spot.arguments.split(", ") if kept != moved else spot.arguments.split(", ")[:1]
        arguments = ", ".join([self._arguments, count, *starts, *(function.needs(variable) for variable in inner.free)])
        function.lines.append(f"{made}, {after} = {name}({arguments})")
        return made, after

    def _check_spare(self, table: PlannedTable, spot: _Spot, count: str, function: _Function) -> None:
        """Unused places are blank nearly always."""
        before = f"{spot.moved}+" if spot.moved else ""
        start, end = table.offset + spot.static, table.end + spot.static
        seen = f"t[{before}{start} + {count} * {table.stride}:{before}{end}]"
        function.lines.append(f"if {seen}.strip({self._blank(table.spare)!r}):")
        function.lines.append(f"    spares({self._use('TABLE', table)}, b, found, {count}, {spot.arguments})")

    # views

    def _views(self, views: PlannedViews, behind: Sequence[Node], spot: _Spot, scopes: list[Scope], function: _Function) -> list[str]:
        if views.chooser is None:
            return self._view(views, 0, spot, scopes, function)
        value = self._chooser(views.chooser, behind, spot, scopes, function)
        functions = [self._view_function(views, number, spot, scopes) for number in range(len(views.views))]
        free = list(dict.fromkeys(variable for inner in functions for variable in inner.free))
        names = []
        for inner in functions:
            name = self._name("view_")
            names.append(name)
            parameters = ", ".join([self._arguments, *free])
            self._functions.append([f"def {name}({parameters}):", *(f"    {line}" for line in inner.lines)])
        chosen = self._chosen(views, names, value)
        return [f"**{chosen}({', '.join([self._arguments, *(function.needs(variable) for variable in free)])})"]

    def _chooser(self, reference: Reference, behind: Sequence[Node], spot: _Spot, scopes: list[Scope], function: _Function) -> str:
        if reference.ahead:
            planned = next(node for node in behind if isinstance(node, PlannedField) and node.name == reference.field.name)
            self._field(planned, spot, scopes[-1], function)
        return self._variable(reference, scopes, function)

    def _chosen(self, views: PlannedViews, names: Sequence[str], value: str) -> str:
        """Source of the function for a value."""
        if views.kind == "date":
            chosen = names[0]
            for (day, _), name in zip(views.views[1:], names[1:], strict=True):
                chosen = f"({name} if {value}[:8] >= {day!r} else {chosen})"
            return chosen if len(names) > 1 else f"({chosen} if {value}.__class__ is str else None)"
        by_name = {view: name for (view, _), name in zip(views.views, names, strict=True)}
        table = self._name("VIEWS_")
        pairs = ", ".join(f"{self._use('CASE', case)}: {by_name[view]}" for case, view in views.when.items())
        self._functions.append([f"{table} = {{{pairs}}}"])
        return f"{table}[{value}]" if views.default is None else f"{table}.get({value}, {by_name[views.default]})"

    def _view_function(self, views: PlannedViews, number: int, spot: _Spot, scopes: list[Scope]) -> _Function:
        inner = _Function()
        for variable in filter(None, (spot.moved, spot.kept)):
            inner.needs(variable)
        inner.lines.append(f"return {{{', '.join(self._view(views, number, spot, scopes, inner))}}}")
        return inner

    def _view(self, views: PlannedViews, number: int, spot: _Spot, scopes: list[Scope], function: _Function) -> list[str]:
        """What a view puts into the dict of the group around it."""
        node, rest = views.views[number][1], views.rests[number]
        if isinstance(node, PlannedGroup):
            entries, _ = self._members(node.members, spot, scopes, function)
            if node.name:
                entries = [f"{node.name!r}: {{{', '.join(entries)}}}"]
        elif isinstance(node, PlannedTable):
            entries = [f"{node.name!r}: {self._table(node, spot, scopes, function)[0]}"]
        elif isinstance(node, PlannedField) and node.name:
            entries = [f"{node.name!r}: {self._field(node, spot, {}, function)}"]
        else:
            assert isinstance(node, PlannedField)
            entries = []
            self._check_unnamed([node], spot, function)
        self._check_unnamed([rest] if rest else [], spot, function)
        return entries

    # -- writing

    def _encoder(self) -> Iterator[str]:
        if any(isinstance(planned.kind, Length) for planned in self.codec.fields) and len(set(self.codec.sizes())) > 1:
            yield "encode = codec.encode"  # the length depends on what stands behind it
            return
        function = _Function(own={"h", "b"})
        self._header_values: Scope = {}
        front = self._written(self.codec.header, "h", [], function)
        back = self._written(
            [node for node in self.codec.body if not _is_opaque(node)], "b", [self._header_values], function, opaque=self.codec.opaque
        )
        yield "def encode(h, b, residue=None):"
        yield "    try:"
        yield from (f"        {line}" for line in function.lines)
        sent = "" if self.alphabet.is_latin else f".translate({self._use('SENT', self.alphabet.sent)})"
        yield f"        raw = ''.join(({''.join(f'{piece}, ' for piece in _merged([*front.pieces, *back.pieces]))})).encode('latin-1'){sent}"
        yield f"        size = {front.size + back.size}{''.join(f' + len({text})' for text in (*front.texts, *back.texts))}"
        if self.codec.opaque is not None:
            yield f"        tail = b[{self.codec.opaque.name!r}]"
            yield f"        codec.fields[{len(self.codec.fields) - 1}].kind.write(tail)"
        yield "    except NOT_AS_USUAL:"
        yield "        pass"
        yield "    else:"
        # Both: a text that is too long by as many bytes as it has control characters must not pass.
        controls = " == len(raw.translate(None, CONTROLS))" if self.checked else ""
        yield f"        if len(raw) == size{controls}:"
        yield f"            whole = raw{' + tail' if self.codec.opaque else ''}"
        yield "            return restore(whole, h, b, residue) if residue else whole"
        yield "    return codec.encode(h, b, residue)"

    def _written(
        self, nodes: Sequence[Node], given: str, scopes: list[Scope], function: _Function, opaque: PlannedField | None = None
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

    def _value(self, planned: PlannedField, nodes: Sequence[Node], given: str, scope: Scope, function: _Function) -> None:
        """Source of a field's value, in a variable where others need it."""
        value = f"{given}[{planned.name!r}]"
        if planned.counts:
            lists = next(
                _lists(
                    planned.path, self.codec.body if planned.section == "header" else nodes, "b" if planned.section == "header" else given
                ),
                None,
            )
            if lists is not None:
                count = self._assigned("n", f"len({lists})", function)
                value = f"{given}.get({planned.name!r}, {count})"
        elif planned.may_be_left_out:
            usual = planned.key if planned.key is not None else planned.kind.default
            value = f"{given}.get({planned.name!r}, {usual!r})"
        scope[planned.path] = self._assigned("v", value, function) if planned.path in self._used else value

    def _assigned(self, letter: str, source: str, function: _Function) -> str:
        variable = self._name(letter)
        function.own.add(variable)
        function.lines.append(f"{variable} = {source}")
        return variable

    def _piece(self, planned: PlannedField, scope: Scope) -> str:
        if not planned.name:
            return _Constant(self._constant(planned))
        value = scope[planned.path]
        if isinstance(planned.kind, Length):
            return f"put({self._numbers[id(planned)]}, {value})"
        return planned.kind.source_of_write(value, self._place(planned, _Spot()))

    def _written_node(self, node: Node, value: str, scopes: list[Scope], function: _Function, done: _Written) -> None:
        """A field of a table, a group or a table, whose value is that source."""
        if isinstance(node, PlannedField):
            done.add(self._piece(node, {node.path: value}), node.length)
        elif isinstance(node, PlannedGroup):
            done.join(self._written(node.members, self._assigned("g", value, function), scopes, function))
        else:
            assert isinstance(node, PlannedTable)
            self._written_table(node, self._assigned("l", value, function), scopes, function, done)

    def _written_table(self, table: PlannedTable, items: str, scopes: list[Scope], function: _Function, done: _Written) -> None:
        wrong = [f"{items}.__class__ is not list"]
        if table.counter is None:
            wrong.append(f"len({items}) != {table.most}")
        else:
            count = self._written_variable(table.counter, scopes, function)
            wrong.append(f"{count}.__class__ is not int or len({items}) != {count} or not {table.least} <= {count} <= {table.most}")
        function.lines += [f"if {' or '.join(wrong)}:", "    raise NotAsUsual"]
        if _is_small(table):
            for index in range(table.most):
                self._written_node(table.item, f"{items}[{index}]", scopes, function, done)
            return
        text = self._written_loop(table, items, scopes, function)
        done.text(text)
        if table.spare:
            done.text(self._assigned("s", f"{self._blank(table.spare)!r} * (({table.most} - len({items})) * {table.stride})", function))

    def _written_loop(self, table: PlannedTable, items: str, scopes: list[Scope], function: _Function) -> str:
        item = self._name("g")
        inner = _Function(own={item})
        one = _Written()
        self._written_node(table.item, item, scopes, inner, one)
        name = self._name("write_")
        lines = [f"def {name}({', '.join(['items', *inner.free])}):", "    made = []", "    size = 0", f"    for {item} in items:"]
        lines += [f"        {line}" for line in inner.lines]
        lines.append(f"        made += {''.join(f'{piece}, ' for piece in _merged(one.pieces))}")
        lines.append(f"        size += {one.size}{''.join(f' + len({text})' for text in one.texts)}")
        lines += ["    text = ''.join(made)", "    if len(text) != size:", "        raise NotAsUsual", "    return text"]
        self._functions.append(lines)
        return self._assigned("s", f"{name}({', '.join([items, *(function.needs(variable) for variable in inner.free)])})", function)

    def _written_variable(self, reference: Reference, scopes: list[Scope], function: _Function) -> str:
        scope = self._header_values if reference.up == IN_HEADER else scopes[-1 - reference.up]
        return function.needs(scope[reference.path])

    def _written_views(self, views: PlannedViews, given: str, scopes: list[Scope], function: _Function, done: _Written) -> str:
        """Adds the text of the chosen view; gives the source of how many names that takes from the group around it."""
        if views.chooser is None:
            inner = _Written()
            count = self._written_view(views, 0, given, scopes, function, inner)
            done.join(inner)
            return f"+ {count}"
        value = self._written_variable(views.chooser, scopes, function)
        functions = []
        for number in range(len(views.views)):
            one, text = _Function(own={"g"}), _Written()
            count = self._written_view(views, number, "g", scopes, one, text)
            one.lines.append(f"text = ''.join(({''.join(f'{piece}, ' for piece in _merged(text.pieces))}))")
            one.lines += [f"if len(text) != {views.length}:", "    raise NotAsUsual", f"return text, {count}"]
            functions.append(one)
        free = list(dict.fromkeys(variable for one in functions for variable in one.free))
        names = []
        for one in functions:
            names.append(self._name("write_"))
            self._functions.append([f"def {names[-1]}({', '.join(['g', *free])}):", *(f"    {line}" for line in one.lines)])
        text_name, taken = self._name("s"), self._name("k")
        function.own |= {text_name, taken}
        arguments = ", ".join([given, *(function.needs(variable) for variable in free)])
        function.lines.append(f"{text_name}, {taken} = {self._chosen(views, names, value)}({arguments})")
        done.text(text_name)
        return f"+ {taken}"

    def _written_view(self, views: PlannedViews, number: int, given: str, scopes: list[Scope], function: _Function, done: _Written) -> str:
        node, rest = views.views[number][1], views.rests[number]
        count = "1" if node.name else "0"
        if views.kind == "date":
            assert isinstance(node, PlannedGroup)
            count = self._written_version(node, given, scopes, function, done)
        elif isinstance(node, PlannedField) and not node.name:
            done.add(_Constant(self._constant(node)), node.length)
        else:
            self._written_node(node, f"{given}[{node.name!r}]", scopes, function, done)
        if rest:
            done.add(_Constant(self._constant(rest)), rest.length)
        return count

    def _written_version(self, version: PlannedGroup, given: str, scopes: list[Scope], function: _Function, done: _Written) -> str:
        """A version's members stand in the group around it, whose names are counted there."""
        inner = _Function(own=function.own, free=function.free)
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


def _is_small(table: PlannedTable) -> bool:
    """Whether its items are written out one by one."""
    fields = sum(1 for _ in templates([table.item]))
    return table.counter is None and not varies(table.item) and table.most <= _UNROLLED and table.most * fields <= _UNROLLED_FIELDS


def _is_opaque(node: Node) -> bool:
    return isinstance(node, PlannedField) and node.is_opaque


def _sum(*sources: str) -> str:
    return " + ".join(source for source in sources if source)


def _references(nodes: Iterable[Node]) -> Iterator[Reference]:
    for node in nodes:
        if isinstance(node, PlannedGroup):
            yield from _references(node.members)
        elif isinstance(node, PlannedTable):
            if node.counter:
                yield node.counter
            yield from _references([node.item])
        elif isinstance(node, PlannedViews):
            if node.chooser:
                yield node.chooser
            yield from _references(view for _, view in node.views)


def _lists(counter: str, nodes: Iterable[Node], given: str) -> Iterator[str]:
    """Source of the lists that a counter counts, as far as only names lead to them."""
    for node in nodes:
        inside = f"{given}[{node.name!r}]"
        if isinstance(node, PlannedTable) and node.depending == counter:
            yield inside
        elif isinstance(node, PlannedGroup):
            yield from _lists(counter, node.members, inside)


def looking(front: str, codec: str) -> str:
    """Source of all that stands in `front` as a codec decodes it."""
    return f"{front}.hex()" if codec == "hex" else f"{front}.decode({codec!r}, 'replace')"
