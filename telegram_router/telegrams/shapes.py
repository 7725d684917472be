"""Whether what a spec file declares has the right types at all: the other checks rely on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from telegram_router.errors import ConfigProblem
from telegram_router.telegrams.declare import Conduct, ErrorReply, Family, Formality, Message, Plus, Reply, Table
from telegram_router.telegrams.framing import FixedSize, Framing, LengthField, Poll, Terminated

Shape = tuple[str, Callable[[Any], bool]]  # in words, and the test


def _of(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in value)


def _pairs(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Sequence) and all(isinstance(item, kind) for item in value)


_TEXT: Final[Shape] = ("a text", _of(str))
_TEXT_OR_NONE: Final[Shape] = ("a text or None", _of(str, type(None)))
_TEXTS: Final[Shape] = ('a tuple of texts, like ("a",)', _texts)
_NUMBER: Final[Shape] = ("a whole number", _of(int))
_BYTES: Final[Shape] = ("bytes", _of(bytes))
_BY_PATH: Final[Shape] = (
    "a table of field paths",
    lambda value: isinstance(value, Mapping) and all(isinstance(path, str) for path in value),
)

_SHAPES: Final[Mapping[type, Mapping[str, Shape]]] = {
    Family: {
        "name": _TEXT,
        "title": _TEXT,
        "version": _TEXT,
        "encoding": _TEXT,
        "framing": ("a Framing, like Framing(FixedSize(300))", _of(Framing)),
        "length": ("a whole number of bytes, or None", _of(int, type(None))),
        "key": _TEXTS,
        "correlation": _TEXTS,
        "messages": ("a list of Message", _list_of(Message)),
        "reply_rule": ("Plus, Table or None", _of(Plus, Table, type(None))),
        "errors": ("an ErrorReply or None", _of(ErrorReply, type(None))),
        "conduct": ("a Conduct or None", _of(Conduct, type(None))),
        "carrier": _TEXT_OR_NONE,
        "owner": _TEXT_OR_NONE,
        "trace": _TEXT_OR_NONE,
        "strict": _TEXT_OR_NONE,
        "volatile": ("a table of texts", _pairs),
    },
    Message: {"name": _TEXT, "title": _TEXT, "key": _TEXTS, "reply": ("a Reply or None", _of(Reply, type(None))), "kind": _TEXT},
    Reply: {"kind": _TEXT, "message": _TEXT_OR_NONE, "current": _TEXT_OR_NONE, "total": _TEXT_OR_NONE},
    Plus: {"field": _TEXT, "step": _NUMBER},
    Table: {"field": _TEXT, "answers": ("a table of texts", _pairs)},
    ErrorReply: {
        "field": _TEXT,
        "not_sent": _TEXT,
        "sent_unknown": _TEXT,
        "codes": ("a table of texts", _pairs),
        "message": _TEXT_OR_NONE,
        "set": _BY_PATH,
    },
    Formality: {"message": _TEXT, "set": _BY_PATH, "accepted": _TEXTS},
    Conduct: {
        "response": _TEXT,
        "accepted": _TEXTS,
        **{role: ("a Formality or None", _of(Formality, type(None))) for role in ("sign_on", "sign_off", "echo")},
        "set": _BY_PATH,
        "answers": ("a table of texts", _pairs),
    },
    Framing: {
        "length": ("LengthField, FixedSize or Terminated", _of(LengthField, FixedSize, Terminated)),
        "prefix": _NUMBER,
        "polls": ("a list of Poll", _list_of(Poll)),
        "max": ("a whole number or None", _of(int, type(None))),
        "header": _NUMBER,
    },
    LengthField: {
        "offset": _NUMBER,
        "width": _NUMBER,
        "kind": _TEXT,
        "counts": _TEXT,
        "add": _NUMBER,
        "before": _BYTES,
        "after": _BYTES,
        "end": _BYTES,
    },
    FixedSize: {"size": _NUMBER},
    Terminated: {"end": _BYTES, "start": _BYTES},
    Poll: {"request": _BYTES, "answer": ("bytes or None", _of(bytes, type(None))), "echo": _NUMBER},
}


def misshapen(family: Family, filename: str) -> list[ConfigProblem]:
    """What has not the type it should have, each with the line of its declaration."""
    return [
        ConfigProblem(
            "E-CFG-20",
            filename,
            line,
            f"{type(declared).__name__}.{name}",
            f"is of type {type(value).__name__}",
            words,
            "see the guide to specs",
        )
        for declared, line in _declared(family)
        for name, (words, fits) in _SHAPES[type(declared)].items()
        if not fits(value := getattr(declared, name))
    ]


def _declared(family: Family) -> Iterator[tuple[Any, int]]:
    """Everything declared that can be reached, with its line."""
    queue: list[tuple[Any, int]] = [(family, family.line)]
    while queue:
        declared, line = queue.pop()
        yield declared, line
        for name in _SHAPES[type(declared)]:
            value = getattr(declared, name)
            for inner in value if isinstance(value, list | tuple) else [value]:
                if type(inner) in _SHAPES:
                    queue.append((inner, getattr(inner, "line", line)))
