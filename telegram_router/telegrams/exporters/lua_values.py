"""Python's values as Lua source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_RESERVED: Final = frozenset(
    (
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or"),
        *("repeat", "return", "then", "true", "until", "while"),
    )
)


def lua(value: Any) -> str:
    """A text, bytes, a number, a list or a table as a Lua expression."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(map(_escaped, value)) + '"'
    if isinstance(value, bytes):
        return '"' + "".join(_escaped(chr(byte)) if 0x20 <= byte < 0x7F else f"\\{byte:03d}" for byte in value) + '"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_name(key)} = {lua(each)}" for key, each in value.items()) + " }"
    return "{ " + ", ".join(map(lua, value)) + " }"


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else "".join(f"\\{byte:03d}" for byte in character.encode("utf-8", "replace"))


def _name(key: object) -> str:
    is_word = isinstance(key, str) and key.isascii() and key.isidentifier() and key not in _RESERVED
    return str(key) if is_word else f"[{lua(key)}]"
