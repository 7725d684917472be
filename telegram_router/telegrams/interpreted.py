"""A message as plain construct, interpreted: an oracle for the generated code, and the way of those who need construct's tools."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, TypeAlias

from construct import Construct, Renamed, Struct

from telegram_router.telegrams import groups
from telegram_router.telegrams.codec import Codec
from telegram_router.telegrams.fields import FieldFault
from telegram_router.telegrams.groups import bare, counted_by
from telegram_router.telegrams.layout import IN_HEADER, Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference
from telegram_router.telegrams.nested_codec import NestedCodec
from telegram_router.telegrams.windows import Windows

if TYPE_CHECKING:
    _Construct: TypeAlias = Construct[Any, Any]
else:
    _Construct = Construct


class WholeTelegram(_Construct):
    """`header` and `body` of exactly one telegram. construct by itself ignores trailing bytes and unknown names."""

    def __init__(self, codec: Codec, windows: Windows) -> None:
        super().__init__()
        self._codec = codec
        self._windows = windows
        members = _nested(codec) if isinstance(codec, NestedCodec) else [_flat(codec, "header"), _flat(codec, "body")]
        self.struct = Struct("header" / members[0], "body" / members[1])

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> Any:
        start = stream.tell()
        size = stream.seek(0, 2) - start
        stream.seek(start)
        problem = self._codec.size_problem(size)
        if problem is not None:
            raise FieldFault(problem.code, problem.what, problem.expected)
        context._params["telegram_size"] = size
        parsed = self.struct._parse(stream, context, path)
        if stream.tell() - start != size:
            raise FieldFault("E-FRM-07", f"{size - stream.tell() + start} bytes beyond the layout", f"{stream.tell() - start} bytes")
        self._windows.check_one(parsed["header"], parsed["body"])
        return parsed

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        self._refuse_unknown(obj)
        context._params["telegram_size"] = self._codec.size_of(obj["body"])
        filled = {"header": self._codec.keys | self._counts(obj) | dict(obj["header"]), "body": obj["body"]}
        try:
            built = self.struct._build(filled, stream, context, path)
        except KeyError:
            raise FieldFault("E-FLD-12", "field is missing", "all names of the layout") from None
        self._windows.check_one(filled["header"], filled["body"])
        return built

    def _counts(self, obj: Any) -> dict[str, int]:
        """Counters in the header follow from the lists in the body."""
        body = bare(self.struct.subcons[1]).subcons
        found = {f.name: set(counted_by(f.path, body, obj["body"])) for f in self._codec.fields if f.counts and f.section == "header"}
        return {name: lengths.pop() for name, lengths in found.items() if len(lengths) == 1}

    def _refuse_unknown(self, obj: Any) -> None:
        for section in ("header", "body"):
            if not set(obj[section]) <= self._codec.names[section]:
                raise FieldFault("E-FLD-12", f"unknown name in the {section}", "only names of the layout")

    def _sizeof(self, context: Any, path: str) -> int:
        return self.struct._sizeof(context, path)


def _flat(codec: Codec, section: str) -> Any:
    return Struct(*(_renamed(planned, planned.kind) for planned in codec.fields if planned.section == section))


def _renamed(node: Node, inner: Any) -> Any:
    field = Renamed(inner, newname=node.name) if node.name else inner
    return field * node.label if node.label else field


# --- groups, tables and views -----------------------------------------------------------------------------------


def _nested(codec: NestedCodec) -> list[Any]:
    return [groups.Struct(*map(_member, nodes)) for nodes in (codec.header, codec.body)]


def _member(node: Node) -> Any:
    return _views(node) if isinstance(node, PlannedViews) else _renamed(node, _bare(node))


def _bare(node: Node) -> Any:
    if isinstance(node, PlannedField):
        return node.kind
    if isinstance(node, PlannedGroup):
        return groups.Struct(*map(_member, node.members))
    assert isinstance(node, PlannedTable)
    count = groups.between(node.least, node.most, depending=_name(node.counter), storage=node.storage) if node.counter else node.most
    table = groups.Occurs(count, _bare(node.item))
    table.blank = node.spare.write(None)[:1] if node.spare else b" "
    return table


def _views(node: PlannedViews) -> Any:
    views = {name: _bare(view) for name, view in node.views}
    if node.kind == "date":
        assert node.chooser is not None
        return groups.Versions(_name(node.chooser), views)
    by = _name(node.chooser) if node.chooser else None
    made = groups.Redefines(by=by, views=views, when=node.when, default=node.default)
    made.blank = next((rest.kind.write(None)[:1] for rest in node.rests if rest), b" ")
    return made


def _name(reference: Reference) -> str:
    return reference.path if reference.up == IN_HEADER else reference.field.name
