"""The scanner for lines against texts whose lines are known because they were written key by key."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.config.lines import KeyLines, Path

NOISE = ["", "# a comment", "  # [not.a.table] x = 1", "\t"]
SCALARS = [
    "1",
    "-0.5",
    "0xFF",
    "true",
    "1979-05-27 07:32:00",
    "07:32:00",
    "inf",
    '"text"',
    "'literal'",
    '"a # b = [1] \\" {"',
    "'# [x] \" {'",
    '""',
    '"""multi\nline # ] }\n  "" \\""""',
    "'''\n[x]\ny = 1\n'' '''",
    '"""ends with two""\n"""""',
    "''''quoted''''",
    '"""a\\\n   b"""',
]
KEYS = ["a", "b-c", "_9", "0200", "quoted key", "dotted.key", "송금", "tab\t", 'quo"te', "#", "]", ""]


class Writer:
    """Writes TOML and notes the line of every path."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def note(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def key(self, name: str) -> str:
        bare = name != "" and all(each.isascii() and (each.isalnum() or each in "_-") for each in name)
        forms = [json.dumps(name, ensure_ascii=self.draw(st.booleans()))]
        if bare:
            forms.append(name)
        if not {"'", "\n"} & set(name):
            forms.append(f"'{name}'")
        return str(self.pick(*forms))

    def names(self, path: Path, taken: set[str]) -> list[str]:
        """One unused name, or two joined by a dot."""
        free = [name for name in KEYS if name not in taken]
        first = self.pick(*free)
        taken.add(first)
        return [first, self.pick(*KEYS)] if self.draw(st.booleans()) else [first]

    def pair(self, table: Path, taken: set[str], inline: bool, depth: int) -> None:
        names = self.names(table, taken)
        for place in range(len(names)):
            self.note((*table, *names[: place + 1]))
        self.text += self.pick(".", " . ").join(map(self.key, names)) + self.pick("=", " = ")
        self.value((*table, *names), inline, depth)

    def value(self, path: Path, inline: bool, depth: int) -> None:
        form = self.pick("scalar", "scalar", "array", "inline") if depth else "scalar"
        if form == "scalar":
            scalars = [each for each in SCALARS if not (inline and "\n" in each)]
            self.text += self.pick(*scalars)
        elif form == "array":
            self.array(path, inline, depth)
        else:
            self.inline_table(path, depth)

    def array(self, path: Path, inline: bool, depth: int) -> None:
        gaps = [""] if inline else ["", " ", "\n", "\n# ], [\n  "]
        self.text += "["
        for index in range(self.draw(st.integers(0, 3))):
            self.text += ("," if index else "") + self.pick(*gaps)
            self.note((*path, index))
            self.value((*path, index), inline, depth - 1)
            self.text += self.pick(*gaps)
        self.text += "]"

    def inline_table(self, path: Path, depth: int) -> None:
        taken: set[str] = set()
        self.text += "{" + self.pick("", " ")
        for index in range(self.draw(st.integers(0, 3))):
            self.text += ", " if index else ""
            self.pair(path, taken, True, depth - 1)
        self.text += self.pick("", " ") + "}"

    def body(self, table: Path) -> None:
        taken: set[str] = set()
        for _ in range(self.draw(st.integers(0, 3))):
            self.noise()
            self.text += self.pick("", "  ")
            self.pair(table, taken, False, 2)
            self.text += self.pick("\n", " # = [x]\n", "\r\n")

    def noise(self) -> None:
        for _ in range(self.draw(st.integers(0, 2))):
            self.text += self.pick(*NOISE) + self.pick("\n", "\r\n")


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    writer = Writer(draw)
    writer.body(())
    for number in range(draw(st.integers(0, 3))):
        name, below = f"table{number}", writer.pick(*KEYS)
        writer.note((name,))
        writer.note((name, below))
        writer.text += f"[{writer.key(name)}.{writer.key(below)}]\n"
        writer.body((name, below))
    for number in range(draw(st.integers(0, 2))):
        name = f"array{number}"
        for index in range(draw(st.integers(1, 3))):
            writer.noise()
            writer.note((name,))
            writer.note((name, index))
            writer.text += f"[[ {writer.key(name)} ]] # [[{name}]]\n"
            writer.body((name, index))
            writer.note((name, index, "sub"))
            writer.text += f"[{name} . sub]\n"
            writer.body((name, index, "sub"))
    return writer.text, writer.lines


def paths(value: object, path: Path = ()) -> set[Path]:
    if isinstance(value, dict):
        below = value.items()
    elif isinstance(value, list):
        below = enumerate(value)  # type: ignore[assignment]
    else:
        return set()
    found: set[Path] = set()
    for step, each in below:
        found |= {(*path, step)} | paths(each, (*path, step))
    return found


@settings(deadline=None)
@given(documents())
def test_every_path_has_the_line_where_it_first_appears(document: tuple[str, dict[Path, int]]):
    text, written = document
    lines = KeyLines(text).known
    assert lines == written
    assert lines.keys() == paths(tomllib.loads(text))


def test_a_path_that_is_not_in_the_file_has_the_line_of_the_table_around_it():
    lines = KeyLines("\n[services.transfer]\ntimeout = '1s'\n")
    assert lines.of(("services", "transfer", "timeout")) == 3
    assert lines.of(("services", "transfer", "backends")) == 2
    assert lines.of(("listeners",)) == 0
