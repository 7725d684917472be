"""Source of the function that reads a message with groups, tables and views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from telegram_router.telegrams.fields import Length
from telegram_router.telegrams.layout import IN_HEADER, Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference, varies
from telegram_router.telegrams.nested_parts import Function, Parts, Scope, Spot, is_small, looking


class Decoding:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._header_scope: Scope = {}

    def lines(self) -> Iterator[str]:
        least, most = self._parts.codec.sizes()
        function = Function()
        header, spot = self._members(self._parts.codec.header, Spot(), [], function)
        scope: list[Scope] = [self._header_scope]
        body, spot = self._members(self._parts.codec.body, spot, scope, function)
        yield "def decode(b):"
        wrong = f"len(b) != {least}" if least == most else f"not {least} <= len(b)" + (f" <= {most}" if most is not None else "")
        yield f"    if {wrong}:"
        yield "        raise FieldError([codec.size_problem(len(b))])"
        yield from (f"    {line}" for line in self._texts())
        yield "    found = []"
        yield "    try:"
        yield from (f"        {line}" for line in function.lines)
        if spot.moved or self._parts.codec.opaque:
            compared = "<" if self._parts.codec.opaque else "!="
            yield f"        if len(b) {compared} {self._parts.codec.fixed_size}{f' + {spot.moved}' if spot.moved else ''}:"
            yield "            raise NotAsUsual"
        yield f"        telegram = Telegram(spec, message, {{{', '.join(header)}}}, {{{', '.join(body)}}}, None, b)"
        yield "        if found:"
        yield "            telegram.residue = dict(found)"
        yield "        return telegram"
        yield "    except NOT_AS_USUAL:"
        yield "        pass  # and not from here: what was raised may hold values"
        yield "    return complete(b)"

    def _texts(self) -> Iterator[str]:
        spelled = "" if self._parts.alphabet.is_latin else f".translate({self._parts.use('SEEN', self._parts.alphabet.seen)})"
        yield f"t = b{spelled}.decode('latin-1')"
        yield from (f"{name} = {looking('b', codec)}" for codec, name in self._parts.codecs.items())
        if self._parts.checked:
            yield "tidy = len(b.translate(None, CONTROLS)) == len(b)"
            yield "clean = tidy and t.isascii()"

    def _members(self, nodes: Sequence[Node], spot: Spot, scopes: list[Scope], function: Function) -> tuple[list[str], Spot]:
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

    def _field(self, planned: PlannedField, spot: Spot, scope: Scope, function: Function) -> str:
        if planned.path in scope:
            return scope[planned.path]
        place = self._parts.place(planned, spot)
        source = place.slow if planned.is_opaque or isinstance(planned.kind, Length) else planned.kind.source_of_read(place)
        if planned.path not in self._parts.used:
            return source
        variable = scope[planned.path] = self._parts.name("v")
        function.own.add(variable)
        function.lines.append(f"{variable} = {source}")
        return variable

    def _check_unnamed(self, run: list[PlannedField], spot: Spot, function: Function) -> None:
        """Neighbours are compared in one go: they are as expected nearly always."""
        if not run:
            return
        usual = "".join("" if isinstance(planned.kind, Length) else self._parts.constant(planned) for planned in run)
        seen = f"t{self._span(run[0].offset + spot.static, run[-1].end + spot.static, spot.moved)}"
        function.lines.append(f"if {seen} != {self._parts.use(f'UNNAMED{run[0].offset}', usual)}:")
        function.lines += [f"    {self._parts.place(planned, spot).slow}" for planned in run]
        run.clear()

    @staticmethod
    def _span(start: int, end: int, moved: str) -> str:
        before = f"{moved}+" if moved else ""
        return f"[{before}{start}:{before}{end}]"

    def _variable(self, reference: Reference, scopes: list[Scope], function: Function) -> str:
        scope = self._header_scope if reference.up == IN_HEADER else scopes[-1 - reference.up]
        return function.needs(scope[reference.path])

    def _table(self, table: PlannedTable, spot: Spot, scopes: list[Scope], function: Function) -> tuple[str, Spot]:
        count = self._count(table, scopes, function)
        if is_small(table):
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
                spot, moved=self._parts.assigned("m", f"{moved} - {table.length + spot.static}", function)
            )
        shifted = (
            f"{moved} - {table.length + spot.static}"
            if varies(table.item)
            else _sum(spot.moved, f"({count} - {table.most}) * {table.stride}")
        )
        return made, replace(spot, moved=self._parts.assigned("m", shifted, function))

    def _count(self, table: PlannedTable, scopes: list[Scope], function: Function) -> str:
        if table.counter is None:
            return str(table.most)
        count = self._variable(table.counter, scopes, function)
        function.lines.append(f"if {count}.__class__ is not int or not {table.least} <= {count} <= {table.most}:")
        function.lines.append("    raise NotAsUsual")
        return count

    def _item(self, table: PlannedTable, spot: Spot, scopes: list[Scope], function: Function) -> tuple[str, Spot]:
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

    def _loop(self, table: PlannedTable, spot: Spot, scopes: list[Scope], function: Function, count: str) -> tuple[str, str]:
        """Variables of the list, and of where the item behind the last one would stand."""
        # Where nothing shifts, a later item has moved as far as its residue.
        moved = self._parts.name("o")
        kept = moved if spot.moved == spot.kept and not varies(table.item) else self._parts.name("p")
        inner = Function(own={moved, kept, "n"})
        item, end = self._item(table, Spot(0, moved, kept), scopes, inner)
        name = self._parts.name("items_")
        parameters = ", ".join([self._parts.arguments, "n", *dict.fromkeys((moved, kept)), *inner.free])
        lines = [f"def {name}({parameters}):", "    made = []", "    for _ in range(n):"]
        lines += [f"        {line}" for line in inner.lines]
        lines.append(f"        made.append({item})")
        lines.append(f"        {moved} = {end.moved} + {table.stride}")
        if kept != moved:
            lines.append(f"        {kept} += {table.stride}")
        lines.append(f"    return made, {moved}")
        self._parts.functions.append(lines)
        made, after = self._parts.name("l"), self._parts.name("o")
        function.own |= {made, after}
        starts = spot.arguments.split(", ") if kept != moved else spot.arguments.split(", ")[:1]
        arguments = ", ".join([self._parts.arguments, count, *starts, *(function.needs(variable) for variable in inner.free)])
        function.lines.append(f"{made}, {after} = {name}({arguments})")
        return made, after

    def _check_spare(self, table: PlannedTable, spot: Spot, count: str, function: Function) -> None:
        """Unused places are blank nearly always."""
        before = f"{spot.moved}+" if spot.moved else ""
        start, end = table.offset + spot.static, table.end + spot.static
        seen = f"t[{before}{start} + {count} * {table.stride}:{before}{end}]"
        function.lines.append(f"if {seen}.strip({self._parts.blank(table.spare)!r}):")
        function.lines.append(f"    spares({self._parts.use('TABLE', table)}, b, found, {count}, {spot.arguments})")

    def _views(self, views: PlannedViews, behind: Sequence[Node], spot: Spot, scopes: list[Scope], function: Function) -> list[str]:
        if views.chooser is None:
            return self._view(views, 0, spot, scopes, function)
        value = self._chooser(views.chooser, behind, spot, scopes, function)
        functions = [self._view_function(views, number, spot, scopes) for number in range(len(views.views))]
        free = list(dict.fromkeys(variable for inner in functions for variable in inner.free))
        names = []
        for inner in functions:
            name = self._parts.name("view_")
            names.append(name)
            parameters = ", ".join([self._parts.arguments, *free])
            self._parts.functions.append([f"def {name}({parameters}):", *(f"    {line}" for line in inner.lines)])
        chosen = self._parts.chosen(views, names, value)
        return [f"**{chosen}({', '.join([self._parts.arguments, *(function.needs(variable) for variable in free)])})"]

    def _chooser(self, reference: Reference, behind: Sequence[Node], spot: Spot, scopes: list[Scope], function: Function) -> str:
        if reference.ahead:
            planned = next(node for node in behind if isinstance(node, PlannedField) and node.name == reference.field.name)
            self._field(planned, spot, scopes[-1], function)
        return self._variable(reference, scopes, function)

    def _view_function(self, views: PlannedViews, number: int, spot: Spot, scopes: list[Scope]) -> Function:
        inner = Function()
        for variable in filter(None, (spot.moved, spot.kept)):
            inner.needs(variable)
        inner.lines.append(f"return {{{', '.join(self._view(views, number, spot, scopes, inner))}}}")
        return inner

    def _view(self, views: PlannedViews, number: int, spot: Spot, scopes: list[Scope], function: Function) -> list[str]:
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


def _sum(*sources: str) -> str:
    return " + ".join(source for source in sources if source)
