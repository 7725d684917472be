"""Where each key of a TOML file stands: key path in, line out. tomllib reads values but forgets positions."""

# Rules this file keeps:
#
# 1. It is given only text that tomllib has accepted, so it looks for ends and never judges.
# 2. Every path of tomllib's result has a line, list elements included: ("routes", 0, "match", "message_type").

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A multi-line string may hold one or two quotes anywhere, and end with two of its own before the closing three.
_STRING = re.compile(
    r'"""(?:\\.|[^\\"]|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:\\.|[^\\"\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


class KeyLines:
    """The lines of a valid TOML text, from 1, by the key paths that first appear there. Nothing is looked for until somebody asks."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def known(self) -> dict[Path, int]:
        """Every path of the text, and its line."""
        scanner = _Scanner(self._text)
        scanner.document()
        return scanner.lines

    def of(self, path: Path) -> int:
        """The line of a path, or of the nearest table around it when the path itself is not in the file; 0 for none."""
        while path:
            if path in self.known:
                return self.known[path]
            path = path[:-1]
        return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._last_of: dict[Path, int] = {}  # array of tables -> index of its newest element

    def document(self) -> None:
        table: Path = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)

    def _header(self) -> Path:
        begin = self._at
        array = self._text.startswith("[[", begin)
        self._at += 2 if array else 1
        names = self._key()
        self._at += 2 if array else 1
        path: Path = ()
        for place, name in enumerate(names, start=1):
            path = self._note((*path, name), begin)
            if array and place == len(names):
                self._last_of[path] = self._last_of.get(path, -1) + 1
            if path in self._last_of:
                path = self._note((*path, self._last_of[path]), begin)
        return path

    def _pair(self, table: Path) -> None:
        begin = self._at
        path = table
        for name in self._key():
            path = self._note((*path, name), begin)
        self._at += 1  # the "="
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            if self._next() in "\"'":
                quoted = self._skip(_STRING)
                names.append(str(tomllib.loads(f"k = {quoted}")["k"]))
            else:
                names.append(self._skip(_BARE_KEY))
            self._skip(_SPACE)
            if self._next() != ".":
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        first = self._next()
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(_STRING if first in "\"'" else _SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1  # the "["
        index = 0
        while self._more("]"):
            self._value(self._note((*path, index), self._at))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1  # the "{"
        while self._more("}"):
            self._pair(path)

    def _more(self, end: str) -> bool:
        """Step over gaps and a comma; True when an element follows, False once the end bracket is behind us."""
        self._skip(_GAP)
        if self._next() == ",":
            self._at += 1
            self._skip(_GAP)
        if self._next() != end:
            return True
        self._at += 1
        return False

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:  # only text that tomllib refuses gets here
            raise ValueError(f"not TOML at character {self._at}")
        self._at = match.end()
        return match.group()

    def _note(self, path: Path, begin: int) -> Path:
        self.lines.setdefault(path, bisect_left(self._breaks, begin) + 1)
        return path


def dotted(path: Sequence[str | int]) -> str:
    """A path of the file as people write it: `routes[1].match.branch`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[\w-]+", step, re.ASCII) else f'"{step if step.isprintable() else ascii(step)[1:-1]}"'
            text += ("." if text else "") + name
    return text
