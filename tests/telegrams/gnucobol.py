"""GnuCOBOL as an outside judge: programs made from a copybook set its fields to given values and show the bytes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from telegram_router.telegrams import load_spec
from telegram_router.telegrams.importers.copybook import CopybookOptions, import_copybook
from telegram_router.telegrams.importers.model import Imported, ImportedField, ImportedGroup, ImportedSpec, ImportedTable, ImportedViews
from telegram_router.telegrams.importers.source import spec_source

COPYBOOKS = Path(__file__).parent / "copybooks"

PROGRAM = """\
       IDENTIFICATION DIVISION.
       PROGRAM-ID. ORACLE.
       DATA DIVISION.
       WORKING-STORAGE SECTION.
       01  ORACLE-SIZE PIC 9(9).
{copies}
       LINKAGE SECTION.
{views}
       PROCEDURE DIVISION.
{statements}
           STOP RUN.
"""


@dataclass(frozen=True)
class Shown:
    """What a program showed of a record: its bytes, and how many COBOL says they are."""

    size: int
    content: bytes


def copied(name: str) -> tuple[str, str] | None:
    file = COPYBOOKS / name
    return (name, file.read_text("utf-8")) if file.is_file() else None


@cache
def imported(name: str, options: CopybookOptions) -> ImportedSpec:
    found = import_copybook((COPYBOOKS / name).read_text("utf-8"), name, options, copied)
    assert found.spec is not None, [finding.text() for finding in found.findings]
    return found.spec


@cache
def loaded(name: str, options: CopybookOptions) -> Any:
    return load_spec(spec_source(imported(name, options)), name)


def size_of(spec: ImportedSpec) -> int:
    return sum(node.size for node in spec.messages[0].body)


def shown(records: Sequence[tuple[str, ImportedSpec, Sequence[Mapping[str, Any] | None]]], flags: Sequence[str]) -> list[list[Shown]]:
    """For each copybook, its spec and some values of its record: what COBOL makes of each. None: what is there before any."""
    copies, views, statements = [], [], []
    for number, (name, spec, values) in enumerate(records):
        record, size = cobol_name(spec.messages[0].title), size_of(spec)
        copies.append(f'       COPY "{name}".')
        views.append(f"       01  BYTES-{number} PIC X({size}).")
        statements.append(f"           SET ADDRESS OF BYTES-{number}\n             TO ADDRESS OF {record}")
        for each in values:
            if each is not None:
                statements.append(f"           MOVE SPACES TO BYTES-{number}")
                statements += moves(spec.messages[0].body, each, record, ())
            statements.append(f"           COMPUTE ORACLE-SIZE = FUNCTION LENGTH({record})")
            statements.append(f"           DISPLAY ORACLE-SIZE\n           DISPLAY BYTES-{number} WITH NO ADVANCING")
    output = run(PROGRAM.format(copies="\n".join(copies), views="\n".join(views), statements="\n".join(statements)), flags)
    return [[*_taken(output, spec, len(values))] for _, spec, values in records if (output := _Rest.of(output))]


class _Rest(bytearray):
    """Output that has not been taken yet."""

    @classmethod
    def of(cls, output: bytes) -> _Rest:
        return output if isinstance(output, _Rest) else cls(output)


def _taken(output: _Rest, spec: ImportedSpec, count: int) -> Iterator[Shown]:
    size = size_of(spec)
    for _ in range(count):
        told, content = bytes(output[:10]), bytes(output[10 : 10 + size])
        del output[: 10 + size]
        yield Shown(int(told), content)


def run(program: str, flags: Sequence[str]) -> bytes:
    with TemporaryDirectory() as folder:
        source = Path(folder, "oracle.cob")
        source.write_text(program, "utf-8")
        made = subprocess.run(
            ["cobc", "-x", "-w", "-O0", *flags, "-I", str(COPYBOOKS), "-o", f"{folder}/oracle", str(source)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        return subprocess.run([f"{folder}/oracle"], capture_output=True, timeout=20, check=True).stdout


# --- statements -------------------------------------------------------------------------------------------------


def cobol_name(label: str) -> str:
    return label.split(" ")[-1]


def moves(nodes: Sequence[Imported], values: Mapping[str, Any], record: str, subscripts: tuple[int, ...]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ImportedViews):
            chosen = [view for view in node.views if view.name in values]
            yield from moves(chosen, values, record, subscripts)
        elif node.name and node.name in values:
            yield from _moved(node, values[node.name], record, subscripts)


def _moved(node: Imported, value: Any, record: str, subscripts: tuple[int, ...]) -> Iterator[str]:
    if isinstance(node, ImportedTable):
        for number, item in enumerate(value, 1):
            yield from _moved(node.item, item, record, (*subscripts, number))
    elif isinstance(node, ImportedGroup):
        yield from moves(node.members, value, record, subscripts)
    elif isinstance(node, ImportedField) and value is not None:
        places = f" ({' '.join(map(str, subscripts))})" if subscripts else ""
        yield f"           MOVE {literal(value)}\n             TO {cobol_name(node.label)}\n             OF {record}{places}"


def literal(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"' if value else "SPACES"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


# --- values -----------------------------------------------------------------------------------------------------


def some_values(spec: ImportedSpec, layout: Any, seed: int, extreme: str = "") -> dict[str, Any]:
    """Values for every field of a record; `extreme` is "low", "high", "zero" or "" for any."""
    return _Values(random.Random(seed), extreme).of(spec.messages[0].body, layout)


class _Values:
    def __init__(self, chance: random.Random, extreme: str) -> None:
        self.chance = chance
        self.extreme = extreme
        self.counts: dict[str, int] = {}

    def of(self, nodes: Sequence[Imported], kinds: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        counters = {node.depending: node for node in nodes if isinstance(node, ImportedTable) and node.depending}
        for node in nodes:
            if isinstance(node, ImportedViews):
                chosen = self.view(node, found)
                found[chosen.name] = self.value(chosen, kinds)
            elif node.name in counters:
                table = counters[node.name]
                found[node.name] = {"low": table.least or 0, "high": table.most}.get(
                    self.extreme, self.chance.randint(table.least or 0, table.most)
                )
            elif node.name:
                found[node.name] = self.value(node, kinds, found)
        return found

    def view(self, node: ImportedViews, found: Mapping[str, Any]) -> Any:
        name = node.views[0].name if not node.by else node.when.get(str(found[node.by]), node.default)
        return next(view for view in node.views if view.name == name)

    def value(self, node: Any, kinds: Mapping[str, Any], found: Mapping[str, Any] = {}) -> Any:
        if isinstance(node, ImportedGroup):
            return self.of(node.members, kinds)
        if isinstance(node, ImportedTable):
            return [self.value(node.item, kinds) for _ in range(found[node.depending] if node.depending else node.most)]
        return self.scalar(kinds[node.name], node)

    def scalar(self, kind: Any, node: ImportedField) -> Any:
        if node.codes:
            return self.chance.choice([code if isinstance(code, str) else self.chance.choice(code) for code in node.codes])
        if type(kind).__name__ in ("Text", "Code"):
            size = {"low": 0, "high": kind.length}.get(self.extreme, self.chance.randint(0, kind.length))
            return self.text(node, size)
        if type(kind).__name__ == "Float":
            return Decimal(self.chance.choice(["0", "1.5", "-2.25", "1024", "-0.125", "98765.5"]))
        return self.number(kind, kind.digits if "digits=" in node.kind or not node.kind.startswith("Binary") else 0)

    def text(self, node: ImportedField, size: int) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + ("" if "PIC A" in node.note else "0123456789abc-/.")
        inner = "".join(self.chance.choice(f"{letters} ") for _ in range(max(size - 2, 0)))
        return (self.chance.choice(letters) + inner + self.chance.choice(letters))[:size]

    def number(self, kind: Any, digits: int) -> int | Decimal:
        """`digits` is 0 for a binary number that takes all that its bytes hold."""
        most = 10**digits - 1 if digits else (1 << (8 * kind.length - kind.signed)) - 1
        least = 0 if not kind.signed else -most if digits else -most - 1
        units = {"low": least, "high": most, "zero": 0}.get(self.extreme, self.chance.randint(least, most))
        if not kind.scale:
            return units
        if kind.scale < 0 and units == 0:  # GnuCOBOL 3.1.2 never comes back from MOVE 0 TO a binary field of PIC 9P
            units = 1
        value = Decimal(units).scaleb(-kind.scale) if abs(units) < 10**27 else Decimal(f"{units}E{-kind.scale}")
        return value if kind.scale > 0 else int(value)
