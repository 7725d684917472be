"""A message as plain construct, interpreted: an oracle for the generated code, and the way of those who need construct's tools."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, TypeAlias

from construct import Construct, Renamed, Struct

from telegram_router.telegrams.codec import Codec
from telegram_router.telegrams.fields import FieldFault
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    _Construct: TypeAlias = Construct[Any, Any]
else:
    _Construct = Construct


class WholeTelegram(_Construct):
    """`header` and `body` of exactly one telegram. construct by itself ignores trailing bytes and unknown names."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self._codec = codec
        self.struct = Struct("header" / _struct(codec, "header"), "body" / _struct(codec, "body"))

    def _parse(self, stream: IO[bytes], context: Any, path: str) -> Any:
        start = stream.tell()
        size = stream.seek(0, 2) - start
        stream.seek(start)
        problem = self._codec.size_problem(size)
        if problem is not None:
            raise FieldFault(problem.code, problem.what, problem.expected)
        context._params["telegram_size"] = size
        return self.struct._parse(stream, context, path)

    def _build(self, obj: Any, stream: IO[bytes], context: Any, path: str) -> Any:
        self._refuse_unknown(obj)
        context._params["telegram_size"] = self._codec.size_of(obj["body"])
        filled = {"header": self._codec.keys | dict(obj["header"]), "body": obj["body"]}
        try:
            return self.struct._build(filled, stream, context, path)
        except KeyError:
            raise FieldFault("E-FLD-12", "field is missing", "all names of the layout") from None

    def _refuse_unknown(self, obj: Any) -> None:
        for section in ("header", "body"):
            if not set(obj[section]) <= self._codec.names[section]:
                raise FieldFault("E-FLD-12", f"unknown name in the {section}", "only names of the layout")

    def _sizeof(self, context: Any, path: str) -> int:
        return self.struct._sizeof(context, path)


def _struct(codec: Codec, section: str) -> Any:
    return Struct(*(_renamed(planned) for planned in codec.fields if planned.section == section))


def _renamed(planned: PlannedField) -> Any:
    field = Renamed(planned.kind, newname=planned.name) if planned.name else planned.kind
    return field * planned.label if planned.label else field
