"""Declarations as the text one writes in a spec, and that text back to declarations without running it."""

# Rules this file keeps:
#
# 1. What is spelled out and read again is the same declaration; what equals a default is left out.
# 2. Reading knows the names of this language and literals, nothing else: no text from outside is ever executed.

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from telegram_router.telegrams import fields, groups
from telegram_router.telegrams.declare import OUR_CODE, Conduct, ErrorReply, Filled, Formality, Plus, Reply, Table
from telegram_router.telegrams.fields import Kind
from telegram_router.telegrams.framing import FixedSize, Framing, LengthField, Poll, Terminated

_KINDS: Final[dict[str, Callable[..., Any]]] = {
    name: kind for name, kind in vars(fields).items() if isinstance(kind, type) and issubclass(kind, Kind)
}
_NAMES: Final[dict[str, Callable[..., Any]]] = {
    **_KINDS,
    **{
        each.__name__: each
        for each in (Framing, LengthField, FixedSize, Terminated, Poll, Plus, Table, ErrorReply, Conduct, Formality, groups.between)
    },
}
_REPLIES: Final[dict[str, Callable[..., Any]]] = {"one": Reply.one, "none": Reply.none, "until": Reply.until}
_MARKS: Final[dict[str, Any]] = {"OUR_CODE": OUR_CODE, **Filled.__members__}
_LONGEST: Final = 30_000  # characters: a cell of a spreadsheet holds no more


class NotADeclaration(ValueError):
    """A text that is no declaration of this language."""


# --- to text ----------------------------------------------------------------------------------------------------


def spelled(value: Any, instead: Mapping[str, str] | None = None) -> str:
    """The text of a declaration. `instead` gives the text of some of its arguments. Raises NotADeclaration for what has none."""
    if isinstance(value, Kind | Framing):
        return _call(type(value).__name__, _arguments(value), instead or {})
    if isinstance(value, Reply):
        return _spelled_reply(value)
    if isinstance(value, groups.Bounds):
        storage = f', storage="{value.storage}"' if value.storage != "max" else ""
        return f"between({value.least}, {value.most}, depending={_text(value.depending)}{storage})"
    if dataclasses.is_dataclass(value) and type(value).__name__ in _NAMES:
        return _call(type(value).__name__, _dataclass_arguments(value), instead or {})
    return _literal(value)


def _call(name: str, arguments: Iterator[tuple[str, Any, bool]], instead: Mapping[str, str]) -> str:
    shown = []
    for key, value, by_place in arguments:
        text = instead[key] if key in instead else spelled(value)
        shown.append(text if by_place else f"{key}={text}")
    return f"{name}({', '.join(shown)})"


def _arguments(value: Kind | Framing) -> Iterator[tuple[str, Any, bool]]:
    """Arguments that differ from their defaults; those without a default, and codes, by place."""
    by_place, plain = True, _plain(value)
    for name, parameter in inspect.signature(type(value).__init__).parameters.items():
        if name == "self":
            continue
        if not hasattr(value, name):
            raise NotADeclaration(f"{type(value).__name__} does not show its argument {name}")
        given = getattr(value, name)
        if parameter.default is not inspect.Parameter.empty and _same(given, getattr(plain, name, parameter.default)):
            by_place = False
            continue
        by_place = by_place and (parameter.default is inspect.Parameter.empty or name in ("values", "length"))
        yield name, given, by_place


def _plain(value: Kind | Framing) -> Any:
    """The same with nothing given but what must be: some defaults become something else when a declaration is made."""
    parameters = inspect.signature(type(value).__init__).parameters.items()
    needed = [getattr(value, name, None) for name, each in parameters if name != "self" and each.default is inspect.Parameter.empty]
    make: Any = type(value)
    try:
        return make(*needed)
    except Exception:  # kinds check their arguments in their own ways
        return None


def _same(given: Any, default: Any) -> bool:
    return bool(given == default) and type(given) is type(default)


def _dataclass_arguments(value: Any) -> Iterator[tuple[str, Any, bool]]:
    for each in dataclasses.fields(value):
        given = getattr(value, each.name)
        default = each.default_factory() if each.default_factory is not dataclasses.MISSING else each.default
        if each.name != "line" and (default is dataclasses.MISSING or not _same(given, default)):
            yield each.name, given, default is dataclasses.MISSING and type(value) in (Poll, Plus, Table, FixedSize, Terminated)


def _spelled_reply(reply: Reply) -> str:
    if reply.kind == "none":
        return "Reply.none()"
    ends = "" if reply.kind == "one" else f", current={_text(reply.current or '')}, total={_text(reply.total or '')}"
    return f"Reply.{reply.kind}({_text(reply.message or '')}{ends})"


def _literal(value: Any) -> str:
    if value is OUR_CODE:
        return "OUR_CODE"
    if isinstance(value, Filled):
        return value.name
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes):
        return "b" + _text(value.decode("latin-1"), escape_from=0x7F)
    if isinstance(value, bool | int | float | None):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{spelled(key)}: {spelled(each)}' for key, each in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(spelled, value))}]"
    raise NotADeclaration(f"a {type(value).__name__} cannot be spelled out")


def _text(text: str, escape_from: int = 0x110000) -> str:
    """In double quotes; what does not print is escaped."""
    mark = "'" if '"' in text and "'" not in text else '"'
    return mark + "".join(_character(each, mark, escape_from) for each in text) + mark


def _character(each: str, mark: str, escape_from: int) -> str:
    if each in ("\\", mark):
        return f"\\{each}"
    if each.isprintable() and ord(each) < escape_from:
        return each
    return f"\\x{ord(each):02x}" if ord(each) < 0x100 else each.encode("unicode_escape").decode("ascii")


# --- from text --------------------------------------------------------------------------------------------------


def read_declaration(text: str) -> Any:
    """The declaration that a text spells out: a field kind, a framing, a reply rule and so on. Raises NotADeclaration."""
    return _value(_expression(text))


def read_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name and arguments of a call whose name need not be known. Raises NotADeclaration."""
    node = _expression(text)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise NotADeclaration("is not of the form Kind(...)")
    return node.func.id, [_value(each) for each in node.args], _keywords(node)


def _expression(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise NotADeclaration(f"has more than {_LONGEST:,} characters")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotADeclaration("is not of the form Kind(...)") from None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -_number(node.operand.value)
    if isinstance(node, ast.Tuple):
        return tuple(map(_value, node.elts))
    if isinstance(node, ast.List):
        return [*map(_value, node.elts)]
    if isinstance(node, ast.Dict) and all(node.keys):
        return _table(node)
    if isinstance(node, ast.Name) and node.id in _MARKS:
        return _MARKS[node.id]
    if isinstance(node, ast.Call):
        return _called(node)
    raise NotADeclaration(f"{ast.unparse(node)[:40]!r} is neither a literal nor a declaration")


def _table(node: ast.Dict) -> dict[Any, Any]:
    try:
        return {_value(key): _value(each) for key, each in zip(node.keys, node.values, strict=True) if key is not None}
    except TypeError:
        raise NotADeclaration("has a list as a key") from None


def _number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise NotADeclaration("has a minus sign before what is no number")


def _called(node: ast.Call) -> Any:
    function = _function(node.func)
    try:
        return function(*map(_value, node.args), **_keywords(node))
    except NotADeclaration:
        raise
    except Exception as error:  # a declaration of wrong arguments fails in its own ways
        raise NotADeclaration(f"{ast.unparse(node.func)} does not take these arguments ({type(error).__name__})") from None


def _function(node: ast.expr) -> Callable[..., Any]:
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reply" and node.attr in _REPLIES:
        return _REPLIES[node.attr]
    raise NotADeclaration(f"{ast.unparse(node)[:40]} is not a declaration of this language")


def _keywords(node: ast.Call) -> dict[str, Any]:
    if any(keyword.arg is None for keyword in node.keywords):
        raise NotADeclaration("has ** in it")
    return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
