"""Straight-line Python for the mapping of one message: its telegram to JSON, and the service's JSON to the reply's bytes."""

# Rules this file keeps, all of them tested against the general way in json_mapping:
#
# 1. A function either gives what the general way would give, or None. It never says what is wrong.
# 2. Bytes of the request stand in the reply as they are only where the reply would write the same: the field is the same, and
#    the request was written canonically (it has no residue).
# 3. Only names that a spec's or a configuration's author chose and numbers get into the source, names always through repr().

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from telegram_router.errors import FieldError
from telegram_router.telegrams.fields import MISSING, FieldFault, Kind, Length, Opaque
from telegram_router.telegrams.json_form import MAX_DEPTH
from telegram_router.telegrams.json_values import Convert, reader_of, writer_of
from telegram_router.telegrams.layout import PlannedField, is_flat

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout

ToJson = Callable[[dict[str, Any], dict[str, Any]], bytes | None]  # of the header's and the body's values
ToReply = Callable[[bytes, dict[str, Any], dict[str, Any], bytes], bytes | None]  # of a request's bytes and values, and the JSON

_NOT_AS_USUAL = (KeyError, TypeError, ValueError, IndexError, AttributeError, FieldFault, FieldError, msgspec.MsgspecError)
_VARIABLES = {"header": "h", "body": "v"}
_PARSED = (f"if text.count(b'[') + text.count(b'{{') > {MAX_DEPTH}:", "    return None", "a = decode(text)")


class Given(NamedTuple):
    """What a reply takes from elsewhere than its request, by section and name: the steps into the JSON, or a constant value."""

    steps: Mapping[tuple[str, str], tuple[str, ...]]
    constants: Mapping[tuple[str, str], Any]


def to_json_function(tree: Mapping[str, Any]) -> ToJson:
    """`tree` is the JSON's shape with planned fields as its leaves."""
    source = _Source()
    return source.function("h, v", f"encode({source.object(tree)})", [])  # type: ignore[no-any-return]


def to_reply_of_form_function(reply: MessageLayout) -> ToReply | None:
    """For the message form, where it has all fields of a section or, of the header, none. None where the reply has groups."""
    if not is_flat(reply.tree):
        return None
    source = _Source()
    own = {name: source.use(value) for name, value in reply.codec.keys.items()}
    kept = dict.fromkeys((*reply.spec.family.key, *reply.spec.family.correlation))
    differs = [f"head[{name!r}] != {own.get(name, f'h[{name!r}]')}" for name in kept]
    before = [
        *_PARSED,
        f"if not a.keys() <= FORM or a.get('message', {reply.name!r}) != {reply.name!r}:",
        "    return None",
        "given = a['body']",
        f"body = {source.values(reply, 'body')}",
        "if len(given) != len(body):",
        "    return None",
        "if 'header' in a:",
        "    given = a['header']",
        f"    head = {source.values(reply, 'header')}",
        f"    if len(given) != len(head) or {' or '.join(differs)}:",
        "        return None",
        "else:",
        "    head = header_of_reply(h)",
    ]
    source.names |= {"FORM": {"message", "header", "body"}, "header_of_reply": reply.header_of_reply, "write": reply.encode}
    return source.function("b, h, v, text", "write(head, body)", before)  # type: ignore[no-any-return]


def to_reply_function(request: MessageLayout, reply: MessageLayout, given: Given) -> ToReply | None:
    """None where the reply cannot be put together from the request's bytes."""
    if not (is_flat(request.tree) and is_flat(reply.tree)) or reply.windows.all:
        return None
    source = _Source()
    try:
        pieces = [*_joined(source.piece(planned, request, reply, given) for planned in reply.fields)]
    except (FieldFault, _NotStraight):
        return None
    return source.function("b, h, v, text", f"b''.join(({', '.join(pieces)},))", _PARSED)  # type: ignore[no-any-return]


class _NotStraight(Exception):
    """A reply that needs the general way."""


class _Source:
    """Source of one function, and the names it uses."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            "encode": msgspec.json.Encoder().encode,
            "decode": msgspec.json.Decoder().decode,
            "NOT_AS_USUAL": _NOT_AS_USUAL,
        }

    def function(self, arguments: str, result: str, before: Iterable[str]) -> Any:
        lines = [f"def straight({arguments}):", "    try:", *(f"        {line}" for line in before), f"        return {result}"]
        lines += ["    except NOT_AS_USUAL:", "        return None", ""]
        exec(compile("\n".join(lines), "<straight mapping>", "exec"), self.names)  # noqa: S102  # made here, of numbers and repr()ed names
        return self.names["straight"]

    def use(self, value: object) -> str:
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    # -- to JSON

    def object(self, tree: Mapping[str, Any]) -> str:
        members = (f"{step!r}: {self.object(node) if isinstance(node, Mapping) else self.json_value(node)}" for step, node in tree.items())
        return f"{{{', '.join(members)}}}"

    def json_value(self, planned: PlannedField) -> str:
        value = f"{_VARIABLES[planned.section]}[{planned.name!r}]"
        write = writer_of(planned.kind)
        if write is None:
            return value
        if isinstance(planned.kind, Opaque):  # the encoder writes bytes in base64 by itself
            return f"(x if (x := {value}).__class__ is bytes else {self.use(write)}(x))"
        return f"{self.use(write)}({value})"

    # -- to the reply

    def values(self, reply: MessageLayout, section: str) -> str:
        """Source of a section's values out of `given`."""
        named = [planned for planned in reply.fields if planned.section == section and planned.name]
        return f"{{{', '.join(f'{f.name!r}: {self.use(reader_of(f.kind))}(given[{f.name!r}])' for f in named)}}}"

    def piece(self, planned: PlannedField, request: MessageLayout, reply: MessageLayout, given: Given) -> slice | str:
        """Bytes of the request, or source of bytes."""
        place = (planned.section, planned.name)
        kind = planned.kind
        if isinstance(kind, Length):
            if reply.codec.opaque is not None:
                raise _NotStraight
            return repr(kind.write_in(None, reply.codec.fixed_size))
        if not planned.name or place in given.constants:
            return repr(kind.write(given.constants.get(place)))
        if place in given.steps:
            return f"{self.use(kind.write)}({self.found(kind, given.steps[place])})"
        if planned.key is not None:
            return repr(kind.write(planned.key))
        asked = next((f for f in request.fields if (f.section, f.name) == place), None)
        if asked is not None:
            if _same(asked.kind, kind):
                return slice(asked.offset, None if asked.is_opaque else asked.end)
            return f"{self.use(kind.write)}({_VARIABLES[planned.section]}[{planned.name!r}])"
        if kind.default is MISSING:
            raise _NotStraight
        return repr(kind.write(kind.default))

    def found(self, kind: Kind, steps: tuple[str, ...]) -> str:
        """Source of a field's value out of the JSON. A number as a step may be a position or a name."""
        if any(step.isdecimal() for step in steps):
            raise _NotStraight
        read: Convert = reader_of(kind)
        return f"{self.use(read)}(a{''.join(f'[{step!r}]' for step in steps)})"


def _joined(pieces: Iterable[slice | str]) -> Iterator[str]:
    """Neighbouring slices of the request become one."""
    start = end = 0
    pending = False
    for piece in pieces:
        if isinstance(piece, slice) and pending and piece.start == end:
            end = piece.stop
            continue
        if pending:
            yield _slice(start, end)
        pending = isinstance(piece, slice)
        if isinstance(piece, slice):
            start, end = piece.start, piece.stop
        else:
            yield piece
    if pending:
        yield _slice(start, end)


def _slice(start: int, end: int | None) -> str:
    return f"b[{start}:{'' if end is None else end}]"


def _same(one: Kind, other: Kind) -> bool:
    """Both read and write alike, wherever they were declared."""
    return one is other or (type(one) is type(other) and vars(one) | {"line": 0} == vars(other) | {"line": 0})
