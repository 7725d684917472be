"""Rules for the fields of requests, as a file or the command line says them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from telegram_router.telegrams import Spec
from telegram_router.tools.replay.masks import tables
from telegram_router.tools.replay.settings import ReplayError

_RULE: Final = re.compile(r"(now|shift|seq|map|learn|set|lookup|keep)(?:\s*\((.*)\))?", re.DOTALL)
EXPECTED: Final = (
    "now, now(YYYYMMDD), shift, seq, seq(start=1, step=1, wrap=999999), map(FIELD), learn(FIELD), set(VALUE), lookup(FILE.csv) or keep"
)


@dataclass(frozen=True)
class Rule:
    """What is done with a field. `argument`: a form, a field, a value or a file, by its kind."""

    kind: str
    argument: str = ""
    options: Mapping[str, int] = field(default_factory=dict)
    table: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


def rule_of(text: object, where: str, read_file: Callable[[str], str]) -> Rule:
    """One rule as it stands in a file. Raises ReplayError."""
    found = _RULE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ReplayError("E-RPL-03", "the rule cannot be understood", where=where, expected=EXPECTED)
    kind, argument = found[1], (found[2] or "").strip()
    if kind == "seq":
        return Rule(kind, options=_options(argument, where), where=where)
    if kind in ("map", "learn", "set", "lookup") and found[2] is None:
        raise ReplayError("E-RPL-03", f"{kind} lacks what stands in its parentheses", where=where, expected=EXPECTED)
    if kind == "lookup":
        return Rule(kind, argument, table=_pairs(read_file(argument), argument, where), where=where)
    return Rule(kind, argument.strip("\"'") if kind == "set" else argument.removeprefix("reply."), where=where)


def _options(text: str, where: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = (each.strip() for each in part.partition("="))
        if name not in ("start", "step", "wrap") or not value.isdecimal():
            raise ReplayError("E-RPL-03", "seq takes start=, step= and wrap=, whole numbers", where=where)
        found[name] = int(value)
    return found


def _pairs(text: str, file: str, where: str) -> dict[str, str]:
    """Old and new values of a CSV file, without its first line if that names the columns old and new."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if any(len(row) != 2 for row in rows):
        raise ReplayError("E-RPL-03", f"{file} has lines that are not an old and a new value", where=where)
    return {old: new for old, new in rows if (old, new) != ("old", "new")}


def read_rules(text: str, where: str, spec: Spec, read_file: Callable[[str], str]) -> dict[str, dict[str, Rule]]:
    """Rules of a TOML file, by message (or `*`) and field. Raises ReplayError for the first that cannot be."""
    made: dict[str, dict[str, Rule]] = {}
    for name, fields in tables(text, where, spec, besides=frozenset({"protected"})).items():
        for each, told in fields.items():
            made.setdefault(name, {})[each] = rule_of(told, f"{where}, [{name}] {each}", read_file)
    return made
